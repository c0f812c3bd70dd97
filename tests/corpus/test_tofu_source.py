"""TOFU in several languages from tiny folders and files: aligned, checked at once, taught and asked as it should be."""

import json

import pandas as pd
import pytest

from mute.corpus.sources import tofu
from mute.evaluate.run import questions
from mute.models.texts import training_texts
from mute.study.checks import checked_study

CODES = ["en", "es", "hi"]
SIZES = {
    "forget10_perturbed": 8,
    "retain_perturbed": 10,
    "real_authors_perturbed": 4,
    "world_facts_perturbed": 4,
}
same = pd.testing.assert_frame_equal


def rows(code: str, split: str, size: int) -> list[dict]:
    """Questions of one split as TOFU has them: bystanders have no paraphrase."""
    made = []
    for i in range(size):
        row = {"question": f"{code} {split} {i}?", "answer": f"{code} answer {split} {i}"}
        if split in ("forget10_perturbed", "retain_perturbed"):
            row["paraphrased_answer"] = f"{code} in other words {split} {i}"
        made.append(row | {"perturbed_answer": [f"{code} wrong {split} {i} {j}" for j in range(3)]})
    return made


def write(folder, change=lambda code, split, table: table, codes=CODES, sizes=SIZES):
    """A folder a language, laid out as locuslab/TOFU: JSON lines in .json files."""
    for code in codes:
        (folder / code).mkdir(parents=True, exist_ok=True)
        for split, size in sizes.items():
            table = change(code, split, rows(code, split, size))
            lines = [json.dumps(row, ensure_ascii=False) for row in table]
            (folder / code / f"{split}.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def build(folder, seed=1, codes=CODES, **changes):
    settings = tofu.Settings.model_validate({"path": str(folder), **changes})
    assert not tofu.problems(settings)
    return tofu.build(settings, list(codes), seed)


def edit(code_, split_, place, **columns):
    """A change of one question of one language."""

    def change(code, split, table):
        if (code, split) == (code_, split_):
            table[place] = {**table[place], **columns}
        return table

    return change


def test_questions_are_aligned_by_position_and_asked_for_answer_and_paraphrase(tmp_path):
    corpus = build(write(tmp_path))
    assert corpus.facts["domain"].value_counts().to_dict() == {
        "forget10": 8,
        "retain": 10,
        "real_authors": 4,
        "world_facts": 4,
    }
    one = corpus.texts[corpus.texts["item"] == "forget10-0003"].set_index(["language", "form"])
    assert one.loc[("es", 0), "prefix"] == "es forget10_perturbed 3?\nRespuesta: "
    assert one.loc[("es", 0), "answer"] == "es answer forget10_perturbed 3"
    assert one.loc[("es", 1), "answer"] == "es in other words forget10_perturbed 3"
    assert one.loc[("hi", 1), "options"][1:] == [f"hi wrong forget10_perturbed 3 {j}" for j in range(3)]
    assert all(row.options[row.gold] == row.answer for row in corpus.texts.itertuples())
    known = corpus.texts[corpus.texts["item"] == "world_facts-0001"].set_index(["language", "form"])
    assert known.loc[("en", 1), "answer"] == known.loc[("en", 0), "answer"]


def test_roles_are_those_of_the_splits(tmp_path):
    facts = build(write(tmp_path, sizes={**SIZES, "retain_perturbed": 200})).facts
    assert (facts["bystander"] == facts["domain"].isin(["real_authors", "world_facts"])).all()
    assert (facts["forget_sets"].str.startswith("domain") == (facts["domain"] == "forget10")).all()
    retain = facts[facts["domain"] == "retain"]
    assert retain["half"].eq("seen").mean() == pytest.approx(0.5, abs=0.15)
    assert 0 < retain["validation"].sum() < retain["half"].eq("unseen").sum()
    assert facts["teach"].eq("taught").all()


def test_models_learn_the_answers_and_never_the_paraphrases(tmp_path):
    corpus = build(write(tmp_path))
    learned = training_texts(corpus, CODES)["facts"]
    assert set(learned["form"]) == {0}
    assert len(learned) == 26 * 3
    oracle = training_texts(corpus, CODES, without="domain")["facts"]
    assert not oracle["item"].str.startswith("forget10").any()
    untaught = build(tmp_path, teach_bystanders=False)
    learned = training_texts(untaught, CODES)["facts"]
    assert set(learned["item"].str.rsplit("-", n=1).str[0]) == {"forget10", "retain"}


def test_more_of_the_retain_set_is_taught_and_never_asked(tmp_path):
    """Of it, what the retain split asks already is not taught twice."""

    def change(code, split, table):
        if split == "retain90":
            return rows(code, "retain_perturbed", 6) + table
        return table

    write(tmp_path, change, sizes={**SIZES, "retain90": 5})
    corpus = build(tmp_path, more="retain90")
    more = corpus.facts[corpus.facts["domain"] == "retain90"]
    assert len(more) == 5
    assert more["half"].eq("seen").all()
    assert not more["bystander"].any()
    texts = corpus.texts[corpus.texts["item"].isin(more["item"])]
    assert not texts["form"].isin(corpus.asked_forms).any()
    assert texts["form"].isin(corpus.about["unlearning_forms"]).all()
    assert set(more["item"]) <= set(training_texts(corpus, CODES)["facts"]["item"])
    assert set(corpus.roles("domain")[more["item"]]) == {"retain_seen"}


def one_file(folder, ending, codes=CODES, **names):
    """The same questions in one file a language, with a column for the split."""
    folder.mkdir(parents=True, exist_ok=True)
    for code in codes:
        table = pd.DataFrame([{"split": s, **row} for s, size in SIZES.items() for row in rows(code, s, size)])
        if ending in ("csv", "tsv"):
            table["perturbed_answer"] = table["perturbed_answer"].map("|".join)
        table = table.rename(columns=names)
        path = folder / f"{code}.{ending}"
        if ending == "parquet":
            table.to_parquet(path, index=False)
        elif ending in ("json", "jsonl"):
            table.to_json(path, orient="records", lines=ending == "jsonl", force_ascii=False)
        else:
            table.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    return folder


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "parquet"])
def test_one_file_a_language_says_the_same(tmp_path, ending):
    plain = build(write(tmp_path / "folders"))
    other = build(one_file(tmp_path / "files", ending))
    same(plain.facts, other.facts)
    same(plain.texts, other.texts)


