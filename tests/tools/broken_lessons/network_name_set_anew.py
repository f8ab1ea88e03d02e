# ---
# # expects 36: sets 'framework' anew, which a network cell defines and the twin proof runs
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
parameters_used = check_parameters("network_name_set_anew", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# Why.

# %% tags=["pytorch", "network"]
framework = "PyTorch"

# %% tags=["tensorflow", "network"]
framework = "TensorFlow"

# %% [markdown]
# Then.

# %%
framework = "both"
