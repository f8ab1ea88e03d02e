"""Trains the small GPT of lesson 8 at four widths and writes its held-out losses to data/scaling_runs.csv.

    python data/make/scaling_runs.py

Runs the lesson's own PyTorch cells (those tagged `network`), with other values of width, heads and steps and everything else as
in the lesson, on one thread; takes about ten minutes. Width 64 is the lesson's own run, which the notebook repeats for its
first 800 steps.
"""
import csv
import time

import torch

from tandem import ROOT, weights
from tandem.tools import source
from tandem.tools.twin import network_cells

WIDTHS = (16, 32, 64, 128)
MEASURED = (100, 200, 400, 800, 1600, 3200)  # steps of 16 windows of 64 characters


def main():
    torch.set_num_threads(1)
    rows = []
    for width in WIDTHS:
        fixed = {"width": width, "heads": width // 16, "steps": max(MEASURED), "device": torch.device("cpu")}
        lesson = network_cells(source.find("08"), "pytorch", fixed, {"network", "script"})
        start = lesson["starting_weights"](0)["gpt"]
        network = lesson["build_gpt"](start)
        began = time.time()
        for step, _ in enumerate(lesson["train"](network, max(MEASURED)), 1):
            if step in MEASURED:
                loss = lesson["mean_loss"](network, lesson["held_out_inputs"], lesson["held_out_targets"])
                rows.append((width, weights.count(start), step * lesson["batch_size"] * lesson["context"], f"{loss:.4f}"))
                print(*rows[-1], f"{time.time() - began:.0f} s", flush=True)
    with open(ROOT / "data" / "scaling_runs.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("width", "parameters", "tokens", "held_out_loss"))
        writer.writerows(rows)


if __name__ == "__main__":
    main()
