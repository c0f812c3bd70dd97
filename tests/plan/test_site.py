"""The documentation site: every page and every thing has its place, links hold, and no number is typed."""

import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
import yaml

import mute
from mute.plan import catalogue as everything
from mute.plan.site import behaviours, catalogue, links, markdown, numbers, studies
from mute.unlearn.base import Family

ROOT = Path(__file__).parents[2]
GENERATED = {"gallery.md", "reference-library.md", *links.PAGES.values()}
# What a result looks like: shares, percentages, and intervals. Sizes and counts of the design are none.
RESULT = re.compile(r"\d\s?%|\b\d*\.\d+\b|\[−?\d")


@cache
def navigation() -> tuple[str, ...]:
    """Pages of the navigation, in its order."""
    found: list[str] = []

    def walk(part):
        for entry in part if isinstance(part, list) else part.values():
            found.append(entry) if isinstance(entry, str) else walk(entry)

    walk(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    return tuple(found)


def test_every_page_is_in_the_navigation_once():
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    made = {name for name in navigation() if name.startswith(f"{catalogue.FOLDER}/")}
    assert sorted(navigation()) == sorted(written | made | GENERATED)


def test_code_within_lists_is_indented_as_the_site_reads_it():
    """By four: with less a list of steps begins anew behind each piece of code."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    fences = [
        (page.name, mark) for page in pages for mark in re.findall(r"^( *)```", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(fences) > 50
    assert [(name, mark) for name, mark in fences if len(mark) % 4] == []


def test_everything_has_a_page_and_every_family_its_words():
    assert set(catalogue.FAMILIES) == set(get_args(Family))
    for entry in everything.entries():
        page = os.path.normpath(f"{catalogue.FOLDER}/{catalogue.where(entry)}")
        assert page in navigation(), f"{entry.kind} {entry.name}: {page}"
        assert entry.kind in catalogue.KINDS


# Numbers


def prose(text: str) -> str:
    """A page without its comments, links, code and the names of numbers."""
    return re.sub(r"<!--.*?-->|\]\([^)]*\)|`[^`]*`|^```.*?^```|\{\{.*?\}\}", "", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["science.md", "index.md"])
def test_no_result_is_typed(page):
    text = prose((ROOT / "docs" / page).read_text(encoding="utf-8"))
    # The interval's own level, and a version of Python.
    assert RESULT.findall(text.replace("95 %", "").replace("Python 3.11", "")) == []


@pytest.mark.parametrize("typed", ["It keeps 96 % of it.", "K is 0.14 there.", "K [0, 1]", "1.5 of it"])
def test_a_typed_result_would_be_found(typed):
    assert RESULT.search(prose(typed))


def test_a_name_that_is_no_number_is_told_with_the_nearest():
    assert numbers.filled("a {{ answer }} b", {"answer": "yes"}) == "a yes b"
    with pytest.raises(ValueError, match=r"anwser.*answer"):
        numbers.filled("{{ anwser }}", {"answer": "yes"})


def test_every_number_that_pages_name_is_one():
    pages = ("docs/index.md", "docs/science.md")
    named = [name for page in pages for name in re.findall(r"\{\{ (.*?) \}\}", (ROOT / page).read_text("utf-8"))]
    text = (ROOT / "src/mute/plan/site/numbers.py").read_text(encoding="utf-8")
    assert len(named) > 10
    assert [name for name in named if f'"{name}":' not in text] == []


# Links, tables, sections


def test_links_that_leave_the_docs_are_mended():
    copied: list[str] = []
    text = "[a](../config/README.md#gates) [b](tables.md) [c](https://x.org/y) [d](../LICENSE) `[e](f)`\n"
    found = links.rewritten(text, "docs/one.md", copied.append)
    assert found.split()[:4] == [
        "[a](configuration.md#gates)",
        "[b](tables.md)",
        "[c](https://x.org/y)",
        "[d](files/LICENSE)",
    ]
    assert copied == ["LICENSE"]
    assert (
        links.rewritten("[a](../../config/README.md)", "docs/deep/one.md", copied.append) == "[a](../configuration.md)"
    )
    fenced = "```\n[a](../config/README.md)\n```\n"
    assert links.rewritten(fenced, "docs/one.md", copied.append) == fenced
    assert links.rewritten("[a](docs/adding.md#b)", "CONTRIBUTING.md", copied.append) == "[a](adding.md#b)"


def test_text_is_not_taken_for_markup():
    assert markdown.plain("<name> `<name>` [a] [b] 1 < 2") == "&lt;name> `<name>` [a] \\[b] 1 < 2"
    assert markdown.table(("a",), []) == ""
    assert "x \\| y" in markdown.table(("a",), [["x | y"]])


def test_sections_of_behaviours_are_counted_as_the_page_counts_them():
    page = (ROOT / behaviours.PAGE).read_text(encoding="utf-8")
    stated = [tuple(map(int, pair)) for pair in re.findall(r"^(\d+) of (\d+) tests hold", page, re.MULTILINE)]
    found = behaviours.sections(page)
    assert sum(section.held for section in found) == sum(held for held, _ in stated)
    assert sum(section.tests for section in found) == sum(tests for _, tests in stated)
    each = behaviours.of_each(ROOT)
    assert [section.name for section in each["lat"] if section.own] == ["LAT"]
    assert [section.name for section in each["quantize"]] == ["quantize"]
    assert not any(section.own for section in each["sure"]), "its tests are those of masks, which several have"
    assert "No test" in behaviours.words([], "")


# The site itself


class Page(HTMLParser):
    """What a page refers to, what it loads, and what can be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        own = {key: value or "" for key, value in attrs}
        self.ids |= {own[key] for key in ("id", "name") if key in own}
        if tag == "a" and "href" in own:
            self.links.append(own["href"])
        if tag == "link" and own.get("rel") != "canonical":
            self.loaded.append(own.get("href", ""))
        self.loaded += [own["src"]] if "src" in own else []


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built; what takes long is kept in results/site-cache."""
    folder = tmp_path_factory.mktemp("site") / "built"
    # No proxy leads anywhere: whoever would load something fails.
    away = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environ = {**os.environ, **away, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
    }


def html(name: str) -> str:
    """The file of a page: of a folder's README its index."""
    path = Path(name)
    return str(path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html"))


@pytest.mark.slow
def test_every_link_and_anchor_is_there(site, pages):
    broken, followed = [], 0
    for name, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            # The page of what is not found is shown anywhere, and links from the root.
            if parts.scheme or link.startswith("/") or name == "404.html":
                continue
            followed += 1
            target = os.path.normpath(os.path.join(os.path.dirname(name), unquote(parts.path))) if parts.path else name
            known = pages[target].ids if target in pages else set()
            if not (site / target).exists() or (parts.fragment and unquote(parts.fragment) not in known):
                broken.append((name, link))
    assert broken == []
    assert followed > 5000


@pytest.mark.slow
def test_nothing_is_loaded_from_a_network(site, pages):
    assert [(name, url) for name, page in pages.items() for url in page.loaded if urlsplit(url).netloc] == []
    for path in [*site.rglob("*.css"), *(site / "gallery").glob("*.svg")]:
        assert (
            re.findall(r"(?:url\(|@import\s+|<image[^>]*href=)[\"']?https?://", path.read_text(encoding="utf-8")) == []
        )
    assert (site / "search/search_index.js").stat().st_size > 100_000, "search works from disk"


@pytest.mark.slow
def test_everything_has_its_place(pages):
    for entry in everything.entries():
        page = html(os.path.normpath(f"{catalogue.FOLDER}/{catalogue.where(entry)}"))
        name = f"figure-{entry.name}" if entry.kind == "figure" else catalogue.anchor(entry)
        assert name in pages[page].ids, f"{entry.kind} {entry.name}"
    missing = [name for name in mute.__all__ if f"mute.api.{name}" not in pages["reference-library.html"].ids]
    assert missing == []
    assert [page for page in navigation() if html(page) not in pages] == []


@pytest.mark.slow
def test_numbers_are_those_of_the_tables(site):
    cells = pd.read_parquet(ROOT / "paper/frozen/cells.parquet")
    science = (site / "science.html").read_text(encoding="utf-8")
    assert f"has {len(cells)} edits" in science
    assert "{{" not in science
    own = cells[(cells["algorithm"] == "npo_long") & (cells["gate"] == "passed")]
    page = (site / "catalogue/methods-divergence.html").read_text(encoding="utf-8")
    row = next(row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if "npo_long" in row)
    shown = re.findall(r"<td>(.*?)</td>", row)
    assert shown[:5] == ["npo_long", "llama", "matched", str(len(own)), f"{len(own)} ok"]
    assert set(own["status"]) == {"ok"}
    scores = pd.read_parquet(ROOT / "paper/frozen/scores.parquet")
    worst = scores[
        (scores["algorithm"] == "npo_long")
        & (scores["metric"] == "K")
        & (scores["facts"] == "all")
        & (scores["group"] == "worst")
        & (scores["attack"].fillna("") == "")
    ]["value"]
    assert shown[6] == f"{worst.min():.2f} to {worst.max():.2f}"


@pytest.mark.slow
def test_what_was_not_run_is_said():
    (study,) = studies.all_of(ROOT)
    assert study.of_method("dpo") == ""
    assert study.of_attack("quantize") == ""
    assert catalogue.NOT_RUN in catalogue.Known(ROOT).showed("dpo", studies.Study.of_method)
