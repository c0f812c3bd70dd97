"""The paper: claims on a study whose truth is known, the published numbers, and a text that holds no result."""

import json
import re
import runpy
import shutil
from pathlib import Path

import pandas as pd
import pytest
import typst

from made_up import (
    ABOUT,
    ERASES_NOTHING,
    KINDS,
    THE_PAPER,
    incomplete,
    make_tables,
    many,
)
from mute import __main__ as command
from mute.findings import beside, claims, lead, metrics
from mute.findings.files import BOARD, of_board
from mute.findings.published import Published, Share, checks
from mute.findings.results import Results
from mute.paper import elsewhere, frozen, picture, values
from mute.paper import figures as paper_figures
from mute.paper import tables as paper_tables
from mute.plan.rules import FIGURES, PAPER_FIGURES, TABLES
from mute.store import artifacts

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "paper/mute.typ").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def published() -> Published:
    return Published(ROOT / "paper/published")


# Claims (tests/findings/test_claims.py holds what they say)


@pytest.mark.parametrize("kind", KINDS)
def test_claims_take_what_there_is(kind):
    results = Results(incomplete(kind), ABOUT)
    rows = claims.table(results)
    claims.overall(claims.means(results))
    words = ["name", "statement", "test", "unit", "margin", "model", "protocol", "algorithm", "block", "verdict"]
    assert (rows[[*words, "status", "sentence"]].astype(str) != "").all(axis=None)


@pytest.mark.parametrize("trainings", [1, 4])
def test_no_cell_of_the_claims_is_empty(trainings):
    results = Results(many([THE_PAPER] * trainings), ABOUT)
    averaged = claims.means(results)
    optional = ["p", "silent", "low", "high"]
    for table in (claims.table(results), averaged, claims.overall(averaged)):
        shown = table.drop(columns=optional, errors="ignore")
        assert shown.notna().all(axis=None)
        assert (shown.drop(columns="values", errors="ignore").astype(str) != "").all(axis=None)
    known = averaged[averaged["low"].notna()]
    assert ((known["low"] <= known["effect"]) & (known["effect"] <= known["high"])).all()
    assert averaged["p"].notna().sum() == 1, "one claim permutes a label"


# The published numbers


def test_means_of_the_published_tables_are_those_that_were_recomputed(published):
    averages = pd.read_csv(ROOT / "paper/published/mute_averages_recomputed.csv")
    rows = published.summary()
    for row in rows.to_dict("records"):
        own = averages[(averages["model"] == row["model"]) & (averages["algorithm"] == row["algorithm"])]
        own = own[(own["condition"] == row["condition"]) & (own["metric"] == "accuracy")]
        assert row["value"] == pytest.approx(own[f"{row['split']}_{row['group']}"].iloc[0], abs=0.01)
        assert row["low"] <= row["value"] <= row["high"]
    assert len(rows) == 4 * (7 + 7 + 7 + 7 + 6)


def test_a_share_has_the_interval_of_wilson():
    share = Share.of([50.0, 50.0], 100)
    assert (share.value, str(share)) == (0.5, "50.0 [40.4, 59.6]")
    assert Share.of([0.0], 203).low == 0.0
    assert Share.of([0.0], 203).high == pytest.approx(1.96**2 / (203 + 1.96**2), rel=1e-3)


def test_a_mean_over_languages_is_no_share_of_one():
    """Ends of 0 and 100 percent are those of each language; one Wilson interval of their mean would be far wider."""
    share = Share.of([0.0, 100.0], 203)
    wide = Share.of([50.0], 203)
    assert share.value == wide.value == 0.5
    assert share.high - share.low < (wide.high - wide.low) / 3


def test_a_condition_that_was_not_published_is_an_error(published):
    with pytest.raises(KeyError, match="table 3 has no forget accuracy of 'L7'"):
        published.share("Llama-3.1-8B", "RMU", "L7", "forget")


