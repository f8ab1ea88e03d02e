# ---
# # expects 13: say the range of 'width' behind it
# minutes: {read: 1, run: 1, exercises: 0}
# ---

# %% [markdown]
# # 50 · Broken
#
# It promises something.

# %% tags=["parameters"]
epochs = 1  # 1 to 100: passes over the data
width = 8

# %% [markdown]
# The door.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("no_range", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"
