# ---
# minutes: {read: 90, run: 1, exercises: 60}
# seconds: 90
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 5 · Feeding the network
#
# You find out whether a network waits for its data, stage by stage in images a second, and take the waiting away.
#
# - **You will build** a pipeline from picture files to batches: read, decode, augment, batch, move; first the naive one, then a fast one; and random changes to pictures that are the same, to the last bit, in both frameworks.
# - **You will learn** to measure a pipeline against what the network consumes; what vectorising, caching, workers and prefetching are for, and when they buy nothing; how random numbers in a pipeline go wrong without a message; what augmentation does for a small data set.
# - **You need** lessons 2 and 3: a training step, a validation curve, what tracing a graph means.
#
# The section marked *optional* is not counted in the time to read, and nothing later needs it.

# %% [markdown]
# **The question of this lesson.**
# In lesson 4 every default was made equal, and the twins drew one curve.
# Both were fed by one line, `train_images[chosen]`: all pictures lay in memory, decoded and scaled.
# Elsewhere they lie in files, and somebody has to read, decode, change and stack them, again in every epoch.
# A network that takes a batch in a millisecond gains nothing from a faster machine if the next batch takes ten.
# So before you make a network faster: **does it wait for its data?**
#
# ## Set-up

# %% tags=["pytorch", "network"]
import importlib
import io
import linecache
import pathlib
import sys
import tempfile
import time
import zlib

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.data import (
    BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler,
    TensorDataset)

from tandem import data, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")  # a GPU where there is one

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import io
import pathlib
import tempfile
import time
import zlib

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image

from tandem import data, plots, records, weights

framework, other = "tensorflow", "pytorch"
AUTOTUNE = tf.data.AUTOTUNE  # "as many as pay", found out while it runs

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
epochs = 30  # 1 to 500: of the training at the end
batch_size = 64  # 1 to picture_count: pictures a step
learning_rate = 1e-3  # above 0 to 1: Adam's default in both
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.999  # 0 to below 1: Adam's memory of their squares
epsilon = 1e-7  # above 0 to 1: Adam's; Keras' default, PyTorch's is 1e-8
hidden_width = 256  # 1 to 10000: units of the hidden layer
wide_width = 2048  # 1 to 20000: of a heavier network, to be timed only
largest_shift = 2  # 0 to 14: pixels
picture_count = 2_000  # 100 to 5000: as many again are for validation
repeats = 5  # 2 to 100: of each measurement
seed = 0  # 0 to 2**32 - 1: of weights and batch order

# %% [markdown]
# The lesson asserts what it claims about learning, and of speed what a busy machine cannot overturn, but only for these values.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("05_pipelines", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## A folder of pictures
#
# We take 2,000 training images of Fashion-MNIST, and as many for validation, and write the first 2,000 as PNG files into a temporary folder: one folder a class, the usual way in which picture sets come.
# Such a set is **sorted by class**, and we sort our arrays in the same way, so that file $i$ is image $i$.

# %% tags=["network"]
(all_images, all_labels), test_set = data.fashion_mnist(2 * picture_count)
test_images, test_labels = test_set
by_class = np.argsort(all_labels[:picture_count], kind="stable")
train_images, train_labels = all_images[by_class], all_labels[by_class]
validation_images = all_images[picture_count:]
validation_labels = all_labels[picture_count:]
steps_per_epoch = picture_count // batch_size

# %% [markdown]
# A PNG stores whole numbers, 0 to 255; our arrays are those, divided by 255.

# %%
temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
folder = pathlib.Path(temporary.name)  # is deleted when the notebook ends
for number, (image, label) in enumerate(zip(train_images, train_labels)):
    place = folder / "pictures" / f"{label} {data.FASHION_CLASSES[label]}"
    place.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.uint8(np.rint(255 * image)))
    picture.save(place / f"{number:04}.png")

paths = sorted((folder / "pictures").glob("*/*.png"))
for path in paths[:: picture_count // 4]:
    print(path.relative_to(folder).as_posix())
print(f"{len(paths):,} files")

# %% [markdown] tags=["pytorch"]
# The usual reader of such a tree is `ImageFolder` of the package torchvision; it numbers the classes by the alphabet, which is why our folders begin with their label.
# We write our own, to see what it costs.

# %% [markdown] tags=["tensorflow"]
# The usual reader of such a tree is `keras.utils.image_dataset_from_directory`; it numbers the classes by the alphabet, which is why our folders begin with their label.
# We write our own, to see what it costs.

# %% [markdown]
# ## Augmentation: random changes that keep the label
#
# Between reading a picture and training on it, many pipelines change it at random: a shoe seen from the other side, two pixels further left, or in brighter light is the same shoe.
# So each epoch shows another version, and the network cannot learn the pixels by heart.
# Does that help?
# We measure it at the end.
# First it is one more thing that a pipeline has to do, and pay for.
#
# Our changes: **flip** left and right with probability one half; **shift** by up to two pixels in each direction (put a black border of two pixels around the picture, and cut 28 × 28 out of it at a random `top` and `left`); multiply the **brightness** by a random factor, and clip to 0 … 1.
#
# The random numbers come from NumPy, so that the twins make the same changes: a table for each epoch, in which row $i$ belongs to picture $i$, wherever in the epoch its turn comes.

# %% tags=["network"]
def draw_changes(epoch, seed):
    # 5: other numbers than the batch order's
    rng = np.random.default_rng((seed, epoch, 5))
    flip = rng.random(picture_count) < 0.5
    top, left = rng.integers(0, 2 * largest_shift + 1, (2, picture_count))
    brightness = rng.uniform(0.7, 1.3, picture_count).astype("float32")
    return flip, top, left, brightness

# %% [markdown]
# The changes themselves are the framework's.
# For one picture:

# %% tags=["pytorch"]
def augment_one(image, flip, top, left, brightness):
    if flip:
        image = image.flip(-1)
    image = F.pad(image, 4 * (largest_shift,))  # left, right, top, bottom
    image = image[top : top + 28, left : left + 28]
    return (image * brightness).clamp(0, 1)


as_tensor = torch.as_tensor  # in the other notebook: tf.convert_to_tensor


def as_array(tensor):
    return tensor.numpy(force=True)  # from a GPU, too

# %% [markdown] tags=["pytorch"]
# These are plain tensor operations.
# A project would take them from `torchvision.transforms.v2`, which has these and dozens more, and rotations of boxes and masks along with the picture; they draw their own random numbers.

# %% tags=["tensorflow"]
def augment_one(image, flip, top, left, brightness):
    if flip:  # in a pipeline AutoGraph makes a conditional of it (lesson 3)
        image = tf.reverse(image, [1])
    image = tf.pad(image, 2 * [2 * [largest_shift]])
    image = image[top : top + 28, left : left + 28]
    return tf.clip_by_value(image * brightness, 0, 1)


as_tensor = tf.convert_to_tensor  # in the other notebook: torch.as_tensor


def as_array(tensor):
    return tensor.numpy()

# %% [markdown] tags=["tensorflow"]
# These are plain tensor operations.
# A project would take Keras' layers (`RandomFlip`, `RandomTranslation`, …), which draw their own random numbers.
# They can also stand inside the network, and then act in training only.

# %% [markdown]
# What it looks like:

# %%
changes = [draw_changes(epoch, seed) for epoch in range(5)]
versions, captions = [], []
for number in (1, 810, 1150, 1450, 1850):
    image = train_images[number % picture_count]
    versions.append(image)
    captions.append("as filed")
    for epoch, columns in enumerate(changes, 1):
        row = [column[number % picture_count] for column in columns]
        versions.append(as_array(augment_one(as_tensor(image), *row)))
        captions.append(f"epoch {epoch}")
plots.images(versions, "One picture a row: each epoch sees another version",
             captions, columns=6, size=1.0)

# %% [markdown]
# **Watch out:** whether a change keeps the label depends on the data, and no framework knows.
# A mirrored shoe is a shoe, though whether a mirrored one ever comes, we shall see; a mirrored "b" is a "d".
# A shoe upside down is something that no shop photographs: a vertical flip would spend the network's weights on pictures that never come.
#
# ## What the network consumes
#
# Two networks: the small one of lesson 2, and one with a hidden layer eight times as wide.
# Nothing here is new, so we are brief.

# %% tags=["network"]
def starting_weights(seed, width=None):
    width, rng = width or hidden_width, weights.generator(seed)
    return {"classifier": {"hidden": weights.dense(rng, 784, width),
                           "output": weights.dense(rng, width, 10)}}

# %% [markdown]
# The network takes its width from the weights that it is given.

# %% tags=["pytorch", "network"]
def build_classifier(starting):
    width = len(starting["hidden"]["bias"])
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, width),
                            nn.ReLU(), nn.Linear(width, 10))
    return load_weights(network, starting).to(device)


def build_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=learning_rate,
                            betas=(beta_1, beta_2), eps=epsilon)


def train_step(network, optimizer, images, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% tags=["tensorflow", "network"]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_classifier(starting):
    width = len(starting["hidden"]["bias"])
    network = keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(width, activation="relu", name="hidden"),
        layers.Dense(10, name="output"),
    ])
    return load_weights(network, starting)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer

# %% [markdown] tags=["tensorflow"]
# And the step, as a graph.

