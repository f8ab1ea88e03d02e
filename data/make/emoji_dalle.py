"""Trains the tokenizer and the transformer of lesson 15 and writes both to data/emoji_dalle.safetensors.

    OMP_NUM_THREADS=1 python data/make/emoji_dalle.py

The networks are those of the lesson's own PyTorch cells, and so are the pictures that nothing is trained on. On one free core
the tokenizer takes some five minutes and the transformer twenty-five. Each sees its pictures shifted by up to a pixel: nine
pictures in place of one, so that the transformer cannot learn strings of tokens by heart. In its captions every tenth word is
hidden, and every tenth caption as a whole, which is what guidance needs; a tenth of what each part of a block adds is dropped.
The kernels inside the blocks are trained by Muon (Keller Jordan, 2024; torch.optim.Muon), everything else by AdamW. The state is
kept in emoji_dalle_state.pt until the end; --resume goes on from there. Loss on the held-out pictures is reported, and chooses
nothing: the steps are fixed beforehand.
"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

from tandem import ROOT
from tandem.pytorch import read_weights
from tandem.tools import source
from tandem.tools.twin import network_cells

SHIFTS = [(down, right) for down in (0, -1, 1) for right in (0, -1, 1)]  # pixels
TOKENIZER_STEPS, TOKENIZER_BATCH = 7_000, 32
PAINTER_STEPS, PAINTER_BATCH = 7_000, 64
DROPPED = 0.1  # of words, of captions, of what a block adds
STATE, RESULT = ROOT / "data" / "emoji_dalle_state.pt", ROOT / "data" / "emoji_dalle.safetensors"


def shifted(pictures, down, right):
    """`pictures` (n, 32, 32, 3) moved by so many pixels, white coming in."""
    wide = np.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=255)
    return wide[:, 1 - down : 33 - down, 1 - right : 33 - right]


def rate_factor(step, steps, warm_up, flat):
    """Rises over `warm_up` steps, stays until `flat` of the run is over, and falls to a thirtieth in a line."""
    return min(1, (step + 1) / warm_up) * max(1 / 30, min(1, (1 - step / steps) / (1 - flat)))


def set_rates(optimizers, factor):
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = factor * group.setdefault("base", group["lr"])


def save_state(stage, step, network, optimizers, **more):
    torch.save({"stage": stage, "step": step, "network": network.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers], **more}, STATE)


def restore(state, network, optimizers):
    network.load_state_dict(state["network"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return state["step"]


def train_tokenizer(lesson, steps, state):
    tokenizer = lesson["build_scalar_tokenizer"](lesson["starting_weights"](0)["scalar_tokenizer"])
    optimizer = lesson["build_optimizer"](tokenizer)
    start = restore(state, tokenizer, [optimizer]) if state else 0
    began, recent = time.time(), []
    for step in range(start, steps):
        rng = np.random.default_rng((0, step))
        chosen = lesson["pictures"][rng.choice(lesson["training"], TOKENIZER_BATCH, replace=False)]
        down, right = SHIFTS[rng.integers(len(SHIFTS))]
        images, _ = lesson["to_tensors"](lesson["scaled"](shifted(chosen, down, right)), np.zeros(1))
        set_rates([optimizer], rate_factor(step, steps, 1, 0.5))
        loss, _ = lesson["tokenizer_step"](tokenizer, optimizer, images)
        recent.append(loss.item())
        if (step + 1) % 250 == 0:
            print(f"tokenizer {step + 1:6,}  loss {np.mean(recent[-250:]):.4f}  {time.time() - began:6.0f} s", flush=True)
            save_state("tokenizer", step + 1, tokenizer, [optimizer])
    return as_shipped(tokenizer)


@torch.no_grad()
def as_shipped(network):
    """`network` with its weights rounded to the 16-bit floats that are shipped."""
    for parameter in network.parameters():
        parameter.copy_(parameter.half())
    return network


@torch.no_grad()
def codes_of(lesson, tokenizer, pictures):
    slices = [lesson["scaled"](pictures[i : i + 250]) for i in range(0, len(pictures), 250)]
    return np.concatenate([lesson["encode_pictures"](tokenizer, lesson["to_tensors"](some, np.zeros(1))[0]).numpy()
                           for some in slices])


def hidden_words(captions, rng):
    """Captions in which some words, and of some captions all, give way to "<none>", word 1. The style is hidden with all."""
    words = (rng.random(captions.shape) < DROPPED) & (captions > 0)
    words[:, 0] = False
    return np.where(words | (rng.random((len(captions), 1)) < DROPPED), 1, captions)


@torch.no_grad()
def held_out_losses(lesson, painter, codes):
    """{kind: nats a code} of the held-out pictures, and of some training pictures."""
    painter.eval()
    losses = {}
    for kind, chosen in ({"training": lesson["training"][::17]} | lesson["held_out"]).items():
        tensors = [(torch.as_tensor(lesson["caption_tokens"][some]), torch.as_tensor(codes[some]))
                   for some in np.array_split(chosen, len(chosen) // 128 + 1)]
        some = [lesson["painter_loss"](painter, *batch).item() * len(batch[0]) for batch in tensors]
        losses[kind] = sum(some) / len(chosen)
    painter.train()
    return losses


def train_painter(lesson, tokenizer, steps, state):
    painter = lesson["build_painter"](lesson["starting_weights"](0)["painter"])
    for block in painter.blocks:
        for layer in (block.projection, block.contract):
            layer.register_forward_hook(lambda layer, _, added: F.dropout(added, DROPPED, layer.training))
    hidden = [p for p in painter.blocks.parameters() if p.ndim == 2]
    rest = [p for p in painter.parameters() if all(p is not h for h in hidden)]
    optimizers = [torch.optim.Muon(hidden, lr=0.02, weight_decay=0.01),
                  torch.optim.AdamW(rest, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.02)]
    start = restore(state, painter, optimizers) if state else 0
    training, captions = lesson["training"], lesson["caption_tokens"]
    codes = [codes_of(lesson, tokenizer, shifted(lesson["pictures"], *shift)).astype("int16") for shift in SHIFTS]

    began, recent = time.time(), []
    for step in range(start, steps):
        torch.manual_seed(step)  # of dropout
        rng = np.random.default_rng((1, step))
        chosen, shift = rng.choice(training, PAINTER_BATCH, replace=False), rng.integers(len(SHIFTS))
        words = torch.as_tensor(hidden_words(captions[chosen], rng))
        wanted = torch.as_tensor(codes[shift][chosen].astype("int64"))
        set_rates(optimizers, rate_factor(step, steps, 50, 1 / 3))
        with torch.autocast("cpu", torch.bfloat16):
            loss = lesson["painter_loss"](painter, words, wanted)
        painter.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(painter.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        recent.append(loss.item())
        if (step + 1) % 250 == 0:
            print(f"transformer {step + 1:6,}  loss {np.mean(recent[-250:]):.4f}  {time.time() - began:6.0f} s", flush=True)
        if (step + 1) % 500 == 0:
            found = held_out_losses(lesson, painter, codes[0].astype("int64"))
            print("   " + ", ".join(f"{kind} {loss:.3f}" for kind, loss in found.items()), flush=True)
            save_state("painter", step + 1, painter, optimizers, tokenizer=tokenizer.state_dict())
    return as_shipped(painter)


def save(tokenizer, painter, names):
    """Writes both in the neutral layout of `tandem.weights`, as 16-bit floats named network/layer/kind."""
    arrays = {}
    for network, trained in (("tokenizer", tokenizer), ("painter", painter)):
        for name, layer in zip(names[network], read_weights(trained).values(), strict=True):
            arrays |= {f"{network}/{name}/{kind}": np.ascontiguousarray(array.astype("float16"))
                       for kind, array in layer.items()}
    save_file(arrays, RESULT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer-steps", type=int, default=TOKENIZER_STEPS)
    parser.add_argument("--painter-steps", type=int, default=PAINTER_STEPS)
    parser.add_argument("--resume", action="store_true", help="go on from the saved state")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lesson = network_cells(source.find("15"), "pytorch", {"device": torch.device("cpu")}, {"network", "script"})
    state = torch.load(STATE, weights_only=True) if arguments.resume else None
    start = lesson["starting_weights"](0)
    if state and state["stage"] == "painter":
        tokenizer = lesson["build_scalar_tokenizer"](start["scalar_tokenizer"])
        tokenizer.load_state_dict(state["tokenizer"])
    else:
        tokenizer, state = train_tokenizer(lesson, arguments.tokenizer_steps, state), None
    painter = train_painter(lesson, tokenizer, arguments.painter_steps, state)
    save(tokenizer, painter, {"tokenizer": start["scalar_tokenizer"], "painter": start["painter"]})
    STATE.unlink(missing_ok=True)
    losses = held_out_losses(lesson, painter, codes_of(lesson, tokenizer, lesson["pictures"]))
    print("shipped: " + ", ".join(f"{kind} {loss:.3f}" for kind, loss in losses.items()))


if __name__ == "__main__":
    main()
