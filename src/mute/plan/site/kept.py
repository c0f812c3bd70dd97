"""What takes long to make for the site and is kept between builds, by a digest of all that it is made from."""

from collections.abc import Callable, Iterable
from pathlib import Path

from mute.store import artifacts
from mute.store.provenance import code_digest

FOLDER = Path("results/site-cache")


def file(root: Path, name: str, make: Callable[[Path], None], read: Iterable[Path], *modules: str) -> Path:
    """A file of this name, made by `make` where the files that it reads, or the code of `modules`, have changed."""
    sums = [artifacts.sha256(path) for path in sorted(read)]
    path = root / FOLDER / artifacts.digest([name, sums, code_digest(*modules)]) / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    return path
