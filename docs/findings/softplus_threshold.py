"""PyTorch's softplus is x itself above 20, in float64 too; TensorFlow's, and -logsigmoid(-x), are log(1 + exp x) everywhere.

The relative error of each at x = 20.5:

    F.softplus          6e-11
    -F.logsigmoid(-x)   below 1e-15
    tf.math.softplus    below 1e-15
"""
import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F

x = 20.5
exact = np.logaddexp(0, x)
for name, value in {
    "F.softplus": F.softplus(torch.tensor(x, dtype=torch.float64)).item(),
    "-F.logsigmoid(-x)": -F.logsigmoid(torch.tensor(-x, dtype=torch.float64)).item(),
    "tf.math.softplus": tf.math.softplus(tf.constant(x, "float64")).numpy(),
}.items():
    apart = abs(value / exact - 1)
    print(f"{name:19} {'below 1e-15' if apart < 1e-15 else f'{apart:.0e}'}")
