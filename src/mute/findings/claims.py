"""The paper's claims, each tested on the results of a study: in every trained model, and over all of them.

A claim is tested at the block that a view names (target, shallow, deep), in the study's main setting, under each
protocol. In one trained model the interval is over facts; over trained models it is a t-interval, and that decides.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from mute.bands import blocks_name
from mute.evaluate.inference import wilson
from mute.findings import trainings, verdicts
from mute.findings.results import MISSING, Case, Number, Results
from mute.findings.verdicts import HALF, POINTS, Verdict, below, kept

WORDS = {True: "supports", False: "contradicts", None: "not decided"}


@dataclass(frozen=True)
class Tested:
    """What a claim came to in one model: the block it was tested at, the effect, and the verdict with its reason.

    counts: whether the effect enters the mean over trained models.
    """

    block: str
    effect: Number
    verdict: Verdict
    sentence: str
    counts: bool = True


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, what is measured, and how far from the line decides.

    judge: the claim in one model by one algorithm. line: what the mean effect over trained models is held against.
    """

    name: str
    statement: str
    test: str
    unit: str
    margin: str
    judge: Callable[[Results, Case, str], Tested]
    line: Callable[[Number], Verdict]


def table(results: Results) -> pd.DataFrame:
    """Every claim in every trained model: claim, statement, test, unit, n, margin, effect, low, high, verdict."""
    rows = []
    cases = trainings.main_cases(results)
    algorithms = {c.protocol: trainings.swept(results, trainings.main_cases(results, c.protocol)) for c in cases}
    for claim in CLAIMS:
        about = [getattr(claim, key) for key in _ABOUT]
        for case in cases:
            failed = results.below_gate(case)
            for algorithm in algorithms[case.protocol]:
                if not results.blocks(case, algorithm):
                    continue
                tested = claim.judge(results, case, algorithm)
                if results.diverged(case, algorithm, tested.block):
                    reason = f"The edit of block {tested.block} diverged, and so has no score."
                    tested = Tested(tested.block, MISSING, None, reason)
                if failed:
                    reason = "The model is below its gate."
                    tested = Tested(tested.block, tested.effect, None, reason, counts=False)
                where = (case.model, case.training_seed, case.protocol, algorithm, tested.block)
                verdict = WORDS[tested.verdict]
                rows.append((*about, *where, *tested.effect, verdict, tested.counts, tested.sentence))
    where = ("model", "training_seed", "protocol", "algorithm", "block")
    return pd.DataFrame(rows, columns=[*_ABOUT, *where, *_NUMBER, "verdict", "counts", "sentence"])


_ABOUT = ("name", "statement", "test", "unit", "margin")
_NUMBER = ("effect", "low", "high", "n")


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per claim, protocol and algorithm: the mean effect over trained models, and what it decides.

    Of a single trained model the interval is that over its facts; `unit` says which.
    """
    claims = {claim.name: claim for claim in CLAIMS}
    found = []
    for key, own in rows.groupby(["name", "protocol", "algorithm"], sort=False):
        name, protocol, algorithm = (str(part) for part in key)  # ty: ignore[not-iterable]
        used = own[own["counts"]]
        numbers = [number for row in zip(*(used[k] for k in _NUMBER)) if (number := Number(*row))]
        effect = trainings.mean(numbers)
        if len(numbers) == 1:
            verdict = str(used.loc[used["effect"].notna(), "verdict"].iloc[0])
        else:
            verdict = WORDS[claims[name].line(effect)]
        counted = own["verdict"].value_counts()
        unit = trainings.MODELS if len(numbers) != 1 else claims[name].unit
        counts = {word: int(counted.get(word, 0)) for word in WORDS.values()}
        row = {**own.iloc[0][list(_ABOUT)], "protocol": protocol, "algorithm": algorithm, "unit": unit}
        row |= {"n": len(numbers), "effect": effect.value, "low": effect.low, "high": effect.high}
        found.append({**row, **counts, "verdict": verdict})
    columns = ("protocol", "algorithm", "n", "effect", "low", "high", *WORDS.values(), "verdict")
    return pd.DataFrame(found, columns=[*_ABOUT, *columns])


def overall(averaged: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and protocol: each algorithm's mean effect, the verdict on all, and one sentence.

    The verdict is `supports` or `contradicts` only if all algorithms that decide agree and at least half of all decide;
    `mixed` where they disagree. effect: of the algorithms' means the median, with the widest of their ends.
    """
    found = []
    for _, own in averaged.groupby(["name", "protocol"], sort=False):
        counts = {verdict: int((own["verdict"] == verdict).sum()) for verdict in WORDS.values()}
        decided = [verdict for verdict in ("supports", "contradicts") if counts[verdict]]
        clear = len(decided) == 1 and counts[decided[0]] * 2 >= len(own)
        each = zip(own["algorithm"], zip(*(own[key] for key in _NUMBER)), own["verdict"])
        parts = [f"{name.replace('_', ' ')} {Number(*number)} {verdict}" for name, number, verdict in each]
        ends = {"effect": own["effect"].median(), "low": own["low"].min(), "high": own["high"].max()}
        row = {**own.iloc[0][[*_ABOUT, "protocol"]], "n": int(own["n"].max()), **ends, **counts}
        verdict = decided[0] if clear else "mixed" if len(decided) == 2 else "not decided"
        found.append({**row, "verdict": verdict, "sentence": "; ".join(parts) + "."})
    columns = ("protocol", "n", "effect", "low", "high", *WORDS.values(), "verdict", "sentence")
    return pd.DataFrame(found, columns=[*_ABOUT, *columns])


