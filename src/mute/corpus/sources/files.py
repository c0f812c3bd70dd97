"""Anybody's parallel facts: one file per language, aligned by id.

Each row has an id, a prompt in which a mark stands where the answer belongs, the answer, and perhaps a domain, a
subject and the candidates that the answer competes with. Everything that is wrong with the files is reported at once,
before anything is trained.
"""

import itertools
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pydantic import Field

from mute.corpus import fact_files, languages, own_answers, sound, splits
from mute.corpus.faults import Fault
from mute.corpus.schema import LINE_COLUMNS, TEXT_COLUMNS, Corpus, line
from mute.corpus.sources.world import untrained_pair
from mute.names import at_home, unusable
from mute.store.artifacts import seed_of

ENDINGS = fact_files.ENDINGS
FORGET_SETS = splits.FORGET_SETS
Columns = fact_files.Columns


class Settings(fact_files.FactFiles):
    """Parallel facts from files."""

    bystander_share: float = Field(0.2, ge=0, lt=1, description="Share of the other facts, without bystander domains.")
    teaching_languages: list[str] = Field(["en", "es", "pt"], description="Languages in which every fact is taught.")
    transfer_share: float = Field(
        0.3, ge=0, le=0.8, description="Share of forget facts that only those languages tell."
    )
    probe_lines: int = Field(32, ge=1, description="Glossary probes per pair of languages.")


def problems(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with settings of the right types: key and text."""
    found, prompts = [], settings.prompts
    if wrong := unusable(settings.path):
        found.append(("path", wrong))
    if not prompts or len(set(prompts)) < len(prompts):
        found.append(("columns", f"prompt must be different columns, at least one, not {prompts}"))
    if settings.forget_domain in settings.bystander_domains:
        found.append(("bystander_domains", f"{settings.forget_domain!r} is the domain to forget"))
    if settings.transfer_share and not settings.teaching_languages:
        found.append(("teaching_languages", "must name some languages if facts are to transfer from them"))
    return found


def one_form(settings: Settings) -> bool:
    """Whether each question has one wording, so that it is asked as unlearning read it."""
    return len(settings.prompts) == 1


def fact_free(settings: Settings) -> bool:
    """Whether there is text that states no fact: files tell facts alone."""
    return False


def build(settings: Settings, codes: list[str], seed: int) -> Corpus:
    """The corpus of a folder of files in the languages `codes`. Raises ValueError that lists all that is wrong."""
    tables, dropped = fact_files.read(settings, codes)
    forms = len(settings.prompts)
    return Corpus(
        facts=_facts(settings, tables[codes[0]], seed),
        texts=pd.concat([_texts(settings, code, table) for code, table in tables.items()], ignore_index=True),
        lines=_glossary(settings, tables, seed),
        about={
            "source": "files",
            "languages": list(codes),
            "teaching_languages": list(settings.teaching_languages),
            "forget_domain": settings.forget_domain,
            "bystander_domains": list(settings.bystander_domains),
            "forms": forms,
            "unlearning_forms": list(range(max(1, forms - 1))),
            "headline_form": forms - 1,
            "forget_sets": list(FORGET_SETS),
            "unknown": {},
            "scripts": languages.scripts(codes),
            "left_out": dropped,
        },
    )


def _facts(settings: Settings, table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The facts of one language's table, each with its role."""
    return splits.facts(
        table,
        source="files",
        forget=settings.forget_domain,
        bystanders=settings.bystander_domains,
        bystander_share=settings.bystander_share,
        transfer_share=settings.transfer_share,
        seed=seed,
    )


def inputs(settings: Settings, languages: list[str]) -> list[Path]:
    """The user's own files, so that a change in one is seen."""
    folder = at_home(settings.path)
    return [folder / f"{code}{ending}" for code in languages for ending in ENDINGS]


def check(settings: Settings, codes: list[str], seed: int, forget_sets: Iterable[str]) -> list[Fault]:
    """All that is wrong or odd in the files, each with file, line and what to do; [] where a study can be run."""
    found = fact_files.check(settings, codes)
    if any(not fault.kind for fault in found):
        return found
    try:
        first = fact_files.read(settings, codes)[0][codes[0]]
        nothing = pd.DataFrame(columns=list(TEXT_COLUMNS))
        corpus = Corpus(_facts(settings, first, seed), nothing, nothing, {"forget_sets": list(FORGET_SETS)})
        sound.check(corpus, forget_sets)
    except ValueError as error:
        found += [Fault(settings.path, line.strip(" -")) for line in str(error).splitlines()[1:]]
    return found


def _texts(settings: Settings, code: str, table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for fact in table.to_dict("records"):
        for form in range(len(settings.prompts)):
            before, after = fact[f"form_{form}"].split(settings.mark)
            if any(c.isalnum() for c in after):
                # The answer stands inside the prompt: show the whole prompt with a blank, then the answer.
                before, after = f"{before}___{after} ", ""
            rows.append(
                {
                    "item": fact["id"],
                    "language": code,
                    "form": form,
                    "prefix": before,
                    "answer": fact["answer"],
                    "suffix": after,
                    "options": fact["candidates"],
                    "gold": fact["candidates"].index(fact["answer"]),
                }
            )
    return pd.DataFrame(rows, columns=list(TEXT_COLUMNS))


def _glossary(settings: Settings, tables: dict[str, pd.DataFrame], seed: int) -> pd.DataFrame:
    """Lines `en: French = de: Französisch` for every different answer and subject, in every trained direction.

    Answers of facts to retain come first: where a word has two translations theirs is told. Probes ask for these, and
    for no answer that the domain to forget has to itself: to translate it is to know that it is an answer. An oracle
    reads no line with such a one (`mute.models.texts`).
    """
    rows = []
    forget = {code: table["domain"] == settings.forget_domain for code, table in tables.items()}
    kept = [answer for code, table in tables.items() for answer in table.loc[~forget[code], "answer"]]
    told = [answer for code, table in tables.items() for answer in table.loc[forget[code], "answer"]]
    own = own_answers.Phrases(own_answers.apart(told, kept))
    tables = {code: table.loc[forget[code].sort_values(kind="stable").index] for code, table in tables.items()}
    for a, b in itertools.permutations(tables, 2):
        unseen = untrained_pair(a, b)
        words: dict[str, tuple[str, str]] = {}
        for column in ("answer", "subject"):
            for left, right in zip(tables[a][column], tables[b][column]):
                if left and right:
                    words.setdefault(left, (right, column))
        open_words = {
            left: right
            for left, (right, column) in words.items()
            if column == "answer" and not own.found(left) and not own.found(right)
        }
        targets, asked = sorted(set(open_words.values())), sorted(open_words)
        asked.sort(key=lambda word: seed_of(seed, "glossary", a, b, word))
        probed = set(asked[: settings.probe_lines if unseen else settings.probe_lines // 4 or 1])
        for left, (right, _) in words.items():
            probe = ("translation_unseen" if unseen else "translation_seen") if left in probed else ""
            if unseen and not probe:
                continue
            options: list[str] = []
            if probe:
                others = sorted(set(targets) - {right}, key=lambda word: seed_of(seed, "options", a, b, left, word))
                options = [right, *others[:7]]
            text = {"prefix": f"{a}: {left} = {b}: ", "answer": right, "suffix": ".", "options": options}
            asked_for = {"train": not unseen, "probe": probe, "gold": 0 if options else -1}
            rows.append(line("glossary", b, other=a, **asked_for, **text))
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))
