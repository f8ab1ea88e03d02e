# ---
# minutes: {read: 55, run: 2, exercises: 30}
# seconds: 130
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 13 · CycleGAN: translation without pairs
#
# Wavy flags become flat ones and flat ones wavy, although no flag is ever shown in both styles.
#
# - **You will build** a generator that says where it paints, a discriminator that votes on patches, a memory of old forgeries, and the training step of a CycleGAN with four players.
# - **You will learn** instance normalisation; least squares as a GAN's loss; what the cycle loss and the identity loss are each good for, by taking them away; how to measure a translation when the truth exists, against doing nothing and against training with pairs.
# - **You need** lesson 11 (two players, transposed convolutions).

# %% [markdown]
# Lesson 12 controlled what a generator draws: which number moves what.
# It drew from noise, though, and nobody hands you noise.
# More often there is a picture already, and one wants *this* picture in another style: the horse as a zebra, the photograph as a painting.
#
# With pairs, horse and zebra in the same pose, that is regression, as in lesson 2: picture in, picture out, and a loss between the answer and the truth.
# Nobody has such pairs.
# What one has is a pile of horses and a pile of zebras.
# Zhu, Park, Isola and Efros (2017) showed that two piles are enough, if one adds a wish so plain that it sounds useless: translated there and back, a picture should be itself.
#
# Our piles are flags, because there the pairs *exist*: two makers of emoji have drawn nearly every flag of the world, one waving, one flat.
# We train without the pairs and then take them out of the drawer, to measure.
#
# ## Set-up

# %% tags=["pytorch", "network"]
from itertools import count, islice, permutations

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

import math
from itertools import count, islice, permutations

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
steps = 700  # 20 to 10_000: of training, all four players in each
short = 250  # 20 to 10_000: of the runs with a wish taken away
paired_steps = 400  # 1 to 10_000: of the training with pairs
batch_size = 8  # 1 to 100: flags of each style a step
learning_rate = 1e-3  # above 0 to 1: of all players, at first
beta_1 = 0.5  # 0 to below 1: Adam's memory of past gradients
beta_2 = 0.999  # 0 to below 1: and of their squares
epsilon = 1e-12  # above 0 to 1: Adam's, as in lesson 11
slope = 0.2  # 0 to 1: of LeakyReLU below zero
cycle_weight = 5.0  # 0 to 100: there and back, and the same again
identity_weight = 1.0  # 0 to 100: flat already, then leave it
history_size = 50  # batch_size to 1000: forgeries that a critic remembers
channels = 16  # 1 to 64: of the generators' widest maps, doubled once
critic_channels = 32  # 1 to 256: of the discriminators', doubled once
seed = 0  # 0 to 2**32 - 1: of weights, batches and recolouring

# %% [markdown]
# Four networks that play against each other do not end at the same digits on every machine.
# Where a result cannot reproduce, the lesson *asserts* bounds, for the values above only; with your own, nothing stops you.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("13_cyclegan", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## Two piles of flags
#
# Google's Noto draws flags in the wind, Twitter's Twemoji draws them flat, with round corners.
# We take the flags of countries and regions and leave out two, Sark and Martinique: there the two styles show different flags, so the one is no translation of the other.
#
# Forty flags are held out of both styles.
# The rest is cut into two halves: of one half we show the wavy flags only, of the other the flat ones only.
# So "without pairs" holds to the letter: none of the flags that the networks learn from is seen in both styles.

# %% tags=["network"]
def flags():
    """(wavy, flat, names): the same flags in both styles, in [-1, 1]."""
    pictures, table = data.emoji()
    kinds = np.isin(table["subcategory"], ("country-flag", "subdivision-flag"))
    differ = np.isin(table["short_name"], ("flag-sark", "flag-mq"))
    chosen = kinds & ~differ
    wavy, flat = (pictures[style][chosen].astype("float32") / 127.5 - 1
                  for style in ("noto", "twemoji"))
    names = [name.removesuffix(" Flag") for name in table["name"][chosen]]
    return wavy, flat, np.array(names)


all_wavy, all_flat, all_names = flags()
shuffled = np.random.default_rng(13).permutation(len(all_names))
held_out, rest = shuffled[:40], shuffled[40:]
half = len(rest) // 2
train_wavy, train_flat = all_wavy[rest[:half]], all_flat[rest[half:]]
test_wavy, test_flat = all_wavy[held_out], all_flat[held_out]

