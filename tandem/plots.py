"""Every figure that more than one lesson draws, in one style. Importing this module sets Matplotlib's style.

Each framework keeps one colour, one line style and one hatch throughout: PyTorch vermilion and solid, TensorFlow blue, dashed
and hatched (colours of Okabe and Ito; dashes and hatches survive a black-and-white print). A figure's title states what to see
in it. In a notebook every figure, whoever draws it, also carries a text for those who do not see it: `alt_text`, or what its
author says with `describe`.
"""
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from tandem import FRAMEWORK_NAMES
from tandem.records import relative_difference, unit, whose

PYTORCH, TENSORFLOW = "#D55E00", "#0072B2"
FRAMEWORK_STYLES = {
    "PyTorch": {"color": PYTORCH, "linestyle": "-"},
    "TensorFlow": {"color": TENSORFLOW, "linestyle": (0, (4, 2))},
}
FRAMEWORK_HATCHES = {"TensorFlow": "///"}
OTHERS = ("#009459", "#CC79A7", "#000000", "#704705", "#0B3F6C", "#616161")
"""Colours of everything that is not a framework, in this order: green, pink, black, brown, navy, grey. On white each has a
contrast above 3, and every two stay apart for colour-blind readers and in grey."""
FEW = 3  # points that a line alone would not show
ONE_CURVE = 0.01  # relative difference below which two curves cover each other
MANY = 12  # bars that nobody names one by one
LONGEST_TEXT = 500  # characters of a text that is read out

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
    "image.interpolation": "nearest",  # a picture's pixels as they are
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
        drawn = smooth(y, width)
        marker = "o" if len(drawn) <= FEW else None
        axes.plot(x[width - 1 :], drawn, label=label, marker=marker, **FRAMEWORK_STYLES.get(label, {}))
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    if log:
        axes.set_yscale("log")
    if len(series) > 1:
        axes.legend()


def bars(values, title, x_label, axes=None, log=False):
    """Draws {label: number} as horizontal bars, the first on top, each with its number."""
    axes = axes or plt.subplots(figsize=(7.0, 0.8 + 0.4 * len(values)))[1]
    colours = [FRAMEWORK_STYLES.get(label, {"color": OTHERS[0]})["color"] for label in values]
    hatches = [FRAMEWORK_HATCHES.get(label, "") for label in values]
    drawn = axes.barh(list(values), list(values.values()), color=colours, hatch=hatches, edgecolor="white", linewidth=0)
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
    for number, (axes, picture) in enumerate(zip(grid.flat, pictures, strict=False)):
        axes.imshow(np.clip(picture, 0, 1), vmin=0, vmax=1)
        if captions is not None:
            axes.set_title(captions[number], fontsize=7, loc="center")
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")


def distributions(samples, title, x_label):
    """Draws {label: numbers} as one histogram a label, below each other on a shared x axis: activations by layer."""
    figure, column = plt.subplots(len(samples), figsize=(7.0, 0.5 + 0.9 * len(samples)), sharex=True, squeeze=False)
    for axes, (label, values) in zip(column.flat, samples.items(), strict=True):
        axes.hist(np.ravel(values), bins=60, color=OTHERS[0])
        axes.set_yticks([])
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
    column[-1, 0].set_xlabel(x_label)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")


def twins(mine, twin, title=None, curve=None, window=1):
    """Draws the losses of two records and, below, how far they are apart at each step. `twin` may be None.

    title: None for one that the numbers bear out. curve: which of the record's losses (None: the first). window: the upper panel
    draws the running mean over so many losses, for curves so noisy that one would hide the other; the lower one always shows
    every step.
    """
    curve = curve or next(iter(mine["losses"]))
    together = {FRAMEWORK_NAMES[record["framework"]]: record["losses"][curve] for record in (mine, twin) if record}
    if twin is None:
        curves(together, "One twin so far: run the other, then this cell again", unit(curve), curve)
        return
    apart = relative_difference(*together.values())
    if title is None:
        title = "Both twins draw one curve" if apart.max() < ONE_CURVE else f"The twins' {curve}, and how far they part"
    figure, (upper, lower) = plt.subplots(2, figsize=(7.0, 4.8), sharex=True, height_ratios=(3, 2))
    curves(dict(sorted(together.items())), title, x_label="", y_label=curve, window=window, axes=upper)
    lower.plot(np.arange(1, apart.size + 1), np.maximum(apart, 1e-9), color=OTHERS[2], linewidth=1,
               marker="o" if apart.size <= FEW else None)
    lower.set(yscale="log", xlabel=unit(curve), ylabel="relative\ndifference")
    figure.supxlabel(whose(twin), x=0.99, ha="right", fontsize=8, color=OTHERS[5])


def describe(text, figure=None):
    """Says what there is to see in a figure (None: the current one) to those who do not see it, in the place of `alt_text`."""
    (figure or plt.gcf()).alt_text = text


