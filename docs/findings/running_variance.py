"""Batch normalisation counts its running variance with n - 1 in PyTorch, with n in Keras.

The values 0 and 2 of one feature, one training step from a running variance of 1 with momentum .5 in both:

    PyTorch  1.5
    Keras    1.0
"""
import keras
import numpy as np
import torch

batch = np.array([[0.0], [2.0]], "float32")
layer = torch.nn.BatchNorm1d(1, momentum=0.5)
layer(torch.as_tensor(batch))
print(f"PyTorch  {layer.running_var.item():.1f}")

layer = keras.layers.BatchNormalization(momentum=0.5)
layer(batch, training=True)
print(f"Keras    {layer.moving_variance.numpy()[0]:.1f}")
