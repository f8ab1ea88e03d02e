"""What a learner reads of a check, and what a check holds a network against."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tandem import FRAMEWORKS
from tandem.exercises import attempt, difference, reference

NAMES = {"__name__": "__main__", "attempt": attempt}


def said(capsys, answer, check):
    """What `attempt` prints in a notebook whose cells hold `answer` and `check`."""
    names = dict(NAMES)
    exec(compile(answer, "<answer>", "exec"), names)
    exec(compile(f'with attempt("sum"):\n    {check}', "<check>", "exec"), names)
    return capsys.readouterr().out


@pytest.mark.parametrize("answer, check, line", [
    ("def add(a, b):\n    return a + b", "assert add(1, 2) == 3", "Exercise 'sum': right.\n"),
    ("def add(a, b):\n    raise NotImplementedError", "assert add(1, 2) == 3", "Exercise 'sum': not answered yet.\n"),
    ("def add(a, b):\n    return a", "assert add(1, 2) == 3, 'it leaves\\n  b out'",
     "Exercise 'sum': not yet: it leaves b out\n"),
    ("def add(a, b):\n    return a", "assert add(1, 2) == 3", "Exercise 'sum': not yet: AssertionError\n"),
    ("def add(a, b):\n    raise NotImplementedError('no sums')", "add(1, 2)",
     "Exercise 'sum': not yet: NotImplementedError: no sums\n    in add, line 2: \n"),
    ("def add(a, b):\n    return a + b.x", "add(1, 2)",
     "Exercise 'sum': not yet: AttributeError: 'int' object has no attribute 'x'\n    in add, line 2: \n"),
    ("", "add(1, 2)", "Exercise 'sum': not yet: NameError: name 'add' is not defined\n"),
], ids=["right", "blank", "wrong", "no words", "a framework's lack", "an error", "no answer"])
def test_an_attempt_says_in_a_line_what_is_not_right(capsys, answer, check, line):
    assert said(capsys, answer, check) == line


def test_an_interrupt_stops_a_check(capsys):
    with pytest.raises(KeyboardInterrupt):
        said(capsys, "", "raise KeyboardInterrupt")


def test_a_blank_inside_a_wrapped_error_is_a_blank(capsys):
    answer = ("def add(a, b):\n    raise NotImplementedError\n\n\ndef layer(a, b):\n    try:\n        return add(a, b)\n"
              "    except NotImplementedError as error:\n"
              "        raise RuntimeError('Exception encountered when calling layer.\\n\\nno') from None")
    assert said(capsys, answer, "layer(1, 2)") == "Exercise 'sum': not answered yet.\n"


def test_an_error_that_a_framework_tells_again_is_told_as_it_was(capsys):
    answer = ("def add(a, b):\n    try:\n        return a.b\n    except AttributeError as error:\n"
              "        raise ValueError('Exception encountered when calling layer.\\n\\n\\x1b[1mlong\\x1b[0m') from None")
    assert "not yet: AttributeError: 'int' object has no attribute 'b'\n" in said(capsys, answer, "add(1, 2)")
    message = "Shapes are 1 and 2 for '{{node A}} = A[T=1](B, C)' with input shapes: [1], [2]."
    answer = f'def add(a, b):\n    raise ValueError("{message}")'
    assert "not yet: ValueError: Shapes are 1 and 2 with input shapes: [1], [2].\n" in said(capsys, answer, "add(1, 2)")


def test_the_reference_is_the_cross_entropys_gradient():
    rng = np.random.default_rng(0)
    weights = {"output": {"kernel": rng.normal(size=(4, 3)), "moving_mean": np.zeros(3)}}
    inputs, labels = rng.normal(size=(5, 4)), np.array([0, 1, 2, 0, 1])
    logits, slopes = reference(lambda weights, inputs: inputs @ weights["output"]["kernel"], weights, inputs, labels)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert set(slopes) == {"output/kernel"}
    np.testing.assert_allclose(slopes["output/kernel"], inputs.T @ (probabilities - np.eye(3)[labels]) / 5, atol=1e-9)


EXPECTED = np.array([[1.0, 2.0]]), {"hidden/kernel": np.array([1.0, 0.0]), "output/bias": np.array([4.0])}


@pytest.mark.parametrize("logits, slopes, words", [
    (EXPECTED[0], EXPECTED[1], ""),
    (EXPECTED[0] + 1e-7, EXPECTED[1], ""),
    (EXPECTED[0].T, EXPECTED[1], "the answers have shape (2, 1); (1, 2) is wanted"),
    (EXPECTED[0] * 2, EXPECTED[1], "from the same weights come other answers, by 1 of the largest"),
    (EXPECTED[0] * np.nan, EXPECTED[1], "from the same weights come other answers"),
    (EXPECTED[0], {"output/bias": np.array([4.0])}, "no gradient reaches hidden/kernel"),
    (EXPECTED[0], EXPECTED[1] | {"output/bias": np.array([2.0])}, "the gradient of output/bias is another: it parts by 0.5"),
])
def test_where_a_network_parts_from_what_is_expected_is_said(logits, slopes, words):
    found = difference((logits, slopes), EXPECTED)
    assert words in found and bool(words) == bool(found)


def test_the_same_network_gets_the_same_answers_and_gradients_in_both_frameworks(tmp_path):
    found = []
    for framework in FRAMEWORKS:
        script, path = pathlib.Path(__file__).with_name("answers.py"), tmp_path / f"{framework}.npz"
        done = subprocess.run([sys.executable, str(script), framework, str(path)], capture_output=True, text=True,
                              encoding="utf-8")
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(dict(np.load(path)))
    assert found[0].keys() == found[1].keys() and len(found[0]) == 5
    for name in found[0]:
        np.testing.assert_allclose(found[0][name], found[1][name], atol=1e-6, err_msg=name)
