"""Users' files of parallel facts: how they are laid out, what they hold, and whether they fit together."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus import faults, mixed_up
from mute.corpus.faults import Accepted, Fault
from mute.corpus.reading import CONTROL, UNSEEN, fewer, folder_of, is_text, several, some, tried, word
from mute.names import foreign, unknown_name

ENDINGS = (".jsonl", ".csv", ".tsv", ".parquet")
# What can be left out where `unusable` is `drop` is told once, under the list.
_DROP = "Mend it, or set unusable: drop to leave it out in every language"


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


class FactFiles(BaseModel):
    """Which files are read, and how."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="Folder with one file per language: <language>.jsonl, .csv, .tsv or .parquet.")
    columns: Columns = Field(default_factory=Columns, description="Names of the columns.")
    mark: str = Field("<mask>", min_length=1, description="What stands in the prompt where the answer belongs.")
    forget_domain: str = Field(description="The domain to forget.")
    bystander_domains: list[str] = Field(
        [], description="Domains that no loss reads; empty: a share of each other domain."
    )
    unusable: Literal["stop", "drop"] = Field(
        "stop",
        description="What becomes of facts that a language lacks or has twice, with an empty answer, no mark, or an "
        "answer that is none of its candidates: the study stops, or they are left out in every language.",
    )
    limit: int | None = Field(
        None, ge=4, description="Most facts of a domain, the first ones of the first language; null: all of them."
    )
    options: int | None = Field(
        None, ge=2, description="Most candidates of a fact, the answer and others drawn by its id; null: all of them."
    )
    accept: list[Accepted] = Field(
        [],
        description="What `check-data` and `plan` shall not call a problem, because you mean it: byte_order_mark, "
        "direction_marks, nfd (letters and accents apart), repeats (a question that is asked twice), languages (texts "
        "that look like another language than their file's).",
    )

    @property
    def prompts(self) -> list[str]:
        """The columns of prompts, one a form."""
        prompt = self.columns.prompt
        return [prompt] if isinstance(prompt, str) else prompt


@dataclass
class _File:
    """One language's file: its table, whose index are the file's lines, and the faults of it."""

    name: str
    unit: str = "line"
    table: pd.DataFrame | None = None
    found: list[Fault] = field(default_factory=list)

    def tell(self, what: str, rows: pd.Series, shown: pd.Series | None = None, todo: str = _DROP) -> None:
        """Rows that are wrong; the ids of those that have one can be left out."""
        if self.table is not None and rows.any():
            ids = self.table.loc[rows, "id"]
            listed = some((ids if shown is None else shown[rows]).drop_duplicates())
            lines = tuple(map(int, self.table.index[rows]))
            items = tuple(ids) if (ids != "").all() else ()
            self.found.append(Fault(self.name, f"{what}: {listed}", todo, lines, self.unit, items=items))


