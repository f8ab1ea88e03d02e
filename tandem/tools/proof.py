"""The twin proof: are a lesson's two networks the same network?

    python tests/twin_proof.py            every lesson that has cells tagged `network`
    python tests/twin_proof.py 02 11      these lessons

Runs the lesson's own `network` cells in float64, each framework in a process of its own, from the same weights on the same batches, for
100 steps and two seeds, and prints the largest differences of the losses, of the first step's gradients, of the final weights and, where the
lesson defines `evaluate`, of the trained networks' answers in evaluation mode. What a lesson defines to take part is in
docs/contributing.md. Three things are aligned, openly, because the libraries leave no other way:

- Keras keeps the powers of Adam's betas and LeakyReLU's slope in float32 (by default the learning rate too), so these take values that float32 holds
  exactly (`EXACT_PARAMETERS`);
- Keras' Adam adds epsilon before the bias correction, PyTorch's after it, so PyTorch's epsilon is divided by sqrt(1 - beta_2^t) at
  step t (`align_epsilon`). Kingma and Ba (2014), end of section 2, give both forms;
- batch normalisation's running variance is unbiased in PyTorch and biased in Keras, so what PyTorch adds to it is multiplied by
  (n - 1) / n (`align_variance`). Training does not read it; evaluation does.
"""
import argparse
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import numpy as np

from tandem import FRAMEWORKS, TandemError
from tandem.tools import source

STEPS = 100
SEEDS = (0, 1)
LIMITS = {"losses": 1e-10, "gradients": 1e-11, "weights": 1e-9, "evaluation": 1e-9}
EXCEPTIONS = {  # lesson: limits that a library constant, which nobody can align, makes necessary
    "08": {"losses": 1e-9, "gradients": 1e-8, "weights": 1e-6, "evaluation": 1e-6},  # TensorFlow keeps the √2 of exact GELU in float32
}
EXACT_PARAMETERS = {
    "learning_rate": 2.0**-10, "beta_1": 0.875, "beta_2": 1 - 2.0**-10, "momentum": 0.875, "slope": 0.25, "batch_size": 16,
}


@dataclass(frozen=True)
class Difference:
    """How far two twins part, the largest over all seeds.

    losses: |a - b| / max(|a|, |b|), over all steps. gradients: of the first step, relative to the player's largest entry.
    weights: after the last step, moving statistics of batch normalisation included, absolute. evaluation: what the lesson's `evaluate`
    gives for the last batch after the last step, relative to its largest entry; None for a lesson that defines no `evaluate`.
    """

    losses: float
    gradients: float
    weights: float
    evaluation: float | None = None

    def __str__(self):
        evaluation = "" if self.evaluation is None else f" · evaluation {self.evaluation:.0e}"
        return f"losses {self.losses:.0e} · first gradients {self.gradients:.0e} · final weights {self.weights:.0e}{evaluation}"

    def beyond(self, limits=LIMITS):
        """The names of the figures that are over their `limits` (or not numbers)."""
        found = {name: getattr(self, name) for name in limits}
        return [name for name, limit in limits.items() if found[name] is not None and not found[name] <= limit]


def limits_of(number):
    """The limits of lesson `number`, such as "08"."""
    return LIMITS | EXCEPTIONS.get(number, {})


class ProofError(TandemError):
    """A lesson's network cells cannot be run; the message ends with the error of that framework's process."""


def lessons_to_prove():
    return [lesson for lesson in source.all_lessons() if any("network" in cell.tags for cell in lesson.cells)]


def prove(path, seeds=SEEDS, steps=STEPS):
    """Runs both twins of the lesson source at `path` and returns their `Difference`."""
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for framework in FRAMEWORKS:
            result = pathlib.Path(folder) / f"{framework}.npz"
            command = [sys.executable, __file__, "--twin", str(path), framework, str(result), str(steps), *map(str, seeds)]
            # The proof is about arithmetic, so it always runs on the CPU: float64 is not to be had on every accelerator.
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"})
            if done.returncode:
                raise ProofError(f"{path.name}, {framework}: {done.stderr.strip().splitlines()[-1]}")
            with np.load(result) as arrays:
                runs.append(dict(arrays))
    return difference(*runs)


