# ---
# minutes: {read: 81, run: 2, exercises: 65}
# seconds: 120
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 6 · Convolution
#
# You train a small residual network to about nine right answers in ten from 10,000 images, and test a picture of what it looked at.
#
# - **You will build** an edge filter by hand, the layer that learns such filters, and from it a residual network with batch normalisation, dropout and augmentation; then pictures of its filters, its feature maps, and the places that spoke for its answer, with a test of what such pictures are worth.
# - **You will learn** what a convolution computes, what padding, stride and pooling do to sizes, why deep networks have bridges, and how each framework lays out its images.
# - **You need** lessons 2 to 5: training, looking inside (hooks, or a second model), defaults (batch normalisation among them), augmentation.

# %% [markdown]
# The network of lesson 2 flattened an image into a row of 784 numbers.
# It would have learnt just as well had we shuffled the pixels of all images in one and the same way: that two pixels are neighbours, it was never told.
# A convolution is told.
# Lesson 5 ended with images that are shifted and flipped as they are fed; here is the network that makes the most of them.
#
# ## Set-up

# %% tags=["pytorch", "network"]
import copy
import pathlib
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

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
import time
from itertools import islice

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import data, plots, records, weights

framework, other = "tensorflow", "pytorch"
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
epochs = 6  # 1 to 200: passes over the training images
batch_size = 64  # 2 to train_size: images a step
learning_rate = 0.004  # above 0 to 1: it falls along a cosine
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.999  # 0 to below 1: Adam's memory of their squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
channels = 16  # 1 to 256: of the first convolution; twice doubled
# probability with which a feature is hidden from the last layer
dropout = 0.125  # 0 to below 1: in training only
largest_shift = 1  # 0 to 14: pixels an image may move in training
mirrored = 0.5  # 0 to 1: the share of images flipped in training
train_size = 10_000  # 100 to 10000: training images
seed = 0  # 0 to 2**32 - 1: of weights and batch order

# %% [markdown]
# Some results cannot be the same to the last digit on every machine.
# There the lesson *asserts* bounds instead, for the values above only.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("06_convolution", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## An edge, by hand
#
# What would a network want to know about a picture first?
# Where something begins and ends: its edges.
# Nine numbers, named after Irwin Sobel, find them.
# Lay them on a patch of 3 × 3 pixels, multiply number by pixel, add up:
#
# $$S = \begin{pmatrix} -1 & 0 & 1 \\ -2 & 0 & 2 \\ -1 & 0 & 1 \end{pmatrix}$$
#
# Where the patch is of one brightness the sum is zero.
# Where it is darker at the left than at the right, it is positive.
# Then move on by one pixel, and again, over the whole image: 26 × 26 turns of a slow loop.
# Or take the sum the other way round: for each of the nine numbers, multiply the *whole image*, moved by so many pixels, and add up the nine results.

# %%
(all_images, all_labels), _ = data.fashion_mnist(train_size)
picture = all_images[0]
sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], "float32")


def by_loops(image, kernel):
    # a window of 3 fits 26 times into 28 pixels
    result = np.zeros((26, 26), "float32")
    for row in range(26):
        for column in range(26):
            window = image[row : row + 3, column : column + 3]
            result[row, column] = (window * kernel).sum()
    return result


def by_slices(image, kernel):
    return sum(
        kernel[row, column] * image[row : row + 26, column : column + 26]
        for row, column in np.ndindex(3, 3)
    )


edges = by_loops(picture, sobel)
same = np.allclose(by_slices(picture, sobel), edges, atol=1e-5)
print("slices find what the loops find:", same)

# %% [markdown]
# Turned on its side, this **kernel** (lesson 1's word for a layer's weights; here the small window of them) finds the edges between above and below:

# %%
panels = {"the image": picture, "left/right edges": edges,
          "above/below edges": by_slices(picture, sobel.T)}
figure, row_of_axes = plt.subplots(1, 3, figsize=(7.5, 2.9))
for axes, (name, values) in zip(row_of_axes, panels.items()):
    signed = name != "the image"
    axes.imshow(values, cmap="RdBu_r" if signed else "gray",
                vmin=-4 if signed else 0, vmax=4 if signed else 1)
    axes.set_title(name, fontsize=9)
    axes.axis("off")
title = "Nine numbers find edges. Red: brighter to the right, or downwards"
_ = figure.suptitle(title, fontsize=11, x=0.01, ha="left")

# %% [markdown]
# ## The same from the framework
#
# This moving weighted sum is what both frameworks call a convolution.
# It takes a whole batch of images, each with several **channels** (a colour photograph has three), and a whole set of kernels.
# So a grey image and a single kernel need extra axes, and the frameworks put them in different places.
# PyTorch has the channels before the pixels: **NCHW**, for number, channels, height, width; its kernels are (out, in, height, width).
# TensorFlow has them last: **NHWC**, with kernels (height, width, in, out).

# %% tags=["pytorch"]
# (batch, channels, height, width)
images = torch.as_tensor(picture)[None, None]
kernels = torch.as_tensor(sobel)[None, None]  # (out, in, height, width)
result = F.conv2d(images, kernels)
print("shape", tuple(result.shape))
same = np.allclose(result[0, 0], edges, atol=1e-5)
print("the framework finds what the loops find:", same)

# %% tags=["tensorflow"]
images = picture[None, ..., None]  # (batch, height, width, channels)
kernels = sobel[..., None, None]  # (height, width, in, out)
result = tf.nn.conv2d(images, kernels, strides=1, padding="VALID")
print("shape", result.shape)
same = np.allclose(result[0, ..., 0], edges, atol=1e-5)
print("the framework finds what the loops find:", same)

# %% [markdown]
# **Watch out:** what mathematics calls a convolution is something else.
# It turns the kernel by half a turn before it multiplies.
# To see who turns what, take an image that is black but for one pixel, and a kernel that can be recognised:

# %% tags=["pytorch"]
one_pixel = torch.zeros(1, 1, 5, 5)
one_pixel[0, 0, 2, 2] = 1
numbered = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
print("kernel ", numbered[0, 0].int().tolist())
print("result ", F.conv2d(one_pixel, numbered)[0, 0].int().tolist())
print("np.convolve ", np.convolve([0, 0, 1, 0, 0], [1, 2, 3], "valid"))
print("np.correlate", np.correlate([0, 0, 1, 0, 0], [1, 2, 3], "valid"))

# %% tags=["tensorflow"]
one_pixel = np.zeros((1, 5, 5, 1), "float32")
one_pixel[0, 2, 2, 0] = 1
numbered = np.arange(1, 10, dtype="float32").reshape(3, 3, 1, 1)
stamped = tf.nn.conv2d(one_pixel, numbered, strides=1, padding="VALID")
print("kernel ", numbered[..., 0, 0].astype(int).tolist())
print("result ", tf.cast(stamped[0, ..., 0], tf.int32).numpy().tolist())
print("np.convolve ", np.convolve([0, 0, 1, 0, 0], [1, 2, 3], "valid"))
print("np.correlate", np.correlate([0, 0, 1, 0, 0], [1, 2, 3], "valid"))

# %% [markdown]
# A true convolution stamps its kernel onto a bright pixel as it is, as `np.convolve` does.
# Ours leaves it turned: it is a **cross-correlation**, in both frameworks, and so kernels move from one to the other without a flip.
# For a network the name does not matter, it learns the kernel either way.
# It matters when you bring a kernel along from a book or from SciPy.
#
# ## What if the axes are wrong?
#
# We hand this framework the other one's layout (the twin does the reverse), and see whether it notices.

# %% tags=["pytorch"]
layer = nn.Conv2d(1, 4, kernel_size=3)
channels_last = torch.as_tensor(picture)[None, ..., None]  # (1, 28, 28, 1)
try:
    layer(channels_last)
except RuntimeError as error:
    print(f"RuntimeError: {error}")

# %% [markdown] tags=["pytorch"]
# PyTorch notices, because you had to say `in_channels=1`, and the axis where it looks for channels has 28.
# Keras would not complain about channels: its layer takes as many as it finds.
#
# **Watch out:** it notices only if the numbers disagree.
# Where they agree by accident (a picture of 3 × 3 pixels, three channels), nothing is said.

# %% tags=["tensorflow"]
# padded: without it, one row would be too little for a window of 3
layer = layers.Conv2D(4, kernel_size=3, padding="same")
channels_first = picture[None, None]  # (1, 1, 28, 28)
print("result", layer(channels_first).shape)
print("kernel", layer.kernel.shape)

# %% [markdown] tags=["tensorflow"]
# **Watch out:** Keras does not notice.
# A layer takes as many channels as it finds on the last axis, here 28, and makes its kernel to fit: it sees an image one pixel high with 28 channels, and would train without complaint.
# The kernel's shape is where to look.
# PyTorch is told the number of incoming channels, and raises an error when it finds another.
# (Without padding Keras would stop here too, but for another reason: an image one pixel high is too small for the window.
# A colour image, three pixels high in the wrong layout, passes.)

# %% [markdown]
# ## A layer of learned filters
#
# Sobel's numbers were invented.
# A convolutional layer *learns* its kernels, many at once.
# If $x$ has channels $c$, then map $k$ of the result is, at row $i$ and column $j$,
#
# $$y_{k,i,j} = b_k + \sum_c \sum_{u,v} w_{k,c,u,v}\; x_{c,\,i+u,\,j+v} .$$
#
# (That is PyTorch's order of the axes; in TensorFlow's it reads $w_{u,v,c,k}\, x_{i+u,\,j+v,\,c}$.)
# Each kernel sees **all** incoming channels, and gives one outgoing channel, called a **feature map**.
# Two things make this different from a dense layer: a number of the result depends on a small window only, and the weights do not depend on where the window is.
# How much does that save, for 16 maps of one 28 × 28 image?

# %% tags=["pytorch"]
layer = nn.Conv2d(1, 16, kernel_size=3, padding=1)
result = layer(torch.zeros(1, 1, 28, 28))
print("kernel", tuple(layer.weight.shape), " result", tuple(result.shape))
print(f"{sum(parameter.numel() for parameter in layer.parameters())} weights")

# %% tags=["tensorflow"]
layer = layers.Conv2D(16, kernel_size=3, padding="same")
result = layer(np.zeros((1, 28, 28, 1)))
print("kernel", tuple(layer.kernel.shape), " result", tuple(result.shape))
print(f"{layer.count_params()} weights")

# %% [markdown]
# Sixteen kernels of 9 numbers and 16 biases, whatever the size of the image.
# As many results from a dense layer, counted on paper, each with a weight for every pixel and a bias:

# %%
print(f"a dense layer would have {(28 * 28 + 1) * 28 * 28 * 16:,} weights")

moved = np.roll(picture, (2, 3), axis=(0, 1))  # 2 down, 3 to the right
shifted_first = by_slices(moved, sobel)[2:, 3:]
convolved_first = by_slices(picture, sobel)[:-2, :-3]
same = np.allclose(shifted_first, convolved_first, atol=1e-5)
print("shift first or convolve first, the result is the same:", same)

# %% [markdown]
# The last line is the reason why this is good for images.
# What the layer learns about a sleeve at the left holds for a sleeve at the right, because it *is* the same weight.
# A dense layer must learn each place anew.
# The price: a convolution does not know *where* something is, except near the rim.
#
# ## Padding, stride, and the size of what comes out
#
# A window of size $k$ over $n$ pixels, with $p$ pixels added at each side (**padding**, of zeros) and moved by $s$ at a time (**stride**), gives
#
# $$n' = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1$$
#
# numbers.
# A convolution with $k = 3$, $p = 1$, $s = 1$ keeps the size, and with $s = 2$ halves it, rounded up.
# The layer's own answer, to hold against the formula:

# %% tags=["pytorch"]
def size_of(size, kernel, padding, stride):
    layer = nn.Conv2d(1, 1, kernel, stride=stride, padding=padding)
    return layer(torch.zeros(1, 1, size, size)).shape[-1]

# %% tags=["tensorflow"]
def size_of(size, kernel, padding, stride):
    padded = layers.ZeroPadding2D(padding)(np.zeros((1, size, size, 1)))
    layer = layers.Conv2D(1, kernel, strides=stride, padding="valid")
    return layer(padded).shape[1]

# %% [markdown]
# In PyTorch `padding` is a number of pixels for all four sides, a pair (height, width), or one of Keras' words, `"same"` with stride 1 only.
# In Keras it is always a word, `"valid"` for none and `"same"` for as much as makes the result $\lceil n/s \rceil$; a number of your own is a layer in front, `ZeroPadding2D`.

