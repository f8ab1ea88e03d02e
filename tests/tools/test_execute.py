"""A run depends on nothing of the user's own: not on profiles, kernels or settings in the home folder, nor on the environment."""
import json
import os
import subprocess
import sys

import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError

from tandem.tools.execute import execute

CELLS = ("""\
from tandem import plots
plots.curves({"loss": [2.0, 1.0, 0.5, 0.4]}, "A loss that falls")""", """\
import os, matplotlib
print("profile" in globals(), *map(os.environ.get, ("https_proxy", "TF_CPP_MIN_LOG_LEVEL", "TORCH_LOGS")))
print(matplotlib.rcParams["lines.linewidth"], os.environ["TANDEM_RECORDS"])""")


def notebook_of(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def test_a_users_own_profile_kernel_backend_style_and_proxy_do_not_reach_a_run(tmp_path, monkeypatch):
    """Found with MPLBACKEND=agg, which stored notebooks without figures, with a kernel of that name for another Python, and with
    TF_CPP_MIN_LOG_LEVEL=0, which stored log lines."""
    home = tmp_path / "home"
    startup = home / ".ipython" / "profile_default" / "startup"
    kernel = home / "jupyter" / "kernels" / "python3"
    for folder in (startup, kernel):
        folder.mkdir(parents=True)
    (startup / "own.py").write_text("profile = 1", encoding="utf-8")
    another = {"argv": ["no-such-python", "{connection_file}"], "display_name": "another", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(another), encoding="utf-8")
    (home / "matplotlibrc").write_text("lines.linewidth: 7\n", encoding="utf-8")
    for name, value in {"HOME": home, "IPYTHONDIR": home / ".ipython", "JUPYTER_PATH": home / "jupyter", "MPLBACKEND": "agg",
                        "MATPLOTLIBRC": home / "matplotlibrc", "https_proxy": "http://nowhere:1",
                        "TF_CPP_MIN_LOG_LEVEL": "0", "TORCH_LOGS": "+dynamo"}.items():
        monkeypatch.setenv(name, str(value))
    before = dict(os.environ)
    seconds, peak_mb = execute(notebook_of(*CELLS), tmp_path / "run.ipynb", records_folder=tmp_path / "records")
    assert dict(os.environ) == before
    assert seconds > 0 and peak_mb > 30
    drawn, printed = nbformat.read(tmp_path / "run.ipynb", as_version=4).cells
    assert [list(output.data) for output in drawn.outputs] == [["image/png", "text/plain"]]
    assert printed.outputs[0].text.split() == ["False", *["None"] * 3, "1.5", str(tmp_path / "records")]


def test_a_run_that_fails_leaves_its_outputs_and_the_environment_as_it_was(tmp_path):
    before = dict(os.environ)
    with pytest.raises(PapermillExecutionError, match="ZeroDivisionError"):
        execute(notebook_of("print('so far')", "1 / 0"), tmp_path / "run.ipynb")
    assert dict(os.environ) == before
    assert "so far" in (tmp_path / "run.ipynb").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.glob("*.ipynb")) == ["run.ipynb"]


def test_kernels_under_test_keep_their_temporary_files_in_a_folder_that_is_removed():
    """nbval kills its kernels, which then cannot clean up after themselves."""
    done = subprocess.run([sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"], capture_output=True, text=True,
                          encoding="utf-8", check=True)
    assert "tandem-tests-" in done.stdout, "tests/conftest.py sets TMPDIR for what the tests start"
