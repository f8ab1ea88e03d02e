# ---
# minutes: {read: 70, run: 2, exercises: 25}
# seconds: 120
# memory_mb: 1200
# needs: [ai-edge-litert, ai-edge-quantizer, torchao, executorch, jax, litert-torch, litert-converter]
# proof: training
# ---

# %% [markdown]
# # 17 · Small devices: a network in whole numbers
#
# One trained classifier of clothes becomes a file for a phone, in several formats and precisions; you measure what each costs and what it loses, and train a network that knows it will be rounded.
#
# **You will build** a quantiser by hand, a training step that rounds, and files for LiteRT, of floats, of 8 bits and of 4 (in the PyTorch notebook also for ExecuTorch, of floats and of 8 bits).
#
# **You will learn** what scale, zero point and calibration are; why a kernel wants one scale a channel; how to train through rounding; what the converters refuse, and what they get wrong without a word; and which of the files to take.
#
# **You need** the convolution of lesson 6, the training step of lesson 2, and what lesson 16 says about exporting.
# What is marked *optional* is not counted in the minutes: read it or not, but run its cells, for the tables below have their files.

# %% [markdown]
# Lesson 16 took a network out of its framework, but each of its programs computed in 32-bit floats, on a machine like the one that trained it.
# It left open what a phone, a watch or a doorbell runs, where a megabyte is much and a multiplication of floats costs battery.
#
# Two families of files answer today: **LiteRT**, which was called TensorFlow Lite until September 2024 and ends in `.tflite`, and PyTorch's **ExecuTorch**, which ends in `.pte`.
# The article of lesson 2 says that phones and the edge are TensorFlow's strength, and that PyTorch has "Mobile" and "Live" for it.
# At the end of this lesson you can say what of that still holds.

# %% [markdown]
# ## Set-up

# %% tags=["pytorch", "network"]
import torch
import torch.nn.functional as F
from torch import nn

from tandem import data, judge, plots, records, weights
from tandem.pytorch import load_weights, read_weights

accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights, read_weights

import keras
import tensorflow as tf
from keras import layers, ops

from tandem import data, judge, plots, records, weights

# %% [markdown]
# Python's own tools, and the runtime that both notebooks share:

# %% tags=["classroom"]
import contextlib
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import psutil
from ai_edge_litert.interpreter import Interpreter
from IPython.utils.capture import capture_output

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
bits = 4  # 2 to 8: of the network that we train to be rounded
epochs = 1  # 1 to 20: passes over the training images
batch_size = 64  # 2 to train_size: images a step
learning_rate = 1e-4  # above 0 to 1: low, it is trained already
# Adam's running averages: both frameworks' defaults
beta_1 = 0.9  # 0 to below 1
beta_2 = 0.999  # 0 to below 1: of the squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
train_size = 10_000  # 100 to 10000: training images
calibration_size = 200  # 1 to train_size: images that set the ranges
seed = 0  # 0 to 2**32 - 1: of the batch order

# %% [markdown]
# What comes of these values is asserted in bounds, and only for the values above.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("17_edge", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Converters talk: Python prints, loggers log, and C++ writes past both.
# Inside `with quietly():` nothing is seen, while errors still reach us.

# %% tags=["classroom", "folded"]
@contextlib.contextmanager
def quietly():
    """Inside, nothing is printed, not even by C++; errors come through."""
    kept = [os.dup(number) for number in (1, 2)]
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(capture_output())  # Python's, and displays
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
        try:
            yield
        finally:
            for number, copy in zip((1, 2), kept):
                os.dup2(copy, number)
                os.close(copy)
            logging.disable(logging.NOTSET)

# %% [markdown]
# All files go into a temporary folder, which disappears with this notebook's kernel:

# %% tags=["classroom"]
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)

# %% [markdown]
# ## The judge of clothes
#
# The network of this lesson and of the next two is the judge of lesson 11: three convolutions, 56,394 weights, trained already.
# `data.fashion_classifier()` holds its weights; images go from −1 to 1.

# %% tags=["network"]
training, test = data.fashion_mnist(train_size)
(train_images, train_labels), (test_images, test_labels) = training, test
for some_images in (train_images, test_images):
    some_images *= 2
    some_images -= 1  # in place: from 0..1 to -1..1
classifier_weights = data.fashion_classifier()

# %% [markdown] tags=["pytorch"]
# An image has one channel, which stands in front:

# %% tags=["pytorch", "network"]
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, 32, 3, padding=1)
        self.convolution_2 = nn.Conv2d(32, 64, 3, padding=1)
        self.convolution_3 = nn.Conv2d(64, 64, 3, padding=1)
        self.output = nn.Linear(64, 10)

    def forward(self, images):
        # the second 2, the stride, is no decoration: see "ExecuTorch"
        hidden = F.max_pool2d(F.relu(self.convolution_1(images)), 2, 2)
        hidden = F.max_pool2d(F.relu(self.convolution_2(hidden)), 2, 2)
        hidden = F.relu(self.convolution_3(hidden))
        return self.output(hidden.mean((2, 3)))


def build_classifier(starting):
    return load_weights(Classifier(), starting).to(device)

# %% [markdown] tags=["pytorch"]
# Its answers to the 2,000 test images are the reference for everything that follows.
# The files are made on the CPU, so the network moves there, and it is in evaluation mode, as lesson 16 asks.

# %% tags=["pytorch", "classroom"]
@torch.inference_mode()
def logits_of(network, images):
    where = network.output.weight.device
    parts = torch.as_tensor(images)[:, None].to(where).split(200)
    return torch.cat([network(part) for part in parts]).numpy(force=True)


classifier = build_classifier(classifier_weights).cpu().eval()
expected = logits_of(classifier, test_images)

# %% [markdown] tags=["tensorflow"]
# An image has one channel, which stands at the end:

# %% tags=["tensorflow", "network"]
def make_classifier(batch=None):
    """batch: None for any number of images, or the one number it takes."""
    same = {"padding": "same", "activation": "relu"}
    return keras.Sequential([
        keras.Input((28, 28, 1), batch_size=batch),
        layers.Conv2D(32, 3, name="convolution_1", **same),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, name="convolution_2", **same),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, name="convolution_3", **same),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, name="output"),
    ], name="classifier")


def build_classifier(starting, batch=None):
    return load_weights(make_classifier(batch), starting)

# %% [markdown] tags=["tensorflow"]
# Its answers to the 2,000 test images are the reference for everything that follows.

# %% tags=["tensorflow", "classroom"]
def logits_of(network, images):
    parts = np.split(images[..., None], range(200, len(images), 200))
    with tf.device("CPU"):
        return np.concatenate([network(part).numpy() for part in parts])


classifier = build_classifier(classifier_weights)
expected = logits_of(classifier, test_images)

# %% [markdown]
# How good is it?

# %%
def accuracy(logits):
    return float(np.mean(logits.argmax(1) == test_labels))


count = weights.count(classifier_weights)
print(f"{count:,} weights, {count * 4:,} bytes as float32")
print(f"right: {accuracy(expected):.3f} of {len(test_labels):,} images")
assert abs(accuracy(expected) - 0.887) < 0.002

# %% [markdown]
# ## Whole numbers by hand
#
# How could 8 bits hold a weight such as −0.1234?
# An 8-bit number is one of 256 whole numbers.
# So we lay a ruler over the range that the values take, with 256 marks at equal distances, and keep for each value the number of its nearest mark.
# Two numbers describe the ruler: its step, the **scale** $s$, and the mark at which zero lies, the **zero point** $z$:
#
# $$ q = \operatorname{clip}\big(\operatorname{round}(x / s) + z,\; 0,\; 255\big), \qquad x \approx (q - z)\, s $$

# %%
def to_marks(values, lowest, highest):
    """8-bit marks of a ruler from lowest to highest, its scale and zero."""
    scale = (highest - lowest) / 255
    zero_point = round(-lowest / scale)
    marks = np.clip(np.round(values / scale) + zero_point, 0, 255)
    return marks.astype("uint8"), scale, zero_point


def to_values(marks, scale, zero_point):
    return (marks.astype("int32") - zero_point) * scale


kernel = classifier_weights["output"]["kernel"]
ruler = to_marks(kernel, kernel.min(), kernel.max())
print(f"scale {ruler[1]:.5f}, zero point {ruler[2]}")
for value, mark, back in zip(kernel[0], ruler[0][0], to_values(*ruler)[0]):
    print(f"{value:8.4f} -> {mark:3d} -> {back:8.4f}")
assert np.abs(to_values(*ruler) - kernel).max() < ruler[1] * 0.51

# %% [markdown]
# A byte for each weight in place of four, and none of these weights moves by more than half a step.
# The zero point is a whole number on purpose: zero itself must lie on a mark, because padding and ReLU put exact zeros everywhere, and an error there would be added up thousands of times.
#
# That alone makes a file smaller.
# The device can be *faster*, too: it multiplies the marks.
# For a dense layer with inputs $x$, whose marks are $q$, and a kernel $w$, whose marks are $p$,
#
# $$ \sum_i x_i w_i \;\approx\; s_x s_w \sum_i (q_i - z_x)(p_i - z_w) $$
#
# and the sum is one of whole numbers, kept in 32 bits.
# Here is the last layer of our network, computed so; `judge.describe` runs the layers before it, in NumPy, and returns what enters the last:

# %%
features, _ = judge.describe(test_images[:1000])  # before the last layer
bias = classifier_weights["output"]["bias"]


def last_layer(marks, scale, zero_point=0):
    """Logits, from whole numbers only until the last line."""
    kernel_marks, kernel_scale, kernel_zero = ruler
    total = (marks.astype("int32") - zero_point) @ (
        kernel_marks.astype("int32") - kernel_zero)
    return total * scale * kernel_scale + bias


by_floats = features @ kernel + bias
by_marks = last_layer(*to_marks(features, 0, features.max()))
same = np.mean(by_marks.argmax(1) == by_floats.argmax(1))
off = np.abs(by_marks - by_floats).max()
print(f"logits off by at most {off:.2f}, of a spread of "
      f"{np.ptp(by_floats):.0f}")
print(f"the same class for {same:.1%} of 1,000 images")
assert same > 0.98

# %% [markdown]
# ## A range must be known: calibration
#
# The range of the weights can be read off the weights.
# That of the *features* cannot: they depend on the image, and the device has to choose its ruler before it sees one.
# We cheated above and looked at all of them.
# What if we choose badly?

# %%
guesses = np.geomspace(0.1, 3000, 28)
by_guess = [last_layer(*to_marks(features, 0, guess)) for guess in guesses]
right = [np.mean(logits.argmax(1) == test_labels[:1000])
         for logits in by_guess]
_, axes = plt.subplots()
plots.curves({"right": (guesses, np.array(right))},
             "Too short a ruler cuts, too long a ruler has too few marks",
             "range assumed for the features", "share right, of 1,000",
             axes=axes)
axes.axvline(features.max(), color=plots.OTHERS[2], linestyle=":")
axes.set(xscale="log", ylim=(0, 1))
axes.annotate(" largest seen", (features.max(), 0.1))
plots.describe("Share of right answers against the range that is assumed for "
               "the features, on a logarithmic axis: low at 0.1, a plateau "
               "from about 1 to 600, low again at 3,000.")
assert right[0] < max(right) - 0.1 and right[-1] < max(right) - 0.1

# %% [markdown]
# On the left, values beyond the ruler are cut to its end; on the right, all values share a few marks.
# Between the two is a wide plateau: with 256 marks, a ruler ten times too long does no harm here, but one ten times too short does.
# So a rough idea is enough: run a few hundred ordinary images through the float network and note the largest value in front of each layer.
# That is **calibration** (no relation of lesson 7's, which is about probabilities).
# It needs images but no labels, and the images must be of the kind that will come.
# (Converters call it a *representative dataset*.
# They write either everything in whole numbers, which is **full integer**, or only the weights, and the device measures and rounds each layer's input as it runs, which is **dynamic** and needs no images.)

# %% tags=["pytorch", "network"]
@torch.inference_mode()
def input_ranges(network, images):
    """{layer: (lowest, highest)} of what enters each layer."""
    found = {}

    def watch(name):
        def note(layer, inputs):
            found[name] = inputs[0].min().item(), inputs[0].max().item()
        return note

    hooks = [layer.register_forward_pre_hook(watch(name))
             for name, layer in network.named_children()]
    network(torch.as_tensor(images)[:, None].to(network.output.weight))
    for hook in hooks:
        hook.remove()
    return found


