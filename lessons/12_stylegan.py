# ---
# minutes: {read: 70, run: 2, exercises: 24}
# seconds: 180
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 12 · StyleGAN: orders at every size
#
# A generator that takes orders at every size learns to draw people, and one order can be changed while the others stay.
#
# - **You will build** a small StyleGAN for people emoji in colour, 32 × 32: a mapping network, modulated convolutions, a critic that compares, and a penalty that keeps it calm.
# - **You will learn** how one kernel can serve every picture differently; a gradient of a gradient in both frameworks; when changing what the critic sees leaks into the drawings; truncation and style mixing.
# - **You need** lesson 11 (the two players, the Fréchet distance).

# %% [markdown]
# Lesson 11's generator turned 64 random numbers into clothes, sharp ones.
# But which of the 64 makes the sleeve, and which the shade?
# All of them a little, and there was no way to give one order and keep the others.
#
# Karras and others (2018, 2019) changed how the numbers enter.
# Their StyleGAN feeds nothing random into the first layer: it starts from a constant, and the random numbers arrive **at every size**, 4 × 4, 8 × 8, and so on, as an order to the layer there.
# What is large can be decided where maps are small, and the rest later, so orders can be exchanged size by size.
# At the end you will see a table of people whose rows mostly share a pose, and whose columns share colours: of hair mostly, of skin in about half.
#
# ## Set-up

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
steps = 700  # 1 to 100000: of training, live
batch_size = 16  # 2 to 128: drawings a step, and real pictures
group = 4  # 2 to 128, divides batch_size: pictures that the critic compares
learning_rate = 5e-4  # above 0 to 1: of both players
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
# As in lesson 11, two players in a race do not end at the same digits on every machine: where a result cannot reproduce, the lesson asserts bounds, for the values above only.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("12_stylegan", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## People
#
# The pictures are emoji of people, from two hands: Google's Noto and Twitter's Twemoji, 172 glyphs, most of them in yellow and in five skin tones.
# Different hats, hair, clothes and gestures, the same few colours: a world in which "the same, but with other hair" means something.

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
# 1,994 pictures are very few for a GAN: StyleGAN's faces were 70,000.
# That will need care further down.

# %%
def visible(pictures):  # 0 to 1; in 17 levels, to keep the notebook small
    return np.round((pictures + 1) * 8) / 16


mixed_up = np.random.default_rng(seed).permutation(len(people))
print(f"{people.shape} from {people.min():.0f} to {people.max():.0f}")
tones, counts = np.unique(table["tone"], return_counts=True)
print({str(tone) or "yellow": int(n) for tone, n in zip(tones, counts)})
plots.images(visible(people[mixed_up[:30]]),
             f"Thirty of the {len(people):,} people", columns=15, size=0.5)

# %% [markdown]
# ## What chance decides
#
# A drawing is made in seven layers: one at 4 × 4, two each at 8 × 8, 16 × 16 and 32 × 32.
# Each takes an order, its **style**, a vector of 96 numbers.
# An eighth order goes to the painting of the last maps in red, green and blue.
# So there are eight **levels** at which an order can be given.
#
# Chance gives a drawing three things.
# *Latents*, as in lesson 11, from which the style is computed; but two of them.
# *A cut*, the level from which on the second style takes over from the first: nine of ten drawings in training get two styles, so that no layer can rely on its neighbour having heard the same order.
# And *noise*: one grey map for each layer, for details that are nobody's decision, such as where a hair falls.

# %% tags=["network"]
SIZES = 4, 8, 8, 16, 16, 32, 32  # of the generator's seven layers
LEVELS = len(SIZES) + 1  # one a layer, and one for the last colours


def draws(rng, count):
    """What `count` drawings take from chance."""
    latents = rng.standard_normal((count, 2, latent_size))
    cut = rng.integers(1, LEVELS, count)
    cut[rng.random(count) >= mixing] = LEVELS
    second = np.arange(LEVELS) >= cut[:, None]
    noise = rng.standard_normal((count, sum(size**2 for size in SIZES)))
    return latents.astype("float32"), second, noise.astype("float32")

# %% [markdown]
# One row a drawing, one column a level: 1 where the second style speaks.

# %%
latents, second, noise = draws(np.random.default_rng(seed), 6)
print(f"latents {latents.shape}, noise {noise.shape}")
print(second.astype(int))

# %% [markdown]
# ## Changing what the critic sees
#
# With 1,994 pictures the critic could learn them by heart, and then nothing but a copy would pass.
# The usual help is augmentation: show it shifted, turned, recoloured pictures.
# In a classifier that is harmless, as long as the label stays true (lesson 5).
# In a GAN it is not: the generator is asked to fool a critic who sees as many people lying as upright, so why should it draw them upright?
# The augmentation **leaks** into the drawings.
#
# When does it?
# Karras and others (2020) have the criterion, and it is arithmetic.
# The critic sees drawings only after the augmentation, so the generator is pushed until *augmented* drawings are distributed as *augmented* pictures.
# If no two different piles look the same after it, then the drawings themselves have to be right.
# Take the four ways a picture can stand.
# Turning it, with probability $p$, by none, one, two or three quarters, each as likely ("a quarter turn" below), mixes their shares by a matrix.
# Its smallest singular value is the factor by which it shrinks the difference that it shrinks most: at zero, two different piles become one.
# The same can be asked of left and right, when half of the pictures are mirrored.
# And of where a figure stands, when it is shifted by up to 4 pixels on white: 32 columns before, 40 after, as if one could look past the rim.
# (An idealisation: a figure that is cut off at the rim still shows where its middle is.)

# %%
def turned(p):  # shares of the four ways to stand, before and after
    return (1 - p) * np.eye(4) + p * np.full((4, 4), 1 / 4)


changes = {
    "a quarter turn, at half of the pictures": turned(0.5),
    "at four of five": turned(0.8),
    "at every picture": turned(1.0),
    "a shift of up to 4 pixels": sum(np.eye(40, 32, -k) for k in range(9)) / 9,
    "mirrored, at half of the pictures": np.full((2, 2), 1 / 2),
}
for name, matrix in changes.items():
    least = np.linalg.svd(matrix, compute_uv=False).min()
    print(f"{name:42}{least:.3f}")

# %% [markdown]
# Turned at half of the pictures, upright stays the commonest of the four (5/8 of them), half of every difference survives, and the critic can see that drawings lie on their side.
# Turned at every picture, **nothing** survives: all four ways to stand look the same, and the generator may draw people upside down for ever.
# Shifting keeps something of every difference, if only a 28th of the faintest: it does not leak, although *every* picture is shifted.
# Mirroring half of them leaks completely, for a mirror has only two sides, and half leaves both equally common.
#
# So we take both, with open eyes.
# Shifts, because they do not leak.
# And mirroring, because it does: a person looking the other way is a person too, and we *want* the generator to draw both.
#
# A shift by rows and columns is two multiplications by matrices of zeros and ones; what comes in from outside is white, +1.

# %% tags=["network"]
def shift_matrices(rng, count):
    """(count, 2, 32, 32): move rows and columns by up to 4 pixels."""
    far = rng.integers(-4, 5, (count, 2, 1, 1))
    place = np.arange(32)
    moves = (place[:, None] == place + far).astype("float32")
    return moves


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
# A step takes pictures, half of them mirrored, three sets of shifts (for the pictures, for the critic's drawings, for the generator's), and two sets of draws.
# All of it comes from NumPy, the same for both twins.

# %% tags=["pytorch", "network"]
def shift(images, matrices):
    rows, columns = matrices.unbind(1)
    return 1 + torch.einsum("nij,ncjk,nlk->ncil", rows, images - 1, columns)

# %% tags=["tensorflow", "network"]
def shift(images, matrices):
    rows, columns = tf.unstack(matrices, axis=1)
    return 1 + tf.einsum("nij,njkc,nlk->nilc", rows, images - 1, columns)

# %% [markdown]
# `einsum` names each axis by a letter; a letter that is missing behind the arrow is multiplied and summed over: here $R\,X\,C^\top$ for every picture and channel.
# The gradient has to pass through the shift on its way back into the drawing, which is why it is written in the framework, and why matrices do well here: a product's gradient is a product.
# Outside of training the same sum does in NumPy:

# %%
first_batch = next(batches(seed))
for array in first_batch:
    print(array.dtype, array.shape)


def shifted(pictures, matrices):
    rows, columns = matrices[:, 0], matrices[:, 1]
    lines = rows @ (pictures - 1).reshape(len(pictures), 32, 96)
    return 1 + columns[:, None] @ lines.reshape(pictures.shape)


