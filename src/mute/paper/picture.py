"""The README's picture: what each language still knows, by edited block, of one architecture of the frozen results.

`python -m mute.paper.picture` writes it; a test says when it is old.
"""

import sys
from pathlib import Path

from mute.findings.results import Results
from mute.paper import frozen
from mute.plotting import figures, style
from mute.store import artifacts

PATH = Path("docs/found.svg")
MODEL, ALGORITHMS = "llama", ("rmu", "simnpo")


def write(root: Path, path: Path) -> None:
    """Draw the frozen tables under `root`, of MODEL and ALGORITHMS, to `path`."""
    folder = root / frozen.FOLDER
    tables = {table.stem: artifacts.read_table(table) for table in sorted(folder.glob("*.parquet"))}
    own = {name: table[table["model"] == MODEL] if "model" in table else table for name, table in tables.items()}
    about = {**artifacts.read_json(folder / frozen.ABOUT), "drawn": list(ALGORITHMS)}
    style.save(figures.draw("language_maps", Results(own, about), about), path)


def main() -> int:
    root = Path(__file__).parents[3]
    write(root, root / PATH)
    print(f"wrote {PATH}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
