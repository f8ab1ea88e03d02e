"""A softmax inside a network, in front of a loss that expects logits: Keras strips it in a graph, and not eagerly.

Logits 2 and 0, true class 0, softmax in `call`, loss with from_logits=True: the mistake counts eagerly, and is undone in a graph:

    PyTorch, eager    0.3832
    PyTorch, logits   0.1269
    Keras, eager      0.3832
    Keras, graph      0.1269
"""
import warnings

import keras
import tensorflow as tf
import torch

logits = torch.tensor([[2.0, 0.0]])
print(f"PyTorch, eager    {torch.nn.functional.cross_entropy(logits.softmax(1), torch.tensor([0])).item():.4f}")
print(f"PyTorch, logits   {torch.nn.functional.cross_entropy(logits, torch.tensor([0])).item():.4f}")

criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def loss(logits):
    return criterion(tf.constant([0]), tf.nn.softmax(logits))


logits = tf.constant([[2.0, 0.0]])
print(f"Keras, eager      {loss(logits).numpy():.4f}")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it says that it does so
    print(f"Keras, graph      {tf.function(loss)(logits).numpy():.4f}")
