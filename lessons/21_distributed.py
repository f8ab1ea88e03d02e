# ---
# minutes: {read: 75, run: 2, exercises: 45}
# seconds: 180
# memory_mb: 1150
# needs: [posix, ray]
# proof: none
# ---

# %% [markdown]
# # 21 · More than one machine
#
# One network trained by two processes as if by one, to the last digits; a worker killed on the way; and what a thousand workers would gain.
#
# **You will build** data parallelism from nothing, the cure for what batch norm does to it, and a supervisor that brings a killed run back; then use what each framework has of its own, and one engine that drives both.
#
# **You will learn** what exactly has to be averaged, and what must be equal before; what belongs in a checkpoint; how a step's cost grows with the number of workers, and where more of them stop paying.
#
# **You need** the training loop (lesson 2), momentum (lesson 3), batch norm (lesson 4), and Linux or macOS, for the way in which processes are started and stopped (on Windows: WSL).
#
# Sections marked *optional* are not counted in the lesson's minutes.

# %% [markdown]
# Lesson 20 found how much one machine can give, and measured how near a network comes to the most that the processor gave us.
# A GPU gives more and comes to an end, too; beyond it one needs a second machine.
# Two processes on this one will stand for it, because all that they tell each other goes through a connection.
#
# ## Set-up
#
# No framework is imported here.
# As in lesson 19 this notebook writes programs and starts them; each process has a framework to itself.

# %% tags=["classroom"]
import numpy as np

# %% [markdown]
# The rest of the tools:

# %%
import atexit
import contextlib
import ctypes
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time

import matplotlib.pyplot as plt
import psutil
from IPython.core.magic import register_cell_magic
from IPython.display import Image, display

import tandem
from tandem import data, plots, records

# %% [markdown]
# ## Parameters
#
# Every knob of this lesson:

# %% tags=["parameters"]
steps = 100  # 20 to 500: of each training run
images_each = 32  # 1 to 128: images a step for each of two processes
learning_rate = 0.125  # above 0 to 1: of SGD
momentum = 0.875  # 0 to 0.99: of SGD
seed = 0  # 0 to 1000: of weights and data
# 1 runs the section on Ray Train: up to 4 GB of memory and two minutes
ray_train = 0  # 0 to 1
# 1 runs a small sweep by Ray, which takes 2 GB of memory and a minute
sweep = 0  # 0 to 1

# %% [markdown]
# What a machine makes of these values is *asserted* in bounds, and only for the values above; what arithmetic makes equal is asserted for yours, too.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("21_distributed", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# As in lesson 19, `%%write NAME` puts the rest of its cell into a file of a temporary folder, which disappears with this notebook's kernel.

# %% tags=["folded"]
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)


@register_cell_magic("write")
def write(name, text):
    (folder / name).write_text(text, encoding="utf-8")
    print(f"{name}: {len(text.splitlines())} lines")

# %% [markdown]
# ## Two processes
#
# A program that runs in several processes has to know two numbers: how many there are, the *world size*, and which of them it is, its **rank**, 0 to world size − 1.
# By custom they stand in environment variables, `WORLD_SIZE` and `RANK`, with the address and port at which rank 0 is found (`MASTER_ADDR`, `MASTER_PORT`).
# We set them when we start a process (TensorFlow reads another variable, `TF_CONFIG`, which says the same in JSON):

# %%
def free_ports(count):
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [door.getsockname()[1] for door in doors]
    for door in doors:
        door.close()
    return ports


def place(rank, ports):
    """The environment variables of one process among len(ports) - 1."""
    workers = [f"127.0.0.1:{port}" for port in ports[1:]]
    task = {"type": "worker", "index": rank}
    return {"RANK": str(rank), "WORLD_SIZE": str(len(workers)),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(ports[0]),
            "TF_CONFIG": json.dumps({"cluster": {"worker": workers},
                                     "task": task})}

# %% [markdown]
# Ports are asked of the system.
# What our processes send each other stays at 127.0.0.1, which no other machine can reach.
# But both frameworks listen at *all* addresses of this machine while they run (PyTorch's rank 0 at `MASTER_PORT`, where the processes find each other; with TensorFlow's strategy every worker, which takes no more than the port from `TF_CONFIG`), and ask nobody who he is.
# Here that is for some seconds; on a cluster, behind a firewall only.
#
# How a process is started and ended is as dull as in lesson 19: one computing thread, no GPU, no talk, and if this kernel ends first, so do they.

# %% tags=["folded"]
running = set()
paths = folder, pathlib.Path(tandem.__file__).parents[1]
surroundings = os.environ | {
    "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(map(str, paths)),
    "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3", "MALLOC_ARENA_MAX": "1",
    "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore",
    "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0",
}


def start(command, more, rank, stop):
    def end_with_us():  # Linux sends it `stop` even if we are killed
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, stop)

    with (open(folder / f"output_{rank}.txt", "w") as output,
          open(folder / f"errors_{rank}.txt", "w") as errors):
        process = psutil.Popen(
            command, cwd=folder, env=surroundings | more, stdout=output,
            stderr=errors, stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=end_with_us)
    running.add(process)
    return process

# %% [markdown]
# The end of a process and of whatever it started:

# %% tags=["folded"]
def family(process):
    with contextlib.suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return [process]


def end(process):
    for one in reversed(family(process)):
        with contextlib.suppress(psutil.Error):
            one.kill()
    process.wait()
    running.discard(process)


@atexit.register
def end_all():
    for process in list(running):
        end(process)

# %% [markdown]
# And what it weighs, with all that it started:

# %% tags=["folded"]
def megabytes(process):
    """In memory; what processes share is counted once."""
    total = 0
    for one in family(process):
        with contextlib.suppress(psutil.Error):
            memory = one.memory_full_info()
            total += getattr(memory, "pss", memory.uss)
    return total / 1e6

# %% [markdown]
# What matters is how one *waits*.
# A worker that has lost its partner waits for it, perhaps for ever, so whoever starts several has to look at all of them: the first that fails ends the others, and there is a time-out on everything.

# %%
class Died(RuntimeError):
    """A process of a group failed; the others have been ended."""


used = {}  # script -> (seconds, megabytes) of its last run


def watch(group, script, patience=180):
    """Waits until all have ended; raises Died when the first fails."""
    begin, most = time.monotonic(), 0
    while None in (codes := [one.poll() for one in group]):
        if any(codes) or time.monotonic() > begin + patience:
            break
        most = max(most, sum(map(megabytes, group)))
        time.sleep(0.1)
    for one in group:
        end(one)
    used[script] = time.monotonic() - begin, most
    if None in codes and not any(codes):
        raise Died(f"{script} took longer than {patience} s")
    if any(codes):
        code = min(one for one in codes if one)  # a signal comes first
        rank = codes.index(code)
        said = (folder / f"errors_{rank}.txt").read_text().splitlines()
        raise Died(" ".join([f"rank {rank} ended with {code}", *said[-1:]]))

# %% [markdown]
# With that, the function which this lesson is made of: run a script in so many processes, and give back what rank 0 printed.

# %%
def together(script, *arguments, processes=2):
    """Runs a script; returns what rank 0 printed, read as JSON."""
    ports = free_ports(processes + 1)
    command = [sys.executable, script, *map(str, arguments)]
    group = [start(command, place(rank, ports), rank, signal.SIGKILL)
             for rank in range(processes)]
    watch(group, script)
    return json.loads((folder / "output_0.txt").read_text())

# %% [markdown]
# ## What they train
#
# Images of clothes again, and the batches are drawn beforehand, so that everybody sees the same ones in the same order: one process takes a batch whole, each of two takes its half.

# %%
batch_size = 2 * images_each
(all_images, all_labels), _ = data.fashion_mnist()
epochs = -(-steps // (len(all_labels) // batch_size))
order = np.stack(list(data.batch_order(
    len(all_labels), batch_size, epochs, seed))[:steps])
np.savez(folder / "given.npz", labels=all_labels[order],
         images=np.round(all_images[order] * 255).astype("uint8"))
chosen = {name: parameters_used[name]
          for name in ("seed", "learning_rate", "momentum")}
(folder / "given.json").write_text(json.dumps(chosen))
del all_images

# %% [markdown]
# `given.py` tells each process its place, its **share** of every batch, and the weights to start with, drawn by NumPy as in all lessons:

# %%
%%write given.py
import json, os, pathlib
import numpy as np
from tandem import weights

rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
chosen = json.loads(pathlib.Path("given.json").read_text())
learning_rate, momentum = chosen["learning_rate"], chosen["momentum"]
with np.load("given.npz") as stored:
    images, labels = stored["images"], stored["labels"]
steps, batch_size = labels.shape


def share(step):
    """Of this batch: brightness 0 to 1, float64, and labels."""
    first, last = (one * batch_size // world for one in (rank, rank + 1))
    return images[step, first:last] / 255, labels[step, first:last]


def starting_weights(seed=chosen["seed"]):
    rng = weights.generator(seed)
    return {"convolution_1": weights.convolution(rng, 3, 1, 8, "he"),
            "convolution_2": weights.convolution(rng, 3, 8, 16, "he"),
            "output": weights.dense(rng, 16, 10)}

# %% [markdown]
# The network is small, because we want to see digits and not accuracy: two convolutions with stride 2, the mean of each channel, ten logits.
# It computes in **float64**, so that what is equal shows as equal to 15 digits, and what is not, as not.
# (`norm` is a place for later.)

# %% tags=["pytorch"]
%%write network.py
import torch.nn.functional as F
from torch import nn

from given import starting_weights
from tandem.pytorch import load_weights, torch

torch.set_default_dtype(torch.float64)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, 8, 3, stride=2)
        self.convolution_2 = nn.Conv2d(8, 16, 3, stride=2)
        self.output = nn.Linear(16, 10)

    def forward(self, images):
        maps = F.relu(self.norm_1(self.convolution_1(images[:, None])))
        maps = F.relu(self.norm_2(self.convolution_2(maps)))
        return self.output(maps.mean((-2, -1)))

# %% [markdown] tags=["pytorch"]
# Built with the weights that all share, unless told otherwise:

# %% tags=["pytorch"]
%%write build.py
from network import Network, load_weights, nn, starting_weights


def build(norm=nn.Identity, weights=None):
    network = load_weights(Network(), weights or starting_weights())
    network.norm_1, network.norm_2 = norm(8), norm(16)
    return network

# %% tags=["tensorflow"]
%%write network.py
import sys

# Keras would import them for pictures: 30 MB in every process.
sys.modules |= dict.fromkeys(("matplotlib", "IPython"))
from tandem.tensorflow import keras, tf  # first: quiet from the start

from keras import layers

from given import starting_weights

keras.config.set_floatx("float64")


def make_network(norm):
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(8, 3, 2, name="convolution_1"),
        norm(), layers.ReLU(),
        layers.Conv2D(16, 3, 2, name="convolution_2"),
        norm(), layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, name="output"),
    ])

# %% [markdown] tags=["tensorflow"]
# Built with the weights that all share, unless told otherwise (a norm starts with ones and zeros by itself):

# %% tags=["tensorflow"]
%%write build.py
from network import keras, layers, make_network, starting_weights


def build(norm=layers.Identity, weights=None):
    network = make_network(norm)
    for name, arrays in (weights or starting_weights()).items():
        network.get_layer(name).set_weights(list(arrays.values()))
    return network

# %% [markdown]
# ## Data parallelism by hand
#
# Let a batch of $B$ images be cut into $N$ equal shares, one a process.
# The loss is a mean over images, and the gradient of a mean is the mean of the gradients:
#
# $$\nabla \frac{1}{B}\sum_{i=1}^{B} \ell_i \;=\; \frac{1}{N}\sum_{r=0}^{N-1}\; \nabla \frac{N}{B}\sum_{i \in \text{share } r} \ell_i$$
#
# So every process computes the gradient of *its own* mean loss, and if all of them then average these gradients, each holds the gradient of the whole batch.
# All take the same step with it, so their weights, equal before, are equal after.
# Images never travel, nor weights, only gradients: this is **data parallelism**.
# (The other kind, *model parallelism*, cuts the network itself, for networks that no single machine can hold.)
#
# What is needed is one operation: every process gives an array, and every process gets the sum.
# It is called **all-reduce**.

