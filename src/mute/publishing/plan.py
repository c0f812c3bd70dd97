"""What publishing and the notebooks are told by a study's configuration. Imports no tracker."""

from typing import Any

# What notebooks may draw from, and the tracker that must have published it.
NOTEBOOK_SOURCES: dict[str, str | None] = {
    "tables": None,
    "wandb": "wandb",
    "wandb_api": "wandb",
    "tensorboard": "tensorboard",
}


def chosen(study: Any) -> dict[str, dict[str, Any]]:
    """Options by tracker of those that are to be used, for a `mute.study.cells.Study`."""
    section = study.config.publishing
    wandb = {"mode": section.mode, "project": section.project, "entity": section.entity}
    options = {name: wandb if name == "wandb" else {} for name in section.to}
    return {name: own for name, own in sorted(options.items()) if own.get("mode") != "disabled"}


def plan(study: Any) -> dict[str, Any]:
    """What the rule is told."""
    return {"study": study.config.study.name, "config": study.of_record(), "trackers": chosen(study)}


def notebooks(study: Any) -> dict[str, Any]:
    """Where notebooks find what was published; nothing where they read the tables."""
    section = study.config.publishing
    if section.notebooks == "tables":
        return {}
    where = {"project": section.project, "entity": section.entity}
    folder = f"{study.config.study.results}/published"
    return {"published": {"source": section.notebooks, "folder": folder, "study": study.config.study.name, **where}}
