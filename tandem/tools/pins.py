"""The pinned environment: reads requirements files, and renews constraints.txt from what is installed (make pins)."""
import importlib.metadata
import re

import tandem

NOT_PINNED = re.compile("(pip|pywin32|tandem-lessons|uv|nvidia-.*|cuda-.*|triton)$")
"""Ourselves, the installers, and what PyTorch's CUDA build pins to the digit by itself."""
# What requirements.txt brings on the other systems, so that it is pinned there, too.
ELSEWHERE = {"appnope": "1.0.0", "colorama": "0.4.6", "pywinpty": "3.1.2"}


SHIPPING = ("requirements-shipping.txt", "requirements-shipping-no-deps.txt")
"""What some lessons need beyond requirements.txt, and what of it is installed without what it declares."""


def pins(path):
    """{package: version} of the lines "package==version" in a requirements file of the checkout."""
    found = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.+]+)", (tandem.ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    return {canonical(name): version for name, version in found}


def canonical(name):
    """A package's name as pip compares names."""
    return name.lower().replace("_", "-")


def installed():
    """{package: version} of this environment."""
    return {canonical(package.name): package.version.split("+")[0] for package in importlib.metadata.distributions()}


def direct():
    """{package: version} of what we import or run ourselves."""
    return pins("requirements.txt") | shipping()


def shipping():
    """{package: version} of what only some lessons need, which their headers name."""
    return {name: version for path in SHIPPING for name, version in pins(path).items()}


def main():
    named = direct()
    needed = {name: version for name, version in (ELSEWHERE | installed()).items()
              if name not in named and not NOT_PINNED.match(name)}
    lines = ["# Every package that the requirements files bring in turn, pinned. Made by: make pins"]
    lines += [f"{name}=={version}" for name, version in sorted(needed.items())]
    (tandem.ROOT / "constraints.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
