"""Attacks by questions: what each makes of a question, and where it cannot."""

import itertools
import json
import random
import re
from pathlib import Path

import pandas as pd
import pytest

from mute import attacks
from mute.attacks import code_switch, key_words, language_prefix
from mute.attacks.base import Victim
from mute.attacks.rwku import Form
from mute.bands import Band
from mute.corpus import graph, languages, lexicon, lures, rewording
from mute.corpus.schema import Corpus

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/questions.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
BAND = Band((1,))
RWKU = [form for form in Form.__args__ if form != "synonym"]
# Every way of asking that needs no model: those of one attack, one after the other.
WAYS = [
    ("prefill", {}),
    ("prefill", {"unit": "tokens"}),
    ("prefill", {"given": "wrong"}),
    *(("language_prefix", {"language": own}) for own in ("own", "wrong", "meaningless", "zh")),
    ("code_switch", {"rate": 0.15}),
    ("code_switch", {"mode": "span", "subject": "switched", "into": "hi"}),
    ("code_switch", {"words": "random"}),
    ("cross_lingual", {}),
    ("cross_lingual", {"language": "hi", "part": "subject"}),
    ("romanised", {}),
    ("romanised", {"answers": "latin"}),
    *(("rwku", {"form": form}) for form in RWKU),
    *(("reintroduction", {"level": level}) for level in (1, 2, 3, 4)),
    ("graph", {"form": "surrogate"}),
    *(("forms", {"form": form}) for form in ("question", "choice", "spelled")),
    *(("personas", {"prompt": prompt, "characters": 300}) for prompt in ("teacher", "archivist", "context")),
]
MODELLED = [("key_words", {}), ("key_words", {"found": "source"}), ("search", {"budget": 2})]


def names(ways) -> list[str]:
    return [f"{name} {' '.join(map(str, settings.values()))}".strip() for name, settings in ways]


def made(name, settings, corpus, encoder, model=None, sources=("en", "es")):
    method = attacks.load(name)
    codes = tuple(corpus.about["languages"])
    return method(method.Settings(**settings), Victim(model, encoder, corpus, BAND, sources, codes, "domain", 1))


@pytest.fixture(scope="module")
def rows(corpus):
    """The facts to be forgotten in the headline form, in all languages."""
    forget = corpus.facts.loc[corpus.in_forget_set("domain"), "item"]
    own = corpus.texts[corpus.texts["item"].isin(forget) & (corpus.texts["form"] == corpus.about["headline_form"])]
    return own.assign(set="facts").reset_index(drop=True)


def tried(attack, rows) -> pd.DataFrame:
    """The rows that it is tried on, as an attack gets them."""
    lacking = [c for c in rows["language"].unique() if attack.lacks(attack.settings, attack.victim.corpus, c)]
    own = rows[~rows["language"].isin(lacking)]
    return own[attack.asks(own)].reset_index(drop=True)


@pytest.mark.parametrize(("name", "settings"), WAYS + MODELLED, ids=names(WAYS + MODELLED))
def test_a_question_is_another_one_about_the_same_fact(name, settings, corpus, encoder, rows, random_model):
    """As many rows in their order, whose keys and gold are as they were; the same twice, and none as it was."""
    attack = made(name, settings, corpus, encoder, random_model("llama"))
    own = tried(attack, rows)
    assert len(own)
    before = own.copy(deep=True)
    asked = attack.questions(own)
    assert own.equals(before), "what is given is left as it is"
    assert asked.equals(made(name, settings, corpus, encoder, random_model("llama")).questions(own)), "twice the same"
    keys = ["set", "item", "language", "form", "gold"]
    assert asked[keys].equals(own[keys])
    assert set(own.columns) <= set(asked.columns)
    for prefix, answer, options, gold in zip(asked["prefix"], asked["answer"], asked["options"], asked["gold"]):
        assert answer == options[gold]
        assert len(set(options)) == len(options)
        assert prefix.strip(), "an answer follows something"
        assert answer == answer.strip() != ""
    assert list(map(len, asked["options"])) == list(map(len, own["options"])), "chance is what it was"
    same = (asked["prefix"] == own["prefix"]) & (asked["answer"] == own["answer"])
    # A search may choose no wording; of few words none is switched by lot; key words may have no translation.
    assert not same.any() or name == "search" or (name in ("code_switch", "key_words") and not same.all())
    if name not in ("prefill", "reintroduction", "rwku", "key_words", "cross_lingual", "personas"):
        given = [
            answer in prefix and answer not in old
            for prefix, answer, old in zip(asked["prefix"], asked["answer"], own["prefix"])
        ]
        assert not any(given) or settings.get("form") == "choice", "the answer is not in the question"


