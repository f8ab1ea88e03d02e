"""An LSTM has two biases that are added in PyTorch, one in Keras; where both learn, their sum moves twice as far.

Bias vectors of an LSTM with 1 unit, and how far their sum moves in a step of SGD with rate 1, in gradients:

    PyTorch  2 biases, 2.0
    Keras    1 bias, 1.0
"""
import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import tensorflow as tf
import torch

layer = torch.nn.LSTM(1, 1)
biases = [layer.bias_ih_l0, layer.bias_hh_l0]
before = sum(bias.detach().clone() for bias in biases)
layer(torch.ones(1, 1, 1))[0].sum().backward()
gradient = biases[0].grad.clone()
torch.optim.SGD(layer.parameters(), lr=1.0).step()
moved = (before - sum(bias.detach() for bias in biases))[0] / gradient[0]
print(f"PyTorch  {len(biases)} biases, {moved:.1f}")

layer = keras.layers.LSTM(1)
layer.build((1, 1, 1))
bias, = (variable for variable in layer.trainable_variables if variable.name == "bias")
before = bias.numpy()[0]
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(tf.ones((1, 1, 1))))
gradient = tape.gradient(loss, bias)
keras.optimizers.SGD(1.0).apply([gradient], [bias])
print(f"Keras    1 bias, {(before - bias.numpy()[0]) / gradient[0]:.1f}")
