"""Why two twins part: where a twin proof's results differ first, and what usually causes it.

The order is that of a training step. Does the same enter each layer? Are the first losses equal, the first gradients, what the
optimiser makes of them, the later losses, the weights that no loss shows, the answers in evaluation mode? The first "no" is
where to look: all that comes after follows from it. Each rule below answers one of these questions, from the arrays alone that
`twin.run_twin` gives; the causes are those of docs/findings.md.
"""
import textwrap
from dataclasses import dataclass

import numpy as np

from tandem.tools import twin

# What counts as equal: rounding of float64, added up over a step, is below; every fault that we know of is far above.
_LOSS, _GRADIENT, _UPDATE, _INPUT = 1e-10, 1e-11, 1e-9, 1e-9

_OF_KIND = {
    "gamma": "the epsilon of the normalisation (batch norm: 1e-5 in PyTorch, 1e-3 in Keras) and the axis it runs along",
    "recurrent_kernel": "the order of the gates, the number of biases, reset_after of a GRU, where padding is masked",
    "convolution": "padding (padding=\"same\" with stride 2 pads at the right and bottom), stride, a bias that one side lacks",
    "embeddings": "the tokens' numbers and the mask of padding",
    "kernel": "the order in which maps are flattened, a bias or an activation that one side lacks",
}


@dataclass(frozen=True)
class Finding:
    """`where` twins part first, and what usually is the `cause`."""

    where: str
    cause: str

    def lines(self):
        return [line for text in (self.where, f"Usual cause: {self.cause}")
                for line in textwrap.wrap(text, 100, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)]


def explain(first, second, over):
    """The lines to print below a proof that failed; `over` names the figures that are over their limits."""
    findings = []
    if "rates" in over:
        findings.append(_schedule(first, second))
    if "dropout" in over:
        findings.append(Finding("The dropout layers differ in number, in their rates, or in whether they hide whole maps.",
                                "a rate that is the share kept, not hidden; SpatialDropout2D is nn.Dropout2d, Dropout is "
                                "nn.Dropout."))
    if not set(over) <= {"rates", "dropout"}:
        findings.append(_training(first, second))
    return [line for finding in findings for line in finding.lines()]


def _training(first, second):
    seeds = sorted({int(key.split("/")[2]) for key in first})
    comparisons = {seed: _Comparison(first, second, seed) for seed in seeds}
    found = {seed: finding for seed, comparison in comparisons.items() if (finding := _first_finding(comparison))}
    if not found:
        return Finding("The figures lie just over their limits, and no place stands out.",
                       "rounding that the training amplifies: see whether a lower learning rate brings them closer.")
    seed, finding = next(iter(found.items()))
    if len(found) < len(seeds):
        equal = next(seed for seed in seeds if seed not in found)
        constants = ", ".join(f"{name} {twin.constants(seed)[name]:g}" for name in ("beta_1", "momentum", "slope"))
        return Finding(f"{finding.where} With seed {equal} and its constants the twins agree, with those of seed {seed} "
                       f"({constants}, …) they part.",
                       "a number stands where a parameter belongs, or is set twice; here: " + finding.cause)
    return finding


def _first_finding(comparison):
    for rule in (_graph, _forward, _backward, _optimizer, _later_steps, _unseen_weights, _evaluation):
        if finding := rule(comparison):
            return finding
    return None


# The rules

def _schedule(first, second):
    key = next(key for key in first if key.startswith("rates/"))
    a, b = first[key], second[key]
    step = int(np.argmax(np.abs(a - b) > 1e-6 * np.abs(a).max()))
    return Finding(f"The schedules part at step {step + 1} of {len(a)}: {a[step]:.6g} in PyTorch, {b[step]:.6g} in TensorFlow.",
                   "counting steps from 0 or 1, a schedule that goes by epochs in one and by steps in the other, its last step "
                   "or floor.")


def _graph(c):
    """Keras' loss as a graph against its loss line by line, of the same step from the same weights."""
    losses = c.second[f"losses/all/{c.seed}"][0]
    apart = _relative(losses, c.second[f"eager/all/{c.seed}"])
    if apart <= _LOSS:
        return None
    return Finding(f"In TensorFlow the first loss is {c.second[f'eager/all/{c.seed}'][0]:.6g} line by line and {losses[0]:.6g} "
                   "as a graph.",
                   "a softmax before a loss that takes logits, which Keras takes out of a graph only; a number that Python "
                   "changes inside train_step, which a graph keeps as it was when traced.")


