"""Layer normalisation's epsilon is 1e-5 in PyTorch, 1e-3 in Keras.

The values 0 and .02 (variance .0001), normalised with the defaults; the second:

    PyTorch  0.95
    Keras    0.30
"""
import keras
import numpy as np
import torch

values = np.array([[0.0, 0.02]], "float32")
print(f"PyTorch  {torch.nn.LayerNorm(2)(torch.as_tensor(values))[0, 1].item():.2f}")
print(f"Keras    {float(keras.layers.LayerNormalization()(values)[0, 1]):.2f}")