# %%
cases = [(28, 3, 0, 1), (28, 3, 1, 1), (28, 5, 2, 1),
         (28, 3, 1, 2), (28, 2, 0, 2), (7, 3, 1, 2)]
print("size kernel padding stride   formula  layer")
for size, kernel, padding, stride in cases:
    formula = (size + 2 * padding - kernel) // stride + 1
    found = size_of(size, kernel, padding, stride)
    print(f"{size:4}{kernel:7}{padding:8}{stride:7}{formula:10}{found:7}")

# %% [markdown]
# **Watch out:** 28 → 14 has two answers.
# Where the window does not fit evenly, PyTorch's `padding=1` begins one pixel outside the image, and Keras' `"same"` with stride 2 begins on its first pixel and adds one row and one column at the other end: equal shapes, other pixels (lesson 4).
# With stride 1 and an odd kernel the two are the same, and pooling an even size needs no padding at all.
# Our network has only convolutions of stride 1 and pooling of even sizes, and so nothing to align.

# %% tags=["folded"]
for size, kernel, padding, stride in cases:
    formula = (size + 2 * padding - kernel) // stride + 1
    assert formula == size_of(size, kernel, padding, stride)

# %% [markdown]
# ## Pooling: throw away where, keep whether
#
# A network that answers one question about the whole image must bring 28 × 28 places down to one.
# **Max pooling** keeps the largest number of each 2 × 2 window: whether an edge was there, not exactly where.

# %% tags=["pytorch"]
rows = [[1.0, 2, 0, 0], [3, 4, 0, 9], [0, 0, 5, 5], [0, 1, 5, 5]]
small = torch.tensor(rows)[None, None]
print("max    ", F.max_pool2d(small, 2)[0, 0].tolist())
print("average", F.avg_pool2d(small, 2)[0, 0].tolist())
print("average of the whole map", small.mean((2, 3)).item())

# %% tags=["tensorflow"]
rows = [[1.0, 2, 0, 0], [3, 4, 0, 9], [0, 0, 5, 5], [0, 1, 5, 5]]
small = tf.constant(rows)[None, ..., None]
print("max    ", layers.MaxPooling2D(2)(small)[0, ..., 0].numpy().tolist())
print("average", layers.AveragePooling2D(2)(small)[0, ..., 0].numpy().tolist())
whole = layers.GlobalAveragePooling2D()(small).numpy().item()
print("average of the whole map", whole)

# %% [markdown]
# Pooling has no weights.
# The last line, **global average pooling**, will be the end of our network: one number for each map, and no flattening.
# (Flattened, the numbers come in another order in each framework: lesson 3 planted that bug.)
#
# Max and average pooling also widen the view.
# How many pixels of the image can one number of a late map see, its **receptive field**?
# We ask automatic differentiation: take the middle number, and count the columns of the image that have a gradient.
# The stages are those of the network to come; all weights are one, so that nothing cancels, and pooling takes the average, whose gradient reaches all four pixels.

# %% tags=["pytorch"]
def columns_seen(stages):
    image = torch.zeros(1, 1, 96, 96, requires_grad=True)
    ones, maps = torch.ones(1, 1, 3, 3), image
    for stage in stages:
        if stage == "pooling":
            maps = F.avg_pool2d(maps, 2)
        else:
            maps = F.conv2d(maps, ones, padding=1)
    middle = maps.shape[-1] // 2
    gradient, = torch.autograd.grad(maps[0, 0, middle, middle], image)
    return int((gradient[0, 0].sum(0) > 0).sum())

# %% tags=["tensorflow"]
def columns_seen(stages):
    image = tf.zeros((1, 96, 96, 1))
    ones = tf.ones((3, 3, 1, 1))
    with tf.GradientTape() as tape:
        tape.watch(image)  # by itself a tape watches variables only
        maps = image
        for stage in stages:
            if stage == "pooling":
                maps = tf.nn.avg_pool2d(maps, 2, 2, "VALID")
            else:
                maps = tf.nn.conv2d(maps, ones, 1, "SAME")
        middle = maps[0, maps.shape[1] // 2, maps.shape[2] // 2, 0]
    gradient = tape.gradient(middle, image)
    return int(np.sum(tf.reduce_sum(gradient[0, ..., 0], 0) > 0))

# %% [markdown]
# Against it the rule.
# A window of size $k$ adds $k - 1$ steps, and a step is as many pixels as all strides before it, multiplied:

# %%
three = 3 * ["convolution"]
stages = ["convolution", "pooling", *three, "pooling", *three]
seen, step, agree = 1, 1, True
print("stage        measured  rule")
for number, stage in enumerate(stages, 1):
    width, stride = (2, 2) if stage == "pooling" else (3, 1)
    seen, step = seen + (width - 1) * step, step * stride
    measured = columns_seen(stages[:number])
    agree = agree and measured == seen
    print(f"{stage:13}{measured:8}{seen:6}")

# %% [markdown]
# Seven convolutions alone would see 15 pixels.
# With two poolings between them they see 42, more than the 28 there are: in the last map a place in the middle sees the whole image.

# %% tags=["folded"]
assert agree

# %% [markdown]
# ## Deep, with and without a bridge
#
# More layers see more and can say more.
# For a long time they could not be trained.
# We stack 3 × 3 convolutions of 8 channels, as many as we like, on images of 14 × 14.
# Two stacks from the same weights: in the plain one each layer *replaces* the maps, in the other it computes a **change**, which is added to them:
#
# $$\text{plain: } x \leftarrow F(x) \qquad\qquad \text{with a bridge: } x \leftarrow x + F(x)$$
#
# The kernels of both, drawn as PyTorch draws those of its layers (lesson 4), with biases of zero:

# %%
def stack_weights(depth, scheme="lecun"):
    rng = weights.generator(seed)
    stack = {"stem": weights.convolution(rng, 3, 1, 8, scheme)}
    for number in range(depth):
        layer = weights.convolution(rng, 3, 8, 8, scheme)
        stack[f"layer_{number}"] = layer
    return stack | {"output": weights.dense(rng, 8, 10, scheme)}

# %% [markdown]
# And the stack itself:

# %% tags=["pytorch"]
class Stack(nn.Module):
    def __init__(self, depth, bridge):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv2d(8, 8, 3, padding=1) for _ in range(depth)
        )
        self.output = nn.Linear(8, 10)
        self.bridge = bridge

    def forward(self, images):
        maps = self.stem(images)
        for layer in self.layers:
            change = layer(F.relu(maps))
            # the bridge is one +
            maps = maps + change if self.bridge else change
        return self.output(F.relu(maps).mean((2, 3)))


def build_stack(depth, bridge):
    stack = load_weights(Stack(depth, bridge), stack_weights(depth))
    return stack.to(device)

# %% [markdown] tags=["tensorflow"]
# It is built by the Functional API (way 4 of lesson 2): a layer that is called on a placeholder returns the next one, and `keras.Model(images, logits)` says where the network begins and where it ends.

# %% tags=["tensorflow"]
def build_stack(depth, bridge):
    images = keras.Input((14, 14, 1))
    maps = layers.Conv2D(8, 3, padding="same", name="stem")(images)
    for number in range(depth):
        layer = layers.Conv2D(8, 3, padding="same", name=f"layer_{number}")
        change = layer(layers.ReLU()(maps))
        # the bridge is one Add
        maps = layers.Add()([maps, change]) if bridge else change
    features = layers.GlobalAveragePooling2D()(layers.ReLU()(maps))
    logits = layers.Dense(10, name="output")(features)
    return load_weights(keras.Model(images, logits), stack_weights(depth))

# %% [markdown]
# What does an untrained stack make of 64 images?
# We ask in both directions.
# **Forwards:** how much do the logits vary from image to image (their standard deviation)?
# **Backwards:** how long is the gradient of the very first kernel, of the last convolution's, and of the output layer's?

# %% tags=["pytorch"]
def ask(stack, images, labels):
    images = torch.as_tensor(images, device=device).unsqueeze(1)
    logits = stack(images)
    loss = F.cross_entropy(logits, torch.as_tensor(labels, device=device))
    of = [stack.stem.weight, stack.layers[-1].weight, stack.output.weight]
    gradients = torch.autograd.grad(loss, of)
    variation = logits.std(dim=0, correction=0).mean().item()
    return [variation] + [gradient.norm().item() for gradient in gradients]

# %% tags=["tensorflow"]
def ask(stack, images, labels):
    with tf.GradientTape() as tape:
        logits = stack(images[..., None])
        loss = cross_entropy(labels, logits)
    # each layer has a kernel and a bias
    stem, *_, last, _, output, _ = stack.trainable_variables
    gradients = tape.gradient(loss, [stem, last, output])
    variation = float(tf.reduce_mean(tf.math.reduce_std(logits, axis=0)))
    return [variation] + [float(tf.norm(gradient)) for gradient in gradients]

# %% [markdown]
# For growing depth, in numbers for 16 layers:

# %% tags=["nbval-ignore-output"]
halved = all_images[:1920].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
depths = [1, 2, 4, 8, 16, 32]
kinds = {"plain": False, "with a bridge": True}
responses = {
    kind: np.array([ask(build_stack(depth, bridge), halved[:64],
                        all_labels[:64]) for depth in depths])
    for kind, bridge in kinds.items()
}
asked = ("logits vary by", "gradient, first kernel",
         "gradient, last convolution", "gradient, output kernel")
print(f"{'16 layers':27}{'plain':>8}{'with a bridge':>16}")
for column, question in enumerate(asked):
    plain, bridged = (responses[kind][4, column] for kind in kinds)
    print(f"{question:27}{plain:8.0e}{bridged:16.0e}")

# %% [markdown]
# Not only the first kernel's gradient is tiny in the plain stack: all three are, even that of the output layer, which hears of the loss at first hand.
# For a layer's gradient is a product of what came in from the front with what came back from behind.
# At the front the image is there, and nothing comes back; at the end the loss is there, and nothing has arrived: whatever image goes in, the logits are as good as the same.
# The **signal** has died on its way forwards as the gradient has on its way back.
#
# Then a short training, 60 steps, of the stacks of 16 layers:

# %% tags=["pytorch"]
def train_stack(stack, stream):
    optimizer, found = torch.optim.Adam(stack.parameters(), lr=1e-3), []
    for images, labels in stream:
        images = torch.as_tensor(images, device=device).unsqueeze(1)
        labels = torch.as_tensor(labels, device=device)
        optimizer.zero_grad()
        loss = F.cross_entropy(stack(images), labels)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found

# %% tags=["tensorflow"]
def train_stack(stack, stream):
    optimizer = keras.optimizers.Adam(learning_rate=1e-3)
    optimizer.build(stack.trainable_variables)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = cross_entropy(labels, stack(images, training=True))
        gradients = tape.gradient(loss, stack.trainable_variables)
        optimizer.apply(gradients, stack.trainable_variables)
        return loss

    return [float(step(tf.convert_to_tensor(images[..., None]), labels))
            for images, labels in stream]

# %% [markdown]
# Both stacks, and three pictures:

# %%
def stream():
    size = min(32, len(halved))
    for chosen in data.batch_order(len(halved), size, 1, seed):
        yield halved[chosen], all_labels[chosen]


stack_losses = {kind: train_stack(build_stack(16, bridge), stream())
                for kind, bridge in kinds.items()}
_, panels = plt.subplots(1, 3, figsize=(9.5, 3.2))
for axes, column, title in zip(panels, (0, 1), ("Forwards", "Backwards")):
    plots.curves(
        {kind: (depths, responses[kind][:, column]) for kind in kinds},
        title, "layers", asked[column], log=True, axes=axes,
    )
plots.curves(stack_losses, "Training, 16 layers", axes=panels[2])

# %% [markdown]
# On average each layer of the plain stack makes signal and gradient two to three times smaller, and after 16 both are of the size of a billionth: and as that is the length of a whole kernel's gradient, its single numbers are far below Adam's ε of 1e-8 or 1e-7, so that even Adam hardly moves them (lesson 4).
# The loss stays at that of ten equal guesses, $\log 10 \approx 2.30$.
# The bridge carries both.
# Forwards, $x$ itself arrives, whatever $F$ makes of it; and backwards
#
# $$\frac{\partial\,(x + F(x))}{\partial x} = 1 + F'(x),$$
#
# so that however small $F'$ is, the 1 brings the gradient through, layer after layer.
# Such a layer is called **residual** (and the bridge a *skip connection*, *shortcut* or *residual connection*): it learns what is left to be changed, and if nothing is, it only has to learn zero.
#
# To be honest, starting weights of the right size keep a plain stack's signal and gradient alive too (*Try it*), and batch normalisation does as well.
# Kaiming He and others (2015), who made the bridge the rule, had both, saw that the gradients of their plain networks were healthy, and still trained 34 layers worse than 18; with bridges, 34 were better.
# The gradient's path is a part of the reason, not the whole of it.