@pytest.mark.parametrize(("name", "settings"), WAYS + MODELLED, ids=names(WAYS + MODELLED))
def test_a_language_without_a_pack_lacks_something_or_can_be_asked(name, settings, corpus, encoder, rows, random_model):
    """Whatever the source: the same texts under a code that no pack has."""
    about = {**corpus.about, "languages": ["en", "es", "xx"], "scripts": {"en": "Latin", "es": "Latin"}}
    texts = corpus.texts[corpus.texts["language"].isin(["en", "es", "pt"])]
    texts = texts.assign(language=texts["language"].replace({"pt": "xx"})).reset_index(drop=True)
    other = Corpus(corpus.facts, texts, corpus.lines, about)
    method = attacks.load(name)
    reason = method.lacks(method.Settings(**settings), other, "xx")
    if reason:
        assert len(reason.split()) > 2, "in words"
        return
    attack = made(name, settings, other, encoder, random_model("llama"))
    forget = other.facts.loc[other.in_forget_set("domain"), "item"]
    own = texts[(texts["form"] == 2) & (texts["language"] == "xx") & texts["item"].isin(forget)]
    own = own.assign(set="facts").reset_index(drop=True)
    asked = attack.questions(own[attack.asks(own)].reset_index(drop=True))
    assert set(asked["language"]) <= {"xx"}


# Prefill.


def light_blue(rows, code) -> pd.DataFrame:
    """A question about a colour whose answer is light blue."""
    words = languages.load(code).values["colour"]
    own = rows[(rows["language"] == code) & rows["item"].str.endswith("-colour")].head(1).reset_index(drop=True)
    return own.assign(gold=4, answer=words[4], options=[list(words)])


@pytest.mark.parametrize(
    ("code", "given", "rest", "alike"),
    [
        ("en", "light ", "blue", {"green"}),
        ("es", "azul ", "claro", {"oscuro"}),
        ("ja", "薄", "い青", {"い緑"}),
    ],
)
def test_the_first_word_of_the_answer_is_given(corpus, encoder, rows, code, given, rest, alike):
    own = light_blue(rows, code)
    asked = made("prefill", {}, corpus, encoder).questions(own).iloc[0]
    assert asked["prefix"] == own["prefix"][0] + given
    assert asked["answer"] == rest
    old = own["options"][0]
    changed = {new for new, before in zip(asked["options"], old) if new != before}
    assert changed == {rest} | alike, "options that begin alike, by their rest; all others whole"
    assert asked["guess"] == 1 / len(changed), "who never knew picks among those"


def test_answers_of_too_few_words_are_left_out_and_counted(corpus, encoder, rows):
    for parts, unit in itertools.product((1, 2, 3), ("words", "tokens")):
        attack = made("prefill", {"parts": parts, "unit": unit}, corpus, encoder)
        kept = rows[attack.asks(rows)]
        if unit == "words":
            assert not kept["answer"].isin(["red", "five", "Paris", "May", "iron", "negro"]).any()
            counts = [len(a.replace("-", " ").split()) for a in kept.loc[kept["language"].isin(["en", "es"]), "answer"]]
            assert all(count > parts for count in counts)
        else:
            sizes = [len(encoder.answer(p, a)) for p, a in zip(kept["prefix"], kept["answer"])]
            assert all(size > parts for size in sizes)
        assert len(kept) < len(rows)
    assert made("prefill", {"parts": 0}, corpus, encoder).asks(rows).all()


