# ---
# minutes: {read: 55, run: 1, exercises: 35}
# seconds: 45
# memory_mb: 1000
# needs: []
# proof: training
# ---

# %% [markdown]
# # 10 · Autoencoder and VAE: sixteen numbers for a photograph
#
# A network squeezes photographs of clothes into sixteen numbers and back; with one more term in its loss it draws clothes from noise.
#
# - **You will build** an autoencoder, and a variational autoencoder (a VAE) with its two-term loss.
# - **You will learn** what a bottleneck keeps; why one cannot draw from a plain autoencoder's codes just so; how a gradient gets through a random draw; what the second term costs and what happens when it costs too much; why such drawings are blurred.
# - **You need** lesson 2 (training).

# %% [markdown]
# Every network so far answered a question about what it was given.
# None of them made anything.
# This lesson makes pictures in the oldest way that a neural network has: learn to compress them, then feed the decompressor with noise.
# The second half follows Kingma and Welling (2013), and Rezende, Mohamed and Wierstra (2014), who found the same at the same time.
#
# ## Set-up

# %% tags=["pytorch", "network"]
import time
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tandem import FRAMEWORK_NAMES, data, judge, plots, records, weights
from tandem.pytorch import load_weights

framework, other = "pytorch", "tensorflow"
# a GPU where there is one
accelerator = torch.accelerator.current_accelerator(check_available=True)
device = accelerator or torch.device("cpu")

# %% tags=["tensorflow", "network"]
# first: it starts TensorFlow without its log lines
from tandem.tensorflow import load_weights

import math
import time
from itertools import islice

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from tandem import FRAMEWORK_NAMES, data, judge, plots, records, weights

framework, other = "tensorflow", "pytorch"

# %% [markdown]
# ## Parameters

# %% tags=["parameters", "network"]
epochs = 12  # 1 to 200: passes over the photographs
batch_size = 128  # 2 to train_size: photographs a step
learning_rate = 3e-3  # above 0 to 1: of Adam
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.999  # 0 to below 1: and of their squares
epsilon = 1e-7  # above 0 to 1: Keras' default; 1e-8 in PyTorch
latent_size = 16  # 2 to 100: numbers that a photograph is squeezed into
hidden_width = 256  # 1 to 4096: of each network's one hidden layer
kl_weight = 1.0  # 0 to 10000: what the second term counts
train_size = 10_000  # 100 to 10000: photographs
seed = 0  # 0 to 2**32 - 1: of weights, noise and batch order

# %% [markdown]
# Where a result cannot reproduce to the digit on every machine, the lesson *asserts* bounds, for the values above only.

# %% tags=["folded"]
from tandem.parameters import check_parameters

altered = False  # True where you change code: no bound stops you then
parameters_used = check_parameters("10_autoencoder", globals(), altered)
as_shipped = parameters_used["as_shipped"]

# %% [markdown]
# ## Photographs, and noise for later
#
# 28 × 28 pixels, from 0 (black) to 1 (white); the labels stay aside, no network of this lesson sees one.
# Each batch brings noise along, sixteen numbers a photograph.
# The first network ignores it, the second will need it, and it comes from NumPy, so that the twins are given the same.

# %% tags=["network"]
train_known, (test_images, test_labels) = data.fashion_mnist(train_size)
train_images = train_known[0]  # without their labels


def batches(seed, size=latent_size):
    rng = np.random.default_rng((seed, 10))
    order = data.batch_order(len(train_images), batch_size, epochs, seed)
    for chosen in order:
        noise = rng.standard_normal((batch_size, size)).astype("float32")
        yield train_images[chosen], noise

# %% [markdown]
# ## Through a bottleneck
#
# An **autoencoder** is two networks with a narrow place between them.
# The **encoder** turns a photograph into a few numbers, its **code** (also called its *latents*); the **decoder** turns the code into a picture again.
# Nobody says what the numbers should mean.
# The only wish is that the picture which comes out is the one that went in, and 784 numbers do not fit through 16: what is common to all clothes has to go into the weights, and the code has room for what distinguishes this one.
#
# The starting weights, of this network and of the one that follows:

# %% tags=["network"]
def starting_weights(seed, size=latent_size):
    rng, dense = weights.generator(seed), weights.dense
    autoencoder = {
        "squeeze": dense(rng, 784, hidden_width),
        "code": dense(rng, hidden_width, size),
        "unfold": dense(rng, size, hidden_width),
        "paint": dense(rng, hidden_width, 784),
    }
    vae = {
        "squeeze": dense(rng, 784, hidden_width),
        "mean": dense(rng, hidden_width, size),
        "log_variance": dense(rng, hidden_width, size),
        "unfold": dense(rng, size, hidden_width),
        "paint": dense(rng, hidden_width, 784),
    }
    return {"autoencoder": autoencoder, "vae": vae}

# %% [markdown]
# And the network: one hidden layer on each side of the narrow place.
# The decoder puts out one **logit** a pixel; the logistic function (`sigmoid`) will make a brightness between 0 and 1 of it.

