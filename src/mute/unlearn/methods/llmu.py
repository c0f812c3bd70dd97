"""LLMU: ascend on forget answers, learn random answers in their place, and keep what is said on normal text.

Yao et al. 2023 (arXiv 2310.10683): L = w_f (-NLL_forget) + w_rnd NLL(random answers to forget questions) + w_n
CE(pi_0, pi on normal text), the last -sum pi_0 log pi, which is KL up to a constant. The same three losses on OPT are
"Machine Unlearning in Large Language Models" (arXiv 2405.15152). Certainty: code; of the second paper the abstract.

Random answers are answers of other items, of the forget and the retain side, in the question's own language, drawn for
each question and language with a seed. Normal text is the retain side, at its answer tokens (ours: a mean over these,
where the published code takes every token of other text). All means are over answer tokens, and no loss that is bad
already ends the run. Published for 7B: weights 0.5, 1, 1, five random answers, learning rate 2e-6, batches of 2, 1000
steps.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """LLMU."""

    forget_weight: float = Field(0.5, ge=0, description="Weight of the ascent on forget answers.")
    random_weight: float = Field(1.0, ge=0, description="Weight of the random answers.")
    normal_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")
    answers: int = Field(5, ge=1, description="Random answers that are drawn for each forget question.")
    answer_language: Literal["same", "other"] = Field(
        "same", description="Whether random answers are in the question's language, or in another source language."
    )


class LLMU(base.Descent[Settings]):
    name = "llmu"
    paper = "Yao et al. 2023, arXiv 2310.10683"
    family = "divergence"
    Settings = Settings

    def cost(self) -> base.Cost:
        s = self.settings
        sides = sum(bool(weight) for weight in (s.forget_weight, s.random_weight, s.normal_weight))
        return base.Cost(sides=max(sides, 1), reference=bool(s.normal_weight))

    def applies(self, view: View) -> str:
        s = self.settings
        if not s.forget_weight and not s.random_weight:
            return "neither forget answers nor random ones have a weight, so that nothing would be forgotten"
        if s.random_weight and s.answer_language == "other" and len(view.sources) < 2:
            return "there is no second source language whose answers could be given"
        if s.random_weight and not all(eligible(view, s).values()):
            return "some forget questions have no answers of other items that could be given to them"
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        sides = {"forget": view.forget, "retain": view.retain}
        return {**sides, "random": randomised(view, self.settings)} if self.settings.random_weight else sides

    def prepare(self, task: Task) -> None:
        if self.settings.normal_weight:
            task.freeze_states("retain")

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.distances import cross_entropy
        from mute.unlearn.losses import nll

        s, pushed = self.settings, []
        if s.forget_weight:
            pushed.append(-s.forget_weight * nll(*task.answer_logprobs(batches["forget"])))
        if s.random_weight:
            pushed.append(s.random_weight * nll(*task.answer_logprobs(batches["random"])))
        terms = {"forget": sum(pushed[1:], start=pushed[0])}
        if s.normal_weight:
            normal = batches["retain"]
            said = cross_entropy(task.frozen_logits(normal), task.answer_logits(normal))
            terms["retain"] = s.normal_weight * said.mean()
        return terms


def randomised(view: View, settings: Settings) -> pd.DataFrame:
    """The forget rows with answers of other items in the place of their own, `answers` for each if there are so many.

    Which answers is a draw by item, language and wording. An answer of the item itself is none of them.
    """
    from mute.store.artifacts import seed_of

    others = eligible(view, settings)
    made = []
    for row in view.forget.to_dict("records"):
        own = others[row["item"], row["language"]]
        drawn: dict[str, None] = {}
        for number in itertools.count():
            if len(drawn) == min(settings.answers, len(own)):
                break
            place = seed_of("random answer", row["item"], row["language"], int(row["form"]), number) % len(own)
            drawn[own[place]] = None
        made += [{**row, "answer": answer, "gold": -1} for answer in drawn]
    columns = {column: [row[column] for row in made] for column in view.forget.columns}
    return view.forget.iloc[:0].reindex(range(len(made))).assign(**columns)


def eligible(view: View, settings: Settings) -> dict[tuple[str, str], list[str]]:
    """By item and language of each forget question, the answers of other items that it may be given."""
    import pandas as pd

    every = pd.concat([view.forget, view.retain[view.retain["item"].fillna("") != ""]])
    every = every[every["language"].isin(view.sources)]
    told = {str(language): sorted(set(own)) for language, own in every.groupby("language")["answer"]}
    gold = view.forget.groupby("item")["answer"].agg(lambda answers: {answer.casefold() for answer in answers})
    found: dict[tuple[str, str], list[str]] = {}
    for item, language in set(zip(view.forget["item"], view.forget["language"])):
        languages = [language] if settings.answer_language == "same" else sorted(set(told) - {language})
        answers = [answer for other in languages for answer in told.get(other, [])]
        found[item, language] = [answer for answer in answers if answer.casefold() not in gold[item]]
    return found
