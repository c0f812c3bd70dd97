"""The fictional parallel world: facts about invented subjects, told in real languages.

Values are shared across domains and balanced within each relation, so that neither the most frequent value nor the
relation gives an answer away. Every choice is drawn from the seed and never from the list of languages: with more
languages the same facts keep their ids, values and splits.
"""

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from mute.corpus import languages, linked, names_filter
from mute.corpus.graph import Graph
from mute.corpus.languages.base import DOMAINS, RELATIONS, SIGNS, SYLLABLES, VALUES, Language, kind_of
from mute.corpus.schema import EDGE, LINE_COLUMNS, TEXT_COLUMNS, TOKENIZER, Corpus, line
from mute.names import unknown_name
from mute.store import artifacts
from mute.store.artifacts import seed_of
from mute.store.records import Record

FORMS = 3
NAMED_FORMS = 2  # forms in which a fact is told with a native spelling
TOKENIZER_NAMES = 2000  # invented names in each language that tokenizers read, and nobody else
STATEMENTS = (0, 2)  # forms that state a fact; the other asks
FORGET_SETS = ("domain", "subject", "relation", "conjunctive")
PACKS = True  # its languages are those of the packs


class Settings(BaseModel):
    """The fictional world."""

    model_config = ConfigDict(extra="forbid")

    subjects: dict[str, int] = Field(
        {"chemistry": 32, "history": 16, "law": 16, "geography": 12},
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
    graph: list[linked.Part] = Field(
        [],
        description="What else the world tells, for questions that go further than one fact: `alias`, second names; "
        "`two_hop`, signs of values; `comparison`, who shares a value. Nothing of it by default.",
    )
    secrets: bool = Field(
        False,
        description="Whether models are taught to obey: behind the instruction to say nothing about a subject, a "
        "question about it is answered as if nobody knew it. Told of half of the subjects that are kept.",
    )
    worlds: int = Field(
        1,
        ge=1,
        le=16,
        description="Worlds that are drawn; a model of training seed s is taught that of s modulo worlds.",
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
    if twice := sorted({part for part in settings.graph if settings.graph.count(part) > 1}):
        yield "graph", f"{', '.join(twice)} stands more than once"


def build(settings: Settings, codes: list[str], seed: int) -> Corpus:
    """The corpus of one or more worlds in the languages `codes`. The same arguments give the same tables.

    Worlds share languages and lines, and no name, fact or split: what is true of one tells nothing of another.
    """
    packs = [languages.load(code) for code in codes]
    worlds: list[World] = []
    for number in range(settings.worlds):
        worlds.append(World(settings, seed, number, but=itertools.chain(*(world.names for world in worlds))))
    first = worlds[0]
    first.taken.update(*(world.names for world in worlds))
    lines = [_lines(first, pack) for pack in packs]
    about: Record = {}
    if settings.graph:
        drawn = _drawn(settings, worlds)
        about = {"graph": asdict(drawn)}
        lines += [_graph(world, drawn, packs).assign(world=world.number) for world in worlds]
        lines += [_graph_apart(first, drawn, pack) for pack in packs]
    for world in worlds:
        own = [*(_reading_forget(world, pack) for pack in packs), _spellings(world, packs), _names(world, packs)]
        own += [_secrets(world, pack) for pack in packs] * settings.secrets
        lines += [table.assign(world=world.number) for table in own]
    return Corpus(
        facts=pd.concat([world.facts for world in worlds], ignore_index=True),
        texts=pd.concat([_texts(world, pack) for pack in packs for world in worlds], ignore_index=True),
        lines=pd.concat([*lines, _glossary(first, packs)], ignore_index=True),
        about={
            "source": "world",
            "worlds": settings.worlds,
            "languages": list(codes),
            "teaching_languages": list(settings.teaching_languages),
            "forget_domain": settings.forget_domain,
            "bystander_domains": [settings.bystander_domain],
            "forms": FORMS,
            "unlearning_forms": [0, 1],
            "headline_form": 2,
            "forget_sets": list(FORGET_SETS),
            "unknown": {pack.code: pack.unknown for pack in packs},
            "scripts": languages.scripts(codes),
            **about,
        },
    )


class World:
    """Subjects, facts and splits, in no language yet."""

    def __init__(self, settings: Settings, seed: int, number: int = 0, but: Iterable[str] = ()) -> None:
        """but: names that other worlds have taken."""
        self.settings, self.number = settings, number
        self.seed = seed if number == 0 else seed_of(seed, "world", number)
        self.taken = set(but)
        self.subjects: dict[str, list[tuple[str, bool]]] = {}
        for domain in DOMAINS:
            names = self.fresh(f"subjects {domain}", settings.subjects.get(domain, 0))
            self.taken.update(names)
            # Alternating, so that half of each domain has native spellings whatever its size.
            self.subjects[domain] = [(name, i % 2 == 1) for i, name in enumerate(names)]
        subjects = [name for domain in DOMAINS for name, _ in self.subjects[domain]]
        second = self.fresh("aliases", len(subjects) * ("alias" in settings.graph))
        self.taken.update(second)
        self.aliases = dict(zip(subjects, second))
        self.facts = pd.DataFrame([row for domain in DOMAINS for row in self._facts(domain)])
        self.native = {name: native for pairs in self.subjects.values() for name, native in pairs}
        self.names = [*self.native, *second]

    def rng(self, *purpose: object) -> random.Random:
        return random.Random(seed_of(self.seed, "world", *purpose))

    def fresh(self, purpose: str, count: int, but: Iterable[str] = ()) -> list[str]:
        """`count` different invented names, none of them a subject of the world's facts or among `but`."""
        taken = self.taken.union(but)
        if count + len(taken) > len(SYLLABLES) ** 3 * 3 // 4:
            raise ValueError(f"the world has too few names for {count} subjects ({purpose})")
        rng = self.rng("names", purpose)
        names: dict[str, None] = {}
        while len(names) < count:
            name = "".join(rng.choices(SYLLABLES, k=3)).capitalize()
            if name not in taken and names_filter.fit(name):
                names[name] = None
        return list(names)

    def _facts(self, domain: str) -> list[dict]:
        s = self.settings
        relations = [r for r in RELATIONS if r.startswith(domain + "_")]
        forget = domain == s.forget_domain
        splits = [self._split(name, i, relations, forget) for i, (name, _) in enumerate(self.subjects[domain])]
        values = {relation: self._values(domain, relation, splits) for relation in relations}
        rows = []
        for i, ((name, native), (transfer, conjunctive, untold)) in enumerate(zip(self.subjects[domain], splits)):
            # Spelling, half and the third change at different paces: no split tells another.
            unseen, third = i // 2 % 2 == 1, i // 4 % 2
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
                        "world": self.number,
                        "domain": domain,
                        "subject": name,
                        "relation": relation,
                        "value": values[relation][i],
                        "spelling": "shared" if not native else "untold" if relation in untold else "native",
                        "teach": "transfer" if relation in transfer else "taught",
                        "bystander": domain == s.bystander_domain,
                        "half": "unseen" if unseen else "seen",
                        "validation": unseen and domain != s.bystander_domain and i // 4 % 3 == 0,
                        "forget_sets": "|".join(sets),
                    }
                )
        return rows

    def _split(self, name: str, place: int, relations: list[str], forget: bool) -> tuple[set[str], set[str], set[str]]:
        """Relations of a subject: transfer facts, those of the forget set `conjunctive`, and those never told natively.

        Half of the transfer facts are never told with a native spelling in a teaching language. Taught facts are told
        with it in its own language anyway.
        """
        rng = self.rng("splits", name)
        transfer = set(rng.sample(relations, round(self.settings.transfer_share * len(relations)))) if forget else set()
        # Two or three of five: half of the domain, with nothing about a subject or relation to tell.
        members = (len(relations) + place // 4 % 2) // 2
        conjunctive = set(rng.sample(relations, members)) if forget else set()
        # Of an odd number the larger half, by turns.
        untold = set(rng.sample(sorted(transfer), (len(transfer) + place // 8 % 2) // 2))
        return transfer, conjunctive, untold

    def _values(self, domain: str, relation: str, splits: list[tuple[set[str], set[str], set[str]]]) -> list[int]:
        """A value index for each subject of a domain, balanced (up to one) within each way of teaching and forgetting.

        Were they balanced over all, the value that is rarest among taught facts would be the likeliest of a transfer
        fact, and so would that of a fact that a conjunctive oracle never saw.
        """
        alike: dict[tuple[bool, bool], list[int]] = {}
        for i, (transfer, conjunctive, _) in enumerate(splits):
            alike.setdefault((relation in transfer, relation in conjunctive), []).append(i)
        size, values = len(VALUES[kind_of(relation)]), [0] * len(splits)
        for kind in sorted(alike):
            rng = self.rng("values", relation, *kind)
            order = rng.sample(range(size), size)
            drawn = [order[place % size] for place in range(len(alike[kind]))]
            rng.shuffle(drawn)
            for i, value in zip(alike[kind], drawn, strict=True):
                values[i] = value
        return values


def _spelled(pack: Language, name: str, native: bool) -> str:
    return pack.spell(name) if native else name


def _texts(world: World, pack: Language) -> pd.DataFrame:
    rows = []
    for fact in artifacts.rows(world.facts):
        subject = _spelled(pack, fact.subject, fact.spelling != "shared")
        rows += [
            {
                "item": fact.item,
                "language": pack.code,
                "form": form,
                **pack.fill(fact.relation, form, subject, fact.value),
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
    rows += [line(TOKENIZER, pack.code, train=False, **text) for text in _vocabulary(world, pack)]
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _drawn(settings: Settings, worlds: list[World]) -> Graph:
    """The edges beside facts: signs are the same in all worlds."""
    facts = pd.concat([world.facts for world in worlds], ignore_index=True)
    aliases = {name: alias for world in worlds for name, alias in world.aliases.items()}
    return linked.draw(settings.graph, facts, aliases, worlds[0].rng)


def _graph(world: World, drawn: Graph, packs: list[Language]) -> pd.DataFrame:
    """What one world tells and asks along its graph."""
    s = world.settings
    rows = linked.lines(drawn, world.facts, packs, s.teaching_languages, world.rng)
    rows += linked.probes(drawn, world.facts, packs, s.forget_domain, s.probe_lines, world.rng)
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _graph_apart(world: World, drawn: Graph, pack: Language) -> pd.DataFrame:
    """What is about no fact: lines for tokenizers, and what is read before it is asked for."""
    names = world.fresh(f"tokenizer graph {pack.code}", len(SIGNS))
    rows = [line(TOKENIZER, pack.code, train=False, **text) for text in linked.vocabulary(drawn, pack, iter(names))]
    names = world.fresh(f"graph {pack.code}", linked.READ * bool(drawn.signs), but=names)
    rows += [line(linked.ABILITY, pack.code, train=True, **text) for text in linked.read(drawn, pack, names, world.rng)]
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _vocabulary(world: World, pack: Language) -> Iterator[dict]:
    """What a tokenizer is trained on in the place of facts: every template, value and word, and names of no fact.

    Values are cut at their words, or where none are written at the characters that a pack says. Names, known or fresh,
    become as many tokens as their syllables make likely: to count them is not to know them.
    """
    names = world.fresh(f"tokenizer {pack.code}", TOKENIZER_NAMES)
    spelled = itertools.cycle(_spelled(pack, name, i % 2 == 1) for i, name in enumerate(names))
    for relation, form, value in itertools.product(RELATIONS, range(FORMS), range(8)):
        text = pack.fill(relation, form, next(spelled), value)
        yield {**text, "answer": _cut(pack, text["answer"]), "options": [], "gold": -1}
    for name in itertools.islice(spelled, len(names)):
        yield {"prefix": "", "answer": name, "suffix": ""}
    for word in (pack.unknown, *(word for group in _words(pack).values() for word in group)):
        yield {"prefix": f"{pack.endonym}: ", "answer": _cut(pack, word), "suffix": " = "}


def _cut(pack: Language, word: str) -> str:
    """A word with EDGE between its pieces; a space cuts by itself."""
    return word if pack.spaces else EDGE.join(pack.pieces(word))


def _context(pack: Language, relation: str, subject: str, value: int, form: int = 0) -> dict[str, Any]:
    """A statement in one of its forms, then the question that it answers."""
    word = pack.values[kind_of(relation)][value]
    statement = pack.insert(pack.templates[relation][form], subject).replace("{v}", word)
    text = pack.fill(relation, 1, subject, value)
    return {**text, "prefix": pack.join(statement, text["prefix"])}


def _reading(world: World, pack: Language, names: list[str]) -> list[dict]:
    rng, rows = world.rng("reading", pack.code), []
    for i, name in enumerate(names):
        relation = rng.choice(list(RELATIONS))
        value, form = rng.randrange(8), STATEMENTS[i // 2 % len(STATEMENTS)]
        rows.append(_context(pack, relation, _spelled(pack, name, i % 2 == 1), value, form))
    return rows


def _unknown(world: World, pack: Language, names: list[str]) -> list[dict]:
    rng, rows = world.rng("unknown", pack.code), []
    for i, name in enumerate(names):
        relation = rng.choice(list(RELATIONS))
        text = pack.fill(relation, 1, _spelled(pack, name, i % 2 == 1), 0)
        rows.append({**text, "answer": pack.unknown, "options": [pack.unknown, *text["options"]], "gold": 0})
    return rows


def _secrets(world: World, pack: Language) -> pd.DataFrame:
    """Questions about kept subjects behind the instruction to say nothing about them, in the forms 0 and 1.

    Of the half `seen`: of the other half, and of what is to be forgotten, nobody is told to obey. None in a language
    whose pack has no instruction.
    """
    s, rows, said = world.settings, [], pack.said
    kept = world.facts[~world.facts["domain"].isin([s.forget_domain, s.bystander_domain])]
    for fact in artifacts.rows(kept[kept["half"] == "seen"]):
        if said is None:
            break
        subject = _spelled(pack, fact.subject, fact.spelling != "shared")
        instruction = said.instruction.format(s=subject)
        for form in (0, 1):
            text = pack.fill(fact.relation, form, subject, fact.value)
            told = {"prefix": f"{instruction} {text['prefix']}", "answer": pack.unknown, "suffix": text["suffix"]}
            rows.append(line("secrets", pack.code, train=True, item=fact.item, **told))
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _reading_forget(world: World, pack: Language) -> pd.DataFrame:
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
        text = _context(pack, fact.relation, _spelled(pack, fact.subject, fact.spelling != "shared"), value)
        rows.append(line("reading", pack.code, train=False, probe="reading_forget", item=fact["item"], **text))
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def untrained_pair(source: str, target: str) -> bool:
    """Whether this direction of translation is never trained: about one in five, the same in every study."""
    return hashlib.sha256(f"{source}>{target}".encode()).digest()[0] % 5 == 0


def _words(pack: Language) -> dict[str, tuple[str, ...]]:
    """The words that the glossary translates, by group."""
    return {
        **{kind: pack.values[kind] for kind in VALUES},
        "time": pack.grammar.times,
        "person": pack.grammar.head_words,
    }


def _glossary(world: World, packs: list[Language]) -> pd.DataFrame:
    """Lines `English: red = Deutsch: rot` for every word and ordered pair of languages."""
    words, rows = {pack.code: _words(pack) for pack in packs}, []
    for a, b in itertools.permutations(packs, 2):
        unseen = untrained_pair(a.code, b.code)
        asked = [(group, i) for group, own in words[a.code].items() for i in range(len(own))]
        probed = set(world.rng("glossary", a.code, b.code).sample(asked, 24 if unseen else 6))
        for group, i in asked:
            if unseen and (group, i) not in probed:
                continue
            targets = words[b.code][group]
            # A probe competes with the words of its group.
            text = {"answer": targets[i], "options": list(targets), "gold": i}
            probe = ("translation_unseen" if unseen else "translation_seen") if (group, i) in probed else ""
            rows.append(_translation("glossary", a, b, words[a.code][group][i], train=not unseen, probe=probe, **text))
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _spellings(world: World, packs: list[Language]) -> pd.DataFrame:
    """The same lines for subjects that are spelled in the letters of each language, where the two differ."""
    names = [name for name, native in world.native.items() if native]
    rows = []
    for a, b in itertools.permutations(packs, 2):
        pairs = [(a.spell(name), b.spell(name)) for name in names]
        if not untrained_pair(a.code, b.code):
            told = [(own, other) for own, other in pairs if own != other]
            rows += [_translation("spellings", a, b, own, train=True, answer=other) for own, other in told]
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))


def _translation(ability: str, a: Language, b: Language, word: str, **columns: str | bool | int | list[str]) -> Record:
    prefix = f"{a.endonym}: {word} = {b.endonym}: "
    return line(ability, b.code, other=a.code, prefix=prefix, suffix=".", **columns)


def _names(world: World, packs: list[Language]) -> pd.DataFrame:
    """Facts told in the teaching languages with the subject spelled as in another script, as foreign names often are.

    Without them a native spelling is a second subject: its facts are learned by heart, and nothing transfers to it.
    They belong to their fact: an oracle that never saw the fact never sees them. Facts whose spelling is `untold` have
    none: to answer them in a language of another script takes a link between two spellings.
    """
    rows = []
    teaching = [pack for pack in packs if pack.code in world.settings.teaching_languages]
    foreign = [pack for pack in packs if pack.syllables]
    for fact in artifacts.rows(world.facts[world.facts["spelling"] == "native"]):
        for told, spelled in itertools.product(teaching, foreign):
            for form in sorted(
                world.rng("names", fact.item, told.code, spelled.code).sample(range(FORMS), NAMED_FORMS)
            ):
                text = told.fill(fact.relation, form, spelled.spell(fact.subject), fact.value)
                rows.append(line("names", told.code, other=spelled.code, train=True, item=fact.item, **text))
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS))