# %% tags=["pytorch", "network"]
def make_decoder(size):
    return nn.Sequential(
        nn.Linear(size, hidden_width), nn.ReLU(),
        nn.Linear(hidden_width, 784), nn.Unflatten(1, (28, 28)),
    )


class Autoencoder(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(784, hidden_width), nn.ReLU(),
            nn.Linear(hidden_width, size),
        )
        self.decoder = make_decoder(size)

    def forward(self, images):
        return self.decoder(self.encoder(images))


def build_autoencoder(starting):
    size = len(starting["code"]["bias"])
    return load_weights(Autoencoder(size), starting).to(device)

# %% tags=["tensorflow", "network"]
def make_decoder(size):
    return keras.Sequential([
        keras.Input((size,)),
        layers.Dense(hidden_width, activation="relu", name="unfold"),
        layers.Dense(784, name="paint"),
        layers.Reshape((28, 28)),
    ], name="decoder")


def build_autoencoder(starting):
    size = len(starting["code"]["bias"])
    encoder = keras.Sequential([
        keras.Input((28, 28)), layers.Flatten(),
        layers.Dense(hidden_width, activation="relu", name="squeeze"),
        layers.Dense(size, name="code"),
    ], name="encoder")
    network = keras.Sequential([encoder, make_decoder(size)])
    return load_weights(network, starting)

# %% [markdown]
# How wrong is a reconstruction?
# Read the brightness $p$ of a pixel as the probability that it is white: then a pixel of brightness $x$ costs $-x \log p - (1 - x) \log(1 - p)$, the cross-entropy of lesson 2 with two classes.
# (Grey pixels are a stretch for this reading; the least it can cost is then not 0, as you will see.)
# As there, we hand over logits, since at a logit of −200 float32's $p$ is 0 and its logarithm is lost.
# The loss of a photograph is the **sum** over its pixels; that word will be important.

# %% tags=["pytorch", "network"]
def reconstruction_loss(logits, images):
    by_pixel = F.binary_cross_entropy_with_logits(
        logits, images, reduction="none"
    )
    return by_pixel.sum((1, 2)).mean()  # over pixels; over photographs


def build_optimizer(network):
    return torch.optim.Adam(
        network.parameters(), learning_rate, (beta_1, beta_2), epsilon
    )


def to_tensors(*arrays):
    return tuple(torch.as_tensor(array, device=device) for array in arrays)


def autoencoder_step(autoencoder, optimizer, images):
    optimizer.zero_grad()
    loss = reconstruction_loss(autoencoder(images), images)
    loss.backward()
    optimizer.step()
    return loss.detach()

# %% tags=["tensorflow", "network"]
def reconstruction_loss(logits, images):
    by_pixel = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=images, logits=logits  # takes names only: good
    )
    # over pixels; over photographs
    return tf.reduce_mean(tf.reduce_sum(by_pixel, axis=(1, 2)))


def build_optimizer(network):
    optimizer = keras.optimizers.Adam(learning_rate, beta_1, beta_2, epsilon)
    optimizer.build(network.trainable_variables)
    return optimizer


def to_tensors(*arrays):
    return tuple(map(tf.convert_to_tensor, arrays))


@tf.function
def autoencoder_step(autoencoder, optimizer, images):
    with tf.GradientTape() as tape:
        loss = reconstruction_loss(autoencoder(images), images)
    gradients = tape.gradient(loss, autoencoder.trainable_variables)
    optimizer.apply(gradients, autoencoder.trainable_variables)
    return loss

# %% [markdown] tags=["pytorch"]
# **Watch out:** PyTorch's losses take (prediction, target), Keras' take (target, prediction).
# Exchanged, this one does not complain: it takes the photograph for logits.

# %% [markdown] tags=["tensorflow"]
# **Watch out:** Keras' losses take (target, prediction), PyTorch's take (prediction, target).
# Exchanged, a loss does not complain; `tf.nn` therefore takes names only.

# %% [markdown]
# Train it: some seconds.

# %% tags=["nbval-ignore-output"]
autoencoder = build_autoencoder(starting_weights(seed)["autoencoder"])
optimizer = build_optimizer(autoencoder)
autoencoder_losses = []
for batch in batches(seed):
    images, _ = to_tensors(*batch)
    loss = autoencoder_step(autoencoder, optimizer, images)
    autoencoder_losses.append(float(loss))

certain = np.clip(test_images, 1e-7, 1 - 1e-7)
entropy = -(certain * np.log(certain) + (1 - certain) * np.log(1 - certain))
print(f"loss of the first step {autoencoder_losses[0]:.0f}")
print(f"mean of the last 50    {np.mean(autoencoder_losses[-50:]):.0f}")
print(f"of a perfect copy      {entropy.sum((1, 2)).mean():.0f}")

# %% [markdown]
# Two small functions ask a network: `encode` for the codes of photographs, `decode` for the pictures of codes; arrays in, arrays out.

# %% tags=["pytorch", "classroom"]
@torch.inference_mode()
def encode(network, images):
    code = network.encoder(*to_tensors(images))
    return code.numpy(force=True)


@torch.inference_mode()
def decode(network, codes):
    logits = network.decoder(*to_tensors(np.float32(codes)))
    return logits.sigmoid().numpy(force=True)

