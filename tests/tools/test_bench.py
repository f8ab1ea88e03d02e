"""The bench: how long twins take alone, and side by side."""
import re

import pytest

from tandem.tools import bench, source


def test_the_bench_runs_twins_alone_and_at_once_and_prints_the_ratios(small, capsys):
    bench.bench(source.find("50"))
    printed = capsys.readouterr().out
    for name in ("PyTorch", "TensorFlow"):
        assert re.search(rf"^{name} +\d+\.\d +\d+\.\d +\d+\.\d\d$", printed, re.MULTILINE), printed
    assert re.search(r"Together they take \d\.\d\d times as long as the slower one alone", printed)


def test_medians_together_are_compared_with_the_slower_one_alone(small, monkeypatch, capsys):
    took = iter([[2.0], [4.0], [4.4, 5.0]] * 2 + [[2.0], [9.0], [4.4, 30.0]])
    monkeypatch.setattr(bench, "_seconds", lambda lesson, frameworks: next(took))
    assert bench.bench(source.find("50"), runs=3) == 1.25
    assert "TensorFlow      4.0 (4.0 to 9.0)   5.0 (5.0 to 30.0)    1.25" in capsys.readouterr().out


def test_a_notebook_that_fails_is_named_with_its_error(small, change):
    change("losses = [", "losses = [1 / 0] + [")
    with pytest.raises(bench.BenchError, match="50_small_pytorch.ipynb failed: ZeroDivisionError: division by zero"):
        bench.bench(source.find("50"))


def test_a_lesson_without_twins_is_refused():
    with pytest.raises(bench.BenchError, match="Lesson 0 · Welcome is one notebook: name a lesson of two, such as 02."):
        bench.bench(source.find("00"))
