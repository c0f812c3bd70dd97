"""The data behind the explorer's pages: numbers of the tables, damage told at once, nothing run or followed."""

import hashlib
import json
import random
import re
import shutil
from pathlib import Path

import explored
import numpy as np
import pandas as pd
import pytest
from explored import HOSTILE, taken

import made_up
from mute import __main__ as terminal
from mute.bands import KEYS
from mute.findings.results import STATUSES
from mute.publishing.explorer import explore, given, landed, pages
from mute.publishing.explorer.payload import Payload, cell_id, script
from mute.store import artifacts

FROZEN = Path("paper/frozen")
PAGE = Path(pages.__file__).parent / "page"


@pytest.fixture(scope="module")
def frozen():
    return explore.payload(FROZEN)


@pytest.fixture(scope="module")
def frozen_scores():
    """The rows of the frozen table as pandas reads them, with empty texts."""
    table = pd.read_parquet(FROZEN / "scores.parquet")
    texts = [*KEYS[2:8], "model", "language", "group", "metric", "facts", "attack"]
    return table.assign(**{name: table[name].astype(object).where(table[name].notna(), "") for name in texts})


@pytest.fixture(scope="module")
def study(frozen):
    return frozen.study()


@pytest.fixture
def made(tmp_path):
    return explored.results(tmp_path / "made")


def test_two_hundred_numbers_are_those_of_the_table(study, frozen_scores):
    draw = random.Random(7)
    chosen = draw.sample([edit for edit in study["edits"] if len(edit["cells"]) == 1], 200)
    own = frozen_scores[(frozen_scores["attack"] == "") & frozen_scores["metric"].isin(["K", "C"])]
    own = own[own["facts"].isin(["all", ""]) & ((own["language"] != "") | (own["group"] == "worst"))]
    names = [*KEYS, "metric", "language", "facts"]
    rows = dict(zip(zip(*(own[name] for name in names)), zip(*(own[name] for name in ("value", "low", "high", "n")))))
    compared = 0
    for edit in chosen:
        case, metric = study["cases"][edit["case"]], draw.choice("KC")
        codes = [*case["source"], *case["heldout"]]
        place = draw.randrange(len(codes) + 1)
        language = "" if place == len(codes) else codes[place]
        numbers = edit["numbers"][metric]
        number = numbers["languages"][place] if language else numbers["groups"]["worst"]
        keys = {**{key: case[key] for key in ("model", "training_seed", "sources", "retain", "forget_set", "protocol")}}
        keys |= {"algorithm": study["algorithms"][edit["algorithm"]]["name"], "band": edit["band"], "seed": 0}
        keys |= {"metric": metric, "language": language, "facts": "all" if metric == "K" else ""}
        row = rows.get(tuple(keys[name] for name in names))
        assert number == (row and [None if value != value else value for value in row])
        compared += row is not None
    assert compared > 150


def test_the_scores_of_a_cell_are_all_of_its_rows(frozen, frozen_scores):
    keys = next(keys for keys, _ in frozen._rows() if keys[2] == "rmu")
    name, cell = next(iter(frozen.cell_files([cell_id(keys)])))
    assert name == cell_id(keys)
    rows = frozen_scores[np.logical_and.reduce([frozen_scores[k] == v for k, v in zip(KEYS, keys)])]
    columns = {own["name"]: own for own in cell["scores"]["columns"]}
    words = columns["metric"]["words"]
    assert [words[code] for code in columns["metric"]["codes"]] == rows["metric"].tolist()
    assert [-1 if v is None else v for v in columns["value"]["numbers"]] == rows["value"].fillna(-1).tolist()
    assert cell["curves"]["rows"] > 3
    assert cell["base"]["rows"] > 3


def test_every_cell_stands_in_one_edit(study):
    cells = [cell for edit in study["edits"] for cell in edit["cells"]]
    assert len(cells) == len(set(cells)) == len(pd.read_parquet(FROZEN / "cells.parquet"))


