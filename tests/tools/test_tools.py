"""The tools behind `python -m tandem`: build, run, compare, lab, on a small lesson of their own."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import nbformat
import pytest

from tandem import ROOT, build, lab, records, run, source
from tandem.__main__ import main

SMALL = '''\
# %% [markdown]
# # 50 · Small
#
# Two lines cross.
#
# *You will build* nothing.

# %% tags=["parameters"]
steps = 4
slope = 0.5

# %% [markdown]
# A loss that falls.

# %% tags=["pytorch"]
framework, twin_framework = "pytorch", "tensorflow"

# %% tags=["tensorflow"]
framework, twin_framework = "tensorflow", "pytorch"

# %% [markdown]
# ## The twin check

# %%
from tandem import records

losses = [slope**step for step in range(steps)]
mine = records.save("50_small", framework, {"steps": steps, "slope": slope}, losses, parameter_count=3)
twin = records.load("50_small", twin_framework, mine["parameters"])
print(records.compare(mine, twin))
'''


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A lesson of two short notebooks in folders of its own."""
    for name in ("lessons", "notebooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").write_text("# Small\n<!-- syllabus -->\n<!-- /syllabus -->\nEnd\n")
    monkeypatch.setattr(source, "FOLDER", tmp_path / "lessons")
    monkeypatch.setattr(build, "FOLDER", tmp_path / "notebooks")
    monkeypatch.setattr(build, "README", tmp_path / "README.md")
    monkeypatch.setattr(records, "SHIPPED", tmp_path / "notebooks" / "records")
    monkeypatch.setattr(source.all_lessons, "__defaults__", (tmp_path / "lessons",))
    monkeypatch.setattr(source.find, "__defaults__", (tmp_path / "lessons",))
    # The kernels are processes of their own: they look for shipped records in the real folder, and find none of lesson 50.
    monkeypatch.setenv("TANDEM_RECORDS", str(tmp_path / "records"))
    path = tmp_path / "lessons" / "50_small.py"
    path.write_text(SMALL, encoding="utf-8")
    return path


def test_a_build_makes_both_notebooks_and_a_second_build_changes_nothing(small, capsys):
    build.build([source.read(small)])
    notebooks = {path.name: path.read_text() for path in build.FOLDER.glob("*.ipynb")}
    assert set(notebooks) == {"50_small_pytorch.ipynb", "50_small_tensorflow.ipynb"}
    for framework in ("pytorch", "tensorflow"):
        notebook = nbformat.reads(notebooks[f"50_small_{framework}.ipynb"], as_version=4)
        measured = notebook.metadata["tandem"]
        assert measured["lesson"] == "50_small" and measured["framework"] == framework
        assert measured["seconds"] >= 1 and measured["peak_mb"] > 30
        assert f"{measured['seconds']} s, {measured['peak_mb']} MB" in notebook.cells[0].source
        assert set(notebook.metadata) == {"kernelspec", "language_info", "tandem"}
    readme = build.README.read_text()
    assert "**50 · Small**" in readme and "Two lines cross." in readme and readme.endswith("End\n")
    assert build.changed_lessons() == []

    build.build([source.read(small)])
    assert {path.name: path.read_text() for path in build.FOLDER.glob("*.ipynb")} == notebooks
    assert build.README.read_text() == readme


def test_a_changed_source_is_found_and_keeps_the_ids_of_its_other_cells(small):
    lesson = source.read(small)
    before = build.assemble(lesson, "pytorch", {})
    small.write_text(SMALL.replace("A loss that falls.", "A loss that falls fast."), encoding="utf-8")
    after = build.assemble(source.read(small), "pytorch", {})
    changed = [one.source for one, other in zip(after.cells, before.cells) if one.id != other.id]
    assert changed == ["A loss that falls fast."]
    assert [found.name for found in build.changed_lessons()] == ["50_small"]


def test_changed_prose_is_taken_in_without_a_run_and_changed_code_is_not(small, capsys):
    build.build([source.read(small)])
    path = build.FOLDER / "50_small_pytorch.ipynb"
    before = nbformat.read(path, as_version=4)
    small.write_text(SMALL.replace("A loss that falls.", "A loss that falls fast."), encoding="utf-8")
    main(["build", "50", "--prose"])
    after = nbformat.read(path, as_version=4)
    assert "A loss that falls fast." in [cell.source for cell in after.cells] and build.changed_lessons() == []
    assert [cell.get("outputs") for cell in after.cells] == [cell.get("outputs") for cell in before.cells]
    small.write_text(SMALL.replace("steps = 4", "steps = 5"), encoding="utf-8")
    with pytest.raises(SystemExit, match="the code changed as well"):
        main(["build", "50", "--prose"])


def test_a_failing_cell_is_named_by_its_line_in_the_source_and_the_old_notebook_stays(small):
    (build.FOLDER / "50_small_pytorch.ipynb").write_text("the old one")
    broken = SMALL.replace('framework, twin_framework = "pytorch", "tensorflow"', "framework = 1 / 0")
    small.write_text(broken, encoding="utf-8")
    (build.FOLDER / "50_small_pytorch.ipynb").unlink()
    with pytest.raises(build.RunError, match=r"50_small.py:15: in 50_small_pytorch.ipynb: ZeroDivisionError"):
        build.build([source.read(small)])
    assert list(build.FOLDER.glob("*.ipynb")) == []


