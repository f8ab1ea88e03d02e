"""Trains the denoiser of lesson 14 on Fashion-MNIST for longer than a notebook can: data/fashion_diffusion.safetensors.

    python data/make/fashion_diffusion.py

The code is the lesson's: its network cells are run, with a wider network and more steps. What is written is the moving average
of the weights over about the last 1,000 steps (Karras and others, 2022, arXiv:2206.00364, look into its length), which draws
better than the weights of any one step. About half an hour on one free core. The state is kept in fashion_diffusion_state.pt
until the end; --resume goes on from there. Another machine's rounding gives other weights of about the same quality.
"""
import argparse
import time
from itertools import islice

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tandem import ROOT
from tandem.pytorch import read_weights
from tandem.tools import source
from tandem.tools.twin import network_cells

SETTINGS = {"channels": 20, "groups": 4, "batch_size": 64, "learning_rate": 3e-3, "beta_1": 0.9, "beta_2": 0.999,
            "epsilon": 1e-8, "dropped": 0.1, "levels": 1000, "train_size": 10_000}
SEED, AVERAGED = 0, 0.999


def save(network, path):
    """Writes the weights in the neutral layout of `tandem.weights`, as 16-bit floats named layer/kind."""
    arrays = {f"{layer}/{kind}": np.ascontiguousarray(array.astype("float16"))
              for layer, kinds in read_weights(network).items() for kind, array in kinds.items()}
    save_file(arrays, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=7_500)
    parser.add_argument("--resume", action="store_true", help="go on from the saved state")
    arguments = parser.parse_args()

    cells = network_cells(source.find("14"), "pytorch", SETTINGS | {"training_steps": arguments.steps})
    network = cells["build_denoiser"](cells["starting_weights"](SEED)["denoiser"])
    optimizer = cells["build_optimizer"](network)
    schedule = cells["build_schedule"](optimizer)
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(AVERAGED))
    parts = {"network": network, "optimizer": optimizer, "schedule": schedule, "averaged": averaged}
    start, state_file = 0, ROOT / "data" / "fashion_diffusion_state.pt"
    if arguments.resume:
        state = torch.load(state_file, weights_only=True)
        start = state["step"]
        for name, part in parts.items():
            part.load_state_dict(state[name])

    began, recent = time.time(), []
    for step, batch in enumerate(islice(cells["batches"](SEED), start, None), start + 1):
        recent.append(cells["train_step"](network, optimizer, *cells["to_tensors"](*batch)).item())
        schedule.step()
        averaged.update_parameters(network)
        if step % 250 == 0:
            print(f"step {step:6,}  loss {np.mean(recent[-250:]):.4f}  {time.time() - began:6.0f} s", flush=True)
            torch.save({"step": step} | {name: part.state_dict() for name, part in parts.items()}, state_file)
    state_file.unlink(missing_ok=True)
    save(averaged.module, ROOT / "data" / "fashion_diffusion.safetensors")


if __name__ == "__main__":
    main()
