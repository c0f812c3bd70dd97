"""What the model knew, on the page: a row a language with its own numbers, and absent from studies without a gate."""

import pandas as pd

from made_up import ABOUT, KEYS, LANGUAGES, THE_PAPER, make_tables
from mute.findings.results import Results
from mute.plotting import known, summary

NUMBERS = {"accuracy_option": 0.9, "guess": 0.4, "bits_per_character": 2.5}


def study() -> Results:
    tables, rows = make_tables(THE_PAPER), []
    base = {**KEYS, "algorithm": "base", "band": "", "retain": "", "protocol": "", "seed": 0, "status": "ok"}
    for group, codes in LANGUAGES.items():
        for i, code in enumerate(codes):
            for metric, value in NUMBERS.items():
                each = value + 0.01 * i
                facts = "" if metric == "bits_per_character" else "all"
                own = {"metric": metric, "facts": facts, "attack": "", "floor": "", "group": group, "language": code}
                rows.append({**base, **own, "value": each, "low": each, "high": each, "n": 70 + i})
    before = tables["scores"]
    before = before[~((before["algorithm"] == "base") & before["metric"].isin(NUMBERS))]
    return Results({**tables, "scores": pd.concat([before, pd.DataFrame(rows)], ignore_index=True)}, ABOUT)


def test_every_language_has_its_own_row():
    text = "".join(known.section(study()))
    for group, codes in LANGUAGES.items():
        for i, code in enumerate(codes):
            row = next(part for part in text.split("<tr>") if f">{code}<" in part)
            assert f"{0.9 + 0.01 * i:.2f}" in row, (group, row)
            assert f"{0.4 + 0.01 * i:.2f}" in row
            assert f">{70 + i}<" in row
            assert "0.50" in row  # the room
    assert all(words in text for _, words in known._WORDS)


def test_a_study_without_a_gate_has_no_such_section():
    plain = Results(make_tables(THE_PAPER), ABOUT)
    assert known.section(plain) == []
    assert known.TITLE not in "".join(summary._contents(plain))
    assert known.TITLE in summary._contents(study())
