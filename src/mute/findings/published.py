"""The published numbers of MUTE (arXiv 2602.22562), read from files, and checks of the paper's claims against them.

Accuracies are whole percentages per language, without items, seeds or intervals. The subjects that the paper names have
203 questions to forget and 2,000 to retain in every language; the intervals here take them to be right or wrong in all
languages together, which makes them rather too wide than too narrow.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mute.evaluate.inference import wilson_mean
from mute.findings import files, region
from mute.findings.findings import blocks_words

# High School Chemistry; World History, Professional Law, International Law and Jurisprudence.
QUESTIONS = {"forget": 203, "retain": 237 + 1534 + 121 + 108}
QUESTIONS_UNIT = "questions of the subjects that the paper names"
POINTS = 0.05


@dataclass(frozen=True)
class Share:
    """A mean accuracy over languages (0 to 1), between the means of the languages' 95 % Wilson ends."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, percents: Iterable[float], questions: int) -> "Share":
        return cls(*wilson_mean((value / 100 for value in percents), questions))

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Check:
    """One thing that the published numbers say of a claim: `verdict` is contradicts, supports or not decided."""

    name: str
    claim: str
    where: str
    found: str
    verdict: str


class Published:
    """The tables and curves of the paper, as copied into the project."""

    def __init__(self, folder: Path | str = files.FOLDER) -> None:
        read = {name: pd.read_csv(Path(folder) / f"{name}.csv") for name in files.FILES}
        self.tables, self.curves, stated = read[files.TABLES], read[files.CURVES], read[files.TARGETS]
        pairs = list(zip(stated["model"], stated["algorithm"]))
        self._table = dict(zip(pairs, stated["table"]))
        # The layer that the paper states for each model and algorithm of the tables by block, and Table 5 by model.
        self.targets: dict[tuple[str, str], int] = dict(zip(pairs, stated["target"]))
        self.alphas = read[files.ALPHAS]
        self.regions = read[files.REGIONS].set_index("model")

    def region(self, model: str) -> tuple[int, int]:
        """First and last block of the printed region."""
        return int(self.regions.loc[model, "first"]), int(self.regions.loc[model, "last"])

    def curve(self, model: str) -> pd.DataFrame:
        return self.curves[self.curves["model"] == model].sort_values("layer")

    def share(self, model: str, algorithm: str, condition: str, split: str, group: str = "all") -> Share:
        """Mean accuracy of a condition (`finetuned`, `base`, `L9`) on `forget` or `retain` questions."""
        table = self._table[model, algorithm]
        rows = self.tables[(self.tables["table"] == table) & (self.tables["metric"] == "accuracy")]
        rows = rows[(rows["condition"] == condition) & (rows["split"] == split) & (rows["lang"] != "avg")]
        if group != "all":
            rows = rows[rows["is_source"].astype(bool) == (group == "source")]
        if rows.empty:
            raise KeyError(f"table {table} has no {split} accuracy of {condition!r}, group {group}")
        return Share.of(rows["value"], QUESTIONS[split])

    def blocks(self, model: str, algorithm: str) -> list[int]:
        rows = self.tables[self.tables["table"] == self._table[model, algorithm]]
        return sorted({int(name[1:]) for name in rows["condition"] if name[0] == "L" and name[1:].isdigit()})

    def summary(self) -> pd.DataFrame:
        """Tables 2 and 4 with the bounds that they lack: accuracy (percent) per model, algorithm and condition."""
        rows = []
        for model, algorithm in self.targets:
            for condition in ("base", "finetuned", *(f"L{block}" for block in self.blocks(model, algorithm))):
                for split in ("forget", "retain"):
                    for group in ("source", "heldout"):
                        own = self.share(model, algorithm, condition, split, group)
                        numbers = (round(100 * value, 2) for value in (own.value, own.low, own.high))
                        rows.append((model, algorithm, condition, split, group, *numbers, QUESTIONS_UNIT))
        keys = ("model", "algorithm", "condition", "split", "group", "value", "low", "high", "unit")
        return pd.DataFrame(rows, columns=list(keys))


