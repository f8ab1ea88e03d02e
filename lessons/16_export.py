# ---
# minutes: {read: 60, run: 1, exercises: 45}
# seconds: 90
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 16 · Saving and exporting: weights or a program
#
# One trained classifier leaves this notebook as weights, as a description, as a program and as ONNX; a new process that knows nothing of us opens each.
#
# So far a trained network mostly ended with its notebook, and lesson 9 took files as others had published them.
# Here you write the files, and see what is in them.
#
# **You will build** a classifier that takes raw camera bytes, and save it as weights, as a checkpoint, as a description, as a program and as an ONNX file.
#
# **You will learn** what each file keeps and what it silently leaves behind; what opening a stranger's file may run; how to export for any batch size; and what is left of the difference between two frameworks once both have written ONNX.
#
# **You need** the training loop of lesson 2, batch normalisation and the question why two twins part (both lesson 4), and the convolution of lesson 6.

# %% [markdown]
# ## Set-up
#
# The first imports are those of every lesson.
# The second group is Python's own tools, and the two packages this lesson is about: ONNX (with its runtime) and safetensors, which belong to neither framework.

# %% tags=["pytorch", "network"]
import torch
import torch.nn.functional as F
from torch import nn

from tandem import data, plots, records, weights
from tandem.pytorch import load_weights

accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import keras
import tensorflow as tf
from keras import layers

from tandem import data, plots, records, weights

# %% [markdown]
# The exporters talk while they work: about a package we do not need, a name that NumPy may define one day, the folder they write to.
# The last lines below keep them quiet.

# %% tags=["pytorch", "classroom"]
import copy
import inspect
import itertools
import json
import logging
import os
import pathlib
import pickle
import re
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime
import safetensors.torch

logging.getLogger("torch.onnx").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")

# %% tags=["tensorflow", "classroom"]
import inspect
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import onnx
import onnxruntime
import safetensors.numpy

tf.get_logger().setLevel("ERROR")
warnings.filterwarnings(
    "ignore", category=FutureWarning, message="In the future `np.object`"
)

# %% [markdown]
# ## Parameters
#
# Every knob of this lesson:

# %% tags=["parameters", "network"]
epochs = 2  # 1 to 100: passes over the training images
batch_size = 32  # 2 to train_size: images a step
learning_rate = 0.01  # above 0 to 1: how far a step goes
# Adam's running averages: both frameworks' defaults
beta_1 = 0.9  # 0 to below 1
beta_2 = 0.999  # 0 to below 1: of the squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
train_size = 6_000  # 100 to 10000: training images
seed = 0  # 0 to 2**32 - 1: of weights and batch order

# %% [markdown]
# What training makes of these values is *asserted* in bounds, and only for the values above: with your own, nothing stops you.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("16_export", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# All files go into a temporary folder, which disappears with this notebook's kernel.

# %%
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)

# %% [markdown]
# ## A network worth keeping
#
# Two convolutions with batch normalisation, and one dense layer: 5,282 weights to train on Fashion-MNIST.
# Batch normalisation is there on purpose.
# Its running averages are not parameters, no gradient reaches them, and yet without them the trained network is useless: a good test for anything that claims to save a network.

# %% tags=["network"]
training, test = data.fashion_mnist(train_size)
train_images, train_labels = training
test_images, test_labels = test


def starting_weights(seed):
    rng = weights.generator(seed)
    return {"classifier": {
        "first": weights.convolution(rng, 3, 1, 8, "he", bias=False),
        "first_norm": weights.batch_norm(8),
        "second": weights.convolution(rng, 3, 8, 16, "he", bias=False),
        "second_norm": weights.batch_norm(16),
        "output": weights.dense(rng, 5 * 5 * 16, 10),
    }}


def batches(seed):
    order = data.batch_order(len(train_images), batch_size, epochs, seed)
    for chosen in order:
        yield train_images[chosen], train_labels[chosen]

# %% [markdown] tags=["pytorch"]
# The `permute` before the dense layer puts the 400 values into the order height, width, channel, in which the twin flattens them.
# It will be visible in the exported program.

# %% tags=["pytorch", "network"]
class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, bias=False)
        self.first_norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 3, bias=False)
        self.second_norm = nn.BatchNorm2d(16)
        self.output = nn.Linear(400, 10)

    def forward(self, images):
        hidden = F.max_pool2d(F.relu(self.first_norm(self.first(images))), 2)
        hidden = F.max_pool2d(F.relu(self.second_norm(self.second(hidden))), 2)
        return self.output(hidden.permute(0, 2, 3, 1).flatten(1))


def build_classifier(starting):
    return load_weights(Classifier(), starting).to(device)

# %% [markdown] tags=["tensorflow"]
# The network is made by a function that needs nothing but Keras.
# The reason comes later: a process that opens our files will have to run these same lines.

# %% tags=["tensorflow", "network"]
def make_classifier():
    # as PyTorch, which writes 0.1 for the momentum
    like_pytorch = {"momentum": 0.9, "epsilon": 1e-5}
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(8, 3, use_bias=False, name="first"),
        layers.BatchNormalization(name="first_norm", **like_pytorch),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 3, use_bias=False, name="second"),
        layers.BatchNormalization(name="second_norm", **like_pytorch),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10, name="output"),
    ], name="classifier")


def build_classifier(starting):
    return load_weights(make_classifier(), starting)

# %% [markdown]
# Training is nothing new: Adam, cross-entropy on logits, one batch a step.

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

# %% [markdown] tags=["pytorch"]
# Out of training, batch normalisation takes its running averages:

# %% tags=["pytorch", "network"]
@torch.inference_mode()
def evaluate(network, images):
    return network.eval()(images)

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

# %% [markdown] tags=["tensorflow"]
# Out of training, batch normalisation takes its running averages:

# %% tags=["tensorflow", "network"]
def evaluate(network, images):
    return network(images, training=False)

# %% [markdown] tags=["pytorch"]
# Halfway through, the loop writes a **checkpoint**: what you need if the machine stops now.
# In PyTorch that is a dictionary we put together ourselves, out of the `state_dict` of everything that changes.

