# ---
# minutes: {read: 129, run: 1, exercises: 0}
# seconds: 90
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 4 · Why the same network is not the same
#
# You find out that "which framework is more accurate early" has two opposite answers, which defaults make them, and how to make both agree to 13 digits.
#
# - **You will build** one network as each framework makes it when nothing is said, and turn its defaults, one by one, into the twin's until the two curves coincide.
# - **You will learn** what batch normalisation computes; some twenty defaults in which the frameworks differ, and how to set them equal; how to compare two things with seeds and intervals; what rounding does to a training, and what it does not.
# - **You need** lessons 1 to 3.

# %% [markdown]
# So far the twins were the same network because we made them so: same starting weights, same batches, every setting written down.
# Almost nobody writes like that.
# One types `Linear` or `Dense`, leaves the rest to the framework, trains, and compares.
# Claim **C12** of the article that made us write these lessons (lesson 2) comes from such comparisons:
#
# > *TensorFlow models are more accurate, most of all early in training.*
#
# The article names no study for it.
# We measure it: first as the frameworks come, with twelve seeds, then with one default after another taken over from the twin.

# %% [markdown]
# ## Set-up

# %% tags=["pytorch", "network"]
import inspect
from functools import partial
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import FRAMEWORK_NAMES, data, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
# a GPU where there is one
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow silently
from tandem.tensorflow import load_weights

import inspect
from functools import partial
from itertools import islice

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import FRAMEWORK_NAMES, data, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters
#
# `epochs`, `batch_size` and `seed` hold throughout (the section on digits needs 300 steps: two epochs), `learning_rate` up to there.
# The betas, `slope` and `epsilon` count only where we write every rule down; a network "as it comes" has its framework's.

# %% tags=["parameters", "network"]
epochs = 4  # 1 to 100: passes over the training images
batch_size = 64  # 2 to 10000: images a step
# Adam's default in both frameworks: one of the few they share
learning_rate = 1e-3  # above 0 to 1
beta_1 = 0.9  # 0 to below 1: another
beta_2 = 0.999  # 0 to below 1: and another
seed = 0  # 0 to 2**32 - 1: of weights and batch order
slope = 0.25  # 0 to 1: of LeakyReLU below zero
epsilon = 1e-7  # above 0 to 1: Adam's

# %% [markdown]
# What is asserted below is asserted for these values; with your own, nothing stops you.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("04_defaults", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## The same network, as it comes
#
# Fashion-MNIST again (lesson 2), the 10,000 training images that we ship.
# Batch order is shared as always: it is not a default of a network.

# %% tags=["network"]
(train_images, train_labels), (test_images, test_labels) = data.fashion_mnist()
steps_per_epoch = len(train_images) // batch_size


def batches(seed):
    for chosen in data.batch_order(len(train_images), batch_size, epochs, seed):
        yield train_images[chosen], train_labels[chosen]

# %% [markdown]
# The network has two hidden layers.
# Behind each comes *batch normalisation*, which is explained below, and *LeakyReLU*, a ReLU that lets a fraction of the negative side through: $x$ where $x > 0$, else $\text{slope} \cdot x$.
# Nothing is said that need not be: sizes, the number of classes, the learning rate.
# The starting weights, too, are drawn by the framework.
# `normalised=False` leaves the batch normalisation out; we shall need that once.

# %% tags=["pytorch", "network"]
def as_it_comes(seed, normalised=True):
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d if normalised else nn.Identity
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 128), norm(128), nn.LeakyReLU(),
        nn.Linear(128, 64), norm(64), nn.LeakyReLU(),
        nn.Linear(64, 10),
    ).to(device)
    return network, torch.optim.Adam(network.parameters(), lr=learning_rate)

# %% tags=["tensorflow", "network"]
def as_it_comes(seed, normalised=True):
    keras.utils.set_random_seed(seed)
    norm = layers.BatchNormalization if normalised else layers.Identity
    network = keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(128), norm(), layers.LeakyReLU(),
        layers.Dense(64), norm(), layers.LeakyReLU(),
        layers.Dense(10),
    ])
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(network.trainable_variables)
    return network, optimizer

# %% [markdown]
# The step of lesson 2, and a `predict` in evaluation mode:

# %% tags=["pytorch", "network"]
def to_tensors(images, labels):
    return torch.as_tensor(images, device=device), torch.as_tensor(
        labels, device=device
    )


def train_step(network, optimizer, images, labels):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.inference_mode()
def predict(network, images):
    network.eval()
    return (
        network(torch.as_tensor(images, device=device))
        .argmax(1)
        .numpy(force=True)
    )

# %% tags=["tensorflow", "network"]
def to_tensors(images, labels):
    return tf.convert_to_tensor(images), tf.convert_to_tensor(labels)


@tf.function
def train_step(network, optimizer, images, labels):
    with tf.GradientTape() as tape:
        logits = network(images, training=True)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(
            labels, logits, from_logits=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss


def predict(network, images):
    return network(images, training=False).numpy().argmax(1)

# %% [markdown] tags=["pytorch"]
# (`F.cross_entropy` computes in the precision of what it is given.
# We shall need that.)

# %% [markdown] tags=["tensorflow"]
# (Lesson 2's loss was an object, `SparseCategoricalCrossentropy`.
# Such an object computes in the precision that was set when it was made; the function computes in that of what it is given.
# We shall need that.)

# %% [markdown]
# "Early" needs a definition: we look at the 2,000 test images after an eighth, a quarter and a half of the first epoch, and after 1, 2 and 4 epochs.
# (Nothing is chosen by these looks, so no validation images are needed.)

# %% tags=["network"]
looks = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4)  # in epochs


def train(network, optimizer, seed, steps=None):
    losses, accuracies = [], []
    looks_at = [int(look * steps_per_epoch) for look in looks]
    for number, batch in enumerate(islice(batches(seed), steps), 1):
        losses.append(train_step(network, optimizer, *to_tensors(*batch)))
        if number in looks_at:
            accuracies.append(
                np.mean(predict(network, test_images) == test_labels)
            )
    return np.array([float(loss) for loss in losses]), np.array(accuracies)

# %% [markdown]
# One run, with its accuracy at each look:

# %% tags=["nbval-ignore-output"]
first_losses, first_accuracies = train(*as_it_comes(seed), seed)
print("  ".join(f"{accuracy:.3f}" for accuracy in first_accuracies))
if as_shipped:
    assert first_accuracies[-1] > 0.8

# %% [markdown]
# The twin ran the same cell and left a record.
# (A notebook runs one framework; whatever it shows of the other was measured there, and is read from that record.)

# %%
twin = records.load("04_defaults", other, parameters_used)
curves = {me: (first_losses, first_accuracies)}
if twin:
    curves[you] = (
        twin["losses"]["as it comes"],
        twin["scores"]["accuracies as it comes"],
    )
_, (left, right) = plots.plt.subplots(1, 2, figsize=(9, 3.4))
plots.curves(
    {name: curve for name, (curve, _) in sorted(curves.items())},
    "In training, TensorFlow learns faster",
    window=5,
    axes=left,
    y_label="training loss",
)
left.set_xlim(0, steps_per_epoch)
plots.curves(
    {
        name: (looks[: len(seen)], seen)
        for name, (_, seen) in sorted(curves.items())
    },
    "On test images, PyTorch does",
    "epochs",
    "test accuracy",
    axes=right,
)
right.set_xscale("log", base=2)
_ = right.set_xticks(looks, ["⅛", "¼", "½", "1", "2", "4"])

# %% [markdown]
# One seed, and already a riddle.
# TensorFlow's training loss is lower, and its test accuracy is lower as well.
# Whoever watches the one says that TensorFlow learns faster, whoever watches the other says PyTorch does; and both may be looking at luck.
#
# ## Twelve seeds
#
# To know what is luck we repeat.
# Twelve seeds, in both frameworks, are more than a notebook has time for, so a script did it: `data/make/default_runs.py` runs *this lesson's cells* and keeps the results in `data/default_runs.csv`.
# Seed 0, of this framework, is what you have just run; its first losses must be those of the file:

# %%
runs = data.default_runs()
# seed 0, first look
filed = runs[framework, True, "as it comes"]["loss"][0, 0]
same = bool(abs(first_losses[:steps_per_epoch // 8].mean() / filed - 1) < 0.02)
print(
    f"mean loss of the first eighth of an epoch, within 2 % of the file's: {same}"
)
assert same or not as_shipped

# %% [markdown]
# Between the frameworks we take **differences by seed**: runs of one seed saw the same batches, and what these do to both alike cancels.
# (As the frameworks come that is little, for the starting weights differ.
# Later, where weights are shared as well, it is much for the loss, and little or nothing for the accuracy.)
# From the twelve differences we get their mean and a 95 % interval, $\bar d \pm 2.201\, s / \sqrt{12}$, where $s$ is their standard deviation and 2.201 Student's factor for twelve differences (11 degrees of freedom).
# If the differences are roughly normal, 95 of 100 such intervals cover the mean over all seeds.
# "Loss" is the mean training loss since the look before.

# %%
def interval(differences):
    """Mean and half the width of the 95 % interval, over the first axis: the 12 seeds."""
    return differences.mean(0), 2.201 * differences.std(0, ddof=1) / len(
        differences
    ) ** 0.5


def gap(quantity, batch_norm):
    """TensorFlow minus PyTorch, as they come."""
    tensorflow, pytorch = (runs[name, batch_norm, "as it comes"][quantity]
                           for name in ("tensorflow", "pytorch"))
    return interval(tensorflow - pytorch)


for quantity in ("loss", "accuracy"):
    print(f"TensorFlow - PyTorch, {quantity}")
    for look, mean, half in zip(looks, *gap(quantity, True)):
        print(f"   after {look:5} epochs {mean:+.3f} ± {half:.3f}")

# %% [markdown]
# It was not luck.
# During the first eighth of an epoch TensorFlow's training loss is lower by almost .3, and at its end the test accuracy is lower by 12 points.
# Later the loss changes sides, and the accuracies come close: −.007 ± .005 after four epochs, small but still in PyTorch's favour.
#
# So is C12 the wrong way round?
# Before we say so: a claim about *frameworks* must not hang on one layer.
# The same twelve seeds, with and without batch normalisation (bars: 95 % intervals):

# %%
_, panels = plots.plt.subplots(1, 2, figsize=(9, 3.4))
for axes, quantity in zip(panels, ("loss", "accuracy")):
    for batch_norm, colour in ((True, plots.OTHERS[0]), (False, plots.OTHERS[1])):
        mean, half = gap(quantity, batch_norm)
        axes.errorbar(looks, mean, half, marker="o", capsize=3, color=colour,
                      label="with batch norm" if batch_norm else "without")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    axes.set_xticks(looks, ["⅛", "¼", "½", "1", "2", "4"])
    axes.set(xlabel="epochs", ylabel=f"{quantity}: TensorFlow − PyTorch")
panels[0].set_title("Training loss: TensorFlow ahead early, both times")
panels[1].set_title("Test accuracy: the sign depends on one layer")
panels[1].legend()
for look, mean, half in zip(looks, *gap("accuracy", False)):
    print(
        f"accuracy without batch norm, after {look:5} epochs: {mean:+.3f} ± {half:.3f}"
    )

# %% [markdown]
# Without batch normalisation *our network does, early, what the article says*: 8 points more for TensorFlow after an eighth of an epoch; after four epochs no difference is visible (−.003 ± .006).
# With it, 12 points *less*.
# Each of the two early sentences could stand in an article, with twelve seeds and narrow intervals, and the reader would learn nothing about frameworks.
#
# **Watch out:** the intervals are about seeds, for these training images and these test images; the 2,000 test images are the same in every run, and more seeds do not help against that.
# With other test images a difference would move, too.
# If exactly one of a pair of networks is right on 10 % of the images, the standard error of their difference is about $\sqrt{.10 / 2000} = .007$; for the mean of twelve pairs it is less, down to $.007 / \sqrt{12} = .002$, because what a pair disagrees on is partly its own luck.
# So read ± .005 after four epochs as somewhat too narrow.
# The early gaps are many times all of that.

# %% [markdown]
# ## How to ask a framework
#
# From here on we ask both frameworks the same question, with the same input, many times.
# This helper prints our answer, the twin's (as its notebook recorded it), and our answer when we are *told the twin's rule*; then the two must agree, within a stated tolerance.

# %%
answers = {}
known = records.load("04_defaults", other)


def ask(question, by_default, told=None, tolerance=1e-5):
    answers[question] = [float(value) for value in np.ravel(by_default)]
    rows = {f"{me}, by default": answers[question]}
    theirs = known["scores"].get(question) if known else None
    if theirs:
        rows[f"{you}, by default"] = theirs
    if told is not None:
        rows[f"{me}, told {you}'s rule"] = told = np.ravel(told)
    for label, row in rows.items():
        print(f"{label:32}" + "".join(f"{value:10.4g}" for value in row))
    if theirs and told is not None:
        equal_now = np.allclose(told, theirs, rtol=tolerance, atol=tolerance)
        assert equal_now or not as_shipped

# %% [markdown]
# ## What batch normalisation does
#
# The inputs of a layer shift and stretch as the layers before it learn.
# *Batch normalisation* takes each feature and rescales it, over the batch, to mean 0 and variance 1; then it lets the network learn another scale $\gamma$ and shift $\beta$, if it wants one:
#
# $$y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta .$$
#
# In **training**, $\mu$ and $\sigma^2$ are those of the batch at hand.
# In **evaluation** there may be no batch, one image has no variance; there $\mu$ and $\sigma^2$ are *running statistics*, averages over past batches that the layer keeps on the side: $r \leftarrow m\, r + (1-m) \cdot \text{batch's}$, starting from mean 0 and variance 1.
# No gradient is involved in that.
#
# Two constants, then: $\epsilon$ and the momentum $m$ (no relation of the optimiser's momentum in lesson 3, nor of Adam's $m$ in lesson 2).
# First $\epsilon$, on a feature that hardly varies:

# %% tags=["pytorch"]
batch = np.array([[0.00], [0.01], [0.03], [0.04]], "float32")
by_default = nn.BatchNorm1d(1)(torch.as_tensor(batch))
told = nn.BatchNorm1d(1, eps=1e-3)(torch.as_tensor(batch))
told = told.numpy(force=True)
ask(
    "batch norm in training",
    by_default.numpy(force=True),
    told,
    tolerance=1e-3,
)

# %% tags=["tensorflow"]
batch = np.array([[0.00], [0.01], [0.03], [0.04]], "float32")
by_default = layers.BatchNormalization()(batch, training=True)
told = layers.BatchNormalization(epsilon=1e-5)(batch, training=True)
ask("batch norm in training", by_default, told, tolerance=1e-3)

# %% [markdown]
# Keras' $\epsilon$ of 1e-3 is four times this feature's variance and more than halves the result; PyTorch's 1e-5 hardly shows.
# For a feature whose variance is near 1, neither matters.
#
# Now the running statistics, after one batch with mean 2 and (biased) variance 2.5:

# %% tags=["pytorch"]
def statistics_after_a_batch(norm):
    norm(torch.as_tensor(100 * batch))
    return [norm.running_mean.item(), norm.running_var.item()]


told = statistics_after_a_batch(nn.BatchNorm1d(1, momentum=0.01))
ask(
    "running mean and variance",
    statistics_after_a_batch(nn.BatchNorm1d(1)),
    told,
    tolerance=0.02,
)

# %% [markdown] tags=["pytorch"]
# **Watch out:** PyTorch's `momentum=0.1` is the weight of the **new** batch, Keras' `momentum=0.99` that of the **old** average: PyTorch's $m$ is 1 − .1 = .9.
# Told .01, the mean is the twin's; the variance is not quite.
# PyTorch averages the *unbiased* variance (the sum of squares divided by $n - 1$), Keras the biased one (by $n$), and no argument changes that.
# With batches of 64 they differ by 1.6 %.

# %% tags=["tensorflow"]
def statistics_after_a_batch(norm):
    norm(100 * batch, training=True)
    return [
        norm.moving_mean.numpy().item(),
        norm.moving_variance.numpy().item(),
    ]


told = statistics_after_a_batch(layers.BatchNormalization(momentum=0.9))
ask(
    "running mean and variance",
    statistics_after_a_batch(layers.BatchNormalization()),
    told,
    tolerance=0.1,
)

# %% [markdown] tags=["tensorflow"]
# **Watch out:** Keras' `momentum=0.99` is the weight of the **old** average, PyTorch's `momentum=0.1` that of the **new** batch: PyTorch's $m$ is 1 − .1 = .9.
# Told .9, the mean is the twin's; the variance is not quite.
# Keras averages the *biased* variance (the sum of squares divided by $n$), PyTorch the unbiased one (by $n - 1$), and no argument changes that.
# With batches of 64 they differ by 1.6 %.

# %% [markdown]
# How much does $m$ matter?
# After $t$ steps a share $m^t$ of a running statistic is still its starting value, which no image has had a part in:

# %%
for steps in (19, 39, 78, 156, 624):
    print(
        f"after {steps:3} steps: {0.9**steps:6.1%} at momentum .9, {0.99**steps:6.1%} at .99"
    )

# %% [markdown]
# After 19 steps, an eighth of an epoch, Keras' running statistics are for the most part still the mean 0 and variance 1 they began with.
# Training does not notice, since it does not read them.
# So we train for 19 steps with each momentum, and ask the same network twice: in evaluation mode, and with the statistics of the test images taken as one batch.

# %% tags=["pytorch"]
def early(momentum):
    network, optimizer = as_it_comes(seed)
    for layer in network:
        if isinstance(layer, nn.BatchNorm1d):
            layer.momentum = 1 - momentum
    losses, accuracies = train(network, optimizer, seed, steps_per_epoch // 8)
    # batch statistics; it also updates the running ones, so it comes last
    network.train()
    with torch.inference_mode():
        predicted = network(
            torch.as_tensor(test_images, device=device)
        ).argmax(1)
    return (
        losses,
        accuracies[-1],
        np.mean(predicted.numpy(force=True) == test_labels),
    )

# %% tags=["tensorflow"]
def early(momentum):
    network, optimizer = as_it_comes(seed)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = momentum
    losses, accuracies = train(network, optimizer, seed, steps_per_epoch // 8)
    # batch statistics
    predicted = network(test_images, training=True).numpy().argmax(1)
    return losses, accuracies[-1], np.mean(predicted == test_labels)

# %% [markdown]
# The losses of the two trainings, and both accuracies of each:

# %% tags=["nbval-ignore-output"]
(fast_losses, fast, fast_batch), (slow_losses, slow, slow_batch) = (
    early(0.9),
    early(0.99),
)
print(
    "the two trainings have the same losses:",
    np.array_equal(fast_losses, slow_losses),
)
print(
    f"momentum .9:  running statistics {fast:.3f}, batch statistics {fast_batch:.3f}"
)
print(
    f"momentum .99: running statistics {slow:.3f}, batch statistics {slow_batch:.3f}"
)
if as_shipped:
    assert np.allclose(fast_losses, slow_losses, rtol=1e-3)
    assert abs(fast_batch - slow_batch) < 0.02 and slow < fast

# %% [markdown]
# There is the riddle's first half.
# The two trainings are one training, and the two networks are one network: with batch statistics they are equally good.
# At momentum .99 the network is *looked at through statistics that have not arrived yet*.
# "TensorFlow is less accurate early" was, here, a statement about running averages that lag.
# (One seed; twelve follow.)
#
# ## Six defaults of this network
#
# Batch normalisation brought two.
# Where else did we say nothing?
# **The starting weights.**
# Of a fresh layer from 784 to 128: the largest kernel weight, the kernel's standard deviation, the largest bias.

# %% tags=["pytorch"]
def sizes(layer):
    kernel, bias = (
        tensor.numpy(force=True) for tensor in (layer.weight, layer.bias)
    )
    return np.abs(kernel).max(), kernel.std(), np.abs(bias).max()


torch.manual_seed(seed)
by_default, layer = nn.Linear(784, 128), nn.Linear(784, 128)
nn.init.xavier_uniform_(layer.weight)
nn.init.zeros_(layer.bias)
ask("kernel and bias", sizes(by_default), sizes(layer), tolerance=0.02)

# %% tags=["tensorflow"]
def sizes(**rule):
    layer = layers.Dense(128, **rule)
    layer.build((None, 784))
    kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
    return np.abs(kernel).max(), kernel.std(), np.abs(bias).max()


keras.utils.set_random_seed(seed)
told = sizes(
    kernel_initializer=keras.initializers.VarianceScaling(
        1 / 3, "fan_in", "uniform"
    ),
    bias_initializer=keras.initializers.RandomUniform(-1 / 28, 1 / 28),
)
ask("kernel and bias", sizes(), told, tolerance=0.02)

# %% [markdown]
# Keras draws kernels from $\pm\sqrt{6/(\text{inputs} + \text{outputs})}$ (Glorot and Bengio) and starts biases at 0.
# PyTorch draws both from $\pm 1/\sqrt{\text{inputs}}$, a distribution that Keras can be told as `VarianceScaling(1/3, "fan_in", "uniform")`.
# (**Watch out:** PyTorch's source calls it `kaiming_uniform_(a=√5)`, which suggests `he_uniform`; that is $\sqrt{6}$ times wider.)
# Keras' kernel is more than twice as large here.
# A bias in front of batch normalisation does nothing in training, by the way: the batch's mean is subtracted again.
# In evaluation it counts as long as the running mean lags.
#
# **The slope** of LeakyReLU, asked with $x = -1$:

# %% tags=["pytorch"]
minus_one = torch.tensor(-1.0)
ask(
    "LeakyReLU of -1",
    nn.LeakyReLU()(minus_one).item(),
    nn.LeakyReLU(0.3)(minus_one).item(),
)

# %% tags=["tensorflow"]
minus_one = tf.constant([-1.0])
ask(
    "LeakyReLU of -1",
    layers.LeakyReLU()(minus_one),
    layers.LeakyReLU(0.01)(minus_one),
)

# %% [markdown] tags=["pytorch"]
# Keras lets thirty times as much through.
# (And TensorFlow's function `tf.nn.leaky_relu` has .2: a third answer from two frameworks.)

# %% [markdown] tags=["tensorflow"]
# PyTorch lets a thirtieth of that through.
# **Watch out:** the function `tf.nn.leaky_relu` has .2, a third answer from two frameworks.

# %% [markdown]
# **Adam's epsilon** differs in value and in place (lesson 2): PyTorch adds 1e-8 to the bias-corrected root, Keras 1e-7 to the root before the correction.
# A first step from zero, with four gradients, each a hundredth of the one before, in units of the learning rate:

# %% tags=["pytorch"]
gradients = np.array([1e-3, 1e-5, 1e-7, 1e-9], "float32")


def first_step(**rule):
    weights_moved = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.Adam([weights_moved], **rule)
    weights_moved.grad = torch.as_tensor(gradients)
    optimizer.step()
    return -weights_moved.numpy(force=True) / 1e-3


by_default = first_step()
ask(
    "Adam's first step",
    by_default,
    first_step(eps=1e-7 / (1 - 0.999) ** 0.5),
    tolerance=1e-3,
)

# %% tags=["tensorflow"]
gradients = np.array([1e-3, 1e-5, 1e-7, 1e-9], "float32")


def first_step(**rule):
    weights_moved = tf.Variable(tf.zeros(4))
    optimizer = keras.optimizers.Adam(**rule)
    optimizer.apply([tf.constant(gradients)], [weights_moved])
    return -weights_moved.numpy() / 1e-3


by_default = first_step()
ask(
    "Adam's first step",
    by_default,
    first_step(epsilon=1e-8 * (1 - 0.999) ** 0.5),
    tolerance=1e-3,
)

# %% [markdown]
# For ordinary gradients both step one learning rate.
# At 1e-7 PyTorch still steps .9 of it, Keras .03.
#
# Do gradients that small occur?
# Yes: those of the biases in front of a batch normalisation.
# Their true gradient is 0, what arrives is rounding, and Adam divides it by its own size.
# How far did the biases move in the first epoch, in learning rates?

# %% tags=["pytorch"]
def biases_moved():
    network, optimizer = as_it_comes(seed)
    before = network[1].bias.detach().clone()
    train(network, optimizer, seed, steps_per_epoch)
    return (
        network[1].bias.detach() - before
    ).abs().mean().item() / learning_rate

# %% tags=["tensorflow"]
def biases_moved():
    network, optimizer = as_it_comes(seed)
    bias = network.layers[1].bias
    before = bias.numpy()
    train(network, optimizer, seed, steps_per_epoch)
    return np.abs(bias.numpy() - before).mean() / learning_rate

# %% [markdown]
# On average over the 128 biases of the first layer:

# %% tags=["nbval-ignore-output"]
moved = biases_moved()
ask("useless biases, moved by", moved)
if as_shipped:
    assert moved > 0.5 if framework == "pytorch" else moved < 0.5

# %% [markdown]
# In PyTorch the useless biases wander by about one and a half learning rates, driven by rounding; in Keras they hardly stir, because its epsilon counts at first as $10^{-7}/\sqrt{.001}$, 316 times PyTorch's.
# In training it does no harm, since the mean is subtracted again.
# It is where Adam's epsilon matters: at gradients as small as itself.
#
# ## One default at a time
#
# The six defaults as a table, all of them seen above (momentum in Keras' sense).
# **Watch out:** "lecun" is the name of $\pm 1/\sqrt{\text{inputs}}$ in `tandem.weights`; Keras' own `lecun_uniform` is $\sqrt{3}$ times wider.

# %% tags=["network"]
rules_of = {
    "pytorch": {"kernel": "lecun", "bias": "lecun", "norm_momentum": 0.9,
                "norm_epsilon": 1e-5, "slope": 0.01, "adam_epsilon": 1e-8},
    "tensorflow": {"kernel": "glorot", "bias": "zeros", "norm_momentum": 0.99,
                   "norm_epsilon": 1e-3, "slope": 0.3, "adam_epsilon": 1e-7},
}

# %% [markdown]
# Now a network with every rule written down.
# Starting weights come from NumPy: both schemes stretch *the same* random numbers, so that a change of scheme changes nothing else.

# %% tags=["network"]
equal = {
    "kernel": "glorot",
    "bias": "zeros",
    "norm_momentum": 0.875,
    "norm_epsilon": 2.0**-10,
    "slope": slope,
    "adam_epsilon": epsilon,
    "normalised": True,
}


def starting_weights(seed, rules=equal):
    rng, widths, classifier = weights.generator(seed), (784, 128, 64, 10), {}
    for number, (inputs, outputs) in enumerate(zip(widths, widths[1:]), 1):
        kernel = weights.kernel(rng, (inputs, outputs), rules["kernel"])
        limit = inputs**-0.5 if rules["bias"] == "lecun" else 0
        bias = (limit * rng.uniform(-1, 1, outputs)).astype("float32")
        classifier[f"dense_{number}"] = {"kernel": kernel, "bias": bias}
        if rules["normalised"] and number < 3:
            classifier[f"norm_{number}"] = weights.batch_norm(outputs)
    return {"classifier": classifier}

# %% [markdown]
# The rules `equal` belong to neither framework; we keep them for the section on digits.
# The network and its optimiser (a slope of `None` stands for SiLU, a smooth activation that we need once, at the end):

# %% tags=["pytorch", "network"]
def build_classifier(starting, rules=equal):
    momentum, slope = 1 - rules["norm_momentum"], rules["slope"]
    norm = partial(
        nn.BatchNorm1d, momentum=momentum, eps=rules["norm_epsilon"]
    )
    norm = norm if rules["normalised"] else nn.Identity
    activation = nn.SiLU if slope is None else partial(nn.LeakyReLU, slope)
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 128), norm(128), activation(),
        nn.Linear(128, 64), norm(64), activation(),
        nn.Linear(64, 10),
    )
    return load_weights(network, starting).to(device)


def build_optimizer(network, rules=equal):
    return torch.optim.Adam(
        network.parameters(),
        lr=learning_rate,
        betas=(beta_1, beta_2),
        eps=rules["adam_epsilon"],
    )

# %% tags=["tensorflow", "network"]
def build_classifier(starting, rules=equal):
    momentum, slope = rules["norm_momentum"], rules["slope"]
    norm = partial(
        layers.BatchNormalization,
        momentum=momentum,
        epsilon=rules["norm_epsilon"],
    )
    norm = norm if rules["normalised"] else layers.Identity
    smooth, leaky = (
        partial(layers.Activation, "silu"),
        partial(layers.LeakyReLU, slope),
    )
    activation = smooth if slope is None else leaky
    network = keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(128), norm(), activation(),
        layers.Dense(64), norm(), activation(),
        layers.Dense(10),
    ])
    return load_weights(network, starting)


def build_optimizer(network, rules=equal):
    optimizer = keras.optimizers.Adam(
        learning_rate, beta_1, beta_2, rules["adam_epsilon"]
    )
    optimizer.build(network.trainable_variables)
    return optimizer

# %% [markdown]
# The walk: start with our own six rules, take over the twin's first, then its second as well, and so on.
# At the end we train this framework's network by the twin's rules.

# %% tags=["network"]
def walk_to_twin(normalised=True):
    taken = rules_of[framework] | {"normalised": normalised}
    yield "drawn by NumPy", taken
    for name, theirs in rules_of[other].items():
        if normalised or not name.startswith("norm"):
            taken = taken | {name: theirs}
            yield name, taken


def run(seed, rules=None, normalised=True, steps=None):
    if rules is None:
        return train(*as_it_comes(seed, normalised), seed, steps)
    network = build_classifier(
        starting_weights(seed, rules)["classifier"], rules
    )
    return train(network, build_optimizer(network, rules), seed, steps)

# %% [markdown]
# One seed, one epoch, the whole walk, here and now:

# %% tags=["nbval-ignore-output"]
live, eighth = {}, steps_per_epoch // 8
for state, taken in walk_to_twin():
    live[state] = run(seed, taken, steps=steps_per_epoch)
    losses, accuracies = live[state]
    print(
        f"{state:16} loss of {eighth} steps {losses[:eighth].mean():.3f}, then accuracy "
        f"{'  '.join(f'{accuracy:.3f}' for accuracy in accuracies)}"
    )

# %% [markdown]
# These seven runs are seed 0 of the file, up to one epoch:

# %%
near = all(
    abs(
        losses[:eighth].mean() / runs[framework, True, state]["loss"][0, 0] - 1
    )
    < 0.02
    for state, (losses, _) in live.items()
)
print(
    f"mean losses of the first eighth of an epoch, within 2 % of the file's: {near}"
)
assert near or not as_shipped

# %% [markdown]
# The twin recorded its own run "drawn by NumPy": its own rules, and the starting weights and batches that we have at the walk's end.
# Here are the two ends of our walk beside it:

# %%
if twin:
    theirs = np.array(twin["losses"]["drawn by NumPy"])
    _, panels = plots.plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    for axes, state, title in ((panels[0], "drawn by NumPy", "Each by its own rules: two curves"),
                               (panels[1], list(live)[-1], f"Both by {you}'s rules: one curve")):
        both = {me: live[state][0], you: theirs}
        plots.curves(
            dict(sorted(both.items())),
            title,
            window=5,
            y_label="training loss",
            axes=axes,
        )

# %% [markdown]
# And which step of the walk brings them together?
# How far our loss is from the twin's, state by state.
# The momentum has no curve here, since it changes no loss.

# %%
if twin:
    apart = {
        state: np.maximum(records.relative_difference(losses, theirs), 1e-9)
        for state, (losses, _) in live.items()
        if state != "norm_momentum"
    }
    plots.curves(
        apart,
        "Kernel and slope close most of the gap to the twin",
        window=9,
        log=True,
        y_label="relative difference of the losses",
    )
    plots.plt.legend(ncols=2, fontsize=8)

# %% [markdown]
# The last curve is not zero, and it grows: Adam's epsilon has the same value now but not the same *place*, which neither framework lets you choose; in Keras it still counts for more in the first steps, and a small difference is then multiplied.
# We come to both.
#
# Now with twelve seeds.
# A contribution is the difference between two neighbouring states of the walk, seed by seed.
# **Does the order matter?**
# It may: a default can do much in one company and little in another.
# So there are two walks.
# PyTorch's goes from PyTorch's rules to Keras', TensorFlow's from Keras' to PyTorch's: each default is changed once with those behind it still at PyTorch's value and those before it at Keras', and once the other way round.

# %%
def contributions(walker, quantity, batch_norm, look=0):
    """{default: (mean, half width)} of the change from PyTorch's rule to Keras', on one walk."""
    def value(name, state):
        return runs[name, batch_norm, state][quantity][:, look]

    def between(state):
        return interval(value("tensorflow", state) - value("pytorch", state))

    states = [
        state
        for name, norm, state in runs
        if (name, norm) == (walker, batch_norm)
    ]
    sign, last = (1 if walker == "pytorch" else -1), states[-1]
    # the whole gap, twice
    found = {state: between(state) for state in states[:2]}
    for before, after in zip(states[1:], states[2:]):
        found[after] = interval(
            sign * (value(walker, after) - value(walker, before))
        )
    there = "tensorflow" if walker == "pytorch" else "pytorch"
    found["what remains"] = interval(
        sign * (value(there, "drawn by NumPy") - value(walker, last))
    )
    return found

# %% [markdown]
# Everything in one figure, with 95 % intervals over the twelve seeds.
# A point right of the line: Keras' value of this default makes the quantity larger.
# The two uppermost rows are the whole gap: as the frameworks come, and between the ends of the walk, where NumPy draws the starting weights.
# Look at the first eighth of an epoch:

# %%
panels = {"training loss": ("loss", True), "test accuracy": ("accuracy", True),
          "test accuracy, no batch norm": ("accuracy", False)}
names = list(contributions("pytorch", "loss", True))
_, columns = plots.plt.subplots(1, 3, figsize=(10, 4), sharey=True)
for axes, (title, (quantity, batch_norm)) in zip(columns, panels.items()):
    for walker, shift in (("pytorch", -0.15), ("tensorflow", 0.15)):
        found = contributions(walker, quantity, batch_norm)
        rows = [names.index(name) + shift for name in found]
        means, halves = zip(*found.values())
        axes.errorbar(
            means,
            rows,
            xerr=halves,
            fmt="o",
            markersize=4,
            capsize=2,
            linestyle="none",
            color=plots.FRAMEWORK_STYLES[FRAMEWORK_NAMES[walker]]["color"],
            label=f"{FRAMEWORK_NAMES[walker]}'s walk",
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(title=title, xlabel=f"{quantity}, Keras' rule − PyTorch's")
columns[0].set_yticks(range(len(names)), names)
columns[0].invert_yaxis()
columns[0].legend(fontsize=8, loc="lower left")
title = (
    "Loss: kernel and slope. Accuracy: batch norm's momentum, less what the slope gives back. "
    "Without batch norm: the kernel"
)
_ = columns[0].figure.suptitle(title, fontsize=11, x=0.01, ha="left")

# %% [markdown]
# And the numbers, PyTorch's walk on the left, TensorFlow's on the right, each a mean and its 95 % interval; at the end, what remains after all four epochs:

# %%
for title, (quantity, batch_norm) in panels.items():
    ours, theirs = (contributions(walker, quantity, batch_norm)
                    for walker in ("pytorch", "tensorflow"))
    print(title)
    for name in ours:
        (first, half), (second, other_half) = ours[name], theirs[name]
        print(
            f"   {name:14} {first:+.4f} ± {half:.4f}   {second:+.4f} ± {other_half:.4f}"
        )
print("test accuracy after 4 epochs")
for batch_norm in (True, False):
    (first, half), (second, other_half) = (
        contributions(walker, "accuracy", batch_norm, look=5)["what remains"]
        for walker in ("pytorch", "tensorflow"))
    print(f"   what remains{'' if batch_norm else ', no batch norm'}: "
          f"{first:+.4f} ± {half:.4f}, {second:+.4f} ± {other_half:.4f}")

# %% [markdown]
# - **Training loss** (the riddle's second half: why TensorFlow's is lower).
#   The kernel makes about −.12, the slope about −.14, on both walks; together the whole gap between the ends of the walk (−.265).
#   Nothing else reaches .003.
# - **Test accuracy.**
#   The momentum of batch normalisation costs Keras 18 points on one walk and 10 on the other; the slope gives back 8 or 2, the kernel takes 1 (± 1) or 4 (± 2).
#   Here the order matters: −18 among PyTorch's slope and Keras' weights, −10 among Keras' slope and PyTorch's weights; these two walks cannot say whether the slope or the weights make the difference.
#   "The momentum costs 18 points" is true in its company only.
# - **Without batch normalisation** there is no momentum to lag, and the kernel brings 10 or 7 points.
#   The interval of the whole gap is wide here, ± .04: with PyTorch's rules the twelve starts differ much.
# - **What remains** after an eighth of an epoch, with all six equal, is at most .0013, every interval contains zero, and the widest is ± .0027.
#   It holds the frameworks, the place of Adam's epsilon and the running variance: all of these together can be about this much, hardly more.
#   After four epochs the intervals still contain zero; they are wider, up to ± .004.
#
# Read single small entries with care: of forty 95 % intervals about two miss a true zero by chance, and `norm_epsilon` in the second panel (−.006 ± .005 on one walk, −.001 ± .002 on the other) may be such a case.

# %% [markdown]
# ## Defaults that this network does not have
#
# The same question for other layers and tools.
# Convolution, embeddings and recurrent layers are taught in lessons 6 and 7; here it is enough to know the input and to look at the answer.
#
# **Padding with stride 2.**
# A window of 3 × 3 moves over a picture in steps of 2, and must not lose half a step at the edge: "same" padding adds a border of zeros.
# On which side?
# One bright pixel in the second row and column answers: of the nine windows (three rows of three), each 1 saw it.
# (Without a word both pad nothing, and agree.
# "By default" here means what each one's users write to halve a picture: `padding=1` in PyTorch, `padding="same"` in Keras.)

# %% tags=["pytorch"]
image = torch.zeros(1, 1, 6, 6)
image[..., 1, 1] = 1.0
window = torch.ones(1, 1, 3, 3)
centred = F.conv2d(image, window, stride=2, padding=1)
# l, r, top, bottom
right_and_bottom = F.conv2d(F.pad(image, (0, 1, 0, 1)), window, stride=2)
ask("windows that see the pixel", centred.numpy(), right_and_bottom.numpy())

# %% [markdown] tags=["pytorch"]
# `padding=1` pads all sides.
# (PyTorch refuses `padding="same"` for a stride above 1.)
# Keras' `padding="same"` adds as few zeros as it needs, an odd one at the right and the bottom.
# To be equal, pad by hand.

# %% tags=["tensorflow"]
image = np.zeros((1, 6, 6, 1), "float32")
image[:, 1, 1] = 1.0
window = np.ones((3, 3, 1, 1), "float32")
right_and_bottom = tf.nn.conv2d(image, window, strides=2, padding="SAME")
all_sides = tf.pad(image, [[0, 0], [1, 1], [1, 1], [0, 0]])
centred = tf.nn.conv2d(all_sides, window, strides=2, padding="VALID")
ask("windows that see the pixel", right_and_bottom, centred)

# %% [markdown] tags=["tensorflow"]
# "Same" adds as few zeros as it needs, an odd one at the right and the bottom.
# PyTorch's `padding=1` pads all sides (and it refuses `padding="same"` for a stride above 1).
# To be equal, pad by hand.

# %%
_, pair = plots.plt.subplots(1, 2, figsize=(6.4, 3.5))
for axes, name, title, first in ((pair[0], "PyTorch", "PyTorch, padding=1", -1),
                                 (pair[1], "TensorFlow", 'Keras, padding="same"', 0)):
    colour = plots.FRAMEWORK_STYLES[name]["color"]
    axes.imshow(image.reshape(6, 6), extent=(0, 6, 6, 0))
    axes.add_patch(
        plots.plt.Rectangle(
            (first, first), 3, 3, fill=False, color=colour, linewidth=3
        )
    )
    centres = first + 1.5 + 2 * np.arange(3)
    axes.plot(*np.meshgrid(centres, centres), "o", color=colour, markersize=5)
    last = plots.plt.Rectangle(
        (first + 4, first + 4), 3, 3, fill=False, color=colour
    )
    axes.add_patch(last)
    axes.set(
        title=title,
        xlim=(-1.3, 7.3),
        ylim=(7.3, -1.3),
        xlabel="column",
        ylabel="row",
    )
    axes.grid(False)
title = "Same shape, other places: first and last window, and the centres of all nine"
_ = pair[0].figure.suptitle(title, fontsize=11, x=0.01, ha="left")

# %% [markdown]
# **Embeddings** are tables of vectors, one for each word.
# Standard deviation and largest entry of a fresh one:

# %% tags=["pytorch"]
torch.manual_seed(seed)
table = nn.Embedding(1000, 64).weight
by_default = [table.std().item(), table.abs().max().item()]
nn.init.uniform_(table, -0.05, 0.05)
ask(
    "embedding",
    by_default,
    [table.std().item(), table.abs().max().item()],
    tolerance=0.05,
)

# %% tags=["tensorflow"]
def table_sizes(**rule):
    table = layers.Embedding(1000, 64, **rule)(np.arange(1000)).numpy()
    return table.std(), np.abs(table).max()


keras.utils.set_random_seed(seed)
told = table_sizes(
    embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0)
)
ask("embedding", table_sizes(), told, tolerance=0.15)

# %% [markdown]
# Thirty-five times as wide in PyTorch: no other starting weights here differ so much.
#
# Many more are single numbers.
# A catalogue, read from the library as it is installed here, or asked where the number is not written down; behind each number, what to say to get the twin's.
# The last line is a loss of two images of which the second class is to count three times.
# (RMSprop, Adagrad and Adadelta are relatives of Adam that also divide by the size of past gradients; AdamW is Adam with *weight decay*: each step also shrinks every weight, by the learning rate times this number.
# PReLU and GELU are relatives of ReLU; the LSTM and its forget gate come in lesson 7, layer normalisation in lesson 8.)

# %%
def default(function, name):
    return inspect.signature(function).parameters[name].default

# %% [markdown]
# Number and remedy, line by line:

# %% tags=["pytorch"]
logits, labels = torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1])
weighted = F.cross_entropy(logits, labels, weight=torch.tensor([1.0, 3.0]))
recurrent, one = nn.LSTM(8, 64), torch.tensor(1.0)
forget = (recurrent.bias_ih_l0 + recurrent.bias_hh_l0)[64:128]
corner = F.avg_pool2d(torch.ones(1, 4, 4), 3, 1, 1)[0, 0, 0]
catalogue = {
    "SGD: learning rate": (default(torch.optim.SGD, "lr"), "lr=0.01"),
    "RMSprop: learning rate": (default(torch.optim.RMSprop, "lr"), "lr=0.001"),
    "Adagrad: learning rate": (default(torch.optim.Adagrad, "lr"), "lr=0.001"),
    "Adadelta: learning rate": (
        default(torch.optim.Adadelta, "lr"),
        "lr=0.001",
    ),
    "AdamW: weight decay": (
        default(torch.optim.AdamW, "weight_decay"),
        "weight_decay=0.004",
    ),
    "layer norm: epsilon": (nn.LayerNorm(1).eps, "eps=1e-3"),
    "LSTM: largest forget bias": (
        round(forget.max().item(), 1),
        "fill the two bias tensors",
    ),
    "PReLU: starting slope": (nn.PReLU().weight.item(), "init=0.0"),
    "GELU as a layer, of 1": (nn.GELU()(one).item(), ""),
    "F.gelu or ops.gelu, of 1": (F.gelu(one).item(), 'approximate="tanh"'),
    "average pool, padded corner": (corner.item(), "count_include_pad=False"),
    "cross-entropy of (2, 0)": (
        F.cross_entropy(logits[:1], labels[:1]).item(),
        "",
    ),
    "class-weighted loss": (weighted.item(), 'reduction="none", then .mean()'),
}