@pytest.mark.parametrize("kind", made_up.KINDS)
def test_tables_with_gaps_are_shown_as_far_as_they_go(tmp_path, kind):
    found = given.Given(made_up.incomplete(kind), made_up.ABOUT)
    page = explore.write([Payload(found, kind)], tmp_path / "out")
    shown = taken(page.parent / "data" / "study-0.js")
    assert shown["name"] == kind
    assert len(shown["edits"]) == {"empty": 0, "whole model only": 1}.get(kind, 4)


def test_all_that_is_wrong_is_one_message_and_the_rest_is_shown(made, capsys):
    tables = made / "tables"
    cells = pd.read_csv(tables / "cells.csv", dtype=str)
    cells.loc[0, "digest"] = "../../../etc/passwd"
    cells.loc[1, "status"] = "won"
    cells.loc[2, "steps"] = "=cmd()"
    pd.concat([cells, cells.tail(1)]).to_csv(tables / "cells.csv", index=False)
    layers = (tables / "layers.csv").read_text()
    (tables / "layers.csv").write_text(layers[: len(layers) // 2])
    (tables / "gates.csv").write_text("a,b\n1,2\n")
    (tables / "lens.csv").unlink()
    (tables / "lens.parquet").write_bytes(b"PAR1" + bytes(range(256)))
    (tables / "bands.csv").write_bytes(b"\xff\xfe\x00\n")
    assert terminal.main(["explore", "--results", str(made)]) == 1
    told = capsys.readouterr().err
    for words in (
        "layers.csv is left out: it was cut off",
        "gates.csv is left out: it has no column model",
        "lens.parquet is left out: it is no table",
        "bands.csv is left out: it is no table",
        "cells.csv: 1 values of column steps are no numbers, the first is '=cmd()' in row 3",
        "1 cells stand there twice",
        "no status is called 'won'",
        "1 digests name no folder, such as '../../../etc/passwd'",
    ):
        assert words in told, words
    assert told.count("not as they should be") == 1
    shown = taken(made / "explorer" / "data" / "study-0.js")
    assert len(shown["problems"]) == told.count("\n  - ")
    assert len(shown["edits"]) == 4


def test_sound_tables_have_nothing_wrong(made, frozen, capsys):
    assert frozen.given.problems == []
    assert terminal.main(["explore", "--results", str(made)]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_with_nothing_of_a_study_is_refused(tmp_path, capsys):
    (tmp_path / "micro").mkdir()
    for words, folder in (("holds nothing of a study", "micro"), ("Did you mean", "mirco")):
        assert terminal.main(["explore", "--results", str(tmp_path / folder)]) == 1
        assert words in capsys.readouterr().err


def test_pages_are_written_into_no_folder_of_other_files(tmp_path, made):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files, such as 'index\.html'"):
        pages.Writer(tmp_path / "mine")
    assert (tmp_path / "mine" / "index.html").read_text() == "mine"


def test_no_text_gets_out_of_its_file_of_data():
    value = {"__proto__": HOSTILE, "b": ["\ud800", "\u202e", "<!--", "]]>", "\\'", "\n"]}
    text = script("x-0", value)
    assert not set("<>&\u2028\n") & set(text.removesuffix("\n"))
    assert text.isascii()
    path = Path("x")
    inner = text[len("MUTE.take('x-0', '") : -len("');\n")]
    assert not re.search(r"(?<!\\)(\\\\)*'", inner), path
    assert json.loads(inner.replace("\\'", "'").replace("\\\\", "\\")) == value


def test_answers_and_records_stand_in_the_file_of_their_cell(made):
    page = explore.write([explore.payload(made)], made / "explorer")
    edit = taken(page.parent / "data" / "study-0.js")["edits"][0]
    cell = taken(page.parent / "data" / f"cell-0-{edit['cells'][0]}.js")
    assert [row["language"] for row in cell["answers"][:4]] == ["en", "es", "ar", "ja"]
    assert {row["after"] for row in cell["answers"]} == {HOSTILE}
    assert {row["kind"] for row in cell["answers"]} == {"right"}
    assert cell["record"]["plan"]["settings"]["note"] == HOSTILE


def test_what_has_landed_is_shown_before_there_are_tables(tmp_path):
    folder = explored.results(tmp_path / "half", complete=False)
    (folder / "cells" / ("0" * 20) / "record.json").write_text('{"plan": [')
    found = explore.payload(folder, explored.about())
    shown = found.study()
    assert {edit["status"] for edit in shown["edits"]} == {"ok"}
    assert [bool(edit["numbers"]["K"]["groups"]["heldout"]) for edit in shown["edits"]].count(True) == 1
    assert len(shown["edits"]) == 3
    assert shown["layers"]["rows"] == 3
    assert len(shown["pending"]) == 1
    assert any("record.json cannot be read" in text for text in shown["problems"])


def test_what_has_not_changed_is_neither_read_nor_written_again(tmp_path, monkeypatch):
    folder = explored.results(tmp_path / "half", complete=False)
    reader, writer = landed.Landed(folder), pages.Writer(folder / "explorer")
    writer.write([explore.payload(folder, explored.about(), reader=reader)])
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "explorer" / "data").iterdir()}
    monkeypatch.setattr(landed, "_record", lambda path: pytest.fail(f"{path} is read again"))
    writer.write([explore.payload(folder, explored.about(), reader=reader)])
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "explorer" / "data").iterdir()} == before
    monkeypatch.undo()
    shutil.rmtree(folder / "cells" / ("0" * 20))
    (folder / "explorer" / "data" / ".study-0.js.0123abcd.part").touch()
    writer.write([explore.payload(folder, explored.about(), reader=reader)])
    after = {path.name for path in (folder / "explorer" / "data").iterdir()}
    assert sum(name.startswith("cell-") for name in after) == 3
    assert len([name for name in before if name.startswith("cell-")]) == 4
    assert not [name for name in after if name.endswith(".part")]


