"""What jobs hold in memory and leave on disk, in bytes.

A model is opened once; what trains has gradients and two states of AdamW beside it, and is remembered as it was. States
of texts stay where models run, as long as they take no more than the engine's share of a device, else in the host's
memory. D hidden, T tokens.
"""

from mute import unlearn
from mute.bands import span
from mute.plan.costs.shapes import Shape, is_pretrained
from mute.plan.costs.work import BATCH, LENGTHS, PADDING, Workload
from mute.study.cells import Cell

# Of the free memory of a GPU, what the states of one set of texts may take; as `engine.sections`.
DEVICE_SHARE = 0.25
# Python with torch and a corpus, measured; with CUDA's libraries, assumed.
_PROCESS, _CUDA_PROCESS, _CUDA_CONTEXT = 0.65e9, 3e9, 0.6e9
# Gradient, two states of AdamW, and what a parameter was before.
_TRAINED = 4
# Square float64 matrices that a closed-form edit is solved with: eigenvectors, projector, system, what solvers copy.
_SOLVED = 6
# Bytes of the same beside bfloat16, where steps are taken in float32: value, gradient twice, two states, what it was.
_EXACT = 20
# Vectors of a block's width that stand at once: hidden ones and those inside the MLP; kept for the gradient, or not.
_HIDDEN, _MLP = 12, 4
# A question as it stands in memory and, with its options, in a table on disk.
_QUESTION_MEMORY, _QUESTION_DISK = 4e3, 65
# A token of the probes' tables; a cell's records and curves.
_PROBE_DISK, _RECORD = 65, 6e3
_SLACK = 64e6
# Tokens x features of one pass over a whole side; as SLUG's.
WHOLE_PASS = 8192 * 512
# Tokens of one pass of an adaptation; as `models.adapt`.
_PASS = 4096