# %% tags=["tensorflow", "classroom"]
def encode(network, images):
    return network.get_layer("encoder")(images).numpy()


def decode(network, codes):
    logits = network.get_layer("decoder")(np.float32(codes))
    return tf.sigmoid(logits).numpy()

# %% [markdown]
# Is that any good?
# A sceptic compares with the oldest bottleneck of all: **principal components** (PCA), the best that can be done with sixteen numbers if encoder and decoder are one matrix each.
# NumPy finds them without any training:

# %%
flat, flat_test = (images.reshape(-1, 784)
                   for images in (train_images, test_images))
middle = flat.mean(0)
_, components = np.linalg.eigh(np.cov(flat, rowvar=False))
basis = components[:, -latent_size:]  # the directions of largest variance
by_pca = ((flat_test - middle) @ basis @ basis.T + middle).reshape(-1, 28, 28)
by_autoencoder = decode(autoencoder, encode(autoencoder, test_images))


def squared_error(pictures):
    return float(np.mean((pictures - test_images) ** 2))


errors = {"the mean photograph": squared_error(middle.reshape(28, 28)),
          f"PCA, {latent_size} numbers": squared_error(by_pca),
          f"autoencoder, {latent_size} numbers": squared_error(by_autoencoder)}
plots.bars(errors, "What test photographs lose on the way",
           "mean squared error of a pixel")

# %% [markdown]
# The autoencoder loses a third less than PCA, by PCA's own measure, for which it was not even trained; and these photographs neither of them has seen.
# Ten of them, and what comes out:

# %%
rows = [test_images[:10], by_pca[:10], by_autoencoder[:10]]
captions = [text for name in ("photograph", "PCA", "autoencoder")
            for text in [name, *[""] * 9]]
plots.images(np.concatenate(rows),
             f"Photographs, and what {latent_size} numbers keep of them",
             captions)
plots.describe("Ten test photographs in three rows: themselves, rebuilt by "
               "PCA, rebuilt by the autoencoder")
better = squared_error(by_autoencoder) < 0.85 * squared_error(by_pca)
assert better or not as_shipped

# %% [markdown]
# PCA leaves shadows of other clothes around a shape, because it can only add and subtract.
# The autoencoder's outlines are clean; writing, stripes and buckles are gone in both.
#
# ## Drawing from nowhere
#
# A decoder makes a picture of *any* sixteen numbers.
# So it should draw new clothes, if we hand it numbers of our own.
# Which?
# The first idea is standard normal noise:

# %%
drawn_noise = np.random.default_rng((seed, 20)).standard_normal(
    (2000, latent_size))
from_noise = decode(autoencoder, drawn_noise)
plots.images(from_noise[:20], "What the autoencoder draws from noise")

# %% [markdown]
# Stains, with a sleeve or a heel here and there.
# The decoder has been asked about the codes of photographs, and about nothing else.
# Where do those lie?
# Two of the sixteen numbers, for every test photograph, and for our noise:

# %%
codes = encode(autoencoder, test_images)
axes = plt.subplots(figsize=(5.6, 4.2))[1]
axes.scatter(*codes[:, :2].T, s=4, color=plots.OTHERS[0],
             label="codes of photographs")
axes.scatter(*drawn_noise[:, :2].T, s=4, color=plots.OTHERS[2],
             label="our noise")
axes.set(title="Nobody told the codes where to lie",
         xlabel="first number of the code", ylabel="second number")
axes.legend()
print("standard deviations of the sixteen numbers of a code:")
print(*(f"{spread:.1f}" for spread in codes.std(0)))

# %% [markdown]
# The codes are spread several times as wide as the noise, around some other point, in a shape of their own.
# Most of our draws fall where no photograph's code is, and there the decoder may answer anything: no loss ever looked.
#
# Of course we could look where they lie and draw from there.
# Keep that thought: at the end of the lesson we do, and it will be a nasty surprise.
#
# ## A ruler
#
# First a number, since "stains" is an opinion.
# `tandem.judge` holds a small classifier of clothes, trained once, the same for both notebooks.
# It describes each picture by 64 features.
# A pile of drawings is good if its cloud of features lies where the cloud of photographs lies and is as wide; the **Fréchet distance** measures that, 0 for the same cloud.
# A second number, the **variety**, is the mean distance between two drawings by these features, over that between two photographs.
# Lesson 11 takes the judge apart; here we need its scale:

# %% tags=["nbval-ignore-output"]
real_features, _ = judge.describe(2 * test_images - 1)  # from -1 to 1


def distance(pictures):
    features, _ = judge.describe(2 * pictures - 1)
    return judge.frechet_distance(real_features, features)


speckle = np.random.default_rng(seed).random(test_images.shape)
nudged = (np.roll(test_images, 1, axis) for axis in (1, 2))
scale = {
    "other photographs": distance(train_images[:2000]),
    "photographs, a little blurred": distance(sum(nudged, test_images) / 3),
    "the autoencoder's drawings": distance(from_noise),
    "uniform noise": distance(speckle),
}
plots.bars(scale, "The ruler, from photographs to noise",
           "Fréchet distance to the test photographs")
