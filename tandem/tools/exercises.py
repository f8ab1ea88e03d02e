"""Exercises in a lesson's source: their form, what a notebook shows of them, and whether their checks tell right from wrong.

An exercise is a text cell tagged `exercise` and what follows it, up to the next one or to a text cell tagged `after-exercises`.
Solutions are the source, starters are made of them; checks are shared by the twins. Authors: see docs/contributing.md.

    python -m tandem.tools.exercises 02    what the checks of lesson 2 say to each solution, blank and mistake, in both frameworks
"""
import ast
import builtins
import contextlib
import functools
import importlib
import io
import json
import linecache
import multiprocessing
import os
import re
import subprocess
import symtable
import sys
import textwrap
import time
import traceback
from dataclasses import dataclass, replace

import tandem
from tandem import FRAMEWORK_NAMES, FRAMEWORKS, TandemError
from tandem.exercises import attempt, unanswered, verdict

TEXT_TAGS = {"exercise", "hint", "after-exercises"}
CODE_TAGS = {"solution", "check", "hidden", "wrong", "classroom"}
TAGS = TEXT_TAGS | CODE_TAGS
UNSEEN = {"hidden", "wrong"}  # cells that never reach a lesson's notebook; they may be as long and as wide as they need to be
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "raise NotImplementedError  # your code, in place of this line"
FRAMEWORK_WORDS = {"torch", "nn", "F", "tensorflow", "tf", "keras", "layers", "framework"}
WRONG_ANSWERS = 2  # the least that a check has to refuse, in each framework
_REGION = re.compile(rf"^( +){BEGIN}\n(.*?)^\1{END}$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Exercise:
    name: str
    points: int  # 1 of the visible check, the rest of the hidden one
    cells: tuple  # of both frameworks

    def of(self, role, framework=None):
        """Its cells with a tag, those of both frameworks or of one and the shared ones."""
        return [cell for cell in self.cells if role in cell.tags and (not framework or cell.framework in (None, framework))]

    def answers(self, framework):
        """{name: code} of what is tried: "solution", "blank", and each mistake."""
        solution = self.of("solution", framework)[0].source
        mistakes = {cell.options["mistake"]: cell.source for cell in self.of("wrong", framework)}
        return {"solution": without_markers(solution), "blank": starter(solution)} | mistakes


def of_lesson(lesson):
    """The lesson's exercises, in order."""
    return [Exercise(cells[0].options["exercise"], cells[0].options["points"], tuple(cells))
            for cells in _blocks(lesson.cells) if "exercise" in cells[0].tags]


def starter(solution):
    """A solution as the learner finds it: each marked region is one `raise`; what stands outside the markers is given."""
    return _REGION.sub(lambda found: found[1] + STUB, solution)


def without_markers(solution):
    return "\n".join(line for line in solution.splitlines() if line.strip() not in (BEGIN, END))


def shown(cells, framework):
    """The cells that a lesson's notebook shows: starters for solutions, checks under `attempt`, and after what an exercise shows
    one cell in which its hints and its solution are folded away."""
    found = []
    for block in _blocks(cells):
        own = [cell for cell in block if cell.framework in (None, framework)]
        found += _shown(own[0].options.get("exercise"), own) if own and "exercise" in own[0].tags else own
    return found


def check_form(cells, fail, bound_names):
    """Calls `fail(cell, problem, line)` for every broken rule of an exercise.

    bound_names(code): {name: what it was imported from, or None} of the names that a code cell sets (`tandem.tools.source`).
    """
    for cell in cells:
        for tag in sorted(TAGS & set(cell.tags)):
            kind = "markdown" if tag in TEXT_TAGS else "code"
            if cell.kind != kind:
                fail(cell, f"the tag '{tag}' belongs on a {kind} cell.")
    names, found = [], []
    for block in _blocks(cells):
        head = block[0]
        if "exercise" not in head.tags:
            for cell in block:
                for tag in sorted((TAGS - {"classroom", "after-exercises"}) & set(cell.tags)):
                    fail(cell, f"'{tag}' outside an exercise; one begins at a text cell tagged 'exercise'.")
            continue
        name, points = head.options.get("exercise"), head.options.get("points")
        if not re.fullmatch(r"[a-z][a-z0-9-]*", str(name)):
            fail(head, "an exercise needs a name of small letters, digits and '-': exercise=\"smoothing\".")
        if name in names:
            fail(head, f"a second exercise '{name}'; take another name.")
        if type(points) is not int or points < 2:
            fail(head, f"exercise '{name}' needs points=2 or more: 1 for the check that is shown, the rest for the hidden one.")
        names.append(name)
        found.append(Exercise(name, points, tuple(block)))
    if found and not any("after-exercises" in cell.tags for cell in cells[cells.index(found[-1].cells[0]) :]):
        fail(found[-1].cells[0], f"exercise '{names[-1]}' does not end: tag the text cell after it 'after-exercises'.")
    for one in found:
        _check_roles(one, fail)
        _check_markers(one, fail)
        _check_checks(one, fail)
    with contextlib.suppress(SyntaxError):  # said elsewhere
        for framework in FRAMEWORKS:
            _check_names(found, cells, framework, fail, bound_names)


def outcomes(lesson, framework):
    """Tries every answer of every exercise in this process, on the lesson's cells tagged `network` or `classroom`.

    Returns {exercise: {answer: {"check", "hidden", "seconds"}}}: what a check raised and says, [error's type or None, line];
    None for a hidden check that was not reached. For "blank", "shown" is what the notebook prints.
    """
    names = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in lesson.cells_of(framework):
            if {"network", "classroom"} & set(cell.tags):
                _run(cell.source, f"{lesson.path.name}:{cell.line}", names)
        return {one.name: {answer: _try(one, answer, code, dict(names)) for answer, code in one.answers(framework).items()}
                for one in of_lesson(lesson)}


def with_seed(lesson, seed):
    """The lesson with other random numbers in its hidden checks: `seed` is added to every `default_rng(7)` of theirs."""
    def other(code):
        return re.sub(r"default_rng\((\d+)\)", lambda found: f"default_rng({int(found[1]) + seed})", code)

    cells = (replace(cell, source=other(cell.source)) if "hidden" in cell.tags else cell for cell in lesson.cells)
    return replace(lesson, cells=tuple(cells))


def tried(lesson, framework, seed=0):
    """`outcomes` in a process of its own, on the CPU; seed: see `with_seed`. TandemError, with what it said, if it fails."""
    found, = tried_each([lesson], framework, seed)
    if isinstance(found, TandemError):
        raise found
    return found


def tried_each(lessons, framework, seed=0):
    """The same for several lessons, a list of `outcomes` and TandemErrors: the process imports the framework once.

    Where the system can fork, each of several has a copy of that process to itself.
    """
    paths = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "MPLBACKEND": "agg", "PYTHONPATH": paths}
    command = [sys.executable, "-m", "tandem.tools.exercises", framework, str(seed), *(str(lesson.path) for lesson in lessons)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", env=environment)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    said += [done.stderr.strip()] * (len(lessons) - len(said))  # of those that it did not come to
    return [TandemError(f"{lesson.path.name}, {FRAMEWORK_NAMES[framework]}: exercises cannot be tried.\n{found}")
            if isinstance(found, str) else found for lesson, found in zip(lessons, said, strict=True)]


def _work(framework, seed, paths):
    """The process that `tried_each` starts: prints, for each lesson, a line of JSON, its `outcomes` or a traceback."""
    from tandem.tools import source  # which reads this module

    importlib.import_module(f"tandem.{framework}")
    for path in paths:
        lesson = with_seed(source.read(tandem.ROOT / path), seed)
        if len(paths) == 1 or not hasattr(os, "fork"):
            _print_outcomes(lesson, framework)
            continue
        copy = multiprocessing.get_context("fork").Process(target=_print_outcomes, args=(lesson, framework))
        copy.start()
        copy.join()
        if copy.exitcode:
            print(json.dumps(f"Python ended with status {copy.exitcode}."), flush=True)


def _print_outcomes(lesson, framework):
    try:
        found = outcomes(lesson, framework)
    except Exception:
        found = traceback.format_exc()
    print(json.dumps(found), flush=True)


def right_verdict(answer, outcome):
    """Whether the checks say what they should: yes to the solution, nothing yet to the blank, no to a mistake."""
    check, hidden = outcome["check"], outcome["hidden"]
    if answer == "solution":
        return check[0] is None and hidden[0] is None
    if answer == "blank":
        return check[0] == "NotImplementedError"
    return check[0] == "AssertionError" or check[0] is None and hidden[0] == "AssertionError"


def main(arguments):
    from tandem.tools import source  # which reads this module

    if arguments and arguments[0] in FRAMEWORKS:  # what `tried` starts
        framework, seed, *paths = arguments
        return _work(framework, int(seed), paths)
    failed = 0
    for lesson in map(source.find, arguments) if arguments else source.all_lessons():
        for framework in FRAMEWORKS if of_lesson(lesson) else ():
            for answers in tried(lesson, framework).values():
                for answer, outcome in answers.items():
                    good = right_verdict(answer, outcome)
                    failed += not good
                    mark = "" if good else "NOT SO: "
                    print(f"{mark}{lesson.name}, {FRAMEWORK_NAMES[framework]}, {answer} ({outcome['seconds']} s)")
                    print(*(f"    {role}: {outcome[role][1]}" for role in ("check", "hidden") if outcome[role]), sep="\n")
    return 1 if failed else 0


def _blocks(cells):
    """The cells in runs: what stands before the first exercise, each exercise, what stands after them."""
    blocks = [[]]
    for cell in cells:
        if {"exercise", "after-exercises"} & set(cell.tags):
            blocks.append([])
        blocks[-1].append(cell)
    return blocks if blocks[0] else blocks[1:]


def _shown(name, cells):
    found, folds = [], []
    for cell in cells:
        if "solution" in cell.tags:
            tags = tuple("starter" if tag == "solution" else tag for tag in cell.tags)
            found.append(replace(cell, source=starter(cell.source), tags=tags))
        elif "check" in cell.tags:
            found.append(replace(cell, source=f'with attempt("{name}"):\n{textwrap.indent(cell.source, "    ")}'))
        elif "hint" in cell.tags:
            folds.append((f"Hint {len(folds) + 1}", cell.source))
        elif not UNSEEN & set(cell.tags):
            found.append(cell)
    for cell in cells:
        if "solution" in cell.tags:
            folds.append(("A solution", f"```python\n{without_markers(cell.source)}\n```"))
            text = "\n\n".join(f"<details>\n<summary>{title}</summary>\n\n{inside}\n\n</details>" for title, inside in folds)
            found.append(replace(cell, kind="markdown", source=text))
    return found


def _check_roles(one, fail):
    head = one.cells[0]
    if head.framework:
        fail(head, "an exercise is shared: its text has no framework's tag.")
    for role in ("check", "hidden"):
        if len(one.of(role)) != 1:
            fail(head, f"exercise '{one.name}' has {len(one.of(role))} cells tagged '{role}'; it needs one, shared by the twins.")
        for cell in one.of(role):
            if cell.framework:
                fail(cell, f"a cell tagged '{role}' is shared; it sees arrays alone: see on_arrays in tandem.{cell.framework}.")
    for framework in FRAMEWORKS:
        solutions, wrong = one.of("solution", framework), one.of("wrong", framework)
        if len(solutions) != 1:
            fail(head, f"exercise '{one.name}' has {len(solutions)} solutions in {FRAMEWORK_NAMES[framework]}; it needs one.")
        if len(wrong) < WRONG_ANSWERS:
            fail(head, f"exercise '{one.name}' has {len(wrong)} wrong answers in {FRAMEWORK_NAMES[framework]}; "
                       f"write {WRONG_ANSWERS} or more that its checks have to refuse.")
        mistakes = [cell.options.get("mistake") for cell in wrong]
        for number, (cell, mistake) in enumerate(zip(wrong, mistakes, strict=True)):
            if not mistake or mistake in mistakes[:number] or mistake in ("solution", "blank"):
                fail(cell, 'a wrong answer says its mistake, each another one: mistake="adds up instead of averaging".')


def _check_markers(one, fail):
    for cell in one.of("solution"):
        lines = cell.source.splitlines()
        marks = [line.strip() for line in lines if line.strip() in (BEGIN, END)]
        if not marks or len(_REGION.findall(cell.source)) * 2 != len(marks):
            fail(cell, f"a solution stands between '{BEGIN}' and '{END}', both indented as it is, inside a function.")


def _check_checks(one, fail):
    for cell in one.of("check") + one.of("hidden"):
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            continue  # said elsewhere
        asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        if not asserts:
            fail(cell, "a check without 'assert' refuses nothing.")
        for node in asserts:
            if node.msg is None:
                fail(cell, 'an assert says what is wrong, so that it can be mended: assert right, "what is wrong".', node.lineno)
        if tree.body and isinstance(tree.body[-1], ast.Expr):
            fail(cell, "a check ends in a value, which a grader takes for points; end it with an assert.", tree.body[-1].lineno)
        for node in ast.walk(tree):
            named = ([alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                     if isinstance(node, (ast.Import, ast.ImportFrom)) else [getattr(node, "id", "")])
            for word in sorted({word for name in named for word in name.split(".")} & FRAMEWORK_WORDS):
                fail(cell, f"a check is the same for both frameworks and names neither; this one names '{word}'.", node.lineno)


def _check_names(exercises, cells, framework, fail, bound_names):
    """What a check or a solution takes from the lesson is there without the rest of it, and is the same after all of it."""
    if not exercises:
        return
    codes = [cell for cell in shown(cells, framework) if cell.kind == "code"]
    set_up = {}
    for cell in codes:
        if {"network", "classroom"} & set(cell.tags):
            set_up |= bound_names(cell.source)
    others = [(cell, bound_names(cell.source)) for cell in codes if not {"network", "classroom"} & set(cell.tags)]
    for one in exercises:
        parts = one.of("solution", framework) + one.of("check", framework) + one.of("hidden", framework)
        own = set().union(*(bound_names(cell.source) for cell in parts))
        taken = [(name, cell) for cell in parts for name in sorted(_read_names(cell.source))]
        for name, cell in taken:
            if name not in own and name not in set_up and not hasattr(builtins, name):
                fail(cell, f"reads '{name}', which no cell tagged 'network' or 'classroom' sets; tag the one that does.")
        if "attempt" not in set_up:
            fail(one.cells[0], "import attempt from tandem.exercises in a cell tagged 'classroom'.")
        used = {name for name, _ in taken} | {"attempt"}
        for cell, bound in others:
            for name in sorted(used & bound.keys() & set_up.keys()):
                if not bound[name] or bound[name] != set_up[name]:
                    fail(cell, f"sets '{name}' anew, which exercise '{one.name}' takes from the set-up; take another name.")


def symbol_table(code):
    """The symbols of a cell's code, the same in every version of Python: a comprehension's names are its own.

    From Python 3.12 on, comprehensions but not generators are inlined, and their names are told with those around them (PEP 709).
    """
    return symtable.symtable(ast.unparse(_Generators().visit(ast.parse(code))), "cell", "exec")


class _Generators(ast.NodeTransformer):
    """Turns each list, set and dictionary comprehension into a generator."""

    def visit_ListComp(self, node):
        return ast.GeneratorExp(self.visit(node.elt), [self.visit(part) for part in node.generators])

    visit_SetComp = visit_ListComp

    def visit_DictComp(self, node):
        return self.visit_ListComp(ast.ListComp(ast.Tuple([node.key, node.value], ast.Load()), node.generators))


@functools.cache
def _read_names(code):
    """The names that code takes from outside: those that it reads at top level, and the global ones of its functions."""
    found, tables = set(), [symbol_table(code)]
    while tables:
        table = tables.pop()
        found |= {symbol.get_name() for symbol in table.get_symbols()
                  if symbol.is_referenced() and (table.get_type() == "module" or symbol.is_global())}
        tables += table.get_children()
    return found


def _try(one, answer, code, names):
    start = time.perf_counter()
    (check,), (hidden,) = one.of("check"), one.of("hidden")
    outcome = {"check": _said(one.name, code + "\n\n" + check.source, names), "hidden": None}
    if outcome["check"][0] is None:
        outcome["hidden"] = _said(one.name, hidden.source, names)
    if answer == "blank":
        with contextlib.redirect_stdout(io.StringIO()) as printed, attempt(one.name):
            _run(check.source, "check", names)
        outcome["shown"] = printed.getvalue()
    return outcome | {"seconds": round(time.perf_counter() - start, 1)}


def _said(name, code, names):
    """[the type of the error that code raises, or None; what is said of it]."""
    try:
        _run(code, "answer and check", names)
    except Exception as error:
        return ["NotImplementedError" if unanswered(error) else type(error).__name__, verdict(name, error)]
    return [None, verdict(name)]


def _run(code, name, names):
    """Runs code as a notebook would: a traceback can show its lines."""
    linecache.cache[f"<{name}>"] = len(code), None, code.splitlines(keepends=True), f"<{name}>"
    exec(compile(code, f"<{name}>", "exec"), names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