# %% tags=["tensorflow"]
logits, labels = (
    np.array([[2.0, 0.0], [2.0, 0.0]], "float32"),
    np.array([0, 1]),
)
cross_entropy = keras.losses.SparseCategoricalCrossentropy
weighted = cross_entropy(from_logits=True)(
    labels, logits, np.array([1.0, 3.0])
)
recurrent, prelu, one = layers.LSTM(64), layers.PReLU(), tf.constant([1.0])
recurrent.build((None, 5, 8))
prelu.build((None, 1))
corner = layers.AveragePooling2D(3, 1, "same")(tf.ones((1, 4, 4, 1)))[
    0, 0, 0, 0
]
optimizers, rate = keras.optimizers, "learning_rate"
catalogue = {
    "SGD: learning rate": (
        default(optimizers.SGD, rate),
        "learning_rate=0.001",
    ),
    "RMSprop: learning rate": (
        default(optimizers.RMSprop, rate),
        "learning_rate=0.01",
    ),
    "Adagrad: learning rate": (
        default(optimizers.Adagrad, rate),
        "learning_rate=0.01",
    ),
    "Adadelta: learning rate": (
        default(optimizers.Adadelta, rate),
        "learning_rate=1.0",
    ),
    "AdamW: weight decay": (
        default(optimizers.AdamW, "weight_decay"),
        "weight_decay=0.01",
    ),
    "layer norm: epsilon": (
        layers.LayerNormalization().epsilon,
        "epsilon=1e-5",
    ),
    "LSTM: largest forget bias": (
        recurrent.cell.bias[64:128].numpy().max(),
        "write into the bias",
    ),
    "PReLU: starting slope": (
        prelu.alpha.numpy().item(),
        "alpha_initializer=Constant(0.25)",
    ),
    "GELU as a layer, of 1": (layers.Activation("gelu")(one), ""),
    "F.gelu or ops.gelu, of 1": (keras.ops.gelu(one), "approximate=False"),
    "average pool, padded corner": (corner, 'pad by hand, then "valid"'),
    "cross-entropy of (2, 0)": (
        cross_entropy()(labels[:1], logits[:1]),
        "from_logits=True",
    ),
    "class-weighted loss": (weighted, 'reduction="mean_with_sample_weight"'),
}
catalogue = {
    name: (np.asarray(value).item(), how)
    for name, (value, how) in catalogue.items()
}