def test_what_the_published_numbers_say(published):
    found = {(check.name, check.where): check for check in checks(published)}
    assert len(found) == len(checks(published))
    contradicted = {key for key, check in found.items() if check.verdict == "contradicts"}
    # Qwen's printed region comes from no rule; Llama's layers from no rule; a layer in SLUG's region wrecks all.
    assert {("region rule", "Qwen-2.5-7B"), ("layer rule", "Llama-3.1-8B, RMU")} <= contradicted
    assert {("layer rule", "Llama-3.1-8B, SLUG"), ("region works", "Llama-3.1-8B, SLUG")} <= contradicted
    assert ("shallow collapse", "Llama-3.1-8B, SimNPO") in contradicted
    assert {("threshold", "Qwen-2.5-7B"), ("region widths", "Qwen-2.5-7B")} <= contradicted
    assert found["region widths", "Llama-3.1-8B"].found.endswith("given by: hull rule.")
    assert found["threshold", "Llama-3.1-8B"].verdict == found["threshold", "BLOOM-7b1"].verdict == "supports"
    assert found["region rule", "BLOOM-7b1"].verdict == "supports"
    assert found["shallow collapse", "Llama-3.1-8B, RMU"].verdict == "supports"
    assert "L12" in found["best layer", "Qwen-2.5-7B, RMU"].found
    assert "literal: blocks 8, 16–23; hull: blocks 8–23" in found["region rule", "Llama-3.1-8B"].found


def test_ours_stand_beside_the_published(published):
    rows = beside.table(Results(make_tables(THE_PAPER), ABOUT), published)
    assert len(rows[rows["origin"] == "published"]) == 5 * 3 * 4
    assert len(rows[rows["origin"] == "ours"]) == 3 * 6
    at = (rows["model"] == "Llama-3.1-8B") & (rows["algorithm"] == "rmu") & (rows["view"] == "target")
    own = rows[at & (rows["quantity"] == "forget") & (rows["group"] == "heldout")].iloc[0]
    assert own["value"] == pytest.approx((1.0 - 5.25) / (72.5 - 5.25), abs=1e-4)
    ours = rows[(rows["origin"] == "ours") & (rows["view"] == "target") & (rows["group"] == "heldout")]
    assert dict(zip(ours["quantity"], ours["value"])) == {"forget": 0.1, "retain": 1.0}
    worst = rows[(rows["view"] == "target") & (rows["group"] == "worst")]
    assert dict(zip(worst["quantity"], worst["value"])) == {"forget": 0.1, "retain": 1.0}
    assert set(worst["origin"]) == {"ours"}


# Metrics


def test_every_metric_of_the_reference_run_is_one_and_is_described():
    scores = artifacts.read_table(ROOT / frozen.FOLDER / "scores.parquet")
    assert set(scores["metric"]) <= set(metrics.METRICS)
    page = (ROOT / "docs/tables.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Za-z_]+)`", page))
    # The page writes families of measures by their beginning and their ends.
    ends = {"answers": "answers_<kind>", "reading": "`_base`, `_oracle`", "C": "`_seen` and `_unseen`"}
    for name in set(metrics.METRICS) - named - {"retain_unseen_strict"}:
        assert ends[name.split("_")[0]] in page, name


def test_a_figure_of_the_paper_asks_for_no_metric_that_is_none():
    about = artifacts.read_json(ROOT / frozen.FOLDER / frozen.ABOUT)
    results = Results.read([ROOT / frozen.FOLDER / f"{name}.parquet" for name in TABLES], about)
    for name in PAPER_FIGURES:
        paper_figures.draw(name, results, Published(ROOT / "paper/published"))


# The text


def prose(text: str) -> str:
    """What a reader reads: paragraphs, headings, and what stands in brackets, without code, comments and widths."""
    text = re.sub(r"//[^\n]*", "", text)
    paragraphs = "\n".join(line for line in text.splitlines() if re.match(r"[A-Za-z=]", line))
    bracketed = "\n".join(re.findall(r"\[([^\[\]]*)\]", text))
    return re.sub(r"#[a-z]\S*", "", f"{paragraphs}\n{bracketed}")


