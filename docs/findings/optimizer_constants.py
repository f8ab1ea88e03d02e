"""An optimiser's constants are Python floats in PyTorch, float32 in Keras.

How far the first step with rate 0.001 and a gradient of 1 is from 0.001, in units of 1e-11, with weights in float64:

    PyTorch  0.0
    Keras    4.7
"""
import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import tensorflow as tf
import torch

weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
weight.grad = torch.ones(1, dtype=torch.float64)
torch.optim.SGD([weight], lr=0.001).step()
print(f"PyTorch  {abs(weight.item() + 0.001) / 1e-11:.1f}")

variable = tf.Variable([0.0], dtype="float64")
keras.optimizers.SGD(0.001).apply([tf.constant([1.0], "float64")], [variable])
print(f"Keras    {abs(variable.numpy()[0] + 0.001) / 1e-11:.1f}")