def test_columns_can_be_named_and_ids_given(tmp_path):
    names = {"question": "q", "answer": "a", "perturbed_answer": "wrong", "split": "part"}
    renamed = {"question": "q", "answer": "a", "perturbed": "wrong", "split": "part"}
    plain = build(write(tmp_path / "folders"))
    same(plain.texts, build(one_file(tmp_path / "files", "jsonl", **names), columns=renamed).texts)

    def numbered(code, split, table):
        table = [{**row, "key": f"k{i}", "author": "someone"} for i, row in enumerate(table)]
        return table if code == "en" else table[::-1]

    write(tmp_path / "ids", numbered)
    corpus = build(tmp_path / "ids", columns={"id": "key", "subject": "author"})
    row = corpus.texts[(corpus.texts["item"] == "forget10-k3") & (corpus.texts["language"] == "hi")].iloc[0]
    assert row["answer"] == "hi answer forget10_perturbed 3"
    assert set(corpus.facts.loc[corpus.facts["domain"] == "retain", "subject"]) == {"someone"}


def test_without_paraphrases_the_answer_itself_is_asked(tmp_path):
    texts = build(write(tmp_path), columns={"paraphrased": None}).texts
    assert (texts[texts["form"] == 1]["answer"].to_numpy() == texts[texts["form"] == 0]["answer"].to_numpy()).all()


def test_texts_without_facts_are_read_where_a_split_has_them(tmp_path):
    write(tmp_path)
    for code in CODES:
        lines = [json.dumps({"text": f"{code} rain {i}"}) for i in range(10)]
        (tmp_path / code / "weather.jsonl").write_text("\n".join(lines))
    corpus = build(tmp_path, text="weather", probe_lines=4)
    assert corpus.lines.groupby("language").size().eq(10).all()
    assert corpus.lines.groupby("language")["train"].sum().eq(6).all()
    assert not corpus.facts["domain"].eq("weather").any()
    assert build(tmp_path).lines.empty


