"""Makes data/ray_train_runs.json anew: lesson 21's training runs by Ray Train, undisturbed and with a worker killed.

    python data/make/ray_train_runs.py

Runs the files that the lesson's own cells write (`%%write`) and the cells in its section on Ray Train, with the lesson's
parameters, for both frameworks: 3 GB of memory and three minutes. Losses are float64, written so that they come back exactly;
another processor rounds the last digits otherwise, and seconds and megabytes are of the moment, so the SHA-256 sum in
tandem/data.py changes.
"""
import atexit
import contextlib
import io
import json

from IPython.core.interactiveshell import InteractiveShell

from tandem import FRAMEWORKS, ROOT
from tandem.tools import source

LAST = "def run_ray("


def runs(framework):
    """{"undisturbed": losses, "killed": losses, their seconds, megabytes}."""
    shell = InteractiveShell()
    for cell in source.find("21").cells_of(framework):
        if cell.kind == "code" and (cell.source.startswith("%%write ") or not needs_a_run(cell.source)):
            with contextlib.redirect_stdout(io.StringIO()):
                shell.run_cell(cell.source).raise_error()
        if LAST in cell.source:
            break
    steps = shell.user_ns["steps"]
    found = shell.user_ns["run_ray"](steps * 57 // 100)
    atexit.unregister(shell.user_ns["end_all"])  # nothing runs any more, and the shell forgets its names before
    return found


def needs_a_run(text):
    """Whether a cell trains something, or shows what was trained before: none of that is needed here."""
    return any(word in text for word in ('together("', 'supervised("', "torchrun(", "plots.", "parted.", "relative_difference"))


if __name__ == "__main__":
    found = {framework: runs(framework) for framework in FRAMEWORKS}
    (ROOT / "data" / "ray_train_runs.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
