# ---
# minutes: {read: 1, run: 1, exercises: 1}
# ---

# %% [markdown]
# # 50 · Exercises
#
# Two exercises show every part that an exercise can have.

# %% tags=["parameters"]
seed = 0  # 0 to 100: of the numbers that checks draw

# %% [markdown]
# The door.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("exercise_lesson", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## Exercises
#
# A check hands arrays to your code and looks at the arrays that come back.

# %% tags=["pytorch", "classroom"]
import numpy as np
import torch
from torch import nn

from tandem import weights
from tandem.exercises import attempt, difference, reference
from tandem.pytorch import answers_and_gradients, gradient_on_arrays, on_arrays

# %% tags=["tensorflow", "classroom"]
from tandem.tensorflow import answers_and_gradients, gradient_on_arrays
from tandem.tensorflow import on_arrays

import keras
import numpy as np
import tensorflow as tf

from tandem import weights
from tandem.exercises import attempt, difference, reference

# %% [markdown] tags=["exercise"] exercise="mean-square" points=3
# ### Exercise 1: a mean
#
# Write `mean_square(x)`: the mean of all squares, $\frac{1}{n}\sum_i x_i^2$.

# %% tags=["pytorch", "solution"]
def mean_square(x):
    """The mean of the squares of a tensor, as a tensor of one number."""
    ### BEGIN SOLUTION
    return (x**2).mean()
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def mean_square(x):
    """The mean of the squares of a tensor, as a tensor of one number."""
    ### BEGIN SOLUTION
    return tf.reduce_mean(x**2)
    ### END SOLUTION

# %% [markdown]
# The check takes four numbers: their squares are 1, 4, 9 and 16.

# %% tags=["check"]
numbers = np.array([[1, -2], [3, -4]], "float32")
given = on_arrays(mean_square, numbers)
assert given.shape == (), f"one number is wanted, not {given.shape}"
assert np.isclose(given, 7.5), f"of 1, 4, 9, 16 it is 7.5, not {given}"

# %% [markdown] tags=["hint"]
# A square is $x \cdot x$, number by number.

# %% [markdown] tags=["pytorch", "hint"]
# Tensors have a method `mean`.

# %% [markdown] tags=["tensorflow", "hint"]
# `tf.reduce_mean` takes the mean of all numbers.

# %% tags=["hidden"]
slope = gradient_on_arrays(mean_square, numbers)
assert np.allclose(slope, numbers / 2), f"the gradient is 2 x / n; yours is {slope}"

# %% tags=["pytorch", "wrong"] mistake="adds up"
def mean_square(x):
    return (x**2).sum()

# %% tags=["pytorch", "wrong"] mistake="has no gradient"
def mean_square(x):
    return torch.tensor(np.mean(x.detach().numpy() ** 2))

# %% tags=["tensorflow", "wrong"] mistake="adds up"
def mean_square(x):
    return tf.reduce_sum(x**2)

# %% tags=["tensorflow", "wrong"] mistake="has no gradient"
def mean_square(x):
    return tf.constant(np.mean(x.numpy() ** 2))

# %% [markdown] tags=["exercise"] exercise="own-layer" points=2
# ### Exercise 2: a layer of your own
#
# Write `Affine`, a dense layer: its `kernel` has the shape (inputs, outputs), its `bias` (outputs,).
# `build_network()` puts two of them and a ReLU together.

# %% tags=["pytorch", "solution"]
class Affine(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        """x: (batch, inputs). Gives (batch, outputs)."""
        ### BEGIN SOLUTION
        return x @ self.kernel + self.bias
        ### END SOLUTION


def build_network():
    return nn.Sequential(Affine(6, 5), nn.ReLU(), Affine(5, 3))

# %% tags=["tensorflow", "solution"]
class Affine(keras.layers.Layer):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.kernel = self.add_weight(shape=(inputs, outputs))
        self.bias = self.add_weight(shape=(outputs,))

    def call(self, x):
        """x: (batch, inputs). Gives (batch, outputs)."""
        ### BEGIN SOLUTION
        return x @ self.kernel + self.bias
        ### END SOLUTION


def build_network():
    return keras.Sequential([Affine(6, 5), keras.layers.ReLU(), Affine(5, 3)])

# %% [markdown]
# The check writes the network down in NumPy, and loads the same weights into yours.

# %% tags=["check"]
rng = np.random.default_rng(1)
start = {
    "hidden": weights.dense(rng, 6, 5),
    "output": weights.dense(rng, 5, 3),
}
inputs = rng.normal(size=(4, 6)).astype("float32")
labels = np.array([0, 1, 2, 0])


def by_hand(weights, inputs):
    hidden, output = weights["hidden"], weights["output"]
    active = np.maximum(inputs @ hidden["kernel"] + hidden["bias"], 0)
    return active @ output["kernel"] + output["bias"]


given = answers_and_gradients(build_network(), start, inputs, labels)
apart = difference(given, reference(by_hand, start, inputs, labels))
assert not apart, apart

# %% tags=["hidden"]
start["output"]["bias"] += 1
given = answers_and_gradients(build_network(), start, inputs, labels)
apart = difference(given, reference(by_hand, start, inputs, labels))
assert not apart, f"with a bias that is not zero: {apart}"

# %% tags=["pytorch", "wrong"] mistake="leaves the bias out"
class Affine(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(inputs, outputs))

    def forward(self, x):
        return x @ self.kernel


def build_network():
    return nn.Sequential(Affine(6, 5), nn.ReLU(), Affine(5, 3))

# %% tags=["pytorch", "wrong"] mistake="stops the gradient"
class Affine(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x):
        return x @ self.kernel.detach() + self.bias


def build_network():
    return nn.Sequential(Affine(6, 5), nn.ReLU(), Affine(5, 3))

# %% tags=["tensorflow", "wrong"] mistake="leaves the bias out"
class Affine(keras.layers.Layer):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.kernel = self.add_weight(shape=(inputs, outputs))

    def call(self, x):
        return x @ self.kernel


def build_network():
    return keras.Sequential([Affine(6, 5), keras.layers.ReLU(), Affine(5, 3)])

# %% tags=["tensorflow", "wrong"] mistake="stops the gradient"
class Affine(keras.layers.Layer):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.kernel = self.add_weight(shape=(inputs, outputs))
        self.bias = self.add_weight(shape=(outputs,))

    def call(self, x):
        return x @ tf.stop_gradient(self.kernel) + self.bias


def build_network():
    return keras.Sequential([Affine(6, 5), keras.layers.ReLU(), Affine(5, 3)])

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# What an exercise is.
