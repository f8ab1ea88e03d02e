# ---
# minutes: {read: 20, run: 1, exercises: 0}
# seconds: 90
# memory_mb: 1300
# needs: []
# proof: none
# ---

# %% [markdown]
# # 0 · Welcome
#
# In twenty minutes you know that your machine is ready, which lessons there are, and what "the same network" means here.
#
# - **You will see** both frameworks answer on your machine, one layer built in both, and a map of the lessons.
# - **You will learn** how a pair of notebooks is opened, run and changed, and why equal seeds do not make equal networks.
# - **You need** Python and a little NumPy.
#   No GPU, and no internet once things are installed.

# %% [markdown]
# ## Is this machine ready?
#
# Run the cells from the top: *Shift-Enter* runs one and moves on.
# The first brings in both frameworks, which takes some seconds.
# This is the only notebook that does so: all others belong to one framework each.

# %%
import copy

# before keras and tensorflow: it starts TensorFlow without its log lines
import tandem.tensorflow

import keras
import matplotlib.pyplot as plt
import numpy as np
import psutil
import tensorflow as tf
import torch

from tandem import data, plots, threads, weights

# %% [markdown]
# Versions first.
# Every number in these lessons was made with the versions that `requirements.txt` pins; with others, most things work and some digits change.

# %%
for module in (torch, tf, keras, np):
    version = module.__version__.split("+")[0]
    print(f"{module.__name__:10} {version}")

# %% [markdown]
# Then the device that each framework will compute on, and the memory.
# A pair of notebooks needs less than 2 GB together, lesson 20's a little more.
# Without a GPU all lessons run within minutes.
# With one, PyTorch uses it without an edit; TensorFlow does so where its CUDA libraries are installed.
# On Linux with an NVIDIA card `requirements.txt` brings those of PyTorch alone, so the twins compute on different devices unless you install TensorFlow's, too.
#
# The threads are those that each notebook computes with: one fewer than you have cores.
# Twins run side by side, and PyTorch's threads wait busily for each other: with a thread on every core, both notebooks would take longer together than one after the other.
# An environment variable that is set already wins, for example `OMP_NUM_THREADS=8`; in the run shown `OMP_NUM_THREADS` gave the notebook both cores, since notebooks are built one at a time.

# %% tags=["nbval-ignore-output"]
accelerator = torch.accelerator.current_accelerator(check_available=True)
gpus = tf.config.list_physical_devices("GPU")
print("PyTorch computes on   ", accelerator or "cpu")
print("TensorFlow computes on", "gpu" if gpus else "cpu")

free = psutil.virtual_memory().available / 1e9
print(f"{threads.cores()} cores, {threads.threads()} for each notebook")
print(f"{free:.1f} GB of memory free")
if free < 2:
    print("That is little: close other programs, or open one notebook alone.")

# %% [markdown]
# Last, the data.
# Each file is compared with a checksum when it is read; if one is damaged, the message says how to get it back.

# %%
(train_images, train_labels), (test_images, test_labels) = data.fashion_mnist()
measurements, species = data.penguins()
count = f"{len(train_images)} + {len(test_images)}"
height, width = train_images.shape[1:]
print(f"Fashion-MNIST: {count} images of {height}×{width} pixels")

birds, each = measurements.shape
print(f"penguins: {birds} birds, {each} measurements each")
for name in data.SHA256:
    data.read_checked(name)
print("all files of data/ are whole")

plots.images(
    train_images[:10],
    "Ten of the images that most lessons learn from",
    captions=[data.FASHION_CLASSES[label] for label in train_labels[:10]],
)

# %% [markdown]
# ## What "the same network" means
#
# Every lesson builds one network twice.
# To compare them we have to be strict about "one", because the obvious way fails.
# Here it is: one layer, 784 inputs and 10 outputs, in both frameworks, both random generators started from the same seed.
# Do not read the code yet, its words come in lessons 1 and 2: look at the two rows of numbers below it.

# %%
torch.manual_seed(0)
pytorch_layer = torch.nn.Linear(784, 10)

keras.utils.set_random_seed(0)
keras_model = keras.Sequential([keras.Input((784,)), keras.layers.Dense(10)])

image = train_images[:1].reshape(1, 784)
with torch.no_grad():
    from_pytorch = pytorch_layer(torch.as_tensor(image)).numpy()
