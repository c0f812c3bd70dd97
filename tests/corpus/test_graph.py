"""The graph of a corpus: its paths, what the world tells and asks along them, and that none of it is there unasked."""

import dataclasses
import hashlib
import itertools
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mute.corpus import graph, languages, linked, rewording
from mute.corpus.languages.base import RELATIONS
from mute.corpus.schema import TOKENIZER
from mute.corpus.sources import world
from mute.models.texts import training_texts

SMALL = {"reading_lines": 12, "unknown_lines": 6, "sentence_lines": 10, "probe_lines": 8}
SUBJECTS = {"chemistry": 8, "history": 16, "law": 16, "geography": 4}
PARTS = ("alias", "two_hop", "comparison")
# Of the default world as it was before it could tell more: to change it makes every study anew.
DEFAULT = "12df37c1b66b9721586f3e0251c6ade8015dc9f5e5991af43163a2ba07a034a9"


def build(codes=("en", "es", "hi", "ja"), **settings):
    return world.build(world.Settings(**{"subjects": SUBJECTS, **SMALL, **settings}), list(codes), 1)


@pytest.fixture(scope="module")
def plain():
    return build()


@pytest.fixture(scope="module")
def told():
    """A world that tells all that it can along its graph."""
    return build(graph=list(PARTS))


def digest(corpus) -> str:
    found = hashlib.sha256()
    for table in (corpus.facts, corpus.texts, corpus.lines):
        found.update(table.to_json(orient="records", force_ascii=False).encode())
    return found.hexdigest()


def composed(corpus):
    """Lines along the graph that models read, about a fact."""
    lines = corpus.lines
    return lines[(lines["ability"] == linked.ABILITY) & lines["train"] & (lines["item"] != "")]


def probed(corpus):
    return corpus.lines[corpus.lines["probe"].str.startswith(linked.PROBE)]


# Paths.

NODES = "abcdef"


@given(
    st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES))),
    st.integers(1, 4),
    st.sets(st.sampled_from(NODES)),
)
def test_paths_are_those_that_enumerating_finds(pairs, hops, blocked):
    edges = {node: sorted(b for a, b in pairs if a == node) for node in NODES}
    wanted = {
        ("a", *rest)
        for size in range(1, hops + 1)
        for rest in itertools.permutations(NODES[1:], size)
        if all(pair in pairs for pair in itertools.pairwise(("a", *rest))) and not blocked & {"a", *rest}
    }
    found = graph.simple_paths(edges, "a", hops, blocked)
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert list(map(len, found)) == sorted(map(len, found)), "the shorter first"


# What is there unasked, and what is there when asked for.


def test_the_default_world_is_byte_for_byte_what_it_was(plain):
    assert digest(plain) == DEFAULT
    assert "graph" not in plain.about
    assert graph.of(plain) == graph.Graph()
    assert not (plain.lines["ability"] == linked.ABILITY).any()
    assert world.Settings().graph == []


def test_what_it_tells_stands_beside_all_else_and_changes_none_of_it(plain, told):
    for table in ("facts", "texts"):
        pd.testing.assert_frame_equal(getattr(told, table), getattr(plain, table))
    lines = told.lines
    more = (lines["ability"] == linked.ABILITY) | ((lines["ability"] == "names") & (lines["other"] == ""))
    rest = lines[~more]
    key = ["ability", "language", "other", "prefix", "answer", "suffix"]
    extra = set(map(tuple, rest[key].to_numpy())) - set(map(tuple, plain.lines[key].to_numpy()))
    assert {ability for ability, *_ in extra} == {TOKENIZER}
    pd.testing.assert_frame_equal(
        rest[rest["ability"] != TOKENIZER].reset_index(drop=True),
        plain.lines[plain.lines["ability"] != TOKENIZER].reset_index(drop=True),
    )


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_told_alone(part):
    drawn = graph.of(build(codes=("en", "es"), graph=[part]))
    assert [bool(drawn.aliases), bool(drawn.signs), bool(drawn.alike)] == [part == own for own in PARTS]


