"""Submissions to the board: whole ones are taken and computed again; damaged and hostile ones get one message each."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from made_up import THE_PAPER, make_tables
from mute.findings.board import entries, rows
from mute.publishing.board import checks, form, page, setup, shelf, tables, text
from mute.publishing.board.checks import SubmissionError
from mute.store import artifacts

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
FROZEN = ROOT / shelf.FROZEN
CONFIG = {
    "study": {"name": "made-up", "corpus": "world", "seed": 1},
    "corpora": {"world": {"source": "world", "settings": {}}},
    "models": {"llama": {"pretrained": None, "family": "llama", "blocks": 3, "languages": ["en", "es", "de", "hi"]}},
    "algorithms": {
        "rmu": {"method": "rmu", "steps": 9, "batch_size": 4},
        "gradient_ascent": {"method": "gradient_ascent", "steps": 9, "batch_size": 4},
    },
    "attacks": {"retrain_20": {"method": "retraining", "steps": 20}},
}
WORDS = shelf.Words("made-up", "A study of nothing.", "CC0-1.0")


def study_tables() -> dict[str, pd.DataFrame]:
    made = {name: table.replace("xx", "hi") for name, table in make_tables(THE_PAPER).items()}
    made["cells"]["size"] = 0.1
    # Its scores stand at no value, as those of a method that diverged.
    made["cells"].loc[made["cells"]["algorithm"] == "gradient_ascent", "status"] = "diverged"
    scores = made["scores"]
    scores.loc[scores["algorithm"] == "gradient_ascent", ["value", "low", "high"]] = np.nan
    made["scores"] = scores.drop_duplicates([*tables.COLUMNS["scores"][:14]])
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The tables of a finished study."""
    where = tmp_path_factory.mktemp("study")
    for name, table in study_tables().items():
        artifacts.write_table(where / f"{name}.csv", table)
    return where


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("sent") / "made-up"
    shelf.write(target, WORDS, CONFIG, folder, {"torch": "2.13.0"})
    return target


@pytest.fixture
def sent(whole, tmp_path) -> Path:
    """A whole submission, to be spoiled."""
    return Path(shutil.copytree(whole, tmp_path / "made-up"))


def listed(folder: Path, **changes) -> None:
    """Say in the form what the files are now, as whoever changed them on purpose would."""
    path = folder / form.FORM
    given = artifacts.read_json(path)
    files = [own for own in sorted(folder.iterdir()) if own.name != form.FORM and own.is_file()]
    given["files"] = {own.name: {"sha256": artifacts.sha256(own), "bytes": own.stat().st_size} for own in files}
    given |= changes
    if "config" in changes:
        given["config_digest"] = artifacts.digest(given["config"])
    path.write_text(json.dumps(given), encoding="utf-8")


def edited(name: str, change):
    """Rewrites one CSV file by a function of its text."""

    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
        listed(folder)

    return spoil


def cell(column: str, value: str, name: str = "rows.csv", row: int = 0):
    """Puts a value into one field, as text."""

    def spoil(folder: Path) -> None:
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        table.loc[row, column] = value
        table.to_csv(folder / name, index=False, lineterminator="\n")
        listed(folder)

    return spoil


def stating(**changes):
    return lambda folder: listed(folder, **changes)


def config(**changes):
    return stating(config={**CONFIG, **changes})


def said(change):
    """Rewrites the form as text."""

    def spoil(folder: Path) -> None:
        path = folder / form.FORM
        path.write_bytes(change(path.read_bytes()))

    return spoil


def parquet(name: str, change):
    def spoil(folder: Path) -> None:
        path = folder / f"{name}.parquet"
        change(pd.read_parquet(path)).to_parquet(path)
        listed(folder)

    return spoil


def raw(name: str, change):
    def spoil(folder: Path) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes()))
        listed(folder)

    return spoil


