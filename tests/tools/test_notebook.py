"""What a stored notebook looks like: its header, what tells JupyterLab and the exports what to do, and its pictures."""
import base64
import io

import nbformat
import numpy as np
import pytest
from PIL import Image

from tandem.tools import notebook, source


def png(pixels):
    """A PNG file as Matplotlib writes it: with transparency, and not squeezed."""
    file = io.BytesIO()
    Image.fromarray(pixels.astype("uint8")).convert("RGBA").save(file, "PNG", compress_level=1)
    return file.getvalue()


def test_the_header_names_the_framework_the_minutes_the_measurements_and_the_twin(small):
    measured = {"seconds": 12, "peak_mb": 345}
    made = notebook.assemble(source.read(small), "pytorch", measured)
    line = made.cells[0].source.splitlines()[-1]
    assert line.startswith("PyTorch · about 10 minutes: read 10, run 1 · Measured on two CPU cores: 12 s, 345 MB")
    assert "[the TensorFlow twin](50_small_tensorflow.ipynb)" in line and "/v1.2.3?urlpath=lab/workspaces/tandem-50_small" in line
    assert "Measured" not in notebook.assemble(source.read(small), "pytorch", {}).cells[0].source


def test_the_header_says_what_installs_what_the_lesson_needs(small, change):
    (small.parent.parent / "requirements-shipping.txt").write_text("server==1.2   # serves\n", encoding="utf-8")
    (small.parent.parent / "requirements-shipping-no-deps.txt").write_text("", encoding="utf-8")
    change("# ---\n\n", "# needs: [server]\n# ---\n\n")
    line = notebook.assemble(source.read(small), "pytorch", {}).cells[0].source.splitlines()[-1]
    assert "· needs more packages, which `make lab LESSON=50` installs ·" in line


def test_the_header_says_when_twins_are_not_to_be_run_side_by_side(small, change):
    change("# ---\n\n", "# alone: true\n# ---\n\n")
    line = notebook.assemble(source.read(small), "pytorch", {}).cells[0].source.splitlines()[-1]
    assert "· run the twins one after the other, for they measure your machine ·" in line


def test_a_folded_cell_is_folded_and_every_heading_begins_a_slide(small):
    cells = notebook.assemble(source.read(small), "tensorflow", {}).cells
    folded = [cell.source for cell in cells if cell.metadata.get("jupyter") == {"source_hidden": True}]
    assert len(folded) == 1 and "check_parameters" in folded[0]
    slides = [cell.metadata["slideshow"]["slide_type"] for cell in cells if cell.cell_type == "markdown"]
    assert slides == ["slide", "subslide", "subslide", "slide"]


def test_cleaning_keeps_what_a_reader_needs_and_drops_what_changes(small):
    made = notebook.assemble(source.read(small), "pytorch", {})
    made.metadata["papermill"] = {"duration": 1.5}
    cell = made.cells[1]
    cell.metadata |= {"execution": {"iopub.execute_input": "2026-01-01"}, "papermill": {"duration": 0.1}}
    figure = nbformat.v4.new_output("display_data", {"image/png": base64.b64encode(png(np.zeros((9, 9, 3)))).decode()},
                                    metadata={"image/png": {"alt": "Nothing but black"}})
    bar = " 50%|█    \r100%|█████\n"
    cell.outputs = [nbformat.v4.new_output("stream", text="a\n"), nbformat.v4.new_output("stream", text=bar), figure,
                    nbformat.v4.new_output("stream", text="  \n")]
    cleaned = notebook.clean(made)
    assert set(cleaned.metadata) == {"kernelspec", "language_info"} and cell.metadata == {"tags": ["parameters"]}
    assert [output.get("text") for output in cell.outputs] == ["a\n100%|█████\n", None]
    assert cell.outputs[1].metadata == {"image/png": {"alt": "Nothing but black"}}


random = np.random.default_rng(0)
PICTURES = {
    "L": np.repeat(random.integers(0, 255, (60, 60, 1)), 3, axis=2),
    "P": random.choice([[213, 94, 0], [0, 114, 178], [255, 255, 255]], (60, 60)),
    "RGB": random.integers(0, 255, (60, 60, 3)),
}


@pytest.mark.parametrize("mode", PICTURES)
def test_a_picture_becomes_small_and_looks_the_same(mode):
    before = png(PICTURES[mode])
    after = notebook.smaller_png(before)
    picture = Image.open(io.BytesIO(after))
    assert len(after) < len(before) and picture.mode == mode
    assert np.abs(np.asarray(picture.convert("RGB"), float) - PICTURES[mode]).mean() < notebook.UNSEEN


def test_a_small_picture_stays_as_it_is():
    once = notebook.smaller_png(png(PICTURES["P"]))
    assert len(notebook.smaller_png(once)) <= len(once)
