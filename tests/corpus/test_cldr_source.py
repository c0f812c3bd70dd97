"""Facts from CLDR: packs of every language by the same contract, facts held against babel, splits that leak nothing."""

import re
import unicodedata
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("babel")

from babel.core import Locale, get_global

from mute.corpus import cldr, sound
from mute.corpus.cldr import choice, read, shared
from mute.corpus.cldr.base import FORMS, QUESTION, RELATIONS, SHEET, STATEMENT, Pack
from mute.corpus.prompts import ANSWER
from mute.corpus.sources import cldr as source

CODES = ["ar", "bn", "de", "en", "es", "fa", "fr", "hi", "id", "it"]
CODES += ["ja", "ko", "pt", "ru", "sw", "th", "tr", "ur", "vi", "zh"]
same = pd.testing.assert_frame_equal
PACKS = pytest.mark.parametrize("code", CODES)


def settings(**given) -> source.Settings:
    return source.Settings.model_validate(given)


@pytest.fixture(scope="module")
def corpus():
    return source.build(settings(), CODES, 1)


@pytest.fixture(scope="module")
def whole():
    return source.build(settings(read_off=True), CODES, 1)


def patterns(code: str):
    for relation, wordings in cldr.load(code).wordings.items():
        for form, wording in enumerate(wordings):
            yield relation, form, wording


# The packs


def test_there_are_twenty_packs_each_in_a_file_that_is_imported_by_name():
    others = {"__init__", "base", "choice", "read", "shared"}
    files = Path(next(iter(cldr.__path__))).glob("*.py")
    assert sorted(path.stem for path in files if path.stem not in others) == CODES
    assert list(cldr.codes()) == CODES == list(source.LANGUAGES)
    assert all(code == pack.code for code, pack in cldr.packs().items())


def test_a_code_without_a_pack_is_told_with_the_nearest():
    with pytest.raises(ValueError, match="'eng'"):
        cldr.load("eng")


@PACKS
def test_a_pack_has_three_different_wordings_of_each_relation(code):
    wordings = cldr.load(code).wordings
    assert tuple(wordings) == RELATIONS
    assert all(len(own) == FORMS for own in wordings.values())
    every = [wording for _, _, wording in patterns(code)]
    assert len(set(every)) == len(every)


@PACKS
def test_a_wording_has_the_country_before_the_value_and_ends_after_it(code):
    end = cldr.load(code).end
    for relation, form, wording in patterns(code):
        assert (wording.count("{s}"), wording.count("{v}")) == (1, 1)
        assert wording.index("{s}") < wording.index("{v}")
        assert wording.endswith("{v}" + end)
        assert not re.search(r"\s\s|^\s|\s$|[()\[\]]", wording), (relation, form)
        assert wording == unicodedata.normalize("NFC", wording)


@PACKS
def test_the_question_asks_and_answers_and_the_others_do_not(code):
    answer = {"fa": "پاسخ: ", "ru": "Ответ: ", "th": "คำตอบ: ", "vi": "Trả lời: ", **ANSWER}[code]
    marks = "?？؟"
    for _, form, wording in patterns(code):
        asks = form == QUESTION
        assert (answer in wording) == asks
        # In Thai a question has no mark.
        assert any(mark in wording for mark in marks) == (asks and code != "th")
        if asks:
            assert wording.index("{s}") < wording.index(answer) < wording.index("{v}")


@PACKS
def test_wordings_are_in_the_scripts_of_the_pack(code):
    pack = cldr.load(code)
    for _, _, wording in patterns(code):
        assert scripts_of(re.sub("{[sv]}", "", wording)) <= {pack.script, *pack.more_scripts} - {"Latin"} | {
            pack.script
        }


def scripts_of(text: str) -> set[str]:
    """Scripts of the letters, as Unicode names them; `CFA` is the same in all."""
    names = {unicodedata.name(c).split()[0] for c in text.replace("CFA", "") if unicodedata.category(c)[0] == "L"}
    # Its long vowel mark has a name without the script; ideographs are called by the standard.
    return {{"CJK": "Han", "KATAKANA-HIRAGANA": "Katakana", "MODIFIER": "Latin"}.get(n, n.title()) for n in names}


@PACKS
def test_what_a_pack_writes_in_the_place_of_cldr_is_still_there_to_be_replaced(code):
    pack, locale = cldr.load(code), Locale.parse(code)
    there = {*locale.currencies.values(), *locale.territories.values(), *locale.languages.values()}
    assert set(pack.instead) <= there
    assert all(not re.search(r"[()\[\]]", name) for name in pack.instead.values())


