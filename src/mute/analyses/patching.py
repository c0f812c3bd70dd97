"""Patching: what a forgotten answer owes to the states at a block, with those of the base, or of the edit, in place.

States of the base at the tokens from which an answer is read (the last of the prompt, and each of the answer before the
next) replace the edited model's own at the output of one block; all above it runs as the edit has left it. What comes
back where a base's states are put in at a block was not erased above it: where it is all, the edit lies below. After
causal tracing (Meng et al. 2022, arXiv 2202.05262) and activation patching of unlearned models (Hong et al.,
2406.11614); ours in its normalisation.

The other way round, beside an oracle: the unlearning depth score (UDS) of Lee et al. 2026 (arXiv 2605.24614). States of
the oracle are put into the base, and what the answer loses at a block (D1) says how much of it stands there; states of
the edited model are put there, too (D2). Over the blocks at which D1 exceeds tau, the score of a question is
Σ D1 clip(D2 / D1, 0, 1) / Σ D1: 1 where the edit left no more than the oracle has, 0 where all is there. A model that
was wrecked has no answer in its states either, and scores 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.sections import Texts
    from mute.evaluate.asked import Asked
    from mute.evaluate.scoring import Queries
    from mute.evaluate.subject import Subject
    from mute.models.anatomy import Model


class Settings(base.CellSettings):
    """Patching of states of the base."""

    least: float = Field(
        0.1, gt=0, description="Nats a token that an edit must have taken for a share of it to be given."
    )
    donors: list[Literal["base", "oracle"]] = Field(
        ["base"],
        min_length=1,
        description="Whose states are looked at: `base`, put into the edit; `oracle`, put into the base beside the "
        "edit's, where the study has one, which is then a second model in memory.",
    )
    tau: float = Field(
        0.05, gt=0, description="Nats a token that a block must lose with the oracle's states to count in the UDS."
    )


class Patching(base.Analysis[Settings]):
    """By block and language, of the forget facts: mean log-probability of an answer token, in nats.

    logprob: of the model as it is, in every block the same. logprob_patched: with the base's states put in at the
    block's output; logprob_shuffled: with those of the base on another question of the language, the control.
    recovered, recovered_shuffled: what that is of the way from the edit back to the base; 0 nothing, 1 all; absent
    where the edit took less than `least`. Of a base, patched by itself, both log-probabilities are one. Of guards there
    is no row.

    With the donor `oracle`: lost_oracle, lost, what the base loses with the oracle's states, and with the edit's, at
    the block's output; and at the first block uds, mean over the questions that have a block which counts.
    """

    name = "patching"
    paper = "Meng et al. 2022 (arXiv 2202.05262); Hong et al. 2024 (2406.11614); Lee et al. 2026 (2605.24614); ours"
    Settings = Settings
    settings: Settings

    def reads_oracle(self) -> bool:
        return "oracle" in self.settings.donors

    def asks(self) -> float:
        return 6.0 * len(self.settings.donors)

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        from mute.evaluate.scoring import Queries

        rows: list[list[object]] = []
        if not subject.treatments:
            given = asked.queries.rows
            queries = Queries(given.assign(options=[[] for _ in range(len(given))], gold=-1), asked.encoder)
            if "base" in self.settings.donors:
                rows += self._of_base(subject, queries, case)
            if "oracle" in self.settings.donors and case.oracle is not None:
                rows += self._of_oracle(subject, queries, case, case.oracle)
        table = pd.DataFrame(rows, columns=list(base.COLUMNS))
        # Of a model that gives no numbers there is nothing to say.
        return table[table["value"].notna()].reset_index(drop=True)

    def _of_base(self, subject: Subject, queries: Queries, case: base.Case) -> list[list[object]]:
        """States of the base in the edit."""
        from mute.engine import sections

        rows: list[list[object]] = []
        read, other, given = _read(queries), _others(queries), queries.rows
        blocks = range(case.first, sections.depth(subject.model))
        with subject.before() as model:
            texts = _standing(model, queries, case.first)
            whole, kept = _means(queries, queries.run(model, texts).logprob), {}
            for block in blocks:
                texts.advance(block + 1)
                kept[block] = texts.states[_places(texts, read)]
        texts = _standing(subject.model, queries, case.first)
        plain = _means(queries, queries.run(subject.model, texts).logprob)
        places, counts = _places(texts, read), {str(code): len(own) for code, own in given.groupby("language")}
        for block in blocks:
            texts.advance(block + 1)
            ran = {
                "patched": _means(queries, _patched(subject, queries, texts, places, kept[block])),
                "shuffled": _means(queries, _patched(subject, queries, texts, places, kept[block][other])),
            }
            for code, n in counts.items():
                lost = whole[code] - plain[code]
                found = {"logprob": plain[code]} | {f"logprob_{name}": value[code] for name, value in ran.items()}
                if lost >= self.settings.least:
                    found["recovered"] = (ran["patched"][code] - plain[code]) / lost
                    found["recovered_shuffled"] = (ran["shuffled"][code] - plain[code]) / lost
                rows += [[name, block, code, float(value), n] for name, value in found.items()]
        return rows

    def _of_oracle(self, subject: Subject, queries: Queries, case: base.Case, oracle: Model) -> list[list[object]]:
        """States of the oracle, and of the edit, in the base: at every block, for below the first nothing was lost."""
        import torch

        from mute.engine import sections

        read, depth = _read(queries), sections.depth(subject.model)
        texts, edited = _standing(subject.model, queries, case.first), {}
        for block in range(case.first, depth):
            texts.advance(block + 1)
            edited[block] = texts.states[_places(texts, read)]
        beside = _standing(oracle, queries, 0)
        with subject.before() as model:
            texts = _standing(model, queries, 0)
            whole = _each(queries, queries.run(model, texts).logprob)
            lost = torch.zeros(2, len(whole), depth, dtype=torch.float64)
            for block in range(depth):
                texts.advance(block + 1)
                beside.advance(block + 1)
                donors = [beside.states[_places(beside, read)].to(texts.states), edited.get(block)]
                for own, states in zip(lost, donors):
                    if states is not None:
                        put = _patched(subject, queries, texts, _places(texts, read), states)
                        own[:, block] = whole - _each(queries, put)
        found = [("uds", case.first, uds(*lost, self.settings.tau))]
        found += [(name, block, own[:, block]) for name, own in zip(("lost_oracle", "lost"), lost) for block in edited]
        rows: list[list[object]] = []
        for name, block, values in found:
            each = queries.rows[["language"]].assign(value=values.numpy()).dropna().groupby("language")["value"]
            counts = each.size()
            rows += [[name, block, code, float(value), int(counts[code])] for code, value in each.mean().items()]
        return rows


def uds(oracle: Tensor, edited: Tensor, tau: float) -> Tensor:
    """The unlearning depth score of each question, 0 to 1, from what it loses [N, L] with the states of each; [N].

    NaN for a question of which no block loses more than tau with the oracle's states.
    """
    counts = oracle > tau
    # What counts is positive, so that D1 clip(D2 / D1, 0, 1) = clip(D2, 0, D1); where nothing counts, 0 / 0.
    gone = edited.clamp(min=0).minimum(oracle).where(counts, 0.0)
    return gone.sum(1) / oracle.where(counts, 0.0).sum(1)


def _standing(model: Model, queries: Queries, block: int) -> Texts:
    """The questions at a block, in states that no file keeps from there on: above, they may be an edit's."""
    from mute.engine import sections

    texts = sections.Texts(model, queries.sequences)
    texts.advance(block)
    texts.cache = None
    return texts


