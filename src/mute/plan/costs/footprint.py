"""What jobs hold in memory and leave on disk, in bytes.

A model is opened once; what trains has gradients and two states of AdamW beside it, and is remembered as it was. States
of texts stay where models run, as long as they take no more than the engine's share of a device, else in the host's
memory.
"""

from mute.bands import FULL
from mute.hub import gguf_files
from mute.plan.costs.shapes import Shape
from mute.plan.costs.work import BATCH, LENGTHS, PADDING, Workload
from mute.study.cells import Cell
from mute.unlearn.base import Descent

# Of the free memory of a GPU, what the states of one set of texts may take; as `engine.sections`.
DEVICE_SHARE = 0.25
# Tokens x features of one pass over a whole side; as SLUG's. Tokens of one pass of an adaptation; as `models.adapt`.
WHOLE_PASS, _PASS = 8192 * 512, 4096
# Python with torch and a corpus, measured; with CUDA's libraries, assumed; what these take on a GPU.
PROCESS, CUDA_PROCESS, CUDA_CONTEXT = 0.65e9, 3e9, 0.6e9
# What steps keep of a parameter: value, gradient, two states and what it was; gradient twice beside bfloat16.
_TRAINED, _EXACT = 16, 20
# Of what trains under `matched`, beside what steps keep: the last two looks, and the best strength's. What lies between
# the looks is asked for when the steps are over, and their moments gone.
_COPIES = 3
# Vectors of a block's width that stand at once: hidden ones and those inside the MLP; kept for the gradient, or not.
_HIDDEN, _MLP = 12, 4
# An answer or a token in a table; the records of a job.
_ROW, _RECORD = 65, 6e3
_SLACK, _TOKENIZER = 64e6, 20e6
# What `engine.compact` computes in float32 at once.
_PIECE = 8 * 2**24 * 4


