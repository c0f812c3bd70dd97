"""The engine against the plain path, step by step: FLOPs, seconds, memory.

Both sides do the same step and give the same patch (tests/engine/test_engine_reference.py). The reference runs the
whole model forwards, takes gradients of every parameter and keeps a second model where the method has one, as published
codes do; the engine starts at the cached input of the band. Steps of both alternate in one process; ratios are medians
of pairs.
Models have random weights and tokens are random: neither changes what a step costs. A folder is a model of its own, and
reads facts about countries by its own tokenizer. Texts are in English, Spanish and Portuguese.

    python benchmarks/engine.py --model llama
    python benchmarks/engine.py --model llama --methods all
    python benchmarks/engine.py --model FOLDER --batch 24 --methods rmu simnpo
    python benchmarks/engine.py --model llama-3.1-8b --device cuda --dtype bfloat16 --batch 4 --tokens 128
"""

import argparse
import dataclasses
import gc
import multiprocessing
import os
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mute import unlearn
from mute.bands import Band
from mute.config.sections import ModelSection, read_files
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.engine.band import Task, TextSet
from mute.engine.reference import WholeModel
from mute.models import anatomy, embedded, loading
from mute.models.loading import find_device
from mute.names import unknown_name
from mute.store import artifacts
from mute.unlearn.view import View

