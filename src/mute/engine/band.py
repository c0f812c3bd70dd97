"""The texts that the losses of a band read, with everything below the band computed once."""

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd
import torch
from torch import Tensor

from mute.bands import Band
from mute.engine import frozen, moments, sections
from mute.engine.steps import Steps
from mute.models import patches
from mute.models.anatomy import Model
from mute.models.tokenizer import Encoder
from mute.names import unknown_name
from mute.store.artifacts import seed_of

# The least that a feature is said to vary, as a share of how much features vary on average.
STILL = 1e-3


@dataclass
class Batch:
    """Some sequences of the text set `side`. ids, real: [B, T]; hidden: [B, T, D] at the band's input.

    real marks tokens that are neither padding nor the beginning of the sequence; answer [B, T] marks the tokens that
    are answers, so position t is predicted from t - 1. rows [B] stays on the CPU, all else is on the model's device.

    What is said of the N answer tokens comes row by row, and in each from left to right.
    """

    side: "TextSet"
    rows: Tensor
    ids: Tensor
    real: Tensor
    answer: Tensor
    hidden: Tensor | None

    @property
    def owner(self) -> Tensor:
        """The row of the batch that each answer token belongs to [N]."""
        return self.answer.nonzero(as_tuple=True)[0]

    @property
    def labels(self) -> Tensor:
        """The answer tokens [N]."""
        return self.ids[self.answer]

    @property
    def key(self) -> Tensor:
        """Where edits read keys [B, T]: each sequence's last token of its subject, or else of its prompt."""
        mask = torch.zeros_like(self.real)
        mask[torch.arange(len(self.rows)), self.side.key[self.rows]] = True
        return mask

    @property
    def ends(self) -> Tensor:
        """Each sequence's last token of its prompt [B, T]."""
        mask = torch.zeros_like(self.real)
        mask[torch.arange(len(self.rows)), self.side.first[self.rows] - 1] = True
        return mask

    def predictors(self, states: Tensor) -> Tensor:
        """Of states [B, T, D] those that answer tokens are predicted from [N, D]."""
        row, place = self.answer.nonzero(as_tuple=True)
        return states[row, place - 1]


