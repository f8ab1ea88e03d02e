# ---
# minutes: {read: 74, run: 1, exercises: 25}
# seconds: 90
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 1 · Tensors, gradients and one neuron
#
# You compute one gradient in three ways, then use it to teach a neuron, and a small network, to tell penguins apart.
#
# - **You will build** a neuron from bare tensors, the loop that trains it, and the hidden layer that does what one neuron cannot.
# - **You will learn** what a tensor is beside a NumPy array, how a framework differentiates your code, and where it does not.
# - **You need** Python, NumPy with its matrix product, and the derivative of a function of one variable, chain rule included.
#   No GPU, and no internet.
#
# The core takes about an hour and forty minutes: 74 minutes to read, and the first exercise.
# Sections and exercises marked *optional* are not counted in it: they take nearly an hour more, and nothing in this lesson needs them.

# %% [markdown]
# Your machine is ready (lesson 0), so here is the first real pair.
# The twin of this notebook builds the same neuron, from the same starting weights and the same birds, in the other framework.
# How to open, run, change and restore a pair, lesson 0 tells.
# Each cell here answers within seconds.
#
# Everything later stands on three things: arrays that live where the framework can compute with them, gradients of whatever you compute with them, and a loop that follows the gradients downhill.
# We build all three by hand, and check each against something that we can work out ourselves.

# %% [markdown]
# ## Set-up

# %% tags=["pytorch", "network"]
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import data, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
# a GPU, if there is one now
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

from textwrap import fill

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import data, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# `tandem` is the small library of these lessons: data, figures, starting weights.
# It holds no network and no training loop; those are all in this notebook.
# Cells that only draw, keep a record or check a bound are folded: a click on the line opens one, and nothing is lost if you do not.
#
# ## Parameters
#
# Change one, then run everything below.

# %% tags=["parameters", "network"]
steps = 400  # 1 to 20000: of each training
learning_rate = 2.0  # above 0 to 1000: how far a step goes
hidden_width = 4  # 1 to 1000: units of the hidden layer at the end
seed = 0  # 0 to 2**32 - 1: of the starting weights

# %% [markdown]
# Some results cannot be the same to the last digit on every machine.
# Where that is so, the lesson *asserts* bounds instead, and only for the values above: with your own, nothing stops you.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("01_tensors", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## The birds
#
# 342 penguins of three species, measured near Palmer Station in Antarctica.
# We take two of the measurements, the length and the depth of the bill, and for now two of the species.

# %% tags=["network"]
all_measurements, species = data.penguins()
# bill length and bill depth, in millimetres
measurements = all_measurements[:, :2]

# %% [markdown]
# A picture before anything else:

# %% tags=["folded"]
MARKERS, COLOURS = "o^s", (plots.OTHERS[0], plots.OTHERS[1], plots.OTHERS[3])


def draw_birds(axes, title, kinds=(0, 1)):
    for kind in kinds:
        axes.scatter(
            *measurements[species == kind].T,
            s=22,
            marker=MARKERS[kind],
            color=COLOURS[kind],
            alpha=0.75,
            linewidth=0,
            label=data.PENGUIN_SPECIES[kind],
        )
    axes.set(title=title, xlim=(31, 61), ylim=(12.5, 22))
    axes.set(xlabel="bill length in mm", ylabel="bill depth in mm")
    axes.legend(loc="lower right", frameon=True, framealpha=1)


_, axes = plt.subplots(figsize=(6.5, 3.8))
title = "A slanted line would part these two species, all but a few birds"
draw_birds(axes, title)

# %% [markdown]
# Length alone does well, and depth alone is worthless: both species' bills are about 18 mm deep.
# But *together* they do better than length alone: among bills of one length, the deeper ones are Adelies'.
# Finding the slant of that line is what our neuron will learn.
#
# ## Tensors: arrays, with rules of their own
#
# A **tensor** is an array with a shape and one type for all its numbers, as in NumPy.
# Three things deserve a look, even where the rule is NumPy's, as each has cost somebody an afternoon: the types, who shares memory with whom, and shapes.
#
# ### Types
#
# NumPy computes in float64, about sixteen decimal digits.
# Networks are trained in float32, about seven, which takes half the memory.
# So the frameworks start from float32.
# **Watch out:** not always.
# A tensor made from a list of Python floats is float32, one made from a NumPy array keeps the array's float64, and sooner or later the two meet:

# %% tags=["pytorch"]
wide = torch.tensor(np.ones((2, 2)))
narrow = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
print("tensor of an array:", wide.dtype, " of a list:", narrow.dtype)
print(f"one third in both:  {wide[0, 0] / 3:.17f}, {narrow[0, 0] / 3:.17f}")
print("sum:", (wide + narrow).dtype)
try:
    wide @ narrow
except RuntimeError as error:
    print(fill(f"product: RuntimeError: {error}", 72))
print("converted first:", (wide.float() @ narrow).dtype)

# %% [markdown] tags=["pytorch"]
# PyTorch promotes a sum to float64, as NumPy does; its matrix product refuses.

# %% tags=["tensorflow"]
wide = tf.constant(np.ones((2, 2)))
narrow = tf.constant([[1.0, 1.0], [1.0, 1.0]])
print("tensor of an array:", wide.dtype.name, " of a list:", narrow.dtype.name)
print(f"one third in both:  {wide[0, 0] / 3:.17f}, {narrow[0, 0] / 3:.17f}")
for name, compute in (("sum", tf.add), ("product", tf.matmul)):
    try:
        compute(wide, narrow)
    except tf.errors.InvalidArgumentError as error:
        message = error.message.split(" [Op")[0]
        print(fill(f"{name}: InvalidArgumentError: {message}", 72))
print("converted first:", (tf.cast(wide, "float32") @ narrow).dtype.name)
mixed = narrow + np.ones((2, 2))
print("a float64 array beside a float32 tensor:", mixed.dtype.name)

# %% [markdown] tags=["tensorflow"]
# Two *tensors* of different types never meet, not even in a sum.
# **Watch out:** a NumPy array that is no tensor yet is converted without a word to the type of the tensor beside it: its float64 is rounded to float32.

# %% [markdown]
# The penguins come as float32, and everything below stays in it, unless we say why.
#
# ### Views and copies
#
# A NumPy slice is a **view**: no copy, but another look at the same memory.
# Change the slice and the array has changed.
# What do tensors do?

# %% tags=["pytorch"]
table = torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
column, chosen = table[:, 1], table[:, [1]]
column += 100
print("table changed through its slice:", table.tolist())
print("indexing with a list copied:    ", chosen.flatten().tolist())

array = np.zeros(3, "float32")
shared, perhaps = torch.from_numpy(array), torch.as_tensor(array)
copied = torch.tensor(array)
array[0] = 5
print("from_numpy", shared.tolist(), " as_tensor", perhaps.tolist())
print("tensor    ", copied.tolist())

# %% [markdown] tags=["pytorch"]
# As in NumPy, slices (and `.T`, and `reshape` where it can) are views, and indexing with a list copies.
# **Watch out:** of three ways from an array to a tensor two share its memory, `as_tensor` only where it can.
# That is fast, and a trap if you change either later; when in doubt, `torch.tensor`.

# %% tags=["tensorflow"]
table = tf.reshape(tf.range(6.0), (2, 3))
try:
    table[0, 0] = 7.0
except TypeError:
    print("TypeError: a tensor cannot be changed")

table = tf.Variable(table)
column = table[:, 1]
table[:, 1].assign([101.0, 104.0])
print("Variable:", table.numpy().tolist())
print("its slice, taken before:", column.numpy().tolist(), " a copy")

# %% [markdown] tags=["tensorflow"]
# Tensors are **immutable**: an operation makes a new one.
# What has to change, such as a weight, is a `tf.Variable`, which holds a tensor and swaps it, whole or in part, with `assign`.
# A slice of it is a tensor of its own, and does not follow.

# %% [markdown]
# ### Shapes, and broadcasting used well
#
# Our two columns have different means and spreads.
# **Standardising** subtracts the mean of each column and divides by its standard deviation: all inputs are then of a size near 1.
# Why that matters we shall see when the neuron learns.
# In code it is one line, thanks to **broadcasting**:

# %% tags=["network"]
def standardise(table, like):
    return (table - like.mean(axis=0)) / like.std(axis=0)

# %% [markdown]
# Applied to the 219 Adelies and Chinstraps, that is (219, 2) minus (2,).
# Shapes are compared *from the right*.
# Two lengths fit if they are equal or one of them is 1; a missing one counts as 1.
# A length of 1 is repeated, without a copy.
# The rule is NumPy's, and both frameworks follow it.

# %%
two = species < 2  # the Adelies and the Chinstraps
two_inputs = standardise(measurements[two], like=measurements[two])
chinstrap = (species[two] == 1).astype("float32")  # 1, or 0 for an Adelie
print("inputs", two_inputs.shape, two_inputs.dtype)
print("answers", chinstrap.shape)
print("spread of the columns:", two_inputs.std(axis=0).round(3).tolist())

# %% [markdown]
# ## One neuron
#
# A neuron weighs its inputs, adds a number of its own (the **bias**), and squashes the sum $z$, which may have any size, into a probability $p$ with the **sigmoid** $\sigma$:
#
# $$z = w_1 x_1 + w_2 x_2 + b, \qquad p = \sigma(z) = \frac{1}{1 + e^{-z}}.$$
#
# We read $p$ as "the probability that this is a Chinstrap".
# The number $z$ is called the **logit**: 0 means "half and half", every step up multiplies the odds by $e$.
# For all birds at once, with their measurements as the rows of a matrix $x$, it is a matrix product: $z = xw + b$, where (219, 2) times (2, 1) gives (219, 1).
# In code the column $w$ is called the **kernel**.
# The weights that we start from are wrong on purpose, those of a neuron to which long bills are Adelies':

# %%
start_kernel = np.array([[-0.5], [0.5]], "float32")
start_bias = np.array([0.0], "float32")

# %% [markdown] tags=["pytorch"]
# (One more thing that an array has not: a **device**.
# A tensor lives in the memory of the processor or of a GPU, and what is computed together must live in the same one.
# `device=device` puts it where we compute.)

# %% [markdown] tags=["tensorflow"]
# (One more thing that an array has not: a **device**.
# A tensor lives in the memory of the processor or of a GPU.
# TensorFlow places it by itself, on a GPU where there is one.)

# %% [markdown]
# How wrong?
# The **log loss** says: for each bird, minus the logarithm of the probability that the neuron gave to the truth; then the mean.
# Sure and right costs nothing, half and half costs $\log 2 = 0.693$, sure and wrong costs much.
# With $y = 1$ for a Chinstrap and $0$ for an Adelie:
#
# $$\text{loss} = -y \log p - (1 - y) \log (1 - p) .$$
#
# That looks like a line of code.

# %% tags=["pytorch"]
def naive_log_loss(logits, y):
    p = torch.sigmoid(logits)
    return (-y * torch.log(p) - (1 - y) * torch.log(1 - p)).mean()


x = torch.tensor(two_inputs, device=device)
y = torch.tensor(chinstrap, device=device)
kernel = torch.tensor(start_kernel, device=device)
bias = torch.tensor(start_bias, device=device)
logits = x @ kernel + bias
print(f"loss {naive_log_loss(logits, y):.3f}")

# %% tags=["tensorflow"]
def naive_log_loss(logits, y):
    p = tf.sigmoid(logits)
    return tf.reduce_mean(-y * tf.math.log(p) - (1 - y) * tf.math.log(1 - p))


x, y = tf.constant(two_inputs), tf.constant(chinstrap)
kernel, bias = tf.constant(start_kernel), tf.constant(start_bias)
logits = x @ kernel + bias
print(f"loss {naive_log_loss(logits, y):.3f}")

# %% [markdown]
# A number, not even a strange one, and wrong.
# The code has two faults, and this number shows one of them.
# **Watch out:** look at the shapes first:

