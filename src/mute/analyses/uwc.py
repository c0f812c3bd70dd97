"""Calibration by mixing: how much of what was to be forgotten is left once an edit harms no more than is allowed.

Wang et al. (UWC, arXiv 2406.09179): theta(u) = u theta_0 + (1 - u) theta_u over all tensors that the edit changed. The
least u is sought at which kept facts have their extraction strength again, up to a share; forget facts are read there.
Edits that harm much and edits that harm little can then be compared. Strength is not monotone in u: the grid is gone
through from 0 on, and not bisected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.evaluate.asked import Asked
    from mute.evaluate.scoring import Queries
    from mute.evaluate.subject import Subject
    from mute.models.patches import Tensors


class Settings(base.CellSettings):
    """Calibration by mixing."""

    share: float = Field(
        0.9, gt=0, le=1, description="Of the base's extraction strength on kept facts, what is to be there."
    )
    steps: int = Field(20, ge=1, le=1000, description="Equal steps from the edit (u = 0) to the base (u = 1).")


class UWC(base.Analysis[Settings]):
    """At the first edited block: u, the least mix with the base at which the sources' kept facts are whole again.

    extraction_strength: of the forget facts of each language at that u; extraction_strength_plain: of the edit as it
    is. retain_strength, retain_strength_plain: of kept facts, mean over the source languages, over that of the base. Of
    a base u is 0, and both strengths of forget facts are its own; of guards, which leave the weights alone, there is no
    row.
    """

    name = "uwc"
    paper = "Wang et al. 2024 (UWC, arXiv 2406.09179)"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        # Kept facts at each step, the forget facts twice.
        return self.settings.steps / 2 + 2.0

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        from mute.evaluate.scoring import Queries
        from mute.models import patches

        rows: list[list[object]] = []
        if subject.treatments:
            return pd.DataFrame(rows, columns=list(base.COLUMNS))
        levels = [step / self.settings.steps for step in range(self.settings.steps + 1)]
        edited = patches.take(subject.model, subject.base)

        def strengths(queries: Queries, level: float) -> pd.Series:
            with patches.applied(subject.model, mixed(edited, subject.base, level)):
                return strength(subject, queries, case.first)

        own = asked.queries
        plain = at_best = strengths(own, 0.0)
        best = 0.0
        if subject.base:
            kept = Queries(retained(asked, case.sources), asked.encoder)
            whole = float(strengths(kept, 1.0).mean())
            found: list[float] = []
            for level in levels:
                found.append(float(strengths(kept, level).mean()))
                if found[-1] >= self.settings.share * whole:
                    break
            best = least(levels, found, self.settings.share * whole)
            at_best = strengths(own, best)
            scale = whole or 1.0
            rows += [
                ["retain_strength", case.first, "", found[levels.index(best)] / scale, len(kept.rows)],
                ["retain_strength_plain", case.first, "", found[0] / scale, len(kept.rows)],
            ]
        counts = own.rows.groupby("language").size()
        rows.append(["u", case.first, "", best, len(own.rows)])
        for name, values in (("extraction_strength", at_best), ("extraction_strength_plain", plain)):
            rows += [[name, case.first, str(code), float(v), int(counts[code])] for code, v in values.items()]
        return pd.DataFrame(rows, columns=list(base.COLUMNS))


def mixed(edited: Tensors, before: Tensors, level: float) -> Tensors:
    """u theta_0 + (1 - u) theta_u, tensor by tensor, in their type: at u 0 and 1 one of the two, bit for bit."""
    if level in (0.0, 1.0):
        return before if level else edited
    return {name: _between(tensor, before[name], level) for name, tensor in edited.items()}


def _between(edited: Tensor, before: Tensor, level: float) -> Tensor:
    return (level * before.double() + (1 - level) * edited.double()).to(before.dtype)


def least(levels: list[float], strengths: list[float], wanted: float) -> float:
    """The least level whose strength reaches what is wanted; levels ascend. 1 if none that was tried does."""
    return next((level for level, strength in zip(levels, strengths) if strength >= wanted), 1.0)


def retained(asked: Asked, sources: tuple[str, ...]) -> pd.DataFrame:
    """Questions on facts to be kept, in the source languages and the headline form.

    Of those that no loss reads and no tuning; in a corpus without such, that no loss reads, or else that one does.
    """
    corpus = asked.corpus
    roles, texts = corpus.roles(asked.forget_set), corpus.texts
    tuned = set(corpus.facts.loc[corpus.facts["validation"].astype(bool), "item"])
    unseen, seen = (roles.index[roles == role] for role in ("retain_unseen", "retain_seen"))
    items = next((own for own in ([i for i in unseen if i not in tuned], unseen, seen) if len(own)), [])
    own = texts["language"].isin([code for code in asked.languages if code in sources])
    rows = texts[own & texts["item"].isin(items) & (texts["form"] == corpus.about["headline_form"])]
    if rows.empty:
        raise ValueError("uwc calibrates by facts to be kept; this corpus has none in the source languages")
    return rows.assign(set="facts", options=[[]] * len(rows), gold=-1)


def strength(subject: Subject, queries: Queries, first: int) -> pd.Series:
    """Mean extraction strength by language of the model as it is now; below block `first` it is its base."""
    import numpy as np

    from mute.evaluate.measures.extraction import strength as of

    texts = queries.texts(subject.model)
    texts.advance(first)
    tokens = queries.run(subject.model, texts).tokens()
    starts = np.flatnonzero(tokens["position"] == 0)
    values = of(tokens["hit"].to_numpy(bool), starts)
    return tokens.iloc[starts][["language"]].assign(value=values).groupby("language")["value"].mean()
