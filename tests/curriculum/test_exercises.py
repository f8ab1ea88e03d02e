"""Every exercise, in both frameworks: its solution passes both checks, each listed mistake is refused, a blank is no answer."""
import functools

import pytest

from tandem import FRAMEWORKS
from tandem.tools import exercises, source

LESSONS = {lesson.name[:2]: lesson for lesson in source.all_lessons() if exercises.of_lesson(lesson)}
SIDES = [(number, framework) for number in LESSONS for framework in FRAMEWORKS]
ANSWERS = [(number, framework, one.name, answer) for number, framework in SIDES
           for one in exercises.of_lesson(LESSONS[number]) for answer in one.answers(framework)]


@functools.cache
def outcomes(number, framework):
    """What the checks say to every answer; tests/conftest.py gives all tests of the two to one worker, which tries them once."""
    return exercises.tried(LESSONS[number], framework)


@pytest.mark.parametrize("number, framework, exercise, answer", ANSWERS, ids=["-".join(case) for case in ANSWERS])
def test_the_checks_tell_right_from_wrong(number, framework, exercise, answer):
    outcome = outcomes(number, framework)[exercise][answer]
    said = [outcome[role] and outcome[role][1] for role in ("check", "hidden")]
    assert exercises.right_verdict(answer, outcome), f"python -m tandem.tools.exercises {number} shows: {said}"


@pytest.mark.parametrize("number, framework", SIDES, ids=["-".join(case) for case in SIDES])
def test_an_open_exercise_prints_one_line_and_lets_the_notebook_go_on(number, framework):
    for exercise, answers in outcomes(number, framework).items():
        assert answers["blank"]["shown"] == f"Exercise '{exercise}': not answered yet.\n"


@pytest.mark.parametrize("number, framework", SIDES, ids=["-".join(case) for case in SIDES])
def test_a_hidden_check_refuses_what_the_shown_one_lets_through(number, framework):
    found = [answer for answers in outcomes(number, framework).values() for answer, outcome in answers.items()
             if answer not in ("solution", "blank") and outcome["check"][0] is None]
    assert found, f"lesson {number}: no mistake needs a hidden check; add one that passes the check which a learner sees"


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_has_three_exercises_or_more(number):
    assert len(exercises.of_lesson(LESSONS[number])) >= 3
