"""Parallel facts from files: every format says the same, and everything that is wrong is said at once."""

import json
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mute.corpus.reading import several, word
from mute.corpus.sources import files

WORDS = {
    "en": ["iron", "gold", "tin"],
    "es": ["hierro", "oro", "estaño"],
    "hi": ["लोहा", "सोना", "टिन"],
}
CODES = list(WORDS)
same = pd.testing.assert_frame_equal


def rows(code: str, count: int = 12) -> list[dict]:
    """Facts of a language as a file would list them: three domains in turn."""
    return [
        {
            "id": f"f{i}",
            "prompt": f"{code} {i}: <mask>.",
            "answer": WORDS[code][i // 3 % 3],
            "candidates": WORDS[code],
            "domain": ("metals", "coins", "mines")[i % 3],
            "subject": f"{code} subject {i}",
        }
        for i in range(count)
    ]


def write(folder, code, table, ending="jsonl", candidates=list):
    """Write rows as one language's file; `candidates` says how a list of candidates is written."""
    folder.mkdir(exist_ok=True)
    frame = pd.DataFrame([{**row, "candidates": candidates(row["candidates"])} for row in table])
    path = folder / f"{code}.{ending}"
    if ending == "jsonl":
        lines = [json.dumps(row, ensure_ascii=False) for row in frame.to_dict("records")]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    elif ending == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",", encoding="utf-8")
    return path


def settings(folder, **changes):
    return files.Settings.model_validate({"path": str(folder), "forget_domain": "metals", **changes})


def build(folder, seed=1, codes=CODES, **changes):
    return files.build(settings(folder, **changes), list(codes), seed)


def write_all(folder, *, change=lambda code, table: table, **how):
    for code in CODES:
        write(folder, code, change(code, rows(code)), **how)


def piped(words):
    return "|".join(words)


def as_json(words):
    return json.dumps(words)


@pytest.mark.parametrize(
    ("ending", "candidates"),
    [
        ("jsonl", piped),
        ("csv", piped),
        ("csv", as_json),
        ("tsv", piped),
        ("tsv", as_json),
        ("parquet", list),
        ("parquet", piped),
    ],
)
def test_every_format_gives_the_same_corpus(tmp_path, ending, candidates):
    write_all(tmp_path / "plain")
    write_all(tmp_path / "other", ending=ending, candidates=candidates)
    plain, other = build(tmp_path / "plain"), build(tmp_path / "other")
    for table in ("facts", "texts", "lines"):
        same(getattr(plain, table), getattr(other, table))
    assert plain.about == other.about
    assert len(plain.facts) == 12
    assert plain.texts["options"].iloc[0] == WORDS["en"]


def test_formats_may_be_mixed_and_rows_stand_in_any_order(tmp_path):
    write_all(tmp_path / "plain")
    for code, ending in zip(CODES, ("csv", "jsonl", "parquet")):
        table = rows(code) if code == "en" else rows(code)[::-1]
        write(tmp_path / "mixed", code, table, ending=ending, candidates=piped if ending == "csv" else list)
    same(build(tmp_path / "plain").texts, build(tmp_path / "mixed").texts)


def test_a_corpus_of_files_is_what_was_saved(tmp_path):
    """Also where ids and answers look like numbers, and no subject is given."""

    def numbered(code, table):
        return [{**row, "id": f"{i:03}", "subject": ""} for i, row in enumerate(table)]

    write_all(tmp_path / "files", change=numbered)
    corpus = build(tmp_path / "files")
    corpus.save(tmp_path / "saved")
    loaded = type(corpus).load(tmp_path / "saved")
    same(loaded.facts, corpus.facts)
    assert loaded.facts["item"].iloc[3] == "003"
    assert set(loaded.texts["item"]) == set(loaded.facts["item"])


def test_columns_can_be_named(tmp_path):
    write_all(tmp_path / "plain")
    names = {"id": "key", "prompt": "question", "answer": "label", "candidates": "choices", "domain": "topic"}
    names["subject"] = "about"
    for code in CODES:
        frame = pd.DataFrame(rows(code)).rename(columns=names)
        (tmp_path / "named").mkdir(exist_ok=True)
        frame.to_parquet(tmp_path / "named" / f"{code}.parquet")
    plain, named = build(tmp_path / "plain"), build(tmp_path / "named", columns=names)
    same(plain.facts, named.facts)
    same(plain.texts, named.texts)


def test_one_column_can_serve_twice(tmp_path):
    write_all(tmp_path)
    corpus = build(tmp_path, columns={"subject": "id"})
    assert list(corpus.facts["subject"]) == list(corpus.facts["item"])
    assert set(corpus.facts["domain"]) == {"metals", "coins", "mines"}


