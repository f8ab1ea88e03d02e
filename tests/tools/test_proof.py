"""The twin proof of every lesson that has one, and proof that the proof can fail, and says why."""
import os
import pathlib
import re
import shutil

import numpy as np
import pytest

import tandem
from tandem import FRAMEWORKS
from tandem.__main__ import main
from tandem.tools import diagnosis, proof, source, twin

PORT = tandem.ROOT / "docs" / "porting" / "mended.py"
TOKENS = pathlib.Path(__file__).parent / "pairs" / "tokens.py"


def unchanged(number):
    return proof.unchanged(source.find(number)) and not os.environ.get("CI")


@pytest.fixture(scope="module")
def sides(request):
    """{number: (PyTorch's result, TensorFlow's)} of the lessons that this run asks for and whose proof may have changed."""
    asked = [item.callspec.params["number"] for item in request.session.items
             if getattr(item, "originalname", "") == "test_the_twins_are_the_same_network"]
    asked = [number for number in asked if not unchanged(number)]
    return dict(zip(asked, proof.run_both([source.find(number) for number in asked]), strict=True))


@pytest.mark.parametrize("number", [lesson.name[:2] for lesson in proof.lessons_to_prove()])
def test_the_twins_are_the_same_network(number, request):
    if unchanged(number):
        pytest.skip("unchanged since it passed: skipped; python -m tandem proof --all runs it")
    lesson = source.find(number)
    apart, causes = proof.compare(*request.getfixturevalue("sides")[number])
    proof.remember(lesson, passed=not causes)
    assert not causes, "Find the cause, do not widen the limits.\n" + proof.verdict(lesson, apart, causes)


