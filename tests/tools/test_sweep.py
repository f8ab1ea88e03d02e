"""Sweeps: every combination once, whatever is in between; what a console and a table say; and Ray itself, killed."""
import csv
import dataclasses
import importlib.util
import os
import pathlib
import subprocess
import sys
import time

import matplotlib.pyplot as plt
import psutil
import pytest
import yaml

import tandem
from tandem.parameters import WrongParameter
from tandem.tools import source, sweep
from tandem.tools.execute import RunError
from tandem.tools.install import MissingPackages

CHECKOUT = pathlib.Path(__file__).parents[2]
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: python -m tandem install 21")


class Runner:
    """Stands in for Ray: what it was asked to run is in `asked`. fails: parameters whose runs fail. until: then Ctrl-C."""

    def __init__(self, fails=(), until=None):
        self.asked, self.fails, self.until = [], list(fails), until

    def __call__(self, runs):
        for one in runs:
            if len(self.asked) == self.until:
                raise KeyboardInterrupt
            self.asked.append((*one.parameters.values(), one.framework))
            loss = one.parameters.get("slope", 0.5) + one.parameters["steps"]
            yield one, {"failed": "no luck"} if one.parameters in self.fails else {"count": 3, "final loss": loss, "seconds": 1.0}


@pytest.fixture
def swept(small, tmp_path):
    """A function that sweeps the small lesson with this runner; returns (how many failed, the lines that it said)."""
    def run(runner, frameworks=("pytorch",), **parameters):
        said = []
        failed = sweep.sweep(source.read(small), parameters or {"steps": (1, 2), "slope": (0.25, 0.5)}, frameworks,
                             tmp_path / "out", runner, said.append)
        return failed, said

    return run