# %% tags=["pytorch"]
print(f"logits {tuple(logits.shape)}, answers {tuple(y.shape)}, "
      f"their difference {tuple((logits - y).shape)}")
try:
    F.binary_cross_entropy_with_logits(logits, y)
except ValueError as error:
    print(fill(f"PyTorch's own log loss: ValueError: {error}", 72))
two_answers = chinstrap.reshape(-1, 1)
column = torch.tensor(two_answers, device=device)  # (219, 1)
print(f"right shapes: loss {naive_log_loss(logits, column):.3f}")

# %% tags=["tensorflow"]
print(f"logits {tuple(logits.shape)}, answers {tuple(y.shape)}, "
      f"their difference {tuple((logits - y).shape)}")
try:
    tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits)
except ValueError as error:
    print(fill(f"TensorFlow's own log loss: ValueError: {error}", 72))
two_answers = chinstrap.reshape(-1, 1)
column = tf.constant(two_answers)  # (219, 1)
print(f"right shapes: loss {naive_log_loss(logits, column):.3f}")

# %% [markdown]
# (219, 1) against (219,): from the right, 1 meets 219 and is repeated, then 219 meets nothing.
# Every bird was compared with the answers of *all* birds, 47,961 pairs, and the mean hid it.
# Broadcasting did what it promises.
# From here on the answers are a column, as the logits are.
#
# The second fault shows when the neuron is sure of itself.
# Seven digits cannot tell $\sigma(18)$ from 1, let alone $\sigma(100)$.
# Then $1 - p$ is 0, its logarithm $-\infty$, and a neuron that is *right* and sure gets $0 \cdot \infty$, which is not a number (`nan`).
# The way out is on paper.
# Put $p = 1/(1 + e^{-z})$ into the loss, and the exponential and the logarithm meet, as $\log p = z - \log(1 + e^z)$ and $\log(1 - p) = -\log(1 + e^z)$:
#
# $$\text{loss} = \log(1 + e^z) - y z .$$

# %% [markdown] tags=["pytorch"]
# The first term is $\log(e^0 + e^z)$, which `logaddexp` computes without ever forming $e^z$.
# (`F.softplus` is the same function, but replaces it by $z$ above 20.
# In float32 nobody notices; we are about to count sixteen digits.)

# %% tags=["pytorch"]
def log_loss(logits, y):
    zeros = torch.zeros_like(logits)
    return (torch.logaddexp(logits, zeros) - y * logits).mean()


def neuron_loss(kernel, bias, x, y):
    return log_loss(x @ kernel + bias, y)


for logit, answer in ((10.0, 1.0), (10.0, 0.0), (100.0, 1.0), (100.0, 0.0)):
    z, truth = torch.tensor(logit), torch.tensor(answer)
    naive, stable = naive_log_loss(z, truth), log_loss(z, truth)
    print(f"logit {logit:3.0f}, truth {answer:.0f}: "
          f"naive {naive:8.4f}, from the logit {stable:8.4f}")
print(f"all birds: {neuron_loss(kernel, bias, x, column):.3f}")

# %% [markdown] tags=["tensorflow"]
# The first term has a name, **softplus**, and a function that never forms $e^z$.

# %% tags=["tensorflow"]
def log_loss(logits, y):
    return tf.reduce_mean(tf.nn.softplus(logits) - y * logits)


def neuron_loss(kernel, bias, x, y):
    return log_loss(x @ kernel + bias, y)


for logit, answer in ((10.0, 1.0), (10.0, 0.0), (100.0, 1.0), (100.0, 0.0)):
    z, truth = tf.constant(logit), tf.constant(answer)
    naive, stable = naive_log_loss(z, truth), log_loss(z, truth)
    print(f"logit {logit:3.0f}, truth {answer:.0f}: "
          f"naive {naive:8.4f}, from the logit {stable:8.4f}")
print(f"all birds: {neuron_loss(kernel, bias, x, column):.3f}")

# %% [markdown]
# That is why every loss of the later lessons takes logits, not probabilities.
# And our neuron's loss is worse than the 0.693 of someone who knows nothing, as we wished.
# Now we improve it.
#
# ## Which way is down?
#
# The loss depends on three numbers: $w_1$, $w_2$, $b$.
# Vary one of them and hold the others, and you have a function of one variable, with a derivative, called **partial** and written with a round $\partial$.
# The list of these derivatives is the **gradient**.
# It says what happens to the loss if we change each number a little: uphill where it is positive.
# To go down, step against it.
# All training of networks is this sentence.
#
# We compute it three times.
#
# ### 1. By formula
#
# Take one bird, and the chain rule: the rate of the loss by $w_1$ is its rate by $z$, times the rate of $z$ by $w_1$.
# The derivative of $\log(1 + e^z)$ is $e^z / (1 + e^z) = \sigma(z) = p$, and $z$ changes by $x_1$ for each unit of $w_1$:
#
# $$\frac{\partial\,\text{loss}}{\partial z} = p - y, \qquad
# \frac{\partial\,\text{loss}}{\partial w_1} = (p - y)\,x_1, \quad \frac{\partial\,\text{loss}}{\partial w_2} = (p - y)\,x_2, \quad \frac{\partial\,\text{loss}}{\partial b} = p - y .$$
#
# The error, times the input through which it came.
# For all birds: the mean.
# No framework is needed, so here is NumPy, in the type that it is given:

# %%
start_values = np.concatenate([start_kernel[:, 0], start_bias])  # w1, w2, b


def by_formula(values):
    x, y = two_inputs.astype(values.dtype), two_answers.astype(values.dtype)
    z = x @ values[:2, None] + values[2]
    error = 1 / (1 + np.exp(-z)) - y
    return np.append((error * x).mean(axis=0), error.mean())


NAMES = ("length weight", "depth weight", "bias")
exact = by_formula(start_values.astype("float64"))
for name, value in zip(NAMES, exact):
    print(f"{name:14}{value:8.4f}")

# %% [markdown]
# Increase the weight of the length: the loss falls.
# We knew, since we made it wrong; the formula knows it from the birds.
#
# ### 2. By finite differences
#
# The derivative is the limit of a quotient.
# So take the quotient, with a small step $h$, to both sides:
#
# $$\frac{\partial\,\text{loss}}{\partial w} \approx \frac{\text{loss}(w + h) - \text{loss}(w - h)}{2h} .$$
#
# This needs no thought and works for any function, which makes it the best *check* there is.
# First the loss as a function of the three numbers, in the type that it is given:

# %% tags=["pytorch"]
def loss_at(values):  # on the CPU: not every GPU computes in float64
    arrays = values[:2, None], values[2:], two_inputs, two_answers
    tensors = (torch.tensor(array.astype(values.dtype)) for array in arrays)
    return neuron_loss(*tensors).item()

# %% tags=["tensorflow"]
def loss_at(values):
    arrays = values[:2, None], values[2:], two_inputs, two_answers
    tensors = (tf.constant(array.astype(values.dtype)) for array in arrays)
    return float(neuron_loss(*tensors))

# %% [markdown]
# How small should $h$ be?
# We try many, and compare with the formula:

# %%
def finite_differences(values, h):
    quotients = []
    for step in h * np.eye(3, dtype=values.dtype):
        rise = loss_at(values + step) - loss_at(values - step)
        quotients.append(rise / (2 * h))
    return np.array(quotients)


def error_of(gradient):
    return np.abs(gradient - exact).max() / np.abs(exact).max()

# %% [markdown]
# The picture, for both types:

# %% tags=["folded"]
_, axes = plt.subplots(figsize=(7.0, 3.6))
sizes, best = np.logspace(0, -11, 23).tolist(), {}
for kind, marker in (("float32", "o-"), ("float64", "s-")):
    values = start_values.astype(kind)
    errors = [error_of(finite_differences(values, h)) for h in sizes]
    best[kind] = sizes[np.argmin(errors)]
    drawn = np.maximum(errors, 1e-12)
    axes.loglog(sizes, drawn, marker, markersize=4, label=kind)
axes.set(
    title="Too long a step measures a bend, too short a step only rounding",
    xlabel="step h",
    ylabel="relative error of the gradient",
)
axes.legend()
if as_shipped:
    assert 1e-4 < best["float32"] < 0.2 and 1e-7 < best["float64"] < 1e-3

# %% [markdown]
# Read it from the right.
# A long step measures a secant, not the tangent: the error shrinks with $h^2$, a straight line on these axes, the same in both types.
# Then the curves turn.
# The two losses become so alike that their difference consists of their last digits, and those are rounding, which is then divided by the tiny $h$.
# In float32 they end up as the same number: the quotient is 0, an error of 100 %.
# At its best, the quotient gives about two thirds of the digits of its type.
#
# And it costs two losses for each weight.
# For three weights that is nothing; the network of the next lesson has 203,530.
#
# ### 3. Automatically
#
# The third way takes the chain rule from the formula, and the absence of thought from the quotient.
# While your code computes, the framework writes down each operation.
# Every operation knows its own derivative; so, going back through the notes from the loss, the chain rule multiplies them up, and **one** backward pass gives the derivatives of all weights.

# %% [markdown] tags=["pytorch"]
# In PyTorch you mark the tensors whose gradient you want with `requires_grad`.
# `backward` walks back and leaves each gradient in the tensor's `.grad`.

# %% tags=["pytorch"]
def automatic(values):
    x = torch.tensor(two_inputs.astype(values.dtype))
    y = torch.tensor(two_answers.astype(values.dtype))
    kernel = torch.tensor(values[:2, None], requires_grad=True)
    bias = torch.tensor(values[2:], requires_grad=True)
    loss = neuron_loss(kernel, bias, x, y)
    loss.backward()
    return np.append(kernel.grad.numpy(), bias.grad.numpy())

# %% [markdown] tags=["tensorflow"]
# In TensorFlow a `GradientTape` writes down what happens to variables inside its `with` block.
# Afterwards you ask the tape for the gradient of one thing by others, and get them as values.

# %% tags=["tensorflow"]
def automatic(values):
    x = tf.constant(two_inputs.astype(values.dtype))
    y = tf.constant(two_answers.astype(values.dtype))
    kernel, bias = tf.Variable(values[:2, None]), tf.Variable(values[2:])
    with tf.GradientTape() as tape:
        loss = neuron_loss(kernel, bias, x, y)
    gradients = tape.gradient(loss, [kernel, bias])
    return np.append(*(gradient.numpy() for gradient in gradients))

# %% [markdown]
# No formula, no step size.
# Do the three agree?

# %%
doubles = start_values.astype("float64")
ways = {
    "formula, float64": exact,
    "finite differences, float64": finite_differences(doubles, 1e-5),
    "automatic, float64": automatic(doubles),
    "finite differences, float32": finite_differences(start_values, 1e-2),
    "automatic, float32": automatic(start_values),
}
for name, gradient in ways.items():
    print(f"{name:29}" + "".join(f"{value:9.3f}" for value in gradient))

# %% [markdown]
# To three digits.
# And to all that they have?
# The first weight in full; the last column counts the digits that each has in common with the formula, in all three:

# %% tags=["nbval-ignore-output"]
digits = {}
print(f"{'':29}{NAMES[0]:>20}   digits")
for name, gradient in ways.items():
    digits[name] = -np.log10(max(error_of(gradient), 1e-16))
    in_common = "" if gradient is exact else f"{digits[name]:9.0f}"
    print(f"{name:29}{gradient[0]:20.16f}{in_common}")

# %% [markdown]
# The automatic gradient is not an approximation: it is the formula, worked out by a machine, and it has all the digits of its type, save for rounding in the last.
# The quotient has as many as the subtraction leaves it.
# That is the order of trust: check your own derivation by finite differences *in float64*, and use the automatic one for work.

# %% tags=["folded"]
if as_shipped:
    assert all(error_of(gradient) < 2e-3 for gradient in ways.values())
    assert digits["automatic, float64"] > 13
    assert digits["automatic, float32"] > 5.5
    assert 8 < digits["finite differences, float64"] < 13
    assert digits["finite differences, float32"] > 2.5