# %% [markdown]
# Beside the twin's:

# %%
theirs = dict(zip(catalogue, known["scores"]["catalogue"])) if known else {}
print(f"{'':28}{me:>11}{you:>11}   to have the twin's")
for name, (value, how) in catalogue.items():
    print(f"{name:28}{value:11.4g}{theirs.get(name, np.nan):11.4g}   {how}")

# %% [markdown]
# All but one line differ.
# Most are an argument; the forget bias is set by writing into the layer's bias.
# (Keras' cross-entropy takes the logits for probabilities unless told, lesson 2: a rule nobody wants to copy.
# The weighted loss is divided by the sum of the weights, 4, in PyTorch and by the number of images, 2, in Keras.)
#
# ## Thirteen digits
#
# So far "equal" meant equal within what a training makes of rounding.
# Can the twins be made *exactly* equal?
# A float32 has about 7 digits, a float64 about 16.
# If two programs compute the same thing in float64 and differ only in the order of additions, they should agree to 13 digits or so.
# If they differ in anything else, it shows.
#
# Three things have to be arranged, and each is a finding about the libraries:
#
# 1. **Constants.**
#    Some constants reach TensorFlow as float32 whatever we set: the powers of Adam's $\beta$ and LeakyReLU's slope (epsilon not; the learning rate only while Keras' `floatx` is float32).
#    0.9 is then another number than PyTorch's 0.9, in the 8th digit.
#    A *dyadic* number, a fraction with a power of 2 below the line, is the same in both: $2^{-10}$ for .001, .875 for .9, $1 - 2^{-10}$ for .999.
#    That is why `slope` is .25.
# 2. **The place of Adam's epsilon.**
#    The twin's place can be had by changing epsilon before each step.
# 3. **The precision itself** is a default: PyTorch has one switch for it, Keras two.

