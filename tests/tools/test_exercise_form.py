"""A small lesson with two exercises: what is refused, what a notebook shows, what the checks say in both frameworks."""
import pathlib
import re

import pytest

from tandem import FRAMEWORKS
from tandem.tools import exercises, notebook, source

LESSON = pathlib.Path(__file__).with_name("exercise_lesson.py")
TEXT = LESSON.read_text(encoding="utf-8")
FIRST = '# %% [markdown] tags=["exercise"] exercise="mean-square" points=3\n'
SECOND = '# %% [markdown] tags=["exercise"] exercise="own-layer" points=2\n'
PROSE = "# %% [markdown]\n# The check takes four numbers: their squares are 1, 4, 9 and 16.\n\n"
HIDDEN = '# %% tags=["hidden"]\n'
SOLUTION = '# %% tags=["pytorch", "solution"]\n'
WRONG = '# %% tags=["pytorch", "wrong"] mistake="adds up"\n'
# (what stands in the small lesson, what breaks a rule there, words of the message, the line that it names: else the changed one)
BROKEN = [
    (FIRST, FIRST.replace(" points=3", ""), "needs points=2 or more"),
    (FIRST, FIRST.replace("points=3", "points=1"), "needs points=2 or more"),
    (FIRST, FIRST.replace("mean-square", "Mean square"), "needs a name of small letters"),
    (SECOND, SECOND.replace("own-layer", "mean-square"), "a second exercise 'mean-square'"),
    (' tags=["after-exercises"]', "", "'own-layer' does not end", SECOND),
    ('# %% [markdown] tags=["hint"]\n', '# %% tags=["hint"]\n', "belongs on a markdown cell"),
    (PROSE, PROSE.replace("]", '] tags=["check"]', 1), "belongs on a code cell"),
    ('# %% tags=["pytorch", "classroom"]\n', '# %% tags=["pytorch", "check"]\n', "'check' outside an exercise"),
    (HIDDEN, "# %% [markdown]\n", "has 0 cells tagged 'hidden'", FIRST),
    (HIDDEN, '# %% tags=["hidden", "pytorch"]\n', "tagged 'hidden' is shared"),
    ('["tensorflow", "solution"]', '["tensorflow", "wrong"]', "has 0 solutions in TensorFlow", FIRST),
    (WRONG, WRONG.replace("wrong", "classroom"), "has 1 wrong answers in PyTorch", FIRST),
    ('mistake="has no gradient"', 'mistake="adds up"', "each another one", WRONG + "def mean_square(x):\n    return torch"),
    (WRONG, WRONG.replace(' mistake="adds up"', ""), "says its mistake"),
    ("    ### BEGIN SOLUTION\n", "", "a solution stands between", SOLUTION),
    ("    ### END SOLUTION\n", "### END SOLUTION\n", "a solution stands between", SOLUTION),
    ("numbers = np.array", "numbers = torch.tensor", "names neither; this one names 'torch'"),
    ("assert np.allclose(slope", "print(slope", "without 'assert' refuses nothing", HIDDEN),
    (', f"one number is wanted, not {given.shape}"', "", "an assert says what is wrong", "assert given.shape == ()\n"),
    ('not {given}"\n', 'not {given}"\ngiven.shape\n', "ends in a value", "given.shape\n"),
    ("numbers = np.array", "drawn = np.array", "reads 'numbers', which no cell tagged", '# %% tags=["check"]\n'),
    (PROSE, f"# %%\nweights = 3\n\n{PROSE}", "sets 'weights' anew, which exercise 'own-layer' takes from the set-up"),
    ("import attempt, difference", "import difference", "import attempt from tandem.exercises", FIRST),
    ("rng = np.random", f"{'#' * 76}\nrng = np.random", "76 columns of code; half a screen holds 75"),
    (PROSE, "", "a code cell follows a code cell", '# %% tags=["check"]\n'),
]


def test_the_small_lesson_breaks_no_rule():
    assert source.problems(LESSON) == []