def table(folder):
    return list(csv.DictReader((folder / "out" / "sweep.csv").read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("given, several", [
    ((1e-3, 3e-3), [1e-3, 3e-3]), ("0:4", [0, 1, 2, 3]), ("-1:1", [-1, 0]), (5, [5]), ((1, 1, 2), [1, 2]), ("word", ["word"])])
def test_values_are_a_list_a_range_or_one(given, several):
    assert sweep.values("steps", given) == several


@pytest.mark.parametrize("given", ["4:0", "0.1:0.4", "0:", "a:b", ()])
def test_a_range_that_holds_nothing_is_told(given):
    with pytest.raises(WrongParameter, match="-p steps: give a value, .* such as 0:4, which is 0,1,2,3"):
        sweep.values("steps", given)


@pytest.mark.parametrize("wrong, sentence", [
    ({"steps": (4, 0)}, "steps is 0; take a whole number, 1 to 1000"), ({"step": 4}, "Did you mean 'steps'"),
    ({"steps": 4, "slope": "0.5,x"}, "slope is '0.5,x'; take a number")])
def test_every_value_is_checked_before_anything_runs(swept, tmp_path, wrong, sentence):
    runner = Runner()
    with pytest.raises(WrongParameter, match=sentence):
        swept(runner, **wrong)
    assert not runner.asked and not (tmp_path / "out").exists()


def test_every_combination_is_run_tabled_and_drawn(swept, tmp_path):
    failed, said = swept(Runner(), None)
    rows = table(tmp_path)
    assert not failed and len(rows) == 8 and list(rows[0]) == [
        "steps", "slope", "framework", "count", "final loss", "seconds", "failed"]
    assert rows[-1] == {"steps": "2", "slope": "0.5", "framework": "tensorflow", "count": "3", "final loss": "2.5",
                        "seconds": "1.0", "failed": ""}
    assert said[0].startswith("1 of 8 · steps 1, slope 0.25, PyTorch: final loss 1.25 · ") and said[0].endswith("minutes left")
    assert said[-2].splitlines()[-1].split() == ["2", "0.5", "TensorFlow", "2.5", "1"]
    assert (tmp_path / "out" / "sweep.png").stat().st_size > 5_000


def test_what_is_done_is_not_run_again_and_other_values_join_it(swept):
    swept(Runner())
    again, wider = Runner(), Runner()
    assert swept(again)[1][0] == "4 of 4 runs are done already." and not again.asked
    swept(wider, steps=(2, 3), slope=0.5)
    assert wider.asked == [(3, 0.5, "pytorch")]


def test_a_failed_run_is_named_stops_no_other_and_is_tried_again(swept, tmp_path):
    failed, said = swept(Runner(fails=[{"steps": 1, "slope": 0.25}]))
    assert failed == 1 and "1 of 4 · steps 1, slope 0.25, PyTorch: failed: no luck · " in said[0]
    assert [row["failed"] for row in table(tmp_path)] == ["no luck", "", "", ""]
    assert said[-2].splitlines()[1].split() == ["1", "0.25", "PyTorch", "failed:", "no", "luck"]
    runner = Runner()
    assert swept(runner)[0] == 0 and runner.asked == [(1, 0.25, "pytorch")]


def test_an_interrupted_sweep_goes_on(swept, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        swept(Runner(until=3))
    assert len(table(tmp_path)) == 3
    runner = Runner()
    swept(runner)
    assert runner.asked == [(2, 0.5, "pytorch")] and len(table(tmp_path)) == 4


@pytest.mark.parametrize("left", ["", '{"version": '], ids=["nothing", "half"])
def test_a_run_without_a_whole_result_is_run_again(swept, tmp_path, left):
    swept(Runner())
    (tmp_path / "out" / "steps=1_slope=0.5_pytorch" / "result.json").write_text(left, encoding="utf-8")
    runner = Runner()
    swept(runner)
    assert runner.asked == [(1, 0.5, "pytorch")]


def test_results_of_another_version_of_the_lesson_do_not_count(swept, change):
    swept(Runner())
    change("A loss that falls.", "A loss that falls, told anew.")
    runner = Runner()
    swept(runner)
    assert len(runner.asked) == 4


def test_a_second_sweep_keeps_out_of_the_folder(swept):
    def meanwhile(runs):
        with pytest.raises(RunError, match="Another sweep is at work in .*out: wait for it"):
            swept(Runner())
        yield from Runner()(runs)

    assert swept(meanwhile)[0] == 0


def test_a_folder_that_cannot_be_written_is_named(swept, tmp_path):
    (tmp_path / "out").write_text("in the way", encoding="utf-8")
    with pytest.raises(RunError, match="out cannot be written.*--output"):
        swept(Runner())


def test_a_lesson_without_twins_is_not_swept(small, tmp_path):
    lesson = source.read(small)
    single = dataclasses.replace(lesson, cells=tuple(lesson.cells_of(None)))
    with pytest.raises(RunError, match="50_small has no twins"):
        sweep.sweep(single, {"steps": 1}, output=tmp_path / "out", runner=Runner())


@pytest.fixture
def drawn(small, tmp_path, monkeypatch):
    """A function that draws the final losses of a sweep, {(parameter, …): loss} in PyTorch, and returns the panels."""
    def panels(parameters, losses):
        monkeypatch.setattr(plt, "close", lambda figure: None)
        lesson = source.read(small)
        ended = [(sweep.Run("50_small", "", "pytorch", dict(zip(parameters, given, strict=True)), tmp_path),
                  {"final loss": loss, "seconds": 1.0}) for given, loss in losses.items()]
        sweep._draw(lesson, parameters, ended, tmp_path / "drawn.png")
        return plt.gcf().axes

    yield panels
    monkeypatch.undo()
    plt.close("all")


def test_the_picture_shows_the_spread_over_seeds(drawn):
    [panel] = drawn({"seed": [0, 1], "rate": [0.1, 1.0]}, {(0, 0.1): 1.0, (1, 0.1): 3.0, (0, 1.0): 4.0, (1, 1.0): float("nan")})
    marks, _, (bars,) = panel.containers[0]
    assert marks.get_xydata().tolist() == [[0.1, 2.0], [1.0, 4.0]] and panel.get_xscale() == "log"
    assert bars.get_segments()[0].tolist() == [[0.1, 1.0], [0.1, 3.0]]


def test_a_second_parameter_makes_panels(drawn):
    panels = drawn({"rate": [1, 2], "width": [8, 16]}, {(1, 8): 1.0, (2, 8): 2.0, (1, 16): 3.0, (2, 16): 4.0})
    assert [panel.get_title(loc="left") for panel in panels] == ["width 8", "width 16"]
    assert panels[1].containers[0][0].get_ydata().tolist() == [3.0, 4.0]


def test_without_ray_a_sentence_says_how_to_install_it(small, swept, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackages, match="type  python -m tandem install 21"):
        swept(None, steps=1)


@needs_ray
def test_a_cluster_that_does_not_answer_is_told_at_once(small):
    start = time.perf_counter()
    with pytest.raises(RunError, match="No Ray answers at 127.0.0.1:1 .*docs/cluster/"):
        list(sweep.on_ray([None], "127.0.0.1:1"))
    assert time.perf_counter() - start < 20 and "RAY_NUM_REDIS_GET_RETRIES" not in os.environ


@needs_ray
def test_a_killed_sweep_leaves_no_process_and_goes_on(small, change, tmp_path):
    """By Ray: killed after the first result, started again, and one run that fails. Found by looking: nothing stays in /tmp."""
    change("losses = [", "assert slope < 0.9, 'too steep'\nlosses = [")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tandem", "sweep", "50", "-p", "slope", "0.25,0.5,0.9", "--framework", "pytorch",
               "--output", str(out), "--at-once", "1"]
    settings = {"cwd": CHECKOUT, "env": os.environ | {"TANDEM_ROOT": str(tandem.ROOT)}, "encoding": "utf-8"}
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, **settings)
    wait_until(lambda: list(out.glob("*/result.json")), "a first result")
    folder = psutil.Process(first.pid).children()[0].cmdline()[-1]
    first.kill()
    first.wait()
    wait_until(lambda: not belonging(folder) and not os.path.exists(folder), "Ray's processes and folder to go")
    times = {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    assert 0 < len(times) < 3
    second = subprocess.run(command, capture_output=True, **settings)
    assert (second.returncode, second.stderr) == (1, "")
    assert f"{len(times)} of 3 runs are done already." in second.stdout
    assert "slope 0.9, PyTorch: failed: lessons/50_small.py:39: " in second.stdout and "too steep" in second.stdout
    assert [row["final loss"] for row in table(tmp_path)] == ["0.015625", "0.125", ""]
    assert times.items() <= {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")}.items()


def wait_until(done, what, patience=60):
    end = time.monotonic() + patience
    while not done():
        assert time.monotonic() < end, f"waited {patience} s for {what}"
        time.sleep(0.1)


def belonging(folder):
    """The processes that were started for a sweep: they have its folder for what passes."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == folder or folder in " ".join(process.cmdline()):
                found.append(process.name())
        except psutil.Error:
            continue
    return found


@needs_ray
def test_the_cluster_file_is_what_ray_takes():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((CHECKOUT / "docs" / "cluster" / "cluster.yaml").read_text(encoding="utf-8"))
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["max_workers"] == len(config["provider"]["worker_ips"])


def test_the_kubernetes_file_names_the_pinned_ray():
    job, = yaml.safe_load_all((CHECKOUT / "docs" / "cluster" / "kuberay.yaml").read_text(encoding="utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    pinned = (CHECKOUT / "requirements-shipping.txt").read_text(encoding="utf-8")
    assert f"ray[serve,train]=={cluster['rayVersion']} " in pinned, "docs/cluster/kuberay.yaml: write the pinned version"
    pods = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = {pod["template"]["spec"]["containers"][0]["image"] for pod in pods}
    assert len(images) == 1, "the machines of a cluster have the same Python, packages and checkout"
