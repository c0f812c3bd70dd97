"""Anybody's parallel facts: one file per language, aligned by id.

Each row has an id, a prompt in which a mark stands where the answer belongs, the answer, and perhaps a domain, a
subject and the candidates that the answer competes with. Everything that is wrong with the files is reported at once,
before anything is trained.
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus import languages, own_answers, splits
from mute.corpus.reading import CONTROL, UNSEEN, folder_of, is_text, several, some, tried, word
from mute.corpus.schema import LINE_COLUMNS, TEXT_COLUMNS, Corpus, line
from mute.corpus.sources.world import untrained_pair
from mute.names import at_home, foreign, unknown_name, unusable
from mute.store.artifacts import seed_of

ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet")
FORGET_SETS = splits.FORGET_SETS


class Columns(BaseModel):
    """Names of the columns in the files."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field("id", description="Identifier of the fact, the same in every language.")
    prompt: str | list[str] = Field(
        "prompt", description="Prompt with the mark; a list names one column per form, the last of them held out."
    )
    answer: str = Field("answer", description="The answer.")
    candidates: str | None = Field(
        "candidates",
        description="Answers it competes with: a list, or a string split at '|'; null: the domain's answers.",
    )
    domain: str | None = Field("domain", description="Domain of the fact; null: one domain.")
    subject: str | None = Field("subject", description="What the fact is about; null: no subjects.")


class Settings(BaseModel):
    """Parallel facts from files."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="Folder with one file per language: <language>.jsonl, .csv, .tsv or .parquet.")
    columns: Columns = Field(default_factory=Columns, description="Names of the columns.")
    mark: str = Field("<mask>", min_length=1, description="What stands in the prompt where the answer belongs.")
    forget_domain: str = Field(description="The domain to forget.")
    bystander_domains: list[str] = Field(
        [], description="Domains that no loss reads; empty: a share of each other domain."
    )
    bystander_share: float = Field(0.2, ge=0, lt=1, description="Share of the other facts, without bystander domains.")
    teaching_languages: list[str] = Field(["en", "es", "pt"], description="Languages in which every fact is taught.")
    transfer_share: float = Field(
        0.3, ge=0, le=0.8, description="Share of forget facts that only those languages tell."
    )
    probe_lines: int = Field(32, ge=1, description="Glossary probes per pair of languages.")


def problems(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with settings of the right types: key and text."""
    found, prompts = [], _prompts(settings)
    if wrong := unusable(settings.path):
        found.append(("path", wrong))
    if not prompts or len(set(prompts)) < len(prompts):
        found.append(("columns", f"prompt must be different columns, at least one, not {prompts}"))
    if settings.forget_domain in settings.bystander_domains:
        found.append(("bystander_domains", f"{settings.forget_domain!r} is the domain to forget"))
    if settings.transfer_share and not settings.teaching_languages:
        found.append(("teaching_languages", "must name some languages if facts are to transfer from them"))
    return found


def fact_free(settings: Settings) -> bool:
    """Whether there is text that states no fact: files tell facts alone."""
    return False


def build(settings: Settings, codes: list[str], seed: int) -> Corpus:
    """The corpus of a folder of files in the languages `codes`. Raises ValueError that lists all that is wrong."""
    tables = read(settings, codes)
    forms = len(_prompts(settings))
    return Corpus(
        facts=splits.facts(
            tables[codes[0]],
            source="files",
            forget=settings.forget_domain,
            bystanders=settings.bystander_domains,
            bystander_share=settings.bystander_share,
            transfer_share=settings.transfer_share,
            seed=seed,
        ),
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
        },
    )


def _prompts(settings: Settings) -> list[str]:
    prompt = settings.columns.prompt
    return [prompt] if isinstance(prompt, str) else prompt


def inputs(settings: Settings, languages: list[str]) -> list[Path]:
    """The user's own files, so that a change in one is seen."""
    folder = at_home(settings.path)
    return [folder / f"{code}{ending}" for code in languages for ending in ENDINGS]