images, shifts = first_batch[:2]
both = np.stack([images[:8], shifted(images, shifts)[:8]])
framed = np.pad(both, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
plots.images(visible(framed.reshape(16, 34, 34, 3)),
             "Of a batch, and what the critic sees of it", columns=8)

# %% [markdown]
# ## One kernel, every picture its own
#
# How does a layer take an order?
# In StyleGAN's second version, a dense layer turns the style into one factor $s_i$ for each input channel $i$, and the factors go **into the kernel**: $w'_{ij} = s_i\,w_{ij}$, where $j$ is the output channel.
# A channel that stands for "hat" is turned up or down, for this picture.
# Then each output channel's part of the kernel is divided by its length, so that a loud order changes the direction and not the volume (the root of the mean square):
#
# $$w''_{ij} = \frac{s_i\,w_{ij}}{\sqrt{\sum_{i,\text{pixels}} (s_i\,w_{ij})^2}}$$
#
# Now every picture has a kernel of its own, and a convolution layer has one for all.
# The usual way out is a **grouped** convolution: the batch is laid side by side as the channels of a single picture, in as many groups.
# But look at the formula.
# The sum over $i$ does not care whether $s_i$ sits at the kernel or at the input.
# So: scale the *input*, use an ordinary convolution, and divide the *output*.
# Here are both.

# %% tags=["pytorch"]
rng = np.random.default_rng(seed)
shapes = (2, 6, 8, 8), (2, 6), (5, 6, 3, 3)  # two pictures, 6 → 5 channels
maps, scales, kernel = (torch.as_tensor(rng.standard_normal(shape))
                        for shape in shapes)

own = kernel * scales[:, None, :, None, None]  # one kernel a picture
own = own * torch.rsqrt(own.square().sum((2, 3, 4), keepdim=True))
side_by_side = maps.reshape(1, 12, 8, 8), own.reshape(10, 6, 3, 3)
grouped = F.conv2d(*side_by_side, padding=1, groups=2).reshape(2, 5, 8, 8)

plain = F.conv2d(maps * scales[:, :, None, None], kernel, padding=1)
energy = scales.square() @ kernel.square().sum((2, 3)).T
ours = plain * torch.rsqrt(energy)[:, :, None, None]
apart = (grouped - ours).abs().max().item()
print("grouped and plain agree:", apart < 1e-12)

# %% tags=["tensorflow"]
rng = np.random.default_rng(seed)
shapes = (2, 8, 8, 6), (2, 6), (3, 3, 6, 5)  # two pictures, 6 → 5 channels
maps, scales, kernel = (tf.constant(rng.standard_normal(shape))
                        for shape in shapes)

own = kernel * scales[:, None, None, :, None]  # one kernel a picture
own *= tf.math.rsqrt(tf.reduce_sum(own**2, (1, 2, 3), keepdims=True))
wide = tf.reshape(tf.transpose(maps, (1, 2, 0, 3)), (1, 8, 8, 12))
kernels = tf.reshape(tf.transpose(own, (1, 2, 3, 0, 4)), (3, 3, 6, 10))
grouped = tf.reshape(tf.nn.conv2d(wide, kernels, 1, "SAME"), (8, 8, 2, 5))
grouped = tf.transpose(grouped, (2, 0, 1, 3))

plain = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
ours = plain * tf.math.rsqrt(energy)[:, None, None]
apart = float(tf.reduce_max(abs(grouped - ours)))
print("grouped and plain agree:", apart < 1e-12)

# %% [markdown] tags=["pytorch"]
# The same, to rounding, and the second is shorter and has no detour through a shape that nobody can read.
# In TensorFlow there is another reason: there the gradient of a grouped convolution is missing in float64 on a CPU, so the twin proof could not have run.

# %% [markdown] tags=["tensorflow"]
# The same, to rounding, and the second is shorter and has no detour through a shape that nobody can read.
# There is another reason here.
# **Watch out:** ask for the gradient of the grouped form on a CPU, in float64, and TensorFlow has none:

# %% tags=["tensorflow"]
for precision in tf.float32, tf.float64:
    given, kernel = tf.cast(wide, precision), tf.cast(kernels, precision)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        total = tf.reduce_sum(tf.nn.conv2d(given, kernel, 1, "SAME"))
    try:
        print(precision.name, "gradient", tape.gradient(total, kernel).shape)
    except tf.errors.InvalidArgumentError as error:
        print(precision.name, error.message.split("}} ")[-1].split(".")[0])

# %% [markdown]
# Both players' layers bend with a LeakyReLU.
# It takes away about half of the energy, so it is followed by a factor $\sqrt 2$, and the volume is about 1 before and after.
# The bias stands outside, after the division; colours, whose volume has a meaning, are not divided.

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
# ## Doubling
#
# Between the sizes the maps are doubled.
# Lesson 11 stamped kernels; here pixels are interpolated, which is the smoother start, and the convolution behind it does the learning.
# Interpolation is a multiplication by a matrix too; here it is for a row of three:

# %% tags=["network"]
def halfway(size):
    """The matrix (2 size, size) that doubles a row by interpolation."""
    position = (np.arange(2 * size) - 0.5) / 2
    position = position.clip(0, size - 1)[:, None]
    return np.maximum(0, 1 - abs(position - np.arange(size)))

# %% [markdown]
# A new pixel is three quarters of its neighbour and one quarter of the next; at the rim it is its neighbour.

# %%
print(halfway(3))

# %% [markdown]
# Both frameworks have this built in.
# Do they agree with the matrix, in float64?

# %% tags=["pytorch"]
row = torch.tensor([[0, 1 / 3, 1]], dtype=torch.float64)
doubled = F.interpolate(row[None, None], scale_factor=2, mode="bilinear")
by_matrix = torch.as_tensor(halfway(3)) @ row[0]
apart = (doubled[0, 0, 0] - by_matrix).abs().max()
print("the type of the answer:", doubled.dtype)
print("as exact as float64:", bool(apart < 1e-15))

# %% tags=["tensorflow"]
row = tf.constant([[0, 1 / 3, 1]], tf.float64)
enlarge = layers.UpSampling2D(2, interpolation="bilinear", dtype="float64")
doubled = enlarge(row[None, ..., None])
by_matrix = tf.constant(halfway(3)) @ row[0][:, None]
apart = tf.reduce_max(abs(doubled[0, 0] - by_matrix))
print("the type of the answer:", doubled.dtype.name)
print("as exact as float64:", bool(apart < 1e-15))

# %% [markdown] tags=["pytorch"]
# Yes, here.
# TensorFlow interpolates in float32 whatever it is given, and Keras then calls the answer float64; so that twin multiplies by the matrix.

# %% [markdown] tags=["tensorflow"]
# **Watch out:** no.
# TensorFlow's `tf.image.resize` interpolates in float32 whatever it is given, and Keras then calls the answer float64.
# For training that is nothing, for a proof it is the end: so this notebook multiplies by the matrix, and PyTorch's `F.interpolate` is as good.

# %% [markdown]
# ## From a constant to a picture
#
# Nothing random enters at the bottom: the first maps, 4 × 4 with 64 channels, are a constant that is learned.
# Then, layer by layer, a modulated convolution with its style, some noise with a strength that is learned and starts at zero, the bend.
# At each size one more, small modulated convolution paints what is there in red, green and blue, and the paintings are doubled and added up.
# (A painting takes the order of the next level: at the small sizes it shares it with the layer that follows, the last one has the eighth for itself.)
#
# How many channels, at which size:

# %% tags=["network"]
LAYER_WIDTHS = 64, 64, 64, 64, 48, 48, 24, 24  # the constant's first
LAYER_PAIRS = list(zip(LAYER_WIDTHS, LAYER_WIDTHS[1:]))
PAINTED = LAYER_WIDTHS[1::2]  # 64, 64, 48, 24 at 4×4, 8×8, 16×16, 32×32

# %% [markdown]
# A few helpers, and then the whole of it.

# %% tags=["pytorch", "network"]
def double(maps):
    return F.interpolate(maps, scale_factor=2, mode="bilinear")


def grains(noise):  # (batch, 2704) as seven maps of one channel
    parts = noise.split([size**2 for size in SIZES], 1)
    return [part.view(-1, 1, size, size) for part, size in zip(parts, SIZES)]

# %% [markdown] tags=["pytorch"]
# `n` counts the layers; before every odd one the maps are doubled, after every even one they are painted.

# %% tags=["pytorch", "network"]
class Synthesis(nn.Module):
    def __init__(self):
        super().__init__()
        self.constant = nn.Parameter(torch.zeros(4, 4, LAYER_WIDTHS[0]))
        self.strength = nn.Parameter(torch.zeros(len(SIZES)))
        self.layers = nn.ModuleList(
            ModulatedConvolution(*pair, 3) for pair in LAYER_PAIRS)
        self.to_rgb = nn.ModuleList(
            ModulatedConvolution(width, 3, 1, False) for width in PAINTED)

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
def double(maps):
    size = maps.shape[1]
    matrix = ops.convert_to_tensor(halfway(size), maps.dtype)
    return ops.einsum("ij,njkc,lk->nilc", matrix, maps, matrix)


def grains(noise):  # (batch, 2704) as seven maps of one channel
    ends = np.cumsum([size**2 for size in SIZES])[:-1].tolist()
    parts = ops.split(noise, ends, axis=1)
    return [ops.reshape(part, (-1, size, size, 1))
            for part, size in zip(parts, SIZES)]


def modulated_layer(name, n, *options):  # weights carry such a name
    return ModulatedConvolution(*options, name=f"synthesis.{name}.{n}")

# %% [markdown] tags=["tensorflow"]
# `n` counts the layers; before every odd one the maps are doubled, after every even one they are painted.

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
                       for n, width in enumerate(PAINTED)]

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
# ## The mapping network
#
# Why not take the latents themselves for styles?
# Latents are a ball: all directions are equally likely.
# People are not: a cook's hat comes with a cook's jacket, and nobody wears a crown and a helmet.
# If every direction of the ball has to mean a person, the directions have to be bent, and then no direction means one thing.
# A small network in front, three dense layers, can do the bending, and the styles behind it are free to lie as people do.
#
# It sits at the source of everything, so it should learn slowly.
# Karras' way needs no second learning rate: the layer multiplies its answer by `mapping_rate`, 1/8, and its kernel starts 8 times as large.
# The function is the same.
# But Adam moves a number by about the learning rate, whatever its size: at a rate of .0005 a weight of 8 that counts an eighth goes to 8.0005, where one of 1 would have gone to 1.0005, and the answer feels an eighth of it.
#
# Before it, every vector of latents is brought to the same length: on the ball only directions count.

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
        one, two = self.style_of(latents).split(1, 1)  # (batch, 1, 96) each
        styles = torch.where(second[..., None], two, one)  # (batch, 8, 96)
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
        one, two = ops.split(self.style_of(latents), 2, 1)  # (batch, 1, 96)
        styles = ops.where(second[..., None], two, one)  # (batch, 8, 96)
        return self.synthesis(styles, noise)


def build_generator(starting):
    generator = Generator()
    # the first call makes the weights
    generator(*map(tf.constant, draws(np.random.default_rng(0), 1)))
    return load_weights(generator, starting)