# %%
digits_steps = 300

# %% [markdown]
# One training in one precision:

# %% tags=["pytorch"]
device = torch.device("cpu")  # not every accelerator has float64


def digits_run(method, digits, place="own", start=None, rules=equal):
    # of layers made from now on
    torch.set_default_dtype(getattr(torch, digits))
    network = build_classifier(
        start or starting_weights(seed)["classifier"], rules
    )
    if method == "SGD":
        optimizer = torch.optim.SGD(
            network.parameters(), lr=2**-5, momentum=0.875
        )
    else:
        beta = 1 - 2**-10
        optimizer = torch.optim.Adam(
            network.parameters(), 2**-10, (0.875, beta), eps=epsilon
        )
    losses = []
    for number, (images, labels) in enumerate(islice(batches(seed), digits_steps), 1):
        if place == "twin's":
            optimizer.param_groups[0]["eps"] = (
                epsilon / (1 - beta**number) ** 0.5
            )
        losses.append(
            train_step(
                network, optimizer, *to_tensors(images.astype(digits), labels)
            )
        )
    accuracy = np.mean(
        predict(network, test_images.astype(digits)) == test_labels
    )
    torch.set_default_dtype(torch.float32)
    return np.array([loss.item() for loss in losses]), accuracy

# %% tags=["tensorflow"]
def digits_run(method, digits, place="own", start=None, rules=equal):
    # what the optimiser keeps its learning rate in ...
    keras.config.set_floatx(digits)
    # ... and what layers keep and compute in
    keras.config.set_dtype_policy(digits)
    network = build_classifier(
        start or starting_weights(seed)["classifier"], rules
    )
    beta = 1 - 2**-10
    optimizer = (keras.optimizers.SGD(2**-5, momentum=0.875) if method == "SGD"
                 else keras.optimizers.Adam(2**-10, 0.875, beta, epsilon))
    optimizer.build(network.trainable_variables)
    if place == "twin's":
        # a graph would freeze a number
        optimizer.epsilon = tf.Variable(epsilon, dtype=digits)
    losses = []
    for number, (images, labels) in enumerate(islice(batches(seed), digits_steps), 1):
        if place == "twin's":
            optimizer.epsilon.assign(epsilon * (1 - beta**number) ** 0.5)
        losses.append(
            train_step(
                network, optimizer, *to_tensors(images.astype(digits), labels)
            )
        )
    accuracy = np.mean(
        predict(network, test_images.astype(digits)) == test_labels
    )
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return np.array([float(loss) for loss in losses]), accuracy

