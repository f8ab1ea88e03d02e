"""Slides: one deck a lesson for both frameworks, cut from its page of the site. `python -m tandem site` writes them beside it.

A section is a column of slides (right to the next one, down into it): its heading with the first paragraph and formula; then
each step's code, both frameworks beside each other, with what it printed; each figure; each table, a long one on several. What
does not fit on a slide, and all further prose, is in the speaker's notes (key S). reveal.js shows it; it comes with the package
sphinx-revealjs.
"""
import copy
import importlib.util
import re
import shutil
from pathlib import Path

from bs4 import BeautifulSoup
from PIL import Image

LEFT_OUT = {"Set-up", "Parameters", "Read on"}
LINES, COLUMNS = 18, 66  # of code beside its twin
LINES_BELOW, COLUMNS_BELOW = 23, 100  # of code that has the slide's whole width, both twins' together
WORDS, ROWS, CELLS = 110, 9, 100  # the most of a slide of text; rows and words of a table
SAID, SAID_BELOW = 3, 70  # lines of an output that go below a text, of so many words at most
WIDE = 2.05  # width by height of a picture from which on two are larger above each other than beside
FORMULA = 20  # words that a formula takes the place of
WIDE_FORMULA = 80  # signs of one that leaves the slide
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: slides</title>
<link rel="stylesheet" href="reveal/dist/reveal.css">
<link rel="stylesheet" href="../_static/pygments.css">
<link rel="stylesheet" href="../_static/slides.css">
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
<script src="reveal/dist/reveal.js"></script>
<script src="reveal/plugin/notes/notes.js"></script>
<script>
Reveal.initialize({{width: 1280, height: 720, margin: 0.02, center: false, hash: true, slideNumber: "c/t", transition: "none",
                   plugins: [RevealNotes]}});
</script>
</body>
</html>
"""


def write(lessons, site):
    """A deck for each lesson, site/slides/NN_name.html, from site/NN_name.html; and reveal.js beside them."""
    folder = Path(site) / "slides"
    package = Path(importlib.util.find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"
    for path in ("dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js", "LICENSE"):
        (folder / "reveal" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / path, folder / "reveal" / path)
    for lesson in lessons:
        page = (Path(site) / f"{lesson.name}.html").read_text(encoding="utf-8")
        (folder / f"{lesson.name}.html").write_text(deck(page, lesson.title, Path(site)), encoding="utf-8")


def deck(page, title, site):
    """The HTML of a deck, from the HTML of a lesson's page, whose pictures lie in the folder `site`."""
    soup = BeautifulSoup(page, "html.parser")
    lesson = soup.find("article").find("section")
    for extra in lesson.select("a.headerlink, .links, .framework-switch, details"):
        extra.decompose()
    for picture in lesson.find_all("img"):
        with Image.open(site / picture["src"]) as opened:
            picture["width"], picture["height"] = map(str, opened.size)
    for reference in lesson.find_all(["img", "a"]):
        _from_below(reference)
    columns = [_column(lesson, "h1", inner=False)]
    for section in lesson.find_all("section", recursive=False):
        if _heading(section) not in LEFT_OUT:
            columns.append(_column(section, "h2"))
    slides = "\n".join("<section>\n" + "\n".join(map(_html, column)) + "\n</section>" for column in columns)
    return PAGE.format(title=title, slides=slides)


class _Slide:
    """What is seen, and what the speaker reads: HTML elements."""

    def __init__(self, heading, level):
        self.heading, self.level, self.seen, self.notes = heading, level, [], []

    def is_text(self):
        return all(one.name in ("p", "ul", "ol") or "math" in one.get("class", ()) for one in self.seen)

    def is_short_text(self):
        return bool(self.seen) and all(one.name == "p" for one in self.seen) and sum(map(_words, self.seen)) <= SAID_BELOW

    def has_code(self):
        return bool(self.seen) and all(one.find("pre") and not one.find(["img", "table"]) and "twins" not in one["class"]
                                       for one in self.seen)


def _column(section, level, inner=True):
    """The slides of a section, those of its subsections below."""
    heading = _heading(section)
    slides = [_Slide(heading, "exercises" if re.match("Exercise", heading) else level)]
    for element in section.find_all(True, recursive=False):
        if element.name == "section":
            slides += _column(element, "h3") if inner else []
        elif element.name not in ("h1", "h2", "h3", "h4", "span"):
            _place(element, slides, heading)
    return slides


def _place(element, slides, heading):
    """Puts an element on the last slide, on a new one, or into the notes."""
    last = slides[-1]
    if element.name in ("p", "ul", "ol") or "math" in element.get("class", ()):
        alike = [one for one in last.seen if one.name == element.name]
        fits = sum(map(_words, [*last.seen, element])) <= WORDS and _formula(element) <= WIDE_FORMULA
        enough = len(alike) >= (2 if element.name == "div" else 1)
        (last.seen if last.is_text() and fits and not enough else last.notes).append(element)
    elif _is_code(element) and (slides[0].level == "exercises" or not _defines(element)):
        last.notes.append(element)  # what draws, prints or checks: its output is what matters
    elif _is_output(element) and slides[0].level == "exercises":
        last.notes.append(element)  # "not answered yet"
    elif _is_output(element) and last.is_short_text() and _lines([element]) <= SAID:
        last.seen.append(element)
    elif "twin" in element.get("class", ()) and slides[0].level != "exercises":
        _place_twin(element, slides, heading)
    elif _is_output(element) and last.has_code() and _lines([*last.seen, element]) <= LINES_BELOW:
        last.seen.append(element)
    elif element.find("table") or element.name == "table":
        for part in _parts(element):
            if slides[-1].seen:
                slides.append(_Slide(heading, "h4"))
            slides[-1].seen.append(part)
    elif _fits_alone(element):
        slides.append(_Slide(heading, "h4"))
        slides[-1].seen.append(element)
    else:
        last.notes.append(element)


