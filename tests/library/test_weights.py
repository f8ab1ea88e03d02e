"""Starting weights, and the way into a model of either framework and back."""
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tandem import FRAMEWORKS, weights

LAYERS = str(pathlib.Path(__file__).with_name("layers.py"))


def run(*command):
    """Runs Python in a process of its own: one that holds a single framework."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_weights_come_back_as_they_went_in_and_a_misfit_changes_nothing(framework, tmp_path):
    run(LAYERS, "plain", framework, str(tmp_path / "unused.npy"))


@pytest.mark.parametrize("kind", ["sequence", "picture"])  # recurrent and attention layers; normed maps and a layer of one's own
def test_layers_compute_the_same_from_the_same_weights(kind, tmp_path):
    for framework in FRAMEWORKS:
        run(LAYERS, kind, framework, str(tmp_path / f"{framework}.npy"))
    pytorch, tensorflow = (np.load(tmp_path / f"{framework}.npy") for framework in FRAMEWORKS)
    assert np.abs(pytorch - tensorflow).max() < 1e-5


def test_an_instance_norm_that_keeps_statistics_is_refused():
    code = ("from torch import nn; from tandem import weights; from tandem.pytorch import load_weights\n"
            "load_weights(nn.InstanceNorm2d(2, affine=True, track_running_stats=True), {'norm': weights.group_norm(2)})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert "take the default" in done.stderr.splitlines()[-1]


def test_an_lstm_with_two_biases_is_refused_with_what_to_do():
    code = ("from torch import nn; from tandem import weights; from tandem.pytorch import load_weights\n"
            "load_weights(nn.LSTM(3, 2), {'lstm': weights.lstm(weights.generator(0), 3, 2)})")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert "set bias_hh_l0 to zero" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("scheme, deviation",
                         [("glorot", (2 / 500) ** 0.5), ("he", (2 / 200) ** 0.5), ("lecun", (1 / 600) ** 0.5), (0.02, 0.02)])
def test_starting_weights_have_the_spread_of_their_scheme(scheme, deviation):
    drawn = weights.dense(weights.generator(1), 200, 300, scheme)["kernel"]
    assert drawn.dtype == np.float32 and abs(drawn.std() / deviation - 1) < 0.02


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="take 'glorot', 'he', 'lecun'"):
        weights.dense(weights.generator(0), 2, 2, "xavier")
