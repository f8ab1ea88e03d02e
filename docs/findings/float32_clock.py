"""A clock of sines in float32: the two libraries round the frequencies differently, and a large time multiplies that.

The sines of times up to 1000, sixteen frequencies from 1 down to a ten-thousandth, as a diffusion model's network is told the
level of noise. Largest difference from the same clock in float64:

    PyTorch  3e-05
    Keras    3e-05
    apart    8e-06
"""
import keras
import numpy as np
import tensorflow as tf
import torch

times = np.arange(1001)
exact = np.sin(times[:, None] * np.exp(-np.log(1e4) * np.arange(16) / 16))
frequencies = torch.exp(-np.log(1e4) * torch.arange(16) / 16)
pytorch = torch.sin(torch.as_tensor(times)[:, None] * frequencies).numpy()
frequencies = tf.exp(-np.log(1e4) * tf.range(16.0) / 16)
tensorflow = keras.ops.sin(times[:, None].astype("float32") * frequencies).numpy()
print(f"PyTorch  {np.abs(pytorch - exact).max():.0e}")
print(f"Keras    {np.abs(tensorflow - exact).max():.0e}")
print(f"apart    {np.abs(pytorch - tensorflow).max():.0e}")
