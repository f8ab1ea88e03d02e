"""One environment, said in five places: requirements, constraints, environment.yml, binder/, pyproject; and who imports what."""
import ast
import importlib.metadata
import re
import subprocess
import sys

import pytest
import yaml

from tandem import ROOT, source

GROUND_FLOOR = ("data", "weights", "plots", "records")
FRAMEWORK_PACKAGES = {"torch", "tensorflow", "keras"}
NOT_PINNED = re.compile("(pip|pywin32|tandem-lessons|uv|nvidia-.*|cuda-.*|triton)$")
"""Ourselves, the installers, and what PyTorch's CUDA build pins to the digit by itself."""
ONLY_FOR_TESTS = {"pytest", "pytest-xdist", "nbval", "jupyter-repo2docker"}


def pins(path):
    """{package: version} of the lines "package==version" in a requirements file."""
    found = re.findall(r"^([\w.-]+)==([\w.+]+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    return {canonical(name): version for name, version in found}


def canonical(name):
    return name.lower().replace("_", "-")


def imported(code):
    """The top-level packages that a piece of code imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def test_everything_installed_is_pinned_as_it_is_installed():
    pinned = pins("requirements.txt") | pins("constraints.txt")
    installed = {canonical(package.name): package.version.split("+")[0] for package in importlib.metadata.distributions()}
    apart = {name: version for name, version in installed.items()
             if pinned.get(name) != version and not NOT_PINNED.match(name)}
    assert not apart, "run: make pins"


def test_nothing_is_pinned_twice():
    assert not pins("requirements.txt").keys() & pins("constraints.txt").keys()


def test_every_direct_dependency_says_why_it_is_there():
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        assert "==" not in line or re.search(r" # \w{3}", line), line


def test_conda_installs_the_same_requirements():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert {"pip": ["-r requirements.txt"]} in environment["dependencies"]


def test_binder_installs_the_same_versions_and_leaves_out_the_tests_alone():
    local, binder = pins("requirements.txt"), pins("binder/requirements.txt")
    post_build = (ROOT / "binder" / "postBuild").read_text()
    binder |= dict(re.findall(r"(torch)==([\d.]+)", post_build))
    assert {name: version for name, version in local.items() if name not in ONLY_FOR_TESTS} == {
        name: version for name, version in binder.items() if name != "uv"}
    assert "-c ../constraints.txt" in (ROOT / "binder" / "requirements.txt").read_text()


def test_the_python_versions_agree():
    wanted = re.search(r'requires-python = ">=(3\.\d+),<(3\.\d+)"', (ROOT / "pyproject.toml").read_text()).groups()
    low, high = (tuple(map(int, version.split("."))) for version in wanted)
    binder = (ROOT / "binder" / "runtime.txt").read_text()
    conda = (ROOT / "environment.yml").read_text()
    for version in (re.search(r"python-(\d+\.\d+)", binder).group(1), re.search(r"python=(\d+\.\d+)", conda).group(1)):
        assert low <= tuple(map(int, version.split("."))) < high
    assert f"{low} <= sys.version_info < {high}" in (ROOT / "Makefile").read_text()


def test_binder_reads_its_files_as_meant():
    """repo2docker's own parsing: the Dockerfile that Binder would build from."""
    done = subprocess.run([sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    dockerfile = done.stdout + done.stderr
    assert "Building conda environment for python=3.12" in dockerfile
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in dockerfile
    assert "g++" in dockerfile and "binder/postBuild" in dockerfile


def test_pip_finds_no_conflict():
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", GROUND_FLOOR)
def test_the_ground_floor_imports_no_framework(module):
    code = f"import sys, tandem.{module}; sys.exit(', '.join(sys.modules.keys() & {FRAMEWORK_PACKAGES}) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, f"tandem.{module} imports {done.stderr}"


@pytest.mark.parametrize("module, other", [("pytorch", {"tensorflow", "keras"}), ("tensorflow", {"torch"})])
def test_each_framework_module_imports_its_own_alone(module, other):
    assert not imported((ROOT / "tandem" / f"{module}.py").read_text()) & other


@pytest.mark.parametrize("path", sorted((ROOT / "tandem").glob("*.py")), ids=lambda path: path.stem)
def test_no_tool_imports_a_framework_and_no_lower_module_a_tool(path):
    code = path.read_text(encoding="utf-8")
    lower = {*GROUND_FLOOR, "pytorch", "tensorflow", "__init__"}
    if path.stem not in {"pytorch", "tensorflow"}:
        assert not imported(code) & FRAMEWORK_PACKAGES
    if path.stem in lower:
        names = {alias.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom) and node.module == "tandem"
                 for alias in node.names}
        tools = {other.stem for other in (ROOT / "tandem").glob("*.py")} - lower
        assert not names & tools


def test_every_import_is_declared():
    files = [*(ROOT / "tandem").glob("*.py"), *(ROOT / "tests").glob("*.py"), *(ROOT / "data").glob("*.py")]
    found = set().union(*(imported(path.read_text(encoding="utf-8")) for path in files))
    for lesson in source.all_lessons():
        for cell in lesson.cells:
            if cell.kind == "code":
                found |= imported(cell.source)
    packages = importlib.metadata.packages_distributions()
    own = {"tandem", *(path.stem for path in (ROOT / "tests").glob("*.py"))}
    used = {canonical(packages[name][0]) for name in found - own - set(sys.stdlib_module_names)}
    direct = pins("requirements.txt").keys()
    allowed_through = {"ipython", "pyyaml", "nbconvert", "jupyter-client", "nbclient"}  # parts of Jupyter, pinned in constraints.txt
    assert used - direct <= allowed_through, f"not in requirements.txt: {sorted(used - direct - allowed_through)}"
