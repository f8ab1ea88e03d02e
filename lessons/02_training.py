# ---
# minutes: {read: 75, run: 1, exercises: 18}
# seconds: 90
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 2 · One network, several ways to train it
#
# You train one image classifier in five ways, see all of them give the same losses, and stop it before it overfits.
#
# - **You will build** a network that tells ten kinds of clothing apart, first from bare tensors, then with ever more ready-made parts; and what every later training needs: validation, early stopping, checkpoints, a learning-rate schedule.
# - **You will learn** what each part does for you, what it hides, and which rule moves the weights.
# - **You need** lesson 1: tensors, gradients, and the loop that follows them downhill.
#
# The core takes about an hour and a half: 75 minutes to read, and the first exercise.
# Sections and exercises marked *optional* are not counted in it: they take nearly an hour more.
# Lesson 22 quotes the counts of the last such section; and in Keras lesson 3 and lessons from 6 on use way 4, the Functional API: there, read it before those.
# Nothing else of them is needed later, but for way 5, which Keras' whole program in lesson 11 uses and tells again in short.

# %% [markdown]
# Lesson 1 ended with a network of two layers and a loop that trained it on 342 birds, all of them at every step.
# This lesson takes the same loop to 10,000 pictures, and then asks how much of it you should write yourself.
#
# An article of Codecademy, "PyTorch vs TensorFlow: Choosing the Best Framework for Deep Learning" (2024), made us write these lessons; each takes those of its claims that it can test.
# We number them C1 to C16 and say them in our words; lesson 22 lists them all.
# Two of them here: **C1**, *PyTorch is easier for beginners* (those who know Python); **C2**, *TensorFlow needs much code, Keras less* (for a simple network).
# You will have the same training in several ways, here and in the twin, and can judge.

# %% [markdown]
# ## Set-up

# %% tags=["pytorch", "network"]
import copy
import pathlib
import sys
import tempfile
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from tandem import data, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
# a GPU where there is one
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import pathlib
import tempfile
from itertools import islice

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import data, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters
#
# Change one, then run everything below.
# (Some results cannot be the same to the last digit on every machine.
# Where that is so the lesson asserts bounds instead, and only for the values that stand here: with your own, nothing stops you.)

# %% tags=["parameters", "network"]
epochs = 25  # 1 to 500: passes over the training images
batch_size = 64  # 1 to train_size * 4 // 5: images a step
learning_rate = 1e-3  # above 0 to 1: Adam's default in both
hidden_width = 256  # 1 to 10000: units of the hidden layer
patience = 5  # 1 to 500: epochs without progress after which we stop
train_size = 10_000  # 100 to 10000: a fifth is kept for validation
seed = 0  # 0 to 2**32 - 1: of weights and batch order
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.999  # 0 to below 1: Adam's memory of their squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1

# %% [markdown]
# Adam, $\beta$ and $\epsilon$ are explained where they are first used.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("02_training", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## The data: ten kinds of clothing
#
# Fashion-MNIST: photographs of 28 × 28 grey pixels, each with one of ten labels.
# Our pixels come as numbers from 0 (black) to 1 (white); files usually hold bytes, 0 to 255: divide them by 255.
# We have 12,000 of its 70,000 and split them three ways, and the split is the most important line of the lesson:
#
# - **training** images change the weights;
# - **validation** images change our decisions (when to stop, which network to keep), never the weights;
# - **test** images change nothing.
#   They are looked at once, at the end.
#
# The test images come as a set of their own.
# The others we shuffle, always in the same way, and keep a fifth for validation:

# %% tags=["network"]
known, (test_images, test_labels) = data.fashion_mnist(train_size)
all_images, all_labels = known
shuffled = np.random.default_rng(0).permutation(train_size)
kept = train_size - train_size // 5

train_images = all_images[shuffled[:kept]]
train_labels = all_labels[shuffled[:kept]]
validation = all_images[shuffled[kept:]], all_labels[shuffled[kept:]]
steps_per_epoch = len(train_images) // batch_size


def batches(seed):
    for chosen in data.batch_order(kept, batch_size, epochs, seed):
        yield train_images[chosen], train_labels[chosen]

# %% [markdown]
# `batches` is how the twins see the same images in the same order: a permutation that NumPy draws from the seed, a new one each epoch, cut into batches of 64.
# An **epoch** is one pass over the training images.
# (Usually a `DataLoader` makes batches in PyTorch, and `tf.data` or `fit` in TensorFlow: lesson 5.)

# %%
print(f"training   {kept:6,} images, {steps_per_epoch} steps an epoch")
print(f"validation {train_size - kept:6,} images")
print(f"test       {len(test_labels):6,} images")
plots.images(
    train_images[:20],
    "Twenty training images: their names are not always easy to guess",
    [data.FASHION_CLASSES[label] for label in train_labels[:20]],
)

# %% [markdown]
# **Watch out:** shuffle *before* you cut.
# Files often come sorted by label, and then the last fifth holds classes that the network never trains on.
# How many validation images of each class we would have had, and have:

# %%
sorted_labels = np.sort(all_labels)
print("a sorted file, cut:", np.bincount(sorted_labels[kept:], minlength=10))
print("shuffled, then cut:", np.bincount(validation[1], minlength=10))

# %% [markdown] tags=["pytorch"]
# In PyTorch, `torch.utils.data.random_split` shuffles and cuts in one call.

# %% [markdown] tags=["tensorflow"]
# Keras' `fit(..., validation_split=0.2)` takes the **last** samples, *before* it shuffles.
# On a sorted file it validates on the classes of the first line above, and does not complain.

# %% [markdown]
# ## The network and its starting weights
#
# The network has one hidden layer.
# With $x$ the image as a row of 784 numbers,
#
# $$h = \max(0,\; x W_1 + b_1), \qquad z = h W_2 + b_2 .$$
#
# The function $\max(0, \cdot)$ is called **ReLU**; it takes the place that $\tanh$ had in lesson 1.
# Such a bend is called an **activation function**, and the numbers that a layer puts out are its *activations*.
#
# The ten numbers $z$ are the **logits**: one score a class, of any size and sign.
# Softmax makes probabilities of them, and the loss is how surprised the network is by the true label $y$, averaged over the batch:
#
# $$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad \text{loss} = -\log p_y = \log \sum_j e^{z_j} - z_y .$$
#
# This is the **cross-entropy**; with two classes it is the log loss of lesson 1.
#
# The starting weights are drawn by NumPy: were each framework to draw its own, the two could never be compared.

# %% tags=["network"]
def starting_weights(seed):
    rng = weights.generator(seed)
    return {
        "classifier": {
            "hidden": weights.dense(rng, 784, hidden_width),
            "output": weights.dense(rng, hidden_width, 10),
        }
    }

# %% [markdown]
# Each layer has a matrix, its *kernel* ($W$), and a *bias* ($b$).
# Every way below starts from these numbers, trains for the first epoch, and leaves its losses in the dictionary `losses`.

# %%
start = starting_weights(seed)["classifier"]
for layer, arrays in start.items():
    print(layer, {kind: array.shape for kind, array in arrays.items()})
print(f"{weights.count(start):,} weights to train")
print(f"loss of ten equal guesses: {np.log(10):.3f}")
losses = {}


def first_epoch():
    # islice: the first so many of a stream
    return islice(batches(seed), steps_per_epoch)

# %% [markdown]
# ## Way 1: bare tensors
#
# Nothing but arrays, and a framework that keeps track of what is done with them, to differentiate it.
# The four arrays stand in one list, in the order printed above: kernel and bias of the hidden layer, kernel and bias of the output.

# %% tags=["pytorch"] counted="bare network"
def bare_parameters():
    return [
        torch.tensor(array, device=device, requires_grad=True)
        for arrays in start.values() for array in arrays.values()
    ]


def bare_loss(parameters, images, labels):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    hidden = (images.flatten(1) @ hidden_kernel + hidden_bias).clamp(min=0)
    logits = hidden @ output_kernel + output_bias
    chosen = logits[torch.arange(len(labels)), labels]
    return (logits.logsumexp(1) - chosen).mean()

# %% [markdown] tags=["pytorch"]
# `chosen` is $z_y$: from row 0 the logit of the class `labels[0]`, from row 1 that of `labels[1]`, and so on, by NumPy's indexing with two lists.
# `flatten(1)` lays each image out as a row of 784 (all axes but the first), `clamp(min=0)` is the ReLU, and `logsumexp(1)` is $\log \sum_j e^{z_j}$ of each row.
# The simplest step downhill is **SGD**, *stochastic gradient descent*: lesson 1's rule, $w \leftarrow w - \alpha\, g$, on one batch at a time.

# %% tags=["tensorflow"] counted="bare network"
def bare_parameters():
    return [
        tf.Variable(array)
        for arrays in start.values() for array in arrays.values()
    ]


def bare_loss(parameters, images, labels):
    hidden_kernel, hidden_bias, output_kernel, output_bias = parameters
    rows = tf.reshape(images, (len(images), -1))
    hidden = tf.maximum(rows @ hidden_kernel + hidden_bias, 0)
    logits = hidden @ output_kernel + output_bias
    chosen = tf.gather(logits, labels, batch_dims=1)
    return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - chosen)

# %% [markdown] tags=["tensorflow"]
# `chosen` is $z_y$: from row 0 the logit of the class `labels[0]`, from row 1 that of `labels[1]`, and so on; `batch_dims=1` says "row by row".
# (NumPy's `logits[rows, labels]` does not work on TensorFlow's tensors.)
# `tf.reshape` lays each image out as a row of 784 (−1: as many as it has), `tf.maximum` with 0 is the ReLU, and `reduce_logsumexp` is $\log \sum_j e^{z_j}$ of each row.
# The simplest step downhill is **SGD**, *stochastic gradient descent*: lesson 1's rule, $w \leftarrow w - \alpha\, g$, on one batch at a time.

# %% tags=["pytorch"]
def sgd_step(parameters, images, labels, rate):
    loss = bare_loss(parameters, images, labels)
    gradients = torch.autograd.grad(loss, parameters)
    with torch.no_grad():  # the update itself is not to be differentiated
        for parameter, gradient in zip(parameters, gradients):
            parameter -= rate * gradient
    return loss.detach()

# %% tags=["tensorflow"]
def sgd_step(parameters, images, labels, rate):
    with tf.GradientTape() as tape:  # writes down what is computed
        loss = bare_loss(parameters, images, labels)
    gradients = tape.gradient(loss, parameters)
    for parameter, gradient in zip(parameters, gradients):
        parameter.assign_sub(rate * gradient)
    return loss

# %% [markdown] tags=["pytorch"]
# A training loop is then a Python `for` over batches.
# `to_tensors` moves a batch of NumPy arrays to where the network lives.

# %% [markdown] tags=["tensorflow"]
# A training loop is then a Python `for` over batches.
# `to_tensors` makes tensors of a batch of NumPy arrays.

# %% tags=["pytorch", "network"] counted="to tensors"
def to_tensors(images, labels):
    return (torch.as_tensor(images, device=device),
            torch.as_tensor(labels, device=device))

# %% tags=["tensorflow", "network"] counted="to tensors"
def to_tensors(images, labels):
    return tf.convert_to_tensor(images), tf.convert_to_tensor(labels)

# %% [markdown]
# And off it goes:

# %%
def train_by_sgd(rate):
    parameters = bare_parameters()
    # the stars unpack: a batch into images and labels, its tensors as well
    return [float(sgd_step(parameters, *to_tensors(*batch), rate))
            for batch in first_epoch()]


by_sgd = train_by_sgd(0.1)
first, last = by_sgd[0], np.mean(by_sgd[-25:])
plots.curves(
    {"SGD, rate 0.1": by_sgd},
    f"Way 1{' learns' if last < first else ''}: "
    f"the loss goes from {first:.1f} to about {last:.1f}",
)

# %% [markdown]
# ### Why SGD is not enough
#
# It learns, with a rate that was found by trial.
# Ten times that rate, and the sizes of the very first gradients:

# %% tags=["pytorch"]
too_fast = train_by_sgd(1.0)
parameters = bare_parameters()
loss = bare_loss(parameters, *to_tensors(*next(batches(seed))))
gradients = torch.autograd.grad(loss, parameters)
sizes = [gradient.abs().mean().item() for gradient in gradients]

# %% tags=["tensorflow"]
too_fast = train_by_sgd(1.0)
parameters = bare_parameters()
with tf.GradientTape() as tape:
    loss = bare_loss(parameters, *to_tensors(*next(batches(seed))))
gradients = tape.gradient(loss, parameters)
sizes = [float(tf.reduce_mean(tf.abs(gradient))) for gradient in gradients]

# %% [markdown]
# Here they are, averaged over each of the four arrays:

# %%
arrays = ("hidden kernel", "hidden bias", "output kernel", "output bias")
for array, size in zip(arrays, sizes):
    print(f"{array:14} mean |gradient| {size:.4f}")
print(f"highest loss: rate 0.1 {max(by_sgd):.1f}, rate 1 {max(too_fast):.1f}")
leaps = max(too_fast) > 2 * max(by_sgd)
plots.curves(
    {"rate 0.1": by_sgd, "rate 1": too_fast},
    "SGD with two rates" + leaps * ": at the higher one the loss leaps",
)
_ = plt.ylim(0, 5)