# %% tags=["pytorch"]
network = build_classifier(starting_weights(seed)["classifier"])
optimizer = build_optimizer(network)
halfway = epochs * (train_size // batch_size) // 2
losses = []

for step, batch in enumerate(batches(seed)):
    if step == halfway:
        checkpoint = {
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        torch.save(checkpoint, folder / "checkpoint.pt")
    losses.append(train_step(network, optimizer, *to_tensors(*batch)).item())

# %% [markdown] tags=["tensorflow"]
# Halfway through, the loop writes a **checkpoint**: what you need if the machine stops now.
# A Keras model that was compiled knows its optimiser, and `save` puts both into one `.keras` file.

# %% tags=["tensorflow"]
trained = build_classifier(starting_weights(seed)["classifier"])
optimizer = build_optimizer(trained)
trained.compile(optimizer=optimizer, loss=cross_entropy)
halfway = epochs * (train_size // batch_size) // 2
losses = []

for step, batch in enumerate(batches(seed)):
    if step == halfway:
        trained.save(folder / "checkpoint.keras")
    loss = train_step(trained, optimizer, *to_tensors(*batch))
    losses.append(float(loss))

# %% [markdown]
# Did it learn?

# %%
assert np.mean(losses[-20:]) < np.mean(losses[:20]) / 2 or not as_shipped
fell = np.mean(losses[-20:]) < np.mean(losses[:20])
plots.curves({"training loss": losses},
             "The loss falls" if fell else "The loss of each step",
             y_label="loss, mean of 10 steps", window=10)

# %% [markdown]
# ## Going on where you stopped
#
# Suppose the machine had stopped halfway.
# Two people now go on from the checkpoint, on the batches that were next: one loads the network and the optimiser, the other only the network, with a new optimiser.
# Who is where the uninterrupted run was?

# %% tags=["pytorch"]
def go_on(steps, with_optimizer):
    checkpoint = torch.load(folder / "checkpoint.pt", map_location=device)
    network = Classifier().to(device)
    network.load_state_dict(checkpoint["network"])
    optimizer = build_optimizer(network)
    if with_optimizer:
        optimizer.load_state_dict(checkpoint["optimizer"])
    following = itertools.islice(batches(seed), halfway, halfway + steps)
    return [train_step(network, optimizer, *to_tensors(*batch)).item()
            for batch in following]

# %% tags=["tensorflow"]
def go_on(steps, with_optimizer):
    network = keras.saving.load_model(folder / "checkpoint.keras")
    optimizer = network.optimizer
    if not with_optimizer:
        optimizer = build_optimizer(network)
    following = itertools.islice(batches(seed), halfway, halfway + steps)
    return [float(train_step(network, optimizer, *to_tensors(*batch)))
            for batch in following]

# %% [markdown]
# Fifty steps each, and whether the first ten losses are those of the uninterrupted run, to three decimals:

# %%
uninterrupted = losses[halfway : halfway + 50]
continued = {"with the optimiser": go_on(50, True),
             "weights only": go_on(50, False)}
stumbles = np.mean(np.subtract(continued["weights only"], uninterrupted)) > 0

for name, values in continued.items():
    same = np.abs(np.subtract(values, uninterrupted))[:10] < 1e-3
    print(f"{name:20} first loss the same: {same[0]}, next nine: "
          f"{same[1:].all()}")
    assert same.all() == (name == "with the optimiser") or not as_shipped

# %% [markdown]
# As curves, over all fifty:

# %%
_, axes = plt.subplots()
axes.margins(y=0.15)
axes.plot(range(1, len(uninterrupted) + 1), uninterrupted, linewidth=6,
          alpha=0.3, label="uninterrupted")
plots.curves(continued, "Without the optimiser's state, training stumbles"
             if stumbles else "With the optimiser's state, and without",
             "step after the checkpoint", axes=axes)
_ = axes.legend(loc="upper center", ncols=3)

# %% [markdown]
# The first loss is the same for all, because it is computed before any update: the weights are complete.
# Then they part.
# Adam divides by the root of a running average of squared gradients.
# A new Adam's average holds a single gradient, so its first step is the full learning rate in every weight, however small the gradient.
# That may even help at first: here the third loss is lower than it was.
# But the fifth is nearly twice as high, and the mean of the fifty is higher by 0.05 or a little more.
# Nobody gets an error, and it happens after every interruption.

# %% [markdown] tags=["pytorch"]
# The optimiser's state is two numbers a weight, so the checkpoint is about three times as large as the weights.
# The epoch and the position in the batch order are not in it: here we know them; in a long run, save them as well.

# %% [markdown] tags=["tensorflow"]
# The optimiser's state is two numbers a weight, so the checkpoint holds about three times as many numbers as the network.
# The position in the batch order is not in it: here we know it; in a long run, save it as well.
# (Where a training loop has no compiled model, `tf.train.Checkpoint(network=…, optimizer=…)` keeps the same numbers, but needs your code to rebuild the network.)

# %% [markdown]
# ## The scaling that the next person forgets
#
# Training is over; now someone else is to use the network.
# `tandem.data` gave us brightness from 0 to 1.
# A camera or a PNG file gives bytes from 0 to 255.
# Nothing in the weights says which of the two they want.

# %% tags=["pytorch"]
network.cpu().eval()  # on the CPU: what we ship must not ask for our GPU


@torch.inference_mode()
def probabilities(images):
    # all at once would take much memory
    parts = torch.as_tensor(images)[:, None].split(200)
    logits = torch.cat([evaluate(network, part) for part in parts])
    return logits.softmax(1).numpy()

# %% [markdown] tags=["pytorch"]
# **Watch out:** `.eval()` is a state of the Python object, and no file of weights keeps it.
# Whoever loads them has to say it again.

# %% tags=["tensorflow"]
network = make_classifier()  # not compiled: what we ship needs no optimiser
network.set_weights(trained.get_weights())


def probabilities(images):
    # all at once would take much memory
    parts = np.split(images[..., None], 10)
    # where the new processes below will work, to compare to 1e-5
    with tf.device("CPU"):
        logits = [evaluate(network, part) for part in parts]
        return tf.nn.softmax(tf.concat(logits, axis=0)).numpy()

# %% [markdown]
# The same 2,000 test images, scaled and as bytes:

# %% tags=["nbval-ignore-output"]
test_bytes = np.round(test_images * 255).astype("uint8")
scaled = probabilities(test_images)
forgotten = probabilities(test_bytes.astype("float32"))

both = {"scaled to 0..1": scaled, "scaling forgotten": forgotten}
rights = [np.mean(some.argmax(1) == test_labels) for some in both.values()]

print(f"{'':20} right   mean of the highest probability")
for (name, some), right in zip(both.items(), rights):
    print(f"{name:20} {right:.3f}   {some.max(1).mean():.3f}")

test_accuracy = rights[0]
if as_shipped:
    assert test_accuracy >= 0.80 and rights[1] < test_accuracy
    assert forgotten.max(1).mean() > 0.98

# %% [markdown]
# This is the worst kind of bug.
# It does not crash, and it does not look broken: most answers are still right.
# At 255 times the input the network's shifts (biases, batch normalisation's) hardly count any more, and without them it is proportional to its input: it answers as a network that has lost its shifts would at any brightness, often as before, only far more surely.
# But it costs several points of accuracy (6 to 13 in our runs), and nearly **every** answer now claims to be certain.
# (Scaled, the mean confidence is close to the share of right answers, as it should be.)
# Here are images that were right before:

# %%
def verdict(answer):
    name = data.FASHION_CLASSES[answer.argmax()].split()[-1]
    return f"{name} {answer.max():.2f}"


right_before, right_now = (some.argmax(1) == test_labels
                           for some in (scaled, forgotten))
lost = np.flatnonzero(right_before & ~right_now)[:10]
captions = [f"{verdict(scaled[i])}\nnow {verdict(forgotten[i])}" for i in lost]
if len(lost):
    plots.images(test_images[lost],
                 "Right when scaled, wrong when the scaling is forgotten",
                 captions, columns=5, size=1.3)

# %% [markdown]
# The cure is not a better manual.
# It is to make the scaling part of what is shipped, so that it cannot be forgotten: a program that takes bytes and gives probabilities.

# %% tags=["pytorch"]
class Program(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        """Bytes of shape (batch, 28, 28) in, 10 probabilities an image out."""
        return self.network(images.unsqueeze(1).float() / 255).softmax(1)


program = Program(network).eval()
with torch.inference_mode():
    expected = program(torch.as_tensor(test_bytes[:200])).numpy()

# %% tags=["tensorflow"]
def make_program(network):
    """Bytes of shape (batch, 28, 28) in, 10 probabilities an image out."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    brightness = layers.Rescaling(1 / 255)(layers.Reshape((28, 28, 1))(images))
    answers = layers.Softmax()(network(brightness))
    return keras.Model(images, answers, name="program")


program = make_program(network)
with tf.device("CPU"):
    expected = program(test_bytes[:200], training=False).numpy()

# %% [markdown]
# These 200 answers are the reference for the rest of the lesson.
# They are what the scaled images gave before:

# %%
np.save(folder / "images.npy", test_bytes[:200])
as_before = np.abs(expected - scaled[:200]).max() < 1e-5
print(f"{len(expected)} images as bytes, answers as before: {as_before}")
assert as_before

# %% [markdown]
# ## A process that knows nothing of us
#
# A file that opens in the notebook that wrote it proves little: our classes, our variables and our imports are all still here.
# So each format's final file is opened by a **new** Python process, which gets a short script and the folder with the files: the same installed packages, none of them imported, no GPU, none of our definitions.
# If it answers, its answers are compared with ours.

# %%
def new_process(script):
    """Runs a script in a new process in the folder; prints what it prints."""
    alone = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    # where another lesson installed these, Keras imports them unasked
    lean = ("import sys; sys.modules.update(jax=None, pandas=None,"
            " scipy=None, sklearn=None)\n")
    done = subprocess.run([sys.executable, "-c", lean + script], cwd=folder,
                          env=alone, capture_output=True, text=True)
    worked = done.returncode == 0
    errors = done.stderr.strip().splitlines()
    printed = done.stdout.strip()
    if not worked:
        printed = (errors or ["it stopped without a word"])[-1][:72]
    if printed:
        print(printed)
    return worked

# %% [markdown]
# A script leaves its answers to `images.npy` in one file for each format that it tries.
# Where a format could have fixed the batch, it asks for the first image alone and then for the other 199, two numbers that none of these files was made with.
# The next function compares them with ours, and keeps what we learn about a format for the end of the lesson:

# %%
largest_difference, seconds, facts = {}, {}, {}


def fresh(script, *formats):
    """Runs a script in a new process; True if it ran, with right answers."""
    start = time.perf_counter()
    worked = new_process(script)
    elapsed = time.perf_counter() - start
    if not worked:
        return False
    for name in formats:
        answers = np.load(folder / f"{name}.npy")
        largest_difference[name] = float(np.abs(answers - expected).max())
        seconds[name] = elapsed
        assert largest_difference[name] < 1e-5, name
        print(f"{name}: {len(expected)} answers as ours, to within 1e-5")
    return True

# %% [markdown]
# Several files will be refused.
# Of a long message we print one sentence, the one that says a certain word:

# %%
def told(error, word):
    """The sentence of an error's message with this word, else its first."""
    sentences = re.split(r"\n|(?<=\.) ", str(error).strip())
    found = next((one for one in sentences if word in one), sentences[0])
    return textwrap.fill(found.strip(" \t-"), 76)

# %% [markdown]
# ## Weights: names and numbers
#
# The smallest thing to save is a table: a name, a shape, the numbers.

# %% tags=["pytorch"]
def bytes_of(name):
    return (folder / name).stat().st_size


torch.save(network.state_dict(), folder / "weights.pt")
parameter_names = dict(network.named_parameters())
for name, values in network.state_dict().items():
    kind = "trained" if name in parameter_names else ""
    print(f"{name:32} {str(tuple(values.shape)):15} {kind}")
ratio = bytes_of("checkpoint.pt") / bytes_of("weights.pt")
print(f"\nThe checkpoint is {ratio:.1f} times as large as this file.")

# %% [markdown] tags=["pytorch"]
# Fourteen entries, eight of them parameters.
# The other six are **buffers**: batch normalisation's averages, and a count of the batches.
# Saving `network.parameters()` instead would lose them without a word.
#
# `torch.save` writes a zip archive: a pickle that describes the objects, and the tensors' raw bytes.
# **safetensors** is an alternative that can hold tensors and nothing else.
# (Two names for the same memory, as where two layers share weights, it refuses; `safetensors.torch.save_model` saves such a network.)
# This is how such a file begins, read without any library: the length of a JSON text, the text (of each tensor its type, its shape, and from which byte to which it lies), and then only numbers.

# %% tags=["tensorflow"]
network.save_weights(folder / "network.weights.h5")
for weight in network.weights:
    kind = "trained" if weight.trainable else ""
    print(f"{weight.path:40} {str(tuple(weight.shape)):15} {kind}")

# %% [markdown] tags=["tensorflow"]
# Twelve entries, eight of them trained.
# The other four are batch normalisation's averages, which `network.trainable_weights` would lose without a word.
#
# `save_weights` writes HDF5, an old format of science for named arrays in folders within one file; here the path says a layer's kind and position (`layers/conv2d_1/vars/0`), and its name is a note beside it.
# **safetensors** is an alternative that can hold arrays and nothing else; we give it the paths printed above as names.
# Keras has no function for it and needs none: the file takes a dictionary of NumPy arrays.
# This is how it begins, read without any library: the length of a JSON text, the text (of each array its type, its shape, and from which byte to which it lies), and then only numbers.

# %% tags=["pytorch"]
path = folder / "weights.safetensors"
safetensors.torch.save_file(network.state_dict(), path)

with open(path, "rb") as file:
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
for name, entry in list(header.items())[:3]:
    print(name, *entry.values())

# %% tags=["tensorflow"]
arrays = {weight.path: weight.numpy() for weight in network.weights}
path = folder / "weights.safetensors"
safetensors.numpy.save_file(arrays, path)

with open(path, "rb") as file:
    header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
for name, entry in list(header.items())[:3]:
    print(name, *entry.values())

# %% [markdown]
# The first kernel is (3, 3, 1, 8) in Keras and (8, 1, 3, 3) in PyTorch (lesson 6): a neutral file does not make weights portable.
# Now to a process that knows nothing of us.
# What can it do with weights alone?

# %% tags=["pytorch"]
facts["state_dict"] = facts["safetensors"] = {"without code": fresh("""
import numpy as np, torch

weights = torch.load("weights.pt")
weights(torch.as_tensor(np.load("images.npy")))
""")}

# %% [markdown] tags=["pytorch"]
# Nothing: the file holds a dictionary, and a dictionary of tensors is not a network.
# The process needs our **code** as well, and the same code.
# So we send it along: Python can read the methods' source back from this notebook.

# %% tags=["pytorch"]
def source_of(module):
    # getsource(module) wants the file that defines the class: there is none
    methods = map(inspect.getsource, (module.__init__, module.forward))
    return f"class {module.__name__}(nn.Module):\n" + "\n".join(methods)


our_code = f"""
import numpy as np, torch, torch.nn.functional as F
from torch import nn

{source_of(Classifier)}
{source_of(Program)}
"""
load_weights_files = our_code + """
from safetensors.torch import load_file

images = torch.as_tensor(np.load("images.npy"))
files = {"state_dict": torch.load("weights.pt"),
         "safetensors": load_file("weights.safetensors")}
for name, read in files.items():
    network = Classifier()
    print(name, network.load_state_dict(read))
    np.save(name, Program(network).eval()(images).numpy(force=True))
"""
assert fresh(load_weights_files, "state_dict", "safetensors")

# %% [markdown] tags=["tensorflow"]
# (`getsource` reads the function's text back from this notebook, so the script holds our `make_classifier`, after a try without it.
# TensorFlow takes some seconds to start, so one process opens both files.)

# %% tags=["tensorflow"]
load_weights_files = """
import keras, numpy as np, safetensors.numpy
from keras import layers

try:
    keras.saving.load_model("network.weights.h5")
except ValueError as error:
    print(error)

""" + inspect.getsource(make_classifier) + """
images = np.load("images.npy")[..., None] / 255  # we have to know that, too
network = make_classifier()
network.load_weights("network.weights.h5")
np.save(".weights.h5", keras.ops.softmax(network(images)))

network = make_classifier()
arrays = safetensors.numpy.load_file("weights.safetensors")
for weight in network.weights:
    weight.assign(arrays[weight.path])
np.save("safetensors", keras.ops.softmax(network(images)))
"""
assert fresh(load_weights_files, ".weights.h5", "safetensors")
facts[".weights.h5"] = {"without code": False, "optimiser": "if built"}
facts["safetensors"] = {"without code": False, "optimiser": "if added"}

# %% [markdown] tags=["tensorflow"]
# Alone, the file of weights is no model: no configuration is found.
# With our code it is complete.
#
# **Watch out:** of a *compiled* model `save_weights` also writes the optimiser's state.
# `load_weights` leaves it out, with a warning only, unless the new model's optimiser has its variables already: call `optimizer.build(model.trainable_variables)` first (`docs/findings/optimizer_in_weights.py` shows both).

# %% [markdown]
# So weights say *what the numbers are* and leave *what to do with them* to code that is stored elsewhere and may have changed since.
# That is right for a checkpoint and for your own repository.
# It is little help to anyone else.

# %% [markdown]
# ## What a file may do when you open it
#
# Lesson 9 showed hub folders that are programs.
# A single file can be one as well: formats that hold more than numbers hold instructions, and opening them may run those.

# %% [markdown] tags=["pytorch"]
# Here is a file that claims to hold weights.

# %% [markdown] tags=["tensorflow"]
# Here is a model from a stranger.

# %% tags=["pytorch"]
class Surprise:
    # pickle asks: how are you made again? Any function may be the answer
    def __reduce__(self):
        return print, ("This line was printed by opening the file.",)


torch.save({"first.weight": Surprise()}, folder / "stranger.pt")

# wrong: only to see it
_ = torch.load(folder / "stranger.pt", weights_only=False)

# %% [markdown] tags=["pytorch"]
# It could as well have been a function that deletes your files: a pickle is a small program, and reading it means running it.
# Since PyTorch 2.6 `torch.load` refuses, because `weights_only=True` is the default: only tensors, plain containers, numbers and classes on an allow-list are made.
# Which names off that list a file asks for can also be found out without running it:

# %% tags=["pytorch"]
try:
    torch.load(folder / "stranger.pt")
except pickle.UnpicklingError as error:
    print(told(error, "Unsupported"))

names_in = torch.serialization.get_unsafe_globals_in_checkpoint
print("it asks for", *names_in(folder / "stranger.pt"))

# %% tags=["tensorflow"]
# print returns None, so that `or` hands the images on
surprise = layers.Lambda(
    lambda images: print("This line was printed by our function.") or images
)
stranger = keras.Sequential([keras.Input((28, 28)), surprise])
stranger.save(folder / "stranger.keras")

# %% [markdown] tags=["tensorflow"]
# That line came from building the model, which calls the function once.
# The file now holds the function's byte code, and opening it means running it.
# With the check switched off:

# %% tags=["tensorflow"]
# wrong: only to see it
_ = keras.saving.load_model(folder / "stranger.keras", safe_mode=False)

# %% [markdown] tags=["tensorflow"]
# It could as well have been a function that deletes your files.
# By default, `safe_mode=True`, Keras refuses:

# %% tags=["tensorflow"]
try:
    keras.saving.load_model(folder / "stranger.keras")
except ValueError as error:
    print(told(error, "Lambda"))

# %% [markdown]
# Keep the default, keep the framework up to date (such checks have had holes), and where a file comes from someone else prefer a format that cannot hold code: safetensors was made for that.

# %% [markdown]
# ## A description that names our classes
#
# Can the file not just hold the whole object, so that nobody needs to know its class?
# Both frameworks have such a format: PyTorch pickles the whole module, Keras writes a `.keras` file.
# Both store the *names* of classes, not their code.

# %% tags=["pytorch"]
torch.save(program, folder / "whole.pt")

try:
    torch.load(folder / "whole.pt")
except pickle.UnpicklingError as error:
    print(told(error, "Unsupported"))

asked = names_in(folder / "whole.pt")
with torch.serialization.safe_globals(
    [Program, Classifier, nn.Conv2d, nn.BatchNorm2d, nn.Linear]
):
    print(len(asked), "names allowed:", type(torch.load(folder / "whole.pt")))

# %% [markdown] tags=["pytorch"]
# Refused, like the surprise: `Program` is no tensor.
# `safe_globals` allows what we list, for the length of a `with`, and nothing else: all five classes that the file names, and that PyTorch does not trust by itself, have to be in the list.
# In a new process, with the check switched off because we wrote the file ourselves:

# %% tags=["pytorch"]
open_whole = """
import numpy as np, torch

program = torch.load("whole.pt", weights_only=False)
images = torch.as_tensor(np.load("images.npy"))
parts = [program(some) for some in (images[:1], images[1:])]
np.save("whole module", torch.cat(parts).numpy(force=True))
"""
alone = fresh(open_whole)
facts["whole module"] = {"without code": alone, "any batch": True}
assert fresh(our_code + open_whole, "whole module")

# %% [markdown] tags=["pytorch"]
# The class is not in the file, only its name, `__main__.Program`.
# With our code in front, the same script works.
# So a whole module needs the same code as a `state_dict` does, breaks when a class is renamed or moved, and asks whoever opens it to list classes or to switch the protection off.
# There is no reason to ship one.

# %% [markdown] tags=["tensorflow"]
# A `.keras` file is a zip archive: the configuration as JSON, the weights as HDF5.
# (The byte code of a lambda, above, is the one exception to "names, not code".)
# The program consists of Keras' own layers, whose names every Keras knows.
# To see what happens with a layer of our own, here is a second program which does the scaling in one:

# %% tags=["tensorflow"]
class Scale(layers.Layer):
    def call(self, images):
        return keras.ops.cast(images, self.compute_dtype)[..., None] / 255


def save_with_our_layer():
    images = keras.Input((28, 28), dtype="uint8", name="images")
    answers = layers.Softmax()(network(Scale()(images)))
    keras.Model(images, answers).save(folder / "custom.keras")


program.save(folder / "program.keras")
save_with_our_layer()
try:
    keras.saving.load_model(folder / "custom.keras")
except TypeError as error:
    print(told(error, "locate"))

# %% [markdown] tags=["tensorflow"]
# The class is defined one cell above, and still Keras cannot find it: it looks up names among its own classes and those that it was told.
# Either whoever opens the file hands the class over, as `custom_objects`; or whoever writes it **registers** the class, and then the registered name is in the file.
# The package name keeps our `Scale` apart from anybody else's.

# %% tags=["tensorflow"]
ours = {"Scale": Scale}
handed_over = keras.saving.load_model(folder / "custom.keras", ours)
print(type(handed_over.layers[1]).__name__, "is found in custom_objects")

# as a rule written @keras.saving.register… above the class
keras.saving.register_keras_serializable(package="tandem")(Scale)
save_with_our_layer()
reloaded = keras.saving.load_model(folder / "custom.keras")
name = keras.saving.get_registered_name(Scale)
print(type(reloaded.layers[1]).__name__, "is found as", name)

# %% [markdown] tags=["tensorflow"]
# That settles it here.
# In a new process nothing is registered until our code is imported, or written out again:

# %% tags=["tensorflow"]
open_descriptions = """
import keras, numpy as np

images = np.load("images.npy")
program = keras.saving.load_model("program.keras")
parts = [program(some) for some in (images[:1], images[1:])]
np.save(".keras", np.concatenate(parts))
try:
    keras.saving.load_model("custom.keras")
except TypeError as error:
    print("before Scale is written out, unknown:", "'Scale'" in str(error))

@keras.saving.register_keras_serializable(package="tandem")
class Scale(keras.layers.Layer):
    def call(self, images):
        return keras.ops.cast(images, self.compute_dtype)[..., None] / 255

program = keras.saving.load_model("custom.keras")
parts = [program(some) for some in (images[:1], images[1:])]
np.save(".keras with our layer", np.concatenate(parts))
"""
assert fresh(open_descriptions, ".keras", ".keras with our layer")
facts[".keras"] = {"without code": True, "any batch": True}
facts[".keras with our layer"] = {"without code": False, "any batch": True}

# %% [markdown] tags=["tensorflow"]
# So registering does not put the code into the file.
# It makes the name findable where the code is.
# A `.keras` file of Keras' own layers needs none of our code; that is a good reason to write `Rescaling` rather than a layer like `Scale`.

# %% [markdown]
# ## A program, without our code
#
# The way out is to store not the class but what it *does*: run the program once, note every operation on tensors, and write that list together with the weights (PyTorch into one `.pt2` file, Keras into a folder, a SavedModel).
# Our code is then not needed any more, whatever it was, as long as tracing could follow it.

# %% tags=["pytorch"]
example = torch.zeros(2, 28, 28, dtype=torch.uint8)
exported = torch.export.export(program, (example,))
for node in exported.graph.nodes:
    if node.op == "call_function":
        print(node.target)

# %% [markdown] tags=["pytorch"]
# From bytes to probabilities, in the operations of `aten`, PyTorch's own vocabulary.
# (`_assert_tensor_metadata` guards the type of the input.
# `torch.jit.trace` and `torch.jit.script`, which you may meet, are the deprecated predecessors.)
# The export followed an example of two images.
# Five images, then:

# %% tags=["pytorch"]
five = torch.as_tensor(test_bytes[:5])
try:
    exported.module()(five)
except AssertionError as error:
    print(told(error, "Guard failed"))

# %% [markdown] tags=["pytorch"]
# The two of the example became part of the program.
# A dimension that may vary is given a name:

# %% tags=["pytorch"]
any_batch = {"images": {0: torch.export.Dim("batch")}}
exported = torch.export.export(program, (example,), dynamic_shapes=any_batch)
print(tuple(exported.module()(five).shape))

# %% [markdown] tags=["pytorch"]
# **Watch out:** the example needs two images or more.
# A dimension of 1 is taken as fixed, because broadcasting makes it special; asking for both is an error (with `Dim.AUTO`, only a warning):

# %% tags=["pytorch"]
try:
    torch.export.export(program, (example[:1],), dynamic_shapes=any_batch)
except Exception as error:  # a UserError, from a private module of PyTorch
    print(told(error, "marked"))

# %% [markdown] tags=["pytorch"]
# **Watch out:** the export takes the program in the state it is in.
# In training mode, batch normalisation asks the *batch* for its averages, and an image's answer depends on the images next to it:

# %% tags=["pytorch"]
in_training = torch.export.export(
    copy.deepcopy(program).train(), (example,), dynamic_shapes=any_batch
)
wrong = in_training.module()
among_two, among_five = wrong(five[:2])[0], wrong(five)[0]
same = torch.allclose(among_two, among_five, atol=1e-3)
print("the first image's answer is the same in a batch of 2 and of 5:", same)

# %% [markdown] tags=["pytorch"]
# The file cannot be repaired afterwards: an exported module's `.eval()` answers "Calling eval() is not supported yet".
# `program` was in evaluation mode, so its export is right.
# To the file, and to the process that knows nothing of us:

# %% tags=["pytorch"]
torch.export.save(exported, folder / "program.pt2")

facts["torch.export"] = {"without code": fresh("""
import numpy as np, torch

program = torch.export.load("program.pt2").module()
images = torch.as_tensor(np.load("images.npy"))
parts = [program(some) for some in (images[:1], images[1:])]
np.save("torch.export", torch.cat(parts).numpy(force=True))
""", "torch.export"), "any batch": True}

# %% [markdown] tags=["pytorch"]
# No class, no scaling to remember, any number of images, one as well.
# One thing more is in the file, and you may not want it there: the **example**.
# We exported with zeros; an export made with a patient's picture would carry the picture along.
# So export with zeros.

# %% tags=["pytorch"]
reopened = torch.export.load(folder / "program.pt2")
(example_in_file,), _ = reopened.example_inputs
zeros = not example_in_file.any().item()
print(tuple(example_in_file.shape), "in the file, all zeros:", zeros)

# %% [markdown] tags=["tensorflow"]
# The format is called **SavedModel**, a folder; `export` writes it.
# First with the shape that one would write down without much thought, for one image:

# %% tags=["tensorflow"]
one_image = [keras.InputSpec(shape=(1, 28, 28), dtype="uint8")]
program.export(folder / "one_image", input_signature=one_image, verbose=False)
loaded = tf.saved_model.load(folder / "one_image")

print(loaded.serve(test_bytes[:1]).shape)
try:
    loaded.serve(test_bytes[:5])
except TypeError as error:
    print(told(error, "cast"))

# %% [markdown] tags=["tensorflow"]
# The 1 in the signature became part of the program.
# Without an `input_signature`, Keras takes the shape of `keras.Input`, whose batch is open:

# %% tags=["tensorflow"]
program.export(folder / "saved_model", verbose=False)
loaded = tf.saved_model.load(folder / "saved_model")
endpoint = loaded.signatures["serving_default"]
print("takes", *endpoint.structured_input_signature[1].values())
print("gives", *endpoint.structured_outputs.values())

# %% [markdown] tags=["tensorflow"]
# The endpoint `serving_default` is what a model server calls (lesson 19).
# Its input carries our name, `images`; its output got the name `output_0`.
# Keras exports what the network answers when nobody says a mode, and for its own layers that is inference.
# **Watch out:** a layer of your own may see it otherwise, if its `call` has a default:

# %% tags=["tensorflow"]
class Forgetful(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dropout = layers.Dropout(0.5)

    def call(self, inputs, training=True):  # wrong: this default is exported
        return self.dropout(inputs, training=training)


inputs = keras.Input((1000,))
model = keras.Model(inputs, Forgetful()(inputs))
model.export(folder / "forgetful", verbose=False)
forgetful = tf.saved_model.load(folder / "forgetful")
answer = forgetful.serve(tf.ones((1, 1000)))
dropped = np.mean(answer.numpy() == 0)
print(f"it sets about {round(dropped, 1):.0%} of its inputs to zero")

# %% [markdown] tags=["tensorflow"]
# Write `training=None`, or no default at all.
#
# **Watch out:** keep what `load` returns, as we did in `loaded`.
# `load(…).serve(…)` in one line fails with "Called a function referencing variables which have been deleted": nothing holds the weights any more.
# (A signature does hold them.)
#
# Now the process that knows nothing of us:

# %% tags=["tensorflow"]
worked = fresh("""
import numpy as np, tensorflow as tf

loaded = tf.saved_model.load("saved_model")
images = tf.constant(np.load("images.npy"))
answer = loaded.signatures["serving_default"]
parts = [answer(images=some)["output_0"] for some in (images[:1], images[1:])]
np.save("SavedModel", np.concatenate(parts))
""", "SavedModel")
facts["SavedModel"] = {"without code": worked, "any batch": True}

# %% [markdown] tags=["tensorflow"]
# No layer of ours is needed: the program with our own `Scale` exports too, and then runs in a process where `Scale` was never heard of:

# %% tags=["tensorflow"]
reloaded.export(folder / "custom_saved_model", verbose=False)
assert fresh("""
import numpy as np, tensorflow as tf

loaded = tf.saved_model.load("custom_saved_model")
np.save("SavedModel with our layer", loaded.serve(np.load("images.npy")))
""", "SavedModel with our layer")

# %% [markdown] tags=["tensorflow"]
# **Watch out:** a SavedModel is a program and, when opened or run, may read and write files, whatever you set.
# Open a stranger's in a sandbox only.

# %% [markdown]
# ## ONNX: a program for everyone
#
# That program still needs the framework that wrote it.
# **ONNX** is a vocabulary of operations that belongs to no framework, and a file written in it can be run by whatever knows that vocabulary; we use ONNX Runtime.
# The batch is left open here, too; otherwise the file takes only as many images as the example (PyTorch) or the signature (Keras) had.

# %% [markdown] tags=["pytorch"]
# (`dynamo=True`, the default, goes through `torch.export`; `external_data=False` puts the weights into the file rather than next to it, which works up to 2 GB.)

# %% tags=["pytorch"]
options = {"input_names": ["images"], "output_names": ["probabilities"],
           "dynamic_shapes": any_batch,
           "dynamo": True, "external_data": False, "verbose": False}
file = folder / "program.onnx"
torch.onnx.export(program, (example,), file, **options)

on_cpu = {"providers": ["CPUExecutionProvider"]}
session = onnxruntime.InferenceSession(file, **on_cpu)
print(session.get_inputs()[0].shape, session.get_inputs()[0].type)

# %% [markdown] tags=["pytorch"]
# **Watch out:** `torch.export` exports training mode as it stands; `torch.onnx.export`, though it goes through it, only by halves, for on the way to ONNX's operations batch normalisation becomes that of evaluation mode.
# Two layers that leave ones as they are when they do not train, exported while they do:

# %% tags=["pytorch"]
halves = nn.Sequential(nn.BatchNorm1d(1000), nn.Dropout(0.5)).train()
ones = torch.ones(2, 1000)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a warning is all that it gives
    torch.onnx.export(halves, (ones,), folder / "halves.onnx",
                      external_data=False, verbose=False)
session = onnxruntime.InferenceSession(folder / "halves.onnx", **on_cpu)
inputs = {session.get_inputs()[0].name: ones.numpy()}
print("ones become", np.unique(session.run(None, inputs)[0].round(2)))

# %% [markdown] tags=["pytorch"]
# Batch normalisation takes its running averages, or all would be 0, and dropout goes on dropping.
# `program` is in evaluation mode, so its file is right.

# %% [markdown] tags=["tensorflow"]
# Keras exports to ONNX through the package tf2onnx.
#
# **Watch out:** it wants a model that was called at least once with data; ours was, when we computed `expected`.
# Otherwise it stops with "The model provided has never called" (sic).
# (The layer `Forgetful` does not come through: tf2onnx has no operation for its random numbers, and writes a file all the same, which ONNX Runtime refuses.)

# %% tags=["tensorflow"]
program.export(folder / "program.onnx", format="onnx", verbose=False)

on_cpu = {"providers": ["CPUExecutionProvider"]}
session = onnxruntime.InferenceSession(folder / "program.onnx", **on_cpu)
images = session.get_inputs()[0]
is_open = isinstance(images.shape[0], str)
print(images.name, images.shape[1:], images.type, "batch open:", is_open)

# %% [markdown]
# Now the process that knows nothing of us, and this time it does not even know our framework:

# %%
run_onnx = """
import sys
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession(
    "program.onnx", providers=["CPUExecutionProvider"])
images = np.load("images.npy")
parts = [session.run(None, {"images": some})[0]
         for some in (images[:1], images[1:])]
np.save("ONNX", np.concatenate(parts))
frameworks = {"torch", "tensorflow", "keras"}
print("frameworks imported:", len(frameworks & sys.modules.keys()))
assert not frameworks & sys.modules.keys()
"""
worked = fresh(run_onnx, "ONNX")
facts["ONNX"] = dict.fromkeys(
    ("without code", "any batch", "without framework"), worked)

# %% [markdown]
# ## Two files, one answer
#
# An ONNX file is a list of nodes, and `onnx.load` reads it.
# Before we compare ours with the twin's, we look at what else is in it.

# %% [markdown] tags=["pytorch"]
# **Watch out:** PyTorch notes at each node which line of which file it came from.
# That helps in debugging, and it tells whoever gets the file how the folders on your machine are called (the `.pt2` file holds such notes as well):

# %% tags=["pytorch"]
nodes = onnx.load(folder / "program.onnx").graph.node
notes = [note.value for node in nodes for note in node.metadata_props]
ours = any("self.network(" in note for note in notes)
files = any("site-packages" in note for note in notes)
print("the notes quote our source code:", ours)
print("the notes name files of this machine:", files)

# %% [markdown] tags=["tensorflow"]
# **Watch out:** tf2onnx makes up names as it goes, so two exports of one network differ in their bytes, as two SavedModels do: a cache that goes by a checksum takes them for two models.
# (PyTorch's bytes stay the same, but at each node it notes which line of which file of your machine it came from.)

# %% [markdown]
# `tidy` takes such notes out and numbers the values in the order in which they appear: what we hand to the twin carries no paths, and the same network gives the same bytes.

# %% tags=["folded"]
def tidy(path):
    """The ONNX file's bytes without notes, its values numbered in order."""
    model = onnx.load(path)
    graph = model.graph
    ends = (*graph.input, *graph.output)
    renamed = {value.name: value.name for value in ends}
    for node in graph.node:
        node.ClearField("metadata_props")
        node.ClearField("name")
        for values in (node.input, node.output):
            for value in values:
                renamed.setdefault(value, f"value_{len(renamed)}")
            values[:] = [renamed[value] for value in values]
    for constant in graph.initializer:
        constant.name = renamed[constant.name]
    graph.initializer.sort(key=lambda constant: constant.name)
    for value in ends:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for field in ("value_info", "metadata_props", "doc_string"):
        graph.ClearField(field)
    return model.SerializeToString()

# %% [markdown]
# A record holds numbers, so two more functions turn a file's bytes into numbers and back.

# %% tags=["folded"]
def to_numbers(content):
    """Bytes as whole numbers, eight bytes to each, zeros at the end."""
    return np.frombuffer(content + bytes(-len(content) % 8), "<i8")


def onnx_file(record):
    """The ONNX file's bytes that a record holds."""
    scores = record["scores"]
    content = np.array(scores["onnx_file"], "<i8").tobytes()
    return content[: scores["onnx_bytes_untrained"]]

# %% [markdown]
# Two networks that were trained apart have different weights, because small differences grow from step to step (lesson 4).
# To compare the *exporters*, both twins therefore export a second time: the network with the shared starting weights.
# Those two files must compute the same function.

# %% tags=["pytorch"]
start = build_classifier(starting_weights(seed)["classifier"])
untrained = Program(start).cpu().eval()
start_path = folder / "start.onnx"
_ = torch.onnx.export(untrained, (example,), start_path, **options)

# %% tags=["tensorflow"]
start = build_classifier(starting_weights(seed)["classifier"])
untrained = make_program(start)
untrained(test_bytes[:1])  # called once, as the exporter wants
untrained.export(folder / "start.onnx", format="onnx", verbose=False)

# %% [markdown]
# Each notebook leaves a record of its run for the other: the losses as always, and this time the ONNX file itself.

# %% tags=["pytorch"]
start_file = tidy(folder / "start.onnx")
mine = records.save(
    "16_export", "pytorch", parameters_used, losses,
    parameter_count=sum(values.numel() for values in network.parameters()),
    test_accuracy=test_accuracy, first_200_answers=expected.argmax(1),
    onnx_bytes_untrained=len(start_file), onnx_file=to_numbers(start_file))
twin = records.load("16_export", "tensorflow", parameters_used)

# %% tags=["tensorflow"]
start_file = tidy(folder / "start.onnx")
mine = records.save(
    "16_export", "tensorflow", parameters_used, losses,
    parameter_count=sum(np.size(one) for one in network.trainable_weights),
    test_accuracy=test_accuracy, first_200_answers=expected.argmax(1),
    onnx_bytes_untrained=len(start_file), onnx_file=to_numbers(start_file))
twin = records.load("16_export", "pytorch", parameters_used)

# %% [markdown]
# Both files, one runtime, the same bytes in:

# %%
names = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}
onnx_files = {names[record["framework"]]: onnx_file(record)
              for record in (mine, twin) if record}
answers = {}
print("first image, classes 0 to 4:")
for name, content in sorted(onnx_files.items()):
    session = onnxruntime.InferenceSession(content, **on_cpu)
    takes = session.get_inputs()[0].name
    answers[name], = session.run(None, {takes: test_bytes[:200]})
    print(f"{name:11}", *(f"{p:.4f}" for p in answers[name][0, :5]))
if twin:
    apart = np.abs(answers["PyTorch"] - answers["TensorFlow"]).max()
    same = bool(apart < 1e-5)
    print("all 200 × 10 probabilities the same, to within 1e-5:", same)
    assert same
# one of the two was never imported
assert not {"torch", "tensorflow"} <= sys.modules.keys()

# %% [markdown]
# One of these two files came from a framework that this kernel has never imported.
# Inside they differ:

# %%
for name, content in sorted(onnx_files.items()):
    nodes = onnx.load_from_string(content).graph.node
    print(f"{name}, {len(nodes)} nodes:")
    print(textwrap.fill(", ".join(node.op_type for node in nodes), 72))

# %% [markdown]
# Neither has a batch normalisation: both exporters multiplied its scale into the weights of the convolution before it (before training, its shift is zero).
# ONNX keeps channels before height and width, as PyTorch does; what tf2onnx, through which Keras exports, has to turn for that, it cancels where it can.
# One `Transpose` is left in each file, before the dense layer, which wants the 400 values in the order height, width, channel (PyTorch's is the `permute` of its network).
# Nearly all that TensorFlow's file has more is Keras' `Flatten`, which works out the batch size while it runs.

# %% [markdown]
# ## All formats side by side
#
# First what the formats cost: how large the file is, and how long a new process takes from its start to 200 answers.
# The dotted line is what the network's numbers take alone, four bytes each, moving averages included.

# %% tags=["pytorch"]
paths = {
    "state_dict": "weights.pt",
    "safetensors": "weights.safetensors",
    "whole module": "whole.pt",
    "torch.export": "program.pt2",
    "ONNX": "program.onnx",
}

# %% tags=["tensorflow"]
paths = {
    ".weights.h5": "network.weights.h5",
    "safetensors": "weights.safetensors",
    ".keras": "program.keras",
    "SavedModel": "saved_model",
    "ONNX": "program.onnx",
}

# %% [markdown]
# A folder's files are added up (in Keras a SavedModel is one).

# %% tags=["nbval-ignore-output"]
def kilobytes(path):
    files = [file for file in (path, *path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1000


neutral = starting_weights(seed)["classifier"]
held = sum(np.size(array) for layer in neutral.values()
           for array in layer.values())
sizes = {name: kilobytes(folder / path) for name, path in paths.items()}
times = {name: seconds[name] for name in paths}
first = min(times, key=times.get) == "ONNX"
_, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.2))
plots.bars(sizes, f"{held:,} numbers (dotted)\nand their wrapping",
           "size in kB", axes=left)
left.axvline(held * 4 / 1000, color=plots.OTHERS[2], linestyle=":")
plots.bars(times, "Without a framework to start,\nthe answer comes at once"
           if first else "From the start of a process\nto its answers",
           "seconds of the whole process", axes=right)

# %% [markdown] tags=["pytorch"]
# (The two formats of weights were read by one process, so they share its time.)
# Only the `.pt2` file has more wrapping than content, which a large network does not notice.
# The seconds are those of a start.
# With weights and the whole module, importing PyTorch is most of the work; a `.pt2` file takes some seconds more to be opened.

# %% [markdown] tags=["tensorflow"]
# (The two formats of weights were read by one process, so they share its time; the two `.keras` files by another, whose whole time is the `.keras` bar.)
# A SavedModel weighs six times its numbers, a `.keras` file over three times, the weights alone in HDF5 still two and a half times; ONNX a fifth more, safetensors hardly more.
# Most of that is wrapping, which a large network does not notice; but Keras' `export` also stores every number twice, at any size, because it lists the variables twice.
# (`tf.saved_model.save` stores them once.)
# The seconds are those of a start, in which importing a framework is most of the work.

# %% [markdown]
# What an answer takes in a process that stays up is measured in lesson 19.

# %% [markdown]
# ### What each can do
#
# Run without our code, take any batch (tried with 1 and 199 images), keep the optimiser's state, run without the framework.
# Each *yes* was seen above; where a *no* was not, we rely on the documentation.
# Weights have no batch and do not run, hence the dashes.

# %% tags=["pytorch"]
facts["checkpoint"] = {"without code": False, "optimiser": True}
facts["safetensors"] = facts["safetensors"] | {"optimiser": "if added"}

# %% tags=["tensorflow"]
for name in (".keras", ".keras with our layer"):
    facts[name]["optimiser"] = "if compiled"

# %% [markdown] tags=["pytorch"]
# (The checkpoint was opened in this process, not in a new one.
# *If added*: safetensors holds whatever tensors you put into the dictionary.)

# %% [markdown] tags=["tensorflow"]
# (The compiled `.keras` file was the checkpoint, opened in this process and not in a new one.
# *If built*: weights find the optimiser's variables only where `optimizer.build` has made them; *if added*: safetensors holds whatever arrays you put into the dictionary.
# The SavedModel with our own layer, opened above without our code and asked for all 200 images at once, would have SavedModel's row.)

# %%
words = {True: "yes", False: "no", None: "-"}
columns = {"without code": 13, "any batch": 11, "optimiser": 13,
           "without framework": 18}
print(" " * 21 + "".join(f"{column:>{width}}"
                         for column, width in columns.items()))
for name, seen in facts.items():
    runs = "any batch" in seen  # a program: weights have no batch
    known = {"any batch": None, "optimiser": False,
             "without framework": False if runs else None} | seen
    print(f"{name:21}" + "".join(
        f"{words.get(known[column], known[column]):>{width}}"
        for column, width in columns.items()))

own = sum(seen["without code"] for seen in facts.values())
alone = sum(seen.get("without framework", False) for seen in facts.values())
print(f"\n{len(facts)} files: {own} run without our code, "
      f"{alone} without the framework")
assert max(largest_difference.values()) < 1e-5

# %% [markdown]
# Claim **C11** of the article (lesson 2): *TensorFlow leads deployment*.
# Its first step is this lesson's, out of the notebook and into a file; devices, browsers and servers are those of lessons 17, 18 and 19.
# Is one framework ahead in it?
# Not in the formats tried here (PyTorch 2.13 and Keras 3.15, in November 2026).
# Each of the two writes weights, a checkpoint, a program that runs without our code, and ONNX, with the same answers to within 1e-5, and neither reads ONNX back.
# What differs is the middle: a reopened `.keras` file is again a model of layers that can be inspected, changed and switched between training and inference; a reopened `.pt2` can be fine-tuned, but only in the mode in which it was exported.
# Where the programs then run is another question: see the end.

# %% [markdown]
# ## The twin check
#
# The two trainings, side by side:

# %% tags=["nbval-ignore-output"]
plots.twins(mine, twin)
print(records.compare(mine, twin))
if twin:
    apart = records.relative_difference(mine["losses"]["loss"],
                                        twin["losses"]["loss"])
    classes = [record["scores"]["first_200_answers"]
               for record in (mine, twin)]
    agreement = np.mean(np.equal(*classes))
    print(f"the trained twins agree on {agreement:.0%} of 200 images")
    assert apart[0] < 1e-5 and agreement > 0.75 or not as_shipped

# %% [markdown]
# The first loss is the same to rounding.
# The second is not, and rounding is hardly the cause yet: the two Adams add $\epsilon$ at different places (lesson 2 shows it).
# With Keras' rule in PyTorch, we measured less than 1e-5 in the first twenty steps, rather than up to 6e-3.
# Later, rounding alone goes nearly as far (lesson 4 says why).
# In the second epoch the difference is about 5 % of a batch's loss in the mean, at single steps 20 %.
# (Step 374 is one hard batch: both twins have 1.1 there, and a third of a nat in the mean of the nine before it.)
# In the end both are about equally good and give most images the same class, but not all: two trainings make two networks, even when every line is the same.
# Exporting adds nothing to that.
# Between a network and its own exports we found less than 1e-5, and between the two ONNX files of one network as well.

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow/Keras | why it matters |
# |---|---|---|---|
# | weights | `state_dict`, with buffers | `.weights.h5`; of a compiled model also the optimiser, which comes back only into one that is built | `parameters()` or `trainable_weights` alone lose batch normalisation's averages |
# | checkpoint | a dictionary that you put together | a compiled model's `.keras` | without the optimiser's state the losses part at the second step |
# | the whole object | a pickle that names our classes: avoid | `.keras`: a description; own classes must be registered and imported, or handed over as `custom_objects` | whether others can open it without your code |
# | what opening may run | refused by `weights_only=True`; `safe_globals` lets listed classes through | in `.keras` refused by `safe_mode=True`; a SavedModel is a program | both are defaults: leave them |
# | program | `torch.export`, one `.pt2` file | `export`, a SavedModel folder with the endpoint `serving_default`; as Keras writes it, it holds every weight twice | neither needs our code |
# | batch | fixed unless `dynamic_shapes`; the example needs 2 images | open unless `input_signature` fixes it | opposite defaults |
# | training mode | exported as it stands, to ONNX by halves: call `.eval()` | exported for inference, unless a `call` of yours has `training=True` by default | else an answer depends on the rest of the batch (`.pt2`), or dropout goes on dropping (ONNX, SavedModel) |
# | in the file | the example; source lines and paths | nothing of the kind found; bytes that change from export to export | privacy; reproducible builds |
# | ONNX | 13 nodes, channels first as in ONNX | 20 nodes (21 once trained: the bias), channels last turned into first | the same answers to 1e-5 |

# %% [markdown]
# ## Exercises
#
# A check looks at the files that your functions write, or at what they say about files; so it is the same in both notebooks.

# %% tags=["pytorch", "classroom"]
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tandem.exercises import attempt
from tandem.pytorch import on_arrays

# %% tags=["tensorflow", "classroom"]
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tandem.exercises import attempt
from tandem.tensorflow import on_arrays

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# From an empty cell to a file that somebody else can use: the whole lesson in one function.
#
# `ship(starting, path)` makes this lesson's network with the weights `starting`, a dictionary like `starting_weights(seed)["classifier"]`, and writes it to `path` as **one** ONNX file.
# Bytes of shape (batch, 28, 28) go in, as `uint8`, and probabilities of shape (batch, 10) come out, for any batch; an image's answer does not depend on its neighbours.
# `load_weights` may stay; it finds the layers by their names (in PyTorch those of the attributes), which are `first`, `first_norm`, `second`, `second_norm` and `output`.
# Of the rest take nothing of ours (no `Classifier`, `make_classifier`, `Program`, `make_program`).
# The network again: twice a convolution of 3 × 3 without padding or bias (8, then 16 channels), batch normalisation with $\epsilon = 10^{-5}$, ReLU and max pooling by 2; the 400 values in the order height, width, channel; a dense layer of 10.

# %% [markdown] tags=["hint"]
# Write the model that takes bytes first, and try it on `test_bytes[:5]`: do five rows of ten numbers come out, each with the sum 1?
# The export is then one call.

# %% [markdown] tags=["pytorch", "hint"]
# Evaluation mode before the export, an example of two images, a `Dim` for the batch, `external_data=False`.
# (Without `.eval()` this file comes out right all the same, as the ONNX export gives batch normalisation its running averages; with dropout, or with `torch.export`, it would not.)

# %% [markdown] tags=["tensorflow", "hint"]
# Keras' own epsilon is 1e-3.
# The exporter wants a model that was called once.

# %% tags=["pytorch", "solution"]
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    ### BEGIN SOLUTION
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / 255
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1)).softmax(1)

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path, external_data=False,
                      verbose=False, input_names=["images"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    ### BEGIN SOLUTION
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1 / 255)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, layers.Softmax()(x))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, format="onnx", verbose=False)
    ### END SOLUTION

