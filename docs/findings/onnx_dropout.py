"""Dropout that stays active: PyTorch exports it to ONNX; Keras, through tf2onnx, writes a file that ONNX Runtime refuses.

Is there a file, and does ONNX Runtime open it?

    PyTorch  file written, opens
    Keras    file written, refused
"""
import pathlib
import tempfile

import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import numpy as np
import onnxruntime
import torch

folder = tempfile.TemporaryDirectory()


def what_became_of(path):
    try:
        onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    except Exception:  # of a private module
        return "file written, refused"
    return "file written, opens"


path = pathlib.Path(folder.name, "torch.onnx")
example = torch.ones(2, 10),
torch.onnx.export(torch.nn.Dropout(0.5).train(), example, path, external_data=False, verbose=False)
said = what_became_of(path)
print(f"PyTorch  {said}")
assert said == "file written, opens"

path = pathlib.Path(folder.name, "keras.onnx")
inputs = keras.Input((10,))
model = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs, training=True))
model(np.ones((2, 10), "float32"))  # called once, as the exporter wants
model.export(path, format="onnx", verbose=False)
said = what_became_of(path)
print(f"Keras    {said}")
assert said == "file written, refused"