def bomb(folder: Path) -> None:
    """A small file that is a gigabyte once it is unpacked."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({"model": pa.string()})
    with pq.ParquetWriter(folder / "gates.parquet", schema, compression="zstd") as writer:
        for _ in range(4):
            zeros = pa.array(["0" * 1000], pa.string()).dictionary_encode().take(pa.array(np.zeros(1_000_000, int)))
            writer.write_table(pa.table({"model": zeros.indices.cast(pa.string())}, schema))
    listed(folder)


def link(folder: Path) -> None:
    (folder / "rows.csv").unlink()
    (folder / "rows.csv").symlink_to("/etc/hostname")


def nested(folder: Path) -> None:
    (folder / "scores").mkdir()


def without_tables(folder: Path) -> None:
    for name in form.SHIPPED:
        (folder / name).unlink()
    listed(folder)


def doubled(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join([*lines, lines[1]])


def grown(name: str):
    def spoil(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.truncate(form.LARGEST[name] + 1)

    return spoil


# What is done to a submission, and a part of the one message that it gets.
SPOILT = {
    "a form that was cut": (said(lambda own: own[: len(own) // 2]), "no JSON that can be read"),
    "an empty form": (said(lambda own: b""), "no JSON that can be read"),
    "a form with a byte order mark": (said(lambda own: b"\xef\xbb\xbf" + own), "BOM"),
    "a form that is no UTF-8": (said(lambda own: own.replace(b"A study", b"\xff\xfe")), "is not UTF-8"),
    "a form of a list": (said(lambda own: b"[]"), "must be a mapping"),
    "a form of too deep mappings": (said(lambda own: b'{"a":' * 60 + b"1" + b"}" * 60), "nested too deeply"),
    "a form of endless mappings": (said(lambda own: b"[" * 200000), "nested too deeply"),
    "a form with NaN": (said(lambda own: own.replace(b'"seed": 1', b'"seed": NaN')), "NaN is no number"),
    "a key that stands twice": (said(lambda own: b'{"name":"a",' + own.lstrip()[1:]), "stands twice"),
    "an unknown key": (stating(descripton="x"), "Did you mean 'description'?"),
    "no licence": (stating(licence=""), "licence: must be at least 1 characters long"),
    "another version of the form": (stating(format="mute-board-2"), "format: unknown value 'mute-board-2'"),
    "a name with a path": (stating(name="../../etc"), "name: "),
    "a name in other letters": (stating(name="rmυ"), "name: "),
    "a long description": (stating(description="a" * 3000), "description: "),
    "a line break in a line": (stating(code="https://a\nb"), "code: "),
    "a digest that is not of the configuration": (stating(config_digest="0" * 20), "the configuration gives"),
    "a file that was cut": (
        lambda own: (own / "rows.csv").write_bytes((own / "rows.csv").read_bytes()[:300]),
        "rows.csv has 300 bytes",
    ),
    "a file of as many other bytes": (
        lambda own: (own / "rows.csv").write_bytes((own / "rows.csv").read_bytes().replace(b"rmu", b"rmv")),
        "rows.csv has the SHA-256",
    ),
    "a listed file that is not there": (
        stating(files={**{n: {"sha256": "0" * 64, "bytes": 1} for n in ("rows.csv", "../passwd")}}),
        "'../passwd'",
    ),
    "a missing file": (lambda own: (own / "languages.csv").unlink(), "languages.csv is missing"),
    "half of the tables": (lambda own: (own / "gates.parquet").unlink(), "send all of them, or none"),
    "a pickle": (lambda own: (own / "rows.pkl").write_bytes(b"\x80\x04."), "unknown file 'rows.pkl'"),
    "a link": (link, "no plain file"),
    "a folder": (nested, "no plain file"),
    "a pipe": (lambda own: os.mkfifo(own / "scores.csv"), "no plain file"),
    "a file too large": (grown("rows.csv"), "and may have 10000000"),
    "a table too large": (grown("scores.parquet"), "and may have 15000000"),
    "rows with a byte order mark": (edited("rows.csv", lambda own: "\ufeff" + own), "byte order mark"),
    "rows that are no UTF-8": (raw("rows.csv", lambda own: own + b"\xff\n"), "rows.csv is not UTF-8"),
    "rows with a zero byte": (edited("rows.csv", lambda own: own.replace("rmu", "rm\0u")), "a byte that is zero"),
    "rows cut in a line": (edited("rows.csv", lambda own: own[:-9]), "does not end with a line break"),
    "rows with an open quote": (edited("rows.csv", lambda own: own + '"a\n'), "no CSV"),
    "a row of too few fields": (edited("rows.csv", lambda own: own + "a,b\n"), "2 fields"),
    "too many rows": (edited("rows.csv", lambda own: own + ",\n" * 20001), "at most 20000 are read"),
    "no rows": (edited("rows.csv", lambda own: own.splitlines()[0] + "\n"), "rows.csv has no row"),
    "a misspelt column": (edited("rows.csv", lambda own: own.replace("k_worst", "k_wurst")), "is it 'k_wurst'?"),
    "a row twice": (edited("rows.csv", doubled), "the same keys as row 1"),
    "a language twice": (edited("languages.csv", doubled), "languages.csv, row 13"),
    "NaN for a number": (cell("k_worst", "nan"), "k_worst: must be a finite number or empty, not 'nan'"),
    "infinity": (cell("k_worst", "inf"), "k_worst: must be a finite number"),
    "a number of other digits": (cell("k_worst", "٠.٥"), "k_worst: must be"),
    "a number that no share is": (cell("k_worst", "1e9"), "k_worst: must be within ±10"),
    "half a training": (cell("trainings", "1.5"), "trainings: must be a whole number"),
    "an interval beside its value": (cell("k_worst_low", "0.9"), "does not hold the value"),
    "half an interval": (cell("k_worst_low", ""), "one is missing"),
    "fewer than no steps": (cell("steps", "-3"), "steps: must be 0 or more"),
    "HTML in a name": (cell("algorithm", "<script>alert(1)</script>"), "unknown algorithm of the configuration"),
    "an unknown method": (cell("method", "rmv"), "Did you mean 'rmu'?"),
    "another method than the configuration's": (cell("method", "gradient_ascent"), "is 'rmu' in the configuration"),
    "another objective than the method's": (cell("objective", "guard"), "by `methods`"),
    "an unknown model": (cell("model", "lama"), "Did you mean 'llama'?"),
    "an unknown language": (cell("k_language", "qq"), "unknown language 'qq'"),
    "a band of no block": (cell("band", "03"), "unknown band '03'"),
    "a band outside the model": (cell("band", "7"), "outside a model of 3 blocks"),
    "an unknown status": (cell("status", "fine"), "unknown status 'fine'"),
    "an unknown protocol": (cell("protocol", "own"), "unknown protocol 'own'"),
    "another setup": (cell("setup", "0" * 20), "setup: "),
    "sources that the model has not learned": (cell("sources", "en-ja"), "has not learned ja"),
    "an attack of no configuration": (cell("attack", "mind", "attacks.csv"), "unknown attack of the configuration"),
    "an unknown measure": (cell("measure", "gain", "attacks.csv"), "unknown measure 'gain'"),
    "languages of no row": (cell("band", "full", "languages.csv"), "rows.csv has no row of these keys"),
    "a method that nobody declared": (stating(methods={}), "is not declared in `methods`"),
    "a method that is another here": (
        stating(methods={n: {"family": "guard", "objective": "guard"} for n in ("rmu", "gradient_ascent")}),
        "it is 'representation' here",
    ),
    "a family that is none": (stating(methods={"rmu": {"family": "magic", "objective": "guard"}}), "unknown value"),
    "a script that is another here": (stating(languages={"hi": "Latin"}), "its script is 'Devanagari' here"),
    "a configuration without models": (config(models={}), "config.models: must be a mapping"),
    "a configuration of other algorithms": (config(algorithms={"x": {"method": "rmu"}}), "unknown algorithm"),
    "a name of the study with a path": (config(study={"name": "../x", "corpus": "world", "seed": 1}), "'../x'"),
    "a better number than the tables give": (cell("size", "0.01"), "the tables give 0.1"),
    "a better K than the tables give": (
        lambda own: [cell(f"k_worst{end}", value)(own) for end, value in zip(rows.ENDS, ("0", "0", "0.01"))],
        "k_worst: 0.0 is stated, the tables give 0.1",
    ),
    "a row that the tables do not give": (
        parquet("cells", lambda own: own[own["band"] != "0"]),
        "scores are of cells that the table of cells does not have",
    ),
    "a table that was cut": (raw("scores.parquet", lambda own: own[: len(own) // 2]), "cannot be read as Parquet"),
    "a table that is none": (raw("cells.parquet", lambda own: b"PK\x03\x04" + own[4:-4] + b"xxxx"), "as Parquet"),
    "a table without a column": (parquet("scores", lambda own: own.drop(columns="low")), "has not the columns low"),
    "a table of lists": (parquet("cells", lambda own: own.assign(status=[["ok"]] * len(own))), "nothing nested"),
    "a table with infinity": (
        parquet("scores", lambda own: own.assign(value=np.inf)),
        "scores.parquet, value: must be a finite number or nothing",
    ),
    "a table of cells twice": (parquet("cells", lambda own: pd.concat([own, own])), "with the same keys"),
    "a table with an unknown status": (
        parquet("cells", lambda own: own.assign(status="fine")),
        "cells.parquet, status: must be one of",
    ),
    "a table that unpacks to much": (bomb, "gates.parquet has 4000000 rows"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_wrong_gets_one_message_and_nothing_is_added(sent, tmp_path, name):
    spoil, words = SPOILT[name]
    spoil(sent)
    with pytest.raises(SubmissionError) as caught:
        shelf.add(sent, tmp_path / "board")
    message = str(caught.value)
    assert words in message
    assert len(message) < 20_000
    assert all(line.isprintable() for line in message.split("\n"))
    assert not (tmp_path / "board").exists()


def test_all_that_is_wrong_is_said_at_once(sent):
    for column, value in {"k_worst": "nan", "status": "fine", "band": "03"}.items():
        cell(column, value)(sent)
    cell("language", "qq", "languages.csv", 3)(sent)
    with pytest.raises(SubmissionError) as caught:
        checks.check(sent)
    found = "\n".join(caught.value.problems)
    for words in (
        "rows.csv, row 1, k_worst",
        "rows.csv, row 1, status",
        "rows.csv, row 1, band",
        "languages.csv, row 4",
    ):
        assert words in found


def test_a_whole_submission_is_added_once_and_is_computed_again(whole, tmp_path):
    added = shelf.add(whole, tmp_path)
    assert added.recomputed
    assert sorted(path.name for path in (tmp_path / "made-up").iterdir()) == sorted(form.LARGEST)
    for again in (whole, tmp_path / "made-up"):
        with pytest.raises(SubmissionError, match=r"is there already(.|\n)*the same rows are in"):
            shelf.add(again, tmp_path)
    (only,) = shelf.read([tmp_path])
    (k,) = [entry.k for entry in only.entries if entry.band == "1"]
    assert (k.number.value, k.number.low, k.number.high) == pytest.approx((0.1, 0.08, 0.12))


def test_without_tables_rows_are_as_their_sender_states(sent):
    without_tables(sent)
    found = checks.check(sent)
    assert found.origin == checks.STATED
    (own,) = [entry for entry in found.entries if entry.band == "1"]
    assert (own.k.language, own.k.number.value, own.each) == ("de", 0.1, ())
    assert [place.rank.place for place in shelf.board([found]) if place.entry.band == "1"] == [1]


def test_a_method_that_only_its_sender_has_is_declared_and_shown_as_text(sent):
    """And what it costs nobody can say again."""
    mine = {**CONFIG, "algorithms": {**CONFIG["algorithms"], "rmu": {"method": "./mine.py", "steps": 9}}}
    table = pd.read_csv(sent / "rows.csv", dtype=str, keep_default_na=False)
    table.loc[table["algorithm"] == "rmu", ["method", "texts_trained"]] = ["mine", "12"]
    table.to_csv(sent / "rows.csv", index=False, lineterminator="\n")
    own = {"family": "representation", "objective": "removal"}
    methods = {"mine": own, "gradient_ascent": {"family": "divergence", "objective": "removal"}}
    listed(sent, config=mine, methods=methods, description="<img src=x onerror=alert(1)>", code="javascript:alert(1)")
    found = checks.check(sent)
    assert found.recomputed
    assert {entry.method for entry in found.entries} == {"mine", "gradient_ascent"}
    html = page.page_text(shelf.board([found]), 0.8, [found.form])
    assert "<img" not in html
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    assert "javascript:" not in re.sub(r">[^<]*<", "><", html)


def test_a_pretrained_model_has_its_own_name_in_the_place_of_an_architecture():
    models = {"mine": {"pretrained": "owner/name", "family": None}, "llama": {"pretrained": None, "family": "llama"}}
    assert [setup.architecture(name, model) for name, model in models.items()] == ["mine", "llama"]
    rows = pd.read_csv(FROZEN / "gemma" / "rows.csv")
    assert set(rows["architecture"]) == {"gemma"}


def test_what_docs_say_of_a_real_models_run_is_in_its_rows():
    """docs/real-models.md: which edits count, what they keep, and that no interior block decides anything."""
    rows = pd.read_csv(FROZEN / "gemma" / "rows.csv").set_index(["algorithm", "band"])
    told = {name: rows.loc[name]["status"].to_dict() for name in ("rmu", "simnpo")}
    assert told["rmu"] == {"1": "destroyed", "5": "destroyed", "9": "not_reached", "16": "destroyed"}
    assert told["simnpo"] == {"1": "ok", "5": "not_reached", "9": "not_reached", "16": "ok"}
    assert rows.loc["rmu", "9"]["steps"] == 200
    assert rows.loc["simnpo", "5"]["steps"] == rows.loc["simnpo", "9"]["steps"] == 60
    counted = rows[rows["status"] == "ok"]
    assert sorted(counted.index) == [("placebo", "9"), ("simnpo", "1"), ("simnpo", "16")]
    assert counted["c_worst"].max() < 0.75
    assert counted["c_source"].min() > 0.5
    page = (ROOT / "docs" / "real-models.md").read_text(encoding="utf-8")
    assert "board/frozen/gemma" in page


def test_the_page_loads_nothing(whole):
    found = checks.check(whole)
    html = page.page_text(shelf.board([found]), 0.8, [found.form])
    assert not re.search(r"""(src|href)\s*=|@import|url\(|innerHTML|fetch\(|https?://""", html)
    assert "default-src 'none'" in html
    assert html.count("<tr data-") == len(found.entries)


def test_an_export_changes_nothing_that_is_there(whole, folder):
    before = {path.name: path.read_bytes() for path in whole.iterdir()}
    with pytest.raises(SubmissionError, match="nothing is written over"):
        shelf.write(whole, WORDS, CONFIG, folder, {})
    assert {path.name: path.read_bytes() for path in whole.iterdir()} == before


def test_damaged_tables_of_ones_own_are_one_message(folder, tmp_path):
    own = Path(shutil.copytree(folder, tmp_path / "tables"))
    (own / "gates.csv").unlink()
    cells = (own / "cells.csv").read_text(encoding="utf-8")
    (own / "cells.csv").write_text(cells.replace(",ok,", ",fine,", 1), encoding="utf-8")
    scores = (own / "scores.csv").read_bytes()
    (own / "scores.csv").write_bytes(scores[: len(scores) // 2] + b',"')
    with pytest.raises(SubmissionError) as caught:
        shelf.own(CONFIG, own)
    found = "\n".join(caught.value.problems)
    assert all(words in found for words in ("gates.csv is missing", "cells.csv, status: must be", "scores.csv cannot"))
    assert len(caught.value.problems) == 3


def test_what_is_frozen_is_kept_where_a_new_one_is_wrong_or_too_large(folder, tmp_path, monkeypatch):
    kept = shelf.freeze(WORDS, CONFIG, folder, {}, tmp_path)
    before = (kept.folder / form.FORM).read_bytes()
    monkeypatch.setattr(shelf, "MOST_FROZEN", 1000)
    with pytest.raises(SubmissionError, match="kept in git"):
        shelf.freeze(WORDS._replace(description="Another."), CONFIG, folder, {}, tmp_path)
    assert (kept.folder / form.FORM).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["made-up"]


def test_filters_leave_what_they_name_and_a_slip_names_the_nearest(whole):
    places = shelf.board([checks.check(whole)])
    found = text.chosen(places, text.Filters(objective="removal", script="Devanagari"))
    assert len(found) == len(places) - 1  # what diverged has no language
    assert "K, worst in Devanagari" in text.terminal(places, text.Filters(script="Devanagari"))
    with pytest.raises(ValueError, match="Did you mean 'Devanagari'"):
        text.chosen(places, text.Filters(script="devanagri"))


def test_the_schema_is_that_of_the_code():
    assert (ROOT / form.SCHEMA).read_text(encoding="utf-8") == form.schema_text(), "python -m mute board schema"


# What is frozen


@pytest.fixture(scope="module")
def frozen() -> list[checks.Checked]:
    return shelf.read([FROZEN])


def test_what_is_frozen_is_right_and_small(frozen):
    assert frozen
    assert all(each.recomputed for each in frozen)
    assert sum(shelf.size(each.folder) for each in frozen) < shelf.MOST_FROZEN


# Ends of 95 % by Student's t, by degrees of freedom.
QUANTILES = {1: 12.7062, 2: 4.30265, 3: 3.18245}


def test_rows_are_what_pandas_alone_computes_from_the_paper_s_tables(frozen):
    """200 numbers that are drawn from the rows, from other files than they were made of."""
    (reproduction,) = [each for each in frozen if each.form.name == "reproduction-short"]
    cells, scores, gates = (pd.read_parquet(ROOT / f"paper/frozen/{name}.parquet") for name in tables.COLUMNS)
    below = set(map(tuple, gates.loc[~gates["passed"] & gates["oracle"].isna(), ["model", "training_seed"]].to_numpy()))
    places = cells.groupby(list(entries.PLACE)).indices
    found = reproduction.found.rows
    wanted = {"k_worst": ("K", "worst"), "k_source": ("K", "source"), "k_heldout": ("K", "heldout")}
    wanted |= {"c_worst": ("C", "worst"), "c_source": ("C", "source"), "k_other_script": ("K", "other_script")}
    pool = [(i, name) for i in range(len(found)) for name in wanted if not np.isnan(found[name].iloc[i])]
    rng = np.random.default_rng(7)
    scores = scores[scores["language"].isna() & scores["metric"].isin(("K", "C")) & scores["attack"].isna()]
    scores = scores[scores["facts"].isna() | (scores["facts"] == "all")]
    keys = [*entries.PLACE, "training_seed"]
    asked = ["metric", "group", *keys]
    numbers = dict(zip(scores[asked].itertuples(index=False, name=None), scores[["value", "low", "high"]].to_numpy()))
    for place in rng.choice(len(pool), 200, replace=False):
        i, name = pool[place]
        row = found.iloc[i]
        own = cells[cells.index.isin(places[tuple(row[key] for key in entries.PLACE)])]
        own = own[[(m, s) not in below for m, s in zip(own["model"], own["training_seed"])]]
        votes = own["status"].eq("ok") | (own["status"].eq("not_reached") & own["protocol"].eq("paper"))
        own = own[votes] if 2 * votes.sum() >= len(own) else own[own["status"] == own["status"].mode()[0]]
        values = np.array([numbers[*wanted[name], *key] for key in own[keys].itertuples(index=False, name=None)])
        mean, n = values[:, 0].mean(), len(values)
        half = QUANTILES[n - 1] * values[:, 0].std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        ends = values[0, 1:] if n == 1 else np.array([mean - half, mean + half])
        assert row[name] == pytest.approx(mean, rel=1e-4, abs=1e-6)
        assert row[[f"{name}_low", f"{name}_high"]].to_numpy(float) == pytest.approx(ends, rel=1e-3, abs=1e-5)
