"""An explorer of finished results, or of what has landed of a study: from folders to pages."""

from collections.abc import Sequence
from pathlib import Path

from mute.names import nearest, shown
from mute.publishing.explorer import about, given, landed, pages
from mute.publishing.explorer.payload import Payload
from mute.store.records import Facts

# What a study has only once it is complete.
_WITH_TABLES = "the tables of the whole study: base and oracle, the lens, profiles, and verdicts that take all scores"


def has_tables(folder: Path) -> bool:
    """Whether a folder holds the tables of a study, in its own folder of them or frozen."""
    return any((own / name).is_file() for own in (folder, folder / "tables") for name in ("cells.csv", "cells.parquet"))


def payload(
    folder: Path,
    facts: Facts | None = None,
    trained: landed.Trained | None = None,
    *,
    reader: landed.Landed | None = None,
) -> Payload:
    """What pages show of a folder. facts: what the study's configuration says of itself, None where nobody has it.

    reader: reads what has landed, whatever tables there are from before; None: only where there are no tables.
    Raises ValueError if there is no such folder, or nothing of a study in it.
    """
    if not folder.is_dir():
        beside = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
        near = nearest(folder.name, beside)
        hint = f" Did you mean {str(folder.parent / near[0])!r}?" if near else ""
        raise ValueError(f"there is no folder of results {shown(str(folder))}: run the study first (make study).{hint}")
    if reader is None and has_tables(folder):
        found = given.read(folder)
        if facts is None and not found.about:
            found.about = about.read(folder / "tables", found.problems)
    else:
        found = (reader or landed.Landed(folder, trained)).read()
        found.pending.append(_WITH_TABLES)
    found.about = {**found.about, **(facts or {})}
    if reader is None and not found.tables:
        if found.problems:
            raise ValueError(given.told(found.problems, folder))
        raise ValueError(f"{folder} holds nothing of a study: neither tables, nor shards, nor cells")
    name = found.about.get("study")
    has_results = (folder / "cells").is_dir() or (folder / "evaluations").is_dir()
    return Payload(found, name if isinstance(name, str) else folder.name, folder if has_results else None)


def write(payloads: Sequence[Payload], out: Path) -> Path:
    """Write an explorer of one study or of several, side by side. Returns its page."""
    return pages.Writer(out).write(payloads)


def problems(payloads: Sequence[Payload], folders: Sequence[Path]) -> str:
    """One message with all that is wrong with what was given; "" where nothing is."""
    told = [given.told(own.given.problems, folder) for own, folder in zip(payloads, folders) if own.given.problems]
    return "\n".join(told)
