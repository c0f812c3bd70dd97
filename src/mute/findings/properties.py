"""What is known of a language before unlearning, held against K there: which of it goes with what is forgotten.

Shapes: L held-out languages, B blocks. Per architecture and algorithm K is the mean over trained models; the unit is
the language. A property is tested over blocks (mean of K) and at each block, by permuting languages; and beside what it
is confounded with, by permuting them within its groups. Where the languages are too few to show an effect of the size
that would matter (ENOUGH), nothing is decided by finding none.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from mute.bands import is_block, named_blocks
from mute.corpus import kin, romanised
from mute.evaluate.inference import holm
from mute.findings import by_language, permuting, predict, trainings, verdicts
from mute.findings.results import MISSING, Case, Number, Results

LEVEL = 0.05
FEWEST = 4  # languages: three have six orders, of which none is rare
YES, NO, OPEN = "goes with K", "does not go with K", "not decided"
DIFFERENCE, RANK = "difference", "rank correlation"
# An effect that matters: a fifth of what the base knew, or a quarter of the variance of ranks.
ENOUGH = {DIFFERENCE: 0.2, RANK: 0.5}
SCRIPT, FAMILY = "same_script", "same_family"
# Of each property what it says of a language, in the order of tables.
PROPERTIES = {
    SCRIPT: "written in a script of a source language",
    "same_branch": "of the branch of a source language",
    FAMILY: "of the family of a source language",
    "answer_overlap": "share of its answers' tokens that unlearning read",
    "prompt_overlap": "share of its prompts' tokens that unlearning read",
    "accuracy": "option accuracy before the edit",
    "option_share": "share of the right option in the probability of all, before the edit",
    "bits_per_character": "bits per character before the edit",
    "cka_unbiased": "unbiased CKA with the source languages",
    "retrieval": "retrieval of translations in the source languages",
    "offset": "how far its mean state lies from the source languages'",
}
_OF_TEXTS = tuple(PROPERTIES)[:5]
# What the model could do before the edit, by metric; and how its states lie, by measure of an analysis.
_OF_BASE = {"accuracy": "accuracy_option", "option_share": "accuracy_share", "bits_per_character": "bits_per_character"}
_OF_STATES = ("cka_unbiased", "retrieval", "offset")
OVER = ""  # the block of a row over all blocks
COLUMNS = ["model", "algorithm", "block", "property", "kind", "n", "models", "estimate", "low", "high", "p", "holm"]
COLUMNS += ["exact", "detectable", "verdict", "beside", "within", "within_p", "within_holm", "within_detectable"]
COLUMNS += ["within_verdict", "with_script", "unit"]
PAIR_COLUMNS = ["model", "algorithm", "block", "language", "romanised", "K", "K_romanised"]
PAIR_COLUMNS += ["difference", "low", "high", "n", "models", "unit", "verdict"]


@dataclass(frozen=True)
class Kept:
    """K of held-out languages [L, B] by block, a mean over trained models, and over blocks [L].

    bands: blocks, or other bands where no block was edited alone. A language without a K somewhere is in neither.
    """

    cases: list[Case]
    codes: list[str]
    bands: list[str]
    k: np.ndarray
    over: np.ndarray


def settings(results: Results) -> dict[str, list[Case]]:
    """The trained models that count, by architecture: those that pass their gates, in the main setting."""
    protocol = next(iter(trainings.protocols(results)), "")
    return trainings.architectures(trainings.passed(results, trainings.main_cases(results, protocol)))


def algorithms(results: Results, cases: Iterable[Case]) -> list[str]:
    """Algorithms that edited single blocks in half of the cases; where none did, all."""
    own = list(cases)
    return trainings.swept(results, own) or list(dict.fromkeys(a for case in own for a in results.algorithms(case)))


def kept(results: Results, cases: Sequence[Case], algorithm: str) -> Kept:
    """What held-out languages keep, of edits that vote."""
    found = [(case, *_knowledge(results, case, algorithm)) for case in cases]
    found = [(case, codes, bands, k) for case, codes, bands, k in found if codes and bands]
    if not found:
        return Kept([], [], [], np.zeros((0, 0)), np.zeros(0))
    codes = [code for code in found[0][1] if all(code in own for _, own, _, _ in found)]
    bands = list(dict.fromkeys(band for _, _, own, _ in found for band in own))
    bands.sort(key=lambda band: results.bands(found[0][0], algorithm).index(band) if band in bands else 0)
    rows = [(k[[own.index(code) for code in codes]], there) for _, own, there, k in found]
    by_band = [np.mean([k[:, there.index(band)] for k, there in rows if band in there], axis=0) for band in bands]
    over = np.mean([k.mean(1) for k, _ in rows], axis=0)
    return Kept([case for case, *_ in found], codes, bands, np.column_stack(by_band), over)


def _knowledge(results: Results, case: Case, algorithm: str) -> tuple[list[str], list[str], np.ndarray]:
    """Held-out languages, bands that vote, and K [L, B] of them: a language without any falls out, then such a band.

    Nor do languages count in which fewer facts are asked than the study needs of a language.
    """
    _, heldout = results.languages(case)
    bands = _bands(results, case, algorithm)
    heldout = [code for code in heldout if _enough(results, case, code)]

    def number(band: str, code: str) -> float:
        return results.number(case, algorithm, band, "K", language=code).value

    k = np.array([[number(band, code) for band in bands] for code in heldout], float).reshape(len(heldout), len(bands))
    spoken = np.flatnonzero(np.isfinite(k).any(axis=1))
    whole = np.flatnonzero(np.isfinite(k[spoken]).all(axis=0)) if len(spoken) else spoken
    return [heldout[i] for i in spoken], [bands[j] for j in whole], k[np.ix_(spoken, whole)]


def _bands(results: Results, case: Case, algorithm: str) -> list[str]:
    """Single blocks whose edits vote; other bands where there are none."""
    voting = [band for band in results.bands(case, algorithm) if results.votes(case, algorithm, band)]
    return [band for band in voting if is_block(band)] or voting


def _enough(results: Results, case: Case, *codes: str) -> bool:
    """Whether so many facts are asked in each of these held-out languages as a gated model needs of one."""
    gate = results.about.get("models", {}).get(case.model, {}).get("known") or {}
    if not gate:
        return True
    asked = (results.number(case, "base", "", "facts_asked", language=code) for code in codes)
    return all(number.value >= gate.get("least", 0) for number in asked)


# Properties


def values(results: Results, own: Kept) -> dict[str, np.ndarray]:
    """Each property of the languages: [L, 1], or [L, B] where it is of a block; NaN where it is not known.

    A property that no language has is left out.
    """
    texts = [_of_texts(results, own.cases[0], code) for code in own.codes]
    found = {name: np.array([[row[name]] for row in texts], float) for name in _OF_TEXTS}
    for name, metric in _OF_BASE.items():
        each = [_of_base(results, case, metric, own.codes) for case in own.cases]
        found[name] = np.mean(each, axis=0)[:, None]
    for name in _OF_STATES:
        found[name] = np.mean([_of_states(results, case, name, own) for case in own.cases], axis=0)
    return {name: x for name, x in found.items() if np.isfinite(x).any()}


def same_script(results: Results, own: Kept) -> dict[str, float]:
    """Of each language 1 if it is written in a script of a source language, 0 if not; NaN where nobody says."""
    return {code: _of_texts(results, own.cases[0], code)[SCRIPT] for code in own.codes}


def _of_texts(results: Results, case: Case, code: str) -> dict[str, float]:
    """What tables say of a language against the sources, and without them its script and kin, as far as known."""
    rows = results.tables["properties"]
    key = (case.model, case.sources, case.forget_set, code)
    mine = rows[(rows[["model", "sources", "forget_set", "language"]] == list(key)).all(axis=1)]
    if len(mine):
        return {name: float(mine[name].iloc[0]) for name in _OF_TEXTS}
    source, _ = results.languages(case)
    script = partial(by_language.script, results)
    said = {
        SCRIPT: (script(code), [script(other) for other in source]),
        FAMILY: (kin.kin(code)[0], [kin.kin(other)[0] for other in source]),
        "same_branch": (kin.kin(code)[1], [kin.kin(other)[1] for other in source]),
    }
    known = {name: float(one in others) for name, (one, others) in said.items() if one and all(others)}
    return {name: known.get(name, math.nan) for name in _OF_TEXTS}


def _of_base(results: Results, case: Case, metric: str, codes: Sequence[str]) -> list[float]:
    """A score of the model before the edit, by language; NaN of all where no table has it."""
    if not results.knows(metric):
        return [math.nan] * len(codes)
    known = by_language.by_language(results, case, "base", "", metric, codes)
    return [known.get(code, MISSING).value for code in codes]


def _of_states(results: Results, case: Case, name: str, own: Kept) -> np.ndarray:
    """Alignment with the sources [L, B]: at the edited blocks, or over all of a model that is edited as a whole."""
    blocks = [named_blocks(band) or range(results.depth(case)) for band in own.bands]
    every = sorted({block for part in blocks for block in part})
    by_block = predict.alignment(results, case, name, own.codes, every)
    return np.column_stack([by_block[:, [every.index(block) for block in part]].mean(1) for part in blocks])


# Tests


@dataclass
class _Test:
    """A property x and y of the languages that have it (`there`), groups to hold constant, and its row of the table."""

    name: str
    x: np.ndarray
    y: np.ndarray
    there: np.ndarray
    strata: np.ndarray | None
    row: dict = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return DIFFERENCE if permuting.is_two_valued(self.x) else RANK

    @property
    def whole(self) -> np.ndarray:
        """One stratum of all languages."""
        return np.zeros(len(self.x), int)

    @property
    def testable(self) -> bool:
        return len(self.x) >= FEWEST and permuting.varies(self.x, self.whole)


BESIDE = {name: FAMILY if name == SCRIPT else SCRIPT for name in PROPERTIES}


def table(results: Results, names: Iterable[str] | None = None) -> pd.DataFrame:
    """One row per architecture, algorithm, block ("" over all of them) and property (docs/tables.md).

    names: the algorithms that are asked; default: all of `algorithms`. Empty where no model has FEWEST held-out
    languages with a K.
    """
    parts = [
        _table_of(results, model, cases, algorithm)
        for model, cases in settings(results).items()
        for algorithm in algorithms(results, cases)
        if names is None or algorithm in set(names)
    ]
    return pd.DataFrame([row for part in parts for row in part], columns=COLUMNS)


def _table_of(results: Results, model: str, cases: Sequence[Case], algorithm: str) -> list[dict]:
    """The rows of one architecture and algorithm."""

    def make() -> list[dict]:
        own = kept(results, cases, algorithm)
        if len(own.codes) < FEWEST:
            return []
        who = {"model": model, "algorithm": algorithm, "models": len(own.cases), "unit": "languages"}
        # All blocks together say what one does.
        k = own.k if len(own.bands) > 1 else own.k[:, :0]
        found = tested(k, own.over, values(results, own))
        return [{**row, **who, "block": band} for band, part in zip([OVER, *own.bands], found) for row in part]

    return results.once(("properties", model, algorithm), make)


def tested(k: np.ndarray, over: np.ndarray, properties: Mapping[str, np.ndarray]) -> list[list[dict]]:
    """Rows by property, over blocks and then for each of B, of K [L, B] and its mean over blocks [L].

    properties: [L, 1], or [L, B] where they are of blocks. Holm's correction is over the properties of the test over
    blocks, and over properties and blocks together of the others, which decide nothing by finding nothing. A property
    that is the same in all languages is not tested, and makes the others no harder.
    """
    tests = [_tests(over, {name: x.mean(1) for name, x in properties.items()})]
    for block in range(k.shape[1]):
        at = {name: x[:, block if x.shape[1] > 1 else 0] for name, x in properties.items()}
        tests.append(_tests(k[:, block], at))
    _judge(tests[0], with_power=True)
    _judge([test for part in tests[1:] for test in part], with_power=False)
    return [[test.row for test in part] for part in tests]


def _tests(y: np.ndarray, properties: Mapping[str, np.ndarray]) -> list[_Test]:
    """What is found of each property against y [L]; verdicts follow, for they hang on how many are asked."""
    found = []
    for name, x in properties.items():
        there, beside = np.isfinite(x), properties.get(BESIDE[name])
        strata = None
        if beside is not None and np.isfinite(beside[there]).all():
            strata = beside[there].astype(int)
        test = _Test(name, x[there], y[None, there], there, strata)
        test.row = dict.fromkeys(COLUMNS, math.nan)
        test.row |= {"property": name, "kind": test.kind, "n": len(test.x), "exact": False, "beside": ""}
        if test.testable:
            effect = permuting.effects(test.x, test.y, test.whole)
            low, high = permuting.interval(test.x, test.y, 0)
            test.row |= {"estimate": effect.estimate[0], "p": effect.p[0], "exact": effect.exact}
            test.row |= {"low": low[0], "high": high[0], "with_script": _confounded(test, properties.get(SCRIPT))}
            test.row |= _beside(test)
        found.append(test)
    return found


def _beside(test: _Test) -> dict:
    """The effect within groups of languages that are alike in what a property is confounded with."""
    if test.strata is None or len(np.unique(test.strata)) < 2 or not permuting.varies(test.x, test.strata):
        return {}
    found = permuting.effects(test.x, test.y, test.strata)
    return {"beside": BESIDE[test.name], "within": found.estimate[0], "within_p": found.p[0]}


def _confounded(test: _Test, script: np.ndarray | None) -> float:
    """Correlation of a property, or of its ranks, with the script's."""
    known = script[test.there] if script is not None and test.name != SCRIPT else np.zeros(0)
    if not len(known) or not np.isfinite(known).all() or not permuting.varies(known, test.whole):
        return math.nan
    return float(np.corrcoef(test.x if test.kind == DIFFERENCE else permuting.ranks(test.x), known)[0, 1])


