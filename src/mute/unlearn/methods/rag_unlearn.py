"""Unlearning by retrieval: a question that finds an entry of the knowledge base is asked behind a constraint.

Wang et al. 2024 (arXiv 2410.15267): a base of entries P, so written that any question about what is to be forgotten
retrieves one, each with a constraint Q (this is confidential, refuse); what is retrieved stands in the prompt, all else
is asked as it is. Sample mode: P are the forget questions as unlearning reads them, in source languages, and Q is the
instruction of the language's pack about the entry's subject. Retrieved is by cosine of character n-grams, from a
threshold on that retain questions set which are in no entry. Certainty: algorithm in the text, numbers unverified. No
weight changes. A model obeys what it was taught to obey (`secrets` of the fictional world), or brings with it. The hit
rate and obedience where there is a hit are kept apart, both of forget texts in source languages; K is what they come to
together. `entries: retain` is the control.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import asking, base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(base.Settings):
    """Unlearning by retrieval."""

    most: int = Field(1, ge=1, le=8, description="k, entries at most whose constraints stand before a question.")
    false_alarms: float = Field(0.01, ge=0, lt=1, description="Share of held-out retain questions that may find one.")
    entries: Literal["forget", "retain"] = Field("forget", description="About which subjects; `retain`: the control.")
    strengths: list[float] = Field([], description="Not used: nothing is trained.")


class Constrained(asking.Before):
    """index of M entries, the constraint of each, and the cosine from which on one is found."""

    name = "rag_unlearn"

    def __init__(self, index: Mapping[str, Tensor], constraints: Sequence[str], threshold: float, most: int) -> None:
        self.index, self.constraints, self.threshold, self.most = index, list(constraints), threshold, most
        super().__init__(self._own)

    def _own(self, prefixes: Sequence[str], languages: Sequence[str]) -> list[str]:
        found = asking.cosines(self.index, prefixes)
        reached = hits(found, self.threshold)
        made = []
        for own, reach in zip(found, reached):
            nearest = own.argsort(descending=True, stable=True)[: self.most].tolist()
            made.append(" ".join(dict.fromkeys(self.constraints[place] for place in nearest if bool(reach[place]))))
        return made

    def alarms(self, model: Model, rows: pd.DataFrame, prompts: Sequence[Sequence[int]]) -> list[float] | None:
        """How far the nearest entry is above what retrieves it; what reaches the threshold is found."""
        nearest = asking.cosines(self.index, rows["prefix"].tolist()).max(1).values
        return (nearest - math.nextafter(self.threshold, -math.inf)).tolist()


class RagUnlearn(base.Guard[Settings]):
    name = "rag_unlearn"
    paper = "Wang et al. 2024, arXiv 2410.15267"
    bands = ("full",)
    expects = "none"
    Settings = Settings

    def applies(self, view: View) -> str:
        if without := sorted(set(view.forget["language"]) - set(view.phrases)):
            return f"there is no instruction in {', '.join(without)}"
        return "" if any(map(refusals.subject, view.forget.to_dict("records"))) else "forget questions name no subject"

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        own = view.forget if self.settings.entries == "forget" else sourced(view)
        able = own[[bool(refusals.subject(row)) for row in own.to_dict("records")]]
        said = [view.phrases[r["language"]].instruction.format(s=refusals.subject(r)) for r in able.to_dict("records")]
        behind = [asking.put_before(text, prefix) for text, prefix in zip(said, able["prefix"])]
        sides = {"entries": able, "constraints": able.assign(prefix=said), "behind": able.assign(prefix=behind)}
        return {"forget": view.forget, "retain": view.retain, "others": sourced(view), **sides}

    def fit(self, task: Task) -> dict[str, Tensor]:
        """threshold [1], hit_rate [1] and obedience [1]: 1 - mean probability of an answer behind / without."""
        import torch

        from mute.unlearn.detectors.base import quantile

        texts, said = ([prefix for prefix, _, _ in task.side(side).parts] for side in ("entries", "constraints"))
        index = asking.indexed(texts)
        other = "others" if self.settings.entries == "forget" else "forget"
        spelled = [prefix for prefix, _, _ in task.side(other).parts]
        # It is at least the next number above, for a question that reaches the threshold is a hit.
        above = quantile(asking.cosines(index, sorted(set(spelled))).max(1).values, self.settings.false_alarms)
        threshold = math.nextafter(above, math.inf)
        asked = sorted({prefix for prefix, _, _ in task.forget.parts})
        rate = float(hits(asking.cosines(index, asked), threshold).any(1).double().mean())
        task.freeze_logprobs("behind", "entries")
        behind, without = (task.side(side).logprobs for side in ("behind", "entries"))
        assert behind is not None
        assert without is not None
        obeyed = 1 - float(behind.exp().mean() / without.exp().mean())
        numbers = {"threshold": threshold, "hit_rate": rate, "obedience": obeyed}
        return {
            **index,
            **asking.kept("constraints", said),
            **{k: torch.tensor([v], dtype=torch.float64) for k, v in numbers.items()},
        }

    def treatment(self, fitted: Mapping[str, Tensor]) -> Constrained:
        index = {key: fitted[key] for key in ("idf", "vectors")}
        said = asking.told("constraints", fitted)
        return Constrained(index, said, float(fitted["threshold"][0]), self.settings.most)


def sourced(view: View) -> pd.DataFrame:
    """Retain facts in source languages."""
    return view.retain[view.retain["language"].isin(view.sources) & view.retain["item"].notna()]


def hits(cosines: Tensor, threshold: float) -> Tensor:
    """Which entries are retrieved [N, M]: those whose cosine reaches the threshold."""
    return cosines >= threshold