# %% [markdown]
# A helper draws rows of pictures, each with its name.
# First what the networks will see, then what they will not: the same flags in both styles.

# %%
def show(rows, title):
    """Draws {label: pictures (n, 32, 32, 3) in [-1, 1]}, a row each."""
    figure, column = plt.subplots(
        len(rows), figsize=(8.4, 0.76 * len(rows) + 0.4), squeeze=False
    )
    for axes, (label, pictures) in zip(column.flat, rows.items()):
        axes.imshow(np.clip((np.hstack(pictures) + 1) / 2, 0, 1))
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
        axes.grid(False)
        axes.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    plots.describe(f"{title}. Rows of flags: {', '.join(rows)}.")


print(len(train_wavy), "wavy flags and", len(train_flat), "others, flat;",
      len(test_wavy), "held out")
show({"wavy": train_wavy[:10], "flat": train_flat[:10]},
     "To learn from: no flag in both rows")
show({"wavy": test_wavy[:10], "flat": test_flat[:10]},
     "Held out: the same flags")

# %% [markdown]
# A hundred and ten flags are few, and a discriminator could learn them by heart.
# But for this translation the colours do not matter: a flag with red and blue exchanged waves no less.
# So each picture has its three colour channels permuted at random, each time that it is drawn: six flags for one.
#
# Batches come from NumPy, as ever, so that the twins see the same flags in the same colours.
# Two piles, two draws that know nothing of each other.

# %% tags=["network"]
colour_orders = np.array(list(permutations(range(3))))


def recoloured(pictures, rng):
    orders = colour_orders[rng.integers(6, size=len(pictures))]
    return np.take_along_axis(pictures, orders[:, None, None], axis=3)


def draw(pile, rng):
    return recoloured(pile[rng.integers(len(pile), size=batch_size)], rng)

# %% [markdown]
# One flag, as it may come:

# %%
rng = np.random.default_rng(seed)
show({"wavy": draw(np.repeat(train_wavy[3:4], 9, axis=0), rng)},
     "One flag, drawn a few times")

# %% [markdown]
# ## How far is it to the truth?
#
# Two measures, both between an answer and the true flat flag.
# **L1** is the mean difference of the pixels, with brightness from 0 to 1.
# It is easy to read, and kind to mush: a grey smear is nowhere very wrong.
# **SSIM**, structural similarity (Wang and others, 2004), looks through a small window, here of 7 × 7 pixels, and asks whether the two pictures have the same brightness $\mu$, the same contrast $\sigma$, and whether they go up and down together ($\sigma_{xy}$):
#
# $$\text{SSIM} = \frac{(2\mu_x\mu_y + c_1)(2\sigma_{xy} + c_2)}{(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}$$
#
# It is 1 for equal pictures, about 0 for unrelated ones; a smear has no $\sigma_{xy}$ and does badly.
# The constants $.01^2$ and $.03^2$ are the paper's, and keep the quotient quiet where there is nothing to see.

# %%
def l1(first, second):  # of each picture, (n,)
    return np.abs(first - second).mean((1, 2, 3)) / 2


def ssim(first, second):  # of each picture, (n,)
    def mean(values):
        windows = np.lib.stride_tricks.sliding_window_view
        return windows(values, (7, 7), axis=(1, 2)).mean((-2, -1))

    x, y = (first + 1) / 2, (second + 1) / 2
    mean_x, mean_y = mean(x), mean(y)
    spread = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    together = mean(x * y) - mean_x * mean_y
    brightness = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    structure = (2 * together + 9e-4) / (spread + 9e-4)
    return (brightness * structure).mean((1, 2, 3))

# %% [markdown]
# Any translator has to beat one that costs nothing: hand back what came in.

# %%
def report(name, answers, truth):
    print(f"{name:24} L1 {l1(answers, truth).mean():.4f}"
          f"   SSIM {ssim(answers, truth).mean():.3f}")


report("the wavy flag itself", test_wavy, test_flat)
mean_flag = np.broadcast_to(train_flat.mean(0), test_flat.shape)
report("the mean flat flag", mean_flag, test_flat)

