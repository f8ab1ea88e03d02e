# ---
# minutes: {read: 60, run: 2, exercises: 40}
# seconds: 180
# memory_mb: 1200
# needs: [posix, starlette, uvicorn, litserve, tensorflow-serving-api, torchserve, torch-model-archiver]
# proof: none
# ---

# %% [markdown]
# # 19 · Serving
#
# A trained network answers strangers over HTTP: many at once, in batches, in two versions, with a clear no to nonsense and without dropping anybody when it stops.
#
# **You will build** a model server by hand, one small app for both frameworks, and then use a ready-made one and meet others.
#
# **You will learn** when batching pays and when it only makes people wait; which requests get a wrong answer or end the server, and the check that they should have met; what versions, health, metrics and a graceful stop are; and how far the model servers of both frameworks take this work off you.
#
# **You need** exported programs (lesson 16) and the judge of clothes from lesson 11, which is what we serve; and Linux or macOS, for the way in which processes are started and stopped (on Windows: WSL).
#
# What is marked *optional* (three sections and an exercise) is not counted in the minutes below: it takes some forty more, and nothing else here needs it.

# %% [markdown]
# Lesson 18 sent the network to its users: each computes alone, and nobody can take a mistake back.
# Here the network stays with us and the questions come to it, which raises two new problems: many ask at the same time, and some ask nonsense.
#
# ## Set-up
#
# No framework is imported here.
# A client does not need one, and neither does this notebook, which plays the client: the framework lives in the server's process.

# %% tags=["classroom"]
import asyncio
import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np

# %% [markdown]
# The rest of the tools, most of them from Python's own library:

# %%
import atexit
import ctypes
import http.client
import importlib
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import matplotlib.pyplot as plt
import psutil
from IPython.core.magic import register_cell_magic

import tandem
from tandem import data, judge, plots, records

# %% [markdown]
# ## Parameters
#
# Every knob of this lesson:

# %% tags=["parameters"]
requests_a_point = 300  # 20 to 5000: of each measurement under load
largest_batch = 32  # 1 to 512: images that the network gets at once
longest_wait = 0.003  # 0 to 0.2: seconds for which a batch is gathered
# 1 runs the section on Ray Serve, which takes 1 to 2 GB of memory
ray_serve = 0  # 0 to 1

# %% [markdown]
# What a machine makes of these values is *asserted* in bounds, and only for the values above: with your own, nothing stops you.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("19_serving", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# A server is made of files, so this lesson writes some.
# `%%write NAME` at the top of a cell puts the rest of the cell into a file of a temporary folder, which disappears with this notebook's kernel.

# %% tags=["folded"]
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)


@register_cell_magic("write")
def write(name, text):
    (folder / name).write_text(text, encoding="utf-8")
    sys.modules.pop(name.removesuffix(".py"), None)  # in case we have it
    importlib.invalidate_caches()
    print(f"{name}: {len(text.splitlines())} lines")


sys.path.insert(0, str(folder))  # so that we can import them here, too

# %% [markdown]
# And a server is a process of its own.
# The next cell says in which surroundings ours run: one computing thread, no GPU, no talk.

# %% tags=["folded"]
surroundings = os.environ | {
    "PYTHONPATH": str(pathlib.Path(tandem.__file__).parents[1]),
    "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore",
    "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(folder),
}


def run(*arguments, **more):
    """Runs Python in the folder to its end; returns the ended process."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=surroundings | more,
        capture_output=True, text=True)


def output(*arguments, **more):
    done = run(*arguments, **more)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout.strip()

# %% [markdown]
# ## What is served
#
# The judge of clothes: three convolutions, the mean of each channel, ten logits, with the trained weights that lesson 11 ships.
# Lesson 16's rule holds: scaling belongs into the program.
# So the program takes brightness as a camera gives it, 0 to 255, and scales it to -1 to 1 itself.

# %% tags=["pytorch"]
%%write network.py
import torch
import torch.nn.functional as F
from torch import nn

from tandem.pytorch import load_weights


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, 32, 3, padding=1)
        self.convolution_2 = nn.Conv2d(32, 64, 3, padding=1)
        self.convolution_3 = nn.Conv2d(64, 64, 3, padding=1)
        self.output = nn.Linear(64, 10)

    def forward(self, images):
        maps = F.max_pool2d(F.relu(self.convolution_1(images)), 2)
        maps = F.max_pool2d(F.relu(self.convolution_2(maps)), 2)
        return self.output(F.relu(self.convolution_3(maps)).mean((-2, -1)))


def build_classifier(starting):
    return load_weights(Classifier(), starting).eval()

# %% [markdown] tags=["pytorch"]
# A server that can take a version back has two of them.
# Ours differ by little, so that it can be seen which one answers: in version 2 every weight is rounded to 16 bits.
# First the program itself, and both versions of its weights:

# %% tags=["pytorch"]
%%write program.py
from torch import nn

from network import build_classifier
from tandem import data


class Program(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        """Brightness 0 to 255, (batch, 1, 28, 28), to 10 logits each."""
        return self.network(images / 127.5 - 1)


def versions():
    whole = data.fashion_classifier()
    yield 1, whole
    yield 2, {layer: {kind: array.astype("float16").astype("float32")
                      for kind, array in arrays.items()}
              for layer, arrays in whole.items()}

# %% [markdown] tags=["pytorch"]
# Then the script that exports each into a numbered folder, as a `.pt2` program; it also leaves the answers to 200 test images, for us to hold the server against:

# %% tags=["pytorch"]
%%write export.py
import numpy as np, pathlib, torch

from program import Program, build_classifier, versions

images = torch.as_tensor(np.load("images.npy")).float()[:, None]
any_batch = {"images": {0: torch.export.Dim("batch")}}
example = torch.zeros(2, 1, 28, 28)
for number, weights in versions():
    program = Program(build_classifier(weights)).eval()
    folder = pathlib.Path("versions", str(number))
    folder.mkdir(parents=True, exist_ok=True)
    exported = torch.export.export(program, (example,),
                                   dynamic_shapes=any_batch)
    torch.export.save(exported, folder / "program.pt2")
    with torch.inference_mode():
        np.save(f"answers_{number}.npy", program(images).numpy())

# %% tags=["tensorflow"]
%%write network.py
from tandem.tensorflow import load_weights  # first: quiet from the start

import keras
from keras import layers


def build_classifier(starting):
    same = {"padding": "same", "activation": "relu"}
    network = keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, name="convolution_1", **same),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, name="convolution_2", **same),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, name="convolution_3", **same),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, name="output"),
    ], name="classifier")
    return load_weights(network, starting)

# %% [markdown] tags=["tensorflow"]
# A server that can take a version back has two of them.
# Ours differ by little, so that it can be seen which one answers: in version 2 every weight is rounded to 16 bits.
# First the program itself, and both versions of its weights:

# %% tags=["tensorflow"]
%%write program.py
from network import build_classifier

import keras
from keras import layers

from tandem import data


def make_program(network):
    """Brightness 0 to 255, (batch, 28, 28, 1), to 10 logits each."""
    images = keras.Input((28, 28, 1), name="images")
    scaled = layers.Rescaling(1 / 127.5, offset=-1)(images)
    return keras.Model(images, network(scaled), name="program")


def versions():
    whole = data.fashion_classifier()
    yield 1, whole
    yield 2, {layer: {kind: array.astype("float16").astype("float32")
                      for kind, array in arrays.items()}
              for layer, arrays in whole.items()}

# %% [markdown] tags=["tensorflow"]
# Then the script that exports each into a numbered folder, as a SavedModel; it also leaves the answers to 200 test images, for us to hold the server against:

# %% tags=["tensorflow"]
%%write export.py
from program import build_classifier, make_program, versions

import numpy as np

images = np.load("images.npy").astype("float32")[..., None]
for number, weights in versions():
    program = make_program(build_classifier(weights))
    program.export(f"versions/{number}", verbose=False)
    np.save(f"answers_{number}.npy", program(images, training=False))

# %% [markdown]
# Run it, and read the answers back.
# `tandem.judge` knows the same network in plain NumPy, so we can tell whether they are right without asking the framework that gave them:

# %%
_, (test_images, test_labels) = data.fashion_mnist(1)
images = np.round(test_images[:200] * 255).astype("uint8")
np.save(folder / "images.npy", images)
output("export.py")
expected = {number: np.load(folder / f"answers_{number}.npy")
            for number in (1, 2)}

output_layer = data.fashion_classifier()["output"]


def by_numpy(brightness):
    features, _ = judge.describe(brightness / 127.5 - 1)
    return features @ output_layer["kernel"] + output_layer["bias"]


agree = np.abs(expected[1] - by_numpy(images)).max() < 1e-4
right = np.mean(expected[1].argmax(1) == test_labels[:200])
apart = np.abs(expected[1] - expected[2]).max()
print(f"{right:.1%} of 200 images right; as in NumPy: {agree}")
print(f"version 2 is another, but close: {1e-4 < apart < 0.1}")
assert agree and 1e-4 < apart < 0.1

# %% [markdown]
# The server will need one function of the framework, so that one is all that we write for each:

# %% tags=["pytorch"]
%%write model.py
import pathlib

import torch

torch.set_num_threads(1)  # a server's cores are for its requests


def load(folder):
    """predict(images): float32 (n, 28, 28) in, logits (n, 10) out."""
    file = pathlib.Path(folder, "program.pt2")
    program = torch.export.load(file).module()

    @torch.inference_mode()
    def predict(images):
        return program(torch.as_tensor(images)[:, None]).numpy()

    return predict

# %% tags=["tensorflow"]
%%write model.py
import tensorflow as tf


def load(folder):
    """predict(images): float32 (n, 28, 28) in, logits (n, 10) out."""
    loaded = tf.saved_model.load(folder)
    endpoint = loaded.signatures["serving_default"]

    def predict(images):
        answers = endpoint(images=tf.constant(images[..., None]))
        return answers["output_0"].numpy()

    return predict

# %% [markdown]
# ## The first server, which believes everything
#
# HTTP is text over a connection: a path, a few headers (lines `name: value`, such as the kind of content), a body; back comes a status and another body.
# Of its kinds of request we need two: GET fetches, POST brings a body.
# In Python a web application is a function that is called once for each request.
# The agreement between that function and the program that holds the connections is called **ASGI**; ours is written with *Starlette*, and *uvicorn* holds the connections.
#
# An `async def` function is a **coroutine**: it runs until an `await`, there steps aside, and the **event loop** runs another one that can go on.
# One thread, many requests under way, no two at the same instant; a coroutine that the loop runs beside others is a *task*.
#
# Here is about the shortest server that there is for a network:

# %%
%%write naive.py
import numpy as np
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

import model

predict = model.load("versions/1")


async def answer(request):
    content = await request.json()
    logits = predict(np.array([content["image"]], "float32"))
    return JSONResponse({"logits": logits[0].tolist()})


async def ready(request):
    return JSONResponse("ready")


app = Starlette(routes=[Route("/predict", answer, methods=["POST"]),
                        Route("/ready", ready)])

# %% [markdown]
# Starting and stopping a process is dull and easy to get wrong, so once and for all:
# the port (the number by which a program of a machine is found) is one that the system says is free, the address is 127.0.0.1, which no other machine can reach, `with` waits until the server is ready and stops it at the end, and if this kernel ends first, so do its servers.

# %% tags=["folded"]
running = set()


def start(command, more, stop):
    """A process in a group of its own, which Ctrl-C here does not reach."""
    def end_with_us():  # Linux sends it `stop` even if we are killed
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, stop)

    with open(folder / "server.log", "w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=surroundings | more, stdout=log,
            stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=end_with_us)
    running.add(process)
    return process


def end_group(process):
    """Whatever is still there of a server and of what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    running.discard(process)

# %% [markdown]
# A free port, and the end of all:

# %% tags=["folded"]
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@atexit.register
def end_all():
    for process in list(running):
        end_group(process)

# %% [markdown]
# The server as a context manager:

