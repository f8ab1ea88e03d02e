"""Makes data/seed_runs.csv anew: lessons 6 and 11 with several seeds, as they are, by `python -m tandem sweep`.

    python data/make/seed_runs.py

Half an hour on one core; Ray is needed (python -m tandem install 21). Another machine rounds differently and gives other digits,
and another SHA-256 sum for tandem/data.py.
"""
import csv
import subprocess
import sys
import tempfile

from tandem import ROOT

SCORES = {"06_convolution": (6, ("test_accuracy",)), "11_dcgan": (5, ("distance", "variety"))}
"""{lesson: (how many seeds, which of its scores)}"""


def runs(lesson, seeds, scores):
    """A row for each framework, seed and score."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tandem", "sweep", lesson[:2], "-p", "seed", f"0:{seeds}", "--output", folder]
        subprocess.run(command, check=True, cwd=ROOT)
        with open(f"{folder}/sweep.csv", encoding="utf-8", newline="") as table:
            for run in csv.DictReader(table):
                for score in scores:
                    yield lesson, run["framework"], run["seed"], score, f"{float(run[score]):.4f}"


def main():
    rows = [row for lesson, (seeds, scores) in SCORES.items() for row in runs(lesson, seeds, scores)]
    with open(ROOT / "data" / "seed_runs.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("lesson", "framework", "seed", "score", "value"))
        table.writerows(rows)


if __name__ == "__main__":
    main()
