# ---
# minutes: {read: 134, run: 1, exercises: 0}
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
# - **You will build** a network that tells ten kinds of clothing apart, first from bare tensors, then with ever more ready-made parts; and what every later training needs: validation, early stopping, checkpoints, a learning-rate schedule, a progress bar, logs.
# - **You will learn** what each part does for you, what it hides, and how much of it there is to write and to know.
# - **You need** lesson 1: tensors, gradients, and the loop that follows them downhill.

# %% [markdown]
# Lesson 1 ended with a network of two layers and a loop that trained it on 342 birds, all of them at every step.
# This lesson takes the same loop to 10,000 pictures, and then asks how much of it you should write yourself.
#
# **The question of this lesson.**
# It comes from an article of Codecademy, "PyTorch vs TensorFlow: Choosing the Best Framework for Deep Learning" (2024), which made us write these lessons.
# We numbered its claims; each lesson takes those that it can test.
# Two of them here: **C1**, *PyTorch is easier for a beginner who knows Python*; **C2**, *TensorFlow needs a lot of code for a simple network; Keras less*.
# You will have the same training in five ways, here and in the twin, and count.

# %% [markdown]
# ## Set-up

# %% tags=["pytorch", "network"]
import pathlib
import sys
import tempfile
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from tandem import ROOT, data, plots, records, weights
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
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import ROOT, data, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters
#
# Change one, then run everything below.
# The comments name where the frameworks' own defaults part.

# %% tags=["parameters", "network"]
epochs = 25  # 1 to 500: passes over the training images
batch_size = 64  # 1 to train_size * 4 // 5: images a step
learning_rate = 1e-3  # above 0 to 1: Adam's default in both
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.999  # 0 to below 1: Adam's memory of their squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
hidden_width = 256  # 1 to 10000: units of the hidden layer
patience = 5  # 1 to 500: epochs without progress after which we stop
train_size = 10_000  # 100 to 10000: a fifth is kept for validation
seed = 0  # 0 to 2**32 - 1: of weights and batch order

# %% [markdown]
# Some results cannot be the same to the last digit on every machine.
# Where that is so, the lesson *asserts* bounds instead, and only for the values above: with your own, nothing stops you.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("02_training", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## The data: ten kinds of clothing
#
# Fashion-MNIST: photographs of 28 × 28 grey pixels, each with one of ten labels.
# We have 12,000 of its 70,000 and split them three ways, and the split is the most important line of the lesson:
#
# - **training** images change the weights;
# - **validation** images change our decisions (when to stop, which network to keep), never the weights;
# - **test** images change nothing.
#   They are looked at once, at the end.

# %% tags=["network"]
(all_images, all_labels), (test_images, test_labels) = data.fashion_mnist(
    train_size
)

kept = train_size - train_size // 5
train_images, validation_images = all_images[:kept], all_images[kept:]
train_labels, validation_labels = all_labels[:kept], all_labels[kept:]
steps_per_epoch = len(train_images) // batch_size


def batches(seed):
    for chosen in data.batch_order(len(train_images), batch_size, epochs, seed):
        yield train_images[chosen], train_labels[chosen]

# %% [markdown]
# `batches` is how the twins see the same images in the same order: a permutation that NumPy draws from the seed, a new one each epoch.
# An **epoch** is one pass over the training images, here as batches of 64.
# (Usually a `DataLoader` makes them in PyTorch and `tf.data` or `fit` in TensorFlow: lesson 5.)

# %%
splits = {
    "training": train_labels,
    "validation": validation_labels,
    "test": test_labels,
}
for name, some in splits.items():
    print(f"{name:12}{len(some):6,} images")
print(f"{steps_per_epoch} steps an epoch")
captions = [data.FASHION_CLASSES[label] for label in train_labels[:20]]
plots.images(
    train_images[:20],
    "Twenty training images: their names are not always easy to guess",
    captions,
)

# %% [markdown]
# **Watch out:** we cut the last fifth off.
# Files often come sorted by label, and then the last fifth holds classes that the network never trains on.
# Ours is mixed, except near its end: each class was cut at 1,000 images, so the last hundreds hold only the classes that filled up late.
# Here is how many images of each class we would have for validation, and have:

# %%
print(
    "cut from the sorted file:",
    np.bincount(np.sort(all_labels)[kept:], minlength=10),
)
print(
    "cut from the mixed file: ", np.bincount(validation_labels, minlength=10)
)

# %% [markdown]
# With 253 T-shirts, 140 Trousers, and the others near 200 our validation images are not quite a random fifth, but each class is among them.

# %% [markdown] tags=["pytorch"]
# PyTorch has no option for this split; `torch.utils.data.random_split` draws one at random for you.

# %% [markdown] tags=["tensorflow"]
# Keras' `fit(..., validation_split=0.2)` does exactly this cut: it takes the **last** samples, *before* it shuffles.
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
# The starting weights are drawn by NumPy.
# Were each framework to draw its own, the two could never be compared.

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
# Every way below starts from these numbers, trains for the first epoch, and leaves its losses in the dictionary `losses`.

# %%
start = starting_weights(seed)["classifier"]
for layer, arrays in start.items():
    print(layer, {kind: array.shape for kind, array in arrays.items()})
print(f"{weights.count(start):,} weights to train")
print(f"loss of ten equal guesses: {np.log(10):.3f}")
losses = {}


def first_epoch():
    return islice(batches(seed), steps_per_epoch)

# %% [markdown]
# ## Way 1: bare tensors
#
# Nothing but arrays, and a framework that keeps track of what is done with them, to differentiate it.
# The cells that begin with `# counted:` are counted further down; the name behind it is how the count finds them.

# %% tags=["pytorch"]
# counted: bare network
hidden_kernel, hidden_bias, output_kernel, output_bias = parameters = [
    torch.tensor(array, device=device, requires_grad=True)
    for arrays in start.values() for array in arrays.values()
]


def bare_loss(images, labels):
    hidden = (images.flatten(1) @ hidden_kernel + hidden_bias).clamp(min=0)
    logits = hidden @ output_kernel + output_bias
    chosen = logits.gather(1, labels[:, None])[:, 0]
    return (logits.logsumexp(1) - chosen).mean()

# %% tags=["tensorflow"]
# counted: bare network
hidden_kernel, hidden_bias, output_kernel, output_bias = parameters = [
    tf.Variable(array)
    for arrays in start.values()
    for array in arrays.values()
]


def bare_loss(images, labels):
    hidden = tf.maximum(
        tf.reshape(images, (len(images), -1)) @ hidden_kernel + hidden_bias, 0
    )
    logits = hidden @ output_kernel + output_bias
    chosen = tf.gather(logits, labels, batch_dims=1)
    return tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1) - chosen)

# %% [markdown]
# Now the rule by which a gradient $g$ changes a weight $w$.
# We use Adam: it keeps a running mean $m$ of the gradient and $v$ of its square, both starting at 0, corrects both for that start, and moves each weight by about the learning rate $\alpha$, whatever the gradient's size.
# At step $t$:
#
# $$m \leftarrow \beta_1 m + (1-\beta_1)\,g, \qquad v \leftarrow \beta_2 v + (1-\beta_2)\,g^2, \qquad
# w \leftarrow w - \alpha_t\, \frac{m}{\sqrt{v} + \epsilon_t}, \qquad \alpha_t = \alpha\,\frac{\sqrt{1-\beta_2^t}}{1-\beta_1^t}$$
#
# The small $\epsilon_t$ keeps the quotient finite, and here the frameworks part.

# %% [markdown] tags=["pytorch"]
# PyTorch follows Algorithm 1 of the paper, which adds $\epsilon$ to the *corrected* root; in the form above that is $\epsilon_t = \epsilon\sqrt{1-\beta_2^t}$.
# Keras follows the paper's shortcut ("epsilon hat"): $\epsilon_t = \epsilon$, at the first step 32 times as large.
# Keep it in mind: it will come back.

