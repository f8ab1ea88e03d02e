# ---
# minutes: {read: 80, run: 2, exercises: 40}
# seconds: 130
# memory_mb: 1300
# needs: []
# proof: training
# ---

# %% [markdown]
# # 15 · Text to image: a small DALL·E
#
# A transformer reads the name of an emoji and writes sixty-four tokens that a decoder turns into a picture; you measure what it can put together that nobody showed it.
#
# - **You will build** a network that turns a picture into 64 tokens and back (VQ-VAE, then FSQ), and the GPT of lesson 8 that writes such tokens after a caption.
# - **You will learn** how a gradient passes a rounding, why a codebook collapses and what cures it, what guidance and top-k do to a drawing, and how to tell what a text-to-image model puts together from what it only recalls.
# - **You need** lesson 8 (attention, GPT, sampling, cache) and lesson 10 (autoencoder); lessons 2, 4, 6, 11 and 14 lend a thing each.
#
# The core takes about a hundred minutes: 80 to read, and 20 for the first exercise.
# Sections marked *(optional)* are not counted, of them you only run the cells; the other three exercises, optional too, are counted in the line below.

# %% [markdown]
# Lesson 14 drew one of ten classes: its text was a number from 0 to 9.
# "A dark-skinned woman, a farmer, in the style of Twemoji" is no number; it is a sequence, and its parts can be put together in ways that no list of classes foresees.
# For sequences we have a network: the transformer of lesson 8, which continues a text.
# If a picture were a text too, it could write the picture after its caption.
#
# That was the idea of **DALL·E** (Ramesh and others, 2021): a caption and the tokens of a picture in one line, and a transformer that learns to continue such lines.
# Ours is small enough for a laptop.
# Claim **C14** of the article (lesson 2): *PyTorch reaches GPT and DALL·E through Hugging Face*.
# Lesson 8 tested its half about GPT, here it is the one about DALL·E.
#
# ## Set-up

# %% tags=["pytorch", "network"]
import time
from functools import partial
from itertools import islice
import re

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import FRAMEWORK_NAMES, data, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
# a GPU where there is one
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import time
from functools import partial
from itertools import islice
import re

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

from tandem import FRAMEWORK_NAMES, data, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
tokenizer_steps = 300  # 20 to 100000: of each tokenizer trained here
painter_steps = 100  # 1 to 100000: of the transformer trained here
batch_size = 32  # 1 to 1024: pictures a step
learning_rate = 2e-3  # above 0 to 1: of every network
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.99  # 0 to below 1: Adam's memory of their squares
# Adam's: Keras' default; PyTorch's is 1e-8
epsilon = 1e-7  # above 0 to 1
samples = 72  # 8 to 100: drawings of each kind that are measured
temperature = 0.7  # above 0 to 10: of drawing
top_k = 60  # 1 to 240: tokens that may be drawn at each place
guidance = 3.0  # 0 to 100: how much more the caption counts; 1: as it is
seed = 0  # 0 to 2**32 - 1: of weights, batches and draws

# %% [markdown]
# The sizes of the networks are constants further down: the trained weights that we load later fit these alone.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("15_text_to_image", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## Pictures that have names
#
# Emoji come with names, and in more than one style: Google draws *Noto*, Twitter drew *Twemoji*.
# The style becomes the first word of the caption, then the skin tone if there is one, then the name.
# Left out are country flags, keycaps and letters, whose names say nothing of what they look like, and 295 glyphs in two skin tones at once.

# %% tags=["network"]
STYLES = ("noto", "twemoji")
glyphs, table = data.emoji()
left_out = ["country-flag", "subdivision-flag", "alphanum", "keycap"]
two_tones = np.char.count(table["tone"], "+") > 0
kept = np.flatnonzero(~np.isin(table["subcategory"], left_out) & ~two_tones)
names, short_names, tones = (table[field][kept]
                             for field in ("name", "short_name", "tone"))


def caption_of(style, tone, name):
    skin = [f"{tone}-skin"] if tone else []
    return [style, *skin, *re.findall("[a-z]+", name.lower())]


# picture 2n is glyph n as Noto draws it, 2n + 1 as Twemoji does
pictures = np.stack([glyphs[style][kept] for style in STYLES], axis=1)
pictures = pictures.reshape(-1, 32, 32, 3)
captions = [caption_of(style, tone, name)
            for name, tone in zip(names, tones) for style in STYLES]

# %% [markdown]
# How many, and what do they look like?

# %%
def label(caption):
    """A caption for above a picture: a word a line."""
    return "\n".join(word.removesuffix("-skin") for word in caption[:5])


print(f"{len(pictures):,} pictures of {pictures.shape[1:]}")
some = np.random.default_rng(seed).choice(len(pictures), 10, replace=False)
plots.images(pictures[some] / 255, "Ten of them, captions cut at five words",
             [label(captions[number]) for number in some])
plots.describe("Ten emoji: " + "; ".join(" ".join(captions[number])
                                         for number in some))

# %% [markdown]
# ## What nobody is shown
#
# A network that only remembers its pictures could draw all of these.
# To see whether it has understood that *green* is a colour and *heart* a shape, it must draw a green heart without ever having seen one.
# So whole combinations are held out, of five kinds:
#
# - **style**: 100 glyphs are seen in one style and wanted in the other;
# - **tone**: of each glyph that comes in five skin tones, two are seen and three wanted;
# - **gender × job**: eight of the forty such as *man singer* are wanted; each job is still seen with the other gender and with none; of the scientist chance took both, so only with none;
# - **colour**: nine things in a colour that other things are seen in;
# - **hour**: four clock faces, such as *four oclock*, whose words are seen in *four thirty* and *five oclock*.
#
# No network of this lesson is trained on a held-out picture, the shipped ones neither: the script that trained them takes these very cells.

# %% tags=["network"]
HELD_OUT_COLOURS = ["green_heart", "orange_heart", "brown_heart", "green_book",
                    "orange_book", "large_blue_square", "large_orange_square",
                    "large_purple_circle", "large_yellow_circle"]
HELD_OUT_HOURS = ["clock4", "clock9", "clock730", "clock1130"]


def held_out_pictures():
    """{kind: picture numbers}"""
    def in_both_styles(glyph_numbers):
        return np.add.outer(2 * glyph_numbers, (0, 1)).ravel()

    rng, toned = np.random.default_rng(42), np.flatnonzero(tones != "")
    plain = rng.choice(np.flatnonzero(tones == ""), 100, replace=False)
    in_one_style = 2 * plain + np.arange(100) % 2
    most_tones = [rng.permutation(toned[short_names[toned] == name])[2:]
                  for name in dict.fromkeys(short_names[toned])]
    jobs = [name for name in np.unique(short_names)
            if name.startswith(("male-", "female-"))]
    chosen = {"gender × job": rng.choice(jobs, 8, replace=False),
              "colour": HELD_OUT_COLOURS, "hour": HELD_OUT_HOURS}
    by_name = {kind: in_both_styles(np.flatnonzero(np.isin(short_names, some)))
               for kind, some in chosen.items()}
    tone = in_both_styles(np.concatenate(most_tones))
    return {"style": in_one_style, "tone": tone} | by_name

# %% [markdown]
# All other pictures are for training.

# %% tags=["network"]
held_out = held_out_pictures()
is_held_out = np.isin(np.arange(len(pictures)),
                      np.concatenate(list(held_out.values())))
training = np.flatnonzero(~is_held_out)

# %% [markdown]
# How many of each, and is every word of a wanted caption known from training?
# (49 pictures are held out by two kinds, such as the tones of a held-out job, and count in the later one.)

# %%
kind_of = {number: kind for kind, numbers in held_out.items()
           for number in numbers}
print(f"{'training':14}{len(training):6,}")
known_words = {word for number in training for word in captions[number]}
for kind in held_out:
    numbers = [number for number in kind_of if kind_of[number] == kind]
    words = {word for number in numbers for word in captions[number]}
    print(f"{kind:14}{len(numbers):6,}   "
          f"words never seen: {len(words - known_words)}")

# %% [markdown]
# No word is new: what is new is how words are put together.
#
# ## Words as numbers
#
# Lesson 8 took characters for tokens; here a word is one.
# Every caption is cut (54 of 6,354 lose words) or filled up to eight tokens, so that all pictures begin at the same place of the line.
# Two tokens are no words: one fills up, and `<none>` stands for a word that is not told (or not known).

# %% tags=["network"]
CAPTION_LENGTH = 8
NOTHING = ["<end>", "<none>"]
vocabulary = NOTHING + sorted({word for words in captions for word in words})
index_of = {word: index for index, word in enumerate(vocabulary)}


def encode_caption(words):
    known = [index_of.get(word, 1) for word in words[:CAPTION_LENGTH]]
    return known + [0] * (CAPTION_LENGTH - len(known))


caption_tokens = np.array([encode_caption(words) for words in captions])


def scaled(some_pictures):  # from 0 … 255 to -1 … 1
    return some_pictures.astype("float32") / np.float32(127.5) - 1


def batches(seed):
    epochs = 100_000  # more than anybody takes
    for chosen in data.batch_order(len(training), batch_size, epochs, seed):
        some = training[chosen]
        yield scaled(pictures[some]), caption_tokens[some]

# %% [markdown]
# One caption, as the transformer will read it:

# %%
is_mermaid = np.char.startswith(short_names[training // 2], "mermaid")
example = training[is_mermaid][-1]
tokens = caption_tokens[example]
print(len(vocabulary), "tokens for words")
print(captions[example])
print(tokens.tolist())
print([vocabulary[token] for token in tokens])

# %% [markdown]
# ## A picture as sixty-four tokens
#
# A transformer could write pixels: 3,072 numbers a picture, 48 times the tokens that we shall need, and attention's work grows with the square of a line's length.
#
# Better to compress first.
# An autoencoder (lesson 10) squeezes the picture to 8 × 8 places; but a transformer that chooses among *tokens* needs, at each place, one of a finite number of **codes** and not a vector of any numbers (which lesson 10 called a code).
# So between encoder and decoder stands a **quantiser**, which replaces the vector at each place by one of 240 that stand in a list.
# Together the three are called a *tokenizer*.
#
# Encoder and decoder first.
# Two halvings (kernel 4, stride 2: lesson 11), two residual blocks (lesson 6), and the same way back:

# %% tags=["pytorch", "network"]
CHANNELS = 48
WIDE = 2 * CHANNELS


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.look = nn.Conv2d(WIDE, WIDE, 3, padding=1)
        self.mix = nn.Conv2d(WIDE, WIDE, 1)

    def forward(self, maps):
        return maps + self.mix(F.relu(self.look(F.relu(maps))))

# %% tags=["tensorflow", "network"]
CHANNELS = 48
WIDE = 2 * CHANNELS


def residual(maps, name):
    look = layers.Conv2D(WIDE, 3, padding="same", name=f"{name}_look")
    mix = layers.Conv2D(WIDE, 1, name=f"{name}_mix")
    return layers.add([maps, mix(ops.relu(look(ops.relu(maps))))])

# %% [markdown]
# `size` is how many numbers the quantiser wants at each place.

# %% tags=["pytorch", "network"]
def build_encoder(size):
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(CHANNELS, WIDE, 4, stride=2, padding=1),
        Residual(), Residual(), nn.ReLU(), nn.Conv2d(WIDE, size, 1),
    )


def build_decoder(size):
    double = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1)
    return nn.Sequential(
        nn.Conv2d(size, WIDE, 3, padding=1), Residual(), Residual(),
        nn.ReLU(), double(WIDE, CHANNELS), nn.ReLU(), double(CHANNELS, 3),
    )

# %% tags=["tensorflow", "network"]
def build_encoder(size):
    halve = partial(layers.Conv2D, kernel_size=4, strides=2, padding="same")
    inputs = keras.Input((32, 32, 3))
    maps = halve(CHANNELS, activation="relu", name="halve")(inputs)
    maps = halve(WIDE, name="halve_again")(maps)
    maps = ops.relu(residual(residual(maps, "inner_1"), "inner_2"))
    outputs = layers.Conv2D(size, 1, name="squeeze")(maps)
    return keras.Model(inputs, outputs, name="encoder")


def build_decoder(size):
    double = partial(layers.Conv2DTranspose, kernel_size=4, strides=2,
                     padding="same")
    inputs = keras.Input((8, 8, size))
    maps = layers.Conv2D(WIDE, 3, padding="same", name="unsqueeze")(inputs)
    maps = ops.relu(residual(residual(maps, "outer_1"), "outer_2"))
    maps = double(CHANNELS, activation="relu", name="double")(maps)
    outputs = double(3, name="double_again")(maps)
    return keras.Model(inputs, outputs, name="decoder")

# %% [markdown]
# ## Rounding has no gradient
#
# To replace a vector by the nearest one of a list is a kind of rounding, and rounding is a staircase: flat everywhere, except where it jumps.
# What does a gradient do on a staircase?
# Three numbers are rounded, and the loss is the sum of their squares:

# %% tags=["pytorch"]
three = torch.tensor([0.2, 0.6, 1.4], requires_grad=True)
loss = (three.round() ** 2).sum()
gradient, = torch.autograd.grad(loss, three)
print("rounded ", three.round().tolist())
print("gradient", gradient.tolist())

# %% tags=["tensorflow"]
three = tf.constant([0.2, 0.6, 1.4])
with tf.GradientTape() as tape:
    tape.watch(three)
    loss = ops.sum(tf.round(three) ** 2)
print("rounded ", tf.round(three).numpy().tolist())
print("gradient", tape.gradient(loss, three))

# %% [markdown] tags=["pytorch"]
# PyTorch's answer is right, and of no use: zero.
# Nothing before the rounding would ever learn, and nothing would complain.
# (TensorFlow answers `None`: no gradient at all, which is louder.)

# %% [markdown] tags=["tensorflow"]
# `None`: TensorFlow defines no gradient for `tf.round`.
# You see it here, where you ask for this gradient alone; in a network the weights behind the rounding would learn, and Keras' optimizer would only warn that those before it do not.
# (Our own step below stops with an error instead: it turns each gradient into a tensor, and `None` cannot be turned.)
# (PyTorch answers zeros, which is right, of no use, and silent.)

