"""Runs a lesson with other parameters, and compares what its twins left behind."""
import datetime
import itertools
import pathlib

import matplotlib
import nbformat
from papermill.exceptions import PapermillExecutionError

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS, records
from tandem import parameters as tables
from tandem.tools.execute import RunError, execute, failure_message
from tandem.tools.notebook import assemble, clean


def run(lesson, parameters, frameworks=None, output=None, report=print):
    """Runs a lesson's notebooks with `parameters`, one after the other, into the folder `output`; returns that folder.

    Raises WrongParameter before anything runs, RunError where a cell fails.
    """
    tables.check(lesson.name, lesson.parameters(), parameters)
    try:
        folder = pathlib.Path(output).absolute() if output else _new_folder(lesson)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{error.filename} cannot be written ({error.strerror}): name another folder with --output.") from None
    chosen = [framework for framework in lesson.frameworks if not frameworks or framework in (None, *frameworks)]
    for framework in chosen:
        path = folder / lesson.notebook_name(framework)
        try:
            seconds, peak_mb = execute(assemble(lesson, framework, {}), path, parameters, folder, path.name)
        except PapermillExecutionError as error:
            raise RunError(f"{failure_message(lesson, framework, error)}\nThe outputs up to there are in {path}.") from None
        nbformat.write(clean(nbformat.read(path, as_version=4)), path)
        report(f"{path.name}: {seconds:.0f} s, {peak_mb} MB")
    report(f"The notebooks and their records are in {folder}.")
    return folder


def compare(lesson, folder=None, report=print):
    """Prints how the twins' records differ and draws their curves into a PNG. folder: of a run (None: the newest records)."""
    place = pathlib.Path(folder).absolute() if folder else None
    found = [records.load(lesson.name, framework, place=place) for framework in FRAMEWORKS]
    if None in found:
        missing = [FRAMEWORK_NAMES[framework] for framework, record in zip(FRAMEWORKS, found, strict=True) if record is None]
        where = f" in {place}" if place else ""
        report(f"Lesson {lesson.name} has no record of {' and '.join(missing)}{where}: nothing to compare.")
        return
    mine, twin = found
    report(records.whose(mine))
    report(records.compare(mine, twin))
    if mine["parameters"] != twin["parameters"]:
        report("Note: the twins were run with different parameters.")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from tandem import plots

    place = place or records.folder()
    place.mkdir(parents=True, exist_ok=True)
    for curve in mine["losses"]:
        plots.twins(mine, twin, title=f"{lesson.title}: the twins' {curve}", curve=curve)
        path = place / f"{lesson.name}_{curve.replace(' ', '_')}.png"
        plt.savefig(path, dpi=120)
        report(f"Drawn: {path}")


def _new_folder(lesson):
    """A folder in runs/ that no other run has, named after the lesson and the time."""
    stamp = f"{lesson.name}_{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}"
    for again in itertools.count(1):
        folder = tandem.ROOT / "runs" / (stamp if again == 1 else f"{stamp}_{again}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
