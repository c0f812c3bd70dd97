"""`mute forget`: what it refuses before any work, what it writes, how it goes on, and what its page says."""

import re
from pathlib import Path

import pandas as pd
import pytest

import mute
from mute import __main__ as command
from mute import unlearn
from mute.api import fact_file, forgetting, page
from mute.api.outcome import Left, Outcome
from mute.findings.results import MISSING, Number
from mute.models import loading

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/countries.csv"
(FACTS,) = re.findall(r"^```csv\n(.*?)^```", (ROOT / "docs/library.md").read_text(), re.MULTILINE | re.DOTALL)
LANGUAGES = ["en", "es", "hi"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trained_model, tokenizer, corpus):
    """A model that knows some facts in two languages, and these facts in a file, of which it forgets some."""
    folder = tmp_path_factory.mktemp("forgetting")
    loading.save(trained_model("llama"), tokenizer, folder / "model", {})
    texts = corpus.texts[corpus.texts["language"].isin(LANGUAGES) & (corpus.texts["form"] == 0)]
    texts = texts[texts["item"].str.startswith(("chemistry", "history"))]
    rows = texts.assign(
        id=texts["item"],
        domain=texts["item"].str.split("-").str[0],
        prompt=texts["prefix"] + "<mask>" + texts["suffix"],
        candidates=texts["options"].str.join("|"),
    )
    columns = ["id", "language", "domain", "prompt", "answer", "candidates"]
    # As Excel writes it: a byte-order mark is no mistake that anybody can see.
    rows[columns].to_csv(folder / "facts.csv", index=False, encoding="utf-8-sig")
    return folder


def call(folder: Path, *more: str) -> int:
    words = ["forget", "model", "facts.csv", "--languages", "en,es", "--forget", "chemistry", "--out", "out"]
    return command.main([*words, "--algorithm", "gradient_difference", "--band", "1", *more])