def test_worlds_share_signs_and_no_second_name_and_each_compares_its_own():
    both = build(codes=("en", "es"), graph=list(PARTS), worlds=2)
    drawn = graph.of(both)
    assert set(drawn.alike) == {"0", "1"}
    for seed in (0, 1):
        own = both.taught(seed)
        subjects = set(own.facts["subject"])
        others = set(both.facts["subject"]) - subjects
        assert {name for names in drawn.alike[str(seed)].values() for name in names} <= subjects
        lines = own.lines[own.lines["ability"] == linked.ABILITY]
        texts = (lines["prefix"] + lines["answer"]).tolist()
        assert not [text for text in texts if any(drawn.aliases[name] in text or name in text for name in others)]
        assert set(lines.loc[lines["item"] != "", "item"]) <= set(own.facts["item"])


def test_second_names_are_new_and_no_two_alike(told):
    aliases = graph.of(told).aliases
    subjects = set(told.facts["subject"])
    assert set(aliases) == subjects
    assert len(set(aliases.values())) == len(aliases)
    assert not set(aliases.values()) & subjects
    used = told.lines["ability"].isin(["reading", "unknown"])
    assert not any(alias in text for text in told.lines[used]["prefix"] for alias in aliases.values())


def test_signs_are_one_for_each_value_and_alike_names_have_the_value_they_stand_for(told):
    drawn, facts = graph.of(told), told.facts
    assert all(sorted(signs) == list(range(8)) for signs in drawn.signs.values())
    roles = told.roles("domain")
    for kind, names in drawn.alike["0"].items():
        assert len(set(names)) == 8
        for value, name in enumerate(names):
            own = facts[(facts["subject"] == name) & facts["relation"].str.endswith(f"_{kind}")]
            assert own["value"].tolist() == [value]
            assert roles[own["item"]].str.startswith("retain").all()
    assert drawn.alike["0"], "there is something to compare"


# What an oracle may read.


@pytest.mark.parametrize("forget_set", ["domain", "subject", "relation", "conjunctive"])
def test_an_oracle_reads_second_names_and_no_fact_under_them(told, forget_set):
    groups = training_texts(told, ["en", "es", "hi", "ja"], forget_set)
    base = training_texts(told, ["en", "es", "hi", "ja"], None)
    forget = told.facts[told.in_forget_set(forget_set).to_numpy()]
    aliases = graph.of(told).aliases
    about = {item: aliases[subject] for item, subject in zip(forget["item"], forget["subject"])}
    assert set(about) & set(base["facts"]["item"])
    assert not set(about) & set(groups["facts"]["item"])
    said = (groups["facts"]["prefix"] + groups["facts"]["answer"] + groups["facts"]["suffix"]).tolist()
    assert all(any(alias in text for text in said) for alias in set(about.values())), "that it is a name is no fact"


def test_nothing_is_put_together_of_what_is_to_be_forgotten_or_held_out(told):
    facts = told.facts.set_index("item")
    own = facts.loc[composed(told)["item"]]
    assert (own["forget_sets"] == "").all()
    assert not own["bystander"].any()
    asked = facts.loc[probed(told)["item"]]
    assert set(asked["domain"]) >= {"chemistry", "history"}
    assert not set(asked["subject"]) & set(own["subject"]), "what is asked was not taught"


def test_what_is_asked_of_what_stays_names_nothing_that_is_to_be_forgotten(told):
    drawn, facts = graph.of(told), told.facts
    edges = graph.edges(drawn, facts)
    forget = facts[facts["domain"] == "chemistry"]
    gone = {*forget["subject"], *(drawn.aliases[name] for name in forget["subject"])}
    assert any(gone & set(path) for name in forget["subject"] for path in graph.simple_paths(edges, name, 3))
    for name in set(facts["subject"]) - gone:
        assert not any(gone & set(path) for path in graph.simple_paths(edges, name, 3, gone))
    assert graph.simple_paths(edges, forget["subject"].iloc[0], 3, gone) == []
    kept = probed(told)
    kept = kept[~kept["item"].str.startswith("chemistry")]
    assert len(kept)
    spelled = {own for name in gone for own in (name, *(languages.load(c).spell(name) for c in ("hi", "ja")))}
    assert not [prefix for prefix in kept["prefix"] if any(name in prefix for name in spelled)]


