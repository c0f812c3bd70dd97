"""Runs part of a model: blocks start..stop on hidden states, exactly as the whole model would.

B batch, T tokens, D hidden, L blocks. Sequences are padded on the right and attention is causal, so no position that is
read ever sees padding and no mask is needed.
"""

import copy
import math
import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mute.engine import cache
from mute.jobs import progress
from mute.models import anatomy, hooks, treatment
from mute.models.anatomy import Model

# Models whose steps keep no more than the inputs of blocks.
_RECOMPUTED: "weakref.WeakSet[Any]" = weakref.WeakSet()
# Of the free memory of an accelerator, what the states of one set of texts may take.
DEVICE_SHARE = 0.25


def depth(model: Model) -> int:
    """L, the number of decoder blocks."""
    return len(anatomy.blocks(model))


def embed(model: Model, ids: Tensor) -> Tensor:
    """The input of block 0 for token ids [B, T]: [B, T, D]."""
    known, core = anatomy.anatomy(model), anatomy.backbone(model)
    hidden = getattr(core, known.embeddings)(ids)
    return getattr(core, known.embedding_norm)(hidden) if known.embedding_norm else hidden


def run(
    model: Model, hidden: Tensor, start: int, stop: int, skip: tuple[int, ...] = (), *, ids: Tensor | None = None
) -> Tensor:
    """Blocks start..stop-1, except those in `skip`, on their input `hidden` [B, T, D]; not normalised at the end.

    ids [B, T]: the tokens that the states belong to, which treatments of states ask for.
    """
    treatment.reading(model, ids)
    kept = [block for block in range(start, stop) if block not in skip]
    if not kept:
        return hidden
    if model in _RECOMPUTED and torch.is_grad_enabled():
        for block in kept:
            view = _view(model, (block,))
            hidden = checkpoint(lambda h, view=view: _through(view, h), hidden, use_reentrant=False)
        return hidden
    return _through(_view(model, tuple(kept)), hidden)


def recompute(model: Model) -> None:
    """From now on keep the inputs of a model's blocks for gradients, and compute what is inside again."""
    _RECOMPUTED.add(model)


def _through(view: Any, hidden: Tensor) -> Tensor:
    return view(inputs_embeds=hidden, use_cache=False).last_hidden_state


def run_mixed(model: Model, hidden: Tensor, start: int, mixed: Mapping[int, float], *, ids: Tensor | None) -> Tensor:
    """Blocks start..L-1 as `run`, those in `mixed` as (1 - m) times the identity and m times the block; 0 skips one."""
    kept: list[int] = []

    def passed(hidden: Tensor, blocks: list[int]) -> Tensor:
        skip = tuple(set(range(start, depth(model))) - set(blocks))
        return run(model, hidden, start, depth(model), skip, ids=ids)

    for block in range(start, depth(model)):
        if block not in mixed:
            kept.append(block)
        elif mixed[block]:
            hidden = passed(hidden, kept)
            hidden, kept = torch.lerp(hidden, passed(hidden, [block]), mixed[block]), []
    return passed(hidden, kept)


def _view(model: Model, kept: tuple[int, ...]) -> Any:
    """The backbone with only the blocks in `kept`: the same parameters, no embedding norm, no final norm."""
    known, core = anatomy.anatomy(model), anatomy.backbone(model)
    view = copy.copy(core)
    view._modules = dict(core._modules)
    view.config = copy.copy(core.config)
    view.config.num_hidden_layers = len(kept)
    if getattr(core.config, "layer_types", None):
        # Qwen2, Qwen3 and Gemma look a block's kind of attention up by its position.
        view.config.layer_types = [core.config.layer_types[block] for block in kept]
    layers = getattr(core, known.blocks)
    view._modules[known.blocks] = nn.ModuleList([layers[block] for block in kept])
    view._modules[known.final_norm] = nn.Identity()
    if known.embedding_norm:
        # BLOOM normalises whatever it is given as embeddings; states inside the model are past that.
        view._modules[known.embedding_norm] = nn.Identity()
    return view


def read_out(model: Model, hidden: Tensor) -> Tensor:
    """Logits [..., V] in float32 from outputs of the last block (or, as the logit lens, of any block)."""
    return anatomy.head(model, anatomy.final_norm(model)(hidden))


def logits(model: Model, hidden: Tensor, start: int, skip: tuple[int, ...] = ()) -> Tensor:
    """Logits [B, T, V] of the whole model from the input of block `start`."""
    return read_out(model, run(model, hidden, start, depth(model), skip))


