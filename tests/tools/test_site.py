"""The page and the slides: what the notebooks hold is on them, a slide fits, nothing comes from elsewhere, a reader can read."""
import base64
import hashlib
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from bs4 import BeautifulSoup

import tandem
from tandem import browser
from tandem.tools import notebook, site, slides, source

TOO_LARGE = """() => Reveal.getSlides().filter(slide => {
    const {h, v} = Reveal.getIndices(slide);
    Reveal.slide(h, v);
    const scale = Reveal.getScale(), box = slide.getBoundingClientRect();
    return [...slide.querySelectorAll(":scope > :not(aside), :scope > :not(aside) *")].some(one => {
        const place = one.getBoundingClientRect();
        return (place.bottom - box.top) / scale > 720 || (place.right - box.left) / scale > 1282 || one.scrollWidth > 1282;
    });
}).map(slide => slide.querySelector("h1, h2, h3").textContent)"""
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome here: what a reader sees is not looked at")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of the whole site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    site.build(folder, report=lambda _: None)
    return folder


@pytest.fixture(scope="module")
def soups(made):
    """{name: a page, read}."""
    return {path.stem: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in made.glob("*.html")}


@pytest.fixture(scope="module")
def decks(made):
    """{name: a deck, read}."""
    return {path.stem: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in made.glob("slides/*.html")}


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def words(text):
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("lesson", source.all_lessons(), ids=lambda lesson: lesson.name)
def test_every_cell_and_output_of_the_notebooks_is_on_the_page(lesson, soups, made):
    blocks = {words(block.get_text()) for block in soups[lesson.name].find_all("pre")}
    pictures = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (made / "_images").iterdir()}
    alts = {image.get("alt") for image in soups[lesson.name].find_all("img")}
    for framework in lesson.frameworks:
        for cell in nbformat.read(notebook.folder() / lesson.notebook_name(framework), as_version=4).cells:
            if cell.cell_type == "code":
                assert words(cell.source) in blocks, f"not on the page: {cell.source[:200]}"
            for output in cell.get("outputs", ()):
                if output.output_type == "stream":
                    assert words(output.text) in blocks, f"not on the page: {output.text[:200]}"
                elif "image/png" in output.data:
                    assert hashlib.sha256(base64.b64decode(output.data["image/png"])).hexdigest() in pictures, cell.source[:200]
                    assert output.metadata["image/png"]["alt"] in alts, cell.source[:200]


@pytest.mark.parametrize("lesson", source.all_lessons(), ids=lambda lesson: lesson.name)
def test_a_deck_has_every_section_figure_and_paragraph_of_its_page(lesson, soups, decks):
    page, deck = soups[lesson.name].find("article"), decks[lesson.name]
    left_out = [section for section in page.find_all("section") if section.find("h2", recursive=False)
                and section.h2.get_text().rstrip("#") in slides.LEFT_OUT]
    for section in [*left_out, *page.find_all("details")]:
        section.decompose()
    headings = {words(heading.get_text()) for heading in deck.find_all(["h1", "h2", "h3"])}
    assert not {words(heading.get_text().rstrip("#")) for heading in page.find_all(["h1", "h2", "h3"])} - headings
    assert {f"../{picture['src']}" for picture in page.find_all("img")} == {picture["src"] for picture in deck.find_all("img")}
    said = words(deck.get_text())
    assert not [one.get_text() for one in page.select("section > p") if words(one.get_text()) not in said]


def test_a_slide_shows_both_frameworks_beside_each_other(decks):
    beside = [[name.get_text() for name in one.select(".name")] for one in decks["02_training"].select(".twins.beside")]
    assert ["PyTorch", "TensorFlow"] in beside and ["TensorFlow", "PyTorch"] not in beside


def test_the_page_loads_nothing_from_elsewhere(soups, decks):
    loaded = [(name, tag.name, tag.get("src") or tag.get("href")) for name, soup in [*soups.items(), *decks.items()]
              for tag in soup.find_all(["script", "link", "img", "iframe", "source"])]
    assert not [one for one in loaded if re.match("(https?:)?//", one[2] or "")]


def test_links_between_pages_lead_somewhere(soups, made):
    links = {(name, link["href"]) for name, soup in soups.items() for link in soup.find_all("a", href=True)}
    files = {(name, re.split("[#?]", link)[0]) for name, link in links if not re.match("[a-z]+:|#", link)}
    assert not [(name, file) for name, file in files if not (made / file).exists()]


def test_the_front_page_names_every_lesson_and_says_what_to_type(soups):
    text = soups["index"].get_text()
    assert all(lesson.title in text for lesson in source.all_lessons()) and "make lab" in text and "make test" in text


def test_it_is_as_small_as_promised(made):
    sizes = {path: path.stat().st_size for path in made.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 40e6 and max(sizes[path] for path in made.glob("*.html")) < 5e6


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(site.SiteError, match="name another folder"):
        site.build(tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_a_notebook_that_its_source_does_not_make_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(notebook, "stored", lambda *_: None)
    with pytest.raises(site.SiteError, match="python -m tandem build 02"):
        site.page(source.find("02"), tmp_path)


def test_the_command_says_where_the_page_is(tmp_path):
    done = subprocess.run([sys.executable, "-m", "tandem", "site", "--output", "/dev/null/site"], cwd=tandem.ROOT,
                          capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 1 and "Traceback" not in done.stderr


@needs_chromium
def test_no_page_scrolls_sideways_on_a_telephone(made, soups, chromium):
    tab = chromium.new_page(viewport={"width": 400, "height": 800})
    for name in soups:
        tab.goto((made / f"{name}.html").as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") <= 400, name
    tab.close()


@needs_chromium
def test_every_slide_fits(made, decks, chromium):
    tab, found = chromium.new_page(viewport={"width": 1280, "height": 720}), []
    for name in decks:
        tab.goto((made / "slides" / f"{name}.html").as_uri())
        tab.wait_for_function("window.Reveal && Reveal.isReady()")
        found += [(name, heading) for heading in tab.evaluate(TOO_LARGE)]
    tab.close()
    assert not found, "slides from which something hangs out: in tandem/tools/slides.py, leave less on a slide"


@needs_chromium
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 400])
@pytest.mark.parametrize("name", ["index", "01_tensors", "findings"])
def test_axe_finds_nothing(made, chromium, name, width, colours):
    script = browser.runtimes() / "axe-core" / "axe.min.js"
    tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
    tab.goto((made / f"{name}.html").as_uri())
    tab.evaluate(script.read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run()")["violations"]
    tab.close()
    assert not [(one["id"], one["nodes"][0]["html"]) for one in found]


@needs_chromium
def test_the_switch_is_reached_by_tab_and_remembered(made, chromium):
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    tab.goto((made / "02_training.html").as_uri())
    seen = "side => document.querySelector('.side.' + side).offsetParent !== null"
    assert tab.evaluate(seen, "pytorch") and tab.evaluate(seen, "tensorflow")
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.dataset.show") == "tensorflow":
            break
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.documentElement.dataset.framework") == "tensorflow"
    assert tab.evaluate(seen, "tensorflow") and not tab.evaluate(seen, "pytorch")
    tab.goto((made / "03_debugging.html").as_uri())
    assert tab.evaluate("document.documentElement.dataset.framework") == "tensorflow"
    tab.goto((made / "03_debugging.html").as_uri() + "?framework=pytorch")
    assert tab.evaluate("document.documentElement.dataset.framework") == "pytorch"
    context.close()
