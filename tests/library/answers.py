"""What checks get of answers. python answers.py FRAMEWORK FILE asserts it, and writes a network's logits and gradients."""
import importlib
import sys

import numpy as np

from tandem import weights
from tandem.exercises import difference, reference

framework, path = sys.argv[1:]
side = importlib.import_module(f"tandem.{framework}")
if framework == "pytorch":
    import torch
    from torch import nn

    def network():
        return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 3))

    def tensor(value):
        return torch.tensor(value)
else:
    import keras
    import tensorflow as tf
    from keras import layers

    def network():
        return keras.Sequential([layers.Dense(5, activation="relu"), layers.Dropout(0.5), layers.Dense(3)])

    def tensor(value):
        return tf.constant(value)


def by_hand(weights, inputs):
    hidden = np.maximum(inputs @ weights["hidden"]["kernel"] + weights["hidden"]["bias"], 0)
    return hidden @ weights["output"]["kernel"] + weights["output"]["bias"]


def refused(function, *arguments):
    try:
        function(*arguments)
    except AssertionError as error:
        return str(error)
    raise SystemExit(f"{function.__name__} lets {arguments} through")


# Arrays go in as they are, and come back, out of tuples and dictionaries as well; what is no array passes through.
single, whole = np.array([[1, 2], [3, 4]], "float32"), np.array([1, 2])
both = side.on_arrays(lambda x, n, factor: {"x": x * factor, "n": (n, None)}, single, whole, 2.0)
assert both["x"].dtype == "float32" and both["x"].tolist() == [[2, 4], [6, 8]] and both["n"][0].dtype == "int64"
assert side.on_arrays(lambda pair: pair["a"], {"a": whole, "b": 1}).tolist() == [1, 2]

# The gradient is that of one number by the first array, whose values stay as they are.
assert side.gradient_on_arrays(lambda x, y: (x * x * y)[0, 1], single, single).tolist() == [[0, 8], [0, 0]]
assert single.tolist() == [[1, 2], [3, 4]]
assert "the result has shape (2, 2)" in refused(side.gradient_on_arrays, lambda x: 2 * x, single)
assert "no gradient comes back" in refused(side.gradient_on_arrays, lambda x: tensor(1.0), single)
assert "no gradient comes back" in refused(side.gradient_on_arrays, lambda x: 1.0, single)

# A network with a dropout layer, held against its definition; then with a layer too few, and with too few classes.
rng = np.random.default_rng(0)
start = {"hidden": weights.dense(rng, 6, 5), "output": weights.dense(rng, 5, 3)}
inputs, labels = rng.normal(size=(8, 6)).astype("float32"), np.arange(8) % 3
given = side.answers_and_gradients(network(), start, inputs, labels)
wanted = reference(by_hand, start, inputs, labels)
assert difference(given, wanted) == "", difference(given, wanted)
assert "the network has 2" in refused(side.answers_and_gradients, network(), start | {"third": start["output"]}, inputs, labels)
assert "answers have shape (8, 3)" in refused(side.answers_and_gradients, network(), start, inputs, labels + 1)
np.savez(path, logits=given[0], **given[1])
