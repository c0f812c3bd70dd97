"""What a band is and what a list of languages is: names there and back, and no other place that takes them apart."""

import copy
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mute import bands
from mute.bands import Band, Languages

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
DEPTHS = st.integers(1, 40)
CODES = st.lists(st.from_regex(r"[a-z]{2,3}", fullmatch=True), unique=True, max_size=5)


@st.composite
def named(draw) -> tuple[str, int]:
    """A name as cells have it, and a depth that it fits."""
    depth = draw(DEPTHS)
    blocks = st.sets(st.integers(0, depth - 1), min_size=1).map(lambda found: bands.blocks_name(sorted(found)))
    return draw(blocks | st.sampled_from(bands.WHOLE)), depth


@given(named())
def test_a_name_becomes_a_band_and_the_same_name(of):
    name, depth = of
    band = Band.named(name, depth)
    assert band.name == name
    assert Band.named(band.name, depth) == band
    assert (band.start, len(band.blocks), depth - band.start) == bands.span(name, depth)
    assert band.start == bands.first_block(name)
    assert band.single == (bands.is_block(name) or depth == 1)
    assert bands.is_whole(name) == (bands.named_blocks(name) is None)
    assert 0 <= band.position(depth) <= 1


@given(named())
def test_blocks_ascend_and_are_in_the_model(of):
    name, depth = of
    blocks = Band.named(name, depth).blocks
    assert blocks == tuple(sorted(set(blocks)))
    assert set(blocks) <= set(range(depth))
    assert Band.named(name, depth).stop == blocks[-1] + 1


def test_a_band_is_its_blocks_whatever_it_is_called():
    assert Band.named("0-1-2", 3) == Band.named("all", 3) != Band.named("full", 3)
    assert hash(Band.named("0-1-2", 3)) == hash(Band.named("all", 3))
    assert Band.named("2-0", 3).name == "0-2"


def test_positions_run_from_the_first_block_to_the_last():
    assert [Band((block,)).position(5) for block in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert Band((1, 2)).position(5) == 0.375
    assert Band.named("all", 9).position(9) == 0.5
    assert Band((0,)).position(1) == 0


def test_bands_are_sorted_from_below_with_whole_models_last():
    names = ["full", "10", "all", "2", "2-3", "1-4", "0"]
    assert sorted(names, key=bands.from_below) == ["0", "2", "2-3", "1-4", "10", "all", "full"]
    assert [bands.first_block(name) for name in names] == [0, 10, 0, 2, 2, 1, 0]
    assert (bands.middle("2-3"), bands.middle("full"), bands.middle("")) == (2.5, math.inf, math.inf)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("al", "unknown band 'al'.*Did you mean 'all'"),
        ("", "unknown band ''"),
        ("-1", "unknown band"),
        ("01", "unknown band"),
        ("1-", "unknown band"),
        ("1 2", "unknown band"),
        ("٣", "unknown band"),
        ("1\n", "unknown band"),
        ("4", "band 4 is outside a model of 4 blocks .0 to 3."),
        ("1-3-9", "band 1-3-9 is outside a model of 4 blocks"),
        ("2-2", "band 2-2 names a block twice"),
    ],
)
def test_a_bad_name_is_told(name, message):
    with pytest.raises(ValueError, match=message):
        Band.named(name, 4)


@pytest.mark.parametrize("blocks", [(), (2, 1), (1, 1), (-1, 0)])
def test_blocks_that_are_no_band_are_told(blocks):
    with pytest.raises(ValueError, match="different blocks from below to above"):
        Band(blocks)


@given(st.text(max_size=12))
def test_a_text_that_names_no_band_is_told(name):
    if bands.is_whole(name) or bands.named_blocks(name):
        return
    with pytest.raises(ValueError, match="unknown band"):
        Band.named(name, 12)


@given(CODES)
def test_languages_there_and_back(codes):
    languages = Languages.of(codes)
    assert languages.codes == tuple(codes)
    assert Languages(str(languages)) == languages
    assert type(str(languages)) is type(f"{languages}") is str
    assert languages.words == " ".join(codes)


@pytest.mark.parametrize("codes", [["en-GB"], ["en", ""]])
def test_a_code_that_could_not_be_told_apart_is_told(codes):
    with pytest.raises(ValueError, match=r"language code .* is empty or holds '-'"):
        Languages.of(codes)


def test_languages_are_the_text_that_tables_hold(tmp_path):
    languages = Languages.of(["en", "es"])
    table = pd.DataFrame({"sources": ["en-es", "es-en"]})
    assert (table["sources"] == languages).tolist() == [True, False]
    assert {"en-es": 1}[languages] == 1
    assert json.dumps(languages) == '"en-es"'
    assert copy.deepcopy(languages).codes == ("en", "es")
    pd.DataFrame({"sources": [languages]}).to_csv(tmp_path / "a.csv", index=False)
    assert Languages(pd.read_csv(tmp_path / "a.csv")["sources"][0]).codes == ("en", "es")


def test_names_of_files_hold_no_plus():
    assert bands.file_name("llama-s0", "rmu", 3, "en-es", "source+text") == "llama-s0.rmu.3.en-es.source-text"
    assert bands.file_name() == ""


def test_bands_import_no_torch():
    code = "import sys, mute.bands; print(sorted({'torch', 'pandas', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Ways to take a name apart, or to put one together, that belong to mute.bands alone.
BY_HAND = (
    r"""split\(["']-["']""",
    r"""["']-["']\.join""",
    r"""partition\(["']-["']""",
    r"""replace\(["']\+["']""",
    r"""replace\(["']-["'], ["'] ["']""",
    r"""in [(\[{]["']all["'], ["']full["']""",
    r"""\.isdigit\(\)""",
    r"""\.(name|stem)\.split\(""",
    r"""\.(name|stem)\.removesuffix\([^)]*\)\.split""",
)
# What only looks like it: seconds that a server asks for, block L9 of the published tables, the family of a model.
OTHERS = ("src/mute/hub/download.py", "src/mute/findings/published.py", "src/mute/paper/curves.py")


def by_hand(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if any(re.search(pattern, line) for pattern in BY_HAND)]


def test_no_other_place_takes_names_apart():
    files = [path for folder in ("src", "scripts", "workflow") for path in (ROOT / folder).rglob("*")]
    found = {
        name: lines
        for path in files
        if path.suffix in (".py", ".smk")
        and (name := path.relative_to(ROOT).as_posix()) not in ("src/mute/bands.py", *OTHERS)
        and (lines := by_hand(path.read_text(encoding="utf-8")))
    }
    assert found == {}
    assert len(files) > 100


@pytest.mark.parametrize(
    "line",
    [
        'codes = cell.sources.split("-")',
        'name = "-".join(map(str, blocks))',
        'if band in ("all", "full"):',
        "if band[0].isdigit():",
        "name = retain.replace('+', '-')",
        'words = case.sources.replace("-", " ")',
        'Path(path).name.removesuffix(".json").split(".")',
        'Path(path).name.split(".")[0]',
    ],
)
def test_taking_apart_by_hand_is_seen(line):
    assert by_hand(line) == [line]