ranges = input_ranges(build_classifier(classifier_weights),
                      train_images[:calibration_size])

# %% tags=["tensorflow", "network"]
def input_ranges(network, images):
    """{layer: (lowest, highest)} of what enters each layer."""
    weighted = [layer for layer in network.layers if layer.weights]
    inner = keras.Model(network.inputs, [layer.input for layer in weighted])
    entering = inner([images[..., None]])
    return {layer.name: (float(ops.min(values)), float(ops.max(values)))
            for layer, values in zip(weighted, entering)}


ranges = input_ranges(build_classifier(classifier_weights),
                      train_images[:calibration_size])

# %% [markdown]
# The ranges of our network, from 200 training images:

# %%
for name, (lowest, highest) in ranges.items():
    print(f"into {name:14} {lowest:5.2f} to {highest:5.2f}")

# %% [markdown]
# (Among the 1,000 other images of the picture there is a larger value into `output`; on that plateau, cutting the few beyond does no harm.)
# After a ReLU nothing is negative, so the ruler begins at 0 and its zero point is 0.
# Images and weights reach about as far on both sides; for them one takes a ruler that is **symmetric** about 0, marks −127 to 127, and the zero point is 0 again.
# From here on our own code needs no other kind; in the files, the marks after a ReLU are moved down to −128 to 127, with the zero point −128.
# Biases are added to the sum in its 32 bits; we leave them as they are.

# %% [markdown]
# ## One ruler a channel
#
# A kernel has one range, and each of its output channels has another:

# %%
kernels = {name: arrays["kernel"] for name, arrays
           in classifier_weights.items()}
reach = {name: np.sort(np.abs(one).reshape(-1, one.shape[-1]).max(0))
         for name, one in kernels.items()}
_, axes = plt.subplots()
for number, (name, largest) in enumerate(reach.items()):
    axes.plot(np.linspace(0, 100, len(largest)), largest,
              label=name, linestyle=("-", "--", "-.", ":")[number])
axes.set(title="The largest weight of each output channel, sorted",
         xlabel="output channels, in per cent", ylabel="largest |weight|",
         yscale="log")
axes.legend()
for name, largest in reach.items():
    print(f"{name:14} widest channel / narrowest: "
          f"{largest[-1] / largest[0]:.1f}")

# %% [markdown]
# With one scale for the whole kernel, **per tensor**, the widest channel sets the step for all, and the narrowest is left with a fraction of the marks.
# One scale for each output channel, **per channel**, costs a few numbers more, and nothing while computing: each channel's sum is multiplied by a scale of its own at the end.
# How much does it matter?
# To find out we need the whole network in fewer bits, and a way to choose how many.

# %% [markdown]
# ## Rounding inside the network
#
# Nothing forces us to compute in whole numbers to see what they do.
# If each value is rounded to its mark and *scaled back at once*, the network stays one of floats, in which only values occur that the device can hold.
# This is **fake quantisation**:
#
# $$ \tilde x = s \cdot \operatorname{clip}\big(\operatorname{round}(x / s),\; q_\text{low},\; q_\text{high}\big) $$
#
# One thing is prepared here for the next section.
# `round` is flat between its steps, so its gradient is zero nearly everywhere and nothing before it would learn.
# The remedy is the **straight-through estimator**, known from the rounded codes of lesson 15: forwards the rounded value, backwards as if nothing had been rounded.
# `clip` keeps its own gradient: a value whose mark lies beyond the ruler's end has none.

# %% tags=["pytorch", "network"]
def fake_quantise(values, scale, lowest, highest):
    ratio = values / scale
    marks = ratio + (ratio.round() - ratio).detach()  # straight through
    return marks.clamp(lowest, highest) * scale


def round_inputs(inputs, lowest, highest, bits):
    top = 2 ** (bits - 1) - 1
    if lowest < 0:  # symmetric: the images
        reach = max(-lowest, highest)
        return fake_quantise(inputs, reach / top, -top, top)
    return fake_quantise(inputs, highest / (2 * top + 1), 0, 2 * top + 1)


def round_kernel(kernel, bits, per_channel=True):
    top = 2 ** (bits - 1) - 1
    # (out, in, height, width), or (out, in)
    over = tuple(range(1 if per_channel else 0, kernel.dim()))
    reach = kernel.detach().abs().amax(over, keepdim=True)
    return fake_quantise(kernel, reach / top, -top, top)

# %% [markdown] tags=["pytorch"]
# Where the kernel's reach is found, `detach` stands too: the ruler is laid anew at each step, and no gradient asks for a longer one.
# The network is the one above, with what enters each layer and its kernel rounded:

# %% tags=["pytorch", "network"]
class Quantised(Classifier):
    def __init__(self, bits, per_channel=True):
        super().__init__()
        self.bits, self.per_channel = bits, per_channel

    def entering(self, name, values):
        return round_inputs(values, *ranges[name], self.bits)

    def kernel(self, layer):
        return round_kernel(layer.weight, self.bits, self.per_channel)

    def convolve(self, name, maps):
        layer = self.get_submodule(name)
        maps = F.conv2d(maps, self.kernel(layer), layer.bias, padding=1)
        return F.relu(maps)

    def forward(self, images):
        maps = self.entering("convolution_1", images)
        maps = self.convolve("convolution_1", maps)
        maps = F.max_pool2d(self.entering("convolution_2", maps), 2, 2)
        maps = self.convolve("convolution_2", maps)
        maps = F.max_pool2d(self.entering("convolution_3", maps), 2, 2)
        maps = self.convolve("convolution_3", maps).mean((2, 3))
        return F.linear(self.entering("output", maps),
                        self.kernel(self.output), self.output.bias)

# %% [markdown] tags=["pytorch"]
# As a function, with our weights in it:

# %% tags=["pytorch", "network"]
def build_quantised(starting, bits=bits, per_channel=True):
    return load_weights(Quantised(bits, per_channel), starting).to(device)

# %% tags=["tensorflow", "network"]
def fake_quantise(values, scale, lowest, highest):
    ratio = values / scale
    marks = ratio + ops.stop_gradient(ops.round(ratio) - ratio)
    return ops.clip(marks, lowest, highest) * scale


def round_inputs(inputs, lowest, highest, bits):
    top = 2 ** (bits - 1) - 1
    if lowest < 0:  # symmetric: the images
        reach = max(-lowest, highest)
        return fake_quantise(inputs, reach / top, -top, top)
    return fake_quantise(inputs, highest / (2 * top + 1), 0, 2 * top + 1)


def round_kernel(kernel, bits, per_channel=True):
    top = 2 ** (bits - 1) - 1
    # (height, width, in, out), or (in, out)
    over = tuple(range(len(kernel.shape) - (1 if per_channel else 0)))
    reach = ops.max(ops.abs(ops.stop_gradient(kernel)), over, keepdims=True)
    return fake_quantise(kernel, reach / top, -top, top)

# %% [markdown] tags=["tensorflow"]
# Where the kernel's reach is found, `stop_gradient` stands too: the ruler is laid anew at each step, and no gradient asks for a longer one.
# In Keras the place for it is the layer.
# `Conv2D` leaves the convolution itself to a method, `convolution_op`, and that is all we replace:

# %% tags=["tensorflow", "network"]
class QuantisedConv2D(layers.Conv2D):
    def __init__(self, filters, name, how):
        super().__init__(filters, 3, padding="same", activation="relu",
                         name=name)
        self.how = how

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, round_kernel(kernel, *self.how))


class QuantisedDense(layers.Dense):
    def __init__(self, units, name, how):
        super().__init__(units, name=name)
        self.how = how

    def call(self, inputs):
        kernel = round_kernel(self.kernel, *self.how)
        return ops.matmul(inputs, kernel) + self.bias

# %% [markdown] tags=["tensorflow"]
# What enters a layer is rounded by a layer without weights:

# %% tags=["tensorflow", "network"]
class Entering(layers.Layer):
    def __init__(self, name, bits):
        super().__init__()
        self.enters, self.bits = name, bits

    def call(self, values):
        return round_inputs(values, *ranges[self.enters], self.bits)


def build_quantised(starting, bits=bits, per_channel=True):
    how = bits, per_channel
    return load_weights(keras.Sequential([
        keras.Input((28, 28, 1)), Entering("convolution_1", bits),
        QuantisedConv2D(32, "convolution_1", how),
        Entering("convolution_2", bits), layers.MaxPooling2D(),
        QuantisedConv2D(64, "convolution_2", how),
        Entering("convolution_3", bits), layers.MaxPooling2D(),
        QuantisedConv2D(64, "convolution_3", how),
        layers.GlobalAveragePooling2D(), Entering("output", bits),
        QuantisedDense(10, "output", how),
    ], name="quantised"), starting)

# %% [markdown]
# **Watch out:** what leaves a convolution is rounded *before* the pooling, as the device does it.
# Pooled first, the answers are the same, but of two nearly equal floats the last digit decides which gets the gradient, and the twins' first gradients were 6 % apart.
# Rounded first, the two are the same mark, and both frameworks choose the same one (`docs/findings/pooling_ties.py` shows it).

# %% [markdown]
# With it we can turn the bits down, one by one, without training anything:

# %%
fewer = (8, 7, 6, 5, 4, 3)
by_bits = {}
for label, per_channel in (("one ruler a channel", True),
                           ("one ruler a kernel", False)):
    by_bits[label] = [
        accuracy(logits_of(build_quantised(classifier_weights, some,
                                           per_channel), test_images))
        for some in fewer]
    print(f"{label:20}" + "".join(f"{right:7.2f}" for right in by_bits[label]))
per_channel_4, per_tensor_4 = (rights[4] for rights in by_bits.values())
if as_shipped:
    assert by_bits["one ruler a channel"][0] > accuracy(expected) - 0.01
    assert per_channel_4 > per_tensor_4 + 0.05

# %% [markdown]
# (The columns are 8, 7, 6, 5, 4 and 3 bits.)
# **At 8 bits this network loses next to nothing**, with either ruler; at 7 and 6 hardly more.
# That is the honest answer for most networks of this kind, and it is why 8 bits are what everybody ships.
# At 5 bits the loss can be seen, over a point with either ruler; at 4, with 15 marks for a kernel, one ruler for the whole kernel costs 14 points more than one a channel.
# At 3 bits both break down, and one ruler for the whole kernel is even ahead (.48 to .46).
# Whoever wants 4 bits has to do something about it.

# %% [markdown]
# ## Training a network that will be rounded
#
# The weights were found by a training that never heard of rounding.
# So let it hear: **quantisation-aware training** (QAT) goes on training with the fake quantisation in the network.
# The loss is that of the rounded network; the gradients go straight through; what is moved are the floats behind the marks.

# %% tags=["network"]
def starting_weights(seed):
    # where the twin proof begins, too; nothing is drawn
    return {"quantised": classifier_weights}


def batches(seed):
    order = data.batch_order(len(train_images), batch_size, epochs, seed)
    for chosen in order:
        yield train_images[chosen], train_labels[chosen]

# %% [markdown] tags=["pytorch"]
# Adam, cross-entropy, one batch a step:

# %% tags=["pytorch", "network"]
def build_optimizer(network):
    betas = (beta_1, beta_2)
    return torch.optim.Adam(
        network.parameters(), lr=learning_rate, betas=betas, eps=epsilon
    )


def to_tensors(images, labels):
    arrays = images[:, None], labels
    return [torch.as_tensor(array, device=device) for array in arrays]


