"""TensorFlow's side of a twin proof: see `tandem.tools.twin`. Importing this module changes nothing; making an `Engine` does."""
import contextlib
import types

from tandem.tensorflow import _in_order, _weighted_layers, read_weights  # before keras: see there

import keras
import numpy as np
import tensorflow as tf

from tandem.tools.twin import fingerprint

_CELLS = (keras.layers.LSTMCell, keras.layers.GRUCell)  # a cell is fed a time step, where PyTorch's layer is fed the sequence
_CHANGING = (keras.layers.BatchNormalization, keras.layers.Dropout)


class Engine:
    read = staticmethod(read_weights)
    fixed = {}

    def __init__(self):
        self._seen = None
        keras.config.set_floatx("float64")
        self._wrap(keras.optimizers.Optimizer, "apply", self._before_apply)
        self._wrap(keras.layers.Layer, "__call__", self._before_call)

    @staticmethod
    def _wrap(owner, name, before):
        inner = getattr(owner, name)

        def wrapped(self, *args, **kwargs):
            before(self, *args, **kwargs)
            return inner(self, *args, **kwargs)

        setattr(owner, name, wrapped)

    def start(self, optimizers):
        pass

    @contextlib.contextmanager
    def watching(self, players, optimizers):
        """Yields what is seen of the steps in the block, which run eagerly: numbers can be caught, nodes of a graph cannot."""
        inputs = {name: {layer: {} for layer in read_weights(player)} for name, player in players.items()}
        self._entries = {
            id(layer): inputs[name][layer_name]
            for name, player in players.items() for layer_name, layer in _weighted_layers(player).items()
            if not isinstance(layer, _CELLS)
        }
        self._seen = types.SimpleNamespace(gradients={}, inputs=inputs, players=players, optimizers=optimizers)
        tf.config.run_functions_eagerly(True)
        try:
            yield self._seen
        finally:
            tf.config.run_functions_eagerly(False)
            self._seen = None

    @contextlib.contextmanager
    def no_draws(self, side):
        yield

    def numbers(self, losses):
        losses = losses if isinstance(losses, (tuple, list)) else (losses,)
        return np.array([self.array(loss) for loss in losses])

    def array(self, tensor):
        return np.asarray(tensor).astype("float64")

    def dropouts(self, player):
        return [_Dropout(layer) for layer in _in_order(player) if isinstance(layer, keras.layers.Dropout) and layer.rate]

    def changes_in_evaluation(self, player):
        return ", ".join(sorted({type(layer).__name__ for layer in _in_order(player) if isinstance(layer, _CHANGING)}))

    def _before_call(self, layer, *inputs, **_):
        if self._seen and self._entries.get(id(layer)) == {} and inputs and isinstance(inputs[0], tf.Tensor):
            self._entries[id(layer)]["input"] = fingerprint(self.array(inputs[0]))

    def _before_apply(self, optimizer, gradients, variables=None):
        name = self._seen and next((name for name, known in self._seen.optimizers.items() if known is optimizer), None)
        if name and name not in self._seen.gradients:
            variables = variables or optimizer._trainable_variables
            found = {id(variable): gradient for variable, gradient in zip(variables, gradients, strict=True)}
            self._seen.gradients[name] = read_weights(self._seen.players[name], of=lambda variable: found.get(id(variable)))


class _Dropout:
    """A dropout layer, as `twin.mask_rule` asks for it."""

    def __init__(self, layer):
        self.name, self.rate, self._layer = layer.name, layer.rate, layer

    def mask(self):
        positions = {"SpatialDropout2D": (8, 4), "SpatialDropout3D": (4, 4, 2)}.get(type(self._layer).__name__, (32,))
        mask = np.asarray(self._layer(tf.ones((256, *positions, 8), tf.float64), training=True))
        return mask.reshape(256, -1, 8)

    @contextlib.contextmanager
    def resting(self):
        self._layer.rate = 0
        try:
            yield
        finally:
            self._layer.rate = self.rate
