"""The work of `mute forget`: facts of a file are unlearned in some languages, and measured in all of them.

Every step leaves a whole file in the folder that is written, so that the same command goes on after the last of them.
"""

import re
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from mute import api, unlearn
from mute.api import fact_file, page
from mute.api.outcome import Outcome
from mute.config.problems import validated
from mute.jobs import progress
from mute.models import directory
from mute.names import at_home
from mute.store import artifacts
from mute.store.records import Record, placeless

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from mute.models.tokenizer import Words

PLAN, LAYERS, PATCH, MODEL, PAGE = "plan.json", "layers.csv", "patch", "model", "page.html"
BEFORE, AFTER = "measures-before.csv", "measures.csv"
_EMPTY = {
    "lrds_not_positive": "no block is more alike across languages than chance lets it look",
    "share_not_reached": "where states of the languages are alike enough there are too few blocks",
    "empty": "no block passes both of its thresholds",
}


@dataclass(frozen=True)
class Asked:
    """What is asked for: the model, the file of facts, what unlearning reads, and where everything is written.

    domain: which is to be forgotten, '' where none was named. band: auto, all, full, or blocks such as 3, 3-5 or 3,5.
    settings: of the algorithm, over its own and over what suits the model. export: whether the whole model is written.
    """

    model: str
    facts: Path
    sources: list[str]
    domain: str = ""
    band: str = "auto"
    algorithm: str = "rmu"
    settings: Record | None = None
    out: Path = Path("forgotten")
    export: bool = False
    seed: int = 0
    device: str = "auto"


def forget(asked: Asked, say: Callable[[str], None] = lambda line: None) -> str:
    """Do all of it, and return the short table of what is left; the folder `asked.out` holds the rest.

    What is wrong with the file, the names and the settings is told by ValueError before any work starts.
    """
    started = time.monotonic()
    facts = fact_file.chosen(fact_file.read(asked.facts), asked.facts, asked.domain, asked.sources, asked.seed)
    method = unlearn.load(asked.algorithm)
    blocks = parsed_band(asked.band)
    _check_settings(method, asked.settings or {})
    _check_out(asked.out)
    say(f"{_counted(facts, asked.domain)}; opening {asked.model}")
    folder = api.model_folder(asked.model, report=_unpacked(say))
    about = directory.read_config(folder)
    depth = directory.blocks(about, str(folder))
    if isinstance(blocks, list) and blocks[-1] >= depth:
        raise ValueError(f"--band {asked.band} is outside a model of {depth} blocks (0 to {depth - 1})")
    settings = suited(method, str(about.get("model_type")), asked.settings or {})
    _begin(asked, folder, settings)
    model, words = api.open_model(folder, device=asked.device)
    with _told(say):
        scores, band, why = _band(asked, model, words, facts, blocks, depth, say)
        patch = _patch(asked, model, words, facts, band, settings, say)
        before, after = _measures(asked, model, words, facts, patch, say)
    if asked.export and not (asked.out / MODEL).exists():
        say("writing the whole model")
        api.export_model(folder, patch, asked.out / MODEL)
    outcome = Outcome(
        model=placeless({"model": asked.model})["model"],
        domain=asked.domain,
        facts=facts,
        patch=patch,
        band=band,
        why=why,
        layers=scores,
        before=before,
        after=after,
        packed=folder.parent == api.opened_cache(),
        exported=asked.export,
    )
    artifacts.write_text(asked.out / PAGE, page.document(outcome))
    say(f"done in {progress.lasting(time.monotonic() - started).removeprefix('about ')}")
    return outcome.terminal(asked.out)