# %% tags=["pytorch"]
%%write group.py
import datetime
import json

import torch.distributed as dist

from given import rank, world

dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))


def total(tensor):
    """The sum of this tensor over all processes, in each of them."""
    added = tensor.clone()
    dist.all_reduce(added)
    return added


def finish(found):
    if rank == 0:
        print(json.dumps(found))
    dist.destroy_process_group()

# %% [markdown] tags=["pytorch"]
# `init_process_group` reads the four variables and waits until all have come.
# *gloo* is the library below that knows processors (for NVIDIA's cards it is *NCCL*); the time-out is what a process waits for a partner.

# %% tags=["tensorflow"]
%%write line.py
import contextlib, os, socket, time
from given import rank

socket.setdefaulttimeout(60)
address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def connect():
    """Rank 0 opens a door; rank 1 knocks until it is there."""
    if rank == 0:
        with socket.create_server(address) as door:
            return door.accept()[0]
    for _ in range(600):
        with contextlib.suppress(ConnectionRefusedError):
            line = socket.create_connection(address)
            if line.getsockname() != line.getpeername():
                return line
            line.close()  # it had found itself
        time.sleep(0.1)
    raise TimeoutError("rank 0 did not come")

# %% [markdown] tags=["tensorflow"]
# TensorFlow has its all-reduce inside of `tf.distribute`, which comes later.
# By hand it is a connection between two processes, through which arrays go as bytes:

# %% tags=["tensorflow"]
%%write group.py
from given import json, np, rank, world
from line import connect, socket

if world == 2:
    line = connect()
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = line.makefile("rb")


def total(array):
    """The sum of this array over both processes, in each of them."""
    if world == 1:
        return array
    if rank == 0:  # if both sent first, both could wait for ever
        line.sendall(array.tobytes())
    other = np.frombuffer(reader.read(array.nbytes), array.dtype)
    if rank == 1:
        line.sendall(array.tobytes())
    return array + other.reshape(array.shape)


def finish(found):
    if rank == 0:
        print(json.dumps(found))

# %% [markdown] tags=["tensorflow"]
# `sendall` returns when the system has taken the bytes, and of many it takes more only when the other side reads; hence the order.
# `TCP_NODELAY` says that a small message is to go at once and not to wait for company.

# %% [markdown]
# **Watch out:** what comes in carries no name. All processes have to call `total` equally often, with the same shapes, in the same order: one call inside of `if rank == 0`, and they wait, or add what does not belong together.
#
# Now the loop of lesson 2 with one thing more: between gradients and step each gradient goes through `combine`.

# %% tags=["pytorch"]
%%write training.py
import torch
import torch.nn.functional as F

from given import learning_rate, momentum, share, steps, world
from group import total


def train(network, combine, rate=learning_rate):
    """The mean loss over the whole batch, step by step."""
    optimizer = torch.optim.SGD(network.parameters(), rate, momentum)
    losses = []
    for step in range(steps):
        images, labels = map(torch.as_tensor, share(step))
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        for parameter in network.parameters():
            parameter.grad = combine(parameter.grad)
        optimizer.step()
        losses.append(total(loss.detach()).item() / world)
    return losses

# %% tags=["tensorflow"]
%%write gradients.py
from network import keras, tf

cross_entropy = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True)


def gradient_function(network):
    @tf.function(reduce_retracing=True)
    def gradients_of(images, labels):
        with tf.GradientTape() as tape:
            logits = network(images[..., None], training=True)
            loss = cross_entropy(labels, logits)
        return loss, tape.gradient(loss, network.trainable_variables)

    return gradients_of

# %% [markdown] tags=["tensorflow"]
# The gradients leave TensorFlow as arrays, travel, and come back into `apply`:

# %% tags=["tensorflow"]
%%write training.py
from gradients import gradient_function, keras

from given import learning_rate, momentum, share, steps, world
from group import total


def train(network, combine, rate=learning_rate):
    """The mean loss over the whole batch, step by step."""
    optimizer = keras.optimizers.SGD(rate, momentum)
    optimizer.build(network.trainable_variables)
    gradients_of, losses = gradient_function(network), []
    for step in range(steps):
        loss, gradients = gradients_of(*share(step))
        optimizer.apply([combine(one.numpy()) for one in gradients])
        losses.append(float(total(loss.numpy()) / world))
    return losses

# %% [markdown]
# And a script with four ways to go about it, of which two are mistakes that are easily made:

# %%
%%write ways.py
import sys

from build import build, starting_weights
from given import learning_rate, rank, world
from group import finish, total
from training import train


def average(gradient):
    return total(gradient) / world


ways = {
    "average": lambda: train(build(), average),
    "sum": lambda: train(build(), total),
    "sum, rate divided": lambda: train(build(), total,
                                       learning_rate / world),
    "own start": lambda: train(build(weights=starting_weights(rank)),
                               average)}
finish({way: ways[way]() for way in sys.argv[1:]})

# %% [markdown]
# First the mistakes.
# In *own start* each process draws its own weights, as it happens to everybody who forgets the seed: every process runs the program from its first line.
# In *sum* the division is forgotten.
# One process with the whole batch is what they are held against; with a world of one, `average` does nothing.

# %%
alone = together("ways.py", "average", processes=1)["average"]
two = together("ways.py", "own start", "sum")
plots.curves({"one process": alone, **two},
             "The loss of the whole batch: one process, and two wrong pairs")

# %% [markdown]
# Both look like training, and no message says that something is wrong.
# With starts of their own the processes average gradients of *different* networks: each gets half of its step from a stranger, and two networks come out that have never been equal.
#
# The sum even looks good.
# It is the average with twice the learning rate, which here happens to suit.
# With a thousand processes it is a thousand times the learning rate.
# That this is all that is wrong with it can be tried: divide the rate instead.

# %%
right = together("ways.py", "average", "sum, rate divided")
apart = {way: records.relative_difference(alone, losses).max()
         for way, losses in (two | right).items()}
for way, largest in apart.items():
    print(f"{way:18}", "equal to rounding" if largest < 1e-12 else
          f"apart by {largest:.3f}")
assert max(apart["average"], apart["sum, rate divided"]) < 1e-12
assert not as_shipped or min(apart["own start"], apart["sum"]) > 0.01

# %% [markdown]
# The largest relative difference of the losses, over all steps.
# Averaged, two processes train the same network as one, to the last of 15 digits or so; it is not *exactly* the same, because sums of halves are rounded in another order.
# (That a divided rate cures the sum is so only for an optimiser whose step is proportional to the gradient. Adam divides the gradient by its usual size (lesson 2), so with Adam the sum trains nearly like the average, the mistake hides, and to divide the rate would be the next one.)
#
# Whatever you distribute, hold it against one process once, in float64.
# The check costs a minute, and it finds what no curve shows.

# %% [markdown]
# ## Batch norm breaks it
#
# The equality rests on one assumption: that an image's loss depends on no other image.
# **Batch norm** (lesson 4) scales each channel by the mean and the variance *of the batch*, and a process knows only its share.
# Half a batch has another mean, so this is another network.
# How much is that? First the cure, then both are measured:

# %% tags=["pytorch"]
%%write shared.py
import torch
from given import world
from group import total
from torch import nn


class Average(torch.autograd.Function):
    @staticmethod
    def forward(context, tensor):
        return total(tensor) / world

    backward = forward


class SharedNorm(nn.BatchNorm2d):
    average = Average.apply

    def forward(self, maps):
        moments = torch.stack([maps.mean((0, 2, 3)),
                               (maps**2).mean((0, 2, 3))])
        mean, square = type(self).average(moments)
        scale = self.weight / (square - mean**2 + self.eps).sqrt()
        shift = self.bias - mean * scale
        return maps * scale[:, None, None] + shift[:, None, None]

# %% [markdown] tags=["pytorch"]
# The file above is the cure already: before it scales anything, the layer averages the *mean* and the *mean of the squares* over all processes, from which the variance follows as $\overline{x^2} - \bar x^2$.
# (Averaging the variances themselves would be wrong: it leaves out that the shares' means differ. And the running statistics for evaluation are left out, to keep it short.)
#
# There is a second thing to it, which is easily overlooked.
# An image of mine changes the mean that *your* images are scaled by, so your loss has something to say to my gradient.
# `Average.backward` carries it: what comes back is averaged, too.
# What if not?

# %% tags=["tensorflow"]
%%write shared.py
from group import total, world
from network import layers, tf


def mean_of_all(tensor):
    mean = tf.numpy_function(lambda one: total(one) / world,
                             [tensor], tensor.dtype)
    return tf.ensure_shape(mean, tensor.shape)


@tf.custom_gradient
def both_ways(moments):
    return mean_of_all(moments), mean_of_all


class SharedNorm(layers.BatchNormalization):
    average = staticmethod(both_ways)

    def call(self, maps, training=None):
        moments = tf.stack([tf.reduce_mean(maps, (0, 1, 2)),
                            tf.reduce_mean(maps**2, (0, 1, 2))])
        mean, square = tf.unstack(self.average(moments))
        scale = self.gamma / tf.sqrt(square - mean**2 + self.epsilon)
        return maps * scale + (self.beta - mean * scale)

# %% [markdown] tags=["tensorflow"]
# The file above is the cure already: before it scales anything, the layer averages the *mean* and the *mean of the squares* over all processes, from which the variance follows as $\overline{x^2} - \bar x^2$.
# (Averaging the variances themselves would be wrong: it leaves out that the shares' means differ. And the moving statistics for evaluation are left out, to keep it short.)
# `numpy_function` calls Python from within the graph. It forgets the shape, which `ensure_shape` gives back, and it has no gradient, so we have to give one: `custom_gradient`.
#
# There is a second thing to it, which is easily overlooked.
# An image of mine changes the mean that *your* images are scaled by, so your loss has something to say to my gradient.
# The second function in `both_ways`, for what comes back, carries it: it averages, too.
# What if not?

# %% tags=["pytorch"]
%%write norms.py
import sys
import torch
from torch import nn
from build import build
from given import world
from group import finish, total
from shared import Average, SharedNorm
from training import train


class OneWay(Average):
    @staticmethod
    def backward(context, gradient):
        return gradient


class HalfShared(SharedNorm):
    average = OneWay.apply


norms = {"each its own": nn.BatchNorm2d, "half shared": HalfShared,
         "shared": SharedNorm}
finish({name: train(build(norms[name]), lambda one: total(one) / world)
        for name in sys.argv[1:]})

# %% tags=["tensorflow"]
%%write norms.py
import sys
from build import build
from given import world
from group import finish, total
from network import layers, tf
from shared import SharedNorm, mean_of_all
from training import train


@tf.custom_gradient
def one_way(moments):
    return mean_of_all(moments), lambda gradient: gradient


class HalfShared(SharedNorm):
    average = staticmethod(one_way)


norms = {"each its own": layers.BatchNormalization,
         "half shared": HalfShared, "shared": SharedNorm}
alike = {"epsilon": 1e-5, "momentum": 0.9}  # PyTorch's (lesson 4)
finish({name: train(build(lambda: norms[name](**alike)),
                    lambda one: total(one) / world)
        for name in sys.argv[1:]})

# %% [markdown]
# One process with the whole batch, then two, in three ways:

# %%
norm_alone = together("norms.py", "each its own", processes=1)
norm_alone = norm_alone["each its own"]
normed = together("norms.py", "each its own", "half shared", "shared")
parted = {"without batch norm": records.relative_difference(
    alone, right["average"])}