# %% tags=["tensorflow", "network"]
@tf.function
def train_step(network, optimizer, images, labels):
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, network(images, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss

# %% [markdown]
# To measure, we need some care.
# Other programs use the machine too, so we take every measurement several times, the alternatives **in turn** (a slow minute then hits all of them), leave out the first round, in which caches fill and graphs are traced, and look at the median **and** the range.

# %%
def images_per_second(alternatives, count):
    """{name: speeds} of {name: function that handles `count` images}."""
    speeds = {name: [] for name in alternatives}
    for repeat in range(repeats + 1):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            speeds[name].append(count / (time.perf_counter() - start))
    return {name: np.array(values[1:]) for name, values in speeds.items()}


def median(speeds):
    return {name: float(np.median(values)) for name, values in speeds.items()}


def times(speeds, fast, slow):
    """How many times as fast: "2.0 (1.8 to 2.3)", medians and extremes."""
    ratio = np.median(speeds[fast]) / np.median(speeds[slow])
    least = speeds[fast].min() / speeds[slow].max()
    most = speeds[fast].max() / speeds[slow].min()
    return f"{ratio:.1f} ({least:.1f} to {most:.1f})"

# %% [markdown]
# The network's side: one batch that is already where it is needed, trained on again and again.
# It holds pictures of all classes.
# (We first took 64 T-shirts.
# Their loss was soon 0, and the numbers in Adam so small, *denormal*, that a processor leaves its fast path for them: PyTorch's step became several times slower.
# A benchmark on convenient data measures the convenience.)

# %% tags=["pytorch"]
def trainer(width, steps=10):
    network = build_classifier(starting_weights(seed, width)["classifier"])
    optimizer = build_optimizer(network)
    # of every class: the files are sorted
    some = slice(None, None, picture_count // batch_size)
    images = torch.as_tensor(train_images[some][:batch_size], device=device)
    labels = torch.as_tensor(train_labels[some][:batch_size], device=device)

    def run():
        for _ in range(steps):
            loss = train_step(network, optimizer, images, labels)
        return loss.item()  # waits until a GPU has done it

    return run

# %% tags=["tensorflow"]
def trainer(width, steps=10):
    network = build_classifier(starting_weights(seed, width)["classifier"])
    optimizer = build_optimizer(network)
    # of every class: the files are sorted
    some = slice(None, None, picture_count // batch_size)
    images = tf.convert_to_tensor(train_images[some][:batch_size])
    labels = tf.convert_to_tensor(train_labels[some][:batch_size])

    def run():
        for _ in range(steps):
            loss = train_step(network, optimizer, images, labels)
        return float(loss)  # waits until a GPU has done it

    return run

# %% [markdown]
# Times are this machine's; yours differ.
# What we rely on are ratios within one run.

# %% tags=["nbval-ignore-output"]
consumed = images_per_second({"small network": trainer(hidden_width),
                              "wide network": trainer(wide_width)},
                             count=10 * batch_size)
appetite = median(consumed)
for name, speed in appetite.items():
    print(f"{name}: trains on {speed:10,.0f} images a second")

# %% [markdown]
# (On a GPU both may be alike: starting operations takes the time.)

# %% tags=["folded"]
if as_shipped:
    assert appetite["small network"] > 0.5 * appetite["wide network"]

# %% [markdown]
# ## The naive pipeline
#
# One picture after the other, each step for each picture, and a batch when there are enough.

# %% [markdown] tags=["pytorch"]
# In PyTorch a **map-style dataset** is a class that says how many items there are (`__len__`) and gets one by its index (`__getitem__`).
# What happens in there is ordinary Python.
# A `DataLoader` asks it for 64 of them, and its `collate_fn` (by default it stacks tensors and makes tensors of numbers) makes a batch of them.
# The cell has a name, since it will become a file.

# %% tags=["pytorch"]
# pictures.py
def decode(content, size=None):
    picture = Image.open(io.BytesIO(content))
    picture = picture.resize(size) if size else picture
    return torch.from_numpy(np.array(picture, "float32")) / 255


class PictureFiles(torch.utils.data.Dataset):
    def __init__(self, paths, labels, change=None, size=None):
        self.paths, self.labels = paths, labels
        self.change, self.size = change, size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image = decode(self.paths[index].read_bytes(), self.size)
        image = self.change(image, index) if self.change else image
        return image, self.labels[index]

# %% [markdown] tags=["pytorch"]
# `drop_last` leaves out the 16 pictures that do not fill a batch.
# **Watch out:** a `DataLoader` left to its defaults makes batches of **one** and does not shuffle.

# %% tags=["pytorch"]
def change_in_first_epoch(image, index):
    return augment_one(image, *(column[index] for column in changes[0]))


naive = DataLoader(PictureFiles(paths, train_labels, change_in_first_epoch),
                   batch_size=batch_size, drop_last=True)


def naive_batches():  # on a CPU, `.to` has nothing to do
    return ((images.to(device), labels.to(device)) for images, labels in naive)


images, labels = next(iter(naive))
print(f"images {tuple(images.shape)} {images.dtype}, "
      f"labels {tuple(labels.shape)} {labels.dtype}")
print(f"{len(naive)} batches; by default: {len(DataLoader(naive.dataset)):,}")

# %% [markdown] tags=["tensorflow"]
# A `tf.data.Dataset` describes a pipeline.
# `from_tensor_slices` hands over one row at a time, `map` applies a function to each, `batch` collects.
# (A row that is a tuple reaches the function as several arguments: here path, label, and the row of changes.)
# Nothing runs until something iterates; then each stage pulls from the one before.
# The functions given to `map` are traced **once** into a graph (lesson 3), and that graph runs outside of Python.

# %% tags=["tensorflow"]
def decode(content):
    pixels = tf.io.decode_png(content, channels=1)[..., 0]
    return tf.ensure_shape(tf.cast(pixels, tf.float32) / 255, (28, 28))


def read_decode_augment(path, label, *change):
    return augment_one(decode(tf.io.read_file(path)), *change), label

# %% [markdown] tags=["tensorflow"]
# One more thing: `tf.data` does not run what you write, but an improved version of it.
# For now we switch that off with `plain`, to see what each improvement is worth; we come back to it.

# %% tags=["tensorflow"]
def plain(dataset):
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return dataset.with_options(options)


names = [str(path) for path in paths]
slices = tf.data.Dataset.from_tensor_slices
rows = slices((names, train_labels, *changes[0]))
as_written = rows.map(read_decode_augment).batch(batch_size,
                                                 drop_remainder=True)
naive = plain(as_written)


def naive_batches():  # TensorFlow moves them to a GPU, if any, by itself
    return naive


images, labels = next(iter(naive))
print(f"images {images.shape} {images.dtype.name}, "
      f"labels {labels.shape} {labels.dtype.name}")
print(f"{len(naive)} batches")

# %% [markdown] tags=["tensorflow"]
# `drop_remainder` leaves out the 16 pictures that do not fill a batch; they would come as a batch of another shape, and `train_step` would be traced again.

# %% [markdown]
# Before any speed: does it give the right pictures?
# What comes back from the files must be what we wrote; we look at the first 200.

# %%
read_back = [as_array(decode(path.read_bytes())) for path in paths[:200]]
equal = np.array_equal(read_back, train_images[:200])
print(f"decoded pictures equal the arrays, bit for bit: {equal}")

# %% [markdown]
# ("Bit for bit" takes dividing by 255.
# Multiplying by 1/255, as some libraries do, differs in the last bit for about half of the grey levels.)

# %% tags=["folded"]
assert equal and np.array_equal(as_array(labels), train_labels[:batch_size])

# %% [markdown]
# Now, what does the network get from this pipeline?
# We train for 20 steps and hold a stopwatch: how long until the batch is here, and how long for the step?
# (The first step does not count: much is set up in it.
# And it is the mean that we take, since where batches are fetched ahead one may be there at once and the next late.)

# %%
def waiting_and_training(loader, width):
    network = build_classifier(starting_weights(seed, width)["classifier"])
    optimizer = build_optimizer(network)
    waiting, training, iterator = [], [], iter(loader)
    for _ in range(min(20, steps_per_epoch)):
        start = time.perf_counter()
        images, labels = next(iterator)
        arrived = time.perf_counter()
        float(train_step(network, optimizer, images, labels))
        waiting.append(arrived - start)
        training.append(time.perf_counter() - arrived)
    later = slice(min(1, steps_per_epoch - 1), None)
    return 1000 * np.mean(waiting[later]), 1000 * np.mean(training[later])

# %% [markdown]
# For both networks:

# %% tags=["nbval-ignore-output"]
widths = {"small network": hidden_width, "wide network": wide_width}
waiting_share = {}
for name, width in widths.items():
    waiting, training = waiting_and_training(naive_batches(), width)
    print(f"{name}: waits {waiting:5.1f} ms for a batch, "
          f"trains {training:5.1f} ms on it")
    waiting_share[name] = waiting / training

# %% [markdown]
# Where the first number is not small against the second, the network waits; on a quiet CPU the small one waits for the larger share of its step.
# (On a GPU both train in about the same time, and both wait.)

# %% tags=["folded"]
if as_shipped:
    assert waiting_share["small network"] > 0.5 * waiting_share["wide network"]

# %% [markdown]
# So "is this pipeline fast?" has no answer.
# "Is it faster than *this* network?" has one.
# And since the two take turns, even a pipeline that is fast enough costs time.
# Remember that; it has a cure of its own.
#
# ## Stage by stage
#
# Where do the milliseconds go?
# We time each stage alone, and give it the results of the stage before from memory.
#
# **Watch out:** "read" is the best case here.
# The files were written a minute ago, and the operating system still has them in memory.
# From a cold disk or over a network, reading can be the slowest stage, and then the third and the fourth of the cures below are the ones that help.

# %% [markdown] tags=["pytorch"]
# "Move" copies a batch from NumPy's memory to where the network is.

# %% tags=["pytorch"]
contents = [path.read_bytes() for path in paths]
singles = [decode(content) for content in contents]
rows = list(zip(*changes[0]))
parts = [slice(start, start + batch_size)
         for start in range(0, picture_count, batch_size)]


def augment_each():
    return [augment_one(image, *row) for image, row in zip(singles, rows)]


augmented = augment_each()
stages = {
    "read": lambda: [path.read_bytes() for path in paths],
    "decode": lambda: [decode(content) for content in contents],
    "augment": augment_each,
    "batch": lambda: [torch.stack(augmented[part]) for part in parts],
    "move": lambda: [torch.as_tensor(train_images[part]).to(device, copy=True)
                     for part in parts],
    "all stages, in turn": lambda: [None for _ in naive_batches()],
}

# %% [markdown] tags=["tensorflow"]
# All stages but "move" are timed as pipelines of their own, so the three that have a `map` also pay for one call of its function for each picture.
# That is not little, as we shall see.
# "Move" copies a batch from NumPy's memory to TensorFlow's.

# %% tags=["tensorflow"]
def drain(dataset):
    dataset = plain(dataset.batch(batch_size))
    return lambda: [None for _ in dataset]


contents = [path.read_bytes() for path in paths]
images, labels = tf.constant(train_images), tf.constant(train_labels)
stacked = [train_images[start : start + batch_size].copy()
           for start in range(0, picture_count, batch_size)]

stages = {
    "read": drain(slices(names).map(tf.io.read_file)),
    "decode": drain(slices(contents).map(decode)),
    "augment": drain(slices((images, *changes[0])).map(augment_one)),
    "batch": drain(slices((images, labels))),
    "move": lambda: [tf.constant(batch) for batch in stacked],
    "all stages, in turn": lambda: [None for _ in naive_batches()],
}

# %% [markdown]
# A figure that we shall need again: a dot for each stage, with its range, and a line for each network's appetite.
# A dot left of a line starves that network even if fetching and training overlap; in turn, every stage costs time.

# %% tags=["folded"]
def throughput(speeds, title):
    _, axes = plt.subplots(figsize=(8.5, 0.9 + 0.34 * len(speeds)))
    for name, values in speeds.items():
        color = plots.OTHERS[2 if "stages" in name else 0]
        axes.plot([values.min(), values.max()], [name, name], color=color)
        axes.plot(np.median(values), name, "o", color=color)
        axes.text(1.15 * values.max(), name, f"{np.median(values):,.0f}",
                  va="center", fontsize=8, bbox={"color": "white", "pad": 1})
    for (name, speed), style in zip(appetite.items(), ("--", ":")):
        axes.axvline(speed, color=plots.OTHERS[1], linestyle=style,
                     label=f"{name} consumes {speed:,.0f}")
    axes.set(xscale="log", title=title,
             xlabel="images a second (median and range)")
    axes.set_xlim(right=6 * max(values.max() for values in speeds.values()))
    axes.set_ylim(len(speeds) - 0.5, -0.5)
    axes.tick_params(axis="x", which="minor", labelbottom=False)
    axes.grid(axis="y", visible=False)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))

# %% [markdown]
# And here is where the time goes:

# %% tags=["nbval-ignore-output"]
speeds = images_per_second(stages, picture_count)
microseconds = {name: 1e6 / speed for name, speed in median(speeds).items()}
together = microseconds.pop("all stages, in turn")
added = sum(microseconds.values())
speeds["stages, times added up"] = np.array([1e6 / added])
hungry = times(speeds | consumed, "small network", "all stages, in turn")
throughput(speeds, f"The small network could take × {hungry} what it gets")
print(f"microseconds a picture: {together:.0f} in turn, {added:.0f} added up")

# %% [markdown]
# The stages take turns, so their **times** add up, and with $v_i$ the speed of stage $i$ the whole should have the speed
#
# $$\frac{1}{v} = \sum_i \frac{1}{v_i} ,$$
#
# the last dot.
# It does not, by far, and it is worth asking why.

# %% [markdown] tags=["pytorch"]
# Asking for each item, picking its row of changes and making tensors of the labels are in no stage; on a CPU the copy of "move" is in the sum only; and the machine's noise is in both.
#
# So making the fastest stage ten times faster changes nothing, and the slowest ones rule.
# Here those are the three that are called once for each picture, decoding above all.
# (If "move" looks slow on a CPU, see its range: that is the machine.)

# %% [markdown] tags=["tensorflow"]
# To call a function given to `map` costs something for each picture, even if it only adds 1:

# %% tags=["tensorflow", "nbval-ignore-output"]
numbers = tf.data.Dataset.range(picture_count)
calls = {"without": drain(numbers),
         "with": drain(numbers.map(lambda number: number + 1))}
per_second = median(images_per_second(calls, picture_count))
call = 1e6 / per_second["with"] - 1e6 / per_second["without"]
print(f"microseconds a picture for a call: {call:.0f}")
print(f"added up, less two calls: {added - 2 * call:.0f}; "
      f"in turn: {together:.0f}")

# %% [markdown] tags=["tensorflow"]
# Timed apart, three stages pay for that call three times; the pipeline, in which they share one function, pays once.
# So the sum counts two calls too many: without them (last line) it comes nearer to the time in turn.
# And much of what the figure shows for "read" is the call.
#
# So making the fastest stage ten times faster changes nothing, and the slowest ones rule: those that are called once for each picture.
# Cure 1 is aimed at them.

# %% [markdown]
# Now the cures, each aimed at something that this figure shows.
#
# ## Cure 1: fewer, larger operations
#
# To change a 28 × 28 picture is next to nothing; much of the time of `augment_one` is spent on getting there, a call for each operation and picture.
# So batch **first**, and change 64 pictures by one call of each operation, which is called *vectorising*.
# The flip chooses between two whole batches.

# %% [markdown] tags=["pytorch"]
# For the shift, `unfold` makes a *view* (lesson 1) of all 25 windows of 28 × 28 (5 × 5 places) that fit into the padded picture; nothing is copied until the index picks one window for each picture.

# %% tags=["pytorch", "network"]
def augment(images, flip, top, left, brightness):
    images = torch.where(flip[:, None, None], images.flip(-1), images)
    padded = F.pad(images, 4 * (largest_shift,))
    windows = padded.unfold(1, 28, 1).unfold(2, 28, 1)
    which = torch.arange(len(images), device=images.device)
    images = windows[which, top, left]
    return (images * brightness[:, None, None]).clamp(0, 1)


def to_tensors(images, labels, *change):
    images, labels, *change = (
        torch.as_tensor(array).to(device, non_blocking=True)
        for array in (images, labels, *change))
    return augment(images, *change), labels

# %% [markdown] tags=["tensorflow"]
# For the shift, `tf.gather` with `batch_dims=1` picks other rows, and then other columns, from each picture.

# %% tags=["tensorflow", "network"]
@tf.function
def augment(images, flip, top, left, brightness):
    images = tf.where(flip[:, None, None], tf.reverse(images, [2]), images)
    images = tf.pad(images, [[0, 0]] + 2 * [2 * [largest_shift]])
    window = tf.range(28, dtype=top.dtype)
    rows = top[:, None] + window  # (images, 28): a row of row numbers each
    images = tf.gather(images, rows, axis=1, batch_dims=1)  # (…, 28, 32)
    columns = left[:, None] + window
    images = tf.gather(images, columns, axis=2, batch_dims=1)  # (…, 28, 28)
    return tf.clip_by_value(images * brightness[:, None, None], 0, 1)


def to_tensors(images, labels, *change):
    tensors = map(tf.convert_to_tensor, (images, labels, *change))
    images, labels, *change = tensors
    return augment(images, *change), labels

# %% [markdown]
# Faster and wrong would be no use.
# The same changes, one picture at a time and all at once:

# %%
one_by_one = np.stack([
    as_array(augment_one(as_tensor(image), *row))
    for image, row in zip(train_images[:200], zip(*changes[0]))])
arrays = train_images, train_labels, *changes[0]
batch, _ = to_tensors(*(array[:200] for array in arrays))
at_once = as_array(batch)
print(f"equal, bit for bit: {np.array_equal(one_by_one, at_once)}")

# %% [markdown]
# (The same arithmetic on the same numbers, in the same order.)

# %% tags=["folded"]
assert np.abs(one_by_one - at_once).max() < 1e-6

# %% [markdown]
# And the gain:

# %% tags=["pytorch"]
pictures = torch.from_numpy(train_images)
columns = [torch.from_numpy(column) for column in changes[0]]


def augment_batches():
    for part in parts:
        augment(pictures[part], *(column[part] for column in columns))


ways = {"one by one": augment_each, "a batch at once": augment_batches}

# %% [markdown] tags=["pytorch"]
# (A `Dataset` can give a whole batch too, through a method called `__getitems__`.
# We shall write one.)

# %% tags=["tensorflow"]
batched = plain(slices((images, *changes[0])).batch(batch_size).map(augment))
ways = {"one by one": stages["augment"],
        "a batch at once": lambda: [None for _ in batched]}

# %% [markdown] tags=["tensorflow"]
# The only change to the pipeline is the order, `.batch(64).map(augment)` in place of `.map(augment_one).batch(64)`, with a function that takes batches.

# %%
augmenting = images_per_second(ways, picture_count)
gain = times(augmenting, "a batch at once", "one by one")
throughput(augmenting, f"Augmenting a batch at once: × {gain}")

# %% [markdown]
# ## Cure 2: do it once
#
# Decoding gives the same numbers in every epoch, so do it in the first and keep them.
# The price is memory: 6.3 MB for our 2,000 pictures as float32, 188 MB for all 60,000 of Fashion-MNIST, and a quarter of that as bytes.
# A million photographs do not fit, and then this cure is not for you.
# It has one trap: **what comes before the cache happens once**.
# Below, the brightness is random; we ask for the same picture in three epochs and count its versions.
# First wrong, then right.

# %% [markdown] tags=["pytorch"]
# PyTorch has no cache; in Python it is a dictionary.
# (With workers, which come next, every process fills a dictionary of its own, and it dies with the process: fill it before the loader starts, or keep the pictures in one tensor.)

# %% tags=["pytorch"]
class Cached(Dataset):
    def __init__(self, dataset, change=None):
        self.dataset, self.change, self.kept = dataset, change, {}

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        if index not in self.kept:
            self.kept[index] = self.dataset[index]
        image, label = self.kept[index]
        return (self.change(image, index) if self.change else image), label


def random_brightness(image, index):
    return image * torch.empty(()).uniform_(0.7, 1.3)


wrong = Cached(PictureFiles(paths[:3], train_labels, random_brightness))
right = Cached(PictureFiles(paths[:3], train_labels), random_brightness)
orders = {"augment, then cache": wrong, "cache, then augment": right}
for name, dataset in orders.items():
    sums = {float(dataset[0][0].sum()) for epoch in range(3)}
    print(f"{name}: {len(sums)} version(s) of a picture in 3 epochs")

# %% [markdown] tags=["tensorflow"]
# In `tf.data` it is one word, and a matter of where you put it.

# %% tags=["tensorflow"]
def random_brightness(image):
    return image * tf.random.uniform((), 0.7, 1.3)


files = slices(names[:3]).map(tf.io.read_file).map(decode)
wrong = files.map(random_brightness).cache()
right = files.cache().map(random_brightness)
orders = {"augment, then cache": wrong, "cache, then augment": right}
for name, dataset in orders.items():
    sums = {float(tf.reduce_sum(list(dataset)[0])) for epoch in range(3)}
    print(f"{name}: {len(sums)} version(s) of a picture in 3 epochs")

# %% [markdown] tags=["tensorflow"]
# (The `list` matters: TensorFlow keeps what passes by, and a cache is complete only when the data set was iterated **to its end** once.)

# %% [markdown]
# The wrong order trains without a complaint, on a data set that is not augmented but damaged once.
# What does the right one bring?
# Everything else is still done picture by picture:

# %% tags=["pytorch"]
cached = Cached(PictureFiles(paths, train_labels), change_in_first_epoch)
kept = DataLoader(cached, batch_size=batch_size, drop_last=True)
ways = {"decoded each time": lambda: [None for _ in naive],
        "decoded once": lambda: [None for _ in kept]}

# %% tags=["tensorflow"]
pictures = slices(names).map(tf.io.read_file).map(decode).cache()
kept = tf.data.Dataset.zip(pictures, slices(tuple(changes[0])))
# a row is a pair now, of an image and a tuple of changes
kept = kept.map(lambda image, change: augment_one(image, *change))
kept = plain(kept.batch(batch_size, drop_remainder=True))
ways = {"decoded each time": lambda: [None for _ in naive],
        "decoded once": lambda: [None for _ in kept]}

# %% [markdown]
# The first round fills the cache and is not counted:

# %%
caching = images_per_second(ways, steps_per_epoch * batch_size)
gain = times(caching, "decoded once", "decoded each time")
throughput(caching, f"Decoded once: × {gain} images a second")

# %% [markdown] tags=["pytorch"]
# Reading and decoding were most of the time, and they are gone.
# What is left is the augmentation, one by one: cure 1.

# %% [markdown] tags=["tensorflow"]
# That may be less than one would hope: each picture is still changed by itself; that alone takes about as long as all that is left (figure of cure 1), and much of it is the call of a `map` function.
# Cure 1 takes that away.

# %% [markdown]
# ## Cure 3: fetch the next batch while the network trains
#
# The stopwatch above showed waiting and training in turn.
# Nothing forces them to take turns: while the network trains on one batch, somebody else can fetch the next.
# Then the two times no longer add up, the longer one rules, and at best the time is halved.
#
# To see it without the noise of this machine, let a disk and a network do nothing but sleep, each for 30 milliseconds a batch.

# %% [markdown] tags=["pytorch"]
# Each item reports when its loading began and ended.

# %% tags=["pytorch"]
# slow_disk.py
class SlowDisk(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        start = time.perf_counter()
        time.sleep(0.03)
        return torch.tensor([start, time.perf_counter()], dtype=torch.float64)

# %% [markdown] tags=["pytorch"]
# A loader with 0 workers fetches when asked.
# **One** worker is enough to overlap: it keeps `prefetch_factor` batches ready, 2 unless told otherwise.
# Python runs one thread of Python code at a time, so a worker is a **process**: a copy of your dataset lives in another Python, makes whole batches there, in advance, and sends them over.
#
# **Watch out:** how does a class get into another Python?
# On Linux, up to Python 3.13, the process is a copy of this one and has it already.
# On macOS and Windows, and from 3.14 on, it is not: your dataset is pickled and sent, and a pickle holds of a class only its name and the module to find it in.
# `__main__` of a fresh Python holds nothing of this notebook, so such a loader fails there, and a dataset for workers belongs in a **file**.
# The folded cell defines `as_module`, which writes the cell of a class into one, below its imports, and imports it from there.

# %% tags=["pytorch", "folded"]
IMPORTS = ["import io, time\n", "import numpy as np, torch\n",
           "from PIL import Image\n"]


def as_module(name, dataset_class):
    # IPython keeps the text of every cell where `linecache` finds it
    cell = linecache.getlines(dataset_class.__getitem__.__code__.co_filename)
    text = "".join(IMPORTS + cell)
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    importlib.invalidate_caches()
    # reload: if you changed the cell
    return importlib.reload(importlib.import_module(name))


sys.path.insert(0, str(folder))

# %% [markdown] tags=["pytorch"]
# (`batch_size=None`: an item is a batch already.
# Starting the worker is not counted.)

# %% tags=["pytorch"]
pictures_module = as_module("pictures", PictureFiles)  # for later
disk = as_module("slow_disk", SlowDisk).SlowDisk()
disks = {"in turn: num_workers=0": DataLoader(disk, None),
         "overlapped: num_workers=1": DataLoader(disk, None, num_workers=1)}

# %% [markdown] tags=["tensorflow"]
# Each item reports when its loading began and ended.
# `prefetch(2)` puts a buffer of two batches behind it, filled by a thread of its own while you do something else.
# With `prefetch(AUTOTUNE)` at its very end any pipeline gets this.

# %% tags=["tensorflow"]
def slow_disk():
    for _ in range(12):
        start = time.perf_counter()
        time.sleep(0.03)
        yield np.array([start, time.perf_counter()])


disk = plain(tf.data.Dataset.from_generator(
    slow_disk, output_signature=tf.TensorSpec((2,), tf.float64)))
disks = {"in turn": disk, "overlapped: prefetch(2)": disk.prefetch(2)}

# %% [markdown]
# Who does what, when?

# %%
def loads_and_trains(disk):
    """When each load and each training began and ended, in milliseconds."""
    loads, trains = [], []
    for item in disk:
        start = time.perf_counter()
        time.sleep(0.03)  # the network
        trains.append((start, time.perf_counter()))
        loads.append(as_array(item))
    zero = loads[0][0]
    return 1000 * (np.array(loads) - zero), 1000 * (np.array(trains) - zero)

# %% [markdown]
# In turn above, overlapped below:

# %% tags=["folded"]
_, panels = plt.subplots(2, figsize=(7.5, 3.4), sharex=True)
ends = []
for axes, (name, disk) in zip(panels, disks.items()):
    loads, trains = loads_and_trains(disk)
    for label, spans, color in (("load", loads, plots.OTHERS[0]),
                                ("train", trains, plots.OTHERS[3])):
        axes.barh([label] * len(spans), np.diff(spans)[:, 0], left=spans[:, 0],
                  color=color, edgecolor="white")
    ends.append(trains[-1, 1])
    axes.set_title(f"{name}: {ends[-1]:.0f} ms for 12 batches")
    axes.invert_yaxis()
panels[1].set_xlabel("milliseconds since the first load began")
print(f"overlapped takes less than three quarters of the time: "
      f"{ends[1] < 0.75 * ends[0]}")

# %% [markdown]
# Overlapping hides the shorter of the two.
# When the pipeline is the longer one the network still waits, only less.

# %% [markdown] tags=["pytorch"]
# In a `DataLoader` nothing of this happens unless you ask: with 0 workers, the default, nothing is fetched ahead.
# (In `tf.data` it happens unasked; see the twin.)

# %% [markdown] tags=["tensorflow"]
# And now for what we switched off.
# Left alone, `tf.data` runs a `map` in parallel where the function has no state, and puts a `prefetch` at the end when there is none.
# So those few lines, **as written**, without any cure, are not the naive pipeline at all:

# %% tags=["tensorflow", "nbval-ignore-output"]
for name, dataset in (("plain", naive), ("as written", as_written)):
    waiting, training = waiting_and_training(dataset, hidden_width)
    print(f"{name:12} waits {waiting:4.1f} ms, trains {training:4.1f} ms")

# %% [markdown] tags=["tensorflow"]
# (A PyTorch `DataLoader` does what you write.
# Who compares the two out of the box compares this.)
# How much it brings depends on a core being free for it: steps may also grow longer.
# Write the cures out nevertheless: they say what you mean, and the rewriting is an option that someone can switch off.

# %% [markdown]
# ## Cure 4: more hands *(optional)*
#
# If decoding has to be done each time, let several do it.
# Each of our tiny pictures is little work, and handing it over may cost as much.
# So we also make some that are sixteen times as wide and as high, like a small photograph, to be decoded and shrunk to 28 × 28 again.

# %%
(folder / "photographs").mkdir(exist_ok=True)
photographs = []
for number, image in enumerate(train_images[:64]):
    small = Image.fromarray(np.uint8(np.rint(255 * image)))
    photographs.append(folder / "photographs" / f"{number:02}.png")
    small.resize((448, 448)).save(photographs[-1], compress_level=1)
some = paths[: picture_count // 2]  # half of the small ones will do

# %% [markdown] tags=["pytorch"]
# With `num_workers=2` two copies of the dataset live in two other Pythons, and share the batches between them.
# `persistent_workers` keeps the processes alive from one epoch to the next; to start them anew takes a fraction of a second here, and seconds where each imports PyTorch afresh.
# `size` shrinks the photographs, in the worker, so that small batches are sent.

# %% tags=["pytorch"]
def drained_by(dataset, name, batch):
    """{name: function that draws an epoch}, with 0 and with 2 workers."""
    loaders = {workers: DataLoader(dataset, batch, num_workers=workers,
                                   persistent_workers=workers > 0)
               for workers in (0, 2)}
    return {f"{name}, {workers} workers": lambda loader=loader: list(loader)
            for workers, loader in loaders.items()}


def with_photographs():
    dataset = pictures_module.PictureFiles(photographs, train_labels,
                                           size=(28, 28))
    return drained_by(dataset, "photographs", 16)


def with_small():
    files = pictures_module.PictureFiles(some, train_labels)
    memory = torch.from_numpy(train_images[: len(some)])  # a dataset as it is
    return (drained_by(files, "small pictures", batch_size)
            | drained_by(memory, "from memory", batch_size))

# %% [markdown] tags=["pytorch"]
# (0 workers means: this process does it, when asked.
# The last pair takes its pictures from memory, by index.)

# %% [markdown] tags=["tensorflow"]
# The functions of `map` are graphs, which run without Python, so several **threads** of one process can run them: `num_parallel_calls`.
# (We say 2 and not `AUTOTUNE`, and switch off the improvements for both, so that the hands are all that differs.)
# The order stays as it was, whoever finishes first, unless you allow otherwise with `deterministic=False`.

# %% tags=["tensorflow"]
def decode_small(path):
    return decode(tf.io.read_file(path))


def decode_photograph(path):
    pixels = tf.io.decode_png(tf.io.read_file(path), channels=1)
    return tf.image.resize(pixels, (28, 28), antialias=True)[..., 0] / 255


def drained_by(paths, decode_one, name, batch):
    """{name: function that draws an epoch}, one by one and by two threads."""
    def decoded_by(calls):
        dataset = slices([str(path) for path in paths])
        dataset = dataset.map(decode_one, num_parallel_calls=calls)
        dataset = plain(dataset.batch(batch))
        return lambda: [None for _ in dataset]

    return {f"{name}, one by one": decoded_by(None),
            f"{name}, two threads": decoded_by(2)}


def with_photographs():
    return drained_by(photographs, decode_photograph, "photographs", 16)

# %% [markdown] tags=["tensorflow"]
# What threads cannot help is Python.
# `tf.data.Dataset.from_generator` (and `tf.py_function` in a `map`) lets any Python code into a pipeline, and one Python runs one thread of it at a time.
# It is the way of last resort.
# The same small pictures, read and decoded by Pillow and NumPy:

# %% tags=["tensorflow"]
def python_reads():
    for path in some:
        picture = Image.open(io.BytesIO(path.read_bytes()))
        yield np.array(picture, "float32") / 255


generated = tf.data.Dataset.from_generator(
    python_reads, output_signature=tf.TensorSpec((28, 28), tf.float32))
generated = plain(generated.batch(batch_size))


def with_small():
    ways = drained_by(some, decode_small, "small pictures", batch_size)
    by_python = {"small pictures, generator": lambda: list(generated)}
    return ways | by_python

# %% [markdown]
# With and without help:

# %%
photo_speeds = images_per_second(with_photographs(), len(photographs))
small_speeds = images_per_second(with_small(), len(some))
alone, helped = photo_speeds
small_alone, small_helped, *_ = small_speeds
throughput(photo_speeds | small_speeds,
           f"Two hands: photographs × {times(photo_speeds, helped, alone)}, "
           f"small × {times(small_speeds, small_helped, small_alone)}")

# %% [markdown]
# With two free cores, two hands can at best be twice as fast (a range that goes beyond sets the fastest run of one against the slowest of the other), and only the part that is handed out gets faster.
# A factor near × 1, or below, says that no second core (or thread) was free, or that handing over cost more than it brought.
# So measure, on the machine that will train.
# It pays most surely where decoding is long and its result small, as with photographs that do not fit into memory.
# Our small pictures do fit, and need no hands: cure 2 spares their decoding altogether, and cure 1 the rest.

# %% [markdown] tags=["pytorch"]
# For a dataset that only indexes an array (the last pair of dots) workers are a loss: there is nothing to do but to carry the batches over.

# %% [markdown] tags=["tensorflow"]
# The last dot is Python's: each picture is carried from Python to TensorFlow one at a time.

# %% [markdown]
# ## Random numbers that are not random
#
# A pipeline draws random numbers in places that you do not see, and the classic mistakes give no message.
# Here is the best known of this framework: eight items, a number below 1,000 for each, two epochs.

# %% [markdown] tags=["pytorch"]
# The dataset owns a NumPy generator, as one would write it:

# %% tags=["pytorch"]
# dice.py
class Dice(torch.utils.data.Dataset):
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return int(self.rng.integers(1000))


class FairDice(Dice):
    def __init__(self, seed):
        self.seed = seed

    def __getitem__(self, at):
        epoch, index = at
        rng = np.random.default_rng((self.seed, epoch, index))
        return int(rng.integers(1000))

# %% [markdown] tags=["pytorch"]
# Drawn by two workers:

# %% tags=["pytorch"]
dice = as_module("dice", Dice)


def drawn(loader):
    return [number for batch in loader for number in batch.tolist()]


two_workers = DataLoader(dice.Dice(seed), batch_size=2, num_workers=2)
for epoch in (1, 2):
    print(f"epoch {epoch}:", drawn(two_workers))

# %% [markdown] tags=["pytorch"]
# **Watch out:** each worker got a *copy* of the generator, so every number comes twice; and in the next epoch new workers got new copies of the same generator, so the second epoch repeats the first (`persistent_workers` would draw on; the doubling stays).
# In place of sixteen augmentations you have four.
# (PyTorch gives each worker other seeds for `torch`, for Python's `random` and for NumPy's **global** functions such as `np.random.rand`; of a generator of yours it knows nothing.
# A `worker_init_fn` that seeds it anew with the worker's number mends the first half, and makes your numbers depend on how many workers you have.)
#
# The sound way is that of our table: the number depends on **what is asked for**, not on who answers.
# So `FairDice` is asked for an epoch and an index, which a *sampler* hands out (anything that yields what the dataset shall be asked for):

# %% tags=["pytorch"]
asked = [(epoch, index) for epoch in (1, 2) for index in range(8)]
fair = dice.FairDice(seed)
alone = drawn(DataLoader(fair, batch_size=2, sampler=asked))
shared = drawn(DataLoader(fair, batch_size=2, sampler=asked, num_workers=2))
print("epoch 1:", shared[:8])
print("epoch 2:", shared[8:])
print(f"the same with 0 and 2 workers: {alone == shared}")

# %% [markdown] tags=["tensorflow"]
# One calls NumPy inside the function that is given to `map`:

# %% tags=["tensorflow"]
rng = np.random.default_rng(seed)
unfair = tf.data.Dataset.range(8).map(lambda index: rng.integers(1000))
for epoch in (1, 2):
    print(f"epoch {epoch}:", [int(number) for number in unfair])

# %% [markdown] tags=["tensorflow"]
# **Watch out:** the function is Python only once, while it is traced.
# NumPy draws **one** number then, and it is a constant of the graph for ever: all pictures get the same augmentation, in all epochs.
# `tf.random.uniform` is an operation of the graph and draws anew; but it draws in the order in which it is called, and where several threads call it (`num_parallel_calls`) that order is not fixed.
#
# The sound way is that of our table: the number depends on **what is asked for**, not on who asks first.
# Either NumPy draws the table and it goes through the pipeline as data, as our `changes` did, or a *stateless* operation makes the number from (seed, epoch, index).
# It takes a key of two numbers, and `fold_in` makes one of all three:

# %% tags=["tensorflow"]
def fair(at):
    key = tf.random.fold_in(at, seed)  # at: (epoch, index)
    return tf.random.stateless_uniform((), seed=key, maxval=1000,
                                       dtype=tf.int32)


asked = slices([(epoch, index) for epoch in (1, 2) for index in range(8)])
alone = [int(number) for number in asked.map(fair)]
shared = [int(number) for number in asked.map(fair, num_parallel_calls=4)]
print("epoch 1:", shared[:8])
print("epoch 2:", shared[8:])
print(f"the same one by one and by four threads: {alone == shared}")

# %% [markdown]
# Before you trust a pipeline, look at its numbers: two epochs of the same picture, side by side.
# That takes a minute.
#
# ## The fast pipeline, in the shared order
#
# Cures 1 and 2 together: the files decoded once, into memory; a batch fetched by one indexing operation and augmented at once.
# (That leaves little for cures 3 and 4 to hide.)
# And in *our* order, so that both twins train on the same pictures with the same changes.
# Both come from one number: the **position** of a picture in the whole run, epoch × 2,000 + index.

# %% tags=["network"]
def run_positions(seed):
    order = data.batch_order(picture_count, batch_size, epochs, seed)
    return np.array([chosen + step // steps_per_epoch * picture_count
                     for step, chosen in enumerate(order)])
    # (steps, batch_size)


def run_changes(seed):
    by_epoch = [draw_changes(epoch, seed) for epoch in range(epochs)]
    # a row a position
    return [np.concatenate(columns) for columns in zip(*by_epoch)]


def batches(seed, columns=None):
    columns = run_changes(seed) if columns is None else columns
    for positions in run_positions(seed):
        chosen = positions % picture_count
        yield (train_images[chosen], train_labels[chosen],
               *(column[positions] for column in columns))

# %% [markdown]
# The first three of the last batch, and what they stand for (epochs counted from 0, as in `draw_changes`):

# %%
for position in run_positions(seed)[-1][:3]:
    epoch, index = divmod(position, picture_count)
    print(f"position {position}: epoch {epoch}, picture {index}")

# %% [markdown]
# `batches` is the plain NumPy version, from the arrays that we wrote into the files: what the pipeline has to agree with.
# The framework's own starts from the files.

# %% [markdown] tags=["pytorch"]
# `batch_sampler` is anything that yields one batch of indices at a time: our positions.
# If a dataset has `__getitems__`, the loader asks for the whole batch by one call; it comes ready, so there is nothing to collate.

# %% tags=["pytorch"]
class PictureMemory(Dataset):
    def __init__(self, images, labels, changes):
        self.images, self.labels = images, torch.from_numpy(labels)
        self.changes = [torch.from_numpy(column) for column in changes]

    def __len__(self):
        return len(self.images)

    def __getitems__(self, positions):
        positions = torch.from_numpy(positions)
        chosen = positions % len(self)
        return (self.images[chosen], self.labels[chosen],
                *(column[positions] for column in self.changes))


decoded = torch.stack([decode(path.read_bytes()) for path in paths])  # once
in_memory = PictureMemory(decoded, train_labels, run_changes(seed))
fast = DataLoader(in_memory, batch_sampler=run_positions(seed),
                  collate_fn=lambda batch: batch,
                  pin_memory=device.type == "cuda")


def fast_batches():
    return (to_tensors(*batch) for batch in fast)

# %% [markdown] tags=["pytorch"]
# No workers: there is nothing worth handing out, and since nothing is pickled, class and lambda may stay in the notebook.
# The augmentation comes after the move, so a GPU would do it.
# `pin_memory` puts batches into memory from which a CUDA GPU can copy while it computes, if they are moved with `non_blocking=True`, as `to_tensors` does; without such a GPU it is of no use.

# %% tags=["tensorflow"]
columns = [tf.constant(column) for column in run_changes(seed)]
decoded = tf.stack([decode(tf.io.read_file(name)) for name in names])  # once
decoded_labels = tf.constant(train_labels)


def fetch(positions):
    chosen = positions % picture_count
    change = [tf.gather(column, positions) for column in columns]
    images = augment(tf.gather(decoded, chosen), *change)
    return images, tf.gather(decoded_labels, chosen)


fast = slices(run_positions(seed)).map(fetch).prefetch(AUTOTUNE)


def fast_batches():
    return fast

# %% [markdown] tags=["tensorflow"]
# The `prefetch` at the end (cure 3) hides what little is left.
#
# For data that do not fit into memory, Keras also has `keras.utils.PyDataset`: a class with `__len__` and `__getitem__` like PyTorch's datasets, but of whole batches, which `fit` can read with several workers.

# %% [markdown]
# Is it the plain version, and is it the twin's?
# We take a checksum of each batch, of all its bytes, and compare the first two epochs with NumPy's arrays, augmented by `to_tensors`, and with what the twin left in its record.

# %%
def checksum(batch):
    images, _ = batch
    return zlib.crc32(as_array(images).tobytes())


compared = range(min(2, epochs) * steps_per_epoch)
checksums = [checksum(batch) for _, batch in zip(compared, fast_batches())]
expected = [checksum(to_tensors(*batch))
            for _, batch in zip(compared, batches(seed))]
print(f"{len(set(checksums))} different batches of {len(compared)}")
same = checksums == expected
print(f"the pipeline gives what NumPy's indexing gives: {same}")
twin = records.load("05_pipelines", other, parameters_used)
if twin:
    same = checksums == twin["scores"]["checksums"]
    print(f"the twin's batches, bit for bit: {same}")

# %% [markdown]
# Not nearly equal: **equal**.
# Flipping, padding and cutting only move numbers, and one multiplication in single precision has one right answer.
# (Rotate the pictures, and this ends: then pixels are mixed by interpolation, and libraries differ in more than rounding.)
#
# What all this was for: the stopwatch again.

# %%
loaders = {"naive": naive_batches, "fast": fast_batches}
shares = {(name, kind): waiting_and_training(make(), width)
          for name, width in widths.items() for kind, make in loaders.items()}

# %% [markdown]
# Naive above, fast below:

# %% tags=["folded"]
_, panels = plt.subplots(1, 2, figsize=(9.5, 1.9))
for axes, name in zip(panels, widths):
    for kind in loaders:
        waiting, training = shares[name, kind]
        axes.barh(kind, waiting, color=plots.OTHERS[5], label="waits")
        axes.barh(kind, training, left=waiting, color=plots.OTHERS[3],
                  label="trains")
    before, after = (shares[name, kind][0] for kind in loaders)
    axes.set(title=f"{name} waited {before:.1f} ms, now {after:.1f} ms",
             xlabel="milliseconds a step")
    axes.invert_yaxis()
handles, labels_of = panels[0].get_legend_handles_labels()
_ = panels[1].legend(handles[:2], labels_of[:2], fontsize=8, loc="upper left",
                     bbox_to_anchor=(1, 1))

# %% [markdown] tags=["pytorch"]
# Neither loader has workers, so neither fetches ahead: the gain is that of cures 1 and 2.

# %% [markdown] tags=["tensorflow"]
# The naive pipeline has the improvements switched off; as written, it waited less (cure 3).
# The fast one has them on, and a `prefetch`, so a part of the gain is theirs, not that of cures 1 and 2.

# %% [markdown]
# Of the waiting much less is left, for both networks.
# (The training is the same in both; where its bars differ, that is the machine: another program, or a cache that other work has emptied.)
# For the wide network the gain is a smaller share of a step, since it spent more of it on training.
# How much there was to gain, the share that was waiting, the stopwatch had told you before you wrote a line of a cure.
#
# ## Leaving the order to the framework
#
# Nobody writes permutations by hand outside of a comparison.
# Both frameworks shuffle, with a seed of your choice:

# %% [markdown] tags=["pytorch"]
# `shuffle=True` draws a new permutation of all indices each epoch, from the `generator` that you give.

# %% tags=["pytorch"]
def shuffled(seed):
    return DataLoader(range(10), batch_size=None, shuffle=True,
                      generator=torch.Generator().manual_seed(seed))

# %% [markdown] tags=["tensorflow"]
# `shuffle(size)` keeps a buffer of that size, gives a random one of it, and refills it from the stream; each epoch anew, unless you say `reshuffle_each_iteration=False`.

# %% tags=["tensorflow"]
def shuffled(seed):
    return tf.data.Dataset.range(10).shuffle(10, seed=seed)

# %% [markdown]
# Two epochs, the first once more from the same seed, and the twin's:

# %%
first = shuffled(seed)
orders = {name: [int(index) for index in epoch] for name, epoch in (
    ("first epoch", first), ("second epoch", first),
    ("seed once more", shuffled(seed)))}
for name, order in orders.items():
    print(f"{name:16}", order)
if twin:
    print(f"{'the twin':16}", twin["scores"]["own_order"])

# %% [markdown]
# A seed repeats a run of **one** program: the other framework turns the same 0 into other random bits, and these into a permutation by another rule.
# So to compare two frameworks, share the order; setting "the same seed" in both shares nothing.
#
# **Watch out:** what comes as a stream cannot be permuted, only stirred in a **buffer**, and a buffer that is small against the data leaves sorted data almost sorted.
# Our files are sorted by class.

# %% [markdown] tags=["pytorch"]
# PyTorch's counterpart of a stream is an `IterableDataset`, which has no indices, only a next one; the stirring is yours to write.
# (With workers, **each** gives the whole stream, and every item comes twice, unless `__iter__` asks `get_worker_info()` which share is its own.)

# %% tags=["pytorch"]
class Stirred(IterableDataset):
    def __init__(self, stream, buffer_size, seed):
        self.stream, self.buffer_size = stream, buffer_size
        self.seed, self.epoch = seed, 0  # whoever trains counts the epochs up

    def __iter__(self):
        rng, buffer = np.random.default_rng((self.seed, self.epoch)), []
        for item in self.stream:
            buffer.append(item)
            if len(buffer) == self.buffer_size:
                yield buffer.pop(rng.integers(len(buffer)))
        rng.shuffle(buffer)
        yield from buffer


def stirred_labels(buffer_size):
    return list(Stirred(train_labels, buffer_size, seed))


try:
    DataLoader(Stirred(train_labels, 100, seed), shuffle=True)
except ValueError as error:
    print(f"ValueError: {error}")

# %% [markdown] tags=["tensorflow"]
# `shuffle` takes any buffer size, and does not complain.
# (PyTorch permutes indices, which needs no buffer, but then every item must be there to be fetched; its streams have the same trouble.)

# %% tags=["tensorflow"]
def stirred_labels(buffer_size):
    stirred = slices(train_labels).shuffle(buffer_size, seed=seed)
    return list(stirred.as_numpy_iterator())

# %% [markdown]
# The labels in the order in which a network would see them, with three buffers:

# %% tags=["folded"]
_, panels = plt.subplots(1, 3, figsize=(9.6, 2.8), sharey=True)
for axes, buffer_size in zip(panels, (1, picture_count // 10, picture_count)):
    seen = np.array(stirred_labels(buffer_size))
    axes.scatter(np.arange(len(seen)), seen, s=2, color=plots.OTHERS[0])
    windows = seen[: steps_per_epoch * batch_size].reshape(-1, batch_size)
    classes = np.mean([len(set(window)) for window in windows])
    axes.set(title=f"buffer {buffer_size:,}: {classes:.1f} classes a batch",
             xlabel="picture number in the epoch")
_ = panels[0].set_ylabel("label")

# %% [markdown]
# (On average over the batches of an epoch; there are 10 classes.)
# With a tenth of the data in the buffer, a batch holds on average fewer than half of the classes: the first batches hold no shoe and the last no T-shirt.
# If the whole set does not fit into the buffer, shuffle something small **before** the expensive part: the file names, not the decoded pictures.
#
# ### As one writes it
#
# Outside of a comparison, then, the fast pipeline is shorter: the framework shuffles, and draws the changes of a batch at once.

# %% [markdown] tags=["pytorch"]
# The changes are drawn and made after the move, a batch at once, and by the GPU if there is one:

# %% tags=["pytorch"]
def augment_batch(images, labels):
    images = images.to(device, non_blocking=True)
    labels = labels.to(device, non_blocking=True)
    count = len(images)
    flip = torch.rand(count, device=device) < 0.5
    places = torch.randint(2 * largest_shift + 1, (2, count), device=device)
    brightness = torch.empty(count, device=device).uniform_(0.7, 1.3)
    return augment(images, flip, *places, brightness), labels


def augmented(loader):
    return (augment_batch(*batch) for batch in loader)

# %% [markdown] tags=["pytorch"]
# **From files**, as PyTorch's documentation has it: workers read and decode, ahead of the network; they live on from one epoch to the next; and pinned memory where a CUDA GPU takes the batches.
# **From memory**, where the decoded pictures fit, no workers: `TensorDataset` indexes the tensors by whatever the sampler yields, here a whole batch of random indices, and `batch_size=None` says that this is a batch already.

# %% tags=["pytorch"]
cuda = device.type == "cuda"
from_files = DataLoader(
    pictures_module.PictureFiles(paths, train_labels), batch_size,
    shuffle=True, drop_last=True, num_workers=2, persistent_workers=True,
    pin_memory=cuda)

memory = TensorDataset(decoded, torch.from_numpy(train_labels))
chosen_at_once = BatchSampler(RandomSampler(memory), batch_size,
                              drop_last=True)
from_memory = DataLoader(memory, batch_size=None, sampler=chosen_at_once,
                         pin_memory=cuda)

# %% [markdown] tags=["pytorch"]
# Two epochs of training from the files, by the loop of lesson 2:

# %% tags=["pytorch", "nbval-ignore-output"]
torch.manual_seed(seed)
network = build_classifier(starting_weights(seed)["classifier"])
optimizer = build_optimizer(network)
for epoch in (1, 2):
    epoch_losses = []
    for images, labels in augmented(from_files):
        loss = train_step(network, optimizer, images, labels)
        epoch_losses.append(loss)
    print(f"epoch {epoch}: loss {torch.stack(epoch_losses).mean():.3f}")

ready_made = {"files, 2 workers": lambda: augmented(from_files),
              "memory, no workers": lambda: augmented(from_memory)}

# %% [markdown] tags=["tensorflow"]
# All cures are one chain, and the order of its links is what this lesson was about: first what is dear and always the same, by several threads (`num_parallel_calls`; `AUTOTUNE` tries out how many pay); cache; shuffle; batch, and change a batch at once; prefetch last.
# Only the change is left to one thread: its random numbers come in the order of the calls, which several threads do not keep, and a second run would have others.

# %% tags=["tensorflow"]
def read_decode(path, label):
    return decode(tf.io.read_file(path)), label


def augment_batch(images, labels):
    count = tf.shape(images)[0]
    flip = tf.random.uniform((count,)) < 0.5
    places = tf.random.uniform((2, count), maxval=2 * largest_shift + 1,
                               dtype=tf.int32)
    brightness = tf.random.uniform((count,), 0.7, 1.3)
    return augment(images, flip, places[0], places[1], brightness), labels


# first: shuffle and random operations take their seeds when they are made
keras.utils.set_random_seed(seed)
idiomatic = (slices((names, train_labels))
             .map(read_decode, num_parallel_calls=AUTOTUNE)
             .cache()
             .shuffle(picture_count)
             .batch(batch_size, drop_remainder=True)
             .map(augment_batch)
             .prefetch(AUTOTUNE))
ready_made = {"the chain": lambda: idiomatic}

# %% [markdown] tags=["tensorflow"]
# And `fit` takes it as it is, two epochs:

# %% tags=["tensorflow", "nbval-ignore-output"]
network = build_classifier(starting_weights(seed)["classifier"])
network.compile(build_optimizer(network), cross_entropy)
# shuffle=False: `fit` cannot shuffle a data set, and this one is shuffled
history = network.fit(idiomatic, epochs=2, shuffle=False, verbose=0)
for epoch, loss in enumerate(history.history["loss"], 1):
    print(f"epoch {epoch}: loss {loss:.3f}")

# %% [markdown]
# The stopwatch a last time, with the small network:

# %% tags=["nbval-ignore-output"]
pipelines = {"naive": naive_batches, "shared order": fast_batches} | ready_made
for name, make in pipelines.items():
    waiting, training = waiting_and_training(make(), hidden_width)
    print(f"{name:18} waits {waiting:5.2f} ms for a batch, "
          f"trains {training:5.2f} ms on it")

# %% [markdown] tags=["pytorch"]
# Workers have a price: they, the network and everybody else share the cores (we have two), each is a process with its own PyTorch, and each batch is carried from one to the other.
# Where the third line is no better than the first, as may happen on two cores, they cost more than they brought; what they cannot beat is to have nothing to decode, the last.

# %% [markdown] tags=["tensorflow"]
# The chain passes each picture through cache and buffer by itself, where our pipeline takes a batch out of memory by one operation; prefetching hides such a difference as long as a core is free.

# %% [markdown]
# ## Does it help?
#
# 2,000 pictures are few, and the network has a hundred times as many weights: it will overfit.
# We train it three times, from the same weights and in the same order: on the pictures as they are, with all changes, and with all but the flip.

# %% [markdown] tags=["pytorch"]
# Loss and accuracy, as in lesson 2:

# %% tags=["pytorch"]
@torch.inference_mode()
def evaluate(network, images, labels):
    labels = torch.as_tensor(labels, device=device)
    logits = network(torch.as_tensor(images, device=device))
    loss = F.cross_entropy(logits, labels)
    return loss.item(), (logits.argmax(1) == labels).float().mean().item()

# %% [markdown] tags=["tensorflow"]
# Loss and accuracy, as in lesson 2:

# %% tags=["tensorflow"]
def evaluate(network, images, labels):
    logits = network(images, training=False)
    accuracy = np.mean(np.argmax(logits, axis=1) == labels)
    return float(cross_entropy(labels, logits)), float(accuracy)

# %% [markdown]
# `only` makes the table of a run with some of the changes.
# The loop is lesson 2's, and takes its batches from any pipeline.

# %%
def only(flip=False, shift=False, brightness=False):
    flips, tops, lefts, factors = run_changes(seed)
    middle = np.full_like(tops, largest_shift)
    if not shift:
        tops = lefts = middle
    if not brightness:
        factors = np.ones_like(factors)
    return flips & flip, tops, lefts, factors


def train(loader):
    network = build_classifier(starting_weights(seed)["classifier"])
    optimizer = build_optimizer(network)
    losses, validation = [], []
    for step, batch in enumerate(loader, 1):
        losses.append(train_step(network, optimizer, *batch))
        if step % steps_per_epoch == 0:
            scores = evaluate(network, validation_images, validation_labels)
            validation.append(scores)
    return network, [float(loss) for loss in losses], np.array(validation)

# %% [markdown]
# With all changes, the fast pipeline feeds it, from the files; without some, the plain version does.

# %%
def plain_batches(**kept):
    return (to_tensors(*batch) for batch in batches(seed, only(**kept)))


runs = {"as they are": train(plain_batches()),
        "all changes": train(fast_batches()),
        "all but the flip": train(plain_batches(shift=True, brightness=True))}

# %% [markdown]
# For each, the loss on the training pictures **as they are** and on the validation pictures, both with the final weights, and the validation loss on the way:

# %% tags=["nbval-ignore-output"]
by_epoch = {name: validation[:, 0]
            for name, (*_, validation) in runs.items()}
lowest = {name: losses.min() for name, losses in by_epoch.items()}
best = min(lowest, key=lowest.get)
plots.curves(by_epoch, f"Lowest validation loss: {best}",
             "epoch", "validation loss")
gaps = {}
print(f"{'':18}training loss   validation loss   lowest   accuracy")
for name, (network, _, validation) in runs.items():
    on_train, _ = evaluate(network, train_images, train_labels)
    loss, accuracy = validation[-1]
    print(f"{name:18}{on_train:13.2f}   {loss:15.2f}   "
          f"{lowest[name]:6.3f}   {accuracy:8.3f}")
    gaps[name] = loss - on_train

# %% [markdown]
# On the pictures as they are, the network comes to know its training set by heart, and its validation loss turns up: overfitting, as in lesson 2.
# With the changes the gap between training and validation is a fraction of that.

# %% tags=["folded"]
if as_shipped:
    assert gaps["all changes"] < 0.5 * gaps["as they are"]

# %% [markdown]
# But compare the **lowest** points: stopped at the right epoch, the network without augmentation is *better* than the one with all changes.
# One run could be luck, so we ran it with three seeds, in both frameworks: the lowest validation loss was .54 to .56 as they are and .56 to .59 with all changes, higher in each of the six pairs, by .02 to .03.
# Leaving out the flip gave .54 to .57, in each pair below all changes, and on average about what no augmentation gives (.551 and .546).
# No wonder: nearly all shoes of Fashion-MNIST point to the left, and a mirrored one is a picture that does not come.
# Accuracy at the lowest point (not in the table, whose accuracy is the last epoch's) says the same: with all changes it was 1.5 to 2.4 points lower in each pair.
# (The augmented networks learn more slowly, and their best epoch was always one of the last three; more epochs might still help them.)
# Augmentation is no free data; it says which changes do not matter, and helps as much as that is true and as the network can use it.
# A dense layer must learn each shifted shoe anew.
# The next lesson builds a network that need not.
#
# The test set is opened once, for the run that the twins share, the one with all changes; we choose nothing by it.
#
# ## The twin check

# %%
test_accuracy = evaluate(runs["all changes"][0], test_images, test_labels)[1]
mine = records.save(
    "05_pipelines", framework, parameters_used,
    {"loss": runs["all changes"][1],
     "validation loss by epoch": runs["all changes"][2][:, 0]},
    parameter_count=weights.count(starting_weights(seed)["classifier"]),
    test_accuracy=test_accuracy, checksums=checksums,
    own_order=orders["first epoch"],
)
twin = records.load("05_pipelines", other, parameters_used)

# %% [markdown]
# Training with all changes, step by step:

# %% tags=["nbval-ignore-output"]
plots.twins(mine, twin, "The same pictures with the same changes, in both")
print(records.compare(mine, twin))

# %% [markdown]
# The first loss agrees to rounding, although between file and loss lie a decoder, a shuffle, three random changes and a network: all of it is the same.
# Then the curves part as in lesson 2 and for the same reasons: the place of Adam's epsilon and the precision of its powers; what rounding there is rests until an input meets a kink, and then leaps (lesson 4).
# (Where these are aligned and the arithmetic is in float64, the losses of 100 steps, augmentation included, agree to better than 1e-10; `make proof` runs that.)
# The pictures have no part in it: their checksums are equal in every batch that we compared.

# %% tags=["folded"]
if twin:
    losses = mine["losses"]["loss"], twin["losses"]["loss"]
    apart = records.relative_difference(*losses)
    assert apart[0] < 1e-5 and apart[:20].max() < 0.02 or not as_shipped

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow / Keras | why it matters |
# |---|---|---|---|
# | a pipeline is | a Python class and a loader that asks it | a description that is traced and run as a graph | what you may write in it, and what may run in parallel |
# | default batch and order | batches of 1, no shuffle | no batch, no shuffle (`fit` on arrays: 32, shuffled) | say what you mean |
# | more hands | processes: `num_workers`, 0 by default | threads: `num_parallel_calls`; unasked for stateless functions | memory and pickling; or no Python in `map` |
# | fetching ahead | with workers, 2 batches each | `prefetch`; added unasked at the end | comparisons out of the box compare this |
# | cache | a dictionary of your own | `.cache()`, complete after one full pass | put it **before** what is random |
# | a batch at once | `__getitems__`, or index an array | `.batch` before `.map` | the same cure, two spellings |
# | NumPy's random numbers | copied into each worker: repeated | drawn once, while tracing: constant | make them depend on epoch and index |
# | shuffling | permutes indices, in full; refuses streams | stirs a buffer, of any size | a small buffer leaves sorted data sorted |
# | the same seed | its own permutation | its own permutation | share the order, not the seed |

# %% [markdown]
# ## Exercises
#
# Now you.
# No framework is needed, so both notebooks ask the same.

# %% tags=["classroom"]
from tandem.exercises import attempt


def as_files(images):
    """The bytes of a PNG file for each image."""
    found = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(np.uint8(np.rint(255 * image))).save(file, "PNG")
        found.append(file.getvalue())
    return found


every_tenth = slice(None, None, picture_count // 10)
ten_images, ten_labels = (
    array[every_tenth][:10] for array in (train_images, train_labels))
ten_files = as_files(ten_images)

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# A pipeline from files to batches, with nothing of ours.
#
# `batches_of(files, labels, order, size)` is a generator.
# `files` holds the bytes of one PNG file for each picture, `labels` an array with their labels, `order` the indices of the pictures in the order in which they are wanted.
# It yields pairs: images as float32 from 0 to 1 in the shape (batch, 28, 28), and their labels.
# A batch has `size` pictures; if they do not come out even, the last one has fewer.
# No file is decoded before its batch is asked for.

# %% [markdown] tags=["hint"]
# `np.asarray(Image.open(io.BytesIO(content)))` has whole numbers, 0 to 255.

# %% [markdown] tags=["hint"]
# A function with `yield` in it runs up to the next `yield` whenever somebody asks for more: decode inside of the loop over batches.

# %% tags=["pytorch", "solution"]
def batches_of(files, labels, order, size):
    ### BEGIN SOLUTION
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[chosen]
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def batches_of(files, labels, order, size):
    ### BEGIN SOLUTION
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[chosen]
    ### END SOLUTION

# %% [markdown]
# The check takes ten of our pictures:

# %% tags=["check"]
backwards = np.arange(10)[::-1]
made = list(batches_of(ten_files, ten_labels, backwards, 4))
sizes = [len(labels) for _, labels in made]
assert sizes == [4, 4, 2], (
    f"ten pictures by four are batches of 4, 4 and 2, not {sizes}")
shape, kind = np.shape(made[0][0]), getattr(made[0][0], "dtype", None)
assert shape == (4, 28, 28) and kind == np.float32, (
    f"images are float32 of shape (4, 28, 28), not {kind} of {shape}")
brightest = made[0][0].max()
assert brightest <= 1, (
    f"images go from 0 to 1; the brightest pixel here is {brightest:.0f}")
assert np.array_equal(made[0][1], ten_labels[::-1][:4]), (
    f"the first labels in this order are {ten_labels[::-1][:4]}, not "
    f"{made[0][1]}")
apart = np.abs(np.concatenate([images for images, _ in made])
               - ten_images[::-1]).max()
assert apart < 1e-6, (
    f"a pixel is {apart:.2f} from that of its picture; are they in "
    "the order that was asked for, and divided by 255?")

# %% tags=["hidden"]
asked = np.array([3, 3, 7])  # fewer than there are files, and one twice
few = list(batches_of(ten_files, ten_labels, asked, 2))
sizes = [len(labels) for _, labels in few]
assert sizes == [2, 1], (
    f"three pictures of ten are asked for, by two: 2 and 1, not {sizes}; "
    "it is `order` that says how many there are")
pictures = np.concatenate([images for images, _ in few])
assert np.abs(pictures - ten_images[asked]).max() < 1e-6, (
    "for the order 3, 3, 7 other pictures came")
half = [*ten_files[:2], *(content[:60] for content in ten_files[2:])]
try:
    early = not next(iter(batches_of(half, ten_labels, np.arange(10), 2)))
except OSError:  # the pixels of the third are missing
    early = True
assert not early, (
    "asked for its first batch of two, the pipeline decodes pictures of "
    "later batches, too: decode inside of the loop over batches, and "
    "yield")

# %% tags=["pytorch", "wrong"] mistake="leaves the pixels at 0 to 255"
def batches_of(files, labels, order, size):
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32"), labels[chosen]

# %% tags=["tensorflow", "wrong"] mistake="leaves the pixels at 0 to 255"
def batches_of(files, labels, order, size):
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32"), labels[chosen]

# %% tags=["pytorch", "wrong"] mistake="shuffles images and not labels"
def batches_of(files, labels, order, size):
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[first:first + size]

# %% tags=["tensorflow", "wrong"] mistake="shuffles images and not labels"
def batches_of(files, labels, order, size):
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[first:first + size]

# %% tags=["pytorch", "wrong"] mistake="leaves out the order"
def batches_of(files, labels, order, size):
    for first in range(0, len(order), size):
        chosen = np.arange(first, min(first + size, len(order)))
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[chosen]

# %% tags=["tensorflow", "wrong"] mistake="leaves out the order"
def batches_of(files, labels, order, size):
    for first in range(0, len(order), size):
        chosen = np.arange(first, min(first + size, len(order)))
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[chosen]

# %% tags=["pytorch", "wrong"] mistake="decodes everything first"
def batches_of(files, labels, order, size):
    images = np.stack([np.asarray(Image.open(io.BytesIO(files[index])))
                       for index in order]).astype("float32") / 255
    for first in range(0, len(order), size):
        yield images[first:first + size], labels[order[first:first + size]]

# %% tags=["tensorflow", "wrong"] mistake="decodes everything first"
def batches_of(files, labels, order, size):
    images = np.stack([np.asarray(Image.open(io.BytesIO(files[index])))
                       for index in order]).astype("float32") / 255
    for first in range(0, len(order), size):
        yield images[first:first + size], labels[order[first:first + size]]

# %% tags=["pytorch", "wrong"] mistake="drops a last batch that is not full"
def batches_of(files, labels, order, size):
    for first in range(0, len(order) - size + 1, size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[chosen]

# %% tags=["tensorflow", "wrong"] mistake="drops a last batch that is not full"
def batches_of(files, labels, order, size):
    for first in range(0, len(order) - size + 1, size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        yield np.stack(images).astype("float32") / 255, labels[chosen]

# %% tags=["pytorch", "wrong"] mistake="counts the files, not the order"
def batches_of(files, labels, order, size):
    for first in range(0, len(files), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        if images:
            yield np.stack(images).astype("float32") / 255, labels[chosen]
        else:
            yield np.zeros((0, 28, 28), "float32"), labels[:0]

# %% tags=["tensorflow", "wrong"] mistake="counts the files, not the order"
def batches_of(files, labels, order, size):
    for first in range(0, len(files), size):
        chosen = order[first:first + size]
        images = [np.asarray(Image.open(io.BytesIO(files[index])))
                  for index in chosen]
        if images:
            yield np.stack(images).astype("float32") / 255, labels[chosen]
        else:
            yield np.zeros((0, 28, 28), "float32"), labels[:0]

# %% tags=["pytorch", "wrong"] mistake="goes through all files first"
def batches_of(files, labels, order, size):
    images = np.stack([np.asarray(Image.open(io.BytesIO(content)))
                       for content in files]).astype("float32") / 255
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        yield images[chosen], labels[chosen]

# %% tags=["tensorflow", "wrong"] mistake="goes through all files first"
def batches_of(files, labels, order, size):
    images = np.stack([np.asarray(Image.open(io.BytesIO(content)))
                       for content in files]).astype("float32") / 255
    for first in range(0, len(order), size):
        chosen = order[first:first + size]
        yield images[chosen], labels[chosen]

# %% [markdown] tags=["exercise"] exercise="equal-changes" points=3
# ### Exercise 2: the same changes, a third time
#
# Both notebooks change pictures alike, to the last bit. So can NumPy.
#
# `changed(images, flip, top, left, brightness, border)` takes pictures (n, 28, 28) and one row of each column of `draw_changes` for each picture.
# As above: **flip** left and right where `flip` is True, then the **shift** (a black border of `border` pixels on each side, out of which 28 × 28 are cut at `top` and `left`), then times **brightness**, then clipped to 0 … 1.
# The pictures that were given stay as they are.

# %% [markdown] tags=["hint"]
# One picture at a time is good enough: `image[:, ::-1]`, `np.pad(image, border)`, a slice, `np.clip`.

# %% tags=["pytorch", "solution"]
def changed(images, flip, top, left, brightness, border):
    ### BEGIN SOLUTION
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def changed(images, flip, top, left, brightness, border):
    ### BEGIN SOLUTION
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)
    ### END SOLUTION

# %% [markdown]
# The check has four pictures with a dot each, one of them in a corner, so that the answer can be written down:

# %% tags=["classroom"]
dots = np.zeros((4, 28, 28), "float32")
dots[:3, 10, 4] = dots[3, 0, 0] = 0.8
moves = tuple(np.array(column) for column in (
    [False, True, False, False], [3, 3, 1, 4], [3, 3, 4, 4],
    [1.0, 1.0, 1.5, 1.0]))
one_move = tuple(np.array([value]) for value in (True, 2, 4, 0.5))


def where(picture):
    """The first place that is not black, if there is one."""
    found = np.argwhere(np.asarray(picture) > 0)
    return tuple(int(at) for at in found[0]) if len(found) else None

# %% [markdown]
# And now yours:

# %% tags=["check"]
dotted = dots.copy()
moved = changed(dotted, *moves, 3)
assert np.shape(moved) == (4, 28, 28), (
    f"four pictures of 28 × 28, not {np.shape(moved)}")
assert np.array_equal(dotted, dots), (
    "the pictures that were given have changed: flip a copy")
assert where(moved[0]) == (10, 4), (
    "top = left = border moves nothing, but the dot of (10, 4) is at "
    f"{where(moved[0])}")
assert where(moved[1]) == (10, 23), (
    "flipped, the dot of (10, 4) is at (10, 23), not at "
    f"{where(moved[1])}")
assert where(moved[2]) == (12, 3), (
    "cut out two rows higher and one column further right, the dot is at "
    f"(12, 3), not at {where(moved[2])}")
assert np.isclose(moved[2].max(), 1), (
    f".8 times 1.5 is clipped to 1, not {moved[2].max():.2f}")
assert where(moved[3]) is None, (
    "cut out one row lower and one column further right, the picture has "
    f"lost its corner and is black; yours is lit at {where(moved[3])}")
both_ways = changed(dotted[:1], *one_move, 2)[0]
assert np.isclose(both_ways[10, 21], 0.4), (
    "flipped to column 23, then cut out two columns further right, the "
    f"dot is in column 21 with .4; that pixel has {both_ways[10, 21]:.2f}")

# %% tags=["hidden"]
several = train_images[::100].copy()
table = [column[:len(several)] for column in draw_changes(3, 1)]
kept = several.copy()
for border in (largest_shift, largest_shift + 3):
    given_back = changed(several, *table, border)
    assert np.array_equal(several, kept), (
        "the pictures that were given have changed: flip a copy")
    for number, one in enumerate(given_back):
        flip, top, left, bright = (column[number] for column in table)
        seen = several[number][:, ::-1] if flip else several[number]
        cut = np.pad(seen, border)[top:top + 28, left:left + 28]
        apart = np.abs(one - np.clip(cut * bright, 0, 1)).max()
        assert apart == 0, (
            f"picture {number} (flip {flip}, top {top}, left {left}, "
            f"border {border}): a pixel is {apart:.2g} off")

# %% tags=["pytorch", "wrong"] mistake="shifts first, then flips"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        if flip[number]:
            image = image[:, ::-1]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["tensorflow", "wrong"] mistake="shifts first, then flips"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        if flip[number]:
            image = image[:, ::-1]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["pytorch", "wrong"] mistake="clips before it brightens"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image, 0, 1) * brightness[number])
    return np.stack(found)

# %% tags=["tensorflow", "wrong"] mistake="clips before it brightens"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image, 0, 1) * brightness[number])
    return np.stack(found)

# %% tags=["pytorch", "wrong"] mistake="flips upside down"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[::-1]
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["tensorflow", "wrong"] mistake="flips upside down"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[::-1]
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["pytorch", "wrong"] mistake="flips in the array that it was given"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image[:] = image[:, ::-1].copy()
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["tensorflow", "wrong"] mistake="flips in the array that it was given"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image[:] = image[:, ::-1].copy()
        image = np.pad(image, border)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["pytorch", "wrong"] mistake="has a border of two whatever it is told"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        image = np.pad(image, 2)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["tensorflow", "wrong"] mistake="has a border of two whatever it is told"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        image = np.pad(image, 2)
        down, right = top[number], left[number]
        image = image[down:down + 28, right:right + 28]
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["pytorch", "wrong"] mistake="brings back what it pushed out"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        down, right = border - top[number], border - left[number]
        image = np.roll(image, (down, right), (0, 1))
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% tags=["tensorflow", "wrong"] mistake="brings back what it pushed out"
def changed(images, flip, top, left, brightness, border):
    found = []
    for number, image in enumerate(images):
        if flip[number]:
            image = image[:, ::-1]
        down, right = border - top[number], border - left[number]
        image = np.roll(image, (down, right), (0, 1))
        found.append(np.clip(image * brightness[number], 0, 1))
    return np.stack(found)

# %% [markdown] tags=["exercise"] exercise="ahead" points=3
# ### Exercise 3: what fetching ahead gains
#
# Before you write a prefetch you can work out what it would give.
#
# `step_ends(loads, trainings, ahead)` gets the times that each batch takes to be loaded and those that it takes to be trained on (two arrays, one number a batch), and returns an array: when each training step ends, counted from the start of the first load.
#
# - `ahead=False`: load, train, load, train, in turn.
# - `ahead=True`: somebody else loads, and holds **one** finished batch, and begins the next load when the network *takes* the one that it holds.

# %% [markdown] tags=["hint"]
# Two clocks: when the batch is there, and when the network is free.
# A step begins at the later of the two.

# %% [markdown] tags=["hint"]
# The next batch is there at *the beginning of this step* plus its load.

# %% tags=["pytorch", "solution"]
def step_ends(loads, trainings, ahead):
    ### BEGIN SOLUTION
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    found, begun, free = [], 0, 0
    for load, training in zip(loads, trainings):
        begun = max(begun + load, free)
        free = begun + training
        found.append(free)
    return np.array(found)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def step_ends(loads, trainings, ahead):
    ### BEGIN SOLUTION
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    found, begun, free = [], 0, 0
    for load, training in zip(loads, trainings):
        begun = max(begun + load, free)
        free = begun + training
        found.append(free)
    return np.array(found)
    ### END SOLUTION

# %% [markdown]
# The check has twelve batches of 30 ms that are trained on for 20, then the other way round, and then four of which the last is slow to load:

# %% tags=["check"]
thirty, twenty = np.full(12, 30.0), np.full(12, 20.0)
by_turns = step_ends(thirty, twenty, False)
assert np.shape(by_turns) == (12,), (
    f"twelve ends, one a batch; yours have shape {np.shape(by_turns)}")
assert np.allclose(by_turns, 50 * np.arange(1, 13)), (
    f"in turn a batch takes 30 + 20 ms: 50, 100, … 600, not {by_turns}")
at_once = step_ends(thirty, twenty, True)
assert at_once[0] == 50, (
    f"the first batch is loaded before anything is trained on: it ends at "
    f"50, not at {at_once[0]:.0f}")
assert at_once[-1] == 380, (
    "ahead, the loads of 30 ms follow each other, and the last training "
    f"is behind them: 12 × 30 + 20 = 380 ms, not {at_once[-1]:.0f}")
at_once = step_ends(twenty, thirty, True)
assert at_once[-1] == 380, (
    "with loads of 20 and trainings of 30 the first load is before them: "
    f"20 + 12 × 30 = 380 ms, not {at_once[-1]:.0f}")
uneven = step_ends(np.array([10.0, 10, 10, 100]), np.full(4, 40.0), True)
assert uneven[-1] == 230, (
    "one finished batch is held: the last load, of 100 ms, begins when "
    "the third step does, at 90, so the last step of 40 ends at 230, not "
    f"at {uneven[-1]:.0f}")

# %% tags=["hidden"]
late = step_ends(np.array([10.0, 10, 10, 80]), np.full(4, 50.0), True)
assert np.allclose(late, [60, 110, 160, 240]), (
    "loads of 10, 10, 10 and 80 ms, trainings of 50: the long load begins "
    "at 110, when the third batch is taken, is done at 190 and trained on "
    f"until 240; yours: {late}")
uneven = step_ends(np.array([5.0, 40, 5]), np.array([10.0, 10, 60]), True)
assert np.allclose(uneven, [15, 55, 115]), (
    f"uneven times: 15, 55 and 115 ms, not {uneven}")

# %% tags=["pytorch", "wrong"] mistake="forgets the first load"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    found, begun, free = [], -loads[0], 0
    for load, training in zip(loads, trainings):
        begun = max(begun + load, free)
        free = begun + training
        found.append(free)
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="forgets the first load"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    found, begun, free = [], -loads[0], 0
    for load, training in zip(loads, trainings):
        begun = max(begun + load, free)
        free = begun + training
        found.append(free)
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="takes the longer of the two for every batch"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    return np.cumsum(np.maximum(loads, trainings))

# %% tags=["tensorflow", "wrong"] mistake="takes the longer of the two for every batch"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    return np.cumsum(np.maximum(loads, trainings))

# %% tags=["pytorch", "wrong"] mistake="adds although they overlap"
def step_ends(loads, trainings, ahead):
    if True:
        return np.cumsum(np.add(loads, trainings))
    found, begun, free = [], 0, 0
    for load, training in zip(loads, trainings):
        begun = max(begun + load, free)
        free = begun + training
        found.append(free)
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="adds although they overlap"
def step_ends(loads, trainings, ahead):
    if True:
        return np.cumsum(np.add(loads, trainings))
    found, begun, free = [], 0, 0
    for load, training in zip(loads, trainings):
        begun = max(begun + load, free)
        free = begun + training
        found.append(free)
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="loads without end, as if it could hold all batches"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    found, there, free = [], 0, 0
    for load, training in zip(loads, trainings):
        there += load
        free = max(there, free) + training
        found.append(free)
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="loads without end, as if it could hold all batches"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    found, there, free = [], 0, 0
    for load, training in zip(loads, trainings):
        there += load
        free = max(there, free) + training
        found.append(free)
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="has one formula for all times, as if they were even"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    longer = np.maximum(loads, trainings)
    return loads[0] + np.arange(len(loads)) * longer + trainings

# %% tags=["tensorflow", "wrong"] mistake="has one formula for all times, as if they were even"
def step_ends(loads, trainings, ahead):
    if not ahead:
        return np.cumsum(np.add(loads, trainings))
    longer = np.maximum(loads, trainings)
    return loads[0] + np.arange(len(loads)) * longer + trainings

# %% [markdown] tags=["exercise"] exercise="other-eyes" points=3
# ### Exercise 4: with other eyes
#
# A network has learnt from what *its* pipeline made of the pictures.
# Put to use, it often gets them from another one, written by somebody else.
# What does each difference cost?
#
# `accuracies(answer, pipelines, pictures, labels, size)` gets a trained network, `answer`: a function from pictures (batch, 28, 28) of float32 to the number of a class for each, (batch,).
# `pipelines` is `{name: function}`; each function makes of *one* picture, whole numbers from 0 to 255, what the network is to see.
# Return `{name: share of right answers}`, counted over all pictures; the network is handed `size` pictures at a time, the last time what is left.

# %% [markdown] tags=["hint"]
# Count the right answers and divide at the end: batches need not be of one size.

# %% tags=["pytorch", "solution"]
def accuracies(answer, pipelines, pictures, labels, size):
    ### BEGIN SOLUTION
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def accuracies(answer, pipelines, pictures, labels, size):
    ### BEGIN SOLUTION
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found
    ### END SOLUTION

# %% [markdown]
# The check begins with a "network" that can be seen through, which reads the class from the first pixel.
# Then comes a real one, the small classifier of clothes that ships with these lessons (lesson 10 uses it, lesson 11 takes it apart); it learnt from pixels between −1 and 1.

# %% tags=["classroom"]
from tandem import judge

_, (unseen, unseen_labels) = data.fashion_mnist()
unseen = np.uint8(np.rint(255 * unseen[:300]))
unseen_labels = unseen_labels[:300]


def classifier(batch):
    return judge.describe(batch)[1]


makers = {
    "as it learnt": lambda picture: picture / 127.5 - 1,
    "from 0 to 1": lambda picture: picture / 255,
    "from 0 to 255": lambda picture: picture,
    "each to its own brightest":
        lambda picture: 2 * picture / max(picture.max(), 1) - 1,
    "black on white": lambda picture: 1 - picture / 127.5,
    "mirrored": lambda picture: picture[:, ::-1] / 127.5 - 1,
}

# %% [markdown]
# And now yours:

# %% tags=["check"]
handed = []

def first_pixel(batch):
    handed.append(np.shape(batch))
    return np.rint(batch[:, 0, 0])

easy = np.zeros((5, 28, 28), "uint8")
easy[:, 0, 0] = [1, 1, 2, 3, 9]
see_through = {"as it is": lambda one: one,
               "own brightest": lambda one: one / one.max()}
kinds = np.array([1, 1, 1, 3, 4])
shares = accuracies(first_pixel, see_through, easy, kinds, 4)
assert shares is not None and set(shares) == set(see_through), (
    f"one share for each of {list(see_through)}, not {shares}")
assert handed == 2 * [(4, 28, 28), (1, 28, 28)], (
    f"five pictures by four are batches of 4 and 1, not {handed}")
found = [float(shares[name]) for name in see_through]
assert np.isclose(found[0], 0.6), (
    f"three of five are right, .6, not {found[0]:.3f}; a last batch of "
    "one picture does not count as much as one of four")
assert np.isclose(found[1], 0.6), (
    "each by its own brightest pixel, the first three are right: .6, not "
    f"{found[1]:.3f}; a pipeline gets one picture, not a batch")

# %% tags=["hidden"]
sizes = []


def watched(batch):
    sizes.append(len(batch))
    return classifier(batch)


shares = accuracies(watched, makers, unseen, unseen_labels, 64)
assert sizes == len(makers) * [64, 64, 64, 64, 44], (
    f"300 pictures, 64 at a time, are four batches and 44, not {sizes[:9]}")
for name, way in makers.items():
    answers = classifier(np.stack([way(one) for one in unseen]))
    wanted = (answers == unseen_labels).mean()
    assert np.isclose(shares[name], wanted), (
        f"'{name}': {wanted:.3f} of the answers are right, not "
        f"{shares[name]:.3f}")

# %% tags=["pytorch", "wrong"] mistake="averages the batches, whatever their size"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = []
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right.append((answers == labels[first:first + size]).mean())
        found[name] = np.mean(right)
    return found

# %% tags=["tensorflow", "wrong"] mistake="averages the batches, whatever their size"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = []
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right.append((answers == labels[first:first + size]).mean())
        found[name] = np.mean(right)
    return found

# %% tags=["pytorch", "wrong"] mistake="hands a pipeline the whole batch"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = pipeline(some)
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found

# %% tags=["tensorflow", "wrong"] mistake="hands a pipeline the whole batch"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = pipeline(some)
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found

# %% tags=["pytorch", "wrong"] mistake="leaves out a last batch that is not full"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        for first in range(0, len(pictures) - size + 1, size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found

# %% tags=["tensorflow", "wrong"] mistake="leaves out a last batch that is not full"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        for first in range(0, len(pictures) - size + 1, size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found

# %% tags=["pytorch", "wrong"] mistake="hands the network everything at once"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        seen = np.stack([pipeline(picture) for picture in pictures])
        found[name] = (answer(seen.astype("float32")) == labels).mean()
    return found

# %% tags=["tensorflow", "wrong"] mistake="hands the network everything at once"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        seen = np.stack([pipeline(picture) for picture in pictures])
        found[name] = (answer(seen.astype("float32")) == labels).mean()
    return found

# %% tags=["pytorch", "wrong"] mistake="takes four at a time, whatever it is told"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        size = 4
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found

# %% tags=["tensorflow", "wrong"] mistake="takes four at a time, whatever it is told"
def accuracies(answer, pipelines, pictures, labels, size):
    found = {}
    for name, pipeline in pipelines.items():
        right = 0
        size = 4
        for first in range(0, len(pictures), size):
            some = pictures[first:first + size]
            seen = np.stack([pipeline(picture) for picture in some])
            answers = answer(seen.astype("float32"))
            right += (answers == labels[first:first + size]).sum()
        found[name] = right / len(pictures)
    return found

# %% [markdown]
# When it passes, guess which of the six ways costs most, and which nothing; then look: `accuracies(classifier, makers, unseen, unseen_labels, 64)`.

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - A pipeline is measured in images a second, against what *this* network consumes; times of stages add up, so look for the slowest.
# - Vectorising and doing things once come first, where the data fit.
#   Workers may pay where decoding is long and its result small, if a core is free; prefetching hides the shorter of two times.
# - Random numbers that are copied, cached or drawn once, and data stirred in too small a buffer, give no message.
#   Numbers made from (seed, epoch, index) do not depend on who draws them.
# - Order and augmentation can be equal in two frameworks to the last bit, if what is random is shared.
# - Augmentation narrows the gap between training and validation; whether it makes a better network is a question of its own (here, each taken at its lowest point within 30 epochs, all changes made a worse one, and all but the flip about as good a one).
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. Set `batch_size = 8`, then 512, and run up to "Stage by stage".
#    Which of the two, pipeline or network, suffers more, and why?
# 2. Set `epochs = 60`.
#    Do the augmented networks pass the lowest point of the other?
# 3. Write the photographs (cure 4) as JPEG: suffix `.jpg`, without `compress_level` (what decodes PNG here reads JPEG too).
#    How much faster is decoding, and do more hands still pay as much?
#    Then as PNG with `compress_level=9`: the files shrink; does decoding slow down?
# 4. Set `largest_shift = 6`.
#    What happens to the two ends of the gap, training and validation loss?
# 5. Add a change of your own, a dark square at a random place, to `augment` *and* `augment_one`, with its numbers drawn **last** in `draw_changes`, and pass them on in `only`.
#    Is the cell "equal, bit for bit" still content?
#    And the checksums, once both notebooks have run?
#
# ## Read on
#
# - PyTorch: [torch.utils.data](https://docs.pytorch.org/docs/stable/data.html), with the sections on workers, pinning and randomness
# - TensorFlow: [tf.data: Build TensorFlow input pipelines](https://www.tensorflow.org/guide/data), [Better performance with the tf.data API](https://www.tensorflow.org/guide/data_performance)
# - Keras: [Image augmentation layers](https://keras.io/api/layers/preprocessing_layers/image_augmentation/)
# - Shorten and Khoshgoftaar, *A survey on Image Data Augmentation for Deep Learning* (2019): [doi:10.1186/s40537-019-0197-0](https://doi.org/10.1186/s40537-019-0197-0)
# - Murray et al., *tf.data: A Machine Learning Data Processing Framework* (2021): [arXiv:2101.12127](https://arxiv.org/abs/2101.12127)
#
# The pictures now come as fast as the network takes them.
# The network still flattens them into a row of 784 numbers, and forgets which pixel was whose neighbour.
# In the next lesson it stops doing that.
