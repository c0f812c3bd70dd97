"""Sentences about what a study cannot conclude: too few trainings, missed gates, wide intervals, missing protocols."""

import math
import statistics

from mute.findings import verdicts
from mute.findings.findings import cells_by_status, pair_name, pairs
from mute.findings.results import Number, Results
from mute.findings.verdicts import PROTOCOLS, REGIMES

TINY = 1024  # hidden size below which a model is too small to speak for those in use


def limits(results: Results) -> list[str]:
    """All that cannot be concluded, a sentence or two each."""
    count = sum(len(regime.conditions) for regime in REGIMES) * len(pairs(results))
    return [
        *_trainings(results),
        *_resolution(results),
        *_floors(results),
        *_gates(results),
        *_views(results),
        *_statuses(results),
        *_absent(results),
        f"The regimes rest on {count} intervals, judged one by one, with no correction for their number.",
        *_sizes(results),
    ]


def _trainings(results: Results) -> list[str]:
    models = {(case.model, case.training_seed) for case in results.all_cases}
    counts = [len({seed for model, seed in models if model == name}) for name in {model for model, _ in models}]
    found = []
    if counts and max(counts) == 1:
        found.append(
            "Every architecture was trained once. Intervals cover items only (facts and lines, resampled as clusters): "
            "none of them says what another training of the same architecture would give."
        )
    elif counts:
        words = "–".join(map(str, sorted({min(counts), max(counts)})))
        found.append(
            f"Trainings per architecture: {words}. Intervals of one model cover items only; claims that rest on "
            "several trainings have t-intervals over them, an architecture each: no interval speaks for another one."
        )
    if len(models) < verdicts.MODELS_TO_PREDICT:
        found.append(
            "Whether layer scores predict the best block, or alignment what a language keeps, is not decided: that "
            "takes at least "
            f"{verdicts.MODELS_TO_PREDICT} trained models, and this study has {len(models)}."
        )
    return found


def _resolution(results: Results) -> list[str]:
    """How small a difference one number can show."""
    swept = [(*pair, band) for pair in pairs(results) for band in results.blocks(*pair)]
    found = []
    for metric, what in (("K", "facts"), ("C", "items")):
        numbers = [number for edit in swept if (number := results.number(*edit, metric, "worst"))]
        widths = [(number.high - number.low) / 2 * 100 for number in numbers if not math.isnan(number.low)]
        if widths:
            n, half = min(number.n for number in numbers), statistics.median(widths)
            found.append(
                f"One {metric} of the worst held-out language is known to about ±{half:.0f} points "
                f"(from {n} {what}): smaller differences cannot be seen."
            )
    return found


def _floors(results: Results) -> list[str]:
    found = []
    chance = [number for case in results.cases if (number := results.number(case, "base", "", "chance"))]
    if chance:
        found.append(
            f"K rests on the choice among options, of which guessing hits {_percent(chance)}: a model that answers "
            "freely may show less than it knows, and one that guesses well more."
        )
    floorless = [results.name(case) for case in results.cases if results.floor(case) == "chance"]
    if floorless:
        found.append(f"No oracle for {', '.join(floorless)}: K = 0 is chance there, not a model that never knew.")
    guessed = [results.name(case) for case in results.cases if results.floor(case) == "guess"]
    if guessed:
        found.append(
            f"No oracle for {', '.join(guessed)}: K = 0 is what the untouched model answers when another subject is "
            "named, not a model that never knew."
        )
    return found


def _percent(numbers: list[Number]) -> str:
    values = sorted({f"{100 * number.value:.3g}" for number in numbers}, key=float)
    return f"{'–'.join(dict.fromkeys((values[0], values[-1])))} %"


def _gates(results: Results) -> list[str]:
    if not len(results.tables["gates"]):
        return ["It is not known whether the models pass any gate."]
    cases = {(case.model, case.training_seed): case for case in results.all_cases}
    several = len({seed for _, seed in cases}) > 1
    failed = [
        f"{case.model}, training seed {case.training_seed}" if several else results.name(case)
        for case in cases.values()
        if results.below_gate(case)
    ]
    return [f"Below their gate, and so without a verdict: {', '.join(failed)}."] if failed else []


def _views(results: Results) -> list[str]:
    views = {pair_name(results, *pair): results.views(*pair) for pair in pairs(results)}
    same = [name for name, own in views.items() if own.get("target") and own.get("target") == own.get("shallow")]
    words = "The chosen block is also the shallow one, so that the two regimes are judged at one block"
    return [f"{words}: {', '.join(same)}."] if same else []


def _statuses(results: Results) -> list[str]:
    counts = cells_by_status(results)
    lost = counts.pop("diverged", 0)
    others = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in counts.items() if n and status != "ok")
    words = "their numbers stand beside the others, and vote in no verdict, mean or rank"
    words += " of the matched protocol" if counts.get("not_reached") else ""
    found = [f"Of {sum(counts.values()) + lost} cells, {others}: {words}."] if others else []
    if lost:
        words = "they have no score, count neither as erased nor as kept, and stand in no mean"
        found.append(f"Of {sum(counts.values()) + lost} cells, {lost} diverged: {words}.")
    return found


def _absent(results: Results) -> list[str]:
    found = []
    absent = [name for name in PROTOCOLS if name not in {case.protocol for case in results.all_cases}]
    if absent:
        found.append(f"Protocols that were not run: {', '.join(absent)}. Nothing here says what they would show.")
    hidden = len(results.tables["cells"]) - results.shown_cells
    if hidden:
        words = "of other trainings and settings; the tables have them, and the paper's claims rest on them"
        found.append(f"The report's page and figures leave out {hidden} cells {words}.")
    if results.repeats:
        found.append(f"{results.repeats} cells repeat others with another unlearning seed; their mean is one number.")
    return found


def _sizes(results: Results) -> list[str]:
    models = {n: m for n, m in results.about.get("models", {}).items() if m.get("hidden", TINY) < TINY}
    if not models:
        return []
    sizes = "; ".join(f"{name}: {model['blocks']} blocks of size {model['hidden']}" for name, model in models.items())
    facts = " and their facts fictional" if results.about.get("source") == "world" else ""
    return [f"The models are tiny ({sizes}){facts}: no number here is that of a large model."]