# %% [markdown]
# One rate has to serve all weights, and their gradients differ: at the first step those of the output's biases are on average more than ten times as long as those of the hidden kernel.
# (The figure ends at 5; the highest losses are printed above it.)
# A rate that suits the one would be too high for the other, or too low.
# Change the network or the units of the data, and the search for a rate begins again.
#
# ### Adam, in four thoughts
#
# **Adam** gives each weight a step of its own measure.
#
# 1. *One batch is one opinion.*
#    Instead of its gradient $g$ take a running mean, of about the last ten: $\;m \leftarrow \beta_1 m + (1-\beta_1)\,g$.
# 2. *How large is a gradient of this weight, usually?*
#    A running mean of its square, over about the last thousand steps (an epoch has 125, so at first over all that there were), tells: $\;v \leftarrow \beta_2 v + (1-\beta_2)\,g^2$.
#    Then $m / \sqrt v$ has no unit: a gradient ten times as large gives the same quotient.
# 3. *Both means begin at 0*, so at first they are too small: after one step $m = 0.1\,g$.
#    The **bias correction** makes up for it: $\;\hat m = m / (1-\beta_1^t)$, $\;\hat v = v / (1-\beta_2^t)$ at step $t$.
# 4. *A weight whose gradient is always 0*, that of a corner pixel, would be moved by 0/0; a small $\epsilon$ prevents it.
#
# $$w \leftarrow w - \alpha\, \frac{\hat m}{\sqrt{\hat v} + \epsilon}$$
#
# At the first step the quotient is 1 or −1 wherever the gradient is not 0 (nor as small as $\epsilon$): such a weight moves by the learning rate $\alpha$, whatever its gradient's size.
# Later it moves less, the more its gradients contradict each other: the mean of +1 and −1 is 0, the mean of their squares is 1.

# %% tags=["pytorch"] counted="bare Adam"
def adam_start():
    return [(parameter, torch.zeros_like(parameter),
             torch.zeros_like(parameter)) for parameter in bare_parameters()]


def adam_step(state, number, images, labels,
              rate=learning_rate, small=epsilon):
    parameters = [parameter for parameter, _, _ in state]
    loss = bare_loss(parameters, images, labels)
    gradients = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        for (parameter, mean, square), gradient in zip(state, gradients):
            mean += (1 - beta_1) * (gradient - mean)
            square += (1 - beta_2) * (gradient**2 - square)
            corrected = mean / (1 - beta_1**number)
            root = (square / (1 - beta_2**number)).sqrt()
            parameter -= rate * corrected / (root + small)
    return loss.detach()

# %% tags=["tensorflow"] counted="bare Adam"
def adam_start():
    return [(parameter, tf.Variable(tf.zeros_like(parameter)),
             tf.Variable(tf.zeros_like(parameter)))
            for parameter in bare_parameters()]


def adam_step(state, number, images, labels,
              rate=learning_rate, small=epsilon):
    parameters = [parameter for parameter, _, _ in state]
    with tf.GradientTape() as tape:
        loss = bare_loss(parameters, images, labels)
    gradients = tape.gradient(loss, parameters)
    for (parameter, mean, square), gradient in zip(state, gradients):
        mean.assign_add((1 - beta_1) * (gradient - mean))
        square.assign_add((1 - beta_2) * (gradient**2 - square))
        corrected = mean / (1 - beta_1**number)
        root = tf.sqrt(square / (1 - beta_2**number))
        parameter.assign_sub(rate * corrected / (root + small))
    return loss

# %% [markdown]
# ($m + (1-\beta_1)(g - m)$ is the same as $\beta_1 m + (1-\beta_1)\,g$.)
# Beside the losses we note how far the median weight moves at each step:

# %% tags=["pytorch"]
def all_weights(state):
    return np.concatenate(
        [parameter.numpy(force=True).ravel() for parameter, _, _ in state]
    )

# %% tags=["tensorflow"]
def all_weights(state):
    return np.concatenate([np.ravel(parameter) for parameter, _, _ in state])

# %% [markdown]
# The loop is the old one, with a number for the step:

# %% counted="bare loop"
state, moves = adam_start(), []
losses["bare tensors"] = []
for number, batch in enumerate(first_epoch(), 1):
    before = all_weights(state)
    loss = adam_step(state, number, *to_tensors(*batch))
    losses["bare tensors"].append(float(loss))
    moved = np.abs(all_weights(state) - before) / learning_rate
    moves.append(np.median(moved))

# %% [markdown]
# Is it better than SGD, and how long are its steps?

# %%
_, panels = plt.subplots(1, 2, figsize=(8.5, 3.2))
better = np.mean(losses["bare tensors"][-25:]) < np.mean(by_sgd[-25:])
plots.curves(
    {"SGD, rate 0.1": by_sgd, "Adam": losses["bare tensors"]},
    "Adam goes lower than SGD" if better else "Adam and SGD",
    window=5, axes=panels[0],
)
plots.curves(
    {"median": moves},
    f"Adam's median step: {moves[0]:.1f} rates, later {moves[-1]:.1f}",
    y_label="move of a weight / learning rate", axes=panels[1],
)

# %% [markdown]
# (Left the mean of five steps.)
# "By the learning rate" is right for the first step only: at the tenth the median weight moves by 0.3 of it, from the fiftieth on by about a tenth.
#
# Adam is no law.
# With a rate found by trial and some momentum (lesson 3) SGD does as well on many networks; Adam saves you most of the trials, and so it is what these lessons use.

# %% tags=["folded"]
if as_shipped:
    assert np.mean(by_sgd[-25:]) < 0.9 and max(too_fast) > 10, "SGD"
    assert np.mean(losses["bare tensors"][-25:]) < 0.65, "Adam learns"
    assert moves[0] > 0.95 and 0.2 < moves[9] < 0.4, "Adam's first steps"
    assert max(moves[49:]) < 0.15, "Adam's later steps"

# %% [markdown]
# ## Way 2: layers and an optimiser, in a loop of your own
#
# Three things above are the same in every project: the layers, the loss, the update rule.
# Here the framework brings them, and you keep the loop.

# %% [markdown] tags=["pytorch"]
# A network is a class.
# `__init__` makes the layers, and *assigning one to `self` registers its weights*: the network knows them from then on.
# `forward` says how images pass through, in ordinary Python; nobody calls it by name, for `network(images)` *calls it for you*.

# %% tags=["pytorch", "network"] counted="class"
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, hidden_width)
        self.output = nn.Linear(hidden_width, 10)

    def forward(self, images):
        hidden = F.relu(self.hidden(images.flatten(1)))
        return self.output(hidden)


def build_classifier(starting):
    return load_weights(Classifier(), starting).to(device)

# %% [markdown] tags=["pytorch"]
# `load_weights` is ours, from `tandem.pytorch`: it fills the shared arrays into the layers.
# What the two assignments have registered:

# %% tags=["pytorch"]
for name, parameter in build_classifier(start).named_parameters():
    print(f"{name:14}", tuple(parameter.shape))

# %% [markdown] tags=["pytorch"]
# (PyTorch keeps a kernel the other way round, outputs first; `load_weights` turns it.)

# %% [markdown] tags=["tensorflow"]
# A network is a class.
# `__init__` makes the layers, and *assigning one to `self` registers its weights*: the network knows them from then on.
# `call` says how images pass through, in ordinary Python; nobody calls it by name, for `network(images)` *calls it for you*.
#
# **Watch out:** a Keras layer makes its weights when it first learns the shape of its input, so a fresh `Classifier()` has none to load into.
# We tell it by calling it once on a `keras.Input`, a placeholder that has a shape and no content.

# %% tags=["tensorflow", "network"] counted="class"
class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(hidden_width, activation="relu")
        self.logits = layers.Dense(10)

    def call(self, images):
        hidden = self.hidden(self.flatten(images))
        return self.logits(hidden)


def build_classifier(starting):
    network = Classifier()
    network(keras.Input((28, 28)))
    return load_weights(network, starting)

# %% [markdown] tags=["tensorflow"]
# `load_weights` is ours, from `tandem.tensorflow`: it fills the shared arrays into the layers.
# What the assignments have registered (`Flatten` has no weights):

# %% tags=["tensorflow"]
for variable in build_classifier(start).trainable_variables:
    print(f"{variable.name:14}", tuple(variable.shape))

# %% [markdown]
# The loss comes from the framework too, and here is the first trap of both.
# Probabilities and logits are both just ten numbers, and a loss that was promised the one takes the other.
# First the wrong line, then the right one:

# %% tags=["pytorch"]
labels = torch.arange(10)
# probability 1 for the true class of each of ten images
perfect = torch.eye(10)
wrong = F.cross_entropy(perfect, labels)
right = F.cross_entropy(40 * perfect - 20, labels)
print(f"perfect probabilities:    {wrong:.3f}   wrong")
print(f"perfect, as logits (±20): {right:.3f}   right")

# %% [markdown] tags=["pytorch"]
# **Watch out:** `F.cross_entropy` takes **logits** and applies softmax itself.
# Give it probabilities and softmax is applied twice: even a perfect network has the loss 1.461.
# Keras' default is the opposite, it expects probabilities.

# %% tags=["tensorflow"]
images, labels = next(batches(seed))
logits = build_classifier(start)(images)
by_default = keras.losses.SparseCategoricalCrossentropy()
from_logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
print(f"logits, default settings:  {by_default(labels, logits):.3f}   wrong")
print(f"logits, from_logits=True:  {from_logits(labels, logits):.3f}   right")

# %% [markdown] tags=["tensorflow"]
# **Watch out:** Keras' cross-entropy expects **probabilities** unless told `from_logits=True`.
# Given logits, it clips them between 0 and 1 and goes on, without a message.
# PyTorch's is the opposite, it expects logits.

# %% [markdown]
# Logits are the better habit: the logarithm and the exponential cancel on paper before the computer can round them.
# Now the optimiser and the step.

# %% tags=["pytorch", "network"] counted="step"
def build_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=learning_rate,
                            betas=(beta_1, beta_2), eps=epsilon)


def train_step(network, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()  # fills parameter.grad of every weight
    optimizer.step()
    return loss.detach()

# %% [markdown] tags=["pytorch"]
# **Watch out:** `backward` **adds** to what is in `.grad`.
# That is useful (a large batch in two halves), and a bug wherever `zero_grad` is forgotten:

# %% tags=["pytorch"]
network = build_classifier(start)
images, labels = to_tensors(*next(batches(seed)))
for call in (1, 2, 3):
    F.cross_entropy(network(images), labels).backward()
    length = network.output.bias.grad.norm()
    print(f"backward number {call}: |gradient| of a bias {length:.3f}")

# %% [markdown] tags=["tensorflow"]
# The step is way 1's again: tape, gradients, update, with `optimizer.apply` for the last.
# Three things are new.
# `training=True` tells the layers that they are being trained: ours do not care, but dropout (exercise 3) works only then.
# `@tf.function` makes a graph of the step when it is first called, and runs that from then on: it is faster, and lesson 3 says what else it does; without the line the losses are the same.
# A graph cannot make the optimiser's variables (Adam's two means of each weight), so `optimizer.build` makes them before.

# %% tags=["tensorflow", "network"] counted="step"
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(
        learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
    )
    # makes Adam's variables now, before there is a graph
    optimizer.build(network.trainable_variables)
    return optimizer


@tf.function  # a graph, made when first called with a new network
def train_step(network, optimizer, images, labels):
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, network(images, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss

# %% [markdown] tags=["tensorflow"]
# Gradients are values here, a list that you hold in your hand; nothing is left over for the next step.
# (PyTorch's `backward` stores them in the weights and adds, so its loop must clear them.)
# A tape serves once, unless made with `persistent=True`; asking it again is an error, not a wrong number.

# %% [markdown]
# The loop is the one from way 1, with other contents:

# %% tags=["pytorch"] counted="loop"
reference = "nn.Module, own loop"
network = build_classifier(start)
optimizer = build_optimizer(network)
losses[reference] = []
for batch in first_epoch():
    loss = train_step(network, optimizer, *to_tensors(*batch))
    losses[reference].append(float(loss))

# %% tags=["tensorflow"] counted="loop"
reference = "GradientTape, own loop"
network = build_classifier(start)
optimizer = build_optimizer(network)
losses[reference] = []
for batch in first_epoch():
    loss = train_step(network, optimizer, *to_tensors(*batch))
    losses[reference].append(float(loss))

# %% [markdown]
# Are those the losses of our hand-written step?
# From here on each way is held against this one.
# Two ways *agree* if none of their first ten losses differs by more than a thousandth, nor the mean of the epoch by more than a hundredth:

# %%
def agrees(way):
    apart = records.relative_difference(losses[way], losses[reference])
    mean, expected = np.mean(losses[way]), np.mean(losses[reference])
    return bool(apart[:10].max() < 1e-3 and abs(mean / expected - 1) < 0.01)


def check(way):
    early = ", ".join(f"{loss:.3f}" for loss in losses[way][:4])
    print(f"{way}: {early} …")
    print(f"agrees with '{reference}': {agrees(way)}")


check("bare tensors")

# %% [markdown]
# The optimiser, then, is no mystery: it is the handful of lines of `adam_step`.
#
# ## Way 3: a ready-made container, and `fit`
#
# Our network is a row of layers, each fed by the one before.
# For that, both frameworks have a container named `Sequential`, and no class is needed.

# %% tags=["pytorch"] counted="sequential"
def build_sequential(starting):
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, hidden_width),
        nn.ReLU(),
        nn.Linear(hidden_width, 10),
    )
    return load_weights(network, starting).to(device)

# %% [markdown] tags=["pytorch"]
# The step and the loop do not care which kind of module they get.
# But soon we shall want more of the loop: many epochs, their losses noted, and after each a look at the validation images.
# Keras brings a `fit` that does it.
# The PyTorch library has none, on purpose (Lightning and others stand on top of it), so we write our own.
#
# First, how good is a network on images that it does not train on: its loss, and the share of right answers?
# `inference_mode` records nothing for gradients; `eval()` puts layers such as dropout (exercise 3) into the state in which they are used.

# %% tags=["pytorch"] counted="evaluate"
@torch.inference_mode()
def evaluate(network, images, labels):
    network.eval()
    images, labels = to_tensors(images, labels)
    logits = network(images)
    accuracy = (logits.argmax(1) == labels).float().mean()
    return F.cross_entropy(logits, labels).item(), accuracy.item()

# %% [markdown] tags=["pytorch"]
# The rest is an inner loop over batches and an outer loop over epochs.
# (`epochs` of `fit` is what to loop over, `range(1)` for one; what a `scheduler` is comes later in this lesson.)

