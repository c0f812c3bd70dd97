"""The library without the workflow: score layers, choose a band, unlearn, save and load a patch, measure what is left.

Every function takes a model and a tokenizer of `transformers`, from wherever they are. The model is left as it was:
what unlearning changes is a `Patch`, which `patched` puts in place for as long as it is needed. See docs/library.md.
"""

import hashlib
import math
import os
import tempfile
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import pandas as pd
import torch

from mute import unlearn
from mute.analyses import capture
from mute.bands import Band, blocks_name, is_whole
from mute.config.problems import validated
from mute.corpus.schema import Corpus
from mute.corpus.sources import files
from mute.engine import sections
from mute.evaluate.board import Board
from mute.evaluate.divergence import blanked
from mute.evaluate.item_table import items
from mute.evaluate.metrics import score_cell
from mute.evaluate.panel import Panel
from mute.evaluate.run import Evaluator
from mute.evaluate.subject import Subject
from mute.findings import region
from mute.models import anatomy, export, loading, patches, tokenizer
from mute.models.tokenizer import Encoder, Words
from mute.models.treatment import Treatment
from mute.names import at_home, check_name, unknown_name
from mute.store import artifacts
from mute.store.artifacts import seed_of
from mute.store.records import Record
from mute.unlearn import carried
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching
from mute.unlearn.run import unlearn as run_algorithm
from mute.unlearn.speaking import Guarded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Of the names of the library this one is another module's.
open_guarded = carried.open_guarded
_FORGET_SET = "domain"
# Facts as they may be given: a table, rows, or either by language.
Rows: TypeAlias = pd.DataFrame | Iterable[Mapping[str, object]] | Mapping[str, object]
# Below this many facts to be forgotten, layer scores are not defined.
_FEWEST = 4


@dataclass(frozen=True)
class Facts:
    """Parallel facts: some to forget, the others to keep; read in the `sources`, and measured in all languages."""

    corpus: Corpus = field(repr=False)
    languages: list[str]
    sources: list[str]


@dataclass(frozen=True)
class Patch:
    """The tensors that unlearning changed, by the names of their parameters, and what made them.

    about: algorithm, settings, band, sources, seed, `status` (ok; not_reached: the sources did not forget within the
    steps; diverged, with the step, `diverged_at`, and the `last_loss` that was a number), `knowledge` left in the
    sources (1 as before, 0 as guessing), and `base`, which it belongs to. fitted: of an edit with a guard behind it,
    what the guard was fitted to; of a guard alone `tensors` are that.
    """

    tensors: dict[str, torch.Tensor] = field(repr=False)
    about: Record
    fitted: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)


def open_model(
    model: str | Path, *, revision: str = "main", device: str = "auto", dtype: str = "float32"
) -> tuple["PreTrainedModel", Words]:
    """Model and tokenizer of a folder, a GGUF file, or of the hub by id and revision: no code from there is run.

    What the cache has is not fetched again. Raises ValueError that says what to do where they cannot be opened.
    """
    folder = model_folder(model, revision=revision, dtype=dtype)
    return loading.load(folder, device=device, dtype=dtype), tokenizer.load(folder)


