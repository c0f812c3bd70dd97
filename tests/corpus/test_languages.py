"""What every registered language pack must be, and sentences of each that were read with care."""

import itertools
import json
import random
import re
import unicodedata
from pathlib import Path

import pytest
import regex

from mute.corpus import languages
from mute.corpus.languages.base import REFUSALS, RELATIONS, SIGNS, SYLLABLES, VAGUE, VALUES, Action, Grammar
from mute.corpus.sources import world

GOLDEN = Path(__file__).parents[1] / "golden" / "sentences.json"


@pytest.fixture(params=languages.codes())
def pack(request):
    return languages.load(request.param)


def texts(pack) -> list[str]:
    """Every text of a pack."""
    grammar = pack.grammar
    found = [pack.endonym, pack.unknown, *itertools.chain(*pack.values.values(), *pack.templates.values())]
    found += [*grammar.times, *grammar.persons, *grammar.heads, *grammar.places, grammar.pattern]
    found += [text for action in grammar.actions for text in (*verbs(action), action.object)]
    return [*found, *pack.syllables.values()]


def verbs(action) -> list[str]:
    """The forms of an action's verb, one for each class of persons."""
    return [action.verb] if isinstance(action.verb, str) else list(action.verb.values())


def test_a_pack_says_everything_in_the_common_order(pack):
    assert list(pack.values) == list(VALUES)
    assert list(pack.templates) == list(RELATIONS)
    assert {kind: len(words) for kind, words in pack.values.items()} == dict.fromkeys(VALUES, 8)
    grammar = pack.grammar
    listed = ("times", "persons", "head_words", "actions", "places")
    assert {kind: len(getattr(grammar, kind)) for kind in listed} == dict.fromkeys(listed, 8)


def test_a_verb_has_a_form_for_each_class_of_persons(pack):
    grammar = pack.grammar
    assert len(grammar.classes) in (0, 8)
    for action in grammar.actions:
        assert isinstance(action.verb, str) == (not grammar.classes)
        if grammar.classes:
            assert set(action.verb) == set(grammar.classes)


def test_english_is_what_the_order_is_written_in():
    assert languages.load("en").values == VALUES


def test_a_pack_is_named_after_its_code():
    for code in languages.codes():
        assert languages.load(code).code == code
    for wrong, meant in (("dee", "de"), ("urdu", "ur"), ("hi-IN", "hi")):
        with pytest.raises(ValueError, match=f"unknown language '{wrong}'; allowed: .* Did you mean '{meant}'"):
            languages.load(wrong)
    with pytest.raises(ValueError, match="unknown language 'xx'; allowed: "):
        languages.load("xx")


def test_values_can_be_told_apart(pack):
    for words in pack.values.values():
        for one, other in itertools.permutations([*words, pack.unknown], 2):
            assert not other.startswith(one), f"{one!r} begins {other!r}"


def test_templates_name_the_subject_once_before_the_value(pack):
    for relation, templates in pack.templates.items():
        assert len(templates) == 3, relation
        for template in templates:
            before, value, after = template.partition("{v}")
            assert value, template
            found = (before.count("{s}"), after.count("{s}"), after.count("{v}"))
            assert found == (1, 0, 0), f"{relation}: {{s}} must stand once, before {{v}}, and {{v}} once: {template!r}"
            assert "{" not in before.replace("{s}", "") + after, template


def test_templates_differ(pack):
    templates = list(itertools.chain(*pack.templates.values()))
    assert not [template for template in templates if templates.count(template) > 1]
    assert len(templates) == 60


def test_texts_are_clean(pack):
    for text in texts(pack):
        assert text == unicodedata.normalize("NFC", text)
        assert "  " not in text, text
        # Python prints no ideographic space, which stands after a question mark.
        assert text.replace("\u3000", "").isprintable(), text
        assert text == text.strip() != "", text


