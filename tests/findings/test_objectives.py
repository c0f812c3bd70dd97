"""Removal-like or suppression-like: on tables of models whose kind is known, and on such models themselves."""

import math
from itertools import product

import pandas as pd
import pytest
from pydantic import ValidationError

from made_up import ABOUT, KEYS, make_tables
from mute.config.sections import VerdictSection
from mute.findings import objectives, removal
from mute.findings.results import MISSING, Number, Results
from mute.plotting import robustness

CELL = {**KEYS, "algorithm": "rmu", "protocol": "matched", "seed": 0}
GROUPS = {"en": "source", "es": "source", "de": "heldout", "xx": "heldout"}
CHANCE, BASE = 0.125, (0.3, 0.9, 0.9)
# What a constructed model keeps of K in source and held-out languages, what the lens reads off each of its three
# blocks, and what relearning gives beyond the oracle.
MODELS = {
    "untouched": ((1.0, 1.0), BASE, 0.0),
    "guard": ((0.0, 0.0), BASE, 0.0),
    "output bias": ((0.0, 0.0), (0.3, 0.9, 0.1), 0.95),
    "last block refuses": ((0.0, 0.0), (0.3, 0.9, 0.0), 0.0),
    "hidden from the lens": ((0.0, 0.0), (0.1, 0.1, 0.1), 0.95),
    "oracle": ((0.0, 0.0), (0.1, 0.12, 0.13), 0.0),
    "half": ((0.5, 0.5), (0.3, 0.6, 0.6), 0.5),
    "sources alone": ((0.0, 0.95), (0.1, 0.12, 0.13), 0.0),
}
KINDS = {
    "untouched": ("no effect", "no effect"),
    "guard": ("suppression-like", "suppression-like"),
    "output bias": ("suppression-like", "suppression-like"),
    "last block refuses": ("suppression-like", "suppression-like"),
    "hidden from the lens": ("suppression-like", "suppression-like"),
    "oracle": ("removal-like", "removal-like"),
    "half": ("mixed", "mixed"),
    "sources alone": ("removal-like", "no effect"),
}


def study(kept, lens, regained, *, half=0.05, attack="relearn_20", n=200):
    """Tables of one edit of block 0 with these numbers, and with intervals of one half-width."""
    tables = make_tables({"0": (*kept, 1.0, math.nan)}, half=half)
    rows = [
        {**CELL, "band": "0", "status": "ok", "language": "", "group": group, "metric": "regained", "facts": "all"}
        | {"value": regained, "low": regained - half, "high": regained + half, "n": 60, "attack": attack}
        for group in ("source", "heldout")
        if attack
    ]
    tables["scores"] = pd.concat([tables["scores"], pd.DataFrame(rows)], ignore_index=True)
    tables["lens"] = pd.DataFrame(
        [
            {**CELL, "algorithm": name, "band": band, "language": code, "block": block, "hit": hit, "n": n}
            for name, band, hits in (("base", "", BASE), ("rmu", "0", lens))
            for code in GROUPS
            for block, hit in enumerate(hits or ())
        ]
    )
    return Results.of(tables, ABOUT)


def found(results):
    (case,) = results.cases
    own = [one for one in objectives.objectives(results, case) if one.algorithm == "rmu"]
    return {one.group: one for one in own}


@pytest.mark.parametrize("name", MODELS)
def test_constructed_models_have_the_verdict_that_they_were_made_for(name):
    """Each is the others' control: if the oracle were no removal, the thresholds would be wrong."""
    own = found(study(*MODELS[name]))
    assert (own["source"].kind, own["heldout"].kind) == KINDS[name]
    (kept_source, kept_heldout), _, _ = MODELS[name]
    if kept_source < 0.8:
        assert own["heldout"].reach == pytest.approx((1 - kept_heldout) / (1 - kept_source))
    else:
        assert math.isnan(own["heldout"].reach)
    assert math.isnan(own["source"].reach)


def test_a_drop_by_the_lens_is_of_the_best_block_and_of_what_was_above_chance():
    own = found(study((0.0, 0.0), (0.5, 0.2, 0.4), 0.0))["source"]
    assert own.inside.value == pytest.approx(1 - (0.5 - CHANCE) / (0.9 - CHANCE))
    assert own.inside.low < own.inside.value < own.inside.high
    # The attack that brings most back counts, and one that relearns nothing does not.
    results = study((0.0, 0.0), (0.1, 0.1, 0.1), 0.9, attack="quantize_4")
    assert found(results)["source"].attack == ""
    results.about["relearned"] = ["quantize_4"]
    assert found(results)["source"].kind == "suppression-like"


@pytest.mark.parametrize(
    ("lacking", "why"),
    [
        ({"attack": ""}, "nothing was relearned"),
        ({"lens": None}, "no lens was run"),
        ({"half": math.nan}, "the drop of K has no interval"),
        ({"half": 0.3}, "holds a threshold"),
        ({"n": 10}, "the interval of the drop by the lens holds a threshold"),
    ],
)
def test_without_an_ingredient_or_an_interval_that_could_change_it_nothing_is_decided(lacking, why):
    kept, lens, regained = MODELS["oracle"]
    results = study(kept, lacking.get("lens", lens), regained, **{k: v for k, v in lacking.items() if k != "lens"})
    own = found(results)["source"]
    assert own.kind == "not decided"
    assert why in own.why
    # What is missing changes nothing where the answers never fell, or are there inside.
    if "attack" in lacking:
        assert found(study(*MODELS["untouched"], attack=""))["source"].kind == "no effect"
        assert found(study(*MODELS["guard"], attack=""))["source"].kind == "suppression-like"


