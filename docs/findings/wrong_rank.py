"""An image without its batch axis: PyTorch takes it for one image; a SavedModel's signature ends the process (oneDNN, on x86).

What becomes of zeros of one axis fewer than (batch, height, width, channels):

    PyTorch's convolution             one image, (1, 26, 26)
    Keras' layer                      ValueError
    a SavedModel's serve              TypeError
    a SavedModel's serving_default    the process is gone: -6

tensorflow/tensorflow issue 111453; with TF_ENABLE_ONEDNN_OPTS=0 the last is an InvalidArgumentError.
"""
import os
import subprocess
import sys
import tempfile

import torch

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import tensorflow as tf

said = tuple(torch.nn.Conv2d(1, 1, 3)(torch.zeros(1, 28, 28)).shape)
print(f"PyTorch's convolution             one image, {said}")
assert said == (1, 26, 26)


def error_of(function):
    try:
        function(tf.zeros((1, 28, 28)))
    except Exception as error:
        return type(error).__name__
    return "answered"


network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(1, 3)])
print(f"Keras' layer                      {(said := error_of(network.layers[0]))}")
assert said == "ValueError"
with tempfile.TemporaryDirectory() as folder:
    network.export(folder, verbose=False)
    print(f"a SavedModel's serve              {(said := error_of(tf.saved_model.load(folder).serve))}")
    ask = f"loaded = tf.saved_model.load({folder!r}); loaded.signatures['serving_default'](tf.zeros((1, 28, 28)))"
    command = [sys.executable, "-c", f"import tensorflow as tf; {ask}"]
    ended = subprocess.run(command, stderr=subprocess.DEVNULL).returncode
assert said == "TypeError"
print(f"a SavedModel's serving_default    the process is gone: {ended}")
assert ended == -6
