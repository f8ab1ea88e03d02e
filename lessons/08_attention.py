# ---
# minutes: {read: 89, run: 2, exercises: 75}
# seconds: 90
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 8 · Attention and a small GPT
#
# You build attention by hand and from it a small GPT that writes in the manner of Shakespeare, and make it write faster without changing a letter.
#
# - **You will build** attention in NumPy, equal to the framework's layer; a decoder-only transformer; a sampler with temperature and top-k; a key-value cache.
# - **You will learn** why scores are divided by $\sqrt{d}$, what a mask must hide and how masks are turned round, and how a network that has been trained writes; in optional sections, what an embedding's gradient does to Adam, what the heads look at, and how the loss falls with parameters and with text.
# - **You need** lessons 1 to 4, from lesson 6 the bridges (residual connections), and from lesson 7 what an embedding and a recurrent network are.
#
# The core takes about an hour and a half to read.
# Sections marked *optional* are not counted in it: they take half an hour more, and no later section of the core needs them.

# %% [markdown]
# In lesson 7 one vector had to carry everything that was read.
# And it was read one step after the other: character 200 of a text cannot be processed before character 199, not even in training.
# This lesson takes both limits away: every position may look back at *every* earlier one directly, and in training all positions are computed at once.
# The idea is called **attention**, and a network made of little else is a **transformer**.
#
# Claim **C14** of the article (lesson 2): *PyTorch reaches GPT and DALL·E through Hugging Face* (a library, and a public store of trained networks: lesson 9).
# Here its half about GPT is tested, in lesson 15 the one about DALL·E.
# So is a GPT something to be fetched?
# We make one: the architecture of GPT-2 up to a few details, a thousand times smaller than the smallest GPT-2, in each framework's own layers.
# (**GPT** stands for *generative pre-trained transformer*, one that only continues a text.
# It is called *decoder-only*, because the first transformer, made to translate, had a second stack beside it, the encoder, which read the sentence to be translated.)
#
# ## Set-up

# %% tags=["pytorch", "network"]
import time
from functools import partial
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import data, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
# a GPU where there is one
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")
on_gpu = device.type != "cpu"

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import time
from functools import partial
from itertools import islice

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

from tandem import data, plots, records, weights

framework, other = "tensorflow", "pytorch"
on_gpu = bool(tf.config.list_physical_devices("GPU"))

# %% [markdown]
# ## Parameters
#
# Of the network that this notebook trains itself.
# (Later we load a larger one of the same kind.)

# %% tags=["parameters", "network"]
context = 64  # 16 to 256: characters that the network sees at once
width = 64  # 1 to 1024: numbers that stand for a character
blocks = 2  # 1 to 24: of attention and feed-forward part
# each looks back in its own way, with width / heads numbers, here 16
heads = 4  # 1 to 64, divides width
steps = 800  # 1 to 100000: of the training
batch_size = 16  # 1 to 1024: windows of text a step
learning_rate = 0.004  # above 0 to 1: after the warm-up
# steps over which the learning rate rises to that
warm_up = 100  # 1 to 100000
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.99  # 0 to below 1: Adam's memory of their squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
seed = 0  # 0 to 2**32 - 1: of weights and batches

# %% [markdown]
# Some results differ a little between machines.
# Assertions bound them, but only if you leave these values alone:

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("08_attention", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## The text, as numbers
#
# Thirty-five plays to train on.
# Two are held out and never trained on: *Macbeth* and *The Tempest*.
# A **token** is the unit that a language model reads and writes; ours is the character, and the vocabulary is every character that occurs.

# %% tags=["network"]
training_text, held_out_text = data.shakespeare()
characters = sorted(set(training_text))
index_of = {character: index for index, character in enumerate(characters)}


def encode(text):
    tokens = (index_of[character] for character in text)
    return np.fromiter(tokens, "int64", len(text))


def decode(tokens):
    return "".join(characters[token] for token in tokens)


training, held_out = encode(training_text), encode(held_out_text)

# %% [markdown]
# What is in it?
# (The first of the 78 is the line break, which we do not print.)

# %%
print(f"{len(training):,} characters to train on, {len(held_out):,} held out, "
      f"{len(characters)} different ones:")
print("".join(characters[1:]))
print(training_text[1118:1243])

# %% [markdown]
# The task is to predict the next character, and it needs no labels: the text is its own answer, shifted by one.
# We cut it into windows of `context` characters.
# A window of 64 holds 64 exercises, one at each position: after `F`, what? after `Fu`? after `Ful`? …

# %% tags=["network"]
def windows(tokens, context):
    end = (len(tokens) - 1) // context * context
    inputs, targets = tokens[:end], tokens[1 : end + 1]
    return inputs.reshape(-1, context), targets.reshape(-1, context)


train_inputs, train_targets = windows(training, context)
held_out_inputs, held_out_targets = (
    part[::8] for part in windows(held_out, context)
)


def batches(seed):
    size = len(train_inputs)
    epochs = steps // (size // batch_size) + 1
    order = data.batch_order(size, batch_size, epochs, seed)
    for chosen in islice(order, steps):
        yield train_inputs[chosen], train_targets[chosen]

# %% [markdown]
# To save time we measure on every eighth held-out window.

# %%
print(repr(decode(train_inputs[17, :24])))
print(repr(decode(train_targets[17, :24])))
print(f"{len(train_inputs):,} windows to train on, "
      f"{len(held_out_inputs)} to measure with")

# %% [markdown]
# ## What counting can do
#
# Before any network: how well does one predict the next character by counting what followed in the plays?
# The loss is the mean of $-\log p$ of the character that came, in **nats** a character (the cross-entropy of lesson 2, with natural logarithms).
# Each count gets half a character as a gift, so that nothing is impossible.

# %%
def counted_loss(previous, gift=0.5):
    """Held-out loss of a table: what followed these `previous` characters?"""
    def runs(tokens, length):  # one number for each run of so many characters
        size = len(tokens) - previous
        number = np.zeros(size, "int32")
        for i in range(length):
            number = len(characters) * number + tokens[i : size + i]
        return number

    def counts(length):  # how often each held-out run occurs in training
        seen, wanted = np.sort(runs(training, length)), runs(held_out, length)
        first, end = (np.searchsorted(seen, wanted, side)
                      for side in ("left", "right"))
        return end - first

    gifts = gift * len(characters)
    share = (counts(previous + 1) + gift) / (counts(previous) + gifts)
    return -np.log(share).mean()


names = "counted characters", "bigrams", "trigrams", "4-grams"
baselines = {"equal guesses": np.log(len(characters))}
baselines |= {name: counted_loss(n) for n, name in enumerate(names)}
for name, loss in baselines.items():
    print(f"{name:20}{loss:.3f} nats a character")

# %% [markdown]
# `runs` writes a run of characters as one number, as if the characters were the digits of a number to the base 78.
# Knowing one character (**bigrams**) brings 0.8 nats, knowing two (trigrams) another 0.4, knowing three another quarter.
# But each further character multiplies the table by 78: with four known characters it would have nearly three thousand million cells, almost all of them empty.
# And a table long enough to tell `My noble l` from `My gracious l` cannot know that the two go on alike.
# A network that looks back can.
#
# ## Looking up: attention as a weighted average
#
# Think of a dictionary in Python: a **query** is compared with all **keys**, and one **value** comes back.
# Attention does this softly, so that it has a gradient.
# Query, keys and values are vectors; the comparison is a dot product; softmax turns the comparisons into shares that add up to one, and back comes the *average* of all values, weighted by the shares:
#
# $$\operatorname{attention}(Q, K, V) = \operatorname{softmax}\!\left(\frac{Q K^{\mathsf T}}{\sqrt d}\right) V$$
#
# $d$ is the length of a query; why its root is there comes next.
# First a toy with vectors made by hand.
# The first number of a key says "I am a person", the second "I am an action".
# Two words ask for something: `her` asks which person, `crown` asks what was done with it.

# %%
def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


words = ["the", "queen", "took", "her", "crown"]
keys = np.array([[0, 0], [1, 0], [0, 1], [0, 0], [0, 0]])
queries = np.array([[0, 0], [0, 0], [0, 0], [5, 0], [0, 5]])
values = np.array([[0, 0], [10, 0], [0, 10], [0, 0], [0, 0]])

scores = queries @ keys.T / np.sqrt(2)
shares = softmax(scores)
for word, row, result in zip(words, shares, shares @ values):
    print(f"{word:6} looks at {np.round(row, 2)}, gets {np.round(result, 1)}")

# %% [markdown]
# `her` receives nearly all of what `queen` has to give, `crown` what `took` has.
# The others ask for nothing in particular, so all scores are 0 and they get the plain average.
# In a network nobody writes these vectors: queries, keys and values are three linear functions of each token's vector, and training finds them.
# (The shares are usually called *attention weights*.
# We keep "weights" for what is trained.)
#
# ## Why divide by the root of d?
#
# A dot product of two vectors of $d$ numbers is a sum of $d$ products.
# If each has variance 1, the sum has variance $d$: longer vectors, larger scores.
# And softmax of large scores is almost one-hot.
# We draw random queries and keys, 64 keys for each query, and look at the largest share.
# Beside it the length of the gradient that reaches a query, for a loss that pulls at the shares at random: we print the lengths that a tenth of 500 queries stay below (weak) and that a tenth exceed (strong).

# %%
rng = np.random.default_rng(seed)


def gradient_lengths(shares, pull, k, scale):
    """Of sum(pull * shares) by the query: softmax's rule, then the keys."""
    by_score = shares * (pull - (shares * pull).sum(1, keepdims=True))
    return np.linalg.norm((by_score[:, None] @ k.mT)[:, 0], axis=1) / scale


print("               largest share   plain gradient   divided")
print("   d  spread   plain   / √d     weak  strong   weak  strong")
for d in (4, 16, 64, 256):
    q, k = rng.normal(size=(500, 1, d)), rng.normal(size=(500, d, 64))
    products, pull = (q @ k)[:, 0], rng.normal(size=(500, 64))
    row = f"{d:4}{products.std():8.1f}"
    largest, ends = "", ""
    for scale in (1, np.sqrt(d)):
        drawn = softmax(products / scale)
        lengths = gradient_lengths(drawn, pull, k, scale)
        weak, strong = np.quantile(lengths, (0.1, 0.9))
        largest += f"{drawn.max(axis=1).mean():8.2f}"
        ends += f"{weak:8.2f}{strong:7.2f}"
    print(row + largest + ends)
del q, k  # the last keys alone are 65 MB

# %% [markdown]
# The spread (standard deviation) is $\sqrt d$, as announced.
# Without the division the longest queries look at little more than a single place, chosen by chance.
# What is lost is not the gradient but its evenness: where softmax is almost one-hot a query gets no gradient to speak of, and does not learn to look elsewhere; where two places are nearly tied it gets a violent one.
# At $d = 16$, the size of our heads, little is lost yet; at 64, GPT-2's, a tenth of the queries get next to nothing.
# Divided by $\sqrt d$, the weak and the strong are within a factor of four, and hardly anything depends on $d$.
# (Our own network starts from smaller weights, with all scores near 0.
# But they grow.)
#
# ## The causal mask
#
# Our network must predict the next character at *every* position of a window.
# So position 3 may look at 0 to 3.
# If it could look at position 4, it would see the answer.
# The **causal mask** sets the scores of later positions to $-\infty$ *before* softmax, so that their share is exactly zero and the rest still adds up to one.

# %%
# row: who looks; column: at whom
may_attend = np.tril(np.ones((5, 5), dtype=bool))
masked_shares = softmax(np.where(may_attend, scores, -np.inf))

# %% [markdown]
# The shares of the toy, without the mask and with it:

# %% tags=["folded"]
def draw_shares(axes, shares, tokens, title):
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks(range(len(tokens)), tokens)
    axes.set_yticks(range(len(tokens)), tokens)
    axes.set_title(title, fontsize=10)
    axes.grid(False)


_, panels = plt.subplots(1, 2, figsize=(7.5, 3.7))
titles = ("Without a mask everyone sees the future",
          "Masked: each row ends at itself")
for axes, matrix, title in zip(panels, (shares, masked_shares), titles):
    draw_shares(axes, matrix, words, title)
    for (row, column), share in np.ndenumerate(matrix):
        _ = axes.text(column, row, f"{share:.2f}", fontsize=8,
                      ha="center", va="center",
                      color="white" if share > 0.5 else "black")
_ = panels[0].set(ylabel="who looks", xlabel="at whom")

# %% [markdown]
# `the` now has only itself, and `her` can no longer see the `crown`.
# What becomes of a network that is trained *without* the mask, we will see on the real one.
#
# ## Many heads, by hand
#
# One average for each position is little: a character may want to know the letter before it *and* the last speaker's name.
# So the vector is cut into **heads**.
# Each has its own queries, keys and values of length $d = $ width / heads and makes its own average; the results are put side by side, and a last linear layer mixes them.
# All of it in NumPy, for one sequence `x` of shape (time, width):

# %%
def attention_by_hand(x, layer, heads, may_attend):
    def linear(name, inputs):
        return inputs @ layer[name]["kernel"] + layer[name]["bias"]

    def cut(vectors):  # (time, width) to (heads, time, width / heads)
        return vectors.reshape(len(vectors), heads, -1).transpose(1, 0, 2)

    parts = ("query", "key", "value")
    query, key, value = (cut(linear(part, x)) for part in parts)
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
    shares = softmax(np.where(may_attend, scores, -np.inf))
    mixed = (shares @ value).transpose(1, 0, 2).reshape(x.shape)
    return linear("output", mixed)


rng, parts = weights.generator(seed), ("query", "key", "value", "output")
layer = {part: weights.dense(rng, 8, 8) for part in parts}
x = rng.normal(size=(5, 8)).astype("float32")
by_hand = attention_by_hand(x, layer, 2, may_attend)
print("five positions, first two numbers of each:")
print(np.round(by_hand[:, :2], 3))

# %% [markdown]
# Now the framework's layer, with the same weights.
# We hand it our mask as it is, with `True` where one *may attend*, and look whether that is what it understands:

# %% tags=["pytorch"]
attention = nn.MultiheadAttention(embed_dim=8, num_heads=2, batch_first=True)
attention = load_weights(attention, layer)
mask, sequence = torch.as_tensor(may_attend), torch.as_tensor(x)[None]
with torch.inference_mode():
    three_times = sequence, sequence, sequence  # query, key, value
    wrong, wrong_shares = attention(*three_times, attn_mask=mask)
print(np.round(wrong_shares[0].numpy(), 2))

# %% [markdown] tags=["pytorch"]
# (One matrix for two heads: the layer returns the mean over its heads.)
#
# **Watch out:** in `nn.MultiheadAttention` a `True` in the mask means *blocked*.
# Given our mask, each position looks only into the future, and the last one has nobody left: softmax of nothing but $-\infty$ is not a number.
# That at least is loud; the other four rows are wrong and say nothing.
# Keras means the opposite, `True` = may attend.
# And **PyTorch disagrees with itself:** `F.scaled_dot_product_attention`, the function below that layer, takes the mask in Keras' sense.
#
# To call that function we need query, key and value, which the layer keeps in one packed kernel.
# The function wants the axes in the order (batch, heads, time, size):

# %% tags=["pytorch"]
with torch.inference_mode():
    # True = blocked
    right, _ = attention(*three_times, attn_mask=~mask)

    packed = F.linear(
        sequence, attention.in_proj_weight, attention.in_proj_bias
    )
    packed = packed.unflatten(-1, (3, 2, 4))  # (batch, time, 3, heads, size)
    # each (batch, heads, time, size)
    query, key, value = packed.permute(2, 0, 3, 1, 4)
    # True = attend
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    from_function = attention.out_proj(mixed.transpose(1, 2).flatten(2))
for name, result in (("layer", right), ("function", from_function)):
    equal = np.allclose(result[0].numpy(), by_hand, atol=1e-6)
    print(f"{name:9}equals ours: {equal}")

# %% [markdown] tags=["pytorch"]
# Both equal our NumPy.
# For causal masks the function has a short form, `is_causal=True`; we use that from here on.

# %% tags=["pytorch", "network"]
def attend_to_past(query, key, value):
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


def attend_to_all(query, key, value):  # without a mask
    return F.scaled_dot_product_attention(query, key, value)

# %% tags=["tensorflow"]
# key_dim: the size of one head
attention = layers.MultiHeadAttention(num_heads=2, key_dim=4)
sequence, mask = x[None], may_attend[None]  # with a batch axis
attention.build(sequence.shape, sequence.shape)
attention = load_weights(attention, layer)
right = attention(sequence, sequence, attention_mask=mask)  # True = may attend
print("equals ours:", np.allclose(right[0], by_hand, atol=1e-6))

# %% [markdown] tags=["tensorflow"]
# It is: in Keras `True` means *may attend*, as in our NumPy.
# **Watch out:** in PyTorch's `nn.MultiheadAttention` it means *blocked*.
# This is what a mask brought over from there does here:

# %% tags=["tensorflow"]
wrong, wrong_shares = attention(sequence, sequence, attention_mask=~mask,
                                return_attention_scores=True)
print(np.round(ops.mean(wrong_shares[0], axis=0), 2))

# %% [markdown] tags=["tensorflow"]
# (The mean over both heads.
# What we call shares, Keras calls *scores*; our scores are what goes into softmax.)
# Each position looks only into the future, and the last one has nobody left.
# Nothing complains.
#
# Back to the right mask.
# Two more forms of it do the same: `use_causal_mask=True`, and the function below the layer:

# %% tags=["tensorflow"]
short = attention(sequence, sequence, use_causal_mask=True)


def linear(part, inputs):
    return inputs @ layer[part]["kernel"] + layer[part]["bias"]


query, key, value = (ops.reshape(linear(part, sequence), (1, 5, 2, 4))
                     for part in parts[:3])
mixed = ops.dot_product_attention(query, key, value, is_causal=True)
from_function = linear("output", ops.reshape(mixed, (5, 8)))
for name, result in (("layer", short[0]), ("function", from_function)):
    equal = np.allclose(result, by_hand, atol=1e-6)
    print(f"{name:9}equals ours: {equal}")

# %% [markdown] tags=["tensorflow"]
# Both equal our NumPy.
# The network that we take apart below uses the function.
# It wants the axes in the order (batch, time, heads, size).

# %% tags=["tensorflow", "network"]
def attend_to_past(query, key, value):
    return ops.dot_product_attention(query, key, value, is_causal=True)


def attend_to_all(query, key, value):  # without a mask
    return ops.dot_product_attention(query, key, value)

# %% [markdown]
# ### Where nobody is left *(optional)*
#
# What is the answer where a mask blocks every place?
# It depends on whom you ask, and how:

# %% tags=["pytorch"]
nobody = {"attn_mask": torch.ones_like(mask)}  # every place is blocked
asked = {"layer, with its shares": attention(*three_times, **nobody)[0],
         "layer, without": attention(*three_times, need_weights=False,
                                     **nobody)[0]}
attention.eval()
with torch.inference_mode():
    asked["the same, in use"] = attention(*three_times, need_weights=False,
                                          **nobody)[0]
asked["function"] = F.scaled_dot_product_attention(
    query, key, value, attn_mask=~torch.ones_like(mask)
)
for name, result in asked.items():
    print(f"{name:24}{result.flatten()[0].item():.1f}")

# %% [markdown] tags=["pytorch"]
# Not a number if the layer is also to return its shares, which is its default; else zeros while gradients are recorded, and again not a number in use, where it takes a shorter path.
# The function gives zeros.
# (Keras' layer, called plainly, answers with the average of all values, blocked or not.)

# %% tags=["tensorflow"]
plainly = attention(sequence, sequence, attention_mask=~mask)
for name, result in (("asked for shares", wrong), ("not asked", plainly)):
    print(f"{name:17}last position: {np.round(result[0, -1, :2], 3)}")

# %% [markdown] tags=["tensorflow"]
# The layer gives zeros if it is also to return its shares.
# Called plainly it gives the average of **all** values, the blocked ones included, because Keras blocks with a large negative number instead of $-\infty$; so does the function below the layer.
# (PyTorch's layer answers `nan` or zeros there, by how it is asked, too; its function zeros.)

# %% [markdown]
# ## Between two attentions: normalise, think, add
#
# Attention only averages.
# To make something of what it has gathered, each position then passes, on its own, through two dense layers with an activation function between them, the **feed-forward** part.
# Attention and feed-forward together are a **block**, and a transformer is a stack of blocks.
# Three things make the stack trainable.
#
# **Residual connections** (the bridges of lesson 6): each part *adds* its result to the vector, $x \leftarrow x + \operatorname{part}(x)$.
#
# **Layer normalisation.**
# Batch norm (lesson 4) normalises one feature over the batch.
# LayerNorm normalises one vector over its own features, so it knows nothing of other examples and does the same in training and in use: $(x - \bar x) / \sqrt{\operatorname{var}(x) + \epsilon}$, then a trained factor and offset for each feature.
# We put it *before* each part ("pre-norm"), as GPT-2 does.
#
# **GELU**, the activation function: $x \cdot \Phi(x)$, where $\Phi$ is the cumulative normal distribution.
# It looks like a ReLU with a rounded corner, and dips a little below zero before it.
# Two formulas carry the name: the exact one, and an approximation through tanh.
#
# **Watch out:** both come with a default in which the frameworks differ.
# For LayerNorm it is the small $\epsilon$.
# Much as in GPT-2 we draw the embeddings from $N(0, 0.02^2)$.
# What enters the first block is the sum of two of them (below we see which), with a variance below a thousandth:

# %% tags=["pytorch"]
two = weights.kernel(weights.generator(seed), (2, 64), 0.02)
vector = torch.as_tensor(two.sum(axis=0, keepdims=True))
print(f"LayerNorm of a vector with variance {vector.var():.5f}")
for eps in (1e-5, 1e-3):
    normalised = nn.LayerNorm(64, eps=eps)(vector)
    print(f"  eps {eps:.0e}: standard deviation {normalised.std():.2f}")

grid = torch.linspace(-4, 4, 801)
exact = F.gelu(grid)
apart = exact - F.gelu(grid, approximate="tanh")
print(f"GELU(-1) is {exact[300]:.4f}, GELU(1) is {exact[500]:.4f}")
print(f"  exact and approximate differ by up to {apart.abs().max():.1e}")

# %% [markdown] tags=["pytorch"]
# PyTorch's default is 1e-5, and the vector comes out with standard deviation 1.
# Keras' is 1e-3: larger than the variance, so the first block gets less than two thirds of it; the twin sets 1e-5.
# PyTorch's GELU is exact unless told otherwise; in Keras `activation="gelu"` is exact and `keras.ops.gelu` is not.
# Neither difference comes with a message: it is simply another network.

# %% tags=["tensorflow"]
two = weights.kernel(weights.generator(seed), (2, 64), 0.02)
vector = two.sum(axis=0, keepdims=True)
print(f"LayerNorm of a vector with variance {vector.var(ddof=1):.5f}")
for eps in (1e-5, 1e-3):
    normalised = layers.LayerNormalization(epsilon=eps)(vector).numpy()
    spread = normalised.std(ddof=1)
    print(f"  epsilon {eps:.0e}: standard deviation {spread:.2f}")

grid = np.linspace(-4, 4, 801, dtype="float32")
exact, by_default = layers.Activation("gelu")(grid), ops.gelu(grid)
print(f"GELU(-1) is {exact[300]:.4f}, GELU(1) is {exact[500]:.4f}")
apart = ops.max(ops.abs(exact - by_default))
print(f"  activation='gelu' and ops.gelu differ by up to {apart:.1e}")

# %% [markdown] tags=["tensorflow"]
# Keras' default is 1e-3: larger than the variance, so the first block would get less than two thirds of what LayerNorm is there to give.
# PyTorch's is 1e-5, and we set it too.
# For GELU it depends on where you ask: `activation="gelu"` is exact, `keras.ops.gelu` is the approximation unless told `approximate=False`; PyTorch's is exact.
# Neither difference comes with a message: it is simply another network.

# %% [markdown]
# ## The GPT
#
# Around the stack of blocks: an embedding of the character, plus an embedding of its **position**.
# Without the second, and without a mask, an attention could not tell `abc` from `bac`: an average does not know the order of what it averages.
# At the end a LayerNorm and a dense layer to one logit a character.
# That is all of it.
# First bare: layers in lists, the framework's attention, and a short function that is the whole network.
# (`think` is the feed-forward part.)

# %% tags=["pytorch"]
look_up = nn.Embedding(len(characters), width)
place = nn.Embedding(context, width)
norms = [nn.LayerNorm(width) for _ in range(2 * blocks + 1)]
attentions = [nn.MultiheadAttention(width, heads, batch_first=True)
              for _ in range(blocks)]
think = [nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(),
                       nn.Linear(4 * width, width)) for _ in range(blocks)]
