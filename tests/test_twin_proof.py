"""The twin proof for every lesson, and proof that the proof can fail."""
import pytest
import twin_proof

from tandem import source

LESSONS = twin_proof.lessons_to_prove()


@pytest.mark.parametrize("number", [lesson.name[:2] for lesson in LESSONS])
def test_the_twins_are_the_same_network(number):
    apart = twin_proof.prove(source.find(number).path)
    assert not apart.beyond(), f"the twins part: {apart}. Find the cause (docs/contributing.md); do not widen the limits."


SABOTAGE = {
    "epsilon": ("02", "epsilon=epsilon", "epsilon=epsilon * 100"),
    "padding": ("11", 'padding="same"', 'padding="same", output_padding=0'),
    "layer order": ("11", "", ""),
}


def sabotaged(tmp_path, number, right, wrong):
    """A copy of a lesson's source in which one side says something else."""
    lesson = source.find(number)
    text = lesson.path.read_text(encoding="utf-8")
    assert right in text, f"{lesson.name} no longer has {right!r}: choose another line to spoil"
    path = tmp_path / lesson.path.name
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    return path
