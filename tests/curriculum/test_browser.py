"""The page of lesson 18 in a real browser: what it answers, what it asks for, and how it is used without a mouse."""
import functools
import http.server
import json
import os
import re
import shutil
import sys
import threading

import numpy as np
import pytest

from tandem import browser, data, judge
from tandem.tools import source
from tandem.tools.twin import network_cells

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PICTURES = 20
SHIRT = [(95, 50), (75, 58), (30, 110), (58, 132), (86, 110), (86, 232), (194, 232), (194, 110), (222, 132), (250, 110),
         (205, 58), (185, 50), (162, 64), (118, 64), (95, 50)]  # an outline, in points of the 280 × 280 canvas


def absent():
    if not CHROMIUM:
        return "no Chromium here: install it to test the page of lesson 18"
    if not browser.is_installed():
        return "what the page loads is not installed: type  python -m tandem install 18"
    return ""


if "CI" in os.environ and sys.platform == "linux":
    assert not absent(), absent()
pytestmark = pytest.mark.skipif(bool(absent()), reason=absent())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the page, made by the lesson's own cells, with the files in data/ for both twins."""
    folder = tmp_path_factory.mktemp("page")
    lesson = network_cells(source.find("18"), "pytorch", tags={"script"})
    _, (images, labels) = data.fashion_mnist(100)
    lesson["write_frame"](folder, images[:PICTURES])
    for name in ("onnx_js", "litert_js"):
        (folder / name.replace("_", ".")).write_text(lesson[name], encoding="utf-8")
    (folder / "tfjs.js").write_text(lesson["tfjs_js"] + lesson["tfjs_js_load"], encoding="utf-8")
    (folder / "weights.json").write_text(lesson["as_json"](data.fashion_classifier(), lesson["shortest"]), encoding="utf-8")
    for framework in ("pytorch", "tensorflow"):
        for kind in ("onnx", "tflite"):
            (folder / f"{framework}.{kind}").write_bytes(data.exported_classifier(framework, kind))
    listed = {"classes": data.FASHION_CLASSES, "labels": labels[:PICTURES].tolist(), "answers": lesson["entries"]}
    (folder / "page.json").write_text(json.dumps(listed), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def address(site):
    class Handler(http.server.SimpleHTTPRequestHandler):
        extensions_map = {"": "application/octet-stream", ".html": "text/html", ".css": "text/css", ".js": "text/javascript",
                          ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if root else [])
        yield launched
        launched.close()


@pytest.fixture
def opened(chromium, address):
    """opened(width): a new tab with the page, ready; what it asked for is in tab.asked."""
    tabs = []

    def open_page(width=1280, colours="light", without=None):
        tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=colours)
        tabs.append(tab)
        tab.asked, tab.errors = [], []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        if without:
            tab.route(f"**/{without}", lambda route: route.fulfill(status=404))
        tab.goto(address)
        tab.wait_for_selector("html:not([data-state=loading])")
        return tab

    yield open_page
    for tab in tabs:
        tab.close()


def draw(tab, points):
    box = tab.locator("#drawing").bounding_box()
    for number, (x, y) in enumerate(points):
        tab.mouse.move(box["x"] + x * box["width"] / 280, box["y"] + y * box["height"] / 280, steps=4)
        if number == 0:
            tab.mouse.down()
    tab.mouse.up()
    tab.evaluate("tandem.settled()")


def test_all_five_answers_are_the_networks_own(opened):
    tab = opened()
    answers = tab.evaluate("tandem.logits()")
    _, (images, _) = data.fashion_mnist(100)
    features, _ = judge.describe(2 * images[:PICTURES] - 1)
    output = data.fashion_classifier()["output"]
    wanted = features @ output["kernel"] + output["bias"]
    assert len(answers) == 5 and tab.evaluate("tandem.failed") == []
    for name, logits in answers.items():
        assert np.abs(np.array(logits) - wanted).max() < 1e-4, name
    assert all(0 < took < 1000 for took in tab.evaluate("tandem.milliseconds()").values())


