"""TOFU in several languages: questions about fictional authors, with paraphrased and perturbed answers.

TOFU (Maini et al., arXiv 2401.06121) is English; each other language is a folder, file or data set of the same splits,
aligned by position or id. Unlearning reads the answers; the paraphrases, which nothing reads, are the headline form.
The measures of `mute.evaluate.tofu` are computed from both. Halves and validation questions are ours.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus import languages, own_files, sentences, splits, tofu_files
from mute.corpus.faults import Accepted, Fault
from mute.corpus.prompts import ask
from mute.corpus.reading import fewer, folder_of
from mute.corpus.schema import TEXT_COLUMNS, Corpus
from mute.corpus.tofu_files import Columns, Wanted, domain_of
from mute.hub.repos import Repo
from mute.names import at_home, is_folder, unusable

FORGET_SETS = splits.FORGET_SETS
# Forms: the answer, its paraphrase, and the answers of `more`, which are read and never asked.
ANSWER, PARAPHRASE, MORE = range(3)


class Settings(BaseModel):
    """TOFU, in any languages that you have it in."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(
        None,
        description="Folder with, for each language, a folder <language>/ with a file per split, or one file "
        "<language>.jsonl (.json, .csv, .tsv, .parquet) with a column that names the split.",
    )
    repos: dict[str, str] = Field(
        {"en": "locuslab/TOFU"},
        description="By language: data set of the hub, or folder, with a file per split; what `path` has comes first.",
    )
    revisions: dict[str, str] = Field(
        {"en": "324592d84ae4f482ac7249b9285c2ecdb53e3a68"},
        description="By language: commit, tag or branch of its data set; default main.",
    )
    columns: Columns = Field(default_factory=Columns, description="Names of the columns.")
    forget: str = Field("forget10_perturbed", description="Split to forget.")
    retain: str = Field("retain_perturbed", description="Split to retain; half of it is in the retain loss.")
    bystanders: list[str] = Field(
        ["real_authors_perturbed", "world_facts_perturbed"], description="Splits that no loss reads."
    )
    more: str | None = Field(
        None,
        description="Split without perturbed answers, such as retain90: taught and in the retain loss, never asked.",
    )
    text: str | None = Field(
        None, description="Split of texts that state no fact, for retain coverage `source+text` and what is lost."
    )
    teach_bystanders: bool = Field(
        True, description="Whether models learn the bystander splits; false for models that know the real world."
    )
    limit: int | None = Field(None, ge=4, description="Most questions of a split, the first ones; null: all of them.")
    options: int | None = Field(
        None, ge=2, description="Most answers that are compared, the right one and perturbed ones; null: all of them."
    )
    unusable: Literal["stop", "drop"] = Field(
        "stop",
        description="What becomes of questions with an empty text, without perturbed answers, or with the answer among "
        "them: the study stops, or they are left out in every language.",
    )
    accept: list[Accepted] = Field(
        [],
        description="What `check-data` and `plan` shall not call a problem, because you mean it: byte_order_mark, "
        "direction_marks, nfd, repeats, languages, as for `files`.",
    )
    teaching_languages: list[str] = Field([], description="Languages in which transfer facts are taught.")
    transfer_share: float = Field(
        0.0, ge=0, le=0.8, description="Share of forget facts that only those languages tell; TOFU teaches all."
    )
    probe_lines: int = Field(32, ge=1, description="Texts of `text` held out for evaluation, per language.")

    @property
    def wanted(self) -> list[Wanted]:
        """Every split that is read, and what it must have."""
        asked = [Wanted(self.forget, "asked"), Wanted(self.retain, "asked")]
        asked += [Wanted(name, "bystander") for name in self.bystanders]
        others = [Wanted(name, use) for name, use in ((self.more, "more"), (self.text, "text")) if name]
        return asked + others