@pytest.fixture(scope="module")
def done(folder):
    """The folder, after one call there; and what it printed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        asked = forgetting.Asked(
            model="model",
            facts=Path("facts.csv"),
            sources=["en", "es"],
            domain="chemistry",
            band="1",
            algorithm="gradient_difference",
            settings={"steps": 40},
            out=Path("out"),
            export=True,
        )
        heard: list[str] = []
        table = forgetting.forget(asked, heard.append)
    return folder, table, heard


def test_what_was_forgotten_shows_in_the_table_by_language(done):
    _, table, heard = done
    lines = {line.split()[0]: line for line in table.split("kept facts")[0].splitlines() if line}
    assert "read" in lines["English"]
    assert "held out" in lines["Hindi"]
    assert "nothing to forget" in lines["Hindi"]  # it never knew them there
    before, after = (int(found.rstrip("%")) for found in lines["English"].split()[2:4])
    assert after < before == 100
    assert heard[0].startswith("8 facts of chemistry to forget") or "facts of chemistry to forget" in heard[0]
    assert heard[-1].startswith("done in")


def test_the_folder_holds_a_patch_a_page_and_the_measures(done):
    folder, _, _ = done
    out = folder / "out"
    assert {path.name for path in out.iterdir()} >= {"plan.json", "patch", "page.html", "measures.csv", "model"}
    patch = mute.load_patch(out / "patch")
    assert (patch.about["algorithm"], patch.about["band"]) == ("gradient_difference", "1")
    exported = loading.load(out / "model").state_dict()
    assert all((exported[name] == tensor).all() for name, tensor in patch.tensors.items())
    measured = pd.read_csv(out / "measures.csv")
    assert set(measured["language"].dropna()) == set(LANGUAGES)
    for path in (out / "plan.json", out / "page.html"):
        assert str(folder) not in path.read_text(encoding="utf-8")


def test_the_page_stands_alone_and_says_what_is_not_known(done):
    folder, _, _ = done
    text = (folder / "out/page.html").read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert "http" not in text.replace("http://www.w3.org", "")
    for words in ("No model that never knew", "One run, one seed", "nothing to forget there", "flatters it"):
        assert words in text, words
    # The layer rule was not asked, and so no curve is shown.
    assert "It was given." in text
    assert "LRDS by block" not in text


def test_the_same_call_goes_on_and_another_is_refused(done, monkeypatch, capsys):
    folder, table, _ = done
    monkeypatch.chdir(folder)
    (folder / "out/page.html").unlink()
    (folder / "out/measures.csv").unlink()

    def forgets(*_, **__):
        raise AssertionError("the patch was there")

    monkeypatch.setattr(forgetting.api, "forget", forgets)
    assert call(folder, "--steps", "40", "--export") == 0
    assert capsys.readouterr().out == table
    assert (folder / "out/page.html").is_file()
    assert call(folder, "--steps", "41") == 1
    assert "out holds another call's results (other settings)" in capsys.readouterr().err


def test_without_a_region_the_middle_block_is_taken_and_it_is_said(folder, monkeypatch, tmp_path):
    def none(scores):
        raise ValueError("no block to choose by rule 'first_local_peak': the region is empty (reason: empty)")

    scores = pd.DataFrame({"block": [0, 1, 2], "cka": [0.1, 0.2, 0.1], "lrds": [0.3, 0.2, 0.1]})
    monkeypatch.setattr(forgetting.api, "score_layers", lambda *_, **__: scores)
    monkeypatch.setattr(forgetting.api, "choose_band", none)
    asked = forgetting.Asked("model", Path("facts.csv"), ["en"], out=tmp_path)
    heard: list[str] = []
    found, band, why = forgetting._band(asked, None, None, None, "auto", 3, heard.append)
    assert band == [1]
    assert "finds no language-agnostic region" in why
    assert "no measurement chose" in why
    assert "the middle one, is taken" in heard[-1]
    assert len(found) == 3


# What is refused


def changed(change) -> str:
    table = pd.DataFrame([line.split(",") for line in FACTS.splitlines()[1:]], columns=FACTS.split("\n")[0].split(","))
    return change(table).to_csv(index=False)


MISTAKES = {
    "no file": (None, {"facts": "fact.csv"}, r"there is no file fact\.csv\. Did you mean 'facts\.csv'"),
    "a folder": (None, {"facts": "."}, "is a folder: give one file that holds all languages"),
    "an ending": (None, {"facts": "facts.xlsx"}, "files of facts end with"),
    "semicolons": (FACTS.replace(",", ";"), {}, "fields are separated by"),
    "no rows": ("id,language,domain,prompt,answer\n", {}, "cannot be read: it has no rows"),
    "no answers": (changed(lambda t: t.drop(columns="answer")), {}, "has no column 'answer'; it has id, language"),
    "other names": (changed(lambda t: t.rename(columns={"prompt": "question"})), {}, "has no column 'prompt'"),
    "no mark": (changed(lambda t: t.assign(prompt="What?")), {}, "prompt without exactly one <mask>"),
    "a hole": (changed(lambda t: t.iloc[1:]), {}, "en: 1 ids of es are missing|ids .* missing: france"),
    "one language": (changed(lambda t: t[t["language"] == "en"]), {}, "the facts are in en alone"),
    "a language": (FACTS, {"sources": ["en", "ess"]}, "unknown source language 'ess'; .*Did you mean 'es'"),
    "all languages": (FACTS, {"sources": ["en", "es", "de"]}, "leave one of them to measure in"),
    "no domain": (FACTS, {"domain": ""}, r"say which domain .*--forget capitals; .*capitals \(4 facts\)"),
    "a domain": (FACTS, {"domain": "capital"}, "unknown domain to forget 'capital'; .*Did you mean 'capitals'"),
    "one domain": (changed(lambda t: t[t["domain"] == "capitals"]), {}, "has no domain but 'capitals'"),
    "few facts": (changed(lambda t: t[t["id"] != "france"]), {}, "has 3 facts of 'capitals'; at least 4"),
    "an algorithm": (FACTS, {"algorithm": "rum"}, "unknown method 'rum'; .*Did you mean 'rmu'"),
    "a setting": (FACTS, {"settings": {"stepz": 3}}, "settings of rmu: stepz: unknown key"),
    "a number": (FACTS, {"settings": {"steps": 0}}, "settings of rmu: steps: must be at least 1"),
    "a band": (FACTS, {"band": "3..5"}, r"--band '3\.\.5': give auto, all, full, a block such as 3"),
    "a band backwards": (FACTS, {"band": "5-3"}, "--band '5-3': give"),
    "no model": (FACTS, {"model": "./none"}, "none"),
    "a file as a model": (FACTS, {"model": "./facts.csv"}, "facts.csv"),
    "an empty folder as a model": (FACTS, {"model": "./empty"}, "it has no config.json"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_before_any_work(name, tmp_path, monkeypatch):
    content, options, message = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "facts.csv").write_text(content or FACTS, encoding="utf-8")
    (tmp_path / "facts.xlsx").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    given = {"model": "./model", "sources": ["en", "es"], "domain": "capitals", **options}
    asked = forgetting.Asked(**{**given, "facts": Path(given.get("facts", "facts.csv"))})
    with pytest.raises(ValueError, match=message):
        forgetting.forget(asked)
    assert not Path("forgotten").exists()


def test_a_folder_with_other_things_is_not_written_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("facts.csv").write_text(FACTS)
    Path("out").mkdir()
    Path("out/mine").touch()
    assert command.main(["forget", "m", "facts.csv", "--languages", "en", "--forget", "capitals", "--out", "out"]) == 1
    assert "--out out is there and not empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "band"),
    [("auto", "auto"), ("ALL", "all"), ("3", [3]), ("3-5", [3, 4, 5]), ("7, 2-3", [2, 3, 7])],
)
def test_bands_are_written_as_people_write_them(text, band):
    assert forgetting.parsed_band(text) == band


def test_settings_are_read_as_a_configuration_would_have_them():
    assert command._settings(["strengths=[3, 10]", "units=added"], 7) == {
        "steps": 7,
        "strengths": [3, 10],
        "units": "added",
    }
    with pytest.raises(ValueError, match="--set takes key=value"):
        command._settings(["units"], None)


def test_what_suits_a_family_is_taken_and_what_is_given_wins():
    rmu, npo = unlearn.load("rmu"), unlearn.load("npo")
    assert forgetting.suited(rmu, "gemma3_text", {})["units"] == "added"
    assert forgetting.suited(rmu, "gemma3_text", {"steps": 5})["steps"] == 5
    assert forgetting.suited(rmu, "llama", {}) == forgetting.suited(npo, "gemma3_text", {}) == {}


def test_the_example_can_be_used():
    facts = fact_file.chosen(fact_file.read(EXAMPLE), EXAMPLE, "language", ["en", "es"], 0)
    assert facts.languages == ["en", "es", "de", "fr", "hi"]
    assert (facts.corpus.about["unlearning_forms"], facts.corpus.about["headline_form"]) == ([0], 1)
    assert facts.corpus.facts["domain"].value_counts().to_dict() == {"language": 40, "currency": 24, "continent": 24}


# Words


def left(knowledge: Number, kept: Number = MISSING) -> Left:
    nothing = dict.fromkeys(("before", "after", "guessed", "kept_before", "kept_after"), MISSING)
    return Left("en", True, knowledge=knowledge, kept=kept, **nothing)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.1, 0.0, 0.25), "gone"),
        ((0.1, -0.2, 0.4), "mostly gone"),
        ((0.1, -0.2, 0.5), "not decided"),
        ((0.9, 0.4, 1.2), "not decided"),
        ((0.9, 0.6, 1.2), "mostly left"),
        ((0.9, float("nan"), float("nan")), "not decided"),
    ],
)
def test_a_language_is_called_what_its_whole_interval_says(interval, verdict):
    assert left(Number(*interval)).verdict == verdict
    assert left(MISSING).verdict == "nothing to forget"


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((1.0, 0.9, 1.1), "kept"), ((0.8, 0.5, 0.99), "less than before"), ((0.9, 0.7, 1.1), "not decided")],
)
def test_what_was_kept_is_called_so_by_its_interval_too(interval, verdict):
    assert left(MISSING, Number(*interval)).kept_verdict == verdict


def test_a_run_that_diverged_has_a_page_and_no_numbers(done):
    folder, _, _ = done
    facts = fact_file.chosen(fact_file.read(folder / "facts.csv"), Path("facts.csv"), "chemistry", ["en", "es"], 0)
    patch = mute.load_patch(folder / "out/patch")
    patch.about.update(status="diverged", diverged_at=3)
    nothing = pd.DataFrame({name: [] for name in ("metric", "language", "facts", "value", "low", "high", "n")})
    found = Outcome("m", "chemistry", facts, patch, [1], "It was given.", None, nothing, nothing, True, False)
    text = page.document(found)
    assert "diverged at step 3" in text
    assert "right before" not in text
    assert "packed in few bits" in text
