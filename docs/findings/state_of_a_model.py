"""A buffer is part of a PyTorch module; a `tf.Variable` hung on a Keras model is not, and `fit` overwrites one called `history`.

Is a tensor that was hung on the network saved with its weights? And what is `history` after one epoch?

    PyTorch, register_buffer   saved
    Keras, tf.Variable         not saved
    Keras, add_weight          saved
    Keras, model.history       History
"""
import keras
import numpy as np
import tensorflow as tf
import torch

module = torch.nn.Linear(1, 1)
module.register_buffer("memory", torch.zeros(2))
print(f"PyTorch, register_buffer   {'saved' if 'memory' in module.state_dict() else 'not saved'}")

model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
known = len(model.variables)
model.memory = tf.Variable(tf.zeros(2), trainable=False)
print(f"Keras, tf.Variable         {'saved' if len(model.variables) > known else 'not saved'}")
model.added = model.add_weight(shape=(2,), trainable=False, name="added")
print(f"Keras, add_weight          {'saved' if len(model.variables) > known else 'not saved'}")

model.history = tf.Variable(tf.zeros(2), trainable=False)
model.compile("sgd", "mse")
model.fit(np.zeros((1, 1)), np.zeros((1, 1)), verbose=0)
print(f"Keras, model.history       {type(model.history).__name__}")
