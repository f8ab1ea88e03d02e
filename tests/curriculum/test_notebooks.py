"""The stored notebooks: made from the sources, in step with each other, within their budgets, and mostly compared."""
import base64
import io
import re
import subprocess
import sys
from collections import Counter

import nbformat
import pytest
from nbconvert import PythonExporter, SlidesExporter
from PIL import Image

from tandem import ROOT, records
from tandem.tools import build, notebook, source

LESSONS = source.all_lessons()
NOTEBOOKS = [(lesson, framework) for lesson in LESSONS for framework in lesson.frameworks]
PAIRS = [lesson for lesson in LESSONS if len(lesson.frameworks) == 2]
PAIR_MB = 1900  # memory of both kernels together: Binder gives 2 GB
HEAVIEST, MEAN = 700_000, 420_000  # bytes of one notebook, and of all in the mean
WIDEST_TEXT = 79  # columns of an output that half a screen holds
ROW = r"\S {2,}\S+ {2,}\S"  # of a table: three cells, two blanks or more between them
SHORTEST_ALT = 15  # characters of alt text that say something
COMPARED_SHARE = 0.7


def each(values):
    return pytest.mark.parametrize("lesson, framework", values, ids=[lesson.notebook_name(f) for lesson, f in values])


def each_pair(function):
    return pytest.mark.parametrize("lesson", PAIRS, ids=[lesson.name for lesson in PAIRS])(function)


def outputs(lesson, framework):
    """(cell, output) for all outputs of a stored notebook."""
    return [(cell, output) for cell in notebook.stored(lesson, framework).cells for output in cell.get("outputs", [])]


def text_of(output):
    """What an output prints, other than what stands for a figure."""
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return "" if text.startswith("<Figure") else text


def figures(lesson, framework):
    """(cell, output) for the outputs that are pictures."""
    return [(cell, output) for cell, output in outputs(lesson, framework) if "image/png" in output.get("data", {})]


def compared_cells():
    """(cells whose text nbval compares, cells that leave text), over all notebooks."""
    built = [(lesson, framework) for lesson, framework in NOTEBOOKS if notebook.stored(lesson, framework)]
    cells = {(lesson.name, framework, cell.id): cell for lesson, framework in built for cell, output in outputs(lesson, framework)
             if text_of(output).strip()}
    return sum("nbval-ignore-output" not in cell.metadata.get("tags", []) for cell in cells.values()), len(cells)


@each(NOTEBOOKS)
def test_the_notebook_is_what_its_source_makes(lesson, framework):
    assert notebook.is_built(lesson, framework), f"run: python -m tandem build {lesson.name[:2]}"