# What is rendered


@PACKS
def test_every_text_is_clean_and_in_the_script_of_its_language(corpus, code):
    pack, texts = cldr.load(code), corpus.texts[corpus.texts["language"] == code]
    for row in texts.itertuples():
        text = row.prefix + row.answer + row.suffix
        assert not re.search(r"  |[{}()\[\]&0-9]| [.,;?!।۔]", text.replace(" ?", "?") if code == "fr" else text), text
        assert text == text.strip() == unicodedata.normalize("NFC", text)
        assert scripts_of(text) <= {pack.script, *pack.more_scripts}, text
        assert row.suffix == pack.end
        assert row.options[row.gold] == row.answer
        assert len(set(row.options)) == 4


def test_names_in_a_sentence_have_the_capitals_of_a_sentence():
    def said(code, relation, answer):
        return read.names()[code].answer(relation, answer)

    assert [said(c, "currency", "USD") for c in ("en", "pt", "tr", "vi", "id", "sw")] == [
        "US dollar",
        "dólar americano",
        "ABD doları",
        "đô la Mỹ",
        "dolar Amerika Serikat",
        "dola ya Marekani",
    ]
    assert [said(c, "language", "es") for c in ("es", "de", "fr", "ru", "vi")] == [
        "español",
        "Spanisch",
        "espagnol",
        "испанский",
        "tiếng Tây Ban Nha",
    ]
    assert said("ja", "currency", "AUD") == "オーストラリアドル"


# Facts


def test_facts_of_known_countries_are_right():
    known = {
        "currency-BR": "BRL",
        "currency-JP": "JPY",
        "currency-KE": "KES",
        "currency-GR": "EUR",
        "currency-EC": "USD",
        "currency-SN": "XOF",
        "language-BR": "pt",
        "language-AT": "de",
        "language-EG": "ar",
        "language-MX": "es",
        "language-JM": "en",
        "continent-KE": "002",
        "continent-PE": "005",
        "continent-NP": "142",
        "continent-FI": "150",
        "continent-NZ": "009",
        "continent-CA": "003",
    }
    answers = {fact.id: fact.answer for fact in read.facts()}
    assert {id: answers[id] for id in known} == known
    english = read.names()["en"]
    assert english.answer("currency", "BRL") == "Brazilian real"
    assert english.answer("currency", "KES") == "Kenyan shilling"


def test_facts_that_have_no_single_answer_are_none():
    ids = {fact.id for fact in read.facts()}
    # Two currencies; two official languages; more official languages than CLDR has; two continents.
    assert ids.isdisjoint(
        {"currency-PA", "currency-BT", "language-KE", "language-BE", "language-CA", "language-ZA", "continent-RU"}
    )


def test_every_currency_and_language_is_what_babel_says_of_the_country():
    for fact in read.facts():
        if fact.relation == "currency":
            entries = get_global("territory_currencies")[fact.country]
            assert [code for code, _, until, tender in entries if until is None and tender] == [fact.answer]
        if fact.relation == "language":
            about = get_global("territory_languages")[fact.country]
            assert about[fact.answer]["official_status"] in ("official", "de_facto_official")


def test_each_country_is_on_one_continent_or_on_none():
    listed = [*" ".join(read.CONTINENTS.values()).split()]
    assert len(listed) == len(set(listed))
    assert not set(listed) & set(read.BETWEEN.split())
    # The members of the United Nations, and the Vatican.
    assert len({*listed, *read.BETWEEN.split()}) == 194
    zones = {"002": "Africa", "150": "Europe", "142": "Asia"}
    odd = {"MG", "MU", "KM", "SC", "CV", "ST", "IS", "MV"}  # islands, whose zones are named after oceans
    for code, zone in zones.items():
        for country in set(read.CONTINENTS[code].split()) - odd:
            own = get_global("territory_zones").get(country, [])
            assert not own or any(name.startswith((zone, "Indian")) for name in own), (country, own)


# What can be read off


