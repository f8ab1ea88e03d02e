"""Reads a lesson's source, checks its form, and splits it into the cells of the two notebooks.

A source is a Jupytext percent script. A cell without a framework tag is shared; one tagged `pytorch` or `tensorflow` goes to
that notebook alone. A run of framework cells between two shared cells is a step, and every step has both sides. A source
without framework cells makes a single notebook. A header at the top says what the lesson needs and how long it takes. The rules
are told to authors in docs/contributing.md.

    python -m tandem.tools.source 02    every broken rule of lesson 2, one a line (no number: of all lessons)
"""
import ast
import functools
import pathlib
import re
import sys
from dataclasses import dataclass, field

import jupytext
import yaml
from IPython.core.inputtransformer2 import TransformerManager

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS, TandemError, parameters
from tandem.tools import exercises, pins

TAGS = {*FRAMEWORKS, *exercises.TAGS, "parameters", "network", "script", "nbval-ignore-output", "folded"}
LONGEST_CODE = 25  # lines of a code cell before a reader loses the thread
WIDEST_CODE = 79  # columns of code that half a screen holds
LONGEST_PROSE = 600  # characters of a line of text: one sentence a line, so that a diff can be read
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

    minutes: {"read", "run", "exercises"}, of a learner's honest working time. seconds, memory_mb: the most that a run of one of
    its notebooks may take on two CPU cores. needs: packages of requirements-shipping*.txt that it has to have; "posix". proof:
    "training", 25 and 100 training steps of its network cells, or "none". alone: whether its notebooks are run one after the
    other, because they measure the machine, and not side by side.
    """

    minutes: dict
    seconds: int = 90
    memory_mb: int = 1300
    needs: tuple = ()
    proof: str = "training"
    alone: bool = False


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
    return read(_path(number))


def read(path):
    """The lesson in a file. Raises SourceError with file and line of the first broken rule."""
    lesson, found = _read(path)
    if found:
        raise SourceError(found[0])
    return lesson


def problems(path):
    """Every broken rule of a source, each as "file:line: what is wrong"; an empty list for a good lesson."""
    try:
        return list(_read(path)[1])
    except SourceError as error:  # what comes before the cells: nothing below it could be read
        return [str(error)]


def main(numbers):
    """`python -m tandem.tools.source [NN …]`: prints every broken rule of these lessons, or of all."""
    found = [problem for path in (map(_path, numbers) if numbers else _paths()) for problem in problems(path)]
    print(*found, f"{len(found)} broken rules", sep="\n")
    return 1 if found else 0


def _read(path):
    """(The lesson in a file, its broken rules in the order of their lines.) Raises SourceError where it has no cells at all."""
    return _parsed(path, path.read_text(encoding="utf-8"))


@functools.cache  # a second or two a lesson, and the tests ask for all of them again and again
def _parsed(path, text):
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
    if not cells:
        raise SourceError(f"{_shown(path)}:1: the lesson is empty.")
    found = []

    def fail(cell, problem, line=None):
        """Notes a broken rule; line: counted within the cell (None: the cell's marker)."""
        found.append((cell.line + (line or 0), problem))

    _check(path, cells, fail)
    found = sorted(dict.fromkeys(found), key=lambda one: one[0])  # what both notebooks share breaks a rule once
    return Lesson(path, cells, header), tuple(f"{_shown(path)}:{line}: {problem}" for line, problem in found)


def _paths():
    return sorted((tandem.ROOT / "lessons").glob("[0-9][0-9]_*.py"))


def _path(number):
    paths = _paths()
    for path in paths:
        if number in (path.stem, path.stem[:2], path.stem[:2].lstrip("0") or "0"):
            return path
    raise UnknownLesson(f"There is no lesson {number}. These exist: {', '.join(path.stem for path in paths)}.")


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
    known = {"minutes": dict, "seconds": int, "memory_mb": int, "needs": list, "proof": str, "alone": bool}
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
    if unknown := [name for name in values.get("needs", ()) if name not in {"posix", *pins.shipping()}]:
        fail(f"the header needs {', '.join(map(str, unknown))}; it may name packages of {' and '.join(pins.SHIPPING)}, or posix.")
    return Header(**values | {"needs": tuple(values.get("needs", ()))}), text[found.end() :]


def _check(path, cells, fail):
    """Calls `fail(cell, problem, line)` for every broken rule."""
    if not re.match(r"# .+\n\n.+", cells[0].source) or cells[0].kind != "markdown" or cells[0].tags:
        fail(cells[0], "the first cell is shared markdown: '# number · title', an empty line, and a promise.")
    for cell in cells:
        _check_cell(cell, fail)
    if any(cell.framework for cell in cells):
        _check_steps(cells, fail)
        _check_parameters(path, cells, fail)
    for framework in FRAMEWORKS:
        seen = exercises.shown(cells, framework)
        for cell, following in zip(seen, seen[1:], strict=False):
            if cell.kind == following.kind == "code":
                fail(following, "a code cell follows a code cell; say between them why the second is there.")
        _check_names([cell for cell in cells if cell.kind == "code" and cell.framework in (None, framework)
                      and not exercises.UNSEEN & set(cell.tags)], fail)
    exercises.check_form(cells, fail, _bound_names)


def _check_cell(cell, fail):
    for tag in cell.tags:
        if tag not in TAGS:
            fail(cell, f"unknown tag '{tag}'; known are {', '.join(sorted(TAGS))}.")
    if set(FRAMEWORKS) <= set(cell.tags):
        fail(cell, "tagged with both frameworks; a cell for both has neither tag.")
    if not cell.source.strip():
        fail(cell, "an empty cell.")
    if cell.kind == "markdown":
        _check_prose(cell, fail)
    else:
        _check_code(cell, fail)


def _check_prose(cell, fail):
    if cell.framework and re.search(r"^#{1,6} ", cell.source, re.MULTILINE):
        fail(cell, "a heading in a framework cell; headings are shared, so that the twins keep the same ones.")
    for tag in cell.tags:
        if tag in {"network", "parameters", "script", "nbval-ignore-output", "folded"}:
            fail(cell, f"the tag '{tag}' belongs on a code cell.")
    for number, line in enumerate(cell.source.splitlines(), 1):
        if len(line) > LONGEST_PROSE and not line.startswith("|"):  # a row of a table cannot be broken
            fail(cell, f"a line of {len(line)} characters; write one sentence a line, {LONGEST_PROSE} at most.", number)


def _check_code(cell, fail):
    lines = [] if exercises.UNSEEN & set(cell.tags) else cell.source.splitlines()
    widest = WIDEST_CODE - 4 * ("check" in cell.tags)  # the notebook shows it indented, under `attempt`
    if len(lines) > LONGEST_CODE:
        fail(cell, f"{len(lines)} lines of code in one cell; {LONGEST_CODE} are the most that a reader follows.")
    try:
        _tree(cell.source)
    except SyntaxError as error:
        fail(cell, f"the code does not parse: {error.msg}.", error.lineno)
    for number, line in enumerate(lines, 1):
        if len(line) > widest:
            fail(cell, f"{len(line)} columns of code; half a screen holds {widest}.", number)


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
        return
    try:
        parameters.table_of(tagged[0].source)
    except ValueError as error:
        line, _, problem = str(error).partition(": ")
        fail(tagged[0], problem, int(line))
    door = DOOR.format(name=path.stem)
    following = next((cell for cell in cells[cells.index(tagged[0]) + 1 :] if cell.kind == "code"), None)
    if following is None or following.source != door or following.tags != ("folded",):
        fail(following or tagged[0], "the next code cell checks the parameters; tagged 'folded', it reads:\n" + door)


def _check_names(cells, fail):
    """In the code `cells` of one notebook: what the twin proof runs is what the notebook runs, and each cell can be run twice."""
    of_network = {}
    for cell in cells:
        try:
            bound, overwritten = _bound_names(cell.source), _overwritten_names(cell)
        except SyntaxError:
            continue  # said already
        if "network" in cell.tags:
            of_network |= bound
        else:
            for name in sorted(bound.keys() & of_network.keys()):
                if not bound[name] or bound[name] != of_network[name]:
                    fail(cell, f"sets '{name}' anew, which a network cell defines and the twin proof runs; take another name.")
        for name, line in overwritten.items():
            fail(cell, f"reads '{name}', then sets it anew: run twice, it starts from another value; take another name.", line)


@functools.cache
def _bound_names(code):
    """{name: what it was imported from, "numpy" or "itertools.islice", or None} of the names that a cell sets at top level."""
    tree = _tree(code)
    symbols = exercises.symbol_table(ast.unparse(tree)).get_symbols()
    bound = {symbol.get_name(): None for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            bound |= {(alias.asname or alias.name.split(".")[0]): module + alias.name for alias in node.names}
    return bound


def _overwritten_names(cell):
    """{name: line} of the names that a cell reads at top level before it sets them itself, and sets later."""
    order = _Order()
    order.visit(_tree(cell.source))
    return {name: line for name, line in order.read_first.items() if name in order.written}


class _Order(ast.NodeVisitor):
    """Walks through a cell as it runs, once through each loop and into every branch; what stands in functions runs elsewhere."""

    def __init__(self):
        self.written, self.read_first = set(), {}

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.written.add(node.id)
        elif isinstance(node.ctx, ast.Load) and node.id not in self.written:
            self.read_first.setdefault(node.id, node.lineno)

    def visit_in_turn(self, *nodes):
        for node in nodes:
            for one in node if isinstance(node, list) else [node]:
                if one is not None:
                    self.visit(one)

    def visit_Assign(self, node):
        self.visit_in_turn(node.value, node.targets)

    def visit_AnnAssign(self, node):
        if node.value:
            self.visit_in_turn(node.value, node.target)

    def visit_AugAssign(self, node):
        self.visit(node.value)
        if isinstance(node.target, ast.Name) and not isinstance(node.op, ast.BitOr):  # what a set gets twice, it has once
            self.visit_in_turn(ast.copy_location(ast.Name(node.target.id, ast.Load()), node), node.target)

    def visit_NamedExpr(self, node):
        self.visit_in_turn(node.value, node.target)

    def visit_For(self, node):
        self.visit_in_turn(node.iter, node.target, node.body, node.orelse)

    def visit_If(self, node):
        self.visit(node.test)
        before = set(self.written)
        self.visit_in_turn(node.body)
        after, self.written = self.written, before
        self.visit_in_turn(node.orelse)
        self.written |= after

    def visit_comprehension_of(self, node):
        """A comprehension has names of its own; only what it takes from outside counts."""
        own = {name.id for part in node.generators for name in ast.walk(part.target) if isinstance(name, ast.Name)}
        inner = _Order()
        inner.written = self.written | own
        inner.visit_in_turn(*(part.iter for part in node.generators), *(part.ifs for part in node.generators),
                            *(getattr(node, name) for name in ("key", "value", "elt") if hasattr(node, name)))
        self.read_first = inner.read_first | self.read_first
        self.written |= inner.written - own

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_comprehension_of

    def visit_FunctionDef(self, node):
        self.visit_in_turn(node.decorator_list, node.args.defaults, node.args.kw_defaults)
        self.written.add(node.name)

    def visit_ClassDef(self, node):
        self.visit_in_turn(node.decorator_list, node.bases)
        self.written.add(node.name)

    def visit_Lambda(self, node):
        self.visit_in_turn(node.args.defaults, node.args.kw_defaults)

    visit_AsyncFunctionDef = visit_FunctionDef


@functools.cache
def _tree(code):
    """The syntax tree of a cell's code, IPython's own notations understood."""
    return ast.parse(TransformerManager().transform_cell(code))


def _shown(path):
    return path.relative_to(tandem.ROOT) if path.is_relative_to(tandem.ROOT) else path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
