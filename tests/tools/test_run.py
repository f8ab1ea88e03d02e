"""Runs with other parameters: what they leave, and how the twins are compared."""
import json

import pytest

from tandem import records
from tandem.tools import run, source
from tandem.tools.execute import RunError


def test_a_run_takes_parameters_and_its_records_are_compared(small, tmp_path, capsys):
    """Found in a folder given without its full path: the shipped runs were compared in the place of this one."""
    lesson = source.read(small)
    folder = run.run(lesson, {"steps": 6, "slope": 0.25}, output=tmp_path / "out")
    record = json.loads((folder / "50_small_pytorch.json").read_text(encoding="utf-8"))
    assert record["parameters"] == {"steps": 6, "slope": 0.25, "as_shipped": False} and len(record["losses"]["loss"]) == 6
    assert record["made"].startswith("20")
    capsys.readouterr()
    run.compare(lesson, folder)
    printed = capsys.readouterr().out
    assert "parameter count" in printed and "loss, step 6" in printed and printed.count("0e+00") == 2
    assert (folder / "50_small_loss.png").stat().st_size > 5_000


def test_one_framework_is_run_alone(small, tmp_path):
    folder = run.run(source.read(small), {}, ["tensorflow"], tmp_path / "out")
    assert [path.name for path in folder.glob("*.ipynb")] == ["50_small_tensorflow.ipynb"]


def test_a_cell_that_fails_leaves_its_outputs(small, change, tmp_path):
    change("losses = [", "print('so far')\nlosses = 1 / 0 * [")
    failure = "50_small.py:39: in 50_small_pytorch.ipynb: ZeroDivisionError.*\nThe outputs up to there are in"
    with pytest.raises(RunError, match=failure):
        run.run(source.read(small), {}, output=tmp_path / "out")
    assert "so far" in (tmp_path / "out" / "50_small_pytorch.ipynb").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_named(small, tmp_path):
    (tmp_path / "a file").write_text("in the way", encoding="utf-8")
    with pytest.raises(RunError, match="a file cannot be written.*--output"):
        run.run(source.read(small), {}, output=tmp_path / "a file")


def test_two_runs_within_a_second_have_folders_of_their_own(small):
    """Found with two runs started at once: the second overwrote the first."""
    lesson = source.read(small)
    assert len({run._new_folder(lesson) for _ in range(3)}) == 3


def test_where_a_record_is_missing_nothing_is_compared(small, tmp_path, capsys, monkeypatch):
    lesson = source.read(small)
    run.compare(lesson, tmp_path)
    assert "has no record of PyTorch and TensorFlow" in capsys.readouterr().out
    monkeypatch.setenv("TANDEM_RECORDS", str(tmp_path))
    records.save("50_small", "pytorch", {}, [1.0])
    run.compare(lesson, tmp_path)
    assert "has no record of TensorFlow" in capsys.readouterr().out
