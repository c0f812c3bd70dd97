"""How many seconds the work of a study's jobs takes.

Sequences pass blocks, and the head reads logits. A model's core or GPU does so many operations a second, and each pass
of a block over a batch and each question has an overhead. The engine's savings that decide count: nothing below a band
is run again, and gradients are the band's alone. The constants were fitted to the default study on one core of a shared
machine with two, and checked against others: benchmarks/results/costs.json. Nobody measured a GPU.
"""

import itertools
from collections.abc import Iterator
from functools import cached_property

from mute import analyses, attacks, unlearn
from mute.analyses.base import Analysis
from mute.attacks.base import Attack, Settings
from mute.bands import span
from mute.jobs import machine
from mute.plan.costs import shapes, sizes
from mute.plan.costs.shapes import Shape
from mute.study.cells import Cell, Study
from mute.unlearn.base import Cost
from mute.unlearn.dose import Matching

# Tokens of a batch that is only read, and how many lengths sequences have: no batch mixes two.
BATCH, LENGTHS = 8192, 12
# Most states of questions that are kept, in gigabytes; as `evaluate.scoring`.
STATES_GB = 16.0
# How much longer a batch's longest sequence is than its mean.
PADDING = 1.25
# Of the steps that `matched` may take at each strength, what it takes to the dose. Looks at one edit before the dose.
MATCHED, LOOKS = 0.5, 8
# What a step takes, in forward passes: gradients of states, and of weights where these train.
TRAINED, PASSED = 3, 2
# Operations, in n^3, of eigenvectors and solves for n features in float64, for each block of a closed-form edit.
SOLVED = 20
# Seconds to launch one block on one batch, and to put one answer into a table; both on the CPU, whatever runs models.
_LAUNCH, _QUESTION = 0.3e-3, 0.1e-3
# Operations that a core does in the time in which it compares one logit.
_LOGIT = 475
# Seconds in which AdamW moves one parameter on a core: it is memory that takes them.
_UPDATE = 1.2e-8
# Seconds to start Python with torch, on a core and on a GPU; bytes a second at which weights are opened.
_START, _GPU_START, _LOAD = 3.3, 15.0, 1e9
# Of facts that are gated by what a model knows, the share of questions left: Gemma 3 270M on those of CLDR.
KNOWN = 0.46


def _look(name: str, analysis: Analysis, cell: Cell) -> tuple[str, ...]:
    """What a look into the base of a cell depends on."""
    return (name, cell.trained, cell.forget_set, *(str(getattr(cell, key)) for key in analysis.depends))


def _attack(name: str, kind: type[Attack], settings: Settings, cell: Cell) -> tuple[str, ...]:
    """What an attack on base and oracle of a cell depends on."""
    return (name, cell.trained, cell.forget_set, *(str(getattr(cell, key)) for key in kind.stands_on(settings)))


