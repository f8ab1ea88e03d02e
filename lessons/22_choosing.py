# ---
# minutes: {read: 55, run: 1, exercises: 30}
# seconds: 90
# memory_mb: 1500
# needs: []
# proof: none
# ---

# %% [markdown]
# # 22 · The verdict: sixteen claims and your choice
#
# Sixteen claims about PyTorch and TensorFlow meet the numbers of twenty-one lessons; you see which survive, and choose a framework for reasons that you can check.
#
# - **You will build** an interval around a difference, a verdict that is computed from records, and a guide that answers your own case.
# - **You will learn** why one run is an anecdote, what a claim needs before it can be true or false, and which differences between the frameworks are left when the networks are the same.
# - **You need** lessons 1 to 21, or trust in what they recorded; no framework is imported until the last part, which starts both in another process.

# %% [markdown]
# Lesson 21 trained one network in several processes, as if on several machines, and left open the question with which most people begin: *which of the two should I take?*
# The curriculum grew out of an article of 2024 that answers it, Codecademy's *PyTorch vs TensorFlow* ([lesson 2](02_training_pytorch.ipynb)), with what we number as sixteen claims, here in our words.
# Most lessons tested one or two of them in passing; here they stand in one place, each with a verdict and the number behind it.
#
# A verdict is passed on a **claim**, not on a framework.
# There are four:
#
# | verdict | means |
# |---|---|
# | **holds** | the numbers say so, today, in the versions used here |
# | **held once** | true of a version, a tool or a market that is gone |
# | **does not hold** | the numbers, or what was read, say otherwise; or it claims a lead, and the other does the same |
# | **cannot be measured here** | it is about people, or about counts that we did not repeat, which no run of a notebook decides; or a run that it needs failed |
#
# ## Set-up

# %% tags=["classroom"]
import functools
import textwrap
from dataclasses import dataclass

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from matplotlib.transforms import offset_copy

from tandem import FRAMEWORKS, ROOT, data, plots, records
from tandem.exercises import attempt

# %% [markdown]
# What the lessons found lies in their **records**, one small file a notebook.
# Nothing below is typed that could be read there.
# The records are those that come with the lessons; to judge by runs of your own, set `my_own_runs = True` and run the lessons first.
# Where one of yours is missing, a sentence says which notebook to run, and the one that came with the lessons stands in.

# %%
my_own_runs = False
place = records.folder() if my_own_runs else records.shipped()


@functools.cache  # so that a missing record is told of once
def scores_of(lesson, framework):
    """{name: score} of one notebook's record."""
    record = records.load(lesson, framework, place=place)
    if record is None:
        print(f"No run of yours of {lesson}_{framework}.ipynb: run it first."
              " Until then the shipped one stands in.")
        record = records.load(lesson, framework, place=records.shipped())
    return record["scores"]


def score(lesson, name):
    """(PyTorch's, TensorFlow's) score of this name in a lesson's records."""
    return [scores_of(lesson, framework)[name] for framework in FRAMEWORKS]

# %% [markdown]
# For example lesson 6, the residual network:

# %%
accuracies = score("06_convolution", "test_accuracy")
for framework, accuracy in zip(FRAMEWORKS, accuracies, strict=True):
    print(f"{framework:11} {accuracy:.4f}")
better = FRAMEWORKS[int(np.argmax(accuracies))]
print("the better one:", better)

# %% [markdown]
# There is a winner!
# An article could be made of these two lines, and some were.
# What would it be worth?
#
# ## One run is an anecdote
#
# The same lesson, the same code, with another seed: other starting weights and another order of batches, in both frameworks the same.
# Six seeds (`python -m tandem sweep 06 -p seed 0:6`, lesson 21):

# %%
runs = data.seed_runs("06_convolution")
by_seed = {name: runs[name]["test_accuracy"] for name in FRAMEWORKS}
print("seed   PyTorch  TensorFlow  the better one")
for seed, (one, other) in enumerate(zip(*by_seed.values(), strict=True)):
    name = ("neither" if one == other else
            "PyTorch" if one > other else "TensorFlow")
    print(f"{seed:4} {one:9.4f} {other:11.4f}  {name}")

# %% [markdown]
# The winner is not always the same.
# (Row 0 has the seed of the run above and is another run of it: sums taken in another order, as by another number of threads, round a last digit otherwise, and in float32 training makes such a difference grow until it shows. That is also how the twins of a row, which start equal, part.)
# Each row could have been the only one in an article, and its author would have seen a winner.
#
# What we want to know is not who won a run but the **difference on average**, and how far our few runs leave that average open.
# The twins of a row had the same weights and batches, so, as in lesson 4, take the difference within each row first: what a lucky seed gives, it gives to both.
# Of $n$ such differences with mean $\bar d$ and standard deviation $s$ the average over all possible seeds lies, 19 times in 20, within
#
# $$\bar d \pm t \, \frac{s}{\sqrt n},$$
#
# where $t$ is larger than 2, the more so the fewer the runs (2.57 for six, 2.20 for twelve), because $s$ is itself an estimate (Student, 1908; here from a table, for $n - 1$ degrees of freedom, and exact where the differences are spread like a bell).

# %% tags=["classroom"]
STUDENT = {3: 3.182, 4: 2.776, 5: 2.571, 11: 2.201}  # 95 %, two-sided


def interval(pytorch, tensorflow):
    """(low, mean, high) of PyTorch − TensorFlow, paired by seed, 95 %."""
    apart = np.subtract(pytorch, tensorflow)
    mean = apart.mean()
    margin = (STUDENT[apart.size - 1] * apart.std(ddof=1)
              / np.sqrt(apart.size))
    return mean - margin, mean, mean + margin

# %% [markdown]
# An interval that covers 0 says: with so many seeds no difference was found.
# It does not say that there is none; it says how small it is, if there is one.

# %%
low, mean, high = interval(*by_seed.values())
print(f"lesson 6: {mean:+.4f}, between {low:+.4f} and {high:+.4f}")
print("covers 0:", bool(low < 0 < high))
assert low < 0 < high

# %% [markdown]
# So much for the winner.
# With equal weights, equal batches and equal defaults the two are equal within half a percentage point.
# More was not to be found: computed in float64, the losses of this pair agree to ten digits (`make proof`).
#
# ### Defaults against defaults
#
# Claim **C12** says something else: *TensorFlow's models are more accurate, early on*.
# Whoever says that compares the frameworks as they come.
# Lesson 4 did so, with twelve seeds, with batch normalisation and without:

# %%
defaults = data.default_runs()
early, late = 0, -1  # of the six looks at the test images
differences = {}
for normalised, name in ((False, "without batch norm"),
                         (True, "with batch norm")):
    pair = [defaults[framework, normalised, "as it comes"]
            for framework in FRAMEWORKS]
    for look, when in ((early, "early"), (late, "at the end")):
        accuracies = [runs["accuracy"][:, look] for runs in pair]
        differences[f"{name}, {when}"] = accuracies
    epochs = pair[0]["epochs"][[early, late]]
equal_twins = "lesson 6: same weights and defaults"
differences[equal_twins] = list(by_seed.values())
print(f"early: after {epochs[0]} epochs; the end: after {epochs[1]:g}")

# %% [markdown]
# A dot is a seed, and the bar below the dots is the interval.
# The two panels have different scales:

# %%
intervals = {name: interval(*pair) for name, pair in differences.items()}


def draw_differences(axes, rows):
    for row, name in enumerate(rows):
        low, mean, high = intervals[name]
        colour = (plots.PYTORCH if low > 0 else
                  plots.TENSORFLOW if high < 0 else "0.35")
        dots = np.subtract(*differences[name])
        axes.scatter(dots, np.full(dots.size, row - 0.12), s=14, alpha=0.5,
                     color=colour)
        axes.errorbar(mean, row + 0.2, xerr=mean - low, fmt="|", capsize=4,
                      color=colour, linewidth=2)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)

# %% [markdown]
# Vermilion where the interval leaves 0 out on PyTorch's side, blue where it does on TensorFlow's, grey where it covers 0:

# %%
soon = [name for name in differences if name.endswith("early")]
later = [name for name in differences if name not in soon]
_, (upper, lower) = plt.subplots(2, figsize=(7.2, 4), height_ratios=(2, 3))
draw_differences(upper, soon)
draw_differences(lower, later)
upper.set_title("Who is more accurate early depends on one layer")
lower.set(title="Later, on a finer scale",
          xlabel="test accuracy, PyTorch − TensorFlow")
plots.describe("Differences of test accuracy, PyTorch minus TensorFlow: "
               + "; ".join(f"{name} {mean:+.3f}, between {low:+.3f} and "
                           f"{high:+.3f}"
                           for name, (low, mean, high) in intervals.items()))
plt.show()

