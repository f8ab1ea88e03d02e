"""Trains data/fashion_classifier.npz anew: the small CNN whose features lessons use to judge generated clothes.

    python data/make/fashion_classifier.py

Data: the 10,000 training images that Tandem ships, scaled to [-1, 1], half of them mirrored. Twelve epochs, about two minutes
on one core. Each convolution is trained with batch normalisation, which is then folded into its kernel and bias, so that
the shipped network is convolutions, ReLU and one dense layer. Seeds and one thread make the run repeatable on one machine;
another machine's rounding gives other weights of about the same accuracy, and another SHA-256 sum for tandem/data.py.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import ROOT, data
from tandem.pytorch import read_weights

EPOCHS, BATCH_SIZE, HIGHEST_RATE, SEED = 12, 64, 3e-3, 0
WIDTHS = (32, 64, 64)


class Classifier(nn.Module):
    def __init__(self, normalise):
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, WIDTHS[0], 3, padding=1)
        self.convolution_2 = nn.Conv2d(WIDTHS[0], WIDTHS[1], 3, padding=1)
        self.convolution_3 = nn.Conv2d(WIDTHS[1], WIDTHS[2], 3, padding=1)
        self.output = nn.Linear(WIDTHS[2], 10)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in WIDTHS) if normalise else [nn.Identity()] * 3

    def forward(self, images):
        maps = F.relu(self.norms[0](self.convolution_1(images)))
        maps = F.relu(self.norms[1](self.convolution_2(F.max_pool2d(maps, 2))))
        maps = F.relu(self.norms[2](self.convolution_3(F.max_pool2d(maps, 2))))
        return self.output(maps.mean((2, 3)))


@torch.no_grad()
def folded(trained):
    """The same function without batch normalisation: its scale and shift go into the convolutions."""
    plain = Classifier(normalise=False)
    plain.output.load_state_dict(trained.output.state_dict())
    for number, norm in enumerate(trained.norms, 1):
        source, target = (getattr(network, f"convolution_{number}") for network in (trained, plain))
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        target.weight.copy_(source.weight * scale[:, None, None, None])
        target.bias.copy_((source.bias - norm.running_mean) * scale + norm.bias)
    return plain


@torch.no_grad()
def accuracy(network, images, labels):
    return (network.eval()(images).argmax(1) == labels).float().mean().item()


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    (train_images, train_labels), (test_images, test_labels) = (
        (torch.as_tensor(images)[:, None] * 2 - 1, torch.as_tensor(labels)) for images, labels in data.fashion_mnist()
    )
    network = Classifier(normalise=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=HIGHEST_RATE)
    steps = EPOCHS * (len(train_images) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps)
    for chosen in data.batch_order(len(train_images), BATCH_SIZE, EPOCHS, SEED):
        mirrored = (torch.rand(BATCH_SIZE) < 0.5)[:, None, None, None]
        images = torch.where(mirrored, train_images[chosen].flip(3), train_images[chosen])
        optimizer.zero_grad()
        F.cross_entropy(network(images), train_labels[chosen]).backward()
        optimizer.step()
        schedule.step()

    plain = folded(network)
    print(f"test accuracy {accuracy(network, test_images, test_labels):.4f}, "
          f"folded {accuracy(plain, test_images, test_labels):.4f}")
    arrays = {f"{layer}/{kind}": array for layer, kinds in read_weights(plain).items() for kind, array in kinds.items()}
    np.savez_compressed((ROOT / "data" / "fashion_classifier.npz"), **arrays)


if __name__ == "__main__":
    main()