# %% [markdown]
# The way out is a lie that works: forwards round, backwards behave as if nothing had been rounded.
# This is the **straight-through** estimator (Bengio and others, 2013), and it is one line: to the value add (rounded − value), and hide that difference from the gradient.

# %% tags=["pytorch", "network"]
def straight_through(values, rounded):
    return values + (rounded - values).detach()

# %% tags=["tensorflow", "network"]
def straight_through(values, rounded):
    return values + tf.stop_gradient(rounded - values)

# %% [markdown]
# Asked again:

# %% tags=["pytorch"]
rounded = straight_through(three, three.round())
gradient, = torch.autograd.grad((rounded**2).sum(), three)
print("rounded ", rounded.tolist())
print("gradient", gradient.tolist())

# %% tags=["tensorflow"]
with tf.GradientTape() as tape:
    tape.watch(three)
    rounded = straight_through(three, tf.round(three))
    loss = ops.sum(rounded**2)
print("rounded ", rounded.numpy().tolist())
print("gradient", tape.gradient(loss, three).numpy().tolist())

# %% [markdown]
# Forwards 0, 1, 1; and the gradient is twice the *rounded* value, handed on to the number before it.
# The first gets no push, since its rounded value is already where the loss wants it.
#
# ## A list of codes, learnt: the VQ-VAE
#
# Which 240 vectors should the list hold?
# The **VQ-VAE** (van den Oord and others, 2017) learns them: a **codebook** of 240 vectors of 32 numbers, and each place takes the nearest.
# Two more terms in the loss bring codebook and encoder together.
# With $e$ the encoder's vector, $c$ the code that was chosen, and sg for "stop the gradient here":
#
# $$\text{loss} = \text{picture's} + \lVert \operatorname{sg}(e) - c\rVert^2 + \tfrac14 \lVert e - \operatorname{sg}(c)\rVert^2$$
#
# The first of them moves the code towards the vectors that chose it, the second, a quarter as strong, keeps the encoder from running away.
# (We take means over the numbers in place of sums.)

# %% tags=["pytorch", "network"]
CODES = 240


class VectorQuantiser(nn.Module):
    size = 32  # numbers at each place

    def __init__(self):
        super().__init__()
        self.codebook = nn.Embedding(CODES, self.size)

    def look_up(self, codes):
        return self.codebook(codes)

    def forward(self, latents):  # (batch, 8, 8, size)
        book = self.codebook.weight
        # |a - b|² = |a|² - 2ab + |b|²; |a|² is the same for all codes
        distances = (book**2).sum(1) - 2 * latents @ book.T
        codes = distances.argmin(-1)
        nearest = self.look_up(codes)
        loss = (F.mse_loss(nearest, latents.detach())
                + 0.25 * F.mse_loss(latents, nearest.detach()))
        return straight_through(latents, nearest), codes, loss

# %% tags=["tensorflow", "network"]
CODES, stop = 240, tf.stop_gradient


class VectorQuantiser(layers.Layer):
    size = 32  # numbers at each place

    def build(self, shape):
        self.codebook = layers.Embedding(CODES, self.size)
        self.codebook.build()

    def look_up(self, codes):
        return self.codebook(codes)

    def call(self, latents):  # (batch, 8, 8, size)
        book = ops.convert_to_tensor(self.codebook.embeddings)
        # |a - b|² = |a|² - 2ab + |b|²; |a|² is the same for all codes
        products = ops.matmul(latents, ops.transpose(book))
        distances = ops.sum(book**2, axis=1) - 2 * products
        codes = ops.argmin(distances, axis=-1)
        nearest = self.look_up(codes)
        loss = (ops.mean((nearest - stop(latents)) ** 2)
                + 0.25 * ops.mean((latents - stop(nearest)) ** 2))
        return straight_through(latents, nearest), codes, loss

# %% [markdown]
# Around it the tokenizer.
# It gives back the picture as it redraws it, the codes, and the quantiser's share of the loss.

# %% tags=["pytorch", "network"]
class Tokenizer(nn.Module):
    def __init__(self, quantiser):
        super().__init__()
        self.encoder = build_encoder(quantiser.size)
        self.quantiser = quantiser
        self.decoder = build_decoder(quantiser.size)

    def quantise(self, pictures):
        latents = self.encoder(pictures)  # (batch, size, 8, 8)
        return self.quantiser(latents.permute(0, 2, 3, 1))

    def draw(self, vectors):  # (batch, 8, 8, size)
        return self.decoder(vectors.permute(0, 3, 1, 2))

    def forward(self, pictures):
        vectors, codes, loss = self.quantise(pictures)
        return self.draw(vectors), codes, loss

# %% tags=["tensorflow", "network"]
class Tokenizer(keras.Model):
    def __init__(self, quantiser):
        super().__init__()
        self.encoder = build_encoder(quantiser.size)
        self.quantiser = quantiser
        self.decoder = build_decoder(quantiser.size)

    def quantise(self, pictures):
        return self.quantiser(self.encoder(pictures))

    def draw(self, vectors):  # (batch, 8, 8, size)
        return self.decoder(vectors)

    def call(self, pictures):
        vectors, codes, loss = self.quantise(pictures)
        return self.draw(vectors), codes, loss

# %% [markdown]
# Its starting weights, shared as always: convolutions as PyTorch starts them, without the biases (lesson 4), and the codebook from N(0, 1), which is how PyTorch starts any embedding.
# (The two transposed convolutions start narrower than PyTorch's, by $\sqrt2$ and by 4: it counts their fan-in from the outputs.)
# (The cell is folded. It draws two tokenizers; the second has no codebook, and its turn comes later.)

# %% tags=["network", "folded"]
def starting_tokenizer(rng, size, codebook):
    wide, convolution = 96, partial(weights.convolution, rng, scheme="lecun")

    def residual_block(name):
        return {f"{name}_look": convolution(3, wide, wide),
                f"{name}_mix": convolution(1, wide, wide)}

    encoder = {"halve": convolution(4, 3, 48),
               "halve_again": convolution(4, 48, wide),
               **residual_block("inner_1"), **residual_block("inner_2"),
               "squeeze": convolution(1, wide, size)}
    decoder = {"unsqueeze": convolution(3, size, wide),
               **residual_block("outer_1"), **residual_block("outer_2"),
               "double": convolution(4, wide, 48),
               "double_again": convolution(4, 48, 3)}
    book = {"codebook": weights.embedding(rng, 240, size, 1.0)}
    return encoder | (book if codebook else {}) | decoder


def starting_tokenizers(rng):
    return {"vector_tokenizer": starting_tokenizer(rng, 32, codebook=True),
            "scalar_tokenizer": starting_tokenizer(rng, 3, codebook=False)}

# %% [markdown]
# To build one, and its training step, whose loss asks for small squares and small absolute differences.
# Squares alone ask for the mean of all that is possible, which blurs (lesson 10); absolute differences ask for the median, which keeps an edge where more than half of the possibilities have it.

# %% tags=["pytorch", "network"]
def build_tokenizer(starting, quantiser):
    tokenizer = load_weights(Tokenizer(quantiser), starting)
    return tokenizer.to(device, memory_format=torch.channels_last)


def build_vector_tokenizer(starting):
    return build_tokenizer(starting, VectorQuantiser())


def build_optimizer(network):
    return torch.optim.Adam(network.parameters(), lr=learning_rate,
                            betas=(beta_1, beta_2), eps=epsilon)


def tokenizer_step(tokenizer, optimizer, pictures):
    optimizer.zero_grad()
    drawn, codes, loss = tokenizer(pictures)
    loss = loss + F.mse_loss(drawn, pictures) + F.l1_loss(drawn, pictures)
    loss.backward()
    optimizer.step()
    return loss.detach(), codes

# %% tags=["tensorflow", "network"]
def build_tokenizer(starting, quantiser):
    tokenizer = Tokenizer(quantiser)
    tokenizer(keras.Input((32, 32, 3)))  # makes the codebook
    return load_weights(tokenizer, starting)


def build_vector_tokenizer(starting):
    return build_tokenizer(starting, VectorQuantiser())


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer

# %% [markdown] tags=["tensorflow"]
# The codebook is an `Embedding`, and its gradient comes as a list of occurrences (`IndexedSlices`), which Keras' Adam would square one by one (lesson 8).
# So the step makes it dense:

# %% tags=["tensorflow", "network"]
def improve(network, optimizer, loss, tape):
    gradients = tape.gradient(loss, network.trainable_variables)
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    optimizer.apply(gradients, network.trainable_variables)


@tf.function
def tokenizer_step(tokenizer, optimizer, pictures):
    with tf.GradientTape() as tape:
        drawn, codes, loss = tokenizer(pictures, training=True)
        apart = drawn - pictures
        loss = loss + ops.mean(apart**2) + ops.mean(ops.abs(apart))
    improve(tokenizer, optimizer, loss, tape)
    return loss, codes

# %% [markdown]
# And the arrays as tensors:

# %% tags=["pytorch", "network"]
def to_tensors(pictures, captions):
    # a view: in memory the channels stay last
    pictures = torch.as_tensor(pictures, device=device).permute(0, 3, 1, 2)
    return pictures, torch.as_tensor(captions, device=device)

# %% tags=["tensorflow", "network"]
def to_tensors(pictures, captions):
    return tf.convert_to_tensor(pictures), tf.convert_to_tensor(captions)

# %% [markdown]
# ## Only what is chosen learns
#
# Before we train, one look at the codebook's gradient on the first batch.
# Its 32 pictures have 2,048 places, each of which chooses a code.
# How many codes are chosen, and how many get a gradient?

# %% tags=["pytorch"]
start = starting_tokenizers(weights.generator(seed))
tokenizer = build_vector_tokenizer(start["vector_tokenizer"])
images, _ = to_tensors(*next(batches(seed)))
drawn, codes, loss = tokenizer(images)
book = tokenizer.quantiser.codebook.weight
gradient, = torch.autograd.grad(loss, book)
print("gradient:", type(gradient).__name__, tuple(gradient.shape))
print("codes chosen:", len(codes.unique()), "of", CODES)
print("codes with a gradient:", int((gradient != 0).any(1).sum()))

# %% tags=["tensorflow"]
start = starting_tokenizers(weights.generator(seed))
tokenizer = build_vector_tokenizer(start["vector_tokenizer"])
images, _ = to_tensors(*next(batches(seed)))
with tf.GradientTape() as tape:
    drawn, codes, loss = tokenizer(images)
gradient = tape.gradient(loss, tokenizer.quantiser.codebook.embeddings)
print("gradient:", type(gradient).__name__, tuple(gradient.values.shape))
gradient = tf.convert_to_tensor(gradient)
print("codes chosen:", len(np.unique(codes)), "of", CODES)
print("codes with a gradient:",
      int(np.any(gradient != 0, axis=1).sum()))

# %% [markdown]
# There is the danger.
# The vectors that the encoder starts with are short and much alike; the codes from N(0, 1) are long, and of long codes the shortest are nearest to all of them.
# These are chosen, move towards the vectors, and are still nearer next time.
# A code that is never chosen never moves.
#
# ## The codebook collapses
#
# Two helpers, pictures to codes and codes to pictures:

# %% tags=["pytorch"]
def as_array(tensor):
    return tensor.numpy(force=True)


@torch.inference_mode()
def codes_of(tokenizer, some):
    """The codes of pictures from 0 to 255: an array (n, 64)."""
    images, _ = to_tensors(scaled(some), np.zeros(1))
    return as_array(tokenizer.quantise(images)[1].flatten(1))


@torch.inference_mode()
def drawn_from(tokenizer, codes):
    """The pictures of these codes, from 0 to 1."""
    codes = torch.as_tensor(codes, device=device).unflatten(1, (8, 8))
    drawn = tokenizer.draw(tokenizer.quantiser.look_up(codes))
    return np.clip((as_array(drawn.permute(0, 2, 3, 1)) + 1) / 2, 0, 1)

# %% tags=["tensorflow"]
def as_array(tensor):
    return tensor.numpy()


def codes_of(tokenizer, some):
    """The codes of pictures from 0 to 255: an array (n, 64)."""
    _, codes, _ = tokenizer.quantise(tf.constant(scaled(some)))
    return as_array(codes).reshape(-1, 64)


def drawn_from(tokenizer, codes):
    """The pictures of these codes, from 0 to 1."""
    codes = tf.constant(codes.reshape(-1, 8, 8))
    drawn = tokenizer.draw(tokenizer.quantiser.look_up(codes))
    return np.clip((as_array(drawn) + 1) / 2, 0, 1)

# %% [markdown]
# And a loop for any tokenizer, which counts how many codes the last ten batches used:

# %% tags=["nbval-ignore-output"]
def train_tokenizer(tokenizer):
    optimizer, losses = build_optimizer(tokenizer), []
    recent, used = [], {}
    for step, batch in enumerate(islice(batches(seed), tokenizer_steps), 1):
        images, _ = to_tensors(*batch)
        loss, codes = tokenizer_step(tokenizer, optimizer, images)
        losses.append(float(loss))
        recent = [*recent[-9:], as_array(codes).ravel()]
        if step % 20 == 0:
            used[step] = len(np.unique(np.concatenate(recent)))
    return losses, used


vector_tokenizer = build_vector_tokenizer(start["vector_tokenizer"])
vector_losses, vector_used = train_tokenizer(vector_tokenizer)
print("codes in use:", *islice(vector_used.items(), 0, None, 3))

# %% [markdown]
# And what it draws, of pictures held out from it:

# %%
rng = np.random.default_rng((seed, 15))
shown = np.concatenate([rng.choice(held_out[kind], count, replace=False)
                        for kind, count in zip(held_out, (3, 2, 1, 1, 1))])


def redrawn(tokenizer, numbers):
    return drawn_from(tokenizer, codes_of(tokenizer, pictures[numbers]))


