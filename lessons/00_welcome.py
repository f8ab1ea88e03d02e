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
# In five minutes you know that your machine is ready, which lessons there are, and what "the same network" means here.
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

from tandem import ROOT, data, plots, weights

# %% [markdown]
# Versions first.
# Every number in these lessons was made with the versions that `requirements.txt` pins; with others, most things work and some digits change.

# %%
for name, module in {"PyTorch": torch, "TensorFlow": tf, "Keras": keras, "NumPy": np}.items():
    print(f"{name:10} {module.__version__.split('+')[0]}")

# %% [markdown]
# Then the device that each framework will compute on, and the memory.
# A pair of notebooks needs less than 2 GB together.
# Without a GPU all lessons run within minutes.
# With one, PyTorch uses it without an edit, and so does TensorFlow where its CUDA libraries are installed.

# %% tags=["nbval-ignore-output"]
print(
    "PyTorch computes on   ",
    torch.accelerator.current_accelerator(check_available=True) or "cpu",
)
print(
    "TensorFlow computes on",
    "gpu" if tf.config.list_physical_devices("GPU") else "cpu",
)
free = psutil.virtual_memory().available / 1e9
print(f"{psutil.cpu_count()} cores, {free:.1f} GB of memory free")
if free < 2:
    print(
        "That is little: close other programs, or open one notebook of a pair at a time."
    )

# %% [markdown]
# Last, the data.
# Each file is compared with a checksum when it is read; if one is damaged, the message says how to get it back.

# %%
(train_images, train_labels), (test_images, test_labels) = data.fashion_mnist()
measurements, species = data.penguins()
print(
    f"Fashion-MNIST: {len(train_images)} + {len(test_images)} images of {train_images.shape[1]}×{train_images.shape[2]} pixels"
)
print(
    f"penguins: {len(measurements)} birds, {measurements.shape[1]} measurements each"
)
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
axes.hist(
    pytorch_weights, bins, color=plots.PYTORCH, alpha=0.8, label="PyTorch"
)
axes.hist(
    keras_weights,
    bins,
    color=plots.TENSORFLOW,
    alpha=0.5,
    hatch="//",
    label="Keras",
)
axes.set(
    title="Same layer, same seed: Keras draws its weights from a wider range",
    xlabel="weight",
    ylabel="how many of 7,840",
)
axes.legend()
print(
    f"largest weight: PyTorch {np.abs(pytorch_weights).max():.3f}, Keras {np.abs(keras_weights).max():.3f}"
)

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
wide_model = keras.Sequential(
    [
        keras.Input((784,), dtype="float64"),
        keras.layers.Dense(10, dtype="float64"),
    ]
)
from_keras = load_into_keras(wide_model, starting)(
    image.astype("float64")
).numpy()

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
# And it is proved, not claimed: `make proof` trains both networks of each lesson for 100 steps in float64 and compares their losses, gradients and weights.
# Their losses agree to nine digits or more, once two rules that no setting reaches are aligned, openly: where Adam adds its epsilon, and how batch normalisation counts its running variance.
# In the notebooks, which compute in float32 and align neither, the curves start as one and part slowly.
# Each lesson says what parted them: rounding, or one of those rules.
# (Losses and gradients come in lesson 1, batches, epochs and Adam in lesson 2, batch normalisation in lesson 4: read this list again then.)

# %% [markdown]
# ## The lessons
#
# Five parts.
# Each lesson stands on those before it, but the parts are doors of their own: with some practice, go straight to the one that you need.
# Filled boxes are in this checkout; the others are planned.

# %%
PARTS = {
    "A First principles": {
        1: "tensors",
        2: "training",
        3: "debugging",
        4: "defaults",
    },
    "B Architectures": {
        5: "pipelines",
        6: "convolution",
        7: "recurrence",
        8: "attention",
        9: "pretrained",
    },
    "C Generative": {
        10: "autoencoder",
        11: "DCGAN",
        12: "StyleGAN",
        13: "CycleGAN",
        14: "diffusion",
        15: "text to image",
    },
    "D Shipping": {16: "export", 17: "edge", 18: "browser", 19: "serving"},
    "E Scale and choice": {20: "speed", 21: "distributed", 22: "choosing"},
}
present = {
    int(path.name[:2]) for path in (ROOT / "lessons").glob("[0-9][0-9]_*.py")
}

_, axes = plt.subplots(figsize=(8.5, 3.4))
for row, (part, lessons) in enumerate(PARTS.items()):
    axes.text(-0.1, row, part, ha="right", va="center")
    for column, (number, name) in enumerate(lessons.items()):
        colour = plots.OTHERS[0] if number in present else "white"
        box = {
            "boxstyle": "round,pad=0.4",
            "facecolor": colour,
            "edgecolor": "#777777",
            "alpha": 0.5,
        }
        axes.text(
            column * 1.1 + 0.5,
            row,
            f"{number} {name}",
            ha="center",
            va="center",
            fontsize=8,
            bbox=box,
        )
axes.set(
    xlim=(-1.3, 6.6),
    ylim=(4.6, -0.6),
    title="The map: twenty-two lessons in five parts",
)
axes.set_axis_off()

# %% [markdown]
# ## How to work with a pair
#
# **Open it side by side.**
# In a terminal, in the folder of the checkout: `make lab LESSON=01`.
# The left notebook is PyTorch, the right one TensorFlow.
# (Already in JupyterLab?
# Open both from the folder `notebooks/`, then drag one tab to the right edge.)
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
# Nothing you do can hurt: `git checkout notebooks` brings the originals back (and discards your changes; JupyterLab saves as you go).

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
