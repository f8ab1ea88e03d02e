"""Runs a lesson with every combination of some parameters' values, as many runs at once as there are cores, by Ray.

    python -m tandem sweep 06 -p learning_rate 1e-3,3e-3 -p seed 0:4

A run is done once its `result.json` is in its folder, into which it comes whole, in one move. When the same command is given
again, what is not done is run from its beginning; what is done is not. None of this needs Ray: `sweep` asks a runner for results,
and `on_ray` is the one that computes them, on this machine's cores or on those of a cluster.
"""
import contextlib
import csv
import hashlib
import io
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass

import filelock
import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS, TandemError, plots, records, threads
from tandem import parameters as tables
from tandem.parameters import WrongParameter
from tandem.tools import run, source
from tandem.tools.execute import RunError
from tandem.tools.install import MissingPackages

ONE_CORE = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}
QUIET = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
HASTY = {"RAY_CLIENT_INITIAL_CONNECTION_TIMEOUT_S": "4", "RAY_CLIENT_MAX_CONNECTION_TIMEOUT_S": "4",
         "RAY_NUM_REDIS_GET_RETRIES": "12"}
"""Where something answers that is no Ray, Ray gives up after a quarter of a minute."""
STORE = 80 * 2**20  # bytes of Ray's object store, the least that it takes: results are small
PATIENCE = 10  # seconds that a cluster may take to answer
PANELS = 3  # beside each other in the picture
PRINTED = 3  # columns of scores in the printed table; sweep.csv has all
CLEAR = """
import contextlib, shutil, sys
import psutil

def started_here(process):
    with contextlib.suppress(psutil.Error):
        return process.environ().get("TMPDIR") == sys.argv[1]

sys.stdin.read()  # ends with the process that holds the other end, however that ends
while left := list(filter(started_here, psutil.process_iter())):
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=5)
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""
"""What another process does when a sweep has ended: ends what was started with the folder in its TMPDIR, and removes that."""


@dataclass(frozen=True)
class Run:
    """One run of a sweep. version: of the lesson's source, whose results alone count. folder: where it leaves what it makes."""

    lesson: str
    version: str
    framework: str
    parameters: dict
    folder: pathlib.Path

    def __str__(self):
        given = [f"{name.replace('_', ' ')} {value}" for name, value in self.parameters.items()]
        return ", ".join([*given, FRAMEWORK_NAMES[self.framework]])


def sweep(lesson, parameters, frameworks=None, output=None, runner=None, report=print):
    """Runs what is not done yet, then writes sweep.csv and sweep.png and prints the table; returns how many runs failed.

    parameters: {name: a value, a tuple of values, or "first:after the last"}. runner: a function that takes a list of `Run`s and
    yields (run, result), as `lesson_run` returns it, as they end (None: `on_ray`). Raises WrongParameter before
    anything runs.
    """
    parameters = {name: values(name, given) for name, given in parameters.items()}
    folder = pathlib.Path(output or tandem.ROOT / "runs" / "_".join(["sweep", lesson.name[:2], *parameters])).absolute()
    runs = plan(lesson, parameters, frameworks or FRAMEWORKS, folder)
    with _alone(folder):
        results = {one.folder: result for one in runs if (result := finished(one))}
        waiting = [one for one in runs if one.folder not in results]
        if results:
            report(f"{len(results)} of {len(runs)} runs are done already.")
        try:
            for one, result in _told((runner or on_ray)(waiting) if waiting else (), len(results), len(runs), report):
                if "failed" not in result:
                    keep(one, result)
                results[one.folder] = result
        except KeyboardInterrupt:
            report(f"Stopped after {len(results)} of {len(runs)} runs; the same command goes on with the others.")
            raise
        finally:
            ended = [(one, results[one.folder]) for one in runs if one.folder in results]
            _write_table(folder / "sweep.csv", ended)
        report(_printed(ended))
        _draw(lesson, parameters, ended, folder / "sweep.png")
    report(f"sweep.csv, sweep.png and a folder for each run are in {folder}.")
    return sum("failed" in result for result in results.values())


def values(name, given):
    """The list of values that stand behind a parameter: (1, 2) and "0:4" are several, anything else is one."""
    if isinstance(given, str) and ":" in given:
        ends = re.fullmatch(r"(-?\d+):(-?\d+)", given)
        given = range(int(ends[1]), int(ends[2])) if ends else ()
    several = list(dict.fromkeys(given)) if isinstance(given, (tuple, list, range)) else [given]
    if not several:
        raise WrongParameter(f"-p {name}: give a value, some with commas between them, or a range of whole numbers such as 0:4, "
                             "which is 0,1,2,3.")
    return several


def plan(lesson, parameters, frameworks, folder):
    """The `Run`s of {name: list of values}. Raises WrongParameter for a combination that the lesson does not take."""
    if None in lesson.frameworks:
        raise RunError(f"Lesson {lesson.name} has no twins that keep records: there is nothing to sweep.")
    table, version = lesson.parameters(), hashlib.sha256(lesson.path.read_bytes()).hexdigest()[:16]
    runs = []
    for combination in itertools.product(*parameters.values()):
        chosen = dict(zip(parameters, combination, strict=True))
        tables.check(lesson.name, table, chosen)
        for framework in frameworks:
            place = folder / "_".join([*(f"{name}={value}" for name, value in chosen.items()), framework])
            runs.append(Run(lesson.name, version, framework, chosen, place))
    return runs


