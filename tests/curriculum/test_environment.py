"""One environment, said in five places: requirements, constraints, environment.yml, binder/, pyproject; and who imports what."""
import ast
import importlib.metadata
import os
import platform
import re
import subprocess
import sys

import pytest
import yaml

from tandem import ROOT
from tandem.tools import install, source
from tandem.tools.pins import NOT_PINNED, SHIPPING, canonical, direct, installed, pins, shipping

WITHOUT_FRAMEWORK = ("data", "weights", "plots", "records", "parameters", "exercises", "threads",
                     "judge")
FRAMEWORK_PACKAGES = {"torch", "tensorflow", "keras"}
NOT_ON_BINDER = {"pytest", "pytest-xdist", "nbval", "jupyter-repo2docker", "ruff", "playwright", "filelock", "beautifulsoup4",
                 "sphinx", "myst-parser", "pydata-sphinx-theme", "sphinx-copybutton", "sphinx-revealjs", "docutils"}
"""What only the tests and the web page need."""
CONFLICTS = {
    "litert-torch 0.10.0 requires fire, which is not installed.",
    "litert-torch 0.10.0 requires jaxtyping, which is not installed.",
    "litert-torch 0.10.0 requires multipledispatch, which is not installed.",
    "litert-converter 0.5.0 requires xdsl, which is not installed.",
}
"""What requirements-shipping-no-deps.txt does without, and why, stands there."""
FOR_A_PART = {"jupyter-server-proxy"}
"""Of requirements-shipping.txt, without which a lesson runs: 18 is shown on no hub."""
LIBRARY = sorted((ROOT / "tandem").glob("*.py"))
TOOLS = sorted((ROOT / "tandem" / "tools").rglob("*.py"))
CODE = [*LIBRARY, *TOOLS, *(path for path in sorted((ROOT / "tests").rglob("*.py"))
                            if path.parent.name != "broken_lessons")]  # broken on purpose


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def imports(code):
    """The full names that a piece of code imports, anywhere in it: "tandem.tools.source" for `from tandem.tools import
    source`."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported(code):
    """The top-level packages that a piece of code imports, anywhere in it."""
    return {name.split(".")[0] for name in imports(code)}


def test_everything_installed_is_pinned_as_it_is_installed():
    pinned = direct() | pins("constraints.txt")
    apart = {name: version for name, version in installed().items()
             if pinned.get(name) != version and not NOT_PINNED.match(name)}
    assert not apart, "run: make pins"


def test_nothing_is_pinned_twice():
    named = [name for path in ("requirements.txt", *SHIPPING, "constraints.txt") for name in pins(path)]
    assert len(named) == len(set(named))


def test_every_direct_dependency_says_why_it_is_there():
    for line in "\n".join(map(read, ("requirements.txt", *SHIPPING))).splitlines():
        assert "==" not in line or re.search(r" # \w{3}", line), line


def test_conda_installs_the_same_requirements():
    environment = yaml.safe_load(read("environment.yml"))
    assert {"pip": ["-r requirements.txt"]} in environment["dependencies"]


def test_binder_installs_the_same_versions_and_leaves_out_what_only_tests_and_page_need():
    local, binder = pins("requirements.txt"), pins("binder/requirements.txt")
    post_build = read("binder/postBuild")
    binder |= dict(re.findall(r"(torch)==([\d.]+)", post_build))
    assert {name: version for name, version in local.items() if name not in NOT_ON_BINDER} == {
        name: version for name, version in binder.items() if name != "uv"}
    assert "-c ../constraints.txt" in read("binder/requirements.txt")


def test_the_python_versions_agree():
    wanted = re.search(r'requires-python = ">=(3\.\d+),<(3\.\d+)"', read("pyproject.toml")).groups()
    low, high = (tuple(map(int, version.split("."))) for version in wanted)
    binder = read("binder/runtime.txt")
    conda = read("environment.yml")
    for version in (re.search(r"python-(\d+\.\d+)", binder).group(1), re.search(r"python=(\d+\.\d+)", conda).group(1)):
        assert low <= tuple(map(int, version.split("."))) < high
    assert f"{low} <= sys.version_info < {high}" in read("Makefile")


def test_one_version_is_told_everywhere():
    version = re.search(r'^version = "(.+)"', read("pyproject.toml"), re.MULTILINE)[1]
    assert re.search(r"^version: (.+)", read("CITATION.cff"), re.MULTILINE)[1] == version
    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[1] == version, (
        "the changelog's newest entry is another version"
    )


def test_binder_reads_its_files_as_meant():
    """repo2docker's own parsing: the Dockerfile that Binder would build from."""
    done = subprocess.run(
        [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)], capture_output=True, text=True,
        encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    dockerfile = done.stdout + done.stderr
    assert "Building conda environment for python=3.12" in dockerfile
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in dockerfile
    assert "g++" in dockerfile and "binder/postBuild" in dockerfile