# %% tags=["folded"]
class Server:
    log = folder / "server.log"  # what the server says for itself

    def __init__(self, *command, port=None, ready="/ready",
                 stop=signal.SIGTERM, **more):
        self.port, self.ready, self.stop = port or free_port(), ready, stop
        words = [str(word).replace("PORT", str(self.port)) for word in command]
        self.process = start(words, more, stop)

    def __enter__(self):
        limit = time.monotonic() + 90
        while ask(self.port, self.ready)[0] != 200:
            if self.process.poll() is not None or time.monotonic() > limit:
                end_group(self.process)
                raise RuntimeError(self.log.read_text()[-800:])
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.send_signal(self.stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        end_group(self.process)

# %% [markdown]
# And a client: it sends one request and returns the status with what came back, or `None` where nobody answers any more.

# %%
def ask(port, path, body=None):
    """(status, content) of one request; content is JSON where it can be."""
    to = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        to.request("GET" if body is None else "POST", path, body,
                   {"Content-Type": "application/json"})
        response = to.getresponse()
        text = response.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return None, type(error).__name__
    finally:
        to.close()
    with contextlib.suppress(ValueError):
        return response.status, json.loads(text)
    return response.status, text


def body_of(image):
    return json.dumps({"image": np.asarray(image).tolist()}).encode()

# %% [markdown]
# An ordinary request:

# %%
def uvicorn(app):
    return (sys.executable, "-m", "uvicorn", app, "--port", "PORT",
            "--host", "127.0.0.1", "--log-level", "critical")


with Server(*uvicorn("naive:app")) as naive:
    status, content = ask(naive.port, "/predict", body_of(images[0]))
apart = np.abs(content["logits"] - expected[1][0]).max()
print(status, data.FASHION_CLASSES[np.argmax(content["logits"])],
      f"(true: {data.FASHION_CLASSES[test_labels[0]]})")
print(f"as export.py had it, to within 1e-5: {apart < 1e-5}")
assert apart < 1e-5

# %% [markdown]
# It works, and many stop here.
# Now what a server on the open net gets on its first day.
# Each of these bodies is wrong; what does our server say?

# %%
no_number = images[0].astype("float32")
no_number[3, 3] = np.nan  # Python writes NaN, which is not even JSON
wrong_bodies = {
    "a row of pixels lost": body_of(images[0][:27]),
    "one pixel is NaN": body_of(no_number),
    "brightness up to 65,535": body_of(images[0].astype("int64") * 257),
    "no JSON": b'{"image": [[0, 0',
    "20 MB": body_of(images[0])[:-1] + b" " * 20_000_000 + b"}",
    "one row alone": body_of(images[0][14]),
}


def replies(port, path="/predict"):
    """{wrong body: status or None}, and whether the server still answers."""
    found = {name: ask(port, path, body)[0]
             for name, body in wrong_bodies.items()}
    return found, ask(port, path, body_of(images[0]))[0] == 200

# %% [markdown]
# All six, and then a right one:

# %%
with Server(*uvicorn("naive:app")) as naive:
    believed, lives = replies(naive.port)
    exit_code = None if lives else naive.process.wait(30)
for name, status in believed.items():
    print(f"{name:26}{status or 'no answer'}")
print("the server still answers:", lives)

# %% [markdown]
# 200 says *here is your answer*, 400 to 499 *you made a mistake*, 500 and above *I did*.
# Two kinds of lies here: a 200 for what is no image, and a 500 for a mistake that was the client's, at which an alarm rings at our place at night.
# (The 20 MB are a right request and a great many blanks.)

# %% [markdown] tags=["pytorch"]
# The program checked the shape, because `torch.export` has written a guard for each size that was fixed.
# Of values no guard knows anything: brightness of 65,535 gets an answer like any other, and the NaN failed only because the answer was NaN, too, which JSON cannot write.
#
# An unexported module would have said less.
# PyTorch's convolution takes three axes as *one image without a batch*, and the network takes any height:

# %% [markdown] tags=["tensorflow"]
# Even for the NaN came ten ordinary numbers (of a NaN Starlette makes no JSON: it would have been a 500).
# And then one request in which the batch was one axis short, and there is no server any more.
# Not an error: the process is gone, with everyone who was waiting.
# Its last words:

# %% tags=["pytorch"]
%%write eager.py
import torch

from program import Program, build_classifier, data

program = Program(build_classifier(data.fashion_classifier())).eval()
for shape in ((1, 28, 28), (2, 28, 28), (1, 1, 27, 28)):
    try:
        print(shape, "gives", tuple(program(torch.zeros(shape)).shape))
    except RuntimeError as error:
        print(shape, str(error).split(", expected ")[-1])

# %% [markdown] tags=["pytorch"]
# Run by itself:

# %% tags=["pytorch"]
print(output("eager.py"))
assert exit_code is None and lives

# %% [markdown] tags=["pytorch"]
# One image sent without its batch axis is answered, with an axis missing from the answer; two are refused, because now they look like two channels; 27 rows are answered as if nothing were wrong.
# So the shape is to be checked before the network sees it, whatever the framework.

# %% tags=["tensorflow"]
words = naive.log.read_text().splitlines()
failed = [line for line in words if "Check failed" in line]
print("exit code", exit_code)
print(*(textwrap.shorten(line[line.index("Check failed") :], 79)
        for line in failed[:1]))
assert lives == (exit_code is None)

# %% [markdown] tags=["tensorflow"]
# A check in TensorFlow's C++ code failed, where convolutions are handed to oneDNN, a library that TensorFlow uses by default on x86 processors; and a failed check ends the process (exit code −6: by signal 6, SIGABRT).
# No `try` in Python can catch that.
# It is known ([issue 111453](https://github.com/tensorflow/tensorflow/issues/111453) of March 2026, open when read on 27 November 2026, with a mend proposed in [112650](https://github.com/tensorflow/tensorflow/pull/112650)).
# With `TF_ENABLE_ONEDNN_OPTS=0`, or on another kind of processor, it is an ordinary error, and the numbers here will be others.
#
# It can be had without a server, and in a process of its own it does no harm.
# The same program through the function `serve`, which Keras puts beside the endpoint, answers as one would wish:

# %% tags=["tensorflow"]
%%write wrong_rank.py
import sys, tensorflow as tf

loaded = tf.saved_model.load("versions/1")
ways = {"signature": loaded.signatures["serving_default"],
        "serve": loaded.serve}
way = ways[sys.argv[1]]
for shape in ((1, 27, 28, 1), (1, 28, 28)):
    try:
        way(tf.zeros(shape))
        print(shape, "is answered", flush=True)
    except (TypeError, tf.errors.InvalidArgumentError) as error:
        print(shape, type(error).__name__, flush=True)

# %% [markdown] tags=["tensorflow"]
# By the one way, then by the other:

# %% tags=["tensorflow"]
x86 = platform.machine() in ("x86_64", "AMD64")
by_onednn = x86 and os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
for way in ("signature", "serve"):
    ended = run("wrong_rank.py", way)
    told = ended.stdout.strip().splitlines()
    print(f"{way}: exit code {ended.returncode}", *told, sep="\n    ")
    ends = way == "signature" and by_onednn
    assert ended.returncode == (-signal.SIGABRT if ends else 0)

# %% [markdown] tags=["tensorflow"]
# The endpoint `signatures["serving_default"]` takes what it gets; `serve` is a `tf.function` with a signature that it enforces, and a `TypeError` can be caught.
# So `model.py` is to call `serve`, and the shape is to be checked before the network sees it all the same: a library may be mended or broken by its next version, our check is ours.

# %% tags=["tensorflow"]
%%write model.py
import tensorflow as tf


def load(folder):
    """predict(images): float32 (n, 28, 28) in, logits (n, 10) out."""
    loaded = tf.saved_model.load(folder)

    def predict(images):
        return loaded.serve(tf.constant(images[..., None])).numpy()

    return predict

# %% [markdown]
# ## Check before you compute
#
# What a request may be is a contract, and it is worth a file of its own, in which no framework and no web framework occurs.
# Whoever breaks it gets `Refused`, with a status and a reason that helps to mend it:

# %%
%%write contract.py
import numpy as np

LARGEST_BODY = 100_000  # bytes; an image in full precision takes 10,000


class Refused(Exception):
    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


def checked(content):
    """A float32 image of the content that a client sent, or Refused."""
    try:
        image = np.array(content["image"], "float32")
    except Exception:  # whatever a stranger's content does to NumPy
        raise Refused(400, 'send {"image": 28 rows of 28 numbers}') from None
    if image.shape != (28, 28):
        raise Refused(400, f"image has shape {image.shape}, not (28, 28)")
    if not ((image >= 0) & (image <= 255)).all():  # NaN is neither
        raise Refused(400, "brightness is not between 0 and 255")
    return image

# %% [markdown]
# The body is read before there is content, and reading is where 20 MB would do their harm: a hundred clients with 20 MB each are two gigabytes.
# So we stop keeping what arrives once it is too much (and read on, so that the client hears our answer):

# %%
%%write reading.py
import json

from contract import LARGEST_BODY, Refused, checked


async def read_image(request):
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size <= LARGEST_BODY:
            parts.append(part)
    if size > LARGEST_BODY:
        raise Refused(413, f"{size:,} bytes; {LARGEST_BODY:,} are allowed")
    try:
        content = json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    return checked(content)

# %% [markdown]
# (NumPy takes `"12"` and `true` for the numbers 12 and 1, and so does this check; both do no harm.
# Status 413 means: too large.)
#
# Will it refuse all six?
# `checked` needs no server to be tried:

# %%
from contract import Refused, checked

for name, body in wrong_bodies.items():
    try:
        checked(json.loads(body))
        print(f"{name:26}passes: its size is for read_image")
    except Refused as refused:
        print(f"{name:26}{refused.status} {refused}")
    except ValueError:
        print(f"{name:26}no content: this is for read_image, too")

# %% [markdown]
# ### What to send *(optional)*
#
# Our contract asks for brightness from 0 to 255, not for what the network computes with, -1 to 1.
# That is kinder to clients, and it is shorter and exact: a camera's bytes are whole numbers.
# Who sends scaled numbers as text is tempted to shorten them.
# What that costs, worked out with the NumPy judge:

# %%
scaled = images[:50] / 127.5 - 1
ways_to_send = {"bytes, 0 to 255": images[:50], "scaled, in full": scaled,
                "scaled, four decimals": np.round(scaled, 4)}
for name, sent in ways_to_send.items():
    used = sent if name.startswith("bytes") else (sent + 1) * 127.5
    error = np.abs(by_numpy(used) - by_numpy(images[:50])).max()
    size = np.mean([len(body_of(image)) for image in sent]) / 1000
    told = f"{error:.0e}" if error > 1e-6 else "none"
    print(f"{name:24}{size:5.1f} kB, error of the logits {told}")
    assert (error < 1e-6) != name.endswith("decimals")

# %% [markdown]
# Four decimals look like plenty, and cost more than the server and JSON together, which stay below 1e-5.
# Our own answers go out in full precision for the same reason.

# %% [markdown]
# ## What a call costs
#
# How many images a second can such a server answer?
# At most as many as its network, so let us time that alone: one image, and more at once.

# %%
%%write timing.py
import json, time
import numpy as np
import model

predict = model.load("versions/1")
found = {}
for size in (1, 2, 4, 8, 16, 32, 64):
    batch, times = np.zeros((size, 28, 28), "float32"), []
    for _ in range(40):
        start = time.perf_counter()
        predict(batch)
        times.append(time.perf_counter() - start)
    found[size] = sorted(times)[len(times) // 4]
print(json.dumps(found))

# %% [markdown]
# The lower quartile of 40 calls each.
# (The two settings are for the C library of Linux, and are ignored elsewhere: it shall keep the memory of a large batch, and not fetch it anew for each call.
# Our servers get them, too.)

# %% tags=["nbval-ignore-output"]
keeping = {"MALLOC_TRIM_THRESHOLD_": "1000000000",
           "MALLOC_MMAP_THRESHOLD_": "1000000000"}
told = json.loads(output("timing.py", **keeping))
sizes = [int(size) for size in told]
an_image = [1000 * seconds / int(size) for size, seconds in told.items()]
gain = an_image[0] / min(an_image)
_, axes = plt.subplots()
plots.curves({"one call": (sizes, an_image)},
             f"An image costs up to {gain:.1f} times less in company",
             "images in one call", "ms an image", axes=axes)
axes.set_xscale("log", base=2)
axes.set_xticks(sizes, sizes)
axes.set_ylim(0)
assert gain > 1.3 or not as_shipped

# %% [markdown]
# A call has a price of its own, whatever is in it: Python, the framework's bookkeeping, starting each operation.
# Alone, an image pays all of it.
# On a GPU, of which one image leaves most idle, the difference is larger still (not measured here).
#
# But our visitors come one by one.
# They would have to be put together.

# %% [markdown]
# ## Gathering a batch
#
# The idea fits in one sentence: a request does not call the network; it joins a queue and waits, and one worker takes several from the queue, calls the network once, and hands each its row of the answer.
# Two numbers say when the worker stops gathering: the batch is full, or `wait` has passed since the worker took the first one (not since that one arrived: while the network is busy, nobody takes anything).
# This is called **dynamic batching** or micro-batching, and it is the heart of every model server.

# %%
%%write batcher.py
import asyncio
import contextlib


class Batcher:
    """Calls `predict` with up to `largest` images, gathered for `wait` s."""

    def __init__(self, predict, largest, wait):
        self.predict, self.largest, self.wait = predict, largest, wait
        self.queue = asyncio.Queue()

    async def answer(self, image):
        place = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((image, place))
        return await place  # until `work` (worker.py) puts the answer there

    async def gather(self):
        batch = [await self.queue.get()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.wait):
                while len(batch) < self.largest:
                    batch.append(await self.queue.get())
        return batch

# %% [markdown]
# A **future** is a place for a value that is not there yet; who awaits it sleeps until it is.
# `gather` waits without limit for a first image, because without one there is nothing to do, and from then on the clock runs.
# With a `wait` of 0 it still takes what is there: `get` does not step aside while the queue holds something, and only where a coroutine steps aside can the time be up.
# The queue has no limit: where more arrives than the network can bear, it only grows, and a server for strangers should then say 503, *busy* (ours does not).
#
# The worker's loop must survive everything: if the network fails, those in the batch are told, and the next batch is gathered; if someone has given up waiting, that place is left alone.
# (In our own server nobody gives up: when a client hangs up, Starlette lets the coroutine go on, and the answer is computed for nobody.)

# %%
%%write worker.py
import numpy as np


async def work(batcher):
    """Answers what waits in the batcher's queue, batch after batch."""
    while True:
        images, places = zip(*await batcher.gather())
        try:
            answers = await batcher.predict(np.stack(images))
            pairs = list(zip(places, answers, strict=True))  # a row each
        except Exception as error:
            pairs = [(place, error) for place in places]
        for place, answer in pairs:
            if place.done():  # given up
                continue
            if isinstance(answer, Exception):
                place.set_exception(answer)
            else:
                place.set_result(answer)

# %% [markdown]
# Does it do what we think?
# With real clocks that is hard to say, because no two runs are the same.
# So we run it on a clock of our own: an event loop that never sleeps but sets its clock forward to the next thing that is due.
# A day takes no time at all, and every run is the same to the last digit.
# One unit of this clock we call a millisecond.

# %% tags=["classroom", "folded"]
class Simulated(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to whatever is due next."""

    now, steps = 0.0, 0

    def time(self):
        return self.now

    def _run_once(self):
        self.steps += 1
        assert self.steps < 20_000, "something asks again and again"
        if not self._ready:
            due = [one.when() for one in self._scheduled
                   if not one.cancelled()]
            assert due, "everyone waits, and nobody is left to answer"
            self.now = max(self.now, min(due))
        super()._run_once()

# %% [markdown]
# A notebook has an event loop already, so ours runs in a thread:

# %% tags=["classroom", "folded"]
def simulate(coroutine):
    """Runs it on a simulated clock, in a thread with a loop of its own."""
    def run_it():
        with asyncio.Runner(loop_factory=Simulated) as runner:
            return runner.run(coroutine)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run_it).result()

# %% [markdown]
# (`_run_once`, `_ready` and `_scheduled` are asyncio's own, marked private, and may change.)
# The worker never ends, and visitors do: `beside` runs both, returns what the visitors got, and complains if the worker has stopped first.

# %% tags=["classroom", "folded"]
async def beside(endless, ending):
    """What `ending` gives; or the error, if `endless` ends before it."""
    working = asyncio.create_task(endless)
    await asyncio.wait([ending, working], return_when="FIRST_COMPLETED")
    if working.done():
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ending
        working.result()
        raise AssertionError("the worker has ended; it is to go on for ever")
    return await ending

# %% [markdown]
# A day is then a function of who arrives when; `make` builds the desk where they leave their images, here a `Batcher`, and `work` is the worker.
# The network is played by a sleep, which takes half a millisecond and a tenth more for each image.

# %% tags=["classroom"]
async def day_at_the_server(make, work, arrivals, largest, wait):
    """Visitors by their number: [(begin, end, numbers)], [when answered]."""
    loop, batches = asyncio.get_running_loop(), []

    async def network(numbers):
        begin = loop.time()
        await asyncio.sleep(0.5 + 0.1 * len(numbers))
        batches.append((begin, loop.time(), [int(one) for one in numbers]))
        return np.asarray(numbers) * 10

    async def visitor(number, arrival):
        await asyncio.sleep(arrival)
        answer = await batcher.answer(np.array(number))
        assert answer == number * 10, "a visitor got another one's answer"
        return loop.time()

    batcher = make(network, largest, wait)
    visits = asyncio.gather(*map(visitor, range(len(arrivals)), arrivals))
    return batches, await beside(work(batcher), visits)

# %% [markdown]
# Twelve visitors at random moments, once with a wait of three milliseconds and once with none:

# %%
from batcher import Batcher
from worker import work

arrivals = np.cumsum(np.random.default_rng(3).exponential(0.8, 12)).round(2)
days = {wait: simulate(day_at_the_server(Batcher, work, arrivals, 8, wait))
        for wait in (3, 0)}
for wait, (batches, ends) in days.items():
    sizes_seen = [len(numbers) for _, _, numbers in batches]
    late = np.subtract(ends, arrivals).mean()
    print(f"wait {wait} ms: batches of {sizes_seen}, "
          f"{late:.2f} ms from arrival to answer on average")

# %% [markdown]
# Drawn, with a line for each visitor:

# %%
figure, panels = plt.subplots(2, figsize=(7.0, 5.4), sharex=True)
for axes, (wait, (batches, ends)) in zip(panels, days.items()):
    for begin, end, numbers in batches:
        for one in numbers:
            axes.barh(one, begin - arrivals[one], 0.6, arrivals[one],
                      color=plots.OTHERS[1], alpha=0.5)
            axes.barh(one, end - begin, 0.6, begin, color=plots.OTHERS[4])
    late = np.subtract(ends, arrivals).mean()
    axes.set(title=f"Wait at most {wait} ms: {len(batches)} calls of the "
             f"network, answered after {late:.1f} ms on average",
             ylabel="visitor", yticks=range(12))
    axes.grid(axis="y", visible=False)
    axes.set_xlim(left=0)
    axes.invert_yaxis()
panels[1].set_xlabel("ms (light: in the queue, dark: in the network)")
plots.describe("Two timelines of the same twelve visitors. With a wait of "
               "3 ms they stand in the queue until few large batches form; "
               "with none, batches are small and everyone is answered sooner.")

# %% [markdown]
# Look at the lower panel.
# Nobody waited *for* a batch there, and still not everyone was alone: who arrives while the network is busy meets others in the queue.
# Batches form by themselves when there are many visitors, and that is when they are needed.
# So is the wait good for anything?
# That depends on the load, and load can be measured.

# %% [markdown]
# ## The server: versions, health, metrics
#
# First the rest of what a server is asked for.
# **Metrics** are numbers that it gives about itself, for a program such as Prometheus, which fetches them every few seconds as text.
# Counters only grow; a histogram counts how many answers took at most so long, from which percentiles follow (exercise 2).

# %%
%%write metrics.py
import bisect
import collections

BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
answers = collections.Counter()  # by status
seconds = collections.Counter()  # by the place of their bound
total = collections.Counter()


def observe(status, duration):
    answers[status] += 1
    seconds[bisect.bisect_left(BOUNDS, duration)] += 1
    total["sum"] += duration


def text():
    lines = [f'answers_total{{status="{status}"}} {count}'
             for status, count in sorted(answers.items())]
    so_far = 0
    for place, bound in enumerate((*BOUNDS, "+Inf")):
        so_far += seconds[place]
        lines.append(f'answer_seconds_bucket{{le="{bound}"}} {so_far}')
    lines.append(f"answer_seconds_sum {total['sum']}")
    return "\n".join([*lines, f"answer_seconds_count {so_far}", ""])

# %% [markdown]
# **Versions**: every folder in `versions` is loaded, with a batcher of its own; a path without a number means the newest.
# **Health** is two questions: is the process alive, which any answer proves, and is it *ready*, which it is once its programs are loaded and have computed.
# The first call is the slowest, and no visitor should meet it.

# %%
%%write loading.py
import asyncio
import functools
import os
import pathlib

import numpy as np

import model
from batcher import Batcher

largest, wait = int(os.environ["LARGEST"]), float(os.environ["WAIT"])


def batcher_of(folder):
    predict = model.load(str(folder))
    for size in (1, largest):  # warm up
        predict(np.zeros((size, 28, 28), "float32"))
    in_thread = functools.partial(asyncio.to_thread, predict)
    return Batcher(in_thread, largest, wait)


folders = pathlib.Path("versions").iterdir()
batchers = {int(one.name): batcher_of(one) for one in folders}

# %% [markdown]
# The network computes in a thread, so that the server can go on listening meanwhile.
# (That helps, although Python runs one thread at a time: while a framework multiplies, it lets Python go.)
# What is left is the answer itself.
# Every question to the network leaves its status and its time in the metrics, also one that fails because of us: it counts as 500, and an alarm can ring.
# (So does one whose client hangs up while it sends.)

# %%
%%write routes.py
import time

from starlette.responses import JSONResponse

import metrics
from contract import Refused
from loading import batchers
from reading import read_image


async def answer(request):
    begin, status = time.perf_counter(), 500  # until it went well
    try:
        number = request.path_params.get("number", max(batchers))
        if number not in batchers:
            raise Refused(404, f"no version {number}")
        logits = await batchers[number].answer(await read_image(request))
        reply = {"version": number, "logits": logits.tolist()}
        status = 200
    except Refused as refused:
        reply, status = {"error": str(refused)}, refused.status
    finally:
        metrics.observe(status, time.perf_counter() - begin)
    return JSONResponse(reply, status)

# %% [markdown]
# The workers run as long as the server does:

# %%
%%write life.py
import asyncio
import contextlib

from loading import batchers
from worker import work


@contextlib.asynccontextmanager
async def lifespan(app):
    workers = [asyncio.create_task(work(one)) for one in batchers.values()]
    yield  # the server serves
    for worker in workers:
        worker.cancel()

# %% [markdown]
# And which path leads where:

# %%
%%write server.py
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

import metrics
from life import lifespan
from loading import batchers
from routes import answer


async def ready(request):
    return JSONResponse(sorted(batchers))


async def report(request):
    return PlainTextResponse(metrics.text())


app = Starlette(lifespan=lifespan, routes=[
    Route("/predict", answer, methods=["POST"]),
    Route("/versions/{number:int}/predict", answer, methods=["POST"]),
    Route("/ready", ready), Route("/metrics", report),
])

# %% [markdown]
# (`ready` never says no: uvicorn opens the port only when this file is imported, and with it `loading`, which has warmed up by then.
# Before that nobody answers at all, and who asks takes that for a no.)
#
# Up with it, and everything that we have asked for at once: both versions, one that does not exist, the six wrong bodies.

# %%
def own_server(largest=largest_batch, wait=longest_wait):
    return Server(*uvicorn("server:app"), LARGEST=str(largest),
                  WAIT=str(wait), **keeping)


with own_server() as own:
    print("ready, with versions", ask(own.port, "/ready")[1])
    for number in (1, 2, 9):
        path = f"/versions/{number}/predict"
        status, content = ask(own.port, path, body_of(images[0]))
        if status == 200:
            wanted = expected[number][0]
            content = np.abs(content["logits"] - wanted).max() < 1e-5
            assert content
        print(f"version {number}: {status}", content)
    refused, lives = replies(own.port)
    counted = ask(own.port, "/metrics")[1]

# %% [markdown]
# (`True`: the answer is the one that `export.py` had, to within 1e-5.)
# And the wrong ones, with what the server has counted:

# %%
for name, status in refused.items():
    print(f"{name:26}{status}")
print("the server still answers:", lives)
print(*[line for line in counted.splitlines()
        if line.startswith(("answers_total", "answer_seconds_count"))],
      sep="\n")
assert lives and all(400 <= status < 500 for status in refused.values())

# %% [markdown]
# Does it listen to this machine alone?
# And when it stops, is its port free again?
# Two helpers that ask the system:

# %% tags=["folded"]
def listens_at(server):
    """The addresses at which a server's processes listen."""
    first = psutil.Process(server.process.pid)
    # gRPC writes IPv4 addresses as IPv6 does
    return {found.laddr.ip.removeprefix("::ffff:")
            for process in (first, *first.children(recursive=True))
            for found in process.net_connections("inet")
            if found.status == psutil.CONN_LISTEN}


def is_free(port):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", port))
    return True

# %% [markdown]
# And how much memory does it take, with both versions and the framework?

# %% tags=["nbval-ignore-output"]
with own_server() as own:
    addresses = listens_at(own)
    server_bytes = psutil.Process(own.process.pid).memory_info().rss
print("listens at", *addresses, "and then the port is free:",
      is_free(own.port))
print(f"{server_bytes / 1e6:.0f} MB of memory")
assert addresses == {"127.0.0.1"}

# %% [markdown]
# ## Under load
#
# A **load test** plays many clients at once.
# Each of ours is a thread that keeps its connection open and sends its next request as soon as it has an answer, so the number of clients is the number of requests that are on their way at any time.
# Of the times we keep **percentiles**: half of all requests were faster than the 50th, one in a hundred was slower than the 99th.
# A mean would hide that one, and it is the one who complains.
# (Of 300 requests the 99th percentile is about the fourth slowest, no more; and our clients compute on the same cores as the server.)

# %%
bodies = [body_of(image) for image in images[:50]]


def one_client(port, path, bodies, numbers, done):
    """Sends requests until `numbers`, which all clients share, is empty."""
    to = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for number in numbers:
        begin = time.perf_counter()
        to.request("POST", path, bodies[number % len(bodies)],
                   {"Content-Type": "application/json"})
        response = to.getresponse()
        response.read()
        done.append((response.status, time.perf_counter() - begin))
    to.close()

# %% [markdown]
# With that a test is a few lines.
# A failed request fails the test:

# %%
def load_test(port, clients, path="/predict", bodies=bodies):
    """[requests a second, and of their ms the percentiles 50, 95, 99]"""
    work = port, path, bodies, iter(range(requests_a_point)), (done := [])
    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        for one in [threads.submit(one_client, *work) for _ in range(clients)]:
            one.result()
    rate = len(done) / (time.perf_counter() - begin)
    statuses, times = zip(*done)
    assert statuses == (200,) * requests_a_point, "a request failed"
    return [rate, *np.percentile(times, [50, 95, 99]) * 1000]

# %% [markdown]
# Three settings: one image at a time; batches that are waited for; batches of what has gathered meanwhile, without a wait.
# For this measurement alone, one server has all three: in place of the versions stand three batchers, which share a network.

# %%
%%write three.py
import json, os

from batcher import Batcher
from loading import batchers
from server import app  # for uvicorn to find

predict = batchers[1].predict
batchers.clear()
for number, setting in enumerate(json.loads(os.environ["SETTINGS"])):
    batchers[number] = Batcher(predict, *setting)

# %% [markdown]
# One measurement can be far off where the machine has other things to do.
# So there are three rounds, in which the settings take turns, and of each point we keep the median:

# %%
clients = [1, 2, 4, 8, 16, 32]
waits = f"wait up to {longest_wait * 1000:.0f} ms"
settings = {"one at a time": (1, 0), waits: (largest_batch, longest_wait),
            "no wait": (largest_batch, 0)}
paths = [f"/versions/{number}/predict" for number in range(len(settings))]
with Server(*uvicorn("three:app"), LARGEST=str(largest_batch), WAIT="0",
            SETTINGS=json.dumps(list(settings.values())), **keeping) as own:
    for path in paths:
        load_test(own.port, 8, path)  # the first requests are not typical
    rounds = [[[load_test(own.port, n, path) for path in paths]
               for n in clients] for _ in range(3)]
    alive = ask(own.port, "/ready")[0] == 200
medians = np.median(rounds, axis=0)  # (clients, settings, what)
loads = {name: medians[:, place] for place, name in enumerate(settings)}
print("no request failed, and the server lives:", alive)

# %% [markdown]
# In pictures: on the left what the server achieves, on the right how long a visitor waits.
# (*Beats*, in the title, is meant strictly: by a fifth, and at all later points, too.)

# %% tags=["nbval-ignore-output"]
def faster_from(name, other):
    """The number of clients from which on `name` is a fifth faster."""
    better = rates[name] > 1.2 * rates[other]
    first = (n for place, n in enumerate(clients) if better[place:].all())
    return next((f"from {n} clients on" for n in first), "at none of these")


rates = {name: found[:, 0] for name, found in loads.items()}
_, (rate_axes, wait_axes) = plt.subplots(1, 2, figsize=(9.0, 3.8))
plots.curves({name: (clients, rate) for name, rate in rates.items()},
             "Waiting for a batch beats one at a time\n"
             + faster_from(waits, "one at a time"), "clients at a time",
             "requests a second", axes=rate_axes)
for number, (name, found) in enumerate(loads.items()):
    for place, line, label in ((1, "-", "half of all requests"),
                               (3, ":", "99 of 100")):
        wait_axes.plot(clients, found[:, place], line, label=label,
                       color=plots.OTHERS[number])
wait_axes.legend(*(each[:2] for each in wait_axes.get_legend_handles_labels()))
wait_axes.set(title="Answered within so many ms,\ncolours as on the left",
              xlabel="clients at a time", ylabel="ms", yscale="log")
wait_axes.set_yticks([1, 3, 10, 30], [1, 3, 10, 30])
for axes in (rate_axes, wait_axes):
    axes.set_xscale("log", base=2)
    axes.set_xticks(clients, clients)

# %% [markdown]
# Is it better to wait or not to wait, and how much of a lone request is the network's, timed above?

# %% tags=["nbval-ignore-output"]
ahead = (rates["no wait"] > rates[waits]).sum()
print(f"no wait is ahead of a wait at {ahead} of {len(clients)} points")
lone = loads["one at a time"][0, 1]
print(f"a lone request: {lone:.2f} ms, of which the network {an_image[0]:.2f}")

# %% [markdown]
# With the lesson's values, at least these hold (asserted below):
#
# - **A lone client pays for the wait**, each time: nobody else is coming, and the server waits for them all the same.
#   Its requests a second fall to less than half.
# - **Under load batching pays**: with 32 clients either kind of batch answers more requests a second than one image at a time.
# - **Not to wait costs a lone client little beside that**, and brings much of the gain: the batch gathers while the network is busy.
#
# What a lone request takes beyond the network's share is HTTP, JSON and Python, which are the same in both frameworks.
# And under load a server that computes one image at a time makes the typical visitor wait longest: each call takes one from the queue, and all others stay.
#
# So start with no wait.
# Towards 32 clients a wait comes closer: when this was written no wait was ahead at 5 of the 6 points in PyTorch, all but the last, and at all 6 in TensorFlow; your run may differ.
# A wait can pay where the load is heavy and steady, or a call is dear and nearly free to enlarge (as on a GPU, not measured), and visitors can spare the milliseconds.
# Ready-made servers have the same two numbers: `max_batch_size` and `batch_timeout` in LitServe, `max_batch_size` and `batch_timeout_micros` in TensorFlow Serving, `batchSize` and `maxBatchDelay` in TorchServe.

# %% tags=["folded"]
if as_shipped:
    assert rates[waits][0] < rates["one at a time"][0] / 2
    for name in (waits, "no wait"):
        assert rates[name][-1] > rates["one at a time"][-1], name
    assert rates["no wait"][0] > 0.6 * rates["one at a time"][0]

# %% [markdown]
# ## Stopping without dropping anyone
#
# Servers are stopped all the time: for a new version, for repairs, because a machine is needed elsewhere.
# Someone is always just being answered.
# To see what becomes of them, the next server waits a whole second for each batch.
# A request goes in, and 0.4 seconds later the server is told to stop: once with SIGKILL, which no process can refuse, once with SIGTERM, which is a request to end.
# Another 0.3 seconds later, while the first is still waiting, a second visitor comes.

# %%
def stopped_meanwhile(sign):
    found = []
    with own_server(wait=1) as own:
        visitor = threading.Thread(target=lambda: found.append(
            ask(own.port, "/predict", body_of(images[0]))))
        visitor.start()
        time.sleep(0.4)
        own.process.send_signal(sign)
        time.sleep(0.3)
        late, _ = ask(own.port, "/ready")
        visitor.join()
        own.process.wait(15)
    return found[0][0] or "no answer", late or "no answer", is_free(own.port)


for sign in (signal.SIGKILL, signal.SIGTERM):
    begun, late, free = stopped_meanwhile(sign)
    print(f"{sign.name}: begun before: {begun}; come after: {late}; "
          f"port free: {free}")
    assert (begun == 200) == (sign == signal.SIGTERM)
    assert late == "no answer"

# %% [markdown]
# This is the **graceful stop**: take no new requests, finish what was begun, then end.
# uvicorn does it on SIGTERM, and container systems send that first and SIGKILL some seconds later (Kubernetes after thirty, unless told otherwise).
# Your part is not to catch the signal yourself, and to be done within that time.

# %% [markdown]
# ## LitServe: the same, ready-made
#
# By now we have written more than a hundred lines that every model server needs.
# **LitServe** (from the makers of Lightning) has them: you fill in what is yours, in the order in which a request passes.
# It takes either framework, because it sees only arrays.

# %%
%%write lit_server.py
import litserve
import numpy as np
from fastapi import HTTPException

from contract import Refused, checked


class Judge(litserve.LitAPI):
    def setup(self, device):  # in the worker's process
        import model

        self.network = model.load("versions/1")

    def decode_request(self, request):
        try:
            return checked(request)
        except Refused as refused:
            raise HTTPException(refused.status, str(refused)) from None

    def predict(self, images):  # the batch, or one image where it is 1
        return self.network(np.reshape(images, (-1, 28, 28)))

    def encode_response(self, output):
        return {"logits": output.ravel().tolist()}

# %% [markdown]
# (`batch` and `unbatch` have defaults, which stack arrays and take them apart.)
# The rest starts the server:

# %%
%%write lit.py
import sys

import litserve

from lit_server import Judge

if __name__ == "__main__":
    port, largest, wait = sys.argv[1:]
    api = Judge(max_batch_size=int(largest), batch_timeout=float(wait))
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=int(port), num_api_servers=1,
               generate_client_file=False, log_level="critical")

# %% [markdown]
# **Watch out:** LitServe is stopped with SIGINT, as by Ctrl-C, so that its worker processes end with it.
# In a container the line `STOPSIGNAL SIGINT` of its Dockerfile says so (not tried here).

# %% tags=["nbval-ignore-output"]
command = (sys.executable, "lit.py", "PORT", largest_batch, longest_wait)
with Server(*command, ready="/health", stop=signal.SIGINT,
            **keeping) as lit:
    status, content = ask(lit.port, "/predict", body_of(images[0]))
    apart = np.abs(content["logits"] - expected[1][0]).max()
    by_lit, lit_lives = replies(lit.port)
    load_test(lit.port, 8)
    lit_rates = [load_test(lit.port, n)[0] for n in (1, 32)]
    addresses = listens_at(lit)
print(f"{'requests a second':20}{1:8}{32:8}")
for name, found in (("ours", rates[waits][[0, -1]]), ("LitServe", lit_rates)):
    print(f"{name:20}" + "".join(f"{one:8.0f}" for one in found))
assert apart < 1e-5 and lit_lives and is_free(lit.port)
assert addresses == {"127.0.0.1"}

# %% [markdown]
# A lone client waits for the batch with either.
# With 32 ours was about two to three times as fast in our runs (LitServe's is one measurement, ours a median of three); a likely reason, not examined: there a request passes between processes.
#
# LitServe's answers to the wrong bodies, beside ours:

# %%
print(f"{'':26}ours   LitServe")
for name, status in by_lit.items():
    print(f"{name:26}{refused[name]}    {status}")
print("LitServe still answers:", lit_lives)

# %% [markdown]
# Where our check runs, our statuses come out; a body that is not JSON never reaches `decode_request`, and LitServe 0.2.19 takes the blame for it.
# 20 MB it reads and answers: how much a body may hold is for a proxy to say, a server in front that hands requests on (such as nginx, whose default is 1 MB).
# It starts several workers, one on each GPU, when asked for (`accelerator`, `workers_per_device`): that we have not.

# %% [markdown]
# ## The framework's own server *(optional)*
#
# Both frameworks have brought a server of their own, written in a faster language than Python, with versions and batches, asked by REST (JSON over HTTP) or gRPC (binary messages).

# %% [markdown] tags=["pytorch"]
# PyTorch's is **TorchServe**, a Java program with Python workers.
# It is archived, and version 0.12.0 is its last (more at the end of this lesson).
# You will meet it in older projects, and it still works with today's PyTorch.
# What is yours is the **handler**:

# %% [markdown] tags=["tensorflow"]
# TensorFlow's is **TensorFlow Serving**, written in C++.
# It comes as a container image or as a package for Debian and Ubuntu (`tensorflow-model-server`), and in no Python registry, so it is *not run here*.
# What follows from it is more than the program: its REST and gRPC interface, for which there is an official Python package (`tensorflow-serving-api`, released with each TensorFlow: 2.21.0 is what we use).
# We talk to that interface as its clients do; who answers is a small server of ours.
# With a container system at hand, the real one is started by this line, taken from its documentation and not tried here:
#
# ```
# docker run -p 8500:8500 -p 8501:8501 -e MODEL_NAME=judge \
#     -v "$PWD/versions:/models/judge" tensorflow/serving
# ```
#
# (8500 is gRPC, 8501 REST.)
# It takes our folder as it is: `versions/1`, `versions/2`, each a SavedModel.
# By default it serves the newest, and looks for new ones all the time; for both at once, which our client asks for, it needs a configuration file (`--model_config_file`) whose `model_version_policy` is `all`.

# %% tags=["pytorch"]
%%write handler.py
import numpy as np

import model
from contract import Refused, checked


class Handler:
    def initialize(self, context):
        folder = context.system_properties["model_dir"]
        self.network = model.load(folder)

    def handle(self, requests, context):
        answers, images = [None] * len(requests), {}
        for place, request in enumerate(requests):
            try:
                images[place] = checked(request.get("body"))
            except Refused as refused:
                context.set_response_status(refused.status, idx=place)
                answers[place] = {"error": str(refused)}
        if images:
            logits = self.network(np.stack(list(images.values())))
            for place, row in zip(images, logits):
                answers[place] = {"logits": row.tolist()}
        return answers

# %% [markdown] tags=["pytorch"]
# Here the batch arrives complete, with the bad requests in it: one of them must not spoil it for the others.
# Program, handler and whatever it imports are packed into an archive:

# %% tags=["pytorch", "folded"]
(folder / "store").mkdir(exist_ok=True)
java = shutil.which("java")
tools = pathlib.Path(sys.executable).parent
packed = subprocess.run(
    [tools / "torch-model-archiver", "--model-name", "judge", "--version",
     "1.0", "--serialized-file", "versions/1/program.pt2", "--handler",
     "handler.py", "--extra-files", "model.py,contract.py", "--export-path",
     "store", "--force"], cwd=folder, env=surroundings, capture_output=True)
assert packed.returncode == 0, packed.stderr.decode()[-500:]
print(*(file.name for file in (folder / "store").iterdir()))

# %% [markdown] tags=["pytorch"]
# Its settings are a file of Java properties: five ports, all of which must be told to stay on this machine, and our two numbers.

# %% tags=["pytorch", "folded"]
archive = {"defaultVersion": True, "marName": "judge.mar",
           "minWorkers": 1, "maxWorkers": 1, "batchSize": largest_batch,
           "maxBatchDelay": max(1, round(longest_wait * 1000))}
inference_port = free_port()
ports = {"inference": inference_port, "management": free_port(),
         "metrics": free_port()}
properties = [
    "disable_system_metrics=true",
    f"vmargs=-Xmx256m -XX:-UsePerfData -Djava.io.tmpdir={folder}",
    "models=" + json.dumps({"judge": {"1.0": archive}}),
    *(f"{kind}_address=http://127.0.0.1:{port}"
      for kind, port in ports.items()),
    *(f"grpc_{kind}_port={free_port()}\ngrpc_{kind}_address=127.0.0.1"
      for kind in ("inference", "management"))]
_ = (folder / "config.properties").write_text("\n".join(properties))

# %% tags=["tensorflow"]
%%write rest.py
import os
import numpy as np, tensorflow as tf
from starlette.responses import JSONResponse

numbers = map(int, os.listdir("versions"))
loaded = {one: tf.saved_model.load(f"versions/{one}") for one in numbers}


def answer(name, version, images):
    version = version or max(loaded)
    if name != "judge" or version not in loaded:
        raise LookupError(f"Servable not found: {name} {version}")
    return version, loaded[version].serve(tf.constant(images)).numpy()


async def predict(request):
    name, number = map(request.path_params.get, ("name", "number"))
    try:
        content = np.array((await request.json())["instances"], "float32")
        _, logits = answer(name, number, content)
    except (LookupError, TypeError, ValueError) as error:  # others: 500
        status = 404 if type(error) is LookupError else 400
        return JSONResponse({"error": str(error)[:80]}, status)
    return JSONResponse({"predictions": logits.tolist()})

# %% [markdown] tags=["tensorflow"]
# That was REST: a POST to `/v1/models/judge:predict`, or with `/versions/2` before the colon.
# **gRPC** is the other half: the same question as a binary message, whose fields a file of declarations fixes.
# The package has made Python classes of them; ours fills in what they leave open.

# %% tags=["tensorflow"]
%%write rpc.py
import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from rest import answer


class Predict(prediction_service_pb2_grpc.PredictionServiceServicer):
    async def Predict(self, request, context):
        asked = request.model_spec
        images = tf.make_ndarray(request.inputs["images"])
        try:
            version, logits = answer(asked.name, asked.version.value, images)
        except LookupError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        except TypeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "shape")
        reply = predict_pb2.PredictResponse(model_spec=asked)
        reply.model_spec.version.value = version
        tensor = reply.outputs["output_0"]
        tensor.dtype = tf.float32.as_datatype_enum
        tensor.tensor_shape.CopyFrom(tf.TensorShape(logits.shape).as_proto())
        tensor.float_val.extend(logits.ravel().tolist())
        return reply

# %% [markdown] tags=["tensorflow"]
# Both halves run in one process, and the gRPC server lives as long as the other:

# %% tags=["tensorflow"]
%%write grpc_server.py
import contextlib
import os

import grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc

from rpc import Predict


@contextlib.asynccontextmanager
async def lifespan(app):
    server = grpc.aio.server()
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Predict(), server)
    server.add_insecure_port("127.0.0.1:" + os.environ["GRPC_PORT"])
    await server.start()
    yield
    await server.stop(grace=10)

