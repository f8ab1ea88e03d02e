# ---
# minutes: {read: 81, run: 2, exercises: 80}
# seconds: 180
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 11 · DCGAN: a forger and a critic
#
# A network that never sees a photograph learns to draw clothes, about half of them recognisable, from a rival's votes, real or fake.
#
# - **You will build** a generator and a discriminator (a DCGAN), the two training steps that set them against each other, and a distance that says how far the drawings are from photographs.
# - **You will learn** transposed convolutions and their alignment; the non-saturating loss; how to keep two players' gradients apart; what mode collapse looks like, how to bring it about, and what batch normalisation has to do with it.
# - **You need** lesson 4 (batch normalisation) and lesson 6 (convolution); lesson 10 for what drawings without a rival look like.
#
# Sections marked *optional* are not counted in the reading time; no later lesson needs what they say, but lesson 22 quotes the count of claim C13.

# %% [markdown]
# Every network up to lesson 9 had a right answer to compare with.
# Nobody has the right answer to "draw a shirt".
# Lesson 10's decoder took the photograph itself for an answer, pixel by pixel, and its shirts came out blurred: where many pictures are possible, their average is the safest guess.
# Goodfellow and others (2014) found a way around: train a second network to tell drawings from photographs, and let *that* be the teacher.
# The two are a **GAN**, a *generative adversarial network*.
# This lesson follows the convolutional recipe of Radford, Metz and Chintala (2015), small enough for a laptop.
#
# It also tests claim **C13** of the article (lesson 2): *GANs are easier in PyTorch*.
# Read the training steps here and in the twin, and judge.
#
# ## Set-up

# %% tags=["pytorch", "network"]
import ast
import inspect
import time
from itertools import chain, islice

import matplotlib.pyplot as plt
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
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import ast
import inspect
import math
import time
from itertools import chain, islice

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import FRAMEWORK_NAMES, data, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
epochs = 5  # 1 to 200: passes over the photographs
batch_size = 32  # 2 to train_size: photographs a step
learning_rate = 1e-3  # above 0 to 1: of both players
# Adam's memory of past gradients; .9 by default in both, .5 in the DCGAN paper
beta_1 = 0.5  # 0 to below 1
beta_2 = 0.999  # 0 to below 1: and of their squares
# Adam's, small enough for its place not to matter: see "The smallest knob"
epsilon = 1e-12  # above 0 to 1
# of LeakyReLU below zero; by default .01 in PyTorch, .3 in Keras' layer
slope = 0.2  # 0 to 1
latent_size = 64  # 1 to 1000: numbers of noise behind one picture
channels = 32  # 1 to 256: of the widest maps, halved once
train_size = 10_000  # 100 to 10000: photographs
seed = 0  # 0 to 2**32 - 1: of weights, noise and batch order

# %% [markdown]
# Two networks in a race do not end at the same digits on every machine.
# Where a result cannot reproduce, the lesson *asserts* bounds, for the values above only; with your own, nothing stops you.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("11_dcgan", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## Photographs and noise
#
# The discriminator needs photographs, the generator needs noise.
# From a vector of random numbers, its **latent**, it makes one picture; another latent, another picture.
# The photographs are scaled to [-1, 1], because the generator will end in a tanh, whose values lie there: were they left in [0, 1], the discriminator could tell a fake by its first pixel below zero.
#
# Each step takes one batch of photographs and **two** batches of noise, one for each player.
# All of it comes from NumPy, so the twin notebook trains on the same pictures and the same noise in the same order.

# %% tags=["network"]
(train_images, _), (test_images, test_labels) = data.fashion_mnist(train_size)
train_images, test_images = 2 * train_images - 1, 2 * test_images - 1


def latents(rng, count):
    return rng.standard_normal((count, latent_size)).astype("float32")


def batches(seed):
    noise = np.random.default_rng((seed, 11))
    order = data.batch_order(len(train_images), batch_size, epochs, seed)
    for chosen in order:
        latents_d = latents(noise, batch_size)
        latents_g = latents(noise, batch_size)
        yield train_images[chosen], latents_d, latents_g

# %% [markdown]
# No labels: neither player is told what a shirt is, or that there are ten kinds of clothes.

# %%
images, latents_d, latents_g = next(batches(seed))
darkest, brightest = images.min(), images.max()
print(f"photographs {images.shape} from {darkest:.0f} to {brightest:.0f}")
print(f"noise {latents_d.shape} for one player, as much for the other")
grey = (train_images[:20] + 1) / 2
plots.images(grey, "What the discriminator will call real")

# %% [markdown]
# ## Growing a picture: the transposed convolution
#
# A discriminator shrinks a picture to one number, as any classifier does: convolutions with stride 2 halve it.
# The generator has to go the other way, and its tool is the **transposed convolution**: each input pixel stamps a copy of the kernel, scaled by its value, onto the output; the stamps are `stride` pixels apart, and where they overlap, they add.
# With stride 2 the picture doubles.
#
# See where a stamp falls: a row of four pixels, of which one is bright, and a kernel `1 2 3 4` that can be recognised.
# Four pixels become eight:

# %% tags=["pytorch"]
row = torch.tensor([[[0.0, 1.0, 0.0, 0.0]]])  # (batch, channels, width)


def stamp(size, **options):
    kernel = torch.arange(1.0, size + 1).reshape(1, 1, size)
    stamped = F.conv_transpose1d(row, kernel, stride=2, **options)
    return stamped[0, 0].int().tolist()


print("all of it", stamp(4))
print("cut", stamp(4, padding=1))

# %% tags=["tensorflow"]
# (batch, width, channels)
row = np.array([[[0.0], [1.0], [0.0], [0.0]]], "float32")


def stamp(size, padding):
    kernel = np.arange(1, size + 1, dtype="float32").reshape(size, 1, 1)
    stamped = keras.ops.conv_transpose(row, kernel, strides=2, padding=padding)
    return keras.ops.cast(stamped[0, :, 0], "int32").numpy().tolist()


print("all of it", stamp(4, "valid"))
print("cut", stamp(4, "same"))

# %% [markdown] tags=["pytorch"]
# The full result has ten pixels.
# `padding=1` cuts one off at **both** ends, and eight are left, twice as many as there were.

# %% [markdown] tags=["tensorflow"]
# The full result has ten pixels.
# `padding="same"` cuts it down to eight, twice as many as there were: one pixel off at each end.

# %% [markdown]
# Why kernel 4?
# Let all pixels and all weights be 1, and count how many stamps land on each output pixel, for kernel 4 and for kernel 3:

# %% tags=["pytorch"]
for size in (4, 3):
    ones = torch.ones(1, 1, 6), torch.ones(1, 1, size)
    overlap = F.conv_transpose1d(*ones, stride=2, padding=1)
    print("kernel", size, overlap[0, 0].int().tolist())

# %% tags=["tensorflow"]
for size in (4, 3):
    ones = np.ones((1, 6, 1), "float32"), np.ones((size, 1, 1), "float32")
    overlap = keras.ops.conv_transpose(*ones, strides=2, padding="same")
    counts = keras.ops.cast(overlap[0, :, 0], "int32")
    print("kernel", size, counts.numpy().tolist())

# %% [markdown]
# Kernel 4 paints evenly but for the rim; kernel 3 paints every second pixel twice as strongly.
# The kernel's size should be a multiple of the stride.
# In two dimensions the uneven stamps make a **checkerboard**, the mark of many generated pictures (Odena and others, 2016).
# Even stamps do not rule it out, as you will see in early drawings below; they only stop it from being built in.
# We take kernel 4, stride 2, and nothing else.
#
# ## Shared starting weights
#
# Drawn once by NumPy, loaded by both twins: every kernel from N(0, 0.02²), as in the DCGAN paper.
# `load_weights` turns them into each framework's layout; a transposed convolution's kernel is (in, out, height, width) in PyTorch, (height, width, out, in) in Keras.
# A convolution that is followed by batch normalisation needs no bias, since the normalisation subtracts it again and adds its own; the dense layer goes without one too.

# %% tags=["network"]
def starting_weights(seed):
    rng, wide, spread = weights.generator(seed), 2 * channels, 0.02
    dense, convolution = weights.dense, weights.convolution
    generator = {
        "project": dense(rng, latent_size, 7 * 7 * wide, spread, bias=False),
        "project_norm": weights.batch_norm(wide),
        "enlarge": convolution(rng, 4, wide, channels, spread, bias=False),
        "enlarge_norm": weights.batch_norm(channels),
        "paint": convolution(rng, 4, channels, 1, spread),
    }
    discriminator = {
        "halve": convolution(rng, 4, 1, channels, spread),
        "halve_again": convolution(rng, 4, channels, wide, spread, bias=False),
        "halve_again_norm": weights.batch_norm(wide),
        "judge": convolution(rng, 7, wide, 1, spread),
    }
    return {"generator": generator, "discriminator": discriminator}

# %% [markdown]
# ## The generator
#
# Noise → 7 × 7 × 64 → 14 × 14 × 32 → 28 × 28 × 1.
# The first layer is dense: 64 numbers in, 7 × 7 × 64 out, and then those numbers are *called* a picture of 7 × 7 pixels with 64 channels, in the order (height, width, channels) in both notebooks.
# Normalisation and ReLU after each growth but the last, which ends in tanh.

# %% tags=["pytorch", "network"]
class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        wide = 2 * channels
        self.project = nn.Linear(latent_size, 7 * 7 * wide, bias=False)
        self.project_norm = nn.BatchNorm2d(wide)
        self.enlarge = nn.ConvTranspose2d(
            wide, channels, 4, stride=2, padding=1, bias=False
        )
        self.enlarge_norm = nn.BatchNorm2d(channels)
        self.paint = nn.ConvTranspose2d(channels, 1, 4, stride=2, padding=1)

    def forward(self, latents):
        maps = self.project(latents).unflatten(1, (7, 7, 2 * channels))
        maps = maps.permute(0, 3, 1, 2)  # to channels first
        maps = F.relu(self.project_norm(maps))
        maps = F.relu(self.enlarge_norm(self.enlarge(maps)))
        return torch.tanh(self.paint(maps))


def build_generator(starting):
    network = load_weights(Generator(), starting)
    return network.to(device, memory_format=torch.channels_last)

# %% tags=["tensorflow", "network"]
def norm(name):  # Keras' defaults are .99 and 1e-3; these are PyTorch's
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def grow(maps, name, **options):  # doubles height and width
    return layers.Conv2DTranspose(
        kernel_size=4, strides=2, padding="same", name=name, **options
    )(maps)


def build_generator(starting):
    inputs, wide = keras.Input((latent_size,)), 2 * channels
    project = layers.Dense(7 * 7 * wide, use_bias=False, name="project")
    maps = layers.Reshape((7, 7, wide))(project(inputs))
    maps = layers.ReLU()(norm("project_norm")(maps))
    maps = grow(maps, "enlarge", filters=channels, use_bias=False)
    maps = layers.ReLU()(norm("enlarge_norm")(maps))
    pictures = grow(maps, "paint", filters=1, activation="tanh")
    return load_weights(keras.Model(inputs, pictures), starting)

# %% [markdown] tags=["pytorch"]
# `permute` moves nothing in memory: each pixel's channels go on lying side by side.
# `channels_last` lays the kernels the same way, and the convolutions of a CPU are quick with that.

# %% [markdown] tags=["tensorflow"]
# Keras' momentum .9 is the weight of the *old* average, .1 that of the new batch.

# %% [markdown]
# ## The discriminator
#
# The way back: 28 → 14 → 7 by convolutions with stride 2, then one number for the whole picture, its **logit**: above zero it votes real, below zero fake.
# The last layer is a 7 × 7 convolution without padding, which fits exactly once: a dense layer in disguise, and one that asks nobody about the order of a flattened picture.
# LeakyReLU lets a little of the negative side through, so that the generator, whose only news comes through this network, gets a gradient from everywhere.

# %% tags=["pytorch", "network"]
class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.halve = nn.Conv2d(1, channels, 4, stride=2, padding=1)
        self.halve_again = nn.Conv2d(
            channels, 2 * channels, 4, stride=2, padding=1, bias=False
        )
        self.halve_again_norm = nn.BatchNorm2d(2 * channels)
        self.judge = nn.Conv2d(2 * channels, 1, 7)

    def forward(self, images):
        maps = F.leaky_relu(self.halve(images), slope)
        maps = self.halve_again_norm(self.halve_again(maps))
        return self.judge(F.leaky_relu(maps, slope)).flatten(1)


def build_discriminator(starting):
    network = load_weights(Discriminator(), starting)
    return network.to(device, memory_format=torch.channels_last)


def to_tensors(images, *latents):
    # (batch, 1, 28, 28)
    images = torch.as_tensor(images, device=device).unsqueeze(1)
    return images, *(torch.as_tensor(each, device=device) for each in latents)

# %% tags=["tensorflow", "network"]
def shrink(filters, name, **options):  # halves height and width
    return layers.Conv2D(
        filters, 4, strides=2, padding="same", name=name, **options
    )


