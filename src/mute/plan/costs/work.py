"""What the jobs of each rule compute: operations, passes of blocks, logits and questions. No seconds, no machine.

L blocks, K languages. The engine's savings count as they are: nothing below a band is run twice, nothing above it where
the loss is on states, gradients are the band's alone, and the head reads only where an answer is predicted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mute import attacks, unlearn
from mute.bands import is_block, span
from mute.plan.costs import shapes, sizes
from mute.plan.costs.shapes import Shape
from mute.study.cells import Cell, Study
from mute.unlearn.base import Cost

# Tokens of a batch that is only read, and how many lengths sequences have: no batch mixes two.
BATCH, LENGTHS = 8192, 12
# Most states of questions that are kept, in gigabytes; as `evaluate.scoring`.
STATES_GB = 16.0
# How much longer a batch's longest sequence is than its mean; training sorts its batches by length.
PADDING, SORTED = 1.25, 1.05
# Of the steps that `matched` may take, what it takes: less at the strength that was chosen than while choosing, as the
# fastest of equals is taken. Looks at one edit.
MATCHED, TRIED, LOOKS = 0.4, 0.5, 11
# Backward passes cost two forward passes: gradients of states, and of weights where these train.
TRAINED, PASSED = 3, 2
# A closed-form edit reads its texts about so often for each block, and takes so many n^3 operations for its solves and
# eigenvectors of n features, in float64.
SIDES_READ, SOLVED = 2, 20
# Of a training sequence, the share of positions whose prediction counts; see `models.pretrain`.
READ = 0.4


@dataclass(frozen=True)
class Work:
    """What takes time.

    flops, gradients: operations of forward passes alone, and of steps that take gradients. passes: of one block over
    one batch, forwards or backwards. logits: values that are compared. questions: answers that are put into tables.
    """

    flops: float = 0
    gradients: float = 0
    passes: float = 0
    logits: float = 0
    questions: float = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops,
            self.gradients + other.gradients,
            self.passes + other.passes,
            self.logits + other.logits,
            self.questions + other.questions,
        )

    def __mul__(self, times: float) -> Work:
        return Work(
            self.flops * times,
            self.gradients * times,
            self.passes * times,
            self.logits * times,
            self.questions * times,
        )


class Workload:
    """The work of every job of a study."""

    def __init__(self, study: Study) -> None:
        self.study, self.config = study, study.config

    @cached_property
    def size(self) -> sizes.Size:
        return sizes.of(self.study)

    @cached_property
    def known(self) -> dict[str, tuple[Shape, str]]:
        """Per model: its shape, and how that is known."""
        return {name: shapes.of(self.config.models[name]) for name in self.study.models}

    @cached_property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Settings by algorithm, read once: there are thousands of cells."""
        return {name: self.study.settings(name) for name in {cell.algorithm for cell in self.study.cells}}

    @cached_property
    def methods(self) -> dict[str, tuple[type[unlearn.Method], Cost]]:
        """By algorithm: the kind of its method, and what it says that it takes."""
        found = {}
        for name in self.settings:
            made = unlearn.make(self.study.method(name), self.settings[name])
            kind = next(kind for kind in (unlearn.Descent, unlearn.Edit, unlearn.Guard) if isinstance(made, kind))
            found[name] = (kind, made.cost())
        return found

    def shape(self, model: str) -> Shape:
        return self.known[model][0]

    def needs_gpu(self, model: str) -> bool:
        """Whether a model's jobs ask for a GPU: where the engine says so, and by default where it is pretrained."""
        device = self.config.engine.device
        return device == "cuda" or (device == "auto" and shapes.is_pretrained(self.config.models[model]))

    def languages(self, model: str) -> int:
        return len(self.config.models[model].languages)

    def question_states(self, model: str, forms: int | None = None) -> tuple[float, bool]:
        """Bytes that the states of a model's questions take, and whether they are kept."""
        k, s = self.languages(model), self.size
        tokens = k * (
            s.facts * (forms or s.asked) * s.sequences * s.tokens + s.lines * s.line_sequences * s.line_tokens
        )
        size = tokens * self.shape(model).hidden * (2 if self.config.engine.dtype == "bfloat16" else 4)
        return size, size <= STATES_GB * 1e9

    # Parts of jobs

    def run(self, shape: Shape, sequences: float, length: float, blocks: float) -> Work:
        """Sequences through some blocks, without gradients."""
        tokens = sequences * length
        batches = max(tokens / BATCH, min(LENGTHS, sequences / 2))
        return Work(shape.forward(tokens, length) * blocks, passes=batches * blocks)

    def ask(self, model: str, facts: float, lines: float, blocks: float) -> Work:
        """Questions about facts, and probes of abilities, from the input of the last `blocks` blocks on."""
        shape, s = self.shape(model), self.size
        reads = facts * s.reads + lines * s.line_reads
        work = self.read(model, facts, lines, blocks)
        return work + Work(shape.head(reads), logits=reads * shape.vocabulary, questions=facts + lines)

    def read(self, model: str, facts: float, lines: float, blocks: float) -> Work:
        """The sequences of questions through some blocks: what they begin with alike once, on a core."""
        shape, s = self.shape(model), self.size
        new = 1 if self.needs_gpu(model) else 1 - s.shared
        work = self.run(shape, facts * s.sequences * new, s.tokens, blocks)
        if lines:
            work += self.run(shape, lines * s.line_sequences * new, s.line_tokens, blocks)
        return work

    def step(self, shape: Shape, sequences: float, *, band: float, above: float, head: bool) -> Work:
        """One step of gradients: the band's blocks train, those above it are passed through."""
        s = self.size
        tokens = sequences * s.tokens * PADDING
        blocks = TRAINED * band + PASSED * above
        reads = sequences * s.answer if head else 0
        flops = shape.forward(tokens, s.tokens) * blocks + shape.head(reads) * PASSED
        return Work(gradients=flops, passes=blocks, logits=reads * shape.vocabulary)

    # Models

    def pretraining(self, model: str) -> Work:
        """Training from scratch: every parameter, by Muon and AdamW."""
        section, shape, how = self.config.models[model], self.shape(model), self.config.pretraining
        parts, length = max(1, round(how.batch / 32)), self.size.tokens
        tokens = how.batch * length * SORTED
        reads = how.batch * length * READ
        flops = TRAINED * (shape.forward(tokens, length) * shape.blocks + shape.head(reads))
        step = Work(
            gradients=flops + shape.muon * shape.blocks,
            passes=TRAINED * parts * shape.blocks,
            logits=reads * shape.vocabulary,
        )
        return step * section.steps

    def adaptation(self, model: str) -> Work:
        """Training of low-rank additions: states get gradients, frozen weights none: two forwards, not three."""
        how = getattr(self.config.models[model], "adaptation", None)
        if how is None:
            return Work()
        shape, s = self.shape(model), self.size
        seen = s.facts * s.forms * self.languages(model) * how.epochs
        # The additions themselves, of all seven matrices of a block, are trained.
        added = TRAINED * how.rank * (8 * shape.hidden + 3 * (shape.hidden + shape.mlp)) / shape.block
        flops = shape.forward(seen * s.tokens * PADDING, s.tokens) * shape.blocks * (PASSED + added)
        return Work(
            gradients=flops + PASSED * shape.head(seen * s.answer),
            passes=PASSED * shape.blocks * seen / how.batch_size,
            logits=seen * s.answer * shape.vocabulary,
        )

    def model_evaluation(self, model: str) -> Work:
        """Every form of every fact, every ability."""
        k, s, depth = self.languages(model), self.size, self.shape(model).blocks
        return self._answers(model, k * s.facts * s.forms, k * s.lines, depth)

    def layers(self, model: str, forget_set: str, languages: int) -> Work:
        """States of the forget prompts, and of all prompts for the probe, through every block."""
        shape, s = self.shape(model), self.size
        return self.run(shape, languages * (s.forgotten(forget_set) + s.facts), s.tokens, shape.blocks)

    # Cells

    def bench(self, cell: Cell) -> Work:
        """What the cells of one workbench share: the base's answers, and all texts moved up once."""
        shape, s = self.shape(cell.model), self.size
        probe = self._probe(cell)
        texts = self._texts(cell)
        return self.ask(cell.model, probe + self._check(cell), 0, shape.blocks) + self.run(
            shape, sum(texts) + probe, s.tokens, shape.blocks
        )

    def unlearning(self, cell: Cell, share: float = MATCHED) -> Work:
        """One cell; `share` of the steps that a matched one may take."""
        shape = self.shape(cell.model)
        _, band, above = span(cell.band, shape.blocks)
        kind, cost = self.methods[cell.algorithm]
        settings = self.settings[cell.algorithm]
        matched = cell.protocol == "matched"
        look = self.ask(cell.model, self._probe(cell), 0, above)
        ends = look + self.ask(cell.model, self._check(cell), 0, above)
        if kind is unlearn.Guard:
            return ends
        if kind is unlearn.Edit:
            return self._change(cell, cost) + ends + look * (LOOKS if matched else 0)
        steps = settings["steps"] * (share if matched else 1)
        looks = look * (steps / self.config.matching.every) if matched else Work()
        full = cell.band == "full"
        step = self.step(
            shape,
            settings["batch_size"],
            band=band,
            above=above - band if cost.head else 0,
            head=cost.head,
        )
        work = step * (cost.sides * cost.passes * steps) + looks + ends
        if cost.reference:
            # What the model said before, once over all texts.
            work += self.run(shape, sum(self._texts(cell)), self.size.tokens, above if cost.head else band)
        if full:
            # Embeddings train: texts start from their tokens at each look.
            work += self.run(shape, sum(self._texts(cell)), self.size.tokens, shape.blocks)
        return work

    def tuning(self, cells: list[Cell], share: float = TRIED) -> Work:
        """Every strength on every band that is tried, for a tuning's cells."""
        first = cells[0]
        depth = self.shape(first.model).blocks
        swept = any(is_block(cell.band) for cell in cells)
        names = {str(min(round(depth * q / 4), depth - 1)) for q in (1, 3)} if swept else {c.band for c in cells}
        work = self.bench(first)
        for name in sorted(names):
            tried = replace(first, band=name, protocol="matched")
            work += self.unlearning(tried, share) * len(self.settings[first.algorithm]["strengths"])
        return work

    def evaluation(self, cell: Cell) -> Work:
        """All questions of one patch, from its band's input on."""
        shape, k, s = self.shape(cell.model), self.languages(cell.model), self.size
        above = span(cell.band, shape.blocks)[2] if self.question_states(cell.model)[1] else shape.blocks
        return self._answers(cell.model, k * s.facts * s.asked, k * s.lines, above)

    def questions(self, model: str) -> Work:
        """The prefixes of all questions of a shard, once: each block for the cells that start above it."""
        k, s = self.languages(model), self.size
        if not self.question_states(model)[1]:
            return Work()
        return self.read(model, k * s.facts * s.asked, k * s.lines, self.shape(model).blocks)

    def analyses(self, cell: Cell) -> Work:
        """What looks into one cell: each analysis as the lens."""
        above = span(cell.band, self.shape(cell.model).blocks)[2]
        facts = self.languages(cell.model) * self.size.forgotten(cell.forget_set)
        return self._lens(cell.model, facts, above) * len(self.study.analyses)

    def attacks(self, cells: list[Cell]) -> Work:
        """All attacks on some cells, and once for each that it depends on those on base and oracle."""
        work, controls = Work(), set()
        for cell in cells:
            for name in self.study.attacked[cell]:
                method, settings, cost = self.attacked[name]
                intent = unlearn.load(self.study.method(cell.algorithm)).intent
                if method.applies(settings, cell.band, intent):
                    continue
                work += self._attack(cell, cost)
                key = (name, cell.trained, cell.forget_set, *(getattr(cell, k) for k in method.depends))
                if key not in controls:
                    controls.add(key)
                    work += self._attack(cell, cost) * 2
        return work

    @cached_property
    def attacked(self) -> dict[str, tuple[Any, Any, Any]]:
        """Attacks by name: class, settings, and what it says that it takes."""
        found = {}
        for name, (method, settings) in self.study.attacks.items():
            kind = attacks.load(method)
            checked = kind.Settings.model_validate(settings)
            found[name] = (kind, checked, kind.cost(checked))
        return found

    def _attack(self, cell: Cell, cost: Any) -> Work:
        """One attack on one victim: training, and the forget questions."""
        shape = self.shape(cell.model)
        facts = self.languages(cell.model) * self.size.forgotten(cell.forget_set)
        above = shape.blocks if cost.whole else span(cell.band, shape.blocks)[2]
        work = self.ask(cell.model, facts, 0, above) * cost.asks
        if cost.steps:
            work += self.step(shape, cost.batch, band=shape.blocks, above=0, head=True) * cost.steps
        return work

    def _answers(self, model: str, facts: float, lines: float, blocks: float) -> Work:
        """Questions, and answers that are written out: each further token runs the whole model again."""
        shape, more = self.shape(model), facts * self.size.written
        written = self.run(shape, more, self.size.tokens, shape.blocks) + Work(shape.head(more), questions=more)
        return self.ask(model, facts, lines, blocks) + written

    def _lens(self, model: str, facts: float, blocks: float) -> Work:
        """Forwards once, and the head after every block; only means go into a table."""
        return replace(self.ask(model, facts, 0, 1) * blocks, questions=facts)

    def _change(self, cell: Cell, cost: Cost) -> Work:
        """What an edit computes: steps of batches, states and solves by block, or gradients of both text sets."""
        shape = self.shape(cell.model)
        _, band, above = span(cell.band, shape.blocks)
        if not cost.whole:
            settings, head = self.settings[cell.algorithm], cost.head
            rest = above - band if head else 0
            step = self.step(shape, settings["batch_size"], band=band, above=rest, head=head)
            return step * (cost.sides * cost.passes * settings["steps"])
        if not cost.head:
            # For each block the states now, its keys and their second moment, and what is solved for.
            read = self.run(shape, SIDES_READ * sum(self._texts(cell)), self.size.tokens, band)
            return (read + Work(SOLVED * shape.mlp**3)) * band
        # The band's MLPs and all above it only pass gradients on.
        trained = band * shape.attention / shape.block
        sequences = sum(self._texts(cell))
        whole = self.step(shape, sequences / PADDING, band=trained, above=above - trained, head=True)
        batches = max(sequences * self.size.tokens / BATCH, 2 * LENGTHS)
        return replace(whole, passes=PASSED * batches * above)

    def _texts(self, cell: Cell) -> tuple[float, float]:
        """Texts of the forget and of the retain side."""
        s, sources = self.size, len(cell.sources.codes)
        retain = s.retain * s.read * (sources if cell.retain != "all" else self.languages(cell.model))
        return s.forgotten(cell.forget_set) * s.read * sources, retain

    def _probe(self, cell: Cell) -> float:
        """Questions of a look."""
        facts = min(self.config.matching.facts, self.size.forgotten(cell.forget_set))
        return facts * len(cell.sources.codes)

    def _check(self, cell: Cell) -> float:
        return self.size.validation * len(cell.sources.codes)
