"""What a method takes: planned by the cost model on the embedded Llama, and measured where a benchmark has it."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mute.bands import is_block
from mute.plan.costs.work import Workload
from mute.store import artifacts
from mute.study.checks import read_study

DEFAULTS = Path("config/config.yaml")
# Studies of every method and guard: the first that has one says what a cell of it takes.
STUDIES = (Path("config/zoo.yaml"), Path("config/guards.yaml"))
STEPS, GUARDS = Path("benchmarks/results/engine-llama.json"), Path("benchmarks/results/guards.json")


@dataclass(frozen=True)
class Planned:
    """Seconds of one core that a cell takes on one block, or on the band that it is run on, and of which study."""

    study: str
    band: str
    protocol: str
    making: float
    asking: float


@cache
def planned(root: Path) -> dict[str, Planned]:
    """By method: what one cell of it is planned to take."""
    found: dict[str, Planned] = {}
    for path in STUDIES:
        study = read_study(root / DEFAULTS, root / path)
        work = Workload(study)
        # Single blocks before bands of several: most figures are of those.
        for cell in sorted(study.cells, key=lambda cell: not is_block(str(cell.band))):
            if cell.model == study.models[0]:
                own = Planned(str(path), str(cell.band), cell.protocol, work.unlearning(cell), work.evaluation(cell))
                found.setdefault(study.method(cell.algorithm), own)
    return found


@cache
def steps(root: Path) -> dict[str, list[dict]]:
    """Measured steps by method, in their order."""
    found: dict[str, list[dict]] = {}
    rows: list[dict] = json.loads((root / STEPS).read_text(encoding="utf-8"))
    for row in rows:
        found.setdefault(str(row["algorithm"]), []).append(row)
    return found


@cache
def guards(root: Path) -> dict[str, dict]:
    """Measured guards by name."""
    return {str(row["guard"]): row for row in artifacts.read_json(root / GUARDS)["guards"]}


def words(root: Path, method: str) -> str:
    """What a method takes, in sentences."""
    said = []
    if own := planned(root).get(method):
        where = f"block {own.band}" if is_block(own.band) else f"the band `{own.band}`"
        making = "under a second" if own.making < 1 else f"{own.making:.0f} s"
        said.append(
            f"Planned for one cell of `{own.study}` ({where}, protocol `{own.protocol}`, embedded Llama, one core): "
            f"{making} to make it, {own.asking:.0f} s to ask it everything."
        )
    else:
        said.append("No study among the examples runs it by itself: `make plan` says what a cell of yours takes.")
    for row in steps(root).get(method, []):
        said.append(
            f"Measured: a step on blocks {row['band']} takes {1000 * row['seconds_engine']:.0f} ms by the engine, "
            f"{1000 * row['seconds_reference']:.0f} ms by the plain path."
        )
    if row := guards(root).get(method):
        said.append(
            f"Measured: a question takes {row['ms']:.0f} ms where the base takes {row['base_ms']:.0f} ms; "
            f"fitted in {row['fit_seconds']:.1f} s; {row['kept_kb']:.1f} KB are kept."
        )
    return " ".join(said)
