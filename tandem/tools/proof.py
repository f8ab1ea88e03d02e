"""The twin proof: are two networks, one in PyTorch and one in Keras, the same network?

    python -m tandem proof             every lesson whose proof may have changed; --all: every lesson
    python -m tandem proof 02 11       these lessons
    python -m tandem proof my_pair.py  a pair of your own: docs/porting.md

Both sides run in float64, each in a process of its own (`tandem.tools.twin`), from the same weights on the same batches, for
25 steps with one seed, and for 100 with another that has other constants. Compared are the losses, the gradients of the first
step, the weights at the end, the answers in evaluation mode, the rules of dropout layers and the rates of a schedule. When
twins part, `tandem.tools.diagnosis` says where first, and what usually causes it.
"""
import contextlib
import hashlib
import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

import tandem
from tandem import FRAMEWORKS
from tandem.tools import diagnosis, source, twin
from tandem.tools.twin import RUNS, ProofError

LIMITS = {
    "losses": 1e-10, "gradients": 1e-11, "weights": 1e-9, "evaluation": 1e-9,
    "dropout": 0.0,
    # Keras' schedules count in float32, which keeps 24 bits (6e-8), and a few operations follow one another. The end of a
    # cosine is a small difference of large numbers, so rates are compared relative to the largest one.
    "rates": 1e-6,
}


@dataclass(frozen=True)
class Difference:
    """How far two twins part, the largest over all seeds; None where neither has such a thing.

    losses: |a - b| / max(|a|, |b|), over all steps, and of the first step taken eagerly. gradients: of the first step, relative
    to the player's largest entry; infinite where only one twin has a gradient. weights: after the last step, moving statistics
    of batch normalisation included, absolute. evaluation: the trained networks' answers for the last batch, relative to the
    largest entry. dropout: rates, and what is hidden together, absolute. rates: of the schedule, relative to the largest rate.
    """

    losses: float
    gradients: float
    weights: float
    evaluation: float | None = None
    dropout: float | None = None
    rates: float | None = None

    def __str__(self):
        words = {"losses": "losses", "gradients": "first gradients", "weights": "final weights", "evaluation": "evaluation",
                 "dropout": "dropout", "rates": "schedule"}
        found = {name: getattr(self, name) for name in words}
        return " · ".join(f"{words[name]} {value:.0e}" for name, value in found.items() if value is not None)

    def beyond(self, limits=LIMITS):
        """The names of the figures that are over their `limits` (or not numbers)."""
        found = {name: getattr(self, name) for name in limits}
        return [name for name, limit in limits.items() if found[name] is not None and not found[name] <= limit]


def lessons_to_prove():
    """The lessons whose header says `proof: training`."""
    return [lesson for lesson in source.all_lessons() if lesson.header.proof == "training"]


def prove(lesson, runs=RUNS):
    """Runs both twins of a lesson or pair and returns their `Difference` and what `diagnosis.explain` says of it: [] if they are
    the same network. Raises ProofError."""
    return compare(*run_both([lesson], runs)[0])


def run_both(lessons, runs=RUNS):
    """Runs both twins of each lesson, the frameworks at the same time, each in one process that imports it once.

    Returns a (PyTorch's, TensorFlow's) for each lesson: what `twin.run_variants` has of it, a result or a ProofError.
    """
    with ThreadPoolExecutor() as pool:
        return list(zip(*pool.map(lambda framework: twin.run_variants(lessons, framework, runs), FRAMEWORKS), strict=True))


def compare(*sides):
    """What `prove` returns of two results; raises the ProofError that one of them is."""
    for side in sides:
        if isinstance(side, ProofError):
            raise side
    apart = difference(*sides)
    return apart, diagnosis.explain(*sides, apart.beyond()) if apart.beyond() else []


def difference(first, second):
    """The `Difference` of PyTorch's and TensorFlow's result of `twin.run_twin`. Raises ProofError where they cannot be
    compared."""
    largest = {"losses": 0.0, "gradients": 0.0, "weights": 0.0}
    for key in sorted(first.keys() | second.keys()):
        what, player, seed, *_ = key.split("/")
        name = "losses" if what == "eager" else what
        if name not in LIMITS:
            continue
        if key not in first or key not in second:
            apart = _alone(key, first, second)
        else:
            a, b = first[key], second[key]
            if what == "evaluation" and a.ndim == 4 and a.shape != b.shape:
                a = np.moveaxis(a, 1, -1)  # maps: PyTorch's have their channels first
            if a.shape != b.shape:
                raise ProofError(f"{what} of {_owner(key, first, second)}: shape {a.shape} in PyTorch, {b.shape} in TensorFlow.")
            apart = _apart(what, f"{what}/{player}/{seed}", a, b, first)
        largest[name] = max(largest.get(name, 0.0), apart if np.isfinite(apart) else np.inf)
    return Difference(**{name: float(value) for name, value in largest.items()})


