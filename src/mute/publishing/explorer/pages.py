"""The explorer as a folder: the pages as they are in the package, and files of data that they load by and by."""

import re
import time
from collections.abc import Sequence
from pathlib import Path

from mute.publishing.explorer import given
from mute.publishing.explorer.given import Given
from mute.publishing.explorer.payload import Payload, columns, script
from mute.store import artifacts
from mute.store.records import Facts

FOLDER, PAGE, DATA = "explorer", "index.html", "data"
_SOURCE = Path(__file__).parent / "page"
_OURS = re.compile(r"(studies|study-[0-9]+|attacks-[0-9]+|table-[0-9]+-[a-z]+|cell-[0-9]+-[0-9a-f]{20})\.js")


class Writer:
    """Writes one explorer, again and again if need be: files of cells of which there is nothing new stay."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._written = folder, {}
        strange = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if strange and not (folder / DATA / "studies.js").is_file():
            raise ValueError(f"{folder} holds other files, such as {strange[0]!r}: name a new or an empty folder")

    def write(self, studies: Sequence[Payload], standing: Facts | None = None) -> Path:
        """Write what the studies have; standing: of the first, how it stands while it runs. Returns the page."""
        data, kept = self.folder / DATA, {"studies.js"}
        for path in sorted(_SOURCE.rglob("*")):
            if path.is_file() and path.suffix in (".html", ".css", ".js", ".LICENSE", ".json"):
                self._put(self.folder / path.relative_to(_SOURCE), path.read_text(encoding="utf-8"))
        for place, payload in enumerate(studies):
            stamps = payload.cell_stamps()
            new = [name for name, stamp in stamps.items() if self._written.get((place, name)) != stamp]
            for name, value in payload.cell_files(new):
                self._put(data / f"cell-{place}-{name}.js", script(f"cell-{place}-{name}", value))
            self._written.update({(place, name): stamps[name] for name in new})
            kept |= {f"cell-{place}-{name}.js" for name in stamps}
            files = {f"table-{place}-{name}": columns(payload.table(name)) for name in payload.tables()}
            files[f"attacks-{place}"] = payload.attacks()
            files[f"study-{place}"] = payload.study(standing if place == 0 else None)
            for name, value in files.items():
                self._put(data / f"{name}.js", script(name, value))
            kept |= {f"{name}.js" for name in files}
        names = [payload.name for payload in studies]
        self._put(data / "studies.js", script("studies", names))
        for path in sorted(data.iterdir()):
            if _OURS.fullmatch(path.name) and path.name not in kept:
                path.unlink()
        return self.folder / PAGE

    def _put(self, path: Path, text: str) -> None:
        artifacts.write_text(path, text, sync=False)


def has_tables(folder: Path) -> bool:
    return (
        (folder / "tables" / "cells.csv").is_file()
        or (folder / "cells.parquet").is_file()
        or (folder / "cells.csv").is_file()
    )


def now() -> str:
    return time.strftime("%Y-%m-%d %H:%M")


def problems_of(found: Given, folder: Path) -> str:
    """One message with all that is wrong with what was given; "" where nothing is."""
    return given.told(found.problems, folder) if found.problems else ""