# %% [markdown] tags=["tensorflow"]
# Keras follows the paper's shortcut ("epsilon hat"): $\epsilon_t = \epsilon$.
# PyTorch follows Algorithm 1, which adds $\epsilon$ to the *corrected* root; in the form above that is $\epsilon_t = \epsilon\sqrt{1-\beta_2^t}$, at the first step 32 times smaller.
# Keep it in mind: it will come back.
# And so will this: the powers below are computed by TensorFlow in float32, as Keras does, not by Python.

# %% tags=["pytorch"]
# counted: bare step
means = [torch.zeros_like(parameter) for parameter in parameters]
squares = [torch.zeros_like(parameter) for parameter in parameters]


def rate_and_epsilon(number):
    correction = (1 - beta_2**number) ** 0.5
    return learning_rate * correction / (
        1 - beta_1**number
    ), epsilon * correction


def bare_step(number, images, labels, rule=rate_and_epsilon):
    loss = bare_loss(images, labels)
    gradients = torch.autograd.grad(loss, parameters)
    rate, small = rule(number)
    with torch.no_grad():  # the update itself is not to be differentiated
        for parameter, gradient, mean, square in zip(parameters, gradients, means, squares):
            mean.mul_(beta_1).add_((1 - beta_1) * gradient)
            square.mul_(beta_2).add_((1 - beta_2) * gradient**2)
            parameter -= rate * mean / (square.sqrt() + small)
    return loss.detach()

# %% tags=["tensorflow"]
# counted: bare step
means = [tf.Variable(tf.zeros_like(parameter)) for parameter in parameters]
squares = [tf.Variable(tf.zeros_like(parameter)) for parameter in parameters]


def rate_and_epsilon(number):
    number = tf.constant(float(number))
    return learning_rate * tf.sqrt(1 - beta_2**number) / (
        1 - beta_1**number
    ), epsilon


def bare_step(number, images, labels, rule=rate_and_epsilon):
    with tf.GradientTape() as tape:  # writes down what is computed, to differentiate it
        loss = bare_loss(images, labels)
    gradients = tape.gradient(loss, parameters)
    rate, small = rule(number)
    for parameter, gradient, mean, square in zip(parameters, gradients, means, squares):
        mean.assign(beta_1 * mean + (1 - beta_1) * gradient)
        square.assign(beta_2 * square + (1 - beta_2) * gradient**2)
        parameter.assign_sub(rate * mean / (tf.sqrt(square) + small))
    return loss

# %% [markdown] tags=["pytorch"]
# A training loop is then a Python `for` over batches.
# `to_tensors` moves a batch of NumPy arrays to where the network lives.

# %% [markdown] tags=["tensorflow"]
# A training loop is then a Python `for` over batches.
# `to_tensors` makes tensors of a batch of NumPy arrays.

# %% tags=["pytorch", "network"]
# counted: to tensors
def to_tensors(images, labels):
    return torch.as_tensor(images, device=device), torch.as_tensor(
        labels, device=device
    )

# %% tags=["tensorflow", "network"]
# counted: to tensors
def to_tensors(images, labels):
    return tf.convert_to_tensor(images), tf.convert_to_tensor(labels)

# %% [markdown]
# And off it goes:

# %%
# counted: bare loop
losses["bare tensors"] = []
for number, batch in enumerate(first_epoch(), 1):
    loss = bare_step(number, *to_tensors(*batch))
    losses["bare tensors"].append(float(loss))

# %% [markdown]
# Did it learn?

# %%
plots.curves(
    {"bare tensors": losses["bare tensors"]},
    "Way 1 learns: most of the first epoch's gain comes in its first 30 steps",
)

# %% [markdown]
# ## Way 2: layers and an optimiser, in a loop of your own
#
# Three things above are the same in every project: the layers, the loss, the update rule.
# Here the framework brings them, and you keep the loop.
# This is the form in which most research code is written, and the one we return to in every lesson.

# %% [markdown] tags=["pytorch"]
# A network is a class.
# `__init__` makes the layers, which bring their own weights; `forward` says how an image passes through them, in ordinary Python.

# %% tags=["pytorch", "network"]
# counted: class
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

# %% [markdown] tags=["tensorflow"]
# A network is a class.
# `__init__` makes the layers; `call` says how an image passes through them, in ordinary Python.
#
# **Watch out:** a Keras layer makes its weights when it first learns the shape of its input, so a fresh `Classifier()` has none to load into.
# We tell it by calling it once on a `keras.Input`, a placeholder that has a shape and no content.

# %% tags=["tensorflow", "network"]
# counted: class
class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(
            hidden_width, activation="relu", name="hidden"
        )
        # Model has its own `output`
        self.output_layer = layers.Dense(10, name="output")

    def call(self, images):
        hidden = self.hidden(self.flatten(images))
        return self.output_layer(hidden)


def build_classifier(starting):
    network = Classifier()
    network(keras.Input((28, 28)))
    return load_weights(network, starting)

# %% [markdown]
# The loss comes from the framework too, and here is the first trap of both.
# It has the same cause on each side: probabilities and logits are both just ten numbers, and a loss that was promised the one takes the other.
# First the wrong line, then the right one:

# %% tags=["pytorch"]
labels = torch.arange(10)
# probability 1 for the true class of each of ten images
perfect = torch.eye(10)
print(
    f"perfect probabilities:    {F.cross_entropy(perfect, labels):.3f}   wrong"
)
print(
    f"perfect, as logits (±20): {F.cross_entropy(40 * perfect - 20, labels):.3f}   right"
)

# %% [markdown] tags=["pytorch"]
# **Watch out:** `F.cross_entropy` takes **logits** and applies softmax itself.
# Give it probabilities and softmax is applied twice: even a perfect network has the loss 1.461, and gradients that fade before it gets there.
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

# %% tags=["pytorch", "network"]
# counted: step
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
    print(
        f"after backward number {call}: |gradient| of the output bias {length:.3f}"
    )

# %% tags=["tensorflow", "network"]
# counted: step
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(
        learning_rate=learning_rate,
        beta_1=beta_1,
        beta_2=beta_2,
        epsilon=epsilon,
    )
    # makes Adam's variables: a graph may not
    optimizer.build(network.trainable_variables)
    return optimizer


@tf.function  # makes a graph when first called with a new network: lesson 3
def train_step(network, optimizer, images, labels):
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, network(images, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss

# %% [markdown] tags=["tensorflow"]
# Gradients are values here, a list that you hold in your hand; nothing is left over for the next step.
# (PyTorch's `backward` stores them in the weights and adds, so its loop must clear them.)
# **Watch out:** a tape serves once, unless made with `persistent=True`.
# Asking again is an error, not a wrong number:

# %% tags=["tensorflow"]
network = build_classifier(start)
with tf.GradientTape() as tape:
    loss = cross_entropy(labels, network(images))
try:
    for call in (1, 2):
        gradient = tape.gradient(loss, network.trainable_variables)[-1]
        print(
            f"gradient number {call}: |gradient| of the output bias {tf.norm(gradient):.3f}"
        )
except RuntimeError as error:
    print(f"RuntimeError: {error}")

# %% [markdown]
# The loop is the one from way 1, with other contents.
# Fresh network, first epoch:

# %% tags=["pytorch"]
# counted: loop
network = build_classifier(start)
optimizer = build_optimizer(network)
losses["nn.Module, own loop"] = []
for batch in first_epoch():
    loss = train_step(network, optimizer, *to_tensors(*batch))
    losses["nn.Module, own loop"].append(float(loss))

# %% tags=["tensorflow"]
# counted: loop
network = build_classifier(start)
optimizer = build_optimizer(network)
losses["GradientTape, own loop"] = []
for batch in first_epoch():
    loss = train_step(network, optimizer, *to_tensors(*batch))
    losses["GradientTape, own loop"].append(float(loss))

# %% [markdown]
# Are those the losses of our hand-written step?
# From here on each new way is held against this one:

# %% tags=["pytorch"]
reference = "nn.Module, own loop"

# %% tags=["tensorflow"]
reference = "GradientTape, own loop"

# %% [markdown]
# Two ways *agree* if none of their first 20 losses differs by more than a thousandth, nor the mean of the epoch by more than a hundredth:

# %%
def check(way):
    apart = records.relative_difference(losses[way], losses[reference])
    means_apart = records.relative_difference(
        [np.mean(losses[way])], [np.mean(losses[reference])]
    )
    agree = bool(apart[:20].max() < 1e-3 and means_apart < 0.01)
    print(
        f"{way}: first loss {losses[way][0]:.3f}, step 10 {losses[way][:10][-1]:.3f}"
    )
    print(f"agrees with '{reference}': {agree}")
    assert agree or not as_shipped


check("bare tensors")

# %% [markdown]
# The optimiser, then, is no mystery: it is the handful of lines of `bare_step`.
#
# ## Way 3: a ready-made container
#
# Our network is a row of layers, each fed by the one before.
# For that, both frameworks have a container named `Sequential`, and no class is needed.

# %% tags=["pytorch"]
# counted: sequential
def build_sequential(starting):
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, hidden_width),
        nn.ReLU(),
        nn.Linear(hidden_width, 10),
    )
    return load_weights(network, starting).to(device)