# %% [markdown]
# ## What was written down: the graph of one neuron
#
# The notes of the framework form a graph: each operation, and where its inputs came from.
# We look at it for a single bird, a Chinstrap, with the weights as separate numbers, so that every node holds one number.

# %%
bird = int(np.argmax(two_answers[:, 0]))  # the first Chinstrap
numbers = {
    "w1": start_values[0], "x1": two_inputs[bird, 0],
    "w2": start_values[1], "x2": two_inputs[bird, 1],
    "b": start_values[2], "y": two_answers[bird, 0],
}
print({name: round(float(value), 3) for name, value in numbers.items()})
p = 1 / (1 + np.exp(-(start_values[:2] @ two_inputs[bird] + start_values[2])))
print(f"by the formula: p = {p:.3f}, p - y = {p - numbers['y']:.3f}")

# %% [markdown] tags=["pytorch"]
# Each result of an operation has a `grad_fn`, the note about how it came to be; the note knows its predecessors, `next_functions`.
# Following the first of them, again and again, walks back from the loss, in the direction in which gradients flow:

# %% tags=["pytorch"]
given = {name: torch.tensor(value, requires_grad=name in ("w1", "w2", "b"))
         for name, value in numbers.items()}
w1, x1, w2, x2, b, y_bird = given.values()
z = w1 * x1 + w2 * x2 + b
loss = torch.logaddexp(z, torch.zeros_like(z)) - z * y_bird
note = loss.grad_fn
while note:
    sources = [before for before, _ in note.next_functions if before]
    print(note.name(), "<-", [before.name() for before in sources])
    note = sources[0] if sources else None

# %% [markdown] tags=["pytorch"]
# At the ends stand the weights, as notes named `AccumulateGrad`: the places where `.grad` is written.
# Where are the measurements and the answer?
# Nobody asked for their gradient, so they are no nodes.
# What the backward pass needs of them (the derivative of $w_1 x_1$ by $w_1$ is $x_1$) each note has saved for itself.
#
# We want to see all nodes, with their values and gradients.
# Results in the middle do not keep their gradient unless asked: a folded cell asks, with `retain_grad`, and then visits every note.

# %% tags=["pytorch", "folded"]
nodes, kept = {}, {}


def keep(result):
    result.retain_grad()
    kept[result.grad_fn] = result
    return result


def visit(note):
    sources = [before for before, _ in note.next_functions if before]
    for before in sources:
        if before not in nodes:
            visit(before)
    result = kept[note] if note in kept else note.variable
    leaf = [name for name, tensor in given.items() if tensor is result]
    label = leaf[0] if leaf else note.name().removesuffix("Backward0")
    nodes[note] = (label, sources, result.item(), result.grad.item())


z = keep(keep(keep(w1 * x1) + keep(w2 * x2)) + b)
loss = keep(keep(torch.logaddexp(z, torch.tensor(0.0))) - keep(z * y_bird))
w1.grad = w2.grad = b.grad = None
loss.backward()
visit(loss.grad_fn)

# %% [markdown] tags=["tensorflow"]
# The tape keeps its notes to itself.
# But there is another way to see the operations: `tf.function` runs a Python function with placeholders instead of numbers, keeps the operations that come by as a graph, and runs that from then on.
# What it is good for, and what it does to your Python, is the subject of lesson 3.
# Everything outside this section runs **eagerly**, at once, line by line.
# Decorating the function changes nothing in its result:

# %% tags=["tensorflow"]
def bird_loss(w1, x1, w2, x2, b, y):
    z = w1 * x1 + w2 * x2 + b
    return tf.nn.softplus(z) - z * y


given = {name: tf.constant(value) for name, value in numbers.items()}
decorated = tf.function(bird_loss)
print(f"eager {bird_loss(**given):.4f}, as a graph {decorated(**given):.4f}")
graph = decorated.get_concrete_function(**given).graph
types = [operation.type for operation in graph.get_operations()]
print(fill(", ".join(types), 72))

# %% [markdown] tags=["tensorflow"]
# Seven operations between six placeholders and an `Identity` that hands the result out.
# The measurements and the answer are nodes as well: this graph is of the computation.
#
# We want to see all nodes, with their values and gradients.
# For that a folded cell lets a tape run along while the graph is made, and asks it for the gradient of the loss by *every* result.
# (x1, x2 and y get none: the tape is told to watch w1, w2 and b only.)

# %% tags=["tensorflow", "folded"]
notes = []


@tf.function
def values_and_gradients(w1, x1, w2, x2, b, y):
    with tf.GradientTape() as tape:
        tape.watch([w1, w2, b])
        loss = bird_loss(w1, x1, w2, x2, b, y)
    notes.extend(loss.graph.get_operations())
    results = [note.outputs[0] for note in notes]
    return results, tape.gradient(loss, results)


values, gradients = values_and_gradients(**given)
nodes = {}
for note, value, gradient in zip(notes, values, gradients):
    sources = [tensor.op for tensor in note.inputs]
    label = note.type if sources else note.name
    gradient = None if gradient is None else float(gradient)
    nodes[note] = (label, sources, float(value), gradient)

# %% [markdown]
# The drawing puts each node to the right of its inputs.

# %% tags=["folded"]
def places_of(nodes):
    places, leaves = {}, 0
    for key, (_, sources, *_) in nodes.items():
        if sources:
            column = 1 + max(places[before][0] for before in sources)
            row = sum(places[before][1] for before in sources) / len(sources)
        else:
            column, row, leaves = 0, leaves, leaves + 1
        while (column, row) in places.values():
            row += 1
        places[key] = (column, row)
    return places


def draw_node(axes, column, row, label, value, gradient):
    corner = (column - 0.3, row - 0.42)
    box = plt.Rectangle(corner, 0.6, 0.84, fill=False, linewidth=0.5)
    axes.add_patch(box)
    middle = {"ha": "center", "va": "center"}
    axes.text(column, row - 0.26, label, weight="bold", fontsize=8, **middle)
    axes.text(column, row, f"{value:.3f}", **middle)
    if gradient is not None:
        pink = plots.OTHERS[1]
        axes.text(column, row + 0.26, f"{gradient:.3f}", color=pink, **middle)

# %% [markdown]
# In each box: the operation, its value, and below it, where there is one, the gradient of the loss by that value.
# No number in it was worked out by us; the framework computed them all:

# %% tags=["folded"]
_, axes = plt.subplots(figsize=(8.5, 4.2))
places = places_of(nodes)
arrow = {"arrowstyle": "->", "color": "#777777"}
for key, (label, sources, value, gradient) in nodes.items():
    right, row = places[key]
    for before in sources:
        left, height = places[before]
        ends = (right - 0.32, row), (left + 0.3, height)
        axes.annotate("", *ends, arrowprops=arrow)
    draw_node(axes, right, row, label, value, gradient)
columns, rows = zip(*places.values())
axes.set(xlim=(-0.5, max(columns) + 0.5), ylim=(max(rows) + 0.5, -0.5))
axes.set_title("Values flow right (black), gradients flow back left (pink)")
axes.set_axis_off()

# %% [markdown]
# Follow the pink numbers from the right.
# The loss has the gradient 1 by itself.
# A difference hands it on to its first input as it is, and to its second with the opposite sign.
# The logit $z$, the right-hand sum (*Add* or *AddV2*), was used twice, and so receives two gradients, which are **added**: along the upper arrow $\sigma(z) = p = 0.350$, along the lower one $-y = -1$.
# There is $p - y = -0.650$, the first part of our formula.
# A sum hands it on to both sides, a product multiplies it by the *other* factor: $(p - y)\,x_1 = -0.650 \cdot 0.840 = -0.546$.
# So the machine works out what we worked out, one node at a time, and this is what is called **backpropagation**.
#
# ## What is written down, and what is not
#
# Almost every puzzle with gradients comes from not knowing what the framework has written down.
# The two frameworks decided differently, so we look closely, with the smallest function that will do: $w^2$ at $w = 3$, whose derivative is 6.
#
# ### What is not written down

# %% tags=["pytorch"]
w = torch.tensor(3.0)
try:
    (w**2).backward()
except RuntimeError as error:
    print(fill(f"not marked:  RuntimeError: {error}", 72))
w.requires_grad_()
print("marked:     ", w**2)
with torch.no_grad():
    print("in no_grad: ", w**2)
try:
    np.square(w.numpy())
except RuntimeError as error:
    print(fill(f"to NumPy:    RuntimeError: {error}", 72))
print("detached:   ", w.detach() ** 2)

# %% [markdown] tags=["pytorch"]
# Being marked is contagious: whatever is computed from `w` has a `grad_fn` and can be differentiated.
# `no_grad` switches the notes off for a block, `detach` gives the same number without its past.
# The way to NumPy, where no notes are taken, is closed until you say `detach` and so confess that you cut the graph.
# **Watch out:** a detached tensor shares its memory: write to it, and you have written to `w`.

# %% tags=["tensorflow"]
w, constant, watched = tf.Variable(3.0), tf.constant(3.0), tf.constant(3.0)
before = w**2
# persistent: may be asked more than once
with tf.GradientTape(persistent=True) as tape:
    tape.watch(watched)
    results = {
        "a variable": (w**2, w),
        "a constant": (constant**2, constant),
        "a constant, watched": (watched**2, watched),
        "computed before the tape": (before, w),
        "by way of NumPy": (tf.constant(np.square(w.numpy())), w),
    }
for name, (result, source) in results.items():
    print(f"{name:26}{result:.0f}, gradient {tape.gradient(result, source)}")

# %% [markdown] tags=["tensorflow"]
# A tape writes down what happens to trainable variables (all are, unless made with `trainable=False`), and to what you tell it to `watch`, from the beginning of its block to the end.
# **Watch out:** for the rest the gradient is `None`, without a message.
# NumPy in the middle of a computation gives the right loss and no gradient.
# So the first thing to do with a new model is to look whether any gradient is `None`.
# (PyTorch refuses to hand such a tensor to NumPy, until you say that you mean it.)

# %% [markdown]
# ### What is left afterwards

# %% tags=["pytorch"]
w = torch.tensor(3.0, requires_grad=True)
for call in (1, 2, 3):
    (w**2).backward()
    print(f"backward number {call}: w.grad is {w.grad:.0f}")
(gradient,) = torch.autograd.grad(w**2, w)
print(f"autograd.grad: gives {gradient:.0f}, w.grad is still {w.grad:.0f}")

# %% [markdown] tags=["pytorch"]
# **Watch out:** `backward` *adds* to `.grad`.
# Each `w**2` has a graph of its own, and what its notes had saved is freed once it was walked; but the gradients stay in the weights until you clear them.
# Forget it, and each step of a training uses the sum of all gradients so far: no error, only a strange curve.
# `torch.autograd.grad(result, weights)` leaves no traces: it hands you the gradients as values, one for each weight.

# %% tags=["tensorflow"]
w = tf.Variable(3.0)
with tf.GradientTape() as tape:
    square = w**2
print(f"asked once: {tape.gradient(square, w):.0f}")
try:
    tape.gradient(square, w)
except RuntimeError as error:
    print(fill(f"asked twice: RuntimeError: {error}", 72))

# %% [markdown] tags=["tensorflow"]
# A tape throws its notes away when it was asked once.
# Nothing stays in the variable: gradients are values, and the next tape begins afresh.
# (PyTorch's `backward` adds them up in the weights.)

# %% [markdown]
# ### Twice through the notes *(optional)*
#
# Two things that nothing in this lesson needs; lessons 11 and 12 do (in Keras lesson 10, too), and you will find them here.
# Notes can be kept, to be walked more than once.
# And since a gradient is computed like anything else, that can be written down too, and the gradient be differentiated again.

# %% tags=["pytorch"]
w = torch.tensor(3.0, requires_grad=True)
square = w**2
square.backward(retain_graph=True)
square.backward()
print(f"twice through one graph, if it is retained: w.grad is {w.grad:.0f}")
try:
    square.backward()