# %% tags=["folded"]
if as_shipped:
    plain, bridged = (np.mean(stack_losses[kind][-10:]) for kind in kinds)
    assert plain > 2.2 > 2.15 > bridged

# %% [markdown]
# ## What training may need: dropout and augmentation
#
# With 10,000 images a network of this size begins to learn them by heart (lesson 2).
# Two remedies make it harder (what they bring here, *Try it* measures).
# **Dropout** sets to zero, at every step and with probability $p$, each of the features that go into the last layer, so that none can be relied on alone.
# What remains is multiplied by $1 / (1 - p)$, so that their sum is the same on average; when the network is used, nothing is hidden.

# %% tags=["pytorch"]
hiding = nn.Dropout(p=0.25)
head = nn.Sequential(hiding, nn.Linear(64, 10))
features = torch.ones(1, 64)
for set_mode in (head.train, head.eval):
    set_mode()
    values = [round(value, 3) for value in hiding(features).unique().tolist()]
    alike = torch.equal(head(features), head(features))
    print(f"{set_mode.__name__:6} ones become {values}; "
          f"the same answer twice: {alike}")

# %% tags=["tensorflow"]
hiding = layers.Dropout(0.25)
head = keras.Sequential([hiding, layers.Dense(10)])
features = np.ones((1, 64), "float32")
for training in (True, False):
    hidden = hiding(features, training=training).numpy()
    values = [round(float(value), 3) for value in np.unique(hidden)]
    once, again = (head(features, training=training) for _ in range(2))
    print(f"training={training!s:6} ones become {values}; "
          f"the same answer twice: {np.array_equal(once, again)}")

# %% [markdown]
# This is what you would use: a layer before the last one.
# PyTorch's `nn.Dropout` goes by the state in which `train()` and `eval()` put the network, and its `p` is .5 unless you say otherwise; Keras' `Dropout` goes by the argument `training`, and its rate must be given.
#
# But each framework throws its own dice, even with equal seeds, and the twins could not be compared.
# So *our* masks are drawn by NumPy, and the network takes them as an input: zeros, and ones divided by $1 - p$.
# (The whole program at the end of the lesson has the layer.)
#
# **Augmentation** (lesson 5) shows every image a little different each time: flipped in half of the cases, and shifted by up to one pixel in each direction.
# (Lesson 5 found no gain from the flip, for a dense network and 2,000 pictures; whether a convolution makes more of it, *Try it* 2 asks.)
# The dice are NumPy's again:

# %% tags=["network"]
training_part, test_part = data.fashion_mnist(train_size)
train_images, train_labels = training_part
test_images, test_labels = test_part


def augment(images, rng):
    count, size = len(images), images.shape[1]
    top, left = rng.integers(0, 2 * largest_shift + 1, (2, count))
    padded = np.pad(images, ((0, 0), *2 * [(largest_shift, largest_shift)]))
    rows = (top[:, None] + np.arange(size))[:, :, None]
    columns = (left[:, None] + np.arange(size))[:, None, :]
    moved = padded[np.arange(count)[:, None, None], rows, columns]
    flip = rng.random(count) < mirrored
    return np.where(flip[:, None, None], moved[:, :, ::-1], moved)


def batches(seed):
    rng, size = np.random.default_rng((seed, 6)), len(train_images)
    for chosen in data.batch_order(size, batch_size, epochs, seed):
        kept = rng.random((len(chosen), 4 * channels)) >= dropout
        masks = (kept / (1 - dropout)).astype("float32")
        yield augment(train_images[chosen], rng), train_labels[chosen], masks

# %% [markdown]
# (The images are loaded once more because the twin proof runs this cell without the ones before it.)
# The first image, a boot, as ten passes would show it:

# %%
images, labels, masks = next(batches(seed))
print("images", images.shape, " labels", labels.shape, " masks", masks.shape)
print("a mask holds", [round(float(value), 3) for value in np.unique(masks)])
ten = np.repeat(picture[None], 10, axis=0)
plots.images(
    augment(ten, np.random.default_rng(seed)),
    "One boot as the network gets it, "
    f"moved by up to {largest_shift} px, {mirrored:.0%} flipped",
)

# %% [markdown]
# ## The network
#
# Now the whole.
# Three widths, 16, 32 and 64 channels, on 28, 14 and 7 pixels, with max pooling between; the two wider ones each have a residual block of two convolutions.
# Every convolution is followed by batch normalisation (lesson 4), and needs no bias, since the normalisation subtracts a constant again and adds its own.
#
# $$28^2\!\times\!1 \;\to\; \underbrace{28^2\!\times\!16}_{\text{stem}} \;\to\; \text{pool} \;\to\;
# \underbrace{14^2\!\times\!32 \;\circlearrowleft}_{\text{middle, block}} \;\to\; \text{pool} \;\to\;
# \underbrace{7^2\!\times\!64 \;\circlearrowleft}_{\text{deep, block}} \;\to\; \text{mean} \;\to\; 64 \;\to\; \text{dropout} \;\to\; 10$$

# %% tags=["network"]
def starting_weights(seed):
    rng = weights.generator(seed)
    narrow, medium, wide = channels, 2 * channels, 4 * channels
    sizes = {
        "stem": (1, narrow),
        "middle": (narrow, medium),
        "middle_block_first": (medium, medium),
        "middle_block_second": (medium, medium),
        "deep": (medium, wide),
        "deep_block_first": (wide, wide),
        "deep_block_second": (wide, wide),
    }
    classifier = {}
    for name, size in sizes.items():
        classifier[name] = weights.convolution(
            rng, 3, *size, "he", bias=False
        )
        classifier[f"{name}_norm"] = weights.batch_norm(size[1])
    classifier["output"] = weights.dense(rng, wide, 10)
    return {"classifier": classifier}

# %% [markdown]
# The scheme "he", after the same author, draws each kernel with the variance $2 / \text{fan-in}$ (fan-in: the inputs of one sum, nine times the incoming channels), which keeps the size of what passes through a convolution and a ReLU.

# %% tags=["pytorch", "network"]
def normalised(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )  # momentum .1, eps 1e-5 by default


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = normalised(width, width)
        self.second = normalised(width, width)

    def forward(self, maps):
        change = self.second(F.relu(self.first(maps)))
        return F.relu(maps + change)

# %% [markdown] tags=["pytorch"]
# The block's last ReLU comes after the sum.
# With these parts the network reads like the line above.
# Its `masks` are for training; without them nothing is hidden:

# %% tags=["pytorch", "network"]
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = normalised(1, channels)
        self.middle = normalised(channels, 2 * channels)
        self.middle_block = Block(2 * channels)
        self.deep = normalised(2 * channels, 4 * channels)
        self.deep_block = Block(4 * channels)
        self.output = nn.Linear(4 * channels, 10)

    def forward(self, images, masks=1.0):
        maps = F.max_pool2d(F.relu(self.stem(images)), 2)
        maps = self.middle_block(F.relu(self.middle(maps)))
        maps = F.max_pool2d(maps, 2)
        maps = self.deep_block(F.relu(self.deep(maps)))
        features = maps.mean((2, 3))
        # a layer of dropout would stand here
        return self.output(features * masks)


def build_classifier(starting):
    network = load_weights(Classifier(), starting).to(device)
    return network.to(memory_format=torch.channels_last)  # see below

# %% tags=["tensorflow", "network"]
def normalised(maps, width, name):
    convolution = layers.Conv2D(
        width, 3, padding="same", use_bias=False, name=name
    )
    # Keras' defaults are .99 and 1e-3; these are PyTorch's
    norm = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_norm"
    )
    return norm(convolution(maps))


def block(maps, name):
    width = maps.shape[-1]
    change = layers.ReLU()(normalised(maps, width, f"{name}_first"))
    change = normalised(change, width, f"{name}_second")
    return layers.ReLU(name=name)(layers.Add()([maps, change]))

# %% [markdown] tags=["tensorflow"]
# The block's last ReLU comes after the sum.
# With these parts the network reads like the line above.
# It has two inputs, the images and the `masks`; when the network is used, the masks are ones:

# %% tags=["tensorflow", "network"]
def build_classifier(starting):
    images = keras.Input((28, 28, 1), name="images")
    masks = keras.Input((4 * channels,), name="masks")
    maps = layers.ReLU()(normalised(images, channels, "stem"))
    maps = layers.MaxPooling2D()(maps)
    maps = layers.ReLU()(normalised(maps, 2 * channels, "middle"))
    maps = layers.MaxPooling2D()(block(maps, "middle_block"))
    maps = layers.ReLU()(normalised(maps, 4 * channels, "deep"))
    maps = block(maps, "deep_block")
    features = layers.GlobalAveragePooling2D()(maps)
    # a layer of dropout would stand here
    features = layers.Multiply()([features, masks])
    logits = layers.Dense(10, name="output")(features)
    return load_weights(keras.Model([images, masks], logits), starting)

# %% [markdown] tags=["pytorch"]
# `channels_last` changes no shape, no index and no result, but for rounding.
# It changes the order *in memory*: the kernels are copied into the order of NHWC, in which the channels of a pixel lie side by side, and each convolution then puts out its maps in that order too.
# Some convolutions are faster so: on one core of the CPU where we measured it, a step took 24 milliseconds instead of 30, and the answers to 250 images 53 instead of 70.

# %% [markdown] tags=["tensorflow"]
# NHWC is also the order in memory: the channels of a pixel lie side by side, which suits a CPU.
# PyTorch can be asked for that order too, under shapes that stay NCHW; the twin does.

# %% [markdown]
# How many weights is that, and where are they?

# %%
start = starting_weights(seed)["classifier"]
network = build_classifier(start)
for name, arrays in start.items():
    if "kernel" in arrays:
        count = weights.count({name: arrays})
        print(f"{name:20} kernel {str(arrays['kernel'].shape):18}{count:8,}")
print(f"with the normalisations: {weights.count(start):,} weights to train")

# %% [markdown]
# Those are the weights that we hand in.
# As many as the network has?

# %% tags=["pytorch"]
parameter_count = sum(parameter.numel() for parameter in network.parameters())
print(f"{parameter_count:,} in the network")

# %% tags=["tensorflow"]
sizes = [np.prod(each.shape) for each in network.trainable_variables]
parameter_count = int(sum(sizes))
print(f"{parameter_count:,} in the network")

# %% [markdown]
# Little more than half of what the network of lesson 2 had with its one hidden layer; and most of them in the last two convolutions.

# %% tags=["folded"]
assert parameter_count == weights.count(start)

# %% [markdown]
# ## Training
#
# A step, as in lesson 2, with one more input.

# %% tags=["pytorch", "network"]
def build_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=learning_rate,
                            betas=(beta_1, beta_2), eps=epsilon)


def to_tensors(images, labels, masks):
    # (batch, 1, 28, 28)
    images = torch.as_tensor(images, device=device).unsqueeze(1)
    labels = torch.as_tensor(labels, device=device)
    return images, labels, torch.as_tensor(masks, device=device)


def train_step(network, optimizer, images, labels, masks):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images, masks), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% tags=["tensorflow", "network"]
def build_optimizer(network, rate=learning_rate):
    optimizer = keras.optimizers.Adam(
        rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
    )
    # makes Adam's variables: a graph may not
    optimizer.build(network.trainable_variables)
    return optimizer


def to_tensors(images, labels, masks):
    # (batch, 28, 28, 1)
    images = tf.convert_to_tensor(images)[..., tf.newaxis]
    return images, tf.convert_to_tensor(labels), tf.convert_to_tensor(masks)