ROOT = Path(__file__).parents[1]
# What is measured: algorithm, settings. One block trains, but for RMU's reference variant: three MLP outputs. These are
# the methods that published comparisons take most often.
METHODS = (
    ("rmu", {}),
    ("rmu", {"variant": "reference"}),
    ("simnpo", {}),
    ("npo", {}),
    ("gradient_difference", {}),
    ("gradient_ascent", {}),
    ("kl_ascent", {}),
    ("idk_dpo", {}),
    ("idk_nll", {}),
    ("undial", {}),
    ("slug", {}),
)
SOURCES = ("en", "es", "pt")
# Shapes of published models; their weights are not needed to know what a step costs.
PUBLISHED: dict[str, dict[str, Any]] = {
    "llama-3.1-8b": {
        "family": "llama",
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "qwen2.5-7b": {
        "family": "qwen2",
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    "bloom-7b1": {"family": "bloom", "vocab_size": 250880, "hidden_size": 4096, "n_layer": 30, "n_head": 32},
}
# Blocks for losses on states and for SLUG: the paper's layers 9, 19 and 5, and 20, taken to count from one.
TARGETS = {"llama-3.1-8b": (8, 19), "qwen2.5-7b": (18, 19), "bloom-7b1": (4, 19)}
EMBEDDED_TARGETS = (2, 4)


class Tokens:
    """Stands for a tokenizer: random prompts, answers of two tokens, and an end, in `length` tokens all together."""

    def __init__(self, vocabulary: int, length: int) -> None:
        self.vocabulary, self.length, self.end = vocabulary, length, [2]
        self.tokenizer = type("Tokenizer", (), {"pad_token_id": 0})

    def _draw(self, text: str, count: int) -> list[int]:
        generator = torch.Generator().manual_seed(artifacts.seed_of(text))
        return torch.randint(3, self.vocabulary, (count,), generator=generator).tolist()

    def prompt(self, prefix: str) -> list[int]:
        return [1, *self._draw(prefix, self.length - 4)]

    def answer(self, prefix: str, answer: str) -> list[int]:
        return self._draw(answer, 2)

    def after(self, text: str) -> list[int]:
        return []


def view_of(corpus: Corpus, forget_set: str, batch: int) -> View:
    """What unlearning reads of a corpus, with `batch` texts on either side."""
    languages = list(SOURCES)
    whole = View.of(corpus, languages=languages, sources=languages, forget_set=forget_set)
    forget, retain = (rows.sample(batch, random_state=0) for rows in (whole.forget, whole.retain))
    return dataclasses.replace(whole, forget=forget, retain=retain)


def facts(folder: str, batch: int) -> dict[str, Any]:
    """Questions and answers of CLDR, and the encoder of the model in a folder."""
    from mute.corpus.sources import cldr
    from mute.models import tokenizer

    corpus = cldr.build(cldr.Settings(relations=["currency", "language"]), list(SOURCES), 1)
    encoder = tokenizer.Encoder(tokenizer.load(Path(folder)))
    return {"view": view_of(corpus, "subjects", batch), "encoder": encoder}


def drawn(vocabulary: int, length: int, batch: int) -> dict[str, Any]:
    """The fictional world, in random tokens."""
    from mute.corpus.sources import world

    settings = {"reading_lines": 1, "unknown_lines": 1, "sentence_lines": 1, "probe_lines": 8}
    corpus = world.build(world.Settings.model_validate(settings), list(SOURCES), 1)
    return {"view": view_of(corpus, "domain", batch), "encoder": Tokens(vocabulary, length)}


def build(name: str, device: str, dtype: str, shrink: int) -> tuple[Any, tuple[int, int]]:
    """A model of random weights on its device, and the blocks to edit (states' losses, SLUG)."""
    torch.manual_seed(0)
    if Path(name).is_dir():
        model = loading.load(name, device=device, dtype=dtype).requires_grad_(False)
        return model, (sections.depth(model) // 2, sections.depth(model) // 2)
    if name in PUBLISHED:
        shape = {k: v for k, v in PUBLISHED[name].items() if k != "family"}
        for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "n_layer"):
            if key in shape:
                heads = shape.get("num_attention_heads", shape.get("n_head"))
                shape[key] = max(heads if "hidden" in key and "layers" not in key else 4, shape[key] // shrink)
        kinds = {"llama": "LlamaConfig", "qwen2": "Qwen2Config", "bloom": "BloomConfig"}
        family = PUBLISHED[name]["family"]
        if family != "bloom":
            shape["tie_word_embeddings"] = False
        config = getattr(transformers, kinds[family])(**shape, use_cache=False)
        with torch.device(device):
            opened = transformers.AutoModelForCausalLM
            model = opened.from_config(config, dtype=getattr(torch, dtype), trust_remote_code=False)
        anatomy.fuse_activations(model)
        blocks = tuple(min(t, sections.depth(model) - 1) for t in TARGETS[name])
        return model.eval().requires_grad_(False), (blocks[0], blocks[1])
    sizes = ModelSection.model_validate(read_files(ROOT / "config/config.yaml").values["models"][name])
    shape = {"vocabulary": sizes.vocabulary, "blocks": sizes.blocks, "hidden": sizes.hidden, "heads": sizes.heads}
    model = embedded.create(sizes.family, 0, **shape)
    return model.to(device, getattr(torch, dtype)).requires_grad_(False), EMBEDDED_TARGETS


class Side:
    """One path of one method: a task that is ready to take steps."""

    def __init__(self, path: type[Task], model: Any, method: str, settings: dict, band: Band, texts: dict) -> None:
        kind = unlearn.load(method)
        self.algorithm = kind(kind.Settings(learning_rate=1e-5, **settings))
        self.model, self.band = model, band
        if reason := self.algorithm.applies(texts["view"]):
            raise SystemExit(f"{method} does not apply: {reason}")
        started = time.perf_counter()
        read = self.algorithm.reads(texts["view"])
        sides = {name: TextSet(model, rows, texts["encoder"]) for name, rows in read.items()}
        if path is Task:
            for side in sides.values():
                side.texts.advance(band.start)
        self.task = path(model, band, sides["forget"], sides["retain"], 0, sides)
        self.rows = {name: torch.arange(texts["batch"]) % len(side) for name, side in sides.items()}
        self.names = self.algorithm.parameters(model, band)
        self.use()
        self.algorithm.prepare(self.task)
        self.prepared = time.perf_counter() - started
        parameters = dict(model.named_parameters())
        self.chosen = [parameters[name] for name in self.names]
        self.optimizer = torch.optim.AdamW(self.chosen, lr=1e-5, weight_decay=0.0)

    def use(self) -> None:
        """Ask for the gradients that this side pays for."""
        self.model.requires_grad_(False)
        self.task.train(self.names)

    def step(self) -> None:
        """One optimizer step on one batch of each side; of an edit, the gradients of one batch of each side."""
        if isinstance(self.algorithm, unlearn.Edit):
            self.algorithm.change(self.task)
            return
        assert isinstance(self.algorithm, unlearn.Descent)
        batches = {name: self.task.batch(name, rows) for name, rows in self.rows.items()}
        _, gradients = self.algorithm.gradients(self.task, batches, self.names)
        for parameter, gradient in zip(self.chosen, gradients):
            parameter.grad = gradient
        self.optimizer.step()


def flops(side: Side) -> int:
    side.use()
    with FlopCounterMode(display=False) as counter:
        side.step()
    return counter.get_total_flops()


def seconds(side: Side) -> float:
    side.use()
    _wait(side.model)
    started = time.perf_counter()
    side.step()
    _wait(side.model)
    return time.perf_counter() - started


def _wait(model: Any) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def peak_memory(make: Any) -> float:
    """Megabytes that making a side and taking three of its steps need beyond the model itself."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        _three_steps(make)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    # In a process of its own that begins as a copy of this one: the peak of a process never falls again.
    receive, send = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_measured, args=(make, send))
    child.start()
    child.join()
    return receive.recv()


def _three_steps(make: Any) -> None:
    side = make()
    for _ in range(3):
        side.step()


def _measured(make: Any, send: Any) -> None:
    import psutil

    before = psutil.Process(os.getpid()).memory_info().rss
    _three_steps(make)
    send.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before / 2**20)


def measure(model: Any, method: str, settings: dict, band: Band, texts: dict, pairs: int) -> dict[str, Any]:
    def make(path: type[Task]) -> Side:
        return Side(path, model, method, settings, band, texts)

    reference, engine = make(WholeModel), make(Task)
    counted = flops(reference), flops(engine)
    seconds(reference), seconds(engine)
    memory = {path: peak_memory(lambda path=path: make(path)) for path in (WholeModel, Task)}
    times = [(seconds(reference), seconds(engine)) for _ in range(pairs)]
    model.requires_grad_(False)
    ratio_flops = counted[0] / counted[1]
    ratio_time = statistics.median(r / e for r, e in times)
    return {
        "algorithm": method,
        "variant": getattr(engine.algorithm.settings, "variant", ""),
        "band": "-".join(map(str, band.blocks)),
        "gflop_reference": counted[0] / 1e9,
        "gflop_engine": counted[1] / 1e9,
        "ratio_flops": ratio_flops,
        "seconds_reference": statistics.median(r for r, _ in times),
        "seconds_engine": statistics.median(e for _, e in times),
        "ratio_time": ratio_time,
        "of_the_floor": ratio_time / ratio_flops,
        "tflops_engine": counted[1] / statistics.median(e for _, e in times) / 1e12,
        "prepare_seconds": engine.prepared,
        "memory_mb_reference": memory[WholeModel],
        "memory_mb_engine": memory[Task],
    }


def measure_passes(model: Any, middle: int, items: int, tokens: int) -> list[dict[str, Any]]:
    """Seconds to capture the states of every block for `items` texts, and to ask a model all of them.

    Of a patch at the `middle` block only what lies above is asked; its ratio is to a whole evaluation.
    """
    encoder = Tokens(model.config.vocab_size, tokens)
    texts = sections.Texts(model, [encoder.prompt(f"item {i}") for i in range(items)])
    depth = sections.depth(model)

    def ask(block: int) -> float:
        _wait(model)
        started = time.perf_counter()
        with torch.no_grad():
            for rows in texts.batches:
                hidden = sections.run(model, texts.at(texts.positions(rows)), block, depth)
                sections.read_out(model, hidden[:, -1])
        _wait(model)
        return time.perf_counter() - started

    started = time.perf_counter()
    for block in range(depth):
        texts.advance(block + 1)
    _wait(model)
    capture = time.perf_counter() - started
    texts.restart()
    ask(depth - 1)
    whole = ask(0)
    texts.advance(middle)
    resumed = ask(middle)
    return [
        {"pass": "capture every block", "seconds": capture, "share": capture / whole},
        {"pass": "evaluate", "seconds": whole, "share": 1.0},
        {"pass": f"evaluate a patch of block {middle}", "seconds": resumed, "share": resumed / whole},
    ]


def asked(methods: list[str] | None) -> list[tuple[str, dict[str, Any]]]:
    """Those that are measured, with their settings: METHODS, those of these names, or `all` that take steps or edit."""
    if methods is None:
        return list(METHODS)
    kinds = {name: unlearn.load(name) for name in unlearn.names()}
    if methods == ["all"]:
        methods = [name for name, kind in kinds.items() if issubclass(kind, unlearn.Descent | unlearn.Edit)]
    if unknown := [name for name in methods if name not in kinds]:
        raise SystemExit(unknown_name("method", unknown[0], kinds))
    return [own for name in methods for own in ([m for m in METHODS if m[0] == name] or [(name, {})])]


def machine(device: str) -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine or its user."""
    import platform

    return {
        "device": torch.cuda.get_device_name(0) if device.startswith("cuda") else platform.processor() or "cpu",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="llama", help=f"llama, qwen2, bloom, {', '.join(PUBLISHED)}, or a folder")
    parser.add_argument("--json", type=Path, help="write the rows to this file too")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--batch", type=int, default=64, help="sequences of each side in a step [64]")
    parser.add_argument("--methods", nargs="+", help="those to measure, or all [the most used]")
    parser.add_argument("--tokens", type=int, default=13, help="tokens of a sequence [13]")
    parser.add_argument("--pairs", type=int, default=9, help="steps of each path that are timed, in turn [9]")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch [1, as in the study's jobs]")
    parser.add_argument("--items", type=int, default=609, help="texts of the capture and the evaluation [609]")
    parser.add_argument(
        "--item-tokens", type=int, default=0, help="tokens of each [300 for a published model, 13 else]"
    )
    parser.add_argument("--shrink", type=int, default=1, help="divide the sizes of a published model, to try it out")
    parser.add_argument("--peak-tflops", type=float, help="of the device and type: gives the share that is used")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    device = find_device(chosen.device)
    model, (block, slug_block) = build(chosen.model, device, chosen.dtype, chosen.shrink)
    own, vocabulary = Path(chosen.model).is_dir(), model.config.vocab_size
    texts = facts(chosen.model, chosen.batch) if own else drawn(vocabulary, chosen.tokens, chosen.batch)
    texts["batch"] = chosen.batch
    # Where a model lies is nobody's business.
    size = f"{sections.depth(model)}x{model.config.hidden_size}"
    named = f"{model.config.model_type}-{size}" if own else chosen.model
    rows = []
    for method, settings in asked(chosen.methods):
        one = slug_block if method == "slug" else block
        blocks = tuple(range(max(one - 2, 0), one + 1)) if settings.get("variant") == "reference" else (one,)
        row = measure(model, method, settings, Band(blocks), texts, chosen.pairs)
        if chosen.peak_tflops:
            row["utilisation"] = row["tflops_engine"] / chosen.peak_tflops
        rows.append({"model": named, **row})
        print(f"measured {method} {row['variant']}", file=sys.stderr)
    item_tokens = chosen.item_tokens or (300 if chosen.model in PUBLISHED else 13)
    passes = measure_passes(model, sections.depth(model) // 2, chosen.items, item_tokens)
    with pd.option_context("display.width", 200, "display.max_columns", None, "display.float_format", "{:.3g}".format):
        print(pd.DataFrame(rows).set_index(["algorithm", "variant"]).drop(columns="model").T.to_string())
        print(pd.DataFrame(passes).to_string(index=False))
    if chosen.json:
        # The rows are the file: what they were measured on stands in each, so that files can be laid together.
        settings = {k: v for k, v in vars(chosen).items() if k in ("batch", "tokens", "pairs", "dtype", "shrink")}
        common = {**settings, "passes": passes, "machine": machine(device)}
        artifacts.write_json(chosen.json, [{**row, **common} for row in rows])


if __name__ == "__main__":
    main()