# %% [markdown]
# The check runs your file in ONNX Runtime and holds its answers against the same program in NumPy.
# Its weights are others than yours, and batch normalisation's averages are not those of a new network.
# It asks for eight images, for one alone, and for eight dark ones.

# %% tags=["classroom", "folded"]
def by_numpy(starting, images, white=255, small=1e-5, own=False, new=False,
             order=(0, 1, 2, 3), logits_only=False):
    """Probabilities (batch, 10) of bytes (batch, 28, 28); options: slips."""
    x = images[..., None] / white
    for name in ("first", "second"):
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
        x = np.einsum("bhwcij,ijco->bhwo", windows, starting[name]["kernel"])
        norm = starting[f"{name}_norm"]
        mean, variance = norm["moving_mean"], norm["moving_variance"]
        if own:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        if new:
            mean, variance = 0, 1
        x = (x - mean) / np.sqrt(variance + small)
        x = np.maximum(x * norm["gamma"] + norm["beta"], 0)
        side = x.shape[1] // 2
        x = x[:, : 2 * side, : 2 * side]
        x = x.reshape(len(x), side, 2, side, 2, -1).max((2, 4))
    output, flat = starting["output"], x.transpose(order).reshape(len(x), -1)
    logits = flat @ output["kernel"] + output["bias"]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return logits if logits_only else powers / powers.sum(1, keepdims=True)

