"""ICKU: teach the model to say that it forgot what stands between two tags before the question, and only then.

Takashiro et al. 2024 (arXiv 2410.00382): of each question two rows, `<unl> u </unl> question`. Where u is the answer
(or with `tagged: subject` the subject) the target is that nothing is known; where it is another option (another
subject), the true answer. Cross entropy on the answers of both, with low-rank updates of the band. Certainty: code;
published code takes the loss on the whole text, ours on the answers.

Nothing is removed: the switch is in the prompt and can be left out, so that without it the forget answers stay, the
intent is suppression, and only the `paper` protocol means anything. So that they do stay, questions are read without
tags, too (`plain`, ours). Facts to retain are rows of the same kind: the model learns the switch and not one list. No
embedding is added: the tags are plain text, which any tokenizer cuts into tokens that it has. Published: rank 4, alpha
8, learning rate 2e-4, three epochs of batches of 4; gradients are not clipped here, for steps of AdamW hardly see it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(base.Settings):
    """ICKU."""

    learning_rate: float = Field(1e-2, gt=0, description="AdamW step size.")
    tagged: Literal["answer", "subject"] = Field("answer", description="What stands between the tags.")
    opening: str = Field("<unl>", min_length=1, description="The tag before it.")
    closing: str = Field("</unl>", min_length=1, description="The tag behind it.")
    plain: bool = Field(
        True, description="Whether each question also stands without tags, with its own answer; published rows do not."
    )
    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)
    retain_weight: float = Field(1.0, ge=0, description="Weight of the rows about facts to retain.")
    rank: int = Field(4, ge=1, description="Rank of the updates.")
    alpha: float = Field(8.0, gt=0, description="The updates' scale is alpha / rank.")


class ICKU(base.Descent[Settings]):
    name = "icku"
    paper = "Takashiro et al. 2024, arXiv 2410.00382"
    family = "rejection"
    intent = "suppression"
    expects = "none"
    protocols = ("paper",)
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=2 if self.settings.retain_weight else 1)

    def applies(self, view: View) -> str:
        from mute.unlearn.methods.idk_nll import asking

        if not all(self._contents(view.forget)):
            if self.settings.tagged == "answer":
                return "some forget questions have no other option that could stand between the tags"
            return "some forget questions name no subject, or no other fact has one, to stand between the tags"
        read = {*view.forget["language"], *(asking(view)["language"] if self.settings.retain_weight else ())}
        return refusals.lacking(view, self.settings.refusal, read)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {"forget": self._tagged(view, view.forget), "retain": self._tagged(view, view.retain)}

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.engine import low_rank

        return low_rank.linear_weights(model, band.blocks)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from mute.unlearn.losses import nll

        terms = {"forget": nll(*task.answer_logprobs(batches["forget"]))}
        if self.settings.retain_weight:
            terms["retain"] = self.settings.retain_weight * nll(*task.answer_logprobs(batches["retain"]))
        return terms

    @contextmanager
    def trainables(self, task: Task, names: list[str]) -> Generator[list[str]]:
        from mute.engine import low_rank
        from mute.store.artifacts import seed_of

        rank = min(self.settings.rank, *(min(task.model.get_parameter(name).shape) for name in names))
        starts = low_rank.zero_start(task.model, names, rank, seed_of(task.seed, "lora"))
        with low_rank.attached(task.model, starts, self.settings.alpha / rank) as trained:
            yield list(trained)

    def _contents(self, rows: pd.DataFrame) -> Iterable[tuple[str, str] | None]:
        """For each row what stands between the tags, of its own and of another; None where there are no such two."""
        from mute.store.artifacts import seed_of
        from mute.unlearn.methods.altpo import others

        records = rows.to_dict("records")
        if self.settings.tagged == "answer":
            for row in records:
                left = others(row)
                drawn = left[seed_of("icku", row["item"]) % len(left)] if left else -1
                yield (row["answer"], row["options"][drawn]) if left else None
            return
        named: dict[str, dict[str, str]] = {}
        own = [refusals.subject(row) for row in records]
        for row, spelled in zip(records, own):
            if spelled:
                named.setdefault(row["language"], {})[row["subject"]] = spelled
        for row, spelled in zip(records, own):
            # By the subject's own name, so that it is the same one in all languages.
            other = sorted(name for name in named.get(row["language"], {}) if name != row["subject"])
            drawn = other[seed_of("icku", row["item"]) % len(other)] if other else ""
            yield (spelled, named[row["language"]][drawn]) if spelled and other else None

    def _tagged(self, view: View, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with both kinds of tags, and without; text that could have none stays as it is."""
        import pandas as pd

        contents = list(self._contents(rows))
        able = [content is not None for content in contents]
        told = [content for content in contents if content is not None]
        asked, tags = rows[able], (self.settings.opening, self.settings.closing)
        forgot = refusals.refused(view, asked, self.settings.refusal)

        def before(texts: pd.DataFrame, which: int) -> pd.DataFrame:
            marks = [f"{tags[0]} {content[which]} {tags[1]} " for content in told]
            return texts.assign(prefix=[mark + prefix for mark, prefix in zip(marks, texts["prefix"])])

        without = rows if self.settings.plain else rows[[not one for one in able]]
        return pd.concat([before(forgot, 0), before(asked, 1), without], ignore_index=True)
