"""A draw with a given mean: its gradient by the mean is 0 in PyTorch, without a word; 1 in TensorFlow, as it should be.

The gradient of the sum of three draws by their means, from `torch.normal`, `Normal(...).rsample()` and `tf.random.normal`:

    PyTorch     normal  [0.0, 0.0, 0.0]
    PyTorch     rsample [1.0, 1.0, 1.0]
    TensorFlow  normal  [1.0, 1.0, 1.0]
"""
import tensorflow as tf
import torch

mean, deviation = torch.zeros(3, requires_grad=True), torch.ones(3)
draws = {"normal ": torch.normal(mean, deviation), "rsample": torch.distributions.Normal(mean, deviation).rsample()}
for name, draw in draws.items():
    print("PyTorch    ", name, torch.autograd.grad(draw.sum(), mean)[0].tolist())

variable = tf.Variable(tf.zeros(3))
with tf.GradientTape() as tape:
    total = tf.reduce_sum(tf.random.normal((3,), variable, 1.0))
print("TensorFlow  normal ", tape.gradient(total, variable).numpy().tolist())
