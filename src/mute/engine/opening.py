"""Opens models as the configuration's section `engine` says: device, type, and the cache that their prefixes share."""

from pathlib import Path
from typing import Any

from mute.config.sections import EngineSection, StudySection
from mute.engine import cache
from mute.models import loading

CACHE = "cache/prefixes"


class Opener:
    """How the jobs of one study open models."""

    def __init__(self, settings: EngineSection, results: Path | str) -> None:
        self.settings = settings
        limit = int(settings.cache_gb * 10**9)
        self.cache = cache.PrefixCache(Path(results) / CACHE, limit) if limit else None

    @classmethod
    def of(cls, config: dict[str, Any]) -> "Opener":
        """From Snakemake's configuration: no rule has the cache's size as a parameter, for it changes no result."""
        results = StudySection.model_validate(config.get("study") or {}).results
        return cls(EngineSection.model_validate(config.get("engine") or {}), results)

    def open(self, folder: Path | str) -> Any:
        model = loading.load(folder, device=self.settings.device, dtype=self.settings.dtype)
        cache.attach(model, self.cache)
        return model