def parsed_band(text: str) -> list[int] | Literal["auto", "all", "full"]:
    """Blocks as one writes them: 3, 3-5, 3,5; or auto, all, full. Raises ValueError for anything else."""
    word = text.strip().lower()
    if word in ("auto", "all", "full"):
        return word  # type: ignore[return-value]
    found: set[int] = set()
    for part in word.split(","):
        ends = re.fullmatch(r"\s*(\d{1,4})\s*(?:-\s*(\d{1,4})\s*)?", part)
        if ends is None or (ends[2] is not None and int(ends[2]) < int(ends[1])):
            raise ValueError(f"--band {text!r}: give auto, all, full, a block such as 3, or blocks such as 3-5 or 3,5")
        found.update(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return sorted(found)


@contextmanager
def _told(say: Callable[[str], None]) -> Generator[None]:
    """Say now and then how far the work inside is, and how long it still takes."""
    spoke = time.monotonic()

    def tell(line: str) -> None:
        nonlocal spoke
        spoke = time.monotonic()
        say(f"  {line}")

    progress.listen(tell, lambda: spoke)
    try:
        yield
    finally:
        progress.listen(None)


def _unpacked(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Says how far a GGUF file is that is de-quantised."""
    spoke = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal spoke
        if time.monotonic() - spoke >= progress.EVERY:
            spoke = time.monotonic()
            say(f"  de-quantised {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return report


def _counted(facts: api.Facts, domain: str) -> str:
    own = (facts.corpus.facts["domain"] == domain).sum()
    languages = ", ".join(facts.languages)
    return f"{own} facts of {domain} to forget, {len(facts.corpus.facts) - own} to keep, in {languages}"


def suited(method: type[unlearn.Method], family: str, given: Record) -> Record:
    """Settings for a family of models: what suits it, where the method's own do not, under those given."""
    return {**method.suits(family), **given}


def _check_settings(method: type[unlearn.Method], given: Record) -> None:
    if problems := validated(method.Settings, given).problems:
        raise ValueError(f"settings of {method.name}: " + "; ".join(map(str, problems)))


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file: give a new folder")
    if out.is_dir() and any(out.iterdir()) and not (out / PLAN).is_file():
        raise ValueError(f"--out {out} is there and not empty: give a new folder")


def _begin(asked: Asked, folder: Path, settings: Record) -> None:
    """Say in the folder what is done there. Raises ValueError where something else was."""
    weights = {path.name: path.stat().st_size for path in directory.files(folder)}
    plan = {
        "model": {"config": artifacts.sha256(folder / directory.CONFIG), "files": weights},
        "facts": artifacts.sha256(at_home(asked.facts)),
        "sources": asked.sources,
        "forget": asked.domain,
        "band": asked.band,
        "algorithm": asked.algorithm,
        "settings": settings,
        "seed": asked.seed,
    }
    known = asked.out / PLAN
    if known.is_file():
        try:
            before = artifacts.read_json(known)
        except ValueError:
            before = {}
        if other := sorted(key for key in plan if before.get(key) != plan[key]):
            raise ValueError(
                f"{asked.out} holds another call's results (other {', '.join(other)}): give a new folder by --out, or "
                "delete it first"
            )
    asked.out.mkdir(parents=True, exist_ok=True)
    artifacts.write_json(known, plan)


def _band(
    asked: Asked,
    model: "PreTrainedModel",
    words: "Words",
    facts: api.Facts,
    blocks: list[int] | Literal["auto", "all", "full"],
    depth: int,
    say: Callable[[str], None],
) -> tuple[pd.DataFrame | None, list[int] | Literal["all", "full"], str]:
    """The layer scores, the band, and in words why it is that one."""
    if blocks != "auto":
        return None, blocks, "It was given."
    path = asked.out / LAYERS
    if not path.is_file():
        say("scoring layers: where states of the languages are alike")
        artifacts.write_table(path, api.score_layers(model, words, facts, seed=asked.seed))
    scores = artifacts.read_table(path)
    try:
        (block,) = api.choose_band(scores)
    except ValueError as error:
        reason = next((told for name, told in _EMPTY.items() if name in str(error)), str(error))
        middle = (depth - 1) // 2
        why = (
            f"The study's rule finds no language-agnostic region in this model on these facts: {reason}. So it is the "
            f"middle one of {depth}, which no measurement chose; try others by --band."
        )
        say(f"no region was found ({reason}): block {middle}, the middle one, is taken")
        return scores, [middle], why
    say(f"block {block} is taken: the first peak of CKA in the region where languages are alike")
    why = (
        "The study's rule chose it: the first peak of CKA (how alike states of the languages are) in the region where "
        "LRDS (how far states tell the language) is low. Whether it is a good choice, only a sweep over blocks can say."
    )
    return scores, [block], why


def _patch(
    asked: Asked,
    model: "PreTrainedModel",
    words: "Words",
    facts: api.Facts,
    band: list[int] | Literal["all", "full"],
    settings: Record,
    say: Callable[[str], None],
) -> api.Patch:
    folder = asked.out / PATCH
    if not artifacts.sealed(folder):
        shutil.rmtree(folder, ignore_errors=True)
        say(f"unlearning in {', '.join(facts.sources)} by {asked.algorithm}")
        made = api.forget(model, words, facts, band=band, algorithm=asked.algorithm, seed=asked.seed, **settings)
        api.save_patch(made, folder)
    return api.load_patch(folder)


def _measures(
    asked: Asked,
    model: "PreTrainedModel",
    words: "Words",
    facts: api.Facts,
    patch: api.Patch,
    say: Callable[[str], None],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    paths = asked.out / BEFORE, asked.out / AFTER
    if not all(path.is_file() for path in paths):
        say(f"measuring in {', '.join(facts.languages)}, before and after")
        found = api.before_and_after(model, words, facts, patch, seed=asked.seed)
        for path, table in zip(paths, found):
            artifacts.write_table(path, table)
    before, after = map(artifacts.read_table, paths)
    return before, after
