"""Patching: how much of a forgotten answer comes back when states of the base stand in the edited model's place.

States of the base at the tokens from which an answer is read (the last of the prompt, and each of the answer before the
next) replace the edited model's own at the output of one block; all above it runs as the edit has left it. What comes
back where a base's states are put in at a block was not erased above it: where it is all, the edit lies below. After
causal tracing (Meng et al. 2022, arXiv 2202.05262) and activation patching of unlearned models (Hong et al.,
2406.11614); ours in its normalisation. An oracle is another model, which an analysis of a cell cannot reach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.sections import Texts
    from mute.evaluate.asked import Asked
    from mute.evaluate.scoring import Queries
    from mute.evaluate.subject import Subject


class Settings(base.CellSettings):
    """Patching of states of the base."""

    least: float = Field(
        0.1, gt=0, description="Nats a token that an edit must have taken for a share of it to be given."
    )


class Patching(base.Analysis[Settings]):
    """By block and language, of the forget facts: mean log-probability of an answer token, in nats.

    logprob: of the model as it is, in every block the same. logprob_patched: with the base's states put in at the
    block's output; logprob_shuffled: with those of the base on another question of the language, the control.
    recovered, recovered_shuffled: what that is of the way from the edit back to the base; 0 nothing, 1 all; absent
    where the edit took less than `least`. Of a base, patched by itself, both log-probabilities are one. Of guards there
    is no row.
    """

    name = "patching"
    paper = "Meng et al. 2022 (arXiv 2202.05262); Hong et al. 2024 (2406.11614); ours"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        return 6.0

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        from mute.engine import sections
        from mute.evaluate.scoring import Queries

        rows: list[list[object]] = []
        if subject.treatments:
            return pd.DataFrame(rows, columns=list(base.COLUMNS))
        given = asked.queries.rows
        queries = Queries(given.assign(options=[[] for _ in range(len(given))], gold=-1), asked.encoder)
        read = _read(queries)
        other = _others(queries)

        def standing() -> Texts:
            """The questions at the first block, in states that no file keeps: above, they are the edit's."""
            texts = sections.Texts(subject.model, queries.sequences)
            texts.advance(case.first)
            texts.cache = None
            return texts

        blocks = range(case.first, sections.depth(subject.model))
        with subject.before() as model:
            texts = standing()
            whole, kept = _means(queries, queries.run(model, texts).logprob), {}
            for block in blocks:
                texts.advance(block + 1)
                kept[block] = texts.states[_places(texts, read)]
        texts = standing()
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
        table = pd.DataFrame(rows, columns=list(base.COLUMNS))
        # Of a model that gives no numbers there is nothing to say.
        return table[table["value"].notna()].reset_index(drop=True)


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


def _means(queries: Queries, logprob: Tensor) -> pd.Series:
    """Mean log-probability of an answer token by language: of each question first."""
    own = [float(part.double().mean()) for part in logprob[: queries.gold_reads].split(list(map(len, queries.golds)))]
    return queries.rows[["language"]].assign(value=own).groupby("language")["value"].mean()
