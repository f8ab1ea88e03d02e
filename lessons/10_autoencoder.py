# ---
# minutes: {read: 55, run: 1, exercises: 45}
# seconds: 60
# memory_mb: 1150
# needs: []
# proof: training
# ---

# %% [markdown]
# # 10 · Autoencoder and VAE: sixteen numbers for a photograph
#
# A network squeezes photographs of clothes into sixteen numbers and back; with one more term in its loss it draws clothes from noise.
#
# - **You will build** an autoencoder, and a variational autoencoder (a VAE) with its two-term loss.
# - **You will learn** what a bottleneck keeps; why a plain autoencoder does not draw from noise; how a gradient gets through a random draw; what the second term costs and what happens when it costs too much; why such drawings are blurred.
# - **You need** lesson 2 (training; in Keras also its optional way 4, the Functional API).

# %% [markdown]
# Every network so far answered a question about what it was given.
# Only lesson 8's GPT made anything, letter by letter.
# This lesson makes pictures in one of the oldest ways that a neural network has: learn to compress them, then feed the decompressor with noise.
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
epochs = 10  # 1 to 200: passes over the photographs
batch_size = 128  # 2 to train_size: photographs a step
learning_rate = 3e-3  # above 0 to 1: of Adam
beta_1 = 0.9  # 0 to below 1: Adam's memory of gradients
beta_2 = 0.999  # 0 to below 1: and of their squares
epsilon = 1e-7  # above 0 to 1: Keras' default; 1e-8 in PyTorch
latent_size = 16  # 2 to 100: numbers that a photograph is squeezed into
hidden_width = 256  # 1 to 4096: of each network's one hidden layer
kl_weight = 1.0  # 0 to 10000: of the KL term in the loss
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
# 10,000 photographs to train with and 2,000 to test with: 28 × 28 pixels, from 0 (black) to 1 (white); the labels stay aside, no network of this lesson sees one.
# Each batch brings noise along, sixteen numbers a photograph.
# The first network is not given it, the second will need it, and it comes from NumPy, so that the twins are given the same.

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
# The picture that comes out shall be the one that went in, and 784 numbers do not fit through 16: what is common to all clothes has to go into the weights, what distinguishes this one into the code.
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
# The decoder puts out one **logit** a pixel; the sigmoid (lesson 1) will make a brightness between 0 and 1 of it.

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
# (Grey pixels stretch this reading: even a perfect copy then costs something, as you will see.)
# As there, we hand over logits: at −200, float32's $p$ is 0 and its logarithm is lost.
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
        labels=images, logits=logits  # by name, for safety
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
# **Watch out:** Keras' losses take (target, prediction), those of `tf.nn` (labels, logits), PyTorch's (prediction, target).
# Exchanged, a loss does not complain: it takes the photograph for logits.
# So we write the names.

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
# Train it: some seconds.

# %% tags=["nbval-ignore-output"]
autoencoder = build_autoencoder(starting_weights(seed)["autoencoder"])
optimizer = build_optimizer(autoencoder)
autoencoder_losses = []
for batch in batches(seed):
    images, _ = to_tensors(*batch)
    loss = autoencoder_step(autoencoder, optimizer, images)
    autoencoder_losses.append(float(loss))

by_autoencoder = decode(autoencoder, encode(autoencoder, test_images))


def cost_in_nats(pictures):
    """Of test photographs, if pictures hold the probabilities of white."""
    p = np.clip(pictures, 1e-7, 1 - 1e-7)
    by_pixel = test_images * np.log(p) + (1 - test_images) * np.log(1 - p)
    return -by_pixel.sum((1, 2)).mean()


print(f"loss of the first step         {autoencoder_losses[0]:.0f}")
print(f"at the end, test photographs   {cost_in_nats(by_autoencoder):.0f}")
print(f"a perfect copy of them         {cost_in_nats(test_images):.0f}")

# %% [markdown]
# Is that any good?
# Compare with the oldest bottleneck of all: **principal components** (PCA), the best, by squared error on the photographs that they were computed from, that can be done with sixteen numbers if encoder and decoder are one matrix each (and a mean).
# NumPy finds them without any training:

# %%
flat, flat_test = (images.reshape(-1, 784)
                   for images in (train_images, test_images))
middle = flat.mean(0)
spread = flat.T @ flat / len(flat) - np.outer(middle, middle)
_, directions = np.linalg.eigh(spread)
basis = directions[:, -latent_size:]  # those of largest variance
by_pca = ((flat_test - middle) @ basis @ basis.T + middle).reshape(-1, 28, 28)


def squared_error(pictures):
    return float(np.mean((pictures - test_images) ** 2))


errors = {"the mean photograph": squared_error(middle.reshape(28, 28)),
          f"PCA, {latent_size} numbers": squared_error(by_pca),
          f"autoencoder, {latent_size} numbers": squared_error(by_autoencoder)}
plots.bars(errors, "What test photographs lose on the way",
           "mean squared error of a pixel")

# %% [markdown]
# The autoencoder loses a third less than PCA, by PCA's own measure, for which it was not even trained.
# Ten test photographs, and what comes out:

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
# The autoencoder's outlines are clean; writing, checks and seams are gone in both.
#
# ## Drawing from nowhere
#
# A decoder makes a picture of *any* sixteen numbers.
# So it should draw new clothes, if we hand it numbers of our own.
# The first idea for such numbers is standard normal noise:

# %%
drawn_noise = np.random.default_rng((seed, 20)).standard_normal(
    (2000, latent_size))
from_noise = decode(autoencoder, drawn_noise)
plots.images(from_noise[:20], "What the autoencoder draws from noise")

# %% [markdown]
# Stains, with a sleeve or a heel here and there.
# The decoder has been asked about the codes of photographs, and about nothing else.
# So let us look at those: their numbers, and the numbers of our noise.

# %% tags=["nbval-ignore-output"]
codes = encode(autoencoder, test_images)
numbers = {"codes of photographs": codes, "our noise": drawn_noise}
plots.distributions(numbers, "Nobody told the codes how wide to be",
                    "a number of the code")
deviations, centre = codes.std(0), np.abs(codes.mean(0)).max()
print(f"each number of the codes deviates by {deviations.min():.1f} to "
      f"{deviations.max():.1f} from its mean; one mean is {centre:.1f} "
      "from zero")

