"""docs/teaching: every lesson has an instructor's page; its sections and exercises exist; its plans take as long as they say."""
import re

import pytest

import tandem
from tandem.tools import exercises, notebook, source

HEADINGS = ["Before and after", "Demonstration", "Checkpoints", "Misconceptions", "Discussion", "Exercises", "50 minutes",
            "90 minutes", "What breaks", "Homework"]
LESSONS = source.all_lessons()


def page(lesson):
    path = tandem.ROOT / "docs" / "teaching" / f"{lesson.name}.md"
    assert path.exists(), f"docs/teaching/{path.name} is missing: copy 02_training.md, and change every line"
    return path.read_text(encoding="utf-8")


def part(text, heading):
    return re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[1]


def rows(text, heading):
    """The cells of a part's table, without its head."""
    lines = [line for line in part(text, heading).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def sections(lesson):
    found = [heading for cell in lesson.cells if cell.kind == "markdown"
             for heading in re.findall(r"^##+ (.+)$", cell.source, re.MULTILINE)]
    return {re.sub(r"\s*\*\(optional\)\*$", "", heading).strip() for heading in found}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_page_has_all_its_parts_in_order(lesson):
    text = page(lesson)
    assert text.startswith(f"# Teaching lesson {lesson.title}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    assert all(len(part(text, heading).split()) >= 12 for heading in HEADINGS), "a part says next to nothing"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_page_s_minutes_are_those_of_the_lesson(lesson):
    told = re.search(r"^Read (\d+), run (\d+)(?:, exercises (\d+))? minutes", page(lesson), re.MULTILINE)
    assert told, "its third line begins: Read 75, run 1, exercises 18 minutes"
    wanted = [lesson.header.minutes[what] for what in ("read", "run", "exercises")]
    assert [int(number or 0) for number in told.groups()] == wanted


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_page_s_memory_is_what_was_measured(lesson):
    measured = [notebook.stored(lesson, framework).metadata["tandem"]["peak_mb"] for framework in lesson.frameworks]
    for told in re.findall(r"about (\d\.\d) GB together", page(lesson)):
        assert abs(float(told) - sum(measured) / 1000) < 0.15, f"{told} GB together; measured: {measured} MB"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_sections_that_a_page_names_are_in_the_lesson(lesson):
    text = page(lesson)
    named = re.findall(r"^\d+\. \*\*(.+?)\*\*", part(text, "Demonstration"), re.MULTILINE)
    named += [row[1] for heading in ("50 minutes", "90 minutes", "Checkpoints") for row in rows(text, heading)]
    assert named and set(named) <= sections(lesson), f"not in lessons/{lesson.path.name}: {sorted(set(named) - sections(lesson))}"


@pytest.mark.parametrize("minutes", [50, 90])
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_a_plan_takes_as_long_as_it_says(lesson, minutes):
    planned = [int(row[0]) for row in rows(page(lesson), f"{minutes} minutes")]
    assert sum(planned) == minutes, f"the {minutes} minutes of docs/teaching/{lesson.name}.md are {sum(planned)}: {planned}"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_exercises_and_their_mistakes_are_those_of_the_lesson(lesson):
    practice = exercises.of_lesson(lesson)
    if not practice:
        return
    found = rows(page(lesson), "Exercises")
    assert [(row[0], row[1]) for row in found] == [(one.name, str(one.points)) for one in practice]
    for row, one in zip(found, practice, strict=True):
        quoted = re.findall(r'"(.+?)"', row[3])
        known = {cell.options["mistake"] for cell in one.of("wrong")}
        assert quoted and set(quoted) <= known, f"exercise {one.name} lists no such mistake: {sorted(set(quoted) - known)}"


def test_the_term_names_every_lesson():
    text = (tandem.ROOT / "docs" / "teaching" / "README.md").read_text(encoding="utf-8")
    assert all(f"({lesson.name}.md)" in text for lesson in LESSONS)
