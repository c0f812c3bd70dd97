"""Canonicalisation: in a band that was edited in the source languages, states of all texts stand where theirs do.

Ours. An edit of the band by another method, trained on source texts alone, is in place while the guard stands and no
longer: the model's own weights never differ. At the band's input the states of a text are moved by the mean state of
the source languages less that of its own language, and behind the band they are moved back, so that the edit meets what
it was made for. Nobody says what language a text has: at each token it is the one whose mean is nearest to the mean of
the text's states so far. Means are over the tokens of the retain side, so that only languages that it holds are known
(retain coverage `all` or `source+text`); a source language is not moved. `moved: own` needs none: the mean so far
stands for the language's. Controls: `random`, a direction drawn for each language, as long; `nothing`, the edit alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from mute.models.treatment import Treatment
from mute.store.records import Record
from mute.unlearn import base, wrapper

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.models.anatomy import Model
    from mute.unlearn.view import View

Moved = Literal["language", "own", "random", "nothing"]
_EDIT = "edit."


class Settings(base.Settings):
    """Canonicalisation."""

    of: str = Field("rmu", description="The method that edits the band: a descent.")
    inner: Record = Field({}, description="Settings of that method; steps, batches and the rate are set here.")
    moved: Moved = Field(
        "language",
        description="By what states are moved: `language`, the mean of the language that they are nearest to; `own`, "
        "the mean of the text so far; `random` and `nothing` are the controls.",
    )
    scale: float = Field(1.0, ge=0, le=1, description="How much of the edit is in place; 0: nothing is done at all.")
    learning_rate: float = Field(3e-3, gt=0, description="AdamW step size of the edit.")
    steps: int = Field(100, ge=1, description="Steps of the edit.")
    strengths: list[float] = Field([], description="Not used: the guard is fitted once.")

    @property
    def within(self) -> list[str]:
        return [self.of]

    @model_validator(mode="after")
    def _of_a_descent(self) -> Settings:
        wrapper.wrapped(self.of, self.inner)
        return self


class Edited(Treatment):
    """A band that is edited while this stands. edit: parameters of the band as edited, by name; none: the base."""

    name = "canonicalisation"

    def __init__(self, edit: Mapping[str, Tensor]) -> None:
        self.edit = dict(edit)

    def weights(self, model: Model) -> AbstractContextManager[object]:
        from mute.models import patches

        return patches.applied(model, self.edit)


class Canonical(Edited):
    """An edited band whose input is moved.

    start, stop: the band; means [K, D] of the languages' states, of which those of `source` [K] are source languages;
    shifts [K, D]: by what states of each language are moved, or None: by what their own mean so far is away; begin:
    tokens that stand before every text, which are never moved.
    """

    def __init__(
        self,
        edit: Mapping[str, Tensor],
        start: int,
        stop: int,
        *,
        means: Tensor,
        source: Tensor,
        shifts: Tensor | None,
        begin: int,
    ) -> None:
        super().__init__(edit)
        self.start, self.stop, self.begin = start, stop, begin
        self.means, self.source, self.shifts = means, source, shifts
        # Moves of batches that have entered the band and not left it, by their tokens.
        self._inside: dict[bytes, Tensor] = {}

    def states(self, block: int, hidden: Tensor, ids: Tensor) -> Tensor:
        if block not in (self.start, self.stop):
            return hidden
        batch = ids.cpu().numpy().tobytes()
        if block == self.start:
            self._inside[batch] = moves = self.moves(hidden)
            return hidden + moves.to(hidden)
        return hidden - self._inside.pop(batch).to(hidden)

    def moves(self, hidden: Tensor) -> Tensor:
        """By what the states [B, T, D] of texts at the band's input are moved [B, T, D], float64; each token by those
        that stand before it and itself alone."""
        import torch

        known = self.means.to(hidden.device, torch.float64)
        so_far = running(hidden, self.begin)
        code = torch.cdist(so_far, known.expand(len(hidden), -1, -1)).argmin(-1)
        if self.shifts is None:
            source = self.source.to(hidden.device)
            moved = (known[source].mean(0) - so_far).masked_fill(source[code][..., None], 0)
        else:
            moved = self.shifts.to(hidden.device, torch.float64)[code]
        moved[:, : self.begin] = 0
        return moved


class Canonicalisation(base.Guard[Settings]):
    name = "canonicalisation"
    paper = "ours"
    Settings = Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.inner = wrapper.wrapped(settings.of, settings.inner)

    def cost(self) -> base.Cost:
        return base.Cost(trains="nothing", sides=2, passes=1 + self.settings.steps)

    def applies(self, view: View) -> str:
        return self.inner.applies(view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        return self.inner.reads(view)

    def fit(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.engine import sections
        from mute.unlearn.detectors import reading

        band = task.band
        if band.full or band.stop >= sections.depth(task.model):
            raise base.NotApplicable("there is no block behind the band at whose input states could be moved back")
        begin, sources = reading.begins(task.forget.encoder), set(task.forget.languages)
        found = language_means(task, begin)
        codes = sorted(found)
        means, source = torch.stack([found[code] for code in codes]), torch.tensor([c in sources for c in codes])
        return {
            **{_EDIT + name: tensor for name, tensor in self._edited(task).items()},
            "means": means,
            "source": source,
            "shifts": self._shifts(means, source, codes, task.seed),
            "where": torch.tensor([band.start, band.stop, begin]),
        }

    def treatment(self, fitted: Mapping[str, Tensor]) -> Edited:
        edit = {name.removeprefix(_EDIT): own for name, own in fitted.items() if name.startswith(_EDIT)}
        if not edit or self.settings.moved == "nothing":
            return Edited(edit)
        start, stop, begin = fitted["where"].tolist()
        means, source, shifts = (fitted[key].cpu() for key in ("means", "source", "shifts"))
        by = None if self.settings.moved == "own" else shifts
        return Canonical(edit, start, stop, means=means, source=source, shifts=by, begin=begin)

    def _shifts(self, means: Tensor, source: Tensor, codes: list[str], seed: int) -> Tensor:
        """[K, D]: none of a source language."""
        import torch

        from mute.store.artifacts import seed_of

        shifts = (means[source].mean(0) - means) * ~source[:, None]
        if self.settings.moved != "random":
            return shifts
        drawn = [
            torch.randn(means.shape[1], generator=torch.Generator().manual_seed(seed_of(seed, "moved", code)))
            for code in codes
        ]
        directions = torch.nn.functional.normalize(torch.stack(drawn).to(means), dim=1)
        return directions * shifts.norm(dim=1, keepdim=True)

    def _edited(self, task: Task) -> dict[str, Tensor]:
        """The parameters of the band after the edit, so far as `scale` says; the model stays as it is."""
        from mute.engine import low_rank
        from mute.engine.steps import Steps
        from mute.models import patches

        s, inner, model = self.settings, self.inner, task.model
        if not s.scale:
            return {}
        names = inner.parameters(model, task.band)
        with patches.kept(model, names) as before:
            task.train(names)
            inner.prepare(task)
            with inner.trainables(task, names) as trained:
                steps = Steps([model.get_parameter(name) for name in trained], s.learning_rate)
                drawn = {side: task.draws(side, s.batch_size, "canonical") for side in task.sides}
                for _ in range(s.steps):
                    batches = {side: next(batch) for side, batch in drawn.items()}
                    steps.take(task.gradients(inner.loss(task, batches), trained))
                steps.end()
                made = patches.take(model, names) if trained == names else low_rank.merged(model, names)
            model.requires_grad_(False)
            return {name: before[name].lerp(made[name].to(before[name]), s.scale) for name in names}


def language_means(task: Task, begin: int) -> dict[str, Tensor]:
    """Mean state [D] of each language of the retain side at the band's input, float64, on the CPU.

    Over the tokens of a text but the first `begin`, then over texts.
    """
    import torch

    found: dict[str, list[Tensor]] = {}
    texts = task.retain.texts
    for rows in texts.batches:
        own = texts.at(texts.positions(rows)).detach()[:, begin:].double().mean(1).cpu()
        for row, mean in zip(rows, own):
            found.setdefault(task.retain.languages[row], []).append(mean)
    return {code: torch.stack(means).mean(0) for code, means in found.items()}


def running(hidden: Tensor, begin: int) -> Tensor:
    """Mean [B, T, D] of each token's state and all before it but the first `begin`, float64; of these, their own."""
    import torch

    own = hidden.double()
    count = torch.arange(1, own.shape[1] - begin + 1, device=own.device)[:, None]
    return torch.cat([own[:, :begin], own[:, begin:].cumsum(1) / count], 1)
