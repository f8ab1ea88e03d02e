"""Makes data/fashion_diffusion_runs.csv anew: what steps and guidance do to the drawings of lesson 14's trained network.

    python data/make/fashion_diffusion_runs.py

Draws 500 pictures, 50 of each class, from the same noise, with DDIM and DDPM in 2 to 50 steps, and with guidance 0 to 8 in 20
steps, and lets `tandem.judge` compare them with the test photographs. The code is the lesson's: its network cells are run. About
six minutes on one core. Another machine's rounding changes the last digits, and the SHA-256 sum in tandem/data.py.
"""
import csv
import io
from functools import partial

import numpy as np

from tandem import ROOT, data, judge
from tandem.tools import source
from tandem.tools.twin import network_cells

COUNT, STEPS, GUIDANCE = 500, (2, 5, 10, 20, 50), (0, 0.5, 1, 2, 4, 8)
COLUMNS = ("sampler", "steps", "guidance", "distance", "variety", "variety_within", "agreement")


def variety_within(features, labels, real_features, real_labels):
    """The mean over classes of the variety of a class's drawings beside that of its photographs."""
    return np.mean([judge.variety(features[labels == label], real_features[real_labels == label]) for label in range(10)])


def main():
    cells = network_cells(source.find("14"), "pytorch")
    network = cells["build_denoiser"](data.fashion_diffusion())
    labels = np.random.default_rng((0, 20)).permutation(COUNT) % 10
    noise = np.random.default_rng((0, 21)).standard_normal((COUNT, 28, 28)).astype("float32")
    images, real_labels = data.fashion_mnist()[1]
    photographs, _ = judge.describe(2 * images - 1)
    wanted = [("DDIM", steps, 1) for steps in STEPS] + [("DDPM", steps, 1) for steps in STEPS]
    wanted += [("DDIM", 20, guidance) for guidance in GUIDANCE if guidance != 1]
    table = io.StringIO()
    writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for name, steps, guidance in wanted:
        sampler = cells["ddim"] if name == "DDIM" else partial(cells["ddpm"], rng=np.random.default_rng((0, 22)))
        features, classes = judge.describe(cells["draw"](network, noise, labels, steps, guidance, sampler))
        found = (judge.frechet_distance(photographs, features), judge.variety(features, photographs),
                 variety_within(features, labels, photographs, real_labels), np.mean(classes == labels))
        row = name, steps, guidance, *(f"{value:.4f}" for value in found)
        print(*row, flush=True)
        writer.writerow(dict(zip(COLUMNS, row, strict=True)))
    (ROOT / "data" / "fashion_diffusion_runs.csv").write_text(table.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
