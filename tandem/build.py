"""Builds notebooks from lessons: one framework's cells, a header with what was measured, run by papermill, stored clean."""
import hashlib
import os
import pathlib
import re
import shutil
import tempfile
import threading
import time

import nbformat
import papermill
import psutil
from papermill.exceptions import PapermillExecutionError

from tandem import FRAMEWORK_NAMES, ROOT, records, source

FOLDER = ROOT / "notebooks"
README = ROOT / "README.md"
REPOSITORY = "tandem-lessons/tandem"
"""Owner and name on GitHub: every Binder link is made from this one line."""

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class RunError(Exception):
    """A notebook's cell failed; the message names the source file, the line of the cell, and the error."""


def build(lessons, measure=False, report=print):
    """Builds the notebooks of `lessons` into notebooks/. `measure`: time them anew even where the source is unchanged.

    The twins run one after the other. Where the first had not yet seen the record that the second then left, it is run
    once more, so that both stored notebooks show the same comparison.
    """
    for lesson in lessons:
        with tempfile.TemporaryDirectory() as scratch:
            for shipped in records.SHIPPED.glob(f"{lesson.name}_*.json"):
                shutil.copy(shipped, scratch)
            first = lesson.frameworks[0]
            for framework in lesson.frameworks:
                _build_one(lesson, framework, scratch, measure, report)
                if framework != first and _publish_record(lesson, framework, scratch):
                    report(f"{lesson.name}: the {FRAMEWORK_NAMES[framework]} record is new, so the "
                           f"{FRAMEWORK_NAMES[first]} notebook is run again to show it.")
                    _build_one(lesson, first, scratch, False, report)
                _publish_record(lesson, framework, scratch)
    write_syllabus()


def retell(lessons, report=print):
    """Takes changed prose into the notebooks of `lessons` and keeps their outputs; refuses where a code cell changed, too."""
    for lesson in lessons:
        for framework in lesson.frameworks:
            name, stored = lesson.notebook_name(framework), _stored(lesson, framework)
            if stored is None:
                raise RunError(f"notebooks/{name} does not exist yet: build it without --prose.")
            fresh = assemble(lesson, framework, dict(stored.metadata["tandem"]))
            old, new = ([cell for cell in notebook.cells if cell.cell_type == "code"] for notebook in (stored, fresh))
            if [cell.source for cell in old] != [cell.source for cell in new]:
                raise RunError(f"notebooks/{name}: the code changed as well, so its outputs are out of date: build it without --prose.")
            for one, other in zip(old, new):
                other.outputs, other.execution_count = one.outputs, one.execution_count
            nbformat.write(fresh, FOLDER / name)
            report(f"{name}: prose renewed, outputs kept")
    write_syllabus()


def changed_lessons():
    """The lessons of which a notebook is missing or not what the source makes."""
    return [lesson for lesson in source.all_lessons() if any(not is_built(lesson, f) for f in lesson.frameworks)]


def is_built(lesson, framework):
    """Whether the stored notebook has exactly the cells that the source makes."""
    stored = _stored(lesson, framework)
    if stored is None:
        return False
    fresh = assemble(lesson, framework, stored.metadata.get("tandem", {}))
    return _skeleton(fresh) == _skeleton(stored)


def assemble(lesson, framework, measured):
    """The notebook of one framework, not yet run. measured: {"seconds", "peak_mb"} for the header; {} before the first run."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})
    seen = {}
    for number, cell in enumerate(lesson.cells_of(framework)):
        text = cell.source + (f"\n\n{header(lesson, framework, measured)}" if number == 0 else "")
        digest = hashlib.sha256(f"{cell.kind}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        make = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_code_cell
        tags = [tag for tag in cell.tags if tag not in FRAMEWORK_NAMES]
        notebook.cells.append(make(text, id=f"{digest}-{seen[digest]}", metadata={"tags": tags} if tags else {}))
    if measured:
        notebook.metadata["tandem"] = measured
    return notebook


def header(lesson, framework, measured):
    """The line under a lesson's promise: what the build measured, the twin, Binder."""
    parts = []
    if measured:
        parts.append(f"Measured on two CPU cores: {measured['seconds']} s, {measured['peak_mb']} MB")
    for other in lesson.frameworks:
        if other != framework:
            parts.append(f"[the {FRAMEWORK_NAMES[other]} twin]({lesson.notebook_name(other)})")
    parts.append(f"[{'both' if framework else 'this notebook'} on Binder]({binder_link(lesson)})")
    return " · ".join(parts)


