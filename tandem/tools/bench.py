"""How long a lesson's twins take alone, and side by side as in the laboratory (make bench)."""
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import nbformat

import tandem
from tandem import FRAMEWORK_NAMES, TandemError, threads
from tandem.tools.execute import environment
from tandem.tools.notebook import assemble

MOST = 1.3
"""Twins run together should take at most this many times as long as the slower one alone."""


class BenchError(TandemError):
    """A notebook could not be run, or there are no twins to compare."""


def bench(lesson, runs=1, report=print):
    """Runs both notebooks of a lesson with papermill, each alone and then both at once, `runs` times, and prints the seconds.

    Kernels get the threads that they get in the laboratory: see tandem.threads.
    """
    if None in lesson.frameworks:
        raise BenchError(f"Lesson {lesson.title} is one notebook: name a lesson of two, such as 02.")
    alone, together = ({framework: [] for framework in lesson.frameworks} for _ in range(2))
    for number in range(runs):
        for framework in lesson.frameworks:
            alone[framework] += _seconds(lesson, [framework])
        for framework, seconds in zip(lesson.frameworks, _seconds(lesson, lesson.frameworks), strict=True):
            together[framework].append(seconds)
        if runs > 1:
            report(f"run {number + 1} of {runs} done")
    count = threads.threads()
    report(f"Lesson {lesson.title}: seconds of whole notebooks, {count} {'thread' if count == 1 else 'threads'} each, "
           f"{threads.cores()} cores")
    report(f"{'':12}{'alone':>20}{'together':>20}{'ratio':>8}")
    for framework in lesson.frameworks:
        mine, both = alone[framework], together[framework]
        ratio = statistics.median(both) / statistics.median(mine)
        report(f"{FRAMEWORK_NAMES[framework]:12}{_spread(mine):>20}{_spread(both):>20}{ratio:8.2f}")
    ratio = max(map(statistics.median, together.values())) / max(map(statistics.median, alone.values()))
    report(f"Together they take {ratio:.2f} times as long as the slower one alone; at most {MOST} is wanted.")
    return ratio


def _seconds(lesson, frameworks):
    """How long each of these notebooks takes when all of them run at once: started together, each with its own record."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-", ignore_cleanup_errors=True) as folder:
        with environment(folder, TANDEM_ROOT=str(tandem.ROOT), TANDEM_RECORDS=folder):
            start = time.perf_counter()
            running = {framework: _started(lesson, framework, folder) for framework in frameworks}
            took = {}
            while len(took) < len(running):
                time.sleep(0.05)
                for framework, process in running.items():
                    if framework not in took and process.poll() is not None:
                        took[framework] = time.perf_counter() - start
        for framework, process in running.items():
            said = process.communicate()[1].strip()
            if process.returncode:
                raise BenchError(f"{lesson.notebook_name(framework)} failed: {said.splitlines()[-1]}")
    return [took[framework] for framework in frameworks]


def _started(lesson, framework, folder):
    """A papermill process that runs one notebook, as a learner finds it, in `folder`."""
    path = str(pathlib.Path(folder, lesson.notebook_name(framework)))
    nbformat.write(assemble(lesson, framework, {}), path)
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "--log-level=CRITICAL", "--kernel=python3"]
    return subprocess.Popen([*command, f"--cwd={folder}", path, path], stderr=subprocess.PIPE, text=True, encoding="utf-8")


def _spread(seconds):
    """The median of several runs, and between what they lie."""
    if len(seconds) == 1:
        return f"{seconds[0]:.1f}"
    return f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