# %% [markdown]
# ## A painter who says where
#
# The generator takes a picture and returns one of the same size.
# Most of a flag is right already: only the rim has to move, and folds have to go.
# A network that must draw everything anew spends its time on learning to copy.
# So ours answers in two parts, **colours** $c$ and a **mask** $m$ between 0 and 1, and the picture is a mixture:
#
# $$y = x + m\,(c - x)$$
#
# Where the mask is 0 the input stays, where it is 1 the paint covers it.
# The bias of the mask starts at −2, and $\sigma(-2) = .12$: at first the painter hardly touches the picture.
# In return for this one channel we get a picture of *where it paints*.
#
# Inside is what you know from lesson 11: a convolution with stride 2 down to 16 × 16, two residual blocks, a transposed convolution back.
# New is what normalises.
#
# ## Instance normalisation
#
# Batch normalisation takes mean and variance of a channel over all pictures of the batch, so a picture's translation would depend on its neighbours: a bright flag among dark ones would come out otherwise than alone.
# **Instance normalisation** takes them over one picture and one channel alone.
# That has three consequences:

# %% tags=["pytorch"]
generator = torch.Generator().manual_seed(seed)
maps = torch.randn(4, 3, 16, 16, generator=generator)
norms = {"batch": nn.BatchNorm2d(3), "instance": nn.InstanceNorm2d(3)}
for name, normalise in norms.items():
    together, alone = normalise(maps)[:1], normalise(maps[:1])
    brighter = normalise(maps + 7)[:1]
    print(f"{name:9} alone or in a batch: apart by "
          f"{(together - alone).abs().max():.0e};  with 7 added: "
          f"{(together - brighter).abs().max():.0e}")
state = [name for name, _ in norms["instance"].named_buffers()]
print("running averages of instance normalisation:", state)

# %% tags=["tensorflow"]
maps = np.random.default_rng(seed).normal(size=(4, 16, 16, 3))
norms = {"batch": layers.BatchNormalization(epsilon=1e-5),
         "instance": layers.GroupNormalization(-1, epsilon=1e-5)}
for name, normalise in norms.items():
    together = normalise(maps, training=True)[:1]
    alone = normalise(maps[:1], training=True)
    brighter = normalise(maps + 7, training=True)[:1]
    print(f"{name:9} alone or in a batch: apart by "
          f"{np.abs(together - alone).max():.0e};  with 7 added: "
          f"{np.abs(together - brighter).max():.0e}")
state = [values.name for values in norms["instance"].non_trainable_variables]
print("running averages of instance normalisation:", state)

# %% [markdown]
# A picture is translated the same in any company.
# So nothing has to be remembered, and there is no evaluation mode to forget.
# And a constant added to a channel is taken out again: a bias in front of the normalisation does nothing, and its gradient is 0 but for rounding.
# Adam divides by the size of the gradient, so it would make full steps of that rounding, other ones in each twin.
# We leave such biases out.

# %% [markdown] tags=["pytorch"]
# **Watch out:** `nn.InstanceNorm2d` has no scale and shift unless told `affine=True`, where `nn.BatchNorm2d` has them by default.
# Keras has no layer of this name; there it is group normalisation with one channel a group, `GroupNormalization(groups=-1)`, whose epsilon is 1e-3 by default, not 1e-5.

# %% [markdown] tags=["tensorflow"]
# **Watch out:** Keras has no layer of this name.
# It is group normalisation with one channel a group, `groups=-1`, and its epsilon is 1e-3 by default; PyTorch's `nn.InstanceNorm2d` has 1e-5, and no scale and shift unless told `affine=True`.
# In a flag's large white areas the variance is small, and there the two epsilons make two networks.

# %% [markdown]
# Now the starting weights of all four players, neutral as always: two generators, `to_flat` and `to_wavy`, and for each style a discriminator, which we call its critic.
# Kernels come from U(±1/√fan_in), PyTorch's own way, but for the painting layer, which starts small.

# %% tags=["network"]
def starting_generator(rng):
    wide, norm = 2 * channels, weights.group_norm

    def kernel(size, inputs, outputs):  # no bias: a normalisation follows
        return weights.convolution(
            rng, size, inputs, outputs, "lecun", bias=False
        )

    arrays = {"look": kernel(5, 3, channels), "look_norm": norm(channels)}
    arrays |= {"halve": kernel(4, channels, wide), "halve_norm": norm(wide)}
    for block in ("block_1", "block_2"):
        for part in ("first", "second"):
            arrays[f"{block}.{part}"] = kernel(3, wide, wide)
            arrays[f"{block}.{part}_norm"] = norm(wide)
    arrays["enlarge"] = kernel(4, wide, channels)
    arrays["enlarge_norm"] = norm(channels)
    arrays["paint"] = weights.convolution(rng, 5, channels, 4, 0.02)
    arrays["paint"]["bias"][3] = -2  # the mask's: hardly touches the picture
    return arrays