if as_shipped:
    assert scale["other photographs"] < 0.2
    assert scale["the autoencoder's drawings"] > 12

# %% [markdown]
# Photographs against photographs are at less than .1: that is the floor.
# Our stains are in the twenties.
# Mind the second bar: the judge is strict about blur.
#
# ## A cloud instead of a point
#
# Here is the idea of the **variational autoencoder**.
# Let the encoder answer not with a point but with a small cloud: for each number of the code a mean $\mu$ and a standard deviation $\sigma$.
# The decoder is given a random point of the cloud, a new one at each step.
# So it has to draw something sensible *everywhere* in the cloud, and where the clouds of all photographs touch, nothing is left that it was never asked about.
#
# But then a random draw stands in the middle of the network.
# Can a gradient get through it?
# Draw $z$ from a normal distribution with $\mu = 0$ and $\sigma = 1$, and ask how $z$ changes with $\mu$:

# %% tags=["pytorch"]
mean = torch.zeros(3, requires_grad=True)
deviation = torch.ones(3, requires_grad=True)
normal = torch.distributions.Normal(mean, deviation)

print("Normal.sample knows a gradient:", normal.sample().requires_grad)
draw = torch.normal(mean, deviation)
print("torch.normal knows a gradient: ", draw.requires_grad)
gradient, = torch.autograd.grad(draw.sum(), mean)
print("and it is", gradient.tolist())

# %% [markdown] tags=["pytorch"]
# The first is honest: no gradient, and a `backward` would stop with an error.
#
# **Watch out:** `torch.normal` *has* a gradient, and it is zero, always.
# Nothing complains; the encoder gets no news from the picture and never learns.

# %% tags=["tensorflow"]
mean, deviation = tf.Variable(tf.zeros(3)), tf.Variable(tf.ones(3))
with tf.GradientTape(persistent=True) as tape:
    by_numpy = tf.convert_to_tensor(np.random.normal(mean, deviation))
    draw = tf.random.normal((3,), mean, deviation)
print("a draw of NumPy's has the gradient", tape.gradient(by_numpy, mean))
gradient = tape.gradient(draw, mean)
print("tf.random.normal has the gradient ", gradient.numpy().tolist())

# %% [markdown] tags=["tensorflow"]
# A number that was drawn outside TensorFlow has no gradient.
# But `tf.random.normal` has: 1, and the right one.
# There is no magic in it: inside, it draws from a *standard* normal distribution, multiplies by the deviation and adds the mean.
#
# **Watch out:** PyTorch's `torch.normal(mean, deviation)` looks like its twin, and its gradient is zero, always.
# Nothing complains there; the encoder gets no news from the picture and never learns.

# %% [markdown]
# The cure is to take the chance out of the network.
# Every normal draw is a standard normal one, stretched and moved:
#
# $$z = \mu + \sigma \cdot \varepsilon, \qquad \varepsilon \sim N(0, 1)$$
#
# Now $\varepsilon$ is an *input*, like a pixel: random, and nobody asks for its gradient.
# Between it and the loss there is only arithmetic, and $\partial z / \partial \mu = 1$, $\partial z / \partial \sigma = \varepsilon$.
# This is the **reparameterisation trick**.
# (For us it has a second virtue: an input can come from NumPy, the same for both twins.)

# %% tags=["pytorch"]
noise = torch.tensor([-1.0, 0.0, 2.0])
gradients = torch.autograd.grad((mean + deviation * noise).sum(),
                                (mean, deviation))
print("by the mean:     ", gradients[0].tolist())
print("by the deviation:", gradients[1].tolist())

# %% tags=["tensorflow"]
noise = tf.constant([-1.0, 0.0, 2.0])
with tf.GradientTape() as tape:
    draw = mean + deviation * noise
gradients = tape.gradient(draw, [mean, deviation])
print("by the mean:     ", gradients[0].numpy().tolist())
print("by the deviation:", gradients[1].numpy().tolist())

# %% [markdown] tags=["pytorch"]
# (`torch.distributions` has it ready: `rsample()`, where the r is for reparameterised.)

# %% [markdown] tags=["tensorflow"]
# (So `tf.random.normal` inside the network would do, if both twins could draw the same.)

# %% [markdown]
# The network has two **heads** for its cloud.
# The second gives the *logarithm of the variance*, which may be any number; $\sigma = e^{\text{log\_variance}/2}$ is then positive by itself.