# %% [markdown]
# Early, the answer depends on whether the network has batch norm: one way TensorFlow is ahead, the other way PyTorch, both far beyond chance.
# The reason is not the framework but defaults: without batch norm mostly the spread of the first weights, with it the momentum of its running statistics (lesson 4 made the defaults equal one at a time, until the curves lay on each other).
# At the end a tenth of it or less is left: nothing that leaves 0 out without batch norm, about 0.7 points, between 0.2 and 1.2, for PyTorch with it.
# And with equal defaults there is nothing that six seeds can find.

# %% tags=["folded"]
signs = {name: np.sign(low) if low * high > 0 else 0
         for name, (low, _, high) in intervals.items()}
assert signs["without batch norm, early"] == -1
assert signs["with batch norm, early"] == 1
assert signs["without batch norm, at the end"] == 0
assert signs["with batch norm, at the end"] == 1
assert intervals["with batch norm, at the end"][1] < 0.01
assert abs(intervals[equal_twins][1]) < 0.005

# %% [markdown]
# ## What is easier to write?
#
# Three claims are about ease: **C1** (PyTorch is easier for beginners), **C2** (TensorFlow needs much code, Keras less), **C13** (GANs are easier in PyTorch).
# Whether something is *easy* a person would have to say, and many persons; we have asked none.
# What can be counted is what there is to write and to know.
# Lesson 2 counted both for one network, written in four ways and as a whole program; now count all lessons that can be counted.
# Most pairs of notebooks mark the cells that define their network and their training step, and the twin proof says that the two sides of these compute the same: never was "the same program" meant more strictly.
#
# Lines are easy: as Python itself would write them, imports apart.
# Names are not.
# Whoever looks for what begins with `torch` or `keras` misses `loss.backward()`, `network.parameters()` and whatever else one calls on an object of the framework's.

# %% tags=["folded"]
import ast


def names_in(tree, methods):
    """The framework's names that some code uses, with its methods or not."""
    theirs, ours = set(), {"self"}  # by where a name comes from
    nodes, found = list(ast.walk(tree)), set()
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                source = getattr(node, "module", None) or alias.name
                side = (theirs if source.split(".")[0] in
                        ("torch", "tensorflow", "keras") else ours)
                side.add((alias.asname or alias.name).split(".")[0])
    for node in (one for one in nodes if isinstance(one, ast.Attribute)):
        dotted = ast.unparse(node)
        plain = dotted.replace(".", "").isidentifier()
        if plain and dotted.split(".")[0] in theirs:
            found.add(dotted)
        elif methods and not (plain and dotted.split(".")[0] in ours):
            found.add(f".{node.attr}")
    return {name for name in found  # the longest: not also "keras.layers"
            if not any(longer.startswith(f"{name}.") for longer in found)}

# %% [markdown]
# What Python's and NumPy's own objects have (`.append`, `.shape`) is no framework's, nor is what our own classes define:

# %% tags=["folded"]
PYTHONS = set().union(*map(dir, (dict, list, str, np.ndarray)))


def counted(lesson, framework):
    """(lines, names, names without methods) of a notebook's network cells."""
    path = ROOT / "notebooks" / f"{lesson}_{framework}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    tree = ast.parse("\n".join(
        cell.source for cell in cells
        if "network" in cell.metadata.get("tags", ())))
    own = {node.name for node in ast.walk(tree)
           if isinstance(node, ast.FunctionDef)}
    own |= {node.attr for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)}
    free = {f".{name}" for name in own | PYTHONS}
    length = sum(bool(line) and "import" not in line
                 for line in ast.unparse(tree).splitlines())
    return (length, len(names_in(tree, methods=True) - free),
            len(names_in(tree, methods=False)))

# %% [markdown]
# Of all pairs of notebooks that have such cells:

# %%
lessons = sorted(path.name.removesuffix("_pytorch.ipynb") for path
                 in (ROOT / "notebooks").glob("*_pytorch.ipynb"))
counts = {lesson: np.array([counted(lesson, name) for name in FRAMEWORKS])
          for lesson in lessons}
counts = {lesson: pair for lesson, pair in counts.items()
          if pair[:, 0].min() > 0}  # some lessons mark none
lines, names, without_methods = np.moveaxis(list(counts.values()), 2, 0)

# %% [markdown]
# A point is a lesson; on the line both have the same.

# %%
_, panels = plt.subplots(1, 2, figsize=(8, 3.7))
for axes, numbers, what in zip(panels, (lines, names),
                               ("lines", "names of the framework"),
                               strict=True):
    end = 1.08 * numbers.max()
    axes.plot([0, end], [0, end], color="0.7", linewidth=1)
    axes.scatter(*numbers.T, color="0.2", s=18)
    fewer = (numbers[:, 0] < numbers[:, 1]).sum()
    more = (numbers[:, 0] > numbers[:, 1]).sum()
    axes.set(xlabel=f"{what}, PyTorch", ylabel=f"{what}, Keras",
             title=f"PyTorch fewer in {fewer}, Keras in {more} "
                   f"of {len(numbers)}")
plots.describe("Lines and names of each lesson, Keras against PyTorch: the "
               "points lie about the line of equal numbers.")
plt.show()
for what, pair in {"lines": lines, "names": names,
                   "names without methods": without_methods}.items():
    ratio = pair[:, 0] / pair[:, 1]
    print(f"{what}: PyTorch has {np.median(ratio):.2f} times Keras'",
          f"(the middle lesson; from {ratio.min():.2f} to {ratio.max():.2f})")

# %% [markdown]
# The middle lesson has about as many lines and names in both.
# And look at the last two lines of print: with methods PyTorch has more names than Keras, without them fewer.
# Both are honest ways of counting, and one could have picked either; a difference that turns with the way of counting is none to choose a framework by.
# All these are loops of our own, since the proof needs one.
# Where Keras' `fit` does the training, lesson 2 has the numbers:

# %%
def ways(framework):
    """{way: (lines, concepts)} of lesson 2, for one framework."""
    found = scores_of("02_training", framework)
    return {name.removeprefix("lines, "):
            (found[name], found[name.replace("lines", "concepts")])
            for name in found if name.startswith("lines, ")}


for framework in FRAMEWORKS:
    for way, (length, concepts) in ways(framework).items():
        print(f"{framework:11} {way:24} {length:3} lines"
              f" {concepts:3} concepts")

# %% [markdown]
# Eight lines with `fit`, 27 and 34 with loops of one's own: **C2** is two statements, and the numbers bear out both, if "much" may mean a quarter more.
# (In this one program: over all pairs own loops are about equally long, as printed above, so the first half of C2 rests on lesson 2 alone.)
# For **C1** the counts disagree: the PyTorch loop asks for one concept less than the `GradientTape` loop, and Keras' whole program for four less than PyTorch's.
#
# ## What does the framework cost?
#
# **C9**: *PyTorch often trains faster* (the same architecture and data).
# Lesson 20 asked two processes in turn, one a framework, both on the same machine in the same minute, and kept the ratio within each round.
# First the plainest way of each that has a loop of one's own: eager PyTorch against a TensorFlow graph, three networks.
# (As everywhere here the ratio is PyTorch ÷ TensorFlow: below 1 PyTorch took less time.)
# PyTorch against a second PyTorch, by the same method, says how far from 1 a ratio may lie by chance: `off`.

# %%
networks = "dense", "convolutional", "transformer"
alone, paired = (scores_of("20_speed", framework) for framework in FRAMEWORKS)
control = [one for kind in networks  # of one network, or of all
           for one in alone.get(f"{kind}_host_over_guest", ())]
off = max(max(one, 1 / one) for one in control)


def ahead_at(slowest, fastest):
    """Who is ahead beyond the control, by PyTorch ÷ TensorFlow."""
    return ("PyTorch" if slowest < 1 / off else
            "TensorFlow" if fastest > off else "neither")


speed = {kind: [1 / one for one in paired[f"{kind}_host_over_guest"]]
         for kind in networks}  # recorded as TensorFlow ÷ PyTorch
for kind, (high, middle, low) in speed.items():
    print(f"{kind:14} PyTorch ÷ TensorFlow {middle:.2f} [{low:.2f} to "
          f"{high:.2f}]  ahead: {ahead_at(high, low)}")
print(f"the control is off by a factor of {off:.2f}")

# %% [markdown]
# (The middle half of the rounds in brackets.)
# An article could take other ways, and lesson 20 measured how much faster each is than the same framework's eager steps.
# From these follow the other pairings (PyTorch's mode first), if only in the middle; as spread they get that of the rounds above, and what was not measured is left out:

# %%
def faster(record, kind, mode):
    """How many times faster a mode is than eager steps, in the middle."""
    return 1 if mode == "eager" else record.get(
        f"{kind}_{mode}_speedup_over_eager", (0, np.nan))[1]