def _judge(tests: Sequence[_Test], *, with_power: bool) -> None:
    """Holm's p-values, what could have been seen, and verdicts, of tests that are corrected together."""
    for prefix in ("", "within_"):
        asked = [test for test in tests if not math.isnan(test.row[f"{prefix}p"])]
        corrected = holm(test.row[f"{prefix}p"] for test in asked)
        for test in tests:
            test.row[f"{prefix}verdict"] = ""
        for test, p in zip(asked, corrected):
            strata = test.strata if prefix and test.strata is not None else test.whole
            seen = _seen(test, strata, LEVEL / len(asked)) if with_power else math.nan
            test.row |= {f"{prefix}holm": float(p), f"{prefix}detectable": seen}
            test.row[f"{prefix}verdict"] = _verdict(float(p), seen, test.kind)


def _seen(test: _Test, strata: np.ndarray, level: float) -> float:
    """The smallest effect that would be found often enough, as the effect is measured; NaN where none would."""
    found = permuting.detectable(test.x, strata, level)
    if test.kind == DIFFERENCE:
        found *= float(permuting.spread(test.x, test.y, strata)[0])
    return found if math.isfinite(found) else math.nan


def _verdict(corrected: float, detectable: float, kind: str) -> str:
    if corrected <= LEVEL:
        return YES
    return NO if detectable <= ENOUGH[kind] else OPEN