# %% [markdown]
# ## Shared starting weights
#
# Every kernel is drawn from a normal distribution whose variance is one over the number of its inputs (the mapping network's is 8 times as wide), which keeps the volume at 1 all the way.
# The factors of a style start around one: their bias is 1.
# (Folded, as are the critic's below.)

# %% tags=["network", "folded"]
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
# The generator's, in the order of its layers.
# (The names are those that PyTorch gives to nested modules; in Keras we give them.)

# %% tags=["network", "folded"]
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
    for n, width in enumerate(PAINTED):
        found |= modulated(rng, f"synthesis.to_rgb.{n}", 1, width, 3)
    return found

# %% [markdown]
# ## A critic that compares
#
# A critic who looks at one picture at a time cannot notice that all drawings are alike: it can only reject the one, then the next, as in lesson 11's chase from blob to blob.
# **Minibatch deviation** tells it.
# Near the end of the critic, every four pictures are compared: how much do their maps differ, on average over channels and pixels?
# That one number is handed to all four, as one more channel.
# Drawings that are all the same show a zero there, people never do.

# %% tags=["pytorch", "network"]
def with_deviation(maps):
    groups = maps.unflatten(0, (-1, group))  # (groups, 4, channels, 4, 4)
    spread = (groups.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    spread = spread.repeat_interleave(group)[:, None, None, None]
    return torch.cat([maps, spread.expand(-1, 1, 4, 4)], 1)

# %% tags=["tensorflow", "network"]
class MinibatchDeviation(layers.Layer):
    def call(self, maps):
        groups = ops.reshape(maps, (-1, group, *maps.shape[1:]))
        spread = ops.sqrt(ops.var(groups, 1) + 1e-8)
        spread = ops.repeat(ops.mean(spread, (1, 2, 3)), group)
        spread = ops.ones_like(maps[..., :1]) * spread[:, None, None, None]
        return ops.concatenate([maps, spread], -1)

# %% [markdown]
# Apart from that it is an ordinary convolutional network, from 32 × 32 down to 4 × 4, with a short way around each two convolutions.

# %% tags=["network"]
CRITIC_WIDTHS = 24, 48, 64, 64
CRITIC_PAIRS = list(zip(CRITIC_WIDTHS, CRITIC_WIDTHS[1:]))

# %% [markdown]
# One block halves the size:

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
# `.flatten()` makes one row of logits, one number a picture.

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
# A layer of one's own is needed only where pictures of a batch meet.

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

# %% [markdown]
# Its starting weights, and with them both players':

# %% tags=["network", "folded"]
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

# %% [markdown] tags=["pytorch"]
# And both brought to the device.
# The arrays arrive as (batch, height, width, channels); `permute` presents them as channels first and moves nothing in memory, and with the network in the same order (`channels_last`) the convolutions are faster on a CPU.

# %% tags=["pytorch", "network"]
def build_discriminator(starting):
    discriminator = load_weights(Discriminator(), starting).to(device)
    return discriminator.to(memory_format=torch.channels_last)


def to_tensors(images, *rest):
    images = torch.as_tensor(images, device=device).permute(0, 3, 1, 2)
    return images, *(torch.as_tensor(each, device=device) for each in rest)

# %% [markdown] tags=["tensorflow"]
# In Keras nothing has to move: the arrays of a batch become tensors as they are.

# %% tags=["tensorflow", "network"]
def to_tensors(*arrays):
    return tuple(map(tf.convert_to_tensor, arrays))

# %% [markdown]
# A first look: sizes, and what dividing by the kernel's length is good for.
# An order ten times as loud, at the first layer, without the division and with it (the volume measured as a standard deviation):

# %% tags=["pytorch"]
starting = starting_weights(seed)
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
for player in (generator, discriminator):
    count = sum(values.numel() for values in player.parameters())
    print(f"{type(player).__name__:14}{count:8,} parameters")

layer = generator.synthesis.layers[0]
maps = generator.synthesis.constant.permute(2, 0, 1)[None]
style = generator.style_of(torch.as_tensor(latents[0, :1], device=device))
for divided in (False, True):
    layer.demodulated = divided
    loud = [layer(maps, factor * style).std().item() for factor in (1, 10)]
    print(f"divided: {divided!s:6} volume {loud[0]:.1f}, "
          f"ten times as loud {loud[1]:.1f}")

# %% tags=["tensorflow"]
starting = starting_weights(seed)
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
for player in (generator, discriminator):
    name = "Generator" if player is generator else "Discriminator"
    print(f"{name:14}{player.count_params():8,} parameters")

layer = generator.synthesis.layers[0]
maps = generator.synthesis.constant[None]
style = generator.style_of(latents[0, :1])
for divided in (False, True):
    layer.demodulated = divided
    loud = [float(ops.std(layer(maps, factor * style)))
            for factor in (1, 10)]
    print(f"divided: {divided!s:6} volume {loud[0]:.1f}, "
          f"ten times as loud {loud[1]:.1f}")

# %% [markdown]
# Undivided, a loud order makes loud maps, and seven layers of that end anywhere.
# Divided, it can only say *which* channels, not how much of everything.
# (The volume still moves a little: the scales' bias of one has not become ten times as loud, so it is another order, too.)
#
# ## Keeping the critic calm
#
# There is an old worry about this game, and it fits into two numbers.
# Let the truth be the point 0, the drawing a point $x$ on a line, and the critic a slope $c$: it says $c \cdot x$, real above zero (Mescheder and others, 2018).
# The critic turns its slope against the drawing, the drawing walks along the slope, past the truth, for the slope is still there when it arrives; the critic turns.
# Do they ever settle?
# Six hundred turns, and again with a penalty on the slope:

# %%
def duel(penalised, turns=600, rate=0.1):
    drawing, slope, path = 0.5, 0.0, []
    for _ in range(turns):
        path.append((drawing, slope))
        taken = 1 / (1 + np.exp(-slope * drawing))  # D of the drawing
        slope -= rate * (drawing * taken + penalised * slope)
        drawing += rate * slope * (1 - taken)
    return np.array(path).T


figure, axes = plt.subplots(figsize=(6, 3.6))
axes.plot(0, 0, "k+", markersize=12, zorder=3)
axes.set_xlim(-0.6, 1.15)  # room for the legend
paths = {"without a penalty": duel(0), "with": duel(0.3)}
plots.curves({name: tuple(path) for name, path in paths.items()},
             "The whole game in two numbers", "where the drawing is",
             "the critic's slope", axes=axes)

# %% [markdown]
# Without a penalty they circle the truth, the cross, and each loop is only about a tenth narrower than the one before: after six hundred turns they are still far off.
# With it they spiral into the cross.
# The critic has to be *flat at the real pictures*, so that a drawing that has arrived has no reason to leave.
#
# A real critic has no one slope.
# But the slope of $c \cdot x$ is its gradient by $x$, and that every critic has, at every picture.
# That is the **R1** penalty: the squared length of the gradient of the critic's logit by the picture, at real pictures; for the critic of the duel it is $c^2$.
#
# $$\frac{\gamma}{2}\;\mathbb{E}\,\bigl|\nabla_x D(x)\bigr|^2 .$$
#
# It belongs to the critic's loss.
# So the critic's weights need the gradient of a *gradient*.

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
# The sum over the batch is a trick: one picture's logit hardly depends on another picture, so the gradient of the sum holds each picture's own.
# ("Hardly": through the comparison of four it does, a little; that is how StyleGAN computes it, too.)
#
# What does each framework have to hold on to?
# The first gradient must itself be recorded, or there is nothing to differentiate.

# %% tags=["pytorch"]
real = to_tensors(*first_batch)[0][:group]
watched = real.clone().requires_grad_()
total = discriminator(watched).sum()
slopes, = torch.autograd.grad(total, watched)  # nothing said
try:
    slopes.square().sum().backward()
except RuntimeError as error:
    print("without create_graph:", str(error).split(" and ")[0])

penalty(discriminator, real).backward()
missed = [name for name, values in discriminator.named_parameters()
          if values.grad is None]
print("with it, all have a gradient but:", *missed)

# %% tags=["tensorflow"]
real = to_tensors(*first_batch)[0][:group]
variables = discriminator.trainable_variables
with tf.GradientTape() as outer:
    with tf.GradientTape() as inner:
        inner.watch(real)
        total = tf.reduce_sum(discriminator(real, training=True))
roughness = tf.reduce_sum(inner.gradient(total, real) ** 2)  # too late
found = outer.gradient(roughness, variables)
print("asked outside:", sum(each is not None for each in found), "gradients")

with tf.GradientTape() as outer:
    roughness = penalty(discriminator, real)
found = outer.gradient(roughness, variables)
missed = [variable.path for variable, each in zip(variables, found)
          if each is None]
print("inside, all have a gradient but:", *missed)

# %% [markdown] tags=["pytorch"]
# `autograd.grad` does not record its own working unless told `create_graph=True`.
# **Watch out:** the last bias has no gradient even so: it moves all logits alike, and no slope.
# (The other biases move hardly a slope either: they have a gradient, but it is zero or next to it. Zero is not None.)
# Its `.grad` stays None, and an optimiser skips it.
# In TensorFlow the same None goes into `apply`, which leaves it out with a warning.
# So both twins put the penalty into the critic's one loss, where that bias has its part.

# %% [markdown] tags=["tensorflow"]
# The inner tape's question has to be asked *while the outer tape runs*; a line too far left, and every gradient is None, without a word.
# **Watch out:** the last bias has no gradient even so: it moves all logits alike, and no slope.
# (The other biases move hardly a slope either: they have a gradient, but it is zero or next to it. Zero is not None.)
# `apply` leaves out what has None, with a warning.
# So both twins put the penalty into the critic's one loss, where that bias has its part.

# %% [markdown]
# A gradient of a gradient is dear.
# StyleGAN's second version takes it at every sixteenth step; we take it at every step, on four of the pictures.
#
# ## The two training steps
#
# Losses and turns are lesson 11's: non-saturating, each player its own optimiser.
# The critic has no batch normalisation, so drawings and pictures may go through it together; the groups of four do not mix, because the batch is a multiple of four (the parameters see to it).
# Adam gets no memory of past gradients at all, $\beta_1 = 0$: the other player has moved meanwhile.

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
    roughness = penalty(discriminator, real[:group])
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
        roughness = penalty(discriminator, real[:group])
        total = loss + gamma / 2 * roughness
    gradients = tape.gradient(total, discriminator.trainable_variables)
    optimizer.apply(gradients, discriminator.trainable_variables)
    return loss, roughness

# %% [markdown] tags=["pytorch"]
# **Watch out:** `F.softplus` is the same function in the books, but above its `threshold`, 20, PyTorch returns the logit itself; `-F.logsigmoid(-logits)` is exact everywhere (and so is `threshold=40`).
# (The difference, 2e-9, is lost in float32 and counts in a proof.)

# %% [markdown] tags=["tensorflow"]
# **Watch out:** PyTorch's `F.softplus` returns the logit itself above its `threshold`, 20; the twin writes `-F.logsigmoid(-logits)`, which is this function.
# (The difference, 2e-9, is lost in float32 and counts in a proof.)

# %% [markdown]
# The generator's step, and both together:

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
    losses_d = discriminator_step(
        *players, optimizer_d, shift(images, shifts), shifts_d, *drawn[:3])
    loss_g = generator_step(*players, optimizer_g, shifts_g, *drawn[3:])
    return *losses_d, loss_g

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
    losses_d = discriminator_step(
        *players, optimizer_d, shift(images, shifts), shifts_d, *drawn[:3])
    loss_g = generator_step(*players, optimizer_g, shifts_g, *drawn[3:])
    return *losses_d, loss_g

# %% [markdown]
# One more player does not play.
# The generator circles around what is good, so we keep its running **average** and draw with that.
# At the start it forgets fast, so that the untrained weights do not stay in it.

# %% tags=["pytorch", "script"]
@torch.no_grad()
def follow(average, generator, memory):
    for slow, fast in zip(average.parameters(), generator.parameters()):
        slow.lerp_(fast, 1 - memory)

# %% tags=["tensorflow"]
def follow(average, generator, memory):
    for slow, fast in zip(average.variables, generator.variables):
        slow.assign_add((1 - memory) * (fast - slow))

# %% [markdown] tags=["pytorch"]
# `torch.optim.swa_utils.AveragedModel` does this, too, with `get_ema_multi_avg_fn`; Keras' optimisers have `use_ema=True`.

# %% [markdown] tags=["tensorflow"]
# Keras' optimisers do this, too, with `use_ema=True`; PyTorch has `torch.optim.swa_utils.AveragedModel`.

# %% [markdown]
# ## A ruler for people
#
# As in lesson 11, the drawings are judged by the features of a small classifier, and the distance between two piles of them is the squared Fréchet distance.
# A judge of clothes would be no use here.
# This one, in `data/`, was trained to name style and skin tone, and to tell the glyphs apart, so its features hold hair, hats and clothes as well.
# They are scaled so that the people's own spread (the sum of the variances) is 100.

# %%
def describe(pictures):
    return judge.describe(pictures, data.emoji_classifier())


real_features = describe(people)[0]


def distance(pictures):
    return judge.frechet_distance(real_features, describe(pictures)[0])


halves = np.split(mixed_up, 2)
floor = judge.frechet_distance(*(real_features[half] for half in halves))
chance = np.random.default_rng(seed)
to_centre = ((real_features - real_features.mean(0)) ** 2).sum(1).min()
ruler = {
    "people, half against half": floor,
    "people, blurred": distance(
        (people + np.roll(people, 1, 1) + np.roll(people, 1, 2)) / 3),
    "one person, over and over": to_centre + real_features.var(0).sum(),
    "noise": distance(chance.standard_normal((1000, 32, 32, 3)).clip(-1, 1)),
}
plots.bars(ruler, "The ruler: from people to noise",
           "Fréchet distance", log=True)

# %% [markdown]
# The first bar is the **floor**: what two fair samples of a thousand people score, one against the other.
# It moves with the halving: most others give .7 to 1.5, one on average (measured apart), so small differences mean nothing.
# (Drawings will be held against all 1,994; there a thousand people drawn with replacement, as a generator draws, scored about .5, measured apart: about the best that can be asked.)
# (The one person of the third is the most ordinary, the nearest to the mean.)
# The second bar, the blur, is a warning.
# Every eye sees that blur at once, and the ruler hardly does: the classifier's features are about who it is, and a blurred cook is a cook.
# (Unblurred, these people would score 0.)
# So the ruler says whether the right people are there, each as often as they should be; whether they are drawn sharply, look for yourself.
#
# ### A leak, measured *(optional)*
#
# The ruler can also show a leak, on real pictures.
# Let a cheat turn every person by a quarter, and let both piles, the people and the cheat's, be augmented.
# How far apart are they for whoever sees only the augmented piles?

# %%
chance = np.random.default_rng(seed)
quarters = chance.integers(0, 4, len(people))
sometimes = quarters * (chance.random(len(people)) < 0.5)


def turn(pictures, quarters):
    return np.stack([np.rot90(one, k) for one, k in zip(pictures, quarters)])


def seen(augment):
    upright, lying = (people[half] for half in halves)
    lying = turn(lying, np.ones(len(lying), int))
    piles = (describe(augment(pile, half))[0]
             for pile, half in zip((upright, lying), halves))
    return judge.frechet_distance(*piles)

# %% [markdown]
# As they are; half of them, and all, turned at random, by none to three quarters; and below, the floor.

# %%
views = {
    "as they are": seen(lambda pile, half: pile),
    "half of them turned": seen(lambda pile, half:
                                turn(pile, sometimes[half])),
    "all of them turned": seen(lambda pile, half: turn(pile, quarters[half])),
    "two halves of the people": floor,
}
plots.bars(views, "People and people lying on their side, as the critic "
           "sees them", "Fréchet distance")
if as_shipped:
    assert views["all of them turned"] < 1.5 * floor
    assert views["half of them turned"] > 2 * floor

# %% [markdown]
# With every picture turned, people and the cheat's lying people cannot be told apart better than two halves of the people: the critic would let all of it pass.
# With half of them turned the cheat is at 2.1, twice what two halves score on average.
# (Even as they are, the cheat scores only 6.6, where the people in grey would score 117, measured apart: the judge knows people by colours more than by how they stand. Compare the four bars with each other, not with the ruler.)
# (This shows what a critic *could* see; no generator was trained on it: see *Try it*.)
#
# ## Live: a start
#
# Two functions that both notebooks need from here on, in NumPy at both ends: styles of latents, and pictures of styles.

# %% tags=["pytorch", "classroom"]
@torch.inference_mode()
def styles_of(generator, latents):
    latents = torch.as_tensor(latents, device=device)
    return generator.style_of(latents).numpy(force=True)


@torch.inference_mode()
def draw(generator, styles, noise):
    """Styles (n, 8, 96) and noise (n, 2704) to pictures (n, 32, 32, 3)."""
    slices = (torch.as_tensor(each, device=device).split(50)
              for each in (styles, noise))
    pictures = torch.cat([generator.synthesis(*both)
                          for both in zip(*slices)])
    return pictures.permute(0, 2, 3, 1).numpy(force=True).clip(-1, 1)

# %% tags=["tensorflow", "classroom"]
def styles_of(generator, latents):
    return generator.style_of(tf.convert_to_tensor(latents)).numpy()


def draw(generator, styles, noise):
    """Styles (n, 8, 96) and noise (n, 2704) to pictures (n, 32, 32, 3)."""
    pictures = [
        generator.synthesis(tf.convert_to_tensor(styles[n : n + 50]),
                            tf.convert_to_tensor(noise[n : n + 50]))
        for n in range(0, len(styles), 50)
    ]
    return np.concatenate(pictures).clip(-1, 1)

# %% [markdown]
# A thousand latents are set aside, and drawn from at some moments; `everywhere` gives one style to all eight levels.

# %% tags=["classroom"]
def everywhere(styles):
    return np.repeat(styles[:, None], LEVELS, 1)


chance = np.random.default_rng((seed, 13))
fixed_latents = chance.standard_normal((1000, latent_size), "float32")
fixed_noise = chance.standard_normal((1000, 2704), "float32")

# %% [markdown]
# Then the match, about a minute:

# %% tags=["nbval-ignore-output"]
moments = sorted({max(1, steps * part // 8) for part in (1, 2, 4, 8)})
average = build_generator(starting["generator"])
generator = build_generator(starting["generator"])
discriminator = build_discriminator(starting["discriminator"])
optimizers = build_optimizer(generator), build_optimizer(discriminator)
losses, rows, distances = [], [], []
for step, batch in enumerate(islice(batches(seed), steps), 1):
    found = train_step(generator, discriminator, *optimizers,
                       *to_tensors(*batch))
    follow(average, generator, min(0.998, step / (step + 10)))
    losses.append([float(each) for each in found])
    if step in moments:
        styles = everywhere(styles_of(average, fixed_latents))
        pictures = draw(average, styles, fixed_noise)
        rows.extend(pictures[:8])
        distances.append(distance(pictures))
        print(f"step {step:5}   distance {distances[-1]:6.1f}")

# %% [markdown]
# A row is a moment, a column one latent:

# %%
plots.images(visible(np.array(rows)),
             "The same eight latents after "
             f"{', '.join(map(str, moments))} steps", columns=8, size=0.6)
if as_shipped:
    assert distances[-1] < ruler["one person, over and over"] / 2

# %% [markdown]
# Colours first, then a light ground, then heads above shoulders, for those who know what to look for.
# The distance falls, though not in every run from each moment to the next, and stays far above the floor.
# It is well below that of one perfect person, over and over: 100 of its 122 is the missing spread, so the ruler asks first whether drawings differ as much as people do, even if they are blobs.
#
# ## Many steps later
#
# `data/make/stylegan_people.py` starts afresh and goes much further: it runs the cells above (PyTorch's) at batch 32 for 20,000 steps, in bfloat16 (floats of 16 bits: lesson 20) an hour of one core that has instructions for it, and writes the average generator in float16.
# Either notebook can load it, as it is the same network:

# %% tags=["classroom"]
shipped = build_generator(data.stylegan_people())
fixed_styles = styles_of(shipped, fixed_latents)

# %% [markdown]
# Thirty-six drawings, not chosen:

# %%
trained = draw(shipped, everywhere(fixed_styles), fixed_noise)
plots.images(visible(trained[:36]), "Thirty-six drawings, not chosen",
             columns=12, size=0.65)
trained_features = describe(trained)[0]
trained_distance = judge.frechet_distance(real_features, trained_features)
trained_variety = judge.variety(trained_features, real_features[mixed_up])
print(f"distance {trained_distance:.1f}  (floor {floor:.1f})   "
      f"variety {trained_variety:.2f}")
if as_shipped:
    assert trained_distance < 4 and trained_variety > 0.9

# %% [markdown]
# Most are people at a glance: skin, hair, hats, uniforms, a raised arm, a hand at the chin.
# Some are smears, such as the third and the eighth of the first row, and the fifth of the last.
# Their distance is a few times the floor, about five times that of a thousand people drawn from all, and their variety (how far two drawings are apart, over the same for two people) is almost that of people.
#
# ## Truncation
#
# The generator has practised styles as often as chance made them: those in the crowd often, those far out hardly ever.
# Where the crowd is can be computed: around the **centre**, the mean style of many latents.
# Pull every style $w$ (Karras' letter; no kernel here) towards it, $w' = \bar w + \psi\,(w - \bar w)$, and drawings become safer, and more alike.

# %%
chance = np.random.default_rng((seed, 14))
many = chance.standard_normal((10_000, latent_size), "float32")
centre = styles_of(shipped, many).mean(0)


def truncated(styles, psi):
    return (centre + psi * (styles - centre)).astype("float32")

# %% [markdown]
# From the mean person (top) to the whole range (bottom):

# %%
strengths = 0.0, 0.5, 0.8, 1.0
rows, measured = [], []
for psi in strengths:
    styles = everywhere(truncated(fixed_styles, psi))
    pictures = draw(shipped, styles, fixed_noise)
    rows.extend(pictures[20:30])
    features = describe(pictures)[0]
    measured.append((judge.frechet_distance(real_features, features),
                     judge.variety(features, real_features[mixed_up])))
plots.images(visible(np.array(rows)), "Ten people at ψ = "
             + ", ".join(map(str, strengths)), columns=10, size=0.7)
print("ψ     distance   variety")
for psi, (far, varied) in zip(strengths, measured):
    print(f"{psi:.1f}{far:12.1f}{varied:10.2f}")

# %% [markdown]
# At 0 there is one person, the mean one, and nobody else: the distance is of the size that one person has on the ruler.
# From row to row the people become themselves: an arm goes up, a hand goes to the face; and the ninth becomes a smear.
# For the eye .5 to .8 is the best of it.
# The distance disagrees, it is smallest at 1: it counts what is missing, and truncation leaves people out.
# Neither is wrong: whoever wants ten presentable people truncates, whoever wants all of them does not.
#
# ## Style mixing
#
# Now the picture for which all of this was built.
# The first two levels, at 4 × 4 and 8 × 8, take the style of the row; the other six take the style of the column.

# %%
def crossed(coarse, fine, cut):
    """Styles (rows × columns, 8, 96): `coarse` before the cut."""
    rows, columns = len(coarse), len(fine)
    mixed = np.tile(everywhere(fine), (rows, 1, 1))
    mixed[:, :cut] = np.repeat(everywhere(coarse), columns, 0)[:, :cut]
    return mixed


sources = truncated(fixed_styles, 0.8)
fine, coarse = sources[:9], sources[20:27]
inside = draw(shipped, crossed(coarse, fine, 2), fixed_noise[:63])
# the picture
left = draw(shipped, everywhere(coarse), fixed_noise[:7])
top = draw(shipped, everywhere(fine), fixed_noise[:9])
grid = np.concatenate([left[:, None], inside.reshape(7, 9, 32, 32, 3)], 1)
corner = np.ones((1, 32, 32, 3), "float32")
whole = np.concatenate([corner, top, *grid])
plots.images(visible(whole), "A row's first two styles, a column's others",
             columns=10, size=0.75)
plots.describe("A table of 7 rows and 9 columns of drawn people. Left, the "
               "row's own person; on top, the column's. Along a row the "
               "pose mostly stays, down a column hair mostly, skin in half.")

# %% [markdown]
# Read it along a row: the pose mostly stays (the raised arm of the first and the fifth row gets lost in some columns).
# In the second row everybody has a hand at the face, in the last all but one wear a hat or a cap.
# Read it down a column: colours stay, of hair mostly, of skin in about half.
# The fourth column is dark and the fifth yellow, in five rows of seven; the seventh keeps its yellow or orange hair in six, its face is now light, now yellow.
# The sixth row makes everybody pale, the first most of them.
# Clothes are from both.
# (Neither rows nor columns were chosen: they are the thirty-six drawings' first nine, and the first seven of the ten people above.)
#
# Nobody told the generator that there are such things as skin and hats.
# It was asked, at every step, to make sense of a row's orders and a column's orders in one drawing.
#
# Where is the border?
# The first row's person gives the levels before the cut, the first column's the rest; cut 2 is the table's first cell:

# %%
steps_over = np.stack([
    crossed(sources[20:21], sources[:1], cut)[0]
    for cut in range(LEVELS + 1)
])
walk = draw(shipped, steps_over, np.repeat(fixed_noise[:1], LEVELS + 1, 0))
plots.images(visible(walk), "One person gives the first levels, the other "
             "the rest", [f"cut {cut}" for cut in range(LEVELS + 1)],
             columns=LEVELS + 1)

# %% [markdown]
# With cut 0 it is the column's person, with cut 8 the row's.
# At cut 2 somebody appears who is neither: pale already, with short hair, in an orange that nobody of the two wears.
# From cut 4 on it is the row's, and the last levels change hardly a shade.
#
# One pair is an anecdote.
# So let 300 people meet 300 others at every cut, and ask the judge, who can name tones of skin, whose tone the drawing has; we count the pairs whose own tones differ.

# %%
def tones_of(pictures):
    classes = judge.describe(pictures, data.emoji_classifier())[1]
    return np.array([data.PEOPLE_CLASSES[n].split(", ")[1] for n in classes])


one, other_one = sources[200:500], sources[500:800]
own = [tones_of(draw(shipped, everywhere(each), fixed_noise[:300]))
       for each in (one, other_one)]
differ, shares = own[0] != own[1], []
for cut in range(LEVELS + 1):
    before_cut = (np.arange(LEVELS) < cut)[:, None]
    mixed = np.where(before_cut, one[:, None], other_one[:, None])
    found = tones_of(draw(shipped, mixed, fixed_noise[:300]))
    shares.append([(found == each)[differ].mean() for each in own])
before, after = np.transpose(shares)

# %% [markdown]
# Where the two curves cross, the say over the skin changes hands:

# %%
cuts = np.arange(LEVELS + 1)
plots.curves({"of whom the levels before the cut are": (cuts, before),
              "of whom the others are": (cuts, after)},
             f"Whose tone of skin has the drawing? ({differ.sum()} pairs)",
             "cut", "share of drawings")
if as_shipped:
    assert after[2] > before[2] and before[4] > after[4]

# %% [markdown]
# No level decides skin alone; after levels 0 to 3 five in six have the row's tone, after level 4 nineteen in twenty.
# Level 0 upsets it: at cut 1 three in ten have lost the column's tone, mostly without getting the row's.
# At cut 2, the table's, half have the column's tone and a fifth the row's; the rest have a tone of neither.
# Level 2 has the largest say: at cut 3 a tenth have the column's and over half the row's; level 3 gives the row three in ten more.
#
# So what can be ordered apart is not a number but a level, and at 32 × 32 the first four of the eight have most of the say: once shape and colours are settled, little is left.
# In a face of 1,024 × 1,024 there would be freckles and single hairs to say it about.
# The second exercise asks each level by itself.
#
# ## What is left of the noise *(optional)*
#
# The noise was to make what nobody decides.
# What did the trained generator do with it?

# %%
strength = data.stylegan_people()["synthesis"]["strength"]
again = draw(shipped, everywhere(fixed_styles[:200]), fixed_noise[200:400])
moved = np.abs(again - trained[:200]).mean()
print("strengths", *(f"{each:.4f}" for each in strength))
print(f"other noise moves a value by {moved:.4f}, of a range of 2")

# %% [markdown]
# Next to nothing.
# The strengths began at zero and have hardly left it: the generator found no use for noise.
# In photographs of faces the noise places each hair and freckle; an emoji is drawn with flat colours, and nothing in it is left to chance.
#
# ## Did anything leak? Did it copy?
#
# The critic saw everybody shifted by up to 4 pixels.
# Where is the ink, from left to right, in people, in what the critic saw, and in drawings?

# %%
def middle(pictures):  # of the ink, in pixels from the left
    ink = (1 - pictures).sum((1, 3))
    return (ink * np.arange(32)).sum(1) / ink.sum(1)


chance = np.random.default_rng((seed, 15))
moved = shifted(people[mixed_up[:500]], shift_matrices(chance, 500))
spread = {"people": middle(people).std(), "drawings": middle(trained).std(),
          "people as the critic saw them": middle(moved).std()}
plots.bars(spread, "How far the middle of the ink wanders",
           "standard deviation in pixels")

# %% [markdown]
# The drawings wander no further than the people do (a quarter less): the shifts that the critic saw have not leaked.
# Mirroring has, as it should: about half of the thousand drawings are nearer to a mirrored person than to one of the data (counted apart).
# And did it copy?
# Each of ten drawings, and below it the nearest of all people and their mirror images:

# %%
def nearest_person(drawing):  # in pixels, or her mirror image
    found = []
    for side in (people, people[:, :, ::-1]):
        apart = ((side - drawing) ** 2).sum((1, 2, 3))
        found.append((apart.min(), side[apart.argmin()]))
    return min(found, key=lambda one: one[0])[1]


nearest = np.array([nearest_person(drawing) for drawing in trained[:10]])
plots.images(visible(np.concatenate([trained[:10], nearest])),
             "Drawings (top) and the people nearest to them (bottom)",
             columns=10, size=0.6)

# %% [markdown]
# The plainest come near: the yellow heads, the fifth and the seventh, are people of the data, or almost.
# Of the others the nearest is somebody else, with other clothes or another hat.
# So the plainest it knows nearly by heart, and the rest it puts together.
# (Nearest in pixels: a copy that had moved a little would escape, and to a smear nobody is near.)
#
# ## The twin check
#
# Did both notebooks train the same two networks?

# %% tags=["pytorch"]
parameter_count = sum(values.numel() for player in (generator, discriminator)
                      for values in player.parameters())

# %% tags=["tensorflow"]
parameter_count = generator.count_params() + discriminator.count_params()

# %% [markdown]
# The live run's losses, and what the judge says of both generators; the shipped one is the same in both notebooks, so its distance should be, too.
# (Its file belongs to the parameters of the record: another file, other numbers.)

# %% tags=["nbval-ignore-output"]
names = "discriminator loss", "penalty", "generator loss"
checkpoint = data.SHA256["stylegan_people.safetensors"][:8]
mine = records.save(
    "12_stylegan", framework, parameters_used | {"checkpoint": checkpoint},
    dict(zip(names, np.array(losses).T)), parameter_count=parameter_count,
    distance=distances[-1], shipped_distance=trained_distance)
twin = records.load("12_stylegan", other, mine["parameters"])


def beginning(record):
    first = {name: some[:60] for name, some in record["losses"].items()}
    return record | {"losses": first}


plots.twins(beginning(mine), twin and beginning(twin),
            "The first 60 steps: where do the twins part?")
print(records.compare(mine, twin))
if twin and as_shipped:
    first = [records.relative_difference(mine["losses"][name],
                                         twin["losses"][name])[0]
             for name in ("discriminator loss", "generator loss")]
    far = [one["scores"]["shipped_distance"] for one in (mine, twin)]
    assert max(first) < 1e-4, "the twins part at the first step"
    assert abs(far[0] - far[1]) < 0.01 * far[0], (
        "the shipped generator gets two distances: run the twin again")

# %% [markdown]
# The first losses agree to five digits and more, then the game amplifies rounding, as in lesson 11: after twenty steps the two are different matches.
# The shipped generator does not play, and its drawings get the same distance in both notebooks.
# That the live networks are the same is what the twin proof says (`python -m tandem proof 12`): in float64 the losses agree over 100 steps to a part in $10^{11}$, gradient of the gradient included.
#
# ## What differs

# %% [markdown] tags=["pytorch"]
# | | PyTorch | Keras / TensorFlow | why it matters |
# |---|---|---|---|
# | one kernel a picture | grouped convolution, or scale the input | the same; a grouped convolution has no gradient in float64 on a CPU | the scaled input is the same sum |
# | doubling by interpolation | in the type that it is given | in float32, whatever it is given | pictures 1e-8 apart in float64; a product of matrices is exact |
# | gradient of a gradient | `autograd.grad(…, create_graph=True)` | a tape in a tape, asked before the outer one ends | an error here, silent None there |
# | a weight that the penalty does not touch | `.grad` stays None, the optimiser skips it | None goes into `apply` | put the penalty into the one loss |
# | softplus | `F.softplus` is the logit itself above its `threshold`, 20; `-F.logsigmoid(-x)` | `tf.math.softplus` is exact | up to 2e-9 in the loss of a sure critic |
# | the other player rests | `requires_grad_(False)`, or its gradients are computed and thrown away | only what is asked is computed | time |
# | running average | `torch.optim.swa_utils.AveragedModel` | `use_ema=True` of the optimiser | there the average is the optimiser's, here a model |

# %% [markdown] tags=["tensorflow"]
# | | Keras / TensorFlow | PyTorch | why it matters |
# |---|---|---|---|
# | one kernel a picture | scale the input; a grouped convolution has no gradient in float64 on a CPU | grouped convolution, or scale the input | the scaled input is the same sum |
# | doubling by interpolation | in float32, whatever it is given | in the type that it is given | pictures 1e-8 apart in float64; a product of matrices is exact |
# | gradient of a gradient | a tape in a tape, asked before the outer one ends | `autograd.grad(…, create_graph=True)` | silent None here, an error there |
# | a weight that the penalty does not touch | None goes into `apply` | `.grad` stays None, the optimiser skips it | put the penalty into the one loss |
# | softplus | `tf.math.softplus` is exact | `F.softplus` is the logit itself above its `threshold`, 20; `-F.logsigmoid(-x)` | up to 2e-9 in the loss of a sure critic |
# | the other player rests | only what is asked is computed | `requires_grad_(False)`, or its gradients are computed and thrown away | time |
# | running average | `use_ema=True` of the optimiser | `torch.optim.swa_utils.AveragedModel` | here the average is the optimiser's, there a model |

# %% [markdown]
# ## Exercises
#
# Three: a level from nothing, a question to the trained generator, and the penalty.

# %% tags=["pytorch", "classroom"]
from tandem.exercises import attempt
from tandem.pytorch import gradient_on_arrays, on_arrays

# %% tags=["tensorflow", "classroom"]
from tandem.exercises import attempt
from tandem.tensorflow import gradient_on_arrays, on_arrays

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write one level of the generator, from the small maps to the larger ones, with bare tensors (float64), your framework's functions, and nothing of ours but the array `halfway(size)`, if you want it.
# `level(maps, style, grain, arrays)` takes maps (batch, height, width, inputs), **channels last in both frameworks**; a style (batch, style numbers); one grain of noise for each pixel of the doubled maps (batch, 2 height, 2 width); and a dictionary:
# `arrays["to_scales"]` (style numbers, inputs) and `arrays["scale_bias"]` (inputs,) make the scales; `arrays["kernel"]` (3, 3, inputs, outputs) is the convolution's, with zeros around the maps so that the size stays; `arrays["bias"]` (outputs,); `arrays["strength"]` is one number.
#
# Double by interpolation; scale, convolve, divide by the length of the scaled kernel (add 1e-8 below the root); add the bias, and the noise times its strength; bend with a LeakyReLU of slope 0.2, and make up for it with $\sqrt 2$.
# It returns (batch, 2 height, 2 width, outputs).

# %% tags=["pytorch", "solution"]
def level(maps, style, grain, arrays):
    ### BEGIN SOLUTION
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def level(maps, style, grain, arrays):
    ### BEGIN SOLUTION
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)
    ### END SOLUTION

# %% [markdown]
# The check does it the paper's way, in NumPy: a kernel for each picture.
# It asks for single steps, too: with a kernel of zeros, and with one that only adds up the maps.

# %% tags=["classroom", "folded"]
def convolved(maps, own):  # with one kernel a picture
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    high, wide = maps.shape[1:3]
    return sum(np.einsum("nhwi,nio->nhwo",
                         padded[:, y : y + high, x : x + wide], own[:, y, x])
               for y in range(3) for x in range(3))


def by_own_kernels(maps, style, grain, arrays, left_out=""):
    rows, columns = map(halfway, maps.shape[1:3])
    maps = np.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    own = arrays["kernel"] * scales[:, None, None, :, None]
    if left_out != "the division by the length of the scaled kernel":
        own /= np.sqrt((own**2).sum((1, 2, 3), keepdims=True) + 1e-8)
    maps = convolved(maps, own) + arrays["bias"]
    if left_out != "the noise":
        maps += arrays["strength"] * grain[..., None]
    bent = np.where(maps > 0, maps, 0.2 * maps)
    return bent if left_out == "the root of two" else math.sqrt(2) * bent

# %% [markdown]
# Maps to try it on:

# %% tags=["classroom", "folded"]
def level_case(number, high=5, wide=6):
    rng = np.random.default_rng(number)
    shapes = {"to_scales": (7, 4), "scale_bias": (4,), "bias": (6,),
              "kernel": (3, 3, 4, 6), "strength": ()}
    arrays = {name: np.asarray(rng.standard_normal(shape))
              for name, shape in shapes.items()}
    shapes = (3, high, wide, 4), (3, 7), (3, 2 * high, 2 * wide)
    return *(rng.standard_normal(shape) for shape in shapes), arrays

# %% [markdown]
# And now yours:

# %% tags=["check"]
maps, style, grain, arrays = full = level_case(1)
zeros = {name: np.zeros_like(array) for name, array in arrays.items()}
still = *full[:3], arrays | {"kernel": zeros["kernel"]}
faint = *full[:3], arrays | {"kernel": 1e-4 * arrays["kernel"]}
point = np.eye(9)[4].reshape(3, 3, 1, 1) * np.ones((4, 6))
alike = zeros | {"kernel": point, "to_scales": np.ones((7, 4))}
cases = full, still, (maps, style**0, grain, alike), faint
given, rest, large, low = (on_arrays(level, *case) for case in cases)
wanted, left, doubled, right = (by_own_kernels(*case) for case in cases)
assert given.shape == wanted.shape, (
    f"the shape is {given.shape}; wanted, channels last: {wanted.shape}")
for step, case, found in (
        ("the division by the length of the scaled kernel", full, given),
        ("the noise", still, rest), ("the root of two", still, rest)):
    lacking = by_own_kernels(*case, step)
    assert not np.allclose(found, lacking, 1e-4), f"{step} is missing"
assert np.allclose(rest, left, 1e-4, 1e-5), (
    "kernels of zeros: look at the 1e-8, bias, strength, bend, order")
large, doubled = large * abs(doubled).max(), doubled * abs(large).max()
assert np.allclose(large, doubled, 1e-4, 1e-5), (
    "doubled another way: 3/4 of a pixel and 1/4 of the next are wanted")
assert np.allclose(given, wanted, 1e-4, 1e-5), (
    "look at the scales, their squares in the sum, the zeros, the order")
assert np.allclose(low, right, 1e-4, 1e-5), "the 1e-8 goes below the root"

# %% tags=["hidden"]
case = level_case(2, wide=4)
assert np.allclose(on_arrays(level, *case), by_own_kernels(*case), rtol=1e-5, atol=1e-5), (
    "maps that are higher than wide are treated another way")
case = *(array[:2] for array in case[:3]), case[3]
assert np.allclose(on_arrays(level, *case), by_own_kernels(*case), rtol=1e-5, atol=1e-5), (
    "two pictures are treated another way than three")
for name in ("to_scales", "scale_bias"):
    case[-1][name] *= 1e-5
assert np.allclose(on_arrays(level, *case), by_own_kernels(*case), rtol=1e-4, atol=1e-5), (
    "a faint order comes out too loud or too weak: the 1e-8 belongs below the root, beside the sum of squares")
for name in ("to_scales", "scale_bias"):
    case[-1][name] *= 0
assert np.allclose(on_arrays(level, *case), by_own_kernels(*case), rtol=1e-5, atol=1e-5), (
    "an order that turns every channel off divides nothing by nothing: add 1e-8 below the root")

# %% tags=["pytorch", "wrong"] mistake="does not divide"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="does not divide"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="divides by the length of the kernel, unscaled"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    length = torch.rsqrt((kernel**2).sum((0, 1, 2)) + 1e-8)
    maps = maps * length[:, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="divides by the length of the kernel, unscaled"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    maps *= tf.math.rsqrt(tf.reduce_sum(kernel**2, (0, 1, 2)) + 1e-8)
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="answers channels first"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps + arrays["bias"][:, None, None]
    maps = maps + arrays["strength"] * grain[:, None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="pads with the rim"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.pad(maps, [(0, 0), (1, 1), (1, 1), (0, 0)], "SYMMETRIC")
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "VALID")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="leaves out the root of two"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="leaves out the root of two"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="doubles by repeating pixels"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="nearest")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="doubles by repeating pixels"
def level(maps, style, grain, arrays):
    maps = tf.repeat(tf.repeat(maps, 2, 1), 2, 2)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="adds nothing below the root"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="adds nothing below the root"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="answers channels first"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    maps = tf.transpose(maps, (0, 3, 1, 2))
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="pads with the rim"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.pad(maps * scales[:, :, None, None], (1, 1, 1, 1), "replicate")
    maps = F.conv2d(maps, kernel.permute(3, 2, 0, 1))
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="takes the framework's own slope"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps)

# %% tags=["tensorflow", "wrong"] mistake="takes the framework's own slope"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * layers.LeakyReLU(dtype="float64")(maps)

# %% tags=["pytorch", "wrong"] mistake="adds the noise after the bend"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = math.sqrt(2) * F.leaky_relu(maps, 0.2)
    return maps + arrays["strength"] * grain[..., None]

# %% tags=["tensorflow", "wrong"] mistake="adds the noise after the bend"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"]
    maps = math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)
    return maps + arrays["strength"] * grain[..., None]

# %% tags=["pytorch", "wrong"] mistake="adds the noise at full strength"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="adds the noise at full strength"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="scales without their bias"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * torch.rsqrt(energy + 1e-8)[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="scales without their bias"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= tf.math.rsqrt(energy + 1e-8)[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% tags=["pytorch", "wrong"] mistake="adds the 1e-8 outside of the root"
def level(maps, style, grain, arrays):
    maps = maps.permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=2, mode="bilinear")
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = F.conv2d(maps * scales[:, :, None, None],
                    kernel.permute(3, 2, 0, 1), padding=1)
    energy = scales**2 @ (kernel**2).sum((0, 1))
    maps = maps * (1 / (energy.sqrt() + 1e-8))[:, :, None, None]
    maps = maps.permute(0, 2, 3, 1) + arrays["bias"]
    maps = maps + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * F.leaky_relu(maps, 0.2)

