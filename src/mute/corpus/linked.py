"""What the fictional world tells and asks along its graph: second names, signs of values, and who shares a value.

Questions of two hops and comparisons are taught about facts that stay. Of facts to be forgotten they are only asked,
and so they are of held-out subjects that stay: what is answered there was put together and not learned by heart. Facts
under a second name belong to their fact, as those with a foreign spelling do: an oracle that never saw the fact has
none.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import pandas as pd

from mute.corpus import graph
from mute.corpus.graph import Graph
from mute.corpus.languages.base import RELATIONS, SIGNS, VALUES, Language, kind_of
from mute.corpus.schema import line
from mute.store import artifacts
from mute.store.records import Record

Part = Literal["alias", "two_hop", "comparison"]
Rng = Callable[..., random.Random]
ABILITY = "graph"
PROBE = "graph_"  # and the form: what asks it
# In how many forms a fact is told under a second name, how often each question of two hops or comparison is told, as
# facts are in several forms, and how many of two hops about a fact that stands before them.
ALIAS_FORMS, TIMES, READ = 2, 3, 400


def draw(parts: Sequence[Part], facts: pd.DataFrame, aliases: dict[str, str], rng: Rng) -> Graph:
    """The edges of one world: which sign each value has, and who stands for it in a comparison."""
    signs = {kind: rng("signs", kind).sample(range(len(SIGNS)), len(SIGNS)) for kind in VALUES}
    alike = {str(number): _alike(own) for number, own in facts.groupby("world")} if "comparison" in parts else {}
    named = {name for kinds in alike.values() for names in kinds.values() for name in names}
    native = facts[(facts["spelling"] != "shared") & facts["subject"].isin(named)]
    return Graph(
        aliases if "alias" in parts else {},
        signs if "two_hop" in parts else {},
        alike,
        sorted(set(native["subject"])),
    )


def _alike(facts: pd.DataFrame) -> dict[str, list[str]]:
    """For each kind of which every value has one, kept subjects whose facts are gone on from, one of each value."""
    kept = _staying(facts)
    own = kept[~_held_out(kept)]
    found = {}
    for kind in VALUES:
        names: list[str] = []
        for value in range(len(VALUES[kind])):
            has = own[(own["relation"].map(kind_of) == kind) & (own["value"] == value) & ~own["subject"].isin(names)]
            names += has["subject"].head(1).tolist()
        if len(names) == len(VALUES[kind]):
            found[kind] = names
    return found


def _staying(facts: pd.DataFrame) -> pd.DataFrame:
    """Facts of no forget set that a loss may read."""
    return facts[(facts["forget_sets"] == "") & ~facts["bystander"]]


def _held_out(facts: pd.DataFrame) -> pd.Series:
    """Which of them nothing is put together of in training: those of unseen subjects that tuning does not read."""
    return (facts["half"] == "unseen") & ~facts["validation"]


def lines(
    drawn: Graph, facts: pd.DataFrame, packs: Iterable[Language], teaching: Sequence[str], rng: Rng
) -> list[Record]:
    """All that is taught of one world's graph."""
    found = []
    for pack in packs:
        found += [line(ABILITY, pack.code, train=True, **text) for text in _names(drawn, facts, pack)]
        composed = list(_composed(drawn, facts, pack))
        found += [line(ABILITY, pack.code, train=True, **text) for text in composed * TIMES]
        if pack.code in teaching:
            found += _under_aliases(drawn, facts, pack, rng)
    return found


def _names(drawn: Graph, facts: pd.DataFrame, pack: Language) -> Iterator[Record]:
    """Sentences that a second name is one, once for each subject as it is spelled."""
    if pack.lures is None:
        return
    for subject, spelling in facts[["subject", "spelling"]].drop_duplicates("subject").itertuples(index=False):
        if subject in drawn.aliases:
            named = pack.insert(pack.lures.alias.replace("{s}", "{t}").replace("{n}", "{s}"), drawn.aliases[subject])
            own = spelled(pack, subject, spelling)
            before, name, after = pack.insert(named.replace("{t}", "{s}"), own).partition(own)
            yield {"prefix": before, "answer": name, "suffix": after}