for name, losses in normed.items():
    parted[f"batch norm, {name}"] = records.relative_difference(
        norm_alone, losses)
plots.curves({name: np.maximum(one, 1e-17)
              for name, one in parted.items()},
             "Two processes against one: how far the losses are apart",
             y_label="relative difference", log=True)

# %% [markdown]
# (What is exactly equal is drawn at 1e-17.)
# In numbers, at the first step and at most:

# %%
for name, one in parted.items():
    exact = one.max() < 1e-12
    first = "equal" if one[0] < 1e-12 else f"{one[0]:.0e}"
    print(f"{name:24}", "equal to rounding" if exact else
          f"first step {first}, at most {one.max():.2f}")
ends = {"one process": norm_alone, "each its own": normed["each its own"]}
print("mean loss of the last ten steps:", {
    name: round(float(np.mean(one[-10:])), 2) for name, one in ends.items()})
assert parted["without batch norm"].max() < 1e-12
assert parted["batch norm, shared"].max() < 1e-12
if as_shipped:
    assert parted["batch norm, each its own"].max() > 1e-4
    assert parted["batch norm, half shared"].max() > 1e-4

# %% [markdown]
# With statistics of its own in each process the first loss is off already, and small differences grow.
# Shared forward only, the first loss is right, and the second no longer: the loss was right, the gradient was not.
# Shared both ways, two processes are one again.
#
# Is that other network a *worse* one?
# Not by these losses; it is a network with batch norm over half the batch, and as long as a share is as large as an ordinary batch nobody minds.
# With 1,000 images on 250 machines each has four, whose mean is a poor guess at the mean of all.

# %% [markdown] tags=["pytorch"]
# PyTorch has the cure ready, `nn.SyncBatchNorm`, and `SyncBatchNorm.convert_sync_batchnorm(network)` puts it in.
# It asks for a GPU; on a processor:

# %% [markdown] tags=["tensorflow"]
# Keras has the cure ready, `BatchNormalization(synchronized=True)`.
# It works inside of `tf.distribute`, on a processor, too, and we shall hold it against one process below.
# Outside of it, where our two processes know each other only through a connection that TensorFlow knows nothing of, it is silent and does nothing:

# %% tags=["pytorch"]
%%write synchronized.py
from torch import nn
from build import build
from given import world
from group import finish, total
from training import train

try:
    train(build(nn.SyncBatchNorm), lambda one: total(one) / world)
    said = "it runs"
except ValueError as error:
    said = f"{type(error).__name__}: {error}"
finish(said)

# %% tags=["tensorflow"]
%%write synchronized.py
from build import build
from given import world
from group import finish, total
from network import layers
from training import train

norm = {"epsilon": 1e-5, "momentum": 0.9, "synchronized": True}
finish(train(build(lambda: layers.BatchNormalization(**norm)),
             lambda one: total(one) / world))

# %% [markdown]
# Try it:

# %% tags=["pytorch"]
print(*textwrap.wrap(together("synchronized.py"), 76), sep="\n")

# %% tags=["tensorflow"]
unheard = together("synchronized.py")
same = records.relative_difference(unheard, normed["each its own"]).max()
print("as if it were not there:", same < 1e-12)
assert same < 1e-12

# %% [markdown]
# ## A worker dies
#
# On one machine a run either ends or does not.
# On a thousand, some machine fails every day, and a run that has to begin again each time never ends.
# So it writes **checkpoints**, and whoever starts the processes starts *all* of them again from the last one: the others cannot go on alone, because an all-reduce needs everyone.
#
# What belongs in a checkpoint is everything that the next step depends on.
# Weights, clearly.
# What else?
# We leave something out and see; `keep` says what is kept.

# %% tags=["pytorch"]
%%write checkpoint.py
import os
import torch


def save(network, optimizer, losses, keep, place="."):
    """Whole or not at all: written beside, then moved into place."""
    stored = {"network": network.state_dict(), "losses": losses}
    if keep == "everything":
        stored["optimizer"] = optimizer.state_dict()
    torch.save(stored, place + "/part")
    os.replace(place + "/part", place + "/checkpoint.pt")


def resume(network, optimizer, place="."):
    """The losses of the steps that are done already."""
    if not os.path.exists(place + "/checkpoint.pt"):
        return []
    stored = torch.load(place + "/checkpoint.pt")
    network.load_state_dict(stored["network"])
    if "optimizer" in stored:
        optimizer.load_state_dict(stored["optimizer"])
    return stored["losses"]

# %% tags=["tensorflow"]
%%write checkpoint.py
import os
import numpy as np


def save(network, optimizer, losses, keep, place="."):
    """Whole or not at all: written beside, then moved into place."""
    state = [*network.variables]
    if keep == "everything":
        state += optimizer.variables
    with open(place + "/part", "wb") as file:
        np.savez(file, *(one.numpy() for one in state), losses=losses)
    os.replace(place + "/part", place + "/checkpoint.npz")


def resume(network, optimizer, place="."):
    """The losses of the steps that are done already."""
    if not os.path.exists(place + "/checkpoint.npz"):
        return []
    state = [*network.variables, *optimizer.variables]
    with np.load(place + "/checkpoint.npz") as stored:
        for number in range(len(stored.files) - 1):
            state[number].assign(stored[f"arr_{number}"])
        return stored["losses"].tolist()

# %% [markdown]
# Written beside and moved into place, because a process may die *while it writes*, and half a checkpoint is worse than none.
# Rank 0 alone writes; all read.
#
# Death comes in the step that it is told, to rank 1, once, by the signal that no program can catch:

# %%
%%write kill.py
import os
import signal
from given import rank


def kill(step, dies_at):
    if (rank, step) == (1, int(dies_at)) and not os.path.exists("died"):
        open("died", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)

# %% [markdown]
# The run, with a checkpoint every 20 steps:

# %% tags=["pytorch"]
%%write lasting.py
import sys
import torch
from torch.nn.functional import cross_entropy
from build import build
from checkpoint import resume, save
from given import learning_rate, momentum, rank, share, steps, world
from group import finish, total
from kill import kill
network, (keep, dies_at) = build(), sys.argv[1:]
optimizer = torch.optim.SGD(network.parameters(), learning_rate, momentum)
losses = resume(network, optimizer)
for step in range(len(losses), steps):
    images, labels = map(torch.as_tensor, share(step))
    optimizer.zero_grad()
    loss = cross_entropy(network(images), labels)
    loss.backward()
    kill(step, dies_at)
    for parameter in network.parameters():
        parameter.grad = total(parameter.grad) / world
    optimizer.step()
    losses.append(total(loss.detach()).item() / world)
    if rank == 0 and len(losses) % 20 == 0:
        save(network, optimizer, losses, keep)
finish(losses)

# %% tags=["tensorflow"]
%%write lasting.py
import sys
from build import build
from checkpoint import resume, save
from gradients import gradient_function, keras
from given import learning_rate, momentum, rank, share, steps, world
from group import finish, total
from kill import kill

keep, dies_at = sys.argv[1:]
network = build()
optimizer = keras.optimizers.SGD(learning_rate, momentum)
optimizer.build(network.trainable_variables)
losses = resume(network, optimizer)
gradients_of = gradient_function(network)
for step in range(len(losses), steps):
    loss, gradients = gradients_of(*share(step))
    kill(step, dies_at)
    optimizer.apply([total(one.numpy()) / world for one in gradients])
    losses.append(float(total(loss.numpy()) / world))
    if rank == 0 and len(losses) % 20 == 0:
        save(network, optimizer, losses, keep)
finish(losses)

# %% [markdown]
# The **supervisor** is short, because `together` does its work already: it notices the first death and ends the others.

# %%
def supervised(script, *arguments, restarts=2):
    """Like `together`, but starts all again when one has died."""
    for name in ("died", "checkpoint.pt", "checkpoint.npz"):
        (folder / name).unlink(missing_ok=True)
    while True:
        try:
            return together(script, *arguments)
        except Died as error:
            print(error)
            if not restarts:
                raise
            restarts -= 1

# %% [markdown]
# Once with what most people would store, the network, and once with everything:

# %%
dies_at = steps * 57 // 100
forgetful = supervised("lasting.py", "the network", dies_at)
lasting = supervised("lasting.py", "everything", dies_at)
one_line = {"undisturbed": right["average"],
            "killed, the network kept": forgetful,
            "killed, everything kept": lasting}
plots.curves(one_line, f"Killed at step {dies_at + 1}; the last checkpoint "
             f"is from step {dies_at // 20 * 20}")
plt.gca().lines[0].set_linewidth(6)  # it lies under the last

# %% [markdown]
# Two runs, so two deaths, and −9 is *ended by signal 9*, SIGKILL (steps are counted from 1 in the title, from 0 in the program).
# Both went on, and one of them as another run: momentum is a memory of past gradients (lesson 3), it lives in the optimiser, and the run that lost it goes a different way from the checkpoint on.

# %%
lost = records.relative_difference(right["average"], forgetful)
killed = records.relative_difference(right["average"], lasting)
print(f"{len(lasting)} losses; the network kept: apart by {lost.max():.2f}")
print(f"everything kept: apart by {killed.max()}")
assert killed.max() == 0 and len(lasting) == steps
assert not as_shipped or lost.max() > 0.01

# %% [markdown]
# With the optimiser in it the killed run is the undisturbed one, **every loss equal, difference zero** and not merely small: the same numbers added in the same order.
# The steps between checkpoint and death were done twice, and that is what a death costs, beside the start.
# Our data need nothing in the checkpoint, because the order of batches follows from seed and step; where a loader draws at random, the state of its generator belongs in there, too, and so does a schedule's place, a moving average, the scale of mixed precision. (In Keras these three are among the optimiser's `variables`; in PyTorch each is an object with a `state_dict` of its own.)
#
# **Watch out:** what lies on one machine's disk dies with that machine. On a cluster checkpoints go where all machines see them.

# %% [markdown]
# ## What each framework has of its own

# %% [markdown] tags=["pytorch"]
# `DistributedDataParallel` (DDP) wraps a network; then `backward` averages the gradients by itself.
# It does two things that ours does not: it starts to send while the backward pass still computes the layers before, and it sends many small gradients as one large array.
# At the start it also copies rank 0's weights to all, so that *own start* cannot happen.

# %% [markdown] tags=["tensorflow"]
# `tf.distribute.MultiWorkerMirroredStrategy` reads `TF_CONFIG`.
# It has to be made before anything is computed, or TensorFlow refuses.
# Variables made inside of its `scope()` are kept equal in all processes; `strategy.run` runs a function in each; and the optimiser, called inside of that function, does the all-reduce.
# It **sums**.
# So the loss of a share has to be divided by the size of the *whole* batch.
# Keras' own losses know it: under a strategy their default, `reduction="sum_over_batch_size"`, divides by the share and then by the number of processes, which for equal shares is the same; who divides again trains with half the rate.
# A mean that you write yourself (`tf.reduce_mean`) is divided by the share alone, and trains with twice the rate.
# To have the division before our eyes we take `reduction="sum"`, and hold Keras' default against it below:

# %% tags=["pytorch"]
%%write ddp.py
import sys
import torch
import torch.nn.functional as F
from torch.nn.parallel import DistributedDataParallel
from build import build, starting_weights
from checkpoint import resume, save
from given import learning_rate, momentum, rank, share, steps, world
from group import finish, total
from kill import kill

network = DistributedDataParallel(build(weights=starting_weights(rank)))
optimizer = torch.optim.SGD(network.parameters(), learning_rate, momentum)
losses = resume(network.module, optimizer)
for step in range(len(losses), steps):
    images, labels = map(torch.as_tensor, share(step))
    loss = F.cross_entropy(network(images), labels)
    optimizer.zero_grad()
    kill(step, sys.argv[1])
    loss.backward()
    optimizer.step()
    losses.append(total(loss.detach()).item() / world)
    if rank == 0 and len(losses) % 20 == 0:
        save(network.module, optimizer, losses, "everything")