from_keras = keras_model(image).numpy()
print("PyTorch", from_pytorch.round(2)[0, :5])
print("Keras  ", from_keras.round(2)[0, :5])

# %% [markdown]
# Nothing agrees.
# The seed only says where a random generator starts; what each framework draws from it is its own affair.
# And the two do not even draw from the same range.
# A look at the weights:

# %%
pytorch_weights = pytorch_layer.weight.detach().numpy().ravel()
keras_weights = keras_model.layers[0].kernel.numpy().ravel()

_, axes = plt.subplots(figsize=(7, 3))
bins = np.linspace(-0.1, 0.1, 81)
left = {"color": plots.PYTORCH, "alpha": 0.8, "label": "PyTorch"}
right = {"color": plots.TENSORFLOW, "alpha": 0.5, "label": "Keras"}
axes.hist(pytorch_weights, bins, **left)
axes.hist(keras_weights, bins, hatch="//", **right)
axes.set(
    title="Same layer, same seed: Keras draws its weights from a wider range",
    xlabel="weight",
    ylabel="how many of 7,840",
)
axes.legend()
for name, drawn in (("PyTorch", pytorch_weights), ("Keras", keras_weights)):
    print(f"largest weight: {name} {np.abs(drawn).max():.3f}")

# %% [markdown]
# Each takes the number of inputs into account, but differently: PyTorch draws from ±1/√784 = ±.036, Keras from ±√(6/(784 + 10)) = ±.087.
# (PyTorch also draws the biases; Keras starts them at zero.)
# This is one of many defaults in which the frameworks differ.
# Whoever trains both networks as they come and compares the curves, compares defaults and calls them frameworks.
#
# So here the weights belong to neither.
# They are drawn once, with NumPy, and both layers load them:

# %%
from tandem.pytorch import load_weights as load_into_pytorch
from tandem.tensorflow import load_weights as load_into_keras

starting = {"dense": weights.dense(weights.generator(seed=0), 784, 10)}
load_into_pytorch(pytorch_layer, starting)
load_into_keras(keras_model, starting)

with torch.no_grad():
    from_pytorch = pytorch_layer(torch.as_tensor(image)).numpy()
from_keras = keras_model(image).numpy()
print("PyTorch", from_pytorch.round(4)[0, :5])
print("Keras  ", from_keras.round(4)[0, :5])

# %% [markdown]
# Now they agree, to four digits at least.
# To all of them?

# %% tags=["nbval-ignore-output"]
difference = np.abs(from_pytorch - from_keras).max()
print(f"largest difference in float32: {difference:.0e}")
assert difference < 1e-5

# %% [markdown]
# Not always: each framework adds the 784 products in an order of its own, and in float32, with its seven digits, the order of a sum shows in the last digit.
# That is rounding, and nothing else.
# To show that it is nothing else, compute with sixteen digits instead of seven:

# %% tags=["nbval-ignore-output"]
with torch.no_grad():
    wide_layer = copy.deepcopy(pytorch_layer).double()
    from_pytorch = wide_layer(torch.as_tensor(image).double()).numpy()
wide_inputs = keras.Input((784,), dtype="float64")
wide_dense = keras.layers.Dense(10, dtype="float64")
wide_model = keras.Sequential([wide_inputs, wide_dense])
load_into_keras(wide_model, starting)
from_keras = wide_model(image.astype("float64")).numpy()

difference = np.abs(from_pytorch - from_keras).max()
print(f"largest difference in float64: {difference:.0e}")
assert difference < 1e-13

# %% [markdown]
# That is the idea of the whole curriculum.
# Twins share
#
# - the **starting weights**, drawn by NumPy,
# - the **data** and the **order of the batches**, one permutation for each seed and epoch,
# - all **noise**: where a network needs random numbers, NumPy draws them,
# - every **setting** whose default differs, each named in the lesson where it bites.
#
# And it is proved, not claimed.
# The **twin proof**, `make proof`, trains both networks of lessons 1 to 17 and 20 for 100 steps in float64 and compares their losses, gradients and weights.
# Their losses agree to ten digits or more, once the few rules that no setting reaches are aligned, openly: for example where Adam adds its epsilon, and how batch normalisation counts its running variance.
# In the notebooks, which compute in float32 and align none of them, the curves start as one and part slowly.
# Each lesson says what parted them: rounding, or one of those rules.
# (Losses and gradients come in lesson 1, batches, epochs and Adam in lesson 2, batch normalisation in lesson 4: read this list again then.)

