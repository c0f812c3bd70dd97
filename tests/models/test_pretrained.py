"""Pretrained models in a configuration and as directories: what planning looks up, and every error before any work."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from families import FAMILIES, create
from mute.config.problems import ConfigError
from mute.config.sections import Config, ModelSection
from mute.models import directory, loading, pretrained
from mute.plan.rules import Plans
from mute.study.checks import checked_study

LANGUAGES = ["en", "es", "de"]
WORLD = {"settings": {"teaching_languages": ["en", "es"]}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizer):
    """folders(family): the directory of a small model, with its tokenizer."""
    made: dict[str, Path] = {}

    def make(family):
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            create(family, 0, vocabulary=len(tokenizer), blocks=3, hidden=32, heads=2).save_pretrained(made[family])
            tokenizer.save_pretrained(made[family])
        return made[family]

    return make


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of one, to be spoilt."""
    for path in folders("qwen3").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def config(folder=None, /, **model) -> dict:
    model = {"pretrained": str(folder), "languages": LANGUAGES, **model} if folder else model
    grid = {"algorithms": ["rmu"], "sources": [["en", "es"]]}
    return {"corpora": {"world": WORLD}, "models": {"llama": model}, "grids": {"blocks": grid}}


def errors(*args, **model) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        checked_study(config(*args, **model))
    return caught.value.problems


def edited(folder: Path, **changes) -> Path:
    about = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(about))
    return folder


# Planning


@pytest.mark.parametrize("family", FAMILIES)
def test_id_and_languages_are_enough_for_every_family(folders, family):
    study = checked_study(config(folders(family)))
    assert study.config.models["llama"].blocks == 3
    assert [cell.band for cell in study.cells] == ["0", "1", "2"]
    about = Plans(study).figures()["models"]["llama"]
    assert about["pretrained"] == str(folders(family))
    assert about["adaptation"]["rank"] == 8
    assert not {"family", "hidden", "steps"} & set(about), "what says nothing of it is not shown"


def test_a_model_from_scratch_says_nothing_of_the_other_kind():
    about = Config().model_dump()["models"]["llama"]
    assert about["family"] == "llama"
    assert not {"pretrained", "revision", "adaptation"} & set(about)


def test_oracles_and_seeds_are_adaptations(folders):
    study = checked_study(config(folders("gpt_neox"), oracles=["domain"], training_seeds=[0, 1]))
    own = Plans(study)
    assert own.opened() == "llama\\-s0|llama\\-s0\\-without\\-domain|llama\\-s1|llama\\-s1\\-without\\-domain"
    plans = {name: own.adaptation(type("W", (), {"trained": name})) for name in study.trained}
    seeds = {name: plan["seed"] for name, plan in plans.items()}
    assert seeds["llama-s0"] == seeds["llama-s0-without-domain"] != seeds["llama-s1"]
    assert plans["llama-s1-without-domain"]["without"] == "domain"
    assert plans["llama-s0"]["blocks"] == 3
    wildcards = type("W", (), {"trained": "llama-s0", "model": "llama"})
    assert {Path(path).name for path in own.model_files(wildcards)} >= {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    }
    assert own.beside_tokenizer(wildcards) == "<results>/models/llama-s0/record.json"


@pytest.mark.parametrize("key", ["family", "hidden", "heads", "vocabulary", "steps", "learning_rate"])
def test_a_key_without_effect_on_a_pretrained_model_is_an_error(folders, key):
    value = {"family": "bloom", "learning_rate": 1e-3}.get(key, 512)
    (line,) = errors(folders("qwen3"), **{key: value})
    assert line.startswith(f"models.llama.{key}: has no effect on a pretrained model")


def test_keys_that_need_another_key_say_which(folders):
    scratch = errors(revision="main", adaptation={"rank": 4})
    assert len(scratch) == 2
    assert all("give `pretrained` too" in line for line in scratch)
    (line,) = errors(folders("qwen3"), adaptation=None, oracles=["domain"])
    assert line.startswith("models.llama.oracles: an oracle is the model adapted on everything but a forget set")
    (line,) = errors(folders("qwen3"), adaptation=None, training_seeds=[0, 1])
    assert line.startswith("models.llama.training_seeds: a model that is used as it is has no training to repeat")
    (line,) = errors(folders("qwen3"), revision="main")
    assert "a directory has no revisions" in line
    (line,) = errors(folders("qwen3"), adaptation={"rnak": 4})
    assert "models.llama.adaptation.rnak: unknown key 'rnak'" in line
    assert "Did you mean 'rank'?" in line