to_logits = nn.Linear(width, len(characters))
future = torch.ones(context, context, dtype=torch.bool).triu(1)


def bare_gpt(tokens):
    x = look_up(tokens) + place(torch.arange(context))
    for n in range(blocks):
        y = norms[2 * n](x)
        attended, _ = attentions[n](y, y, y, attn_mask=future)
        x = x + attended
        y = norms[2 * n + 1](x)
        x = x + think[n](y)
    return to_logits(norms[-1](x))


print(tuple(bare_gpt(torch.as_tensor(train_inputs[:2])).shape))

# %% tags=["tensorflow"]
look_up = layers.Embedding(len(characters), width)
place = layers.Embedding(context, width)
norms = [layers.LayerNormalization(epsilon=1e-5)
         for _ in range(2 * blocks + 1)]
attentions = [layers.MultiHeadAttention(heads, width // heads)
              for _ in range(blocks)]
think = [keras.Sequential([layers.Dense(4 * width, activation="gelu"),
                           layers.Dense(width)]) for _ in range(blocks)]
to_logits = layers.Dense(len(characters))


def bare_gpt(tokens):
    x = look_up(tokens) + place(ops.arange(context))
    for n in range(blocks):
        y = norms[2 * n](x)
        x = x + attentions[n](y, y, use_causal_mask=True)
        y = norms[2 * n + 1](x)
        x = x + think[n](y)
    return to_logits(norms[-1](x))


print(tuple(bare_gpt(train_inputs[:2]).shape))

# %% [markdown]
# Two windows, and at each of their positions one logit for each of the 78 characters.
# This is a GPT, and the whole program at the end trains one like it.
#
# ### The same network, to be taken apart
#
# Now as classes, with what the rest of the lesson needs.
# Query, key and value come from one dense layer, as in GPT-2, and *how* to attend is an argument, a function of the three: we will want other ways than the causal one.

# %% tags=["pytorch", "network"]
class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)  # eps=1e-5; Keras has 1e-3
        # three layers in one
        self.query_key_value = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x, attend):
        packed = self.query_key_value(self.attention_norm(x))
        # (batch, time, 3, heads, size)
        packed = packed.unflatten(-1, (3, self.heads, -1))
        # each (batch, heads, time, size)
        mixed = attend(*packed.permute(2, 0, 3, 1, 4))
        x = x + self.projection(mixed.transpose(1, 2).flatten(2))
        # the exact form
        hidden = F.gelu(self.expand(self.feed_forward_norm(x)))
        return x + self.contract(hidden)

# %% tags=["tensorflow", "network"]
class Block(layers.Layer):
    def __init__(self, width, heads, name):
        super().__init__(name=name)
        self.heads, self.size = heads, width // heads
        norm, dense = layers.LayerNormalization, layers.Dense
        # the default epsilon is 1e-3
        self.attention_norm = norm(epsilon=1e-5, name=f"{name}_attention_norm")
        self.query_key_value = dense(3 * width, name=f"{name}_query_key_value")
        self.projection = dense(width, name=f"{name}_projection")
        self.feed_forward_norm = norm(
            epsilon=1e-5, name=f"{name}_feed_forward_norm"
        )
        # as an activation, "gelu" is the exact form
        self.expand = dense(4 * width, "gelu", name=f"{name}_expand")
        self.contract = dense(width, name=f"{name}_contract")

    def call(self, x, attend):
        batch, time, width = ops.shape(x)
        packed = self.query_key_value(self.attention_norm(x))
        packed = ops.reshape(packed, (batch, time, 3, self.heads, self.size))
        # each (batch, time, heads, size)
        mixed = attend(*ops.unstack(packed, 3, axis=2))
        x = x + self.projection(ops.reshape(mixed, (batch, time, width)))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% [markdown]
# And what is around the blocks.
# (`first` and `attends` are for the cache; for now they stay at their defaults.
# GPT-2 takes the approximate GELU, and its output layer is the token embedding once more.)

# %% tags=["pytorch", "network"]
class GPT(nn.Module):
    def __init__(self, tokens, context, width, blocks, heads, attend):
        super().__init__()
        self.token_embedding = nn.Embedding(tokens, width)
        self.position_embedding = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.final_norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, tokens)
        self.attends = [attend] * blocks

    def forward(self, tokens, attends=None, first=0):
        end = first + tokens.shape[1]
        positions = torch.arange(first, end, device=tokens.device)
        x = self.token_embedding(tokens) + self.position_embedding(positions)
        for block, attend in zip(self.blocks, attends or self.attends):
            x = block(x, attend)
        return self.output(self.final_norm(x))