# %% [markdown]
# All sixteen numbers are in use, each of them at least twice as wide as our noise; nor is zero the middle of each.
# Pooled, as in the picture, our noise lies where codes are commonest; but hardly any photograph has all sixteen so near zero at once.
# The photographs are spread over a wide land; all our noise falls on one small patch of it, and no loss asked how that patch should look.
#
# Of course we could measure the codes and draw from where they lie: at the end we do, and there will be a surprise.
#
# ## A ruler
#
# First a number, since "stains" is an opinion.
# `tandem.judge` holds a small classifier of clothes, trained once.
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
down, right = (np.roll(test_images, 1, axis) for axis in (1, 2))
blurred = (test_images + down + right) / 3
scale = {
    "other photographs": distance(train_images[:2000]),
    "photographs, a little blurred": distance(blurred),
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
# Our stains are above twenty.
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
# The first has no gradient; the second has one, and it is zero, always.
#
# **Watch out:** in a VAE, neither stops with an error, as the decoder and the second term of the loss (below) still have gradients.
# The encoder then learns from that term alone, and hears nothing of the picture.
#
# The cure is to take the chance out of the network.

# %% tags=["tensorflow"]
mean, deviation = tf.Variable(tf.zeros(3)), tf.Variable(tf.ones(3))
with tf.GradientTape(persistent=True) as tape:
    outside = tf.convert_to_tensor(np.random.normal(mean, deviation))
    draw = tf.random.normal((3,), mean, deviation)
print("a draw of NumPy's has the gradient", tape.gradient(outside, mean))
gradient = tape.gradient(draw, mean)
print("tf.random.normal has the gradient ", gradient.numpy().tolist())

# %% [markdown] tags=["tensorflow"]
# A number that was drawn outside TensorFlow has no gradient.
# But `tf.random.normal` has: 1, and the right one.
# Inside, it draws from a *standard* normal distribution, multiplies by the deviation and adds the mean.
#
# **Watch out:** PyTorch's `torch.normal(mean, deviation)` looks like its twin, and its gradient is zero, always.
# Run eagerly, NumPy's draw raises no error, nor does `torch.normal`: the decoder and the second term of the loss (below) still have gradients.
# The encoder then learns from that term alone, and hears nothing of the picture.
# Inside `@tf.function`, a draw of NumPy's that is handed tensors does stop.
# One that is not, such as `np.random.standard_normal(16)`, happens once, while the graph is traced (lesson 3): each step then gets the same noise.
#
# Let us do by hand what `tf.random.normal` does inside, and take the chance out of the network: then NumPy can draw it, the same for both twins.

# %% [markdown]
# Every normal draw is a standard normal one, stretched and moved:
#
# $$z = \mu + \sigma \cdot \varepsilon, \qquad \varepsilon \sim N(0, 1)$$
#
# Now $\varepsilon$ is an *input*, like a pixel: random, and nobody asks for its gradient.
# Between it and the loss there is only arithmetic, and $\partial z / \partial \mu = 1$, $\partial z / \partial \sigma = \varepsilon$.
# This is the **reparameterisation trick**.

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

# %% [markdown]
# The network has two output layers for its cloud, called **heads** (no relation of lesson 8's).
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
# So small clouds have to cost something, and far ones too.
# The price is the **Kullback–Leibler divergence** (KL) from the cloud to the standard normal distribution, from which we want to draw in the end.
# (That is the **prior**: what is believed of a code before its photograph is seen. The cloud stands for the **posterior**, the belief after.)
# For one number of the code it has a closed form:
#
# $$\text{KL} = \tfrac12 \bigl(\mu^2 + \sigma^2 - 1 - \log \sigma^2\bigr)$$
#
# It is the mean of $\log q(z) - \log p(z)$ over draws $z$ from the cloud $q$, where $p$ is the standard normal density:

# %%
rng = np.random.default_rng(seed)
for mu, sigma in ((0, 1), (0, 0.1), (2, 1), (2, 0.1)):
    z = mu + sigma * rng.standard_normal(100_000)
    # both without log(2π) / 2, which cancels
    log_q = -((z - mu) / sigma) ** 2 / 2 - np.log(sigma)
    log_p = -(z**2) / 2
    formula = (mu**2 + sigma**2 - 1 - np.log(sigma**2)) / 2
    print(f"mean {mu}, deviation {sigma:3}: formula {formula:.3f}, "
          f"mean of 100,000 draws {np.mean(log_q - log_p):.2f}")

# %% [markdown]
# A cloud that *is* the standard normal distribution costs nothing, and says nothing about its photograph.
# The first digit of precision costs 1.8, each *further* digit $\log 10 = 2.3$.
# The unit is the **nat** (lesson 8), 1.44 bits: on average, a code tells at most its KL about the photograph.
#
# The loss of the VAE adds the two terms, reconstruction and price:
#
# $$\text{loss} = \underbrace{\mathbb{E}_{z \sim q}\bigl[-\log p(x \mid z)\bigr]}_{\text{reconstruction}} + w \cdot \underbrace{\textstyle\sum_j \text{KL}_j}_{\text{price}}$$
#
# ($\mathbb{E}_{z \sim q}$ is the mean over draws from the cloud. We take one draw for each photograph and step; on average, its gradient is the right one.)
#
# What do the two add up to?
# Draw $z$ from noise and let the decoder paint: $p(x)$ is the probability that it then paints $x$ (stretched for grey pixels, as before).
# We would like $-\log p(x)$ to be small for every photograph, and cannot compute it.
# With $w = 1$ the loss is never less than that; the loss's negative is the **ELBO**, the *evidence lower bound* (evidence is an old name for $p(x)$).
# (Section 2.2 of Kingma and Welling: what is between the two is another KL, and no KL is negative.)

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

# %% [markdown] tags=["tensorflow"]
# (`weight`, a Python number, is built into the traced graph, and each new value traces anew: hand a schedule's weights over as tensors.)

# %% [markdown]
# (`train_step` takes both networks a step on one batch: for the map below, and for the twin proof.)
#
# Before we train it properly: is the price needed?
# 300 steps with $w = 0$ and 300 with $w = 1$; then we look at the test photographs' clouds.

# %% tags=["classroom"]
def train_vae(vae, steps=None, weight=kl_weight):
    """Its two terms at each step, (steps, 2)."""
    optimizer, terms = build_optimizer(vae), []
    for batch in islice(batches(seed), steps):
        both = vae_step(vae, optimizer, *to_tensors(*batch), weight)
        terms.append([float(term) for term in both])
    return np.array(terms)

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
# The clouds' size beside the spread of their centres:

# %% tags=["nbval-ignore-output"]
apart = {}
for weight in (0.0, 1.0):
    trial = build_vae(starting_weights(seed)["vae"])
    train_vae(trial, 300, weight)
    means, log_variances = clouds(trial, test_images)
    size, between = np.exp(log_variances / 2).mean(), means.std(0).mean()
    apart[weight] = between / size
    print(f"weight {weight:.0f}: a cloud's deviation {size:.2f}, "
          f"spread of their centres {between:.2f}")
assert not as_shipped or apart[0.0] > 5 * apart[1.0]

# %% [markdown]
# Without a price the clouds shrink and flee from each other: we are back at an autoencoder.
# With it a cloud is over half as wide as the centres are spread, on average over the sixteen numbers: neighbours overlap.
# (It is narrower in the numbers that say much about the photograph, as wide or wider in those that say little.)
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
# After a wild start (the panels leave out ten steps: their 0 is step 10), and until about step 100, the network buys information about the photograph, as long as a nat of KL saves more than a nat of reconstruction.
# After that the KL hardly moves, and the network makes better use of the same nats.
# Fourteen to fifteen nats are 20 to 22 bits: on average, at most so much of a photograph passes through the bottleneck.
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
# The boot stays a boot, the coat might be a T-shirt or a dress, and the sandal is a smear.
# What changes along a row is what the cloud leaves open; what none of its pictures shows, like the coat's zip, no point of the cloud holds.
#
# Now draw from noise again, with *the same noise as before*:

# %% tags=["nbval-ignore-output"]
drawings = decode(vae, drawn_noise)
plots.images(drawings[:30], "What the VAE draws from noise")
drawn_features, drawn_classes = judge.describe(2 * drawings - 1)
vae_distance = judge.frechet_distance(real_features, drawn_features)
vae_variety = judge.variety(drawn_features, real_features)
before = scale["the autoencoder's drawings"]
print(f"distance {vae_distance:.1f}, the autoencoder's {before:.1f}; "
      f"variety {vae_variety:.2f}")
if as_shipped:
    assert vae_distance < 14 and vae_distance < 0.7 * before

# %% [markdown]
# More than half are clothes at a glance, others lie between two kinds, and all are soft.
# The distance is less than half of before, and far from a photograph's; the variety says that drawings differ by two thirds as much as photographs do.
#
# ## What a nat should cost
#
# The weight $w$ is a price.
# What if a nat of KL costs 4, 16 or 64 times as much?
# For each number of the code: how many nats does it carry, on average over the test photographs?
# We call a number **active** if it is more than .05.

# %%
def nats(vae):
    """KL of each number of the code, averaged over test photographs."""
    mean, log_variance = clouds(vae, test_images)
    by_number = (mean**2 + np.exp(log_variance) - 1 - log_variance) / 2
    return by_number.mean(0)


prices = (kl_weight, 4.0, 16.0, 64.0)
priced = {price: build_vae(starting_weights(seed)["vae"])
          for price in prices[1:]}
for price in prices[1:]:
    train_vae(priced[price], weight=price)
priced[kl_weight] = vae

# %% [markdown]
# Sorted, the numbers of each code:

# %% tags=["nbval-ignore-output"]
carried = {price: np.sort(nats(priced[price]))[::-1] for price in prices}
active = [int((carried[price] > 0.05).sum()) for price in prices]
figure, panels = plt.subplots(1, 4, figsize=(9, 2.6), sharey=True)
for panel, price, count in zip(panels, prices, active):
    panel.bar(range(1, latent_size + 1), carried[price],
              color=plots.OTHERS[0])
    panel.set(title=f"weight {price:g}: {count} active",
              xlabel="number of the code")
panels[0].set_ylabel("nats")
plots.describe(f"KL of each number of a code, sorted, at weights {prices}: "
               f"{active} of {latent_size} are active")
if as_shipped:
    assert active == sorted(active, reverse=True)
    assert active[0] >= 9 and active[2] <= 4 and active[3] <= 1

# %% [markdown]
# The dearer a nat, the fewer numbers are bought, and the last ones only in part.
# At weight 1 the last four carry less than a tenth of a nat each.
# At 4, eleven of the sixteen are below our line: their clouds are all but the standard normal distribution, whatever the photograph.
# So the price sets the size of the VAE's bottleneck; the plain autoencoder, as we saw, uses all sixteen.
# At 64 nothing is worth its price: the code says nothing at all.
# That is **posterior collapse**: $q$, in the posterior's place, has collapsed onto the prior.
# The same photographs through each:

# %%
rebuilt = [
    decode(priced[price], clouds(priced[price], test_images[:10])[0])
    for price in prices
]
names = ["photograph", *(f"weight {price:g}" for price in prices)]
captions = [text for name in names for text in [name, *[""] * 9]]
plots.images(np.concatenate([test_images[:10], *rebuilt]),
             "The same ten photographs, at four prices of a nat", captions)
plots.describe("Ten photographs, and their reconstructions at weights 1, 4, "
               "16 and 64: fewer details with each")

# %% [markdown]
# First details go, then the kinds merge, and at 64 all ten are the mean photograph.
#
# ## The bug that everybody writes once
#
# Collapse does not need somebody who sets a weight of 64.
# It needs one word.
# The loss of a photograph is the sum over its pixels; here is what the framework's loss does unless told otherwise, on the first batch:

# %% tags=["pytorch", "nbval-ignore-output"]
images, noise = to_tensors(*next(batches(seed)))
with torch.inference_mode():
    logits, _, _ = vae(images, noise)
    as_it_comes = F.binary_cross_entropy_with_logits(logits, images).item()
    ours = reconstruction_loss(logits, images).item()
print(f"by default {as_it_comes:.3f}, ours {ours:.1f}: "
      f"{ours / as_it_comes:.0f} times as much")

# %% tags=["tensorflow", "nbval-ignore-output"]
images, noise = to_tensors(*next(batches(seed)))
logits, _, _ = vae([images, noise])
default = keras.losses.BinaryCrossentropy(from_logits=True)
as_it_comes = float(default(y_true=images, y_pred=logits))
ours = float(reconstruction_loss(logits, images))
print(f"by default {as_it_comes:.3f}, ours {ours:.1f}: "
      f"{ours / as_it_comes:.0f} times as much")

# %% [markdown]
# The default is the **mean** over pixels as well, in both frameworks.
# For a reconstruction alone that changes nothing, since Adam does not mind a loss that is 784 times smaller.
# But beside a KL it makes each nat 784 times as expensive: mean + KL is $\tfrac{1}{784}$ of (sum + 784 KL).
# We run the second form, our own step with weight 784; but for Adam's own small epsilon, the steps are the same in the first:

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
# No error is raised, and every photograph gives one and the same picture (flatter than at weight 64, after two epochs instead of ten).
# When a VAE draws the mean picture, look at the KL first: is it zero?
# Then look for a mean where a sum should be.
# (Collapse also comes uninvited where the decoder is strong enough to do without the code; the usual cure is to begin with a small weight and raise it.)
#
# ## A map
#
# Two numbers can be drawn on paper.
# So train a pair with `latent_size` 2, an autoencoder and a VAE side by side, and put the code of each test photograph on a map, coloured by its kind.

# %% tags=["nbval-ignore-output"]
start = starting_weights(seed, 2)
flat_pair = build_autoencoder(start["autoencoder"]), build_vae(start["vae"])
optimizers = [build_optimizer(network) for network in flat_pair]
for batch in batches(seed, 2):
    train_step(*flat_pair, *optimizers, *to_tensors(*batch))

maps = {"autoencoder": encode(flat_pair[0], test_images),
        "VAE, centres of the clouds": clouds(flat_pair[1], test_images)[0]}
colours = ["tab:blue", "tab:orange", "limegreen", "tab:red", "black",
           "tab:brown", "violet", "tab:gray", "gold", "turquoise"]
figure, panels = plt.subplots(1, 2, figsize=(9, 5.4))
for panel, (name, codes_2d) in zip(panels, maps.items()):
    for kind, label in enumerate(data.FASHION_CLASSES):
        panel.scatter(*codes_2d[test_labels == kind].T, s=3,
                      color=colours[kind], label=label)
    panel.set(title=name, xlabel="first number", ylabel="second number")
figure.legend(*panels[0].get_legend_handles_labels(), ncols=5,
              markerscale=4, loc="outside lower center", fontsize=8)
plots.describe("Codes of the test photographs on two maps, coloured by kind: "
               "the autoencoder's and the VAE's")

# %% [markdown]
# Look at the scales.
# The autoencoder's map is tens of units wide, long arms with white land between them.
# The VAE's lies around zero and a few units wide, as the price demands, and fills its country more evenly.
# Trousers, boots and bags have provinces of their own; pullovers, coats and shirts share one, as two numbers cannot tell them apart.
#
# What lies at each place of the VAE's map?
# We decode a grid: not evenly spaced, but so that each of its cells holds as much of the normal distribution.

# %%
from statistics import NormalDist

steps_12 = [NormalDist().inv_cdf((step + 0.5) / 12) for step in range(12)]
grid = np.array([(x, y) for y in reversed(steps_12) for x in steps_12])
atlas = decode(flat_pair[1], grid).reshape(12, 12, 28, 28)
axes = plt.subplots(figsize=(5, 5))[1]
axes.imshow(atlas.transpose(0, 2, 1, 3).reshape(12 * 28, 12 * 28))
ticks = 28 * np.arange(12) + 14
labels = [f"{place:.1f}" for place in steps_12]
axes.set_xticks(ticks, labels)
axes.set_yticks(ticks, reversed(labels))
axes.set(title="The VAE's map: what is drawn at each place",
         xlabel="first number", ylabel="second number")
axes.grid(False)
plots.describe("A grid of 12 by 12 pictures decoded from places on the map: "
               "neighbours are alike; a dark hole between dresses and shoes")

# %% [markdown]
# Neighbours are alike, and where two provinces touch, one kind of clothes turns into the other: that is what the clouds were for.
# On the right, between dresses and trousers above and sandals and sneakers below, there is a hole of dark smudges: no centre lies there, as the gap in the scatter shows.
# (The grid ends at ±1.7; many centres, most boots' among them, lie beyond.)
#
# ## A walk
#
# Back to sixteen numbers, and a straight walk from one photograph to another.
# In pixels first, then in codes:

# %%
here, there = 1, 2  # a pullover, trousers
share = np.linspace(0, 1, 10)[:, None]
ends = test_images[[here, there]].reshape(2, 784)
walks = [((1 - share) * ends[0] + share * ends[1]).reshape(-1, 28, 28)]
for network, points in ((autoencoder, codes), (vae, means)):
    way = (1 - share) * points[here] + share * points[there]
    walks.append(decode(network, way))
names = ["pixels", "autoencoder", "VAE"]
captions = [text for name in names for text in [name, *[""] * 9]]
plots.images(np.concatenate(walks), "From a pullover to trousers", captions)
plots.describe("Three rows of ten pictures between a pullover and trousers: "
               "mixed pixels, the autoencoder's way, the VAE's way")

# %% [markdown]
# In pixels, the trousers show through the pullover from the first step to the last.
# In codes the shape itself changes: the autoencoder's sleeves break up and the VAE's fade, then the legs part.
# The plain autoencoder, which knew nothing to do with noise, walks as well as the VAE.
#
# ## The bill
#
# We owe you an answer: what if one *measures* the plain autoencoder's codes?
# Take their mean and covariance (how the sixteen vary, each and together; `spread`, under PCA, was one), draw from that normal distribution, decode.
# To be fair, the same for the VAE, whose codes spread by their clouds, too:

# %%
def draw_fitted(centers, inside=0.0):
    """Codes like these; inside: variance of each number in a cloud."""
    covariance = np.cov(centers, rowvar=False) + np.diag(
        np.broadcast_to(inside, latent_size))
    rng = np.random.default_rng((seed, 30))
    return rng.multivariate_normal(centers.mean(0), covariance, 2000)


known, log_variances = clouds(vae, train_images)
from_fitted_vae = decode(
    vae, draw_fitted(known, np.exp(log_variances).mean(0)))
from_fitted = decode(autoencoder,
                     draw_fitted(encode(autoencoder, train_images)))
plots.images(from_fitted[:20],
             "The plain autoencoder, drawn from where its codes lie")

# %% [markdown]
# Over half are clothes at a glance, crisper than the VAE's; some are speckled wrecks.
# All of it by the same ruler, and with it the drawings of lesson 11's **GAN** (*generative adversarial network*: two networks that play against each other), from the record of its run:

# %% tags=["nbval-ignore-output"]
bill = {
    "autoencoder, photographs rebuilt": distance(by_autoencoder),
    "autoencoder, fitted codes": distance(from_fitted),
    "autoencoder, noise": scale["the autoencoder's drawings"],
    "VAE, photographs rebuilt": distance(decode(vae, means)),
    "VAE, fitted codes": distance(from_fitted_vae),
    "VAE, noise": vae_distance,
}
gan = records.load("11_dcgan", framework)
if gan:
    bill["lesson 11's GAN, noise"] = gan["scores"]["distance"]
    print(f"Lesson 11, {records.whose(gan)}.")
else:
    print("Lesson 11 has not been run: its bar is missing.")
plots.bars(bill, "Everything by one ruler",
           "Fréchet distance to the test photographs")
if as_shipped:
    rebuilt_a, fit_a, noise_a, rebuilt_v, fit_v, noise_v = [*bill.values()][:6]
    assert rebuilt_a < fit_a < fit_v and rebuilt_v < noise_v < noise_a

# %% [markdown]
# There is the surprise.
# From noise the VAE beats the autoencoder by far; but with its codes measured afterwards, **the plain autoencoder beats the VAE**, even one whose codes were measured, too.
# Ghosh and others (2020) found the like with larger networks, and a mixture of normal distributions for the codes.
# The bars of the rebuilt photographs say where it comes from.
# To draw from fitted codes instead of rebuilding adds about three to the autoencoder's bar, about two to the VAE's; but the VAE rebuilds worse by more than three, since it learnt with a noisy code and paid for every nat.
# The term that tidies the codes takes away detail.
#
# What did the VAE give, then?
# Its codes lie where we *decided* before training: nothing has to be measured afterwards.
# Its loss is a bound in nats, by which models with the same pixel loss can be compared.
# Today's large image generators take something of both: an autoencoder with a very small KL weight, and, in the place of the fitted normal distribution, a second network that learns where the codes lie (Rombach and others, 2022).
# Lesson 15 builds a relative: codes that are picked from a list, and a transformer that learns which follow each other.
#
# ## An average is safe *(optional)*
#
# Both rebuild softly, and the GAN, which never sees a pixel loss, draws nearest.
# (It is convolutional, too, and trained several times as long.)
# Why do pixel losses blur?
# Suppose that a hundred shirts share a code, so that the decoder cannot know which one is meant.
# It may answer with the first, or with the mean of 2, 10 or all 100.
# What does each answer cost?
# ($p$ is cut off at .01 and .99: certain and wrong costs without end.)

# %%
shirt = data.FASHION_CLASSES.index("Shirt")
shirts = test_images[test_labels == shirt][:100]


def costs(answer):
    """In nats, for each shirt that may have been meant."""
    p = np.clip(answer, 0.01, 0.99)
    by_pixel = shirts * np.log(p) + (1 - shirts) * np.log(1 - p)
    return -by_pixel.sum((1, 2))


answers = {"first shirt" if count == 1 else f"mean of {count}":
           shirts[:count].mean(0) for count in (1, 2, 10, 100)}
for name, answer in answers.items():
    first, average = costs(answer)[0], costs(answer).mean()
    print(f"{name:11} costs {first:.0f} nats if the first shirt is meant, "
          f"{average:.0f} on average")
plots.images(list(answers.values()), "The safer the answer, the softer",
             list(answers), columns=4, size=1.2)

# %% [markdown]
# A sharp guess is dear where it is wrong, and even where it is right, its grey pixels cost.
# On average, each wider mean is cheaper. (For the first shirt alone the mean of ten is the dearest: these ten suit it less than the hundred do.)
# The mean of two is a double exposure, the mean of a hundred is blur; it is never right and never very wrong, and but for the cut-off no other answer costs less on average.
# Squared error says the same.
# So wherever the code leaves something open, these two losses ask for the mean of all that is possible.
# (The absolute error asks for each pixel's median.)
# A critic who says "no photograph looks like that" would not accept it.
#
# ## The twin check

# %% tags=["pytorch"]
parameter_count = sum(values.numel() for values in vae.parameters())

# %% tags=["tensorflow"]
parameter_count = vae.count_params()

# %% [markdown]
# Terms, errors and distances, against the record that the twin left behind (last column: the relative difference).
# (Lesson 14 will ask how long training and a drawing take.)

# %% tags=["nbval-ignore-output"]
began = time.perf_counter()
decode(vae, drawn_noise)
sample_seconds = (time.perf_counter() - began) / len(drawn_noise)

mine = records.save(
    "10_autoencoder", framework, parameters_used,
    {"reconstruction": terms[:, 0], "KL divergence": terms[:, 1],
     "autoencoder": autoencoder_losses},
    parameter_count=parameter_count,
    autoencoder_error=squared_error(by_autoencoder),
    vae_error=squared_error(decode(vae, means)),
    active_numbers=active, distance=vae_distance, variety=vae_variety,
    distance_rebuilt=bill["VAE, photographs rebuilt"],
    distance_fitted=bill["autoencoder, fitted codes"],
    training_seconds=training_seconds, sample_seconds=sample_seconds,
)
twin = records.load("10_autoencoder", other, parameters_used)
plots.twins(mine, twin, window=10)
print(records.compare(mine, twin))
if twin:
    theirs = twin["scores"]["active_numbers"]
    print(f"active numbers: {active}; {FRAMEWORK_NAMES[other]}: {theirs}")

# %% [markdown]
# In our runs of the two, the first losses agreed to seven digits; 780 steps later the reconstructions were some thousandths of their size apart, and the KL a few hundredths.
# It began as rounding, grew within the first dozens of steps, and then stayed level.
# The codes are less alike: at weight 1 PyTorch counted 13 active numbers, TensorFlow 15 (last line); with so many close to our line, the count is no firm measure.
#
# In float64 (`python -m tandem proof 10`) both networks' losses agree over 100 steps to a part in $10^{10}$ or better.

# %% tags=["folded"]
if twin and as_shipped:
    for curve in mine["losses"]:
        gap = records.relative_difference(mine["losses"][curve],
                                          twin["losses"][curve])
        assert gap[0] < 1e-4 and np.median(gap) < 0.05
    ratio = mine["scores"]["distance"] / twin["scores"]["distance"]
    assert 0.75 < ratio < 1.33

# %% [markdown]
# ## What differs

# %% [markdown] tags=["pytorch"]
# | | PyTorch | Keras / TensorFlow | why it matters |
# |---|---|---|---|
# | a draw with given mean and deviation | `torch.normal`: gradient zero; `Normal(…).sample()`: none; `.rsample()`: the right one | `tf.random.normal`: the right one | an encoder that hears nothing of the picture, without an error |
# | a network that takes noise, too | `forward(images, noise)` | a Functional model with two inputs | a draw inside could not be shared |
# | cross-entropy of a pixel | `F.binary_cross_entropy_with_logits(logits, images)` | `tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)` | exchanged, no error |
# | what a loss does by default | mean over all pixels and photographs | the same | KL weighs 784 times as much |
# | a part of a network | an attribute: `vae.decoder` | `vae.get_layer("decoder")` | drawing needs the decoder alone |

# %% [markdown] tags=["tensorflow"]
# | | Keras / TensorFlow | PyTorch | why it matters |
# |---|---|---|---|
# | a draw with given mean and deviation | `tf.random.normal`: has the right gradient | `torch.normal`: gradient zero; `Normal(…).sample()`: none; `.rsample()`: the right one | an encoder that hears nothing of the picture, without an error |
# | a network that takes noise, too | a Functional model with two inputs | `forward(images, noise)` | a draw inside could not be shared |
# | cross-entropy of a pixel | `tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)` | `F.binary_cross_entropy_with_logits(logits, images)` | exchanged, no error |
# | what a loss does by default | mean over all pixels and photographs | the same | KL weighs 784 times as much |
# | a part of a network | `vae.get_layer("decoder")` | an attribute: `vae.decoder` | drawing needs the decoder alone |

# %% [markdown]
# ## The whole program
#
# What is left when nothing is compared: the framework's own weights, batches and noise.
# Five epochs are half of what the lesson's VAE had: expect more stains.

# %% tags=["pytorch", "nbval-ignore-output"]
from torch.utils.data import DataLoader

torch.manual_seed(0)
squeeze = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(),
                        nn.Linear(256, 2 * 16)).to(device)