# %% [markdown]
# The critics' weights are drawn in the same way; their layers are explained in a moment.

# %% tags=["network"]
def starting_critic(rng):
    narrow, wide = critic_channels, 2 * critic_channels

    def layer(size, inputs, outputs, bias=False):
        return weights.convolution(rng, size, inputs, outputs, "lecun", bias)

    return {
        "halve": layer(4, 3, narrow, bias=True),
        "halve_again": layer(4, narrow, wide),
        "halve_again_norm": weights.group_norm(wide),
        "compare": layer(3, wide, wide),
        "compare_norm": weights.group_norm(wide),
        "vote": layer(3, wide, 1, bias=True),
    }


def starting_weights(seed):
    rng = weights.generator(seed)
    return {
        "to_flat": starting_generator(rng),
        "to_wavy": starting_generator(rng),
        "flat_critic": starting_critic(rng),
        "wavy_critic": starting_critic(rng),
    }

# %% [markdown]
# And the generator.
# The last layer has four channels: three of colours, through tanh, one of the mask, through a sigmoid.

# %% tags=["pytorch", "network"]
class Block(nn.Module):  # adds to its input what two convolutions make of it
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.first_norm = nn.InstanceNorm2d(width, affine=True)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.InstanceNorm2d(width, affine=True)

    def forward(self, maps):
        change = F.relu(self.first_norm(self.first(maps)))
        return maps + self.second_norm(self.second(change))

# %% tags=["tensorflow", "network"]
def norm(name):  # instance normalisation
    return layers.GroupNormalization(-1, epsilon=1e-5, name=name)


def convolve(maps, filters, size, name, strides=1, kind=layers.Conv2D):
    layer = kind(filters, size, strides, "same", use_bias=False, name=name)
    return norm(f"{name}_norm")(layer(maps))


def block(maps, name):  # adds to its input what two convolutions make of it
    width = maps.shape[-1]
    change = convolve(maps, width, 3, f"{name}.first")
    change = convolve(layers.ReLU()(change), width, 3, f"{name}.second")
    return layers.Add()([maps, change])

# %% [markdown]
# With that the whole painter:

# %% tags=["pytorch", "network"]
class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        wide = 2 * channels
        self.look = nn.Conv2d(3, channels, 5, padding=2, bias=False)
        self.look_norm = nn.InstanceNorm2d(channels, affine=True)
        self.halve = nn.Conv2d(channels, wide, 4, 2, padding=1, bias=False)
        self.halve_norm = nn.InstanceNorm2d(wide, affine=True)
        self.block_1, self.block_2 = Block(wide), Block(wide)
        self.enlarge = nn.ConvTranspose2d(wide, channels, 4, 2, 1, bias=False)
        self.enlarge_norm = nn.InstanceNorm2d(channels, affine=True)
        self.paint = nn.Conv2d(channels, 4, 5, padding=2)

    def colours_and_mask(self, pictures):
        maps = F.relu(self.look_norm(self.look(pictures)))
        maps = F.relu(self.halve_norm(self.halve(maps)))
        maps = self.block_2(self.block_1(maps))
        maps = self.paint(F.relu(self.enlarge_norm(self.enlarge(maps))))
        return maps[:, :3].tanh(), maps[:, 3:].sigmoid()

    def forward(self, pictures):
        colours, mask = self.colours_and_mask(pictures)
        return pictures + mask * (colours - pictures)

# %% tags=["tensorflow", "network"]
def build_generator(starting):
    pictures = keras.Input((32, 32, 3))
    maps = layers.ReLU()(convolve(pictures, channels, 5, "look"))
    maps = layers.ReLU()(convolve(maps, 2 * channels, 4, "halve", strides=2))
    maps = block(block(maps, "block_1"), "block_2")
    maps = convolve(maps, channels, 4, "enlarge", 2, layers.Conv2DTranspose)
    maps = layers.ReLU()(maps)
    maps = layers.Conv2D(4, 5, padding="same", name="paint")(maps)
    colours = layers.Activation("tanh")(maps[..., :3])
    mask = layers.Activation("sigmoid", name="mask")(maps[..., 3:])
    painted = pictures + mask * (colours - pictures)
    return load_weights(keras.Model(pictures, painted), starting)


build_to_flat = build_to_wavy = build_generator

# %% [markdown]
# ## Building and feeding them

