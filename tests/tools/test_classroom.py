"""A class: what students get, what becomes of what they hand in, and what the instructor reads."""
import copy
import csv
import shutil

import nbformat
import pytest

import tandem
from tandem import FRAMEWORKS
from tandem.tools import classroom, exercises, source
from tandem.tools.classroom import ClassroomError, assignment, collect, graft, to_look_at

LESSON = source.find("02")
EXERCISES = exercises.of_lesson(LESSON)
POINTS = {one.name: one.points for one in EXERCISES}
BLANK = {one.name: "blank" for one in EXERCISES}
ANSWER = "smoothing-answer"
ALONE = [lesson for lesson in source.all_lessons() if exercises.of_lesson(lesson)]


def cell_of(notebook, name):
    return next(cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == name)


def filled(notebook, framework, answers=None):
    """A student's notebook: {exercise: answer's name}, else the solution."""
    made = copy.deepcopy(notebook)
    for one in EXERCISES:
        cell_of(made, f"{one.name}-answer").source = one.answers(framework)[(answers or {}).get(one.name, "solution")]
    return made


def released(framework):
    """The students' copy as nbgrader makes it, for tests that need no nbgrader."""
    made = assignment(LESSON, framework)
    for cell in made.cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            cell.source = exercises.starter(cell.source)
        elif cell.source.startswith(classroom.UNSEEN_CHECK):
            cell.source = classroom.UNSEEN_CHECK
    return made


def without(*names):
    def change(notebook):
        notebook.cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") not in names]
    return change


def answer(code, before=False):
    def change(notebook):
        cell = cell_of(notebook, ANSWER)
        cell.source = f"{cell.source}\n\n{code}" if before else code
    return change


def copied(notebook):
    cell = cell_of(notebook, ANSWER)
    notebook.cells.insert(notebook.cells.index(cell), copy.deepcopy(cell))


def checks_that_pass(notebook):
    for one in EXERCISES:
        for role in ("check", "hidden"):
            cell_of(notebook, f"{one.name}-{role}").source = "pass"


def no_metadata(notebook):
    for cell in notebook.cells:
        cell.metadata.pop("nbgrader", None)


FORGED = answer("np.isclose = np.allclose = np.mean = lambda *given, **options: True", before=True)
WRONG = {"smoothing": "adds up instead of averaging", "dropout": "drops the pixels"}
REST = sum(POINTS.values()) - POINTS["smoothing"]
# student: (answers, what is done to the notebook, points, words of the remark or None)
CLASS = {
    "right": ({}, None, REST + POINTS["smoothing"], None),
    "blank": (BLANK, None, 0, None),
    "wrong": (WRONG, None, POINTS["blank-page"], None),
    "slow": ({}, answer("def smoothed_loss(logits, labels, smoothing):\n    while True:\n        pass"), REST, None),
    "killer": ({}, answer("import os\nos.kill(os.getpid(), 9)", before=True), REST, "ends the Python process"),
    "deleted": ({}, without("smoothing-hidden", "dropout-check"), REST + POINTS["smoothing"], None),
    "no-answer": ({}, without(ANSWER), REST, "no answer cell"),
    "copied": ({}, copied, REST + POINTS["smoothing"], "more than one answer cell"),
    "checks-gone": (BLANK, checks_that_pass, 0, None),
    "forged": ({}, FORGED, None, "assigns to np.isclose"),
    "no-python": ({}, answer("def smoothed_loss(logits, labels, smoothing)\n    return 0"), REST, "is not Python"),
    "asks": ({}, answer("name = input('your name? ')", before=True), None, None),
    "warns": ({}, answer("import warnings\nwarnings.warn('look out')", before=True), REST + POINTS["smoothing"], None),
    "no-metadata": ({}, no_metadata, REST + POINTS["smoothing"], None),
}
HALF = ("right", "blank", "killer", "forged")  # in the other framework: the rest is the same code


