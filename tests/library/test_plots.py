"""Figures: what they claim, what they say in words, and colours that everybody can tell apart."""
import itertools
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from tandem import plots

ALL = {"PyTorch": plots.PYTORCH, "TensorFlow": plots.TENSORFLOW}
ALL |= {f"other {number}": colour for number, colour in enumerate(plots.OTHERS)}

# How linear red, green and blue look without one kind of cones: Machado, Oliveira and Fernandes (2009),
# doi:10.1109/TVCG.2009.113.
SIGHT = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "no blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
WHITE = TO_XYZ.sum(axis=1)


@pytest.fixture(autouse=True)
def no_window():
    matplotlib.use("agg")
    yield
    plt.close("all")


def linear(colour):
    """sRGB, "#RRGGBB", as linear red, green and blue."""
    values = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast_on_white(colour):
    """The contrast ratio of WCAG 2.2."""
    return 1.05 / (TO_XYZ[1] @ linear(colour) + 0.05)


def lab(rgb):
    """CIE L*a*b* of linear red, green and blue: the distance of two is about what the eye sees, L* what is left in grey."""
    x, y, z = np.cbrt(TO_XYZ @ np.clip(rgb, 0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def pairs(colours):
    return itertools.combinations(colours.values(), 2)


@pytest.mark.parametrize("colour", ALL.values(), ids=ALL)
def test_a_colour_stands_out_from_white_paper(colour):
    assert contrast_on_white(colour) >= 3


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_stay_apart_for_colour_blind_readers(sight):
    seen = {name: lab(SIGHT[sight] @ linear(colour)) for name, colour in ALL.items()}
    others = {name: colour for name, colour in seen.items() if name.startswith("other")}
    assert min(np.linalg.norm(one - other) for one, other in pairs(others)) > 20
    assert min(np.linalg.norm(one - other) for one, other in pairs(seen)) > 14
    assert np.linalg.norm(seen["PyTorch"] - seen["TensorFlow"]) > 60


def test_colours_stay_apart_in_grey_and_dashes_and_hatches_part_the_frameworks():
    lightness = {name: lab(linear(colour))[0] for name, colour in ALL.items() if name.startswith("other")}
    assert min(abs(one - other) for one, other in pairs(lightness)) > 7
    plots.curves({"PyTorch": [1.0, 2.0], "TensorFlow": [1.0, 2.0]}, "Two lines")
    assert [line.get_linestyle() for line in plt.gca().lines] == ["-", "--"]
    plots.bars({"PyTorch": 1, "TensorFlow": 2, "NumPy": 3}, "Three bars", "seconds")
    assert [bool(bar.get_hatch()) for bar in plt.gca().patches] == [False, True, False]


def test_a_run_of_one_epoch_shows_a_point():
    """Found with epochs 1: one point draws no line."""
    plots.curves({"loss": [0.5]}, "One epoch")
    plots.curves({"loss": [0.5, 0.4, 0.3, 0.2]}, "Four epochs", axes=plt.subplots()[1])
    first, second = (plt.figure(number).axes[0].lines[0] for number in plt.get_fignums())
    assert first.get_marker() == "o" and second.get_marker() in ("None", None)


def records_of(pytorch, tensorflow):
    return ({"framework": "pytorch", "losses": {"loss": pytorch}, "made": "now"},
            {"framework": "tensorflow", "losses": {"loss": tensorflow}, "made": "shipped with the lesson"})


@pytest.mark.parametrize("last, title", [(0.2501, "Both twins draw one curve"), (0.3, "The twins' loss, and how far they part")])
def test_the_twins_figure_claims_one_curve_only_where_there_is_one(last, title):
    mine, twin = records_of([1.0, 0.5, 0.25], [1.0, 0.5, last])
    plots.twins(mine, twin)
    assert plt.gcf().axes[0].get_title("left") == title
    assert plt.gcf().get_supxlabel() == "TensorFlow's run: shipped with the lesson"


def test_without_a_twin_the_figure_says_what_to_do():
    mine, _ = records_of([1.0, 0.5], [])
    plots.twins(mine, None)
    assert "run the other" in plt.gca().get_title("left")


def drawn(draw):
    """The figure that `draw` draws."""
    draw()
    plt.gcf().canvas.draw()
    return plt.gcf()


def _by_hand():
    _, (left, right) = plt.subplots(1, 2)
    left.scatter([1, 2], [3, 4], label="passengers")
    left.set(title="Who paid\nmore", xlabel="fare [£]", ylabel="age $a_i$")
    right.imshow(np.zeros((2, 2)))
    right.set_title("Nothing to see", loc="center")


SAID = {
    "lines": (lambda: plots.curves({"PyTorch": [2, 1, 0.5, 0.25], "TensorFlow": [2, 1, 1, 0.5]}, "Loss falls", log=True),
              "Loss falls: lines of loss (log scale) against step: PyTorch from 2 to 0.25, TensorFlow from 2 to 0.5."),
    "bars": (lambda: plots.bars({"PyTorch": 3.14159, "NumPy": 1}, "NumPy waits less", "seconds"),
             "NumPy waits less: bars along seconds: PyTorch 3.14, NumPy 1."),
    "pictures": (lambda: plots.images(np.zeros((12, 4, 4)), "The worst mistakes", ["shirt"] * 6 + ["bag"] * 6),
                 "The worst mistakes. 12 pictures: shirt, bag."),
    "histograms": (lambda: plots.distributions({"layer 1": np.arange(99), "layer 2": np.arange(99)}, "Both stay wide", "value"),
                   "Both stay wide. Histogram of layer 1. Histogram of layer 2 against value."),
    "by hand": (_by_hand, "Who paid more: points of age a_i against fare [£]: passengers. Nothing to see: picture."),
}


@pytest.mark.parametrize("draw, said", SAID.values(), ids=SAID)
def test_a_figure_says_in_words_what_it_shows(draw, said):
    assert plots.alt_text(drawn(draw)) == said


def test_an_author_can_say_it_better():
    plots.curves({"loss": [2.0, 1.0]}, "Loss falls")
    plots.describe("A loss that halves.")
    assert plots.alt_text(plt.gcf()) == "A loss that halves."


def test_what_is_said_has_an_end():
    plots.curves({f"a line with a long name, number {number}": [1.0, 2.0] for number in range(99)}, "Too many")
    assert len(plots.alt_text(plt.gcf())) <= plots.LONGEST_TEXT + 2


def test_figures_of_a_notebook_are_shown_under_any_backend_and_carry_their_words(monkeypatch):
    """Found with `MPLBACKEND=agg papermill`: no error, and no figure at all."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = ["from tandem import plots\nplots.curves({'loss': [4.0, 3.0, 2.0, 1.0]}, 'The first cell')",
             "import matplotlib.pyplot as plt\nfor name in ('One', 'Two'):\n    plt.subplots()[1].set_title(name + ' by pyplot')",
             "plt.plot([1, 2])\nplots.describe('Said by its author')\nplt.show()"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    said = [output.metadata["image/png"]["alt"] for cell in notebook.cells for output in cell.outputs
            if "image/png" in output.get("data", {})]
    assert said == ["The first cell: lines of loss against step: loss from 4 to 1.", "One by pyplot: drawing.",
                    "Two by pyplot: drawing.", "Said by its author"]


def test_outside_a_notebook_the_backend_stays():
    code = "import matplotlib; matplotlib.use('svg'); from tandem import plots; print(matplotlib.get_backend())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert done.stdout.strip() == "svg", done.stderr
