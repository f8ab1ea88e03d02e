# ---
# minutes: {read: 58, run: 2, exercises: 40}
# seconds: 150
# memory_mb: 1450
# alone: true
# needs: []
# proof: training
# ---

# %% [markdown]
# # 20 · Speed
#
# Which is faster? First six ways to get that wrong, each measured, then a comparison that can be trusted, and what a machine's limit has to say about both.
#
# **You will build** a measuring function that is fair, and with it the table of this framework's ways to train three networks of this curriculum.
#
# **You will learn** what makes a comparison of speeds worthless, and how far off each mistake is; what compiling a network costs and when it pays; how far from the machine's limit a training step is; and what can be said about the claim that PyTorch trains faster; in optional sections, where a profiler says that the time goes, what 16 bits gain, and what a larger batch or network costs.
#
# **You need** the networks of lessons 2, 6 and 8, what a graph is (lesson 3), and what a pipeline is (lesson 5).
#
# Sections marked *optional* are not counted in the reading time: they take twenty minutes more, and nothing later needs what they say (but run them: the record keeps numbers from one).

# %% [markdown]
# Lesson 19 measured a server with a few hundred requests and a median of three, on a machine that had other things to do.
# That is enough to see that batching pays and not enough to say that one thing is a tenth faster than another.
# This lesson is about the second kind of sentence.
#
# It measures the machine that it runs on, so give it the machine: close what else is at work, run one of the two notebooks, shut its kernel down, and only then open the other.
#
# ## Set-up

# %% tags=["pytorch", "network"]
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

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

from tandem import data, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# What only the measuring needs, the processor's name among it:

# %%
import atexit
import contextlib
import ctypes
import gc
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import threading
import time

import tandem
from tandem.threads import cores


def processor():
    """What the system calls it."""
    with contextlib.suppress(OSError):  # there is such a file on Linux
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()

# %% [markdown]
# ## Parameters
#
# The networks have the sizes that they had in their lessons.

# %% tags=["parameters", "network"]
rounds = 7  # 3 to 1000: of each comparison
block_seconds = 0.15  # 0.01 to 60: of steps, timed at once
batch_size = 64  # 1 to 4096: images a step
text_batch = 16  # 1 to 1024: windows of text a step
hidden_width = 256  # 1 to 10000: of the dense network
channels = 16  # 1 to 256: of the convolutional one; twice doubled
width = 64  # 4 to 1024: numbers that stand for a character in it
blocks = 2  # 1 to 24: of the transformer
context = 64  # 16 to 256: characters that the transformer sees
heads = 4  # 1 to 64, divides width: of its attention
learning_rate = 1e-3  # above 0 to 1: Adam's default
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.999  # 0 to below 1: Adam's memory of their squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
seed = 0  # 0 to 2**32 - 1: of weights and batches
# 1: in Keras' notebook PyTorch's process also compiles, which takes memory
compiled_guest = 0  # 0 to 1

# %% [markdown]
# What a machine makes of these values is *asserted* in bounds, and only for the values above.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("20_speed", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## One place for what decides speed
#
# A time without these lines means nothing to anybody else, so they are set in one place and printed.
# (Where the system tells little of the processor, add its name.)
# The precision of multiplications was set when `tandem`'s part for this framework was imported (TF32, with which a GPU multiplies faster and coarser, is off in both).
# What a run leaves on the disk, such as compiled code, goes into one temporary folder that disappears with the kernel.

# %% tags=["pytorch", "nbval-ignore-output"]
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)
os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "inductor")
# compile in this process: workers would stay, and need memory
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

used_threads = max(1, cores() - 1)  # one is left to everything else
torch.set_num_threads(used_threads)
settings = {
    "processor": processor(),
    "device": accelerator.type if accelerator else "CPU",
    "threads": f"{used_threads} of {cores()} cores",
    "matmul precision": torch.get_float32_matmul_precision(),
    "version": f"PyTorch {torch.__version__.split('+')[0]}",
}
print("\n".join(f"{name:17} {value}" for name, value in settings.items()))

# %% [markdown] tags=["pytorch"]
# "highest" says that float32 is multiplied as float32.

# %% tags=["tensorflow", "nbval-ignore-output"]
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)
tf.get_logger().setLevel("ERROR")  # we make many graphs on purpose
gpus = tf.config.list_physical_devices("GPU")
used_threads = max(1, cores() - 1)  # one is left to everything else
tf.config.threading.set_intra_op_parallelism_threads(used_threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
exact = not tf.config.experimental.tensor_float_32_execution_enabled()
settings = {
    "processor": processor(),
    "device": "GPU" if gpus else "CPU",
    "threads": f"{used_threads} of {cores()} cores",
    "operations at once":
        tf.config.threading.get_inter_op_parallelism_threads(),
    "TF32": "off" if exact else "on",
    "version": f"TensorFlow {tf.__version__}, Keras {keras.__version__}",
}
print("\n".join(f"{name:19} {value}" for name, value in settings.items()))

# %% [markdown] tags=["tensorflow"]
# On a GPU TensorFlow's own default is TF32 *on*, PyTorch's for matrix products *off*: two notebooks that set nothing compare two precisions.
# And of a graph TensorFlow runs operations *beside each other* that do not need each other, by default as many as there are cores, whatever the number of threads for one operation says.
# PyTorch runs them one after the other, so we ask that of TensorFlow, too; section 4 says what it is worth.

# %% [markdown]
# ## Three networks, told again
#
# A **dense** one (lesson 2: 784 pixels, one hidden layer), a **convolutional** one (lesson 6: seven convolutions with batch norm, four of which form two pairs, and what a pair computes is added to its input; its dropout is left out), and a **transformer** (lesson 8: two blocks that predict the next character).
# The data are theirs, too: clothes and Shakespeare.

# %% tags=["network"]
images, labels = data.fashion_mnist(1_000)[0]
text = data.shakespeare()[0]
characters = sorted(set(text))
index_of = {character: index for index, character in enumerate(characters)}
tokens = np.array([index_of[one] for one in text[:200_000]], "int64")


def batches(seed):
    """Tuples of images, labels, windows of text, and their next tokens."""
    rng = np.random.default_rng((seed, 20))
    while True:
        chosen = rng.integers(0, len(images), batch_size)
        starts = rng.integers(0, len(tokens) - context, text_batch)
        window = starts[:, None] + np.arange(context)
        yield (images[chosen], labels[chosen],
               tokens[window], tokens[window + 1])

# %% [markdown]
# Their starting weights belong to no framework, as always.
# The functions that build the networks read the sizes off them.

# %% tags=["network"]
def dense_weights(rng, wide=hidden_width):
    return {"hidden": weights.dense(rng, 784, wide),
            "output": weights.dense(rng, wide, 10)}


def convolutional_weights(rng, narrow=channels):
    sizes = {"stem": (1, narrow), "middle": (narrow, 2 * narrow),
             "middle_first": (2 * narrow, 2 * narrow),
             "middle_second": (2 * narrow, 2 * narrow),
             "deep": (2 * narrow, 4 * narrow),
             "deep_first": (4 * narrow, 4 * narrow),
             "deep_second": (4 * narrow, 4 * narrow)}
    found = {}
    for name, size in sizes.items():
        found[name] = weights.convolution(rng, 3, *size, "he", bias=False)
        found[f"{name}_norm"] = weights.batch_norm(size[1])
    return found | {"output": weights.dense(rng, 4 * narrow, 10)}

# %% [markdown]
# And the transformer's:

# %% tags=["network"]
def transformer_weights(rng):
    def dense(*sizes):
        return weights.dense(rng, *sizes, 0.02)

    count = len(characters)
    found = {"tokens": weights.embedding(rng, count, width, 0.02),
             "positions": weights.embedding(rng, context, width, 0.02)}
    for n in range(blocks):
        found |= {f"block{n}_attention_norm": weights.layer_norm(width),
                  f"block{n}_query_key_value": dense(width, 3 * width),
                  f"block{n}_projection": dense(width, width),
                  f"block{n}_feed_forward_norm": weights.layer_norm(width),
                  f"block{n}_expand": dense(width, 4 * width),
                  f"block{n}_contract": dense(4 * width, width)}
    return found | {"final_norm": weights.layer_norm(width),
                    "output": dense(width, count)}


def starting_weights(seed):
    rng = weights.generator(seed)
    return {"dense": dense_weights(rng),
            "convolutional": convolutional_weights(rng),
            "transformer": transformer_weights(rng)}

# %% [markdown]
# The networks themselves, as short as they go.

# %% tags=["pytorch", "network"]
def build_dense(starting):
    wide = len(starting["hidden"]["bias"])
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, wide), nn.ReLU(),
                            nn.Linear(wide, 10))
    return load_weights(network, starting).to(device)


def normalised(inputs, outputs):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.change = nn.Sequential(
            normalised(size, size), nn.ReLU(), normalised(size, size))

    def forward(self, maps):
        return F.relu(maps + self.change(maps))

# %% [markdown] tags=["pytorch"]
# With `channels_last` some convolutions are faster (lesson 6): on CPUs, and on GPUs in reduced precision.

# %% tags=["pytorch", "network"]
def build_convolutional(starting):
    size = len(starting["stem_norm"]["gamma"])
    network = nn.Sequential(
        normalised(1, size), nn.ReLU(), nn.MaxPool2d(2),
        normalised(size, 2 * size), nn.ReLU(), Residual(2 * size),
        nn.MaxPool2d(2),
        normalised(2 * size, 4 * size), nn.ReLU(), Residual(4 * size),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * size, 10))
    network = load_weights(network, starting).to(device)
    return network.to(memory_format=torch.channels_last)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

# %% [markdown] tags=["pytorch"]
# What a block computes (a subclass only to make two cells of it), and the transformer around it:

# %% tags=["pytorch", "network"]
class Attending(Block):
    def forward(self, x):
        packed = self.query_key_value(self.attention_norm(x))
        parts = packed.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*parts, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).flatten(2))
        hidden = F.gelu(self.expand(self.feed_forward_norm(x)))
        return x + self.contract(hidden)


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(characters), width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Attending() for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, len(characters))

    def forward(self, given):
        places = torch.arange(given.shape[1], device=given.device)
        x = self.tokens(given) + self.positions(places)
        return self.output(self.norm(self.blocks(x)))

# %% [markdown] tags=["pytorch"]
# One step serves all three: what a network answers is a row of logits for each label.

# %% tags=["pytorch", "network"]
def build_transformer(starting):
    return load_weights(Transformer(), starting).to(device)


def build_optimizer(network, **more):
    return torch.optim.Adam(network.parameters(), lr=learning_rate,
                            betas=(beta_1, beta_2), eps=epsilon, **more)


def one_step(network, optimizer, inputs, targets):
    optimizer.zero_grad()
    logits = network(inputs)
    loss = F.cross_entropy(logits.flatten(0, -2), targets.flatten())
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% [markdown] tags=["pytorch"]
# The twin proof (lessons 0 and 4) takes a step of all three at once:

# %% tags=["pytorch", "network"]
def to_tensors(images, labels, tokens, following):
    images = torch.as_tensor(images, device=device).unsqueeze(1)
    images = images.contiguous(memory_format=torch.channels_last)
    rest = (labels, tokens, following)
    return images, *(torch.as_tensor(one, device=device) for one in rest)


def train_step(dense, convolutional, transformer, dense_optimizer,
               convolutional_optimizer, transformer_optimizer,
               images, labels, tokens, following):
    return (one_step(dense, dense_optimizer, images, labels),
            one_step(convolutional, convolutional_optimizer, images, labels),
            one_step(transformer, transformer_optimizer, tokens, following))


@torch.inference_mode()
def evaluate_dense(network, images, *_):
    return network.eval()(images)


evaluate_convolutional = evaluate_dense


def evaluate_transformer(network, *tensors):
    return evaluate_dense(network, tensors[2])

# %% tags=["tensorflow", "network"]
def build_dense(starting):
    network = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Flatten(),
        layers.Dense(len(starting["hidden"]["bias"]), "relu"),
        layers.Dense(10)])
    return load_weights(network, starting)


