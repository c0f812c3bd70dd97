"""What the rules of pretrained models read and are told, as functions of wildcards. Imports no torch."""

import re
from typing import Any

from mute.config.sections import EngineSection
from mute.hub.repos import Repo, record_of
from mute.models import directory, pretrained
from mute.names import unknown_name
from mute.store.artifacts import seed_of
from mute.study.cells import Study, trained_name

# No name of a trained model is this one.
_NONE = "-"


class Adaptations:
    """Inputs and parameters of the rules that open and adapt pretrained models."""

    def __init__(self, study: Study) -> None:
        self.study, self.config = study, study.config

    def _is_pretrained(self, model: str) -> bool:
        return self.config.models[model].pretrained is not None

    def names(self) -> list[str]:
        """Trained models that come from pretrained ones."""
        return sorted(name for name, (model, *_) in self.study.trained.items() if self._is_pretrained(model))

    def own(self) -> str:
        """Pattern of their names."""
        return "|".join(map(re.escape, self.names())) or _NONE

    def others(self) -> str:
        """Pattern of all other names, those that are no trained model too: their error says which there are."""
        return f"(?!(?:{self.own()})[/.])[A-Za-z0-9_-]+"

    def _trained(self, wildcards: Any) -> tuple[str, int, str | None]:
        if wildcards.trained not in self.study.trained:
            raise ValueError(unknown_name("trained model", wildcards.trained, self.study.trained))
        return self.study.trained[wildcards.trained]

    def files(self, wildcards: Any) -> list[str]:
        """The files of a pretrained model that is a directory."""
        folder = pretrained.folder_of(self.config.models[self._trained(wildcards)[0]])
        return [] if folder is None else [str(path) for path in directory.files(folder)]

    def fetched(self, wildcards: Any) -> list[str]:
        """What says that a pretrained model of the hub is there, and which commit of it."""
        model = self.config.models[self._trained(wildcards)[0]]
        if pretrained.folder_of(model) is not None:
            return []
        return [record_of(Repo("model", str(model.pretrained), model.revision))]

    def plan(self, wildcards: Any) -> dict[str, Any]:
        name, seed, without = self._trained(wildcards)
        model = self.config.models[name]
        return {
            "model": name,
            "pretrained": model.pretrained,
            "revision": model.revision,
            "blocks": model.blocks,
            "languages": model.languages,
            "adaptation": model.adaptation.model_dump() if model.adaptation else None,
            # An oracle is adapted with the same seed: only what it reads differs.
            "seed": seed_of(self.config.study.seed, name, seed, "adaptation"),
            "without": without,
            "engine": self.config.engine.model_dump(exclude=EngineSection.without_effect),
        }

    def tokenizer(self, wildcards: Any) -> str:
        """A file beside the tokenizer of a model: a pretrained one's is its own."""
        if wildcards.model not in self.config.models or not self._is_pretrained(wildcards.model):
            return f"<results>/tokenizers/{wildcards.model}/tokenizer.json"
        first = trained_name(wildcards.model, self.study.training_seeds(wildcards.model)[0])
        return f"<results>/models/{first}/record.json"
