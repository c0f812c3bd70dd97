"""What each edit did, whatever it was meant to do: its verdict in source and in held-out languages, from the tables."""

import math
from typing import NamedTuple

import pandas as pd

from mute.config.sections import VerdictSection
from mute.evaluate.inference import wilson_mean
from mute.evaluate.panel import MARGIN
from mute.findings import removal
from mute.findings.results import MISSING, NOTHING, Case, Number, Results

GROUPS = ("source", "heldout")
# Of these nothing can be said; one that changed nothing, or too little, has no effect, and that is a verdict.
_SILENT = ("diverged", "not_applicable", "destroyed", NOTHING)
# The drops in the order of `removal.verdict`.
_NAMES = ("the drop of K", "the drop by the lens", "what lasts")


class Objective(NamedTuple):
    """The verdict on one edit in one group of languages.

    behaviour, inside, durable: the drops of `removal.verdict`. worst: of held-out languages, the drop of K in the one
    that keeps most. block: where the lens reads most off the edit; below its band nothing could change, and is there to
    be read. attack: that which brings most back. reach: of held-out languages, their drop over the sources'. why: of
    `not decided`, which drop is missing and why, or which interval holds a threshold.
    """

    case: Case
    algorithm: str
    band: str
    group: str
    kind: removal.Kind
    behaviour: Number
    inside: Number
    durable: Number
    worst: Number
    block: int | None
    attack: str
    reach: float
    why: str


def thresholds(results: Results) -> VerdictSection:
    """Those of the study."""
    return VerdictSection.model_validate(results.about.get("verdict", {}))


def objectives(results: Results, case: Case) -> list[Objective]:
    """Both verdicts on every edit of a case that ran."""
    return [
        found
        for algorithm in results.algorithms(case)
        for band in results.bands(case, algorithm)
        if results.status(case, algorithm, band) not in _SILENT
        for found in _of_edit(results, case, algorithm, band)
    ]


def table(results: Results) -> pd.DataFrame:
    """One row per edit and group of languages (docs/tables.md)."""
    rows = []
    for case in results.cases:
        for found in objectives(results, case):
            drops = {name: getattr(found, name) for name in _DROPS}
            ends = {f"{name}{end}": value for name, drop in drops.items() for end, value in zip(_ENDS, drop)}
            keys = (results.name(case), found.algorithm, results.intent(found.algorithm), found.band, found.group)
            rows.append((*keys, found.kind, *ends.values(), found.block, found.attack, found.reach, found.why))
    columns = [f"{name}{end}" for name in _DROPS for end in _ENDS]
    keys = ["model", "algorithm", "intent", "band", "group", "verdict"]
    return pd.DataFrame(rows, columns=[*keys, *columns, "block", "attack", "reach", "reason"])


_DROPS, _ENDS = ("behaviour", "inside", "durable", "worst"), ("", "_low", "_high")


def _of_edit(results: Results, case: Case, algorithm: str, band: str) -> list[Objective]:
    at, found = thresholds(results), []
    fell = {group: _dropped(results.number(case, algorithm, band, "K", group)) for group in GROUPS}
    for group in GROUPS:
        if not fell[group]:
            continue
        durable, attack = _lasting(results, case, algorithm, band, group)
        inside, block = _inside(results, case, algorithm, band, group)
        drops = (fell[group], inside, durable)
        kind = removal.verdict(*drops, at)
        reach = removal.reach(fell["heldout"], fell["source"], at) if group == "heldout" else math.nan
        edit = (results, case, algorithm, band, group)
        lacks = ("K is missing", _no_inside(*edit), _none_lasts(*edit))
        why = _why(drops, lacks, at) if kind == "not decided" else ""
        worst = _dropped(results.number(case, algorithm, band, "K", "worst")) if group == "heldout" else MISSING
        found.append(Objective(case, algorithm, band, group, kind, *drops, worst, block, attack, reach, why))
    return found