# What claims have in common


def _nil(number: Number) -> Verdict:
    return kept(number, 0.0)


_FACTS = "facts (all languages of one together)"
_LINE = f"{HALF} ± {POINTS}"
_SAME = f"90 % interval within ± {POINTS}"
# What each judgement of a score is called in a test, and its margin.
_JUDGED: dict[Callable[[Number], Verdict], tuple[str, str]] = {
    below: ("below one half", _LINE),
    kept: ("preserved", _SAME),
    _nil: ("is nil", _SAME),
}
# What each score is called in a test and in a sentence.
_SCORES = {
    "source": ("{} source", "{} of source languages"),
    "heldout": ("{} held-out", "{} of held-out languages"),
    "all": ("K held-out less K source", "K held-out less K source"),
}


def _score(name: str, statement: str, asked: str, judge: Callable[[Number], Verdict]) -> Claim:
    """A claim about one score at the block of a view. asked: view, metric and group."""
    view, metric, group = asked.split()
    score, words = (form.format(metric) for form in _SCORES[group])
    said, margin = _JUDGED[judge]

    def of(results: Results, case: Case, algorithm: str) -> Tested:
        block = trainings.target(results, case, algorithm, view)
        if not block:
            return Tested("none", MISSING, None, f"No block is the {view} one.")
        number = results.number(case, algorithm, block, metric, group)
        return Tested(block, number, judge(number), f"At block {block}, {words} is {number}.")

    test = f"{score} at the {view}{'' if view == 'target' else ' block'} {said}"
    return Claim(name, statement, test, "facts and lines" if metric == "C" else _FACTS, margin, of, judge)


def _not_suppressed(results: Results, case: Case, algorithm: str) -> Tested:
    block = trainings.target(results, case, algorithm)
    if not block:
        return Tested("none", MISSING, None, "No block is the target.")
    found = verdicts.find_reversal(results, case, algorithm, block)
    words = f"With block {block} skipped, K of held-out languages is {found.b} (base: {found.base}): {found.words}."
    # Where the base fails without the block, too, nothing can come back.
    blind = below(found.base) is True
    return Tested(block, found.b, verdicts.flipped(found.verdict), words, counts=not blind)


def _best(results: Results, case: Case, algorithm: str) -> Tested:
    rank = verdicts.rank_target(results, case, algorithm)
    if rank.place is None:
        return Tested(rank.target or "none", MISSING, None, "The target has no score.")
    merits = dict(rank.merits)
    own, best = merits[rank.target], merits[rank.best]
    lead = Number(best.value - own.value, best.low - own.high, best.high - own.low, min(best.n, own.n))
    words = f"Block {rank.target} ranks {rank.place} of {len(merits)}; block {rank.best} is the best, by {lead}."
    # To be the first is not enough where others may be as good.
    ahead = all(own.low > other.high and own.value - other.value >= POINTS for _, other in rank.merits[1:])
    verdict = False if rank.apart else True if rank.target == rank.best and ahead else None
    return Tested(rank.target, lead, verdict, words)


def _region(results: Results, case: Case, algorithm: str) -> Tested:
    """Share of the region's blocks at which the middle regime's pattern shows."""
    blocks = [str(b) for b in results.views(case, algorithm).get("region", [])]
    regime = next(r for r in verdicts.find_regimes(results, case, algorithm) if r.regime.name == "middle")
    judged = dict(regime.blocks)
    own = [judged[block] for block in blocks if block in judged]
    if not own:
        return Tested("none", MISSING, None, "The region is empty.")
    shown = sum(verdict is True for verdict in own)
    low, high = wilson(shown, len(own))
    lost = sum(results.diverged(case, algorithm, block) for block in blocks)
    words = f"The pattern shows at {shown} of {len(own)} blocks of the region, and fails at {own.count(False)}"
    words += f"; {lost} diverged." if lost else "."
    effect = Number(shown / len(own), float(low), float(high), len(own))
    return Tested(blocks_name(blocks), effect, verdicts.all_of(own), words)


