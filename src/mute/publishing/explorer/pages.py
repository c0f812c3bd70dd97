"""The explorer as a folder: the pages as they are in the package, and files of data that they load by and by."""

import re
from collections.abc import Sequence
from pathlib import Path

from mute.publishing.explorer.payload import Payload, columns, script
from mute.store import artifacts
from mute.store.records import Facts

FOLDER, PAGE, DATA, INDEX = "explorer", "index.html", "data", "studies.js"
_SOURCE = Path(__file__).parent / "page"
_OURS = re.compile(r"(studies|study-[0-9]+|attacks-[0-9]+|table-[0-9]+-[a-z]+|cell-[0-9]+-[0-9a-f]{20})\.js")
_LEFT = re.compile(r"\..*\.[0-9a-f]{8}\.part")
_GROWING = ("curves", "profiles", "lens", "layers", "gates")


class Writer:
    """Writes one explorer, again and again if need be: files of cells of which there is nothing new stay.

    Raises ValueError if the folder holds anything that is no explorer.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stamps: dict[tuple[int, str], tuple] = {}
        self._texts: dict[Path, int] = {}
        self._lengths: dict[tuple[int, str], int] = {}
        there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        if there and not (folder / DATA / INDEX).is_file() and (PAGE in there or DATA not in there):
            raise ValueError(f"{folder} holds other files, such as {there[0]!r}: name a new or an empty folder")

    def write(self, studies: Sequence[Payload], standing: Facts | None = None) -> Path:
        """Write what the studies have; standing: how the first one stands while it runs. Returns the page."""
        data, kept = self.folder / DATA, {INDEX}
        data.mkdir(parents=True, exist_ok=True)
        for left in [path for path in data.iterdir() if _LEFT.fullmatch(path.name)]:
            left.unlink(missing_ok=True)  # by a process that was killed
        for place, payload in enumerate(studies):
            stamps = payload.cell_stamps()
            new = [name for name, stamp in stamps.items() if self._stamps.get((place, name)) != stamp]
            for name, value in payload.cell_files(new):
                self._put(data / f"cell-{place}-{name}.js", script(f"cell-{place}-{name}", value))
            self._stamps.update({(place, name): stamps[name] for name in new})
            files = {}
            for table in payload.tables():
                own = (place, table)
                # Rows of these are only added. To put them into text is most of the work.
                if table in _GROWING and self._lengths.get(own) == len(payload.given.tables[table]):
                    kept.add(f"table-{place}-{table}.js")
                else:
                    files[f"table-{place}-{table}"] = columns(payload.table(table))
                self._lengths[own] = len(payload.given.tables[table])
            files[f"attacks-{place}"] = payload.attacks()
            files[f"study-{place}"] = payload.study(standing if place == 0 else None)
            for name, value in files.items():
                self._put(data / f"{name}.js", script(name, value))
            kept |= {f"{name}.js" for name in files} | {f"cell-{place}-{name}.js" for name in stamps}
        self._put(data / INDEX, script("studies", [payload.name for payload in studies]))
        # Last, so that a page is never older than the data that it asks for.
        for path in sorted(_SOURCE.rglob("*")):
            if path.suffix in (".html", ".css", ".js", ".LICENSE"):
                self._put(self.folder / path.relative_to(_SOURCE), path.read_text(encoding="utf-8"))
        for path in sorted(data.iterdir()):
            if _OURS.fullmatch(path.name) and path.name not in kept:
                path.unlink()
        return self.folder / PAGE

    def _put(self, path: Path, text: str) -> None:
        """Write a file, unless this very text is there: written before by this writer, or found."""
        mark = hash(text)
        if path not in self._texts and path.is_file() and path.read_bytes() == text.encode("utf-8"):
            self._texts[path] = mark
        if self._texts.get(path) != mark or not path.exists():
            artifacts.write_text(path, text, sync=False)
            self._texts[path] = mark
