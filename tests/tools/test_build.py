"""Building: a small lesson becomes two stored notebooks with records, and nothing is lost where that fails."""
import pathlib
import re

import nbformat
import pytest

from tandem import records
from tandem.tools import build, notebook, source
from tandem.tools.execute import RunError

FRAMEWORKS = ("pytorch", "tensorflow")


def stored_files():
    return {path.name: path.read_bytes() for path in notebook.folder().rglob("*.*")}


def store_unrun(path):
    """Writes the notebooks of a source as if they had been built: one output in each cell, nothing run."""
    lesson = source.read(path)
    for framework in lesson.frameworks:
        made = notebook.assemble(lesson, framework, {"lesson": lesson.name, "framework": framework, "seconds": 3, "peak_mb": 70})
        for number, cell in enumerate([cell for cell in made.cells if cell.cell_type == "code"], 1):
            cell.execution_count, cell.outputs = number, [nbformat.v4.new_output("stream", text=f"output {number}\n")]
        nbformat.write(made, notebook.folder() / lesson.notebook_name(framework))


def test_a_build_stores_both_notebooks_with_records_and_a_second_build_changes_nothing(small, capsys):
    build.build([source.read(small)])
    before = stored_files()
    assert set(before) == {f"50_small_{framework}.{kind}" for framework in FRAMEWORKS for kind in ("ipynb", "json")}
    for framework in FRAMEWORKS:
        found = notebook.stored(source.read(small), framework)
        measured = found.metadata["tandem"]
        assert measured["lesson"] == "50_small" and measured["framework"] == framework
        assert measured["seconds"] >= 1 and measured["peak_mb"] > 30
        assert f"{measured['seconds']} s, {measured['peak_mb']} MB" in found.cells[0].source
        printed, = (output.text for output in found.cells[-1].outputs if output.output_type == "stream")
        assert "parameter count" in printed and printed.strip().endswith(f"run: {build.MADE}")
        figure, = (output for output in found.cells[-1].outputs if "image/png" in output.get("data", {}))
        assert figure.metadata["image/png"]["alt"].startswith("Both twins draw one curve")
        assert records.load("50_small", framework, place=records.shipped())["made"] == build.MADE
    readme = (small.parent.parent / "README.md").read_text(encoding="utf-8")
    assert "**50 · Small**" in readme and "Two lines cross." in readme and readme.endswith("End\n")
    assert build.changed_lessons() == []
    assert "the TensorFlow record is new, so the PyTorch notebook is run again" in capsys.readouterr().out

    build.build([source.read(small)])
    assert stored_files() == before
    assert "run again" not in capsys.readouterr().out


def test_a_cell_that_fails_is_named_by_its_line_in_the_source_and_the_old_notebook_stays(small, change):
    store_unrun(small)
    before = stored_files()
    change('framework, other = "pytorch", "tensorflow"', "framework = 1 / 0")
    with pytest.raises(RunError, match=r"50_small.py:30: in 50_small_pytorch.ipynb: ZeroDivisionError"):
        build.build([source.read(small)])
    assert stored_files() == before


def test_a_changed_source_is_found_and_keeps_the_ids_of_its_other_cells(small, change):
    store_unrun(small)
    assert build.changed_lessons() == []
    before = notebook.assemble(source.read(small), "pytorch", {})
    change("A loss that falls.", "A loss that falls fast.")
    after = notebook.assemble(source.read(small), "pytorch", {})
    changed = [one.source for one, other in zip(after.cells, before.cells, strict=True) if one.id != other.id]
    assert changed == ["A loss that falls fast."]
    assert [found.name for found in build.changed_lessons()] == ["50_small"]


def test_changed_prose_is_taken_in_without_a_run_and_changed_code_is_not(small, change):
    store_unrun(small)
    before = notebook.stored(source.read(small), "pytorch")
    change("A loss that falls.", "A loss that falls fast.")
    change("# 1 to 1000: losses", "# 1 to 1000: of the losses")
    build.retell([source.read(small)])
    after = notebook.stored(source.read(small), "pytorch")
    assert "A loss that falls fast." in [cell.source for cell in after.cells] and build.changed_lessons() == []
    assert [cell.get("outputs") for cell in after.cells] == [cell.get("outputs") for cell in before.cells]
    change("steps = 4", "steps = 5")
    with pytest.raises(RunError, match="the code changed as well"):
        build.retell([source.read(small)])


def test_a_check_that_asks_for_more_is_taken_in_without_a_run(small):
    path = small.with_name("exercise_lesson.py")
    path.write_text(pathlib.Path(__file__).with_name("exercise_lesson.py").read_text(encoding="utf-8"), encoding="utf-8")
    store_unrun(path)
    text = path.read_text(encoding="utf-8")
    first, = re.findall(r'# %% tags=\["check"\]\n(.+)\n', text)[:1]
    path.write_text(text.replace(first, f"more = 1\n{first}", 1), encoding="utf-8")
    build.retell([source.read(path)])
    for framework in FRAMEWORKS:
        after = notebook.stored(source.read(path), framework)
        checks = [cell for cell in after.cells if cell.source.startswith("with attempt(")]
        assert "    more = 1\n" in checks[0].source and checks[0].outputs[0].text.startswith("output ")