# %% [markdown]
# The weights, the images, and some frequent slips, so that it can say which of them gives your answers:

# %% tags=["classroom", "folded"]
def some_weights(seed):
    """Starting weights, with batch normalisation as training leaves it."""
    rng = np.random.default_rng(seed)
    found = starting_weights(seed)["classifier"]
    for name in ("first_norm", "second_norm"):
        found[name] = {kind: rng.uniform(0.2, 1.0, array.shape).astype("f4")
                       for kind, array in found[name].items()}
    return found


bytes_to_try = np.round(test_images[:8] * 255).astype("uint8")
slips = {
    "the bytes are not divided by 255": {"white": 1},
    "the bytes are divided by 255 twice": {"white": 255**2},
    "these are logits; the softmax is missing": {"logits_only": True},
    "batch normalisation is in training mode: it takes the averages of the "
    "batch": {"own": True},
    "the running averages are those of a new network": {"new": True},
    "batch normalisation's epsilon is 1e-3": {"small": 1e-3},
    "the 400 values are in the order channel, height, width":
        {"order": (0, 3, 1, 2)},
}

# %% [markdown]
# What the file says of its input comes first:

# %% tags=["classroom", "folded"]
def what_is_wrong(path, starting, images):
    """A sentence; "" where the file is as wanted."""
    beside = [one.name for one in path.parent.iterdir() if one != path]
    if not path.exists() or beside:
        found = f"; there is {', '.join(beside)}" if beside else ""
        return f"one file, {path.name}, is wanted where `path` says{found}"
    session = onnxruntime.InferenceSession(
        path.read_bytes(), providers=["CPUExecutionProvider"])
    takes, batch = session.get_inputs()[0], session.get_inputs()[0].shape[:1]
    if takes.type != "tensor(uint8)" or takes.shape[1:] != [28, 28]:
        return ("bytes go in, tensor(uint8) of shape (batch, 28, 28); your "
                f"file takes {takes.type} of shape {tuple(takes.shape)}")
    if isinstance(batch[0], int):
        return f"the batch is fixed at {batch[0]}; any number is wanted"
    answers = session.run(None, {takes.name: images})[0]
    if answers.shape != (len(images), 10):
        return f"for {len(images)} images the answer is {answers.shape}"
    if np.abs(answers - by_numpy(starting, images)).max() < 1e-5:
        return ""
    near = [slip for slip, options in slips.items()
            if np.allclose(answers, by_numpy(starting, images, **options),
                           rtol=1e-4, atol=1e-5)]
    return ("it answers otherwise than the network in NumPy: "
            f"{(near or ['look at the scaling, the layers, their order'])[0]}")

