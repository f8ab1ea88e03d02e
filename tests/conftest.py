"""How the notebooks are run: strictly by nbval, two at a time, each with its share of the cores and a folder for its records."""
import os
import shutil

import pytest
from xdist.scheduler import LoadScopeScheduling

WORKERS = 2  # pyproject.toml starts as many


def pytest_addoption(parser):
    parser.addoption("--without", metavar="LESSONS", default="", help="leave these lessons' notebooks and proofs out: 11,16")


def pytest_configure(config):
    share = str(max(1, (os.cpu_count() or 1) // WORKERS))
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, share)
    if shutil.which("nvidia-smi"):
        # A GPU rounds differently from the CPU that made the stored outputs: run every cell, compare none.
        config.option.nbval, config.option.nbval_lax = False, True


class NotebooksWhole(LoadScopeScheduling):
    """Deals tests to the workers: the cells of a notebook, which share a kernel, together; all else one by one, so that no core waits."""

    def _split_scope(self, nodeid):
        path = nodeid.split("::")[0]
        return path if path.endswith(".ipynb") else nodeid


def pytest_xdist_make_scheduler(config, log):
    return NotebooksWhole(config, log)


def pytest_collection_modifyitems(config, items):
    left_out = tuple(number for number in config.getoption("--without").split(",") if number)
    if left_out:
        kept = [item for item in items if not (_lesson_number(item) in left_out)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.path.suffix == ".ipynb":
        # A fresh folder for each notebook: its twin's record is then the shipped one, whatever else runs at this moment.
        folder = item.session.config._tmp_path_factory.getbasetemp() / "records" / item.path.stem
        os.environ["TANDEM_RECORDS"] = str(folder)


def pytest_terminal_summary(terminalreporter):
    from test_notebooks import compared_cells

    compared, printing = compared_cells()
    if printing:
        terminalreporter.write_line(
            f"Notebooks: {compared} of {printing} cells that print are compared with what is stored ({compared / printing:.0%}).")


def _lesson_number(item):
    if item.path.suffix == ".ipynb":
        return item.path.stem[:2]
    return getattr(getattr(item, "callspec", None), "params", {}).get("number")
