"""Trains the small GPT of lesson 8 on Shakespeare's plays and writes its weights to data/shakespeare_gpt.safetensors.

    python data/make/shakespeare_gpt.py

Takes about a quarter of an hour on two free CPU cores: 2,700 steps of 4,096 characters, 2.4 times through the plays. The
kernels inside the blocks are trained by Muon (Keller Jordan, 2024; torch.optim.Muon), whose loss in a short trial was below
AdamW's (2.47 against 2.53 after 200 steps), everything else by AdamW. The state is kept in shakespeare_gpt_state.pt until the
end; --resume goes on from there. The plays of `tandem.data.HELD_OUT_PLAYS` are not trained on: the loss on them is what the
script reports.
"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

from tandem import ROOT, data
from tandem.pytorch import read_weights

CONTEXT, WIDTH, LAYERS, HEADS = 256, 192, 4, 3
BATCH_SIZE, LEARNING_RATE = 16, 3e-3


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.query_key_value, self.projection = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.feed_forward_norm = nn.LayerNorm(WIDTH)
        self.expand, self.contract = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        batch, time, _ = x.shape
        heads = self.query_key_value(self.attention_norm(x)).view(batch, time, 3, HEADS, WIDTH // HEADS)
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).reshape(batch, time, WIDTH))
        return x + self.contract(F.gelu(self.expand(self.feed_forward_norm(x))))


class GPT(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.token_embedding, self.position_embedding = nn.Embedding(tokens, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.final_norm, self.output = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, tokens)
        for name, parameter in self.named_parameters():  # as GPT-2: N(0, .02²), smaller where a residual stream is fed
            if parameter.ndim == 2:
                feeds_residual = name.endswith(("projection.weight", "contract.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * LAYERS) ** 0.5 if feeds_residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens):
        x = self.token_embedding(tokens) + self.position_embedding.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.output(self.final_norm(x))


@torch.no_grad()
def held_out_loss(model, text):
    """Nats a character, over all of `text` cut into windows of CONTEXT characters."""
    windows = torch.from_numpy(text[: (len(text) - 1) // CONTEXT * CONTEXT + 1])
    inputs, targets = windows[:-1].view(-1, CONTEXT), windows[1:].view(-1, CONTEXT)
    losses = [F.cross_entropy(model(inputs[i : i + 64]).flatten(0, 1), targets[i : i + 64].flatten(), reduction="sum")
              for i in range(0, len(inputs), 64)]
    return sum(losses).item() / targets.numel()


def save(model, path):
    """Writes the weights in the neutral layout of `tandem.weights`, as 16-bit floats named layer/kind."""
    arrays = {}
    for name, layer in read_weights(model).items():
        name = name.replace("blocks.", "block").replace(".", "_")
        arrays |= {f"{name}/{kind}": np.ascontiguousarray(array.astype("float16")) for kind, array in layer.items()}
    save_file(arrays, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2_700)
    parser.add_argument("--resume", action="store_true", help="go on from the saved state")
    arguments = parser.parse_args()

    training_text, held_out_text = data.shakespeare()
    characters = sorted(set(training_text))
    index = {character: i for i, character in enumerate(characters)}
    training, held_out = (np.array([index[character] for character in text if character in index])
                          for text in (training_text, held_out_text))

    torch.manual_seed(0)
    model = GPT(len(characters))
    hidden = [p for p in model.blocks.parameters() if p.ndim == 2]
    rest = [p for p in model.parameters() if all(p is not h for h in hidden)]
    optimizers = [torch.optim.Muon(hidden, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
                  torch.optim.AdamW(rest, weight_decay=0.0, betas=(0.9, 0.99))]
    start, state_file = 0, ROOT / "data" / "shakespeare_gpt_state.pt"
    if arguments.resume:
        state = torch.load(state_file, weights_only=True)
        start = state["step"]
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)

    began, recent = time.time(), []
    for step in range(start, arguments.steps):
        starts = np.random.default_rng((0, step)).integers(0, len(training) - CONTEXT, BATCH_SIZE)
        windows = torch.from_numpy(np.stack([training[s : s + CONTEXT + 1] for s in starts]))
        # warm up over 100 steps, stay, and fall to zero over the last 40 %
        rate = LEARNING_RATE * min((step + 1) / 100, 1, (arguments.steps - step) / (0.4 * arguments.steps))
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(windows[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), windows[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        recent.append(loss.item())
        if (step + 1) % 100 == 0:
            print(f"step {step + 1:6,}  loss {np.mean(recent[-100:]):.4f}  {time.time() - began:6.0f} s", flush=True)
        if (step + 1) % 500 == 0:
            print(f"             held out {held_out_loss(model, held_out[:50_000]):.4f}", flush=True)
            torch.save({"step": step + 1, "model": model.state_dict(),
                        "optimizers": [optimizer.state_dict() for optimizer in optimizers]}, state_file)
    state_file.unlink(missing_ok=True)
    save(model, ROOT / "data" / "shakespeare_gpt.safetensors")
    print(f"held-out loss {held_out_loss(model, held_out):.4f} nats a character")


if __name__ == "__main__":
    main()
