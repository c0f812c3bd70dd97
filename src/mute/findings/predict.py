"""Prediction from layer scores: of the best block, and of what each held-out language keeps at each block.

Two questions, one rule. *Merit*: y [M, B] is the merit C - K (worst held-out language) of M trained models and B
blocks, x [M, B] a layer score; a quadratic in relative depth, fitted on the other models, is the baseline, and the null
is shifts and reversals of the curves, those of one architecture together. *Knowledge*: y and x are lists of M matrices
[languages, blocks], K and the alignment of a held-out language with the sources; the baseline are the effects of
language and block, which are taken from both, and the null permutes the languages' labels and shifts the curves, in
each model by itself.

A test that would not find a score of correlation PLANTED in POWER of all cases decides nothing by finding none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mute.findings import effects, trainings, verdicts
from mute.findings.results import Case, Results
from mute.store.artifacts import seed_of

SCORES = ("cka", "lrds", "separability", "region")
# Measures of profiles by block and pair of languages that are asked, where a study has them.
ALIGNMENT = ("cka_unbiased", "lrds", "retrieval", "retrieval_uncentred", "offset")
PLANTED, POWER, LEVEL = 0.3, 0.8, 0.05
PLANTINGS, DRAWS = 100, 200
OPEN, YES, NO = "not decided", "predicts", "does not predict"
_COLUMNS = ["question", "algorithm", "model", "score", "n", "unit", "baseline", "gain", "r"]
_COLUMNS += ["regret_depth", "regret", "null", "power", "verdict"]


def table(results: Results, seed: int = 1, plantings: int = PLANTINGS, draws: int = DRAWS) -> pd.DataFrame:
    """Per question, algorithm and score: gain over the baseline in models left out, the null's share, power, verdict.

    Merit is asked over all trained models, knowledge by architecture. baseline: R² of depth in models left out, or the
    share of the variance of K that language and block explain. Fewer than verdicts.MODELS_TO_PREDICT models decide
    nothing.
    """
    protocol = next(iter(trainings.protocols(results)), "")
    cases = trainings.passed(results, trainings.main_cases(results, protocol))
    rows = []
    for algorithm in trainings.swept(results, cases):
        generator = np.random.default_rng(seed_of(seed, "prediction", algorithm))
        rows += _of_merit(results, cases, algorithm, generator, plantings, draws)
        apart = trainings.architectures(cases)
        for model, own in apart.items():
            # A verdict on all architectures is to be wrong as seldom as one on one.
            level = LEVEL / len(apart)
            rows += _of_knowledge(results, own, algorithm, model, generator, (plantings, draws, level))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _verdict(found: bool, power: float, models: int) -> str:
    if models < verdicts.MODELS_TO_PREDICT:
        return OPEN
    return YES if found else NO if power >= POWER else OPEN


# Merit


@dataclass(frozen=True)
class Prediction:
    """Held-out R^2 and regret (merit of the best block less that of the predicted best), means over models left out."""

    r2: float
    regret: float


def leave_one_out(y: np.ndarray, features: Callable[[int], np.ndarray]) -> Prediction:
    """Predict each model's row of y [M, B] from the others; `features(m)` are the columns [B, F] of model m.

    Each row of y is taken less its mean: where a curve lies says nothing of where its best block is.
    """
    return _prediction(y, np.stack([features(m) for m in range(len(y))]))


def _prediction(y: np.ndarray, x: np.ndarray) -> Prediction:
    """The same for features [M, B, F]."""
    guess, centred_y = _guess(y, x), y - y.mean(axis=1, keepdims=True)
    reached = centred_y[np.arange(len(y)), guess.argmax(axis=1)]
    return Prediction(float(_r2(y, guess)), float((centred_y.max(axis=1) - reached).mean()))


def _guess(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Rows of y [M, B] predicted by features [..., M, B, F]: least squares on the others by summed normal equations."""
    y, turned = y - y.mean(axis=1, keepdims=True), np.swapaxes(x, -1, -2)
    squares, products = turned @ x, turned @ y[..., None]
    # So little of a ridge that only a score which is constant in the other models feels it: it takes no weight.
    ridge = 1e-9 * np.eye(x.shape[-1])
    others = squares.sum(-3, keepdims=True) - squares + ridge, products.sum(-3, keepdims=True) - products
    return (x @ np.linalg.solve(*others))[..., 0]


