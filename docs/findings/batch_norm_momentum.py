"""Batch normalisation's momentum is the share of the new value in PyTorch, of the old one in Keras; .1 and .99 by default.

The running mean after one batch of ones, from 0, with the defaults:

    PyTorch  0.10
    Keras    0.01
"""
import keras
import numpy as np
import torch

batch = np.ones((4, 1), "float32")
layer = torch.nn.BatchNorm1d(1)
layer(torch.as_tensor(batch))
print(f"PyTorch  {layer.running_mean.item():.2f}")

layer = keras.layers.BatchNormalization()
layer(batch, training=True)
print(f"Keras    {layer.moving_mean.numpy()[0]:.2f}")