def test_two_writings_give_the_same_bytes(made, tmp_path):
    for name in ("a", "b"):
        explore.write([explore.payload(made)], tmp_path / name)
    files = [sorted(path.relative_to(tmp_path / n) for path in (tmp_path / n).rglob("*.*")) for n in ("a", "b")]
    assert files[0] == files[1]
    assert all((tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes() for path in files[0])


def test_libraries_are_those_that_the_manifest_names():
    folder = PAGE / "libraries"
    manifest = artifacts.read_json(folder / "manifest.json")
    assert {path.name for path in folder.iterdir()} == {*manifest, "manifest.json"} | {
        own["licence"] for own in manifest.values()
    }
    for name, own in manifest.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == own["sha256"]
        assert f"v{own['version']} Copyright" in (folder / name).read_text(encoding="utf-8")[:200]
        assert "ISC License" in own["terms"]
        assert "Permission to use, copy, modify" in (folder / own["licence"]).read_text(encoding="utf-8")


def test_pages_have_words_for_every_status_that_a_cell_may_have():
    words = (
        (PAGE / "code" / "words.js").read_text(encoding="utf-8").partition("STATUSES = new Map(")[2].partition("]);")[0]
    )
    assert set(re.findall(r'^ *\["([a-z_]+)", "', words, re.MULTILINE)) == set(STATUSES)


def test_the_pages_own_code_has_no_way_to_run_text_or_to_ask_the_network():
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((PAGE / "code").glob("*.js")))
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "fetch("):
        assert word not in code, word
    for word in ("XMLHttpRequest", "WebSocket", "sendBeacon", "https:", "localStorage", "cookie"):
        assert word not in code, word
    head = (PAGE / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in head
    assert "unsafe" not in head
    assert not re.search(r"\son\w+=|<script>|<style", head)
