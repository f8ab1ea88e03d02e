"""Runs a notebook with papermill, and measures how long it takes and how much memory its kernel holds."""
import os
import threading
import time

import nbformat
import papermill
import psutil

from tandem import TandemError, records


class RunError(TandemError):
    """A notebook's cell failed; the message names the source file, the line of the cell, and the error."""


def execute(notebook, path, parameters=None, records_folder=None, description=""):
    """Runs `notebook` with papermill into the file `path`. Returns (seconds, peak_mb) of its kernel and what that started.

    Raises PapermillExecutionError when a cell fails; the file then holds the outputs up to there.
    """
    unrun = path.with_suffix(".source.ipynb")
    nbformat.write(notebook, unrun)
    before = os.environ.get("TANDEM_RECORDS")
    os.environ["TANDEM_RECORDS"] = str(records_folder or records.folder())
    try:
        with _PeakMemory() as memory:
            start = time.perf_counter()
            papermill.execute_notebook(unrun, path, parameters or {}, kernel_name="python3", cwd=str(path.parent),
                                       progress_bar={"desc": description, "leave": False},
                                       extra_arguments=["--log-level=CRITICAL"])  # the kernel's own talk, not the cells'
            return time.perf_counter() - start, memory.peak_mb
    finally:
        unrun.unlink()
        if before is None:
            del os.environ["TANDEM_RECORDS"]
        else:
            os.environ["TANDEM_RECORDS"] = before


def failure_message(lesson, framework, error):
    """"lessons/file:line: in notebook: error" for a PapermillExecutionError: the line is that of the failed cell's source."""
    own = lesson.cells_of(framework)
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
    """Bytes in memory. What several processes share is shared out among them where the system tells (Linux); that is slow to ask."""
    try:
        if alone:
            return process.memory_info().rss
        memory = process.memory_full_info()
        return getattr(memory, "pss", memory.uss)
    except psutil.Error:
        return 0  # it ended between being listed and being asked
