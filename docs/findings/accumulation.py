"""Gradient accumulation: `backward` twice adds up in PyTorch; `gradient_accumulation_steps` averages in Keras.

Gradients 1 and 3, then one step of SGD with rate 1:

    PyTorch  4.0
    Keras    2.0
"""
import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import tensorflow as tf
import torch

weight = torch.zeros(1, requires_grad=True)
for gradient in (1.0, 3.0):
    (gradient * weight).sum().backward()
torch.optim.SGD([weight], lr=1.0).step()
print(f"PyTorch  {-weight.item():.1f}")

variable = keras.Variable([0.0])
optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
for gradient in (1.0, 3.0):
    optimizer.apply([tf.constant([gradient])], [variable])
print(f"Keras    {-variable.numpy()[0]:.1f}")
