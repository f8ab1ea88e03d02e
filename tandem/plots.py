"""Every figure that more than one lesson draws, in one style. Importing this module sets Matplotlib's style.

Each framework keeps one colour and one line style throughout: PyTorch vermilion and solid, TensorFlow blue and dashed
(from the colour-blind safe palette of Okabe and Ito; the dashes survive a black-and-white print). A figure's title
states what to see in it.
"""
import matplotlib.pyplot as plt
import numpy as np

from tandem import FRAMEWORK_NAMES
from tandem.records import relative_difference, unit

PYTORCH, TENSORFLOW = "#D55E00", "#0072B2"
FRAMEWORK_STYLES = {
    "PyTorch": {"color": PYTORCH, "linestyle": "-"},
    "TensorFlow": {"color": TENSORFLOW, "linestyle": (0, (4, 2))},
}
OTHERS = ("#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9", "#777777")
"""Colours of everything that is not a framework, in this order."""

plt.rcParams.update({
    "figure.figsize": (7.0, 3.6),
    "figure.constrained_layout.use": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=OTHERS),
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "image.cmap": "gray",
})


def smooth(values, window):
    """The running mean over `window` values; as many values as can be averaged in full."""
    return np.convolve(values, np.ones(window) / window, mode="valid")


def curves(series, title, x_label="step", y_label="loss", log=False, window=1, axes=None):
    """Draws {label: values}, one line each. Labels "PyTorch" and "TensorFlow" get their framework's colour and dashes.

    values: numbers, or a pair (x, y). log: a logarithmic y axis. window: draw the running mean over so many values.
    axes: draw there instead of in a new figure.
    """
    axes = axes or plt.subplots()[1]
    for label, values in series.items():
        x, y = values if isinstance(values, tuple) else (np.arange(1, len(values) + 1), values)
        width = min(window, len(y))  # a run cut short may have fewer values than the window
        axes.plot(x[width - 1 :], smooth(y, width), label=label, **FRAMEWORK_STYLES.get(label, {}))
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    if log:
        axes.set_yscale("log")
    if len(series) > 1:
        axes.legend()


def bars(values, title, x_label, axes=None, log=False):
    """Draws {label: number} as horizontal bars, the first on top, each with its number."""
    axes = axes or plt.subplots(figsize=(7.0, 0.8 + 0.4 * len(values)))[1]
    colours = [FRAMEWORK_STYLES.get(label, {"color": OTHERS[0]})["color"] for label in values]
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, fmt="%.3g", padding=3)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    axes.set(title=title, xlabel=x_label)
    if log:
        axes.set_xscale("log")


def images(pictures, title, captions=None, columns=10, size=0.8):
    """Draws pictures, an array (n, height, width) or (n, height, width, 3), in a grid with `columns` columns.

    captions: one short text a picture. size: of a picture, in inches. Grey pictures are drawn from 0 (black) to 1 (white).
    """
    rows = -(-len(pictures) // columns)
    height = size * (1.3 if captions is not None else 1.0)
    figure, grid = plt.subplots(rows, columns, figsize=(size * columns, height * rows + 0.4), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for number, (axes, picture) in enumerate(zip(grid.flat, pictures)):
        axes.imshow(np.clip(picture, 0, 1), vmin=0, vmax=1)
        if captions is not None:
            axes.set_title(captions[number], fontsize=7, loc="center")
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")


def distributions(samples, title, x_label):
    """Draws {label: numbers} as one histogram a label, below each other on a shared x axis: activations by layer."""
    figure, column = plt.subplots(len(samples), figsize=(7.0, 0.5 + 0.9 * len(samples)), sharex=True, squeeze=False)
    for axes, (label, values) in zip(column.flat, samples.items()):
        axes.hist(np.ravel(values), bins=60, color=OTHERS[0])
        axes.set_yticks([])
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
    column[-1, 0].set_xlabel(x_label)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")


def twins(mine, twin, title="Both twins draw one curve", curve=None, window=1):
    """Draws the losses of two records and, below, how far they are apart at each step. `twin` may be None.

    curve: which of the record's losses (None: the first). window: the upper panel draws the running mean over so many losses, for
    curves so noisy that one would hide the other; the lower one always shows every step.
    """
    curve = curve or next(iter(mine["losses"]))
    together = {FRAMEWORK_NAMES[record["framework"]]: record["losses"][curve] for record in (mine, twin) if record}
    if twin is None:
        curves(together, "One twin so far: run the other, then this cell again", unit(curve), curve)
        return
    _, (upper, lower) = plt.subplots(2, figsize=(7.0, 4.8), sharex=True, height_ratios=(3, 2))
    curves(dict(sorted(together.items())), title, x_label="", y_label=curve, window=window, axes=upper)
    apart = relative_difference(*together.values())
    lower.plot(np.arange(1, apart.size + 1), np.maximum(apart, 1e-9), color=OTHERS[2], linewidth=1)
    lower.set(yscale="log", xlabel=unit(curve), ylabel="relative\ndifference")