class Prefix:
    """Token sequences whose states stand at the input of one block: the frozen prefix.

    kept: whether `states` holds them; if not, each batch runs the blocks below again.

    Kept states belong to the hooks that stood below their block when they were computed. Where others stand when they
    are read, or none, that is a RuntimeError; and what hooks have changed goes into no cache and comes from none.
    """

    def __init__(self, model: Model, sequences: list[list[int]]) -> None:
        if not sequences:
            raise ValueError("there are no texts to run the model on")
        if empty := sum(not sequence for sequence in sequences):
            # Its last state would be another text's.
            raise ValueError(f"{empty} of {len(sequences)} texts are empty: a model reads at least one token")
        self.model, self.cache = model, cache.of(model)
        self.block, self.kept = 0, True
        self.passed: hooks.Standing = ()
        self.states: Tensor

    def keep(self, tokens: int, most_gb: float) -> None:
        """Keep the states of so many tokens if they take no more than `most_gb` gigabytes, and start at block 0."""
        self.kept = tokens * self.model.config.hidden_size * self.model.dtype.itemsize <= most_gb * 1e9
        self.restart()

    def restart(self) -> None:
        """Put the states at the input of block 0 again, from the embeddings as they are now."""
        raise NotImplementedError

    def begin(self) -> None:
        """Stand at block 0, under the hooks that stand on the embeddings now."""
        self.block = 0
        self.passed = hooks.below(self.model, 0)

    def through(self, start: int, stop: int) -> Tensor:
        """States after blocks start..stop-1 as the model is now; `start` is where the states stand."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise RuntimeError if the kept states were computed under other hooks than stand now."""
        now = hooks.below(self.model, self.block)
        if self.kept and now != self.passed:
            raise RuntimeError(
                f"states at block {self.block} were computed with other hooks below it ({hooks.listed(self.passed)}) "
                f"than stand there now ({hooks.listed(now)}): restart the texts first"
            )

    @torch.no_grad()
    def advance(self, block: int) -> None:
        """Move the states to the input of `block`, upwards only."""
        if block < self.block:
            raise ValueError(f"states stand at block {self.block}, they cannot go back to {block}")
        if block > self.block:
            if self.kept:
                self.check()
                self.states = self.through(self.block, block)
            self.block = block
            self.passed = hooks.below(self.model, block)


class Texts(Prefix):
    """Token sequences with one hidden state per token, kept at the input of one block.

    States are computed once and moved up block by block; batches are gathered from them. `states` is [sum of T, D], on
    the model's device where it takes no more than DEVICE_SHARE of the free memory there, in the host's memory
    otherwise. With a cache (see `cache.attach`), states that any job has computed before are read instead.

    States that take more than `most_gb` gigabytes are not kept: each batch then runs the blocks below again.
    """

    def __init__(
        self, model: Model, sequences: list[list[int]], tokens_per_batch: int = 8192, most_gb: float = math.inf
    ) -> None:
        super().__init__(model, sequences)
        self.sequences = sequences
        self.lengths = torch.tensor([len(s) for s in sequences])
        self.offsets = torch.cumsum(self.lengths, 0) - self.lengths
        self.ids = torch.tensor([token for s in sequences for token in s], device=model.device)
        self.batches = exact_batches(sequences, tokens_per_batch)
        self.keep(len(self.ids), most_gb)

    @torch.no_grad()
    def restart(self) -> None:
        self.begin()
        if not self.kept:
            return
        device, tokens = _home(self.model, len(self.ids)), len(self.ids)
        self.states = torch.empty(tokens, self.model.config.hidden_size, dtype=self.model.dtype, device=device)
        # Each sequence in a row of its own: a filter on embeddings reads what stands before a token.
        for rows in self.batches:
            index = self.positions(in_fours(rows))
            self.states[index] = embed(self.model, self.ids[index]).to(device)

    @torch.no_grad()
    def through(self, start: int, stop: int) -> Tensor:
        """[sum of T, D]."""
        assert start == self.block
        if self.cache is None:
            return self._through(start, stop)
        return self.cache.states(self.model, self.ids, self.lengths, stop, lambda: self._through(start, stop))

    def _through(self, start: int, stop: int) -> Tensor:
        result = torch.empty_like(self.states)
        for rows in progress.each(self.batches, "batch of states"):
            index = self.positions(in_fours(rows))
            result[index] = run(self.model, self.at(index), start, stop, ids=self.ids[index]).to(result.device)
        return result

    def at(self, index: Tensor, flat: Tensor | None = None) -> Tensor:
        """Rows `index` of the states (of `flat`, if given), on the model's device."""
        if flat is None and not self.kept:
            ids = self.ids[index]
            return run(self.model, embed(self.model, ids), 0, self.block, ids=ids)
        if flat is None:
            self.check()
            flat = self.states
        return flat[index].to(self.model.device, non_blocking=True)

    def positions(self, rows: list[int] | Tensor) -> Tensor:
        """Indices [B, T] into `states` of sequences of one and the same length."""
        rows = torch.as_tensor(rows)
        return self.offsets[rows, None] + torch.arange(int(self.lengths[rows[0]]))

    def gather(self, rows: list[int] | Tensor, flat: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """States [B, T, D] (of `flat`, if given) of any sequences, padded on the right, and which are real [B, T]."""
        rows = torch.as_tensor(rows)
        steps = torch.arange(int(self.lengths[rows].max()))
        real = steps < self.lengths[rows, None]
        index = self.offsets[rows, None] + torch.where(real, steps, 0)
        return self.at(index, flat), real.to(self.model.device)


def _home(model: Model, tokens: int) -> torch.device:
    """Where the states of `tokens` tokens are kept: the model's device if there is room, the host otherwise."""
    if model.device.type != "cuda":
        return model.device
    free, _ = torch.cuda.mem_get_info(model.device)
    size = tokens * model.config.hidden_size * model.dtype.itemsize
    return model.device if size <= DEVICE_SHARE * free else torch.device("cpu")


def in_fours(rows: list[int]) -> list[int]:
    """Rows with the last one repeated until four divides their number.

    Reductions take four rows at a time and sum what is left over in another order: a state must not depend on the
    batch that it was computed in.
    """
    return rows + rows[-1:] * (-len(rows) % 4)


def exact_batches(sequences: list[list[int]], tokens: int) -> list[list[int]]:
    """Rows of equal length together, no more than about `tokens` tokens a batch: no padding at all."""
    by_length: dict[int, list[int]] = {}
    for row, sequence in enumerate(sequences):
        by_length.setdefault(len(sequence), []).append(row)
    batches = []
    for length, rows in sorted(by_length.items()):
        size = max(2, tokens // length)
        batches += [rows[i : i + size] for i in range(0, len(rows), size)]
    return batches