# %% tags=["pytorch"] counted="fit"
def train_epoch(network, optimizer, stream, step=train_step, scheduler=None):
    network.train()  # undoes eval()
    batch_losses = []
    for batch in islice(stream, steps_per_epoch):
        batch_losses.append(step(network, optimizer, *to_tensors(*batch)))
        if scheduler:
            scheduler.step()
    return torch.stack(batch_losses)


def fit(network, optimizer, epochs, **how):
    names = ("batch_loss", "loss", "val_loss", "val_accuracy")
    history, stream = {name: [] for name in names}, batches(seed)
    for _ in epochs:
        batch_losses = train_epoch(network, optimizer, stream, **how)
        loss, accuracy = evaluate(network, *validation)
        history["batch_loss"] += batch_losses.tolist()
        history["loss"].append(batch_losses.mean().item())
        history["val_loss"].append(loss)
        history["val_accuracy"].append(accuracy)
    return history

# %% [markdown] tags=["pytorch"]
# A detail that pays on a GPU: the losses stay tensors until the epoch ends.
# `float(loss)` at every step, as in the loops above, makes Python wait for the GPU each time.

# %% tags=["pytorch"] counted="sequential fit"
network = build_sequential(start)
history = fit(network, build_optimizer(network), range(1))
losses["nn.Sequential, own fit"] = history["batch_loss"]

# %% [markdown] tags=["pytorch"]
# Now look at the number that such a `fit` gives for the epoch, and at the loss of the network it leaves behind, **on the same training images**:

# %% tags=["pytorch"]
check("nn.Sequential, own fit")
running_mean = np.cumsum(losses[reference]) / np.arange(1, steps_per_epoch + 1)
after, _ = evaluate(network, train_images, train_labels)
print(f"fit says {history['loss'][0]:.2f}; the network has {after:.2f}")

# %% tags=["tensorflow"] counted="sequential"
def build_sequential(starting):
    network = keras.Sequential([
        keras.Input((28, 28)),
        layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dense(10),
    ])
    return load_weights(network, starting)

# %% [markdown] tags=["tensorflow"]
# A Keras model brings its own loop.
# `compile` tells it the optimiser, the loss, and what else to report (`metrics`: nothing yet); then `fit` runs it: no tape, no step.

# %% tags=["tensorflow"] counted="compile"
def compiled(network, rate=learning_rate, metrics=None):
    network.compile(
        optimizer=keras.optimizers.Adam(
            rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=metrics,
    )
    return network

# %% [markdown] tags=["tensorflow"]
# To see what it does we need a **callback**: an object that `fit` calls at fixed points (after a batch, after an epoch, at the end) with what it has to report.
#
# **Watch out:** given arrays, `fit` makes batches of 32 and shuffles them in a random order of its own.
# To have the shared order we give it our generator, and say how many batches make an epoch.
# A generator cannot be shuffled, so we say `shuffle=False`; otherwise Keras warns that it will not.

# %% tags=["tensorflow"]
def recorder(reported):
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: reported.append(dict(logs))
    )

# %% [markdown] tags=["tensorflow"]
# The whole training is one call:

# %% tags=["tensorflow"] counted="sequential fit"
network, reported = compiled(build_sequential(start)), []
history = network.fit(
    batches(seed), steps_per_epoch=steps_per_epoch, epochs=1,
    shuffle=False, callbacks=[recorder(reported)], verbose=0,
).history

# %% [markdown] tags=["tensorflow"]
# And the losses?

# %% tags=["tensorflow"]
running_mean = np.array([logs["loss"] for logs in reported])
for step in sorted({1, 2, min(10, steps_per_epoch)}):
    print(f"step {step:2}: fit reports {running_mean[step - 1]:.3f}, "
          f"the loop had {losses[reference][step - 1]:.3f}")

# %% [markdown] tags=["tensorflow"]
# Not the same!
# Before you look for a bug in the network: `fit` reports something else than a batch's loss.
# Its first number agrees, its second lies between the loop's first two losses: it is a **running mean**, after batch $t$ the average of the losses of batches 1 to $t$ of this epoch.
# So the losses themselves can be had back from it:

# %% tags=["tensorflow"]
def single_losses(running_mean):
    totals = np.array(running_mean) * np.arange(1, len(running_mean) + 1)
    return np.diff(totals, prepend=0)


losses["Sequential, fit"] = single_losses(running_mean)
check("Sequential, fit")

# %% [markdown] tags=["tensorflow"]
# The same losses after all.
# Now look at the number that `fit` gives for the epoch, and at the loss of the network it leaves behind, **on the same training images**:

# %% tags=["tensorflow"]
after = network.evaluate(
    train_images, train_labels, batch_size=1000, verbose=0
)
print(f"fit says {history['loss'][0]:.2f}; the network has {after:.2f}")

# %% [markdown]
# **Watch out:** the training loss of an epoch is an average over networks that no longer exist: the weights changed after every batch.
# Early in training it is too high, and so a validation loss can lie *below* the training loss with nothing wrong.
# Who compares the two must evaluate both with the same weights.

# %%
lags = running_mean[-1] > after
plots.curves(
    {
        "each batch": losses[reference],
        "running mean, what fit reports": running_mean,
        "network after the epoch": ([1, steps_per_epoch], [after, after]),
    },
    "fit's report" + (" lags behind the network it trains" if lags else ""),
)

# %% [markdown] tags=["pytorch"]
# What is in Keras' `fit` and not in ours: it compiles the step to a graph, takes callbacks (functions of yours that it calls after each batch or epoch), and spreads the work over devices, each for an argument or a `with`.
# Ours has something that Keras' has not: you can read it, and put a line or a breakpoint wherever you like.

# %% [markdown] tags=["tensorflow"]
# PyTorch has no `fit`; its users write two nested loops, over epochs and batches (the twin does), and can put a line or a breakpoint wherever they like.
# In return `fit` compiles the step to a graph, takes callbacks, and spreads the work over devices, for one argument or one `with` each.

# %% [markdown]
# ## Way 4: the network as a graph *(optional)*
#
# Not every network is a row.
# When layers branch and join, it helps to have the network as a **graph**: a description that can be drawn, cut and checked before any image passes.

# %% [markdown] tags=["pytorch"]
# Keras' *Functional API* builds such a graph by hand.
# PyTorch has **no counterpart**, because it needs none to build a branching network: `forward` is Python, and a branch is two variables.
# What it can do is go the other way, and read the graph off the code by running `forward` with a placeholder.
# `torch.fx` shows it best (to export a graph, today's way is `torch.export`: lesson 16).
# The traced network is a module like any other, so the same loop trains it:

# %% tags=["pytorch"] counted="graph"
network = fx.symbolic_trace(build_classifier(start))
history = fit(network, build_optimizer(network), range(1))
losses["torch.fx graph, own fit"] = history["batch_loss"]
print(network.graph)
check("torch.fx graph, own fit")

# %% [markdown] tags=["pytorch"]
# Each line of the graph is a node: a placeholder, a call of a method, of a module, or of a function.

# %% [markdown] tags=["tensorflow"]
# In the *Functional API* a layer is called on a placeholder and returns the next one.
# Naming where the network begins and where it ends makes the model.
# PyTorch has no counterpart: there a branch is two variables in `forward`.
# And what the graph is good for: any placeholder can be named as another model's output.

# %% tags=["tensorflow"] counted="functional"
inputs = keras.Input((28, 28))
flat = layers.Flatten()(inputs)
hidden = layers.Dense(hidden_width, activation="relu")(flat)
outputs = layers.Dense(10)(hidden)

network, reported = load_weights(keras.Model(inputs, outputs), start), []
compiled(network).fit(
    batches(seed), steps_per_epoch=steps_per_epoch, epochs=1,
    shuffle=False, callbacks=[recorder(reported)], verbose=0,
)
losses["Functional, fit"] = single_losses([logs["loss"] for logs in reported])
check("Functional, fit")
until_hidden = keras.Model(inputs, hidden)  # shares all its weights
print("hidden activations:", until_hidden(validation[0][:1]).shape)

# %% [markdown]
# ## Way 5: a step of your own inside `fit` *(optional)*
#
# Suppose you want to see one more number at every step: the length of the gradient, all weights taken together.
# A loop of your own takes a line or two more.
# How does it get into `fit`?

# %% [markdown] tags=["pytorch"]
# In PyTorch this is the ordinary case.
# A step is a function; our `fit` takes it as an argument.

# %% tags=["pytorch"] counted="own step"
gradient_norms = []


