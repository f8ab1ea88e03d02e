"""Rebuilds data/fashion_mnist.npz, byte for byte, from Debian's package of the full data set.

    apt-get download dataset-fashion-mnist
    dpkg -x dataset-fashion-mnist_*.deb fashion
    python data/make/fashion_mnist.py fashion            the 10,000 + 2,000 images that Tandem ships
    python data/make/fashion_mnist.py fashion --full     all 70,000 (31 MB), as data/fashion_mnist_full.npz

The subset is stratified: the first 1,000 training and 200 test images of each class, in the order of the files.
"""
import argparse
import gzip
import pathlib

import numpy as np

from tandem import ROOT

FOLDER = pathlib.Path("usr/share/datasets/fashion-mnist")


def read_idx(path):
    """An idx file (http://yann.lecun.com/exdb/mnist) as a uint8 array of the shape in its header."""
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">u4", dimensions, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def first_of_each_class(labels, count):
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(10)]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("unpacked", type=pathlib.Path, help="the folder into which the package was unpacked")
    parser.add_argument("--full", action="store_true", help="keep all 70,000 images")
    arguments = parser.parse_args()

    arrays = {}
    for split, prefix, count in (("train", "train", 1000), ("test", "t10k", 200)):
        images = read_idx(arguments.unpacked / FOLDER / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(arguments.unpacked / FOLDER / f"{prefix}-labels-idx1-ubyte.gz")
        chosen = slice(None) if arguments.full else first_of_each_class(labels, count)
        arrays |= {f"{split}_images": images[chosen], f"{split}_labels": labels[chosen]}

    name = "fashion_mnist_full.npz" if arguments.full else "fashion_mnist.npz"
    np.savez_compressed((ROOT / "data" / name), **arrays)
    print(name, {key: value.shape for key, value in arrays.items()})


if __name__ == "__main__":
    main()
