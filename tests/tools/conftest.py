"""A small lesson of its own for the tests of the tools, in a checkout of its own."""
import pytest

import tandem

SMALL = '''\
# ---
# minutes: {read: 10, run: 1, exercises: 0}
# ---

# %% [markdown]
# # 50 · Small
#
# Two lines
# cross.
#
# *You will build* nothing.

# %% tags=["parameters"]
steps = 4  # 1 to 1000: losses
slope = 0.5  # above 0 to below 1: what each loss keeps of the one before

# %% [markdown]
# They are checked.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("50_small", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# A loss that falls.

# %% tags=["pytorch"]
framework, other = "pytorch", "tensorflow"

# %% tags=["tensorflow"]
framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## The twin check

# %%
from tandem import plots, records

losses = [slope**step for step in range(steps)]
mine = records.save(
    "50_small", framework, parameters_used, losses, parameter_count=3
)
twin = records.load("50_small", other, parameters_used)
plots.twins(mine, twin)
print(records.compare(mine, twin))
'''


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The source of a lesson with two short notebooks, in a folder that takes the checkout's place."""
    for name in ("lessons", "notebooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").write_text("# Small\n<!-- syllabus -->\n<!-- /syllabus -->\nEnd\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n', encoding="utf-8")
    monkeypatch.setattr(tandem, "ROOT", tmp_path)
    monkeypatch.delenv("TANDEM_RECORDS", raising=False)
    path = tmp_path / "lessons" / "50_small.py"
    path.write_text(SMALL, encoding="utf-8")
    return path


@pytest.fixture
def change(small):
    """A function that writes the small lesson with one text put in the place of another."""
    def write(old, new):
        text = small.read_text(encoding="utf-8")
        assert old in text
        small.write_text(text.replace(old, new), encoding="utf-8")

    return write