def step_with_norm(network, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    gradient_norms.append(nn.utils.get_total_norm(gradients).item())
    optimizer.step()
    return loss.detach()


network = build_classifier(start)
optimizer = build_optimizer(network)
history = fit(network, optimizer, range(1), step=step_with_norm)
losses["own step, own fit"] = history["batch_loss"]

# %% [markdown] tags=["pytorch"]
# `fit` did not notice, and the losses are the same:

# %% tags=["pytorch"]
check("own step, own fit")

# %% [markdown] tags=["tensorflow"]
# A model's `train_step` is what `fit` calls for each batch.
# Override it, and all the rest of `fit` (epochs, callbacks, the graph) stays.

# %% tags=["tensorflow"] counted="own step"
class NormReporter(Classifier):
    def train_step(self, batch):
        images, labels = batch
        with tf.GradientTape() as tape:
            logits = self(images, training=True)
            loss = self.compute_loss(y=labels, y_pred=logits)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        norm = tf.linalg.global_norm(gradients)
        return {"loss": loss, "gradient_norm": norm}

# %% [markdown] tags=["tensorflow"]
# The rest as before:

# %% tags=["tensorflow"] counted="own step fit"
network, reported = NormReporter(), []
network(keras.Input((28, 28)))
load_weights(network, start)
history = compiled(network).fit(
    batches(seed), steps_per_epoch=steps_per_epoch, epochs=1,
    shuffle=False, callbacks=[recorder(reported)], verbose=0,
).history
losses["own train_step, fit"] = [logs["loss"] for logs in reported]
gradient_norms = [logs["gradient_norm"] for logs in reported]

# %% [markdown] tags=["tensorflow"]
# **Watch out:** `fit` now reports what *we* return, and we return the loss of one batch, no mean.
# So what the history calls the loss of the epoch is the loss of its **last batch**.
# (To have the mean back: keep a `keras.metrics.Mean`, update it at every step, return its `result()`, and list it in `metrics`, so that `fit` resets it each epoch.)

# %% tags=["tensorflow"]
check("own train_step, fit")
last = losses["own train_step, fit"][-1]
print(f"history holds the last batch's loss: {history['loss'][0] == last}")

# %% [markdown]
# The number we wanted to see:

# %%
jumps = np.std(gradient_norms) > 0.2 * np.mean(gradient_norms)
plots.curves(
    {"gradient": gradient_norms},
    "The gradient's length"
    + (" jumps from batch to batch: a reason to average" if jumps else ""),
    y_label="length of the gradient",
)

# %% [markdown]
# ## All ways, one figure
#
# The same weights, the same images, the same rule: if the ways differ only in who writes what, their losses must agree.
# How far they are apart, at every step of the epoch:

# %%
_, axes = plt.subplots(figsize=(7.0, 2.6))
for way, values in losses.items():
    apart = records.relative_difference(values, losses[reference])
    shown = np.maximum(apart, 1e-9)
    axes.scatter(shown, [way] * len(shown), s=12, alpha=0.3)
axes.set(xscale="log", xlim=(5e-10, 1e-1),
         xlabel=f"relative difference from '{reference}' (1e-9: none)",
         title="How far the losses of the ways are apart: one dot a step")
axes.margins(y=0.15)
axes.invert_yaxis()

# %% [markdown]
# Single-precision numbers have about seven digits, so a difference near 1e-7 is one of rounding.

# %% [markdown] tags=["pytorch"]
# The ready-made ways agree to the last bit, here on a CPU: they run the same operations.
# The hand-written Adam does its arithmetic in another order, and differs in the seventh digit.

# %% [markdown] tags=["tensorflow"]
# `Sequential` and `Functional` stand further out for a reason of ours: their losses were computed back from a rounded running mean, and multiplying it by up to 125 batches multiplies its rounding as well.
# The hand-written Adam is no matter of rounding: Keras adds $\epsilon$ at another place of the formula (the twin check shows it), a small difference at each step, which training magnifies to as much as a few hundredths at single steps.

# %% [markdown]
# Whatever way you choose, you do not choose the result: all agree in the sense of `check`, the first ten losses to a thousandth and the mean of the epoch to a hundredth.

# %% tags=["folded"]
if as_shipped:
    for way, values in losses.items():
        assert agrees(way), way
        # Keras' Adam is another than ours: see the twin check
        if way != "bare tensors" or framework == "pytorch":
            apart = records.relative_difference(values, losses[reference])
            assert apart[:20].max() < 1e-4, way

# %% [markdown]
# ## Overfitting: what the training loss does not tell
#
# So far one epoch.
# Now all of them, and after each a look at the validation images, from which the network learns nothing: their loss, and the **accuracy**, the share of right answers.

# %% tags=["pytorch"]
network = build_classifier(start)
history = fit(network, build_optimizer(network), range(epochs))


@torch.inference_mode()
def validation_logits(network):
    network.eval()
    return network(to_tensors(*validation)[0]).numpy(force=True)


logits_at_end = validation_logits(network)

# %% tags=["tensorflow"]
how = dict(steps_per_epoch=steps_per_epoch, shuffle=False,
           validation_data=validation, validation_batch_size=2000)
network = compiled(build_classifier(start), metrics=["accuracy"])
history = network.fit(
    batches(seed), epochs=epochs, verbose=0, **how
).history


def validation_logits(network):
    return network.predict(validation[0], batch_size=2000, verbose=0)


logits_at_end = validation_logits(network)

# %% [markdown]
# Where the validation loss is lowest, there was the best network we had, and nobody kept it:

# %% tags=["nbval-ignore-output"]
best_epoch = int(np.argmin(history["val_loss"])) + 1
_, panels = plt.subplots(1, 2, figsize=(8.5, 3.4))
plots.curves(
    {"training": history["loss"], "validation": history["val_loss"]},
    f"Validation loss is best at epoch {best_epoch}",
    x_label="epoch", axes=panels[0],
)
plots.curves(
    {"validation": history["val_accuracy"]}, "Validation accuracy",
    x_label="epoch", y_label="share of right answers", axes=panels[1],
)
panels[1].set_ylim(0.5, 1)
for axes in panels:
    axes.axvline(best_epoch, color=plots.OTHERS[2], linestyle=":")

around = slice(max(0, best_epoch - 3), best_epoch + 2)
for name in ("loss", "val_loss", "val_accuracy"):
    values = history[name]
    at_best, at_end = np.mean(values[around]), np.mean(values[-5:])
    print(f"{name:13} around the best {at_best:.3f}, at the end {at_end:.3f}")

# %% [markdown]
# (Each number is the mean of five epochs, for the curves are jagged.)
#
# The validation loss turns and rises: this is **overfitting**.
# The network has 203,530 weights and sees 8,000 images again and again: it begins to learn them by heart, and what is learnt by heart does not help with others.
# From some point on each epoch makes the training loss better and the network no better, or worse.
# (And in the first two epochs the training curve lies *above* the other: the running mean again.)
#
# Why does the accuracy hardly fall, if at all?
# It only asks which class comes first.
# A network that overfits changes its mind about few images; it grows *surer*, of its errors as well (the next section counts it), and the loss charges $-\log p_y$ for each of them.
# Who needs the answers alone may not care; who uses the probabilities must.

# %% tags=["folded"]
if as_shipped:
    assert history["loss"][-1] < 0.2, "the training loss falls"
    lowest_loss = min(history["val_loss"])
    assert history["val_loss"][-1] > lowest_loss + 0.01, "overfitting"
    accuracy = history["val_accuracy"]
    drop = np.mean(accuracy[around]) - np.mean(accuracy[-5:])
    assert drop < 0.015, "the accuracy hardly drops"

# %% [markdown]
# ## Early stopping and checkpoints
#
# The cure is simple: after each epoch, if the validation loss is the best so far, save the weights; after `patience` epochs without a new best, stop; then go back to the saved weights.
# (The validation curve is jagged.
# With a patience of 1 we would stop at the first tooth.)
# The files go to a temporary folder, which is deleted when the notebook ends.

# %%
temporary = tempfile.TemporaryDirectory()
folder = pathlib.Path(temporary.name)

# %% [markdown] tags=["pytorch"]
# PyTorch has no callback for this; one `if` in the loop does it.
# Why into a file, when `state_dict()` gives the weights?
# **Watch out:**

# %% tags=["pytorch"]
network = build_classifier(start)
remembered = network.state_dict()
before = remembered["output.bias"].abs().sum().item()
batch = to_tensors(*next(batches(seed)))
train_step(network, build_optimizer(network), *batch)
after = remembered["output.bias"].abs().sum().item()
print(f"remembered sum of |output bias|: {before:.3f}")
print(f"the same, one training step later: {after:.3f}")

# %% [markdown] tags=["pytorch"]
# `state_dict()` holds the weights themselves, not a copy: "the best weights" kept this way go on changing, and restoring them does nothing.
# Save them to a file, or use `copy.deepcopy`.

# %% tags=["pytorch"]
checkpoint = folder / "best.pt"
network = build_classifier(start)
optimizer, stream = build_optimizer(network), batches(seed)
stopped_losses, best, waited = [], float("inf"), 0
for epoch in range(1, epochs + 1):
    train_epoch(network, optimizer, stream)
    loss_at_stop, _ = evaluate(network, *validation)
    stopped_losses.append(loss_at_stop)
    waited += 1
    if loss_at_stop < best:
        torch.save(network.state_dict(), checkpoint)
        best, waited = loss_at_stop, 0
    if waited == patience:
        break

# %% [markdown] tags=["pytorch"]
# **Watch out:** the network now has the weights of the *last* epoch.
# Stopping early is not yet going back:

# %% tags=["pytorch", "nbval-ignore-output"]
network.load_state_dict(torch.load(checkpoint, map_location=device))
network_at_best = network
stopped_loss, _ = evaluate(network, *validation)
print(f"stopped after epoch {epoch} of {epochs}: "
      f"validation loss {loss_at_stop:.3f}")
print(f"went back to epoch {epoch - waited}: "
      f"validation loss {stopped_loss:.3f}")

# %% [markdown] tags=["tensorflow"]
# Keras brings both as callbacks, one to stop and one to save.

# %% tags=["tensorflow"]
checkpoint = folder / "best.weights.h5"
network = compiled(build_classifier(start))
stopped_losses = network.fit(
    batches(seed), epochs=epochs, verbose=0, **how,
    callbacks=[
        keras.callbacks.EarlyStopping(patience=patience),
        keras.callbacks.ModelCheckpoint(
            checkpoint, save_best_only=True, save_weights_only=True
        ),
    ],
).history["val_loss"]

# %% [markdown] tags=["tensorflow"]
# (Both watch `val_loss` unless told otherwise.)
# **Watch out:** the network now has the weights of the *last* epoch: `EarlyStopping` has `restore_best_weights=False` by default.
# Stopping early is not yet going back.
# We go back through the file.
# (With `restore_best_weights=True` Keras does it from memory: no file, and so nothing left if the machine fails.)
# `network.load_weights` is Keras' own and reads a file; our `load_weights(network, start)` fills in the shared arrays.

# %% tags=["tensorflow", "nbval-ignore-output"]
network.load_weights(checkpoint)
network_at_best = network
stopped_loss = network.evaluate(*validation, batch_size=2000, verbose=0)
print(f"stopped after epoch {len(stopped_losses)} of {epochs}: "
      f"validation loss {stopped_losses[-1]:.3f}")
print(f"went back to epoch {np.argmin(stopped_losses) + 1}: "
      f"validation loss {stopped_loss:.3f}")

# %% [markdown]
# Now we have both, the best network that early stopping saw and the one that went on to the last epoch.
# (Compare its epoch with that in the figure above: a better one that comes after `patience` epochs without progress, as in the run that PyTorch's notebook shows, is never seen; a larger patience finds it.)
# On the validation images that each gets **wrong**, how probable does it call the class that it says?

# %% tags=["nbval-ignore-output"]
def sureness_when_wrong(logits):
    log_p = logits.max(1) - np.logaddexp.reduce(logits, axis=1)
    return np.exp(log_p)[logits.argmax(1) != validation[1]].mean()


sure_at_best = sureness_when_wrong(validation_logits(network_at_best))
sure_at_end = sureness_when_wrong(logits_at_end)
print("mean probability of the said class, where it is wrong:")
print(f"best epoch {sure_at_best:.2f}, last epoch {sure_at_end:.2f}")

# %% [markdown]
# It is the overfitted network that is surer of its errors: this is what the validation loss charges for, and the accuracy does not see.

# %% tags=["folded"]
assert sure_at_end > sure_at_best or not as_shipped

# %% [markdown]
# ### Can a stranger read the file? *(optional)*
#
# A checkpoint is worth something only if a network that was never trained can read it.
# So we load it into one with *other* starting weights, and ask for the same loss:

# %% tags=["pytorch"]
stranger = build_classifier(starting_weights(seed + 1)["classifier"])
stranger.load_state_dict(torch.load(checkpoint, map_location=device))
read_loss, _ = evaluate(stranger, *validation)
same = np.isclose(read_loss, stopped_loss, rtol=1e-5)
print(f"a network that read the file has the same validation loss: {same}")

# %% [markdown] tags=["pytorch"]
# A file of weights is enough to *use* a network.
# To *go on training* it, Adam's two means and its step count are needed as well.
# They are in `optimizer.state_dict()`, which we did not save.
# If you mean to continue, put both into one dictionary, with the scheduler's `state_dict()` where there is one.

# %% tags=["tensorflow"]
import h5py

stranger = build_classifier(starting_weights(seed + 1)["classifier"])
stranger.load_weights(checkpoint)
compiled(stranger)
read_loss = stranger.evaluate(*validation, batch_size=2000, verbose=0)
same = np.isclose(read_loss, stopped_loss, rtol=1e-5)
print(f"a network that read the file has the same validation loss: {same}")
with h5py.File(checkpoint) as file:
    print("in the file:", sorted(file))

# %% [markdown] tags=["tensorflow"]
# A file of weights is enough to *use* a network.
# To *go on training* it, Adam's two means and its step count are needed as well.
# Keras has put them into the same file, although the argument is called `save_weights_only`, because the model was compiled when it was saved.
# (Our stranger was compiled after it had read the file, and so took the weights alone.)

# %% tags=["folded"]
assert same and np.isclose(stopped_loss, min(stopped_losses), rtol=1e-4)
long_run = history["val_loss"][:len(stopped_losses)]
close = np.allclose(stopped_losses, long_run, rtol=0.05)
assert close or not as_shipped, "up to the stop it is the long run"

# %% [markdown]
# ## A learning-rate schedule
#
# The jagged validation curve has a likely cause: near the end the steps are too long, and the network jumps about a valley instead of going down it.
# So we make the learning rate fall, along half a cosine, to zero:
#
# $$\alpha_t = \tfrac12\,\alpha_0 \left(1 + \cos \frac{\pi t}{T}\right)$$
#
# Here $t$ counts steps and $T$ is the whole run in steps, now of half as many epochs: when the rate has fallen, there is nothing left to wait for.

# %% [markdown] tags=["pytorch"]
# In PyTorch the schedule is an object beside the optimiser.
# Time passes for it when *you* call `scheduler.step()`: forget the call and the rate stays constant; call it once a batch and $T$ is in batches, once an epoch and it is in epochs.
# We ask it for the rate of every step, of an optimiser that has one weight and nothing to do:

# %% tags=["pytorch", "network"]
scheduled_epochs = max(1, epochs // 2)
total_steps = scheduled_epochs * steps_per_epoch


def build_schedule(optimizer, length):
    return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=length)


def learning_rates(length=total_steps):
    idle = torch.optim.SGD([torch.zeros(1)], lr=learning_rate)
    scheduler, rates = build_schedule(idle, length), []
    for _ in range(total_steps):
        rates.append(scheduler.get_last_lr()[0])
        idle.step()
        scheduler.step()
    return np.array(rates)

# %% [markdown] tags=["tensorflow"]
# In Keras the schedule is a function of the step, given to the optimiser *as* its learning rate.
# Every update advances it, there is nothing to call and nothing to forget; so $T$ is always in steps.
# We ask it for the rate of every step:

# %% tags=["tensorflow", "network"]
scheduled_epochs = max(1, epochs // 2)
total_steps = scheduled_epochs * steps_per_epoch


def build_schedule(length):
    return keras.optimizers.schedules.CosineDecay(learning_rate, length)


def learning_rates(length=total_steps):
    schedule = build_schedule(length)
    return np.array([float(schedule(step)) for step in range(total_steps)])

# %% [markdown]
# **Watch out:** a schedule that counts steps and is told epochs does something you did not mean, and says nothing.
# We draw the wrong one too:

# %%
_, panels = plt.subplots(1, 2, figsize=(8.5, 3.2), sharey=True)
plots.curves({"wrong": learning_rates(scheduled_epochs)[:100]},
             "Wrong, T in epochs: the first steps",
             y_label="learning rate", axes=panels[0])
plots.curves({"right": learning_rates()},
             "Right, T in steps: the whole run", y_label="", axes=panels[1])

# %% [markdown] tags=["pytorch"]
# Past its end the cosine goes up again, and down, and up.
#
# Now we train with the right one, and watch: `tqdm` wraps anything that can be looped over, and draws a bar.

# %% tags=["pytorch", "nbval-ignore-output"]
from tqdm import tqdm

network = build_classifier(start)
optimizer = build_optimizer(network)
scheduler = build_schedule(optimizer, total_steps)
bar = tqdm(range(scheduled_epochs), desc="epochs", ncols=70, file=sys.stdout)
scheduled = fit(network, optimizer, bar, scheduler=scheduler)
scheduled_loss = scheduled["val_loss"][-1]

# %% [markdown] tags=["tensorflow"]
# Past its end it stays at zero, and the network stops learning in the first epoch.
#
# Now we train with the right one, and watch: `verbose=1`, the default, draws a bar for each epoch (`2` prints a line, `0` nothing).

# %% tags=["tensorflow", "nbval-ignore-output"]
network = compiled(build_classifier(start), build_schedule(total_steps))
scheduled = network.fit(
    batches(seed), epochs=scheduled_epochs, verbose=1, **how
).history
scheduled_loss = scheduled["val_loss"][-1]

# %% [markdown]
# Did the schedule help?

# %%
def climbed(values):  # how much of the way was uphill
    return np.maximum(np.diff(values), 0).sum()


constant, falling = history["val_loss"], scheduled["val_loss"]
smoother = climbed(falling) < climbed(constant[:scheduled_epochs])
plots.curves(
    {"constant": constant, "falling along a cosine": falling},
    "Validation loss is smoother where the rate falls" if smoother
    else "Validation loss with a constant and with a falling rate",
    x_label="epoch", y_label="validation loss",
)

# %% [markdown]
# The lowest point of the constant run may lie below the scheduled run's end, but to have it you must have watched and stopped; the scheduled run ends at its own by itself.
#
# ## Logs for TensorBoard *(optional)*
#
# A longer run is watched from another room: the training writes its numbers into files, and TensorBoard, a program with a page in the browser, reads them every few seconds.

# %% [markdown] tags=["pytorch"]
# `SummaryWriter` writes a number under a name.
# In a loop of your own the call stands where the number comes up; ours is over, so we write its history.
# (The second line asks TensorBoard to do without TensorFlow, all of which it would import where that is installed, as it is here for the twin.)

# %% tags=["pytorch"]
import tensorboard.compat
sys.modules["tensorboard.compat.notf"] = tensorboard.compat

from torch.utils.tensorboard import SummaryWriter

logs = pathlib.Path(tempfile.mkdtemp(dir=folder))  # new for each run
with SummaryWriter(logs) as writer:
    for epoch, loss in enumerate(scheduled["val_loss"]):
        writer.add_scalar("loss/validation", loss, epoch)

# %% [markdown] tags=["tensorflow"]
# A callback writes them, one more beside those that you have met:

# %% tags=["tensorflow"]
logs = pathlib.Path(tempfile.mkdtemp(dir=folder))  # new for each run
logged = compiled(build_classifier(start)).fit(
    batches(seed), epochs=min(epochs, 2), verbose=0, **how,
    callbacks=[keras.callbacks.TensorBoard(logs)],
).history

# %% [markdown]
# Ours go with the temporary folder.
# To keep yours, write them into a folder such as `runs/logs`; then `tensorboard --logdir runs/logs` in a terminal shows the address to open.
# Here we read the files ourselves, to see that the curve is in them:

# %% tags=["pytorch"]
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

events = EventAccumulator(str(logs)).Reload().Scalars("loss/validation")
read_back = [event.value for event in events]
written = np.allclose(read_back, scheduled["val_loss"], rtol=1e-6)
print(f"the files hold the validation losses of the run: {written}")

# %% tags=["tensorflow"]
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

where = str(logs / "validation")  # one folder for each set of images
events = EventAccumulator(where).Reload().Tensors("epoch_loss")
read_back = [float(tf.make_ndarray(event.tensor_proto)) for event in events]
written = np.allclose(read_back, logged["val_loss"], rtol=1e-6)
print(f"the files hold the validation losses of the run: {written}")

# %% [markdown] tags=["pytorch"]
# With more than one run in subfolders of `runs/logs`, TensorBoard draws them over each other.

# %% [markdown] tags=["tensorflow"]
# **Watch out:** Keras writes its numbers as tensors, not as TensorBoard's "scalars", and of those this reader keeps ten a curve unless it is told `size_guidance={"tensors": 0}`, all.

# %% tags=["folded"]
assert written

# %% [markdown]
# ## The worst mistakes
#
# We keep whichever network has the lower **validation** loss, the one that stopped early or the one with the schedule: choosing is what those images are for.
# Only then do we open the test set.

# %% tags=["pytorch"]
keeps_schedule = scheduled_loss < stopped_loss
best_network = network if keeps_schedule else network_at_best
best_network.eval()
with torch.inference_mode():
    inputs = torch.as_tensor(test_images, device=device)
    test_logits = best_network(inputs).numpy(force=True)

# %% tags=["tensorflow"]
keeps_schedule = scheduled_loss < stopped_loss
best_network = network if keeps_schedule else network_at_best
test_logits = best_network.predict(test_images, batch_size=2000, verbose=0)

# %% [markdown]
# From here on there are no tensors, only an array of logits, and one look at the truth:

# %% tags=["nbval-ignore-output"]
predicted = test_logits.argmax(axis=1)
test_accuracy = float(np.mean(predicted == test_labels))
error = np.sqrt(test_accuracy * (1 - test_accuracy) / len(test_labels))
print("kept:", "the schedule" if keeps_schedule else "early stopping")
print(f"test accuracy {test_accuracy:.3f}, give or take {error:.3f}")

# %% [markdown]
# "Give or take" is the standard error of a proportion among 2,000 images: two networks half a point apart may well be equally good.
# For comparison: the README of Fashion-MNIST lists .835 for people who are not experts, and .900 for a deeper network of this kind; the full set has 60,000 training images, we used 8,000.
#
# What went wrong, then?
# The images to which the network gave the least probability for their true class:

# %%
total = np.logaddexp.reduce(test_logits, axis=1)
log_truth = test_logits[np.arange(len(test_labels)), test_labels] - total
worst = np.argsort(log_truth)[:12]
names = data.FASHION_CLASSES
captions = [
    f"said {names[predicted[i]]}\nis {names[test_labels[i]]}" for i in worst
]
plots.images(
    test_images[worst],
    "The worst mistakes: are the labels always right?",
    captions, columns=6, size=1.1,
)

# %% [markdown]
# Look at mistakes before you change a network.
# A pair of trousers, both legs in sight, that it takes for a dress is a job for a better network; a label with which you disagree is not.

# %% tags=["folded"]
assert test_accuracy >= 0.85 or not as_shipped

# %% [markdown]
# ## The twin check
#
# Now the other notebook.
# Each leaves a record of its run, and reads the other's, which was made with the same parameters.

# %% tags=["folded"]
mine = records.save(
    "02_training",
    framework,
    parameters_used,
    {
        "loss": losses[reference],
        "validation loss by epoch": history["val_loss"],
    },
    parameter_count=weights.count(start),
    test_accuracy=test_accuracy,
)
twin = records.load("02_training", other, parameters_used)

# %% [markdown]
# The losses of way 2, step by step, and the scores:

# %% tags=["nbval-ignore-output"]
plots.twins(mine, twin, "Way 2 in both frameworks")
print(records.compare(mine, twin))
if twin:
    both = [record["losses"]["loss"][:2] for record in (mine, twin)]
    second = records.relative_difference(*both)[-1]
    print(f"loss, step {len(both[0])}: {second:.0e} apart")

# %% [markdown]
# The first losses are equal: the networks are the same.
# At step 2, after one update, they differ by 4e-5 (with the lesson's values), hundreds of times more than rounding.
# The layers are ready-made on both sides, the gradients too; what remains is Adam, and there the frameworks do part.
#
# PyTorch adds $\epsilon$ as the formula of way 1 does, to the *corrected* root: Algorithm 1 of the paper.
# Keras adds it before the correction, a shortcut from the same paper ("epsilon hat"), which comes to dividing $\epsilon$ by $\sqrt{1-\beta_2^t}$: at the first step it is 32 times as large.
# Whether such a difference *matters* is another question: the test accuracies above are equal within their error, although the twins may have kept networks of different runs.
#
# ### Proving it *(optional)*
#
# We ought to be able to *show* that it is this and nothing else.
# There are two suspects: the place of $\epsilon$; and the powers $\beta^t$, which Keras computes in float32 and PyTorch in float64.
# Our hand-written step takes the rate and $\epsilon$ as arguments, so it can do as Keras does, first in the one thing, then in both:

# %%
def as_in_the_paper(number):
    return learning_rate, epsilon


def kerass_place(number):
    return learning_rate, epsilon / (1 - beta_2**number) ** 0.5


def kerass_powers(number):
    def correction(number, first, second):
        return (1 - second**number) ** 0.5 / (1 - first**number)

    exact = correction(number, beta_1, beta_2)
    rounded = correction(*map(np.float32, (number, beta_1, beta_2)))
    return learning_rate * float(rounded) / exact, kerass_place(number)[1]

# %% [markdown]
# The first epoch three times by hand, each held against Keras' own losses:

# %% tags=["nbval-ignore-output"]
def by_hand(constants):
    state = adam_start()
    return [float(adam_step(state, number, *to_tensors(*batch),
                            *constants(number)))
            for number, batch in enumerate(first_epoch(), 1)]


kerass = {framework: mine, other: twin}["tensorflow"]
suspects = {"Algorithm 1": as_in_the_paper, "Keras' place of ε": kerass_place,
            "both: place, powers": kerass_powers}
if kerass:
    expected = kerass["losses"]["loss"]
    apart = {name: records.relative_difference(by_hand(rule), expected)
             for name, rule in suspects.items()}
    plots.curves(
        {name: np.maximum(each, 1e-9) for name, each in apart.items()},
        "Our Adam held against Keras'", log=True,
        y_label="relative difference of the losses",
    )
    for name, each in apart.items():
        print(f"{name:20}step 2: {each[:2][-1]:.0e}, "
              f"most of the first 50: {each[:50].max():.0e}")

# %% [markdown]
# The place of $\epsilon$ makes the difference of step 2, and nearly all of it afterwards.
# With Keras' place what remains over the first fifty steps is a few millionths, which the powers make: they change the rate by less than about a hundred-thousandth.
# With both, the two agree to the last digit, for some fifty steps; then rounding itself begins to grow (lesson 4 shows how).
#
# So it was neither the layers, nor the loss, nor the gradients: of everything that two large frameworks do here, two constants in one line of Adam made them differ.

# %% tags=["folded"]
# a record of an older lesson may lie there: its network starts elsewhere
if as_shipped and kerass and apart["Algorithm 1"][0] < 1e-5:
    assert apart["Keras' place of ε"][:20].max() < 1e-4
    assert apart["both: place, powers"][:20].max() < 1e-5

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow / Keras | why it matters |
# |---|---|---|---|
# | the loop | yours | yours (`GradientTape`) or `fit` | `fit` is short; a loop can be read, stopped and changed |
# | cross-entropy | takes logits | takes probabilities unless `from_logits=True` | a wrong loss is a number like any other: no message |
# | gradients | `backward` stores them in the weights, added up | returned as a list by the tape | PyTorch needs `zero_grad` |
# | Adam's epsilon | 1e-8, on the corrected root | 1e-7, on the plain root | the value we set equal; the place makes our twins differ |
# | weights appear | when the layer is made | when it first sees a shape | load or count them only after that |
# | loss of an epoch | what you average | a running mean; the last batch, if `train_step` returns a plain loss | training and validation loss are not comparable as reported |
# | graph of layers | read off `forward` (`torch.fx`) | built by hand (Functional API) | branches are plain Python, or placeholders |
# | early stopping | an `if` in the loop | `EarlyStopping`, does not restore by default | PyTorch: go back to the best weights yourself; Keras: by file or `restore_best_weights=True` |
# | keeping weights | `state_dict()` is a view of the weights; copy or save it | `ModelCheckpoint` writes a file | "best weights" that go on changing |
# | schedule | advances when you call it | advances with every update | know what $T$ counts |

# %% [markdown]
# ## The whole program
#
# What is left when nothing is compared: one way, the framework's own starting weights and batches, at most 20 epochs with a falling rate, and the best weights kept.
# With the imports of *Set-up*, and your own files (pixels in float32 from 0 to 1, labels as whole numbers) in the place of `data.fashion_mnist()`, this is a program to start from.
# (It asks the test images a second time, for the number alone: nothing is chosen by it.)

# %% tags=["pytorch"] counted="whole data"
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(0)
mine_to_use, held_back = (
    TensorDataset(torch.from_numpy(pictures), torch.from_numpy(classes))
    for pictures, classes in data.fashion_mnist()
)
to_learn, to_decide = random_split(mine_to_use, [0.8, 0.2])
loader = DataLoader(to_learn, batch_size=64, shuffle=True)

# %% [markdown] tags=["pytorch"]
# The model, and how good it is on some part of the data:

# %% tags=["pytorch"] counted="whole model"
model = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)
).to(device)
adam = torch.optim.Adam(model.parameters(), lr=1e-3)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
    adam, T_max=20 * len(loader)
)