# One language in two scripts


def pairs(results: Results) -> pd.DataFrame:
    """One row per architecture, algorithm, block ("" over all) and language that is held out in two scripts.

    difference: K of the romanisation less K in its own script, on the facts asked in both, with its interval over
    facts (resampled for both alike) of one trained model, or a t-interval over several. Over blocks it is the mean of
    the blocks' numbers and ends, so rather too wide.
    """
    rows = []
    for model, cases in settings(results).items():
        _, heldout = results.languages(cases[0])
        twice = [code for code in heldout if romanised.base(code) != code and romanised.base(code) in heldout]
        for algorithm in algorithms(results, cases):
            for code in twice:
                rows += _pair(results, model, cases, algorithm, code)
    return pd.DataFrame(rows, columns=PAIR_COLUMNS)


def _pair(results: Results, model: str, cases: Sequence[Case], algorithm: str, code: str) -> list[tuple]:
    own = romanised.base(code)
    found: dict[str, list[tuple[Number, Number, Number]]] = {}
    for case in cases:
        bands = _bands(results, case, algorithm)
        numbers_of = {band: _in_both(results, case, algorithm, band, own, code) for band in bands}
        each = [(band, numbers) for band, numbers in numbers_of.items() if all(numbers)]
        for band, numbers in each:
            found.setdefault(band, []).append(numbers)
        if each:
            mean = tuple(_mean_of([numbers[i] for _, numbers in each]) for i in range(3))
            found.setdefault(OVER, []).append(mean)  # ty: ignore[invalid-argument-type]
    rows = []
    for band in [OVER, *(band for band in found if band != OVER)] if found else []:
        k, k_romanised, gap = (trainings.mean(numbers[i] for numbers in found[band]) for i in range(3))
        unit, n = trainings.unit(numbers[2] for numbers in found[band]), min(numbers[2].n for numbers in found[band])
        where = (model, algorithm, band, own, code, k.value, k_romanised.value)
        verdict = _of_script(gap) if all(_enough(results, case, own, code) for case in cases) else OPEN
        rows.append((*where, *gap[:3], n, len(found[band]), unit, verdict))
    return rows