# %% [markdown] tags=["tensorflow"]
# **Watch out:** `set_floatx("float64")` alone is not enough once a layer has been made: the *dtype policy*, which decides what layers compute in, is read from it only the first time.
# We first ran this section with that one line, and compared float32 with float64 without knowing.

# %% [markdown] tags=["pytorch"]
# `set_default_dtype` holds for what is made after it.
# **Watch out:** for all of it, until it is set back; a forgotten float64 makes everything twice as large and, on a GPU, many times slower.

# %% [markdown]
# 300 steps of SGD with momentum and of Adam, in both precisions; and Adam a second time with the twin's epsilon:

# %% tags=["nbval-ignore-output"]
kinds = [("SGD", "own"), ("Adam", "own"), ("Adam, twin's ε", "twin's")]
digits_runs = {(name, digits): digits_run(name.split(",")[0], digits, place)
               for name, place in kinds for digits in ("float64", "float32")}
for (method, digits), (losses, accuracy) in digits_runs.items():
    print(f"{method:15}{digits:9} loss of step 10: {losses[9]:.13f}, "
          f"accuracy at the end {accuracy:.3f}")
    assert accuracy > 0.78 or not as_shipped

# %% [markdown]
# A record keeps nine digits of a number.
# Of the float64 losses we want all, so they are kept as integers: the 64 bits of each.
# Read back, and held against ours (a curve shows the largest difference up to its step; where the two are equal to the last bit, it is drawn at $10^{-17}$):