@torch.inference_mode()
def score(part):
    model.eval()
    pictures, classes = (tensor.to(device) for tensor in part[:])
    logits = model(pictures)
    accuracy = (logits.argmax(1) == classes).float().mean().item()
    return F.cross_entropy(logits, classes).item(), accuracy

# %% [markdown] tags=["pytorch"]
# And the loop, which keeps the best weights:

# %% tags=["pytorch", "nbval-ignore-output"] counted="whole loop"
lowest = float("inf")
for _ in range(20):
    model.train()
    for pictures, classes in loader:
        adam.zero_grad()
        logits = model(pictures.to(device))
        loss = F.cross_entropy(logits, classes.to(device))
        loss.backward()
        adam.step()
        cosine.step()
    current, _ = score(to_decide)
    if current < lowest:
        lowest, best_weights = current, copy.deepcopy(model.state_dict())

model.load_state_dict(best_weights)
_, whole_accuracy = score(held_back)
print(f"test accuracy {whole_accuracy:.3f}")

# %% tags=["tensorflow"] counted="whole data"
keras.utils.set_random_seed(0)
(pictures, classes), held_back = data.fashion_mnist()
order = np.random.default_rng(0).permutation(len(pictures))

# %% [markdown] tags=["tensorflow"]
# The model:

# %% tags=["tensorflow"] counted="whole model"
model = keras.Sequential([
    keras.Input((28, 28)),
    layers.Flatten(),
    layers.Dense(256, activation="relu"),
    layers.Dense(10),
])
cosine = keras.optimizers.schedules.CosineDecay(1e-3, 20 * 8000 // 64)
model.compile(
    optimizer=keras.optimizers.Adam(cosine),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)

# %% [markdown] tags=["tensorflow"]
# And the training, which goes back to the best weights at its end:

# %% tags=["tensorflow", "nbval-ignore-output"] counted="whole loop"
model.fit(
    pictures[order], classes[order], validation_split=0.2,
    batch_size=64, epochs=20, verbose=0,
    callbacks=[keras.callbacks.EarlyStopping(
        patience=5, restore_best_weights=True
    )],
)
_, whole_accuracy = model.evaluate(*held_back, batch_size=2000, verbose=0)
print(f"test accuracy {whole_accuracy:.3f}")

# %% [markdown]
# From other starting weights and in another order (in PyTorch with another split, too), within "give or take" as good as the lesson's.

# %% tags=["folded"]
assert whole_accuracy >= 0.85 or altered

# %% [markdown]
# ## How much is there to write, and how much to know? *(optional)*
#
# Now to the claims.
# **Lines** are easily counted, and do not say much: a line can be hard or trivial.
# So we count **concepts** too: every name of the framework that the code uses and a reader has to know: functions and classes (`torch.optim.Adam`, `keras.Input`), methods and attributes of their objects (`.backward`, `.trainable_variables`), keyword arguments (`from_logits=`), and methods that the framework calls (`def forward`, `def call`).
# Python's own and ours are free.
# You may well count otherwise; here is how we did:

# %%
import ast

from tandem import ROOT

ROOTS = {"torch", "nn", "F", "tf", "keras", "layers"}
OURS = {"np", "data"}
FREE = {*dir(list), *dir(dict), *dir(tuple)}


def names_at(node):
    """The framework's names that stand at one node of the syntax tree."""
    if isinstance(node, ast.Attribute):
        root = ast.unparse(node).split(".")[0]
        if root in ROOTS:
            return {ast.unparse(node)}
        return set() if root in OURS else {f".{node.attr}"}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return {f"{keyword.arg}=" for keyword in node.keywords}
    if isinstance(node, ast.ClassDef):
        return {f"def {part.name}" for part in node.body} - {"def __init__"}
    return set()

# %% [markdown]
# Names that our own classes define are left out, and so are the beginnings of longer names (`keras.layers` in `keras.layers.Dense`):

# %%
def concepts(code):
    nodes = list(ast.walk(ast.parse(code)))
    own = {f".{node.attr}" for node in nodes if isinstance(node, ast.Attribute)
           and isinstance(node.ctx, ast.Store)}
    free = own | {f".{name}" for name in FREE}
    found = set().union(*map(names_at, nodes)) - free
    return {name for name in found
            if not any(longer.startswith(f"{name}.") for longer in found)}

# %% [markdown]
# Both notebooks are made from one text file, `lessons/02_training.py`, in which each cell says to which notebook it belongs, and these cells have a name there.
# So the cells of both sides can be counted, by the same rule.
# A way consists of the cells that it needs:

# %%
whole = "whole data, whole model, whole loop"
ways = {
    "pytorch": {
        "bare tensors": "bare network, bare Adam, to tensors, loop",
        "nn.Module, own loop": "class, to tensors, step, loop",
        "nn.Sequential, own fit":
            "sequential, to tensors, step, evaluate, fit, sequential fit",
        "own step, own fit":
            "class, to tensors, step, evaluate, fit, own step",
        "the whole program": whole,
    },
    "tensorflow": {
        "bare tensors": "bare network, bare Adam, to tensors, loop",
        "GradientTape, own loop": "class, to tensors, step, loop",
        "Sequential, fit": "sequential, compile, sequential fit",
        "own train_step, fit": "class, own step, compile, own step fit",
        "the whole program": whole,
    },
}

# %% [markdown]
# Lines are counted as Python itself would write them, one statement a line, however we have broken them.
# Loading the shared weights is counted, and so is writing down the losses.
# Imports are not, nor are Keras' `recorder` and `single_losses`, which only this comparison needs.

# %%
cells = {"pytorch": {}, "tensorflow": {}}
lesson = ROOT / "lessons" / "02_training.py"
for cell in lesson.read_text(encoding="utf-8").split("\n# %%"):
    marker, _, code = cell.partition("\n")
    if 'counted="' in marker:
        name = marker.split('counted="')[1].removesuffix('"')
        side = "pytorch" if '"pytorch"' in marker else "tensorflow"
        cells[side][name] = code

counts = {}
print(f"{'':36}{'lines':>8}{'concepts':>10}")
for side, label in (("pytorch", "PyTorch"), ("tensorflow", "Keras")):
    for way, needed in ways[side].items():
        code = "\n".join(cells[side][name] for name in needed.split(", "))
        written = ast.unparse(ast.parse(code)).splitlines()
        lines = sum(bool(line) and "import" not in line for line in written)
        names = len(concepts(code))
        print(f"{label:9}{way:27}{lines:8}{names:10}")
        if side == framework:
            counts |= {f"lines, {way}": lines, f"concepts, {way}": names}
counted = records.add(mine, **counts)

# %% [markdown]
# **C1, PyTorch is easier for beginners.**
# For bare tensors the two are level, 15 concepts each.
# With ready-made layers a loop of your own needs the fewest: 18 in PyTorch, 19 in Keras.
# `fit` asks for more, 22 in Keras, and 27 in PyTorch, where it had to be written first; and of the whole programs Keras' is the one with fewer, 24 against 28.
# So the claim holds for a loop by a single name, and turns round for the program that you would really write; some names in the row of `fit` (`callbacks=`, `steps_per_epoch=`) we need there only because we compare.
#
# **C2, TensorFlow needs much code, Keras less.**
# The `GradientTape` loop has 34 lines against PyTorch's 27, a quarter more.
# Keras with `fit` has the fewest of all, 8, and its whole program has 9 against PyTorch's 30: what you do not write as a line you say as an argument.
# Where `fit` has to do something of its own, PyTorch pays in lines (59 against 32) and Keras in concepts (33 against 31).
#
# What was **not** counted is how long it takes to understand a concept, what an error message looks like, and what you must *not* forget (`zero_grad` in PyTorch, `from_logits` in Keras).
# So this is evidence, not a verdict.
# Look across at the twin: which is easier for you?
#
# ## Exercises
#
# Now you.
# A check hands your function NumPy arrays and looks at what comes back, so it is the same in both notebooks, and so is the task: answer it in one framework, then in the other.

# %% tags=["pytorch", "classroom"]
from tandem.exercises import attempt
from tandem.pytorch import gradient_on_arrays, on_arrays

# %% tags=["tensorflow", "classroom"]
from tandem.exercises import attempt
from tandem.tensorflow import gradient_on_arrays, on_arrays

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the lesson with your own hands: from arrays to a network that learns, and nothing of ours in between (no `Classifier`, `train_step`, `load_weights`, `batches`).
# Layers or bare tensors, as you like.
#
# `learn(starting, images, labels)` makes our network of two layers, ReLU between them, with the weights `starting`, kernels and biases: a dictionary like `start` in this lesson, which stays as it is.
# It goes once through the images, however many they are, **in their order**, in batches of 64 (the last may be shorter); each step is plain SGD with the rate 0.1 on the mean cross-entropy of its batch.
# It returns the list of losses, one plain number a batch, each from *before* its update.

# %% [markdown] tags=["pytorch"]
# If you take layers: `layer.weight.copy_(array)` under `torch.no_grad()` fills one in; mind which way round PyTorch keeps a kernel.

# %% [markdown] tags=["tensorflow"]
# If you take layers: `layer.set_weights([kernel, bias])` fills one in, once the network has seen a shape.

# %% [markdown] tags=["hint"]
# `for begin in range(0, len(images), 64):` and a slice of the images and of the labels: that is all that a batch is.
# Before the loop stand the weights, after it `return losses`.

# %% [markdown] tags=["hint"]
# Bare: four tensors, from `starting["hidden"]["kernel"]` and so on, as in way 1.
# Layers of PyTorch keep the kernel the other way round: `layer.weight.copy_(torch.as_tensor(kernel.T))`, under `torch.no_grad()`.
# Layers of Keras: build the network first, then `layer.set_weights([kernel, bias])`.

# %% [markdown] tags=["hint"]
# Loss, gradients, update, in that order; `loss.item()` (PyTorch) or `float(loss)` (Keras) goes into the list.
# Does your loss get what it was promised, logits or probabilities?
# What is left of one step's gradients in the next?

# %% tags=["pytorch", "solution"]
def learn(starting, images, labels):
    ### BEGIN SOLUTION
    hidden, output = nn.Linear(784, hidden_width), nn.Linear(hidden_width, 10)
    with torch.no_grad():
        for layer, arrays in zip((hidden, output), starting.values()):
            layer.weight.copy_(torch.as_tensor(arrays["kernel"].T))
            layer.bias.copy_(torch.as_tensor(arrays["bias"]))
    mine = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), output)
    sgd, found = torch.optim.SGD(mine.parameters(), lr=0.1), []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64])
        truth = torch.as_tensor(labels[begin : begin + 64])
        sgd.zero_grad()
        loss = F.cross_entropy(mine(some), truth)
        loss.backward()
        sgd.step()
        found.append(loss.item())
    return found
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def learn(starting, images, labels):
    ### BEGIN SOLUTION
    hidden = layers.Dense(hidden_width, activation="relu")
    output = layers.Dense(10)
    mine = keras.Sequential(
        [keras.Input((28, 28)), layers.Flatten(), hidden, output]
    )
    for layer, arrays in zip((hidden, output), starting.values()):
        layer.set_weights([arrays["kernel"], arrays["bias"]])
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    found = []
    for begin in range(0, len(images), 64):
        some, truth = images[begin : begin + 64], labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            loss = loss_of(truth, mine(some))
        gradients = tape.gradient(loss, mine.trainable_variables)
        for weight, gradient in zip(mine.trainable_variables, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found
    ### END SOLUTION

# %% [markdown]
# The check trains the same network in NumPy, with gradients worked out by hand, and holds your losses against its own.
# It is the twin proof in small: who passes it in both notebooks has written one network twice.

# %% tags=["classroom", "folded"]
def loss_and_gradients(arrays, images, labels, bend=True):
    w1, b1, w2, b2 = arrays
    x, truth = images.reshape(len(images), -1), np.eye(10)[labels]
    before = x @ w1 + b1
    hidden = np.maximum(before, 0) if bend else before
    z = hidden @ w2 + b2
    log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    dz = (np.exp(log_p) - truth) / len(x)
    dh = dz @ w2.T * (before > 0)
    gradients = [x.T @ dh, dh.sum(0), hidden.T @ dz, dz.sum(0)]
    return -(truth * log_p).sum() / len(x), gradients, z

# %% [markdown]
# With that it is way 1 once more:

# %% tags=["classroom", "folded"]
def arrays_of(starting):
    return [starting[layer][kind].astype("float64")
            for layer in ("hidden", "output") for kind in ("kernel", "bias")]


def by_numpy(starting, images, labels):
    arrays, found = arrays_of(starting), []
    for begin in range(0, len(images), 64):
        part = slice(begin, begin + 64)
        loss, gradients, _ = loss_and_gradients(
            arrays, images[part], labels[part])
        found.append(loss)
        arrays = [w - 0.1 * g for w, g in zip(arrays, gradients)]
    return np.array(found)

# %% [markdown]
# Where they part it tries some frequent slips, and says which of them gives your number.

# %% tags=["classroom", "folded"]
def surprise(scores, truth):
    p = (scores * truth).sum(1) / scores.sum(1)
    return -np.log(p).mean()

# %% [markdown]
# First what the loss of step 1 may be, then that of step 2:

# %% tags=["classroom", "folded"]
def slips(starting, images, labels):
    """What frequent slips make of the first loss, and of the second."""
    first, then = [(images[i : i + 64], labels[i : i + 64]) for i in (0, 64)]
    w = arrays_of(starting)
    at = lambda arrays: loss_and_gradients(arrays, *then)[0]
    (loss, g, z), y = loss_and_gradients(w, *first), np.eye(10)[first[1]]
    p = np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True))
    twice, cut = np.exp(p), np.clip(z, 1e-7, 1 - 1e-7)
    moved = [a - 0.1 * b for a, b in zip(w, g)]
    yield {
        "the losses are added up; take the mean": loss * len(y),
        "softmax is applied twice; give the loss logits": surprise(twice, y),
        "it was given logits as probabilities": surprise(cut, y),
        "a ReLU is missing": loss_and_gradients(w, *first, False)[0],
        "it is the one after the update": loss_and_gradients(moved, *first)[0],
    }
    yield {
        "nothing has moved; does `w = w - ...` make a new array?": at(w),
        "the biases do not move": at([moved[0], w[1], moved[2], w[3]]),
        "the rate is 0.01": at([a - 0.01 * b for a, b in zip(w, g)]),
        "uphill; minus the gradient": at([a + 0.1 * b for a, b in zip(w, g)]),
        "that is Adam's step, not SGD's": at(
            [a - 1e-3 * np.sign(b) for a, b in zip(w, g)]),
    }

# %% [markdown]
# 650 images are ten batches of 64 and a short one:

# %% tags=["classroom", "folded"]
def same(one, other):
    return np.isclose(one, other, rtol=1e-4)


def what_is_wrong(given, wanted, starting, images, labels):
    """A sentence; "" where all losses are those wanted."""
    mean_so_far = np.cumsum(wanted) / np.arange(1, len(wanted) + 1)
    if same(given, mean_so_far).all():
        return ("they are running means, such as fit reports; "
                "each batch's own loss is wanted")
    wheres = ("look at the order of the images, the weights, the network, "
              "the loss", "look at the update")
    for step, found in enumerate(slips(starting, images, labels)):
        if not same(given[step], wanted[step]):
            reasons = [slip for slip, loss in found.items()
                       if np.isclose(given[step], loss, rtol=1e-3)]
            return (f"loss {step + 1} is {wanted[step]:.4f}, not "
                    f"{given[step]:.4f}: {(reasons or [wheres[step]])[0]}")
    wrong = np.flatnonzero(~same(given, wanted))
    return "" if not len(wrong) else (
        f"the losses before are right, but loss {wrong[0] + 1} is "
        f"{wanted[wrong[0]]:.4f}, not {given[wrong[0]]:.4f}: is anything "
        "left over from an earlier step?")

# %% [markdown]
# And now yours:

# %% tags=["check"]
fresh = starting_weights(seed + 3)["classifier"]
for arrays in fresh.values():
    arrays["bias"] += np.linspace(-0.3, 0.3, len(arrays["bias"]))
before, part = arrays_of(fresh), (train_images[:650], train_labels[:650])
wanted, given = by_numpy(fresh, *part), learn(fresh, *part)
untouched = all(map(np.array_equal, before, arrays_of(fresh)))
assert untouched, "`starting` itself was changed: copy its arrays"
found, kind = list(given) if np.iterable(given) else [], type(given)
assert len(found) == len(wanted), (
    f"a list of {len(wanted)} numbers is wanted (650 images are ten "
    f"batches of 64 and one of 10); yours: {kind.__name__} of {len(found)}"
)
single = not any(map(np.ndim, found))
assert single, "one number a batch: the mean of its images' losses"
given = np.array([float(loss) for loss in found])
unbiased = {n: {"kernel": a["kernel"], "bias": 0 * a["bias"]}
            for n, a in fresh.items()}
