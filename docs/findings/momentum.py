"""Momentum: v ← mv + g, w ← w - av in PyTorch; m ← mm - ag, w ← w + m in Keras. The same while the rate a is constant.

A weight after four steps with gradient 1 and momentum .875, the rate .1 throughout; then .1, .1, .01, .01:

    PyTorch  -0.8826 -0.3470
    Keras    -0.8826 -0.6239
"""
import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import tensorflow as tf
import torch


def pytorch(rates):
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=rates[0], momentum=0.875)
    for rate in rates:
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.ones(1)
        optimizer.step()
    return weight.item()


def tensorflow(rates):
    variable = tf.Variable([0.0])
    optimizer = keras.optimizers.SGD(rates[0], momentum=0.875)
    for rate in rates:
        optimizer.learning_rate = rate
        optimizer.apply([tf.constant([1.0])], [variable])
    return variable.numpy()[0]


constant, falling = [0.1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.01, 0.01]
print(f"PyTorch  {pytorch(constant):.4f} {pytorch(falling):.4f}")
print(f"Keras    {tensorflow(constant):.4f} {tensorflow(falling):.4f}")
