"""KSD, key space detection: a refusal where the last token's key lies in the box of the forget prompts' keys.

Li et al. 2025 (arXiv 2503.21730, effective skill unlearning): the box of the detector `box`, by default of the last
block, and no training. Published for 200 prompts, alpha 1, in the released scripts 2. There the model abstains by
saying nothing; here a refusal is said. No weight changes. Certainty: code.
"""

from __future__ import annotations

from pydantic import Field

from mute.unlearn import guarding


class Settings(guarding.AbstainingSettings):
    """KSD."""

    detector: str = Field("box", description="What tells forget prompts from others: a detector's name.")


class KSD(guarding.Abstention[Settings]):
    name = "ksd"
    paper = "Li et al. 2025, arXiv 2503.21730"
    Settings = Settings
