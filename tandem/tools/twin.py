"""Runs one side of a twin proof: a lesson's network cells, in one framework, in float64.

What is in docs/contributing.md, "The twin proof", is called here: `starting_weights`, `batches`, `build_<player>`, … Each seed
has cells of its own, freshly executed, with the constants that `constants(seed)` gives. First one step is taken eagerly, with
an eye on gradients, on what enters each layer and on what the optimiser makes of it; then, from the start again, all steps
as the notebook takes them: in TensorFlow as the graph of `tf.function`.

For a tool that runs many variants of a lesson, such as the mutants:

    results = run_variants(lessons, "tensorflow", runs={1: 10})   # one process, the framework is imported once
    proof.difference(other, results[0]).beyond()                           # the names of what is over its limit

`lessons` may be altered copies, dataclasses.replace(lesson, cells=...): nothing is read from lesson.path. A result is a
dictionary of arrays, or the `ProofError` that stopped it. `run_twin` does the same for one lesson in the present process.

This module imports no framework; `twin_pytorch` and `twin_tensorflow`, its two engines, are imported by the process that needs
them.
"""
import contextlib
import functools
import importlib
import itertools
import linecache
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import traceback

import jupytext
import numpy as np

from tandem import FRAMEWORK_NAMES, TandemError
from tandem.tools import source

# {seed: steps}. What other constants show, they show within three steps: the long run has those with the smaller batches.
RUNS = {0: 25, 1: 100}

# Values that float32 holds exactly: Keras keeps some constants in it. An odd seed runs with other ones, so that a number that
# stands where a parameter belongs, which has the value of the first row by chance, cannot stay hidden. The odd rate is lower,
# as a GAN amplifies rounding at a higher one; the epsilon is not much below Adam's own, because Adam scales up the gradients
# that are only rounding (a bias before a batch norm) as far as epsilon lets it.
_EVEN = {"learning_rate": 2.0**-10, "beta_1": 0.875, "beta_2": 1 - 2.0**-10, "momentum": 0.875, "rho": 0.875, "slope": 0.25,
         "weight_decay": 2.0**-10, "dropout": 0.25, "batch_size": 16}
_ODD = {"learning_rate": 2.0**-11, "beta_1": 0.75, "beta_2": 1 - 2.0**-9, "momentum": 0.75, "rho": 0.75, "slope": 0.125,
        "weight_decay": 2.0**-9, "dropout": 0.5, "batch_size": 4, "epsilon": 2.0**-22}

PROTOCOL = {
    "starting_weights": "starting_weights(seed), shared: the neutral weights of every player, "
                        "{\"classifier\": {layer: {kind: array}}}",
    "batches": "batches(seed), shared: yields the NumPy arrays of each training step as a tuple, at least 100 times",
    "build_": "build_<player>(starting), on each side: the player's network with those weights (load_weights)",
    "build_optimizer": "build_optimizer(network), on each side: the optimiser of a player (Keras: built, optimizer.build(...))",
    "to_tensors": "to_tensors(*batch), on each side: a batch's arrays as this framework's tensors, in its layout, keeping their "
                  "type",
    "train_step": "train_step(*players, *optimizers, *tensors), on each side: one step with those optimisers; returns its loss, "
                  "or a tuple of losses",
    "evaluate": "evaluate(network, inputs), on each side: what a trained player answers in evaluation mode, one tensor; with "
                "several players evaluate_<player>(network, *tensors)",
    "learning_rates": "learning_rates(), on each side: a NumPy array, the rate of each step of the run, asked of the "
                      "framework's schedule",
}


class ProofError(TandemError):
    """Network cells that cannot be run; the message is "file:line: what happened, and what is expected"."""


def constants(seed):
    """The values that a proof with this seed gives to parameters of these names: {name: value}."""
    return _ODD if seed % 2 else _EVEN


