"""A study whose model knows nothing of its forget set ends in no verdict, and the page says so in one sentence."""

import math

from made_up import make_tables
from mute.findings import claims, findings, verdicts
from mute.findings.results import Results
from mute.plotting import summary

EFFECTS = {"0": (0.1, 0.1, 0.2, 0.0), "1": (0.1, 0.1, 1.0, 0.0), "2": (1.0, 1.0, 1.0, 0.0)}


def study(status):
    return Results(make_tables(EFFECTS, status=status))


def test_no_verdict_without_anything_to_forget(tmp_path):
    known, empty = study("ok"), study("nothing_to_forget")
    case = empty.cases[0]
    assert any(f.verdict is not None for f in verdicts.find_regimes(known, known.cases[0], "rmu"))
    found = verdicts.find_regimes(empty, case, "rmu")
    assert all(finding.verdict is None for finding in found)
    assert not any(finding.at(True) or finding.at(False) for finding in found)
    table = claims.table(empty)
    assert len(table)
    assert set(table["verdict"]) == {"not decided"}
    assert set(table["status"]) == {"nothing_to_forget"}
    assert not set(claims.means(empty)["verdict"]) & {"supports", "contradicts"}
    assert "supports" in set(claims.table(known)["verdict"]) | set(claims.means(known)["verdict"])
    said = " ".join(words for _, words in findings.answer(empty))
    assert "Nothing to forget" in said
    assert "Nothing to forget" not in " ".join(words for _, words in findings.answer(known))
    assert "1 nothing to forget" not in findings.status_words(known)
    page = "".join(summary.parts(empty, {}, tmp_path))
    assert "Nothing to forget: in the source languages" in page
    assert "K is shown and decides nothing" in page
    assert page.count("[no interval]: in too many resamples") >= 2, "above the models' tables, and above every edit"
    assert "nothing to forget" in summary.terminal(empty, tmp_path)


def test_k_is_called_empty_where_it_is():
    """And not where the model is somewhat above its floor, by an interval that reaches it."""
    tables = make_tables(EFFECTS, status="nothing_to_forget")
    scores = tables["scores"]
    tables["scores"] = scores[(scores["metric"] != "K") | (scores["algorithm"] != "base")]
    said = " ".join(words for _, words in findings.answer(Results(tables)))
    assert "and K is empty" in said


def test_a_model_with_something_to_forget_has_no_such_sentence():
    results = study("ok")
    assert results.nothing_to_forget(results.cases[0]) == ""
    assert not math.isnan(results.number(results.cases[0], "rmu", "1", "K", "worst").value)