# %% [markdown] tags=["pytorch"]
# Everything else stays: the optimiser, the step and the loop do not care which kind of module they get.

# %% tags=["pytorch"]
# counted: sequential loop
network = build_sequential(start)
optimizer = build_optimizer(network)
losses["nn.Sequential, own loop"] = []
for batch in first_epoch():
    loss = train_step(network, optimizer, *to_tensors(*batch))
    losses["nn.Sequential, own loop"].append(float(loss))

# %% tags=["tensorflow"]
# counted: sequential
def build_sequential(starting):
    network = keras.Sequential([
        keras.Input((28, 28)),
        layers.Flatten(),
        layers.Dense(hidden_width, activation="relu", name="hidden"),
        layers.Dense(10, name="output"),
    ])
    return load_weights(network, starting)

# %% [markdown] tags=["tensorflow"]
# A Keras model brings its own loop.
# `compile` tells it the optimiser and the loss, then `fit` runs it: no tape, no step.

# %% tags=["tensorflow"]
# counted: compile
def compiled(network, rate=learning_rate):
    network.compile(
        optimizer=keras.optimizers.Adam(learning_rate=rate, beta_1=beta_1,
                                        beta_2=beta_2, epsilon=epsilon),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return network

# %% [markdown] tags=["tensorflow"]
# To see what it does we need one instrument: a callback, which `fit` calls after each batch with what it has to report.
# (It is ours, and is not counted below.)

# %% tags=["tensorflow"]
def recorder(reported):
    return keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: reported.append(dict(logs))
    )

# %% [markdown] tags=["tensorflow"]
# **Watch out:** given arrays, `fit` makes batches of 32 and shuffles them by its own dice.
# To have the shared order we give it our generator, and say how many batches make an epoch.
# A generator cannot be shuffled, so we say `shuffle=False`; otherwise Keras warns that it will not.

# %% tags=["tensorflow"]
# counted: sequential fit
network = compiled(build_sequential(start))
reported = []
history = network.fit(
    batches(seed),
    steps_per_epoch=steps_per_epoch,
    epochs=1,
    shuffle=False,
    callbacks=[recorder(reported)],
    verbose=0,
).history

# %% [markdown]
# And the losses?

# %% tags=["pytorch"]
check("nn.Sequential, own loop")

# %% [markdown] tags=["pytorch"]
# The same.
# Here the PyTorch library ends: it has no `fit`, on purpose, and its `compile` means something else (a graph: lesson 3).
# The loop is yours (or that of a library on top, such as Lightning).
# To see what that costs and gives, we write a `fit` of our own next.

# %% tags=["tensorflow"]
for step in sorted({1, 2, min(10, steps_per_epoch)}):
    print(f"step {step:2}: fit reports {reported[step - 1]['loss']:.3f}, "
          f"the loop had {losses[reference][step - 1]:.3f}")

# %% [markdown] tags=["tensorflow"]
# Not the same!
# Before you look for a bug in the network: `fit` reports something else than a batch's loss.
# What, we find out next.

# %% [markdown]
# ## What `fit` does, and what it reports
#
# `fit` is the loop, with bookkeeping around it: it averages the losses of an epoch, looks at the validation images, and keeps a history.

# %% [markdown] tags=["pytorch"]
# First, how good is a network on images that it does not train on?
# `inference_mode` records nothing for gradients; `eval()` puts layers such as dropout, which we will have in later lessons, into the state in which they are used.

# %% tags=["pytorch"]
# counted: evaluate
@torch.inference_mode()
def evaluate(network, images, labels):
    network.eval()
    images, labels = to_tensors(images, labels)
    return F.cross_entropy(network(images), labels).item()

# %% [markdown] tags=["pytorch"]
# The rest is an inner loop over batches and an outer loop over epochs.

# %% tags=["pytorch"]
# counted: fit
def train_epoch(network, optimizer, epoch_batches, step):
    network.train()  # undoes eval()
    batch_losses = [
        step(network, optimizer, *to_tensors(*batch))
        for batch in epoch_batches
    ]
    return torch.stack(batch_losses)


def fit(network, optimizer, epochs, validation=None, step=train_step):
    history = {"batch_loss": [], "loss": [], "val_loss": []}
    stream = batches(seed)
    for epoch in range(epochs):
        batch_losses = train_epoch(
            network, optimizer, islice(stream, steps_per_epoch), step
        )
        history["batch_loss"] += batch_losses.tolist()
        history["loss"].append(batch_losses.mean().item())
        if validation:
            history["val_loss"].append(evaluate(network, *validation))
    return history

# %% [markdown] tags=["pytorch"]
# A detail that pays on a GPU: the losses stay tensors until the epoch ends.
# `float(loss)` at every step, as in the loops above, makes Python wait for the GPU each time.

# %% tags=["pytorch"]
# counted: sequential fit
network = build_sequential(start)
history = fit(network, build_optimizer(network), epochs=1)
losses["nn.Sequential, own fit"] = history["batch_loss"]

# %% [markdown] tags=["pytorch"]
# Now look at the number that such a `fit` gives for the epoch, and at the loss of the network it leaves behind, **on the same training images**:

# %% tags=["pytorch"]
check("nn.Sequential, own fit")
running_mean = np.cumsum(losses[reference]) / np.arange(1, steps_per_epoch + 1)
after = evaluate(network, train_images, train_labels)
print(f"fit's loss of the epoch is the mean of its batches: "
      f"{np.isclose(history['loss'][0], running_mean[-1], rtol=0.01)}")
print(
    f"fit says {history['loss'][0]:.2f}; the trained network has {after:.2f}"
)

# %% [markdown] tags=["tensorflow"]
# `fit`'s first number agreed, its second lay between the loop's first two losses.
# That is what a **running mean** does: after batch $t$, `fit` reports the average of the losses of batches 1 to $t$ of this epoch.
# So the losses themselves can be had back from it:

# %% tags=["tensorflow"]
def single_losses(running_mean):
    totals = running_mean * np.arange(1, len(running_mean) + 1)
    return np.diff(totals, prepend=0)


running_mean = np.array([logs["loss"] for logs in reported])
losses["Sequential, fit"] = single_losses(running_mean)
check("Sequential, fit")

# %% [markdown] tags=["tensorflow"]
# The same losses after all.
# Now look at the number that `fit` gives for the epoch, and at the loss of the network it leaves behind, **on the same training images**:

# %% tags=["tensorflow"]
after = network.evaluate(
    train_images, train_labels, batch_size=1000, verbose=0
)
print(
    f"fit's loss of the epoch is the mean of its batches: "
    f"{np.isclose(history['loss'][0], np.mean(losses[reference]), rtol=0.01)}"
)
print(
    f"fit says {history['loss'][0]:.2f}; the trained network has {after:.2f}"
)