def _in_both(
    results: Results, case: Case, algorithm: str, band: str, own: str, code: str
) -> tuple[Number, Number, Number]:
    """K in a language's own script, romanised, and the difference, on the facts asked in both.

    Of tables that do not have these, K of either, and a difference without an interval.
    """

    def number(metric: str, language: str) -> Number:
        return results.number(case, algorithm, band, metric, language=language)

    gap = number("script_gap", code)
    if gap:
        return number("K_paired", own), number("K_paired", code), gap
    k, other = number("K", own), number("K", code)
    return k, other, Number(other.value - k.value, n=min(k.n, other.n)) if k and other else MISSING


def _mean_of(numbers: Sequence[Number]) -> Number:
    """Means of estimates and of their ends."""
    value, low, high = (float(np.mean(part)) for part in list(zip(*numbers))[:3])
    return Number(value, low, high, min(number.n for number in numbers))


def _of_script(gap: Number) -> str:
    """What a difference between two scripts of one language says of the script."""
    if verdicts.kept(gap, 0.0):
        return NO
    apart = abs(gap.value) >= verdicts.POINTS and (gap.low > 0 or gap.high < 0)
    return YES if apart else OPEN


# In words


def too_few(results: Results) -> str:
    """Why nothing can be said of languages, "" where something can."""
    found = settings(results)
    if not found:
        return "No trained model counts, so that nothing is asked of languages."
    if not any(results.languages(case)[1] for cases in found.values() for case in cases):
        return "This study holds no language out: unlearning read them all."
    most = max(
        (len(kept(results, cases, name).codes) for cases in found.values() for name in algorithms(results, cases)),
        default=0,
    )
    if most < FEWEST:
        languages = "language has" if most == 1 else "languages have"
        return (
            f"{most} held-out {languages} a K after an edit that counts. Properties of languages are tested from "
            f"{FEWEST} on: with fewer, no order of them is rare enough to mean anything."
        )
    return ""


