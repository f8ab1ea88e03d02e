"""Renews constraints.txt: every package that is installed and not in requirements.txt, with its version (make pins)."""
import importlib.metadata

from tandem import ROOT
from test_environment import NOT_PINNED, canonical, pins

# What requirements.txt brings on the other systems, so that it is pinned there, too.
ELSEWHERE = {"appnope": "1.0.0", "colorama": "0.4.6", "pywinpty": "3.1.2"}


def main():
    installed = {canonical(package.name): package.version.split("+")[0] for package in importlib.metadata.distributions()}
    direct = pins("requirements.txt")
    needed = {name: version for name, version in (ELSEWHERE | installed).items()
              if name not in direct and not NOT_PINNED.match(name)}
    lines = ["# Every package that requirements.txt brings in turn, pinned. Made by: make pins"]
    lines += [f"{name}=={version}" for name, version in sorted(needed.items())]
    (ROOT / "constraints.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
