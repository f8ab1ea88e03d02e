"""What a run leaves behind, so that each twin can draw the other's curve: one small JSON file a lesson and framework.

A notebook saves into `records/` (or the folder named by the environment variable TANDEM_RECORDS), and reads its twin's
from there; if the twin has not been run with the same parameters, from `notebooks/records/`, which the build ships. A record
says when it was made, and whoever prints or draws it says so, too.
"""
import datetime
import json
import os
import pathlib
import tempfile

import numpy as np

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS

LINE = 60  # columns: half a screen holds as many beside a notebook's margins
MEASURED = ("seconds", "megabytes")  # at the end of a score's name: the moment decides it, not the network
NUMBER = 11  # columns of a number in the table of `compare`


def shipped():
    """The folder of the records that the build ships, from the runs behind the stored notebooks."""
    return tandem.ROOT / "notebooks" / "records"


def folder():
    """The folder into which this run saves its records."""
    return pathlib.Path(os.environ.get("TANDEM_RECORDS") or tandem.ROOT / "records").absolute()


def spare_folder():
    """Where records go if `folder()` cannot be written: one of this user's in the system's temporary folder, which all share."""
    user = os.getuid() if hasattr(os, "getuid") else "records"  # on Windows the temporary folder is the user's own
    return pathlib.Path(tempfile.gettempdir()) / f"tandem-{user}"


def save(lesson, framework, parameters, losses, **scores):
    """Saves a run and returns its record, a dictionary.

    lesson: its name, "02_training". framework: "pytorch" or "tensorflow". parameters: {name: value}, as run. losses: one
    loss a step, or {curve: one loss a step}; a curve whose name ends in "by epoch" counts epochs instead. scores: anything else
    worth comparing, numbers or lists of numbers. The file is replaced in one move: a twin that reads at that
    moment finds the old record or the new one, whole.
    """
    if not isinstance(losses, dict):
        losses = {"loss": losses}
    record = {
        "lesson": lesson,
        "framework": framework,
        "made": os.environ.get("TANDEM_MADE") or f"{datetime.datetime.now():%Y-%m-%d at %H:%M}",  # the build names its own
        "parameters": parameters,
        "losses": {name: [_number(loss) for loss in values] for name, values in losses.items()},
        "scores": {name: _number(value) for name, value in scores.items()},
    }
    try:
        _write(folder(), record)
    except OSError:
        _write(spare_folder(), record)
        print(f"The folder {folder()} cannot be written: this run's record is in {spare_folder()}.")
    return record


def add(record, **scores):
    """Saves a record once more, with scores that were not known when it was made; returns it."""
    kept = record["scores"] | scores
    return save(record["lesson"], record["framework"], record["parameters"], record["losses"], **kept)


def load(lesson, framework, parameters=None, place=None):
    """The newest record of a lesson's twin that was run with the same `parameters` (None: any); None if there is none.

    place: look in this folder alone.
    """
    name = f"{lesson}_{framework}.json"
    for place in [place] if place else (folder(), spare_folder(), shipped()):
        try:
            record = json.loads((place / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):
            print(f"The record {place / name} cannot be read: it is left out. Run that notebook again to renew it.")
            continue
        if parameters is None or record["parameters"] == json.loads(json.dumps(parameters)):
            return record
    return None


def relative_difference(first, second):
    """|a − b| / max(|a|, |b|) for each step, as a float64 array as long as the shorter of the two."""
    steps = min(len(first), len(second))
    first, second = np.asarray(first[:steps], "float64"), np.asarray(second[:steps], "float64")
    largest = np.maximum(np.abs(first), np.abs(second))
    return np.abs(first - second) / np.where(largest == 0, 1, largest)


def compare(mine, twin):
    """A table that says how far two records are apart: scores side by side, losses at the first and the last step.

    PyTorch's column comes first in both notebooks. Scores that end in one of `MEASURED` are left out: two runs at different
    moments are no comparison of them. `twin` may be None, the answer of `load` when the twin was not run with these parameters:
    then a line that says so.
    """
    if twin is None:
        other = FRAMEWORK_NAMES["tensorflow" if mine["framework"] == "pytorch" else "pytorch"]
        return f"The {other} twin has not been run with these parameters.\nRun it, then run this cell again."
    first, second = sorted((mine, twin), key=lambda record: FRAMEWORKS.index(record["framework"]))
    lines = [_row("", *(FRAMEWORK_NAMES[record["framework"]] for record in (first, second)))]
    for name, value in mine["scores"].items():
        if np.isscalar(value) and name in twin["scores"] and not name.endswith(MEASURED):
            lines.append(_row(name.replace("_", " "), *(_short(record["scores"][name]) for record in (first, second))))
    for name in mine["losses"]:
        ours, theirs = (record["losses"].get(name, []) for record in (first, second))
        apart = relative_difference(ours, theirs)
        for step in sorted({0, apart.size - 1}) if apart.size else ():
            numbers = f"{ours[step]:.4f}", f"{theirs[step]:.4f}", f"{apart[step]:.0e}"
            lines.append(_row(f"{name}, {unit(name)} {step + 1}", *numbers))
    return "\n".join([*lines, whose(twin)])


def whose(record):
    """One line on whose a record is and when it was made, such as "TensorFlow's run: shipped with the lesson"."""
    return f"{FRAMEWORK_NAMES[record['framework']]}'s run: {record.get('made', 'of an unknown day')}"


def _row(label, *numbers):
    """A line of the table; a label too long for its column stands on a line of its own."""
    width = LINE - 3 * NUMBER
    cells = "".join(f"{number:>{NUMBER}}" for number in numbers)
    return f"{label:{width}}{cells}" if len(label) <= width else f"{label}\n{'':{width}}{cells}"


def unit(curve):
    """What a curve counts along its x axis."""
    return "epoch" if curve.endswith("by epoch") else "step"


def _write(place, record):
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=place, suffix=".part", delete=False, encoding="utf-8") as file:
        json.dump(record, file, indent=1)
    os.chmod(file.name, 0o644)
    os.replace(file.name, place / f"{record['lesson']}_{record['framework']}.json")


def _number(value):
    """A plain Python number with nine significant digits: enough to give a float32 back exactly."""
    array = np.asarray(value)
    if array.ndim:
        return [_number(item) for item in array]
    return int(array) if array.dtype.kind in "iub" else float(f"{float(array):.9g}")


def _short(value):
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
