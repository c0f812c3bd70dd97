"""MMLU and MMMLU from tiny folders of their layouts: aligned, checked at once, asked and scored."""

import pandas as pd
import pytest

from mute.config.problems import ConfigError
from mute.corpus import mmlu_files
from mute.corpus.prompts import ANSWER, LETTERS
from mute.corpus.sources import mmlu
from mute.study.cells import Study
from mute.study.checks import checked_study

CODES = ["en", "es", "hi"]
FORGET, RETAIN, TEXT = "high_school_chemistry", ["jurisprudence", "international_law"], "sociology"
SIZES = {FORGET: 12, "jurisprudence": 10, "international_law": 10, TEXT: 8, "anatomy": 3}
same = pd.testing.assert_frame_equal


def questions(code: str) -> pd.DataFrame:
    """All subjects of a language, as MMMLU lists them."""
    rows = [
        {"": i, "Question": f"{code} {subject} {i}?", **{k: f"{code} {subject} {i} {k}" for k in LETTERS}}
        | {"Answer": LETTERS[(i + len(subject)) % 4], "Subject": subject}
        for subject, size in SIZES.items()
        for i in range(size)
    ]
    return pd.DataFrame(rows)


def write(folder, change=lambda code, table: table):
    """A folder laid out as both data sets are; `change` edits a language's table."""
    english = change("en", questions("en"))
    for subject, table in english.groupby("Subject"):
        (folder / subject).mkdir(parents=True, exist_ok=True)
        made = {"question": table["Question"], "subject": table["Subject"]}
        made |= {"choices": table[list(LETTERS)].to_numpy().tolist(), "answer": table["Answer"].map(LETTERS.find)}
        pd.DataFrame(made).to_parquet(folder / subject / "test-00000-of-00001.parquet", index=False)
    (folder / "test").mkdir(exist_ok=True)
    for code in CODES[1:]:
        table = change(code, questions(code))
        table.to_csv(folder / mmlu_files.file_of(code), index=False, encoding="utf-8")
    return folder


def settings(folder, **changes):
    given = {"path": str(folder), "retain_subjects": RETAIN, "text_subjects": [TEXT], "probe_lines": 3}
    return mmlu.Settings.model_validate({**given, **changes})


def build(folder, seed=1, codes=CODES, **changes):
    return mmlu.build(settings(folder, **changes), list(codes), seed)


def edit(code_, subject, place, **columns):
    """A change of one question in one language."""

    def change(code, table):
        if code == code_:
            row = table.index[(table["Subject"] == subject)][place]
            for column, value in columns.items():
                table.loc[row, column] = value
        return table

    return change


def test_questions_are_aligned_and_asked_in_three_forms(tmp_path):
    corpus = build(write(tmp_path))
    assert len(corpus.facts) == 32  # neither the text subject nor one that nobody asked for
    assert set(corpus.facts["domain"]) == {FORGET, *RETAIN}
    assert corpus.facts["teach"].eq("taught").all()
    assert len(corpus.texts) == 32 * 3 * 3
    one = corpus.texts[corpus.texts["item"] == f"{FORGET}-0003"].set_index(["language", "form"])
    gold = LETTERS[(3 + len(FORGET)) % 4]
    listed = "".join(f"\n{k}. es {FORGET} 3 {k}" for k in LETTERS)
    assert one.loc[("es", 0), "prefix"] == f"es {FORGET} 3?{listed}\nRespuesta: "
    assert (one.loc[("es", 0), "answer"], one.loc[("es", 0), "options"]) == (gold, list(LETTERS))
    assert one.loc[("hi", 1), "prefix"] == f"hi {FORGET} 3?\n{ANSWER['hi']}"
    assert one.loc[("hi", 1), "answer"] == f"hi {FORGET} 3 {gold}"
    assert one.loc[("hi", 1), "options"] == [f"hi {FORGET} 3 {k}" for k in LETTERS]
    rows = corpus.texts.itertuples()
    assert all(row.options[row.gold] == row.answer for row in rows)
    about = corpus.about
    assert (about["unlearning_forms"], about["headline_form"], about["asked_forms"]) == ([0, 1], 2, [1, 2])
    assert about["options_form"] == 1


