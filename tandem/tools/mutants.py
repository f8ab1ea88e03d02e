"""Mutants: plants one fault at a time on one side of a lesson's network cells, and asks who notices.

    python -m tandem proof 06 --mutants

Only cells of one framework are changed: what both notebooks share cannot part them. Each mutant differs from the lesson in one
place (`mutants_of`). Who notices is found in this order: the twin proof (the mutated twin is held against the other one,
unchanged), an assertion of the lesson, a cell whose output is compared with the stored one, or nobody. The idea: DeMillo, Lipton
and Sayward (1978), doi:10.1109/C-M.1978.218136.
"""
import ast
import collections
import configparser
import pathlib
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import nbformat
from papermill.exceptions import PapermillExecutionError

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS, TandemError
from tandem.tools import notebook, proof, twin
from tandem.tools.execute import execute

RUNS = dict.fromkeys(twin.RUNS, 12)  # a fault that shows after a hundred steps shows in the third
PROOF, ASSERTION, CELL, NOBODY = "the proof", "an assertion", "a compared cell", "nobody"
WITNESSES = (PROOF, ASSERTION, CELL, NOBODY)

EXCHANGED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
LABELS = {"labels", "targets"}
MODES = {"train": "eval", "eval": "train"}
NO_ARITHMETIC = {"name", "device", "check_available"}  # arguments that cannot change what is computed


@dataclass(frozen=True)
class Mutant:
    """One planted fault: `kind`, such as "constant"; `line` in the lesson's source; what stood there `before` and `after`."""

    kind: str
    line: int
    before: str
    after: str
    cell: object  # the changed `source.Cell`

    def __str__(self):
        return f"line {self.line}, {self.kind}: {_short(self.before)} → {_short(self.after)}"


def mutants_of(lesson, framework):
    """Every `Mutant` of the network cells that only `framework` has, in the order of the source."""
    found = []
    for cell in lesson.cells_of(framework):
        if "network" in cell.tags and cell.framework and cell.kind == "code":
            found += _mutants_of_cell(cell)
    return found


def mutated(lesson, mutant):
    """The lesson with the mutant's cell in place of its own."""
    return replace(lesson, cells=tuple(mutant.cell if cell.line == mutant.cell.line else cell for cell in lesson.cells))


@dataclass(frozen=True)
class Verdict:
    """Who noticed a mutant. how: the figures over their limits, or the message. same: the proof's own numbers did not change."""

    mutant: Mutant
    witness: str
    how: str = ""
    same: bool = False


def judge(lesson, framework, run_notebooks=True):
    """The `Verdict` on every mutant of one side. run_notebooks: ask the notebook where the proof is content, a minute each.

    Raises TandemError where there is no built notebook to compare with.
    """
    if run_notebooks and notebook.stored(lesson, framework) is None:
        raise TandemError(f"{lesson.notebook_name(framework)} is not built, and mutants are compared with it; "
                          f"first: python -m tandem build {lesson.name[:2]}")
    mutants = mutants_of(lesson, framework)
    other, = set(FRAMEWORKS) - {framework}
    jobs = [([lesson, *(mutated(lesson, mutant) for mutant in mutants)], framework), ([lesson], other)]
    with ThreadPoolExecutor() as pool:
        (own, *runs), (twins,) = pool.map(lambda job: twin.run_variants(*job, runs=RUNS, seconds=120), jobs)
    verdicts = []
    for mutant, run in zip(mutants, runs, strict=True):
        how = _noticed_by_proof(run, twins, framework)
        if how:
            verdicts.append(Verdict(mutant, PROOF, how))
            continue
        witness, how = _noticed_by_notebook(lesson, mutant, framework) if run_notebooks else (NOBODY, "")
        verdicts.append(Verdict(mutant, witness, how, same=_equal(own, run)))
    return verdicts