def draw_rows(rows, title, columns=8):
    """Rows of pictures below each other, {name of the row: pictures}."""
    together = np.concatenate(list(rows.values()))
    captions = [name if column == 0 else "" for name in rows
                for column in range(columns)]
    plots.images(together, title, captions, columns, size=0.6)


last = list(vector_used.values())[-1]
draw_rows({"original": pictures[shown] / 255,
           "redrawn": redrawn(vector_tokenizer, shown)},
          f"With the {last} codes in use, of {CODES}")
if as_shipped:
    assert last < 60

# %% [markdown]
# This is **codebook collapse**: a few codes take all places, and the others are dead.
# Ours is collapsed from the first batch on, and few codes come in later.
# The picture is no better than so few vectors allow.
# A start near the vectors helps, and is no cure: from N(0, 0.1²) 62 codes were in use after as many steps in PyTorch and 67 in TensorFlow, from N(0, 0.01²) 33 and 44.
# Other remedies: give dead codes a new life now and then, where vectors lie (*restarts*), or move codes by running means instead of gradients.
#
# ## No list at all: FSQ
#
# Why learn a list?
# **Finite scalar quantisation** (Mentzer and others, 2023) has none.
# The encoder gives *three* numbers at each place; tanh brings each into a range; and each is rounded, to one of 8, 6 and 5 levels.
# 8 · 6 · 5 = 240 combinations: these are the codes, written as numbers with three digits.
# Nothing is learnt in the quantiser, and it has no loss of its own.

# %% tags=["network"]
LEVELS = np.array([8, 6, 5])
PLACE_VALUES = np.array([30, 5, 1])  # of the three digits: 6 · 5, 5, 1

# %% [markdown]
# In the network, digits go from 0 to the number of levels less one, and what the decoder gets goes from −1 to 1.

# %% tags=["pytorch", "network"]
class ScalarQuantiser(nn.Module):
    size = len(LEVELS)  # numbers at each place

    def __init__(self):
        super().__init__()  # buffers: they go along to a GPU
        self.register_buffer("levels", torch.as_tensor(LEVELS))
        self.register_buffer("place_values", torch.as_tensor(PLACE_VALUES))

    def look_up(self, codes):
        digits = codes[..., None] // self.place_values % self.levels
        return 2 * digits / (self.levels - 1) - 1

    def forward(self, latents):  # (batch, 8, 8, 3)
        top = self.levels - 1
        values = (torch.tanh(latents) + 1) / 2 * top  # from 0 to top
        digits = values.round()
        codes = (digits.long() * self.place_values).sum(-1)
        return 2 * straight_through(values, digits) / top - 1, codes, 0.0


def build_scalar_tokenizer(starting):
    return build_tokenizer(starting, ScalarQuantiser())

# %% tags=["tensorflow", "network"]
class ScalarQuantiser(layers.Layer):
    size = len(LEVELS)  # numbers at each place

    def look_up(self, codes):
        digits = codes[..., None] // PLACE_VALUES % LEVELS
        digits = ops.cast(digits, self.compute_dtype)
        return 2 * digits / ops.cast(LEVELS - 1, self.compute_dtype) - 1

    def call(self, latents):  # (batch, 8, 8, 3)
        top = ops.cast(LEVELS - 1, latents.dtype)
        values = (ops.tanh(latents) + 1) / 2 * top  # from 0 to top
        digits = ops.round(values)
        codes = ops.sum(ops.cast(digits, "int64") * PLACE_VALUES, axis=-1)
        passed_on = straight_through(values, digits)
        return 2 * passed_on / top - 1, codes, ops.zeros((), latents.dtype)


def build_scalar_tokenizer(starting):
    return build_tokenizer(starting, ScalarQuantiser())

# %% [markdown]
# The same loop, the same pictures in the same order:

# %%
scalar_tokenizer = build_scalar_tokenizer(start["scalar_tokenizer"])
scalar_losses, scalar_used = train_tokenizer(scalar_tokenizer)
last = list(scalar_used.values())[-1]
draw_rows({"original": pictures[shown] / 255,
           "redrawn": redrawn(scalar_tokenizer, shown)},
          f"FSQ, after as many steps: {last} codes in use")

# %% [markdown]
# Side by side:

# %% tags=["nbval-ignore-output"]
_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
plots.curves({name: (list(used), list(used.values()))
              for name, used in (("VQ", vector_used), ("FSQ", scalar_used))},
             "Codes used by ten batches, of 240", y_label="codes", axes=left)
left.set_ylim(0, 250)
difference = {}
numbers = held_out["style"]
for name, tokenizer in (("VQ", vector_tokenizer), ("FSQ", scalar_tokenizer)):
    apart = redrawn(tokenizer, numbers) - pictures[numbers] / 255
    difference[name] = np.abs(apart).mean()
plots.bars(difference, "Held-out pictures, redrawn",
           "mean difference of a colour (0 to 1)", axes=right)
for bar, colour in zip(right.patches, plots.OTHERS):
    bar.set_color(colour)  # that of the curve
if as_shipped:
    assert last > 150 and difference["FSQ"] < difference["VQ"]

# %% [markdown]
# The same number of codes, and now most are used.
# Three numbers a place in place of 32 would seem a narrow door; but a door of 240 codes is no wider, however long its vectors.
#
# ## The tokenizer, trained longer
#
# `data/make/emoji_dalle.py` trained this FSQ tokenizer for 7,000 steps, on the same training pictures.
# Its weights lie in `data/`, with those of the transformer that comes next, as safetensors of 16 bits (lesson 8).

# %%
shipped = data.emoji_dalle()
tokenizer = build_scalar_tokenizer(shipped["tokenizer"])
draw_rows({"original": pictures[shown] / 255,
           "redrawn": redrawn(tokenizer, shown)},
          "The shipped tokenizer: 64 codes a picture, and back")
for name, numbers in {"training": training[::30],
                      "held out": held_out["style"]}.items():
    apart = redrawn(tokenizer, numbers) - pictures[numbers] / 255
    noise_ratio = -10 * np.log10((apart**2).mean())
    print(f"{name:9} mean difference {np.abs(apart).mean():.3f}, "
          f"peak signal to noise {noise_ratio:.1f} dB")

# %% [markdown]
# (The peak signal to noise is $-10 \log_{10}$ of the mean squared difference: 20 dB where the root of that is a tenth, 40 dB where it is a hundredth.)
# Held-out pictures come through about as well as training pictures, since a tokenizer needs to know patches and not things.
# Small eyes and fine lines are lost.
# **No drawing of ours can be sharper than this**, whatever the transformer does.
#
# What does a picture look like, as tokens?
# The eight rows of a heart:

# %%
red_heart, = np.flatnonzero(short_names == "heart")
codes = codes_of(tokenizer, pictures[[2 * red_heart + 1]])
print(codes.reshape(8, 8))

# %% [markdown]
# The same few codes come again and again: 144, 114 and 143 inside, which is red, and 1 and 3 near the corners, which are white.
# Such regularities are what a transformer can learn.
#
# ## One line for words and picture
#
# Eight words, then 64 codes, row by row: a text of 72 tokens.
# Codes get numbers of their own, behind the words', so that one embedding serves both; the network is the GPT of lesson 8, changed in one thing: its output layer has a logit for each code only, as words are given and never written.
# Its sizes: width 128, four blocks, two heads.
#
# Causal attention and the block are those of lesson 8, and folded:

# %% tags=["pytorch", "network", "folded"]
WIDTH, BLOCKS, HEADS = 128, 4, 2


def attend_to_past(query, key, value):
    return F.scaled_dot_product_attention(query, key, value, is_causal=True)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH)
        self.feed_forward_norm = nn.LayerNorm(WIDTH)
        self.expand = nn.Linear(WIDTH, 4 * WIDTH)
        self.contract = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, attend):
        packed = self.query_key_value(self.attention_norm(x))
        packed = packed.unflatten(-1, (3, HEADS, -1))
        mixed = attend(*packed.permute(2, 0, 3, 1, 4))
        x = x + self.projection(mixed.transpose(1, 2).flatten(2))
        hidden = F.gelu(self.expand(self.feed_forward_norm(x)))
        return x + self.contract(hidden)

# %% tags=["tensorflow", "network", "folded"]
WIDTH, BLOCKS, HEADS = 128, 4, 2


def attend_to_past(query, key, value):
    return ops.dot_product_attention(query, key, value, is_causal=True)

# %% [markdown] tags=["tensorflow"]
# LayerNorm's epsilon is PyTorch's, and "gelu" as an activation is the exact form:

# %% tags=["tensorflow", "network", "folded"]
class Block(layers.Layer):
    def __init__(self, name):
        super().__init__(name=name)
        norm = partial(layers.LayerNormalization, epsilon=1e-5)
        self.attention_norm = norm(name=f"{name}_attention_norm")
        self.query_key_value = layers.Dense(3 * WIDTH, name=f"{name}_packed")
        self.projection = layers.Dense(WIDTH, name=f"{name}_projection")
        self.feed_forward_norm = norm(name=f"{name}_feed_forward_norm")
        self.expand = layers.Dense(4 * WIDTH, "gelu", name=f"{name}_expand")
        self.contract = layers.Dense(WIDTH, name=f"{name}_contract")

    def call(self, x, attend):
        batch, length, _ = ops.shape(x)
        packed = self.query_key_value(self.attention_norm(x))
        packed = ops.reshape(packed, (batch, length, 3, HEADS, WIDTH // HEADS))
        mixed = attend(*ops.unstack(packed, 3, axis=2))
        x = x + self.projection(ops.reshape(mixed, (batch, length, WIDTH)))
        hidden = self.expand(self.feed_forward_norm(x))
        return x + self.contract(hidden)

# %% [markdown]
# The network: embeddings of token and position, the blocks, a norm, and one logit a code.
# (`attends` and `first` are for the cache.)

# %% tags=["pytorch", "network"]
LINE = CAPTION_LENGTH + 64 - 1  # tokens that are read: all but the last


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        tokens = len(vocabulary) + CODES
        self.token_embedding = nn.Embedding(tokens, WIDTH)
        self.position_embedding = nn.Embedding(LINE, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))
        self.final_norm = nn.LayerNorm(WIDTH)
        self.output = nn.Linear(WIDTH, CODES)

    def forward(self, tokens, attends=[attend_to_past] * BLOCKS, first=0):
        end = first + tokens.shape[1]
        positions = torch.arange(first, end, device=tokens.device)
        x = self.token_embedding(tokens) + self.position_embedding(positions)
        for block, attend in zip(self.blocks, attends):
            x = block(x, attend)
        return self.output(self.final_norm(x))


def build_painter(starting):
    return load_weights(GPT(), starting).to(device)

# %% tags=["tensorflow", "network"]
LINE = CAPTION_LENGTH + 64 - 1  # tokens that are read: all but the last


class GPT(keras.Model):
    def __init__(self):
        super().__init__()
        embedding, tokens = layers.Embedding, len(vocabulary) + CODES
        self.token_embedding = embedding(tokens, WIDTH, name="token")
        self.position_embedding = embedding(LINE, WIDTH, name="position")
        self.blocks = [Block(f"block{n}") for n in range(BLOCKS)]
        self.final_norm = layers.LayerNormalization(epsilon=1e-5)
        self.output_layer = layers.Dense(CODES)

    def call(self, tokens, attends=[attend_to_past] * BLOCKS, first=0):
        positions = first + ops.arange(ops.shape(tokens)[1])
        x = self.token_embedding(tokens) + self.position_embedding(positions)
        for block, attend in zip(self.blocks, attends):
            x = block(x, attend=attend)
        return self.output_layer(self.final_norm(x))


def build_painter(starting):
    network = GPT()
    network(keras.Input((LINE,), dtype="int64"))  # makes the weights
    return load_weights(network, starting)

# %% [markdown]
# Starting weights as in lesson 8, folded:

# %% tags=["network", "folded"]
def starting_painter(rng, width=128, blocks=4):
    tokens, places = len(vocabulary) + 240, CAPTION_LENGTH + 63
    added, wide = 0.02 / (2 * blocks) ** 0.5, 4 * width

    def dense(inputs, outputs, spread=0.02):
        return weights.dense(rng, inputs, outputs, spread)

    start = {
        "token_embedding": weights.embedding(rng, tokens, width, 0.02),
        "position_embedding": weights.embedding(rng, places, width, 0.02),
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
    return start | {"output": dense(width, 240)}

# %% [markdown]
# And those of all three networks, the tokenizers' first:

# %% tags=["network", "folded"]
def starting_weights(seed):
    rng = weights.generator(seed)
    return starting_tokenizers(rng) | {"painter": starting_painter(rng)}

# %% [markdown]
# The loss counts the codes only.
# The last word's output predicts the first code, so we keep outputs from there on.

# %% tags=["pytorch", "network"]
def painter_loss(painter, captions, codes):
    line = torch.cat([captions, len(vocabulary) + codes], 1)
    logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
    return F.cross_entropy(logits.flatten(0, 1), codes.flatten())


def painter_step(painter, optimizer, captions, codes):
    optimizer.zero_grad()
    loss = painter_loss(painter, captions, codes)
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% tags=["tensorflow", "network"]
cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def painter_loss(painter, captions, codes):
    line = ops.concatenate([captions, len(vocabulary) + codes], axis=1)
    logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
    return cross_entropy(codes, logits)


@tf.function
def painter_step(painter, optimizer, captions, codes):
    with tf.GradientTape() as tape:
        loss = painter_loss(painter, captions, codes)
    improve(painter, optimizer, loss, tape)
    return loss

# %% [markdown]
# Folded: pictures to codes once more, and a step of all three networks together, for the twin proof at the end.

# %% tags=["pytorch", "network", "folded"]
@torch.no_grad()
def encode_pictures(tokenizer, pictures):
    return tokenizer.quantise(pictures)[1].flatten(1)


def train_step(vector_tokenizer, scalar_tokenizer, painter, *rest):
    *optimizers, pictures, captions = rest
    codes = encode_pictures(scalar_tokenizer, pictures)
    first, _ = tokenizer_step(vector_tokenizer, optimizers[0], pictures)
    second, _ = tokenizer_step(scalar_tokenizer, optimizers[1], pictures)
    return first, second, painter_step(painter, optimizers[2], captions, codes)


@torch.no_grad()
def evaluate_scalar_tokenizer(tokenizer, pictures, captions):
    codes = encode_pictures(tokenizer, pictures).unflatten(1, (8, 8))
    return tokenizer.draw(tokenizer.quantiser.look_up(codes))


evaluate_vector_tokenizer = evaluate_scalar_tokenizer

# %% tags=["tensorflow", "network", "folded"]
def encode_pictures(tokenizer, pictures):
    return ops.reshape(tokenizer.quantise(pictures)[1], (-1, 64))


def train_step(vector_tokenizer, scalar_tokenizer, painter, *rest):
    *optimizers, pictures, captions = rest
    codes = encode_pictures(scalar_tokenizer, pictures)
    first, _ = tokenizer_step(vector_tokenizer, optimizers[0], pictures)
    second, _ = tokenizer_step(scalar_tokenizer, optimizers[1], pictures)
    return first, second, painter_step(painter, optimizers[2], captions, codes)


def evaluate_scalar_tokenizer(tokenizer, pictures, captions):
    codes = ops.reshape(encode_pictures(tokenizer, pictures), (-1, 8, 8))
    return tokenizer.draw(tokenizer.quantiser.look_up(codes))


evaluate_vector_tokenizer = evaluate_scalar_tokenizer

# %% [markdown]
# ## Training it, a little *(optional)*
#
# A hundred steps, some 3,000 captions with their pictures, to see it begin.
# Guessing among 240 codes costs $\log 240 = 5.48$ nats a code; knowing how often each code occurs costs less.

# %%
some_codes = codes_of(tokenizer, pictures[training[::20]])
frequent = np.bincount(some_codes.ravel(), minlength=CODES) + 0.5
by_frequency = -np.log(frequent / frequent.sum())

beginner = build_painter(starting_weights(seed)["painter"])
optimizer, painter_losses = build_optimizer(beginner), []
for batch in islice(batches(seed), painter_steps):
    images, words = to_tensors(*batch)
    codes = encode_pictures(tokenizer, images)
    loss = painter_step(beginner, optimizer, words, codes)
    painter_losses.append(float(loss))

# %% [markdown]
# Against what counting knows, below which the curve dips after a few steps and stays after some thirty:

# %% tags=["nbval-ignore-output"]
counted = by_frequency[some_codes].mean()
fell = np.mean(painter_losses[-5:]) < counted
plots.curves({"transformer": painter_losses},
             f"Better than counting, within {painter_steps} steps" if fell
             else "The transformer's first steps",
             y_label="loss (nats a code)")
plt.axhline(counted, color=plots.OTHERS[2], linestyle=":",
            label="frequencies of codes")
plt.axhline(np.log(CODES), color=plots.OTHERS[5], linestyle="--",
            label="equal guesses")
_ = plt.legend()
print(f"{counted:.2f} nats by frequencies; "
      f"the last steps {np.mean(painter_losses[-5:]):.2f}")
if as_shipped:
    assert np.mean(painter_losses[-5:]) < counted

# %% [markdown]
# ## The transformer, trained longer
#
# The script trained one from the start, for 7,000 steps of 64 captions, with another optimiser inside the blocks (Muon, which we do not explain).
# Three habits more are against learning by heart: pictures moved by up to a pixel, here as for the tokenizer, so that one picture has nine strings of tokens; a tenth of the words hidden as `<none>`; a tenth of what each half of a block adds dropped (dropout, lesson 6).
# And of a tenth of the captions *everything* is hidden, style and all, for a reason that comes soon.

# %% tags=["pytorch"]
painter = build_painter(shipped["painter"])


@torch.inference_mode()
def logits_of(words, codes):
    """Of one picture, after its caption: an array (64, 240)."""
    line = np.concatenate([words, len(vocabulary) + codes[:-1]])
    logits = painter(torch.as_tensor(line, device=device)[None])[0]
    return as_array(logits)[CAPTION_LENGTH - 1 :]


@torch.inference_mode()
def nats(words, codes):
    """Mean loss on pictures of these codes, after these captions."""
    both = (torch.as_tensor(some, device=device) for some in (words, codes))
    return painter_loss(painter, *both).item()

# %% tags=["tensorflow"]
painter = build_painter(shipped["painter"])


def logits_of(words, codes):
    """Of one picture, after its caption: an array (64, 240)."""
    line = np.concatenate([words, len(vocabulary) + codes[:-1]])
    return as_array(painter(tf.constant(line)[None])[0])[CAPTION_LENGTH - 1 :]


def nats(words, codes):
    """Mean loss on pictures of these codes, after these captions."""
    return float(painter_loss(painter, tf.constant(words), tf.constant(codes)))

# %% [markdown]
# What does it know of the pictures that it was never shown?
# We measure `samples` (72) training pictures and up to as many of each kind, of these only such as ask what the kind says.
# So the scientists are left out, seen with neither gender and only as *scientist*, and four captions that stand word for word in training, since two glyphs share a name.

# %%
rng = np.random.default_rng((seed, 16))
seen = {tuple(captions[number]) for number in training}


def is_asked(number, kind):
    caption = captions[number]
    return (kind_of[number] == kind and "scientist" not in caption
            and tuple(caption) not in seen)


measured = {"training": rng.permutation(training)[:samples]}
for kind, numbers in held_out.items():
    asked = [number for number in rng.permutation(numbers)
             if is_asked(number, kind)]
    measured[kind] = np.array(asked[:samples])

# %% [markdown]
# In nats a code: what counting codes gives, the transformer after a caption of eight `<none>`, and after the true one.

# %%
knowledge = {}
print(f"{'':14}  by frequency   nothing told   with caption")
for kind, numbers in measured.items():
    codes = codes_of(tokenizer, pictures[numbers])
    words = caption_tokens[numbers]
    knowledge[kind] = nats(words, codes)
    print(f"{kind:14}{by_frequency[codes].mean():14.2f}"
          f"{nats(np.ones_like(words), codes):15.2f}{knowledge[kind]:15.2f}")

# %% [markdown]
# What the *words* tell is the difference of the last two columns.
# It is as large for a new tone, and for a new pairing of gender and job, as in training; smaller for colours and hours, which are simple pictures and cost little even with nothing told; and next to nothing for a glyph that was seen in the other style only.
# So much for how the truth surprises it; what would it draw itself?
#
# ## Drawing
#
# As in lesson 8: the network gives probabilities, we choose, and what was chosen is read next.
# 64 choices make a picture.
# The cache of keys and values comes along, now for many lines at once: the eight words are read in one go, then one code at a time.

# %% tags=["pytorch"]
class Reader:  # gives the logits of what follows; reads only what is new
    def __init__(self, painter, lines):
        self.painter, self.read = painter, 0
        shape = (2, BLOCKS, lines, HEADS, LINE, WIDTH // HEADS)
        self.keys, self.values = torch.zeros(shape, device=device)
        self.attends = [partial(self.attend, n) for n in range(BLOCKS)]

    def attend(self, block, query, key, value):
        end = self.read + query.shape[2]
        for cache, new in ((self.keys, key), (self.values, value)):
            cache[block, :, :, self.read : end] = new
        # several at once may not look ahead; a single one has no future
        return F.scaled_dot_product_attention(
            query, self.keys[block, :, :, :end],
            self.values[block, :, :, :end], is_causal=query.shape[2] > 1)

    @torch.inference_mode()
    def __call__(self, tokens):  # (lines, new tokens)
        tokens = torch.as_tensor(tokens, device=device)
        logits = self.painter(tokens, self.attends, first=self.read)
        self.read += tokens.shape[1]
        return as_array(logits[:, -1]).astype("float64")

# %% tags=["tensorflow"]
class Reader:  # gives the logits of what follows; reads only what is new
    def __init__(self, painter, lines):
        self.painter, self.read = painter, 0
        zeros = tf.zeros((lines, LINE, HEADS, WIDTH // HEADS))
        self.past = [[tf.Variable(zeros), tf.Variable(zeros)]
                     for _ in range(BLOCKS)]

    def attend(self, keys, values, first, query, key, value):
        positions = first + tf.range(query.shape[1])
        keys[:, first : positions[-1] + 1].assign(key)
        values[:, first : positions[-1] + 1].assign(value)
        seen = tf.range(LINE) <= positions[:, None]
        return ops.dot_product_attention(query, keys, values,
                                         mask=seen[None, None])

    @tf.function  # two graphs: for eight words, and for one code
    def step(self, tokens, first):
        attends = [partial(self.attend, *past, first) for past in self.past]
        return self.painter(tokens, attends=attends, first=first)[:, -1]

    def __call__(self, tokens):  # (lines, new tokens)
        logits = self.step(tf.constant(tokens), tf.constant(self.read))
        self.read += tokens.shape[1]
        return as_array(logits).astype("float64")

# %% [markdown]
# Choosing, for many lines at once.
# **Top-k** keeps the `top_k` most likely codes, **temperature**, below 1, sharpens; a uniform number from NumPy decides, so that both notebooks draw alike.
#
# And one thing is new.
# A transformer that has read a caption may still follow the picture more than the words: once the first rows look like a face, a face it will be.
# **Guidance** (Ho and Salimans, 2022, for diffusion: lesson 14; Gafni and others, 2022, for transformers that write tokens) turns the words up.
# Let the network read every line twice, once with the caption and once with all eight words hidden, and move the logits away from what it would write anyway:
#
# $$\ell = \ell_{\text{hidden}} + g\,(\ell_{\text{caption}} - \ell_{\text{hidden}})$$
#
# With $g = 1$ the caption counts as it is, with $g = 3$ three times.
# (Lesson 14 counted from 0: its $w$ is $g - 1$.)
# That is why the script hid a tenth of the captions: so that the network knows what to write when nothing is told.

# %%
AT_ONCE = 24  # pictures; twice as many lines are read


def choose(logits, uniforms, temperature, top_k):
    """One code for each row of logits: an array (n,)."""
    least = np.sort(logits, axis=1)[:, -top_k, None]
    logits = np.where(logits >= least, logits, -np.inf) / temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    cumulated = np.cumsum(shares, axis=1)
    return (cumulated <= uniforms[:, None] * cumulated[:, -1:]).sum(axis=1)


def write_codes(reader, words, uniforms, guidance, temperature, top_k):
    """The codes of AT_ONCE pictures: an array (AT_ONCE, 64)."""
    tokens = np.concatenate([words, np.ones_like(words)])  # 1: <none>
    reader.read, codes = 0, []  # older keys and values are not looked at
    for drawn in uniforms:
        given, hidden = np.split(reader(tokens), 2)
        logits = hidden + guidance * (given - hidden)
        codes.append(choose(logits, drawn, temperature, top_k))
        tokens = np.tile(len(vocabulary) + codes[-1], 2)[:, None]
    return np.stack(codes, axis=1)

# %% [markdown]
# `draw` takes any number of captions, AT_ONCE at a time.
# The first call's drawings are thrown away (in TensorFlow it builds the two graphs), so that the time printed later is that of drawing:

# %%
reader = Reader(painter, 2 * AT_ONCE)


def draw(words, guidance=guidance, temperature=temperature, top_k=top_k):
    """(codes, pictures) for these captions, as tokens."""
    rng, codes = np.random.default_rng((seed, 17)), []
    for i in range(0, len(words), AT_ONCE):
        some = np.ones((AT_ONCE, CAPTION_LENGTH), "int64")
        some[: len(words[i : i + AT_ONCE])] = words[i : i + AT_ONCE]
        uniforms = rng.random((64, AT_ONCE))
        codes.append(write_codes(reader, some, uniforms, guidance,
                                 temperature, top_k))
    codes = np.concatenate(codes)[: len(words)]
    return codes, drawn_from(tokenizer, codes)


_ = draw(caption_tokens[shown])  # the first call is slow: time the next

# %% [markdown]
# Eight held-out captions, drawn in three ways (the same uniform numbers each time):

# %% tags=["nbval-ignore-output"]
began = time.perf_counter()
ways = {"g=1, T=1": dict(guidance=1, temperature=1, top_k=CODES),
        f"g=1, T={temperature:g}": dict(guidance=1),
        f"g={guidance:g}": {}}
rows = {"truth": pictures[shown] / 255}
rows |= {name: draw(caption_tokens[shown], **way)[1]
         for name, way in ways.items()}
took = (time.perf_counter() - began) / len(ways)
draw_rows(rows, "Eight captions that were held out, drawn in three ways")
plots.describe("A row of true pictures and three rows of drawings of the same "
               "captions: " + "; ".join(" ".join(captions[n]) for n in shown))
for number in shown:
    print(" ".join(captions[number]))
print(f"a batch, filled up to {AT_ONCE}, takes {took:.1f} s")

# %% [markdown]
# In the first row of drawings all codes are allowed: it is loose, here and there with a place that fits nothing, since among 64 draws some are unlucky.
# In the second, temperature and top-k calm it; the third, the lesson's way, adds guidance.
# Whether that helps, eight pictures cannot tell (the balloon became a cloud); we measure it below.
# (The first three were seen in the other style only.)
#
# ## Compositions that nobody showed it
#
# Now to measure, kind by kind, and against a rival that cannot draw: the **recaller** answers with a training picture: the one of the same style whose words overlap most with the caption's.
# A word counts $\log(N / \text{count})$, so that *farmer* weighs more than *woman*, and what is shared is divided by what either caption has.

# %%
word_table = np.zeros((len(captions), len(vocabulary)), "float32")
for number, caption in enumerate(captions):
    word_table[number, [index_of[word] for word in caption]] = 1


def recalled(numbers):
    """Training pictures of the same style whose captions overlap most."""
    known = word_table[training]
    rarity = np.log(len(training) / known.sum(0).clip(1))
    wanted = word_table[numbers] * rarity
    shared = wanted @ known.T
    either = wanted.sum(1)[:, None] + known @ rarity - shared
    same_style = numbers[:, None] % 2 == training % 2
    return training[np.where(same_style, shared / either, -1).argmax(axis=1)]

# %% [markdown]
# What is a right answer?
# Pixels cannot decide it alone: a farmer a little to the left is wrong everywhere.
# So for each held-out picture we take its **siblings**, the pictures whose captions differ in nothing but the words in question: all skin tones of the same figure; the same job done by a man, a woman and nobody in particular; all colours of the same thing; all hours with the same minutes, and both minutes of the same hour; both styles of the same glyph.
# A drawing is *right* if, of all siblings, the true picture is nearest to it (in mean absolute difference).

# %%
OWN_WORDS = {
    "style": set(STYLES),
    "tone": {f"{tone}-skin" for tone in tones},
    "gender": {"man", "woman"},
    "colour": set("red orange yellow green blue purple brown black white "
                  "grey pink".split()),
    "hour": set("one two three four five six seven eight nine ten eleven "
                "twelve".split()),
    "minutes": {"oclock", "thirty"},
}


def siblings_of(question, number):
    def rest(caption):
        return [word for word in caption if word not in OWN_WORDS[question]]

    wanted = rest(captions[number])
    found = [other for other, caption in enumerate(captions)
             if rest(caption) == wanted]
    return np.array(found)


def nearest(drawing, numbers):
    apart = np.abs(pictures[numbers] / 255 - drawing)
    return numbers[apart.mean((1, 2, 3)).argmin()]

# %% [markdown]
# That is half of a composition: a brown blob could have the right tone.
# So the other half is asked as well: the figure, among all of that tone; the job, among twenty with that gender and tone; the shape, among all things of that colour; each in that style.
# (Of a style only one half is asked; caption and pictures below say the rest.)

# %%
def jobs_like(number):
    glyph, style = divmod(number, 2)
    gender = short_names[glyph].split("-")[0] + "-"
    same = np.char.startswith(short_names, gender) & (tones == tones[glyph])
    return 2 * np.flatnonzero(same) + style


def all_with(question, number):
    """All pictures of this tone, or this colour, in this style."""
    own = OWN_WORDS[question] & set(captions[number])
    found = [other for other in range(number % 2, len(captions), 2)
             if own & set(captions[other])]
    return np.array(found)


HALVES = {"style": ["style"], "tone": ["tone", "figure"],
          "gender × job": ["gender", "job"], "colour": ["colour", "shape"],
          "hour": ["hour", "minutes"]}
rivals_of = {half: partial(siblings_of, half) for half in OWN_WORDS}
rivals_of |= {"figure": partial(all_with, "tone"), "job": jobs_like,
              "shape": partial(all_with, "colour")}

# %% [markdown]
# Everything is drawn twice, with the caption as it is ($g = 1$) and with guidance.

# %%
drawings = {}
for kind in held_out:
    words = caption_tokens[measured[kind]]
    drawings[kind] = {
        "plain": draw(words, guidance=1)[1], "guided": draw(words)[1],
        "recall": pictures[recalled(measured[kind])] / 255}

# %% [markdown]
# The composition itself is the pair: *both* halves right in one drawing.
# The recaller can hardly ever have that, and some halves neither: the wanted picture is not in training, and where it answers with a sibling, that sibling wins, at distance 0.
# Its better half says what recall alone is worth.
# **Chance** for a half is one in as many pictures as there are to choose from; for a pair we make it hard, and let chance know one half and guess the other, the one with fewer to choose from.

# %% tags=["nbval-ignore-output"]
shares, chances = {}, {}
print(f"{'right':18}  n   plain  guided  recall  chance")
for kind, halves in HALVES.items():
    numbers = measured[kind]
    rivals = {half: [rivals_of[half](number) for number in numbers]
              for half in halves}
    pair = [halves] if len(halves) == 2 else []
    for asked in [[half] for half in halves] + pair:
        some = list(zip(*(rivals[half] for half in asked)))
        name = " and ".join(asked)
        shares[name] = [
            np.mean([nearest(drawing, np.concatenate(those))
                     for drawing, those in zip(drawn, some)] == numbers)
            for drawn in drawings[kind].values()]
        chances[name] = np.mean([1 / min(map(len, those)) for those in some])
        print(f"{name:18}{len(numbers):3}" + "".join(
            f"{share:8.2f}" for share in [*shares[name], chances[name]]))
if as_shipped:
    for name in ("tone and figure", "colour and shape"):
        assert shares[name][1] > max(shares[name][2], chances[name]) + 0.2
    assert shares["gender and job"][1] < chances["gender and job"]
    assert shares["job"][2] > 0.9

# %% [markdown]
# One picture is 0.01 of 72, 0.06 of 18 and 0.13 of 8; the standard error of a share is up to 0.06, 0.12 and 0.18, and rather more, since pictures of one job or shape are alike.
#
# How far are the answers from the truth, and whose gender is nearest?

# %% tags=["nbval-ignore-output"]
print(f"{'difference':14}   plain  guided  recall")
for kind, answers in drawings.items():
    apart = [np.abs(some - pictures[measured[kind]] / 255).mean()
             for some in answers.values()]
    print(f"{kind:14}" + "".join(f"{number:8.3f}" for number in apart))

numbers = measured["gender × job"]
for way, drawn in drawings["gender × job"].items():
    found = [nearest(drawing, siblings_of("gender", number))
             for drawing, number in zip(drawn, numbers)]
    right = np.sum(found == numbers)
    none = sum(OWN_WORDS["gender"].isdisjoint(captions[n]) for n in found)
    print(f"{way:7} right gender {right}, none {none}, "
          f"the other {len(found) - right - none}")

# %% [markdown]
# And the pictures themselves, kind by kind: above the truth, then our drawing with guidance, then the recaller's answer.
# (Where no training caption of that style shares another word, as with *bubbles*, the recaller is left with the style alone and answers *man*, the caption with the least else in it: 23 times of the 72.)

# %%
for kind, answers in drawings.items():
    numbers = measured[kind][:4]
    rows = [pictures[numbers] / 255, answers["guided"][:4],
            answers["recall"][:4]]
    above = [label(captions[number]) for number in numbers]
    plots.images(np.concatenate(rows), f"{kind}: the truth, ours, recalled",
                 above + [""] * 8, columns=4, size=0.75)
    plots.describe(f"{kind}, three rows of pictures, true, ours and recalled:"
                   f" {'; '.join(' '.join(captions[n]) for n in numbers)}")

# %% [markdown]
# Read them together, with the tables (numbers with guidance).
#
# **It puts tone and figure together, and colour and shape.**
# A tone on a figure that never had it is right in both in 0.56 of the drawings, where who knew the figure and guessed the tone would have 0.17; a new pair of colour and shape in ten of 18, where one half known gives 0.24, or some four.
# The recaller finds the figure in the wrong tone, or the colour in the wrong shape, and never both.
# In pixels it is *nearer* to the truth in tones, sharp where ours draws loosely; one number would have told half of it.
# And look at the colours: a circle is nearly a square, and a blue square nearly black.
#
# **Jobs it recalls, and gender it does not compose.**
# Nearly every job is the right one of twenty, but the recaller is as good at that: each was seen with the other gender and with none.
# Both are right in 0.21, where who knew the job and guessed the gender would have 0.33; most often, 42 times of 72, the figure of no gender is nearest.
# In training *man* never stood beside *singer*, and nothing in the loss asks for gender and job to be independent.
#
# **Hours**: six of eight are right in both with guidance and three without; who knew the hour and guessed the minutes would have four, so eight are too few to say.
#
# **A glyph seen in the other style only it does not draw.**
# Its caption tells it next to nothing (3.20 nats without, 3.16 with), its drawings are the farthest from the truth (0.146), and of two styles it finds the right one no better than chance.
# In the pictures something of the words comes over, mostly colours, such as blue for the bubbles, and once an outline, the headstone's; the thing itself hardly ever.
#
# Guidance raises every pair but gender and job, which it hardly moves (14 to 15 of 72, with more figures of no gender), and in style 35 right ones become 30: with numbers so small, hints and no proof.
#
# ## What it cannot do *(optional)*
#
# All that was compositions of words in the roles that they had in training.
# Now a word in a role it never had, things that no emoji joins, and a word that it does not know:

# %%
wishes = ["noto purple fox face", "twemoji blue banana", "noto green pizza",
          "noto two clock face", "twemoji dark-skin octopus",
          "noto woman dragon", "twemoji heart with eyes", "noto zeppelin"]
words = np.array([encode_caption(wish.split()) for wish in wishes])
_, wished = draw(words)
plots.images(wished, "Wishes beyond its captions",
             [label(wish.split()) for wish in wishes], columns=8,
             size=0.85)
plots.describe("Drawings for: " + "; ".join(wishes))
unknown = [word for wish in wishes for word in wish.split()
           if word not in index_of]
print("not in its vocabulary:", *unknown)

# %% [markdown]
# One drawing each: hints, and no measure.
# Some words act, and none of these eight is what was wished.
# The pizza turned green, and is no pizza; the heart took half a face from those "with eyes"; the dragon is a green dragon, and no woman.
# A word that it does not know is `<none>`, and of the zeppelin's caption only Noto is left: it draws one of Noto's many things.
# It has learnt how *these captions* are put together; nothing here suggests that it knows what an octopus is.
#
# ## Is DALL·E a PyTorch thing? *(optional)*
#
# **C14**, *PyTorch reaches GPT and DALL·E through Hugging Face*, in its half about DALL·E.
# Nothing in a DALL·E needs one framework or the other: both notebooks build this network, read the same file and draw the same pictures.
# What is a matter of record:
#
# - **What it was.** The paper (Ramesh and others, 2021) describes a discrete VAE that makes 32 × 32 tokens of a picture, from a list of 8,192, and a transformer of 12 billion parameters that reads up to 256 tokens of text and writes the 1,024 of the picture, trained on 250 million pictures with texts from the internet.
# - **What was released.** [openai/DALL-E](https://github.com/openai/DALL-E), in PyTorch, holds the discrete VAE and nothing else; the transformer was never published.
# - **What could be had through Hugging Face** under that name was the work of others: [DALL·E mini](https://huggingface.co/flax-community/dalle-mini), an attempt to replicate it, in JAX and Flax (later [converted to PyTorch](https://github.com/kuprel/min-dalle)), and [ruDALL-E](https://huggingface.co/ai-forever/rudalle-Malevich), another, in PyTorch, with 1.3 billion parameters.
#   Of such replicas the claim would hold.
#
# **The verdict: of OpenAI's DALL·E the claim is false.**
# One half can be had, in PyTorch, from its makers; the half that draws from words was never published, so nobody can have it.
# GPT-2 was published and can be had for both (lesson 8).
#
# ## The twin check *(optional)*
#
# The record holds the three trainings, the logits of the shipped transformer, what it knows of each kind and draws right of it, and every seventh code of 24 drawings (of tones).

# %%
checkpoint = data.SHA256["emoji_dalle.safetensors"][:8]
logits = logits_of(caption_tokens[shown[0]],
                   codes_of(tokenizer, pictures[shown[:1]])[0])
drawn_codes, _ = draw(caption_tokens[measured["tone"][:AT_ONCE]])
curves = {"loss (VQ)": vector_losses, "loss (FSQ)": scalar_losses,
          "loss (transformer)": painter_losses}
mine = records.save(
    "15_text_to_image", framework,
    parameters_used | {"checkpoint": checkpoint}, curves,
    parameter_count=sum(map(weights.count, shipped.values())),
    logits=logits[::21].ravel(), codes=drawn_codes[:, ::7].ravel(),
    **{f"nats, {kind}": found for kind, found in knowledge.items()},
    **{f"right, {question}": some[1] for question, some in shares.items()},
)
twin = records.load("15_text_to_image", other, mine["parameters"])
if twin:
    one, two = mine["scores"], twin["scores"]
    apart = np.abs(np.subtract(one["logits"], two["logits"])).max()
    same = np.mean(np.equal(one["codes"], two["codes"]))
    print("logits of the shipped transformer equal to 0.001:",
          bool(apart < 1e-3))
    print(f"share of drawn codes that are equal: {same:.2f}")
    assert apart < 1e-3 and same > 0.9

# %% [markdown]
# The same file, the same logits, NumPy's uniform numbers: the same pictures, but for a code whose draw falls on a border, after which its picture goes another way (so it went, outside these 24, with one clock: its minutes are right in one notebook only).
#
# And the networks that each notebook trained for itself:

# %% tags=["nbval-ignore-output"]
plots.twins(mine, twin, curve="loss (transformer)")
print(records.compare(mine, twin))
if as_shipped and twin:
    firsts = [records.relative_difference(curve, twin["losses"][name])[0]
              for name, curve in curves.items()]
    assert max(firsts) < 1e-5

# %% [markdown]
# With the lesson's values and both records, the first losses agree in six digits.
# Then all three part.
# Float32 sums are added up in another order, and training makes small differences grow (lesson 4).
# In the two tokenizers the quantiser adds to that: a vector near the border of two codes is rounded to one of them here and to the other there, and a different code is not a small difference.
# (The transformer meets no border here: it reads the shipped tokenizer's codes, the same in both notebooks.)
# In float64 no border divides the twins: `python -m tandem proof 15` trains all three for 100 steps, the transformer on the codes of the tokenizer beside it, and says how far their losses are apart.
#
# ## What differs

# %% [markdown] tags=["pytorch"]
# | | PyTorch | Keras / TensorFlow | why it matters |
# |---|---|---|---|
# | gradient of rounding | zeros | `None` | nothing before it learns; PyTorch says nothing, Keras' optimizer warns |
# | forwards this, backwards that | `.detach()` | `tf.stop_gradient` | straight-through |
# | gradient of the codebook | dense | `IndexedSlices`: made dense before Adam | else Adam squares each choice of a code, not their sum (lesson 8) |
# | arrays that are no weights | `register_buffer`: they follow `.to(device)` | NumPy constants, cast to the layer's type | device; type |
# | places of a map | (batch, size, 8, 8): permuted for the quantiser | (batch, 8, 8, size) | another order of numbers |
# | a cache | room for the line, and a slice | room for the line, and a mask | in a graph, each length is a new graph |
# | LayerNorm's epsilon, GELU | 1e-5, exact | 1e-3: set to 1e-5; exact as an activation | another network (lesson 8) |

# %% [markdown] tags=["tensorflow"]
# | | Keras / TensorFlow | PyTorch | why it matters |
# |---|---|---|---|
# | gradient of rounding | `None` | zeros | nothing before it learns; Keras' optimizer warns, PyTorch says nothing |
# | forwards this, backwards that | `tf.stop_gradient` | `.detach()` | straight-through |
# | gradient of the codebook | `IndexedSlices`: made dense before Adam | dense | else Adam squares each choice of a code, not their sum (lesson 8) |
# | arrays that are no weights | NumPy constants, cast to the layer's type | `register_buffer`: they follow `.to(device)` | device; type |
# | places of a map | (batch, 8, 8, size) | (batch, size, 8, 8): permuted for the quantiser | another order of numbers |
# | a cache | room for the line, and a mask | room for the line, and a slice | in a graph, each length is a new graph |
# | LayerNorm's epsilon, GELU | 1e-3: set to 1e-5; exact as an activation | 1e-5, exact | another network (lesson 8) |

# %% [markdown]
# ## Exercises
#
# Twenty minutes for the first; the others, together as long again, are *optional*.
# Each check prints one line; the last, when all is right, says more.

# %% tags=["pytorch", "classroom"]
from tandem.exercises import attempt
from tandem.pytorch import gradient_on_arrays, on_arrays


def numbers_in(tensor):
    return tensor.numpy(force=True)

# %% tags=["tensorflow", "classroom"]
from tandem.exercises import attempt
from tandem.tensorflow import gradient_on_arrays, on_arrays


def numbers_in(tensor):
    return tensor.numpy()

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the vector quantiser with your own hands, from nothing: no class of ours, no `straight_through`.
#
# `quantise(latents, codebook)` takes the encoder's vectors, of shape (n, size), and a codebook (codes, size).
# It returns three things: the vectors that go to the decoder, (n, size); the codes that were chosen, of each vector the nearest, (n,), whole numbers; and the quantiser's loss, one number: mean square of code to latent that moves the **codebook** only, plus a quarter of the mean square that moves the **latents** only.
# Backwards, what reaches the first result goes on to the latents as if nothing had been rounded, and to nothing else.

# %% [markdown] tags=["hint"]
# Three steps: distances of all latents to all codes, (n, codes); the place of the smallest in each row; the rows of the codebook at these places.

# %% [markdown] tags=["hint"]
# Everything about gradients is a question of where to stop them (`.detach()`, `tf.stop_gradient`): once in each of three terms.

# %% tags=["pytorch", "solution"]
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    ### BEGIN SOLUTION
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).mean())
    return latents + (nearest - latents).detach(), codes, loss
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    ### BEGIN SOLUTION
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((nearest - stop(latents)) ** 2)
            + 0.25 * tf.reduce_mean((latents - stop(nearest)) ** 2))
    return latents + stop(nearest - latents), codes, loss
    ### END SOLUTION

# %% [markdown]
# The check gives it six vectors and four codes, and knows all answers in NumPy, those of the gradients too.

# %% tags=["classroom", "folded"]
def total_of(answer):
    """`answer`'s first result, each number squared, as one number."""
    return lambda latents, codebook, rows, columns: (
        rows @ answer(latents, codebook)[0] ** 2 @ columns)[0, 0]


def total_by_book(answer):
    """The same plus the codebook's numbers, which have the gradient 1."""
    return lambda codebook, latents, rows, columns, others: (
        rows @ answer(latents, codebook)[0] ** 2 @ columns
        + others @ codebook @ columns)[0, 0]


def loss_by_latents(answer):
    return lambda latents, codebook: answer(latents, codebook)[2]


def loss_by_codebook(answer):
    return lambda codebook, latents: answer(latents, codebook)[2]


def ones_around(array):
    rows, columns = array.shape
    return np.ones((1, rows), "float32"), np.ones((columns, 1), "float32")

# %% [markdown]
# First forwards, then backwards:

# %% tags=["check"]
rng = np.random.default_rng(24)
some, book = np.split(rng.normal(size=(10, 3)).astype("float32"), [6])
rights = ((some[:, None] - book) ** 2).sum(-1).argmin(1)
apart, given = book[rights] - some, on_arrays(quantise, some, book)
shape = [*map(np.shape, given)] if np.iterable(given) else []
assert shape == [(6, 3), (6,), ()], f"shapes {shape}, not (6, 3), (6,), ()"
passed, codes, loss = map(np.asarray, given)
right = codes.dtype.kind in "iu" and np.array_equal(codes, rights)
assert right, f"the nearest codes are {rights}, whole numbers, not {codes}"
assert np.allclose(passed, book[rights], 0, 1e-6), "not the chosen codes"
wanted = 1.25 * (apart**2).mean()
assert np.isclose(loss, wanted), f"loss is {wanted:.4f}, not {loss:.3f}"
rest = *ones_around(some), np.ones((1, 4), "float32")
for function, by, others, wanted, wrong in (
        (total_of, some, (book, *rest[:2]), 2 * book[rights],
         "backwards: not as if nothing had been rounded"),
        (total_by_book, book, (some, *rest), 1,
         "what reaches the first result moves the codebook as well"),
        (loss_by_latents, some, (book,), -apart / 36,
         "the latents: not moved by a quarter of the square alone"),
        (loss_by_codebook, book, (some,), np.eye(4)[:, rights] @ apart / 9,
         "the codebook: not moved by the first mean square alone")):
    slope = gradient_on_arrays(function(quantise), by, *others)
    assert np.allclose(slope, wanted, 0, 1e-5), wrong

# %% tags=["hidden"]
rng = np.random.default_rng(4711)
vectors = rng.normal(size=(50, 8)).astype("float32")
book = rng.normal(size=(20, 8)).astype("float32")
rights = ((vectors[:, None] - book) ** 2).sum(-1).argmin(1)
passed, codes, loss = on_arrays(quantise, vectors, book)
assert np.array_equal(codes, rights), "other codes"
assert np.isclose(loss, 1.25 * ((vectors - book[rights]) ** 2).mean()), (
    "fifty vectors of eight numbers: the loss is no mean")
total = total_of(quantise)
slope = gradient_on_arrays(total, vectors, book, *ones_around(vectors))
assert np.allclose(slope, 2 * book[rights], atol=1e-4), (
    "no straight-through gradient")

# %% tags=["pytorch", "wrong"] mistake="stops nothing in the loss"
def quantise(latents, codebook):
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = 1.25 * ((nearest - latents) ** 2).mean()
    return latents + (nearest - latents).detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="stops nothing in the loss"
def quantise(latents, codebook):
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    loss = 1.25 * tf.reduce_mean((nearest - latents) ** 2)
    return latents + tf.stop_gradient(nearest - latents), codes, loss

# %% tags=["pytorch", "wrong"] mistake="the quarter at the wrong term"
def quantise(latents, codebook):
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (0.25 * ((nearest - latents.detach()) ** 2).mean()
            + ((latents - nearest.detach()) ** 2).mean())
    return latents + (nearest - latents).detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="the quarter at the wrong term"
def quantise(latents, codebook):
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (0.25 * tf.reduce_mean((nearest - stop(latents)) ** 2)
            + tf.reduce_mean((latents - stop(nearest)) ** 2))
    return latents + stop(nearest - latents), codes, loss

# %% tags=["pytorch", "wrong"] mistake="no straight-through"
def quantise(latents, codebook):
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).mean())
    return nearest, codes, loss

