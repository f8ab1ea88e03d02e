"""The command line: what it accepts, and what it answers to a mistake."""
import os
import subprocess
import sys

import pytest

import tandem
from tandem import records
from tandem.__main__ import main
from tandem.tools import build, run

COMMANDS = [[], ["lab"], ["install"], ["run"], ["compare"], ["bench"], ["build"], ["proof"], ["sweep"], ["site"]]


@pytest.fixture
def runs(small, monkeypatch, tmp_path):
    """What `run` was asked to do, in the place of doing it."""
    asked = []
    monkeypatch.setattr(run, "run", lambda lesson, parameters, *rest: asked.append((lesson.name, parameters, *rest)) or tmp_path)
    monkeypatch.setattr(run, "compare", lambda lesson, folder: asked.append(("compare", folder)))
    return asked


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "tandem")
def test_help_reads_well(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and text.startswith("usage: python -m tandem") and "==SUPPRESS==" not in text


def test_both_twins_are_run_and_then_compared(runs, tmp_path):
    main(["run", "50", "-p", "steps", "6", "-p", "slope=2.5e-1", "--output", "out"])
    assert runs == [("50_small", {"steps": 6, "slope": 0.25}, None, "out"), ("compare", tmp_path)]


def test_a_folder_of_records_is_the_same_one_in_every_kernel(runs, tmp_path, monkeypatch):
    """Found with a relative TANDEM_RECORDS: the laboratory's kernels start in work/, and `compare` in the checkout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TANDEM_RECORDS", "mine")
    main(["run", "50", "--framework", "pytorch"])
    monkeypatch.chdir(tmp_path / "lessons")
    assert records.folder() == tmp_path / "mine"


def test_one_twin_is_run_and_not_compared(runs):
    main(["run", "50", "--framework", "pytorch"])
    assert runs == [("50_small", {}, ["pytorch"], None)]


@pytest.mark.parametrize("given, value", [("-1e-3", -1e-3), ("True", True), ("ten", "ten")])
def test_a_value_is_read_as_python_would(runs, given, value):
    """Found with a negative number: argparse took it for an option of its own."""
    main(["run", "50", "-p", "slope", given, "--framework", "pytorch"])
    assert runs[0][1] == {"slope": value}


@pytest.mark.parametrize("arguments, answer", [
    (["run", "77"], "There is no lesson 77. These exist: 50_small."),
    (["run", "50", "-p", "epochs", "3"], "50_small has no parameter 'epochs'. It has: steps, slope."),
    (["run", "50", "-p", "slopes", "3"], "Did you mean 'slope'?"),
    (["run", "50", "-p", "steps", "0"], "steps is 0; take a whole number, 1 to 1000"),
    (["run", "50", "-p", "steps"], "give a name and a value, for example: -p epochs 30"),
    (["build", "50", "--prose"], "50_small_pytorch.ipynb does not exist yet"),
])
def test_a_mistake_is_answered_in_a_sentence(small, arguments, answer):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert answer in str(ended.value.code)
    assert not (small.parent.parent / "runs").exists()


@pytest.mark.parametrize("option", ["--only", "--without"])
def test_the_tests_say_in_a_sentence_that_there_is_no_such_lesson(option):
    """Found with `--only 99`: after half a minute, an internal error of pytest-xdist."""
    done = subprocess.run([sys.executable, "-m", "pytest", option, "99"], cwd=tandem.ROOT, capture_output=True, text=True,
                          encoding="utf-8")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.startswith("ERROR: There is no lesson 99. These exist: 00_welcome, "), done.stdout + done.stderr


def test_a_broken_lesson_is_answered_in_a_sentence(change):
    change("# %% [markdown]\n# They are checked.\n\n", "")
    with pytest.raises(SystemExit, match="lessons/50_small.py:17: a code cell follows a code cell"):
        main(["build"])


def test_a_build_without_changes_builds_nothing(small, monkeypatch, capsys):
    monkeypatch.setattr(build, "changed_lessons", lambda: [])
    monkeypatch.setattr(build, "build", lambda *_: pytest.fail("it builds"))
    main(["build"])
    assert "nothing to build" in capsys.readouterr().out


def test_the_broken_rules_of_a_lesson_are_listed_at_once(change):
    change("losses = [slope", "losses = [losses, slope")
    change("steps = 4  # 1 to 1000: losses", "steps = 4")
    done = subprocess.run([sys.executable, "-m", "tandem.tools.source", "50"], capture_output=True, text=True, encoding="utf-8",
                          env=os.environ | {"TANDEM_ROOT": str(tandem.ROOT)})
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "2 broken rules", done.stdout + done.stderr