# %% tags=["tensorflow", "network"]
class GPT(keras.Model):
    def __init__(self, tokens, context, width, blocks, heads, attend):
        super().__init__()
        embedding, norm = layers.Embedding, layers.LayerNormalization
        self.token_embedding = embedding(tokens, width, name="token_embedding")
        self.position_embedding = embedding(
            context, width, name="position_embedding"
        )
        self.blocks = [Block(width, heads, f"block{n}") for n in range(blocks)]
        self.final_norm = norm(epsilon=1e-5, name="final_norm")
        # Model has its own `output`
        self.output_layer = layers.Dense(tokens, name="output")
        self.attends = [attend] * blocks

    def call(self, tokens, attends=None, first=0):
        positions = first + ops.arange(ops.shape(tokens)[1])
        x = self.token_embedding(tokens) + self.position_embedding(positions)
        for block, attend in zip(self.blocks, attends or self.attends):
            x = block(x, attend=attend)  # Keras: only tensors by position
        return self.output_layer(self.final_norm(x))

# %% [markdown]
# The starting weights follow GPT-2: kernels and embeddings from $N(0, 0.02^2)$ (GPT-2's code draws the positions with .01), biases zero, and, as its paper says, the kernels of the two layers whose results are *added* to $x$ (`projection`, `contract`) divided by $\sqrt{2 \cdot \text{blocks}}$, because so many results are added.
# NumPy draws them (folded).
# Each framework's own start would be another: PyTorch draws embeddings from $N(0, 1)$, Keras from $U(\pm 0.05)$, and their dense layers differ as lesson 4 showed.

# %% tags=["network", "folded"]
def starting_weights(seed):
    rng, tokens = weights.generator(seed), len(characters)
    added = 0.02 / (2 * blocks) ** 0.5
    wide = 4 * width

    def dense(inputs, outputs, spread=0.02):
        return weights.dense(rng, inputs, outputs, spread)

    start = {
        "token_embedding": weights.embedding(rng, tokens, width, 0.02),
        "position_embedding": weights.embedding(rng, context, width, 0.02),
    }
    for n in range(blocks):
        start |= {
            f"block{n}_attention_norm": weights.layer_norm(width),
            f"block{n}_query_key_value": dense(width, 3 * width),
            f"block{n}_projection": dense(width, width, added),
            f"block{n}_feed_forward_norm": weights.layer_norm(width),
            f"block{n}_expand": dense(width, wide),
            f"block{n}_contract": dense(wide, width, added),
        }
    start["final_norm"] = weights.layer_norm(width)
    return {"gpt": start | {"output": dense(width, tokens)}}

# %% [markdown]
# Another function, folded, reads the sizes of a network off its weights:

# %% tags=["network", "folded"]
def sizes(start):
    """(tokens, context, width, blocks) of a network, off its weights."""
    tokens, width = start["token_embedding"]["embeddings"].shape
    long = len(start["position_embedding"]["embeddings"])
    blocks = len(start) // 6  # six entries a block, and four others
    return tokens, long, width, blocks

# %% [markdown]
# So the same function will build the trained network later.

# %% tags=["pytorch", "network"]
def build_gpt(start, heads=heads, attend=attend_to_past):
    return load_weights(GPT(*sizes(start), heads, attend), start).to(device)


def to_tensors(inputs, targets):
    both = inputs, targets
    return [torch.as_tensor(tokens, device=device) for tokens in both]


# %% tags=["tensorflow", "network"]
def build_gpt(start, heads=heads, attend=attend_to_past):
    network = GPT(*sizes(start), heads, attend)
    # makes the weights
    network(keras.Input((sizes(start)[1],), dtype="int64"))
    return load_weights(network, start)


def to_tensors(inputs, targets):
    return tf.convert_to_tensor(inputs), tf.convert_to_tensor(targets)


cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

# %% [markdown]
# And the loss on text that it does not learn from, in slices, so that memory stays small:

# %% tags=["pytorch", "script"]
@torch.inference_mode()
def mean_loss(network, inputs, targets, size=64):
    total = 0.0
    for i in range(0, len(inputs), size):
        some = slice(i, i + size)
        tokens, following = to_tensors(inputs[some], targets[some])
        logits = network(tokens).flatten(0, 1)
        loss = F.cross_entropy(logits, following.flatten(), reduction="sum")
        total += loss.item()
    return total / targets.size

# %% tags=["tensorflow", "script"]
def mean_loss(network, inputs, targets, size=64):
    total, answer = 0.0, network
    if len(inputs) > 20 * size:  # so many batches pay for a graph: lesson 3
        shape = tf.TensorSpec((None, inputs.shape[1]), "int64")
        answer = tf.function(network.__call__, input_signature=[shape])
    for i in range(0, len(inputs), size):
        some = slice(i, i + size)
        tokens, following = to_tensors(inputs[some], targets[some])
        loss = cross_entropy(following, answer(tokens))
        total += float(loss) * len(following)
    return total / len(targets)

# %% [markdown]
# A look at what we made: how large it is, and what it thinks before it has learned anything.

# %%
start = starting_weights(seed)["gpt"]
print(f"{weights.count(start):,} weights")
first_loss = mean_loss(build_gpt(start), held_out_inputs, held_out_targets)
print(f"loss {first_loss:.2f}; "
      f"equal guesses have {baselines['equal guesses']:.2f}")

# %% [markdown]
# ## A trap: the embedding's gradient *(optional)*
#
# An embedding looks rows up, and a row is looked up as often as its token occurs in the batch.
# All occurrences contribute to the row's gradient.
# Lesson 7 showed that Keras' Adam squares the occurrences one by one.
# Now we look into Adam itself, and then at what it does to a whole network.
# The extreme case is two equal tokens on one line.
# The loss is 4 times the first row looked up minus 4 times the second; both are the *same* row, so the loss is 0 whatever the row, and its gradient is $4 - 4 = 0$.
# Adam's $v$, the running mean of the squared gradient, should be 0 too.

# %% tags=["pytorch"]
line = torch.tensor([[0, 0]])  # two tokens, the same one
signs = torch.tensor([4.0, -4.0])
embedding = nn.Embedding(2, 1)
adam = torch.optim.Adam(embedding.parameters(), betas=(0.9, 0.99))
(signs * embedding(line)[..., 0]).sum().backward()
adam.step()
print("gradient:", embedding.weight.grad[:, 0].tolist())
print("Adam's v:", adam.state[embedding.weight]["exp_avg_sq"][:, 0].tolist())

# %% [markdown] tags=["pytorch"]
# As it should be: PyTorch's gradient of an embedding is an ordinary, dense tensor, in which the occurrences are already added up.
# (Asked for a sparse one, a list of occurrences, its Adam refuses; `torch.optim.SparseAdam` takes it, adds the occurrences up first, and moves only the rows that occur.)
#
# Keras on TensorFlow does not refuse such a list (`IndexedSlices`, lesson 7), and adds the squares: $16 + 16$, where the square of the sum is 0.
# Is that a detail?
# We count on the first batch of our own network.
# What does each occurrence of a character contribute?

# %% tags=["pytorch"]
network, looked_up = build_gpt(start), []
hook = network.token_embedding.register_forward_hook(
    lambda module, inputs, rows: looked_up.append(rows))
inputs, targets = to_tensors(*next(batches(seed)))
loss = F.cross_entropy(network(inputs).flatten(0, 1), targets.flatten())
hook.remove()
tokens = inputs.flatten().numpy(force=True)
by_rows, = torch.autograd.grad(loss, looked_up)
contributions = by_rows.flatten(0, 1).numpy(force=True)

# %% tags=["tensorflow"]
# two tokens, the same one
line, signs = tf.constant([[0, 0]]), tf.constant([4.0, -4.0])


def one_step(densify):
    embedding = layers.Embedding(2, 1)
    embedding.build()
    adam = keras.optimizers.Adam(beta_2=0.99)
    with tf.GradientTape() as tape:
        loss = ops.sum(signs * embedding(line)[..., 0])
    gradients = tape.gradient(loss, embedding.trainable_variables)
    if densify:
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    adam.apply(gradients, embedding.trainable_variables)
    kind = type(gradients[0]).__name__
    print(f"{kind:14} Adam's v:", np.round(adam.variables[-1][:, 0], 3))


one_step(densify=False)
one_step(densify=True)

# %% [markdown] tags=["tensorflow"]
# **Watch out:** from the list of occurrences (`IndexedSlices`, lesson 7) Keras' Adam adds the squares, $16 + 16$, of which $v$ takes $1 - \beta_2 = 0.01$: 0.32.
# The square of the sum is 0, and that is what one gets after `tf.convert_to_tensor`.
# (PyTorch's gradient is dense from the beginning; asked for a sparse one, its Adam refuses.)
#
# Is that a detail?
# We count on the first batch of our own network.
# What does each occurrence of a character contribute?

# %% tags=["tensorflow"]
network = build_gpt(start)
inputs, targets = to_tensors(*next(batches(seed)))
with tf.GradientTape() as tape:
    loss = cross_entropy(targets, network(inputs))
slices, = tape.gradient(loss, network.token_embedding.trainable_variables)
tokens, contributions = slices.indices.numpy(), slices.values.numpy()

# %% [markdown]
# At its first step Adam moves each weight by the learning rate times $|g|/\sqrt{g^2} = 1$: the whole point of Adam is that the size of the gradient cancels.
# With the squares added one by one, it is $|\sum g_i| / \sqrt{\sum g_i^2}$ instead:

# %%
summed = np.zeros((len(characters), width))
squares = np.zeros_like(summed)
np.add.at(summed, tokens, contributions)
np.add.at(squares, tokens, contributions**2)
print("character   occurs   first step, in learning rates")
for character in (" ", "e", "t", "k", "R"):
    i = index_of[character]
    if i not in tokens:
        continue  # in a small batch
    step = np.abs(summed[i]) / np.sqrt(squares[i])
    print(f"{character!r:12}{(tokens == i).sum():4}{step.mean():15.1f}")

# %% [markdown]
# The frequent space, `e` and `t` would jump two to three times as far as Adam promises; the rare `k` and `R` about as far.
# Where occurrences contradict each other the step is too short instead (`R`: 0.8).
# So Keras' default trains an embedding at a rate that depends on how often a token occurs in a batch and on whether its occurrences agree, and nobody chose that.
# What it does to the losses, the twin check (optional, too) shows.

# %% [markdown] tags=["pytorch"]
# Nothing is to be done here; the twin densifies its gradients, which costs nothing for 78 rows.

# %% [markdown] tags=["tensorflow"]
# So the step below densifies.
# For 78 rows that costs nothing; `fit` has no switch for it, so there one would override `train_step` (way 5 of lesson 2), or look up by multiplying one-hot vectors with a dense kernel, as the whole program at the end does.

# %% [markdown]
# ## The training step
#
# As in lesson 2, with the logits and targets of all positions of all windows in one loss.

# %% [markdown] tags=["tensorflow"]
# One line is special: the gradient of an embedding is a list, one entry for each occurrence of a character (lesson 7), and Keras' Adam would square the entries one by one.
# `tf.convert_to_tensor` adds up what belongs to one character first.

# %% tags=["pytorch", "network"]
def build_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=learning_rate,
                            betas=(beta_1, beta_2), eps=epsilon)


def train_step(network, optimizer, inputs, targets):
    optimizer.zero_grad()
    logits = network(inputs)  # (batch, time, characters)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    optimizer.step()
    return loss.detach()


def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate

# %% tags=["tensorflow", "network"]
def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer


@tf.function
def train_step(network, optimizer, inputs, targets):
    with tf.GradientTape() as tape:
        loss = cross_entropy(targets, network(inputs, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    # the embedding's is a list of occurrences (see *A trap*)
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    optimizer.apply(gradients, network.trainable_variables)
    return loss


def set_rate(optimizer, rate):
    # a variable, which the graph reads at every step
    optimizer.learning_rate = rate

# %% [markdown]
# One thing is new in the loop.
# Adam's first step moves *every* weight by a full learning rate, on the evidence of one batch.
# Width 64 can bear that; twice as wide and at the full rate from the first step, this network stands at 2.57 nats (held out) after 400 steps, and at 2.24 if the rate is raised to its value over the first hundred: a **warm-up**.
# (To see it: `width = 128`, `heads = 8`, `steps = 400`, and `warm_up = 1`, then 100.)
# Both frameworks have schedules for it; by hand it is one line, the same in both twins.

# %% tags=["network"]
def rate_at(step):  # steps are counted from 1
    return learning_rate * min(1, step / warm_up)


def train(network, steps):
    optimizer = build_optimizer(network)
    for step, batch in enumerate(islice(batches(seed), steps), 1):
        set_rate(optimizer, rate_at(step))
        yield train_step(network, optimizer, *to_tensors(*batch))

# %% [markdown]
# Does an optimiser really take the rate that it is given?
# Asked at every step, for the twin proof (folded):

# %% tags=["pytorch", "network", "folded"]
def learning_rates():
    optimizer, rates = build_optimizer(nn.Linear(1, 1)), []
    for step in range(1, steps + 1):
        set_rate(optimizer, rate_at(step))
        rates.append(optimizer.param_groups[0]["lr"])
    return np.array(rates)

# %% tags=["tensorflow", "network", "folded"]
def learning_rates():
    one_layer = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    optimizer, rates = build_optimizer(one_layer), []
    for step in range(1, steps + 1):
        set_rate(optimizer, rate_at(step))
        rates.append(float(optimizer.learning_rate))
    return np.array(rates)

# %% [markdown]
# The first, the one at the end of the warm-up, and the last:

# %% tags=["folded"]
rates = learning_rates()
for step in (1, min(warm_up, steps), steps):
    print(f"step {step:5}: {rates[step - 1]:.5f}")

# %% [markdown]
# ## Wrong first: a network that sees the future
#
# The same weights, the same loop, and one function exchanged: `attend_to_all`, which has no mask.
# We train it for three eighths of the steps, 300 with the lesson's values.

# %%
cheat = build_gpt(start, attend=attend_to_all)
cheat_losses = [float(loss) for loss in train(cheat, max(1, steps * 3 // 8))]

# %% [markdown]
# How good is it, on plays that it has never seen?

# %% tags=["nbval-ignore-output"]
cheat_loss = mean_loss(cheat, held_out_inputs, held_out_targets)
trigrams = [baselines["trigrams"]] * len(cheat_losses)
too_good = cheat_loss < baselines["4-grams"]
plots.curves({"sees the future": cheat_losses, "trigrams": trigrams},
             "Too good to be true" if too_good else "Training without a mask",
             y_label="loss (nats a character)")
print(f"held-out loss: {cheat_loss:.2f} nats a character")
if as_shipped:
    assert cheat_loss < 1.5

# %% [markdown]
# For some two hundred steps it learns what any network learns; then it finds the hole in the fence.
# This is no overfitting: held-out plays have that loss too.
# No error, no warning.
# What has it learned?
# At all positions but the last, the answer stands one place to the right.
# So we should look at the last one by itself:

# %% tags=["pytorch"]
@torch.inference_mode()
def logits_of(network, tokens):
    """The logits at every position, of one text or of several."""
    rows = torch.as_tensor(np.atleast_2d(tokens), device=device)
    logits = network(rows).numpy(force=True).astype("float64")
    return logits.reshape(*np.shape(tokens), -1)

# %% tags=["tensorflow"]
def logits_of(network, tokens):
    """The logits at every position, of one text or of several."""
    logits = network(np.atleast_2d(tokens)).numpy().astype("float64")
    return logits.reshape(*np.shape(tokens), -1)

# %% [markdown]
# The mean over a third of the held-out windows (`take_along_axis` picks the probability of the character that came):

# %% tags=["nbval-ignore-output"]
known = softmax(logits_of(cheat, held_out_inputs[::3]))
came = held_out_targets[::3, :, None]
by_position = -np.log(np.take_along_axis(known, came, -1)).mean((0, 2))
print(f"the last position: {by_position[-1]:.1f} nats; "
      f"the mean of the others: {by_position[:-1].mean():.2f}")
if as_shipped:
    others = by_position[:-1].mean()
    assert by_position[-1] > baselines["bigrams"] > 20 * others

# %% [markdown]
# Where there is nothing to copy, it knows less than a table of pairs.
# And who writes is always at the last position.
# **A loss that is too good is a bug until proven otherwise.**
# A missing mask can be found without looking inside: change the last character of a text.
# Nothing before it may change.
# (Half a mask would pass; exercise 3 makes the test complete.)

# %%
def knows_the_future(network):
    text = encode("Double, double, toil and trouble")[:context]
    changed = text.copy()
    changed[-1] = index_of["Z"]
    apart = np.abs(logits_of(network, text) - logits_of(network, changed))
    return bool(apart[:-1].max() > 1e-5)


print("without the mask, the past knows the future:", knows_the_future(cheat))
print("with the mask:", knows_the_future(build_gpt(start)))

# %% [markdown]
# ## Training it

# %%
network, losses, measured = build_gpt(start), [], {}
for loss in train(network, steps):
    losses.append(loss)
    if len(losses) in {steps // 8, steps // 4, steps // 2, steps}:
        read = len(losses) * batch_size * context
        measured[read] = mean_loss(network, held_out_inputs, held_out_targets)
losses = [float(loss) for loss in losses]

# %% [markdown]
# Against what counting can do (the line is a running mean over ten steps):

# %% tags=["nbval-ignore-output", "folded"]
own_loss = measured[max(measured)]
passed = [name for name, loss in baselines.items() if own_loss < loss]
plots.curves({"training": losses},
             f"The small GPT passes the {passed[-1]}" if passed
             else "The small GPT, so far worse than guessing",
             y_label="loss (nats a character)", window=min(10, steps))
axes = plt.gca()
axes.plot(np.array(list(measured)) / (batch_size * context),
          list(measured.values()), "o", color=plots.OTHERS[1],
          label="held out")
for name, style in {"bigrams": ":", "trigrams": "--", "4-grams": "-."}.items():
    axes.axhline(baselines[name], color=plots.OTHERS[2], linestyle=style,
                 label=name)
axes.legend()
print(f"held out: {own_loss:.2f} nats a character; "
      f"bigrams {baselines['bigrams']:.2f}")
if as_shipped:
    assert own_loss < baselines["bigrams"] - 0.2

# %% [markdown]
# With the lesson's values better than any table of pairs, after under a million characters, less than a fifth of the plays.
# (The dots are to be compared with the lines, which were measured on held-out plays too.)
# Not yet better than trigrams, which have 474,552 cells where this network has a fourth of that in weights, let alone 4-grams; and those have read all the plays.
# What is missing is training.
#
# ## A longer training, shipped
#
# `data/make/shakespeare_gpt.py` trains the same architecture, larger and longer, on some eleven million characters.
# The weights lie in `data/` as **safetensors**: a list of names, shapes and number types, followed by the plain numbers, here in 16 bits each.
# Reading it can execute nothing; a pickle, the older way, can run any program of whoever wrote it (lesson 16, in PyTorch's notebook).

# %%
trained = data.shakespeare_gpt()
gpt = build_gpt(trained, heads=3)
_, long_context, _, trained_blocks = sizes(trained)
print(f"{weights.count(trained):,} weights, {trained_blocks} blocks, "
      f"a context of {long_context}")

# %% [markdown]
# **Watch out:** the number of heads is the one size that the weights do not tell.
# With 4 instead of 3 the file loads as well.
# How good is the network, on all of the held-out plays, and how good with the wrong heads, on eight windows of them?
# (The tables were measured on all of them too, our small GPT on every eighth window.
# A window hides what came before it, which costs a network something at its first positions.
# And tables can be mixed, so that a longer one falls back on a shorter one where it has seen nothing: that makes them better than the 4-grams, in our trial 1.73 instead of 1.84, still behind the shipped GPT.)

# %%
long_inputs, long_targets = windows(held_out, long_context)
gpt_loss = mean_loss(gpt, long_inputs, long_targets, size=8)
best_table = min(baselines.values())
plots.bars(baselines | {"our small GPT": own_loss,
                        "the shipped GPT": gpt_loss},
           "Held-out plays: the shipped GPT is below each of these tables"
           if gpt_loss < best_table else "Held-out plays: tables and networks",
           "loss (nats a character)")
print(f"shipped: {gpt_loss:.2f} nats a character, as if it hesitated "
      f"between {np.exp(gpt_loss):.1f} characters")
few = long_inputs[:96:12], long_targets[:96:12]
with_3, with_4 = (mean_loss(build_gpt(trained, heads=number), *few)
                  for number in (3, 4))
print(f"on eight windows: {with_3:.2f}; "
      f"the same file, read with 4 heads: {with_4:.2f}")
assert altered or gpt_loss < 1.75 and with_4 > with_3 + 0.1

# %% [markdown]
# With the wrong number of heads it is not even nonsense, only worse: a mistake that nobody notices who does not know the right loss.
# So keep the architecture with the weights.
#
# Hesitating between $n$ equally likely characters costs $\log n$ nats; so $e^{\text{loss}}$, the **perplexity**, says among how many characters the network in effect hesitates.
#
# The twin has loaded the same file, and its logits must be ours, up to rounding; the twin check at the end compares them.
# (In the play a comma follows.)

# %%
verse = ("MACBETH.\nTo-morrow, and to-morrow, and to-morrow,\n"
         "Creeps in this petty pace from day to day")
verse_logits = logits_of(gpt, encode(verse))
following = [characters[i] for i in np.argsort(-verse_logits[-1])[:5]]
print("after the verse, most likely first:", following)

# %% [markdown]
# ## Writing
#
# The network gives probabilities; to write, one must choose.
# Three rules:
#
# - **greedy**: always the most likely character;
# - **temperature** $T$: divide the logits by $T$, then draw.
#   $T < 1$ sharpens, $T > 1$ flattens;
# - **top-k**: draw among the $k$ most likely only, so that the many unlikely ones, each rare, do not add up to nonsense.
#
# So that both twins draw alike, we draw by hand: a uniform number from NumPy decides where in the cumulated probabilities we land.
# `next_logits` is any function that takes the tokens so far and gives the logits of the next.

# %%
def choose(logits, uniform, temperature, top_k):
    if temperature == 0:
        return int(np.argmax(logits))
    if top_k:
        logits = np.where(logits >= np.sort(logits)[-top_k], logits, -np.inf)
    cumulated = np.cumsum(softmax(logits / temperature))
    drawn = uniform * cumulated[-1]
    return int(np.searchsorted(cumulated, drawn, side="right"))


def write(next_logits, prompt, length, temperature=1.0, top_k=None):
    tokens = encode(prompt).tolist()
    for uniform in np.random.default_rng(seed).random(length):
        tokens.append(choose(next_logits(tokens), uniform, temperature, top_k))
    return decode(tokens)

# %% [markdown]
# The plain way to get `next_logits`: pass the whole text through the network, and keep the last row.

# %% tags=["pytorch"]
def slowly(tokens):
    return logits_of(gpt, tokens)[-1]

# %% tags=["tensorflow"]
# one graph for all lengths: lesson 3
@tf.function(input_signature=[tf.TensorSpec((1, None), "int64")])
def all_logits(tokens):
    return gpt(tokens)[0]


def slowly(tokens):
    padded = tf.constant([tokens + [0] * (-len(tokens) % 16)], "int64")
    logits = all_logits(padded)[len(tokens) - 1]
    return logits.numpy().astype("float64")

# %% [markdown] tags=["tensorflow"]
# (One graph serves all lengths, but the memory of the process grows with each length that is new to it, here by some 200 MB in all.
# So we fill the text up to the next multiple of 16, with whatever character: thanks to the mask, no earlier position can see it.)

# %% [markdown]
# The same beginning, five ways to go on:

# %%
prompt = "MACBETH.\n"
settings = {
    "greedy": (0, None),
    "temperature 0.5": (0.5, None),
    "temperature 1": (1, None),
    "temperature 1, top 5": (1, 5),
    "temperature 2": (2, None),
}
for name, (temperature, top_k) in settings.items():
    print(f"--- {name}\n{write(slowly, prompt, 100, temperature, top_k)}\n")

# %% [markdown]
# Greedy goes round in circles.
# A high temperature invents words, and then not even words.
# In between, temperature and top-k trade surprise for sense: a matter of taste, since no rule makes the *network* better.
# Words, speakers and line breaks are all learned from single characters.
# (`MACBETH.` is a name that it has never seen.)
# What there is not, is a thought that lasts a sentence.
#
# And the small network that we trained ourselves?
# And the one that saw the future?
# The same function, as far as a context of 64 reaches:

# %% tags=["nbval-ignore-output"]
ours = {"our small GPT": network, "saw the future": cheat}
for name, trained_here in ours.items():
    text = write(lambda tokens: logits_of(trained_here, tokens)[-1],
                 prompt, max(0, context - len(prompt)), temperature=0.5)
    print(f"--- {name}\n{text}\n")

# %% [markdown]
# Ours spells short words, and a longer training would teach it more.
# The other one is lost, and no training would help it.
#
# ## A key-value cache
#
# `slowly` deserves its name.
# For each new character it passes the whole text through the network again, although causal attention guarantees that nothing about the earlier characters has changed: that was the test above.
# What a new position needs from the earlier ones is only their **keys and values**, in each block.
# So keep them, and pass just one character through the network.
#
# First for one head, in NumPy.
# Six positions with four numbers each (so $\sqrt d = 2$): what attention gives for all of them at once, it gives one position at a time too, from two arrays that fill up.

# %%
queries, keys, values = np.random.default_rng(0).normal(size=(3, 6, 4))
masked = np.where(np.tri(6, dtype=bool), queries @ keys.T / 2, -np.inf)
at_once = softmax(masked) @ values

kept_keys, kept_values = np.zeros((2, 6, 4))
for n in range(6):
    kept_keys[n], kept_values[n] = keys[n], values[n]  # the new position's
    filled = slice(0, n + 1)
    row = softmax(queries[n] @ kept_keys[filled].T / 2)
    same = np.allclose(row @ kept_values[filled], at_once[n])
    print(f"position {n} looks at {n + 1} of 6 places, same result: {same}")

# %% [markdown]
# The query is used once and forgotten; keys and values stay.
# Now the whole network, with a cache for each block.

# %% [markdown] tags=["pytorch"]
# This is where `attends` comes in: we give each block a function that writes the new key and value into its cache, and attends to what is there.
# The cache has room for the whole context from the beginning (appending with `torch.cat` would copy all of it for each character); a slice of it, as far as it is filled, is what the query sees.
# No mask is needed, since there is no future in it.
# (`is_causal=True` would even be wrong: it lets a single query see the first key only.)

# %% tags=["pytorch"]
class Cached:  # gives the logits of the next character; reads only what is new
    def __init__(self, network):
        self.network, self.read = network, 0
        heads = network.blocks[0].heads
        size = network.output.in_features // heads
        blocks = len(network.blocks)
        shape = (2, blocks, 1, heads, long_context, size)
        self.keys, self.values = torch.zeros(shape, device=device)
        self.attends = [partial(self.attend, n) for n in range(blocks)]

    def attend(self, block, query, key, value):
        for cache, new in ((self.keys, key), (self.values, value)):
            cache[block, :, :, self.read] = new[:, :, 0]
        filled = slice(0, self.read + 1)
        return F.scaled_dot_product_attention(
            query, self.keys[block, :, :, filled],
            self.values[block, :, :, filled])

    @torch.inference_mode()
    def __call__(self, tokens):
        for token in tokens[self.read :]:
            one = torch.tensor([[token]], device=device)
            logits = self.network(one, self.attends, first=self.read)
            self.read += 1
        return logits[0, -1].numpy(force=True).astype("float64")

# %% [markdown] tags=["tensorflow"]
# This is where `attends` comes in: we give each block a function that writes the new key and value into its cache, and attends to what is there.
# The cache is written in place, so it is a `tf.Variable` of fixed shape: it has room for the whole context from the beginning, and a mask hides what is not yet filled.
# (It could also grow by `tf.concat`: traced anew at every character, lesson 3, unless its time axis is left open, as in `slowly`; and then memory grows with each new length, as there.)
# `step` is one graph, for every position.
# (The whole loop in one graph, with `tf.while_loop`, wrote the same text about twice as fast again in our trial, but took longer to trace than this text takes to write.)

# %% tags=["tensorflow"]
class Cached:  # gives the logits of the next character; reads only what is new
    def __init__(self, network):
        self.network, self.read = network, 0
        block = network.blocks[0]
        zeros = tf.zeros((1, long_context, block.heads, block.size))
        self.past = [[tf.Variable(zeros), tf.Variable(zeros)]
                     for _ in network.blocks]

    def attend(self, keys, values, position, query, key, value):
        keys[:, position].assign(key[:, 0])
        values[:, position].assign(value[:, 0])
        filled = (tf.range(long_context) <= position)[None, None, None]
        return ops.dot_product_attention(query, keys, values, mask=filled)

    @tf.function
    def step(self, token, position):
        attends = [partial(self.attend, *past, position) for past in self.past]
        tokens = token[None, None]
        return self.network(tokens, attends=attends, first=position)[0, -1]

    def __call__(self, tokens):
        for token in tokens[self.read :]:
            logits = self.step(tf.constant(token), tf.constant(self.read))
            self.read += 1
        return logits.numpy().astype("float64")

# %% [markdown]
# The same text?
# And how much faster?
# We take the time of each character, after one character to warm up:

# %%
def timed(next_logits, seconds):
    def with_clock(tokens):
        began = time.perf_counter()
        logits = next_logits(tokens)
        seconds.append(time.perf_counter() - began)
        return logits
    return with_clock


length = long_context - len(prompt)
seconds = {"without": [], "with a cache": []}
texts = {}
for name, reader in (("without", slowly), ("with a cache", Cached(gpt))):
    reader(encode(prompt).tolist()[:1])
    clocked = timed(reader, seconds[name])
    texts[name] = write(clocked, prompt, length, temperature=0.8, top_k=20)
print("the same text:", texts["without"] == texts["with a cache"])
print(texts["with a cache"])

# %% [markdown]
# And the time:

# %% tags=["nbval-ignore-output", "folded"]
totals = {name: sum(values) for name, values in seconds.items()}
ratio = totals["without"] / totals["with a cache"]
plots.curves(
    {name: 1000 * np.array(values[1:]) for name, values in seconds.items()},
    f"{length} characters, {ratio:.1f} times faster with a cache",
    x_label="characters written", window=15,
    y_label="milliseconds a character\n(mean of 15)",
)
plt.ylim(bottom=0)
for name, total in totals.items():
    print(f"{length} characters {name}: {total:.2f} s")
if as_shipped and not on_gpu:  # so small a network is too little for a GPU
    assert ratio > 1.3

# %% [markdown]
# Without a cache the work for a text of $n$ characters grows with $n^2$ and more, with it nearly with $n$.
# The price is memory: two vectors for each position and block.
#
# **Watch out:** we stop at the context of 256 on purpose.
# Beyond it there is no position for the next character.
# To drop the oldest one and renumber the rest gives each another *position*; but the cached keys were made with the old ones, and would be wrong, silently.
# A network with learned positions must then read its window again.

# %% [markdown]
# ## What does it look at? *(optional)*
#
# Each head of each block makes its own shares, and they can be looked at: one more function to attend with, which keeps them.

# %% tags=["pytorch"]
def watching(kept):
    def attend(query, key, value):
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        future = torch.ones_like(scores, dtype=torch.bool).triu(1)
        shares = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        kept.append(shares[0].numpy(force=True))
        return shares @ value
    return attend


line = "Double, double, toil and trouble;"
maps = []
with torch.inference_mode():
    tokens = torch.as_tensor(encode(line), device=device)
    gpt(tokens[None], [watching(maps)] * trained_blocks)

# %% tags=["tensorflow"]
def watching(kept):
    def attend(query, key, value):
        products = ops.einsum("bqhd,bkhd->bhqk", query, key)
        scores = products / query.shape[-1] ** 0.5
        past = np.tril(np.ones(scores.shape[-2:], dtype=bool))
        shares = ops.softmax(ops.where(past, scores, float("-inf")))
        kept.append(shares[0].numpy())
        return ops.einsum("bhqk,bkhd->bqhd", shares, value)
    return attend


line = "Double, double, toil and trouble;"
maps = []
tokens = tf.constant(encode(line))
_ = gpt(tokens[None], attends=[watching(maps)] * trained_blocks)

# %% [markdown]
# A line of *Macbeth*, which the network has not seen in training; we draw its first twenty characters:

# %%
figure, grid = plt.subplots(3, 4, figsize=(9.5, 7.6))
for (head, block), axes in np.ndenumerate(grid):
    draw_shares(axes, maps[block][head][:20, :20], line[:20],
                f"block {block}, head {head}")
    axes.tick_params(labelsize=8, length=0, labelleft=block == 0,
                     labelbottom=head == 2)
_ = grid[1, 0].set_ylabel("who looks")
_ = grid[2, 0].set_xlabel("at whom")
_ = figure.suptitle("A diagonal is a fixed distance, a column is one "
                    "character", fontsize=11, x=0.01, ha="left")

# %% [markdown]
# How much of its attention does each head give to the character itself, to the one before, to those two to five back, and to all that is further away?
# How much of the last goes to the very first character?
# The mean over the positions from the eleventh on:

# %%
distance = np.subtract.outer(np.arange(len(line)), np.arange(len(line)))
groups = {"itself": (0, 0), "one back": (1, 1), "2 to 5": (2, 5),
          "further": (6, len(line))}
print(f"{'':16}" + "".join(f"{name:>10}" for name in [*groups, "first"]))
for block, heads_of_block in enumerate(maps):
    for head, shares in enumerate(heads_of_block):
        near = []
        for low, high in groups.values():
            there = (distance >= low) & (distance <= high)
            near.append(np.where(there, shares, 0).sum(axis=1)[10:].mean())
        near.append(shares[10:, 0].mean())
        row = "".join(f"{share:10.2f}" for share in near)
        print(f"block {block}, head {head}{row}")

# %% [markdown]
# Some heads of the first block are easy to name: they collect the letters just before.
# Head 1 of block 1 gives the very first character it a quarter of its attention at later positions: shares must add up to one, so perhaps a head that finds nothing leaves them there.
# The rest is harder to read, and here one should be honest: the vectors that are averaged there are no longer characters but mixtures of what came before, and a share of 0.9 in block 3 does not say *what* was taken from there.
# An attention map is a picture of the network's plumbing, not its reasons.

# %% [markdown]
# ## Loss against parameters and tokens *(optional)*
#
# Would a larger network help, or more text?
# (Papers on this count *parameters* and *tokens*: our weights and characters.)
# `data/make/scaling_runs.py` has run this lesson's own cells for four widths and up to 3,200 steps (heads of 16 numbers each, everything else equal): 24 losses in `data/scaling_runs.csv`.
# Our training above is one of its four runs, so the notebook can check its first four numbers.

# %%
parameters, tokens, run_losses = data.scaling_runs()
if as_shipped:
    same_size = parameters == weights.count(start)
    ours = {n: run_losses[same_size & (tokens == n)][0] for n in measured}
    close = all(abs(measured[n] - loss) < 0.05 for n, loss in ours.items())
    print(f"our run repeats the file's four losses to within 0.05: {close}")
    assert close

# %% [markdown]
# All of them, from both sides:

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), sharey=True)
for count in np.unique(parameters):
    rows = parameters == count
    left.plot(tokens[rows], run_losses[rows], "o-",
              label=f"{count:,} parameters")
left.plot(list(measured), list(measured.values()), "x", markersize=9,
          color=plots.OTHERS[4], markeredgewidth=2, label="this notebook")
for read, grey in zip(np.unique(tokens)[1::2], ("0.7", "0.5", "0.3")):
    rows = tokens == read
    right.plot(parameters[rows], run_losses[rows], "s--", color=grey,
               label=f"{read:,} characters")
for axes, label in ((left, "characters trained on"), (right, "parameters")):
    axes.set(xscale="log", xlabel=label)
    axes.legend(fontsize=8)
left.set(ylabel="held-out loss (nats a character)",
         title="More text helps every size ...")
_ = right.set(title="... and size helps with every amount of text")

# %% [markdown]
# Each doubling of the text lowers the loss of every size.
# Size pays too, but how much depends on the text: forty times the parameters bring 0.12 nats with 200,000 characters, 0.42 with 800,000 and 0.35 with 3.3 million.
# The same loss can be had from a small network and much text, or from a large one and less: the smallest network needs all 3.3 million characters to come where the largest is after half a million.
# Since the work grows with parameters *times* characters, the question for a given budget is how to divide it, and that is what the two papers on scaling below measure, over many powers of ten.
#
# Four sizes, one seed, one learning rate for all: this is a picture of the effect, not a law.
# The shipped network is not on these curves: it has a longer context and was trained by another optimiser (Muon).

# %% [markdown]
# ## Is a GPT a PyTorch thing?
#
# **C14**, *PyTorch reaches GPT and DALL·E through Hugging Face*, in its half about GPT.
# What we can measure here: nothing in a GPT needs one framework or the other.
# The network above has the same layers in both, each in a page of code, and reads the same file.
#
# What is a matter of record: GPT-2 was released in TensorFlow, version 1.12 ([openai/gpt-2](https://github.com/openai/gpt-2)); OpenAI announced PyTorch as its standard in January 2020.
# Hugging Face's `transformers` once had classes for both frameworks; since its version 5 it has PyTorch only, and Keras users load the same published weights through KerasHub (lesson 9).
# So the claim, made in 2024 (lesson 2), holds today as a statement about *where the ready-made code is*.
# That a GPT were hard to write in TensorFlow, it does not say, and it would not be true.

# %% [markdown]
# ## The twin check *(optional)*
#
# The record holds our training, the shipped network's logits after the verse, and the text that it wrote.

# %% [markdown] tags=["pytorch"]
# The twin's record holds one more curve, a hundred steps of the Keras network *without* densified gradients.

# %% tags=["pytorch"]
curves = {"loss": losses}

# %% [markdown] tags=["tensorflow"]
# One more curve goes into it: a hundred steps *without* densified gradients.

# %% tags=["tensorflow"]
@tf.function
def sparse_step(network, optimizer, inputs, targets):
    with tf.GradientTape() as tape:
        loss = cross_entropy(targets, network(inputs, training=True))
    gradients = tape.gradient(loss, network.trainable_variables)
    optimizer.apply(gradients, network.trainable_variables)
    return loss


sparse_network, sparse_losses = build_gpt(start), []
sparse_optimizer = build_optimizer(sparse_network)
for step, batch in enumerate(islice(batches(seed), 100), 1):
    set_rate(sparse_optimizer, rate_at(step))
    loss = sparse_step(sparse_network, sparse_optimizer, *to_tensors(*batch))
    sparse_losses.append(float(loss))
curves = {"loss": losses, "loss with sparse gradients": sparse_losses}

# %% [markdown]
# The checkpoint belongs to the parameters of the record: another file, other numbers.

# %%
checkpoint = data.SHA256["shakespeare_gpt.safetensors"][:8]
mine = records.save(
    "08_attention", framework, parameters_used | {"checkpoint": checkpoint},
    curves, parameter_count=weights.count(start), held_out_loss=own_loss,
    shipped_held_out_loss=gpt_loss, logits=verse_logits[-1],
    written=encode(texts["with a cache"]),
)
twin = records.load("08_attention", other, mine["parameters"])
if twin:
    one, two = mine["scores"], twin["scores"]
    apart = np.abs(np.subtract(one["logits"], two["logits"])).max()
    print("logits of the shipped network equal to 0.001:", bool(apart < 1e-3))
    print("both wrote the same text:", one["written"] == two["written"])
    assert altered or apart < 1e-3

# %% [markdown]
# The same file, the same logits, the same choices of NumPy's: the same text.
# (The logits are equal only up to rounding.
# Should a uniform number fall on that narrow a border between two characters, the texts would part there, and go on differently from then on.)
#
# And our own training:

# %% tags=["nbval-ignore-output"]
plots.twins(mine, twin)
print(records.compare(mine, twin))
if as_shipped and twin:
    apart = records.relative_difference(losses, twin["losses"]["loss"])
    assert apart[0] < 1e-6 and apart[:20].max() < 1e-3
    assert abs(own_loss - twin["scores"]["held_out_loss"]) < 0.05

# %% [markdown]
# The losses of step 1 are equal up to the last digit that float32 has: same network, same mask, same GELU, same $\epsilon$ in LayerNorm.
# Then Adam's epsilon and its bias correction, which the two compute a little differently (lesson 2), and rounding let them part slowly.
# How much of it would the embedding's sparse gradient have made?

# %% tags=["nbval-ignore-output"]
sides = {one["framework"]: one["losses"] for one in (mine, twin) if one}
if len(sides) == 2:
    theirs = sides["tensorflow"]
    keras_runs = {"densified": theirs["loss"],
                  "as Keras gets them": theirs["loss with sparse gradients"]}
    parted = {name: records.relative_difference(sides["pytorch"]["loss"][:100],
                                                run)
              for name, run in keras_runs.items()}
    dense, sparse = parted.values()
    early = len(dense) > 1 and sparse[1] > 10 * dense[1]
    plots.curves({name: np.maximum(some, 1e-8)
                  for name, some in parted.items()},
                 "With sparse gradients the twins part at the second step"
                 if early else "How far each Keras run is from PyTorch's",
                 y_label="relative difference", log=True)
    for name, run in keras_runs.items():
        print(f"{name:20}step 2: {parted[name][:2][-1]:.0e} apart, step 100: "
              f"{parted[name][-1]:.0e}; mean loss {np.mean(run[:100]):.3f}")
    if as_shipped:
        assert dense[:10].max() < sparse[:10].max() / 5

# %% [markdown]
# With the lesson's values some hundreds of times as far at the second step; later rounding catches up a little.
# Is it worse?
# Not here: the mean loss of these hundred steps is about the same, with Keras' own way even a little *lower*.
# It is another training, by a rule that nobody wrote down, and if two networks are to be compared it must go.
#
# The proof behind this lesson (`python -m tandem proof 08`) runs both networks in float64.
# There the losses agree to some fifteen digits, once a last difference is aligned: TensorFlow, under Keras, keeps the $\sqrt{1/2}$ of the exact GELU in float32, whatever the input has; PyTorch does not.
# Without that, they are a few parts in $10^{10}$ apart.

# %% [markdown]
# ## What differs
#
# | | PyTorch | Keras / TensorFlow | why it matters |
# |---|---|---|---|
# | `True` in a mask | blocked in `nn.MultiheadAttention`; may attend in `F.scaled_dot_product_attention` | may attend, everywhere | a model that sees only the future |
# | nobody left to attend to | the layer: `nan` or zeros, by how it is asked; the function: zeros | the average of everything; zeros if the layer also returns its shares | only `nan` is loud |
# | the size given to the layer | `embed_dim`: all heads together | `key_dim`: one head | other shapes, or another network |
# | axes of the function | (batch, heads, time, size) | (batch, time, heads, size) | attention between heads instead of positions |
# | LayerNorm's epsilon | 1e-5 | 1e-3: set to 1e-5 | larger than the variance of small embeddings |
# | GELU | exact | exact as an activation, approximate as `keras.ops.gelu` | parts at the first step |
# | starting weights | embeddings $N(0, 1)$ | embeddings $U(\pm 0.05)$ | both loaded from $N(0, 0.02^2)$ |
# | gradient of an embedding | dense | `IndexedSlices`; Adam squares each occurrence: densify | frequent characters jump too far |
# | arguments that are no tensors (`attend`) | anywhere | by keyword | an error |
# | a growing cache | room for the whole context, and a slice | room for the whole context, and a mask | in a graph, each new length is a new graph, or new memory |

# %% [markdown]
# ## The whole program
#
# What is left when nothing is compared: a small GPT in the framework's own layers, with its own starting weights and batches, 600 steps with a warm-up, a measurement, and a text.

# %% [markdown] tags=["pytorch"]
# With the imports and the `device` of *Set-up*, and two texts of your own in the place of the plays, one to train on and one held out, this is a program to start from.

# %% tags=["pytorch"]
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

torch.manual_seed(0)
plays, unseen = data.shakespeare()
letters = sorted(set(plays))
number = {letter: i for i, letter in enumerate(letters)}


def pairs(text):  # windows of 64 characters, and what follows each
    tokens = torch.from_numpy(
        np.fromiter((number[letter] for letter in text), "int64"))
    end = (len(tokens) - 1) // 64 * 64
    return TensorDataset(tokens[:end].view(-1, 64),
                         tokens[1 : end + 1].view(-1, 64))

# %% [markdown] tags=["pytorch"]
# A block; `triu(1)` is what lies right of the diagonal, the future:

# %% tags=["pytorch"]
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = nn.LayerNorm(64), nn.LayerNorm(64)
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.think = nn.Sequential(nn.Linear(64, 256), nn.GELU(),
                                   nn.Linear(256, 64))

    def forward(self, x):
        y, time = self.before(x), x.shape[1]
        future = torch.ones(time, time, device=x.device).triu(1).bool()
        x = x + self.attention(y, y, y, attn_mask=future,
                               need_weights=False)[0]
        return x + self.think(self.between(x))

# %% [markdown] tags=["pytorch"]
# And the network:

# %% tags=["pytorch"]
class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.look_up = nn.Embedding(len(letters), 64)
        self.place = nn.Embedding(64, 64)
        self.parts = nn.Sequential(Part(), Part(), nn.LayerNorm(64))
        self.to_logits = nn.Linear(64, len(letters))

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.look_up(tokens) + self.place(places)
        return self.to_logits(self.parts(x))

# %% [markdown] tags=["pytorch"]
# Training.
# `cross_entropy` wants the logits as (batch, characters, time), so `mT` exchanges the last two axes:

# %% tags=["pytorch", "nbval-ignore-output"]
whole = Whole().to(device)
adam = torch.optim.Adam(whole.parameters(), 0.004, betas=(0.9, 0.99))
warm = torch.optim.lr_scheduler.LinearLR(adam, 0.01, total_iters=100)
shown = pairs(plays)
for some in DataLoader(shown, 16, sampler=RandomSampler(
        shown, num_samples=600 * 16)):
    adam.zero_grad()
    sources, following = (part.to(device) for part in some)
    loss = F.cross_entropy(whole(sources).mT, following)
    loss.backward()
    adam.step()
    warm.step()

# %% [markdown] tags=["pytorch"]
# Measuring, and writing with temperature 0.5:

# %% tags=["pytorch", "nbval-ignore-output"]
with torch.inference_mode():
    unseen_pairs, losses_of = pairs(unseen)[::8], []
    for some in zip(*(part.split(64) for part in unseen_pairs)):
        sources, following = (part.to(device) for part in some)
        losses_of.append(F.cross_entropy(whole(sources).mT, following,
                                         reduction="none").flatten())
    whole_loss = torch.cat(losses_of).mean().item()
    written = [number[letter] for letter in "MACBETH.\n"]
    for _ in range(150):
        some = torch.tensor([written[-64:]], device=device)
        shares = (whole(some)[0, -1] / 0.5).softmax(0)
        written.append(torch.multinomial(shares, 1).item())
print(f"held out: {whole_loss:.2f} nats a character")
print("".join(letters[i] for i in written))

# %% [markdown] tags=["tensorflow"]
# With the imports of *Set-up*, our `softmax`, and two texts of your own in the place of the plays, one to train on and one held out, this is a program to start from.

# %% tags=["tensorflow"]
keras.utils.set_random_seed(0)
plays, unseen = data.shakespeare()
letters = sorted(set(plays))
number = {letter: i for i, letter in enumerate(letters)}


def pairs(text):  # windows of 64 characters, and what follows each
    tokens = np.fromiter((number[letter] for letter in text), "int32")
    end = (len(tokens) - 1) // 64 * 64
    return tokens[:end].reshape(-1, 64), tokens[1 : end + 1].reshape(-1, 64)

# %% [markdown] tags=["tensorflow"]
# A layer that looks up both rows, of the character and of its place.
# It multiplies with one-hot vectors, so that its gradient is no list of occurrences, and `fit` can train it:

# %% tags=["tensorflow"]
class LookUp(layers.Layer):
    """Adds a row for the letter and one for its place."""

    def build(self, shape):
        self.letters = self.add_weight((len(letters), 64), "random_normal")
        self.places = self.add_weight((64, 64), "random_normal")

    def call(self, tokens):
        rows = ops.one_hot(tokens, len(letters)) @ self.letters
        return rows + self.places[: ops.shape(tokens)[1]]


tokens = keras.Input((None,), dtype="int64")
x = LookUp()(tokens)
for _ in range(2):
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    x = x + layers.MultiHeadAttention(4, 16)(y, y, use_causal_mask=True)
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    y = layers.Dense(256, activation="gelu")(y)
    x = x + layers.Dense(64)(y)
x = layers.LayerNormalization(epsilon=1e-5)(x)
whole = keras.Model(tokens, layers.Dense(len(letters))(x))

# %% [markdown] tags=["tensorflow"]
# Training and measuring.
# The schedule is Keras' cosine with a warm-up, and so long that nothing is left of the cosine:

# %% tags=["tensorflow", "nbval-ignore-output"]
warm = keras.optimizers.schedules.CosineDecay(
    0.0, 10**9, warmup_target=0.004, warmup_steps=100)
whole.compile(
    optimizer=keras.optimizers.Adam(warm, beta_2=0.99),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
shown, following = pairs(plays)
some = np.random.default_rng(0).permutation(len(shown))[: 600 * 16]
whole.fit(shown[some], following[some], batch_size=16, verbose=0)
whole_loss = whole.evaluate(*(part[::8] for part in pairs(unseen)), verbose=0)
print(f"held out: {whole_loss:.2f} nats a character")

# %% [markdown] tags=["tensorflow"]
# And writing, with temperature 0.5:

# %% tags=["tensorflow", "nbval-ignore-output"]
dice = np.random.default_rng(1)
written = [number[letter] for letter in "MACBETH.\n"]
for _ in range(150):
    logits = np.array(whole(np.array([written[-64:]])))[0, -1]
    shares = softmax(logits.astype("float64") / 0.5)
    written.append(int(dice.choice(len(shares), p=shares)))
print("".join(letters[i] for i in written))

# %% [markdown]
# After 600 steps instead of 800, about as good as the lesson's own network with the lesson's values.
# Does it pass the test for the future, too?

# %% tags=["folded"]
print("the past knows the future:", knows_the_future(whole))
assert not knows_the_future(whole)
assert whole_loss < baselines["bigrams"] or altered

# %% [markdown]
# ## Exercises
#
# Now you.
# A check hands arrays to your answer and looks at the arrays that come back, so both notebooks ask the same.

# %% tags=["pytorch", "classroom"]
import math

from tandem.exercises import attempt, difference, reference
from tandem.pytorch import answers_and_gradients, on_arrays


class Rows(nn.Module):
    """A block, with its answers at all positions one below the other."""
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(x).flatten(0, 1)

# %% tags=["tensorflow", "classroom"]
import math

from tandem.exercises import attempt, difference, reference
from tandem.tensorflow import answers_and_gradients, on_arrays


class Rows(layers.Layer):
    """A block, with its answers at all positions one below the other."""
    def __init__(self, block):
        super().__init__()
        self.block = block

    def call(self, x):
        return ops.reshape(self.block(x), (-1, x.shape[-1]))

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write a block of a GPT with your own hands: without our `Block` and `attend_to_past`, and without looking back at the bare network or the whole program.
#
# `OwnBlock(width, heads)` turns `x` of shape (batch, time, width) into an array of the same shape, whatever the batch and the time.
# It is the block of this lesson: pre-norm, causal attention with several heads, a feed-forward part four times as wide with the exact GELU, two residual connections, and an $\epsilon$ of 1e-5.
# Attend with the framework's layer, with the function below it, or by hand.
#
# Make its layers **in this order**, in which the check fills in its own weights: LayerNorm; query, key, value and output; LayerNorm; the two dense layers, all with biases.
# (A framework's attention layer stands for its four. Three layers packed into one cannot be filled in.)

# %% [markdown] tags=["hint"]
# Two lines are the frame: `x = x + attention(norm(x))`, then `x = x + feed_forward(norm(x))`, each with its own norm.
# The second starts from what the first has made.

# %% [markdown] tags=["pytorch", "hint"]
# For `F.scaled_dot_product_attention`: `unflatten(-1, (heads, -1))` cuts the width into heads, `transpose(1, 2)` puts them before the time.
# Afterwards the other way round: `transpose(1, 2)`, `flatten(2)`.
# For `nn.MultiheadAttention`: `batch_first=True`, and `True` means blocked.

# %% [markdown] tags=["tensorflow", "hint"]
# `layers.MultiHeadAttention` takes the size of *one* head, and `use_causal_mask=True` when it is called.
# Two defaults make another network: the epsilon of `LayerNormalization`, and the form of `ops.gelu`.

# %% tags=["pytorch", "solution"]
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        ### BEGIN SOLUTION
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.dense = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        normed, (*three, output) = self.attention_norm(x), self.dense
        each = (layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                for layer in three)  # query, key, value
        mixed = F.scaled_dot_product_attention(*each, is_causal=True)
        x = x + output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(x)
        ### END SOLUTION

# %% tags=["tensorflow", "solution"]
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        ### BEGIN SOLUTION
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)
        ### END SOLUTION

    def call(self, x):
        ### BEGIN SOLUTION
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, use_causal_mask=True)
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)
        ### END SOLUTION

# %% [markdown]
# The check is the twin proof in small.
# It fills its weights into your block and into one in NumPy, and compares answers and gradients: who passes it in both notebooks has written one block twice.
# First the parts, each also with the slips that are made in it:

# %% tags=["classroom", "folded"]
def norm_by_hand(x, arrays, epsilon=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    normed = centred / np.sqrt(variance + epsilon)
    return normed * arrays["gamma"] + arrays["beta"]


def gelu_by_hand(x, slip=""):
    if slip == "relu":
        return np.maximum(x, 0)
    if slip == "tanh":
        inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        return x / 2 * (1 + np.tanh(inner))
    return x / 2 * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))


def shares_by_hand(scores, axis=-1):
    tall = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return tall / tall.sum(axis=axis, keepdims=True)

# %% [markdown]
# The attention, of `query`, `key` and `value` in the order (batch, heads, time, size):

# %% tags=["classroom", "folded"]
def past_by_hand(query, key, value, slip=""):
    size = query.shape[-1]
    if slip == "unscaled":
        size = 1
    if slip == "width":
        size *= query.shape[1]
    scores = query @ key.swapaxes(-1, -2) / np.sqrt(size)
    past = np.tril(np.ones(scores.shape[-2:], bool))
    if slip == "all":
        past = np.ones_like(past)
    if slip == "future":
        past = ~past
        past[-1] = True  # where nobody is left
    if slip == "after":
        return shares_by_hand(scores) * past @ value
    axis = -2 if slip == "queries" else -1
    return shares_by_hand(np.where(past, scores, -np.inf), axis) @ value

# %% [markdown]
# With the layers around it:

# %% tags=["classroom", "folded"]
def dense_by_hand(arrays, inputs):
    return inputs @ arrays["kernel"] + arrays["bias"]


def heads_by_hand(arrays, x, count, slip=""):
    """Causal attention with `count` heads, or what a slip makes of it."""
    as_they_are, exchanged = (0, 1, 2, 3), (0, 2, 1, 3)
    there = (as_they_are if slip in ("between", "cut", "uncut")
             else exchanged)
    back = (as_they_are if slip in ("between", "uncut", "back")
            else exchanged)
    cut = [*x.shape[:2], 1 if slip == "one head" else count, -1]
    if slip in ("cut", "uncut"):
        cut[1:3] = cut[2], cut[1]
    each = (dense_by_hand(arrays[part], x).reshape(cut).transpose(there)
            for part in ("query", "key", "value"))
    mixed = past_by_hand(*each, slip).transpose(back)
    return dense_by_hand(arrays["output"], mixed.reshape(x.shape))

# %% [markdown]
# And the block:

# %% tags=["classroom", "folded"]
def block_by_hand(arrays, x, count, slip=""):
    epsilon = {"1e-3": 1e-3, "1e-6": 1e-6}.get(slip, 1e-5)
    first, second = (partial(norm_by_hand, arrays=arrays[name],
                             epsilon=epsilon)
                     for name in ("first norm", "second norm"))
    attend = partial(heads_by_hand, arrays, count=count, slip=slip)

    def think(inputs):
        hidden = gelu_by_hand(dense_by_hand(arrays["expand"], inputs), slip)
        return dense_by_hand(arrays["contract"], hidden)

    if slip == "post":
        middle = first(x + attend(x))
        return second(middle + think(middle))
    normed = first(x)
    bridge = normed if slip in ("normed", "first normed") else x
    middle = attend(normed) + (slip != "no bridge") * bridge
    normed = second(x if slip == "old x" else middle)
    bridge = normed if slip == "normed" else middle
    return think(normed) + (slip != "no second bridge") * bridge

# %% [markdown]
# What the check says to each slip, and weights for a small block:

# %% tags=["classroom", "folded"]
CUT = "first cut into (batch, time, heads, size), then exchange the axes"
NORMED = "a part is added to the normed x; keep x itself for the bridge"
SLIPS = {
    "all": "no mask: position 0 sees the answer",
    "future": "the mask is the wrong way round: what does `True` mean here?",
    "after": "masked after softmax, the shares do not add up to one",
    "queries": "softmax runs over those who look; each row of shares is one",
    "between": "the heads attend to each other; the order of the axes?",
    "cut": CUT,
    "uncut": CUT,
    "back": "exchange heads and time again before the heads are joined",
    "one head": "all heads are one; cut the width into heads first",
    "unscaled": "the scores are not divided by the root of a head's size",
    "width": "divided by the root of the width; a head's size is meant",
    "post": "the norm comes after the part; pre-norm has it before",
    "old x": "the second part reads the x from before the attention",
    "no bridge": "attention replaces x; it is to be added to it",
    "no second bridge": "the feed-forward part replaces x; add it to x",
    "normed": NORMED,
    "first normed": NORMED,
    "1e-3": "the norm's epsilon is 1e-3",
    "1e-6": "the norm's epsilon is 1e-6",
    "tanh": "that is the GELU through tanh; the exact one is wanted",
    "relu": "that is a ReLU; the exact GELU is wanted",
}

# %% [markdown]
# Biases and factors are drawn too, so that none is missed:

# %% tags=["classroom", "folded"]
def block_arrays(wide, seed):
    """Weights of a block, those of a norm and biases drawn as well."""
    rng = weights.generator(seed)
    start = {"first norm": weights.layer_norm(wide)}
    for part in ("query", "key", "value", "output"):
        start[part] = weights.dense(rng, wide, wide)
    start["second norm"] = weights.layer_norm(wide)
    start["expand"] = weights.dense(rng, wide, 4 * wide)
    start["contract"] = weights.dense(rng, 4 * wide, wide)
    for arrays in start.values():
        for kind in arrays.keys() - {"kernel"}:
            drawn = 0.3 * rng.normal(size=arrays[kind].shape)
            arrays[kind] = (arrays[kind] + drawn).astype("float32")
    return start

# %% [markdown]
# Where answers part it tries the slips, at the positions between the first and the last:

# %% tags=["classroom", "folded"]
def reason_for(rows, arrays, x, count):
    for slip, sentence in SLIPS.items():
        expected = block_by_hand(arrays, x, count, slip)[:, 1:-1]
        if np.allclose(rows.reshape(x.shape)[:, 1:-1], expected, atol=2e-6):
            return sentence
    return "look at the order of the layers, and at each part by itself"


def shape_of(block, x):
    """The shape of a block's answer, or the name of the error it ends in."""
    try:
        return np.shape(on_arrays(block, x))
    except Exception as error:
        return type(error).__name__


def answers_of(block, arrays, x, aims):
    try:
        return answers_and_gradients(Rows(block), arrays, x, aims)
    except AssertionError as error:
        order = "Or are the layers made in another order than asked for?"
        raise AssertionError(f"{error} {order}") from None

# %% [markdown]
# And now yours, with two heads and five positions:

# %% tags=["check"]
rng = np.random.default_rng(8)
some = (0.1 * rng.normal(size=(2, 5, 6))).astype("float32")
aims = rng.integers(0, 6, 10)
drawn = block_arrays(6, 1)
shape = np.shape(on_arrays(OwnBlock(6, 2), some))
assert shape == some.shape, (
    f"x has shape {some.shape}, your answer {shape}: keep the shape")
longer = np.zeros((3, 7, 6), "float32")
shape = shape_of(OwnBlock(6, 2), longer)
assert shape == longer.shape, (
    f"three texts of seven positions end in {shape}, not in "
    f"{longer.shape}: is a batch or a time written down as a number?")
wanted = reference(lambda arrays, x: block_by_hand(
    arrays, x, 2).reshape(-1, 6), drawn, some, aims)
given = answers_of(OwnBlock(6, 2), drawn, some, aims)
assert not np.isnan(given[0]).any(), (
    "some answers are not a number: is anybody left to attend to?")
problem = difference(given, wanted)
if problem.startswith("from the same"):
    problem += f": {reason_for(given[0], drawn, some, 2)}"
assert not problem, problem

# %% tags=["hidden"]
rng = np.random.default_rng(9)
longer = rng.normal(size=(1, 7, 8)).astype("float32")
aims, drawn = rng.integers(0, 8, 7), block_arrays(8, 2)
wanted = block_by_hand(drawn, longer, 4).reshape(-1, 8)
given, _ = answers_and_gradients(Rows(OwnBlock(8, 4)), drawn, longer, aims)
assert np.allclose(given, wanted, atol=1e-5), (
    "four heads, seven positions, one text: other answers than ours")
alone, _ = answers_and_gradients(
    Rows(OwnBlock(8, 4)), drawn, longer[:, :1], aims[:1])
assert np.allclose(alone, wanted[:1], atol=1e-5), (
    "the first position, alone, gets another answer than in the text")
changed = longer.copy()
changed[:, -1] = -changed[:, -1]
for part in ("query", "key"):
    drawn[part]["kernel"] = 20 * drawn[part]["kernel"]
before, after = (answers_and_gradients(
    Rows(OwnBlock(8, 4)), drawn, x, aims)[0] for x in (longer, changed))
assert np.isfinite(before).all(), "scores of hundreds: no numbers come out"
assert np.abs(before - after)[:-1].max() < 1e-5, (
    "with scores of hundreds the past sees the last position: what is "
    "blocked has to stay blocked, whatever the scores")

# %% tags=["pytorch", "wrong"] mistake="puts the norm behind each part"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        mixed = self.output(mixed.transpose(1, 2).flatten(2))
        x = self.attention_norm(x + mixed)
        return self.feed_forward_norm(x + self.feed_forward(x))

# %% tags=["tensorflow", "wrong"] mistake="puts the norm behind each part"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        mixed = self.attention(x, x, use_causal_mask=True)
        x = self.attention_norm(x + mixed)
        hidden = self.contract(self.expand(x))
        return self.feed_forward_norm(x + hidden)

# %% tags=["pytorch", "wrong"] mistake="lets the second part read the old x"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        mixed = self.output(mixed.transpose(1, 2).flatten(2))
        return x + mixed + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="lets the second part read the old x"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        mixed = self.attention(normed, normed, use_causal_mask=True)
        hidden = self.expand(self.feed_forward_norm(x))
        return x + mixed + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="keeps the mask the wrong way round"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(
            width, heads, batch_first=True
        )
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        past = torch.ones(x.shape[1], x.shape[1]).bool().tril()
        mixed, _ = self.attention(normed, normed, normed, attn_mask=past,
                                  need_weights=False)
        x = x + mixed
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="keeps the mask the wrong way round"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        time = x.shape[1]
        past = np.tril(np.ones((1, time, time), bool))
        x = x + self.attention(normed, normed, attention_mask=~past)
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="takes softmax over the queries"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        past = torch.ones_like(scores).bool().tril()
        scores = scores.masked_fill(~past, float("-inf"))
        mixed = scores.softmax(dim=-2) @ value
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="takes softmax over the queries"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.heads, self.size = heads, width // heads
        self.query = layers.Dense(width)
        self.key = layers.Dense(width)
        self.value = layers.Dense(width)
        self.output_layer = layers.Dense(width)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        cut = (x.shape[0], x.shape[1], self.heads, self.size)
        query, key, value = (
            ops.reshape(layer(normed), cut)
            for layer in (self.query, self.key, self.value)
        )
        products = ops.einsum("bqhd,bkhd->bhqk", query, key)
        scores = products / self.size ** 0.5
        past = np.tril(np.ones((x.shape[1], x.shape[1]), bool))
        scores = ops.where(past, scores, float("-inf"))
        shares = ops.softmax(scores, axis=-2)
        mixed = ops.einsum("bhqk,bkhd->bqhd", shares, value)
        x = x + self.output_layer(ops.reshape(mixed, x.shape))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="masks after softmax"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        past = torch.ones_like(scores).bool().tril()
        mixed = scores.softmax(dim=-1) * past @ value
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="masks after softmax"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.heads, self.size = heads, width // heads
        self.query = layers.Dense(width)
        self.key = layers.Dense(width)
        self.value = layers.Dense(width)
        self.output_layer = layers.Dense(width)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        cut = (x.shape[0], x.shape[1], self.heads, self.size)
        query, key, value = (
            ops.reshape(layer(normed), cut)
            for layer in (self.query, self.key, self.value)
        )
        products = ops.einsum("bqhd,bkhd->bhqk", query, key)
        scores = products / self.size ** 0.5
        past = np.tril(np.ones((x.shape[1], x.shape[1]), bool))
        shares = ops.softmax(scores) * ops.cast(past, scores.dtype)
        mixed = ops.einsum("bhqk,bkhd->bqhd", shares, value)
        x = x + self.output_layer(ops.reshape(mixed, x.shape))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="takes the approximate GELU"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="takes the approximate GELU"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        self.expand = layers.Dense(4 * width)
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, use_causal_mask=True)
        hidden = ops.gelu(self.expand(self.feed_forward_norm(x)))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="lets the heads attend to each other"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1))
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="lets the heads attend to each other"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.heads, self.size = heads, width // heads
        self.query = layers.Dense(width)
        self.key = layers.Dense(width)
        self.value = layers.Dense(width)
        self.output_layer = layers.Dense(width)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        cut = (x.shape[0], x.shape[1], self.heads, self.size)
        query, key, value = (
            ops.reshape(layer(normed), cut)
            for layer in (self.query, self.key, self.value)
        )
        query, key, value = (
            ops.transpose(one, (0, 2, 1, 3)) for one in (query, key, value)
        )
        mixed = ops.dot_product_attention(query, key, value, is_causal=True)
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        x = x + self.output_layer(ops.reshape(mixed, x.shape))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="takes the other framework's epsilon"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, eps=1e-3)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=1e-3)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="takes the other framework's epsilon"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization()
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization()
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, use_causal_mask=True)
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="has no mask"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(query, key, value)
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="has no mask"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed)
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="blocks with -100 instead of minus infinity"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        past = torch.ones_like(scores).bool().tril()
        mixed = (scores - 100.0 * ~past).softmax(dim=-1) @ value
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="blocks with -100 instead of minus infinity"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.heads, self.size = heads, width // heads
        self.query = layers.Dense(width)
        self.key = layers.Dense(width)
        self.value = layers.Dense(width)
        self.output_layer = layers.Dense(width)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        cut = (x.shape[0], x.shape[1], self.heads, self.size)
        query, key, value = (
            ops.reshape(layer(normed), cut)
            for layer in (self.query, self.key, self.value)
        )
        products = ops.einsum("bqhd,bkhd->bhqk", query, key)
        scores = products / self.size ** 0.5
        past = np.tril(np.ones((x.shape[1], x.shape[1]), bool))
        shares = ops.softmax(scores - 100.0 * ~past)
        mixed = ops.einsum("bhqk,bkhd->bqhd", shares, value)
        x = x + self.output_layer(ops.reshape(mixed, x.shape))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="cuts the width across positions"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        batch, time, width = x.shape
        query, key, value = (
            layer(normed).reshape(batch, self.heads, time, -1)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="cuts the width across positions"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.heads, self.size = heads, width // heads
        self.query = layers.Dense(width)
        self.key = layers.Dense(width)
        self.value = layers.Dense(width)
        self.output_layer = layers.Dense(width)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        batch, time, width = x.shape
        query, key, value = (
            ops.reshape(layer(normed), (batch, self.heads, time, self.size))
            for layer in (self.query, self.key, self.value)
        )
        products = query @ ops.swapaxes(key, -1, -2)
        past = np.tril(np.ones((time, time), bool))
        scores = products / self.size ** 0.5
        scores = ops.where(past, scores, float("-inf"))
        mixed = ops.softmax(scores) @ value
        mixed = ops.transpose(mixed, (0, 2, 1, 3))
        x = x + self.output_layer(ops.reshape(mixed, x.shape))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="joins the heads without exchanging them back"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.reshape(x.shape))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="joins the heads without exchanging them back"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.heads, self.size = heads, width // heads
        self.query = layers.Dense(width)
        self.key = layers.Dense(width)
        self.value = layers.Dense(width)
        self.output_layer = layers.Dense(width)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        batch, time, width = x.shape
        query, key, value = (
            ops.transpose(ops.reshape(
                layer(normed), (batch, time, self.heads, self.size)
            ), (0, 2, 1, 3))
            for layer in (self.query, self.key, self.value)
        )
        products = query @ ops.swapaxes(key, -1, -2)
        past = np.tril(np.ones((time, time), bool))
        scores = products / self.size ** 0.5
        scores = ops.where(past, scores, float("-inf"))
        mixed = ops.softmax(scores) @ value
        x = x + self.output_layer(ops.reshape(mixed, x.shape))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="forgets the second bridge"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="forgets the second bridge"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, use_causal_mask=True)
        return self.contract(self.expand(self.feed_forward_norm(x)))