def words(rows: pd.DataFrame) -> str:
    """What the tests of one architecture and algorithm found, in sentences: over blocks, then at single ones."""
    own, blocks = rows[rows["block"] == OVER], rows[rows["block"] != OVER]
    found = own[own["verdict"] == YES]
    said = [f"K goes with {_listed(found)}." if len(found) else "K is not shown to go with any property of a language."]
    for beside, part in own[own["within_verdict"] == YES].groupby("beside", sort=False):
        said.append(f"Among languages alike in {_word(beside)} it goes with {_listed(part, 'within', 'within_holm')}.")
    confounded = own[(own["verdict"] == YES) & (own["property"] != SCRIPT)]
    if len(unclear := confounded[confounded["within_verdict"].isin([OPEN, ""])]):
        said.append(f"Whether {_names(unclear)} counts beside script is not decided.")
    if len(by_script := confounded[confounded["within_verdict"] == NO]):
        said.append(f"Beside script there is no effect that matters of {_names(by_script)}.")
    if len(nothing := own[own["verdict"] == NO]):
        said.append(f"It does not go with {_names(nothing)}: an effect that matters would have been found.")
    if len(left := own[own["verdict"] == OPEN]):
        said.append(f"Not decided: {_open_words(left)}.")
    if len(same := own[own["verdict"] == ""]):
        said.append(f"Not tested, the same in all languages or known of fewer than {FEWEST}: {_names(same)}.")
    if len(blocks):
        at = [
            f"{_word_of(name)} at {', '.join(part['block'])}"
            for name, part in blocks[blocks["verdict"] == YES].groupby("property", sort=False)
        ]
        said.append(f"At single blocks it goes with {'; '.join(at)}." if at else "At no single block is it shown to.")
    return " ".join(said)