# %% tags=["tensorflow", "wrong"] mistake="adds the 1e-8 outside of the root"
def level(maps, style, grain, arrays):
    rows, columns = (tf.cast(halfway(size), maps.dtype)
                     for size in maps.shape[1:3])
    maps = tf.einsum("ij,njkc,lk->nilc", rows, maps, columns)
    scales = style @ arrays["to_scales"] + arrays["scale_bias"]
    kernel = arrays["kernel"]
    maps = tf.nn.conv2d(maps * scales[:, None, None], kernel, 1, "SAME")
    energy = scales**2 @ tf.reduce_sum(kernel**2, (0, 1))
    maps *= (1 / (tf.sqrt(energy) + 1e-8))[:, None, None]
    maps += arrays["bias"] + arrays["strength"] * grain[..., None]
    return math.sqrt(2) * tf.nn.leaky_relu(maps, 0.2)

# %% [markdown] tags=["hint"]
# Nothing here is new but the order of the axes.
# Scales (batch, inputs) multiply the maps' axis of channels: two new axes beside it.
# The sum below the root is one number for each picture and each output channel, so it is a product of two matrices: squares of the scales, (batch, inputs), by sums of squares of the kernel, (inputs, outputs).
# A grain is one number a pixel; all outputs get the same.

# %% [markdown] tags=["exercise"] exercise="influence" points=3
# ### Exercise 2: which level moves most?
#
# Ask the trained generator.
# `influence(latents, others, noise)` takes two sets of latents (people, 64) and noise (people, 2704).
# It draws each person with its own style at all eight levels; then, for each level, again with the *other* person's style at that level alone.
# It returns eight numbers: how far the pictures' values move on average (mean absolute difference), level by level.
# Take `shipped`, `styles_of`, `everywhere` and `draw`, in NumPy; no truncation.
# Then draw them, `plots.bars({f"level {n}": value for n, value in enumerate(influence(*influence_case(5)))}, "…", "…")`, and hold them against the walk over the cuts, above.

