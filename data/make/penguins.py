"""Rebuilds data/penguins.csv, byte for byte, from the Python package palmerpenguins 0.1.6.

    pip download --no-deps palmerpenguins==0.1.6
    python data/make/penguins.py palmerpenguins-0.1.6-py3-none-any.whl
"""
import sys
import zipfile

from tandem import ROOT

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        table = wheel.read("palmerpenguins/data/penguins.csv")
    (ROOT / "data" / "penguins.csv").write_bytes(table)
