"""Moves framework-neutral weights (`tandem.weights`) into a Keras model and back.

Keras keeps Dense kernels as (in, out) and Conv2D as (height, width, in, out), which is the neutral layout; Conv2DTranspose
as (height, width, out, in), DepthwiseConv2D as (height, width, in, out / in). No kernel is flipped. GRU keeps its gates as
update, reset, candidate and both biases in one array; the neutral order is reset, update, candidate. Attention keeps kernels by
head; in the neutral layout they are dense layers.

Import this module before `keras` and `tensorflow`: it starts TensorFlow without its log lines, lets it take GPU memory only as
it needs it, so that both twins fit on one GPU, and says how it computes in these lessons: Keras on TensorFlow with its usual
settings, whatever ~/.keras/keras.json says; with the threads that `tandem.threads` counts; in float32 where it says float32.
"""
import contextlib
import os
import sys

import numpy as np

from tandem import TandemError
from tandem.exercises import by_place, check_logits, each_of
from tandem.threads import threads
from tandem.weights import KINDS, check_complete, check_fit, pair_layers


@contextlib.contextmanager
def _silent_stderr():
    """TensorFlow 2.21 logs while it is being imported, before it reads its own setting: close the C++ side's stderr then."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


@contextlib.contextmanager
def _absent(*packages):
    """Inside the block these packages cannot be imported; who tries learns that they are not installed."""
    absent = {name: None for name in packages if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# Keras imports these where they happen to be installed, for backends and tables that no lesson uses: 220 MB a kernel.
with _silent_stderr(), _absent("jax", "pandas", "scipy", "sklearn"):
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()  # looks for a GPU now, and says here that there is none

if keras.config.backend() != "tensorflow":
    raise TandemError("Keras was imported before tandem.tensorflow, and runs on another backend: restart the kernel and import "
                      "tandem.tensorflow first.")
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
# A GPU would round what it multiplies to TF32's three digits, and the twins would part at the first step.
tf.config.experimental.enable_tensor_float_32_execution(False)
if "TF_NUM_INTRAOP_THREADS" not in os.environ:  # TensorFlow reads this itself
    with contextlib.suppress(RuntimeError):  # it has computed already, and keeps the threads that it has
        # Those between operations stay: tf.data maps in parallel with them, and they do not wait busily.
        tf.config.threading.set_intra_op_parallelism_threads(threads())

# For each kind of layer: the neutral names of its variables, which are Keras' own names.
_LAYOUTS = {
    keras.layers.Dense: ("kernel", "bias"),
    keras.layers.EinsumDense: ("kernel", "bias"),  # inside attention: see _of_attention
    keras.layers.Conv2D: ("kernel", "bias"),
    keras.layers.Conv2DTranspose: ("kernel", "bias"),
    keras.layers.DepthwiseConv2D: ("kernel", "bias"),
    keras.layers.BatchNormalization: ("gamma", "beta", "moving_mean", "moving_variance"),
    keras.layers.LayerNormalization: ("gamma", "beta"),
    keras.layers.GroupNormalization: ("gamma", "beta"),
    keras.layers.Embedding: ("embeddings",),
    keras.layers.LSTMCell: ("kernel", "recurrent_kernel", "bias"),
    keras.layers.GRUCell: ("kernel", "recurrent_kernel", "bias", "recurrent_bias"),
}


def load_weights(model, weights):
    """Copies neutral `weights` into a built `model`, layer by layer, and returns the model.

    Raises ValueError, and changes nothing, when a layer, a kind or a shape does not fit, or the network has one that the
    weights lack.
    """
    values = {}  # of each variable by its id: where two kinds share one, the second adds to what the first has changed
    for name, arrays, layer in pair_layers(weights, _weighted_layers(model)):
        check_complete(name, arrays, [kind for kind in _kinds(layer) if _variable(layer, kind) is not None])
        for kind, array in arrays.items():
            variable = _variable(layer, kind)
            if variable is None:
                check_fit(name, kind, array, None)
            _, old = values.get(id(variable), (variable, np.array(variable)))
            check_fit(name, kind, array, _to_neutral(layer, kind, old).shape)
            values[id(variable)] = variable, _from_neutral(layer, kind, array, old)
    for variable, value in values.values():
        variable.assign(value)
    return model


def read_weights(model, of=lambda variable: variable):
    """The weights of `model` in the neutral layout: {layer name: {kind: array}}.

    `of` chooses what is read for each variable, for example its gradient; None is left out.
    """
    found = {}
    for name, layer in _weighted_layers(model).items():
        found[name] = {}
        for kind in _kinds(layer):
            variable = _variable(layer, kind)
            value = None if variable is None else of(variable)
            if value is not None:
                value = tf.convert_to_tensor(value)  # the gradient of an embedding comes as a sparse one
                found[name][kind] = _to_neutral(layer, kind, np.array(value))
    return found


def on_arrays(function, *arguments):
    """What `function` gives for NumPy arrays, as NumPy arrays.

    Arrays among the arguments, or inside tuples, lists and dictionaries, go in as tensors of their type. Other arguments go in
    as they are. Tensors that come back become arrays.
    """
    return each_of(np.asarray, function(*each_of(_to_tensor, arguments)))


def gradient_on_arrays(function, array, *arguments):
    """The gradient by `array` of the one number that `function(array, *arguments)` gives, as a NumPy array of the same shape.

    Raises AssertionError, in a sentence for a learner, where the result is not one number or does not depend on the array.
    """
    tensor = _to_tensor(array)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        result = function(tensor, *each_of(_to_tensor, arguments))
    if np.shape(result) != ():
        raise AssertionError(f"one number is wanted, to take its gradient; the result has shape {np.shape(result)}")
    found = tape.gradient(result, tensor) if isinstance(result, tf.Tensor) else None
    if found is None:
        raise AssertionError(
            "no gradient comes back: between the input and the result a number leaves TensorFlow, or is stopped"
        )
    return np.asarray(tf.convert_to_tensor(found))


def answers_and_gradients(network, weights, inputs, labels, to_tensors=None):
    """What a classifier answers from given weights: (logits, gradients), to be held against its twin or against a reference.

    Loads the neutral `weights` into `network`, calls it in inference mode, and takes the gradients of the mean cross-entropy with
    the whole numbers `labels`: {"layer/kind": array} in the neutral layout. inputs: an array. to_tensors(inputs, labels) brings
    both into the network's layout where that is another. Raises AssertionError where the weights do not fit.
    """
    tensor, targets = to_tensors(inputs, labels) if to_tensors else (_to_tensor(inputs), _to_tensor(labels))
    check_logits(network(tensor).shape, labels)  # and makes the weights of a network that had none yet
    try:
        load_weights(network, weights)
    except ValueError as error:
        raise AssertionError(str(error)) from None
    with tf.GradientTape() as tape:
        logits = network(tensor, training=False)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
    variables = network.trainable_variables
    slopes = tape.gradient(loss, variables)
    slope_of = {id(variable): slope for variable, slope in zip(variables, slopes, strict=True)}
    return np.asarray(logits), by_place(weights, read_weights(network, of=lambda variable: slope_of.get(id(variable))))


def _to_tensor(value):
    return tf.convert_to_tensor(value) if isinstance(value, np.ndarray) else value


def _weighted_layers(model):
    if not model.built:
        raise ValueError("The model has no weights yet: give its first layer an input shape, or call it once.")
    named, inner = {}, set()
    for layer in _in_order(model):
        if layer in inner or layer in named.values():
            continue
        if isinstance(layer, keras.layers.MultiHeadAttention):
            parts = {
                "query": layer._query_dense,
                "key": layer._key_dense,
                "value": layer._value_dense,
                "output": layer._output_dense,
            }
            named |= {f"{layer.name}.{name}": part for name, part in parts.items()}
            inner.update(parts.values())
        elif isinstance(layer, (keras.layers.LSTM, keras.layers.GRU)):
            if getattr(layer, "reset_after", True) is False:
                raise ValueError(
                    "tandem.tensorflow carries GRU layers with reset_after=True, the default, which is PyTorch's form."
                )
            named[layer.name] = layer.cell
            inner.add(layer.cell)
        elif type(layer) in _LAYOUTS and not isinstance(layer, keras.layers.EinsumDense):
            named[layer.name] = layer
        elif layer._trainable_variables and len(_kinds(layer)) == len(layer._trainable_variables):
            named[layer.name] = layer
        elif layer._trainable_variables:
            raise ValueError(f"tandem.tensorflow knows no layout for layer '{layer.name}' of type {type(layer).__name__}.")
    return named


def _in_order(layer):
    """`layer` and all layers inside it. Keras' public `layers` leaves out what lies inside a custom layer, and its own
    recursion goes backwards."""
    yield layer
    for child in layer._flatten_layers(include_self=False, recursive=False):
        yield from _in_order(child)


def _kinds(layer):
    """The kinds of a layer's variables; of a layer of your own, those that it calls as neutral weights are called."""
    if type(layer) in _LAYOUTS:
        return _LAYOUTS[type(layer)]
    return [kind for kind in KINDS if isinstance(getattr(layer, kind, None), keras.Variable)]


