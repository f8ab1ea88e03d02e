# ---
# minutes: {read: 60, run: 2, exercises: 30}
# seconds: 110
# memory_mb: 900
# needs: []
# proof: training
# ---

# %% [markdown]
# # 14 · Diffusion: one step back
#
# A promise.

# %% [markdown]
# ## Set-up

# %% tags=["pytorch", "network"]
import time
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

import time
from itertools import islice

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import FRAMEWORK_NAMES, data, judge, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
training_steps = 900  # 20 to 100000: batches of the live training
batch_size = 64  # 2 to train_size: photographs a step
learning_rate = 3e-3  # above 0 to 1: at the start; a cosine takes it to 0
beta_1 = 0.9  # 0 to below 1: Adam's memory of past gradients
beta_2 = 0.999  # 0 to below 1: and of their squares
# Adam's; 1e-8 by default in PyTorch, 1e-7 in Keras
epsilon = 1e-8  # above 0 to 1
channels = 12  # 4 to 128: at 28×28; twice at 14×14, four times at 7×7
groups = 4  # 1 to 128, divides channels: of maps, normalised together
dropped = 0.1  # 0 to 1: of the labels, so that it learns to draw without
levels = 1000  # 50 to 10000: of noise
sampling_steps = 20  # 1 to levels: on the way from noise to a picture
guidance = 1.0  # 0 to 20: how far beyond the label's own answer
train_size = 10_000  # 100 to 10000: photographs
seed = 0  # 0 to 2**32 - 1: of weights, noise and batch order

# %% [markdown]
# Door.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("14_diffusion", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## Destroying

# %% tags=["network"]
(train_images, train_labels), (test_images, test_labels) = data.fashion_mnist(
    train_size)
train_images, test_images = 2 * train_images - 1, 2 * test_images - 1

angle = (np.arange(levels + 1) / levels + 0.008) / 1.008 * np.pi / 2
kept = np.cos(angle) ** 2 / np.cos(angle[0]) ** 2  # ᾱ, from 1 to 0
signal_rates, noise_rates = np.sqrt(kept), np.sqrt(1 - kept)

# %% [markdown]
# One training example.

# %% tags=["network"]
NO_CLASS = 10  # the label of pictures whose label was dropped
SHOES = 5, 7, 9  # they all point the same way: never mirrored
CLOCK = 32  # numbers that tell the network the level


