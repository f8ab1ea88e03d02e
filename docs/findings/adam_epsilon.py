"""Adam adds epsilon after the bias correction in PyTorch, before it in Keras.

One weight, one gradient of 1e-6, one step with rate 1 and epsilon 1e-7:

    PyTorch  -0.9091
    Keras    -0.2403
"""
import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import tensorflow as tf
import torch

weight = torch.zeros(1, requires_grad=True)
weight.grad = torch.tensor([1e-6])
torch.optim.Adam([weight], lr=1.0, eps=1e-7).step()
print(f"PyTorch  {weight.item():.4f}")

variable = tf.Variable([0.0])
keras.optimizers.Adam(1.0, epsilon=1e-7).apply([tf.constant([1e-6])], [variable])
print(f"Keras    {variable.numpy()[0]:.4f}")