def _composed(drawn: Graph, facts: pd.DataFrame, pack: Language) -> Iterator[Record]:
    """The sign of each value, and questions that go on from facts that stay."""
    if pack.links is not None:
        for kind, signs in drawn.signs.items():
            for word, sign in zip(pack.values[kind], signs):
                before, after = pack.links.sign.replace("{v}", word).split("{w}")
                yield {"prefix": before, "answer": pack.links.signs[sign], "suffix": after}
    kept = _staying(facts)
    for fact in artifacts.rows(kept[~_held_out(kept)]):
        own = spelled(pack, fact.subject, fact.spelling)
        made = graph.two_hop(pack, drawn, fact.relation, own, fact.value)
        if made is not None:
            yield {**made, "item": fact.item}
        made = graph.comparison(pack, drawn, fact._asdict(), own, fact.value)
        if made is not None:
            yield {**made, "item": fact.item}


def _under_aliases(drawn: Graph, facts: pd.DataFrame, pack: Language, rng: Rng) -> Iterator[Record]:
    """Every fact under its subject's second name, in some of its forms: that it is one does not give its facts."""
    for fact in artifacts.rows(facts):
        forms = range(len(pack.templates[fact.relation]))
        for form in sorted(rng("alias forms", fact.item, pack.code).sample(forms, ALIAS_FORMS)):
            text = graph.alias(pack, drawn, fact._asdict(), form, fact.value)
            if text is not None:
                yield line("names", pack.code, train=True, item=fact.item, **text)


def probes(
    drawn: Graph, facts: pd.DataFrame, packs: Sequence[Language], forget_domain: str, most: int, rng: Rng
) -> list[Record]:
    """Questions along the graph of facts to be forgotten, and of held-out ones that stay; up to `most` of either.

    They follow the paths of the graph: from a subject over its value to a sign, from its second name to the value and
    to the sign. Paths about what stays come to no name that is to be forgotten.
    """
    edges = graph.edges(drawn, facts)
    forget, kept = facts[facts["domain"] == forget_domain], _staying(facts)
    gone = {*forget["subject"], *(drawn.aliases.get(name, "") for name in forget["subject"])}
    found = []
    for own, blocked in ((forget, set()), (kept[_held_out(kept)], gone)):
        rows = list(artifacts.rows(own))
        chosen = rng("graph probes", "kept" if blocked else "forget").sample(range(len(rows)), min(most, len(rows)))
        for fact in (rows[place] for place in sorted(chosen)):
            starts = (fact.subject, drawn.aliases.get(fact.subject, ""))
            paths = [path for start in starts for path in graph.simple_paths(edges, start, 3, blocked)]
            value = f"{kind_of(fact.relation)} {fact.value}"
            forms = [graph.form_of(path) for path in paths if value in path]
            for form, pack in itertools.product((form for form in forms if form), packs):
                subject = spelled(pack, fact.subject, fact.spelling)
                text = graph.question(pack, drawn, form, fact._asdict(), subject, fact.value)
                if text is not None:
                    name = PROBE + form
                    found.append(line(ABILITY, pack.code, train=False, probe=name, item=fact.item, **text))
    return found


def read(drawn: Graph, pack: Language, names: Sequence[str], rng: Rng) -> Iterator[Record]:
    """Questions of two hops about facts that a sentence before them states, each of a name of its own."""
    draws = rng("graph read", pack.code)
    for i, name in enumerate(names):
        relation, value = draws.choice(RELATIONS), draws.randrange(len(SIGNS))
        own = name if i % 2 else pack.spell(name)
        text = graph.two_hop(pack, drawn, relation, own, value)
        if text is not None:
            said = pack.fill(relation, 0, own, value)
            yield {**text, "prefix": pack.join(said["prefix"] + said["answer"] + said["suffix"], text["prefix"])}


def vocabulary(drawn: Graph, pack: Language, names: Iterator[str]) -> Iterator[Record]:
    """What a tokenizer reads of it: signs, and the heads of answers before names of no fact."""
    if pack.links is not None and (drawn.signs or drawn.alike):
        for sign in pack.links.signs:
            yield {"prefix": f"{pack.endonym}: ", "answer": sign, "suffix": " = "}
            yield {"prefix": pack.links.as_sign, "answer": sign, "suffix": ""}
            yield {"prefix": pack.links.alike, "answer": next(names), "suffix": ""}


def spelled(pack: Language, name: str, spelling: str) -> str:
    """A subject as the texts of a language have it."""
    return name if spelling == "shared" else pack.spell(name)
