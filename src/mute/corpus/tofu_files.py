"""The files of TOFU and of its translations: where they lie, what they hold, and whether they fit together."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus.reading import ENDINGS, aligned, several, some, tried, word
from mute.names import at_home, unknown_name


class Columns(BaseModel):
    """Names of the columns in the files."""

    model_config = ConfigDict(extra="forbid")

    split: str = Field("split", description="Split of the row, where one file holds a language.")
    id: str | None = Field(
        None, description="Identifier of the question in its split, the same in every language; null: its position."
    )
    question: str = Field("question", description="The question.")
    answer: str = Field("answer", description="The answer.")
    paraphrased: str | None = Field(
        "paraphrased_answer", description="The answer in other words; null, or no such column: the answer itself."
    )
    perturbed: str = Field(
        "perturbed_answer", description="Wrong answers of the same kind: a list, or a string split at '|'."
    )
    subject: str | None = Field(None, description="What the question is about, such as its author; null: nothing.")
    text: str = Field("text", description="A text that states no fact.")


@dataclass(frozen=True)
class Wanted:
    """A split that is read; `asked` and `bystander` ones have wrong answers, `asked` ones paraphrases too."""

    split: str
    use: Literal["asked", "bystander", "more", "text"]


def domain_of(split: str) -> str:
    """The domain of a split: its name without what says that it has perturbed answers."""
    return split.removesuffix("_perturbed")


def place(folder: str | None, code: str) -> Path | None:
    """Folder or file of a language in the user's folder, or None if it has neither."""
    if folder is None:
        return None
    root = at_home(folder)
    found = [root / code, *(root / f"{code}{ending}" for ending in ENDINGS)]
    return next((path for path in found if path.exists()), None)


def read(
    codes: list[str], places: dict[str, Path | None], wanted: list[Wanted], columns: Columns, *, drop: bool
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """One table per language in the same order: id, domain, subject, question, answer, paraphrased, perturbed.

    Texts that state no fact stand in the column question. drop: questions that are wrong in one language are left out
    in all, instead of being errors; their ids are given back. Raises ValueError that lists all that is wrong.
    """
    problems: list[str] = []
    wrong: dict[str, list[str]] = {}
    tables: dict[str, pd.DataFrame] = {}
    for code in codes:
        where = places[code]
        if where is None:
            have = sorted(other for other, path in places.items() if path is not None)
            problems.append(
                f"{code}: no folder or file in `path`, and none in `repos`; there is {', '.join(have) or 'none'}"
            )
            continue
        found, said = _splits(where, wanted, columns)
        problems += [f"{code}: {problem}" for problem in said]
        parts = []
        for one in wanted:
            if one.split in found:
                part, said, bad = _checked(found[one.split], one, columns)
                problems += [f"{code}: {problem}" for problem in said]
                wrong |= {f"{code}: {one.split}: {what}": ids for what, ids in bad.items()}
                parts += [part] if part is not None else []
        if parts:
            tables[code] = pd.concat(parts, ignore_index=True)
    problems += _misaligned(tables)
    domains = {one.split: domain_of(one.split) for one in wanted}
    return aligned("TOFU", tables, problems, wrong, domains, drop=drop)


def _splits(where: Path, wanted: list[Wanted], columns: Columns) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The splits of one language by name, and what is wrong with its files."""
    found: dict[str, pd.DataFrame] = {}
    problems: list[str] = []
    if where.is_dir():
        there = sorted(p.stem for p in where.iterdir() if p.suffix in ENDINGS)
        for one in wanted:
            paths = [path for ending in ENDINGS if (path := where / f"{one.split}{ending}").is_file()]
            if len(paths) != 1:
                more = "more than one file of this split: " + some(p.name for p in paths)
                problems.append(more if paths else unknown_name("split", one.split, there) + f" ({where.name}/)")
                continue
            if (table := tried(paths[0], paths[0].name, problems)) is not None:
                found[one.split] = table
        return found, problems
    table = tried(where, where.name, problems)
    if table is None:
        return {}, problems
    if columns.split not in table:
        return {}, [f"{where.name} has no column {columns.split!r}; it has {some(table.columns)}"]
    names = table[columns.split].map(word)
    for one in wanted:
        if one.split in set(names):
            found[one.split] = table[names == one.split].reset_index(drop=True)
        else:
            problems.append(unknown_name("split", one.split, set(names)) + f" ({where.name})")
    return found, problems


def _checked(
    table: pd.DataFrame, one: Wanted, columns: Columns
) -> tuple[pd.DataFrame | None, list[str], dict[str, list[str]]]:
    """A split under our own column names, what is wrong with all of it, and ids by what is wrong with some of it."""
    needed = [columns.text] if one.use == "text" else [columns.question, columns.answer]
    needed += [columns.perturbed] if one.use in ("asked", "bystander") else []
    needed += [column for column in (columns.id, columns.subject if one.use == "asked" else None) if column]
    missing = [column for column in needed if column not in table]
    if missing:
        return None, [f"{one.split} has no column {some(map(repr, missing))}; it has {some(table.columns)}"], {}
    empty = pd.Series("", index=table.index)

    def texts(column: str | None) -> pd.Series:
        return table[column].map(word) if column in table else empty

    own = texts(columns.id) if columns.id else pd.Series([f"{i:04d}" for i in range(len(table))], index=table.index)
    made = pd.DataFrame({"id": domain_of(one.split) + "-" + own, "domain": domain_of(one.split)})
    made["subject"] = texts(columns.subject)
    made["question"] = texts(columns.text if one.use == "text" else columns.question)
    made["answer"] = texts(columns.answer)
    # Where nobody wrote a paraphrase, TOFU's measures take the answer itself.
    asked = one.use in ("asked", "bystander")
    there = asked and columns.paraphrased in table
    made["paraphrased"] = texts(columns.paraphrased) if there else made["answer"]
    if one.use == "bystander":
        made["paraphrased"] = made["paraphrased"].where(made["paraphrased"] != "", made["answer"])
    made["perturbed"] = table[columns.perturbed].map(several) if asked else [[] for _ in made.index]
    checks = {"empty question" if one.use != "text" else "empty text": made["question"] == ""}
    if one.use != "text":
        checks["empty answer"] = made["answer"] == ""
    if asked:
        right = list(zip(made["answer"], made["paraphrased"], made["perturbed"]))
        checks |= {
            "empty paraphrased answer": made["paraphrased"] == "",
            "no perturbed answer": made["perturbed"].map(len) == 0,
            "the answer, or its paraphrase, is among the perturbed answers": pd.Series(
                [a in wrong or p in wrong for a, p, wrong in right], index=made.index, dtype=bool
            ),
        }
    wrong = {what: made.loc[mask, "id"].tolist() for what, mask in checks.items() if mask.any()}
    repeated = made["id"][made["id"].duplicated()].unique()
    problems = [f"{one.split}: duplicate ids: {some(repeated)}"] if len(repeated) else []
    return None if problems else made, problems, wrong


def _misaligned(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Questions that a language lacks, split by split."""
    problems = []
    ids = {code: table.groupby("domain")["id"].agg(set) for code, table in tables.items()}
    for code, own in ids.items():
        for domain, listed in own.items():
            others = [other[domain] for other in ids.values() if domain in other]
            missing = sorted(set().union(*others) - listed)
            if missing:
                text = (
                    f"{len(missing)} questions that other languages have are missing: {some(missing)}. Add them; rows "
                )
                text += "are told apart by their position, unless `columns` names an `id`"
                problems.append(f"{code}: {domain}: {text}")
    return problems