# %% [markdown] tags=["tensorflow"]
# The paths of the REST half; the last one tells which versions there are:

# %% tags=["tensorflow"]
%%write tf_serving.py
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from grpc_server import lifespan
from rest import loaded, predict


async def status(request):
    found = [{"version": str(version), "state": "AVAILABLE"}
             for version in sorted(loaded, reverse=True)]
    return JSONResponse({"model_version_status": found})


model, post = "/v1/models/{name}", {"methods": ["POST"]}
app = Starlette(lifespan=lifespan, routes=[
    Route(model + ":predict", predict, **post),
    Route(model + "/versions/{number:int}:predict", predict, **post),
    Route(model, status),
])

# %% [markdown] tags=["tensorflow"]
# And the client.
# It is written to the interface alone, and nothing in it knows who answers: numbers may come as a list (`float_val`, by default in TensorFlow Serving, and in ours) or as bytes.
#
# **Watch out:** `tensorflow_serving.apis` imports all of TensorFlow, for the declaration of a tensor: 830 MB in every client, against 36 without (measured on 27 November 2026).
# The three lines after the first import spare that: they tell Python where TensorFlow's files are without running its start.
# (The clean way is to generate the classes from the `.proto` files, with `grpcio-tools`.)

# %% tags=["tensorflow"]
%%write client.py
import importlib.util, sys, types