# %% tags=["pytorch", "solution"]
def influence(latents, others, noise):
    ### BEGIN SOLUTION
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).mean())
    # level 1 moves most, and levels 0 to 3 nine tenths of it all, as in
    # the walk, where little changes from cut 4 on (skin is another
    # question: there level 2 had the largest say)
    return np.array(found)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def influence(latents, others, noise):
    ### BEGIN SOLUTION
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).mean())
    # level 1 moves most, and levels 0 to 3 nine tenths of it all, as in
    # the walk, where little changes from cut 4 on (skin is another
    # question: there level 2 had the largest say)
    return np.array(found)
    ### END SOLUTION

# %% [markdown]
# The check exchanges styles, too, and looks at one frequent slip: an exchange that is never taken back.

# %% tags=["classroom", "folded"]
def exchanged(latents, others, noise, kept=False):
    own = everywhere(styles_of(shipped, latents))
    theirs = everywhere(styles_of(shipped, others))
    before, levels = draw(shipped, own, noise), np.arange(LEVELS)
    for n in levels:
        taken = levels <= n if kept else levels == n
        mixed = np.where(taken[:, None], theirs, own)
        yield np.abs(draw(shipped, mixed, noise) - before).mean()


def influence_case(number):
    rng = np.random.default_rng(number)
    shapes = (20, latent_size), (20, latent_size), (20, 2704)
    return [rng.standard_normal(shape, "float32") for shape in shapes]