def table(found):
    """The lines of a Markdown table of {(lesson name, framework): verdicts}: who noticed how many."""
    rows = ["| lesson | side | mutants | the proof | an assertion | a compared cell | nobody | share |", "|---" * 8 + "|"]
    for (name, framework), verdicts in found.items():
        count = collections.Counter(verdict.witness for verdict in verdicts)
        changes = sum(not is_equivalent(verdict) for verdict in verdicts)
        share = f"{count[PROOF]} of {changes}, {count[PROOF] / changes:.0%}" if changes else "none"
        numbers = " | ".join(str(count[witness]) for witness in WITNESSES)
        rows.append(f"| {name} | {FRAMEWORK_NAMES[framework]} | {len(verdicts)} | {numbers} | {share} |")
    return rows


def is_equivalent(verdict):
    """Whether a mutant changes nothing that is computed, as far as anybody can tell: the proof's numbers are the same but for
    rounding, and the notebook shows the same."""
    return verdict.same and verdict.witness == NOBODY


def main(lessons, report=print):
    """`python -m tandem proof … --mutants`: judges both sides of `lessons` and prints the table and what the proof missed."""
    found = {}
    for lesson in lessons:
        for framework in FRAMEWORKS:
            found[lesson.name, framework] = judge(lesson, framework)
            for verdict in found[lesson.name, framework]:
                how = f" ({verdict.how})" if verdict.how else ""
                report(f"{lesson.name}, {FRAMEWORK_NAMES[framework]}, {verdict.mutant}: {verdict.witness}{how}", flush=True)
    report("\n".join(["", *table(found), "", "The proof is content with:"]))
    for (name, framework), verdicts in found.items():
        for verdict in verdicts:
            if verdict.witness != PROOF:
                same = "; computes the same" if verdict.same else ""
                report(f"- {name}, {FRAMEWORK_NAMES[framework]}, {verdict.mutant}: {verdict.witness}{same}")
    return 0


def _noticed_by_proof(run, twins, framework):
    """What the proof says of a mutated side's result beside the other's, unchanged; "" if it is content."""
    if isinstance(run, twin.ProofError):
        return f"stops: {str(run).strip().splitlines()[-1][:90]}"
    both = (run, twins) if framework == FRAMEWORKS[0] else (twins, run)
    try:
        return ", ".join(proof.difference(*both).beyond())
    except twin.ProofError as error:
        return str(error)


def _equal(one, other):
    """Whether two results of one side are the same but for rounding, which may depend on where numbers lie in memory."""
    try:
        return not proof.difference(one, other).beyond(dict.fromkeys(proof.LIMITS, 1e-12))
    except twin.ProofError:
        return False


def _noticed_by_notebook(lesson, mutant, framework):
    """(witness, how): runs the notebook with the fault in it, and compares what nbval compares with the stored outputs."""
    spoilt = notebook.assemble(mutated(lesson, mutant), framework, {})
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / lesson.notebook_name(framework)
        try:
            execute(spoilt, path, records_folder=folder)
        except PapermillExecutionError as error:
            return ASSERTION, f"{error.ename}: {error.evalue[:60]}"
        fresh, stored = notebook.clean(nbformat.read(path, as_version=4)), notebook.stored(lesson, framework)
    for new, old in zip(fresh.cells, stored.cells, strict=False):
        if "nbval-ignore-output" not in old.metadata.get("tags", ()) and _text(new) != _text(old):
            return CELL, old.source.strip().splitlines()[0][:60]
    return NOBODY, ""


def _text(cell):
    """What nbval compares of a cell: its text, without times, versions and addresses."""
    rules = configparser.RawConfigParser()
    rules.read(tandem.ROOT / "tests" / "nbval_sanitize.cfg", encoding="utf-8")
    text = "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", ()))
    for section in rules.sections():
        text = re.sub(rules[section]["regex"], rules[section]["replace"], text)
    return text


