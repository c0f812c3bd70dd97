"""Sentences about a study, computed from its tables: its answer, each model and algorithm, the count of each status."""

from collections.abc import Iterable

from mute.bands import KEYS, WHOLE, is_block
from mute.findings import claims, families, lead, verdicts
from mute.findings.results import Case, Results
from mute.findings.verdicts import PROTOCOLS, REGIMES, Finding

QUESTION = (
    "Is there a block whose edit, made with texts of the source languages only, erases the forget set in every "
    "language and keeps the rest?"
)
_UNREAD = "on a form of question that unlearning never read"
_ONE_FORM = "in the words that unlearning read in the source languages, for each question has one wording"
_HOW = (
    "K is knowledge of the forget set {form}: 1 as before, 0 never knew. C "
    "is capability on everything else, relative to the model before the edit. A mean over held-out languages describes "
    "none of them, so that the worst one is what is judged: where K is highest, or C lowest. Square brackets hold 95 % "
    "intervals. Erased or wrecked: less than half is left, by at least five points and by the whole interval. Kept: "
    "the 90 % interval (the 95 % one with its arms shortened to match) lies within five points of 1. Edits that "
    "changed nothing, destroyed the model, diverged, or under the matched protocol missed the dose are counted and "
    "shown; they stand in no verdict, mean or rank, nor do edits of a model that had nothing to forget."
)


def how(results: Results) -> str:
    """What the numbers are and how they are judged, in sentences."""
    return _HOW.format(form=_ONE_FORM if results.about.get("one_form") else _UNREAD)


def blocks_words(bands: Iterable[str]) -> str:
    """'blocks 0–3, 5', 'block 2' or 'no block'."""
    numbers = sorted(int(band) for band in bands if is_block(band))
    others = [band for band in bands if not is_block(band)]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs] + others
    if not parts:
        return "no block"
    return f"block{'s' if len(numbers) + len(others) > 1 else ''} {', '.join(parts)}"


def pairs(results: Results) -> list[tuple[Case, str]]:
    """Every case and algorithm that edited single blocks."""
    return [(case, name) for case in results.cases for name in results.algorithms(case) if results.blocks(case, name)]


def pair_name(results: Results, case: Case, algorithm: str) -> str:
    return f"{results.name(case)} {algorithm.replace('_', ' ')}"


# The answer


def answer(results: Results) -> list[tuple[str, str]]:
    """The study's answer, as heading and sentence."""
    found = [(case, name, verdicts.find_regimes(results, case, name)) for case, name in pairs(results)]
    if not found:
        return [("No answer", "No block was edited by itself in this study, so it says nothing about depth.")]
    protocols = sorted({case.protocol for case, *_ in found})
    by_protocol = {protocol: [entry for entry in found if entry[0].protocol == protocol] for protocol in protocols}
    lines = []
    for name, words in (
        ("Language or block", lead.language_or_block(claims.variance(results))),
        ("Intermediate band", lead.bands(results)),
    ):
        if words:
            lines.append((name, words))
    for protocol, own in by_protocol.items():
        which = f", {protocol} protocol" if len(protocols) > 1 else ""
        lines.append((f"Answer{which}", _at_any_block(results, own)))
    for protocol, own in by_protocol.items():
        for i, regime in enumerate(REGIMES):
            lines.append((f"{regime.name.capitalize()} regime, {protocol} protocol", _regime_words(results, own, i)))
    for protocol, words in PROTOCOLS.items():
        if protocol not in {case.protocol for case in results.all_cases}:
            lines.append((f"{protocol.capitalize()} protocol", f"Not run in this study ({words})."))
    lines.append(("Rank of the chosen block", _ranks(results)))
    for case in results.cases:
        if results.below_gate(case):
            lines.append((f"Gate of {results.name(case)}", f"Missed: {gate_words(results, case)}. It decides nothing."))
        if nothing := results.nothing_to_forget(case):
            lines.append((results.name(case), nothing))
    return lines


def gate_words(results: Results, case: Case, most: int = 3) -> str:
    """The first gates that a model misses, and how many more."""
    failed = results.below_gate(case)
    more = f", and {len(failed) - most} more" if len(failed) > most else ""
    return ", ".join(failed[:most]) + more