def read(settings: FactFiles, codes: list[str]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """One table per language in the first one's order: id, domain, subject, form_0.., answer, candidates.

    And the ids that were left out. Raises ValueError that lists all that is wrong.
    """
    read_files, found = _read(settings, codes)
    files = {code: file.table for code, file in read_files.items() if file.table is not None}
    stops = [fault for fault in found if not fault.kind]
    dropped = [fault for fault in stops if fault.items and settings.unusable == "drop"]
    if stops := [fault for fault in stops if fault not in dropped]:
        raise ValueError("the corpus files cannot be used:\n" + "\n".join(f"  - {fault}" for fault in stops))
    out = {item for fault in dropped for item in fault.items}
    first = next(iter(files.values()))
    kept = first[~first["id"].isin(out)]
    if settings.limit is not None:
        kept = kept[kept.groupby("domain").cumcount() < settings.limit]
    if empty := [
        name for name in (settings.forget_domain, *settings.bystander_domains) if name not in set(kept["domain"])
    ]:
        raise ValueError(f"the corpus files cannot be used:\n  - no usable fact is left in {some(empty)}")
    order = list(kept["id"])
    tables = {code: table.set_index("id").loc[order].reset_index() for code, table in files.items()}
    if settings.options is not None:
        tables = {code: _fewer(table, settings.options) for code, table in tables.items()}
    return tables, sorted(out)


def check(settings: FactFiles, codes: list[str]) -> list[Fault]:
    """All that is wrong or odd in the files, but what the settings accept or leave out."""
    files, found = _read(settings, codes)
    found += mixed_up.faults({code: _said(settings, file) for code, file in files.items() if file.table is not None})
    dropped = settings.unusable == "drop"
    return [fault for fault in found if fault.kind not in settings.accept and not (fault.items and dropped)]


def _read(settings: FactFiles, codes: list[str]) -> tuple[dict[str, _File], list[Fault]]:
    """The files that are there, by language, and what is wrong with them."""
    folder = folder_of(settings.path)
    found: list[Fault] = []
    files: dict[str, _File] = {}
    for code in codes:
        paths = [folder / f"{code}{ending}" for ending in ENDINGS if (folder / f"{code}{ending}").is_file()]
        if len(paths) != 1:
            found.append(_no_file(settings, folder, code, bool(paths)))
            continue
        files[code] = own = _file(settings, paths[0])
        found += own.found
    own = {code: file for code, file in files.items() if file.table is not None}
    found += _misaligned(own)
    tables = {code: file.table for code, file in own.items() if file.table is not None}
    if tables:
        found += _unusable(settings, tables)
    return own, found


def _no_file(settings: FactFiles, folder: Path, code: str, several_files: bool) -> Fault:
    there = ", ".join(sorted(p.stem for p in folder.iterdir() if p.suffix in ENDINGS and p.is_file()))
    odd = sorted(p.name for e in ENDINGS if os.path.lexists(p := folder / f"{code}{e}") and not p.is_file())
    what = "more than one file" if several_files else f"{odd[0]} is no file, and no other" if odd else "no file"
    todo = (
        "Take all but one away"
        if several_files
        else f"Add {code}.jsonl (.csv, .tsv, .parquet), or take {code} out of the models' languages"
    )
    return Fault(code, f"{what} for this language in {settings.path}; there are files for {there or 'none'}", todo)


def _wanted(settings: FactFiles) -> tuple[dict[str, str], dict[str, str | None]]:
    """Columns, ours to theirs (one of theirs may serve as two of ours), and those that may be null."""
    columns = settings.columns
    wanted = {"id": columns.id, "answer": columns.answer}
    wanted |= {f"form_{i}": prompt for i, prompt in enumerate(settings.prompts)}
    optional = {"domain": columns.domain, "subject": columns.subject, "candidates": columns.candidates}
    return wanted | {ours: theirs for ours, theirs in optional.items() if theirs}, optional


def _file(settings: FactFiles, path: Path) -> _File:
    """A file's table under our own column names, and what is wrong with it."""
    file = _File(path.name)
    wanted, optional = _wanted(settings)
    if mark := faults.byte_order_mark(path):
        file.found.append(mark)
    if other := faults.separator(path, wanted.values()):
        file.found.append(other)
        return file
    problems: list[str] = []
    given = tried(path, f"{path.name}:", problems)
    if given is None:
        what = problems[0].removeprefix(f"{path.name}: ")
        todo = "Save the file as UTF-8" if "UTF-8" in what else ""
        file.found.append(Fault(path.name, what, todo))
        return file
    missing = [c for c in dict.fromkeys(wanted.values()) if c not in given.columns]
    if missing:
        without = ", ".join(f"{ours}: null" for ours in ("subject", "candidates") if optional[ours] in missing)
        todo = f"If your files have none, say so: columns: {{{without}}}; if" if without else "If"
        todo += f" they are called otherwise, say how: columns: {{{_ours(wanted, missing[0])}: NAME}}"
        has = ", ".join(map(str, given.columns))
        file.found.append(Fault(path.name, f"no column {some(map(repr, missing))}; it has {has}", todo))
        return file
    lines, file.unit = faults.row_lines(path, len(given))
    file.table = pd.DataFrame({ours: given[theirs] for ours, theirs in wanted.items()}).set_axis(lines)
    for column in file.table:
        file.found += faults.letters(path.name, wanted[column], list(file.table[column]), lines, file.unit)
    _texts(file, wanted, settings)
    _candidates(file, wanted)
    return file


def _ours(wanted: dict[str, str], theirs: str) -> str:
    ours = next(name for name, column in wanted.items() if column == theirs)
    return "prompt" if ours.startswith("form_") else ours


def _texts(file: _File, wanted: dict[str, str], settings: FactFiles) -> None:
    """Make all columns but the candidates texts, and tell what is wrong with them."""
    table = file.table
    assert table is not None
    for column in [c for c in table.columns if c != "candidates"]:
        wrong = [line for line, value in zip(table.index, table[column]) if not is_text(value)]
        if wrong:
            kind = type(table[column][wrong[0]]).__name__
            rows = [place for place, value in enumerate(table[column], 1) if not is_text(value)]
            what = f"{wanted[column]} is no text in rows {some(rows)}: {kind}"
            file.found.append(Fault(file.name, what, "Write a text there", tuple(wrong), file.unit))
        table[column] = table[column].map(word)
    table["domain"] = table.get("domain", settings.forget_domain)
    table["subject"] = table.get("subject", "")
    again = table["id"].duplicated()
    file.tell("duplicate ids", again & (table["id"] != ""), todo="Give each fact an id of its own, or take one out")
    if (empty := table["id"] == "").any():
        rows = [place for place, each in enumerate(empty, 1) if each]
        lines = tuple(map(int, table.index[empty]))
        todo = "Give it the id that it has in the other languages"
        file.found.append(Fault(file.name, f"empty id: rows {some(rows)}", todo, lines, file.unit))
    for column in ("answer", "domain"):
        file.tell(f"empty {column}", table[column] == "")
    for column in table.columns.drop("candidates", errors="ignore"):
        unseen = UNSEEN if column in ("id", "domain") else CONTROL
        wrong = table[column].map(unseen.search).notna()
        what = f"{column} with characters that cannot be seen"
        file.tell(what, wrong, table[column].map(repr), "Take them out")
    for i, prompt in enumerate(settings.prompts):
        wrong = table[f"form_{i}"].map(lambda p: p.count(settings.mark) != 1)
        todo = (
            f"Put {settings.mark} where the answer belongs, or set `mark` to what stands there; or set unusable: drop"
        )
        file.tell(f"{prompt} without exactly one {settings.mark}", wrong, todo=todo)
    asked = table["form_0"] + "\0" + table["candidates"].map(str) if "candidates" in table else table["form_0"]
    if (repeated := asked.duplicated() & ~again & (asked.str.strip("\0") != "")).any():
        first = dict(zip(asked[~asked.duplicated()], table.loc[~asked.duplicated(), "id"]))
        pairs = [f"{own} as {first[text]}" for own, text in zip(table.loc[repeated, "id"], asked[repeated])]
        todo = "Take one of them out in every language, or set accept: [repeats]"
        lines = tuple(map(int, table.index[repeated]))
        what = f"the same question under two ids: {some(pairs)}"
        file.found.append(Fault(file.name, what, todo, lines, file.unit, "repeats"))


def _candidates(file: _File, wanted: dict[str, str]) -> None:
    """Make candidates lists of texts, and tell what is wrong with them."""
    table = file.table
    assert table is not None
    if "candidates" not in table:
        by_domain = {d: sorted(set(group) - {""}) for d, group in table.groupby("domain")["answer"]}
        table["candidates"] = table["domain"].map(by_domain)
        if lonely := [d for d, options in by_domain.items() if len(options) < 2]:
            what = f"no candidates, and one single answer in domain {some(lonely)}"
            file.found.append(Fault(file.name, what, "Give its facts candidates"))
        return
    odd = [not all(map(is_text, _entries(value))) for value in table["candidates"]]
    if any(odd):
        rows = [place for place, each in enumerate(odd, 1) if each]
        what = f"{wanted['candidates']} is no list of texts in rows {some(rows)}"
        lines = tuple(line for line, each in zip(table.index, odd) if each)
        file.found.append(Fault(file.name, what, "Write a list, or texts joined by |", lines, file.unit))
    table["candidates"] = table["candidates"].map(several)
    unseen = table["candidates"].map(lambda each: any(map(CONTROL.search, each))).astype(bool)
    file.tell("candidates with characters that cannot be seen", unseen, todo="Take them out")
    among = [a in c for a, c in zip(table["answer"], table["candidates"])]
    todo = "Write it among them, letter by letter; or set unusable: drop"
    file.tell("answer not among its candidates", ~pd.Series(among, index=table.index, dtype=bool), todo=todo)
    few = table["candidates"].map(len) < 2
    file.tell("fewer than two different candidates", few, todo="Add wrong answers; or set unusable: drop")


def _entries(value: Any) -> list[Any]:
    """The entries of a list of candidates, or the one value that stands in its place."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def _misaligned(files: dict[str, _File]) -> list[Fault]:
    found = []
    tables = {code: file.table for code, file in files.items() if file.table is not None}
    ids = {code: set(table["id"]) for code, table in tables.items()}
    for code, own in ids.items():
        missing = sorted(set().union(*ids.values()) - own)
        if missing:
            # What looks like an id that is there, in letters of another script.
            odd = foreign(next((i for i in missing if not i.isascii() and any(c.isascii() for c in i)), ""))
            holder = next(other for other in ids if missing[0] in ids[other])
            place = tables[holder].index[tables[holder]["id"] == missing[0]][0]
            where = f"{files[holder].name} has {missing[0] or 'it'} in {files[holder].unit} {place}"
            what = f"{len(missing)} ids that other languages have are missing: {some(missing)}{odd}; {where}"
            todo = f"Add them to {files[code].name}, or set unusable: drop to leave them out in every language"
            found.append(Fault(code, what, todo, items=tuple(missing) if all(missing) else ()))
    codes = list(tables)
    domains = tables[codes[0]].drop_duplicates("id").set_index("id")["domain"] if codes else pd.Series(dtype=object)
    for code in codes[1:] if not found else ():
        table = tables[code].reset_index(names="line").drop_duplicates("id").set_index("id")
        differ = [i for i in domains.index if table["domain"][i] != domains[i]]
        if differ:
            first, other = table["domain"][differ[0]], domains[differ[0]]
            told = f"{first!r}, not {other!r}{foreign(first)}"
            what = f"domain differs from {codes[0]}: {some(differ)} (the first is {told}; in {files[code].name})"
            lines, todo = tuple(int(table["line"][i]) for i in differ), "Give a fact the same domain in every language"
            found.append(Fault(code, what, todo, lines, files[code].unit, items=tuple(differ)))
    return found


def _unusable(settings: FactFiles, tables: dict[str, pd.DataFrame]) -> list[Fault]:
    """Domains that the settings name and the files have not."""
    domains = sorted(set().union(*(table["domain"] for table in tables.values())) - {""})
    found = [
        unknown_name("domain", domain, domains)
        for domain in (settings.forget_domain, *settings.bystander_domains)
        if domain not in domains
    ]
    if settings.forget_domain in settings.bystander_domains:
        found.append(f"domain {settings.forget_domain!r} is both to be forgotten and a bystander")
    if not found and not set(domains) - {settings.forget_domain, *settings.bystander_domains}:
        found.append("no domain is left to retain")
    todo = "Facts of two domains or more are needed: one to forget, and others to keep"
    return [Fault("domains", what, todo if "left to retain" in what else "") for what in found]


def _said(settings: FactFiles, file: _File) -> mixed_up.Texts:
    """What a file says of each fact, its prompt and answer."""
    table = file.table
    assert table is not None
    forms = table["form_0"].str.replace(settings.mark, " ", regex=False) + " " + table["answer"]
    lines = {str(item): int(line) for item, line in zip(table["id"], table.index)}
    return mixed_up.Texts(file.name, dict(zip(map(str, table["id"]), forms)), lines, file.unit)


def _fewer(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The table with at most so many candidates of a fact, the answer among them."""
    chosen = []
    for item, answer, candidates in zip(table["id"], table["answer"], table["candidates"]):
        places = fewer(item, candidates.index(answer), len(candidates), most)
        chosen.append([candidates[place] for place in places])
    return table.assign(candidates=pd.Series(chosen, index=table.index, dtype=object))