def read_pair(path):
    """A pair of one's own as a `source.Lesson`: a percent script with the same tags and none of the rules for lessons.

    Its code cells count as network cells; if some are tagged `network`, these alone.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProofError(f"{path}: {error.strerror}; name a lesson's number or the file of a pair (docs/porting.md).") from error
    markers = [line for line, words in enumerate(text.splitlines(), 1) if words.startswith("# %%")]
    notebook = jupytext.reads(text, fmt="py:percent")
    without_marker = len(notebook.cells) - len(markers)  # a header, or code before the first marker
    cells = [
        source.Cell(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())), line)
        for cell, line in zip(notebook.cells, [0] * without_marker + markers, strict=True)
    ]
    code = [cell for cell in cells if cell.kind == "code"]
    if not any("network" in cell.tags for cell in code):
        cells = [source.Cell(cell.kind, cell.source, (*cell.tags, "network"), cell.line) for cell in code]
    for framework, name in FRAMEWORK_NAMES.items():
        if not any(cell.framework == framework for cell in code):
            raise ProofError(f'{path}:1: no cell of {name}; begin its cells with: # %% tags=["{framework}"] (docs/porting.md).')
    return source.Lesson(path, tuple(cells), source.Header(minutes={}))


def network_cells(lesson, framework, fixed=None, tags=frozenset({"network"})):
    """Executes the cells of `lesson` with one of these `tags`, as `framework` has them, and returns their namespace.

    `fixed`, {name: value}: values put in place of what the cells say, right after the cell that first defines the name; a cell
    that defines it again has its way. Tracebacks, `inspect` and AutoGraph see the lines of the lesson's file.
    """
    names, waiting = {"__name__": lesson.name}, dict(fixed or {})
    for cell in lesson.cells_of(framework):
        if tags & set(cell.tags):
            file = _file(lesson, cell)
            text = "\n" * cell.line + cell.source
            linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
            exec(compile(text, file, "exec"), names)
            names |= {name: waiting.pop(name) for name in list(waiting) if name in names}
    return names


def run_twin(lesson, framework, runs=RUNS):
    """Runs one side in this process, `runs` = {seed: steps}, and returns what is compared: {"what/player/seed/…": array}.

    losses/all        (steps, losses) in training, as the notebook runs it; eager/all: (losses,) of the first step taken eagerly
    gradients/x       of the first step; updates/x: what that step added to the weights; start/x: the weights before it.
                      A number and a kind follow: layers keep their order in both frameworks, not always their names
    weights/x         after the last step, moving statistics included
    evaluation/x      the answer of `evaluate` for the last batch, after the last step
    dropout/x         (layers, 2): rate, and whether whole maps are hidden
    rates/all         of every step of the lesson's own run, with its own parameters
    layers/x, inputs/x  for the diagnosis: names of layers, and a fingerprint of what enters each

    Raises ProofError.
    """
    engine = load(framework)
    results = {}
    for seed, steps in runs.items():
        side = _Side(lesson, framework, constants(seed) | engine.fixed)
        if "learning_rates" in side.names and seed == next(iter(runs)):
            shipped = _Side(lesson, framework, engine.fixed)
            results[f"rates/all/{seed}"] = np.asarray(shipped.call("learning_rates"), "float64")
        for key, array in _run(side, engine, seed, steps).items():
            what, player, *rest = key.split("/")
            results["/".join((what, player, str(seed), *rest))] = array
    return results


def _run(side, engine, seed, steps):
    starting = side.call("starting_weights", seed)
    if not isinstance(starting, dict) or not starting:
        raise side.wrong("starting_weights", f"returns a {type(starting).__name__}")
    batches = side.take_batches(seed, steps)
    results = {}

    first = _Players(side, engine, starting)
    dropouts = {name: engine.dropouts(player) for name, player in first.players.items()}
    rules = {name: np.array([mask_rule(layer) for layer in layers]) for name, layers in dropouts.items() if layers}
    results |= {f"dropout/{name}": rule for name, rule in rules.items()}
    results |= _flat("start", first.weights())
    with engine.watching(first.players, first.optimizers) as seen:
        results["eager/all"] = first.step(batches[0])
    missed = [name for name in first.players if name not in seen.gradients]
    if missed:
        raise side.wrong("train_step", f"never applies the optimiser that build_optimizer made for '{missed[0]}'")
    results |= _flat("gradients", seen.gradients) | _flat("inputs", seen.inputs)
    after = _flat("updates", first.weights())
    results |= {key: array - results[key.replace("updates/", "start/")] for key, array in after.items()}

    whole = _Players(side, engine, starting)
    results["losses/all"] = np.array([whole.step(batch) for batch in batches])
    results |= _flat("weights", whole.weights())
    results |= {f"layers/{name}": np.array(list(layers), dtype=str) for name, layers in whole.weights().items()}
    return results | whole.evaluations()


class _Side:
    """One framework's functions, called so that what goes wrong in them becomes one sentence with file and line."""

    def __init__(self, lesson, framework, fixed):
        self.lesson, self.framework = lesson, framework
        with self._explained("the network cells", "cells that run from top to bottom without the rest of the file"):
            self.names = network_cells(lesson, framework, fixed)

    def call(self, name, *arguments, row=None):
        row = PROTOCOL[row or name]
        if not callable(self.names.get(name)):
            raise ProofError(f"{self._shown()}:1: {self._who()} has no {name}. Expected: {row}.")
        with self._explained(name, row):
            return self.names[name](*arguments)

    def take_batches(self, seed, steps):
        with self._explained("batches", PROTOCOL["batches"]):
            batches = list(itertools.islice(self.call("batches", seed), steps))
        for batch in batches[:1]:
            if not isinstance(batch, tuple) or not all(isinstance(array, np.ndarray) for array in batch):
                raise self.wrong("batches", f"yields a {type(batch).__name__}, not a tuple of NumPy arrays")
        if len(batches) < steps:
            raise self.wrong("batches", f"ended after {len(batches)} of {steps} steps")
        return [tuple(map(_widen, batch)) for batch in batches]

    def wrong(self, name, problem, row=None):
        line = getattr(getattr(self.names.get(name), "__code__", None), "co_firstlineno", 1)
        return ProofError(f"{self._shown()}:{line}: {self._who()}: {name} {problem}. Expected: {PROTOCOL[row or name]}.")

    @contextlib.contextmanager
    def _explained(self, name, expected):
        try:
            yield
        except ProofError:
            raise
        except Exception as error:
            raise ProofError(f"{self._shown()}:{self._line(error)}: {self._who()}: {name} stopped with {_first_words(error)}. "
                             f"Expected: {expected}.") from error

    def _line(self, error):
        """The last line of the file that the error went through, in frames or in what AutoGraph says of them."""
        file = re.escape(_file(self.lesson, None))
        told = re.findall(rf'File "{file}\d+>", line (\d+)', "".join(traceback.format_exception(error)))
        if isinstance(error, SyntaxError) and error.lineno:
            return error.lineno
        return told[-1] if told else 1

    def _shown(self):
        path = self.lesson.path
        return path.relative_to(pathlib.Path.cwd()) if path.is_relative_to(pathlib.Path.cwd()) else path

    def _who(self):
        return FRAMEWORK_NAMES[self.framework]


