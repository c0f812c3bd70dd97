"""Honest mistakes in one's own files: each is found before any plan, with file, line and what to do."""

import json
import unicodedata

import pandas as pd
import pytest
import test_mmlu_source
import test_tofu_source
import yaml

from mute.__main__ import main
from mute.corpus import faults, mixed_up, sources
from mute.corpus.sources import files

# Towns with a river each: sentences as people write them.
TOWNS = ["Lyon", "Graz", "Turin", "Porto", "Ghent", "Basel", "Gdańsk", "Kraków", "Kiel", "Bilbao", "Riga", "Oulu"]
SAY = {
    "en": ("The river of the town of {} is called <mask>.", "The mayor of the town of {} was born in <mask>."),
    "es": ("El río de la ciudad de {} se llama <mask>.", "El alcalde de la ciudad de {} nació en <mask>."),
    "pt": ("O rio da cidade de {} é chamado <mask>.", "O prefeito da cidade de {} nasceu em <mask>."),
    "hi": ("{} शहर की नदी का नाम <mask> है।", "{} शहर के महापौर का जन्म <mask> में हुआ था।"),
}
ANSWERS = {
    "en": ("blue water", "green water", "cold water"),
    "es": ("agua azulísima", "agua verde", "agua fría"),
    "pt": ("água azul", "água verde", "água fria"),
    "hi": ("नीला पानी", "हरा पानी", "ठंडा पानी"),
}
CODES = list(SAY)


