"""Treatments: what may stand between a question and its score, and the hooks by which they are put on a model.

A guard is a treatment that was fitted, an attack one that is tried on a victim. Every point is the identity unless a
treatment overrides it, and what is not overridden is not hooked. B batch, T tokens, D hidden, N predictions, V
vocabulary. Imports no torch: every parse of the workflow reads the attacks.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mute.models import anatomy
from mute.store.records import Record

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd
    from torch import Tensor

    from mute.models.anatomy import Model


@dataclass(frozen=True)
class Where:
    """Where predictions are made: for each, the tokens that were read before it."""

    read: Sequence[Sequence[int]]


class Treatment:
    """What is done to a model, its questions, its states, its predictions or its replies. `name` stands in errors."""

    name: ClassVar[str] = "treatment"

    def weights(self, model: Model) -> AbstractContextManager[object]:
        """Change weights while the context lasts; afterwards the model is bit for bit what it was."""
        return nullcontext()

    def mixed(self, depth: int) -> Mapping[int, float]:
        """Blocks that are replaced by (1 - m) times the identity and m times the block, with their m; 0 skips one."""
        return {}

    def asked(self, model: Model, prompts: Sequence[Sequence[int]]) -> None:
        """Hear by which model which prompts, as tokens, are read next: what follows one of them is its answer.

        It changes nothing. Where no prompt is known, all that has been read is one.
        """

    def alarms(self, model: Model, rows: pd.DataFrame, prompts: Sequence[Sequence[int]]) -> list[float] | None:
        """How far a guard's detector is above its threshold on each question, above 0 where it fires; None: has none.

        The questions as `questions` takes them, and as the tokens that the model reads of them. It changes nothing.
        """
        return None

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The questions that are asked in the place of others: rows of the corpus's texts, one for each."""
        return rows

    def embeddings(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """[B, T, D] in the place of the embeddings of tokens `ids` [B, T], before any norm."""
        return embedded

    def states(self, block: int, hidden: Tensor, ids: Tensor) -> Tensor:
        """[B, T, D] in the place of the states at the input of a block; `ids` [B, T] are the tokens they belong to."""
        return hidden

    # The first block whose input `states` changes: what lies below is the base's.
    start: int = 0

    def logits(self, logits: Tensor, where: Where) -> Tensor:
        """[N, V] in the place of the logits of N predictions."""
        return logits

    def reply(self, question: str, text: str) -> str:
        """The text that is given in the place of what the model says."""
        return text

    def outcome(self) -> Record:
        """What a record says of how it went; `status` is `ok` unless the treatment has failed."""
        return {"status": "ok"}


# Where a treatment may do something.
POINTS = ("weights", "mixed", "questions", "embeddings", "states", "logits", "reply")


def overrides(treatment: Treatment, point: str) -> bool:
    """Whether a treatment does something at a point."""
    return does(type(treatment), point)


def does(kind: type[Treatment], point: str) -> bool:
    """Whether treatments of a kind do something at a point."""
    return getattr(kind, point) is not getattr(Treatment, point)


def in_place(treatment: Treatment, point: str, given: Tensor, made: object) -> Tensor:
    """What a treatment has made, if it can stand in the place of what it was given.

    Raises ValueError that names the treatment, the point, and what must be returned.
    """
    import torch

    if not isinstance(made, torch.Tensor):
        raise ValueError(f"{treatment.name}.{point} returned {type(made).__name__}, must be a tensor {_kind(given)}")
    if (made.shape, made.dtype, made.device) != (given.shape, given.dtype, given.device):
        raise ValueError(f"{treatment.name}.{point} returned {_kind(made)}, must be {_kind(given)}")
    return made


def _kind(tensor: Tensor) -> str:
    return f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"


# The tokens that a model reads now, where a run does not begin at its embeddings.
_READING: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def reading(model: Model, ids: Tensor | None) -> None:
    """Say which tokens [B, T] the states belong to that run through blocks of the model next; None: nobody knows."""
    if ids is None:
        _READING.pop(model, None)
    else:
        _READING[model] = ids


@contextmanager
def installed(model: Model, treatments: Iterable[Treatment], *, plain: bool = True) -> Generator[None]:
    """The model with all treatments in place, in their order: weights first, then hooks; afterwards it is as it was.

    plain: whether the model's own forward is called next. The engine, which is not, mixes blocks and treats logits
    itself: see `mute.evaluate.subject`.
    """
    treatments = list(treatments)
    with ExitStack() as stack:
        for treatment in treatments:
            stack.enter_context(treatment.weights(model))
            treatment.asked(model, [])
        inner = [t for t in treatments if overrides(t, "states")]
        if inner or any(overrides(t, "embeddings") for t in treatments):
            stack.callback(_on_embeddings(model, treatments).remove)
        for block, module in enumerate(anatomy.blocks(model) if inner else ()):
            own = [t for t in inner if t.start <= block]
            if own:
                stack.callback(_before_block(model, block, module, own).remove)
        for block, share in mixes(model, treatments).items() if plain else ():
            stack.enter_context(_bypassed(anatomy.blocks(model)[block], share))
        outer = [t for t in treatments if overrides(t, "logits")]
        if outer and plain:
            stack.callback(_on_model(model, outer).remove)
        try:
            yield
        finally:
            _READING.pop(model, None)


def mixes(model: Model, treatments: Iterable[Treatment]) -> dict[int, float]:
    """Blocks that treatments mix with the identity."""
    depth, found = len(anatomy.blocks(model)), {}
    for treatment in treatments:
        own = treatment.mixed(depth)
        if beyond := [block for block in own if block not in range(depth)]:
            raise ValueError(f"{treatment.name}.mixed names block {beyond[0]}, must be one of 0 to {depth - 1}")
        found.update(own)
    return found


def _on_embeddings(model: Model, treatments: list[Treatment]) -> Any:
    own = [t for t in treatments if overrides(t, "embeddings")]

    def hook(module: Any, args: tuple[Any, ...], embedded: Any) -> Any:
        reading(model, args[0])
        for treatment in own:
            embedded = in_place(treatment, "embeddings", embedded, treatment.embeddings(embedded, args[0]))
        if own:
            # One that asks the model itself has read other tokens meanwhile.
            reading(model, args[0])
        return embedded if own else None

    return model.get_input_embeddings().register_forward_hook(hook)


def _before_block(model: Model, block: int, module: Any, own: list[Treatment]) -> Any:
    def hook(module: Any, args: tuple[Any, ...], kwargs: Record) -> Any:
        given = bool(args)
        hidden = args[0] if given else kwargs["hidden_states"]
        ids = _READING.get(model)
        if ids is None or ids.shape != hidden.shape[:2]:
            raise RuntimeError(
                f"a treatment of states ({own[0].name}) does not know which tokens block {block} reads: run the model "
                "from its tokens, or through mute.evaluate.subject.Subject"
            )
        for treatment in own:
            hidden = in_place(treatment, f"states at block {block}", hidden, treatment.states(block, hidden, ids))
        return ((hidden, *args[1:]), kwargs) if given else (args, {**kwargs, "hidden_states": hidden})

    return module.register_forward_pre_hook(hook, with_kwargs=True)


@contextmanager
def _bypassed(module: Any, share: float) -> Generator[None]:
    """The block mixed with the identity, on the plain path; what is done to its input goes with it."""
    import torch

    given: list[Any] = []

    def keep(module: Any, args: tuple[Any, ...], kwargs: Record) -> None:
        given[:] = [args[0] if args else kwargs["hidden_states"]]

    def hook(module: Any, args: tuple[Any, ...], kwargs: Record, output: Any) -> Any:
        before = given.pop()
        after = output[0] if isinstance(output, tuple) else output
        mixed = torch.lerp(before, after, share) if share else before
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

    first = module.register_forward_pre_hook(keep, with_kwargs=True, prepend=True)
    hooked = module.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        first.remove()
        hooked.remove()


def _on_model(model: Model, own: list[Treatment]) -> Any:
    """The logits of the whole model, [B, T, V], each prediction with the tokens before it."""

    def hook(module: Any, args: tuple[Any, ...], kwargs: Record, output: Any) -> Any:
        ids = kwargs.get("input_ids", args[0] if args else None)
        if ids is None or output.logits.shape[:2] != ids.shape:
            raise RuntimeError(f"a treatment of logits ({own[0].name}) needs the tokens that the model reads")
        read = [row[: end + 1] for row in ids.tolist() for end in range(len(row))]
        flat = output.logits.flatten(0, 1)
        for treatment in own:
            flat = in_place(treatment, "logits", flat, treatment.logits(flat, Where(read)))
        output.logits = flat.view_as(output.logits)
        return output

    return model.register_forward_hook(hook, with_kwargs=True)
