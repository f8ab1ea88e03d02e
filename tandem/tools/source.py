"""Reads a lesson's source, checks its form, and splits it into the cells of the two notebooks.

A source is a Jupytext percent script. A cell without a framework tag is shared; one tagged `pytorch` or `tensorflow` goes to
that notebook alone. A run of framework cells between two shared cells is a step, and every step has both sides. A source
without framework cells makes a single notebook. A header at the top says what the lesson needs and how long it takes. The rules
are told to authors in docs/contributing.md.
"""
import ast
import pathlib
import re
from dataclasses import dataclass, field

import jupytext
import yaml
from IPython.core.inputtransformer2 import TransformerManager

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS, TandemError, parameters

TAGS = {*FRAMEWORKS, "parameters", "network", "nbval-ignore-output", "folded"}
LONGEST_CODE = 70  # lines of a code cell before a reader loses the thread
WIDEST_CODE = 200  # columns of code that half a screen holds
PROOFS = ("training", "none")
DOOR = """\
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("{name}", globals(), altered)
as_shipped = parameters_used["as_shipped"]"""


class SourceError(TandemError):
    """A lesson's source breaks a rule; the message is "file:line: what is wrong"."""


class UnknownLesson(TandemError):
    """No lesson has the number or name that was asked for; the message lists those there are."""


@dataclass(frozen=True)
class Cell:
    kind: str  # "markdown" or "code"
    source: str
    tags: tuple
    line: int  # of its "# %%" marker in the source file
    options: dict = field(default_factory=dict)  # what else stands in the marker: exercise="smoothing"

    @property
    def framework(self):
        return next((tag for tag in self.tags if tag in FRAMEWORKS), None)


@dataclass(frozen=True)
class Header:
    """The block at the top of a source. A lesson's numbers stand here and nowhere else.

    minutes: {"read", "run", "exercises"}, of a learner's honest working time. seconds, memory_mb: the most that a run of one of its
    notebooks may take on two CPU cores. needs: packages beyond requirements.txt and programs, such as "java". proof: "training",
    100 training steps of its network cells, or "none".
    """

    minutes: dict
    seconds: int = 90
    memory_mb: int = 1300
    needs: tuple = ()
    proof: str = "training"


@dataclass(frozen=True)
class Lesson:
    path: pathlib.Path
    cells: tuple
    header: Header

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
        """The table of its parameters: a list of `tandem.parameters.Parameter`."""
        return [row for cell in self.cells if "parameters" in cell.tags for row in parameters.table_of(cell.source)]


def all_lessons():
    return [read(path) for path in _paths()]


def find(number):
    """The lesson with a number ("2", "02") or a name ("02_training")."""
    paths = _paths()
    for path in paths:
        if number in (path.stem, path.stem[:2], path.stem[:2].lstrip("0") or "0"):
            return read(path)
    raise UnknownLesson(f"There is no lesson {number}. These exist: {', '.join(path.stem for path in paths)}.")


def read(path):
    """The lesson in a file. Raises SourceError with file and line where a rule is broken."""
    text = path.read_text(encoding="utf-8")
    markers = [number for number, line in enumerate(text.splitlines(), 1) if line.startswith("# %%")]
    header, body = _header(path, text)
    notebook = jupytext.reads(body, fmt="py:percent")
    if len(markers) != len(notebook.cells):
        raise SourceError(f"{_shown(path)}:1: text before the first '# %%' marker; begin with '# %% [markdown]'.")
    cells = tuple(
        Cell(cell.cell_type, cell.source, tuple(cell.metadata.get("tags", ())), line,
             {key: value for key, value in cell.metadata.items() if key != "tags"})
        for cell, line in zip(notebook.cells, markers, strict=True)
    )
    _check(path, cells)
    return Lesson(path, cells, header)


def _paths():
    return sorted((tandem.ROOT / "lessons").glob("[0-9][0-9]_*.py"))


def _header(path, text):
    """The `Header` of a source and the text below it."""
    def fail(problem):
        raise SourceError(f"{_shown(path)}:1: {problem}")

    found = re.match(r"# ---\n((?:# .*\n)*?)# ---\n+", text)
    if not found:
        fail("no header; begin with '# ---', 'name: value' lines such as '# seconds: 90', and '# ---' (docs/contributing.md).")
    try:
        values = yaml.safe_load(re.sub("^# ", "", found[1], flags=re.MULTILINE)) or {}
    except yaml.YAMLError as error:
        fail(f"the header is not YAML: {str(error).splitlines()[0]}.")
    known = {"minutes": dict, "seconds": int, "memory_mb": int, "needs": list, "proof": str}
    for name, value in values.items():
        if name not in known:
            fail(f"the header says '{name}'; it knows {', '.join(known)}.")
        if type(value) is not known[name]:
            fail(f"in the header {name} is {value!r}; it takes a {known[name].__name__}.")
    minutes = values.get("minutes", {})
    if set(minutes) != {"read", "run", "exercises"} or any(type(number) is not int for number in minutes.values()):
        fail("the header needs 'minutes: {read: 50, run: 2, exercises: 30}', in whole minutes.")
    if values.get("proof", PROOFS[0]) not in PROOFS:
        fail(f"the header's proof is '{values['proof']}'; it is one of {', '.join(PROOFS)}.")
    return Header(**values | {"needs": tuple(values.get("needs", ()))}), text[found.end() :]


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
        _check_parameters(path, cells, fail)
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
    for number, line in enumerate(cell.source.splitlines(), 1):
        if len(line) > WIDEST_CODE:
            fail(cell, f"line {cell.line + number} is {len(line)} columns wide; half a screen holds {WIDEST_CODE}.")


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


def _check_parameters(path, cells, fail):
    """One shared parameters cell whose comments give the ranges; the next code cell is the door that checks them."""
    tagged = [cell for cell in cells if "parameters" in cell.tags]
    if len(tagged) != 1 or tagged[0].framework:
        fail(tagged[0] if tagged else cells[0], "a lesson has one cell tagged 'parameters', shared by both notebooks.")
    try:
        parameters.table_of(tagged[0].source)
    except ValueError as error:
        line, _, problem = str(error).partition(": ")
        fail(tagged[0], f"{problem} (line {tagged[0].line + int(line)})")
    door = DOOR.format(name=path.stem)
    following = next((cell for cell in cells[cells.index(tagged[0]) + 1 :] if cell.kind == "code"), None)
    if following is None or following.source != door or following.tags != ("folded",):
        fail(following or tagged[0], "the next code cell checks the parameters; tagged 'folded', it reads:\n" + door)


def _shown(path):
    return path.relative_to(tandem.ROOT) if path.is_relative_to(tandem.ROOT) else path
