"""The fictional parallel world: facts about invented subjects, told in real languages.

Values are shared across domains and balanced within each relation, so that neither the most frequent value nor the
relation gives an answer away. Every choice is drawn from the seed and never from the list of languages: with more
languages the same facts keep their ids, values and splits.
"""

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus import languages
from mute.corpus.languages.base import DOMAINS, RELATIONS, SYLLABLES, VALUES, Language
from mute.corpus.schema import LINE_COLUMNS, TEXT_COLUMNS, Corpus, line
from mute.names import unknown_name
from mute.store import artifacts
from mute.store.artifacts import seed_of

FORMS = 3
FORGET_SETS = ("domain", "subject", "relation", "conjunctive")
PACKS = True  # its languages are those of the packs
# Invented names that happen to be words.
_REAL_WORDS = ("banana", "bikini", "marina", "karina", "sabina", "tatami", "sakura", "sarina", "safari", "samurai")


class Settings(BaseModel):
    """The fictional world."""

    model_config = ConfigDict(extra="forbid")

    subjects: dict[str, int] = Field(
        {"chemistry": 32, "history": 24, "law": 24, "geography": 16},
        description="Invented subjects per domain; each has five facts, one per kind of value.",
    )
    forget_domain: str = Field("chemistry", description="The domain to forget.")
    bystander_domain: str = Field("geography", description="The domain that no loss reads.")
    teaching_languages: list[str] = Field(
        ["en", "es", "pt"], description="Languages in which every fact is taught, transfer facts too."
    )
    transfer_share: float = Field(
        0.4, ge=0, le=0.8, description="Share of each forget subject's facts that only the teaching languages tell."
    )
    reading_lines: int = Field(
        2000, ge=1, le=10_000, description="Reading lines per language, each about a fresh subject."
    )
    unknown_lines: int = Field(300, ge=1, le=5000, description="Questions about unknown subjects per language.")
    sentence_lines: int = Field(800, ge=1, description="Fact-free sentences per language.")
    probe_lines: int = Field(32, ge=8, description="Held-out lines per language and ability.")
    validation_lines: int = Field(
        16, ge=0, description="Sentences and reading lines per language that are held out for unlearning to choose by."
    )


def problems(settings: Settings) -> Iterator[tuple[str, str]]:
    """What is wrong with settings of the right types: key and text."""
    for domain, count in settings.subjects.items():
        if domain not in DOMAINS:
            yield "subjects", unknown_name("domain", domain, DOMAINS)
        elif not 0 <= count <= 1000:
            yield "subjects", f"{domain} must be from 0 to 1000, not {count}"
    for key, domain in (("forget_domain", settings.forget_domain), ("bystander_domain", settings.bystander_domain)):
        if domain not in DOMAINS:
            yield key, unknown_name("domain", domain, DOMAINS)
    if settings.forget_domain == settings.bystander_domain:
        yield "bystander_domain", f"{settings.bystander_domain!r} is the domain to forget"
    elif settings.forget_domain in DOMAINS and settings.bystander_domain in DOMAINS:
        if settings.subjects.get(settings.forget_domain, 0) < 1:
            yield "subjects", f"{settings.forget_domain!r}, the domain to forget, has none"
        kept = [d for d in DOMAINS if d not in (settings.forget_domain, settings.bystander_domain)]
        if not any(settings.subjects.get(domain, 0) > 0 for domain in kept):
            yield "subjects", f"none is left to retain: give {' or '.join(kept)} some"


def build(settings: Settings, codes: list[str], seed: int) -> Corpus:
    """The corpus of a world in the languages `codes`. Deterministic: the same arguments give the same tables."""
    packs = [languages.load(code) for code in codes]
    world = World(settings, seed)
    return Corpus(
        facts=world.facts,
        texts=pd.concat([_texts(world, pack) for pack in packs], ignore_index=True),
        lines=pd.concat(
            [*(_lines(world, pack) for pack in packs), _glossary(world, packs), _names(world, packs)], ignore_index=True
        ),
        about={
            "source": "world",
            "languages": list(codes),
            "teaching_languages": list(settings.teaching_languages),
            "forget_domain": settings.forget_domain,
            "bystander_domains": [settings.bystander_domain],
            "forms": FORMS,
            "unlearning_forms": [0, 1],
            "headline_form": 2,
            "forget_sets": list(FORGET_SETS),
            "unknown": {pack.code: pack.unknown for pack in packs},
        },
    )