def _word(name: object) -> str:
    return str(name).replace("same_", "").replace("_", " ")


def _word_of(name: object) -> str:
    return str(name).replace("_", " ")


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(map(_word_of, rows["property"]))


def _listed(rows: pd.DataFrame, effect: str = "estimate", p: str = "holm") -> str:
    """Properties, each with its effect and its p-value by Holm."""
    parts = []
    for row in rows.to_dict("records"):
        number = Number(row[effect], *((row["low"], row["high"]) if effect == "estimate" else ()))
        shown = str(number) if effect == "estimate" else str(number).partition(" ")[0]
        unit = f"K {shown} where it is so" if row["kind"] == DIFFERENCE else f"rank correlation {shown}"
        parts.append(f"{_word_of(row['property'])} ({unit}, p {row[p]:.3f} by Holm)")
    return ", ".join(parts)


def _open_words(rows: pd.DataFrame) -> str:
    """Properties that are not decided, by what would have been found of each."""
    parts = []
    for kind, part in rows.groupby("kind", sort=False):
        seen = part[part["detectable"].notna()]
        if len(seen):
            ends = sorted({f"{value:.2f}" for value in seen["detectable"]})
            least = ends[0] if len(ends) == 1 else f"{ends[0]} to {ends[-1]}"
            parts.append(f"{_names(seen)}, of which a {kind} of {least} would mostly be found")
    if len(never := rows[rows["detectable"].isna()]):
        count = sorted(set(never["n"]))
        languages = f"{count[0]}" if len(count) == 1 else f"{count[0]} to {count[-1]}"
        parts.append(f"{_names(never)}, of which no effect of any size would mostly be found in {languages} languages")
    return "; ".join(parts)


def pair_words(rows: pd.DataFrame) -> list[str]:
    """A sentence for each language in two scripts, architecture and algorithm, over blocks."""
    said = []
    for row in rows[rows["block"] == OVER].to_dict("records"):
        gap = Number(row["difference"], row["low"], row["high"])
        where = (
            f"{row['model']}, {row['algorithm'].replace('_', ' ')}: {row['language']} keeps {row['K']:.2f} in its own "
            f"script and {row['K_romanised']:.2f} romanised, a difference of {gap}"
        )
        ends = {
            YES: "script goes with K where the language is the same",
            NO: "script alone changes nothing, within five points",
            OPEN: "whether script alone changes anything is not decided",
        }
        said.append(f"{where}: {ends[row['verdict']]}.".replace("-", "−"))
    return said
