"""Rebuilds data/surnames.csv.gz, byte for byte, from the Python package Faker 40.54.0.

    pip download --no-deps Faker==40.54.0
    python data/make/surnames.py faker-40.54.0-py3-none-any.whl

Reads the tuples of surnames in Faker's source without running it. A name counts once for a language; one that several languages
share stays in each of them. A dozen entries of more than 20 letters or with a comma (whole persons, not surnames) are left out.
"""
import ast
import csv
import gzip
import io
import sys
import zipfile

from tandem import ROOT

SOURCES = {  # language: Faker's locales, and the names of their tuples
    "Croatian": (["hr_HR"], ["last_names"]),
    "Dutch": (["nl_NL"], ["last_names"]),
    "English": (["en_GB", "en_US"], ["last_names"]),
    "Estonian": (["et_EE"], ["last_names_est"]),
    "Finnish": (["fi_FI"], ["last_names"]),
    "French": (["fr_FR", "fr_QC"], ["last_names"]),
    "German": (["de_DE", "de_AT"], ["last_names"]),
    "Irish": (["ga_IE"], ["last_names"]),
    "Italian": (["it_IT"], ["last_names"]),
    "Polish": (["pl_PL"], ["male_last_names", "unisex_last_names"]),
    "Portuguese": (["pt_PT", "pt_BR"], ["last_names"]),
    "Slovak": (["sk_SK"], ["last_names_male", "last_names_female"]),
    "Spanish": (["es_ES"], ["last_names"]),
    "Swedish": (["sv_SE"], ["last_names"]),
}


def tuples(source, wanted):
    """The strings of the tuples, lists or dictionaries that `source` (Python code) assigns to one of the names `wanted`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(getattr(target, "id", None) in wanted for target in targets):
                yield from (leaf.value for leaf in ast.walk(node.value)
                            if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str))


def surnames(wheel):
    for language, (locales, wanted) in SOURCES.items():
        found = set()
        for locale in locales:
            source = wheel.read(f"faker/providers/person/{locale}/__init__.py").decode("utf-8")
            found.update(name.strip().replace("\u2019", "'") for name in tuples(source, wanted))
        yield from ((language, name) for name in sorted(found) if len(name) <= 20 and "," not in name)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    table = io.StringIO()
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        csv.writer(table, lineterminator="\n").writerows([("language", "name"), *surnames(wheel)])
    compressed = gzip.compress(table.getvalue().encode("utf-8"), 9, mtime=0)
    (ROOT / "data" / "surnames.csv.gz").write_bytes(compressed)
