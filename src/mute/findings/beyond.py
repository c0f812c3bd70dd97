"""A table of results that the published paper does not have: one computed sentence each, and its control.

Every sentence says its unit: trained models (t-intervals, an architecture each), or facts of one model where a setting
was run on one. What holds of the paper's claims is said where all architectures and algorithms agree.
"""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from mute.bands import KEYS
from mute.findings import by_language, lead, properties, trainings, transfer, verdicts
from mute.findings.results import NO_ATTACK, Case, Number, Results
from mute.findings.verdicts import HALF, LEAK_MARGIN, Line
from mute.store import artifacts

# Beyond this ROC area words alone tell the forget set.
SEPARABLE = 0.95
# What a share must exceed the oracle's by for the model to be called unlike one that never knew.
UNLIKE = 0.2


class Finding(NamedTuple):
    """One result: what was found, the control that it is held against, the unit, and what it contradicts ("")."""

    name: str
    found: str
    control: str
    unit: str
    against: str = ""


def table(results: Results, made: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per result that the study can give; `made` are the paper's other tables."""
    found = [finding for make in _MAKERS if (finding := make(results, made))]
    return pd.DataFrame(found, columns=list(Finding._fields))


def _main(results: Results) -> list[Case]:
    """Trained models that pass their gates, in the main setting at matched erasure."""
    return trainings.passed(results, trainings.main_cases(results, next(iter(trainings.protocols(results)), "")))


class _Asked(NamedTuple):
    """A score at the target, by algorithm and architecture."""

    numbers: dict[str, dict[str, Number]]

    def __str__(self) -> str:
        return "; ".join(f"{name.replace('_', ' ')}: {trainings.words(own)}" for name, own in self.numbers.items())

    def __bool__(self) -> bool:
        return any(self.numbers.values())

    def against(self, line: Line) -> bool:
        """Whether every algorithm and architecture lies on the other side of a line."""
        judged = [line.judge(number) for own in self.numbers.values() for number in own.values()]
        return bool(judged) and all(verdict is False for verdict in judged)


def _at_target(
    results: Results, metric: str, group: str, *, facts: str | None = None, attack: str = NO_ATTACK
) -> _Asked:
    cases = _main(results)
    return _Asked(
        {
            name: trainings.by_architecture(results, cases, name, "target", metric, group, facts=facts, attack=attack)
            for name in trainings.swept(results, cases)
        }
    )


def _language(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    found = lead.shares(made["variance"])
    if not found:
        return None
    parts = [f"{own.algorithm} on {own.model} {own.languages:.2f}, of which script {own.script:.2f}" for own in found]
    controls = [f"{own.algorithm} on {own.model} {own.block:.2f}" for own in found]
    claim = made["claims"]
    verdict = set(claim.loc[claim["name"] == "depth decides", "verdict"])
    return Finding(
        "language or block",
        f"Of the variance of what single held-out languages keep, languages explain {'; '.join(parts)}.",
        f"The edited block explains {'; '.join(controls)}.",
        trainings.MODELS,
        "that the edited layer decides what is forgotten" if verdict == {"contradicts"} else "",
    )


def _leak(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    worst, same, other = (_at_target(results, "leak", group) for group in ("worst", "same_script", "other_script"))
    mean = _at_target(results, "leak", "all")
    if not mean:
        return None
    return Finding(
        "leak",
        f"K of held-out languages less K source, at the chosen layer, in other scripts than the sources': {other}; in "
        f"the worst language: {worst}.",
        f"In the sources' own script: {same}; mean over held-out languages: {mean}.",
        trainings.MODELS,
        "that erasure reaches languages that were not read" if other.against(Line(LEAK_MARGIN, "below")) else "",
    )


def _recovery(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    doses = by_language.doses(results)
    asked = {attack: _at_target(results, "recovery", "worst", attack=attack) for attack in doses}
    asked = {attack: own for attack, own in asked.items() if own}
    if not asked:
        return None
    means = {attack: _at_target(results, "recovery", "heldout", attack=attack) for attack in asked}
    return Finding(
        "recovery",
        "Training on retain text alone brings back of the worst held-out language (K after it less what the oracle "
        f"gains by the same): {'. '.join(f'{attack}: {own}' for attack, own in asked.items())}.",
        f"Mean over held-out languages: {'. '.join(f'{attack}: {own}' for attack, own in means.items())}.",
        trainings.MODELS,
        "that what is erased is gone" if any(own.against(Line(HALF, "below")) for own in asked.values()) else "",
    )


def _paired(results: Results, algorithm: str, facts: tuple[str, str]) -> dict[str, Number]:
    """K of one kind of facts less K of another at the target, within each model, by architecture."""
    found = {}
    for model, own in trainings.architectures(_main(results)).items():
        gaps = []
        for case in own:
            block = trainings.target(results, case, algorithm)
            if block and results.votes(case, algorithm, block):
                first, second = (results.number(case, algorithm, block, "K", facts=kind) for kind in facts)
                if first and second:
                    gaps.append(Number(first.value - second.value, first.low - second.high, first.high - second.low))
        if gaps:
            found[model] = trainings.mean(gaps)
    return found


def _taught(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    names = trainings.swept(results, _main(results))
    gaps = _Asked({name: _paired(results, name, ("taught", "transfer")) for name in names})
    if not gaps:
        return None
    taught, apart = (_at_target(results, "K", "heldout", facts=facts) for facts in ("taught", "transfer"))
    worst = _at_target(results, "K", "worst")
    return Finding(
        "taught facts",
        "Facts taught in all languages keep more of held-out languages than facts taught in the source languages "
        f"alone, by (paired within each model): {gaps}.",
        f"Taught {taught}. Transfer {apart}. All facts, worst held-out language: {worst}.",
        trainings.MODELS,
        "that one deletion serves however a fact was learned" if gaps.against(Line(0.0, "below")) else "",
    )


def _spelling(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    names = trainings.swept(results, _main(results))
    gaps = _Asked({name: _paired(results, name, ("native", "shared")) for name in names})
    if not gaps:
        return None
    untold = _at_target(results, "K", "heldout", facts="untold")
    also = f" Never told with the fact in a source language: {untold}." if untold else ""
    shared, native = (_at_target(results, "K", "heldout", facts=facts) for facts in ("shared", "native"))
    return Finding(
        "spelling",
        "Facts about subjects with a spelling of their own keep more of held-out languages than facts about subjects "
        f"spelled alike, by (paired within each model): {gaps}.",
        f"Native {native}. Shared {shared}.{also} All facts, worst held-out language: "
        f"{_at_target(results, 'K', 'worst')}.",
        trainings.MODELS,
    )


def _filter(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    rows = []
    for case in results.all_cases:
        if "word_filter" not in results.algorithms(case) or results.below_gate(case):
            continue
        block = trainings.target(results, case, "rmu")
        apart = results.curve(case).get("separability")
        if not block or apart is None or apart.empty or not results.votes(case, "rmu", block):
            continue
        gate, edit = (
            {f"{metric} {group}": results.number(case, *cell, metric, group) for metric, group in _SIDES}
            for cell in (("word_filter", "full"), ("rmu", block))
        )
        rows.append((f"{case.model}, {case.forget_set}", float(apart.iloc[0]), gate, edit))
    if not rows:
        return None
    told = "; ".join(f"{who}: {_both(gate)} (separability {apart:.2f})" for who, apart, gate, _ in rows)
    edits = "; ".join(f"{who}: {_both(edit)}" for who, _, _, edit in rows)
    compared = [
        (edit["K worst"].value - gate["K worst"].value, gate["C worst"].value - edit["C worst"].value)
        for _, apart, gate, edit in rows
        if apart > SEPARABLE
    ]
    no_better = bool(compared) and all(min(pair) > -verdicts.POINTS for pair in compared)
    return Finding(
        "filter",
        f"A word filter on embeddings that changes no weight does this to held-out languages: {told}.",
        f"RMU at its chosen layer: {edits}.",
        trainings.FACTS,
        "that such an edit is more than a filter of words" if no_better else "",
    )


_SIDES = tuple((metric, group) for metric in ("K", "C") for group in ("worst", "heldout"))


def _both(numbers: dict[str, Number]) -> str:
    return ", ".join(
        f"{metric} {numbers[f'{metric} worst'] if numbers[f'{metric} worst'] else 'not available'} in the worst, "
        f"{numbers[f'{metric} heldout']} on average"
        for metric in ("K", "C")
    )


def _matrix(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    matrix, terms = made["transfer"], made["kinship"]
    if matrix.empty:
        return None
    languages, _ = transfer.square(matrix)
    itself, others = transfer.over_languages(matrix)
    p = {row["term"]: row for row in terms.to_dict("records")}
    words = [
        f"{term} {p[term]['estimate']:+.2f} (p {p[term]['p']:.3f}, by Holm {p[term]['holm']:.3f})".replace("-", "−")
        for term in ("same script", "same family", "overlap")
        if term in p
    ]
    explained = f" Over pairs of languages it goes with: {', '.join(words)}." if words else ""
    return Finding(
        "transfer matrix",
        f"Unlearned in one of {len(languages)} languages alone, the others keep {others} of their knowledge on "
        f"average, and at most {transfer.most_left(matrix)}.{explained}",
        f"The language itself keeps {itself}; p-values by permuting the languages' labels.",
        "languages",
        "that erasure is language-agnostic" if others.low - itself.high > verdicts.POINTS else "",
    )


def _prediction(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    rows = made["predictions"]
    parts, controls = [], []
    for question, words in (
        ("merit", "the merit of editing a block in a model left out, beyond depth"),
        ("knowledge", "what a held-out language keeps at a block, beyond language and block"),
    ):
        own = rows[rows["question"] == question]
        if own.empty:
            continue
        counts = own["verdict"].value_counts()
        said = "; ".join(
            f"{r['algorithm']}{'' if r['model'] == 'all' else ' on ' + r['model']}, {r['score']}: "
            + f"{r['gain']:+.2f}".replace("-", "−")
            for r in own.to_dict("records")
        )
        parts.append(
            f"Layer scores predict {words}, in {counts.get('predicts', 0)} of {len(own)} cases, and do not in "
            f"{counts.get('does not predict', 0)} (gain in held-out R²: {said})"
        )
        if own["power"].notna().any():
            controls.append(f"{question} {own['power'].min():.2f} to {own['power'].max():.2f}")
    if not parts:
        return None
    power = f"A planted score of correlation 0.3 is found in a share of {'; '.join(controls)}. " if controls else ""
    never = (rows["verdict"] == "does not predict").all()
    return Finding(
        "prediction",
        f"{'. '.join(parts)}.",
        f"{power}Where it would be found too seldom, or models are few, nothing is decided.",
        trainings.MODELS,
        "that CKA, LRDS or their region say where to edit" if never else "",
    )


def _properties(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    rows, twice = made["properties"], made["two_scripts"]
    own = rows[(rows["block"] == properties.OVER) & (rows["verdict"] != "")]
    if own.empty:
        return None
    pairs = own.groupby(["model", "algorithm"], sort=False).ngroups

    def counted(column: str, verdict: str) -> str:
        counts = own.loc[own[column] == verdict, "property"].value_counts()
        named = [name for name in properties.PROPERTIES if name in counts.index]
        return ", ".join(f"{name.replace('_', ' ')} ({counts[name]})" for name in named) or "none"

    said = " ".join(properties.pair_words(twice))
    return Finding(
        "properties of languages",
        f"What a held-out language keeps goes, in so many of {pairs} pairs of architecture and algorithm, with: "
        f"{counted('verdict', properties.YES)}. It does not go with: {counted('verdict', properties.NO)}. Not decided: "
        f"{counted('verdict', properties.OPEN)}.{' ' if said else ''}{said}",
        f"Among languages alike in script (of script: in family) with: {counted('within_verdict', properties.YES)}. By "
        "permuting languages, corrected by Holm; where an effect that matters would be found too seldom nothing is "
        "decided.",
        "languages",
    )


def _answers(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    cases = _main(results)
    kinds = ("answers_neither", "answers_other_value")
    neither, other = (_at_target(results, kind, "all", facts="all") for kind in kinds)
    # An oracle may serve every training of its model: each is asked of the first.
    first = {case.model: case for case in reversed(cases)}
    oracles = {
        kind: {model: results.number(case, "oracle", "", kind, "all", facts="all") for model, case in first.items()}
        for kind in kinds
    }
    if not neither or not any(oracles["answers_neither"].values()):
        return None
    confused = _at_target(results, "confusion", "worst") if results.knows("confusion") else None
    also = f" In another language than asked, worst language: {confused}." if confused else ""
    unlike = [
        number.value - oracles["answers_neither"][model].value > UNLIKE
        for own in neither.numbers.values()
        for model, number in own.items()
        if oracles["answers_neither"].get(model)
    ]
    return Finding(
        "answers",
        f"At the chosen layer answers that are no known word at all: {neither}. Another value in the language asked: "
        f"{other}.{also}",
        f"The oracle, which never knew: no known word {trainings.words(oracles['answers_neither'])}; another value "
        f"{trainings.words(oracles['answers_other_value'])}.",
        trainings.MODELS,
        "that the model behaves as if it had never known" if unlike and all(unlike) else "",
    )


# What a mean shift leaves, by the means it moves by, and by random directions as long.
_SHIFTS = ("K_shifted", "K_shifted_forget", "K_random_mean", "K_plain")


def _offset(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    rows = results.tables["profiles"]
    rows = rows[(rows["analysis"] == "mean_shift") & rows["measure"].isin(_SHIFTS)]
    cases = {(case.model, case.training_seed, case.setting): case for case in _main(results)}
    keys = [*KEYS, "block", "language"]
    wide = rows.pivot_table(index=keys, columns="measure", values="value").reset_index()
    if not {*_SHIFTS} <= set(wide):
        return None
    votes = []
    for row in artifacts.rows(wide):
        case = cases.get((row.model, row.training_seed, (row.sources, row.retain, row.forget_set, row.protocol)))
        votes.append(bool(case and results.votes(case, row.algorithm, row.band)))
    # Where an edit left nothing, there is nothing to explain.
    wide = wide[pd.Series(votes, index=wide.index, dtype=bool) & (wide["K_plain"] > HALF)]
    if wide.empty:
        return None
    fell = wide.assign(
        retain=wide["K_shifted"] - wide["K_random_mean"], forget=wide["K_shifted_forget"] - wide["K_random_mean"]
    )

    def told(column: str) -> str:
        parts = []
        for (algorithm, model), own in fell.groupby(["algorithm", "model"], sort=False):
            by_training = own.groupby("training_seed")[column].mean()
            number = trainings.mean(Number(value) for value in by_training)
            languages = own.groupby("language")[column].mean()
            most = f"{languages.min():+.2f}".replace("-", "−")
            parts.append(f"{algorithm} on {model} {number}, most in {languages.idxmin()} {most}")
        return "; ".join(parts)

    return Finding(
        "mean shift",
        "Where an edit leaves more than half of a held-out language's knowledge, moving its states to the sources' "
        f"mean at the edited block, by means over retain prompts, changes K by: {told('retain')}.",
        f"Less what random directions as long do. By means over forget prompts: {told('forget')}.",
        trainings.MODELS,
    )


def _controls(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    cases = trainings.passed(results, trainings.main_cases(results))
    names = [name for name in results.all_algorithms if results.intent(name) == "control"]
    asked = {name: _over_blocks(results, cases, name) for name in names}
    asked = {name: text for name, text in asked.items() if text}
    if not asked:
        return None
    blocks = {band for case in cases for name in names for band in results.blocks(case, name)}
    methods = [name for name in trainings.swept(results, _main(results)) if name not in names]
    beside = {name: _over_blocks(results, _main(results), name, blocks) for name in methods}
    return Finding(
        "controls",
        f"Controls leave, over single blocks: {_listed(asked)}.",
        f"The methods at the same blocks: {_listed(beside)}.",
        trainings.MODELS,
    )


def _listed(told: dict[str, str]) -> str:
    return ". ".join(f"{name.replace('_', ' ')}: {text}" for name, text in told.items() if text)


def _over_blocks(results: Results, cases: list[Case], algorithm: str, blocks: set[str] | None = None) -> str:
    """Three scores of an algorithm by architecture: means over blocks that vote, then over trainings."""
    parts = []
    for model, own in trainings.architectures(cases).items():
        said = []
        for metric, group, words in (
            ("K", "source", "K source"),
            ("K", "worst", "K worst"),
            ("C", "worst", "C worst"),
        ):
            values: dict[int, list[float]] = {}
            for case in own:
                bands = [band for band in results.blocks(case, algorithm) if blocks is None or band in blocks]
                voting = (band for band in bands if results.votes(case, algorithm, band))
                numbers = (results.number(case, algorithm, band, metric, group) for band in voting)
                values.setdefault(case.training_seed, []).extend(number.value for number in numbers if number)
            means = [sum(each) / len(each) for each in values.values() if each]
            if means:
                said.append(f"{words} {trainings.mean(Number(value) for value in means)}")
        if said:
            parts.append(f"{model} {', '.join(said)}")
    return "; ".join(parts)


_MAKERS: tuple[Callable[[Results, dict[str, pd.DataFrame]], Finding | None], ...] = (
    *(_language, _leak, _recovery, _taught, _spelling),
    *(_filter, _matrix, _prediction, _properties, _answers, _offset, _controls),
)