def _apart(what, prefix, a, b, first):
    if not a.size:
        return 0.0
    scale = 1.0
    if what in ("losses", "eager"):
        scale = np.maximum(np.maximum(np.abs(a), np.abs(b)), np.finfo(float).tiny)
    elif what == "rates":
        scale = np.abs(a).max()
    elif what in ("gradients", "evaluation"):
        scale = max(np.abs(values).max() for name, values in first.items() if f"{name}/".startswith(f"{prefix}/") and values.size)
    return np.max(np.abs(a - b) / (scale if np.all(scale) else 1.0))


def _alone(key, first, second):
    """What it means that only one twin has `key`: an infinite difference, or nothing that could be compared."""
    what, player, *_ = key.split("/")
    has, lacks = ("PyTorch", "TensorFlow") if key in first else ("TensorFlow", "PyTorch")
    if what in ("gradients", "dropout"):
        return np.inf
    if what == "weights":
        raise ProofError(f"The twins do not hold the same weights: {lacks}'s has no {_owner(key, first, second)}, {has}'s has.")
    missing = {"rates": "learning_rates()", "evaluation": f"evaluate of '{player}'"}.get(what, f"{what} of '{player}'")
    raise ProofError(f"{has}'s side has {missing}, {lacks}'s has not; both sides define it, or neither.")


def _owner(key, first, second):
    _, player, seed, *rest = key.split("/")
    if len(rest) < 2:
        return f"'{player}'"
    layers = (first if key in first else second)[f"layers/{player}/{seed}"]
    return f"{rest[1]} of layer '{layers[int(rest[0])]}' of '{player}'"


# What passed once need not run again

def unchanged(lesson):
    """Whether the lesson's proof passed in this checkout with these network cells, this engine and these packages."""
    with contextlib.suppress(OSError):
        return _stamp(lesson).read_text(encoding="utf-8") == _fingerprint(lesson)
    return False


def remember(lesson, passed):
    """Notes how the lesson's proof ended."""
    with contextlib.suppress(OSError):  # a checkout that cannot be written to proves anew each time
        _stamp(lesson).parent.mkdir(parents=True, exist_ok=True)
        _stamp(lesson).write_text(_fingerprint(lesson) if passed else "", encoding="utf-8")


_IMPORTED = ("__init__", "data", "weights", "pytorch", "tensorflow")  # what network cells compute with


def _stamp(lesson):
    return tandem.ROOT / ".tandem" / "proofs" / lesson.name


def _fingerprint(lesson):
    library = tandem.ROOT / "tandem"
    files = [tandem.ROOT / "requirements.txt", tandem.ROOT / "constraints.txt", library / "tools" / "proof.py",
             *sorted(library.glob("tools/twin*.py")), *(library / f"{name}.py" for name in _IMPORTED)]
    digest = hashlib.sha256(repr((sys.version_info, sys.platform)).encode())
    for cell in lesson.cells:
        if "network" in cell.tags:
            digest.update(repr((cell.tags, cell.source)).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


# The command

def main(names=(), everything=False):
    """`python -m tandem proof`: proves what `names` name, numbers of lessons or files of pairs; returns 1 if anything is not
    proved."""
    asked = [chosen(name) for name in names]
    broken = 0
    for lesson in asked or lessons_to_prove():
        if not asked and not everything and unchanged(lesson):
            print(f"{lesson.name}: unchanged since it passed: skipped (--all runs it)")
            continue
        try:
            apart, causes = prove(lesson)
        except ProofError as error:
            print(f"{lesson.name}: {error}", flush=True)
            broken += 1
            continue
        print(verdict(lesson, apart, causes), flush=True)
        broken += bool(causes)
        if _is_lesson(lesson.path):
            remember(lesson, passed=not causes)
    return 1 if broken else 0


def chosen(name):
    """The lesson of a number or name, or the pair in a file."""
    if not name.endswith(".py"):
        return source.find(name)
    path = pathlib.Path.cwd() / name
    return source.read(path) if _is_lesson(path) else twin.read_pair(path)


def _is_lesson(path):
    return path.parent.resolve() == (tandem.ROOT / "lessons").resolve()


def verdict(lesson, apart, causes):
    """What is printed of a proof: a line, and if the twins part a few more."""
    over = apart.beyond()
    end = f"over the limit: {', '.join(over)}" if over else "the same network"
    return "\n".join([f"{lesson.name}: {apart} · {end}", *causes])
