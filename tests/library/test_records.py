"""Records: what comes back, whose it is, and what happens where nothing can be written or read."""
import json
import multiprocessing
import os

import numpy as np
import pytest

from tandem import records


@pytest.fixture
def records_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TANDEM_RECORDS", str(tmp_path))
    monkeypatch.setattr(records, "shipped", lambda: tmp_path / "shipped")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("TANDEM_MADE", raising=False)
    (tmp_path / "temporary").mkdir()
    return tmp_path


def test_a_record_comes_back_with_every_digit_of_float32(records_folder):
    losses = np.random.default_rng(0).random(50, "float32")
    saved = records.save("50_test", "pytorch", {"epochs": 1}, losses, accuracy=np.float64(0.5), parameter_count=7)
    found = records.load("50_test", "pytorch", {"epochs": 1})
    assert found == saved
    assert np.array_equal(np.float32(found["losses"]["loss"]), losses)


def test_scores_that_are_known_later_join_the_record(records_folder):
    saved = records.save("50_test", "pytorch", {"epochs": 1}, [1.0, 0.5], accuracy=0.5)
    records.add(saved, lines=7)
    found = records.load("50_test", "pytorch", {"epochs": 1})
    assert found["scores"] == {"accuracy": 0.5, "lines": 7} and found["losses"] == saved["losses"]


def test_a_record_of_other_parameters_is_not_taken_for_the_twin(records_folder):
    mine = records.save("50_test", "pytorch", {"epochs": 2}, [1.0])
    records.save("50_test", "tensorflow", {"epochs": 1}, [1.0])
    assert records.load("50_test", "tensorflow", {"epochs": 2}) is None
    assert "has not been run with these parameters" in records.compare(mine, None)


def test_the_shipped_record_serves_until_the_twin_is_run(records_folder, monkeypatch):
    monkeypatch.setenv("TANDEM_RECORDS", str(records.shipped()))
    records.save("50_test", "tensorflow", {"epochs": 1}, [1.0])
    monkeypatch.setenv("TANDEM_RECORDS", str(records_folder))
    assert records.load("50_test", "tensorflow", {"epochs": 1})["losses"] == {"loss": [1.0]}
    records.save("50_test", "tensorflow", {"epochs": 1}, [2.0])
    assert records.load("50_test", "tensorflow", {"epochs": 1})["losses"] == {"loss": [2.0]}


def test_where_nothing_can_be_written_records_go_to_a_temporary_folder_and_say_so(records_folder, monkeypatch, capsys):
    (records_folder / "a file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("TANDEM_RECORDS", str(records_folder / "a file"))
    records.save("50_test", "pytorch", {}, [1.0])
    assert "cannot be written: this run's record is in" in capsys.readouterr().out
    assert records.load("50_test", "pytorch")["losses"] == {"loss": [1.0]}


def test_a_damaged_record_is_left_out_and_named(records_folder, capsys):
    (records_folder / "50_test_pytorch.json").write_text('{"lesson": ', encoding="utf-8")
    assert records.load("50_test", "pytorch") is None
    assert "50_test_pytorch.json cannot be read" in capsys.readouterr().out


def _write_often(number):
    for _ in range(100):
        records.save("50_test", "pytorch", {"number": number}, [float(number)] * 2000)


def test_a_twin_that_reads_while_two_kernels_write_finds_a_whole_record(records_folder):
    _write_often(0)
    writers = [multiprocessing.get_context("spawn").Process(target=_write_often, args=(number,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        text = (records_folder / "50_test_pytorch.json").read_text(encoding="utf-8")
        assert len(set(json.loads(text)["losses"]["loss"])) == 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert os.listdir(records_folder / "temporary") == [] and not list(records_folder.glob("*.part"))


def test_the_difference_of_records_is_relative_and_as_long_as_the_shorter(records_folder):
    assert np.allclose(records.relative_difference([1.0, 2.0, 3.0], [1.0, 1.0]), [0.0, 0.5])
    assert np.array_equal(records.relative_difference([0.0], [0.0]), [0.0])


def twins(records_folder):
    """The records of two twins, as `load` gives them."""
    long = {"validation loss by epoch": [2.0, 1.0], "loss": [1.0, 0.5]}
    mine = records.save("50_test", "tensorflow", {}, long, parameter_count=116_602, test_accuracy=0.9)
    twin = records.save("50_test", "pytorch", {}, {"loss": [1.0, 0.25]}, parameter_count=116_602, test_accuracy=0.8)
    return mine, twin


def test_the_comparison_fits_half_a_screen_and_shows_pytorch_first_in_both_notebooks(records_folder):
    mine, twin = twins(records_folder)
    lines = records.compare(mine, twin).splitlines()
    assert max(map(len, lines)) <= 60 and lines[0].split() == ["PyTorch", "TensorFlow"]
    assert lines[2].split() == ["test", "accuracy", "0.8000", "0.9000"]
    assert lines[-2].split() == ["loss,", "step", "2", "0.2500", "0.5000", "5e-01"]
    assert records.compare(twin, mine).splitlines()[:-1] == lines[:-1]


def test_a_record_says_whose_it_is_and_when_it_was_made(records_folder, monkeypatch):
    mine, twin = twins(records_folder)
    assert records.compare(mine, twin).splitlines()[-1].startswith("PyTorch's run: 20")
    monkeypatch.setenv("TANDEM_MADE", "shipped with the lesson")
    mine, twin = twins(records_folder)
    assert records.compare(twin, mine).endswith("TensorFlow's run: shipped with the lesson")


def test_a_folder_can_be_asked_alone(records_folder):
    records.save("50_test", "pytorch", {}, [1.0])
    assert records.load("50_test", "pytorch", place=records_folder / "elsewhere") is None
    assert records.load("50_test", "pytorch", place=records_folder)["losses"] == {"loss": [1.0]}


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows gives every user a temporary folder")
def test_two_users_of_one_machine_do_not_share_a_folder(records_folder, monkeypatch):
    """Found with one read-only checkout and one temporary folder: the second user's save raised PermissionError."""
    mine = records.spare_folder()
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert records.spare_folder() != mine and "4711" in records.spare_folder().name
