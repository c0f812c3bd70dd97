"""Files that are read beside a study's own tables: published numbers, studies on the board. Imports no pandas."""

from pathlib import Path

from mute.store import project

FOLDER = Path("paper/published")
TABLES, CURVES, TARGETS = "mute_tables_long", "mute_fig2_3_4_curves", "mute_stated_layers"
REGIONS, ALPHAS = "mute_table5_regions", "mute_table6_regions"
FILES = (TABLES, CURVES, TARGETS, REGIONS, ALPHAS)

# Studies on the board that the paper tells of beside its own, and what each is about, in the order of the paper.
BOARD = Path("board/frozen")
STUDIES = {
    "gemma": "A real multilingual model",
    "board-small": "Every method, and every guard",
    "guards": "Guards under attack",
}
ROWS, ATTACKS, ABOUT = "rows.csv", "attacks.csv", "submission.json"


def of_board() -> list[str]:
    """What is read of those that are there, by its name from the project's folder."""
    wanted = (BOARD / name / part for name in STUDIES for part in (ROWS, ATTACKS, ABOUT))
    return [path.as_posix() for path in wanted if Path(project.path(str(path))).is_file()]
