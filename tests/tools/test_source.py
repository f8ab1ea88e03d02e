"""A mistake in a lesson's source is answered with file, line and what is wrong.

Each file in broken_lessons/ breaks one rule and says near its top which answer it expects: "expects LINE: WORDS".
"""
import pathlib
import re

import pytest

from tandem.tools import source

BROKEN = sorted((pathlib.Path(__file__).parent / "broken_lessons").glob("*.py"))
GOOD = """\
# ---
# minutes: {read: 1, run: 1, exercises: 0}
# ---

# %% [markdown]
# # 50 · A test lesson
#
# It promises
# something.
#
# *You need* nothing.

# %% tags=["parameters", "network"]
epochs = 1  # 1 to 100: passes over the data

# %% [markdown]
# The door.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("50_good", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Why.

# %% tags=["pytorch", "network"]
import itertools

framework = "PyTorch"

# %% tags=["tensorflow", "network"]
import itertools

framework = "TensorFlow"
"""
# What looks like a broken rule, and is none.
ALLOWED = {
    "a name set before it is read": "total = 0\nfor step in range(3):\n    total += step",
    "a name that a function reads": "def rate(step):\n    return step * scale\n\n\nscale = 2",
    "a name of a comprehension": "step = sum(step for step in range(3))",
    "a network's name inside a comprehension": "doubled = [2 * framework for framework in range(3)]",
    "a name of another branch": "if epochs:\n    half = epochs / 2\nelse:\n    half = 0\nprint(half)",
    "a set that gains the same once more": "names |= {1}",
    "an object that changes": "losses.append(1)\nseen[0] = seen[0] + 1",
    "an import repeated": "import itertools\n\nprint(itertools)",
    "a magic of IPython": "%time steps = 3",
}


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "50_good.py"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_a_good_source_is_split_into_both_notebooks(good):
    lesson = source.read(good)
    assert lesson.title == "50 · A test lesson" and lesson.promise == "It promises something."
    assert [(row.name, row.default, row.range) for row in lesson.parameters()] == [("epochs", 1, "1 to 100")]
    assert lesson.frameworks == ("pytorch", "tensorflow")
    for framework, name in (("pytorch", "PyTorch"), ("tensorflow", "TensorFlow")):
        assert lesson.cells_of(framework)[-1].source.endswith(f'framework = "{name}"')


def test_the_header_gives_a_lessons_numbers_and_defaults_for_those_it_leaves_out(good):
    header = source.read(good).header
    assert header.minutes == {"read": 1, "run": 1, "exercises": 0}
    assert (header.seconds, header.memory_mb, header.needs, header.proof) == (90, 1300, (), "training")


def test_a_source_without_framework_cells_makes_one_notebook(good):
    good.write_text(GOOD[: GOOD.index("# %% tags")], encoding="utf-8")
    assert source.read(good).frameworks == (None,)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_rule_is_named_with_its_line(path):
    line, words = re.search(r"expects (\d+): (.+)", path.read_text(encoding="utf-8")).groups()
    problem, = source.problems(path)
    where, said = problem.split(": ", 1)
    assert where.endswith(f"{path.name}:{line}") and words in said
    with pytest.raises(source.SourceError, match=re.escape(words)):
        source.read(path)


@pytest.mark.parametrize("code", ALLOWED.values(), ids=ALLOWED)
def test_what_only_looks_like_a_broken_rule_passes(good, code):
    good.write_text(f"{GOOD}\n# %% [markdown]\n# Then.\n\n# %%\n{code}\n", encoding="utf-8")
    assert source.problems(good) == []


def test_every_broken_rule_is_told_at_once_and_once(good):
    twice = "# %% [markdown]\n# Then.\n\n# %%\nframework = None\n"
    good.write_text(f"{GOOD}\n{twice}\n{twice.replace('None', '= 1')}", encoding="utf-8")
    assert [problem.split(": ")[1][:20] for problem in source.problems(good)] == ["sets 'framework' ane", "the code does not pa"]


def test_an_unknown_lesson_is_answered_with_those_there_are():
    with pytest.raises(source.UnknownLesson, match="no lesson 77.*02_training"):
        source.find("77")


def test_no_lesson_takes_a_gpu_that_pytorch_was_built_for_but_that_is_not_there():
    """On Linux the package index's PyTorch is built for CUDA; without `check_available` it names a GPU on every laptop."""
    for lesson in source.all_lessons():
        assert "current_accelerator()" not in lesson.path.read_text(encoding="utf-8"), (
            f"{lesson.name}: write torch.accelerator.current_accelerator(check_available=True)")