def train_step(network, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% [markdown] tags=["tensorflow"]
# Adam, cross-entropy, one batch a step:

# %% tags=["tensorflow", "network"]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    # now: a tf.function may not create them later
    optimizer.build(network.trainable_variables)
    return optimizer


def to_tensors(images, labels):
    arrays = images[..., None], labels
    return [tf.convert_to_tensor(array) for array in arrays]


@tf.function
def train_step(network, optimizer, images, labels):
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, network(images, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss

# %% [markdown]
# The step is that of every lesson: all that is new lies inside the network.
# One pass over the 10,000 images, then:

# %% tags=["pytorch"]
quantised = build_quantised(starting_weights(seed)["quantised"])
optimizer = build_optimizer(quantised)
losses = [train_step(quantised, optimizer, *to_tensors(*batch)).item()
          for batch in batches(seed)]
trained_weights = read_weights(quantised)
trained_logits = logits_of(quantised.eval(), test_images)

# %% tags=["tensorflow"]
quantised = build_quantised(starting_weights(seed)["quantised"])
optimizer = build_optimizer(quantised)
losses = [float(train_step(quantised, optimizer, *to_tensors(*batch)))
          for batch in batches(seed)]
trained_weights = read_weights(quantised)
trained_logits = logits_of(quantised, test_images)

# %% [markdown]
# What has it won back?

# %% tags=["nbval-ignore-output"]
qat_accuracy = accuracy(trained_logits)
ptq_accuracy = accuracy(logits_of(build_quantised(classifier_weights),
                                  test_images))
won_back = qat_accuracy - ptq_accuracy
most = won_back > (accuracy(expected) - ptq_accuracy) / 2
_, axes = plt.subplots()
plots.curves({label: (np.array(fewer), np.array(rights))
              for label, rights in by_bits.items()},
             "Training with the rounding wins back most of what was lost"
             if most else "Right answers by bits",
             "bits for weights and inputs", "share right, of 2,000",
             axes=axes)
axes.plot(bits, qat_accuracy, "*", color=plots.OTHERS[2], markersize=12,
          label="trained with the rounding")
axes.axhline(accuracy(expected), color=plots.OTHERS[5], linestyle=":",
             label="floats", zorder=4)
axes.invert_xaxis()
axes.legend()
print(f"{bits} bits: {ptq_accuracy:.3f} right, trained {qat_accuracy:.3f}, "
      f"of {accuracy(expected):.3f} in floats")
assert qat_accuracy > ptq_accuracy + 0.005 or not as_shipped

# %% [markdown]
# The star is the same network with the same 4 bits; only its weights have moved a little, to where rounding hurts less.
# Two things to be honest about.
# First, the comparison flatters QAT a little: it has seen 10,000 labelled images once more, and a few more steps might help a float network, too.
# Second, at 8 bits there is nothing to win back: QAT is for where rounding hurts.

# %% [markdown]
# Both frameworks have fake quantisation as an operation of their own: PyTorch's `torch.fake_quantize_per_channel_affine` takes a scale and a zero point, TensorFlow's `tf.quantization.fake_quant_with_min_max_vars_per_channel` a lowest and a highest value, which it shifts a little so that zero lies on a mark.
# Ours is one function in both notebooks, and so the training step above is a twin.

# %% [markdown]
# ## Files for a device
#
# Now the converters.
# They do what we did by hand: measure ranges, lay rulers, write whole numbers and scales into a file, and leave a program of whole numbers to a small runtime.
# Each file that is made gets a name and a path:

# %% tags=["classroom"]
paths = {}


def keep(name, ending, content):
    """Writes a file for the device and notes its path."""
    paths[name] = folder / f"{name.replace(' ', '_')}.{ending}"
    paths[name].write_bytes(content)


calibration_images = train_images[:calibration_size]

# %% [markdown]
# As in lesson 16, a file counts when a new process has opened it; this will start one, once there are files:

# %%
def new_process(script):
    """What a script prints that runs in a new process in the folder."""
    quiet = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder,
                          env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1][:200]
    return done.stdout.strip().splitlines()


np.save(folder / "images.npy", test_images[:200])

# %% [markdown]
# ### ExecuTorch, and what Keras has of its own

# %% [markdown] tags=["pytorch"]
# ExecuTorch takes the program of `torch.export` (lesson 16) and *lowers* it: what a **backend** knows is handed to it as one block, the rest goes to plain routines of ExecuTorch's own (called *kernels*, too, which are no weights).
# For CPUs the backend is XNNPACK.
#
# **Watch out:** first the way most of us write max-pooling:

# %% tags=["pytorch"]
with quietly():
    from executorch.backends.xnnpack.partition import xnnpack_partitioner
    from executorch.exir import to_edge_transform_and_lower


def lowered(program):
    """The bytes of a .pte file for XNNPACK."""
    backend = xnnpack_partitioner.XnnpackPartitioner()
    with quietly():
        edge = to_edge_transform_and_lower(program, partitioner=[backend])
        return edge.to_executorch().buffer


class Careless(Classifier):
    def forward(self, images):
        return F.max_pool2d(F.relu(self.convolution_1(images)), 2)


one_image = (torch.zeros(1, 1, 28, 28),)
try:
    lowered(torch.export.export(Careless().eval(), one_image))
except IndexError as error:
    print("IndexError:", error)

# %% [markdown] tags=["pytorch"]
# PyTorch itself fills in the missing stride; the exported program keeps it missing, and XNNPACK's partitioner reads it without looking.
# Nothing in the message says "pooling".
# The cure is to write the stride out, as `Classifier` does, or to use the layer `nn.MaxPool2d(2)`, which fills it in.

# %% tags=["pytorch"]
exported = torch.export.export(classifier, one_image)
keep("ExecuTorch float", "pte", lowered(exported))
print(f"{paths['ExecuTorch float'].stat().st_size / 1000:.0f} kB")

# %% [markdown] tags=["pytorch"]
# Whole numbers come from **torchao**: `prepare` puts an observer behind each value, we show it the calibration images, `convert` replaces observers by scales.
# Which values, and how, is the backend's business: each brings its own *quantiser*.

# %% tags=["pytorch"]
with quietly():
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer
    from torchao.quantization.pt2e.quantize_pt2e import (
        convert_pt2e, prepare_pt2e, prepare_qat_pt2e)


def quantiser(**options):
    configure = xnnpack_quantizer.get_symmetric_quantization_config
    chosen = configure(is_per_channel=True, **options)
    return xnnpack_quantizer.XNNPACKQuantizer().set_global(chosen)


for kind, options in (("dynamic", {"is_dynamic": True}), ("int8", {})):
    with quietly():
        fresh = build_classifier(classifier_weights).cpu().eval()
        program = torch.export.export(fresh, one_image)
        watched = prepare_pt2e(program.module(), quantiser(**options))
        for image in calibration_images:
            watched(torch.as_tensor(image)[None, None])
        program = torch.export.export(convert_pt2e(watched), one_image)
    keep(f"ExecuTorch {kind}", "pte", lowered(program))
    size = paths[f"ExecuTorch {kind}"].stat().st_size
    print(f"{kind:8} {size / 1000:.0f} kB")

# %% [markdown] tags=["pytorch"]
# **Watch out:** *dynamic* hardly shrinks this file.
# XNNPACK can quantise dense layers and ordinary 2D convolutions so, but its quantiser passes over a convolution with a ReLU right behind it, as all of ours have; no message says so.
# (In the first two, the ReLU can stand behind the pooling, which computes the same: then the file has 176 kB.)
#
# **Watch out:** `torch.export.export(network, …).module()` *shares* the network's parameters: who trains the one trains the other, unasked.
# Hence the `fresh` network.

# %% [markdown] tags=["pytorch"]
# *(Optional, this cell.)*
# The framework's own QAT begins the same way, with `prepare_qat_pt2e`:

# %% tags=["pytorch"]
with quietly():
    some = {0: torch.export.Dim("batch", min=1, max=batch_size)}
    program = torch.export.export(
        build_classifier(classifier_weights).cpu().eval(),
        (torch.zeros(2, 1, 28, 28),), dynamic_shapes=(some,))
    aware = prepare_qat_pt2e(program.module(), quantiser(is_qat=True))
    adam = torch.optim.Adam(aware.parameters(), lr=learning_rate / 10)
    for images, labels in islice(batches(seed), 60):
        adam.zero_grad()
        guess = aware(torch.as_tensor(images)[:, None])
        F.cross_entropy(guess, torch.as_tensor(labels)).backward()
        adam.step()
    whole = convert_pt2e(aware)
    program = torch.export.export(whole, one_image)
keep("ExecuTorch int8, trained", "pte", lowered(program))
with torch.inference_mode():
    parts = torch.as_tensor(test_images)[:, None].split(batch_size)
    aware_logits = torch.cat([whole(part) for part in parts]).numpy()
print(f"right, as PyTorch runs it: {accuracy(aware_logits):.2f}")

# %% [markdown] tags=["pytorch"]
# No calibration here: the observers learn the ranges while training goes on.
# At 8 bits that is all it is good for; see the table.
#
# Can a process open a `.pte` file that does not have the framework?

# %% tags=["pytorch"]
told = new_process("""
import sys, numpy as np
from executorch.runtime import Runtime

print("torch was imported by it:", "torch" in sys.modules)
method = Runtime.get().load_program("ExecuTorch_int8.pte").load_method(
    "forward")
image = np.load("images.npy")[:1, None]
try:
    method.execute([image])
except RuntimeError as error:
    print(str(error).split(". ")[0])
import torch
print("class", method.execute([torch.as_tensor(image)])[0].argmax().item())
""")
print("\n".join(told))
assert told[0].endswith("True")
assert int(told[2].split()[1]) == expected[0].argmax()

# %% [markdown] tags=["pytorch"]
# The Python binding of ExecuTorch needs PyTorch: it imports it, and takes nothing but its tensors.
# So from Python we can show that a `.pte` file needs none of our code, and not that it needs no framework.
# On a device it is C++, with bindings for Kotlin and Swift, and there is no PyTorch there.

# %% [markdown] tags=["tensorflow"]
# Keras has no way to ExecuTorch: `.pte` files are made from `torch.export`'s programs, and this notebook has none.
# In the picture at the end they come from the twin's record.
#
# Keras has one line of its own, and it tempts:

# %% tags=["tensorflow"]
tempted = build_classifier(classifier_weights)
with quietly():
    tempted.quantize("int8")
for layer in tempted.layers:
    if layer.weights:
        print(f"{layer.name:14} {layer.kernel.dtype}")

# %% [markdown] tags=["tensorflow"]
# **Watch out:** the convolutions are still floats, and 640 of 56,394 weights are not.
# Keras warns, once for each layer type (`Layer Conv2D does not have a quantize method implemented`), and goes on: `quantize` knows dense layers and their kin, and no convolution.

# %% [markdown]
# ### LiteRT

# %% [markdown] tags=["pytorch"]
# **litert-torch** takes the program of `torch.export`, too, and writes a `.tflite` file, the format of TensorFlow Lite.

# %% tags=["pytorch", "classroom"]
with quietly():
    import litert_torch


def to_litert(network):
    """The bytes of a .tflite file of floats, for one image at a time."""
    with quietly():
        edge = litert_torch.convert(network, (torch.zeros(1, 1, 28, 28),))
        edge.export(folder / "edge.tflite")
    return (folder / "edge.tflite").read_bytes()


keep("LiteRT float", "tflite", to_litert(classifier))

# %% [markdown] tags=["tensorflow"]
# TensorFlow's converter writes `.tflite` files.
# It has three entrances, and one takes a traced function.
# Called with the function alone it warns, and asks for the object that holds the weights, so we pass that, too:

# %% tags=["tensorflow"]
# wrong: only to see it
fixed = build_classifier(classifier_weights, batch=1)
traced = tf.function(lambda images: fixed(images)).get_concrete_function(
    tf.TensorSpec((1, 28, 28, 1)))
with quietly():
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [traced], fixed)
    careless = converter.convert()
    interpreter = Interpreter(model_content=careless)
    interpreter.allocate_tensors()
takes, = interpreter.get_input_details()
gives, = interpreter.get_output_details()
interpreter.set_tensor(takes["index"], test_images[:1, ..., None])
interpreter.invoke()
answer = interpreter.get_tensor(gives["index"])
print(f"{len(careless) / 1000:.0f} kB, not a number:", np.isnan(answer).all())
assert np.isnan(answer).all()

# %% [markdown] tags=["tensorflow"]
# **Watch out:** the converter reported success, and the weights are gone: 7 kB cannot hold 56,394 of them, and the answers are not numbers.
# The converter looks for variables of TensorFlow on the object, and those of a Keras 3 model are wrapped.
# Without the second argument, deprecated or not, they are kept; `from_keras_model` keeps them, too, and is what we use.
# So check the size of every file, and its answers.
#
# The file is made for one image at a time: a camera has one, and a fixed shape lets the runtime plan its memory.
# `Optimize.DEFAULT` asks for whole numbers, unless `supported_types` says 16-bit floats.
# Alone, it makes the weights so, which is *dynamic* (small kernels it leaves floats and does not say so: here the first and the last, of 288 and 640 weights); with images and the vocabulary `TFLITE_BUILTINS_INT8` everything becomes so, input and output too if we say it.

