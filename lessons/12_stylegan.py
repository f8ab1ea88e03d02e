# ---
# minutes: {read: 75, run: 3, exercises: 40}
# seconds: 180
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 12 · A small StyleGAN
#
# Set-up

# %% tags=["pytorch", "network"]
import math
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import FRAMEWORK_NAMES, data, judge, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
# a GPU where there is one
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import math
from itertools import islice

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

from tandem import FRAMEWORK_NAMES, data, judge, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
steps = 400  # 1 to 100000: of training, live
batch_size = 16  # 4 to 128: drawings a step, and real pictures
learning_rate = 1e-3  # above 0 to 1: of both players
mapping_rate = 0.125  # above 0 to 1: the mapping network's share of it
beta_1 = 0.0  # 0 to below 1: Adam's memory of past gradients, here none
beta_2 = 0.99  # 0 to below 1: and of their squares
epsilon = 1e-8  # above 0 to 1: Adam's
slope = 0.2  # 0 to 1: of LeakyReLU below zero
gamma = 1.0  # 0 to 1000: weight of the gradient penalty
mixing = 0.9  # 0 to 1: how often a drawing has two styles
latent_size = 64  # 1 to 1000: numbers of noise behind one picture
style_size = 96  # 1 to 1000: numbers of a style
seed = 0  # 0 to 2**32 - 1: of weights, noise and batch order