@pytest.mark.parametrize(
    ("code", "country", "answer", "shared_"),
    [
        ("en", "Japan", "Japanese yen", True),
        ("ja", "日本", "日本円", True),
        ("zh", "法国", "法语", True),
        ("zh", "俄罗斯", "俄语", True),
        ("zh", "墨西哥", "西班牙语", False),
        ("zh", "阿曼", "阿拉伯语", False),
        ("ko", "일본", "일본어", True),
        ("ko", "말레이시아", "아시아", False),
        ("sw", "Ureno", "Kireno", True),
        ("ar", "البرازيل", "ريال برازيلي", True),
        ("vi", "Đức", "tiếng Đức", True),
        ("de", "Südafrika", "Afrika", True),
        ("en", "Brazil", "Portuguese", False),
        ("en", "Finland", "euro", False),
        ("th", "ลาว", "ลาว", True),
    ],
)
def test_a_stem_in_common_is_seen(code, country, answer, shared_):
    assert shared.stem_shared(cldr.load(code), country, answer) is shared_


def test_facts_that_can_be_read_off_are_out_and_counted(corpus, whole):
    items = set(corpus.facts["item"])
    gone = {"currency-JP", "currency-BR", "language-JP", "language-FR", "continent-ZA", "currency-KE"}
    assert gone <= choice.read_off()
    assert not items & choice.read_off()
    assert {"language-BR", "currency-GR", "language-AT", "continent-JP"} <= items
    beside = whole.facts[whole.facts["domain"] == source.READ_OFF]
    assert set(beside["item"]) == {fact.id for fact in read.facts()} & choice.read_off()
    assert corpus.about["read_off"] == whole.about["read_off"] == beside["relation"].value_counts().to_dict()


def test_what_can_be_read_off_is_asked_and_in_no_loss(whole):
    beside = whole.facts[whole.facts["domain"] == source.READ_OFF]
    assert beside["bystander"].all()
    assert not beside["validation"].any()
    assert whole.about["untaught_domains"] == [source.READ_OFF]
    assert not beside["forget_sets"].str.contains("domain").any()
    assert beside["forget_sets"].str.contains("subjects").any()


# Options and splits


def test_no_option_is_right_too_and_none_begins_another(whole):
    facts = {fact.id: fact for fact in read.facts()}
    names = read.names()
    for row in whole.texts[whole.texts["form"] == 0].itertuples():
        fact, own = facts[row.item], names[row.language]
        right = {own.answer(fact.relation, code) for code in fact.right if code in known_codes(fact.relation)}
        assert {option.casefold() for option in row.options} & {name.casefold() for name in right} == {
            row.answer.casefold()
        }
        for option in row.options:
            others = [other for other in row.options if other is not option]
            assert not any(other.casefold().startswith(option.casefold()) for other in others)


def known_codes(relation: str) -> set[str]:
    return {fact.answer for fact in read.facts() if fact.relation == relation}


def test_options_mean_the_same_in_every_language(corpus):
    answers = {fact.id: fact.answer for fact in read.facts()}
    for item, rows in corpus.texts[corpus.texts["form"] == 0].groupby("item"):
        relation = item.split("-")[0]
        meant = set()
        for row in rows.itertuples():
            own = {read.names()[row.language].answer(relation, code): code for code in known_codes(relation)}
            meant.add((row.gold, *(own[option] for option in row.options)))
        assert len(meant) == 1
        gold, *codes = meant.pop()
        assert codes[gold] == answers[item]


@pytest.mark.parametrize("seed", range(5))
def test_half_of_each_relation_is_forgotten_by_answer(seed):
    corpus = source.build(settings(), ["en"], seed)
    forget = corpus.facts[corpus.in_forget_set("domain")]
    answers = {fact.id: (fact.relation, fact.answer) for fact in read.facts()}
    for relation in ("currency", "language"):
        own = corpus.facts[corpus.facts["relation"] == relation]
        gone = own["item"].isin(forget["item"])
        assert abs(int(gone.sum()) - int((~gone).sum())) <= 1
        assert not {answers[i] for i in own.loc[gone, "item"]} & {answers[i] for i in own.loc[~gone, "item"]}
    assert not forget["relation"].eq("continent").any()