def test_run_takes_parameters_and_ends_with_the_twins_compared(small, tmp_path, capsys):
    main(["run", "50", "-p", "steps", "6", "-p", "slope", "0.25", "--output", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "50_small_pytorch.json").read_text())
    assert record["parameters"] == {"steps": 6, "slope": 0.25} and len(record["losses"]["loss"]) == 6
    assert "parameter count" in printed and "loss, step 6" in printed and "0e+00 apart" in printed
    assert (tmp_path / "out" / "50_small_loss.png").stat().st_size > 5_000


def test_run_takes_one_framework(small, tmp_path):
    main(["run", "50", "--framework", "tensorflow", "--output", str(tmp_path / "out")])
    assert [path.name for path in (tmp_path / "out").glob("*.ipynb")] == ["50_small_tensorflow.ipynb"]


def test_an_unknown_parameter_is_refused_with_those_there_are(small, tmp_path):
    with pytest.raises(SystemExit, match="50_small has no parameter 'epochs'. It has: slope, steps."):
        main(["run", "50", "-p", "epochs", "3", "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_compare_without_records_says_so(small, capsys, tmp_path):
    main(["compare", "50", "--records", str(tmp_path)])
    assert "has no record of PyTorch and TensorFlow" in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], ["build"], ["run"], ["compare"], ["lab"]], ids=lambda command: " ".join(command) or "tandem")
def test_help_reads_well(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0 and text.startswith("usage: python -m tandem") and "==SUPPRESS==" not in text


def test_every_lesson_has_a_workspace_with_its_notebooks_side_by_side():
    for lesson in source.all_lessons():
        data = lab.workspace(lesson)["data"]
        shown = [value["data"]["path"] for key, value in data.items() if key.startswith("notebook:")]
        assert shown == [f"notebooks/{lesson.notebook_name(framework)}" for framework in lesson.frameworks]
        dock = data["layout-restorer:data"]["main"]["dock"]
        assert dock["type"] == ("split-area" if len(shown) == 2 else "tab-area")


def fetch(address):
    """The page at an address, asked for until the server listens: it prints its address a moment before."""
    for _ in range(60):
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionError):
                raise
            time.sleep(0.5)
    raise AssertionError(f"nobody listens at {address}")


@pytest.mark.skipif(sys.platform == "win32", reason="ends the server with a POSIX signal")
def test_lab_serves_the_workspace_and_prints_its_address(tmp_path):
    """The main path of a learner: `python -m tandem lab 02` on a machine without a browser."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tandem", "lab", "02", "--no-browser", "--ServerApp.port=8931"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, start_new_session=True,
        env=os.environ | {"JUPYTER_RUNTIME_DIR": str(tmp_path)})
    try:
        printed = iter(process.stdout.readline, "")
        assert any("copy and paste one of these URLs" in line for line in printed), "no address was printed"
        address = next(printed).strip()
        assert "/lab/workspaces/tandem-02_training?token=" in address
        workspace = address.replace("/lab/workspaces/", "/lab/api/workspaces/")
        assert "notebooks/02_training_tensorflow.ipynb" in fetch(workspace)
        assert "JupyterLab" in fetch(address)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


READS_AND_RECORDS = """
import sys; sys.path.insert(0, sys.argv[1])
from tandem import ROOT, data, records
assert str(ROOT) == sys.argv[1]
data.fashion_mnist(); data.penguins()
records.save('50_small', 'pytorch', {}, [1.0])
assert records.load('50_small', 'pytorch')['losses'] == {'loss': [1.0]}
"""


@pytest.mark.skipif(os.name == "nt", reason="file modes")
def test_lessons_work_in_a_read_only_checkout_from_any_directory():
    """As a user who is not root, in a copy that nobody may write to, started somewhere else."""
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []
    if subprocess.run([*as_nobody, sys.executable, "-c", ""], capture_output=True).returncode:
        pytest.skip("no other user may run this Python")
    with tempfile.TemporaryDirectory() as folder:
        copy, somewhere = pathlib.Path(folder, "checkout"), pathlib.Path(folder, "somewhere")
        for part in ("tandem", "data"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        somewhere.mkdir()
        somewhere.chmod(0o777)
        pathlib.Path(folder).chmod(0o755)
        subprocess.run(["chmod", "-R", "a-w,a+rX", str(copy)], check=True)
        own = {"HOME": str(somewhere), "TMPDIR": str(somewhere), "MPLCONFIGDIR": str(somewhere)}
        environment = {key: value for key, value in os.environ.items() if key != "TANDEM_RECORDS"} | own
        done = subprocess.run([*as_nobody, sys.executable, "-c", READS_AND_RECORDS, str(copy)], cwd=somewhere,
                              capture_output=True, text=True, env=environment)
        subprocess.run(["chmod", "-R", "u+w", str(copy)], check=True)
        assert done.returncode == 0, done.stderr[-1500:]
        assert f"The folder {copy / 'records'} cannot be written: this run's record is in {somewhere}" in done.stdout
