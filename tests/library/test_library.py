"""The ground floor: data, weights, records; what they give, and what they say when something is wrong."""
import json
import multiprocessing
import os
import subprocess
import sys

import numpy as np
import pytest

from tandem import ROOT, data, records, weights


# data


def test_fashion_mnist_is_stratified_and_scaled():
    (train_images, train_labels), (test_images, test_labels) = data.fashion_mnist()
    assert train_images.shape == (10_000, 28, 28) and test_images.shape == (2_000, 28, 28)
    assert train_images.dtype == np.float32 and train_labels.dtype == np.int64
    assert train_images.min() == 0 and train_images.max() == 1
    assert set(np.bincount(train_labels)) == {1_000} and set(np.bincount(test_labels)) == {200}


def test_penguins_are_measured_and_named():
    measurements, species = data.penguins()
    assert measurements.shape == (342, 4) and np.isfinite(measurements).all()
    assert list(np.bincount(species)) == [151, 68, 123]


def test_surnames_have_a_language_each():
    names, languages = data.surnames()
    assert len(names) == len(languages) == 16_367 and len(set(languages)) == 14
    assert len(set(zip(names, languages))) == 16_367 and max(map(len, names)) == 20
    assert "Kowalski" in names and languages[names.index("Kowalski")] == "Polish"


def test_the_weather_has_every_day_once():
    dates, measurements = data.seattle_weather()
    assert str(dates[0]) == "2012-01-01" and set(np.diff(dates).astype(int)) == {1}
    assert measurements.shape == (1461, 4) and np.isfinite(measurements).all() and (measurements[:, 1] >= measurements[:, 2]).all()


def test_no_line_of_the_held_out_plays_is_trained_on():
    training, held_out = data.shakespeare()
    assert "Is this a dagger" in held_out and "Is this a dagger" not in training
    assert "To be, or not to be" in training and len(training) == 4_592_018 and set(held_out) <= set(training)


def test_default_runs_hold_every_step_of_both_walks_with_and_without_batch_norm():
    runs = data.default_runs()
    states = [state for framework, batch_norm, state in runs if framework == "pytorch" and batch_norm]
    assert states == ["as it comes", "drawn by NumPy", "kernel", "bias", "norm_momentum", "norm_epsilon", "slope", "adam_epsilon"]
    assert len(runs) == 2 * (8 + 6) and list(runs["tensorflow", False, "slope"]["epochs"]) == [1 / 8, 1 / 4, 1 / 2, 1, 2, 4]
    assert all(run[name].shape == (12, 6) and np.isfinite(run[name]).all() for run in runs.values() for name in ("loss", "accuracy"))


@pytest.mark.parametrize("size", [0, 10_001])
def test_a_wrong_train_size_is_refused(size):
    with pytest.raises(ValueError, match="take 1 to 10,000"):
        data.fashion_mnist(size)


def spoil_missing(path):
    path.unlink()


def spoil_truncated(path):
    path.write_bytes(path.read_bytes()[:1000])


def spoil_altered(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def spoil_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name, load", [
    ("fashion_mnist.npz", data.fashion_mnist), ("penguins.csv", data.penguins), ("default_runs.csv", data.default_runs), ("surnames.csv.gz", data.surnames),
    ("seattle_weather.csv", data.seattle_weather), ("shakespeare.txt.gz", data.shakespeare),
    ("shakespeare_gpt.safetensors", data.shakespeare_gpt),
])
@pytest.mark.parametrize("spoil, says", [
    (spoil_missing, "is missing"), (spoil_truncated, "is damaged"), (spoil_altered, "is damaged"), (spoil_folder, "cannot be read"),
])
def test_a_spoilt_data_file_is_named_with_what_mends_it(tmp_path, monkeypatch, name, load, spoil, says):
    (tmp_path / name).write_bytes((data.FOLDER / name).read_bytes())
    spoil(tmp_path / name)
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    with pytest.raises(data.DataError) as caught:
        load()
    message = str(caught.value)
    assert f"data/{name} {says}" in message and f"git checkout -- data/{name}" in message and "\n" not in message


def test_every_data_file_has_a_checksum_a_licence_and_a_script_that_remakes_it():
    readme = (data.FOLDER / "README.md").read_text(encoding="utf-8")
    shipped = {path.name for path in data.FOLDER.iterdir() if path.suffix not in {".md", ".py", ""} and "_full" not in path.name}
    assert shipped == set(data.SHA256)
    for name, digest in data.SHA256.items():
        assert name in readme and digest in readme
        assert (data.FOLDER / f"make_{name.split('.')[0]}.py").exists()


def test_batches_follow_the_seed_and_show_each_example_once_an_epoch():
    order = list(data.batch_order(103, 10, epochs=2, seed=5))
    assert len(order) == 20 and all(len(batch) == 10 for batch in order)
    assert len(set(np.concatenate(order[:10]))) == 100
    again = data.batch_order(103, 10, epochs=2, seed=5)
    assert all(np.array_equal(one, other) for one, other in zip(order, again))
    assert not np.array_equal(order[0], order[10])
    assert not np.array_equal(order[0], next(data.batch_order(103, 10, epochs=2, seed=6)))


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="take 1 to 5"):
        next(data.batch_order(5, 6, epochs=1, seed=0))


