"""The twin proof for every lesson that has network cells, and proof that the proof can fail."""
import numpy as np
import pytest
import twin_proof

from tandem import source

LESSONS = twin_proof.lessons_to_prove()


@pytest.mark.parametrize("number", [lesson.name[:2] for lesson in LESSONS])
def test_the_twins_are_the_same_network(number):
    apart = twin_proof.prove(source.find(number).path)
    assert not apart.beyond(twin_proof.limits_of(number)), f"the twins part: {apart}. Find the cause (docs/contributing.md); do not widen the limits."


# What one twin is made to say instead. Every one of these changes trains without complaint, with the right shapes.
SABOTAGE = {
    "Adam's epsilon": ("02", "betas=(beta_1, beta_2), eps=epsilon)", "betas=(beta_1, beta_2), eps=2 * epsilon)"),
    "batch norm's epsilon": ("11", "momentum=0.9, epsilon=1e-5", "momentum=0.9"),
    "padding": ("11", "nn.Conv2d(1, channels, 4, stride=2, padding=1)",
                "nn.Sequential(nn.ZeroPad2d((2, 0, 2, 0)), nn.Conv2d(1, channels, 4, stride=2))"),
    "batch norm's momentum": ("06", "momentum=0.9, epsilon=1e-5, name", "epsilon=1e-5, name"),  # no loss of the training shows it
    "layer order": ("11", "F.leaky_relu(self.halve_again_norm(self.halve_again(maps)), slope)",
                    "self.halve_again_norm(F.leaky_relu(self.halve_again(maps), slope))"),
}


@pytest.mark.parametrize("number, right, wrong", SABOTAGE.values(), ids=SABOTAGE.keys())
def test_the_proof_rejects_a_twin_that_differs_in(tmp_path, number, right, wrong):
    lesson = source.find(number)
    text = lesson.path.read_text(encoding="utf-8")
    assert right in text, f"{lesson.name} no longer says {right!r}: choose another line to change"
    spoilt = tmp_path / lesson.path.name
    spoilt.write_text(text.replace(right, wrong), encoding="utf-8")
    assert twin_proof.prove(spoilt, seeds=(0,), steps=10).beyond()


def test_a_lesson_that_cannot_take_part_is_told_why(tmp_path):
    lesson = source.find("02")
    text = lesson.path.read_text(encoding="utf-8").replace("def train_step", "def another_name")
    broken = tmp_path / lesson.path.name
    broken.write_text(text, encoding="utf-8")
    with pytest.raises(twin_proof.ProofError, match="02_training.py, pytorch: KeyError: 'train_step'"):
        twin_proof.prove(broken, seeds=(0,), steps=2)


@pytest.mark.parametrize("what", ["losses/all/0", "gradients/player/0/0/kernel", "weights/player/0/0/kernel", "evaluation/player/0"])
def test_a_network_that_is_not_a_number_does_not_pass(what):
    sound = {key: np.array([[1.0]]) for key in ("losses/all/0", "gradients/player/0/0/kernel", "weights/player/0/0/kernel", "evaluation/player/0")}
    assert twin_proof.difference(sound, sound).beyond() == []
    spoilt = sound | {what: np.array([[np.nan]])}
    assert twin_proof.difference(spoilt, spoilt).beyond() == [what.split("/")[0]]