def clock_features(level):
    """(n, CLOCK): the levels (n,) as sines and cosines, as in lesson 8."""
    angles = np.outer(level, 10_000 ** -np.linspace(0, 1, CLOCK // 2))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


# %% [markdown]
# Placeholder.

# %% tags=["network"]
def make_examples(images, labels, rng):
    count = len(images)
    mirrored = (rng.random(count) < 0.5) & ~np.isin(labels, SHOES)
    clean = np.where(mirrored[:, None, None], images[:, :, ::-1], images)
    # one level from each of `count` equal slices
    slices = (np.arange(count) + rng.random(count)) / count
    level = 1 + (slices * levels).astype(int)
    signal, spread = (rates[level, None, None]
                      for rates in (signal_rates, noise_rates))
    noise = rng.standard_normal(clean.shape)
    noisy = signal * clean + spread * noise
    velocity = signal * noise - spread * clean
    free = rng.random(count) < dropped
    floats = noisy, clock_features(level), velocity
    noisy, clock, velocity = (array.astype("float32") for array in floats)
    return noisy, clock, np.where(free, NO_CLASS, labels), velocity


# %% [markdown]
# Placeholder.

# %% tags=["network"]
def batches(seed):
    rng = np.random.default_rng((seed, 14))
    epochs = -(-training_steps // (train_size // batch_size))
    order = data.batch_order(train_size, batch_size, epochs, seed)
    for chosen in islice(order, training_steps):
        yield make_examples(train_images[chosen], train_labels[chosen], rng)

# %% [markdown]
# ## Weights

# %% tags=["network"]
def block_weights(rng, inputs, outputs, clue):
    parts = {
        "norm_1": weights.group_norm(inputs),
        "condition": weights.dense(rng, clue, outputs),
        "convolution_1": weights.convolution(rng, 3, inputs, outputs),
        "norm_2": weights.group_norm(outputs),
        "convolution_2": weights.convolution(rng, 3, outputs, outputs, 0.0),
    }
    if inputs != outputs:
        parts["shortcut"] = weights.convolution(rng, 1, inputs, outputs)
    return parts


BLOCKS = {  # inputs and outputs, in multiples of `channels`
    "down.block_14": (2, 2), "down.block_7": (2, 4),
    "middle_1": (4, 4), "middle_2": (4, 4),
    "up.block_7": (4 + 4, 4), "up.block_7_again": (4 + 2, 4),
    "up.block_14": (4 + 2, 2), "up.block_14_again": (2 + 2, 2),
    "up.block_28": (1 + 1, 1),
}

# %% [markdown]
# Placeholder.

# %% tags=["network"]
def starting_weights(seed, channels=channels):
    rng, dense = weights.generator(seed), weights.dense
    convolution, clue = weights.convolution, 8 * channels
    one, two, four = channels, 2 * channels, 4 * channels
    layers = {
        "clock_1": dense(rng, CLOCK, clue),
        "clock_2": dense(rng, clue, clue),
        "label": weights.embedding(rng, NO_CLASS + 1, clue, 0.02),
        "down.stem": convolution(rng, 3, 1, one),
        "down.halve_28": convolution(rng, 4, one, two),
        "down.halve_14": convolution(rng, 4, two, two),
        "up.double_7": convolution(rng, 4, four, four),
        "up.double_14": convolution(rng, 4, two, one),
        "paint_norm": weights.group_norm(one),
        "paint": convolution(rng, 3, one, 1, 0.0),
    }
    for name, (inputs, outputs) in BLOCKS.items():
        sizes = inputs * channels, outputs * channels, clue
        parts = block_weights(rng, *sizes)
        layers |= {f"{name}.{part}": parts[part] for part in parts}
    return {"denoiser": layers}

# %% [markdown]
# ## The network
#
# Block.

# %% tags=["pytorch", "network"]
class Block(nn.Module):
    def __init__(self, inputs, outputs, clue):
        super().__init__()
        self.norm_1 = nn.GroupNorm(groups, inputs)
        self.condition = nn.Linear(clue, outputs)
        self.convolution_1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm_2 = nn.GroupNorm(groups, outputs)
        self.convolution_2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps, clue):
        change = self.convolution_1(F.silu(self.norm_1(maps)))
        change = change + self.condition(clue)[:, :, None, None]
        change = self.convolution_2(F.silu(self.norm_2(change)))
        return change + self.shortcut(maps)

# %% tags=["tensorflow", "network"]
def block(maps, clue, outputs, name):
    def normalised(maps, part):
        norm = layers.GroupNormalization(groups, epsilon=1e-5, name=part)
        return layers.Activation("silu")(norm(maps))

    def convolved(maps, size, part):
        convolve = layers.Conv2D(outputs, size, padding="same", name=part)
        return convolve(maps)

    condition = layers.Dense(outputs, name=f"{name}.condition")(clue)
    condition = layers.Reshape((1, 1, outputs))(condition)
    change = normalised(maps, f"{name}.norm_1")
    change = convolved(change, 3, f"{name}.convolution_1")
    change = layers.Add()([condition, change])
    change = normalised(change, f"{name}.norm_2")
    change = convolved(change, 3, f"{name}.convolution_2")
    if maps.shape[-1] != outputs:
        maps = convolved(maps, 1, f"{name}.shortcut")
    return layers.Add()([change, maps])

# %% [markdown]
# Down.

# %% tags=["pytorch", "network"]
# a kernel of 4 halves and doubles, as in lesson 11
resizing = {"kernel_size": 4, "stride": 2, "padding": 1}


class Down(nn.Module):
    def __init__(self, one, two, four, clue):
        super().__init__()
        self.stem = nn.Conv2d(1, one, 3, padding=1)
        self.halve_28 = nn.Conv2d(one, two, **resizing)
        self.block_14 = Block(two, two, clue)
        self.halve_14 = nn.Conv2d(two, two, **resizing)
        self.block_7 = Block(two, four, clue)

    def forward(self, noisy, clue):
        at_28 = self.stem(noisy)
        halved = self.halve_28(at_28)
        at_14 = self.block_14(halved, clue)
        halved_again = self.halve_14(at_14)
        at_7 = self.block_7(halved_again, clue)
        return [at_28, halved, at_14, halved_again, at_7]

# %% tags=["tensorflow", "network"]
# a kernel of 4 halves and doubles, as in lesson 11
resizing = {"kernel_size": 4, "strides": 2, "padding": "same"}


def way_down(noisy, clue, one, two, four):
    stem = layers.Conv2D(one, 3, padding="same", name="down.stem")
    halve_28 = layers.Conv2D(two, name="down.halve_28", **resizing)
    halve_14 = layers.Conv2D(two, name="down.halve_14", **resizing)
    at_28 = stem(noisy)
    halved = halve_28(at_28)
    at_14 = block(halved, clue, two, "down.block_14")
    halved_again = halve_14(at_14)
    at_7 = block(halved_again, clue, four, "down.block_7")
    return [at_28, halved, at_14, halved_again, at_7]

# %% [markdown]
# Up.

# %% tags=["pytorch", "network"]
class Up(nn.Module):
    def __init__(self, one, two, four, clue):
        super().__init__()
        self.block_7 = Block(four + four, four, clue)
        self.block_7_again = Block(four + two, four, clue)
        self.double_7 = nn.ConvTranspose2d(four, four, **resizing)
        self.block_14 = Block(four + two, two, clue)
        self.block_14_again = Block(two + two, two, clue)
        self.double_14 = nn.ConvTranspose2d(two, one, **resizing)
        self.block_28 = Block(one + one, one, clue)

    def forward(self, maps, skips, clue):
        at_28, halved, at_14, halved_again, at_7 = skips
        maps = self.block_7(torch.cat([maps, at_7], 1), clue)
        maps = self.block_7_again(torch.cat([maps, halved_again], 1), clue)
        maps = torch.cat([self.double_7(maps), at_14], 1)
        maps = self.block_14(maps, clue)
        maps = self.block_14_again(torch.cat([maps, halved], 1), clue)
        maps = torch.cat([self.double_14(maps), at_28], 1)
        return self.block_28(maps, clue)

# %% tags=["tensorflow", "network"]
def way_up(maps, skips, clue, one, two, four):
    def join(*maps):
        return layers.Concatenate()(maps)

    at_28, halved, at_14, halved_again, at_7 = skips
    double_7 = layers.Conv2DTranspose(four, name="up.double_7", **resizing)
    double_14 = layers.Conv2DTranspose(one, name="up.double_14", **resizing)
    maps = block(join(maps, at_7), clue, four, "up.block_7")
    maps = block(join(maps, halved_again), clue, four, "up.block_7_again")
    maps = join(double_7(maps), at_14)
    maps = block(maps, clue, two, "up.block_14")
    maps = block(join(maps, halved), clue, two, "up.block_14_again")
    maps = join(double_14(maps), at_28)
    return block(maps, clue, one, "up.block_28")

# %% [markdown]
# All.

# %% tags=["pytorch", "network"]
class Denoiser(nn.Module):
    def __init__(self, channels):
        super().__init__()
        one, four, clue = channels, 4 * channels, 8 * channels
        sizes = one, 2 * one, four, clue
        self.clock_1 = nn.Linear(CLOCK, clue)
        self.clock_2 = nn.Linear(clue, clue)
        self.label = nn.Embedding(NO_CLASS + 1, clue)
        self.down = Down(*sizes)
        self.middle_1 = Block(four, four, clue)
        self.middle_2 = Block(four, four, clue)
        self.up = Up(*sizes)
        self.paint_norm = nn.GroupNorm(groups, one)
        self.paint = nn.Conv2d(one, 1, 3, padding=1)

    def forward(self, noisy, clock, labels):
        clue = self.clock_2(F.silu(self.clock_1(clock)))
        clue = F.silu(clue + self.label(labels))
        skips = self.down(noisy, clue)
        maps = self.middle_2(self.middle_1(skips[-1], clue), clue)
        maps = self.up(maps, skips, clue)
        return self.paint(F.silu(self.paint_norm(maps)))

# %% [markdown] tags=["pytorch"]
# Placeholder.

# %% tags=["pytorch", "network"]
def build_denoiser(starting):
    network = Denoiser(channels=starting["down.stem"]["bias"].size)
    load_weights(network, starting)
    return network.to(device, memory_format=torch.channels_last)

# %% tags=["tensorflow", "network"]
def build_denoiser(starting):
    channels = starting["down.stem"]["bias"].size
    sizes = one, two, four = channels, 2 * channels, 4 * channels
    noisy, clock = keras.Input((28, 28, 1)), keras.Input((CLOCK,))
    labels = keras.Input((), dtype="int64")
    clue = layers.Dense(8 * one, "silu", name="clock_1")(clock)
    clue = layers.Dense(8 * one, name="clock_2")(clue)
    label = layers.Embedding(NO_CLASS + 1, 8 * one, name="label")(labels)
    clue = layers.Activation("silu")(layers.Add()([clue, label]))
    skips = way_down(noisy, clue, *sizes)
    maps = block(skips[-1], clue, four, "middle_1")
    maps = block(maps, clue, four, "middle_2")
    maps = way_up(maps, skips, clue, *sizes)
    norm = layers.GroupNormalization(groups, epsilon=1e-5, name="paint_norm")
    maps = layers.Activation("silu")(norm(maps))
    velocity = layers.Conv2D(1, 3, padding="same", name="paint")(maps)
    network = keras.Model([noisy, clock, labels], velocity)
    return load_weights(network, starting)

# %% [markdown]
# ## Training

# %% tags=["pytorch", "network"]
def to_tensors(noisy, clock, labels, velocity):
    noisy, clock, labels, velocity = (
        torch.as_tensor(array, device=device)
        for array in (noisy, clock, labels, velocity))
    return noisy.unsqueeze(1), clock, labels, velocity.unsqueeze(1)


def build_optimizer(network):
    return torch.optim.Adam(
        network.parameters(), learning_rate, (beta_1, beta_2), epsilon
    )


def train_step(denoiser, optimizer, noisy, clock, labels, velocity):
    optimizer.zero_grad()
    loss = F.mse_loss(denoiser(noisy, clock, labels), velocity)
    loss.backward()
    optimizer.step()
    return loss.detach()


# %% [markdown] tags=["pytorch"]
# Placeholder.

# %% tags=["pytorch", "network"]
def build_schedule(optimizer):
    return torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, training_steps
    )


def learning_rates():
    optimizer = build_optimizer(nn.Linear(1, 1))  # a dummy: nothing is learnt
    schedule, rates = build_schedule(optimizer), []
    for _ in range(training_steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return np.array(rates)

# %% tags=["tensorflow", "network"]
def to_tensors(noisy, clock, labels, velocity):
    noisy, clock, labels, velocity = map(
        tf.convert_to_tensor, (noisy, clock, labels, velocity))
    return noisy[..., tf.newaxis], clock, labels, velocity[..., tf.newaxis]


def build_optimizer(network, rate=learning_rate):
    optimizer = keras.optimizers.Adam(rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer


@tf.function
def train_step(denoiser, optimizer, noisy, clock, labels, velocity):
    with tf.GradientTape() as tape:
        answer = denoiser([noisy, clock, labels], training=True)
        loss = tf.reduce_mean((answer - velocity) ** 2)
    gradients = tape.gradient(loss, denoiser.trainable_variables)
    # the embedding's come by label, some labels twice: add them up first
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    optimizer.apply(gradients, denoiser.trainable_variables)
    return loss


# %% [markdown] tags=["tensorflow"]
# Placeholder.

# %% tags=["tensorflow", "network"]
def build_schedule():
    return keras.optimizers.schedules.CosineDecay(
        learning_rate, training_steps
    )


def learning_rates():
    schedule = build_schedule()
    return np.array([float(schedule(step)) for step in range(training_steps)])

# %% [markdown]
# ## Sampling

# %% tags=["network"]
def stairs(steps):
    """The levels of a walk down: (from, to) of each of its steps."""
    levels_on_the_way = np.linspace(levels, 0, steps + 1).round().astype(int)
    return list(zip(levels_on_the_way[:-1], levels_on_the_way[1:]))


def mixture(level):
    return float(signal_rates[level]), float(noise_rates[level])

# %% [markdown]
# x

# %% tags=["pytorch", "network"]
@torch.inference_mode()
def predict(denoiser, noisy, level, labels, guidance):
    clock = torch.as_tensor(clock_features([level])).to(noisy)
    clock = clock.expand(len(noisy), -1)
    velocity = denoiser(noisy, clock, labels)
    if guidance:
        unnamed = torch.full_like(labels, NO_CLASS)
        without = denoiser(noisy, clock, unnamed)
        velocity = velocity + guidance * (velocity - without)
    return velocity


def ddim(denoiser, noisy, labels, steps, guidance):
    for level, lower in stairs(steps):
        velocity = predict(denoiser, noisy, level, labels, guidance)
        signal, spread = mixture(level)
        clean = (signal * noisy - spread * velocity).clamp(-1, 1)
        noise = (noisy - signal * clean) / spread
        signal, spread = mixture(lower)
        noisy = signal * clean + spread * noise
    return noisy

# %% tags=["tensorflow", "network"]
@tf.function
def answer(denoiser, noisy, clock, labels):
    clock = tf.repeat(clock, tf.shape(noisy)[0], axis=0)
    return denoiser([noisy, clock, labels], training=False)


def predict(denoiser, noisy, level, labels, guidance):
    clock = tf.cast(clock_features([level]), noisy.dtype)
    velocity = answer(denoiser, noisy, clock, labels)
    if guidance:
        unnamed = tf.fill(labels.shape, tf.constant(NO_CLASS, labels.dtype))
        without = answer(denoiser, noisy, clock, unnamed)
        velocity = velocity + guidance * (velocity - without)
    return velocity


def ddim(denoiser, noisy, labels, steps, guidance):
    for level, lower in stairs(steps):
        velocity = predict(denoiser, noisy, level, labels, guidance)
        signal, spread = mixture(level)
        clean = tf.clip_by_value(signal * noisy - spread * velocity, -1, 1)
        noise = (noisy - signal * clean) / spread
        signal, spread = mixture(lower)
        noisy = signal * clean + spread * noise
    return noisy

# %% [markdown]
# DDPM

# %% tags=["network"]
def renewed(level, lower):
    """Of the noise that is left at the lower level, the part that is fresh."""
    (_, spread), (_, lower_spread) = mixture(level), mixture(lower)
    share = 1 - kept[level] / kept[lower]
    return float(lower_spread / spread * np.sqrt(share))

# %% [markdown]
# x

# %% tags=["pytorch", "network"]
def ddpm(denoiser, noisy, labels, steps, guidance, rng):
    for level, lower in stairs(steps):
        velocity = predict(denoiser, noisy, level, labels, guidance)
        signal, spread = mixture(level)
        clean = (signal * noisy - spread * velocity).clamp(-1, 1)
        noise = (noisy - signal * clean) / spread
        signal, spread = mixture(lower)
        new = renewed(level, lower)
        old = (spread**2 - new**2) ** 0.5
        fresh = torch.as_tensor(rng.standard_normal(noisy.shape)).to(noisy)
        noisy = signal * clean + old * noise + new * fresh
    return noisy


def evaluate_denoiser(denoiser, noisy, clock, labels, velocity):
    rng = np.random.default_rng(seed)
    return torch.cat([ddim(denoiser, noisy, labels, 20, 1),
                      ddpm(denoiser, noisy, labels, 20, 0, rng)])

# %% tags=["tensorflow", "network"]
def ddpm(denoiser, noisy, labels, steps, guidance, rng):
    for level, lower in stairs(steps):
        velocity = predict(denoiser, noisy, level, labels, guidance)
        signal, spread = mixture(level)
        clean = tf.clip_by_value(signal * noisy - spread * velocity, -1, 1)
        noise = (noisy - signal * clean) / spread
        signal, spread = mixture(lower)
        new = renewed(level, lower)
        old = (spread**2 - new**2) ** 0.5
        fresh = tf.cast(rng.standard_normal(noisy.shape), noisy.dtype)
        noisy = signal * clean + old * noise + new * fresh
    return noisy


def evaluate_denoiser(denoiser, noisy, clock, labels, velocity):
    rng = np.random.default_rng(seed)
    return tf.concat([ddim(denoiser, noisy, labels, 20, 1),
                      ddpm(denoiser, noisy, labels, 20, 0, rng)], axis=0)