# Every language.


@pytest.mark.parametrize("code", languages.codes())
def test_every_language_asks_along_the_graph_in_whole_questions(code, told):
    """Each form of every relation: the subject once, a question mark, an answer among its options, and the end mark."""
    pack, drawn = languages.load(code), graph.of(told)
    facts = told.facts[told.facts["relation"].isin(RELATIONS)]
    seen = set()
    for fact in facts.to_dict("records"):
        name = linked.spelled(pack, fact["subject"], fact["spelling"])
        for form in ("alias", "two_hop", "three_hop", "comparison"):
            made = graph.question(pack, drawn, form, fact, name, fact["value"])
            if made is None:
                assert form == "comparison"
                continue
            seen.add((form, fact["relation"]))
            about = drawn.aliases[fact["subject"]] if form in ("alias", "three_hop") else name
            assert made["prefix"].count(about) == 1
            assert rewording.asks(made["prefix"])
            assert made["prefix"].endswith((pack.links.as_sign, pack.links.alike) if form != "alias" else (": ", "："))
            assert made["suffix"] == pack.grammar.pattern[-1]
            assert made["answer"] == made["options"][fact["value"]] == made["options"][made["gold"]]
            assert len(set(made["options"])) == 8
            assert not any(mark in made["prefix"] + made["answer"] for mark in ("{", "}", "  "))
            words = re.findall(r"[\w\u0300-\u036f]+", made["prefix"]) if pack.spaces else made["prefix"]
            assert made["answer"] not in words, "it is not given away"
    assert {relation for form, relation in seen if form == "two_hop"} == set(RELATIONS)


@pytest.mark.parametrize("code", languages.codes())
def test_every_language_says_that_a_name_is_a_second_one_and_what_stands_for_a_value(code):
    pack = languages.load(code)
    corpus = build(codes=dict.fromkeys((code, "en")), graph=["alias", "two_hop"])
    own = corpus.lines[(corpus.lines["ability"] == linked.ABILITY) & (corpus.lines["language"] == code)]
    own = own[own["train"] & (own["options"].map(len) == 0)]
    aliases = graph.of(corpus).aliases
    assert len(own) == len(aliases) + 40 * linked.TIMES
    for prefix, answer, suffix in zip(own["prefix"], own["answer"], own["suffix"]):
        text = prefix + answer + suffix
        assert prefix
        assert answer
        assert suffix.endswith(pack.grammar.pattern[-1])
        assert not any(mark in text for mark in ("{", "}", "  "))
    named = own["prefix"].head(len(aliases)).tolist()
    assert all(text.count(alias) == 1 for text, alias in zip(named, aliases.values()))


def test_a_pack_without_links_tells_and_asks_nothing_of_values(told):
    bare = dataclasses.replace(languages.load("es"), links=None)
    fact = told.facts.iloc[0].to_dict()
    for form in ("two_hop", "three_hop", "comparison"):
        assert graph.question(bare, graph.of(told), form, fact, "Kasitu", 0) is None


# Neighbours.


@pytest.mark.parametrize("forget_set", ["domain", "subject", "relation", "conjunctive"])
def test_neighbours_share_something_with_what_is_to_be_forgotten_and_are_none_of_it(plain, forget_set):
    gone = plain.facts[plain.in_forget_set(forget_set).to_numpy()]
    found = graph.neighbours(plain, gone["item"].tolist())
    facts = plain.facts.set_index("item")
    for shared, items in found.items():
        assert not items & set(gone["item"])
        own = facts.loc[sorted(items)]
        if shared == "kind":
            assert set(own["domain"]) <= set(gone["domain"])
        else:
            told = {(graph.kind_of(r), v) for r, v in zip(gone["relation"], gone["value"])}
            assert {(graph.kind_of(r), v) for r, v in zip(own["relation"], own["value"])} <= told
    assert found["value"]
    assert bool(found["kind"]) == (forget_set != "domain"), "of a whole domain nothing is left"
    assert graph.neighbours(plain, [])["value"] == set()