def _forward(c):
    a, b = c.first[f"eager/all/{c.seed}"], c.second[f"eager/all/{c.seed}"]
    apart = _relative(a, b)
    if apart <= _LOSS:
        return None
    where = f"The first loss differs already, by {apart:.0e}: the forward pass, not the training."
    if apart < 1e-6:
        return Finding(where, "so small a difference comes from a constant or a tensor that one side keeps in float32; give "
                              "constants one of the proof's names, such as slope, and cast nothing to float32.")
    entered = c.first_input_apart()
    if entered is None:
        factor = _whole(b / np.where(a == 0, np.nan, a))
        if factor:
            return Finding(f"{where} TensorFlow's is {factor} times PyTorch's.",
                           "a sum where the other takes the mean, over the batch, the time steps or the classes.")
        return Finding(f"{where} What enters each layer agrees.",
                       "the last layer, or the loss: softmax applied twice or not at all (from_logits), what the mean runs "
                       "over, label smoothing, weights, a part of the batch that is left out; of the last layer, "
                       f"{c.kind_causes()}.")
    player, number, same_numbers = entered
    here = c.layer(player, number)
    if number == 0:
        return Finding(f"{where} What enters {here}, the first layer, differs.",
                       "to_tensors or what forward does first: scaling, the axis of the channels, the order of the axes.")
    before = c.layer(player, number - 1)
    if same_numbers:
        return Finding(f"{where} What enters {before} agrees; {here} gets the same numbers in another order.",
                       "flattening: PyTorch flattens (channels, height, width), Keras (height, width, channels).")
    return Finding(f"{where} What enters {before} agrees, what enters {here} does not.",
                   f"of {before}, {c.kind_causes(player, number - 1)}; or what follows it: the kind or slope of an activation, "
                   "pooling, the order of operations, a sum.")


def _backward(c):
    apart = c.gradients_apart()
    if not apart:
        return None
    player, number, kind = max(apart, key=lambda key: (key[1], key[2]))
    where = f"The first losses agree, the gradients do not; nearest to the loss {kind} of {c.layer(player, number)}"
    if apart[player, number, kind] == np.inf:
        side = c.side_without(player, number, kind)
        return Finding(f"{where}, which has none in {side}.",
                       "weights frozen or left out of what is differentiated; detach, no_grad or stop_gradient on the way.")
    where += f", by {apart[player, number, kind]:.0e}."
    factors = [c.factor("gradients", *key) for key in apart]
    if all(factors) and len(apart) == len(c.keys("gradients")):
        if np.ptp(factors) < 1e-6 * abs(factors[0]):
            return Finding(f"{where} All of TensorFlow's are {factors[0]:.6g} times PyTorch's.",
                           "gradients added up where the other averages, a scaled loss, clipping by norm on one side.")
        return Finding(f"{where} Each of TensorFlow's is PyTorch's times a factor of its own.",
                       "clipnorm of Keras clips each variable by its own norm, clip_grad_norm_ and global_clipnorm all by one.")
    return Finding(where, "what stands between this layer and the loss: detach or stop_gradient, a gradient of one's own, "
                          "clipping by value, a penalty that one side adds after the loss is reported.")