def _lens(results: Results, case: Case, algorithm: str) -> Tested:
    """The largest share of facts that the lens still reads at any block from the target on, against the base."""
    block = trainings.target(results, case, algorithm)
    if not block:
        return Tested("none", MISSING, None, "No block is the target.")
    _, heldout = results.languages(case)
    own, base = (results.lens(case, name, block) for name in (algorithm, "base"))
    own, base = (rows[rows["language"].isin(heldout) & (rows["block"] >= int(block))] for rows in (own, base))
    own = own[own["hit"].notna()]
    if own.empty or base.empty:
        return Tested(block, MISSING, None, "The lens has no rows for it.")
    means, n = own.groupby("block")["hit"].mean(), int(own["n"].min())
    # Options that nobody knows are right now and then: half of what the base reads is the line.
    line = float(base.groupby("block")["hit"].mean().max()) / 2
    value, where = float(means.max()), int(means.idxmax())
    low, high = wilson(value * n, n)
    number = Number(value, float(low), float(high), n)
    words = f"Read best after block {where}: {number} of the facts; half of what the base reads is {line:.2f}."
    excess = Number(value - line, float(low) - line, float(high) - line, n)
    return Tested(block, excess, _gone(excess), words)


def _all_blocks(share: Number) -> Verdict:
    """Whether the pattern shows at every block of the region, to POINTS."""
    if not share or math.isnan(share.low):
        return None
    return True if share.low >= 1 - POINTS else False if share.high < 1 - POINTS else None


def _first(lead: Number) -> Verdict:
    """Whether no block is ahead of the target: within POINTS, or one is, by more."""
    if not lead or math.isnan(lead.low):
        return None
    return True if lead.high < POINTS else False if lead.low > POINTS else None


def _gone(excess: Number) -> Verdict:
    return below(excess, 0.0)


CLAIMS: tuple[Claim, ...] = (
    _score(
        "source erased", "The chosen layer erases the forget set in the source languages.", "target K source", below
    ),
    _score(
        "held-out erased",
        "The chosen layer erases it in languages that unlearning never read.",
        "target K heldout",
        below,
    ),
    _score("no leak", "Held-out languages forget as much as the source languages.", "target leak all", _nil),
    _score(
        "held-out kept", "The chosen layer keeps the other abilities of held-out languages.", "target C heldout", kept
    ),
    _score(
        "source kept", "The chosen layer keeps the other abilities of the source languages.", "target C source", kept
    ),
    _score(
        "shallow erases", "A shallow edit erases the forget set in held-out languages, too.", "shallow K heldout", below
    ),
    _score(
        "shallow wrecks", "A shallow edit wrecks the other abilities of held-out languages.", "shallow C heldout", below
    ),
    _score("deep inert in source", "A deep edit erases nothing in the source languages.", "deep K source", kept),
    _score("deep inert in held-out", "A deep edit erases nothing in held-out languages.", "deep K heldout", kept),
    Claim(
        "region works",
        "Every layer of the region erases everywhere and keeps the rest.",
        "share of the region's blocks where the pattern shows",
        "blocks",
        "all of them",
        _region,
        _all_blocks,
    ),
    Claim(
        "best layer",
        "The chosen layer has the best trade-off of all.",
        "merit C - K held-out of the best block less that of the target",
        _FACTS,
        f"{POINTS} and apart",
        _best,
        _first,
    ),
    Claim(
        "erased, not hidden",
        "What the chosen layer erases is gone, not suppressed.",
        "B held-out at the target below one half",
        _FACTS,
        _LINE,
        _not_suppressed,
        below,
    ),
    Claim(
        "nothing left inside",
        "The lens finds the knowledge at no later layer.",
        "largest lens hit of held-out languages from the target on, less half of the base's",
        "facts of one language",
        f"± {POINTS}",
        _lens,
        _gone,
    ),
)


def declared(names: Iterable[str]) -> list[str]:
    """The study's primary outcomes, in words."""
    words = {"K": "knowledge", "C": "capability", "B": "reversibility"}
    return [f"{words.get(name.split()[0], name.split()[0])} ({name})" for name in names]