unfold = nn.Sequential(nn.Linear(16, 256), nn.ReLU(),
                       nn.Linear(256, 784)).to(device)
adam = torch.optim.Adam([*squeeze.parameters(), *unfold.parameters()], 3e-3)
for _ in range(5):
    for some in DataLoader(torch.from_numpy(train_images), 128, True):
        some = some.to(device)
        mean, log_variance = squeeze(some).chunk(2, dim=1)
        point = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        pixels = F.binary_cross_entropy_with_logits(
            unfold(point), some.flatten(1), reduction="sum")
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        adam.zero_grad()
        ((pixels + kl) / len(some)).backward()
        adam.step()
with torch.inference_mode():
    drawn = unfold(torch.randn(10, 16, device=device)).sigmoid()
plots.images(drawn.numpy(force=True).reshape(-1, 28, 28), "The whole program")

# %% tags=["tensorflow"]
class Cloud(layers.Layer):
    """Draws a point of the cloud, and has the loss pay for it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, mean, log_variance):
        paid = keras.ops.exp(log_variance) + mean**2 - 1 - log_variance
        self.add_loss(keras.ops.mean(keras.ops.sum(paid, axis=1)) / 2)
        noise = keras.random.normal(keras.ops.shape(mean),
                                    seed=self.seed_generator)
        return mean + keras.ops.exp(log_variance / 2) * noise


def pixel_loss(images, logits):
    by_pixel = keras.ops.binary_crossentropy(
        target=images, output=logits, from_logits=True)
    return keras.ops.sum(by_pixel, axis=1)

# %% [markdown] tags=["tensorflow"]
# In Keras a layer may add to the loss: `fit` adds what `add_loss` was given as it is, so `Cloud` averages itself; what `pixel_loss` returns, one number a photograph, is averaged by `fit`.
# (`keras.losses.BinaryCrossentropy(from_logits=True)` in its place would be the bug above. And `Cloud` draws in `predict`, too.)
# The rest is a model that `fit` can train:

# %% tags=["tensorflow", "nbval-ignore-output"]
keras.utils.set_random_seed(0)
shown = keras.Input((784,))
hidden = layers.Dense(256, activation="relu")(shown)
point = Cloud()(layers.Dense(16)(hidden), layers.Dense(16)(hidden))
unfold = keras.Sequential([
    keras.Input((16,)), layers.Dense(256, activation="relu"),
    layers.Dense(784),
])
whole = keras.Model(shown, unfold(point))
whole.compile(optimizer=keras.optimizers.Adam(3e-3), loss=pixel_loss)
pixels = train_images.reshape(-1, 784)
whole.fit(pixels, pixels, batch_size=128, epochs=5, verbose=0)

drawn = keras.ops.sigmoid(unfold(keras.random.normal((10, 16), seed=1)))
drawn = keras.ops.convert_to_numpy(drawn)
plots.images(drawn.reshape(-1, 28, 28), "The whole program")

# %% [markdown]
# ## Exercises
#
# A check hands your function NumPy arrays and looks at what comes back.

# %% tags=["pytorch", "classroom"]
from tandem.exercises import attempt
from tandem.pytorch import gradient_on_arrays, on_arrays

# %% tags=["tensorflow", "classroom"]
from tandem.exercises import attempt
from tandem.tensorflow import gradient_on_arrays, on_arrays

# %% [markdown] tags=["exercise"] exercise="blank-page" points=4
# ### Exercise 1: the blank page
#
# Write the VAE and its training with your own hands; nothing of ours in between (no `build_vae`, `vae_step`, `kl_divergence`, `load_weights`).
# Layers or bare tensors, as you like.
#
# `learn(starting, images, noise)` makes the VAE of this lesson from `starting`, a dictionary like `starting_weights(seed)["vae"]`: for each layer a `kernel`, of shape (inputs, outputs) as in Keras' `Dense`, and a `bias` (not always 0); its arrays stay as they are.
# (The weight of PyTorch's `nn.Linear` is the kernel transposed.)
# It goes once through the images, of shape (n, 28, 28), **in their order**, in batches of 50, with the same rows of `noise`; each step is plain SGD with the rate 0.001 on reconstruction + KL (weight 1), averaged over the photographs of its batch (the last may be short: then over those that it has).
# It returns a list with a pair (reconstruction, KL) of numbers for each batch, from *before* its update.

# %% [markdown] tags=["hint"]
# The fewest lines: one tensor for each of the ten arrays, and matrix products, as in lesson 2.
# In PyTorch `torch.tensor(array, requires_grad=True)`, in TensorFlow `tf.Variable(array)`.

# %% [markdown] tags=["hint"]
# A batch: `hidden`, from it `mean` and `log_variance`, `code = mean + exp(log_variance / 2) * noise`, `unfold`, ReLU, `paint`: logits.
# Reconstruction: cross-entropy from logits, *summed* over 784 pixels, averaged over the batch.
# Only the first reconstruction is off?
# Then is the noise the one given, and not a draw of your own?
# Only the second pair?
# Then do gradients get through both `mean` and `log_variance` to the encoder?

# %% tags=["pytorch", "solution"]
def learn(starting, images, noise):
    ### BEGIN SOLUTION
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def learn(starting, images, noise):
    ### BEGIN SOLUTION
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found
    ### END SOLUTION

# %% [markdown]
# The check trains the same network in NumPy, with gradients worked out by hand, and holds your numbers against its own: the twin proof in small.

# %% tags=["classroom", "folded"]
def forward(w, x, e, power=0.5):
    """hidden, mean, log variance, code, unfolded, logits; power .5: σ."""
    part = lambda name, some: some @ w[name]["kernel"] + w[name]["bias"]
    hidden = np.maximum(part("squeeze", x), 0)
    mean, log_v = part("mean", hidden), part("log_variance", hidden)
    code = mean + np.exp(power * log_v) * e
    unfolded = np.maximum(part("unfold", code), 0)
    return hidden, mean, log_v, code, unfolded, part("paint", unfolded)


def both_terms(w, x, e, power=0.5):
    _, mean, log_v, _, _, logits = forward(w, x, e, power)
    pixels = (np.logaddexp(0, logits) - logits * x).sum() / len(x)
    return pixels, (mean**2 + np.exp(log_v) - 1 - log_v).sum() / 2 / len(x)

# %% [markdown]
# Backwards through the same lines:

# %% tags=["classroom", "folded"]
def sgd_by_hand(w, x, e, priced=1.0, cut=False, fixed=False):
    """One step, in place. cut: no gradient through code; fixed: through σ."""
    hidden, mean, log_v, code, unfolded, logits = forward(w, x, e)
    d_logits = (1 / (1 + np.exp(-logits)) - x) / len(x)
    d_unfolded = d_logits @ w["paint"]["kernel"].T * (unfolded > 0)
    d_code = (1 - cut) * d_unfolded @ w["unfold"]["kernel"].T
    d_mean = d_code + priced * mean / len(x)
    d_log_v = ((1 - fixed) * d_code * e * np.exp(log_v / 2)
               + priced * (np.exp(log_v) - 1) / len(x)) / 2
    d_hidden = (d_mean @ w["mean"]["kernel"].T
                + d_log_v @ w["log_variance"]["kernel"].T) * (hidden > 0)
    for name, some, slope in (
        ("squeeze", x, d_hidden), ("mean", hidden, d_mean),
        ("log_variance", hidden, d_log_v), ("unfold", code, d_unfolded),
        ("paint", unfolded, d_logits),
    ):
        w[name]["kernel"] -= 0.001 * some.T @ slope
        w[name]["bias"] -= 0.001 * slope.sum(0)

# %% [markdown]
# And frequent slips, so that it can say which of them gives your number:

# %% tags=["classroom", "folded"]
def doubled(starting):
    return {name: {kind: array.astype("float64") for kind, array in
                   arrays.items()} for name, arrays in starting.items()}


def slips(starting, x, e):
    """Of the first reconstruction, the first KL, the second pair."""
    w = doubled(starting)
    pixels, kl = both_terms(w, x[:50], e[:50])
    logits = forward(w, x[:50], e[:50])[-1]
    exchanged = np.logaddexp(0, x[:50]) - logits * x[:50]
    yield {
        "take the sum over pixels, not the mean": pixels / 784,
        "average over the photographs": pixels * 50,
        "labels and logits are exchanged": exchanged.sum() / 50,
        "the deviation is exp(log_variance / 2)":
            both_terms(w, x[:50], e[:50], 1.0)[0],
        "is the noise added?": both_terms(w, x[:50], 0 * e[:50])[0],
    }
    yield {
        "take the sum over the numbers, not the mean": kl / e.shape[1],
        "average over the photographs": kl * 50,
        "one half of it": kl * 2, "its sign is wrong": -kl,
    }

# %% [markdown]
# What the second pair may be:

# %% tags=["classroom", "folded"]
def later_slips(starting, x, e):
    found = {}
    for reason, options in {
        "nothing has moved": None,
        "the KL is not in the loss": {"priced": 0.0},
        "no gradient gets through the draw to the encoder": {"cut": True},
        "no gradient gets through the draw to log_variance": {"fixed": True},
    }.items():
        w = doubled(starting)
        if options:
            sgd_by_hand(w, x[:50], e[:50], **options)
        found[reason] = both_terms(w, x[50:100], e[50:100])
    return found


def by_numpy(starting, x, e):
    w, found = doubled(starting), []
    for begin in range(0, len(x), 50):
        part = slice(begin, begin + 50)
        found.append(both_terms(w, x[part], e[part]))
        sgd_by_hand(w, x[part], e[part])
    return np.array(found)

# %% [markdown]
# And the sentence that it answers with:

# %% tags=["classroom", "folded"]
def what_is_wrong(given, wanted, starting, x, e):
    """A sentence; "" where all is as wanted."""
    names = "reconstruction", "KL"
    otherwise = ("look at the network, at the loss, and whether the noise "
                 "is the given one")
    for name, number, target, reasons in zip(
            names, given[0], wanted[0], slips(starting, x, e)):
        if not np.isclose(number, target, rtol=1e-4):
            near = [reason for reason, slip in reasons.items()
                    if np.isclose(number, slip, rtol=1e-3)]
            return (f"the first {name} is {target:.4f}, not {number:.4f}: "
                    f"{(near or [otherwise])[0]}")
    if not np.allclose(given[1], wanted[1], rtol=1e-4):
        near = [reason for reason, pair in later_slips(starting, x, e).items()
                if np.allclose(given[1], pair, rtol=1e-5)]
        further = "look at the update, and at what the gradient goes through"
        return ("the first pair is right, the second is not: "
                f"{(near or [further])[0]}")
    wrong = np.flatnonzero(~np.isclose(given, wanted, rtol=1e-4).all(1))
    return "" if not len(wrong) else (
        f"the pairs before are right, but pair {wrong[0] + 1} is not: is "
        "anything left over from an earlier step?")

# %% [markdown]
# And now yours, on six batches of photographs, the last one short:

# %% tags=["check"]
fresh = starting_weights(seed + 3)["vae"]
for arrays in fresh.values():
    arrays["bias"] += np.linspace(-0.5, 1.5, len(arrays["bias"]))
e = np.float32(np.random.default_rng(5).normal(size=(270, latent_size)))
some, x = train_images[:270], train_images[:270].reshape(-1, 784)
wanted, w = by_numpy(fresh, x, e), doubled(fresh)
given = learn(fresh, some, e)
same = all(np.array_equal(w[n][k], fresh[n][k]) for n in w for k in w[n])
assert same, "`starting` itself was changed: copy its arrays"
found = [list(pair) if np.iterable(pair) else [pair]
         for pair in (given if np.iterable(given) else [])]
assert [list(map(np.ndim, pair)) for pair in found] == [[0, 0]] * 6, (
    "6 pairs of numbers are wanted, for five batches of 50 and one of 20")
given = np.array([list(map(float, pair)) for pair in found])
sgd_by_hand(w, x[:50], e[:50])
for at, slip, pair in (
        (0, "a pair is (reconstruction, KL)", wanted[0][::-1]),
        (0, "reconstruction without KL", [sum(wanted[0]), wanted[0][1]]),
        (0, "that is after the update", both_terms(w, x[:50], e[:50])),
        (1, "that is batch 1's noise", both_terms(w, x[50:100], e[:50])),
        (5, "the last batch has 20: average over them", wanted[5] * 0.4)):
    assert not np.allclose(given[at], pair, rtol=1e-5), slip
problem = what_is_wrong(given, wanted, fresh, x, e)
assert not problem, problem

# %% tags=["hidden"]
other_ones = train_images[300:420]
e = np.random.default_rng(6).standard_normal((120, latent_size))
e = e.astype("float32")
again = starting_weights(seed + 4)["vae"]
wanted = by_numpy(again, other_ones.reshape(-1, 784), e)
given = learn(again, other_ones, e)
given = np.array([list(map(float, pair)) for pair in given])
assert given.shape == (3, 2), "120 photographs are three batches"
assert np.allclose(given, wanted, rtol=1e-4), "other photographs, other terms"

# %% tags=["pytorch", "wrong"] mistake="counts on six batches"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, 300, 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="counts on six batches"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, 300, 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="averages over the pixels"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="mean")
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="averages over the pixels"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x) / 784
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="takes the variance for the deviation"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="takes the variance for the deviation"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="leaves the noise out"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + 0 * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="leaves the noise out"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + 0 * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="leaves the KL out of the loss"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        pixels.backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="leaves the KL out of the loss"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="cuts the gradient at the draw"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code.detach() @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="cuts the gradient at the draw"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(tf.stop_gradient(code) @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="cuts the gradient at the deviation"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2).detach() * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="cuts the gradient at the deviation"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            deviation = tf.stop_gradient(tf.exp(log_variance / 2))
            code = mean + deviation * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="exchanges labels and logits"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            x, logits, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="exchanges labels and logits"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=logits, logits=x)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="draws noise of its own"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.randn(len(x), len(bm))
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="draws noise of its own"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = tf.random.normal(noise[begin : begin + 50].shape)
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="keeps one momentum from step to step"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001, momentum=0.9), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="keeps one momentum from step to step"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found, sgd = [], keras.optimizers.SGD(0.001, momentum=0.9)
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        gradients = tape.gradient(loss, mine)
        sgd.apply_gradients(zip(gradients, mine))
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="starts with biases of zero"
def learn(starting, images, noise):
    mine = [torch.tensor(array if array.ndim > 1 else 0 * array,
                         requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="starts with biases of zero"
def learn(starting, images, noise):
    mine = [tf.Variable(array if array.ndim > 1 else 0 * array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="divides the short last batch by 50"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / 50
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / 50
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="divides the short last batch by 50"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / 50
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / 50
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="takes the same noise for every batch"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[: len(x)])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="takes the same noise for every batch"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[: len(x)]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="trains the arrays of `starting`"
def learn(starting, images, noise):
    mine = [torch.from_numpy(array).requires_grad_()
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="trains the arrays of `starting`"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    trained = iter(mine)
    for arrays in starting.values():
        for kind in arrays:
            arrays[kind] = next(trained).numpy()
    return found

# %% tags=["pytorch", "wrong"] mistake="returns (KL, reconstruction)"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((kl.item(), pixels.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="returns (KL, reconstruction)"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(kl), float(pixels)))
    return found

# %% tags=["pytorch", "wrong"] mistake="returns the loss and the KL"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append(((pixels + kl).item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="returns the loss and the KL"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(loss), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="returns one number a batch"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels + kl).item())
    return found

# %% tags=["tensorflow", "wrong"] mistake="returns one number a batch"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append(float(loss))
    return found

# %% tags=["pytorch", "wrong"] mistake="leaves out the second ReLU"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []
    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = (code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        kl = kl / len(x)
        sgd.zero_grad()
        (pixels + kl).backward()
        sgd.step()
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="leaves out the second ReLU"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []
    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            hidden = tf.nn.relu(x @ w1 + b1)
            mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
            code = mean + tf.exp(log_variance / 2) * e
            logits = (code @ w2 + b2) @ w3 + b3
            pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
                labels=x, logits=logits)) / len(x)
            kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
            kl = tf.reduce_sum(kl) / 2 / len(x)
            loss = pixels + kl
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        found.append((float(pixels), float(kl)))
    return found

# %% tags=["pytorch", "wrong"] mistake="measures after the update"
def learn(starting, images, noise):
    mine = [torch.tensor(array, requires_grad=True)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    sgd, found = torch.optim.SGD(mine, lr=0.001), []

    def terms(x, e):
        hidden = F.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + torch.exp(log_variance / 2) * e
        logits = F.relu(code @ w2 + b2) @ w3 + b3
        pixels = F.binary_cross_entropy_with_logits(
            logits, x, reduction="sum") / len(x)
        kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2
        return pixels, kl / len(x)

    for begin in range(0, len(images), 50):
        x = torch.as_tensor(images[begin : begin + 50]).flatten(1)
        e = torch.as_tensor(noise[begin : begin + 50])
        sgd.zero_grad()
        sum(terms(x, e)).backward()
        sgd.step()
        pixels, kl = terms(x, e)
        found.append((pixels.item(), kl.item()))
    return found

# %% tags=["tensorflow", "wrong"] mistake="measures after the update"
def learn(starting, images, noise):
    mine = [tf.Variable(array)
            for layer in starting.values() for array in layer.values()]
    w1, b1, wm, bm, wv, bv, w2, b2, w3, b3 = mine
    found = []

    def terms(x, e):
        hidden = tf.nn.relu(x @ w1 + b1)
        mean, log_variance = hidden @ wm + bm, hidden @ wv + bv
        code = mean + tf.exp(log_variance / 2) * e
        logits = tf.nn.relu(code @ w2 + b2) @ w3 + b3
        pixels = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(
            labels=x, logits=logits)) / len(x)
        kl = mean**2 + tf.exp(log_variance) - 1 - log_variance
        return pixels, tf.reduce_sum(kl) / 2 / len(x)

    for begin in range(0, len(images), 50):
        x = images[begin : begin + 50].reshape(-1, 784)
        e = noise[begin : begin + 50]
        with tf.GradientTape() as tape:
            loss = sum(terms(x, e))
        for weight, gradient in zip(mine, tape.gradient(loss, mine)):
            weight.assign_sub(0.001 * gradient)
        pixels, kl = terms(x, e)
        found.append((float(pixels), float(kl)))
    return found

# %% [markdown] tags=["exercise"] exercise="two-clouds" points=3
# ### Exercise 2: from one cloud to any other
#
# The lesson's price measures against the standard normal distribution.
# Measure against *any* normal distribution $N(m, s^2)$ (the papers behind lesson 14 derive diffusion models with it, and a prior may be learned).
# Work the formula out: it is the mean of $\log q(z) - \log p(z)$ over draws from the cloud $q = N(\mu, \sigma^2)$, where $p$ is now $N(m, s^2)$.
#
# Write `kl_between(mean, log_variance, other_mean, other_log_variance)`, all of shape (photographs, numbers): **summed** over the numbers, averaged over the photographs, with this framework's operations, so that it has a gradient by each of the four.
# Then guess before you try: between deviations 1 and .1, both about zero, one way round the KL is 1.8.
# And the other way?
# The check tells you once yours is right.

# %% [markdown] tags=["hint"]
# Over draws from $q$, the mean of $(z - \mu)^2$ is $\sigma^2$, and the mean of $(z - m)^2$ is $\sigma^2 + (\mu - m)^2$.

# %% [markdown] tags=["hint"]
# $\text{KL} = \tfrac12 \bigl( \log s^2 - \log \sigma^2 + (\sigma^2 + (\mu - m)^2) / s^2 - 1 \bigr)$.

# %% tags=["pytorch", "solution"]
def kl_between(mean, log_variance, other_mean, other_log_variance):
    ### BEGIN SOLUTION
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.sum(1).mean()
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def kl_between(mean, log_variance, other_mean, other_log_variance):
    ### BEGIN SOLUTION
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=1)) / 2
    ### END SOLUTION

# %% [markdown]
# The check: equal clouds cost nothing; against the standard normal distribution it is the lesson's price; then random clouds, in NumPy, and the gradients by all four inputs (that by `mean` is $(\mu - m)/s^2$ over the number of photographs, that by `other_mean` its negative).

# %% tags=["classroom", "folded"]
def general(m, v, om, ov):
    inside = ov - v - 1 + (np.exp(v) + (m - om) ** 2) / np.exp(ov)
    return (inside / 2).sum(1).mean()

# %% [markdown]
# Here it is:

# %% tags=["check"]
four = np.float32(np.random.default_rng(7).normal(size=(4, 5, 3)))
m, v, om, ov = four
given = np.asarray(on_arrays(kl_between, m, v, m, v))
single = given.shape == () and given.dtype.kind == "f"
assert single, f"one number is wanted, not {given}"
assert abs(given) < 1e-5, f"equal clouds cost 0, not {given:.4f}"
for what, to in (("against N(0, 1)", (0 * m, 0 * m)),
                 ("between random clouds", (om, ov))):
    wanted, given = general(m, v, *to), on_arrays(kl_between, m, v, *to)
    axes = np.isclose(given, wanted * np.array([1 / 3, 5, 5 / 3])).any()
    assert not axes, "sum over the numbers, average over the photographs"
    turned = np.isclose(given, general(*to, m, v), rtol=1e-5)
    assert not turned, "that is the KL from the other one to this one"
    right = np.isclose(given, wanted, rtol=1e-5)
    assert right, f"{what} it is {wanted:.4f}, not {given:.4f}"
back = general(*np.array([0, 0, 0, np.log(0.01)]).reshape(4, 1, 1))
print(f"From deviation 1 to .1: {back:.0f}. Draws of the wide cloud fall "
      "where the narrow one has as good as no density.")
far, s = m - om, np.exp(ov)
slopes = [far / s, (np.exp(v) / s - 1) / 2, -far / s,
          (1 - (np.exp(v) + far**2) / s) / 2]
slope = gradient_on_arrays(lambda each: kl_between(*each), four)
off = np.flatnonzero(np.abs(5 * slope - slopes).max((1, 2)) > 1e-4)
assert not len(off), f"right, but not its gradient by input {off + 1}"

# %% tags=["hidden"]
four = np.random.default_rng(7).normal(0, 2, (4, 9, 7)).astype("float32")
m, v, om, ov = four
given = on_arrays(kl_between, m, v, om, ov)
assert np.isclose(given, general(m, v, om, ov), rtol=1e-4), (
    f"nine photographs, seven numbers: {general(m, v, om, ov):.4f}, not {given}; "
    "is a number of the first check written into the function?")
slope = gradient_on_arrays(lambda each: kl_between(*each), four)
expected = np.stack([
    (m - om) / np.exp(ov), (np.exp(v - ov) - 1) / 2, (om - m) / np.exp(ov),
    (1 - (np.exp(v) + (m - om) ** 2) / np.exp(ov)) / 2]) / 9
assert np.allclose(slope, expected, rtol=1e-3, atol=1e-5), (
    "the gradient by one of the four is another")

# %% tags=["pytorch", "wrong"] mistake="averages over the numbers"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.mean()

# %% tags=["tensorflow", "wrong"] mistake="averages over the numbers"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_mean(by_number) / 2

# %% tags=["pytorch", "wrong"] mistake="takes the log variances for variances"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance + gap) / other_log_variance.exp()) / 2
    return by_number.sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="takes the log variances for variances"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance + gap) / tf.exp(other_log_variance))
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=1)) / 2

# %% tags=["pytorch", "wrong"] mistake="exchanges the two clouds"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    mean, other_mean = other_mean, mean
    log_variance, other_log_variance = other_log_variance, log_variance
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="exchanges the two clouds"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    mean, other_mean = other_mean, mean
    log_variance, other_log_variance = other_log_variance, log_variance
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=1)) / 2

# %% tags=["pytorch", "wrong"] mistake="does not divide the gap"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + log_variance.exp() / other_log_variance.exp() + gap) / 2
    return by_number.sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="does not divide the gap"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + tf.exp(log_variance - other_log_variance) + gap)
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=1)) / 2

# %% tags=["pytorch", "wrong"] mistake="leaves the framework for NumPy"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    mean = torch.as_tensor(mean.numpy(force=True))
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="leaves the framework for NumPy"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    mean = mean.numpy()
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=1)) / 2

# %% tags=["pytorch", "wrong"] mistake="divides by five"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.sum() / 5

# %% tags=["tensorflow", "wrong"] mistake="divides by five"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_sum(by_number) / 2 / 5

# %% tags=["pytorch", "wrong"] mistake="sums over the photographs"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.sum(0).mean()

# %% tags=["tensorflow", "wrong"] mistake="sums over the photographs"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=0)) / 2

# %% tags=["pytorch", "wrong"] mistake="adds the photographs up"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.sum()

# %% tags=["tensorflow", "wrong"] mistake="adds the photographs up"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_sum(by_number) / 2

# %% tags=["pytorch", "wrong"] mistake="detaches the other cloud"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    other_mean = other_mean.detach()
    other_log_variance = other_log_variance.detach()
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    return by_number.sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="detaches the other cloud"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    other_mean = tf.stop_gradient(other_mean)
    other_log_variance = tf.stop_gradient(other_log_variance)
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    return tf.reduce_mean(tf.reduce_sum(by_number, axis=1)) / 2

# %% tags=["pytorch", "wrong"] mistake="returns nothing"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (log_variance.exp() + gap) / other_log_variance.exp()) / 2
    by_number.sum(1).mean()

# %% tags=["tensorflow", "wrong"] mistake="returns nothing"
def kl_between(mean, log_variance, other_mean, other_log_variance):
    gap = (mean - other_mean) ** 2
    by_number = (other_log_variance - log_variance - 1
                 + (tf.exp(log_variance) + gap) / tf.exp(other_log_variance))
    tf.reduce_mean(tf.reduce_sum(by_number, axis=1)) / 2

# %% [markdown] tags=["exercise"] exercise="more-like" points=3
# ### Exercise 3: clothes to order *(optional)*
#
# The VAE draws clothes of any kind.
# Let it draw boots.
#
# `more_like(network, images, noise)` takes a trained VAE, photographs of what is wanted, and standard normal noise (drawings, numbers).
# Take the **means** of the photographs' clouds; find the mean and the covariance of *these*; turn each row of noise into a draw from that normal distribution (mean + Cholesky factor times noise), decode, and return the pictures as a NumPy array, from 0 to 1, one for each row of the noise.
# Draw no numbers of your own: the same noise makes the same pictures.
# The lesson's `clouds` and `decode` are yours to use, and so is NumPy.

# %% [markdown] tags=["hint"]
# `np.linalg.cholesky(covariance)` is a lower triangular $L$ with $L L^T$ the covariance.
# A *row* of noise becomes `row @ L.T`.

# %% tags=["pytorch", "solution"]
def more_like(network, images, noise):
    ### BEGIN SOLUTION
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + noise @ factor.T)
    ### END SOLUTION

# %% tags=["tensorflow", "solution"]
def more_like(network, images, noise):
    ### BEGIN SOLUTION
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + noise @ factor.T)
    ### END SOLUTION

# %% [markdown]
# The check trains a VAE for 300 steps, orders boots, and asks the judge what it sees.

# %% tags=["classroom", "folded"]
def expected_drawings(network, images, noise, turned=False):
    centers = clouds(network, images)[0].astype("float64")
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    factor = factor if turned else factor.T
    return decode(network, centers.mean(0) + noise @ factor)


def share_of(kind, pictures):
    _, named = judge.describe(2 * pictures - 1)
    return np.mean(named == data.FASHION_CLASSES.index(kind))


def photographs_of(kind):
    return test_images[test_labels == data.FASHION_CLASSES.index(kind)]


small = build_vae(starting_weights(seed)["vae"])
small_terms = train_vae(small, 300)

# %% [markdown]
# Boots, then:

# %% tags=["check"]
rng = np.random.default_rng(8)
e = rng.standard_normal((100, latent_size))
boots = photographs_of("Ankle boot")
given = more_like(small, boots, e)
kind = type(given).__name__
assert kind == "ndarray", f"a NumPy array is wanted, not {kind}"
assert given.shape == (100, 28, 28), (
    f"100 pictures of 28 by 28 are wanted, not shape {given.shape}")
low, high = np.min(given), np.max(given)
assert 0 <= low and high <= 1, (
    f"from {low:.1f} to {high:.1f}, not from 0 to 1: are these logits?")
again = np.allclose(given, more_like(small, boots, e), atol=1e-4)
assert again, "same noise, other pictures: draw no numbers of your own"
assert np.std(given, axis=0).max() > 0.02, "all drawings are the same one"
found = share_of("Ankle boot", given)
assert found > 0.7, f"the judge takes {found:.0%} of them for boots"
other_way = expected_drawings(small, boots, e, turned=True)
assert np.abs(given - other_way).max() > 0.01, "L the wrong way round"
gap = np.abs(given - expected_drawings(small, boots, e)).max()
assert gap < 0.02, (
    "boots, but not from that normal distribution: the mean and the "
    "covariance of the clouds' means?")

# %% tags=["hidden"]
trousers = photographs_of("Trouser")
given = more_like(small, trousers, e[:50])
wanted = expected_drawings(small, trousers, e[:50])
assert np.abs(given - wanted).max() < 0.02, "ordered trousers, got others"

# %% tags=["pytorch", "wrong"] mistake="draws from the standard normal distribution"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, noise)

# %% tags=["tensorflow", "wrong"] mistake="draws from the standard normal distribution"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, noise)

# %% tags=["pytorch", "wrong"] mistake="returns the mean boot"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + 0 * noise)

# %% tags=["tensorflow", "wrong"] mistake="returns the mean boot"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + 0 * noise)

# %% tags=["pytorch", "wrong"] mistake="takes the factor the other way round"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + noise @ factor)

# %% tags=["tensorflow", "wrong"] mistake="takes the factor the other way round"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + noise @ factor)

# %% tags=["pytorch", "wrong"] mistake="rebuilds the photographs"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers[:len(noise)])

# %% tags=["tensorflow", "wrong"] mistake="rebuilds the photographs"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers[:len(noise)])

# %% tags=["pytorch", "wrong"] mistake="forgets the covariance between numbers"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.diag(centers.std(0))
    return decode(network, centers.mean(0) + noise @ factor.T)

# %% tags=["tensorflow", "wrong"] mistake="forgets the covariance between numbers"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.diag(centers.std(0))
    return decode(network, centers.mean(0) + noise @ factor.T)

# %% tags=["pytorch", "wrong"] mistake="draws noise of its own"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + np.random.normal(size=noise.shape) @ factor.T)

# %% tags=["tensorflow", "wrong"] mistake="draws noise of its own"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + np.random.normal(size=noise.shape) @ factor.T)

# %% tags=["pytorch", "wrong"] mistake="takes the covariance for its factor"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.cov(centers, rowvar=False)
    return decode(network, centers.mean(0) + noise @ factor.T)

# %% tags=["tensorflow", "wrong"] mistake="takes the covariance for its factor"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.cov(centers, rowvar=False)
    return decode(network, centers.mean(0) + noise @ factor.T)

# %% tags=["pytorch", "wrong"] mistake="draws from the clouds, not from their means"
def more_like(network, images, noise):
    centers, log_variances = clouds(network, images)
    spread = np.random.default_rng(0).normal(size=centers.shape)
    centers = centers + np.exp(log_variances / 2) * spread
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + noise @ factor.T)

# %% tags=["tensorflow", "wrong"] mistake="draws from the clouds, not from their means"
def more_like(network, images, noise):
    centers, log_variances = clouds(network, images)
    spread = np.random.default_rng(0).normal(size=centers.shape)
    centers = centers + np.exp(log_variances / 2) * spread
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, centers.mean(0) + noise @ factor.T)

# %% tags=["pytorch", "wrong"] mistake="forgets the mean"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, noise @ factor.T)

# %% tags=["tensorflow", "wrong"] mistake="forgets the mean"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return decode(network, noise @ factor.T)

# %% tags=["pytorch", "wrong"] mistake="returns tensors"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return torch.tensor(decode(network, centers.mean(0) + noise @ factor.T))

# %% tags=["tensorflow", "wrong"] mistake="returns tensors"
def more_like(network, images, noise):
    centers, _ = clouds(network, images)
    factor = np.linalg.cholesky(np.cov(centers, rowvar=False))
    return tf.constant(decode(network, centers.mean(0) + noise @ factor.T))

# %% [markdown] tags=["after-exercises"]
# ## What you learned
#
# - An autoencoder squeezes photographs through a **bottleneck** better than PCA of the same size, and yet cannot be fed with noise: nobody told its codes how wide to be, or where.
# - A VAE makes the code a **cloud**; the draw goes through the network as $\mu + \sigma\varepsilon$, so that a gradient gets through.
#   `torch.normal` has a zero one.
# - The **KL term** is the price of a code in nats. It keeps the clouds from shrinking; too high, they all become the same: **collapse**, first of some numbers, then of all.
# - The tidy codes make a map, and samples; they cost detail.
#   An autoencoder whose codes are measured afterwards can draw better.
# - Cross-entropy and squared error, pixel by pixel, are best served by the **average**, and averages are blurred.
#
# ## Try it
#
# Where you change code and not a parameter, first set `altered = True` in the folded cell below the parameters, in both notebooks if you want to compare them.
#
# 1. `latent_size = 64`.
#    How many numbers are active at weight 1?
#    And does the autoencoder's error still fall?
# 2. `kl_weight = 0.1`.
#    What happens to the rebuilt photographs, and to drawings from noise?
# 3. `epochs = 60`, and give it some minutes.
#    Which bars of "Everything by one ruler" get shorter?
# 4. In "The bill", fit a normal distribution to each *kind* of clothes and draw from one of the ten at random.
#    How near does the plain autoencoder get to lesson 11?
#
# ## Read on
#
# - Kingma and Welling, *Auto-Encoding Variational Bayes* (2013), [arXiv:1312.6114](https://arxiv.org/abs/1312.6114): the trick in section 2.4, the closed form in appendix B.
# - Rezende, Mohamed, Wierstra, *Stochastic Backpropagation and Approximate Inference in Deep Generative Models* (2014), [arXiv:1401.4082](https://arxiv.org/abs/1401.4082).
# - Burda, Grosse, Salakhutdinov, *Importance Weighted Autoencoders* (2015), [arXiv:1509.00519](https://arxiv.org/abs/1509.00519): active units, counted by the variance of the means.
# - Ghosh and others, *From Variational to Deterministic Autoencoders* (2020), [arXiv:1903.12436](https://arxiv.org/abs/1903.12436).
# - Rombach and others, *High-Resolution Image Synthesis with Latent Diffusion Models* (2022), [arXiv:2112.10752](https://arxiv.org/abs/2112.10752).

# %% [markdown] tags=["pytorch"]
# - PyTorch: [torch.distributions](https://docs.pytorch.org/docs/stable/distributions.html), on `rsample` and on gradients through draws.

# %% [markdown] tags=["tensorflow"]
# - Keras' own [VAE example](https://keras.io/examples/generative/vae/), on digits, with a `train_step`.

# %% [markdown]
# What is still open: pictures that are sharp.
# In lesson 11 a critic, a network that says "no photograph looks like that", takes the place of the pixel loss.