# %% tags=["pytorch", "network"]
def placed(network):
    return network.to(device, memory_format=torch.channels_last)


def build_generator(starting):
    return placed(load_weights(Generator(), starting))


build_to_flat = build_to_wavy = build_generator


def pictures_to_tensor(pictures):
    # (batch, 3, 32, 32); the numbers stay where they are, channels last
    return torch.as_tensor(pictures, device=device).permute(0, 3, 1, 2)

# %% tags=["tensorflow", "network"]
def pictures_to_tensor(pictures):
    return tf.convert_to_tensor(pictures)  # (batch, 32, 32, 3)

# %% [markdown] tags=["pytorch"]
# The arrays have their channels last, and `permute` only gives the axes other names: in memory the colours of a pixel still lie side by side.
# PyTorch calls that `channels_last`, and its convolutions on a CPU are quick with it if the kernels lie the same way.

# %% [markdown] tags=["tensorflow"]
# Nothing to do: Keras keeps channels last, as the arrays have them.

# %% [markdown]
# What does an untrained painter make of a flag?
# `translate` gives arrays for arrays, `mask_of` the mask.

# %% tags=["pytorch"]
@torch.inference_mode()
def translate(network, pictures):
    painted = network(pictures_to_tensor(pictures))
    return painted.permute(0, 2, 3, 1).numpy(force=True)


@torch.inference_mode()
def mask_of(network, pictures):
    _, mask = network.colours_and_mask(pictures_to_tensor(pictures))
    return mask.permute(0, 2, 3, 1).numpy(force=True)


def parameter_count(network):
    return sum(values.numel() for values in network.parameters())

# %% tags=["tensorflow"]
def translate(network, pictures):
    return network(pictures_to_tensor(pictures)).numpy()


def mask_of(network, pictures):
    # a second model that shares the layers, and ends earlier
    masker = keras.Model(network.input, network.get_layer("mask").output)
    return masker(pictures_to_tensor(pictures)).numpy()


def parameter_count(network):
    return sum(math.prod(values.shape) for values in network.trainable_weights)

# %% [markdown]
# The shared part from here on:

# %%
start = starting_weights(seed)
untrained = build_to_flat(start["to_flat"])
print(f"a generator has {parameter_count(untrained):,} parameters")
print(f"its mask is {mask_of(untrained, test_wavy).mean():.2f} on average")
report("untrained", translate(untrained, test_wavy), test_flat)

# %% [markdown]
# ## A critic with 64 votes
#
# Lesson 11's discriminator gave one vote a picture.
# Flat or wavy can be seen in a corner, though, and a judge who looks at corners says *where* the forgery is bad.
# So this one ends in a convolution instead: 8 × 8 votes, each on a patch (Isola and others, 2016, call it PatchGAN).
# How large a patch?
# Going back from one vote, a kernel of $k$ at stride $s$ turns $r$ pixels into $(r - 1)s + k$:

# %%
patch = 1
for size, stride in ((3, 1), (3, 1), (4, 2), (4, 2)):  # from the votes back
    patch = (patch - 1) * stride + size
    print(f"kernel {size}, stride {stride}: {patch} pixels")

# %% [markdown]
# 26 of 32 pixels across: on pictures as small as ours the patches overlap a lot, but 64 votes there are.
#
# ## A memory of forgeries
#
# Players who react to each other's last move go round in circles, as you saw in lesson 11: the forger changes his style, the critic follows and *forgets* the old one.
# The cure of the CycleGAN paper (from Shrivastava and others, 2016) is a **history**: each critic keeps 50 old forgeries.
# Of the new ones, about half are judged as they are.
# For the others a coin falls: the new forgery goes into the history, and an old one from the same slot is judged in its stead.
#
# Coins and slots are chance, so they come from NumPy with the batch; what lies in the slots are drawings, so it stays inside the framework.
# The first batches fill the history: stored, and judged themselves.

# %% tags=["network"]
def exchanges(rng, step):
    """For each forgery of a batch: its slot, is it stored, is the old one
    recalled."""
    first, all_of_them = step * batch_size, np.ones(batch_size, bool)
    if first < history_size:  # still filling up
        slots = (first + np.arange(batch_size)) % history_size
        return slots, all_of_them, ~all_of_them
    slots = rng.permutation(history_size)[:batch_size]  # no slot twice
    heads = rng.random(batch_size) < 0.5
    return slots, heads, heads