def _mutants_of_cell(cell):
    tree, found, seen = ast.parse(cell.source), [], set()
    idle = {id(word.value) for word in ast.walk(tree) if isinstance(word, ast.keyword) and word.arg in NO_ARITHMETIC}
    for node in ast.walk(tree):
        if id(node) in idle:
            continue
        for kind, target, after in _faults(node):
            before = ast.get_source_segment(cell.source, target)
            text = _replaced(cell.source, target, after)
            if before is None or text in seen or not _parses(text):
                continue
            seen.add(text)
            found.append(Mutant(kind, cell.line + target.lineno, before, after, replace(cell, source=text)))
    return sorted(found, key=lambda mutant: mutant.line)


def _faults(node):
    """Yields (kind, node to be replaced, its new text) for the faults that can be planted at `node`."""
    if isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.BinOp) and type(node.op) in EXCHANGED:
        yield "sign", node, ast.unparse(ast.BinOp(node.left, EXCHANGED[type(node.op)](), node.right))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "sign", node, ast.unparse(node.operand)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.FunctionDef):
        yield from _exchanges(node)


def _constants(node):
    if isinstance(node.value, bool):
        yield "flag", node, str(not node.value)
    elif isinstance(node.value, int):
        yield "constant", node, str(node.value + 1)
    elif isinstance(node.value, float):
        yield "constant", node, repr(1.5 * node.value if node.value else 0.5)


def _calls(node):
    for keyword in node.keywords:
        if keyword.arg and keyword.arg not in NO_ARITHMETIC:
            rest = [other for other in node.keywords if other is not keyword]
            yield "argument left out", node, ast.unparse(ast.Call(node.func, node.args, rest))
    if isinstance(node.func, ast.Attribute) and node.func.attr in MODES and not node.args:
        yield "mode", node, ast.unparse(ast.Call(ast.Attribute(node.func.value, MODES[node.func.attr]), [], []))
    if _is_step(node):
        yield "layer dropped", node, ast.unparse(node.args[0])
        inner = node.args[0]
        if _is_step(inner):
            swapped = ast.Call(inner.func, [ast.Call(node.func, inner.args, node.keywords)], inner.keywords)
            yield "operations exchanged", node, ast.unparse(swapped)
    for argument in node.args:
        if isinstance(argument, ast.Name) and argument.id in LABELS:
            yield "label shifted", argument, f"({argument.id} + ({argument.id} == 0))"


def _is_step(node):
    """Whether a call hands one value on, as a layer does: `self.hidden(x)` or `F.relu(x)`, not `nn.ReLU(x)` or `x.to(device)`."""
    if not (isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.func, ast.Attribute)):
        return False
    makes = node.func.attr[0].isupper() or node.func.attr in {"to", "as_tensor", "convert_to_tensor"}
    return isinstance(node.args[0], (ast.Name, ast.Call)) and not makes


def _exchanges(function):
    """Neighbouring statements of a function that read and write, exchanged."""
    for one, other in zip(function.body, function.body[1:], strict=False):
        if isinstance(one, ast.Assign) and isinstance(other, (ast.Assign, ast.Return)) and one.value is not None:
            if isinstance(other, ast.Assign) and isinstance(other.value, ast.Call) and isinstance(one.value, ast.Call):
                joined = ast.copy_location(ast.Module([one, other], []), one)
                joined.lineno, joined.col_offset = one.lineno, one.col_offset
                joined.end_lineno, joined.end_col_offset = other.end_lineno, other.end_col_offset
                indent = "\n" + " " * one.col_offset
                yield "operations exchanged", joined, ast.unparse(other) + indent + ast.unparse(one)


def _replaced(source, node, after):
    """`source` with the text of `node` replaced."""
    lines = source.splitlines(keepends=True)
    start = _offset(lines, node.lineno, node.col_offset)
    end = _offset(lines, node.end_lineno, node.end_col_offset)
    return source[:start] + (f"({after})" if isinstance(node, (ast.BinOp, ast.UnaryOp)) else after) + source[end:]


def _offset(lines, line, column):
    """The index into the text of a position as `ast` gives it: columns are counted in bytes of UTF-8."""
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())


def _parses(text):
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _short(text):
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."