finish(losses)

# %% [markdown] tags=["pytorch"]
# Here each rank starts with weights of its own on purpose.
# The program that starts such scripts is **torchrun**: it sets the four variables, and it is a supervisor like ours (`--max-restarts`), so rank 1 is to be killed here, too.

# %% tags=["tensorflow"]
%%write strategy.py
from build import build, keras
from network import tf
from given import batch_size, learning_rate, momentum

strategy = tf.distribute.MultiWorkerMirroredStrategy()
summed = keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, reduction="sum")


def make(*norm):
    with strategy.scope():
        network = build(*norm)
        optimizer = keras.optimizers.SGD(learning_rate, momentum)
        optimizer.build(network.trainable_variables)
    return network, optimizer

# %% [markdown] tags=["tensorflow"]
# The step, with that division:

# %% tags=["tensorflow"]
%%write strategy_step.py
from strategy import batch_size, make, strategy, summed, tf


def by_hand(labels, logits):
    return summed(labels, logits) / batch_size


def make_step(network, optimizer, loss_of=by_hand):
    def on_share(images, labels):
        with tf.GradientTape() as tape:
            logits = network(images[..., None], training=True)
            loss = loss_of(labels, logits)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients)
        return loss

    @tf.function
    def step(images, labels):
        losses = strategy.run(on_share, (images, labels))
        return strategy.reduce("SUM", losses, axis=None)

    return step

# %% [markdown] tags=["tensorflow"]
# (Each process here has one device and cuts its own share. For a `tf.data` pipeline `strategy.experimental_distribute_dataset` cuts.)
#
# What anybody would try first is `fit`; its answer:

# %% tags=["tensorflow"]
%%write try_fit.py
import numpy as np
from strategy import make, strategy


def try_fit():
    network, _ = make()
    with strategy.scope():
        network.compile("sgd", "mse")
    try:
        network.fit(np.zeros((64, 28, 28, 1)), np.zeros((64, 10)),
                    verbose=0)
    except ValueError as error:
        start, _, end = str(error).partition("(")  # a long value between
        return start + "(…)" + end.rpartition("})")[2]
    return "it works now"

# %% [markdown] tags=["tensorflow"]
# And a script that trains without batch norm, by either loss, and with Keras' own cure, and then asks for it:

# %% tags=["pytorch"]
def torchrun(*arguments):
    for name in ("died", "checkpoint.pt"):
        (folder / name).unlink(missing_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run",
               "--standalone", "--nproc-per-node", "2",
               "--max-restarts", "1", *map(str, arguments)]
    own = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    watch([start(command, own, 0, signal.SIGTERM)], arguments[0])
    return json.loads((folder / "output_0.txt").read_text())


by_ddp = torchrun("ddp.py", dies_at)
ddp_apart = records.relative_difference(alone, by_ddp).max()
rank_1 = (folder / "died").exists()
print(f"a worker was killed: {rank_1}; losses: {len(by_ddp)}")
print("equal to one process, to rounding:", ddp_apart < 1e-12)
assert rank_1 and ddp_apart < 1e-12 and len(by_ddp) == steps

# %% [markdown] tags=["pytorch"]
# Four lines of DDP and a command, and a worker may fail.
# `torchrun` restarts the processes; what they go on from is our checkpoint, of which it knows nothing.
#
# **Watch out:** by default the restarted processes share with the dead ones the store in which all leave their addresses, and in two of our eight tries with torch 2.13 they called at a door behind which nobody was any more ("Connection refused"), which costs another restart.
# With `TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`, as here, each life gets a store of its own: ten tries, ten times right.

# %% tags=["tensorflow"]
%%write by_strategy.py
from given import share, steps
from gradients import cross_entropy  # the default: no `reduction` named
from group import finish
from network import layers
from strategy_step import make, make_step, tf
from try_fit import try_fit


def train(*norm, **loss):
    step = make_step(*make(*norm), **loss)
    return [float(step(*map(tf.constant, share(number))))
            for number in range(steps)]


norm = {"epsilon": 1e-5, "momentum": 0.9, "synchronized": True}
found = {"plain": train(), "default": train(loss_of=cross_entropy),
         "synchronized": train(
             lambda: layers.BatchNormalization(**norm))}
finish(found | {"fit": try_fit()})

# %% [markdown] tags=["tensorflow"]
# All of it:

# %% tags=["tensorflow"]
by_strategy = together("by_strategy.py")
strategy_apart, default_apart = (
    records.relative_difference(alone, by_strategy[name]).max()
    for name in ("plain", "default"))
sync_apart = records.relative_difference(
    norm_alone, by_strategy["synchronized"]).max()
print("equal to one process, to rounding:", strategy_apart < 1e-12)
print("and with Keras' default loss:     ", default_apart < 1e-12)
print("and with synchronized batch norm: ", sync_apart < 1e-12)
print(*textwrap.wrap("fit: " + by_strategy["fit"], 76), sep="\n")
assert max(strategy_apart, default_apart, sync_apart) < 1e-12

# %% [markdown] tags=["tensorflow"]
# The loop works with either loss, `synchronized` does in here what our own layer did, and `fit` does not work: under this strategy Keras 3 hands a `PerReplica` (one value a replica) to code that wants a tensor.
# That is known ([keras issue 20585](https://github.com/keras-team/keras/issues/20585), of December 2024, open when read on 27 November 2026).
# Within one machine `MirroredStrategy`, one process for all its GPUs, is what most want, and there `fit` does work.
# Keras 3 has an interface of its own, too, `keras.distribution` (`DataParallel`, `ModelParallel`), but so far it is for JAX: in Keras 3.15 the file for TensorFlow begins with *do not use*, and for PyTorch there is none.
#
# TensorFlow has no equal of PyTorch's `torchrun`, a program that starts the processes and starts them again when one dies: nobody does that here, unless it is the cluster's manager (Kubernetes, Slurm) or a supervisor like ours.
# For the state of a loop like ours there is `tf.train.Checkpoint` (lesson 16), with `tf.train.CheckpointManager`, which throws old ones away; Keras' callback `BackupAndRestore` belongs to `fit`.

# %% [markdown]
# ## One engine for both: Ray Train *(optional)*
#
# `torchrun` knows PyTorch, `tf.distribute` knows TensorFlow, and neither finds machines.
# **Ray** is a system that spreads Python functions over machines, and *Ray Train* lets it start the processes of a data-parallel run, set the variables that each framework asks for, keep their checkpoints, and start again what died.
# (Its TensorFlow examples call `fit`, which with Keras 3 fails under the strategy that they use: [ray issue 47464](https://github.com/ray-project/ray/issues/47464), open when read on 27 November 2026. So they begin with `os.environ["TF_USE_LEGACY_KERAS"] = "1"`, which makes `tf.keras` Keras 2, the package `tf_keras`, whose `fit` works. Ray 2.60 sets the variable in each worker, too, but after TensorFlow's import, which is too late.)
# The training function is ours; what is new are `get_context`, `get_checkpoint` and `report`.
# (For TensorFlow Ray sets `TF_CONFIG` only; `RANK` and `WORLD_SIZE`, which `given.py` reads, we set ourselves.)

# %%
%%write ray_work.py
import json, os, tempfile
import ray.train


def work(settings):
    context = ray.train.get_context()
    os.environ |= {"RANK": str(context.get_world_rank()),
                   "WORLD_SIZE": str(context.get_world_size())}
    os.chdir(settings["folder"])  # only now: these import given.py
    from kill import kill, rank
    from ray_state import losses, resume, save
    from ray_step import one_step, steps
    stored = ray.train.get_checkpoint()
    if stored:
        with stored.as_directory() as place:
            resume(place)
    for step in range(len(losses), steps):
        one_step(step)
        kill(step, settings["dies_at"])
        if len(losses) % 20 == 0 or len(losses) == steps:
            with tempfile.TemporaryDirectory() as place:
                stored = save(place) if rank == 0 else None
                ray.train.report({"losses": json.dumps(losses)},
                                 checkpoint=stored)

# %% [markdown]
# What a framework adds is its network and one step:

# %% tags=["pytorch"]
%%write ray_step.py
import ray.train.torch
import torch
import torch.nn.functional as F
import checkpoint
from build import build
from given import learning_rate, momentum, share, steps, world

network, losses = build(), []
parallel = ray.train.torch.prepare_model(network)  # DDP
optimizer = torch.optim.SGD(network.parameters(), learning_rate, momentum)