# %% tags=["pytorch", "network"]
class VAE(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.squeeze = nn.Linear(784, hidden_width)
        self.mean = nn.Linear(hidden_width, size)
        self.log_variance = nn.Linear(hidden_width, size)
        self.decoder = make_decoder(size)

    def encoder(self, images):
        hidden = F.relu(self.squeeze(images.flatten(1)))
        return self.mean(hidden), self.log_variance(hidden)

    def forward(self, images, noise):
        mean, log_variance = self.encoder(images)
        code = mean + torch.exp(log_variance / 2) * noise
        return self.decoder(code), mean, log_variance


def build_vae(starting):
    size = len(starting["mean"]["bias"])
    return load_weights(VAE(size), starting).to(device)

# %% tags=["tensorflow", "network"]
def make_cloud_encoder(size):
    images = keras.Input((28, 28))
    hidden = layers.Dense(hidden_width, activation="relu", name="squeeze")(
        layers.Flatten()(images)
    )
    mean = layers.Dense(size, name="mean")(hidden)
    log_variance = layers.Dense(size, name="log_variance")(hidden)
    return keras.Model(images, [mean, log_variance], name="encoder")


def build_vae(starting):
    size = len(starting["mean"]["bias"])
    images, noise = keras.Input((28, 28)), keras.Input((size,))
    mean, log_variance = make_cloud_encoder(size)(images)
    code = mean + keras.ops.exp(log_variance / 2) * noise
    logits = make_decoder(size)(code)
    network = keras.Model([images, noise], [logits, mean, log_variance])
    return load_weights(network, starting)

# %% [markdown]
# ## What stops the clouds from shrinking?
#
# Noise makes the decoder's work harder, so the encoder will turn it off: tiny $\sigma$, or means so far apart that $\sigma$ does not matter.
# Then every cloud is a point again.
# Something has to pay for clouds that are small or far away.
# The price is the **Kullback–Leibler divergence** (KL) from the cloud to the standard normal distribution, from which we want to draw in the end.
# For one number of the code it has a closed form:
#
# $$\text{KL} = \tfrac12 \bigl(\mu^2 + \sigma^2 - 1 - \log \sigma^2\bigr)$$
#
# It is the mean of $\log q(z) - \log p(z)$ over draws $z$ from the cloud $q$, where $p$ is the standard normal density.
# Do not believe it, draw:

# %%
rng = np.random.default_rng(seed)
for mu, sigma in ((0, 1), (0, 0.1), (2, 1), (2, 0.1)):
    z = mu + sigma * rng.standard_normal(100_000)
    log_q = -((z - mu) / sigma) ** 2 / 2 - np.log(sigma)
    log_p = -(z**2) / 2
    formula = (mu**2 + sigma**2 - 1 - np.log(sigma**2)) / 2
    print(f"mean {mu}, deviation {sigma:3}: formula {formula:.3f}, "
          f"mean of 100,000 draws {np.mean(log_q - log_p):.2f}")

# %% [markdown]
# A cloud that *is* the standard normal distribution costs nothing, and says nothing about its photograph.
# Each digit of precision costs $\log 10 = 2.3$.
# The unit is the **nat**, 1.44 bits: KL is how much the code tells about the photograph, beyond what one would have drawn anyway.
#
# The loss of the VAE adds the two terms, reconstruction and price:
#
# $$\text{loss} = \underbrace{\mathbb{E}_{z \sim q}\bigl[-\log p(x \mid z)\bigr]}_{\text{reconstruction}} + w \cdot \underbrace{\textstyle\sum_j \text{KL}_j}_{\text{price}}$$
#
# With $w = 1$ its negative is the **ELBO**, the *evidence lower bound*: the loss is then never less than $-\log p(x)$, the surprise of the whole machine, noise and decoder, at this photograph.
# One minimises a bound on what one would like to minimise and cannot compute.
# (Why a bound: $\log p(x)$ is the logarithm of a mean over codes, and by Jensen's inequality no less than the mean of the logarithm; section 2.2 of the paper has the four lines.)

# %% tags=["pytorch", "network"]
def kl_divergence(mean, log_variance):
    by_number = (mean**2 + log_variance.exp() - 1 - log_variance) / 2
    return by_number.sum(1).mean()  # over numbers; over photographs


def vae_step(vae, optimizer, images, noise, weight=kl_weight):
    optimizer.zero_grad()
    logits, mean, log_variance = vae(images, noise)
    reconstruction = reconstruction_loss(logits, images)
    kl = kl_divergence(mean, log_variance)
    (reconstruction + weight * kl).backward()
    optimizer.step()
    return reconstruction.detach(), kl.detach()


def train_step(autoencoder, vae, optimizer_a, optimizer_v, images, noise):
    loss = autoencoder_step(autoencoder, optimizer_a, images)
    return loss, *vae_step(vae, optimizer_v, images, noise)

# %% tags=["tensorflow", "network"]
def kl_divergence(mean, log_variance):
    by_number = (mean**2 + tf.exp(log_variance) - 1 - log_variance) / 2
    # over numbers; over photographs
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=1))


@tf.function
def vae_step(vae, optimizer, images, noise, weight=kl_weight):
    with tf.GradientTape() as tape:
        logits, mean, log_variance = vae([images, noise])
        reconstruction = reconstruction_loss(logits, images)
        kl = kl_divergence(mean, log_variance)
        loss = reconstruction + weight * kl
    gradients = tape.gradient(loss, vae.trainable_variables)
    optimizer.apply(gradients, vae.trainable_variables)
    return reconstruction, kl


@tf.function
def train_step(autoencoder, vae, optimizer_a, optimizer_v, images, noise):
    loss = autoencoder_step(autoencoder, optimizer_a, images)
    return loss, *vae_step(vae, optimizer_v, images, noise)