@pytest.mark.parametrize("old, new, words, line", [(*one, one[1])[:4] for one in BROKEN], ids=[one[2] for one in BROKEN])
def test_a_broken_rule_is_named_with_its_line(tmp_path, old, new, words, line):
    path = tmp_path / LESSON.name
    text = TEXT.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    number = text[: text.index(line)].count("\n") + 1
    found = source.problems(path)
    said = [problem for problem in found if f":{number}: " in problem and words in problem]
    assert said, f"line {number}: {words}, is not among {found}"


def test_a_starter_keeps_what_stands_outside_the_markers():
    answers = exercises.of_lesson(source.read(LESSON))[1].answers("tensorflow")
    assert answers["blank"] == answers["solution"].replace("return x @ self.kernel + self.bias", exercises.STUB)
    assert "### " not in answers["blank"] + answers["solution"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_notebook_shows_starter_and_check_and_hides_the_rest(framework):
    lesson = source.read(LESSON)
    cells = notebook.assemble(lesson, framework, {}).cells
    code, text = ("\n\n".join(cell.source for cell in cells if cell.cell_type == kind) for kind in ("code", "markdown"))
    assert "### " not in code and code.count("    raise NotImplementedError") == 2
    assert 'with attempt("mean-square"):\n    numbers = np.array' in code
    for one in exercises.of_lesson(lesson):
        for cell in one.of("hidden") + one.of("wrong"):
            assert cell.source not in code + text
        solution = one.answers(framework)["solution"]
        assert solution not in code and f"<summary>A solution</summary>\n\n```python\n{solution}\n```\n\n</details>" in text
    folds = next(cell.source for cell in cells if "<details>" in cell.source)
    assert re.findall("<summary>(.*)</summary>", folds) == ["Hint 1", "Hint 2", "A solution"]
    assert ("`tf.reduce_mean`" in folds, "a method `mean`" in folds) == (framework == "tensorflow", framework == "pytorch")


def test_a_changed_solution_changes_no_cell_but_the_one_that_shows_it(tmp_path):
    path = tmp_path / LESSON.name
    path.write_text(TEXT.replace("return (x**2).mean()", "return x.pow(2).mean()"), encoding="utf-8")
    before, after = (notebook.assemble(source.read(one), "pytorch", {}).cells for one in (LESSON, path))
    changed = [new.source for old, new in zip(before, after, strict=True) if old.id != new.id]
    assert len(changed) == 1 and "x.pow(2).mean()" in changed[0] and "<details>" in changed[0]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_checks_tell_right_from_wrong(framework):
    found = exercises.tried(source.read(LESSON), framework)
    assert {exercise: set(answers) for exercise, answers in found.items()} == {
        "mean-square": {"solution", "blank", "adds up", "has no gradient"},
        "own-layer": {"solution", "blank", "leaves the bias out", "stops the gradient"},
    }
    for exercise, answers in found.items():
        for answer, outcome in answers.items():
            assert exercises.right_verdict(answer, outcome), f"{exercise}, {answer}: {outcome}"
        assert answers["blank"]["shown"] == f"Exercise '{exercise}': not answered yet.\n"
    assert found["mean-square"]["adds up"]["check"][1].endswith("not yet: of 1, 4, 9, 16 it is 7.5, not 30.0")
    assert "no gradient comes back" in found["mean-square"]["has no gradient"]["hidden"][1]
    assert "no gradient reaches hidden/kernel" in found["own-layer"]["stops the gradient"]["check"][1]


@pytest.mark.parametrize("answer, outcome, right", [
    ("solution", {"check": [None, ""], "hidden": ["AssertionError", ""]}, False),
    ("solution", {"check": ["AssertionError", ""], "hidden": None}, False),
    ("blank", {"check": ["AssertionError", ""], "hidden": None}, False),
    ("adds up", {"check": [None, ""], "hidden": [None, ""]}, False),
    ("adds up", {"check": ["TypeError", ""], "hidden": None}, False),
    ("adds up", {"check": [None, ""], "hidden": ["AssertionError", ""]}, True),
])
def test_a_check_that_says_the_wrong_thing_is_found(answer, outcome, right):
    assert exercises.right_verdict(answer, outcome) is right
