"""Recovery across languages as a matrix, and as fractions of what was lost; of these against a golden value."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mute.bands import KEYS
from mute.evaluate.metrics import score_attack
from mute.evaluate.panel import Panel
from mute.findings import recovery

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/attacks.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
CELL = dict(zip(KEYS, ("m", 0, "rmu", "1", "en", "source", "domain", "matched", 0)))
PAIRS = pd.DataFrame({"language": ["en", "en"], "other": ["es", "hi"], "overlap": [0.5, 0.25]})


def row(attack, language, value, metric="recovery"):
    own = {"attack": attack, "language": language, "group": "source", "metric": metric, "facts": "all"}
    return {**CELL, **own, "value": value, "low": value - 0.1, "high": value + 0.1, "n": 9}


def test_each_pair_of_languages_has_its_recovery_interval_and_overlap():
    rows = [row(f"in_{s}", t, 10 * i + j) for i, s in enumerate(("en", "hi")) for j, t in enumerate(("en", "es", ""))]
    rows += [row("mix", "en", 5.0), row("in_en", "en", 7.0, "R")]
    table = recovery.matrix(pd.DataFrame(rows), {"in_en": "en", "in_hi": "hi"}, PAIRS)
    found = table.set_index(["taught", "asked"])
    assert found["value"].to_dict() == {("en", "en"): 0, ("en", "es"): 1, ("hi", "en"): 10, ("hi", "es"): 11}
    assert found.loc["en", "en"]["overlap"] == 1
    assert found.loc["hi", "en"]["overlap"] == 0.25, "whichever of the two the table names first"
    assert np.isnan(found.loc["hi", "es"]["overlap"])
    assert (table["high"] - table["low"]).to_numpy() == pytest.approx(0.2)
    with pytest.raises(ValueError, match="teach the same language"):
        recovery.matrix(pd.DataFrame(rows), {"in_en": "en", "mix": "en"}, PAIRS)


def test_which_attacks_teach_one_language():
    made = {
        "in_en": {"method": "relearning", "language": "en", "steps": 5},
        "relearning": {"language": "es"},
        "relearn_all": {"method": "relearning", "language": "sources"},
        "mix": {"share": 0.5},
    }
    assert recovery.taught_in(made) == {"in_en": "en", "relearning": "es"}


def item_table(hits: int) -> pd.DataFrame:
    """Ten facts in one language, so many of them right."""
    option = np.arange(10) < hits
    columns = {"set": "facts", "item": [f"a{i}" for i in range(10)], "language": "en", "form": 0}
    numbers = {"strict": option, "option": option * 1.0, "logprob": -1.0, "tokens": 1, "chars": 4, "chance": 0.0}
    return pd.DataFrame({**columns, **numbers})


def test_recovery_fractions():
    """The golden accuracies as item tables through `score_attack`, and K of these as fractions."""
    golden = ENTRIES["recovery fractions"]["value"]
    plain, minus = (
        golden["(attacked - unlearned)/(original - unlearned)"],
        golden["minus that of the never-trained model"],
    )
    assert recovery.fraction(0.6, 0.3, 0.9) == pytest.approx(plain, rel=1e-9)
    assert recovery.fraction(0.6, 0.3, 0.9) - recovery.fraction(0.2, 0.1, 0.9) == pytest.approx(minus, rel=1e-9)
    base, oracle = item_table(9), item_table(1)
    facts = pd.DataFrame({"item": base["item"], "teach": "taught", "relation": "r", "spelling": "shared"})
    facts = facts.assign(world=0, domain="d", subject=base["item"], validation=False)
    roles = pd.Series("forget", index=base["item"])
    panel = Panel(base, facts, roles, source=["en"], heldout=[], headline_form=0, draws=20, seed=0)
    given = {
        "attacked": {"cell": item_table(6), "oracle": item_table(2)},
        "nothing": {"cell": item_table(3), "oracle": oracle},
    }
    scores = [score_attack(panel, own, oracle, "R").assign(attack=name, **CELL) for name, own in given.items()]
    table = recovery.fractions(pd.concat(scores, ignore_index=True), "attacked", "nothing")
    own = table[table["language"] == "en"].iloc[0]
    assert own["cell"] == pytest.approx(plain, rel=1e-9)
    assert own["difference"] == pytest.approx(minus, rel=1e-9)
    # The score `recovery` counts from the floor: (6 - 2) of the 8 that the base has above it.
    back = scores[0][(scores[0]["metric"] == "recovery") & (scores[0]["language"] == "en")]
    assert back["value"].item() == pytest.approx(0.5)


def test_nothing_lost_is_no_fraction():
    assert np.isnan(recovery.fraction(1.0, 1.0))