# %% [markdown]
# And now yours, and its bars:

# %% tags=["check"]
case = influence_case(5)
wanted, kept = (np.array(list(exchanged(*case, each)))
                for each in (False, True))
given = np.asarray(influence(*case))
assert given.shape == (LEVELS,), (
    f"eight numbers are wanted, not the shape {given.shape}")
assert not np.allclose(given, kept, rtol=1e-3), (
    "each exchange is still there at the next level: start from the "
    "person's own styles each time")
apart = ~np.isclose(given, wanted, rtol=1e-3)
n = apart.argmax()
assert not apart.any(), (
    f"the other style at level {n} alone moves a value by {wanted[n]:.4g} "
    f"on average (no sign, no square, noise as given), not {given[n]:.4g}")

# %% tags=["hidden"]
case = [some[:12] for some in influence_case(6)]
assert np.allclose(influence(*case), list(exchanged(*case)), rtol=1e-3), "twelve other people, other numbers"

# %% tags=["pytorch", "wrong"] mistake="never takes an exchange back"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        own[:, n] = other_styles
        found.append(np.abs(draw(shipped, own, noise) - before).mean())
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="never takes an exchange back"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        own[:, n] = other_styles
        found.append(np.abs(draw(shipped, own, noise) - before).mean())
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="squares the differences"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        found.append(((draw(shipped, changed, noise) - before) ** 2).mean())
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="squares the differences"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        found.append(((draw(shipped, changed, noise) - before) ** 2).mean())
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="exchanges all levels from there on"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n:] = other_styles[:, None]
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).mean())
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="exchanges all levels from there on"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n:] = other_styles[:, None]
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).mean())
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="averages with the sign"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append((after - before).mean())
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="averages with the sign"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append((after - before).mean())
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="compares with the picture before"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).mean())
        before = after
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="compares with the picture before"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).mean())
        before = after
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="divides by twenty people"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).sum() / (20 * 32 * 32 * 3))
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="divides by twenty people"
def influence(latents, others, noise):
    own = everywhere(styles_of(shipped, latents))
    other_styles = styles_of(shipped, others)
    before, found = draw(shipped, own, noise), []
    for n in range(LEVELS):
        changed = own.copy()
        changed[:, n] = other_styles
        after = draw(shipped, changed, noise)
        found.append(np.abs(after - before).sum() / (20 * 32 * 32 * 3))
    return np.array(found)

