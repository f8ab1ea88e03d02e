"""What a learner sees of an exercise's check, and what a check holds a network against.

A check is a few lines of `assert` on NumPy arrays, the same in both notebooks. In a lesson they stand under `attempt`, so that
"Run All" goes on while exercises are open; in an assignment they stand bare. `on_arrays`, `gradient_on_arrays` and
`answers_and_gradients` of `tandem.pytorch` and `tandem.tensorflow` hand arrays to an answer and arrays back. How an exercise is
written is told in docs/contributing.md; how it is read, in `tandem.tools.exercises`.
"""
import contextlib
import linecache
import re

import numpy as np

from tandem.weights import pair_layers

# How Keras and AutoGraph begin when they tell an error a second time, at length.
_RETOLD = re.compile("Exception encountered when calling|Could not automatically infer the output|in user code:")


@contextlib.contextmanager
def attempt(name):
    """Runs a check, and prints one line: right, not answered yet, or what is not right yet. An interrupt goes through.

    For an error in the learner's own code a second line says where.
    """
    try:
        yield
    except Exception as error:
        print(verdict(name, error))
    else:
        print(verdict(name))


def verdict(name, error=None):
    """What `attempt` prints when the check of exercise `name` has raised `error` (None: nothing)."""
    if error is None:
        return f"Exercise '{name}': right."
    if unanswered(error):
        return f"Exercise '{name}': not answered yet."
    if isinstance(error, AssertionError) and str(error):
        return f"Exercise '{name}': not yet: {' '.join(str(error).split())}"
    return f"Exercise '{name}': not yet: {_first_words(error)}{_place(error)}"


def unanswered(error):
    """Whether a starter's bare `raise NotImplementedError` is behind `error`; what a framework lacks is another matter."""
    while error is not None:
        if type(error) is NotImplementedError and not error.args:
            raised_in = [frame.f_globals.get("__name__", "") for frame, _ in _frames(error)][-1:]
            return not any(module.startswith(("torch.", "tensorflow.", "keras.")) for module in raised_in)
        error = error.__cause__ or error.__context__
    return False


def reference(forward, weights, inputs, labels):
    """What a network has to answer: (logits, gradients), from its definition in NumPy, in float64.

    forward(weights, inputs): the logits (batch, classes); `weights` are neutral ones. Gradients are those of the mean
    cross-entropy, {"layer/kind": array}, by central differences: two runs of `forward` for each weight, so take a small network.
    """
    weights = {name: {kind: np.array(array, "float64") for kind, array in arrays.items()} for name, arrays in weights.items()}
    inputs = inputs.astype("float64") if inputs.dtype.kind == "f" else inputs

    def loss():
        logits = forward(weights, inputs)
        return np.mean(np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels])

    slopes = {f"{name}/{kind}": _slopes(loss, array) for name, arrays in weights.items() for kind, array in arrays.items()
              if not kind.startswith("moving_")}
    return forward(weights, inputs), slopes


def difference(given, expected, tolerance=1e-6):
    """Where (logits, gradients) of an answer first part from what is expected, as a sentence; "" where they are the same.

    given: of `answers_and_gradients`; expected: of `reference`, or of the twin. tolerance: relative to the largest of the logits,
    and of the gradients; float32 keeps seven digits.
    """
    (logits, gradients), (wanted, slopes) = given, expected
    if logits.shape != wanted.shape:
        return f"the answers have shape {logits.shape}; {wanted.shape} is wanted"
    apart = np.abs(logits - wanted).max() / np.abs(wanted).max()
    if not apart <= tolerance:
        return f"from the same weights come other answers, by {apart:.1g} of the largest; rounding explains {tolerance:.0e}"
    largest = max(np.abs(slope).max() for slope in slopes.values())
    for place, slope in slopes.items():
        if place not in gradients:
            return f"the answers are right, but no gradient reaches {place}: something cuts it off from the loss"
        apart = np.abs(gradients[place] - slope).max() / largest
        if not apart <= tolerance:
            return f"the answers are right, but the gradient of {place} is another: it parts by {apart:.1g} of the largest one"
    return ""


def by_place(weights, found):
    """{"layer/kind": array} of the neutral `found`, read from a network; layers are called as in `weights`."""
    return {f"{name}/{kind}": array for name, _, arrays in pair_layers(weights, found) for kind, array in arrays.items()}


def check_logits(shape, labels):
    """Raises AssertionError, in a sentence for a learner, unless `shape` is that of logits for the whole numbers `labels`."""
    if len(shape) != 2 or shape[0] != len(labels) or shape[1] <= np.max(labels):
        raise AssertionError(f"for {len(labels)} inputs the answers have shape {tuple(shape)}; (batch, classes) is wanted")


def each_of(function, value):
    """`function` on `value`, or on each thing inside it where it is a tuple, a list or a dictionary."""
    if isinstance(value, dict):
        return {key: each_of(function, one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(each_of(function, one) for one in value)
    return function(value)


def _slopes(loss, array, step=1e-5):
    slopes = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = loss()
        array[index] = value - step
        slopes[index] = (above - loss()) / (2 * step)
        array[index] = value
    return slopes


def _first_words(error):
    """"TypeError: the first line of its message"."""
    while _RETOLD.match(str(error)) and error.__context__ is not None:
        error = error.__context__
    # Without colours, and without the node of a graph that TensorFlow names.
    message = re.sub(r"\x1b\[\d*m| for '\{\{node .*?\}\} = .*?'(?= with|$)", "", str(error), flags=re.MULTILINE)
    words = [line.strip() for line in message.splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *words[:1]])


def _place(error):
    """The deepest line of the notebook's own functions that `error` came through, on a line of its own; "" if there is none."""
    for frame, number in reversed(_frames(error)):
        code = frame.f_code
        written_here = frame.f_globals.get("__name__") == "__main__" and "__autograph_generated" not in code.co_filename
        if written_here and code.co_name != "<module>":
            return f"\n    in {code.co_qualname}, line {number}: {linecache.getline(code.co_filename, number).strip()}"
    return ""


def _frames(error):
    """[(frame, line), ...] from the check to where `error` was raised."""
    found, traceback = [], error.__traceback__
    while traceback is not None:
        found.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return found