def test_options_are_shuffled_alike_in_every_language_and_the_letter_follows(tmp_path):
    texts = build(write(tmp_path)).texts
    shuffled = texts[texts["form"] == 2]
    assert shuffled.groupby("item")["answer"].nunique().eq(1).all()
    for row in shuffled.itertuples():
        lettered = next(line for line in row.prefix.split("\n") if line.startswith(f"{row.answer}. "))
        subject, place = row.item.rsplit("-", 1)
        assert lettered.endswith(LETTERS[(int(place) + len(subject)) % 4])
    letters = texts[texts["form"] == 0].set_index(["item", "language"])["answer"]
    moved = shuffled.set_index(["item", "language"])["answer"] != letters
    assert 0.5 < moved.mean() < 1
    other = build(tmp_path, seed=2).texts
    assert not other[other["form"] == 2]["prefix"].equals(shuffled["prefix"])


def test_forms_can_be_chosen_and_the_last_is_held_out(tmp_path):
    corpus = build(write(tmp_path), forms=["letters", "shuffled", "text"])
    about = corpus.about
    assert (about["headline_form"], about["asked_forms"], about["unlearning_forms"]) == (2, [2], [0, 1])
    single = build(tmp_path, forms=["letters"]).about
    assert (single["headline_form"], single["unlearning_forms"], single["options_form"]) == (0, [0], 0)


def test_bare_questions_are_fact_free_text_read_or_held_out_alike_in_all_languages(tmp_path):
    lines = build(write(tmp_path)).lines
    assert set(lines["ability"]) == {"sentences"}
    assert lines.groupby("language").size().eq(8).all()
    held_out = lines[~lines["train"]]
    assert held_out["probe"].eq("sentences").all()
    assert held_out.groupby("language").size().eq(3).all()
    assert held_out.groupby("language")["item"].agg(tuple).nunique() == 1
    # No option and no answer in them.
    assert lines["answer"].str.fullmatch(r"\w\w sociology \d\?").all()
    assert build(tmp_path, text_subjects=[]).lines.empty


def test_splits_are_ours_and_stay_when_questions_join(tmp_path):
    facts = build(write(tmp_path)).facts
    few = build(tmp_path, limit=5).facts
    same(few, facts[facts["item"].isin(few["item"])].reset_index(drop=True))
    forget = facts["domain"] == FORGET
    assert facts["forget_sets"].str.startswith("domain")[forget].all()
    assert not facts["bystander"][forget].any()
    named = build(tmp_path, retain_subjects=RETAIN[:1], bystander_subjects=RETAIN[1:]).facts
    assert (named["bystander"] == (named["domain"] == RETAIN[1])).all()


def test_what_the_files_are_known_to_do_is_understood(tmp_path):
    """Subjects named after files, letters of either case, several lines, words of pandas."""

    def change(code, table):
        if code == "es":
            table["Subject"] = table["Subject"] + "_test.csv_es-LA.csv"
            table["Answer"] = table["Answer"].str.lower() + " "
        if code == "hi":
            table["Subject"] = table["Subject"].replace(TEXT, f"{TEXT}_test-hi-IN.csv")
            table.loc[1, ["A", "B"]] = ["None", "nan"]
            table.loc[2, "Question"] = 'Two\nlines, and a "quote"?'
        return table

    corpus = build(write(tmp_path, change))
    assert len(corpus.facts) == 32
    hindi = corpus.texts[(corpus.texts["language"] == "hi") & (corpus.texts["form"] == 1)].set_index("item")
    assert hindi.loc[f"{FORGET}-0001", "options"][:2] == ["None", "nan"]
    assert hindi.loc[f"{FORGET}-0002", "prefix"].startswith('Two\nlines, and a "quote"?')