# %% tags=["tensorflow", "wrong"] mistake="no straight-through"
def quantise(latents, codebook):
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((nearest - stop(latents)) ** 2)
            + 0.25 * tf.reduce_mean((latents - stop(nearest)) ** 2))
    return nearest, codes, loss

# %% tags=["pytorch", "wrong"] mistake="the decoder's gradient moves the codebook"
def quantise(latents, codebook):
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).mean())
    return nearest + latents - latents.detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="the decoder's gradient moves the codebook"
def quantise(latents, codebook):
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((nearest - stop(latents)) ** 2)
            + 0.25 * tf.reduce_mean((latents - stop(nearest)) ** 2))
    return nearest + latents - stop(latents), codes, loss

# %% tags=["pytorch", "wrong"] mistake="takes the nearest by absolute differences"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    codes = torch.cdist(latents, codebook, p=1).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).mean())
    return latents + (nearest - latents).detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="takes the nearest by absolute differences"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(tf.abs(apart), axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((nearest - stop(latents)) ** 2)
            + 0.25 * tf.reduce_mean((latents - stop(nearest)) ** 2))
    return latents + stop(nearest - latents), codes, loss

# %% tags=["pytorch", "wrong"] mistake="takes the largest product for the nearest"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    codes = (latents @ codebook.T).argmax(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).mean())
    return latents + (nearest - latents).detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="takes the largest product for the nearest"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    codes = tf.argmax(latents @ tf.transpose(codebook), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((nearest - stop(latents)) ** 2)
            + 0.25 * tf.reduce_mean((latents - stop(nearest)) ** 2))
    return latents + stop(nearest - latents), codes, loss

