"""Asks what the Spark libraries for deep learning answer today, and writes their answers to data/spark_libraries.csv.

    python data/make/spark_libraries.py
    python data/make/spark_libraries.py elephas    # these rows anew, the others as they stand

Needs Java 17 or newer, pip's package index, 3 GB for a while and about ten minutes. Each try gets an environment of its own in a
temporary folder, which is removed; there this file runs once more (`--inside NAME`), with what that environment holds. Spark runs
on this machine alone, with two workers, on images of data/fashion_mnist.npz.
"""
import argparse
import csv
import datetime
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).resolve().parents[1]
FIELDS = ("library", "version", "released", "needs", "installed", "outcome", "detail", "seconds", "read_on")
PATIENCE = 240  # seconds for one try
TORCH, TENSORFLOW, PYSPARK = "torch==2.13.0", ("tensorflow==2.21.0", "keras==3.15.1"), "pyspark==4.3.0"
# the days on which the versions were uploaded: the upload-time that `uv lock` notes in its file
RELEASED = {"elephas": "2026-05-07", "pyspark": "2026-10-30", "sparkflow": "2019-05-18", "tensorflowonspark": "2022-04-21"}


@dataclass
class Try:
    """One environment: what pip is asked for, line by line, and the function of this file that is run in it."""
    library: str
    package: str
    inside: str
    install: tuple[tuple[str, ...], ...]
    help: str = "as declared"
    rewritten: tuple[str, str] = ("", "")  # in the library's own files


TRIES = (
    Try("elephas", "elephas==7.3.0", "elephas", (("elephas==7.3.0",),)),
    Try("elephas", "elephas==7.3.0", "elephas", ((*TENSORFLOW, PYSPARK, "flask==3.1.3"), ("--no-deps", "elephas==7.3.0")),
        "what it declares overruled by --no-deps"),
    Try("TensorFlowOnSpark", "tensorflowonspark==2.2.5", "tensorflowonspark",
        ((*TENSORFLOW, PYSPARK, "tensorflowonspark==2.2.5"),), "with TensorFlow and pyspark, which it does not declare"),
    Try("TensorFlowOnSpark", "tensorflowonspark==2.2.5", "tensorflowonspark",
        ((*TENSORFLOW, PYSPARK, "tensorflowonspark==2.2.5", "setuptools<81"),), "the same with an older setuptools"),
    Try("SparkFlow", "sparkflow==0.7.0", "sparkflow", ((*TENSORFLOW, PYSPARK, "sparkflow==0.7.0"),),
        "with pyspark, which it does not declare"),
    Try("SparkFlow", "sparkflow==0.7.0", "sparkflow", ((*TENSORFLOW, PYSPARK, "sparkflow==0.7.0"),),
        "the same, its files rewritten for tensorflow.compat.v1",
        ("import tensorflow as tf", "import tensorflow.compat.v1 as tf")),
    Try("pyspark's TorchDistributor", PYSPARK, "torch_distributor", ((TORCH, "numpy", PYSPARK),), "with PyTorch and NumPy"),
)


# What is run inside the environments --------------------------------------------------------------------------------------------

def images_and_labels(count):
    """The first training images as float64 of shape (count, 784), brightness 0 to 1, and their labels."""
    import numpy as np

    with np.load(DATA / "fashion_mnist.npz") as arrays:
        return arrays["train_images"][:count].reshape(-1, 784) / 255, arrays["train_labels"][:count].astype("int64")


def spark_session(master="local[2]"):
    from pyspark.sql import SparkSession

    settings = {"spark.ui.enabled": "false", "spark.driver.memory": "600m", "spark.task.maxFailures": "1"}
    spark = SparkSession.builder.master(master).config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def elephas():
    """A dense network on two workers, whose changes are averaged once an epoch: loss on the training images before and after."""
    import keras
    from elephas.spark_model import SparkModel
    from elephas.utils.rdd_utils import to_simple_rdd

    images, labels = images_and_labels(2_000)
    images, targets = images.astype("float32"), keras.utils.to_categorical(labels, 10)
    examples = to_simple_rdd(spark_session().sparkContext, images, targets)
    seen = []
    for mode in ("synchronous", "asynchronous"):
        keras.utils.set_random_seed(0)
        network = keras.Sequential([keras.Input((784,)), keras.layers.Dense(32, "relu"), keras.layers.Dense(10, "softmax")])
        network.compile("sgd", "categorical_crossentropy")
        before = network.evaluate(images, targets, verbose=0)
        model = SparkModel(network, frequency="epoch", mode=mode, num_workers=2, port=4123)
        model.fit(examples, epochs=3, batch_size=32, verbose=0, validation_split=0.1)
        seen.append(f"{mode} {before:.3f} to {model.master_network.evaluate(images, targets, verbose=0):.3f}")
    return "runs", "loss in 3 epochs on 2 workers: " + ", ".join(seen)


