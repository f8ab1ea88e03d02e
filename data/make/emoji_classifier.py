"""Trains data/emoji_classifier.npz anew: the small CNN whose features lesson 12 uses to judge drawn people.

    python data/make/emoji_classifier.py

Data: the 1,994 people of lesson 12, scaled to [-1, 1], mirrored half of the time and shifted by up to 4 pixels on white. Every
fifth glyph, in both styles and all tones, is held out. It learns two things at once: tone and style (12 classes, the output that
is shipped), and which glyph it is, whatever its tone (an output that is thrown away): so the features hold skin, hair, clothes,
pose and style. At the end they are scaled so that their variances over the people add up to 100, and `output` with them: a
distance then reads as a percentage of how far the people lie apart themselves. Two minutes on one core. Seeds and one thread
make the run repeatable on one machine; another machine's rounding gives other weights of about the same accuracy, and another
SHA-256 sum for tandem/data.py.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import ROOT, data
from tandem.pytorch import read_weights
from tandem.tools import source
from tandem.tools.twin import network_cells

EPOCHS, BATCH_SIZE, HIGHEST_RATE, SEED = 60, 64, 3e-3, 0


class Classifier(nn.Module):
    def __init__(self, glyphs):
        super().__init__()
        self.convolution_1 = nn.Conv2d(3, 32, 3, padding=1)
        self.convolution_2 = nn.Conv2d(32, 64, 3, padding=1)
        self.convolution_3 = nn.Conv2d(64, 64, 3, padding=1)
        self.output = nn.Linear(64, len(data.PEOPLE_CLASSES))
        self.glyph = nn.Linear(64, glyphs)

    def forward(self, images):
        maps = F.max_pool2d(F.relu(self.convolution_1(images)), 2)
        maps = F.max_pool2d(F.relu(self.convolution_2(maps)), 2)
        self.features = F.relu(self.convolution_3(maps)).mean((2, 3))
        return self.output(self.features), self.glyph(self.features)


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    lesson = network_cells(source.find("12"), "pytorch", {"device": torch.device("cpu")})
    people, table = lesson["people"], lesson["table"]
    names, glyphs = np.unique(table["short_name"], return_inverse=True)
    styles = np.repeat(("noto", "twemoji"), len(people) // 2)
    labels = np.array([data.PEOPLE_CLASSES.index(f"{style}, {tone or 'yellow'}")
                       for style, tone in zip(styles, table["tone"], strict=True)])
    held_out = glyphs % 5 == 4
    kept = np.flatnonzero(~held_out)
    people = torch.as_tensor(people).permute(0, 3, 1, 2)
    glyphs, labels = torch.as_tensor(glyphs), torch.as_tensor(labels)

    network = Classifier(len(names)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), HIGHEST_RATE, weight_decay=1e-2)
    steps = EPOCHS * (len(kept) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps)
    for chosen in data.batch_order(len(kept), BATCH_SIZE, EPOCHS, SEED):
        chosen = kept[chosen]
        mirrored = torch.as_tensor(rng.random(BATCH_SIZE) < 0.5)[:, None, None, None]
        images = torch.where(mirrored, people[chosen].flip(3), people[chosen])
        images = lesson["shift"](images, torch.as_tensor(lesson["shift_matrices"](rng, BATCH_SIZE)))
        kind, glyph = network(images)
        optimizer.zero_grad()
        (F.cross_entropy(kind, labels[chosen]) + F.cross_entropy(glyph, glyphs[chosen])).backward()
        optimizer.step()
        schedule.step()

    with torch.no_grad():
        kind, glyph = network(people)
        scale = (100 / network.features.var(0).sum()) ** 0.5
        network.convolution_3.weight *= scale
        network.convolution_3.bias *= scale
        network.output.weight /= scale
    right = (kind.argmax(1) == labels).float().numpy()
    known = (glyph.argmax(1) == glyphs).float().numpy()
    print(f"tone and style: {right[kept].mean():.4f} of the pictures trained on, {right[held_out].mean():.4f} of those held out; "
          f"glyph: {known[kept].mean():.4f}")
    arrays = {f"{layer}/{kind}": array for layer, kinds in read_weights(network).items() if layer != "glyph"
              for kind, array in kinds.items()}
    np.savez_compressed(ROOT / "data" / "emoji_classifier.npz", **arrays)


if __name__ == "__main__":
    main()