biased = not np.isclose(given[0], by_numpy(unbiased, *part)[0], rtol=1e-4)
assert biased, "the biases of `starting` are not 0: are they taken?"
by_64 = np.isclose(given[-1], wanted[-1] * 10 / 64, rtol=1e-4)
assert not by_64, "the last batch has 10 images: their mean, not a 64th"
problem = what_is_wrong(given, wanted, fresh, *part)
assert not problem, problem

# %% tags=["hidden"]
odd = train_images[650:850], train_labels[650:850]
wanted = by_numpy(fresh, *odd)
given = np.array([float(loss) for loss in learn(fresh, *odd)])
assert given.shape == wanted.shape, (
    f"200 images make {len(wanted)} batches, the last of them with 8 images"
)
assert np.allclose(given, wanted, rtol=1e-4), "other images, other losses"

# %% tags=["pytorch", "wrong"] mistake="takes logits for probabilities or the other way round"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        answers = (F.relu(some @ w1 + b1) @ w2 + b2).softmax(1)
        loss = F.cross_entropy(answers, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="takes logits for probabilities or the other way round"
def learn(starting, images, labels):
    hidden = layers.Dense(hidden_width, activation="relu")
    output = layers.Dense(10)
    mine = keras.Sequential(
        [keras.Input((28, 28)), layers.Flatten(), hidden, output]
    )
    for layer, arrays in zip((hidden, output), starting.values()):
        layer.set_weights([arrays["kernel"], arrays["bias"]])
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    found = []
    for begin in range(0, len(images), 64):
        some, truth = images[begin : begin + 64], labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            loss = loss_of(truth, mine(some))
        gradients = tape.gradient(loss, mine.trainable_variables)
        for weight, gradient in zip(mine.trainable_variables, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="lets earlier gradients in"
def learn(starting, images, labels):
    hidden, output = nn.Linear(784, hidden_width), nn.Linear(hidden_width, 10)
    with torch.no_grad():
        for layer, arrays in zip((hidden, output), starting.values()):
            layer.weight.copy_(torch.as_tensor(arrays["kernel"].T))
            layer.bias.copy_(torch.as_tensor(arrays["bias"]))
    mine = nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), output)
    sgd, found = torch.optim.SGD(mine.parameters(), lr=0.1), []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64])
        truth = torch.as_tensor(labels[begin : begin + 64])
        loss = F.cross_entropy(mine(some), truth)
        loss.backward()
        sgd.step()
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="lets earlier gradients in"
def learn(starting, images, labels):
    hidden = layers.Dense(hidden_width, activation="relu")
    output = layers.Dense(10)
    mine = keras.Sequential(
        [keras.Input((28, 28)), layers.Flatten(), hidden, output]
    )
    for layer, arrays in zip((hidden, output), starting.values()):
        layer.set_weights([arrays["kernel"], arrays["bias"]])
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    sgd, found = keras.optimizers.SGD(0.1, momentum=0.9), []
    for begin in range(0, len(images), 64):
        some, truth = images[begin : begin + 64], labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            loss = loss_of(truth, mine(some))
        gradients = tape.gradient(loss, mine.trainable_variables)
        sgd.apply(gradients, mine.trainable_variables)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="leaves out the short last batch"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images) - 63, 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        loss = F.cross_entropy(F.relu(some @ w1 + b1) @ w2 + b2, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="leaves out the short last batch"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images) - 63, 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="returns fit's running mean"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return list(np.cumsum(found) / np.arange(1, len(found) + 1))

# %% tags=["tensorflow", "wrong"] mistake="returns fit's running mean"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return list(np.cumsum(found) / np.arange(1, len(found) + 1))

# %% tags=["pytorch", "wrong"] mistake="adds up instead of averaging"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth, reduction="sum")
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="adds up instead of averaging"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="has no ReLU"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = (some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="has no ReLU"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = (some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="changes nothing with w = w - ..."
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight = weight - 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="changes nothing with w = w - ..."
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight = weight - 0.1 * gradient
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="takes another rate"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.01 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="takes another rate"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.01 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="starts with biases of zero"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array if array.ndim > 1 else 0 * array,
                     requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="starts with biases of zero"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array if array.ndim > 1 else 0 * array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="divides the short last batch by 64"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth, reduction="sum") / 64
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="divides the short last batch by 64"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_sum(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            ) / 64
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="leaves one loss an image"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth, reduction="none")
        gradients = torch.autograd.grad(loss.mean(), weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.detach().numpy())
    return found

# %% tags=["tensorflow", "wrong"] mistake="leaves one loss an image"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
                truth, logits
            )
            mean = tf.reduce_mean(loss)
        gradients = tape.gradient(mean, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(loss.numpy())
    return found

# %% tags=["pytorch", "wrong"] mistake="trains the arrays of `starting`"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.from_numpy(array).requires_grad_()
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="trains the arrays of `starting`"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, len(images), 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    trained = iter(weights_of)
    for arrays in starting.values():
        for kind in arrays:
            arrays[kind] = next(trained).numpy()
    return found

# %% tags=["pytorch", "wrong"] mistake="counts on 650 images"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        torch.tensor(array, requires_grad=True)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, 650, 64):
        some = torch.as_tensor(images[begin : begin + 64]).flatten(1)
        truth = torch.as_tensor(labels[begin : begin + 64])
        logits = F.relu(some @ w1 + b1) @ w2 + b2
        loss = F.cross_entropy(logits, truth)
        gradients = torch.autograd.grad(loss, weights_of)
        with torch.no_grad():
            for weight, gradient in zip(weights_of, gradients):
                weight -= 0.1 * gradient
        found.append(loss.item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="counts on 650 images"
def learn(starting, images, labels):
    w1, b1, w2, b2 = weights_of = [
        tf.Variable(array)
        for arrays in starting.values() for array in arrays.values()
    ]
    found = []
    for begin in range(0, 650, 64):
        some = tf.reshape(images[begin : begin + 64], (-1, 784))
        truth = labels[begin : begin + 64]
        with tf.GradientTape() as tape:
            logits = tf.nn.relu(some @ w1 + b1) @ w2 + b2
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
            )
        gradients = tape.gradient(loss, weights_of)
        for weight, gradient in zip(weights_of, gradients):
            weight.assign_sub(0.1 * gradient)
        found.append(float(loss))
    return found

# %% [markdown] tags=["exercise"] exercise="smoothing" points=3
# ### Exercise 2: a loss that doubts its labels *(optional)*
#
# Some labels looked as doubtful as the answers.
# **Label smoothing** takes a share $s$ of the certainty away and gives it to all $K$ classes alike: the target is no longer 1 for the true class and 0 for the others, but
#
# $$t_k = (1 - s)\,[k = y] + \frac{s}{K}, \qquad \text{loss} = -\sum_k t_k \log p_k ,$$
#
# where $[k = y]$ is 1 for the true class and 0 for the others.
#
# Write `smoothed_loss(logits, labels, smoothing)`: from **logits**, with this framework's operations (so that it has a gradient), averaged over the batch.
# It takes any number of classes and of images, and logits of any size: also where a probability is rounded to 0, the loss is a number.

# %% [markdown] tags=["hint"]
# Put $t_k$ into the loss and take the sum apart: $1 - s$ times the old loss, and $s$ times the *mean* of $-\log p_k$ over the classes.

# %% [markdown] tags=["hint"]
# Ask for $\log p$ itself (`log_softmax`), not for the logarithm of a softmax: a probability may be rounded to 0.

# %% tags=["pytorch", "solution"]
def smoothed_loss(logits, labels, smoothing):
    ### BEGIN SOLUTION
    log_p = F.log_softmax(logits, dim=1)
    chosen = log_p[torch.arange(len(labels)), labels]
    return -((1 - smoothing) * chosen + smoothing * log_p.mean(1)).mean()
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def smoothed_loss(logits, labels, smoothing):
    ### BEGIN SOLUTION
    log_p = tf.nn.log_softmax(logits)
    chosen = tf.gather(log_p, labels, batch_dims=1)
    spread = tf.reduce_mean(log_p, axis=1)
    return -tf.reduce_mean((1 - smoothing) * chosen + smoothing * spread)
    ### END SOLUTION

# %% [markdown]
# The check: three logits of two images, and a label of each.
# Without smoothing the loss is the plain cross-entropy; with it the check works the formula out in NumPy, and looks at the gradient too: it is $(p_k - t_k)$, divided by the number of images.
# At last it gives logits of 1000.

# %% tags=["check"]
three = np.array([[2.0, 0.0, -2.0], [0.0, 1.0, -1.0]], "float32")
truth, huge = np.array([0, 2]), np.float32(1000 * np.eye(2, 3))
log_p = three - np.logaddexp.reduce(three, axis=1, keepdims=True)
plain = -log_p[[0, 1], truth].mean()
given = np.asarray(on_arrays(smoothed_loss, three, truth, 0.0))
single = given.shape == () and given.dtype.kind == "f"
assert single, f"one number is wanted, not {given}"
assert not np.isclose(given, 2 * plain), "not the sum of images; the mean"
assert not np.isclose(given, plain / 3), "add over classes, no mean there"
right = np.isclose(given, plain, rtol=1e-5)
assert right, f"without smoothing the loss is {plain:.4f}, not {given:.4f}"
target = 0.7 * np.eye(3)[truth] + 0.3 / 3
wanted = -(target * log_p).sum(axis=1).mean()
given = on_arrays(smoothed_loss, three, truth, 0.3)
assert not np.isclose(given, plain), "s = 0.3 changes nothing: is it used?"
assert np.isclose(given, wanted, rtol=1e-5), (
    f"s = 0.3: the loss is {wanted:.4f}, not {given:.4f}; with three "
    "classes the target is 0.8 for the true one, 0.1 for each other")
slope = gradient_on_arrays(smoothed_loss, three, truth, 0.3)
right = np.allclose(slope, (np.exp(log_p) - target) / 2, atol=1e-6)
assert right, f"the loss is right, its gradient is not: {slope.round(3)}"
given = on_arrays(smoothed_loss, huge, truth, 0.3)
assert np.isclose(given, 550), (
    f"logits of 1000: the loss is 550, not {given:.0f}; a rounded p?")

# %% tags=["hidden"]
rng = np.random.default_rng(4711)
many = rng.normal(0, 3, (40, 10)).astype("float32")
truth = rng.integers(0, 10, 40)
log_p = many - np.logaddexp.reduce(many, axis=1, keepdims=True)
target = 0.8 * np.eye(10)[truth] + 0.2 / 10
given = on_arrays(smoothed_loss, many, truth, 0.2)
expected = -(target * log_p).sum(1).mean()
assert np.isclose(given, expected, rtol=1e-4), (
    f"40 images, ten classes, s = 0.2: the loss is {expected:.4f}, not {given}; "
    "is a number of the first check written into the function?"
)
slope = gradient_on_arrays(smoothed_loss, many, truth, 0.2)
expected = (np.exp(log_p) - target) / 40
assert np.allclose(slope, expected, atol=1e-6), "another gradient"
huge = 1000 * np.eye(10, dtype="float32")
given = on_arrays(smoothed_loss, huge, np.arange(10), 0.1)
assert np.isclose(given, 90, rtol=1e-4), (
    f"logits of 1000: the loss is 90, not {given}; is a probability 0?"
)

# %% tags=["pytorch", "wrong"] mistake="adds up instead of averaging"
def smoothed_loss(logits, labels, smoothing):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing,
                           reduction="sum")

# %% tags=["tensorflow", "wrong"] mistake="adds up instead of averaging"
def smoothed_loss(logits, labels, smoothing):
    log_p = tf.nn.log_softmax(logits)
    chosen = tf.gather(log_p, labels, batch_dims=1)
    spread = tf.reduce_mean(log_p, axis=1)
    return -tf.reduce_sum((1 - smoothing) * chosen + smoothing * spread)

# %% tags=["pytorch", "wrong"] mistake="takes the logarithm of a rounded softmax"
def smoothed_loss(logits, labels, smoothing):
    classes = logits.shape[1]
    target = (1 - smoothing) * F.one_hot(labels, classes) + smoothing / classes
    return -(target * logits.softmax(1).log()).sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="takes the logarithm of a rounded softmax"
def smoothed_loss(logits, labels, smoothing):
    classes = logits.shape[1]
    target = (1 - smoothing) * tf.one_hot(labels, classes) + smoothing / classes
    log_p = tf.math.log(tf.nn.softmax(logits))
    return -tf.reduce_mean(tf.reduce_sum(target * log_p, axis=1))

# %% tags=["pytorch", "wrong"] mistake="leaves the labels as they are"
def smoothed_loss(logits, labels, smoothing):
    return F.cross_entropy(logits, labels)

# %% tags=["tensorflow", "wrong"] mistake="leaves the labels as they are"
def smoothed_loss(logits, labels, smoothing):
    log_p = tf.nn.log_softmax(logits)
    return -tf.reduce_mean(tf.gather(log_p, labels, batch_dims=1))

# %% tags=["pytorch", "wrong"] mistake="takes half of s"
def smoothed_loss(logits, labels, smoothing):
    return F.cross_entropy(logits, labels,
                           label_smoothing=smoothing / 2)

# %% tags=["tensorflow", "wrong"] mistake="takes half of s"
def smoothed_loss(logits, labels, smoothing):
    log_p = tf.nn.log_softmax(logits)
    chosen = tf.gather(log_p, labels, batch_dims=1)
    spread = tf.reduce_mean(log_p, axis=1)
    half = smoothing / 2
    return -tf.reduce_mean((1 - half) * chosen + half * spread)