def _why(drops: tuple[Number, Number, Number], lacks: tuple[str, str, str], at: VerdictSection) -> str:
    """What stands in the way, of the drops that matter: where K cannot have fallen far enough the others do not."""
    said = []
    for drop, lacking, name in zip(drops, lacks, _NAMES):
        levels = removal.held(drop, at)
        if not drop:
            said.append(lacking)
        elif math.isnan(drop.low) or math.isnan(drop.high):
            said.append(f"{name} has no interval")
        elif len(levels) > 1:
            said.append(f"the interval of {name} holds a threshold")
        if name == _NAMES[0] and "large" not in levels:
            break
    return "; ".join(said)


def _no_inside(results: Results, case: Case, algorithm: str, band: str, group: str) -> str:
    """Why nothing can be said of what the lens reads."""
    if not all(_best(results, case, *who, group)[0] for who in (("base", ""), (algorithm, band))):
        return "no lens was run"
    if not results.number(case, "base", "", "chance", group):
        return "the lens reads options, and there are none"
    return "the lens reads no more off the base than chance"


def _none_lasts(results: Results, case: Case, algorithm: str, band: str, group: str) -> str:
    """Why nothing can be said of what lasts: nobody relearned, or next to nothing was gone that could come back."""
    beside = (
        all(results.number(case, algorithm, band, score, group, attack=name) for score in ("R", "R_oracle"))
        for name in _relearned(results)
    )
    return "too little is gone to come back" if any(beside) else "nothing was relearned beside an oracle"


def _dropped(left: Number) -> Number:
    """1 - what is left."""
    return left._replace(value=1 - left.value, low=1 - left.high, high=1 - left.low) if left else MISSING


def _lasting(results: Results, case: Case, algorithm: str, band: str, group: str) -> tuple[Number, str]:
    """1 - what the study's relearning brings back beyond an oracle's gain, by the attack that brings most; its name."""
    found = {
        name: results.number(case, algorithm, band, "regained", group, attack=name) for name in _relearned(results)
    }
    found = {name: number for name, number in found.items() if number}
    best = max(found, key=lambda name: found[name].value, default="")
    return (_dropped(found[best]), best) if best else (MISSING, "")


def _relearned(results: Results) -> list[str]:
    """The study's attacks that train a model again; where it does not say, by their names."""
    stated = results.about.get("relearned")
    if stated is None:
        return [name for name in results.attacks if name.startswith(("relearn", "retrain"))]
    return [name for name in results.attacks if name in stated]


def _inside(results: Results, case: Case, algorithm: str, band: str, group: str) -> tuple[Number, int | None]:
    """Drop of the gold answer's recall by the lens at its best block, as a share of what the base has above chance.

    And that block of the edit.

    Its interval is Wilson's for the same facts in all languages, of cell and base in their worst case. Missing where
    the lens reads no more off the base than chance: there is nothing that could have gone.
    """
    chance = results.number(case, "base", "", "chance", group).value
    (before, _), (after, block) = (_best(results, case, *who, group) for who in (("base", ""), (algorithm, band)))
    if math.isnan(chance) or not before or not after or before.value - chance <= MARGIN:
        return MISSING, None

    def left(cell: float, base: float) -> float:
        return (cell - chance) / (base - chance) if base > chance else math.nan

    drop = 1 - left(after.value, before.value)
    return Number(drop, 1 - left(after.high, before.low), 1 - left(after.low, before.high), after.n), block


def _best(results: Results, case: Case, algorithm: str, band: str, group: str) -> tuple[Number, int | None]:
    """Recall by the lens at the block where its mean over a group's languages is highest, and that block."""
    codes = results.languages(case)[GROUPS.index(group)]
    rows = results.lens(case, algorithm, band)
    rows = rows[rows["language"].isin(codes) & rows["hit"].notna()]
    if rows.empty:
        return MISSING, None
    means = rows.groupby("block")["hit"].mean()
    block = int(means.index[means.argmax()])
    own = rows[rows["block"] == block]
    n = int(own["n"].min())
    return Number(*wilson_mean(own["hit"].tolist(), n), n), block