except RuntimeError as error:
    print("a third time: RuntimeError:", str(error).split(" (")[0])

(first,) = torch.autograd.grad(w**3, w, create_graph=True)
(second,) = torch.autograd.grad(first, w)
print(f"of the cube: first derivative {first:.0f}, second {second:.0f}")

# %% [markdown] tags=["pytorch"]
# What the notes had saved is freed once they were walked, unless you say `retain_graph=True`.
# With `create_graph=True` the way back is written down as well.

# %% tags=["tensorflow"]
w = tf.Variable(3.0)
with tf.GradientTape(persistent=True) as tape:
    square = w**2
    cube = square * w
print(f"persistent: {tape.gradient(square, w):.0f}, "
      f"again {tape.gradient(square, w):.0f}, "
      f"of the cube {tape.gradient(cube, w):.0f}")
del tape  # and with it all that it kept

with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        cube = w**3
    first = inner.gradient(cube, w)
second = outer.gradient(first, w)
print(f"of the cube: first derivative {first:.0f}, second {second:.0f}")

# %% [markdown] tags=["tensorflow"]
# With `persistent=True` a tape keeps its notes, and the memory with them, until it is deleted.
# The outer tape wrote down what the inner one did when it was asked.

# %% [markdown]
# ### Changing what was written down *(optional)*
#
# (What of it the loop below needs is said again there.)
# Many operations need, on the way back, a value from the way there: the derivative of $e^w$ is $e^w$ itself, that of $w^3$ needs $w$.
# What if somebody has changed it meanwhile?

# %% tags=["pytorch"]
def spoil(tensor, rows=slice(None)):
    tensor[rows] = 0  # in place
    return tensor


cases = {
    "the weight": lambda w: spoil(w),
    "a result": lambda w: spoil(torch.exp(w)),
    "a slice of a result": lambda w: spoil(torch.exp(w), slice(0, 1)),
    "a result nobody needs": lambda w: spoil(3 * w, slice(0, 1)),
}
for name, case in cases.items():
    w = torch.tensor([1.0, 2.0], requires_grad=True)
    try:
        case(w).sum().backward()
        print(f"{name}: gradient {w.grad.tolist()}")
    except RuntimeError as error:
        message = str(error).split(" Hint")[0]
        print(fill(f"{name}: {message}", 72) + "\n")

# %% [markdown] tags=["pytorch"]
# All four are changed **in place**.
# A weight may not be changed behind the engine's back.
# A result may, and each tensor counts its changes, its *version*, together with all its views, since they share its memory.
# If the backward pass needs a value whose version has moved on, it refuses, however small the slice.
# If nobody needs the old value, the change is one more operation, differentiated like any other: what was overwritten with 0 no longer depends on $w$.
# To update a weight on purpose, say so: `with torch.no_grad()`, after `backward`.
# **Watch out:** the back doors are not watched.
# An array that shares the memory, such as `detach().numpy()` gives and `from_numpy` takes, counts nothing:

# %% tags=["pytorch"]
w = torch.tensor([1.0, 2.0], requires_grad=True)
result = torch.exp(w)
print("exp(w), which is its own derivative:", result.detach().numpy().round(2))
result.detach().numpy()[:] += 1
result.sum().backward()
print("changed by way of NumPy, gradient:  ", w.grad.numpy().round(2))

# %% [markdown] tags=["pytorch"]
# Wrong by one, and no message.

# %% tags=["tensorflow"]
w = tf.Variable(2.0)
with tf.GradientTape() as tape:
    result = w**3  # its derivative, 3w², needs w on the way back
w.assign(100.0)
gradient = tape.gradient(result, w)
print(f"2^3 = {result:.0f}; after w.assign(100), gradient {gradient:.0f}")

w = tf.Variable(2.0)
w = w - 0.5  # meant as an update
with tf.GradientTape() as tape:
    result = w**3
kind = "a variable" if isinstance(w, tf.Variable) else "a tensor"
print(f"after w = w - 0.5, w is {kind}, gradient {tape.gradient(result, w)}")

# %% [markdown] tags=["tensorflow"]
# The tape holds tensors, and tensors never change: `assign` gave the variable a new one, and the notes still have the old.
# So the gradient belongs to the value that the loss was computed with, whatever happened since.
# (PyTorch, which can overwrite memory, counts the versions of each tensor and refuses to go back through one that was changed.)
# **Watch out:** the second half.
# `w = w - 0.5` does not change the variable; it throws it away and puts a tensor in its place, which no tape watches.
# An update is `w.assign_sub(0.5)`.

# %% [markdown]
# ## Downhill
#
# Now the neuron may learn.
# **Gradient descent** takes a step against the gradient, of the gradient times a number $\alpha$, the **learning rate**; and repeats:
#
# $$w \leftarrow w - \alpha\,\frac{\partial\,\text{loss}}{\partial w} .$$

# %% tags=["pytorch"]
def descend(x, y, start_kernel, start_bias, rate, steps):
    x, y = torch.tensor(x, device=device), torch.tensor(y, device=device)
    kernel = torch.tensor(start_kernel, device=device, requires_grad=True)
    bias = torch.tensor(start_bias, device=device, requires_grad=True)
    losses, path = [], []
    for step in range(steps + 1):
        loss = neuron_loss(kernel, bias, x, y)
        losses.append(loss.item())
        path.append(torch.cat([kernel[:, 0], bias]).tolist())
        kernel.grad = bias.grad = None  # or they would add up
        loss.backward()
        with torch.no_grad():  # the update itself is not to be differentiated
            kernel -= rate * kernel.grad
            bias -= rate * bias.grad
    return losses, np.array(path, "float32")

# %% [markdown] tags=["pytorch"]
# **Watch out:** the update changes the weights in place, with `-=`, and under `no_grad`; outside of it PyTorch refuses to have them changed so.
# `kernel = kernel - …` would put another tensor in its place, unmarked, and the next `backward` fails.

# %% tags=["tensorflow"]
def descend(x, y, start_kernel, start_bias, rate, steps):
    x, y = tf.constant(x), tf.constant(y)
    kernel, bias = tf.Variable(start_kernel), tf.Variable(start_bias)
    losses, path = [], []
    for step in range(steps + 1):
        with tf.GradientTape() as tape:
            loss = neuron_loss(kernel, bias, x, y)
        losses.append(float(loss))
        path.append([*kernel.numpy()[:, 0], *bias.numpy()])
        kernel_gradient, bias_gradient = tape.gradient(loss, [kernel, bias])
        kernel.assign_sub(rate * kernel_gradient)
        bias.assign_sub(rate * bias_gradient)
    return losses, np.array(path, "float32")

# %% [markdown] tags=["tensorflow"]
# **Watch out:** the update is `assign_sub`.
# `kernel = kernel - …` would not change the variable: it throws it away and puts a tensor in its place, which no tape watches, and the next gradient would be `None`.

# %% [markdown]
# How long should a step be?
# And does standardising matter?
# Two experiments, each with three rates.
# First the standardised birds, with a rate far below ours, ours, and one far above.
# Then the plain millimetres, from weights that draw *the same line* through the plane.

# %%
few = min(steps, 60)


def losses_by_rate(inputs, kernel, bias, rates):
    return {
        f"α = {rate:g}": descend(inputs, two_answers, kernel, bias, rate, few)
        for rate in rates
    }


rates = learning_rate / 100, learning_rate, learning_rate * 100
scaled = losses_by_rate(two_inputs, start_kernel, start_bias, rates)
means, spreads = measurements[two].mean(axis=0), measurements[two].std(axis=0)
# (x - mean) / spread, multiplied out
plain_kernel = start_kernel / spreads[:, None]
plain_bias = start_bias - means @ plain_kernel
plain = losses_by_rate(
    measurements[two], plain_kernel, plain_bias, (0.001, 0.004, 0.01)
)

# %% [markdown]
# Loss by step, for both experiments:

# %% tags=["folded"]
_, panels = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
experiments = {"Standardised": scaled, "Millimetres": plain}
for axes, (name, runs) in zip(panels, experiments.items()):
    curves = {rate: (range(few + 1), run[0]) for rate, run in runs.items()}
    least = min(run[0][-1] for run in runs.values())
    title = f"{name}: the best ends at {least:.2f}"
    plots.curves(curves, title, log=True, axes=axes)
panels[0].set_ylim(0.04, 6)
if as_shipped:
    assert min(scaled["α = 2"][0]) < 0.1
    assert min(plain["α = 0.004"][0]) > 0.3

# %% [markdown]
# And in birds: how many are on the wrong side after these steps?

# %% tags=["nbval-ignore-output"]
def birds_wrong(inputs, values):
    logits = inputs @ values[:2] + values[2]
    return int(((logits > 0) != (two_answers[:, 0] > 0)).sum())


tables = {"Standardised": two_inputs, "Millimetres": measurements[two]}
for name, runs in experiments.items():
    for rate, run in runs.items():
        wrong = birds_wrong(tables[name], run[1][-1])
        print(f"{name:13}{rate:10}{wrong:4} of {len(two_answers)} wrong")

# %% [markdown]
# **Standardised.**
# With a small rate the neuron is still on its way after sixty steps.
# With a hundred times ours the very first step throws the line to about the right place, but makes the neuron so sure of itself that each remaining mistake is expensive (that its curve begins like ours is chance).
# A few steps mend the worst of that; the later ones are small beside its weights, and ours overtakes it.
# Counted in birds it even does no harm, 5 wrong where ours has 7: the loss of one neuron has a single valley, and leads back to it.
# Do not rely on that.
# The network at the end of this lesson has no such loss: with this rate, from five different starts, it still leapt above 5 within the last hundred of 400 steps, where ours stands at 0.06.
# (For the one neuron ours is not the best: try 20. The network leaps with that one, too.)
# **Millimetres.**
# None of the three rates gets near ours in sixty steps.
# (68 wrong, twice, is no chance: there are 68 Chinstraps, and these two neurons call every bird an Adelie.)
# The inputs are large and all *positive*, so a step moves all logits up or down together, far more than it turns the line.
# A small rate turns it very slowly; a larger one throws all logits to and fro first.
# (Try `descend` with .05 for 400 steps: wild for some 160 of them, and in the end nearly as good as ours, 0.049 against 0.048.)
# That is why inputs are standardised.
#
# Now the full run:

# %% tags=["nbval-ignore-output"]
losses, path = descend(
    two_inputs, two_answers, start_kernel, start_bias, learning_rate, steps
)
wrong_at_first, wrong = (birds_wrong(two_inputs, path[k]) for k in (0, -1))
print(f"at first: loss {losses[0]:.3f}, {wrong_at_first} birds wrong")
print(f"now:      loss {losses[-1]:.3f}, {wrong} birds wrong")

# %% [markdown]
# And the line after some of its steps.
# To draw where the logit is 0, the next folded cells ask for it at many points of the plane.

# %% tags=["folded"]
across, up = np.linspace(31, 61, 151), np.linspace(12.5, 22, 101)
lengths, depths = np.meshgrid(across, up)
plane = np.stack([lengths.ravel(), depths.ravel()], axis=1).astype("float32")


def draw_line(axes, values, colour, thickness, label):
    points = standardise(plane, like=measurements[two])
    logits = (points @ values[:2] + values[2]).reshape(lengths.shape)
    line = axes.contour(
        lengths, depths, logits, [0], colors=colour, linewidths=thickness
    )
    for points in line.allsegs[0]:
        end = min(points, key=lambda point: point[1])
        side = "right" if end[0] > 50 else "left"
        axes.annotate(
            label, end, xytext=(-4, 8), textcoords="offset points",
            fontsize=8, ha=side, backgroundcolor="#ffffffbb",
        )

# %% [markdown]
# From light and thin to dark and thick:

# %% tags=["folded"]
_, axes = plt.subplots(figsize=(7.0, 4.2))
draw_birds(
    axes,
    f"The line at first has {wrong_at_first} birds wrong, "
    f"after {steps} steps {wrong}",
)
shown = sorted({step for step in (0, 1, 2, 4, 8, steps) if step <= steps})
for number, step in enumerate(shown):
    colour, thickness = str(0.6 - 0.1 * number), 0.8 + 0.3 * number
    draw_line(axes, path[step], colour, thickness, f"step {step}")

# %% [markdown]
# On each line the logit is 0; it is where the neuron's opinion changes, the **decision boundary**.
# Line 0 has it backwards, as we made it.
# From step 8 to the last the line turns ever more slowly; meanwhile the weights grow, as a vector from a length of 2.3 to one of 8.4, and with them the opinion away from the line gets firmer.
# The bills of a few birds are those of the other species: no line gets all of them right.
# (The best one gets 3 wrong.
# Gradient descent lowers the loss, not that count.)

# %% tags=["folded"]
if as_shipped:
    assert losses[-1] < 0.06 and birds_wrong(two_inputs, path[-1]) < 10

# %% [markdown]
# ## A third species: where one neuron fails
#
# Now the Gentoos.
# The question stays "a Chinstrap, or not?".
# We standardise anew, with all birds:

# %% tags=["network"]
inputs = standardise(measurements, like=measurements)
answers = (species == 1).astype("float32").reshape(-1, 1)

# %% [markdown]
# First we ask the neuron that we have, then one that learns from all birds:

# %%
_, all_path = descend(
    inputs, answers, start_kernel, start_bias, learning_rate, steps
)


def as_trained_on_two(points):
    points = standardise(points, like=measurements[two])
    return points @ path[-1][:2] + path[-1][2]


def trained_on_all(points):
    points = standardise(points, like=measurements)
    return points @ all_path[-1][:2] + all_path[-1][2]


def count_wrong(opinion):
    return int(((opinion(measurements) > 0) != (answers[:, 0] > 0)).sum())

# %% [markdown]
# Whatever lies in the shade is a Chinstrap to the neuron.

# %% tags=["folded"]
def draw_opinion(axes, opinion, title):
    draw_birds(axes, title, kinds=(0, 1, 2))
    z = opinion(plane).reshape(lengths.shape)
    shade = {"colors": [plots.OTHERS[1]], "alpha": 0.15}
    axes.contourf(lengths, depths, z, [0, np.inf], **shade)
    axes.contour(lengths, depths, z, [0], colors="black")


_, panels = plt.subplots(1, 2, figsize=(9.0, 3.8), sharey=True)
opinions = {
    "Never met a Gentoo": as_trained_on_two,
    "Trained on all": trained_on_all,
}
for axes, (name, opinion) in zip(panels, opinions.items()):
    wrong = f"{count_wrong(opinion)} of {len(answers)} birds wrong"
    draw_opinion(axes, opinion, f"{name}: {wrong}")

# %% [markdown]
# How many of each species does each neuron get wrong?

# %% tags=["nbval-ignore-output"]
for name, opinion in opinions.items():
    missed = (opinion(measurements) > 0) != (answers[:, 0] > 0)
    print(f"{name}:", ", ".join(
        f"{missed[species == kind].sum()} of {(species == kind).sum()} {bird}s"
        for kind, bird in enumerate(data.PENGUIN_SPECIES)
    ))

# %% [markdown]
# The first picture is worth remembering: asked about something that it has never seen, the neuron does not say so.
# It answers.
# The second neuron has learned from every bird, and still gets about one in nine wrong.
# Training longer will not help: the Chinstraps sit between the others, Adelies to the left, Gentoos below, and one line cannot keep both out.
# (The best of all lines gets 36 wrong; always answering "no Chinstrap" gets 68.)

# %% tags=["folded"]
if as_shipped:
    assert count_wrong(as_trained_on_two) > 100
    assert 30 < count_wrong(trained_on_all) < 50

# %% [markdown]
# ## A hidden layer
#
# Two lines could.
# So take several neurons, each with a line of its own, and a last neuron that makes its decision from *their* answers:
#
# $$h = \tanh(x W_1 + b_1), \qquad z = h\,W_2 + b_2 .$$
#
# The neurons in between are a **hidden layer**: nobody tells them what to answer.
# They use $\tanh$, a sigmoid stretched to run from −1 to 1.
# Without a bend in the middle nothing would be won: $(xW_1 + b_1)\,W_2 + b_2$ is again a weighted sum of $x_1$ and $x_2$, one line.
#
# Where should they start?
# Two neurons that start with the same weights, and are listened to with the same weight, receive the same gradient, and stay alike for ever.
# So each starts from random numbers of its own, drawn once with NumPy for both twins:

# %% tags=["network"]
def starting_weights(seed):
    rng = weights.generator(seed)
    return {
        "classifier": {
            "hidden": weights.dense(rng, 2, hidden_width),
            "output": weights.dense(rng, hidden_width, 1),
        }
    }


# a batch is what one step sees: here all birds (lesson 2 draws some by seed)
def batches(seed):
    for _ in range(steps):
        yield inputs, answers

# %% [markdown]
# `weights.dense(rng, 2, 4)` draws the kernel of a layer from 2 numbers to 4, and gives it biases of 0.
# So there are four arrays, a kernel and a bias for each of two layers:

# %%
start = starting_weights(seed)["classifier"]
for layer, arrays in start.items():
    print(layer, {name: array.shape for name, array in arrays.items()})

# %% [markdown]
# The formula in code; `parameters` are the four arrays, in this order:

# %% tags=["pytorch"]
def bare_logits(x, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = torch.tanh(x @ hidden_kernel + hidden_bias)
    return hidden @ output_kernel + output_bias

# %% tags=["tensorflow"]
def bare_logits(x, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = tf.tanh(x @ hidden_kernel + hidden_bias)
    return hidden @ output_kernel + output_bias

# %% [markdown]
# The rest you have, in `descend`: the same loss, the same gradients, the same step, for a list of four arrays instead of `kernel` and `bias`.
# (The list is made layer by layer, so it has the order printed above.)

# %% tags=["pytorch"]
x = torch.tensor(inputs, device=device)
y = torch.tensor(answers, device=device)
parameters = [
    torch.tensor(array, device=device, requires_grad=True)
    for arrays in start.values() for array in arrays.values()
]
bare_losses = []
for step in range(steps):
    loss = log_loss(bare_logits(x, parameters), y)
    bare_losses.append(loss.item())
    for parameter in parameters:
        parameter.grad = None
    loss.backward()
    with torch.no_grad():
        for parameter in parameters:
            parameter -= learning_rate * parameter.grad

# %% tags=["tensorflow"]
x, y = tf.constant(inputs), tf.constant(answers)
parameters = [
    tf.Variable(array)
    for arrays in start.values() for array in arrays.values()
]
bare_losses = []
for step in range(steps):
    with tf.GradientTape() as tape:
        loss = log_loss(bare_logits(x, parameters), y)
    bare_losses.append(float(loss))
    gradients = tape.gradient(loss, parameters)
    for parameter, gradient in zip(parameters, gradients):
        parameter.assign_sub(learning_rate * gradient)

# %% [markdown]
# And its opinion of the plane, beside the lines of the hidden neurons:

# %% tags=["pytorch"]
def network_opinion(points):
    points = standardise(points, like=measurements)
    with torch.no_grad():
        z = bare_logits(torch.tensor(points, device=device), parameters)
    return z[:, 0].numpy(force=True)  # force: detached, and on the CPU


hidden_kernel, hidden_bias = (
    parameter.numpy(force=True) for parameter in parameters[:2]
)

# %% tags=["tensorflow"]
def network_opinion(points):
    points = standardise(points, like=measurements)
    return bare_logits(tf.constant(points), parameters)[:, 0].numpy()


hidden_kernel, hidden_bias = (
    parameter.numpy() for parameter in parameters[:2]
)

# %% [markdown]
# The line of a hidden neuron is where its weighted sum is 0:

# %% tags=["nbval-ignore-output", "folded"]
_, panels = plt.subplots(1, 2, figsize=(9.0, 3.8), sharey=True)
draw_birds(panels[0], "Each hidden neuron draws a line …", kinds=(0, 1, 2))
sums = standardise(plane, like=measurements) @ hidden_kernel + hidden_bias
for z in sums.T:
    z = z.reshape(lengths.shape)
    panels[0].contour(lengths, depths, z, [0], colors="#777777")
network_wrong = count_wrong(network_opinion)
title = f"… and together: {network_wrong} of {len(answers)} birds wrong"
draw_opinion(panels[1], network_opinion, title)
print(f"loss {bare_losses[-1]:.3f}; "
      f"{network_wrong} of {len(answers)} birds wrong")
assert not as_shipped or (bare_losses[-1] < 0.08 and network_wrong <= 14)

# %% [markdown]
# From 40 wrong to about ten, with 17 numbers instead of 3.
# (Whether it would do as well on penguins that it has *not* seen is another question, and the right one: lesson 2.)
#
# ## The same, as layers
#
# We end where lesson 2 begins.
# What you wrote by hand is in every framework ready-made: a layer brings its kernel and its bias, an optimiser does the step.
# The plainest optimiser is your update, weight minus learning rate times gradient.
# It is called `SGD`, **stochastic gradient descent**: "stochastic" because a step usually sees only some examples, drawn by chance.
# Ours sees all.

# %% tags=["pytorch", "network"]
def build_classifier(starting):
    network = nn.Sequential(
        nn.Linear(2, hidden_width), nn.Tanh(), nn.Linear(hidden_width, 1)
    )
    return load_weights(network, starting).to(device)


def build_optimizer(network):
    return torch.optim.SGD(network.parameters(), lr=learning_rate)

# %% [markdown] tags=["pytorch"]
# `nn.Sequential` is a network made of layers, each of which works on what the one before it has put out.
# To use it, call it like a function: `network(inputs)` runs all layers and gives the logits.
# `network.parameters()` are its four arrays, and the optimiser is told that it is these that it has to move.
# A `Linear` layer keeps its kernel transposed, (outputs, inputs), and calls it `weight`; `load_weights` knows.
#
# One step of the training has the parts that you know: `zero_grad` clears the gradients, which would add up, and `optimizer.step()` is the update.

# %% tags=["pytorch", "network"]
def to_tensors(inputs, answers):
    arrays = inputs, answers
    return [torch.as_tensor(array, device=device) for array in arrays]


def train_step(network, optimizer, inputs, answers):
    optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(network(inputs), answers)
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% [markdown] tags=["pytorch"]
# `F.binary_cross_entropy_with_logits` is our log loss, and `detach` hands the loss out without its notes.

# %% tags=["tensorflow", "network"]
log_loss_of_keras = keras.losses.BinaryCrossentropy(from_logits=True)


def build_classifier(starting):
    network = keras.Sequential([
        keras.Input((2,)),
        layers.Dense(hidden_width, activation="tanh", name="hidden"),
        layers.Dense(1, name="output"),
    ])
    return load_weights(network, starting)


def build_optimizer(network):
    optimizer = keras.optimizers.SGD(learning_rate=learning_rate)
    optimizer.build(network.trainable_variables)
    return optimizer

# %% [markdown] tags=["tensorflow"]
# A `keras.Sequential` is a network made of layers, each of which works on what the one before it has put out.
# To use it, call it like a function: `network(inputs)` runs all layers and gives the logits.
# `network.trainable_variables` are its four arrays, and `optimizer.build` tells the optimiser that it is these that it has to move.
# The step has the same three parts as before: the loss on a tape, the gradients, and the update, which is the optimiser's `apply`.
# (`training=True` tells the layers that they are being trained; ours do not care.)
# `from_logits=True` tells Keras that it gets $z$, not $p$: lesson 2 shows what happens without it.

# %% tags=["tensorflow", "network"]
def to_tensors(inputs, answers):
    return tf.convert_to_tensor(inputs), tf.convert_to_tensor(answers)


def train_step(network, optimizer, inputs, answers):
    with tf.GradientTape() as tape:
        loss = log_loss_of_keras(answers, network(inputs, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss

# %% [markdown]
# The same starting weights, the same steps.
# Are they the same losses?

# %%
network = build_classifier(start)
optimizer = build_optimizer(network)
layer_losses = [float(train_step(network, optimizer, *to_tensors(*batch)))
                for batch in batches(seed)]

for step in [step for step in (1, 10, 100) if step <= steps]:
    print(f"step {step:3}: by hand {bare_losses[step - 1]:.3f}, "
          f"layers {layer_losses[step - 1]:.3f}")
apart = records.relative_difference(bare_losses, layer_losses).max()
print("equal but for rounding:", bool(apart < 1e-3))

# %% [markdown]
# So there is no magic in a layer, nor in an optimiser.
# What is in them is on this page.

# %% tags=["folded"]
assert apart < 1e-3 or not as_shipped

# %% [markdown]
# ## The twin check
#
# Now the other notebook.
# This one leaves a record of its run; the twin's was left when it was last run with the same parameters.

# %% tags=["folded"]
mine = records.save(
    "01_tensors",
    framework,
    parameters_used,
    {
        "loss of the network": layer_losses,
        "loss of one neuron": losses[:steps],
    },
    parameter_count=weights.count(start),
)
twin = records.load("01_tensors", other, parameters_used)

# %% [markdown]
# The network's losses, step by step:

# %% tags=["nbval-ignore-output"]
most = 0.0
if twin:
    its_losses = twin["losses"]["loss of the network"]
    most = records.relative_difference(layer_losses, its_losses).max()
title = f"The twins' largest relative difference is {most:.0e}"
plots.twins(mine, twin, title)
print(records.compare(mine, twin))

# %% [markdown]
# Two frameworks, hundreds of steps, and the losses still share about six digits: all that float32 has, less a few roundings.
# (Where they are equal, the lower curve shows $10^{-9}$.)
# It need not be so.
# Here every step uses all birds, $\tanh$ has no kink at which a rounding could decide anything, and no stretch of the path pulls two nearby runs far apart: weights that start a millionth apart are some millionths apart at the end, where the loss is so flat that it hardly notices.
# Lesson 4 shows networks in which the same roundings grow.

# %% tags=["folded"]
assert not as_shipped or most < 1e-3

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow | why it matters |
# |---|---|---|---|
# | float32 meets float64 | a sum of tensors is promoted, a matrix product refuses | tensors refuse both; a bare NumPy array is rounded to the tensor's type | a stray float64 array doubles memory, loses digits, or stops you |
# | where a tensor lives | where you say, `device=…` | it is placed for you, on a GPU where there is one | PyTorch: weights and batches on one device |
# | slices | views: writing to one writes to the tensor | copies; tensors cannot be changed | know who else sees your change |
# | what can be changed | any tensor | a `tf.Variable`, by `assign` | an update changes what the engine knows, it does not replace it |
# | what is written down | everything computed from a tensor with `requires_grad` | what happens to trainable variables inside a tape's block | mark, or watch |
# | gradients | added up in `.grad` | returned as values | PyTorch: clear them at every step |
# | one loss, its gradient asked for twice | an error if its notes had saved anything, unless `retain_graph=True` | an error, unless `persistent=True` | keep notes only while you need them |
# | no path, NumPy in the middle | an error | `None` | TensorFlow: look for `None` |
# | a value changed before the way back | an error if it is needed; by way of NumPy, a wrong gradient | the old value is used | change in place only what you must |
# | the graph | can be walked, `grad_fn` by `grad_fn` | the tape's is hidden; `tf.function` shows one | debugging: lesson 3 |

# %% [markdown]
# ## Exercises
#
# Now you.
# A check hands your function NumPy arrays and looks at what comes back, so it is the same in both notebooks, and so is the task: answer it in one framework, then in the other.

# %% tags=["classroom"]
from tandem.exercises import attempt, difference, reference

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the neuron with your own hands: its loss, its gradient, and the loop that trains it, and nothing of ours in between (no `log_loss`, `neuron_loss`, `descend`).
# The gradient is your framework's work.
#
# `learn(x, y, kernel, bias, rate, steps)` gets NumPy arrays of float32: `x` has a row for each bird and a column for each measurement, as many as there are; `kernel` is a column, one weight for each measurement; `bias` holds one number.
# **Watch out:** `y` holds the answers, 0 or 1, in the shape (birds,).
# Take `steps` steps of gradient descent on the mean log loss of all birds, with the learning rate `rate`.
# Return three things: a list of `steps` losses, each from *before* its update, then the trained kernel and the trained bias as NumPy arrays, in the shapes in which they came.
#
# The arrays that were given stay as they are.
# And the loss is a number for every start, even one whose logits are hundreds.

# %% [markdown] tags=["hint"]
# Before the loop: the answers as a column, and two tensors that may learn.
# In the loop: logits, loss, its number into the list, gradients, update.
# After it: `return losses, …`.

# %% [markdown] tags=["pytorch", "hint"]
# `torch.tensor(array, requires_grad=True)` copies; `torch.from_numpy` would let your update write into the caller's array.
# The update stands under `torch.no_grad()`; what is left in `.grad` for the next step?
# `tensor.numpy(force=True)` leads back to NumPy.

# %% [markdown] tags=["tensorflow", "hint"]
# What learns is a `tf.Variable`; the logits and the loss belong inside the tape's block.
# The update is `assign_sub`: what would `kernel = kernel - …` leave for the second step?
# `.numpy()` leads back to NumPy.

# %% [markdown] tags=["hint"]
# The loss comes from the logit, $\log(1 + e^z) - yz$, by a function that never forms $e^z$: $\sigma(z)$ and a logarithm would give infinity, or no number at all.

# %% tags=["pytorch", "solution"]
def learn(x, y, kernel, bias, rate, steps):
    ### BEGIN SOLUTION
    x, y = torch.tensor(x), torch.tensor(y)[:, None]
    kernel = torch.tensor(kernel, requires_grad=True)
    bias = torch.tensor(bias, requires_grad=True)
    losses = []
    for _ in range(steps):
        z = x @ kernel + bias
        loss = (torch.logaddexp(z, torch.zeros_like(z)) - y * z).mean()
        losses.append(loss.item())
        kernel.grad = bias.grad = None
        loss.backward()
        with torch.no_grad():
            kernel -= rate * kernel.grad
            bias -= rate * bias.grad
    return losses, kernel.numpy(force=True), bias.numpy(force=True)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def learn(x, y, kernel, bias, rate, steps):
    ### BEGIN SOLUTION
    y, kernel, bias = y[:, None], tf.Variable(kernel), tf.Variable(bias)
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            z = x @ kernel + bias
            loss = tf.reduce_mean(tf.nn.softplus(z) - y * z)
        losses.append(float(loss))
        to_kernel, to_bias = tape.gradient(loss, [kernel, bias])
        kernel.assign_sub(rate * to_kernel)
        bias.assign_sub(rate * to_bias)
    return losses, kernel.numpy(), bias.numpy()
    ### END SOLUTION

# %% [markdown]
# The check trains the same neuron in NumPy, in float64 and with the gradient by formula, and holds your losses and your weights against its own.
# It is the twin proof in small: who passes it in both notebooks has written one neuron twice.

# %% tags=["classroom", "folded"]
def loss_and_slopes(x, y, w, b):
    """The mean log loss, and its gradient by formula: of w, and of b."""
    z, y = x @ w + b, y[:, None]
    error = (1 + np.tanh(z / 2)) / 2 - y  # sigmoid, without e^z
    return ((np.logaddexp(0, z) - y * z).mean(),
            x.T @ error / len(x), error.mean(axis=0))


def by_numpy(x, y, w, b, rate, steps):
    """[(loss, w, b), ...]: before each update, and after the last."""
    x, y, w, b = (array.astype("float64") for array in (x, y, w, b))
    found = []
    for _ in range(steps + 1):
        loss, to_w, to_b = loss_and_slopes(x, y, w, b)
        found.append((loss, w, b))
        w, b = w - rate * to_w, b - rate * to_b
    return found

# %% [markdown]
# Where they part it tries some frequent slips, and says which of them gives your number.
# First what the loss of step 1 may be:

# %% tags=["classroom", "folded"]
def slips_of_loss(x, y, w, b, rate):
    """{what is wrong: the first loss that comes of it}"""
    at = lambda w, b: loss_and_slopes(x, y, w, b)[0]
    loss, to_w, to_b = loss_and_slopes(x, y, w, b)
    z, truth = x @ w + b, y[:, None]
    p = (1 + np.tanh(z / 2)) / 2
    return {
        "every bird is compared with the answers of all birds; make y a "
        "column, as the logits are": (np.logaddexp(0, z) - y * z).mean(),
        "the losses are added up; take the mean": loss * len(x),
        "sigmoid is applied twice; this loss takes logits": (
            np.logaddexp(0, p) - truth * p).mean(),
        "it is the loss of the opposite answers": (
            np.logaddexp(0, z) - (1 - truth) * z).mean(),
        "the bias is left out of the logit": at(w, 0 * b),
        "it is the one after the update": at(w - rate * to_w,
                                             b - rate * to_b),
    }

# %% [markdown]
# Then that of step 2:

# %% tags=["classroom", "folded"]
def slips_of_update(x, y, w, b, rate):
    """{what is wrong: the second loss that comes of it}"""
    at = lambda w, b: loss_and_slopes(x, y, w, b)[0]
    _, to_w, to_b = loss_and_slopes(x, y, w, b)
    return {
        "no weight has moved": at(w, b),
        "the bias does not move": at(w - rate * to_w, b),
        "the kernel does not move": at(w, b - rate * to_b),
        "that was uphill; take minus the gradient": at(w + rate * to_w,
                                                       b + rate * to_b),
        "the step is as long as the gradient; where is `rate`?": at(
            w - to_w, b - to_b),
    }

# %% [markdown]
# What it says:

# %% tags=["classroom", "folded"]
def near(one, other):
    return np.allclose(one, other, rtol=1e-4, atol=1e-6)


def what_is_wrong(given, wanted, *setting):
    """A sentence; "" where all losses and both arrays are those wanted."""
    losses, *others = given
    usual = (slips_of_loss(*setting) | {"look at logits and loss": None},
             slips_of_update(*setting) | {"look at the update": None})
    for step, (loss, (right, *_)) in enumerate(zip(losses, wanted)):
        later = {"from here on nothing moves": wanted[step - 1][0],
                 "is anything left over from the step before?": None}
        if not near(loss, right):
            reason = next(
                slip for slip, it in (*usual, later)[min(step, 2)].items()
                if it is None or np.isclose(loss, it, rtol=1e-3))
            return (f"loss {step + 1} is {right:.4f}, not {loss:.4f}"
                    f"{', those before are right' * (step > 0)}: {reason}")
    both = zip(("kernel", "bias"), others, wanted[-1][1:])
    for name, one, other in both:
        if not near(one, other):
            return (f"the losses are right, but the {name} is "
                    f"{np.ravel(one)}, not {other.ravel().round(4)}: it is "
                    f"to be the one after all {len(losses)} updates")
    return ""

# %% [markdown]
# One slip ends in an error, and for that it has a sentence too:

# %% tags=["classroom", "folded"]
def without_none(function, *arguments):
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        assert "None" not in str(error), (
            "a gradient is None: something that learns is not written down "
            "when the loss is computed, or no longer; does `w = w - …` put "
            "another tensor in its place? Change it in place, in every step")
        raise

# %% [markdown]
# And now yours, with all birds; last from weights whose logits are hundreds:

# %% tags=["check"]
w, b = np.array([[-0.5], [0.5]], "float32"), np.array([0.3], "float32")
setting = inputs, answers[:, 0], w, b, 1.5
wanted, before = by_numpy(*setting, 12), [w.copy(), b.copy()]
learned = without_none(learn, *setting, 12)
parts = [np.shape(part) for part in learned]
assert parts == [(12,), (2, 1), (1,)], (
    "12 losses, a kernel of shape (2, 1) and a bias of shape (1,) are "
    f"wanted; yours have the shapes {parts}")
kinds = {type(part).__name__ for part in learned[1:]}
assert kinds == {"ndarray"}, (
    "kernel and bias are to come back as NumPy arrays, not as "
    f"{' and '.join(sorted(kinds - {'ndarray'}))}")
assert all(map(np.array_equal, (w, b), before)), (
    "the arrays that were given have changed: your tensors share their "
    "memory; copy them")
problem = what_is_wrong(learned, wanted, *setting)
assert not problem, problem
steep = inputs, answers[:, 0], 300 * w, b, 1.5
found, wanted = learn(*steep, 2)[0], by_numpy(*steep, 1)
wanted = [loss for loss, *_ in wanted]
assert near(found, wanted), (
    "from weights whose logits are hundreds the losses are "
    f"{np.round(found, 1)}, not {np.round(wanted, 1)}: take the loss "
    "from the logit, by a function that never forms e^z")

# %% tags=["hidden"]
four = standardise(all_measurements, like=all_measurements)[40:]
sure = np.array([[-300], [200], [-100], [50]], "float32")
start_here = four, answers[40:, 0], sure, np.array([5], "float32"), 2.0
wanted, learned = by_numpy(*start_here, 5), learn(*start_here, 5)
losses = np.array(learned[0], "float64")
assert losses.shape == (5,), f"five steps, but {losses.shape} losses"
assert np.isfinite(losses).all(), (
    f"with logits of hundreds the first losses are {losses[:2]}: the loss "
    "is to be computed from the logit, without a logarithm of p")
problem = what_is_wrong(learned, wanted, *start_here)
assert not problem, f"four measurements, 302 birds: {problem}"

# %% tags=["pytorch", "wrong"] mistake="compares every bird with all answers"
def learn(x, y, kernel, bias, rate, steps):
    x, y = torch.tensor(x), torch.tensor(y)
    kernel = torch.tensor(kernel, requires_grad=True)
    bias = torch.tensor(bias, requires_grad=True)
    losses = []
    for _ in range(steps):
        z = x @ kernel + bias
        loss = (F.softplus(z) - y * z).mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, [kernel, bias])
        with torch.no_grad():
            kernel -= rate * gradients[0]
            bias -= rate * gradients[1]
    return losses, kernel.numpy(force=True), bias.numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="compares every bird with all answers"
def learn(x, y, kernel, bias, rate, steps):
    kernel, bias = tf.Variable(kernel), tf.Variable(bias)
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            z = x @ kernel + bias
            loss = tf.reduce_mean(tf.nn.softplus(z) - y * z)
        losses.append(float(loss))
        gradients = tape.gradient(loss, [kernel, bias])
        kernel.assign_sub(rate * gradients[0])
        bias.assign_sub(rate * gradients[1])
    return losses, kernel.numpy(), bias.numpy()

# %% tags=["pytorch", "wrong"] mistake="lets the gradients add up"
def learn(x, y, kernel, bias, rate, steps):
    x, y = torch.tensor(x), torch.tensor(y)[:, None]
    kernel = torch.tensor(kernel, requires_grad=True)
    bias = torch.tensor(bias, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = F.binary_cross_entropy_with_logits(x @ kernel + bias, y)
        losses.append(loss.item())
        loss.backward()
        with torch.no_grad():
            kernel -= rate * kernel.grad
            bias -= rate * bias.grad
    return losses, kernel.numpy(force=True), bias.numpy(force=True)

# %% tags=["pytorch", "wrong"] mistake="throws the marked tensors away"
def learn(x, y, kernel, bias, rate, steps):
    x, y = torch.tensor(x), torch.tensor(y)[:, None]
    kernel = torch.tensor(kernel, requires_grad=True)
    bias = torch.tensor(bias, requires_grad=True)
    losses = []
    for _ in range(steps):
        loss = F.binary_cross_entropy_with_logits(x @ kernel + bias, y)
        losses.append(loss.item())
        loss.backward()
        kernel = kernel - rate * kernel.grad
        bias = bias - rate * bias.grad
    return losses, kernel.numpy(force=True), bias.numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="throws the variables away"
def learn(x, y, kernel, bias, rate, steps):
    y, kernel, bias = y[:, None], tf.Variable(kernel), tf.Variable(bias)
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            z = x @ kernel + bias
            loss = tf.reduce_mean(tf.nn.softplus(z) - y * z)
        losses.append(float(loss))
        gradients = tape.gradient(loss, [kernel, bias])
        kernel = kernel - rate * gradients[0]
        bias = bias - rate * gradients[1]
    return losses, kernel.numpy(), bias.numpy()

# %% tags=["pytorch", "wrong"] mistake="writes into the arrays it was given"
def learn(x, y, kernel, bias, rate, steps):
    x, y = torch.from_numpy(x), torch.from_numpy(y)[:, None]
    kernel = torch.from_numpy(kernel).requires_grad_()
    bias = torch.from_numpy(bias).requires_grad_()
    losses = []
    for _ in range(steps):
        loss = F.binary_cross_entropy_with_logits(x @ kernel + bias, y)
        losses.append(loss.item())
        kernel.grad = bias.grad = None
        loss.backward()
        with torch.no_grad():
            kernel -= rate * kernel.grad
            bias -= rate * bias.grad
    return losses, kernel.numpy(force=True), bias.numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="adds the losses up"
def learn(x, y, kernel, bias, rate, steps):
    y, kernel, bias = y[:, None], tf.Variable(kernel), tf.Variable(bias)
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            z = x @ kernel + bias
            loss = tf.reduce_sum(tf.nn.softplus(z) - y * z)
        losses.append(float(loss))
        gradients = tape.gradient(loss, [kernel, bias])
        kernel.assign_sub(rate * gradients[0])
        bias.assign_sub(rate * gradients[1])
    return losses, kernel.numpy(), bias.numpy()

# %% tags=["pytorch", "wrong"] mistake="takes the logarithm of the probability"
def learn(x, y, kernel, bias, rate, steps):
    x, y = torch.tensor(x), torch.tensor(y)[:, None]
    kernel = torch.tensor(kernel, requires_grad=True)
    bias = torch.tensor(bias, requires_grad=True)
    losses = []
    for _ in range(steps):
        p = torch.sigmoid(x @ kernel + bias)
        loss = (-y * torch.log(p) - (1 - y) * torch.log(1 - p)).mean()
        losses.append(loss.item())
        kernel.grad = bias.grad = None
        loss.backward()
        with torch.no_grad():
            kernel -= rate * kernel.grad
            bias -= rate * bias.grad
    return losses, kernel.numpy(force=True), bias.numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="takes the logarithm of the probability"
def learn(x, y, kernel, bias, rate, steps):
    y, kernel, bias = y[:, None], tf.Variable(kernel), tf.Variable(bias)
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            p = tf.sigmoid(x @ kernel + bias)
            loss = tf.reduce_mean(
                -y * tf.math.log(p) - (1 - y) * tf.math.log(1 - p))
        losses.append(float(loss))
        gradients = tape.gradient(loss, [kernel, bias])
        kernel.assign_sub(rate * gradients[0])
        bias.assign_sub(rate * gradients[1])
    return losses, kernel.numpy(), bias.numpy()

# %% tags=["pytorch", "wrong"] mistake="forgets the bias in the update"
def learn(x, y, kernel, bias, rate, steps):
    x, y = torch.tensor(x), torch.tensor(y)[:, None]
    kernel = torch.tensor(kernel, requires_grad=True)
    bias = torch.tensor(bias)
    losses = []
    for _ in range(steps):
        loss = F.binary_cross_entropy_with_logits(x @ kernel + bias, y)
        losses.append(loss.item())
        kernel.grad = None
        loss.backward()
        with torch.no_grad():
            kernel -= rate * kernel.grad
    return losses, kernel.numpy(force=True), bias.numpy()

# %% tags=["tensorflow", "wrong"] mistake="notes the losses after the update"
def learn(x, y, kernel, bias, rate, steps):
    y, kernel, bias = y[:, None], tf.Variable(kernel), tf.Variable(bias)

    def loss_now():
        z = x @ kernel + bias
        return tf.reduce_mean(tf.nn.softplus(z) - y * z)

    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = loss_now()
        gradients = tape.gradient(loss, [kernel, bias])
        kernel.assign_sub(rate * gradients[0])
        bias.assign_sub(rate * gradients[1])
        losses.append(float(loss_now()))
    return losses, kernel.numpy(), bias.numpy()

# %% [markdown] tags=["exercise"] exercise="way-back" points=3
# ### Exercise 2: the way back through the hidden layer *(optional)*
#
# For one neuron we worked the gradient out on paper.
# Do it for the network with the hidden layer, in NumPy.
#
# `way_back(x, y, parameters)` gets the measurements (birds, inputs), the answers as a column (birds, 1), and the four arrays of `bare_logits`, in its order; all are float64, and of any size that fits.
# Return the logits, a column, and the list of four gradients of the *mean* log loss, each in the shape of its array.
#
# You need one derivative more than the lesson has: that of $\tanh a$ is $1 - \tanh^2 a$.

# %% [markdown] tags=["hint"]
# Begin at the end.
# The output neuron is the neuron of the lesson, with the hidden answers for its inputs: the error $p - y$, divided by the number of birds, and the sum over the birds of error times input.
# For whole tables that sum is one matrix product, `inputs.T @ error`.

# %% [markdown] tags=["hint"]
# Now one node further back.
# A hidden answer goes into $z$ times its output weight: so the error comes back to it times that weight (`error @ output_kernel.T`), then times the derivative of $\tanh$.
# What arrives is the error of the hidden sums; from there on each hidden neuron is the neuron of the lesson again.

# %% tags=["pytorch", "solution"]
def way_back(x, y, parameters):
    ### BEGIN SOLUTION
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def way_back(x, y, parameters):
    ### BEGIN SOLUTION
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]
    ### END SOLUTION

# %% [markdown]
# The check is the best that there is: the finite difference, in float64, for every weight.
# `reference` takes it; it expects a column of logits for each answer, and for the answers 0 and 1 those are 0 and $z$.

# %% tags=["classroom", "folded"]
PLACES = "hidden/kernel", "hidden/bias", "output/kernel", "output/bias"


def as_layers(arrays):
    kinds = "kernel", "bias"
    return {"hidden": dict(zip(kinds, arrays[:2])),
            "output": dict(zip(kinds, arrays[2:]))}


def network_logits(arrays, x):
    return np.tanh(x @ arrays[0] + arrays[1]) @ arrays[2] + arrays[3]


def two_columns(weights, x):
    arrays = [array for layer in weights.values()
              for array in layer.values()]
    z = network_logits(arrays, x)
    return np.hstack([0 * z, z])


def random_network(seed, measured, width):
    rng = np.random.default_rng(seed)
    shapes = (measured, width), (width,), (width, 1), (1,)
    return [rng.normal(size=shape) for shape in shapes]

# %% [markdown]
# First the shapes:

# %% tags=["classroom", "folded"]
def other_shapes(given, y, arrays):
    """A sentence; "" where logits and gradients have their shapes."""
    if np.shape(given[0]) != y.shape or len(given[1]) != 4:
        return (f"logits of shape {y.shape} and four gradients are wanted, "
                f"not {np.shape(given[0])} and {len(given[1])}")
    for place, slope, array in zip(PLACES, given[1], arrays):
        if np.shape(slope) != array.shape:
            return (f"the gradient of {place} has shape {np.shape(slope)}; "
                    f"that of its array is {array.shape}")
    return ""

# %% [markdown]
# And where the numbers part:

# %% tags=["classroom", "folded"]
def what_parts(function, x, y, arrays):
    """A sentence; "" where the function's answer is the quotient's."""
    given = function(x, y, arrays)
    if problem := other_shapes(given, y, arrays):
        return problem
    z, slopes = given[0], dict(zip(PLACES, given[1]))
    logits, wanted = reference(
        two_columns, as_layers(arrays), x, y[:, 0].astype(int))
    per_bird = {place: slope / len(x) for place, slope in slopes.items()}
    if not difference((logits, per_bird), (logits, wanted)):
        return f"the gradients are {len(x)} times too large: take the mean"
    turned = {place: -slope for place, slope in slopes.items()}
    if not difference((logits, turned), (logits, wanted)):
        return "all four have the opposite sign: the error is p - y"
    problem = difference((np.hstack([0 * z, z]), slopes), (logits, wanted))
    last = {place: wanted[place] for place in PLACES[2:]}
    if problem and not difference((logits, slopes), (logits, last)):
        problem += ("; the output layer's two are right: what do its "
                    "weights, and tanh, make of the error on the way back?")
    return problem

# %% [markdown]
# And now yours, for all birds and a network with random weights:

# %% tags=["check"]
birds, truth = inputs.astype("float64"), answers.astype("float64")
problem = what_parts(way_back, birds, truth, random_network(1, 2, 4))
assert not problem, problem

# %% tags=["hidden"]
some = standardise(all_measurements, like=all_measurements)
some, some_truth = some[145:160].astype("float64"), truth[145:160]
for width in (1, 7):
    arrays = random_network(2, 4, width)
    before = [array.copy() for array in arrays]
    problem = what_parts(way_back, some, some_truth, arrays)
    assert not problem, (
        f"15 birds, four measurements, hidden neurons: {width}: {problem}")
    assert all(map(np.array_equal, arrays, before)), (
        "the arrays that were given are to stay as they are")

# %% tags=["pytorch", "wrong"] mistake="forgets the derivative of tanh"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["tensorflow", "wrong"] mistake="forgets the derivative of tanh"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["pytorch", "wrong"] mistake="leaves the output weights out"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["tensorflow", "wrong"] mistake="leaves the output weights out"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["pytorch", "wrong"] mistake="takes the derivative at the sum"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T * (1 - (x @ hidden_kernel + hidden_bias)**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["tensorflow", "wrong"] mistake="takes the derivative at the sum"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T * (1 - (x @ hidden_kernel + hidden_bias)**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["pytorch", "wrong"] mistake="adds up instead of averaging"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["tensorflow", "wrong"] mistake="adds up instead of averaging"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["pytorch", "wrong"] mistake="returns one number for a bias"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["tensorflow", "wrong"] mistake="returns one number for a bias"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(x)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["pytorch", "wrong"] mistake="counts the birds of the notebook"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(answers)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["tensorflow", "wrong"] mistake="counts the birds of the notebook"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (1 / (1 + np.exp(-z)) - y) / len(answers)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["pytorch", "wrong"] mistake="turns the error round"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (y - 1 / (1 + np.exp(-z))) / len(x)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% tags=["tensorflow", "wrong"] mistake="turns the error round"
def way_back(x, y, parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = np.tanh(x @ hidden_kernel + hidden_bias)
    z = hidden @ output_kernel + output_bias
    error = (y - 1 / (1 + np.exp(-z))) / len(x)
    behind = error @ output_kernel.T * (1 - hidden**2)
    return z, [
        x.T @ behind, behind.sum(axis=0),
        hidden.T @ error, error.sum(axis=0),
    ]

# %% [markdown] tags=["exercise"] exercise="one-form" points=3
# ### Exercise 3: other weights, the same network *(optional)*
#
# Here are the 17 numbers of the lesson's network after 400 steps (parameters as shipped), rounded; with them it has nine birds wrong:

# %% tags=["classroom"]
from itertools import permutations, product

trained = [np.array(array) for array in (
    [[1.47, -0.89, -1.34, 2.77], [-1.12, -1.07, 2.67, -1.85]],
    [0.46, 2.14, 1.98, 1.66],
    [[1.62], [-3.03], [4.88], [3.95]],
    [-4.09],
)]

# %% [markdown]
# Are they *the* weights?
# Exchange two hidden neurons, with all that belongs to them, and no answer changes.
# Nor does it if one neuron turns the sign of all that goes in and of what comes out, since $\tanh(-a) = -\tanh a$.
# So $4! \cdot 2^4 = 384$ sets of weights are this one network, and to compare the weights of two networks says nothing until both have one form.
#
# `one_form(parameters)` brings the four arrays, in the order of `bare_logits`, into that form, as a new list of four NumPy arrays: the same answers for every bird, all weights of the output kernel positive, and the largest of them first, the smallest last.
# There may be any number of hidden neurons; no output weight is 0, and no two are of one size.
# The arrays that were given stay as they are.

# %% [markdown] tags=["hint"]
# What belongs to hidden neuron $j$?
# A column of the hidden kernel, a number of the hidden bias, a row of the output kernel.
# (And what of the output bias?)

# %% [markdown] tags=["hint"]
# `np.sign` says which neurons to turn, `np.argsort` how to put them in order; broadcasting and indexing with a list do the rest, and both copy.

# %% tags=["pytorch", "solution"]
def one_form(parameters):
    ### BEGIN SOLUTION
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def one_form(parameters):
    ### BEGIN SOLUTION
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]
    ### END SOLUTION

# %% [markdown]
# The check looks at the form, and at the answers for all birds:

# %% tags=["classroom", "folded"]
def not_the_form(given, arrays, x):
    """A sentence; "" where the given arrays are those in the one form."""
    shapes = [np.shape(array) for array in given]
    wanted = [array.shape for array in arrays]
    if shapes != wanted:
        return f"arrays of shapes {wanted} are wanted, not {shapes}"
    before, now = network_logits(arrays, x), network_logits(given, x)
    if not np.allclose(before, now):
        others = int(((before > 0) != (now > 0)).sum())
        return (f"that is another network: the logits part by up to "
                f"{np.abs(before - now).max():.2g}, and {others} of {len(x)}"
                " birds are judged otherwise; has all that belongs to a "
                "neuron turned, and moved, with it?")
    column = np.ravel(given[2])
    if not (column > 0).all():
        return f"the output weights {column} are not all positive"
    if not (np.diff(column) < 0).all():
        return f"the output weights {column} do not fall from first to last"
    return ""

# %% [markdown]
# And now yours; last come all 384 disguises of the trained network:

# %% tags=["check"]
given = one_form([array.copy() for array in trained])
problem = not_the_form(given, trained, inputs)
assert not problem, problem
w1, b1, w2, b2 = trained
for order in map(list, permutations(range(4))):
    for signs in product((1, -1), repeat=4):
        turn = np.array(signs)
        disguise = [(w1 * turn)[:, order], (b1 * turn)[order],
                    (w2 * turn[:, None])[order], b2.copy()]
        shown = one_form(disguise)
        assert all(map(np.allclose, shown, given)), (
            f"the neurons in the order {order}, the signs {signs}: the "
            "answers are the same, but your form is another: its output "
            f"weights are {np.ravel(shown[2])}")

# %% tags=["hidden"]
four = standardise(all_measurements, like=all_measurements)
for width in (1, 7):
    arrays = random_network(3, 4, width)
    before = [array.copy() for array in arrays]
    problem = not_the_form(one_form(arrays), before, four)
    assert not problem, (
        f"four measurements, hidden neurons: {width}: {problem}")
    assert all(map(np.array_equal, arrays, before)), (
        "the arrays that were given have changed: make new ones")

# %% tags=["pytorch", "wrong"] mistake="turns the output weights only"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        hidden_kernel[:, order], hidden_bias[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="turns the output weights only"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        hidden_kernel[:, order], hidden_bias[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="forgets the hidden bias when it turns"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[:, order], hidden_bias[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="forgets the hidden bias when it turns"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[:, order], hidden_bias[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="puts only the output weights in order"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        hidden_kernel * turn, hidden_bias * turn,
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="puts only the output weights in order"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        hidden_kernel * turn, hidden_bias * turn,
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="moves the rows of the hidden kernel"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[np.argsort(order[:2])], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="moves the rows of the hidden kernel"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[np.argsort(order[:2])], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="puts in order before it turns"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-output_kernel[:, 0])
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="puts in order before it turns"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-output_kernel[:, 0])
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="puts the smallest first"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="puts the smallest first"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="orders, and turns nothing"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel)[:, order], (hidden_bias)[order],
        output_kernel[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="orders, and turns nothing"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    return [
        (hidden_kernel)[:, order], (hidden_bias)[order],
        output_kernel[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="knows the order by heart"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = [2, 3, 1, 0]
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["tensorflow", "wrong"] mistake="knows the order by heart"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = [2, 3, 1, 0]
    return [
        (hidden_kernel * turn)[:, order], (hidden_bias * turn)[order],
        np.abs(output_kernel)[order], output_bias.copy(),
    ]

# %% tags=["pytorch", "wrong"] mistake="writes into the arrays it was given"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    hidden_kernel *= turn
    hidden_bias *= turn
    output_kernel *= turn[:, None]
    return [
        hidden_kernel[:, order], hidden_bias[order],
        output_kernel[order], output_bias,
    ]

# %% tags=["tensorflow", "wrong"] mistake="writes into the arrays it was given"
def one_form(parameters):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    turn = np.sign(output_kernel[:, 0])
    order = np.argsort(-np.abs(output_kernel[:, 0]))
    hidden_kernel *= turn
    hidden_bias *= turn
    output_kernel *= turn[:, None]
    return [
        hidden_kernel[:, order], hidden_bias[order],
        output_kernel[order], output_bias,
    ]

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - A tensor is an array with a type that you must watch, a memory that may be shared, and shapes that stretch when they should not.
# - A loss is computed from logits, because seven digits do not hold the difference between nearly sure and sure.
# - The gradient by formula, by quotient and by machine agree to all the digits that each can give; automatic differentiation is the chain rule, one node at a time.
# - What a framework writes down, what it keeps, and what happens if you change it meanwhile.
# - Gradient descent by hand; standardised inputs; one neuron draws one line, a hidden layer bends it.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. In the section on finite differences, take only one side, $(\text{loss}(w + h) - \text{loss}(w)) / h$.
#    What becomes of the right-hand slope in the figure, and how many digits are left at best?
# 2. Let the whole network start from zeros: write `array * 0` where `parameters` are made.
#    Which single number still learns, and where does the loss stop?
#    (By hand and as layers then part: the layers still start from `start`.)
# 3. Set `hidden_width` to 1, then 2.
#    How many lines does it take to keep both other species out?
# 4. Leave $\tanh$ out of `bare_logits`.
#    To which earlier number does the count of wrong birds return?
# 5. Give one neuron all four measurements, in a new cell: `wide = standardise(all_measurements, like=all_measurements)`, then `descend(wide, answers, np.zeros((4, 1), "float32"), start_bias, learning_rate, steps)`; the last row of the path holds four weights and the bias.
#    How many birds are wrong?
#    Is anything left for a hidden layer to do?
#
# ## Read on
#
# - Baydin, Pearlmutter, Radul and Siskind, *Automatic Differentiation in Machine Learning: a Survey* (2015): [arXiv:1502.05767](https://arxiv.org/abs/1502.05767)
# - Rumelhart, Hinton and Williams, *Learning representations by back-propagating errors* (1986): [doi:10.1038/323533a0](https://doi.org/10.1038/323533a0)
# - Goldberg, *What Every Computer Scientist Should Know About Floating-Point Arithmetic* (1991): [doi:10.1145/103162.103163](https://doi.org/10.1145/103162.103163)
# - Gorman, Williams and Fraser, on the penguins (2014): [doi:10.1371/journal.pone.0090081](https://doi.org/10.1371/journal.pone.0090081)
# - PyTorch: [Autograd mechanics](https://docs.pytorch.org/docs/stable/notes/autograd.html), [Tensor views](https://docs.pytorch.org/docs/stable/tensor_view.html)
# - TensorFlow: [Introduction to gradients and automatic differentiation](https://www.tensorflow.org/guide/autodiff), [Introduction to tensors](https://www.tensorflow.org/guide/tensor)
#
# Next, lesson 2 takes a larger network, ten kinds of clothing, and asks the question that we left out: what has it learned for images that it has never seen?
