"""The table of a lesson's parameters and the check at the door: one sentence, before anything runs."""
import pytest

from tandem import parameters
from tandem.tools import source

CELL = """\
epochs = 25  # 1 to 200: passes over the images
# Adam's; a comment above says it, too
learning_rate = 1e-3  # above 0 to 1
batch_size = 64  # 1 to train_size * 4 // 5: images a step
train_size = 1_000  # 100 to 10000: images
width = 64  # 1 to 1024: numbers for a character
heads = 4  # 1 to 64, divides width: each looks back in its own way
dropout = 0.125  # 0 to below 1: the share that is hidden
"""
TABLE = parameters.table_of(CELL)


def test_the_table_is_read_from_the_cell():
    epochs, rate, *_ = TABLE
    assert (epochs.name, epochs.default, epochs.range, epochs.meaning) == ("epochs", 25, "1 to 200", "passes over the images")
    assert (rate.range, rate.meaning) == ("above 0 to 1", "Adam's; a comment above says it, too")


@pytest.mark.parametrize("values", [
    {}, {"epochs": 200}, {"learning_rate": 1}, {"train_size": 100, "batch_size": 80}, {"heads": 64}, {"dropout": 0},
    {"width": 63, "heads": 9},
], ids=str)
def test_values_in_their_range_pass(values):
    parameters.check("50_test", TABLE, values)


@pytest.mark.parametrize("values, says", [
    ({"epochs": 0}, "epochs is 0; take a whole number, 1 to 200"),
    ({"epochs": "ten"}, "epochs is 'ten'; take a whole number"),
    ({"epochs": 2.0}, "epochs is 2.0; take a whole number"),
    ({"epochs": True}, "epochs is True; take a whole number"),
    ({"learning_rate": 0}, "learning_rate is 0; take a number, above 0 to 1"),
    ({"learning_rate": float("nan")}, "learning_rate is nan; take a number"),
    ({"dropout": 1}, "dropout is 1; take a number, 0 to below 1"),
    ({"batch_size": 20_000}, r"batch_size is 20000; .*; here train_size is 1000\)"),
    ({"train_size": 100, "batch_size": 81}, "here train_size is 100"),
    ({"train_size": "ten"}, "train_size is 'ten'; take a whole number, 100 to 10000"),
    ({"train_size": -1}, "train_size is -1; take a whole number, 100 to 10000"),
    ({"epochs": 10**400}, "; take a whole number, 1 to 200"),
    ({"heads": 5}, r"heads is 5; .*divides width \(.*here width is 64\)"),
    ({"epocs": 5}, "no parameter 'epocs'. Did you mean 'epochs'"),
], ids=lambda value: str(value) if isinstance(value, dict) else "")
def test_a_wrong_value_is_answered_in_one_sentence_with_its_range(values, says):
    with pytest.raises(parameters.WrongParameter, match=says) as caught:
        parameters.check("50_test", TABLE, values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line, says", [
    ("epochs = 25", "say the range of 'epochs'"),
    ("epochs = 25  # many", "say the range of 'epochs'"),
    ("epochs = 25  # 1 to 200", "what 'epochs' is for"),
    ("print(1)", "nothing but name = value"),
])
def test_a_line_that_is_no_row_of_the_table_is_refused(line, says):
    with pytest.raises(ValueError, match=says):
        parameters.table_of(line)


def test_where_the_parameters_cell_was_not_run_the_door_says_so(monkeypatch):
    monkeypatch.setattr(parameters, "of_lesson", lambda lesson: TABLE)
    with pytest.raises(parameters.WrongParameter, match="epochs, learning_rate not set; run the parameters cell above first"):
        parameters.check_parameters("50_test", {row.name: row.default for row in TABLE[2:]})


WITH_PARAMETERS = [lesson for lesson in source.all_lessons() if lesson.parameters()]


@pytest.mark.parametrize("lesson", WITH_PARAMETERS, ids=lambda lesson: lesson.name)
def test_a_lesson_ships_values_that_pass_its_own_door(lesson):
    values = {row.name: row.default for row in lesson.parameters()}
    assert parameters.check_parameters(lesson.name, dict(values)) == values | {"as_shipped": True}
    assert parameters.check_parameters(lesson.name, dict(values), altered=True)["as_shipped"] is False
    first = lesson.parameters()[0].name
    assert parameters.check_parameters(lesson.name, values | {first: values[first] + 1})["as_shipped"] is False


def test_in_a_notebook_the_sentence_stands_without_a_traceback():
    assert parameters.WrongParameter("epochs is 0.")._render_traceback_() == ["WrongParameter: epochs is 0."]