def normalised(maps, size):
    maps = layers.Conv2D(size, 3, padding="same", use_bias=False)(maps)
    # Keras' defaults are .99 and 1e-3; these are PyTorch's
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(maps)


def residual(maps):
    size = maps.shape[-1]
    change = layers.ReLU()(normalised(maps, size))
    return layers.ReLU()(layers.Add()([maps, normalised(change, size)]))

# %% [markdown] tags=["tensorflow"]
# The convolutional one, and the parts of a transformer's block:

# %% tags=["tensorflow", "network"]
def build_convolutional(starting):
    size = len(starting["stem_norm"]["gamma"])
    given = keras.Input((28, 28, 1))
    maps = layers.ReLU()(normalised(given, size))
    maps = layers.MaxPooling2D()(maps)
    maps = residual(layers.ReLU()(normalised(maps, 2 * size)))
    maps = layers.MaxPooling2D()(maps)
    maps = residual(layers.ReLU()(normalised(maps, 4 * size)))
    logits = layers.Dense(10)(layers.GlobalAveragePooling2D()(maps))
    return load_weights(keras.Model(given, logits), starting)


class Block(layers.Layer):
    def __init__(self, **more):
        super().__init__(**more)
        # the default epsilon is 1e-3
        norm = layers.LayerNormalization
        self.attention_norm = norm(epsilon=1e-5)
        self.query_key_value = layers.Dense(3 * width)
        self.projection = layers.Dense(width)
        self.feed_forward_norm = norm(epsilon=1e-5)
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

# %% [markdown] tags=["tensorflow"]
# What a block computes (a subclass only to make two cells of it), and the transformer around it:

# %% tags=["tensorflow", "network"]
class Attending(Block):
    def call(self, x):
        batch, length, _ = ops.shape(x)
        packed = self.query_key_value(self.attention_norm(x))
        packed = ops.reshape(packed, (batch, length, 3, heads, -1))
        mixed = ops.dot_product_attention(
            *ops.unstack(packed, 3, axis=2), is_causal=True)
        x = x + self.projection(ops.reshape(mixed, (batch, length, width)))
        return x + self.contract(self.expand(self.feed_forward_norm(x)))


class Transformer(keras.Model):
    def __init__(self):
        super().__init__()
        self.tokens = layers.Embedding(len(characters), width)
        self.positions = layers.Embedding(context, width)
        self.blocks = [Attending() for _ in range(blocks)]
        self.norm = layers.LayerNormalization(epsilon=1e-5)
        self.logits = layers.Dense(len(characters))

    def call(self, given):
        x = self.tokens(given) + self.positions(ops.arange(context))
        for block in self.blocks:
            x = block(x)
        return self.logits(self.norm(x))

# %% [markdown] tags=["tensorflow"]
# One step serves all three: what a network answers is a row of logits for each label.

# %% tags=["tensorflow", "network"]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_transformer(starting):
    network = Transformer()
    network(keras.Input((context,), dtype="int64"))  # makes the weights
    return load_weights(network, starting)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer


def one_step(network, optimizer, inputs, targets):
    with tf.GradientTape() as tape:
        loss = cross_entropy(targets, network(inputs, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    # an embedding's is sparse, and Adam squares it otherwise (lesson 8)
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    optimizer.apply(gradients, network.trainable_variables)
    return loss

# %% [markdown] tags=["tensorflow"]
# The twin proof (lessons 0 and 4) takes a step of all three at once:

# %% tags=["tensorflow", "network"]
def to_tensors(images, labels, tokens, following):
    images = tf.convert_to_tensor(images)[..., tf.newaxis]
    rest = (labels, tokens, following)
    return images, *(tf.convert_to_tensor(one) for one in rest)


@tf.function
def train_step(dense, convolutional, transformer, dense_optimizer,
               convolutional_optimizer, transformer_optimizer,
               images, labels, tokens, following):
    return (one_step(dense, dense_optimizer, images, labels),
            one_step(convolutional, convolutional_optimizer, images, labels),
            one_step(transformer, transformer_optimizer, tokens, following))


def evaluate_dense(network, images, *_):
    return network(images, training=False)


def evaluate_convolutional(network, images, *_):
    return network(images, training=False)


def evaluate_transformer(network, images, labels, tokens, following):
    return network(tokens, training=False)

# %% [markdown]
# ## Taking steps
#
# Everything below is a function `run(count)` that takes so many training steps and then waits until they are done.
# The waiting matters: a GPU only notes down what it is told and goes on computing while Python is far ahead.
# Stop the clock without waiting and you have measured how fast orders can be given.

# %% tags=["pytorch", "script"]
def wait():
    if accelerator:
        torch.accelerator.synchronize()


first_batch = to_tensors(*next(batches(seed)))
ready = {"dense": first_batch[:2], "convolutional": first_batch[:2],
         "transformer": first_batch[2:]}
builders = {"dense": build_dense, "convolutional": build_convolutional,
            "transformer": build_transformer}

# %% [markdown] tags=["pytorch"]
# Two modes: *eager*, as the step is written, and `torch.compile`, which writes C++ (on a GPU: Triton) for the network's forward and backward pass, and leaves the loss and the optimiser, which stand outside the network, as they are.

# %% tags=["pytorch", "script"]
def runner(kind, mode="eager", starting=None, batch=None, **optimizer_has):
    starting = starting or starting_weights(seed)[kind]
    network = builders[kind](starting)
    optimizer = build_optimizer(network, **optimizer_has)
    if mode != "eager":  # the name of a backend, or its default
        backend = "inductor" if mode == "compile" else mode
        network = torch.compile(network, backend=backend)
    inputs, targets = batch or ready[kind]

    def run(count):
        for _ in range(count):
            one_step(network, optimizer, inputs, targets)
        wait()

    return run

# %% tags=["tensorflow", "script"]
wait = tf.test.experimental.sync_devices
first_batch = to_tensors(*next(batches(seed)))
ready = {"dense": first_batch[:2], "convolutional": first_batch[:2],
         "transformer": first_batch[2:]}
builders = {"dense": build_dense, "convolutional": build_convolutional,
            "transformer": build_transformer}


def runner(kind, mode="graph", starting=None, batch=None):
    network = builders[kind](starting or starting_weights(seed)[kind])
    optimizer = build_optimizer(network)

    def step(inputs, targets):
        return one_step(network, optimizer, inputs, targets)

    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "XLA")
    inputs, targets = batch or ready[kind]

    def run(count):
        for _ in range(count):
            step(inputs, targets)
        wait()

    return run

# %% [markdown] tags=["tensorflow"]
# Three modes: *eager*, as the step is written; *graph*, the same step as a `tf.function` (lesson 3); and *XLA*, a compiler that makes one program of that graph.
# The fourth is the way most of Keras' users go, `fit`:

# %% tags=["tensorflow"]
def fit_runner(kind, together=1):
    """run(count) for `count` times `together` steps; see below."""
    network = builders[kind](starting_weights(seed)[kind])
    network.compile(build_optimizer(network), cross_entropy,
                    steps_per_execution=together)
    one = tf.data.Dataset.from_tensors(ready[kind])
    endless = one.repeat().prefetch(2)

    def run(count):
        network.fit(endless, steps_per_epoch=count * together,
                    verbose=0, shuffle=False)
        wait()

    return run

# %% [markdown]
# The clock, in its first and naive form:

# %%
def seconds_a_step(run, count):
    begun = time.perf_counter()
    run(count)
    return (time.perf_counter() - begun) / count

# %% [markdown]
# ## Six ways to be unfair
#
# Each of these is made easily, and each stands in the way of an answer.
# Here a thing is measured against *itself*, in the same framework: mostly the dense network's step, in 4 the convolutional network's (in PyTorch's notebook only), in 5 a single product; in 6 small networks are held against what a large one promises for them.
# So every difference that appears is the measurement's own.
#
# ### 1. The first step is in it
#
# A network that is compiled or made into a graph does that when it is first called.

# %% tags=["pytorch"]
compiled = "compile"
dense_run = runner("dense", compiled)
try:
    step_seconds = [seconds_a_step(dense_run, 1) for _ in range(30)]
except Exception as error:  # InductorError: InvalidCxxCompiler
    kind_of = type(error).__name__
    print(f"torch.compile needs a C++ compiler, and found none ({kind_of}).")
    print("Below, 'aot_eager' is the captured graph, not compiled.")
    compiled = "aot_eager"
    torch.compiler.reset()
    dense_run = runner("dense", compiled)
    step_seconds = [seconds_a_step(dense_run, 1) for _ in range(30)]
traced = compiled

# %% tags=["tensorflow"]
traced = "graph"
dense_run = runner("dense", traced)
step_seconds = [seconds_a_step(dense_run, 1) for _ in range(30)]

# %% [markdown]
# Thirty single steps of the dense network, the first of which does this:

# %% tags=["nbval-ignore-output"]
unfair, fair = {}, np.median(step_seconds[5:])
first_calls = {"dense": {traced: step_seconds[0]}}
unfair["first step, of 100"] = (step_seconds[0] + 99 * fair) / 100 / fair
figure, axes = plt.subplots(figsize=(7, 3))
axes.plot(range(1, 31), step_seconds, "o-")
axes.set(title=f"The first of 30 steps ({traced}) takes "
               f"{step_seconds[0] / fair:,.0f} times as long as the others",
         xlabel="step", ylabel="seconds", yscale="log")
plt.show()
print("from the start a step takes, on average over 100, "
      f"{unfair['first step, of 100']:.3g} times as long as a later one")
assert step_seconds[0] > 10 * fair or not as_shipped

# %% [markdown]
# Whoever times ten steps "from the start" compares compilers, not programs.
# The first call is a price, and it is asked for separately below.
#
# ### 2. The data are loaded in it
#
# Let the batch be made within the timed loop, each image moved a little by Python, as in the naive pipeline of lesson 5:

# %%
def slow_batch(rng):
    chosen = rng.integers(0, len(images), batch_size)
    moved = [np.roll(images[one], rng.integers(-2, 3, 2), (0, 1))
             for one in chosen]
    return np.stack(moved), labels[chosen]


def with_loader(run):
    rng = np.random.default_rng(seed)

    def loaded(count):
        for _ in range(count):
            slow_batch(rng)
            run(1)

    return loaded

# %% [markdown]
# With it and without, by turns (the factor is in the figure at the end of this half):

# %% tags=["nbval-ignore-output"]
bare, loaded = np.median(
    [[seconds_a_step(run, 20) for run in (dense_run, with_loader(dense_run))]
     for _ in range(9)], axis=0)
unfair["a loader in it"] = loaded / bare
assert loaded > 1.2 * bare or not as_shipped

# %% [markdown]
# If two frameworks share such a loader, it hides what differs between them; if each has its own, loaders are compared.
# Lesson 5 measures the pipeline; here the batch lies ready.
#
# ### 3. One run
#
# Sixty blocks of the same ten steps, one after the other, each of which somebody might have reported:

# %% tags=["nbval-ignore-output"]
dense_run(100)  # the first steps after other work are mistake 1
single = np.array([seconds_a_step(dense_run, 10) for _ in range(60)])
pairs = single[:, None] / single[None]
above = np.mean(pairs[~np.eye(60, dtype=bool)] > 1.05) * 2
unfair["one run (worst pair)"] = pairs.max()
figure, axes = plt.subplots(figsize=(7, 3))
axes.plot(single / np.median(single), "o")
axes.axhline(1, color="black", linewidth=1)
axes.set(title=f"{100 * above:.0f} % of all pairs of runs are over 5 % apart, "
               f"the worst by a factor of {pairs.max():.1f}",
         xlabel="run", ylabel="time / median of all")
plt.show()

# %% [markdown]
# Nothing in the program differed between any two of these.
# Other programs, the clock rate and the memory's state do that, mostly by *adding* time, and often not independently: slow runs tend to come in groups, beside some that stand alone.
# So two things that are measured one after the other may meet two different machines.
#
# ### 4. Other threads
#
# The convolutional network, which has something to share between threads, with the number printed above and with as many as there are cores (or one more):

# %% tags=["pytorch", "nbval-ignore-output"]
other_threads = max(cores(), used_threads + 1)
here, times = runner("convolutional"), []
here(2)
for turn in range(3):
    torch.set_num_threads(other_threads)
    theirs = seconds_a_step(here, 3)
    torch.set_num_threads(used_threads)
    times.append(seconds_a_step(here, 3) / theirs)
thread_ratio = 1 / np.median(times)
unfair["other threads"] = max(thread_ratio, 1 / thread_ratio)
print(f"{other_threads} threads take {thread_ratio:.2f} times as long "
      f"as {used_threads}")

# %% [markdown] tags=["pytorch"]
# PyTorch takes another number at any moment: convenient, and a setting that some library may have changed since you looked.

# %% tags=["tensorflow", "nbval-ignore-output"]
other_threads = max(cores(), used_threads + 1)
try:
    tf.config.threading.set_intra_op_parallelism_threads(other_threads)
except RuntimeError as error:
    print(str(error).splitlines()[0])
twin = records.load("20_speed", other, parameters_used)
if twin:  # PyTorch measured it
    scores = twin["scores"]
    unfair["other threads"] = scores["other_threads_factor"][0]
    (ratio,) = scores.get("other_threads_ratio", [np.nan])
    print(f"in PyTorch the other number took {ratio:.2f} times as long")

# %% [markdown] tags=["tensorflow"]
# In TensorFlow the number is fixed as soon as anything was computed, so whoever compares needs another process for each number.
# (PyTorch takes another at any moment; the last line and the bar in the figure below are from its record.)
#
# And there are two numbers.
# With one thread for an operation and the second number left alone, the convolutional network's graph kept 1.4 of two cores busy and took 19 to 24 ms a step instead of 26 to 27 (two runs each, 27 November 2026, an AMD machine with two cores).
# A comparison that sets "one thread" in both frameworks has then given one of them more of the machine, as a draft of this lesson did.

# %% [markdown]
# Up to the number of free cores more threads help, beyond it they do harm: PyTorch's threads wait for each other in a loop that keeps a core busy, and where other programs worked on the cores, two of them were seen here to take twice as long as one, and once thirty times (not in this run).
# And the defaults differ from program to program: a count of threads that is not printed is not known.
#
# ### 5. Another precision
#
# NumPy makes float64, frameworks make float32, GPUs round float32 to TF32 unless told not to.
# One product of two matrices, in two precisions:

# %% tags=["pytorch"]
def product_runner(size, precision="float32"):
    rng = np.random.default_rng(seed)
    pair = [torch.as_tensor(rng.normal(size=(size, size))).to(
        device, getattr(torch, precision)) for _ in range(2)]

    def run(count):
        for _ in range(count):
            torch.matmul(*pair)
        wait()

    return run

# %% tags=["tensorflow"]
def product_runner(size, precision="float32"):
    rng = np.random.default_rng(seed)
    pair = [tf.cast(rng.normal(size=(size, size)), precision)
            for _ in range(2)]

    def run(count):
        for _ in range(count):
            tf.linalg.matmul(*pair)
        wait()

    return run

# %% [markdown]
# By turns, five times each (not every GPU is built for float64, and Apple's has none at all: there write float16 in its place):

# %% tags=["nbval-ignore-output"]
by_precision = {one: product_runner(768, one)
                for one in ("float32", "float64")}
for run in by_precision.values():
    run(2)
times = np.array([[seconds_a_step(run, 10) for run in by_precision.values()]
                  for _ in range(5)])
unfair["another precision"] = np.median(times[:, 1] / times[:, 0])
assert unfair["another precision"] > 1.25 or not as_shipped

# %% [markdown]
# ### 6. So small that Python is measured
#
# The dense network again, with 1 to 2,048 hidden units, run eagerly.
# The work grows 2,048-fold; the time does not.

# %% tags=["nbval-ignore-output"]
widths = [1, 4, 16, 64, 256, 1024, 2048]
milliseconds = []
for wide in widths:
    small = dense_weights(weights.generator(seed), wide)
    run = runner("dense", "eager", small)
    run(3)
    milliseconds.append(1e3 * np.median(
        [seconds_a_step(run, 10) for _ in range(5)]))
work = milliseconds[-1] * np.array(widths) / widths[-1]
del run
unfair["a tiny model"] = milliseconds[0] / work[0]
print("with one hidden unit the two lines are a factor of "
      f"{unfair['a tiny model']:.3g} apart")
figure, axes = plt.subplots(figsize=(7, 3.5))
axes.plot(widths, milliseconds, "o-", label="measured")
axes.plot(widths, work, "--", color="black",
          label="the widest one's time, shared out by units")
axes.set(title="A step of the dense network, run eagerly",
         xlabel="hidden units", ylabel="ms a step",
         xscale="log", yscale="log")
axes.legend()
plt.show()
assert milliseconds[2] < 4 * milliseconds[0] or not as_shipped

# %% [markdown]
# The flat part is the price of a step before anything is multiplied: some dozens of calls from Python into the framework, the loss, the gradients, the optimiser's loop over the parameters.
# (The dashed line is generous: at 2,048 units, too, much of the time is no multiplication.)
# A comparison on a network of a few dozen units lives there.
# It does say something true, on small networks, and nothing on large ones.
#
# All six side by side, each as the factor between two answers that are taken for the same:

# %% tags=["nbval-ignore-output"]
plots.bars(unfair, "Six things, each measured unfairly",
           "factor between the two answers", log=True)
plt.xlim(left=1)
plt.show()

# %% [markdown]
# Keep these factors in mind when, below, two frameworks are a tenth apart.
#
# ## A fair comparison
#
# What follows from the six:
#
# | mistake | rule |
# |---|---|
# | 1 first step | call a few times, unmeasured (the second step, too, may be slow); report the first's price apart |
# | 2 loader | the batch lies ready |
# | 3 one run | rounds; in each round every mode has a block, in rotating order; compare *within* a round; show the spread |
# | 4, 5 threads, precision | set in one place, printed |
# | 6 tiny model | several networks, of the size that is meant; say how far from the machine's limit they are |
#
# The third carries the method.
# A **ratio within a round** compares two blocks that met nearly the same machine; what slows down both cancels.
# Of the rounds' ratios we take the median, and the quartiles as the spread.

# %%
def measure(modes, turns=None, block=None):
    """{mode: seconds a step, one for each round}, of {mode: run(count)}."""
    turns, block = turns or rounds, block or block_seconds
    counts, found = {}, {name: [] for name in modes}
    for name, run in modes.items():
        run(1)  # not kept, nor are the two steps of the next line
        counts[name] = max(1, round(block / seconds_a_step(run, 2)))
    for turn in range(turns):
        order = list(modes)
        first = turn % len(order)
        for name in order[first:] + order[:first]:
            once = seconds_a_step(modes[name], counts[name])
            found[name].append(once)
    return {name: np.array(times) for name, times in found.items()}


def quartiles(ratios):
    return np.percentile(ratios, [25, 50, 75])

# %% [markdown]
# First a test of the test, for which there is a right answer: the same thing under two names.

# %% tags=["nbval-ignore-output"]
twice = measure({"one": dense_run, "the same": dense_run}, 2 * rounds)
low, middle, high = quartiles(twice["one"] / twice["the same"])
print(f"the same against itself: {middle:.3f} [{low:.3f} to {high:.3f}]")
assert 0.5 < middle < 2 or not as_shipped

# %% [markdown]
# How far this is from 1.000 is what our instrument cannot see at best: here even the network was the same object.
# A whole bar may lie beside 1 although nothing differs: quartiles say how far rounds spread, not how well their median is known (exercise 2).
# So below, a bar between frameworks is held not against 1 but against a control.

# %% [markdown]
# ## Two frameworks
#
# Between frameworks the same rule holds: in turn, within a round.
# They should not share a process, where one's threads and memory are in the other's way, so one is the host and the other a guest.
# Two frameworks at once take the most memory in this lesson, so one notebook does it: Keras' is the host, with the smaller PyTorch as its guest.
# PyTorch's notebook has a *second PyTorch* as its guest: the control, in which nothing but the process differs.
#
# The guest runs the very cells of this lesson's source that define the networks, reads orders from its input, `dense eager 100`, and answers when the steps are done; when its input ends, because we close it or because this kernel is gone, it ends, too.

# %% tags=["folded"]
GUEST = """
import json, sys, types

cells, parameters = json.loads(sys.stdin.readline())
for unused in "matplotlib", "matplotlib.pyplot", "tandem.plots":
    sys.modules[unused] = types.ModuleType(unused)  # they take memory
names = vars(sys.modules.setdefault("guest", types.ModuleType("guest")))
for cell in cells:
    exec(cell, names)
    names.update({name: value for name, value in parameters.items()
                  if name in names})
runners = {}
print("ready", flush=True)
for line in sys.stdin:
    kind, mode, count = line.split()
    if (kind, mode) not in runners:
        if any(other != kind for other, _ in runners):
            runners.clear()  # one network at a time
        runners[kind, mode] = names["runner"](kind, mode)
    runners[kind, mode](int(count))
    print("done", flush=True)
"""

# %% [markdown]
# Its surroundings say how many threads it may have, and before it comes we make room for it:

# %% tags=["folded"]
def surroundings(threads):
    make_room()
    return os.environ | {
        "PYTHONPATH": str(tandem.ROOT), "PYTHONWARNINGS": "ignore",
        "OMP_NUM_THREADS": str(threads), "MPLBACKEND": "agg",
        "TF_NUM_INTRAOP_THREADS": str(threads),
        "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(folder),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "guest"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
    }


def make_room():
    """Gives memory that was freed back to the system, where it can."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)  # Linux has it

# %% [markdown]
# A process of its own, which is soon gone, finds the cells, as that takes memory, too:

# %% tags=["folded"]
READ = """
import json, pathlib, sys
from tandem.tools import source

lesson = source.read(pathlib.Path(sys.argv[1]))
print(json.dumps([cell.source for cell in lesson.cells_of(sys.argv[2])
                  if {"network", "script"} & set(cell.tags)]))
"""


def cells_for(framework, environment):
    file = tandem.ROOT / "lessons" / "20_speed.py"
    return json.loads(subprocess.check_output(
        [sys.executable, "-c", READ, str(file), framework],
        text=True, timeout=60, env=environment))

# %% [markdown]
# However this kernel ends, its guests end with it:

# %% tags=["folded"]
guests = set()


@atexit.register
def end_guests():
    for guest in list(guests):
        guest.__exit__()

# %% [markdown]
# The process itself:

# %% tags=["folded"]
class Guest:
    """A process that trains this lesson's networks when it is asked."""

    def __init__(self, framework, threads=used_threads):
        environment = surroundings(threads)
        order = json.dumps([cells_for(framework, environment),
                            parameters_used])
        self.process = subprocess.Popen(
            [sys.executable, "-c", GUEST], text=True, env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True)
        guests.add(self)
        print(order, file=self.process.stdin, flush=True)

    def __enter__(self):
        self.hear("ready")
        return self

    def hear(self, word):
        late = threading.Timer(180, self.process.kill)
        late.start()
        said = self.process.stdout.readline().strip()
        late.cancel()
        if said != word:
            raise RuntimeError(f"the guest process ended: {said!r}")

# %% [markdown]
# Asking it to take steps looks from here like any other `run(count)`:

# %% tags=["folded"]
class Asked(Guest):
    def runner(self, kind, mode):
        def run(count):
            print(kind, mode, count, file=self.process.stdin, flush=True)
            self.hear("done")

        return run

    def __exit__(self, *_):
        guests.discard(self)
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

# %% [markdown]
# One after the other:

# %% tags=["nbval-ignore-output"]
own_mode = "eager" if framework == "pytorch" else "graph"
visits = {}
with Asked("pytorch") as guest:
    for kind in builders:
        both = {"host": runner(kind, own_mode),
                "guest": guest.runner(kind, "eager")}
        if compiled_guest:
            both["guest compiled"] = guest.runner(kind, "compile")
        visits[kind] = measure(both)
        both.clear()
        make_room()
for kind, times in visits.items():
    low, middle, high = quartiles(times["host"] / times["guest"])
    print(f"{kind:14} host / guest {middle:5.2f} "
          f"[{low:.2f} to {high:.2f}]")

# %% [markdown] tags=["pytorch"]
# Host and guest run the same code, so the ratio should be 1.
# By how much it is not is what two processes differ in by chance (where their memory lies, which core they got), and a whole bar can lie beside 1 by it.
# So a ratio between frameworks that is no farther from 1 than the control says nothing.
# What Keras' notebook found when PyTorch was its guest comes from its record, drawn beside our control.
# (Until you have run Keras' notebook here, that is the record of the machine on which the lesson was written; only then do the two belong together.)

# %% [markdown] tags=["tensorflow"]
# Above 1, PyTorch (eager) was the faster, below 1 TensorFlow (the step as a graph).
# The control, PyTorch against PyTorch, comes from the twin's record: how far it is from 1 is what two processes differ in by chance, and a ratio no farther from 1 than that says nothing.
# (Until you have run PyTorch's notebook here, that is the record of the machine on which the lesson was written; only then do the two belong together.
# It was read when this notebook ran; where PyTorch's has run again since, the control in it is another, and with it perhaps who is ahead.)

# %% tags=["nbval-ignore-output"]
visit_names = {"pytorch": "PyTorch / PyTorch: the control",
               "tensorflow": "TensorFlow graph / PyTorch eager"}
found = {framework: {kind: quartiles(times["host"] / times["guest"])
                     for kind, times in visits.items()}}
twin = records.load("20_speed", other, parameters_used)
if twin:
    found[other] = {kind: twin["scores"][f"{kind}_host_over_guest"]
                    for kind in builders
                    if f"{kind}_host_over_guest" in twin["scores"]}
figure, axes = plt.subplots(figsize=(7, 3.5))
for offset, (name, ratios) in zip((-0.12, 0.12), sorted(found.items())):
    low, middle, high = np.array(list(ratios.values())).T
    axes.errorbar(middle, np.arange(len(ratios)) + offset,
                  xerr=[middle - low, high - middle], fmt="o",
                  capsize=4, label=visit_names[name])
axes.axvline(1, color="black", linewidth=1)
axes.set(title="Median and quartiles of the ratio within a round",
         xlabel="time of the host / time of the guest",
         yticks=range(3), yticklabels=list(builders), ylim=(3.2, -0.5))
axes.legend(fontsize=8, loc="lower left")
plots.describe("Medians of the ratio within a round. " + "; ".join(
    f"{visit_names[name]}: {kind} {ratios[kind][1]:.2f}"
    for name, ratios in sorted(found.items()) for kind in ratios))
plt.show()
print(records.whose(twin) if twin else "The twin has not been run yet.")

# %% [markdown]
# ## All ways, one framework
#
# Now within this framework, where no guest is needed.
# First the price that section 1 left out: the first call of each mode.

# %% tags=["pytorch"]
def ways_of(kind):
    ways = {"eager": runner(kind), compiled: runner(kind, compiled)}
    if kind == "dense":
        ways[compiled] = dense_run  # its first call was in section 1
    return ways


forget = torch.compiler.reset  # what was compiled; it takes memory

# %% [markdown] tags=["pytorch"]
# (There is no XLA in this notebook, and no `fit`, which Keras' notebook has: XLA exists for PyTorch as *PyTorch/XLA*, for TPUs, and the loop is yours.)

# %% tags=["tensorflow"]
def ways_of(kind):
    ways = {name: runner(kind, name) for name in ("eager", "graph", "XLA")}
    if kind == "dense":
        ways["graph"] = dense_run  # its first call was in section 1
    return ways | {"fit": fit_runner(kind)}


forget = keras.utils.clear_session  # Keras' own notes; they take memory

# %% [markdown] tags=["tensorflow"]
# (`fit` with its default, `jit_compile="auto"`, uses XLA on a GPU and a plain graph on a CPU.)

# %% [markdown]
# And the comparison, in rounds, one network after the other, so that only one network's modes take memory at a time.
# Among the candidates are two that are no networks, a large product and a large convolution; the section after this one says what for.
# The convolution has 64 images of 28 by 28, 64 channels to 64, in windows of 3 by 3:

# %% tags=["pytorch"]
@torch.inference_mode()
def convolution_runner():
    last = {"memory_format": torch.channels_last}
    maps = torch.ones(64, 64, 28, 28, device=device).to(**last)
    kernel = torch.ones(64, 64, 3, 3, device=device).to(**last)

    @torch.inference_mode()
    def run(count):
        for _ in range(count):
            F.conv2d(maps, kernel, padding=1)
        wait()

    return run

# %% tags=["tensorflow"]
def convolution_runner():
    maps, kernel = tf.ones((64, 28, 28, 64)), tf.ones((3, 3, 64, 64))

    def run(count):
        for _ in range(count):
            tf.nn.conv2d(maps, kernel, 1, "SAME")
        wait()

    return run

# %% [markdown]
# Now all of it:

# %% tags=["nbval-ignore-output"]
limits = {"product": product_runner(512), "convolution": convolution_runner()}
compared, speedups = {}, {}
for kind in builders:
    ways = ways_of(kind)
    taken = first_calls.setdefault(kind, {})
    for name, run in ways.items():
        if name not in taken:
            taken[name] = seconds_a_step(run, 1)
    del run
    compared[kind] = measure(ways | limits)
    eager = compared[kind]["eager"]
    speedups[kind] = {name: eager / compared[kind][name]
                      for name in ways if name != "eager"}
    print(f"first calls, {kind}: " + ", ".join(
        f"{name} {one:.1f} s" for name, one in taken.items()))
    ways.clear()
    forget()
    make_room()

# %% [markdown] tags=["pytorch"]
# Compiling is a matter of some ten seconds where the machine has never compiled this before: the code that is generated goes through a C++ compiler.
# (Each is a single call, against rule 3, as there is only one first: read orders of magnitude from it and no more.)

# %% [markdown] tags=["tensorflow"]
# A graph is traced in about a second or less, XLA takes some seconds for the larger two.
# (Each is a single call, against rule 3, as there is only one first: read orders of magnitude from it and no more.)

# %% [markdown]
# Each dot is one round; the bar spans the quartiles and the tick in it is the median.
# Where the dots of a row lie in two groups, the machine was in two states, and a single run would have reported one of them.

# %% tags=["nbval-ignore-output"]
rows = [(kind, name) for kind in speedups for name in speedups[kind]]
figure, axes = plt.subplots(figsize=(7, 0.8 + 0.42 * len(rows)))
for row, (kind, name) in enumerate(rows):
    ratios = speedups[kind][name]
    low, middle, high = quartiles(ratios)
    axes.barh(row, high - low, left=low, height=0.6, color="C0", alpha=0.4)
    axes.plot(ratios, np.full(len(ratios), row), "k.", markersize=4)
    axes.plot([middle] * 2, [row - 0.3, row + 0.3], "k-")
axes.axvline(1, color="black", linewidth=1)
axes.set(title="How many times as fast as the same step run eagerly",
         xlabel="eager time / time, within a round",
         yticks=range(len(rows)),
         yticklabels=[f"{kind}, {name}" for kind, name in rows])
if axes.get_xlim()[1] > 2:  # a wide range: by doublings
    axes.set_xscale("log", base=2, subs=[1.5])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
axes.invert_yaxis()
plots.describe("How many times as fast as eager, medians: " + ", ".join(
    f"{kind}, {name} {np.median(speedups[kind][name]):.2f}"
    for kind, name in rows))
plt.show()

# %% [markdown]
# In numbers:

# %% tags=["nbval-ignore-output"]
for kind, name in rows:
    low, middle, high = quartiles(speedups[kind][name])
    print(f"{kind:14}{name:10}{middle:6.2f} [{low:5.2f} to {high:5.2f}]")


# %% [markdown] tags=["tensorflow"]
# Written eagerly, TensorFlow is slow: each operation goes through Python, and Keras does a good deal of Python of its own.
# Whoever compares with *eager* TensorFlow compares with something that hardly anybody trains with, because `fit` and every tutorial's loop are graphs.
# XLA is not the faster one everywhere: here it gains where operations are small, and the convolutions lose by it, for which the graph has a library's hand-written code.
# And `fit` is this graph with Python around it: between two steps it asks a pipeline for the next batch and its callbacks whether they want anything, which costs the dense network, whose step is short, a good part of its speed.

# %% [markdown] tags=["pytorch"]
# Compiling does not pay everywhere.
# A network of two matrix products has little that a compiler could fuse, and each call first checks that what was compiled still fits (shapes, types: its *guards*); for products and convolutions the compiler calls the same libraries as eager mode.
# What it can gain is in the small operations between them (norms, ReLU, additions), which it makes into one that reads and writes the arrays once; on a GPU that is more, and the table below has a case of more than threefold.
# The convolutional network lost most by it in our runs, and the layout may have to do with that: in another measurement (two-core AMD machine, one thread, 27 November 2026, nine rounds) its step took 47 ms eagerly with `channels_last` and 70 without, but compiled 79 and 74.
# There the compiled code gained nothing from the layout, and a study without `channels_last` would have found the two modes about equal.
# (With it the ratio was 0.59 there; where yours is nearer to 1, the layout explains less.)
# And a ratio with a bar across 1 is no gain on the evidence of its run.

# %% [markdown]
# A first call's seconds and a later step's gain together say from which number of steps on a mode is worth it:
#
# $$n = 1 + \frac{\text{first call} - \text{eager first call}}{\text{eager step} - \text{step}}$$

# %% tags=["nbval-ignore-output"]
for kind, taken in first_calls.items():
    step = {name: np.median(compared[kind][name]) for name in taken}
    for name, ratios in speedups[kind].items():
        n = 1 + ((taken[name] - taken["eager"])
                 / (step["eager"] - step[name]))
        low, _, high = quartiles(ratios)
        print(f"{kind:14}{name:10}" + (
            f"pays after {float(f'{n:.1g}'):,.0f} steps or so" if low > 1
            else "slower than eager, so never" if high < 1
            else "no gain that could be measured, so never"))

# %% [markdown]
# Where the number is large, read it as "so many or never": two networks that lie in other places of the memory may differ by as much as such a gain.
# The transformer's as a picture: which part of eager's time a mode has saved after so many steps; it pays from where its line crosses zero.

# %% tags=["nbval-ignore-output"]
steps = np.logspace(0, 5, 200)
spent = {name: first + (steps - 1) * np.median(compared["transformer"][name])
         for name, first in first_calls["transformer"].items()}
saved = {name: 100 * (1 - spent[name] / spent["eager"])
         for name in spent if name != "eager"}
reach = max(5, *(abs(share[-1]) for share in saved.values()))
figure, axes = plt.subplots(figsize=(7, 3.2))
for name, share in saved.items():
    axes.plot(steps, share, label=name)
axes.axhline(0, color="black", linewidth=1)
axes.set(title="Training the transformer, first call included",
         xlabel="steps", ylabel="per cent of eager's time saved",
         xscale="log", ylim=(-2 * reach, 1.2 * reach))
axes.legend()
plt.show()

# %% [markdown]
# ## The machine's limit
#
# *Faster than the other* does not say *fast*.
# A training step consists almost entirely of multiplications with an addition, and a machine does only so many of them a second.
# Two numbers are needed: how many the step asks for, and how many the machine can do.
#
# **The step's.**
# A product of matrices $(m, k)$ and $(k, n)$ takes $2mkn$ **floating-point operations**, FLOPs for short.
# Backwards there are two products of the same size for each: the gradient of the kernel and that of the input; of the very first layer nobody needs the latter.
# A convolution is a product in which every place of the picture is a row.
# Everything else (ReLU, norms, Adam) is small beside it *in operations*.

# %%
def product(rows, inputs, outputs, first=False):
    """FLOPs of a dense layer or convolution, forwards and backwards."""
    return 2 * rows * inputs * outputs * (2 if first else 3)


places, small, tiny = (batch_size * size**2 for size in (28, 14, 7))
letters = text_batch * context
c = channels
by_hand = {
    "dense": product(batch_size, 784, hidden_width, first=True)
    + product(batch_size, hidden_width, 10),
    "convolutional": product(places, 9, c, first=True)
    + product(small, 9 * c, 2 * c) + 2 * product(small, 18 * c, 2 * c)
    + product(tiny, 18 * c, 4 * c) + 2 * product(tiny, 36 * c, 4 * c)
    + product(batch_size, 4 * c, 10),
    "transformer": blocks * product(letters, width, 12 * width)
    # queries with keys, shares with values: every letter with every
    + blocks * 2 * product(letters, width, context)
    + product(letters, width, len(characters)),
}
print("\n".join(f"{kind:14}{one / 1e6:8,.1f} million FLOPs a step"
                for kind, one in by_hand.items()))

# %% [markdown]
# A count by hand is easily wrong by a factor of two, so let the framework count, too.

# %% tags=["pytorch"]
from torch.utils.flop_counter import FlopCounterMode

for kind, (inputs, targets) in ready.items():
    network = builders[kind](starting_weights(seed)[kind])
    optimizer = build_optimizer(network)
    with FlopCounterMode(display=False) as counter:
        one_step(network, optimizer, inputs, targets)
    counted = counter.get_total_flops()
    print(f"{kind:14}{counted / 1e6:8,.1f} counted, "
          f"{counted / by_hand[kind]:.4f} of the count by hand")

# %% [markdown] tags=["pytorch"]
# The mode watches every operation that is dispatched while it is on and knows a formula for products, convolutions and attention.
# What has no formula counts as nothing: on a CPU that is attention, which runs as one operation that the mode does not know.
# So the count by hand is the one to go by.
# (A causal attention needs only half of these products, as a letter looks at earlier ones only; whether a library skips the rest is its affair, and we count as if it did not.)

# %% tags=["tensorflow"]
from tensorflow.compat.v1 import profiler

options = profiler.ProfileOptionBuilder(
    profiler.ProfileOptionBuilder.float_operation()
).with_empty_output().build()
large = ("MatMul", "BatchMatMulV2", "Einsum", "Conv2D",
         "Conv2DBackpropInput", "Conv2DBackpropFilter")


def count_in_graph(kind):
    network = builders[kind](starting_weights(seed)[kind])
    step = tf.function(one_step).get_concrete_function(
        network, build_optimizer(network), *ready[kind])
    node, counted = profiler.profile(
        step.graph, cmd="op", options=options), {}
    while node.children:
        node = node.children[0]
        rest = sum(child.total_float_ops for child in node.children)
        counted[node.name] = node.total_float_ops - rest
    return sum(counted.get(name, 0) for name in large)

# %% [markdown] tags=["tensorflow"]
# It walks over the graph of a step and knows a formula for most operations; we take the products and convolutions.

# %% tags=["tensorflow"]
for kind in builders:
    counted = count_in_graph(kind)
    print(f"{kind:14}{counted / 1e6:8,.1f} counted, "
          f"{counted / by_hand[kind]:.4f} of the count by hand")

# %% [markdown] tags=["tensorflow"]
# The convolutional network's is slightly above ours: the graph still holds the gradient for the first layer's *input*, which nobody needs, and which is cut off when the graph is made ready to run.
# And what has no formula counts as nothing: here that is attention, whose products Keras writes as `einsum`.
# So the count by hand is the one to go by.
# (A causal attention needs only half of these products, as a letter looks at earlier ones only; whether a library skips the rest is its affair, and we count as if it did not.)

# %% [markdown]
# **The machine's.**
# Its makers state a peak; with our threads, in our precision, we rather measure one, in GFLOP/s, thousands of millions of FLOPs a second; and we have: the large product and the large convolution ran in the same rounds.
# The faster of the two in a round is that round's peak.

# %% tags=["nbval-ignore-output"]
def gflops(times):
    """GFLOP/s of the two limits, one number for each round."""
    return (2 * 512**3 / times["product"] / 1e9,
            2 * 64 * 784 * 9 * 64 * 64 / times["convolution"] / 1e9)


shares, peaks = {}, []
for kind, times in compared.items():
    peak = np.maximum(*gflops(times))
    peaks.append([np.median(one) for one in (*gflops(times), peak)])
    for name in sorted(first_calls[kind]):
        shares[f"{kind}, {name}"] = 100 * np.median(
            by_hand[kind] / times[name] / 1e9 / peak)
by_product, by_convolution, peak = np.median(peaks, axis=0)
print(f"product {by_product:,.0f}, convolution {by_convolution:,.0f} GFLOP/s")
if twin:
    print("in the twin's notebook {:,.0f} and {:,.0f}".format(
        *twin["scores"]["peak_gflops"]))
plots.bars(shares, f"How close to the measured peak ({peak:,.0f} GFLOP/s)",
           "per cent of the peak")
plt.show()
assert max(shares.values()) < 150 or not as_shipped

# %% [markdown]
# This is the picture to have beside any comparison.
# A low bar says that something else than the best possible arithmetic takes the time: Python, the memory, the optimiser, or a slower library for products, as in the next paragraph.
# With a larger network the order of the candidates may be another.
#
# **Watch out:** the peak that a *framework* reaches is not yet the machine's.
# A product is done by a library that the framework brings along, and these differ.
# On one AMD processor used while this was written (November 2026), PyTorch's products (by Intel's library MKL, says `torch.__config__.show()`) came to less than half of what its own convolutions (by another, oneDNN) and TensorFlow's products reached; on another they did not.
# Which of the two you have, the two lines above say.
# (The names that TensorFlow's profiler gives still say `Mkl` where oneDNN computes.)
# So the next comparison of "frameworks" may be one of libraries for products.

# %% [markdown]
# ## Where the time goes *(optional)*
#
# A profiler notes when each operation begins and ends.
# Both have one, and of both we ask the same: of the dense network's step, written as most would, which operations take how much?

# %% tags=["pytorch"]
os.environ["KINETO_LOG_LEVEL"] = "99"  # the profiler's own messages
from torch.profiler import ProfilerActivity, profile

run = runner("dense")
run(5)
watched = [ProfilerActivity.CPU]
if accelerator and accelerator.type == "cuda":
    watched.append(ProfilerActivity.CUDA)
with profile(activities=watched) as profiler:
    run(50)
profiler.export_chrome_trace(str(folder / "trace.json"))
totals = {event.key: event.self_cpu_time_total / 50
          for event in profiler.key_averages()}
whole = sum(totals.values())

# %% [markdown] tags=["pytorch"]
# (On a GPU, add the device's own times: `self_device_time_total`. And `trace.json` opens in [ui.perfetto.dev](https://ui.perfetto.dev), every operation a bar on a line of time.)

# %% tags=["tensorflow", "nbval-ignore-output"]
# no public part of TensorFlow: where it moves, look for xplane_pb2
from tensorflow.tsl.profiler.protobuf import xplane_pb2

run = runner("dense")
run(5)
tf.profiler.experimental.start(str(folder / "profile"))
run(50)
tf.profiler.experimental.stop()
(trace,) = folder.glob("profile/**/*.xplane.pb")
space = xplane_pb2.XSpace.FromString(trace.read_bytes())
print(f"{trace.stat().st_size / 1000:,.0f} kB for 50 steps, in planes",
      [plane.name for plane in space.planes if plane.lines])

# %% [markdown] tags=["tensorflow"]
# The folder is meant for TensorBoard with its profile plugin.
# The file in it is compact for what it holds: a *protocol buffer* in which every name stands once, and TensorFlow ships the code that reads it.
# A *plane* is a device, its lines are threads, on them lie events, and one that began within another is a part of it.
# An operation's own time is what its parts leave:

# %% tags=["tensorflow"]
def own_times(line, names):
    """{name: picoseconds} of a line's events, each without its parts."""
    found, open_ones = {}, []  # (end, name) of those that surround us
    events = sorted(line.events, key=lambda one: (one.offset_ps,
                                                  -one.duration_ps))
    for event in events:
        while open_ones and event.offset_ps >= open_ones[-1][0]:
            open_ones.pop()
        name = names[event.metadata_id].name
        found[name] = found.get(name, 0) + event.duration_ps
        if open_ones:
            found[open_ones[-1][1]] -= event.duration_ps
        open_ones.append((event.offset_ps + event.duration_ps, name))
    return found

# %% [markdown] tags=["tensorflow"]
# Names look like `dense/MatMul:_MklNativeFusedMatMul`, place and kind; we add up kinds.
# On Python's own line lie the calls from Python, and its waiting; we leave it out.

# %% tags=["tensorflow"]
totals = {}
for plane in space.planes:
    for line in plane.lines:
        if line.name == "python":
            continue
        own = own_times(line, plane.event_metadata)
        for name, picoseconds in own.items():
            short = name.split(":")[-1].strip()
            totals[short] = totals.get(short, 0) + picoseconds / 1e6 / 50
whole = sum(totals.values())

# %% [markdown]
# The ten largest:

# %% tags=["nbval-ignore-output"]
largest = sorted(totals, key=totals.get, reverse=True)[:10]
products = sum(totals[name] for name in totals
               if "MatMul" in name or name in ("aten::mm", "aten::addmm"))
print(f"products of matrices: {products / whole:.0%} of the recorded time")
plots.bars({name.lstrip("_")[:36]: totals[name] for name in largest},
           f"{sum(totals[n] for n in largest) / whole:.0%} of the recorded "
           "time in ten kinds", "microseconds a step, own time")
plt.show()

# %% [markdown] tags=["pytorch"]
# `aten` is PyTorch's library of operations: `addmm`, a product to which a bias is added, is the forward pass, `mm` the products backwards.
# *Optimizer.step* is no operation but Adam's own Python, and `sqrt`, `div`, `addcdiv_`, `lerp_` and the other small ones are nearly all Adam's, each a pass over every parameter.
# Adam altogether:

# %% tags=["pytorch", "nbval-ignore-output"]
inside = {event.key: event.cpu_time_total / 50
          for event in profiler.key_averages()}
adam = next(one for one in inside if one.startswith("Optimizer.step"))
print(f"Adam, with all it calls: {inside[adam] / whole:.0%} of the time")
cured = measure({"Adam": runner("dense"),
                 "fused": runner("dense", fused=True)})
gain = quartiles(cured["Adam"] / cured["fused"])
print("with Adam(fused=True) {1:.2f} times as fast "
      "[{0:.2f} to {2:.2f}]".format(*gain))

# %% [markdown] tags=["pytorch"]
# That is what a profiler is for: not to look at, but to find what to change, and then to *measure* the change.
# Adam's loop over the parameters, on a CPU the default, with several operations for each, was a good part of this small step; `fused=True` does it in one operation, with the same result up to rounding.
# In a comparison of frameworks it is one more setting that has to be named.

# %% [markdown] tags=["tensorflow"]
# These are the insides of a step: products (`MatMul` in their names), Adam's many small operations, and what TensorFlow's own executor notes when it goes from one operation to the next (such as `Process`).
# Times of several threads are added up, so they say what was at work and not how long anybody waited.
#
# What a profile of operations cannot show is what lies *between* the steps, and for `fit` on this small network that was a good part of the whole: above, the graph alone was clearly faster.
# There the cure is to come back to Python more rarely. `steps_per_execution=16` puts sixteen steps into one graph:

# %% tags=["tensorflow", "nbval-ignore-output"]
cured = measure({"graph": dense_run, "fit": fit_runner("dense"),
                 "16 steps": fit_runner("dense", together=16)})
cured["16 steps"] /= 16
for name in ("graph", "16 steps"):
    low, middle, high = quartiles(cured["fit"] / cured[name])
    print(f"{name:10}{middle:5.2f} [{low:.2f} to {high:.2f}] times as fast "
          "as fit")

# %% [markdown] tags=["tensorflow"]
# Sixteen at a time can beat the single graph, too, as that also comes back to Python after each step.
# The price is that callbacks see every sixteenth step only.
# A profile is not to look at, but to find what to change, or that it is elsewhere; whether the change was one, only a *measurement* says.
# In a comparison of frameworks it is one more setting that has to be named.

# %% [markdown]
# ## Half the digits *(optional)*
#
# Numbers of 16 bits take half the memory and, where the machine has units for them, a fraction of the time.
# **bfloat16** keeps float32's range of exponents, and of its 24 binary digits 8: two to three decimal digits are left of seven. **Mixed precision** multiplies in it, and keeps weights and sums in float32.
# Whether this is fast is a question to the machine:

# %%
def says_bfloat16():
    """Whether the CPU states instructions for it; None: it does not say."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return None
    return any(one in flags for one in ("avx512_bf16", "amx_bf16"))


stated = {True: "stated", False: "none", None: "not known"}[says_bfloat16()]

# %% [markdown]
# The networks, and the bare product, in both:

# %% tags=["pytorch"]
def mixed_runner(kind):
    network = builders[kind](starting_weights(seed)[kind])
    optimizer = build_optimizer(network)

    def autocast(inputs):
        with torch.autocast(device.type, torch.bfloat16):
            return network(inputs)

    def run(count):
        for _ in range(count):
            one_mixed_step(autocast, optimizer, *ready[kind])
        wait()

    return run


def one_mixed_step(forward, optimizer, inputs, targets):
    optimizer.zero_grad()
    logits = forward(inputs).float()  # the loss in whole precision
    F.cross_entropy(logits.flatten(0, -2), targets.flatten()).backward()
    optimizer.step()

# %% [markdown] tags=["pytorch"]
# With float16, which has less range, `torch.amp.GradScaler` would have to keep small gradients from becoming zero; bfloat16 does not need it.

# %% tags=["tensorflow"]
def mixed_runner(kind):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return runner(kind, "graph")
    finally:
        keras.config.set_dtype_policy("float32")

# %% [markdown] tags=["tensorflow"]
# With float16, which has less range, a `LossScaleOptimizer` would have to keep small gradients from becoming zero (`compile` puts one around the optimiser by itself, if the network's policy is `mixed_float16`); bfloat16 does not need it.

# %% tags=["nbval-ignore-output"]
halves = {}
for kind in ("product", *builders):
    if kind == "product":
        both = [product_runner(512, one) for one in ("float32", "bfloat16")]
    else:
        both = [runner(kind, own_mode), mixed_runner(kind)]
    timed = measure(dict(zip(("whole", "mixed"), both)), turns=5)
    del both
    make_room()
    halves[kind] = quartiles(timed["whole"] / timed["mixed"])
figure, axes = plt.subplots(figsize=(7, 2.4))
low, middle, high = np.array(list(halves.values())).T
axes.errorbar(middle, list(halves), xerr=[middle - low, high - middle],
              fmt="o", capsize=4)
axes.axvline(1, color="black", linewidth=1)
axes.set(title="float32 time / bfloat16 time "
               f"(the CPU's instructions for it: {stated})",
         xlabel="times as fast, median and quartiles", ylim=(3.5, -0.5))
told = ", ".join(f"{kind} {one[1]:.2f}" for kind, one in halves.items())
plots.describe(f"Times as fast with bfloat16, medians: {told}")
plt.show()
print(told)

# %% [markdown]
# On a machine without such units bfloat16 is imitated and everything gets *slower*.
# With them the bare product was about two to four times as fast in our runs; but where float32 products were found well below the peak, above, a part of that is the library, as PyTorch gives bfloat16 products to oneDNN.
# A network also pays for turning numbers into bfloat16 and back, and one of many small operations, such as the transformer here, may gain next to nothing or lose by it.
# So "use mixed precision" is no advice without a network and a machine; GPUs of the last years have far more of these units.
#
# ## Work in a second *(optional)*
#
# Which batch size, which width?
# What matters is neither the step's time nor FLOPs, but what one gets: images a second.

# %% tags=["nbval-ignore-output"]
def images_a_second(count, narrow):
    start = convolutional_weights(weights.generator(seed), narrow)
    batch = to_tensors(images[:count], labels[:count],
                       tokens[None, :2], tokens[None, 1:3])
    run = runner("convolutional", own_mode, start, batch[:2])
    times = measure({"it": run}, turns=3, block=block_seconds / 2)
    del run
    make_room()
    return count / np.median(times["it"])


by_batch = {count: images_a_second(count, channels)
            for count in (1, 8, 64)}
by_width = {narrow: images_a_second(64, narrow) for narrow in (2, 4, 8, 16)}

# %% [markdown]
# Drawn:

# %% tags=["nbval-ignore-output"]
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
left.plot(list(by_batch), list(by_batch.values()), "o-")
left.set(title=f"{channels} channels", xlabel="images a step",
         ylabel="images a second", xscale="log", yscale="log")
right.plot(list(by_width), list(by_width.values()), "o-")
right.set(title="64 images a step", xlabel="channels of the first layer",
          xscale="log")
for axes, sizes in (left, by_batch), (right, by_width):
    axes.minorticks_off()
    axes.set(xticks=list(sizes), xticklabels=list(sizes))
    axes.margins(0.15, 0.2)
    for size, rate in sizes.items():
        axes.annotate(f"{rate:,.0f}", (size, rate), (0, 6), ha="center",
                      fontsize=8, textcoords="offset points")
left.yaxis.set_major_formatter("{x:,.0f}")
plots.describe("Images a second. " + " ".join(
    f"{axes.get_title('left')}: " + ", ".join(
        f"{size} {axes.get_xlabel()} {rate:,.0f}"
        for size, rate in sizes.items()) + "."
    for axes, sizes in ((left, by_batch), (right, by_width))))
plt.show()
assert by_batch[64] > 1.5 * by_batch[1] or not as_shipped
assert by_width[2] > by_width[16] or not as_shipped

# %% [markdown]
# On the left the price of a step is shared by more and more images, so that each further enlargement of the batch gains less.
# On the right the work grows fourfold with each doubling of the width (in the first layer, whose input is one channel, twofold); where the curve falls by less, the wider network gets more out of the machine.
# Which width to take it does not say, since the narrow ones are the fastest: it says what a wider one costs.
# The bends lie elsewhere on another machine, and a *small* batch in a comparison favours whoever has the smaller price of a step.

# %% [markdown]
# ## Does PyTorch train faster?
#
# Claim **C9** of the article (lesson 2): *PyTorch often trains faster*.
# It cites two studies.
# What was measured by whom, as far as it could be read (27 November 2026; where only an abstract or a title was, the table says so):
#
# | study | what it measured | found | caution |
# |---|---|---|---|
# | Novac and others, *Sensors* 22(22), 8872 (2022) | cited by the article for C9 | its tables could not be read here: no number | – |
# | Simmons and Holliday, *J. Comput. Sci. Coll.* (2019) | cited by the article for C9 | could not be read here: no number | – |
# | Florencio and others (2019), [doi](https://doi.org/10.3844/jcssp.2019.785.799), abstract | LeNet on MNIST, CPU and GPU, with significance tests | PyTorch performs better, TensorFlow uses more of the GPU | a tiny model: mistake 6; codes taken ready-made |
# | Dai and others, *Sci. China Inf. Sci.* 65:112103 (2022), abstract | seven networks on one GPU, and the reasons | the abstract names no winner | – |
# | [Yapıcı and Topaloğlu](https://dergipark.org.tr/en/pub/ci/issue/60236/769457) (2021), abstract | MNIST and GPDS on a Titan Xp | TensorFlow best | contradicts C9 |
# | [SAUCIS](https://saucis.sakarya.edu.tr/en/pub/issue/58143/776573) (2020), abstract | dense, convolutional and recurrent networks | Keras best for the first two, PyTorch for recurrent ones | contradicts C9 in part |
# | keras.io's benchmark page, A100, TensorFlow 2.15, PyTorch 2.2.1 | BERT `fit`, ms a step | PyTorch eager 693, **compiled 202**; Keras with TensorFlow 214, with JAX 222, with PyTorch 809 | by the Keras team; no spread; TF32 on in TensorFlow and off in PyTorch's products (an objection in its issue tracker) |
# | the same | Stable Diffusion `fit`, ms a step | PyTorch eager 481, compiled 386; Keras with TensorFlow 392, with JAX 391, with PyTorch 823 | the same |
# | the same | SegmentAnything `fit`, ms a step | PyTorch eager 1,306, compiled 1,223; Keras with TensorFlow 355, with JAX 362, with PyTorch 1,389 | the same |
# | this lesson | three small networks, the machine printed above, one step, interleaved in two processes | the figure of *Two frameworks* | small networks; one machine, few threads, one operation at a time, one pair of versions; eager against graph |
#
# They do not agree, and after the first half of this lesson that is no wonder.
# In the first two of keras.io's three rows the *mode* decides whether PyTorch or TensorFlow wins: BERT in PyTorch alone takes 693 ms eagerly and 202 compiled, with TensorFlow's 214 in between.
# In the third it does not, and the page has nine more rows of either kind.
#
# And ours?
# Somebody is ahead only where the whole bar is farther from 1 than any of the control's, which had nothing to find:

# %% tags=["nbval-ignore-output"]
control = np.array(list(found.get("pytorch", {}).values()))
blind = np.exp(np.abs(np.log(control)).max()) if control.size else np.nan
print(f"the control's bars reach a factor of {blind:.2f}" if control.size
      else "There is no control: run PyTorch's notebook first.")
for kind, (low, middle, high) in found.get("tensorflow", {}).items():
    ahead = ("PyTorch" if low > blind else
             "TensorFlow" if high < 1 / blind else "neither")
    print(f"{kind:14}{middle:5.2f} [{low:.2f} to {high:.2f}]: "
          f"{ahead} is ahead")

# %% [markdown]
# "PyTorch is faster" is not a property of PyTorch.
# It is the outcome for a network, a size, a mode of each, a machine and a pair of versions, and for the three networks here it need not be the same.
# One thing can be said with more certainty, because the factor behind it is large.
# In Keras' notebook an eager step takes from three to more than ten times as long as its graph's, and the graph is within a factor of 1.5 of eager PyTorch, on either side; so *eager against eager* PyTorch wins clearly.
# And where arithmetic takes the time it may be libraries that are compared: look whether the two notebooks' peaks for a product, printed above, differ on your machine.

# %% [markdown]
# ## The twin check
#
# A comparison of speeds is void if the two do not compute the same.
# Same weights, same batches: twenty steps of each network, and the losses beside the twin's.

# %%
starting = starting_weights(seed)
players = [builders[kind](starting[kind]) for kind in builders]
optimizers = [build_optimizer(player) for player in players]
source, losses = batches(seed), []
for turn in range(20):
    batch = to_tensors(*next(source))
    losses.append([float(loss) for loss in
                   train_step(*players, *optimizers, *batch)])
losses = dict(zip(builders, np.array(losses).T))
print({kind: round(float(values[0]), 4) for kind, values in losses.items()})

# %% [markdown]
# The record keeps these, and what was measured, for lesson 22: each ratio as its quartiles.

# %% tags=["folded"]
scores = {f"{kind}_step_gflop": by_hand[kind] / 1e9 for kind in builders}
for kind in builders:
    for name in visits.get(kind, {}).keys() - {"host"}:
        key = f"{kind}_host_over_{name.replace(' ', '_')}"
        scores[key] = quartiles(visits[kind]["host"] / visits[kind][name])
    for name, ratios in speedups[kind].items():
        scores[f"{kind}_{name}_speedup_over_eager"] = quartiles(ratios)
    for name, took in first_calls[kind].items():
        scores[f"{kind}_{name}_first_call_seconds"] = took
    for name in first_calls[kind]:
        scores[f"{kind}_{name}_percent_of_peak"] = [shares[f"{kind}, {name}"]]
    scores[f"{kind}_mixed_speedup"] = halves[kind]
scores["peak_gflops"] = [by_product, by_convolution]
scores["unfair_factors"] = list(unfair.values())
if "other threads" in unfair:
    scores["other_threads_factor"] = [unfair["other threads"]]
if framework == "pytorch":
    scores["other_threads_ratio"] = [thread_ratio]

# %% [markdown]
# And the comparison with the twin:

# %% tags=["nbval-ignore-output"]
mine = records.save("20_speed", framework, parameters_used, losses, **scores)
twin = records.load("20_speed", other, parameters_used)
plots.twins(mine, twin, curve="transformer")
plt.show()
print(records.compare(mine, twin))

# %% [markdown]
# The first loss agrees to rounding.
# The second parts more, because Adam's first step divides each gradient by its own size and so makes rounding in a tiny one large; then each step passes on what the last one had.

# %% tags=["folded"]
if twin and as_shipped:
    for kind in builders:
        ours, theirs = (one["losses"][kind] for one in (mine, twin))
        apart = records.relative_difference(ours, theirs)
        assert apart[0] < 1e-5 and apart[:5].max() < 1e-2, (kind, apart)

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow and Keras |
# |---|---|---|
# | as one writes it | eager, and meant to be run so | eager only for looking; `fit` and `tf.function` are graphs |
# | compiler | `torch.compile`: C++ or Triton for the network; loss and optimiser apart | XLA, `jit_compile=True`: the whole step |
# | first call | seconds, and a C++ compiler on the machine | about a second; XLA up to some seconds; no compiler needed |
# | threads | at any time, wait busily | once, before the first operation; and a second number, of operations at a time |
# | waiting for a GPU | `torch.accelerator.synchronize()` | `tf.test.experimental.sync_devices()` |
# | TF32 on a GPU, by default | off for products, on for cuDNN's convolutions | on |
# | FLOPs | `FlopCounterMode`, what was executed | `compat.v1.profiler`, what is in the graph |
# | profiler's file | Chrome trace, JSON | xplane, a protocol buffer |
# | cheap cure for a short step | `Adam(fused=True)` | `steps_per_execution` |
# | mixed precision | `torch.autocast` around the forward pass | a policy, when the layers are made |
#
# **On a GPU** this notebook is meant to run as it stands: it waits before it stops the clock, and prints the device.
# It was written and tried on CPUs only.
#
# (The whole program of this lesson is `measure` with `seconds_a_step` and `quartiles`, twenty lines, and a function `run(count)` for each thing that you want to compare.)
#
# ## Exercises
#
# Now you.
# None of the three needs a framework, and the first one's check has no clock that could run unevenly: it brings a machine of its own.

# %% tags=["classroom"]
from tandem.exercises import attempt


class Machine:
    """A make-believe machine whose clock goes on only when it works."""

    def __init__(self, costs, heat=0.0):
        self.costs, self.heat = costs, heat  # heat: slower with each call
        self.now, self.said = 0.0, []

    def clock(self):
        self.said.append("clock")
        return self.now

    def step_of(self, name):
        def step():
            first = 1000.0 if name not in self.said else 0.0
            self.said.append(name)
            warm = 1 + self.heat * len(self.said)
            self.now += first + self.costs[name] * warm

        return step

    def steps(self):
        return {name: self.step_of(name) for name in self.costs}

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the instrument with your own hands, without `measure` and `seconds_a_step`.
#
# `compare(steps, rounds, count, clock)` is given a dictionary `{name: step}` of functions without arguments, and a `clock()` that says the time in seconds.
#
# - Each step is called once, in the dictionary's order, before anything is timed.
# - Then there are `rounds` rounds. In each of them every step has a block of `count` calls; the clock is read right before and right after a block, and at no other time. Round 0 begins with the first name, round 1 with the second, and so on, in a circle; the others follow in the dictionary's order, in a circle.
# - It returns `{name: array}`: for each round the time of the **first** name's block divided by this name's, of the same round.

# %% [markdown] tags=["hint"]
# Three loops: rounds, names in the order of the round, calls.
# `names[turn % len(names):] + names[:turn % len(names)]` is that order.

# %% [markdown] tags=["hint"]
# Keep the blocks' times in lists, `times[name].append(clock() - begun)`, and divide whole arrays at the end.

# %% tags=["pytorch", "solution"]
def compare(steps, rounds, count, clock):
    ### BEGIN SOLUTION
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def compare(steps, rounds, count, clock):
    ### BEGIN SOLUTION
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}
    ### END SOLUTION

# %% [markdown]
# The check has three steps that cost 3, 1.6 and 2 seconds, and 1,000 more at their first call, and a log of every call and every look at the clock; then a machine that gets slower with every call:

# %% tags=["check"]
costs = {"b": 3.0, "a": 1.6, "c": 2.0}
cold = Machine(costs)
given = compare(cold.steps(), 3, 2, cold.clock)
log = "".join(cold.said).replace("clock", "|")
wanted = "bac" + "".join(f"|{2 * name}|" for name in "bac" "acb" "cba")
assert log == wanted, (
    "of b, a and c, in 3 rounds of 2 calls each, with | for a look at "
    f"the clock, the log is {wanted}; yours: {log}")
assert isinstance(given, dict) and list(given) == list(costs), (
    f"a dictionary with an array for each name, not {given!r}")
for name, ratio in {"b": 1, "a": 1.875, "c": 1.5}.items():
    shape = getattr(given[name], "shape", type(given[name]).__name__)
    assert shape == (3,), f"an array (3,) for each name, not {shape}"
    assert np.allclose(given[name], ratio), (
        f"b's 3 s against {name}'s {costs[name]} s is {ratio} in each "
        f"round, not {np.round(given[name], 3)}")
hot = Machine(costs, heat=0.01)
slower = compare(hot.steps(), 8, 3, hot.clock)["c"]
assert slower.shape == (8,), f"8 rounds, 8 ratios, not {slower.shape}"
assert abs(slower - 1.5).max() < 0.2, (
    "on a machine that slows down it is about 1.5 in each round, too, if "
    f"both times are of that round; yours: {np.round(slower, 2)}")

# %% tags=["hidden"]
three = Machine({"c": 1.0, "a": 2.0, "b": 4.0})
given = compare(three.steps(), 4, 1, three.clock)
assert list(given) == ["c", "a", "b"], "the dictionary's order stays"
assert np.allclose(given["b"], 0.25), "1 s against 4 s is a quarter"
order = [one for one in three.said if one != "clock"][3:]
assert order == list("cab" "abc" "bca" "cab"), (
    f"four rounds of three begin in a circle; yours: {order}")
alone = Machine({"only": 0.5})
given = compare(alone.steps(), 5, 7, alone.clock)
assert np.array_equal(given["only"], np.ones(5)), "one step alone is as fast as itself"
assert alone.said.count("only") == 36 and alone.said.count("clock") == 10, "1 + 5 × 7 calls, 10 looks at the clock"

# %% tags=["pytorch", "wrong"] mistake="times the first call, too"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["tensorflow", "wrong"] mistake="times the first call, too"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["pytorch", "wrong"] mistake="one after the other, not interleaved"
def compare(steps, rounds, count, clock):
    times = {}
    for name, step in steps.items():
        step()
        taken = []
        for _ in range(rounds):
            begun = clock()
            for _ in range(count):
                step()
            taken.append(clock() - begun)
        times[name] = np.array(taken)
    base = next(iter(times.values()))
    return {name: base / taken for name, taken in times.items()}

# %% tags=["tensorflow", "wrong"] mistake="one after the other, not interleaved"
def compare(steps, rounds, count, clock):
    times = {}
    for name, step in steps.items():
        step()
        taken = []
        for _ in range(rounds):
            begun = clock()
            for _ in range(count):
                step()
            taken.append(clock() - begun)
        times[name] = np.array(taken)
    base = next(iter(times.values()))
    return {name: base / taken for name, taken in times.items()}

# %% tags=["pytorch", "wrong"] mistake="there and back instead of in a circle"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        for name in names[:: -1 if turn % 2 else 1]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["tensorflow", "wrong"] mistake="there and back instead of in a circle"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        for name in names[:: -1 if turn % 2 else 1]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="changes places with the first only"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = names[turn % len(names)]
        for name in [first] + [one for one in names if one != first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="goes round in the other direction"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = -turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="looks at the clock at every call"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(0)
            for _ in range(count):
                begun = clock()
                steps[name]()
                times[name][-1] += clock() - begun
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="one look at the clock between two blocks"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        begun = clock()
        for name in names[first:] + names[:first]:
            for _ in range(count):
                steps[name]()
            now = clock()
            times[name].append(now - begun)
            begun = now
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="calls each once before every block"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            steps[name]()
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="this name's time divided by the first one's"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: np.array(taken) / base for name, taken in times.items()}

# %% tags=["wrong"] mistake="divides by the mean of all rounds"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.mean(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="divides what the fastest took"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(min(times.values(), key=sum))
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="returns the median alone"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: np.median(base / np.array(taken)) for name, taken in times.items()}

# %% tags=["wrong"] mistake="returns lists"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: list(base / np.array(taken)) for name, taken in times.items()}

# %% tags=["wrong"] mistake="cuts the seconds to whole ones"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(count):
                steps[name]()
            times[name].append(int(clock() - begun))
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% tags=["wrong"] mistake="two calls, whatever count says"
def compare(steps, rounds, count, clock):
    names, times = list(steps), {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            begun = clock()
            for _ in range(2):
                steps[name]()
            times[name].append(clock() - begun)
    base = np.array(times[names[0]])
    return {name: base / np.array(taken) for name, taken in times.items()}

# %% [markdown] tags=["exercise"] exercise="interval" points=3
# ### Exercise 2: how sure is the median?
#
# Quartiles say how much rounds differ, not how well their median is known.
# For that there is an argument that needs no bell curve.
# Each round's ratio lies above the true median with probability ½, so how many of $n$ rounds do is like heads of $n$ coins.
# (Coins do not know of one another. Rounds may, where the machine changes its state between them: then the interval is too narrow. That is the one thing assumed here.)
# The true median is below the $k$-th smallest ratio only if fewer than $k$ coins show tails, and above the $k$-th largest only if fewer than $k$ show heads.
# So the interval from the $k$-th smallest to the $k$-th largest holds it with probability
#
# $$1 - 2 \sum_{i=0}^{k-1} \binom{n}{i} \, 2^{-n}.$$
#
# `median_interval(ratios)` returns `(low, high)`, this interval for the largest $k$ (counted from 1) with a probability of at least 0.95; `(nan, nan)` if there is no such $k$.
# `ratios` is an array in any order, and stays as it is.
#
# When the check passes, ask it about the lesson's own ratios, `visits["dense"]["host"] / visits["dense"]["guest"]`: is 1 in the interval?

# %% [markdown] tags=["hint"]
# `math.comb(n, i)` is the binomial coefficient.
# The interval with $k = 1$ goes from the smallest to the largest; is even that one sure enough?

# %% tags=["pytorch", "solution"]
def median_interval(ratios):
    ### BEGIN SOLUTION
    from math import comb

    ordered = np.sort(ratios)
    n, k, outside = len(ordered), 0, 0.0
    while True:
        outside += 2 * comb(n, k) / 2**n
        if outside > 0.05:
            break
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k - 1], ordered[n - k]
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def median_interval(ratios):
    ### BEGIN SOLUTION
    from math import comb

    ordered = np.sort(ratios)
    n, k, outside = len(ordered), 0, 0.0
    while True:
        outside += 2 * comb(n, k) / 2**n
        if outside > 0.05:
            break
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k - 1], ordered[n - k]
    ### END SOLUTION

# %% [markdown]
# The check has 9 ratios, of which the second smallest and second largest are the answer (0.961), and 20, 8 and 5:

# %% tags=["check"]
nine = np.array([1.31, 1.02, 0.97, 1.10, 1.22, 1.05, 2.90, 1.08, 1.15])
for ratios, wanted, why in (
        (nine, (1.02, 1.31), "of 9 the second smallest and the second "
         "largest (the outlier of 2.90 has no say)"),
        (np.arange(20.0)[::-1], (5, 14), "of 20 the sixth from either end "
         "(k = 6: 0.959, k = 7: 0.885)"),
        (np.arange(8.0), (0, 7), "of 8 the smallest and the largest "
         "(k = 1: 0.992, k = 2: 0.930)"),
        (np.arange(5.0), (np.nan, np.nan), "of 5 even the whole range is "
         "not sure enough (k = 1: 0.938)")):
    before = ratios.copy()
    given = median_interval(ratios)
    two = np.shape(given) == (2,) and given[0] is not None
    assert two, f"{why}: two numbers, {wanted}, not {given!r}"
    assert np.allclose(given, wanted, equal_nan=True), (
        f"{why}: {wanted}; yours: {np.round(given, 3)}")
    assert np.array_equal(ratios, before), "the ratios that come in stay"

# %% tags=["hidden"]
assert np.isnan(median_interval(np.arange(5.0))).all(), (
    "of 5 even the whole range is not sure enough (0.938): nan")
given = median_interval(np.array([6.0, 1, 5, 2, 4, 3]))
assert np.allclose(given, (1, 6)), f"of 6 all: 1 and 6, not {given}"
given = median_interval(np.arange(101.0))
assert np.allclose(given, (40, 60)), f"of 101 the 41st from each end: {given}"

# %% tags=["pytorch", "wrong"] mistake="gives the quartiles"
def median_interval(ratios):
    return tuple(np.percentile(ratios, [25, 75]))

# %% tags=["tensorflow", "wrong"] mistake="gives the quartiles"
def median_interval(ratios):
    return tuple(np.percentile(ratios, [25, 75]))

# %% tags=["pytorch", "wrong"] mistake="mean and two standard errors"
def median_interval(ratios):
    error = np.std(ratios, ddof=1) / len(ratios) ** 0.5
    return np.mean(ratios) - 2 * error, np.mean(ratios) + 2 * error

# %% tags=["tensorflow", "wrong"] mistake="mean and two standard errors"
def median_interval(ratios):
    error = np.std(ratios, ddof=1) / len(ratios) ** 0.5
    return np.mean(ratios) - 2 * error, np.mean(ratios) + 2 * error

# %% tags=["pytorch", "wrong"] mistake="is sure of five rounds, too"
def median_interval(ratios):
    from math import comb

    ordered, k = np.sort(ratios), 1
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.05:
        k += 1
    return ordered[k - 1], ordered[n - k]

# %% tags=["tensorflow", "wrong"] mistake="is sure of five rounds, too"
def median_interval(ratios):
    from math import comb

    ordered, k = np.sort(ratios), 1
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.05:
        k += 1
    return ordered[k - 1], ordered[n - k]

# %% tags=["wrong"] mistake="does not sort"
def median_interval(ratios):
    from math import comb

    ordered, k = ratios, 0
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.05:
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k - 1], ordered[n - k]

# %% tags=["wrong"] mistake="sorts what came in"
def median_interval(ratios):
    from math import comb

    ratios.sort()
    ordered, k = ratios, 0
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.05:
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k - 1], ordered[n - k]

# %% tags=["wrong"] mistake="counts one side only"
def median_interval(ratios):
    from math import comb

    ordered, k = np.sort(ratios), 0
    n = len(ordered)
    while sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.05:
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k - 1], ordered[n - k]

# %% tags=["wrong"] mistake="is content with 0.9"
def median_interval(ratios):
    from math import comb

    ordered, k = np.sort(ratios), 0
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.1:
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k - 1], ordered[n - k]

# %% tags=["wrong"] mistake="counts k from 0"
def median_interval(ratios):
    from math import comb

    ordered, k = np.sort(ratios), 0
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.05:
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k], ordered[n - k - 1]

# %% tags=["wrong"] mistake="takes one coin too many"
def median_interval(ratios):
    from math import comb

    ordered, k = np.sort(ratios), 0
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 2)) / 2**n <= 0.05:
        k += 1
    if k == 0:
        return float("nan"), float("nan")
    return ordered[k - 1], ordered[n - k]

# %% tags=["wrong"] mistake="None where there is no k"
def median_interval(ratios):
    from math import comb

    ordered, k = np.sort(ratios), 0
    n = len(ordered)
    while 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n <= 0.05:
        k += 1
    if k == 0:
        return None
    return ordered[k - 1], ordered[n - k]

# %% [markdown] tags=["exercise"] exercise="flops" points=3
# ### Exercise 3: what does the shipped network cost?
#
# `count_flops(trained, size, batch)` counts the floating-point operations of a forward pass, `{layer: FLOPs}`, of a network of which you have only the neutral weights, such as `data.fashion_classifier()`, the judge of lessons 11 and 19.
#
# - A kernel with four axes, (height, width, inputs, outputs), is a convolution that keeps the picture's size.
# - Between two convolutions pooling halves the size, rounded down; after the last one the mean of each channel is taken.
# - A kernel with two axes is a dense layer.
# - Pictures are square, `size` by `size`, `batch` of them; a kernel need not be. A product and its addition are two operations; biases and everything else do not count.
#
# Layers may have any names; what you are given stays as it is.

# %% [markdown] tags=["hint"]
# The layers are in order.
# Does pooling come before a convolution or after it, if there is none after the last?

# %% tags=["pytorch", "solution"]
def count_flops(trained, size, batch):
    ### BEGIN SOLUTION
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape = arrays["kernel"].shape
        rows = batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def count_flops(trained, size, batch):
    ### BEGIN SOLUTION
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape = arrays["kernel"].shape
        rows = batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found
    ### END SOLUTION

# %% [markdown]
# The check counts the shipped judge for images of 30 by 30, one and 64 of them, and then a network with an oblong kernel:

# %% tags=["check"]
shipped = data.fashion_classifier()
names = {layer: list(kinds) for layer, kinds in shipped.items()}
given = count_flops(shipped, 30, 1)
assert isinstance(given, dict) and list(given) == list(names), (
    f"a number for each of {list(names)}, not {given!r}")
assert names == {layer: list(kinds) for layer, kinds in shipped.items()}, (
    "the weights are to stay as they are")
wanted = {"convolution_1": (30, 518_400), "convolution_2": (15, 8_294_400),
          "convolution_3": (7, 3_612_672), "output": (1, 1_280)}
for name, (side, count) in wanted.items():
    assert given[name] == count, (
        f"{name}, kernel {shipped[name]['kernel'].shape} on {side} by "
        f"{side}: {count:,}, not {given[name]:,} "
        f"({given[name] / count:.3g} times as many)")
many = count_flops(shipped, 30, 64)
assert all(many[name] == 64 * given[name] for name in names), (
    f"64 images take 64 times as much in each layer, not {many}")
small = {"wide": {"kernel": np.zeros((5, 1, 3, 8))},
         "one": {"kernel": np.zeros((8, 4))}}
given = count_flops(small, 9, 2)
assert given == {"wide": 38_880, "one": 128}, (
    "2 images of 9 by 9, kernels (5, 1, 3, 8) and (8, 4): 38,880 and 128; "
    f"yours: {given}")

# %% tags=["hidden"]
given = count_flops(shipped, 28, 1)
assert given == {"convolution_1": 451_584, "convolution_2": 7_225_344, "convolution_3": 3_612_672, "output": 1_280}, (
    f"of the judge at its own size, 28 by 28: {given}")
odd = {name: {"kernel": np.zeros((3, 5, 2, 2)), "bias": np.zeros(2)} for name in "dcba"}
odd |= {"one": {"kernel": np.zeros((8, 4))}, "two": {"kernel": np.zeros((4, 2))}}
given = count_flops(odd, 43, 3)
wanted = {name: 2 * 3 * side**2 * 60 for name, side in zip("dcba", (43, 21, 10, 5))} | {"one": 192, "two": 48}
assert given == wanted, f"four convolutions and two dense layers: {wanted}, not {given}"

# %% tags=["pytorch", "wrong"] mistake="forgets that a product is added, too"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = rows * int(np.prod(shape))
    return found

# %% tags=["tensorflow", "wrong"] mistake="forgets that a product is added, too"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = rows * int(np.prod(shape))
    return found

# %% tags=["pytorch", "wrong"] mistake="never pools"
def count_flops(trained, size, batch):
    return {name: 2 * int(np.prod(arrays["kernel"].shape)) * batch
            * (size**2 if arrays["kernel"].ndim == 4 else 1)
            for name, arrays in trained.items()}

# %% tags=["tensorflow", "wrong"] mistake="never pools"
def count_flops(trained, size, batch):
    return {name: 2 * int(np.prod(arrays["kernel"].shape)) * batch
            * (size**2 if arrays["kernel"].ndim == 4 else 1)
            for name, arrays in trained.items()}

# %% tags=["pytorch", "wrong"] mistake="rounds half sizes up"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = -(-size // 2) if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["tensorflow", "wrong"] mistake="rounds half sizes up"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = -(-size // 2) if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["wrong"] mistake="pools before the first convolution"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["wrong"] mistake="keeps half pixels"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size / 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["wrong"] mistake="forgets the batch"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["wrong"] mistake="counts the bias"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape)) + rows * shape[-1]
    return found

# %% tags=["wrong"] mistake="a dense layer for every pixel"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled = True
        rows = batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["wrong"] mistake="takes every kernel for 3 by 3"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape[-2:])) * (9 if len(shape) == 4 else 1)
    return found

# %% tags=["wrong"] mistake="knows a convolution by its name"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if name.startswith("convolution"):
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["wrong"] mistake="takes the kernels out"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays.pop("kernel").shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% tags=["wrong"] mistake="returns the sum of all layers"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if pooled else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return sum(found.values())

# %% tags=["wrong"] mistake="halves twice at the most"
def count_flops(trained, size, batch):
    found, pooled = {}, False
    for name, arrays in trained.items():
        shape, rows = arrays["kernel"].shape, batch
        if len(shape) == 4:
            size = size // 2 if 0 < len(found) < 3 else size
            pooled, rows = True, batch * size**2
        found[name] = 2 * rows * int(np.prod(shape))
    return found

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - You **built** `measure`: rounds, rotating order, ratios within a round, quartiles; and tested it on the same thing under two names.
# - **What makes a comparison worthless**: the first call, a loader, a single run, threads, precision, a tiny model. Each makes a thing differ from itself, some of them by more than frameworks differ.
# - **What compiling costs and when it pays**: seconds at the first call, and a gain that depends on the network: small operations can be fused, convolutions have a library that no compiler here could beat. The number of steps after which it pays is a division.
# - **How far from the limit**: count the FLOPs, measure the peak, draw the share. (Optional:) a profiler says what happens within a step, and only a measurement whether the cure was one.
# - **C9** is not a property of a framework. It needs a network, a size, a mode of each, a machine and versions before it can be true or false.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters.
#
# 1. Set `rounds = 3` and run the test of the test in *A fair comparison* again, several times.
#    How far from 1 does the same get from itself, and how does that shrink with `rounds = 27`?
# 2. Set `width = 256`, in both notebooks, as a record is only held against one with the same parameters.
#    Which share of the peak does the transformer reach now, and what does that do to the ratio of the modes?
# 3. Set `batch_size = 1`, in both notebooks.
#    Who gains in *Two frameworks*, and would a study that measured this be wrong?
# 4. Let another program work on the machine, such as a video, during `measure`.
#    What happens to the medians, what to the quartiles?
# 5. In Keras' notebook set `compiled_guest = 1`, where there are 2 GB of memory to spare and a C++ compiler.
#    What does `torch.compile` do to the comparison?
#
# ## Read on
#
# - PyTorch's [benchmark recipe](https://docs.pytorch.org/tutorials/recipes/recipes/benchmark.html), [torch.compile](https://docs.pytorch.org/docs/stable/generated/torch.compile.html), and [profiler](https://docs.pytorch.org/docs/stable/profiler.html)
# - TensorFlow's guides to [tf.function](https://www.tensorflow.org/guide/function) and its [profiler](https://www.tensorflow.org/guide/profiler), and [XLA](https://openxla.org/xla)
# - Keras' [benchmarks](https://keras.io/getting_started/benchmarks/)
# - Williams, Waterman and Patterson, *Roofline: An Insightful Visual Performance Model for Multicore Architectures*, Communications of the ACM 52(4), 2009
# - Micikevicius and others, *Mixed Precision Training* (2017): [arXiv:1710.03740](https://arxiv.org/abs/1710.03740)
#
# All this was one machine.
# Where it is not enough, several share the work, and the question is no longer only how fast each of them is, but whether together they compute the same: lesson 21.