# %% tags=["pytorch", "wrong"] mistake="adds the parts to the normed x"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        x = normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        x = self.feed_forward_norm(x)
        return x + self.feed_forward(x)

# %% tags=["tensorflow", "wrong"] mistake="adds the parts to the normed x"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        x = self.attention_norm(x)
        x = x + self.attention(x, x, use_causal_mask=True)
        x = self.feed_forward_norm(x)
        return x + self.contract(self.expand(x))

# %% tags=["pytorch", "wrong"] mistake="writes a mask for five positions"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        past = torch.ones(5, 5).bool().tril()
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=past
        )
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="writes a mask for five positions"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        past = np.tril(np.ones((1, 5, 5), bool))
        x = x + self.attention(normed, normed, attention_mask=past)
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% tags=["pytorch", "wrong"] mistake="makes both norms first"
class OwnBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x):
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).flatten(2))
        return x + self.feed_forward(self.feed_forward_norm(x))

# %% tags=["tensorflow", "wrong"] mistake="makes both norms first"
class OwnBlock(layers.Layer):
    def __init__(self, width, heads):
        super().__init__()
        self.attention_norm = layers.LayerNormalization(epsilon=1e-5)
        self.feed_forward_norm = layers.LayerNormalization(epsilon=1e-5)
        self.attention = layers.MultiHeadAttention(heads, width // heads)
        # as an activation, "gelu" is the exact form
        self.expand = layers.Dense(4 * width, "gelu")
        self.contract = layers.Dense(width)

    def call(self, x):
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed, use_causal_mask=True)
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% [markdown] tags=["exercise"] exercise="cache" points=3
# ### Exercise 2: one more character
#
# The key-value cache of one block, without a framework.
#
# `attend_next(keys, values, filled, query, key, value)` takes one step of writing.
# `keys` and `values`, of shape (heads, room, size), are the cache: the first `filled` slots of its time axis hold what was read, the others whatever memory held before: any number, or `nan`.
# `query`, `key` and `value`, of shape (heads, size), belong to the new character.
# Write its key and value into the next slot, **in the arrays that you were given**, and return what the new position gets by attention: shape (heads, size).
# The caller counts `filled`; there is always room for one more.

