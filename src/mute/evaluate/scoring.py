"""Asks a model all questions at once: log-probabilities of answers and of the options they compete with.

A question is a row of text (prefix, answer, suffix, options, gold). The token sequences that answer all of them are
built once; a model or a patch then runs each of them once, from the band's input where that is cached.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from mute.engine import sections, shared
from mute.jobs import progress
from mute.models import tree
from mute.models.tokenizer import Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# What questions are run on.
Texts = sections.Texts | shared.SharedTexts
# What takes the place of logits [points, V], given for each point the tokens that were read up to it.
Treat = Callable[[torch.Tensor, list[list[int]]], torch.Tensor]
# What sees log-probabilities [points, V] as they come: reads of gold answers, these, and the point of each read.
Watch = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], None]
# Most states of questions that are kept, in gigabytes.
STATES_GB = 16.0


class Queries:
    """Sequences to run and, for each question, what to read from them.

    A *read* is the log-probability of one token after one position of one sequence. Reads of the gold answer come
    first, in the order of questions and positions; reads of the options follow.
    """

    def __init__(self, rows: pd.DataFrame, encoder: Encoder) -> None:
        self.rows = rows.reset_index(drop=True)
        asked = list(zip(rows["prefix"], rows["answer"], rows["options"], strict=True))
        self.prompts = [encoder.prompt(prefix) for prefix, _, _ in asked]
        self.golds = [encoder.answer(prefix, answer) for prefix, answer, _ in asked]
        self.options = [[encoder.answer(prefix, o) for o in options] for prefix, _, options in asked]
        self._build()
        # Of questions that are asked again and again it is worked out once where each is read.
        self._planned_for: type | None = None

    def _build(self) -> None:
        sequences: dict[tuple[int, ...], int] = {}
        place_of: list[dict[tuple[int, ...], int]] = []
        for prompt, gold, options in zip(self.prompts, self.golds, self.options):
            # What stands before the last token of each answer; one sequence serves all that it begins with.
            needed = {tuple(answer[:-1]) for answer in (gold, *options)}
            longest = [n for n in needed if not any(m != n and m[: len(n)] == n for m in needed)]
            rows = {n: sequences.setdefault((*prompt, *n), len(sequences)) for n in longest}
            place_of.append({n: next(rows[m] for m in longest if m[: len(n)] == n) for n in needed})
        self.sequences = [list(s) for s in sequences]
        reads: list[tuple[int, int, int]] = []

        def read(question: int, answer: list[int]) -> None:
            row, first = place_of[question][tuple(answer[:-1])], len(self.prompts[question]) - 1
            reads.extend((row, first + i, token) for i, token in enumerate(answer))

        for question, gold in enumerate(self.golds):
            read(question, gold)
        self.gold_reads = len(reads)
        # Bounds of each option's run of reads, question after question.
        self.option_sizes = []
        for question, options in enumerate(self.options):
            for option in options:
                read(question, option)
                self.option_sizes.append(len(option))
        table = torch.tensor(reads)
        self.read_tokens = table[:, 2]
        points, self.read_points = torch.unique(table[:, :2], dim=0, return_inverse=True)
        self.point_rows, self.point_places = points[:, 0], points[:, 1]

    def texts(self, model: "PreTrainedModel") -> Texts:
        """The sequences with their states at the input of block 0."""
        return shared.texts(model, self.sequences, STATES_GB)

    @torch.no_grad()
    def run(
        self,
        model: "PreTrainedModel",
        texts: Texts,
        mixed: Mapping[int, float] | None = None,
        treat: Treat | None = None,
        watch: Watch | None = None,
    ) -> "Answers":
        """Answers of the model as it is now, from the block where `texts` stand.

        mixed: blocks to bypass, with m: each is replaced by (1 - m) * identity + m * block. treat: what takes the place
        of logits [points, V], given the tokens that were read before each point. watch: what sees the distributions
        from which gold answers are read.
        """
        answers = Answers(self)
        for passed, points in self._passes(model, texts):
            logits = sections.read_out(model, passed.end(mixed or {}))
            if treat is not None:
                before = (self._places[point] for point in points.tolist())
                logits = treat(logits, [self.sequences[row][: place + 1] for row, place in before])
            self._collect(answers, points, logits, watch)
        return answers

    @torch.no_grad()
    def run_lens(self, model: "PreTrainedModel", texts: Texts) -> list["Answers"]:
        """The logit lens: what would be answered if the model ended after each block from `texts.block` on.

        The final norm and the head read the block's own output; at the last block this is the model itself.
        """
        results = [Answers(self) for _ in range(texts.block, sections.depth(model))]
        for passed, points in self._passes(model, texts):
            for answers, hidden in zip(results, passed.each(), strict=True):
                self._collect(answers, points, sections.read_out(model, hidden))
        return results

    def _passes(self, model: "PreTrainedModel", texts: Texts) -> Iterator[tuple["_Rows", torch.Tensor]]:
        """What runs together, and the indices of the points that are read there."""
        shares = isinstance(texts, shared.SharedTexts)
        if self._planned_for is not type(texts):
            self._planned = self._plan_nodes(texts) if isinstance(texts, shared.SharedTexts) else self._plan(texts)
            self._planned_for = type(texts)
        for number, (rows, read, points) in enumerate(progress.each(self._planned, "batch")):
            yield (_Tree if shares else _Rows)(model, texts, number, rows, read), points

    def _plan(self, texts: sections.Texts) -> list[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Per batch: rows, the points read as (row in batch, place), and their indices among all points."""
        where = {row: (b, i) for b, rows in enumerate(texts.batches) for i, row in enumerate(rows)}
        found: list[list[tuple[int, int, int]]] = [[] for _ in texts.batches]
        for point, (row, place) in enumerate(zip(self.point_rows.tolist(), self.point_places.tolist())):
            batch, i = where[row]
            found[batch].append((i, place, point))
        self._places = list(zip(self.point_rows.tolist(), self.point_places.tolist()))
        self._sort_reads(self.read_points, len(self.point_rows))
        tables = map(torch.tensor, found)
        return [(rows, table[:, :2], table[:, 2]) for rows, table in zip(texts.batches, tables)]

    def _plan_nodes(self, texts: shared.SharedTexts) -> list[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Per tree: nothing, the nodes that are read, and their indices among all such nodes."""
        points = list(zip(self.point_rows.tolist(), self.point_places.tolist()))
        nodes, point_nodes = torch.unique(
            torch.tensor([texts.places[row][place] for row, place in points]), return_inverse=True
        )
        # Points of one node have read the same.
        at = dict(zip(point_nodes.tolist(), points))
        self._places = [at[node] for node in range(len(nodes))]
        self._sort_reads(point_nodes[self.read_points], len(nodes))
        bounds = torch.searchsorted(nodes, torch.tensor(texts.starts)).tolist()
        parts = zip(texts.starts, bounds, bounds[1:])
        return [([], nodes[first:end] - start, torch.arange(first, end)) for start, first, end in parts]

    def _sort_reads(self, points: torch.Tensor, count: int) -> None:
        """Reads sorted by their points, so that each batch finds its own."""
        self._reads_of = torch.argsort(points, stable=True)
        self._first_read = torch.searchsorted(points[self._reads_of], torch.arange(count + 1))

    def _collect(
        self, answers: "Answers", points: torch.Tensor, logits: torch.Tensor, watch: Watch | None = None
    ) -> None:
        """Store the reads at `points` from their logits [points, V]."""
        counts = self._first_read[points + 1] - self._first_read[points]
        owner = torch.repeat_interleave(torch.arange(len(points)), counts)
        within = torch.arange(int(counts.sum())) - torch.repeat_interleave(torch.cumsum(counts, 0) - counts, counts)
        reads = self._reads_of[self._first_read[points][owner] + within]
        logprobs = torch.log_softmax(logits, -1)
        # Answers stay in the host's memory, wherever the model is.
        gold = reads < self.gold_reads
        owner, tokens = owner.to(logits.device), self.read_tokens[reads].to(logits.device)
        answers.logprob[reads] = logprobs[owner, tokens].cpu()
        if watch is not None:
            watch(reads[gold], logprobs, owner[gold.to(logits.device)])
        answers.best[reads] = logits.argmax(1)[owner].cpu()
        chosen, wanted = logits[owner[gold.to(logits.device)]], tokens[gold.to(logits.device)]
        answers.rank[reads[gold]] = (chosen > chosen.gather(1, wanted[:, None])).sum(1).cpu()


class _Rows:
    """Sequences of one length that run together, and the points (row, place) that are read."""

    def __init__(self, model: "PreTrainedModel", texts: Any, number: int, rows: list[int], read: torch.Tensor) -> None:
        self.model, self.read = model, (read[:, 0], read[:, 1])
        index = texts.positions(rows)
        self.hidden, self.start, self.ids = texts.at(index), texts.block, texts.ids[index]

    def _run(self, hidden: torch.Tensor, blocks: Sequence[int], last: bool) -> torch.Tensor:
        for block in blocks:
            hidden = sections.run(self.model, hidden, block, block + 1, ids=self.ids)
        return hidden[self.read] if last else hidden

    def end(self, mixed: Mapping[int, float]) -> torch.Tensor:
        """What the last block gives at the points [points, D], with the blocks in `mixed` mixed with the identity."""
        hidden, kept = self.hidden, []
        for block in range(self.start, sections.depth(self.model)):
            if block not in mixed:
                kept.append(block)
            elif mixed[block]:
                hidden = self._run(hidden, kept, last=False)
                hidden, kept = torch.lerp(hidden, self._run(hidden, [block], last=False), mixed[block]), []
        return self._run(hidden, kept, last=True)

    def each(self) -> Iterator[torch.Tensor]:
        """What every block gives at the points [points, D]."""
        hidden = self.hidden
        for block in range(self.start, sections.depth(self.model)):
            hidden = self._run(hidden, [block], last=False)
            yield self._run(hidden, [], last=True)


class _Tree(_Rows):
    """Sequences that share what they begin with, and the nodes that are read."""

    def __init__(self, model: "PreTrainedModel", texts: Any, number: int, rows: list[int], read: torch.Tensor) -> None:
        self.model, self.nodes, self.tree = model, read, texts.trees[number]
        self.hidden, self.start = texts.at(number), texts.block

    def _run(self, hidden: torch.Tensor, blocks: Sequence[int], last: bool) -> torch.Tensor:
        return tree.run(self.model, hidden, self.tree, blocks, self.nodes if last else None)


class Answers:
    """What one model answered: log-probability and best token for each read, the rank for each of a gold answer."""

    def __init__(self, queries: Queries) -> None:
        self.queries = queries
        self.logprob = torch.full((len(queries.read_tokens),), torch.nan)
        self.best = torch.full((len(queries.read_tokens),), -1)
        self.rank = torch.full((queries.gold_reads,), -1)

    def options(self) -> list[list[float]]:
        """Summed log-probability (nats) of each option of each question."""
        q = self.queries
        sizes = torch.tensor(q.option_sizes, dtype=torch.long)
        sums = torch.zeros(len(sizes)).index_add_(
            0, torch.repeat_interleave(torch.arange(len(sizes)), sizes), self.logprob[q.gold_reads :]
        )
        flat, result, at = sums.tolist(), [], 0
        for options in q.options:
            result.append(flat[at : at + len(options)])
            at += len(options)
        return result

    def following(self) -> list[dict[tuple[int, ...], int]]:
        """By question: the likeliest token after each beginning, as tokens, of its answer and of its options."""
        q, best, at = self.queries, self.best.tolist(), 0
        result: list[dict[tuple[int, ...], int]] = [{} for _ in q.golds]
        for known, answers in (*zip(result, ([gold] for gold in q.golds)), *zip(result, q.options)):
            for answer in answers:
                for place in range(len(answer)):
                    known[tuple(answer[:place])] = best[at + place]
                at += len(answer)
        return result

    def option_hits(self) -> torch.Tensor:
        """Whether the gold option is likelier than every other [questions]; a tie or NaN is no hit."""
        gold = self.queries.rows["gold"].tolist()
        return torch.tensor(
            [bool(o) and all(o[g] > x for i, x in enumerate(o) if i != g) for o, g in zip(self.options(), gold)]
        )

    def tokens(self) -> pd.DataFrame:
        """The token table: one row per token of each gold answer (see docs/tables.md)."""
        q, rows = self.queries, self.queries.rows
        sizes = [len(gold) for gold in q.golds]
        question = [i for i, size in enumerate(sizes) for _ in range(size)]
        position = [p for size in sizes for p in range(size)]
        options = self.options()
        token, logprob = q.read_tokens[: q.gold_reads], self.logprob[: q.gold_reads]
        # Of a model that gives no numbers no token is the likeliest, whatever an argmax says.
        lost = logprob.isnan()
        table = rows[["set", "item", "language", "form"]].iloc[question].reset_index(drop=True)
        return table.assign(
            position=position,
            logprob=logprob.numpy(),
            rank=self.rank.masked_fill(lost, -1).numpy(),
            hit=((self.best[: q.gold_reads] == token) & ~lost).numpy(),
            options=[options[i] if p == 0 and options[i] else None for i, p in zip(question, position)],
            gold=rows["gold"].iloc[question].to_numpy(),
            chars=rows["answer"].str.len().iloc[question].to_numpy(),
        )