@tf.function  # a step is a graph (lesson 3)
def train_step(network, optimizer, images, labels, masks):
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, network([images, masks], training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss

# %% [markdown]
# And a function that answers in **evaluation mode**: batch normalisation then uses the running statistics that it has gathered instead of the batch's own mean and variance, and nothing is hidden by dropout.

# %% tags=["pytorch", "network"]
@torch.inference_mode()
def evaluate(network, images):
    network.eval()
    return network(images)

# %% tags=["tensorflow", "network"]
@tf.function(reduce_retracing=True)  # the last batch may be smaller
def evaluate(network, images):
    count = tf.shape(images)[0]
    nothing_hidden = tf.ones((count, 4 * channels), images.dtype)
    return network([images, nothing_hidden], training=False)

# %% [markdown] tags=["tensorflow"]
# **Watch out:** a Keras model with several inputs, when it is called, takes arrays or tensors, but not one of each: it raises an error.
# (`predict` takes both together.)

# %% [markdown]
# The learning rate falls along half a cosine to zero, over all steps (lesson 2).
# So the run ends by itself, and we keep no validation images: all 10,000 are for training.
# The rate, the dropout and the shift were chosen beforehand, with 2,000 of these images held out; the number of epochs is what two cores do in half a minute to a minute.

# %% tags=["network"]
def total_steps():
    return epochs * (len(train_images) // batch_size)

# %% [markdown]
# Each framework has a schedule for it, and `learning_rates` asks it for the rate of every step:

# %% tags=["pytorch", "network"]
def build_schedule(optimizer):
    return torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, T_max=total_steps()
    )


def learning_rates():
    optimizer = build_optimizer(nn.Linear(1, 1))  # a dummy: nothing is learnt
    schedule, rates = build_schedule(optimizer), []
    for _ in range(total_steps()):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(rates)

# %% tags=["tensorflow", "network"]
def build_schedule():
    return keras.optimizers.schedules.CosineDecay(
        learning_rate, decay_steps=total_steps()
    )


def learning_rates():
    schedule = build_schedule()  # a function of the step
    return np.array([float(schedule(step)) for step in range(total_steps())])

# %% [markdown]
# The first rate, the one half way, and the last:

# %%
rates = learning_rates()
print(" ".join(f"{rates[step]:.0e}" for step in (0, len(rates) // 2, -1)))

# %% [markdown]
# Now train:

# %% tags=["pytorch", "nbval-ignore-output"]
network = build_classifier(start)
optimizer = build_optimizer(network)
schedule = build_schedule(optimizer)
started, losses = time.perf_counter(), []
network.train()
for batch in batches(seed):
    losses.append(train_step(network, optimizer, *to_tensors(*batch)))
    schedule.step()
losses = [float(loss) for loss in losses]
seconds = time.perf_counter() - started
print(f"{epochs} epochs, {len(losses)} steps, {seconds:.0f} s")

# %% tags=["tensorflow"]
@tf.function
def train_steps(network, optimizer, images, labels, masks):
    losses = tf.TensorArray(images.dtype, size=len(images))
    for step in tf.range(len(images)):
        batch = images[step], labels[step], masks[step]
        losses = losses.write(step, train_step(network, optimizer, *batch))
    return losses.stack()

# %% [markdown] tags=["tensorflow"]
# This puts twelve steps into one graph, whose loop over a `tf.range` runs in the graph and not in Python (lesson 3), so that Python calls TensorFlow once for twelve steps.
# The arithmetic is that of `train_step`; a list cannot grow in a graph, and the `TensorArray` gathers the losses in its place.
# On one core of the CPU where we measured it, a step took 8 % less time so.
# (In `fit` the argument `steps_per_execution` of `compile` does the same.)

# %% tags=["tensorflow", "nbval-ignore-output"]
network = build_classifier(start)
optimizer = build_optimizer(network, build_schedule())
started, losses, remaining = time.perf_counter(), [], batches(seed)
while twelve := list(islice(remaining, 12)):
    # images, labels and masks, each of twelve steps
    stacked = [np.stack(arrays) for arrays in zip(*twelve)]
    found = train_steps(network, optimizer, *to_tensors(*stacked))
    losses.extend(found.numpy().tolist())
seconds = time.perf_counter() - started
print(f"{epochs} epochs, {len(losses)} steps, {seconds:.0f} s")

# %% [markdown]
# And epoch by epoch:

# %% tags=["nbval-ignore-output"]
by_epoch = np.reshape(losses, (epochs, -1)).mean(axis=1)
print("mean loss by epoch:", " ".join(f"{loss:.2f}" for loss in by_epoch))

# %% [markdown]
# These are losses on shifted and flipped images, with an eighth of the features hidden, so they look worse than the network is.

# %% tags=["folded"]
assert by_epoch[-1] < 0.45 * by_epoch[0] or not as_shipped

# %% [markdown]
# From now on we ask it about many images at once, NumPy in and NumPy out, in slices, so that the memory stays small:

# %% tags=["pytorch"]
def logits_of(network, images):
    slices = torch.as_tensor(images, device=device).unsqueeze(1).split(250)
    answers = torch.cat([evaluate(network, part) for part in slices])
    return answers.numpy(force=True)

# %% tags=["tensorflow"]
def logits_of(network, images):
    slices = np.split(images[..., None], range(250, len(images), 250))
    return np.concatenate(
        [evaluate(network, tf.convert_to_tensor(part)) for part in slices]
    )

# %% [markdown]
# ## Training mode, evaluation mode *(optional)*
#
# What if we forget the mode?
# Lesson 3 planted that bug and found its cause: each image is normalised by its neighbours.
# New here is why nobody notices.
# As long as the batches are a fair mixture, the score is nearly right.
# Now let each batch hold one kind of clothing, or two, as sorted files do:

# %% tags=["pytorch"]
def accuracy_in_training_mode(images, labels):
    # a copy: its running averages will be spoilt
    confused = copy.deepcopy(network).train()
    slices = torch.as_tensor(images, device=device).unsqueeze(1).split(50)
    with torch.no_grad():
        answers = torch.cat([confused(part).argmax(1) for part in slices])
    return np.mean(answers.numpy(force=True) == labels)

# %% tags=["tensorflow"]
def accuracy_in_training_mode(images, labels):
    # a copy: its running averages will be spoilt
    confused = keras.models.clone_model(network)
    confused.set_weights(network.get_weights())
    answers = []
    for part in np.split(images[..., None], range(50, len(images), 50)):
        nothing_hidden = np.ones((len(part), 4 * channels), "float32")
        logits = confused([part, nothing_hidden], training=True)
        answers.append(np.argmax(logits, axis=1))
    return np.mean(np.concatenate(answers) == labels)

# %% [markdown]
# One thousand training images, mixed and sorted, in batches of 50:

# %% tags=["nbval-ignore-output"]
some, their_labels = train_images[:1000], train_labels[:1000]
in_order = np.argsort(their_labels, kind="stable")
answers = logits_of(network, some).argmax(axis=1)
training_accuracy = np.mean(answers == their_labels)
mixed = accuracy_in_training_mode(some, their_labels)
apart = accuracy_in_training_mode(some[in_order], their_labels[in_order])
print(f"evaluation mode, in any order:    {training_accuracy:.2f}")
print(f"training mode, mixed batches:     {mixed:.2f}")
print(f"training mode, sorted batches:    {apart:.2f}")

# %% [markdown]
# The same network and the same images.
# **Watch out:** the score of a network in training mode is a score of the batches as much as of the network.
# In evaluation mode an image gets the same answer in whatever company it comes.
# And every forward pass in training mode changes the running statistics, even if no gradient is asked for: that is why we used a copy.
#
# Between the twins these averages keep one small difference that no setting removes (lesson 4): PyTorch averages the variance with $n - 1$ in the denominator, Keras that with $n$.
# Here $n$ counts all pixels of a batch and is at least 64 × 49, so it is a matter of 0.03 % and less.

# %% tags=["folded"]
if as_shipped:
    assert apart < 0.45 < 0.88 < min(mixed, training_accuracy)

# %% [markdown]
# ## Ten kinds of clothing, 2,000 new images
#
# Now, once, the test images:

# %% tags=["nbval-ignore-output"]
logits = logits_of(network, test_images)
predicted = logits.argmax(axis=1)
test_accuracy = float(np.mean(predicted == test_labels))
variance = test_accuracy * (1 - test_accuracy)
sampling_error = np.sqrt(variance / len(test_labels))
print(f"test accuracy {test_accuracy:.3f}, give or take {sampling_error:.3f}")

# %% [markdown]
# ("Give or take", and .835 for people who are not experts: lesson 2.)
# The README of Fashion-MNIST lists .949 for ResNet18, a much larger residual network, with augmentation, trained on all 60,000 images and tested on 10,000.

# %% tags=["folded"]
assert test_accuracy >= 0.87 or not as_shipped

# %% [markdown]
# Which kinds does it take for which others?
# Each row of the **confusion matrix** is the 200 images of one kind, spread over the answers they got:

# %%
names = data.FASHION_CLASSES
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (test_labels, predicted), 1)
figure, axes = plt.subplots(figsize=(6.4, 5.4))
# the root makes the small numbers visible
axes.imshow(np.sqrt(confusion), cmap="Greys")
for row, column in zip(*np.nonzero(confusion)):
    colour = "white" if confusion[row, column] > 60 else "black"
    axes.text(column, row, confusion[row, column], ha="center", va="center",
              fontsize=8, color=colour)
axes.set_xticks(range(10), names, rotation=45, ha="right")
axes.set_yticks(range(10), names)
axes.grid(visible=False)
hardest = confusion.diagonal().argmin()
axes.set(xlabel="answer", ylabel="truth",
         title=f"Found least often: {names[hardest]}, "
               f"{confusion[hardest, hardest]} of 200")
plt.show()

# %% [markdown]
# With the lesson's values shirts are the worst: T-shirts, pullovers, coats and shirts are one family, and 28 × 28 grey pixels hardly show buttons.
# Most mistakes stay in a family, tops for other tops and shoes for other shoes.
# We come back to the single mistakes when we can ask where the network looked.

# %% tags=["folded"]
assert names[hardest] == "Shirt" or not as_shipped

# %% [markdown]
# ## The first filters
#
# The stem's kernels are the only ones that can be read as pictures, because they look at the image itself.
# Has it found Sobel's?

# %% tags=["pytorch"]
filters = network.stem[0].weight[:, 0].numpy(force=True)  # (16, 3, 3)

# %% tags=["tensorflow"]
# (16, 3, 3)
filters = network.get_layer("stem").kernel.numpy()[:, :, 0].transpose(2, 0, 1)

# %% [markdown]
# A function that draws many small pictures, each to its own largest number; red is positive, blue negative:

# %%
def small_multiples(pictures, title, columns, captions=None,
                    cmap="RdBu_r", lowest=-1):
    rows = -(-len(pictures) // columns)
    captions = captions or [""] * len(pictures)
    size = min(1.3, 10.4 / columns)
    figure, grid = plt.subplots(rows, columns, squeeze=False,
                                figsize=(9, size * rows + 0.5))
    for axes in grid.flat:
        axes.axis("off")
    for axes, values, caption in zip(grid.flat, pictures, captions):
        largest = np.abs(values).max() or 1
        axes.imshow(values, cmap=cmap, vmin=lowest * largest, vmax=largest)
        axes.set_title(caption, fontsize=7, loc="center")
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")

# %% [markdown]
# The kernels (at most sixteen), and by what angle each has turned, as a vector of nine numbers:

# %% tags=["nbval-ignore-output"]
at_the_start = start["stem"]["kernel"][:, :, 0].transpose(2, 0, 1)
shown = min(16, len(filters))
small_multiples([*at_the_start[:shown], *filters[:shown]], columns=shown,
                title="Above: the kernels at the start. Below: after training")
products = (at_the_start * filters).sum(axis=(1, 2))
lengths = (np.linalg.norm(kernels, axis=(1, 2))
           for kernels in (at_the_start, filters))
cosines = products / np.prod(list(lengths), axis=0)
angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
print(f"turned by {angles.min():.0f} to {angles.max():.0f} degrees, "
      f"the median by {np.median(angles):.0f}")

# %% [markdown]
# It has turned them a little, and looked for nothing.
# Two kernels from the same dice are at 90 degrees to each other, on average; these have kept most of their direction.
# The first layer still is what the dice made of it, trimmed, and the layers behind it learnt to use that.
# A random kernel with red on one side and blue on the other is an edge finder too.
# (The pictures of neat little edges in textbooks come from larger kernels and millions of images.)

# %% tags=["folded"]
assert np.median(cosines) > 0.9 or not as_shipped

# %% [markdown]
# ## Feature maps: one image on its way *(optional)*
#
# The boot after three stages.
# (If you skip this section, run its first cell all the same: Grad-CAM, below, uses `maps_inside`.)
# To look inside while the network runs, PyTorch has hooks, which report what a module puts out (lesson 3).
# A functional model in Keras knows its graph, so a second model from the same layers can end anywhere, and at several places at once (way 4 of lesson 2).

# %% tags=["pytorch"]
def maps_inside(network, images, names):
    kept, hooks = {}, []
    for name in names:
        def keep(module, inputs, output, name=name):
            kept[name] = output

        module = network.get_submodule(name)
        hooks.append(module.register_forward_hook(keep))
    network.eval()
    logits = network(torch.as_tensor(images, device=device).unsqueeze(1))
    for hook in hooks:
        hook.remove()
    return kept, logits


stages = ["stem", "middle_block", "deep_block"]
with torch.no_grad():
    kept, _ = maps_inside(network, picture[None], stages)
# (channels, height, width)
maps = {name: values[0].numpy(force=True) for name, values in kept.items()}

# %% tags=["tensorflow"]
def maps_inside(network, images, names):
    outputs = [network.get_layer(name).output for name in names]
    # the same layers
    looking = keras.Model(network.inputs, [*outputs, network.output])
    ones = np.ones((len(images), 4 * channels), "float32")
    *kept, logits = looking([images[..., None], ones], training=False)
    return dict(zip(names, kept)), logits


stages = ["stem_norm", "middle_block", "deep_block"]
kept, _ = maps_inside(network, picture[None], stages)
# (channels, height, width)
maps = {name: values[0].numpy().transpose(2, 0, 1)
        for name, values in kept.items()}

# %% [markdown]
# Eight maps of each stage, those with the most activity; the stem's after its ReLU:

# %%
chosen_maps, captions = [], []
for name, values in maps.items():
    active = np.maximum(values, 0)
    activity = active.sum(axis=(1, 2))
    most = np.argsort(-activity, kind="stable")[:8]
    chosen_maps += list(active[most])
    caption = f"{name.removesuffix('_norm')}, {len(values)} maps"
    captions += [caption] + [""] * (len(most) - 1)
small_multiples(chosen_maps, "The boot on its way: the most active maps",
                columns=8, captions=captions, cmap="gray", lowest=0)

# %% [markdown]
# The stem still draws the boot.
# Seven pixels wide, a map no longer shows *what*; it says that something of one sort is there, roughly where.
# Those 64 maps are averaged, and the last layer decides from 64 numbers.
#
# ## Grad-CAM: where did it look?
#
# Which places made the network say "Sandal"?
# Grad-CAM (Selvaraju and others, 2016) takes the last maps $A_k$, asks how much the logit $z$ of a class would rise with each map, on average over its places, and adds the maps with these weights; what speaks against the class is left out:
#
# $$\alpha_k = \frac{1}{49}\sum_{i,j} \frac{\partial z}{\partial A_{k,i,j}}, \qquad
# \text{map} = \mathrm{relu}\Bigl(\sum_k \alpha_k A_k\Bigr)$$
#
# `maps_inside`, of the section above, runs the network and returns the maps of the layers that it is asked for, and the logits.

# %% tags=["pytorch"]
def grad_cam(network, images, chosen, layer="deep_block"):
    kept, logits = maps_inside(network, images, [layer])
    chosen = torch.as_tensor(chosen, device=device)
    # images do not mix: one sum, all gradients
    score = logits.gather(1, chosen[:, None]).sum()
    gradient, = torch.autograd.grad(score, kept[layer])
    importance = gradient.mean((2, 3), keepdim=True)
    heat = F.relu((importance * kept[layer]).sum(1))
    return heat.numpy(force=True), importance[:, :, 0, 0].numpy(force=True)


output_kernel = network.output.weight.T.numpy(force=True)  # (64, 10)

# %% tags=["tensorflow"]
def grad_cam(network, images, chosen, layer="deep_block"):
    with tf.GradientTape() as tape:
        kept, logits = maps_inside(network, images, [layer])
        score = tf.reduce_sum(tf.gather(logits, chosen, batch_dims=1))
    gradient = tape.gradient(score, kept[layer])
    importance = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(importance * kept[layer], axis=-1))
    return heat.numpy(), importance[:, 0, 0].numpy()


output_kernel = network.get_layer("output").kernel.numpy()  # (64, 10)

# %% [markdown] tags=["tensorflow"]
# The tape needs no `watch` here: it follows whatever is computed from the network's variables, and the kept maps are.

# %% [markdown]
# In our network $\alpha_k$ needs no gradient: between the maps and the logits are only a mean and a dense layer, so it must be the dense layer's weight, divided by 49.
# A good test of the code.
# (With a head of several layers the gradient is what works.)
# Then one image of each kind that was recognised:

# %%
def overlay(axes, image, heat_map, caption):
    axes.imshow(image, vmin=0, vmax=1)
    axes.imshow(heat_map, cmap="inferno", alpha=0.55, interpolation="bilinear",
                extent=(-0.5, 27.5, 27.5, -0.5))
    axes.set_title(caption, fontsize=8, loc="center")
    axes.axis("off")


known = [np.flatnonzero((test_labels == kind) & (predicted == kind))[:1]
         for kind in range(10)]
known = np.concatenate(known)
looked, importance = grad_cam(network, test_images[known], predicted[known])
by_hand = output_kernel[:, predicted[known]].T / 49
print("importance is the output weight / 49:",
      np.allclose(importance, by_hand, atol=1e-5))

# %% [markdown]
# Drawn over the images:

# %%
figure, grid = plt.subplots(2, 5, figsize=(7.5, 3.8))
for axes in grid.flat:
    axes.axis("off")
for axes, index, heat_map in zip(grid.flat, known, looked):
    caption = names[predicted[index]]
    overlay(axes, test_images[index], heat_map, caption)
title = "Grad-CAM: bright where the 7 × 7 maps raise the answer's logit"
_ = figure.suptitle(title, fontsize=11, x=0.01, ha="left")

# %% [markdown]
# With the lesson's values the light falls on the garment, more or less, and sometimes beside it.
# **Watch out:** a map of 7 × 7 places is drawn here as if it were sharp, and we have measured that each place sees 42 pixels: from the middle the whole image, from a corner most of it.
# A bright place says where in the *map* something was, not which pixels it came from.
# And each map is drawn from its own smallest to its own largest value: compare places within a picture, never two pictures.
#
# ## The worst mistakes *(optional)*
#
# The images to which the network gave the least probability for the truth; what spoke for its answer; and what would have spoken for the truth:

# %%
total = np.logaddexp.reduce(logits, axis=1, keepdims=True)
probabilities = np.exp(logits - total)
of_truth = probabilities[np.arange(len(test_labels)), test_labels]
worst = np.argsort(of_truth)[:6]
figure, grid = plt.subplots(3, 6, figsize=(9, 5.4))
for axes, image in zip(grid[0], test_images[worst]):
    axes.imshow(image, vmin=0, vmax=1)
    axes.axis("off")
for row, word, asked in ((1, "said", predicted), (2, "is", test_labels)):
    looked, _ = grad_cam(network, test_images[worst], asked[worst])
    for axes, index, heat_map in zip(grid[row], worst, looked):
        p = probabilities[index, asked[index]]
        p = f"{p:.2f}" if p > 0.01 else f"{p:.0e}"
        caption = f"{word} {names[asked[index]]} {p}"
        overlay(axes, test_images[index], heat_map, caption)
title = "The six images to whose truth it gave the least probability"
_ = figure.suptitle(title, fontsize=11, x=0.01, ha="left")

# %% [markdown]
# With the lesson's values it is sure of most of these, and wrong; but look at the images: some of the labels are doubtful too.
#
# ## Is the picture true?
#
# Such pictures are easily believed.
# So we test them on all 2,000 test images: cover the hottest place with a black square of 9 × 9 pixels, and count the answers that change.
# If the hottest place is what decided, there must be more of them than with a square on any place of the garment, chosen at random; and more than with a rule that knows nothing of the network, such as "cover where there is most light".
# And since a place of `middle_block` sees 16 pixels only, we try a sharper map as well, Grad-CAM of that layer:

# %%
from numpy.lib.stride_tricks import sliding_window_view


def answers_changed(centres):
    covered = test_images.copy()
    for image, (row, column) in zip(covered, centres):
        image[max(0, row - 4) : row + 5, max(0, column - 4) : column + 5] = 0
    return logits_of(network, covered).argmax(axis=1) != predicted


def hottest(layer):
    for start in range(0, len(test_images), 100):
        some = slice(start, start + 100)
        asked = test_images[some], predicted[some]
        for heat_map in grad_cam(network, *asked, layer)[0]:
            place = np.unravel_index(heat_map.argmax(), heat_map.shape)
            # the pixel in the middle of that place
            yield ((np.array(place) + 0.5) * 28 / len(heat_map)).astype(int)


def most_light(image):
    squares = sliding_window_view(np.pad(image, 4), (9, 9))
    light = squares.sum(axis=(2, 3))
    return np.unravel_index(light.argmax(), light.shape)

# %% [markdown]
# Four rules for the place of the square:

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(seed)
places = {
    "random place": [rng.choice(np.argwhere(image > 0.2))
                     for image in test_images],
    "most light": [most_light(image) for image in test_images],
    "hottest of 7 × 7": list(hottest("deep_block")),
    "hottest of 14 × 14": list(hottest("middle_block")),
}
changed = {name: answers_changed(centres) for name, centres in places.items()}
for name, answers in changed.items():
    print(f"{name:20}covered, {answers.mean():.0%} of the answers change")

# %% [markdown]
# The broad map about as good as chance and worse than "most light", and the sharper one worse than chance?
# But the comparison is not fair: the first two lie on the garment, by our choice, and a hottest place need not; beside the garment there is little to cover.
# So, only those images in which the hottest place *is* on the garment.
# (±: the standard error of a difference between two squares on the same images.
# Only the images count in which exactly one of the two changes the answer; of $m$ such images among $n$, it is about $\sqrt m / n$.)

# %% tags=["nbval-ignore-output"]
gains = {}
for name in ("hottest of 7 × 7", "hottest of 14 × 14"):
    on = np.array([image[tuple(place)] > 0.2
                   for image, place in zip(test_images, places[name])])
    if not on.any():
        continue
    hot = changed[name][on]
    print(f"{name}, on the garment in {on.mean():.0%} of the images: "
          f"{hot.mean():.0%} change")
    for rival in ("random place", "most light"):
        theirs = changed[rival][on]
        gain = hot.mean() - theirs.mean()
        error = np.sqrt(np.sum(hot != theirs)) / on.sum()
        print(f"    {rival:14}{theirs.mean():4.0%}   "
              f"{gain:+.3f} ± {error:.3f}")
        gains[name, rival] = gain, error

# %% [markdown]
# So with the broad map it was the comparison that failed, and not the map; the sharper one fails the fair one, too.
# On the garment, the hottest of the 7 × 7 places decides more often than a random place in the same images: by 6 to 25 points in fourteen runs, of six seeds in both notebooks, and that is four standard errors or more each time.
# It does say something about the image.
# Less than it seems, though: "most light", which knows no network, came within a point of it in one run (less than a standard error) and stayed 14 behind in another, and in those runs 44 to 68 answers of a hundred survived the square.
# As to the sharper map, it was anything from eight points worse than a random place to one point better; two runs of one notebook with one seed, parted by rounding alone, differed by six points, so one run (and its small ±) proves nothing here.
# It never did better than the broad map.
#
# A picture that explains a network is a claim about it.
# Test it before you show it to somebody, and test the test.

# %% tags=["folded"]
if as_shipped:
    gain, error = gains["hottest of 7 × 7", "random place"]
    assert gain > error

# %% [markdown]
# ## The twin check *(optional)*
#
# The other notebook trained the same network, from the same weights, on the same shifted and flipped images, with the same masks.

# %% tags=["folded"]
mine = records.save(
    "06_convolution", framework, parameters_used,
    {"loss": losses, "mean loss by epoch": by_epoch},
    parameter_count=parameter_count, test_accuracy=test_accuracy,
    mistakes=np.flatnonzero(predicted != test_labels),
)
twin = records.load("06_convolution", other, parameters_used)

# %% [markdown]
# Step by step, and the scores:

# %% tags=["nbval-ignore-output"]
window = min(50, 1 + len(losses) // 4)
title = f"The mean of {window} losses; below, the difference step by step"
plots.twins(mine, twin, title, window=window)
print(records.compare(mine, twin))

# %% [markdown]
# The first losses differ by rounding, if at all; then the difference grows, within some tens of steps, to a per cent, and slowly on to three or four, since the losses get smaller; single steps come near twenty.
# The two places of Adam's $\epsilon$ (lesson 2) make about as much of it as rounding does; and ReLU and max pooling are switches, which turn a small difference into a large one (lesson 4).
# The twin proof runs this network in float64, with Adam's $\epsilon$ in one place and PyTorch's running variance multiplied by $(n-1)/n$: over 100 steps the losses agree to ten digits or more, after them weights, running statistics and the answers in evaluation mode to nine or more.
# So these are two runs of one network, as two seeds would be.
#
# Do they make the *same* mistakes?
# Both answered the same 2,000 images, so we can count those on which only one of them was right.
# If each of these was a toss of a coin, the difference of the accuracies has the standard error $\sqrt{n_1 + n_2}\,/\,2000$:

# %% tags=["nbval-ignore-output"]
if twin:
    mistakes, twins_mistakes = (set(record["scores"]["mistakes"])
                                for record in (mine, twin))
    only_i = len(mistakes - twins_mistakes)
    only_twin = len(twins_mistakes - mistakes)
    print(f"both wrong: {len(mistakes & twins_mistakes)}; "
          f"only this notebook: {only_i}; only the twin: {only_twin}")
    difference = (only_twin - only_i) / len(test_labels)
    error = np.sqrt(only_i + only_twin) / len(test_labels)
    print(f"difference of the accuracies {difference:+.4f}, "
          f"give or take {error:.4f}")

# %% [markdown]
# Claim **C12** of the article (lesson 2): *TensorFlow's models are more accurate, early on*.
# It names no source.
# Here is what this lesson measured: two accuracies within a point of each other, a difference of less than two standard errors, and loss curves that begin as one.
# One pair of runs cannot exclude a difference of a point; but it would have to come from somewhere, and the networks are the same.
# What *can* make one framework's network better early on is its defaults, and lesson 4 measured those.

# %% tags=["folded"]
if as_shipped and twin:
    parted = records.relative_difference(losses, twin["losses"]["loss"])
    assert parted[0] < 1e-5
    assert abs(test_accuracy - twin["scores"]["test_accuracy"]) <= 0.01

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow / Keras | why it matters |
# |---|---|---|---|
# | axes of a batch | (number, channels, height, width) | (number, height, width, channels) | move the axis when you move the data |
# | axes of a kernel | (out, in, height, width) | (height, width, in, out) | transpose, never flip: both cross-correlate |
# | order in memory | NCHW; NHWC with `channels_last` | NHWC | speed; numbers change by rounding only |
# | incoming channels | you say how many; another number is an error | taken from what comes in first | wrong axes: an error here, a wrong network there |
# | `padding` | pixels, or `"valid"`, `"same"` (stride 1 only) | `"valid"` or `"same"` | a number in Keras is a layer of its own |
# | stride 2 at an even size | `padding=1` begins one pixel outside | `"same"` begins on the first pixel | equal shapes, other pixels |
# | dropout | `p=.5`, by the network's state | rate required, by the argument `training` | other dice: hand in the masks to compare |
# | evaluation mode | `eval()`, and it stays until `train()` | `training=False`, call by call; `predict` always | a forgotten mode gives a plausible number |
# | batch norm | momentum .1 (of the new), eps 1e-5 | momentum .99 (of the old), epsilon 1e-3 | set equal (lesson 4) |
# | looking inside | hooks | a second model on the same layers | hooks go with any module, a second model needs the graph |

# %% [markdown]
# ## The whole program
#
# What is left when nothing is compared: the framework's own starting weights, dropout and dice, and its defaults for batch normalisation.
# With the imports of *Set-up*, and `data.fashion_mnist()` in the place of your own files, this is a program to start from.
# It trains for six epochs, as the lesson did.

# %% tags=["pytorch"]
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
to_learn, held_back = (
    TensorDataset(torch.from_numpy(pictures).unsqueeze(1),
                  torch.from_numpy(classes))
    for pictures, classes in data.fashion_mnist()
)
loader = DataLoader(to_learn, batch_size=64, shuffle=True)


def jittered(pictures):
    count = len(pictures)
    moves = torch.zeros(count, 2, 3, device=pictures.device)
    moves[:, 0, 0] = 2 * torch.randint(2, (count,)) - 1  # -1: mirrored
    moves[:, 1, 1] = 1
    # a pixel, where the picture's width counts as 2
    moves[:, :, 2] = torch.randint(-1, 2, (count, 2)) * 2 / 28
    places = F.affine_grid(moves, pictures.shape, align_corners=False)
    return F.grid_sample(pictures, places, "nearest", align_corners=False)

# %% [markdown] tags=["pytorch"]
# `jittered` gives each picture a 2 × 3 matrix, which says where each new pixel comes from: mirrored or not, and moved.
# `affine_grid` works out the places, `grid_sample` fetches the pixels, on a GPU too.
# Then the model:

# %% tags=["pytorch"]
def with_norm(inputs, outputs):
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.change = nn.Sequential(
            *with_norm(width, width), nn.ReLU(), *with_norm(width, width))

    def forward(self, maps):
        return F.relu(maps + self.change(maps))


def whole_model():
    return nn.Sequential(
        *with_norm(1, 16), nn.ReLU(), nn.MaxPool2d(2),
        *with_norm(16, 32), nn.ReLU(), Residual(32), nn.MaxPool2d(2),
        *with_norm(32, 64), nn.ReLU(), Residual(64),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.125),
        nn.Linear(64, 10),
    ).to(device, memory_format=torch.channels_last)

# %% [markdown] tags=["pytorch"]
# The training:

# %% tags=["pytorch", "nbval-ignore-output"]
model = whole_model()
adam = torch.optim.Adam(model.parameters(), lr=0.004)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 6 * len(loader))
for _ in range(6):
    for pictures, classes in loader:
        adam.zero_grad()
        logits = model(jittered(pictures.to(device)))
        F.cross_entropy(logits, classes.to(device)).backward()
        adam.step()
        cosine.step()

# %% [markdown] tags=["pytorch"]
# The weights in a file, a second model that reads it, and the answers of both:

# %% tags=["pytorch", "nbval-ignore-output"]
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder, "weights.pt")
    torch.save(model.state_dict(), file)
    again = whole_model()
    again.load_state_dict(torch.load(file))
pictures, classes = held_back[:]


@torch.inference_mode()
def answers(model):
    model.eval()
    return torch.cat([model(some.to(device)) for some in pictures.split(500)])


logits, logits_again = answers(model).cpu(), answers(again).cpu()
same = torch.allclose(logits, logits_again, atol=1e-5)
whole_accuracy = (logits.argmax(1) == classes).float().mean().item()
whole_count = sum(each.numel() for each in model.parameters())
print(f"test accuracy {whole_accuracy:.3f}, {whole_count:,} weights")
print("the model from the file gives the same answers:", same)

# %% tags=["tensorflow"]
keras.utils.set_random_seed(0)
(pictures, classes), held_back = data.fashion_mnist()


def with_norm(maps, width):
    maps = layers.Conv2D(width, 3, padding="same", use_bias=False)(maps)
    return layers.BatchNormalization()(maps)


def residual(maps):
    width = maps.shape[-1]
    change = layers.ReLU()(with_norm(maps, width))
    change = with_norm(change, width)
    return layers.ReLU()(layers.Add()([maps, change]))

# %% [markdown] tags=["tensorflow"]
# The model, augmentation and dropout included, both of which act in training only.
# (`RandomTranslation` draws a fraction of a pixel and rounds it: about one picture in four is not moved at all, with `augment` one in nine.)

# %% tags=["tensorflow"]
shown = keras.Input((28, 28, 1))
maps = layers.RandomFlip("horizontal")(shown)
# by up to a pixel of 28
maps = layers.RandomTranslation(
    1 / 28, 1 / 28, fill_mode="constant", interpolation="nearest"
)(maps)
maps = layers.MaxPooling2D()(layers.ReLU()(with_norm(maps, 16)))
maps = residual(layers.ReLU()(with_norm(maps, 32)))
maps = layers.MaxPooling2D()(maps)
maps = residual(layers.ReLU()(with_norm(maps, 64)))
features = layers.Dropout(0.125)(layers.GlobalAveragePooling2D()(maps))
model = keras.Model(shown, layers.Dense(10)(features))
whole_count = sum(np.prod(each.shape) for each in model.trainable_weights)
print(f"{whole_count:,} weights")

# %% [markdown] tags=["tensorflow"]
# Training, score, a file, and a second model that is read from it.
# The schedule counts 157 steps an epoch, since `fit` keeps the last batch, of 16 pictures:

# %% tags=["tensorflow", "nbval-ignore-output"]
cosine = keras.optimizers.schedules.CosineDecay(0.004, 6 * 157)
model.compile(
    optimizer=keras.optimizers.Adam(cosine),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
    steps_per_execution=12,
)
model.fit(pictures[..., None], classes, batch_size=64, epochs=6, verbose=0)
tests, truth = held_back[0][..., None], held_back[1]
_, whole_accuracy = model.evaluate(tests, truth, verbose=0)
print(f"test accuracy {whole_accuracy:.3f}")

with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder, "model.keras")
    model.save(file)
    again = keras.models.load_model(file)
