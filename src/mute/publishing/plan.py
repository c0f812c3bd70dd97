"""What publishing and the notebooks are told by a study's configuration. Imports no tracker."""

from mute.config.sections import Config, PublishingSection
from mute.store.records import Facts, Record

# What notebooks may draw from, and the tracker that must have published it.
NOTEBOOK_SOURCES: dict[str, str | None] = {
    "tables": None,
    "wandb": "wandb",
    "wandb_api": "wandb",
    "tensorboard": "tensorboard",
}


def chosen(section: PublishingSection) -> dict[str, Facts]:
    """Options by tracker of those that are to be used."""
    wandb = {"mode": section.mode, "project": section.project, "entity": section.entity}
    options: dict[str, Facts] = {name: wandb if name == "wandb" else {} for name in sorted(section.to)}
    return {name: own for name, own in options.items() if own.get("mode") != "disabled"}


def notebooks(config: Config) -> Record:
    """Where notebooks find what was published; nothing where they read the tables."""
    section, study = config.publishing, config.study
    if section.notebooks == "tables":
        return {}
    where = {"study": study.name, "project": section.project, "entity": section.entity}
    return {"published": {"source": section.notebooks, "folder": f"{study.results}/published", **where}}