# %% tags=["tensorflow", "classroom"]
def representative_dataset():
    for image in calibration_images:
        yield [image[None, ..., None]]


def to_litert(network, kind="float"):
    """The bytes of a .tflite file, for one image at a time."""
    one = keras.Input((28, 28, 1), batch_size=1)
    fixed = keras.Sequential([one, *network.layers])
    lite = tf.lite.TFLiteConverter.from_keras_model(fixed)
    if kind != "float":
        lite.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        lite.target_spec.supported_types = [tf.float16]
    if kind.startswith("int8"):
        lite.inference_input_type = lite.inference_output_type = tf.int8
    if kind == "int8":  # trained ones bring their ranges along
        vocabulary = tf.lite.OpsSet.TFLITE_BUILTINS_INT8
        lite.target_spec.supported_ops = [vocabulary]
        lite.representative_dataset = representative_dataset
    with quietly():
        return lite.convert()

# %% [markdown] tags=["tensorflow"]
# Four files:

# %% tags=["tensorflow", "classroom"]
for kind in ("float", "float16", "dynamic", "int8"):
    keep(f"LiteRT {kind}", "tflite", to_litert(classifier, kind))

# %% [markdown] tags=["tensorflow"]
# *(Optional, to "The AI Edge Quantizer".)*
# The framework's own QAT goes as ours, with one difference: the converter does not understand *our* fake quantisation, which to it is a division, a rounding, a clip and a product of floats.
# It does understand `tf.quantization.fake_quant…`, and takes the ranges from it.
# So the layers are written once more, in its words and for 8 bits, behind each layer one that holds a calibrated range (`narrow_range` leaves out the lowest mark, −128, so that the kernel's ruler is symmetric, as ours):

# %% tags=["tensorflow"]
class FakeQuantised(layers.Layer):
    def __init__(self, lowest, highest):
        super().__init__()
        self.range = lowest, highest

    def call(self, values):
        quantise = tf.quantization.fake_quant_with_min_max_args
        return quantise(values, *self.range)


class ByChannelConv2D(layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        quantise = tf.quantization.fake_quant_with_min_max_vars_per_channel
        reach = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), (0, 1, 2)))
        kernel = quantise(kernel, -reach, reach, narrow_range=True)
        return super().convolution_op(inputs, kernel)


class ByTensorDense(layers.Dense):
    def call(self, inputs):
        quantise = tf.quantization.fake_quant_with_min_max_vars
        reach = tf.stop_gradient(tf.reduce_max(tf.abs(self.kernel)))
        kernel = quantise(self.kernel, -reach, reach, narrow_range=True)
        return ops.matmul(inputs, kernel) + self.bias

# %% [markdown] tags=["tensorflow"]
# (The dense layer has one ruler for its whole kernel, because with one a channel the converter stops: it turns the kernel round, and says "'tfl.transpose' op has mismatched quantized axes of input and output".)
# What leaves each layer needs its range, too, the logits included, so that nothing in the file is left a float:

# %% tags=["tensorflow"]
same = {"padding": "same", "activation": "relu"}
inner = keras.Model(classifier.inputs,
                    [layer.output for layer in classifier.layers])
leaving = {layer.name: (float(ops.min(values)), float(ops.max(values)))
           for layer, values in zip(
               classifier.layers, inner([calibration_images[..., None]]))}
stack = [keras.Input((28, 28, 1)), FakeQuantised(-1.0, 1.0)]
for layer in classifier.layers:
    if isinstance(layer, layers.Conv2D):
        stack += [ByChannelConv2D(layer.filters, 3, name=layer.name, **same)]
    elif isinstance(layer, layers.Dense):
        stack += [ByTensorDense(10, name=layer.name)]
    else:
        stack += [type(layer)()]
    if not isinstance(layer, layers.MaxPooling2D):
        stack += [FakeQuantised(*leaving[layer.name])]
aware = load_weights(keras.Sequential(stack), classifier_weights)

# %% [markdown] tags=["tensorflow"]
# `fit` trains it, for sixty steps at a tenth of the rate; then it is converted, without a single image:

# %% tags=["tensorflow"]
aware.compile(keras.optimizers.Adam(learning_rate / 10), cross_entropy)
chosen = np.concatenate(list(islice(
    data.batch_order(train_size, batch_size, epochs, seed), 60)))
aware.fit(train_images[chosen][..., None], train_labels[chosen],
          batch_size=batch_size, shuffle=False, verbose=0)
aware_logits = logits_of(aware, test_images)
keep("LiteRT int8, trained", "tflite", to_litert(aware, "int8, trained"))
print(f"right, as Keras runs it: {accuracy(aware_logits):.2f}")

# %% [markdown]
# ### The AI Edge Quantizer
#
# A package that belongs to neither framework reads a `.tflite` file of floats and writes another; a *recipe* says what is to become of it.
# `dynamic_wi4_afp32` reads: weights (`w`) as 4-bit integers, activations (`a`) floats between the layers; `dynamic`: where there is a kernel, its input is rounded as it runs.
# Only a `static` recipe needs calibration; the function then shows our images to the file of floats:

# %% tags=["classroom"]
with quietly():
    from ai_edge_quantizer import quantizer, recipe


def requantised(content, chosen):
    """Another .tflite file of a float one, by the recipe of this name."""
    with quietly():
        work = quantizer.Quantizer(bytearray(content))
        work.load_quantization_recipe(getattr(recipe, chosen)())
        ranges_seen = None
        if work.need_calibration:
            reader = Interpreter(model_content=content)
            (key, ends), = reader.get_signature_list().items()
            shape = reader.get_input_details()[0]["shape"]
            ranges_seen = work.calibrate({key: [
                {ends["inputs"][0]: image.reshape(shape)}
                for image in calibration_images]})
        return bytes(work.quantize(ranges_seen).quantized_model)

# %% [markdown] tags=["pytorch"]
# With it, three files are complete, as for ExecuTorch: float, dynamic and int8 (`static_wi8_ai8`: weights and activations as 8-bit integers).

# %% tags=["pytorch", "classroom"]
for kind, name in (("dynamic", "dynamic_wi8_afp32"),
                   ("int8", "static_wi8_ai8")):
    floats = paths["LiteRT float"].read_bytes()
    keep(f"LiteRT {kind}", "tflite", requantised(floats, name))

# %% [markdown] tags=["tensorflow"]
# Here the files of 8 bits come from the converter already.

# %% [markdown]
# The quantizer also knows 4 bits, for weights.
# That is what we trained for, nearly: what enters the layers is rounded as the file runs, to 8 bits and not to our 4, so what is lost and won back need not be as in our figure.
# We make one twice, from the weights as they were and from those that our own training step found.
# To the converter both are ordinary networks of floats.

# %% tags=["pytorch"]
trained_network = build_classifier(trained_weights).cpu().eval()

# %% tags=["tensorflow"]
trained_network = build_classifier(trained_weights)

# %% [markdown]
# Two files, and the list of all:

# %%
for name, network in (("LiteRT 4-bit", classifier),
                      ("LiteRT 4-bit, trained", trained_network)):
    keep(name, "tflite", requantised(to_litert(network),
                                     "dynamic_wi4_afp32"))
for name, path in paths.items():
    print(f"{name:26}{path.stat().st_size / 1000:6.0f} kB")

# %% [markdown]
# ## Running a file
#
# The runtime of `.tflite` files is a small library of its own, `ai_edge_litert`.
# One allocates, sets the input, invokes, reads the output.
# First with what one has at hand, floats, on the file of whole numbers:

# %%
with quietly():
    interpreter = Interpreter(str(paths["LiteRT int8"]), num_threads=1)
    interpreter.allocate_tensors()
takes, = interpreter.get_input_details()
gives, = interpreter.get_output_details()
print("takes", takes["dtype"].__name__, takes["shape"],
      "scale {:.5f}, zero point {}".format(*takes["quantization"]))
try:
    image = test_images[:1].reshape(takes["shape"])
    interpreter.set_tensor(takes["index"], image)
except ValueError as error:
    print(str(error).split(" for input")[0])

# %% [markdown]
# (Of 256 marks laid evenly from −1 to 1 none lies at zero: TensorFlow's converter shifts its ruler by half a step, and the zero point is −1; in PyTorch's file it is 0.)
#
# It refuses floats, and the first idea is to convert the type:

# %%
def int8_logits(to_input, count=500):
    """What the file of whole numbers says, for a way to make its input."""
    found = []
    for image in test_images[:count]:
        numbers = to_input(image).astype("int8").reshape(takes["shape"])
        interpreter.set_tensor(takes["index"], numbers)
        interpreter.invoke()
        found.append(interpreter.get_tensor(gives["index"])[0])
    scale, zero_point = gives["quantization"]
    return (np.array(found, "float32") - zero_point) * scale


def to_input(image):
    scale, zero_point = takes["quantization"]
    return np.clip(np.round(image / scale) + zero_point, -128, 127)


for name, way in (("cast", lambda image: image), ("scaled", to_input)):
    right = np.mean(int8_logits(way).argmax(1) == test_labels[:500])
    print(f"{name:7} right: {right:.2f}")

# %% [markdown]
# **Watch out:** cast, every image becomes the marks −1, 0 and 1, which stand for values within 0.016 of zero: one even grey, and no error says so.
# A file with whole numbers at its ends wants *marks*: divide by the scale, add the zero point, round, clip.
# Its output wants the way back.
# Scale and zero point are in the file, so nobody has to know them; but you have to use them.
#
# Now a reader for our `.tflite` files.
# It returns two functions: one that prepares an image, and one that answers.

# %%
def open_litert(path):
    with quietly():
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
    (takes,), (gives,) = (interpreter.get_input_details(),
                          interpreter.get_output_details())
    scale, zero_point = takes["quantization"]
    step, zero = gives["quantization"]

    def prepare(image):
        image = image.reshape(takes["shape"])
        if takes["dtype"] == np.int8:
            image = np.clip(np.round(image / scale) + zero_point, -128, 127)
        return image.astype(takes["dtype"])

    def answer(prepared):
        interpreter.set_tensor(takes["index"], prepared)
        interpreter.invoke()
        logits = interpreter.get_tensor(gives["index"])[0]
        return (logits.astype("float32") - zero) * step if step else logits

    return prepare, answer

# %% [markdown] tags=["pytorch"]
# ExecuTorch's has no scaling to do.
# It takes all threads that it finds; one is what we want to measure, and the only switch for it says in its name what it thinks of itself.
# (Switch before the first file is opened, and keep the program as long as the method.)

# %% tags=["pytorch"]
with quietly():
    from executorch.extension.pybindings import _portable_lib
    from executorch.runtime import Runtime

    if _portable_lib._threadpool_get_thread_count() != 1:
        _portable_lib._unsafe_reset_threadpool(1)
programs = []


def open_executorch(path):
    with quietly():
        programs.append(Runtime.get().load_program(str(path)))
        method = programs[-1].load_method("forward")

    def prepare(image):
        return [torch.as_tensor(image[None, None])]

    def answer(prepared):
        return method.execute(prepared)[0].numpy()[0]

    return prepare, answer

# %% [markdown] tags=["pytorch"]
# Both readers by the ending of the file:

# %% tags=["pytorch"]
def open_file(path):
    readers = {".pte": open_executorch, ".tflite": open_litert}
    return readers[path.suffix](path)

# %% [markdown] tags=["tensorflow"]
# All our files end in `.tflite`:

# %% tags=["tensorflow"]
open_file = open_litert

# %% [markdown]
# ## The table
#
# 2,000 test images, one at a time, as a camera gives them, on one thread.
# The formats take turns image by image, so that whatever else this machine does falls on all of them alike.
# What a file takes is *made* outside the main clock: a camera delivers bytes, which are marks after a subtraction, while here NumPy makes them out of floats.
# PyTorch's ExecuTorch files take floats, and an int8 one makes its marks inside.

