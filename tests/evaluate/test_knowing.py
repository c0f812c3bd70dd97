"""What a model guesses that does not know the subject: who is named instead, and when the guess is the floor."""

import numpy as np
import pandas as pd
import pytest

from mute.corpus.sources import cldr
from mute.evaluate import knowing
from mute.evaluate.board import Board
from mute.evaluate.item_table import KEYS, items
from mute.evaluate.metrics import score_cell
from mute.evaluate.panel import Panel
from mute.unlearn import bench


@pytest.fixture(scope="module")
def corpus():
    return cldr.build(cldr.Settings(limit=24), ["en", "de"], 1)


def test_the_other_subject_has_the_relation_and_none_of_the_options(corpus):
    other = knowing.others(corpus)
    relation = corpus.facts.set_index("item")["relation"]
    texts = corpus.texts.set_index(["item", "language", "form"])
    assert len(other) > len(corpus.facts) / 2
    for item, one in other.items():
        assert (item != one, relation[item]) == (True, relation[one])
        for code in ("en", "de"):
            assert texts.loc[(one, code, 2), "answer"] not in texts.loc[(item, code, 2), "options"]
    assert other == knowing.others(corpus)


def tokens(hits: dict[str, bool], guesses: dict[str, float] | None = None) -> pd.DataFrame:
    """One-token answers of facts in en and de, with four options; `hits` says whether the right one is likeliest."""
    rows = [
        {"set": "facts", "item": item, "language": code, "form": 0, "position": 0, "logprob": -1.0, "rank": 0}
        | {"hit": hit, "options": [-1.0 if hit else -3.0, -2.0, -4.0, -5.0], "gold": 0, "chars": 3}
        for code in ("en", "de")
        for item, hit in hits.items()
    ]
    table = pd.DataFrame(rows)
    if guesses is None:
        return table
    known = [(item, code, 0, value) for item, value in guesses.items() for code in ("en", "de")]
    return knowing.told(table, pd.DataFrame(known, columns=["item", "language", "form", "guess"]))


def scored(guesses: dict[str, float] | None) -> pd.DataFrame:
    names = [f"f{i}" for i in range(8)]
    base = items(tokens(dict.fromkeys(names, True), guesses))
    cell = items(tokens({name: i < 6 for i, name in enumerate(names)}))
    facts = pd.DataFrame({"item": names, "validation": False, "relation": "r"})
    roles = pd.Series("forget", names)
    panel = Panel(base, facts, roles, source=["en"], heldout=["de"], headline_form=0, draws=20, seed=1)
    found = score_cell(Board(panel), cell, None)
    return found[(found["language"] == "de") & (found["facts"] == "all")].set_index("metric")


def test_the_guess_is_the_floor_where_the_base_was_asked():
    # Six of eight are left; of one who does not know the subject half are right.
    found = scored({f"f{i}": float(i % 2) for i in range(8)})
    assert found.loc["K", "floor"] == "guess"
    assert found.loc["K", "value"] == pytest.approx((6 / 8 - 1 / 2) / (1 - 1 / 2))
    assert found.loc["guess", "value"] == 0.5
    assert found.loc["chance", "value"] == 0.25


def test_without_it_the_floor_is_chance():
    found = scored(None)
    assert found.loc["K", "floor"] == "chance"
    assert found.loc["K", "value"] == pytest.approx((6 / 8 - 1 / 4) / (1 - 1 / 4))
    assert "guess" not in found.index


def test_a_fact_without_a_guess_has_its_chance_as_floor():
    # Three of four hit, and four more at one in four: the same eight facts on both sides of K.
    found = scored({f"f{i}": 1.0 * (i < 3) for i in range(4)})
    assert found.loc["guess", "value"] == (3 + 4 * 0.25) / 8
    assert found.loc["K", "value"] == pytest.approx((6 / 8 - 0.5) / (1 - 0.5))


@pytest.mark.parametrize(("guesses", "floor"), [(None, 0.25), ({"a": 1.0, "b": 1.0}, 1.0), ({"a": 1.0}, 0.625)])
def test_the_dose_has_the_same_floor(guesses, floor):
    probe = pd.DataFrame({"item": ["a", "b"], "language": "en", "form": 0, "options": [["x"] * 4] * 2})
    table = guesses and pd.DataFrame([(i, "en", 0, g) for i, g in guesses.items()], columns=[*KEYS[1:], "guess"])
    assert bench._floor(probe, None, table) == floor


def test_languages_with_few_facts_are_in_no_group():
    names = [f"f{i}" for i in range(8)]
    base = items(tokens(dict.fromkeys(names, True)))
    base = base[(base["language"] == "en") | base["item"].isin(names[:3])].reset_index(drop=True)
    facts = pd.DataFrame({"item": names, "validation": False})
    made = [
        Panel(
            base,
            facts,
            pd.Series("forget", names),
            source=["en"],
            heldout=["de"],
            headline_form=0,
            draws=20,
            seed=1,
            least=least,
        )
        for least in (3, 4)
    ]
    enough, few = ([list(map(int, group)) for group in panel.groups] for panel in made)
    assert enough == [[0], [1], [0, 1], [], []]
    assert few == [[0], [], [0, 1], [], []]
    score = made[1].facts_block(made[1].selected("forget")).mean(made[1].base["option"].to_numpy(float))
    assert np.isfinite(score.values[0, 1])