def rows(code):
    made = []
    for i in range(24):
        domain, answers = ("rivers", "mayors")[i % 2], ANSWERS[code]
        row = {"id": f"t{i}", "prompt": SAY[code][i % 2].format(TOWNS[i // 2]), "answer": answers[i // 2 % 3]}
        made.append(row | {"candidates": "|".join(answers), "domain": domain, "subject": TOWNS[i // 2]})
    return made


def write(folder, change=lambda code, table: table, ending="jsonl", only=()):
    folder.mkdir(exist_ok=True)
    for code in CODES:
        table = change(code, rows(code))
        path = folder / f"{code}.{ending}"
        if ending == "jsonl":
            path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in table) + "\n", encoding="utf-8")
        else:
            pd.DataFrame(table).to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    return folder


def study(tmp_path, folder, **settings):
    own = {"path": str(folder), "forget_domain": "rivers", "teaching_languages": ["en", "es"], **settings}
    overlay = {
        "study": {"name": "own", "results": "results/own", "corpus": "own"},
        "corpora": {"own": {"source": "files", "settings": own}},
        "models": {"llama": {"languages": CODES, "oracles": ["domain"]}},
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(overlay))
    return ["config/micro.yaml", str(path)]


def said(capsys, command, chosen):
    code = main([command, *chosen])
    told = capsys.readouterr()
    return code, told.out, told.err


def edited(code_, place, **columns):
    def change(code, table):
        if code == code_:
            table[place] = {**table[place], **{k: v(table[place][k]) for k, v in columns.items()}}
        return table

    return change


def apart(text):
    return unicodedata.normalize("NFD", text)


def semicolons(folder):
    path = folder / "es.csv"
    pd.read_csv(path).to_csv(path, index=False, sep=";")


def tabs(folder):
    path = folder / "es.csv"
    pd.read_csv(path).to_csv(path, index=False, sep="\t")


def marked(folder):
    path = folder / "pt.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def swapped(one, other):
    def spoil(folder):
        a, b = folder / f"{one}.jsonl", folder / f"{other}.jsonl"
        a_text = a.read_bytes()
        a.write_bytes(b.read_bytes())
        b.write_bytes(a_text)

    return spoil


def copied(folder):
    (folder / "es.jsonl").write_bytes((folder / "en.jsonl").read_bytes())


def row_swapped(code, table):
    if code in ("es", "pt"):
        other = rows("pt" if code == "es" else "es")
        table[6] = {**table[6], "prompt": other[6]["prompt"], "answer": other[6]["answer"]}
        table[6]["candidates"] = other[6]["candidates"]
    return table


nothing = lambda folder: None  # noqa: E731
same = lambda code, table: table  # noqa: E731
# By name: ending, change of the rows, what is done to the files, and what must be said.
MISTAKES = {
    "semicolons": (
        "csv",
        same,
        semicolons,
        ["es.csv: fields are separated by semicolons", "line 1", "Save it with commas"],
    ),
    "tabs in a .csv file": ("csv", same, tabs, ["es.csv: fields are separated by tabs", "name it es.tsv"]),
    "byte-order mark": ("jsonl", same, marked, ["pt.jsonl: a byte-order mark", "line 1", "without one"]),
    "direction marks": (
        "jsonl",
        edited("es", 4, answer=lambda t: f"{t}\u200f", candidates=lambda t: f"{t}|agua fría\u200f"),
        nothing,
        ["es.jsonl: answer holds direction marks U+200F (line 5)", "Take them out"],
    ),
    "letters apart": (
        "jsonl",
        edited("es", 4, answer=apart, candidates=apart),
        nothing,
        ["es.jsonl: answer has letters and their accents apart (NFD) (line 5)", "NFC"],
    ),
    "letters apart in CSV": ("csv", edited("es", 4, prompt=apart), nothing, ["es.csv: prompt has letters", "(line 6)"]),
    "scripts swapped": (
        "jsonl",
        same,
        swapped("en", "hi"),
        [
            "en.jsonl: is written in Devanagari",
            "swapped with hi.jsonl",
            "hi.jsonl: is written in Latin",
            "the other's name",
        ],
    ),
    "languages of one script swapped": (
        "jsonl",
        same,
        swapped("en", "es"),
        ["en.jsonl: reads like Spanish", "es.jsonl: reads like English", "give each the other's name"],
    ),
    "a file copied": ("jsonl", same, copied, ["es.jsonl: says word by word what en.jsonl says", "24 of 24"]),
    "one item swapped": (
        "jsonl",
        row_swapped,
        nothing,
        ["es.jsonl: t6: reads like pt", "pt.jsonl, line 7", "Swap the two"],
    ),
    "one item untranslated": (
        "jsonl",
        edited("hi", 2, prompt=lambda t: rows("en")[2]["prompt"], answer=lambda t: "x", candidates=lambda t: "x|y"),
        nothing,
        ["hi.jsonl: t2: not in the script of hi", "(line 3)"],
    ),
    "an id twice": (
        "jsonl",
        edited("en", 3, id=lambda t: "t2"),
        nothing,
        ["en.jsonl: duplicate ids: t2 (line 4)", "take one"],
    ),
    "an item under two ids": (
        "csv",
        lambda code, table: [*table, {**table[0], "id": "t99"}],
        nothing,
        ["en.csv: the same question under two ids: t99 as t0 (line 26)", "Take one of them out"],
    ),
    "an item missing": (
        "jsonl",
        lambda code, table: table[:-1] if code == "hi" else table,
        nothing,
        ["hi: 1 ids that other languages have are missing: t23; en.jsonl has t23 in line 24", "Add them to hi.jsonl"],
    ),
    "a file missing": ("jsonl", same, lambda folder: (folder / "pt.jsonl").unlink(), ["pt: no file", "Add pt.jsonl"]),
    "an empty answer": (
        "jsonl",
        edited("es", 4, answer=lambda t: ""),
        nothing,
        ["es.jsonl: empty answer: t4 (line 5)", "drop"],
    ),
    "no mark": (
        "csv",
        edited("en", 4, prompt=lambda t: "What?"),
        nothing,
        ["prompt without exactly one <mask>: t4 (line 6)"],
    ),
}


def spoiled(tmp_path, name):
    ending, change, spoil, words = MISTAKES[name]
    folder = write(tmp_path / "data", change, ending)
    spoil(folder)
    return folder, words


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_before_any_plan(tmp_path, capsys, name):
    """By both commands, in the same words, and both end with another status than 0."""
    folder, words = spoiled(tmp_path, name)
    chosen = study(tmp_path, folder)
    code, _, told = said(capsys, "check-data", chosen)
    assert code == 1
    for word in words:
        assert word in told
    planned, plan, beneath = said(capsys, "plan", chosen)
    assert (planned, beneath) == (1, told)
    assert "all" in plan


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv"])
def test_sound_files_are_called_sound(tmp_path, capsys, ending):
    chosen = study(tmp_path, write(tmp_path / "data", ending=ending))
    code, out, err = said(capsys, "check-data", chosen)
    assert (code, err) == (0, "")
    assert "can be used" in out
    assert "12 facts to forget, 12 others" in out
    assert "12 of these 12 have an answer" in out
    assert said(capsys, "plan", chosen)[0] == 0


def test_a_plan_says_what_it_counted(tmp_path, capsys):
    """As many facts as there are, and tokens that grow with the texts: no number is from elsewhere."""
    long = lambda code, table: [{**row, "prompt": 5 * "Once more, and again. " + row["prompt"]} for row in table]  # noqa: E731
    _, short, _ = said(capsys, "plan", study(tmp_path, write(tmp_path / "short")))
    _, longer, _ = said(capsys, "plan", study(tmp_path, write(tmp_path / "long", long)))
    lines = [next(line for line in out.splitlines() if "tokens each" in line) for out in (short, longer)]
    assert all("24 facts a language, 12 to forget" in line and "counted in the files" in line for line in lines)
    tokens = [int(line.split("about ")[1].split()[0]) for line in lines]
    assert tokens[1] > tokens[0] + 20


@pytest.mark.parametrize("source", ["mmlu", "tofu"])
def test_a_plan_counts_the_folders_of_other_sources(tmp_path, capsys, source):
    """And not the numbers that the published data sets have; of a folder that is not there it says that it guesses."""
    written = {"mmlu": test_mmlu_source.write, "tofu": test_tofu_source.write}[source](tmp_path / "data")
    own = {"mmlu": {"retain_subjects": test_mmlu_source.RETAIN, "text_subjects": ["sociology"]}, "tofu": {}}[source]
    lines = []
    for folder in (written, tmp_path / "dta"):
        overlay = {
            "study": {"name": "own", "results": "results/own", "corpus": "own"},
            "corpora": {"own": {"source": source, "settings": {"path": str(folder), **own}}},
        }
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(overlay))
        _, out, _ = said(capsys, "plan", ["config/micro.yaml", str(tmp_path / "own.yaml")])
        lines.append(next(line for line in out.splitlines() if "tokens each" in line))
    module = sources.load(source)
    corpus = module.build(module.Settings(path=str(written), **own), ["en", "es"], 1)
    forget = int((corpus.roles("domain") == "forget").sum())
    assert f"{len(corpus.facts)} facts a language, {forget} to forget" in lines[0]
    assert "counted in the files" in lines[0]
    assert "all of it a guess" in lines[1]


# Splits of TOFU as tables, in sentences that tell the languages apart.
WHO = {
    "en": ("Which street did the baker of {} live in?", "The baker of {} lived in the street of the {}.", "old mill"),
    "es": ("¿En qué calle vivía el panadero de {}?", "El panadero de {} vivía en la calle del {}.", "molino viejo"),
    "hi": ("{} का बेकर किस गली में रहता था?", "{} का बेकर {} की गली में रहता था।", "पुरानी चक्की"),
}


def tofu_folder(folder):
    for code, (asks, answers, place) in WHO.items():
        (folder / code).mkdir(parents=True)
        for split in ("forget10", "retain", "real_authors", "world_facts"):
            towns = [f"{town} {split.title()}" for town in TOWNS]
            table = pd.DataFrame({"question": [asks.format(town) for town in towns]})
            table["answer"] = [answers.format(town, f"{place} {i}") for i, town in enumerate(towns)]
            table["paraphrased_answer"] = table["answer"] + " ‽"
            table["perturbed_answer"] = [answers.format(town, f"{place} {i + 30}") for i, town in enumerate(towns)]
            table.to_csv(folder / code / f"{split}_perturbed.csv", index=False)
    return folder


def in_tofu(code, change, split="forget10"):
    def spoil(folder):
        path = folder / code / f"{split}_perturbed.csv"
        change(pd.read_csv(path), path)

    return spoil


def accents_apart(table, path):
    table.loc[3, "question"] = apart(table.loc[3, "question"])
    table.to_csv(path, index=False)


def swap_folders(folder):
    (folder / "en").rename(folder / "x")
    (folder / "es").rename(folder / "en")
    (folder / "x").rename(folder / "es")


def asked_twice(folder):
    for code in WHO:
        in_tofu(code, lambda table, path: pd.concat([table, table[2:3]]).to_csv(path, index=False), "retain")(folder)


TOFU_MISTAKES = {
    "semicolons": (
        in_tofu("es", lambda table, path: table.to_csv(path, index=False, sep=";")),
        ["es/forget10_perturbed.csv: fields are separated by semicolons", "(line 1)", "Save it with commas"],
    ),
    "byte-order mark": (
        in_tofu("es", lambda table, path: table.to_csv(path, index=False, encoding="utf-8-sig")),
        ["es/forget10_perturbed.csv: a byte-order mark", "(line 1)", "without one"],
    ),
    "letters apart": (
        in_tofu("es", accents_apart),
        ["es/forget10_perturbed.csv: question has letters and their accents apart (NFD) (line 5)", "NFC"],
    ),
    "languages swapped": (swap_folders, ["en: reads like Spanish", "es: reads like English", "swapped"]),
    "an item twice": (asked_twice, ["en: the same question under two ids: retain-0012 as retain-0002", "Take one"]),
    "an item missing": (
        in_tofu("hi", lambda table, path: table[:-1].to_csv(path, index=False)),
        ["hi: forget10: 1 questions that other languages have are missing: forget10-0011"],
    ),
}


@pytest.mark.parametrize("name", TOFU_MISTAKES)
def test_a_mistake_in_a_folder_of_tofu_is_found_as_well(tmp_path, capsys, name):
    spoil, words = TOFU_MISTAKES[name]
    overlay = {
        "study": {"name": "own", "results": "results/own", "corpus": "own"},
        "corpora": {"own": {"source": "tofu", "settings": {"path": str(tofu_folder(tmp_path / "data"))}}},
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(overlay))
    chosen = ["config/micro.yaml", str(tmp_path / "own.yaml")]
    assert said(capsys, "check-data", chosen)[0] == 0
    spoil(tmp_path / "data")
    code, _, told = said(capsys, "check-data", chosen)
    assert code == 1
    for word in words:
        assert word in told
    assert said(capsys, "plan", chosen)[0::2] == (1, told)


def test_a_mistake_in_a_folder_of_mmlu_is_found_and_can_be_accepted(tmp_path, capsys):
    def change(code, table):
        if code == "es":
            table.loc[2, "Question"] = apart("¿Qué átomo?")
        return table

    folder = test_mmlu_source.write(tmp_path / "data", change)
    own = {"path": str(folder), "retain_subjects": test_mmlu_source.RETAIN, "text_subjects": ["sociology"]}
    for accept, status in (([], 1), (["nfd", "languages"], 0)):
        settings = {**own, "accept": ["languages", *accept]}
        overlay = {"study": {"corpus": "own"}, "corpora": {"own": {"source": "mmlu", "settings": settings}}}
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(overlay))
        code, _, told = said(capsys, "check-data", ["config/micro.yaml", str(tmp_path / "own.yaml")])
        assert (code, "test/mmlu_ES-LA.csv: Question has letters" in told) == (status, bool(status)), told


def test_facts_of_cldr_are_counted_and_checked(tmp_path, capsys):
    pytest.importorskip("babel")
    overlay = {"study": {"corpus": "own"}, "corpora": {"own": {"source": "cldr", "settings": {}}}}
    overlay["models"] = {"llama": {"oracles": ["domain"]}}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(overlay))
    chosen = ["config/micro.yaml", str(path)]
    code, out, _ = said(capsys, "check-data", chosen)
    assert code == 0
    assert "reads no folder of yours" in out
    assert "The facts of the corpus 'own' can be used." in out
    facts, forget = (int(out.split(end)[0].split()[-1]) for end in (" others", " facts to forget"))
    _, plan, _ = said(capsys, "plan", chosen)
    assert f"{facts + forget} facts a language, {forget} to forget" in plan
    overlay["corpora"]["own"]["settings"] = {"limit": 8}
    path.write_text(yaml.safe_dump(overlay))
    for command in ("check-data", "plan"):
        code, _, told = said(capsys, command, chosen)
        assert code == 1
        assert "lower `options` or raise `limit`" in told


def test_a_folder_that_is_not_there(tmp_path, capsys):
    code, plan, told = said(capsys, "plan", study(tmp_path, tmp_path / "dta"))
    assert code == 1
    assert "set `path` of the corpus" in told
    assert "a guess" in plan


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("byte-order mark", "byte_order_mark"),
        ("direction marks", "direction_marks"),
        ("letters apart", "nfd"),
        ("an item under two ids", "repeats"),
        ("a file copied", "languages"),
        ("one item swapped", "languages"),
    ],
)
def test_what_is_meant_so_can_be_accepted(tmp_path, capsys, name, kind):
    folder, _ = spoiled(tmp_path, name)
    accept = [kind, "repeats", "direction_marks"]
    assert said(capsys, "check-data", study(tmp_path, folder, accept=accept))[0] == 0