# weights


def every_kind():
    rng = weights.generator(0)
    return {
        "dense": weights.dense(rng, 6, 5),
        "plain": weights.dense(rng, 5, 12, bias=False),
        "convolution": weights.convolution(rng, 3, 3, 4, scheme="he"),
        "transposed": weights.convolution(rng, 4, 4, 2, scheme=0.02),
        "norm": {kind: array + np.float32(0.5) for kind, array in weights.batch_norm(2).items()},
    }


PYTORCH_MODEL = """
from torch import nn
model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 12, bias=False), nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 4), nn.BatchNorm2d(2))
"""
TENSORFLOW_MODEL = """
import tandem.tensorflow, keras
from keras import layers
model = keras.Sequential([keras.Input((6,)), layers.Dense(5), layers.Dense(12, use_bias=False), layers.Reshape((2, 2, 3)),
    layers.Conv2D(4, 3, padding="same"), layers.Conv2DTranspose(2, 4), layers.BatchNormalization()])
"""
ROUND_TRIP = """
from tandem.{framework} import load_weights, read_weights
import sys, numpy as np
sys.path.insert(0, {tests!r})
from test_library import every_kind
start = every_kind()
back = read_weights(load_weights(model, start))
for (name, arrays), found in zip(start.items(), back.values()):
    assert arrays.keys() == found.keys(), (name, found.keys())
    for kind, array in arrays.items():
        assert np.array_equal(array, found[kind]), (name, kind)
before = [array.copy() for layer in back.values() for array in layer.values()]
for spoil, says in [
    (lambda w: w.pop("norm"), "4 layers"),
    (lambda w: w["dense"].update(kernel=w["dense"]["kernel"].T), "its kernel has shape (6, 5), the weights have (5, 6)"),
    (lambda w: w["plain"].update(bias=np.zeros(12, "float32")), "has no bias"),
]:
    wrong = every_kind()
    for array in wrong["norm"].values():
        array += 1
    spoil(wrong)
    try:
        load_weights(model, wrong)
    except ValueError as error:
        assert says in str(error), error
    else:
        raise AssertionError("accepted: " + says)
after = [array for layer in read_weights(model).values() for array in layer.values()]
assert all(np.array_equal(a, b) for a, b in zip(before, after)), "a refused load changed the model"
"""


