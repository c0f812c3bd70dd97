"""MMLU in English (`cais/mmlu`) and its translations (`openai/MMMLU`), aligned by subject and position.

The subjects and their roles are the paper's; the halves of the retain subjects, bystanders, validation questions,
forms, prompts and fact-free text are ours. Everything that is wrong with the files is reported at once.
"""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus import languages, mmlu_files, own_files, sentences, splits
from mute.corpus.faults import Accepted, Fault
from mute.corpus.prompts import LETTERS, ask
from mute.corpus.reading import fewer, folder_of
from mute.corpus.schema import TEXT_COLUMNS, Corpus
from mute.hub.repos import Repo
from mute.names import at_home, unknown_name, unusable
from mute.store.artifacts import seed_of
from mute.store.records import Record

FORGET_SETS = splits.FORGET_SETS
LANGUAGES = mmlu_files.LANGUAGES
Form = Literal["letters", "text", "shuffled"]


class Settings(BaseModel):
    """MMLU and MMMLU."""

    model_config = ConfigDict(extra="forbid")

    path: str | None = Field(
        None, description="Folder laid out as both data sets are, one over the other; null: from the hub."
    )
    english: str = Field("cais/mmlu", description="Data set of the English questions, or a folder laid out as it is.")
    english_revision: str = Field(
        "c30699e8356da336a370243923dbaf21066bb9fe", description="Commit, tag or branch of `english`."
    )
    translated: str = Field("openai/MMMLU", description="Data set of the others, or a folder laid out as it is.")
    translated_revision: str = Field(
        "325a01dc3e173cac1578df94120499aaca2e2504", description="Commit, tag or branch of `translated`."
    )
    forget_subject: str = Field("high_school_chemistry", description="The subject to forget.")
    retain_subjects: list[str] = Field(
        ["high_school_world_history", "professional_law", "international_law", "jurisprudence"],
        min_length=1,
        description="Subjects to retain.",
    )
    bystander_subjects: list[str] = Field(
        [], description="Subjects that no loss reads (ours); empty: a share of each retain subject."
    )
    bystander_share: float = Field(0.2, ge=0, lt=1, description="That share, without bystander subjects (ours).")
    text_subjects: list[str] = Field(
        ["high_school_geography", "sociology"],
        description="Subjects whose bare questions, without options and answers, are fact-free text (ours).",
    )
    forms: list[Form] = Field(
        ["letters", "text", "shuffled"],
        min_length=1,
        description="Forms of a question, the last of them held out: `letters` asks for the letter, `text` for the "
        "option's own words, of which the prompt lists none, `shuffled` for the letter in another order (ours).",
    )
    limit: int | None = Field(None, ge=4, description="Most questions of a subject, the first ones; null: all of them.")
    options: int | None = Field(
        None, ge=2, le=4, description="Most options of a question, the right one and others; null: all four."
    )
    unusable: Literal["stop", "drop"] = Field(
        "stop",
        description="What becomes of questions with an empty text, or another answer than in the first language: the "
        "study stops, or they are left out in every language.",
    )
    accept: list[Accepted] = Field(
        [],
        description="What `check-data` and `plan` shall not call a problem, because you mean it: byte_order_mark, "
        "direction_marks, nfd, repeats, languages, as for `files`.",
    )
    teaching_languages: list[str] = Field([], description="Languages in which transfer facts are taught.")
    transfer_share: float = Field(
        0.0, ge=0, le=0.8, description="Share of forget facts that only those languages tell; the paper teaches all."
    )
    probe_lines: int = Field(32, ge=1, description="Fact-free texts held out for evaluation, per language.")

    @property
    def subjects(self) -> list[str]:
        """Every subject that is read, each once."""
        facts = [self.forget_subject, *self.retain_subjects, *self.bystander_subjects]
        return list(dict.fromkeys([*facts, *self.text_subjects]))