# %% [markdown]
# And now yours:

# %% tags=["check"]
tries = {
    "": bytes_to_try,
    "one image alone: ": bytes_to_try[:1],
    "dark images, none of whose bytes is above 85 (whatever the images, "
    "bytes are divided by 255): ": bytes_to_try // 3,
}
with tempfile.TemporaryDirectory() as place:
    shipped_file = pathlib.Path(place, "shipped.onnx")
    ship(some_weights(1), shipped_file)
    for which, images in tries.items():
        try:
            problem = what_is_wrong(shipped_file, some_weights(1), images)
        except Exception as error:
            problem = f"ONNX Runtime cannot run what is there: {error}"
        assert not problem, which + problem

# %% tags=["hidden"]
with tempfile.TemporaryDirectory() as place:
    shipped_file = pathlib.Path(place, "shipped.onnx")
    ship(some_weights(2), shipped_file)
    dark = bytes_to_try // 3
    problem = what_is_wrong(shipped_file, some_weights(2), dark)
    alone = what_is_wrong(shipped_file, some_weights(2), bytes_to_try[1:2])
assert not problem, f"images of bytes up to 85: {problem}"
assert not alone, f"one image alone: {alone}"

# %% tags=["pytorch", "wrong"] mistake="forgets the scaling"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float()
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1)).softmax(1)

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path, external_data=False,
                      verbose=False, input_names=["images"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])

