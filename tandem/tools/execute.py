"""Runs a notebook with papermill, in an environment of its own; measures its time and its kernel's memory."""
import contextlib
import os
import pathlib
import re
import tempfile
import threading
import time

import matplotlib
import nbformat
import papermill
import psutil
from ipykernel.kernelspec import write_kernel_spec

import tandem
from tandem import TandemError, records, threads
from tandem.tools import exercises

PERSONAL = re.compile(r"(?i)IPYTHON|JUPYTER|KERAS_|MATPLOTLIBRC|MPLBACKEND|PYTHONSTARTUP|PYTHONWARNINGS|.*_PROXY$"
                      r"|TF_CPP_|TF_ENABLE_ONEDNN_OPTS|TF_USE_LEGACY_KERAS|(TF_)?XLA_FLAGS|TORCH_LOGS")
"""The environment variables by which a user's own settings would reach a kernel."""


class RunError(TandemError):
    """A notebook's cell failed; the message names the source file, the line of the cell, and the error."""


def execute(notebook, path, parameters=None, records_folder=None, description="", made=None):
    """Runs `notebook` with papermill into the file `path`. Returns (seconds, peak_mb) of its kernel and what that started.

    made: for the build, what its records say of when they were made (None: the time). Raises PapermillExecutionError when a
    cell fails; the file then holds the outputs up to there.
    """
    own = {"TANDEM_ROOT": str(tandem.ROOT), "TANDEM_RECORDS": str(records_folder or records.folder())}
    if made:  # by the build, which has the machine to itself: a kernel with all its cores
        own |= {"TANDEM_MADE": made, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(threads.cores())}
    unrun = path.with_suffix(".source.ipynb")
    nbformat.write(notebook, unrun)
    try:
        with _empty_folder() as settings, environment(settings, **own), _PeakMemory() as memory:
            start = time.perf_counter()
            papermill.execute_notebook(unrun, path, parameters or {}, kernel_name="python3", cwd=str(path.parent),
                                       progress_bar={"desc": description, "leave": False},
                                       extra_arguments=["--log-level=CRITICAL"])  # the kernel's own talk, not the cells'
            return time.perf_counter() - start, memory.peak_mb
    finally:
        unrun.unlink()


@contextlib.contextmanager
def environment(settings, **more):
    """While the block runs, kernels start with this Python and with nothing of the user's own settings, profiles or proxies.

    settings: an empty folder, in which they look for settings instead. more: further environment variables.
    """
    before, settings = dict(os.environ), pathlib.Path(settings)
    write_kernel_spec(str(settings / "kernels" / "python3"))  # this Python, whatever kernels the user has installed
    for name in filter(PERSONAL.match, before):
        del os.environ[name]
    os.environ.update({
        **dict.fromkeys(("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_PATH", "JUPYTER_RUNTIME_DIR",
                         "KERAS_HOME"), str(settings)),
        "MATPLOTLIBRC": str(pathlib.Path(matplotlib.get_data_path(), "matplotlibrc")),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    } | more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _empty_folder():
    return tempfile.TemporaryDirectory(prefix="tandem-", ignore_cleanup_errors=True)  # a kernel may still be closing a file


def failure_message(lesson, framework, error):
    """"lessons/file:line: in notebook: error" for a PapermillExecutionError: the line is that of the failed cell's source."""
    own = exercises.shown(lesson.cells, framework)
    codes = [cell for cell in own if cell.kind == "code"]
    failed = next((cell for cell in codes if cell.source == error.source), own[0])
    return f"lessons/{lesson.path.name}:{failed.line}: in {lesson.notebook_name(framework)}: {error.ename}: {error.evalue}"


class _PeakMemory:
    """Measures the most memory, in MB of 10^6 bytes, that this process' children hold together while the block runs."""

    def __enter__(self):
        self.peak_mb, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _watch(self):
        own = psutil.Process()
        while not self._done.wait(0.1):
            children = own.children(recursive=True)
            resident = sum(_resident(child, alone=len(children) == 1) for child in children)
            self.peak_mb = max(self.peak_mb, round(resident / 1e6))


def _resident(process, alone):
    """Bytes in memory. What processes share is shared out among them where the system tells (Linux); that is slow to ask."""
    try:
        if alone:
            return process.memory_info().rss
        memory = process.memory_full_info()
        return getattr(memory, "pss", memory.uss)
    except psutil.Error:
        return 0  # it ended between being listed and being asked
