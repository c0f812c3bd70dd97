"""The board's page in a headless Chromium, opened from disk: it filters and sorts, by keyboard, without network.

It needs Chromium and fonts, which `make integration` installs.
"""

import re

import chromium
import pandas as pd
import pytest

from mute.publishing.board import page, shelf

pytestmark = pytest.mark.integration
WIDTHS = (1300, 390)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """The board as it is in the repository: where its page lies, and its table."""
    checked = shelf.read([shelf.FROZEN])
    places = shelf.board(checked)
    path = tmp_path_factory.mktemp("board") / "index.html"
    path.write_text(page.page_text(places, 0.8, [each.form for each in checked]), encoding="utf-8")
    return path, shelf.table(places)


@pytest.fixture
def opened(browser, board):
    def open_page(width: int = 1300):
        tab = chromium.tab(browser, width)
        tab.goto(board[0].as_uri())
        return tab

    yield open_page
    for context in browser.contexts:
        context.close()


def shown(tab) -> list[list[str]]:
    """The cells of the rows that are shown, as one reads them."""
    rows = "[...document.querySelectorAll('#board tbody tr:not([hidden])')]"
    return tab.evaluate(f"() => {rows}.map(row => [...row.cells].map(cell => cell.innerText))")


@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_an_error_or_a_request_and_does_not_scroll_sideways(opened, board, width):
    tab = opened(width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert len(shown(tab)) == len(board[1])
    assert tab.wrong == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_text_can_be_told_from_what_is_behind_it(opened, width):
    found = opened(width).evaluate(chromium.CONTRAST)
    assert len(found) > 500
    assert [(ratio, words) for ratio, words in found if ratio < 4.5] == []


def test_a_filter_shows_the_rows_that_the_table_has(opened, board):
    tab, table = opened(), board[1]
    for column, choice in (("family", "representation"), ("architecture", "gemma"), ("status", "destroyed")):
        tab.select_option(f"#{column}", choice)
        assert len(shown(tab)) == (table[column] == choice).sum() > 0
        tab.select_option(f"#{column}", "")
    tab.fill("#search", "word filter")
    named = table["algorithm"].str.replace("_", " ").eq("word filter").sum()
    assert 0 < named <= len(shown(tab)) < len(table)
    assert tab.locator("#count").inner_text() == f"{len(shown(tab))} of {len(table)} rows"


def test_a_script_puts_its_languages_number_in_the_place_of_the_worst(opened):
    tab = opened()
    before = [row[5] for row in shown(tab)]
    scripts = tab.evaluate("() => [...document.querySelectorAll('#script option')].map(o => o.value).filter(v => v)")
    assert len(scripts) > 1
    tab.select_option("#script", scripts[0])
    after = [row[5] for row in shown(tab)]
    assert after != before
    tab.select_option("#script", "")
    assert [row[5] for row in shown(tab)] == before


def test_columns_are_sorted_by_keyboard_alone(opened):
    tab = opened()
    for _ in range(60):
        tab.keyboard.press("Tab")
        if (
            tab.evaluate("document.activeElement.closest('th') && document.activeElement.textContent")
            == "K, worst language"
        ):
            break
    else:
        pytest.fail("no key leads to the head of a column")
    for reverse in (False, True):
        tab.keyboard.press("Enter")
        numbers = [
            float(found[0].replace("−", "-")) for row in shown(tab) if (found := re.findall(r"^[−-]?\d+\.\d+", row[5]))
        ]
        assert len(numbers) > 50
        assert numbers == sorted(numbers, reverse=reverse)
    assert tab.evaluate("document.activeElement.closest('th').getAttribute('aria-sort')") == "descending"


def test_the_table_of_the_board_is_that_of_the_page(opened, board):
    """Every K and C of the table, as it is written, stands in the page."""
    text = "\n".join(" ".join(row) for row in shown(opened()))
    numbers = pd.concat([board[1]["k_worst"], board[1]["c_worst"]]).dropna()
    for number in numbers.sample(100, random_state=1):
        assert f"{number:.2f}".replace("-", "−") in text or f"{number:.2f}" in text