# %% [markdown]
# ## The lessons
#
# Five parts.
# Each lesson stands on those before it, but the parts are doors of their own: with some practice, go straight to the one that you need.

# %%
PARTS = {
    "A First principles": "tensors, training, debugging, defaults",
    "B Architectures": (
        "pipelines, convolution, recurrence, attention, pretrained"
    ),
    "C Generative": (
        "autoencoder, DCGAN, StyleGAN, CycleGAN, diffusion, text to image"
    ),
    "D Shipping": "export, edge, browser, serving",
    "E Scale and choice": "speed, distributed, choosing",
}

# %% [markdown]
# Drawn, a row for each part:

# %%
_, axes = plt.subplots(figsize=(8.5, 3.4))
number = 0
style = {"va": "center", "fontsize": 8}
for row, (part, names) in enumerate(PARTS.items()):
    axes.text(-0.1, row, part, ha="right", va="center")
    for column, name in enumerate(names.split(", ")):
        number += 1
        box = {"boxstyle": "round,pad=0.4", "fc": plots.OTHERS[0],
               "alpha": 0.5}
        place = 1.1 * column + 0.5
        label = f"{number} {name}"
        axes.text(place, row, label, ha="center", bbox=box, **style)
title = f"The map: {number} lessons in {len(PARTS)} parts"
axes.set(xlim=(-1.3, 6.6), ylim=(4.6, -0.6), title=title)
axes.set_axis_off()
plots.describe(title + ": " + "; ".join(
    f"{part}: {names}" for part, names in PARTS.items()))

# %% [markdown]
# ## How to work with a pair
#
# **Open it side by side.**
# In a terminal, in the folder of the checkout: `make lab LESSON=01`.
# The left notebook is PyTorch, the right one TensorFlow; they are copies of yours, in the folder `work/`, and scroll together.
# (In an editor of your own, open both from `notebooks/`.
# Take the whole checkout, not a notebook alone: without its `tandem/` and `data/` the first import fails with "No module named 'tandem'".)
# The prose is the same, word for word, where the frameworks are: read one, and look across where the code is.
#
# **Run it.**
# *Run → Run All Cells*, or cell by cell with *Shift-Enter*.
# The outputs that you find stored are those of a real run with the default parameters, so you can also just read.
# When both twins have run, their last sections compare them; until then, each compares itself with the stored run of the other.
#
# **Change it.**
# In a lesson, every knob is in one cell near the top, under *Parameters*: change a number, run all cells, look at what moved.
# To keep the notebook as it is and change the parameters from outside, for both twins at once:
#
#     .venv/bin/python -m tandem run 02 -p epochs 12
#
# which leaves both notebooks, run with that value, in the folder `runs/`, and compares them.
# *Try it*, at the end of each lesson, suggests changes and says what to look for.
#
# **Break it.**
# Nothing you do can hurt, the originals are in `notebooks/`: `.venv/bin/python -m tandem lab 01 --fresh` sets your copies aside, and opens new ones.

# %% [markdown]
# ## What you learned
#
# - Your machine runs both frameworks, and the data is whole.
# - Equal seeds do not make equal networks; equal weights, data, order, noise and settings do.
# - `make lab LESSON=…` opens a pair, one cell holds its parameters, and `make proof` shows that the twins are one network.
#
# **Try it.**
# In the cell that makes the two layers, write `test_images[:1]` in place of `train_images[:1]`, and run the section on "the same network" again: which numbers change, which do not?
# Then give `weights.dense` the scheme `"lecun"` and look at the largest of the weights it draws: whose range is that?
#
# **Read on.**
# Lesson 1 builds a neuron from nothing: `make lab`.
# Where the two frameworks came from: Paszke et al., [*PyTorch: An Imperative Style, High-Performance Deep Learning Library*](https://arxiv.org/abs/1912.01703); Abadi et al., [*TensorFlow: A System for Large-Scale Machine Learning*](https://arxiv.org/abs/1605.08695).