class _Players:
    """Freshly built networks with their optimisers, in the order of `starting_weights`."""

    def __init__(self, side, engine, starting):
        self.side, self.engine = side, engine
        self.players = {name: side.call(f"build_{name}", arrays, row="build_") for name, arrays in starting.items()}
        self.optimizers = {name: side.call("build_optimizer", player) for name, player in self.players.items()}
        self.dropouts = [layer for player in self.players.values() for layer in engine.dropouts(player)]
        engine.start(self.optimizers)

    def step(self, batch):
        """Takes a training step and returns its losses, (losses,). Dropout rests: no two frameworks draw the same masks."""
        tensors = self.side.call("to_tensors", *batch)
        self.tensors = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
        with contextlib.ExitStack() as stack:
            for layer in self.dropouts:
                stack.enter_context(layer.resting())
            with self.engine.no_draws(self.side):
                losses = self.side.call("train_step", *self.players.values(), *self.optimizers.values(), *self.tensors)
        try:
            losses = self.engine.numbers(losses)
        except Exception as error:
            raise self.side.wrong("train_step", f"returns {_first_words(error)} where a loss belongs") from error
        if losses.ndim != 1:
            raise self.side.wrong("train_step", f"returns a loss of shape {losses.shape[1:]}, one number is needed")
        return losses

    def weights(self):
        return {name: self.engine.read(player) for name, player in self.players.items()}

    def evaluations(self):
        found = {}
        for name, player in self.players.items():
            if f"evaluate_{name}" in self.side.names:
                answer = self.side.call(f"evaluate_{name}", player, *self.tensors, row="evaluate")
            elif "evaluate" in self.side.names:
                answer = self.side.call("evaluate", player, self.tensors[0])
            elif kinds := self.engine.changes_in_evaluation(player):
                problem = f"makes a network with {kinds}, which answers otherwise when it is evaluated, and nothing evaluates it"
                raise self.side.wrong(f"build_{name}", problem, row="evaluate")
            else:
                continue
            found[f"evaluation/{name}"] = self.engine.array(answer)
        return found


def mask_rule(layer):
    """[rate, whether whole maps are hidden] of a dropout layer, after its masks were looked at.

    `layer.mask()` is what the layer makes of ones, (samples, positions, channels). Raises ProofError unless each entry is 0 or
    1 / (1 - rate) and the share of zeros is the rate within five standard deviations of drawing that many.
    """
    mask, rate = layer.mask(), layer.rate
    whole_maps = bool((mask == mask[:, :1]).all())
    drawn = mask[:, 0].size if whole_maps else mask.size
    hidden = np.mean(mask == 0)
    if not np.allclose(mask[mask != 0], 1 / (1 - rate), rtol=1e-6):
        raise ProofError(f"Dropout layer '{layer.name}': what it keeps of ones is not 1 / (1 - {rate}).")
    if abs(hidden - rate) > 5 * (rate * (1 - rate) / drawn) ** 0.5:
        raise ProofError(f"Dropout layer '{layer.name}': hides {hidden:.3f} of ones; its rate is {rate}.")
    return rate, whole_maps