@pytest.mark.parametrize("framework, model", [("pytorch", PYTORCH_MODEL), ("tensorflow", TENSORFLOW_MODEL)])
def test_weights_come_back_as_they_went_in_and_a_misfit_changes_nothing(framework, model):
    code = model + ROUND_TRIP.format(framework=framework, tests=str(ROOT / "tests"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def every_sequence_layer():
    rng = weights.generator(0)
    layers = {"embedding": weights.embedding(rng, 10, 6), "lstm": weights.lstm(rng, 6, 5), "gru": weights.gru(rng, 5, 8)}
    layers |= {name: weights.dense(rng, 8, 8) for name in ("query", "key", "value", "output")} | {"norm": weights.layer_norm(8)}
    return {name: {kind: array + rng.normal(0, 0.1, array.shape).astype("float32") for kind, array in layer.items()}
            for name, layer in layers.items()}


PYTORCH_SEQUENCE = """
import torch
from torch import nn
class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(10, 6), nn.LSTM(6, 5, batch_first=True)
        self.gru, self.attention = nn.GRU(5, 8, batch_first=True), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        nn.init.zeros_(self.lstm.bias_hh_l0.requires_grad_(False))
    def forward(self, tokens):
        x, _ = self.gru(self.lstm(self.embedding(tokens))[0])
        return self.norm(self.attention(x, x, x)[0])
model = Sequence()
result = lambda tokens: model(torch.as_tensor(tokens)).detach().numpy()
"""
TENSORFLOW_SEQUENCE = """
import tandem.tensorflow, keras
from keras import layers
tokens = keras.Input((7,), dtype="int32")
x = layers.GRU(8, return_sequences=True)(layers.LSTM(5, return_sequences=True)(layers.Embedding(10, 6)(tokens)))
model = keras.Model(tokens, layers.LayerNormalization(epsilon=1e-5)(layers.MultiHeadAttention(2, 4)(x, x)))
result = lambda tokens: model(tokens).numpy()
"""
SEQUENCE_TRIP = """
from tandem.{framework} import load_weights, read_weights
import sys, numpy as np
sys.path.insert(0, {tests!r})
from test_library import every_sequence_layer
start = every_sequence_layer()
back = read_weights(load_weights(model, start))
for (name, arrays), found in zip(start.items(), back.values(), strict=True):
    assert arrays.keys() == found.keys(), (name, found.keys())
    assert all(np.array_equal(array, found[kind]) for kind, array in arrays.items()), name
np.save({path!r}, result(np.arange(21).reshape(3, 7) % 10))
"""


def test_recurrent_and_attention_layers_compute_the_same_from_the_same_weights(tmp_path):
    results = []
    for framework, model in (("pytorch", PYTORCH_SEQUENCE), ("tensorflow", TENSORFLOW_SEQUENCE)):
        path = str(tmp_path / f"{framework}.npy")
        code = model + SEQUENCE_TRIP.format(framework=framework, tests=str(ROOT / "tests"), path=path)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        results.append(np.load(path))
    assert np.abs(results[0] - results[1]).max() < 1e-5


def test_an_lstm_with_two_biases_is_refused_with_what_to_do():
    code = ("from torch import nn; from tandem import weights; from tandem.pytorch import load_weights\n"
            "load_weights(nn.LSTM(3, 2), {'lstm': weights.lstm(weights.generator(0), 3, 2)})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "set bias_hh_l0 to zero" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("scheme, deviation", [("glorot", (2 / 500) ** 0.5), ("he", (2 / 200) ** 0.5), ("lecun", (1 / 600) ** 0.5), (0.02, 0.02)])
def test_starting_weights_have_the_spread_of_their_scheme(scheme, deviation):
    drawn = weights.dense(weights.generator(1), 200, 300, scheme)["kernel"]
    assert drawn.dtype == np.float32 and abs(drawn.std() / deviation - 1) < 0.02


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="take 'glorot', 'he', 'lecun'"):
        weights.dense(weights.generator(0), 2, 2, "xavier")


# records


@pytest.fixture
def records_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TANDEM_RECORDS", str(tmp_path))
    monkeypatch.setattr(records, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path


def test_a_record_comes_back_with_every_digit_of_float32(records_folder):
    losses = np.random.default_rng(0).random(50, "float32")
    saved = records.save("50_test", "pytorch", {"epochs": 1}, losses, accuracy=np.float64(0.5), parameter_count=7)
    found = records.load("50_test", "pytorch", {"epochs": 1})
    assert found == saved
    assert np.array_equal(np.float32(found["losses"]["loss"]), losses)


def test_a_record_of_other_parameters_is_not_taken_for_the_twin(records_folder):
    mine = records.save("50_test", "pytorch", {"epochs": 2}, [1.0])
    records.save("50_test", "tensorflow", {"epochs": 1}, [1.0])
    assert records.load("50_test", "tensorflow", {"epochs": 2}) is None
    assert "has not been run with these parameters" in records.compare(mine, None)


def test_the_shipped_record_serves_until_the_twin_is_run(records_folder, monkeypatch):
    monkeypatch.setenv("TANDEM_RECORDS", str(records.SHIPPED))
    records.save("50_test", "tensorflow", {"epochs": 1}, [1.0])
    monkeypatch.setenv("TANDEM_RECORDS", str(records_folder))
    assert records.load("50_test", "tensorflow", {"epochs": 1})["losses"] == {"loss": [1.0]}
    records.save("50_test", "tensorflow", {"epochs": 1}, [2.0])
    assert records.load("50_test", "tensorflow", {"epochs": 1})["losses"] == {"loss": [2.0]}


def test_where_nothing_can_be_written_records_go_to_a_temporary_folder_and_say_so(records_folder, monkeypatch, capsys):
    (records_folder / "a file").write_text("in the way")
    monkeypatch.setenv("TANDEM_RECORDS", str(records_folder / "a file"))
    records.save("50_test", "pytorch", {}, [1.0])
    assert "cannot be written: this run's record is in" in capsys.readouterr().out
    assert records.load("50_test", "pytorch")["losses"] == {"loss": [1.0]}


def test_a_damaged_record_is_left_out_and_named(records_folder, capsys):
    (records_folder / "50_test_pytorch.json").write_text('{"lesson": ')
    assert records.load("50_test", "pytorch") is None
    assert "50_test_pytorch.json cannot be read" in capsys.readouterr().out


def _write_often(number):
    for _ in range(100):
        records.save("50_test", "pytorch", {"number": number}, [float(number)] * 2000)


def test_a_twin_that_reads_while_two_kernels_write_finds_a_whole_record(records_folder):
    _write_often(0)
    writers = [multiprocessing.get_context("spawn").Process(target=_write_often, args=(number,)) for number in (1, 2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        text = (records_folder / "50_test_pytorch.json").read_text()
        assert len(set(json.loads(text)["losses"]["loss"])) == 1
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert os.listdir(records_folder / "temporary") == [] and not list(records_folder.glob("*.part"))


def test_the_difference_of_records_is_relative_and_as_long_as_the_shorter(records_folder):
    assert np.allclose(records.relative_difference([1.0, 2.0, 3.0], [1.0, 1.0]), [0.0, 0.5])
    assert np.array_equal(records.relative_difference([0.0], [0.0]), [0.0])
