"""Every exercise, in both frameworks: its solution passes both checks, each listed mistake is refused, a blank is no answer."""
import functools

import pytest

from tandem import FRAMEWORKS, TandemError
from tandem.tools import exercises, source

LESSONS = {lesson.name[:2]: lesson for lesson in source.all_lessons() if exercises.of_lesson(lesson)}
SIDES = [(number, framework) for number in LESSONS for framework in FRAMEWORKS]
ANSWERS = [(number, framework, one.name, answer) for number, framework in SIDES
           for one in exercises.of_lesson(LESSONS[number]) for answer in one.answers(framework)]


@pytest.fixture(scope="module")
def outcomes(request):
    """outcomes(number, framework): what the checks say to every answer.

    The first question about a framework tries all its lessons that this run asks for; tests/conftest.py gives a framework's
    tests to one worker.
    """
    @functools.cache
    def of_framework(framework):
        asked = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
        numbers = sorted({one.params["number"] for one in asked if one and one.params.get("framework") == framework})
        return dict(zip(numbers, exercises.tried_each([LESSONS[number] for number in numbers], framework), strict=True))

    def outcomes(number, framework):
        found = of_framework(framework)[number]
        if isinstance(found, TandemError):
            raise found
        return found

    return outcomes


@pytest.mark.parametrize("number, framework, exercise, answer", ANSWERS, ids=["-".join(case) for case in ANSWERS])
def test_the_checks_tell_right_from_wrong(outcomes, number, framework, exercise, answer):
    outcome = outcomes(number, framework)[exercise][answer]
    said = [outcome[role] and outcome[role][1] for role in ("check", "hidden")]
    assert exercises.right_verdict(answer, outcome), f"python -m tandem.tools.exercises {number} shows: {said}"


@pytest.mark.parametrize("number, framework", SIDES, ids=["-".join(case) for case in SIDES])
def test_an_open_exercise_prints_one_line_and_lets_the_notebook_go_on(outcomes, number, framework):
    for exercise, answers in outcomes(number, framework).items():
        assert answers["blank"]["shown"] == f"Exercise '{exercise}': not answered yet.\n"


@pytest.mark.parametrize("number, framework", SIDES, ids=["-".join(case) for case in SIDES])
def test_a_hidden_check_refuses_what_the_shown_one_lets_through(outcomes, number, framework):
    found = [answer for answers in outcomes(number, framework).values() for answer, outcome in answers.items()
             if answer not in ("solution", "blank") and outcome["check"][0] is None]
    assert found, f"lesson {number}: no mistake needs a hidden check; add one that passes the check which a learner sees"


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_has_three_exercises_or_more(number):
    assert len(exercises.of_lesson(LESSONS[number])) >= 3