def build_discriminator(starting):
    network = keras.Sequential([
        keras.Input((28, 28, 1)),
        shrink(channels, "halve"),
        layers.LeakyReLU(negative_slope=slope),
        shrink(2 * channels, "halve_again", use_bias=False),
        norm("halve_again_norm"),
        layers.LeakyReLU(negative_slope=slope),
        layers.Conv2D(1, 7, name="judge"),
        layers.Flatten(),
    ])
    return load_weights(network, starting)


def to_tensors(images, *latents):
    # (batch, 28, 28, 1)
    images = tf.convert_to_tensor(images)[..., tf.newaxis]
    return images, *map(tf.convert_to_tensor, latents)

# %% [markdown]
# The first pair, untrained.
# A look at shapes, sizes, and what the critic thinks of the forger's first drawing:

# %% tags=["pytorch"]
starting = starting_weights(seed)
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
images, latents_d, latents_g = to_tensors(*next(batches(seed)))

fakes = generator(latents_d)
print("latents", tuple(latents_d.shape), "→ pictures", tuple(fakes.shape),
      "→ logits", tuple(discriminator(fakes).shape))
players = {"generator": generator, "discriminator": discriminator}
for name, player in players.items():
    count = sum(values.numel() for values in player.parameters())
    print(f"{name:14}{count:8,} parameters")
probability = discriminator(fakes).sigmoid().mean()
print(f"probability of being real: {probability:.1f}")

# %% tags=["tensorflow"]
starting = starting_weights(seed)
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
images, latents_d, latents_g = to_tensors(*next(batches(seed)))

fakes = generator(latents_d, training=True)
print("latents", tuple(latents_d.shape), "→ pictures", tuple(fakes.shape),
      "→ logits", tuple(discriminator(fakes).shape))
players = {"generator": generator, "discriminator": discriminator}
for name, player in players.items():
    shapes = [values.shape for values in player.trainable_variables]
    print(f"{name:14}{sum(map(math.prod, shapes)):8,} parameters")
probability = tf.sigmoid(discriminator(fakes, training=True))
print(f"probability of being real: {tf.reduce_mean(probability):.1f}")

# %% [markdown]
# One half: it knows nothing yet.
# Now the two have to want something.
#
# ## What each player wants
#
# Write $D(x)$ for the probability of being real that the discriminator gives to a picture $x$, and $G(z)$ for the picture made from latent $z$.
# The discriminator wants photographs to score 1 and fakes 0.
# That is an ordinary two-class cross-entropy:
#
# $$\text{loss}_D = -\log D(x) - \log\bigl(1 - D(G(z))\bigr)$$
#
# The generator wants the opposite of the second term.
# Taken literally, it minimises $\log(1 - D(G(z)))$.
# That is the **saturating** loss, and it has a flaw that a picture shows at once.
# Let $\ell$ be the logit of a fake, $D = 1/(1 + e^{-\ell})$:

# %%
logits = np.linspace(-8, 8, 161)
probability = 1 / (1 + np.exp(-logits))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
values = {"saturating: log(1 − D)": np.log(1 - probability),
          "non-saturating: −log D": -np.log(probability)}
slopes = {"saturating": probability, "non-saturating": 1 - probability}
plots.curves({name: (logits, curve) for name, curve in values.items()},
             "Both fall to the right ...",
             "logit of a fake", "generator's loss", axes=left)
plots.curves({name: (logits, curve) for name, curve in slopes.items()},
             "... but only one is steep where fakes are caught",
             "logit of a fake", "steepness (size of the gradient)", axes=right)

# %% [markdown]
# Read the right-hand picture from the left.
# There the discriminator is sure that the picture is a fake, which is the state of affairs soon after training begins.
# The saturating loss is flat there: the worse the forgery, the less the forger is told.
# The **non-saturating** loss
#
# $$\text{loss}_G = -\log D(G(z))$$
#
# wants the same thing and is steep exactly there.
# It is the same cross-entropy with the label turned round: the generator's fakes are given the label *real*.
# Ask automatic differentiation, at a logit of −6:

# %% tags=["pytorch"]
logit = torch.tensor(-6.0, requires_grad=True)
loss_of = F.binary_cross_entropy_with_logits
both = {"saturating": -loss_of(logit, torch.zeros_like(logit)),
        "non-saturating": loss_of(logit, torch.ones_like(logit))}
for name, loss in both.items():
    gradient, = torch.autograd.grad(loss, logit)
    print(f"{name:15} loss {loss:7.4f}   gradient {gradient:7.4f}")

# %% tags=["tensorflow"]
logit = tf.Variable([-6.0])
loss_of = keras.losses.BinaryCrossentropy(from_logits=True)
with tf.GradientTape(persistent=True) as tape:  # persistent: asked twice
    both = {"saturating": -loss_of(tf.zeros(1), logit),
            "non-saturating": loss_of(tf.ones(1), logit)}
for name, loss in both.items():
    gradient = tape.gradient(loss, logit)[0]
    print(f"{name:15} loss {loss:7.4f}   gradient {gradient:7.4f}")

# %% [markdown] tags=["pytorch"]
# Both gradients point the same way; one is 400 times longer.
# We give the loss logits, not probabilities: at a logit of −200, float32's $D$ is 0, and its logarithm is lost.
# `…_with_logits` never computes $D$.

# %% [markdown] tags=["tensorflow"]
# Both gradients point the same way; one is 400 times longer.
# We give the loss logits, not probabilities: at a logit of −200, float32's $D$ is 0, and its logarithm is lost.
# **Watch out:** Keras' losses expect probabilities unless told `from_logits=True`.

# %% [markdown]
# ## Two players, two steps
#
# Training alternates.
# The discriminator's step: show it photographs and fresh fakes, improve *it alone*.
# The generator's step: make fakes, ask the discriminator about them, send the gradient *through* the discriminator back into the drawing, improve *the generator alone*.
# Each player has its own optimiser, which holds that player's parameters and no others.

# %% tags=["pytorch", "network"]
cross_entropy = F.binary_cross_entropy_with_logits


def build_optimizer(network):
    return torch.optim.Adam(
        network.parameters(), learning_rate, (beta_1, beta_2), epsilon,
        fused=True,  # all weights in one call
    )


def discriminator_step(generator, discriminator, optimizer, images, latents):
    optimizer.zero_grad()  # here, not at the end: see below
    # pictures, without the history of how they were made
    fakes = generator(latents).detach()
    real_logits, fake_logits = discriminator(images), discriminator(fakes)
    loss = (cross_entropy(real_logits, torch.ones_like(real_logits))
            + cross_entropy(fake_logits, torch.zeros_like(fake_logits)))
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% tags=["tensorflow", "network"]
cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    # its variables must exist before tracing
    optimizer.build(network.trainable_variables)
    return optimizer


def discriminator_step(generator, discriminator, optimizer, images, latents):
    # before the tape starts: its history is not kept
    fakes = generator(latents, training=True)
    with tf.GradientTape() as tape:
        real_logits = discriminator(images, training=True)
        fake_logits = discriminator(fakes, training=True)
        loss = (cross_entropy(tf.ones_like(real_logits), real_logits)
                + cross_entropy(tf.zeros_like(fake_logits), fake_logits))
    gradients = tape.gradient(loss, discriminator.trainable_variables)
    optimizer.apply(gradients, discriminator.trainable_variables)
    return loss

# %% [markdown]
# Photographs and fakes go through the discriminator as two batches, not as one mixed batch: its batch normalisation takes mean and variance from whatever comes together, and in a mixed batch photographs would be normalised by fakes.
# (Its running averages mix both; in this lesson nothing is judged with them, only the twin proof compares them.)
#
# The generator's step is shorter, because it needs no photographs:

# %% tags=["pytorch", "network"]
def generator_step(generator, discriminator, optimizer, latents):
    optimizer.zero_grad()
    # not detached: the gradient must get through
    logits = discriminator(generator(latents))
    # "real", says the forger
    loss = cross_entropy(logits, torch.ones_like(logits))
    loss.backward()
    optimizer.step()
    return loss.detach()


def train_step(generator, discriminator, optimizer_g, optimizer_d,
               images, latents_d, latents_g):
    players = generator, discriminator
    loss_d = discriminator_step(*players, optimizer_d, images, latents_d)
    loss_g = generator_step(*players, optimizer_g, latents_g)
    return loss_d, loss_g

# %% tags=["tensorflow", "network"]
def generator_step(generator, discriminator, optimizer, latents):
    with tf.GradientTape() as tape:
        fakes = generator(latents, training=True)
        logits = discriminator(fakes, training=True)
        # "real", says the forger
        loss = cross_entropy(tf.ones_like(logits), logits)
    gradients = tape.gradient(loss, generator.trainable_variables)
    optimizer.apply(gradients, generator.trainable_variables)
    return loss


@tf.function  # one graph for both steps, traced anew for new players
def train_step(generator, discriminator, optimizer_g, optimizer_d,
               images, latents_d, latents_g):
    players = generator, discriminator
    loss_d = discriminator_step(*players, optimizer_d, images, latents_d)
    loss_g = generator_step(*players, optimizer_g, latents_g)
    return loss_d, loss_g

# %% [markdown]
# And out of training?
# A trained player is asked for its answer, with the running averages of batch normalisation in place of the batch's own statistics.
# (The last two functions say what the twin proof asks of each player at its end.)

# %% tags=["pytorch", "network"]
@torch.inference_mode()
def answer(player, inputs):
    player.eval()
    outputs = player(inputs)
    player.train()
    return outputs


def evaluate_generator(generator, images, latents_d, latents_g):
    return answer(generator, latents_d)


def evaluate_discriminator(discriminator, images, latents_d, latents_g):
    return answer(discriminator, images)

# %% tags=["tensorflow", "network"]
def answer(player, inputs):
    return player(inputs, training=False)


def evaluate_generator(generator, images, latents_d, latents_g):
    return answer(generator, latents_d)


def evaluate_discriminator(discriminator, images, latents_d, latents_g):
    return answer(discriminator, images)

# %% [markdown]
# ## Whose gradient is it?
#
# What the two frameworks do differently here is *who remembers*.
# In the discriminator's step the fakes come without the history of how they were made.
# What is that good for?
# Make them with it, and look at where the gradients of the discriminator's loss arrive:

# %% tags=["pytorch"]
fakes = generator(latents_d)
ways = {"as they come": fakes, "detached": fakes.detach()}
print("weights of the generator that get a gradient:")
for name, pictures in ways.items():
    logits = discriminator(pictures)
    generator.zero_grad()
    cross_entropy(logits, torch.zeros_like(logits)).backward()
    reached = [values.grad is not None for values in generator.parameters()]
    print(f"{name:13} {sum(reached)} of {len(reached)}")

# %% tags=["tensorflow"]
with tf.GradientTape(persistent=True) as tape:
    fakes = generator(latents_d, training=True)  # now inside the tape
    ways = {"as they come": fakes, "stopped": tf.stop_gradient(fakes)}
    losses = {}
    for name, pictures in ways.items():
        logits = discriminator(pictures, training=True)
        losses[name] = cross_entropy(tf.zeros_like(logits), logits)
print("weights of the generator that get a gradient:")
for name, loss in losses.items():
    gradients = tape.gradient(loss, generator.trainable_variables)
    reached = [gradient is not None for gradient in gradients]
    print(f"{name:13} {sum(reached)} of {len(reached)}")

# %% [markdown] tags=["pytorch"]
# Without `detach()`, the backward pass walks on through the picture into the generator.
# In our loop that would be a waste of time and no more, because the generator's step clears its gradients before it begins.
# But one day somebody moves a line, and the generator learns to be caught.
# (Drawing the fakes under `torch.no_grad()` does the same and saves the recording too.
# We write `detach()`, as PyTorch's own DCGAN tutorial does, because it shows where the cut is.)
#
# **Watch out:** the other direction cannot be detached.
# The generator's `backward()` must pass through the discriminator, and on its way, unless the discriminator's parameters are set to `requires_grad_(False)` meanwhile, it fills their `.grad` as well:

# %% tags=["pytorch"]
def gradients_in(network):
    return sum(values.grad is not None for values in network.parameters())


optimizers = build_optimizer(generator), build_optimizer(discriminator)
discriminator.zero_grad()
print("before:", gradients_in(discriminator), "gradients")
generator_step(generator, discriminator, optimizers[0], latents_g)
print("after: ", gradients_in(discriminator), "gradients")

# %% [markdown] tags=["pytorch"]
# These want the discriminator to be fooled.
# `backward()` *adds* to what is there, so if the discriminator's step did not begin with `zero_grad()`, it would step along the sum of its own gradient and its opponent's.
# Clear at the beginning of a step, not at its end.

