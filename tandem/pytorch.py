"""Moves framework-neutral weights (`tandem.weights`) into a PyTorch module and back.

PyTorch keeps Linear kernels as (out, in), Conv2d as (out, in, height, width), ConvTranspose2d as (in, out, height, width);
the neutral layout is (in, out) and (height, width, in, out). No kernel is flipped.
"""
import torch
from torch import nn

from tandem.weights import check_fit, pair_layers

# For each kind of layer: neutral name -> (PyTorch's name, permutation from PyTorch's axes to neutral axes).
_VECTORS = {"bias": ("bias", None)}
_NORM = {"gamma": ("weight", None), "beta": ("bias", None)}
_BATCH_NORM = _NORM | {"moving_mean": ("running_mean", None), "moving_variance": ("running_var", None)}
_LAYOUTS = {
    nn.Linear: {"kernel": ("weight", (1, 0))} | _VECTORS,
    nn.Conv2d: {"kernel": ("weight", (2, 3, 1, 0))} | _VECTORS,
    nn.ConvTranspose2d: {"kernel": ("weight", (2, 3, 0, 1))} | _VECTORS,
    nn.BatchNorm1d: _BATCH_NORM,
    nn.BatchNorm2d: _BATCH_NORM,
    nn.LayerNorm: _NORM,
    nn.Embedding: {"embeddings": ("weight", None)},
}


@torch.no_grad()
def load_weights(module, weights):
    """Copies neutral `weights` into `module`, layer by layer, and returns the module.

    Raises ValueError, and changes nothing, when a layer, a kind or a shape does not fit.
    """
    copies = []
    for name, arrays, layer in pair_layers(weights, _weighted_layers(module)):
        for kind, array in arrays.items():
            tensor, axes = _neutral(layer, kind)
            check_fit(name, kind, array, None if tensor is None else tensor.permute(axes).shape)
            copies.append((tensor.permute(axes), torch.as_tensor(array)))
    for tensor, values in copies:
        tensor.copy_(values)
    return module


def read_weights(module, of=lambda tensor: tensor):
    """The weights of `module` in the neutral layout: {layer name: {kind: array}}.

    `of` chooses what is read of each parameter, for example `lambda parameter: parameter.grad`; None is left out.
    """
    found = {}
    for name, layer in _weighted_layers(module).items():
        found[name] = {}
        for kind in _LAYOUTS[type(layer)]:
            tensor, axes = _neutral(layer, kind)
            value = None if tensor is None else of(tensor)
            if value is not None:
                found[name][kind] = value.detach().permute(axes).cpu().numpy().copy()
    return found


def _weighted_layers(module):
    named = {name or type(layer).__name__: layer for name, layer in module.named_modules()
             if any(True for _ in layer.parameters(recurse=False))}
    for name, layer in named.items():
        if type(layer) not in _LAYOUTS:
            raise ValueError(f"tandem.pytorch knows no layout for layer '{name}' of type {type(layer).__name__}.")
    return named


def _neutral(layer, kind):
    attribute, axes = _LAYOUTS[type(layer)].get(kind, (None, None))
    tensor = getattr(layer, attribute, None) if attribute else None
    return tensor, axes or (tuple(range(tensor.ndim)) if tensor is not None else None)