def _at_any_block(results: Results, found: list[tuple[Case, str, list[Finding]]]) -> str:
    """The question itself: whether the middle regime's pattern shows at any block at all."""
    place = next(i for i, regime in enumerate(REGIMES) if regime.view == "target")
    sorted_out: _Sorted = {True: [], False: [], None: []}
    for case, name, findings in found:
        finding = findings[place]
        shown, opened = finding.at(True), finding.at(None)
        verdict = True if shown else None if opened or not finding.blocks else False
        where = blocks_words(shown or opened) if verdict is not False and not finding.reason else ""
        sorted_out[verdict].append((results.name(case), name, where, _gate(results, case)))
    shows, opened, total = len(sorted_out[True]), len(sorted_out[None]), len(found)
    if shows:
        short = "Yes, in every pair" if shows == total else "In some pairs"
    else:
        short = "Not decided" if opened else "Not in this study"
    pairs_words = "pair" if total == 1 else "pairs"
    return f"{short}. Of {total} {pairs_words} of model and algorithm, such a block {_three_ways(sorted_out)}"


_Sorted = dict[verdicts.Verdict, list[tuple[str, str, str, str]]]


def _gate(results: Results, case: Case) -> str:
    return "below its gate" if results.below_gate(case) else "nothing to forget" * bool(results.nothing_to_forget(case))


def _regime_words(results: Results, found: list[tuple[Case, str, list[Finding]]], place: int) -> str:
    sorted_out: _Sorted = {True: [], False: [], None: []}
    for case, name, findings in found:
        finding = findings[place]
        where = finding.reason or f"block {finding.block}"
        sorted_out[finding.verdict].append((results.name(case), name, where, _gate(results, case)))
    words = REGIMES[place].words
    return f"{words[0].upper()}{words[1:]}: {_three_ways(sorted_out)}"


def _three_ways(sorted_out: _Sorted) -> str:
    """How many pairs are of each verdict, and which. What shows is always said, the rest where there is any."""
    total = sum(map(len, sorted_out.values()))
    parts = []
    for verdict, entries in sorted_out.items():
        if not entries and verdict is not True:
            continue
        by_model: dict[str, dict[str, list[str]]] = {}
        for model, algorithm, where, gate in entries:
            by_model.setdefault(model, {}).setdefault(gate or where, []).append("" if gate else algorithm)
        listed = "; ".join(
            f"{model} ({', '.join(word for where, names in own.items() for word in _named(names, where))})"
            for model, own in by_model.items()
        )
        parts.append(f"{verdicts.say(verdict)} in {len(entries)} of {total}{f': {listed}' if listed else ''}")
    return ". ".join(part[0].upper() + part[1:] if i else part for i, part in enumerate(parts)) + "."


def _named(algorithms: list[str], where: str) -> list[str]:
    """Each algorithm with where; of more than figures show side by side how many, where the same is said of all."""
    if len(algorithms) > families.MOST and where and any(algorithms):
        return [f"{len(algorithms)} algorithms {where}"]
    return list(dict.fromkeys(f"{name.replace('_', ' ')} {where}".strip() for name in algorithms))


def _judged(results: Results) -> list[tuple[Case, str]]:
    return [
        (case, name)
        for case, name in pairs(results)
        if not (results.below_gate(case) or results.nothing_to_forget(case))
    ]


def _ranks(results: Results) -> str:
    ranks = [(pair, verdicts.rank_target(results, *pair)) for pair in _judged(results)]
    words = [f"{pair_name(results, *pair)} {rank_words(rank)}" for pair, rank in ranks if rank.place is not None]
    without = [pair_name(results, *pair) for pair, rank in ranks if rank.place is None]
    if len(without) > families.MOST:
        without = [f"{len(without)} pairs of model and algorithm"]
    without = [f"{name} {NO_RANK}" for name in without]
    listed = "; ".join(words + without) or "none to rank"
    return f"Among all blocks that count, by merit = C − K of the worst held-out language: {listed}."


NO_RANK = "no rank (no chosen block with both numbers)"


def rank_words(rank: verdicts.Rank) -> str:
    if rank.place is None:
        return NO_RANK
    apart = {True: "told apart", None: "not told apart", False: "the same block"}[rank.apart]
    best = "" if rank.place == 1 else f", the best is block {rank.best}: {apart}"
    return f"{rank.place} of {len(rank.merits)} (block {rank.target}{best})"


# Each model


