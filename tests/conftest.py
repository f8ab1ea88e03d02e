"""How the notebooks are run: strictly by nbval, two at a time, each with its share of the cores and a folder for its records."""
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest
from xdist.scheduler import LoadScopeScheduling

from tandem import TandemError
from tandem.tools import install, source
from tandem.tools.execute import environment
from tandem.tools.source import SourceError

WORKERS = 2  # pyproject.toml starts as many
FAST = 90  # seconds that a notebook may take to be run with --fast
USES_ACCELERATOR = """
import shutil, sys, torch
found = bool(torch.accelerator.current_accelerator(check_available=True))
if not found and shutil.which("nvidia-smi"):
    import tensorflow
    found = bool(tensorflow.config.list_physical_devices("GPU"))
sys.exit(0 if found else 3)
"""


def pytest_addoption(parser):
    parser.addoption("--only", metavar="LESSONS", default="", help="what is about these lessons, and nothing else: 06,11")
    parser.addoption("--without", metavar="LESSONS", default="", help="leave out what is about these lessons: 06,11")
    parser.addoption("--fast", action="store_true", help=f"leave out lessons whose header grants them more than {FAST} s")


def pytest_configure(config):
    for option in ("--only", "--without"):
        _numbers(config.getoption(option))  # a lesson that does not exist is told now: a worker could not say it
    share = str(max(1, (os.cpu_count() or 1) // WORKERS))
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):  # not the inter-op ones: tf.data maps with them
        os.environ.setdefault(name, share)
    stack = contextlib.ExitStack()
    settings = stack.enter_context(tempfile.TemporaryDirectory(prefix="tandem-tests-", ignore_cleanup_errors=True))
    pathlib.Path(settings).chmod(0o711)  # a test that runs as another user gets to what it made below
    temporary = pathlib.Path(settings, "tmp")  # of kernels: nbval kills them, and they would leave their folders behind
    temporary.mkdir()
    stack.enter_context(environment(settings, TMPDIR=str(temporary)))
    config.add_cleanup(stack.close)
    asks_for_notebooks = any(not argument.split("::")[0].endswith(".py") for argument in config.args)
    if getattr(config.option, "nbval", False) and asks_for_notebooks and not hasattr(config, "workerinput"):
        if subprocess.run([sys.executable, "-c", USES_ACCELERATOR], capture_output=True).returncode == 0:
            # It rounds differently from the CPU that made the stored outputs: run every cell, compare none.
            config.option.nbval, config.option.nbval_lax = False, True  # the workers take this over


class Together(LoadScopeScheduling):
    """Deals tests to the workers: those that share something costly together, all else one by one.

    A notebook's cells share a kernel; the answers to exercises, the process that tries them in a framework; the lessons' proofs,
    the processes of the twins; the tests of some files, a fixture that takes half a minute or more. xdist's own mark for it,
    `xdist_group`, does nothing: xdist 3.8.0 sets a name that pytest 9.2 does not read.
    """

    SHARED = re.compile(r".*\.ipynb|.*/test_exercises\.py::.*\[\d\d-(pytorch|tensorflow)|.*/test_proof\.py(::test_the_twins)?"
                        r"|.*/test_(site|browser|findings)\.py")

    def _split_scope(self, nodeid):
        found = self.SHARED.match(nodeid)
        return re.sub(r"::.*\[\d\d", "::", found[0]) if found else nodeid


def pytest_xdist_make_scheduler(config, log):
    return Together(config, log)


def pytest_collection_modifyitems(config, items):
    only, without = (_numbers(config.getoption(option)) for option in ("--only", "--without"))
    if config.getoption("--fast"):
        without |= {lesson.name[:2] for lesson in source.all_lessons() if lesson.header.seconds > FAST}
    without |= {lesson.name[:2] for lesson, _ in _not_installed()}
    if not only and not without:
        return
    kept = [item for item in items if (not only or _lesson_number(item) in only) and _lesson_number(item) not in without]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.path.suffix == ".ipynb":
        # Fresh folders for each notebook: its twin's record is then the shipped one, whatever else runs at this moment.
        folder = item.session.config._tmp_path_factory.getbasetemp() / "kernels" / item.path.stem
        os.environ |= {"TANDEM_RECORDS": str(folder / "records"), "IPYTHONDIR": str(folder / "ipython")}


def pytest_terminal_summary(terminalreporter, config):
    sys.path.insert(0, str(config.rootpath / "tests" / "curriculum"))
    from test_notebooks import compared_cells

    for lesson, lacks in _not_installed():
        terminalreporter.write_line(f"Lesson {lesson.title} was left out: {', '.join(lacks)} not installed. "
                                    f"Type: python -m tandem install {lesson.name[:2]}")
    compared, printing = compared_cells()
    if printing:
        terminalreporter.write_line(
            f"Notebooks: {compared} of {printing} cells that print are compared with what is stored ({compared / printing:.0%}).")


def _not_installed():
    """(lesson, what it needs and this environment lacks) for the lessons that cannot be run here."""
    with contextlib.suppress(SourceError):  # a source that breaks a rule is told by the tests of the curriculum
        return [(lesson, lacks) for lesson in source.all_lessons() if (lacks := install.missing(lesson))]
    return []


def _numbers(option):
    """{"06", "11"} of "6,11"."""
    try:
        return {source.find(number).name[:2] for number in option.split(",") if number}
    except TandemError as error:
        raise pytest.UsageError(str(error)) from None


def _lesson_number(item):
    """The lesson that a test is about, "06"; None for a test that is about none, or about all."""
    if item.path.suffix == ".ipynb":
        return item.path.stem[:2]
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return parameters.get("number") or (parameters["lesson"].name[:2] if hasattr(parameters.get("lesson"), "name") else None)