found = importlib.util.find_spec("tensorflow")
light = sys.modules["tensorflow"] = types.ModuleType("tensorflow")
light.__path__ = list(found.submodule_search_locations)

import grpc
import numpy as np
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def question(images, version=None, name="judge"):
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = name
    if version:
        asked.model_spec.version.value = version
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT)
    for length in images.shape:
        tensor.tensor_shape.dim.add(size=length)
    tensor.tensor_content = images.astype("float32").tobytes()
    asked.inputs["images"].CopyFrom(tensor)
    return asked

# %% [markdown] tags=["tensorflow"]
# What it asks: a hundred images with each version, three wrong questions, and then one image again and again for the time.

# %% tags=["tensorflow"]
%%write asking.py
import sys, time
from client import grpc, np, prediction_service_pb2_grpc, question

channel = grpc.insecure_channel("127.0.0.1:" + sys.argv[1])
stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
images = np.load("images.npy")[:100, ..., None]
for version in (1, 2):
    reply = stub.Predict(question(images, version), timeout=30)
    logits = reply.outputs["output_0"]
    found = np.array(logits.float_val or np.frombuffer(
        logits.tensor_content, "float32")).reshape(-1, 10)
    wanted = np.load(f"answers_{version}.npy")[:100]
    same = np.abs(found - wanted).max() < 1e-5
    print(f"version {reply.model_spec.version.value} as expected: {same}")