# %% [markdown] tags=["hint"]
# The new character may look at itself: it sees `filled + 1` slots.
# A slice ends there; no mask is needed.

# %% [markdown] tags=["hint"]
# `keys[:, : filled + 1] @ query[..., None]` are the products of all heads, of shape (heads, filled + 1, 1).
# What does softmax run over, and by what are the products divided?

# %% tags=["pytorch", "solution"]
def attend_next(keys, values, filled, query, key, value):
    ### BEGIN SOLUTION
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def attend_next(keys, values, filled, query, key, value):
    ### BEGIN SOLUTION
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)
    ### END SOLUTION

# %% [markdown]
# The check reads a text character by character through your function, and all at once through the causal attention of exercise 1's check.
# The cache starts full of nines, the second time full of `nan`:

# %% tags=["classroom", "folded"]
def read_on(function, three, room, rest=9.0):
    """What function gives at each position, and the cache at the end."""
    count, time, size = three[0].shape
    cache = [np.full((count, room, size), rest) for _ in range(2)]
    results = []
    for position in range(time):
        query, key, value = (part[:, position].copy() for part in three)
        try:
            results.append(function(*cache, position, query, key, value))
        except ValueError as error:
            assert position or "zero-size" not in str(error), (
                "the first character has nobody to attend to: it sees its "
                "own slot, too")
            raise
        assert np.shape(results[-1]) == (count, size), (
            f"{count} heads of size {size} get an array of shape "
            f"{(count, size)}, not {np.shape(results[-1])}")
    return np.stack(results, axis=1), cache