# Where, what was found, and the verdict.
Found = Iterator[tuple[str, str, str]]


def checks(published: Published) -> list[Check]:
    """What the published numbers say of the paper's claims, each computed from the tables and curves."""
    return [Check(name, claim, *found) for name, (claim, check) in _CHECKS.items() for found in check(published)]


def _best(published: Published) -> Found:
    """Whether the chosen block is the best of the published ones by merit.

    Merit is retain accuracy less forget accuracy, each relative to the finetuned model: 1 forgets and keeps all. The
    claim falls where another block leads by five points and one of its two accuracies is better beyond the intervals.
    """
    for (model, algorithm), target in published.targets.items():
        tuned = [published.share(model, algorithm, "finetuned", split).value for split in ("forget", "retain")]
        own = {
            block: [published.share(model, algorithm, f"L{block}", split) for split in ("forget", "retain")]
            for block in published.blocks(model, algorithm)
        }
        merit = {block: r.value / tuned[1] - f.value / tuned[0] for block, (f, r) in own.items()}
        best = max(merit, key=merit.__getitem__)
        lead = merit[best] - merit[target]
        clear = own[best][0].high < own[target][0].low or own[best][1].low > own[target][1].high
        verdict = "supports" if best == target else "contradicts" if lead >= POINTS and clear else "not decided"
        said = "; ".join(
            f"L{b}: forget {own[b][0]}, retain {own[b][1]}, merit {merit[b]:.2f}" for b in dict.fromkeys((target, best))
        )
        text = f"{said}." if best != target else f"{said}, the highest."
        yield f"{model}, {algorithm}", text, verdict


def _inside(published: Published) -> Found:
    """Whether every tested block inside the printed region erases and keeps, each by half of the finetuned model."""
    for model, algorithm in published.targets:
        low, high = published.region(model)
        tuned = [published.share(model, algorithm, "finetuned", split) for split in ("forget", "retain")]
        parts, fails, opened = [], False, False
        for block in published.blocks(model, algorithm):
            if not low <= block <= high:
                continue
            forget, retain = (published.share(model, algorithm, f"L{block}", split) for split in ("forget", "retain"))
            fails |= forget.low > tuned[0].value / 2 or retain.high < tuned[1].value / 2
            opened |= forget.high > tuned[0].value / 2 or retain.low < tuned[1].value / 2
            parts.append(f"L{block}: forget {forget}, retain {retain}")
        verdict = "contradicts" if fails else "not decided" if opened else "supports"
        text = f"Finetuned: forget {tuned[0]}, retain {tuned[1]}. In L{low}-L{high}: {'; '.join(parts)}."
        yield f"{model}, {algorithm}", text, verdict


def _shallow(published: Published) -> Found:
    """Whether the shallowest published block wrecks the retain accuracy: less than half of the finetuned model's."""
    for model, algorithm in published.targets:
        block = published.blocks(model, algorithm)[0]
        tuned = published.share(model, algorithm, "finetuned", "retain", "heldout")
        kept = published.share(model, algorithm, f"L{block}", "retain", "heldout")
        half = tuned.value / 2
        verdict = "supports" if kept.high < half else "contradicts" if kept.low > half else "not decided"
        text = f"Held-out retain accuracy: {tuned} finetuned, {kept} after L{block}."
        yield f"{model}, {algorithm}", text, verdict


def _regions(published: Published) -> Found:
    """Whether a rule gives the printed region on the published curves."""
    for model, alpha in published.regions["alpha"].items():
        curve = published.curve(str(model))
        low, high = published.region(model)
        given = {r: region.region(curve["cka"], curve["lrds"], alpha, r).blocks for r in region.REGION_RULES}
        matching = tuple(range(low, high + 1)) in given.values()
        said = "; ".join(f"{rule}: {blocks_words(map(str, blocks))}" for rule, blocks in given.items())
        text = f"Printed L{low}-L{high} at alpha {alpha}. {said}."
        yield model, text, "supports" if matching else "contradicts"