@pytest.mark.parametrize("framework, students", [("pytorch", tuple(CLASS)), ("tensorflow", HALF)], ids=FRAMEWORKS)
def test_a_class_is_graded(tmp_path, framework, students):
    course, handed_in = tmp_path / "classroom", tmp_path / "handed in"
    classroom.teach(LESSON, course, report=lambda _: None)
    name = LESSON.notebook_name(framework)
    given = nbformat.read(course / "release" / name.removesuffix(".ipynb") / name, as_version=4)
    text = "\n".join(cell.source for cell in given.cells)
    assert "SOLUTION" not in text and "HIDDEN" not in text
    for one in EXERCISES:
        assert cell_of(given, f"{one.name}-answer").source == exercises.starter(one.of("solution", framework)[0].source)
        assert one.of("hidden")[0].source not in text
    for student in students:
        answers, change, _, _ = CLASS[student]
        made = filled(given, framework, answers)
        if change:
            change(made)
        (handed_in / student).mkdir(parents=True)
        nbformat.write(made, handed_in / student / name)
    found = {one.student: one for one in classroom.grade(LESSON, handed_in, course, seconds=20, report=lambda _: None)}
    wanted = {student: CLASS[student][2] for student in students if CLASS[student][2] is not None}
    assert {student: sum(found[student].scores.values()) for student in wanted} == wanted
    for student in students:
        words = CLASS[student][3]
        assert words in "; ".join(found[student].odd) if words else not found[student].odd, student
    rows = list(csv.DictReader(open(course / "grades_02.csv", encoding="utf-8-sig")))
    assert {row["student"]: float(row["points"]) for row in rows if row["student"] in wanted} == wanted
    assert next(row for row in rows if row["student"] == "blank")["smoothing: what the check said"] == "not answered"
    assert all((course / "feedback" / student).is_dir() for student in students)


@pytest.mark.parametrize("lesson", ALONE, ids=lambda lesson: lesson.name)
def test_every_lesson_makes_an_assignment(lesson):
    for framework in lesson.frameworks:
        made = assignment(lesson, framework)
        nbformat.validate(made)
        points = sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in made.cells)
        assert points == sum(one.points for one in exercises.of_lesson(lesson))


def test_helpers_come_along_and_answers_are_found_without_their_names():
    notebook = filled(released("pytorch"), "pytorch")
    no_metadata(notebook)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    place = next(number for number, cell in enumerate(notebook.cells) if "def smoothed_loss" in cell.source)
    notebook.cells.insert(place, nbformat.v4.new_code_cell("def helper():\n    return 1"))
    made, odd = graft(released("pytorch"), notebook)
    whole = cell_of(made, ANSWER).source
    assert whole.index("def helper") < whole.index("def smoothed_loss") and not odd


def test_a_student_s_checks_are_not_kept():
    notebook = filled(released("pytorch"), "pytorch")
    checks_that_pass(notebook)
    made, _ = graft(released("pytorch"), notebook)
    assert cell_of(made, "smoothing-check").source == cell_of(released("pytorch"), "smoothing-check").source


@pytest.mark.parametrize("code, words", [
    ("np.allclose = print", "assigns to np.allclose"), ("def on(:", "is not Python"), ("import os", "imports os"),
    ("from torch import nn", "imports from torch"), ("x = 1", None)])
def test_what_a_person_should_look_at(code, words):
    found = to_look_at(code)
    assert any(words in one for one in found) if words else not found


def test_submissions_are_known_by_their_names(tmp_path):
    for place in ("ada/02_training_pytorch.ipynb", "ben_02_training_tensorflow.ipynb", "Cy Ó_99_02_training_pytorch.ipynb",
                  "ada/11_dcgan_pytorch.ipynb", "ben/.ipynb_checkpoints/02_training_pytorch-checkpoint.ipynb"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("{}", encoding="utf-8")
    found, left_out = collect(LESSON, tmp_path)
    assert [(one.student, one.framework) for one in found] == [
        ("Cy_Ó_99", "pytorch"), ("ada", "pytorch"), ("ben", "tensorflow")]
    assert [path.name for path, _ in left_out] == ["11_dcgan_pytorch.ipynb"]


def test_other_numbers_for_the_hidden_checks():
    with_seed = exercises.with_seed(LESSON, 7)
    changed = [(old.source, new.source) for old, new in zip(LESSON.cells, with_seed.cells, strict=True) if old != new]
    assert changed and all("default_rng" in old for old, _ in changed)


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(ClassroomError, match="make teach LESSON=02 comes first"):
        classroom.grade(LESSON, tmp_path, tmp_path / "none")
    with pytest.raises(ClassroomError, match="is not a folder"):
        collect(LESSON, tmp_path / "none")
    with pytest.raises(ClassroomError, match="has no exercises"):
        classroom.teach(source.find("00"), tmp_path)


def test_learners_have_no_nbgrader():
    assert "nbgrader" not in (tandem.ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert shutil.which("nbgrader", path=tandem.ROOT / ".venv" / "bin") is None
