"""Tuning tries no strength in vain, and chooses as if it had tried all."""

import math
import random
from types import SimpleNamespace

import pytest

from mute.unlearn import tune
from mute.unlearn.run import Outcome

STRENGTHS = [0.1, 0.3, 1.0, 3.0]


def tuned(monkeypatch, outcomes):
    """Tune a model of 8 blocks whose edits come out as `outcomes` says, by block and strength; with what was tried."""
    tried = []

    def unlearn(bench, algorithm, band, *, protocol, seed, strength):
        tried.append((band.start, strength))
        return outcomes[band.start, strength]

    monkeypatch.setattr(tune, "unlearn", unlearn)
    texts = SimpleNamespace(block=0)
    bench = SimpleNamespace(forget=SimpleNamespace(texts=texts), matching=SimpleNamespace(target=0.05))
    algorithm = SimpleNamespace(settings=SimpleNamespace(strengths=STRENGTHS))
    return tune.tune(bench, algorithm, ["0"], 8, seed=1), tried


def merit(outcomes, strength):
    own = [o for (_, s), o in outcomes.items() if s == strength]
    excess = sum(max(o.knowledge - 0.05, 0) for o in own) / len(own)
    kept = sum(o.retained for o in own) / len(own)
    ok, lost = (sum(o.status == status for o in own) for status in ("ok", "diverged"))
    steps = sum(o.steps for o in own)
    return ok, -lost, -round(excess, 2), round(kept / tune.ABOUT) * tune.ABOUT, steps if lost else -steps


@pytest.mark.parametrize("seed", range(60))
def test_the_choice_is_that_of_trying_all(monkeypatch, seed):
    draw = random.Random(seed)
    outcomes = {
        (block, strength): Outcome(
            status=draw.choice(["ok", "not_reached", "diverged"]),
            steps=draw.randint(1, 60),
            diverged_at=None,
            knowledge=draw.random(),
            retained=draw.random(),
        )
        for block in (2, 6)
        for strength in STRENGTHS
    }
    result, tried = tuned(monkeypatch, outcomes)
    assert result["strength"] == max(STRENGTHS, key=lambda strength: merit(outcomes, strength))
    assert len(tried) == len(set(tried)) == len(result["trials"])


def test_what_cannot_win_is_not_tried_again(monkeypatch):
    def outcome(status):
        return Outcome(status=status, steps=9, diverged_at=None, knowledge=0.01, retained=1.0)

    weak = {(block, strength): outcome("not_reached") for block in (2, 6) for strength in STRENGTHS}
    result, tried = tuned(monkeypatch, {**weak, (2, 3.0): outcome("ok"), (6, 3.0): outcome("ok")})
    assert result["strength"] == 3.0
    assert tried == [(2, 0.1), (2, 0.3), (2, 1.0), (2, 3.0), (6, 3.0)]


def test_a_strength_that_diverges_is_worse_than_one_that_does_not_get_there(monkeypatch):
    """It has no knowledge left to speak of: read as none, it would be the best."""

    def outcome(status, steps, knowledge=math.nan):
        at = steps + 1 if status == "diverged" else None
        return Outcome(status=status, steps=steps, diverged_at=at, knowledge=knowledge, retained=knowledge)

    lost = {(block, s): outcome("diverged", round(60 / s)) for block in (2, 6) for s in STRENGTHS}
    idle = {(block, 0.1): outcome("not_reached", 60, 1.0) for block in (2, 6)}
    result, _ = tuned(monkeypatch, {**lost, **idle})
    assert result["strength"] == 0.1
    trials = [t for t in result["trials"] if t["status"] == "diverged"]
    assert trials
    assert all(t["diverged_at"] == t["steps"] + 1 and t["knowledge"] is None for t in trials)
    # Where all diverge, the one that went on longest.
    assert tuned(monkeypatch, lost)[0]["strength"] == 0.1