def finished(one):
    """The result of a run that is done, of this version of its lesson; None where it has to be run."""
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads((one.folder / "result.json").read_text(encoding="utf-8"))
        return kept["result"] if kept["version"] == one.version else None


def keep(one, result):
    """Writes a run's result in one move: it is there, whole, or it is not there."""
    one.folder.mkdir(parents=True, exist_ok=True)  # on a cluster the run may have been on a machine with other disks
    _replace(one.folder / "result.json", json.dumps({"version": one.version, "result": result}, indent=1))


def lesson_run(one):
    """Runs a lesson on one core. Returns {score: number}, with the last losses and "seconds" among them, or {"failed": why}."""
    os.environ.update(ONE_CORE)
    start = time.perf_counter()
    shutil.rmtree(one.folder, ignore_errors=True)  # what a killed run left
    try:
        run.run(source.find(one.lesson), one.parameters, [one.framework], one.folder, report=lambda line: None)
    except (TandemError, OSError) as error:
        return {"failed": _first_line(error)}
    record = records.load(one.lesson, one.framework, place=one.folder)
    if record is None:
        return {"failed": f"It left no record in {one.folder}."}
    scores = {name: value for name, value in record["scores"].items() if not isinstance(value, list)}
    scores |= {f"final {curve}": losses[-1] for curve, losses in record["losses"].items() if losses}
    return scores | {"seconds": round(time.perf_counter() - start, 1)}


def on_ray(runs, address=None, at_once=None, report=print):
    """Yields (run, result) of each of `runs` as it ends.

    address: a cluster's; "auto" on one of its machines (None: this machine alone). at_once: the most runs that compute at a
    time (None: one a core). Raises MissingPackages, and RunError where no cluster answers.
    """
    with _engine(address, at_once, report) as ray:
        begin = ray.remote(num_cpus=1, max_retries=0)(lesson_run).remote  # who fails is named, and run by the next command
        waiting, running = list(runs), {}
        while waiting or running:
            while waiting and len(running) < (at_once or len(runs)):
                one = waiting.pop(0)
                running[begin(one)] = one
            [ended], _ = ray.wait(list(running))
            try:
                result = ray.get(ended)
            except ray.exceptions.RayError as error:  # killed, or out of memory; or a bug, which has a cause
                result = {"failed": f"{type(error).__name__}: {_first_line(getattr(error, 'cause', error))}"}
            yield running.pop(ended), result


@contextlib.contextmanager
def _engine(address, at_once, report):
    """Ray, started on this machine and ended with this process, however that ends; or connected to a cluster."""
    start, before = time.perf_counter(), dict(os.environ)
    with contextlib.nullcontext() if address else _passing_folder() as folder:
        try:
            os.environ.update(HASTY if address else QUIET | {"TMPDIR": folder})  # also the runs': a killed one leaves it there
            import ray

            if address:
                _connect(ray, address)
            else:
                ray.init("local", num_cpus=at_once or threads.cores(), include_dashboard=False, object_store_memory=STORE,
                         log_to_driver=False, logging_level="ERROR", _temp_dir=folder, _node_ip_address="127.0.0.1")
            cores = int(ray.cluster_resources().get("CPU", 0))
            report(f"Ray is there after {time.perf_counter() - start:.1f} s, with {cores} core{'s' * (cores != 1)}.")
            try:
                yield ray
            finally:
                ray.shutdown()
        except ImportError:
            raise MissingPackages("A sweep needs ray: type  python -m tandem install 21  (two minutes, 2.4 GB).") from None
        finally:
            os.environ.clear()
            os.environ.update(before)


def _connect(ray, address):
    host, _, port = address.removeprefix("ray://").rpartition(":")
    python = str(pathlib.Path(tandem.__file__).parent.parent)
    try:
        if port.isdigit():
            socket.create_connection((host, int(port)), PATIENCE).close()
        with warnings.catch_warnings(action="ignore"):
            ray.init(address, log_to_driver=False, logging_level="ERROR", runtime_env={"env_vars": {"PYTHONPATH": python}})
    except (OSError, RuntimeError, ValueError) as error:
        raise RunError(f"No Ray answers at {address} ({_first_line(error)}); docs/cluster/ tells how to start one.") from None


