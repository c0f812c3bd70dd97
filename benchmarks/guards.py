"""What a guard costs each question that it is asked: forward passes, milliseconds, and the tensors that it keeps.

Every guard is fitted on an untrained model of the shape of a study's: what an answer costs does not hang on whether it
is right. Each question is asked alone, with all its options, of the base and of the guard in turn; times are medians,
and their ratios medians of pairs. Passes are tokens that run through blocks, over those of the base, on the same path,
with all questions asked at once: counted apart, with hooks on the blocks. Half of the questions are on facts to be
forgotten, on which detectors fire. What is kept are the guard's tensors.

    python benchmarks/guards.py --json benchmarks/results/guards.json
"""

import argparse
import statistics
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mute import unlearn as methods
from mute.bands import Band
from mute.corpus.sources import world
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import anatomy, embedded, texts, tokenizer
from mute.models.treatment import Treatment
from mute.store import artifacts
from mute.unlearn.base import Guard
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn

LANGUAGES, SOURCES = ["en", "es", "hi"], ["en", "es"]
# What is fitted in steps is fitted in few, and what a model must be able to do is not asked of one that knows nothing.
QUICK: dict[str, dict[str, Any]] = {
    "canonicalisation": {"steps": 2},
    "colbert_xm": {"detector_settings": {"head_steps": 2}},
    "eco": {"sigma": 3.0},
    "icul": {"tolerance": 1.0},
    "ksd": {"detector_settings": {"alpha": None}},
    "uld": {"steps": 2},
    "whp_offset": {"steps": 2},
}


def built(blocks: int, hidden: int) -> tuple[Workbench, list[Queries]]:
    """A workbench of an untrained model, and questions on facts to be forgotten and to be kept, one each."""
    subjects = {"chemistry": 8, "history": 8, "law": 4, "geography": 2}
    corpus = world.build(world.Settings.model_validate({"subjects": subjects}), LANGUAGES, 1)
    told = (part for text in texts.tokenizer_texts(corpus, LANGUAGES) for part in tokenizer.parts(*text))
    encoder = tokenizer.Encoder(tokenizer.train(told, 2048))
    model = embedded.create("llama", 0, vocabulary=len(encoder.tokenizer), blocks=blocks, hidden=hidden, heads=4)
    bench = Workbench(
        model.requires_grad_(False),
        encoder,
        corpus,
        languages=LANGUAGES,
        sources=SOURCES,
        forget_set="domain",
        retain="source+text",
        matching=Matching(facts=8),
        seed=0,
        oracle=None,
    )
    own = corpus.texts[(corpus.texts["form"] == corpus.about["headline_form"]) & (corpus.texts["language"] == "en")]
    roles = own["item"].map(corpus.roles("domain"))
    rows = [own[roles == role].assign(set="facts").iloc[:8] for role in ("forget", "retain_unseen")]
    return bench, [Queries(side.iloc[[row]], encoder) for side in rows for row in range(len(side))]


class Nothing(Treatment):
    """Changes nothing, and has all blocks run row by row, so that tokens are counted alike."""

    def states(self, block: int, hidden: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return hidden


@contextmanager
def counted(model: Any) -> Generator[list[int]]:
    """While open, the tokens that run through each block are added up."""
    found = [0]

    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        found[0] += hidden.shape[0] * hidden.shape[1]

    hooks = [block.register_forward_pre_hook(hook, with_kwargs=True) for block in anatomy.blocks(model)]
    try:
        yield found
    finally:
        for each in hooks:
            each.remove()


def asked(subject: Subject, question: Queries, bench: Workbench) -> None:
    rows = subject.questions(question.rows)
    subject.ask(question if rows is question.rows else Queries(rows, bench.encoder))


def measured(bench: Workbench, name: str, questions: list[Queries], repeats: int) -> dict[str, Any]:
    """One guard: what it keeps, and what it adds to a question."""
    method = methods.make(name, QUICK.get(name, {}))
    bench.restart()
    before = time.perf_counter()
    outcome = unlearn(bench, method, Band.named((method.bands or ("1",))[0], 6), protocol="paper", seed=0)
    fitting = time.perf_counter() - before
    if outcome.status not in ("ok", "not_reached"):
        return {"guard": name, "status": outcome.status, "reason": outcome.reason}
    base, guarded = Subject(bench.model), Subject(bench.model, [method.treatment(outcome.tensors)])
    tokens, seconds = {}, {}
    together = Queries(pd.concat([question.rows for question in questions]), bench.encoder)
    for who, subject in (("base", Subject(bench.model, [Nothing()])), ("guard", guarded.with_(Nothing()))):
        with subject.installed(), counted(bench.model) as found:
            asked(subject, together, bench)
        tokens[who], seconds[who] = found[0], []
    for question in questions * repeats:
        for who, subject in (("base", base), ("guard", guarded)):
            with subject.installed():
                before = time.perf_counter()
                asked(subject, question, bench)
                seconds[who].append(time.perf_counter() - before)
    ratios = [guard / own for own, guard in zip(seconds["base"], seconds["guard"])]
    return {
        "guard": name,
        "status": outcome.status,
        "passes": round(tokens["guard"] / tokens["base"], 2),
        "ms": round(1e3 * statistics.median(seconds["guard"]), 2),
        "base_ms": round(1e3 * statistics.median(seconds["base"]), 2),
        "ratio": round(statistics.median(ratios), 2),
        "kept_kb": round(sum(t.numel() * t.element_size() for t in outcome.tensors.values()) / 1e3, 1),
        "fit_seconds": round(fitting, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [name for name in methods.names() if issubclass(methods.load(name), Guard)]
    parser.add_argument("--guards", nargs="+", default=names, choices=names)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench, questions = built(args.blocks, args.hidden)
    rows = []
    for name in args.guards:
        rows.append(measured(bench, name, questions, args.repeats))
        print("  ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if args.json:
        about = {"blocks": args.blocks, "hidden": args.hidden, "questions": len(questions), "threads": 1}
        artifacts.write_json(args.json, {"about": about, "guards": rows})


if __name__ == "__main__":
    main()