def _variable(layer, kind):
    if kind not in _kinds(layer):
        return None
    return getattr(layer, "bias" if kind == "recurrent_bias" else kind, None)


def _to_neutral(layer, kind, array):
    if isinstance(layer, keras.layers.Conv2DTranspose) and kind == "kernel":
        return array.transpose(0, 1, 3, 2)
    if isinstance(layer, keras.layers.DepthwiseConv2D) and kind == "kernel":  # each channel is a group of one input
        return array.reshape(*array.shape[:2], 1, -1)
    if isinstance(layer, keras.layers.GRUCell):
        array = array[int(kind == "recurrent_bias")] if kind.endswith("bias") else array
        return _exchange_gates(array)
    if isinstance(layer, keras.layers.EinsumDense):  # (in, heads, size), or (heads, size, out) in the output layer
        return array.reshape(_dense_shape(layer, kind))
    return array


def _from_neutral(layer, kind, array, old):
    """The whole variable with the neutral `array` in it; `old` is its present value."""
    if isinstance(layer, keras.layers.GRUCell) and kind.endswith("bias"):
        new = old.copy()
        new[int(kind == "recurrent_bias")] = _exchange_gates(array)
        return new
    if isinstance(layer, keras.layers.GRUCell):
        return _exchange_gates(array)
    if isinstance(layer, (keras.layers.EinsumDense, keras.layers.DepthwiseConv2D)):
        return array.reshape(old.shape)
    return _to_neutral(layer, kind, array)  # the same exchange of axes in both directions


def _exchange_gates(array):
    """The first two thirds of the last axis, update and reset, change places."""
    update, reset, candidate = np.split(array, 3, axis=-1)
    return np.concatenate([reset, update, candidate], axis=-1)


def _dense_shape(layer, kind):
    """Of an EinsumDense inside attention, whose equation reads for example "abc,cde->abde": the kernel's axes in the input
    count as one."""
    if kind == "bias":
        return (-1,)
    inputs, kernel_axes = layer.equation.split("->")[0].split(",")
    return (int(np.prod(layer.kernel.shape[: sum(axis in inputs for axis in kernel_axes)])), -1)