def alt_text(figure):
    """What is drawn in a figure: its titles, what stands on its axes, and what each line or bar says, in one paragraph."""
    if said := getattr(figure, "alt_text", None):
        return said
    panels = [axes for axes in figure.axes if axes.has_data() or axes.texts or _title(axes)]
    panels = [axes for axes in panels if axes.get_label() != "<colorbar>"]
    if len(panels) > 4:
        captions = dict.fromkeys(_title(axes) for axes in panels)
        what = "pictures" if all(axes.images for axes in panels) else "panels"
        sentences = [f"{len(panels)} {what}: {', '.join(filter(None, captions))}"]
    else:
        sentences = [_panel(axes) for axes in panels]
    sentences = [_words(figure.get_suptitle()), *sentences]
    text = " ".join(sentence[0].upper() + sentence[1:].rstrip(":, ") + "." for sentence in sentences if sentence)
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT].rsplit(" ", 1)[0] + " …"


def _title(axes):
    return _words(axes.get_title("left") or axes.get_title("center"))


def _panel(axes):
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    lines = [line for line in axes.lines if line.get_transform() == axes.transData]
    many = any(len(container) > MANY for container in bars)
    drawn = {"picture": axes.images, "histogram" if many else "bars": bars, "lines": lines,
             "points": [found for found in axes.collections if isinstance(found, PathCollection)],
             "areas": [found for found in axes.collections if not isinstance(found, PathCollection)]}
    kinds = " and ".join(kind for kind, found in drawn.items() if len(found)) or "drawing"
    y, x = (_label(axis) for axis in (axes.yaxis, axes.xaxis))
    labels = f"of {y} against {x}" if y and x else f"of {y}" if y else f"along {x}" if x else ""
    details = [_ends(line) for line in lines] + [value for container in bars for value in _lengths(axes, container)]
    details += axes.get_legend_handles_labels()[1]  # of what is neither
    named = [detail for detail in dict.fromkeys(map(_words, details)) if detail and not detail.startswith("_")]
    named = [detail for detail in named if not any(other.startswith(f"{detail} from ") for other in named)]
    return ": ".join(filter(None, (_title(axes), f"{kinds} {labels}".strip(), ", ".join(named))))


def _label(axis):
    label = _words(axis.get_label_text())
    return f"{label} (log scale)" if label and axis.get_scale() == "log" else label


def _ends(line):
    """"loss from 2.3 to 0.31": where a named line begins and ends."""
    heights = np.asarray(line.get_ydata(orig=False), "float64")
    heights = heights[np.isfinite(heights)]
    return f"{line.get_label()} from {heights[0]:.3g} to {heights[-1]:.3g}" if heights.size else line.get_label()


def _lengths(axes, container):
    """["PyTorch 3.1", …]: the bars that have names, with their lengths; none where there are too many, as in a histogram."""
    lying = container.orientation == "horizontal"
    axis = axes.yaxis if lying else axes.xaxis
    places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)  # a shared axis has places and no labels
    names = {round(float(place), 3): label.get_text() for place, label in places}
    series = "" if container.get_label().startswith("_") else f", {container.get_label()}"
    found = []
    for bar in container if len(container) <= MANY else ():
        (x, y), width, height = bar.get_xy(), bar.get_width(), bar.get_height()
        middle, length = (y + height / 2, width) if lying else (x + width / 2, height)
        found.append((names.get(round(middle, 3)), length))
    return [f"{name}{series} {length:.3g}" for name, length in found if name]


def _words(text):
    """A label without line breaks and without the signs of TeX."""
    return " ".join(text.replace("$", "").replace("\\", "").replace("{", "").replace("}", "").split())


def _enter_notebook():
    """In a notebook: figures appear below their cell, whatever MPLBACKEND says, and each brings its text along."""
    shell = get_ipython()
    if not hasattr(shell, "kernel"):
        return
    if "nbagg" not in (backend := str(matplotlib.get_backend(auto_select=False)).lower()) and "ipympl" not in backend:
        shell.enable_matplotlib("inline")  # figures that can be turned and zoomed stay so
    pictures = shell.display_formatter.formatters["image/png"]
    draw = pictures.for_type(Figure)
    if draw is None:
        return  # a learner has chosen another format

    def draw_and_say(figure):
        drawn = draw(figure)
        if drawn is None:
            return None
        picture, metadata = drawn if isinstance(drawn, tuple) else (drawn, {})
        try:
            text = alt_text(figure)
        except (AttributeError, TypeError, ValueError):  # an unheard-of kind of drawing: the figure is worth more than its text
            text = _words(figure.get_suptitle()) or "figure"
        return picture, metadata | {"alt": text}

    pictures.for_type(Figure, draw_and_say)


_enter_notebook()