# %%
opened = {name: open_file(path) for name, path in paths.items()}
logits = {name: np.empty_like(expected) for name in paths}
microseconds = {name: np.empty(len(test_images)) for name in paths}
making = {name: np.empty(len(test_images)) for name in paths}

with quietly():
    for number, image in enumerate(test_images):
        for name, (prepare, answer) in opened.items():
            begun = time.perf_counter()
            prepared = prepare(image)
            ready = time.perf_counter()
            logits[name][number] = answer(prepared)
            done = time.perf_counter()
            making[name][number] = (ready - begun) * 1e6
            microseconds[name][number] = (done - ready) * 1e6

# %% [markdown]
# *Same* is the share of images to which a file gives the class that the network of floats gives; files from trained weights are other networks, and have none.
# (One image of 2,000 is .0005, so a 1.000 may hide one.)
# The spread of the times is from the first quartile to the third.

# %% tags=["nbval-ignore-output"]
sizes = {name: path.stat().st_size for name, path in paths.items()}
rights = {name: accuracy(found) for name, found in logits.items()}
agreement = {name: float(np.mean(found.argmax(1) == expected.argmax(1)))
             for name, found in logits.items()}
medians, made = ({name: float(np.median(times))
                  for name, times in clock.items()}
                 for clock in (microseconds, making))
print(f"{'smallest first':26}{'bytes':>8}{'right':>7}{'same':>7}"
      f"{'make':>6}{'µs':>6}  spread")
for name in sorted(paths, key=sizes.get):
    low, high = np.percentile(microseconds[name], (25, 75))
    same = "–" if "trained" in name else f"{agreement[name]:.3f}"
    print(f"{name:26}{sizes[name]:8,}{rights[name]:7.3f}{same:>7}"
          f"{made[name]:6.1f}{medians[name]:6.0f}  {low:.0f}-{high:.0f}")

# %% [markdown]
# What must be true of it, the lesson asserts: floats answer as the network does; 8 bits lose less than a point; int8 takes less than a third of the bytes; and some bounds more.

# %% tags=["folded"]
in_floats, most_bytes = rights["LiteRT float"], sizes["LiteRT float"]
for name in paths if as_shipped else ():
    kind = name.split(maxsplit=1)[1]
    if kind == "float":
        assert np.abs(logits[name] - expected).max() < 1e-4
    elif kind in ("float16", "dynamic", "int8"):
        assert rights[name] > in_floats - 0.01 and agreement[name] >= 0.98
    elif kind == "int8, trained":
        aware_same = logits[name].argmax(1) == aware_logits.argmax(1)
        assert aware_same.mean() >= 0.98 and rights[name] > in_floats - 0.015
    elif kind == "4-bit":
        assert rights[name] > in_floats - 0.03
        assert sizes[name] < most_bytes / 5
    if "int8" in kind:
        assert sizes[name] < most_bytes / 3
    assert medians[name] < 20_000

# %% [markdown]
# ## A process that has neither framework
#
# The files were read in this notebook, whose process is full of what made them.
# A device has none of it.
# So a new process, as in lesson 16, which imports NumPy and the runtime, answers 200 images with each `.tflite` file, and then says which frameworks it has seen:

# %%
on_device = """
import pathlib, psutil, sys, numpy as np
from ai_edge_litert.interpreter import Interpreter

images, answers = np.load("images.npy"), {}
for path in sorted(pathlib.Path().glob("LiteRT_*.tflite")):
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (takes,), (gives,) = (interpreter.get_input_details(),
                          interpreter.get_output_details())
    scale, zero = takes["quantization"]
    found = []
    for image in images.reshape(-1, *takes["shape"]):
        if scale:
            image = np.clip(np.round(image / scale) + zero, -128, 127)
        interpreter.set_tensor(takes["index"], image.astype(takes["dtype"]))
        interpreter.invoke()
        found.append(interpreter.get_tensor(gives["index"])[0])
    answers[path.name] = np.array(found, "float32")
np.savez("answers.npz", **answers)
heavy = {"torch", "tensorflow", "keras", "jax", "executorch"}
print(len(answers), "files; frameworks:", len(heavy & sys.modules.keys()))
print(psutil.Process().memory_info().rss // 2**20)
"""

# %% [markdown]
# Its answers come back in a file, and what it prints in a list of lines:

# %%
told, megabytes = new_process(on_device)
print(told)
here, there = [], np.load(folder / "answers.npz")
for name in paths:
    if name.startswith("LiteRT"):
        answers = there[paths[name].name]
        here.append(np.mean(answers.argmax(1)
                            == logits[name][:200].argmax(1)))
print("the same class as here, in every file:", min(here) == 1)
assert min(here) == 1 and told.endswith("frameworks: 0")
assert int(megabytes) < 200

# %% [markdown]
# How much memory did it take, next to this notebook?

# %% tags=["nbval-ignore-output"]
mine_mb = psutil.Process().memory_info().rss / 2**20
print(f"this notebook: {mine_mb:,.0f} MB, that process: {megabytes} MB")

# %% [markdown] tags=["pytorch"]
# (Of a `.pte` file Python cannot show that much, as we saw.)

# %% [markdown] tags=["tensorflow"]
# (For `.pte` files the twin finds that ExecuTorch's Python binding imports PyTorch.
# On a device it is a library of C++, and no PyTorch is there.)

# %% [markdown]
# ## What each conversion cannot do
#
# You have seen most of it, and the silent half is the more dangerous one.

# %% [markdown] tags=["pytorch"]
# With an error: a pooling without a stride, of which the message says nothing.
# Without one: a dynamic file as large as before (ExecuTorch's), a program that trains the network it was made from, a cast input.

# %% [markdown] tags=["tensorflow"]
# With an error: a dense kernel that was trained with one ruler a channel.
# With a warning, which `quietly` hid: convolutions that `quantize` leaves out.
# Without an error: a file that has lost its weights, two kernels of four that stay floats in the dynamic file, a cast input.

# %% [markdown]
# (And each file has in it the batch of 1 that it was made for.
# LiteRT can change it on opening, by `resize_tensor_input` before `allocate_tensors`: the files from Keras take it, those from PyTorch refuse.)
# So the last step of every conversion is the same: reopen the file where it will run, and hold its bytes and its answers against those of the network that you meant.

# %% [markdown]
# ## What became of PyTorch Mobile and PyTorch Live
#
# PyTorch Mobile "is no longer actively supported", says [its documentation](https://docs.pytorch.org/docs/stable/mobile_optimizer.html) since [August 2024](https://github.com/pytorch/pytorch/pull/134697), and its tutorials were [turned into links to ExecuTorch](https://github.com/pytorch/tutorials/pull/3121) that autumn.
# PyTorch Live was renamed PlayTorch, and [its repository](https://github.com/facebookresearch/playtorch) was archived on 23 October 2023: "no longer actively maintained".
# TensorFlow Lite was not abandoned but renamed and moved: ["TensorFlow Lite is now LiteRT"](https://ai.google.dev/edge/litert/migration), `tf.lite` ["will be removed from future TensorFlow Python packages"](https://blog.tensorflow.org/2025/08/whats-new-in-tensorflow-2-20.html), as its makers announced with 2.20, and files for it come out of PyTorch as well, as the PyTorch notebook of this lesson shows.
#
# (All read on 27 November 2026.)
# Claim **C11** of the article (lesson 2): *TensorFlow leads deployment*, here on devices, with TensorFlow Lite where PyTorch has Mobile and Live.
# Of that little is left: both have a runtime for devices, and the older one, which was TensorFlow's, no longer asks who trained the network.
# Claim **C15**, *TensorFlow carries models to phones and browsers*, holds in its part about phones, and no longer sets TensorFlow apart.
# In this lesson's numbers: files of both frameworks run in a LiteRT process of some 40 MB, 229 kB of floats or 65 kB of whole numbers from either; the floats with the same answers to 1e-4, both kinds with the same share right, to one image of 2,000.

# %% [markdown]
# ## Which file to take
#
# Bytes, time, right answers: no file is best in all three, but that does not make every choice a good one.
# A file is out if another one is clearly better in something and clearly worse in nothing.
# What is left is the **Pareto front**, and between its members only you can choose.
#
# *Clearly* has to be said: 2,000 images do not tell .885 from .887, and the median of a time wobbles.
# We take 10 % of the bytes, 20 % of the time, one point of accuracy.
# So ExecuTorch's int8 file is out: LiteRT's has about the same bytes and right answers, and takes less time.

# %%
def clearly_better(one, other):
    """Which of bytes, time and accuracy are clearly better in `one`."""
    return (one["bytes"] < 0.9 * other["bytes"],
            one["microseconds"] < 0.8 * other["microseconds"],
            one["right"] > other["right"] + 0.01)


def front(files):
    """The names of the files that no other file puts out."""
    return [name for name, file in files.items() if not any(
        any(clearly_better(other, file))
        and not any(clearly_better(file, other))
        for other in files.values())]

# %% [markdown]
# Each notebook leaves its measurements for the other, in a fixed order, with the losses of the training and the logits of the float file for 50 images:

# %%
FORMATS = {
    "pytorch": ("ExecuTorch float", "ExecuTorch dynamic", "ExecuTorch int8",
                "ExecuTorch int8, trained", "LiteRT float",
                "LiteRT dynamic", "LiteRT int8", "LiteRT 4-bit",
                "LiteRT 4-bit, trained"),
    "tensorflow": ("LiteRT float", "LiteRT float16", "LiteRT dynamic",
                   "LiteRT int8", "LiteRT int8, trained", "LiteRT 4-bit",
                   "LiteRT 4-bit, trained"),
}


def in_order(numbers):
    assert set(numbers) in [set(names) for names in FORMATS.values()]
    return list(numbers.values())

# %% [markdown] tags=["pytorch"]
# PyTorch's record:

# %% tags=["pytorch"]
mine = records.save(
    "17_edge", "pytorch", parameters_used, losses,
    parameter_count=sum(each.numel() for each in classifier.parameters()),
    right_in_floats=accuracy(expected), right_rounded=ptq_accuracy,
    right_after_training=qat_accuracy, bytes=in_order(sizes),
    microseconds=in_order(medians), right=in_order(rights),
    same=in_order(agreement), float_logits=logits["LiteRT float"][:50])
twin = records.load("17_edge", "tensorflow", parameters_used)

# %% [markdown] tags=["tensorflow"]
# Keras's record:

# %% tags=["tensorflow"]
mine = records.save(
    "17_edge", "tensorflow", parameters_used, losses,
    parameter_count=classifier.count_params(),
    right_in_floats=accuracy(expected), right_rounded=ptq_accuracy,
    right_after_training=qat_accuracy, bytes=in_order(sizes),
    microseconds=in_order(medians), right=in_order(rights),
    same=in_order(agreement), float_logits=logits["LiteRT float"][:50])
twin = records.load("17_edge", "pytorch", parameters_used)

# %% [markdown]
# Both records in one list.
# The twin's times were measured at another moment; they are scaled until the two LiteRT files of floats take the same.
# These answer alike, but PyTorch's writes its first convolution as a depthwise one (lesson 9: one kernel a channel, and an image has one channel), so small differences between the frameworks' times mean nothing.

# %%
names = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}
keys = "bytes", "microseconds", "right"


def files_of(record):
    """{"PyTorch: LiteRT int8": {"bytes", "microseconds", "right"}}"""
    columns = [record["scores"][key] for key in keys]
    found = {name: dict(zip(keys, row)) for name, *row
             in zip(FORMATS[record["framework"]], *columns)}
    pace = medians["LiteRT float"] / found["LiteRT float"]["microseconds"]
    for file in found.values():
        file["microseconds"] *= pace
    framework = names[record["framework"]]
    return {f"{framework}: {name}": file for name, file in found.items()}

# %% [markdown]
# The front; and what it would be if the marks had to be made on the clock, by NumPy:

# %% tags=["nbval-ignore-output"]
files = files_of(mine) | (files_of(twin) if twin else {})
kept = front(files)
print("on the front:", *kept, sep="\n  ")
extra = made["LiteRT int8"] - made["LiteRT float"]
slower = {name: file | {"microseconds": file["microseconds"] + extra
                        * ("LiteRT int8" in name)}
          for name, file in files.items()}
print(f"{extra:.0f} µs for the marks:", *front(slower), sep="\n  ")
assert kept and len(kept) < len(files)

