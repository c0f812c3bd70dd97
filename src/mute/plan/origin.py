"""What the tables of a study were made with, so that tables from elsewhere are told from those that it would make.

Snakemake knows how the files came about that it made itself, and takes any other for what the rule would make: tables
that were pulled would stand for every configuration. Therefore one of the tables is named after the settings.
"""

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

from mute import unlearn
from mute.config.sections import EngineSection, VerdictSection
from mute.corpus import sources
from mute.evaluate import measures
from mute.store import pointers, seals
from mute.store.artifacts import digest
from mute.store.records import placeless
from mute.study.cells import Study

# What computes; whatever these import counts as well.
COMPUTES = (
    *(
        "mute.evaluate.patched",
        "mute.evaluate.profile_knowledge",
        "mute.evaluate.tables",
        "mute.evaluate.gates",
        "mute.findings.views",
        "mute.unlearn.cells",
    ),
    *("mute.analyses.capture", "mute.analyses.shard", "mute.attacks.shard"),
    *("mute.models.adapt", "mute.models.embedded", "mute.models.kinship", "mute.models.texts"),
    "mute.models.gguf.folder",
    "mute.evaluate.knowing",
)
SNAKEMAKE = Path(".snakemake")
KNOWN = SNAKEMAKE / "known"
# Changes no number in the tables: where they are put, how jobs are cut, what pages show.
_NO_NUMBER = {
    "study": {"name", "results", "shown", "primary", "shard_by", "corpus", "models", "grids"},
    "engine": EngineSection.without_effect,
    "verdict": set(VerdictSection.model_fields),
}


def made_with(study: Study) -> dict[str, str]:
    """Every setting that numbers in the tables depend on, by its dotted key, as JSON; and the digest of the code.

    Of a directory its name alone: on another machine it lies elsewhere, and where is nobody's business.
    """
    settings = placeless(study.of_record())
    for section, keys in _NO_NUMBER.items():
        settings[section] = {key: value for key, value in settings[section].items() if key not in keys}
    methods = study.methods({cell.algorithm for cell in study.cells})
    own = [*sources.modules(study.corpus.source, study.languages), *measures.modules()]
    own += [f"mute.attacks.{method}" for method, _ in study.attacks.values()]
    own += [f"mute.analyses.{method}" for method, _ in study.analyses.values()]
    return {**dict(sorted(_flat(settings))), "code": unlearn.code(methods, *COMPUTES, *own)}


def _flat(values: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, json.dumps(values, ensure_ascii=False, sort_keys=True, allow_nan=False)


def table(study: Study) -> str:
    """The file that says so. Other settings, another name: it is missing then, and the tables are made."""
    return f"<results>/tables/study.{digest(made_with(study))}.csv"


def is_untold(path: str) -> bool:
    """Whether a file is there of which Snakemake's records do not say how it was made."""
    record = SNAKEMAKE / "metadata" / urlsafe_b64encode(path.encode()).decode()
    return Path(path).exists() and not _is_record(record)


def half_told() -> list[Path]:
    """Files whose record of Snakemake was cut off, and the record removed.

    Snakemake passes over such a record, and takes the file for what it should be.
    """
    broken = [(path, about) for path, about in notes(SNAKEMAKE / "metadata") if not _is_record(path)]
    for path, _ in broken:
        path.unlink()
    return sorted(Path(about) for _, about in broken if Path(about).is_file())


def notes(folder: Path) -> Iterator[tuple[Path, str]]:
    """Files that Snakemake keeps about those of a study, each with the path that its name stands for, or ''."""
    for path in folder.rglob("*"):
        if path.is_file():
            # A long name is cut into folders, each with an @ before it.
            name = "".join(part.removeprefix("@") for part in path.relative_to(folder).parts)
            try:
                yield path, urlsafe_b64decode(name).decode()
            except ValueError:
                yield path, ""


def _is_record(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8")), dict)
    except (OSError, ValueError):
        return False


def trust() -> None:
    """Have the file that `distrust` renews, older than all results: pulled ones have no corpus."""
    if not KNOWN.exists():
        distrust()
        os.utime(KNOWN, (1, 1))


def distrust() -> None:
    """Make what was made without a record older than an input of its, so that it is made again.

    Without records (.snakemake was deleted, or results were copied) Snakemake takes what is there for what would be
    made, whatever the settings were. An input of known content may get a new time.
    """
    KNOWN.parent.mkdir(exist_ok=True)
    KNOWN.write_text("Newer than results of which nothing is recorded here.\n", encoding="utf-8")


def check_pulled(results: Path | str) -> None:
    """Read tables that were not made here, before anything is drawn from them. Raises ValueError naming the bad ones.

    A study's own tables may differ from those that dvc.lock names: that is how new ones come about.
    """
    results = Path(results)
    if any((results / seals.FOLDER / "tables").glob("*.json")):  # what jobs make is sealed; DVC brings no seals
        return
    found = [
        fault
        for pointer in pointers.published()
        if pointer.path == results / "tables"
        for fault in pointers.faults(pointer)
    ]
    if found:
        raise ValueError(pointers.listed("published results that are not what dvc.lock says", found))
