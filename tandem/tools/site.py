"""The web page: one page a lesson, made from lessons/ and the outputs that notebooks/ holds. Nothing is run.

Shared text and code stand once. A step's two sides, and the two outputs of shared code that differ, are a container of class
"twin": two columns where there is room, else the side that a reader chose (docs/site/_static/tandem.css, .js).

    python -m tandem site       writes the folder site/, which works from a disk and from any web server
"""
import base64
import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tandem
from tandem import FRAMEWORK_NAMES, TandemError
from tandem.tools import exercises, notebook, slides, source

GITHUB = f"https://github.com/{notebook.REPOSITORY}"
PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
DOCUMENTS = {"findings": "docs/findings.md", "proof": "docs/proof.md", "porting": "docs/porting.md", "peers": "docs/peers.md",
             "teaching": "docs/teaching/README.md", "jupyterhub": "docs/teaching/jupyterhub.md"}
"""Pages that are not lessons: {name on the site: file}; to them comes each lesson's page for instructors."""


class SiteError(TandemError):
    """The page cannot be made; the message says what to do."""


def build(folder="site", report=print):
    """Writes the site into a folder, which is made anew. SiteError where a notebook is missing or Sphinx complains."""
    folder = Path(folder).resolve()
    if folder.exists() and not (folder / "objects.inv").exists() and any(folder.iterdir()):
        raise SiteError(f"{folder} holds something else than a site of ours: name another folder, or empty it.")
    folder.mkdir(parents=True, exist_ok=True)  # now, and not after half a minute
    with tempfile.TemporaryDirectory() as place:
        pages = Path(place) / "pages"
        shutil.copytree(tandem.ROOT / "docs" / "site", pages)
        write(source.all_lessons(), pages)
        done = subprocess.run([sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", "-b", "html",
                               "-d", f"{place}/doctrees", str(pages), f"{place}/out"],
                              capture_output=True, text=True, encoding="utf-8")
        if done.returncode:
            raise SiteError(f"Sphinx could not make the page:\n{done.stderr.strip() or done.stdout.strip()}")
        slides.write(source.all_lessons(), f"{place}/out")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(f"{place}/out", folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report(f"{folder}/index.html: {size / 1e6:.0f} MB, works from the disk and from any web server.")


def write(lessons, folder):
    """Fills a folder with Markdown: the front page, a page a lesson with its pictures, and the documents."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for lesson in lessons:
        (folder / f"{lesson.name}.md").write_text(page(lesson, folder), encoding="utf-8")
    documents = _documents()
    for name, path in documents.items():
        text = (tandem.ROOT / path).read_text(encoding="utf-8")
        (folder / f"{name}.md").write_text(_with_links(text, Path(path).parent), encoding="utf-8")
    front = (folder / "index.md").read_text(encoding="utf-8")
    rows = "\n".join(f"| [{lesson.title}]({lesson.name}.md) | {lesson.promise} |" for lesson in lessons)
    names = "\n".join([*(lesson.name for lesson in lessons), *documents])
    (folder / "index.md").write_text(front.replace("LESSONS", rows).replace("PAGES", names), encoding="utf-8")
    shutil.copy(tandem.ROOT / "docs" / "twins.png", folder / "figures")


def _documents():
    pages = sorted((tandem.ROOT / "docs" / "teaching").glob("[0-9][0-9]_*.md"))
    return DOCUMENTS | {f"teaching_{path.stem}": f"docs/teaching/{path.name}" for path in pages}


def page(lesson, folder):
    """The Markdown of a lesson's page; its pictures go into folder / "figures"."""
    sides = {framework: _cells(lesson, framework) for framework in lesson.frameworks}
    parts = []
    while any(sides.values()):
        own = {framework: list(itertools.takewhile(lambda pair: pair[0] is not None, cells))
               for framework, cells in sides.items()} if len(sides) > 1 else {}
        if any(own.values()):
            sides = {framework: cells[len(own[framework]):] for framework, cells in sides.items()}
            parts.append(_twin({framework: "\n\n".join(_shown(cell, folder) for _, cell in cells)
                                for framework, cells in own.items() if cells}))
        if any(sides.values()):
            shared = {framework: cells.pop(0)[1] for framework, cells in sides.items()}
            parts.append(_shared(shared, folder))
    parts[0] = re.sub(r"\n\n[^\n]*$", "", parts[0]) + "\n\n" + _links(lesson)  # in the place of the notebooks' own line
    return "\n\n".join(parts) + "\n"


def _cells(lesson, framework):
    """(framework or None where the twins share it, cell of the notebook) in order."""
    stored = notebook.stored(lesson, framework)
    shown = list(exercises.shown(lesson.cells, framework))
    if stored is None or len(stored.cells) != len(shown):
        raise SiteError(f"The notebooks of {lesson.name} are not what its source makes: "
                        f"type  python -m tandem build {lesson.name[:2]}")
    return [(cell.framework, made) for cell, made in zip(shown, stored.cells, strict=True)]


def _shared(sides, folder):
    """A cell that the twins share: once, and its outputs once where they are equal."""
    first, outputs = next(iter(sides.values())), {framework: _outputs(cell, folder) for framework, cell in sides.items()}
    if first.cell_type == "markdown":
        return _text(first.source)
    return _code(first) + ("\n\n" + _twin(outputs) if any(outputs.values()) else "")


def _shown(cell, folder):
    return _text(cell.source) if cell.cell_type == "markdown" else _code(cell) + _outputs(cell, folder)


def _text(markdown):
    return _with_links(_with_heads(markdown), Path("notebooks"))


def _with_heads(markdown):
    """Tables whose columns all have a name: a screen reader reads it out with each cell."""
    def named(match):
        empty = itertools.chain(("what", "in words"), itertools.repeat("more"))
        return "|".join(["", *(cell if cell.strip() else f" {next(empty)} " for cell in match[1].split("|")), ""]) + match[2]

    return re.sub(r"^\|(.*)\|(\n\|[-:| ]+\|)$", named, markdown, flags=re.MULTILINE)


def _code(cell):
    code = f"````{{code-block}} ipython3\n{cell.source}\n````"
    if not cell.metadata.get("jupyter", {}).get("source_hidden"):
        return code
    return f"<details class=\"folded\">\n<summary>Code</summary>\n\n{code}\n\n</details>"


def _outputs(cell, folder):
    """Markdown that shows a cell's stored outputs: texts, and pictures, which it saves."""
    return "".join(f"\n\n{_output(one, folder)}" for one in cell.get("outputs", ()))


def _output(one, folder):
    if one.output_type == "stream":
        return f"````{{code-block}} text\n:class: output\n\n{one.text.rstrip()}\n````"
    for kind, ending in PICTURES.items():
        if kind in one.data:
            picture = base64.b64decode(one.data[kind])
            name = f"{hashlib.sha256(picture).hexdigest()[:16]}.{ending}"
            (folder / "figures" / name).write_bytes(picture)
            alt = json.dumps(one.metadata.get(kind, {}).get("alt") or one.data["text/plain"], ensure_ascii=False)
            return f"````{{image}} figures/{name}\n:alt: {alt}\n:target: _images/{name}\n:loading: lazy\n````"
    if "text/markdown" in one.data:
        return _text(one.data["text/markdown"])
    return f"````{{code-block}} text\n:class: output\n\n{one.data['text/plain']}\n````"


def _twin(sides):
    """Two sides beside each other; once, where they say the same."""
    if None in sides or (len(sides) > 1 and len(set(sides.values())) == 1):
        return next(iter(sides.values()))
    inner = "\n".join(f"::::{{container}} side {framework}\n:::{{container}} side-name\n{FRAMEWORK_NAMES[framework]}\n:::\n\n"
                      f"{text}\n::::\n" for framework, text in sides.items())
    return f":::::{{container}} twin\n{inner}:::::"


def _links(lesson):
    """What leads from a page to what can be run: the notebooks, and Binder."""
    place = f"{GITHUB}/blob/{notebook.release()}/notebooks"
    links = [f"[{FRAMEWORK_NAMES.get(framework, 'the')} notebook]({place}/{lesson.notebook_name(framework)})"
             for framework in lesson.frameworks]
    minutes = f"About {round(sum(lesson.header.minutes.values()), -1)} minutes"
    links += [f"[Binder]({notebook.binder_link(lesson)})", f'<a href="slides/{lesson.name}.html">Slides</a>']
    return ":::{container} links\n" + " · ".join([minutes, *links]) + "\n:::"


def _with_links(text, place):
    """Links between files of the repository: to a page of the site where there is one, else to GitHub."""
    pages = {(tandem.ROOT / path).resolve(): f"{name}.md" for name, path in _documents().items()}

    def to(match):
        address, _, anchor = match[1].partition("#")
        target = (tandem.ROOT / place / address).resolve()
        if not address or ":" in address or not target.exists():
            return match[0]
        if target.suffix == ".ipynb":
            name = re.sub(r"_(pytorch|tensorflow)$", "", target.stem)
            return f"]({name}.md)"
        if target in pages:
            return f"]({pages[target]})"
        path = target.relative_to(tandem.ROOT.resolve()).as_posix()
        return f"]({GITHUB}/blob/{notebook.release()}/{path}{'#' * bool(anchor)}{anchor})"

    return re.sub(r"\]\(([^()\s]+)\)", to, text)
