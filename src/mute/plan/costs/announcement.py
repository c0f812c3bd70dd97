"""What a study says before it starts: how much it is, and roughly how long it takes."""

import sys
from collections.abc import Sized

from mute.plan.costs import Costs


def minutes(costs: Costs, cores: int) -> float:
    """Rough minutes that a whole study takes on `cores` cores, and one GPU where it needs one."""
    return max(costs.core_seconds / max(cores, 1) + costs.gpu_seconds, costs.chain) / 60


def announce(costs: Costs, cores: int | None) -> None:
    """Print to standard error what a study is, before anything starts."""
    study, cores = costs.study, cores or 1
    oracles = sum(oracle is not None for *_, oracle in study.trained.values())
    learn = "train or adapt" if any(map(costs.opened, study.models)) else "train"
    gpu = f" and {costs.gpu_seconds / 3600:.1f} hours of a GPU among them" if costs.gpu_seconds else ""
    print(
        f"Study {study.config.study.name!r}: {_count(study.cells, 'cell')} in {_count(study.shards, 'shard')} "
        f"({_count(study.models, 'model')}, {_count({c.algorithm for c in study.cells}, 'algorithm')}, "
        f"{_count({(c.model, c.band) for c in study.cells}, 'model x band pair')}, "
        f"{_count(study.languages, 'language')}), "
        f"{_count(len(study.trained) - oracles, 'model')} and {_count(oracles, 'oracle')} to {learn}.\n"
        f"From scratch roughly {_count(round(minutes(costs, cores)), 'minute')} on {_count(cores, 'core')}{gpu}; "
        f"what is finished is kept. Results: {study.config.study.results}/",
        file=sys.stderr,
    )


def _count(of: int | Sized, noun: str) -> str:
    number = of if isinstance(of, int) else len(of)
    return f"{number} {noun}{'s' * (number != 1)}"
