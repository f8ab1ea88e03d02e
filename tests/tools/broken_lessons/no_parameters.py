# ---
# # expects 6: a lesson has one cell tagged 'parameters', shared by both notebooks
# minutes: {read: 1, run: 1, exercises: 0}
# ---

# %% [markdown]
# # 50 · Broken
#
# It promises something.

# %% [markdown]
# Why.

# %% tags=["pytorch"]
framework = "PyTorch"

# %% tags=["tensorflow"]
framework = "TensorFlow"