def pairing(kind, ours, theirs):
    """PyTorch ÷ TensorFlow, in seconds, for the faster mode of each."""
    one = np.max([faster(alone, kind, mode) for mode in ours])
    other = np.max([faster(paired, kind, mode) for mode in theirs])
    return speed[kind][1] * other / faster(paired, kind, "graph") / one


pairings = {
    "both eager": (["eager"], ["eager"]),
    "eager, and fit": (["eager"], ["fit"]),
    "eager, and a graph": (["eager"], ["graph"]),
    "the fastest of each": (["eager", "compile"], ["graph", "XLA", "fit"]),
}
by_mode = {name: [pairing(kind, *modes) for kind in networks]
           for name, modes in pairings.items()}

# %% [markdown]
# A point is a network; left of the line PyTorch is faster.

# %%
_, axes = plt.subplots(figsize=(7.2, 2.8))
for kind, mark, ratios in zip(networks, "os^", zip(*by_mode.values(),
                                                   strict=True), strict=True):
    axes.plot(ratios, range(len(by_mode)), mark, color="0.2", label=kind)
axes.axvline(1, color="black", linewidth=1)
axes.set_xscale("log")
axes.set_xticks([0.125, 0.25, 0.5, 1, 2], ["1/8", "1/4", "1/2", "1", "2"])
axes.minorticks_off()
axes.set_yticks(range(len(by_mode)), by_mode)
axes.set_ylim(3.5, -0.5)
axes.set(title="Who is faster depends on the modes, and on the network",
         xlabel="seconds of a step, PyTorch ÷ TensorFlow")
axes.legend(title="network", loc="lower left")
plots.describe("Seconds of a step, PyTorch by TensorFlow: " + "; ".join(
    f"{name} {', '.join(f'{ratio:.2f}' for ratio in ratios)}"
    for name, ratios in by_mode.items()))
plt.show()

# %% [markdown]
# The same in numbers, with who is ahead beyond what the control is off:

# %%
leaders = {name: [ahead_at(high / middle * ratio, low / middle * ratio)
                  for (high, middle, low), ratio
                  in zip(speed.values(), ratios, strict=True)
                  if np.isfinite(ratio)]  # without the unmeasured
           for name, ratios in by_mode.items()}
for name, who in leaders.items():
    print(f"{name:20}", *(f"{ratio:.2f}" for ratio in by_mode[name]),
          " ahead:", ", ".join(f"{one} in {who.count(one)}"
                               for one in sorted(set(who))))
agreed = [name for name, who in leaders.items()
          if len(who) == len(networks) and len(set(who)) == 1
          and who[0] != "neither"]
print("one is ahead with all networks:", "; ".join(agreed) or "nowhere")

# %% [markdown]
# Eager against eager PyTorch is several times faster, and that is the comparison that a newcomer makes by accident.
# Where one of them is ahead with all three networks, the last line says; in every other row it depends on the network who is ahead, or nobody is.
# A verdict on such a claim needs the network's name and the mode's, and still holds for one machine, one thread and two versions; lesson 20 lists studies that came out on either side.

# %% tags=["folded"]
assert max(by_mode["both eager"]) < 1 / 1.5
assert len({tuple(who) for who in leaders.values()}) > 1

# %% [markdown]
# What the notebooks themselves took, from top to bottom, is no fair comparison, since they do not do quite the same (lesson 20's mistakes 1 and 2 are in it).
# But it is what a learner waits for, and the memory is what a laptop needs:

# %% tags=["nbval-ignore-output"]
def measured(lesson, framework, what):
    path = ROOT / "notebooks" / f"{lesson}_{framework}.ipynb"
    return nbformat.read(path, as_version=4).metadata["tandem"][what]


whole = {what: np.array([[measured(lesson, framework, what)
                          for framework in FRAMEWORKS] for lesson in lessons])
         for what in ("seconds", "peak_mb")}
whole_ratio = {what: numbers[:, 0] / numbers[:, 1]
               for what, numbers in whole.items()}
for what, ratio in whole_ratio.items():
    print(f"{what:8} PyTorch ÷ TensorFlow: {np.median(ratio):.2f} in the"
          f" middle, from {ratio.min():.2f} to {ratio.max():.2f}")

# %% [markdown]
# ## The same network, elsewhere
#
# The other claims that a machine can test say that one framework can do what the other cannot: be debugged, be changed, be shipped, be shared.
# To these the twin check answers: if both did it, and the answers are the same, it is no advantage of either.
# So take from each record the largest difference between the twins' answers:

# %%
def apart(lesson, name):
    """The largest difference between the twins' lists of numbers."""
    return float(np.abs(np.subtract(*score(lesson, name))).max())


answers = {
    "a stranger's network (9)": apart("09_pretrained", "logits"),
    "a hub's folder, GELU by tanh (9)":
        apart("09_pretrained", "embedding_tanh"),
    "a small GPT (8)": apart("08_attention", "logits"),
    "a small DALL·E (15)": apart("15_text_to_image", "logits"),
    "on a small device (17)": apart("17_edge", "float_logits"),
    "in the browser (18)": apart("18_browser", "logits_in_javascript"),
    "exported for a server (19)": apart("19_serving", "first_answers"),
}
for name, difference in answers.items():
    print(f"{name:26} within 1e-3: {difference < 1e-3}")

# %% [markdown]
# Both, everywhere.
# (The hub's folder is the one with GELU by tanh; where the folder asks for the exact GELU, KerasHub computes the approximation all the same, some ten-thousandths off: lesson 9.)
# (The last are the exported programs' answers; that its server repeats them, lesson 19 asserts.)
# Training on several machines (21) and what happens while one works (3):

# %%
alike = {name: max(score("21_distributed", name))
         for name in ("by_hand_difference", "own_strategy_difference",
                      "killed_difference")}
surgery = max(map(abs, score("03_debugging", "loss_changed_by_surgery")))
mended = score("03_debugging", "bugs_mended")
for name, difference in alike.items():
    print(f"{name.replace('_', ' '):26} below 1e-12: {difference < 1e-12}")
print(f"widened in mid-training: loss changed by less than 1e-5: "
      f"{surgery < 1e-5}")
print("bugs mended in eager code, of six:", *mended)

# %% [markdown]
# Last, **C13** on generative networks: three networks with two players (lessons 12 and 13 did not ask; here their lines are counted), and the distance that lesson 11 reached with five seeds.

# %%
adversarial = [name for name in counts if name[:2] in ("11", "12", "13")]
gan_lines = {name: counts[name][0, 0] / counts[name][1, 0]
             for name in adversarial}
gan_runs = data.seed_runs("11_dcgan")
distances = [gan_runs[name]["distance"] for name in FRAMEWORKS]
gan_interval = interval(*distances)
step = score("11_dcgan", "step_lines")
for name, ratio in gan_lines.items():
    print(f"{name:14} lines, PyTorch ÷ Keras: {ratio:.2f}")
print("lesson 11, the step alone:", *step, "lines")
print(f"lesson 11, distance (lower is better): {gan_interval[1]:+.2f} "
      f"apart, between {gan_interval[0]:+.2f} and {gan_interval[2]:+.2f}; "
      f"{np.mean(distances):.1f} on average")

# %% [markdown]
# ## Sixteen verdicts
#
# Each claim in our words, with a rule that turns numbers into a verdict.
# The rules are written down so that you can quarrel with them: change one, and run on.

# %% tags=["classroom"]
HOLDS, ONCE = "holds", "held once"
NOT, UNKNOWN = "does not hold", "cannot be measured here"


@dataclass
class Verdict:
    """A claim's verdict and what it rests on.

    number: in a few characters. lessons: where it was measured; none for
    what was only read. ratio: (low, middle, high), PyTorch ÷ TensorFlow.
    read: it rests, wholly or in part, on what was read.
    """

    claim: str
    verdict: str
    number: str
    because: str
    lessons: tuple
    ratio: tuple | None = None
    read: bool = False

# %% [markdown]
# **Writing** (C1, C2, C13). Whether something is easier nobody was asked, so C1 and C13 cannot be measured here; beside them stands what was counted, and to whom all counts of it lean.
# One threshold serves all three: a difference of less than a tenth we call none, for want of a better rule (the names above show that even a larger one may turn with what one counts).

# %%
CLEARLY = 0.9  # times the other's number, or less


def lean(pairs):
    """To whom all pairs of counts lean clearly, or "neither"."""
    ratios = [one / other for one, other in pairs]
    return ("PyTorch" if max(ratios) <= CLEARLY else
            "TensorFlow" if min(ratios) >= 1 / CLEARLY else "neither")


loops = [ways(name)[way] for name, way in zip(
    FRAMEWORKS, ("nn.Module, own loop", "GradientTape, own loop"),
    strict=True)]
