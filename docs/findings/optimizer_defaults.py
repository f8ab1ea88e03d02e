"""RMSprop, Adagrad, Adadelta: setting the learning rates equal is not enough; the other defaults part their first steps.

The first step for a gradient of 1, in learning rates:

             RMSprop Adagrad Adadelta
    PyTorch    10.00   1.000   0.0032
    Keras       3.16   0.953   0.0014
"""
import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import tensorflow as tf
import torch


def pytorch(kind):
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.ones(1)
    kind([weight], lr=0.5).step()
    return -weight.item() / 0.5


def tensorflow(kind):
    variable = tf.Variable([0.0])
    kind(0.5).apply([tf.constant([1.0])], [variable])
    return -variable.numpy()[0] / 0.5


print("         RMSprop Adagrad Adadelta")
for name, step, home in (("PyTorch", pytorch, torch.optim), ("Keras  ", tensorflow, keras.optimizers)):
    print(f"{name}  {step(home.RMSprop):7.2f} {step(home.Adagrad):7.3f} {step(home.Adadelta):8.4f}")
