"""A GRU keeps its gates as reset, update, candidate in PyTorch; as update, reset, candidate in Keras.

With the second third of the bias at +100 (that gate open) and all else 0, the state 1 after one step. An open update gate keeps
the state; an open reset gate, with all else 0, halves it:

    PyTorch  1.0
    Keras    0.5
"""
import keras
import numpy as np
import torch

cell = torch.nn.GRUCell(1, 1)
for parameter in cell.parameters():
    torch.nn.init.zeros_(parameter)
cell.bias_ih.data[1] = 100
print(f"PyTorch  {cell(torch.zeros(1, 1), torch.ones(1, 1)).item():.1f}")

cell = keras.layers.GRUCell(1, kernel_initializer="zeros", recurrent_initializer="zeros")
cell.build((1, 1))
cell.bias.assign(np.array([[0, 100, 0], [0, 0, 0]], "float32"))
print(f"Keras    {float(cell(np.zeros((1, 1), 'float32'), [np.ones((1, 1), 'float32')])[0][0, 0]):.1f}")
