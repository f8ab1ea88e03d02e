"""PyTorch's side of a twin proof: see `tandem.tools.twin`. Importing this module changes nothing; making an `Engine` does.

What is aligned, openly, because the libraries leave no other way:

- Keras' Adam adds epsilon before the bias correction, PyTorch's after it, so PyTorch's epsilon is divided by sqrt(1 - beta_2^t)
  at step t (`align_epsilon`). Kingma and Ba (2014), end of section 2, give both forms;
- batch normalisation's running variance is unbiased in PyTorch and biased in Keras, so what PyTorch adds to it is multiplied by
  (n - 1) / n (`align_variance`). Training does not read it; evaluation does;
- TensorFlow's exact GELU multiplies by a 1/sqrt(2) kept in float32; PyTorch's is given the same constant (`aligned_gelu`).
"""
import contextlib
import types

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import AlphaDropout, FeatureAlphaDropout, _DropoutNd
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tandem.pytorch import read_weights
from tandem.tools.twin import ProofError, fingerprint

_HALF_ROOT = float(np.float32(0.5**0.5))
_gelu = torch.nn.functional.gelu


class Engine:
    read = staticmethod(read_weights)

    def __init__(self):
        self.fixed = {"device": torch.device("cpu")}
        self._seen, self._steps = None, {}
        torch.set_default_dtype(torch.float64)
        torch.nn.functional.gelu = aligned_gelu
        register_optimizer_step_pre_hook(self._before_step)
        register_module_forward_pre_hook(self._before_forward)
        register_module_forward_hook(self._after_forward)

    def start(self, optimizers):
        """New optimisers: their steps are counted from here."""
        self._steps = {id(optimizer): 0 for optimizer in optimizers.values()}
        self._optimizers = optimizers  # kept, so that no other object gets one of these ids

    @contextlib.contextmanager
    def watching(self, players, optimizers):
        """Yields what is seen of the steps in the block: `gradients` and `inputs`, {player: {layer: {kind: array}}}."""
        modules = {name: dict(player.named_modules()) for name, player in players.items()}
        inputs = {name: {layer: {} for layer in read_weights(player)} for name, player in players.items()}
        self._entries = {
            id(modules[name][layer]): entry
            for name, layers in inputs.items() for layer, entry in layers.items() if layer in modules[name]
        }
        self._seen = types.SimpleNamespace(gradients={}, inputs=inputs, players=players, optimizers=optimizers)
        try:
            yield self._seen
        finally:
            self._seen = None

    @contextlib.contextmanager
    def no_draws(self, side):
        """A twin cannot draw PyTorch's random numbers."""
        before = torch.random.get_rng_state()
        yield
        if not torch.equal(before, torch.random.get_rng_state()):
            raise side.wrong("train_step", "draws random numbers of PyTorch's own (F.dropout?), and its twin cannot draw the "
                                           "same; draw "
                                           "them in batches(seed) with NumPy, or use a layer such as nn.Dropout")

    def numbers(self, losses):
        losses = losses if isinstance(losses, (tuple, list)) else (losses,)
        return np.array([self.array(loss) for loss in losses])

    def array(self, tensor):
        return torch.as_tensor(tensor).detach().cpu().numpy().astype("float64")

    def dropouts(self, player):
        return [_Dropout(name, module) for name, module in player.named_modules() if isinstance(module, _DropoutNd) and module.p]

    def changes_in_evaluation(self, player):
        kinds = {type(module).__name__ for module in player.modules() if isinstance(module, (_BatchNorm, _DropoutNd))}
        return ", ".join(sorted(kinds))

    def _before_forward(self, module, inputs):
        if getattr(module, "running_var", None) is not None and module.training:
            self._variance_before = module.running_var.clone()
        if self._seen and self._entries.get(id(module)) == {} and inputs and isinstance(inputs[0], torch.Tensor):
            self._entries[id(module)]["input"] = fingerprint(self.array(inputs[0]))

    def _after_forward(self, module, inputs, output):
        if getattr(module, "running_var", None) is not None and module.training:
            align_variance(module, self._variance_before, samples=inputs[0].numel() // inputs[0].shape[1])

    def _before_step(self, optimizer, args, kwargs):
        if id(optimizer) not in self._steps:
            return
        if self._seen:
            name = next(name for name, known in self._seen.optimizers.items() if known is optimizer)
            if name not in self._seen.gradients:
                self._seen.gradients[name] = read_weights(self._seen.players[name], of=lambda parameter: parameter.grad)
        self._steps[id(optimizer)] += 1
        for group in optimizer.param_groups:
            align_epsilon(group, self._steps[id(optimizer)])


class _Dropout:
    """A dropout layer, as `twin.mask_rule` asks for it."""

    def __init__(self, name, module):
        if isinstance(module, (AlphaDropout, FeatureAlphaDropout)):
            raise ProofError(f"Layer '{name}' is an {type(module).__name__}; the proof knows nn.Dropout, Dropout1d, Dropout2d "
                             "and Dropout3d.")
        self.name, self.rate, self._module = name, module.p, module

    def mask(self):
        spatial = {"Dropout1d": (32,), "Dropout2d": (8, 4), "Dropout3d": (4, 4, 2)}.get(type(self._module).__name__, (32,))
        training, self._module.training = self._module.training, True
        mask = self._module(torch.ones(256, 8, *spatial)).flatten(2)  # (samples, channels, positions)
        self._module.training = training
        return mask.transpose(1, 2).numpy()

    @contextlib.contextmanager
    def resting(self):
        self._module.p = 0.0
        try:
            yield
        finally:
            self._module.p = self.rate


def aligned_gelu(x, approximate="none"):
    """GELU; its exact form x · erfc(-x / sqrt(2)) / 2 with the constant as TensorFlow keeps it."""
    return 0.5 * x * torch.erfc(-x * _HALF_ROOT) if approximate == "none" else _gelu(x, approximate=approximate)


def align_epsilon(group, step):
    """Gives a parameter group of PyTorch's Adam the epsilon that means at this step what Keras' epsilon means."""
    if "betas" in group:
        group.setdefault("lesson_eps", group["eps"])
        group["eps"] = group["lesson_eps"] / (1 - group["betas"][1] ** step) ** 0.5


def align_variance(module, before, samples):
    """Makes the last update of a PyTorch batch norm's running variance the one that Keras would have made."""
    momentum = module.momentum if module.momentum is not None else 1 / float(module.num_batches_tracked)
    kept = (1 - momentum) * before
    # .data: autograd keeps a version of the running variance, although in training no gradient passes through it
    module.running_var.data.copy_(kept + (module.running_var - kept) * (samples - 1) / samples)
