"""AltPO: DPO with other plausible answers as winners and each forget answer as the loser.

Mekala et al. 2024 (arXiv 2409.13474): -(2/beta) E log sigmoid(beta [(log pi(y_a|x) - log pi_0(y_a|x)) -
(log pi(y|x) - log pi_0(y|x))]) + w_r NLL of retain answers, mean over K alternatives y_a of each
question. Certainty: code. Published alternatives are written by the model itself; ours are options of the question that
are not its gold answer, of the same kind and no alias of it, the same in all languages. Where a question has fewer than
K, they come round again. Published for 7B: K 5, beta 0.1, retain weight 1, learning rate 5e-5, two epochs of batches of
35.
"""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn.methods import dpo

if TYPE_CHECKING:
    import pandas as pd

    from mute.unlearn.view import View


class Settings(dpo.Preferring):
    """AltPO."""

    alternatives: int = Field(5, ge=1, le=50, description="Other answers that win over each forget answer.")


class AltPO(dpo.Preference[Settings]):
    name = "altpo"
    paper = "Mekala et al. 2024, arXiv 2409.13474"
    family = "preference"
    Settings = Settings

    @property
    def winners(self) -> int:
        return self.settings.alternatives

    def applies(self, view: View) -> str:
        if any(not others(row) for row in view.forget.to_dict("records")):
            return "some forget questions have no other option that could be preferred to the answer"
        return ""

    def won(self, view: View) -> pd.DataFrame:
        from mute.store.artifacts import seed_of

        made = []
        for row in view.forget.to_dict("records"):
            order = sorted(others(row), key=lambda i: seed_of("alternative", row["item"], i))
            made += [{**row, "answer": row["options"][i], "gold": i} for i in islice(cycle(order), self.winners)]
        rows = view.forget.iloc[:0].reindex(range(len(made)))
        return rows.assign(**{name: [row[name] for row in made] for name in view.forget.columns})


def others(row: dict) -> list[int]:
    """Which options of a question are neither its gold option nor its answer, nor the same in other letters."""
    options = row["options"]
    gold = {row["answer"].casefold(), *(options[i].casefold() for i in [row["gold"]] if i >= 0)}
    return [i for i, option in enumerate(options) if option.casefold() not in gold]
