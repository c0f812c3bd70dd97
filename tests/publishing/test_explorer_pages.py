"""The explorer's pages in a headless Chromium, opened from disk: every view, by keyboard, without network.

They need Chromium and fonts for Arabic, Devanagari and CJK, which `make integration` installs.
"""

import itertools
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import chromium
import explored
import numpy as np
import pandas as pd
import pytest
from explored import ARABIC, HOSTILE, JAPANESE, taken

from mute.publishing.explorer import explore

pytestmark = pytest.mark.integration

VIEWS = ("overview", "cell", "frontier", "attacks", "compare", "rows", "problems")
WIDTHS = (1300, 390)
# Whether a sign is drawn by a font that has it: its picture is not that of a sign that no font has.
DRAWN = """(text) => {
  const picture = (sign) => {
    const canvas = document.createElement('canvas');
    const pen = canvas.getContext('2d');
    pen.font = `32px ${getComputedStyle(document.body).fontFamily}`;
    pen.fillText(sign, 5, 40);
    return canvas.toDataURL();
  };
  return [...text].map((sign) => picture(sign) !== picture('\\u{10fffd}') && picture(sign) !== picture(' '));
}"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Two studies side by side: a small one with answers and hostile text, and a part of the frozen one."""
    folder = tmp_path_factory.mktemp("explorer")
    made = explored.results(folder / "made")
    tables = made / "tables"
    cells = pd.read_csv(tables / "cells.csv", dtype=str)
    cells["reason"] = HOSTILE
    cells.to_csv(tables / "cells.csv", index=False)
    (tables / "gates.csv").write_text("a\n1\n")
    # One model of the frozen study and few measures, for the time that it takes to write.
    (folder / "frozen").mkdir()
    for path in sorted(Path("paper/frozen").glob("*.parquet")):
        if path.stem in ("cells", "scores", "layers", "bands", "lens"):
            model = [("model", "==", "llama"), ("training_seed", "==", 0)]
            table = pd.read_parquet(path, filters=[*model, *([("metric", "in", ["K", "C"])] * (path.stem == "scores"))])
            table.to_parquet(folder / "frozen" / path.name)
    shutil.copy("paper/frozen/about.json", folder / "frozen")
    return explore.write([explore.payload(made), explore.payload(folder / "frozen")], folder / "out")


@pytest.fixture
def opened(browser, pages):
    """opened(state, width): a page on which whatever goes wrong, or asks for anything but files, is kept."""

    def open_page(state: str = "", width: int = 1300, page: Path = pages):
        tab = chromium.tab(browser, width)
        tab.goto(f"{page.as_uri()}#{state}")
        ready(tab)
        return tab

    yield open_page
    for context in browser.contexts:
        context.close()


def ready(tab, view: str = "") -> None:
    tab.wait_for_selector(f"main[data-ready^='{view}']" if view else "main[data-ready]", timeout=60_000)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_view_opens_without_an_error_or_a_request_and_does_not_scroll_sideways(opened, width):
    tab = opened("", width)
    for study, view in itertools.product("01", VIEWS):
        tab.evaluate("(hash) => { location.hash = hash }", f"view={view}&s={study}")
        ready(tab, f"{view} ")
        assert tab.locator("[role=alert]").count() == 0
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        assert tab.evaluate("window.hacked === undefined && !document.querySelector('main img')")
        low = [(ratio, text) for ratio, text in tab.evaluate(chromium.CONTRAST) if ratio < 4.5]
        assert low == [], view
    assert tab.wrong == []


def test_squares_say_the_numbers_of_the_tables(opened, pages):
    study = taken(pages.parent / "data" / "study-1.js")
    tab = opened("s=1")
    place = next(i for i, case in enumerate(study["cases"]) if case["shown"])
    case, edits = study["cases"][place], [edit for edit in study["edits"] if edit["case"] == place]
    labels = tab.locator(".mark").evaluate_all("(marks) => marks.map((mark) => mark.getAttribute('aria-label'))")
    codes = [*case["source"], *case["heldout"]]
    own = [edit["numbers"]["K"] for edit in edits]
    numbers = [number for each in own for number in (*each["languages"], each["groups"]["worst"])]
    told = sorted(float(re.search(r": K (\S+?)\s\[", label)[1].replace("\u2212", "-")) for label in labels)
    assert len(labels) == len(edits) * (len(codes) + 1) > 200
    # Two decimals; of what lies in the middle the browser takes the upper one.
    assert np.allclose(told, sorted(number[0] for number in numbers), rtol=0, atol=0.005001)


def test_a_cell_is_reached_and_left_by_keyboard_alone(opened):
    tab = opened("s=1")
    for _ in range(40):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.classList.contains('mark')"):
            break
    first = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert "worst held-out language" in first
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("ArrowDown")
    tab.keyboard.press("ArrowRight")
    label = tab.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label != first
    assert label in tab.locator(".reading").all_inner_texts()
    tab.keyboard.press("Enter")
    ready(tab, "cell ")
    assert "view=cell" in tab.url
    assert tab.evaluate("document.activeElement.tagName") == "H2"
    tab.go_back()
    ready(tab, "overview ")
    for view in VIEWS[1:]:
        link = tab.locator(f"nav a[href*='view={view}']")
        link.focus()
        tab.keyboard.press("Enter")
        ready(tab, f"{view} ")
    assert tab.wrong == []