def _thresholds(published: Published) -> Found:
    """Whether the printed threshold is alpha times the printed minimum of LRDS, to the digits that are printed."""
    for model, row in published.regions.iterrows():
        half = 5e-5
        low, high = (row["alpha"] * (row["lrds_min"] + sign * half) for sign in (-1, 1))
        agree = low <= row["tau"] + half and row["tau"] - half <= high
        text = f"Printed τ {row['tau']:.4f}; α · min LRDS is {row['alpha'] * row['lrds_min']:.4f}."
        yield str(model), text, "supports" if agree else "contradicts"


def _widths(published: Published) -> Found:
    """Whether a rule gives the regions printed at three widths."""
    for model, own in published.alphas.groupby("model", sort=False):
        curve, alpha = published.curve(str(model)), published.regions["alpha"].to_dict()[str(model)]
        matching: set[region.RegionRule] = set(region.REGION_RULES)
        said = []
        for step, low, high in zip(own["step"], own["first"], own["last"]):
            given = {rule: region.region(curve["cka"], curve["lrds"], alpha + step, rule).blocks for rule in matching}
            matching = {rule for rule, blocks in given.items() if list(blocks) == list(range(low, high + 1))}
            said.append(f"α {alpha + step:g}: L{low}-L{high}")
        by = " and ".join(sorted(matching)) or "no"
        text = f"Printed {', '.join(said)}; given by: {by} rule."
        yield str(model), text, "supports" if matching else "contradicts"


def _targets(published: Published) -> Found:
    """Whether the stated layer rule gives the stated layer inside the printed region."""
    for (model, algorithm), target in published.targets.items():
        curve = published.curve(model)
        low, high = published.region(model)
        rule = "deepest" if algorithm == "SLUG" else "first_local_peak"
        given = region.choose_layer(curve["cka"], range(low, high + 1), rule)
        words = "the deepest layer" if rule == "deepest" else "the earliest CKA peak"
        text = f"Stated L{target}; {words} of L{low}-L{high} is L{given}."
        verdict = "supports" if target == given else "contradicts"
        yield f"{model}, {algorithm}", text, verdict


def _floors(published: Published) -> Found:
    """Whether the finetuned model knows enough for its retention to be measured: above the base by the intervals."""
    for model in published.regions.index:
        base = published.share(model, "RMU", "base", "retain", "heldout")
        tuned = published.share(model, "RMU", "finetuned", "retain", "heldout")
        verdict = "supports" if tuned.low > base.high else "not decided"
        text = f"Held-out retain accuracy: {base} before and {tuned} after injection."
        yield model, text, verdict


def _lens(published: Published) -> Found:
    """Whether the lens after unlearning reads what a model that never knew would read."""
    rows = published.tables[
        (published.tables["metric"] == "logit_lens_recall") & (published.tables["split"] == "forget")
    ]
    means = {name: Share.of(own["value"], QUESTIONS["forget"]) for name, own in rows.groupby("condition")}
    base, target = means["base"], means["L9"]
    verdict = "contradicts" if target.high < base.low else "not decided"
    text = f"Lens recall on forget questions: {base} before injection, {means['finetuned']} after, {target} after L9."
    yield "Llama-3.1-8B, RMU", text, verdict


# What each check is called, which claim it is about, and how it is made.
_CHECKS: dict[str, tuple[str, Callable[[Published], Found]]] = {
    "best layer": ("The chosen layer has the best trade-off of the layers tested.", _best),
    "region works": ("Layers inside the region erase the forget set and keep the rest.", _inside),
    "shallow collapse": ("Shallow edits wreck the other languages.", _shallow),
    "region rule": ("The region is where CKA is at least its mean and LRDS at most alpha times its minimum.", _regions),
    "threshold": ("The threshold is alpha times the minimum of LRDS.", _thresholds),
    "region widths": ("The region hardly depends on alpha.", _widths),
    "layer rule": ("The layer is chosen by the stated rule inside the region.", _targets),
    "room to lose": ("The injected knowledge is there in held-out languages before unlearning.", _floors),
    "below never knew": ("Unlearning at the chosen layer restores the model that never knew.", _lens),
}
