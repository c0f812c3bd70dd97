"""Detection: on which questions a guard's detector fires, by language, and how well it tells them block by block.

Ours. A guard that reads the source languages alone forgets in another one only what its detector finds there. What it
finds is held, in figures, against how the languages' states lie to each other.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject
    from mute.unlearn.detectors.base import Detector, Prompts, Seen
    from mute.unlearn.guarding import Watching

# Of which facts each measure asks.
FIRES = (("misses", "forget"), ("false_alarms_retain", "retain_unseen"), ("false_alarms_bystander", "bystander"))


class Settings(base.CellSettings):
    """Detection."""

    prompts: int = Field(128, ge=2, description="Most prompts of a side and language that a detector is read on.")
    draws: int = Field(4, ge=0, le=100, description="Shuffles of the labels, for the control; 0: none.")
    seed: int = Field(0, ge=0, description="From which labels are shuffled: the same in every cell.")


class Detection(base.Analysis[Settings]):
    """Of guards that ask a detector; questions stand in the headline form, which no detector learned from.

    At the first block, what the guard itself does at its own threshold: misses, share of questions on facts to be
    forgotten on which its detector does not fire; false_alarms_retain and _bystander, on which it does, of questions on
    facts in no loss, and in a domain that no loss reads. At the output of each block (keys: inside it), and
    auroc_embeddings at the first: the area under the ROC curve, of the same detector learned there from source texts,
    of forget questions against those on facts in no loss, within a language; auroc_shuffled of labels that were
    shuffled, mean over draws, and _low and _high, the least and greatest. A detector that reads no block has the same
    area at all.
    """

    name = "detection"
    paper = "ours"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        return 2.0 + 2.0 * self.settings.draws

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        from mute.unlearn.guarding import Watching

        rows: list[list[object]] = []
        for guard in (each for each in subject.treatments if isinstance(each, Watching)):
            rows = [[measure, case.first, *found] for measure, *found in self._fires(guard, subject, asked)]
            with guard.off():
                rows += self._by_block(guard.detector, subject, asked, case)
        return pd.DataFrame(rows, columns=list(base.COLUMNS))

    def _fires(self, guard: Watching, subject: Subject, asked: Asked) -> Iterator[tuple[str, str, float, int]]:
        """Measure, language, share and number of prompts."""
        for measure, role in FIRES:
            prompts = questions(asked, role)
            guard.asked(subject.model, prompts.tokens)
            fired = [guard.fires(prompt) for prompt in prompts.tokens]
            for code in asked.languages:
                own = [hit for hit, language in zip(fired, prompts.languages) if language == code]
                if own:
                    share = sum(own) / len(own)
                    yield measure, code, 1 - share if measure == "misses" else share, len(own)

    def _by_block(self, detector: Detector, subject: Subject, asked: Asked, case: base.Case) -> list[list[object]]:
        from mute.engine import sections

        seen = taught(subject, asked, case.sources, self.settings.prompts)
        sides = [few(questions(asked, role), self.settings.prompts) for role in ("forget", "retain_unseen")]
        rows: list[list[object]] = []
        found: dict[str, dict[str, float]] = {}
        blocks = list(range(case.first, sections.depth(subject.model)))
        for block in [-1, *blocks] if detector.reads == "states" else blocks:
            if detector.reads or not found:
                found = self._areas(detector.behind(block), seen, sides, asked.languages)
            named = {"auroc": "auroc_embeddings"} if block < 0 else {key: key for key in found}
            for key, measure in named.items():
                for code, value in found.get(key, {}).items():
                    count = sum(list(side.languages).count(code) for side in sides)
                    rows.append([measure, max(block, case.first), code, value, count])
        return rows

    def _areas(
        self, detector: Detector, seen: Seen, sides: list[Prompts], codes: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """Measures by language; nothing where the detector cannot learn on this model."""
        from mute.unlearn.base import NotApplicable

        learned = [seen, *(shuffled(seen, self.settings.seed + draw) for draw in range(self.settings.draws))]
        areas: list[dict[str, float]] = []
        for each in learned:
            try:
                fitted = detector.learn(each)
            except NotApplicable:
                return {}
            forget, retain = (detector.scores(fitted, seen.model, side.tokens) for side in sides)
            areas.append(within(forget, sides[0].languages, retain, sides[1].languages, codes))
        found = {"auroc": areas[0]}
        if drawn := areas[1:]:
            for end, of in (("", statistics.fmean), ("_low", min), ("_high", max)):
                found[f"auroc_shuffled{end}"] = {code: of([area[code] for area in drawn]) for code in areas[0]}
        return found


def within(
    forget: Tensor, of_forget: Sequence[str], retain: Tensor, of_retain: Sequence[str], codes: Sequence[str]
) -> dict[str, float]:
    """Area under the ROC curve within each language that has both, from scores and the language of each."""
    from mute.unlearn.detectors.base import auroc

    found = {}
    for code in codes:
        one, other = ([row for row, own in enumerate(side) if own == code] for side in (of_forget, of_retain))
        if one and other:
            found[code] = auroc(forget[one], retain[other])
    return found


def questions(asked: Asked, role: str) -> Prompts:
    """The questions on all facts of a role in the headline form, in all languages that are asked."""
    texts = asked.corpus.texts
    own = texts["language"].isin(asked.languages) & (texts["form"] == asked.corpus.about["headline_form"])
    return prompts_of(texts[own & (texts["item"].map(asked.corpus.roles(asked.forget_set)) == role)], asked)


def prompts_of(rows: pd.DataFrame, asked: Asked) -> Prompts:
    """Rows of texts as prompts, each once."""
    from mute.unlearn.detectors.base import Prompts

    rows = rows.drop_duplicates(["prefix", "language"])
    tokens = [tuple(asked.encoder.prompt(prefix)) for prefix in rows["prefix"]]
    return Prompts(tokens, rows["item"].fillna("").tolist(), rows["language"].tolist())


def taught(subject: Subject, asked: Asked, sources: tuple[str, ...], most: int) -> Seen:
    """What detectors learn from: texts of both sides in the source languages, in the forms that unlearning reads."""
    from mute.unlearn.detectors.base import Seen
    from mute.unlearn.view import View

    languages = [*asked.languages]
    view = View.of(asked.corpus, languages=languages, sources=[*sources], forget_set=asked.forget_set)
    sides = (few(prompts_of(rows, asked), most) for rows in (view.forget, view.retain))
    return Seen(subject.model, asked.encoder, *sides, seed=0)


def few(prompts: Prompts, most: int) -> Prompts:
    """At most so many of each language, evenly from all."""
    rows: list[int] = []
    for code in dict.fromkeys(prompts.languages):
        own = [row for row, language in enumerate(prompts.languages) if language == code]
        count = min(most, len(own))
        rows += [own[i * len(own) // count] for i in range(count)]
    return prompts.only(rows)


def shuffled(seen: Seen, seed: int) -> Seen:
    """The same prompts with the sides drawn anew: as many on either."""
    from dataclasses import replace

    import torch

    from mute.unlearn.detectors.base import Prompts

    one, other = seen.forget, seen.retain
    both = Prompts([*one.tokens, *other.tokens], [*one.items, *other.items], [*one.languages, *other.languages])
    order = torch.randperm(len(both), generator=torch.Generator().manual_seed(seed)).tolist()
    return replace(seen, forget=both.only(order[: len(one)]), retain=both.only(order[len(one) :]))