# %% [markdown]
# Where a result parts it looks for the reason:

# %% tags=["classroom", "folded"]
def slots_reason(slots, part, name):
    """What is wrong with a cache that began full of nines, or ""."""
    time, room = part.shape[1], slots.shape[1]
    if np.all(slots == 9):
        return f"no {name} has arrived in the array that you were given"
    untouched = [n for n in range(time) if np.all(slots[:, n] == 9)]
    if untouched:
        return (f"after {time} characters slot {untouched[0]} is untouched: "
                "each character has its own slot")
    wrong = [n for n in range(time) if not np.all(slots[:, n] == part[:, n])]
    if wrong:
        return f"slot {wrong[0]} does not hold the {name} of its character"
    spilt = [n for n in range(time, room) if not np.all(slots[:, n] == 9)]
    return f"a {name} was written into slot {spilt[0]}" if spilt else ""

# %% [markdown]
# Of the slots, and of what comes out:

# %% tags=["classroom", "folded"]
def result_reason(given, three):
    """The slip behind these results, as far as it can be told."""
    for slip, done in (("unscaled", "the products are not divided"),
                       ("width", "you divide by the root of the width")):
        made = past_by_hand(*three[:, None], slip)[0]
        if np.allclose(given, made):
            return f"{done}; the root of a head's size is wanted"
    if not np.allclose(given[:, 0], three[2][:, 0]):
        return ("the first character sees only itself, so its own value is "
                "wanted, in each head")
    if np.allclose(given[:, 1], three[2][:, 0]):
        return "the second character does not see itself"
    return "which slots does it see, and over which does softmax run?"

