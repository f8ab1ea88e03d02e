"""Where the checkout lies, who owns it and where one starts from do not matter."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

from tandem import ROOT

PROGRAM = pathlib.Path(__file__).with_name("reads_and_records.py")


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
        shutil.copy(PROGRAM, copy)
        somewhere.mkdir()
        somewhere.chmod(0o777)
        pathlib.Path(folder).chmod(0o755)
        subprocess.run(["chmod", "-R", "a-w,a+rX", str(copy)], check=True)
        own = {"HOME": str(somewhere), "TMPDIR": str(somewhere), "MPLCONFIGDIR": str(somewhere)}
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TANDEM_")} | own
        done = subprocess.run([*as_nobody, sys.executable, str(copy / PROGRAM.name), str(copy)], cwd=somewhere,
                              capture_output=True, text=True, encoding="utf-8", env=environment)
        subprocess.run(["chmod", "-R", "u+w", str(copy)], check=True)
        assert done.returncode == 0, done.stderr[-1500:]
        assert f"The folder {copy / 'records'} cannot be written: this run's record is in {somewhere}" in done.stdout
