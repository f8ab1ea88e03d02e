"""A weight on which a loss does not depend: each framework says so in its own way. A gradient penalty meets it in its last bias.

y = w x + b; the penalty (dy/dx)² does not depend on b. Its gradient by w = 2 and by b:

    PyTorch, .grad                 4.0 None
    PyTorch, torch.autograd.grad   RuntimeError
    TensorFlow                     4.0 None
"""
import tensorflow as tf
import torch

w, b, x = (torch.tensor(value, requires_grad=True) for value in (2.0, 1.0, 3.0))
slope, = torch.autograd.grad(w * x + b, x, create_graph=True)
(slope**2).backward(retain_graph=True)
print("PyTorch, .grad                ", w.grad.item(), b.grad)
try:
    print("PyTorch, torch.autograd.grad  ", torch.autograd.grad(slope**2, (w, b)))
except RuntimeError as error:
    print("PyTorch, torch.autograd.grad  ", type(error).__name__)
w, b, x = tf.Variable(2.0), tf.Variable(1.0), tf.constant(3.0)
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        inner.watch(x)
        y = w * x + b
    penalty = inner.gradient(y, x) ** 2
by_w, by_b = outer.gradient(penalty, (w, b))
print("TensorFlow                    ", float(by_w), by_b)