programs = [ways(name)["the whole program"] for name in FRAMEWORKS]
shortest = ways("tensorflow")["Sequential, fit"][0]
to_know = [(one[1], other[1]) for one, other in (loops, programs)]
some_names = np.percentile(names[:, 0] / names[:, 1], (25, 50, 75))
fewer_names = np.median(without_methods[:, 0] / without_methods[:, 1])
verdicts = {1: Verdict(
    "PyTorch is easier for beginners", UNKNOWN,
    f"names ×{fewer_names:.2f}, ×{some_names[1]:.2f}",
    "nobody was asked. Names in all pairs, without methods and with; and "
    "concepts in lesson 2, loop {} and {}, whole program {} and {}: these "
    "lean to ".format(*sum(to_know, ())) + lean(to_know), (2,),
    tuple(some_names))}

# %% [markdown]
# C2 has two halves, and both must be clear:

# %%
much = lean([(loops[0][0], loops[1][0])]) == "PyTorch"
less = lean([(shortest, loops[1][0])]) == "PyTorch"  # fit's lines, first
all_loops = np.median(lines[:, 0] / lines[:, 1])
verdicts[2] = Verdict(
    "TensorFlow needs much code, Keras less", HOLDS if much and less else NOT,
    f"{loops[1][0]} lines, with fit {shortest}",
    f"lines in lesson 2: own loops {loops[0][0]} (PyTorch) and {loops[1][0]} "
    f"(TensorFlow), with fit {shortest}. The verdict is this one program's: "
    f"over all pairs PyTorch's own loops have {all_loops:.2f} times the lines "
    "of TensorFlow's, in the middle", (2,),
    (loops[0][0] / loops[1][0],) * 3)

# %% [markdown]
# For C13 the lines of the three networks with two players, all cells that define them.
# (PyTorch's step of lesson 11 alone is shorter by more than a tenth: whoever counts that part has a winner.)

# %%
few, middle, many = np.percentile(list(gan_lines.values()), (0, 50, 100))
verdicts[13] = Verdict(
    "GANs are easier in PyTorch", UNKNOWN, f"lines ×{few:.2f} to ×{many:.2f}",
    f"nobody was asked; the lines of all three lean to "
    f"{lean(counts[name][:, 0] for name in adversarial)} (of lesson 11's "
    f"step alone {step[0]} and {step[1]}); distance {gan_interval[1]:+.2f} "
    f"[{gan_interval[0]:+.2f}, {gan_interval[2]:+.2f}]", (11, 12, 13),
    (few, middle, many))

# %% [markdown]
# **Changing and debugging** (C3, C4): they held of TensorFlow 1, whose graph had to be complete before anything ran (lesson 3 built one).
# Here, as in all that follows, a framework leads if it can do what the other cannot.
# If both do it, there is no lead; and if a twin's run fails, that may be our fault, so the claim stays open.

# %%
def led(both_can, before):
    """The verdict on a lead: before, now that both can what it was in."""
    return before if both_can else UNKNOWN


verdicts[3] = Verdict(
    "TensorFlow's static graphs make debugging hard",
    led(min(mended) == 6, ONCE), f"{mended[0]} and {mended[1]} of 6 bugs",
    "planted bugs found and mended in both with eager steps; TensorFlow's "
    "graphs are still there, and can be switched off to debug", (3,))
verdicts[4] = Verdict(
    "Only PyTorch changes a network on the go", led(surgery < 1e-5, ONCE),
    f"loss moved by {'< 1e-5' if surgery < 1e-5 else f'{surgery:.0g}'}",
    "depth that changes from step to step, and a network widened in "
    "mid-training: both, today. For surgery Keras makes a new object and "
    "traces once more: a convenience of PyTorch's and no lead", (3,),
    read=True)

# %% [markdown]
# **People** (C5 to C7): shares of papers, of developers, of searches.
# No notebook can count any of this.
# What was read, by whom it was counted, and what became of the count:

# %%
DATED = {  # not measured: number, whose, when
    5: ("51 → 59 %", "share of papers' repositories in PyTorch, 2020 to 2024"
        " (TensorFlow 10 → 2 %): the article, after Papers with Code, which "
        "shut down in July 2025"),
    6: ("11.5 and 7.6 %", "of professional developers use TensorFlow and "
        "PyTorch: Stack Overflow's survey of 2022, as L. Moroney reports it"),
    7: ("×1.8", "PyTorch's searches ÷ TensorFlow's: the article, 2024"),
    10: ("195,295 and 13,565", "models for PyTorch and TensorFlow on Hugging "
         "Face: the article, 2024; not counted again"),
}
for number, claim in ((5, "Researchers publish in PyTorch"),
                      (6, "More developers use TensorFlow"),
                      (7, "PyTorch is searched for more")):
    verdicts[number] = Verdict(claim, UNKNOWN, *DATED[number], (), read=True)

# %% [markdown]
# **Elsewhere** (C8, C10, C11, C14, C15).
# Where the article says that one framework leads, and both do it with the same answers, there is no lead.
# Where it only says that one can, that one's record decides; that the other can, too, stands in the line behind it.
# C8 takes three libraries for a sign: most of them should then run today.
# (PyTorch's own, the `TorchDistributor` that Spark itself brings, stands in the line behind; the rule does not use it.)

# %%
def same(*names):
    return max(answers[name] for name in names) < 1e-3


alive = score("21_distributed", "spark_libraries_alive")[0]
verdicts[8] = Verdict(
    "Spark's libraries show TensorFlow's community",
    HOLDS if alive > 1 else NOT, f"{alive} of 3 runs",
    "as installed today; Spark itself brings PyTorch's TorchDistributor. A "
    "sign of neither: both train in several processes without any", (21,),
    read=True)
number, what = DATED[10]
hub = answers["a hub's folder, GELU by tanh (9)"]
verdicts[10] = Verdict("Both have hubs, PyTorch the larger one", UNKNOWN,
                       number, f"{what}. That both have hubs holds: one "
                       f"folder, answers {hub:.0e} apart", (9,), read=True)

# %% [markdown]
# C14 joins two networks.
# GPT-2 is published ([openai/gpt-2](https://github.com/openai/gpt-2)); what we opened in both is a small GPT of our own (lesson 8) and a hub's folder with a tiny BERT (lesson 9, with GELU by tanh).
# Of DALL·E only one half was ever published ([openai/DALL-E](https://github.com/openai/DALL-E): "the discrete VAE and nothing else", as lesson 15 puts it), so through no hub anybody reaches the half of OpenAI's that draws from words.

# %%
published = {"GPT-2": True, "DALL·E": False}  # read, not measured
reached = [name for name, whole_one in published.items() if whole_one]
verdicts[14] = Verdict(
    "PyTorch reaches GPT and DALL·E through Hugging Face",
    HOLDS if len(reached) == len(published) else NOT,
    f"{len(reached)} of {len(published)}",
    f"{', '.join(reached)}: published (not opened here); of DALL·E the half "
    "that reads words never was. A GPT of ours and a BERT's folder answer "
    + ("alike" if same("a small GPT (8)", "a hub's folder, GELU by tanh (9)")
       else "otherwise") + " in both (exact GELU: lesson 9)", (8, 9, 15),
    read=True)

# %% [markdown]
# And of what is shipped, C11 in four parts: the device, the browser, a server written by hand, and one that the framework keeps, which is TensorFlow's alone since TorchServe is archived.
# To lead deployment is to lead in most of them.
# (Lesson 16's step, out of the notebook and into a file, comes before all four and is not counted; there neither was ahead.)
# (Which parts are somebody's alone was read, so no record of yours can turn this verdict to *holds*.)

# %%
shipped = ("on a small device (17)", "in the browser (18)",
           "exported for a server (19)")
leads = [False] * len(shipped) + [True]  # the last one read
per_request = np.divide(*score("19_serving", "one_at_a_time_seconds"))
farthest = max(answers[name] for name in shipped)
verdicts[11] = Verdict(
    "TensorFlow leads deployment",
    led(same(*shipped), HOLDS if np.mean(leads) > 0.5 else NOT),
    f"in {sum(leads)} of {len(leads)} parts",
    "a maintained server of its own; on devices, in browsers and behind a "
    f"server by hand both answer, {farthest:.0e} apart, and a request takes "
    f"PyTorch {per_request:.1f} times TensorFlow's seconds", (17, 18, 19),
    read=True)

# %% [markdown]
# C15 asks only for what TensorFlow's own notebooks recorded:

# %%
edge, browser = (scores_of(lesson, "tensorflow")
                 for lesson in ("17_edge", "18_browser"))
kept = edge["same"][int(np.argmax(edge["bytes"]))]  # the file in floats
moved = np.abs(np.subtract(browser["logits"],
                           browser["logits_in_javascript"])).max()
