# %%
import numpy as np

from tandem import weights

learning_rate, beta_1, beta_2, epsilon, steps = 1e-2, 0.9, 0.999, 1e-7, 200


def starting_weights(seed):
    rng = weights.generator(seed)
    return {"reader": {"embedding": weights.embedding(rng, 20, 8, 0.3), "output": weights.dense(rng, 8, 3)}}


def batches(seed):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rng.integers(0, 20, (16, 12)), rng.integers(0, 3, 16)


# %% tags=["pytorch"]
import torch
import torch.nn.functional as F
from torch import nn

from tandem.pytorch import load_weights


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.drop = nn.Dropout(0.25)
        self.output = nn.Linear(8, 3)

    def forward(self, tokens):
        return self.output(self.drop(self.embedding(tokens).mean(1)))


def build_reader(starting):
    return load_weights(Reader(), starting)


def build_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=learning_rate, betas=(beta_1, beta_2), eps=epsilon)


def to_tensors(tokens, labels):
    return torch.as_tensor(tokens), torch.as_tensor(labels)


def train_step(network, optimizer, tokens, labels):
    network.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(network(tokens), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def evaluate(network, tokens):
    return network.eval()(tokens)


def learning_rates():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return np.array(rates)


# %% tags=["tensorflow"]
from tandem.tensorflow import load_weights

import keras
import tensorflow as tf
from keras import layers

cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def build_reader(starting):
    network = keras.Sequential([
        keras.Input((12,), dtype="int64"),
        layers.Embedding(20, 8, name="embedding"),
        layers.GlobalAveragePooling1D(),
        layers.Dropout(0.25),
        layers.Dense(3, name="output"),
    ])
    return load_weights(network, starting)


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer


def to_tensors(tokens, labels):
    return tf.convert_to_tensor(tokens), tf.convert_to_tensor(labels)


@tf.function
def train_step(network, optimizer, tokens, labels):
    with tf.GradientTape() as tape:
        loss = cross_entropy(labels, network(tokens, training=True))
    gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, network.trainable_variables)]
    optimizer.apply(gradients, network.trainable_variables)
    return loss


def evaluate(network, tokens):
    return network(tokens, training=False)


def learning_rates():
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return np.array([float(schedule(step)) for step in range(steps)])
