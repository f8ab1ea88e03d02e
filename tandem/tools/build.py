"""Builds notebooks from lessons: makes both, runs them one after the other, stores them clean, and writes the README's table."""
import ast
import pathlib
import re
import shutil
import tempfile

import nbformat
from papermill.exceptions import PapermillExecutionError

import tandem
from tandem import FRAMEWORK_NAMES, records
from tandem.tools import notebook, source
from tandem.tools.execute import RunError, execute, failure_message

MADE = "shipped with the lesson"
"""What the records of a build say of when they were made: it is the same in every build."""


def build(lessons, measure=False, report=print):
    """Builds the notebooks of `lessons` into notebooks/. `measure`: time them anew even where the source is unchanged.

    The twins run one after the other. Where the first had not yet seen the record that the second then left, it is run
    once more, so that both stored notebooks show the same comparison.
    """
    for lesson in lessons:
        with tempfile.TemporaryDirectory() as scratch:
            for shipped in records.shipped().glob(f"{lesson.name}_*.json"):
                shutil.copy(shipped, scratch)
            for framework in lesson.frameworks:
                _build_one(lesson, framework, scratch, measure, report)
            first, last = lesson.frameworks[0], lesson.frameworks[-1]
            if first != last and _record_is_new(lesson, last, scratch):
                report(f"{lesson.name}: the {FRAMEWORK_NAMES[last]} record is new, so the {FRAMEWORK_NAMES[first]} notebook is "
                       "run again to show it.")
                _build_one(lesson, first, scratch, False, report)
            _publish_records(lesson, scratch)
    write_syllabus()


def retell(lessons, report=print):
    """Takes changed prose, comments and checks of exercises into the notebooks of `lessons` and keeps their outputs.

    Refuses where other code changed, too. A check that stands under `attempt` prints of an open exercise that it is not answered
    yet, whatever it asks; that it does is tested with each exercise.
    """
    for lesson in lessons:
        for framework in lesson.frameworks:
            name, stored = lesson.notebook_name(framework), notebook.stored(lesson, framework)
            if stored is None:
                raise RunError(f"notebooks/{name} does not exist yet: build it without --prose.")
            fresh = notebook.assemble(lesson, framework, dict(stored.metadata["tandem"]))
            old, new = ([cell for cell in one.cells if cell.cell_type == "code"] for one in (stored, fresh))
            if [_what_runs(cell) for cell in old] != [_what_runs(cell) for cell in new]:
                raise RunError(f"notebooks/{name}: the code changed as well, and its outputs are old: build it without --prose.")
            for one, other in zip(old, new, strict=True):
                other.outputs, other.execution_count = one.outputs, one.execution_count
            nbformat.write(fresh, notebook.folder() / name)
            report(f"{name}: prose renewed, outputs kept")
    write_syllabus()


def _what_runs(cell):
    """The code of a cell, on its lines, without its comments; of an exercise's check, which stops at the open answer, the line
    above it."""
    first, _, rest = cell.source.partition("\n")
    if first.startswith("with attempt("):
        return first
    magic, code = (first, rest) if first.startswith("%%") else ("", cell.source)
    try:
        return magic, ast.dump(ast.parse(code), include_attributes=True)
    except SyntaxError:  # another language, or a magic within
        return cell.source


def changed_lessons():
    """The lessons of which a notebook is missing or not what the source makes."""
    return [lesson for lesson in source.all_lessons() if any(not notebook.is_built(lesson, f) for f in lesson.frameworks)]


def write_syllabus():
    """Writes the `syllabus` into the README."""
    readme = tandem.ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    marked = re.compile(r"<!-- syllabus -->.*<!-- /syllabus -->", re.DOTALL)
    readme.write_text(marked.sub(lambda _: syllabus(), text), encoding="utf-8")


def syllabus():
    """The README's table of lessons, between its marks, from the sources and from what the stored notebooks say was measured."""
    rows = ["| lesson | what works at the end | minutes to run | MB | notebooks | in the browser |", "|---|---|---|---|---|---|"]
    for lesson in source.all_lessons():
        stored = {framework: notebook.stored(lesson, framework) for framework in lesson.frameworks}
        if None in stored.values():
            continue
        measured = [one.metadata["tandem"] for one in stored.values()]
        links = [f"[{FRAMEWORK_NAMES.get(framework, 'notebook')}](notebooks/{lesson.notebook_name(framework)})"
                 for framework in stored]
        rows.append(" | ".join([
            f"| **{lesson.title}**", lesson.promise,
            " / ".join(f"{one['seconds'] / 60:.1f}" for one in measured),
            " / ".join(str(one["peak_mb"]) for one in measured),
            " · ".join(links),
            f"[Binder]({notebook.binder_link(lesson)}) |",
        ]))
    return "\n".join(["<!-- syllabus -->", *rows, "<!-- /syllabus -->"])


def _build_one(lesson, framework, scratch, measure, report):
    """Runs a notebook in the folder `scratch` and stores it. An unchanged one keeps what was measured, unless `measure`."""
    stored = notebook.stored(lesson, framework)
    measured_before = stored.metadata.get("tandem", {}) if stored else {}
    executed, measured = _run_one(lesson, framework, scratch)
    report(f"{lesson.notebook_name(framework)}: {measured['seconds']} s, {measured['peak_mb']} MB")
    if measured_before and not measure and notebook.is_built(lesson, framework):
        measured = dict(measured_before)
    executed.cells[0] = notebook.assemble(lesson, framework, measured).cells[0]  # its header tells what was measured
    executed.metadata["tandem"] = measured
    notebook.folder().mkdir(exist_ok=True)
    nbformat.write(executed, notebook.folder() / lesson.notebook_name(framework))


def _run_one(lesson, framework, scratch):
    """(The executed notebook, clean, and {"lesson", "framework", "seconds", "peak_mb"}.) Raises RunError where a cell fails."""
    path = pathlib.Path(scratch) / lesson.notebook_name(framework)
    try:
        seconds, peak_mb = execute(notebook.assemble(lesson, framework, {}), path, records_folder=scratch, description=path.name,
                                   made=MADE)
    except PapermillExecutionError as error:
        raise RunError(failure_message(lesson, framework, error)) from None
    measured = {"lesson": lesson.name, "framework": framework or "both", "seconds": round(seconds), "peak_mb": peak_mb}
    return notebook.clean(nbformat.read(path, as_version=4)), measured


def _record_is_new(lesson, framework, scratch):
    """Whether the run in `scratch` left another record than the one that is shipped, `records.MEASURED` apart."""
    fresh, shipped = (records.load(lesson.name, framework, place=place) for place in (pathlib.Path(scratch), records.shipped()))
    return fresh is not None and (shipped is None or _without_measured(shipped) != _without_measured(fresh))


def _without_measured(record):
    return record | {"scores": {name: value for name, value in record["scores"].items() if not name.endswith(records.MEASURED)}}


def _publish_records(lesson, scratch):
    """Copies the records of a lesson's runs to where its notebooks find them."""
    records.shipped().mkdir(parents=True, exist_ok=True)
    for fresh in pathlib.Path(scratch).glob(f"{lesson.name}_*.json"):
        shutil.copyfile(fresh, records.shipped() / fresh.name)
