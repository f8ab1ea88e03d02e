"""The stored notebooks: made from the sources, in step with each other, within the budgets, and mostly compared."""
import re

import nbformat
import pytest

from tandem import ROOT, build, source

LESSONS = source.all_lessons()
NOTEBOOKS = [(lesson, framework) for lesson in LESSONS for framework in lesson.frameworks]
PAIRS = [lesson for lesson in LESSONS if len(lesson.frameworks) == 2]
SECONDS = {"06": 120, "11": 180}  # an accuracy of .90 takes some 75 s of training; a generative lesson may take longer
COMPARED_SHARE = 0.7


def stored(lesson, framework):
    return nbformat.read(build.FOLDER / lesson.notebook_name(framework), as_version=4)


def each(values):
    return pytest.mark.parametrize("lesson, framework", values, ids=[lesson.notebook_name(f) for lesson, f in values])


def each_pair(function):
    return pytest.mark.parametrize("lesson", PAIRS, ids=[lesson.name for lesson in PAIRS])(function)


def prints(cell):
    """Whether a code cell leaves text, other than what stands for a figure."""
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
    return any(text.strip() and not text.startswith("<Figure") for text in texts)


def compared_cells():
    """(cells whose text nbval compares, cells that leave text), over all notebooks."""
    built = [pair for pair in NOTEBOOKS if (build.FOLDER / pair[0].notebook_name(pair[1])).exists()]
    cells = [cell for lesson, framework in built for cell in stored(lesson, framework).cells if prints(cell)]
    return sum("nbval-ignore-output" not in cell.metadata.get("tags", []) for cell in cells), len(cells)


@each(NOTEBOOKS)
def test_the_notebook_is_what_its_source_makes(lesson, framework):
    assert build.is_built(lesson, framework), f"run: python -m tandem build {lesson.name[:2]}"


@each(NOTEBOOKS)
def test_every_cell_was_run_in_order_and_none_failed(lesson, framework):
    cells = [cell for cell in stored(lesson, framework).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@each(NOTEBOOKS)
def test_no_output_is_on_stderr_or_names_a_path_of_the_machine(lesson, framework):
    for cell in stored(lesson, framework).cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output.text
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            assert not re.search(r"(?:/(?:root|home|tmp|Users|usr|var)/|[A-Z]:\\)\w", text), text


@each(NOTEBOOKS)
def test_the_notebook_keeps_to_its_budgets(lesson, framework):
    measured = stored(lesson, framework).metadata["tandem"]
    assert measured["seconds"] <= SECONDS.get(lesson.name[:2], 90)
    assert measured["peak_mb"] <= 1300


@each_pair
def test_both_kernels_fit_into_the_memory_of_binder(lesson):
    together = sum(stored(lesson, framework).metadata["tandem"]["peak_mb"] for framework in lesson.frameworks)
    assert together <= 1900, f"{together} MB"


@each_pair
def test_twins_have_the_same_headings(lesson):
    pytorch, tensorflow = (
        [line for cell in stored(lesson, framework).cells if cell.cell_type == "markdown"
         for line in cell.source.splitlines() if re.match("#{1,6} ", line)]
        for framework in lesson.frameworks
    )
    assert pytorch == tensorflow


def comparison(lesson, framework):
    """What the twin check of a stored notebook prints: {name: {framework: number}}, from the table of `records.compare`."""
    table = {}
    for cell in stored(lesson, framework).cells:
        for text in (output.get("text", "") for output in cell.get("outputs", [])):
            if head := re.search(r"^ {34} +(PyTorch|TensorFlow) +(PyTorch|TensorFlow)$", text, re.MULTILINE):
                rows = re.findall(r"^(\S.{33})(.{13}\d)(.{13}\d)", text[head.end():], re.MULTILINE)
                table |= {name.strip(): {head[1]: one.strip(), head[2]: other.strip()} for name, one, other in rows}
    return table


@each_pair
def test_both_notebooks_print_the_same_comparison(lesson):
    pytorch, tensorflow = (comparison(lesson, framework) for framework in lesson.frameworks)
    assert len(pytorch) > 3 and pytorch == tensorflow, f"one notebook is older than its twin's record: python -m tandem build {lesson.name[:2]}"


@each_pair
def test_twins_have_the_same_parameters_with_the_same_values(lesson):
    values = [{}, {}]
    for names, framework in zip(values, lesson.frameworks):
        for cell in lesson.cells_of(framework):
            if "parameters" in cell.tags:
                exec(cell.source, names)
                names.pop("__builtins__")
    assert values[0] == values[1]


def test_most_cells_that_print_are_compared():
    compared, printing = compared_cells()
    assert compared >= COMPARED_SHARE * printing, f"{compared} of {printing}: make more outputs reproducible"


def test_no_stored_notebook_is_left_without_a_source():
    made = {lesson.notebook_name(framework) for lesson, framework in NOTEBOOKS}
    assert {path.name for path in build.FOLDER.glob("*.ipynb")} == made


def test_the_readme_names_every_lesson_with_what_was_measured(monkeypatch, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_bytes((ROOT / "README.md").read_bytes())
    monkeypatch.setattr(build, "README", readme)
    build.write_syllabus()
    assert readme.read_text() == (ROOT / "README.md").read_text(), "run: python -m tandem build"


def test_every_link_in_the_documents_leads_to_a_file():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "data" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
