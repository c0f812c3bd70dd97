"""Evaluates the patches of a shard."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.bands import Band
from mute.engine import sections
from mute.engine.opening import Opener
from mute.evaluate.run import Evaluator
from mute.evaluate.shards import CellRow, Placed, Shard, Work, place
from mute.evaluate.subject import Subject
from mute.jobs.logs import Log
from mute.models.tokenizer import Encoder
from mute.store import artifacts
from mute.store.records import Facts, Record

if TYPE_CHECKING:
    from transformers import PreTrainedModel

STORE = "evaluations/cells"


def evaluate_shard(
    cells: str, corpus: str, models: Opener, placed: Placed, plan: Facts, code: str, output: str, log: Log
) -> None:
    """Token and answer tables of every patch of a shard."""
    shard = Shard(cells, corpus, models, placed)

    def opener(model: "PreTrainedModel", encoder: Encoder, first: CellRow) -> Work:
        folder = shard.results / "models" / f"{first.model}-s{first.training_seed}"
        corpus = shard.corpus.of(first.training_seed, folder)
        languages, forms = plan["languages"][first.model], corpus.asked_forms
        evaluator = Evaluator(model, encoder, corpus, languages, forms, compared=True)

        def work(subject: Subject, band: Band, cell: CellRow, folder: Path) -> Record:
            place(evaluator.texts, band)
            tokens, answers = evaluator.evaluate(subject)
            artifacts.write_table(folder / "tokens.parquet", tokens)
            artifacts.write_table(folder / "answers.parquet", answers)
            if band.full:
                evaluator.texts.block = sections.depth(model) + 1  # states of a changed embedding serve nobody else
            return {}

        return work

    shard.run(STORE, {**plan, "code": code}, output, log, opener)
