# %% [markdown]
# A small convolutional network, ported from PyTorch to Keras: docs/porting.md walks through it.

# %%
import numpy as np

from tandem import weights

learning_rate, beta_1, beta_2, epsilon = 1e-3, 0.9, 0.999, 1e-8
slope, batch_size = 0.01, 32


def starting_weights(seed):
    rng = weights.generator(seed)
    return {"classifier": {
        "first": weights.convolution(rng, 3, 1, 8, "he", bias=False),
        "first_norm": weights.batch_norm(8),
        "second": weights.convolution(rng, 3, 8, 16, "he", bias=False),
        "second_norm": weights.batch_norm(16),
        "output": weights.dense(rng, 16 * 4 * 4, 10),
    }}


def batches(seed):
    rng = np.random.default_rng(seed)
    while True:
        images = rng.random((batch_size, 16, 16), dtype="float32")
        yield images, rng.integers(0, 10, batch_size)


# %% tags=["pytorch"]
import torch
import torch.nn.functional as F
from torch import nn

from tandem.pytorch import load_weights


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(16)
        self.output = nn.Linear(16 * 4 * 4, 10)

    def forward(self, images):
        maps = F.leaky_relu(self.first_norm(self.first(images)), slope)
        maps = F.leaky_relu(self.second_norm(self.second(maps)), slope)
        return self.output(maps.flatten(1))


def build_classifier(starting):
    return load_weights(Classifier(), starting)


def build_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=learning_rate,
                            betas=(beta_1, beta_2), eps=epsilon)


def to_tensors(images, labels):
    return torch.as_tensor(images[:, None]), torch.as_tensor(labels)


def train_step(network, optimizer, images, labels):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def evaluate(network, images):
    return network.eval()(images)


# %% tags=["tensorflow"]
from tandem.tensorflow import load_weights

import keras
import tensorflow as tf
from keras import layers

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def norm(name):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def build_classifier(starting):
    network = keras.Sequential([
        keras.Input((16, 16, 1)),
        layers.ZeroPadding2D(1),
        layers.Conv2D(8, 3, strides=2, use_bias=False, name="first"),
        norm("first_norm"),
        layers.LeakyReLU(negative_slope=slope),
        layers.ZeroPadding2D(1),
        layers.Conv2D(16, 3, strides=2, use_bias=False, name="second"),
        norm("second_norm"),
        layers.LeakyReLU(negative_slope=slope),
        layers.Permute((3, 1, 2)),  # PyTorch flattens the channels first
        layers.Flatten(),
        layers.Dense(10, name="output"),
    ])
    return load_weights(network, starting)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer


def to_tensors(images, labels):
    return tf.convert_to_tensor(images[..., None]), tf.convert_to_tensor(labels)


@tf.function
def train_step(network, optimizer, images, labels):
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, network(images, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss


def evaluate(network, images):
    return network(images, training=False)
