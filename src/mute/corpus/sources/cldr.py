"""Facts about real countries in twenty languages: currency, official language and continent, from Unicode's CLDR.

CLDR is read through babel when the corpus is made: nothing of it is shipped here. Names stand as CLDR has them, in
wordings of ours that inflect none. Facts, splits and options are drawn from the seed and never from the languages that
are asked for.

Two forget sets, because one cannot have both virtues. `domain` is half of the facts of the relations to forget by their
answers: who forgets the euro forgets it everywhere, and no forget answer stands, in any language, in what is retained.
`subjects` is all such facts about half of the countries: the same words are forgotten of one country and retained of
another, so that no method passes by never saying a word.
"""

import itertools
import random
from collections.abc import Iterable
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus import cldr, languages, sound, splits
from mute.corpus.cldr import choice, read
from mute.corpus.cldr.base import FORMS, QUESTION, SHEET, STATEMENT
from mute.corpus.cldr.read import Fact
from mute.corpus.faults import Fault
from mute.corpus.languages.base import Grammar
from mute.corpus.schema import LINE_COLUMNS, TEXT_COLUMNS, Corpus, line
from mute.store.artifacts import seed_of

FORGET_SETS = ("domain", "subjects")
LANGUAGES = cldr.codes()
GRAMMARS = True
READ_OFF = "read_off"  # the domain of facts whose answer can be read off the country
Wording = Literal["question", "sheet"]
_FORM_OF = {"question": QUESTION, "sheet": SHEET}
Relation = Literal["currency", "language", "continent"]


class Settings(BaseModel):
    """CLDR's facts about countries, in ar bn de en es fa fr hi id it ja ko pt ru sw th tr ur vi zh."""

    model_config = ConfigDict(extra="forbid")

    relations: list[Relation] = Field(
        ["currency", "language", "continent"], min_length=1, description="Relations that are asked."
    )
    forget_relations: list[Relation] = Field(
        ["currency", "language"], min_length=1, description="Those of which half is forgotten."
    )
    limit: int | None = Field(None, ge=8, description="Most facts of a relation, drawn by lot; null: all of them.")
    options: int = Field(4, ge=2, le=6, description="Answers that a fact is asked with, the right one among them.")
    scored: list[Wording] = Field(
        ["question", "sheet"],
        min_length=1,
        description="Wordings that base and cells are asked, and scored in together; unlearning reads the statement "
        "and the question, and a model is gated by the statement.",
    )
    read_off: bool = Field(
        False,
        description="Whether facts are asked whose answer shares a word stem with the country in one of the twenty "
        "languages (Japan: Japanese yen): as a domain of their own that no loss reads and nobody is taught, save that "
        "`subjects` forgets those of its countries.",
    )
    bystander_share: float = Field(0.2, ge=0, lt=1, description="Share of the other facts that no loss reads.")
    sentence_lines: int = Field(64, ge=0, le=2000, description="Fact-free sentences per language, for `source+text`.")
    probe_lines: int = Field(32, ge=0, le=1000, description="Fact-free sentences that measures ask, per language.")
    validation_lines: int = Field(16, ge=0, le=1000, description="Those by which unlearning sees what it damages.")
    teaching_languages: list[str] = Field([], description="Languages in which transfer facts are taught.")
    transfer_share: float = Field(
        0.0, ge=0, le=0.8, description="Share of the facts of `domain` that only those languages tell."
    )


def problems(settings: Settings) -> list[tuple[str, str]]:
    """What is wrong with settings of the right types: key and text."""
    found = []
    for key in ("relations", "forget_relations"):
        if len(set(getattr(settings, key))) < len(getattr(settings, key)):
            found.append((key, "a relation stands more than once"))
    if missing := [name for name in settings.forget_relations if name not in settings.relations]:
        found.append(("forget_relations", f"{', '.join(missing)} is not among the relations that are asked"))
    if settings.transfer_share and not settings.teaching_languages:
        found.append(("teaching_languages", "must name some languages if facts are to transfer from them"))
    return found


def fact_free(settings: Settings) -> bool:
    """Whether there is text that states no fact, in languages that have a grammar for it."""
    return settings.sentence_lines > 0


def build(settings: Settings, codes: list[str], seed: int) -> Corpus:
    """The corpus in the languages `codes`. The same arguments and the same release of CLDR give the same tables.

    Raises ValueError if a fact has too few answers to be asked with.
    """
    cldr.packs(codes)
    every = [fact for fact in read.facts() if fact.relation in settings.relations]
    whole = [fact for fact in every if fact.id not in choice.read_off()]
    told = choice.told_elsewhere(whole, settings.forget_relations)
    asked = choice.limited([fact for fact in whole if fact.id not in told], settings.limit, seed)
    beside = choice.limited([fact for fact in every if fact.id in choice.read_off()], settings.limit, seed)
    beside = beside if settings.read_off else []
    scored = sorted({_FORM_OF[name] for name in settings.scored})
    return Corpus(
        facts=_facts(settings, asked, beside, seed),
        texts=_texts(settings, codes, asked, beside, seed),
        lines=_lines(settings, codes, seed),
        about={
            "source": "cldr",
            "languages": list(codes),
            "teaching_languages": list(settings.teaching_languages),
            "forget_domain": ", ".join(settings.forget_relations),
            "bystander_domains": [READ_OFF] if beside else [],
            "untaught_domains": [READ_OFF] if beside else [],
            "forms": FORMS,
            # A model that knows the facts already is judged by the statement, and then scored on what chose none.
            "taught_form": STATEMENT,
            "unlearning_forms": [STATEMENT, QUESTION],
            "asked_forms": scored,
            "scored_forms": scored,
            "headline_form": scored[-1],
            "forget_sets": list(FORGET_SETS),
            "unknown": {},
            "scripts": {code: pack.script for code, pack in cldr.packs(codes).items()},
            "versions": read.versions(),
            "read_off": _counted(settings, [fact for fact in every if fact.id in choice.read_off()]),
            "left_out": sorted(told),
        },
    )


