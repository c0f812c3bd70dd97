"""What a study found by language: the first picture, leak by script, the worst language, marks of statuses."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from made_up import ABOUT, THE_PAPER, make_tables, many
from mute.findings import by_language, findings
from mute.findings.by_language import HELDOUT, OTHER, SAME, SOURCE, Worst
from mute.findings.results import Number, Results
from mute.plotting import figures, page, panels, registry, style, summary
from mute.plotting.figures import frontier, language_maps

ROOT = Path(__file__).parents[2]
SCRIPTS = {"en": "Latin", "es": "Latin", "de": "Latin", "xx": "Other"}
SCRIPTED = {**ABOUT, "scripts": SCRIPTS}


def apart(tables: dict, values: dict[str, float], metric: str = "K", band: str = "1") -> dict:
    """The tables with another number of each language named, after the edit of one block."""
    scores = tables["scores"].copy()
    for code, value in values.items():
        own = (scores["language"] == code) & (scores["metric"] == metric) & (scores["band"] == band)
        scores.loc[own & (scores["algorithm"] == "rmu"), "value"] = value
    return {**tables, "scores": scores}


def without(tables: dict, *groups: str) -> dict:
    """The tables of a study of old, which has none of these groups."""
    scores = tables["scores"]
    return {**tables, "scores": scores[~scores["group"].isin(groups)]}


NEW = ("worst", "same_script", "other_script")


def shown(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def names(figure) -> list[str]:
    return [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]


# Groups, and the worst language


def test_languages_stand_by_script_where_all_scripts_are_known():
    results = Results(make_tables(THE_PAPER), SCRIPTED)
    (case,) = results.cases
    assert by_language.groups(results, case) == {SOURCE: ["en", "es"], SAME: ["de"], OTHER: ["xx"]}
    # Packs know en, es and de; nobody knows xx.
    unknown = Results(make_tables(THE_PAPER), ABOUT)
    assert by_language.groups(unknown, case) == {SOURCE: ["en", "es"], HELDOUT: ["de", "xx"]}
    alike = Results(make_tables(THE_PAPER), {**ABOUT, "scripts": {**SCRIPTS, "xx": "Latin"}})
    assert by_language.groups(alike, case) == {SOURCE: ["en", "es"], SAME: ["de", "xx"]}


@pytest.mark.parametrize(("metric", "code", "value"), [("K", "xx", 0.7), ("C", "de", 0.2)])
def test_the_worst_language_is_named_and_of_old_tables_computed(metric, code, value):
    values = {"de": 0.2, "xx": 0.7}
    made = apart(make_tables(THE_PAPER), values, metric)
    old = Results(without(made, *NEW), ABOUT)
    (case,) = old.cases
    found = by_language.worst(old, case, "rmu", "1", metric)
    assert (found.language, found.number.value) == (code, value)
    # The tables' own number stands: its interval owns the choice. The name is still that of the languages.
    new = Results(made, ABOUT)
    stated = new.number(case, "rmu", "1", metric, "worst")
    assert by_language.worst(new, case, "rmu", "1", metric) == Worst(stated, code)
    assert stated.value != value
    assert str(Worst(Number(0.7, 0.6, 0.8, 9), "xx")) == "xx 0.70 [0.60, 0.80]"
    assert not by_language.worst(old, case, "rmu", "9", metric)


def test_leak_of_old_tables_is_that_of_the_languages():
    made = apart(make_tables(THE_PAPER), {"de": 0.2, "xx": 0.7})
    old = Results(without(made, *NEW), SCRIPTED)
    (case,) = old.cases
    # K of the source languages is 0 there.
    assert by_language.mean(old, case, "rmu", "1", "leak", SAME).value == pytest.approx(0.2)
    assert by_language.mean(old, case, "rmu", "1", "leak", OTHER).value == pytest.approx(0.7)
    assert math.isnan(by_language.mean(old, case, "rmu", "1", "leak", OTHER).low)
    assert by_language.worst(old, case, "rmu", "1", "leak").language == "xx"
    # What the tables say goes before it.
    new = Results(made, SCRIPTED)
    assert by_language.mean(new, case, "rmu", "1", "leak", OTHER) == pytest.approx((0.1, 0.08, 0.12, 60, 0))


def test_the_offset_is_the_mean_over_pairs_of_a_held_out_and_a_source_language():
    results = Results(make_tables(THE_PAPER), ABOUT)
    (case,) = results.cases
    # Pairs en-de, en-xx, es-de and es-xx have the places 1 to 4 among the made-up ones.
    assert by_language.gap(results, case) == pytest.approx({block: 0.2 + 0.2 * block + 0.25 for block in range(3)})
    assert by_language.gap(Results({**results.tables, "profiles": pd.DataFrame()}, ABOUT), case) == {}


def test_doses_go_from_few_steps_to_many():
    scores = make_tables(THE_PAPER)["scores"]
    back = scores[scores["metric"] == "recovery"]
    doses = ["retrain_1", "retrain_100", "retrain_20", "retrain_5"]
    made = {"scores": pd.concat([scores, *(back.assign(attack=dose) for dose in doses)])}
    assert by_language.doses(Results(made, ABOUT)) == ["retrain_1", "retrain_5", "retrain_20", "retrain_100"]


# The first picture


def test_the_map_by_language_is_the_first_picture_and_the_papers_figure_1():
    from mute.paper import figures as paper_figures

    places = {name: getattr(figures.load(name), "PLACE", registry.LAST) for name in figures.names()}
    assert min(places, key=lambda name: places[name]) == "language_maps"
    assert list(places.values()).count(places["language_maps"]) == 1
    results = Results(make_tables(THE_PAPER), SCRIPTED)
    assert shown(paper_figures.draw("figure_1", results, None)) == shown(language_maps.draw(results, SCRIPTED))
    text = (ROOT / "paper/mute.typ").read_text(encoding="utf-8")
    assert text.index('exhibit("figure_1")') < min(
        text.index(f'picture("{name}")') for name in ("frontier", "depth", "leak")
    )


def test_the_map_writes_every_number_groups_languages_and_marks_the_target():
    made = apart(make_tables(THE_PAPER), {"de": 0.2, "xx": 0.77})
    figure = language_maps.draw(made, SCRIPTED)
    (axes,) = (axes for axes in figure.axes if "rmu" in axes.get_title(loc="left"))
    texts = [text.get_text() for text in axes.texts]
    assert {"77", "20"} <= set(texts)
    assert {"source", "held out, the sources' script", "held out, other scripts"} <= set(texts)
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows == ["en", "es", "de", "xx", "C worst", "LRDS", "CKA", "offset"]
    # Of layers.csv and of the profile: LRDS 0.2 to 0.4, CKA 0.8 and 0.9, offset 0.45 to 0.85.
    assert {"30", "90", "65"} <= set(texts)
    triangles = [line for line in axes.lines if line.get_marker() == "v"]
    assert [float(line.get_xdata()[0]) for line in triangles] == [1.5], "the target is block 1"
    assert all(mesh.get_clim() == (0, 1) for mesh in axes.collections), "from never knew to untouched, in every study"
    assert figure.get_figwidth() <= style.WIDEST


def test_the_map_of_old_tables_has_what_they_have():
    made = without(make_tables(THE_PAPER), *NEW)
    figure = language_maps.draw({**made, "profiles": pd.DataFrame()}, ABOUT)
    assert "offset" not in names(figure)
    assert "held out" in shown(figure)
    frozen = ROOT / "paper/frozen"
    about = json.loads((frozen / "about.json").read_text(encoding="utf-8"))
    results = Results.read(frozen.glob("*.parquet"), about)
    figure = language_maps.draw(results, about)
    assert {"hi", "LRDS", "CKA"} <= set(names(figure))
    assert figure.get_figwidth() <= language_maps.WIDEST


def test_several_trainings_are_one_map_of_means_over_those_that_count():
    effects = [{**THE_PAPER, "1": (0.0, k, 1.0, 1.0)} for k in (0.11, 0.35, 0.8)]
    made = many(effects)
    cells = made["cells"]
    lost = (cells["training_seed"] == 2) & (cells["band"] == "1")
    made["cells"] = cells.assign(status=np.where(lost, "destroyed", cells["status"]))
    about = {**ABOUT, "shown": [["llama", 0, "en-es", "source", "domain", "matched"]]}
    figure = language_maps.draw(made, about)
    (axes,) = (axes for axes in figure.axes if "rmu" in axes.get_title(loc="left"))
    texts = [text.get_text() for text in axes.texts]
    assert texts.count("23") == 2, (
        "the mean of 0.11 and 0.35 in both held-out languages; what was destroyed has no part"
    )
    assert "1" in texts, "how many trainings do not count"
    assert any(line.get_marker() == panels.STATUS_MARKS["destroyed"]["marker"] for line in axes.lines)
    assert "mean over 3 trainings" in figure.subfigs[0]._suptitle.get_text()
    # Where none counts its numbers are shown, and marked without a number.
    made["cells"] = cells.assign(status=np.where(cells["band"] == "1", "no_edit", cells["status"]))
    texts = shown(language_maps.draw(made, about))
    assert texts.count("42") == 2
    assert "1" not in texts


# Statuses


@pytest.mark.parametrize("status", ["no_edit", "destroyed"])
@pytest.mark.parametrize("name", ["depth", "capabilities", "transfer_facts", "language_maps", "frontier"])
def test_edits_that_are_no_answer_have_a_mark_and_a_key(name, status):
    made = make_tables(THE_PAPER)
    words = panels.STATUS_WORDS[status]

    def keys(figure) -> list[str]:
        return [text.get_text() for legend in figure.legends for text in legend.get_texts()]

    assert words not in keys(figures.draw(name, Results(made, ABOUT), ABOUT))
    cells = made["cells"]
    made["cells"] = cells.assign(status=np.where(cells["band"] == "1", status, cells["status"]))
    figure = figures.draw(name, Results(made, ABOUT), ABOUT)
    assert words in keys(figure)
    marker = panels.STATUS_MARKS[status]["marker"]
    if name == "frontier":
        assert f"{status.replace('_', ' ')}: rmu 1" in shown(figure)
    else:
        found = [line for axes in figure.axes for line in axes.lines if line.get_marker() == marker]
        at = {float(line.get_xdata()[0]) for line in found if len(line.get_xdata()) == 1}
        assert 1.0 in at or 1.5 in at


def test_statuses_have_marks_of_their_own_and_are_counted():
    assert len({str(look["marker"]) for look in panels.STATUS_MARKS.values()}) == len(panels.STATUS_MARKS)
    made = make_tables(THE_PAPER)
    statuses = ["no_edit", "destroyed", "ok", "ok"]
    results = Results({**made, "cells": made["cells"].assign(status=statuses)}, ABOUT)
    assert "1 destroyed, 1 no edit" in findings.status_words(results)
    flat = " ".join(summary.terminal(results, Path("x")).split())
    assert "1 destroyed, 1 no edit" in flat
    assert "†" in flat


# Leak and frontier


def test_leak_stands_by_script_with_the_worst_language():
    made = apart(make_tables(THE_PAPER), {"de": 0.2, "xx": 0.7})
    figure = figures.draw("leak", Results(made, SCRIPTED), SCRIPTED)
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in figure.axes]
    assert titles == ["llama: leak, the sources' script", "llama: leak, other scripts", "llama: excess damage"]
    dashes = [
        {float(line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "_"} for axes in figure.axes[:2]
    ]
    assert 0.2 in dashes[0]
    assert 0.7 in dashes[1]
    assert 0.7 not in dashes[0]
    (unknown, _) = figures.draw("leak", Results(made, ABOUT), ABOUT).axes
    assert unknown.get_title(loc="left") == "llama: leak"


def test_the_frontier_is_of_the_worst_languages():
    made = without(apart(apart(make_tables(THE_PAPER), {"xx": 0.7}), {"de": 0.3}, "C"), *NEW)
    results = Results(made, ABOUT)
    (case,) = results.cases
    c, k = frontier.sides(results, case, "rmu", "1")
    assert (c.value, k.value) == (0.3, 0.7), "of two languages: what one forgets the other may pay for"
    (axes,) = figures.draw("frontier", results, ABOUT).axes
    points = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes.lines]
    assert (0.3, 0.7) in points


def test_skipping_a_block_is_a_property_of_the_base():
    made = make_tables(THE_PAPER)
    scores = made["scores"]
    of_base = scores[scores["metric"] == "B_base"].assign(metric="bypass_base", value=0.4, attack="bypass")
    old = figures.draw("bypass", Results(made, ABOUT), ABOUT)
    new = figures.draw("bypass", Results({**made, "scores": pd.concat([scores, of_base])}, ABOUT), ABOUT)

    def values(figure) -> set[float]:
        return {float(line.get_ydata()[0]) for axes in figure.axes for line in axes.lines if line.get_marker() == "o"}

    assert len(old.axes) == len(new.axes) == 1, "one panel for a model, whatever edited it"
    assert values(old) == {1.0}
    assert values(new) == {0.4}
    none = scores[~scores["metric"].isin(["B_base"])]
    assert "no block" in shown(figures.draw("bypass", Results({**made, "scores": none}, ABOUT), ABOUT))[0]


# The page


@pytest.fixture
def drawn(tmp_path) -> dict[str, Path]:
    paths = {name: tmp_path / f"{name}.svg" for name in ("frontier", "language_maps", "leak")}
    for path in paths.values():
        path.write_text("<svg/>", encoding="utf-8")
    return paths


def test_the_page_shows_the_first_picture_before_any_word_of_the_answer(drawn):
    results = Results(make_tables(THE_PAPER), ABOUT)
    text = "".join(summary.parts(results, drawn, Path()))
    places = [text.index(f"figures/{name}.svg") for name in ("language_maps", "frontier", "leak")]
    assert places[0] < text.index(findings.QUESTION) < places[1] < places[2]
    assert text.count("figures/language_maps.svg") == 1
    # Without it the page begins with the question.
    del drawn["language_maps"]
    text = "".join(summary.parts(results, drawn, Path()))
    assert text.index(findings.QUESTION) < text.index("figures/frontier.svg")


def test_every_table_of_scores_names_the_worst_language_the_objective_and_recovery():
    about = {**SCRIPTED, "algorithms": {"rmu": {"family": "representation", "intent": "suppression"}}}
    results = Results(apart(make_tables(THE_PAPER), {"de": 0.2, "xx": 0.7}), about)
    text = "".join(summary.parts(results, {}, Path()))
    heads = [part.split("</thead>")[0] for part in text.split("<thead>")[1:]]
    scored = [head for head in heads if "K source" in head]
    assert len(scored) == 2
    for head in scored:
        for column in (*summary.COLUMNS, "objective", "recovery worst, retrain 20"):
            assert f"<th>{column}</th>" in head
    assert not any("held-out" in head for head in scored)
    assert "<b>xx</b>" in text
    assert text.count("<td>suppression</td>") >= 2
    words = summary.terminal(results, Path("x"))
    assert "xx 0.10 [0.08, 0.12]" in words
    assert "objective, rmu: suppression" in words
    assert "recovery at block 1, rmu, worst language: retrain 20 1.00" in " ".join(words.split())


def test_a_cell_with_a_language_sorts_by_its_number():
    made = page.table(["K"], [[Worst(Number(0.5, 0.4, 0.6, 3), "<hi>")], [Worst(Number())]])
    assert 'data-sort="0.5">0.50 <b>&lt;hi&gt;</b> ' in made
    assert 'data-sort="">–' in made


def test_no_page_figure_or_text_asks_for_a_mean_over_held_out_languages_alone():
    """Who writes it as a literal has the worst language beside it: look at a file before it is allowed here."""
    allowed = {"alignment.py", "lens.py", "transfer_facts.py", "leak.py", "panels.py", "exhibits.py", "confusion.py"}
    allowed |= {"summary.py", "language_maps.py", "detection.py"}  # they unpack the lists of languages
    allowed |= {"robustness.py"}  # the verdict has the worst language in the next column
    for folder in ("plotting", "paper"):
        for path in (ROOT / "src/mute" / folder).rglob("*.py"):
            if path.name not in allowed:
                assert '"heldout"' not in path.read_text(encoding="utf-8"), path
