"""Processor seconds to the same accuracy: first recipes of other courses and ours, on the same images (docs/peers.md shows them).

    python docs/peers.py        some ten minutes, one thread; a line a recipe and seed

Each recipe is written down here from the file that is named beside it: network, optimiser, learning rate, batch size; what the
file leaves to the framework is left to it here. They were made for the 60,000 images of Fashion-MNIST or MNIST; here each gets
the 10,000 of ours and trains until it is right on 85 of 100 test images, or for 90 seconds. Tests, one an epoch, are not counted.
"""
import os
import time

os.environ |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

from tandem import data, tensorflow  # noqa: E402, F401  tandem.tensorflow comes before keras

import keras  # noqa: E402
import torch  # noqa: E402
from keras import layers  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

LONGEST, GOALS = 90, (0.80, 0.85)
(IMAGES, LABELS), (TEST_IMAGES, TEST_LABELS) = data.fashion_mnist()


def pytorch_quickstart():
    """pytorch/tutorials, beginner_source/basics/quickstart_tutorial.py."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return in_pytorch(network, torch.optim.SGD(network.parameters(), lr=1e-3), 64)


def d2l_lenet():
    """d2l-ai/d2l-en, chapter_convolutional-neural-networks/lenet.md, its PyTorch side."""
    network = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10))
    for layer in network:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
    return in_pytorch(network, torch.optim.SGD(network.parameters(), lr=0.9), 256)


def keras_convnet():
    """keras-team/keras-io, examples/vision/mnist_convnet.py."""
    network = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5),
        layers.Dense(10, activation="softmax")])
    return in_keras(network, keras.optimizers.Adam(), 128, "sparse_categorical_crossentropy")


def tandem_2_pytorch():
    """Lesson 2, its whole program."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    return in_pytorch(network, torch.optim.Adam(network.parameters()), 64)


def tandem_2_keras():
    """Lesson 2, its whole program."""
    network = keras.Sequential([
        keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(10)])
    return in_keras(network, keras.optimizers.Adam(), 64, keras.losses.SparseCategoricalCrossentropy(from_logits=True))


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.change = nn.Sequential(*convolution(width, width), nn.ReLU(), *convolution(width, width))

    def forward(self, maps):
        return F.relu(maps + self.change(maps))


def convolution(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)


def tandem_6_pytorch(epochs=6):
    """Lesson 6: its network and schedule, without its augmentation, which costs a tenth of the time and pays late."""
    network = nn.Sequential(
        *convolution(1, 16), nn.ReLU(), nn.MaxPool2d(2), *convolution(16, 32), nn.ReLU(), Residual(32), nn.MaxPool2d(2),
        *convolution(32, 64), nn.ReLU(), Residual(64),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.125), nn.Linear(64, 10),
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.004)
    return in_pytorch(network, optimizer, 64, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * 157))


def tandem_6_in_two_epochs():
    """The same with its schedule set to two epochs."""
    return tandem_6_pytorch(2)


def in_pytorch(network, optimizer, batch_size, schedule=None):
    """A function that trains an epoch, and one that gives the share of right answers to the test images."""
    images, labels = torch.from_numpy(IMAGES).unsqueeze(1), torch.from_numpy(LABELS).long()
    test = torch.from_numpy(TEST_IMAGES).unsqueeze(1)

    def epoch():
        network.train()
        for chosen in torch.randperm(len(images)).split(batch_size):
            optimizer.zero_grad()
            F.cross_entropy(network(images[chosen]), labels[chosen]).backward()
            optimizer.step()
            if schedule:
                schedule.step()

    @torch.inference_mode()
    def accuracy():
        return (network.eval()(test).argmax(1).numpy() == TEST_LABELS).mean()

    return epoch, accuracy


def in_keras(network, optimizer, batch_size, loss):
    """The same for a Keras model, by compile and fit."""
    network.compile(optimizer, loss)

    def epoch():
        network.fit(IMAGES[..., None], LABELS, batch_size, verbose=0)

    def accuracy():
        return (network.predict(TEST_IMAGES[..., None], 500, verbose=0).argmax(1) == TEST_LABELS).mean()

    return epoch, accuracy


def seconds_to(goals, epoch, accuracy):
    """({goal: processor seconds of training, or None}, the last accuracy, epochs)."""
    spent, reached, epochs = 0.0, dict.fromkeys(goals), 0
    while spent < LONGEST and None in reached.values():
        begun = time.process_time()
        epoch()
        spent, epochs, right = spent + time.process_time() - begun, epochs + 1, accuracy()
        reached |= {goal: spent for goal in goals if right >= goal and reached[goal] is None}
    return reached, right, epochs


RECIPES = (pytorch_quickstart, d2l_lenet, keras_convnet, tandem_2_pytorch, tandem_2_keras, tandem_6_pytorch,
           tandem_6_in_two_epochs)


def main():
    torch.set_num_threads(1)
    for seed in (0, 1):
        for recipe in RECIPES:
            keras.utils.set_random_seed(seed)
            torch.manual_seed(seed)
            reached, right, epochs = seconds_to(GOALS, *recipe())
            shown = "  ".join(f"{goal:.2f}: {f'{spent:5.1f} s' if spent else 'not yet'}" for goal, spent in reached.items())
            print(f"{recipe.__name__:24} seed {seed}  {shown}  (after {epochs} epochs {right:.3f})", flush=True)


if __name__ == "__main__":
    main()