# %%
def exact(name):
    return np.array(twin["scores"][name], "int64").view("float64")


def apart_from_twin(method, digits):
    ours, _ = digits_runs[method, digits]
    return records.relative_difference(
        ours, exact(f"{method.split(',')[0]}, {digits}")
    )


shown = [
    ("Adam", "float64"),
    ("SGD", "float32"),
    ("Adam, twin's ε", "float32"),
    ("SGD", "float64"),
    ("Adam, twin's ε", "float64"),
]
if twin:
    apart = {key: apart_from_twin(*key) for key in shown}
    plots.curves(
        {
            ", ".join(key): np.maximum(np.maximum.accumulate(values), 1e-17)
            for key, values in apart.items()
        },
        "Float64: 15 digits, if epsilon has one place; float32: 7, until it leaps",
        log=True,
        y_label="relative difference,\nlargest so far",
    )
    plots.plt.ylim(1e-17, 1e4)
    plots.plt.legend(ncols=2, fontsize=8, loc="upper left")

# %% [markdown]
# And asserted, over all 300 steps in float64 and over the first twenty in float32:

# %%
if twin:
    for key in shown:
        steps, limit = (300, 1e-13) if key[1] == "float64" else (20, 1e-5)
        if key == ("Adam", "float64"):
            print(
                "Adam, each its own place of ε: the second losses differ by more than 1e-6:",
                bool(apart[key][1] > 1e-6),
            )
            continue
        within = apart[key][:steps].max() < limit
        print(f"{', '.join(key)}: {steps} steps within {limit:.0e}: {within}")
        assert within or not as_shipped

# %% [markdown]
# Read the figure from below.
# **SGD and Adam in float64 agree to 15 digits for 300 steps** (13 are asserted); the difference, about 1e-15, hardly grows.
# Forward pass, loss, gradients of every layer, batch normalisation, both optimisers: *in training* the two frameworks compute the same function, and the *twin proof* holds the losses of every lesson to ten digits, those of lesson 8 to nine, for a constant that nobody can align (`make proof`).
# In evaluation they do not quite: PyTorch's running variance is unbiased, and at least one of the 2,000 test images falls on the other side (.8365 and .8370 in the twin check).
#
# The curve "Adam, float64" is the same Adam with epsilon in each framework's own place: 2e-4 at the second step, some hundredths in the end.
# Sixteen digits do not help if the rule is another.
#
# ## Float32, and where chaos begins
#
# In float32 the difference stays near 1e-7, rounding, for a long time; and then a curve may leap (in our run SGD passes 1e-6 at step 229 and 1e-3 sixteen steps later; on another machine elsewhere, or not at all); Adam's did not leap in these 300 steps.
# Rounding that piles up would climb gently.
# What leaps?
#
# Perhaps a **switch**.
# LeakyReLU has a kink at 0: its derivative is .25 on one side and 1 on the other.
# When an input lies within rounding of 0, one twin may be left of the kink and the other right of it.
# The output is almost the same, but the *gradient* of that unit is four times as large, or a quarter.
# That moves the next step by far more than rounding, more inputs end up on different sides, and so on.
#
# If this is right, three things follow.
# It needs no second framework.
# A large first difference parts at once, a small one rests until some input comes close enough to a kink.
# And without kinks nothing leaps.
# So we let this framework play against itself, in float64, where rounding is out of the picture: the same training from starting weights that are moved by a relative 1e-3, or three times differently by 1e-6; and the same again with SiLU, $x\,\sigma(x)$ with lesson 1's sigmoid $\sigma$, a ReLU that is bent where the other is kinked.

# %%
def nudged(size, nudge):
    rng, start = (
        np.random.default_rng(nudge),
        starting_weights(seed)["classifier"],
    )
    for name in ("dense_1", "dense_2", "dense_3"):
        kernel = start[name]["kernel"].astype("float64")
        start[name]["kernel"] = kernel * (
            1 + size * rng.uniform(-1, 1, kernel.shape)
        )
    return start


nudges = [(1e-3, 0), (1e-6, 0), (1e-6, 1), (1e-6, 2)]
alone = {}
for kind, kind_rules in (("kinks", equal), ("smooth", equal | {"slope": None})):
    unmoved = digits_run("SGD", "float64", rules=kind_rules)[0]
    for size, nudge in nudges:
        moved_losses = digits_run(
            "SGD", "float64", start=nudged(size, nudge), rules=kind_rules
        )[0]
        alone[kind, size, nudge] = records.relative_difference(
            moved_losses, unmoved
        )

# %% [markdown]
# The framework against itself:

# %%
_, axes = plots.plt.subplots()
for (kind, size, nudge), values in alone.items():
    axes.plot(np.arange(1, len(values) + 1), np.maximum.accumulate(values),
              color=plots.OTHERS[0 if kind == "kinks" else 1],
              linestyle="-" if size < 1e-3 else "--",
              label=f"{kind}, moved by {size:.0e}" if nudge == 0 else None)
axes.set(
    yscale="log",
    ylim=(1e-9, 10),
    xlabel="step",
    ylabel="relative difference,\nlargest so far",
    title=f"{me} against {me}: differences rest, and with kinks some leap",
)
_ = axes.legend(ncols=2, fontsize=8, loc="upper left")

# %% [markdown]
# In numbers:

# %%
for (kind, size, nudge), values in alone.items():
    leaps = np.flatnonzero(values > 1e-6) + 1 if size < 1e-3 else []
    print(
        f"{kind}, moved by {size:.0e}, nudge {nudge}: at most {values.max():.0e}"
        + (f", above 1e-6 from step {leaps[0]}" if len(leaps) else "")
    )
worst = {key: values.max() for key, values in alone.items()}
if as_shipped:
    assert worst["kinks", 1e-6, 0] > 1e-3 and worst["kinks", 1e-6, 2] > 1e-3
    assert max(worst["smooth", 1e-6, nudge] for nudge in range(3)) < 1e-5
    assert worst["smooth", 1e-3, 0] < 1e-2 < worst["kinks", 1e-3, 0]

