"""How far drawn pictures are from real ones, as a small classifier sees them: one judge for lessons and twins.

Lesson 11 takes the judge apart and writes it in both frameworks; here it is in NumPy, for the lessons that only use it.
"""
import numpy as np

from tandem import data


def describe(images, classifier=None):
    """The judge's view of `images`: (features, classes), float64 of shape (n, 64) and int64 of shape (n,).

    images: (n, height, width) or (n, height, width, channels) in [-1, 1]; height and width divisible by 4. classifier: the
    judge's weights, `data.fashion_classifier()` unless others of that architecture are given.
    """
    classifier = data.fashion_classifier() if classifier is None else classifier
    images = np.asarray(images, "float32")
    images = images[..., None] if images.ndim == 3 else images
    parts = (images[start : start + 50] for start in range(0, len(images), 50))  # memory stays small
    features = np.concatenate([_features(part, classifier) for part in parts])
    logits = features @ classifier["output"]["kernel"] + classifier["output"]["bias"]
    return features, logits.argmax(1)


def frechet_distance(first, second):
    """The squared Fréchet distance of two clouds of features, each taken as a normal distribution.

    first, second: (n, features) each. Source: Heusel and others (2017), arXiv:1706.08500, with a large ImageNet network
    for a judge.
    """
    between_means = first.mean(0) - second.mean(0)
    spread_1, spread_2 = (np.cov(some, rowvar=False) for some in (first, second))
    eigenvalues = np.linalg.eigvals(spread_1 @ spread_2).real  # real and ≥ 0, but for rounding
    shared = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return float(between_means @ between_means + np.trace(spread_1) + np.trace(spread_2) - 2 * shared)


def variety(features, real_features):
    """The mean distance between two drawings over that between two photographs: 1 for photographs, 0 for one picture only."""

    def spread(some):
        one, other_half = np.split(some[: len(some) // 2 * 2], 2)
        return np.linalg.norm(one - other_half, axis=1).mean()

    return float(spread(features) / spread(real_features))


def _features(images, classifier):
    maps = _halve(_convolve(images, classifier["convolution_1"]))
    maps = _halve(_convolve(maps, classifier["convolution_2"]))
    return _convolve(maps, classifier["convolution_3"]).mean((1, 2), dtype="float64")


def _convolve(maps, layer):
    """A 3×3 convolution over `maps` (n, height, width, channels), padded to its input's size, and ReLU."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))  # (n, height, width, channels, 3, 3)
    kernel = layer["kernel"].transpose(2, 0, 1, 3).reshape(-1, layer["kernel"].shape[-1])
    return np.maximum(windows.reshape(*maps.shape[:3], -1) @ kernel + layer["bias"], 0)


def _halve(maps):
    """2×2 max-pooling."""
    n, height, width, channels = maps.shape
    return maps.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))
