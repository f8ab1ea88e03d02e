"""Instance normalisation: PyTorch's layer has no scale and shift unless told `affine=True`; Keras' group normalisation has both.

How many numbers each learns for 3 channels, as it comes:

    PyTorch  0
    Keras    6
"""
import keras
from torch import nn

print(f"PyTorch  {sum(values.numel() for values in nn.InstanceNorm2d(3).parameters())}")

layer = keras.layers.GroupNormalization(groups=-1)
layer.build((None, 4, 4, 3))
print(f"Keras    {layer.count_params()}")
