"""config/paper.yaml from end to end: its architectures with random weights, and data of its layout, from a hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mute.corpus import mmlu_files
from mute.corpus.prompts import LETTERS
from mute.corpus.sources import mmlu
from mute.store import artifacts

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PAPER = yaml.safe_load((ROOT / "config/paper.yaml").read_text(encoding="utf-8"))
TOKEN = "hf_canary9876543210abcdef"
BLOCKS, QUESTIONS = 3, 6
RESULTS = Path("results/shrunk")
# Of the real benchmark, one task in one language.
TASK = "mmmlu_es_la_jurisprudence"


def tiny(model: str, vocabulary: int):
    """The architecture of one of the paper's models, a few hundred thousand times smaller."""
    import transformers

    shared = {"vocab_size": vocabulary, "hidden_size": 32}
    if model.startswith("bloom"):
        return transformers.BloomConfig(**shared, n_layer=BLOCKS, n_head=4)
    kind = transformers.LlamaConfig if model.startswith("llama") else transformers.Qwen2Config
    return kind(
        **shared,
        intermediate_size=64,
        num_hidden_layers=BLOCKS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
    )


def write_mmlu(folder: Path, settings: mmlu.Settings) -> None:
    for subject in settings.subjects:
        made = {
            "question": [f"en {subject} {i}?" for i in range(QUESTIONS)],
            "subject": subject,
            "choices": [[f"en {subject} {i} {k}" for k in LETTERS] for i in range(QUESTIONS)],
            "answer": [(i + len(subject)) % 4 for i in range(QUESTIONS)],
        }
        (folder / subject).mkdir(parents=True)
        pd.DataFrame(made).to_parquet(folder / subject / "test-00000-of-00001.parquet", index=False)


def write_mmmlu(folder: Path, settings: mmlu.Settings, languages: list[str]) -> None:
    (folder / "test").mkdir(parents=True)
    configs = []
    for code in languages:
        rows = [
            {"": i, "Question": f"{code} {subject} {i}?", **{k: f"{code} {subject} {i} {k}" for k in LETTERS}}
            | {"Answer": LETTERS[(i + len(subject)) % 4], "Subject": subject}
            for subject in settings.subjects
            for i in range(QUESTIONS)
        ]
        file = mmlu_files.file_of(code)
        pd.DataFrame(rows).to_csv(folder / file, index=False, encoding="utf-8")
        name = Path(file).stem.removeprefix("mmlu_").replace("-", "_")
        configs.append({"config_name": name, "data_files": [{"split": "test", "path": file}]})
    card = yaml.safe_dump({"configs": configs})
    (folder / "README.md").write_text(f"---\n{card}---\n", encoding="utf-8")


@pytest.fixture
def shrunk(hub, tmp_path, tokenizer) -> dict:
    """The hub with all that the paper needs, and what makes its configuration small."""
    import torch
    from transformers import AutoModelForCausalLM

    overlay: dict = {"models": {}}
    for name, model in PAPER["models"].items():
        torch.manual_seed(len(name))
        made = AutoModelForCausalLM.from_config(tiny(name, len(tokenizer)), dtype=torch.bfloat16)
        made.save_pretrained(tmp_path / name, max_shard_size="60KB")
        tokenizer.save_pretrained(tmp_path / name)
        commit = hub.add_model(model["pretrained"], tmp_path / name)
        how = {"batch_size": 64, "epochs": 1, "learning_rate": 1.0e-3}
        overlay["models"][name] = {"revision": commit, "blocks": BLOCKS, "adaptation": how}
    hub.gate(PAPER["models"]["llama_3_1_8b"]["pretrained"], TOKEN)
    settings = mmlu.Settings()
    write_mmlu(tmp_path / "mmlu", settings)
    languages = {code for model in PAPER["models"].values() for code in model["languages"]} - {"en"}
    write_mmmlu(tmp_path / "mmmlu", settings, sorted(languages))
    english = hub.add_dataset(settings.english, tmp_path / "mmlu")
    translated = hub.add_dataset(settings.translated, tmp_path / "mmmlu")
    # Data of other tasks, which an overlay cannot take away.
    for data in set(PAPER["exports"]["data"]) - {settings.english, settings.translated}:
        hub.add_dataset(data, tmp_path / "mmlu")
    overlay["corpora"] = {"mmlu": {"settings": {"english_revision": english, "translated_revision": translated}}}
    # The paper's grids on one block each, in fewer steps.
    bands = {name: {"bands": [1]} for name in PAPER["grids"] if name.startswith(("depth", "coverage"))}
    overlay |= {
        "study": {"name": "shrunk", "results": str(RESULTS), "shard_by": ["model"]},
        "grids": {**bands, "sources": {"bands": [0]}},
        "layers": {"stated": dict.fromkeys(PAPER["models"], 1), "null_draws": 2},
        "algorithms": {
            "rmu": {"steps": 2, "strengths": [3.0]},
            "simnpo": {"steps": 2, "strengths": [1.0]},
            "slug": {"batch_size": 4},
        },
        "matching": {"looks": 2, "facts": 6},
        "evaluation": {"draws": 20},
        "exports": {
            "cells": [
                {"algorithm": "rmu", "band": 1, "protocol": "matched", "retain": "source", "sources": "en-es-pt"}
            ],
            "tasks": [TASK],
            "data": {settings.english: english, settings.translated: translated},
            "limit": 4,
        },
    }
    return overlay


