"""The paper's claims, each tested on the results of a study: in every trained model, architecture, and over all.

The unit is the trained model: an architecture is judged by a t-interval over its trainings. Over architectures a claim
has a verdict only where all of them agree.
"""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from mute.evaluate.inference import holm, permuted_labels, welch_p_value
from mute.findings import effects, trainings
from mute.findings.effects import Effect, Measure
from mute.findings.results import Case, Number, Results
from mute.findings.verdicts import HALF, LEAK_MARGIN, MARGIN, MERIT_MARGIN, Line, Verdict

WORDS: dict[Verdict, str] = {True: "supports", False: "contradicts", None: "not decided"}
MIXED = "mixed"
# Permutations of the target's label, and their seed: p-values are the same in every run.
DRAWS, SEED = 2000, 1
# Two architectures differ, and a target is ahead, at this level.
LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, what is measured in one model, and the line that decides.

    protocols: where it is asked, the first of those that the study ran decides. permuted: whether it must also hold
    against the target's label permuted among the blocks of each model.
    """

    name: str
    statement: str
    test: str
    unit: str
    measure: Measure
    line: Line
    protocols: tuple[str, ...]
    permuted: bool = False

    @property
    def margin(self) -> str:
        also = f", and p ≤ {LEVEL} by permutation" if self.permuted else ""
        return f"90 % interval {self.line}{also}"


_FACTS, _LINES = "facts (all languages of one together)", "facts and lines"
_BOTH, _MATCHED, _PAPER = ("matched", "paper"), ("matched",), ("paper",)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "erased everywhere",
        "The chosen layer erases the forget set in every language that unlearning never read.",
        "K of the worst held-out language at the target",
        _FACTS,
        effects.score("target", "K", "worst"),
        Line(HALF, "below"),
        _BOTH,
    ),
    Claim(
        "no leak, same script",
        "Held-out languages in the sources' script forget as much as the source languages.",
        "K of held-out languages of the sources' script less K source, at the target",
        _FACTS,
        effects.score("target", "leak", "same_script"),
        Line(LEAK_MARGIN, "below"),
        _MATCHED,
    ),
    Claim(
        "no leak, other scripts",
        "So do held-out languages in other scripts.",
        "K of held-out languages of other scripts less K source, at the target",
        _FACTS,
        effects.score("target", "leak", "other_script"),
        Line(LEAK_MARGIN, "below"),
        _MATCHED,
    ),
    Claim(
        "kept everywhere",
        "The chosen layer keeps the other abilities of every held-out language.",
        "C of the worst held-out language at the target",
        _LINES,
        effects.score("target", "C", "worst"),
        Line(1 - MARGIN, "above"),
        _BOTH,
    ),
    Claim(
        "shallow wrecks",
        "A shallow edit wrecks the other abilities of a held-out language.",
        "C of the worst held-out language at the shallow block",
        _LINES,
        effects.score("shallow", "C", "worst"),
        Line(HALF, "below"),
        _BOTH,
    ),
    Claim(
        "shallow is worse",
        "A shallow edit keeps less of them than the chosen layer.",
        "C of the worst held-out language at the target less the same at the shallow block, paired",
        _LINES,
        effects.shallower,
        Line(MARGIN, "above"),
        _BOTH,
    ),
    Claim(
        "deep erases nothing",
        "At a fixed dose a deep edit erases nothing, not even in the source languages.",
        "K source at the deep block",
        _FACTS,
        effects.score("deep", "K", "source"),
        Line(1 - MARGIN, "above"),
        _PAPER,
    ),
    Claim(
        "target is ahead",
        "The chosen layer has a better trade-off than the other layers.",
        "merit C - K of the worst held-out language, at the target less the mean of the other blocks",
        _FACTS,
        effects.ahead,
        Line(MERIT_MARGIN, "above"),
        _MATCHED,
        permuted=True,
    ),
    Claim(
        "depth decides",
        "What a held-out language keeps hangs on the edited layer more than on the language.",
        "share of the variance of K(language, block) by block less that by language and script",
        "languages and blocks of one model, without an interval",
        effects.depth,
        Line(0.0, "above"),
        _MATCHED,
    ),
    Claim(
        "region works",
        "The layers of the region erase everywhere and keep the rest.",
        f"share of the region's blocks with K of the worst held-out language below {HALF:g} and C above {1 - MARGIN:g}",
        "blocks of one model, without an interval",
        effects.region,
        Line(HALF, "above"),
        _BOTH,
    ),
    Claim(
        "stays erased",
        "What the chosen layer erases does not come back by training on retain text.",
        "recovery of the worst held-out language after retrain_20 (K less what the oracle gains), at the target",
        _FACTS,
        effects.score("target", "recovery", "worst", "retrain_20"),
        Line(HALF, "below"),
        _MATCHED,
    ),
)

_ABOUT = ("name", "statement", "test", "unit", "margin")
_NUMBER = ("effect", "low", "high", "n")
_WHERE = ("model", "training_seed", "protocol", "algorithm", "block")


def of(results: Results, claim: Claim) -> Iterable[tuple[str, str, str, list[tuple[Case, Effect]]]]:
    """Every protocol, algorithm and architecture, with its trained models' effects."""
    for protocol in trainings.protocols(results):
        if protocol not in claim.protocols:
            continue
        cases = trainings.main_cases(results, protocol)
        for algorithm in trainings.swept(results, cases):
            for model, own in trainings.architectures(cases).items():
                own = [case for case in own if results.blocks(case, algorithm)]
                if own:
                    yield protocol, algorithm, model, [(case, _effect(results, claim, case, algorithm)) for case in own]