def _optimizer(c):
    apart = c.updates_apart()
    if not apart:
        return None
    kinds, others = {kind for _, _, kind in apart}, len(c.keys("updates")) - len(apart)
    player, number, kind = max(apart, key=apart.get)
    here = f"{kind} of {c.layer(player, number)}"
    if kinds <= {"moving_mean", "moving_variance"}:
        where = f"Losses and gradients of the first step agree; the running statistics do not: {here}."
        if kinds == {"moving_variance"}:
            return Finding(where, "the variance that is kept: PyTorch's layer divides by n - 1, Keras' by n (the proof puts "
                                  "that right for nn.BatchNorm, not for layers of one's own).")
        return Finding(where, "the momentum of batch norm: PyTorch's .1 is Keras' .9 (Keras' default is .99); or a layer in "
                              "evaluation mode while training.")
    size = apart[player, number, kind]
    where = f"Losses and gradients of the first step agree; what the optimiser adds to {here} does not, by {size:.0e}"
    if kinds == {"embeddings"} and others:
        return Finding(f"{where}, and all else agrees.",
                       "Keras' Adam squares each occurrence of a token before it adds them: apply "
                       "tf.convert_to_tensor(gradient).")
    factors = [c.factor("updates", *key) for key in apart if not key[2].startswith("moving_")]
    if all(factors) and np.ptp(factors) < 1e-6 * abs(factors[0]):
        return Finding(f"{where}: {'TensorFlow adds' if not others else 'there TensorFlow adds'} {factors[0]:.6g} times as much.",
                       "the learning rate, or a second optimiser, bias or step on one side.")
    if c.follows_weights(apart):
        return Finding(f"{where}, in proportion to the weight itself.",
                       "weight decay: weight_decay of torch.optim.Adam adds to the gradient, AdamW and Keras' weight_decay "
                       "shrink the weight by learning rate times decay.")
    return Finding(f"{where}.", "another optimiser, or its epsilon (1e-8 in PyTorch's Adam, 1e-7 in Keras'), its starting "
                                "accumulator, amsgrad, clipping inside the optimiser.")


def _later_steps(c):
    curve = c.loss_curve()
    over = np.flatnonzero(~(curve <= _LOSS))
    if not over.size:
        return None
    step = over[0]
    where = f"The first step agrees in all; the losses part at step {step + 1}, by {curve[step]:.0e}"
    if np.sum(curve[:step] > 1e-13) >= 3:
        return Finding(f"{where}, after growing from step to step.",
                       "rounding that the training amplifies, not a difference: a lower learning rate or a larger batch calms "
                       "it.")
    if step == 1:
        return Finding(f"{where}, although the optimiser did the same when it ran line by line.",
                       "TensorFlow's graph: a number that Python changes inside train_step is kept as it was when traced.")
    return Finding(f"{where}.", "what an optimiser remembers: betas, momentum, nesterov, rho; or what changes from step to "
                                "step: a rate, a counter or an average inside train_step (a graph keeps Python's numbers as "
                                "they were when traced).")


def _unseen_weights(c):
    apart = {key: np.max(np.abs(c.pair("weights", *key)[0] - c.pair("weights", *key)[1])) for key in c.keys("weights")}
    player, number, kind = max(apart, key=apart.get)
    if apart[player, number, kind] <= 1e-9:
        return None
    return Finding(f"All losses agree; at the end {kind} of {c.layer(player, number)} differs by "
                   f"{apart[player, number, kind]:.0e}.",
                   "weights that the loss does not depend on, such as a bias before a batch norm: their gradients are rounding, "
                   "which Adam scales up; leave such a bias out.")


def _evaluation(c):
    for key in c.of("evaluation"):
        player = key.split("/")[1]
        a, b = c.first[key], c.second[key]
        a = np.moveaxis(a, 1, -1) if a.ndim == 4 and a.shape != b.shape else a
        apart = np.max(np.abs(a - b)) / np.max(np.abs(a))
        if not apart <= 1e-9:
            factor = _factor(a, b)
            times = f" TensorFlow's are {factor:.6g} times PyTorch's." if factor else ""
            return Finding(f"In training the twins agree to the last weight; the answers of '{player}' in evaluation mode "
                           f"differ by {apart:.0e}.{times}",
                           "the mode: network.eval() or training=False forgotten; dropout or its masks still on, or rescaled; a "
                           "softmax at the end of one side.")
    return None