def one_step(step):
    images, labels = map(torch.as_tensor, share(step))
    loss = F.cross_entropy(parallel(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss = loss.detach()
    torch.distributed.all_reduce(loss)
    losses.append(loss.item() / world)

# %% tags=["tensorflow"]
%%write ray_step.py
import ray.train
import checkpoint
from given import share, steps
from strategy_step import make, make_step, tf

network, optimizer = make()
step_of, losses = make_step(network, optimizer), []


def one_step(step):
    losses.append(float(step_of(*map(tf.constant, share(step)))))

# %% [markdown]
# How these go into a folder and come back:

# %%
%%write ray_state.py
import ray.train

import checkpoint
from ray_step import losses, network, optimizer


def resume(place):
    losses.extend(checkpoint.resume(network, optimizer, place))


def save(place):
    checkpoint.save(network, optimizer, losses, "everything", place)
    return ray.train.Checkpoint.from_directory(place)

# %% [markdown]
# Each framework has its trainer:

# %% tags=["pytorch"]
%%write trainer.py
from ray.train.torch import TorchTrainer as Trainer

# %% tags=["tensorflow"]
%%write trainer.py
from ray.train.tensorflow import TensorflowTrainer as Trainer

# %% [markdown]
# `max_failures=1` is the supervisor. (What is different on a cluster stands in a table further down.)

# %%
%%write ray_run.py
import json, os, sys, time
import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray_work import work
from trainer import Trainer
here, found = os.getcwd(), {}
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,
         object_store_memory=80 * 2**20, logging_level="ERROR",
         _temp_dir=here + "/ray", _node_ip_address="127.0.0.1")
for name, dies_at in (("undisturbed", -1), ("killed", sys.argv[1])):
    begin = time.perf_counter()
    result = Trainer(
        work, train_loop_config={"folder": here, "dies_at": dies_at},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(
            name=name, storage_path=here + "/stored",
            failure_config=FailureConfig(max_failures=1))).fit()
    found[name] = json.loads(result.metrics["losses"])
    found[name + " seconds"] = time.perf_counter() - begin
ray.shutdown()
print(json.dumps(found))

# %% [markdown]
# Started from here:

# %%
def run_ray(dies_at):
    """{"undisturbed": losses, "killed": losses, … seconds, megabytes}."""
    (folder / "died").unlink(missing_ok=True)
    command = [sys.executable, "ray_run.py", str(dies_at)]
    watch([start(command, {}, 0, signal.SIGTERM)], "ray", 500)
    said = (folder / "output_0.txt").read_text().splitlines()
    found = json.loads(said[-1])  # above it is what Ray had to say
    return found | {"megabytes": used["ray"][1]}

# %% [markdown]
# It takes up to 4 GB in all its processes, so it runs only where `ray_train` is 1, and what is compared and printed below is a stored run of the cells above, with its worker killed in the same step.

# %% tags=["pytorch", "folded", "nbval-ignore-output"]
stored = data.ray_train_runs()["pytorch"]
if ray_train and psutil.virtual_memory().available > 4e9:
    engine = run_ray(dies_at)
else:
    print("not run: set ray_train = 1, with 4 GB of memory free")
    engine = stored

# %% tags=["tensorflow", "folded", "nbval-ignore-output"]
stored = data.ray_train_runs()["tensorflow"]
if ray_train and psutil.virtual_memory().available > 4e9:
    engine = run_ray(dies_at)
else:
    print("not run: set ray_train = 1, with 4 GB of memory free")
    engine = stored

# %% [markdown]
# The undisturbed run against our one process, and the killed one against the undisturbed:

# %%
if as_shipped or engine is not stored:
    ray_apart = records.relative_difference(alone, engine["undisturbed"])
    ray_killed = records.relative_difference(engine["undisturbed"],
                                             engine["killed"])
    print("equal to one process:", ray_apart.max() < 1e-12)
    print("killed against undisturbed:", ray_killed.max(),
          "of", len(engine["killed"]), "losses")
    assert ray_apart.max() < 1e-12 and ray_killed.max() == 0

# %% [markdown]
# The same supervisor's work, for either framework, with one sentence of configuration; and on a cluster the training function is the same.
# What did it cost, beside the others?

# %% tags=["nbval-ignore-output"]
names = {"ways.py": "by hand, two trainings",
         "ddp.py": "torchrun and DDP, one death",
         "by_strategy.py": "MultiWorkerMirroredStrategy, three trainings",
         "lasting.py": "by hand, the restart after a death"}
for script, name in names.items():
    if script in used:
        print(f"{name:44} {used[script][0]:5.0f} s"
              f" {used[script][1]:6.0f} MB")
for name in ("undisturbed", "killed"):
    print(f"{'Ray Train, ' + name:44}"
          f" {engine[name + ' seconds']:5.0f} s"
          f" {engine['megabytes']:6.0f} MB"
          f"{' (stored)' if engine is stored else ''}")

# %% [markdown]
# By hand such a training takes seconds, so most of Ray's time is its own: on runs of hours nobody sees it, on a laptop one does, and it takes some four times the memory.
# (The rows are not of equal work; *the restart* is the second life alone.)

# %% [markdown]
# ## What a thousand workers would gain
#
# We have two.
# To say anything about a thousand we need a **model** of a step's time, whose numbers we measure: what a process computes, and what it costs to talk.
#
# *Computing* a share of $n$ images: $a + c\,n$, where $a$ is what any step costs.
#
# *Talking*: an all-reduce usually runs in a **ring**.
# Each of $N$ processes cuts its array of $b$ bytes into $N$ parts and passes parts to its neighbour, $N-1$ times to add up and $N-1$ times to hand out, so
#
# $$t_{\text{ring}} = 2(N-1)\,t_0 + \frac{2(N-1)}{N}\,\frac{b}{\beta}$$
#
# with the **latency** $t_0$ of one message and the **bandwidth** $\beta$.
# The second term stays below $2b/\beta$ however many there are, which is the beauty of it; the first grows with them.
# (In a *tree* it is $2\log_2 N$ messages, each with the whole array.)

# %% tags=["pytorch"]
%%write measure.py
import statistics, time
import numpy as np
import torch
import torch.nn.functional as F
from build import build
from group import dist, finish, total

network = build()


def median_times(function, inputs, rounds=15):
    """Seconds of function(*inputs[key]) for each key, taken in turn."""
    times = {key: [] for key in inputs}
    for key in list(inputs) * (rounds + 1):
        dist.barrier()
        begin = time.perf_counter()
        function(*inputs[key])
        times[key].append(time.perf_counter() - begin)
    return {key: statistics.median(one[1:]) for key, one in times.items()}


def compute(images, labels):
    loss = F.cross_entropy(network(images), labels)
    return torch.autograd.grad(loss, list(network.parameters()))

# %% [markdown] tags=["pytorch"]
# What is measured: shares from 8 to 128 images without any talk, arrays from 8 kB to 2.4 MB without computing, and both, a share and one all-reduce of all its gradients in one array, to test the model with.
# All sizes are taken in turn, as in lesson 20: whatever else the machine does then falls on all of them about alike, if it lasts; what comes and goes can still spoil single points.

# %% tags=["pytorch"]
%%write measuring.py
from measure import (compute, finish, median_times, network, np, torch,
                     total)


def compute_and_talk(images, labels):
    gradients = compute(images, labels)
    return total(torch.cat([one.ravel() for one in gradients]))


rng = np.random.default_rng(0)
shares = {size: (torch.as_tensor(rng.random((size, 28, 28))),
                 torch.as_tensor(rng.integers(0, 10, size)))
          for size in (8, 16, 32, 64, 128)}
arrays = {8 * count: (torch.ones(count),)
          for count in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)}
finish({"compute": median_times(compute, shares),
        "both": median_times(compute_and_talk, shares),
        "talk": median_times(total, arrays),
        "bytes": 8 * sum(one.numel() for one in network.parameters())})

# %% tags=["tensorflow"]
%%write measure.py
import statistics
import time
import numpy as np
from gradients import gradient_function, tf
from group import finish, total
from strategy import build, strategy

network = build()
compute = gradient_function(network)


def median_times(function, inputs, rounds=15):
    """Seconds of function(*inputs[key]) for each key, taken in turn."""
    times = {key: [] for key in inputs}
    for key in list(inputs) * (rounds + 1):
        total(np.zeros(1))  # all begin together
        begin = time.perf_counter()
        function(*inputs[key])
        times[key].append(time.perf_counter() - begin)
    return {key: statistics.median(one[1:]) for key, one in times.items()}

# %% [markdown] tags=["tensorflow"]
# Talk is here the strategy's all-reduce, and the third function does both, a share and one all-reduce of all its gradients in one array:

# %% tags=["tensorflow"]
%%write talk.py
from measure import compute, strategy, tf


def on_replica(array):
    context = tf.distribute.get_replica_context()
    return context.all_reduce("SUM", tf.identity(array))


@tf.function(input_signature=[tf.TensorSpec([None], tf.float64)])
def talk(array):
    return strategy.run(on_replica, (array,))


def compute_and_talk(images, labels):
    gradients = compute(images, labels)[1]
    return talk(tf.concat([tf.reshape(one, -1) for one in gradients], 0))

# %% [markdown] tags=["tensorflow"]
# What is measured: shares from 8 to 128 images without any talk, arrays from 8 kB to 2.4 MB without computing, and shares with both, to test the model with.
# All sizes are taken in turn, as in lesson 20: whatever else the machine does then falls on all of them about alike, if it lasts; what comes and goes can still spoil single points.

# %% tags=["tensorflow"]
%%write measuring.py
from measure import compute, finish, median_times, network, np, tf
from talk import compute_and_talk, talk

rng = np.random.default_rng(0)
shares = {size: (rng.random((size, 28, 28)), rng.integers(0, 10, size))
          for size in (8, 16, 32, 64, 128)}
arrays = {8 * count: (tf.ones(count, tf.float64),)
          for count in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000)}
finish({"compute": median_times(compute, shares),
        "both": median_times(compute_and_talk, shares),
        "talk": median_times(talk, arrays),
        "bytes": 8 * sum(one.numpy().size for one in network.variables)})

# %% [markdown]
# Two lines are fitted, each with *relative* errors, so that small times count as much as large ones:

# %% tags=["nbval-ignore-output"]
found = together("measuring.py")
gradient_bytes = found["bytes"]


def line(points):
    """Intercept and slope through {x: seconds}."""
    x, y = np.array([(float(x), y) for x, y in points.items()]).T
    slope, intercept = np.polyfit(x, y, 1, w=1 / y)
    return max(intercept, 1e-7), max(slope, 1e-15)


each_step, each_image = line(found["compute"])
two_messages, each_byte = line(found["talk"])
latency, bandwidth = two_messages / 2, 1 / each_byte
print(f"any step {each_step * 1e3:.2f} ms, an image "
      f"{each_image * 1e6:.1f} µs")
print(f"a message {latency * 1e6:.0f} µs, "
      f"{bandwidth / 1e9:.2f} GB/s between two processes")

# %% [markdown]
# *A message* is not the wire's alone: in it is what the framework does around each all-reduce, and the twin's notebook finds another price over the same kind of connection (both stand below the twin check).
# Do the points lie on their lines? 1 is on the line, from the smallest size to the largest:

# %% tags=["nbval-ignore-output"]
fitted = {"compute": lambda x: each_step + each_image * x,
          "talk": lambda x: two_messages + each_byte * x}
for name, model in fitted.items():
    off = [y / model(float(x)) for x, y in found[name].items()]
    print(f"{name}, measured / fitted:", np.round(off, 2))

# %% [markdown]
# Where one is off by a factor of two or more (something else ran on the machine, say), run again from the cell with `together("measuring.py")` on: all that follows rests on these two lines.
#
# In the figure points are measured, lines are fitted, but for the right: there is the model's test, and the line is *not* fitted to these points, it is the sum of the two others.

# %% tags=["nbval-ignore-output"]
def step_time(workers, images, latency=latency, bandwidth=bandwidth,
              size=1, tree=False):
    """Seconds a step with so many images a worker; size: × network."""
    workers = np.asarray(workers, float)
    alone = each_step + each_image * size * images
    rounds = np.log2(workers) if tree else workers - 1
    sent = rounds if tree else (workers - 1) / workers
    return alone + 2 * rounds * latency + (
        2 * sent * gradient_bytes * size / bandwidth)


def panel(axes, points, model, title, x_label):
    x, y = np.array([(float(x), y) for x, y in points.items()]).T
    axes.loglog(x, 1e3 * y, "o", x, 1e3 * model(x), "-")
    axes.set(title=title, xlabel=x_label, ylabel="milliseconds")


figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True)
panel(axes[0], found["compute"], fitted["compute"], "computing", "images")
panel(axes[1], found["talk"], fitted["talk"], "all-reduce, two processes",
      "bytes")
panel(axes[2], found["both"], lambda x: step_time(2, x),
      "both: measured, and foretold", "images a process")

# %% [markdown]
# The test's outcome:

# %% tags=["nbval-ignore-output"]
ratio = [seconds / step_time(2, float(images))
         for images, seconds in found["both"].items()]
print("measured / foretold:", np.round(ratio, 2))

# %% [markdown]
# Above 1, a step takes longer than the sum of its parts.
# One reason: an all-reduce waits for the slower process, and the line of computing is rank 0's alone, which waits for nobody; putting the gradients into one array is in neither line; and the two may get in each other's way.
# So take the model for good to a factor of a few, not to a tenth.
# The folded cell bounds it widely, as what else the machine has to do decides much of such times.

# %% tags=["folded"]
if as_shipped:
    assert 0.05 < np.median(ratio) < 20, ratio
    assert found["compute"]["128"] > found["compute"]["8"], found

# %% [markdown]
# There are two questions to ask of more workers.
# **Strong scaling**: the batch stays, 4,096 images here, and each takes fewer; does the step get *shorter*?
# **Weak scaling**: each has 64 images, however many workers there are, and the batch grows; does the step at least *stay as long as it is*?
#
# Four cases.
# The first is what was measured.
# The second is the same with a tree instead of a ring.
# The third puts a cluster's network in its place, with a message of 30 µs and 10 Gbit/s, which is an *assumption* (Ethernet of the common sort; we measured none).
# The fourth is a network with a thousand times the gradients and the computing for an image, on that cluster.

# %% tags=["nbval-ignore-output"]
ethernet = {"latency": 30e-6, "bandwidth": 1.25e9}
cases = {"as measured here, ring": {},
         "the same, tree": {"tree": True},
         "10 Gbit/s, ring": ethernet,
         "10 Gbit/s, ring, network × 1000": ethernet | {"size": 1000}}
workers = np.unique(np.geomspace(1, 1000, 60).round())
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2))
for name, case in cases.items():
    strong = step_time(1, 4096, **case) / step_time(
        workers, 4096 / workers, **case)
    weak = step_time(1, 64, **case) / step_time(workers, 64, **case)
    axes[0].loglog(workers, strong, label=name)
    axes[1].semilogx(workers, weak, label=name)