def tensorflowonspark():
    """Its modules, one by one; then, if all import, TensorFlow's own strategy on two executors that it starts."""
    modules = ("TFCluster", "TFManager", "TFNode", "TFParallel", "TFSparkNode", "compat", "dfutil", "gpu_info", "marker",
               "pipeline", "reservation", "util")
    failed = {}
    for name in modules:
        try:
            importlib.import_module(f"tensorflowonspark.{name}")
        except Exception as error:
            failed[name] = one_line(error)
    if failed:
        return "parts import", f"{', '.join(failed)} do not import: {next(iter(failed.values()))}"
    from tensorflowonspark import TFCluster

    # a cluster of two executors on this machine: TensorFlowOnSpark wants one process for each node
    spark = spark_session("local-cluster[2,1,1024]")
    with tempfile.TemporaryDirectory() as folder:
        arguments = argparse.Namespace(result=f"{folder}/losses.json", num_gpus=0)
        cluster = TFCluster.run(spark.sparkContext, train_with_strategy, arguments, 2, 0, master_node="chief")
        cluster.shutdown(timeout=PATIENCE - 60)
        losses = json.loads(Path(arguments.result).read_text())
    return "runs", f"TFCluster with MultiWorkerMirroredStrategy, loss in {len(losses)} steps on 2 executors: {change(losses)}"


def train_with_strategy(arguments, context):
    """What TensorFlowOnSpark runs on each executor; the chief leaves its losses in `arguments.result`."""
    import tensorflow as tf

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    workers = strategy.num_replicas_in_sync
    assert workers == 2, f"the strategy sees {workers} worker"
    images, labels = images_and_labels(6_400)
    with strategy.scope():
        kernel, bias = tf.Variable(tf.zeros((784, 10), "float64")), tf.Variable(tf.zeros(10, "float64"))

    @tf.function
    def step(batch, wanted):
        def on_one(batch, wanted):
            with tf.GradientTape() as tape:
                logits = batch @ kernel + bias
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, logits))
            group = tf.distribute.get_replica_context()
            for variable, gradient in zip((kernel, bias), tape.gradient(loss, (kernel, bias)), strict=True):
                variable.assign_sub(0.1 * group.all_reduce("MEAN", gradient))
            return loss
        return strategy.reduce("MEAN", strategy.run(on_one, (batch, wanted)), axis=None)

    rank = 0 if context.job_name == "chief" else 1
    mine = [slice(start + 32 * rank, start + 32 * (rank + 1)) for start in range(0, 6_400, 64)]
    losses = [float(step(tf.constant(images[part]), tf.constant(labels[part]))) for part in mine]
    if rank == 0:
        Path(arguments.result).write_text(json.dumps(losses))


def sparkflow():
    """A softmax regression through its parameter server, from two partitions: loss on the training images before and after."""
    import numpy as np
    import tensorflow.compat.v1 as tf
    from pyspark.ml.linalg import Vectors
    from sparkflow.graph_utils import build_graph
    from sparkflow.tensorflow_async import SparkAsyncDL

    def softmax_regression():
        images = tf.placeholder(tf.float32, [None, 784], "images")
        labels = tf.placeholder(tf.float32, [None, 10], "labels")
        kernel = tf.get_variable("kernel", (784, 10), initializer=tf.zeros_initializer())
        bias = tf.get_variable("bias", (10,), initializer=tf.zeros_initializer())
        logits = tf.add(images @ kernel, bias, "logits")
        return tf.losses.softmax_cross_entropy(labels, logits)

    def loss(kernel, bias):
        logits = images @ kernel + bias
        return np.mean(np.log(np.exp(logits).sum(1)) - logits[range(len(labels)), labels])

    graph = build_graph(softmax_regression)
    images, labels = images_and_labels(1_000)
    rows = [(Vectors.dense(image), Vectors.dense(np.eye(10)[label])) for image, label in zip(images, labels, strict=True)]
    spark = spark_session()
    examples = spark.createDataFrame(spark.sparkContext.parallelize(rows, 2), ["features", "targets"])
    trainer = SparkAsyncDL(inputCol="features", labelCol="targets", tensorflowGraph=graph, tfInput="images:0", tfLabel="labels:0",
                           tfOutput="logits:0", tfLearningRate=0.01, iters=10, partitions=2, miniBatchSize=100, port=4124)
    kernel, bias = map(np.array, json.loads(trainer.fit(examples).getOrDefault("modelWeights")))
    losses = loss(np.zeros((784, 10)), np.zeros(10)), loss(kernel, bias)
    return "runs", f"loss in 10 iterations on 2 partitions: {change(losses)}"


def torch_distributor():
    """DistributedDataParallel on two processes against one process with the same batches, float64."""
    from pyspark.ml.torch.distributor import TorchDistributor

    spark_session()
    difference, losses = TorchDistributor(num_processes=2, local_mode=True, use_gpu=False).run(train_distributed)
    return "runs", (f"loss in {len(losses)} steps on 2 processes: {change(losses)}; "
                    f"largest relative difference to one process {difference:.0e}")