# %% tags=["tensorflow", "wrong"] mistake="forgets the scaling"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1.0)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, layers.Softmax()(x))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, format="onnx", verbose=False)

# %% tags=["pytorch", "wrong"] mistake="scales by the largest value of the batch"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / images.max()
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1)).softmax(1)

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path, external_data=False,
                      verbose=False, input_names=["images"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])

# %% tags=["tensorflow", "wrong"] mistake="scales by the largest value of the batch"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = keras.ops.cast(x, "float32")
    x = x / keras.ops.max(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, layers.Softmax()(x))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, format="onnx", verbose=False)

# %% tags=["pytorch", "wrong"] mistake="gives logits"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / 255
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1))

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path, external_data=False,
                      verbose=False, input_names=["images"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])

# %% tags=["tensorflow", "wrong"] mistake="gives logits"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1 / 255)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, x)
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, format="onnx", verbose=False)

# %% tags=["pytorch", "wrong"] mistake="takes the example's batch for every batch"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / 255
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1)).softmax(1)

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path, external_data=False,
                      verbose=False, input_names=["images"])

# %% tags=["pytorch", "wrong"] mistake="flattens channel by channel"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / 255
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.flatten(1)).softmax(1)

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path, external_data=False,
                      verbose=False, input_names=["images"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])

