"""Moves framework-neutral weights (`tandem.weights`) into a PyTorch module and back.

PyTorch keeps Linear kernels as (out, in), Conv2d as (out, in, height, width), ConvTranspose2d as (in, out, height, width),
LSTM and GRU kernels as (gates * units, in); the neutral layout is (in, out) and (height, width, in, out). No kernel is flipped.
Its attention packs query, key and value into one kernel; in the neutral layout they are dense layers of their own.

Importing this module also says how PyTorch computes in these lessons: with the threads that `tandem.threads` counts, and in
float32 where it says float32, on a GPU too.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem.exercises import by_place, check_logits, each_of
from tandem.threads import threads
from tandem.weights import KINDS, check_complete, check_fit, pair_layers

if not os.environ.keys() & {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}:  # PyTorch has read these itself
    torch.set_num_threads(threads())
# A GPU would round what it multiplies to TF32's three digits, and the twins would part at the first step.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cuda.matmul.allow_tf32 = False

# For each kind of layer: neutral name -> (PyTorch's name, permutation from PyTorch's axes to neutral axes).
_BIAS = {"bias": ("bias", (0,))}
_NORM = {"gamma": ("weight", (0,)), "beta": ("bias", (0,))}
_BATCH_NORM = _NORM | {"moving_mean": ("running_mean", (0,)), "moving_variance": ("running_var", (0,))}
_RECURRENT = {"kernel": ("weight_ih_l0", (1, 0)), "recurrent_kernel": ("weight_hh_l0", (1, 0)), "bias": ("bias_ih_l0", (0,))}
_LAYOUTS = {
    nn.Linear: {"kernel": ("weight", (1, 0))} | _BIAS,
    nn.Conv2d: {"kernel": ("weight", (2, 3, 1, 0))} | _BIAS,
    nn.ConvTranspose2d: {"kernel": ("weight", (2, 3, 0, 1))} | _BIAS,
    nn.BatchNorm1d: _BATCH_NORM,
    nn.BatchNorm2d: _BATCH_NORM,
    nn.LayerNorm: _NORM,
    nn.GroupNorm: _NORM,
    nn.InstanceNorm2d: _NORM,
    nn.Embedding: {"embeddings": ("weight", (0, 1))},
    nn.LSTM: _RECURRENT,
    nn.GRU: _RECURRENT | {"recurrent_bias": ("bias_hh_l0", (0,))},
}


@torch.no_grad()
def load_weights(module, weights):
    """Copies neutral `weights` into `module`, layer by layer, and returns the module.

    Raises ValueError, and changes nothing, when a layer, a kind or a shape does not fit, or the network has one that the
    weights lack.
    """
    copies = []
    for name, arrays, tensors in pair_layers(weights, _weighted_layers(module)):
        check_complete(name, arrays, tensors)
        for kind, array in arrays.items():
            parameter, view = tensors.get(kind, (None, None))
            check_fit(name, kind, array, None if parameter is None else view(parameter).shape)
            copies.append((view(parameter), torch.as_tensor(array)))
    for tensor, values in copies:
        tensor.copy_(values)
    return module


def read_weights(module, of=lambda tensor: tensor):
    """The weights of `module` in the neutral layout: {layer name: {kind: array}}.

    `of` chooses what is read of each parameter, for example `lambda parameter: parameter.grad`; None is left out.
    """
    found = {}
    for name, tensors in _weighted_layers(module).items():
        values = {kind: (of(parameter), view) for kind, (parameter, view) in tensors.items()}
        found[name] = {
            kind: view(value.detach()).cpu().numpy().copy() for kind, (value, view) in values.items() if value is not None
        }
    return found


def on_arrays(function, *arguments):
    """What `function` gives for NumPy arrays, as NumPy arrays.

    Arrays among the arguments, or inside tuples, lists and dictionaries, go in as tensors of their type: on the CPU, or where
    `function` is if it is a module. Other arguments go in as they are. Tensors that come back become arrays.
    """
    return each_of(_to_array, function(*each_of(lambda one: _to_tensor(one, function), arguments)))


def gradient_on_arrays(function, array, *arguments):
    """The gradient by `array` of the one number that `function(array, *arguments)` gives, as a NumPy array of the same shape.

    Raises AssertionError, in a sentence for a learner, where the result is not one number or does not depend on the array.
    """
    tensor = _to_tensor(array, function).requires_grad_()
    result = function(tensor, *each_of(lambda one: _to_tensor(one, function), arguments))
    if np.shape(_to_array(result)) != ():
        raise AssertionError(f"one number is wanted, to take its gradient; the result has shape {np.shape(_to_array(result))}")
    found = None
    if isinstance(result, torch.Tensor) and result.requires_grad:
        found, = torch.autograd.grad(result, tensor, allow_unused=True)
    if found is None:
        raise AssertionError("no gradient comes back: between the input and the result a number leaves PyTorch, or is detached")
    return _to_array(found)


def answers_and_gradients(network, weights, inputs, labels, to_tensors=None):
    """What a classifier answers from given weights: (logits, gradients), to be held against its twin or against a reference.

    Loads the neutral `weights` into `network`, sets evaluation mode, and takes the gradients of the mean cross-entropy with
    the whole numbers `labels`: {"layer/kind": array} in the neutral layout. inputs: an array. to_tensors(inputs, labels) brings
    both into the network's layout where that is another. Raises AssertionError where the weights do not fit.
    """
    try:
        load_weights(network, weights)
    except ValueError as error:
        raise AssertionError(str(error)) from None
    network.eval()
    bring = to_tensors or (lambda *arrays: [_to_tensor(one, network) for one in arrays])
    tensor, targets = bring(inputs, labels)
    logits = network(tensor)
    check_logits(logits.shape, labels)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    slopes = torch.autograd.grad(F.cross_entropy(logits, targets), parameters, allow_unused=True)
    slope_of = {id(parameter): slope for parameter, slope in zip(parameters, slopes, strict=True)}
    return _to_array(logits), by_place(weights, read_weights(network, of=lambda parameter: slope_of.get(id(parameter))))


def _to_tensor(value, function):
    parameter = next(function.parameters(), None) if isinstance(function, nn.Module) else None
    device = "cpu" if parameter is None else parameter.device
    return torch.tensor(value, device=device) if isinstance(value, np.ndarray) else value


def _to_array(value):
    return value.numpy(force=True) if isinstance(value, torch.Tensor) else np.asarray(value)


def _weighted_layers(module):
    """{layer name: {kind: (parameter, function that views such a tensor in the neutral layout)}}, in the order of the layers."""
    found, inside_attention = {}, ()
    for name, layer in module.named_modules():
        name = name or type(layer).__name__
        if isinstance(layer, nn.MultiheadAttention):
            inside_attention = tuple(layer.children())
            found |= {f"{name}.{part}": tensors for part, tensors in _attention(layer).items()}
        elif layer not in inside_attention and any(True for _ in layer.parameters(recurse=False)):
            found[name] = _tensors(name, layer)
    return found


def _tensors(name, layer):
    own = dict(layer.named_parameters(recurse=False))
    if type(layer) not in _LAYOUTS and own.keys() <= set(KINDS):
        return {kind: (parameter, lambda tensor: tensor) for kind, parameter in own.items()}
    if type(layer) not in _LAYOUTS:
        raise ValueError(f"tandem.pytorch knows no layout for layer '{name}' of type {type(layer).__name__}.")
    if isinstance(layer, nn.RNNBase) and (layer.num_layers > 1 or layer.bidirectional):
        raise ValueError(f"tandem.pytorch carries recurrent layers of one layer and one direction; '{name}' has more.")
    if isinstance(layer, nn.LSTM) and (layer.bias_hh_l0.requires_grad or layer.bias_hh_l0.any()):
        raise ValueError(
            f"Layer '{name}' has two biases, and Keras' LSTM has one: set bias_hh_l0 to zero, and its requires_grad to False."
        )
    if isinstance(layer, nn.InstanceNorm2d) and layer.track_running_stats:
        raise ValueError(f"Layer '{name}' keeps running statistics, and Keras' instance norm has none: take the default.")
    found = {}
    for kind, (attribute, axes) in _LAYOUTS[type(layer)].items():
        if getattr(layer, attribute) is not None:
            found[kind] = getattr(layer, attribute), lambda tensor, axes=axes: tensor.permute(axes)
    return found


def _attention(layer):
    """The four dense layers of an attention layer; the first three are thirds of PyTorch's packed kernel and bias."""
    if layer.in_proj_weight is None:
        raise ValueError("tandem.pytorch carries attention whose query, key and value have the same size.")
    found = {}
    for number, part in enumerate(("query", "key", "value")):
        found[part] = {"kernel": (layer.in_proj_weight, lambda tensor, number=number: tensor.chunk(3)[number].T)}
        if layer.in_proj_bias is not None:
            found[part]["bias"] = layer.in_proj_bias, lambda tensor, number=number: tensor.chunk(3)[number]
    found["output"] = {"kernel": (layer.out_proj.weight, lambda tensor: tensor.T)}
    if layer.out_proj.bias is not None:
        found["output"]["bias"] = layer.out_proj.bias, lambda tensor: tensor
    return found