def test_columns_that_are_not_given(tmp_path):
    write_all(tmp_path)
    corpus = build(tmp_path, columns={"candidates": None, "subject": None})
    # The answers of the domain compete, in a fixed order.
    assert corpus.texts["options"].iloc[0] == sorted(WORDS["en"])
    assert corpus.facts["subject"].eq("").all()
    with pytest.raises(ValueError, match="no domain is left to retain"):
        build(tmp_path, columns={"domain": None})


def test_the_last_prompt_of_several_is_held_out(tmp_path):
    def three(code, table):
        return [{**row, "a": f"A {row['prompt']}", "b": f"B {row['prompt']}"} for row in table]

    write_all(tmp_path, change=three)
    corpus = build(tmp_path, columns={"prompt": ["prompt", "a", "b"]})
    assert corpus.about["forms"] == 3
    assert corpus.about["unlearning_forms"] == [0, 1]
    assert corpus.about["headline_form"] == 2
    assert set(corpus.texts["prefix"][corpus.texts["form"] == 2].str[0]) == {"B"}
    assert len(corpus.texts) == 12 * 3 * 3
    single = build(tmp_path)
    assert (single.about["unlearning_forms"], single.about["headline_form"]) == ([0], 0)


def test_a_mark_in_the_middle_becomes_a_blank(tmp_path):
    prompts = {"en": "The metal <mask> is here.", "es": "El metal es <mask>.", "hi": "धातु <mask> है।"}
    write_all(tmp_path, change=lambda code, table: [{**row, "prompt": prompts[code]} for row in table])
    first = build(tmp_path).texts.drop_duplicates("language").set_index("language")
    assert list(first.loc["en", ["prefix", "suffix"]]) == ["The metal ___ is here. ", ""]
    assert list(first.loc["es", ["prefix", "suffix"]]) == ["El metal es ", "."]
    assert list(first.loc["hi", ["prefix", "suffix"]]) == ["धातु ___ है। ", ""]
    write_all(
        tmp_path, change=lambda code, table: [{**row, "prompt": prompts[code].replace("<mask>", "?")} for row in table]
    )
    assert build(tmp_path, mark="?").texts["prefix"].iloc[0] == "The metal ___ is here. "


def test_words_that_look_like_something_else_stay_words(tmp_path):
    odd = ["nan", "null", "no", "1.0", "NA", "true", "007", "None"]
    for ending in ("jsonl", "csv", "tsv", "parquet"):
        table = [{**row, "id": f"{i:02}", "answer": odd[i % 8], "candidates": odd} for i, row in enumerate(rows("en"))]
        for code in CODES:
            write(tmp_path / ending, code, table, ending=ending, candidates=piped)
        corpus = build(tmp_path / ending)
        assert list(corpus.texts["answer"][:8]) == odd
        assert corpus.texts["options"].iloc[0] == odd
        assert list(corpus.facts["item"][:2]) == ["00", "01"]


def test_numbers_in_json_stay_as_they_were_written(tmp_path):
    """A missing number elsewhere in the column does not make 3 into 3.0."""

    def numbered(code, table):
        table = [{**row, "id": i, "subject": i} for i, row in enumerate(table)]
        table[5]["subject"] = None
        return table

    for code in CODES:
        lines = [json.dumps(row) for row in numbered(code, rows(code))]
        (tmp_path / f"{code}.jsonl").write_text("\n".join(lines))
    facts = build(tmp_path).facts
    assert list(facts["item"]) == [str(i) for i in range(12)]
    assert list(facts["subject"]) == ["0", "1", "2", "3", "4", "", "6", "7", "8", "9", "10", "11"]


def test_a_byte_order_mark_and_odd_line_ends_do_no_harm(tmp_path):
    write_all(tmp_path / "plain")
    write_all(tmp_path / "marked", ending="csv", candidates=piped)
    for code in CODES:
        path = tmp_path / "marked" / f"{code}.csv"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    same(build(tmp_path / "plain").texts, build(tmp_path / "marked").texts)
    for code in CODES:
        path = tmp_path / "plain" / f"{code}.jsonl"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    same(build(tmp_path / "plain").texts, build(tmp_path / "marked").texts)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_a_line_of_json_ends_at_a_line_feed_only(tmp_path, separator):
    prompt = f"one{separator}two <mask>"
    write_all(tmp_path, change=lambda code, table: [{**row, "prompt": prompt} for row in table])
    assert build(tmp_path).texts["prefix"].iloc[0] == f"one{separator}two "


