"""Rebuilds data/seattle_weather.csv, byte for byte, from the Python package vega-datasets 0.9.0.

    pip download --no-deps vega-datasets==0.9.0
    python data/make/seattle_weather.py vega_datasets-0.9.0-py3-none-any.whl
"""
import sys
import zipfile

from tandem import ROOT

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        table = wheel.read("vega_datasets/_data/seattle-weather.csv")
    (ROOT / "data" / "seattle_weather.csv").write_bytes(table)