for wrong in (question(images, 9), question(images, name="nobody"),
              question(images[0])):
    try:
        stub.Predict(wrong, timeout=30)
    except grpc.RpcError as error:
        print(error.code().name)
one, begin = question(images[:1]), time.perf_counter()
for _ in range(100):
    stub.Predict(one, timeout=30)
print(100 / (time.perf_counter() - begin), one.ByteSize())

# %% [markdown]
# Up with it:

# %% tags=["pytorch", "folded"]
def torch_serve():
    logs = {name: str(folder / "logs")
            for name in ("LOG_LOCATION", "METRICS_LOCATION")}
    command = (tools / "torchserve", "--foreground", "--ncs",
               "--disable-token-auth", "--model-store", "store", "--models",
               "judge=judge.mar", "--ts-config", "config.properties")
    return Server(*command, port=inference_port, ready="/ping",
                  **logs, **keeping)


def first_answer(port, path):
    """/ping comes before the worker does."""
    limit = time.monotonic() + 60
    while True:
        status, content = ask(port, path, body_of(images[0]))
        if status == 200 or time.monotonic() > limit:
            return content
        time.sleep(0.3)

# %% [markdown] tags=["pytorch"]
# And now:

# %% tags=["pytorch"]
torch_rates = None
if java:
    path = "/predictions/judge"
    with torch_serve() as torch_server:
        content = first_answer(torch_server.port, path)
        apart = np.abs(content["logits"] - expected[1][0]).max()
        by_torch, torch_lives = replies(torch_server.port, path)
        load_test(torch_server.port, 8, path)
        torch_rates = [load_test(torch_server.port, n, path)[0]
                       for n in (1, 32)]
        addresses = listens_at(torch_server)
    assert apart < 1e-5 and torch_lives and addresses == {"127.0.0.1"}

# %% tags=["tensorflow"]
grpc_port = free_port()
rest_body = json.dumps({"instances": images[:1, ..., None].tolist()}).encode()
with Server(*uvicorn("tf_serving:app"), ready="/v1/models/judge",
            GRPC_PORT=str(grpc_port), **keeping) as tf_server:
    *told, numbers = output("asking.py", str(grpc_port)).splitlines()
    path = "/v1/models/judge:predict"
    rest_status, content = ask(tf_server.port, path, rest_body)
    chosen = [ask(tf_server.port, path.replace(":", f"/versions/{n}:"),
                  rest_body)[0] for n in (2, 9)]
    rest_load = load_test(tf_server.port, 1, path, [rest_body])
    versions_there = ask(tf_server.port, "/v1/models/judge")[1]
    addresses = listens_at(tf_server)
apart = np.abs(content["predictions"] - expected[2][0]).max()
print("gRPC:", *told, sep="\n  ")
print(f"REST: {rest_status}, version 2: {chosen[0]}, version 9: {chosen[1]}")
print(f"the newest version answers as expected: {apart < 1e-5}")
print("versions:", *(one["version"] + " " + one["state"]
                     for one in versions_there["model_version_status"]))
assert apart < 1e-5 and addresses == {"127.0.0.1"}

# %% [markdown] tags=["pytorch"]
# What it said to the wrong bodies, and how fast it was (where there is no Java, a sentence instead):

# %% [markdown] tags=["tensorflow"]
# A wrong shape gets an answer and not the end of the process, because ours calls `serve`.
# (What the real one does with our wrong rank we could not try.)
# How fast are the two ways for one client, and how large is a question?

# %% tags=["pytorch", "nbval-ignore-output"]
if torch_rates is None:
    print("TorchServe needs Java (17 was used here), and there is none.")
else:
    for name, status in by_torch.items():
        print(f"{name:26}{status}")
    print(f"\n{'requests a second':20}{1:8}{32:8}")
    for name, found in (("ours", rates[waits][[0, -1]]),
                        ("TorchServe", torch_rates)):
        print(f"{name:20}" + "".join(f"{one:8.0f}" for one in found))

