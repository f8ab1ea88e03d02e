"""Opens JupyterLab with copies of a lesson's two notebooks side by side.

The copies lie in work/, which git ignores: JupyterLab writes into a notebook as soon as it is opened, and a learner may change
what they like. Beside them, work/.shipped keeps each notebook as it was when its copy was made.
"""
import contextlib
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import nbformat
from jupyterlab.commands import get_app_dir, get_workspaces_dir
from jupyterlab_server.workspaces_handler import WorkspacesManager

import tandem
from tandem.tools import notebook

LABEXTENSIONS = pathlib.Path(__file__).parent / "labextensions"
"""tandem-twins scrolls the twins in step: a page of JavaScript, loaded as it is; nothing builds it."""

SETTINGS = {
    # JupyterLab would ask whether it may fetch news, and look for updates: nothing here goes to the network.
    "@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"},
    "@jupyterlab/notebook-extension:tracker": {
        # At this size half of a screen of 1440 px holds the 79 columns of a lesson's code; on a smaller one lines are wrapped.
        "codeCellConfig": {"lineNumbers": False, "lineWrap": True, "customStyles": {"fontSize": 11.8}},
        # Every cell is laid out, also out of sight: else nobody knows where the twin's is, and scrolling in step would guess.
        "windowingMode": "defer",
    },
    # It would cover a cell's text.
    "@jupyterlab/cell-toolbar-extension:plugin": {"showToolbar": False},
}


def open_lab(lesson, arguments=(), fresh=False):
    """Starts JupyterLab on copies of the lesson's notebooks and waits until it ends; returns its exit code.

    arguments: passed on to `jupyter lab`. fresh: take new copies, set the old ones aside. Ctrl-C is JupyterLab's own: it asks,
    and shuts its kernels down; SIGTERM is passed on to it.
    """
    copies = work_folder()
    copy_notebooks(lesson, copies, fresh)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tandem-lab-"))  # works in a read-only checkout, too
    save_workspaces([lesson], folder, copies.name)
    (folder / "overrides.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    print(f"Lesson {lesson.title}: JupyterLab opens in the browser; if it does not, open the last address below. Your copies "
          f"of the notebooks are in {copies}. Stop with Ctrl-C.", flush=True)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={copies.parent}", "--ServerApp.log_level=WARN",
               f"--LabApp.default_url=/lab/workspaces/{workspace_name(lesson)}", f"--LabApp.app_settings_dir={folder}",
               f"--LabApp.extra_labextensions_path={LABEXTENSIONS}", *arguments]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container: Jupyter would refuse
    try:
        with _signals(signal.SIGINT, signal.SIGTERM) as pass_on:
            process = subprocess.Popen(command, env=os.environ | {"JUPYTERLAB_WORKSPACES_DIR": str(folder)})
            pass_on[signal.SIGTERM] = process.terminate
            return process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _signals(*numbers):
    """Inside the block these signals do what the dictionary that it yields says for them, or nothing.

    Nothing is a handler of ours, not SIG_IGN: JupyterLab and its kernels would inherit that, and could not be interrupted.
    """
    actions = {}
    before = {number: signal.signal(number, lambda number, _: actions.get(number, int)()) for number in numbers}
    try:
        yield actions
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work_folder():
    """The folder of the learner's copies: work/ in the checkout, or tandem-work/ at home where the checkout cannot be written."""
    folder = tandem.ROOT / "work"
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
    if not os.access(folder, os.W_OK):
        folder = pathlib.Path.home() / "tandem-work"
        folder.mkdir(exist_ok=True)
        print(f"{tandem.ROOT} cannot be written: your copies of the lessons are in {folder}.")
    return folder


def copy_notebooks(lesson, folder, fresh=False):
    """Copies the lesson's notebooks into `folder`. A copy that the learner has altered stays, unless `fresh` sets it aside.

    Where the lesson has changed since, new copies are taken of both twins if neither was altered; else a sentence says so.
    """
    names = [lesson.notebook_name(framework) for framework in lesson.frameworks]
    shipped, origins = notebook.folder(), folder / ".shipped"
    if fresh:
        _set_aside(folder, [name for name in names if (folder / name).exists()], lesson)
    origins.mkdir(exist_ok=True)
    changed = [name for name in names if not _same_bytes(origins / name, shipped / name)]
    altered = [name for name in names if (folder / name).exists() and _contents(folder / name) != _contents(origins / name)]
    if changed and altered:
        print(f"Lesson {lesson.title} has changed since your copies were made, and you have worked in them, so they stay; for "
              f"new ones, with yours set aside: python -m tandem lab {lesson.name[:2]} --fresh")
    for name in names:
        if not (folder / name).exists() or (changed and not altered):
            shutil.copyfile(shipped / name, folder / name)
            shutil.copyfile(shipped / name, origins / name)


def _set_aside(folder, names, lesson):
    """Moves copies into a folder of their own, named by the time: their links to each other still work there."""
    if names:
        aside = folder / f"{lesson.name} until {datetime.datetime.now():%Y-%m-%d %H.%M.%S}"
        aside.mkdir()
        for name in names:
            os.replace(folder / name, aside / name)
        print(f"Your copies are now in {aside}.")


def _same_bytes(path, other):
    return path.exists() and path.read_bytes() == other.read_bytes()


def _contents(path):
    """What a learner can change in a notebook: its cells and their outputs. None if it cannot be read.

    JupyterLab adds to a notebook's metadata when it opens it, and to a cell's when the cell is run.
    """
    try:
        cells = nbformat.read(path, as_version=4).cells
    except (OSError, ValueError, nbformat.ValidationError):
        return None
    return [(cell.cell_type, cell.source, cell.get("outputs")) for cell in cells]


def workspace_name(lesson):
    return f"tandem-{lesson.name}"


def workspace(lesson, folder="work"):
    """A JupyterLab workspace: the lesson's notebooks in `folder` in split view, each with the same share of the width."""
    widgets = [f"notebook:{folder}/{lesson.notebook_name(framework)}" for framework in lesson.frameworks]
    tabs = [{"type": "tab-area", "currentIndex": 0, "widgets": [widget]} for widget in widgets]
    share = [1 / len(tabs)] * len(tabs)
    dock = tabs[0] if len(tabs) == 1 else {
        "type": "split-area", "orientation": "horizontal", "sizes": share, "children": tabs,
    }
    data = {
        "layout-restorer:data": {
            "main": {"dock": dock, "current": widgets[0]},
            "left": {"collapsed": True},
            "right": {"collapsed": True},
        }
    }
    for widget in widgets:
        data[widget] = {"data": {"path": widget.removeprefix("notebook:"), "factory": "Notebook"}}
    return {"data": data, "metadata": {"id": workspace_name(lesson)}}


def save_workspaces(lessons, place, folder="work"):
    """Writes the workspaces of `lessons` into `place`, where JupyterLab finds them: /lab/workspaces/tandem-02_training."""
    manager = WorkspacesManager(str(place))
    for lesson in lessons:
        manager.save(workspace_name(lesson), json.dumps(workspace(lesson, folder)))


def install(lessons):
    """For Binder, which starts JupyterLab itself: copies of all notebooks; workspaces, settings, extension where it looks."""
    copies, application = work_folder(), pathlib.Path(get_app_dir())
    for lesson in lessons:
        copy_notebooks(lesson, copies)
    save_workspaces(lessons, get_workspaces_dir(), copies.name)
    (application / "settings").mkdir(parents=True, exist_ok=True)
    (application / "settings" / "overrides.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    shutil.copytree(LABEXTENSIONS, application.parent / "labextensions", dirs_exist_ok=True)
