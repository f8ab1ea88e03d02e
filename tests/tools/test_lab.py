"""The laboratory: copies of the notebooks, JupyterLab's start and end, and the page that a learner sees."""
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import time
import urllib.request

import nbformat
import psutil
import pytest
from playwright.sync_api import sync_playwright

import tandem
from tandem.tools import lab, notebook, source

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                      "--disable-background-networking", "--disable-component-update"]
REPOSITORY = tandem.ROOT
NAMES = ("01_tensors_pytorch.ipynb", "01_tensors_tensorflow.ipynb")

if os.name == "posix":
    import pty

posix = pytest.mark.skipif(os.name == "nt", reason="a terminal and signals of POSIX")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with lesson 1 alone, its notebooks as its source makes them, not run."""
    folder = tmp_path / "checkout"
    for name in ("lessons", "notebooks"):
        (folder / name).mkdir(parents=True)
    shutil.copy(tandem.ROOT / ".gitignore", folder)
    lesson = source.find("01")
    shutil.copy(lesson.path, folder / "lessons")
    for framework, name in zip(lesson.frameworks, NAMES, strict=True):
        nbformat.write(notebook.assemble(lesson, framework, {}), folder / "notebooks" / name)
    monkeypatch.setattr(tandem, "ROOT", folder)
    return folder


# --- the copies ---

def texts(folder):
    return {path.name: nbformat.read(path, as_version=4).cells[0].source for path in sorted(folder.glob("*.ipynb"))}


def change_first_cell(path, text):
    changed = nbformat.read(path, as_version=4)
    changed.cells[0].source = text
    nbformat.write(changed, path)


def test_copies_are_taken_once_and_what_a_learner_changes_stays(checkout, capsys):
    lesson, work = source.find("01"), lab.work_folder()
    lab.copy_notebooks(lesson, work)
    assert sorted(texts(work)) == list(NAMES) and work == checkout / "work"
    change_first_cell(work / NAMES[0], "mine")
    lab.copy_notebooks(lesson, work)
    assert texts(work)[NAMES[0]] == "mine" and not capsys.readouterr().out


def test_copies_that_nobody_altered_follow_the_lesson(checkout, capsys):
    lesson, work = source.find("01"), lab.work_folder()
    lab.copy_notebooks(lesson, work)
    opened = json.loads((work / NAMES[0]).read_text(encoding="utf-8"))
    opened["metadata"]["language_info"] = {"name": "python", "version": "3.12.1"}  # as JupyterLab writes
    (work / NAMES[0]).write_text(json.dumps(opened), encoding="utf-8")
    change_first_cell(checkout / "notebooks" / NAMES[0], "new")
    lab.copy_notebooks(lesson, work)
    assert texts(work)[NAMES[0]] == "new" and not capsys.readouterr().out


@pytest.mark.parametrize("broken", [False, True], ids=["changed", "no notebook any more"])
def test_an_altered_copy_of_a_lesson_that_changed_stays_with_its_twin_and_a_sentence_says_so(broken, checkout, capsys):
    lesson, work = source.find("01"), lab.work_folder()
    lab.copy_notebooks(lesson, work)
    if broken:
        (work / NAMES[0]).write_text("{", encoding="utf-8")
    else:
        change_first_cell(work / NAMES[0], "mine")
    before = [(work / name).read_text(encoding="utf-8") for name in NAMES]
    for name in NAMES:
        change_first_cell(checkout / "notebooks" / name, "new")
    lab.copy_notebooks(lesson, work)
    assert [(work / name).read_text(encoding="utf-8") for name in NAMES] == before
    assert "python -m tandem lab 01 --fresh" in capsys.readouterr().out


def test_fresh_sets_the_old_copies_aside_and_takes_new_ones(checkout, capsys):
    lesson, work = source.find("01"), lab.work_folder()
    lab.copy_notebooks(lesson, work)
    change_first_cell(work / NAMES[0], "mine")
    lab.copy_notebooks(lesson, work, fresh=True)
    (aside,) = work.glob("01_tensors until *")
    assert texts(aside)[NAMES[0]] == "mine" and sorted(texts(aside)) == list(NAMES)
    assert texts(work) == texts(checkout / "notebooks") and str(aside) in capsys.readouterr().out


def test_where_the_checkout_cannot_be_written_the_copies_are_at_home(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tandem, "ROOT", tmp_path / "not there")  # as root, a folder without write bits can be written
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    assert lab.work_folder() == tmp_path / "tandem-work" and (tmp_path / "tandem-work").is_dir()
    assert f"your copies of the lessons are in {tmp_path / 'tandem-work'}." in capsys.readouterr().out


def test_every_lesson_has_a_workspace_with_its_copies_side_by_side():
    for lesson in source.all_lessons():
        data = lab.workspace(lesson)["data"]
        shown = [value["data"]["path"] for key, value in data.items() if key.startswith("notebook:")]
        assert shown == [f"work/{lesson.notebook_name(framework)}" for framework in lesson.frameworks]
        dock = data["layout-restorer:data"]["main"]["dock"]
        assert dock["type"] == ("split-area" if len(shown) == 2 else "tab-area")


def test_binder_finds_copies_workspaces_settings_and_the_extension(checkout, tmp_path, monkeypatch):
    monkeypatch.setattr(lab, "get_app_dir", lambda: tmp_path / "share" / "lab")
    monkeypatch.setattr(lab, "get_workspaces_dir", lambda: tmp_path / "workspaces")
    lab.install(source.all_lessons())
    assert sorted(texts(checkout / "work")) == list(NAMES)
    (workspace,) = (tmp_path / "workspaces").glob("*")
    assert f"work/{NAMES[0]}" in workspace.read_text(encoding="utf-8")
    assert json.loads((tmp_path / "share" / "lab" / "settings" / "overrides.json").read_text(encoding="utf-8")) == lab.SETTINGS
    assert (tmp_path / "share" / "labextensions" / "tandem-twins" / "package.json").exists()
    assert "lab.install(source.all_lessons())" in (REPOSITORY / "binder" / "postBuild").read_text(encoding="utf-8")


# --- JupyterLab itself ---

class Laboratory:
    """`python -m tandem lab 01` in a terminal of its own, in a checkout; a runtime folder and a temporary folder of its own."""

    def __init__(self, checkout, *arguments):
        self.runtime, self.temporary = checkout.parent / "runtime", checkout.parent / "temporary"
        self.runtime.mkdir()
        self.temporary.mkdir()
        own = {"TANDEM_ROOT": str(checkout), "JUPYTER_RUNTIME_DIR": str(self.runtime), "TMPDIR": str(self.temporary),
               "JUPYTER_CONFIG_DIR": str(checkout.parent / "config"), "TANDEM_RECORDS": str(checkout / "records")}
        command = [sys.executable, "-m", "tandem", "lab", "01", "--no-browser", *arguments]
        pid, self.terminal = pty.fork()
        if pid == 0:  # Ctrl-C in this terminal reaches every process in it, as it does for a learner
            os.chdir(checkout)
            os.execve(sys.executable, command, os.environ | own)
        self.process = psutil.Process(pid)
        self.printed = ""
        self.address = self.wait_for(r"(http://127\.0\.0\.1:\d+/lab/workspaces/tandem-01_tensors\?token=\w+)\s*$")

    def wait_for(self, pattern, seconds=60):
        """Reads what is printed until it matches; returns the first group."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.terminal], [], [], 0.2)[0]:
                try:
                    self.printed += os.read(self.terminal, 65536).decode(errors="replace")
                except OSError:  # the other end is closed
                    break
            elif found := re.search(pattern, self.printed):
                return found.group(1)
        raise AssertionError(f"{pattern} was not printed, but: {self.printed}")

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def ask(self, path, body=None):
        """The server's answer to an API call, with its token."""
        host, token = re.match(r"(http://[\d.:]+)/.*token=(\w+)", self.address).groups()
        request = urllib.request.Request(f"{host}/{path}", json.dumps(body).encode() if body else None,
                                         {"Authorization": f"token {token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()

    def processes(self):
        """The command and everything that it has started."""
        return [self.process, *self.process.children(recursive=True)]

    def left(self, processes):
        """What is still there when it has ended: processes, runtime files, temporary folders."""
        _, alive = psutil.wait_procs(processes, timeout=20)
        files = [path.name for path in self.runtime.iterdir() if path.name != "jupyter_cookie_secret"]
        return [process.name() for process in alive], files, [path.name for path in self.temporary.glob("tandem-lab-*")]

    def close(self):
        if self.process.is_running():
            for process in self.processes():
                process.kill()
            self.process.wait(30)
        os.close(self.terminal)


@pytest.fixture
def laboratory(checkout):
    (checkout / "data").symlink_to(REPOSITORY / "data", target_is_directory=True)
    started = []

    def start(*arguments):
        started.append(Laboratory(checkout, *arguments))
        return started[0]

    yield start
    for one in started:
        one.close()


@posix
def test_lab_serves_copies_and_ctrl_c_then_y_leaves_nothing(laboratory):
    lab_01 = laboratory()  # its last line is its address, or it would not be here
    assert f"work/{NAMES[1]}" in lab_01.ask("lab/api/workspaces/tandem-01_tensors")
    assert "tandem-twins" in lab_01.ask("lab")
    lab_01.ask("api/sessions", {"path": f"work/{NAMES[0]}", "name": "", "type": "notebook", "kernel": {"name": "python3"}})
    processes = lab_01.processes()
    assert len(processes) >= 3, "the command, JupyterLab, a kernel"
    lab_01.type("\x03")
    lab_01.wait_for(r"(Shut down this Jupyter server \(y/\[n\]\)\?)")
    lab_01.type("y\n")
    assert lab_01.left(processes) == ([], [], [])


@posix
def test_two_ctrl_c_end_the_lab_without_a_question_left(laboratory):
    lab_01 = laboratory()
    processes = lab_01.processes()
    lab_01.type("\x03")
    lab_01.wait_for(r"(Shut down this Jupyter server \(y/\[n\]\)\?)")
    lab_01.type("\x03")
    assert lab_01.left(processes) == ([], [], [])


@posix
def test_sigterm_is_passed_on(laboratory):
    lab_01 = laboratory()
    processes = lab_01.processes()
    lab_01.process.terminate()
    assert lab_01.left(processes) == ([], [], [])


@pytest.mark.parametrize("environment", [{"PYTHONIOENCODING": "cp932"},
                                         {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=["cp932", "ASCII"])
def test_a_console_that_knows_no_middle_dot_is_served_too(environment, checkout):
    done = subprocess.run([sys.executable, "-m", "tandem", "lab", "01", "--version"], cwd=checkout, capture_output=True,
                          env=os.environ | environment | {"TANDEM_ROOT": str(checkout)})
    assert done.returncode == 0 and b"Lesson 1 ? " in done.stdout, done.stderr[-500:]


# --- what a learner sees ---

KERNELS_READY = """() => window.jupyterapp && [...jupyterapp.shell.widgets("main")].length === 2
    && [...jupyterapp.shell.widgets("main")].every((panel) => panel.sessionContext?.session?.kernel?.status === "idle")"""
ALL_RUN = """() => [...jupyterapp.shell.widgets("main")].every((panel) => panel.sessionContext.session.kernel.status === "idle"
    && panel.content.widgets.every((cell) => cell.model.type !== "code" || cell.model.executionCount))"""
TOO_WIDE = """() => [...document.querySelectorAll(".jp-NotebookPanel")].flatMap((panel) =>
    [...panel.querySelectorAll(".jp-CodeCell .cm-content")].filter((code) => {
        const edge = panel.querySelector(".jp-WindowedPanel-outer").getBoundingClientRect().right;
        return code.getBoundingClientRect().right > edge || code.scrollWidth > code.clientWidth + 1;
    }).map((code) => code.textContent.slice(0, 60)))"""
FIGURES_TOLD = """() => [...document.querySelectorAll(".jp-RenderedImage img")].map((image) => image.alt.length >= 15)"""
# How far the shared cell that is read in one panel, 80 px below its upper edge, is from the same cell in the other; null if a
# framework's own cell is read.
APART = """(side) => {
    const panels = [...jupyterapp.shell.widgets("main")];
    const [mine, twin] = [panels[side], panels[1 - side]];
    const theirs = new Map(twin.content.widgets.map((cell) => [cell.model.id, cell.node.getBoundingClientRect()]));
    const line = mine.node.querySelector(".jp-WindowedPanel-outer").getBoundingClientRect().top + 80;
    for (const cell of mine.content.widgets) {
        const [own, its] = [cell.node.getBoundingClientRect(), theirs.get(cell.model.id)];
        if (its && own.top <= line && line < own.top + Math.min(own.height, its.height)) return Math.abs(own.top - its.top);
    }
    return null;
}"""


@posix
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on the path: what a learner sees is not looked at")
def test_a_learner_runs_both_twins_side_by_side_and_git_sees_nothing(laboratory, checkout):
    def git(*arguments):
        names = ("-c", "user.name=Tandem", "-c", "user.email=tandem@localhost")
        return subprocess.run(["git", *names, *arguments], cwd=checkout, capture_output=True, text=True, encoding="utf-8",
                              check=True).stdout

    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Lesson 1"]):
        git(*arguments)
    lab_01 = laboratory("--LabApp.expose_app_in_browser=True")
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS).new_page(
            viewport={"width": 1280, "height": 720})
        page.goto(lab_01.address)
        page.wait_for_function(KERNELS_READY)
        for name in NAMES:
            run_all(page, name)
        page.wait_for_function(ALL_RUN, timeout=90_000)
        assert page.evaluate(TOO_WIDE) == []
        told = page.evaluate(FIGURES_TOLD)
        assert len(told) > 10 and all(told), f"{told.count(False)} of {len(told)} figures have no alternative text on the page"

        for side in (0, 1):
            apart = [distance for distance in scrolled(page, side) if distance is not None]
            assert len(apart) >= 10 and max(apart) <= 5, f"shared cells are up to {max(apart):.0f} px apart"

        page.evaluate("() => jupyterapp.commands.execute('docmanager:save-all')")
        page.wait_for_function("() => [...jupyterapp.shell.widgets('main')].every((panel) => !panel.context.model.dirty)")
    saved = [nbformat.read(checkout / "work" / name, as_version=4) for name in NAMES]
    assert all(cell.execution_count for copy in saved for cell in copy.cells if cell.cell_type == "code")
    assert git("status", "--short") == ""


def run_all(page, name):
    """As a learner does: a click into the notebook, then Run, Run All Cells."""
    page.locator(".jp-NotebookPanel").nth(NAMES.index(name)).locator(".jp-MarkdownCell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def scrolled(page, side):
    """Turns the mouse wheel over one panel down to the end and back to the top; yields how far the twins are apart each time."""
    box = page.locator(".jp-NotebookPanel").nth(side).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for step in [470] * 30 + [-610] * 20:
        page.mouse.wheel(0, step)
        page.wait_for_timeout(80)
        yield page.evaluate(APART, side)
