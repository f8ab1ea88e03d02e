# ---
# # expects 17: the next code cell checks the parameters
# minutes: {read: 1, run: 1, exercises: 0}
# ---

# %% [markdown]
# # 50 · Broken
#
# It promises something.

# %% tags=["parameters"]
epochs = 1  # 1 to 100: passes over the data

# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"