# %% [markdown] tags=["hint"]
# `own = everywhere(styles_of(shipped, latents))` has the shape (people, 8, 96); level k is `own[:, k]`.
# Make a copy before you change it.

# %% [markdown] tags=["exercise"] exercise="penalty" points=3
# ### Exercise 3: a gradient of a gradient *(optional)*
#
# `roughness(critic, images)` is R1 without its $\gamma / 2$: the squared length of the gradient of the critic's answer by each image, and of these the mean over the batch.
# `images` has the shape (batch, numbers); `critic` is any function from (batch, numbers) to (batch, 1).
# What comes back must have a gradient itself: the check asks for it.

# %% tags=["pytorch", "solution"]
def roughness(critic, images):
    ### BEGIN SOLUTION
    images = images.detach().requires_grad_()
    total = critic(images).sum()
    slopes, = torch.autograd.grad(total, images, create_graph=True)
    return (slopes**2).sum(1).mean()
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def roughness(critic, images):
    ### BEGIN SOLUTION
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(critic(images))
    slopes = tape.gradient(total, images)
    return tf.reduce_mean(tf.reduce_sum(slopes**2, 1))
    ### END SOLUTION

# %% [markdown]
# The check's critic is $\sum_i w_i x_i^2$, whose gradients can be done by hand: by $x$ it is $2 w_i x_i$, so the penalty is the mean of $\sum_i 4 w_i^2 x_i^2$, and *its* gradient by $w_i$ the mean of $8 w_i x_i^2$.