def test_a_reason_says_what_was_measured_and_told_nothing():
    """It says that no lens was run, or that nothing was relearned, only where that is so."""
    kept, _, _ = MODELS["oracle"]
    blind = study(kept, (0.1, 0.12, 0.13), 0.0)
    lens = blind.tables["lens"]
    lens.loc[lens["algorithm"] == "base", "hit"] = CHANCE
    assert found(blind)["source"].why == "the lens reads no more off the base than chance"
    # Of an edit that took nothing it is not defined what comes back.
    taken = study(kept, MODELS["oracle"][1], math.nan)
    scores = taken._scores[taken._scores["metric"] == "regained"]
    beside = [scores.assign(metric=metric, value=0.9) for metric in ("R", "R_oracle")]
    tables = {**taken.tables, "scores": pd.concat([taken._scores, *beside])}
    assert found(Results.of(tables, ABOUT))["source"].why == "too little is gone to come back"
    # Where K did not fall far enough, it hangs on no other drop.
    assert found(study((0.8, 0.8), (0.1,), math.nan))["source"].why == "the interval of the drop of K holds a threshold"


def test_a_verdict_is_that_of_all_that_intervals_hold():
    """Against a walk over the intervals in small steps."""
    at, ends = VerdictSection(), (0.0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0)
    drops = [Number((low + high) / 2, low, high) for low in ends for high in ends if low <= high]
    for drop in drops:
        walked = [drop.low + (drop.high - drop.low) * step / 1000 for step in range(1001)]
        levels = {"small" if x <= at.small else "large" if x >= at.large else "between" for x in walked}
        assert set(removal.held(drop, at)) == levels
    assert removal.held(MISSING, at) == removal.LEVELS
    for behaviour, inside, durable in product(drops[::3], repeat=3):
        one = removal.verdict(behaviour, inside, durable, at)
        if one == "removal-like":
            assert min(behaviour.low, inside.low, durable.low) >= at.large
        if one == "no effect":
            assert behaviour.high <= at.small


def test_thresholds_are_the_studys():
    results = study(*MODELS["half"])
    results.about["verdict"] = {"small": 0.6, "large": 0.9}
    assert found(results)["source"].kind == "no effect"
    with pytest.raises(ValidationError, match="small lies below its large"):
        VerdictSection(small=0.8, large=0.2)


def test_the_page_prints_both_verdicts_and_the_table_has_them():
    results = study(*MODELS["sources alone"])
    rows = objectives.table(results)
    own = rows[rows["algorithm"] == "rmu"].set_index("group")["verdict"].to_dict()
    assert own == {"source": "removal-like", "heldout": "no effect"}
    attacked = [
        {**CELL, "band": "0", "status": "ok", "language": "en", "group": "source", "facts": "all", "value": 0.0}
        | {"metric": metric, "low": -0.1, "high": 0.1, "n": 60, "attack": "relearn_20"}
        for metric in ("regained", "R", "R_base", "R_oracle")
    ]
    tables = {**results.tables, "scores": pd.concat([results._scores, pd.DataFrame(attacked)])}
    text = "".join(robustness.section(Results.of(tables, ABOUT)))
    assert "Removed or suppressed" in text
    assert "removal-like" in text
    assert "No measurement shows that nothing is left" in text
    assert objectives.table(Results.of({}, ABOUT)).empty


@pytest.mark.slow
def test_small_models_of_a_known_kind_have_it_too(corpus, tokenizer, encoder):
    """By their estimates alone: a base is no effect of itself, its oracle is removal, a bias on the logits is none."""
    import victims
    from mute.analyses import lens
    from mute.analyses.base import Case
    from mute.attacks import relearning, shard
    from mute.evaluate.subject import Subject
    from mute.models.treatment import Treatment

    made = victims.of(corpus, tokenizer, encoder)
    base, oracle = (victims.asked_of(model, encoder, corpus) for model in (made.base(0), made.oracle(0)))
    gold = sorted({token for answer in base.queries.golds for token in answer})

    class Turned(Treatment):
        """The answers' tokens are the likelier the less they were: what was first is last."""

        name = "turned"

        def logits(self, logits, where):
            turned = logits.clone()
            turned[:, gold] = -turned[:, gold]
            return turned

    def measured(asked, *treatments):
        subject = Subject(asked.model, treatments)
        asked.texts.restart()
        with subject.installed():
            rows = lens.Lens(lens.Settings()).run(subject, asked, Case(0, victims.BAND, ()))
            asked.texts.restart()
            option = victims.right(subject.ask(asked.queries).tokens())
        hits = rows[rows["measure"] == "hit"].groupby("block")["value"].mean().tolist()
        settings = relearning.Settings(steps=20, learning_rate=1e-3)
        prepared = shard.Prepared("relearning", relearning.Relearning, settings, 1, "")
        asked.texts.restart()
        table, _ = shard.attacked(asked, subject, victims.BAND, prepared, ("en", "es"))
        return option, hits, victims.right(table)

    of_base, of_oracle, of_guard = measured(base), measured(oracle), measured(base, Turned())
    floor, top = of_oracle[0], of_base[0]

    def kind(option, hits, back):
        k, after, never = ((x - floor) / (top - floor) for x in (option, back, of_oracle[2]))
        gained = (after - k) / (1 - k) - never if k < 0.95 else 0.0
        results = study((k, k), hits, gained, half=0.0, n=10**6)
        rows = results.tables["lens"]
        for block, hit in enumerate(of_base[1]):
            rows.loc[(rows["algorithm"] == "base") & (rows["block"] == block), "hit"] = hit
        return found(results)["source"]

    assert kind(*of_base).kind == "no effect"
    assert kind(*of_guard).kind == "suppression-like"
    assert kind(*of_oracle).kind == "removal-like"
