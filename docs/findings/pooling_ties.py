"""Sums of rounded numbers are often equal: which of them max-pooling lets learn hangs on the last digit, or it is the first.

Whole numbers times 0.1, a 3×3 convolution with a kernel of whole numbers times 0.1, 2×2 max-pooling. How far the two gradients
by the kernel are apart, relative to the larger, without rounding the convolution's output and with it, in float64:

    apart as it is: True
    apart once rounded: False
"""
import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F

rng = np.random.default_rng(0)
images = rng.integers(0, 4, (4, 8, 8, 8)) * 0.1  # (images, height, width, channels)
kernel = rng.integers(-2, 3, (3, 3, 8, 8)) * 0.1  # (height, width, inputs, outputs)
weights = rng.normal(size=(4, 3, 3, 8))


def pytorch(rounded):
    w = torch.tensor(kernel.transpose(3, 2, 0, 1), requires_grad=True)
    maps = F.conv2d(torch.tensor(images.transpose(0, 3, 1, 2)), w)
    maps = maps + (maps.round(decimals=6) - maps).detach() if rounded else maps
    (F.max_pool2d(maps, 2) * torch.tensor(weights.transpose(0, 3, 1, 2))).sum().backward()
    return w.grad.numpy().transpose(2, 3, 1, 0)


def tensorflow(rounded):
    w = tf.constant(kernel)
    with tf.GradientTape() as tape:
        tape.watch(w)
        maps = tf.nn.conv2d(images, w, 1, "VALID")
        maps = maps + tf.stop_gradient(tf.round(maps * 1e6) / 1e6 - maps) if rounded else maps
        total = tf.reduce_sum(tf.nn.max_pool2d(maps, 2, 2, "VALID") * weights)
    return tape.gradient(total, w).numpy()


for rounded, name in ((False, "as it is"), (True, "once rounded")):
    first, second = pytorch(rounded), tensorflow(rounded)
    print(f"apart {name}:", bool(np.abs(first - second).max() / np.abs(first).max() > 1e-6))