# %% [markdown]
# And now yours, with two heads of three numbers, and room for eight:

# %% tags=["check"]
three = np.random.default_rng(4).normal(0, 1.5, (3, 2, 6, 3))
given, cache = read_on(attend_next, three, 8)
for name, slots, part in zip(("key", "value"), cache, three[1:]):
    problem = slots_reason(slots, part, name)
    assert not problem, problem
wanted = past_by_hand(*three)
apart_by = np.abs(given - wanted).max((0, 2))
off = np.flatnonzero(~(apart_by < 1e-9))
assert not len(off), (
    f"position {off[0]} parts by {apart_by[off[0]]:.2g} from attention "
    f"over the whole text: {result_reason(given, three)}")
empty, _ = read_on(attend_next, three, 8, np.nan)
assert np.allclose(empty, wanted), (
    "slots that no character has filled hold nan, and it reaches your "
    "result: a share of 0 times nan is nan, so leave these slots out")

# %% tags=["hidden"]
for rest in (0.0, -50.0, np.nan):
    given, _ = read_on(attend_next, three, 7, rest)
    assert np.allclose(given, wanted), (
        f"slots that are not yet filled hold {rest}, and that shows")
one = np.random.default_rng(5).normal(size=(3, 1, 4, 5)) * 60
given, _ = read_on(attend_next, one, 4)
assert np.allclose(given, past_by_hand(*one)), (
    "one head, long vectors, a cache that gets full: another result")

# %% tags=["pytorch", "wrong"] mistake="overwrites slot 0"
def attend_next(keys, values, filled, query, key, value):
    keys[:, 0], values[:, 0] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="overwrites slot 0"
def attend_next(keys, values, filled, query, key, value):
    keys[:, 0], values[:, 0] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["pytorch", "wrong"] mistake="attends to slots that are not filled"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(None)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="attends to slots that are not filled"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(None)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["pytorch", "wrong"] mistake="does not see itself"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, max(filled, 1))
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="does not see itself"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, max(filled, 1))
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["pytorch", "wrong"] mistake="does not divide"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="does not divide"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["pytorch", "wrong"] mistake="writes into copies"
def attend_next(keys, values, filled, query, key, value):
    keys, values = keys.copy(), values.copy()
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="writes into copies"
def attend_next(keys, values, filled, query, key, value):
    keys, values = keys.copy(), values.copy()
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["pytorch", "wrong"] mistake="takes softmax over the heads"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=0))
    shares = shares / shares.sum(axis=0)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="takes softmax over the heads"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=0))
    shares = shares / shares.sum(axis=0)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["pytorch", "wrong"] mistake="multiplies what is not filled by zero"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = (np.arange(keys.shape[1]) <= filled)[:, None]
    scores = keys @ query[..., None] / np.sqrt(query.shape[-1])
    scores = np.where(seen, scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="multiplies what is not filled by zero"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = (np.arange(keys.shape[1]) <= filled)[:, None]
    scores = keys @ query[..., None] / np.sqrt(query.shape[-1])
    scores = np.where(seen, scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values).sum(axis=1)


# %% tags=["pytorch", "wrong"] mistake="takes softmax without the largest"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores)
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)


# %% tags=["tensorflow", "wrong"] mistake="takes softmax without the largest"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled + 1)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores)
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)

# %% tags=["pytorch", "wrong"] mistake="sees what was filled before, and no more"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)

# %% tags=["tensorflow", "wrong"] mistake="sees what was filled before, and no more"
def attend_next(keys, values, filled, query, key, value):
    keys[:, filled], values[:, filled] = key, value
    seen = slice(0, filled)
    scores = keys[:, seen] @ query[..., None] / np.sqrt(query.shape[-1])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return (shares * values[:, seen]).sum(axis=1)

# %% [markdown] tags=["exercise"] exercise="who-sees-whom" points=3
# ### Exercise 3: who sees whom
#
# `knows_the_future` changes the last character and nothing else.
# A network in which only the first few characters see each other passes it, and cheats all the same.
# A complete test changes every character.
#
# `sees(read, tokens)`: `read` takes tokens, an array of whole numbers of shape (time,), and gives the logits (time, characters).
# Return an array of booleans (time, time), like the masks of this lesson: row $i$, column $j$ is `True` if the logits at position $i$ change, somewhere by more than 1e-5, when the token at position $j$ alone is exchanged for another.
# The tokens themselves stay as they are.
#
# The check asks the shipped network, with more than one kind of mask.

# %% [markdown] tags=["hint"]
# One reading of the text as it is, and one for each position, from a fresh copy.
# Each fills a *column*.

# %% [markdown] tags=["hint"]
# *Another* token: not this or that one, which may be what stands there already; and one that exists.
# `plain.shape[1]` is how many there are.

# %% tags=["pytorch", "solution"]
def sees(read, tokens):
    ### BEGIN SOLUTION
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def sees(read, tokens):
    ### BEGIN SOLUTION
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen
    ### END SOLUTION

# %% [markdown]
# The shipped network once more, which reads with whatever mask it is given, `True` where one may attend:

# %% tags=["pytorch", "classroom", "folded"]
shipped = build_gpt(data.shakespeare_gpt(), heads=3)


def reading_with(may_attend_here):
    def attend(query, key, value):
        there = torch.as_tensor(may_attend_here, device=device)
        return F.scaled_dot_product_attention(query, key, value,
                                              attn_mask=there)

    @torch.inference_mode()
    def read(tokens):
        assert np.min(tokens) >= 0 and np.max(tokens) < len(characters), (
            f"there is no token {np.max(tokens)}; the last is 77")
        text = torch.tensor(tokens, device=device)
        ways = [attend] * len(shipped.blocks)
        return shipped(text[None], ways)[0].numpy(force=True)

    return read

# %% tags=["tensorflow", "classroom", "folded"]
shipped = build_gpt(data.shakespeare_gpt(), heads=3)


def reading_with(may_attend_here):
    def attend(query, key, value):
        there = may_attend_here[None, None]
        return ops.dot_product_attention(query, key, value, mask=there)

    def read(tokens):
        assert np.min(tokens) >= 0 and np.max(tokens) < len(characters), (
            f"there is no token {np.max(tokens)}; the last is 77")
        text = tf.constant(tokens)
        ways = [attend] * len(shipped.blocks)
        return shipped(text[None], attends=ways)[0].numpy()

    return read

# %% [markdown]
# What is said where a network and its mask do not agree:

# %% tags=["classroom", "folded"]
def seen_reason(seen, wanted):
    """Where, and why, these are not the ones wanted; "" where they are."""
    kind = getattr(seen, "dtype", None)
    if np.shape(seen) != wanted.shape or kind != bool:
        return (f"booleans of shape {wanted.shape} are wanted, not {kind} "
                f"of shape {np.shape(seen)}")
    if np.array_equal(seen, wanted):
        return ""
    if np.array_equal(seen, wanted.T):
        return "rows and columns are exchanged: a row is who looks"
    if np.array_equal(seen[:, -1], wanted[:, -1]) and not seen[:, :-1].any():
        return "only the last token was exchanged; each is to be, in turn"
    row, column = np.argwhere(seen != wanted)[0]
    if not seen.diagonal().all():
        row = column = np.flatnonzero(~seen.diagonal())[0]
    off = (f"is token {column} exchanged for another, and are all logits of "
           "each row compared?" if wanted[row, column] else
           "do all other tokens stay as they are, and is the limit 1e-5?")
    return (f"position {row} does {'' if wanted[row, column] else 'not '}"
            f"see token {column}, and you say otherwise: {off}")

# %% [markdown]
# And now yours: with the causal mask, and with one in which the first five see each other.

# %% tags=["check"]
verse_part = encode("Zed, zed!")
causal = np.tri(len(verse_part), dtype=bool)
prefix = causal.copy()
prefix[:5, :5] = True
for name, wanted in (("causal", causal), ("first five", prefix)):
    given = sees(reading_with(wanted), verse_part)
    assert np.array_equal(verse_part, encode("Zed, zed!")), (
        "the tokens have been changed: exchange them in a copy")
    problem = seen_reason(given, wanted)
    assert not problem, f"with the mask '{name}': {problem}"

# %% tags=["hidden"]
# Each block looks one character back; four of them, one after the other, four.
oath = encode("Zounds,\n")
back = np.subtract.outer(np.arange(8), np.arange(8))
wanted = (back >= 0) & (back <= 4)
problem = seen_reason(sees(reading_with((back >= 0) & (back <= 1)), oath), wanted)
assert not problem, f"with a mask of two characters: {problem}"
alone = sees(reading_with(np.ones((1, 1), bool)), encode("Z"))
assert np.array_equal(alone, [[True]]), "a text of one character sees itself"
last = np.array([len(characters) - 1, 0], "int64")
problem = seen_reason(sees(reading_with(np.ones((2, 2), bool)), last),
                      np.ones((2, 2), bool))
assert not problem, f"the last token and the first: {problem}"

# %% tags=["pytorch", "wrong"] mistake="changes the last character only"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in [len(tokens) - 1]:
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="changes the last character only"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in [len(tokens) - 1]:
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="exchanges rows and columns"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="exchanges rows and columns"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="leaves earlier exchanges in"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    changed = tokens.copy()
    for place in range(len(tokens)):
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="leaves earlier exchanges in"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    changed = tokens.copy()
    for place in range(len(tokens)):
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="writes into the tokens"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="writes into the tokens"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="puts a Z in the place of each"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = index_of["Z"]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="puts a Z in the place of each"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = index_of["Z"]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="puts a line break in the place of each"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = 0
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="puts a line break in the place of each"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = 0
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="takes a token that does not exist"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1)
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="takes a token that does not exist"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1)
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="looks at the most likely character only"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = read(changed).argmax(1) != plain.argmax(1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["tensorflow", "wrong"] mistake="looks at the most likely character only"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)), dtype=bool)
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = read(changed).argmax(1) != plain.argmax(1)
        seen[:, place] = apart > 1e-5
    return seen


# %% tags=["pytorch", "wrong"] mistake="returns the differences"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)))
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart
    return seen


# %% tags=["tensorflow", "wrong"] mistake="returns the differences"
def sees(read, tokens):
    plain = read(tokens)
    seen = np.zeros((len(tokens), len(tokens)))
    for place in range(len(tokens)):
        changed = tokens.copy()
        changed[place] = (tokens[place] + 1) % plain.shape[1]
        apart = np.abs(read(changed) - plain).max(axis=1)
        seen[:, place] = apart
    return seen

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - Attention is an average of values, weighted by softmax of query times key; $\sqrt d$ keeps softmax soft; heads make several averages.
# - A causal mask hides the answer.
#   A loss that is too good is a bug, and a changed last character finds a missing mask.
# - By hand, as a layer and as a function attention gives the same numbers, once you know what `True` means.
# - Attention and a feed-forward part, each with LayerNorm before it and a residual connection around it, make a block; two embeddings, a stack of blocks, a LayerNorm and a dense layer make a GPT, in either framework.
# - (Optional.) An embedding's gradient is a sum over occurrences; squared before it is summed, Adam takes other steps.
# - Temperature and top-k shape what is written; a cache of keys and values changes only the time.
# - (Optional.) In our runs the loss falls with text at every size, and a larger network pays where there is enough text for it.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. Set `heads = 1`, then `heads = 16`, and run to the end of "Training it".
#    What does the loss say?
# 2. Write `+ 0 * self.position_embedding(positions)` in `forward` or `call`, run to the end of "Training it", and undo it before you go on: the shipped network needs its positions.
#    How much does the network lose?
#    (A causal mask betrays something of the order: how?)
# 3. In `attention_by_hand`, multiply the shares by the mask *after* softmax, instead of using $-\infty$ before it.
#    Print `shares.sum(axis=-1)`: do rows still add up to one?
#    Change `x[-1]`: does the result at position 0 change?
# 4. Let the shipped network write with `temperature=0` for 200 characters, from a beginning of your own of at most 50 (there is room for 256 in all).
#    Where does it begin to repeat itself?
# 5. Move the LayerNorms behind each part ("post-norm", $x \leftarrow \operatorname{norm}(x + \operatorname{part}(x))$), in both twins, run to the end of "Training it", and undo it.
#    Does it still train at this learning rate?
#
# ## Read on
#
# - Vaswani and others, *Attention Is All You Need* (2017): [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
# - Ba, Kiros and Hinton, *Layer Normalization* (2016): [arXiv:1607.06450](https://arxiv.org/abs/1607.06450); Hendrycks and Gimpel, *Gaussian Error Linear Units* (2016): [arXiv:1606.08415](https://arxiv.org/abs/1606.08415)
# - Kaplan and others, *Scaling Laws for Neural Language Models* (2020): [arXiv:2001.08361](https://arxiv.org/abs/2001.08361); Hoffmann and others, *Training Compute-Optimal Large Language Models* (2022): [arXiv:2203.15556](https://arxiv.org/abs/2203.15556)
# - Jain and Wallace, *Attention is not Explanation* (2019): [arXiv:1902.10186](https://arxiv.org/abs/1902.10186)

# %% [markdown] tags=["pytorch"]
# - PyTorch: [MultiheadAttention](https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html), [scaled_dot_product_attention](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html)

# %% [markdown] tags=["tensorflow"]
# - Keras: [MultiHeadAttention](https://keras.io/api/layers/attention_layers/multi_head_attention/); TensorFlow: [IndexedSlices](https://www.tensorflow.org/api_docs/python/tf/IndexedSlices)

# %% [markdown]
# This network writes letters.
# In the next lesson we take networks that others have trained, and look at what comes with them.