def batches(seed):
    rng = np.random.default_rng((seed, 13))
    for step in count():
        wavy, flat = draw(train_wavy, rng), draw(train_flat, rng)
        for_flat, for_wavy = exchanges(rng, step), exchanges(rng, step)
        slots, stored, recalled = map(np.stack, zip(for_flat, for_wavy))
        yield wavy, flat, slots, stored, recalled

# %% [markdown]
# The history belongs to the critic: state that no gradient changes.

# %% tags=["pytorch", "network"]
class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        narrow, wide = critic_channels, 2 * critic_channels
        self.halve = nn.Conv2d(3, narrow, 4, 2, padding=1)
        self.halve_again = nn.Conv2d(narrow, wide, 4, 2, 1, bias=False)
        self.halve_again_norm = nn.InstanceNorm2d(wide, affine=True)
        self.compare = nn.Conv2d(wide, wide, 3, padding=1, bias=False)
        self.compare_norm = nn.InstanceNorm2d(wide, affine=True)
        self.vote = nn.Conv2d(wide, 1, 3, padding=1)
        history = torch.zeros(history_size, 3, 32, 32)
        self.register_buffer("history", history, persistent=False)

    def forward(self, pictures):
        maps = F.leaky_relu(self.halve(pictures), slope)
        maps = self.halve_again_norm(self.halve_again(maps))
        maps = self.compare_norm(self.compare(F.leaky_relu(maps, slope)))
        return self.vote(F.leaky_relu(maps, slope))


def exchange(history, fakes, slots, stored, recalled):
    old = history[slots]
    history[slots] = torch.where(stored, fakes, old)
    return torch.where(recalled, old, fakes)

# %% tags=["tensorflow", "network"]
def build_critic(starting):
    wide, leak = 2 * critic_channels, {"negative_slope": slope}
    halve = layers.Conv2D(critic_channels, 4, 2, "same", name="halve")
    pictures = keras.Input((32, 32, 3))
    maps = layers.LeakyReLU(**leak)(halve(pictures))
    maps = convolve(maps, wide, 4, "halve_again", strides=2)
    maps = convolve(layers.LeakyReLU(**leak)(maps), wide, 3, "compare")
    maps = layers.LeakyReLU(**leak)(maps)
    votes = layers.Conv2D(1, 3, padding="same", name="vote")(maps)
    critic = keras.Model(pictures, votes)
    empty = tf.zeros((history_size, 32, 32, 3), critic.compute_dtype)
    critic.history = tf.Variable(empty, trainable=False)
    return load_weights(critic, starting)


def exchange(history, fakes, slots, stored, recalled):
    old = tf.gather(history, slots)
    new = tf.IndexedSlices(tf.where(stored, fakes, old), slots)
    history.scatter_update(new)
    return tf.where(recalled, old, fakes)

# %% [markdown] tags=["pytorch"]
# A *buffer* of a module moves with it to a GPU and gets no gradient.
# `history[slots]` on the right copies, so what is recalled stays what it was when the line below writes into its slot.

# %% [markdown] tags=["tensorflow"]
# Inside a `tf.function` a Python list would be filled while tracing, once, and never again; what a step leaves for the next has to be a `tf.Variable`.
# `gather` copies, so what is recalled stays what it was when the line below writes into its slot; that writing and reading keep their order is `tf.function`'s promise for variables.

# %% [markdown]
# The rest of the batch as tensors, and three rounds of the history by hand: slots and coins instead of flags tell what happened.

# %% tags=["pytorch", "network"]
def build_critic(starting):
    return placed(load_weights(Discriminator(), starting))


build_flat_critic = build_wavy_critic = build_critic


def to_tensors(wavy, flat, slots, *coins):
    slots = torch.as_tensor(slots, device=device)
    coins = [torch.as_tensor(each, device=device)[..., None, None, None]
             for each in coins]
    return pictures_to_tensor(wavy), pictures_to_tensor(flat), slots, *coins

# %% tags=["tensorflow", "network"]
build_flat_critic = build_wavy_critic = build_critic


def to_tensors(wavy, flat, slots, *coins):
    coins = [tf.convert_to_tensor(each)[..., None, None, None]
             for each in coins]
    return (pictures_to_tensor(wavy), pictures_to_tensor(flat),
            tf.convert_to_tensor(slots), *coins)