# %% tags=["pytorch", "wrong"] mistake="adds up over the numbers of a vector"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).sum(1).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).sum(1).mean())
    return latents + (nearest - latents).detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="adds up over the numbers of a vector"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean(tf.reduce_sum((nearest - stop(latents)) ** 2, 1))
            + 0.25 * tf.reduce_mean(tf.reduce_sum((latents - stop(nearest)) ** 2, 1)))
    return latents + stop(nearest - latents), codes, loss

# %% tags=["pytorch", "wrong"] mistake="gives the codes as floats"
def quantise(latents, codebook):
    """(vectors for the decoder, codes.float(), loss)"""
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).mean())
    return latents + (nearest - latents).detach(), codes.float(), loss

# %% tags=["tensorflow", "wrong"] mistake="gives the codes as floats"
def quantise(latents, codebook):
    """(vectors for the decoder, tf.cast(codes, latents.dtype), loss)"""
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((nearest - stop(latents)) ** 2)
            + 0.25 * tf.reduce_mean((latents - stop(nearest)) ** 2))
    return latents + stop(nearest - latents), tf.cast(codes, latents.dtype), loss

# %% tags=["pytorch", "wrong"] mistake="returns the loss before the codes"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).mean()
            + 0.25 * ((latents - nearest.detach()) ** 2).mean())
    return latents + (nearest - latents).detach(), loss, codes

# %% tags=["tensorflow", "wrong"] mistake="returns the loss before the codes"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((nearest - stop(latents)) ** 2)
            + 0.25 * tf.reduce_mean((latents - stop(nearest)) ** 2))
    return latents + stop(nearest - latents), loss, codes

# %% tags=["pytorch", "wrong"] mistake="stops the other side of each term"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest.detach() - latents) ** 2).mean()
            + 0.25 * ((latents.detach() - nearest) ** 2).mean())
    return latents + (nearest - latents).detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="stops the other side of each term"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (tf.reduce_mean((stop(nearest) - latents) ** 2)
            + 0.25 * tf.reduce_mean((stop(latents) - nearest) ** 2))
    return latents + stop(nearest - latents), codes, loss

# %% tags=["pytorch", "wrong"] mistake="divides by the eighteen numbers of the example"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    codes = torch.cdist(latents, codebook).argmin(1)
    nearest = codebook[codes]
    loss = (((nearest - latents.detach()) ** 2).sum() / 18
            + 0.25 * ((latents - nearest.detach()) ** 2).sum() / 18)
    return latents + (nearest - latents).detach(), codes, loss

# %% tags=["tensorflow", "wrong"] mistake="divides by the eighteen numbers of the example"
def quantise(latents, codebook):
    """(vectors for the decoder, codes, loss)"""
    apart = latents[:, None] - codebook
    codes = tf.argmin(tf.reduce_sum(apart**2, axis=-1), axis=1)
    nearest = tf.gather(codebook, codes)
    stop = tf.stop_gradient
    loss = (1 / 18 * tf.reduce_sum((nearest - stop(latents)) ** 2)
            + 0.25 * 1 / 18 * tf.reduce_sum((latents - stop(nearest)) ** 2))
    return latents + stop(nearest - latents), codes, loss

# %% [markdown] tags=["exercise"] exercise="guided" points=3
# ### Exercise 2: guidance and top-k *(optional)*
#
# Write `probabilities(given, hidden, guidance, top_k)`: from the logits with the caption and with the caption hidden, each (n, codes), the probabilities (n, codes) by which to draw.
# First guidance, then only the `top_k` largest of each row (the others get 0, however small all logits are), then softmax, for large logits, too.
# With this framework's operations, and without `choose`.

# %% [markdown] tags=["hint"]
# The k-th largest logit of a row is the last of `topk(…)` (TensorFlow: `tf.math.top_k(…)`); what is below it becomes $-\infty$, before softmax.