# %% tags=["tensorflow", "nbval-ignore-output"]
grpc_rate, grpc_size = map(float, numbers.split())
print(f"REST {rest_load[0]:6.0f} a second, {len(rest_body):6,} bytes")
print(f"gRPC {grpc_rate:6.0f} a second, {grpc_size:6,.0f} bytes")

# %% [markdown] tags=["pytorch"]
# Size it checks by itself; shape and values are for our check in the handler.
# It manages what ours does not: register a model while it runs, scale its workers.
# With nobody to mend it, that is no reason to begin with it.

# %% [markdown] tags=["tensorflow"]
# A number as text takes 5.7 characters here, with brackets, comma and blank, and four bytes in a message; scaled numbers in full took 10 kB as text, further up, and would take the same 3.2 kB as any others in a message.
# The smaller message need not be the faster one: both halves of ours are Python, their clients differ (a thread here, a process there), and we looked no further.
# What this Python server achieves says nothing about the one in C++, which also batches (`--enable_batching`) where ours computes one request after the other, in the event loop.

# %% [markdown]
# ## Past one machine: Ray Serve *(optional)*
#
# What if one machine is not enough?
# Then several copies of the server run, and something in front hands requests out.
# **Ray Serve** writes that in Python: a class becomes a *deployment*, `num_replicas` says how many copies, and a decorator is the batcher.

# %% tags=["folded"]
%%write ray_server.py
import numpy as np
from ray import serve
from starlette.responses import JSONResponse

from contract import Refused
from reading import read_image


@serve.deployment(num_replicas=1, max_ongoing_requests=64)
class Judge:
    def __init__(self):
        import model
        self.network = model.load("versions/1")

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.003)
    async def logits(self, images):
        return list(self.network(np.stack(images)))

    async def __call__(self, request):
        try:
            image = await read_image(request)
        except Refused as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        return {"logits": (await self.logits(image)).tolist()}

# %% [markdown]
# The script that starts it, here on one machine:

# %% tags=["folded"]
%%write ray_start.py
import signal, sys, threading
import ray
from ray import serve
from ray_server import Judge

port, place = int(sys.argv[1]), sys.argv[2]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,
         object_store_memory=100_000_000, _temp_dir=place,
         _node_ip_address="127.0.0.1")
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(Judge.bind())
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
ended.wait()
serve.shutdown()
ray.shutdown()

# %% [markdown]
# It runs only where `ray_serve` is 1, because Ray's own processes take more memory than everything else in this lesson:

# %% tags=["folded", "nbval-ignore-output"]
if ray_serve and psutil.virtual_memory().available > 4e9:
    alone = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    command = (sys.executable, "ray_start.py", "PORT", folder / "ray")
    with Server(*command, ready="/-/healthz", **alone) as ray_server:
        _, content = ask(ray_server.port, "/", body_of(images[0]))
        apart = np.abs(content["logits"] - expected[1][0]).max()
        by_ray, ray_lives = replies(ray_server.port, "/")
        load_test(ray_server.port, 8, "/")
        ray_load = [load_test(ray_server.port, n, "/") for n in (1, 32)]
        parts = psutil.Process(ray_server.process.pid).children(True)
        megabytes = sum(one.memory_full_info().pss for one in parts) / 1e6
    print([round(rate) for rate, *_ in ray_load], "a second,",
          f"{len(parts)} processes, {megabytes:.0f} MB", *by_ray.values())
    assert apart < 1e-5 and ray_lives
else:
    print("not run: set ray_serve = 1, with 4 GB of memory free")

# %% [markdown]
# With version 2.60, on the two shared cores on which this lesson was written (27 November 2026), the PyTorch side answered 97 requests a second of one client and 428 of 32, refused the six wrong bodies as our own server does, and took 1.2 GB in ten processes beside the one that starts it.
# A replica takes 5 requests at a time unless `max_ongoing_requests` says more: without that setting 32 clients got 12 answers a second.
#
# What it is made for was read and not run: on a cluster the same class runs unchanged, and on Kubernetes a `RayService` describes machines and deployments in one file, replaces either while requests go on, and starts anew what died ([Deploy Ray Serve applications](https://docs.ray.io/en/latest/cluster/kubernetes/user-guides/rayservice.html), read on 27 November 2026).

# %% [markdown]
# ## The twin check
#
# Each notebook leaves its answers to the other, and for later lessons what it measured.

# %% tags=["pytorch"]
many = {name: rate[-1] for name, rate in rates.items()}
mine = records.save(
    "19_serving", "pytorch", parameters_used, {},
    right_of_200=right, first_answers=expected[1][:50].ravel(),
    refused=sum(400 <= status < 500 for status in refused.values()),
    server_megabytes=round(server_bytes / 1e6),
    one_at_a_time_seconds=1 / many["one at a time"],
    no_wait_seconds=1 / many["no wait"])
twin = records.load("19_serving", "tensorflow", parameters_used)

# %% tags=["tensorflow"]
many = {name: rate[-1] for name, rate in rates.items()}
mine = records.save(
    "19_serving", "tensorflow", parameters_used, {},
    right_of_200=right, first_answers=expected[1][:50].ravel(),
    refused=sum(400 <= status < 500 for status in refused.values()),
    server_megabytes=round(server_bytes / 1e6),
    one_at_a_time_seconds=1 / many["one at a time"],
    no_wait_seconds=1 / many["no wait"])
twin = records.load("19_serving", "pytorch", parameters_used)

# %% [markdown]
# One trained network, two frameworks, and the servers' answers:

# %% tags=["nbval-ignore-output"]
print(records.compare(mine, twin))
if twin:
    apart = np.max(np.abs(np.subtract(*(
        record["scores"]["first_answers"] for record in (mine, twin)))))
    print(f"500 logits the same, to within 1e-4: {apart < 1e-4}")
    assert apart < 1e-4

# %% [markdown]
# What 32 clients got of each server, and what it weighs, each measured by its own notebook at its own moment:

# %% tags=["nbval-ignore-output"]
for record in filter(None, (mine, twin)):
    name, scores = record["framework"], record["scores"]
    print(f"{name:10} {1 / scores['one_at_a_time_seconds']:6,.0f} a second"
          f" one at a time, {1 / scores['no_wait_seconds']:6,.0f} in batches,"
          f" {scores['server_megabytes']} MB")

# %% [markdown]
# ## Who leads in serving?
#
# Claim **C11** of the article (lesson 2): *TensorFlow leads deployment*, here on servers, with TensorFlow Serving where PyTorch needed Flask or Django and then got TorchServe.
# As of 27 November 2026:
#
# - **By hand**, which is what Flask and Django stood for, is the same program for both; they differ in one short file, `model.py`.
#   Answers agree to rounding, every bad request is refused, and in both batches pay under load and a wait costs a lone client dear.
#   In requests a second the two servers are of one order here (the lines above); TensorFlow's takes more than twice the memory.
# - **TorchServe** is over: "no longer actively maintained", archived on 7 August 2025, no fixes planned even for security ([issue 3396](https://github.com/pytorch/serve/issues/3396), read on this day).
#   KServe, a serving system for Kubernetes, is about to take it out ([pull request 5638](https://github.com/kserve/kserve/pull/5638), opened on 5 June 2026 and open when read).
# - **TensorFlow Serving** goes on: it is released with TensorFlow ([2.20.0](https://github.com/tensorflow/serving/pull/4135) in its repository, the client package at [2.21.0](https://pypi.org/project/tensorflow-serving-api/2.21.0/), read on this day).
#   This lesson's TensorFlow side runs its interface, not the program.
# - **Servers that belong to no framework** (LitServe, Ray Serve, run or read here; Triton, KServe, BentoML, not) serve both.
#
# So of a lead one thing is left: TensorFlow has a maintained server of its own, and PyTorch no longer has.
# Whether that is a lead or a leftover is a matter of taste: the other servers named here take either.
# The one request that ends a whole process was found on TensorFlow's side (and is shown on that side of the lesson), and a check keeps it out.

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow/Keras | why it matters |
# |---|---|---|---|
# | a wrong size | `.pt2` refuses by its guards; a module takes 27 rows | `serve` refuses; `signatures[…]` takes 27 rows | a wrong answer with status 200 |
# | a wrong rank | a module takes (1, 28, 28) as one image without batch | `signatures[…]` ends the process, exit code −6 (134 in a shell); `serve` raises TypeError | one request, all clients |
# | values | nobody checks; NaN comes out as NaN | nobody checks; NaN comes out as ordinary numbers (on this processor) | check what you can |
# | the server's memory | less | more than twice as much here | how many fit on a machine |
# | its own server | TorchServe, in Java: archived | TensorFlow Serving, in C++: goes on | who mends it |
# | layout in a request | ours: 28 rows of 28; `model.py` adds the channel | the same | clients need not know |
#
# ## The whole program
#
# It is in the cells above: `contract.py`, `reading.py`, `batcher.py`, `worker.py`, `metrics.py`, `loading.py`, `routes.py`, `life.py` and `server.py` for both, `model.py` for each framework.
# Copy them into a folder, and beside them `versions` with a program in each, and start `WAIT=0 LARGEST=32 uvicorn server:app`.

# %% [markdown]
# ## Exercises
#
# Now you.
# No framework is needed, so both notebooks ask the same.

# %% tags=["classroom"]
from tandem import data, judge
from tandem.exercises import attempt

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the worker with your own hands, with nothing of ours (no `Batcher`, no `work`).
#
# `serve(queue, predict, largest, wait)` is a coroutine that never ends.
# In the queue stand pairs `(image, place)`; a place is a future, at which somebody waits for the answer to this image.
# Gather at most `largest` images, for at most `wait` from the moment when you take the first (with a `wait` of 0 that is whoever stands in the queue already); await `predict` on them, stacked into one array, before you gather the next ones; put each row of what it returns into its place.
# If `predict` raises an `Exception`, of whichever kind, set it as the exception of every place in that batch, and go on.
# A place may be done already, because its visitor has given up: leave it alone, and serve the others of its batch.
#
# Take the time from asyncio (`asyncio.timeout`, or the `time()` of the running loop), because the check runs on a simulated clock, of which `time.monotonic()` knows nothing.

# %% [markdown] tags=["hint"]
# `async with asyncio.timeout(seconds):` around the *whole* gathering, not around each image; it raises `TimeoutError` where it ends.

# %% [markdown] tags=["hint"]
# `asyncio.Queue.get` waits, and `place.done()` tells whether something may still be put there.

# %% tags=["pytorch", "solution"]
async def serve(queue, predict, largest, wait):
    ### BEGIN SOLUTION
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        images, places = zip(*batch)
        try:
            rows = await predict(np.stack(images))
        except Exception as error:
            for place in places:
                if not place.done():
                    place.set_exception(error)
            continue
        for place, row in zip(places, rows):
            if not place.done():
                place.set_result(row)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
async def serve(queue, predict, largest, wait):
    ### BEGIN SOLUTION
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        images, places = zip(*batch)
        try:
            rows = await predict(np.stack(images))
        except Exception as error:
            for place in places:
                if not place.done():
                    place.set_exception(error)
            continue
        for place, row in zip(places, rows):
            if not place.done():
                place.set_result(row)
    ### END SOLUTION

# %% [markdown]
# The check needs a desk where visitors leave their images, a day there, and a day on which the network fails:

# %% tags=["classroom", "folded"]
class Desk:
    def __init__(self, *settings):
        self.settings, self.queue = settings, asyncio.Queue()

    async def answer(self, image):
        place = asyncio.get_running_loop().create_future()
        await self.queue.put((image, place))
        return await place


def batches_of(serve, arrivals, largest, wait):
    """Who was in which batch, when each was computed, when answered."""
    day = day_at_the_server(
        Desk, lambda desk: serve(desk.queue, *desk.settings),
        arrivals, largest, wait)
    found, ends = simulate(day)
    return [numbers for _, _, numbers in found], found, ends

# %% [markdown]
# On the bad day the first visitor gives up, and the second batch has a 13 in it:

# %% tags=["classroom", "folded"]
async def bad_day(serve):
    async def network(numbers):
        await asyncio.sleep(1)
        if 13 in numbers:
            raise ValueError("not thirteen")
        return np.asarray(numbers) + 1

    async def visits():
        gives_up = asyncio.create_task(desk.answer(np.array(5)))
        asyncio.get_running_loop().call_later(0.8, gives_up.cancel)
        first = await asyncio.gather(
            *(desk.answer(np.array(one)) for one in (6, 13, 8)),
            return_exceptions=True)
        return *first, await desk.answer(np.array(20))

    desk = Desk(network, 2, 0.5)
    try:
        return await beside(serve(desk.queue, *desk.settings),
                            asyncio.create_task(visits()))
    except ValueError as error:
        raise AssertionError(
            f"serve has ended with what predict raised: {error}") from None

