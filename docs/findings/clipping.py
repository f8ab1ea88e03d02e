"""Clipping by norm: of all gradients together in PyTorch; `clipnorm` takes each by itself, `global_clipnorm` all together.

Two weights with gradients 3 and 4, clipped to a norm of 1:

    PyTorch                 0.6 0.8
    Keras, clipnorm         1.0 1.0
    Keras, global_clipnorm  0.6 0.8
"""
import keras
import tensorflow as tf
import torch

weights = [torch.zeros(1, requires_grad=True) for _ in range(2)]
for weight, gradient in zip(weights, (3.0, 4.0), strict=True):
    weight.grad = torch.tensor([gradient])
torch.nn.utils.clip_grad_norm_(weights, 1.0)
print(f"PyTorch                 {weights[0].grad.item():.1f} {weights[1].grad.item():.1f}")

for name in ("clipnorm", "global_clipnorm"):
    variables = [tf.Variable([0.0]), tf.Variable([0.0])]
    keras.optimizers.SGD(1.0, **{name: 1.0}).apply([tf.constant([3.0]), tf.constant([4.0])], variables)
    print(f"{f'Keras, {name}':24}{-variables[0].numpy()[0]:.1f} {-variables[1].numpy()[0]:.1f}")