# %% [markdown]
# With kinks, two of the three small differences rested and then leapt to a hundred thousand times their size; one met no kink.
# Without kinks none leapt, and even the large one stayed below the 1e-3 by which we had moved the weights.
# (Outside this notebook, in PyTorch, we counted the inputs of the activations that have another sign than in the unmoved run: the first appears at steps 228 and 162, one step before each leap, and none in the run that rests.)
#
# So it needs no second framework to make runs part, only a kink and a first difference of any origin: another order of additions, another number of threads, another processor.
# A float32 training of a network with kinks has, after some hundred steps, *one of many* results.
# They differ little in quality: the accuracies of the digits runs by about a point at most, and over twelve seeds *what remains* after four epochs is 0 within .004.
# Lesson 6 brings another switch, max-pooling, which chooses between pixels.

# %% [markdown]
# ## The twin check
#
# The record of this notebook: three trainings step by step, all answers, and the bits of the float64 losses.

# %%
bits = {
    f"{method}, {digits}": losses.astype("float64").view("int64").tolist()
    for (method, digits), (losses, _) in digits_runs.items()
    if "," not in method
}
start = starting_weights(seed)["classifier"]
mine = records.save(
    "04_defaults", framework, parameters_used,
    {"loss": digits_runs["SGD", "float32"][0], "as it comes": first_losses,
     "drawn by NumPy": live["drawn by NumPy"][0]},
    parameter_count=weights.count(start),
    test_accuracy_of_SGD_in_float32=digits_runs["SGD", "float32"][1],
    test_accuracy_of_SGD_in_float64=digits_runs["SGD", "float64"][1],
    catalogue=[value for value, _ in catalogue.values()], **answers, **bits,
    **{"accuracies as it comes": first_accuracies},
)

# %% [markdown]
# The equal network, trained by SGD in float32: one curve, two frameworks.

# %% tags=["nbval-ignore-output"]
plots.twins(
    mine,
    twin,
    "Every default equal: one curve to the eye; below, rounding until it leaps",
)
print(records.compare(mine, twin))

# %% [markdown]
# The first of the three curves has equal rules, equal weights, equal batches: same first loss, then rounding, then perhaps a leap.
# In the last lines of the table, where the rules are each framework's own, the losses part from the first step on.
#
# ## What differs
#
# | | PyTorch | TensorFlow / Keras | to make them equal |
# |---|---|---|---|
# | kernel | $\pm 1/\sqrt{\text{inputs}}$ | $\pm\sqrt{6/(\text{inputs}+\text{outputs})}$ | copy weights; `xavier_uniform_` or `VarianceScaling(1/3, "fan_in", "uniform")` |
# | bias | as the kernel | 0 | `zeros_` or `RandomUniform` |
# | batch norm's momentum | .1, of the new batch | .99, of the old average | `momentum=0.01` or `momentum=0.9` |
# | batch norm's epsilon | 1e-5 | 1e-3 | `eps=` or `epsilon=` |
# | running variance | unbiased ($n-1$) | biased ($n$) | no setting; 1.6 % at 64 images |
# | LeakyReLU's slope | .01 | .3 (`tf.nn`: .2) | give it |
# | Adam's epsilon | 1e-8, on the corrected root | 1e-7, on the plain root | give the value; the place only by changing it each step |
# | stride 2, padding "same" | `padding=1`: all sides | right and bottom | pad by hand, then no padding |
# | flatten (lesson 3) | channels first | channels last | permute before |
# | embedding | normal, deviation 1 | uniform, ±.05 | give the initialiser |
# | class weights | divided by their sum | divided by the number of images | `reduction="none"` and `.mean()`, or `reduction="mean_with_sample_weight"` |
# | AdamW's weight decay | .01 | .004 | give it |
# | learning rates | SGD .001, RMSprop .01, Adagrad .01, Adadelta 1 | .01, .001, .001, .001 | give them |
# | layer norm's epsilon | 1e-5 | 1e-3 | give it |
# | LSTM's forget bias | random, near 0 | 1 | write into the bias |
# | PReLU's slope | .25 | 0 | `init=` or `alpha_initializer=` |
# | `F.gelu`, `keras.ops.gelu` | exact | by tanh (`tf.nn.gelu`, `keras.activations.gelu`: exact) | `approximate=` |
# | average pool at the edge | counts the zeros | leaves them out | `count_include_pad=False`, or pad by hand |
# | float64 | `set_default_dtype` | `set_floatx` and `set_dtype_policy` | both of Keras' two |
#
# ### The verdict on C12
#
# *"TensorFlow models are more accurate, most of all early in training."*
# As the frameworks come, on Fashion-MNIST, 12 seeds, 95 % intervals:
#
# | after | with batch norm | without |
# |---|---|---|
# | ⅛ epoch | −.125 ± .021 | +.080 ± .016 |
# | 1 epoch | −.018 ± .008 | +.026 ± .007 |
# | 4 epochs | −.007 ± .005 | −.003 ± .006 |
#
# **Early, true of one network and false of the other; in both the defaults make it.**
# Without batch normalisation TensorFlow is ahead early, and the wider starting kernel carries most of it.
# With it TensorFlow is behind early, although its training loss falls *faster*: its running statistics lag, because a default keeps 99 % of the old.
# **"More accurate" after four epochs: not supported by either.**
# The gap is .7 points or less even with the defaults, with batch norm in PyTorch's favour: no support for the claim, and too small to choose a framework by.
# With the six defaults equal, the difference after an eighth of an epoch is at most a few thousandths: with batch norm +.0004 ± .0014 or +.0008 ± .0015, by the walk.
#
# All of this holds for one data set, one small network with and without one layer, and Adam.
# "Early" matters when training is short: fine-tuning on few batches, a quick search over settings.
# Then set batch norm's momentum by how many steps you have, in whichever framework.
# The claim comes back in lesson 6, with a convolutional network, and in the last lesson.

# %% [markdown]
# ## What you learned
#
# - Two frameworks compared "as they come" are two sets of defaults compared; here one layer changed the winner.
# - Batch normalisation rescales by the batch in training and by running statistics in evaluation; a momentum of .99 needs hundreds of steps before these can be trusted.
# - A difference is measured with seeds, paired where it can be, with an interval; its parts by changing one thing at a time, in more than one order.
# - Some twenty defaults, and how to make each equal.
# - In float64, with dyadic constants and one place for Adam's epsilon, two frameworks agree to 15 digits over 300 steps.
#   In float32, in this network, rounding rests until an input falls on two sides of a kink.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. Which of the three kernels carries the gap in loss?
#    In `starting_weights`, give only the output layer the twin's scheme, and run the walk's cell again.
# 2. Set `batch_size = 16`.
#    An epoch has four times as many steps: what becomes of the accuracy after ⅛ epoch at momentum .99?
# 3. Walk in another order: reverse the entries in both dictionaries of `rules_of`.
#    Which steps of `live` change?
# 4. In `digits_run`, in both notebooks, give Adam the rate .001 and betas of .9 and .999 (`beta` too).
#    Run one notebook, then the other, then the first again.
#    How far apart is "Adam, twin's ε" in float64 after one step, and after a hundred?
#    Which of the three numbers does it?
#    Put them back one at a time.
# 5. Set `slope = 0.0`, an ordinary ReLU, whose kink is sharper.
#    Does the framework against itself leap earlier?
#
# ## Read on
#
# - Ioffe and Szegedy, *Batch Normalization* (2015): [arXiv:1502.03167](https://arxiv.org/abs/1502.03167)
# - Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks* (2010): [PMLR 9](https://proceedings.mlr.press/v9/glorot10a.html)
# - He and others, *Delving Deep into Rectifiers* (2015), on starting weights: [arXiv:1502.01852](https://arxiv.org/abs/1502.01852)
# - Kingma and Ba, *Adam* (2014), both places of epsilon: [arXiv:1412.6980](https://arxiv.org/abs/1412.6980)
# - PyTorch: [BatchNorm1d](https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html), [Reproducibility](https://docs.pytorch.org/docs/stable/notes/randomness.html)
# - Keras: [BatchNormalization](https://keras.io/api/layers/normalization_layers/batch_normalization/), [layer weight initializers](https://keras.io/api/layers/initializers/)
#
# All of this took batches from an array in memory.
# Where they come from when the data does not fit there, and how to keep a network fed, is lesson 5.