answers = [each.predict(tests, verbose=0) for each in (model, again)]
same = np.allclose(*answers, atol=1e-5)
print("the model from the file gives the same answers:", same)

# %% [markdown]
# With the lesson's values it has the same layers and as many weights, and trains as long.
# In two runs of each framework, which parted by rounding, it gave .877 and .886 in PyTorch, .889 and .893 in Keras: as many right answers as above, give or take little more than one in a hundred.

# %% tags=["folded"]
assert same
if as_shipped:
    assert whole_count == parameter_count
assert whole_accuracy >= 0.85 or altered

# %% [markdown]
# ## Exercises
#
# Now you.

# %% tags=["pytorch", "classroom"]
from tandem.exercises import attempt, reference
from tandem.exercises import difference as parting
from tandem.pytorch import answers_and_gradients


def bring(images, labels):
    return torch.tensor(images)[:, None], torch.tensor(labels)

# %% tags=["tensorflow", "classroom"]
from tandem.exercises import attempt, reference
from tandem.exercises import difference as parting
from tandem.tensorflow import answers_and_gradients


def bring(images, labels):
    return tf.convert_to_tensor(images)[..., None], labels

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write a residual network with your own hands, as small as it goes, from your framework's layers.
#
# `own_network(size, kinds)` returns a network for grey pictures of any height and width:
#
# 1. a convolution from one channel to `size`, then ReLU;
# 2. a **bridge**: two convolutions with ReLU between them compute a change, the change is added to what came in, and ReLU comes *after the sum*;
# 3. of each channel the mean over all places; from these a dense layer to `kinds` logits.
#
# All kernels are 3 × 3, all convolutions have a bias and keep the size of the picture, and there is no batch norm.