class Footprint:
    """Memory and disk of the jobs of a study."""

    def __init__(self, work: Workload) -> None:
        self.work, self.study, self.config = work, work.study, work.config
        self.bytes = 2 if self.config.engine.dtype == "bfloat16" else 4

    context = _CUDA_CONTEXT

    def process(self, gpu: bool) -> float:
        return _CUDA_PROCESS if gpu else _PROCESS

    # Memory: (of the host, where the model runs)

    def weights(self, model: str) -> float:
        return self.work.shape(model).parameters * self.bytes

    def pretraining(self, model: str) -> float:
        """Weights, gradients and two states each, and the activations of one part of a batch."""
        shape = self.work.shape(model)
        tokens = 40 * 2 * self.work.size.tokens
        return (1 + _TRAINED) * self.weights(model) + self._graph(shape, tokens, shape.blocks, tokens) + _SLACK

    def adaptation(self, model: str) -> float:
        """Weights once, low-rank additions with their states in float32, and the activations of one pass."""
        shape, how = self.work.shape(model), getattr(self.config.models[model], "adaptation", None)
        if how is None:
            return self.weights(model) + _SLACK
        added = how.rank * shape.blocks * (8 * shape.hidden + 3 * (shape.hidden + shape.mlp)) * 4 * _TRAINED
        tokens = min(how.batch_size * self.work.size.tokens * PADDING, _PASS)
        return self.weights(model) + added + self._graph(shape, tokens, shape.blocks, how.batch_size) + _SLACK

    def reading(self, model: str, forms: int | None = None) -> tuple[float, float]:
        """Evaluation: states of all questions, and a copy while they move up, unless they are too large to keep."""
        s, k = self.work.size, self.work.languages(model)
        facts, lines = k * s.facts * (forms or s.asked), k * s.lines
        states, kept = self.work.question_states(model, forms)
        host, device = self._texts(model, states if kept else 0)
        # Logits are read for one batch at a time.
        reads = BATCH / s.tokens * max(1, s.reads / s.sequences)
        device += self._read(self.work.shape(model), reads)
        return host + (facts + lines) * _QUESTION_MEMORY, device

    def capture(self, model: str, languages: int) -> tuple[float, float]:
        """Layer scores: prompts of all facts, and their states in float64."""
        s, shape = self.work.size, self.work.shape(model)
        tokens = languages * (s.facts + s.forget) * s.tokens
        host, device = self._texts(model, self._states(model, tokens))
        return host + languages * s.facts * s.tokens * shape.hidden * 8, device + self._read(shape, 0)

    def probing(self, model: str, batch: int) -> tuple[float, float]:
        """Attacks and analyses: states of the forget questions; where an attack trains, what steps keep as well."""
        s, k = self.work.size, self.work.languages(model)
        host, device = self._texts(model, self._states(model, k * s.forget * s.sequences * s.tokens))
        shape = self.work.shape(model)
        device += self._read(shape, BATCH / s.tokens)
        if batch:
            tokens = batch * s.tokens * PADDING
            device += self._trained(shape.parameters)
            device += self._graph(shape, tokens, shape.blocks, tokens / s.tokens)
        return host + k * s.forget * shape.blocks * _QUESTION_MEMORY, device

    def unlearning(self, cells: list[Cell]) -> tuple[float, float]:
        """The most that any of the cells takes."""
        return max(map(self._cell, cells), key=sum)

    def _cell(self, cell: Cell) -> tuple[float, float]:
        s, shape = self.work.size, self.work.shape(cell.model)
        _, band, above = span(cell.band, shape.blocks)
        sources = len(cell.sources.codes)
        # Both sides, what RMU remembers of them, and the questions of the looks.
        tokens = (2 * s.read * (s.forget + s.retain) + s.forget + s.validation) * sources * s.tokens
        host, device = self._texts(cell.model, self._states(cell.model, tokens))
        settings = self.work.settings[cell.algorithm]
        batch = 2 * settings.get("batch_size", 24) * s.tokens * PADDING
        kind, cost = self.work.methods[cell.algorithm]
        if cost.whole:
            # Whole sides at once, but no two lengths in one batch.
            batch = min(
                BATCH, WHOLE_PASS / shape.hidden, s.read * (s.forget + s.retain) * sources * s.tokens * 2 / LENGTHS
            )
        trained = band * shape.block if cell.band != "full" else shape.parameters
        if kind is unlearn.Guard:
            trained = batch = 0
        # A closed-form edit has no gradients, but second moments of keys, one kept for each block of the band.
        solved = cost.whole and not cost.head
        device += (band + _SOLVED) * 8 * shape.mlp**2 if solved else self._trained(trained)
        device += self._graph(shape, batch, above, batch / s.tokens * s.answer)
        return host, device + self._read(shape, BATCH / s.tokens)

    def _trained(self, parameters: float) -> float:
        """What steps on so many parameters keep beside them."""
        return parameters * (_EXACT if self.bytes < 4 else _TRAINED * 4)

    def _states(self, model: str, tokens: float) -> float:
        return tokens * self.work.shape(model).hidden * self.bytes

    def _texts(self, model: str, states: float) -> tuple[float, float]:
        """Weights, and states of so many bytes, twice while they move up."""
        free = self.config.costs.gpu_memory_gb * 1e9 - self.weights(model)
        stays = self.config.engine.device == "cpu" or not is_pretrained(self.config.models[model])
        if stays or states <= DEVICE_SHARE * free:
            return 0, self.weights(model) + 2 * states + _SLACK
        return 2 * states, self.weights(model) + _SLACK

    def _graph(self, shape: Shape, tokens: float, blocks: float, reads: float) -> float:
        """What a step keeps for its backward pass."""
        return tokens * blocks * self._wide(shape) + 4 * reads * shape.vocabulary * 4

    def _read(self, shape: Shape, reads: float) -> float:
        """What stands while one batch passes one block and its logits are read."""
        return BATCH * self._wide(shape) + 4 * reads * shape.vocabulary * 4

    def _wide(self, shape: Shape) -> float:
        return (_HIDDEN * shape.hidden + _MLP * shape.mlp) * self.bytes

    # Disk

    def model(self, model: str) -> float:
        """A trained model: float32 weights and its tokenizer."""
        return self.work.shape(model).parameters * 4 + 0.4e6

    def adapted(self, model: str) -> float:
        """A model that is opened: its weights again where it was adapted, else a record."""
        adapted = getattr(self.config.models[model], "adaptation", None) is not None
        return self.work.shape(model).parameters * 2 + 20e6 if adapted else 20e6

    def download(self, model: str) -> float:
        """Weights in 16 bits, and a tokenizer."""
        return self.work.shape(model).parameters * 2 + 20e6

    def cell(self, cell: Cell) -> float:
        """A patch: what trained, and nothing else."""
        shape = self.work.shape(cell.model)
        _, band, _ = span(cell.band, shape.blocks)
        cost = self.work.methods[cell.algorithm][1]
        if cost.trains == "nothing":
            return 4 * shape.hidden * 2 + _RECORD
        if cell.band == "full" and cost.trains == "blocks":
            return shape.parameters * self.bytes + _RECORD
        each = {"blocks": shape.block, "attention": shape.attention, "mlp_outputs": shape.mlp_output}[cost.trains]
        return (min(band, cost.blocks) if cost.blocks else band) * each * self.bytes + _RECORD

    def cell_tables(self, cell: Cell) -> float:
        s = self.work.size
        asked = s.facts * s.asked + s.lines
        return self.work.languages(cell.model) * asked * _QUESTION_DISK + _RECORD

    def cell_attacks(self, cell: Cell) -> float:
        """The token tables of a cell under its attacks, and a share of those of base and oracle."""
        facts = self.work.languages(cell.model) * self.work.size.forgotten(cell.forget_set)
        return 1.5 * len(self.study.attacked[cell]) * (facts * _PROBE_DISK + _RECORD)

    def model_tables(self, model: str) -> float:
        s, k = self.work.size, self.work.languages(model)
        return k * (s.facts * s.forms + s.lines) * _QUESTION_DISK

    def cache(self) -> float:
        """Cached prefixes: each text at the input of each block, up to the configured bound."""
        bound, total = self.config.engine.cache_gb * 1e9, 0.0
        s = self.work.size
        for model, _, oracle in self.study.trained.values():
            shape, k = self.work.shape(model), self.work.languages(model)
            sources = len(self.study.first_sources(model))
            asked = k * (s.facts * (1 + s.forms) * s.sequences + s.lines * 2 + s.forget)
            read = 0 if oracle else sources * (s.read * (s.forget + s.retain) + s.facts)
            total += (asked + read) * s.tokens * shape.hidden * self.bytes * shape.blocks
        return min(bound, total)
