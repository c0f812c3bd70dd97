"""Concept vectors: whether the columns of MLPs that write the forgotten answers' tokens are still there.

Hong et al. 2024 (ConceptVectors, arXiv 2406.11614). A column v of an MLP's output matrix writes the tokens that its
projection E v on the base's output embeddings puts first. In each block and language the columns that write the answers
most are found in the base, and held against what the edit has made of them: of weights alone, no text is read. E is the
base's: with a head that has changed every vector would look changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject

MEASURES = ("cosine", "distance", "jaccard", "surviving", "purity")
# Languages in which a vector that is of none must write something.
SEVERAL = 3


class Settings(base.CellSettings):
    """Concept vectors."""

    vectors: int = Field(8, ge=1, le=1000, description="Columns of a block, for each language.")
    top_share: float = Field(0.01, gt=0, lt=1, description="Share of the vocabulary that a vector is said to write.")
    seed: int = Field(0, ge=0, description="From which columns are drawn for the control.")


class ConceptVectors(base.Analysis[Settings]):
    """By block and language, means over the columns that write most of the forget answers' tokens in the base.

    cosine, distance: of a column to what it was. jaccard: of the tokens that it writes, to those that it wrote.
    surviving: of the answers' tokens among these, what is still among them; absent where there were none. purity: share
    of the tokens that it writes that are the answers'. With random_ before them, of as many columns drawn at random.
    shared: (of no language) share of the block's columns that write words of the answers of three languages or more,
    each a token of that language's answers alone; of fewer languages, of all. Guards change no weight: they have the
    base's rows. That a column writes an answer does not say that the answer needs it: in a model of three blocks,
    answers suffered no more without these columns than without random ones; at that scale no trace is localised.
    """

    name = "concept_vectors"
    paper = "Hong et al. 2024 (arXiv 2406.11614)"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        return 1.0

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd
        import torch

        from mute.engine import sections
        from mute.models import anatomy

        s, model, rows = self.settings, subject.model, []
        names = anatomy.mlp_outputs(model, range(case.first, sections.depth(model)))
        own = {id(parameter): name for name, parameter in model.named_parameters()}
        head = model.get_output_embeddings().weight
        head = subject.base.get(own[id(head)], head).detach().float()
        k = max(1, round(s.top_share * len(head)))
        concepts = concepts_of(asked, len(head))
        for block, name in enumerate(names, case.first):
            now = model.get_parameter(name)
            was, now = subject.base.get(name, now).detach().float(), now.detach().float()
            written, best = _written(head, was, concepts, k)
            rows.append(["shared", block, "", _shared(written, concepts), was.shape[1]])
            drawn = torch.randperm(was.shape[1], generator=torch.Generator().manual_seed(s.seed + block))
            for code, concept in concepts.items():
                for prefix, columns in (("", best[code][: s.vectors]), ("random_", drawn[: s.vectors].to(was.device))):
                    found = compared(head, was[:, columns], now[:, columns], concept, k)
                    rows += [
                        [prefix + key, block, code, float(value[~value.isnan()].mean()), len(columns)]
                        for key, value in found.items()
                        if not bool(value.isnan().all())
                    ]
        return pd.DataFrame(rows, columns=list(base.COLUMNS))


def concepts_of(asked: Asked, vocabulary: int) -> dict[str, Tensor]:
    """By language, whether each token [V] stands in an answer to be forgotten."""
    import torch

    found = {code: torch.zeros(vocabulary, dtype=torch.bool, device=asked.model.device) for code in asked.languages}
    for code, gold in zip(asked.queries.rows["language"], asked.queries.golds):
        found[code][gold] = True
    return {code: concept for code, concept in found.items() if bool(concept.any())}


def _written(head: Tensor, matrix: Tensor, concepts: dict[str, Tensor], k: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The k tokens that each column of a matrix [D, C] puts first [k, C]; by language the columns, best first.

    Best are those with the most tokens of the concept among them, of equals those that put its tokens before others.
    """
    import torch

    from mute.unlearn.methods import needle

    tops, order = [], {code: [] for code in concepts}
    for vectors in matrix.split(needle.CHUNK, dim=1):
        scores = head @ vectors
        tops.append(needle.top(scores, k))
        for code, concept in concepts.items():
            order[code].append(concept[tops[-1]].sum(0) + needle.auc(scores, concept) / 2)
    best = {code: torch.cat(own).argsort(descending=True, stable=True) for code, own in order.items()}
    return torch.cat(tops, 1), best


def _shared(written: Tensor, concepts: dict[str, Tensor]) -> float:
    """Share of columns that write tokens which are of one language's answers alone, in SEVERAL languages."""
    import torch

    every = torch.stack(list(concepts.values()))
    alone = every & (every.sum(0) == 1)
    reached = torch.stack([own[written].any(0) for own in alone]).sum(0)
    return float((reached >= min(SEVERAL, len(every))).double().mean())


def compared(head: Tensor, before: Tensor, after: Tensor, concept: Tensor, k: int) -> dict[str, Tensor]:
    """MEASURES of columns [D, C] before and after, each [C]; head [V, D], concept [V] boolean.

    surviving is NaN where none of the first k tokens was the concept's.
    """
    import torch

    scores = [head @ vectors for vectors in (before, after)]
    first = [torch.zeros_like(own, dtype=torch.bool).scatter_(0, own.topk(k, dim=0).indices, True) for own in scores]
    both, own = first[0] & first[1], concept[:, None]
    found = {
        "cosine": torch.nn.functional.cosine_similarity(before, after, dim=0),
        "distance": (after - before).norm(dim=0),
        "jaccard": both.sum(0).double() / (first[0] | first[1]).sum(0),
        "surviving": (both & own).sum(0).double() / (first[0] & own).sum(0),
        "purity": (first[1] & own).sum(0).double() / k,
    }
    return {name: found[name] for name in MEASURES}