# %% [markdown] tags=["tensorflow"]
# Recorded inside the tape, the gradient could walk through the picture into the generator; `tf.stop_gradient` is the wall.
# Our step needs no wall: fakes made *before* the tape starts have no history.
# Had we put them inside, the result would be the same, because the step asks for gradients of the discriminator's variables alone; only slower, since the tape would record the generator for nothing.
#
# That is the difference to PyTorch: a tape answers what it is asked, and nothing is left behind.
# In PyTorch the generator's `backward()` also fills the discriminator's `.grad` on its way, and the next step must begin by clearing it.
# Ask here as often as you like, nothing adds up:

# %% tags=["tensorflow"]
with tf.GradientTape(persistent=True) as tape:
    logits = discriminator(generator(latents_g, training=True), training=True)
    loss = cross_entropy(tf.ones_like(logits), logits)
last_bias = discriminator.trainable_variables[-1]
first, second = (tape.gradient(loss, last_bias) for _ in range(2))
same = bool(tf.reduce_all(first == second))
print("asked twice, the gradient of the last bias is the same:", same)

# %% [markdown] tags=["tensorflow"]
# This gradient wants the discriminator to be fooled.
# In the generator's step nobody asks for it.

# %% [markdown]
# ## A head start for the critic
#
# How much flatter is the flat loss?
# Let the discriminator practise alone for 30 steps against the untrained forger, then compare how strongly each loss would move the generator.

# %% tags=["pytorch"]
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
optimizer = build_optimizer(discriminator)
for batch in islice(batches(seed), 30):
    images, latents_d, latents_g = to_tensors(*batch)
    discriminator_step(generator, discriminator, optimizer, images, latents_d)

logits = discriminator(generator(latents_g))
lengths = []
for loss in (-cross_entropy(logits, torch.zeros_like(logits)),
             cross_entropy(logits, torch.ones_like(logits))):
    parameters_g = list(generator.parameters())
    gradients = torch.autograd.grad(loss, parameters_g, retain_graph=True)
    lengths.append(nn.utils.get_total_norm(gradients).item())

# %% tags=["tensorflow"]
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
optimizer = build_optimizer(discriminator)
for batch in islice(batches(seed), 30):
    images, latents_d, latents_g = to_tensors(*batch)
    discriminator_step(generator, discriminator, optimizer, images, latents_d)

with tf.GradientTape(persistent=True) as tape:
    logits = discriminator(generator(latents_g, training=True), training=True)
    losses = (-cross_entropy(tf.zeros_like(logits), logits),
              cross_entropy(tf.ones_like(logits), logits))
lengths = []
for loss in losses:
    gradients = tape.gradient(loss, generator.trainable_variables)
    lengths.append(float(tf.linalg.global_norm(gradients)))

# %% [markdown]
# The length of the whole gradient, all parameters of the generator together:

# %%
quiet = lengths[1] > 10 * lengths[0]
plots.bars(dict(zip(("saturating", "non-saturating"), lengths)),
           "The critic ahead: only one loss still has news for the forger"
           if quiet else "The gradient of each loss, with the critic ahead",
           "length of the generator's gradient", log=True)
assert quiet or not as_shipped

# %% [markdown]
# Hundreds of times longer (the axis is logarithmic).
# Goodfellow and others (2014) proposed the second loss for this reason: it has "the same fixed point" and "much stronger gradients early in learning".
# Adam hides a part of the damage, since it divides by the gradient's usual size: see *Try it*.
#
# ## A judge for both notebooks
#
# Neither loss says whether the drawings are good: each is measured against an opponent who gets better too.
# We need a judge from outside, and it must be the same in both notebooks.
# Lesson 10 took one on trust, `tandem.judge`; here it is taken apart.
# In `data/` lies a small classifier, trained once on the labels that our players never see.
# Its last 64 features describe a picture in the terms that it learned for telling clothes apart.

# %% tags=["pytorch"]
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, 32, 3, padding=1)
        self.convolution_2 = nn.Conv2d(32, 64, 3, padding=1)
        self.convolution_3 = nn.Conv2d(64, 64, 3, padding=1)
        self.output = nn.Linear(64, 10)

    def forward(self, images):
        maps = F.max_pool2d(F.relu(self.convolution_1(images)), 2)
        maps = F.max_pool2d(F.relu(self.convolution_2(maps)), 2)
        features = F.relu(self.convolution_3(maps)).mean((2, 3))
        return features, self.output(features)


classifier = load_weights(Classifier(), data.fashion_classifier()).to(device)

# %% tags=["tensorflow"]
def convolve(maps, filters, number):
    return layers.Conv2D(filters, 3, padding="same", activation="relu",
                         name=f"convolution_{number}")(maps)


inputs = keras.Input((28, 28, 1))
maps = layers.MaxPooling2D()(convolve(inputs, 32, 1))
maps = layers.MaxPooling2D()(convolve(maps, 64, 2))
features = layers.GlobalAveragePooling2D()(convolve(maps, 64, 3))
outputs = layers.Dense(10, name="output")(features)
classifier = load_weights(keras.Model(inputs, [features, outputs]),
                          data.fashion_classifier())

# %% [markdown]
# Two small functions for the rest of the lesson: `draw` asks a generator for pictures, `describe` asks the judge about pictures.
# Both go in slices of 250, so that memory stays small.

# %% tags=["pytorch"]
def draw(generator, noise):
    slices = torch.as_tensor(noise, device=device).split(250)
    pictures = torch.cat([answer(generator, part) for part in slices])
    return pictures.squeeze(1).numpy(force=True)


@torch.inference_mode()
def describe(pictures):
    slices = torch.as_tensor(pictures, device=device).unsqueeze(1).split(250)
    answers = zip(*(classifier(part) for part in slices))
    features, logits = (torch.cat(some).numpy(force=True) for some in answers)
    return features.astype("float64"), logits.argmax(1)

# %% tags=["tensorflow"]
def slices(array):
    return [array[n : n + 250] for n in range(0, len(array), 250)]


def draw(generator, noise):
    pictures = [answer(generator, part) for part in slices(noise)]
    return np.concatenate(pictures)[..., 0]


def describe(pictures):
    answers = zip(*map(classifier, slices(pictures[..., None])))
    features, logits = map(np.concatenate, answers)
    return features.astype("float64"), logits.argmax(1)

# %% [markdown] tags=["pytorch"]
# **Watch out:** the mode.
# In training mode batch normalisation takes its statistics from the batch, and a drawing then depends on which others are drawn with it.
# In `answer`, `eval()` switches to the running averages; `train()` switches back: forget it, and training goes on with the running averages.
# One latent, drawn among 4 and among 32:

# %% tags=["pytorch"]
answer(generator, latents_g)
assert generator.training  # it has switched back
for training in (False, True):
    generator.train(training)
    with torch.inference_mode():
        few, many = generator(latents_g[:4])[0], generator(latents_g)[0]
    apart = (few - many).std() / many.std()
    print(f"training {training!s:6} apart by {apart:.2f} of the contrast")

# %% [markdown] tags=["tensorflow"]
# **Watch out:** `training=False`.
# In training mode batch normalisation takes its statistics from the batch, and a drawing then depends on which others are drawn with it.
# False is the default when a model is called outside `fit`; in a step of your own, True has to be written, each time.
# One latent, drawn among 4 and among 32:

# %% tags=["tensorflow"]
for training in (False, True):
    few = generator(latents_g[:4], training=training)[0]
    many = generator(latents_g, training=training)[0]
    apart = np.std(few - many) / np.std(many)
    print(f"training={training!s:6} apart by {apart:.2f} of the contrast")

# %% [markdown]
# Can the judge be trusted?
# It knows the test photographs as little as you do:

# %%
real_features, classes = describe(test_images)
right = np.mean(classes == test_labels)
print(f"the judge names {right:.2f} of the test photographs correctly")

# %% [markdown]
# ## A distance between two piles of pictures
#
# To compare a pile of drawings with a pile of photographs, compare the two clouds of features: their centres and their shapes.
# The **Fréchet distance** (Heusel and others, 2017, with a large ImageNet network for a judge: the *FID*) takes each cloud as a normal distribution with mean $m$ and covariance $C$.
# What is reported, there and here, is its square:
#
# $$d^2 = |m_1 - m_2|^2 + \operatorname{tr}\bigl(C_1 + C_2 - 2\,(C_1 C_2)^{1/2}\bigr)$$
#
# The first term notices wrong pictures, the second a lack of variety.
# The trace of that square root is the sum of the square roots of the eigenvalues of $C_1 C_2$.

# %%
def frechet_distance(first, second):
    between_means = first.mean(0) - second.mean(0)
    spread_1, spread_2 = (np.cov(some, rowvar=False)
                          for some in (first, second))
    # real and ≥ 0, but for rounding
    eigenvalues = np.linalg.eigvals(spread_1 @ spread_2).real
    shared = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return (between_means @ between_means
            + np.trace(spread_1) + np.trace(spread_2) - 2 * shared)

# %% [markdown]
# A number without a scale is no number.
# What does it say of photographs against other photographs?
# Of the same photographs, a little blurred?
# Of 2,000 copies of the one photograph that serves best?
# (It is the one nearest to the centre.
# The copies have no covariance, so their distance is `to_centre`, the first term, plus the trace of the photographs' own.)
# Of noise?

# %%
rng = np.random.default_rng(seed)
moved = (np.roll(test_images, 1, axis) for axis in (1, 2))
blurred = sum(moved, test_images) / 3
noise = rng.uniform(-1, 1, test_images.shape).astype("float32")


def to_photographs(pictures):
    return frechet_distance(real_features, describe(pictures)[0])


to_centre = ((real_features - real_features.mean(0)) ** 2).sum(1).min()
own_spread = np.trace(np.cov(real_features, rowvar=False))
scale = {
    "other photographs": to_photographs(train_images[:2000]),
    "blurred photographs": to_photographs(blurred),
    "one photograph, 2,000 times": to_centre + own_spread,
    "noise": to_photographs(noise),
}
for name, distance in scale.items():
    print(f"{name:28}{distance:7.2g}")
print(f"\n{'spread of the photographs':28}{own_spread:7.2g}")
plots.bars(scale, "The ruler: from photographs to noise",
           "Fréchet distance to the test photographs")

# %% [markdown]
# That is our ruler: photographs are at a tenth or less, noise at sixty.
# A forger who draws one picture over and over has no covariance either: his distance is at least the photographs' own spread, the last line above, even if his picture lay exactly at the centre, and the third bar if it is the best-placed of all photographs.
# Remember that bar.
#
# A second number looks at variety alone: the mean distance between the features of two drawings, over the same for two photographs.
# Photographs have 1, a forger with one picture 0.

