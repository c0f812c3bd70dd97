"""The captions of the report's figures as files that Snakemake reads, written from each module's CAPTION.

`python -m mute.plotting.captions` writes them; a test says when they are old.
"""

import sys
import textwrap
from pathlib import Path

from mute.plotting import figures
from mute.plotting.registry import NOTEBOOKS, of_notebook
from mute.store import artifacts

FOLDER = Path("workflow/report")
WIDTH = 118


def files() -> dict[str, str]:
    """Text of each file by its name."""
    modules = {name: figures.load(name) for name in figures.names()} | {name: of_notebook(name) for name in NOTEBOOKS}
    return {
        f"{name}.rst": textwrap.fill(module.CAPTION, WIDTH, break_on_hyphens=False) + "\n"
        for name, module in modules.items()
    }


def write(root: Path) -> None:
    """Write them under `root`, and take away those of figures that are no more."""
    made = files()
    for old in (root / FOLDER).glob("*.rst"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        artifacts.write_text(root / FOLDER / name, text)


def main() -> int:
    try:
        write(Path(__file__).parents[3])
    except ValueError as error:
        # A figure's file that cannot be used is told, without a traceback.
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