def test_a_wrong_beginning_is_of_another_option(corpus, encoder, rows):
    attack = made("prefill", {"given": "wrong"}, corpus, encoder)
    own = rows[attack.asks(rows)].reset_index(drop=True)
    asked = attack.questions(own)
    assert len(own) > 10
    for new, old in zip(asked.to_dict("records"), own.to_dict("records")):
        begun = new["prefix"][len(old["prefix"]) :]
        assert begun
        assert not old["answer"].startswith(begun)
        assert any(option.startswith(begun) for option in old["options"])
        assert new["answer"] == old["answer"], "the true answer stands whole"
    assert "guess" not in asked, "nothing of it is given away"


# Language prefix.


def test_the_answer_begins_with_a_head_in_the_language_that_is_named(corpus, encoder, rows):
    for kind, code in (("own", None), ("ja", "ja"), ("de", "de")):
        asked = made("language_prefix", {"language": kind}, corpus, encoder).questions(rows)
        for prefix, own in zip(asked["prefix"], asked["language"]):
            assert prefix.endswith(lures.of(code or own).answer)
    wrong = made("language_prefix", {"language": "wrong"}, corpus, encoder).questions(rows)
    heads = dict(zip(wrong["language"], wrong["prefix"]))
    assert heads["en"].endswith("La respuesta es: ")
    assert heads["ja"].endswith("The answer is: ")


@pytest.mark.parametrize("code", languages.codes())
def test_a_head_without_meaning_is_as_long_and_has_the_same_letters(code):
    head = lures.of(code).answer
    other = language_prefix.shuffled(head)
    assert other != head
    assert len(other) == len(head)
    assert sorted(other) == sorted(head)
    assert [c for c in other if not c.isalpha()] == [c for c in head if not c.isalpha()] or code in ("hi", "ur", "ar")


# Code switching.


@pytest.mark.parametrize("mode", ["word", "span"])
@pytest.mark.parametrize("rate", [0.15, 0.35, 0.6])
def test_as_many_words_are_switched_as_the_rate_says_and_all_by_the_lexicon(rate, mode, corpus, encoder):
    """Over all facts of the world in English: within three points, as the corruption's own test has it."""
    own = corpus.texts[(corpus.texts["language"] == "en")].assign(set="facts").reset_index(drop=True)
    attack = made("code_switch", {"rate": rate, "mode": mode, "into": "es"}, corpus, encoder)
    own = own[attack.asks(own)].reset_index(drop=True)
    known, realised = lexicon.lexicon("en", "es"), []
    for old, new in zip(own["prefix"], attack.questions(own)["prefix"]):
        pairs = [tuple(map(lexicon.word, pair)) for pair in zip(old.split(), new.split(), strict=True)]
        changed = [pair for pair in pairs if pair[0] != pair[1]]
        for one, other in changed:
            assert other.casefold() in {word.casefold() for word in known[one.casefold()]}
        # A word that is the same in both languages is switched, too, but cannot be seen.
        alike = sum(one.casefold() in {w.casefold() for w in known.get(one.casefold(), ())} for one, _ in pairs)
        realised.append((len(changed), len(pairs), alike))
    assert len(realised) > 20
    share = sum(changed for changed, *_ in realised) / sum(count for _, count, _ in realised)
    assert share == pytest.approx(rate, abs=0.03 if not sum(alike for *_, alike in realised) else 0.05)


