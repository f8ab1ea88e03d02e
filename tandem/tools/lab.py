"""Opens JupyterLab with a lesson's two notebooks side by side."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from jupyterlab_server.workspaces_handler import WorkspacesManager

import tandem


def workspace_name(lesson):
    return f"tandem-{lesson.name}"


def workspace(lesson):
    """A JupyterLab workspace: the lesson's notebooks in split view, each with the same share of the width."""
    widgets = [f"notebook:notebooks/{lesson.notebook_name(framework)}" for framework in lesson.frameworks]
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


# JupyterLab would ask whether it may fetch news, and look for updates: nothing here goes to the network.
SETTINGS = {"@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"}}


def save_workspaces(lessons, folder):
    """Writes the workspaces of `lessons` into `folder`, where JupyterLab finds them: /lab/workspaces/tandem-02_training."""
    manager = WorkspacesManager(str(folder))
    for lesson in lessons:
        manager.save(workspace_name(lesson), json.dumps(workspace(lesson)))


def open_lab(lesson, arguments=()):
    """Starts JupyterLab on the lesson's workspace and waits until it ends. arguments: passed on to `jupyter lab`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tandem-lab-"))  # works in a read-only checkout, too
    save_workspaces([lesson], folder)
    (folder / "overrides.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    print(f"Lesson {lesson.title}: JupyterLab opens in the browser; if it does not, open the last address below. Stop with Ctrl-C.",
          flush=True)
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={tandem.ROOT}",
               f"--LabApp.default_url=/lab/workspaces/{workspace_name(lesson)}", f"--LabApp.app_settings_dir={folder}", *arguments]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # a container: Jupyter would refuse
    try:
        return subprocess.call(command, env=os.environ | {"JUPYTERLAB_WORKSPACES_DIR": str(folder)})
    except KeyboardInterrupt:
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)