def problems(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with settings of the right types: key and text."""
    found = []
    if settings.path and (wrong := unusable(settings.path)):
        found.append(("path", wrong))
    domains = [domain_of(wanted.split) for wanted in settings.wanted]
    twice = sorted({name for name in domains if domains.count(name) > 1})
    if twice:
        found.append(("forget", f"splits must differ by more than '_perturbed': {', '.join(twice)}"))
    if settings.transfer_share and not settings.teaching_languages:
        found.append(("teaching_languages", "must name some languages if facts are to transfer from them"))
    return found


def fact_free(settings: Settings) -> bool:
    """Whether there is text that states no fact."""
    return settings.text is not None


def repos(settings: Settings, languages: list[str]) -> list[Repo]:
    """What of the hub is needed for these languages: `Repo`s with the patterns of their files."""
    from mute.hub.repos import Repo

    if settings.path is not None and not is_folder(at_home(settings.path)):
        # A mistyped folder is the corpus job's error: nothing is fetched in its place.
        return []
    patterns = tuple(f"{wanted.split}.*" for wanted in settings.wanted)
    return [
        Repo("dataset", settings.repos[code], settings.revisions.get(code, "main"), patterns)
        for code in languages
        if code in settings.repos and tofu_files.place(settings.path, code) is None
    ]


def inputs(settings: Settings, languages: list[str]) -> list[Path]:
    """The user's own files, so that a change in one is seen."""
    places = [tofu_files.place(settings.path, code) for code in languages]
    splits_read = [wanted.split for wanted in settings.wanted]
    own = [p for place in places if place and place.is_dir() for s in splits_read for p in place.glob(f"{s}.*")]
    return own + [place for place in places if place and place.is_file()]


def build(settings: Settings, codes: list[str], seed: int) -> Corpus:
    """The corpus in the languages `codes`. Raises ValueError that lists all that is wrong."""
    tables, dropped = _read(settings, codes)
    if settings.limit is not None:
        # In every language the same ones: rows stand in one order.
        kept = next(iter(tables.values())).groupby("domain").cumcount() < settings.limit
        tables = {code: table[kept.to_numpy()].reset_index(drop=True) for code, table in tables.items()}
    more = "" if settings.more is None else domain_of(settings.more)
    bystanders = [domain_of(name) for name in settings.bystanders]
    told, bare = _apart(tables, more, "" if settings.text is None else domain_of(settings.text))
    first = told[codes[0]]
    facts = splits.facts(
        first,
        source="tofu",
        forget=domain_of(settings.forget),
        bystanders=bystanders,
        bystander_share=0.0,
        transfer_share=settings.transfer_share,
        seed=seed,
        seen=set(first.loc[first["domain"] == more, "id"]),
    )
    read = [ANSWER, MORE] if more else [ANSWER]
    return Corpus(
        facts=facts,
        texts=pd.concat(
            [_texts(code, table, more, settings.options) for code, table in told.items()], ignore_index=True
        ),
        lines=sentences.lines(bare, settings.probe_lines, source="tofu", seed=seed),
        about={
            "source": "tofu",
            "languages": list(codes),
            "teaching_languages": list(settings.teaching_languages),
            "forget_domain": domain_of(settings.forget),
            "bystander_domains": bystanders,
            "untaught_domains": [] if settings.teach_bystanders else bystanders,
            "forms": len(read) + 1,
            "training_forms": read,
            "unlearning_forms": read,
            "headline_form": PARAPHRASE,
            "asked_forms": [ANSWER, PARAPHRASE],
            # What was taught word by word: gates ask for it, and generated answers are held against it.
            "taught_form": ANSWER,
            "whole_answers": True,
            "measures": ["tofu"],
            "forget_sets": list(FORGET_SETS),
            "unknown": {},
            "scripts": languages.scripts(codes),
            "left_out": dropped,
        },
    )


def check(settings: Settings, codes: list[str], seed: int, forget_sets: Iterable[str]) -> list[Fault]:
    """All that is wrong or odd in the user's folder; [] of a study that reads none."""
    if settings.path is None:
        return []
    places, own = _places(settings, codes), settings.columns
    named = {code: place.name for code, place in places.items() if place is not None}

    def tables() -> dict[str, tuple[str, pd.DataFrame]]:
        read, _ = _read(settings, codes)
        said = {code: table["question"] + "\n" + table["answer"] for code, table in read.items()}
        return {code: (named[code], table[["id"]].assign(said=said[code])) for code, table in read.items()}

    return own_files.check(
        folder_of(settings.path),
        inputs(settings, codes),
        [name for name in (own.question, own.answer, own.paraphrased, own.perturbed, own.text) if name],
        tables=tables,
        corpus=lambda: build(settings, codes, seed),
        forget_sets=forget_sets,
        accept=settings.accept,
    )


def _read(settings: Settings, codes: list[str]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The tables of all languages, and ids of what was left out."""
    drop = settings.unusable == "drop"
    return tofu_files.read(codes, _places(settings, codes), settings.wanted, settings.columns, drop=drop)


def _apart(
    tables: dict[str, pd.DataFrame], more: str, free: str
) -> tuple[dict[str, pd.DataFrame], dict[str, pd.DataFrame]]:
    """By language: the questions, and the texts that state no fact.

    What the domain `more` asks that others ask too is left out: it is not taught twice.
    """
    told = {code: table[table["domain"] != free] for code, table in tables.items()}
    first = next(iter(told.values()))
    again = (first["domain"] == more) & first["question"].isin(first.loc[first["domain"] != more, "question"])
    told = {code: table[~table["id"].isin(first.loc[again, "id"])] for code, table in told.items()}
    return told, {code: table[table["domain"] == free] for code, table in tables.items()}


def _places(settings: Settings, codes: list[str]) -> dict[str, Path | None]:
    """By language, the folder or file in which it lies; None where it lies nowhere."""
    if settings.path is not None:
        folder_of(settings.path)
    places = {code: tofu_files.place(settings.path, code) for code in codes}
    missing = [code for code, place in places.items() if place is None and code in settings.repos]
    if missing:
        from mute.hub import copies

        for code in missing:
            places[code] = copies.local(repos(settings, [code])[0])
    return places


def _texts(code: str, table: pd.DataFrame, more: str, most: int | None) -> pd.DataFrame:
    rows = []
    for fact in table.to_dict("records"):
        # The right answer stands before the perturbed ones.
        places = fewer(fact["id"], 0, 1 + len(fact["perturbed"]), most)[1:]
        prefix, wrong = ask(fact["question"], code), [fact["perturbed"][place - 1] for place in places]
        forms = {ANSWER: "answer", PARAPHRASE: "paraphrased"} if fact["domain"] != more else {MORE: "answer"}
        for form, column in forms.items():
            options = [fact[column], *wrong] if wrong else []
            text = {"prefix": prefix, "answer": fact[column], "suffix": ""}
            asked = {"options": options, "gold": 0 if options else -1}
            rows.append({"item": fact["id"], "language": code, "form": form, **text, **asked})
    return pd.DataFrame(rows, columns=list(TEXT_COLUMNS))
