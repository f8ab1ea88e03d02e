# ---
# # expects 33: a heading in a framework cell
# minutes: {read: 1, run: 1, exercises: 0}
# ---

# %% [markdown]
# # 50 · Broken
#
# It promises something.

# %% tags=["parameters"]
epochs = 1  # 1 to 100: passes over the data

# %% [markdown]
# The door.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("heading_on_one_side", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"

# %% [markdown] tags=["pytorch"]
# ## A heading

# %% [markdown] tags=["tensorflow"]
# Text.