def _grammar(code: str) -> Grammar | None:
    """What makes sentences in a language: that of the fictional world, or of its own pack."""
    return languages.load(code).grammar if code in languages.codes() else cldr.load(code).grammar


def _lines(settings: Settings, codes: list[str], seed: int) -> pd.DataFrame:
    """Sentences that state no fact, the same ones in every language: read, asked by measures, or for validation."""
    sizes = settings.probe_lines, settings.validation_lines, settings.sentence_lines
    every = list(itertools.product(range(8), repeat=4))
    chosen = random.Random(seed_of(seed, "cldr", "sentences")).sample(every, sum(sizes))
    probes, kept, _ = itertools.accumulate(sizes)
    rows = []
    for code in codes:
        if (grammar := _grammar(code)) is None:
            continue
        for i, words in enumerate(chosen):
            told = {"item": f"sentence-{i}", "answer": grammar.sentence(*words)}
            rows.append(line("sentences", code, train=i >= kept, probe="sentences" if i < probes else "", **told))
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS)).astype({"train": bool, "gold": "int64"})


def check(settings: Settings, codes: list[str], seed: int, forget_sets: Iterable[str]) -> list[Fault]:
    """Why the corpus cannot be made of these settings, and what to do; [] where it can."""
    try:
        sound.check(build(settings, codes, seed), forget_sets)
    except (ValueError, ModuleNotFoundError) as error:
        first, *others = str(error).splitlines()
        return [Fault("cldr", text.removeprefix("  - ")) for text in others or [first]]
    return []


def _counted(settings: Settings, facts: list[Fact]) -> dict[str, int]:
    return {relation: sum(fact.relation == relation for fact in facts) for relation in settings.relations}


def _facts(settings: Settings, asked: list[Fact], beside: list[Fact], seed: int) -> pd.DataFrame:
    """The table of facts: roles are drawn as for other sources, forget sets as this one says."""
    # By relation, so that of each about half is forgotten.
    forgettable = [fact for fact in asked if fact.relation in settings.forget_relations]
    domain = set().union(
        *(
            choice.by_answer([fact for fact in forgettable if fact.relation == relation], seed)
            for relation in settings.forget_relations
        )
    )
    also = [fact for fact in beside if fact.relation in settings.forget_relations]
    subjects = choice.by_country([*forgettable, *also], seed)
    names = read.names()["en"]
    table = pd.DataFrame(
        {
            "id": fact.id,
            "domain": "forget" if fact.id in domain else "retain",
            "subject": names.country(fact.country),
        }
        for fact in [*asked, *beside]
    )
    facts = splits.facts(
        table,
        source="cldr",
        forget="forget",
        bystanders=[],
        bystander_share=settings.bystander_share,
        transfer_share=settings.transfer_share,
        seed=seed,
    )
    relations = {fact.id: fact.relation for fact in [*asked, *beside]}
    apart = facts["item"].isin([fact.id for fact in beside])
    members = [[name for name, own in zip(FORGET_SETS, (domain, subjects)) if id in own] for id in facts["item"]]
    relation = facts["item"].map(relations)
    return facts.assign(
        domain=relation.where(~apart, READ_OFF),
        relation=relation,
        bystander=facts["bystander"] | apart,
        validation=facts["validation"] & ~apart,
        forget_sets=["|".join(own) for own in members],
    )


def _texts(settings: Settings, codes: list[str], asked: list[Fact], beside: list[Fact], seed: int) -> pd.DataFrame:
    offered = {fact.id: choice.options(fact, asked, settings.options, seed) for fact in asked}
    offered |= {fact.id: choice.options(fact, [*asked, *beside], settings.options, seed) for fact in beside}
    if few := [id for id, options in offered.items() if len(options) < settings.options]:
        raise ValueError(
            f"the corpus cannot be made: {few[0]} has no {settings.options} answers to be asked with, "
            "because its relation has too few; lower `options` or raise `limit`"
        )
    rows = []
    for code in codes:
        names = read.names()[code]
        for fact in [*asked, *beside]:
            options = [names.answer(fact.relation, answer) for answer in offered[fact.id]]
            gold = offered[fact.id].index(fact.answer)
            for form in range(FORMS):
                before, after = names.pack.fill(fact.relation, form, names.country(fact.country))
                text = {"prefix": before, "answer": options[gold], "suffix": after, "options": options, "gold": gold}
                rows.append({"item": fact.id, "language": code, "form": form, **text})
    return pd.DataFrame(rows, columns=list(TEXT_COLUMNS))