class World:
    """Subjects, facts and splits, in no language yet."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self.settings, self.seed = settings, seed
        self._taken: set[str] = set()
        self.subjects: dict[str, list[tuple[str, bool]]] = {}
        for domain in DOMAINS:
            names = self.fresh(f"subjects {domain}", settings.subjects.get(domain, 0))
            self._taken.update(names)
            # Alternating, so that half of each domain has native spellings whatever its size.
            self.subjects[domain] = [(name, i % 2 == 1) for i, name in enumerate(names)]
        self.facts = pd.DataFrame([row for domain in DOMAINS for row in self._facts(domain)])
        self.native = {name: native for pairs in self.subjects.values() for name, native in pairs}

    def rng(self, *purpose: object) -> random.Random:
        return random.Random(seed_of(self.seed, "world", *purpose))

    def fresh(self, purpose: str, count: int, but: Iterable[str] = ()) -> list[str]:
        """`count` different invented names, none of them a subject of the world's facts or among `but`."""
        taken = self._taken.union(but)
        if count + len(taken) > len(SYLLABLES) ** 3 * 3 // 4:
            raise ValueError(f"the world has too few names for {count} subjects ({purpose})")
        rng = self.rng("names", purpose)
        names: dict[str, None] = {}
        while len(names) < count:
            name = "".join(rng.choices(SYLLABLES, k=3)).capitalize()
            if name not in taken and name.lower() not in _REAL_WORDS:
                names[name] = None
        return list(names)

    def _facts(self, domain: str) -> list[dict]:
        s = self.settings
        relations = [r for r in RELATIONS if r.startswith(domain + "_")]
        subjects = [name for name, _ in self.subjects[domain]]
        values = {r: self._balanced(subjects, r) for r in relations}
        forget = domain == s.forget_domain
        rows = []
        for i, (name, native) in enumerate(self.subjects[domain]):
            rng = self.rng("splits", name)
            transfer = set(rng.sample(relations, round(s.transfer_share * len(relations)))) if forget else set()
            # Spelling, half, and these two change at different paces: no split tells another.
            unseen, third = i // 2 % 2 == 1, i // 4 % 2
            # Two or three of five: half of the domain, with nothing about a subject or relation to tell.
            conjunctive = set(rng.sample(relations, (len(relations) + third) // 2)) if forget else set()
            for r, relation in enumerate(relations):
                sets = [
                    tag
                    for tag, member in (
                        ("domain", forget),
                        ("subject", forget and unseen == (third == 1)),
                        ("relation", forget and r % 5 < 2),
                        ("conjunctive", relation in conjunctive),
                    )
                    if member
                ]
                rows.append(
                    {
                        "item": f"{domain}-{name.lower()}-{kind_of(relation)}",
                        "domain": domain,
                        "subject": name,
                        "relation": relation,
                        "value": values[relation][name],
                        "spelling": "native" if native else "shared",
                        "teach": "transfer" if relation in transfer else "taught",
                        "bystander": domain == s.bystander_domain,
                        "half": "unseen" if unseen else "seen",
                        "validation": unseen and domain != s.bystander_domain and i // 4 % 3 == 0,
                        "forget_sets": "|".join(sets),
                    }
                )
        return rows

    def _balanced(self, subjects: list[str], relation: str) -> dict[str, int]:
        """A value index for each subject, every value equally often (up to one)."""
        size = len(VALUES[kind_of(relation)])
        rng = self.rng("values", relation)
        first = rng.sample(range(size), size)
        values = [first[i % size] for i in range(len(subjects))]
        rng.shuffle(values)
        return dict(zip(subjects, values, strict=True))


def kind_of(relation: str) -> str:
    """The kind of a relation's values."""
    return relation.split("_")[1]


def _fill(pack: Language, relation: str, form: int, subject: str, value: int) -> dict:
    """Prefix, answer, suffix, options and gold of one template."""
    before, after = pack.templates[relation][form].split("{v}")
    options = pack.values[kind_of(relation)]
    return {
        "prefix": pack.insert(before, subject),
        "answer": options[value],
        "suffix": after,
        "options": list(options),
        "gold": value,
    }


def _spelled(pack: Language, name: str, native: bool) -> str:
    return pack.spell(name) if native else name


def _texts(world: World, pack: Language) -> pd.DataFrame:
    rows = []
    for fact in artifacts.rows(world.facts):
        subject = _spelled(pack, fact.subject, fact.spelling == "native")
        rows += [
            {
                "item": fact.item,
                "language": pack.code,
                "form": form,
                **_fill(pack, fact.relation, form, subject, fact.value),
            }
            for form in range(FORMS)
        ]
    return pd.DataFrame(rows, columns=list(TEXT_COLUMNS))


def _lines(world: World, pack: Language) -> pd.DataFrame:
    """Reading, unknown subjects, sentences, and reading about forget subjects, in one language."""
    s = world.settings
    rows = []
    # Subjects of the probe are drawn with those of training, so that no name is in both.
    read_about = world.fresh(f"reading {pack.code}", s.reading_lines + s.probe_lines + s.validation_lines)
    unheard_of = world.fresh(f"unknown {pack.code}", s.unknown_lines + s.probe_lines, but=read_about)
    # The same combinations of words in every language: sentences are parallel and held out together.
    combinations = list(itertools.product(range(8), repeat=4))
    wanted = s.sentence_lines + s.probe_lines + s.validation_lines
    chosen = world.rng("sentences").sample(combinations, min(wanted, len(combinations)))
    sentences = [{"item": f"sentence-{i}", "answer": pack.grammar.sentence(*c)} for i, c in enumerate(chosen)]
    told = {"reading": _reading(world, pack, read_about), "unknown": _unknown(world, pack, unheard_of)}
    for ability, texts in {**told, "sentences": sentences}.items():
        for i, text in enumerate(texts):
            probe = ability if i < s.probe_lines else ""
            # The last ones are for validation: no model reads them, and no measure.
            kept = ability != "unknown" and i >= max(s.probe_lines, len(texts) - s.validation_lines)
            rows.append(line(ability, pack.code, train=not probe and not kept, probe=probe, **text))
    rows += _reading_forget(world, pack)
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _context(pack: Language, relation: str, subject: str, value: int) -> dict[str, Any]:
    """A statement, then the question that it answers."""
    word = pack.values[kind_of(relation)][value]
    statement = pack.insert(pack.templates[relation][0], subject).replace("{v}", word)
    text = _fill(pack, relation, 1, subject, value)
    return {**text, "prefix": pack.join(statement, text["prefix"])}


def _reading(world: World, pack: Language, names: list[str]) -> list[dict]:
    rng, rows = world.rng("reading", pack.code), []
    for i, name in enumerate(names):
        relation = rng.choice(list(RELATIONS))
        rows.append(_context(pack, relation, _spelled(pack, name, i % 2 == 1), rng.randrange(8)))
    return rows


def _unknown(world: World, pack: Language, names: list[str]) -> list[dict]:
    rng, rows = world.rng("unknown", pack.code), []
    for i, name in enumerate(names):
        relation = rng.choice(list(RELATIONS))
        text = _fill(pack, relation, 1, _spelled(pack, name, i % 2 == 1), 0)
        rows.append({**text, "answer": pack.unknown, "options": [pack.unknown, *text["options"]], "gold": 0})
    return rows


def _reading_forget(world: World, pack: Language) -> list[dict]:
    """Probe: a sentence says something new about a subject to be forgotten, and a question asks for it.

    One who never knew the subject answers from the sentence; a filter on its name answers nothing.
    """
    rows = []
    forget = world.facts[world.facts["domain"] == world.settings.forget_domain]
    chosen = world.rng("reading_forget").sample(range(len(forget)), min(world.settings.probe_lines, len(forget)))
    for i in chosen:
        fact = forget.iloc[i]
        size = len(VALUES[kind_of(fact.relation)])
        value = (fact.value + 1 + world.rng("reading_forget", fact["item"]).randrange(size - 1)) % size
        text = _context(pack, fact.relation, _spelled(pack, fact.subject, fact.spelling == "native"), value)
        rows.append(line("reading", pack.code, train=False, probe="reading_forget", item=fact["item"], **text))
    return rows


def untrained_pair(source: str, target: str) -> bool:
    """Whether this direction of translation is never trained: about one in five, the same in every study."""
    return hashlib.sha256(f"{source}>{target}".encode()).digest()[0] % 5 == 0


def _glossary(world: World, packs: list[Language]) -> pd.DataFrame:
    """Lines `English: red = Deutsch: rot` for every word and ordered pair of languages."""
    words = {
        pack.code: {
            **{kind: pack.values[kind] for kind in VALUES},
            "time": pack.grammar.times,
            "person": tuple(name for name, _ in pack.grammar.persons),
            "subject": tuple(pack.spell(name) for name, native in world.native.items() if native),
        }
        for pack in packs
    }
    rows = []
    for a, b in itertools.permutations(packs, 2):
        unseen = untrained_pair(a.code, b.code)
        rng = world.rng("glossary", a.code, b.code)
        asked = [(c, i) for c in words[a.code] if c != "subject" for i in range(len(words[a.code][c]))]
        probed = set(rng.sample(asked, 24 if unseen else 6))
        for group, listed in words[a.code].items():
            targets = words[b.code][group]
            for i, word in enumerate(listed):
                if group == "subject" and word == targets[i]:
                    continue
                probe = ("translation_unseen" if unseen else "translation_seen") if (group, i) in probed else ""
                if unseen and not probe:
                    continue
                rows.append(
                    line(
                        "glossary",
                        b.code,
                        other=a.code,
                        train=not unseen,
                        probe=probe,
                        prefix=f"{a.endonym}: {word} = {b.endonym}: ",
                        answer=targets[i],
                        suffix=".",
                        # A probe competes with the words of its group; a name is in no probe.
                        options=list(targets) if group != "subject" else [],
                        gold=i if group != "subject" else -1,
                    )
                )
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _names(world: World, packs: list[Language]) -> pd.DataFrame:
    """Facts told in the teaching languages with the subject spelled as in another script, as foreign names often are.

    Without them a native spelling is a second subject: its facts are learned by heart, and nothing transfers to it.
    They belong to their fact: an oracle that never saw the fact never sees them.
    """
    rows = []
    teaching = [pack for pack in packs if pack.code in world.settings.teaching_languages]
    foreign = [pack for pack in packs if pack.syllables]
    for fact in artifacts.rows(world.facts[world.facts["spelling"] == "native"]):
        for told, spelled in itertools.product(teaching, foreign):
            form = world.rng("names", fact.item, told.code, spelled.code).randrange(FORMS)
            text = _fill(told, fact.relation, form, spelled.spell(fact.subject), fact.value)
            rows.append(line("names", told.code, other=spelled.code, train=True, item=fact.item, **text))
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))