def landmarks(results: Results, case: Case, algorithm: str) -> list[tuple[str, str]]:
    """The bands worth a row of their own, with what they are: target, best, shallow, deep, whole model."""
    bands = results.bands(case, algorithm)
    views, rank = results.views(case, algorithm), verdicts.rank_target(results, case, algorithm)
    wanted = [(view, [str(block) for block in views.get(view, [])][:1]) for view in ("target", "shallow", "deep")]
    wanted.insert(1, ("best", [rank.best] if rank.best else []))
    labels: dict[str, list[str]] = {}
    for label, names in wanted:
        for band in names:
            if band in bands:
                labels.setdefault(band, []).append(label)
    rows = [(", ".join(words), band) for band, words in labels.items()]
    whole = {"all": "every block", "full": "every parameter"}
    return rows + [(whole[band], band) for band in bands if band in WHOLE]


def algorithm_words(results: Results, case: Case, algorithm: str) -> list[str]:
    """Where one algorithm erased one model's source languages, and which block was chosen, in sentences."""
    statuses: dict[str, list[str]] = {}
    for band in results.blocks(case, algorithm):
        statuses.setdefault(results.status(case, algorithm, band), []).append(band)
    reached = statuses.get("ok", [])
    label = "The source languages forgot as far as the protocol asks" if case.protocol == "matched" else "Ran"
    words = [f"{label}: {blocks_words(reached)}"]
    words += [f"{s.replace('_', ' ')}: {blocks_words(bands)}" for s, bands in statuses.items() if s != "ok"]
    sentences = ["; ".join(words) + "."]
    rank = verdicts.rank_target(results, case, algorithm)
    target = results.views(case, algorithm).get("target", [])
    if target:
        rule = results.rule(case, algorithm)
        region = blocks_words(str(block) for block in results.views(case, algorithm).get("region", []))
        sentences.append(f"The layer rule{f' ({rule})' if rule else ''} chooses block {target[0]}; region Λ: {region}.")
        sentences.append(f"Its rank by merit (C − K, worst held-out language) is {rank_words(rank)}.")
    else:
        reasons = [r for r in results.regions(case)["reason"].unique() if r]
        why = f" ({reasons[0].replace('_', ' ')})" if reasons else ""
        sentences.append(
            f"The layer rule chooses no block{why}{f'; best by merit: block {rank.best}' if rank.best else ''}."
        )
    return sentences


def condition_words(finding: Finding) -> str:
    """The numbers behind a verdict."""
    said = {True: "yes", False: "no", None: "not decided"}
    if not finding.parts:
        return finding.reason
    return "; ".join(f"{c.words}: {said[verdict]}, {c.metric} {number}" for c, number, verdict in finding.parts)


def elsewhere_words(finding: Finding) -> str:
    """At which blocks a regime's pattern shows, whichever block stands for the regime."""
    if finding.reason and not finding.at(True) and not finding.at(False):
        return "not decided"
    return blocks_words(finding.at(True)).replace("no block", "none")


STATUSES = ("ok", "diverged", "not_reached")


def cells_by_status(results: Results) -> dict[str, int]:
    """How many cells there are of each status, of those that every study can have also where there is none."""
    counts = results.tables["cells"]["status"].value_counts()
    return {status: int(counts.get(status, 0)) for status in dict.fromkeys([*STATUSES, *sorted(counts.index)])}


def status_words(results: Results) -> str:
    """Every status of the study with its count: of cells, of cells whose model is below its gate, and of regions."""
    counts = cells_by_status(results)
    cells = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in counts.items())
    below = int((results.tables["cells"]["gate"] == "below_gate").sum())
    regions = results.tables["regions"]
    chosen = regions[regions["chosen"].astype(str) == "True"].drop_duplicates(["model", "training_seed", "forget_set"])
    none = int((chosen["reason"] != "").sum())
    said = chosen["band_exists"].str.lower()
    band = f"; no intermediate band in {int((said == 'false').sum())} of {int((said != '').sum())}" if any(said) else ""
    return (
        f"{sum(counts.values())} cells: {cells}; {below} of models below gate. "
        f"Layer rule: no region in {none} of {len(chosen)} models and forget sets{band}."
    )


def divergences(results: Results) -> list[tuple[str, str, str, str, float]]:
    """Every cell that diverged: model, algorithm, block, which step of its run, and its last finite loss."""
    shown = []
    for key, step, loss in results.divergences():
        cell = dict(zip(KEYS, key))
        model = f"{cell['model']}, training seed {cell['training_seed']}"
        setting = f"from {cell['sources']}, retain {cell['retain']}, forget {cell['forget_set']}, seed {cell['seed']}"
        where = f"{model}, {setting}, {cell['protocol']} protocol"
        when = "–" if step is None else str(step)
        shown.append((where, cell["algorithm"].replace("_", " "), cell["band"], when, loss))
    return shown
