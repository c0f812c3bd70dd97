"""The patches of a shard, each put in its place and worked on into the store, from its band's first block on.

What evaluates and what probes them stand in modules of their own: a change in one computes nothing of the other anew.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import pandas as pd

from mute.bands import FULL, Band, first_block
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.engine.opening import Opener
from mute.evaluate.scoring import Texts
from mute.evaluate.subject import Subject
from mute.jobs import progress
from mute.jobs.logs import Log
from mute.models import tokenizer
from mute.store import artifacts, clock
from mute.store.records import Facts, Record

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CellRow(Protocol):
    """A cell as a row of its shard's table."""

    model: str
    training_seed: int
    algorithm: str
    band: str
    sources: str
    forget_set: str
    protocol: str
    digest: str


# Fills a folder from (subject, band, cell's row) and returns what its record says more; a patch is in place.
Work = Callable[[Subject, Band, CellRow, Path], Record]
# Puts a cell's patch in place, or gives the model its guard, from the cell's folder.
Placed = Callable[["PreTrainedModel", Path], AbstractContextManager[Subject]]


class Shard:
    """The cells of a shard, with their models opened one at a time."""

    def __init__(self, cells: str, corpus: str, models: Opener, placed: Placed) -> None:
        self.models, self.placed = models, placed
        self.cells = artifacts.read_table(cells)
        self.corpus_folder = Path(corpus).parent
        self.results = self.corpus_folder.parent
        self.corpus = Corpus.load(self.corpus_folder)

    def run(
        self,
        store: str,
        about: Facts,
        output: str,
        log: Log,
        opener: Callable[["PreTrainedModel", tokenizer.Encoder, CellRow], Work],
        own_about: Callable[[CellRow], Facts] = lambda cell: {},
    ) -> None:
        """Compute what the store lacks. `opener` gets (model, encoder, first row) once per model and forget set.

        `own_about` says of a cell's row what its work depends on besides `about`.
        """
        rows, computed = [], 0
        opened: tuple[tuple[str, int, str], PreTrainedModel, Work] | None = None

        def compute(folder: Path, cell: CellRow) -> Record:
            nonlocal opened
            key = (cell.model, cell.training_seed, cell.forget_set)
            if opened is None or opened[0] != key:
                source = self.results / "models" / f"{cell.model}-s{cell.training_seed}"
                artifacts.checked(source)
                model = self.models.open(source)
                opened = (key, model, opener(model, tokenizer.Encoder(tokenizer.load(source)), cell))
            model, work = opened[1:]
            before = clock.seconds()
            band = Band.named(str(cell.band), sections.depth(model))
            with self.placed(model, self.results / "cells" / cell.digest) as subject:
                more = work(subject, band, cell, folder)
            seconds = clock.between(before, clock.seconds())
            return {"producer": store, "about": about, "cell": cell.digest, **more, "seconds": seconds}

        with progress.counting(len(self.cells), "cell") as count:
            for cell in self.in_order():
                artifacts.checked(self.results / "cells" / str(cell.digest))
                own = {**about, **own_about(cell), "languages": about["languages"][cell.model], "cell": cell.digest}
                digest = artifacts.digest(own)
                folder = self.results / store / digest
                _, new = artifacts.stored(folder, lambda folder, cell=cell: compute(folder, cell))
                computed += new
                rows.append({"cell": cell.digest, "digest": digest})
                count() if new else count.skip()
        log.progress(len(rows), len(rows), f"{computed} computed, {len(rows) - computed} found, cell")
        artifacts.write_table(output, pd.DataFrame(rows).set_index("cell").loc[self.cells["digest"]].reset_index())

    def in_order(self) -> list[CellRow]:
        """The cells by model, then by depth: cached states only move up, so that every block runs once for all."""
        keys = ("model", "training_seed", "forget_set")
        cells = cast("Iterator[CellRow]", self.cells.itertuples(index=False))
        return sorted(
            cells,
            key=lambda c: (*(getattr(c, key) for key in keys), c.band == FULL, first_block(c.band)),
        )


def place(texts: Texts, band: Band) -> None:
    """Bring cached states to the input of `band`, from below or, where they are past it or embeddings changed, anew."""
    if band.full or texts.block > band.start:
        texts.restart()
    texts.advance(band.start)
