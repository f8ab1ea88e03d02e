"""Exact GELU uses the square root of one half in 64 bits in PyTorch, in 32 bits in TensorFlow, whatever the input has.

The relative difference to x/2 (1 + erf(x/√2)) at x = -3 in float64, and that of the same formula with √½ rounded to float32:

    PyTorch     below 1e-14
    TensorFlow  1.7e-07
    float32 √½  1.7e-07
"""
import math

import numpy as np
import tensorflow as tf
import torch

x = -3.0
exact = x / 2 * math.erfc(-x * math.sqrt(0.5))
pytorch = torch.nn.functional.gelu(torch.tensor(x, dtype=torch.float64)).item()
tensorflow = tf.nn.gelu(tf.constant(x, "float64")).numpy()
rounded = x / 2 * math.erfc(-x * float(np.float32(math.sqrt(0.5))))
print(f"PyTorch     {'below 1e-14' if abs(pytorch / exact - 1) < 1e-14 else abs(pytorch / exact - 1)}")
print(f"TensorFlow  {abs(tensorflow / exact - 1):.1e}")
print(f"float32 √½  {abs(rounded / exact - 1):.1e}")