axes[0].loglog(workers, workers, ":", color="grey", label="ideal")
axes[0].set(title="strong: 4,096 images a step", xlabel="workers",
            ylabel="times as fast as one")
axes[0].legend(fontsize=8)
axes[1].set(title="weak: 64 images a worker", xlabel="workers",
            ylabel="share of the ideal")
axes[1].grid(True)

# %% [markdown]
# (Right, the colours are the left's. To compare, divide a line of the left by the number of workers.)
# What the lines assume, and where they turn:

# %% tags=["nbval-ignore-output"]
print(f"{'':32}{'a message':>10}{'GB/s':>6}{'gradient':>10}"
      f"{'fastest with':>14}")
best, every = {}, np.arange(1, 1001)
for name, case in cases.items():
    times = step_time(every, 4096 / every, **case)
    best[name] = int(every[times.argmin()])
    where = f"{best[name]:,}" + (" or more" if best[name] == 1000 else "")
    micro = 1e6 * case.get("latency", latency)
    giga = case.get("bandwidth", bandwidth) / 1e9
    mega = gradient_bytes * case.get("size", 1) / 1e6
    print(f"{name:32}{micro:7.0f} µs{giga:6.2f}{mega:7.2f} MB"
          f"{where:>14}")
assert not as_shipped or best["as measured here, ring"] < 1000


# %% [markdown]
# In a ring the messages grow in number with the workers while each has less and less to compute: somewhere the step is shortest, and beyond it every further worker makes it *longer*.
# Where that is depends on how much there is to compute for a message, so it pays for large networks first.
# Strong scaling always ends so; and $a$, which is never shared out, bounds the gain even where talking costs nothing.
# In weak scaling each worker always computes 64 images for the same messages. Below 64 workers a worker has more to compute in strong scaling (4,096 / N), above it in weak scaling: there weak scaling loses more slowly.
# But a batch that grows with the workers is *another training*, with its own learning rate, and past some size it needs more images for the same loss (McCandlish and others, below).
#
# What the model assumes without a test: that computing, measured at 8 to 128 images, goes on in a line down to four and up to 4,096; and that all which does not grow with the bytes is messages.
# With two processes these cannot be told from a fixed price of each all-reduce. Part of it must be one, as the two notebooks pay differently for the same connection; so far the first two lines are too low, and the others, which leave it out, too high.
# What it leaves out in favour of many workers: that workers are not equally fast and everybody waits for the slowest; that a network is shared; that machines die; that data have to come from somewhere.
# And one thing against them: computing and talking at the same time (PyTorch's DDP does it) hides the shorter of the two.
# **Extrapolated from two to a thousand, it says in which direction things go, and not how far.**

# %% [markdown]
# ## Many runs at once
#
# Most people who have several machines do not need one network on all of them.
# They have forty runs to do, five learning rates times eight seeds, and these need no gradient of each other: no all-reduce, no loss of equality, and next to nothing beyond the runs themselves.
# For lessons of this curriculum there is a command for it, which hands whole runs to Ray:
#
# ```
# python -m tandem sweep 06 -p learning_rate 1e-3,3e-3 -p seed 0:4
# ```
#
# These are eight runs a framework, as many at a time as there are cores; what is done is on the disk, so the same command after a Ctrl-C goes on with the rest and runs nothing twice.
# A run that fails is named in the table, and the others go on.
#
# On one machine Ray gains nothing: eight runs of lesson 1, two at a time, took 42 and 40 s by a pool of threads, and 39 and 40 s by Ray after the six seconds in which Ray starts (two tries each, two shared cores, 27 November 2026).
# With `--address` it is a cluster that runs them, and that is the only difference.
# Here is a small one, three seeds of lesson 1 in both frameworks:

# %% tags=["folded", "nbval-ignore-output"]
if sweep and psutil.virtual_memory().available > 4e9:
    command = [sys.executable, "-m", "tandem", "sweep", "01", "-p", "seed",
               "0:3", "--output", str(folder / "sweep")]
    own = {"PYTHONPATH": str(paths[1])}
    watch([start(command, own, 0, signal.SIGTERM)], "sweep", 400)
    *told, _ = (folder / "output_0.txt").read_text().splitlines()
    print(*(line[:79] for line in told), sep="\n")
    display(Image(folder / "sweep" / "sweep.png", alt="the sweep's picture"))
else:
    print("not run: set sweep = 1, with 4 GB of memory free")

# %% [markdown]
# On 27 November 2026, one run at a time on a busy core, it said:
#
# ```
# Ray is there after 6.6 s, with 1 core.
# 1 of 6 · seed 0, PyTorch: final loss of the network 0.06202 · 1.4 minutes left
# 2 of 6 · seed 0, TensorFlow: final loss of the network 0.06202 · 0.9 minutes left
# …
# seed  framework   final loss of the network  final loss of one neuron  seconds
# 0     PyTorch     0.06202                    0.04752                   9.1
# 0     TensorFlow  0.06202                    0.04752                   11.7
# 1     PyTorch     0.06174                    0.04752                   8.4
# 1     TensorFlow  0.06174                    0.04752                   11.5
# 2     PyTorch     0.0633                     0.04752                   8.4
# 2     TensorFlow  0.0633                     0.04752                   12
# ```
#
# Beside that stand `sweep.csv` with all scores, `sweep.png`, and a folder for each run with its notebook.

# %% [markdown]
# ## On a cluster
#
# The files that a person needs lie in [docs/cluster](../docs/cluster/README.md): `cluster.yaml`, for machines that are reached by ssh or rented (`ray up docs/cluster/cluster.yaml`), and `kuberay.yaml`, for Kubernetes with the KubeRay operator.
# To be plain about what is known of them:
#
# | | |
# |---|---|
# | **run here**, in one of the two notebooks | two processes on one machine, by hand, with torchrun, with MultiWorkerMirroredStrategy; a worker killed by a signal; once, and stored: Ray Train, and a sweep on Ray |
# | **only read** | everything with a second machine: `ray up`, KubeRay, a machine that disappears, shared storage, NCCL |
# | what changes in the code | `num_workers`, `storage_path` (to where all machines see it), `use_gpu` |
# | what changes without being asked | a process may meet another processor, which rounds in another order: *equal to the last bit* becomes *equal to rounding* |
#
# Whoever reaches a Ray cluster's ports runs programs on your machines, and the frameworks' own ports ask nobody either: keep them all in a network of your own, and let Ray ask for a token, as the README there says.

# %% [markdown]
# ## Three libraries on Spark *(optional)*
#
# Claim **C8** of the article (lesson 2): *Spark's libraries show TensorFlow's community*.
# It means three that train on Spark, a system which spreads the processing of tables over machines: TensorFlowOnSpark, SparkFlow and elephas.
# What do they answer today?
# Each was tried on 27 November 2026, every try in an environment of its own: first with what it declares and, where that leaves something out, with that too; then with other versions or some help.
# What runs trained a small network with two workers on one machine (`data/make/spark_libraries.py`).

# %%
spark = data.spark_libraries()
first = {}
for row in spark:
    if row["library"] not in first:
        print(f"\n{row['library']} {row['version']}, of {row['released']}")
        first[row["library"]] = row["outcome"]
    with_what = row["installed"].split(": ")[0]
    print(*textwrap.wrap(f"{with_what}: {row['outcome'].upper()}. "
                         f"{row['detail']}", 74), sep="\n    ")
alive = [name for name in ("TensorFlowOnSpark", "SparkFlow", "elephas")
         if first[name] == "runs"]
print(f"\n{len(alive)} of the three run as they come:", *alive)

# %% [markdown]
# One of the three is alive: **elephas** has a release of this year and runs, if on an older TensorFlow than ours, which its declaration asks for; overruled, it runs on ours, too.
# **TensorFlowOnSpark**, last released in 2022, needs a part of setuptools that newer versions no longer bring, and with an older one it still trains, through TensorFlow's MultiWorkerMirroredStrategy.
# **SparkFlow**, of 2019, was written for TensorFlow 1 and does not run; that its files, rewritten to call `tensorflow.compat.v1`, do train is to TensorFlow's credit and not to the library's.
#
# The one that Spark itself brings and keeps, the `TorchDistributor`, is for PyTorch.
# So as a sign of a community the claim has turned round: three libraries, of which one is kept, against one that the system ships.
# Neither says much of the two frameworks themselves.

# %% [markdown]
# ## The twin check
#
# One network by one process in each framework, and how far all others are from it.
# Lesson 22 takes the differences from the record, and how many of the Spark libraries run; it also keeps what all this cost.

# %% tags=["pytorch"]
mine = records.save(
    "21_distributed", "pytorch", parameters_used,
    {"loss": alone, "loss with batch norm": norm_alone},
    by_hand_difference=apart["average"],
    batch_norm_difference=parted["batch norm, each its own"].max(),
    half_shared_difference=parted["batch norm, half shared"].max(),
    shared_norm_difference=parted["batch norm, shared"].max(),
    own_strategy_difference=ddp_apart,
    forgotten_momentum_difference=lost.max(),
    killed_difference=killed.max(), spark_libraries_alive=len(alive),
    by_hand_seconds=used["ways.py"][0],
    by_hand_megabytes=used["ways.py"][1],
    own_strategy_seconds=used["ddp.py"][0],
    own_strategy_megabytes=used["ddp.py"][1],
    ray_train_megabytes=stored["megabytes"],
    a_message_seconds=latency, an_image_seconds=each_image)
twin = records.load("21_distributed", "tensorflow", parameters_used)

# %% tags=["tensorflow"]
mine = records.save(
    "21_distributed", "tensorflow", parameters_used,
    {"loss": alone, "loss with batch norm": norm_alone},
    by_hand_difference=apart["average"],
    batch_norm_difference=parted["batch norm, each its own"].max(),
    half_shared_difference=parted["batch norm, half shared"].max(),
    shared_norm_difference=parted["batch norm, shared"].max(),
    own_strategy_difference=strategy_apart,
    forgotten_momentum_difference=lost.max(),
    killed_difference=killed.max(), spark_libraries_alive=len(alive),
    by_hand_seconds=used["ways.py"][0],
    by_hand_megabytes=used["ways.py"][1],
    own_strategy_seconds=used["by_strategy.py"][0],
    own_strategy_megabytes=used["by_strategy.py"][1],
    ray_train_megabytes=stored["megabytes"],
    a_message_seconds=latency, an_image_seconds=each_image)
twin = records.load("21_distributed", "pytorch", parameters_used)

# %% [markdown]
# Both compute in float64, from the same weights and images.
# (Where they are equal, the lower curve shows $10^{-9}$.)

# %%
plots.twins(mine, twin)

# %% [markdown]
# In numbers:

# %% tags=["nbval-ignore-output"]
print(records.compare(mine, twin))
if twin:
    twins_apart = records.relative_difference(mine["losses"]["loss"],
                                              twin["losses"]["loss"])
    print("one process against the twin's, all steps:",
          f"{twins_apart.max():.0e}")
    for name, one in (("this notebook's", mine), ("the twin's", twin)):
        micro = 1e6 * one["scores"]["a_message_seconds"]
        print(f"a message by {name} all-reduce: {micro:.0f} µs")
    assert twins_apart.max() < 1e-8  # records keep nine digits

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow/Keras | why it matters |
# |---|---|---|---|
# | all-reduce by hand | `dist.all_reduce`, on tensors | only inside of a strategy; by hand over a socket | what you can try outside of the framework's own way |
# | where gradients are put together | DDP, in `backward` | in `optimizer.apply` under a strategy | do it once: not never, not twice |
# | what happens to them | averaged | **summed**; Keras' own losses divide by the number of processes for it | a mean of your own has to be divided, or you train with N times the rate |
# | weights at the start | DDP copies rank 0's | a strategy mirrors variables made in its `scope()` | by hand: nobody does it for you |
# | shared batch norm | `SyncBatchNorm`, on a GPU only | `synchronized=True`, anywhere, but only under a strategy; elsewhere silent | shares of few images |
# | the ready-made loop | none, so nothing breaks | `fit` fails under MultiWorkerMirroredStrategy | write the loop |
# | a worker dies | `torchrun --max-restarts` | a cluster's manager, or your own | weeks of training |
# | its place in the world | `RANK`, `WORLD_SIZE`, `MASTER_ADDR`, `MASTER_PORT` | `TF_CONFIG`, JSON | Ray Train sets those of its trainer's framework |