# %% [markdown]
# **Watch out:** the training loss of an epoch is an average over networks that no longer exist: the weights changed after every batch.
# Early in training it is too high, and so a validation loss can lie *below* the training loss with nothing wrong.
# Who compares the two must evaluate both with the same weights.

# %%
plots.curves(
    {
        "each batch": losses[reference],
        "running mean: what fit reports": running_mean,
    },
    "What fit reports lags behind the network that it trains",
)
plots.plt.axhline(
    after,
    color=plots.OTHERS[2],
    linestyle=":",
    label="network after the epoch",
)
_ = plots.plt.legend()

# %% [markdown] tags=["pytorch"]
# What is in Keras' `fit` and not in ours: it compiles the step to a graph, it takes callbacks, class weights and sample weights, and it spreads the work over devices, each for an argument or a `with`.
# Ours has something that Keras' has not: you can read it, and put a line or a breakpoint wherever you like.

# %% [markdown] tags=["tensorflow"]
# PyTorch has no `fit`; its users write two nested loops, over epochs and batches (the twin does), and can put a line or a breakpoint wherever they like.
# In return this one compiles the step to a graph, and takes callbacks, class weights and sample weights, and spreads the work over devices, for one argument or one `with` each.

# %% [markdown]
# ## Way 4: the network as a graph
#
# Not every network is a row.
# When layers branch and join, it helps to have the network as a **graph**: a description that can be drawn, cut and checked before any image passes.

# %% [markdown] tags=["pytorch"]
# Keras' *Functional API* builds such a graph by hand.
# PyTorch has **no counterpart**, because it needs none to build a branching network: `forward` is Python, and a branch is two variables.
# (`torch.nn.functional`, in spite of its name, is something else: layers without weights of their own.)
# What PyTorch can do is go the other way, and read the graph off the code by running `forward` with a placeholder.
# `torch.fx` shows it best; to capture a graph for export, today's way is `torch.export` (lesson 16):

# %% tags=["pytorch"]
# counted: graph
network = fx.symbolic_trace(build_classifier(start))

# %% [markdown] tags=["pytorch"]
# Each line is a node: a placeholder, a call of a method, of a module, or of a function.

# %% tags=["pytorch"]
print(network.graph)

# %% [markdown] tags=["pytorch"]
# The traced network is a module like any other, so the same loop trains it:

# %% tags=["pytorch"]
# counted: graph loop
optimizer = build_optimizer(network)
losses["torch.fx graph, own loop"] = []
for batch in first_epoch():
    loss = train_step(network, optimizer, *to_tensors(*batch))
    losses["torch.fx graph, own loop"].append(float(loss))

# %% [markdown] tags=["pytorch"]
# To look inside a network no graph is needed: a forward hook reports what passes through any module, and a part of a module is a module.
# The first three layers of the `Sequential` give the hidden activations:

# %% tags=["pytorch"]
check("torch.fx graph, own loop")
images, _ = to_tensors(validation_images[:1], validation_labels[:1])
print(
    "hidden activations of one image:",
    tuple(build_sequential(start)[:3](images).shape),
)

# %% [markdown] tags=["tensorflow"]
# In the *Functional API* a layer is called on a placeholder and returns the next one.
# Naming where the network begins and where it ends makes the model.
# PyTorch has no counterpart: there a branch is two variables in `forward`.

# %% tags=["tensorflow"]
# counted: functional
def build_functional(starting):
    inputs = keras.Input((28, 28))
    flat = layers.Flatten()(inputs)
    hidden = layers.Dense(hidden_width, activation="relu", name="hidden")(flat)
    outputs = layers.Dense(10, name="output")(hidden)
    return load_weights(keras.Model(inputs, outputs), starting)

# %% [markdown] tags=["tensorflow"]
# Training is way 3 again:

# %% tags=["tensorflow"]
# counted: functional fit
network = compiled(build_functional(start))
reported = []
network.fit(batches(seed), steps_per_epoch=steps_per_epoch, epochs=1,
            shuffle=False, callbacks=[recorder(reported)], verbose=0)
losses["Functional, fit"] = single_losses([logs["loss"] for logs in reported])

# %% [markdown] tags=["tensorflow"]
# And what the graph is good for: any placeholder can be named as another model's output.
# This one shares all weights with `network` and stops at the hidden layer:

# %% tags=["tensorflow"]
check("Functional, fit")
until_hidden = keras.Model(network.input, network.get_layer("hidden").output)
print(
    "hidden activations of one image:",
    until_hidden(validation_images[:1]).shape,
)

# %% [markdown]
# ## Way 5: a step of your own inside `fit`
#
# Suppose you want to see one more number at every step: the length of the gradient, all weights taken together.
# A loop of your own takes one more line.
# How does it get into `fit`?

# %% [markdown] tags=["pytorch"]
# In PyTorch this is the ordinary case.
# A step is a function; our `fit` takes it as an argument.

# %% tags=["pytorch"]
# counted: own step
gradient_norms = []


