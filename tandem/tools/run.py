"""Runs a lesson with other parameters, and compares what its twins left behind."""
import datetime
import os
import pathlib

import matplotlib
import nbformat
from papermill.exceptions import PapermillExecutionError

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS, parameters as tables, records
from tandem.tools.execute import RunError, execute, failure_message
from tandem.tools.notebook import assemble, clean


def run(lesson, parameters, frameworks=None, output=None, report=print):
    """Runs a lesson's notebooks with `parameters`, one after the other, into the folder `output`; returns that folder."""
    tables.check(lesson.name, lesson.parameters(), parameters)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = pathlib.Path(output) if output else tandem.ROOT / "runs" / f"{lesson.name}_{stamp}"
    folder.mkdir(parents=True, exist_ok=True)
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
    if folder is not None:
        os.environ["TANDEM_RECORDS"] = str(folder)
    found = [records.load(lesson.name, framework) for framework in FRAMEWORKS]
    if None in found:
        missing = [FRAMEWORK_NAMES[framework] for framework, record in zip(FRAMEWORKS, found, strict=True) if record is None]
        report(f"Lesson {lesson.name} has no record of {' and '.join(missing)}: nothing to compare.")
        return
    mine, twin = found
    if mine["parameters"] != twin["parameters"]:
        report("Note: the twins were run with different parameters.")
    report(records.compare(mine, twin))
    matplotlib.use("agg")
    from tandem import plots

    place = pathlib.Path(folder) if folder else records.folder()
    place.mkdir(parents=True, exist_ok=True)
    for curve in mine["losses"]:
        plots.twins(mine, twin, title=f"{lesson.title}: the twins' {curve}", curve=curve)
        path = place / f"{lesson.name}_{curve.replace(' ', '_')}.png"
        plots.plt.savefig(path, dpi=120)
        report(f"Drawn: {path}")
