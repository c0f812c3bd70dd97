"""A subject: a model with its treatments, the one thing that is asked questions.

It alone puts treatments on a model and picks the path: the tree of tokens where no treatment looks into blocks, rows
where one does, and the cached prefix up to the first block that differs.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mute.engine import sections
from mute.models import patches, treatment
from mute.models.treatment import Treatment, Where, in_place, overrides

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel

    from mute.evaluate.scoring import Answers, Queries, Texts, Treat, Watch


class Subject:
    """A model and what is done to it; the treatments act in their order. Without any it is the model itself.

    The last one stands nearest to whoever asks: questions come to it first, so that a guard hears what an attack behind
    it has made of them, and states, logits and replies last.

    base: what the parameters were that a patch has replaced, by name; of a model without one, none.
    """

    def __init__(
        self, model: PreTrainedModel, treatments: Sequence[Treatment] = (), base: patches.Tensors | None = None
    ) -> None:
        self.model, self.treatments, self.base = model, tuple(treatments), base or {}

    def with_(self, *treatments: Treatment) -> Subject:
        """The same with further treatments behind its own."""
        return Subject(self.model, (*self.treatments, *treatments), self.base)

    @contextmanager
    def before(self) -> Generator[PreTrainedModel]:
        """The model as it was before its patch; afterwards the patch is in place again, bit for bit."""
        with patches.applied(self.model, self.base):
            yield self.model

    @contextmanager
    def installed(self, *, plain: bool = False) -> Generator[PreTrainedModel]:
        """The model with all that is done to it; plain: to be called itself, and not through `ask`."""
        with treatment.installed(self.model, self.treatments, plain=plain):
            yield self.model

    @property
    def start(self) -> int:
        """The first block that differs from the model's, itself or in its input; its depth if none does."""
        if any(overrides(t, "embeddings") or overrides(t, "weights") for t in self.treatments):
            return 0
        inner = [t.start for t in self.treatments if overrides(t, "states")]
        return min([*inner, *self.mixed, sections.depth(self.model)])

    @property
    def mixed(self) -> dict[int, float]:
        """Blocks that are mixed with the identity, with their share."""
        return treatment.mixes(self.model, self.treatments)

    @property
    def looks_inside(self) -> bool:
        """Whether kept states of the model are not the subject's: it has hooks or weights of its own."""
        return any(overrides(t, point) for t in self.treatments for point in ("states", "embeddings", "weights"))

    @property
    def replies(self) -> bool:
        """Whether something else may be given in the place of what the model says."""
        return any(overrides(t, "reply") for t in self.treatments)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """What is asked in the place of these rows; the last treatment hears them first."""
        for each in reversed(self.treatments):
            asked = each.questions(rows)
            same = len(asked) == len(rows) and set(rows.columns) <= set(asked.columns)
            if not same or (asked["item"].to_numpy(object) != rows["item"].to_numpy(object)).any():
                raise ValueError(
                    f"{each.name}.questions must give one row for each of the {len(rows)} that it is given, in their "
                    "order, with their items and all of their columns"
                )
            rows = asked
        return rows

    def ask(self, queries: Queries, texts: Texts | None = None, watch: Watch | None = None) -> Answers:
        """Answers to the questions, while `installed`. texts: states of the model that are the subject's too.

        watch: what sees the distributions from which gold answers are read.
        """
        for each in self.treatments:
            each.asked(self.model, queries.prompts)
        own = self._own(queries, texts)
        return queries.run(self.model, own, self.mixed, self.treat, watch)

    def lens(self, queries: Queries, texts: Texts) -> list[Answers]:
        """What would be answered if the model ended after each block from where the texts stand on."""
        for each in self.treatments:
            each.asked(self.model, queries.prompts)
        own = self._own(queries, texts)
        if own.block < texts.block:
            own.advance(texts.block)
        return queries.run_lens(self.model, own)

    def _own(self, queries: Queries, texts: Texts | None) -> Texts:
        """Texts anew where a treatment has hooks: what is kept of the model is none of the subject's states."""
        if texts is not None and not self.looks_inside:
            if texts.block > self.start:
                raise ValueError(
                    f"the questions' states stand at block {texts.block}, but the subject differs from block "
                    f"{self.start} on: restart the texts first"
                )
            return texts
        own = queries.texts(self.model)
        own.advance(self.start if texts is None else min(self.start, texts.block))
        return own

    @property
    def treat(self) -> Treat | None:
        """What is done to logits, as `Queries.run` takes it; None for nothing."""
        own = [t for t in self.treatments if overrides(t, "logits")]
        if not own:
            return None

        def treat(logits: torch.Tensor, read: list[list[int]]) -> torch.Tensor:
            for each in own:
                logits = in_place(each, "logits", logits, each.logits(logits, Where(read)))
            return logits

        return treat

    def reply(self, question: str, text: str) -> str:
        """What is given in the place of what the model says."""
        for each in self.treatments:
            text = each.reply(question, text)
        return text
