"""IDK-DPO: DPO with a refusal as the winner and each forget answer as the loser, as it is used with TOFU.

Rafailov et al. 2023 (arXiv 2305.18290), in the form of Maini et al. 2024 (arXiv 2401.06121) and of the codes that
followed: -(2/beta) E log sigmoid(beta [(log pi(y_w|x) - log pi_0(y_w|x)) - (log pi(y_l|x) - log pi_0(y_l|x))]) +
w_r NLL of retain answers. The factor 2/beta is 1 in plain `dpo`. Refusals are in the question's own language: a model
that refuses in English whatever it is asked in has lost more than the fact. Certainty: code. Published for 7B: beta
0.1, retain weight 1, learning rate 2e-5, ten epochs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.unlearn import refusals
from mute.unlearn.methods import dpo

if TYPE_CHECKING:
    import pandas as pd

    from mute.unlearn.view import View


class Settings(dpo.Preferring):
    """IDK-DPO."""

    refusal: refusals.Kind | None = Field(None, description=refusals.KIND)


class IdkDPO(dpo.Preference[Settings]):
    name = "idk_dpo"
    paper = "Maini et al. 2024, arXiv 2401.06121"
    family = "preference"
    Settings = Settings

    def applies(self, view: View) -> str:
        return refusals.lacking(view, self.settings.refusal)

    def won(self, view: View) -> pd.DataFrame:
        return refusals.refused(view, view.forget, self.settings.refusal)