def test_the_text_holds_no_result():
    read = prose(TEXT)
    assert "Does depth decide" in read
    assert "with 95 % intervals" in read
    # The level of an interval is a convention.
    assert re.findall(r"[^\n]*\d[^\n]*", read.replace("95 %", "")) == []


def test_figures_of_the_main_text_are_few():
    """Twelve pages hold no more of them; all others stand in the appendix."""
    main, appendix = TEXT.split("#counter(heading).update(0)")
    shown = r"^ *#(?:picture|exhibit)\("
    assert len(re.findall(shown, main, re.MULTILINE)) <= 4
    assert len(re.findall(shown, appendix, re.MULTILINE)) > 10


@pytest.mark.parametrize("literal", ["K is 0.14 there.", "#figure([it keeps 96 % of it])", "Of 14 claims, none hold."])
def test_a_result_in_the_text_would_be_found(literal):
    assert re.search(r"\d", prose(f"{TEXT}\n{literal}\n").replace("95 %", ""))


def compiled(folder: Path, study: dict, published: Published) -> bytes:
    (folder / "figures").mkdir(parents=True)
    for name in FIGURES:
        drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
        (folder / "figures" / f"{name}.svg").write_text(drawing)
    for name in PAPER_FIGURES:
        (folder / "figures" / f"{name}.svg").write_text(drawing)
    results = Results(study, ABOUT)
    origin = {"seed": "1", "config": {"study": {"name": "made up"}}, "costs": [["rule", "jobs"], ["one", "1"]]}
    others = elsewhere.read(ROOT / name for name in of_board())
    found = values.collect(results, paper_tables.make(results, published, 1), origin, others)
    artifacts.write_json(folder / "values.json", found)
    (folder / "mute.typ").write_text(TEXT, encoding="utf-8")
    return typst.compile(folder / "mute.typ", root=folder)


def test_equal_tables_give_the_same_bytes(tmp_path, published):
    first, second = (compiled(tmp_path / name, make_tables(THE_PAPER), published) for name in ("one", "two"))
    assert first == second
    assert first.startswith(b"%PDF")
    other = compiled(tmp_path / "other", make_tables({**THE_PAPER, "0": ERASES_NOTHING}), published)
    assert other != first


@pytest.mark.parametrize("kind", KINDS)
def test_the_paper_says_what_there_is(kind, tmp_path, published):
    assert compiled(tmp_path / "paper", incomplete(kind), published).startswith(b"%PDF")


def test_values_are_text_and_numbers_that_json_can_hold(published):
    results = Results(make_tables(THE_PAPER), ABOUT)
    found = values.collect(results, paper_tables.make(results, published, 1), {})
    json.dumps(found, allow_nan=False)
    assert found["study"]["cells"] == 4
    # The made-up study has no paper protocol, under which alone a deep edit is asked about.
    assert sum(found["counts"]["claims"].values()) == len(claims.CLAIMS) - 1
    assert sum(found["counts"]["checks"].values()) == len(checks(published))


# Frozen results


def test_freezing_keeps_tables_words_and_order(tmp_path):
    made = make_tables(THE_PAPER)
    for name, table in made.items():
        artifacts.write_table(tmp_path / f"results/tables/{name}.csv", table)
    record = {"versions": {"torch": "9.9", "transformers": "8.8"}}
    artifacts.write_json(tmp_path / "results/models/llama-s0/record.json", record)
    about = {**ABOUT, "models": {"b": ABOUT["models"]["llama"], "a": ABOUT["models"]["llama"]}}
    config = {"study": {"seed": 7}}
    # A table that studies no longer have.
    artifacts.write_table(tmp_path / "frozen/tuning.parquet", made["cells"])
    written = frozen.freeze(tmp_path / "results", tmp_path / "frozen", tuple(made), about, config)
    assert {path.stem for path in (tmp_path / "frozen").glob("*.parquet")} == set(made)
    for name in made:
        one = artifacts.read_table(tmp_path / f"results/tables/{name}.csv")
        pd.testing.assert_frame_equal(artifacts.read_table(tmp_path / f"frozen/{name}.parquet"), one)
    assert list(artifacts.read_json(tmp_path / "frozen/about.json")["models"]) == ["b", "a"]
    kept = artifacts.read_json(tmp_path / "frozen/provenance.json")
    assert kept["seed"] == "7"
    assert kept["config"] == config
    assert kept["cells"] == f"{len(made['cells'])}: {len(made['cells'])} ok"
    assert kept["versions"] == "torch 9.9, transformers 8.8", "what trained the models, not what is installed now"
    assert all(artifacts.sha256(path)[:16] in kept["tables"] for path in written if path.suffix == ".parquet")
    with pytest.raises(FileNotFoundError):
        frozen.freeze(tmp_path / "nothing", tmp_path / "other", ("cells",), about, config)


