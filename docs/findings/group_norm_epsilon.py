"""Group and instance normalisation's epsilon is 1e-5 in PyTorch, 1e-3 in Keras.

A map of the values 0 and .02 (variance .0001), each instance normed by itself with the defaults; the second:

    PyTorch  0.95
    Keras    0.30
"""
import keras
import numpy as np
import torch

values = np.array([0.0, 0.02], "float32")
normed = torch.nn.InstanceNorm2d(1)(torch.as_tensor(values).reshape(1, 1, 1, 2))
print(f"PyTorch  {normed[0, 0, 0, 1].item():.2f}")
print(f"Keras    {float(keras.layers.GroupNormalization(-1)(values.reshape(1, 1, 2, 1))[0, 0, 1, 0]):.2f}")
