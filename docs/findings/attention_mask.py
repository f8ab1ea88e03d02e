"""In a mask of attention `True` blocks in PyTorch's layer, and attends in Keras' layer (and in PyTorch's function).

Two positions with the values 1 and 2; the mask is True for the first of them alone. What attention answers:

    PyTorch's layer     2
    PyTorch's function  1
    Keras' layer        1
"""
import keras
import numpy as np
import torch

values = np.array([[[1.0], [2.0]]], "float32")
mask = np.array([[True, False], [True, False]])
inputs = torch.as_tensor(values)
layer = torch.nn.MultiheadAttention(1, 1, batch_first=True, bias=False)
torch.nn.init.ones_(layer.in_proj_weight)
torch.nn.init.ones_(layer.out_proj.weight)
print(f"PyTorch's layer     {layer(inputs, inputs, inputs, attn_mask=torch.as_tensor(mask))[0][0, 0, 0].item():.0f}")
answer = torch.nn.functional.scaled_dot_product_attention(inputs, inputs, inputs, attn_mask=torch.as_tensor(mask))
print(f"PyTorch's function  {answer[0, 0, 0].item():.0f}")
layer = keras.layers.MultiHeadAttention(1, 1, use_bias=False, kernel_initializer="ones")
print(f"Keras' layer        {float(layer(values, values, attention_mask=mask[None])[0, 0, 0]):.0f}")