# %% [markdown]
# (`train_step` takes both networks a step on one batch: for the map below, and for the twin proof.)
#
# Before we train it properly: is the price needed?
# 300 steps with $w = 0$ and 300 with $w = 1$; then we look at the test photographs' clouds.

# %% tags=["classroom"]
def train_vae(vae, steps=None, weight=kl_weight):
    """Its two terms at each step, (steps, 2)."""
    optimizer = build_optimizer(vae)
    terms = [vae_step(vae, optimizer, *to_tensors(*batch), weight)
             for batch in islice(batches(seed), steps)]
    return np.array([[float(term) for term in both] for both in terms])

# %% [markdown]
# The encoder now has two answers, so it gets a function of its own:

# %% tags=["pytorch", "classroom"]
@torch.inference_mode()
def clouds(vae, images):
    """(Means, log variances), each (images, size)."""
    both = vae.encoder(*to_tensors(images))
    return tuple(answer.numpy(force=True) for answer in both)

# %% tags=["tensorflow", "classroom"]
def clouds(vae, images):
    """(Means, log variances), each (images, size)."""
    both = vae.get_layer("encoder")(images)
    return tuple(answer.numpy() for answer in both)

# %% [markdown]
# The clouds' size beside the distance between their centres:

# %% tags=["nbval-ignore-output"]
apart = {}
for weight in (0.0, 1.0):
    trial = build_vae(starting_weights(seed)["vae"])
    train_vae(trial, 300, weight)
    means, log_variances = clouds(trial, test_images)
    size, spread = np.exp(log_variances / 2).mean(), means.std(0).mean()
    apart[weight] = spread / size
    print(f"weight {weight:.0f}: a cloud's deviation {size:.2f}, "
          f"spread of their centres {spread:.2f}")
assert not as_shipped or apart[0.0] > 5 * apart[1.0]

# %% [markdown]
# Without a price the centres flee from each other and the clouds shrink: in three hundred steps we are most of the way back to an autoencoder.
# With it, clouds are about as large as the distances between them.
# Now the whole training:

# %% tags=["nbval-ignore-output"]
vae = build_vae(starting_weights(seed)["vae"])
began = time.perf_counter()
terms = train_vae(vae)
training_seconds = time.perf_counter() - began

axes = plt.subplots(1, 2, figsize=(9, 3.2))[1]
for panel, name, curve in zip(axes, ("reconstruction", "KL divergence"),
                              terms.T):
    plots.curves({name: curve[10:]}, f"{name}, without the first ten steps",
                 y_label="nats a photograph", axes=panel)
print(f"the last 50 steps: reconstruction {terms[-50:, 0].mean():.0f}, "
      f"KL {terms[-50:, 1].mean():.1f} nats")

# %% [markdown]
# The first term falls *because* the second rises: the network buys information about the photograph, nat by nat, as long as a nat of KL saves more than a nat of reconstruction.
# It ends at about 15 nats, 21 bits: so much of a photograph passes through the bottleneck.
#
# What do the clouds look like?
# One photograph, and the pictures of six points drawn from its cloud:

# %%
means, log_variances = clouds(vae, test_images)
few = [0, 6, 8]  # a boot, a coat, a sandal
rng, rows = np.random.default_rng(seed), []
for number in few:
    noise = rng.standard_normal((6, latent_size))
    points = means[number] + np.exp(log_variances[number] / 2) * noise
    rows += [test_images[number : number + 1], decode(vae, points)]
plots.images(np.concatenate(rows),
             "A photograph (left), and six points of its cloud", columns=7)

# %% [markdown]
# Each cloud stays at its kind of thing and varies what the decoder could not know anyway.
#
# Now draw from noise again, with *the same noise as before*:

# %% tags=["nbval-ignore-output"]
drawings = decode(vae, drawn_noise)
plots.images(drawings[:40], "What the VAE draws from noise")
drawn_features, drawn_classes = judge.describe(2 * drawings - 1)
vae_distance = judge.frechet_distance(real_features, drawn_features)
vae_variety = judge.variety(drawn_features, real_features)
before = scale["the autoencoder's drawings"]
print(f"distance {vae_distance:.1f}, the autoencoder's {before:.1f}; "
      f"variety {vae_variety:.2f}")
if as_shipped:
    assert vae_distance < 14 and vae_distance < 0.7 * before

# %% [markdown]
# Clothes: most are recognised at a glance, all are soft, as if seen through frosted glass.
# The distance is less than half of before, and far from a photograph's.
# Why they are blurred comes last; first the price.
#
# ## What a nat should cost
#
# The weight $w$ is a price.
# What if a nat of KL costs 4, 16 or 64 times as much?
# For each number of the code: how many nats does it carry, on the mean over the test photographs?
# We call a number **active** if it is more than .05.

# %%
def nats(vae):
    """KL of each number of the code, on the mean over test photographs."""
    mean, log_variance = clouds(vae, test_images)
    by_number = (mean**2 + np.exp(log_variance) - 1 - log_variance) / 2
    return by_number.mean(0)