# %% tags=["pytorch", "solution"]
def probabilities(given, hidden, guidance, top_k):
    ### BEGIN SOLUTION
    logits = hidden + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    return logits.masked_fill(logits < least, float("-inf")).softmax(1)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def probabilities(given, hidden, guidance, top_k):
    ### BEGIN SOLUTION
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    kept = tf.where(logits < least, tf.constant(-np.inf, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)
    ### END SOLUTION

# %% [markdown]
# The check: two rows of four codes.

# %% tags=["check"]
given = np.array([[2.0, 1.0, 0.0, -1.0], [0.0, 3.0, 1.0, 2.0]], "float32")
hidden = np.array([[1, -1, 0.5, 0], [0, 2.25, -1, 0.25]], "float32")
plain = np.exp(given) / np.exp(given).sum(1, keepdims=True)
answer = on_arrays(probabilities, given + 100, hidden + 100, 1.0, 4)
shape = np.shape(answer)
assert shape == (2, 4), f"(2, 4) is wanted, not {shape}"
assert np.allclose(answer.sum(1), 1, atol=1e-6), (
    f"rows add up to {answer.sum(1)}, not 1: do large logits overflow?")
assert (answer > 0).all(), "all four codes are allowed; some are left out"
assert np.allclose(answer, plain, atol=1e-6), (
    "with guidance 1 and all codes allowed it is softmax of the first")
logits = hidden + 3 * (given - hidden)
wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
answer = on_arrays(probabilities, given, hidden, 3.0, 4)
assert np.allclose(answer, wanted, atol=1e-6), (
    f"guidance 3: row 1 is {wanted[0].round(3)}, not {answer[0].round(3)}")
answer = on_arrays(probabilities, given, hidden, 3.0, 2)
allowed = np.where(logits >= np.sort(logits)[:, [-2]], wanted, 0)
assert (answer > 0).sum(1).tolist() == [2, 2], (
    f"top-k 2 leaves two codes in each row, not {(answer > 0).sum(1)}")
assert np.allclose(answer.sum(1), 1, atol=1e-6), (
    f"what is left has to add up to 1, not {answer.sum(1)}")
assert np.allclose(answer, allowed / allowed.sum(1, keepdims=True),
                   atol=1e-6), "top-k: of the guided logits, not before"

# %% tags=["hidden"]
rng = np.random.default_rng(4711)
given, hidden = rng.normal(size=(2, 30, 40)).astype("float32")
logits = hidden + 2.5 * (given - hidden)
kept = np.where(logits >= np.sort(logits)[:, [-7]], np.exp(logits), 0)
answer = on_arrays(probabilities, given, hidden, 2.5, 7)
assert np.allclose(answer, kept / kept.sum(1, keepdims=True), atol=1e-5), (
    "other probabilities")
answer = on_arrays(probabilities, 100 * given, 100 * hidden, 2.5, 7)
assert np.allclose(answer.sum(1), 1, atol=1e-5), "large logits overflow: leave the exponentials to softmax"
answer = on_arrays(probabilities, given - 500, hidden - 500, 2.5, 7)
assert ((answer > 0).sum(1) == 7).all(), "where all logits are far below 0, others are drawn: hide them with -inf"

# %% tags=["pytorch", "wrong"] mistake="writes softmax out, which overflows"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    kept = logits.exp() * (logits >= least)
    return kept / kept.sum(1, keepdim=True)

# %% tags=["tensorflow", "wrong"] mistake="writes softmax out, which overflows"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    kept = tf.exp(logits) * tf.cast(logits >= least, logits.dtype)
    return kept / tf.reduce_sum(kept, 1, keepdims=True)

# %% tags=["pytorch", "wrong"] mistake="does not renormalise"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    return logits.softmax(1) * (logits >= least)

# %% tags=["tensorflow", "wrong"] mistake="does not renormalise"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    allowed = tf.cast(logits >= least, logits.dtype)
    return tf.nn.softmax(logits, axis=1) * allowed

# %% tags=["pytorch", "wrong"] mistake="guides from the caption's side"
def probabilities(given, hidden, guidance, top_k):
    logits = given + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    return logits.masked_fill(logits < least, float("-inf")).softmax(1)

# %% tags=["tensorflow", "wrong"] mistake="guides from the caption's side"
def probabilities(given, hidden, guidance, top_k):
    logits = given + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    kept = tf.where(logits < least, tf.constant(-np.inf, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)

# %% tags=["pytorch", "wrong"] mistake="lets top-k choose before guidance"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = given.topk(top_k, dim=1).values[:, -1:]
    return logits.masked_fill(given < least, float("-inf")).softmax(1)

# %% tags=["tensorflow", "wrong"] mistake="lets top-k choose before guidance"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(given, top_k).values[:, -1:]
    kept = tf.where(given < least, tf.constant(-np.inf, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)

# %% tags=["pytorch", "wrong"] mistake="takes the first row's threshold for all"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[0, -1]
    return logits.masked_fill(logits < least, float("-inf")).softmax(1)

# %% tags=["tensorflow", "wrong"] mistake="takes the first row's threshold for all"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[0, -1]
    kept = tf.where(logits < least, tf.constant(-np.inf, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)

# %% tags=["pytorch", "wrong"] mistake="puts 0 in place of what is hidden"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    return logits.masked_fill(logits < least, 0.0).softmax(1)

# %% tags=["tensorflow", "wrong"] mistake="puts 0 in place of what is hidden"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    kept = tf.where(logits < least, tf.constant(0.0, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)

# %% tags=["pytorch", "wrong"] mistake="keeps one code too few"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    return logits.masked_fill(logits <= least, float("-inf")).softmax(1)

# %% tags=["tensorflow", "wrong"] mistake="keeps one code too few"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    kept = tf.where(logits <= least, tf.constant(-np.inf, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)

# %% tags=["pytorch", "wrong"] mistake="guides with the caption's logits alone"
def probabilities(given, hidden, guidance, top_k):
    logits = guidance * given
    least = logits.topk(top_k, dim=1).values[:, -1:]
    return logits.masked_fill(logits < least, float("-inf")).softmax(1)

# %% tags=["tensorflow", "wrong"] mistake="guides with the caption's logits alone"
def probabilities(given, hidden, guidance, top_k):
    logits = guidance * given
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    kept = tf.where(logits < least, tf.constant(-np.inf, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)

# %% tags=["pytorch", "wrong"] mistake="hides with a number that is not low enough"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = logits.topk(top_k, dim=1).values[:, -1:]
    return logits.masked_fill(logits < least, -300.0).softmax(1)

# %% tags=["tensorflow", "wrong"] mistake="hides with a number that is not low enough"
def probabilities(given, hidden, guidance, top_k):
    logits = hidden + guidance * (given - hidden)
    least = tf.math.top_k(logits, top_k).values[:, -1:]
    kept = tf.where(logits < least, tf.constant(-300.0, logits.dtype), logits)
    return tf.nn.softmax(kept, axis=1)

# %% [markdown] tags=["exercise"] exercise="digits" points=3
# ### Exercise 3: codes are numbers with three digits *(optional)*
#
# Write FSQ's arithmetic for any levels: `encode_scalars(latents, levels)` takes (n, len(levels)) numbers and a tuple such as (8, 6, 5), and returns the values for the decoder, from −1 to 1, and the codes (n,), whole numbers.
# The first digit counts most.
# Backwards, the values have the slope of tanh, and the rounding is not felt.

# %% [markdown] tags=["hint"]
# A code from its digits without place values: begin with 0, and for each digit multiply by its levels and add it.

# %% tags=["pytorch", "solution"]
def encode_scalars(latents, levels):
    ### BEGIN SOLUTION
    top = torch.tensor(levels).to(latents) - 1
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T, levels):
        codes = codes * count + digit
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes.long()
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def encode_scalars(latents, levels):
    ### BEGIN SOLUTION
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.round(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1), levels):
        codes = codes * count + digit
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, tf.cast(codes, "int64")
    ### END SOLUTION

# %% [markdown]
# The check: extreme vectors, whose codes must be 0 and the last one; random ones; and the gradient.

# %% tags=["classroom", "folded"]
def sum_of(answer):
    def total(latents, levels, rows, columns):
        return (rows @ answer(latents, levels)[0] @ columns)[0, 0]

    return total

# %% [markdown]
# With (8, 6, 5), the code of digits 0, 5, 0 is 0·30 + 5·5 + 0 = 25.

# %% tags=["check"]
ends = np.array([[-9, -9, -9], [9, 9, 9], [-9, 9, -9]], "float32")
given = on_arrays(encode_scalars, ends, (8, 6, 5))
shapes = [*map(np.shape, given)] if np.iterable(given) else []
assert shapes == [(3, 3), (3,)], (
    f"values (3, 3) and codes (3,) are wanted, not the shapes {shapes}")
values, codes = map(np.asarray, given)
assert codes.tolist() == [0, 239, 25], (
    f"the codes are [0, 239, 25] (25 is 0·30 + 5·5 + 0), not {codes}")
assert codes.dtype.kind in "iu", (
    f"codes are whole numbers, not {codes.dtype}")
assert np.allclose(values, np.sign(ends), atol=1e-3), (
    "the ends of each range are -1 and 1")
some = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
digits = np.round((np.tanh(some) + 1) / 2 * [3, 2])
values, codes = map(np.asarray, on_arrays(encode_scalars, some, (4, 3)))
assert np.allclose(values, digits / [1.5, 1] - 1, atol=1e-5), (
    "levels (4, 3): other values; tanh, then the nearest of 4 and of 3?")
assert np.array_equal(codes, digits @ [3, 1]), "levels (4, 3): other codes"
slope = gradient_on_arrays(sum_of(encode_scalars), some, (4, 3),
                           *ones_around(some))
assert np.allclose(slope, 1 - np.tanh(some) ** 2, atol=1e-5), (
    "the gradient is not tanh's, 1 - tanh²: nothing else may be felt")

# %% tags=["hidden"]
some = np.random.default_rng(4711).normal(size=(90, 4)).astype("float32")
levels, digits = (5, 3, 2, 7), np.zeros((90, 4))
for place, count in enumerate(levels):
    squashed = (np.tanh(some[:, place]) + 1) / 2 * (count - 1)
    digits[:, place] = squashed.round()
_, codes = on_arrays(encode_scalars, some, levels)
assert np.array_equal(codes, digits @ [42, 14, 7, 1]), "four levels"

# %% tags=["pytorch", "wrong"] mistake="rounds without straight-through"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    digits = ((torch.tanh(latents) + 1) / 2 * top).round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T, levels):
        codes = codes * count + digit
    return 2 * digits / top - 1, codes.long()

# %% tags=["tensorflow", "wrong"] mistake="rounds without straight-through"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    digits = tf.round((tf.tanh(latents) + 1) / 2 * top)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1), levels):
        codes = codes * count + digit
    return 2 * digits / top - 1, tf.cast(codes, "int64")

# %% tags=["pytorch", "wrong"] mistake="the last digit counts most"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T.flip(0), levels[::-1]):
        codes = codes * count + digit
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes.long()

# %% tags=["tensorflow", "wrong"] mistake="the last digit counts most"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.round(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1)[::-1], levels[::-1]):
        codes = codes * count + digit
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, tf.cast(codes, "int64")

# %% tags=["pytorch", "wrong"] mistake="counts one level too many"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents)
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T, levels):
        codes = codes * count + digit
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes.long()

# %% tags=["tensorflow", "wrong"] mistake="counts one level too many"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype)
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.round(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1), levels):
        codes = codes * count + digit
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, tf.cast(codes, "int64")

# %% tags=["pytorch", "wrong"] mistake="rounds down"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.floor()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T, levels):
        codes = codes * count + digit
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes.long()

# %% tags=["tensorflow", "wrong"] mistake="rounds down"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.floor(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1), levels):
        codes = codes * count + digit
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, tf.cast(codes, "int64")

# %% tags=["pytorch", "wrong"] mistake="clips in place of tanh"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    values = (latents.clamp(-1, 1) + 1) / 2 * top
    digits = values.round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T, levels):
        codes = codes * count + digit
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes.long()

# %% tags=["tensorflow", "wrong"] mistake="clips in place of tanh"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.clip_by_value(latents, -1, 1) + 1) / 2 * top
    digits = tf.round(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1), levels):
        codes = codes * count + digit
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, tf.cast(codes, "int64")

# %% tags=["pytorch", "wrong"] mistake="looks away from tanh, too"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T, levels):
        codes = codes * count + digit
    ends = 2 * digits / top - 1
    return latents + (ends - latents).detach(), codes.long()

# %% tags=["tensorflow", "wrong"] mistake="looks away from tanh, too"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.round(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1), levels):
        codes = codes * count + digit
    ends = 2 * digits / top - 1
    return latents + tf.stop_gradient(ends - latents), tf.cast(codes, "int64")

# %% tags=["pytorch", "wrong"] mistake="takes the lesson's place values"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.round()
    codes = digits @ torch.tensor([30.0, 5.0, 1.0])[-len(levels):].to(latents)
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes.long()

# %% tags=["tensorflow", "wrong"] mistake="takes the lesson's place values"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.round(values)
    values_of_places = tf.constant([30.0, 5.0, 1.0], latents.dtype)
    codes = tf.reduce_sum(digits * values_of_places[-len(levels):], 1)
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, tf.cast(codes, "int64")

# %% tags=["pytorch", "wrong"] mistake="gives the codes as floats"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T, levels):
        codes = codes * count + digit
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes

# %% tags=["tensorflow", "wrong"] mistake="gives the codes as floats"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.round(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1), levels):
        codes = codes * count + digit
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, codes

# %% tags=["pytorch", "wrong"] mistake="reads three digits and no more"
def encode_scalars(latents, levels):
    top = torch.tensor(levels).to(latents) - 1
    values = (torch.tanh(latents) + 1) / 2 * top
    digits = values.round()
    codes = torch.zeros_like(digits[:, 0])
    for digit, count in zip(digits.T[:3], levels):
        codes = codes * count + digit
    passed_on = values + (digits - values).detach()
    return 2 * passed_on / top - 1, codes.long()

# %% tags=["tensorflow", "wrong"] mistake="reads three digits and no more"
def encode_scalars(latents, levels):
    top = tf.constant(levels, latents.dtype) - 1
    values = (tf.tanh(latents) + 1) / 2 * top
    digits = tf.round(values)
    codes = tf.zeros_like(digits[:, 0])
    for digit, count in zip(tf.unstack(digits, axis=1)[:3], levels):
        codes = codes * count + digit
    passed_on = values + tf.stop_gradient(digits - values)
    return 2 * passed_on / top - 1, tf.cast(codes, "int64")

# %% [markdown] tags=["exercise"] exercise="reader" points=3
# ### Exercise 4: the painter as a reader *(optional)*
#
# A network that knows how likely a picture is after a caption can also be asked the other way: *which of these captions belongs to this picture?*
# The one after which the picture is least surprising.
#
# Write `surprise(painter, codes, captions)`: `codes` (NumPy) are the 64 of one picture, `captions` an array (n, 8) of candidates as tokens, and the answer is a NumPy array (n,), no tensor: the mean loss in nats a code of this picture after each caption.
# All candidates go through the network at once, and `codes` and `captions` stay as they are.