def _read(queries: Queries) -> tuple[Tensor, Tensor]:
    """Of each token of each answer, one after the other, the sequence and the place from which it is read."""
    points = queries.read_points[: queries.gold_reads]
    return queries.point_rows[points], queries.point_places[points]


def _places(texts: Texts, read: tuple[Tensor, Tensor]) -> Tensor:
    """Where these stand among the states."""
    return (texts.offsets[read[0]] + read[1]).to(texts.states.device)


def _patched(subject: Subject, queries: Queries, texts: Texts, places: Tensor, states: Tensor) -> Tensor:
    """Log-probability of each token that is read, with states [reads, D] in the place of the model's own."""
    import copy

    own = copy.copy(texts)
    own.states = texts.states.clone()
    own.states[places] = states
    return queries.run(subject.model, own).logprob


def _others(queries: Queries) -> list[int]:
    """For each token of an answer that of the language's next question at the same place, or its last."""
    sizes, rows = [len(gold) for gold in queries.golds], queries.rows
    following: dict[int, int] = {}
    for _, own in rows.groupby("language"):
        following |= dict(zip(own.index, [*own.index[1:], own.index[0]]))
    starts = [sum(sizes[:question]) for question in range(len(sizes))]
    return [
        starts[following[question]] + min(place, sizes[following[question]] - 1)
        for question, size in enumerate(sizes)
        for place in range(size)
    ]


def _each(queries: Queries, logprob: Tensor) -> Tensor:
    """Mean log-probability of an answer token of each question, float64 on the CPU."""
    import torch

    parts = logprob[: queries.gold_reads].cpu().double().split(list(map(len, queries.golds)))
    return torch.stack([part.mean() for part in parts])


def _means(queries: Queries, logprob: Tensor) -> pd.Series:
    """Mean log-probability of an answer token by language: of each question first."""
    own = _each(queries, logprob).numpy()
    return queries.rows[["language"]].assign(value=own).groupby("language")["value"].mean()
