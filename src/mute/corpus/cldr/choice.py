"""Which of CLDR's facts a corpus asks, which only beside them, and which of them are to be forgotten."""

from collections import Counter
from collections.abc import Collection, Iterable
from functools import cache

from mute.corpus.cldr import read, shared
from mute.corpus.cldr.read import Fact
from mute.store.artifacts import seed_of


@cache
def read_off() -> frozenset[str]:
    """Ids of facts whose answer shares a word stem with the country's name in some language that has a pack."""
    found = set()
    for fact in read.facts():
        for own in read.names().values():
            if shared.stem_shared(own.pack, own.country(fact.country), own.answer(fact.relation, fact.answer)):
                found.add(fact.id)
                break
    return frozenset(found)


def told_elsewhere(facts: Iterable[Fact], forgettable: Collection[str]) -> set[str]:
    """Ids of facts in whose names another fact's answer stands, in any language, if its relation is `forgettable`.

    In Indonesian the language of Spain has the country's name: who reads of the continent of Spain reads that answer.
    """
    facts = list(facts)
    answers = {(fact.relation, fact.answer) for fact in facts if fact.relation in forgettable}
    found = set()
    for own in read.names().values():
        words = {key: own.answer(*key) for key in answers}
        for fact in facts:
            texts = (own.country(fact.country), own.answer(fact.relation, fact.answer))
            others = (word for key, word in words.items() if key != (fact.relation, fact.answer))
            if any(shared.contains(own.pack, text, word) for word in others for text in texts):
                found.add(fact.id)
    return found


def limited(facts: Iterable[Fact], limit: int | None, seed: int) -> list[Fact]:
    """At most so many facts of each relation, drawn by their ids, in the order given."""
    facts = list(facts)
    if limit is None:
        return facts
    kept: set[str] = set()
    for relation in {fact.relation for fact in facts}:
        ids = [fact.id for fact in facts if fact.relation == relation]
        kept.update(sorted(ids, key=lambda id: seed_of(seed, "cldr", "limit", id))[:limit])
    return [fact for fact in facts if fact.id in kept]


def by_answer(facts: Iterable[Fact], seed: int) -> set[str]:
    """Ids of about half of the facts, so that no answer of one half is an answer of the other.

    Answers are dealt out from the most frequent on, each to the half that has fewer facts, and by lot where they have
    the same.
    """
    facts = list(facts)
    count = Counter(fact.answer for fact in facts)
    order = sorted(count, key=lambda answer: (-count[answer], seed_of(seed, "cldr", "answer", answer)))
    sizes, sides = [0, 0], {}
    for answer in order:
        lot = seed_of(seed, "cldr", "side", answer) % 2
        sides[answer] = lot if sizes[0] == sizes[1] else sizes.index(min(sizes))
        sizes[sides[answer]] += count[answer]
    return {fact.id for fact in facts if sides[fact.answer] == 0}


def by_country(facts: Iterable[Fact], seed: int) -> set[str]:
    """Ids of the facts of half of the countries, so that the halves have the same answers as far as they can.

    Countries of the same answers stand side by side, in an order drawn by lot, and every second one is taken.
    """
    facts = list(facts)
    answers: dict[str, dict[str, str]] = {}
    for fact in facts:
        answers.setdefault(fact.country, {})[fact.relation] = fact.answer
    relations = sorted({fact.relation for fact in facts}, reverse=True)

    def place(country: str) -> tuple[list[str], int]:
        own = [answers[country].get(relation, "") for relation in relations]
        return own, seed_of(seed, "cldr", "country", country)

    taken = set(sorted(answers, key=place)[seed_of(seed, "cldr", "first") % 2 :: 2])
    return {fact.id for fact in facts if fact.country in taken}


def options(fact: Fact, facts: Iterable[Fact], count: int, seed: int) -> list[str]:
    """Codes of the answers that a fact is asked with, its own among them, in an order drawn by its id.

    Wrong ones are the answers of other facts of the relation, drawn as often as they are right there: an answer is not
    given away by being the usual one. None is right too, and no two are alike in any language.
    """
    others = [other for other in facts if other.relation == fact.relation and other.id != fact.id]
    chosen = [fact.answer]
    for other in sorted(others, key=lambda other: seed_of(seed, "cldr", "options", fact.id, other.id)):
        if len(chosen) == count:
            break
        if other.answer not in fact.right and not any(_alike(fact.relation, other.answer, c) for c in chosen):
            chosen.append(other.answer)
    return sorted(chosen, key=lambda code: seed_of(seed, "cldr", "order", fact.id, code))


@cache
def _alike(relation: str, one: str, other: str) -> bool:
    """Whether two answers are one in some language, or one begins the other there."""
    return any(shared.clash(own.answer(relation, one), own.answer(relation, other)) for own in read.names().values())
