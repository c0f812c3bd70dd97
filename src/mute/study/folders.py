"""Where a study's results may lie, and how long the names in them may be."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from mute.config.problems import Problem
from mute.config.sections import Config
from mute.names import is_folder, unusable
from mute.study.cells import Study

# Folders of the project, and those that a study makes in its results.
PROJECT = (
    "benchmarks",
    "board",
    "config",
    "data",
    "docs",
    "envs",
    "paper",
    "profiles",
    "scripts",
    "src",
    "tests",
    "workflow",
)
_MADE = """
    analyses attacks benchmarks board cache cells corpus damaged evaluations explorer exports figures frozen gates
    harness inputs kinship layers logs models notebooks paper plots published records shards site submissions tables
    tokenizers
"""
MADE = tuple(_MADE.split())
_KEY = ("study", "results")
# Bytes of a file's name: most file systems take 255, of which endings and the temporary name's letters need some.
LONGEST_NAME = 200
# Snakemake plans a tenth of them in minutes, and a study of a million cells is a list too many.
MOST_CELLS = 1_000_000


def problems(results: str) -> Iterator[Problem]:
    """What is wrong with the place: a study must not lie among what the project, or another study, has made."""
    first, *below = Path(results).parts or ("",)
    if wrong := unusable(results):
        yield Problem(_KEY, wrong)
    elif first in PROJECT:
        yield Problem(_KEY, f"{results!r} is in {first}/, which is the project's own; use results/NAME")
    elif taken := [part for part in below if part in MADE]:
        text = f"{results!r} is in a folder {taken[0]}/ such as every study makes in its own; use another name"
        yield Problem(_KEY, text)
    for folder in (Path(results), *Path(results).parents):
        if os.path.lexists(folder) and not is_folder(folder):
            yield Problem(_KEY, f"must be a folder, but {str(folder)!r} is something else")


def too_many(config: Config) -> Iterator[Problem]:
    """Grids whose lists make more cells than anybody means, before they are made."""
    for name in config.study.grids:
        grid, count = config.grids[name], 0
        for model in grid.models or config.study.models:
            blocks = config.models[model].blocks if model in config.models else 0
            bands = sum(blocks if band == "each" else 1 for band in grid.bands)
            lists = (grid.algorithms, grid.sources, grid.retain, grid.forget_sets, grid.protocols, grid.seeds)
            seeds = config.models[model].training_seeds or config.study.training_seeds
            count += bands * len(seeds) * math.prod(map(len, lists))
        if count > MOST_CELLS:
            yield Problem(("grids", name), f"its lists make {count} cells; at most {MOST_CELLS} can be planned")


def long_names(study: Study) -> Iterator[Problem]:
    """Names that no file system takes: models, algorithms and languages are joined in them."""
    names = {*study.trained, *study.shards}
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST_NAME:
        text = (
            f"a file would be named {longest[:40]}..., {len(longest)} characters, and {LONGEST_NAME} are possible: "
            "give models and algorithms shorter names, or shard_by fewer keys"
        )
        yield Problem(("study",), text)