def _effect(results: Results, claim: Claim, case: Case, algorithm: str) -> Effect:
    return results.once(("claim", claim.name, case, algorithm), lambda: claim.measure(results, case, algorithm))


def table(results: Results, claims: Iterable[Claim] = CLAIMS) -> pd.DataFrame:
    """Every claim in every trained model: where, effect with the interval of that model alone, status, verdict.

    status: `ok`, or why the model has no effect, and so stands in no mean (statuses of cells, and those of `effects`).
    """
    rows = []
    for claim in claims:
        about = [getattr(claim, key) for key in _ABOUT]
        for protocol, algorithm, model, own in of(results, claim):
            for case, effect in own:
                # One model permutes no label: its interval alone cannot support what must hold against that, too.
                verdict = claim.line.judge(effect.number)
                verdict = None if claim.permuted and verdict else verdict
                where = (model, case.training_seed, protocol, algorithm, effect.block)
                rows.append((*about, *where, *effect.number[:4], WORDS[verdict], effect.status, effect.words))
    return pd.DataFrame(rows, columns=[*_ABOUT, *_WHERE, *_NUMBER, "verdict", "status", "sentence"])


def mean(claim: Claim, found: Iterable[Effect]) -> tuple[Number, float, Verdict]:
    """The mean effect over trained models of one architecture, its p-value by permutation (NaN: none), the verdict."""
    used = [effect for effect in found if effect.status == effects.OK]
    number, p = trainings.mean(effect.number for effect in used), float("nan")
    verdict = claim.line.judge(number)
    if claim.permuted and used:
        p = permuted_labels([effect.blocks for effect in used], [effect.chosen for effect in used], DRAWS, SEED)
        verdict = None if verdict and not p <= LEVEL else verdict
    return number, p, verdict


def means(results: Results, claims: Iterable[Claim] = CLAIMS) -> pd.DataFrame:
    """One row per claim, protocol, algorithm and architecture: the mean effect over its trainings, and the verdict.

    Of a single trained model the interval is that over its facts; `unit` says which. silent: how many models have no
    effect and why. values: the effects that the mean is over, in words that `differ` reads.
    """
    found = []
    for claim in claims:
        about = {key: getattr(claim, key) for key in _ABOUT}
        for protocol, algorithm, model, own in of(results, claim):
            said = [effect for _, effect in own]
            used = [effect.number.value for effect in said if effect.status == effects.OK]
            number, p, verdict = mean(claim, said)
            silent = Counter(effect.status for effect in said if effect.status != effects.OK)
            no_band = (
                not used
                and set(silent) <= {effects.NO_BAND, effects.BELOW_GATE, effects.NOTHING}
                and silent[effects.NO_BAND]
            )
            row = {**about, "protocol": protocol, "algorithm": algorithm, "model": model}
            row["unit"] = trainings.MODELS if len(used) != 1 else claim.unit
            row |= {"n": len(used), "effect": number.value, "low": number.low, "high": number.high, "p": p}
            row["silent"] = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in silent.items())
            row["verdict"] = "no band" if no_band else WORDS[verdict]
            row["values"] = " ".join(f"{value:.6g}" for value in used)
            found.append(row)
    columns = ("protocol", "algorithm", "model", "n", "effect", "low", "high", "p", "silent", "verdict", "values")
    return pd.DataFrame(found, columns=[*_ABOUT, *columns])


