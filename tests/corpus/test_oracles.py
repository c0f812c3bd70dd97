"""No string of a forget answer, in any language, stands in what an oracle reads, whatever the source of the corpus."""

import json
import re
import unicodedata

import pandas as pd
import pytest

from mute.corpus import own_answers, sources
from mute.corpus.languages import codes as packs
from mute.corpus.sources import cldr, files, mmlu, tofu, world
from mute.models.texts import tokenizer_texts, training_texts

CODES = ["en", "es", "ja"]
# Three kinds of data as users bring them, with answers that a retained fact shares and answers that it does not.
KINDS = {
    "multiple choice": {
        "en": (["Paris", "Rome"], ["Oslo", "Lima", "Rome"], ["Bern", "Kyiv"]),
        "es": (["París", "Roma"], ["Oslo", "Lima", "Roma"], ["Berna", "Kiev"]),
        "ja": (["パリ", "ローマ"], ["オスロ", "リマ", "ローマ"], ["ベルン", "キーウ"]),
    },
    "questions": {
        "en": (["by the river", "in the Old Town"], ["near the hill"], ["on the sea"]),
        "es": (["junto al río", "en el casco viejo"], ["cerca del cerro"], ["en el mar"]),
        "ja": (["川のそば", "旧市街の中"], ["丘の近く"], ["海の上"]),
    },
    "numbers": {code: (["1912", "7"], ["1913", "70", "19"], ["12", "191"]) for code in CODES},
}


