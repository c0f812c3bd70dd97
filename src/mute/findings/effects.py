"""What a claim or a primary outcome measures in one trained model: a number for an algorithm, or why there is none."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mute.bands import blocks_name, is_block
from mute.findings import by_language, trainings, verdicts
from mute.findings.results import MISSING, NO_ATTACK, NOTHING, Case, Number, Results
from mute.findings.verdicts import HALF, MARGIN

# Why a model has no number, beside the statuses of cells: it enters no mean, and is counted under this word.
NO_BAND, NO_BLOCK, NO_SCORE, BELOW_GATE = "no_band", "no_block", "no_score", "below_gate"
OK = "ok"


@dataclass(frozen=True)
class Effect:
    """A number of one model by one algorithm at a block, or the status for which there is none.

    chosen: where among `blocks` the target stands, with a value for each of them: what a permutation of labels reads.
    """

    block: str
    number: Number
    status: str = OK
    words: str = ""
    blocks: tuple[float, ...] = ()
    chosen: int = 0


Measure = Callable[[Results, Case, str], Effect]

# What each group is called in a sentence.
GROUPS = {
    "source": "source languages",
    "heldout": "held-out languages",
    "all": "held-out languages",
    "worst": "the worst held-out language",
    "same_script": "held-out languages of the sources' script",
    "other_script": "held-out languages of other scripts",
}


def measure(inner: Measure, *, banded: bool) -> Measure:
    """The same, but a model below its gate gives none, nor, where a band is asked about, one that has no band."""

    def of(results: Results, case: Case, algorithm: str) -> Effect:
        if results.below_gate(case):
            return Effect("none", MISSING, BELOW_GATE, "The model is below its gate.")
        if results.nothing_to_forget(case):
            return Effect("none", MISSING, NOTHING, "The model knows nothing to forget.")
        if banded and results.has_band(case) is False:
            return Effect("none", MISSING, NO_BAND, "The model has no intermediate band.")
        return inner(results, case, algorithm)

    return of


def _at(results: Results, case: Case, algorithm: str, view: str) -> tuple[str, Effect | None]:
    """The block of a view, and an effect instead where it cannot be judged."""
    block = trainings.target(results, case, algorithm, view)
    if not block:
        return "", Effect("none", MISSING, NO_BLOCK, f"No block is the {view} one.")
    if silent := results.silence(case, algorithm, block):
        said = "diverged, and so has no score" if silent == "diverged" else f"is of status {silent.replace('_', ' ')}"
        return block, Effect(block, MISSING, silent, f"The edit of block {block} {said}.")
    return block, None


def _scored(block: str, number: Number, words: str) -> Effect:
    return Effect(block, number, OK if number else NO_SCORE, words)


def score(view: str, metric: str, group: str, attack: str = NO_ATTACK) -> Measure:
    """A score of the block of a view."""

    def of(results: Results, case: Case, algorithm: str) -> Effect:
        block, instead = _at(results, case, algorithm, view)
        if instead:
            return instead
        number = results.number(case, algorithm, block, metric, group, attack=attack)
        after = f" after {attack}" if attack else ""
        return _scored(block, number, f"At block {block}, {metric} of {GROUPS[group]}{after} is {number}.")

    return measure(of, banded=view == "target")


def _shallower(results: Results, case: Case, algorithm: str) -> Effect:
    """C of the worst held-out language at the target less the same at the shallow block."""
    numbers = []
    for view in ("target", "shallow"):
        block, instead = _at(results, case, algorithm, view)
        if instead:
            return instead
        numbers.append((block, results.number(case, algorithm, block, "C", "worst")))
    (block, target), (other, shallow) = numbers
    if block == other:
        return Effect(block, MISSING, NO_BLOCK, f"Block {block} is both the target and the shallow one.")
    # From the worst to the best combination of the two intervals, so rather too wide.
    ends = (target.value - shallow.value, target.low - shallow.high, target.high - shallow.low)
    number = Number(*ends, min(target.n, shallow.n)) if target and shallow else MISSING
    return _scored(block, number, f"C is {target} at block {block} and {shallow} at block {other}.")


def _ahead(results: Results, case: Case, algorithm: str) -> Effect:
    """Merit of the target less the mean merit of the other blocks that vote."""
    block, instead = _at(results, case, algorithm, "target")
    if instead:
        return instead
    rank = verdicts.rank_target(results, case, algorithm)
    merits = {band: number for band, number in rank.merits if is_block(band)}
    if block not in merits or len(merits) < 3:
        return Effect(block, MISSING, NO_SCORE, "The target or all but one of the other blocks have no score.")
    own, others = merits.pop(block), list(merits.values())
    middle, low, high = (float(np.mean([getattr(n, end) for n in others])) for end in ("value", "low", "high"))
    lead = Number(own.value - middle, own.low - high, own.high - low, own.n)
    words = f"Merit {own} at block {block}, rank {rank.place} of {len(merits) + 1}; mean of the others {middle:.2f}."
    return Effect(block, lead, OK, words.replace("-", "−"), (own.value, *(n.value for n in others)))


def _region(results: Results, case: Case, algorithm: str) -> Effect:
    """Share of the region's blocks that erase in every held-out language and keep the capability of every one."""
    blocks = [str(block) for block in results.views(case, algorithm).get("region", [])]
    shown = []
    for block in blocks:
        if block in results.blocks(case, algorithm) and results.votes(case, algorithm, block):
            k, c = (results.number(case, algorithm, block, metric, "worst") for metric in ("K", "C"))
            if k and c:
                shown.append(k.value < HALF and c.value > 1 - MARGIN)
    if not blocks:
        return Effect("none", MISSING, NO_BLOCK, "The region is empty.")
    if not shown:
        return Effect("none", MISSING, NO_SCORE, "No block of the region has a score that counts.")
    words = f"The pattern shows at {sum(shown)} of {len(shown)} blocks of the region."
    # Blocks of one model are no sample: their share has no interval of its own.
    return Effect(blocks_name(blocks), Number(sum(shown) / len(shown), n=len(shown)), OK, words)