# %% tags=["check"]
def of_weight(weight, images):
    return roughness(lambda some: some**2 @ weight, images)


rng = np.random.default_rng(3)
images, weight = rng.standard_normal((5, 4)), rng.standard_normal((4, 1))
by_image = (4 * images**2 * weight.T**2).sum(1)
given, wanted = on_arrays(of_weight, weight, images), by_image.mean()
assert given.shape == () and given.dtype.kind == "f", (
    "one number is wanted, the mean over images")
for slip, value in {
        "averaged over the numbers of an image: add up": wanted / 4,
        "added up over the images: average": by_image.sum(),
        "the length, not its square": np.sqrt(by_image).mean(),
        "of the answers' mean: start from their sum": wanted / 25}.items():
    assert not np.isclose(given, value), f"it is {slip}"
assert np.isclose(given, wanted), f"it is {wanted:.4f}, not {given:.4f}"
try:
    slopes = gradient_on_arrays(of_weight, weight, images)
except AssertionError:  # none comes back
    slopes = np.nan
assert np.allclose(slopes, (8 * images**2).mean(0)[:, None] * weight), (
    "the penalty is right, but not its gradient by the critic's weight: "
    "is the first gradient recorded (create_graph, or a running tape)?")

# %% tags=["hidden"]
rng = np.random.default_rng(4)
images, weight = rng.standard_normal((3, 6)), rng.standard_normal((6, 1))


def of_weight(weight, images):
    return roughness(lambda some: some**3 @ weight, images)


assert np.isclose(on_arrays(of_weight, weight, images), (9 * images**4 * weight.T**2).sum(1).mean()), (
    "another critic and three images, another penalty")
slopes = gradient_on_arrays(of_weight, weight, images)
by_hand = (18 * images**4).mean(0)[:, None] * weight
assert np.allclose(slopes, by_hand), "another critic, other gradients"

# %% tags=["pytorch", "wrong"] mistake="does not keep the graph"
def roughness(critic, images):
    images = images.detach().requires_grad_()
    slopes, = torch.autograd.grad(critic(images).sum(), images)
    return (slopes**2).sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="does not keep the graph"
def roughness(critic, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(critic(images))
    slopes = tf.stop_gradient(tape.gradient(total, images))
    return tf.reduce_mean(tf.reduce_sum(slopes**2, 1))

# %% tags=["pytorch", "wrong"] mistake="averages over everything"
def roughness(critic, images):
    images = images.detach().requires_grad_()
    total = critic(images).sum()
    slopes, = torch.autograd.grad(total, images, create_graph=True)
    return (slopes**2).mean()

# %% tags=["tensorflow", "wrong"] mistake="averages over everything"
def roughness(critic, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(critic(images))
    return tf.reduce_mean(tape.gradient(total, images) ** 2)

# %% tags=["pytorch", "wrong"] mistake="takes the length, not its square"
def roughness(critic, images):
    images = images.detach().requires_grad_()
    total = critic(images).sum()
    slopes, = torch.autograd.grad(total, images, create_graph=True)
    return slopes.norm(dim=1).mean()

# %% tags=["tensorflow", "wrong"] mistake="takes the length, not its square"
def roughness(critic, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(critic(images))
    return tf.reduce_mean(tf.norm(tape.gradient(total, images), axis=1))

# %% tags=["pytorch", "wrong"] mistake="starts from the mean of the answers"
def roughness(critic, images):
    images = images.detach().requires_grad_()
    total = critic(images).mean()
    slopes, = torch.autograd.grad(total, images, create_graph=True)
    return (slopes**2).sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="starts from the mean of the answers"
def roughness(critic, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_mean(critic(images))
    slopes = tape.gradient(total, images)
    return tf.reduce_mean(tf.reduce_sum(slopes**2, 1))

# %% tags=["pytorch", "wrong"] mistake="adds up over the images"
def roughness(critic, images):
    images = images.detach().requires_grad_()
    total = critic(images).sum()
    slopes, = torch.autograd.grad(total, images, create_graph=True)
    return (slopes**2).sum()

# %% tags=["tensorflow", "wrong"] mistake="adds up over the images"
def roughness(critic, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(critic(images))
    slopes = tape.gradient(total, images)
    return tf.reduce_sum(slopes**2)

# %% tags=["pytorch", "wrong"] mistake="divides by five images"
def roughness(critic, images):
    images = images.detach().requires_grad_()
    total = critic(images).sum()
    slopes, = torch.autograd.grad(total, images, create_graph=True)
    return (slopes**2).sum() / 5

# %% tags=["tensorflow", "wrong"] mistake="divides by five images"
def roughness(critic, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(critic(images))
    slopes = tape.gradient(total, images)
    return tf.reduce_sum(slopes**2) / 5

# %% [markdown] tags=["hint"]
# First the gradient of the *sum* of the critic's answers by the images; then square, add up over an image's numbers, average over images.
# See "Keeping the critic calm" for what has to be held on to.

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - A style that enters at every size gives orders one by one: rows of a table can share a pose, columns much of the colours.
# - Scaling the input, convolving, and dividing the output is a convolution with a kernel of its own for every picture, without groups.
# - The R1 penalty makes the critic flat where the truth is; it takes a gradient of a gradient: `create_graph=True`, or a tape within a tape that still runs.
# - Comparing four pictures at a time lets the critic see sameness.
# - A change of what the critic sees leaks if two different piles look the same after it: turning everything does, small shifts on white do not, mirroring does and is welcome.
# - Truncation buys safer single drawings with variety: the loss can be measured, the gain was for the eye; no distance means anything without its floor.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters.
#
# 1. `steps = 5_000`, about ten minutes, once as it is and once with `mixing = 0.0`: a few hundred steps draw too coarsely for a table.
#    Which mixing table works?
#    (Under "Many steps later" write `shipped = average` in place of the line that loads it: styles and centre are then its own, too.)
# 2. `gamma = 0.0`.
#    Watch the penalty, the second of the three losses, and the distance.
# 3. Make an augmentation leak: before `shift_matrices` returns its `moves`, write `moves[::2, 0] = moves[::2, 0, ::-1]`, so that the critic sees every second picture standing on its head.
#    What does the matrix of the two ways to stand look like, and what is drawn after 2,000 steps?
# 4. Move through the styles: `truncated(fixed_styles, -0.8)`.
#    What is the opposite of a person?
#
# Still open: this generator draws people, whichever it likes, and the two rivals are as delicate as in lesson 11.
# Lesson 13 turns *given* pictures into another style, without ever seeing a pair; lesson 14 does without a rival.
#
# ## Read on
#
# - Karras, Laine, Aila, *A Style-Based Generator Architecture for Generative Adversarial Networks* (2018), [arXiv:1812.04948](https://arxiv.org/abs/1812.04948): mapping network, styles at every size, mixing, noise.
# - Karras and others, *Analyzing and Improving the Image Quality of StyleGAN* (2019), [arXiv:1912.04958](https://arxiv.org/abs/1912.04958): modulated convolution.
# - Karras and others, *Training Generative Adversarial Networks with Limited Data* (2020), [arXiv:2006.06676](https://arxiv.org/abs/2006.06676): which augmentations leak.
# - Mescheder, Geiger, Nowozin, *Which Training Methods for GANs do actually Converge?* (2018), [arXiv:1801.04406](https://arxiv.org/abs/1801.04406): the game in two numbers, and R1.
# - Karras and others, *Progressive Growing of GANs for Improved Quality, Stability, and Variation* (2017), [arXiv:1710.10196](https://arxiv.org/abs/1710.10196): minibatch deviation, equalised learning rates.

# %% [markdown] tags=["pytorch"]
# - The authors' own code, in PyTorch: [stylegan3](https://github.com/NVlabs/stylegan3), with StyleGAN2; and the page of [torch.autograd.grad](https://docs.pytorch.org/docs/stable/generated/torch.autograd.grad.html).

# %% [markdown] tags=["tensorflow"]
# - The authors' own code, in TensorFlow 1: [stylegan2](https://github.com/NVlabs/stylegan2); and TensorFlow's guide to [nested tapes](https://www.tensorflow.org/guide/advanced_autodiff).