def test_a_model_that_is_not_there(tmp_path):
    (line,) = errors(tmp_path / "nowhere")
    assert line == f"models.llama.pretrained: there is no directory '{tmp_path / 'nowhere'}'"
    (line,) = errors(tmp_path)
    assert line.endswith("is no directory of a model: it has no config.json")
    (line,) = errors("no such id")
    assert "'no such id' is neither an id of the hub, such as owner/name, nor a directory that exists" in line


def test_blocks_are_those_of_the_model(folder):
    (line,) = errors(folder, blocks=9)
    assert line == f"models.llama.blocks: is 9, but {folder} has 3; leave it out"
    (line,) = errors(edited(folder, num_hidden_layers="three"))
    assert "says no number of blocks (num_hidden_layers or n_layer)" in line


def test_an_unknown_family_says_what_to_add_and_where(folder):
    (line,) = errors(edited(folder, model_type="mamba"))
    assert "unknown family (model_type) 'mamba'; allowed: bloom, gemma" in line
    assert "src/mute/models/anatomy.py" in line
    assert "mlp_output" in line
    assert "tests/families.py" in line
    with pytest.raises(ValueError, match="unknown family"):
        loading.load(folder)


def test_the_hub_is_asked_only_where_blocks_are_missing(monkeypatch):
    asked = []

    def look_up(model):
        asked.append(model.pretrained)
        if model.revision == "gone":
            raise ValueError("there is no network")
        if model.revision == "foreign":
            return {"model_type": "opt", "num_hidden_layers": 5}
        return {"model_type": "bloom", "n_layer": 5}

    monkeypatch.setattr(pretrained, "look_up", look_up)
    own = {"pretrained": "owner/name", "languages": LANGUAGES}
    assert checked_study(config(**own, blocks=7)).config.models["llama"].blocks == 7
    assert asked == []
    assert checked_study(config(**own)).config.models["llama"].blocks == 5
    assert asked == ["owner/name"]
    (line,) = errors(**own, revision="gone")
    assert line.startswith("models.llama.pretrained: there is no network; or give its `blocks`")
    # `blocks` help where the hub cannot be asked, not where the model cannot be run.
    (line,) = errors(**own, revision="foreign")
    assert "unknown family (model_type) 'opt'" in line
    assert "give its `blocks`" not in line


def test_a_dry_run_plans_one_producer_of_each_model(folders, tmp_path):
    """With a directory and languages alone, beside a model from scratch; an unknown name is told which there are."""
    given = {"own": {"pretrained": str(folders("mistral")), "languages": ["en", "es", "pt", "de"]}}
    study = {"models": ["own", "llama"], "grids": ["blocks"], "results": "results/nowhere"}
    (tmp_path / "c.yaml").write_text(json.dumps({"study": study, "models": given}))

    def planned(target: str) -> subprocess.CompletedProcess:
        call = [sys.executable, "-m", "snakemake", "-n", "--configfile", str(tmp_path / "c.yaml"), "--", target]
        return subprocess.run(call, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)

    done = planned("all")
    assert done.returncode == 0, done.stderr[-2000:]
    counts = dict(line.split() for line in done.stdout.split("Job stats:")[1].splitlines() if len(line.split()) == 2)
    assert counts["adapt_model"] == counts["train_tokenizer"] == "1"
    # The model from scratch and its oracle.
    assert int(counts.get("pretrain_model", 0)) + int(counts.get("pretrain_longest", 0)) == 2
    assert counts["evaluate_model"] == "3"
    wrong = planned("results/nowhere/models/own-s7/record.json")
    assert wrong.returncode != 0
    assert "unknown trained model 'own-s7'; allowed: llama-s0" in wrong.stdout + wrong.stderr


# Directories


