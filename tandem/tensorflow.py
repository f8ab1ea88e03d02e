"""Moves framework-neutral weights (`tandem.weights`) into a Keras model and back.

Keras keeps Dense kernels as (in, out) and Conv2D as (height, width, in, out), which is the neutral layout; Conv2DTranspose
as (height, width, out, in). No kernel is flipped.

Import this module before `keras` and `tensorflow`: it starts TensorFlow without its log lines, and lets it take GPU memory
only as it needs it, so that both twins fit on one GPU.
"""
import contextlib
import os
import sys

import numpy as np

from tandem.weights import check_fit, pair_layers


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


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
with _silent_stderr():
    import keras
    import tensorflow as tf

    tf.config.list_physical_devices()  # looks for a GPU now, and says here that there is none

# For each kind of layer: the neutral names of its variables. Keras' own names, except in normalisation layers, are the same.
_LAYOUTS = {
    keras.layers.Dense: ("kernel", "bias"),
    keras.layers.Conv2D: ("kernel", "bias"),
    keras.layers.Conv2DTranspose: ("kernel", "bias"),
    keras.layers.BatchNormalization: ("gamma", "beta", "moving_mean", "moving_variance"),
    keras.layers.LayerNormalization: ("gamma", "beta"),
    keras.layers.Embedding: ("embeddings",),
}


def load_weights(model, weights):
    """Copies neutral `weights` into a built `model`, layer by layer, and returns the model.

    Raises ValueError, and changes nothing, when a layer, a kind or a shape does not fit.
    """
    copies = []
    for name, arrays, layer in pair_layers(weights, _weighted_layers(model)):
        for kind, array in arrays.items():
            variable = _variable(layer, kind)
            own = None if variable is None else _swap(layer, kind, np.empty(variable.shape, "bool"))
            check_fit(name, kind, array, None if own is None else own.shape)
            copies.append((variable, _swap(layer, kind, array)))
    for variable, values in copies:
        variable.assign(values)
    return model


def read_weights(model, of=lambda variable: variable):
    """The weights of `model` in the neutral layout: {layer name: {kind: array}}.

    `of` chooses what is read for each variable, for example its gradient; None is left out.
    """
    found = {}
    for name, layer in _weighted_layers(model).items():
        found[name] = {}
        for kind in _LAYOUTS[type(layer)]:
            variable = _variable(layer, kind)
            value = None if variable is None else of(variable)
            if value is not None:
                found[name][kind] = _swap(layer, kind, np.array(value))
    return found


def _weighted_layers(model):
    if not model.built:
        raise ValueError("The model has no weights yet: give its first layer an input shape, or call it once.")
    named = {}
    for layer in model._flatten_layers():  # Keras' public `layers` leaves out what lies inside a custom layer
        if type(layer) in _LAYOUTS:
            named[layer.name] = layer
        elif layer._trainable_variables:
            raise ValueError(f"tandem.tensorflow knows no layout for layer '{layer.name}' of type {type(layer).__name__}.")
    return named


def _variable(layer, kind):
    return getattr(layer, kind, None) if kind in _LAYOUTS[type(layer)] else None


def _swap(layer, kind, array):
    """Between Keras' axes and the neutral ones: the same exchange in both directions."""
    return array.transpose(0, 1, 3, 2) if kind == "kernel" and type(layer) is keras.layers.Conv2DTranspose else array