# %% [markdown]
# ## Three wishes
#
# A critic's loss and a generator's loss could be lesson 11's cross-entropy.
# The paper takes **least squares** (Mao and others, 2016) instead: the vote for a real picture should be 1, that for a forgery 0, and the forger wants 1.
# Where cross-entropy falls silent once a forgery passes, squares still pull it towards 1; it is one line, and it trained more calmly for the paper's authors.
#
# Write $F$ for `to_flat` and $W$ for `to_wavy`, $x$ for a wavy flag and $y$ for a flat one, $D_F$ and $D_W$ for the critics.
# What should the forgers want?
#
# 1. **Look right**: $(D_F(F(x)) - 1)^2$.
#    That is lesson 11's wish, and it has a hole: the critic can say "this looks like a flat flag", and not "this is the flat version of *this* flag".
#    A forger who answers France to everything is never caught.
# 2. **Come back**: $|W(F(x)) - x|$, the **cycle loss**.
#    From a France that might have been anything, no way leads back.
# 3. **Leave it, if it is flat already**: $|F(y) - y|$, the **identity loss**.
#    It has nothing to do with cycles; it keeps the colours, which a critic on recoloured flags would not miss.
#
# All three in both directions; the weights are 1, 5 and 1.

# %% tags=["pytorch", "network"]
def build_optimizer(network):
    return torch.optim.Adam(
        network.parameters(), learning_rate, (beta_1, beta_2), epsilon
    )


def distance(votes, wanted):  # least squares
    return (votes - wanted).square().mean()

# %% [markdown] tags=["pytorch"]
# And with these the three wishes:

# %% tags=["pytorch", "network"]
def forgers_loss(to_flat, to_wavy, flat_critic, wavy_critic, wavy, flat,
                 cycle, identity):
    """The loss, and what was forged: flat flags, wavy flags."""
    fake_flat, same_flat = to_flat(torch.cat([wavy, flat])).chunk(2)
    fake_wavy, same_wavy = to_wavy(torch.cat([flat, wavy])).chunk(2)
    loss = (distance(flat_critic(fake_flat), 1)
            + distance(wavy_critic(fake_wavy), 1))
    if cycle:
        loss = loss + cycle * (F.l1_loss(to_wavy(fake_flat), wavy)
                               + F.l1_loss(to_flat(fake_wavy), flat))
    if identity:
        loss = loss + identity * (F.l1_loss(same_flat, flat)
                                  + F.l1_loss(same_wavy, wavy))
    return loss, fake_flat, fake_wavy

# %% tags=["tensorflow", "network"]
def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    # its variables must exist before tracing
    optimizer.build(network.trainable_variables)
    return optimizer


def distance(votes, wanted):  # least squares
    return tf.reduce_mean(tf.square(votes - wanted))


def absolute(first, second):
    return tf.reduce_mean(tf.abs(first - second))

# %% [markdown] tags=["tensorflow"]
# And with these the three wishes:

# %% tags=["tensorflow", "network"]
def forgers_loss(to_flat, to_wavy, flat_critic, wavy_critic, wavy, flat,
                 cycle, identity):
    """The loss, and what was forged: flat flags, wavy flags."""
    both = tf.concat([wavy, flat], 0), tf.concat([flat, wavy], 0)
    fake_flat, same_flat = tf.split(to_flat(both[0], training=True), 2)
    fake_wavy, same_wavy = tf.split(to_wavy(both[1], training=True), 2)
    loss = (distance(flat_critic(fake_flat, training=True), 1)
            + distance(wavy_critic(fake_wavy, training=True), 1))
    if cycle:
        loss += cycle * (absolute(to_wavy(fake_flat, training=True), wavy)
                         + absolute(to_flat(fake_wavy, training=True), flat))
    if identity:
        loss += identity * (absolute(same_flat, flat)
                            + absolute(same_wavy, wavy))
    return loss, fake_flat, fake_wavy

# %% [markdown]
# Wavy and flat flags go through a generator as *one* batch: what lesson 11 forbade, because batch normalisation would have mixed them, instance normalisation allows, and one large batch is quicker than two small ones.
#
# The critics judge what the forgers just made, or what the history gives for it.

# %% tags=["pytorch", "network"]
def critic_loss(critic, real, fakes):
    real_votes, fake_votes = critic(torch.cat([real, fakes])).chunk(2)
    return distance(real_votes, 1) + distance(fake_votes, 0)


def improve(players, optimizers, loss):
    for optimizer in optimizers:
        optimizer.zero_grad()
    own = [values for player in players for values in player.parameters()]
    loss.backward(inputs=own)  # nobody else's .grad is touched
    for optimizer in optimizers:
        optimizer.step()

