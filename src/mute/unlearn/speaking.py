"""A guarded model in use: it says and scores texts as a model does, in batches and with a cache of keys and values.

What is asked passes the guard's points in their order: questions, embeddings, states, logits, reply. Prompts of one
length make a batch, so that nothing is padded and no answer depends on which others are asked for beside it. B prompts,
T tokens, V vocabulary, N predictions.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from mute.engine import sections
from mute.evaluate.subject import Subject
from mute.models import anatomy, patches, treatment
from mute.models.tokenizer import Encoder, Words
from mute.models.treatment import Treatment, in_place, overrides
from mute.store.artifacts import seed_of

if TYPE_CHECKING:
    from torch import Tensor

    from mute.models.anatomy import Model

# Tokens that are read at once before anything is said.
TOKENS_PER_BATCH = 8192
# What a decoder writes where a letter's bytes are not all there yet.
_CUT = "\ufffd"


class TooLongError(ValueError):
    """A prompt leaves no room in the model for an answer."""


@dataclass(frozen=True)
class How:
    """How something is said: tokens at most; temperature, 0 for the likeliest; the share of the likeliest that is drawn
    from; seed of what is drawn; texts before which it ends."""

    most: int = 32
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """What was said after a prompt of `read` tokens; ended: by itself or before a stop text, not for want of room."""

    text: str
    tokens: list[int]
    read: int
    ended: bool


@dataclass
class _Row:
    """A prompt that is being answered; told: what of its text has been handed on."""

    place: int
    question: str
    read: list[int]
    most: int
    drawn: torch.Generator
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    told: str = ""
    done: bool = False
    ended: bool = False


class Guarded:
    """A model behind a guard's treatments, after an edit if there is one; the model itself stays as it is.

    edit: weights that stand in the place of the model's while it is asked. Not for two threads at a time. Raises
    ValueError for a family that is not known, a model in training, and a treatment that mixes blocks.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Words,
        treatments: Sequence[Treatment] = (),
        edit: patches.Tensors | None = None,
    ) -> None:
        anatomy.anatomy(model)
        if model.training:
            raise ValueError("the model is in training: put it into evaluation mode first (model.eval())")
        if mixing := [each.name for each in treatments if overrides(each, "mixed")]:
            raise ValueError(f"{mixing[0]} mixes blocks, and is no guard")
        self.model, self.encoder, self.edit = model, Encoder(tokenizer), edit or {}
        self.subject = Subject(model, treatments)

    @property
    def treatments(self) -> tuple[Treatment, ...]:
        return self.subject.treatments

    @property
    def caches(self) -> bool:
        """Whether keys and values are kept from token to token.

        Not where a treatment acts inside blocks: it may look at the whole text, of which only the last token would be
        there. Then all of it is read again.
        """
        return not any(overrides(each, point) for each in self.treatments for point in ("weights", "states"))

    @property
    def room(self) -> int | None:
        """Tokens that a prompt and its answer may have together; None: any number."""
        return getattr(self.model.config, "max_position_embeddings", None)

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_new_tokens: int = 32,
        temperature: float = 0.0,
        seed: int = 0,
        language: str = "",
    ) -> list[str]:
        """What is said after each prompt. language: a code, for guards that speak to the model in the question's.

        Raises TooLongError for a prompt that fills the model.
        """
        how = How(max_new_tokens, temperature=temperature, seed=seed)
        return [said.text for said in self.say(prompts, how, language=language)]

    def say(
        self,
        prompts: Sequence[str],
        how: How = How(),
        *,
        language: str = "",
        told: Callable[[int, str], None] | None = None,
    ) -> list[Said]:
        """The same with how it ended. told: is given place and text, piece by piece; what it raises ends all."""
        rows = self._rows(prompts, how, language)
        with self._standing([row.read for row in rows], whole=not self.caches):
            for own in sections.exact_batches([row.read for row in rows], TOKENS_PER_BATCH) if rows else ():
                self._answer([rows[place] for place in own], how, told)
        return [Said(row.text, row.tokens, len(row.read), row.ended) for row in rows]

    def score(self, prompts: Sequence[str], answers: Sequence[str], *, language: str = "") -> list[float]:
        """Log-probability of each answer after its prompt, a sum over its tokens, in nats; at most 0."""
        said = [self.encoder.answer(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        if not all(said):
            raise ValueError("an answer is empty: it has no probability")
        reads = [self._prompt(text) for text in self._questions(prompts, language)]
        texts, found = [read + own for read, own in zip(reads, said)], [0.0] * len(reads)
        with self._standing(reads, whole=True):
            for rows in sections.exact_batches(texts, TOKENS_PER_BATCH) if texts else ():
                ids = torch.tensor([texts[row] for row in sections.in_fours(rows)], device=self.model.device)
                logits = self.model(input_ids=ids, use_cache=False).logits
                for place, row in enumerate(rows):
                    first, last = len(reads[row]), len(texts[row])
                    before = [texts[row][:end] for end in range(first, last)]
                    own = self._treated(logits[place, first - 1 : last - 1].float(), before).log_softmax(-1)
                    found[row] = float(own.gather(1, ids[place, first:last, None]).double().sum())
        return found

    def _questions(self, prompts: Sequence[str], language: str) -> list[str]:
        """What the model reads in the prompts' place, as text."""
        import pandas as pd

        rows = pd.DataFrame({"item": "", "language": language, "prefix": list(prompts)})
        return self.subject.questions(rows)["prefix"].tolist() if len(rows) else []

    def _prompt(self, text: str) -> list[int]:
        read = self.encoder.prompt(text)
        if not read:
            raise ValueError("the prompt is empty, and the model's texts begin with no token of their own")
        return read

    def _rows(self, prompts: Sequence[str], how: How, language: str) -> list[_Row]:
        rows, asked = [], {}
        for place, text in enumerate(self._questions(prompts, language)):
            read = self._prompt(text)
            room = how.most if self.room is None else self.room - len(read)
            if room < 1:
                raise TooLongError(
                    f"the prompt has {len(read)} tokens, and the model has room for {self.room} with its answer"
                )
            # A prompt that is asked for twice is answered twice, and not by the same draws.
            turn = asked[text] = asked.get(text, -1) + 1
            drawn = torch.Generator().manual_seed(seed_of(how.seed, "said", read, turn))
            rows.append(_Row(place, prompts[place], read, min(how.most, room), drawn))
        return rows

    @contextmanager
    def _standing(self, prompts: Sequence[list[int]], *, whole: bool) -> Generator[None]:
        """The edit and the guard in place. whole: all that has been read runs through the model each time."""
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(patches.applied(self.model, self.edit))
            if whole:
                stack.enter_context(treatment.installed(self.model, self.treatments, plain=False))
            for each in self.treatments:
                each.asked(self.model, prompts)
            yield

    def _answer(self, rows: list[_Row], how: How, told: Callable[[int, str], None] | None) -> None:
        """Answer prompts of one length, token by token."""
        from transformers import DynamicCache

        # As in the engine: what a row comes to must not hang on how many there are.
        reads = [list(rows[place].read) for place in sections.in_fours(list(range(len(rows))))]
        cache = DynamicCache(config=self.model.config) if self.caches else None
        while not all(row.done for row in rows):
            logits = self._next(reads, cache)
            live = [place for place, row in enumerate(rows) if not row.done]
            treated = self._treated(logits[live], [reads[place] for place in live])
            taken = {place: self._taken(own, rows[place], how) for place, own in zip(live, treated)}
            for place, read in enumerate(reads):
                # What follows an answer that has ended is read by nobody.
                read.append(taken.get(min(place, len(rows) - 1), 0))
            for place in live:
                self._told(rows[place], taken[place], how, told)

    def _next(self, reads: list[list[int]], cache: Any) -> Tensor:
        """Logits [B, V] of what comes next, before any treatment of logits."""
        held = cache.get_seq_length() if cache is not None else 0
        ids = torch.tensor([read[held:] for read in reads], device=self.model.device)
        if cache is None:
            return self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[:, -1].float()
        with self._embedding(reads):
            found = self.model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return found.logits[:, -1].float()

    @contextmanager
    def _embedding(self, reads: list[list[int]]) -> Generator[None]:
        """Treatments of embeddings in place, which are given all that has been read, whatever is new of it."""
        own = [each for each in self.treatments if overrides(each, "embeddings")]
        busy = False

        def hook(module: Any, args: tuple[Any, ...], embedded: Tensor) -> Tensor | None:
            nonlocal busy
            if busy:
                return None
            busy = True
            try:
                ids = torch.tensor(reads, device=embedded.device)
                made = embedded if embedded.shape[1] == ids.shape[1] else module(ids)
                for each in own:
                    made = in_place(each, "embeddings", made, each.embeddings(made, ids))
            finally:
                busy = False
            return made[:, -embedded.shape[1] :]

        if not own:
            yield
            return
        hooked = self.model.get_input_embeddings().register_forward_hook(hook)
        try:
            yield
        finally:
            hooked.remove()

    def _treated(self, logits: Tensor, reads: Sequence[Sequence[int]]) -> Tensor:
        """[N, V] after all treatments of logits."""
        treat = self.subject.treat
        return logits if treat is None else treat(logits, [list(read) for read in reads])

    def _taken(self, logits: Tensor, row: _Row, how: How) -> int:
        """The token that is said, of logits [V]."""
        if how.temperature == 0:
            return int(logits.argmax())
        chances = (logits.double().cpu() / how.temperature).softmax(-1)
        if how.top_p < 1:
            ordered, order = chances.sort(descending=True)
            # Those are out before which the others already have the share; the first never is.
            chances[order[ordered.cumsum(0) - ordered >= how.top_p]] = 0.0
        return int(torch.multinomial(chances, 1, generator=row.drawn))

    def _told(self, row: _Row, token: int, how: How, told: Callable[[int, str], None] | None) -> None:
        """Note what has been said, and hand on what of it will stay."""
        row.ended = token in self.encoder.end
        if not row.ended:
            row.tokens.append(token)
            row.text = self.encoder.text(row.tokens)
            found = [at for stop in how.stop if (at := row.text.find(stop)) >= 0]
            if found:
                row.text, row.ended = row.text[: min(found)], True
        row.done = row.ended or len(row.tokens) >= row.most
        if row.done:
            row.text = self.subject.reply(row.question, row.text)
        if told is None or (self.subject.replies and not row.done):
            return
        sure = row.text if row.done else _sure(row.text, how.stop)
        if len(sure) > len(row.told) and sure.startswith(row.told):
            told(row.place, sure[len(row.told) :])
            row.told = sure


def _sure(text: str, stops: Sequence[str]) -> str:
    """What of an unfinished text no further token changes: no letter that is cut, and no beginning of a stop text."""
    text = text.rstrip(_CUT)
    held = (size for stop in stops for size in range(len(stop) - 1, 0, -1) if text.endswith(stop[:size]))
    return text[: len(text) - max(held, default=0)]
