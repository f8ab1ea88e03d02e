"""Exports data/fashion_classifier.npz as programs for lesson 18: an ONNX and a LiteRT file of one twin.

    python data/make/exported_classifier.py pytorch
    python data/make/exported_classifier.py tensorflow

Runs the lesson's own cells (those tagged `network` or `script`). Neither exporter writes the same bytes on every machine; what
the files answer is the same to within 1e-5, and the lesson compares it.
"""
import argparse
import pathlib
import shutil
import tempfile

import onnx

from tandem import FRAMEWORKS, ROOT, data
from tandem.tools import source
from tandem.tools.twin import network_cells


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("framework", choices=FRAMEWORKS)
    framework = parser.parse_args().framework
    lesson = network_cells(source.find("18"), framework, tags={"network", "script"})
    with tempfile.TemporaryDirectory() as scratch:
        written = pathlib.Path(scratch)
        lesson["write_files"](lesson["build_classifier"](data.fashion_classifier()), written)
        model = onnx.load(written / f"{framework}.onnx")
        for node in model.graph.node:
            node.ClearField("metadata_props")  # the folders of this machine
        onnx.save(model, written / f"{framework}.onnx")
        for kind in ("onnx", "tflite"):
            shutil.copy(written / f"{framework}.{kind}", ROOT / "data" / f"fashion_classifier_{framework}.{kind}")


if __name__ == "__main__":
    main()