# %% [markdown]
# The number in a label is the share of right answers; files that differ by training alone share a label.

# %%
def label_files(axes):
    """Writes beside the points, in each column so that none is covered."""
    shared, heights = {}, {}
    for name in sorted(files, key=lambda name: files[name]["microseconds"]):
        shared.setdefault(name.removesuffix(", trained"), []).append(name)
    for name, own in shared.items():
        framework, text = name.split(": ")
        rights_of = [f" {files[one]['right']:.3f}" for one in sorted(own)]
        text += ", trained".join(rights_of).replace(" 0.", " .")
        x, y = (np.mean([files[one][key] for one in own]) for key in keys[:2])
        column, left = round(np.log2(x)), x > 1e5
        heights[column] = max(y, heights.get(column, 0) * 1.08)
        axes.annotate(
            text, (x / 1000 * (0.94 if left else 1.06), heights[column]),
            ha="right" if left else "left", va="center", fontsize=9,
            color=plots.FRAMEWORK_STYLES[framework]["color"])

# %% [markdown]
# The legend and what stands on the axes, folded away:

# %% tags=["folded"]
def explain(axes):
    grey = {"edgecolor": "grey", "color": "white"}
    for label, look in {
            "PyTorch": plots.FRAMEWORK_STYLES["PyTorch"]["color"],
            "TensorFlow": plots.FRAMEWORK_STYLES["TensorFlow"]["color"],
            "LiteRT": grey, "ExecuTorch": grey | {"marker": "s"},
            "filled: on the front": "grey"}.items():
        look = look if isinstance(look, dict) else {"color": look}
        axes.scatter([], [], s=50, label=label, **look)
    axes.legend(loc="lower right")
    axes.annotate("better", (0.02, 0.04), (0.1, 0.14),
                  xycoords="axes fraction", arrowprops={"arrowstyle": "->"})
    of_them = [name in kept for name in files if "ExecuTorch" in name]
    rest = f", {sum(of_them) or 'none'} of ExecuTorch's {len(of_them)}"
    axes.set(title=f"On the Pareto front: {len(kept)} of {len(files)} files"
                   + (rest if of_them else ""), xlabel="size in kB",
             ylabel="median µs an image", xscale="log", yscale="log")
    axes.margins(x=0.08)
    axes.set_xticks([35, 65, 118, 230], ["35", "65", "118", "230"])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")

# %% [markdown]
# And the picture:

# %% tags=["nbval-ignore-output"]
_, axes = plt.subplots(figsize=(8.4, 5.4))
for name, file in files.items():
    framework, label = name.split(": ")
    colour = plots.FRAMEWORK_STYLES[framework]["color"]
    axes.scatter(file["bytes"] / 1000, file["microseconds"], s=50, zorder=3,
                 edgecolor=colour, color=colour if name in kept else "white",
                 marker="s" if label.startswith("Execu") else "o")
label_files(axes)
explain(axes)
plots.describe("Size against time, both logarithmic, a point for each file "
               "with its accuracy; on the front: " + ", ".join(kept))

# %% [markdown]
# **Every ExecuTorch file is out**: for each there is a LiteRT file of no more bytes that is faster.
# But a call from Python is a part of these times, through another binding for each runtime, and on a device there is neither.
# And where the clock starts decides, too: with about 5 µs for the marks, LiteRT's int8 files are little faster than ExecuTorch's, and TensorFlow's dynamic file, which takes floats, is ahead of them all.
#
# Bytes fall in steps: 229 kB for floats, half of that for 16 bits (a file that only the TensorFlow notebook makes), about 65 for 8 bits, 35 for 4.
# Down to 8 bits none of it costs half a point of accuracy.
# Weights of 4 bits cost up to two points, and here the two ways differ.
# In TensorFlow's file all four kernels have 4 bits, and training wins back most of what that costs (.868 to .882).
# PyTorch's loses nearly one point, and our training wins none of it back (.878 to .876), probably because it had rounded the first kernel, which in this file is still one of floats.
# (It is the depthwise one, and this recipe leaves those alone.)
# TensorFlow's 4-bit files are off the front all the same: PyTorch's have about the same bytes and take a quarter less time, and .882 is not clearly more than .876.
#
# What the bytes do to the *time* depends on whether the runtime has a routine for that kind of number on your processor.
# On the one that we measured, the int8 files take about half the time of floats, in both runtimes.
# But the fastest of all, by a hair, is a *dynamic* file, TensorFlow's (two of its four kernels are floats): going back to floats between the layers need not cost time.
# PyTorch's of the same name, with four kernels of 8 bits, one of them depthwise, takes nearly twice as long.
# 16-bit floats take as long as 32, and the 4-bit files, the smallest, are the slowest.
#
# So here one takes 8 bits, and 4 only where 30 kB are worth three times the time (PyTorch's file) or four times (TensorFlow's).
# On your device it may be another file: measure there.

# %% [markdown]
# ## The twin check

# %% tags=["nbval-ignore-output"]
plots.twins(mine, twin)
print(records.compare(mine, twin))
if twin:
    floats_apart = np.abs(np.subtract(
        *(record["scores"]["float_logits"] for record in (mine, twin)))).max()
    apart = records.relative_difference(mine["losses"]["loss"],
                                        twin["losses"]["loss"])
    trained_apart = np.subtract(
        *(record["scores"]["right_after_training"]
          for record in (mine, twin)))
    print(f"the float files' logits are apart by {floats_apart:.0e}")
    assert floats_apart < 1e-4
    assert apart[0] < 0.02 and abs(trained_apart) < 0.02 or not as_shipped

# %% [markdown]
# The two float files, from two frameworks and two converters, answer alike to rounding.
# The training is another story.
# The first loss is the same to rounding, the second is not: the two Adams add $\epsilon$ at different places (lesson 2), and any difference, however small, that carries a value over the middle between two marks becomes a whole mark, and a mark of 4 bits is much.
# (The ties of pooling would come on top, from the first step, if we pooled before rounding.)
# So single losses differ, mostly by one or two per cent, at worst by nearly ten, while both networks end about equally good.
# In float64, with one rule for $\epsilon$, such crossings are so rare that the proof finds the same losses for 100 steps, to a part in $10^{14}$.

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow/Keras | why it matters |
# |---|---|---|---|
# | to `.tflite` | litert-torch, a package of its own | `TFLiteConverter`, a part of TensorFlow, for the time being | one format, two ways in |
# | to `.pte` | ExecuTorch | none | a Keras model stays with LiteRT |
# | whole numbers | torchao with a quantiser of the backend; for `.tflite` the AI Edge Quantizer | options of the converter; or the AI Edge Quantizer | other names for the same ranges and scales |
# | input and output of int8 | `.pte`: floats; `.tflite` by the recipe: marks | floats, unless `inference_input_type` says marks | marks need scale and zero point, by your hand |
# | QAT of the framework | `prepare_qat_pt2e`: observers are put into the traced program | layers with `tf.quantization.fake_quant…`, which the converter recognises | here Keras needs code, PyTorch a call |
# | fails with an error | to ExecuTorch: `F.max_pool2d(x, 2)`, without a stride | a dense kernel trained with one ruler a channel | found at once |
# | fails without an error | to ExecuTorch, dynamic: convolutions with a ReLU behind them stay floats | `from_concrete_functions` drops weights; small kernels stay floats in a dynamic file; `quantize("int8")` leaves out convolutions, with a warning | check bytes and answers |
# | runtime in Python | LiteRT needs no framework; ExecuTorch's binding imports PyTorch | LiteRT needs no framework | on a device neither does |

# %% [markdown]
# ## Exercises
#
# Now you.
# A check hands your function arrays and looks at what comes back, so it is the same in both notebooks, and so is the task.

# %% tags=["pytorch", "classroom"]
from tandem.exercises import attempt
from tandem.pytorch import gradient_on_arrays, on_arrays

# %% tags=["tensorflow", "classroom"]
from tandem.exercises import attempt
from tandem.tensorflow import gradient_on_arrays, on_arrays

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the heart of the lesson with your own hands, without calling our functions (the check would let you): a dense layer that is rounded and can be trained.
#
# `energy(kernel, inputs, largest, bits)` takes a kernel (in, out) and inputs (n, in), rounds both to marks and back, multiplies them, and returns the mean of the squares of the product, one number.
# The kernel has one symmetric ruler for each of its outputs, with the marks $-(2^{\text{bits}-1} - 1)$ to $2^{\text{bits}-1} - 1$, as long as its largest weight.
# The inputs have one ruler from 0 to `largest`, with $2^\text{bits}$ marks; what lies beyond either end is clipped.
# Round first, then clip: gradients go straight through the rounding, and not through the clipping; the rulers themselves are constants to them.

# %% tags=["pytorch", "solution"]
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    ### BEGIN SOLUTION
    def straight_through(values):
        return values + (values.round() - values).detach()

    half = 2 ** (bits - 1) - 1
    step = kernel.detach().abs().amax(0) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = straight_through(inputs / width).clamp(0, 2**bits - 1)
    return (marks * width @ rounded_kernel).square().mean()
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    ### BEGIN SOLUTION
    def straight_through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    half = 2 ** (bits - 1) - 1
    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), 0)) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = tf.clip_by_value(
        straight_through(inputs / width), 0, 2**bits - 1)
    return tf.reduce_mean(tf.square((marks * width) @ rounded_kernel))
    ### END SOLUTION

# %% [markdown]
# The check computes the same in NumPy, with the gradients worked out by hand:

# %% tags=["classroom", "folded"]
def energy_by_hand(kernel, inputs, largest, bits):
    """The energy and its gradients by the kernel and by the inputs."""
    half, marks = 2 ** (bits - 1) - 1, 2**bits - 1
    step = np.abs(kernel).max(0) / half
    rounded = np.round(kernel / step) * step
    width = largest / marks
    nearest = np.round(inputs / width)
    seen = np.clip(nearest, 0, marks) * width
    product = seen @ rounded
    slope = 2 * product / product.size
    inside = (nearest >= 0) & (nearest <= marks)
    return (product**2).mean(), seen.T @ slope, slope @ rounded.T * inside


def energy_case():
    """A kernel, and inputs of which a quarter lie beyond 2."""
    rng = np.random.default_rng(17)
    kernel = rng.normal(size=(6, 4)) * [0.1, 1, 2, 5]
    inputs = rng.uniform(0.1, 1.9, (8, 6))
    inputs[:2] += 3
    return kernel, inputs

# %% [markdown]
# And now yours:

# %% tags=["check"]
kernel_given, inputs_given = energy_case()
inputs_given[2:5, 0] = 2.05, -0.05, -1
wanted, *by_hand = energy_by_hand(kernel_given, inputs_given, 2.0, 4)
given = on_arrays(energy, kernel_given, inputs_given, 2.0, 4)
assert np.shape(given) == (), "one number is wanted: the mean of squares"
assert np.isclose(given, wanted), (
    f"the energy is {wanted:.4f}, not {float(given):.4f}; has each output "
    "a ruler of its own, of 15 marks, and the inputs 16 from 0 to 2, the "
    "last for all beyond, the first for all below?")
two_given, slopes = [kernel_given, inputs_given], []
for turn in (1, -1):  # by the kernel, then by the inputs
    try:
        slopes.append(gradient_on_arrays(
            lambda *two: energy(*two[::turn], 2.0, 4), *two_given[::turn]))
    except AssertionError:
        slopes.append(0)
assert np.any(slopes[0]), "no gradient reaches the kernel: round has none"
assert np.allclose(slopes[0], by_hand[0]), (
    "the value is right, the gradient by the kernel is not: straight "
    "through the rounding, and none through the ruler's length")
assert np.any(slopes[1]), "no gradient reaches the inputs: round has none"
assert np.allclose(slopes[1], by_hand[1]), (
    "the gradient by the inputs is not right: inputs whose mark lies off "
    "the ruler (3, -1) have none; 2.05 and -0.05, rounded first, have one")

# %% tags=["hidden"]
kernel_given, inputs_given = energy_case()
wanted, _, by_inputs = energy_by_hand(
    kernel_given, inputs_given, 2.0, 3)