def test_nothing_is_asked_of_another_computer_and_nothing_fails(opened, address):
    tab = opened()
    tab.click("#fill")
    assert [url for url in tab.asked if not url.startswith(address)] == [] and tab.errors == []
    blocked = tab.evaluate("fetch('http://127.0.0.2/').then(() => 'sent', () => 'blocked')")
    assert blocked == "blocked", "the page's content security policy lets requests out"


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_its_window(opened, width):
    tab = opened(width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = tab.evaluate("""() => [...document.querySelectorAll("main *")].filter((one) =>
        !one.closest(".unseen") && one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML.slice(0, 80))""")
    assert outside == []
    cut = tab.evaluate("""() => [...document.querySelectorAll("th, td, button")].filter((one) =>
        one.scrollWidth > one.clientWidth + 1 && one.clientWidth).map((one) => one.textContent)""")
    assert cut == [], "text that is wider than its place"


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing(opened, width, colours):
    tab = opened(width, colours)
    tab.evaluate((browser.runtimes() / "axe-core/axe.min.js").read_text(encoding="utf-8"))
    found = tab.evaluate("axe.run()")["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def test_a_drawing_is_answered_filled_and_cleared(opened):
    tab = opened()
    before = tab.inner_text("#verdict")
    tab.click("[data-brush='10']")
    draw(tab, SHIRT)
    outline = tab.inner_text("#verdict")
    tab.click("#fill")
    tab.evaluate("tandem.settled()")
    assert before == "Ankle boot" and outline != tab.inner_text("#verdict") == "T-shirt"
    assert tab.inner_text("#truth") == "", "a drawing has no label"
    tab.click("#clear")
    tab.evaluate("tandem.settled()")
    assert tab.inner_text("#verdict") == "Nothing yet" and not any(tab.evaluate("tandem.seen()"))


def test_an_open_outline_is_not_filled_and_the_page_says_so(opened):
    tab = opened()
    tab.click("[data-brush='10']")
    draw(tab, SHIRT[:-4])
    before = tab.evaluate("tandem.seen()")
    tab.click("#fill")
    assert tab.evaluate("tandem.seen()") == before and tab.inner_text("#status") == "Nothing to fill: close the outline first."
    draw(tab, SHIRT)
    tab.click("#fill")
    assert tab.inner_text("#status") == ""


def test_the_agreement_is_told_as_decimals(opened):
    tab = opened()
    said = re.fullmatch(r"The five agree to (\d) decimals: the largest difference in any score \(logit\) is (0\.\d+)\.",
                        tab.inner_text("#agreement"))
    logits = [np.array(rows[0]) for rows in tab.evaluate("tandem.logits(1)").values()]
    apart = np.ptp(logits, axis=0).max()
    assert said and abs(float(said[2]) - apart) < 0.1 * apart and apart <= 10.0 ** -int(said[1])


def test_a_small_drawing_in_a_corner_is_enlarged_and_moved_to_the_middle(opened):
    tab = opened()
    tab.click("[data-brush='10']")
    draw(tab, [(20, 20), (100, 20), (100, 60), (20, 60), (20, 20)])
    seen = np.array(tab.evaluate("tandem.seen()")).reshape(28, 28)
    rows, columns = (np.flatnonzero((seen > 60).any(axis)) for axis in (1, 0))
    assert columns[0] <= 1 and columns[-1] >= 26, "the longer side fills the frame"
    assert abs(rows[0] + rows[-1] - 27) <= 1 and rows[-1] - rows[0] < 20, "the shorter one is in the middle"


def test_a_picture_is_seen_as_it_is(opened):
    tab = opened()
    _, (images, _) = data.fashion_mnist(100)
    for number in (0, 7):
        tab.evaluate(f"tandem.choose({number})")
        assert tab.evaluate("tandem.seen()") == np.round(images[number] * 255).astype(int).ravel().tolist()


def test_all_can_be_done_with_the_keyboard(opened):
    tab = opened()
    reached = []
    for _ in range(30):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label') || "
                                    "document.activeElement.textContent"))
        if "Trouser" in reached[-1]:
            ring = tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            tab.keyboard.press("Enter")
            break
    tab.evaluate("tandem.settled()")
    assert {"Fine", "Broad", "fill", "clear"} < set(reached) and ring == "solid"
    assert tab.inner_text("#truth") == "In truth: Trouser" and tab.inner_text("#verdict") == "Trouser"


def test_a_photo_on_a_white_ground_is_turned(opened, tmp_path):
    from PIL import Image

    _, (images, labels) = data.fashion_mnist(100)
    trouser = images[np.flatnonzero(labels == 1)[0]]
    Image.fromarray((255 - 255 * trouser).astype("uint8")).resize((300, 300)).save(tmp_path / "photo.png")
    tab = opened()
    tab.set_input_files("#photo", tmp_path / "photo.png")
    tab.wait_for_selector("#truth:empty", state="attached")
    tab.evaluate("tandem.settled()")
    assert tab.inner_text("#verdict") == "Trouser"


@pytest.mark.parametrize("name", ["pytorch.onnx", "weights.json"])
def test_a_missing_network_is_told_in_one_sentence_and_the_others_answer(opened, name):
    tab = opened(without=name)
    assert f"does not answer: {name} is missing beside this page." in tab.inner_text("#status")
    assert tab.evaluate("document.documentElement.dataset.state") == "failed"
    assert len(tab.evaluate("tandem.logits(2)")) == 4 and tab.inner_text("#verdict") == "Ankle boot"


def test_a_page_without_its_list_says_so(opened):
    tab = opened(without="page.json")
    assert tab.inner_text("#status") == "The page does not work: page.json is missing beside this page."


def test_what_the_page_loads_is_kept_by_the_installer():
    root = browser.runtimes()
    kept = {path.relative_to(root).as_posix() for pattern in browser.KEPT for path in root.glob(pattern)}
    assert set(browser.LOADED.values()) <= kept
