# ---
# # expects 1: text before the first '# %%' marker
# minutes: {read: 1, run: 1, exercises: 0}
# ---

framework = None

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
parameters_used = check_parameters("text_before_cells", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"
