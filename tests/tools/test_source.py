"""A mistake in a lesson's source is answered with file, line and what is wrong."""
import textwrap

import pytest

from tandem import source

HEAD = """\
# %% [markdown]
# # 50 · A test lesson
#
# It promises something.

# %% tags=["parameters"]
epochs = 1
"""


def lesson(tmp_path, body, head=HEAD):
    path = tmp_path / "50_test.py"
    path.write_text(head + "\n" + textwrap.dedent(body), encoding="utf-8")
    return path


GOOD_STEP = """\
# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"
"""


def test_a_good_source_is_split_into_both_notebooks(tmp_path):
    found = source.read(lesson(tmp_path, GOOD_STEP))
    assert found.title == "50 · A test lesson" and found.promise == "It promises something."
    assert found.parameters() == ["epochs"] and found.frameworks == ("pytorch", "tensorflow")
    assert [cell.source for cell in found.cells_of("pytorch")][-1] == 'framework = "PyTorch"'
    assert [cell.source for cell in found.cells_of("tensorflow")][-1] == 'framework = "TensorFlow"'


def test_a_source_without_framework_cells_makes_one_notebook(tmp_path):
    assert source.read(lesson(tmp_path, "# %% [markdown]\n# Why.\n")).frameworks == (None,)


@pytest.mark.parametrize("body, line, problem", [
    ('# %% [markdown]\n# Why.\n\n# %% tags=["pytorch"]\nx = 1\n\n# %% [markdown]\n# Then.\n', 12, "no TensorFlow cell"),
    ('# %% [markdown]\n# Why.\n\n# %% tags=["tensorflow"]\nx = 1\n', 12, "no PyTorch cell"),
    ('# %% [markdown]\n# Why.\n\n# %% tags=["pytoch"]\nx = 1\n', 12, "unknown tag 'pytoch'"),
    ('# %% [markdown] tags=["pytorch"]\n# ## A heading\n\n# %% [markdown] tags=["tensorflow"]\n# Text\n', 9, "a heading in a framework cell"),
    ('# %% [markdown]\n# Why.\n\n# %% tags=["pytorch", "tensorflow"]\nx = 1\n', 12, "tagged with both frameworks"),
    ('# %% [markdown]\n# Why.\n\n# %% tags=["pytorch", "parameters"]\nwidth = 1\n\n# %% tags=["tensorflow", "parameters"]\ndepth = 1\n',
     12, "the parameter 'width' is defined for PyTorch only"),
    ('# %% [markdown]\n# Why.\n\n# %% tags=["pytorch"]\nx = = 1\n\n# %% tags=["tensorflow"]\nx = 1\n', 12, "does not parse"),
    ("# %%\nx = 1\n", 9, "a code cell follows a code cell"),
    ("# %% [markdown]\n# Why.\n\n# %%\n" + "x = 1\n" * 26, 12, "26 lines of code"),
    ('# %% [markdown] tags=["network"]\n# Why.\n', 9, "belongs on a code cell"),
], ids=lambda value: value if isinstance(value, str) and "\n" not in value else "")
def test_a_broken_rule_is_named_with_its_line(tmp_path, body, line, problem):
    if problem.startswith(("a code", "26", "belongs")):
        body += "\n" + GOOD_STEP if body.endswith("# Why.\n") else "\n# %% [markdown]\n# Why.\n\n" + GOOD_STEP.split("\n\n", 1)[1]
    with pytest.raises(source.SourceError, match=problem) as caught:
        source.read(lesson(tmp_path, body))
    assert f"50_test.py:{line}:" in str(caught.value)


def test_a_lesson_without_parameters_is_refused(tmp_path):
    with pytest.raises(source.SourceError, match="no cell is tagged 'parameters'"):
        source.read(lesson(tmp_path, GOOD_STEP, head=HEAD.split("\n\n")[0] + "\n"))


def test_a_lesson_without_a_promise_is_refused(tmp_path):
    with pytest.raises(source.SourceError, match=":1: the first cell"):
        source.read(lesson(tmp_path, GOOD_STEP, head="# %% [markdown]\n# # 50 · Title alone\n"))


def test_an_unknown_lesson_is_answered_with_those_there_are():
    with pytest.raises(source.UnknownLesson, match="no lesson 77.*02_training"):
        source.find("77")


def test_no_lesson_takes_a_gpu_that_pytorch_was_built_for_but_that_is_not_there():
    """On Linux the package index's PyTorch is built for CUDA; without `check_available` it names a GPU on every laptop."""
    for lesson in source.all_lessons():
        assert "current_accelerator()" not in lesson.path.read_text(encoding="utf-8"), (
            f"{lesson.name}: write torch.accelerator.current_accelerator(check_available=True)")