prices = (1, 4, 16, 64)
priced = {}
for price in prices:
    priced[price] = build_vae(starting_weights(seed)["vae"])
    train_vae(priced[price], weight=float(price))

# %% [markdown]
# Sorted, the numbers of each code:

# %% tags=["nbval-ignore-output"]
carried = {price: np.sort(nats(priced[price]))[::-1] for price in prices}
active = [int((carried[price] > 0.05).sum()) for price in prices]
figure, panels = plt.subplots(1, 4, figsize=(9, 2.6), sharey=True)
for panel, price, count in zip(panels, prices, active):
    panel.bar(range(1, latent_size + 1), carried[price],
              color=plots.OTHERS[0])
    panel.set(title=f"weight {price}: {count} active",
              xlabel="number of the code")
panels[0].set_ylabel("nats")
plots.describe(f"KL of the numbers of a code, sorted, at weights {prices}: "
               f"{active} of {latent_size} are active")
if as_shipped:
    assert active == sorted(active, reverse=True)
    assert active[0] >= 9 and active[2] <= 4 and active[3] <= 1

# %% [markdown]
# A number is bought or not bought.
# Already at weight 1 some of the sixteen carry nothing: their cloud is the standard normal distribution, whatever the photograph, and the decoder has learnt to ignore them.
# The VAE chooses the size of its bottleneck by itself (a plain autoencoder would use all sixteen).
# At 64 nothing is worth its price: the code says nothing at all.
# That is **posterior collapse**: $q$, the "posterior", has collapsed onto the noise.
# The same photographs through each:

# %%
rows = [test_images[:10]] + [
    decode(priced[price], clouds(priced[price], test_images[:10])[0])
    for price in prices
]
names = ["photograph", *(f"weight {price}" for price in prices)]
captions = [text for name in names for text in [name, *[""] * 9]]
plots.images(np.concatenate(rows),
             "The same ten photographs, at four prices of a nat", captions)
plots.describe("Ten photographs, and their reconstructions at weights 1, 4, "
               "16 and 64: fewer details with each")

# %% [markdown]
# First details go, then the kinds of clothes merge, and at 64 all ten are one picture: the mean photograph, which is the best answer when one knows nothing.
#
# ## The bug that everybody writes once
#
# Collapse does not need somebody who sets a weight of 64.
# It needs one word.
# The loss of a photograph is the sum over its pixels; here is what the framework's loss does unless told otherwise, on the first batch:

# %% tags=["pytorch"]
images, noise = to_tensors(*next(batches(seed)))
with torch.inference_mode():
    logits, _, _ = vae(images, noise)
    as_it_comes = F.binary_cross_entropy_with_logits(logits, images).item()
    ours = reconstruction_loss(logits, images).item()
print(f"by default {as_it_comes:.3f}, ours {ours:.1f}: "
      f"{ours / as_it_comes:.0f} times as much")

# %% tags=["tensorflow"]
images, noise = to_tensors(*next(batches(seed)))
logits, _, _ = vae([images, noise])
default = keras.losses.BinaryCrossentropy(from_logits=True)
as_it_comes = float(default(images, logits))
ours = float(reconstruction_loss(logits, images))
print(f"by default {as_it_comes:.3f}, ours {ours:.1f}: "
      f"{ours / as_it_comes:.0f} times as much")

# %% [markdown]
# The default is the **mean** over pixels as well, in both frameworks.
# For a reconstruction alone that changes nothing, since Adam does not mind a loss that is 784 times smaller.
# But beside a KL it makes each nat 784 times as expensive:
# mean + KL is $\tfrac{1}{784}$ of (sum + 784 KL).
# Two passes over the photographs show where that leads:

# %% tags=["nbval-ignore-output"]
mistaken = build_vae(starting_weights(seed)["vae"])
two_epochs = 2 * (train_size // batch_size)
wrong_terms = train_vae(mistaken, two_epochs, weight=784.0)
same_picture = decode(mistaken, clouds(mistaken, test_images[:10])[0])
print(f"KL at the end: {wrong_terms[-1, 1]:.3f} nats; two reconstructions "
      f"differ by {np.ptp(same_picture, axis=0).max():.3f} at most")
plots.images(np.concatenate([test_images[:10], same_picture]),
             "Ten photographs, and the mistaken VAE's reconstructions")

# %% [markdown]
# The loss falls, no error is raised, and the "VAE" draws one grey garment forever.
# When a VAE draws the mean picture, look at the KL first: is it zero?
# Then look for a mean where a sum should be.
# (Collapse also comes uninvited where the decoder is strong enough to do without the code; the usual cure is to begin with a small weight and raise it.)
#
# ## A map
#
# Two numbers can be drawn on paper.
# So train a pair with `latent_size` 2, an autoencoder and a VAE side by side, and put the code of each test photograph on a map, coloured by its kind.
# Neither network has seen a label.

# %% tags=["nbval-ignore-output"]
start = starting_weights(seed, 2)
flat_pair = build_autoencoder(start["autoencoder"]), build_vae(start["vae"])
optimizers = [build_optimizer(network) for network in flat_pair]
for batch in batches(seed, 2):
    train_step(*flat_pair, *optimizers, *to_tensors(*batch))

maps = {"autoencoder": encode(flat_pair[0], test_images),
        "VAE, centres of the clouds": clouds(flat_pair[1], test_images)[0]}
colours = plt.get_cmap("tab10")
figure, panels = plt.subplots(1, 2, figsize=(9, 4.6))
for panel, (name, codes_2d) in zip(panels, maps.items()):
    for kind, label in enumerate(data.FASHION_CLASSES):
        panel.scatter(*codes_2d[test_labels == kind].T, s=3,
                      color=colours(kind), label=label)
    panel.set(title=name, xlabel="first number", ylabel="second number",
              aspect="equal")
figure.legend(*panels[0].get_legend_handles_labels(), ncols=5,
              markerscale=4, loc="outside lower center", fontsize=8)
plots.describe("Codes of the test photographs on two maps, coloured by kind: "
               "the autoencoder's and the VAE's")

# %% [markdown]
# Look at the scales.
# The autoencoder's map is tens of units wide, with arms, and white land between them.
# The VAE's fits into the standard normal distribution, round and without large gaps.
# Trousers, boots and bags have provinces of their own; pullovers, coats and shirts share one, as two numbers cannot tell them apart.
#
# What lies at each place of the VAE's map?
# We decode a grid: not evenly spaced, but so that each of its cells holds as much of the normal distribution.

# %%
from statistics import NormalDist

steps_12 = [NormalDist().inv_cdf((step + 0.5) / 12) for step in range(12)]
grid = np.array([(x, y) for y in reversed(steps_12) for x in steps_12])
atlas = decode(flat_pair[1], grid).reshape(12, 12, 28, 28)
axes = plt.subplots(figsize=(6, 6))[1]
axes.imshow(atlas.transpose(0, 2, 1, 3).reshape(12 * 28, 12 * 28))
ticks = 28 * np.arange(12) + 14
labels = [f"{place:.1f}" for place in steps_12]
axes.set_xticks(ticks, labels)
axes.set_yticks(ticks, reversed(labels))
axes.set(title="The VAE's map: what is drawn at each place",
         xlabel="first number", ylabel="second number")
axes.grid(False)
plots.describe("A grid of 12 by 12 pictures decoded from places on the map: "
               "neighbours are alike, kinds of clothes change gradually")

# %% [markdown]
# Neighbours are alike, and each kind of clothes turns into the next one: boots into bags or sandals, trousers into dresses.
# That is what the clouds were for.
#
# ## A walk
#
# Back to sixteen numbers, and a straight walk from one photograph to another.
# In the space of pixels, it is a double exposure.
# In the space of codes?

# %%
here, there = 0, 2  # a boot, a trouser
share = np.linspace(0, 1, 10)[:, None]
ends = test_images[[here, there]].reshape(2, 784)
walks = [((1 - share) * ends[0] + share * ends[1]).reshape(-1, 28, 28)]
for network, points in ((autoencoder, codes), (vae, means)):
    way = (1 - share) * points[here] + share * points[there]
    walks.append(decode(network, way))
names = ["pixels", "autoencoder", "VAE"]
captions = [text for name in names for text in [name, *[""] * 9]]
plots.images(np.concatenate(walks), "From a boot to a trouser in ten steps",
             captions)
plots.describe("Three rows of ten pictures between a boot and a trouser: "
               "mixed pixels, the autoencoder's way, the VAE's way")

# %% [markdown]
# PLACEHOLDER walk.
#
# ## The bill
#
# How good are the VAE's drawings?
# We owe you the sceptic's question from above, too: why not take the plain autoencoder and *look* where its codes lie?
# Take their mean and covariance, draw from that normal distribution, decode:

# %% tags=["nbval-ignore-output"]
known = encode(autoencoder, train_images)
rng = np.random.default_rng((seed, 30))
fitted = rng.multivariate_normal(known.mean(0), np.cov(known, rowvar=False),
                                 2000)
from_fitted = decode(autoencoder, fitted)
plots.images(from_fitted[:20],
             "The plain autoencoder, drawn from where its codes lie")

gan = records.load("11_dcgan", framework)
bill = {
    "photographs": scale["other photographs"],
    "lesson 11's GAN": gan["scores"]["distance"] if gan else np.nan,
    "autoencoder, rebuilt photographs": distance(by_autoencoder),
    "autoencoder, fitted codes": distance(from_fitted),
    "VAE, rebuilt photographs": distance(decode(vae, means)),
    "VAE, noise": vae_distance,
    "autoencoder, noise": scale["the autoencoder's drawings"],
}

# %% [markdown]
# All of them by the same ruler:

# %% tags=["nbval-ignore-output"]
measured = {name: value for name, value in bill.items() if value == value}
plots.bars(measured, "Everything by one ruler",
           "Fréchet distance to the test photographs")
if gan is None:
    print("Lesson 11 has not been run here: its bar is missing.")
elif not gan["parameters"]["as_shipped"]:
    print("Lesson 11's bar is from a run with other parameters.")

# %% [markdown]
# PLACEHOLDER bill.