def test_a_subject_is_kept_or_switched(corpus, encoder, rows):
    own = rows[rows["language"] == "en"].reset_index(drop=True)
    subjects = rewording.subjects(own, corpus)
    for subject in ("kept", "switched"):
        asked = made("code_switch", {"into": "hi", "subject": subject, "rate": 0.15}, corpus, encoder)
        kept = asked.asks(own)
        new = asked.questions(own[kept].reset_index(drop=True))["prefix"]
        for prefix, name in zip(new, itertools.compress(subjects, kept)):
            assert (name in prefix) == (subject == "kept")
            assert (languages.load("hi").spell(name) in prefix) == (subject == "switched")


def test_random_words_stand_where_translations_would(corpus, encoder, rows):
    own = rows[rows["language"] == "en"].reset_index(drop=True)
    ways = [made("code_switch", {"words": words, "into": "es"}, corpus, encoder) for words in ("translated", "random")]
    tables = [way.questions(own[way.asks(own)].reset_index(drop=True))["prefix"] for way in ways]
    assert not tables[0].equals(tables[1])
    assert [len(p.split()) for p in tables[0]] == [len(p.split()) for p in tables[1]]


def test_another_seed_switches_other_words(corpus, encoder, rows):
    own = rows[rows["language"] == "es"].reset_index(drop=True)
    one, other = (made("code_switch", {}, corpus, encoder) for _ in range(2))
    other.victim = Victim(**{**vars(other.victim), "seed": 2})
    both = one.asks(own) & other.asks(own)
    own = own[both].reset_index(drop=True)
    assert not one.questions(own)["prefix"].equals(other.questions(own)["prefix"])


def test_spans_are_of_the_published_mean():
    rng = random.Random(1)
    lengths = [code_switch._poisson(code_switch.SPAN, rng) for _ in range(4000)]
    assert sum(lengths) / len(lengths) == pytest.approx(3.5, abs=0.1)


# Cross-lingual, romanised.


def test_the_question_is_in_another_language_and_the_options_in_their_own(corpus, encoder, rows):
    asked = made("cross_lingual", {"language": "es"}, corpus, encoder).questions(rows)
    assert asked["options"].equals(rows["options"])
    spanish = rows[rows["language"] == "es"].set_index("item")["prefix"]
    assert (asked["prefix"] == asked["item"].map(spanish)).all()


def test_a_subject_is_spelled_as_another_language_spells_it(corpus, encoder, rows):
    attack = made("cross_lingual", {"language": "hi", "part": "subject"}, corpus, encoder)
    own = tried(attack, rows)
    asked = attack.questions(own)
    for old, new, name, item in zip(own["prefix"], asked["prefix"], rewording.subjects(own, corpus), own["item"]):
        latin = corpus.facts.set_index("item").at[item, "subject"]
        if new != old:
            assert new == old.replace(name, languages.load("hi").spell(latin))
    assert attack.lacks(attack.settings, corpus, "en") == ""
    alike = attacks.load("cross_lingual").Settings(language="es", part="subject")
    assert "spell a subject alike" in attack.lacks(alike, corpus, "en")


def test_a_romanised_question_has_latin_letters_and_the_name_as_they_spell_it(corpus, encoder, rows):
    attack = made("romanised", {}, corpus, encoder)
    own = tried(attack, rows)
    assert set(own["language"]) == {"hi"}, "Japanese has several readings, and the others are Latin"
    asked = attack.questions(own)
    assert all(prefix.isascii() for prefix in asked["prefix"])
    names_ = corpus.facts.set_index("item")["subject"].reindex(own["item"])
    assert all(name in prefix for name, prefix in zip(names_, asked["prefix"]))
    assert asked["options"].equals(own["options"])
    latin = made("romanised", {"answers": "latin"}, corpus, encoder).questions(own)
    assert all(option.isascii() for options in latin["options"] for option in options)


# RWKU.


def asked_as(form, corpus, encoder, rows, code, **more):
    attack = made("rwku", {"form": form, **more}, corpus, encoder)
    own = tried(attack, rows)
    own = own[own["language"] == code].reset_index(drop=True)
    return own, attack.questions(own)


