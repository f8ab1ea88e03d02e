# ---
# # expects 11: a lesson has one cell tagged 'parameters', shared by both notebooks
# minutes: {read: 1, run: 1, exercises: 0}
# ---

# %% [markdown]
# # 50 · Broken
#
# It promises something.

# %% tags=["pytorch", "parameters"]
epochs = 1  # 1 to 100: passes over the data

# %% [markdown] tags=["tensorflow"]
# Text.

# %% [markdown]
# The door.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("one_sided_parameters", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"