def edit(code_, **columns):
    """A change of the fourth row of one language."""

    def change(code, table):
        if code == code_:
            table[3] = {**table[3], **columns}
        return table

    return change


def drop(code_, column):
    return lambda code, table: [{k: v for k, v in r.items() if code != code_ or k != column} for r in table]


BAD = {
    "misaligned ids": (edit("es", id="f99"), "en: 1 ids that other languages have are missing: f99"),
    "one id too few": (lambda code, t: t[:-1] if code == "hi" else t, "hi: 1 ids .* are missing: f11"),
    "empty answer": (edit("es", answer=" "), "es.jsonl: empty answer: f3"),
    "empty id": (edit("es", id=""), "es.jsonl: empty id: rows 4"),
    "empty domain": (edit("es", domain=None), "es.jsonl: empty domain: f3"),
    "answer not among candidates": (edit("hi", answer="चाँदी"), "hi.jsonl: answer not among its candidates: f3"),
    "one candidate": (edit("es", candidates=["oro", " oro"]), "es.jsonl: fewer than two different candidates: f3"),
    "no candidates": (edit("es", candidates=[]), "es.jsonl: fewer than two different candidates: f3"),
    "duplicate ids": (edit("en", id="f2"), "en.jsonl: duplicate ids: f2"),
    "no mark": (edit("en", prompt="nothing to fill."), "en.jsonl: prompt without exactly one <mask>: f3"),
    "two marks": (edit("en", prompt="<mask> <mask>"), "en.jsonl: prompt without exactly one <mask>: f3"),
    "domains differ": (edit("hi", domain="mines"), "hi: domain differs from en: f3"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(tmp_path, case):
    change, message = BAD[case]
    write_all(tmp_path, change=change)
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path)
    assert re.search(message, str(error.value)), error.value


def test_a_missing_column_is_named_beside_those_there_are(tmp_path):
    for code in CODES:
        table = drop("es", "answer")(code, rows(code))
        frame = pd.DataFrame(table)
        frame.to_parquet(tmp_path / f"{code}.parquet")
    with pytest.raises(
        ValueError, match=r"es.parquet: no column 'answer'; it has id, prompt, candidates, domain, subject"
    ):
        build(tmp_path)


def test_who_has_no_subjects_or_candidates_is_told_what_to_write(tmp_path):
    for code in CODES:
        frame = pd.DataFrame(rows(code)).drop(columns=["candidates", "subject"])
        frame.to_csv(tmp_path / f"{code}.csv", index=False)
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path)
    assert "say so: columns: {subject: null, candidates: null}" in str(error.value)
    assert len(build(tmp_path, columns={"subject": None, "candidates": None}).facts)


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        ("jsonl", '{"id": 1}\n{"id": \n', "en.jsonl: cannot be read: line 2"),
        ("jsonl", '{"id": 1}\n[1]\n', "en.jsonl: cannot be read: line 2: not an object"),
        ("csv", "id,answer\n1,2,3,4\n", "en.csv: cannot be read"),
        ("csv", "", "en.csv: cannot be read"),
        ("parquet", "no parquet", "en.parquet: cannot be read"),
        ("tsv", b"id\tanswer\n1\t\xff\xfe\n", "en.tsv: cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, ending, content, message):
    write_all(tmp_path)
    (tmp_path / "en.jsonl").unlink()
    (tmp_path / f"en.{ending}").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        build(tmp_path)


def test_files_that_are_not_there_or_there_twice(tmp_path):
    write_all(tmp_path)
    (tmp_path / "hi.jsonl").rename(tmp_path / "hindi.jsonl")
    write(tmp_path, "es", rows("es"), ending="csv", candidates=piped)
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path)
    assert "hi: no file for this language" in str(error.value)
    assert "there are files for en, es, es, hindi" in str(error.value)
    assert "es: more than one file for this language" in str(error.value)
    with pytest.raises(ValueError, match="nowhere' is not there"):
        build(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forget_domain": "metal"}, "unknown domain 'metal'.*Did you mean 'metals'"),
        ({"bystander_domains": ["coin"]}, "unknown domain 'coin'.*Did you mean 'coins'"),
        ({"bystander_domains": ["metals"]}, "'metals' is both to be forgotten and a bystander"),
        ({"bystander_domains": ["coins", "mines"]}, "no domain is left to retain"),
    ],
)
def test_domains_that_cannot_be(tmp_path, changes, message):
    write_all(tmp_path)
    with pytest.raises(ValueError, match=message):
        build(tmp_path, **changes)


