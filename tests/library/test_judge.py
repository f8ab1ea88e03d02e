"""The judge in NumPy: what it sees, and the distance that it measures."""
import numpy as np

from tandem import data, judge


def test_it_names_photographs_as_well_as_its_accuracy_says():
    _, (images, labels) = data.fashion_mnist(100)
    features, classes = judge.describe(2 * images - 1)
    assert features.shape == (2_000, 64) and abs(np.mean(classes == labels) - 0.887) < 0.002


def test_colour_and_other_sizes_are_seen_with_weights_of_ones_own():
    classifier = data.fashion_classifier()
    classifier["convolution_1"]["kernel"] = np.repeat(classifier["convolution_1"]["kernel"], 3, axis=2) / 3
    grey = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32)).astype("float32")
    features, classes = judge.describe(np.repeat(grey[..., None], 3, -1), classifier)
    expected, named = judge.describe(grey)
    assert np.allclose(features, expected, atol=1e-4) and np.array_equal(classes, named)


def test_the_distance_of_two_normal_clouds_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, (200_000, 2)), rng.normal([3, 0], [1, 2], (200_000, 2))
    assert abs(judge.frechet_distance(first, second) - (9 + (2 - 1) ** 2)) < 0.1
    assert abs(judge.frechet_distance(first, first)) < 1e-9


def test_variety_is_one_for_photographs_and_nothing_for_a_single_picture():
    features = np.random.default_rng(0).normal(size=(100, 8))
    assert judge.variety(features, features) == 1 and judge.variety(features[:1].repeat(100, 0), features) == 0
