"""Prediction of the best block from layer scores: leave-one-model-out regression, a baseline of depth, and a null.

y [M, L] is the merit C - K (held-out) of each trained model and block, x [M, L] a layer score. One model at a time is
left out: y of it is predicted by a quadratic in relative depth fitted on the others, without and with the score. Each
row of y is taken less its mean: where a curve lies says nothing of where its best block is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mute.findings import trainings, verdicts
from mute.findings.results import Results

SCORES = ("cka", "lrds", "separability", "region")


@dataclass(frozen=True)
class Prediction:
    """Held-out R^2 and regret (merit of the best block less that of the predicted best), means over models left out."""

    r2: float
    regret: float


def leave_one_out(y: np.ndarray, features: Callable[[int], np.ndarray]) -> Prediction:
    """Predict each model's row of y [M, L] from the others; `features(m)` are the columns [L, F] of model m."""
    y = y - y.mean(axis=1, keepdims=True)
    errors, spreads, regrets = [], [], []
    for left in range(len(y)):
        others = [m for m in range(len(y)) if m != left]
        design = np.vstack([features(m) for m in others])
        weights, *_ = np.linalg.lstsq(design, np.concatenate([y[m] for m in others]), rcond=None)
        guess = features(left) @ weights
        errors.append(((y[left] - guess) ** 2).sum())
        spreads.append((y[left] ** 2).sum())
        regrets.append(y[left].max() - y[left][int(guess.argmax())])
    return Prediction(1 - sum(errors) / max(sum(spreads), 1e-12), float(np.mean(regrets)))


def depth_features(blocks: int) -> np.ndarray:
    """1, d, d^2 [L, 3] of relative depth d from 0 to 1."""
    d = np.linspace(0, 1, blocks)
    return np.column_stack([np.ones(blocks), d, d**2])


def with_score(x: np.ndarray) -> Callable[[int], np.ndarray]:
    """Depth and a score, which is standardised within each model: models differ in its level."""
    spread = x.std(axis=1, keepdims=True)
    z = (x - x.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    return lambda m: np.column_stack([depth_features(x.shape[1]), z[m]])


def curves_like(x: np.ndarray) -> list[np.ndarray]:
    """Every circular shift of the curves and of their reversal, but the curves themselves: the null."""
    blocks = x.shape[1]
    shifts = [np.roll(x, k, axis=1) for k in range(1, blocks)]
    return shifts + [np.roll(x[:, ::-1], k, axis=1) for k in range(blocks)]


def table(results: Results) -> pd.DataFrame:
    """Per algorithm and score: gain in held-out R^2 and regret over the baseline, and the share of the null as good.

    Fewer than verdicts.MODELS_TO_PREDICT trained models decide nothing.
    """
    rows = []
    protocol = next(iter(trainings.protocols(results)), "")
    cases = trainings.passed(results, trainings.main_cases(results, protocol))
    for algorithm in trainings.swept(results, cases):
        merits, scores = [], []
        for case in cases:
            curve = results.curve(case)
            merit = [verdicts.merit(results, case, algorithm, str(b)).value for b in curve["block"]]
            if len(merit) and not np.isnan(merit).any():
                region = set(results.views(case, algorithm).get("region", []))
                inside = [float(block in region) for block in curve["block"]]
                merits.append(merit)
                known = {name: curve[name].tolist() for name in SCORES if name in curve}
                scores.append({**known, "region": inside})
        if len({len(merit) for merit in merits}) != 1:
            continue
        y = np.array(merits)
        depth = leave_one_out(y, lambda m, width=y.shape[1]: depth_features(width)) if len(y) > 1 else None
        for name in SCORES:
            if not all(name in own and not np.isnan(own[name]).any() for own in scores):
                continue
            rows.append((algorithm, name, len(y), trainings.MODELS, *_judge(y, scores, name, depth)))
    columns = ["algorithm", "score", "n", "unit", "r2_depth", "gain", "regret_depth", "regret", "null", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _judge(y: np.ndarray, scores: list[dict], name: str, depth: Prediction | None) -> tuple:
    """R² of depth, what the score adds, both regrets, the share of the null as good, and the verdict."""
    if depth is None:
        return (*[np.nan] * 5, "not decided")
    x = np.array([own[name] for own in scores])
    own = leave_one_out(y, with_score(x))
    null = [leave_one_out(y, with_score(other)).r2 for other in curves_like(x)]
    share = (1 + sum(r2 >= own.r2 for r2 in null)) / (1 + len(null))
    gain = own.r2 - depth.r2
    enough = len(y) >= verdicts.MODELS_TO_PREDICT
    # The null has two curves a block: of eight blocks it can say no more than one in sixteen.
    best = 1 / (1 + len(null))
    predicts = "predicts" if gain > 0 and share <= max(0.05, best) else "does not predict"
    return depth.r2, gain, depth.regret, own.regret, share, predicts if enough else "not decided"