class TextSet:
    """Texts of one side of a loss (forget, retain, or any other), with their states at the band's input.

    items, languages, forms: what each text is about, its language, and its wording; texts without an item have "", and
    without a wording -1. subjects: whom its
    prompt names, where the rows have a column `subject` and the prompt has it in these letters; else "". key [texts]:
    the place of the last token of the subject, or else of the prompt. parts: prefix, answer and suffix of each.
    frozen, logprobs, token_logprobs, final: what the `Task.freeze_...` of these names remembered of the model before
    unlearning: the band's outputs, one number an answer, one an answer token, one state an answer token.
    """

    def __init__(self, model: Model, rows: pd.DataFrame, encoder: Encoder) -> None:
        if rows.empty:
            raise ValueError("a loss has no texts to read: check forget set, sources and retain coverage")
        asked = list(zip(rows["prefix"], rows["answer"], rows["suffix"]))
        prompts = [encoder.prompt(p) for p, _, _ in asked]
        answers = [encoder.answer(p, a) for p, a, _ in asked]
        suffixes = [encoder.after(s) + encoder.end for _, _, s in asked]
        self.texts = sections.Texts(model, [p + a + s for p, a, s in zip(prompts, answers, suffixes)])
        self.lengths = self.texts.lengths
        self.first = torch.tensor([len(p) for p in prompts])
        self.last = self.first + torch.tensor([len(a) for a in answers])
        self.languages: list[str] = rows["language"].tolist()
        self.items: list[str] = rows["item"].fillna("").tolist() if "item" in rows else [""] * len(rows)
        self.forms: list[int] = rows["form"].fillna(-1).astype(int).tolist() if "form" in rows else [-1] * len(rows)
        subjects = rows["subject"].fillna("").tolist() if "subject" in rows else [""] * len(rows)
        self.subjects: list[str] = [s if s in p else "" for s, (p, _, _) in zip(subjects, asked)]
        self.key = torch.tensor([_last_of(s, p, encoder) for s, (p, _, _) in zip(self.subjects, asked)])
        self.parts, self.encoder = asked, encoder
        self.padding = encoder.tokenizer.pad_token_id or 0
        self.frozen: Tensor | None = None
        self.logprobs: Tensor | None = None
        self.token_logprobs: Tensor | None = None
        self.final: Tensor | None = None

    def __len__(self) -> int:
        return len(self.first)

    @property
    def tokens(self) -> Tensor:
        """How many tokens each answer has [texts]."""
        return self.last - self.first

    def answer_places(self, rows: Tensor) -> Tensor:
        """Where the N answer tokens of `rows` stand among those of all texts, row by row [N]."""
        tokens = self.tokens
        begin, own = tokens.cumsum(0) - tokens, tokens[rows]
        within = torch.arange(int(own.sum())) - torch.repeat_interleave(own.cumsum(0) - own, own)
        return torch.repeat_interleave(begin[rows], own) + within

    def rows_of(self, items: Sequence[str], languages: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The rows that are about the given items, each in the given language.

        Returns the rows [M], those of one pair after those of another, and the number of the pair that each belongs to
        [M]. Raises ValueError where a pair has no row: a loss that skips a text unseen is another loss.
        """
        known: dict[tuple[str, str], list[int]] = {}
        for row, pair in enumerate(zip(self.items, self.languages)):
            known.setdefault(pair, []).append(row)
        found = [known.get(pair, []) for pair in zip(items, languages, strict=True)]
        if without := [pair for pair, own in zip(zip(items, languages), found) if not own]:
            item, language = without[0]
            raise ValueError(f"{len(without)} texts have none beside them: {item!r} in {language!r} is the first")
        owners = [number for number, own in enumerate(found) for _ in own]
        return torch.tensor([row for own in found for row in own]), torch.tensor(owners)

    def padded(self) -> "TextSet":
        """The same texts with every sequence padded to the longest, for losses that read padding too."""
        width = int(self.lengths.max())
        made = copy.copy(self)
        whole = [s + [self.padding] * (width - len(s)) for s in self.texts.sequences]
        made.texts = sections.Texts(self.texts.model, whole)
        made.frozen = made.logprobs = made.token_logprobs = made.final = None
        made.texts.advance(self.texts.block)
        return made

    def batch(self, rows: Tensor, *, states: bool = True) -> Batch:
        """The sequences `rows` padded on the right to the longest of them; `states` says whether with their states."""
        ids, _ = self.texts.gather(rows, self.texts.ids)
        hidden = self.texts.gather(rows)[0] if states else None
        place = torch.arange(ids.shape[1])
        real = (place > 0) & (place < self.lengths[rows, None])
        answer = (place >= self.first[rows, None]) & (place < self.last[rows, None])
        return Batch(self, rows, ids, real.to(ids.device), answer.to(ids.device), hidden)


class Task:
    """What an algorithm works on: a model, a band, and the text sets at the band's input.

    sides: text sets by name, with `forget` and `retain` among them. `reference.WholeModel` is the same with nothing
    saved: every algorithm runs on either.
    """

    def __init__(
        self,
        model: Model,
        band: Band,
        forget: TextSet,
        retain: TextSet,
        seed: int,
        sides: Mapping[str, TextSet] = MappingProxyType({}),
    ) -> None:
        self.model, self.band, self.seed = model, band, seed
        self.sides: dict[str, TextSet] = {"forget": forget, "retain": retain, **sides}
        self._covariances: dict[tuple[str, int], Tensor] = {}
        self._head: Model = model
        self._shift: tuple[Batch, Tensor, Tensor | None] | None = None

    @property
    def forget(self) -> TextSet:
        return self.sides["forget"]

    @property
    def retain(self) -> TextSet:
        return self.sides["retain"]

    def pad(self) -> None:
        """Let losses read padding as the model reads it. Else what stands at padding is nothing that may be read."""
        self.sides = {name: side.padded() for name, side in self.sides.items()}

    def side(self, name: str) -> TextSet:
        """The text set of a name. Raises ValueError that names the nearest one if there is none."""
        if name not in self.sides:
            raise ValueError(unknown_name("text side", name, self.sides))
        return self.sides[name]

    def rows_of(self, side: str, items: Sequence[str], languages: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Rows of `side` about the given items in the given languages, and whose each is: see `TextSet.rows_of`."""
        return self.side(side).rows_of(items, languages)

    def beside(self, side: str, batch: Batch) -> tuple[Batch, Tensor]:
        """The batch of `side` that is about the same items in the same languages, and the row of `batch` for each."""
        rows = batch.rows.tolist()
        own = [batch.side.items[row] for row in rows], [batch.side.languages[row] for row in rows]
        found, owner = self.rows_of(side, *own)
        return self.batch(side, found), owner.to(batch.ids.device)

    def draws(self, side: str, size: int, purpose: str, language: str = "") -> Iterator[Batch]:
        """Endless batches of `size` rows of a side, or of its texts in one language, in a new order each time round.

        The same seed, side, purpose and language give the same.
        """
        own = self.side(side).languages
        rows = torch.tensor([row for row, each in enumerate(own) if language in ("", each)])
        for drawn in drawn_rows([rows], size, seed_of(self.seed, side, purpose, language)):
            yield self.batch(side, drawn)

    def batch(self, side: str, rows: Tensor) -> Batch:
        return self.side(side).batch(rows)

    def train(self, names: list[str]) -> None:
        """Ask for gradients of the parameters `names`: of no others does a step pay for one."""
        parameters = dict(self.model.named_parameters())
        for name in names:
            parameters[name].requires_grad_(True)

    def gradients(self, loss: Tensor, names: list[str], create_graph: bool = False) -> list[Tensor | None]:
        """Gradients of `loss` with respect to the parameters `names`; None where it does not depend on one.

        create_graph: whether losses may be made of them; the forward then has to run under `twice`.
        """
        parameters = dict(self.model.named_parameters())
        chosen = [parameters[name] for name in names]
        return list(torch.autograd.grad(loss, chosen, allow_unused=True, create_graph=create_graph))

    @staticmethod
    @contextmanager
    def twice() -> Generator[None]:
        """Attention in plain steps: torch's fused kernels have no second derivative."""
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(SDPBackend.MATH):
            yield

    @contextmanager
    def descend(
        self,
        names: list[str],
        loss: Callable[[], Tensor],
        steps: int,
        learning_rate: float,
        masks: Mapping[str, Tensor] | None = None,
    ) -> Generator[list[float]]:
        """The model after some steps of AdamW on `loss`; afterwards its weights are bit for bit what they were.

        loss is called once a step. Gives the losses before each step. masks: as in `steps.Steps`, by name.
        """
        parameters = dict(self.model.named_parameters())
        asked = {name: parameter.requires_grad for name, parameter in parameters.items()}
        own = None if masks is None else [masks.get(name) for name in names]
        losses: list[float] = []
        with patches.kept(self.model, names):
            try:
                self.train(names)
                taken = Steps([parameters[name] for name in names], learning_rate, own)
                for _ in range(steps):
                    value = loss()
                    taken.take(self.gradients(value, names))
                    losses.append(float(value.detach()))
                taken.end()
                yield losses
            finally:
                # A run that is cut off did not come to the end of its steps.
                for name, needed in asked.items():
                    parameters[name].grad = None
                    parameters[name].requires_grad_(needed)

    def start(self, batch: Batch) -> Tensor:
        """The band's input [B, T, D]; where the embeddings train too, computed from the tokens."""
        if self.band.full or batch.hidden is None:
            return sections.embed(self.model, batch.ids)
        return batch.hidden

    @contextmanager
    def shifted(self, batch: Batch, shift: Tensor, output: Tensor | None = None) -> Generator[None]:
        """Inside, the band's output on this batch, and no other, is `shift` [B, T, D] further for all that reads it.

        output: what it is without the shift, where that is known and no gradient goes below it.
        """
        before, self._shift = self._shift, (batch, shift, output)
        try:
            yield
        finally:
            self._shift = before

    def _through(self, batch: Batch, stop: int) -> Tensor:
        """States [B, T, D] at the input of block `stop`, from the band's input on."""
        first, end = self.band.start, self.band.stop
        if self._shift is None or self._shift[0] is not batch or stop < end:
            return sections.run(self.model, self.start(batch), first, stop)
        _, shift, output = self._shift
        if output is None:
            output = sections.run(self.model, self.start(batch), first, end)
        return sections.run(self.model, output + shift, end, stop)

    def output(self, batch: Batch) -> Tensor:
        """The band's output [B, T, D]: no block above the band is run."""
        return self._through(batch, self.band.stop)

    def freeze_outputs(self, *names: str) -> None:
        """Remember the band's outputs on the named sides, from the model as it is now."""
        for name in names:
            side = self.side(name)
            side.frozen = side.texts.through(self.band.start, self.band.stop)

    def frozen_output(self, batch: Batch) -> Tensor:
        """The band's output [B, T, D] as it was before unlearning; computed once for the whole text set."""
        if batch.side.frozen is None:
            raise RuntimeError("frozen outputs are computed before training: call freeze_outputs first")
        return batch.side.texts.gather(batch.rows, batch.side.frozen)[0]

    def frozen_norm(self, name: str) -> Tensor:
        """Mean norm of a side's frozen outputs over all tokens but padding and the first of each sequence."""
        return torch.cat([own.norm(dim=-1) for own in self._frozen(name)]).mean()

    @torch.no_grad()
    def added(self, name: str) -> Iterator[tuple[Batch, Tensor]]:
        """What the band adds to a side's states [B, T, D], frozen outputs less the band's input, batch by batch."""
        side = self.side(name)
        for rows in map(torch.tensor, side.texts.batches):
            batch = side.batch(rows)
            before = sections.run(self.model, self.start(batch), side.texts.block, self.band.start)
            yield batch, self.frozen_output(batch) - before

    def frozen_added(self, name: str) -> Tensor:
        """Root mean square of what the band adds to each feature of a side's states, over the same tokens [D].

        It is at least STILL of the mean one: a feature to which nothing is added is divided by, too.
        """
        count, squares = 0, 0.0
        for batch, states in self.added(name):
            added = states[batch.real].double()
            count, squares = count + len(added), squares + added.square().sum(0)
        found = torch.as_tensor(squares / count).sqrt()
        return found.clamp(min=STILL * float(found.mean())).to(self.model.dtype)

    def _frozen(self, name: str) -> Iterator[Tensor]:
        """A side's frozen outputs [N, D] at all tokens but padding and the first of each sequence, batch by batch."""
        side = self.side(name)
        for rows in map(torch.tensor, side.texts.batches):
            batch = side.batch(rows, states=False)
            yield self.frozen_output(batch)[batch.real]

    @torch.no_grad()
    def freeze_logprobs(self, *names: str) -> None:
        """Remember the answers' log-probabilities on the named sides: one number a sequence, not a second model."""
        for name in names:
            side = self.side(name)
            side.logprobs = torch.empty(len(side))
            for rows in map(torch.tensor, map(sections.in_fours, side.texts.batches)):
                side.logprobs[rows] = self.answer_logprobs(self.batch(name, rows))[0].cpu()

    def frozen_logprobs(self, batch: Batch) -> Tensor:
        """Log-probabilities of the answers [B] as they were before unlearning."""
        if batch.side.logprobs is None:
            raise RuntimeError("frozen log-probabilities are computed before training: call freeze_logprobs first")
        return batch.side.logprobs[batch.rows].to(batch.ids.device)

    def answer_logprobs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities (nats) of the answers: their sum [B] and number of tokens [B] for each sequence."""
        return summed(self.answer_logits(batch), batch)

    def answer_logits(self, batch: Batch) -> Tensor:
        """Logits [N, V] that the N answer tokens are predicted by; `batch.owner` says whose each is.

        The head reads only the positions that predict an answer token.
        """
        return sections.read_out(self.model, self.final_states(batch))

    def token_logprobs(self, batch: Batch) -> Tensor:
        """Log-probability (nats) of each answer token [N]; `batch.owner` says whose each is."""
        return each(self.answer_logits(batch), batch)

    def final_states(self, batch: Batch) -> Tensor:
        """Outputs of the last block [N, D], not normalised, that the N answer tokens are predicted from."""
        return batch.predictors(self._through(batch, sections.depth(self.model)))

    @torch.no_grad()
    def freeze_token_logprobs(self, *names: str) -> None:
        """Remember each answer token's log-probability on the named sides: one number a token."""
        for name in names:
            self.side(name).token_logprobs = self._of_answers(name, self.token_logprobs)

    def frozen_token_logprobs(self, batch: Batch) -> Tensor:
        """Log-probabilities of the answer tokens [N] as they were before unlearning."""
        return self._recalled(batch, batch.side.token_logprobs, "token_logprobs")

    @torch.no_grad()
    def freeze_states(self, *names: str) -> None:
        """Remember the states that answers are predicted from on the named sides: D numbers a token instead of V."""
        # Where norm and head train too, they are kept as they are now.
        self._head = frozen.head(self.model) if self.band.full else self.model
        for name in names:
            self.side(name).final = self._of_answers(name, self.final_states)

    @torch.no_grad()
    def frozen_logits(self, batch: Batch) -> Tensor:
        """Logits [N, V] as they were before unlearning: norm and head read the kept states again, exactly."""
        return sections.read_out(self._head, self._recalled(batch, batch.side.final, "states"))

    def _of_answers(self, name: str, read: Callable[[Batch], Tensor]) -> Tensor:
        """What `read` [N, ...] says of every answer token of a side, in the order of `TextSet.answer_places`."""
        side, kept = self.side(name), None
        for rows in side.texts.batches:
            own = side.answer_places(torch.tensor(rows))
            # Rows that only fill up a batch come last.
            values = read(self.batch(name, torch.tensor(sections.in_fours(rows))))[: len(own)]
            if kept is None:
                kept = values.new_empty(int(side.tokens.sum()), *values.shape[1:])
            kept[own.to(kept.device)] = values
        assert kept is not None
        return kept

    @staticmethod
    def _recalled(batch: Batch, kept: Tensor | None, what: str) -> Tensor:
        if kept is None:
            raise RuntimeError(f"frozen {what} are computed before training: call freeze_{what} first")
        return kept[batch.side.answer_places(batch.rows).to(kept.device)]

    def keys(self, batch: Batch, block: int, where: Tensor | None = None) -> Tensor:
        """Inputs [N, D_ff] of the output projection of `block`'s MLP at the tokens `where` [B, T] (default: real ones).

        No block above `block` is run. Raises ValueError for a block below the band.
        """
        if block < self.band.start:
            raise ValueError(f"keys of block {block} are below the band, whose states stand at {self.band.start}")
        with moments.inputs(self.model, block) as seen:
            self._through(batch, block + 1)
        return seen[0][batch.real if where is None else where]

    @torch.no_grad()
    def covariance(self, side: str, block: int) -> Tensor:
        """Second moment E[k k'] [D_ff, D_ff], float64 and not centred, of keys over all real tokens of a side.

        Computed once, from the model as it is then; with a prefix cache, once for all jobs (`engine.cache`).
        """
        if (side, block) not in self._covariances:
            own = self.side(side)
            self._covariances[side, block] = moments.shared(
                self.model, own.texts, own.lengths, block, lambda: moments.second(self._all_keys(side, block))
            )
        return self._covariances[side, block]

    def _all_keys(self, side: str, block: int) -> Iterator[Tensor]:
        """Keys [N, D_ff] of all real tokens of a side, batch by batch."""
        texts = self.side(side)
        for rows in texts.texts.batches:
            batch = self.batch(side, torch.tensor(sections.in_fours(rows)))
            where = batch.real.clone()
            where[len(rows) :] = False
            yield self.keys(batch, block, where)


def drawn_rows(groups: list[Tensor], size: int, seed: int) -> Iterator[Tensor]:
    """Endless batches of row indices: one group of rows after the other, each in a new order each time round."""
    generator = torch.Generator().manual_seed(seed)
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < size:
            shuffled = [rows[torch.randperm(len(rows), generator=generator)] for rows in groups]
            waiting = torch.cat([waiting, *shuffled])
        yield waiting[:size]
        waiting = waiting[size:]


def each(logits: Tensor, batch: Batch) -> Tensor:
    """Log-probability of each answer token [N], from logits [N, V] at the N answers' predictors."""
    return -torch.nn.functional.cross_entropy(logits, batch.labels, reduction="none")


def summed(logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Sum of log-probabilities and number of answer tokens [B], from logits [N, V] at the N answers' predictors."""
    tokens = each(logits, batch)
    total = torch.zeros(len(batch.rows), dtype=tokens.dtype, device=tokens.device).index_add(0, batch.owner, tokens)
    return total, batch.answer.sum(1)


def _last_of(subject: str, prefix: str, encoder: Encoder) -> int:
    """Place of the token in which the subject ends, the last time that a prompt says it; else the prompt's last."""
    prompt = encoder.prompt(prefix)
    if not subject:
        return len(prompt) - 1
    cut = encoder.prompt(prefix[: prefix.rfind(subject) + len(subject)])
    # Where the subject's last letters and the next ones are one token, it is the first that the two do not share.
    return next((place for place, (one, other) in enumerate(zip(cut, prompt)) if one != other), len(cut) - 1)
