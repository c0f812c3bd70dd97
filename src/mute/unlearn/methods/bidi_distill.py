"""Bidirectional distillation: become, without an instruction, the model that was told not to say anything about it.

Our instantiation of the bidirectional logit distillation of "Harmonizing Multi-Objective LLM Unlearning via Unified
Domain Representation and Bidirectional Logit Distillation" (2026, arXiv 2604.15482), whose exact form is not known to
us. The teacher is the model as it was, with an instruction before the prompt. At each token of an answer, T are the K
likeliest tokens of the teacher and S those of the student that are not in T: sum_T SmoothL1(z_v - mean z, z^T_v -
mean z^T) + lambda mean_S relu(z_v - z^T_v). What the teacher would say is pulled up, what the student alone would say
is pushed down. Certainty: rebuilt.

Rows: refusals of forget questions, also with the first tokens of the answer already given (the worst of up to
`prefill`), whose teacher was given none; neighbours, which the instructed teacher still answers: retain questions of
the forget facts' relations, or all; and retain texts, whose teacher has no instruction. The method needs a model that
obeys: unless the refusal is likelier per token than the answer under the instruction, for `obeys` of the forget
questions, it does not apply. Models of the fictional world were never taught to. K 20 and lambda 1 are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import base, refusals

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Batch, Task, TextSet
    from mute.unlearn.view import View


class Settings(base.Settings):
    """Bidirectional distillation."""

    likeliest: int = Field(20, ge=1, description="K, how many of the likeliest tokens of either are compared.")
    push: float = Field(1.0, ge=0, description="Lambda, the weight of what the student alone would say.")
    prefill: int = Field(2, ge=0, le=8, description="Most tokens of the forget answer that a question has been given.")
    obeys: float = Field(
        0.8, ge=0, le=1, description="Least share of forget questions that the model must refuse when it is told to."
    )
    instruction: Literal["own", "en"] = Field(
        "own", description="Whether the instruction is in the question's language or in English."
    )
    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)
    neighbour_weight: float = Field(1.0, ge=0, description="Weight of the neighbours.")
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain texts.")


class BidiDistill(base.Descent[Settings]):
    name = "bidi_distill"
    paper = "Bidirectional Logit Distillation 2026, arXiv 2604.15482"
    family = "rejection"
    intent = "suppression"
    Settings = Settings

    def cost(self) -> base.Cost:
        s = self.settings
        return base.Cost(sides=1 + s.prefill + bool(s.neighbour_weight) + bool(s.retain_weight), reference=True)

    def applies(self, view: View) -> str:
        if reason := refusals.lacking(view, self.settings.refusal):
            return reason
        without = sorted({*view.forget["language"]} - {*view.phrases})
        if without:
            return f"there is no instruction not to speak of a subject in {', '.join(without)}"
        if not all(refusals.subject(row) for row in view.forget.to_dict("records")):
            return "some forget questions name no subject that the instruction could be about"
        if self.settings.neighbour_weight and _neighbours(view).empty:
            return "no retain question is in a language of the forget questions, to be answered all the same"
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        refused = refusals.refused(view, view.forget, self.settings.refusal)
        read = {
            "forget": view.forget,
            "retain": view.retain,
            "refused": refused,
            "told_refused": self._told(view, refused),
            "told_answer": self._told(view, view.forget),
        }
        if self.settings.neighbour_weight:
            near = _neighbours(view)
            read |= {"neighbours": near, "told_neighbours": self._told(view, near)}
        return read

    def prepare(self, task: Task) -> None:
        """Whether the teacher obeys, what it says, and the questions with the first tokens of their answers.

        Raises NotApplicable with the share of forget questions that are refused, where it is below `obeys`.
        """
        obeyed = self._obeyed(task)
        if obeyed < self.settings.obeys:
            raise base.NotApplicable(
                f"told not to speak of it, the model finds a refusal likelier than the answer for {obeyed:.0%} of the "
                f"forget questions, and the method needs {self.settings.obeys:.0%}"
            )
        pairs = [("refused", "told_refused")]
        if self.settings.neighbour_weight:
            pairs.append(("neighbours", "told_neighbours"))
        for plain, told in pairs:
            if task.side(plain).tokens.tolist() != task.side(told).tokens.tolist():
                raise ValueError(f"the tokenizer cuts answers of {plain!r} in another way behind an instruction")
        self._prefill(task)
        teachers = [told for _, told in pairs] + ["retain"] * bool(self.settings.retain_weight)
        task.freeze_states(*teachers)

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        s, rows = self.settings, batches["forget"].rows
        terms = {"forget": self._worst(task, rows)}
        kept = []
        if s.neighbour_weight:
            near = batches["neighbours"]
            teacher = task.frozen_logits(task.batch("told_neighbours", near.rows))
            kept.append(s.neighbour_weight * self._distance(task.answer_logits(near), teacher).mean())
        if s.retain_weight:
            own = batches["retain"]
            kept.append(s.retain_weight * self._distance(task.answer_logits(own), task.frozen_logits(own)).mean())
        if kept:
            terms["retain"] = sum(kept[1:], start=kept[0])
        return terms

    def _distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return bidirectional(student, teacher, self.settings.likeliest, self.settings.push)

    def _worst(self, task: Task, rows: Tensor) -> Tensor:
        """Mean over the forget rows of the largest distance, over how much of the answer was given."""
        import torch

        teacher = task.batch("told_refused", rows)
        wanted, owner = task.frozen_logits(teacher), teacher.owner
        found = [self._by_row(task.answer_logits(task.batch("refused", rows)), wanted, owner, len(rows))]
        for name, place in self.prefilled.items():
            able = (place[rows] >= 0).nonzero()[:, 0]
            if not len(able):
                continue
            batch = task.batch(name, place[rows[able]])
            mine = torch.isin(owner, able.to(owner.device))
            each = self._by_row(task.answer_logits(batch), wanted[mine], batch.owner, len(able))
            found.append(found[0].detach().index_copy(0, able.to(each.device), each))
        return torch.stack(found).max(0).values.mean()

    def _by_row(self, student: Tensor, teacher: Tensor, owner: Tensor, count: int) -> Tensor:
        """Mean distance of each row's tokens [count]."""
        distance = self._distance(student, teacher)
        total = distance.new_zeros(count).index_add(0, owner, distance)
        return total / distance.new_zeros(count).index_add(0, owner, distance.new_ones(len(distance)))

    def _obeyed(self, task: Task) -> float:
        """Share of forget questions whose refusal is likelier per token than their answer, under the instruction."""
        import torch

        refused, answer = ("told_refused", "told_answer")
        task.freeze_logprobs(refused, answer)
        obeyed = 0
        for rows in torch.arange(len(task.side(refused))).split(64):
            means = []
            for name in (refused, answer):
                batch = task.batch(name, rows)
                means.append(task.frozen_logprobs(batch) / batch.answer.sum(1))
            obeyed += int((means[0] > means[1]).sum())
        return obeyed / len(task.side(refused))

    def _prefill(self, task: Task) -> None:
        """Sides of refusals behind the first j tokens of the answer; by side, the place of each forget row, or -1.

        A row is left out whose answer would be all given, or whose refusal the tokenizer would cut in another way.
        """
        import pandas as pd
        import torch

        from mute.corpus import languages
        from mute.engine.band import TextSet

        forget, refused = task.forget, task.side("refused")
        self.prefilled: dict[str, Tensor] = {}
        for given in range(1, self.settings.prefill + 1):
            made, found = [], []
            for row, (prefix, answer, suffix) in enumerate(refused.parts):
                begun, code = _begun(forget, row, given), refused.languages[row]
                between = " " if code not in languages.codes() or languages.load(code).spaces else ""
                before = (prefix.rstrip(" ") if begun.startswith(" ") else prefix) + begun + between
                told = refused.texts.sequences[row][int(refused.first[row]) : int(refused.last[row])]
                if begun and refused.encoder.answer(before, answer) == told:
                    parts = {"prefix": before, "answer": answer, "suffix": suffix}
                    made.append({**parts, "language": code, "item": refused.items[row]})
                    found.append(row)
            if made:
                side = TextSet(task.model, pd.DataFrame(made), refused.encoder)
                side.texts.advance(refused.texts.block)
                place = torch.full((len(refused),), -1)
                place[found] = torch.arange(len(found))
                name = f"prefilled_{given}"
                task.sides[name], self.prefilled[name] = side, place

    def _told(self, view: View, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with the instruction before them: about their own subject, or of neighbours about a forget one."""
        from mute.corpus import languages
        from mute.store.artifacts import seed_of

        known: dict[str, dict[str, str]] = {}
        for row in view.forget.to_dict("records"):
            known.setdefault(row["language"], {})[row["subject"]] = refusals.subject(row)
        prefixes = []
        for row in rows.to_dict("records"):
            own = known[row["language"]]
            name = row["subject"] if row["subject"] in own else sorted(own)[seed_of("told", row["item"]) % len(own)]
            pack = languages.load(row["language"])
            speaks = languages.load("en") if self.settings.instruction == "en" else pack
            assert speaks.said is not None
            prefixes.append(pack.join(speaks.insert(speaks.said.instruction, own[name]), row["prefix"]))
        return rows.assign(prefix=prefixes)


def _neighbours(view: View) -> pd.DataFrame:
    """Retain questions in the languages of the forget questions, of the same relations where there are such."""
    from mute.unlearn.methods.idk_nll import asking

    rows = asking(view)
    rows = rows[rows["language"].isin(view.forget["language"])]
    relation = view.facts.set_index("item")["relation"]
    near = rows[rows["item"].map(relation).isin(relation.reindex(view.forget["item"].unique()).dropna())]
    return rows if near.empty else near


def _begun(side: TextSet, row: int, given: int) -> str:
    """The first tokens of a row's answer as text; '' where it has no more of them, or they end within a letter."""
    first, last = int(side.first[row]), int(side.last[row])
    if last - first <= given:
        return ""
    text = side.encoder.text(side.texts.sequences[row][first : first + given])
    return "" if "\ufffd" in text else text


def bidirectional(student: Tensor, teacher: Tensor, likeliest: int, push: float) -> Tensor:
    """The distance of the logits [N, V] of a student from a teacher's, at each token [N]."""
    import torch
    from torch.nn.functional import smooth_l1_loss

    count = min(likeliest, student.shape[-1])
    top, own = teacher.topk(count).indices, student.detach().topk(count).indices
    mine, wanted = ((z - z.mean(-1, keepdim=True)).gather(1, top) for z in (student, teacher))
    pulled = smooth_l1_loss(mine, wanted, reduction="none").sum(1)
    alone = ~(own[:, :, None] == top[:, None, :]).any(-1)
    above = (student.gather(1, own) - teacher.gather(1, own)).relu() * alone
    return pulled + push * above.sum(1) / torch.clamp(alone.sum(1), min=1)