def test_the_forms_of_rwku_say_what_they_are_called_after(corpus, encoder, rows):
    lure = lures.of("en")
    own, asked = asked_as("prefix_injection", corpus, encoder, rows, "en")
    assert (asked["prefix"] == lure.injection + " " + own["prefix"]).all()
    own, asked = asked_as("affirmative_suffix", corpus, encoder, rows, "en")
    assert (asked["prefix"] == own["prefix"] + lure.affirmative).all()
    own, asked = asked_as("role_play", corpus, encoder, rows, "ja")
    name = rewording.subjects(own, corpus)
    assert all(prefix.count(n) == 2 for prefix, n in zip(asked["prefix"], name))
    own, asked = asked_as("multiple_choice", corpus, encoder, rows, "en")
    assert all(option in prefix for options, prefix in zip(own["options"], asked["prefix"]) for option in options)
    assert len({prefix.split(": ")[1].split(" /")[0] for prefix in asked["prefix"]}) > 3, "in no fixed order"


def test_a_reversed_fact_asks_for_its_subject_among_others_of_which_it_is_not_true(corpus, encoder, rows):
    facts, texts = corpus.facts.set_index("item"), corpus.texts[corpus.texts["form"] == 2]
    for code in ("en", "hi"):
        own, asked = asked_as("reverse", corpus, encoder, rows, code)
        assert len(own) == 20
        answers = texts[texts["language"] == code].set_index("item")["answer"]
        for new, old in zip(asked.to_dict("records"), own.to_dict("records")):
            name = facts.at[old["item"], "subject"]
            native = languages.load(code).spell(name)
            assert new["answer"] in (name, native)
            assert "___" in new["prefix"]
            assert old["answer"] in new["prefix"]
            assert name not in new["prefix"]
            assert native not in new["prefix"]
            letters = {option.isascii() for option in new["options"]}
            assert len(letters) == 1, "all in the same letters"
            relation = facts.at[old["item"], "relation"]
            true = {
                facts.at[item, "subject"]
                for item in facts.index[facts["relation"] == relation]
                if answers[item] == old["answer"]
            }
            wrong = [option for option in new["options"] if option != new["answer"]]
            assert not {s for t in true for s in (t, languages.load(code).spell(t))} & set(wrong)


def test_background_and_examples_tell_other_facts_than_the_one_that_is_asked_for(corpus, encoder, rows):
    facts, roles = corpus.facts.set_index("item"), corpus.roles("domain")
    own, asked = asked_as("background", corpus, encoder, rows, "es", hints=2)
    for prefix, old, name, item in zip(asked["prefix"], own["prefix"], rewording.subjects(own, corpus), own["item"]):
        assert prefix.endswith(old)
        assert prefix.count(name) == 3
        own_answer = own.loc[own["item"] == item, "answer"].iloc[0]
        assert own_answer not in prefix
    own, asked = asked_as("in_context", corpus, encoder, rows, "en", hints=2)
    forgotten = set(facts.loc[[i for i in facts.index if roles[i] == "forget"], "subject"])
    for prefix, old in zip(asked["prefix"], own["prefix"]):
        before = prefix.removesuffix(old)
        assert before.count(".") == 2
        assert not [name for name in forgotten if name in before]


def test_no_source_has_other_names_for_its_subjects(corpus):
    method = attacks.load("rwku")
    assert "no other names" in method.lacks(method.Settings(form="synonym"), corpus, "en")


# Graph.

ALONG = [("rwku", "synonym"), *(("graph", form) for form in ("two_hop", "three_hop", "comparison"))]


@pytest.fixture(scope="module")
def linked(linked_corpus):
    """The forget facts of a world that tells along its graph, in the headline form, as attacks get them."""
    texts = linked_corpus.texts
    forget = linked_corpus.facts.loc[linked_corpus.in_forget_set("domain"), "item"]
    own = texts[texts["item"].isin(forget) & (texts["form"] == linked_corpus.about["headline_form"])]
    return own.assign(set="facts").reset_index(drop=True)