# %%
def variety(features):
    def spread(some):
        one, other_half = np.split(some[: len(some) // 2 * 2], 2)
        return np.linalg.norm(one - other_half, axis=1).mean()

    return spread(features) / spread(real_features)


print(f"test photographs {variety(real_features):.2f}")
others = describe(train_images[:2000])[0]
print(f"training photographs {variety(others):.1f}")

# %% [markdown]
# ## The match
#
# Now play.
# 2,000 latents are set aside and never trained on; at some moments we draw from them, *always the same ones*, so that we see the same drawing improve.
# The loop is short, and it is the same in both notebooks: what differs between the frameworks is inside the steps.

# %%
fixed_latents = latents(np.random.default_rng((seed, 12)), 2000)
total_steps = epochs * (train_size // batch_size)
spaced = np.geomspace(min(25, total_steps), total_steps, 7)
moments = [int(step) for step in np.unique(spaced.round())]


def play(generator, discriminator, steps, strength=1.0, adapt=None):
    optimizers = build_optimizer(generator), build_optimizer(discriminator)
    if adapt:
        adapt(*optimizers)  # for later: another learning rate
    for step, (images, *noise) in enumerate(islice(batches(seed), steps), 1):
        tensors = to_tensors(images, *(strength * each for each in noise))
        losses = train_step(generator, discriminator, *optimizers, *tensors)
        yield step, [float(loss) for loss in losses]


print(total_steps, "steps; drawings after", *moments)

# %% [markdown]
# A minute or less.
# Watch the distance; with the lesson's values it falls from about that of noise into single figures:

# %% tags=["nbval-ignore-output"]
starting = starting_weights(seed)
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
losses, drawings, distances = [], [], []
began = time.perf_counter()
for step, both in play(generator, discriminator, total_steps):
    losses.append(both)
    if step in moments:
        looked = time.perf_counter()
        pictures = draw(generator, fixed_latents)
        features, classes = describe(pictures)
        drawings.extend(pictures[:10])
        distances.append(frechet_distance(real_features, features))
        print(f"step {step:5}   distance {distances[-1]:6.1f}   "
              f"variety {variety(features):.2f}")
        began += time.perf_counter() - looked  # a look is no training
training_seconds = time.perf_counter() - began

# %% [markdown]
# Here is what those numbers look like.
# A row is a moment, a column is one latent:

# %%
def row_captions(steps):
    """The step at the left of each row of ten drawings."""
    return [text for step in steps for text in [f"step {step}", *[""] * 9]]


plots.images((np.array(drawings) + 1) / 2,
             "The same ten latents, from the first steps (top) to the last",
             row_captions(moments))

# %% [markdown]
# First a grey weave (there is the checkerboard), then blobs, then stripes, then outlines; sleeves, soles and trouser legs come last.
# Some columns settle early and then work on details, others change their mind.
# Forty drawings from the end, with the judge's name for each.
# Look critically:

# %%
captions = [data.FASHION_CLASSES[label] for label in classes[:40]]
plots.images((pictures[:40] + 1) / 2,
             "Forty drawings, with what the judge takes them for", captions)

# %% [markdown]
# With the lesson's values about half are clothes at a glance: pullovers, shirts, a bag, a shoe here and there you would recognise without the caption.
# Others you would not: cover the captions, and guess.
# You also see what is not right: ragged edges, scattered pixels, creatures between a bag and a shirt.
# By the ruler all of this is a slight blur.
# Your eye is stricter: the judge was trained on photographs only, has to choose one of ten names, and never says "none".
#
# ## What the losses do not tell

# %%
both = dict(zip(("discriminator loss", "generator loss"), np.array(losses).T))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
window = max(1, total_steps // 30)
plots.curves(both, f"Losses, means of {window} steps", window=window,
             axes=left)
plots.curves({"drawings": (moments, distances)}, "Distance of the drawings",
             y_label="Fréchet distance", log=True, axes=right)
for name in ("noise", "other photographs"):
    right.axhline(scale[name], color=plots.OTHERS[5], linestyle=":")
    right.annotate(name, (moments[0], scale[name]), va="bottom", fontsize=8)
right.set_xscale("log")

# %% [markdown]
# A classifier's loss falls while it learns.
# Here, with the lesson's values, the discriminator's *rises*, with a dip, once the first steps are over: the fakes become harder to tell from photographs.
# If it could only guess, its loss would be $2\log 2 = 1.39$, with $D$ at one half for both piles; that is where a perfect forger would keep it.
#
# In this match the generator's loss falls on the whole, and so does the distance: one might take the loss for a measure of the drawings.
# To see that it is not, make the critic slow.
# The same match again, the same pictures and noise, with a fortieth of the learning rate for the discriminator:

# %% tags=["pytorch"]
def slow_critic(optimizer_g, optimizer_d):
    for group in optimizer_d.param_groups:
        group["lr"] = learning_rate / 40

# %% tags=["tensorflow"]
def slow_critic(optimizer_g, optimizer_d):
    optimizer_d.learning_rate = learning_rate / 40

# %% [markdown]
# Both matches are looked at after the same number of steps; the loss is the mean of the last 50 before that.

# %% tags=["nbval-ignore-output"]
middle = len(moments) // 2 + 1 if len(moments) > 2 else 0
until = moments[middle]
slow_generator = build_generator(starting["generator"])
easy_critic = build_discriminator(starting["discriminator"])
slow = [loss for _, (_, loss) in play(slow_generator, easy_critic, until,
                                      adapt=slow_critic)]
usual_loss = np.mean([loss for _, loss in losses[:until]][-50:])
slow_loss = np.mean(slow[-50:])
slow_distance = to_photographs(draw(slow_generator, fixed_latents))
print(f"after {until} steps     generator's loss   distance")
print(f"{'usual critic':20}{usual_loss:17.2f}{distances[middle]:11.1f}")
print(f"{'slow critic':20}{slow_loss:17.2f}{slow_distance:11.1f}")
if as_shipped:
    assert slow_loss < usual_loss / 2 and slow_distance > 2 * distances[middle]

# %% [markdown]
# With the lesson's values the forger of the slow critic has far the lower loss, and draws far worse: he fools a critic who is easy to fool.
# A loss of one player says who is ahead; whether the drawings are good, it does not say.

# %% [markdown]
# Which garments does the generator of the first match draw?

# %%
share = np.bincount(classes, minlength=10) / len(classes)
found = np.count_nonzero(share > 0.005)
plots.bars(dict(zip(data.FASHION_CLASSES, share.round(2))),
           f"The judge finds {found} of 10 classes (a tenth each is right)",
           "share of 2,000 drawings")
if as_shipped:
    assert distances[-1] < 6 and variety(features) > 0.6 and share.min() > 0.01

# %% [markdown]
# Nobody told the generator that there are ten classes.
# What is still missing of the photographs' variety is in the last line that the training printed: with the lesson's values about a quarter.
#
# And what did the rival bring?
# Without one, lesson 10's best drawings were at about 7 by the same ruler, those of its VAE at about 11, with a variety of about .65.
# (Its networks had no convolutions, though, and were trained for a shorter time.)
#
# ## Did it copy?
#
# A sceptic's question: does it draw, or does it remember photographs?
# (It never saw one, but the discriminator did.)
# For each of the first ten drawings, the nearest of all training photographs, pixel by pixel:

# %%
chosen = pictures[:10]
nearest = [
    train_images[((train_images - one) ** 2).mean((1, 2)).argmin()]
    for one in chosen
]
plots.images((np.concatenate([chosen, nearest]) + 1) / 2,
             "Drawings (top) and their nearest photographs (bottom)")

# %% [markdown]
# Related, but not the same pixels.
# And a generator that had stored photographs would jump from one to the next.
# Walk in a straight line from the latent of one drawing to that of another, twice:

# %%
ways = np.linspace(0, 1, 10)[:, None].astype("float32")
walks = [draw(generator, (1 - ways) * start + ways * end)
         for start, end in fixed_latents[:4].reshape(2, 2, latent_size)]
plots.images((np.concatenate(walks) + 1) / 2,
             "Two walks in a straight line from one latent to another")

# %% [markdown]
# Along these walks the shape itself changes, a little at each step; between garments of two kinds there may be a stretch that is neither.
# Which of the 64 numbers makes the sleeve?
# All of them a little; lesson 12 draws by orders that can be given one by one.
#
# ## Mode collapse, on purpose
#
# The discriminator judges drawings, hardly the pile that they come in.
# If one drawing fools it, why draw anything else?
# A generator that puts all its noise into one picture, or a few, is in **mode collapse**, the best-known disease of GANs.
# The DCGAN paper says of batch normalisation that it was "critical to get deep generators to begin learning, preventing the generator from collapsing all samples to a single point".
# Can that be shown?
#
# Take the batch normalisation out of the generator (its shift stays as a bias; in the first layer one for each of its numbers, so that all drawings can share a picture), and turn the noise down to a fiftieth, so that the input that should tell drawings apart is weak beside the biases that all drawings share.
# Nothing else changes: same weights, photographs, discriminator, steps.

# %%
def without_norm(starting):
    kernels = {name: arrays for name, arrays in starting.items()
               if "kernel" in arrays}
    return {name: {"bias": np.zeros(arrays["kernel"].shape[-1], "float32")}
            | arrays for name, arrays in kernels.items()}

# %% [markdown] tags=["pytorch"]
# That is a dictionary of weights.
# The network is our `Generator` with four of its layers exchanged; `nn.Identity` hands on what it gets:

# %% tags=["pytorch"]
def build_bare(starting):
    network, wide = Generator(), 2 * channels
    network.project = nn.Linear(latent_size, 7 * 7 * wide)
    network.enlarge = nn.ConvTranspose2d(
        wide, channels, 4, stride=2, padding=1
    )
    network.project_norm = network.enlarge_norm = nn.Identity()
    load_weights(network, without_norm(starting))
    return network.to(device, memory_format=torch.channels_last)

# %% [markdown] tags=["tensorflow"]
# That is a dictionary of weights.
# And the network, without its two normalisations and with the biases that come by default:

# %% tags=["tensorflow"]
def build_bare(starting):
    bare_inputs, wide = keras.Input((latent_size,)), 2 * channels
    project = layers.Dense(7 * 7 * wide, activation="relu", name="project")
    maps = layers.Reshape((7, 7, wide))(project(bare_inputs))
    maps = grow(maps, "enlarge", filters=channels, activation="relu")
    pictures = grow(maps, "paint", filters=1, activation="tanh")
    network = keras.Model(bare_inputs, pictures)
    return load_weights(network, without_norm(starting))

# %% [markdown]
# Play with a generator and weak noise, and look every 50 steps, and once before the first:

# %%
def play_weak(generator, strength=0.02, steps=min(300, total_steps)):
    discriminator = build_discriminator(starting["discriminator"])
    rows, varieties = [], {}
    match = play(generator, discriminator, steps, strength)
    for step, _ in chain([(0, None)], match):
        if step % 50 == 0 or step == steps:
            pictures = draw(generator, strength * fixed_latents)
            rows.extend(pictures[:10])
            varieties[step] = variety(describe(pictures)[0])
    return rows, varieties, pictures

# %% [markdown]
# 300 steps without normalisation:

# %%
bare = build_bare(starting["generator"])
rows, bare_varieties, collapsed = play_weak(bare)
one_drawing = max(bare_varieties.values()) < 0.3
plots.images((np.array(rows) + 1) / 2,
             "Collapse: ten different latents, one drawing" if one_drawing
             else "Ten latents in weak noise, without batch normalisation",
             row_captions(bare_varieties))

# %% [markdown]
# All columns are one picture.
# And see how it changes from row to row: the discriminator learns that *this* drawing is a fake, the generator moves to another, the discriminator follows.
# They chase each other from blob to blob, and neither learns what a wardrobe is.
# Now the same start and the very same weak noise with batch normalisation.
# It rescales each channel to variance 1 over the batch, so what differs between drawings, however weak, is blown up.

# %%
normalised = build_generator(starting["generator"])
rows, normalised_varieties, kept_apart = play_weak(normalised)
plots.images((np.array(rows) + 1) / 2,
             "The same ten latents and weak noise with batch normalisation",
             row_captions(normalised_varieties))

# %% [markdown]
# In numbers: the variety over time, and the distance at the end.

# %% tags=["nbval-ignore-output"]
varieties = {"without batch norm": bare_varieties,
             "with batch norm": normalised_varieties}
bare_end, normalised_end = (list(some.values())[-1]
                            for some in varieties.values())
plots.curves({name: (list(some), list(some.values()))
              for name, some in varieties.items()},
             "Batch normalisation keeps the drawings apart"
             if normalised_end > 2 * bare_end else "Variety in weak noise",
             y_label="variety (photographs: 1)")
plt.ylim(bottom=0)
print(f"{'':19} distance   variety   commonest class")
for name, some in zip(varieties, (collapsed, kept_apart)):
    drawn, named = describe(some)
    commonest = np.bincount(named).max() / len(named)
    distance = frechet_distance(real_features, drawn)
    print(f"{name:19}{distance:9.1f}{variety(drawn):10.2f}{commonest:18.2f}")
if as_shipped:
    assert one_drawing and normalised_end > 0.3

# %% [markdown]
# The collapsed generator draws almost one picture, and a bad one: the judge puts most copies, or all, into the same class, and the distance is above that of the best-placed photograph, 2,000 times: the third bar of the ruler.
# In most of our runs it was above that of noise, too.
# With batch normalisation the distance after as many steps is less than half of that third bar, and the drawings differ, though one class is still drawn far too often: 300 steps are few.
# Looking at one drawing at a time would never have shown a collapse.
# That is why one looks at many, and why the distance has a second term.
#
# An honest note: this generator was starved.
# Both curves begin at zero: with kernels so small and running averages still at 0 and 1, every untrained drawing is grey.
# Without normalisation the variety never came; with it, the first layer has no bias, so normalising its output divides the strength of the noise out again.
# It took both, the weak noise and the missing normalisation (with the biases that came in its place; we did not try these apart).
# With noise at full strength our small generator did not collapse without it when we tried: its variety was about .5 after 300 steps, as with it, though the distance was twice as large.
# So the paper's "preventing" is shown here for a generator whose input is weak, not for every generator.

# %% [markdown]
# ## The twin check *(optional)*
#
# Did both notebooks train the same two networks?
# Parameter counts, losses and distances, against the record that the twin left behind.
# (The folded cells make this notebook's own record.)

# %% tags=["pytorch", "folded"]
parameter_count = sum(values.numel() for player in (generator, discriminator)
                      for values in player.parameters())
step_functions = discriminator_step, generator_step, train_step

# %% tags=["tensorflow", "folded"]
parameter_count = sum(  # without the moving averages
    math.prod(values.shape) for player in (generator, discriminator)
    for values in player.trainable_variables)
# as written, before tracing
plain_step = getattr(train_step, "python_function", train_step)
step_functions = discriminator_step, generator_step, plain_step

# %% [markdown]
# The record also takes how long the training steps are, in lines that hold code and in names that they reach by a dot, and for lesson 14 how long a drawing takes.

# %% tags=["folded"]
began = time.perf_counter()
draw(generator, fixed_latents)
sample_seconds = (time.perf_counter() - began) / len(fixed_latents)

source = "".join(inspect.getsource(function) for function in step_functions)
code_lines = [line for line in source.splitlines()
              if line.strip() and line.strip()[0] != "#"]
touched = sorted({node.attr for node in ast.walk(ast.parse(source))
                  if isinstance(node, ast.Attribute)})

curves = dict(zip(("discriminator loss", "generator loss"),
                  np.array(losses).T))
mine = records.save(
    "11_dcgan", framework, parameters_used, curves,
    parameter_count=parameter_count, distance=distances[-1],
    variety=variety(features), distances=distances,
    step_lines=len(code_lines), step_names=len(touched),
    training_seconds=training_seconds, sample_seconds=sample_seconds,
)
twin = records.load("11_dcgan", other, parameters_used)

# %% [markdown]
# The curves are the first 60 steps, because after that there is nothing in common to see:

# %% tags=["nbval-ignore-output"]
def beginning(record):
    first = {name: some[:60] for name, some in record["losses"].items()}
    return record | {"losses": first}


plots.twins(beginning(mine), twin and beginning(twin),
            "The first 60 steps: where do the twins part?",
            "discriminator loss")
print(records.compare(mine, twin))

# %% [markdown]
# With the lesson's values the first losses agree to five digits or more.
# Then the difference grows, tenfold every few steps, until the two curves have only their statistics in common.
# Nothing is wrong: each player's step depends on the other's last one, so a rounding error is passed to and fro and amplified, like a whisper between a microphone and its loudspeaker.
#
# That this is rounding, and no difference between the networks, is what the twin proof says (`python -m tandem proof 11`).
# It runs the *same cells* in float64, with values for the learning rate, the betas, the slope and the batch size that both libraries hold exactly, and with Adam's epsilon and the running variance aligned.
# There the losses agree over 100 steps to a part in $10^{10}$ or better.
#
# So the single loss is not what twins of a GAN can be held to.
# What survives chaos is how *good* they become:

# %%
together = {FRAMEWORK_NAMES[one["framework"]]:
            (moments, one["scores"]["distances"])
            for one in (mine, twin) if one}
plots.curves(dict(sorted(together.items())),
             "How far the drawings are from photographs",
             y_label="Fréchet distance", log=True)
axes = plt.gca()
axes.minorticks_off()
axes.set_yticks([3, 10, 30], [3, 10, 30])
if twin and as_shipped:
    first = [records.relative_difference(mine["losses"][name],
                                         twin["losses"][name])[:2].max()
             for name in mine["losses"]]
    ratio = mine["scores"]["distance"] / twin["scores"]["distance"]
    assert max(first) < 1e-3 and 0.5 < ratio < 2

# %% [markdown]
# The cell asserts what can be asserted: the first two losses to a thousandth, the final distances within a factor of two.

# %% [markdown]
# ### The smallest knob *(optional)*
#
# The two Adams add their small epsilon in different places (lesson 2): Keras *before* the bias correction, so at step $t$ its epsilon counts as $\epsilon / \sqrt{1 - \beta_2^t}$: at the first step, 32 times as much.
# Does it matter?
# Adam's first step is one learning rate long for every weight, whatever its gradient, but for epsilon.
# Both rules, written down for a gradient of .005, the typical size in our generator's first layer when training begins:

# %%
gradient = 0.005
root = np.sqrt((1 - beta_2) * gradient**2)  # of the running mean square
correction = np.sqrt(1 - beta_2)
for small in (1e-7, 1e-12):
    in_pytorch = gradient / (root / correction + small)
    in_keras = gradient / (root + small) * correction
    print(f"epsilon {small:.0e}: a first step of {in_pytorch:.4f} learning "
          f"rates in PyTorch, {in_keras:.4f} in Keras")

# %% [markdown]
# That is nothing for learning, but these first steps are large beside weights of .02, and with $10^{-7}$ the twins' second losses were a thousandth apart when we tried: one would look for a bug.
# With $10^{-12}$ they are a hundred-thousandth apart or less.
# That is why this parameter is at neither default.

# %% [markdown]
# ## Two traps for carried weights *(optional)*
#
# Weights go from one framework to the other in our lessons all the time.
# Two things about generators have no error message.
# The first is where the stamp of an *odd* kernel falls, 3 or 5:

# %% tags=["pytorch"]
print("kernel 3", stamp(3, padding=1, output_padding=1))
print("kernel 5", stamp(5, padding=2, output_padding=1))

# %% [markdown] tags=["pytorch"]
# Eight pixels again.
# `padding` cuts that many pixels off **both** ends of the full result; for the odd kernels one too many is then gone, and `output_padding=1` gives one back at the right.
#
# **Watch out:** Keras' `padding="same"` also gives eight pixels, and they are another eight: half of the cut at each end, and if the cut is odd, the one pixel more goes at the right.
# Here is its answer, made by hand.
# With carried weights every picture is a pixel off, in each such layer, and all shapes are right.
# For kernel 4 both cut one pixel at each end: the same.

# %% tags=["pytorch"]
# no padding: all of it, then cut
print("kernel 3 in Keras", stamp(3)[:8])
print("kernel 5 in Keras", stamp(5)[1:9])

# %% tags=["tensorflow"]
print("kernel 3", stamp(3, "same"))
print("kernel 5", stamp(5, "same"))

# %% [markdown] tags=["tensorflow"]
# Eight pixels again.
# `padding="same"` cuts the full result down to twice the input, half of the cut at each end; if the cut is odd, the one pixel more goes at the right.
#
# **Watch out:** PyTorch has no "same" here.
# One writes `padding=1, output_padding=1` for kernel 3 (`padding=2` for 5), gets eight pixels too, and they are another eight.
# Here is its answer, made by hand.
# With carried weights every picture is a pixel off, in each such layer, and all shapes are right.
# For kernel 4 both cut one pixel at each end: the same.

# %% tags=["tensorflow"]
# all of it, then cut by hand
print("kernel 3 in PyTorch", stamp(3, "valid")[1:9])
print("kernel 5 in PyTorch", stamp(5, "valid")[2:10])

# %% [markdown]
# The second is the order in which a dense layer's numbers become a picture (lesson 3 met it the other way round, in network F).
# Twelve numbers as 2 × 2 pixels with 3 channels show it:

# %% tags=["pytorch"]
numbers = torch.arange(12).reshape(1, 12)
as_channels_first = numbers.unflatten(1, (3, 2, 2))
as_keras_has_it = numbers.unflatten(1, (2, 2, 3)).permute(0, 3, 1, 2)
print("channel 0 of what was unflattened as")
print("(channels, height, width):", as_channels_first[0, 0].tolist())
print("(height, width, channels):", as_keras_has_it[0, 0].tolist())

# %% tags=["tensorflow"]
numbers = np.arange(12).reshape(1, 12)
channels_last = layers.Reshape((2, 2, 3))(numbers).numpy()
as_torch_has_it = numbers.reshape(1, 3, 2, 2).transpose(0, 2, 3, 1)
print("channel 0 of what was reshaped to")
print("(height, width, channels):", channels_last[0, ..., 0].tolist())
print("(channels, height, width):", as_torch_has_it[0, ..., 0].tolist())

# %% [markdown] tags=["pytorch"]
# **Watch out:** both are (1, 3, 2, 2) and nothing complains.
# A network trained from scratch does not mind either: it learns its kernel in whatever order.
# But our shared kernel is laid out for (height, width, channels), so the generator unflattens to (7, 7, channels) and permutes.

# %% [markdown] tags=["tensorflow"]
# **Watch out:** both are (1, 2, 2, 3) and nothing complains.
# A network trained from scratch does not mind either: it learns its kernel in whatever order.
# But our shared kernel is laid out for (height, width, channels): the PyTorch twin therefore unflattens to (7, 7, channels), as here, and permutes.

# %% [markdown]
# ## Are GANs easier in PyTorch? *(optional)*
#
# Claim **C13**, counted on both players' training steps, as you read them above:

# %%
print("this notebook reaches:", *touched, sep="\n  ")
counted = [one for one in (mine, records.load("11_dcgan", other)) if one]
for one in sorted(counted, key=lambda one: one["framework"]):
    scores = one["scores"]
    print(f"{FRAMEWORK_NAMES[one['framework']]:11}"
          f"{scores['step_lines']:3} lines, {scores['step_names']:3} names")

# %% [markdown] tags=["pytorch"]
# PyTorch's steps are three lines shorter, with one name less.
# PyTorch asks you to *clear* (`zero_grad`) and to *cut* (`detach`), and a step that forgets the first is silently wrong.
# In the Keras twin, TensorFlow's tape asks you to *record* (`GradientTape`) and Keras to say `training=True` at every call, and a step that forgets that is silently wrong too.
# PyTorch's steps are ordinary Python; the twin puts `@tf.function` on its step, and a print in there runs only while it is traced.

# %% [markdown] tags=["tensorflow"]
# PyTorch's steps are three lines shorter, with one name less.
# TensorFlow's tape asks you to *record* (`GradientTape`) and Keras to say `training=True` at every call, and a step that forgets the second is silently wrong.
# PyTorch asks you to *clear* (`zero_grad`) and to *cut* (`detach`), and a step that forgets to clear is silently wrong too.
# A print in our step runs only while `@tf.function` traces it; in PyTorch, each time.
# Keras' own form puts the two steps into the `train_step` of a `keras.Model`, and `fit` brings progress bar and callbacks; that costs a class, and a `compile` for each player.

# %% [markdown]
# What the count cannot say is where the published GANs are that one starts from.
# The [first DCGAN](https://github.com/Newmu/dcgan_code) was written in Theano, [StyleGAN2-ADA](https://github.com/NVlabs/stylegan2-ada) in TensorFlow 1, [StyleGAN3](https://github.com/NVlabs/stylegan3) in PyTorch.
# For writing the loop yourself, three lines decide nothing: over three networks with two players lesson 22 finds no lead.
#
# ## What differs

# %% [markdown] tags=["pytorch"]
# | | PyTorch | Keras / TensorFlow | why it matters |
# |---|---|---|---|
# | doubling with kernel 4 | `stride=2, padding=1` | `strides=2, padding="same"` | the same; for kernels 3 and 5 a pixel apart |
# | a transposed convolution's kernel | (in, out, height, width) | (height, width, out, in) | carried-over kernels must be transposed |
# | dense to picture | (channels, height, width) by habit: `unflatten`, `permute` | `Reshape` to (height, width, channels) | carried-over kernels are scrambled |
# | gradients | added to `.grad` of everything on the way: `zero_grad` first | returned for what is asked | the opponent's gradient leaks in |
# | a fake without history | `.detach()` | made before the tape, or `tf.stop_gradient` | time, and mistakes later |
# | batch norm's mode | a state of the module: `eval()`, `train()` | an argument of each call: `training=` | drawings that depend on their neighbours |
# | batch norm | momentum .1 (new), eps 1e-5; running variance unbiased | momentum .99 (old), epsilon 1e-3: set to .9, 1e-5; running variance biased | another network; the variance matters in evaluation only |
# | order in memory | channels last on request: `channels_last` | channels last; `data_format="channels_first"` on request | speed on a CPU: with it and Adam's `fused=True`, an eighth less time a step |
# | Adam's epsilon, LeakyReLU's slope | 1e-8 after the bias correction, .01: set to 1e-12, .2 | 1e-7 before it, .3: set to 1e-12, .2 | the second losses part; another network |

# %% [markdown] tags=["tensorflow"]
# | | Keras / TensorFlow | PyTorch | why it matters |
# |---|---|---|---|
# | doubling with kernel 4 | `strides=2, padding="same"` | `stride=2, padding=1` | the same; for kernels 3 and 5 a pixel apart |
# | a transposed convolution's kernel | (height, width, out, in) | (in, out, height, width) | carried-over kernels must be transposed |
# | dense to picture | `Reshape` to (height, width, channels) | (channels, height, width) by habit: `unflatten`, `permute` | carried-over kernels are scrambled |
# | gradients | returned for what is asked | added to `.grad` of everything on the way: `zero_grad` first | the opponent's gradient leaks in |
# | a fake without history | made before the tape, or `tf.stop_gradient` | `.detach()` | time, and mistakes later |
# | batch norm's mode | an argument of each call: `training=` | a state of the module: `eval()`, `train()` | drawings that depend on their neighbours |
# | batch norm | momentum .99 (old), epsilon 1e-3: set to .9, 1e-5; running variance biased | momentum .1 (new), eps 1e-5; running variance unbiased | another network; the variance matters in evaluation only |
# | order in memory | channels last; `data_format="channels_first"` on request | channels last on request: `channels_last` | speed on a CPU |
# | Adam's epsilon, LeakyReLU's slope | 1e-7 before the bias correction, .3: set to 1e-12, .2 | 1e-8 after it, .01: set to 1e-12, .2 | the second losses part; another network |

# %% [markdown]
# ## The whole program
#
# What is left when nothing is compared: the framework's own starting weights and noise, and four passes.
# With the code of *Set-up*, and your own pictures of 28 × 28 in the place of `data.fashion_mnist()`, this is a program to start from.
# The two players, each with its optimiser:

# %% tags=["pytorch"]
from torch.utils.data import DataLoader

torch.manual_seed(0)
forger = nn.Sequential(
    nn.Linear(64, 64 * 7 * 7, bias=False), nn.Unflatten(1, (64, 7, 7)),
    nn.BatchNorm2d(64), nn.ReLU(),
    nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(32), nn.ReLU(),
    nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1), nn.Tanh(),
).to(device, memory_format=torch.channels_last)
critic = nn.Sequential(
    nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.LeakyReLU(0.2),
    nn.Conv2d(32, 64, 4, stride=2, padding=1, bias=False),
    nn.BatchNorm2d(64), nn.LeakyReLU(0.2),
    nn.Conv2d(64, 1, 7), nn.Flatten(),
).to(device, memory_format=torch.channels_last)
forgers_adam, critics_adam = (
    torch.optim.Adam(player.parameters(), 1e-3, (0.5, 0.999), fused=True)
    for player in (forger, critic)
)

# %% [markdown] tags=["pytorch"]
# And the match.
# One batch of fakes serves both players here, once cut off and once not, which saves drawing a second:

# %% tags=["pytorch"]
def vote(some, wanted):
    votes = critic(some)
    return F.binary_cross_entropy_with_logits(
        votes, torch.full_like(votes, wanted)
    )


clothes = torch.from_numpy(2 * data.fashion_mnist()[0][0] - 1).unsqueeze(1)
loader = DataLoader(clothes, 32, shuffle=True, drop_last=True)
for epoch in range(4):
    for real in loader:
        drawn = forger(torch.randn(len(real), 64, device=device))
        critics_adam.zero_grad()
        (vote(real.to(device), 1) + vote(drawn.detach(), 0)).backward()
        critics_adam.step()
        forgers_adam.zero_grad()
        vote(drawn, 1).backward()
        forgers_adam.step()

forger.eval()
with torch.inference_mode():
    noise = torch.randn(2000, 64, device=device).split(250)
    works = torch.cat([forger(some) for some in noise])
works = works.squeeze(1).numpy(force=True)

# %% tags=["tensorflow"]
keras.utils.set_random_seed(0)
forger = keras.Sequential([
    keras.Input((64,)),
    layers.Dense(7 * 7 * 64, use_bias=False), layers.Reshape((7, 7, 64)),
    layers.BatchNormalization(momentum=0.9), layers.ReLU(),
    layers.Conv2DTranspose(32, 4, 2, "same", use_bias=False),
    layers.BatchNormalization(momentum=0.9), layers.ReLU(),
    layers.Conv2DTranspose(1, 4, 2, "same", activation="tanh"),
])
critic = keras.Sequential([
    keras.Input((28, 28, 1)),
    layers.Conv2D(32, 4, 2, "same"), layers.LeakyReLU(0.2),
    layers.Conv2D(64, 4, 2, "same", use_bias=False),
    layers.BatchNormalization(momentum=0.9), layers.LeakyReLU(0.2),
    layers.Conv2D(1, 7), layers.Flatten(),
])
for player in (forger, critic):
    player.compile(keras.optimizers.Adam(1e-3, beta_1=0.5))

# %% [markdown] tags=["tensorflow"]
# And the match, in Keras' own form: a model whose `train_step` is ours, so that `fit` makes the batches, the graph and the passes.
# `compile` takes one optimiser, so each player was compiled with his own.
# (With a GPU Keras also compiles the step with XLA; without one it does not, and on our CPU a step was no faster with it.)

# %% tags=["tensorflow"]
class GAN(keras.Model):
    def __init__(self, forger, critic):
        super().__init__()
        self.forger, self.critic = forger, critic

    def vote(self, some, wanted):
        votes = self.critic(some, training=True)
        labels = tf.fill(tf.shape(votes), wanted)
        return keras.losses.BinaryCrossentropy(from_logits=True)(labels, votes)

    def train_step(self, real):
        noise = tf.random.normal((2, tf.shape(real)[0], 64))
        fakes = self.forger(noise[0], training=True)
        with tf.GradientTape() as tape:
            loss = self.vote(real, 1.0) + self.vote(fakes, 0.0)
        theirs = self.critic.trainable_variables
        self.critic.optimizer.apply(tape.gradient(loss, theirs), theirs)
        with tf.GradientTape() as tape:
            cheat = self.vote(self.forger(noise[1], training=True), 1.0)
        theirs = self.forger.trainable_variables
        self.forger.optimizer.apply(tape.gradient(cheat, theirs), theirs)
        return {"critic": loss, "forger": cheat}

# %% [markdown] tags=["tensorflow"]
# And the training:

# %% tags=["tensorflow"]
clothes = 2 * data.fashion_mnist()[0][0][..., np.newaxis] - 1
game = GAN(forger, critic)
game.compile()
game.fit(clothes, batch_size=32, epochs=4, verbose=0)
noise_for_works = np.random.default_rng(0).normal(size=(2000, 64))
works = forger.predict(noise_for_works, batch_size=500, verbose=0)[..., 0]

# %% [markdown]
# Twenty of its drawings:

# %% tags=["nbval-ignore-output"]
plots.images((works[:20] + 1) / 2, "Drawings of the whole program")
print(f"distance {to_photographs(works):.1f}")

# %% [markdown]
# Other starting weights, other noise and one pass less: clothes again, about as far from photographs as the lesson's, or up to twice as far.

# %% tags=["folded"]
assert altered or to_photographs(works) < 12

# %% [markdown]
# ## Exercises
#
# Now you.

# %% tags=["classroom"]
from tandem.exercises import attempt

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# The whole game, with five numbers.
# The forger draws numbers, $G(z) = a z + c$; the critic's logit for a number is $\ell(x) = u x^2 + v x + t$, positive where he takes it for real.
#
# `one_move(real, noise, forger, critic, rate)` takes **one** move of each, by plain gradient descent, with the gradients of your framework:
#
# 1. the critic moves: his loss is the mean of $-\log D$ over `real` plus the mean of $-\log(1 - D)$ over the drawings, and the forger does not move with it;
# 2. then the forger moves, against the critic *as he is now*, by the non-saturating loss, and the critic does not move.
#
# `real` and `noise` are arrays of any length, `forger` is the array $(a, c)$, `critic` is $(u, v, t)$, all of float32.
# Return four things: the critic's loss, the forger's loss before he moves (two numbers), the new forger and the new critic (NumPy arrays).
# The arrays that were given stay as they are, and both losses are finite even for logits of hundreds.

# %% [markdown] tags=["pytorch", "hint"]
# $-\log D = \mathrm{softplus}(-\ell)$ and $-\log(1 - D) = \mathrm{softplus}(\ell)$.
# `torch.autograd.grad(loss, critic)` gives the critic's gradient and leaves the forger alone.

# %% [markdown] tags=["tensorflow", "hint"]
# $-\log D = \mathrm{softplus}(-\ell)$ and $-\log(1 - D) = \mathrm{softplus}(\ell)$.
# One tape for each move, and the drawings made inside it; `tape.gradient(loss, critic)` gives the critic's gradient and leaves the forger alone.

# %% tags=["pytorch", "solution"]
def one_move(real, noise, forger, critic, rate):
    ### BEGIN SOLUTION
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    critics_loss = (F.softplus(-score(real)).mean()
                    + F.softplus(score(draw().detach())).mean())
    slope, = torch.autograd.grad(critics_loss, critic)
    with torch.no_grad():
        critic -= rate * slope
    forgers_loss = F.softplus(-score(draw())).mean()
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def one_move(real, noise, forger, critic, rate):
    ### BEGIN SOLUTION
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    with tf.GradientTape() as tape:
        critics_loss = (tf.reduce_mean(tf.nn.softplus(-score(real)))
                        + tf.reduce_mean(tf.nn.softplus(score(draw()))))
    critic.assign_sub(rate * tape.gradient(critics_loss, critic))
    with tf.GradientTape() as tape:
        forgers_loss = tf.reduce_mean(tf.nn.softplus(-score(draw())))
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())
    ### END SOLUTION

# %% [markdown]
# The check plays the same two moves in NumPy, in float64 and with the gradients by formula.
# Who passes it in both notebooks has written one game twice:

# %% tags=["classroom", "folded"]
def terms(x):
    return np.stack([x**2, x, np.ones_like(x)])


def sure(logit):  # D, without e to the power of hundreds
    return (1 + np.tanh(logit / 2)) / 2


def by_formula(real, noise, forger, critic, rate):
    """What `one_move` has to return, in float64."""
    real, noise, forger, critic = (np.asarray(one, "float64") for one in
                                   (real, noise, forger, critic))
    drawn = forger[0] * noise + forger[1]
    says, of_drawn = critic @ terms(real), critic @ terms(drawn)
    critics_loss = (np.logaddexp(0, -says).mean()
                    + np.logaddexp(0, of_drawn).mean())
    critic = critic - rate * (
        (terms(real) * (sure(says) - 1)).mean(1)
        + (terms(drawn) * sure(of_drawn)).mean(1))
    of_drawn = critic @ terms(drawn)
    back = (sure(of_drawn) - 1) * (2 * critic[0] * drawn + critic[1])
    moved = forger - rate * np.array([(back * noise).mean(), back.mean()])
    return critics_loss, np.logaddexp(0, -of_drawn).mean(), moved, critic

# %% [markdown]
# What it says of a move, and then yours:

# %% tags=["classroom", "folded"]
def move_reason(moves, wanted, as_he_was):
    """What is wrong with these four results, as a sentence, or ""."""
    critics_loss, forgers_loss, forger, critic = moves
    if not np.isclose(critics_loss, wanted[0], 1e-4):
        return (f"the critic's loss is {wanted[0]:.4f}, not "
                f"{critics_loss:.4f}: the mean over the real ones plus the "
                "mean over the drawings, of logits, not of probabilities")
    if not np.allclose(critic, wanted[3], 1e-4, 1e-6):
        return (f"the new critic is {wanted[3].round(4)}, not "
                f"{critic.round(4)}: one step downhill on his own loss, "
                "and no other")
    if np.isclose(forgers_loss, as_he_was, 1e-4):
        return (f"{as_he_was:.4f} is the loss against the critic as he was; "
                "he has moved")
    if not np.isclose(forgers_loss, wanted[1], 1e-4):
        return (f"the forger's loss is {wanted[1]:.4f}, not "
                f"{forgers_loss:.4f}: the mean of -log D; and he stood "
                "still while the critic moved")
    right = np.allclose(forger, wanted[2], 1e-4, 1e-6)
    return "" if right else (
        f"the new forger is {wanted[2].round(4)}, not {forger.round(4)}: one "
        "step downhill on his loss; he is not moved by the critic's")

# %% [markdown]
# It also tries logits of hundreds:

# %% tags=["check"]
rng = np.random.default_rng(1)
pile = rng.normal(2, 0.5, 40).astype("float32")
chance = rng.normal(size=30).astype("float32")
five = np.array([1, 0], "float32"), np.array([0.1, 0.3, -0.2], "float32")
kept = [one.copy() for one in five]
wanted = by_formula(pile, chance, *five, 0.5)
moves = [np.asarray(one) for one in one_move(pile, chance, *five, 0.5)]
assert all(map(np.array_equal, five, kept)), (
    "the arrays that were given have changed; copy them")
old = np.logaddexp(0, -kept[1] @ terms(chance)).mean()
problem = move_reason(moves, wanted, old)
assert not problem, problem
sides = np.array([-300], "float32"), np.array([300], "float32")
plain = np.array([1, 0], "float32"), np.array([0, 1, 0], "float32")
moves = one_move(*sides, *plain, 1e-6)
assert all(np.isfinite(one).all() for one in moves), (
    "with logits of -300 and 300 there are results that are no finite "
    "numbers: what is the logarithm of a D that is 0?")

# %% tags=["hidden"]
far = np.array([40, 10], "float32"), np.array([-1, 2, 30], "float32")
wanted = by_formula(pile[:7], chance, *far, 0.01)
moves = one_move(pile[:7], chance, *far, 0.01)
assert np.isfinite(np.array(moves[:2])).all(), (
    f"with logits of thousands the losses are {moves[:2]}: compute them "
    "from the logits, without a logarithm of D")
assert all(np.allclose(one, other, 1e-3) for one, other in
           zip(moves, wanted)), "other numbers where the critic is very sure"

# %% tags=["pytorch", "wrong"] mistake="takes the saturating loss"
def one_move(real, noise, forger, critic, rate):
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    critics_loss = (F.softplus(-score(real)).mean()
                    + F.softplus(score(draw().detach())).mean())
    slope, = torch.autograd.grad(critics_loss, critic)
    with torch.no_grad():
        critic -= rate * slope
    forgers_loss = -F.softplus(score(draw())).mean()
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))