# %% [markdown]
# It plays these days on the simulated clock and looks at who was in which batch, when, and what the visitors got.
# To the bad day it adds two more, on whom `predict` fails in another way (with a `TypeError`), and of whom one has given up.

# %% tags=["check"]
for wait in (3, 0):
    _, found, _ = batches_of(serve, [0] * 4, 2, wait)
    yours = [(round(begin, 1), who) for begin, _, who in found]
    assert yours == [(0, [0, 1]), (0.7, [2, 3])], (
        f"four stand in the queue, at most 2 to a batch, wait {wait}: two "
        f"at 0, two when these are done, at 0.7, not {yours}")
some, *_ = batches_of(serve, [1, 2, 3.5, 4.5], 4, 3)
assert some[0] == [0, 1, 2], (
    f"images at 1, 2, 3.5, 4.5; wait from 1 to 4: 0, 1, 2, not {some[0]}")
places = []
async def two_more(queue, predict, *settings):
    await asyncio.sleep(0.1)
    for _ in range(2):  # they bring what predict refuses; one gives up
        places.append(asyncio.Future())
        queue.put_nowait((np.array([None, None]), places[-1]))
    places[0].cancel()
    with contextlib.suppress(asyncio.InvalidStateError, TypeError):
        await serve(queue, predict, *settings)
    assert not places, "serve ended: catch any Exception; skip done places"
six, *_ = simulate(bad_day(two_more))
assert six == 7, "a visitor who gives up takes another's answer along"
told = str(places[1])
assert "exception=TypeError(" in told and places[1].exception(), (
    f"predict gets one array, and each place its exception: {told}")

# %% tags=["hidden"]
many, _, _ = batches_of(serve, np.zeros(9), 4, 0)
assert [len(one) for one in many] == [4, 4, 1], (
    "with a wait of 0, whoever is in the queue already belongs together")
busy, _, ends = batches_of(serve, np.linspace(0, 5, 40), 5, 0.3)
assert len(ends) == 40 and max(map(len, busy)) == 5, (
    "under load batches fill up to the largest, and nobody is forgotten")
alone, _, ends = batches_of(serve, [1.0, 1.8, 2.5], 4, 1)
assert alone == [[0, 1], [2]] and abs(ends[0] - (1 + 1 + 0.7)) < 0.05, (
    f"the wait is 1 here, and the first leaves at 2; yours: {alone}, {ends}")
six, *bad, later = simulate(bad_day(serve))
assert six == 7 and later == 21 and all(isinstance(one, ValueError) for one in bad), (
    "on the bad day everyone gets the own answer or the error of the own batch")


async def other_errors():
    async def predict(images):
        shapes.append(getattr(images, "shape", None))
        if len(shapes) == 1:
            raise KeyError("no such network")
        return images * 10

    queue, shapes = asyncio.Queue(), []
    places = [asyncio.Future() for _ in range(4)]
    for number, place in enumerate(places):
        queue.put_nowait((np.full((2, 3), number), place))
    ended, _ = await asyncio.wait([asyncio.create_task(serve(queue, predict, 2, 0.5))], timeout=9)
    for place in places:
        place.done() and not place.cancelled() and place.exception()  # or asyncio complains that nobody asked
    return [repr(one.exception()) for one in ended], [str(one) for one in places], shapes


ended, told, shapes = simulate(other_errors())
assert not ended, f"a KeyError ends serve: {ended}"
assert set(shapes) == {(2, 2, 3)}, f"two images of (2, 3) are an array (2, 2, 3), not {shapes}"
assert all("exception=KeyError" in one for one in told[:2]), f"a KeyError is for both places: {told[:2]}"
assert "result=array([[30" in told[3], f"the last place gets the last row: {told[3]}"

# %% tags=["pytorch", "wrong"] mistake="waits anew after each image"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        while len(batch) < largest:
            try:
                batch.append(await asyncio.wait_for(queue.get(), wait))
            except TimeoutError:
                break
        rows = await predict(np.stack([image for image, _ in batch]))
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["tensorflow", "wrong"] mistake="waits anew after each image"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        while len(batch) < largest:
            try:
                batch.append(await asyncio.wait_for(queue.get(), wait))
            except TimeoutError:
                break
        rows = await predict(np.stack([image for image, _ in batch]))
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["pytorch", "wrong"] mistake="sleeps for the wait, then takes what is there"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        await asyncio.sleep(wait)
        while len(batch) < largest and not queue.empty():
            batch.append(queue.get_nowait())
        rows = await predict(np.stack([image for image, _ in batch]))
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["tensorflow", "wrong"] mistake="sleeps for the wait, then takes what is there"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        await asyncio.sleep(wait)
        while len(batch) < largest and not queue.empty():
            batch.append(queue.get_nowait())
        rows = await predict(np.stack([image for image, _ in batch]))
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["pytorch", "wrong"] mistake="ends with the first batch that fails"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        rows = await predict(np.stack([image for image, _ in batch]))
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["tensorflow", "wrong"] mistake="ends with the first batch that fails"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        rows = await predict(np.stack([image for image, _ in batch]))
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="takes nobody along with a wait of 0"
async def serve(queue, predict, largest, wait):
    loop = asyncio.get_running_loop()
    while True:
        batch = [await queue.get()]
        end = loop.time() + wait
        while len(batch) < largest and loop.time() < end:
            try:
                batch.append(await asyncio.wait_for(queue.get(),
                                                    end - loop.time()))
            except TimeoutError:
                break
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="starts the clock before anybody has come"
async def serve(queue, predict, largest, wait):
    while True:
        batch = []
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        if not batch:
            batch = [await queue.get()]
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="waits until the batch is full"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        while len(batch) < largest:
            batch.append(await queue.get())
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="gathers on while the network computes"
async def serve(queue, predict, largest, wait):
    async def compute(batch):
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            return
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

    tasks = set()
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        tasks.add(asyncio.create_task(compute(batch)))

# %% tags=["wrong"] mistake="an exception for those who have given up, too"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="an answer for those who have given up, too"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.set_result(row)

# %% tags=["wrong"] mistake="hands the error over as an answer"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_result(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="tells only the first of a failed batch"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
                break
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="gives predict a list"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        try:
            rows = await predict([image for image, _ in batch])
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="knows of no error but ValueError"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except ValueError as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% tags=["wrong"] mistake="always waits for 3"
async def serve(queue, predict, largest, wait):
    while True:
        batch = [await queue.get()]
        try:
            async with asyncio.timeout(wait and 3):
                while len(batch) < largest:
                    batch.append(await queue.get())
        except TimeoutError:
            pass
        try:
            rows = await predict(np.stack([image for image, _ in batch]))
        except Exception as error:
            for _, place in batch:
                place.done() or place.set_exception(error)
            continue
        for (_, place), row in zip(batch, rows):
            place.done() or place.set_result(row)

# %% [markdown] tags=["exercise"] exercise="percentile" points=3
# ### Exercise 2: a percentile from buckets *(optional)*
#
# Our `/metrics` gives no single answer's time, only their sum, and counts: how many answers took at most 1 ms, at most 2 ms, and so on.
# From these Prometheus works out percentiles, and so shall you.
#
# `percentile(bounds, counts, share)`: `bounds` are the upper bounds in seconds, ascending, the last one infinite; `counts` says how many answers took at most that long (so it only grows, and its last number is how many there were).
# Both are arrays, which stay as they are; `share` is above 0 and at most 1.
# Find the first bucket whose count reaches the rank `share * counts[-1]`, which need not be a whole number, and assume that the answers of a bucket are spread evenly between its bounds (the first begins at 0).
# Return the number of seconds that belongs to the rank.
# If the bucket is the infinite one, return the largest finite bound; without any answers, return NaN.

# %% [markdown] tags=["hint"]
# `np.searchsorted(counts, rank)` is the first bucket whose count reaches the rank.

# %% [markdown] tags=["hint"]
# The counts are sums from the start: how many answers are *in* a bucket is a difference, and so is the rank within it.

# %% tags=["pytorch", "solution"]
def percentile(bounds, counts, share):
    ### BEGIN SOLUTION
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    inside = counts[bucket] - before
    part = (rank - before) / inside if inside else 0.0
    return low + (bounds[bucket] - low) * part
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def percentile(bounds, counts, share):
    ### BEGIN SOLUTION
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    inside = counts[bucket] - before
    part = (rank - before) / inside if inside else 0.0
    return low + (bounds[bucket] - low) * part
    ### END SOLUTION

# %% [markdown]
# The check has five small histograms, one of them empty:

# %% tags=["check"]
bounds = np.array([0.001, 0.002, 0.005, 0.01, np.inf])
usual = [0, 40, 70, 100, 100]
for counts, share, wanted, why in (
        (usual, 0.5, 0.003, "of 100 answers 40 took at most 2 ms and 70 "
         "at most 5 ms; number 50 is a third of the way between"),
        (usual, 0.2, 0.0015, "number 20 is in the middle of 1 and 2 ms"),
        (usual, 0.505, 0.00305, "the rank 50.5 is not to be rounded"),
        ([10, 40, 40, 70, 100], 0.4, 0.002,
         "number 40 is the last that took at most 2 ms"),
        ([10, 10, 10, 20, 100], 0.99, 0.01, "of answers beyond the "
         "largest finite bound no more is known than that"),
        ([80, 90, 95, 100, 100], 0.4, 0.0005, "number 40 of the 80 in the "
         "first bucket, which begins at 0, is in its middle"),
        ([0] * 5, 0.99, np.nan, "without answers there is none")):
    counted = np.array(counts)
    given = percentile(bounds, counted, share)
    one = given is not None and np.ndim(given) == 0
    assert one, f"a number of seconds is wanted, not {given}"
    assert np.isclose(given, wanted, equal_nan=True), (
        f"{why}: {wanted}, not {given:.6g}")
    assert counted.tolist() == counts and bounds[0] == 0.001, (
        "the arrays that come in are to stay as they are")

# %% tags=["hidden"]
given = percentile(bounds, np.array([80, 90, 95, 100, 100]), 0.5)
assert np.isclose(given, 0.001 * 50 / 80), "the first bucket begins at 0"
times = np.random.default_rng(8).gamma(2, 0.002, 5_000)
edges = np.array([*np.linspace(0.0005, 0.03, 60), np.inf])
seen = np.array([(times <= edge).sum() for edge in edges])
for share in (0.5, 0.95, 0.99):
    apart = abs(percentile(edges, seen, share) - np.quantile(times, share))
    assert apart < 0.0005, "it should be within one bucket of the true one"
given = percentile(np.array([0.1, np.inf]), np.array([1, 4]), 0.9)
assert given == 0.1, f"here the largest finite bound is 0.1, not {given}"
given = percentile(np.array([1.0, 2.0, 4.0, np.inf]), np.array([3, 3, 3, 7]), 3 / 7)
assert np.isclose(given, 1), f"empty buckets behind the rank do not matter: 1, not {given}"
given = percentile(np.array([1.0, 3.0, 4.0, np.inf]), np.array([0, 2, 5, 5]), 0.3)
assert np.isclose(given, 2.5), f"rank 1.5 of 2 between 1 and 3: 2.5, not {given}"

# %% tags=["pytorch", "wrong"] mistake="knows the lesson's five bounds only"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if bucket == 4:
        return 0.01
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = (rank - before) / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["tensorflow", "wrong"] mistake="knows the lesson's five bounds only"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if bucket == 4:
        return 0.01
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = (rank - before) / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["pytorch", "wrong"] mistake="returns the bucket's upper bound"
def percentile(bounds, counts, share):
    return bounds[min(np.searchsorted(counts, share * counts[-1]),
                      len(bounds) - 2)]

# %% tags=["tensorflow", "wrong"] mistake="returns the bucket's upper bound"
def percentile(bounds, counts, share):
    return bounds[min(np.searchsorted(counts, share * counts[-1]),
                      len(bounds) - 2)]

# %% tags=["pytorch", "wrong"] mistake="begins the first bucket at its own bound"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    finite = np.isfinite(bounds)
    return np.interp(share * counts[-1], counts[finite], bounds[finite])

# %% tags=["tensorflow", "wrong"] mistake="begins the first bucket at its own bound"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    finite = np.isfinite(bounds)
    return np.interp(share * counts[-1], counts[finite], bounds[finite])

