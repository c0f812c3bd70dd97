"""Knowledge in profiles: K by the floor of the scores, and the base's own beside every cell."""

import math

import pandas as pd
import pytest

from mute.bands import KEYS
from mute.evaluate.profile_knowledge import with_knowledge

COLUMNS = [*KEYS, "analysis", "measure", "block", "language", "value", "n"]


def score(algorithm, metric, language, value, model="m", facts="all", sources="en"):
    keys = {"model": model, "training_seed": 0, "algorithm": algorithm, "forget_set": "domain", "sources": sources}
    return {**keys, "metric": metric, "language": language, "facts": facts, "value": value}


SCORES = pd.DataFrame(
    [
        *(score("base", "accuracy_option", code, value) for code, value in (("hi", 0.9), ("de", 0.8), ("", 0.85))),
        # Another part of the facts, and the same base beside cells with other sources.
        score("base", "accuracy_option", "hi", 0.3, facts="transfer"),
        score("base", "accuracy_option", "hi", 0.9, sources="de"),
        *(score("oracle", "accuracy_option", code, value) for code, value in (("hi", 0.1), ("de", 0.78))),
        *(score("base", "chance", code, 0.2) for code in ("hi", "de")),
        *(
            score("base", metric, "hi", value, "no_oracle")
            for metric, value in (("accuracy_option", 0.6), ("chance", 0.2))
        ),
        score("rmu", "accuracy_option", "hi", 0.5),
    ]
)


def row(algorithm, band, measure, language, value, model="m", sources="en", block=3, analysis="mean_shift"):
    told = ("source", "matched") if algorithm != "base" else ("", "")
    keys = dict(zip(KEYS, (model, 0, algorithm, band, sources, told[0], "domain", told[1], 0)))
    return {
        **keys,
        "analysis": analysis,
        "measure": measure,
        "block": block,
        "language": language,
        "value": value,
        "n": 9,
    }


def known(*rows) -> dict:
    table = with_knowledge(pd.DataFrame(rows, columns=COLUMNS), SCORES)
    assert list(table.columns) == COLUMNS
    return {(r.algorithm, r.measure, r.language): r.value for r in table.itertuples() if r.measure.startswith("K_")}


def test_k_is_one_for_the_base_and_zero_for_the_oracle_and_goes_beyond_both():
    values = {"a": 0.9, "b": 0.1, "c": 0.5, "d": 0.02}
    found = known(*(row("rmu", "3", f"accuracy_{name}", "hi", value) for name, value in values.items()))
    expected = {"a": 1, "b": 0, "c": 0.5, "d": -0.1}
    assert found == pytest.approx({("rmu", f"K_{name}", "hi"): value for name, value in expected.items()})


def test_without_an_oracle_chance_is_the_floor():
    assert known(row("rmu", "3", "accuracy_x", "hi", 0.4, "no_oracle")) == {("rmu", "K_x", "hi"): pytest.approx(0.5)}


def test_there_is_no_k_where_the_base_knows_no_more_than_the_floor_or_has_no_score():
    found = known(row("rmu", "3", "accuracy_x", "de", 0.5), row("rmu", "3", "accuracy_x", "fr", 0.5))
    assert list(map(math.isnan, found.values())) == [True, True]


def test_the_base_of_the_same_band_sources_and_language_stands_beside_a_cell():
    def shifted(*args, **options):
        return row(args[0], args[1], "accuracy_shifted", args[2], args[3], **options)

    found = known(
        shifted("base", "3", "hi", 0.86),
        shifted("base", "3", "hi", 0.5, sources="de"),
        shifted("base", "4", "hi", 0.6, block=4),
        shifted("rmu", "3", "hi", 0.1),
        row("base", "3", "accuracy_plain", "hi", 0.9),
        row("rmu", "3", "accuracy_plain", "hi", 0.8),
    )
    assert found["rmu", "K_base_shifted", "hi"] == pytest.approx(0.95)
    assert ("rmu", "K_base_plain", "hi") not in found
    assert ("base", "K_base_shifted", "hi") not in found


def test_other_rows_stay_as_they_are():
    rows = pd.DataFrame([row("base", "", "cka", "de-hi", 0.7, analysis="alignment")], columns=COLUMNS)
    assert with_knowledge(rows, SCORES).equals(rows)
    empty = pd.DataFrame(columns=COLUMNS)
    assert with_knowledge(empty, SCORES).equals(empty)