verdicts[15] = Verdict(
    "TensorFlow carries models to phones and browsers",
    HOLDS if kept > 0.99 and moved < 1e-3 else NOT, f"moved by {moved:.0e}",
    f"in the browser; in a device's runtime {kept:.1%} of the pictures get "
    "the network's own answer. PyTorch's models run in the same runtimes",
    (17, 18))

# %% [markdown]
# **Speed and accuracy** (C9, C12): intervals decide.
# C9 says *often* and names neither a network nor a mode, so it holds if PyTorch is ahead in most pairings that one would choose (TensorFlow's eager steps are left out), by more than the control is off.
# (How many there are with eager against eager, the line behind it says; some would call less than most often. And the rows are not independent: they share their networks.)

# %%
who = [one for name, ones in leaders.items()
       if name != "both eager" for one in ones]
with_eager = who + leaders["both eager"]
times = [middle for _, middle, _ in speed.values()]
verdicts[9] = Verdict(
    "PyTorch often trains faster",
    HOLDS if 2 * who.count("PyTorch") > len(who) else NOT,
    f"in {who.count('PyTorch')} of {len(who)} pairings",
    f"beyond the control, TensorFlow in {who.count('TensorFlow')} (with eager "
    f"against eager {with_eager.count('PyTorch')} and "
    f"{with_eager.count('TensorFlow')} of {len(with_eager)}); seconds of an "
    "eager PyTorch step ÷ a TensorFlow graph's: "
    + ", ".join(f"{kind} {ratio:.2f}" for kind, ratio
                in zip(networks, times, strict=True)), (20,),
    (min(times), np.median(times), max(times)))

# %% [markdown]
# For accuracy the two early leads decide; between them stand lesson 6's equal twins:

# %%
def accuracy_ratio(name):
    pytorch, tensorflow = map(np.mean, differences[name])
    return pytorch / tensorflow


cases = "without batch norm, early", equal_twins, "with batch norm, early"
highs = [intervals[name][2] for name in cases if name.endswith("early")]
low, mean, high = intervals[equal_twins]
verdicts[12] = Verdict(
    "TensorFlow's models are more accurate, early on",
    HOLDS if max(highs) < 0 else NOT, " and ".join(
        f"{intervals[name][1]:+.3f}" for name in cases[::2]),
    "early, PyTorch − TensorFlow, without and with batch norm; with equal "
    f"weights and defaults {mean:+.4f} ± {high - mean:.4f} at the end", (4, 6),
    tuple(accuracy_ratio(name) for name in cases))

# %% [markdown]
# **The advice** (C16): *PyTorch for beginners, prototypes and generative work; TensorFlow for custom features, production and the edge.*
# It rests on the claims before it: it falls with one that fell, and while none has, one that was not measured leaves it open.

# %%
rests_on = {"beginners": 1, "prototypes": 4, "generative work": 13,
            "production": 11, "the edge": 15}
fate = {word: verdicts[number].verdict for word, number in rests_on.items()}
fallen = [word for word, verdict in fate.items() if verdict in (NOT, ONCE)]
verdicts[16] = Verdict(
    "PyTorch to begin and create, TensorFlow to ship",
    NOT if fallen else UNKNOWN if UNKNOWN in fate.values() else HOLDS,
    f"{len(fallen)} of {len(fate)} reasons fell",
    "; ".join(f"{word}: {verdict}" for word, verdict in fate.items())
    + "; production by C11 as a whole, of servers alone TensorFlow has one "
    "part of two; of 'custom features' see the two questions below",
    (2, 3, 11, 12, 13, 17, 18, 19),
    read=any(verdicts[number].read for number in rests_on.values()))
assert sorted(verdicts) == list(range(1, 17)), "a claim is unanswered"

# %% [markdown]
# All of them at once.
# A mark in the coloured field is a ratio, PyTorch's number by TensorFlow's (lines, names, seconds, accuracy), with a bar for its range (C2's is of one program and has none); left of 1 PyTorch has less.
# Of C1 (names, methods counted) the bar is the middle half of the lessons.
# Of C12 the bar goes from one early lead to the other, its mark is lesson 6's equal twins, and less is worse.
# Beside it stands a number measured or read for the claim, then the verdict, and *read* where it rests on reading and not on our numbers alone.

# %%
COLOURS = {HOLDS: plots.OTHERS[0], ONCE: plots.OTHERS[3],
           NOT: plots.OTHERS[1], UNKNOWN: plots.OTHERS[5]}
MARKS = {HOLDS: "o", ONCE: "s", NOT: "X", UNKNOWN: "D"}


def draw_row(axes, row, one):
    """A claim's ratio in a row, and in columns its number and verdict."""
    colour, mark = COLOURS[one.verdict], MARKS[one.verdict]
    if one.ratio:
        low, middle, high = one.ratio
        axes.plot([low, high], [row, row], color=colour, linewidth=3)
        axes.plot(middle, row, mark, color=colour, markersize=9)
    columns = [{"transform": offset_copy(  # points right of the axes' edge
        axes.get_yaxis_transform(), axes.figure, right, 0, "points")}
        for right in (6, 122, 130)]
    axes.text(1, row, one.number, va="center", fontsize=9, **columns[0])
    axes.plot(1, row, mark, color=colour, clip_on=False, **columns[1])
    axes.text(1, row, one.verdict + "\nread" * one.read, color=colour,
              va="center", fontsize=9, **columns[2])

# %% [markdown]
# Rows in the order of the article:

# %%
in_order = dict(sorted(verdicts.items()))
found = [one.verdict for one in in_order.values()]
tally = "; ".join(f"{word}: {found.count(word)}" for word in COLOURS)
_, axes = plt.subplots(figsize=(8.7, 8))
axes.axvspan(0.5, 1, color=plots.PYTORCH, alpha=0.06)
axes.axvspan(1, 2.2, color=plots.TENSORFLOW, alpha=0.06)
axes.axvline(1, color="black", linewidth=1)
for row, one in enumerate(in_order.values()):
    draw_row(axes, row, one)
axes.set_xscale("log")
axes.set_title(tally, fontsize=9)
axes.set(xlim=(0.5, 2.2), ylim=(15.6, -0.6),
         xlabel="PyTorch ÷ TensorFlow\n← PyTorch less   TensorFlow less →")
axes.set_xticks([0.5, 0.7, 1, 1.4, 2], ["0.5", "0.7", "1", "1.4", "2"])
axes.minorticks_off()
axes.set_yticks(range(16), [textwrap.fill(f"C{number} {one.claim}", 30)
                            for number, one in in_order.items()], fontsize=9)
plots.describe("Sixteen claims and their verdicts. " + ". ".join(
    f"C{number} {one.verdict}" for number, one in in_order.items()))
plt.show()

# %% [markdown]
# And the numbers behind them, with the lesson of each (its PyTorch notebook; the twin is linked there), or *read*:

# %% tags=["nbval-ignore-output"]
from IPython.display import Markdown


def link(number):
    found = next((ROOT / "lessons").glob(f"{number:02}_*.py"))
    return f"[{number}]({found.stem}_pytorch.ipynb)"


rows = ["| | claim | verdict | number | what it is | lessons |",
        "|---|---|---|---|---|---|"]
for number, one in in_order.items():
    where = ", ".join([*map(link, one.lessons), *["read"] * one.read])
    rows.append(f"| C{number} | {one.claim} | **{one.verdict}** | "
                f"{one.number} | {one.because} | {where} |")
Markdown("\n".join(rows))

