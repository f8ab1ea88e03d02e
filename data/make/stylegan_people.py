"""Trains the small StyleGAN of lesson 12 on people emoji and writes its generator to data/stylegan_people.safetensors.

    python data/make/stylegan_people.py

Runs the lesson's own PyTorch cells (those tagged `network` or `script`) on one thread, at batch 32, in bfloat16 where autocast
allows it; takes about an hour of one core. What is written is the generator's running average, as 16-bit floats. The
state is kept in stylegan_people_state.pt until the end; --resume goes on from there.
"""
import argparse
import time
from itertools import islice

import numpy as np
import torch
from safetensors.numpy import save_file

from tandem import ROOT
from tandem.pytorch import read_weights
from tandem.tools import source
from tandem.tools.twin import network_cells

STEPS, LAST, SEED = 20_000, 3_000, 0  # over the last 3,000 steps the rate falls to zero
FIXED = {"batch_size": 32, "learning_rate": 5e-4, "steps": STEPS, "device": torch.device("cpu")}
MEMORY = 0.998  # of the average, a step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resume", action="store_true", help="go on from the saved state")
    parser.add_argument("--stop", type=int, default=STEPS, help="stop after so many steps, to go on later")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    lesson = network_cells(source.find("12"), "pytorch", FIXED, {"network", "script"})
    starting = lesson["starting_weights"](SEED)
    generator, average = (lesson["build_generator"](starting["generator"]) for _ in range(2))
    discriminator = lesson["build_discriminator"](starting["discriminator"])
    optimizers = [lesson["build_optimizer"](player) for player in (generator, discriminator)]
    kept = [generator, average, discriminator, *optimizers]
    start, state_file = 0, ROOT / "data" / "stylegan_people_state.pt"
    if arguments.resume:
        state = torch.load(state_file, weights_only=True)
        start = state["step"]
        for part, saved in zip(kept, state["parts"], strict=True):
            part.load_state_dict(saved)

    began, recent = time.time(), []
    for step, batch in enumerate(islice(lesson["batches"](SEED), start, arguments.stop), start + 1):
        rate = FIXED["learning_rate"] * min(1, (STEPS - step + 1) / LAST)
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            losses = lesson["train_step"](generator, discriminator, *optimizers, *lesson["to_tensors"](*batch))
        lesson["follow"](average, generator, min(MEMORY, step / (step + 10)))
        recent.append([float(loss) for loss in losses])
        if step % 100 == 0:
            told = "  ".join(f"{number:7.3f}" for number in np.mean(recent[-100:], 0))
            print(f"step {step:6,}  loss D, penalty, loss G {told}  {time.time() - began:6.0f} s", flush=True)
        if step % 250 == 0:
            torch.save({"step": step, "parts": [part.state_dict() for part in kept]}, state_file)
    if arguments.stop < STEPS:
        return
    state_file.unlink(missing_ok=True)
    save(average, ROOT / "data" / "stylegan_people.safetensors")


def save(network, path):
    """Writes the weights in the neutral layout of `tandem.weights`, as 16-bit floats named layer/kind."""
    arrays = {f"{name}/{kind}": np.ascontiguousarray(array.astype("float16"))
              for name, layer in read_weights(network).items() for kind, array in layer.items()}
    save_file(arrays, path)


if __name__ == "__main__":
    main()