# What one twin is made to do instead, in a file that both twins are in: (the figures that must show it, words of the diagnosis,
# replacements). Each trains without complaint, with the right shapes.
KERAS_ADAM = "keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)"
STEP = "def train_step(network, optimizer, images, labels):\n"
FAULTS = {
    # the forward pass
    "padding": (PORT, "losses", "What enters 'first' agrees.*'first_norm' does not.*padding", [
        ('        layers.ZeroPadding2D(1),\n        layers.Conv2D(8, 3, '
         'strides=2,', '        layers.Conv2D(8, 3, strides=2, padding="same",')]),
    "the order of flattening": (PORT, "losses", "'output' gets the same numbers in another order.*flattening", [
        ("        layers.Permute((3, 1, 2)),  # PyTorch flattens the channels first\n", "")]),
    "the order of layers": (PORT, "losses", "'first_norm'", [
        ("F.leaky_relu(self.first_norm(self.first(images)), "
         "slope)", "self.first_norm(F.leaky_relu(self.first(images), slope))")]),
    "batch norm's epsilon": (PORT, "losses", "'first_norm'.*epsilon", [(", epsilon=1e-5, name", ", name")]),
    "a slope written as a "
    "number": (PORT, "losses", "constants the twins agree.*a number stands where a parameter belongs.*slope", [
        ("layers.LeakyReLU(negative_slope=slope)", "layers.LeakyReLU(negative_slope=0.25)")]),
    "what the loss leaves out": (PORT, "losses", "What enters each layer agrees.*left out", [
        ("cross_entropy(labels, network(images, "
         "training=True))", "cross_entropy(labels[1:], network(images, training=True)[1:])")]),
    "a sum for a mean": (PORT, "losses", "TensorFlow's is 1/16 times.*a sum", [
        ("F.cross_entropy(network(images), labels)", "F.cross_entropy(network(images), labels, reduction='sum')")]),
    "labels": (PORT, "losses", "What enters each layer "
                               "agrees", [("network(images), labels)", "network(images), (labels + 1) % 10)")]),
    "softmax twice in both": (PORT, "losses", "line by line.*softmax", [
        ("self.output(maps.flatten(1))", "self.output(maps.flatten(1)).softmax(1)"),
        ('        layers.Dense(10, '
         'name="output"),\n', '        layers.Dense(10, name="output"),\n        layers.Activation(tf.nn.softmax),\n')]),
    "softmax in Keras": (PORT, "losses", "line by line.*softmax", [
        ('        layers.Dense(10, '
         'name="output"),\n', '        layers.Dense(10, name="output"),\n        layers.Activation(tf.nn.softmax),\n')]),
    # the backward pass
    "what is differentiated": (PORT, "gradients", "nearest to the loss .* of 'first_norm'.*none in PyTorch.*detach", [
        ("self.second(maps)", "self.second(maps.detach())")]),
    "a clipped gradient": (PORT, "gradients", "All of TensorFlow's are .* times PyTorch's.*clipping", [
        ("    loss.backward()\n", "    loss.backward()\n    nn.utils.clip_grad_norm_(network.parameters(), 2.0**-6)\n")]),
    # the optimiser
    "Adam's epsilon": (PORT, "weights", "what the optimiser adds.*epsilon", [("eps=epsilon", "eps=2 * epsilon")]),
    "the learning rate": (PORT, "weights", "TensorFlow adds 1.01 times as much.*learning rate", [
        (KERAS_ADAM, KERAS_ADAM.replace("learning_rate", "1.01 * learning_rate"))]),
    "weight decay": (PORT, "weights", "in proportion to the weight.*weight decay", [
        (KERAS_ADAM, KERAS_ADAM.replace("epsilon)", "epsilon, weight_decay=2.0**-6)"))]),
    "a beta written as a number": (PORT, "losses", "losses part at step 3.*a number stands where a parameter belongs.*betas", [
        (KERAS_ADAM, KERAS_ADAM.replace("beta_1", "0.875"))]),
    "a rate that Python counts": (PORT, "losses", "part at step 3.*counter", [
        ("@tf.function\n" + STEP, "@tf.function\n" + STEP + "    global count\n    count += 1\n"
                                  "    optimizer.learning_rate = learning_rate * min(1, count / 8)\n"),
        ("\n" + STEP + "    network.train()\n", "\n" + STEP + "    global count\n    count += 1\n"
                                                "    optimizer.param_groups[0]['lr'] = learning_rate * min(1, count / 8)\n"),
        ("slope, batch_size = 0.01, 32\n", "slope, batch_size, count = 0.01, 32, 0\n")]),
    "batch norm's momentum": (PORT, "weights", "running statistics do not.*'second_norm'.*momentum of batch norm", [
        ("momentum=0.9, ", "momentum=0.1, ")]),
    "an embedding's gradient": (TOKENS, "weights", "embeddings of 'embedding'.*all else agrees.*convert_to_tensor", [
        ("[tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, network.trainable_variables)]",
         "tape.gradient(loss, network.trainable_variables)")]),
    # evaluation, dropout, schedules
    "the mode of evaluation": (PORT, "evaluation", "answers of 'classifier' in evaluation mode.*training=False", [
        ("network(images, training=False)", "network(images, training=True)")]),
    "the scale of evaluation": (PORT, "evaluation", "TensorFlow's are 0.999 times", [
        ("network(images, training=False)", "0.999 * network(images, training=False)")]),
    "dropout left on": (TOKENS, "evaluation", "answers of 'reader' in evaluation mode.*dropout", [
        ("network(tokens, training=False)", "network(tokens, training=True)")]),
    "a rate of dropout": (TOKENS, "dropout", "dropout layers differ", [("layers.Dropout(0.25)", "layers.Dropout(0.75)")]),
    "dropout on one side": (TOKENS, "dropout", "dropout layers differ", [("        layers.Dropout(0.25),\n", "")]),
    "what dropout hides": (TOKENS, "dropout", "whole maps", [("nn.Dropout(0.25)", "nn.Dropout1d(0.25)")]),
    "a schedule": (TOKENS, "rates", "schedules part at step 1 of 200: 0.01 in PyTorch, 0.0099 in TensorFlow", [
        ("CosineDecay(learning_rate, steps)", "CosineDecay(0.99 * learning_rate, steps)")]),
    # a few of the lessons' own lines
    "lesson 2: Adam's epsilon": ("02", "weights", "epsilon", [("eps=epsilon", "eps=2 * epsilon")]),
    "lesson 6: batch norm's "
    "momentum": ("06", "weights", "momentum of batch norm", [("momentum=0.9, epsilon=1e-5", "epsilon=1e-5")]),
}


