"""LeakyReLU's slope is .01 in PyTorch; .3 in Keras' layer and .2 in its function.

What becomes of -1, by the layer and by the function:

    PyTorch  -0.01 -0.01
    Keras    -0.30 -0.20
"""
import keras
import torch

minus_one = torch.tensor(-1.0)
print(f"PyTorch  {torch.nn.LeakyReLU()(minus_one):.2f} {torch.nn.functional.leaky_relu(minus_one):.2f}")
layer, function = keras.layers.LeakyReLU(), keras.ops.leaky_relu
print(f"Keras    {float(layer(keras.ops.array(-1.0))):.2f} {float(function(keras.ops.array(-1.0))):.2f}")