@contextlib.contextmanager
def _passing_folder():
    """A folder of a short name, as Ray's sockets need, that is cleared away when this process has ended, even by kill -9."""
    folder = tempfile.mkdtemp(prefix="tandem-", dir="/tmp" if os.path.isdir("/tmp") else None)
    other = subprocess.Popen([sys.executable, "-c", CLEAR, folder], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield folder
    finally:
        other.stdin.close()
        other.wait()


@contextlib.contextmanager
def _alone(folder):
    """Makes the folder of a sweep and keeps a second sweep out of it."""
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise RunError(f"Another sweep is at work in {folder}: wait for it, or name another folder with --output.") from None
    except OSError as error:
        raise RunError(f"{error.filename} cannot be written ({error.strerror}): name another folder with --output.") from None
    try:
        yield
    finally:
        lock.release()


def _told(results, done, total, report):
    """Passes (run, result) on, then says how many of how many, what came out, and how many minutes are left."""
    start = time.perf_counter()
    for ended, (one, result) in enumerate(results, 1):
        yield one, result
        left = (time.perf_counter() - start) / ended * (total - done - ended) / 60
        name = _score([result])
        outcome = f"failed: {result['failed']}" if "failed" in result else f"{name} {_short(result[name])}"
        report(f"{done + ended} of {total} · {one}: {outcome} · {left:.1f} minutes left")


def _score(results):
    """The name of what the picture shows: the first score that is neither a count nor a time, else the first loss."""
    names = (name for result in results for name, value in result.items()
             if isinstance(value, float) and not name.endswith(records.MEASURED))
    return next(names, "seconds")


def _write_table(path, ended):
    """Everything as CSV: parameters, framework, scores, seconds, and why a run failed."""
    rows = [one.parameters | {"framework": one.framework} | result for one, result in ended]
    names = dict.fromkeys(name for row in rows for name in row if name not in ("seconds", "failed"))
    text = io.StringIO()
    table = csv.DictWriter(text, [*names, "seconds", "failed"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    _replace(path, text.getvalue())


def _printed(ended):
    """The table for a console: parameters, framework, the first scores that are no counts, seconds; why a run failed."""
    scores = dict.fromkeys(name for _, result in ended for name, value in result.items() if isinstance(value, float))
    scores = [name for name in scores if not name.endswith(records.MEASURED)]
    lines = [[*ended[0][0].parameters, "framework", *scores[:PRINTED], "seconds"]]
    for one, result in ended:
        numbers = [_short(result.get(name, "")) for name in lines[0][len(one.parameters) + 1 :]]
        lines.append([*map(str, one.parameters.values()), FRAMEWORK_NAMES[one.framework], *numbers])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    reasons = [f"  failed: {result['failed']}" if "failed" in result else "" for _, result in ended]
    return "\n".join(line + reason for line, reason in zip(text, ["", *reasons], strict=True))


def _draw(lesson, parameters, ended, path):
    """The score against the first parameter with several values (the seed comes last); a panel for each choice of the others.

    A mark is the mean of the runs that differ in their seeds alone; its bar goes from the lowest of them to the highest.
    """
    matplotlib.use("agg")
    ended = [(one, result) for one, result in ended if "failed" not in result]
    if not ended:
        return
    score = _score([result for _, result in ended])
    swept = sorted((name for name, several in parameters.items() if len(several) > 1), key="seed".__eq__) or list(parameters)
    rest = [name for name in swept[1:] if name != "seed"]
    panels = dict.fromkeys(tuple(one.parameters[name] for name in rest) for one, _ in ended)
    rows = math.ceil(len(panels) / PANELS)
    figure, axes = plt.subplots(rows, min(len(panels), PANELS), sharey=True, squeeze=False,
                                figsize=(max(7.0, 3.5 * min(len(panels), PANELS)), 3.6 * rows))
    for place, panel in zip(axes.flat, panels, strict=False):
        for framework in FRAMEWORKS:
            _marks(place, framework, [
                (one.parameters[swept[0]], result[score]) for one, result in ended
                if one.framework == framework and score in result and tuple(one.parameters[name] for name in rest) == panel])
        place.set(xlabel=swept[0].replace("_", " "),
                  title=", ".join(f"{name.replace('_', ' ')} {value}" for name, value in zip(rest, panel, strict=True)))
        if all(value > 0 for value in parameters[swept[0]]) and max(parameters[swept[0]]) >= 8 * min(parameters[swept[0]]):
            place.set_xscale("log")
    for place in axes.flat[len(panels) :]:
        place.remove()
    axes[0, 0].set_ylabel(score.replace("_", " "))
    axes[0, 0].legend()
    spread = ", mean and range over the seeds" if "seed" in swept[1:] else ""
    figure.suptitle(f"Lesson {lesson.title.partition(' ')[0]}: {score.replace('_', ' ')}{spread}", fontsize=11)
    part = path.with_suffix(".part")
    figure.savefig(part, dpi=120, format="png")
    os.replace(part, path)
    plt.close(figure)


def _marks(axes, framework, points):
    """Draws (value, score) pairs as the mean of each value's scores, with a bar from the lowest to the highest."""
    several = {}
    for value, score in sorted(points):
        if math.isfinite(score):
            several.setdefault(value, []).append(score)
    if several:
        low, mean, high = np.array([(min(scores), np.mean(scores), max(scores)) for scores in several.values()]).T
        axes.errorbar(list(several), mean, np.maximum([mean - low, high - mean], 0), marker="o", capsize=3,
                      label=FRAMEWORK_NAMES[framework], **plots.FRAMEWORK_STYLES[FRAMEWORK_NAMES[framework]])


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _first_line(error):
    return str(error).partition("\n")[0]


def _replace(path, text):
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
