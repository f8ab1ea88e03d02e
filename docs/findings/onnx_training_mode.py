"""`torch.onnx.export` of a network in training mode: batch norm as in evaluation, dropout active. Keras exports evaluation.

Ones go through an untrained batch norm and a dropout of one half; in evaluation both leave them ones, to two digits.
What ONNX Runtime answers:

    PyTorch, .train()            0. 2.
    PyTorch, .eval()             1.
    Keras                        1.
"""
import pathlib
import tempfile

import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import numpy as np
import onnxruntime
import torch

folder = tempfile.TemporaryDirectory()
path = pathlib.Path(folder.name, "network.onnx")
ones = np.ones((2, 1000), "float32")


def answers():
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    answer, = session.run(None, {session.get_inputs()[0].name: ones})
    return np.unique(answer.round(2))


def words(found):
    return str(found).strip("[]")


network = torch.nn.Sequential(torch.nn.BatchNorm1d(1000), torch.nn.Dropout(0.5))
example = torch.as_tensor(ones),
torch.onnx.export(network.train(), example, path, external_data=False, verbose=False)
# batch norm in training mode would have made all of them 0
found = answers()
print(f"PyTorch, .train()            {words(found)}")
assert list(found) == [0, 2]

torch.onnx.export(network.eval(), example, path, external_data=False, verbose=False)
found = answers()
print(f"PyTorch, .eval()             {words(found)}")
assert list(found) == [1]

layers = [keras.layers.BatchNormalization(epsilon=1e-5), keras.layers.Dropout(0.5)]
model = keras.Sequential([keras.Input((1000,)), *layers])
model(ones)  # called once, as the exporter wants
model.export(path, format="onnx", verbose=False)
found = answers()
print(f"Keras                        {words(found)}")
assert list(found) == [1]