def fingerprint(array):
    """Numbers that say whether two layers are fed the same, whatever the order of the axes and however many zeros pad it: [sum,
    sum of sizes, root of the sum of squares, largest size, moment]. The moment, of a table (samples, features) only, depends on
    the order of its columns."""
    array = np.asarray(array, "float64")
    moment = np.sum(array * np.linspace(1, 2, array.shape[1])) if array.ndim == 2 else np.nan
    return np.array([array.sum(), np.abs(array).sum(), np.sum(array**2) ** 0.5, np.abs(array).max(), moment])


@functools.cache
def load(framework):
    """The engine of a framework: imports it and prepares it for proofs, once a process."""
    return importlib.import_module(f"tandem.tools.twin_{framework}").Engine()


def run_variants(lessons, framework, runs=RUNS, seconds=600):
    """Runs one side of several lessons, or of variants of one, in one process of its own; the framework is imported once.

    Returns a list: for each lesson what `run_twin` returns, or a `ProofError`, also where it took more than `seconds`. Where the
    system can fork, each has a copy of the process to itself: what a variant leaves behind does not reach the next.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = {"lessons": list(lessons), "framework": framework, "runs": runs, "seconds": seconds}
        folder = pathlib.Path(folder)
        (folder / "jobs").write_bytes(pickle.dumps(jobs))
        # A proof is about arithmetic: it runs on the CPU, as float64 is not to be had on every accelerator, and on one thread.
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
                                    "TF_NUM_INTEROP_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                                    "TMPDIR": str(folder)}  # AutoGraph leaves files there
        command = [sys.executable, "-m", "tandem.tools.twin", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8", errors="replace")
        if done.returncode:
            raise ProofError(f"The {FRAMEWORK_NAMES[framework]} side of the proof could not be started:\n{done.stderr.strip()}")
        return [_result(folder, number) for number in range(len(jobs["lessons"]))]


def _result(folder, number):
    array_file, error_file = folder / f"{number}.npz", folder / f"{number}.error"
    if error_file.exists():
        return ProofError(error_file.read_text(encoding="utf-8"))
    with np.load(array_file) as arrays:
        return dict(arrays)


def _work(folder):
    """The process that `run_variants` starts."""
    jobs = pickle.loads((folder / "jobs").read_bytes())
    load(jobs["framework"])
    for number, lesson in enumerate(jobs["lessons"]):
        run = functools.partial(_run_one, folder, number, lesson, jobs["framework"], jobs["runs"])
        if hasattr(os, "fork"):  # before the framework has started threads, which a fork would lose
            _fork(run, folder / f"{number}.error", jobs["seconds"])
        else:
            run()


def _run_one(folder, number, lesson, framework, runs):
    try:
        np.savez(folder / f"{number}.npz", **run_twin(lesson, framework, runs))
    except ProofError as error:
        (folder / f"{number}.error").write_text(str(error), encoding="utf-8")
    except Exception:
        told = f"{lesson.name}, {FRAMEWORK_NAMES[framework]}:\n{traceback.format_exc()}"
        (folder / f"{number}.error").write_text(told, encoding="utf-8")


def _fork(run, error_file, seconds):
    """Runs `run` in a copy of this process, and writes to `error_file` if that does not end well."""
    child = os.fork()
    if child == 0:
        signal.alarm(seconds)  # ends the copy if it takes longer
        try:
            run()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if status:
        ended = f"took more than {seconds} s" if os.WTERMSIG(status) == signal.SIGALRM else f"ended with status {status}"
        error_file.write_text(f"The run {ended}.", encoding="utf-8")


def _file(lesson, cell):
    """What a cell is called in tracebacks; without a cell, how all of the lesson's begin."""
    return f"<{lesson.path.name}:" + (f"{cell.line}>" if cell else "")


def _first_words(error):
    """"ValueError: its first line"; of an error that AutoGraph explains at length, the line that says what it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines[1:] if re.match(r"\w+(Error|Exception): ", line)]
    if named:
        return named[-1]
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__


def _widen(array):
    return array.astype("float64") if array.dtype.kind == "f" else array


def _flat(what, by_player):
    return {
        f"{what}/{player}/{number}/{kind}": array
        for player, layers in by_player.items()
        for number, layer in enumerate(layers.values())
        for kind, array in layer.items()
    }


if __name__ == "__main__":
    from tandem.tools import twin  # under its own name: there the engines look for it, and errors are pickled with it

    twin._work(pathlib.Path(sys.argv[1]))