def test_letters_belong_to_the_scripts_that_a_pack_names(pack):
    """By Unicode's own names of scripts: one that Unicode does not know is an error of `regex`."""
    letter = regex.compile("".join(f"\\p{{Script_Extensions={script}}}" for script in pack.scripts).join("[]"))
    written = {char: text for text in texts(pack) for char in re.sub(r"\{\w+\}", "", text)}
    letters = {char: text for char, text in written.items() if unicodedata.category(char)[0] in "LM"}
    strange = {f"U+{ord(char):04X} in {text!r}" for char, text in letters.items() if not letter.fullmatch(char)}
    assert not strange, f"letters of no script in {pack.scripts}"
    for script in pack.scripts:
        assert any(regex.fullmatch(rf"\p{{Script={script}}}", char) for char in letters), script


def test_a_value_is_cut_at_its_words(pack):
    for value in itertools.chain(*pack.values.values()):
        pieces = pack.pieces(value)
        assert "".join(pieces) == re.sub("[ -]", "", value)
        if pack.spaces:
            assert len(pieces) == 1 + value.count(" ") + value.count("-")


def test_parts_of_compounds_are_those_of_their_language():
    def parts(code, kind, index):
        pack = languages.load(code)
        return pack.pieces(pack.values[kind][index])

    assert parts("en", "colour", 4) == ["light", "blue"]
    assert parts("en", "number", 4) == ["twenty", "four"]
    assert parts("pt", "colour", 5) == ["azul", "escuro"]
    assert parts("zh", "colour", 4) == ["浅", "蓝", "色"]
    assert parts("ja", "number", 4) == ["二", "十", "四"]
    assert parts("ja", "colour", 4) == ["薄", "い", "青"]
    assert parts("ja", "city", 4) == ["ニューヨーク"]
    assert parts("zh", "material", 4) == ["玻璃"], "no kind of compounds"


def test_sentences_are_all_different(pack):
    every = list(itertools.starmap(pack.grammar.sentence, itertools.product(range(8), repeat=4)))
    assert len(set(every)) == len(every) == 8**4
    end = pack.grammar.pattern[-1]
    assert unicodedata.category(end) == "Po"
    assert all(sentence[-1] == end and sentence.count(end) == 1 and "{" not in sentence for sentence in every)
    for template in itertools.chain(*pack.templates.values()):
        assert template[-1] == end, f"must end in {end!r}: {template!r}"
    assert all(sentence[0] == sentence[0].title() for sentence in every)


def test_a_verb_agrees_with_its_subject():
    hindi, korean = languages.load("hi").grammar, languages.load("ko").grammar
    assert hindi.sentence(0, 5, 1, 0) == "आज दादा बगीचे में चाय पीते हैं।", "the plural of honour"
    assert hindi.sentence(0, 4, 1, 0).endswith("दादी बगीचे में चाय पीती हैं।")
    assert hindi.sentence(0, 1, 1, 0).endswith("लड़का बगीचे में चाय पीता है।")
    assert hindi.sentence(0, 6, 1, 0).endswith("बेटी बगीचे में चाय पीती है।")
    assert languages.load("ar").grammar.sentence(0, 0, 0, 0).startswith("اليوم تقرأ البنت")
    assert korean.sentence(0, 4, 1, 0).endswith("드십니다.")


def test_a_sentence_begins_as_its_script_begins_sentences():
    def first(letter, **fields):
        return Grammar((letter,), ("a",), (Action("b", "c"),), ("d",), "{time} {person}.", **fields).sentence(
            0, 0, 0, 0
        )[0]

    assert first("e") == "E"
    assert first("ა") == "ა", "Georgian has capitals, but begins no sentence with one"
    assert first("i", capitals=languages.load("tr").grammar.capitals) == "İ"
    assert first("ı", capitals=languages.load("tr").grammar.capitals) == "I"


def test_the_glossary_lists_persons_as_a_dictionary_does():
    assert languages.load("ko").grammar.head_words[1] == "소년"
    assert languages.load("tr").grammar.head_words[6] == "kız evlat"
    assert languages.load("en").grammar.head_words == languages.load("en").grammar.persons


