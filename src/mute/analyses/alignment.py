"""How the states of two languages lie to each other, block by block: alignment by items, and the offset of languages.

Prompts stand without their answers, in the first form that unlearning reads; rows are aligned by item. The prompt's
last token is read for CKA, as in MUTE (arXiv 2602.22562, Appendix A), the mean over its tokens for the rest. CKA takes
the mean of each language away before it looks, as retrieval does once: what is left of it is `offset`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject

Role = Literal["forget", "retain_seen", "retain_unseen", "bystander", "sentences"]
MEASURES = ("cka", "cka_unbiased", "lrds", "retrieval", "retrieval_uncentred", "offset", "offset_spread")
# The fewest items that an unbiased CKA can be read from.
FEWEST = 4


class Settings(base.Settings):
    """Alignment by pair of languages."""

    facts: list[Role] = Field(
        ["forget", "retain_seen"],
        min_length=1,
        description="Whose prompts: to be forgotten, read by the retain loss, read by no loss, of another domain; or "
        "sentences that state no fact, in the languages that have some. Measures of any but the first have the name of "
        "theirs before them.",
    )


class Alignment(base.Analysis[Settings]):
    """One row per block (at its output) and pair of languages, `a-b` in the order of the model's languages.

    cka, cka_unbiased: linear CKA of the pair. lrds: language separation. retrieval: share of items whose nearest
    neighbour by cosine in the other language is their translation, after the mean of each language is taken away;
    retrieval_uncentred: before. offset: distance of the two means, over the mean norm of the states; offset_spread:
    over their spread around their own mean.
    """

    name = "alignment"
    paper = "Kornblith et al. 2019; Zeng et al. 2024; ours"
    unit = "model"
    Settings = Settings
    settings: Settings

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        from mute.analyses import capture
        from mute.engine import sections

        corpus = asked.corpus
        roles = corpus.roles(asked.forget_set)
        tables = []
        for role in dict.fromkeys(self.settings.facts):
            codes = list(asked.languages)
            if role == "sentences":
                codes, rows = capture.sentences(corpus, codes)
            else:
                rows = capture.parallel(corpus, codes, roles.index[roles == role])
            if len(codes) < 2 or (count := len(rows) // len(codes)) < FEWEST:
                continue
            before = "" if role == self.settings.facts[0] else f"{role}_"
            texts = sections.Texts(subject.model, [asked.encoder.prompt(prefix) for prefix in rows["prefix"]])
            for block in range(case.first, sections.depth(subject.model)):
                texts.advance(block + 1)
                last, mean, _ = (x.reshape(len(codes), count, -1) for x in capture.pooled(texts))
                capture.check_spread(last, codes, block)
                found = compared(last, mean)
                tables += [
                    {"measure": before + name, "block": block, "language": f"{a}-{b}", "value": float(matrix[i, j])}
                    | {"n": count}
                    for name, matrix in found.items()
                    for i, a in enumerate(codes)
                    for j, b in enumerate(codes)
                    if i < j
                ]
        return pd.DataFrame(tables, columns=list(base.COLUMNS))


def compared(last: Tensor, mean: Tensor) -> dict[str, Tensor]:
    """MEASURES of every pair of languages [K, K], from states [K, N, D] of the last token and means over tokens."""
    from mute.analyses import similarity

    offset, spread = similarity.offsets(mean)
    return {
        "cka": similarity.cka_matrix(last),
        "cka_unbiased": similarity.cka_matrix(last, unbiased=True),
        "lrds": similarity.lrds_matrix(mean),
        "retrieval": similarity.retrieval(mean, remove_mean=True),
        "retrieval_uncentred": similarity.retrieval(mean),
        "offset": offset,
        "offset_spread": spread,
    }