given = on_arrays(energy, kernel_given, inputs_given, 2.0, 3)
assert np.isclose(given, wanted), "with 3 bits the energy is not right"
wanted, *_ = energy_by_hand(kernel_given, inputs_given, 1.25, 5)
given = on_arrays(energy, kernel_given, inputs_given, 1.25, 5)
assert np.isclose(given, wanted), (
    "with 5 bits, and inputs up to 1.25, the energy is not right")


def of_inputs(inputs, kernel):
    return energy(kernel, inputs, 2.0, 3)


slope = gradient_on_arrays(of_inputs, inputs_given, kernel_given)
assert np.allclose(slope, by_inputs), (
    "an input beyond the end of the ruler is clipped: no gradient there")

# %% tags=["pytorch", "wrong"] mistake="no straight-through"
def energy(kernel, inputs, largest, bits):
    half = 2 ** (bits - 1) - 1
    step = kernel.detach().abs().amax(0) / half
    width = largest / (2**bits - 1)
    marks = (inputs / width).round().clamp(0, 2**bits - 1)
    return (marks * width @ ((kernel / step).round() * step)).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="no straight-through"
def energy(kernel, inputs, largest, bits):
    half = 2 ** (bits - 1) - 1
    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), 0)) / half
    width = largest / (2**bits - 1)
    marks = tf.clip_by_value(tf.round(inputs / width), 0, 2**bits - 1)
    rounded = tf.round(kernel / step) * step
    return tf.reduce_mean(tf.square((marks * width) @ rounded))

# %% tags=["pytorch", "wrong"] mistake="one ruler for the whole kernel"
def energy(kernel, inputs, largest, bits):
    def through(values):
        return values + (values.round() - values).detach()

    step = kernel.detach().abs().max() / (2 ** (bits - 1) - 1)
    width = largest / (2**bits - 1)
    marks = through(inputs / width).clamp(0, 2**bits - 1)
    return (marks * width @ (through(kernel / step) * step)).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="one ruler for the whole kernel"
def energy(kernel, inputs, largest, bits):
    def through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel)))
    step = step / (2 ** (bits - 1) - 1)
    width = largest / (2**bits - 1)
    marks = tf.clip_by_value(through(inputs / width), 0, 2**bits - 1)
    rounded = through(kernel / step) * step
    return tf.reduce_mean(tf.square((marks * width) @ rounded))

# %% tags=["pytorch", "wrong"] mistake="a gradient through the ruler"
def energy(kernel, inputs, largest, bits):
    def through(values):
        return values + (values.round() - values).detach()

    step = kernel.abs().amax(0) / (2 ** (bits - 1) - 1)
    width = largest / (2**bits - 1)
    marks = through(inputs / width).clamp(0, 2**bits - 1)
    return (marks * width @ (through(kernel / step) * step)).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="a gradient through the ruler"
def energy(kernel, inputs, largest, bits):
    def through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    step = tf.reduce_max(tf.abs(kernel), 0) / (2 ** (bits - 1) - 1)
    width = largest / (2**bits - 1)
    marks = tf.clip_by_value(through(inputs / width), 0, 2**bits - 1)
    rounded = through(kernel / step) * step
    return tf.reduce_mean(tf.square((marks * width) @ rounded))

# %% tags=["pytorch", "wrong"] mistake="straight through the clipping too"
def energy(kernel, inputs, largest, bits):
    step = kernel.detach().abs().amax(0) / (2 ** (bits - 1) - 1)
    rounded = kernel + ((kernel / step).round() * step - kernel).detach()
    width = largest / (2**bits - 1)
    marks = (inputs / width).round().clamp(0, 2**bits - 1)
    seen = inputs + (marks * width - inputs).detach()
    return (seen @ rounded).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="straight through the clipping too"
def energy(kernel, inputs, largest, bits):
    step = tf.reduce_max(tf.abs(kernel), 0) / (2 ** (bits - 1) - 1)
    rounded = kernel + tf.stop_gradient(
        tf.round(kernel / step) * step - kernel)
    width = largest / (2**bits - 1)
    marks = tf.clip_by_value(tf.round(inputs / width), 0, 2**bits - 1)
    seen = inputs + tf.stop_gradient(marks * width - inputs)
    return tf.reduce_mean(tf.square(seen @ rounded))

# %% [markdown] tags=["hint"]
# Four lines each for the kernel and the inputs: divide by the step, round, (clip,) multiply by the step.
# For the gradient of the rounding, add to the value what rounding changes, as a constant.

# %% tags=["pytorch", "wrong"] mistake="clips before rounding"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + (values.round() - values).detach()

    half = 2 ** (bits - 1) - 1
    step = kernel.detach().abs().amax(0) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = straight_through(inputs.clamp(0, largest) / width)
    return (marks * width @ rounded_kernel).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="clips before rounding"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    half = 2 ** (bits - 1) - 1
    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), 0)) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = straight_through(
        tf.clip_by_value(inputs, 0, largest) / width)
    return tf.reduce_mean(tf.square((marks * width) @ rounded_kernel))

# %% tags=["pytorch", "wrong"] mistake="clips at the far end only"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + (values.round() - values).detach()

    half = 2 ** (bits - 1) - 1
    step = kernel.detach().abs().amax(0) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = straight_through(inputs / width).clamp(max=2**bits - 1)
    return (marks * width @ rounded_kernel).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="clips at the far end only"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    half = 2 ** (bits - 1) - 1
    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), 0)) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = tf.minimum(
        straight_through(inputs / width), 2**bits - 1)
    return tf.reduce_mean(tf.square((marks * width) @ rounded_kernel))

# %% tags=["pytorch", "wrong"] mistake="stops the gradient of the inputs"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + (values.round() - values).detach()

    half = 2 ** (bits - 1) - 1
    step = kernel.detach().abs().amax(0) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = (inputs / width).round().clamp(0, 2**bits - 1)
    return (marks * width @ rounded_kernel).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="stops the gradient of the inputs"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    half = 2 ** (bits - 1) - 1
    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), 0)) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (2**bits - 1)
    marks = tf.clip_by_value(
        tf.round(inputs / width), 0, 2**bits - 1)
    return tf.reduce_mean(tf.square((marks * width) @ rounded_kernel))

# %% tags=["pytorch", "wrong"] mistake="lays every ruler for 4 bits"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + (values.round() - values).detach()

    half = 7
    step = kernel.detach().abs().amax(0) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (15)
    marks = straight_through(inputs / width).clamp(0, 15)
    return (marks * width @ rounded_kernel).square().mean()

# %% tags=["pytorch", "wrong"] mistake="lays the inputs' ruler to 2"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + (values.round() - values).detach()

    half = 2 ** (bits - 1) - 1
    step = kernel.detach().abs().amax(0) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = 2.0 / (2**bits - 1)
    marks = straight_through(inputs / width).clamp(0, 2**bits - 1)
    return (marks * width @ rounded_kernel).square().mean()

# %% tags=["tensorflow", "wrong"] mistake="lays every ruler for 4 bits"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    half = 7
    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), 0)) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = largest / (15)
    marks = tf.clip_by_value(
        straight_through(inputs / width), 0, 15)
    return tf.reduce_mean(tf.square((marks * width) @ rounded_kernel))

# %% tags=["tensorflow", "wrong"] mistake="lays the inputs' ruler to 2"
def energy(kernel, inputs, largest, bits):
    """The mean square of the rounded inputs times the rounded kernel."""
    def straight_through(values):
        return values + tf.stop_gradient(tf.round(values) - values)

    half = 2 ** (bits - 1) - 1
    step = tf.stop_gradient(tf.reduce_max(tf.abs(kernel), 0)) / half
    rounded_kernel = straight_through(kernel / step) * step
    width = 2.0 / (2**bits - 1)
    marks = tf.clip_by_value(
        straight_through(inputs / width), 0, 2**bits - 1)
    return tf.reduce_mean(tf.square((marks * width) @ rounded_kernel))

# %% [markdown] tags=["exercise"] exercise="ruler" points=3
# ### Exercise 2: a ruler for any values
#
# In the lesson somebody told `to_marks` the range.
# Write `ruler_for(values)`, in NumPy, which finds it: it returns the marks of the values as `int8`, −128 to 127, the scale, and the zero point, a whole number.
# The ruler is as short as it can be, but zero must lie on it, exactly on a mark, whatever the values are.
# (The zero point may come from rounding, so allow the outermost value half a step more.)
# The scale is never 0, and the array that came in stays as it is.

# %% tags=["pytorch", "solution"]
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    ### BEGIN SOLUTION
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    ### BEGIN SOLUTION
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point
    ### END SOLUTION

# %% [markdown]
# The check goes back from marks to values, in several ranges:

# %% tags=["classroom", "folded"]
def ruler_problem(find, values, wanted_scale):
    """What is wrong with the ruler for these values, as a sentence."""
    marks, scale, zero_point = find(values.copy())
    if getattr(marks, "dtype", None) != np.int8:
        return "the marks are wanted as an array of int8"
    if marks.shape != values.shape:
        return f"the marks have shape {marks.shape}, not {values.shape}"
    if zero_point != int(zero_point) or not -128 <= zero_point <= 127:
        return f"the zero point is {zero_point}: not one of the marks"
    if not scale > 0:
        return f"the scale is {scale}"
    if not np.isclose(scale, wanted_scale, rtol=0.01):
        return (f"for values from {values.min()} to {values.max()} the "
                f"scale is {wanted_scale:.5f}, not {scale:.5f}")
    off = np.abs((marks.astype(int) - zero_point) * scale - values).max()
    if off > scale * 1.01:
        return f"back from its mark, a value is off by {off / scale:.1f} steps"
    inner = values[(values > values.min()) & (values < values.max())]
    back = (marks.astype(int) - zero_point) * scale - values
    off = np.abs(back[np.isin(values, inner)]).max(initial=0)
    return "" if off < 0.51 * scale else (
        f"a value is off by {off / scale:.2f} steps; the nearest mark is "
        "never more than half a step away")

# %% [markdown]
# And now yours:

# %% tags=["check"]
cases = {"on both sides of zero": (np.linspace(-1, 3, 401), 4 / 255),
         "as far below zero as above": (np.linspace(-1, 1, 999), 2 / 255),
         "that are all positive": (np.linspace(2, 5, 301), 5 / 255),
         "that are all negative": (np.linspace(-7, -3, 401), 7 / 255),
         "of shape (20, 20)": (np.linspace(-1, 3, 400).reshape(20, 20),
                               4 / 255)}
for which, (values_given, step_given) in cases.items():
    kept = values_given.copy()
    found = ruler_for(values_given)
    assert isinstance(found, (tuple, list)) and len(found) == 3, (
        "three things are wanted: marks, scale, zero point")
    assert np.array_equal(values_given, kept), (
        "`ruler_for` changes the array that it is given")
    problem = ruler_problem(ruler_for, values_given, step_given)
    assert not problem, f"values {which}: {problem}"
try:
    marks_given, step_given, zero_given = ruler_for(np.zeros((2, 3)))
except (ValueError, ZeroDivisionError) as error:
    marks_given, step_given, zero_given = error, 0, 0
assert step_given > 0 and np.all(marks_given == zero_given), (
    "values that are all zero want a scale above 0, and the zero point as "
    "their marks")

# %% tags=["hidden"]
problem = ruler_problem(ruler_for, np.linspace(2, 5, 301), 5 / 255)
assert not problem, f"values that are all positive: {problem}"
small = np.linspace(-1e-6, 3e-6, 401)
problem = ruler_problem(ruler_for, small, 4e-6 / 255)
assert not problem, f"values of some millionths: {problem}"
assert 0.99 < ruler_for(small)[1] / (4e-6 / 255) < 1.01, (
    "for values of some millionths the ruler is not as short as it can be")
negative = np.linspace(-7, -3, 401).reshape(1, -1)
problem = ruler_problem(ruler_for, negative, 7 / 255)
assert not problem, f"values that are all negative: {problem}"
zeros = ruler_for(np.zeros((2, 2)))
assert zeros[1] > 0 and np.all(zeros[0] == zeros[2]), (
    "values that are all zero: the scale must not be 0")

# %% tags=["pytorch", "wrong"] mistake="forgets that zero must be on it"
def ruler_for(values):
    lowest, highest = values.min(), values.max()
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="forgets that zero must be on it"
def ruler_for(values):
    lowest, highest = values.min(), values.max()
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["pytorch", "wrong"] mistake="cuts off in place of rounding"
def ruler_for(values):
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(-128 - lowest / scale)
    marks = (values / scale).astype(int) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="cuts off in place of rounding"