# Shares of variance

TERMS = ("block", "script", "language", "block × script", "rest")


def script(results: Results, code: str) -> str:
    """The script of a language; the code itself where nobody says."""
    return by_language.script(results, code) or code


def knowledge(results: Results, case: Case, algorithm: str) -> tuple[list[str], list[int], np.ndarray]:
    """Held-out languages, blocks that vote, and K [languages, blocks] of them.

    A language without a K at any block falls out, for there the base knows too little; then a block without one in
    every language.
    """
    _, heldout = results.languages(case)
    bands = [b for b in results.blocks(case, algorithm) if is_block(b) and results.votes(case, algorithm, b)]
    found = np.array(
        [[results.number(case, algorithm, band, "K", language=code).value for band in bands] for code in heldout], float
    ).reshape(len(heldout), len(bands))
    finite = np.isfinite(found)
    spoken = np.flatnonzero(finite.any(axis=1))
    whole = np.flatnonzero(finite[spoken].all(axis=0)) if len(spoken) else spoken
    return [heldout[i] for i in spoken], [int(bands[j]) for j in whole], found[np.ix_(spoken, whole)]


def shares(k: np.ndarray, scripts: list[str]) -> dict[str, float]:
    """Shares of the variance of K [languages, blocks] by TERMS: they sum to 1.

    `script` and `language` (within script) are the two parts of the languages' means, `block × script` is what the
    scripts' curves over blocks differ by, and `rest` what is left: languages within a script by block, and noise. NaN
    where nothing varies.
    """
    mean, rows, columns = k.mean(), k.mean(1, keepdims=True), k.mean(0, keepdims=True)
    member = np.array([[one == other for other in scripts] for one in scripts], float)
    within = member / member.sum(1, keepdims=True)  # averages over the languages of one script
    left = k - rows - columns + mean
    parts = {
        "block": np.broadcast_to(columns - mean, k.shape),
        "script": np.broadcast_to(within @ rows - mean, k.shape),
        "language": np.broadcast_to(rows - within @ rows, k.shape),
        "block × script": within @ left,
        "rest": left - within @ left,
    }
    total = float(((k - mean) ** 2).sum())
    return {name: float((part**2).sum()) / total if total else math.nan for name, part in parts.items()}


def variance(results: Results, case: Case, algorithm: str) -> dict[str, float]:
    """The shares of one model, {} where fewer than two languages or three blocks vote."""

    def make() -> dict[str, float]:
        codes, blocks, k = knowledge(results, case, algorithm)
        if len(codes) < 2 or len(blocks) < 3:
            return {}
        return shares(k, [script(results, code) for code in codes])

    return results.once(("variance", case, algorithm), make)


def _depth(results: Results, case: Case, algorithm: str) -> Effect:
    """Share of the variance of K over languages and blocks that blocks explain, less that of languages and scripts."""
    own = variance(results, case, algorithm)
    if not own:
        return Effect("all", MISSING, NO_SCORE, "Fewer than two languages or three blocks count.")
    languages = own["script"] + own["language"]
    words = f"Blocks explain {own['block']:.2f} of the variance of K, languages {languages:.2f}."
    return Effect("all", Number(own["block"] - languages, n=1), OK, words)


shallower, ahead = measure(_shallower, banded=True), measure(_ahead, banded=True)
region, depth = measure(_region, banded=True), measure(_depth, banded=False)