class Workload:
    """The seconds that parts of a study's jobs take."""

    def __init__(self, study: Study, elsewhere: bool = False) -> None:
        """elsewhere: whether jobs run on the machines of a cluster, of which nothing is known here."""
        self.study, self.config = study, study.config
        self.gpus = bool(self.config.costs.gpu) or elsewhere or machine.has_gpu()

    @cached_property
    def size(self) -> sizes.Size:
        return sizes.of(self.study)

    @cached_property
    def known(self) -> dict[str, tuple[Shape, str]]:
        """Per model: its shape, and how that is known."""
        return {name: shapes.of(self.config.models[name]) for name in self.study.models}

    @cached_property
    def methods(self) -> dict[str, tuple[unlearn.Method, Cost]]:
        """By algorithm: its method, and what it says that it takes. Made once: there are thousands of cells."""
        names = {cell.algorithm for cell in self.study.cells}
        made = {name: unlearn.make(self.study.method(name), self.study.settings(name)) for name in names}
        return {name: (method, method.cost()) for name, method in made.items()}

    @cached_property
    def looks(self) -> dict[str, Analysis]:
        """The analyses of the study, by name."""
        kinds = ((name, analyses.load(method), own) for name, (method, own) in self.study.analyses.items())
        return {name: kind(kind.Settings.model_validate(own)) for name, kind, own in kinds}

    @cached_property
    def attacked(self) -> dict[str, tuple[type[Attack], Settings]]:
        """Attacks by name: the class of each, and its settings."""
        kinds = {name: (attacks.load(method), settings) for name, (method, settings) in self.study.attacks.items()}
        return {name: (kind, kind.Settings.model_validate(settings)) for name, (kind, settings) in kinds.items()}

    def shape(self, model: str) -> Shape:
        return self.known[model][0]

    def needs_gpu(self, model: str) -> bool:
        """Whether a model's jobs ask for a GPU: where the engine says so, and by default where it is pretrained.

        By default none is asked for that nobody has: not named in `costs`, not on this machine, and no cluster's.
        """
        device = self.config.engine.device
        return device == "cuda" or (device == "auto" and self.gpus and self.config.models[model].pretrained is not None)

    def languages(self, model: str) -> int:
        return len(self.config.models[model].languages)

    def asked(self, model: str, forms: int) -> float:
        """Questions of a model: so many forms of every fact, and every ability."""
        return self.languages(model) * (self.size.facts * self.known_share(model) * forms + self.size.lines)

    def known_share(self, model: str) -> float:
        """Share of the facts of the corpus that a model is about."""
        return KNOWN if self.config.models[model].known else 1

    def states(self, model: str, forms: int) -> float:
        """Bytes of the states of all questions of a model; none where they are too large to keep."""
        sequences = self.asked(model, forms) * self.size.sequences
        size = sequences * self.size.tokens * self.shape(model).hidden * self.width
        return size if size <= STATES_GB * 1e9 else 0

    @property
    def width(self) -> int:
        """Bytes of a number."""
        return 2 if self.config.engine.dtype == "bfloat16" else 4

    def span(self, cell: Cell) -> tuple[int, int]:
        """How many blocks a cell changes, and how many there are from the first of them on: what is run again."""
        return span(cell.band, self.shape(cell.model).blocks)[1:]

    # Parts of jobs

    def opening(self, models: list[str], weights: float) -> float:
        """Starting a job, and opening so many bytes of weights."""
        return (_GPU_START if any(map(self.needs_gpu, models)) else _START) + weights / _LOAD

    def operations(self, model: str, flops: float) -> float:
        costs = self.config.costs
        gpu = self.needs_gpu(model)
        return flops / (costs.gpu_tflops * 1e12 * costs.gpu_utilisation if gpu else costs.core_gflops * 1e9)

    def run(self, model: str, sequences: float, blocks: float) -> float:
        """Sequences through some blocks, without gradients."""
        batches = max(sequences * self.size.tokens / BATCH, min(LENGTHS, sequences / 2))
        flops = self.shape(model).forward(sequences * self.size.tokens, self.size.tokens)
        return (self.operations(model, flops) + batches * _LAUNCH) * blocks

    def ask(self, model: str, questions: float, blocks: float) -> float:
        """Questions, from the input of the last `blocks` blocks on: what they begin with alike once, on a core."""
        s = self.size
        sequences = questions * s.sequences
        new = 1 if self.needs_gpu(model) else 1 - s.shared
        seconds = self.run(model, sequences * new, blocks) + self.head(model, sequences * s.answer)
        return seconds + questions * _QUESTION

    def head(self, model: str, reads: float) -> float:
        """Logits at so many places, computed and compared."""
        shape = self.shape(model)
        return self.operations(model, shape.head(reads) + _LOGIT * reads * shape.vocabulary)

    def step(self, model: str, sequences: float, blocks: float, reads: float) -> float:
        """One batch with gradients; blocks: in forward passes; reads: places whose logits are read."""
        shape, tokens = self.shape(model), sequences * self.size.tokens * PADDING
        # Computed again for gradients: one pass more, beside the two or three of a step through several blocks.
        blocks *= (1 + 1 / PASSED) if self.config.engine.recompute and blocks > TRAINED else 1
        forward = self.operations(model, shape.forward(tokens, self.size.tokens)) + _LAUNCH
        return forward * blocks + self.head(model, reads) * PASSED

    def update(self, model: str, parameters: float) -> float:
        """What AdamW does to so many parameters in a step: nothing to those of a band, or on a GPU, beside the step."""
        return 0 if self.needs_gpu(model) else parameters * _UPDATE

    # Models

    def pretraining(self, model: str) -> float:
        """Training from scratch, every parameter; logits are read at half of a text's places."""
        batch, shape = self.config.pretraining.batch, self.shape(model)
        reads = 0.5 * batch * self.size.tokens
        seconds = self.step(model, batch, TRAINED * shape.blocks, reads)
        # Muon's five iterations: some 25 operations for each parameter and feature.
        seconds += self.operations(model, 25 * shape.hidden * shape.block * shape.blocks)
        return seconds * self.config.models[model].steps

    def adaptation(self, model: str) -> float:
        """Training of low-rank additions: states get gradients, frozen weights none."""
        how = self.config.models[model].adaptation
        if how is None:
            # Gated facts are asked once, and those that are known twice more, about another subject.
            asked = self.languages(model) * self.size.facts * (1 + 2 * KNOWN)
            return self.ask(model, asked, self.shape(model).blocks) if self.config.models[model].known else 0
        steps = self.size.trained(self.languages(model)) * how.epochs / how.batch_size
        blocks = PASSED * self.shape(model).blocks
        return self.step(model, how.batch_size, blocks, how.batch_size * self.size.answer) * steps

    def model_evaluation(self, model: str) -> float:
        return self._answers(model, self.size.forms, self.shape(model).blocks)

    def layers(self, model: str, forget_set: str, languages: int) -> float:
        """States of the forget prompts, and of all prompts for the probe, through every block; then the scores."""
        blocks = self.shape(model).blocks
        return self.run(model, languages * (self.size.forgotten(forget_set) + self.size.facts), blocks) + 0.3 * blocks

    # Cells

    def bench(self, cell: Cell) -> float:
        """What the cells of one workbench share: the base's answers, and all texts moved up once."""
        asked, blocks = self._probe(cell) + self._check(cell) + self._damage(cell), self.shape(cell.model).blocks
        return self.ask(cell.model, asked, blocks) + self.run(cell.model, self._texts(cell) + asked, blocks)

    def unlearning(self, cell: Cell, share: float = MATCHED) -> float:
        """One cell; `share` of the steps that a matched one may take."""
        band, above = self.span(cell)
        made, cost = self.methods[cell.algorithm]
        method = made.runs
        matched = cell.protocol == "matched"
        probe = self.ask(cell.model, self._probe(cell), above)
        ends = probe + self.ask(cell.model, self._check(cell), above)
        run = above if cost.head else band
        if matched:
            ends += self.ask(cell.model, self._damage(cell), above)
        if cost.reference:
            # What the model said before, once over all texts.
            ends += self.run(cell.model, self._texts(cell), run)
        edits, settings = isinstance(method, unlearn.Edit), method.settings
        assert isinstance(settings, unlearn.Settings)
        if isinstance(method, unlearn.Guard):
            # It takes no steps on the model; passes beyond the first are steps that train something beside it.
            side = self.step(cell.model, settings.batch_size, PASSED * run, settings.batch_size * self.size.answer)
            return ends + cost.sides * (cost.passes - 1) * side
        asked = (LOOKS if edits else self.config.matching.looks) + Matching.refinements
        looks = probe * asked if matched else 0
        if edits and cost.whole:
            edit = self.run(cell.model, self._texts(cell), run) * PASSED * cost.passes
            if not cost.head:
                edit += self.operations(cell.model, band * SOLVED * self.shape(cell.model).mlp ** 3)
            return edit + ends + looks
        steps = settings.steps * (share if matched and not edits else 1)
        reads = settings.batch_size * self.size.answer if cost.head else 0
        side = self.step(cell.model, settings.batch_size, PASSED * run + (TRAINED - PASSED) * band, reads)
        runs = len(method.strengths) if matched else 1
        return (cost.sides * cost.passes * side * steps + ends + looks) * runs

    def evaluation(self, cell: Cell) -> float:
        """All questions of one patch, from its band's input on where the states of questions are kept."""
        forms = self.size.asked
        blocks = self.span(cell)[1] if self.states(cell.model, forms) else self.shape(cell.model).blocks
        return self._answers(cell.model, forms, blocks) + self.guarding(cell, self.asked(cell.model, forms))

    def guarding(self, cell: Cell, questions: float) -> float:
        """What a guard adds to so many questions, by what it says that it takes; nothing for what is no guard."""
        cost = self.methods[cell.algorithm][1]
        passes = questions * (cost.prompts + cost.texts * self.size.sequences)
        return self.run(cell.model, passes, self.shape(cell.model).blocks) if passes else 0.0

    def questions(self, model: str) -> float:
        """The prefixes of all questions of a shard, once, where their states are kept."""
        forms = self.size.asked
        return self.ask(model, self.asked(model, forms), self.shape(model).blocks) if self.states(model, forms) else 0

    def analyses(self, cells: list[Cell]) -> float:
        """What looks into some cells and, for those that are the first of the study to need them, into their bases."""
        seconds = 0.0
        for cell in cells:
            facts, (_, blocks) = self._forgotten(cell), self.span(cell)
            # Only means go into a table.
            each = self.ask(cell.model, facts, 1) - facts * _QUESTION
            for name, analysis in self.looks.items():
                of_cell = analysis.unit == "cell"
                if of_cell and not analysis.applies(cell):
                    continue
                # A base is read from its first block on, but where a cell's band says where to begin.
                base = blocks if "band" in analysis.depends else self.shape(cell.model).blocks
                first = self._first_looks[_look(name, analysis, cell)] == cell
                seconds += each * analysis.asks() * (blocks * of_cell + base * first)
        return seconds

    def attacks(self, cells: list[Cell]) -> float:
        """All attacks on some cells and, for those that are the first of the study to need them, on base and oracle."""
        seconds = 0.0
        for cell in cells:
            oracle = self.study.oracle(cell.model, cell.training_seed, cell.forget_set)
            for name in self._attacks_on(cell):
                kind, settings = self.attacked[name]
                # Training, and the forget questions.
                cost, blocks = kind.cost(settings), self.shape(cell.model).blocks
                step = self.step(cell.model, cost.batch, TRAINED * blocks, cost.batch * self.size.answer)
                step += self.update(cell.model, self.shape(cell.model).parameters)
                look = self.ask(cell.model, self._forgotten(cell), blocks if cost.whole else self.span(cell)[1])
                # The cell and, the first time, base and oracle; or the base alone.
                of_base = kind.of_base(settings, cell.band)
                victims = int(not of_base)
                seconds += victims * self.guarding(cell, self._forgotten(cell)) * cost.asks
                if self._first_attacks[_attack(name, kind, settings, cell)] == cell:
                    victims += 1 + bool(oracle and not of_base)
                seconds += (step * cost.steps + look * cost.asks) * victims
        return seconds

    def _attacks_on(self, cell: Cell) -> list[str]:
        """Attacks of a cell that can be tried on what it is."""
        intent = unlearn.load(self.study.method(cell.algorithm)).intent
        asked = ((name, *self.attacked[name]) for name in self.study.attacked[cell])
        return [name for name, kind, settings in asked if not kind.applies(settings, cell.band, intent)]

    @cached_property
    def _first_looks(self) -> dict[tuple[str, ...], Cell]:
        """By analysis, and what it depends on of a base: the first cell beside which that base is read."""
        found: dict[tuple[str, ...], Cell] = {}
        for cell, (name, analysis) in itertools.product(self._in_order, self.looks.items()):
            if analysis.unit == "model" or analysis.applies(cell):
                found.setdefault(_look(name, analysis, cell), cell)
        return found

    @cached_property
    def _first_attacks(self) -> dict[tuple[str, ...], Cell]:
        """By attack, and what it depends on of base and oracle: the first cell beside which they are attacked."""
        found: dict[tuple[str, ...], Cell] = {}
        for cell in self._in_order:
            for name in self._attacks_on(cell):
                found.setdefault(_attack(name, *self.attacked[name], cell), cell)
        return found

    @property
    def _in_order(self) -> Iterator[Cell]:
        return itertools.chain.from_iterable(self.study.shards.values())

    def _forgotten(self, cell: Cell) -> float:
        """Facts of its forget set, in all languages."""
        return self.languages(cell.model) * self.size.forgotten(cell.forget_set)

    def _answers(self, model: str, forms: int, blocks: float) -> float:
        """Questions, and answers that are written out: the whole model once, then a token at a time from its cache."""
        s, shape = self.size, self.shape(model)
        facts = self.languages(model) * s.facts * forms
        begun = self.run(model, facts * min(1, s.written), shape.blocks)
        further = max(0, s.written - 1)
        flops = shape.forward(facts * further, s.tokens) * shape.blocks + shape.head(facts * further)
        batches = max(facts * (s.tokens + further) / BATCH, min(LENGTHS, facts / 2))
        begun += self.operations(model, flops) + batches * further * shape.blocks * _LAUNCH
        return self.ask(model, self.asked(model, forms), blocks) + begun

    def _texts(self, cell: Cell) -> float:
        """Texts of both sides."""
        s, sources = self.size, len(cell.sources.codes)
        retained = sources if cell.retain != "all" else self.languages(cell.model)
        return s.read * (s.forgotten(cell.forget_set) * sources + s.retain * retained)

    def _probe(self, cell: Cell) -> float:
        """Questions of a look."""
        facts = min(self.config.matching.facts, self.size.forgotten(cell.forget_set))
        return facts * len(cell.sources.codes)

    def _damage(self, cell: Cell) -> float:
        """Questions that say what an edit damages."""
        return (self.size.checked or self.size.validation) * len(cell.sources.codes)

    def _check(self, cell: Cell) -> float:
        return self.size.validation * len(cell.sources.codes)