# %% tags=["tensorflow", "wrong"] mistake="takes the saturating loss"
def one_move(real, noise, forger, critic, rate):
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    with tf.GradientTape() as tape:
        critics_loss = (tf.reduce_mean(tf.nn.softplus(-score(real)))
                        + tf.reduce_mean(tf.nn.softplus(score(draw()))))
    critic.assign_sub(rate * tape.gradient(critics_loss, critic))
    with tf.GradientTape() as tape:
        forgers_loss = -tf.reduce_mean(tf.nn.softplus(score(draw())))
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())

# %% tags=["pytorch", "wrong"] mistake="plays against the critic as he was"
def one_move(real, noise, forger, critic, rate):
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    critics_loss = (F.softplus(-score(real)).mean()
                    + F.softplus(score(draw().detach())).mean())
    slope, = torch.autograd.grad(critics_loss, critic)
    step = rate * slope
    forgers_loss = F.softplus(-score(draw())).mean()
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
        critic -= step
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))

# %% tags=["tensorflow", "wrong"] mistake="plays against the critic as he was"
def one_move(real, noise, forger, critic, rate):
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    with tf.GradientTape() as tape:
        critics_loss = (tf.reduce_mean(tf.nn.softplus(-score(real)))
                        + tf.reduce_mean(tf.nn.softplus(score(draw()))))
    step = rate * tape.gradient(critics_loss, critic)
    with tf.GradientTape() as tape:
        forgers_loss = tf.reduce_mean(tf.nn.softplus(-score(draw())))
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    critic.assign_sub(step)
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())

