"""Opens JupyterLab with a lesson's two notebooks side by side."""
import json
import os
import subprocess
import sys

from jupyterlab_server.workspaces_handler import WorkspacesManager

from tandem import ROOT


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
    return {"data": data, "metadata": {"id": f"tandem-{lesson.name}"}}


def open_lab(lesson, arguments=()):
    """Starts JupyterLab on the lesson's workspace and waits until it ends. arguments: passed on to `jupyter lab`."""
    folder = ROOT / ".jupyter" / "workspaces"
    folder.mkdir(parents=True, exist_ok=True)
    WorkspacesManager(str(folder)).save(f"tandem-{lesson.name}", json.dumps(workspace(lesson)))
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={ROOT}",
               f"--LabApp.default_url=/lab/workspaces/tandem-{lesson.name}", *arguments]
    return subprocess.call(command, env=os.environ | {"JUPYTERLAB_WORKSPACES_DIR": str(folder)})
