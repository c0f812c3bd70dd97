"""ColBERT-XM as a guard: a refusal where a prompt is found, token by token, in one of the forget prompts.

Louis et al. 2024 (arXiv 2402.15059) for the detector `maxsim`, with a linear head that is trained in one source
language alone while the model is frozen. Its claim is that one language is enough. The guard around it is ours, and so
is that a prompt's score with retain prompts is taken off: with `against_retain: false` it is the published score, which
misses questions in other wordings or fires on half of those to be kept. Compare `detector: probe`, which reads the mean
of the same states, and `head_steps: 0`, the states as they are. Certainty: recipe of code.
"""

from __future__ import annotations

from pydantic import Field

from mute.store.records import Record
from mute.unlearn import guarding


class Settings(guarding.AbstainingSettings):
    """ColBERT-XM."""

    detector: str = Field("maxsim", description="What tells forget prompts from others: a detector's name.")
    detector_settings: Record = Field(
        {"head_steps": 100, "against_retain": True}, description="Settings of the detector."
    )


class ColbertXM(guarding.Abstention[Settings]):
    name = "colbert_xm"
    paper = "Louis et al. 2024, arXiv 2402.15059"
    Settings = Settings
