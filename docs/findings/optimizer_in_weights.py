"""A Keras `.weights.h5` holds the optimiser's state, but loading leaves it out, with a warning, unless the optimiser was built.

Three steps of Adam, saved; how many of them does the optimiser of a new model know, once loaded?

    PyTorch, load_state_dict        3
    Keras, load_weights             0, and a warning
    Keras, built, then load_weights 3
"""
import pathlib
import tempfile
import warnings

import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import numpy as np
import torch

folder = tempfile.TemporaryDirectory()
path = pathlib.Path(folder.name)


def adam():
    network = torch.nn.Linear(1, 1)
    return network, torch.optim.Adam(network.parameters())


network, optimizer = adam()
for _ in range(3):
    network(torch.ones(1, 1)).sum().backward()
    optimizer.step()
torch.save(optimizer.state_dict(), path / "optimizer.pt")
_, optimizer = adam()
optimizer.load_state_dict(torch.load(path / "optimizer.pt"))
known = int(optimizer.state_dict()["state"][0]["step"])
print(f"PyTorch, load_state_dict        {known}")
assert known == 3


def compiled():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


model = compiled()
for _ in range(3):
    model.train_on_batch(np.ones((1, 1)), np.ones((1, 1)))
model.save_weights(path / "model.weights.h5")

model = compiled()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model.load_weights(path / "model.weights.h5")
warned = any("Skipping variable loading for optimizer" in str(warning.message) for warning in caught)
known = int(model.optimizer.iterations)
print(f"Keras, load_weights             {known}{', and a warning' if warned else ''}")
assert known == 0

model = compiled()
model.optimizer.build(model.trainable_variables)
model.load_weights(path / "model.weights.h5")
known = int(model.optimizer.iterations)
print(f"Keras, built, then load_weights {known}")
assert known == 3
