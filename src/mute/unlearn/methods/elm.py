"""ELM: learn from the model itself what one would say who is no expert, and go beyond it.

Gandikota et al. 2024 (arXiv 2410.02760). For each answer token the target is softmax(log p(.|x) - e_t [log p(.|expert,
x) - log p(.|novice, x)]) with p the model before unlearning, x the prompt, and e_t linear from 1 to e over the tokens
of an answer. L = CE(target, model) on forget answers + w CE(p, model) on retain answers + w CE on answers that the
novice writes, so that what is said in the place stays fluent. Certainty: code. Published for 7B: e 1000, temperature
1.2 where the novice writes, weights 1, learning rate 5e-5, 3000 to 5000 texts, low-rank updates (rank 256, alpha 16) of
blocks 4 to 8.

By default the expert is the prompt as it is, and the novice the same prompt with a stranger in the subject's place, a
name of the same kind that no fact is about: what the model says there is what it says when it knows nothing. Where the
corpus has no such names, both are lines of the language's pack before the prompt (`View.phrases`), as published.
With e 1 the target is then
exactly that. Ours: e is 5, for answers here are a few tokens, and with 1000 the target of all but the first is the one
token that the novice favours most, likely or not; the novice writes the likeliest tokens, as many as the answer has;
and the band trains whole.
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


Novice = Literal["stranger", "lines"]


class Settings(base.Settings):
    """ELM."""

    novice: Novice | None = Field(
        None,
        description="Who is no expert: the prompt with a stranger in the subject's place, or lines of the language's "
        "pack before it, which small models were not taught; null: a stranger, where the corpus has any.",
    )
    eta: float = Field(5.0, ge=0, description="e, how far the last token's target goes from expert to novice.")
    retain_target: Literal["soft", "hard"] = Field(
        "soft",
        description="What retain answers are held to: the model's probabilities before, or its likeliest tokens.",
    )
    retain_weight: float = Field(1.0, ge=0, description="Weight of the retain term.")
    fluency_weight: float = Field(1.0, ge=0, description="Weight of the answers that the novice writes.")


def strengths(tokens: Tensor, eta: float) -> Tensor:
    """e_t [N] of all answer tokens, row by row: linear from 1 to e over a row's tokens [B]; of a single one 1.

    With e below 1, e throughout: there is nothing to grow to.
    """
    import torch

    last = max(eta, 0.0)
    first = min(1.0, last)
    return torch.cat([torch.linspace(first, last, int(n), dtype=torch.float64) for n in tokens])


def target(original: Tensor, expert: Tensor, novice: Tensor, strength: Tensor) -> Tensor:
    """softmax(log p - e_t [log p(expert) - log p(novice)]) [N, V] of logits [N, V] and e_t [N]."""
    away = expert.log_softmax(-1) - novice.log_softmax(-1)
    return (original.log_softmax(-1) - strength.to(away)[:, None] * away).softmax(-1)


def cross_entropy(wanted: Tensor, logits: Tensor) -> Tensor:
    """-E sum_v wanted log softmax(logits), mean over rows [N, V]."""
    return -(wanted * logits.log_softmax(-1)).sum(-1).mean()


class ELM(base.Descent[Settings]):
    name = "elm"
    paper = "Gandikota et al. 2024, arXiv 2410.02760"
    family = "representation"
    Settings = Settings

    def cost(self) -> base.Cost:
        return base.Cost(sides=3 if self.settings.fluency_weight else 2, reference=True)

    def applies(self, view: View) -> str:
        from mute.unlearn import unknown

        if len(prefixed(view, self.settings.novice)["forget"]):
            return ""
        lines = "no language pack has lines of an expert and a novice about subjects that prompts name"
        return {"stranger": unknown.NONE, "lines": lines}.get(str(self.settings.novice), f"{lines}, and {unknown.NONE}")

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return {**prefixed(view, self.settings.novice), "retain": view.retain}

    def prepare(self, task: Task) -> None:
        prompts = [name for name in ("forget", "expert", "novice") if name in task.sides]
        task.freeze_states("retain", *prompts)
        sides = [task.side(name) for name in prompts]
        answers = [[own.encoder.answer(prefix, answer) for prefix, answer, _ in own.parts] for own in sides]
        if any(own != answers[0] for own in answers):
            raise base.NotApplicable("answers have other tokens after the lines of an expert or a novice")
        if self.settings.fluency_weight:
            self._write(task)

    def _write(self, task: Task) -> None:
        """A side `fluent`: the forget prompts with what the novice answers, where that is anything."""
        import pandas as pd

        from mute.engine import writing
        from mute.engine.band import TextSet

        novice, own = task.side("novice"), task.forget
        prompts = [own.encoder.prompt(prefix) for prefix, _, _ in novice.parts]
        said = [own.encoder.text(t).strip() for t in writing.greedy(task.model, prompts, novice.tokens.tolist())]
        rows = [
            {"prefix": prefix, "answer": text, "suffix": "", "language": language, "item": item}
            for text, (prefix, _, _), language, item in zip(said, own.parts, own.languages, own.items)
            if text
        ]
        if rows:
            made = TextSet(task.model, pd.DataFrame(rows), own.encoder)
            made.texts.advance(own.texts.block)
            task.sides["fluent"] = made

    def terms(self, task: Task, batches: Mapping[str, Batch]) -> dict[str, Tensor]:
        import torch

        from mute.unlearn.losses import nll

        forget, retain, s = batches["forget"], batches["retain"], self.settings
        with torch.no_grad():
            original = task.frozen_logits(forget)
            expert, novice = (
                task.frozen_logits(task.batch(name, forget.rows)) if name in task.sides else original
                for name in ("expert", "novice")
            )
            wanted = target(original, expert, novice, strengths(forget.answer.sum(1).cpu(), s.eta))
            kept = task.frozen_logits(retain)
            hard = s.retain_target == "hard"
            before = torch.nn.functional.one_hot(kept.argmax(-1), kept.shape[-1]) if hard else kept.softmax(-1)
        keep = s.retain_weight * cross_entropy(before, task.answer_logits(retain))
        if "fluent" in batches:
            keep = keep + s.fluency_weight * nll(*task.answer_logprobs(batches["fluent"]))
        return {"forget": cross_entropy(wanted, task.answer_logits(forget)), "retain": keep}


def prefixed(view: View, novice: Novice | None = None) -> dict[str, pd.DataFrame]:
    """Forget rows, and the same as an expert and a novice have them, row by row, of all rows that can be had so.

    No `expert`: the expert has the forget rows.
    """
    from mute.unlearn.refusals import subject
    from mute.unlearn.unknown import twins

    if novice == "stranger" or (novice is None and view.strangers):
        own = twins(view.forget, view)
        named = view.forget if len(own) == len(view.forget) else view.forget.loc[own.index]
        return {"forget": named, "novice": own}
    own = view.forget[view.forget["language"].isin(view.phrases)]
    who = [subject(row) for row in own.to_dict("records")]
    own, who = own.loc[[bool(name) for name in who]], [name for name in who if name]

    def after(part: str) -> pd.DataFrame:
        said = [getattr(view.phrases[code], part).replace("{s}", name) for code, name in zip(own["language"], who)]
        return own.assign(prefix=[f"{line} {prefix}" for line, prefix in zip(said, own["prefix"])])

    return {"forget": own, "expert": after("expert"), "novice": after("novice")}