def step_with_norm(network, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    gradient_norms.append(
        nn.utils.get_total_norm([p.grad for p in network.parameters()])
    )
    optimizer.step()
    return loss.detach()


network = build_classifier(start)
history = fit(network, build_optimizer(network), epochs=1, step=step_with_norm)
losses["own step, own fit"] = history["batch_loss"]
gradient_norms = torch.stack(gradient_norms).tolist()

# %% [markdown] tags=["pytorch"]
# `fit` did not notice, and the losses are the same:

# %% tags=["pytorch"]
check("own step, own fit")

# %% tags=["tensorflow"]
# counted: own step
class NormReporter(Classifier):
    def train_step(self, batch):
        images, labels = batch
        with tf.GradientTape() as tape:
            loss = self.compute_loss(
                y=labels, y_pred=self(images, training=True)
            )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {
            "loss": loss,
            "gradient_norm": tf.linalg.global_norm(gradients),
        }

# %% [markdown] tags=["tensorflow"]
# A model's `train_step` is what `fit` calls for each batch.
# Override it, and all the rest of `fit` (epochs, callbacks, the graph) stays.

# %% tags=["tensorflow"]
# counted: own step fit
network = NormReporter()
network(keras.Input((28, 28)))
load_weights(network, start)
reported = []
history = (
    compiled(network)
    .fit(
        batches(seed),
        steps_per_epoch=steps_per_epoch,
        epochs=1,
        shuffle=False,
        callbacks=[recorder(reported)],
        verbose=0,
    )
    .history
)
losses["own train_step, fit"] = [logs["loss"] for logs in reported]
gradient_norms = [logs["gradient_norm"] for logs in reported]

# %% [markdown] tags=["tensorflow"]
# **Watch out:** `fit` now reports what *we* return, and we return the loss of one batch, no mean.
# So what the history calls the loss of the epoch is the loss of its **last batch**.
# (To have the mean back: keep a `keras.metrics.Mean`, update it at every step, return its `result()`, and list it in `metrics`, so that `fit` resets it each epoch.)

# %% tags=["tensorflow"]
check("own train_step, fit")
last = losses["own train_step, fit"][-1]
print(
    f"the history's loss is that of the last batch: {history['loss'][0] == last}"
)

# %% [markdown]
# The number we wanted to see:

# %%
plots.curves(
    {"gradient": gradient_norms},
    "The gradient's length jumps from batch to batch: a reason to average it",
    y_label="length of the gradient",
)

# %% [markdown]
# ## All ways, one table of losses
#
# The same weights, the same images, the same rule: if the ways differ only in who writes what, their losses must agree.
# To three digits:

# %%
shown = [step for step in (1, 2, 5, 10, 20) if step <= steps_per_epoch]
print(f"{'step':26}" + "".join(f"{step:10}" for step in shown))
for way, values in losses.items():
    print(f"{way:26}" + "".join(f"{values[step - 1]:10.3f}" for step in shown))

# %% [markdown]
# They agree.
# How far they are apart, at every step of the epoch:

# %%
_, axes = plots.plt.subplots(figsize=(7.0, 2.6))
for way, values in losses.items():
    apart = np.maximum(
        records.relative_difference(values, losses[reference]), 1e-9
    )
    axes.scatter(
        apart, [way] * len(apart), s=12, alpha=0.3, color=plots.OTHERS[0]
    )
axes.set(xscale="log", xlim=(5e-10, 1e-2),
         xlabel=f"relative difference from '{reference}' (1e-9: none)",
         title="One dot a step: the losses are equal, or differ by rounding")
axes.invert_yaxis()

# %% [markdown]
# Single-precision numbers have about seven digits, so a difference near 1e-7 is one of rounding.

# %% [markdown] tags=["pytorch"]
# Four ways agree with way 2 to the last bit, here on a CPU: they run the same operations.
# The hand-written Adam does its arithmetic in another order.

# %% [markdown] tags=["tensorflow"]
# The hand-written Adam does its arithmetic in another order.
# `Sequential` and `Functional` stand further apart for a reason of ours: their losses were computed back from a rounded running mean, and multiplying it by up to 125 batches multiplies its rounding as well: 1e-7 becomes 1e-5.

# %% [markdown]
# Whatever way you choose, you do not choose the result.
#
# ## How much is there to write, and how much to know?
#
# Now to the claims.
# **Lines** are easily counted, and do not say much: a line can be hard or trivial.
# So we count **concepts** too: every name of the framework that the code uses and a reader has to know: functions and classes (`torch.optim.Adam`, `keras.Input`), methods and attributes of their objects (`.backward`, `.trainable_variables`), keyword arguments (`from_logits=`), and methods that the framework calls (`def forward`, `def call`).
# Python's own and ours are free.
# You may well count otherwise; here is how we did:

# %%
import ast

FRAMEWORK_ROOTS = {"torch", "nn", "F", "fx", "tf", "keras", "layers"}
FREE = {*dir(list), *dir(dict), *dir(tuple)}


def concepts(code):
    nodes, found = list(ast.walk(ast.parse(code))), set()
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own = FREE | {
        node.attr for node in attributes if isinstance(node.ctx, ast.Store)
    }
    for node in nodes:
        if isinstance(node, ast.Attribute):
            path = ast.unparse(node)
            root = path.split(".")[0]
            if root in FRAMEWORK_ROOTS:
                found.add(path)
            elif root != "np" and node.attr not in own:
                found.add(f".{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found |= {f"{keyword.arg}=" for keyword in node.keywords}
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"def {part.name}"
                for part in node.body
                if isinstance(part, ast.FunctionDef)
                and part.name != "__init__"
            }
    partial = {
        name
        for name in found
        for longer in found
        if longer.startswith(f"{name}.")
    }
    return sorted(found - partial)

# %% [markdown]
# Both notebooks are made from one text file, `lessons/02_training.py`, in which each cell says to which notebook it belongs.
# So the cells of both sides can be counted there, by the same rule.
# A way consists of the cells that it needs:

# %%
ways = {
    "pytorch": {
        "bare tensors": [
            "bare network",
            "bare step",
            "to tensors",
            "bare loop",
        ],
        "nn.Module, own loop": ["class", "to tensors", "step", "loop"],
        "nn.Sequential, own loop": [
            "sequential",
            "to tensors",
            "step",
            "sequential loop",
        ],
        "nn.Sequential, own fit": [
            "sequential",
            "to tensors",
            "step",
            "evaluate",
            "fit",
            "sequential fit",
        ],
        "torch.fx graph, own loop": [
            "class",
            "to tensors",
            "step",
            "graph",
            "graph loop",
        ],
        "own step, own fit": [
            "class",
            "to tensors",
            "step",
            "evaluate",
            "fit",
            "own step",
        ],
    },
    "tensorflow": {
        "bare tensors": [
            "bare network",
            "bare step",
            "to tensors",
            "bare loop",
        ],
        "GradientTape, own loop": ["class", "to tensors", "step", "loop"],
        "Sequential, fit": ["sequential", "compile", "sequential fit"],
        "Functional, fit": ["functional", "compile", "functional fit"],
        "own train_step, fit": [
            "class",
            "own step",
            "compile",
            "own step fit",
        ],
    },
}

# %% [markdown]
# The concepts of two of them, so that you can see what was counted:

# %%
cells = {"pytorch": {}, "tensorflow": {}}
for cell in (ROOT / "lessons" / "02_training.py").read_text(encoding="utf-8").split("\n# %%"):
    tags, _, text = cell.partition("\n")
    if text.startswith("# counted: "):
        name, _, code = text.removeprefix("# counted: ").partition("\n")
        for side in [side for side in cells if side in tags] or cells:  # no tag: both
            cells[side][name] = code


def code_of(side, way):
    return "\n".join(cells[side][name] for name in ways[side][way])


for side, way in (("pytorch", "nn.Module, own loop"), ("tensorflow", "Sequential, fit")):
    print(f"{way}: {', '.join(concepts(code_of(side, way)))}\n")

# %% [markdown]
# And the table.
# Loading the shared weights is counted, and so are the two lines that write down the losses in a loop.
# Imports are not, nor are Keras' `recorder` and `single_losses`, which only this comparison needs.
# Counted, these seven lines and two concepts would make `fit` as long as the PyTorch loops.

# %%
def lines(code):
    stripped = [line.strip() for line in code.splitlines()]
    return sum(line != "" and not line.startswith("#") for line in stripped)


counts = {
    side: {
        way: (lines(code_of(side, way)), len(concepts(code_of(side, way))))
        for way in ways[side]
    }
    for side in ways
}
print(f"{'':42}{'lines':>6}{'concepts':>10}")
for side, label in (("pytorch", "PyTorch"), ("tensorflow", "TensorFlow")):
    for way, (line_count, concept_count) in counts[side].items():
        print(f"{label:12}{way:30}{line_count:6}{concept_count:10}")

# %% [markdown]
# **C1, PyTorch is easier for a beginner who knows Python.**
# Of the ways with ready-made layers, the PyTorch loops need the fewest concepts: 17 to 19, against 21 and more in Keras.
# That supports the claim, by a margin of a few names, some of which (`name=`, `callbacks=`, `steps_per_epoch=`) we need only because we compare.
# For bare tensors the two are level.
#
# **C2, TensorFlow needs a lot of code for a simple network; Keras less.**
# The `GradientTape` loop has 34 lines against PyTorch's 27, a quarter more.
# Keras with `fit` has the fewest lines of all, 18 and 19, and more concepts than either loop, 22 or 23: what you do not write as a line you say as an argument.
# And where `fit` has to do something of its own, PyTorch pays in lines (52 against 36: it had to write `fit` first) and Keras in concepts (34 against 29).
#
# What was **not** counted is how long it takes to understand a concept, what an error message looks like, and what you must *not* forget (`zero_grad` in PyTorch, `from_logits` in Keras).
# So this is evidence, not a verdict.
# Look across at the twin: which is easier for you?

# %%
figure, panels = plots.plt.subplots(1, 2, figsize=(8.5, 4.2), sharey=True)
for axes, column, unit in zip(panels, (0, 1), ("lines of code", "concepts")):
    for name, label, colour in (("pytorch", "PyTorch", plots.PYTORCH),
                                ("tensorflow", "TensorFlow", plots.TENSORFLOW)):
        rows = [f"{way} ({label})" for way in counts[name]]
        axes.barh(
            rows,
            [count[column] for count in counts[name].values()],
            color=colour,
        )
    axes.set_xlabel(unit)
    axes.grid(axis="y", visible=False)
panels[0].invert_yaxis()
_ = figure.suptitle(
    "Fewest lines: Keras' fit. Fewest concepts with layers: PyTorch's loop",
    fontsize=11,
    x=0.01,
    ha="left",
)

# %% [markdown]
# ## Overfitting: what the training loss does not tell
#
# So far one epoch.
# Now all of them, and after each a look at the validation images, from which the network learns nothing.

# %% tags=["pytorch"]
validation = (validation_images, validation_labels)
network = build_classifier(start)
history = fit(network, build_optimizer(network), epochs, validation)

# %% tags=["tensorflow"]
validation = (validation_images, validation_labels)
fit_arguments = dict(steps_per_epoch=steps_per_epoch, shuffle=False,
                     validation_data=validation, validation_batch_size=2000)
network = compiled(build_classifier(start))
history = network.fit(
    batches(seed), epochs=epochs, verbose=0, **fit_arguments
).history

# %% [markdown]
# Where the validation loss is lowest, there was the best network we had, and nobody kept it:

# %% tags=["nbval-ignore-output"]
best_epoch = int(np.argmin(history["val_loss"])) + 1
plots.curves(
    {"training": history["loss"], "validation": history["val_loss"]},
    f"Training loss keeps falling, validation loss is best at epoch {best_epoch}",
    x_label="epoch",
)
plots.plt.axvline(best_epoch, color=plots.OTHERS[2], linestyle=":")
for epoch in (best_epoch, epochs):
    training, validating = (
        history["loss"][epoch - 1],
        history["val_loss"][epoch - 1],
    )
    print(
        f"epoch {epoch}: training {training:.2f}, validation {validating:.2f}"
    )

if as_shipped:
    assert (
        history["loss"][-1] < 0.2
        and history["val_loss"][-1] > min(history["val_loss"]) + 0.01
    )

# %% [markdown]
# This is **overfitting**.
# The network has 203,530 weights and sees 8,000 images again and again: it begins to learn them by heart, and what is learnt by heart does not help with others.
# From some point on each epoch makes the training loss better and the network no better, or worse.
# (And in the first epoch the training curve lies *above* the other: the running mean again.)
#
# ## Early stopping and checkpoints
#
# The cure is simple: after each epoch, if the validation loss is the best so far, save the weights; after `patience` epochs without a new best, stop; then go back to the saved weights.
# (The validation curve is jagged.
# With a patience of 1 we would stop at the first tooth.)
# The files go to a temporary folder.

# %%
temporary = tempfile.TemporaryDirectory()  # is deleted when the notebook ends
folder = pathlib.Path(temporary.name)

# %% [markdown] tags=["pytorch"]
# PyTorch has no callback for this; one `if` in the loop does it.
# Why into a file, when `state_dict()` gives the weights?
# **Watch out:**

# %% tags=["pytorch"]
network = build_classifier(start)
remembered = network.state_dict()
before = remembered["output.bias"].abs().sum().item()
train_step(
    network, build_optimizer(network), *to_tensors(*next(batches(seed)))
)
after = remembered["output.bias"].abs().sum().item()
print(
    f"remembered sum of |output bias|: {before:.3f}; one training step later: {after:.3f}"
)

# %% [markdown] tags=["pytorch"]
# `state_dict()` holds the weights themselves, not a copy: "the best weights" kept this way go on changing, and restoring them does nothing.
# Save them to a file, or use `copy.deepcopy`.

# %% tags=["pytorch"]
checkpoint = folder / "best.pt"
network = build_classifier(start)
optimizer, stream = build_optimizer(network), batches(seed)
stopped_losses, best, waited = [], float("inf"), 0
for epoch in range(1, epochs + 1):
    train_epoch(
        network, optimizer, islice(stream, steps_per_epoch), train_step
    )
    stopped_losses.append(evaluate(network, *validation))
    if stopped_losses[-1] < best:
        torch.save(network.state_dict(), checkpoint)
        best, waited = stopped_losses[-1], 0
    else:
        waited += 1
        if waited == patience:
            break
loss_at_stop = evaluate(network, *validation)

# %% [markdown] tags=["pytorch"]
# **Watch out:** the network now has the weights of the *last* epoch.
# Stopping early is not yet going back:

# %% tags=["pytorch", "nbval-ignore-output"]
network.load_state_dict(torch.load(checkpoint, map_location=device))
network_at_best, stopped_loss = network, evaluate(network, *validation)
print(
    f"stopped after epoch {epoch} of {epochs}; validation loss {loss_at_stop:.3f}"
)
print(
    f"best weights restored from epoch {epoch - waited}; validation loss {stopped_loss:.3f}"
)

# %% [markdown] tags=["tensorflow"]
# Keras brings both as callbacks, one to stop and one to save.

# %% tags=["tensorflow"]
checkpoint = folder / "best.weights.h5"
network = compiled(build_classifier(start))
stopped_losses = network.fit(
    batches(seed),
    epochs=epochs,
    verbose=0,
    **fit_arguments,
    callbacks=[
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience),
        keras.callbacks.ModelCheckpoint(
            checkpoint,
            monitor="val_loss",
            save_best_only=True,
            save_weights_only=True,
        ),
    ],
).history["val_loss"]
epoch = len(stopped_losses)
waited = epoch - 1 - int(np.argmin(stopped_losses))
loss_at_stop = network.evaluate(*validation, batch_size=2000, verbose=0)

