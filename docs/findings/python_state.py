"""What a step leaves behind in a Python list: PyTorch runs the line each time, a `tf.function` while it is traced, once.

A step that appends its input to a list, called three times; the length of the list:

    PyTorch  3
    Keras    1
"""
import tensorflow as tf
import torch

history = []


def step(picture):
    history.append(picture)
    return picture


for _ in range(3):
    step(torch.zeros(2))
print(f"PyTorch  {len(history)}")

history.clear()
graph = tf.function(step)
for _ in range(3):
    graph(tf.zeros(2))
print(f"Keras    {len(history)}")