def difference(first, second):
    """The `Difference` of two results of `run_twin`."""
    if first.keys() != second.keys():
        odd = sorted(first.keys() ^ second.keys())
        raise ProofError(f"the twins do not hold the same weights: only one has {', '.join(odd[:3])}.")
    largest = dict.fromkeys((key.split("/")[0] for key in first), 0.0)
    for key in first:
        what, player, _ = key.split("/", 2)
        a, b = first[key], second[key]
        if a.shape != b.shape:
            raise ProofError(f"{key}: shape {a.shape} in one twin, {b.shape} in the other.")
        scale = 1.0
        if what == "losses":
            scale = np.maximum(np.abs(a), np.abs(b))
        elif what in ("gradients", "evaluation"):
            scale = max(np.abs(values).max() for name, values in first.items() if name.startswith(f"{what}/{player}/"))
        apart = np.max(np.abs(a - b) / scale)
        largest[what] = max(largest[what], apart) if np.isfinite(apart) else np.inf
    return Difference(**{name: float(value) for name, value in largest.items()})


def run_twin(path, framework, steps, seeds):
    """Runs one framework's network cells in this process: {"losses/…", "gradients/player/…", …: float64 array}."""
    engine = (_PyTorch if framework == "pytorch" else _TensorFlow)()
    lesson = source.read(path)
    cells = {}
    for cell in lesson.cells_of(framework):
        if "network" in cell.tags:
            exec(compile(cell.source, f"{path.name}:{cell.line}", "exec"), cells)
            fixed = EXACT_PARAMETERS | engine.fixed
            cells.update({name: value for name, value in fixed.items() if name in cells})
    results = {}
    for seed in seeds:
        players = {
            name: cells[f"build_{name}"](starting) for name, starting in cells["starting_weights"](seed).items()
        }
        optimizers = [cells["build_optimizer"](player) for player in players.values()]
        engine.watch(dict(zip(players, optimizers)), players)
        batches = list(itertools.islice(cells["batches"](seed), steps))
        if len(batches) < steps:
            raise ProofError(f"{path.name}: batches(seed) ended after {len(batches)} of {steps} steps.")
        losses = []
        for batch in batches:
            tensors = cells["to_tensors"](*map(_widen, batch))
            tensors = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
            losses.append(np.atleast_1d(engine.numbers(cells["train_step"](*players.values(), *optimizers, *tensors))))
        results[f"losses/all/{seed}"] = np.array(losses)
        if "evaluate" in cells:
            for player, network in players.items():
                results[f"evaluation/{player}/{seed}"] = np.array(engine.numbers(cells["evaluate"](network, tensors[0])))
        results |= _flat(f"gradients/{{}}/{seed}", engine.gradients)
        results |= _flat(f"weights/{{}}/{seed}", {name: engine.read(player) for name, player in players.items()})
    return results


def _widen(array):
    return array.astype("float64") if array.dtype.kind == "f" else array


def _flat(prefix, by_player):
    """Layers are numbered: they keep their order in both frameworks, not always their names."""
    return {
        f"{prefix.format(player)}/{number}/{kind}": array
        for player, layers in by_player.items()
        for number, layer in enumerate(layers.values())
        for kind, array in layer.items()
    }


