"""Every kind of layer that `tandem.weights` knows, as a model of one framework; run by test_weights.py in a process of its own.

    python layers.py plain|sequence|picture pytorch|tensorflow ANSWERS.npy
"""
import sys

import numpy as np

from tandem import weights


def starting(kind):
    """Neutral weights of the layers of a model: {layer name: {kind: array}}."""
    rng = weights.generator(0)
    if kind == "plain":
        return {
            "dense": weights.dense(rng, 6, 5),
            "plain": weights.dense(rng, 5, 12, bias=False),
            "convolution": weights.convolution(rng, 3, 3, 4, scheme="he"),
            "transposed": weights.convolution(rng, 4, 4, 2, scheme=0.02),
            "norm": {kind: array + np.float32(0.5) for kind, array in weights.batch_norm(2).items()},
        }
    if kind == "picture":
        own = {"constant": np.zeros((6, 6, 8), "float32"), "strength": np.zeros(8, "float32")}
        layers = {"convolution": weights.convolution(rng, 3, 3, 4, bias=False), "depthwise": weights.convolution(rng, 3, 1, 8),
                  "group": weights.group_norm(8), "instance": weights.group_norm(8), "own": own}
        return {name: {kind: array + rng.normal(0, 0.1, array.shape).astype("float32") for kind, array in layer.items()}
                for name, layer in layers.items()}
    layers = {"embedding": weights.embedding(rng, 10, 6), "lstm": weights.lstm(rng, 6, 5), "gru": weights.gru(rng, 5, 8)}
    layers |= {name: weights.dense(rng, 8, 8) for name in ("query", "key", "value", "output")} | {"norm": weights.layer_norm(8)}
    return {name: {kind: array + rng.normal(0, 0.1, array.shape).astype("float32") for kind, array in layer.items()}
            for name, layer in layers.items()}


def pytorch_model(kind):
    import torch
    from torch import nn

    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.lstm = nn.Embedding(10, 6), nn.LSTM(6, 5, batch_first=True)
            self.gru, self.attention = nn.GRU(5, 8, batch_first=True), nn.MultiheadAttention(8, 2, batch_first=True)
            self.norm = nn.LayerNorm(8)
            nn.init.zeros_(self.lstm.bias_hh_l0.requires_grad_(False))

        def forward(self, tokens):
            x, _ = self.gru(self.lstm(self.embedding(tokens))[0])
            return self.norm(self.attention(x, x, x)[0])

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.constant, self.strength = nn.Parameter(torch.zeros(6, 6, 8)), nn.Parameter(torch.zeros(8))

        def forward(self, maps):
            return (maps + self.constant.permute(2, 0, 1)) * self.strength[:, None, None]

    if kind == "picture":
        norms = nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True)
        depthwise = nn.Conv2d(4, 8, 3, padding=1, groups=4)
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), depthwise, *norms, Own())
        return model, lambda images: model(torch.as_tensor(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).detach().numpy()
    plain = (nn.Linear(6, 5), nn.Linear(5, 12, bias=False), nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 4), nn.BatchNorm2d(2))
    model = Sequence() if kind == "sequence" else nn.Sequential(*plain)
    return model, lambda tokens: model(torch.as_tensor(tokens)).detach().numpy()


def tensorflow_model(kind):
    import keras
    from keras import layers

    class Own(layers.Layer):
        def build(self, shape):
            self.constant, self.strength = self.add_weight((6, 6, 8)), self.add_weight((8,))

        def call(self, maps):
            return (maps + self.constant) * self.strength

    if kind == "picture":
        model = keras.Sequential([
            keras.Input((6, 6, 3)), layers.Conv2D(4, 3, padding="same", use_bias=False),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            layers.GroupNormalization(4, epsilon=1e-5), layers.GroupNormalization(-1, epsilon=1e-5), Own(),
        ])
        return model, lambda images: model(images).numpy()
    if kind == "plain":
        model = keras.Sequential([
            keras.Input((6,)), layers.Dense(5), layers.Dense(12, use_bias=False), layers.Reshape((2, 2, 3)),
            layers.Conv2D(4, 3, padding="same"), layers.Conv2DTranspose(2, 4), layers.BatchNormalization(),
        ])
    else:
        tokens = keras.Input((7,), dtype="int32")
        x = layers.LSTM(5, return_sequences=True)(layers.Embedding(10, 6)(tokens))
        x = layers.GRU(8, return_sequences=True)(x)
        model = keras.Model(tokens, layers.LayerNormalization(epsilon=1e-5)(layers.MultiHeadAttention(2, 4)(x, x)))
    return model, lambda tokens: model(tokens).numpy()


def check_round_trip(model, kind, load_weights, read_weights):
    start = starting(kind)
    back = read_weights(load_weights(model, start))
    for (name, arrays), found in zip(start.items(), back.values(), strict=True):
        assert arrays.keys() == found.keys(), (name, found.keys())
        for one, array in arrays.items():
            assert np.array_equal(array, found[one]), (name, one)


def check_misfits(model, load_weights, read_weights):
    before = [array.copy() for layer in read_weights(model).values() for array in layer.values()]
    for spoil, says in [
        (lambda w: w.pop("norm"), "4 layers"),
        (lambda w: w["dense"].update(kernel=w["dense"]["kernel"].T), "its kernel has shape (6, 5), the weights have (5, 6)"),
        (lambda w: w["plain"].update(bias=np.zeros(12, "float32")), "has no bias"),
    ]:
        wrong = starting("plain")
        for array in wrong["norm"].values():
            array += 1
        spoil(wrong)
        try:
            load_weights(model, wrong)
        except ValueError as error:
            assert says in str(error), error
        else:
            raise AssertionError("accepted: " + says)
    after = [array for layer in read_weights(model).values() for array in layer.values()]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)), "a refused load changed the model"


def main(kind, framework, answers):
    if framework == "pytorch":
        from tandem.pytorch import load_weights, read_weights

        model, answer = pytorch_model(kind)
    else:
        from tandem.tensorflow import load_weights, read_weights

        model, answer = tensorflow_model(kind)
    check_round_trip(model, kind, load_weights, read_weights)
    if kind == "plain":
        check_misfits(model, load_weights, read_weights)
    else:
        pictures = np.random.default_rng(1).random((2, 6, 6, 3), "float32")
        np.save(answers, answer(pictures if kind == "picture" else np.arange(21).reshape(3, 7) % 10))


if __name__ == "__main__":
    main(*sys.argv[1:])