def test_binder_installs_what_some_lessons_need():
    assert "python -m tandem install\n" in read("binder/postBuild")


def test_pip_finds_no_conflict_but_what_the_converter_declares():
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, encoding="utf-8")
    found = set(done.stdout.strip().splitlines()) - {"No broken requirements found."}
    assert found <= CONFLICTS, f"pip check says: {sorted(found - CONFLICTS)}"


def test_what_every_lesson_needs_is_installed():
    """Else its tests were left out, and nobody would see it. Elsewhere than on this system a package may be missing for good."""
    if not os.environ.get("CI") or (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("asked where CI is set, on Linux and x86-64")
    lacks = {lesson.name: found for lesson in source.all_lessons() if (found := install.missing(lesson))}
    assert not lacks, "run: python -m tandem install"


def test_every_package_for_some_lessons_is_needed_by_one():
    needed = {name for lesson in source.all_lessons() for name in lesson.header.needs} - {"posix"}
    assert shipping().keys() == needed | FOR_A_PART, "a lesson's header names what it needs of requirements-shipping.txt"


@pytest.mark.parametrize("module", WITHOUT_FRAMEWORK)
def test_what_every_lesson_imports_brings_no_framework(module):
    code = f"import sys, tandem.{module}; sys.exit(', '.join(sys.modules.keys() & {FRAMEWORK_PACKAGES}) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"tandem.{module} imports {done.stderr}"


@pytest.mark.parametrize("module, other", [("pytorch", {"tensorflow", "keras"}), ("tensorflow", {"torch"})])
def test_each_framework_module_imports_its_own_alone(module, other):
    assert not imported(read(f"tandem/{module}.py")) & other


def test_keras_starts_without_what_other_lessons_installed():
    """Found with lesson 17's packages: Keras imports whatever of these is there, and every TensorFlow kernel grew by 220 MB."""
    unasked = {"jax", "pandas", "scipy", "sklearn"}
    code = f"import sys, tandem.tensorflow; sys.exit(', '.join(sys.modules.keys() & {unasked}) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"tandem.tensorflow lets Keras import {done.stderr}"


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_what_lessons_import_imports_no_tool(path):
    if path.stem == "__main__":
        pytest.skip("the command line is the door to the tools")
    code = path.read_text(encoding="utf-8")
    assert not [name for name in imports(code) if name.startswith("tandem.tools")]
    if path.stem not in {"pytorch", "tensorflow"}:
        assert not imported(code) & FRAMEWORK_PACKAGES


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_a_tool_starts_without_a_framework(path):
    """Only the twin proof's engines need one: each its own, in the process that is started for it."""
    others = {"twin_pytorch": {"tensorflow", "keras"}, "twin_tensorflow": {"torch"}}.get(path.stem, FRAMEWORK_PACKAGES)
    at_the_top = [
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert not imported("\n".join(map(ast.unparse, at_the_top))) & others


def takes_text(call):
    """Whether a call reads or writes text, for which Python would take the machine's encoding."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in {"run", "Popen", "check_output"}:
        return "text" in {keyword.arg for keyword in call.keywords}
    if name == "NamedTemporaryFile" or isinstance(call.func, ast.Name) and name == "open":
        return not any(isinstance(word, ast.Constant) and "b" in str(word.value) for word in call.args[-1:])
    return name in {"read_text", "write_text"}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_who_reads_or_writes_text_says_its_encoding(path):
    """Found on a console of code page 932: the machine's own encoding is not UTF-8 everywhere."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    silent = [call.lineno for call in calls if takes_text(call) and "encoding" not in {word.arg for word in call.keywords}]
    assert not silent, f'lines {silent}: add encoding="utf-8"'


def test_every_import_is_declared():
    files = [*CODE, *(path for folder in ("data", "docs") for path in (ROOT / folder).rglob("*.py"))]
    found = set().union(*(imported(path.read_text(encoding="utf-8")) for path in files))
    written = set()
    for lesson in source.all_lessons():
        for cell in lesson.cells:
            if cell.kind == "code":
                found |= imported(re.sub(r"^%%write .*\n", "", cell.source))  # also what it writes into a file
                written |= set(re.findall(r"^%%write (\w+)\.py", cell.source))
    packages = importlib.metadata.packages_distributions()
    own = {"tandem", *written, *(path.stem for path in files)}
    own |= {"elephas", "pyspark", "sparkflow", "tensorflowonspark"}  # data/make/spark_libraries.py gives each an environment
    used = {canonical(packages[name][0]) for name in found - own - set(sys.stdlib_module_names)}
    named = direct().keys()
    # parts of Jupyter, of LitServe, of TensorFlow Serving's interface, and of nearly everything; pinned in constraints.txt
    allowed_through = {"ipython", "pyyaml", "nbconvert", "jupyter-client", "nbclient", "jupyter-core",
                       "fastapi", "grpcio", "packaging"}
    assert used - named <= allowed_through, f"in no requirements file: {sorted(used - named - allowed_through)}"
