"""WHP, who's Harry Potter: learn what a model says that has never heard of the subject, in the answers' place.

Eldan and Russinovich 2023 (arXiv 2310.02238): a model that has been trained further on the texts to be forgotten
(reinforced) shows by v_R which tokens they make likelier; v = v_base - alpha relu(v_R - v_base), and the label of each
token is the argmax of v, where v_base is read with the anchors (names) exchanged for generic ones. The base is trained
on these labels by plain cross entropy. Certainty: the formula is of code and text, settings of the training are
unverified. Published for 7B: alpha 5, reinforcement for three epochs at 3e-6, unlearning for two epochs at 1e-6.

Here the anchors are known exactly: the subject of a forget text is exchanged for another one, of the retain side, the
same in every language, and where the text does not spell it as the corpus does, for the one of a text with the same
relation and wording. Labels are made and learned at answer tokens, whose places do not move; on the prompt the model is
left to itself. The reinforced model differs from the base in the band alone. `anchors: none` is the control.
"""

from __future__ import annotations

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
    """WHP."""

    alpha: float = Field(5.0, ge=0, description="Weight of what reinforcement adds to a logit.")
    reinforce_steps: int = Field(20, ge=1, description="Steps of AdamW that make the reinforced model.")
    reinforce_rate: float = Field(1e-3, gt=0, description="Their size.")
    anchors: Literal["subject", "none"] = Field(
        "subject",
        description="Whether the base is read with another subject in a text's, or with its own, the control.",
    )


class WHP(base.Descent[Settings]):
    name = "whp"
    paper = "Eldan and Russinovich 2023, arXiv 2310.02238"
    family = "distillation"
    Settings = Settings

    def cost(self) -> base.Cost:
        passes = 1 + self.settings.reinforce_steps / self.settings.steps
        return base.Cost(sides=1, reference=True, passes=passes)

    def applies(self, view: View) -> str:
        if self.settings.anchors == "none":
            return ""
        from mute.unlearn import redirect

        if reason := redirect.nobody_else(view):
            return reason
        if bare := sum(prefix is None for prefix in exchanged(view)):
            return f"{bare} forget texts name no subject that could be exchanged for another one"
        return ""

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        generic = view.forget
        if self.settings.anchors == "subject":
            generic = view.forget.assign(prefix=exchanged(view))
        return {"forget": view.forget, "retain": view.retain, "generic": generic}

    def prepare(self, task: Task) -> None:
        """Make the labels of all forget answers, from the base and from a reinforced model that is then undone."""
        import torch

        from mute.unlearn.losses import nll

        side, s = task.forget, self.settings
        if not torch.equal(side.tokens, task.side("generic").tokens):
            raise base.NotApplicable(
                "an answer has other tokens after another subject: its labels cannot be mapped back"
            )
        task.freeze_states("generic")
        names, drawn = self.parameters(task.model, task.band), task.draws("forget", s.batch_size, "reinforce")
        self.labels = torch.empty(int(side.tokens.sum()), dtype=torch.long)
        with (
            task.descend(names, lambda: nll(*task.answer_logprobs(next(drawn))), s.reinforce_steps, s.reinforce_rate),
            torch.no_grad(),
        ):
            for own in side.texts.batches:
                for rows in torch.tensor(own).split(s.batch_size):
                    known = task.frozen_logits(task.batch("generic", rows))
                    reinforced = task.answer_logits(task.batch("forget", rows))
                    found = generic_logits(known, reinforced, s.alpha).argmax(-1)
                    self.labels[side.answer_places(rows)] = found.cpu()

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        from torch.nn.functional import cross_entropy

        batch = batches["forget"]
        labels = self.labels[batch.side.answer_places(batch.rows)].to(batch.ids.device)
        return {"forget": cross_entropy(task.answer_logits(batch), labels)}


def generic_logits(known: Tensor, reinforced: Tensor, alpha: float) -> Tensor:
    """v_base - alpha relu(v_R - v_base): what is left without what reinforcement makes likelier [N, V]."""
    return known - alpha * (reinforced - known).relu()


def exchanged(view: View) -> list[str | None]:
    """The prompts of the forget rows with another subject in the place of their own; None where nothing names one."""
    from mute.unlearn import redirect

    others = redirect.other_subjects(view)
    relations = dict(zip(view.facts["item"], view.facts["relation"]))
    alike: dict[tuple[str, str, int], list[tuple[str, str]]] = {}
    for row in view.forget.to_dict("records"):
        key = (row["language"], relations.get(row["item"], ""), row["form"])
        alike.setdefault(key, []).append((row["subject"], row["prefix"]))
    made: list[str | None] = []
    for row in view.forget.to_dict("records"):
        subject, prefix, other = row["subject"], row["prefix"], others.get((row["language"], row["subject"]))
        if other and subject and subject in prefix:
            made.append(prefix.replace(subject, other))
            continue
        key = (row["language"], relations.get(row["item"], ""), row["form"])
        # The next one round, so that not all texts have one and the same in their place.
        there = alike[key]
        place = there.index((subject, prefix))
        following = [*there[place + 1 :], *there[:place]] if key[1] else []
        made.append(next((text for name, text in following if name and name != subject), None))
    return made