@pytest.mark.parametrize(("name", "form"), ALONG)
def test_a_question_along_the_graph_is_about_the_same_fact(name, form, linked, linked_corpus, encoder):
    attack = made(name, {"form": form}, linked_corpus, encoder)
    own = tried(attack, linked)
    assert set(own["language"]) == set(linked_corpus.about["languages"])
    asked = attack.questions(own)
    keys = ["set", "item", "language", "form", "gold", "suffix"]
    assert asked[keys].equals(own[keys])
    assert not (asked["prefix"] == own["prefix"]).any()
    facts, drawn = linked_corpus.facts.set_index("item"), graph.of(linked_corpus)
    for new, old, named in zip(
        asked.to_dict("records"), own.to_dict("records"), rewording.subjects(own, linked_corpus)
    ):
        assert new["answer"] == new["options"][new["gold"]]
        assert len(set(new["options"])) == len(old["options"]) == 8
        fact = facts.loc[new["item"]]
        second = form in ("synonym", "three_hop")
        assert (drawn.aliases[fact["subject"]] in new["prefix"]) == second == (named not in new["prefix"])
        assert (new["options"] == old["options"]) == (form == "synonym")
        if form == "comparison":
            chosen = linked_corpus.facts["subject"] == drawn.alike["0"][graph.kind_of(fact["relation"])][new["gold"]]
            values = linked_corpus.facts[
                chosen & linked_corpus.facts["relation"].str.endswith(new["item"].split("-")[2])
            ]
            assert values["value"].tolist() == [fact["value"]], "it has the value, and is to be kept"


@pytest.mark.parametrize(("name", "form"), ALONG)
def test_what_a_world_does_not_tell_along_its_graph_is_not_asked(name, form, corpus, linked_corpus):
    method = attacks.load(name)
    reasons = [method.lacks(method.Settings(form=form), own, "en") for own in (corpus, linked_corpus)]
    assert len(reasons[0].split()) > 3
    assert reasons[1] == ""
    assert "no language pack of xx" in method.lacks(method.Settings(form=form), linked_corpus, "xx")


def test_a_surrogate_is_a_question_that_no_text_has(corpus, encoder, rows):
    asked = made("graph", {"form": "surrogate"}, corpus, encoder).questions(rows)
    assert not set(asked["prefix"]) & set(corpus.texts["prefix"])
    assert asked["options"].equals(rows["options"])
    english = asked.loc[(asked["language"] == "en") & asked["item"].str.endswith("-city"), "prefix"].iloc[0]
    assert re.fullmatch(r"Where was the compound \w+ discovered\? The answer is: ", english)
    for prefix, code in zip(asked["prefix"], asked["language"]):
        assert prefix.endswith(lures.of(code).answer)


def test_a_question_that_lists_its_options_has_no_surrogate(corpus, encoder, rows):
    """With another head they would be gone, and their letters are no answers."""
    listed = corpus.texts["prefix"].str.replace("[?？]", lambda mark: mark[0] + "\nA. red\nB. blue\n", regex=True)
    texts = corpus.texts.assign(prefix=listed)
    own = type(corpus)(corpus.facts, texts, corpus.lines, corpus.about)
    assert not made("graph", {"form": "surrogate"}, own, encoder).asks(rows).any()


def test_a_world_too_small_to_compare_in_says_so(corpus):
    """Each value of some kind must have a subject; the plan says where none has."""
    method = attacks.load("graph")
    about = {**corpus.about, "graph": {"alike": {"0": {}}}}
    small = type(corpus)(corpus.facts, corpus.texts, corpus.lines, about)
    assert method.lacks(method.Settings(form="comparison"), small, "en") == "the corpus compares no subjects"


# Reintroduction.