# %% tags=["pytorch", "wrong"] mistake="lets the forger move with the critic's loss"
def one_move(real, noise, forger, critic, rate):
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    critics_loss = (F.softplus(-score(real)).mean()
                    + F.softplus(score(draw())).mean())
    slope, other = torch.autograd.grad(critics_loss, [critic, forger])
    with torch.no_grad():
        critic -= rate * slope
        forger -= rate * other
    forgers_loss = F.softplus(-score(draw())).mean()
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))

# %% tags=["tensorflow", "wrong"] mistake="lets the forger move with the critic's loss"
def one_move(real, noise, forger, critic, rate):
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    with tf.GradientTape() as tape:
        critics_loss = (tf.reduce_mean(tf.nn.softplus(-score(real)))
                        + tf.reduce_mean(tf.nn.softplus(score(draw()))))
    slope, other = tape.gradient(critics_loss, [critic, forger])
    critic.assign_sub(rate * slope)
    forger.assign_sub(rate * other)
    with tf.GradientTape() as tape:
        forgers_loss = tf.reduce_mean(tf.nn.softplus(-score(draw())))
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())

# %% tags=["pytorch", "wrong"] mistake="adds up instead of taking means"
def one_move(real, noise, forger, critic, rate):
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    critics_loss = (F.softplus(-score(real)).sum()
                    + F.softplus(score(draw().detach())).sum())
    slope, = torch.autograd.grad(critics_loss, critic)
    with torch.no_grad():
        critic -= rate * slope
    forgers_loss = F.softplus(-score(draw())).sum()
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))