# %% tags=["pytorch", "wrong"] mistake="leaves the numbers in a second file"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / 255
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1)).softmax(1)

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path,
                      verbose=False, input_names=["images"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])

# %% tags=["tensorflow", "wrong"] mistake="takes the example's batch for every batch"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1 / 255)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, layers.Softmax()(x))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    one = [keras.InputSpec(shape=(1, 28, 28), dtype="uint8")]
    shipped.export(path, format="onnx", verbose=False, input_signature=one)

# %% tags=["tensorflow", "wrong"] mistake="leaves Keras its own epsilon"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1 / 255)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, layers.Softmax()(x))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, format="onnx", verbose=False)

# %% tags=["tensorflow", "wrong"] mistake="exports in training mode"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1 / 255)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(
            x, training=True)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, layers.Softmax()(x))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, format="onnx", verbose=False)

# %% tags=["pytorch", "wrong"] mistake="loses the batch of one image"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / 255
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1)).softmax(1).squeeze()

    shipped = load_weights(Shipped(), starting).eval()
    blank = torch.zeros(2, 28, 28, dtype=torch.uint8)
    torch.onnx.export(shipped, (blank,), path, external_data=False,
                      verbose=False, input_names=["images"],
                      dynamic_shapes=[{0: torch.export.Dim("batch")}])

# %% tags=["tensorflow", "wrong"] mistake="loses the batch of one image"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1 / 255)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(
        images, keras.ops.squeeze(layers.Softmax()(x)))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, format="onnx", verbose=False)

# %% tags=["pytorch", "wrong"] mistake="writes its framework's own format"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    class Shipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 8, 3, bias=False)
            self.first_norm = nn.BatchNorm2d(8)
            self.second = nn.Conv2d(8, 16, 3, bias=False)
            self.second_norm = nn.BatchNorm2d(16)
            self.output = nn.Linear(400, 10)

        def forward(self, images):
            x = images.unsqueeze(1).float() / 255
            x = F.max_pool2d(F.relu(self.first_norm(self.first(x))), 2)
            x = F.max_pool2d(F.relu(self.second_norm(self.second(x))), 2)
            return self.output(x.permute(0, 2, 3, 1).flatten(1)).softmax(1)

    shipped = load_weights(Shipped(), starting).eval()
    torch.save(shipped.state_dict(), path)

# %% tags=["tensorflow", "wrong"] mistake="writes its framework's own format"
def ship(starting, path):
    """Writes the network as one ONNX file, from bytes to probabilities."""
    images = keras.Input((28, 28), dtype="uint8", name="images")
    x = layers.Reshape((28, 28, 1))(images)
    x = layers.Rescaling(1 / 255)(x)
    for name, channels in (("first", 8), ("second", 16)):
        x = layers.Conv2D(channels, 3, use_bias=False, name=name)(x)
        x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
        x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Dense(10, name="output")(layers.Flatten()(x))
    shipped = keras.Model(images, layers.Softmax()(x))
    load_weights(shipped, starting)
    shipped(np.zeros((1, 28, 28), "uint8"))  # as the exporter wants
    shipped.export(path, verbose=False)

# %% [markdown] tags=["exercise"] exercise="numbers-only" points=3
# ### Exercise 2: a file of numbers, by hand
#
# A format that can hold nothing but numbers is short enough to be written without its library.
# `write_tensors(path, tensors)` writes a dictionary of this framework's tensors as safetensors; `path` is a `pathlib.Path`.
#
# 1. Eight bytes: the header's length in bytes, a whole number, little-endian.
# 2. The header, JSON in UTF-8: under each tensor's name its `dtype`, its `shape`, and as `data_offsets` where its bytes begin and end, counted from the first byte behind the header.
# 3. The bytes of all tensors, row by row, without gaps.
#
# The format has its own names for types.
# Here are three:

# %% tags=["classroom"]
SHORT = {"float32": "F32", "int64": "I64", "uint8": "U8"}

# %% [markdown]
# The keys are what an array's `dtype.name` says, and a tensor of either framework becomes an array by `tensor.numpy()`.

# %% [markdown] tags=["hint"]
# Collect the header, a dictionary, and the content, `bytes`, in one loop: a tensor begins where the content ended before it.
# `array.tobytes()` gives the bytes row by row.

# %% [markdown] tags=["hint"]
# `json.dumps(header).encode()` makes the text into bytes, `(1000).to_bytes(8, "little")` a number.

# %% tags=["pytorch", "solution"]
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    ### BEGIN SOLUTION
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    ### BEGIN SOLUTION
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    ### END SOLUTION

# %% [markdown]
# The check reads the first bytes by hand, to say what is wrong, and then asks the library:

# %% tags=["classroom", "folded"]
def flaw(path, arrays):
    """A sentence; "" where the file holds these arrays, bit by bit."""
    if not path.exists():
        return "there is no file where `path` says"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= len(content) - 8:
        return (f"the first eight bytes say that the header has {length:,} "
                f"bytes; the whole file has {len(content):,}")
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        return f"the {length} bytes behind the length are not JSON in UTF-8"
    if header.keys() != arrays.keys():
        return f"the header names {list(header)}, not {list(arrays)}"
    first = min(entry["data_offsets"][0] for entry in header.values())
    if first != 0:
        return ("offsets are counted from the first byte behind the header: "
                f"the first tensor begins at 0, not at {first}")
    return difference_of(path, arrays, header)

# %% [markdown]
# What the entries say, and what the library finds:

# %% tags=["classroom", "folded"]
def difference_of(path, arrays, header):
    for name, array in arrays.items():
        short, entry = SHORT[array.dtype.name], header[name]
        if entry["dtype"] != short:
            return f"'{name}' is {short}, not {entry['dtype']}"
        size = entry["data_offsets"][1] - entry["data_offsets"][0]
        if size != array.nbytes:
            return f"'{name}' takes {array.nbytes} bytes, not {size}"
    try:
        read = load_file(path)
    except SafetensorError as error:
        return f"the library refuses it: {error}"
    for name, array in arrays.items():
        given = read[name]
        if (given.dtype, given.shape) != (array.dtype, array.shape):
            return (f"'{name}' is {array.dtype} of shape {array.shape}; it "
                    f"comes back as {given.dtype} of shape {given.shape}")
        if given.tobytes() != array.tobytes():
            return f"the numbers of '{name}' come back as others"
    return ""

# %% [markdown]
# Tensors of four bytes a number, of one and of eight, and a single number, whose shape is `[]`; then a name with letters that take two bytes each:

# %% tags=["check"]
table = np.arange(12, dtype="float32").reshape(4, 3)
tries = {
    "": {"output/kernel": table / 7, "steps": np.array([374, -2**40]),
         "mask": np.array([255, 0, 1], "uint8"), "output/bias": table[1],
         "rate": np.array(0.01, "float32")},
    "with the name 'Größe', five letters, seven bytes: ": {"Größe": table},
}
with tempfile.TemporaryDirectory() as place:
    written = pathlib.Path(place, "numbers.safetensors")
    for which, arrays in tries.items():
        on_arrays(write_tensors, written, arrays)
        try:
            problem = flaw(written, arrays)
        except (KeyError, TypeError, AttributeError) as error:
            problem = ("each name in the header has 'dtype', 'shape', and "
                       f"two 'data_offsets'; not so here: {error!r}")
        if "bytes, not -" in problem:
            problem += ": the pair is begin and end, not a length"
        assert not problem, which + problem

# %% tags=["hidden"]
arrays = {"Größe": np.array([1, 2, 3], "int64"), "steps": np.array(374),
          "image": bytes_to_try[0], "none": np.zeros((0, 3), "float32"),
          "last": np.array([[0.25], [4.0]], "float32")}
with tempfile.TemporaryDirectory() as place:
    written = pathlib.Path(place, "numbers.safetensors")
    on_arrays(write_tensors, written, arrays)
    problem = flaw(written, arrays)
assert not problem, problem

# %% tags=["pytorch", "wrong"] mistake="counts from the file's beginning"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    for entry in header.values():
        first, last = entry["data_offsets"]
        entry["data_offsets"] = [first + 8 + len(text), last + 8 + len(text)]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="counts from the file's beginning"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    for entry in header.values():
        first, last = entry["data_offsets"]
        entry["data_offsets"] = [first + 8 + len(text), last + 8 + len(text)]
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["pytorch", "wrong"] mistake="writes the length with the largest byte first"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "big") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="writes the length with the largest byte first"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "big") + text + content)

# %% tags=["pytorch", "wrong"] mistake="calls everything F32"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": "F32",
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="calls everything F32"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": "F32",
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["pytorch", "wrong"] mistake="counts four bytes for every number"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, begin + 4 * array.size]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="counts four bytes for every number"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, begin + 4 * array.size]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["pytorch", "wrong"] mistake="writes column by column"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes("F")
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="writes column by column"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes("F")
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["pytorch", "wrong"] mistake="counts letters, not bytes"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header, ensure_ascii=False)
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + content)

# %% tags=["tensorflow", "wrong"] mistake="counts letters, not bytes"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header, ensure_ascii=False)
    path.write_bytes(len(text).to_bytes(8, "little") + text.encode() + content)