# %% tags=["tensorflow", "network"]
def critic_loss(critic, real, fakes):
    votes = critic(tf.concat([real, fakes], 0), training=True)
    real_votes, fake_votes = tf.split(votes, 2)
    return distance(real_votes, 1) + distance(fake_votes, 0)


def improve(players, optimizers, loss, tape):
    own = [player.trainable_variables for player in players]
    for optimizer, variables, gradients in zip(
            optimizers, own, tape.gradient(loss, own)):
        optimizer.apply(gradients, variables)

# %% [markdown]
# One step of all four: the forgers first, then the critics, on the same forgeries.
# The last two arguments are for later, when we take wishes away.

# %% tags=["pytorch", "network"]
def train_step(to_flat, to_wavy, flat_critic, wavy_critic,
               optimizer_f, optimizer_w, optimizer_fc, optimizer_wc,
               wavy, flat, slots, stored, recalled,
               cycle=cycle_weight, identity=identity_weight):
    forgers, critics = (to_flat, to_wavy), (flat_critic, wavy_critic)
    loss, *fakes = forgers_loss(
        *forgers, *critics, wavy, flat, cycle, identity
    )
    improve(forgers, (optimizer_f, optimizer_w), loss)

    loss_of_critics = 0
    for number, (critic, real) in enumerate(zip(critics, (flat, wavy))):
        judged = exchange(
            critic.history, fakes[number].detach(),
            slots[number], stored[number], recalled[number],
        )
        loss_of_critics = loss_of_critics + critic_loss(critic, real, judged)
    improve(critics, (optimizer_fc, optimizer_wc), loss_of_critics)
    return loss.detach(), loss_of_critics.detach()

# %% tags=["tensorflow", "network"]
@tf.function
def train_step(to_flat, to_wavy, flat_critic, wavy_critic,
               optimizer_f, optimizer_w, optimizer_fc, optimizer_wc,
               wavy, flat, slots, stored, recalled,
               cycle=cycle_weight, identity=identity_weight):
    forgers, critics = (to_flat, to_wavy), (flat_critic, wavy_critic)
    with tf.GradientTape() as tape:
        loss, *fakes = forgers_loss(
            *forgers, *critics, wavy, flat, cycle, identity
        )
    improve(forgers, (optimizer_f, optimizer_w), loss, tape)

    judged = [
        exchange(critic.history, fakes[number], slots[number],
                 stored[number], recalled[number])
        for number, critic in enumerate(critics)
    ]
    with tf.GradientTape() as tape:
        loss_of_critics = (critic_loss(flat_critic, flat, judged[0])
                           + critic_loss(wavy_critic, wavy, judged[1]))
    improve(critics, (optimizer_fc, optimizer_wc), loss_of_critics, tape)
    return loss, loss_of_critics

# %% [markdown]
# For the twin proof, one more answer: what the critics think, at the end, of what is in their history.

# %% tags=["pytorch", "network"]
@torch.inference_mode()
def evaluate_flat_critic(critic, *batch):
    return critic(critic.history)


evaluate_wavy_critic = evaluate_flat_critic

# %% tags=["tensorflow", "network"]
def evaluate_flat_critic(critic, *batch):
    return critic(critic.history)


evaluate_wavy_critic = evaluate_flat_critic

# %% [markdown]
# ## Training
#
# The rate stays for the first half and then falls to zero in a straight line, as in the paper: players that go round in circles come to rest in the middle of the circle.

# %% tags=["network"]
def rate_at(step, steps):  # steps are counted from 0
    return learning_rate * min(1, 2 * (1 - step / steps))

# %% [markdown]
# How an optimiser is told, and, for the twin proof, what it says that it heard:

# %% tags=["pytorch", "network"]
def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rates():
    optimizer, rates = build_optimizer(nn.Linear(1, 1)), []
    for step in range(steps):
        set_rate(optimizer, rate_at(step, steps))
        rates.append(optimizer.param_groups[0]["lr"])
    return np.array(rates)

# %% tags=["tensorflow", "network"]
def set_rate(optimizer, rate):
    optimizer.learning_rate = rate


def learning_rates():
    one_layer = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    optimizer, rates = build_optimizer(one_layer), []
    for step in range(steps):
        set_rate(optimizer, rate_at(step, steps))
        rates.append(float(optimizer.learning_rate))
    return np.array(rates)