@pytest.fixture
def project(tmp_path, shrunk) -> Path:
    """A copy of what git knows of the project, with that overlay."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folder = tmp_path / "project"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "shrunk.yaml").write_text(yaml.safe_dump(shrunk), encoding="utf-8")
    return folder


def snakemake(project: Path, hub, *arguments: str, **environ: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config/paper.yaml", "shrunk.yaml"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = {**os.environ, **hub.env, "PATH": path, "PYTHONPATH": str(project / "src"), **environ}
    return subprocess.run([*command, *arguments], cwd=project, env=environ, capture_output=True, text=True)


def test_the_papers_study_runs_from_end_to_end(hub, project):
    refused = snakemake(project, hub, "--", "fetch")
    assert refused.returncode != 0
    assert "is gated: its owners give it to those who ask" in refused.stderr
    fetched = snakemake(project, hub, "--", "fetch", HF_TOKEN=TOKEN)
    assert fetched.returncode == 0, fetched.stderr[-3000:]
    asked = len(hub.requests)
    hub.stop()  # no later job asks for anything
    done = snakemake(project, hub)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert len(hub.requests) == asked

    results = project / RESULTS
    tables = {path.stem: artifacts.read_table(path) for path in (results / "tables").glob("*.csv")}
    names = list(PAPER["models"])
    # Fetched: models, and the data of corpus and harness.
    records = [artifacts.read_json(path) for path in (results / "inputs").glob("*.json")]
    models = {model["pretrained"] for model in PAPER["models"].values()}
    assert {record["id"] for record in records} == models | set(PAPER["exports"]["data"])
    # Injected: LoRA on all domains, and an oracle that reads less, without the forget set. The losses fall, taken
    # together: a dozen steps move a tiny BLOOM hardly at all.
    fallen = 0.0
    for name in names:
        losses = []
        for trained in (f"{name}-s0", f"{name}-s0-without-domain"):
            record = artifacts.checked(results / "models" / trained)
            assert record["producer"] == "adapt_model"
            losses.append(record["losses"])
            quarter = len(losses[-1]) // 4
            fallen += sum(losses[-1][:quarter]) / quarter - sum(losses[-1][-quarter:]) / quarter
        assert len(losses[1]) < len(losses[0])
    assert fallen > 0.1
    # Scored, unlearned, probed, evaluated: every block, every cell, every language.
    assert set(tables["layers"]["model"]) == set(names)
    assert len(tables["layers"]) == 3 * BLOCKS
    cells = tables["cells"]
    whole = {"rmu_whole", "simnpo_whole", "ascent_aggressive", "ascent_conservative"}
    assert set(cells["algorithm"]) == {"rmu", "simnpo", "slug", "word_filter", *whole}
    assert set(cells["retain"]) == {"source", "source+text", "all"}
    # Random weights that saw each question a dozen times may well know nothing that could be forgotten.
    assert set(cells["status"]) <= {"ok", "not_reached", "nothing_to_forget"}
    scores = tables["scores"]
    # Options' scores by length are there beside their sums: options of a benchmark differ in length.
    # A bypass of one block is the base itself, and so stands under a name of its own.
    assert set(scores["metric"]) >= {"K", "C", "bypass_base", "accuracy_strict", "K_per_token", "K_per_char"}
    for name in names:
        spoken = set(scores.loc[scores["model"] == name, "language"].dropna())
        assert spoken >= set(PAPER["models"][name]["languages"])
    lens = tables["lens"]
    assert set(lens.loc[lens["algorithm"].notna(), "model"]) == set(names)
    # Exported, and asked by the evaluation harness: base and patch of each model.
    exported = sorted(path.parent.name for path in (results / "exports").glob("*/record.json"))
    assert [name.split(".")[0] for name in exported] == sorted(names)
    harness = tables["harness"]
    assert len(harness[harness["metric"] == "acc"]) == 6
    assert set(harness["task"]) == {TASK}
    assert (results / "index.html").is_file()

    # The key that opened the gate is in no file.
    for path in [*project.rglob("*"), *Path(hub.env["HF_HOME"]).rglob("*")]:
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path
    again = snakemake(project, hub)
    assert "Nothing to be done" in again.stdout + again.stderr
    about = json.loads((results / "exports" / exported[0] / "record.json").read_text(encoding="utf-8"))
    assert about["cell"]["algorithm"] == "rmu"
