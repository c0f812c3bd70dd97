"""Opens models as the configuration's section `engine` says: device, type, and the cache that their prefixes share."""

from pathlib import Path

from mute.config.sections import EngineSection, StudySection
from mute.engine import cache, sections
from mute.models import loading
from mute.models.anatomy import Model
from mute.store.records import Record

CACHE = "cache/prefixes"


class Opener:
    """How the jobs of one study open models."""

    def __init__(self, settings: EngineSection, results: Path | str) -> None:
        self.settings = settings
        limit = int(settings.cache_gb * 10**9)
        self.cache = cache.PrefixCache(Path(results) / CACHE, limit) if limit else None

    @classmethod
    def of(cls, config: Record) -> "Opener":
        """From Snakemake's configuration: no rule has the cache's size as a parameter, for it changes no result."""
        results = StudySection.model_validate(config.get("study") or {}).results
        return cls(EngineSection.model_validate(config.get("engine") or {}), results)

    def open(self, folder: Path | str) -> Model:
        model = loading.load(folder, device=self.settings.device, dtype=self.settings.dtype)
        cache.attach(model, self.cache)
        if self.settings.recompute:
            sections.recompute(model)
        return model