# %% [markdown]
# ## Exercises
#
# Now you.
# No framework is needed, so both notebooks ask the same.

# %% tags=["classroom"]
import queue
from concurrent.futures import ThreadPoolExecutor

from tandem import data
from tandem.exercises import attempt

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Our batch could be cut into equal shares.
# Yours cannot: ten images, four workers.
#
# `parallel_step(weights, inputs, labels, workers, gradient, rate)` takes one step of gradient descent as `workers` processes would take it, and returns the new weights (an array of the same shape, whichever that is; the old one stays as it is).
# `gradient(weights, inputs, labels)` is what a worker computes: the gradient of the *mean* loss of the images it is given.
# Cut the batch, in order, into `workers` shares that differ by at most one image (each a piece of the batch as it stands), ask for each, and put the answers together so that the step is *the step of the whole batch*.
# A batch may hold fewer images than there are workers; then some have none, and are not asked.

# %% [markdown] tags=["hint"]
# `np.array_split` cuts into nearly equal parts.
# A mean over ten is not the mean of means over three, three, two and two: of each mean you know of how many images it is.

# %% [markdown] tags=["hint"]
# Whoever has no image has no gradient, and is not asked.

# %% tags=["pytorch", "solution"]
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    ### BEGIN SOLUTION
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return weights - rate * total / len(inputs)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    ### BEGIN SOLUTION
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return weights - rate * total / len(inputs)
    ### END SOLUTION

# %% [markdown]
# The check is a small regression of two targets, with ten rows, and with three, whose gradient is known, and it counts what each worker is given:

# %% tags=["classroom", "folded"]
sizes = []


def slope(weights, inputs, labels):
    sizes.append(len(inputs))
    assert len(inputs), "a worker without images was asked for a gradient"
    return 2 * inputs.T @ (inputs @ weights - labels) / len(inputs)


table = np.random.default_rng(3).normal(size=(10, 4))
aims = table @ np.array([[1.0, 2.0], [-2.0, 0.0], [0.5, 1.0],
                         [3.0, -1.0]]) + 0.1
begin_at = np.array([[0.3, -0.3], [0.1, 0.2], [-0.2, 0.5], [0.4, 0.0]])

# %% [markdown]
# And now yours:

# %% tags=["check"]
order = np.argsort(table[:, 0])
for workers, images in ((1, 10), (2, 10), (4, 10), (5, 3)):
    rows, goals, parts = table[order][:images], aims[order][:images], []
    def noted(weights, inputs, labels):
        parts.append(inputs.tolist())
        return slope(weights, inputs, labels)
    kept, case = begin_at.copy(), f"workers: {workers}, images: {images}"
    given = parallel_step(kept, rows, goals, workers, noted, 0.1)
    assert np.array_equal(kept, begin_at), "the old weights are to stay"
    shape = getattr(given, "shape", type(given).__name__)
    assert shape == (4, 2), f"new weights, an array (4, 2), not {shape}"
    shares = sorted(map(len, parts))
    fair = [(images + worker) // workers for worker in range(workers)]
    wanted = [size for size in fair if size]
    assert shares == wanted, f"{case}: shares of {wanted}, not {shares}"
    assert sum(sorted(parts), []) == rows.tolist(), (
        f"{case}: each share is one piece of the batch, in its order")
    whole = begin_at - 0.1 * slope(begin_at, rows, goals)
    apart_by = np.abs(given - whole).max()
    assert apart_by < 1e-12, (
        f"{case}: the weights are {apart_by:.2g} from those of one "
        f"process with the whole batch; the shares were {shares}")

# %% tags=["hidden"]
kept = begin_at.copy()
given = parallel_step(begin_at, table[:3], aims[:3], 5, slope, 0.1)
assert np.allclose(given, kept - 0.1 * slope(kept, table[:3], aims[:3])), (
    "three images and five workers: two of them have nothing to say")
assert np.array_equal(begin_at, kept), "the old weights are to stay"
vector, one = begin_at[:, 0], aims[:, 1]
given = parallel_step(vector, table, one, 3, slope, 0.02)
wanted = vector - 0.02 * slope(vector, table, one)
assert np.shape(given) == (4,), f"weights of shape (4,) stay so, and do not become {np.shape(given)}"
assert np.allclose(given, wanted), "a rate of 0.02, three workers and weights of shape (4,): another step"

# %% tags=["pytorch", "wrong"] mistake="takes the plain mean of unequal shares"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    parts = zip(np.array_split(inputs, workers),
                np.array_split(labels, workers))
    slopes = [gradient(weights, *part) for part in parts]
    return weights - rate * np.mean(slopes, axis=0)

# %% tags=["tensorflow", "wrong"] mistake="takes the plain mean of unequal shares"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    parts = zip(np.array_split(inputs, workers),
                np.array_split(labels, workers))
    slopes = [gradient(weights, *part) for part in parts]
    return weights - rate * np.mean(slopes, axis=0)

# %% tags=["pytorch", "wrong"] mistake="leaves the remainder out"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    size = len(inputs) // workers
    slopes = [gradient(weights, inputs[first:first + size],
                       labels[first:first + size])
              for first in range(0, size * workers, size)]
    return weights - rate * np.mean(slopes, axis=0)

# %% tags=["tensorflow", "wrong"] mistake="leaves the remainder out"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    size = len(inputs) // workers
    slopes = [gradient(weights, inputs[first:first + size],
                       labels[first:first + size])
              for first in range(0, size * workers, size)]
    return weights - rate * np.mean(slopes, axis=0)

# %% tags=["pytorch", "wrong"] mistake="asks workers without images"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        total = total + len(images) * gradient(weights, images, targets)
    return weights - rate * total / len(inputs)

# %% tags=["tensorflow", "wrong"] mistake="asks workers without images"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        total = total + len(images) * gradient(weights, images, targets)
    return weights - rate * total / len(inputs)

# %% tags=["pytorch", "wrong"] mistake="changes the weights that it was given"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    weights -= rate * total / len(inputs)
    return weights.copy()

# %% tags=["tensorflow", "wrong"] mistake="changes the weights that it was given"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    weights -= rate * total / len(inputs)
    return weights.copy()

# %% tags=["wrong"] mistake="every worker goes on from the weights of the one before"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            part = len(images) / len(inputs)
            weights = weights - rate * part * gradient(weights, images,
                                                       targets)
    return weights

# %% tags=["wrong"] mistake="adds up without dividing"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + gradient(weights, images, targets)
    return weights - rate * total

# %% tags=["wrong"] mistake="goes uphill"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return weights + rate * total / len(inputs)

# %% tags=["wrong"] mistake="deals the images out like cards"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in (
            (inputs[first::workers], labels[first::workers])
            for first in range(workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return weights - rate * total / len(inputs)

# %% tags=["wrong"] mistake="shuffles the batch"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    order = np.random.default_rng(1).permutation(len(inputs))
    inputs, labels = inputs[order], labels[order]
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return weights - rate * total / len(inputs)

# %% tags=["wrong"] mistake="gives the remainder to the last"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    size, total = len(inputs) // workers, 0
    for worker in range(workers):
        first = worker * size
        last = first + size if worker < workers - 1 else len(inputs)
        if first < last:
            total = total + (last - first) * gradient(
                weights, inputs[first:last], labels[first:last])
    return weights - rate * total / len(inputs)

# %% tags=["wrong"] mistake="asks one process for everything"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    return weights - rate * gradient(weights, inputs, labels)

# %% tags=["wrong"] mistake="divides by ten images"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return weights - rate * total / 10

# %% tags=["wrong"] mistake="returns a list"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return list(weights - rate * total / len(inputs))

# %% tags=["wrong"] mistake="knows the rate of the check only"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return weights - 0.1 * total / len(inputs)

# %% tags=["wrong"] mistake="flattens the weights"
def parallel_step(weights, inputs, labels, workers, gradient, rate):
    total = 0
    for images, targets in zip(np.array_split(inputs, workers),
                               np.array_split(labels, workers)):
        if len(images):
            total = total + len(images) * gradient(weights, images, targets)
    return np.ravel(weights - rate * total / len(inputs))

# %% [markdown] tags=["exercise"] exercise="statistics" points=3
# ### Exercise 2: statistics of all
#
# Our shared batch norm averaged means and means of squares, which is right for equal shares, and has a weakness that float64 hid.
#
# `join(means, variances, counts)`: row $r$ of `means` and of `variances` (arrays of workers × channels) holds what worker $r$ found in its own `counts[r]` images (the variance divided by the count, not by one less).
# Return the mean and the variance of each channel over all images, two arrays with one number a channel, in this order; what you are given stays as it is.
# It has to be right for unequal shares, and for channels whose mean is large beside their spread: the check tries both, the second by adding 1e8 to its values.

# %% [markdown] tags=["hint"]
# The variance of all is the mean of the variances *plus* the variance of the means, both weighted with the counts.

# %% [markdown] tags=["hint"]
# $\overline{x^2} - \bar x^2$ subtracts two nearly equal numbers where the mean is large.
# What you subtract first should be the mean.

# %% tags=["pytorch", "solution"]
def join(means, variances, counts):
    ### BEGIN SOLUTION
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return mean, variance
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def join(means, variances, counts):
    ### BEGIN SOLUTION
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return mean, variance
    ### END SOLUTION

# %% [markdown]
# The check cuts one array into shares and compares with the whole:

# %% tags=["classroom", "folded"]
def by_shares(function, values, counts):
    """What the function makes of shares; NumPy's mean and variance."""
    shares = np.split(values, np.cumsum(counts)[:-1])
    given = function(np.stack([share.mean(0) for share in shares]),
                     np.stack([share.var(0) for share in shares]),
                     np.array(counts))
    return given, (values.mean(0), values.var(0))

# %% [markdown]
# And now yours:

# %% tags=["check"]
values = np.random.default_rng(5).normal((1, -2), (0.1, 3), (24, 2))
values[:8] += 2
def watched(*arrays):
    before = [one.copy() for one in arrays]
    joined = join(*arrays)
    assert all(map(np.array_equal, arrays, before)), (
        "means, variances and counts are to stay as they are")
    assert joined is not None, "return the mean and the variance"
    return joined
for counts, more in (((8, 8, 8), 0), ((8, 12, 4), 0), ((8, 12, 4), 1e8)):
    given, wanted = by_shares(watched, values + more, counts)
    assert [np.shape(one) for one in given] == [(2,), (2,)], (
        f"mean and variance, two arrays of 2 channels, not {given!r:.120}")
    for name, one, other in zip(("mean", "variance"), given, wanted):
        assert np.abs(one - other).max() < 1e-9 + more * 1e-14, (
            f"shares of {counts} images, mean of channel 0 about "
            f"{wanted[0][0]:.3g}: the {name} is {np.round(other, 3)}, not "
            f"{np.round(one, 3)}")

# %% tags=["hidden"]
given, wanted = by_shares(join, values + 1e8, (8, 12, 4))
apart_by = np.abs(given[1] / wanted[1] - 1).max()
assert apart_by < 1e-3, (
    f"with a mean of 100 million a variance is {apart_by:.0%} off")
other_values = np.random.default_rng(6).normal(3, (1, 2, 3, 4), (31, 4))
for counts in ((1, 3, 7, 15, 5), (30, 1), (31,)):
    given, wanted = by_shares(join, other_values, counts)
    assert all(np.allclose(*pair, 1e-9) for pair in zip(given, wanted)), f"four channels, shares of {counts}: {given}, not {wanted}"

# %% tags=["pytorch", "wrong"] mistake="averages the variances"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    return (part * means).sum(0), (part * variances).sum(0)

# %% tags=["tensorflow", "wrong"] mistake="averages the variances"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    return (part * means).sum(0), (part * variances).sum(0)

# %% tags=["pytorch", "wrong"] mistake="takes all shares for equal"
def join(means, variances, counts):
    mean = means.mean(0)
    return mean, (variances + (means - mean) ** 2).mean(0)

# %% tags=["tensorflow", "wrong"] mistake="takes all shares for equal"
def join(means, variances, counts):
    mean = means.mean(0)
    return mean, (variances + (means - mean) ** 2).mean(0)

# %% tags=["pytorch", "wrong"] mistake="subtracts the square of the mean from the mean of squares"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    square = (part * (variances + means**2)).sum(0)
    return mean, square - mean**2

# %% tags=["tensorflow", "wrong"] mistake="subtracts the square of the mean from the mean of squares"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    square = (part * (variances + means**2)).sum(0)
    return mean, square - mean**2

# %% tags=["wrong"] mistake="the shares' means differ by their plain variance"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * variances).sum(0) + means.var(0)
    return mean, variance

# %% tags=["wrong"] mistake="divides by one less"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return mean, variance * counts.sum() / (counts.sum() - 1)

# %% tags=["wrong"] mistake="cuts negative variances off at 0"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = np.maximum((part * (variances + means**2)).sum(0) - mean**2, 0)
    return mean, variance

# %% tags=["wrong"] mistake="returns deviations"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return mean, np.sqrt(variance)

# %% tags=["wrong"] mistake="returns the variance first"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return variance, mean

# %% tags=["wrong"] mistake="returns the variance alone"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return variance

# %% tags=["wrong"] mistake="keeps the axis of the workers"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0, keepdims=True)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return mean, variance

# %% tags=["wrong"] mistake="subtracts the mean in the array that came in"
def join(means, variances, counts):
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    means -= mean
    variance = (part * (variances + means**2)).sum(0)
    return mean, variance

# %% tags=["wrong"] mistake="knows three workers only"
def join(means, variances, counts):
    means, variances, counts = means[:3], variances[:3], counts[:3]
    part = counts[:, None] / counts.sum()
    mean = (part * means).sum(0)
    variance = (part * (variances + (means - mean) ** 2)).sum(0)
    return mean, variance

# %% [markdown] tags=["exercise"] exercise="ring" points=3
# ### Exercise 3: a ring
#
# Write the all-reduce of the formula above, for as many workers as there are; what travels is real: the weights of the trained judge of clothes (lesson 11), 56,394 numbers, as if they were gradients.
#
# `ring(rank, world, array, send, receive)` runs in every worker at once and returns the *sum* of all workers' arrays (of one length, one axis, in their own precision; the array stays as it is).
# `send(part)` gives an array to the next worker, rank + 1, and returns at once; `receive()` waits for one from the worker before.
# The last sends to the first.
#
# No worker may send more than about $2(N-1)/N$ times its array.

# %% [markdown] tags=["hint"]
# Cut the array into `world` parts (`np.array_split`).
# In round 0 send part `rank`; what comes in is part `rank - 1`: add it to yours.
# Which part do you send in the next round?

# %% [markdown] tags=["hint"]
# After `world - 1` rounds you hold the full sum of one part, `rank + 1`.
# Then hand it out in as many rounds: what comes in now replaces.

# %% tags=["pytorch", "solution"]
def ring(rank, world, array, send, receive):
    ### BEGIN SOLUTION
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def ring(rank, world, array, send, receive):
    ### BEGIN SOLUTION
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)
    ### END SOLUTION