def agreed(verdicts: Iterable[str]) -> str:
    """The verdict over architectures: the one that all of them share, `mixed` where two contradict, else open."""
    found = set(verdicts)
    if {"supports", "contradicts"} <= found:
        return MIXED
    return found.pop() if len(found) == 1 else WORDS[None]


def differ(samples: dict[str, list[float]]) -> str:
    """Whether the architectures' effects differ: Welch's t-test of every pair, Holm's correction over the pairs."""
    samples = {name: values for name, values in samples.items() if values}
    pairs = list(itertools.combinations(samples, 2))
    p = holm(welch_p_value(samples[a], samples[b]) for a, b in pairs)
    apart = [f"{a} and {b}" for (a, b), value in zip(pairs, p) if value <= LEVEL]
    if apart:
        return f"apart: {', '.join(apart)}"
    tested = [value for value in p if value == value]
    return "not told apart" if tested else "too few trainings to tell whether they differ" if pairs else ""


def overall(averaged: pd.DataFrame) -> pd.DataFrame:
    """One row per claim and protocol: the verdict over architectures and algorithms, and one sentence on each.

    An algorithm's verdict is what all architectures share. The claim's is what all algorithms that decide share if they
    are at least half of all; `mixed` where two contradict each other, or one is mixed. decides: whether the protocol is
    the first of those that the study asked the claim under.
    """
    found, decided_by = [], {}
    for key, own in averaged.groupby(["name", "protocol"], sort=False):
        name, protocol = map(str, tuple(key))  # ty: ignore[invalid-argument-type]
        verdicts, parts = {}, []
        for algorithm, rows in own.groupby("algorithm", sort=False):
            verdicts[algorithm] = agreed(rows["verdict"])
            each = zip(rows["model"], zip(*(rows[key] for key in _NUMBER)), rows["silent"])
            words = [
                f"{model} {Number(*number) or 'not available'}{f' ({silent})' if silent else ''}"
                for model, number, silent in each
            ]
            said = differ({m: [float(v) for v in values.split()] for m, values in zip(rows["model"], rows["values"])})
            parts.append(
                f"{str(algorithm).replace('_', ' ')}: {', '.join(words)}{f'; {said}' if said else ''}; "
                f"{verdicts[algorithm]}"
            )
        counts = {word: sum(v == word for v in verdicts.values()) for word in (*WORDS.values(), MIXED, "no band")}
        row = {**own.iloc[0][[*_ABOUT, "protocol"]], "unit": own["unit"].mode().iloc[0], "n": int(own["n"].sum())}
        row |= {"architectures": own["model"].nunique(), **counts}
        row |= {"verdict": together(list(verdicts.values())), "sentence": ". ".join(parts) + "."}
        row["decides"] = decided_by.setdefault(name, protocol) == protocol
        found.append(row)
    columns = ("protocol", "n", "architectures", *WORDS.values(), MIXED, "no band", "verdict", "decides", "sentence")
    return pd.DataFrame(found, columns=[*_ABOUT, *columns])


def together(of_algorithms: list[str]) -> str:
    """The verdict over algorithms: what all that decide share if they are at least half of all, `mixed`, or open."""
    decided = [verdict for verdict in of_algorithms if verdict in ("supports", "contradicts")]
    if MIXED in of_algorithms or len(set(decided)) > 1:
        return MIXED
    if decided and 2 * len(decided) >= len(of_algorithms):
        return decided[0]
    return "no band" if set(of_algorithms) == {"no band"} else WORDS[None]


def variance(results: Results) -> pd.DataFrame:
    """Shares of the variance of K(language, block) by term: mean over the trainings of an architecture."""
    rows = []
    protocol = next(iter(trainings.protocols(results)), "")
    cases = trainings.passed(results, trainings.main_cases(results, protocol))
    for algorithm in trainings.swept(results, cases):
        for model, own in trainings.architectures(cases).items():
            found = [shares for case in own if (shares := effects.variance(results, case, algorithm))]
            for term in effects.TERMS if found else ():
                number = trainings.mean(Number(shares[term], n=1) for shares in found)
                rows.append((algorithm, model, term, *number[:4], trainings.MODELS))
    return pd.DataFrame(rows, columns=["algorithm", "model", "term", "share", "low", "high", "n", "unit"])


def declared(names: Iterable[str]) -> list[str]:
    """The study's primary outcomes, in words."""
    words = {"K": "knowledge", "C": "capability", "target": "lead of the target"}
    return [f"{words.get(name.split()[0], name.split()[0])} ({name})" for name in names]