def train_distributed():
    """What each of TorchDistributor's processes runs: (largest relative difference of the losses, the losses)."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    rank, half = distributed.get_rank(), 32
    images, labels = map(torch.from_numpy, images_and_labels(6_400))

    def network():
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)).double()

    def step(network, optimiser, part):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images[part]), labels[part])
        loss.backward()
        optimiser.step()
        return loss.detach()

    shared, alone = torch.nn.parallel.DistributedDataParallel(network()), network()
    optimisers = [torch.optim.SGD(one.parameters(), 2**-5) for one in (shared, alone)]
    losses, difference = [], 0.0
    for start in range(0, 6_400, 2 * half):
        loss = step(shared, optimisers[0], slice(start + rank * half, start + (rank + 1) * half))
        distributed.all_reduce(loss)
        losses.append(loss.item() / 2)
        wanted = step(alone, optimisers[1], slice(start, start + 2 * half)).item()
        difference = max(difference, abs(losses[-1] - wanted) / wanted)
    distributed.destroy_process_group()
    return difference, losses


def change(losses):
    return f"{losses[0]:.3f} to {losses[-1]:.3f}"


def one_line(error):
    """An exception's kind and what it says, on one line, without this machine's paths, addresses and ports."""
    text = str(error)
    # Spark hands a worker's whole traceback over: its last line is the exception
    inner = re.findall(r"^(?:\s*)((?:\w+\.)*\w*(?:Error|Exception): .+)$", text, re.MULTILINE)
    text = inner[-1] if inner else f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
    text = re.sub(r"(?<![\w.])(?:\w+://|/)[^\s'\")]+", "…", text)
    text = re.sub(r"\b\d+\.\d+\.\d+\.\d+(?::\d+)?\b", "…", text)
    return text[:300]


def answer(name):
    """Runs one function of this file in the environment that this interpreter belongs to; prints outcome and detail as JSON."""
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1", CUDA_VISIBLE_DEVICES="")
    began = time.time()
    try:
        outcome, detail = globals()[name]()
    except Exception as error:
        outcome, detail = "does not run", one_line(error)
    print(json.dumps([outcome, detail, round(time.time() - began)]), flush=True)
    os._exit(0)  # whatever threads and servers the library left


# Outside ------------------------------------------------------------------------------------------------------------------------

def environment(one, folder):
    """Makes an environment for a `Try`; returns its interpreter and the versions that came."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")

    def pip(*arguments):
        return subprocess.run([python, "-m", "pip", *arguments], check=True, capture_output=True, text=True).stdout

    pip("uninstall", "--yes", "setuptools")  # Python 3.11 still puts an old one there
    for line in one.install:
        pip("install", "--quiet", *line)
    package = one.package.split("==")[0]
    if one.rewritten[0]:
        for file in next(folder.glob(f"lib/python*/site-packages/{package}")).glob("*.py"):
            file.write_text(file.read_text(encoding="utf-8").replace(*one.rewritten), encoding="utf-8")
    found = {entry["name"].lower(): entry["version"] for entry in json.loads(pip("list", "--format=json"))}
    shown = [f"{name} {found[name]}" for name in ("tensorflow", "torch", "numpy", "pyspark", "setuptools")
             if name in found and name != package]
    return python, ", ".join(shown)


def needs(python, package):
    """What the package's metadata declare, without its extras."""
    ask = f"import importlib.metadata as m, json; print(json.dumps(m.requires({package!r}) or []))"
    declared = json.loads(subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout)
    return ", ".join(sorted(one for one in declared if "extra ==" not in one)) or "nothing"


def ask(one):
    """One row of the table."""
    package, version = one.package.split("==")
    with tempfile.TemporaryDirectory() as folder:
        python, versions = environment(one, Path(folder) / "environment")
        declared = needs(python, package)
        began = time.time()
        # a session of its own: Spark's, Java's and the library's processes end with it
        run = subprocess.Popen([python, __file__, "--inside", one.inside], cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        try:
            printed, _ = run.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            printed, _ = run.communicate()
    answers = [line for line in printed.splitlines() if line.startswith('["')]
    silent = json.dumps(["does not run", "ends without an answer", round(time.time() - began)])
    outcome, detail, seconds = json.loads(answers[-1] if answers else silent)
    today = datetime.date.today().isoformat()
    values = one.library, version, RELEASED[package], declared, f"{one.help}: {versions}", outcome, detail, seconds, today
    return dict(zip(FIELDS, values, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="?", help="the name, or its beginning, of the library to ask again")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        answer(arguments.inside)
    if not shutil.which("java"):
        sys.exit("Spark needs Java: install version 17 or newer, so that `java -version` answers, and run this again.")
    result = DATA / "spark_libraries.csv"
    rows = []
    if arguments.only:
        with open(result, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    for place, one in enumerate(TRIES):
        if not one.library.startswith(arguments.only or ""):
            continue
        row = ask(one)
        print(*row.values(), sep=" | ", flush=True)
        rows[place : place + 1] = [row]
    with open(result, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
