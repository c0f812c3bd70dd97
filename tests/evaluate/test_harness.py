"""lm-evaluation-harness, run offline on a tiny model and its export, against our own reading of their answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from mute.evaluate import harness, harness_table
from mute.evaluate.scoring import Queries
from mute.models import export, loading, patches, tokenizer

# The harness takes seconds to import, in every process that asks it.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TASKS = ROOT / "tests/data/harness"
PLAN = {
    "tasks": ["mute_facts"],
    "task_folder": str(TASKS),
    "data": {},
    "shots": None,
    "limit": None,
    "batch_size": 4,
    "device": "cpu",
    "dtype": "float32",
    "lm_eval": "0",
}
RUN = """
import json, sys
from mute.evaluate import harness
harness.go_offline()
plan, *folders = json.loads(sys.argv[1])
print("FOUND", json.dumps([harness.evaluate(folder, plan) for folder in folders]))
"""


def asked(folder: Path, *models: Path, **changes) -> list[dict]:
    """What the harness finds in models, run from `folder` in a process of its own."""
    given = json.dumps([{**PLAN, **changes}, *map(str, models)])
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HOME": str(folder / "hf")}
    command = [sys.executable, "-c", RUN, given]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.split("FOUND ")[-1])


@pytest.fixture(scope="module")
def questions(corpus):
    """Facts in English and Spanish as rows of the task's data."""
    texts = corpus.texts[corpus.texts["language"].isin(["en", "es"]) & (corpus.texts["form"] == 1)]
    # The harness puts a space between question and answer.
    return texts[texts["prefix"].str.endswith(" ") & (texts["suffix"] != "")].iloc[::3].reset_index(drop=True)


@pytest.fixture(scope="module")
def found(questions, trained_model, tokenizer, tmp_path_factory):
    """Base and export of one model as folders, and what the harness says of both."""
    folder = tmp_path_factory.mktemp("harness")
    base = folder / "models" / "llama-s0"
    model = trained_model("llama")
    loading.save(model, tokenizer, base, {"producer": "test"})
    torch.manual_seed(0)
    # Enough to make it forget some and not all.
    names = [f"model.layers.1.mlp.{part}_proj.weight" for part in ("up", "down")]
    tensors = {n: t + 3 * t.std() * torch.randn_like(t) for n, t in patches.take(model, names).items()}
    export.export(base, tensors, folder / "one", {})
    data = folder / "tests/data/harness/facts.jsonl"
    data.parent.mkdir(parents=True)
    columns = {"prefix": "prompt", "options": "options", "gold": "gold"}
    rows = questions[list(columns)].rename(columns=columns).assign(prompt=questions["prefix"].str.rstrip(" "))
    rows.to_json(data, orient="records", lines=True, force_ascii=False)
    folders = base, folder / "one"
    return folders, asked(folder, *folders)


def test_the_harness_and_our_evaluation_agree(found, questions):
    ours = []
    for folder, result in zip(*found):
        encoder = tokenizer.Encoder(tokenizer.load(folder))
        model = loading.load(folder)
        queries = Queries(questions, encoder)
        ours.append(queries.run(model, queries.texts(model)).option_hits().double().mean().item())
        assert result["results"]["mute_facts"]["acc,none"] == pytest.approx(ours[-1], abs=1e-9)
        assert result["questions"] == {"mute_facts": len(questions)}
    assert 1 / 8 < ours[1] < ours[0] <= 1, "the patch shows, and neither model guesses"


def test_a_result_has_nothing_of_the_machine_and_stays_the_same(found, tmp_path):
    (base, _), (first, _) = found
    text = json.dumps(first)
    for word in ("/", "time", "date", "host", "cuda", "python"):
        assert word not in text.replace("tests/data", ""), word
    assert first.keys() == {
        "results",
        "questions",
        "task_versions",
        "shots",
        "higher_is_better",
        "harness",
        "config",
    }
    again = asked(base.parents[1], base, limit=5)[0]
    assert again["questions"] == {"mute_facts": 5}
    assert again["config"]["limit"] == 5


def test_the_table_has_a_row_per_model_and_metric(found):
    evaluated = {
        "llama-s0": {"model": "llama", "training_seed": 0, "algorithm": "base"},
        "one": {"model": "llama", "training_seed": 0, "algorithm": "rmu", "band": "1", "seed": 0},
    }
    results = [{**result, "status": status} for result, status in zip(found[1], ("ok", "not_reached"))]
    table = harness_table.collect(dict(zip(("llama-s0", "one"), results)), evaluated)
    assert list(table.columns) == harness_table.COLUMNS
    assert table["algorithm"].tolist() == ["base", "rmu"]
    assert table["metric"].tolist() == ["acc", "acc"]
    assert table["status"].tolist() == ["ok", "not_reached"]
    accuracy, n = table["value"].to_numpy(), table["n"].to_numpy()
    assert table["stderr"].to_numpy() == pytest.approx((accuracy * (1 - accuracy) / (n - 1)) ** 0.5)
    assert pd.isna(table.loc[0, "band"])


def test_values_that_are_no_numbers_become_null():
    given = {"acc,none": float("nan"), "n,none": 3, "alias": "x", "acc_stderr,none": "N/A", "x,y": float("inf")}
    assert harness._measures(given) == {"acc,none": None, "n,none": 3, "acc_stderr,none": "N/A", "x,y": None}


@pytest.fixture(scope="module")
def own_tasks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "common").write_text("dataset_path: owner/facts\ntest_split: test\noutput_type: multiple_choice\n")
    for code in ("en", "hi"):
        text = f"include: common\ntask: facts_{code}\ndataset_name: {code}\ntag: facts_all\n"
        (folder / f"{code}.yaml").write_text(text)
    (folder / "old.yaml").write_text("include: en.yaml\ntask: facts_old\ndataset_kwargs: {revision: v1}\n")
    (folder / "local.yaml").write_text("include: en.yaml\ntask: facts_local\ndataset_path: json\n")
    group = "group: facts_group\ntask: [facts_tagged, {task: facts_old, num_fewshot: 1}]\n"
    (folder / "group.yaml").write_text(group)
    (folder / "tagged.yaml").write_text("include: en.yaml\ntask: facts_one\ntag: facts_tagged\n")
    return str(folder)


@pytest.mark.parametrize(
    ("tasks", "wanted"),
    [
        (["facts_en", "facts_hi"], [("owner/facts", "main")]),
        (["facts_all"], [("owner/facts", "main"), ("owner/facts", "v1")]),
        (["facts_local"], []),
        (["facts_old"], [("owner/facts", "v1")]),
        (["facts_group"], [("owner/facts", "main"), ("owner/facts", "v1")]),
    ],
)
def test_the_data_sets_of_tasks_are_known_without_downloading(own_tasks, tasks, wanted):
    assert harness.data_sets(tasks, own_tasks) == wanted


def test_the_tasks_that_users_expect_are_those_of_the_harness():
    """And a name that is none is told with the nearest one. One test: to read the harness' own tasks takes long."""
    codes = ("ar", "de", "en", "es", "fr", "hi", "zh")
    tasks = [f"xnli_{code}" for code in codes] + ["belebele_hin_Deva", "mmmlu_hi_in"]
    assert harness.data_sets(tasks) == [
        ("facebook/belebele", "main"),
        ("facebook/xnli", "main"),
        ("openai/MMMLU", "main"),
    ]
    with pytest.raises(ValueError, match=r"exports\.tasks: the harness has no task 'xnli_hy', did you mean 'xnli_"):
        harness.data_sets(["xnli_hy"])