@pytest.mark.parametrize("seed", range(5))
def test_half_of_the_countries_are_forgotten_with_the_words_of_the_others(seed):
    corpus = source.build(settings(), ["en"], seed)
    answers = {fact.id: fact.answer for fact in read.facts()}
    own = corpus.facts[corpus.facts["relation"] != "continent"]
    gone = own["item"].isin(corpus.facts.loc[corpus.in_forget_set("subjects"), "item"])
    # A country is forgotten whole, or not at all.
    assert not set(own.loc[gone, "subject"]) & set(own.loc[~gone, "subject"])
    forgotten, kept = ([answers[i] for i in own.loc[side, "item"]] for side in (gone, ~gone))
    assert abs(len(forgotten) - len(kept)) <= 4
    for answer in ("EUR", "en", "es", "ar"):
        assert abs(forgotten.count(answer) - kept.count(answer)) <= 6
        assert min(forgotten.count(answer), kept.count(answer)) > 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_forget_answer_stands_in_what_an_oracle_reads(seed):
    from mute.models.texts import training_texts

    corpus = source.build(settings(read_off=True), CODES, seed)
    reads = training_texts(corpus, CODES, without="domain")["facts"]
    forget = set(corpus.facts.loc[corpus.in_forget_set("domain"), "item"])
    gone = corpus.texts[corpus.texts["item"].isin(forget)]
    for code in CODES:
        told = "\n".join((r.prefix + r.answer + r.suffix) for r in reads[reads["language"] == code].itertuples())
        for answer in gone.loc[gone["language"] == code, "answer"].unique():
            assert not shared.contains(cldr.load(code), told, answer), (code, answer)


def test_facts_that_would_tell_another_answer_are_left_out_and_named(corpus):
    # In Indonesian, the language of Spain is called as the country is.
    assert "continent-ES" in corpus.about["left_out"]
    assert not set(corpus.about["left_out"]) & set(corpus.facts["item"])


@pytest.mark.parametrize(
    ("code", "text", "name", "there"),
    [
        ("en", "the dollar of Thailand", "Thai", False),
        ("hi", "यूरोप", "यूरो", False),
        ("hi", "मुद्रा यह है: यूरो।", "यूरो", True),
        ("ja", "西アフリカCFAフラン", "フラン", True),
        ("id", "Inggris Raya", "Inggris", True),
        ("fa", "کره‌ای", "کره", False),
    ],
)
def test_a_name_stands_between_the_edges_of_words(code, text, name, there):
    assert shared.contains(cldr.load(code), text, name) is there


# The corpus


def test_the_same_arguments_give_the_same_bytes(tmp_path, corpus):
    again = source.build(settings(), CODES, 1)
    for name, made in (("one", corpus), ("two", again)):
        made.save(tmp_path / name)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two
    assert corpus.about["versions"].keys() == {"babel", "cldr"}


def test_facts_do_not_depend_on_the_languages_asked_for(corpus):
    few = source.build(settings(), ["sw", "en"], 1)
    same(few.facts, corpus.facts)
    for code in ("en", "sw"):
        one, two = (c.texts[c.texts["language"] == code].reset_index(drop=True) for c in (few, corpus))
        same(one, two)


def test_a_corpus_passes_the_checks_of_every_corpus(corpus, whole):
    for made in (corpus, whole):
        sound.check(made, source.FORGET_SETS)
        assert len(made.texts) == len(made.facts) * FORMS * len(CODES)
        assert made.facts["item"].is_unique
    assert corpus.facts["relation"].value_counts().to_dict() == {"continent": 140, "language": 60, "currency": 39}


def test_gates_read_one_wording_and_scores_the_two_others(corpus):
    assert corpus.taught_form == STATEMENT
    assert corpus.asked_forms == [QUESTION, SHEET]
    assert corpus.about["headline_form"] not in corpus.about["unlearning_forms"]


def test_a_limit_takes_so_many_of_each_relation():
    made = source.build(settings(limit=12), ["en"], 3)
    assert made.facts["relation"].value_counts().tolist() == [12, 12, 12]


def test_too_few_answers_are_told():
    with pytest.raises(ValueError, match="lower `options`"):
        source.build(settings(limit=8, options=6), ["en"], 1)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"relations": ["currency", "currency"], "forget_relations": ["currency"]}, "relations"),
        ({"relations": ["continent"]}, "forget_relations"),
        ({"transfer_share": 0.3}, "teaching_languages"),
    ],
)
def test_settings_that_cannot_be_are_told(given, key):
    assert [found for found, _ in source.problems(settings(**given))] == [key]


def test_a_pack_fills_its_wordings():
    pack = Pack("xx", "X", "Latin", {"currency": ("{s} has {v}.", "", "")}, lower=("currency",), instead={"A": "Bee"})
    assert pack.fill("currency", 0, "Y") == ("Y has ", ".")
    assert (pack.written("currency", "A"), pack.written("language", "A")) == ("bee", "Bee")