# %% [markdown] tags=["pytorch", "hint"]
# `nn.Sequential` has no place for a sum: the bridge is a small `nn.Module` of your own, in which `forward` has one `+`.
# `nn.AdaptiveAvgPool2d(1)` takes the mean whatever the size.

# %% [markdown] tags=["tensorflow", "hint"]
# With the functional API: keep what goes into the bridge in a variable, and `layers.Add()` the two.
# `keras.Input((None, None, 1))` is a picture of any size.

# %% tags=["pytorch", "solution"]
def own_network(size, kinds):
    ### BEGIN SOLUTION
    def convolution(inputs):
        return nn.Conv2d(inputs, size, 3, padding=1)

    class Bridge(nn.Module):
        def __init__(self):
            super().__init__()
            self.change = nn.Sequential(
                convolution(size), nn.ReLU(), convolution(size))

        def forward(self, maps):
            return F.relu(maps + self.change(maps))

    return nn.Sequential(
        convolution(1), nn.ReLU(), Bridge(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(size, kinds))
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def own_network(size, kinds):
    ### BEGIN SOLUTION
    def convolution(maps):
        return layers.Conv2D(size, 3, padding="same")(maps)

    pictures = keras.Input((None, None, 1))
    maps = layers.ReLU()(convolution(pictures))
    change = convolution(layers.ReLU()(convolution(maps)))
    maps = layers.ReLU()(layers.Add()([maps, change]))
    features = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(pictures, layers.Dense(kinds)(features))
    ### END SOLUTION

# %% [markdown]
# The check loads weights into your network, the same in both notebooks, layer by layer in the order of the list above (if you write a class, make its layers in that order).
# Then it holds answers and gradients against the definition, written down in NumPy (folded: it gives exercise 2 away).
# Who passes it in both has written one network twice:

# %% tags=["classroom", "folded"]
def by_numpy(start, images):
    """The logits of the network of exercise 1, from its definition."""
    def convolved(maps, layer):
        high, wide = maps.shape[1:3]
        wider = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return layer["bias"] + sum(
            wider[:, row:row + high, column:column + wide]
            @ layer["kernel"][row, column]
            for row, column in np.ndindex(3, 3))

    maps = np.maximum(convolved(images[..., None], start["stem"]), 0)
    change = np.maximum(convolved(maps, start["first"]), 0)
    change = convolved(change, start["second"])
    features = np.maximum(maps + change, 0).mean((1, 2))
    return features @ start["output"]["kernel"] + start["output"]["bias"]


def small_start(size, kinds):
    rng = weights.generator(6)
    return {"stem": weights.convolution(rng, 3, 1, size, "he"),
            "first": weights.convolution(rng, 3, size, size, "he"),
            "second": weights.convolution(rng, 3, size, size, "he"),
            "output": weights.dense(rng, size, kinds)}

# %% [markdown]
# And now yours:

# %% tags=["check"]
small = small_start(4, 3)
rng = np.random.default_rng(6)
some = rng.normal(size=(5, 8, 8)).astype("float32")
truth = np.array([0, 1, 2, 1, 0])
own = own_network(4, 3)
assert own is not None, "the function returns no network"
problem = parting(answers_and_gradients(own, small, some, truth, bring),
                  reference(by_numpy, small, some, truth), 1e-5)
assert not problem, (
    f"{problem}. Where is the sum, where each ReLU, what becomes one "
    "number for each channel, and are the answers logits?")

# %% tags=["hidden"]
small = small_start(3, 5)
oblong = rng.normal(size=(4, 10, 6)).astype("float32")
truth = np.array([4, 0, 3, 1])
problem = parting(
    answers_and_gradients(own_network(3, 5), small, oblong, truth, bring),
    reference(by_numpy, small, oblong, truth), 1e-5)
assert not problem, f"three channels, five kinds, pictures 10 × 6: {problem}"

# %% tags=["pytorch", "wrong"] mistake="has no bridge"
def own_network(size, kinds):
    def convolution(inputs):
        return nn.Conv2d(inputs, size, 3, padding=1)

    class Bridge(nn.Module):
        def __init__(self):
            super().__init__()
            self.change = nn.Sequential(
                convolution(size), nn.ReLU(), convolution(size))

        def forward(self, maps):
            return F.relu(self.change(maps))

    return nn.Sequential(
        convolution(1), nn.ReLU(), Bridge(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(size, kinds))

# %% tags=["tensorflow", "wrong"] mistake="has no bridge"
def own_network(size, kinds):
    def convolution(maps):
        return layers.Conv2D(size, 3, padding="same")(maps)

    pictures = keras.Input((None, None, 1))
    maps = layers.ReLU()(convolution(pictures))
    change = convolution(layers.ReLU()(convolution(maps)))
    maps = layers.ReLU()(change)
    features = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(pictures, layers.Dense(kinds)(features))

# %% tags=["pytorch", "wrong"] mistake="takes ReLU before the sum"
def own_network(size, kinds):
    def convolution(inputs):
        return nn.Conv2d(inputs, size, 3, padding=1)

    class Bridge(nn.Module):
        def __init__(self):
            super().__init__()
            self.change = nn.Sequential(
                convolution(size), nn.ReLU(), convolution(size))

        def forward(self, maps):
            return maps + F.relu(self.change(maps))

    return nn.Sequential(
        convolution(1), nn.ReLU(), Bridge(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(size, kinds))

# %% tags=["tensorflow", "wrong"] mistake="takes ReLU before the sum"
def own_network(size, kinds):
    def convolution(maps):
        return layers.Conv2D(size, 3, padding="same")(maps)

    pictures = keras.Input((None, None, 1))
    maps = layers.ReLU()(convolution(pictures))
    change = convolution(layers.ReLU()(convolution(maps)))
    maps = layers.Add()([maps, layers.ReLU()(change)])
    features = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(pictures, layers.Dense(kinds)(features))

# %% tags=["pytorch", "wrong"] mistake="takes the largest of each channel, not the mean"
def own_network(size, kinds):
    def convolution(inputs):
        return nn.Conv2d(inputs, size, 3, padding=1)

    class Bridge(nn.Module):
        def __init__(self):
            super().__init__()
            self.change = nn.Sequential(
                convolution(size), nn.ReLU(), convolution(size))

        def forward(self, maps):
            return F.relu(maps + self.change(maps))

    return nn.Sequential(
        convolution(1), nn.ReLU(), Bridge(), nn.AdaptiveMaxPool2d(1),
        nn.Flatten(), nn.Linear(size, kinds))

# %% tags=["tensorflow", "wrong"] mistake="takes the largest of each channel, not the mean"
def own_network(size, kinds):
    def convolution(maps):
        return layers.Conv2D(size, 3, padding="same")(maps)

    pictures = keras.Input((None, None, 1))
    maps = layers.ReLU()(convolution(pictures))
    change = convolution(layers.ReLU()(convolution(maps)))
    maps = layers.ReLU()(layers.Add()([maps, change]))
    features = layers.GlobalMaxPooling2D()(maps)
    return keras.Model(pictures, layers.Dense(kinds)(features))

# %% tags=["pytorch", "wrong"] mistake="has no ReLU within the bridge"
def own_network(size, kinds):
    def convolution(inputs):
        return nn.Conv2d(inputs, size, 3, padding=1)

    class Bridge(nn.Module):
        def __init__(self):
            super().__init__()
            self.change = nn.Sequential(
                convolution(size), convolution(size))

        def forward(self, maps):
            return F.relu(maps + self.change(maps))

    return nn.Sequential(
        convolution(1), nn.ReLU(), Bridge(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(size, kinds))

# %% tags=["tensorflow", "wrong"] mistake="has no ReLU within the bridge"
def own_network(size, kinds):
    def convolution(maps):
        return layers.Conv2D(size, 3, padding="same")(maps)

    pictures = keras.Input((None, None, 1))
    maps = layers.ReLU()(convolution(pictures))
    change = convolution(convolution(maps))
    maps = layers.ReLU()(layers.Add()([maps, change]))
    features = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(pictures, layers.Dense(kinds)(features))

# %% tags=["pytorch", "wrong"] mistake="always has four channels"
def own_network(size, kinds):
    def convolution(inputs):
        return nn.Conv2d(inputs, 4, 3, padding=1)

    class Bridge(nn.Module):
        def __init__(self):
            super().__init__()
            self.change = nn.Sequential(
                convolution(4), nn.ReLU(), convolution(4))

        def forward(self, maps):
            return F.relu(maps + self.change(maps))

    return nn.Sequential(
        convolution(1), nn.ReLU(), Bridge(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(4, kinds))

# %% tags=["tensorflow", "wrong"] mistake="always has four channels"
def own_network(size, kinds):
    def convolution(maps):
        return layers.Conv2D(4, 3, padding="same")(maps)

    pictures = keras.Input((None, None, 1))
    maps = layers.ReLU()(convolution(pictures))
    change = convolution(layers.ReLU()(convolution(maps)))
    maps = layers.ReLU()(layers.Add()([maps, change]))
    features = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(pictures, layers.Dense(kinds)(features))

# %% [markdown] tags=["exercise"] exercise="many-channels" points=3
# ### Exercise 2: a convolution with many channels
#
# At the beginning a kernel had nine numbers, and a picture one channel.
# Write the whole thing in NumPy, in TensorFlow's layout.
#
# `convolve(x, w, b)` takes pictures `x` (n, height, width, in), kernels `w` (rows, columns, in, out) and a bias `b` (out), and returns the maps (n, height − rows + 1, width − columns + 1, out): no padding, stride 1.
# What is laid on a place is multiplied and added up over rows, columns *and input channels*, and the kernel is not turned round.

# %% [markdown] tags=["hint"]
# `by_slices` above moves whole pictures; for one place (row, column) of the kernel there is now a *matrix*, `w[row, column]`, from in to out.

# %% tags=["pytorch", "solution"]
def convolve(x, w, b):
    ### BEGIN SOLUTION
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def convolve(x, w, b):
    ### BEGIN SOLUTION
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps
    ### END SOLUTION

# %% [markdown]
# The check begins with pictures of which the answer is known:

# %% tags=["check"]
step_edge = np.zeros((1, 5, 5, 1))
step_edge[:, :, 3:] = 1
tilted = np.arange(9.0).reshape(3, 3, 1, 1)
maps = convolve(step_edge, tilted, np.zeros(1))
assert np.shape(maps) == (1, 3, 3, 1), (
    f"a window of 3 fits 3 times into 5: (1, 3, 3, 1), not {maps.shape}")
assert np.isclose(maps[0, 0, 1, 0], 2 + 5 + 8), (
    "where the last column of the window lies on white its last column "
    f"counts, 2 + 5 + 8 = 15, not {maps[0, 0, 1, 0]:.0f}; is the kernel "
    "turned round?")
rng = np.random.default_rng(2)
x, w, b = (rng.normal(size=size) for size in
           ((2, 6, 7, 3), (3, 2, 3, 4), (4,)))
maps = convolve(x, w, b)
assert np.shape(maps) == (2, 4, 6, 4), (
    "two pictures of 6 × 7, four kernels of 3 × 2: (2, 4, 6, 4), not "
    f"{np.shape(maps)}")
one = (x[1, 2:5, 1:3] * w[..., 3]).sum() + b[3]
assert np.isclose(maps[1, 2, 1, 3], one), (
    "window times kernel, added up over rows, columns and channels, and "
    f"the bias: {one:.3f}, not {maps[1, 2, 1, 3]:.3f}")

# %% tags=["hidden"]
x, w, b = (rng.normal(size=size) for size in
           ((2, 9, 5, 2), (4, 2, 2, 3), (3,)))
maps = convolve(x, w, b)
assert np.shape(maps) == (2, 6, 4, 3), (
    f"oblong pictures and kernels: (2, 6, 4, 3), not {np.shape(maps)}")
one = (x[0, 5:9, 3:5] * w[..., 2]).sum() + b[2]
assert np.isclose(maps[0, 5, 3, 2], one), "an oblong kernel adds up otherwise"

# %% tags=["pytorch", "wrong"] mistake="turns the kernel round"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[-1 - row, -1 - column]
    return maps

# %% tags=["tensorflow", "wrong"] mistake="turns the kernel round"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[-1 - row, -1 - column]
    return maps

# %% tags=["pytorch", "wrong"] mistake="looks at the first channel only"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved[..., :1] @ w[row, column, :1]
    return maps

# %% tags=["tensorflow", "wrong"] mistake="looks at the first channel only"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved[..., :1] @ w[row, column, :1]
    return maps

# %% tags=["pytorch", "wrong"] mistake="leaves the bias out"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3]))
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps

# %% tags=["tensorflow", "wrong"] mistake="leaves the bias out"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3]))
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps

# %% tags=["pytorch", "wrong"] mistake="takes every kernel for a square"
def convolve(x, w, b):
    rows = columns = w.shape[0]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(w.shape[:2]):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps

# %% tags=["tensorflow", "wrong"] mistake="takes every kernel for a square"
def convolve(x, w, b):
    rows = columns = w.shape[0]
    high, wide = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(w.shape[:2]):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps

# %% tags=["pytorch", "wrong"] mistake="takes every picture for a square"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[1] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps

# %% tags=["tensorflow", "wrong"] mistake="takes every picture for a square"
def convolve(x, w, b):
    rows, columns = w.shape[:2]
    high, wide = x.shape[1] - rows + 1, x.shape[1] - columns + 1
    maps = np.zeros((len(x), high, wide, w.shape[3])) + b
    for row, column in np.ndindex(rows, columns):
        moved = x[:, row:row + high, column:column + wide]
        maps += moved @ w[row, column]
    return maps

# %% [markdown] tags=["exercise"] exercise="hottest" points=3
# ### Exercise 3: the hottest place
#
# `hottest(maps, slopes)` is Grad-CAM on arrays: the last maps of one picture (height, width, channels), and the gradient of a logit by them, of the same shape.
# Return two things: the heat (height, width), as above, and where it is largest, `(row, column)`.

# %% [markdown] tags=["hint"]
# `argmax` counts the places of an array row by row; `np.unravel_index(number, heat.shape)` leads back.

# %% tags=["pytorch", "solution"]
def hottest(maps, slopes):
    ### BEGIN SOLUTION
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps @ importance, 0)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def hottest(maps, slopes):
    ### BEGIN SOLUTION
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps @ importance, 0)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))
    ### END SOLUTION

# %% [markdown]
# The check has maps of 7 × 7 places and three channels, of which one speaks against the class; in one place two of them meet:

# %% tags=["check"]
three_maps = np.zeros((7, 7, 3))
three_maps[2, 5, 0], three_maps[6, 3, 2] = 3, 9
three_maps[4, 1] = [0, 3, 1]  # here two maps meet
by_maps = np.zeros((7, 7, 3))
by_maps[0, 0] = 49.0 * np.array([1, 2, -1])  # the mean of a map: 1, 2, -1
heat, place = hottest(three_maps, by_maps)
assert np.shape(heat) == (7, 7), (
    f"one heat for each place, (7, 7), not {np.shape(heat)}")
assert np.isclose(heat[2, 5], 3), (
    f"3 times the importance 1 is 3, not {heat[2, 5]:.2f}; the importance "
    "of a map is the mean of its gradient over all places")
assert np.min(heat) == 0, (
    "what speaks against the class is left out: no heat below 0, and "
    f"yours goes down to {np.min(heat):.0f}")
assert np.isclose(heat[4, 1], 5), (
    "at row 4, column 1 two maps meet: 3 times 2 for the class, 1 against "
    f"it, make 5, not {heat[4, 1]:.2f}; the ReLU comes after the sum")
assert np.shape(place) == (2,), (
    f"the place is a pair, (row, column), not {place}")
assert tuple(place) == (4, 1), (
    f"the hottest place is row 4, column 1 (with 5), not {place}")

# %% tags=["hidden"]
oblong = np.zeros((3, 8, 2))
oblong[1, 6], oblong[2, 0] = (5, 1), (1, 1)
heat, place = hottest(oblong, np.ones((3, 8, 2)))
assert tuple(place) == (1, 6), (
    f"of 3 rows and 8 columns the hottest place is (1, 6), not {place}")
heat, place = hottest(-oblong, np.ones((3, 8, 2)))
assert not np.any(heat), "all maps speak against the class: no heat anywhere"

# %% tags=["pytorch", "wrong"] mistake="keeps what speaks against the class"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = maps @ importance
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% tags=["tensorflow", "wrong"] mistake="keeps what speaks against the class"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = maps @ importance
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% tags=["pytorch", "wrong"] mistake="multiplies place by place"
def hottest(maps, slopes):
    heat = np.maximum((maps * slopes).sum(-1), 0)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% tags=["tensorflow", "wrong"] mistake="multiplies place by place"
def hottest(maps, slopes):
    heat = np.maximum((maps * slopes).sum(-1), 0)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% tags=["pytorch", "wrong"] mistake="exchanges row and column"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps @ importance, 0)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(column), int(row))