# %% [markdown]
# door

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("12_stylegan", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# data

# %% tags=["network"]
PEOPLE = ("person-role", "person", "person-fantasy", "person-gesture")


def people_emoji():
    """Pictures (1994, 32, 32, 3) in [-1, 1], and the table's rows."""
    pictures, table = data.emoji()
    one_tone = np.char.count(table["tone"], "+") == 0
    kept = np.isin(table["subcategory"], PEOPLE) & one_tone
    both = np.concatenate([some[kept] for some in pictures.values()])
    rows = {name: np.tile(column[kept], 2) for name, column in table.items()}
    return both.astype("float32") / 127.5 - 1, rows


people, table = people_emoji()

# %% [markdown]
# sizes

# %% tags=["network"]
WIDTHS = 64, 64, 48, 24  # channels at 4×4, 8×8, 16×16, 32×32
SIZES = 4, 8, 8, 16, 16, 32, 32  # of the generator's seven layers
STYLES = len(SIZES) + 1  # one a layer, and one for the last colours


def draws(rng, count):
    """What `count` drawings take from chance."""
    latents = rng.standard_normal((count, 2, latent_size))
    cut = rng.integers(1, STYLES, count)
    cut[rng.random(count) >= mixing] = STYLES
    second = np.arange(STYLES) >= cut[:, None]
    noise = rng.standard_normal((count, sum(size**2 for size in SIZES)))
    return latents.astype("float32"), second, noise.astype("float32")

# %% [markdown]
# shifts

# %% tags=["network"]
def shift_matrices(rng, count):
    """(count, 2, 32, 32): move rows and columns by up to 4 pixels."""
    far = rng.integers(-4, 5, (count, 2, 1, 1))
    place = np.arange(32)
    return (place[:, None] == place + far).astype("float32")


def batches(seed):
    rng = np.random.default_rng((seed, 12))
    epochs = -(-steps // (len(people) // batch_size))
    order = data.batch_order(len(people), batch_size, epochs, seed)
    for chosen in order:
        images = people[chosen]
        mirrored = rng.random(batch_size) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        shifts = [shift_matrices(rng, batch_size) for _ in range(3)]
        yield (images, *shifts, *draws(rng, batch_size),
               *draws(rng, batch_size))

# %% [markdown]
# starting weights

# %% tags=["network"]
LAYER_WIDTHS = 64, 64, 64, 64, 48, 48, 24, 24
CRITIC_WIDTHS = 24, 48, 64, 64
LAYER_PAIRS = list(zip(LAYER_WIDTHS, LAYER_WIDTHS[1:]))
CRITIC_PAIRS = list(zip(CRITIC_WIDTHS, CRITIC_WIDTHS[1:]))
GROUP = 4  # pictures that the critic compares with each other


def dense(rng, inputs, outputs, gain=1.0):
    return weights.dense(rng, inputs, outputs, gain / inputs**0.5)


def convolution(rng, size, inputs, outputs, bias=True):
    spread = 1 / (size**2 * inputs) ** 0.5
    return weights.convolution(rng, size, inputs, outputs, spread, bias)


def modulated(rng, name, size, inputs, outputs):
    style = dense(rng, style_size, inputs)
    return {
        name: {"bias": np.zeros(outputs, "float32")},
        f"{name}.style": style | {"bias": np.ones(inputs, "float32")},
        f"{name}.convolution": convolution(rng, size, inputs, outputs, False),
    }

# %% [markdown]
# generator's

# %% tags=["network"]
def generator_weights(rng):
    sizes = latent_size, style_size, style_size, style_size
    found = {f"mapping.{n}": dense(rng, *pair, gain=1 / mapping_rate)
             for n, pair in enumerate(zip(sizes, sizes[1:]))}
    found["synthesis"] = {
        "constant": weights.kernel(rng, (4, 4, LAYER_WIDTHS[0]), 1.0),
        "strength": np.zeros(len(SIZES), "float32"),
    }
    for n, pair in enumerate(LAYER_PAIRS):
        found |= modulated(rng, f"synthesis.layers.{n}", 3, *pair)
    for n, width in enumerate(WIDTHS):
        found |= modulated(rng, f"synthesis.to_rgb.{n}", 1, width, 3)
    return found

# %% [markdown]
# discriminator's

# %% tags=["network"]
def starting_weights(seed):
    rng, wide = weights.generator(seed), CRITIC_WIDTHS[-1]
    generator = generator_weights(rng)
    found = {"from_rgb": convolution(rng, 1, 3, CRITIC_WIDTHS[0])}
    for n, pair in enumerate(CRITIC_PAIRS):
        found |= {
            f"blocks.{n}.first": convolution(rng, 3, pair[0], pair[0]),
            f"blocks.{n}.second": convolution(rng, 3, *pair),
            f"blocks.{n}.shortcut": convolution(rng, 1, *pair),
        }
    found |= {"compare": convolution(rng, 3, wide + 1, wide),
              "gather": convolution(rng, 4, wide, wide),
              "judge": convolution(rng, 1, wide, 1)}
    return {"generator": generator, "discriminator": found}

# %% [markdown]
# modulated

# %% tags=["pytorch", "network"]
def activate(maps):
    return math.sqrt(2) * F.leaky_relu(maps, slope)


class ModulatedConvolution(nn.Module):
    def __init__(self, inputs, outputs, size, demodulated=True):
        super().__init__()
        self.style = nn.Linear(style_size, inputs)
        self.convolution = nn.Conv2d(
            inputs, outputs, size, padding="same", bias=False
        )
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.demodulated = demodulated

    def forward(self, maps, style):
        scales = self.style(style)  # (batch, inputs)
        maps = self.convolution(maps * scales[:, :, None, None])
        if self.demodulated:
            squares = self.convolution.weight.square().sum((2, 3)).T
            energy = scales.square() @ squares  # (batch, outputs)
            maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
        return maps + self.bias[:, None, None]

# %% tags=["tensorflow", "network"]
def activate(maps):
    return math.sqrt(2) * ops.leaky_relu(maps, slope)


class ModulatedConvolution(layers.Layer):
    def __init__(self, inputs, outputs, size, demodulated=True, name=None):
        super().__init__(name=name)
        self.style = layers.Dense(inputs, name=f"{name}.style")
        self.convolution = layers.Conv2D(
            outputs, size, padding="same", use_bias=False,
            name=f"{name}.convolution",
        )
        self.bias = self.add_weight(shape=(outputs,), name="bias")
        self.demodulated = demodulated

    def call(self, maps, style):
        scales = self.style(style)  # (batch, inputs)
        maps = self.convolution(maps * scales[:, None, None])
        if self.demodulated:
            squares = ops.sum(self.convolution.kernel**2, (0, 1))
            energy = scales**2 @ squares  # (batch, outputs)
            maps = maps * ops.rsqrt(energy + 1e-8)[:, None, None]
        return maps + self.bias

# %% [markdown]
# synthesis

# %% tags=["pytorch", "network"]
def double(maps):
    return F.interpolate(maps, scale_factor=2, mode="nearest")


def grains(noise):  # (batch, 2704) as seven maps of one channel
    parts = noise.split([size**2 for size in SIZES], 1)
    return [part.view(-1, 1, size, size) for part, size in zip(parts, SIZES)]

# %% [markdown] tags=["pytorch"]
# synthesis

# %% tags=["pytorch", "network"]
class Synthesis(nn.Module):
    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(4, 4, LAYER_WIDTHS[0]))
        self.strength = nn.Parameter(torch.zeros(len(SIZES)))
        self.layers = nn.ModuleList(
            ModulatedConvolution(*pair, 3) for pair in LAYER_PAIRS)
        self.to_rgb = nn.ModuleList(
            ModulatedConvolution(width, 3, 1, False) for width in WIDTHS)

    def forward(self, styles, noise):
        maps, pictures = self.constant.permute(2, 0, 1), 0
        maps = maps.expand(len(styles), -1, -1, -1)
        for n, (layer, grain) in enumerate(zip(self.layers, grains(noise))):
            if n % 2:
                maps, pictures = double(maps), double(pictures)
            maps = layer(maps, styles[:, n]) + self.strength[n] * grain
            maps = activate(maps)
            if n % 2 == 0:
                colours = self.to_rgb[n // 2](maps, styles[:, n + 1])
                pictures = pictures + colours
        return pictures

# %% tags=["tensorflow", "network"]
double = layers.UpSampling2D(2, interpolation="nearest")


def grains(noise):  # (batch, 2704) as seven maps of one channel
    ends = np.cumsum([size**2 for size in SIZES])[:-1].tolist()
    parts = ops.split(noise, ends, axis=1)
    return [ops.reshape(part, (-1, size, size, 1))
            for part, size in zip(parts, SIZES)]


def modulated_layer(name, n, *options):  # weights carry such a name
    return ModulatedConvolution(*options, name=f"synthesis.{name}.{n}")

# %% [markdown] tags=["tensorflow"]
# synthesis

# %% tags=["tensorflow", "network"]
class Synthesis(layers.Layer):
    def __init__(self):
        super().__init__(name="synthesis")
        shape = 4, 4, LAYER_WIDTHS[0]
        self.constant = self.add_weight(shape=shape, name="constant")
        self.strength = self.add_weight(shape=(len(SIZES),), name="strength")
        self.layers = [modulated_layer("layers", n, *pair, 3)
                       for n, pair in enumerate(LAYER_PAIRS)]
        self.to_rgb = [modulated_layer("to_rgb", n, width, 3, 1, False)
                       for n, width in enumerate(WIDTHS)]

    def call(self, styles, noise):
        shape = styles.shape[0], *self.constant.shape
        maps, pictures = ops.broadcast_to(self.constant, shape), 0
        for n, (layer, grain) in enumerate(zip(self.layers, grains(noise))):
            if n % 2:
                maps, pictures = double(maps), double(pictures)
            maps = layer(maps, styles[:, n]) + self.strength[n] * grain
            maps = activate(maps)
            if n % 2 == 0:
                colours = self.to_rgb[n // 2](maps, styles[:, n + 1])
                pictures = pictures + colours
        return pictures

# %% [markdown]
# generator

# %% tags=["pytorch", "network"]
class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = latent_size, style_size, style_size, style_size
        self.mapping = nn.ModuleList(
            nn.Linear(*pair) for pair in zip(sizes, sizes[1:])
        )
        self.synthesis = Synthesis()

    def style_of(self, latents):
        length = latents.square().mean(-1, keepdim=True)
        styles = latents * torch.rsqrt(length + 1e-8)
        for layer in self.mapping:
            styles = activate(mapping_rate * layer(styles))
        return styles

    def forward(self, latents, second, noise):
        one, two = self.style_of(latents)[:, :, None].unbind(1)
        styles = torch.where(second[..., None], two, one)
        return self.synthesis(styles, noise)


def build_generator(starting):
    generator = load_weights(Generator(), starting).to(device)
    return generator.to(memory_format=torch.channels_last)

# %% tags=["tensorflow", "network"]
class Generator(keras.Model):
    def __init__(self):
        super().__init__()
        self.mapping = [layers.Dense(style_size, name=f"mapping.{n}")
                        for n in range(3)]
        self.synthesis = Synthesis()

    def style_of(self, latents):
        length = ops.mean(latents**2, -1, keepdims=True)
        styles = latents * ops.rsqrt(length + 1e-8)
        for layer in self.mapping:
            styles = activate(mapping_rate * layer(styles))
        return styles

    def call(self, latents, second, noise):
        one, two = ops.unstack(self.style_of(latents)[:, :, None], axis=1)
        styles = ops.where(second[..., None], two, one)
        return self.synthesis(styles, noise)


def build_generator(starting):
    generator = Generator()
    # the first call makes the weights
    generator(*map(tf.constant, draws(np.random.default_rng(0), 1)))
    return load_weights(generator, starting)

# %% [markdown]
# minibatch deviation

# %% tags=["pytorch", "network"]
def with_deviation(maps):
    groups = maps.unflatten(0, (-1, GROUP))  # (groups, 4, channels, 4, 4)
    spread = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    spread = spread.repeat_interleave(GROUP)[:, None, None, None]
    return torch.cat([maps, spread.expand(-1, 1, 4, 4)], 1)

# %% tags=["tensorflow", "network"]
class MinibatchDeviation(layers.Layer):
    def call(self, maps):
        groups = ops.reshape(maps, (-1, GROUP, *maps.shape[1:]))
        spread = ops.sqrt(ops.var(groups, 1) + 1e-8)
        spread = ops.repeat(ops.mean(spread, (1, 2, 3)), GROUP)
        spread = ops.ones_like(maps[..., :1]) * spread[:, None, None, None]
        return ops.concatenate([maps, spread], -1)

# %% [markdown]
# discriminator

# %% tags=["pytorch", "network"]
class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.first = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.second = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps):
        long_way = activate(self.second(activate(self.first(maps))))
        short_way = self.shortcut(F.avg_pool2d(maps, 2))
        return (F.avg_pool2d(long_way, 2) + short_way) / math.sqrt(2)

# %% [markdown] tags=["pytorch"]
# d

# %% tags=["pytorch", "network"]
class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        wide = CRITIC_WIDTHS[-1]
        self.from_rgb = nn.Conv2d(3, CRITIC_WIDTHS[0], 1)
        self.blocks = nn.Sequential(*(Block(*pair) for pair in CRITIC_PAIRS))
        self.compare = nn.Conv2d(wide + 1, wide, 3, padding=1)
        self.gather = nn.Conv2d(wide, wide, 4)
        self.judge = nn.Conv2d(wide, 1, 1)

    def forward(self, images):
        maps = self.blocks(activate(self.from_rgb(images)))
        maps = activate(self.compare(with_deviation(maps)))
        return self.judge(activate(self.gather(maps))).flatten()

# %% [markdown] tags=["pytorch"]
# build

# %% tags=["pytorch", "network"]
def build_discriminator(starting):
    discriminator = load_weights(Discriminator(), starting).to(device)
    return discriminator.to(memory_format=torch.channels_last)


def to_tensors(images, *rest):
    images = torch.as_tensor(images, device=device).permute(0, 3, 1, 2)
    return images, *(torch.as_tensor(each, device=device) for each in rest)

# %% tags=["tensorflow", "network"]
def convolve(maps, filters, size, name, padding="same"):
    return layers.Conv2D(filters, size, padding=padding, name=name)(maps)


def block(maps, inputs, outputs, name):
    long_way = activate(convolve(maps, inputs, 3, f"{name}.first"))
    long_way = activate(convolve(long_way, outputs, 3, f"{name}.second"))
    maps = layers.AveragePooling2D(2)(maps)
    short_way = convolve(maps, outputs, 1, f"{name}.shortcut")
    return (layers.AveragePooling2D(2)(long_way) + short_way) / math.sqrt(2)

# %% [markdown] tags=["tensorflow"]
# build

# %% tags=["tensorflow", "network"]
def build_discriminator(starting):
    inputs, wide = keras.Input((32, 32, 3)), CRITIC_WIDTHS[-1]
    maps = activate(convolve(inputs, CRITIC_WIDTHS[0], 1, "from_rgb"))
    for n, pair in enumerate(CRITIC_PAIRS):
        maps = block(maps, *pair, f"blocks.{n}")
    maps = MinibatchDeviation()(maps)
    maps = activate(convolve(maps, wide, 3, "compare"))
    maps = activate(convolve(maps, wide, 4, "gather", "valid"))
    logits = layers.Flatten()(convolve(maps, 1, 1, "judge"))
    return load_weights(keras.Model(inputs, logits), starting)


def to_tensors(images, *rest):
    return tf.convert_to_tensor(images), *map(tf.convert_to_tensor, rest)

# %% [markdown]
# shifts

# %% tags=["pytorch", "network"]
def shift(images, matrices):
    rows, columns = matrices.unbind(1)
    return 1 + torch.einsum("nij,ncjk,nlk->ncil", rows, images - 1, columns)

# %% tags=["tensorflow", "network"]
def shift(images, matrices):
    rows, columns = tf.unstack(matrices, axis=1)
    return 1 + tf.einsum("nij,njkc,nlk->nilc", rows, images - 1, columns)

# %% [markdown]
# penalty

# %% tags=["pytorch", "network"]
def penalty(discriminator, images):
    images = images.detach().requires_grad_()
    total = discriminator(images).sum()
    slopes, = torch.autograd.grad(total, images, create_graph=True)
    return slopes.square().sum((1, 2, 3)).mean()

# %% tags=["tensorflow", "network"]
def penalty(discriminator, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(discriminator(images, training=True))
    slopes = tape.gradient(total, images)
    return tf.reduce_mean(tf.reduce_sum(slopes**2, (1, 2, 3)))

# %% [markdown]
# steps

# %% tags=["pytorch", "network"]
def build_optimizer(network):
    return torch.optim.Adam(
        network.parameters(), learning_rate, (beta_1, beta_2), epsilon
    )


def surprise(logits):  # softplus: log(1 + exp(logit))
    return -F.logsigmoid(-logits).mean()


def discriminator_step(generator, discriminator, optimizer,
                       real, shifts, *drawn):
    optimizer.zero_grad()
    with torch.no_grad():
        fake = shift(generator(*drawn), shifts)
    fake_logits, real_logits = discriminator(torch.cat([fake, real])).chunk(2)
    loss = surprise(fake_logits) + surprise(-real_logits)
    roughness = penalty(discriminator, real[:GROUP])
    (loss + gamma / 2 * roughness).backward()
    optimizer.step()
    return loss.detach(), roughness.detach()

# %% tags=["tensorflow", "network"]
def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    # its variables must exist before tracing
    optimizer.build(network.trainable_variables)
    return optimizer


def surprise(logits):  # softplus: log(1 + exp(logit))
    return tf.reduce_mean(tf.math.softplus(logits))


def discriminator_step(generator, discriminator, optimizer,
                       real, shifts, *drawn):
    fake = shift(generator(*drawn, training=True), shifts)
    both = tf.concat([fake, real], 0)
    with tf.GradientTape() as tape:
        logits = discriminator(both, training=True)
        fake_logits, real_logits = tf.split(logits, 2)
        loss = surprise(fake_logits) + surprise(-real_logits)
        roughness = penalty(discriminator, real[:GROUP])
        total = loss + gamma / 2 * roughness
    gradients = tape.gradient(total, discriminator.trainable_variables)
    optimizer.apply(gradients, discriminator.trainable_variables)
    return loss, roughness

# %% [markdown]
# g step

# %% tags=["pytorch", "network"]
def generator_step(generator, discriminator, optimizer, shifts, *drawn):
    optimizer.zero_grad()
    discriminator.requires_grad_(False)  # not its turn: saves time
    fake = shift(generator(*drawn), shifts)
    loss = surprise(-discriminator(fake))
    loss.backward()
    optimizer.step()
    discriminator.requires_grad_(True)
    return loss.detach()


def train_step(generator, discriminator, optimizer_g, optimizer_d,
               images, shifts, shifts_d, shifts_g, *drawn):
    players = generator, discriminator
    real = shift(images, shifts)
    of_d = *players, optimizer_d, real, shifts_d, *drawn[:3]
    of_g = *players, optimizer_g, shifts_g, *drawn[3:]
    return *discriminator_step(*of_d), generator_step(*of_g)

# %% tags=["tensorflow", "network"]
def generator_step(generator, discriminator, optimizer, shifts, *drawn):
    with tf.GradientTape() as tape:
        fake = shift(generator(*drawn, training=True), shifts)
        loss = surprise(-discriminator(fake, training=True))
    gradients = tape.gradient(loss, generator.trainable_variables)
    optimizer.apply(gradients, generator.trainable_variables)
    return loss


@tf.function
def train_step(generator, discriminator, optimizer_g, optimizer_d,
               images, shifts, shifts_d, shifts_g, *drawn):
    players = generator, discriminator
    real = shift(images, shifts)
    of_d = *players, optimizer_d, real, shifts_d, *drawn[:3]
    of_g = *players, optimizer_g, shifts_g, *drawn[3:]
    return *discriminator_step(*of_d), generator_step(*of_g)

# %% [markdown]
# average

# %% tags=["pytorch", "script"]
@torch.no_grad()
def follow(average, generator, memory):
    for slow, fast in zip(average.parameters(), generator.parameters()):
        slow.lerp_(fast, 1 - memory)

# %% tags=["tensorflow"]
@tf.function
def follow(average, generator, memory):
    for slow, fast in zip(average.variables, generator.variables):
        slow.assign_add((1 - memory) * (fast - slow))