class _Comparison:
    """The two results of one seed, and questions about them. A key is (player, number of the layer, kind)."""

    def __init__(self, first, second, seed):
        self.first, self.second, self.seed = first, second, seed

    def of(self, what):
        """The keys of the results that both have of `what`, such as "gradients"."""
        return [key for key in self.first if key in self.second and key.split("/")[::2][:2] == [what, str(self.seed)]]

    def keys(self, what):
        return [(player, int(number), kind) for _, player, _, number, kind in (key.split("/") for key in self.of(what))]

    def pair(self, what, player, number, kind):
        key = f"{what}/{player}/{self.seed}/{number}/{kind}"
        return self.first.get(key), self.second.get(key)

    def layer(self, player, number):
        """What both call a layer: "'stem.1' (Keras: 'stem_norm')"."""
        one, other = (str(result[f"layers/{player}/{self.seed}"][number]) for result in (self.first, self.second))
        players = len({key.split("/")[1] for key in self.of("layers")})
        return f"'{one}'" + (f" (Keras: '{other}')" if other != one else "") + (f" of '{player}'" if players > 1 else "")

    def kind_causes(self, player=None, number=None):
        """What usually differs in a layer of this kind; by default the last one."""
        if player is None:
            player, number, _ = self.keys("start")[-1]
        here = [key for key in self.keys("start") if key[:2] == (player, number)]
        kinds = {key[2]: self.pair("start", *key)[0] for key in here}
        if "kernel" in kinds and kinds["kernel"].ndim > 2:
            return _OF_KIND["convolution"]
        return next(cause for kind, cause in _OF_KIND.items() if kind in kinds)

    def first_input_apart(self):
        """(player, number, whether it holds the same numbers in another order) of the first layer that is fed something else,
        or None."""
        for player, number, kind in sorted(self.keys("inputs"), key=lambda key: key[1]):
            a, b = self.pair("inputs", player, number, kind)
            scale = np.array([a[1], a[1], a[2], a[3], a[1]])
            equal = np.abs(a - b) <= _INPUT * scale
            if not equal[:4].all():
                return player, number, False
            if not (equal[4] or np.isnan(a[4]) or np.isnan(b[4])):
                return player, number, True
        return None

    def gradients_apart(self):
        """{key: how far, relative to the player's largest entry} of gradients that part; infinite where one side has none."""
        found = {}
        for result, other in ((self.first, self.second), (self.second, self.first)):
            for key in result:
                what, player, seed, *rest = key.split("/")
                if what == "gradients" and seed == str(self.seed) and key not in other:
                    found[player, int(rest[0]), rest[1]] = np.inf
        for player, number, kind in self.keys("gradients"):
            a, b = self.pair("gradients", player, number, kind)
            largest = max(np.abs(self.first[key]).max() for key in self.of("gradients") if key.split("/")[1] == player)
            apart = np.max(np.abs(a - b)) / (largest or 1.0)
            if not apart <= _GRADIENT:
                found[player, number, kind] = apart
        return found

    def side_without(self, *key):
        return "PyTorch" if self.pair("gradients", *key)[0] is None else "TensorFlow"

    def updates_apart(self):
        """{key: how far, relative to its largest entry} of what the first step added to weights, where it parts."""
        found = {}
        largest = max(np.abs(self.first[key]).max() for key in self.of("updates"))
        for key in self.keys("updates"):
            a, b = self.pair("updates", *key)
            apart = np.max(np.abs(a - b)) / max(np.abs(a).max(), np.abs(b).max(), 1e-9 * largest, 1e-300)
            if not apart <= _UPDATE:
                found[key] = apart
        return found

    def factor(self, what, *key):
        a, b = self.pair(what, *key)
        return None if a is None or b is None else _factor(a, b)

    def follows_weights(self, apart):
        """Whether what the updates differ by is the weight itself, times one number."""
        for key in apart:
            a, b = self.pair("updates", *key)
            start, _ = self.pair("start", *key)
            if np.any(start) and not _factor(start, b - a, within=1e-3):
                return False
        return True

    def loss_curve(self):
        """How far the losses are apart at each step, (steps,)."""
        a, b = self.first[f"losses/all/{self.seed}"], self.second[f"losses/all/{self.seed}"]
        return np.max(np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-300), axis=1)


def _relative(a, b):
    return float(np.max(np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-300)))


def _factor(a, b, within=1e-7):
    """k if b is k times a, as closely as float32 can tell; None if not, or if k is 1."""
    size = np.sum(a * a)
    if not size or not np.all(np.isfinite(b)):
        return None
    factor = float(np.sum(a * b) / size)
    return factor if np.max(np.abs(b - factor * a)) <= within * np.max(np.abs(b)) and abs(factor - 1) > 1e-10 else None


def _whole(ratios):
    """"3" or "1/3" if all ratios are that whole number or its inverse; None otherwise."""
    for text, numbers in (("{}", ratios), ("1/{}", 1 / ratios)):
        number = np.round(numbers[0])
        if number >= 2 and np.all(np.abs(numbers / number - 1) < 1e-6):
            return text.format(int(number))
    return None