# %% tags=["tensorflow", "wrong"] mistake="adds up instead of taking means"
def one_move(real, noise, forger, critic, rate):
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    with tf.GradientTape() as tape:
        critics_loss = (tf.reduce_sum(tf.nn.softplus(-score(real)))
                        + tf.reduce_sum(tf.nn.softplus(score(draw()))))
    critic.assign_sub(rate * tape.gradient(critics_loss, critic))
    with tf.GradientTape() as tape:
        forgers_loss = tf.reduce_sum(tf.nn.softplus(-score(draw())))
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())

# %% tags=["pytorch", "wrong"] mistake="takes the logarithm of the probability"
def one_move(real, noise, forger, critic, rate):
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    critics_loss = (-torch.log(torch.sigmoid(score(real))).mean()
                    + -torch.log(
                        1 - torch.sigmoid(score(draw().detach()))).mean())
    slope, = torch.autograd.grad(critics_loss, critic)
    with torch.no_grad():
        critic -= rate * slope
    forgers_loss = -torch.log(torch.sigmoid(score(draw()))).mean()
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))

# %% tags=["tensorflow", "wrong"] mistake="takes the logarithm of the probability"
def one_move(real, noise, forger, critic, rate):
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    with tf.GradientTape() as tape:
        critics_loss = (-tf.reduce_mean(tf.math.log(tf.sigmoid(score(real))))
                        - tf.reduce_mean(tf.math.log(1 - tf.sigmoid(score(draw())))))
    critic.assign_sub(rate * tape.gradient(critics_loss, critic))
    with tf.GradientTape() as tape:
        forgers_loss = -tf.reduce_mean(tf.math.log(tf.sigmoid(score(draw()))))
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())

# %% tags=["pytorch", "wrong"] mistake="adds a little before it takes the logarithm"
def one_move(real, noise, forger, critic, rate):
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    def minus_log(probability):
        return -torch.log(probability + 1e-12).mean()

    critics_loss = (minus_log(torch.sigmoid(score(real)))
                    + minus_log(1 - torch.sigmoid(score(draw().detach()))))
    slope, = torch.autograd.grad(critics_loss, critic)
    with torch.no_grad():
        critic -= rate * slope
    forgers_loss = minus_log(torch.sigmoid(score(draw())))
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))

# %% tags=["tensorflow", "wrong"] mistake="adds a little before it takes the logarithm"
def one_move(real, noise, forger, critic, rate):
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    def minus_log(probability):
        return -tf.reduce_mean(tf.math.log(probability + 1e-12))

    with tf.GradientTape() as tape:
        critics_loss = (minus_log(tf.sigmoid(score(real)))
                        + minus_log(1 - tf.sigmoid(score(draw()))))
    critic.assign_sub(rate * tape.gradient(critics_loss, critic))
    with tf.GradientTape() as tape:
        forgers_loss = minus_log(tf.sigmoid(score(draw())))
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())

# %% tags=["pytorch", "wrong"] mistake="mixes up logits and probabilities"
def one_move(real, noise, forger, critic, rate):
    real, noise = torch.tensor(real), torch.tensor(noise)
    forger = torch.tensor(forger, requires_grad=True)
    critic = torch.tensor(critic, requires_grad=True)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    def loss_of(votes, wanted):
        return F.binary_cross_entropy_with_logits(
            votes.sigmoid(), torch.full_like(votes, wanted))

    critics_loss = (loss_of(score(real), 1)
                    + loss_of(score(draw().detach()), 0))
    slope, = torch.autograd.grad(critics_loss, critic)
    with torch.no_grad():
        critic -= rate * slope
    forgers_loss = loss_of(score(draw()), 1)
    slope, = torch.autograd.grad(forgers_loss, forger)
    with torch.no_grad():
        forger -= rate * slope
    return (critics_loss.item(), forgers_loss.item(),
            forger.numpy(force=True), critic.numpy(force=True))

# %% tags=["tensorflow", "wrong"] mistake="mixes up logits and probabilities"
def one_move(real, noise, forger, critic, rate):
    forger, critic = tf.Variable(forger), tf.Variable(critic)

    def draw():
        return forger[0] * noise + forger[1]

    def score(x):
        return critic[0] * x**2 + critic[1] * x + critic[2]

    def loss_of(votes, wanted):
        return keras.losses.BinaryCrossentropy()(
            tf.fill(tf.shape(votes), wanted), votes)

    with tf.GradientTape() as tape:
        critics_loss = (loss_of(score(real), 1.0)
                        + loss_of(score(draw()), 0.0))
    critic.assign_sub(rate * tape.gradient(critics_loss, critic))
    with tf.GradientTape() as tape:
        forgers_loss = loss_of(score(draw()), 1.0)
    forger.assign_sub(rate * tape.gradient(forgers_loss, forger))
    return (float(critics_loss), float(forgers_loss),
            forger.numpy(), critic.numpy())

# %% [markdown] tags=["exercise"] exercise="stamps" points=3
# ### Exercise 2: stamps
#
# The transposed convolution in two dimensions, in NumPy.
#
# `stamped(picture, kernel, stride, cut)` takes a picture (height, width) and a kernel (rows, columns).
# Each pixel stamps a copy of the kernel, times its value, onto the output; the stamps are `stride` pixels apart in both directions, and where they overlap they add.
# Of the full result, `cut` pixels are cut off at each of the four edges.

# %% [markdown] tags=["hint"]
# How large is the full result? The last stamp begins at `stride * (height - 1)` and has `rows` pixels.

# %% tags=["pytorch", "solution"]
def stamped(picture, kernel, stride, cut):
    ### BEGIN SOLUTION
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def stamped(picture, kernel, stride, cut):
    ### BEGIN SOLUTION
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]
    ### END SOLUTION

# %% [markdown]
# The check has pictures of which the answer can be written down:

# %% tags=["check"]
bright = np.zeros((2, 3))
bright[0, 1] = 2
numbered = np.arange(1.0, 17).reshape(4, 4)
stamps = stamped(bright, numbered, 2, 1)
assert np.shape(stamps) == (4, 6), (
    "2 × 3 pixels with stride 2, kernel 4 and a pixel cut become 4 × 6, "
    f"not {np.shape(stamps)}")
assert np.isclose(stamps[0, 1], 2 * 5 * 1 + 0), (
    "the bright pixel's stamp begins one row above the picture, at column "
    f"1: its second row's first number, 5, times 2 is 10, not "
    f"{stamps[0, 1]:.0f}")
ones = stamped(np.ones((3, 3)), np.ones((4, 4)), 2, 0)
assert np.shape(ones) == (8, 8), (
    f"with nothing cut 3 × 3 pixels become 8 × 8, not {np.shape(ones)}")
assert np.isclose(ones[3, 3], 4), (
    "in the middle four stamps of ones lie on each other, and add up to "
    f"4, not {ones[3, 3]:.0f}")
assert np.isclose(stamped(np.ones((1, 1)), numbered, 2, 0)[0, 3], 4), (
    "a single pixel leaves the kernel as it is, not turned round")
wide = stamped(np.ones((2, 2)), np.ones((2, 5)), 3, 0)
assert np.shape(wide) == (5, 8), (
    "2 × 2 pixels, stride 3, a kernel of 2 rows and 5 columns: 5 × 8, "
    f"not {np.shape(wide)}")

# %% tags=["hidden"]
rng = np.random.default_rng(8)
picture, kernel = rng.normal(size=(4, 2)), rng.normal(size=(2, 5))
stamps = stamped(picture, kernel, 3, 0)
assert np.shape(stamps) == (11, 8), (
    f"4 × 2 pixels, kernel 2 × 5, stride 3: (11, 8), not {np.shape(stamps)}")
assert np.isclose(stamps[9, 3], picture[3, 0] * kernel[0, 3]
                  + picture[3, 1] * kernel[0, 0]), (
    "an oblong kernel is laid down otherwise")
assert np.shape(stamped(picture, kernel, 3, 2)) == (7, 4), "cut at each edge"

# %% tags=["pytorch", "wrong"] mistake="lays stamps over each other instead of adding"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] = (
            picture[row, column] * kernel)
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% tags=["tensorflow", "wrong"] mistake="lays stamps over each other instead of adding"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] = (
            picture[row, column] * kernel)
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% tags=["pytorch", "wrong"] mistake="turns the kernel round"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel[::-1, ::-1])
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% tags=["tensorflow", "wrong"] mistake="turns the kernel round"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel[::-1, ::-1])
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% tags=["pytorch", "wrong"] mistake="cuts at the right and below only"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[:len(full) - 2 * cut, :full.shape[1] - 2 * cut]

# %% tags=["tensorflow", "wrong"] mistake="cuts at the right and below only"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[:len(full) - 2 * cut, :full.shape[1] - 2 * cut]

# %% tags=["pytorch", "wrong"] mistake="cuts with a minus, also where nothing is to be cut"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[cut:-cut, cut:-cut]

# %% tags=["pytorch", "wrong"] mistake="takes every kernel for a square"
def stamped(picture, kernel, stride, cut):
    (height, width), rows = picture.shape, len(kernel)
    columns = rows
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel[:, :rows])
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% tags=["tensorflow", "wrong"] mistake="cuts with a minus, also where nothing is to be cut"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[cut:-cut, cut:-cut]