# %% tags=["pytorch", "wrong"] mistake="leaves gaps"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes() + bytes(-array.nbytes % 8)
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, begin + array.nbytes]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="leaves gaps"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes() + bytes(-array.nbytes % 8)
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, begin + array.nbytes]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["pytorch", "wrong"] mistake="has its own word for the offsets"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="has its own word for the offsets"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["pytorch", "wrong"] mistake="gives a single number an axis"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.numpy(force=True))
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="gives a single number an axis"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(np.array(tensor))
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, len(content)]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["pytorch", "wrong"] mistake="gives begin and length"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = tensor.numpy(force=True)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, array.nbytes]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% tags=["tensorflow", "wrong"] mistake="gives begin and length"
def write_tensors(path, tensors):
    """Writes {name: tensor} as a safetensors file."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        array = np.array(tensor)
        begin = len(content)
        content += array.tobytes()
        header[name] = {"dtype": SHORT[array.dtype.name],
                        "shape": list(array.shape),
                        "data_offsets": [begin, array.nbytes]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)

# %% [markdown] tags=["exercise"] exercise="acceptance" points=4
# ### Exercise 3: what do you accept?
#
# Somebody sends you an ONNX file that is said to do what your program does.
# Write the test that it has to pass.
#
# `accepts(path, images, expected)` gets bytes (n, 28, 28) and the right answers to them, (n, 10).
# It is True if the file gives these answers, every number to within 1e-5, for the first image alone, for the first two, and for all; whatever the file calls its input and its output.
# It is False in every other case: where the file refuses to run, is no ONNX at all, or answers in another shape.
# Nothing in it belongs to a framework: write it once, and paste it into the twin.

# %% [markdown] tags=["hint"]
# `session.get_inputs()[0].name` is the input's name.
# ONNX Runtime's errors come from a private module: `except Exception` it is.

# %% [markdown] tags=["hint"]
# What is `np.nan > 1e-5`, and what does your test make of it?

# %% tags=["pytorch", "solution"]
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    ### BEGIN SOLUTION
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    ### BEGIN SOLUTION
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))
    ### END SOLUTION

# %% [markdown]
# The check has files that are right, and others that only look so.
# It writes them itself, a small program node by node, which needs no exporter:

# %% tags=["classroom", "folded"]
def small_program(kernel, batch="batch", takes="uint8", name="images"):
    """An ONNX file's bytes: softmax of the flat image / 255 @ kernel."""
    kinds = {"uint8": onnx.TensorProto.UINT8,
             "float32": onnx.TensorProto.FLOAT}
    node, describe = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node("Cast", [name], ["values"], to=kinds["float32"]),
         node("Div", ["values", "white"], ["scaled"]),
         node("Flatten", ["scaled"], ["flat"]),
         node("MatMul", ["flat", "kernel"], ["logits"]),
         node("Softmax", ["logits"], ["probabilities"])],
        "small", [describe(name, kinds[takes], [batch, 28, 28])],
        [describe("probabilities", kinds["float32"], [batch, 10])],
        [onnx.numpy_helper.from_array(np.float32(255), "white"),
         onnx.numpy_helper.from_array(kernel, "kernel")])
    version = onnx.helper.make_opsetid("", 20)
    model = onnx.helper.make_model(graph, opset_imports=[version],
                                   ir_version=10)
    return model.SerializeToString()

# %% [markdown]
# Each file comes with what is to be said of it:

# %% tags=["classroom", "folded"]
def wrongly_judged(judge, files, images, expected):
    """What is wrong with the first wrong verdict; "" if there is none."""
    with tempfile.TemporaryDirectory() as place:
        path = pathlib.Path(place, "sent.onnx")
        for problem, (content, right) in files.items():
            path.write_bytes(content)
            said = judge(path, images, expected)
            if not isinstance(said, (bool, np.bool_)):
                return f"True or False is wanted, not {said!r}"
            if said != right:
                return problem
    return ""


small_kernel = weights.generator(4).normal(0, 0.05, (784, 10))
small_kernel = small_kernel.astype("float32")
eight_logits = bytes_to_try.reshape(8, 784) / 255 @ small_kernel
eight_answers = np.exp(eight_logits)
eight_answers /= eight_answers.sum(1, keepdims=True)

# %% [markdown]
# Two right files, five that are not, and one answer of eighty that is off:

# %% tags=["check"]
write, kernel, given = small_program, small_kernel, eight_answers.copy()
flat = onnx.load_from_string(write(kernel))
flat.graph.node[-1].output[0] = "rows"
squeeze = onnx.helper.make_node("Squeeze", ["rows"], ["probabilities"])
flat.graph.node.append(squeeze)
flat.graph.output[0].type.tensor_type.ClearField("shape")
files = {
    "it refuses a file that is right": (write(kernel), True),
    "it refuses a right file that calls input and output otherwise":
        (write(kernel, name="a").replace(b"prob", b"poss"), True),
    "it accepts a file that takes eight images and no other number":
        (write(kernel, batch=8), False),
    "it accepts weights 0.1 % too large": (write(kernel * 1.001), False),
    "it accepts a file that is no ONNX": (b"no program", False),
    "it accepts answers that are nan": (write(kernel * np.nan), False),
    "it accepts (10,) for one image": (flat.SerializeToString(), False)}
off = {"it accepts a file with one number of the sixth image 1e-4 too low":
       (write(kernel), False)}
problem = wrongly_judged(accepts, files, bytes_to_try, given)
assert (given == eight_answers).all(), "it changes the array `expected`"
given[5, 3] += 1e-4
problem = problem or wrongly_judged(accepts, off, bytes_to_try, given)
assert not problem, problem

# %% tags=["hidden"]
broken, other = small_kernel.copy(), small_kernel.copy()
broken[0, 0] = np.nan
other[:, 9] += np.float32(2e-4)
nested = onnx.load_from_string(small_program(small_kernel))
nested.graph.node[-1].output[0] = "rows"
nested.graph.node.append(onnx.helper.make_node(
    "Unsqueeze", ["rows", "first"], ["probabilities"]))
nested.graph.initializer.append(
    onnx.numpy_helper.from_array(np.array([0]), "first"))
nested.graph.output[0].type.tensor_type.ClearField("shape")
files = {
    "it refuses a right file": (small_program(small_kernel), True),
    "it accepts a file that answers nan":
        (small_program(broken), False),
    "it accepts a file that takes brightness as float32, not bytes":
        (small_program(small_kernel, takes="float32"), False),
    "it accepts a file that takes one image and no other number":
        (small_program(small_kernel, batch=1), False),
    "it accepts a file in which one class is a little too likely":
        (small_program(other), False),
    "it accepts half a file":
        (small_program(small_kernel)[:9000], False),
    "it accepts answers of shape (1, n, 10)":
        (nested.SerializeToString(), False),
}
problem = wrongly_judged(accepts, files, bytes_to_try, eight_answers)
assert not problem, problem
twelve = np.round(test_images[:12] * 255).astype("uint8")
rows = np.exp(twelve.reshape(12, 784) / 255 @ small_kernel)
rows /= rows.sum(1, keepdims=True)
late = rows.copy()
late[11, 3] += 1e-4
right = small_program(small_kernel)
for problem, answers, said in (
        ("it refuses a right file, tried with twelve images", rows, True),
        ("it refuses answers that are 8e-6 off", rows + 8e-6, True),
        ("of twelve images it never tries the last", late, False),
        ("it accepts answers that are 3e-5 too small", rows + 3e-5, False)):
    problem = wrongly_judged(accepts, {problem: (right, said)}, twelve,
                             answers)
    assert not problem, problem

# %% tags=["pytorch", "wrong"] mistake="lets not-a-number through"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and not np.abs(answer - expected[:some]).max() > 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="lets not-a-number through"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and not np.abs(answer - expected[:some]).max() > 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="compares the classes only"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and (answer.argmax(1) == expected[:some].argmax(1)).all()
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="compares the classes only"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and (answer.argmax(1) == expected[:some].argmax(1)).all()
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="tries the whole batch only"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = len(images),
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="tries the whole batch only"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = len(images),
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="takes the name for granted"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {"images": images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="takes the name for granted"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {"images": images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="never looks at the shape"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="never looks at the shape"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="holds the mean against the bound"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).mean() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="forgets the absolute value"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and (answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="tries only the first two images"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="never tries one image alone"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="takes the output's name for granted"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(["probabilities"], {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["pytorch", "wrong"] mistake="takes eight for the number of images"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, 8
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="holds the mean against the bound"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).mean() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="forgets the absolute value"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and (answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="tries only the first two images"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="never tries one image alone"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="takes the output's name for granted"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, len(images)
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(["probabilities"], {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% tags=["tensorflow", "wrong"] mistake="takes eight for the number of images"
def accepts(path, images, expected):
    """Whether the ONNX file in `path` answers as expected, and always."""
    sizes = 1, 2, 8
    try:
        session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        answers = [session.run(None, {name: images[:some]})[0]
                   for some in sizes]
    except Exception:  # of a private module: no ONNX, another shape or type
        return False
    return all(answer.shape == expected[:some].shape
               and np.abs(answer - expected[:some]).max() <= 1e-5
               for some, answer in zip(sizes, answers))

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - Weights need your code; a program does not.
#   A description is in between: it needs every class that it names.
# - To go on training you need the optimiser's state too; to ship you do not.
# - Scaling belongs in the exported program.
#   Forgotten, it costs accuracy and all honesty about certainty.
# - Opening a file may run code.
#   `weights_only=True`, `safe_mode=True` and safetensors refuse the usual ways.
#   A SavedModel is a program: a stranger's belongs in a sandbox.
# - An export can fix the batch size without a word: PyTorch's does by default, Keras' through a signature.
#   Try each file with other numbers of images than its example had, one among them.
# - Test an export in a process that knows nothing of you, with numbers to compare.
#   Two ONNX files of one network agree to rounding.
#
# Your own `accepts` can judge this lesson's files as well: `program.onnx` passes, `start.onnx` does not.

# %% [markdown]
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound on the training stops you, and nothing is held against the unaltered twin; that an export answers as its network does is asserted all the same.
#
# 1. Where `expected` is computed, say `program.train()` first (PyTorch), or `training=True` (Keras).
#    Which assertion stops you, and why is it not one on the files?
# 2. Put a Python `if images.sum() > 0:` into the program (in PyTorch into `Program.forward`, in Keras into `Scale.call`, with `keras.ops.sum`) and export again.
#    What stops you, and when: while building or while exporting?
# 3. Double the channels to 16 and 32.
#    Which bars of the size figure grow with the number of weights, and which hardly?
# 4. Rename the layer `second` to `middle`, but only in the code that is sent to the new process: `.replace('"second"', '"middle"')` (Keras), `.replace("self.second", "self.middle")` (PyTorch).
#    Which formats notice, and which read the weights by position?
#    (An assertion stops you at the first that does: go on by hand from the cell behind it.)
# 5. Export once more with random bytes as the example (PyTorch), or with a random array as a constant in the program (Keras).
#    Find them in the file.

# %% [markdown]
# ## Read on
#
# - PyTorch: [Serialization semantics](https://docs.pytorch.org/docs/stable/notes/serialization.html), [torch.export](https://docs.pytorch.org/docs/stable/export.html), [torch.onnx](https://docs.pytorch.org/docs/stable/onnx.html).
# - Keras: [Save, serialize, and export models](https://keras.io/guides/serialization_and_saving/), [Model export](https://keras.io/api/models/model_saving_apis/export/); TensorFlow: [Using the SavedModel format](https://www.tensorflow.org/guide/saved_model).
# - [ONNX](https://onnx.ai/), [ONNX Runtime](https://onnxruntime.ai/), [safetensors](https://huggingface.co/docs/safetensors/index).
# - Python: [pickle](https://docs.python.org/3/library/pickle.html), whose first box is a warning.

# %% [markdown]
# What is still open?
# The files are there, and none of them is at work yet.
# Lesson 17 takes programs to small devices: into LiteRT's and ExecuTorch's formats, and from four bytes a weight to one, with what that costs in accuracy.
# Lesson 18 opens files in a browser, where there is no Python at all.
# Lesson 19 puts them behind an address that many clients ask at once, and some of them ask wrongly.
