"""A table of results that the published paper does not have: one computed sentence each, and its control.

Every sentence says its unit: trained models (t-intervals), or facts of one model where a setting was run on one.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

from mute.findings import trainings, transfer, verdicts
from mute.findings.results import Case, Number, Results

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


def _first(results: Results) -> list[Case]:
    """The same, the first training of each model."""
    return list({case.model: case for case in reversed(_main(results))}.values())[::-1]


def _at_target(results: Results, algorithm: str, metric: str, group: str = "heldout") -> Number:
    return trainings.mean(trainings.over(results, _main(results), algorithm, "target", metric, group))


def _averaged(
    results: Results, cells: Iterable[tuple[Case, str, str]], metric: str, facts: str | None = None
) -> Number:
    """Mean over the cells of each model, then over models."""
    by_model: dict[tuple, list[float]] = {}
    for case, name, band in cells:
        number = results.number(case, name, band, metric, facts=facts)
        if number:
            by_model.setdefault((case.model, case.training_seed), []).append(number.value)
    return trainings.mean(Number(sum(own) / len(own), n=1) for own in by_model.values())


def _swept(results: Results, cases: Iterable[Case]) -> list[tuple[Case, str, str]]:
    """Every one-block edit after which the source languages have forgotten."""
    return [
        (case, name, band)
        for case in cases
        for name in results.algorithms(case)
        for band in results.blocks(case, name)
        if results.reached(case, name, band)
    ]


def _suppression(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    parts, controls, against = [], [], False
    for name in trainings.swept(results, _main(results)):
        b, base = (_at_target(results, name, metric) for metric in ("B", "B_base"))
        if b:
            parts.append(f"{name} {b}")
            controls.append(f"{name} {base}")
            against |= verdicts.below(b) is False
    if not parts:
        return None
    return Finding(
        "suppression",
        f"With the chosen block skipped, held-out languages know again (K): {'; '.join(parts)}.",
        f"The base with the same block skipped, which is the same model where one block was edited: "
        f"{'; '.join(controls)}.",
        trainings.MODELS,
        "that the chosen layer erases" if against else "",
    )


def _retraining(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    cells = [cell for cell in _swept(results, _first(results)) if results.number(*cell, "B_retrained")]
    if not cells:
        return None
    before, after = _averaged(results, cells, "K"), _averaged(results, cells, "B_retrained")
    base, oracle = (_averaged(results, cells, f"B_retrained_{name}") for name in ("base", "oracle"))
    rise = after.value - before.value
    return Finding(
        "retraining",
        f"A few steps of training on retain text alone bring K of held-out languages from {before} to {after}, "
        f"mean over {len(cells)} edits.",
        f"The same training leaves the base at {base} and the oracle, which never knew, at {oracle}.",
        trainings.MODELS,
        "that what is erased is gone" if rise > verdicts.POINTS and after.value - oracle.value > UNLIKE else "",
    )


def _leak(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    parts, against = [], False
    for name in trainings.swept(results, _main(results)):
        leak = _at_target(results, name, "leak", "all")
        if leak:
            parts.append(f"{name} {leak}")
            against |= leak.low > verdicts.POINTS
    taught, apart = (_averaged(results, _targets(results), "K", facts) for facts in ("taught", "transfer"))
    if not parts:
        return None
    return Finding(
        "leak",
        f"Where the source languages have forgotten, held-out languages know more (K held-out less K source, at "
        f"the chosen layer): {'; '.join(parts)}.",
        f"Facts taught in all languages keep {taught} there, facts taught in the source languages alone {apart}.",
        trainings.MODELS,
        "that erasure reaches languages that were not read" if against else "",
    )


def _targets(results: Results) -> list[tuple[Case, str, str]]:
    cases = _main(results)
    return [
        (case, name, block)
        for case in cases
        for name in trainings.swept(results, cases)
        if (block := trainings.target(results, case, name))
    ]


def _spelling(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    shared, native = (_averaged(results, _targets(results), "K", facts) for facts in ("shared", "native"))
    if not shared or not native:
        return None
    return Finding(
        "spelling",
        f"At the chosen layer held-out languages keep {native} of facts about subjects with a spelling of their own.",
        f"Of facts about subjects that are spelled alike in every language they keep {shared}.",
        trainings.MODELS,
    )


def _coverage(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    cases = trainings.coverage_cases(results)
    own = {case.retain: case for case in cases if case.forget_set == cases[0].forget_set}
    block = trainings.target(results, cases[0], "rmu", "shallow") if cases else ""
    if not {"source", "all"} <= set(own) or not block or results.below_gate(cases[0]):
        return None
    values = {retain: {m: results.number(case, "rmu", block, m) for m in ("K", "C")} for retain, case in own.items()}
    gain = values["all"]["C"].low > values["source"]["C"].high
    return Finding(
        "coverage",
        f"RMU at the shallow block {block} keeps C {values['all']['C']} of held-out languages when retain texts "
        f"cover all languages (K {values['all']['K']}).",
        f"With retain texts in the source languages alone it keeps C {values['source']['C']} "
        f"(K {values['source']['K']}).",
        trainings.FACTS,
        "that depth causes shallow collapse" if gain else "",
    )


def _filter(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    rows = []
    for case in results.all_cases:
        if "gate" not in results.algorithms(case) or results.below_gate(case):
            continue
        block = trainings.target(results, case, "rmu")
        apart = results.curve(case).get("separability")
        if not block or apart is None or apart.empty:
            continue
        gate = {m: results.number(case, "word_filter", "full", m) for m in ("K", "C")}
        edit = {m: results.number(case, "rmu", block, m) for m in ("K", "C")}
        rows.append((f"{case.model}, {case.forget_set}", float(apart.iloc[0]), gate, edit))
    if not rows:
        return None
    told = "; ".join(f"{who}: K {g['K']}, C {g['C']} (separability {a:.2f})" for who, a, g, _ in rows)
    edits = "; ".join(f"{who}: K {e['K']}, C {e['C']}" for who, _, _, e in rows)
    no_better = all(
        e["K"].value - g["K"].value > -verdicts.POINTS and g["C"].value - e["C"].value > -verdicts.POINTS
        for _, a, g, e in rows
        if a > SEPARABLE
    )
    return Finding(
        "filter",
        f"A word filter on embeddings that changes no weight does this to held-out languages: {told}.",
        f"RMU at its chosen layer: {edits}.",
        trainings.FACTS,
        "that such an edit is more than a filter of words" if no_better else "",
    )


def _matrix(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    matrix, terms = made["transfer"], made["kinship"]
    if matrix.empty:
        return None
    languages, _ = transfer.square(matrix)
    itself, others = transfer.over_languages(matrix)
    p = {row["term"]: row for row in terms.to_dict("records")}
    words = [
        f"{term} {p[term]['estimate']:+.2f} (p {p[term]['p']:.3f})".replace("-", "−")
        for term in ("same script", "same family", "overlap")
        if term in p
    ]
    explained = f" Over pairs of languages it goes with: {', '.join(words)}." if words else ""
    return Finding(
        "transfer matrix",
        f"Unlearned in one of {len(languages)} languages alone, the others keep {others} of their knowledge."
        f"{explained}",
        f"The language itself keeps {itself}; p-values by permuting the languages' labels.",
        "languages",
        "that erasure is language-agnostic" if others.low - itself.high > verdicts.POINTS else "",
    )


def _prediction(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    rows = made["predictions"]
    if rows.empty:
        return None
    scores = rows[rows["score"].isin(["cka", "lrds", "region"])]
    said = "; ".join(
        f"{r['algorithm']}, {r['score']}: {r['gain']:+.2f}".replace("-", "−") for r in scores.to_dict("records")
    )
    depth = "; ".join(
        f"{name} {own['r2_depth'].iloc[0]:.2f}".replace("-", "−") for name, own in rows.groupby("algorithm")
    )
    count = int((scores["verdict"] == "predicts").sum())
    decided = scores["verdict"] != "not decided"
    return Finding(
        "prediction",
        f"Beyond depth, layer scores predict the merit of editing a block in a model left out in {count} of "
        f"{len(scores)} cases (gain in held-out R²: {said}).",
        f"A quadratic in depth alone: R² {depth}; null: shifted and reversed curves.",
        trainings.MODELS,
        "that CKA, LRDS or their region say where to edit" if decided.any() and not count else "",
    )


def _answers(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    cells = [cell for cell in _targets(results) if cell[1] == "rmu"]
    edited = _averaged(results, cells, "answers_neither", "all")
    others = _averaged(results, cells, "answers_other_value", "all")
    # An oracle serves every training of its model: it counts once.
    oracles = [(case, "oracle", "") for case in _first(results)]
    oracle = [_averaged(results, oracles, f"answers_{kind}", "all") for kind in ("neither", "other_value")]
    if not edited or not oracle[0]:
        return None
    return Finding(
        "answers",
        f"After RMU at its chosen layer {edited} of the answers in held-out languages are no known word at all, "
        f"and {others} are another value in the language asked.",
        f"The oracle, which never knew, says no known word in {oracle[0]} and another value in {oracle[1]}.",
        trainings.MODELS,
        "that the model behaves as if it had never known" if edited.value - oracle[0].value > UNLIKE else "",
    )


def _order(results: Results, made: dict[str, pd.DataFrame]) -> Finding | None:
    case = trainings.order_case(results)
    block = trainings.target(results, case, "rmu") if case else ""
    if case is None or not block:
        return None
    mixed, apart = ({m: results.number(case, name, block, m) for m in ("K", "C")} for name in trainings.ORDERS)
    return Finding(
        "order",
        f"With the source languages one after the other RMU at block {block} leaves K {apart['K']} and C "
        f"{apart['C']} in held-out languages.",
        f"With mixed batches: K {mixed['K']} and C {mixed['C']}.",
        trainings.FACTS,
    )


_MAKERS: tuple[Callable[[Results, dict[str, pd.DataFrame]], Finding | None], ...] = (
    *(_suppression, _retraining, _leak, _spelling, _coverage),
    *(_filter, _matrix, _prediction, _answers, _order),
)