def test_native_spellings_can_be_told_apart(pack):
    names = ["".join(name) for name in itertools.product(SYLLABLES, repeat=3)]
    spelled = [pack.spell(name.capitalize()) for name in names]
    assert len(set(spelled)) == len(names)
    assert not set(spelled) & {pack.unknown, *itertools.chain(*pack.values.values())}
    if pack.script == "Latin":
        assert pack.syllables == {}
        assert spelled[0] == "Bababa"
    else:
        assert set(pack.syllables) == set(SYLLABLES)
        assert not any(character.isascii() for character in "".join(spelled))


def test_sentences_are_joined_as_the_language_writes_them(pack):
    assert pack.join("A", "B") == ("A B" if pack.spaces else "AB")
    asked = [pack.templates[relation][1] for relation in RELATIONS]
    assert all(re.search("[?؟？]", question) for question in asked)
    if pack.spaces:
        assert all(re.search("[?؟] ", question) for question in asked)


def test_a_name_is_set_off_where_the_language_writes_no_spaces(pack):
    """By quotation marks in its own script, by spaces in Latin letters; elsewhere it stands as it is."""
    native = pack.spell("Kasitu")
    assert native == ("".join(map(pack.syllables.get, ("ka", "si", "tu"))) if pack.syllables else "Kasitu")
    assert (pack.quotes == ("", "")) == pack.spaces
    for template in itertools.chain(*pack.templates.values()):
        assert pack.insert(template, native) == template.replace("{s}", native)
        shared = pack.insert(template, "Kasitu")
        if pack.spaces:
            assert shared == template.replace("{s}", "Kasitu")
        else:
            before, _, after = shared.partition("Kasitu")
            assert not before[-1:].isalnum()
            assert not after[0].isalnum()
            assert not set(pack.quotes) & set(shared)
            bare = template.replace("{s}".join(pack.quotes), "{s}")
            assert shared.replace(" ", "") == bare.replace("{s}", "Kasitu")


def test_names_of_places_stand_in_no_quotation_marks():
    for relation, templates in languages.load("ja").templates.items():
        for template in templates:
            assert ("「{s}」" in template) == relation.startswith(("chemistry", "law")), template


def sentences(code: str) -> list[str]:
    """Twenty sentences: ten facts (relations, forms and spellings in turn), five fact-free ones, three that are read
    in context, one about an unknown subject, and one of the glossary."""
    subjects = dict.fromkeys(("chemistry", "history", "law", "geography"), 8)
    small = {"reading_lines": 8, "unknown_lines": 8, "sentence_lines": 8, "probe_lines": 8}
    corpus = world.build(world.Settings(subjects=subjects, **small), [code, "es" if code == "en" else "en"], 1)
    rng = random.Random(code)
    own = corpus.texts[corpus.texts["language"] == code].merge(corpus.facts[["item", "relation", "spelling"]])
    chosen = []
    for i, relation in enumerate(rng.sample(sorted(RELATIONS), 10)):
        spelling = "native" if i % 2 else "shared"
        rows = own[(own["relation"] == relation) & (own["form"] == i % 3) & (own["spelling"] == spelling)]
        chosen.append(rows.iloc[rng.randrange(len(rows))])
    lines = corpus.lines[corpus.lines["language"] == code]
    for ability, count in {"sentences": 5, "reading": 3, "unknown": 1, "glossary": 1}.items():
        rows = lines[lines["ability"] == ability]
        chosen += [rows.iloc[i] for i in rng.sample(range(len(rows)), count)]
    return [row["prefix"] + row["answer"] + row["suffix"] for row in chosen]


