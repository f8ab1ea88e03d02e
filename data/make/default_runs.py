"""Makes data/default_runs.csv anew: the runs of lesson 4 with more seeds than a notebook has time for.

    python data/make/default_runs.py

Trains the network of lessons/04_defaults.py in both frameworks, each in a process of its own, with 12 seeds: with and without
batch normalisation, as it comes and with the twin's defaults taken over one at a time. The code is the lesson's: its cells
tagged `network` and `script` are run. 336 runs, about ten minutes on one core. Float32 training is
chaotic, so another machine's rounding gives other digits, the same averages within their intervals, and another SHA-256 sum for
tandem/data.py.
"""
import csv
import io
import subprocess
import sys

from tandem import FRAMEWORKS, ROOT
from tandem.tools import source
from tandem.tools.twin import network_cells

SEEDS = range(12)
COLUMNS = ("framework", "batch_norm", "state", "seed", "epochs", "loss", "accuracy")


def runs(framework):
    """A row for each look at a run; loss: the mean training loss since the look before."""
    cells = network_cells(source.find("04"), framework, tags={"network", "script"})
    for seed in SEEDS:
        for normalised in (True, False):
            for state, rules in (("as it comes", None), *cells["walk_to_twin"](normalised)):
                losses, accuracies = cells["run"](seed, rules, normalised)
                start = 0
                for look, accuracy in zip(cells["looks"], accuracies, strict=True):
                    end = int(look * cells["steps_per_epoch"])
                    means = f"{losses[start:end].mean():.4f}", f"{accuracy:.4f}"
                    yield framework, int(normalised), state, seed, look, *means
                    start = end


def main():
    if sys.argv[1:2] == ["--framework"]:
        csv.writer(sys.stdout, lineterminator="\n").writerows(runs(sys.argv[2]))
        return
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerow(COLUMNS)
    for framework in FRAMEWORKS:
        command = [sys.executable, __file__, "--framework", framework]
        table.write(subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout)
    (ROOT / "data" / "default_runs.csv").write_text(table.getvalue(), encoding="utf-8")


if __name__ == "__main__":
    main()
