"""Tandem: every network twice, in PyTorch and in Keras, proved to be the same network.

Lessons import the ground floor (`data`, `weights`, `plots`, `records`, and `pytorch` or `tensorflow`); the other modules
are the tools behind `python -m tandem`. No network and no training loop lives here: those are in lessons/.
"""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
"""The checkout: the folder that holds data/, lessons/ and notebooks/."""

FRAMEWORKS = ("pytorch", "tensorflow")
FRAMEWORK_NAMES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}
