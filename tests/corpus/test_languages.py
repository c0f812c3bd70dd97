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
from mute.corpus.languages.base import RELATIONS, SYLLABLES, VALUES
from mute.corpus.sources import world

GOLDEN = Path(__file__).parents[1] / "golden" / "sentences.json"


@pytest.fixture(params=languages.codes())
def pack(request):
    return languages.load(request.param)


def texts(pack) -> list[str]:
    """Every text of a pack."""
    grammar = pack.grammar
    found = [pack.endonym, pack.unknown, *itertools.chain(*pack.values.values(), *pack.templates.values())]
    found += [*grammar.times, *(name for name, _ in grammar.persons), *grammar.places, grammar.pattern]
    found += [text for action in grammar.actions for text in (action.verb_m, action.verb_f, action.object)]
    return [*found, *pack.syllables.values()]


def test_a_pack_says_everything_in_the_common_order(pack):
    assert list(pack.values) == list(VALUES)
    assert list(pack.templates) == list(RELATIONS)
    assert [len(words) for words in pack.values.values()] == [len(words) for words in VALUES.values()] == [8] * 5
    grammar = pack.grammar
    listed = (grammar.times, grammar.persons, grammar.actions, grammar.places)
    assert [len(words) for words in listed] == [8] * 4
    assert {gender for _, gender in grammar.persons} <= {"m", "f"}


def test_english_is_what_the_order_is_written_in():
    assert languages.load("en").values == VALUES


def test_a_pack_is_named_after_its_code():
    for code in languages.codes():
        assert languages.load(code).code == code
    with pytest.raises(ValueError, match="Did you mean 'de'"):
        languages.load("dee")


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
            assert (before.count("{s}"), after.count("{s}"), after.count("{v}")) == (1, 0, 0), template
            assert "{" not in before.replace("{s}", "") + after, template


def test_templates_differ(pack):
    templates = list(itertools.chain(*pack.templates.values()))
    assert len(set(templates)) == len(templates) == 60


def test_texts_are_clean(pack):
    for text in texts(pack):
        assert text == unicodedata.normalize("NFC", text)
        assert "  " not in text, text
        assert text.isprintable(), text
        assert text == text.strip() != "", text


def test_letters_belong_to_the_scripts_that_a_pack_names(pack):
    """By Unicode's own names of scripts: one that Unicode does not know is an error of `regex`."""
    letter = regex.compile("".join(f"\\p{{Script_Extensions={script}}}" for script in pack.scripts).join("[]"))
    written = [char for text in texts(pack) for char in re.sub(r"\{\w+\}", "", text)]
    letters = {char for char in written if unicodedata.category(char)[0] in "LM"}
    assert not [char for char in letters if not letter.fullmatch(char)]
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
    assert all(sentence[-1] in ".।。" and "{" not in sentence for sentence in every)
    # A verb agrees with its subject, so the gender decides which of two forms stands in the sentence.
    for action, (name, gender) in itertools.product(range(8), pack.grammar.persons):
        person = [p for p, _ in pack.grammar.persons].index(name)
        verbs = {"m": pack.grammar.actions[action].verb_m, "f": pack.grammar.actions[action].verb_f}
        assert verbs[gender] in pack.grammar.sentence(0, person, action, 0)


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
    # Scripts of the Chinese family separate sentences by their full stop alone.
    assert pack.join("A", "B") == ("AB" if pack.code in ("ja", "zh") else "A B")


def test_a_name_is_set_off_where_the_language_writes_no_spaces(pack):
    """By quotation marks in its own script, by spaces in Latin letters; elsewhere it stands as it is."""
    native = pack.spell("Kasitu")
    assert (pack.quotes == ("", "")) == pack.spaces
    assert native.startswith(pack.quotes[0])
    assert native.endswith(pack.quotes[1])
    for template in itertools.chain(*pack.templates.values()):
        plain = template.replace("{s}", "Kasitu")
        assert pack.insert(template, native) == template.replace("{s}", native)
        shared = pack.insert(template, "Kasitu")
        if pack.spaces:
            assert shared == plain
        else:
            before, _, after = shared.partition("Kasitu")
            assert not before[-1:].isalnum()
            assert not after[0].isalnum()
            assert shared.replace(" ", "") == plain


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
    assert sentences(code) == golden[code]


def test_no_sentence_is_left_of_a_language_that_is_gone(golden):
    assert sorted(golden) == list(languages.codes())