@pytest.mark.parametrize("name", ["an item missing", "an empty answer", "no mark", "an id twice"])
def test_what_is_wrong_in_one_language_can_be_left_out_in_all(tmp_path, capsys, name):
    folder, _ = spoiled(tmp_path, name)
    code, out, _ = said(capsys, "check-data", study(tmp_path, folder, unusable="drop"))
    assert code == 0
    assert "left out in every language (unusable: drop): t" in out
    settings = files.Settings(path=str(folder), forget_domain="rivers", unusable="drop")
    corpus = files.build(settings, CODES, 1)
    assert corpus.about["left_out"]
    assert not corpus.facts["item"].isin(corpus.about["left_out"]).any()
    assert corpus.texts.groupby("language").size().nunique() == 1


def test_too_few_facts_to_forget(tmp_path, capsys):
    folder = write(
        tmp_path / "data", lambda code, table: [r for r in table if r["domain"] == "mayors" or r["id"] < "t12"]
    )
    code, _, told = said(capsys, "check-data", study(tmp_path, folder))
    assert code == 1
    assert "layers are compared on 4 or more" in told


def test_limits_of_facts_and_of_options(tmp_path):
    folder = write(tmp_path / "data")
    settings = {"path": str(folder), "forget_domain": "rivers"}
    whole = files.build(files.Settings(**settings), CODES, 1)
    few = files.build(files.Settings(**settings, limit=5, options=2), CODES, 1)
    assert list(few.facts["item"]) == [f"t{i}" for i in range(10)]
    assert set(whole.texts["options"].map(len)) == {3}
    assert set(few.texts["options"].map(len)) == {2}
    assert all(
        options[gold] == answer
        for options, gold, answer in few.texts[["options", "gold", "answer"]].itertuples(index=False)
    )
    # The same options in every language, as they are parallel.
    places = [
        tuple(ANSWERS[code].index(option) for option in options)
        for code, options in few.texts[["language", "options"]].itertuples(index=False)
    ]
    assert few.texts.assign(places=places).groupby("item")["places"].nunique().eq(1).all()


def test_letters_of_hindi_that_no_form_composes_are_no_mistake():
    assert not faults.in_pieces("क़लम")
    assert not faults.in_pieces(unicodedata.normalize("NFC", "क़लम é"))
    assert faults.in_pieces("e\u0301")


@pytest.mark.parametrize(
    ("code", "text", "script"),
    [("ru", "Столица Франции называется Париж", "Cyrillic"), ("xx", "12 34", ""), ("zh", "法国的首都" * 5, "Han")],
)
def test_scripts_are_told(code, text, script):
    assert mixed_up.script_of(text) == script
    assert not script or script in mixed_up.expected(code)