# %% [markdown] tags=["tensorflow"]
# **Watch out:** the network now has the weights of the *last* epoch: `EarlyStopping` has `restore_best_weights=False` by default.
# Stopping early is not yet going back.
# We go back through the file.
# (With `restore_best_weights=True` Keras does it from memory: no file, and so nothing left if the machine fails.)
# `network.load_weights` is Keras' own and reads a file; our `load_weights(network, start)` fills in the shared arrays.

# %% tags=["tensorflow", "nbval-ignore-output"]
network.load_weights(checkpoint)
network_at_best = network
stopped_loss = network.evaluate(*validation, batch_size=2000, verbose=0)
print(
    f"stopped after epoch {epoch} of {epochs}; validation loss {loss_at_stop:.3f}"
)
print(
    f"best weights restored from epoch {epoch - waited}; validation loss {stopped_loss:.3f}"
)

# %% [markdown]
# A checkpoint is worth something only if it can be read back by a network that was never trained.
# So we load it into one with *other* starting weights, and ask for the same loss; and we ask whether stopping changed anything but the end:

# %% tags=["pytorch"]
stranger = build_classifier(starting_weights(seed + 1)["classifier"])
stranger.load_state_dict(torch.load(checkpoint, map_location=device))
same = np.isclose(evaluate(stranger, *validation), stopped_loss, rtol=1e-5)
print(f"a network that read the file has the same validation loss: {same}")
long_run = history["val_loss"][:epoch]
close = np.allclose(stopped_losses, long_run, rtol=0.05)
print(f"up to the stop the run is the long run, within 5 %: {close}")
assert same and np.isclose(stopped_loss, min(stopped_losses), rtol=1e-4)

# %% tags=["tensorflow"]
stranger = build_classifier(starting_weights(seed + 1)["classifier"])
stranger.load_weights(checkpoint)
stranger = compiled(stranger)
read_loss = stranger.evaluate(*validation, batch_size=2000, verbose=0)
same = np.isclose(read_loss, stopped_loss, rtol=1e-5)
print(f"a network that read the file has the same validation loss: {same}")
long_run = history["val_loss"][:epoch]
close = np.allclose(stopped_losses, long_run, rtol=0.05)
print(f"up to the stop the run is the long run, within 5 %: {close}")
assert same and np.isclose(stopped_loss, min(stopped_losses), rtol=1e-4)

# %% [markdown]
# A file of weights is enough to *use* a network.
# To *go on training* it, Adam's two averages and its step count are needed as well.

# %% [markdown] tags=["pytorch"]
# They are in `optimizer.state_dict()`, which we did not save.
# If you mean to continue, put both into one dictionary, with the scheduler's `state_dict()` where there is one.

# %% [markdown] tags=["tensorflow"]
# Keras has put them into the same file, although the argument is called `save_weights_only`, because the model was compiled when it was saved.
# (Our stranger was compiled after it had read the file, and so took the weights alone.)

# %% tags=["tensorflow"]
import h5py

with h5py.File(checkpoint) as file:
    print(sorted(file))