# %% [markdown]
# The check runs it in threads, for two workers in float64 and four in float32, with a queue between neighbours, in which nobody waits longer than two seconds:

# %% tags=["classroom", "folded"]
real_weights = np.concatenate([
    array.ravel().astype("float64") for layer in
    data.fashion_classifier().values() for array in layer.values()])


def around(function, arrays):
    """What each worker returns, and how many numbers each has sent."""
    world, sent = len(arrays), np.zeros(len(arrays), int)
    lines = [queue.Queue() for _ in arrays]

    def worker(rank):
        def send(part):
            sent[rank] += np.size(part)
            lines[(rank + 1) % world].put(np.array(part))

        return function(rank, world, arrays[rank], send,
                        lambda: lines[rank].get(timeout=2))

    with ThreadPoolExecutor(world) as pool:
        futures = [pool.submit(worker, rank) for rank in range(world)]
    errors = [one.exception() for one in futures if one.exception()]
    if own := [one for one in errors if not isinstance(one, queue.Empty)]:
        raise own[0]
    assert not errors, "a worker waits for an array that nobody sends"
    return [one.result() for one in futures], sent

# %% [markdown]
# And now yours:

# %% tags=["check"]
for world, kind, near in ((2, "float64", 1e-9), (4, "float32", 1e-5)):
    arrays = [(real_weights * (rank + 1)).astype(kind)
              for rank in range(world)]
    before, wanted = [one.copy() for one in arrays], sum(arrays)
    given, sent = around(ring, arrays)
    assert all(map(np.array_equal, arrays, before)), (
        "the array that was given is to stay as it is")
    for rank, one in enumerate(given):
        shape = getattr(one, "shape", type(one).__name__)
        what = shape, getattr(one, "dtype", "")
        assert what == (wanted.shape, kind), (
            f"an array {wanted.shape} of {kind}, not {shape} {what[1]}")
        cut = [np.array_split(total, world) for total in (one, wanted)]
        wrong_parts = [number for number, pair in enumerate(zip(*cut))
                       if not np.allclose(*pair, near, 0)]
        assert not wrong_parts, (
            f"rank {rank} of {world} has another sum in {wrong_parts} of "
            f"parts 0 to {world - 1}, by {np.abs(one - wanted).max():.1g}")
    most = 2 * (world - 1) / world * real_weights.size + 2 * world
    assert sent.max() <= most, (
        f"with {world} workers one sent {sent.max():,} numbers; "
        f"{most:,.0f} are enough")

# %% tags=["hidden"]
for world in (1, 3, 5):
    arrays = [real_weights[: 7 * world + 1] + rank for rank in range(world)]
    wanted, before = sum(arrays), [one.copy() for one in arrays]
    given, _ = around(ring, arrays)
    assert all(np.allclose(one, wanted) for one in given), (
        f"{world} workers, parts of unequal length: another sum")
    assert all(map(np.array_equal, arrays, before)), (
        "the array that was given is to stay as it is")
few = [np.arange(3.0) * 10**rank for rank in range(6)]
given, _ = around(ring, few)
assert all(np.allclose(one, sum(few)) for one in given), "six workers and three numbers: another sum"

# %% tags=["pytorch", "wrong"] mistake="sends whole arrays round"
def ring(rank, world, array, send, receive):
    total, passing = array.copy(), array
    for _ in range(world - 1):
        send(passing)
        passing = receive()
        total = total + passing
    return total

# %% tags=["tensorflow", "wrong"] mistake="sends whole arrays round"
def ring(rank, world, array, send, receive):
    total, passing = array.copy(), array
    for _ in range(world - 1):
        send(passing)
        passing = receive()
        total = total + passing
    return total

# %% tags=["pytorch", "wrong"] mistake="does not hand out"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    return np.concatenate(parts)

# %% tags=["tensorflow", "wrong"] mistake="does not hand out"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    return np.concatenate(parts)

# %% tags=["pytorch", "wrong"] mistake="adds into the array that it was given"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array, world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world][:] = receive()
    return np.concatenate(parts)

# %% tags=["tensorflow", "wrong"] mistake="adds into the array that it was given"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array, world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world][:] = receive()
    return np.concatenate(parts)

# %% tags=["pytorch", "wrong"] mistake="adds different parts to each other"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[rank])
        parts[rank] = parts[rank] + receive()
    return np.concatenate(parts)

# %% tags=["tensorflow", "wrong"] mistake="adds different parts to each other"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[rank])
        parts[rank] = parts[rank] + receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="returns the mean"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts) / world

# %% tags=["wrong"] mistake="adds while handing out, too"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] += receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="hands out the part that it began with"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="waits before it sends"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        came = receive()
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += came
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="one round too few"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 2):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 2):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="hands out whole arrays"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(np.concatenate(parts))
        place = (rank - turn) % world
        parts[place] = np.array_split(receive(), world)[place]
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="begins the sum with its own part"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts[rank:] + parts[:rank])

# %% tags=["wrong"] mistake="returns the parts"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return parts

# %% tags=["wrong"] mistake="leaves out what does not divide"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array[:len(array) // world * world].copy(), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="adds in float32"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.astype("float32"), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="adds in float64"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.astype("float64"), world)
    for turn in range(world - 1):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(world - 1):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)

# %% tags=["wrong"] mistake="three rounds at the most"
def ring(rank, world, array, send, receive):
    parts = np.array_split(array.copy(), world)
    for turn in range(min(world - 1, 3)):
        send(parts[(rank - turn) % world])
        parts[(rank - turn - 1) % world] += receive()
    for turn in range(min(world - 1, 3)):
        send(parts[(rank - turn + 1) % world])
        parts[(rank - turn) % world] = receive()
    return np.concatenate(parts)

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - You **built** data parallelism in a few lines, equal to one process to the last digits, batch norm that sees all shares, and a supervisor; and used what your framework has of its own. Ray Train drives both.
# - **What has to be averaged**: gradients, over all, before the step; batch norm's statistics, forward *and* backward. **What must be equal before**: weights, and the order of the data.
# - **What belongs in a checkpoint**: everything that the next step depends on, so the optimiser, too, in a file that is whole or not there. Then a killed run is the undisturbed run.
# - **How a step's cost grows**: computing can be shared out, but for what each step costs; messages grow with the workers; so more of them pay for large networks, and for a fixed batch up to some number only.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters.
#
# 1. Set `images_each = 4`.
#    How far does batch norm drive the two runs apart now, and at which step?
# 2. Set `momentum = 0`.
#    What is left of the difference between the two checkpoints, and why?
# 3. In the cell that sets `dies_at`, let it be 60, just after a checkpoint, then 59.
#    How many steps are done twice? (Twenty more, if rank 0 was still writing.)
# 4. Give `ethernet` the latency of a link within a rack, 2 µs.
#    How many more workers pay?
# 5. Set `ray_train = 1`, if you have the memory, and compare its losses with the stored ones.
#
# ## Read on
#
# - Li and others, *PyTorch Distributed: Experiences on Accelerating Data Parallel Training* (2020): [arXiv:2006.15704](https://arxiv.org/abs/2006.15704); [DDP](https://docs.pytorch.org/docs/stable/notes/ddp.html), [torchrun](https://docs.pytorch.org/docs/stable/elastic/run.html)
# - TensorFlow's guides to [distributed training](https://www.tensorflow.org/guide/distributed_training) and [custom loops](https://www.tensorflow.org/tutorials/distribute/custom_training)
# - [Ray Train](https://docs.ray.io/en/latest/train/train.html), and its [handling of failures](https://docs.ray.io/en/latest/train/user-guides/fault-tolerance.html)
# - Goyal and others, *Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour* (2017), on the learning rate of large batches and on batch norm per worker: [arXiv:1706.02677](https://arxiv.org/abs/1706.02677)
# - McCandlish and others, *An Empirical Model of Large-Batch Training* (2018): [arXiv:1812.06162](https://arxiv.org/abs/1812.06162)
#
# Lesson by lesson the claims of one article have been tried.
# What is open is the sum of it: which of them hold, and which framework to take. Lesson 22.
