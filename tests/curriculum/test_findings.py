"""Every finding in docs/findings/ still holds: its script prints the numbers that its docstring promises.

A failure is news: a framework has changed what it does. Renew the script, its row in docs/findings.md, and what the lessons say.
"""
import ast
import re
import subprocess
import sys

import pytest

from tandem import ROOT

FOLDER = ROOT / "docs" / "findings"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
RUN_ALL = """
import contextlib, io, json, runpy, sys
import torch._dynamo  # before TensorFlow, see docs/findings.md
import tandem.tensorflow
printed = {}
for path in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            runpy.run_path(path, run_name="__main__")
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
    printed[path] = text.getvalue()
print(json.dumps(printed))
"""


@pytest.fixture(scope="module")
def printed():
    """{script: what it prints}, all in one process: starting both frameworks takes longer than any script."""
    import json

    paths = [str(FOLDER / f"{name}.py") for name in SCRIPTS]
    done = subprocess.run([sys.executable, "-c", RUN_ALL, *paths], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(SCRIPTS, json.loads(done.stdout.splitlines()[-1]).values(), strict=True))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_finding_holds(printed, name):
    said = ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8")))
    promised = "\n".join(line.removeprefix("    ") for line in said.splitlines() if line.startswith("    "))
    assert printed[name].rstrip() == promised, f"docs/findings/{name}.py: a framework has changed, or its version did"


def test_every_script_has_a_row_in_the_table_and_every_row_a_script():
    rows = re.findall(r"\(findings/(\w+)\.py\)", (ROOT / "docs" / "findings.md").read_text(encoding="utf-8"))
    assert sorted(rows) == SCRIPTS