@each(NOTEBOOKS)
def test_every_cell_was_run_in_order_and_none_failed(lesson, framework):
    cells = [cell for cell in notebook.stored(lesson, framework).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@each(NOTEBOOKS)
def test_no_output_is_on_stderr_or_names_a_path_of_the_machine(lesson, framework):
    for _, output in outputs(lesson, framework):
        assert output.get("name") != "stderr", output.text
        text = text_of(output)
        assert not re.search(r"(?:/(?:root|home|tmp|Users|usr|var)/|[A-Z]:\\)\w", text), text


@each(NOTEBOOKS)
def test_half_a_screen_holds_what_a_cell_prints(lesson, framework):
    """A sentence that is too long is wrapped by JupyterLab, and can be read; a row of a table cannot."""
    rows = [line for _, output in outputs(lesson, framework) for line in text_of(output).splitlines() if re.search(ROW, line)]
    wide = [row for row in rows if len(row) > WIDEST_TEXT]
    assert not wide, "\n".join([f"rows of tables over {WIDEST_TEXT} columns; print fewer or narrower ones:", *wide])


@each(NOTEBOOKS)
def test_every_figure_is_told_in_words_and_stored_small(lesson, framework):
    found = figures(lesson, framework)
    assert found, "no figure: was it built under another MPLBACKEND?"
    for cell, output in found:
        alt = output.metadata.get("image/png", {}).get("alt", "")
        assert len(alt) >= SHORTEST_ALT, f"give the figure of this cell a title, or tandem.plots.describe it:\n{cell.source}"
        picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        assert picture.mode in {"L", "P", "RGB"}, f"run: python -m tandem build {lesson.name[:2]}"


@each(NOTEBOOKS)
def test_the_notebook_keeps_to_its_budgets(lesson, framework):
    measured = notebook.stored(lesson, framework).metadata["tandem"]
    assert measured["seconds"] <= lesson.header.seconds
    assert measured["peak_mb"] <= lesson.header.memory_mb
    assert (notebook.folder() / lesson.notebook_name(framework)).stat().st_size <= HEAVIEST, "fewer or smaller pictures"


@each_pair
def test_both_kernels_fit_into_the_memory_of_binder(lesson):
    megabytes = [notebook.stored(lesson, framework).metadata["tandem"]["peak_mb"] for framework in lesson.frameworks]
    together = max(megabytes) if lesson.header.alone else sum(megabytes)
    assert together <= PAIR_MB, f"{together} MB"


def test_the_notebooks_together_stay_light():
    sizes = [path.stat().st_size for path in notebook.folder().glob("*.ipynb")]
    size = f"{sum(sizes) / 1e6:.1f} MB"
    assert sum(sizes) <= MEAN * len(sizes), f"{size}: every version of a notebook stays in the repository's history"


@each_pair
def test_twins_have_the_same_headings(lesson):
    pytorch, tensorflow = (
        [line for cell in notebook.stored(lesson, framework).cells if cell.cell_type == "markdown"
         for line in cell.source.splitlines() if re.match("#{1,6} ", line)]
        for framework in lesson.frameworks
    )
    assert pytorch == tensorflow


@each_pair
def test_a_cell_that_both_twins_have_draws_as_many_figures_in_both(lesson):
    drawn = [Counter(cell.id for cell, _ in figures(lesson, framework)) for framework in lesson.frameworks]
    pytorch, tensorflow = ({cell.id: cell for cell in notebook.stored(lesson, side).cells} for side in lesson.frameworks)
    apart = [pytorch[key].source for key in pytorch.keys() & tensorflow.keys() if drawn[0][key] != drawn[1][key]]
    assert not apart, f"run: python -m tandem build {lesson.name[:2]}"


def comparison(lesson, framework):
    """What the twin check of a stored notebook prints: the rows of the table of `records.compare`."""
    rows = []
    for _, output in outputs(lesson, framework):
        text = text_of(output)
        if head := re.search(rf"^ {{{records.LINE - 3 * records.NUMBER}}} +PyTorch +TensorFlow$", text, re.MULTILINE):
            rows += [line for line in text[head.end():].splitlines() if re.search(r"\d$", line)]
    return rows


@each_pair
def test_both_notebooks_print_the_same_comparison(lesson):
    pytorch, tensorflow = (comparison(lesson, framework) for framework in lesson.frameworks)
    assert len(pytorch) > (3 if lesson.header.proof == "training" else 1) and pytorch == tensorflow, (
        f"one notebook is older than its twin's record: python -m tandem build {lesson.name[:2]}")


@each_pair
def test_a_shipped_record_is_of_the_run_as_shipped(lesson):
    """No bound is asserted in a run whose parameters were changed: such a run must not be the one that is stored."""
    defaults = {parameter.name: parameter.default for parameter in lesson.parameters()}
    for framework in lesson.frameworks:
        record = records.load(lesson.name, framework, place=records.shipped())
        assert record, f"run: python -m tandem build {lesson.name[:2]}"
        assert record["parameters"].items() >= (defaults | {"as_shipped": True}).items()
        assert record["made"] == build.MADE


def test_most_cells_that_print_are_compared():
    compared, printing = compared_cells()
    assert compared >= COMPARED_SHARE * printing, f"{compared} of {printing}: make more outputs reproducible"


def test_no_stored_notebook_or_record_is_left_without_a_source():
    made = {lesson.notebook_name(framework) for lesson, framework in NOTEBOOKS}
    assert {path.name for path in notebook.folder().glob("*.ipynb")} == made
    assert {path.stem for path in records.shipped().glob("*.json")} <= {name.removesuffix(".ipynb") for name in made}


def test_the_readme_names_every_lesson_with_what_was_measured():
    assert build.syllabus() in (ROOT / "README.md").read_text(encoding="utf-8"), "run: python -m tandem build"


def test_a_notebook_can_be_taken_out_as_a_program_and_as_slides():
    """Found with `jupyter nbconvert`: the program was called .txt, and all slides were one."""
    path = notebook.folder() / NOTEBOOKS[0][0].notebook_name(NOTEBOOKS[0][1])
    _, resources = PythonExporter().from_filename(str(path))
    assert resources["output_extension"] == ".py"
    assert nbformat.read(path, as_version=4).metadata["language_info"]["file_extension"] == ".py"
    slides, _ = SlidesExporter().from_filename(str(path))
    assert slides.count("<section") > 10


def test_every_link_in_the_documents_leads_to_a_file():
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "data" / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", str(ROOT)],
                          capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