class _PyTorch:
    def __init__(self):
        import torch
        from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        from tandem.pytorch import read_weights

        torch.set_default_dtype(torch.float64)
        register_optimizer_step_pre_hook(self._before_step)
        register_module_forward_pre_hook(self._before_forward)
        register_module_forward_hook(self._after_forward)
        self.read = read_weights
        self.fixed = {"device": torch.device("cpu")}
        self.torch = torch

    def watch(self, optimizers, players):
        self.optimizers, self.players, self.gradients, self.steps = optimizers, players, {}, dict.fromkeys(optimizers, 0)

    def numbers(self, losses):
        return self.torch.stack(tuple(losses)).numpy() if isinstance(losses, tuple) else losses.detach().numpy()

    def _before_forward(self, module, inputs):
        if getattr(module, "running_var", None) is not None and module.training:
            self.variance_before = module.running_var.clone()

    def _after_forward(self, module, inputs, output):
        if getattr(module, "running_var", None) is not None and module.training:
            align_variance(module, self.variance_before, samples=inputs[0].numel() // inputs[0].shape[1])

    def _before_step(self, optimizer, args, kwargs):
        name = next(name for name, known in self.optimizers.items() if known is optimizer)
        if name not in self.gradients:
            self.gradients[name] = self.read(self.players[name], of=lambda parameter: parameter.grad)
        self.steps[name] += 1
        for group in optimizer.param_groups:
            align_epsilon(group, self.steps[name])


def align_epsilon(group, step):
    """Gives a parameter group of PyTorch's Adam the epsilon that means at this step what Keras' epsilon means."""
    if "betas" in group:
        group.setdefault("lesson_eps", group["eps"])
        group["eps"] = group["lesson_eps"] / (1 - group["betas"][1] ** step) ** 0.5


def align_variance(module, before, samples):
    """Makes the last update of a PyTorch batch norm's running variance the one that Keras would have made."""
    kept = (1 - module.momentum) * before
    # .data: autograd keeps a version of the running variance, although in training no gradient passes through it
    module.running_var.data.copy_(kept + (module.running_var - kept) * (samples - 1) / samples)


class _TensorFlow:
    fixed = {}

    def __init__(self):
        from tandem.tensorflow import read_weights  # before keras: see there

        import keras
        import tensorflow as tf

        keras.config.set_floatx("float64")
        tf.config.run_functions_eagerly(True)  # gradients are caught as numbers, not as nodes of a graph
        self.read = read_weights
        apply = keras.optimizers.Optimizer.apply

        def caught(optimizer, grads, trainable_variables=None):
            self._before_apply(optimizer, grads, trainable_variables or optimizer._trainable_variables)
            return apply(optimizer, grads, trainable_variables)

        keras.optimizers.Optimizer.apply = caught

    def watch(self, optimizers, players):
        self.optimizers, self.players, self.gradients = optimizers, players, {}

    def numbers(self, losses):
        return np.array([loss.numpy() for loss in losses]) if isinstance(losses, (tuple, list)) else losses.numpy()

    def _before_apply(self, optimizer, gradients, variables):
        name = next(name for name, known in self.optimizers.items() if known is optimizer)
        if name not in self.gradients:
            found = {id(variable): gradient for variable, gradient in zip(variables, gradients)}
            self.gradients[name] = self.read(self.players[name], of=lambda variable: found.get(id(variable)))


def main():
    if sys.argv[1:2] == ["--twin"]:
        path, framework, result, steps, *seeds = sys.argv[2:]
        np.savez(result, **run_twin(pathlib.Path(path), framework, int(steps), [int(seed) for seed in seeds]))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", metavar="lesson", help="numbers, such as 02 11 (default: all)")
    chosen = [source.find(number) for number in parser.parse_args().lessons] or lessons_to_prove()
    broken = 0
    for lesson in chosen:
        try:
            apart = prove(lesson.path)
        except ProofError as error:
            print(f"{lesson.name}: {error}")
            broken += 1
            continue
        over = apart.beyond(limits_of(lesson.name[:2]))
        print(f"{lesson.name}: {apart} · {'over the limit: ' + ', '.join(over) if over else 'the same network'}", flush=True)
        broken += bool(over)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