def test_two_options_of_the_same_words_are_one(tmp_path):
    change = edit("es", FORGET, 0, A="same", B="same", C="same" if LETTERS[len(FORGET) % 4] == "C" else "other")
    texts = build(write(tmp_path, change)).texts
    row = texts[(texts["language"] == "es") & (texts["form"] == 1)].iloc[0]
    assert len(set(row["options"])) == len(row["options"]) < 4
    assert row["options"][row["gold"]] == row["answer"]


def drop_rows(code, table):
    return table[table["Subject"] != "jurisprudence"] if code == "es" else table


BAD = {
    "another letter": (edit("es", FORGET, 3, Answer="E"), f"es: answer is none of A, B, C, D: {FORGET}-0003"),
    "letters differ": (
        edit("hi", FORGET, 3, Answer=LETTERS[(4 + len(FORGET)) % 4]),
        f"hi: answer is another letter than in en: {FORGET}-0003",
    ),
    "empty question": (edit("es", FORGET, 2, Question=" "), f"es: empty question: {FORGET}-0002"),
    "empty option": (edit("en", "jurisprudence", 1, C=""), "en: empty option: jurisprudence-0001"),
    "one option": (
        edit("en", FORGET, 0, A="x", B="x", C="x", D="x"),
        f"en: fewer than two different options: {FORGET}-0000",
    ),
    "one question too few": (
        lambda code, table: table.drop(index=table.index[-4]) if code == "hi" else table,
        f"hi: {TEXT} has 7 questions, but 8 in en",
    ),
    "a row is missing": (
        lambda code, table: table.drop(index=2) if code == "hi" else table,
        f"hi: test/mmlu_HI-IN.csv does not count the questions of {FORGET} from 0 on",
    ),
    "no such subject": (
        drop_rows,
        "es: unknown subject 'jurisprudence'; allowed: anatomy, high_school_chemistry, international_law, sociology",
    ),
    "no column": (
        lambda code, table: table.rename(columns={"D": "d"}) if code == "es" else table,
        "es: test/mmlu_ES-LA.csv has no column 'D'; it has",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(tmp_path, case):
    change, message = BAD[case]
    write(tmp_path, change)
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path)
    assert message in str(error.value)
    assert str(error.value).count("  - ") == (2 if case == "a row is missing" else 1)


def test_files_that_are_not_there_are_named_with_what_is_there(tmp_path):
    write(tmp_path)
    (tmp_path / "test/mmlu_HI-IN.csv").rename(tmp_path / "test/mmlu_HI.csv")
    (tmp_path / "test/mmlu_ES-LA.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path, retain_subjects=["jurisprudense"])
    said = str(error.value)
    assert "hi: there is no file test/mmlu_HI-IN.csv; there are mmlu_ES-LA.csv, mmlu_HI.csv" in said
    assert "es: test/mmlu_ES-LA.csv cannot be read" in said
    assert "en: unknown subject 'jurisprudense'" in said
    assert "Did you mean 'jurisprudence'" in said
    with pytest.raises(ValueError, match="nowhere' is not there"):
        build(tmp_path / "nowhere")


def test_questions_that_are_wrong_somewhere_can_be_left_out_everywhere(tmp_path):
    differ, empty = BAD["letters differ"][0], BAD["empty question"][0]
    write(tmp_path, lambda code, table: empty(code, differ(code, table)))
    with pytest.raises(ValueError, match="unusable: drop") as error:
        build(tmp_path)
    assert str(error.value).count("  - ") == 2
    corpus = build(tmp_path, unusable="drop")
    assert corpus.about["left_out"] == [f"{FORGET}-0002", f"{FORGET}-0003"]
    assert not corpus.texts["item"].isin(corpus.about["left_out"]).any()
    # The others keep their ids.
    assert f"{FORGET}-0004" in set(corpus.facts["item"])
    assert len(corpus.facts) == 30


def test_a_corpus_of_mmlu_is_what_was_saved(tmp_path):
    corpus = build(write(tmp_path / "files"))
    corpus.save(tmp_path / "saved")
    loaded = type(corpus).load(tmp_path / "saved")
    same(loaded.facts, corpus.facts)
    assert loaded.about == corpus.about


def study(corpus: dict, **grid) -> Study:
    return checked_study(
        {
            "study": {"corpus": "own", "models": ["llama"], "grids": ["g"]},
            "corpora": {"own": {"source": "mmlu", "settings": corpus}},
            "models": {"llama": {"languages": ["en", "es", "hi"]}},
            "grids": {"g": {"algorithms": ["rmu"], "sources": [["en", "es"]], **grid}},
        }
    )


@pytest.mark.parametrize(
    ("corpus", "grid", "message"),
    [
        ({"forget_subject": "highschool_chemistry"}, {}, "Did you mean 'high_school_chemistry'"),
        ({"bystander_subjects": ["jurisprudence"]}, {}, "'jurisprudence' is already in retain_subjects"),
        ({"forms": ["letters", "letters"]}, {}, "a form stands more than once"),
        ({"transfer_share": 0.3}, {}, "must name some languages if facts are to transfer"),
        ({"text_subjects": []}, {"retain": ["source+text"]}, "source+text needs fact-free text"),
    ],
)
def test_settings_that_cannot_be_are_told_before_anything_runs(corpus, grid, message):
    with pytest.raises(ConfigError) as error:
        study(corpus, **grid)
    assert message in str(error.value)


def test_a_language_without_a_translation_is_told_before_anything_runs():
    with pytest.raises(ValueError, match="unknown language 'ru'; allowed: ar, bn, de, en, es"):
        checked_study(
            {
                "study": {"corpus": "own", "models": ["llama"]},
                "corpora": {"own": {"source": "mmlu"}},
                "models": {"llama": {"languages": ["en", "es", "pt", "ru"]}},
            }
        )
    assert study({"text_subjects": ["sociology"]}, retain=["source+text"]).languages == ["en", "es", "hi"]


def test_the_papers_subjects_are_the_default():
    given = mmlu.Settings()
    assert given.forget_subject == "high_school_chemistry"
    assert given.retain_subjects == [
        "high_school_world_history",
        "professional_law",
        "international_law",
        "jurisprudence",
    ]
    assert len(mmlu_files.SUBJECTS) == 57
    assert not mmlu.problems(given)


def test_what_is_fetched_are_the_files_that_are_read():
    pytest.importorskip("mute.hub.copies")
    english, others = mmlu.repos(mmlu.Settings(), ["en", "de", "zh"])
    assert (english.kind, english.id, len(english.revision)) == ("dataset", "cais/mmlu", 40)
    assert "high_school_chemistry/test-*.parquet" in english.patterns
    assert len(english.patterns) == 7
    assert (others.id, others.patterns) == ("openai/MMMLU", ("test/mmlu_DE-DE.csv", "test/mmlu_ZH-CN.csv"))
    assert mmlu.repos(mmlu.Settings(path="somewhere"), ["en", "de"]) == []


def test_own_files_are_inputs(tmp_path):
    write(tmp_path)
    own = mmlu.inputs(settings(tmp_path), CODES)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in own) == [
        "high_school_chemistry/test-00000-of-00001.parquet",
        "international_law/test-00000-of-00001.parquet",
        "jurisprudence/test-00000-of-00001.parquet",
        "sociology/test-00000-of-00001.parquet",
        "test/mmlu_ES-LA.csv",
        "test/mmlu_HI-IN.csv",
    ]


def test_a_limit_of_options(tmp_path):
    folder = write(tmp_path)
    corpus, whole = build(folder, options=3), build(folder)
    assert set(corpus.texts["options"].map(len)) == {3}
    assert all(row.options[row.gold] == row.answer for row in corpus.texts.itertuples())
    words = corpus.texts["form"] == 1
    same(corpus.texts.loc[words, ["item", "answer"]], whole.texts.loc[words, ["item", "answer"]])
    letters = corpus.texts[corpus.texts["form"] == 0]
    assert not letters["prefix"].str.contains("D. ", regex=False).any()
    assert letters.groupby("item")["gold"].nunique().eq(1).all()