# %% tags=["tensorflow", "wrong"] mistake="exchanges row and column"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps @ importance, 0)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(column), int(row))

# %% tags=["pytorch", "wrong"] mistake="divides by the height to find the row"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps @ importance, 0)
    row, column = divmod(heat.argmax(), len(heat))
    return heat, (int(row), int(column))

# %% tags=["tensorflow", "wrong"] mistake="divides by the height to find the row"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps @ importance, 0)
    row, column = divmod(heat.argmax(), len(heat))
    return heat, (int(row), int(column))

# %% tags=["pytorch", "wrong"] mistake="takes ReLU of each map, and then the sum"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps * importance, 0).sum(-1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% tags=["tensorflow", "wrong"] mistake="takes ReLU of each map, and then the sum"
def hottest(maps, slopes):
    importance = slopes.mean((0, 1))
    heat = np.maximum(maps * importance, 0).sum(-1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% tags=["pytorch", "wrong"] mistake="leaves out the maps that speak against the class"
def hottest(maps, slopes):
    importance = np.maximum(slopes.mean((0, 1)), 0)
    heat = maps @ importance
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% tags=["tensorflow", "wrong"] mistake="leaves out the maps that speak against the class"
def hottest(maps, slopes):
    importance = np.maximum(slopes.mean((0, 1)), 0)
    heat = maps @ importance
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return heat, (int(row), int(column))

# %% [markdown] tags=["exercise"] exercise="steadfast" points=3
# ### Exercise 4: does it mind being moved?
#
# A convolution does not: shift first or convolve first, the result is the same.
# And the whole network, which pools, and has a rim?
#
# `steadfast(answer, pictures, right, down)` gets a trained network, `answer`: a function from pictures (n, height, width) to n classes.
# It moves all pictures by `right` pixels to the right and `down` pixels downwards (below 0: to the left, upwards), and returns the share of pictures to which the network gives the *same answer as before*, true or not.
# What is moved out of the picture is lost, and black (0) comes in at the other side.

# %% [markdown] tags=["hint"]
# `np.roll` brings back at the left what it pushes out at the right.
# A wide border of zeros (`np.pad`), out of which a window is cut, does not, and needs no case for numbers below 0.

# %% tags=["pytorch", "solution"]
def steadfast(answer, pictures, right, down):
    ### BEGIN SOLUTION
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high - down, wide - right
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == answer(pictures))
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def steadfast(answer, pictures, right, down):
    ### BEGIN SOLUTION
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high - down, wide - right
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == answer(pictures))
    ### END SOLUTION

