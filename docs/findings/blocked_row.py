"""Attention of a position that may look nowhere: the answer depends on how the layer is asked, in both frameworks.

Two positions with the values 1 and 2, both blocked for both:

    PyTorch's layer, need_weights=True                   nan
    PyTorch's layer, need_weights=False                  0.0
    PyTorch's layer, the same in eval, without gradient  nan
    PyTorch's function                                   0.0
    Keras' layer                                         1.5
    Keras' layer, return_attention_scores=True           0.0
"""
import keras
import numpy as np
import torch

values = np.array([[[1.0], [2.0]]], "float32")
inputs, blocked = torch.as_tensor(values).repeat(1, 1, 2), torch.ones(2, 2, dtype=torch.bool)
layer = torch.nn.MultiheadAttention(2, 2, batch_first=True)  # an even number of heads, and biases: else there is no fast path
layer.in_proj_weight.data = torch.eye(2).repeat(3, 1)
torch.nn.init.eye_(layer.out_proj.weight)


def ask(**how):
    return layer(inputs, inputs, inputs, attn_mask=blocked, **how)[0][0, 0, 0].item()


print(f"PyTorch's layer, need_weights=True                   {ask(need_weights=True):.1f}")
print(f"PyTorch's layer, need_weights=False                  {ask(need_weights=False):.1f}")
layer.eval()
with torch.inference_mode():
    print(f"PyTorch's layer, the same in eval, without gradient  {ask(need_weights=False):.1f}")
answer = torch.nn.functional.scaled_dot_product_attention(inputs, inputs, inputs, attn_mask=~blocked)
print(f"PyTorch's function                                   {answer[0, 0, 0].item():.1f}")

layer = keras.layers.MultiHeadAttention(1, 1, use_bias=False, kernel_initializer="ones")
nowhere = np.zeros((1, 2, 2), bool)
print(f"Keras' layer                                         {float(layer(values, values, attention_mask=nowhere)[0, 0, 0]):.1f}")
answer, _ = layer(values, values, attention_mask=nowhere, return_attention_scores=True)
print(f"Keras' layer, return_attention_scores=True           {float(answer[0, 0, 0]):.1f}")
