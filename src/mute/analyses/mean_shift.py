"""Mean shift: what an edit leaves of knowledge in a held-out language whose states stand where the sources' do.

Ours. At the input of the first edited block the states of a language's questions are moved by the mean state of the
source languages less its own, and behind the last edited block they are moved back. If knowledge falls that the edit
left standing, the edit works there too and the language does not reach it. Controls: directions drawn at random, of
equal norm; the base; the same at a block far from the edit.
"""

from __future__ import annotations

import copy
import math
import weakref
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import Field

from mute.analyses import base
from mute.bands import is_block, named_blocks

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine import sections
    from mute.evaluate.asked import Asked
    from mute.evaluate.scoring import Queries, Texts
    from mute.evaluate.subject import Subject
    from mute.models.anatomy import Model

OfTexts = TypeVar("OfTexts", bound="Texts")
# Whose prompts give the means: the test's, and those of what is to be forgotten.
RETAIN, FORGET = "retain_seen", "forget"


class Settings(base.CellSettings):
    """Mean shift."""

    draws: int = Field(20, ge=1, le=10_000, description="Random directions of equal norm, for each language.")
    seed: int = Field(0, ge=0, description="From which they are drawn: the same in every cell.")
    prompts: int = Field(128, ge=1, description="Most prompts of a language that a mean is taken over.")
    several: bool = Field(False, description="Bands of several blocks too, such as 2-3, and not one block alone.")


class MeanShift(base.Analysis[Settings]):
    """One row per held-out language, at the first edited block: option accuracy on the forget facts.

    accuracy_plain: nothing is moved. accuracy_shifted: moved by means over prompts that the retain loss reads: no fact
    to be forgotten and none that is tested is among them. accuracy_shifted_forget: by means over the prompts of the
    facts to be forgotten, in the forms that unlearning reads: more than an offset of languages, for what a language
    makes of the subject matter is in it. accuracy_random_mean, _low, _high: mean, least and greatest of `draws` random
    directions as long as the first shift. accuracy_elsewhere: moved by the means at the end of the model that is
    farther from the edit, and back behind that block. shift: the first shift's norm, over the mean norm of the states
    that it moves from.
    """

    name = "mean_shift"
    paper = "ours"
    depends: ClassVar[tuple[str, ...]] = ("band", "sources")
    Settings = Settings
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        # What is kept of a model goes with its questions.
        self._benches: weakref.WeakKeyDictionary[Asked, _Bench] = weakref.WeakKeyDictionary()

    def applies(self, cell: base.Keys) -> bool:
        s = self.settings
        band = is_block(str(cell.band)) or (s.several and named_blocks(str(cell.band)) is not None)
        return band and super().applies(cell)

    def asks(self) -> float:
        return self.settings.draws + 4.0

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        rows: list[dict[str, object]] = []
        heldout = [code for code in asked.languages if code not in case.sources]
        # A guard stands around the model or in all of it: there is no block to which states could be moved.
        if heldout and not subject.treatments:
            if asked not in self._benches:
                self._benches[asked] = _Bench(asked, self.settings.prompts)
            bench = self._benches[asked]
            for code in heldout:
                found = self._looked(bench, case, code)
                n = len(bench.questions(code)[0].rows)
                own = {"block": case.band.start, "language": code, "n": n}
                rows += [{"measure": measure, **own, "value": value} for measure, value in found.items()]
        return pd.DataFrame(rows, columns=list(base.COLUMNS))

    def _looked(self, bench: _Bench, case: base.Case, code: str) -> dict[str, float]:
        import torch

        band, sources = case.band, [c for c in bench.languages if c in case.sources]
        shift = _shift(bench.means(RETAIN, band.start, band.start), sources, code)

        def accuracy(by: Tensor, start: int = band.start, stop: int = band.stop) -> float:
            return bench.accuracy(code, band.start, start, stop, by)

        drawn = [accuracy(way * shift.norm()) for way in directions(len(shift), self.settings, code)]
        found = {
            "accuracy_plain": accuracy(torch.zeros_like(shift)),
            "accuracy_shifted": accuracy(shift),
            "accuracy_random_mean": sum(drawn) / len(drawn),
            "accuracy_random_low": min(drawn),
            "accuracy_random_high": max(drawn),
            "shift": float(shift.norm()) / bench.size(RETAIN, band.start, code),
        }
        found["accuracy_shifted_forget"] = accuracy(_shift(bench.means(FORGET, band.start, band.start), sources, code))
        far = farther(band.start, band.stop, bench.depth)
        if far is not None:
            there = bench.means(RETAIN, far, band.start)
            found["accuracy_elsewhere"] = accuracy(_shift(there, sources, code), far, far + 1)
        return found


def _shift(means: dict[str, Tensor], sources: list[str], code: str) -> Tensor:
    """From a language's mean state to that of the source languages, each of which counts the same: [D]."""
    return sum(means[source] for source in sources) / len(sources) - means[code]


def directions(width: int, settings: Settings, code: str) -> Tensor:
    """Unit vectors drawn evenly from all directions [draws, D], of a language: the same for every cell and block."""
    import torch

    from mute.store.artifacts import seed_of

    generator = torch.Generator().manual_seed(seed_of(settings.seed, "mean_shift", code))
    drawn = torch.randn(settings.draws, width, generator=generator, dtype=torch.float64)
    return drawn / drawn.norm(dim=1, keepdim=True)