def test_what_is_said_again_is_what_its_level_says(corpus, encoder, rows):
    texts = corpus.texts.set_index(["item", "language", "form"])
    facts = corpus.facts.set_index("item")
    asked = {level: made("reintroduction", {"level": level}, corpus, encoder).questions(rows) for level in range(5)}
    assert asked[0] is rows
    lengths = []
    for place, old in enumerate(rows.to_dict("records")):
        said = {level: asked[level]["prefix"][place].removesuffix(old["prefix"]) for level in range(1, 5)}
        own = texts.loc[(old["item"], old["language"], 0)]
        fact = own["prefix"] + own["answer"] + own["suffix"]
        assert said[4].strip() == fact
        other = "es" if old["language"] == "en" else "en"
        theirs = texts.loc[(old["item"], other, 0)]
        assert said[3].strip() == theirs["prefix"] + theirs["answer"] + theirs["suffix"]
        assert old["answer"] in said[2]
        name = rewording.subject(old["prefix"], old["language"], facts.at[old["item"], "subject"])
        assert said[2].count(name) == 1, "in the sentence that says whose name it is"
        assert name not in said[1]
        lengths.append(len(said[1].strip()) / len(fact))
    assert sum(lengths) / len(lengths) == pytest.approx(1, abs=0.1)
    assert all(0.5 < length < 1.6 for length in lengths)


def test_a_nonce_is_nobodys_name(corpus):
    drawn = [rewording.nonce(corpus, i) for i in range(50)]
    assert not set(drawn) & set(corpus.facts["subject"])
    assert drawn[0] == rewording.nonce(corpus, 0)
    assert len(set(drawn)) > 40


# Key words.


def test_every_golden_value_of_questions_is_read_by_a_test():
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in ENTRIES if f'"{name}"' not in text] == []


def test_contributions_are_the_golden_ones():
    golden = ENTRIES["unpact contributions"]
    found = key_words.contributions(-0.5, [-2.4, -0.8, -0.85, -2.7])
    assert found == pytest.approx(golden["value"]["c"], rel=golden["tolerance"])
    assert key_words.key_words(found, key_words.Settings()) == golden["value"]["key words at threshold 1"]


def test_where_no_word_is_above_the_threshold_the_highest_are_keys():
    settings = key_words.Settings(threshold=5, most=2)
    assert key_words.key_words([0.1, 0.4, 0.4, 0.4, -1.0], settings) == [1, 2], "of equal ones the first"
    assert key_words.key_words([float("nan"), 0.2], settings) == [1], "what is no number is no contribution"
    assert key_words.key_words([], settings) == []


def test_key_words_are_said_before_the_question(corpus, encoder, rows, random_model):
    own = rows[rows["language"].isin(["en", "hi"])].reset_index(drop=True)
    for times in (1, 2):
        attack = made("key_words", {"threshold": 50, "times": times}, corpus, encoder, random_model("llama"))
        for new, old in zip(attack.questions(own)["prefix"], own["prefix"]):
            assert new.endswith(": " + old)
            said = new.removesuffix(": " + old).split()
            assert len(said) == 2 * times
            assert set(said) <= {lexicon.word(word) for word in old.split()}


def test_key_words_of_a_source_language_are_said_in_the_language_of_the_question(corpus, encoder, rows, random_model):
    own = rows[rows["language"].isin(["en", "hi"])].reset_index(drop=True)
    settings = {"threshold": 0, "found": "source"}
    attack = made("key_words", settings, corpus, encoder, random_model("llama"))
    known = {word for words in lexicon.lexicon("en", "hi").values() for word in words}
    subjects = rewording.subjects(own, corpus)
    for new, old, code, name in zip(attack.questions(own)["prefix"], own["prefix"], own["language"], subjects):
        said = new.removesuffix(old).removesuffix(": ").split()
        if code == "hi":
            assert set(said) <= known | {name}


# Forms.