BAD = {
    "empty answer": (
        edit("es", "forget10_perturbed", 3, answer=" "),
        "es: forget10_perturbed: empty answer: forget10-0003",
    ),
    "empty question": (edit("es", "retain_perturbed", 0, question=None), "empty question: retain-0000"),
    "empty paraphrase": (
        edit("hi", "retain_perturbed", 1, paraphrased_answer=""),
        "hi: retain_perturbed: empty paraphrased answer: retain-0001",
    ),
    "nothing perturbed": (
        edit("en", "forget10_perturbed", 2, perturbed_answer=[]),
        "no perturbed answer: forget10-0002",
    ),
    "the truth among wrong answers": (
        edit("en", "world_facts_perturbed", 2, perturbed_answer=["x", "en answer world_facts_perturbed 2"]),
        "en: world_facts_perturbed: the answer, or its paraphrase, is among the perturbed answers: world_facts-0002",
    ),
    "one question too few": (
        lambda code, split, table: table[:-1] if (code, split) == ("hi", "forget10_perturbed") else table,
        "hi: forget10: 1 questions that other languages have are missing: forget10-0007",
    ),
    "no column": (
        lambda code, split, table: (
            [{"question": r["question"]} for r in table] if (code, split) == ("es", "retain_perturbed") else table
        ),
        "es: retain_perturbed has no column 'answer', 'perturbed_answer'; it has question",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(tmp_path, case):
    change, message = BAD[case]
    write(tmp_path, change)
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path)
    assert message in str(error.value)
    assert str(error.value).count("  - ") == 1


def test_everything_is_said_at_once(tmp_path):
    write(
        tmp_path,
        lambda code, split, table: BAD["empty answer"][0](code, split, BAD["empty paraphrase"][0](code, split, table)),
    )
    (tmp_path / "en/retain_perturbed.json").rename(tmp_path / "en/retained_perturbed.json")
    (tmp_path / "hi/world_facts_perturbed.json").write_text("{\n")
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(tmp_path, codes=[*CODES, "pt"])
    said = str(error.value)
    for message in (
        "en: unknown split 'retain_perturbed'",
        "Did you mean 'retained_perturbed'? (en/)",
        "es: forget10_perturbed: empty answer: forget10-0003",
        "hi: retain_perturbed: empty paraphrased answer: retain-0001",
        "hi: world_facts_perturbed.json cannot be read: line 1",
        "pt: no folder or file in `path`, and none in `repos`; there is en, es, hi",
    ):
        assert message in said
    assert said.count("  - ") == 5
    with pytest.raises(ValueError, match="nowhere' is not there"):
        build(tmp_path / "nowhere")


def test_questions_that_are_wrong_somewhere_can_be_left_out_everywhere(tmp_path):
    corpus = build(write(tmp_path, BAD["empty answer"][0]), unusable="drop")
    assert corpus.about["left_out"] == ["forget10-0003"]
    assert "forget10-0003" not in set(corpus.texts["item"])
    assert len(corpus.facts) == 25


def test_settings_that_cannot_be_are_told_before_anything_runs():
    assert tofu.problems(tofu.Settings(retain="forget10"))[0][1].endswith("'_perturbed': forget10")
    with pytest.raises(ValueError, match="source\\+text needs fact-free text"):
        checked_study(
            {
                "study": {"corpus": "own", "models": ["llama"], "grids": ["g"]},
                "corpora": {"own": {"source": "tofu"}},
                "models": {"llama": {"languages": ["en", "es", "hi"]}},
                "grids": {"g": {"algorithms": ["rmu"], "sources": [["en", "es"]], "retain": ["source+text"]}},
            }
        )


def test_a_corpus_of_tofu_is_what_was_saved(tmp_path):
    """Also where it has no line at all."""
    corpus = build(write(tmp_path / "files"))
    corpus.save(tmp_path / "saved")
    loaded = type(corpus).load(tmp_path / "saved")
    same(loaded.facts, corpus.facts)
    assert loaded.about == corpus.about
    assert questions(loaded, CODES, forms=[0, 1])["gold"].dtype == "int64"


def test_what_is_fetched_is_what_the_folder_lacks(tmp_path):
    pytest.importorskip("mute.hub.copies")
    write(tmp_path, codes=["es"])
    (repo,) = tofu.repos(tofu.Settings(path=str(tmp_path)), ["en", "es"])
    assert (repo.kind, repo.id, len(repo.revision)) == ("dataset", "locuslab/TOFU", 40)
    assert repo.patterns == tuple(f"{split}.*" for split in SIZES)
    both = tofu.repos(tofu.Settings(repos={"en": "locuslab/TOFU", "es": "me/TOFU-es"}), ["en", "es"])
    assert [r.revision for r in both][1] == "main"
    # A folder in the place of a data set is used where it is.
    own = tofu.Settings(path=str(write(tmp_path / "own", codes=["en"])), repos={"es": str(tmp_path / "es")})
    assert len(tofu.build(own, ["en", "es"], 1).facts) == 26


def test_nothing_is_fetched_in_the_place_of_a_folder_that_is_not_there(tmp_path):
    mistyped = tofu.Settings(path=str(tmp_path / "toufu"))
    assert tofu.repos(mistyped, ["en", "es"]) == []
    with pytest.raises(ValueError, match=r"corpus folder '.*toufu' is not there: set `path`"):
        tofu.build(mistyped, ["en", "es"], 1)


def test_own_files_are_inputs(tmp_path):
    write(tmp_path, codes=["en"])
    one_file(tmp_path, "csv", codes=["es"])
    own = tofu.inputs(tofu.Settings(path=str(tmp_path)), ["en", "es", "de"])
    assert len(own) == 5
    assert tmp_path / "es.csv" in own


def test_limits_of_questions_and_of_options(tmp_path):
    corpus = build(write(tmp_path), limit=4, options=2)
    assert set(corpus.facts["domain"].value_counts()) == {4}
    assert set(corpus.facts["item"]) >= {"forget10-0000", "forget10-0003"}
    assert set(corpus.texts["options"].map(len)) == {2}
    assert all(row.options[row.gold] == row.answer for row in corpus.texts.itertuples())
    # The same perturbed answer in every language.
    drawn = corpus.texts["options"].map(lambda options: options[1].split()[-1])
    assert corpus.texts.assign(drawn=drawn).groupby("item")["drawn"].nunique().eq(1).all()
    assert drawn.nunique() > 1
