# ---
# # expects 1: the header needs numpy; it may name packages of requirements-shipping.txt
# minutes: {read: 1, run: 1, exercises: 0}
# needs: [numpy]
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
parameters_used = check_parameters("header_unknown_proof", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"
