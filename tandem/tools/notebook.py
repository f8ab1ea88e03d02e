"""Turns a lesson into notebooks: one framework's cells with stable ids and a header line; takes out what no rerun repeats."""
import base64
import hashlib
import io
import re
import tomllib

import nbformat
import numpy as np
from PIL import Image

import tandem
from tandem import FRAMEWORK_NAMES
from tandem.tools import exercises

REPOSITORY = "tandem-lessons/tandem"
"""Owner and name on GitHub: every Binder link is made from this one line, and from `release`."""

LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
"""What exports need to know; the Python version is left out, since it changes from machine to machine."""
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
KEPT = ("tags", "jupyter", "slideshow")  # of a cell's metadata
UNSEEN = 0.3  # mean error of a picture's colours, of 255, that nobody sees


def assemble(lesson, framework, measured):
    """The notebook of one framework, not yet run. measured: {"seconds", "peak_mb"} for the header; {} before the first run."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL, "language_info": LANGUAGE})
    seen = {}
    for number, cell in enumerate(exercises.shown(lesson.cells, framework)):
        text = cell.source + (f"\n\n{header(lesson, framework, measured)}" if number == 0 else "")
        digest = hashlib.sha256(f"{cell.kind}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] = seen.get(digest, 0) + 1
        make = nbformat.v4.new_markdown_cell if cell.kind == "markdown" else nbformat.v4.new_code_cell
        notebook.cells.append(make(text, id=f"{digest}-{seen[digest]}", metadata=_metadata(cell)))
    if measured:
        notebook.metadata["tandem"] = measured
    return notebook


def _metadata(cell):
    """What a cell tells JupyterLab and nbconvert: its tags, whether its code is folded, where a slide begins."""
    tags = [tag for tag in cell.tags if tag not in FRAMEWORK_NAMES]
    metadata = {"tags": tags} if tags else {}
    if "folded" in tags:
        metadata["jupyter"] = {"source_hidden": True}
    if cell.kind == "markdown":  # a section is a slide, each of its texts, with the code below, another one underneath
        metadata["slideshow"] = {"slide_type": "slide" if re.match("##? ", cell.source) else "subslide"}
    return metadata


def header(lesson, framework, measured):
    """The line under a lesson's promise: framework, how long to take, what was measured, what to install, the twin, Binder."""
    minutes = {what: number for what, number in lesson.header.minutes.items() if number}
    together = ", ".join(f"{what} {number}" for what, number in minutes.items())
    parts = [FRAMEWORK_NAMES[framework]] if framework else []
    parts.append(f"about {round(sum(minutes.values()), -1)} minutes: {together}")
    if measured:
        parts.append(f"Measured on two CPU cores: {measured['seconds']} s, {measured['peak_mb']} MB")
    if lesson.header.needs:
        parts.append(f"needs more packages, which `make lab LESSON={lesson.name[:2]}` installs")
    if lesson.header.alone:
        parts.append("run the twins one after the other, for they measure your machine")
    for other in lesson.frameworks:
        if other != framework:
            parts.append(f"[the {FRAMEWORK_NAMES[other]} twin]({lesson.notebook_name(other)})")
    parts.append(f"[{'both' if framework else 'this notebook'} on Binder]({binder_link(lesson)})")
    parts.append(f"[opened alone, without Tandem's folders?](https://github.com/{REPOSITORY}#readme)")
    return " · ".join(parts)


def binder_link(lesson):
    """Opens the lesson's notebooks side by side: binder/postBuild saves the workspaces there."""
    return f"https://mybinder.org/v2/gh/{REPOSITORY}/{release()}?urlpath=lab/workspaces/tandem-{lesson.name}"


def release():
    """The tag that Binder's links point to, such as "v0.5.0", from pyproject.toml: what a class opens does not move in
    mid-term."""
    text = (tandem.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return f"v{tomllib.loads(text)['project']['version']}"


def clean(notebook):
    """Takes out what changes from run to run: time stamps, kernel version, papermill's notes, progress-bar debris; and makes the
    pictures small."""
    notebook.metadata = {key: value for key, value in notebook.metadata.items() if key != "papermill"}
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata["language_info"] = LANGUAGE
    for cell in notebook.cells:
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in KEPT and value}
        if cell.cell_type == "code":
            cell.outputs = [output for output in _joined(cell.outputs)
                            if output.output_type != "stream" or output.text.strip()]
            for output in cell.outputs:
                if picture := output.get("data", {}).get("image/png"):
                    output.data["image/png"] = base64.b64encode(smaller_png(base64.b64decode(picture))).decode()
    return notebook


def smaller_png(data):
    """A PNG file, given and returned as bytes, without transparency: grey ones in grey, others with 32 to 256 colours where they
    look the same, else with all. It is never larger than before."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    pixels = np.asarray(picture, "float32")
    if (pixels == pixels[..., :1]).all():
        picture = picture.convert("L")
    else:
        fewer = (picture.quantize(colours, kmeans=1, dither=Image.Dither.NONE) for colours in (32, 64, 128, 256))
        alike = (one for one in fewer if np.abs(np.asarray(one.convert("RGB"), "float32") - pixels).mean() < UNSEEN)
        picture = next(alike, picture)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return min(data, file.getvalue(), key=len)


def _joined(outputs):
    """Joins neighbouring texts of one stream: how many messages a text came in depends on timing."""
    joined = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            output.text = re.sub(r"^.*\r(?!\n)", "", output.text, flags=re.MULTILINE)
    return joined


def folder():
    """Where the built notebooks are."""
    return tandem.ROOT / "notebooks"


def stored(lesson, framework):
    """The built notebook, or None if there is none."""
    path = folder() / lesson.notebook_name(framework)
    return nbformat.read(path, as_version=4) if path.exists() else None


def is_built(lesson, framework):
    """Whether the stored notebook has exactly the cells that the source makes."""
    found = stored(lesson, framework)
    if found is None:
        return False
    return _skeleton(assemble(lesson, framework, found.metadata.get("tandem", {}))) == _skeleton(found)


def _skeleton(notebook):
    """All of a notebook but its outputs."""
    return [(cell.id, cell.cell_type, cell.source, dict(cell.metadata)) for cell in notebook.cells], dict(notebook.metadata)