# %% tags=["pytorch", "wrong"] mistake="takes the counts for those of each bucket"
def percentile(bounds, counts, share):
    so_far = np.cumsum(counts)
    rank = share * so_far[-1]
    bucket = np.searchsorted(so_far, rank)
    low = bounds[bucket - 1] if bucket else 0.0
    before = so_far[bucket - 1] if bucket else 0
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    return low + (bounds[bucket] - low) * (rank - before) / counts[bucket]

# %% tags=["tensorflow", "wrong"] mistake="takes the counts for those of each bucket"
def percentile(bounds, counts, share):
    so_far = np.cumsum(counts)
    rank = share * so_far[-1]
    bucket = np.searchsorted(so_far, rank)
    low = bounds[bucket - 1] if bucket else 0.0
    before = so_far[bucket - 1] if bucket else 0
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    return low + (bounds[bucket] - low) * (rank - before) / counts[bucket]

# %% tags=["wrong"] mistake="rounds the rank"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    rank = np.ceil(share * counts[-1])
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = (rank - before) / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["wrong"] mistake="a rank at a bound goes to the next bucket"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = min(np.searchsorted(counts, rank, side="right"),
                 len(counts) - 1)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = (rank - before) / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["wrong"] mistake="infinite beyond the last bound"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return np.inf
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = (rank - before) / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["wrong"] mistake="the rank is not counted from the bucket's begin"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = rank / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["wrong"] mistake="0 without answers"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return 0.0
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = (rank - before) / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["wrong"] mistake="None without answers"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return None
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    part = (rank - before) / (counts[bucket] - before)
    return low + (bounds[bucket] - low) * part

# %% tags=["wrong"] mistake="changes the counts that came in"
def percentile(bounds, counts, share):
    if counts[-1] == 0:
        return float("nan")
    rank = share * counts[-1]
    bucket = np.searchsorted(counts, rank)
    if np.isinf(bounds[bucket]):
        return bounds[-2]
    low = bounds[bucket - 1] if bucket else 0.0
    before = counts[bucket - 1] if bucket else 0
    counts -= before
    part = (rank - before) / counts[bucket]
    return low + (bounds[bucket] - low) * part

# %% [markdown] tags=["exercise"] exercise="several" points=3
# ### Exercise 3: several images in one request
#
# A client that has many images should not have to ask for each.
# `reply(body, predict)` takes the body of a request as bytes and returns the status and a dictionary:
#
# - `{"images": [...]}` with 1 to 32 images of 28×28, brightness 0 to 255: `200` and `{"classes": [...]}`, the number of the largest logit of each, whole numbers of Python, from **one** call of `predict` with a float32 array (n, 28, 28);
# - more than 32 images: `413`;
# - anything else: `400`.
#   With either goes `{"error": ...}`, a sentence.
#
# `predict` is the judge itself, the trained network, and must never see what it should not.

# %% [markdown] tags=["hint"]
# `np.array(content["images"], "float32")` either makes an array or raises something; what it raises depends on the nonsense.
# An array has a shape to ask for.

# %% [markdown] tags=["hint"]
# Count before you convert: 33 images are too many whatever is in them.
# And JSON can hold numbers where you expect a list.

# %% tags=["pytorch", "solution"]
def reply(body, predict):
    ### BEGIN SOLUTION
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": f"{len(sent)} images; 32 are allowed"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": 'send {"images": [28 rows of 28 numbers, …]}'}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": f"shape {images.shape}, not (n, 28, 28)"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness is not between 0 and 255"}
    return 200, {"classes": predict(images).argmax(1).tolist()}
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def reply(body, predict):
    ### BEGIN SOLUTION
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": f"{len(sent)} images; 32 are allowed"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": 'send {"images": [28 rows of 28 numbers, …]}'}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": f"shape {images.shape}, not (n, 28, 28)"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness is not between 0 and 255"}
    return 200, {"classes": predict(images).argmax(1).tolist()}
    ### END SOLUTION

# %% [markdown]
# The check hands your function bodies as they come over the net, and the judge of clothes as `predict`.

# %% tags=["classroom", "folded"]
last = data.fashion_classifier()["output"]
real = np.round(data.fashion_mnist(1)[1][0][:33] * 255).astype(int)
calls = []


def the_judge(pictures):
    calls.append(pictures.shape)
    fits = pictures.dtype == "float32" and pictures.shape[1:] == (28, 28)
    assert fits, f"predict was given {pictures.dtype}, {pictures.shape}"
    seen = judge.describe(pictures / 127.5 - 1)[0]
    return seen @ last["kernel"] + last["bias"]


def said(function, content):
    calls.clear()
    if not isinstance(content, bytes):
        content = json.dumps({"images": content}).encode()
    return function(content, the_judge)

# %% [markdown]
# And now yours:

# %% tags=["check"]
status, content = said(reply, real[:5].tolist())
wanted = judge.describe(real[:5] / 127.5 - 1)[1].tolist()
assert status == 200, f"five right images: 200, not {status!r}, {content}"
yours = content.get("classes") if isinstance(content, dict) else None
assert isinstance(yours, list) and yours == wanted, (
    f"five images: {{'classes': {wanted}}}, not {str(content):.99}")
assert {type(one) for one in yours} == {int}, "Python's own int is wanted"
assert len(calls) == 1, f"one call of predict, not {len(calls)}"
assert said(reply, real[:32].tolist())[0] == 200, "32 images are allowed"
for why, wrong in {
        "no JSON": b"[1, 2", "27 rows": real[:2, :27].tolist(),
        "no 'images'": b'{"image": 7}', "one, no list": real[0].tolist(),
        "no images": [], "a number": 7, "33 images": real.tolist(),
        "a brightness of -1": (real[:2] - 1).tolist(),
        "a brightness of 256": (real[:2] + 1).tolist(),
        "a NaN": (real[:2] * np.nan).tolist()}.items():
    wanted = 413 if why == "33 images" else 400
    try:
        status, content = said(reply, wrong)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise AssertionError(f"{why}: yours raises {error!r}") from None
    assert status == wanted, f"{why}: status {wanted}, not {status}"
    assert not calls, f"{why}: predict was asked all the same"
    assert isinstance(content.get("error"), str), f"{why}: no 'error' text"

# %% tags=["hidden"]
assert json.dumps(said(reply, real[:1].tolist())[1]), "the answer is to be JSON"
odd = real[:2].astype(float)
odd[1, 27, 27] = np.nan
for wrong, why in ((odd.tolist(), "one NaN among numbers"), (None, "nothing"),
                   (["?"] * 3, "three words"), (b"7", "a bare number"),
                   (b'"images"', "a bare word"), (b"\xff", "no text")):
    try:
        status, content = said(reply, wrong)
    except Exception as error:
        raise AssertionError(f"{why}: 400 is wanted, not {type(error).__name__}: {error}") from None
    assert status == 400 and not calls, f"{why}: 400, not {status}"

# %% tags=["pytorch", "wrong"] mistake="does not look at the values"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["tensorflow", "wrong"] mistake="does not look at the values"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["pytorch", "wrong"] mistake="asks for each image"
def reply(body, predict):
    try:
        images = np.array(json.loads(body)["images"], "float32")
        assert images.shape[1:] == (28, 28)
    except Exception:
        return 400, {"error": "not images"}
    return 200, {"classes": [int(predict(one[None]).argmax())
                             for one in images]}

# %% tags=["tensorflow", "wrong"] mistake="asks for each image"
def reply(body, predict):
    try:
        images = np.array(json.loads(body)["images"], "float32")
        assert images.shape[1:] == (28, 28)
    except Exception:
        return 400, {"error": "not images"}
    return 200, {"classes": [int(predict(one[None]).argmax())
                             for one in images]}

# %% tags=["pytorch", "wrong"] mistake="takes 27 rows"
def reply(body, predict):
    try:
        images = np.array(json.loads(body)["images"], "float32")
    except Exception:
        return 400, {"error": "not images"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["tensorflow", "wrong"] mistake="takes 27 rows"
def reply(body, predict):
    try:
        images = np.array(json.loads(body)["images"], "float32")
    except Exception:
        return 400, {"error": "not images"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["wrong"] mistake="lets a NaN pass"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    if (images < 0).any() or (images > 255).any():
        return 400, {"error": "brightness"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["wrong"] mistake="400 for too many"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 400, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["wrong"] mistake="takes up to 31"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 31:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["wrong"] mistake="leaves NumPy's numbers in the list"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness"}
    return 200, {"classes": list(predict(images).argmax(1))}

# %% tags=["wrong"] mistake="returns an array"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness"}
    return 200, {"classes": predict(images).argmax(1)}

# %% tags=["wrong"] mistake="returns text"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness"}
    return 200, json.dumps(
        {"classes": predict(images).argmax(1).tolist()})

# %% tags=["wrong"] mistake="a number for a sentence"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": len(sent)}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% tags=["wrong"] mistake="asks the network first and then looks at the values"
def reply(body, predict):
    try:
        sent = json.loads(body)["images"]
        if len(sent) > 32:
            return 413, {"error": "too many"}
        images = np.array(sent, "float32")
    except Exception:
        return 400, {"error": "not images"}
    if len(images) == 0 or images.shape[1:] != (28, 28):
        return 400, {"error": "shape"}
    classes = predict(images).argmax(1).tolist()
    if not ((images >= 0) & (images <= 255)).all():
        return 400, {"error": "brightness"}
    return 200, {"classes": classes}

# %% tags=["wrong"] mistake="expects a dictionary"
def reply(body, predict):
    try:
        content = json.loads(body)
    except ValueError:
        return 400, {"error": "no JSON"}
    sent = content.get("images")
    if not isinstance(sent, list):
        return 400, {"error": "no images"}
    if len(sent) > 32:
        return 413, {"error": "too many"}
    try:
        images = np.array(sent, "float32")
        assert len(images) and images.shape[1:] == (28, 28)
        assert ((images >= 0) & (images <= 255)).all()
    except Exception:
        return 400, {"error": "not images"}
    return 200, {"classes": predict(images).argmax(1).tolist()}

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - You **built** a model server of about 200 lines that serves either framework, and used the ready-made ones.
# - **When batching pays**: a call has a price of its own, so a batch is cheaper than its images one by one. Batches form by themselves under load; waiting for them makes a lone visitor pay.
# - **Which request does harm**: one that nobody checked. It gets a wrong answer with status 200, or (on TensorFlow's side) ends the server. Check size, form, shape and values before the network sees them, and say 4xx with a reason.
# - **Versions** are folders with numbers, **health** says *ready* only after a warm-up, **metrics** are counters from which percentiles follow, and a **graceful stop** finishes what was begun.
# - **How far model servers take it off you**: batching, workers and queues yes; the check of values never, of shape not reliably.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters.
#
# 1. Set `longest_wait = 0.02`.
#    From how many clients on does it beat one image at a time now, does it ever beat no wait, and what does a lone client say?
# 2. Set `largest_batch = 4`.
#    Where do the lines of the load test bend?
# 3. Delete `versions/2` (`shutil.rmtree`) before a server starts, and ask `/predict` without a number.
#    What would a client notice of such a step back, and what of it would you want in the metrics?
# 4. Let `decode_request` of LitServe accept everything.
#    What becomes of the others in a batch when one of them has 27 rows?
# 5. Start uvicorn with `--workers 2`.
#    What becomes of batches, of the memory, and of `/metrics`?
#
# ## Read on
#
# - [ASGI](https://asgi.readthedocs.io/), [Starlette](https://www.starlette.io/), [uvicorn](https://www.uvicorn.org/), and Python's [asyncio](https://docs.python.org/3/library/asyncio.html)
# - [LitServe](https://lightning.ai/docs/litserve), [Ray Serve](https://docs.ray.io/en/latest/serve/index.html), [TensorFlow Serving](https://www.tensorflow.org/tfx/guide/serving) and its [REST interface](https://www.tensorflow.org/tfx/serving/api_rest), [TorchServe](https://docs.pytorch.org/serve/)
# - [Prometheus](https://prometheus.io/docs/concepts/metric_types/) on histograms
# - Crankshaw and others, *Clipper: A Low-Latency Online Prediction Serving System* (2017), where dynamic batching for predictions is measured: [arXiv:1612.03079](https://arxiv.org/abs/1612.03079)
#
# How we measured here, a few hundred requests and a median of three on a machine that had other things to do, is good enough for what we asserted, and not for ten per cent.
# Lesson 20 measures speed fairly.