def _r2(y: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """R² of guesses [..., M, B] for y [M, B] less the mean of each row."""
    y = y - y.mean(axis=1, keepdims=True)
    return 1 - ((y - guess) ** 2).sum((-1, -2)) / max(float((y**2).sum()), 1e-12)


def depth_features(blocks: int) -> np.ndarray:
    """1, d, d^2 [B, 3] of relative depth d from 0 to 1."""
    d = np.linspace(0, 1, blocks)
    return np.column_stack([np.ones(blocks), d, d**2])


def with_score(x: np.ndarray) -> Callable[[int], np.ndarray]:
    """Depth and a score, which is standardised within each model: models differ in its level."""
    features = _features(x)
    return lambda m: features[m]


def _features(x: np.ndarray) -> np.ndarray:
    """The same of all models at once: [..., M, B, 4] of scores [..., M, B]."""
    depth = np.broadcast_to(depth_features(x.shape[-1]), (*x.shape, 3))
    return np.concatenate([depth, _standard(x)[..., None]], axis=-1)


def _standard(x: np.ndarray) -> np.ndarray:
    spread = x.std(axis=-1, keepdims=True)
    return (x - x.mean(axis=-1, keepdims=True)) / np.where(spread > 0, spread, 1)


def curves_like(x: np.ndarray) -> list[np.ndarray]:
    """Every circular shift of the curves and of their reversal, but the curves themselves: the null."""
    blocks = x.shape[1]
    shifts = [np.roll(x, k, axis=1) for k in range(1, blocks)]
    return shifts + [np.roll(x[:, ::-1], k, axis=1) for k in range(blocks)]


def null_like(x: np.ndarray, groups: Sequence[str], generator: np.random.Generator, draws: int) -> np.ndarray:
    """Curves [N, M, B] of the null: those of one architecture are shifted or reversed together, as one curve is.

    Of one architecture there are only so many (`curves_like`), of several `draws` random ones.
    """
    names = list(dict.fromkeys(groups))
    if len(names) == 1:
        return np.stack(curves_like(x))
    found = np.empty((draws, *x.shape))
    for name in names:
        members = [place for place, group in enumerate(groups) if group == name]
        own = np.stack([x[members], *curves_like(x[members])])
        found[:, members] = own[generator.integers(len(own), size=draws)]
    return found


def _found_in_merit(
    y: np.ndarray, x: np.ndarray, depth: Prediction, groups: Sequence[str], generator: np.random.Generator, draws: int
) -> tuple[bool, Prediction, float]:
    """Whether a score adds to depth beyond the null, with its prediction and the share of the null as good."""
    own, null = _prediction(y, _features(x)), null_like(x, groups, generator, draws)
    share = (1 + int((_r2(y, _guess(y, _features(null))) >= own.r2).sum())) / (1 + len(null))
    # The null of one architecture has two curves a block: of eight blocks it can say no more than one in sixteen.
    return own.r2 > depth.r2 and share <= max(LEVEL, 1 / (1 + len(null))), own, share


def _of_merit(
    results: Results, cases: list[Case], algorithm: str, generator: np.random.Generator, plantings: int, draws: int
) -> list[tuple]:
    merits, scores, groups = [], [], []
    for case in cases:
        curve = results.curve(case)
        blocks = [str(block) for block in curve["block"]]
        merit = [
            verdicts.merit(results, case, algorithm, block).value if results.votes(case, algorithm, block) else np.nan
            for block in blocks
        ]
        if merit and not np.isnan(merit).all():
            region = set(results.views(case, algorithm).get("region", []))
            inside = [float(int(block) in region) for block in blocks]
            merits.append(merit)
            groups.append(case.model)
            known = {name: curve[name].tolist() for name in SCORES if name in curve}
            scores.append({**known, "region": inside})
    if len({len(merit) for merit in merits}) != 1:
        return []
    y = _filled(np.array(merits))
    n = len(y)
    depth = _prediction(y, np.broadcast_to(depth_features(y.shape[1]), (*y.shape, 3))) if n > 1 else None
    enough, given = n >= verdicts.MODELS_TO_PREDICT, (groups, generator, draws)
    power = _power_of_merit(y, depth, plantings, *given) if depth and enough else np.nan
    rows = []
    for name in SCORES:
        if not all(name in own and not np.isnan(own[name]).any() for own in scores):
            continue
        key = ("merit", algorithm, "all", name, n, trainings.MODELS)
        if depth is None:
            rows.append((*key, *[np.nan] * 7, OPEN))
            continue
        found, own, share = _found_in_merit(y, np.array([each[name] for each in scores]), depth, *given)
        numbers = (depth.r2, own.r2 - depth.r2, np.nan, depth.regret, own.regret, share, power)
        rows.append((*key, *numbers, _verdict(found, power, n)))
    return rows


def _filled(y: np.ndarray) -> np.ndarray:
    """Blocks without a merit that counts take their model's mean: they then say nothing of where it is best."""
    means = np.nanmean(y, axis=1, keepdims=True)
    return np.where(np.isnan(y), means, y)


def _power_of_merit(
    y: np.ndarray,
    depth: Prediction,
    plantings: int,
    groups: Sequence[str],
    generator: np.random.Generator,
    draws: int,
) -> float:
    """How often a score is found whose correlation with what depth leaves of the merits is PLANTED."""
    design = depth_features(y.shape[1])
    left = y - y @ (design @ np.linalg.pinv(design)).T
    planted = (planted_like(left, generator) for _ in range(plantings))
    return float(np.mean([_found_in_merit(y, x, depth, groups, generator, draws)[0] for x in planted]))


def planted_like(y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Noise of y's shape that correlates with y (of mean 0) at PLANTED, exactly."""
    noise = generator.normal(size=y.shape)
    noise -= y * (noise * y).sum() / max(float((y * y).sum()), 1e-12)
    scaled = [part / max(float(np.sqrt((part**2).sum())), 1e-12) for part in (y, noise)]
    return PLANTED * scaled[0] + np.sqrt(1 - PLANTED**2) * scaled[1]


# Knowledge by language and block


def alignment(results: Results, case: Case, name: str, codes: Sequence[str], blocks: Sequence[int]) -> np.ndarray:
    """Mean over the source languages of a pairwise measure [languages, blocks]; NaN where a pair is missing."""
    known, (sources, _) = results.profile(case, name), results.languages(case)
    found = np.full((len(codes), len(blocks)), np.nan)
    for i, code in enumerate(codes):
        for j, block in enumerate(blocks):
            pairs = [known.get((block, f"{s}-{code}"), known.get((block, f"{code}-{s}"), np.nan)) for s in sources]
            found[i, j] = np.mean(pairs) if pairs else np.nan
    return found


def centred(x: np.ndarray) -> np.ndarray:
    """A matrix [languages, blocks] without the effects of language and block, of length 1 (of length 0 if it is 0)."""
    left = x - x.mean(0, keepdims=True) - x.mean(1, keepdims=True) + x.mean()
    length = float(np.sqrt((left**2).sum()))
    return left / length if length > 1e-12 else np.zeros_like(left)


def partial(y: Sequence[np.ndarray], x: Sequence[np.ndarray]) -> float:
    """Partial correlation of y and x given language and block, over models that count alike."""
    return float(np.mean([(centred(a) * centred(b)).sum() for a, b in zip(y, x)]))


def gain(y: Sequence[np.ndarray], x: Sequence[np.ndarray]) -> float:
    """Share of what language and block leave that a slope fitted on the other models explains in the one left out."""
    each = np.array([(centred(a) * centred(b)).sum() for a, b in zip(y, x)])
    if len(each) < 2:
        return np.nan
    slopes = (each.sum() - each) / (len(each) - 1)
    return float(np.mean(2 * slopes * each - slopes**2))


def shuffled(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """A matrix with its languages' labels permuted and all its curves shifted, or reversed and shifted, alike."""
    other = x[generator.permutation(len(x))]
    if generator.integers(2):
        other = other[:, ::-1]
    return np.roll(other, int(generator.integers(x.shape[1])), axis=1)


def _of_knowledge(
    results: Results,
    cases: list[Case],
    algorithm: str,
    model: str,
    generator: np.random.Generator,
    size: tuple[int, int, float],
) -> list[tuple]:
    known = [(case, *effects.knowledge(results, case, algorithm)) for case in cases]
    known = [(case, codes, blocks, k) for case, codes, blocks, k in known if len(codes) > 1 and len(blocks) > 2]
    rows = []
    for name in ALIGNMENT:
        pairs = [(k, alignment(results, case, name, codes, blocks)) for case, codes, blocks, k in known]
        pairs = [(k, x) for k, x in pairs if not np.isnan(x).any()]
        if not pairs:
            continue
        y, x = ([part[i] for part in pairs] for i in (0, 1))
        share, power, r = knowledge_test(y, x, generator, *size)
        added = gain(y, x)
        parts = [effects.shares(k, list(map(str, range(len(k))))) for k in y]
        baseline = float(np.mean([own["block"] + own["script"] for own in parts]))
        verdict = _verdict(share <= size[-1] and added > 0, power, len(y))
        key = ("knowledge", algorithm, model, name, len(y), trainings.MODELS)
        rows.append((*key, baseline, added, r, np.nan, np.nan, share, power, verdict))
    return rows


def knowledge_test(
    y: Sequence[np.ndarray],
    x: Sequence[np.ndarray],
    generator: np.random.Generator,
    plantings: int,
    draws: int,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """The share of the null with a partial correlation as large, the test's power, and the correlation itself.

    Power: how often the same test finds scores that are the measure's own curves with languages and blocks shuffled,
    mixed with what K leaves so that they correlate at PLANTED.
    """
    flat = np.concatenate([centred(k).ravel() for k in y]) / len(y)
    r = float(flat @ np.concatenate([centred(own).ravel() for own in x]))
    # Shuffling one side is shuffling the other: of y, so that all plantings share one null.
    null = np.stack([np.concatenate([centred(shuffled(k, generator)).ravel() for k in y]) for _ in range(draws)]) / len(
        y
    )
    own = np.concatenate([centred(part).ravel() for part in x])
    share = (1 + int((abs(null @ own) >= abs(r) - 1e-12).sum())) / (1 + draws)
    found = 0
    for _ in range(plantings):
        mixed = np.concatenate([_mixed(k, part, generator).ravel() for k, part in zip(y, x)])
        found += (1 + int((abs(null @ mixed) >= abs(flat @ mixed) - 1e-12).sum())) / (1 + draws) <= level
    return share, found / plantings if plantings else np.nan, r


def _mixed(k: np.ndarray, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    target, noise = centred(k), centred(shuffled(x, generator))
    noise = noise - target * (noise * target).sum()
    length = float(np.sqrt((noise**2).sum()))
    noise = noise / length if length > 1e-12 else noise
    return PLANTED * target + np.sqrt(1 - PLANTED**2) * noise