def farther(start: int, stop: int, depth: int) -> int | None:
    """The first or last block of a model, whichever is farther from blocks start..stop-1; None if these are all."""
    if start == 0 and stop == depth:
        return None
    return 0 if start >= depth - stop else depth - 1


class _Bench:
    """Questions and prompts of one model, with the states that they have below its edits, which are its base's."""

    def __init__(self, asked: Asked, most: int) -> None:
        from mute.engine import sections

        # Not `asked` itself, with which this goes.
        self.model: Model = asked.model
        self.encoder, self.corpus, self.languages = asked.encoder, asked.corpus, asked.languages
        self.roles, self.rows, self.most = asked.corpus.roles(asked.forget_set), asked.queries.rows, most
        self.depth = sections.depth(asked.model)
        self.skipped = len(asked.encoder.start)
        self._questions: dict[str, tuple[Queries, Texts]] = {}
        self._prompts: dict[tuple[str, str], sections.Texts] = {}
        self._means: dict[tuple[str, int], dict[str, tuple[Tensor, float]]] = {}

    def questions(self, code: str) -> tuple[Queries, Texts]:
        """The forget facts of a language. In texts of their own: no state is shared with another language."""
        from mute.engine import shared
        from mute.evaluate.scoring import Queries

        if code not in self._questions:
            queries = Queries(self.rows[self.rows["language"] == code], self.encoder)
            self._questions[code] = queries, shared.texts(self.model, queries.sequences, math.inf)
        return self._questions[code]

    def means(self, role: str, block: int, edited: int) -> dict[str, Tensor]:
        """Mean state [D] of every language at the input of a block, float64: over tokens, then over prompts.

        edited: the first block at which the model may differ from its base; above it means are its own.
        """
        return {code: mean for code, (mean, _) in self._at(role, block, edited).items()}

    def size(self, role: str, block: int, code: str) -> float:
        """Mean norm of the states of a language's prompts, over tokens and prompts, where the model is its base."""
        return self._at(role, block, block)[code][1]

    def _at(self, role: str, block: int, edited: int) -> dict[str, tuple[Tensor, float]]:
        if (role, block) in self._means and block <= edited:
            return self._means[role, block]
        found = {
            code: _pooled(self._states(self._texts(role, code), block, edited), self.skipped) for code in self.languages
        }
        if block <= edited:
            self._means[role, block] = found
        return found

    @staticmethod
    def _states(texts: OfTexts, block: int, edited: int) -> OfTexts:
        """A copy of texts at the input of a block; they themselves stand where the model may begin to differ."""
        if texts.block > edited:
            texts.restart()
        texts.advance(edited)
        return _through(texts, block)

    def _texts(self, role: str, code: str) -> sections.Texts:
        from mute.analyses import capture
        from mute.engine import sections

        if (role, code) not in self._prompts:
            forms = len(self.corpus.about["unlearning_forms"])
            items = self.roles.index[self.roles == role]
            rows = capture.parallel(self.corpus, self.languages, items, forms)
            if rows.empty:
                raise ValueError(f"mean_shift takes means over prompts of facts that are {role}; this corpus has none")
            for own, part in rows.groupby("language"):
                # Evenly from all forms and items, the same in every language.
                count = min(self.most, len(part))
                chosen = part["prefix"].iloc[[i * len(part) // count for i in range(count)]]
                sequences = [self.encoder.prompt(prefix) for prefix in chosen]
                self._prompts[role, str(own)] = sections.Texts(self.model, sequences)
        return self._prompts[role, code]

    def accuracy(self, code: str, edited: int, start: int, stop: int, by: Tensor) -> float:
        """Option accuracy of the model as it is now, states of a language moved at the input of `start` and moved back
        at that of `stop`; NaN where the model gives no numbers.

        edited: the first block at which the model may differ from its base.
        """
        queries, texts = self.questions(code)
        own = self._states(texts, start, edited)
        moved = (_places(own) >= self.skipped).to(own.states.device)[:, None]
        by = by.to(own.states)
        own.states = own.states + by * moved
        own = _through(own, stop)
        own.states = own.states - by * moved
        answers = queries.run(self.model, own)
        return math.nan if bool(answers.logprob.isnan().any()) else float(answers.option_hits().double().mean())


def _through(texts: OfTexts, block: int) -> OfTexts:
    """A copy of texts at the input of a block, by the model as it is; nothing of it is read from disk or kept there,
    where moved states would pass for the model's own.
    """
    own = copy.copy(texts)
    own.cache = None
    if own.block > block:
        own.restart()
    own.advance(block)
    return own


def _places(texts: Texts) -> Tensor:
    """Where in its sequence each state stands, from 0 [states]."""
    import torch

    from mute.engine.shared import SharedTexts

    if isinstance(texts, SharedTexts):
        return torch.cat([grown.places for grown in texts.trees])
    owner = torch.repeat_interleave(texts.offsets, texts.lengths)
    return torch.arange(len(owner)) - owner


def _pooled(texts: sections.Texts, skipped: int) -> tuple[Tensor, float]:
    """Mean state [D] and mean norm, over tokens but the first `skipped`, then over sequences."""
    import torch

    states, kept = texts.states.cpu().double(), _places(texts) >= skipped
    owner = torch.repeat_interleave(torch.arange(len(texts.lengths)), texts.lengths)[kept]
    counts = torch.bincount(owner, minlength=len(texts.lengths)).clamp(min=1)
    weight = 1 / (counts[owner] * len(counts))
    return (weight[:, None] * states[kept]).sum(0), float((weight * states[kept].norm(dim=1)).sum())
