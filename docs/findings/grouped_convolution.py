"""A grouped convolution has a gradient in PyTorch; on TensorFlow's CPU it has none in float64.

The gradient of a convolution of 4 channels in 2 groups, by its kernel:

    PyTorch             (2, 2, 3, 3)
    TensorFlow float32  (3, 3, 2, 2)
    TensorFlow float64  InvalidArgumentError
"""
import tensorflow as tf
import torch

kernel = torch.ones(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
torch.nn.functional.conv2d(torch.ones(1, 4, 5, 5, dtype=torch.float64), kernel, groups=2).sum().backward()
print(f"PyTorch             {tuple(kernel.grad.shape)}")
for dtype in ("float32", "float64"):
    kernel = tf.Variable(tf.ones((3, 3, 2, 2), dtype))
    try:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(tf.nn.conv2d(tf.ones((1, 5, 5, 4), dtype), kernel, 1, "VALID"))
        answer = tuple(tape.gradient(total, kernel).shape)
    except tf.errors.OpError as error:
        answer = type(error).__name__
    print(f"TensorFlow {dtype}  {answer}")