@pytest.fixture(scope="module")
def proved(tmp_path_factory):
    """{name of a fault, or path of a sound file: (PyTorch's result, TensorFlow's)}, five steps each, in one process a
    framework."""
    folder = tmp_path_factory.mktemp("faults")
    sound, spoilt = {}, {}
    for name, (base, _, _, replacements) in FAULTS.items():
        sound[base] = source.find(base) if isinstance(base, str) else twin.read_pair(base)
        spoilt[name] = base, _replaced(sound[base], replacements, folder / str(len(spoilt)))
    runs = {}
    for framework in FRAMEWORKS:
        jobs = dict(sound)
        for name, (base, lesson) in spoilt.items():
            if _side(lesson, framework) != _side(sound[base], framework):
                jobs[name] = lesson
        for name, result in zip(jobs, twin.run_variants(jobs.values(), framework, dict.fromkeys(twin.RUNS, 5)), strict=True):
            runs[name, framework] = result
    found = {base: [runs[base, framework] for framework in FRAMEWORKS] for base in sound}
    for name, (base, _) in spoilt.items():
        found[name] = [runs.get((name, framework), runs[base, framework]) for framework in FRAMEWORKS]
    return found


def _replaced(lesson, replacements, folder):
    text = lesson.path.read_text(encoding="utf-8")
    for right, wrong in replacements:
        assert right in text, f"{lesson.path.name} no longer says {right!r}: choose another line to change"
        text = text.replace(right, wrong)
    folder.mkdir()
    path = folder / lesson.path.name
    path.write_text(text, encoding="utf-8")
    return twin.read_pair(path)


def _side(lesson, framework):
    return [cell.source for cell in lesson.cells_of(framework) if "network" in cell.tags]


@pytest.mark.parametrize("base", [PORT, TOKENS], ids=["port", "tokens"])
def test_a_sound_pair_passes(proved, base):
    apart = proof.difference(*proved[base])
    assert apart.beyond() == [], apart


@pytest.mark.parametrize("name", FAULTS)
def test_the_proof_notices_and_explains(proved, name):
    _, figure, words, _ = FAULTS[name]
    for result in proved[name]:
        assert not isinstance(result, Exception), result
    apart = proof.difference(*proved[name])
    assert figure in apart.beyond(), f"{name} passes: {apart}"
    told = " ".join(" ".join(diagnosis.explain(*proved[name], apart.beyond())).split())
    assert re.search(words, told), told


# docs/porting.md