class Footprint:
    """Memory and disk of the jobs of a study."""

    def __init__(self, work: Workload, card: float | None = None) -> None:
        """card: bytes of the GPU's memory; default: as configured."""
        self.work, self.study, self.config = work, work.study, work.config
        self.card = self.config.costs.gpu_memory_gb * 1e9 if card is None else card

    # Memory: (of the host, where the model runs)

    def weights(self, model: str) -> float:
        return self.work.shape(model).parameters * self.work.width

    def running(
        self, model: str, states: float = 0, trained: float = 0, batch: float = 0, blocks: float = 0
    ) -> tuple[float, float]:
        """A model that runs, beside states of texts (bytes, twice while they move up).

        trained: parameters that train; batch: tokens of one step, which pass `blocks` blocks with gradients.
        """
        shape, width = self.work.shape(model), self.work.width
        # What steps keep of a batch's way, but for the inputs of blocks whose inside is computed again.
        again = self.config.engine.recompute and blocks > 1
        tokens = BATCH + batch * (1 if again else blocks)
        reads = max(batch, BATCH) / self.work.size.tokens * self.work.size.answer
        here = self.weights(model) + _SLACK + trained * (_EXACT if width < 4 else _TRAINED)
        here += tokens * (_HIDDEN * shape.hidden + _MLP * shape.mlp) * width + 4 * reads * shape.vocabulary * 4
        here += batch * blocks * shape.hidden * width if again else 0
        stays = not self.work.needs_gpu(model)
        free = self.card - self.weights(model)
        return (0, here + 2 * states) if stays or states <= DEVICE_SHARE * free else (2 * states, here)

    def pretraining(self, model: str) -> tuple[float, float]:
        shape = self.work.shape(model)
        return self.running(model, 0, shape.parameters, 80 * self.work.size.tokens, shape.blocks)

    def adaptation(self, model: str) -> tuple[float, float]:
        """Weights once on the host and once where they run; the low-rank additions are small beside them."""
        how = self.config.models[model].adaptation
        tokens = 0 if how is None else min(how.batch_size * self.work.size.tokens * PADDING, _PASS)
        host, device = self.running(model, 0, 0, tokens, self.work.shape(model).blocks)
        return host + self.weights(model), device

    def reading(self, model: str, forms: int) -> tuple[float, float]:
        """Evaluation: states of all questions, unless they are too large to keep; keys and values of answers."""
        shape = self.work.shape(model)
        host, here = self.running(model, self.work.states(model, forms))
        return host, here + 2 * BATCH * shape.kv * shape.blocks * self.work.width * bool(self.work.size.written)

    def capture(self, model: str, languages: int) -> tuple[float, float]:
        """Layer scores: prompts of all facts, and their states in float64."""
        s, hidden = self.work.size, self.work.shape(model).hidden
        host, device = self.running(model, languages * (s.facts + s.forget) * s.tokens * hidden * self.work.width)
        return host + languages * s.facts * s.tokens * hidden * 8, device

    def probing(self, model: str, sequences: int) -> tuple[float, float]:
        """Attacks and analyses; sequences: of the largest batch on which an attack trains every parameter."""
        s, shape, k = self.work.size, self.work.shape(model), self.work.languages(model)
        states = k * s.forget * s.sequences * s.tokens * shape.hidden * self.work.width
        trained = (shape.parameters, sequences * s.tokens * PADDING, shape.blocks) if sequences else ()
        return self.running(model, states, *trained)

    def unlearning(self, cells: list[Cell]) -> tuple[float, float]:
        """The most that any of the cells takes."""
        return max(map(self._cell, cells), key=sum)

    def _cell(self, cell: Cell) -> tuple[float, float]:
        """Both sides, what is remembered of them, and the questions of the looks; beside what trains."""
        s, shape = self.work.size, self.work.shape(cell.model)
        band, above = self.work.span(cell)
        facts = 2 * s.read * (s.forget + s.retain) + s.forget + s.validation
        tokens = facts * len(cell.sources.codes) * s.tokens
        states = tokens * shape.hidden * self.work.width
        method, cost = self.work.methods[cell.algorithm]
        if cost.trains == "nothing":
            return self.running(cell.model, states)
        batch = 2 * getattr(method.runs.settings, "batch_size", 24) * s.tokens * PADDING
        if cost.whole:
            # Whole sides at once, but no two lengths in one batch.
            batch = min(BATCH, WHOLE_PASS / shape.hidden, tokens / LENGTHS)
        trained = shape.parameters if cell.band == "full" else band * shape.block
        if cost.whole and not cost.head:
            # No gradients, but in float64 a second moment for each block, and some six more that one is solved with.
            trained = (band + 6) * shape.mlp**2 * 8 / _TRAINED
        run, copies = above if cost.head else band, _COPIES * (cell.protocol == "matched") * trained * self.work.width
        if isinstance(method.runs, Descent) and method.runs.settings.optimizer == "compact":
            # What it was, and states of texts, are on the host.
            host, here = self.running(cell.model, 0, 0, batch, run)
            host += 2 * states + trained * self.work.width
            return host, here + copies + self._compact(shape, trained, type(method.runs))
        host, here = self.running(cell.model, states, trained, batch, run)
        return host, here + copies

    def _compact(self, shape: Shape, trained: float, kind: type[Descent]) -> float:
        """Both moments in 16 bits and what rounding lost; one gradient, or all that a method looks at together."""
        width, largest = self.work.width, shape.mlp * shape.hidden
        if trained > shape.blocks * shape.block:
            largest = max(largest, shape.vocabulary * shape.hidden)
        gradients = largest if kind.gradients is Descent.gradients else trained
        return trained * (4 + (2 if width < 4 else 0)) + gradients * width + _PIECE

    # Disk

    def model(self, model: str) -> float:
        """A trained model: float32 weights and its tokenizer."""
        return self.work.shape(model).parameters * 4 + 0.4e6

    def download(self, model: str) -> float:
        """Weights in 16 bits, and a tokenizer."""
        return self.work.shape(model).parameters * 2 + _TOKENIZER

    def adapted(self, model: str) -> float:
        """A model that is opened: its weights again where it was adapted, else a record; of a GGUF file those it has.

        These are shared by all that are adapted from it, and counted for each.
        """
        about = self.config.models[model]
        plain = self.weights(model) if gguf_files.named(str(about.pretrained)) else 0
        return plain + (self.download(model) if about.adaptation else _TOKENIZER)

    def cell(self, cell: Cell) -> float:
        """A patch: what trained, and nothing else."""
        shape, (band, _) = self.work.shape(cell.model), self.work.span(cell)
        cost = self.work.methods[cell.algorithm][1]
        parts = {
            "nothing": 0,
            "attention": shape.attention,
            "mlp_outputs": shape.hidden * shape.mlp,
            "blocks": shape.block,
        }
        trained = (min(band, cost.blocks) if cost.blocks else band) * parts[cost.trains]
        if cell.band == FULL and cost.trains == "blocks":
            trained = shape.parameters
        return trained * self.work.width + _RECORD

    def tables(self, model: str, forms: int) -> float:
        """Tables of the answers to all questions, with their options, or tokens of probes."""
        return self.work.asked(model, forms) * _ROW + _RECORD

    def cell_attacks(self, cell: Cell) -> float:
        """The token tables of a cell under its attacks, and a share of those of base and oracle."""
        facts = self.work.languages(cell.model) * self.work.size.forgotten(cell.forget_set)
        return 1.5 * len(self.study.attacked[cell]) * (facts * _ROW + _RECORD)