@pytest.mark.parametrize("width", WIDTHS)
def test_text_of_a_study_is_text_in_its_language_and_direction(opened, width):
    tab = opened("view=cell", width)
    said = tab.locator("td[lang], td span[lang]")
    texts = said.evaluate_all("(all) => all.map((n) => [n.lang, n.textContent, getComputedStyle(n).direction])")
    assert {(language, way) for language, text, way in texts if text.strip() == ARABIC} == {("ar", "rtl")}
    assert {(language, way) for language, text, way in texts if text.strip() == JAPANESE} == {("ja", "ltr")}
    assert sum(text == HOSTILE for _, text, _ in texts) > 4
    assert all(tab.evaluate(DRAWN, "لونमة化合物の한"))
    assert not any(tab.evaluate(DRAWN, "\U0010fffd"))
    assert tab.evaluate("window.hacked") is None
    assert tab.wrong == []


def test_a_link_holds_the_state_of_a_view(opened):
    tab = opened("s=1")
    tab.get_by_label("Show").select_option("C")
    tab.get_by_label("Model and setting").select_option(index=1)
    told = tab.locator(".mark").first.get_attribute("aria-label")
    again = opened(tab.url.partition("#")[2])
    assert again.locator(".mark").first.get_attribute("aria-label") == told
    assert ": C " in told


def test_a_filter_finds_the_rows_that_the_table_has_and_saves_them(opened, pages, tmp_path):
    tab = opened("view=rows&s=1&t=cells")
    tab.get_by_role("searchbox").fill("slug destroyed")
    cells = pd.read_parquet(pages.parent.parent / "frozen" / "cells.parquet")
    own = cells[(cells["algorithm"] == "slug") & (cells["status"] == "destroyed")]
    assert 1 < len(own) < len(cells)
    assert tab.locator("[role=status].small").inner_text().startswith(f"{len(own)} of {len(cells)} rows")
    tab.get_by_role("button", name="step_size").click()
    with tab.expect_download() as saving:
        tab.get_by_role("button", name="Save these rows as CSV").click()
    saving.value.save_as(tmp_path / "rows.csv")
    saved = pd.read_csv(tmp_path / "rows.csv", encoding="utf-8-sig")
    assert sorted(saved["digest"]) == sorted(own["digest"])
    assert "q=slug+destroyed" in tab.url


def test_a_figure_is_saved_as_an_image_of_its_own(opened, tmp_path):
    tab = opened("s=1")
    with tab.expect_download() as saving:
        tab.get_by_role("button", name="Save the figure").first.click()
    saving.value.save_as(tmp_path / "figure.svg")
    root = ElementTree.parse(tmp_path / "figure.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall(".//{http://www.w3.org/2000/svg}rect")) > 20


def test_what_is_wrong_with_tables_stands_at_the_head(opened):
    tab = opened("view=problems")
    assert "gates.csv is left out: it has no column" in tab.locator("main").inner_text()
    assert "wrong with the tables" in tab.locator("#standing").inner_text()


def test_a_study_of_which_nothing_or_little_has_landed_opens(opened, tmp_path):
    folder = explored.results(tmp_path / "half", complete=False)
    some = explore.write([explore.payload(folder, explored.about())], tmp_path / "some")
    tab = opened("", page=some)
    assert tab.locator(".mark").count() > 5
    shutil.rmtree(folder / "cells")
    shutil.rmtree(folder / "shards")
    from mute.publishing.explorer.landed import Landed

    reader = Landed(folder, {"llama-s0": ("llama", 0, None)})
    none = explore.write([explore.payload(folder, explored.about(), reader=reader)], tmp_path / "none")
    tab = opened("", page=none)
    assert "No cell has landed yet" in tab.locator("main").inner_text()
    assert tab.locator("svg").count() >= 1, "layer scores"
    assert tab.wrong == []


# As eyes without red's, green's or blue's cones see linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lightness(colour: str, seen: object) -> float:
    """CIE L* of a painted colour, as somebody sees it."""
    rgb = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = float(np.clip(np.array(seen) @ linear, 0, 1) @ [0.2126, 0.7152, 0.0722])
    return 116 * np.cbrt(y) - 16 if y > 0.008856 else 903.3 * y


@pytest.mark.parametrize("who", SEEN)
def test_shades_are_in_order_for_every_eye(opened, who):
    """The darker a square the more is left, whichever colours one sees: told by lightness alone."""
    tab = opened("s=1")
    script = "() => d3.range(0, 1.01, 0.1).map((value) => MUTE.shade(value))"
    shades = [lightness(colour, SEEN[who]) for colour in tab.evaluate(script)]
    assert all(above - below > 2 for above, below in itertools.pairwise(shades))
