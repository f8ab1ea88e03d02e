"""Data: what each set holds, what is said when a file is spoilt, and the batch order."""
import re

import numpy as np
import pytest

import tandem
from tandem import data


FOLDER = tandem.ROOT / "data"


def test_fashion_mnist_is_stratified_and_scaled():
    (train_images, train_labels), (test_images, test_labels) = data.fashion_mnist()
    assert train_images.shape == (10_000, 28, 28) and test_images.shape == (2_000, 28, 28)
    assert train_images.dtype == np.float32 and train_labels.dtype == np.int64
    assert train_images.min() == 0 and train_images.max() == 1
    assert set(np.bincount(train_labels)) == {1_000} and set(np.bincount(test_labels)) == {200}


def test_emoji_are_the_same_glyphs_in_both_styles():
    pictures, table = data.emoji()
    assert all(glyphs.shape == (3_786, 32, 32, 3) and glyphs.dtype == np.uint8 for glyphs in pictures.values())
    assert list(table["tone"] == "") == [True] * 1_911 + [False] * 1_875
    apple, = np.flatnonzero(table["name"] == "RED APPLE")
    for glyphs in pictures.values():
        red, green, blue = glyphs[apple, 12:24, 10:22].mean((0, 1))
        assert red > 1.5 * max(green, blue) and (glyphs[apple, 0, 0] == 255).all()


def test_penguins_are_measured_and_named():
    measurements, species = data.penguins()
    assert measurements.shape == (342, 4) and np.isfinite(measurements).all()
    assert list(np.bincount(species)) == [151, 68, 123]


def test_surnames_have_a_language_each():
    names, languages = data.surnames()
    assert len(names) == len(languages) == 16_367 and len(set(languages)) == 14
    assert len(set(zip(names, languages, strict=True))) == 16_367 and max(map(len, names)) == 20
    assert "Kowalski" in names and languages[names.index("Kowalski")] == "Polish"


def test_the_weather_has_every_day_once():
    dates, measurements = data.seattle_weather()
    assert str(dates[0]) == "2012-01-01" and set(np.diff(dates).astype(int)) == {1}
    assert (
        measurements.shape == (1461, 4) and np.isfinite(measurements).all() and (measurements[:, 1] >= measurements[:, 2]).all()
    )


def test_no_line_of_the_held_out_plays_is_trained_on():
    training, held_out = data.shakespeare()
    assert "Is this a dagger" in held_out and "Is this a dagger" not in training
    assert "To be, or not to be" in training and len(training) == 4_592_018 and set(held_out) <= set(training)


def test_seed_runs_hold_both_frameworks_with_the_same_number_of_seeds():
    for lesson, score, seeds in (("06_convolution", "test_accuracy", 6), ("11_dcgan", "distance", 5)):
        runs = data.seed_runs(lesson)
        counted = {framework: scores[score].shape for framework, scores in runs.items()}
        assert counted == dict.fromkeys(tandem.FRAMEWORKS, (seeds,))


def test_default_runs_hold_every_step_of_both_walks_with_and_without_batch_norm():
    runs = data.default_runs()
    states = [state for framework, batch_norm, state in runs if framework == "pytorch" and batch_norm]
    assert states == [
        "as it comes",
        "drawn by NumPy",
        "kernel",
        "bias",
        "norm_momentum",
        "norm_epsilon",
        "slope",
        "adam_epsilon",
    ]
    assert len(runs) == 2 * (8 + 6) and list(runs["tensorflow", False, "slope"]["epochs"]) == [1 / 8, 1 / 4, 1 / 2, 1, 2, 4]
    assert all(
        run[name].shape == (12, 6) and np.isfinite(run[name]).all() for run in runs.values() for name in ("loss", "accuracy")
    )


def test_spark_libraries_have_an_outcome_a_day_and_no_address_or_path_of_a_machine():
    rows = data.spark_libraries()
    assert {row["library"] for row in rows} == {"elephas", "TensorFlowOnSpark", "SparkFlow", "pyspark's TorchDistributor"}
    assert {row["outcome"] for row in rows} <= {"runs", "parts import", "does not run"}
    for row in rows:
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", row["released"]) and row["released"] < row["read_on"], row["library"]
        assert not re.search(r"/\w|://|\d+\.\d+\.\d+\.\d+", row["detail"]), f"{row['library']}: {row['detail']}"


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
    ("fashion_mnist.npz", data.fashion_mnist), ("penguins.csv", data.penguins), ("default_runs.csv", data.default_runs),
    ("surnames.csv.gz", data.surnames),
    ("seattle_weather.csv", data.seattle_weather), ("shakespeare.txt.gz", data.shakespeare),
    ("shakespeare_gpt.safetensors", data.shakespeare_gpt),
])
@pytest.mark.parametrize("spoil, says", [
    (spoil_missing, "is missing"), (spoil_truncated, "is damaged"), (spoil_altered, "is damaged"),
    (spoil_folder, "cannot be read"),
])
def test_a_spoilt_data_file_is_named_with_what_mends_it(tmp_path, monkeypatch, name, load, spoil, says):
    (tmp_path / "data").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "data" / name).write_bytes((tandem.ROOT / "data" / name).read_bytes())
    spoil(tmp_path / "data" / name)
    monkeypatch.setattr(tandem, "ROOT", tmp_path)
    with pytest.raises(data.DataError) as caught:
        load()
    message = str(caught.value)
    assert f"data/{name} {says}" in message and f"git checkout -- data/{name}" in message and "\n" not in message


def test_outside_a_checkout_a_spoilt_file_is_not_mended_with_git(tmp_path, monkeypatch):
    monkeypatch.setattr(tandem, "ROOT", tmp_path)
    with pytest.raises(data.DataError, match="download Tandem again"):
        data.penguins()


def test_every_data_file_has_a_checksum_a_licence_and_a_script_that_remakes_it():
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    shipped = {path.name for path in FOLDER.iterdir() if path.is_file() and path.suffix != ".md" and "_full" not in path.name}
    assert shipped == set(data.SHA256)
    sections = readme.split("\n## ")[1:]
    for name, digest in data.SHA256.items():
        section = next((one for one in sections if name in one.splitlines()[0]), "")
        assert digest in section and "- Licence: " in section, f"data/README.md has no whole section on {name}"
        script = re.search(r"\(make/(\w+\.py)\)", section)
        assert script and (FOLDER / "make" / script[1]).exists(), f"data/README.md names no script in data/make/ for {name}"


def test_batches_follow_the_seed_and_show_each_example_once_an_epoch():
    order = list(data.batch_order(103, 10, epochs=2, seed=5))
    assert len(order) == 20 and all(len(batch) == 10 for batch in order)
    assert len(set(np.concatenate(order[:10]))) == 100
    again = data.batch_order(103, 10, epochs=2, seed=5)
    assert all(np.array_equal(one, other) for one, other in zip(order, again, strict=True))
    assert not np.array_equal(order[0], order[10])
    assert not np.array_equal(order[0], next(data.batch_order(103, 10, epochs=2, seed=6)))


def test_a_batch_larger_than_the_data_is_refused():
    with pytest.raises(ValueError, match="take 1 to 5"):
        next(data.batch_order(5, 6, epochs=1, seed=0))
