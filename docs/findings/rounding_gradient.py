"""The gradient of round is zero in PyTorch, and none at all in TensorFlow; straight through, both give 1.

x = 0.7; round(x), then x + stop(round(x) - x), where stop is detach or tf.stop_gradient:

    PyTorch     0.0 and 1.0
    TensorFlow  None and 1.0
"""
import tensorflow as tf
import torch

slopes = []
for straight in (False, True):
    x = torch.tensor(0.7, requires_grad=True)
    (x + (x.round() - x).detach() if straight else x.round()).backward()
    slopes.append(x.grad.item())
print("PyTorch    ", slopes[0], "and", slopes[1])
slopes = []
for straight in (False, True):
    x = tf.constant(0.7)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x + tf.stop_gradient(tf.round(x) - x) if straight else tf.round(x)
    slope = tape.gradient(y, x)
    slopes.append(None if slope is None else float(slope))
print("TensorFlow ", slopes[0], "and", slopes[1])