# %% tags=["classroom", "folded"]
trained = data.emoji_dalle()
trained_painter = build_painter(trained["painter"])
trained_tokenizer = build_scalar_tokenizer(trained["tokenizer"])
candidates = np.array([number for number, caption in enumerate(captions)
                       if caption[0] == "noto" and caption[1] == "clock"
                       and caption[2] == "face"])


def codes_of_numbers(numbers):
    images, _ = to_tensors(scaled(pictures[numbers]), np.zeros(1))
    return numbers_in(encode_pictures(trained_tokenizer, images))


def surprise_of_one(number, codes):
    _, words = to_tensors(np.zeros((1, 1, 1, 1)), caption_tokens[[number]])
    _, codes = to_tensors(np.zeros((1, 1, 1, 1)), codes[None])
    return float(numbers_in(painter_loss(trained_painter, words, codes)))

# %% [markdown]
# The check hands it three of Noto's clock faces, two of them held out, and says at which place among all 24 captions yours puts the true one.

# %% [markdown] tags=["hint"]
# Repeat the codes n times, and do what `painter_loss` does; but keep a loss for each code (`reduction="none"`, or the function instead of the class in Keras), and average over the 64 only.

# %% tags=["pytorch", "solution"]
def surprise(painter, codes, captions):
    ### BEGIN SOLUTION
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    line = torch.cat([words, len(vocabulary) + wanted], 1)
    with torch.inference_mode():
        logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
        losses = F.cross_entropy(logits.transpose(1, 2), wanted,
                                 reduction="none")
    return losses.mean(1).numpy(force=True)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def surprise(painter, codes, captions):
    ### BEGIN SOLUTION
    wanted = np.tile(codes, (len(captions), 1))
    line = np.concatenate([captions, len(vocabulary) + wanted], axis=1)
    logits = painter(tf.constant(line[:, :-1]))[:, CAPTION_LENGTH - 1 :]
    losses = keras.losses.sparse_categorical_crossentropy(
        wanted, logits, from_logits=True)
    return tf.reduce_mean(losses, axis=1).numpy()
    ### END SOLUTION

# %% [markdown]
# It compares your numbers with the loss of one candidate after the other.

# %% tags=["check"]
asked, calls = [0, 3, 8], []  # the last two were never shown
counted = type("Counted", (), {
    "__call__": lambda self, *tokens, **how: calls.append(1) or (
        trained_painter(*tokens, **how)),
    "__getattr__": lambda self, name: getattr(trained_painter, name)})()
for number, picture in zip(asked, codes_of_numbers(candidates[asked])):
    words, before = caption_tokens[candidates], picture.copy()
    given = surprise(counted, picture, words)
    kind, shape = type(given).__name__, np.shape(given)
    assert kind == "ndarray" and shape == (len(candidates),), (
        f"a NumPy array of shape ({len(candidates)},) is wanted, not "
        f"{kind} of shape {shape}")
    assert np.array_equal(picture, before), "leave `codes` as they are"
    assert np.ptp(given) > 0, "all captions alike: average the 64 only"
    wanted = [surprise_of_one(one, picture) for one in candidates[:6]]
    assert not np.allclose(given[:6], 64 * np.array(wanted), rtol=1e-3), (
        "the mean of the 64 codes is wanted, not their sum")
    assert np.allclose(given[:6], wanted, atol=1e-3), (
        f"the first three are {np.round(wanted[:3], 3)}, not "
        f"{np.round(given[:3], 3)}: a wrong place, or numbers of words?")
    assert len(calls) < 2, f"asked {len(calls)} times: take all at once"
    calls.clear()
    place = 1 + (given < given[number]).sum()
    print(" ".join(captions[candidates[number]]), "is at place", place)

# %% tags=["hidden"]
codes = codes_of_numbers(candidates[-2:])
for picture in codes:
    given = surprise(trained_painter, picture, caption_tokens[candidates])
    wanted = [surprise_of_one(one, picture) for one in candidates]
    assert np.allclose(given, wanted, atol=1e-3), "other numbers"
    given = surprise(trained_painter, picture, caption_tokens[candidates[:5]])
    assert np.shape(given) == (5,) and np.allclose(given, wanted[:5], atol=1e-3), "five captions, other numbers"

# %% tags=["pytorch", "wrong"] mistake="averages over the candidates"
def surprise(painter, codes, captions):
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    loss = painter_loss(painter, words, wanted)
    return np.full(len(captions), loss.item())

# %% tags=["tensorflow", "wrong"] mistake="averages over the candidates"
def surprise(painter, codes, captions):
    wanted = tf.constant(np.tile(codes, (len(captions), 1)))
    loss = painter_loss(painter, tf.constant(captions), wanted)
    return np.full(len(captions), float(loss))

# %% tags=["pytorch", "wrong"] mistake="a place too late"
def surprise(painter, codes, captions):
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    line = torch.cat([words, len(vocabulary) + wanted], 1)
    with torch.inference_mode():
        logits = painter(line[:, :-1])[:, CAPTION_LENGTH:]
        losses = F.cross_entropy(logits.transpose(1, 2), wanted[:, :-1],
                                 reduction="none")
    return losses.mean(1).numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="a place too late"
def surprise(painter, codes, captions):
    wanted = np.tile(codes, (len(captions), 1))
    line = np.concatenate([captions, len(vocabulary) + wanted], axis=1)
    logits = painter(tf.constant(line[:, :-1]))[:, CAPTION_LENGTH:]
    losses = keras.losses.sparse_categorical_crossentropy(
        wanted[:, :-1], logits, from_logits=True)
    return tf.reduce_mean(losses, axis=1).numpy()

# %% tags=["pytorch", "wrong"] mistake="adds up over the codes"
def surprise(painter, codes, captions):
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    line = torch.cat([words, len(vocabulary) + wanted], 1)
    with torch.inference_mode():
        logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
        losses = F.cross_entropy(logits.transpose(1, 2), wanted,
                                 reduction="none")
    return losses.sum(1).numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="adds up over the codes"
def surprise(painter, codes, captions):
    wanted = np.tile(codes, (len(captions), 1))
    line = np.concatenate([captions, len(vocabulary) + wanted], axis=1)
    logits = painter(tf.constant(line[:, :-1]))[:, CAPTION_LENGTH - 1 :]
    losses = keras.losses.sparse_categorical_crossentropy(
        wanted, logits, from_logits=True)
    return tf.reduce_sum(losses, axis=1).numpy()

# %% tags=["pytorch", "wrong"] mistake="asks one caption after the other"
def surprise(painter, codes, captions):
    codes, found = torch.as_tensor(codes, device=device)[None], []
    with torch.inference_mode():
        for words in torch.as_tensor(captions, device=device):
            found.append(painter_loss(painter, words[None], codes).item())
    return np.array(found)

# %% tags=["tensorflow", "wrong"] mistake="asks one caption after the other"
def surprise(painter, codes, captions):
    codes, found = tf.constant(codes)[None], []
    for words in tf.constant(captions):
        found.append(float(painter_loss(painter, words[None], codes)))
    return np.array(found)

# %% tags=["pytorch", "wrong"] mistake="changes the codes that come in"
def surprise(painter, codes, captions):
    codes += len(vocabulary)
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    line = torch.cat([words, wanted], 1)
    wanted = wanted - len(vocabulary)
    with torch.inference_mode():
        logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
        losses = F.cross_entropy(logits.transpose(1, 2), wanted,
                                 reduction="none")
    return losses.mean(1).numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="changes the codes that come in"
def surprise(painter, codes, captions):
    codes += len(vocabulary)
    wanted = np.tile(codes, (len(captions), 1))
    line = np.concatenate([captions, wanted], axis=1)
    wanted = wanted - len(vocabulary)
    logits = painter(tf.constant(line[:, :-1]))[:, CAPTION_LENGTH - 1 :]
    losses = keras.losses.sparse_categorical_crossentropy(
        wanted, logits, from_logits=True)
    return tf.reduce_mean(losses, axis=1).numpy()

# %% tags=["pytorch", "wrong"] mistake="reads codes as words"
def surprise(painter, codes, captions):
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    line = torch.cat([words, wanted], 1)
    with torch.inference_mode():
        logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
        losses = F.cross_entropy(logits.transpose(1, 2), wanted,
                                 reduction="none")
    return losses.mean(1).numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="reads codes as words"
def surprise(painter, codes, captions):
    wanted = np.tile(codes, (len(captions), 1))
    line = np.concatenate([captions, wanted], axis=1)
    logits = painter(tf.constant(line[:, :-1]))[:, CAPTION_LENGTH - 1 :]
    losses = keras.losses.sparse_categorical_crossentropy(
        wanted, logits, from_logits=True)
    return tf.reduce_mean(losses, axis=1).numpy()

# %% tags=["pytorch", "wrong"] mistake="returns a tensor"
def surprise(painter, codes, captions):
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    line = torch.cat([words, len(vocabulary) + wanted], 1)
    with torch.inference_mode():
        logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
        losses = F.cross_entropy(logits.transpose(1, 2), wanted,
                                 reduction="none")
    return losses.mean(1)

# %% tags=["tensorflow", "wrong"] mistake="returns a tensor"
def surprise(painter, codes, captions):
    wanted = np.tile(codes, (len(captions), 1))
    line = np.concatenate([captions, len(vocabulary) + wanted], axis=1)
    logits = painter(tf.constant(line[:, :-1]))[:, CAPTION_LENGTH - 1 :]
    losses = keras.losses.sparse_categorical_crossentropy(
        wanted, logits, from_logits=True)
    return tf.reduce_mean(losses, axis=1)

# %% tags=["pytorch", "wrong"] mistake="fills up to twenty-four captions"
def surprise(painter, codes, captions):
    captions = np.resize(captions, (24, CAPTION_LENGTH))
    words = torch.as_tensor(captions, device=device)
    wanted = torch.as_tensor(codes, device=device).expand(len(words), -1)
    line = torch.cat([words, len(vocabulary) + wanted], 1)
    with torch.inference_mode():
        logits = painter(line[:, :-1])[:, CAPTION_LENGTH - 1 :]
        losses = F.cross_entropy(logits.transpose(1, 2), wanted,
                                 reduction="none")
    return losses.mean(1).numpy(force=True)

# %% tags=["tensorflow", "wrong"] mistake="fills up to twenty-four captions"
def surprise(painter, codes, captions):
    captions = np.resize(captions, (24, CAPTION_LENGTH))
    wanted = np.tile(codes, (len(captions), 1))
    line = np.concatenate([captions, len(vocabulary) + wanted], axis=1)
    logits = painter(tf.constant(line[:, :-1]))[:, CAPTION_LENGTH - 1 :]
    losses = keras.losses.sparse_categorical_crossentropy(
        wanted, logits, from_logits=True)
    return tf.reduce_mean(losses, axis=1).numpy()

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - Rounding has no gradient of use; straight-through rounds forwards and looks away backwards.
# - A codebook that learns from what is chosen can collapse, because what is not chosen never learns; FSQ rounds a few numbers instead, and has no list that could die out.
# - Words and a picture's tokens in one line make text-to-image a thing that the GPT of lesson 8 can do; a cache and many lines at once make it quick.
# - Guidance weighs the caption against what would be drawn anyway; top-k cuts off what is unlikely, and a temperature below 1 makes it rarer; none of the three teaches the network anything.
# - Whether a text-to-image model composes is seen where both words of a new pair are right in one picture, against a rival that knows one and guesses the other; one word alone can be recalled.
# - Ours puts tones on figures and colours on shapes, in more than half of its drawings; jobs it recalls, and gender and style it does not carry over.
# - Twins part in float32, and at a quantiser's borders all the more; in float64 they are the same network.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
# Then no bound stops you, and nothing is held against the unaltered twin.
#
# 1. In `starting_tokenizer` give the codebook the spread 0.1 in place of 1.0, and in "Parameters" 2,000 steps to the tokenizers.
#    Do more codes come into use?
# 2. `guidance = 1`, `6`, `20` in "Parameters": what becomes of the share of tone and figure, and of the difference from the truth?
# 3. Draw caption number `n` (any from 0 to 6,353) 24 times, `draw(np.repeat(caption_tokens[[n]], 24, axis=0), temperature=0.3)`, and again at 1 and at 1.5.
# 4. Write wishes of your own in "What it cannot do": words of the vocabulary, at most seven after the style.
#    Find one that works, and one like it that does not.
# 5. Hide the style alone (token 1 in its place).
#    Which style does it take?
#
# ## Read on
#
# - Ramesh and others, *Zero-Shot Text-to-Image Generation* (2021), [arXiv:2102.12092](https://arxiv.org/abs/2102.12092): DALL·E.
# - van den Oord, Vinyals, Kavukcuoglu, *Neural Discrete Representation Learning* (2017), [arXiv:1711.00937](https://arxiv.org/abs/1711.00937): the VQ-VAE.
# - Mentzer and others, *Finite Scalar Quantization: VQ-VAE Made Simple* (2023), [arXiv:2309.15505](https://arxiv.org/abs/2309.15505).
# - Bengio, Léonard, Courville, *Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation* (2013), [arXiv:1308.3432](https://arxiv.org/abs/1308.3432): straight-through.
# - Ho and Salimans, *Classifier-Free Diffusion Guidance* (2022), [arXiv:2207.12598](https://arxiv.org/abs/2207.12598); Gafni and others, *Make-A-Scene* (2022), [arXiv:2203.13131](https://arxiv.org/abs/2203.13131).

# %% [markdown] tags=["pytorch"]
# - PyTorch: [Module.register_buffer](https://docs.pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.register_buffer).

# %% [markdown] tags=["tensorflow"]
# - Keras' own [VQ-VAE example](https://keras.io/examples/generative/vq_vae/); TensorFlow: [tf.stop_gradient](https://www.tensorflow.org/api_docs/python/tf/stop_gradient).

# %% [markdown]
# What is still open?
# Whether much larger networks do anything else than ours, on far more captions, is what people argue about; now you know how one would measure it.
# And networks still mostly end with their notebooks: lesson 16 writes one into files that others can open.
