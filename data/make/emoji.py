"""Cuts the emoji that data/ ships out of the sheets of two npm packages: data/emoji_noto.png, emoji_twemoji.png, emoji.csv.gz.

    npm pack emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0
    python data/make/emoji.py emoji-datasource-google-16.0.0.tgz emoji-datasource-twitter-16.0.0.tgz

Takes the glyphs of 32×32 pixels that both packages draw (1,911, then their 1,875 skin tones, in the packages' order), sets them
on white, and reduces each sheet to 256 colours, which changes a channel by 2 to 3 of 255 in the mean: it prints by how much.
"""
import argparse
import csv
import gzip
import io
import json
import tarfile

import numpy as np
from PIL import Image

from tandem import ROOT, data

CELL, BORDER = 34, 1  # pixels from glyph to glyph in the packages' sheets, and around each
TONES = {"1F3FB": "light", "1F3FC": "medium-light", "1F3FD": "medium", "1F3FE": "medium-dark", "1F3FF": "dark"}


def read(archive, style):
    """(sheet, glyphs): the package's sheet of 32-pixel glyphs set on white, as RGB array, and its table of glyphs."""
    with tarfile.open(archive) as package:
        sheet = Image.open(package.extractfile(f"package/img/{style}/sheets/32.png")).convert("RGBA")
        glyphs = json.load(package.extractfile("package/emoji.json"))
    white = Image.new("RGBA", sheet.size, "white")
    return np.asarray(Image.alpha_composite(white, sheet).convert("RGB")), glyphs


def in_both(first, second, style_1, style_2):
    """The glyphs that both packages draw, as pairs of their entries, each with its tone; those without a tone come first."""
    others = {entry["unified"]: entry for entry in second}
    plain, toned = [], []
    for entry in first:
        other = others[entry["unified"]]
        if entry[f"has_img_{style_1}"] and other[f"has_img_{style_2}"]:
            plain.append((entry, entry, other, ""))
        for key, variant in entry.get("skin_variations", {}).items():
            twin = other.get("skin_variations", {}).get(key)
            if twin and variant[f"has_img_{style_1}"] and twin[f"has_img_{style_2}"]:
                tone = "+".join(TONES[part] for part in key.split("-"))
                toned.append((entry, variant, twin, tone))
    return plain + toned


def cut(sheet, entry):
    top, left = (CELL * entry[f"sheet_{axis}"] + BORDER for axis in "yx")
    return sheet[top : top + data.EMOJI_SIZE, left : left + data.EMOJI_SIZE]


def save_sheet(glyphs, path):
    """One sheet of `data.EMOJI_COLUMNS` glyphs a row, in 256 colours."""
    size, columns = data.EMOJI_SIZE, data.EMOJI_COLUMNS
    rows = -(-len(glyphs) // columns)
    cells = np.full((rows * columns, size, size, 3), 255, "uint8")
    cells[: len(glyphs)] = glyphs
    sheet = cells.reshape(rows, columns, size, size, 3).swapaxes(1, 2).reshape(rows * size, columns * size, 3)
    image = Image.fromarray(sheet).quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    error = np.abs(sheet.astype("int16") - np.asarray(image.convert("RGB")))
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB, mean error {error.mean():.2f} of 255, "
          f"white kept: {bool((error[(sheet == 255).all(-1)] == 0).all())}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("noto", help="emoji-datasource-google-16.0.0.tgz")
    parser.add_argument("twemoji", help="emoji-datasource-twitter-16.0.0.tgz")
    arguments = parser.parse_args()
    noto_sheet, noto_table = read(arguments.noto, "google")
    twemoji_sheet, twemoji_table = read(arguments.twemoji, "twitter")
    found = in_both(noto_table, twemoji_table, "google", "twitter")
    save_sheet(np.stack([cut(noto_sheet, entry) for _, entry, _, _ in found]), ROOT / "data" / "emoji_noto.png")
    save_sheet(np.stack([cut(twemoji_sheet, entry) for _, _, entry, _ in found]), ROOT / "data" / "emoji_twemoji.png")

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(data.EMOJI_FIELDS)
    for base, _, _, tone in found:
        table.writerow([base["name"], base["short_name"], base["category"], base["subcategory"], tone])
    (ROOT / "data" / "emoji.csv.gz").write_bytes(gzip.compress(text.getvalue().encode("utf-8"), 9, mtime=0))
    print(f"emoji.csv.gz: {len(found)} glyphs, {sum(not tone for *_, tone in found)} without a tone")


if __name__ == "__main__":
    main()