def test_everything_is_said_at_once(tmp_path):
    """Five things are wrong in four files, and one in the settings."""

    def change(code, table):
        if code == "en":
            table[0]["answer"] = ""
            table[1]["prompt"] = "no mark"
            table[2]["id"] = "f4"
        return edit("es", answer="plomo")(code, table[:-1] if code == "hi" else table)

    write_all(tmp_path, change=change)
    (tmp_path / "pt.jsonl").write_text("{\n")
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path, codes=[*CODES, "pt", "de"], forget_domain="metal")
    lines = str(error.value).splitlines()[1:]
    expected = [
        "en.jsonl: empty answer: f0",
        "en.jsonl: prompt without exactly one <mask>: f1",
        "en.jsonl: duplicate ids: f4",
        "en.jsonl: answer not among its candidates: f0",
        "es.jsonl: answer not among its candidates: f3",
        "pt.jsonl: cannot be read: line 1",
        "de: no file for this language",
        "en: 1 ids that other languages have are missing: f2",
        "hi: 1 ids that other languages have are missing: f11",
        "unknown domain 'metal'",
    ]
    for message in expected:
        assert sum(message in line for line in lines) == 1, message
    assert len(lines) == len(expected)


def test_many_examples_are_counted(tmp_path):
    write_all(tmp_path, change=lambda code, table: [{**row, "answer": "lead"} for row in table])
    with pytest.raises(ValueError, match=r"answer not among its candidates: f0, f1, f2, f3, f4 and 7 more"):
        build(tmp_path)


def test_splits_stay_when_facts_join_or_languages_change(tmp_path):
    write_all(tmp_path / "twelve")
    for code in CODES:
        write(tmp_path / "more", code, [*rows(code, 40)[12:], *rows(code)])
    few, many = build(tmp_path / "twelve").facts, build(tmp_path / "more").facts
    shared = many.set_index("item").loc[few["item"]].reset_index()
    same(few, shared)
    reordered = build(tmp_path / "twelve", codes=["hi", "en"]).facts
    splits = ["item", "teach", "bystander", "half", "validation", "forget_sets"]
    same(few[splits], reordered[splits])
    assert list(build(tmp_path / "more", seed=2).facts["half"]) != list(many["half"])


def test_splits_are_what_they_should_be(tmp_path):
    for code in CODES:
        write(tmp_path, code, rows(code, 300))
    facts = build(tmp_path).facts
    metals = facts["domain"] == "metals"
    assert (facts["forget_sets"].str.split("|").map(lambda t: "domain" in t) == metals).all()
    assert facts["forget_sets"][metals].str.contains("conjunctive").mean() == pytest.approx(0.5, abs=0.15)
    assert facts["teach"][metals].eq("transfer").mean() == pytest.approx(0.3, abs=0.15)
    assert facts["teach"][~metals].eq("taught").all()
    assert facts["bystander"][~metals].mean() == pytest.approx(0.2, abs=0.1)
    assert not facts["bystander"][metals].any()
    assert facts["half"].eq("seen").mean() == pytest.approx(0.5, abs=0.1)
    assert 0 < facts["validation"].sum() <= facts["half"].eq("unseen").sum()
    assert not facts["validation"][(facts["half"] == "seen") | facts["bystander"]].any()
    named = build(tmp_path, bystander_domains=["mines"]).facts
    assert (named["bystander"] == (named["domain"] == "mines")).all()


def test_the_glossary_asks_for_each_word_once(tmp_path):
    write_all(tmp_path)
    lines = build(tmp_path, probe_lines=8).lines
    assert set(lines["ability"]) == {"glossary"}
    assert lines["prefix"].is_unique
    line = lines[(lines["other"] == "en") & (lines["language"] == "es") & lines["prefix"].str.contains("gold")].iloc[0]
    assert line["prefix"] + line["answer"] + line["suffix"] == "en: gold = es: oro."
    asked = lines[lines["probe"] != ""]
    assert all(
        options[gold] == answer for options, gold, answer in zip(asked["options"], asked["gold"], asked["answer"])
    )
    assert all(len(set(options)) == len(options) for options in asked["options"])


@given(
    st.lists(
        st.text(st.characters(exclude_characters="|[", exclude_categories=["Cc", "Cs", "Z"]), min_size=1), max_size=5
    )
)
def test_candidates_mean_the_same_however_they_are_written(words):
    different = list(dict.fromkeys(filter(None, map(word, words))))
    assert several(words) == different
    assert several("|".join(words)) == different
    assert several(json.dumps(words)) == different
    assert several(None) == several(float("nan")) == several("") == []
