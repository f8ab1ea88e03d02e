"""Tandem: every network twice, in PyTorch and in Keras, proved to be the same network.

Lessons import the modules of this folder (`data`, `weights`, `plots`, `records`, `parameters`, `exercises`, and `pytorch` or
`tensorflow`); the tools behind `python -m tandem` are in `tandem.tools`. No network and no training loop lives here: those are
in lessons/.
"""
import os
import pathlib

ROOT = pathlib.Path(os.environ.get("TANDEM_ROOT") or pathlib.Path(__file__).resolve().parent.parent)
"""The checkout: the folder that holds data/, lessons/ and notebooks/. Tools ask for `tandem.ROOT` when they need it, so that a
test can put another folder in its place; they tell the kernels that they start in TANDEM_ROOT, which nobody else needs to set."""

# Lessons read as text what a program of theirs says when it stops. From Python 3.13 on it says that in colours if it is the child
# of a notebook, because ipykernel sets FORCE_COLOR.
os.environ.setdefault("PYTHON_COLORS", "0")

FRAMEWORKS = ("pytorch", "tensorflow")
FRAMEWORK_NAMES = {"pytorch": "PyTorch", "tensorflow": "TensorFlow"}


class TandemError(Exception):
    """Something that a person can mend; the message is one sentence that says how.

    DataError           a file in data/ is missing or damaged                      tandem.data
    WrongParameter      a parameter of a lesson is unknown or out of its range     tandem.parameters
    SourceError         a lesson's source breaks a rule                            tandem.tools.source
    UnknownLesson       there is no such lesson                                    tandem.tools.source
    RunError            a cell of a notebook failed                                tandem.tools.execute
    MissingPackages     a lesson needs packages that are not installed             tandem.tools.install
    MissingRuntimes     what the page of lesson 18 loads is not installed          tandem.browser
    ProofError          network cells that the twin proof cannot run               tandem.tools.proof
    """

    def _render_traceback_(self):
        """In a notebook the sentence stands alone: the way that Python took to it would not help."""
        return [f"{type(self).__name__}: {self}"]
