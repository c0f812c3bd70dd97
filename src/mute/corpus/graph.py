"""A corpus as a graph: second names lead to subjects, subjects to values, values to their signs and to other names.

Only the fictional world has such edges beside its facts, where its setting `graph` says so; any corpus has neighbours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mute.corpus.languages.base import kind_of

if TYPE_CHECKING:
    import pandas as pd

    from mute.corpus.languages.base import Language
    from mute.corpus.schema import Corpus
    from mute.store.records import Record

# How a question goes on from a fact, or comes to it.
Form = Literal["alias", "two_hop", "three_hop", "comparison"]
# How a fact's neighbours hang on the facts to be forgotten: the same kind of subject, or the same value.
SHARED = ("kind", "value")
ASKS = 1  # the form in which templates ask
_QUESTION_MARKS = "?؟？"


@dataclass(frozen=True)
class Graph:
    """The edges beside facts. All are empty where nothing of theirs is taught.

    aliases: second name by subject, in Latin letters everywhere. signs: by kind of value the number of each value's
    sign. alike: by world, and kind of value, for each value a kept subject that has it. native: those of them that have
    native spellings.
    """

    aliases: dict[str, str] = field(default_factory=dict)
    signs: dict[str, list[int]] = field(default_factory=dict)
    alike: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    native: list[str] = field(default_factory=list)


def of(corpus: Corpus) -> Graph:
    """The edges that a corpus has beside its facts."""
    return Graph(**corpus.about.get("graph", {}))


def simple_paths(
    edges: Mapping[str, Sequence[str]], start: str, hops: int, blocked: Collection[str] = ()
) -> list[tuple[str, ...]]:
    """All paths of 1 to `hops` edges from a node that come to no node twice and to none that is blocked.

    The shorter ones first, then in the order of the edges. None if the start itself is blocked.
    """
    found: list[tuple[str, ...]] = []
    ends: list[tuple[str, ...]] = [] if start in blocked else [(start,)]
    for _ in range(hops):
        ends = [
            (*path, node)
            for path in ends
            for node in edges.get(path[-1], ())
            if node not in path and node not in blocked
        ]
        found += ends
    return found


def edges(graph: Graph, facts: pd.DataFrame) -> dict[str, list[str]]:
    """The graph of one world's facts (subject, relation, value): names by name, values and signs as kind and number."""
    found: dict[str, list[str]] = {alias: [subject] for subject, alias in graph.aliases.items()}
    for subject, relation, value in zip(facts["subject"], facts["relation"], facts["value"]):
        found.setdefault(subject, []).append(f"{kind_of(relation)} {value}")
    for kind, signs in graph.signs.items():
        for value, sign in enumerate(signs):
            found.setdefault(f"{kind} {value}", []).append(f"sign {sign}")
    return found


def form_of(path: Sequence[str]) -> Form | None:
    """The form of question that asks for the end of a path of two or three edges; None if none does."""
    ends_in_sign = path[-1].startswith("sign ")
    if len(path) == 3:
        return "two_hop" if ends_in_sign else "alias" if " " in path[-1] else None
    return "three_hop" if len(path) == 4 and ends_in_sign else None


def question(
    pack: Language, graph: Graph, form: Form, fact: Mapping[str, Any], subject: str, value: int, wording: int = ASKS
) -> Record | None:
    """A question along the graph in a form, in the words of a pack; None where the graph or the pack lacks it.

    fact: its world, relation and subject. subject: that as it is spelled. wording: the form of the corpus in which a
    fact is asked under another name.
    """
    if form == "alias":
        return alias(pack, graph, fact, wording, value)
    if form == "comparison":
        return comparison(pack, graph, fact, subject, value)
    name = graph.aliases.get(fact["subject"]) if form == "three_hop" else subject
    return two_hop(pack, graph, fact["relation"], name, value) if name else None


def alias(pack: Language, graph: Graph, fact: Mapping[str, Any], wording: int, value: int) -> Record | None:
    """A fact under its subject's second name, in a form of the corpus; None without one."""
    name = graph.aliases.get(fact["subject"])
    return pack.fill(fact["relation"], wording, name, value) if name else None


def two_hop(pack: Language, graph: Graph, relation: str, subject: str, value: int) -> Record | None:
    """The sign of a fact's value, asked for by a name as it is spelled; options are signs in the order of values."""
    signs = graph.signs.get(kind_of(relation))
    if pack.links is None or signs is None:
        return None
    options = [pack.links.signs[sign] for sign in signs]
    return {**_asked(pack, relation, subject, value, pack.links.as_sign), "options": options, "answer": options[value]}


def comparison(pack: Language, graph: Graph, fact: Mapping[str, Any], subject: str, value: int) -> Record | None:
    """Who has the same value: the options are kept subjects, one of each value; None for one of these."""
    relation = fact["relation"]
    names = graph.alike.get(str(fact["world"]), {}).get(kind_of(relation))
    if pack.links is None or names is None or fact["subject"] in names:
        return None
    options = [pack.spell(name) if name in graph.native else name for name in names]
    made = _asked(pack, relation, subject, value, pack.links.alike)
    return {**made, "options": options, "answer": options[value]}


def _asked(pack: Language, relation: str, subject: str, value: int, head: str) -> Record:
    """The question of a fact with another head of its answer."""
    made = pack.fill(relation, ASKS, subject, value)
    return {**made, "prefix": headed(made["prefix"], head)}


def behind(prefix: str) -> str:
    """What stands behind the last question mark of a text; the text where there is none."""
    return prefix[max(prefix.rfind(mark) for mark in _QUESTION_MARKS) + 1 :]


def headed(prefix: str, head: str) -> str:
    """A question with another head of its answer behind its question mark, and the space that stands there."""
    rest = behind(prefix)
    return prefix[: len(prefix) - len(rest.lstrip())] + head


def neighbours(corpus: Corpus, forget: Collection[str]) -> dict[str, set[str]]:
    """Facts that stay and hang on some fact to be forgotten (items), by what they share with it (SHARED).

    kind: the kind of its subject (the domain). value: the same option of the same options.
    """
    facts, texts = corpus.facts, corpus.texts
    own = texts[(texts["language"] == corpus.about["languages"][0]) & (texts["form"] == corpus.about["headline_form"])]
    values = {
        item: (*options, gold) for item, options, gold in zip(own["item"], own["options"], own["gold"]) if len(options)
    }
    gone = facts["item"].isin(forget)
    domains = set(facts.loc[gone, "domain"])
    told = {values[item] for item in facts.loc[gone, "item"] if item in values}
    kept = facts[~gone]
    same_kind = set(kept.loc[kept["domain"].isin(domains), "item"])
    same_value = {item for item in kept["item"] if item in values and values[item] in told}
    return dict(zip(SHARED, (same_kind, same_value), strict=True))
