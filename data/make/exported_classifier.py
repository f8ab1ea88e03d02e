"""Exports data/fashion_classifier.npz as programs for lesson 18: an ONNX and a LiteRT file of one twin.

    python data/make/exported_classifier.py pytorch
    python data/make/exported_classifier.py tensorflow

Runs the files that the lesson's own cells write (`%%write`). Neither exporter writes the same bytes on every machine; what
the files answer is the same to within 1e-5, and the lesson compares it.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx

from tandem import FRAMEWORKS, ROOT
from tandem.tools import source


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=FRAMEWORKS)
    framework = parser.parse_args().framework
    with tempfile.TemporaryDirectory() as scratch:
        written = pathlib.Path(scratch)
        for cell in source.find("18").cells:
            if cell.source.startswith("%%write ") and framework in cell.tags:
                first, text = cell.source.split("\n", 1)
                (written / first.split()[1]).write_text(text, encoding="utf-8")
        np.save(written / "images.npy", np.zeros((1, 28, 28), "float32"))
        for script in ("to_onnx.py", "to_litert.py"):
            subprocess.run([sys.executable, script], cwd=written, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
        model = onnx.load(written / f"{framework}.onnx")
        for node in model.graph.node:
            node.ClearField("metadata_props")  # the folders of this machine
        onnx.save(model, written / f"{framework}.onnx")
        for kind in ("onnx", "tflite"):
            shutil.copy(written / f"{framework}.{kind}", ROOT / "data" / f"fashion_classifier_{framework}.{kind}")


if __name__ == "__main__":
    main()
