"""The library without the workflow: its documented example, its names, and what it refuses."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import mute
from mute.models import embedded, loading, patches
from mute.models import tokenizer as tokenizers
from mute.store import artifacts, provenance

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs/library.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
(FACTS,) = re.findall(r"^```csv\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)


def examples(text: str) -> list[str]:
    """Blocks of Python that use the library."""
    return [code for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "mute." in code]


def small(family: str = "llama"):
    tokenizer = tokenizers.train(FACTS.splitlines() * 5, 500)
    return embedded.create(family, 0, vocabulary=len(tokenizer), blocks=4, hidden=32, heads=2), tokenizer


@pytest.fixture(scope="module")
def opened():
    return small()


@pytest.fixture
def rows(tmp_path):
    (tmp_path / "facts.csv").write_text(FACTS)
    return pd.read_csv(tmp_path / "facts.csv")


@pytest.fixture
def facts(rows):
    return mute.parallel_facts(rows, forget="capitals", sources=["en", "es"])


def state(model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def run_example(tmp_path, monkeypatch):
    """run_example(code): its names, run in a folder with the model and the facts that it reads; and that model."""
    monkeypatch.chdir(tmp_path)
    model, tokenizer = small()
    loading.save(model, tokenizer, "my-model", {})
    Path("facts.csv").write_text(FACTS)

    def run(code: str) -> tuple[dict, object]:
        found: dict = {}
        exec(compile(code, "docs", "exec"), found)
        return found, model

    return run


@pytest.mark.parametrize("code", examples(README))
def test_the_example_of_the_readme_runs(code, run_example, capsys):
    found, _ = run_example(code)
    assert "C_parts" in capsys.readouterr().out
    assert equal(mute.load_patch("my-patch").tensors, found["patch"].tensors)


@pytest.mark.parametrize("code", examples(DOCUMENT))
def test_documented_examples_run(code, run_example, capsys):
    found, model = run_example(code)
    assert set(found["scores"]["block"]) == {0, 1, 2, 3}
    assert set(found["measures"].loc[found["measures"]["metric"] == "K", "language"]) == {"en", "es", "de", ""}
    assert "The capital of France is" in capsys.readouterr().out
    exported = loading.load("my-model-without-capitals")
    assert equal(state(exported), {**state(model), **found["patch"].tensors})
    assert artifacts.sealed("my-patch")


def test_the_documents_name_what_there_is():
    table = re.findall(r"^\| (`.*?`) \|", DOCUMENT, re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(mute.__all__)
    assert "twelve names" in DOCUMENT
    assert len(named) == 12
    for name in mute.__all__:
        assert getattr(mute, name).__doc__, name
        # A module of that name would hide the function once it is imported.
        assert not (ROOT / f"src/mute/{name}.py").exists()
        assert not (ROOT / f"src/mute/{name}").exists()
    assert set(mute.__all__) <= set(dir(mute))
    with pytest.raises(AttributeError, match="module 'mute' has no attribute 'unlearned'"):
        mute.unlearned  # noqa: B018


def test_importing_mute_and_the_study_imports_nothing_heavy():
    heavy = "{'torch', 'transformers', 'datasets', 'lm_eval', 'huggingface_hub', 'mute.api'}"
    rooms = "mute.study.cells, mute.study.checks, mute.plan.rules, mute.plan.exports"
    code = f"import sys, mute, {rooms}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_job_depends_on_the_library():
    """Else a word changed in it would compute every study anew."""
    rules = "\n".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    modules = set(re.findall(r'"(mute\.[\w.]+)"', rules)) | {"mute.unlearn.run", "mute.unlearn.methods.rmu"}
    assert len(modules) > 10
    for module in sorted(modules):
        assert "mute.api" not in provenance.closure(module), module


def test_a_word_changed_in_the_package_itself_changes_no_digest(tmp_path, monkeypatch):
    before = provenance.code_digest("mute.unlearn.run")
    path = provenance._path
    changed = tmp_path / "__init__.py"
    changed.write_text("# Another word.\n")
    monkeypatch.setattr(provenance, "_path", lambda module: changed if module == "mute" else path(module))
    assert "mute" in provenance.closure.__wrapped__("mute.analyses.lens", "mute")
    assert provenance.code_digest.__wrapped__("mute.unlearn.run") == before


# Facts


def test_facts_come_as_a_table_as_rows_or_by_language(rows, facts):
    by_language = {code: own.drop(columns="language").to_dict("records") for code, own in rows.groupby("language")}
    for given in (rows.to_dict("records"), by_language):
        other = mute.parallel_facts(given, forget="capitals", sources=["en", "es"])
        assert set(other.languages) == set(facts.languages) == {"en", "es", "de"}
        key = ["item", "language", "form"]
        mine, same = (f.corpus.texts.sort_values(key)[[*key, "prefix", "answer"]] for f in (facts, other))
        assert mine.to_numpy().tolist() == same.to_numpy().tolist()
    roles = facts.corpus.roles("domain")
    assert roles.value_counts().to_dict() == {"forget": 4, "retain_seen": 2, "retain_unseen": 2}


def test_several_wordings_are_read_but_for_the_last(rows):
    given = rows.assign(again=[f"({prompt}" for prompt in rows["prompt"]])
    made = mute.parallel_facts(given, forget="capitals", sources=["en"], prompts=["prompt", "again"])
    assert made.corpus.about["unlearning_forms"] == [0]
    assert made.corpus.about["headline_form"] == 1


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t[t["language"] == "en"], {}, "the facts are in en alone: give them in two or more"),
        (lambda t: t.drop(columns="language"), {}, "the facts have no column 'language'; they have id, domain"),
        (lambda t: t, {"sources": ["en", "fr"]}, "unknown source language 'fr'; allowed: de, en, es"),
        (lambda t: t, {"sources": ["en", "es", "de"]}, "leave one of them to measure in"),
        (lambda t: t, {"sources": []}, "sources must be some of en, es, de"),
        (lambda t: t, {"forget": "capital"}, "unknown domain 'capital'; .*Did you mean 'capitals'"),
        (lambda t: t[t["domain"] == "capitals"], {}, "no domain is left to retain"),
        (lambda t: t[(t["language"] != "de") | (t["id"] != "hot")], {}, "de: 1 ids .* are missing: hot"),
        (lambda t: t.replace("Paris", ""), {}, "en: empty answer: france"),
        (lambda t: t.assign(prompt="What?"), {}, "en: prompt without exactly one <mask>: france"),
        (lambda t: t.drop(columns="answer"), {}, "en: no column 'answer'"),
        (lambda t: pd.concat([t, t.head(1)]), {}, "en: duplicate ids: france"),
    ],
)
def test_facts_that_cannot_be_used_are_told(rows, change, options, message):
    with pytest.raises(ValueError, match=message):
        mute.parallel_facts(change(rows), **{"forget": "capitals", "sources": ["en", "es"], **options})


def test_too_few_facts_for_layer_scores(rows, opened):
    few = rows[~rows["id"].isin(["poland"])]
    facts = mute.parallel_facts(few, forget="capitals", sources=["en"])
    with pytest.raises(ValueError, match="at least 4 facts to forget, not 3"):
        mute.score_layers(*opened, facts)


# Layers, unlearning, patches


def test_a_patch_of_a_run_that_diverged_says_so_and_has_no_scores(opened, facts):
    model, tokenizer = opened
    how = {"band": 1, "algorithm": "gradient_ascent", "protocol": "paper", "steps": 4, "batch_size": 4}
    patch = mute.forget(model, tokenizer, facts, **how, learning_rate=1e30)
    assert (patch.about["status"], patch.about["diverged_at"], patch.about["knowledge"]) == ("diverged", 2, None)
    assert isinstance(patch.about["last_loss"], float)
    whole = mute.forget(model, tokenizer, facts, **how, learning_rate=1e-4)
    assert whole.about["status"] == "ok"
    # Weights that are numbers are no excuse: what the run had come to when it was stopped is no result of it.
    stopped = replace(whole, about={**whole.about, "status": "diverged"})
    for lost in (patch, stopped):
        table = mute.measure(model, tokenizer, facts, lost, draws=20)
        assert table.loc[table["metric"].isin(["K", "C", "leak", "accuracy_option"]), "value"].isna().all()
        assert table.loc[table["metric"] == "chance", "value"].notna().all()


def test_a_band_is_chosen_as_the_study_does():
    scores = pd.DataFrame({"cka": [0.2, 0.9, 0.8, 0.85, 0.1], "lrds": [0.5, 0.2, 0.2, 0.2, 0.9]})
    assert mute.choose_band(scores) == (1,)
    assert mute.choose_band(scores, "deepest") == (3,)
    assert mute.choose_band(scores, "region") == (1, 2, 3)
    with pytest.raises(ValueError, match=r"the region is empty .*lrds_not_positive"):
        mute.choose_band(scores.assign(lrds=-0.1), "region")


@pytest.mark.parametrize("band", [1, [2, 3], "all", "full"])
def test_the_model_is_left_as_it_was_and_the_patch_holds_the_change(opened, facts, band):
    model, tokenizer = opened
    model.train()
    asked = [parameter.requires_grad for parameter in model.parameters()]
    before = state(model)
    patch = mute.forget(model, tokenizer, facts, band=band, algorithm="gradient_difference", steps=2, batch_size=4)
    mute.measure(model, tokenizer, facts, patch, draws=20)
    assert equal(state(model), before)
    assert model.training
    assert [parameter.requires_grad for parameter in model.parameters()] == asked
    model.eval()
    with mute.patched(model, patch):
        inside = state(model)
        assert all(torch.equal(inside[name], tensor) for name, tensor in patch.tensors.items())
        assert {n for n in before if not torch.equal(inside[n], before[n])} == set(patch.tensors)
    assert equal(state(model), before)


def test_forgetting_shows_in_the_measures(trained_model, tokenizer, corpus):
    """A model that knows its facts in two languages loses those of one domain, and the patch of none shows nothing."""
    texts = corpus.texts[corpus.texts["language"].isin(["en", "es", "hi"]) & (corpus.texts["form"] == 0)]
    texts = texts[texts["item"].str.startswith(("chemistry", "history"))]
    given = texts.assign(
        id=texts["item"],
        domain=texts["item"].str.split("-").str[0],
        prompt=texts["prefix"] + "<mask>" + texts["suffix"],
        candidates=texts["options"],
    )[["id", "language", "domain", "prompt", "answer", "candidates"]]
    facts = mute.parallel_facts(given, forget="chemistry", sources=["en", "es"])
    model = trained_model("llama")
    patch = mute.forget(model, tokenizer, facts, band=1, algorithm="gradient_difference", target=0.5)
    assert patch.about["status"] == "ok"
    # One question more or less than half of them.
    assert patch.about["knowledge"] == pytest.approx(0.5, abs=0.05)

    def knowledge(patch):
        table = mute.measure(model, tokenizer, facts, patch, draws=20)
        return table[(table["metric"] == "K") & (table["facts"] == "all")].set_index("language")["value"]

    assert knowledge(None)[["en", "es"]].tolist() == [1, 1]
    assert knowledge(patch)[["en", "es"]].mean() < 0.6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"band": 4}, r"band \[4\] is outside a model of 4 blocks \(0 to 3\)"),
        ({"band": [-1]}, r"band \[-1\] is outside"),
        ({"band": []}, r"band \[\] is outside"),
        ({"band": "1-2"}, "a band is a block such as 3"),
        ({"band": 1, "algorithm": "rum"}, "unknown method 'rum'; .*Did you mean 'rmu'"),
        ({"band": 1, "stepz": 3}, "settings of rmu: stepz: unknown key 'stepz'; .*Did you mean 'steps'"),
        ({"band": 1, "steps": 0}, "settings of rmu: steps: must be at least 1"),
        ({"band": 1, "algorithm": "word_filter"}, "word_filter works on full, not on '1'"),
    ],
)
def test_what_cannot_be_done_is_told(opened, facts, options, message):
    with pytest.raises(ValueError, match=message):
        mute.forget(*opened, facts, **options)


def test_a_family_that_is_not_known_is_told_what_to_add(opened, facts):
    class Other:
        class config:  # noqa: N801
            model_type = "mamba"

    with pytest.raises(ValueError, match="'mamba'"):
        mute.score_layers(Other(), opened[1], facts)


@pytest.fixture(scope="module")
def patch(opened):
    rows = [dict(zip(FACTS.splitlines()[0].split(","), line.split(","))) for line in FACTS.splitlines()[1:]]
    facts = mute.parallel_facts(rows, forget="capitals", sources=["en", "es"])
    return mute.forget(*opened, facts, band=1, steps=2)


def test_a_patch_comes_back_from_its_folder(patch, tmp_path):
    mute.save_patch(patch, tmp_path / "one")
    again = mute.load_patch(tmp_path / "one")
    assert equal(again.tensors, patch.tensors)
    assert again.about == patch.about
    assert patch.about["algorithm"] == "rmu"
    assert patch.about["status"] in ("ok", "not_reached")
    with pytest.raises(ValueError, match="is there and not empty"):
        mute.save_patch(patch, tmp_path / "one")


def test_a_missing_or_altered_patch_is_told(patch, tmp_path):
    with pytest.raises(ValueError, match=r"there is no patch in .*none"):
        mute.load_patch(tmp_path / "none")
    mute.save_patch(patch, tmp_path / "one")
    file = tmp_path / "one" / patches.PATCH
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is incomplete or was altered since it was written"):
        mute.load_patch(tmp_path / "one")


@pytest.mark.parametrize("family", ["bloom", "llama"])
def test_a_patch_of_another_model_is_refused(opened, patch, family):
    """Of another family, depth or width, and of the same shape with other weights."""
    vocabulary = len(opened[1])
    other = embedded.create(family, 1, vocabulary=vocabulary, blocks=4, hidden=32, heads=2)
    message = r"this one has no model\.layers\.1" if family == "bloom" else "it was made from a llama model in float32"
    with pytest.raises(ValueError, match=message), mute.patched(other, patch):
        pass
    wide = embedded.create("llama", 0, vocabulary=vocabulary, blocks=4, hidden=64, heads=2)
    with pytest.raises(ValueError, match=r"is \[32\] there and \[64\] here"), mute.patched(wide, patch):
        pass


def test_an_export_needs_a_folder(patch, tmp_path):
    with pytest.raises(ValueError, match="Qwen/none is no folder"):
        mute.export_model("Qwen/none", patch, tmp_path / "one")