# %% [markdown]
# The check begins with "networks" of one pixel or one sum.
# Then comes a real one, small and trained, that ships with these lessons (lesson 10 uses it, lesson 11 takes it apart).

# %% tags=["classroom"]
from tandem import judge

_, (unseen, _) = data.fashion_mnist()
unseen = unseen[:300]


def classifier(pictures):
    return judge.describe(2 * pictures - 1)[1]

# %% [markdown]
# And now yours:

# %% tags=["check"]
dots = np.zeros((4, 6, 8))
dots[range(4), (1, 1, 3, 5), (2, 7, 4, 0)] = 1


def lit(row, column):  # a network that looks at one pixel
    return lambda pictures: pictures[:, row, column]


share = steadfast(lit(1, 2), dots, 0, 0)
assert share is not None and np.isclose(share, 1), (
    f"moved by nothing no answer changes: 1, not {share}")
share = steadfast(lit(3, 7), dots, 3, 0)
assert np.isclose(share, 0.75), (
    "three pixels to the right the third dot comes to row 3, column 7, "
    f"and one answer of four changes: .75, not {share:.2f}")
share = steadfast(lit(3, 0), dots, 0, -2)
assert np.isclose(share, 0.75), (
    "two pixels up the last dot comes to row 3, column 0: .75, not "
    f"{share:.2f}")
share = steadfast(lambda pictures: pictures.sum((1, 2)), dots, 1, 0)
assert np.isclose(share, 0.75), (
    "one pixel to the right the second dot, in the last column, is lost, "
    f"and its picture black: .75, not {share:.2f}")

# %% tags=["hidden"]
shares = [steadfast(classifier, unseen, by, 0) for by in (0, 1, 8)]
assert np.isclose(shares[0], 1), (
    "not moved, the trained network answers as before, whether it is right "
    f"or not: 1, not {shares[0]:.3f}")
assert shares[1] > 0.8 > shares[2], (
    f"a pixel changes few answers, eight pixels many; yours: {shares}")
up = np.zeros_like(unseen)
up[:, :-2, 3:] = unseen[:, 2:, :-3]
kept = np.mean(classifier(up) == classifier(unseen))
share = steadfast(classifier, unseen, 3, -2)
assert np.isclose(share, kept), (
    f"three to the right and two up: {kept:.3f} of the answers stay, not "
    f"{share:.3f}")
share = steadfast(lambda pictures: pictures.sum((1, 2)), dots, 0, -2)
assert np.isclose(share, 0.5), (
    f"two pixels up two of the dots are lost: .5, not {share:.2f}")

# %% tags=["pytorch", "wrong"] mistake="brings back what it pushed out"
def steadfast(answer, pictures, right, down):
    moved = np.roll(pictures, (down, right), axis=(1, 2))
    return np.mean(answer(moved) == answer(pictures))

# %% tags=["tensorflow", "wrong"] mistake="brings back what it pushed out"
def steadfast(answer, pictures, right, down):
    moved = np.roll(pictures, (down, right), axis=(1, 2))
    return np.mean(answer(moved) == answer(pictures))

# %% tags=["pytorch", "wrong"] mistake="exchanges right and down"
def steadfast(answer, pictures, right, down):
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high - right, wide - down
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == answer(pictures))

# %% tags=["tensorflow", "wrong"] mistake="exchanges right and down"
def steadfast(answer, pictures, right, down):
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high - right, wide - down
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == answer(pictures))

# %% tags=["pytorch", "wrong"] mistake="moves the other way"
def steadfast(answer, pictures, right, down):
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high + down, wide + right
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == answer(pictures))

# %% tags=["tensorflow", "wrong"] mistake="moves the other way"
def steadfast(answer, pictures, right, down):
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high + down, wide + right
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == answer(pictures))

# %% tags=["pytorch", "wrong"] mistake="does not ask for the answers before"
def steadfast(answer, pictures, right, down):
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high - down, wide - right
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == 1)

# %% tags=["tensorflow", "wrong"] mistake="does not ask for the answers before"
def steadfast(answer, pictures, right, down):
    high, wide = pictures.shape[1:]
    border = np.pad(pictures, ((0, 0), (high, high), (wide, wide)))
    top, left = high - down, wide - right
    moved = border[:, top:top + high, left:left + wide]
    return np.mean(answer(moved) == 1)

# %% tags=["pytorch", "wrong"] mistake="loses what goes out to the right, and not what goes out upwards"
def steadfast(answer, pictures, right, down):
    before = answer(pictures)
    moved = np.roll(pictures, (down, right), axis=(1, 2))
    moved[:, :max(down, 0)] = 0
    moved[:, :, :max(right, 0)] = 0
    return np.mean(answer(moved) == before)

# %% tags=["tensorflow", "wrong"] mistake="loses what goes out to the right, and not what goes out upwards"
def steadfast(answer, pictures, right, down):
    before = answer(pictures)
    moved = np.roll(pictures, (down, right), axis=(1, 2))
    moved[:, :max(down, 0)] = 0
    moved[:, :, :max(right, 0)] = 0
    return np.mean(answer(moved) == before)

# %% [markdown]
# When it passes, guess how far a picture has to move until the trained network changes one answer in ten, and one in two; then look: `[steadfast(classifier, unseen, by, 0) for by in range(9)]`.
# Is up and down the same?

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - A convolution is a small weighted sum, moved over the image: nine numbers find edges, and a layer learns its own.
#   It is a cross-correlation in both frameworks.
# - Its weights do not depend on the image's size or on the place; padding, stride and pooling decide what size comes out, and how much of the image one number sees.
# - Bridges carry the signal forwards and the gradient back where a plain stack loses both.
# - A network of 116,602 weights, trained in half a minute to a minute on two cores, gives about nine right answers in ten; and the same ones, nearly, in both frameworks.
# - PyTorch keeps images as (number, channels, height, width) and kernels as (out, in, height, width), TensorFlow (number, height, width, channels) and (height, width, in, out).
#   With the wrong axes one raises an error, the other may build a wrong network.
# - Evaluation mode is part of the network: without it, the answer for an image depends on its neighbours.
# - Pictures of what a network "looks at" are claims, and claims can be tested.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. In `stack_weights` set `scheme="he"`.
#    What becomes of the plain stack's signal, of its gradient and of its loss?
#    And of the other one's?
#    Why does a network with bridges want smaller weights, or batch normalisation?
# 2. Set `largest_shift = 0`, or `dropout = 0.0`, or `mirrored = 0.0`.
#    What becomes of the last epoch's loss, and what of the test accuracy?
#    Which of the differences is larger than the give or take?
# 3. Set `channels = 8`.
#    How many weights are left, how long does an epoch take, and what does it cost in accuracy?
# 4. Take the bridges out of the two blocks, in both notebooks (`maps + change`, in Keras `layers.Add()([maps, change])`, becomes `change`).
#    The network is only seven convolutions deep: does it matter here?
# 5. Ask the network twice, about each test image and about its mirror image, and average the two probabilities.
#    What does that do to the accuracy, and why can it help at all?
# 6. Set `epochs = 2`.
#    The learning rate now falls within two epochs and not within six: how near does the network come in a third of the time, and how does that compare with where the run of six stood after two?
#    ([docs/peers.md](../docs/peers.md) sets this beside the convnet of keras.io.)
#
# ## Read on
#
# - LeCun, Bottou, Bengio and Haffner, *Gradient-Based Learning Applied to Document Recognition* (1998): [doi:10.1109/5.726791](https://doi.org/10.1109/5.726791)
# - He, Zhang, Ren and Sun, *Deep Residual Learning for Image Recognition* (2015): [arXiv:1512.03385](https://arxiv.org/abs/1512.03385)
# - Srivastava and others, *Dropout: A Simple Way to Prevent Neural Networks from Overfitting* (2014): [jmlr.org](https://jmlr.org/papers/v15/srivastava14a.html)
# - Selvaraju and others, *Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization* (2016): [arXiv:1610.02391](https://arxiv.org/abs/1610.02391)
# - Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016): [arXiv:1603.07285](https://arxiv.org/abs/1603.07285)
# - PyTorch: [Conv2d](https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html); Keras: [Conv2D](https://keras.io/api/layers/convolution_layers/convolution2d/)
#
# So much for images, for now: neighbours in a plane.
# In lesson 7 the neighbours stand in a row, one after the other, and the row can have any length.
