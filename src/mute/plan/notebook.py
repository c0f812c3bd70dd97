"""What a notebook of the workflow starts from: the job's tables, or those of the study when it is opened by hand."""

import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from matplotlib.figure import Figure

from mute.findings.results import Results
from mute.jobs import sealed
from mute.plotting import style
from mute.publishing import readback
from mute.store.records import Facts

if TYPE_CHECKING:
    from IPython.display import SVG
    from snakemake.iocontainers import Snakemake


class Opened:
    """The results that a notebook reads, and where its figure goes."""

    def __init__(self, results: Results, output: Path | None, seal: Callable[[], None] = lambda: None) -> None:
        self.results, self.output, self._seal = results, output, seal

    def show(self, figure: Figure, *, save: bool = False) -> "SVG":
        """The figure as the notebook shows it; with `save` it becomes the job's output (by hand nothing is written)."""
        from IPython.display import SVG

        if save and self.output is not None:
            style.save(figure, self.output)
            self._seal()
            return SVG(data=self.output.read_text(encoding="utf-8"))
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata=style.METADATA["svg"])
        return SVG(data=buffer.getvalue().decode())


def opened(snakemake: Optional["Snakemake"] = None, configfiles: Sequence[str] = ("config/config.yaml",)) -> Opened:
    """The job's results, or without a job those of the study that `configfiles` (one over the other) describe.

    They are read from the tables or from published runs, as the study's `publishing.notebooks` says.
    Raises FileNotFoundError if the study has no tables yet, or did not publish them.
    """
    if snakemake is not None:
        key = sealed.opened(snakemake)
        results = _results(snakemake.input.tables, snakemake.params.plan)
        return Opened(results, Path(snakemake.output[0]), partial(sealed.close, snakemake, key))
    # Only by hand: a job needs no configuration.
    from mute.plan.rules import Plans
    from mute.study.checks import read_study

    root = _project()
    study = read_study(*(root / path for path in configfiles))
    folder = root / study.config.study.results / "tables"
    plan, tables = Plans(study).notebooks(), sorted(folder.glob("*.csv"))
    if not tables and "published" not in plan:
        raise FileNotFoundError(f"no tables in {folder}: run the study first, or name its files, opened(configfiles=…)")
    return Opened(_results(tables, plan, root), None)


def _results(paths: Iterable[Path | str], plan: Facts, root: Path = Path()) -> Results:
    """From the files of the tables or, where `publishing.notebooks` says so, from the runs that hold them."""
    about = {name: value for name, value in plan.items() if name != "published"}
    if "published" in plan:
        return Results(readback.tables(plan["published"], root), about)
    return Results.read(paths, about)


def _project() -> Path:
    """The project's folder: the first one upwards from here that holds config/config.yaml."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "config" / "config.yaml").is_file():
            return folder
    raise FileNotFoundError(f"no config/config.yaml in {here} or above it: start the notebook inside the project")