def ruler_for(values):
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(-128 - lowest / scale)
    marks = (values / scale).astype(int) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["pytorch", "wrong"] mistake="a symmetric ruler"
def ruler_for(values):
    scale = np.abs(values).max() / 127 or 1.0
    return np.round(values / scale).astype("int8"), scale, 0

# %% tags=["tensorflow", "wrong"] mistake="a symmetric ruler"
def ruler_for(values):
    scale = np.abs(values).max() / 127 or 1.0
    return np.round(values / scale).astype("int8"), scale, 0

# %% [markdown] tags=["hint"]
# The lowest mark, −128, stands for the lowest value: from $-128 = \text{lowest} / s + z$ follows the zero point.
# What are the lowest and the highest value that the ruler has to reach, if zero must be on it?

# %% tags=["pytorch", "wrong"] mistake="reaches zero from above only"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), values.max()
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["pytorch", "wrong"] mistake="leaves the scale at 0"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["pytorch", "wrong"] mistake="does not clip"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return marks.astype("int8"), scale, zero_point

# %% tags=["pytorch", "wrong"] mistake="changes the array that came in"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    values /= scale
    marks = np.round(values) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["pytorch", "wrong"] mistake="256 steps"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 256 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["pytorch", "wrong"] mistake="adds a small constant to the scale"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 + 1e-8
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="reaches zero from above only"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), values.max()
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="leaves the scale at 0"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="does not clip"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return marks.astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="changes the array that came in"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    values /= scale
    marks = np.round(values) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="256 steps"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 256 or 1.0
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% tags=["tensorflow", "wrong"] mistake="adds a small constant to the scale"
def ruler_for(values):
    """Marks (int8, the shape of values), scale, and zero point (int)."""
    lowest, highest = min(values.min(), 0), max(values.max(), 0)
    scale = (highest - lowest) / 255 + 1e-8
    zero_point = int(np.round(-128 - lowest / scale))
    marks = np.round(values / scale) + zero_point
    return np.clip(marks, -128, 127).astype("int8"), scale, zero_point

# %% [markdown] tags=["exercise"] exercise="in-the-file" points=4
# ### Exercise 3: what is in the file *(optional)*
#
# A `.tflite` file of whole numbers holds marks, scales and zero points, and you know what they mean.
# Get the weights out again.
#
# `weights_in(content)` takes the bytes of a file and returns a list of arrays of floats: every kernel in it that has more than one scale, in any order, each in the shape that it has in the file.
# (Biases have several scales, too, and are whole numbers of 32 bits, `int32`; leave them out.)
# `reader.get_tensor_details()` of an interpreter lists the tensors; of each, `"quantization_parameters"` holds `scales`, `zero_points` and `quantized_dimension`, the axis along which the scales go; `reader.get_tensor(index)` gives the marks, once `reader.allocate_tensors()` was called.
# (Of a tensor that only a run fills, with one scale, it says "Tensor data is null": you need none of these.)

# %% tags=["pytorch", "solution"]
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    ### BEGIN SOLUTION
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return kernels_found
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    ### BEGIN SOLUTION
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return kernels_found
    ### END SOLUTION

# %% [markdown]
# The check knows the weights that went in.
# It looks at the lesson's int8 file, which holds four such kernels; yours should do for any other, too.

# %% tags=["classroom", "folded"]
def same_weights(given, kernel):
    """Whether these are the numbers of a kernel, to half a mark."""
    outputs = kernel.shape[-1]
    axis = [n for n, size in enumerate(given.shape) if size == outputs]
    step = np.abs(kernel).max() / 127
    return any(np.abs(
        np.moveaxis(given, n, -1).reshape(kernel.shape) - kernel
    ).max() < 0.51 * step for n in (axis[0], axis[-1]))

# %% [markdown]
# And now yours:

# %% tags=["check"]
int8_content = paths["LiteRT int8"].read_bytes()
with quietly():
    given = weights_in(int8_content)
assert isinstance(given, list) and given, "a list of arrays is wanted"
given = [np.asarray(one) for one in given]
for name_given in ("convolution_2", "convolution_3", "output",
                   "convolution_1"):
    kernel_given = classifier_weights[name_given]["kernel"]
    fitting = [one for one in given if np.size(one) == kernel_given.size]
    assert fitting, f"none has {kernel_given.size} numbers ({name_given})"
    assert np.abs(fitting[0]).max() < 5, "those are marks, not weights"
    stored = np.moveaxis(kernel_given, -1, 0).shape
    assert fitting[0].shape in (stored, (1, 3, 3, 32)), (
        f"{name_given} is {stored} in the file, not {fitting[0].shape}")
    assert same_weights(fitting[0], kernel_given), (
        f"{name_given} is off by more than half a mark: each output has a "
        "scale, along the axis that the file names")
assert len(given) == 4, (
    f"{len(given)} arrays come back: the four kernels, and what else?")

# %% tags=["hidden"]
for name_given in ("convolution_1", "convolution_3"):
    kernel_given = classifier_weights[name_given]["kernel"]
    fitting = [one for one in given if np.size(one) == kernel_given.size]
    assert fitting and same_weights(fitting[0], kernel_given), (
        f"{name_given} is not right: the axis of the scales is in the file")
with quietly():
    assert weights_in(paths["LiteRT float"].read_bytes()) == [], (
        "a file of floats has no marks: an empty list")
with quietly():
    dynamic = weights_in(paths["LiteRT dynamic"].read_bytes())
kernel_given = classifier_weights["convolution_3"]["kernel"]
fitting = [one for one in dynamic if np.size(one) == kernel_given.size]
assert fitting and same_weights(fitting[0], kernel_given), (
    "a dynamic file holds marks for its kernels, too")

# %% tags=["pytorch", "wrong"] mistake="the first scale for all"
def weights_in(content):
    reader = Interpreter(model_content=content)
    reader.allocate_tensors()
    return [reader.get_tensor(tensor["index"]).astype("float32")
            * tensor["quantization_parameters"]["scales"][0]
            for tensor in reader.get_tensor_details()
            if tensor["dtype"] == np.int8
            and len(tensor["quantization_parameters"]["scales"]) > 1]

# %% tags=["tensorflow", "wrong"] mistake="the first scale for all"
def weights_in(content):
    reader = Interpreter(model_content=content)
    reader.allocate_tensors()
    return [reader.get_tensor(tensor["index"]).astype("float32")
            * tensor["quantization_parameters"]["scales"][0]
            for tensor in reader.get_tensor_details()
            if tensor["dtype"] == np.int8
            and len(tensor["quantization_parameters"]["scales"]) > 1]

# %% tags=["pytorch", "wrong"] mistake="hands out the marks"
def weights_in(content):
    reader = Interpreter(model_content=content)
    reader.allocate_tensors()
    return [reader.get_tensor(tensor["index"]).astype("float32")
            for tensor in reader.get_tensor_details()
            if tensor["dtype"] == np.int8
            and len(tensor["quantization_parameters"]["scales"]) > 1]

# %% tags=["tensorflow", "wrong"] mistake="hands out the marks"
def weights_in(content):
    reader = Interpreter(model_content=content)
    reader.allocate_tensors()
    return [reader.get_tensor(tensor["index"]).astype("float32")
            for tensor in reader.get_tensor_details()
            if tensor["dtype"] == np.int8
            and len(tensor["quantization_parameters"]["scales"]) > 1]

# %% tags=["pytorch", "wrong"] mistake="only the largest kernels"
def weights_in(content):
    reader, found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(how["scales"]) == 64:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            found.append(marks * how["scales"].reshape(-1, 1, 1, 1))
    return found

# %% tags=["tensorflow", "wrong"] mistake="only the largest kernels"
def weights_in(content):
    reader, found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(how["scales"]) == 64:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            found.append(marks * how["scales"].reshape(-1, 1, 1, 1))
    return found

# %% [markdown] tags=["hint"]
# Scales that go along axis 3 of four have to become an array of shape (1, 1, 1, n) before you multiply.

# %% tags=["pytorch", "wrong"] mistake="leaves the biases in"
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if len(how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return kernels_found

# %% tags=["pytorch", "wrong"] mistake="convolutions only"
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(tensor["shape"]) == 4 and len(
                how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return kernels_found

# %% tags=["pytorch", "wrong"] mistake="turns the axes"
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return [np.moveaxis(one, 0, -1) for one in kernels_found]

# %% tags=["tensorflow", "wrong"] mistake="leaves the biases in"
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if len(how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return kernels_found

# %% tags=["tensorflow", "wrong"] mistake="convolutions only"
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(tensor["shape"]) == 4 and len(
                how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return kernels_found

# %% tags=["tensorflow", "wrong"] mistake="turns the axes"
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[how["quantized_dimension"]] = -1
            centred = marks - how["zero_points"].reshape(along)
            kernels_found.append(centred * how["scales"].reshape(along))
    return [np.moveaxis(one, 0, -1) for one in kernels_found]

# %% tags=["pytorch", "wrong"] mistake="takes the first axis for every kernel"
def weights_in(content):
    """A list of float arrays, from the bytes of a .tflite file."""
    reader, kernels_found = Interpreter(model_content=content), []
    reader.allocate_tensors()
    for tensor in reader.get_tensor_details():
        how = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(how["scales"]) > 1:
            marks = reader.get_tensor(tensor["index"]).astype("float32")
            along = [1] * marks.ndim
            along[0] = -1
            centred = marks - 0
            kernels_found.append(centred * how["scales"].reshape(-1, *[1] * (marks.ndim - 1)))
    return kernels_found

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - **Scale and zero point** lay a ruler over a range; a value becomes the number of its nearest mark, zero lies exactly on one, and a layer multiplies marks and puts the scales on at the end.
# - **Calibration**: the range of what depends on the image has to be measured before, on images of the kind that will come.
# - **One scale a channel** costs next to nothing, and saved 14 points at 4 bits.
# - **Training through rounding** is fake quantisation with a straight-through gradient; it wins back most of what 4 bits lose, if the file rounds the kernels that it rounded, and at 8 bits there is nothing to win.
# - **What converters refuse** they say in their own words; what they get wrong they do not say: compare bytes and answers.
# - **Which file**: those on the Pareto front, measured where they will run.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters.
#
# 1. Set `bits = 3`, and `epochs = 4`.
#    How much of what 3 bits lose does training win back?
# 2. Set `calibration_size = 1`.
#    Which of the files notice?
# 3. Calibrate with images that somebody forgot to scale, `(train_images[:calibration_size] + 1) / 2`, both where `ranges` is made and as `calibration_images`.
#    (In PyTorch, take the last `assert` out of the cell that opens `ExecuTorch_int8.pte`, too.)
#    What happens to the ranges, and to the int8 files?
#    And with noise from −1 to 1: why does that do so little harm?
# 4. Put the recipe `weight_only_wi4_afp32` in the place of `dynamic_wi4_afp32` where the two 4-bit files are made (their names stay: the record knows no others), then `dynamic_wi2c_afp32`, of 2 bits.
#    Where on the picture do they land, and how many answers are right?
# 5. Leave out `detach` (PyTorch) or `stop_gradient` (Keras) around the rounding in `fake_quantise`.
#    What does training do then?
#
# ## Read on
#
# - Jacob and others, *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference* (2017): [arXiv:1712.05877](https://arxiv.org/abs/1712.05877), where rulers, fake quantisation and whole-number layers come from
# - Bengio, Léonard and Courville, *Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation* (2013): [arXiv:1308.3432](https://arxiv.org/abs/1308.3432), the straight-through estimator
# - Nagel and others, *A White Paper on Neural Network Quantization* (2021): [arXiv:2106.08295](https://arxiv.org/abs/2106.08295)
# - [ExecuTorch](https://docs.pytorch.org/executorch/stable/index.html), [LiteRT](https://ai.google.dev/edge/litert), [torchao](https://docs.pytorch.org/ao/stable/index.html), [AI Edge Quantizer](https://github.com/google-ai-edge/ai-edge-quantizer)
#
# The files of this lesson need a runtime that somebody installs.
# One machine is on every desk and in every pocket, and installs nothing: the browser.
# Lesson 18 takes the same network there.
