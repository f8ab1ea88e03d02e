"""How a kernel computes: its threads and its number format, whatever the user's own settings say."""
import json
import os
import subprocess
import sys

import pytest

from tandem import threads

ASKED = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "KERAS_BACKEND")
THREADS = {
    "pytorch": "import torch; import tandem.pytorch; print(torch.get_num_threads())",
    "tensorflow": "import tandem.tensorflow, tensorflow as tf; print(tf.config.threading.get_intra_op_parallelism_threads())",
}
KERAS = """
import tandem.tensorflow
import keras
print(keras.config.backend(), keras.config.floatx(), keras.config.dtype_policy().name, keras.config.epsilon(),
      keras.config.image_data_format())
"""


def printed(code, **environment):
    """What a new Python prints that has only these variables of those that matter here."""
    rest = {name: value for name, value in os.environ.items() if name not in ASKED}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", env=rest | environment)
    assert done.returncode == 0, done.stderr[-1500:]
    return done.stdout.split()


@pytest.mark.parametrize("quota, cores", [("200000 100000", 2), ("50000 100000", 1), ("max 100000", 8), (None, 8)])
def test_cores_are_those_that_a_container_may_use(quota, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(threads, "QUOTA", tmp_path / "cpu.max")
    if quota:
        threads.QUOTA.write_text(quota, encoding="ascii")
    assert threads.cores() == cores


@pytest.mark.parametrize("cores, asked, wanted", [(8, None, 7), (1, None, 1), (8, "3", 3), (8, "", 7), (8, "4,2", 7)])
def test_a_kernel_gets_one_thread_fewer_than_cores_unless_the_user_says_otherwise(cores, asked, wanted, monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: cores)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert threads.threads() == wanted


@pytest.mark.parametrize("framework", THREADS)
def test_a_framework_takes_the_threads_that_are_counted_or_asked_for(framework):
    assert printed(THREADS[framework]) == [str(max(1, threads.cores() - 1))]
    assert printed(THREADS[framework], OMP_NUM_THREADS=str(threads.cores())) == [str(threads.cores())]


def test_tensorflow_reads_its_own_variable_of_threads_itself():
    assert printed(THREADS["tensorflow"], TF_NUM_INTRAOP_THREADS="5") == ["0"]  # 0: nobody has set it in the program


def test_keras_runs_on_tensorflow_with_its_usual_settings_whatever_the_user_has_set(tmp_path):
    hostile = {"backend": "torch", "floatx": "float16", "epsilon": 1e-3, "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(hostile), encoding="utf-8")
    usual = ["tensorflow", "float32", "float32", "1e-07", "channels_last"]
    assert printed(KERAS, KERAS_HOME=str(tmp_path), KERAS_BACKEND="torch") == usual


def test_keras_on_another_backend_is_refused_with_what_to_do():
    code = "import keras\ntry: import tandem.tensorflow\nexcept Exception as error: print(error)"
    assert " ".join(printed(code, KERAS_BACKEND="torch")).endswith("restart the kernel and import tandem.tensorflow first.")


@pytest.mark.parametrize("framework, wanted", [("pytorch", ["False", "False"]), ("tensorflow", ["False"])])
def test_no_framework_computes_in_tf32(framework, wanted):
    code = {
        "pytorch": "from torch.backends import cuda, cudnn; print(cudnn.allow_tf32, cuda.matmul.allow_tf32)",
        "tensorflow": "from tensorflow.config import experimental; print(experimental.tensor_float_32_execution_enabled())",
    }
    assert printed(f"import tandem.{framework}; {code[framework]}") == wanted
