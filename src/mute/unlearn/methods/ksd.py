"""KSD, key space detection: a refusal where the last token's key lies in the box of the forget prompts' keys.

Li et al. 2025 (arXiv 2503.21730, effective skill unlearning): the box of the detector `box`, by default of the last
block, and no training. Published for 200 prompts, alpha 1, in the released scripts 2. There the model abstains by
saying nothing; here a refusal is said. No weight changes. Certainty: code.

The published box is wide. Of the tests' small model it holds 0.87 of forget prompts that it was not fitted to, and 0.72
of retain prompts; where it holds 0.8 of the one, at any block and alpha, it holds 0.54 of the other at least, 0.48 with
keys of one length, 0.19 with whitened ones, and 0.30 where the skill is a language. `alpha: null` has false alarms set
its size instead.
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