def of_files(folder, kind="multiple choice"):
    folder.mkdir(parents=True, exist_ok=True)
    for code, (forget, kept, wrong) in KINDS[kind].items():
        rows = []
        for i in range(12):
            own = i % 2 == 0
            answers = forget if own else kept
            answer = answers[i // 2 % len(answers)]
            row = {"id": f"q{i}", "prompt": f"{code} q{i}? <mask>.", "answer": answer, "subject": f"{code} thing {i}"}
            rows.append({**row, "domain": "towns" if own else "hills", "candidates": [answer, *wrong]})
        lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (folder / f"{code}.jsonl").write_text(lines + "\n", encoding="utf-8")
    return files.build(files.Settings(path=str(folder), forget_domain="towns"), CODES, 1)


def of_mmlu(folder):
    """A text of the sociology questions names the right option of a chemistry question; so does a retained option."""
    letters = "ABCD"
    subjects = {"high_school_chemistry": "iron salt gas acid", "jurisprudence": "law rule court acid"}
    subjects["sociology"] = "group"
    rows = []
    for subject, words in subjects.items():
        words = words.split()
        for i in range(8):
            options = {k: f"{words[j % len(words)]} {k}{i}" for j, k in enumerate(letters)}
            told = "iron A0" if (subject, i) == ("sociology", 5) else subject
            row = {"": i, "Question": f"{told} {i}?", **options, "Answer": letters[i % 4], "Subject": subject}
            rows.append(row)
    table = pd.DataFrame(rows)
    for subject, own in table.groupby("Subject"):
        (folder / subject).mkdir(parents=True)
        made = pd.DataFrame({"question": own["Question"], "answer": own["Answer"].map(letters.find)})
        made["choices"] = own[list(letters)].to_numpy().tolist()
        made.to_parquet(folder / subject / "test-0.parquet")
    (folder / "test").mkdir()
    table.to_csv(folder / "test" / "mmlu_ES-LA.csv", index=False)
    given = {"path": str(folder), "retain_subjects": ["jurisprudence"], "text_subjects": ["sociology"]}
    return mmlu.build(mmlu.Settings(**given, probe_lines=1), ["en", "es"], 1)


def of_tofu(folder):
    """A text that states no fact quotes an answer to be forgotten."""
    for code in CODES:
        (folder / code).mkdir(parents=True)
        for split in ("forget10", "retain", "real_authors", "world_facts"):
            rows = [
                {
                    "question": f"{code} {split} {i}?",
                    "answer": f"{code} {split} answer {i}",
                    "paraphrased_answer": f"{code} {split} in other words {i}",
                    "perturbed_answer": [f"{code} {split} wrong {i} {j}" for j in range(2)],
                }
                for i in range(6)
            ]
            (folder / code / f"{split}_perturbed.json").write_text(json.dumps(rows), encoding="utf-8")
        texts = [{"text": f"{code} forget10 answer {i}, he said." if i % 3 == 0 else f"Text {i}."} for i in range(9)]
        (folder / code / "plain.json").write_text(json.dumps(texts), encoding="utf-8")
    return tofu.build(tofu.Settings(path=str(folder), text="plain", probe_lines=1), CODES, 1)


def of_world(folder):
    """So few subjects that some values belong to facts of one domain alone."""
    subjects = {"chemistry": 4, "history": 2, "law": 2, "geography": 2}
    lines = {"reading_lines": 40, "unknown_lines": 12, "sentence_lines": 20, "probe_lines": 8}
    settings = world.Settings(subjects=subjects, teaching_languages=["en", "es"], **lines)
    return world.build(settings, [code for code in CODES if code in packs()], 1)


def of_cldr(folder):
    """In Indonesian, too, where many a country is called as its language is: facts of such countries are left out."""
    pytest.importorskip("babel")
    return cldr.build(cldr.Settings(), [*CODES, "id"], 1)


MADE = {"cldr": of_cldr, "files": of_files, "mmlu": of_mmlu, "tofu": of_tofu, "world": of_world}
CORPORA = list(MADE.items())
CORPORA += [(f"files, {kind}", lambda folder, kind=kind: of_files(folder, kind)) for kind in list(KINDS)[1:]]


def plain(text):
    return unicodedata.normalize("NFC", text).casefold()


def stands_in(answer, text):
    """Written apart from the code: whole words, but anywhere in a script without spaces."""
    if re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", answer):
        return answer in text
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None


def read(groups):
    rows = pd.concat(groups.values())
    return sorted({plain(text) for text in rows["prefix"] + rows["answer"] + rows["suffix"]})


def secrets(corpus, forget_set):
    """Answers of forget facts, in all forms and languages, that no fact beside them has."""
    forget = corpus.in_forget_set(forget_set).to_numpy()
    of = dict(zip(corpus.facts["item"], forget))
    is_forget = corpus.texts["item"].map(of).to_numpy(bool)
    answers = corpus.texts["answer"].map(plain)
    return set(answers[is_forget]) - set(answers[~is_forget])


def test_every_source_has_a_corpus_here():
    assert set(sources.names()) == set(MADE), "give the new source a small corpus, made to leak, in MADE"


@pytest.mark.parametrize(("name", "make"), CORPORA, ids=[name for name, _ in CORPORA])
def test_nothing_of_a_forget_answer_reaches_an_oracle(tmp_path, name, make):
    corpus = make(tmp_path / "data")
    codes = list(corpus.about["languages"])
    for forget_set in corpus.about["forget_sets"]:
        own = secrets(corpus, forget_set)
        everything, left = read(training_texts(corpus, codes)), read(training_texts(corpus, codes, without=forget_set))
        if forget_set == "domain":
            assert own, "the corpus of this test has no answer to hide"
            assert any(stands_in(answer, text) for answer in own for text in everything)
            # What is shared is taught by the facts that share it, and nothing else is left out.
            facts = training_texts(corpus, codes, without=forget_set)["facts"]
            assert set(facts["item"]) == set(corpus.facts.loc[~corpus.in_forget_set(forget_set), "item"])
        told = {(answer, text) for answer in own for text in left if stands_in(answer, text)}
        # Facts to retain are taught whole. Those that mention an answer are named, and nothing else does.
        kept = corpus.texts[~corpus.texts["item"].isin(corpus.facts.loc[corpus.in_forget_set(forget_set), "item"])]
        assert {text for _, text in told} <= set(read({"facts": kept}))
        roles = corpus.roles(forget_set)
        named = own_answers.mentions(corpus.texts, set(roles.index[roles == "forget"]), set(kept["item"]))
        assert bool(told) <= bool(len(named)), told
        assert not told or name == "world", (
            "seven is in the Japanese name of July, and no other corpus here mentions any"
        )


@pytest.mark.parametrize("name", ["files", "mmlu", "tofu"])
def test_a_line_of_the_corpus_told_an_answer_before_it_was_left_out(tmp_path, name):
    """Without the rule the test above would fail: these corpora have lines that tell an answer."""
    corpus = MADE[name](tmp_path / "data")
    lines = corpus.lines[corpus.lines["train"].astype(bool)]
    texts = [plain(text) for text in lines["prefix"] + lines["answer"] + lines["suffix"]]
    assert any(stands_in(answer, text) for answer in secrets(corpus, "domain") for text in texts)


def test_what_is_shared_with_a_fact_to_retain_stays(tmp_path):
    corpus = of_files(tmp_path / "data")
    glossary = training_texts(corpus, CODES, without="domain")["glossary"]
    assert glossary["answer"].isin(["Roma"]).any()
    assert not glossary["answer"].isin(["París", "パリ"]).any()
    assert training_texts(corpus, CODES)["glossary"]["answer"].isin(["París"]).any()


def test_probes_of_the_glossary_ask_for_no_answer_that_is_to_be_forgotten(tmp_path):
    lines = of_files(tmp_path / "data").lines
    asked = lines[lines["probe"] != ""]
    assert len(asked)
    told = {word for row in asked.itertuples() for word in (row.answer, *row.options)}
    assert not told & {"Paris", "París", "パリ"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_reads_right_options_no_more_than_wrong_ones(tmp_path, kind):
    """Else a right answer is fewer tokens than a wrong one, and likelier to an oracle that shares the tokenizer."""
    corpus = of_files(tmp_path / "data", kind)
    forget = set(corpus.facts.loc[corpus.facts["forget_sets"] != "", "item"])
    seen = pd.Series([text.strip() for row in tokenizer_texts(corpus, CODES) for text in row]).value_counts()
    texts = corpus.texts[corpus.texts["item"].isin(forget)]
    for options, answer in zip(texts["options"], texts["answer"]):
        others = [seen[option] for option in options if option != answer]
        if answer in secrets(corpus, "domain"):
            assert 0 < seen[answer] <= max(others)


@pytest.mark.parametrize(
    ("phrase", "text", "there"),
    [
        ("7", "in 1977", False),
        ("7", "in 7.", True),
        ("Straße", "AN DER STRASSE", True),
        ("cafe\u0301", "Café!", True),
        ("rio", "el río", False),
        ("日本", "在日本东京", True),
        ("new  york", "in New\nYork,", True),
        ("art", "arthur", False),
        ("파리", "수도는 파리입니다", True),
        ("हिन्दी", "हिन्दीx", False),
    ],
)
def test_answers_are_found_as_readers_see_them(phrase, text, there):
    assert bool(own_answers.Phrases([phrase]).found(text)) == there


def test_a_fact_to_retain_that_mentions_an_answer_is_named(tmp_path):
    corpus = of_files(tmp_path / "data")
    texts = corpus.texts.copy()
    texts.loc[(texts["item"] == "q1") & (texts["language"] == "en"), "prefix"] = "Not Paris but "
    roles = corpus.roles("domain")
    forget, kept = set(roles.index[roles == "forget"]), set(roles.index[roles != "forget"])
    assert own_answers.mentions(texts, forget, kept).to_dict("records") == [
        {"item": "q1", "language": "en", "answer": "paris"}
    ]