def binder_link(lesson):
    """Opens the lesson's notebooks side by side: binder/postBuild saves the workspaces there."""
    return f"https://mybinder.org/v2/gh/{REPOSITORY}/HEAD?urlpath=lab/workspaces/tandem-{lesson.name}"


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


def clean(notebook):
    """Takes out what changes from run to run: time stamps, kernel version, papermill's notes, progress-bar debris."""
    notebook.metadata = {key: value for key, value in notebook.metadata.items() if key != "papermill"}
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key == "tags" and value}
        if cell.cell_type == "code":
            cell.outputs = [output for output in _joined(cell.outputs)
                            if output.output_type != "stream" or output.text.strip()]
    return notebook


def failure_message(lesson, framework, error):
    """"lessons/file:line: in notebook: error" for a PapermillExecutionError: the line is that of the failed cell's source."""
    own = lesson.cells_of(framework)
    codes = [cell for cell in own if cell.kind == "code"]
    failed = next((cell for cell in codes if cell.source == error.source), own[0])
    return f"lessons/{lesson.path.name}:{failed.line}: in {lesson.notebook_name(framework)}: {error.ename}: {error.evalue}"


def write_syllabus():
    """Writes the README's table of lessons from the sources and from what the stored notebooks say was measured."""
    rows = ["| lesson | what works at the end | minutes to run | MB | notebooks | in the browser |", "|---|---|---|---|---|---|"]
    for lesson in source.all_lessons():
        stored = {framework: _stored(lesson, framework) for framework in lesson.frameworks}
        if None in stored.values():
            continue
        measured = [notebook.metadata["tandem"] for notebook in stored.values()]
        links = [f"[{FRAMEWORK_NAMES.get(framework, 'notebook')}](notebooks/{lesson.notebook_name(framework)})"
                 for framework in stored]
        rows.append(" | ".join([
            f"| **{lesson.title}**", lesson.promise,
            " / ".join(f"{one['seconds'] / 60:.1f}" for one in measured),
            " / ".join(str(one["peak_mb"]) for one in measured),
            " · ".join(links),
            f"[Binder]({binder_link(lesson)}) |",
        ]))
    text = README.read_text(encoding="utf-8")
    table = "<!-- syllabus -->\n" + "\n".join(rows) + "\n<!-- /syllabus -->"
    README.write_text(re.sub(r"<!-- syllabus -->.*<!-- /syllabus -->", lambda _: table, text, flags=re.DOTALL), encoding="utf-8")


def _build_one(lesson, framework, scratch, measure, report):
    stored = _stored(lesson, framework)
    measured = {} if stored is None else dict(stored.metadata.get("tandem", {}))
    path = pathlib.Path(scratch) / lesson.notebook_name(framework)
    name = lesson.notebook_name(framework)
    try:
        seconds, peak_mb = execute(assemble(lesson, framework, measured), path, records_folder=scratch, description=name)
    except PapermillExecutionError as error:
        raise RunError(failure_message(lesson, framework, error)) from None
    report(f"{name}: {seconds:.0f} s, {peak_mb} MB")
    if measure or not measured or not is_built(lesson, framework):
        measured = {"lesson": lesson.name, "framework": framework or "both", "seconds": round(seconds), "peak_mb": peak_mb}
    notebook = clean(nbformat.read(path, as_version=4))
    notebook.cells[0] = assemble(lesson, framework, measured).cells[0]
    notebook.metadata["tandem"] = measured
    FOLDER.mkdir(exist_ok=True)
    nbformat.write(notebook, FOLDER / name)


def _publish_record(lesson, framework, scratch):
    """Moves a run's record to where the notebooks find it; says whether it differs from the one that was there."""
    name = f"{lesson.name}_{framework}.json"
    fresh, shipped = pathlib.Path(scratch) / name, records.SHIPPED / name
    if not fresh.exists():
        return False
    differs = not shipped.exists() or shipped.read_bytes() != fresh.read_bytes()
    records.SHIPPED.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(fresh, shipped)
    return differs


def _stored(lesson, framework):
    path = FOLDER / lesson.notebook_name(framework)
    return nbformat.read(path, as_version=4) if path.exists() else None


def _skeleton(notebook):
    """All of a notebook but its outputs."""
    return [(cell.id, cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells], dict(notebook.metadata)


def _joined(outputs):
    """Joins neighbouring texts of one stream: how many messages a text came in depends on timing."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            output.text = re.sub(r"^.*\r(?!\n)", "", output.text, flags=re.MULTILINE)
    return joined


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
