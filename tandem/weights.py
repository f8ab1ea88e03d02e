"""Starting weights that belong to no framework: drawn once with NumPy, then loaded by both twins.

The weights of a network are a dictionary {layer name: {kind: array}}, in the order of its layers. Kinds and shapes:

    dense                  kernel (inputs, outputs), bias (outputs,)
    convolution            kernel (height, width, inputs, outputs), bias (outputs,)
    transposed convolution the same shapes as a convolution
    grouped, depthwise     kernel (height, width, inputs of one group, outputs); depthwise: (height, width, 1, outputs)
      convolution
    batch, layer,          gamma, beta; batch norm also moving_mean, moving_variance: all (features,)
      group, instance norm
    embedding              embeddings (tokens, features)
    LSTM                   kernel (inputs, 4 units), recurrent_kernel (units, 4 units), bias (4 units,);
                           gates in the order input, forget, cell, output
    GRU                    kernel (inputs, 3 units), recurrent_kernel (units, 3 units), bias, recurrent_bias (3 units,);
                           gates in the order reset, update, candidate
    a layer of your own    any of these kinds; also constant, an array that is learned as it stands, and strength, of noise
    attention              four dense layers: query, key, value, output

`tandem.pytorch` and `tandem.tensorflow` carry them into a model and back. All arrays are float32: widening them to float64
for the twin proof changes no value.
"""
import math

import numpy as np

KINDS = (
    "kernel",
    "bias",
    "recurrent_kernel",
    "recurrent_bias",
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "embeddings",
    "constant",
    "strength",
)
"""A layer of your own is carried, too, if what it learns is called so and has the shape that is told above."""


def generator(seed):
    """A NumPy generator for the weights, independent of the batch order that is drawn from the same seed."""
    return np.random.default_rng((seed, 0x77656967687473))


def kernel(rng, shape, scheme="glorot"):
    """A float32 kernel of shape (..., inputs, outputs).

    scheme: "glorot" draws from U(±sqrt(6 / (fan_in + fan_out))) (Glorot and Bengio 2010), "he" from N(0, 2 / fan_in)
    (He et al. 2015), "lecun" from U(±1 / sqrt(fan_in)), which is what PyTorch's layers start with; a number from N(0, number²).
    """
    receptive_field = math.prod(shape[:-2])
    fan_in, fan_out = receptive_field * shape[-2], receptive_field * shape[-1]
    if scheme == "glorot":
        limit = math.sqrt(6 / (fan_in + fan_out))
        drawn = rng.uniform(-limit, limit, shape)
    elif scheme == "he":
        drawn = rng.normal(0, math.sqrt(2 / fan_in), shape)
    elif scheme == "lecun":
        limit = 1 / math.sqrt(fan_in)
        drawn = rng.uniform(-limit, limit, shape)
    elif isinstance(scheme, (int, float)):
        drawn = rng.normal(0, scheme, shape)
    else:
        raise ValueError(f"scheme is {scheme!r}; take 'glorot', 'he', 'lecun' or a standard deviation.")
    return drawn.astype("float32")


def dense(rng, inputs, outputs, scheme="glorot", bias=True):
    """A dense layer: kernel (inputs, outputs), and a bias of zeros unless `bias` is False."""
    return _with_bias(kernel(rng, (inputs, outputs), scheme), bias)


def convolution(rng, size, inputs, outputs, scheme="glorot", bias=True):
    """A convolution, transposed or not: kernel (size, size, inputs, outputs), and a bias of zeros unless `bias` is False."""
    return _with_bias(kernel(rng, (size, size, inputs, outputs), scheme), bias)


def batch_norm(features):
    """Batch normalisation as both frameworks start it: gamma 1, beta 0, moving mean 0, moving variance 1."""
    zeros, ones = np.zeros(features, "float32"), np.ones(features, "float32")
    return {"gamma": ones, "beta": zeros, "moving_mean": zeros.copy(), "moving_variance": ones.copy()}


def layer_norm(features):
    """Layer normalisation as both frameworks start it: gamma 1, beta 0."""
    return {"gamma": np.ones(features, "float32"), "beta": np.zeros(features, "float32")}


def group_norm(channels):
    """Group or instance normalisation with a scale and a shift, as both frameworks start it: gamma 1, beta 0."""
    return layer_norm(channels)


def embedding(rng, tokens, features, scale=0.05):
    """An embedding: one row of `features` numbers from N(0, scale²) for each of `tokens` tokens."""
    return {"embeddings": kernel(rng, (tokens, features), scale)}


def lstm(rng, inputs, units):
    """An LSTM as Keras starts it: Glorot kernel, orthogonal recurrent kernels, bias 1 for the forget gate, else 0.

    The forget gate's 1 is the advice of Jozefowicz, Zaremba, Sutskever (2015).
    """
    bias = np.zeros(4 * units, "float32")
    bias[units : 2 * units] = 1
    return _recurrent(rng, inputs, units, gates=4) | {"bias": bias}


def gru(rng, inputs, units):
    """A GRU as Keras starts it: Glorot kernel, orthogonal recurrent kernels, biases 0."""
    zeros = np.zeros(3 * units, "float32")
    return _recurrent(rng, inputs, units, gates=3) | {"bias": zeros, "recurrent_bias": zeros.copy()}


def count(weights):
    """How many numbers `weights` holds, moving statistics left out: the trainable parameters."""
    return sum(
        array.size for layer in weights.values() for kind, array in layer.items() if not kind.startswith("moving_")
    )


def pair_layers(weights, layers):
    """Pairs each entry of `weights` with its layer: [(name, arrays, layer), ...]. `layers` is {name: layer} in order.

    By name where every name is found, else by position. Raises ValueError if their numbers differ.
    """
    if all(name in layers for name in weights) and len(weights) == len(layers):
        return [(name, arrays, layers[name]) for name, arrays in weights.items()]
    if len(weights) != len(layers):
        raise ValueError(f"The weights have {len(weights)} layers ({', '.join(weights)}), the network has {len(layers)} "
                         f"with weights ({', '.join(layers)}).")
    return [(name, arrays, layer) for (name, arrays), layer in zip(weights.items(), layers.values(), strict=True)]


def check_fit(name, kind, array, shape):
    """Raises ValueError unless a neutral `array` has the shape that the layer needs (shape None: it has no such weight)."""
    if shape is None:
        raise ValueError(f"Layer '{name}' of the network has no {kind}, but the weights do.")
    if tuple(array.shape) != tuple(shape):
        raise ValueError(f"Layer '{name}': its {kind} has shape {tuple(shape)}, the weights have {tuple(array.shape)}.")


def check_complete(name, arrays, kinds):
    """Raises ValueError if a layer of the network has a kind of weight that nobody gives it: it would stay as it was drawn."""
    for kind in kinds:
        if kind not in arrays:
            raise ValueError(
                f"Layer '{name}' of the network has a {kind}, but the weights do not: give it one, or make the layer without."
            )


def _recurrent(rng, inputs, units, gates):
    """The kernels of all gates side by side; each recurrent one is orthogonal (Saxe, McClelland, Ganguli 2014)."""
    kernels = [kernel(rng, (inputs, units)) for _ in range(gates)]
    orthogonal = [np.linalg.qr(rng.normal(size=(units, units)))[0].astype("float32") for _ in range(gates)]
    return {"kernel": np.concatenate(kernels, axis=1), "recurrent_kernel": np.concatenate(orthogonal, axis=1)}


def _with_bias(kernel_array, bias):
    return {"kernel": kernel_array} | ({"bias": np.zeros(kernel_array.shape[-1], "float32")} if bias else {})
