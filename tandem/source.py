"""Reads a lesson's source, checks its form, and splits it into the cells of the two notebooks.

A source is a Jupytext percent script. A cell without a framework tag is shared; one tagged `pytorch` or `tensorflow` goes to
that notebook alone. A run of framework cells between two shared cells is a step, and every step has both sides. A source
without framework cells makes a single notebook. The rules are told to authors in docs/contributing.md.
"""
import ast
import pathlib
import re
from dataclasses import dataclass

import jupytext
from IPython.core.inputtransformer2 import TransformerManager

from tandem import FRAMEWORK_NAMES, FRAMEWORKS, ROOT

FOLDER = ROOT / "lessons"
TAGS = {*FRAMEWORKS, "parameters", "network", "nbval-ignore-output"}
LONGEST_CODE = 25  # lines of a code cell before a reader loses the thread


class SourceError(Exception):
    """A lesson's source breaks a rule; the message is "file:line: what is wrong"."""


class UnknownLesson(Exception):
    """No lesson has the number or name that was asked for; the message lists those there are."""


@dataclass(frozen=True)
class Cell:
    kind: str  # "markdown" or "code"
    source: str
    tags: tuple
    line: int  # of its "# %%" marker in the source file

    @property
    def framework(self):
        return next((tag for tag in self.tags if tag in FRAMEWORKS), None)


@dataclass(frozen=True)
class Lesson:
    path: pathlib.Path
    cells: tuple

    @property
    def name(self):
        """For example "02_training"."""
        return self.path.stem

    @property
    def title(self):
        """For example "2 · One network, several ways to train it"."""
        return re.match(r"# (.+)", self.cells[0].source).group(1).strip()

    @property
    def promise(self):
        """The first paragraph below the title, on one line: what will work at the end."""
        return " ".join(self.cells[0].source.split("\n\n")[1].split())

    @property
    def frameworks(self):
        """The notebooks that it makes: both frameworks, or (None,) for a single notebook."""
        return FRAMEWORKS if any(cell.framework for cell in self.cells) else (None,)

    def notebook_name(self, framework):
        return f"{self.name}_{framework}.ipynb" if framework else f"{self.name}.ipynb"

    def cells_of(self, framework):
        return [cell for cell in self.cells if cell.framework in (None, framework)]

    def parameters(self):
        """The names that `-p` takes: those assigned in the cells tagged `parameters`."""
        return sorted({name for cell in self.cells if "parameters" in cell.tags for name in assigned_names(cell)})


def all_lessons(folder=FOLDER):
    return [read(path) for path in sorted(folder.glob("[0-9][0-9]_*.py"))]


def find(number, folder=FOLDER):
    """The lesson with a number ("2", "02") or a name ("02_training")."""
    paths = sorted(folder.glob("[0-9][0-9]_*.py"))
    for path in paths:
        if number in (path.stem, path.stem[:2], path.stem[:2].lstrip("0") or "0"):
            return read(path)
    raise UnknownLesson(f"There is no lesson {number}. These exist: {', '.join(path.stem for path in paths)}.")


def read(path):
    """The lesson in a file. Raises SourceError with file and line where a rule is broken."""
    text = path.read_text(encoding="utf-8")
    markers = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("# %%")]
    notebook = jupytext.reads(text, fmt="py:percent")
    if len(markers) != len(notebook.cells):
        raise SourceError(f"{_shown(path)}:1: text before the first '# %%' marker; begin with '# %% [markdown]'.")
    cells = tuple(
        Cell(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())), line)
        for cell, line in zip(notebook.cells, markers)
    )
    _check(path, cells)
    return Lesson(path, cells)


def assigned_names(cell):
    """The names that a code cell assigns at its top level."""
    return {
        target.id
        for statement in ast.parse(cell.source).body if isinstance(statement, ast.Assign)
        for target in statement.targets if isinstance(target, ast.Name)
    }


def _check(path, cells):
    def fail(cell, problem):
        raise SourceError(f"{_shown(path)}:{cell.line}: {problem}")

    if not cells:
        raise SourceError(f"{_shown(path)}:1: the lesson is empty.")
    if not re.match(r"# .+\n\n.+", cells[0].source) or cells[0].kind != "markdown" or cells[0].tags:
        fail(cells[0], "the first cell is shared markdown: '# number · title', an empty line, and a promise.")
    for cell in cells:
        _check_cell(cell, fail)
    if any(cell.framework for cell in cells):
        _check_steps(cells, fail)
        _check_parameters(cells, fail)
    for framework in FRAMEWORKS:
        own = [cell for cell in cells if cell.framework in (None, framework)]
        for cell, following in zip(own, own[1:]):
            if cell.kind == following.kind == "code":
                fail(following, "a code cell follows a code cell; say between them why the second is there.")


def _check_cell(cell, fail):
    for tag in cell.tags:
        if tag not in TAGS:
            fail(cell, f"unknown tag '{tag}'; known are {', '.join(sorted(TAGS))}.")
    if set(FRAMEWORKS) <= set(cell.tags):
        fail(cell, "tagged with both frameworks; a cell for both has neither tag.")
    if not cell.source.strip():
        fail(cell, "an empty cell.")
    if cell.kind == "markdown":
        if cell.framework and re.search(r"^#{1,6} ", cell.source, re.MULTILINE):
            fail(cell, "a heading in a framework cell; headings are shared, so that the twins keep the same ones.")
        for tag in {"network", "parameters", "nbval-ignore-output"} & set(cell.tags):
            fail(cell, f"the tag '{tag}' belongs on a code cell.")
        return
    lines = len(cell.source.splitlines())
    if lines > LONGEST_CODE:
        fail(cell, f"{lines} lines of code in one cell; {LONGEST_CODE} are the most that a reader follows.")
    try:
        ast.parse(TransformerManager().transform_cell(cell.source))
    except SyntaxError as error:
        fail(cell, f"the code does not parse: {error.msg} (line {cell.line + error.lineno}).")


def _check_steps(cells, fail):
    step = []
    for cell in (*cells, Cell("markdown", "", (), 0)):
        if cell.framework:
            step.append(cell)
            continue
        sides = {part.framework for part in step}
        if len(sides) == 1:
            side, = sides
            missing, = set(FRAMEWORKS) - sides
            fail(step[0], f"this step has {FRAMEWORK_NAMES[side]} cells and no {FRAMEWORK_NAMES[missing]} cell; "
                          "show the other side, or say there why it has none.")
        step = []


def _check_parameters(cells, fail):
    tagged = [cell for cell in cells if "parameters" in cell.tags]
    if not tagged:
        fail(cells[0], "no cell is tagged 'parameters'.")
    names = {framework: set() for framework in FRAMEWORKS}
    for cell in tagged:
        for framework in [cell.framework] if cell.framework else FRAMEWORKS:
            names[framework] |= assigned_names(cell)
    for framework, other in (FRAMEWORKS, FRAMEWORKS[::-1]):
        if alone := sorted(names[framework] - names[other]):
            cell = next(cell for cell in tagged if alone[0] in assigned_names(cell))
            fail(cell, f"the parameter '{alone[0]}' is defined for {FRAMEWORK_NAMES[framework]} only.")


def _shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
