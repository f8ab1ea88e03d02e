"""A lesson's parameters: one table, its parameters cell, whose comments give each one's range; and the check at the door.

    epochs = 25  # 1 to 200: passes over the training images
    learning_rate = 1e-3  # above 0 to 1: Adam's default in both
    batch_size = 64  # 1 to train_size: a bound may name another parameter
    heads = 4  # 1 to 16, divides width: a whole number divides another parameter

A parameter whose default is a whole number takes whole numbers. What is said after the colon may also stand in comment lines
above the parameter.
"""
import ast
import difflib
import math
import re
from dataclasses import dataclass

import tandem

_RANGE = re.compile(r"(?P<above>above )?(?P<low>\S+) to (?P<below>below )?(?P<high>[^,:]+?)(, divides (?P<divides>\w+))?$")


class WrongParameter(tandem.TandemError):
    """A parameter that the lesson does not have, or a value outside its range; the message says what it takes."""


@dataclass(frozen=True)
class Parameter:
    """One row of the table. `range`: its words, such as "1 to train_size"; `meaning`: one line on what it is for."""

    name: str
    default: object
    range: str
    meaning: str

    def problem(self, value, values):
        """What is wrong with `value` beside the `values` of all parameters, as a sentence; None if nothing is."""
        whole = isinstance(self.default, int)
        kind = "a whole number" if whole else "a number"
        wrong_kind = isinstance(value, bool) or not isinstance(value, int if whole else (int, float))
        if wrong_kind or isinstance(value, float) and not math.isfinite(value):
            return f"{self.name} is {value!r}; take {kind}, {self.range} ({self.meaning})."
        parts = _RANGE.match(self.range)
        low, high = (_bound(parts[end], values) for end in ("low", "high"))
        inside = (low < value if parts["above"] else low <= value) and (value < high if parts["below"] else value <= high)
        if inside and not (parts["divides"] and values[parts["divides"]] % value):
            return None
        known = {name: values[name] for name in self.others(values)}
        here = f"; here {', '.join(f'{name} is {known[name]!r}' for name in known)}" if known else ""
        return f"{self.name} is {value!r}; take {kind}, {self.range} ({self.meaning}{here})."


    def others(self, names):
        """Those of `names` that its range speaks of, such as ["train_size"]."""
        return [name for name in re.findall(r"[a-z_]\w*", self.range) if name in names]


def table_of(source):
    """The `Parameter`s of a parameters cell, in its order. Raises ValueError, "line: what is wrong", for a line without a
    range."""
    lines = source.splitlines()
    found = []
    for statement in ast.parse(source).body:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            raise ValueError(f"{statement.lineno}: a parameters cell holds nothing but name = value.")
        name, line = statement.targets[0].id, lines[statement.lineno - 1]
        comment = line[statement.end_col_offset :].strip().removeprefix("#").strip()
        words, _, meaning = comment.partition(":")
        if not _RANGE.match(words):
            raise ValueError(
                f"{statement.lineno}: say the range of '{name}' behind it, for example '# 1 to 200: what it is for'."
            )
        above = []
        for earlier in reversed(lines[: statement.lineno - 1]):
            if not earlier.startswith("#"):
                break
            above.insert(0, earlier.removeprefix("#").strip())
        meaning = meaning.strip() or " ".join(above)
        if not meaning:
            raise ValueError(f"{statement.lineno}: say in a few words what '{name}' is for.")
        found.append(Parameter(name, ast.literal_eval(statement.value), words, meaning))
    return found


def of_lesson(lesson):
    """The table of a lesson by its name, "02_training", read from lessons/."""
    path = tandem.ROOT / "lessons" / f"{lesson}.py"
    text = path.read_text(encoding="utf-8")
    cells = re.findall(r'^# %% tags=\[[^\]]*"parameters"[^\]]*\]\n(.*?)(?=^# %%|\Z)', text, re.MULTILINE | re.DOTALL)
    return [parameter for cell in cells for parameter in table_of(cell)]


def check(lesson, table, values):
    """Raises WrongParameter unless each of `values`, {name: value}, is in `table` and in its range, beside the defaults."""
    known = {parameter.name: parameter for parameter in table}
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            has = f"It has: {', '.join(known)}." if known else "It has none."
            raise WrongParameter(f"Lesson {lesson} has no parameter '{name}'.{hint} {has}")
    together = {parameter.name: parameter.default for parameter in table} | values
    for parameter in sorted(table, key=lambda one: len(one.others(known))):  # a bound is asked for once it is known to be good
        if problem := parameter.problem(together[parameter.name], together):
            raise WrongParameter(f"Lesson {lesson}: {problem}")


def check_parameters(lesson, names, altered=False):
    """The door of a notebook: checks its parameters and returns {name: value}, with `as_shipped` added.

    names: the notebook's `globals()`. as_shipped: whether every value is the lesson's own; only then are bounds asserted, and
    the run is held against an unaltered twin. A learner who changes code says `altered`. Raises WrongParameter.
    """
    table = of_lesson(lesson)
    if missing := [parameter.name for parameter in table if parameter.name not in names]:
        raise WrongParameter(f"Lesson {lesson}: {', '.join(missing)} not set; run the parameters cell above first.")
    values = {parameter.name: names[parameter.name] for parameter in table}
    check(lesson, table, values)
    as_shipped = not altered and all(values[parameter.name] == parameter.default for parameter in table)
    return values | {"as_shipped": as_shipped}


def _bound(words, values):
    """A bound as a number: a literal, or arithmetic with the names of other parameters (it stands in our own source)."""
    return eval(words.replace(",", ""), {"__builtins__": {}}, values)
