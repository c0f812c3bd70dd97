"""What jobs and cells need of GPUs of several sizes: states of texts that do not fit stay in the host's memory."""

from collections.abc import Iterator, Sequence

from mute.bands import is_whole
from mute.plan.costs.footprint import CUDA_CONTEXT, Footprint
from mute.plan.costs.work import Workload
from mute.study.cells import Cell


def needed(work: Workload, cards: Sequence[float]) -> Iterator[tuple[str, int, list[float]]]:
    """What is run, how many cells it has (0: a model's own job), and the bytes that it needs on each card.

    Cells of one model, algorithm and number of blocks stand together, with the most that any of them takes.
    """
    every = [Footprint(work, card) for card in cards]
    kinds: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in work.study.cells:
        width = cell.band if is_whole(cell.band) else _blocks(work.span(cell)[0])
        kinds.setdefault((cell.model, cell.algorithm, width), []).append(cell)
    for model in filter(work.needs_gpu, work.study.models):
        languages = len(work.study.first_sources(model))
        if work.config.models[model].adaptation is not None:
            yield f"{model}: adapted", 0, [CUDA_CONTEXT + at.adaptation(model)[1] for at in every]
        yield f"{model}: layers scored", 0, [CUDA_CONTEXT + at.capture(model, languages)[1] for at in every]
        yield f"{model}: evaluated", 0, [CUDA_CONTEXT + at.reading(model, work.size.forms)[1] for at in every]
        for (own, algorithm, width), cells in kinds.items():
            if own == model:
                most = [CUDA_CONTEXT + max(at.unlearning([cell])[1] for cell in cells) for at in every]
                yield f"{model}: {algorithm}, {width}", len(cells), most


def _blocks(number: int) -> str:
    return f"{number} block" + "s" * (number > 1)