# %% tags=["tensorflow", "wrong"] mistake="takes every kernel for a square"
def stamped(picture, kernel, stride, cut):
    (height, width), rows = picture.shape, len(kernel)
    columns = rows
    full = np.zeros((stride * (height - 1) + rows,
                     stride * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = stride * row, stride * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel[:, :rows])
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% tags=["pytorch", "wrong"] mistake="takes every stride for 2"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((2 * (height - 1) + rows, 2 * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = 2 * row, 2 * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% tags=["tensorflow", "wrong"] mistake="takes every stride for 2"
def stamped(picture, kernel, stride, cut):
    (height, width), (rows, columns) = picture.shape, kernel.shape
    full = np.zeros((2 * (height - 1) + rows, 2 * (width - 1) + columns))
    for row, column in np.ndindex(height, width):
        down, right = 2 * row, 2 * column
        full[down:down + rows, right:right + columns] += (
            picture[row, column] * kernel)
    return full[cut:len(full) - cut, cut:full.shape[1] - cut]

# %% [markdown] tags=["exercise"] exercise="suspects" points=3
# ### Exercise 3: did it copy?
#
# A drawing that is nearer to a photograph than photographs are to each other is under suspicion.
#
# `suspects(drawn, photographs)` takes two piles of pictures, (m, height, width) and (n, height, width), and returns m truth values: whether the distance of a drawing to its nearest photograph (the root of the mean squared difference of pixels) is *smaller than the smallest distance between two different photographs*.

# %% [markdown] tags=["hint"]
# Flatten the pictures; `np.linalg.norm(photographs - one, axis=1)` has the distances of one picture to all.
# Which of the distances between photographs are not between two *different* ones?

# %% tags=["pytorch", "solution"]
def suspects(drawn, photographs):
    ### BEGIN SOLUTION
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = min(
        np.sqrt(((photographs[n + 1:] - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1]))
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def suspects(drawn, photographs):
    ### BEGIN SOLUTION
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = min(
        np.sqrt(((photographs[n + 1:] - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1]))
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual
    ### END SOLUTION

# %% [markdown]
# The check hides two copies with a little noise among photographs that the pile does not hold:

# %% tags=["check"]
pile = train_images[:300]
drawn = train_images[300:310].copy()
rng = np.random.default_rng(5)
for place, source in ((3, 17), (8, 120)):
    drawn[place] = pile[source] + rng.normal(0, 0.02, (28, 28))
found = np.asarray(suspects(drawn, pile))
assert found.shape == (10,) and found.dtype == bool, (
    f"ten truth values, not {found.dtype} of shape {found.shape}")
assert found.any(), (
    "nobody is under suspicion. A photograph is at distance 0 from "
    "itself: that is no distance between two different ones")
assert found[3] and found[8], (
    "pictures 3 and 8 are photographs 17 and 120 with a little noise; "
    f"under suspicion are {np.flatnonzero(found)}")
assert found.sum() == 2, (
    f"the other eight are photographs of other clothes, and "
    f"{found.sum() - 2} of them are under suspicion")
three = np.array([0.0, 1, 3])[:, None, None] * np.ones((3, 2, 2))
beside = np.array([-0.9, 4.1])[:, None, None] * np.ones((2, 2, 2))
assert list(suspects(beside, three)) == [True, False], (
    "photographs of 0, 1 and 3 are at least 1 apart: a drawing .9 away "
    "is under suspicion, one 1.1 away is not")

# %% tags=["hidden"]
three = np.zeros((3, 2, 4))
three[1], three[2] = 5, 1
drawn = np.stack([three[0] + 0.5, three[1] + 2, three[2] - 0.9, three[1]])
found = np.asarray(suspects(drawn, three))
assert list(found) == [True, False, True, True], (
    "photographs of 0, 5 and 1, drawings of .5, 7, .1 and 5: all but the 7 "
    f"are nearer than 1 to one of them; yours: {list(found)}")

# %% tags=["pytorch", "wrong"] mistake="compares photographs with themselves, too"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = min(
        np.sqrt(((photographs - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1]))
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["tensorflow", "wrong"] mistake="compares photographs with themselves, too"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = min(
        np.sqrt(((photographs - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1]))
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["pytorch", "wrong"] mistake="compares with the mean photograph"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = min(
        np.sqrt(((photographs[n + 1:] - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1]))
    nearest = [np.sqrt(((photographs.mean(0) - one) ** 2).mean())
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["tensorflow", "wrong"] mistake="compares with the mean photograph"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = min(
        np.sqrt(((photographs[n + 1:] - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1]))
    nearest = [np.sqrt(((photographs.mean(0) - one) ** 2).mean())
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["pytorch", "wrong"] mistake="takes the usual distance for the smallest"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = np.mean([
        np.sqrt(((photographs[n + 1:] - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1])])
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["tensorflow", "wrong"] mistake="takes the usual distance for the smallest"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = np.mean([
        np.sqrt(((photographs[n + 1:] - one) ** 2).mean(1)).min()
        for n, one in enumerate(photographs[:-1])])
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["pytorch", "wrong"] mistake="looks at neighbours in the pile only"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = np.sqrt(((photographs[1:] - photographs[:-1]) ** 2).mean(1).min())
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["tensorflow", "wrong"] mistake="looks at neighbours in the pile only"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    usual = np.sqrt(((photographs[1:] - photographs[:-1]) ** 2).mean(1).min())
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < usual

# %% tags=["pytorch", "wrong"] mistake="guesses a threshold"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < 0.1

# %% tags=["tensorflow", "wrong"] mistake="guesses a threshold"
def suspects(drawn, photographs):
    drawn = drawn.reshape(len(drawn), -1)
    photographs = photographs.reshape(len(photographs), -1)
    nearest = [np.sqrt(((photographs - one) ** 2).mean(1)).min()
               for one in drawn]
    return np.array(nearest) < 0.1

# %% [markdown] tags=["exercise"] exercise="two-shares" points=3
# ### Exercise 4: believable, or complete?
#
# The Fréchet distance is one number for two failures: drawings that nobody takes for photographs, and photographs for which there are no drawings.
# Two shares keep them apart (Kynkäänniemi and others, 2019, call them precision and recall).
#
# `two_shares(drawn, real, k)` gets the judge's features of two piles, (m, features) and (n, features).
# A point's *neighbourhood* is everything that is not further from it than its `k`-th nearest *other* point of its own pile.
# Return two numbers: the share of drawings that lie in the neighbourhood of at least one photograph (**believable**), and the share of photographs that lie in the neighbourhood of at least one drawing (**covered**).

# %% [markdown] tags=["hint"]
# `np.linalg.norm(some[:, None] - others, axis=2)` has all distances between two piles.
# Sort each row of a pile's distances to itself: what stands at place 0?

# %% tags=["pytorch", "solution"]
def two_shares(drawn, real, k):
    ### BEGIN SOLUTION
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return believable, covered
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def two_shares(drawn, real, k):
    ### BEGIN SOLUTION
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return believable, covered
    ### END SOLUTION

# %% [markdown]
# The check begins with points on a line.
# Then a trained network looks at clothes: the judge, in NumPy, sees photographs of every kind, and of one kind only.

# %% tags=["classroom"]
from tandem import judge


def features_of(pictures):
    return judge.describe(pictures)[0]


all_kinds, as_many, trousers = (
    features_of(some) for some in
    (test_images[:200], test_images[200:400],
     test_images[test_labels == 1][:100]))
dice = np.random.default_rng(12)
noisy = features_of(np.clip(
    test_images[200:400] + dice.normal(0, 0.5, (200, 28, 28)), -1, 1))

# %% [markdown]
# And now yours:

# %% tags=["check"]
on_a_line = np.array([[0.0], [1], [2], [6]])
made = np.array([[1.4], [1.6], [20]])
shares = two_shares(made, on_a_line, 1)
assert shares is not None and len(shares) == 2, (
    f"two shares are asked for, not {shares}")
believable, covered = map(float, shares)
assert np.isclose(believable, 2 / 3), (
    "photographs at 0, 1, 2, 6 reach 1, 1, 1, 4 far, so that of drawings "
    f"at 1.4, 1.6 and 20 two are believable: .667, not {believable:.3f}")
assert np.isclose(covered, 0.5), (
    "the drawings reach .2, .2, 18.4 far, and cover the photographs at 2 "
    f"and 6, both from far away: .5, not {covered:.3f}")
good, whole = two_shares(as_many, all_kinds, 3)
assert good > 0.8 and whole > 0.8, (
    "two piles of photographs are believable and complete for each other, "
    f"both above .8; yours: {good:.2f} and {whole:.2f}")
good, whole = two_shares(trousers, all_kinds, 3)
assert good > 0.8 > 0.5 > whole, (
    "trousers only are believable, and cover about a fifth of ten kinds; "
    f"yours: {good:.2f} and {whole:.2f}")

# %% tags=["hidden"]
believable, covered = two_shares(made, on_a_line, 2)
assert np.isclose(believable, 2 / 3) and np.isclose(covered, 1), (
    "to the second neighbour the drawings reach 18.6, 18.4 and 18.6 far: "
    f".667 and 1, not {believable:.3f} and {covered:.3f}")
good, whole = two_shares(noisy, all_kinds, 3)
assert good < 0.2 and whole < 0.2, (
    "under noise nothing is believable and nothing covered; yours: "
    f"{good:.2f} and {whole:.2f}")
plane = np.array([[0.0, 0], [3, 4], [0, 5], [9, 9]])
believable, covered = two_shares(plane[:2] + 1, plane, 1)
assert np.isclose(believable, 1) and np.isclose(covered, 0.75), (
    "points in a plane: 1 and .75, not "
    f"{believable:.3f} and {covered:.3f}")

# %% tags=["pytorch", "wrong"] mistake="counts the point itself as its first neighbour"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k - 1]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return believable, covered

# %% tags=["tensorflow", "wrong"] mistake="counts the point itself as its first neighbour"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k - 1]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return believable, covered

# %% tags=["pytorch", "wrong"] mistake="exchanges the two"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return covered, believable

# %% tags=["tensorflow", "wrong"] mistake="exchanges the two"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return covered, believable

# %% tags=["pytorch", "wrong"] mistake="takes each point's own neighbourhood, not the other pile's"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k]

    between = distances(drawn, real)
    believable = (between.T <= radii(drawn)).any(0).mean()
    covered = (between <= radii(real)).any(0).mean()
    return believable, covered

# %% tags=["tensorflow", "wrong"] mistake="takes each point's own neighbourhood, not the other pile's"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, k]

    between = distances(drawn, real)
    believable = (between.T <= radii(drawn)).any(0).mean()
    covered = (between <= radii(real)).any(0).mean()
    return believable, covered

# %% tags=["pytorch", "wrong"] mistake="takes the first neighbour, whatever k is"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, 1]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return believable, covered

# %% tags=["tensorflow", "wrong"] mistake="takes the first neighbour, whatever k is"
def two_shares(drawn, real, k):
    def distances(some, others):
        return np.linalg.norm(some[:, None] - others, axis=2)

    def radii(pile):
        # place 0 is the point itself
        return np.sort(distances(pile, pile), axis=1)[:, 1]

    between = distances(drawn, real)
    believable = (between <= radii(real)).any(1).mean()
    covered = (between.T <= radii(drawn)).any(1).mean()
    return believable, covered

# %% [markdown]
# When it passes, look at the forger of the whole program: `two_shares(features_of(works[:300]), features_of(test_images[:300]), 3)`.
# Guess first.
# Which of the two shares does a collapse cost?

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - A generator and a discriminator, with a loss for each, learn to draw without a single right answer.
# - A transposed convolution stamps kernels; kernel 4 with stride 2 paints evenly and falls on the same pixels in both frameworks; odd kernels do neither.
# - The non-saturating loss is the same wish as the saturating one, and steep where the forger is caught.
# - Two players need two optimisers, and care that no gradient reaches the wrong one.
# - Losses say who is ahead, not how good the drawings are; a distance to photographs does, with real against real as its floor.
# - Mode collapse is one drawing for all noise, or a few.
#   It shows in the variety of samples; with weak noise, batch normalisation in the generator made the difference.
# - Twins of a GAN agree to five digits and more at first, part by chaos, and end about equally good.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. Let `generator_step` use the saturating loss from the head-start section and play 300 steps.
#    How much of the disaster does Adam prevent?
#    Then give the discriminator its head start first.
# 2. Take only one of the two steps into collapse: `play_weak(build_bare(starting["generator"]), strength=1.0)`.
#    How much variety?
# 3. Change kernel 4 to 3 in the generator (in PyTorch with `output_padding=1`) and its two 4s in `starting_weights`.
#    Is the woven pattern stronger at step 197?
#    Run the twin: do the first losses still agree?
# 4. `latent_size = 2`.
#    How much variety is left?
#    Draw a grid of latents from −2 to 2 and look.
# 5. `epochs = 20`, and give it five minutes: where does the distance end?
#
# ## Read on
#
# - Goodfellow and others, *Generative Adversarial Nets* (2014), [arXiv:1406.2661](https://arxiv.org/abs/1406.2661): the game, and the two losses in section 3.
# - Radford, Metz, Chintala, *Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks* (2015), [arXiv:1511.06434](https://arxiv.org/abs/1511.06434).
# - Heusel and others, *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium* (2017), [arXiv:1706.08500](https://arxiv.org/abs/1706.08500): the Fréchet distance.
# - Odena, Dumoulin, Olah, *Deconvolution and Checkerboard Artifacts* (2016), [doi:10.23915/distill.00003](https://doi.org/10.23915/distill.00003).

# %% [markdown] tags=["pytorch"]
# - PyTorch's own [DCGAN tutorial](https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html), on faces, and the page of [ConvTranspose2d](https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html).

# %% [markdown] tags=["tensorflow"]
# - Keras' own [DCGAN example](https://keras.io/examples/generative/dcgan_overriding_train_step/), on faces, with `fit`, and the page of [Conv2DTranspose](https://keras.io/api/layers/convolution_layers/convolution2d_transpose/).