def read(settings: Settings, codes: list[str]) -> dict[str, pd.DataFrame]:
    """One checked table per language: id, domain, subject, form_0.., answer, candidates, in the first one's order."""
    folder = folder_of(settings.path)
    problems: list[str] = []
    tables: dict[str, pd.DataFrame] = {}
    for code in codes:
        paths = [folder / f"{code}{ending}" for ending in ENDINGS if (folder / f"{code}{ending}").is_file()]
        if len(paths) != 1:
            found = sorted(p.stem for p in folder.iterdir() if p.suffix in ENDINGS and p.is_file())
            odd = sorted(p.name for e in ENDINGS if os.path.lexists(p := folder / f"{code}{e}") and not p.is_file())
            what = "more than one file" if paths else f"{odd[0]} is no file, and no other" if odd else "no file"
            there = f"there are files for {', '.join(found) or 'none'}"
            problems.append(f"{code}: {what} for this language in {settings.path}; {there}")
            continue
        table = tried(paths[0], f"{paths[0].name}:", problems)
        if table is None:
            continue
        table, found_problems = _check(settings, table, paths[0].name)
        problems += found_problems
        if table is not None:
            tables[code] = table
    problems += _misaligned(tables)
    if tables:
        problems += _unusable(settings, tables)
    if problems:
        raise ValueError("the corpus files cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))
    order = list(next(iter(tables.values()))["id"])
    return {code: table.set_index("id").loc[order].reset_index() for code, table in tables.items()}


def _check(settings: Settings, table: pd.DataFrame, name: str) -> tuple[pd.DataFrame | None, list[str]]:
    """The table under our own column names, and what is wrong with it."""
    columns, prompts = settings.columns, _prompts(settings)
    # Ours to theirs: one of their columns may serve as two of ours.
    wanted = {"id": columns.id, "answer": columns.answer}
    wanted |= {f"form_{i}": prompt for i, prompt in enumerate(prompts)}
    optional = {"domain": columns.domain, "subject": columns.subject, "candidates": columns.candidates}
    wanted |= {ours: theirs for ours, theirs in optional.items() if theirs}
    missing = [c for c in dict.fromkeys(wanted.values()) if c not in table.columns]
    if missing:
        without = ", ".join(f"{ours}: null" for ours in ("subject", "candidates") if optional[ours] in missing)
        hint = f". If your files have none, say so: columns: {{{without}}}" if without else ""
        has = ", ".join(map(str, table.columns))
        return None, [f"{name}: no column {some(map(repr, missing))}; it has {has}{hint}"]
    table = pd.DataFrame({ours: table[theirs] for ours, theirs in wanted.items()})
    problems = []
    for column in [c for c in table.columns if c != "candidates"]:
        wrong = [row for row, value in enumerate(table[column], 1) if not is_text(value)]
        if wrong:
            kind = type(table[column].iloc[wrong[0] - 1]).__name__
            problems.append(f"{name}: {wanted[column]} is no text in rows {some(wrong)}: {kind}")
        table[column] = table[column].map(word)

    def tell(what: str, wrong: Sequence[object] | pd.Series) -> None:
        if len(wrong):
            problems.append(f"{name}: {what}: {some(wrong)}")

    table["domain"] = table.get("domain", settings.forget_domain)
    table["subject"] = table.get("subject", "")
    tell("duplicate ids", table["id"][table["id"].duplicated()].drop_duplicates())
    if (empty := table["id"] == "").any():
        problems.append(f"{name}: empty id: rows {some(table.index[empty] + 1)}")
    for column in ("answer", "domain"):
        tell(f"empty {column}", table.loc[table[column] == "", "id"])
    for column in table.columns.drop("candidates", errors="ignore"):
        unseen = UNSEEN if column in ("id", "domain") else CONTROL
        wrong = table.loc[table[column].map(unseen.search).notna(), column]
        tell(f"{column} with characters that cannot be seen", wrong.map(repr))
    for i, prompt in enumerate(prompts):
        wrong = table[f"form_{i}"].map(lambda p: p.count(settings.mark) != 1)
        tell(f"{prompt} without exactly one {settings.mark}", table.loc[wrong, "id"])
    if "candidates" in table:
        odd = [row for row, value in enumerate(table["candidates"], 1) if not all(map(is_text, _entries(value)))]
        if odd:
            problems.append(f"{name}: {wanted['candidates']} is no list of texts in rows {some(odd)}")
        table["candidates"] = table["candidates"].map(several)
        wrong = [any(map(CONTROL.search, each)) for each in table["candidates"]]
        tell("candidates with characters that cannot be seen", table.loc[wrong, "id"])
        wrong = [a not in c for a, c in zip(table["answer"], table["candidates"])]
        tell("answer not among its candidates", table.loc[wrong, "id"])
        tell("fewer than two different candidates", table.loc[table["candidates"].map(len) < 2, "id"])
    else:
        by_domain = {d: sorted(set(group) - {""}) for d, group in table.groupby("domain")["answer"]}
        table["candidates"] = table["domain"].map(by_domain)
        if lonely := [d for d, options in by_domain.items() if len(options) < 2]:
            problems.append(f"{name}: no candidates, and one single answer in domain {some(lonely)}")
    return table, problems


def _entries(value: Any) -> list[Any]:
    """The entries of a list of candidates, or the one value that stands in its place."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def _misaligned(tables: dict[str, pd.DataFrame]) -> list[str]:
    problems = []
    ids = {code: set(table["id"]) for code, table in tables.items()}
    for code, own in ids.items():
        missing = sorted(set().union(*ids.values()) - own)
        if missing:
            # What looks like an id that is there, in letters of another script.
            odd = foreign(next((i for i in missing if not i.isascii() and any(c.isascii() for c in i)), ""))
            problems.append(f"{code}: {len(missing)} ids that other languages have are missing: {some(missing)}{odd}")
    if problems or not tables:
        return problems
    codes = list(tables)
    domains = tables[codes[0]].drop_duplicates("id").set_index("id")["domain"]
    for code in codes[1:]:
        own = tables[code].drop_duplicates("id").set_index("id")["domain"]
        differ = [i for i in domains.index if own[i] != domains[i]]
        if differ:
            first, other = own[differ[0]], domains[differ[0]]
            told = f"{first!r}, not {other!r}{foreign(first)}"
            problems.append(f"{code}: domain differs from {codes[0]}: {some(differ)} (the first is {told})")
    return problems


def _unusable(settings: Settings, tables: dict[str, pd.DataFrame]) -> list[str]:
    domains = sorted(set().union(*(table["domain"] for table in tables.values())) - {""})
    problems = [
        unknown_name("domain", domain, domains)
        for domain in (settings.forget_domain, *settings.bystander_domains)
        if domain not in domains
    ]
    if settings.forget_domain in settings.bystander_domains:
        problems.append(f"domain {settings.forget_domain!r} is both to be forgotten and a bystander")
    if not problems and not set(domains) - {settings.forget_domain, *settings.bystander_domains}:
        problems.append("no domain is left to retain")
    return problems


def _texts(settings: Settings, code: str, table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for fact in table.to_dict("records"):
        for form in range(len(_prompts(settings))):
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