# %% [markdown]
# ## A learning-rate schedule
#
# The jagged validation curve has a likely cause: near the end the steps are too long, and the network jumps about a valley instead of going down it.
# So we make the learning rate fall, along half a cosine, to zero:
#
# $$\alpha_t = \tfrac12\,\alpha_0 \left(1 + \cos \frac{\pi t}{T}\right)$$
#
# Here $t$ counts steps and $T$ is the whole run in steps, now of half as many epochs: when the rate has fallen, there is nothing left to wait for.
#
# **Watch out:** a schedule that counts steps and is told epochs does something you did not mean, and says nothing.
# We make the wrong one too:

# %% tags=["pytorch"]
scheduled_epochs = max(1, epochs // 2)
total_steps = scheduled_epochs * steps_per_epoch


def learning_rates(decay_length):
    optimizer = build_optimizer(build_classifier(start))
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=decay_length
    )
    rates = []
    for _ in range(total_steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()  # no gradients yet, so this changes nothing
        scheduler.step()
    return rates


wrong, right = learning_rates(scheduled_epochs), learning_rates(total_steps)

# %% tags=["tensorflow"]
scheduled_epochs = max(1, epochs // 2)
total_steps = scheduled_epochs * steps_per_epoch


def learning_rates(decay_length):
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate, decay_steps=decay_length
    )
    return [float(schedule(step)) for step in range(total_steps)]


wrong, right = learning_rates(scheduled_epochs), learning_rates(total_steps)

# %% [markdown] tags=["pytorch"]
# In PyTorch the schedule is an object beside the optimiser.
# Time passes for it when *you* call `scheduler.step()`: forget the call and the rate stays constant; call it once a batch and $T$ is in batches, once an epoch and it is in epochs.
# Past its end the cosine goes up again:

# %% [markdown] tags=["tensorflow"]
# In Keras the schedule is a function of the step, given to the optimiser *as* its learning rate.
# Every update advances it, there is nothing to call and nothing to forget; so $T$ is always in steps.
# Past its end it stays at zero, and the network stops learning in the first epoch:

# %%
_, panels = plots.plt.subplots(1, 2, figsize=(8.5, 3.2), sharey=True)
plots.curves({"wrong": wrong[:100]}, "Wrong, T in epochs: the first 100 steps",
             y_label="learning rate", axes=panels[0])
plots.curves(
    {"right": right},
    "Right, T in steps: one fall over the whole run",
    y_label="",
    axes=panels[1],
)

# %% [markdown]
# ## A progress bar and TensorBoard
#
# We train with the right schedule, and watch: a bar for the impatient, and logs that TensorBoard can read while we train.

# %% tags=["pytorch"]
# Do not copy this line. To write a file, TensorBoard would import all of TensorFlow if that is
# installed, as it is here for the twin; the line makes it use its own small substitute.
sys.modules["tensorflow"] = None

from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

logs = folder / "logs"

# %% [markdown] tags=["pytorch"]
# `tqdm` wraps anything that can be looped over; `SummaryWriter` writes a number under a name.
# Both go into the loop, at the place where they have something to say.
# `leave=False` takes the bar away when it is done.

# %% tags=["pytorch", "nbval-ignore-output"]
network = build_classifier(start)
optimizer, stream = build_optimizer(network), batches(seed)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
    optimizer, T_max=total_steps
)
scheduled = {"loss": [], "val_loss": []}
with SummaryWriter(logs) as writer:
    for epoch in range(scheduled_epochs):
        network.train()
        bar = tqdm(islice(stream, steps_per_epoch), desc=f"epoch {epoch + 1}",
                   total=steps_per_epoch, leave=False, file=sys.stdout)
        batch_losses = []
        for batch in bar:
            batch_losses.append(
                train_step(network, optimizer, *to_tensors(*batch))
            )
            scheduler.step()
        scheduled["loss"].append(torch.stack(batch_losses).mean().item())
        scheduled["val_loss"].append(evaluate(network, *validation))
        writer.add_scalar("loss/train", scheduled["loss"][-1], epoch)
        writer.add_scalar("loss/validation", scheduled["val_loss"][-1], epoch)

# %% [markdown] tags=["tensorflow"]
# Both are built in: `verbose=1` draws a bar for each epoch (`2` prints a line, `0` nothing), and a callback writes the logs.
# When the run is over `clear_output` takes the bars away; leave it out to keep them.

# %% tags=["tensorflow", "nbval-ignore-output"]
from IPython.display import clear_output

logs = folder / "logs"
schedule = keras.optimizers.schedules.CosineDecay(
    learning_rate, decay_steps=total_steps
)
network = compiled(build_classifier(start), schedule)
scheduled = network.fit(
    batches(seed),
    epochs=scheduled_epochs,
    verbose=1,
    **fit_arguments,
    callbacks=[keras.callbacks.TensorBoard(logs)],
).history
clear_output()

# %% [markdown]
# Ours go with the temporary folder.
# To keep yours, write them into a folder such as `runs/logs`.
# To look at them, type `tensorboard --logdir runs/logs` in a terminal, and open the address that it prints; in a notebook, `%load_ext tensorboard` and `%tensorboard --logdir runs/logs` show it below the cell.
# Both read the files again every few seconds, so a run can be watched from another room.
# Here we read the files ourselves, to see that the curve is in them:

# %% tags=["pytorch"]
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

events = EventAccumulator(str(logs)).Reload()
read_back = [event.value for event in events.Scalars("loss/validation")]
print(events.Tags()["scalars"])
same = np.allclose(read_back, scheduled["val_loss"], rtol=1e-6)
print(f"{len(read_back)} values, the validation losses of the run: {same}")
assert same

# %% [markdown] tags=["tensorflow"]
# **Watch out:** Keras writes its numbers as tensors, not as TensorBoard's "scalars", and of those this reader keeps ten a curve unless it is told `0`, all.
# Our twelve epochs came back as ten.

# %% tags=["tensorflow"]
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

events = EventAccumulator(
    str(logs / "validation"), size_guidance={"tensors": 0}
).Reload()
read_back = [
    float(tf.make_ndarray(event.tensor_proto))
    for event in events.Tensors("epoch_loss")
]
print(events.Tags()["tensors"])
same = np.allclose(read_back, scheduled["val_loss"], rtol=1e-6)
print(f"{len(read_back)} values, the validation losses of the run: {same}")
assert same

# %% [markdown]
# And did the schedule help?

# %%
plots.curves(
    {
        "constant": history["val_loss"],
        "falling along a cosine": scheduled["val_loss"],
    },
    f"Up to epoch {scheduled_epochs} the falling rate is smoother, and ends without a tooth",
    x_label="epoch",
    y_label="validation loss",
)

# %% [markdown]
# ## The worst mistakes
#
# The lowest point of the constant run may lie below the scheduled run's end, as here, but to have it you must have watched and stopped; the scheduled run ends there by itself.
# We keep whichever has the lower **validation** loss: choosing is what those images are for.
# Only then do we open the test set.

# %% tags=["pytorch"]
scheduled_loss = evaluate(network, *validation)
candidates = {"early stopping": (stopped_loss, network_at_best),
              "schedule": (scheduled_loss, network)}
chosen, (_, best_network) = min(
    candidates.items(), key=lambda item: item[1][0]
)
best_network.eval()
with torch.inference_mode():
    test_logits = best_network(
        torch.as_tensor(test_images, device=device)
    ).numpy(force=True)

# %% tags=["tensorflow"]
scheduled_loss = network.evaluate(*validation, batch_size=2000, verbose=0)
candidates = {"early stopping": (stopped_loss, network_at_best),
              "schedule": (scheduled_loss, network)}
chosen, (_, best_network) = min(
    candidates.items(), key=lambda item: item[1][0]
)
test_logits = best_network.predict(test_images, batch_size=2000, verbose=0)

# %% [markdown]
# From here on there are no tensors, only an array of logits, and one look at the truth:

# %% tags=["nbval-ignore-output"]
predicted = test_logits.argmax(axis=1)
test_accuracy = float(np.mean(predicted == test_labels))
sampling_error = np.sqrt(
    test_accuracy * (1 - test_accuracy) / len(test_labels)
)
print(
    f"kept: {chosen}; test accuracy {test_accuracy:.3f}, give or take {sampling_error:.3f}"
)
if as_shipped:
    assert test_accuracy >= 0.85