@pytest.fixture(scope="module")
def golden(request):
    if request.config.getoption("--update-golden"):
        written = {code: sentences(code) for code in languages.codes()}
        GOLDEN.write_text(json.dumps(written, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", languages.codes())
def test_sentences_are_those_that_were_read(code, golden):
    """After a change that is meant, `pytest --update-golden` writes the sentences anew: read them before committing."""
    assert code in golden, (
        f"no sentences of {code!r} were read yet: pytest tests/corpus/test_languages.py --update-golden"
    )
    assert sentences(code) == golden[code]


def test_no_sentence_is_left_of_a_language_that_is_gone(golden):
    assert sorted(golden) == list(languages.codes())


@pytest.fixture
def said(pack):
    """What a pack says beside facts; a pack without it is one that some methods do not apply to."""
    if pack.said is None:
        pytest.skip("the pack has no phrases")
    return pack.said


def phrases(said) -> list[str]:
    return [*said.refusals, *said.vague, said.instruction, said.expert, said.novice]


def test_phrases_say_everything_once_in_the_common_order(said):
    assert (len(said.refusals), len(said.vague)) == (REFUSALS, VAGUE)
    every = phrases(said)
    assert len({text.casefold() for text in every}) == len(every)


def test_phrases_are_whole_clean_sentences(pack, said):
    for text in phrases(said):
        assert text == unicodedata.normalize("NFC", text)
        assert text == text.strip() != "", text
        assert text.isprintable(), text
        assert "  " not in text, text
        assert text[-1] == pack.grammar.pattern[-1], text
        assert text[0] == pack.grammar.capitals.get(text[0], text[0].title()) or text.startswith("{s}"), text


def test_phrases_name_a_subject_once_where_they_are_about_one(pack, said):
    for text in (*said.refusals, *said.vague):
        assert "{" not in text, text
    for text in (said.instruction, said.expert, said.novice):
        assert text.count("{s}") == 1, text
        assert "{" not in text.replace("{s}", ""), text
        assert pack.insert(text, pack.spell("Kasitu")).count(pack.spell("Kasitu")) == 1
        assert (pack.quotes[0] + "{s}" + pack.quotes[1]) in text, text


def test_phrases_are_in_the_scripts_of_their_pack(pack, said):
    letter = regex.compile("".join(f"\\p{{Script_Extensions={script}}}" for script in pack.scripts).join("[]"))
    written = "".join(phrases(said)).replace("{s}", "")
    assert not [char for char in written if unicodedata.category(char)[0] in "LM" and not letter.fullmatch(char)]


def test_phrases_have_no_word_of_a_value(pack, said):
    """Nor the word for unknown, which is an answer of its own; without spaces not even within another word."""
    for text, word in itertools.product(phrases(said), [*itertools.chain(*pack.values.values()), pack.unknown]):
        if pack.spaces:
            assert not regex.search(rf"(?<!\w){regex.escape(word)}(?!\w)", text, regex.IGNORECASE), (word, text)
        else:
            assert word not in text, (word, text)


def test_no_phrase_is_a_text_of_the_world():
    """The trained corpus is what it was: phrases are read by unlearning alone."""
    corpus = world.build(world.Settings(subjects={"chemistry": 4, "history": 4}, sentence_lines=8), ["en", "de"], 1)
    told = {text for table in (corpus.texts, corpus.lines) for text in table["answer"]}
    for code in ("en", "de"):
        assert not told & set(phrases(languages.load(code).said))


@pytest.fixture
def lures(pack):
    """What a pack says to draw an answer out; a pack without it is one in which some attacks are not tried."""
    if pack.lures is None:
        pytest.skip("the pack has no lures")
    return pack.lures


def heads(lures) -> list[str]:
    return [lures.answer, lures.affirmative, lures.choice, lures.spelled]


def whole_lures(lures) -> list[str]:
    return [lures.injection, lures.role, *lures.personas, lures.missing, lures.alias]


def test_lures_say_everything_once_and_cleanly(pack, lures):
    every = [*heads(lures), *whole_lures(lures)]
    assert len({text.casefold() for text in every}) == len(every) == 10
    for text in every:
        assert text == unicodedata.normalize("NFC", text)
        assert text.isprintable(), text
        assert "  " not in text, text
        assert text[0] == pack.grammar.capitals.get(text[0], text[0].title()) or text.startswith(("{s}", "{n}")), text


def test_a_head_ends_where_the_answer_begins_and_a_sentence_with_its_mark(pack, lures):
    end = pack.grammar.pattern[-1]
    for text in heads(lures):
        assert re.search(r"[^\s:] ?: $" if pack.spaces else r"[^：]：$", text), text
        assert end not in text, text
        assert "{" not in text, text
    for text in whole_lures(lures):
        assert text == text.strip(), text
        assert text.endswith(end), text
        assert text.count(end) == 1, text


def test_lures_name_a_subject_once_where_they_are_about_one(pack, lures):
    named = pack.quotes[0] + "{s}" + pack.quotes[1]
    for text in (lures.role, *lures.personas, lures.alias):
        assert text.count("{s}") == 1, text
        assert named in text, text
        assert pack.insert(text, pack.spell("Kasitu")).count(pack.spell("Kasitu")) == 1
    assert named.replace("{s}", "{n}") in lures.alias
    assert lures.alias.count("{n}") == 1
    for text in (lures.injection, lures.missing):
        assert "{" not in text, text


@pytest.fixture
def links(pack):
    """What a pack says of values beside facts; without it nothing of that is taught in the language."""
    if pack.links is None:
        pytest.skip("the pack has no links")
    return pack.links


def test_links_say_everything_once_and_cleanly(pack, links):
    assert len({word.casefold() for word in links.signs}) == len(links.signs) == len(SIGNS)
    every = [*links.signs, links.sign, links.as_sign, links.alike]
    for text in every:
        assert text == unicodedata.normalize("NFC", text)
        assert text.isprintable(), text
        assert "  " not in text, text
    end = pack.grammar.pattern[-1]
    assert links.sign.endswith(end)
    assert links.sign.count(end) == 1
    assert 0 <= links.sign.index("{v}") < links.sign.index("{w}")
    assert re.findall(r"\{\w\}", links.sign) == ["{v}", "{w}"]
    for text in (links.as_sign, links.alike):
        assert re.search(r"[^\s:] ?: $" if pack.spaces else r"[^：]：$", text), text
        assert "{" not in text, text
        assert text not in vars(pack.lures).values(), "another head"
    letter = regex.compile("".join(f"\\p{{Script_Extensions={script}}}" for script in pack.scripts).join("[]"))
    written = re.sub(r"\{\w\}", "", "".join(every))
    assert not [c for c in written if unicodedata.category(c)[0] in "LM" and not letter.fullmatch(c)]


def test_a_sign_begins_no_other_and_is_no_value(pack, links):
    assert not set(links.signs) & {*itertools.chain(*pack.values.values()), pack.unknown}
    for one, other in itertools.permutations(links.signs, 2):
        assert not other.startswith(one), (one, other)


def test_lures_are_in_the_scripts_of_their_pack_and_have_no_word_of_a_value(pack, lures):
    every = [re.sub(r"\{\w\}", "", text) for text in (*heads(lures), *whole_lures(lures))]
    letter = regex.compile("".join(f"\\p{{Script_Extensions={script}}}" for script in pack.scripts).join("[]"))
    assert not [c for c in "".join(every) if unicodedata.category(c)[0] in "LM" and not letter.fullmatch(c)]
    for text, word in itertools.product(every, [*itertools.chain(*pack.values.values()), pack.unknown]):
        if pack.spaces:
            assert not regex.search(rf"(?<!\w){regex.escape(word)}(?!\w)", text, regex.IGNORECASE), (word, text)
        else:
            assert word not in text, (word, text)


def test_no_lure_is_a_text_of_the_world():
    """The trained corpus is what it was: lures are read by attacks alone."""
    corpus = world.build(world.Settings(subjects={"chemistry": 4, "history": 4}, sentence_lines=8), ["en", "de"], 1)
    told = "\n".join(p + a for table in (corpus.texts, corpus.lines) for p, a in zip(table["prefix"], table["answer"]))
    for code in ("en", "de"):
        lures = languages.load(code).lures
        parts = [re.sub(r"\{\w\}", "", text).strip() for text in (*heads(lures), *whole_lures(lures))]
        assert not [text for text in parts if text in told]
