"""The robustness card: what each attack brings back, where, beside the oracle; and what the base cannot answer."""

import pandas as pd
import pytest

from made_up import ABOUT, KEYS, THE_PAPER, make_tables
from mute.findings import robustness
from mute.findings.results import Results
from mute.plotting import figures
from mute.plotting import robustness as page_section

CELL = {**KEYS, "algorithm": "rmu", "band": "1", "protocol": "matched", "seed": 0, "status": "ok"}
GROUPS = {"en": "source", "es": "source", "de": "heldout", "xx": "heldout"}


def attacked(attack: str, regained: dict[str, float], base: dict[str, float], oracle: float = 0.1) -> list[dict]:
    """Rows of one attack on the edit of block 1, by language; the source languages' mean beside."""
    rows = []
    for code, value in regained.items():
        scores = {"regained": value, "R": value / 2, "R_oracle": oracle, "R_base": base.get(code, 1.0)}
        for metric, number in scores.items():
            own = {"language": code, "group": GROUPS[code], "metric": metric, "facts": "all", "value": number}
            ends = {"low": number - 0.1, "high": number + 0.1, "n": 60, "floor": "oracle", "attack": attack}
            rows.append({**CELL, **own, **ends})
    source = [value for code, value in regained.items() if GROUPS[code] == "source"]
    if source:
        mean = sum(source) / len(source)
        rows.append({**rows[0], "language": "", "group": "source", "metric": "regained", "value": mean})
    return rows


def results(*attacks: list[dict], status: str = "") -> Results:
    tables = make_tables(THE_PAPER)
    if status:
        tables["cells"]["status"] = status
    tables["scores"] = pd.concat([tables["scores"], pd.DataFrame([row for rows in attacks for row in rows])])
    return Results.of(tables, ABOUT)


@pytest.fixture
def found():
    """Prefill brings most back in xx, where the base cannot answer; so does a form that it can answer nowhere."""
    return results(
        attacked("prefill_1", {"en": 0.1, "es": 0.3, "de": 0.6, "xx": 0.9}, {"xx": 0.5}),
        attacked("rwku_reverse", {"en": 0.9, "es": 0.9, "de": 0.9, "xx": 0.9}, dict.fromkeys(GROUPS, 0.2)),
        attacked("quantize", {"en": 0.2, "es": 0.0, "de": 0.1, "xx": 0.1}, {}),
        attacked("romanised", {"xx": 0.7}, {}),
    )


def by_attack(found: Results) -> dict[str, robustness.Line]:
    (case,) = found.cases
    return {line.attack: line for line in robustness.lines(found, case)}


def test_the_worst_language_is_one_that_the_base_can_answer(found):
    own = by_attack(found)
    prefill = own["prefill_1"]
    assert (prefill.worst.language, prefill.worst.number.value) == ("de", 0.6)
    assert (prefill.after.value, prefill.oracle.value) == (0.3, 0.1)
    assert prefill.before.value == pytest.approx(THE_PAPER["1"][1])
    assert prefill.unanswered == ("xx",)
    assert prefill.source.value == pytest.approx(0.2)
    assert own["quantize"].worst.language == "en", "source languages too"


def test_a_form_that_the_base_cannot_answer_is_no_robustness(found):
    line = by_attack(found)["rwku_reverse"]
    assert not line.worst
    assert line.why.startswith("n/a")
    assert set(line.unanswered) == set(GROUPS)
    best = robustness.hardest(list(by_attack(found).values()))
    assert best["rmu", "1"].attack == "romanised"


def test_an_attack_of_one_language_has_a_line_and_no_source(found):
    line = by_attack(found)["romanised"]
    assert line.worst.language == "xx"
    assert not line.source


def test_where_no_edit_counts_or_no_oracle_stands_beside_one_the_page_says_why_nothing_is_said():
    attack = attacked("quantize", {"en": 0.2, "es": 0.0, "de": 0.1, "xx": 0.1}, {})
    alone = [row for row in attack if row["metric"] not in ("regained", "R_oracle")]
    for made in (results(attack, status="destroyed"), results(alone)):
        text = "".join(page_section.section(made))
        assert "no edit that counts was attacked beside an oracle" in text
        assert "Most comes back" not in text
    assert "Most comes back" in "".join(page_section.section(results(attack)))


def test_a_study_without_attacks_has_no_section():
    tables = make_tables(THE_PAPER)
    tables["scores"] = tables["scores"][tables["scores"]["attack"].fillna("") == ""]
    assert page_section.section(Results.of(tables, ABOUT)) == []


def test_nothing_is_printed_without_the_oracle(found):
    text = "".join(page_section.section(found))
    assert "oracle after" in text
    assert "Most comes back. band 1: romanised xx" in text
    assert "n/a: the base cannot answer it" in text
    drawn = {
        text.get_text()
        for axes in figures.draw("robustness", found, ABOUT).findobj()
        for text in [axes]
        if hasattr(axes, "get_text")
    }
    assert "0.60 (0.10)\nde" in drawn
    assert "n/a" in drawn


def test_every_guard_has_a_column_with_the_oracle_beside():
    """A dozen of one family: of edits only the best would be drawn."""
    tables, names = make_tables(THE_PAPER), [f"guard_{i}" for i in range(12)]
    rows = attacked("respelled", {"en": 0.2, "es": 0.1, "de": 0.6, "xx": 0.1}, {}, oracle=0.12)
    for name in ("scores", "cells"):
        edit = tables[name].query("algorithm == 'rmu' and band == '1'")
        tables[name] = pd.concat([tables[name], *(edit.assign(algorithm=guard) for guard in names)])
    attacks = [pd.DataFrame(rows).assign(algorithm=guard) for guard in names]
    tables["scores"] = pd.concat([tables["scores"], *attacks])
    described = {name: {"method": name, "family": "guard", "paper": "", "intent": "guard"} for name in names}
    found = Results.of(tables, {**ABOUT, "algorithms": described})
    (case,) = found.cases
    assert set(names) <= set(page_section.names(found, case))
    assert {line.algorithm for line in robustness.lines(found, case)} == set(names)
    figure = figures.draw("robustness", found, {**ABOUT, "algorithms": described})
    drawn = [each.get_text() for each in figure.findobj() if hasattr(each, "get_text")]
    assert drawn.count("0.60 (0.12)\nde") == len(names)
    assert "".join(page_section.section(found)).count("respelled de") == len(names)