# %% [markdown]
# "Give or take" is the standard error of a proportion among 2,000 images: two networks half a point apart may well be equally good.
# For comparison: the README of Fashion-MNIST lists .835 for people who are not experts, and .900 for a deeper network of this kind; the full set has 60,000 training images, we used 8,000.
#
# What went wrong, then?
# The images to which the network gave the least probability for their true class:

# %%
probabilities = np.exp(
    test_logits - np.logaddexp.reduce(test_logits, axis=1, keepdims=True)
)
for_the_truth = probabilities[np.arange(len(test_labels)), test_labels]
worst = np.argsort(for_the_truth)[:12]
names = data.FASHION_CLASSES
captions = [
    f"said {names[predicted[i]]}\nis {names[test_labels[i]]}" for i in worst
]
plots.images(
    test_images[worst],
    "The worst mistakes: some labels look as doubtful as the answers",
    captions,
    columns=6,
    size=1.1,
)

# %% [markdown]
# Look at mistakes before you change a network.
# A bag that looks like a dress is a job for a better network; a label with which you disagree is not.
# And most mistakes are of a few kinds:

# %% tags=["nbval-ignore-output"]
wrong = predicted != test_labels
pairs, numbers = np.unique(np.sort([predicted, test_labels], axis=0)[:, wrong],
                           axis=1, return_counts=True)
for i in np.argsort(-numbers)[:4]:
    first, second = (names[label] for label in pairs[:, i])
    print(f"{first} and {second}: {numbers[i]} of {wrong.sum()} mistakes")

# %% [markdown]
# ## The twin check
#
# Now the other notebook.
# This one leaves a record of its run; the twin's was left when it was last run with the same parameters.

# %%
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
plots.twins(
    mine,
    twin,
    "One curve to the eye; below, a difference that begins at step 2",
)
print(records.compare(mine, twin))

# %% [markdown]
# The first losses are equal: the networks are the same.
# At step 2, after one update, they differ by about 1e-4.
# That is a thousand times more than rounding, so we ought to be able to say where it comes from.
# Two suspects are left from way 1, both in Adam: the place of $\epsilon$, which decides how far a weight moves whose gradient is hardly larger than $\epsilon$; and the powers in $\alpha_t$, which Keras computes in float32 and PyTorch in float64.
# We exchange the `rule` of our hand-written Adam for **the twin's**, first only the place of $\epsilon$, then both:

# %% tags=["pytorch"]
def twins_epsilon(number):
    return rate_and_epsilon(number)[0], epsilon


def twins_rule(number):
    # Keras computes the powers in float32
    number, one = np.float32(number), np.float32(1)
    correction = np.sqrt(one - np.float32(beta_2) ** number)
    rate = (
        np.float32(learning_rate)
        * correction
        / (one - np.float32(beta_1) ** number)
    )
    return float(rate), epsilon


def start_again():
    arrays = [array for layer in start.values() for array in layer.values()]
    with torch.no_grad():
        for parameter, array in zip(parameters, arrays):
            parameter.copy_(torch.as_tensor(array))
        for average in means + squares:
            average.zero_()

# %% tags=["tensorflow"]
def twins_epsilon(number):
    return rate_and_epsilon(number)[0], epsilon * (1 - beta_2**number) ** 0.5


def twins_rule(number):
    # PyTorch computes the powers in float64
    correction = (1 - beta_2**number) ** 0.5
    return learning_rate * correction / (
        1 - beta_1**number
    ), epsilon * correction


def start_again():
    arrays = [array for layer in start.values() for array in layer.values()]
    for parameter, array in zip(parameters, arrays):
        parameter.assign(array)
    for average in means + squares:
        average.assign(tf.zeros_like(average))

# %% [markdown]
# The first epoch twice more, against the twin's record:

# %% tags=["nbval-ignore-output"]
def epoch_with(rule):
    start_again()
    return [float(bare_step(number, *to_tensors(*batch), rule))
            for number, batch in enumerate(first_epoch(), 1)]


runs = {"each with its own Adam": losses[reference],
        "the twin's place of ε": epoch_with(twins_epsilon),
        "and the twin's powers": epoch_with(twins_rule)}
if twin:
    apart = {name: records.relative_difference(values, twin["losses"]["loss"])
             for name, values in runs.items()}
    plots.curves(
        {name: np.maximum(values, 1e-9) for name, values in apart.items()},
        "Two constants of Adam make the whole difference between the twins",
        y_label="relative difference",
        log=True,
    )
    plots.plt.ylim(5e-10, 3)
    plots.plt.legend(ncols=3, loc="upper left", fontsize=8)
    for name, values in apart.items():
        print(
            f"{name:24}step 2: {values[:2][-1]:.0e} apart; at most {values.max():.0e}"
        )
    assert apart["and the twin's powers"][:20].max() < 1e-4 or not as_shipped

# %% [markdown]
# The place of $\epsilon$ makes the 1e-4 at step 2.
# Without the powers, which change $\alpha_t$ by less than about a hundred-thousandth, the curves would still part before the epoch ends; with both, what remains is rounding.
#
# So it was neither the layers, nor the loss, nor the gradients: of everything that two large frameworks do here, two constants in one line of Adam, $\epsilon_t$ and $\alpha_t$, made them differ.
# Whether such a difference *matters* is another question: the test accuracies above are equal within their error.
#
# ## What differs
#
# | | PyTorch | TensorFlow / Keras | why it matters |
# |---|---|---|---|
# | the loop | yours | yours (`GradientTape`) or `fit` | `fit` is short; a loop can be read, stopped and changed |
# | cross-entropy | takes logits | takes probabilities unless `from_logits=True` | a wrong loss is a number like any other: no message |
# | gradients | `backward` stores them in the weights, added up | returned as a list by the tape | PyTorch needs `zero_grad`; a tape serves once, unless `persistent=True` |
# | Adam's epsilon | 1e-8, on the corrected root | 1e-7, on the plain root | the value we set equal; the place makes our twins differ |
# | weights appear | when the layer is made | when it first sees a shape | load or count them only after that |
# | loss of an epoch | what you average | a running mean; the last batch, if `train_step` returns a plain loss | training and validation loss are not comparable as reported |
# | graph of layers | read off `forward` (`torch.fx`) | built by hand (Functional API) | branches are plain Python, or placeholders |
# | early stopping | an `if` in the loop | `EarlyStopping`, does not restore by default | PyTorch: go back to the best weights yourself; Keras: by file or `restore_best_weights=True` |
# | keeping weights | `state_dict()` is a view of the weights; copy or save it | `ModelCheckpoint` writes a file | "best weights" that go on changing |
# | schedule | advances when you call it | advances with every update | know what $T$ counts |

# %% [markdown]
# ## What you learned
#
# - Layers, a loss and an optimiser are a few lines each; you wrote them, and got the losses of the framework's own.
# - A loop of your own, `fit`, a graph, a step inside `fit`: they differ in who writes what, not in the result.
# - Lines and concepts can be counted, and what they say about "easy" is limited.
# - What every later training needs: three sets of images, a validation curve, early stopping with the best weights restored, a schedule that counts the right thing, logs that can be read back.
# - How to hunt a difference: find the first step at which it shows, name a suspect, change that and nothing else.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. Set `train_size = 2_000` in "Parameters" and run all.
#    When does validation stop improving, and how far do the curves part?
# 2. Set `epsilon = 1e-3`.
#    It is the same number for both twins; run both.
#    Do the curves of the twin check part further or less far, and does the last figure still end at rounding?
# 3. Set `patience = 1`.
#    After which epoch does the training stop, and how much validation loss does that cost?
# 4. Put a dropout layer after the hidden layer of way 3 (`nn.Dropout(0.5)` or `layers.Dropout(0.5)`; while training it sets a random half of the numbers to zero, lesson 6) and train for all epochs.
#    What becomes of the gap between training and validation loss?
#    Why can the twins no longer agree?
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