def test_freezing_an_unfinished_study_says_so(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    assert command.main(["freeze"]) == 1
    assert "results/tables/cells.csv is missing: run the study first" in capsys.readouterr().err
    assert not (tmp_path / "paper").exists()


def test_the_frozen_results_are_whole_and_small():
    folder = ROOT / frozen.FOLDER
    kept = artifacts.read_json(folder / frozen.PROVENANCE)
    for name in TABLES:
        path = folder / f"{name}.parquet"
        assert f"{name} {artifacts.sha256(path)[:16]}" in kept["tables"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 5e6
    results = Results.read([folder / f"{name}.parquet" for name in TABLES], artifacts.read_json(folder / frozen.ABOUT))
    assert len(results.cases) == len(results.about["models"])
    scores = results.tables["scores"]
    base = scores[(scores["metric"] == "K") & (scores["algorithm"] == "base") & (scores["language"] == "")]
    assert len(base) >= len(results.cases)
    # Of a kind of facts that a base hardly knows better than its floor, as those never told, there is no K.
    assert base["value"].dropna().to_numpy() == pytest.approx(1.0)
    assert base.loc[base["facts"] == "all", "value"].notna().all()


# Headline numbers


@pytest.fixture(scope="module")
def reference() -> Results:
    about = artifacts.read_json(ROOT / frozen.FOLDER / frozen.ABOUT)
    return Results.read([ROOT / frozen.FOLDER / f"{name}.parquet" for name in TABLES], about)


def recomputed(folder: Path, tmp_path: Path, monkeypatch) -> dict[str, float]:
    """What the snippet of docs/tables.md computes, run as it stands there, in the project's folder."""
    page = (ROOT / "docs/tables.md").read_text(encoding="utf-8").split("## Headline numbers, recomputed")[1]
    code = re.findall(r"```python\n(.*?)```", page.split("\n## ")[0], re.DOTALL)
    assert len(code) == 1
    assert not re.search(r"\bmute\b", code[0]), "plain pandas"
    script = tmp_path / "headline.py"
    script.write_text(code[0], encoding="utf-8")
    monkeypatch.chdir(folder)
    return runpy.run_path(str(script))["headline"]


def printed_headline(study: Results, published: Published) -> dict[str, float]:
    found = values.collect(study, paper_tables.make(study, published, 1), {})
    printed: dict[str, float] = {"cells": found["study"]["cells"]}
    for row in found["headline"]:
        if row["algorithm"] == "rmu":
            for key in ("K worst", "K source", "C worst"):
                number = re.search(r"−?\d+\.\d\d", row[key])
                printed[f"{row['model']}: {key}"] = float(number[0].replace("−", "-"))
    return printed


def test_headline_numbers_are_recomputed_with_pandas_alone(reference, published, tmp_path, monkeypatch, capsys):
    own = recomputed(ROOT, tmp_path, monkeypatch)
    assert len(own) == 10
    assert own == pytest.approx(printed_headline(reference, published), abs=0.011)
    assert "K worst" in capsys.readouterr().out


def test_the_readmes_picture_is_of_the_frozen_tables(tmp_path):
    picture.write(ROOT, tmp_path / "found.svg")
    assert (tmp_path / "found.svg").read_bytes() == (ROOT / picture.PATH).read_bytes(), "python -m mute.paper.picture"
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"]({picture.PATH})" in page
    assert len(page.splitlines()) <= 150
    assert "a fifth at most in sources, less than half in their script, more than half in Hindi" in page
    scores = artifacts.read_table(ROOT / frozen.FOLDER / "scores.parquet")
    drawn = {"model": picture.MODEL, "metric": "K", "facts": "all", "protocol": "matched", "forget_set": "domain"}
    for column, value in {**drawn, "retain": "source", "sources": "en-es-pt"}.items():
        scores = scores[scores[column] == value]
    own = (
        scores[scores["algorithm"].isin(picture.ALGORITHMS)].groupby(["algorithm", "language", "band"])["value"].mean()
    )
    left = {code: own.xs(code, level="language") for code in ("en", "es", "pt", "de", "fr", "it", "hi")}
    assert {len(each) for each in left.values()} == {2 * 6}, "algorithms and blocks"
    assert all(left[code].max() < 0.2 for code in ("en", "es", "pt"))
    assert all(left[code].max() < 0.5 for code in ("de", "fr", "it"))
    assert left["hi"].min() > 0.5


def test_what_the_readme_says_was_found_is_so(reference, published):
    """Every sentence of its section, against the frozen tables: a new run that says otherwise fails here."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    section = " ".join(page.split("## What was found")[1].split("\n## ")[0].split())
    made = paper_tables.make(reference, published, 1)
    assert "in five of six pairs of architecture and algorithm; BLOOM edited by RMU is the other" in section
    less = [(own.model, own.algorithm) for own in lead.shares(made["variance"]) if own.languages <= own.block]
    assert (len(lead.shares(made["variance"])), less) == (6, [("bloom", "rmu")])

    assert "**No block erases everywhere and keeps the rest**, in any training." in section
    middle = made["regimes"][made["regimes"]["regime"] == "middle"]
    assert len(middle) == 12
    assert middle["anywhere"].sum() == 0

    assert "two thirds to three quarters of its knowledge" in section
    assert "mostly Hindi" in section
    rows = values.collect(reference, made, {})["headline"]
    worst = {(row["model"], row["algorithm"]): row["K worst"] for row in rows if row["algorithm"] in ("rmu", "simnpo")}
    assert len(worst) == 6
    assert all(0.63 < float(said.split()[1]) < 0.78 for said in worst.values()), worst
    assert sum(said.startswith("hi ") for said in worst.values()) > 3

    assert "comes back** by twenty steps" in section
    assert set(made["beyond"].set_index("name").loc[["recovery"], "against"]) == {"that what is erased is gone"}
    each = made["means"].set_index(["name", "protocol", "algorithm", "model"])["verdict"].sort_index()
    assert "**Deep edits erase**" in section
    assert set(each["deep erases nothing"]) == {"contradicts"}
    assert "do not wreck the other languages by SimNPO" in section
    for protocol in ("matched", "paper"):
        assert set(each["shallow wrecks", protocol, "simnpo"]) == {"contradicts"}
    wrecked = each["shallow wrecks", "paper", "rmu"]
    assert "by RMU at a fixed one they do in Llama and Qwen2, and not in BLOOM" in section
    assert wrecked.to_dict() == {"llama": "supports", "qwen2": "supports", "bloom": "contradicts"}
    assert "Llama has no intermediate band" in section
    assert "llama 0 of 4" in lead.bands(reference)

    assert (
        "of 12 (of 38 that count) that keep four fifths of capability, eleven leave more than a fifth by their whole "
        "interval; RMU, 0.49 [−1.14, 2.11], is not decided" in section
    )
    small = pd.read_csv(ROOT / BOARD / "board-small" / "rows.csv")
    counted = small[(small["status"] == "ok") & (small["objective"] != "control") & small["k_worst"].notna()]
    kept = counted[counted[["c_worst", "c_source"]].min(axis=1, skipna=False) >= 0.8]
    least = kept.loc[kept["k_worst"].idxmin()]
    assert (len(kept), len(counted), set(small["band"]), small["counted"].max()) == (12, 38, {"3", "full"}, 2)
    assert kept.loc[kept["k_worst_low"] <= 0.2, "algorithm"].tolist() == ["rmu"] == [least["algorithm"]]
    assert least[["k_worst", "k_worst_low", "k_worst_high"]].round(2).tolist() == [0.49, -1.14, 2.11]

    assert "of eight edits of Gemma 3 270M two reach the dose" in section
    gemma = pd.read_csv(ROOT / BOARD / "gemma" / "rows.csv")
    edits = gemma[gemma["algorithm"].isin(["rmu", "simnpo"])]
    reached = edits[(edits["status"] == "ok") & (edits["dose"] == "reached")]
    assert len(edits) == 8
    assert (reached["algorithm"] + " " + reached["band"].astype(str)).tolist() == ["simnpo 1", "simnpo 16"]
    assert reached[["k_same_script", "k_other_script"]].min(axis=None) > 0.5
    assert reached["c_worst"].max() < 0.8
    assert reached["c_source"].min() > 0.5


@pytest.mark.parametrize("new", [True, False])
def test_they_are_of_tables_with_and_without_the_worst_language(new, tmp_path, published, monkeypatch):
    """Two seeds and two trainings, one of which does not count; a slip in any of them would show."""
    made = many([{**THE_PAPER, "1": (0.0, 0.2, 0.9, 1.0)}, {**THE_PAPER, "1": (0.1, 0.6, 0.7, 1.0)}, THE_PAPER])
    scores, cells = made["scores"].assign(seed=0), made["cells"]
    one = (scores["language"] == "xx") & (scores["metric"].isin(["K", "C"])) & (scores["group"] == "heldout")
    scores.loc[one & (scores["algorithm"] == "rmu"), "value"] = 0.44
    if not new:
        scores = scores[~scores["group"].isin(["worst", "same_script", "other_script"])].drop(columns="attack")
        scores = scores[scores["metric"] != "recovery"]
    lost = cells["training_seed"] == 2
    made |= {"scores": scores, "cells": cells.assign(status=cells["status"].where(~lost, "not_reached"))}
    made["scores"] = scores.assign(status=scores["status"].where(scores["training_seed"] != 2, "not_reached"))
    about = {**ABOUT, "main": ["en-es", "source", "domain"]}
    for name, table in made.items():
        artifacts.write_table(tmp_path / frozen.FOLDER / f"{name}.parquet", table)
    (tmp_path / frozen.FOLDER / "about.json").write_text(json.dumps(about), encoding="utf-8")
    own = recomputed(tmp_path, tmp_path, monkeypatch)
    assert own == pytest.approx(printed_headline(Results(made, about), published), abs=0.011)
    # With the group, 0.2 and 0.6; without it the worst of the languages, 0.44 and 0.6; C likewise.
    assert own["llama: K worst"] == pytest.approx(0.4 if new else 0.52)
    assert own["llama: C worst"] == pytest.approx(0.8 if new else 0.44)


def test_the_paper_prints_headlines_by_language(published):
    about = {**ABOUT, "scripts": {"en": "L", "es": "L", "de": "L", "xx": "X"}}
    about["algorithms"] = {"rmu": {"family": "representation", "intent": "removal"}}
    results = Results(many([THE_PAPER] * 3), about)
    found = values.collect(results, paper_tables.make(results, published, 1), {})
    (row,) = found["headline"]
    assert (row["model"], row["algorithm"], row["objective"], row["block"], row["n"]) == (
        "llama",
        "rmu",
        "removal",
        "1",
        "3",
    )
    assert row["K worst"] == "de 0.10 [0.10, 0.10]"
    assert row["leak other"] == row["leak same"] == "0.10 [0.10, 0.10]"
    assert row["recovery"].startswith("retrain 20: ")
    assert row["confusion"] == "–", "the made-up study has no answers"


def test_no_mean_over_held_out_languages_stands_alone_in_the_text():
    """Where the text prints a value over held-out languages, the worst of them is printed beside it."""
    lines = TEXT.splitlines()
    for place, line in enumerate(lines):
        if re.search(r"\b(heldout|transfer\.others)\b", line):
            near = "\n".join(lines[place : place + 3])
            assert "worst" in near or "values.transfer.most" in near, line