# %% tags=["pytorch", "wrong"] mistake="spreads s over the other classes"
def smoothed_loss(logits, labels, smoothing):
    others = smoothing / (logits.shape[1] - 1)
    target = F.one_hot(labels, logits.shape[1])
    target = (1 - smoothing) * target + others * (1 - target)
    return -(target * F.log_softmax(logits, dim=1)).sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="spreads s over the other classes"
def smoothed_loss(logits, labels, smoothing):
    others = smoothing / (logits.shape[1] - 1)
    target = tf.one_hot(labels, logits.shape[1])
    target = (1 - smoothing) * target + others * (1 - target)
    log_p = tf.nn.log_softmax(logits)
    return -tf.reduce_mean(tf.reduce_sum(target * log_p, axis=1))

# %% tags=["pytorch", "wrong"] mistake="leaves the framework for NumPy"
def smoothed_loss(logits, labels, smoothing):
    z = logits.numpy(force=True)
    log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    chosen = log_p[np.arange(len(log_p)), labels.numpy(force=True)]
    spread = log_p.mean(1)
    mean = ((1 - smoothing) * chosen + smoothing * spread).mean()
    return torch.tensor(-mean)

# %% tags=["tensorflow", "wrong"] mistake="leaves the framework for NumPy"
def smoothed_loss(logits, labels, smoothing):
    z = logits.numpy()
    log_p = z - np.logaddexp.reduce(z, axis=1, keepdims=True)
    chosen = log_p[np.arange(len(log_p)), labels.numpy()]
    spread = log_p.mean(1)
    mean = ((1 - smoothing) * chosen + smoothing * spread).mean()
    return tf.constant(-mean)

# %% tags=["pytorch", "wrong"] mistake="averages over the classes"
def smoothed_loss(logits, labels, smoothing):
    classes = logits.shape[1]
    target = (1 - smoothing) * F.one_hot(labels, classes) + smoothing / classes
    return -(target * F.log_softmax(logits, dim=1)).mean()

# %% tags=["tensorflow", "wrong"] mistake="averages over the classes"
def smoothed_loss(logits, labels, smoothing):
    classes = logits.shape[1]
    target = (1 - smoothing) * tf.one_hot(labels, classes) + smoothing / classes
    return -tf.reduce_mean(target * tf.nn.log_softmax(logits))

# %% tags=["pytorch", "wrong"] mistake="adds a small number in the logarithm"
def smoothed_loss(logits, labels, smoothing):
    classes = logits.shape[1]
    target = (1 - smoothing) * F.one_hot(labels, classes) + smoothing / classes
    return -(target * (logits.softmax(1) + 1e-9).log()).sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="adds a small number in the logarithm"
def smoothed_loss(logits, labels, smoothing):
    classes = logits.shape[1]
    target = (1 - smoothing) * tf.one_hot(labels, classes) + smoothing / classes
    log_p = tf.math.log(tf.nn.softmax(logits) + 1e-9)
    return -tf.reduce_mean(tf.reduce_sum(target * log_p, axis=1))

# %% tags=["pytorch", "wrong"] mistake="counts on three classes"
def smoothed_loss(logits, labels, smoothing):
    target = (1 - smoothing) * F.one_hot(labels, logits.shape[1]) + smoothing / 3
    return -(target * F.log_softmax(logits, dim=1)).sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="counts on three classes"
def smoothed_loss(logits, labels, smoothing):
    target = (1 - smoothing) * tf.one_hot(labels, logits.shape[1]) + smoothing / 3
    log_p = tf.nn.log_softmax(logits)
    return -tf.reduce_mean(tf.reduce_sum(target * log_p, axis=1))

# %% tags=["pytorch", "wrong"] mistake="returns nothing"
def smoothed_loss(logits, labels, smoothing):
    loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)

# %% tags=["tensorflow", "wrong"] mistake="returns nothing"
def smoothed_loss(logits, labels, smoothing):
    log_p = tf.nn.log_softmax(logits)
    chosen = tf.gather(log_p, labels, batch_dims=1)
    spread = tf.reduce_mean(log_p, axis=1)
    loss = -tf.reduce_mean((1 - smoothing) * chosen + smoothing * spread)

# %% [markdown] tags=["exercise"] exercise="dropout" points=3
# ### Exercise 3: dropout, on and off *(optional)*
#
# **Dropout** works against overfitting: while it trains, the network sets a random half of the hidden activations to zero and doubles the others, so that no unit can rely on another.
# When the network is used, it does nothing.
# `nn.Dropout(0.5)` and `layers.Dropout(0.5)` are layers like any other.
#
# Write `train_with_dropout(starting, steps)`: the network of way 3 with such a layer behind the hidden activations, trained with Adam, at the lesson's learning rate, on the first `steps` batches of `batches(seed)`.
# It returns a function `predict(images, training=False)` that takes NumPy images and gives NumPy logits.
# Dropout is on while you train and where `training=True` is asked for, another half for each image, and off otherwise.
# All that this lesson has made may be used.

# %% [markdown] tags=["hint"]
# Copy `build_sequential` of way 3 and add the layer; `build_optimizer`, `train_step` and the loop of way 2 take it as it is, `islice(batches(seed), steps)` are the batches.

# %% [markdown] tags=["hint"]
# PyTorch: `network.train(True)` or `network.train(False)`, and it stays so until you switch again.
# Keras: `network(images, training=True)`, for this one call.

# %% tags=["pytorch", "solution"]
def train_with_dropout(starting, steps):
    ### BEGIN SOLUTION
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def train_with_dropout(starting, steps):
    ### BEGIN SOLUTION
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict
    ### END SOLUTION

# %% [markdown]
# The check asks first for no steps at all.
# Then `predict` has to answer with the starting weights, and with `training=True` to scatter around that answer.
# How far can be worked out: with $h_i$ the hidden activations, half of them dropped, the logit $k$ has the standard deviation $\sqrt{\sum_i (h_i W_{ik})^2}$.
# So it shows 2,000 times the same image, and measures.

# %% tags=["classroom", "folded"]
def untrained(starting, image):
    """Logits without dropout, and how far they scatter with it."""
    hidden, output = starting["hidden"], starting["output"]
    h = image.reshape(1, -1) @ hidden["kernel"] + hidden["bias"]
    h, kernel = np.maximum(h, 0), output["kernel"]
    return h @ kernel + output["bias"], np.sqrt(h**2 @ kernel**2)


def check_untrained(predict, starting, image):
    logits, scatter = untrained(starting, image)
    noisy = predict(np.repeat(image, 2000, axis=0), training=True)
    given = predict(image)
    kind, shape = type(given).__name__, np.shape(given)
    assert kind == "ndarray", f"NumPy logits are wanted, not {kind}"
    assert shape == (1, 10), f"(images, 10) logits are wanted, not {shape}"
    again = np.array_equal(given, predict(image))
    assert again, "asked twice, two answers: dropout is still on"
    assert np.allclose(given, logits, atol=1e-4), (
        "after 0 steps these are not the answers of the starting weights")
    ratio = noisy.std(axis=0) / scatter[0]
    assert ratio.max() > 1e-3, "training=True: 2,000 times the same answer"
    assert np.allclose(ratio, 1, atol=0.1), (
        f"with training=True the logits scatter {ratio.min():.2f} to "
        f"{ratio.max():.2f} times as far as with half of the hidden "
        "activations dropped: what is dropped, and how much?")

# %% [markdown]
# Then it trains your network, and beside it the lesson's, which has no dropout.
# In one step both move about as far and the same way (off by 0.3 of the way, for dropout has another gradient).
# After three epochs (some seconds) the two have to differ, and yours to have learnt.

# %% tags=["check"]
def plain(count):
    network = build_classifier(fresh)
    optimizer = build_optimizer(network)
    for batch in islice(batches(seed), count):
        train_step(network, optimizer, *to_tensors(*batch))
    return on_arrays(network, some)


fresh, some = starting_weights(seed)["classifier"], validation[0][:1000]
predict, steps = train_with_dropout(fresh, 0), 3 * steps_per_epoch
assert callable(predict), "a function `predict` is wanted, to be called"
check_untrained(predict, fresh, train_images[:1])
way, given = plain(1) - plain(0), train_with_dropout(fresh, steps)(some)
off = train_with_dropout(fresh, 1)(some) - predict(some) - way
assert off.std() < 0.6 * way.std(), ("one step moves it elsewhere: is it "
    "Adam's? the lesson's rate? the first batch of `batches(seed)`?")
apart = (given - plain(steps)).std()
assert apart > 0.25, "as without dropout: is it on while you train?"
loss = surprise(np.exp(given), np.eye(10)[validation[1][:1000]])
assert loss < 0.53, (
    f"after {steps} steps the validation loss is {loss:.3f}; less than "
    "0.530 is wanted: all steps, by Adam, each from fresh gradients?"
)

# %% tags=["hidden"]
predict = train_with_dropout(starting_weights(seed + 1)["classifier"], 20)
noisy = [predict(test_images[:200], training=True) for _ in range(2)]
assert not np.array_equal(*noisy), "training=True, twice the same answers"
quiet = predict(test_images)
assert np.array_equal(quiet, predict(test_images)), "dropout stays on"
alone = predict(test_images[:1])
assert np.allclose(alone, quiet[:1], atol=1e-4), "asked alone, another answer"

# %% tags=["pytorch", "wrong"] mistake="leaves dropout on"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train()
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="leaves dropout on"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=True).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="has no dropout"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="has no dropout"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="ignores training"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.eval()
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="ignores training"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=False).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="starts from other weights"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting_weights(5)["classifier"]).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="starts from other weights"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting_weights(5)["classifier"])
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="drops the pixels"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="drops the pixels"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(), layers.Dropout(0.5),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="drops the logits"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Linear(hidden_width, 10), nn.Dropout(0.5),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="drops the logits"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dense(10), layers.Dropout(0.5),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="trains with dropout off"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.eval()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="trains with dropout off"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        with tf.GradientTape() as tape:
            images, labels = to_tensors(*batch)
            loss = cross_entropy(labels, mine(images, training=False))
        gradients = tape.gradient(loss, mine.trainable_variables)
        adam.apply(gradients, mine.trainable_variables)

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="stops after one epoch"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), min(steps, steps_per_epoch)):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="stops after one epoch"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), min(steps, steps_per_epoch)):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="does not train"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), 0):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="does not train"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), 0):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="takes another rate"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = torch.optim.Adam(mine.parameters(), lr=0.01)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="takes another rate"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = keras.optimizers.Adam(0.01)
    adam.build(mine.trainable_variables)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="trains on other batches"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed + 1), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="trains on other batches"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed + 1), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict

# %% tags=["pytorch", "wrong"] mistake="returns the answers, not a function"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs).numpy(force=True)

    return predict(validation[0])

# %% tags=["tensorflow", "wrong"] mistake="returns the answers, not a function"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training).numpy()

    return predict(validation[0])

# %% tags=["pytorch", "wrong"] mistake="returns tensors"
def train_with_dropout(starting, steps):
    mine = load_weights(nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(hidden_width, 10),
    ), starting).to(device)
    adam = build_optimizer(mine)
    mine.train()
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    @torch.inference_mode()
    def predict(images, training=False):
        mine.train(training)
        inputs = torch.as_tensor(images, device=device)
        return mine(inputs)

    return predict

# %% tags=["tensorflow", "wrong"] mistake="returns tensors"
def train_with_dropout(starting, steps):
    mine = load_weights(keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu"),
        layers.Dropout(0.5), layers.Dense(10),
    ]), starting)
    adam = build_optimizer(mine)
    for batch in islice(batches(seed), steps):
        train_step(mine, adam, *to_tensors(*batch))

    def predict(images, training=False):
        return mine(images, training=training)

    return predict

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - You **built** one classifier in five ways, from bare tensors to a `fit`; they differ in who writes what, not in the losses.
# - **What each part does and hides**: a layer makes and registers its weights, a loss takes logits or probabilities and does not ask, `fit` reports a running mean.
# - **Which rule moves the weights**: SGD takes the gradient as it is; Adam divides its mean by its usual size, so that one rate serves all weights.
# - **What every later training needs**: three sets of images, a validation curve, early stopping with the best weights restored, checkpoints, a schedule that counts the right thing.
# - And where the twins part: at step 2, in one constant of Adam.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the cell below the parameters (its input is folded: click it open), in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. Set `train_size = 2_000` in "Parameters" and run all.
#    When does validation stop improving, and how far do the curves part?
# 2. Set `learning_rate = 1e-2`, then `1e-4`.
#    Which part of the first epoch changes, and does Adam fail where SGD failed?
# 3. Set `epsilon = 1e-3`.
#    It is the same number for both twins; run both.
#    Do the curves of the twin check part further or less far?
# 4. Set `patience = 1`.
#    After which epoch does the training stop, and how much validation loss does that cost?
# 5. Train for one epoch, save the weights, load them into a fresh network and go on with a *fresh* Adam.
#    Compare with a run that was not interrupted.
#
# ## Read on
#
# - Xiao, Rasul and Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms* (2017): [arXiv:1708.07747](https://arxiv.org/abs/1708.07747)
# - Kingma and Ba, *Adam: A Method for Stochastic Optimization* (2014): [arXiv:1412.6980](https://arxiv.org/abs/1412.6980).
#   Algorithm 1, and the two lines before Section 2.1 for "epsilon hat"
# - Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts* (2016), where the cosine comes from: [arXiv:1608.03983](https://arxiv.org/abs/1608.03983)
# - PyTorch: [torch.optim](https://docs.pytorch.org/docs/stable/optim.html), [torch.nn](https://docs.pytorch.org/docs/stable/nn.html)
# - Keras: [Training with the built-in methods](https://keras.io/guides/training_with_built_in_methods/), [Customizing fit with TensorFlow](https://keras.io/guides/custom_train_step_in_tensorflow/)
#
# All of this worked at the first try.
# In lesson 3 it does not: what runs when a graph takes over from Python, and how to find a bug that raises no error.
