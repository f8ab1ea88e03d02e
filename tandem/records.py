"""What a run leaves behind, so that each twin can draw the other's curve: one small JSON file a lesson and framework.

A notebook saves into `records/` (or the folder named by the environment variable TANDEM_RECORDS), and reads its twin's
from there; if the twin has not been run with the same parameters, from `notebooks/records/`, which the build ships.
"""
import json
import os
import pathlib
import tempfile

import numpy as np

import tandem
from tandem import FRAMEWORK_NAMES

def shipped():
    """The folder of the records that the build ships, from the runs behind the stored notebooks."""
    return tandem.ROOT / "notebooks" / "records"


def folder():
    """The folder into which this run saves its records."""
    return pathlib.Path(os.environ.get("TANDEM_RECORDS") or tandem.ROOT / "records")


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
        "parameters": parameters,
        "losses": {name: [_number(loss) for loss in values] for name, values in losses.items()},
        "scores": {name: _number(value) for name, value in scores.items()},
    }
    try:
        _write(folder(), record)
    except OSError:
        writable = pathlib.Path(tempfile.gettempdir()) / "tandem-records"
        _write(writable, record)
        print(f"The folder {folder()} cannot be written: this run's record is in {writable}.")
    return record


def load(lesson, framework, parameters=None):
    """The newest record of a lesson's twin that was run with the same `parameters` (None: any); None if there is none."""
    name = f"{lesson}_{framework}.json"
    for place in (folder(), pathlib.Path(tempfile.gettempdir()) / "tandem-records", shipped()):
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
    """A few lines that say how far two records are apart: scores side by side, losses at the first and the last step.

    `twin` may be None, the answer of `load` when the twin was not run with these parameters: then a line that says so.
    """
    if twin is None:
        other = FRAMEWORK_NAMES["tensorflow" if mine["framework"] == "pytorch" else "pytorch"]
        return f"The {other} twin has not been run with these parameters. Run it, then run this cell again."
    names = [FRAMEWORK_NAMES[record["framework"]] for record in (mine, twin)]
    lines = [f"{'':34}{names[0]:>14}{names[1]:>14}"]
    for name, value in mine["scores"].items():
        if np.isscalar(value) and name in twin["scores"]:
            lines.append(f"{name.replace('_', ' '):34}{_short(value):>14}{_short(twin['scores'][name]):>14}")
    for name, values in mine["losses"].items():
        other = twin["losses"].get(name, [])
        apart = relative_difference(values, other)
        if apart.size:
            for step in sorted({0, apart.size - 1}):
                lines.append(f"{f'{name}, {unit(name)} {step + 1}':34}{values[step]:14.4f}{other[step]:14.4f}"
                             f"   {apart[step]:.0e} apart")
    return "\n".join(lines)


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
