"""`padding="same"` with stride 2 is refused by PyTorch; Keras pads more at the right and bottom, so every map is shifted.

A row of 4 pixels, 1 2 3 4, a kernel of three ones, stride 2: with a pixel of padding on both sides, and with "same":

    PyTorch  3 9 (same: refused)
    Keras    6 7
"""
import keras
import numpy as np
import torch

row = np.arange(1, 5, dtype="float32")
layer = torch.nn.Conv1d(1, 1, 3, stride=2, padding=1, bias=False)
torch.nn.init.ones_(layer.weight)
values = " ".join(f"{value:.0f}" for value in layer(torch.as_tensor(row)[None, None]).flatten().tolist())
try:
    torch.nn.Conv1d(1, 1, 3, stride=2, padding="same")
    refused = "accepted"
except ValueError:
    refused = "refused"
print(f"PyTorch  {values} (same: {refused})")

layer = keras.layers.Conv1D(1, 3, strides=2, padding="same", use_bias=False, kernel_initializer="ones")
print(f"Keras    {' '.join(f'{value:.0f}' for value in layer(row[None, :, None]).numpy().ravel())}")