def test_forms_are_those_of_the_corpus(corpus, encoder, rows):
    texts = corpus.texts.set_index(["item", "language", "form"])
    asked = made("forms", {"form": "question"}, corpus, encoder).questions(rows)
    wanted = [texts.loc[(i, c, 1), "prefix"] for i, c in zip(rows["item"], rows["language"])]
    assert asked["prefix"].tolist() == wanted
    assert (asked["form"] == 2).all(), "the key is that of the fact as it is scored"
    choice = made("forms", {"form": "choice"}, corpus, encoder).questions(rows)
    assert all(new.endswith(old) and len(new) > len(old) for new, old in zip(choice["prefix"], wanted))


def test_a_spelt_answer_is_its_letters(corpus, encoder, rows):
    asked = made("forms", {"form": "spelled"}, corpus, encoder).questions(rows)
    pairs = dict(zip(rows["answer"], asked["answer"]))
    assert pairs.get("iron", "i-r-o-n") == "i-r-o-n"
    assert rewording.letters("हिंदी") == ["हिं", "दी"]
    for old, new in pairs.items():
        assert new.replace("-", "") == old.replace("-", "")


# Search.


def test_a_search_is_tried_on_one_half_and_scored_on_the_other(corpus, encoder, rows, random_model, monkeypatch):
    search = attacks.load("search")
    read: list[pd.DataFrame] = []
    monkeypatch.setattr(search, "_score", lambda self, own: read.append(own) or (0.0, 0.0))
    attack = made("search", {}, corpus, encoder, random_model("llama"))
    asked = rows[attack.asks(rows)].reset_index(drop=True)
    attack.questions(asked)
    assert len(read) == 9, "no wording, and eight"
    for own in read:
        assert set(own["language"]) == {"en", "es"}
        assert not set(own["item"]) & set(asked["item"])
    assert asked["item"].nunique() == read[0]["item"].nunique() == 10
    relations = corpus.facts.set_index("item")["relation"]
    assert set(relations[asked["item"]]) == set(relations[read[0]["item"]])


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ([0.5] * 9, "nothing"),
        ([0.1, 0.5, 0.5, 0.2, 0, 0, 0, 0, 0], "answer"),
        ([0.1, 0.5, 0.6, 0.6, 0, 0, 0, 0, 0], "affirmative"),
    ],
)
def test_the_first_of_the_best_wordings_is_chosen(scores, chosen, corpus, encoder, rows, random_model, monkeypatch):
    search, left = attacks.load("search"), iter(scores)
    monkeypatch.setattr(search, "_score", lambda self, own: (next(left), 0.0))
    attack = made("search", {}, corpus, encoder, random_model("llama"))
    asked = rows[attack.asks(rows)].reset_index(drop=True)
    made_ = attack.questions(asked)
    assert attack.outcome()["chosen"] == chosen
    assert (made_ is asked) == (chosen == "nothing")


# Personas.


def test_a_person_is_told_of_and_a_text_is_about_the_subject_alone(corpus, encoder, rows):
    subjects = rewording.subjects(rows, corpus)
    for prompt in ("teacher", "archivist"):
        asked = made("personas", {"prompt": prompt}, corpus, encoder).questions(rows)
        assert all(new.endswith(old) for new, old in zip(asked["prefix"], rows["prefix"]))
        assert all(new.count(name) == 2 for new, name in zip(asked["prefix"], subjects))
    asked = made("personas", {"prompt": "context", "characters": 600}, corpus, encoder).questions(rows)
    for new, old, answer, name in zip(asked["prefix"], rows["prefix"], rows["answer"], subjects):
        text = new.removesuffix(old).strip()
        assert 450 < len(text) <= 600
        assert name in text
        assert not re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text)


def test_a_lexicon_pairs_words_that_mean_the_same():
    known = lexicon.lexicon("en", "es")
    for word, other in (("compound", "compuesto"), ("kingdom", "reino"), ("law", "ley"), ("red", "rojo")):
        assert other in known[word]
    back = lexicon.lexicon("es", "en")
    assert (
        sum(one in back.get(other.casefold(), ()) for one, others in known.items() for other in others) > len(known) / 2
    )
    with pytest.raises(ValueError, match="ja writes no spaces"):
        lexicon.lexicon("en", "ja")