def test_a_directory_that_asks_to_run_code_is_refused_and_runs_none(folder, tmp_path):
    """Neither its own classes nor its own tokenizer: the file would leave a mark."""
    mark = tmp_path / "mark"
    (folder / "modeling_own.py").write_text(f"open({str(mark)!r}, 'w').close()\nclass Own: pass\n")
    edited(folder, auto_map={"AutoModelForCausalLM": "modeling_own.Own", "AutoConfig": "modeling_own.Own"})
    (line,) = errors(folder)
    assert "asks to run code of its own (auto_map), and code from a model is never run" in line
    with pytest.raises(ValueError, match="auto_map"):
        loading.load(folder)
    assert not mark.exists()


def test_pickles_are_not_opened(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (line,) = errors(folder)
    assert "has its weights as pytorch_model.bin, and opening a pickle may run any code" in line
    with pytest.raises(ValueError, match="only safetensors are opened"):
        loading.load(folder)
    (folder / "pytorch_model.bin").unlink()
    assert "has no weights (model.safetensors" in errors(folder)[0]


def test_a_missing_shard_is_named(folder):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "../model.safetensors"}}
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (line,) = errors(folder)
    assert "lacks 1 of 2 files of weights: ../model.safetensors" in line, "no path leads out of the directory"


def test_tensors_must_be_those_of_the_configuration(folder):
    """Else transformers warns, and goes on with random weights."""
    assert loading.load(folder).config.num_hidden_layers == 3
    path = folder / "model.safetensors"
    whole = load_file(path)
    name = "model.layers.1.mlp.down_proj.weight"

    def said(tensors) -> str:
        save_file(tensors, path, metadata={"format": "pt"})
        with pytest.raises(ValueError, match=r"are not those of its config\.json") as caught:
            loading.load(folder)
        return str(caught.value)

    assert f"1 are missing ({name})" in said({key: tensor for key, tensor in whole.items() if key != name})
    assert "1 are of no parameter (model.extra.weight)" in said({**whole, "model.extra.weight": torch.zeros(2)})
    assert f"1 have another shape ({name} (32, 3), not (32, 64))" in said({**whole, name: torch.zeros(32, 3)})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match="cannot be opened as a model, a file is missing or damaged"):
        loading.load(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_saved_and_opened_again(folders, family):
    """Tied heads are no missing tensors."""
    model = loading.load(folders(family))
    same = create(family, 0, vocabulary=model.config.vocab_size, blocks=3, hidden=32, heads=2)
    for (name, one), (_, other) in zip(model.named_parameters(), same.named_parameters(), strict=True):
        assert torch.equal(one, other), name


def test_a_model_that_is_used_as_it_is_takes_no_room(folder, tmp_path):
    target = tmp_path / "as-it-is"
    target.mkdir()
    (target / "model-00001-of-00009.safetensors").write_bytes(b"of another model")
    loading.link(folder, target, {"producer": "test"})
    assert (target / "model.safetensors").samefile(folder / "model.safetensors")
    from mute.store import artifacts

    record = artifacts.checked(target)
    assert set(record["files"]) == {path.name for path in directory.files(folder)}
    assert "model-00001-of-00009.safetensors" not in record["files"]


def test_where_a_pretrained_model_is_opened_from(folder, tmp_path):
    assert pretrained.opened(str(folder), "main", tmp_path / "cache") == (folder, {})
    assert not (tmp_path / "cache").exists()
    assert pretrained.folder_of(ModelSection(pretrained="./not/here")) == Path("not/here")
    assert pretrained.folder_of(ModelSection(pretrained="owner/name")) is None


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [
        ({"adaptation": {}}, "known", "write `adaptation: null`"),
        ({"known": {"languages": ["en", "eo"]}}, "known", "'eo'"),
        ({"known": {"languages": ["en", "en"]}}, "known", "more than once"),
        ({"known": {"languages": ["en"], "right_in": 2}}, "known", "right_in 2 is more than the 1 languages"),
        ({}, None, ""),
    ],
)
def test_what_cannot_be_gated_is_told(changes, key, said):
    about = {"pretrained": "a/b", "adaptation": None, "known": {"languages": ["en", "es"]}, "languages": ["en", "es"]}
    model = ModelSection.model_validate({**about, **changes})
    found = list(pretrained._known_problems(model, model.known))
    assert [own for own, _ in found] == ([] if key is None else [key])
    assert all(said in text for _, text in found)