# %% [markdown]
# Read and not measured, in November 2026: C5, C7 and C10, in the article; C6, in [Moroney's note](https://laurencemoroney.com/2022/06/22/stackoverflow.html) of June 2022 (TensorFlow was his employer's); that TorchServe is [archived](https://github.com/pytorch/serve/issues/3396), since August 2025; that Spark brings a `TorchDistributor` (lesson 21); what OpenAI published of GPT-2 and DALL·E; that Keras builds a changed model anew (C4: said in lesson 3, and in no record); that transformers dropped TensorFlow, in the migration guide of its version 5.
#
# The faults of the claims are of few kinds: a version that is gone (C3, C4), defaults that are compared (C12), a thing that one framework has and the other is thought to lack (C11), a sign taken for the thing (C8), a thing that was never published (C14), no network and no mode named (C9); and C16 falls with what it rests on.
# And those that a reader may care about most, on ease and on people, are not ours to answer: *not measured* is a result, too.
# What *is* left of differences fits into a few lines, each from a lesson, from above or from the proof:
#
# - Memory: a PyTorch notebook of ours, all that is in it counted, takes the middle ratio printed above of its TensorFlow twin's, some hundreds of megabytes less.
# - First steps: an eager step of TensorFlow's is several times slower than PyTorch's, so one trains with graphs; these and PyTorch's eager steps are of one order (20).
# - Compilers: `torch.compile` takes seconds and a C++ compiler, and breaks graphs where Python decides; `tf.function` traces in a second, and hides what Python did once (3, 20).
# - Programs: with Keras' `fit` a training is less than a third of the lines of a loop, until you want something that it has no argument for (2).
# - Defaults: first weights, batch norm, Adam's epsilon: [findings](../docs/findings.md) lists all that the proof found.
# - The neighbourhood: Hugging Face's transformers is PyTorch's alone since its version 5; TensorFlow has a maintained server of its own (9, 19).
#
# ### Two questions to the article
#
# It contradicts itself twice.
# Find out where, before you unfold:
#
# 1. It says that TensorFlow "lacks flexibility". What does it recommend TensorFlow for, at the end (C16)?
# 2. It grants that Keras is easy. Which TensorFlow does it then judge (C2, C3)?
#
# <details>
# <summary>Where it contradicts itself</summary>
#
# 1. For *custom features*, which is what one needs flexibility for. Lesson 3 changed a network in mid-training in both, so neither half is needed.
# 2. One in which everybody writes static graphs by hand, as before 2019: the judgement is passed on one interface and the praise on another, and both are called TensorFlow. Lesson 2 kept its ways apart for that reason.
#
# </details>

# %% [markdown]
# ## Your choice
#
# Sixteen verdicts do not choose for you: they are about frameworks in general, and you have a case.
# Five questions about it matter more than all claims, the first two most; answer them for yourself, by changing the words on the right.

# %%
my_case = {
    "code and colleagues": "none",
    "what you borrow": "nothing",
    "who trains": "fit",
    "where it will run": "a server",
    "megabytes for a process": 8000,
}
KNOWN = {  # the words to choose from
    "code and colleagues": ("PyTorch", "Keras", "none"),
    "what you borrow": ("a language model", "nothing"),
    "who trains": ("fit", "a loop"),
    "where it will run": ("a notebook", "a server", "a phone", "the browser"),
}

# %% [markdown]
# Each answer either speaks for one framework, for a reason that you can look up, or says that it does not matter.
# (*Keras* is Keras on TensorFlow here, as in all lessons. Keras 3 runs on PyTorch or JAX, too, as the variable `KERAS_BACKEND` says; that we did not try.)

# %%
def misread(case):
    """A sentence on the first answer that the guide does not know, or ""."""
    for question, words in KNOWN.items():
        if case[question] not in words:
            return f"{question}: {case[question]!r} is not one of {words}"
    return ""

# %% [markdown]
# And what each answer speaks for:

# %%
memory = np.percentile(whole["peak_mb"], 75, axis=0)


def borrowing(what):
    if what == "nothing":
        return "either", "nothing borrowed"
    return "PyTorch", ("transformers has no other side today; KerasHub reads"
                       " some of its folders (9)")


def shipping(where):
    lesson = {"a server": "exported for a server (19)", "the browser":
              "in the browser (18)", "a phone": "on a small device (17)"}
    if where not in lesson:
        return "stays where it was trained, in both"
    name = lesson[where]
    kept = "; a maintained server of its own: TensorFlow" * ("(19)" in name)
    return f"{name}: both do it, answers {answers[name]:.0e} apart{kept}"

# %% [markdown]
# All five in order:

# %%
def advice(case):
    """A list of (framework or "either", reason), one for a question."""
    found = []
    code = case["code and colleagues"]
    found.append((code, "you read more code than you write, and a port "
                  "needs a proof (below)") if code != "none" else
                 ("either", "nothing to build on, nothing to port"))
    found.append(borrowing(case["what you borrow"]))
    if case["who trains"] == "fit":
        found.append(("Keras", f"fit: {shortest} lines, "
                      f"a loop {loops[0][0]}"))
    else:
        found.append(("PyTorch", f"a loop of your own: {loops[0][0]} lines, "
                      f"with GradientTape {loops[1][0]}"))
    found.append(("either", shipping(case["where it will run"])))
    tight = memory[0] <= case["megabytes for a process"] < memory[1]
    found.append(("PyTorch" if tight else "either",
                  f"three in four of our notebooks fit into {memory[0]:.0f} "
                  f"MB in PyTorch, {memory[1]:.0f} in Keras"))
    return found

# %% [markdown]
# The first two answers decide, and only where they say nothing the other three do.
# Where they are equal, or the first two pull both ways, there is no winner to be made of them:

# %% tags=["nbval-ignore-output"]
def told(case):
    if problem := misread(case):
        print(problem)
        return "either"
    found = advice(case)
    for (question, answer), (who, reason) in zip(case.items(), found,
                                                 strict=True):
        print(f"{who:8} {question} ({answer}): {reason}")
    whos = [who for who, _ in found]
    votes = whos[:2] if set(whos[:2]) != {"either"} else whos[2:]
    one, other = votes.count("PyTorch"), votes.count("Keras")
    print("decided by the", "first two:" if len(votes) == 2 else "rest:",
          f"{one} for PyTorch, {other} for Keras")
    return "PyTorch" if one > other else "Keras" if other > one else "either"


print("→", told(my_case))

# %% [markdown]
# Three readers for comparison: somebody who writes about language models, somebody whose company has ten Keras networks in service, and a student with an old laptop who writes her own loops.

# %% tags=["nbval-ignore-output"]
anybody = {"code and colleagues": "none", "what you borrow": "nothing",
           "who trains": "fit", "where it will run": "a server",
           "megabytes for a process": 8000}
readers = {
    "the researcher": {"what you borrow": "a language model"},
    "the engineer": {"code and colleagues": "Keras", "who trains": "a loop"},
    "the student": {"megabytes for a process": 1000, "who trains": "a loop"},
}
chosen = {}
for reader, case in readers.items():
    print(f"\n{reader}")
    chosen[reader] = told({**anybody, **case})
    print("→", chosen[reader])

# %% [markdown]
# No reason on the list is accuracy, and none is speed: with the same network the first is the same, and the second a matter of a mode and a machine (C12, C9).
# The strongest reason is the least technical: the code and the people that you already have.
# And where all answers say *either*, take either; you have learned both.

# %% tags=["folded"]
assert list(chosen.values()) == ["PyTorch", "Keras", "PyTorch"], chosen

# %% [markdown]
# ## Changing frameworks, with a proof
#
# A choice can be revised.
# What makes a port dangerous is that a wrong one still runs, still trains, and is a little worse.
# So do as these lessons did: put both networks into one file, and let `python -m tandem proof` compare them ([docs/porting.md](../docs/porting.md)).
# [first_try.py](../docs/porting/first_try.py) holds a small convolutional network and its port to Keras, written line by line, as one does:

# %%
import subprocess
import sys