def model_folder(
    model: str | Path,
    *,
    revision: str = "main",
    dtype: str = "float32",
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """The model directory of what `open_model` takes: fetched where it is on the hub and not here.

    A GGUF file, or a folder with one and no other weights, is de-quantised once, into the user's cache
    (`XDG_CACHE_HOME`); report: told of bytes written, and of all.
    """
    from mute.hub import gguf_files
    from mute.models import pretrained

    place = at_home(model)
    # Where it is, so that no name of a folder or file is taken for one of the hub.
    given = str(place.absolute()) if place.exists() else str(model)
    file = gguf_files.named(given)
    if place.is_dir() and file is None:
        return place
    if file is None or file.path is None:
        from mute.hub import copies

        copies.fetch(gguf_files.repo(given, revision))
    return pretrained.opened(given, revision, opened_cache(), dtype, report)[0]


def opened_cache() -> Path:
    """Where GGUF files lie de-quantised."""
    return Path(os.environ.get("XDG_CACHE_HOME") or at_home("~/.cache")) / "mute/opened"


def parallel_facts(
    rows: Rows,
    *,
    forget: str,
    sources: Collection[str],
    prompts: str | list[str] = "prompt",
    mark: str = "<mask>",
    seed: int = 0,
) -> Facts:
    """Facts from a table, or from rows by language: id, language, domain, prompt, answer and perhaps candidates.

    A fact has one id in all languages. `mark` stands in the prompt where the answer belongs; several columns of prompts
    are several wordings, of which unlearning reads all but the last, and measures the last. candidates: answers that it
    competes with, a list or split at '|'; without, the answers of its domain. forget: the domain to be forgotten;
    sources: languages that unlearning reads. Raises ValueError that lists all that is wrong.
    """
    table = _table(rows)
    codes = [check_name(str(code), "language") for code in table["language"].unique()]
    if len(codes) < 2:
        raise ValueError(f"the facts are in {', '.join(codes) or 'no language'} alone: give them in two or more")
    for code in sources:
        if code not in codes:
            raise ValueError(unknown_name("source language", code, codes))
    if not sources or set(sources) >= set(codes):
        raise ValueError(f"sources must be some of {', '.join(codes)}, and leave one of them to measure in")
    candidates, subject = (name if name in table else None for name in ("candidates", "subject"))
    settings = files.Settings(
        path="",
        columns=files.Columns(prompt=prompts, candidates=candidates, subject=subject),
        mark=mark,
        forget_domain=forget,
        bystander_share=0,
        teaching_languages=list(sources),
        transfer_share=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        for code in codes:
            own = table[table["language"] == code].drop(columns="language")
            own.to_json(Path(folder) / f"{code}.jsonl", orient="records", lines=True, force_ascii=False)
        try:
            corpus = files.build(settings.model_copy(update={"path": folder}), codes, seed)
        except ValueError as error:
            said = str(error).replace("the corpus files", "the facts").replace(".jsonl", "")
            raise ValueError(said) from None
    _halve(corpus, seed)
    return Facts(corpus, codes, list(sources))


def _table(rows: Rows) -> pd.DataFrame:
    if isinstance(rows, Mapping):
        parts = [pd.DataFrame(own).assign(language=code) for code, own in rows.items()]
        table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    else:
        table = pd.DataFrame(rows if isinstance(rows, pd.DataFrame) else list(rows))
    if "language" not in table:
        raise ValueError(f"the facts have no column 'language'; they have {', '.join(map(str, table.columns))}")
    return table


def _halve(corpus: Corpus, seed: int) -> None:
    """Of the facts to keep, every other one is in no loss: what they show was not trained."""
    facts = corpus.facts
    kept = facts.index[~corpus.in_forget_set(_FORGET_SET).to_numpy()]
    order = sorted(kept, key=lambda row: seed_of(seed, "half", facts.loc[row, "item"]))
    facts.loc[order[::2], "half"], facts.loc[order[1::2], "half"] = "seen", "unseen"
    facts["validation"] = False


def score_layers(
    model: "PreTrainedModel", tokenizer: Words, facts: Facts, *, draws: int = 20, seed: int = 0
) -> pd.DataFrame:
    """CKA, LRDS, SADS and their variants: one row per block, on the prompts to be forgotten.

    In the source languages, or in all if there is one source only. Raises ValueError below four facts to forget.
    """
    languages = facts.sources if len(facts.sources) > 1 else facts.languages
    count = int(facts.corpus.in_forget_set(_FORGET_SET).sum())
    if count < _FEWEST:
        raise ValueError(f"layer scores need at least {_FEWEST} facts to forget, not {count}")
    with _at_rest(model):
        return capture.score_layers(
            model, Encoder(tokenizer), facts.corpus, languages, _FORGET_SET, draws=draws, seed=seed
        )


def choose_band(
    scores: pd.DataFrame,
    rule: Literal["first_local_peak", "argmax", "deepest", "region"] = "first_local_peak",
    alpha: float | Literal["auto"] = "auto",
) -> tuple[int, ...]:
    """The block that a layer rule chooses in the candidate region of `score_layers`, or all blocks of the region.

    alpha: width of the region; auto: the smallest that holds a quarter of the blocks. Raises ValueError where there is
    no region, naming the reason: then no block is language-agnostic, and a band has to be given.
    """
    cka, lrds = scores["cka"].tolist(), scores["lrds"].tolist()
    found = region.choose_alpha(cka, lrds, "hull") if alpha == "auto" else region.region(cka, lrds, alpha, "hull")
    if rule == "region" and found.blocks:
        return found.blocks
    # An empty region has no deepest block either, and the error is the same.
    return (region.choose_layer(cka, found, "deepest" if rule == "region" else rule),)


def forget(
    model: "PreTrainedModel",
    tokenizer: Words,
    facts: Facts,
    *,
    band: int | Iterable[int] | Literal["all", "full"],
    algorithm: str = "rmu",
    protocol: Literal["matched", "paper"] = "matched",
    target: float = 0.1,
    seed: int = 0,
    **settings: object,
) -> Patch:
    """Unlearn in the source languages, on some blocks, `all` of them or the `full` model; the model stays as it is.

    protocol: `matched` takes each of the algorithm's strengths to where `target` of the source knowledge is left, and
    keeps the one that damages least; `paper` takes `steps` at its own strength.
    settings: of the algorithm (config/README.md). Raises ValueError for names, blocks and settings that are not known.
    """
    method = unlearn.load(algorithm)
    checked = validated(method.Settings, settings)
    if checked.problems:
        raise ValueError(f"settings of {algorithm}: " + "; ".join(map(str, checked.problems)))
    name = _band_name(model, band)
    if method.bands and name not in method.bands:
        raise ValueError(f"{algorithm} works on {' or '.join(method.bands)}, not on {name!r}")
    with _at_rest(model):
        bench = Workbench(
            model,
            Encoder(tokenizer),
            facts.corpus,
            languages=facts.languages,
            sources=facts.sources,
            forget_set=_FORGET_SET,
            retain="source",
            matching=Matching(target=target),
            seed=seed,
            oracle=None,
        )
        chosen = Band.named(name, sections.depth(model))
        outcome = run_algorithm(bench, method(checked.value), chosen, protocol=protocol, seed=seed)
        base = None if issubclass(method, unlearn.Guard) else _base(model, outcome.tensors)
    assert checked.value is not None
    made = {"algorithm": algorithm, "settings": checked.value.model_dump(), "band": name, "sources": facts.sources}
    knowledge = None if math.isnan(outcome.knowledge) else outcome.knowledge
    found = {"status": outcome.status, "strength": outcome.strength, "steps": outcome.steps, "knowledge": knowledge}
    found |= {"diverged_at": outcome.diverged_at, "last_loss": outcome.last_loss}
    about = {**made, "protocol": protocol, "seed": seed, **found, "base": base}
    return Patch(outcome.tensors, about, outcome.fitted)


def _band_name(model: "PreTrainedModel", band: int | str | Iterable[int]) -> str:
    """The band as a study names it."""
    depth = len(anatomy.blocks(model))
    if isinstance(band, str):
        if not is_whole(band):
            raise ValueError(f"a band is a block such as 3, blocks such as [2, 3], 'all' or 'full', not {band!r}")
        return band
    blocks = sorted({int(block) for block in ([band] if isinstance(band, int) else band)})
    if not blocks or not 0 <= blocks[0] <= blocks[-1] < depth:
        raise ValueError(f"band {blocks} is outside a model of {depth} blocks (0 to {depth - 1})")
    return blocks_name(blocks)


def measure(
    model: "PreTrainedModel",
    tokenizer: Words,
    facts: Facts,
    patch: Patch | None = None,
    *,
    draws: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    """What the patched model knows in every language, beside the model as it is: the measures of docs/tables.md.

    One row per language, or group of languages, and metric, with its 95 % interval over facts. K is the knowledge left
    of what is to be forgotten: 1 as before, 0 as guessing. Without a patch, of the model as it is. The patch of a run
    that diverged has no scores: it has neither forgotten nor kept anything.
    """
    return before_and_after(model, tokenizer, facts, patch, draws=draws, seed=seed)[1]


def before_and_after(
    model: "PreTrainedModel",
    tokenizer: Words,
    facts: Facts,
    patch: Patch | None,
    *,
    draws: int = 400,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What `measure` says of the model as it is, and of the patched one: the same facts in the same resamples."""
    about = facts.corpus.about
    with _at_rest(model):
        evaluator = Evaluator(model, Encoder(tokenizer), facts.corpus, facts.languages, [about["headline_form"]])
        before = after = evaluator.evaluate()
        if patch is not None:
            with _edited(model, patch) as subject:
                evaluator.texts.restart()
                after = evaluator.evaluate(subject)
    panel = Panel(
        items(before[0]),
        facts.corpus.facts,
        facts.corpus.roles(_FORGET_SET),
        source=facts.sources,
        heldout=[code for code in facts.languages if code not in facts.sources],
        headline_form=about["headline_form"],
        draws=draws,
        seed=seed,
    )

    def scored(found: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
        board, texts = Board(panel), facts.corpus.texts
        return score_cell(board, items(found[0]), None, answers=found[1], base_answers=before[1], texts=texts)

    own = scored(before)
    if patch is None:
        return own, own
    diverged = patch.about.get("status") == "diverged"
    return own, blanked(scored(after)) if diverged else scored(after)


@contextmanager
def patched(model: "PreTrainedModel", patch: Patch) -> Generator["PreTrainedModel"]:
    """The model with the patch in place, or its guard around it; afterwards it is bit for bit what it was.

    Raises ValueError for a patch of another model: other names or shapes, or other values where it was taken.
    """
    with _edited(model, patch) as subject, subject.installed(plain=True):
        yield model


def guarded(model: "PreTrainedModel", tokenizer: Words, guard: Patch | Path | str) -> Guarded:
    """The model behind a guard: it generates and scores texts as a model does, and the model itself stays as it is.

    guard: the patch of a guard, or of a guard on an edit, or the folder in which it was saved. Raises ValueError for a
    patch of weights alone (see `patched`), and for a guard on an edit of another model.
    """
    patch = guard if isinstance(guard, Patch) else load_patch(guard)
    edit, treatments = _parts(patch)
    if not treatments:
        raise ValueError(f"{patch.about.get('algorithm')} is no guard but an edit: use mute.patched")
    _check_base(model, patch, edit)
    return Guarded(model, tokenizer, treatments, edit)


@contextmanager
def _edited(model: "PreTrainedModel", patch: Patch) -> Generator[Subject]:
    """What a patch makes of a model, to be asked: weights are in place, a guard stands ready."""
    edit, treatments = _parts(patch)
    _check_base(model, patch, edit)
    with patches.applied(model, edit):
        yield Subject(model, treatments)


def _check_base(model: "PreTrainedModel", patch: Patch, edit: dict[str, torch.Tensor]) -> None:
    """Raise ValueError unless the weights of a patch are of this model."""
    parameters = dict(model.named_parameters())
    for name in sorted(edit):
        shapes = [list(t.shape) for t in (edit[name], parameters.get(name)) if t is not None]
        if len(shapes) < 2:
            raise ValueError(f"the patch is of another model: this one has no {name}")
        if shapes[0] != shapes[1]:
            raise ValueError(f"the patch is of another model: {name} is {shapes[0]} there and {shapes[1]} here")
    made = patch.about.get("base")
    if made and made != _base(model, edit):
        own = f"a {made['type']} model in {made['dtype']}"
        raise ValueError(f"the patch is of another model: it was made from {own}, whose weights this one has not")


def _method(patch: Patch) -> unlearn.Method | None:
    """The method that made a patch, if it is known here."""
    name = patch.about.get("method", patch.about.get("algorithm"))
    return unlearn.make(name, patch.about.get("settings", {})) if name in unlearn.names() else None


def _parts(patch: Patch) -> tuple[dict[str, torch.Tensor], list[Treatment]]:
    """Weights of a patch, and what of it stands before the model: the one, the other, or both."""
    made = _method(patch)
    if isinstance(made, unlearn.Guard):
        return {}, [made.treatment(patch.tensors)]
    chained = made.guard if made and patch.fitted else None
    return patch.tensors, [chained.treatment(patch.fitted)] if chained else []


def save_patch(patch: Patch, folder: Path | str) -> None:
    """Write a patch to a new folder: its tensors, and a record with their digest. Raises ValueError if in use."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is there and not empty: give a new folder, or delete it first")
    patches.save(folder, patch.tensors, patches.FITTED if isinstance(_method(patch), unlearn.Guard) else patches.PATCH)
    if patch.fitted:
        patches.save(folder, patch.fitted, patches.FITTED)
    artifacts.seal(folder, {"producer": "mute.save_patch", "about": patch.about})


def load_patch(folder: Path | str) -> Patch:
    """A patch that `save_patch` wrote, or a study's cell. Raises ValueError for one that is missing or was altered."""
    folder = Path(folder)
    name = next((name for name in (patches.PATCH, patches.FITTED) if (folder / name).is_file()), None)
    if name is None:
        raise ValueError(f"there is no patch in {folder}: {patches.PATCH} is missing")
    record = artifacts.sealed(folder)
    if record is None:
        raise ValueError(f"the patch in {folder} is incomplete or was altered since it was written: make it again")
    plan = record.get("plan", {})
    own = {key: plan[key] for key in ("method", "settings") if key in plan}
    about = record.get("about") or {**plan.get("cell", {}), **own, **record.get("outcome", {})}
    chained = name == patches.PATCH and (folder / patches.FITTED).is_file()
    return Patch(patches.load(folder, name), about, patches.load(folder, patches.FITTED) if chained else {})


def export_model(base: Path | str, patch: Patch, folder: Path | str) -> None:
    """Write the model in the folder `base`, with the patch, as an ordinary model directory to a new folder.

    With a guard it is a folder for `open_guarded`, and no model directory (docs/export.md).
    Needs the memory of one file of weights at most. Raises ValueError for a patch that does not fit the model.
    """
    if not Path(base).is_dir():
        raise ValueError(f"{base} is no folder: save the model there first (model.save_pretrained)")
    made = _method(patch)
    if made is not None and made.guard is not None:
        alone = isinstance(made, unlearn.Guard)
        edit, fitted = ({}, patch.tensors) if alone else (patch.tensors, patch.fitted)
        carried.export_guarded(base, edit, made.guard, fitted, folder, {"about": patch.about})
        return
    export.export(base, patch.tensors, folder, {"about": patch.about})


def _base(model: "PreTrainedModel", tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    """The type of a model, and a digest of the weights that a patch takes the place of."""
    parameters, digest = dict(model.named_parameters()), hashlib.sha256()
    for name in sorted(tensors):
        held = parameters[name].detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name}\0".encode() + held.numpy().tobytes())
    dtype = str(model.dtype).removeprefix("torch.")
    return {"type": model.config.model_type, "dtype": dtype, "replaced": digest.hexdigest()}


@contextmanager
def _at_rest(model: "PreTrainedModel") -> Generator[None]:
    """The model in evaluation mode and without gradients, as the engine wants it; afterwards as it was."""
    anatomy.anatomy(model)
    training = [(module, module.training) for module in model.modules()]
    asked = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval().requires_grad_(False)
    try:
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, flag in asked:
            parameter.requires_grad_(flag)
