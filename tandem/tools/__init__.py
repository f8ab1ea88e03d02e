"""The tools behind `python -m tandem`. They may import what lessons import, never the other way round, and none imports a
framework."""