def problems(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with settings of the right types: key and text."""
    found = []
    if settings.path and (wrong := unusable(settings.path)):
        found.append(("path", wrong))
    keys = ("forget_subject", "retain_subjects", "bystander_subjects", "text_subjects")
    uses: dict[str, str] = {}
    for key in keys:
        value = getattr(settings, key)
        for subject in [value] if isinstance(value, str) else value:
            if subject in uses:
                found.append((key, f"{subject!r} is already in {uses[subject]}"))
            elif settings.path is None and subject not in mmlu_files.SUBJECTS:
                found.append((key, unknown_name("subject", subject, mmlu_files.SUBJECTS)))
            uses.setdefault(subject, key)
    if len(set(settings.forms)) < len(settings.forms):
        found.append(("forms", "a form stands more than once"))
    if settings.transfer_share and not settings.teaching_languages:
        found.append(("teaching_languages", "must name some languages if facts are to transfer from them"))
    return found


def one_form(settings: Settings) -> bool:
    """Whether each question has one wording, so that it is asked as unlearning read it."""
    return len(settings.forms) == 1


def fact_free(settings: Settings) -> bool:
    """Whether there is text that states no fact."""
    return bool(settings.text_subjects)


def repos(settings: Settings, languages: list[str]) -> list[Repo]:
    """What of the hub is needed for these languages: `Repo`s with the patterns of their files."""
    from mute.hub.repos import Repo

    if settings.path is not None:
        return []
    english = tuple(mmlu_files.pattern(subject) for subject in settings.subjects)
    others = tuple(mmlu_files.file_of(code) for code in languages if code != "en")
    found = []
    if "en" in languages:
        found.append(Repo("dataset", settings.english, settings.english_revision, english))
    if others:
        found.append(Repo("dataset", settings.translated, settings.translated_revision, others))
    return found


def inputs(settings: Settings, languages: list[str]) -> list[Path]:
    """The user's own files, so that a change in one is seen."""
    if settings.path is None:
        return []
    folder = at_home(settings.path)
    paths = [p for s in settings.subjects for p in folder.glob(mmlu_files.pattern(s))] if "en" in languages else []
    return paths + [folder / mmlu_files.file_of(c) for c in languages if c in LANGUAGES and c != "en"]


def check(settings: Settings, codes: list[str], seed: int, forget_sets: Iterable[str]) -> list[Fault]:
    """All that is wrong or odd in the user's folder; [] of a study that reads none."""
    if settings.path is None:
        return []

    def tables() -> dict[str, tuple[str, pd.DataFrame]]:
        found = {}
        for code, table in _read(settings, codes)[0].items():
            said = table["question"] + "\n" + table["choices"].map("\n".join)
            name = "en" if code == "en" else mmlu_files.file_of(code)
            found[code] = (name, table[["id"]].assign(said=said))
        return found

    return own_files.check(
        folder_of(settings.path),
        inputs(settings, codes),
        ["question", "choices", "Question", *LETTERS],
        tables=tables,
        corpus=lambda: build(settings, codes, seed),
        forget_sets=forget_sets,
        accept=settings.accept,
    )


def _read(settings: Settings, codes: list[str]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The tables of all languages, and ids of what was left out."""
    drop = settings.unusable == "drop"
    return mmlu_files.read(codes, _folders(settings, codes), settings.subjects, limit=settings.limit, drop=drop)


def build(settings: Settings, codes: list[str], seed: int) -> Corpus:
    """The corpus in the languages `codes`. Raises ValueError that lists all that is wrong."""
    tables, dropped = _read(settings, codes)
    first = tables[codes[0]].assign(subject="")
    facts = splits.facts(
        first[~first["domain"].isin(settings.text_subjects)],
        source="mmlu",
        forget=settings.forget_subject,
        bystanders=settings.bystander_subjects,
        bystander_share=settings.bystander_share,
        transfer_share=settings.transfer_share,
        seed=seed,
    )
    asked = {code: table[table["id"].isin(facts["item"])] for code, table in tables.items()}
    bare = {code: table[table["domain"].isin(settings.text_subjects)] for code, table in tables.items()}
    forms = list(settings.forms)
    headline = len(forms) - 1
    words = forms.index("text") if "text" in forms else headline
    return Corpus(
        facts=facts,
        texts=pd.concat([_texts(settings, code, table, seed) for code, table in asked.items()], ignore_index=True),
        lines=sentences.lines(bare, settings.probe_lines, source="mmlu", seed=seed),
        about={
            "source": "mmlu",
            "languages": list(codes),
            "teaching_languages": list(settings.teaching_languages),
            "forget_domain": settings.forget_subject,
            "bystander_domains": list(settings.bystander_subjects),
            "forms": len(forms),
            "unlearning_forms": list(range(max(1, headline))),
            "headline_form": headline,
            # Options of one letter are all equally long: scores by length are of their words.
            "options_form": words,
            "asked_forms": sorted({headline, words}),
            "forget_sets": list(FORGET_SETS),
            "unknown": {},
            "scripts": languages.scripts(codes),
            "left_out": dropped,
        },
    )


def _folders(settings: Settings, codes: list[str]) -> dict[str, Path]:
    """By language, the folder in which its files lie."""
    if settings.path is not None:
        return dict.fromkeys(codes, folder_of(settings.path))
    from mute.hub import copies

    found = {repo.id: copies.local(repo) for repo in repos(settings, codes)}
    return {code: found[settings.english if code == "en" else settings.translated] for code in codes}


def _texts(settings: Settings, code: str, table: pd.DataFrame, seed: int) -> pd.DataFrame:
    rows = []
    for fact in table.to_dict("records"):
        places = fewer(fact["id"], fact["gold"], len(fact["choices"]), settings.options)
        fact |= {"choices": [fact["choices"][place] for place in places], "gold": places.index(fact["gold"])}
        for form, kind in enumerate(settings.forms):
            text = _rendered(kind, code, fact, seed)
            rows.append({"item": fact["id"], "language": code, "form": form, "suffix": "", **text})
    return pd.DataFrame(rows, columns=list(TEXT_COLUMNS))


def _rendered(kind: Form, code: str, fact: Record, seed: int) -> Record:
    """Prefix, answer, options and gold of one form of a question."""
    choices, gold = fact["choices"], fact["gold"]
    if kind == "text":
        # Two options of the same words are one: neither could be likelier than the other.
        options = list(dict.fromkeys(choices))
        prefix, gold = ask(fact["question"], code), options.index(choices[gold])
    else:
        options = list(LETTERS[: len(choices)])
        if kind == "shuffled":
            # By the question alone, so that its options stand in the same order in every language.
            order = list(range(len(choices)))
            random.Random(seed_of(seed, "mmlu", "order", fact["id"])).shuffle(order)
            choices, gold = [choices[i] for i in order], order.index(gold)
        prefix = ask(fact["question"], code, choices)
    return {"prefix": prefix, "answer": options[gold], "options": options, "gold": gold}
