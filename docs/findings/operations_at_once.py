"""How many operations run at once: PyTorch's, written eagerly, one after the other; a TensorFlow graph's that do not need each
other, as many as there are cores, whatever `set_intra_op_parallelism_threads` says of the threads of one operation.

Two operations that wait for half a second each. TensorFlow's second number is set to 1 and to 2, which is its default on two
cores (a process can set it once, hence two processes):

    PyTorch                                    one after the other
    TensorFlow, inter_op_parallelism_threads 1 one after the other
    TensorFlow, inter_op_parallelism_threads 2 beside each other
"""
import subprocess
import sys
import time

import torch

STEP = """
import sys, time
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(int(sys.argv[1]))

def wait(number):
    time.sleep(0.5)
    return number

@tf.function
def step(x):
    one, other = (tf.numpy_function(wait, [number * x], tf.float32, stateful=False) for number in (1.0, 2.0))
    return one + other

step(tf.ones(()))
begun = time.perf_counter()
step(tf.ones(()))
print(time.perf_counter() - begun)
"""


def wait(number):
    time.sleep(0.5)
    return number


def order(seconds):
    return "one after the other" if seconds > 0.9 else "beside each other"


begun = time.perf_counter()
wait(torch.ones(())) + wait(2 * torch.ones(()))
print("PyTorch                                   ", order(time.perf_counter() - begun))
for at_once in "1", "2":
    seconds = subprocess.run([sys.executable, "-c", STEP, at_once], capture_output=True, text=True, check=True).stdout
    print("TensorFlow, inter_op_parallelism_threads", at_once, order(float(seconds)))
