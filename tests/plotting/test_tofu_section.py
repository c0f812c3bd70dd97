"""TOFU's measures on the page: there for a corpus that has them, each with its words, and absent from other studies."""

import math

import pandas as pd

from made_up import ABOUT, KEYS, LANGUAGES, THE_PAPER, make_tables
from mute.findings.results import Results
from mute.plotting import summary, tofu

# Metric and split: the base, the oracle, and the edit of block 1; held-out languages are a tenth less in all.
MADE = {
    ("tofu_probability", "forget"): (0.9, 0.2, 0.3),
    ("tofu_rouge", "forget"): (1.0, 0.4, 0.5),
    ("tofu_truth_ratio", "forget"): (0.3, 0.8, 0.7),
    ("tofu_probability", "real_authors"): (0.55, 0.5, 0.45),
    ("tofu_utility", ""): (0.8, 0.8, 0.6),
    ("tofu_forget_quality", "forget"): (1e-12, 1.0, 0.001),
}
EDITS = (("base", ""), ("oracle", ""), ("rmu", "1"))


def study() -> Results:
    tables = make_tables(THE_PAPER)
    rows = []
    for (metric, facts), values in MADE.items():
        for (algorithm, band), value in zip(EDITS, values):
            cell = {**KEYS, "algorithm": algorithm, "band": band, "protocol": "matched", "seed": 0, "status": "ok"}
            cell |= {"retain": "", "protocol": ""} if algorithm != "rmu" else {}
            own = {**cell, "metric": metric, "facts": facts, "attack": "", "floor": "", "n": 9}
            for group, codes in LANGUAGES.items():
                number = value if group == "source" else 0.9 * value
                for i, code in enumerate(codes):
                    # Of two held-out languages the second has a little more.
                    each = number + 0.01 * i * (group == "heldout") * (metric != "tofu_forget_quality")
                    rows.append({**own, "group": group, "language": code, "value": each, "low": each, "high": each})
                if metric != "tofu_forget_quality":
                    rows.append({**own, "group": group, "language": "", "value": number, "low": number, "high": number})
    scores = pd.concat([tables["scores"], pd.DataFrame(rows)], ignore_index=True)
    return Results({**tables, "scores": scores}, ABOUT)


def cells(section: list[str], edit: str, block: str) -> str:
    """The row of an edit in the first table."""
    table = next(part for part in section if "<table>" in part)
    return next(line for line in table.splitlines() if f"<td>{edit}</td><td>{block}</td>" in line)


def test_the_page_has_tofus_measures_with_words_for_each(tmp_path):
    results = study()
    section = tofu.section(results)
    page = "".join(summary.parts(results, {}, tmp_path))
    assert "".join(section) in page
    assert page.count(f'href="#{tofu.ANCHOR}"') == 1
    for words in ("probability", "ROUGE-L", "truth ratio", "model utility", "forget quality"):
        assert f"<dt>{words}</dt>" in page
    assert "real authors probability" in page


def test_numbers_stand_with_the_worst_held_out_language():
    section = tofu.section(study())
    edited = cells(section, "rmu", "1")
    # What is to be forgotten looks worst where most is left, likeness to the oracle and utility where least.
    assert ">0.30 " in edited
    assert ">0.28 <b>xx</b>" in edited
    assert ">0.63 <b>de</b>" in edited
    assert ">0.54 <b>de</b>" in edited
    assert "<td>−3.0 en</td>" in edited
    assert "<td>−12.0 en</td>" in cells(section, "base", "–")
    assert "<td>0.0 en</td>" in cells(section, "oracle", "–")


def test_an_edit_without_numbers_has_dashes():
    assert cells(tofu.section(study()), "gradient ascent", "full").count("–") >= 8


def test_other_studies_have_no_such_section(tmp_path):
    results = Results(make_tables(THE_PAPER), ABOUT)
    assert tofu.section(results) == []
    assert tofu.TITLE not in "".join(summary.parts(results, {}, tmp_path))
    assert math.isnan(results.number(results.cases[0], "rmu", "1", "tofu_utility", "source").value)