def test_the_walk_through_a_port_is_what_happens(tmp_path, capsys):
    """Each diff of the document is applied to the first try; what is quoted below it is printed, rounding apart."""
    document = (tandem.ROOT / "docs" / "porting.md").read_text(encoding="utf-8")
    walk = re.findall(r"^```(diff|text)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    text = (PORT.parent / "first_try.py").read_text(encoding="utf-8")
    pair = tmp_path / "first_try.py"
    for kind, block in walk:
        if kind == "diff":
            for change in block.strip("\n").split("\n\n"):
                old, new = ("".join(f"{line[2:]}\n" for line in change.splitlines() if line[0] in side) for side in (" -", " +"))
                assert old in text, f"docs/porting.md changes lines that first_try.py does not have:\n{old}"
                text = text.replace(old, new)
        else:
            pair.write_text(text, encoding="utf-8")
            command, _, quoted = block.partition("\n")
            assert command.startswith("$ python -m tandem proof docs/porting/")
            main(["proof", str(pair)])
            printed = capsys.readouterr().out.replace("first_try:", f"{pathlib.Path(command.split()[-1]).stem}:")
            assert _without_sizes(printed) == _without_sizes(quoted)
    assert text.split("\n")[2:] == PORT.read_text(encoding="utf-8").split("\n")[2:], "the last step is not docs/porting/mended.py"


def _without_sizes(text):
    return re.sub(r"\d(\.\d+)?e[-+]\d+", "#", text).strip()


# What an author is told of a pair that cannot be proved: (replaced, by, what is said); the line is that of the file

BROKEN = {
    "a missing function": ("def train_step(network, optimizer, images, labels):\n    network.train",
                           "def step(network, optimizer, images, labels):\n    network.train",
                           None, r"PyTorch has no train_step\. Expected: train_step\(\*players"),
    "an error in a "
    "step": ("    loss.backward()\n", "    loss.backwards()\n", "loss.backwards()", "PyTorch: train_step stopped with "
                           r"AttributeError: 'Tensor' object has no attribute 'backwards'.*Expected: train_step\("),
    "a wrong shape": ("layers.Dense(10, name", "layers.Dense(11, name", "return load_weights(network, starting)",
                      "TensorFlow: build_classifier stopped with ValueError: Layer 'output': its kernel has shape "
                      r"\(256, 11\), the weights have \(256, 10\)\. Expected: build_<player>"),
    "a bias that nobody "
    "gave": ("stride=2, padding=1, bias=False)\n        self.first_norm", "stride=2, padding=1)\n        self.first_norm",
                                "return load_weights(Classifier", "Layer 'first' of the network has a bias, but the weights do "
                                                                  "not"),
    "an error in a "
    "graph": ("network(images, training=True))", "network(images[0], training=True))", "network(images[0], training",
                            "TensorFlow: train_step stopped with ValueError"),
    "too few batches": ("while True:", "for _ in range(2):", "def batches", "batches ended after 2 of 3 steps.*at least 100 "
                                                                            "times"),
    "a loss a sample": ("return loss.detach()", "return loss.detach() * images[:, 0, 0, 0]", "def train_step",
                        r"train_step returns a loss of shape \(16,\)"),
    "an optimiser of its "
    "own": ("    optimizer.step()\n", "    build_optimizer(network).step()\n", "def train_step", "never applies"),
    "nothing that "
    "evaluates": ("def evaluate", "def answer", "def build_classifier", "BatchNorm.*nothing evaluates it.*Expected: evaluate"),
    "random numbers of its own": ("self.output(maps.flatten(1))", "self.output(F.dropout(maps.flatten(1)))", "def train_step",
                                  "draws random numbers of PyTorch's own"),
    "Python that does not parse": ("slope, batch_size =", "slope batch_size =", "slope batch_size =", "SyntaxError"),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """{name: (text of the broken pair, what is said of it)}."""
    folder, lessons, said = tmp_path_factory.mktemp("broken"), {}, {}
    for name, (right, wrong, *_) in BROKEN.items():
        lessons[name] = _replaced(twin.read_pair(PORT), [(right, wrong)], folder / str(len(lessons)))
    for framework in FRAMEWORKS:
        sound = _side(twin.read_pair(PORT), framework)
        chosen = {name: lesson for name, lesson in lessons.items() if _side(lesson, framework) != sound}
        for name, result in zip(chosen, twin.run_variants(chosen.values(), framework, {0: 3}), strict=True):
            if isinstance(result, twin.ProofError):
                said.setdefault(name, (lessons[name].path.read_text(encoding="utf-8"), str(result)))
    return said


@pytest.mark.parametrize("name", BROKEN)
def test_a_pair_that_cannot_be_proved_is_told_why(refused, name):
    _, _, place, words = BROKEN[name]
    assert name in refused, f"{name} is accepted"
    text, told = refused[name]
    line = next(number for number, line in enumerate(text.splitlines(), 1) if place in line) if place else 1
    assert re.search(rf"{PORT.name}:{line}: .*{words}", told), told


def test_a_file_without_one_framework_is_told_how_to_tag_it(tmp_path):
    pair = tmp_path / "pair.py"
    pair.write_text(PORT.read_text(encoding="utf-8").replace('tags=["tensorflow"]', ""), encoding="utf-8")
    with pytest.raises(twin.ProofError, match=r'no cell of TensorFlow; begin its cells with: # %% tags=\["tensorflow"\]'):
        twin.read_pair(pair)


def test_a_file_that_is_not_there():
    with pytest.raises(SystemExit, match="nowhere.py: No such file or directory; name a lesson's number or the file of a pair"):
        main(["proof", "nowhere.py"])


# The arithmetic of the comparison

SOUND = {key: np.array([[1.0]]) for key in ("losses/all/0", "gradients/player/0/0/kernel", "weights/player/0/0/kernel",
                                            "evaluation/player/0", "dropout/player/0", "rates/all/0")}


@pytest.mark.parametrize("what", SOUND)
def test_a_network_that_is_not_a_number_does_not_pass(what):
    assert proof.difference(SOUND, SOUND).beyond() == []
    spoilt = SOUND | {what: np.array([[np.nan]])}
    assert proof.difference(spoilt, spoilt).beyond() == [what.split("/")[0]]


@pytest.mark.parametrize("key, apart", {
    "losses/all/0": 2e-10, "gradients/player/0/0/kernel": 2e-11, "weights/player/0/0/kernel": 2e-9, "evaluation/player/0": 2e-9,
    "dropout/player/0": 1e-6, "rates/all/0": 2e-6}.items())
def test_what_is_just_over_a_limit_is_over(key, apart):
    assert proof.difference(SOUND, SOUND | {key: SOUND[key] + apart}).beyond() == [key.split("/")[0]]
    assert proof.difference(SOUND, SOUND | {key: SOUND[key] + apart / 4}).beyond() == ([] if apart != 1e-6 else ["dropout"])


def test_the_answers_of_one_twin_alone_are_not_passed_over():
    with pytest.raises(twin.ProofError, match="PyTorch's side has evaluate of 'player', TensorFlow's has not"):
        proof.difference(SOUND, {key: array for key, array in SOUND.items() if not key.startswith("evaluation")})


class Mask:
    name, rate = "hide", 0.25

    def __init__(self, kept, hidden):
        self.kept, self.hidden = kept, hidden

    def mask(self):
        return np.where(np.random.default_rng(0).random((64, 16, 8)) < self.hidden, 0, self.kept)


def test_masks_of_dropout_are_looked_at():
    assert twin.mask_rule(Mask(4 / 3, 0.25)) == (0.25, False)
    with pytest.raises(twin.ProofError, match=r"what it keeps of ones is not 1 / \(1 - 0.25\)"):
        twin.mask_rule(Mask(1.0, 0.25))
    with pytest.raises(twin.ProofError, match=r"hides 0.3\d\d of ones; its rate is 0.25"):
        twin.mask_rule(Mask(4 / 3, 0.3))


# Constants, and what is skipped

def test_constants_are_in_place_before_the_next_cell_and_once(tmp_path):
    pair = tmp_path / "pair.py"
    pair.write_text('# %%\nslope = 0.1\n\n# %% tags=["pytorch"]\ndouble = 2 * slope\n# %% tags=["pytorch"]\nslope = 0.3\n'
                    '# %% tags=["tensorflow"]\nhalf = slope / 2\n', encoding="utf-8")
    names = [twin.network_cells(twin.read_pair(pair), framework, {"slope": 0.25, "beta_1": 0.5}) for framework in FRAMEWORKS]
    assert names[0]["double"] == 0.5 and names[0]["slope"] == 0.3 and names[1]["half"] == 0.125 and "beta_1" not in names[0]


def test_the_constants_of_two_seeds_differ_in_every_name():
    even, odd = twin.constants(0), twin.constants(1)
    assert even.keys() <= odd.keys() and all(even[name] != odd[name] for name in even)
    assert all(np.float32(value) == value for value in (*even.values(), *odd.values())), "Keras keeps some of them in float32"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of what a proof depends on, with one lesson, whose proof is not run."""
    for name in ("requirements.txt", "constraints.txt"):
        shutil.copy(tandem.ROOT / name, tmp_path)
    shutil.copytree(tandem.ROOT / "tandem", tmp_path / "tandem", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "lessons").mkdir()
    shutil.copy(tandem.ROOT / "lessons" / "02_training.py", tmp_path / "lessons")
    monkeypatch.setattr(tandem, "ROOT", tmp_path)
    monkeypatch.setattr(proof, "prove", lambda lesson: (proof.Difference(0, 0, 0), []))
    return tmp_path


def test_what_passed_is_skipped_until_its_network_cells_engine_or_pins_change(checkout, capsys):
    lesson, skipped = checkout / "lessons" / "02_training.py", "02_training: unchanged since it passed: skipped (--all runs it)"

    def printed(*arguments):
        main(["proof", *arguments])
        return capsys.readouterr().out.strip()

    assert "the same network" in printed()
    assert printed() == skipped
    assert "the same network" in printed("--all") and "the same network" in printed("02")
    text = lesson.read_text(encoding="utf-8")
    lesson.write_text(text + "\n# %% [markdown]\n# More prose.\n", encoding="utf-8")
    assert printed() == skipped
    for change in (lambda: lesson.write_text(text.replace("eps=epsilon", "eps=2 * epsilon"), encoding="utf-8"),
                   lambda: (checkout / "constraints.txt").write_text("torch==1", encoding="utf-8"),
                   lambda: (checkout / "tandem" / "tools" / "twin_pytorch.py").write_text("", encoding="utf-8")):
        change()
        assert "the same network" in printed()


def test_what_failed_is_not_skipped(checkout, monkeypatch, capsys):
    monkeypatch.setattr(proof, "prove", lambda lesson: (proof.Difference(1, 0, 0), ["  a cause"]))
    for _ in range(2):
        assert main(["proof"]) == 1
        assert capsys.readouterr().out.endswith("over the limit: losses\n  a cause\n")