SHOWN = {"code": ":scope > div.highlight-ipython3, :scope > div.output", "picture": "img", "table": "table"}
"""What of a twin's side goes on slides: {kind: where it stands}."""


def _is_code(element):
    return "highlight-ipython3" in element.get("class", ())


def _is_output(element):
    return "output" in element.get("class", ())


def _defines(code):
    return re.search(r"^(def|class|@|%%write)", code.get_text(), re.MULTILINE)


def _place_twin(twin, slides, heading):
    """Both frameworks' code and figures, side by side where there is room; their prose into the notes."""
    sides = twin.select(":scope > .side")
    notes, parts = [], {"code": [], "picture": [], "table": []}
    for side in sides:
        for kind, selector in SHOWN.items():
            parts[kind].append([copy.copy(one) for one in side.select(selector)])
        name = side.select_one(".side-name")
        notes.append(_note(name.get_text(strip=True), side.find_all("p", recursive=False)))
    for kind, found in parts.items():
        if not any(found):
            continue
        wide = kind == "picture" and len(found) == 2 and all(len(one) == 1 and _ratio(one[0]) > WIDE for one in found)
        beside = (kind == "picture" and not wide
                  or kind == "code" and all(_lines(one) <= LINES and _widest(one) <= COLUMNS for one in found))
        below = wide or kind == "code" and sum(map(_lines, found)) <= LINES_BELOW and max(map(_widest, found)) <= COLUMNS_BELOW
        if beside or below:
            slides.append(_Slide(heading, "h4"))
            slides[-1].seen.append(_sides(sides, found, "beside" if beside else "below"))
    slides[-1].notes += [one for one in notes if one]


def _sides(sides, found, how):
    soup = BeautifulSoup(f'<div class="twins {how}"></div>', "html.parser")
    for side, elements in zip(sides, found, strict=True):
        if elements:
            half = soup.new_tag("div", attrs={"class": ["half", *side["class"]]})
            name = soup.new_tag("div", attrs={"class": "name"})
            name.string = side.select_one(".side-name").get_text(strip=True)
            half.append(name)
            half.extend(_sized(elements, 595) if how == "beside" else elements)
            soup.div.append(half)
    return soup.div if how == "beside" else _sized([soup.div], 1230)[0]


def _note(name, paragraphs):
    if not paragraphs:
        return None
    soup = BeautifulSoup("<div></div>", "html.parser")
    mark = soup.new_tag("b")
    mark.string = name
    soup.div.append(mark)
    soup.div.extend([copy.copy(one) for one in paragraphs])
    return soup.div


def _ratio(picture):
    return int(picture["width"]) / int(picture["height"])


def _parts(element):
    """A table in parts that fit on a slide each, all with its head."""
    table = element if element.name == "table" else element.find("table")
    head, rows = table.find("thead"), table.select("tbody > tr")
    parts = []
    for row in rows:
        if not parts or len(parts[-1]) == ROWS or sum(map(_words, [*parts[-1], row])) > CELLS:
            parts.append([])
        parts[-1].append(row)
    for part in parts:
        soup = BeautifulSoup("<table><tbody></tbody></table>", "html.parser")
        if head:
            soup.table.insert(0, copy.copy(head))
        soup.tbody.extend([copy.copy(row) for row in part])
        yield soup.table


def _fits_alone(element):
    if element.find("img"):
        return True
    return bool(element.find("pre")) and _lines([element]) <= LINES_BELOW and _widest([element]) <= COLUMNS_BELOW


def _html(slide):
    level = slide.level if slide.level in ("h1", "h2") else "h3"
    quiet = ' class="again"' if slide.level == "h4" else ""
    twins = any("twins" in one.get("class", ()) for one in slide.seen)
    seen = "\n".join(map(str, slide.seen if twins else _sized(slide.seen, 1230)))
    notes = "\n".join(map(str, slide.notes))
    return (f"<section>\n<{level}{quiet}>{slide.heading}</{level}>\n{seen}\n"
            + (f'<aside class="notes">{notes}</aside>\n' if notes else "") + "</section>")


def _heading(section):
    return section.find(re.compile("h[1-6]"), recursive=False).decode_contents().strip()


def _from_below(reference):
    """The deck lies one folder deeper than the page."""
    for name in ("src", "href"):
        place = reference.get(name)
        if place and not re.match(r"[a-z]+:|#|//", place):
            reference[name] = f"../{place}"
        elif place and place.startswith("#"):
            del reference[name]


def _words(element):
    return FORMULA if "math" in element.get("class", ()) else len(element.get_text().split())


def _formula(element):
    """Signs of its longest formula, which breaks into no lines."""
    return max((len(re.sub(r"\s", "", one.get_text())) for one in element.find_all("math")), default=0)


def _sized(elements, width):
    """The elements, their code as large as lines and columns leave room for, at a width in pixels."""
    size = min(24, width / (0.61 * max(_widest(elements), 1)), 560 / (1.3 * (_lines(elements) + 2)))
    for pre in [pre for one in elements for pre in one.find_all("pre")]:
        pre["style"] = f"font-size: {size:.1f}px"
    return elements


def _lines(elements):
    return sum(len(pre.get_text().strip("\n").splitlines()) for one in elements for pre in one.find_all("pre"))


def _widest(elements):
    return max((len(line) for one in elements for pre in one.find_all("pre") for line in pre.get_text().splitlines()), default=0)
