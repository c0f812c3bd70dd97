"""MEOW: teach facts that are inverted, those that the model takes to most easily, in the place of those to forget.

Gu et al. 2024 (arXiv 2409.11844): of some inverted answers to each forget question the k with the largest MEMO score
are kept, and learned by plain cross entropy: no ascent, no reference, no retain data (`retain_weight` adds it, with 0.1
in a published variant). Certainty: code. Inverted answers are options of the question's own that are not its gold
answer: of the same kind, and no alias of it. A new answer is taught, and what the model knew may still lie below it:
the intent is suppression. Published, in a generic configuration: 3 of 4 kept, learning rate 1e-5, batches of 16, ten
epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """MEOW."""

    candidates: int = Field(4, ge=1, description="Inverted answers that are made for each question.")
    kept: int = Field(3, ge=1, description="How many of them are taught: those with the largest MEMO scores.")
    window: int = Field(5, ge=1, description="Letters between two cuts of an answer, for MEMO.")
    consistent: bool = Field(True, description="Whether a fact is inverted alike in all languages and wordings.")
    retain_weight: float = Field(0.0, ge=0, description="Weight of the retain term.")


class MEOW(base.Descent[Settings]):
    name = "meow"
    paper = "Gu et al. 2024, arXiv 2409.11844"
    family = "rejection"
    intent = "suppression"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1, reference=True)

    def applies(self, view: View) -> str:
        if view.forget["options"].map(len).min() < 2:
            return "some forget questions have no other option that could be taught in the answer's place"
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {"forget": inverted(view.forget, self.settings), "retain": view.retain}

    def prepare(self, task: Task) -> None:
        """Score the inverted answers, and keep the best of each question."""
        import torch

        from mute.unlearn import memo

        side = task.forget
        self.taught = torch.ones(len(side), dtype=torch.bool)
        if self.settings.kept >= self.settings.candidates:
            return
        asked = [(prefix, answer) for prefix, answer, _ in side.parts]
        scores = memo.scores(task.model, side.encoder, asked, self.settings.window)
        questions: dict[tuple[str, str, str], list[int]] = {}
        for row, (item, language, (prefix, _)) in enumerate(zip(side.items, side.languages, asked)):
            questions.setdefault((item, language, prefix), []).append(row)
        for rows in questions.values():
            # Equal scores are taken in the order in which the answers were drawn.
            worst = sorted(rows, key=lambda row: -scores[row])[self.settings.kept :]
            self.taught[worst] = False

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        batch = batches["forget"]
        logprob, tokens = task.answer_logprobs(batch)
        taught = self.taught[batch.rows].to(logprob)
        # A batch of none that is taught teaches nothing.
        forget = -(logprob * taught).sum() / (tokens * taught).sum().clamp(min=1)
        if not self.settings.retain_weight:
            return {"forget": forget}
        kept = self.settings.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return {"forget": forget, "retain": kept}


def inverted(forget: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The forget rows with other options in the place of their answers, `candidates` for each where there are so many.

    Which options is a draw by item (and, if not consistent, by language): options stand in one order in all languages.
    """
    from mute.store.artifacts import seed_of

    made = []
    for row in forget.to_dict("records"):
        gold = {row["answer"].casefold(), *(row["options"][i].casefold() for i in [row["gold"]] if i >= 0)}
        others = [i for i, option in enumerate(row["options"]) if option.casefold() not in gold]
        where = () if settings.consistent else (row["language"],)
        others.sort(key=lambda i: seed_of("inverted", row["item"], *where, i))
        made += [{**row, "answer": row["options"][i], "gold": i} for i in others[: settings.candidates]]
    return forget.iloc[:0].reindex(range(len(made))).assign(**{c: [r[c] for r in made] for c in forget.columns})