def prove(name):
    """What the twin proof says of a file in docs/porting."""
    command = [sys.executable, "-m", "tandem", "proof",
               str(ROOT / "docs" / "porting" / name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True,
                          text=True, encoding="utf-8")
    return done.returncode, done.stdout + done.stderr

# %% [markdown]
# It takes some ten seconds, because it starts both frameworks.

# %% tags=["nbval-ignore-output"]
first_code, said = prove("first_try.py")
print(said)

# %% [markdown]
# It names the layer where they part and the usual cause.
# [mended.py](../docs/porting/mended.py) is the port after three such answers: the padding; the order in which channels are flattened; batch norm's momentum, which Keras counts the other way round (its 0.9 is PyTorch's 0.1).

# %% tags=["nbval-ignore-output"]
mended_code, said = prove("mended.py")
print(said)

# %% [markdown]
# Losses, gradients, weights and answers agree to rounding: the same network.
# Then, and only then, is a difference between two frameworks a fact about the frameworks.

# %% tags=["folded"]
assert first_code != 0 and mended_code == 0

# %% [markdown]
# ## Exercises
#
# Three tools of a fair judge, in NumPy.
# A check hands your function arrays and looks at what comes back.

# %% [markdown] tags=["exercise"] exercise="paired-interval" points=3
# ### Exercise 1: the blank page
#
# Write `paired_interval` from nothing, without looking above: once more the difference with its interval (lesson 4), now for any number of seeds.
# It takes the scores of two frameworks, two arrays with one number a seed, in the same order of seeds, and Student's $t$; it returns `(low, mean, high)` of first − second, and leaves the arrays as they are.
# The twins of a seed belong together, and the standard deviation is that of a sample ($n - 1$).

# %% tags=["solution"]
def paired_interval(first, second, t):
    """(low, mean, high) of the average of first − second, by seed."""
    ### BEGIN SOLUTION
    apart = np.asarray(first) - np.asarray(second)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean - margin, mean, mean + margin
    ### END SOLUTION

# %% [markdown]
# Two frameworks whose scores swing with the seed, together:

# %% tags=["check"]
swing = np.array([0.0, 0.4, 0.8, 0.2, 0.6])
ups = swing + [0.1, 0.3, 0.2, 0.5, 0.0]
for first, second, wanted, why in (
        (swing + 0.1, swing, (0.1, 0.1, 0.1), "every seed says 0.1, so "
         "nothing is left open: first the difference of each seed"),
        (ups, swing, (-0.0188, 0.22, 0.4588), "5 seeds, t · s / √n to "
         "either side, 2.776 × 0.192 / √5, with s of a sample (n − 1)"),
        (swing[:4], ups[:4], (-0.5120, -0.275, -0.0380), "4 seeds, the "
         "second ahead: below 0, 2.776 × 0.171 / √4 to either side")):
    before = first.copy(), second.copy()
    given = paired_interval(first, second, 2.776)
    assert np.shape(given) == (3,), (
        f"it returns three numbers, low, mean, high, not {given!r}")
    assert np.allclose(given, wanted, atol=1e-4), (
        f"{why}: {wanted}; yours: {np.round(given, 4)}")
    assert np.array_equal((first, second), before), (
        "the scores that come in are to stay as they are")

# %% [markdown] tags=["hint"]
# What varies from seed to seed in both cancels in the difference. So first one array of differences, then its mean and its `std`.

# %% [markdown] tags=["hint"]
# `np.std` divides by $n$ unless told `ddof=1`.

# %% tags=["hidden"]
jump = np.array([0.1, 0.3, 0.2, 0.4])
low, mean, high = paired_interval(jump, np.zeros(4), 3.182)
assert np.isclose(mean, 0.25), f"the mean of the differences is .25: {mean}"
assert np.isclose(high - low, 2 * 3.182 * np.std(jump, ddof=1) / 2), (
    f"the interval is {high - low:.4f} wide: t · s / √n to either side, "
    "with s of a sample (n − 1)")

# %% tags=["wrong"] mistake="does not pair: adds the two variances"
def paired_interval(first, second, t):
    mean = np.mean(first) - np.mean(second)
    spread = np.var(first, ddof=1) + np.var(second, ddof=1)
    margin = t * np.sqrt(spread / len(first))
    return mean - margin, mean, mean + margin

# %% tags=["wrong"] mistake="the deviation of the numbers, not of a sample"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    margin = t * apart.std() / np.sqrt(len(apart))
    return apart.mean() - margin, apart.mean(), apart.mean() + margin

# %% tags=["wrong"] mistake="t from the check and not as given"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    margin = 2.776 * apart.std(ddof=1) / np.sqrt(len(apart))
    return apart.mean() - margin, apart.mean(), apart.mean() + margin

# %% tags=["wrong"] mistake="forgets the root of n"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    margin = t * apart.std(ddof=1)
    return apart.mean() - margin, apart.mean(), apart.mean() + margin

# %% tags=["wrong"] mistake="second − first"
def paired_interval(first, second, t):
    apart = np.asarray(second) - np.asarray(first)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean - margin, mean, mean + margin

# %% tags=["wrong"] mistake="sorts both first"
def paired_interval(first, second, t):
    apart = np.sort(first) - np.sort(second)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean - margin, mean, mean + margin

# %% tags=["wrong"] mistake="differences without their sign"
def paired_interval(first, second, t):
    apart = np.abs(first - second)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean - margin, mean, mean + margin

# %% tags=["wrong"] mistake="divides by n and not by its root"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / len(apart)
    return mean - margin, mean, mean + margin

# %% tags=["wrong"] mistake="the root of n − 1"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart) - 1)
    return mean - margin, mean, mean + margin

# %% tags=["wrong"] mistake="a margin of half the width"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    mean = apart.mean()
    margin = t / 2 * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean - margin, mean, mean + margin

# %% tags=["wrong"] mistake="the mean first"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean, mean - margin, mean + margin

# %% tags=["wrong"] mistake="mean and margin"
def paired_interval(first, second, t):
    apart = np.asarray(first) - np.asarray(second)
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean, margin

# %% tags=["wrong"] mistake="subtracts in the array that came in"
def paired_interval(first, second, t):
    first -= second
    apart = first
    mean = apart.mean()
    margin = t * apart.std(ddof=1) / np.sqrt(len(apart))
    return mean - margin, mean, mean + margin

# %% [markdown] tags=["exercise"] exercise="ahead" points=3
# ### Exercise 2: a fair rule for "often"
#
# A program measured against *itself*, round by round, should give ratios of 1; on a real machine it gives ratios near 1, and how near is the error of the method.
# Write a rule of your own for claim C9: `ahead(ratios, control)` gets the ratios of several networks, shape (networks, rounds), other ÷ PyTorch as lesson 20 records them, and the control's, shape (rounds,).
# A network counts for PyTorch only where three quarters of its rounds lie above three quarters of the control's: the lower quartile of the one above the upper quartile of the other.
# Return how many networks count, a number; the arrays stay as they are.

# %% tags=["solution"]
def ahead(ratios, control):
    """In how many networks PyTorch is ahead, beyond the method's error."""
    ### BEGIN SOLUTION
    lower = np.percentile(ratios, 25, axis=1)
    return int((lower > np.percentile(control, 75)).sum())
    ### END SOLUTION

# %% [markdown]
# Six networks, and a control that leans a little to one side:

# %% tags=["check"]
control = np.array([1.06, 1.00, 1.08, 1.02, 1.04])
cases = (
    ([1.01, 1.03, 1.05, 1.04, 1.02], 0, "within the control"),
    ([1.60, 1.50, 1.70, 1.55, 1.65], 1, "with all rounds far beyond"),
    ([0.60, 0.70, 0.65, 0.62, 0.68], 0, "that PyTorch is slower with"),
    ([0.50, 1.50, 1.60, 1.70, 1.05], 0, "with a lower quartile of 1.05, "
     "below the control's upper one of 1.06, whatever its median"),
    ([1.07, 1.30, 1.00, 1.09, 1.08], 1, "with a lower quartile of 1.07, "
     "above the control's upper one of 1.06, whatever the extremes"),
    ([1.10, 1.06, 1.09, 1.05, 1.12], 0, "with a lower quartile of 1.06, "
     "as the control's upper one, so not above it"))
every, kept = np.array([row for row, _, _ in cases]), control.copy()
for row, wanted, why in cases:
    given = ahead(np.array([row]), control)
    assert np.ndim(given) == 0, f"how many, one number, not {given!r}"
    assert given == wanted, f"a network {why}: {wanted}, not {given}"
given = ahead(every, control)
assert given == 2, f"two of the six networks count; you find {given}"
same = np.array_equal(every, [row for row, _, _ in cases])
assert same and np.array_equal(control, kept), "the arrays are to stay"

# %% [markdown] tags=["hint"]
# `np.percentile(ratios, 25, axis=1)` gives one lower quartile a network.

# %% tags=["hidden"]
restless = np.array([[0.5, 1.5, 1.6, 1.7, 1.0], [1.3, 1.2, 1.4, 1.3, 1.5]])
given = ahead(restless, np.ones(5))
assert given == 1, (
    f"you find {given}: the first network's lower quartile is 1.0, not "
    "above the control's, though its median is")
given = ahead(restless, np.array([1.9, 1.8, 1.7]))
assert given == 0, f"a control of 3 rounds, far off: none counts, not {given}"
given = ahead(restless, np.array([0.9, 0.8, 0.7]))
assert given == 2, f"a control below 1: both count, not {given}"

# %% tags=["wrong"] mistake="compares with 1 and not with the control"
def ahead(ratios, control):
    return int((np.percentile(ratios, 25, axis=1) > 1).sum())

# %% tags=["wrong"] mistake="compares the middle ones"
def ahead(ratios, control):
    return int((np.median(ratios, axis=1) > np.percentile(control, 75)).sum())

# %% tags=["wrong"] mistake="takes the quartile over the networks"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25, axis=0)
    return int((lower > np.percentile(control, 75)).sum())

# %% tags=["wrong"] mistake="beyond the control's middle"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25, axis=1)
    return int((lower > np.median(control)).sum())

# %% tags=["wrong"] mistake="every round beyond the control"
def ahead(ratios, control):
    lower = np.min(ratios, axis=1)
    return int((lower > np.percentile(control, 75)).sum())

# %% tags=["wrong"] mistake="beyond the control's largest"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25, axis=1)
    return int((lower > np.max(control)).sum())

# %% tags=["wrong"] mistake="the quartiles exchanged"
def ahead(ratios, control):
    lower = np.percentile(ratios, 75, axis=1)
    return int((lower > np.percentile(control, 25)).sum())

# %% tags=["wrong"] mistake="counts equal quartiles, too"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25, axis=1)
    return int((lower >= np.percentile(control, 75)).sum())

# %% tags=["wrong"] mistake="counts networks of either framework"
def ahead(ratios, control):
    low, high = np.percentile(ratios, [25, 75], axis=1)
    least, most = np.percentile(control, [25, 75])
    return int((low > most).sum() + (high < least).sum())

# %% tags=["wrong"] mistake="one quartile for all networks"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25)
    return int((lower > np.percentile(control, 75)).sum())

# %% tags=["wrong"] mistake="a share for a percentage"
def ahead(ratios, control):
    lower = np.percentile(ratios, 0.25, axis=1)
    return int((lower > np.percentile(control, 0.75)).sum())

# %% tags=["wrong"] mistake="says which and not how many"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25, axis=1)
    return lower > np.percentile(control, 75)

# %% tags=["wrong"] mistake="says whether any"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25, axis=1)
    return int((lower > np.percentile(control, 75)).any())

# %% tags=["wrong"] mistake="sorts what came in"
def ahead(ratios, control):
    ratios.sort(axis=1)
    control.sort()
    lower = np.percentile(ratios, 25, axis=1)
    return int((lower > np.percentile(control, 75)).sum())

# %% tags=["wrong"] mistake="keeps the bound of the check's control"
def ahead(ratios, control):
    lower = np.percentile(ratios, 25, axis=1)
    return int((lower > 1.06).sum())

# %% [markdown] tags=["exercise"] exercise="seeds-needed" points=3
# ### Exercise 3: how many seeds?
#
# Somebody claims a difference of half a percentage point.
# How many seeds does it take before you could see it?
# From a few trial runs you have the differences by seed.
# `seeds_needed(apart, smallest)` returns the least number of seeds $n$, a whole number, for which $2 s / \sqrt n$ is at most `smallest` ($s$ of the sample; 2 stands for Student's $t$), and never less than 2.
# The differences, an array, stay as they are.
# (It is the least: if the difference is really as large as `smallest`, the interval of so many seeds leaves 0 out about every other time, and of twice as many four times in five.)

# %% tags=["solution"]
def seeds_needed(apart, smallest):
    """The least n with 2 s / √n ≤ smallest, at least 2."""
    ### BEGIN SOLUTION
    spread = np.std(apart, ddof=1)
    return max(2, int(np.ceil((2 * spread / smallest) ** 2 - 1e-9)))
    ### END SOLUTION

# %% [markdown]
# Differences that vary by about one and a half points, and others that vary by exactly 1:

# %% tags=["check"]
trial, even = np.array([0.00, 0.02, 0.01, -0.01, 0.03]), np.arange(3.0)
for apart, smallest, wanted, why in (
        (trial, 0.006, 28, "s of the sample is .01581, √n at least 5.27 "
         "and n at least 27.8, so 27 are not enough"),
        (trial, 0.004, 63, "√n is at least 7.91 and n at least 62.5"),
        (even, 0.5, 16, "s is 1, and 2 / √16 is 0.5: that is at most 0.5"),
        (trial, 1.0, 2, "one seed has no spread: never less than 2")):
    before = apart.copy()
    given = seeds_needed(apart, smallest)
    assert np.ndim(given) == 0 and given == wanted, (
        f"to see {smallest}: {wanted} seeds ({why}); you have {given}")
    assert np.array_equal(apart, before), "the differences are to stay"

# %% [markdown] tags=["hint"]
# Solve $2 s / \sqrt n \le d$ for $n$: a square, and then up to the next whole number.

# %% tags=["hidden"]
assert seeds_needed(trial, 0.007) == 21, (
    "20.4 seeds are not enough with 20: round up")
assert seeds_needed(np.array([0.3, 0.3, 0.3]), 0.01) == 2, (
    "without any spread two seeds are enough, and one has none")
assert seeds_needed(100 * trial, 0.3) == 112, "of points in per cent: 111.1, so 112"

# %% tags=["wrong"] mistake="forgets the square"
def seeds_needed(apart, smallest):
    return max(2, int(np.ceil(2 * np.std(apart, ddof=1) / smallest)))

# %% tags=["wrong"] mistake="rounds down"
def seeds_needed(apart, smallest):
    n = (2 * np.std(apart, ddof=1) / smallest) ** 2
    return max(2, int(n + 1e-9))

# %% tags=["wrong"] mistake="is content with one seed"
def seeds_needed(apart, smallest):
    n = (2 * np.std(apart, ddof=1) / smallest) ** 2
    return int(np.ceil(n - 1e-9))

# %% tags=["wrong"] mistake="rounds to the nearest"
def seeds_needed(apart, smallest):
    n = (2 * np.std(apart, ddof=1) / smallest) ** 2
    return max(2, round(n))

# %% tags=["wrong"] mistake="does not round"
def seeds_needed(apart, smallest):
    n = (2 * np.std(apart, ddof=1) / smallest) ** 2
    return max(2, n)

# %% tags=["wrong"] mistake="one more than enough"
def seeds_needed(apart, smallest):
    n = (2 * np.std(apart, ddof=1) / smallest) ** 2
    return max(2, int(n) + 1)

# %% tags=["wrong"] mistake="the deviation of the numbers, not of a sample"
def seeds_needed(apart, smallest):
    n = (2 * np.std(apart) / smallest) ** 2
    return max(2, int(np.ceil(n - 1e-9)))

# %% tags=["wrong"] mistake="the variance for the deviation"
def seeds_needed(apart, smallest):
    n = (2 * np.var(apart, ddof=1) / smallest) ** 2
    return max(2, int(np.ceil(n - 1e-9)))

# %% tags=["wrong"] mistake="leaves the 2 out"
def seeds_needed(apart, smallest):
    n = (np.std(apart, ddof=1) / smallest) ** 2
    return max(2, int(np.ceil(n - 1e-9)))

# %% tags=["wrong"] mistake="the spread around 0"
def seeds_needed(apart, smallest):
    n = (2 * np.sqrt(np.sum(apart**2) / (len(apart) - 1)) / smallest) ** 2
    return max(2, int(np.ceil(n - 1e-9)))

# %% tags=["wrong"] mistake="never less than the trial runs"
def seeds_needed(apart, smallest):
    n = (2 * np.std(apart, ddof=1) / smallest) ** 2
    return max(len(apart), int(np.ceil(n - 1e-9)))

# %% tags=["wrong"] mistake="takes the mean off in the array that came in"
def seeds_needed(apart, smallest):
    apart -= apart.mean()
    n = (2 * np.std(apart, ddof=1) / smallest) ** 2
    return max(2, int(np.ceil(n - 1e-9)))

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - One run is an anecdote: six seeds did not agree on a winner, and the **paired interval** says what is left, here less than half a point.
# - A claim needs a network, a mode, a default, a version and a date before it can be true or false. *Often*, *early* and *easier* can be asked for; *popular* cannot be answered by a notebook.
# - Of sixteen claims few hold as they stand. What was true of TensorFlow 1 is history; what compares defaults is about defaults.
# - What is left to choose by: the code and people around you, `fit` or a loop of your own, memory, and what you borrow.
# - A port can be **proved**, and only then compared.
#
# You can now build, train, debug, ship, serve, time and distribute a network in either framework, and tell a difference between them from an accident.
# That is more than either camp asks of its own.
#
# ## Try it
#
# 1. Set `my_own_runs = True` after running some lessons: which verdicts move? (C12 and lesson 11's distance stay, for they are read from sweeps that come with the lessons; C9 may move, as it is about a machine.)
# 2. Make `CLEARLY` stricter or looser (what would *you* call much code?): at which threshold does C2 tip, and to whom do the counts of C1 and C13 then lean?
# 3. Add a seventeenth claim of your own, such as "Keras needs fewer epochs": which lesson has the numbers, and what would have to be equal?
# 4. Lesson 6 with other learning rates: `python -m tandem sweep 06 -p seed 0:4 -p learning_rate 1e-3,3e-3`. Is there a rate at which a framework is ahead?
# 5. Take a network of yours, port it, and let `python -m tandem proof` look at it.
#
# ## Read on
#
# - Codecademy, *PyTorch vs TensorFlow: Choosing the Best Framework for Deep Learning*, 2024: the article; its claims stand above in our words
# - Student, [The probable error of a mean](https://doi.org/10.1093/biomet/6.1.1), Biometrika 1908: where $t$ comes from
# - J. Demšar, [Statistical comparisons of classifiers over multiple data sets](https://www.jmlr.org/papers/v7/demsar06a.html), 2006
# - X. Bouthillier and others, [Accounting for variance in machine learning benchmarks](https://arxiv.org/abs/2103.03098), 2021: seeds are only one source of it
# - Tandem, [what the proof found](../docs/findings.md) and [how to prove a port](../docs/porting.md)
