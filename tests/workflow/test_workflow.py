"""The workflow from end to end, in copies of the project: the micro study, and what a change makes it do again."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest
import yaml

import reruns
from families import FAMILIES
from mute.store import artifacts

ROOT = Path(__file__).parents[2]
MICRO = ["--configfile", "config/micro.yaml"]
# Every rule up to the tables, and what only shows them.
COMPUTE = {
    "make_corpus",
    "train_tokenizer",
    "compare_languages",
    "pretrain_model",
    "evaluate_model",
    "check_gates",
    "score_layers",
    "unlearn_shard",
    "evaluate_shard",
    "attack_shard",
    "analyse_shard",
    "score_shard",
    "make_tables",
}
AFTER_CELLS = {"unlearn_shard", "evaluate_shard", "attack_shard", "analyse_shard", "score_shard", "make_tables"}

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="copies what git knows")


def copy_project(to: Path) -> Path:
    """What a clone of the project holds, with what is not committed yet."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def fork(project: Path, to: Path) -> Path:
    """A project with its results, to change without changing it."""
    return Path(shutil.copytree(project, to, symlinks=True))


def call(project: Path, *command: str, **more: str) -> subprocess.CompletedProcess:
    """Run a command in a copy of the project, with its own package; `more` goes to its environment."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON", "COV"))}
    environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    environ["PYTHONPATH"] = str(project / "src")
    environ.update(more)
    return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True)


def snakemake(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    return call(project, "snakemake", *arguments)


def run(project: Path, *arguments: str) -> str:
    """Run the micro study, which must succeed; returns what it says."""
    done = snakemake(project, "--cores", "2", *MICRO, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def planned(project: Path, *arguments: str) -> dict[str, int]:
    """How many jobs of each rule would run."""
    done = snakemake(project, "-n", *(arguments if "--configfile" in arguments else [*MICRO, *arguments]))
    assert done.returncode == 0, done.stdout + done.stderr
    return listed(done.stdout + done.stderr)


def listed(said: str) -> dict[str, int]:
    """The jobs of each rule in what Snakemake says before it runs them."""
    if "Nothing to be done" in said:
        return {}
    table = re.search(r"^job +count\n-[- ]+\n(.*?)^total", said, re.MULTILINE | re.DOTALL)
    assert table, said
    jobs: dict[str, int] = {}
    for name, count in re.findall(r"^(\w+) +(\d+)$", table[1], re.MULTILINE):
        # The longest training has a rule of its own, which differs in priority alone.
        name = name.replace("longest", "model")
        jobs[name] = jobs.get(name, 0) + int(count)
    return jobs


def stamps(folder: Path) -> dict[str, int]:
    """When each file was written."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project without results."""
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project in which the micro study has run. Tests that change it work on a `fork`."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    run(project)
    return project


@pytest.fixture
def changed(finished, tmp_path):
    return fork(finished, tmp_path / "changed")


# What needs no run


def test_a_fresh_clone_plans_the_whole_study(project):
    jobs = planned(project, "--configfile", "config/config.yaml")
    assert jobs.keys() >= COMPUTE
    assert jobs["all"] == jobs["make_tables"] == 1
    assert jobs["pretrain_model"] == 4
    assert jobs["unlearn_shard"] == jobs["score_shard"] == 3


def test_errors_of_the_configuration_come_before_any_job_and_without_traceback(project):
    wrong = ["--config", "study={seed: -2}", "matching={lokks: 1}", "gates={recall: 2}"]
    done = snakemake(project, "--cores", "1", *MICRO, *wrong)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("  - ")]
    assert [line.split(":")[0] for line in lines] == ["- study.seed", "- gates.recall", "- matching.lokks"]
    assert "Building DAG" not in done.stderr
    assert not (project / "results").exists()


def test_a_key_that_stands_twice_in_a_file_is_told_with_its_line(project, tmp_path):
    (tmp_path / "my.yaml").write_text("study: {seed: 2}\nmodels: {llama: {steps: 3}}\nstudy: {seed: 3}\n")
    done = snakemake(project, "-n", "--configfile", "config/micro.yaml", str(tmp_path / "my.yaml"))
    assert done.returncode == 1
    assert "study: the key stands twice, in lines 1 and 3" in done.stderr


def test_a_config_file_that_cannot_be_read_is_told_by_the_front_door(project, tmp_path):
    (tmp_path / "my.yaml").write_text("study:\n  models: [a\nname: b\n")
    front = [sys.executable, "workflow/study.py", "run", "--cores", "1", "--configfile"]
    for name, message in ((tmp_path / "my.yaml", "my.yaml, line 3: "), ("config/none.yaml", "cannot be read: No such")):
        done = call(project, *front, str(name))
        assert done.returncode == 1
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_nested_keys_can_be_set_on_the_command_line(project):
    # Snakemake hands single keys over as text.
    given = ["study={shard_by: [model, band], training_seeds: [0, 1]}", "matching={target: 2e-1}"]
    jobs = planned(project, *MICRO, "--config", *given)
    assert jobs["unlearn_shard"] == 3
    assert jobs["pretrain_model"] == 2


def test_a_target_that_the_study_does_not_have_is_told_which_there_are(project):
    done = snakemake(project, "-n", *MICRO, "--", "results/micro/models/lama-s0/record.json")
    assert done.returncode == 1
    assert "unknown trained model 'lama-s0'; allowed: llama-s0. Did you mean 'llama-s0'?" in done.stdout + done.stderr


def rules() -> dict[str, str]:
    """The text of every rule."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    blocks = re.split(r"^rule (\w+):\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(blocks[::2], (re.split(r"^\S", block, flags=re.MULTILINE)[0] for block in blocks[1::2])))


def test_the_rules_of_a_study_are_those_that_this_file_knows():
    assert rules().keys() >= COMPUTE


@pytest.mark.parametrize("name", rules())
def test_every_rule_has_docstring_log_benchmark_and_environment(name):
    text = rules()[name]
    assert re.match(r'    """[A-Z][^\n]*\."""\n', text), "a docstring of one line: it is the job's message"
    for part in ("log", "benchmark", "conda"):
        assert re.search(rf"^    {part}:\n", text, re.MULTILINE), f"no {part}"
    assert re.search(r'^        (notebook=)?"<(logs|results)>/', text, re.MULTILINE)
    assert not re.search(r"^    (run|checkpoint):", text, re.MULTILINE)


@pytest.mark.parametrize("name", rules())
def test_every_rule_is_told_its_plan_and_the_digest_of_its_code(name):
    text = rules()[name]
    assert re.search(r"^        plan=[A-Z]+\.\w+(\(\))?,$", text, re.MULTILINE)
    assert re.search(r"^        code=(code_digest\(|PLANS\.\w+_code)", text, re.MULTILINE)


def test_every_rule_file_opens_with_what_it_requires_and_makes():
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        opening = path.read_text(encoding="utf-8").split("\n\n\n")[0]
        assert all(line.startswith("#") for line in opening.splitlines()), path.name
        assert "# requires: " in opening, path.name
        assert "# makes:    " in opening, path.name


def test_every_file_of_the_profiles_is_one_that_snakemake_reads():
    files = [path for path in (ROOT / "profiles").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert path.name == "profile.v9+.yaml"
        # This trigger goes by the times of scripts, which a checkout changes.
        assert "code" not in yaml.safe_load(path.read_text(encoding="utf-8"))["rerun-triggers"]


DUMMY = '''"""Dummy: does nothing in particular."""

from pydantic import Field

from mute.unlearn import base


class Settings(base.Settings):
    """Dummy."""

    wobble: float = Field(0.5, gt=0, description="How much it wobbles.")


class Dummy(base.Descent):
    name = "dummy"
    paper = "none"
    family = "divergence"
    Settings = Settings

    def terms(self, task, batches):
        logprob, tokens = task.answer_logprobs(batches["forget"])
        return {"forget": logprob.sum() / tokens.sum()}
'''


def test_an_algorithm_is_one_file(finished, changed):
    """It stands in schema, workflow and contract tests, and no other file was touched; finished cells stay."""
    (changed / "src/mute/unlearn/methods/dummy.py").write_text(DUMMY)
    assert planned(changed) == {}, "a file that no study uses yet changes nothing"
    overlay = ["--config", "grids={blocks: {algorithms: [rmu, slug, dummy]}}"]
    jobs = planned(changed, *MICRO, *overlay)
    assert jobs.keys() & COMPUTE == AFTER_CELLS
    wrong = snakemake(changed, "-n", *MICRO, "--config", "algorithms={dummy: {wobbel: 1}}")
    assert "algorithms.dummy.wobbel: unknown key 'wobbel'" in wrong.stderr
    assert "Did you mean 'wobble'?" in wrong.stderr

    assert call(changed, sys.executable, "-m", "mute.study.schema").returncode == 0
    schema = json.loads((changed / "workflow/schemas/config.schema.json").read_text(encoding="utf-8"))
    assert schema["$defs"]["method dummy"]["properties"]["wobble"]["description"] == "How much it wobbles."
    assert "| `wobble` | number > 0 | `0.5` | How much it wobbles. |" in (changed / "config/README.md").read_text()

    collect = ["-m", "pytest", "--collect-only", "-p", "no:cacheprovider", "tests/unlearn/test_unlearn_contract.py"]
    collected = call(changed, sys.executable, *collect).stdout
    contract = re.findall(r"::test_every_algorithm_changes_its_band_and_nothing_else\[dummy-(\w+)-[\w-]+\]", collected)
    assert len(set(contract)) == len(contract) == 3, "a method that is not the first of its kind meets three models"
    assert set(contract) <= set(FAMILIES)


def test_the_paper_needs_no_more_than_frozen_results(project):
    """Five jobs, and none that trains, edits or evaluates; the paper of a study stands on its figures."""
    done = snakemake(project, "-n", "--", "frozen")
    assert done.returncode == 0, done.stderr
    jobs = ("draw_frozen", "write_frozen", "exhibits_frozen", "compile_frozen", "frozen")
    assert planned(project, "--", "frozen") == dict.fromkeys(jobs, 1)
    assert "roughly" not in done.stderr, "nothing is announced that does not happen"
    assert planned(project, *MICRO, "--", "paper").keys() >= COMPUTE | {"compile_paper"}


# What needs a run


def test_the_study_makes_all_that_it_promises(finished):
    results = finished / "results/micro"
    for name in ("cells", "scores", "layers", "regions", "bands", "gates", "lens", "curves"):
        assert len(pd.read_csv(results / f"tables/{name}.csv")), name
    assert (results / "summary.rst").is_file()
    metrics = set(pd.read_csv(results / "tables/scores.csv")["metric"])
    assert {"bypass_base", "B_mixed", "R", "R_base", "KL_retain", "KL_sentences", "confusion"} <= metrics
    assert not {"B", "B_base"} & metrics, "of one-block edits it is the base's"
    cells = artifacts.read_table(results / "tables/cells.csv")
    assert len(cells) == 5
    assert {path.name for path in (results / "cells").iterdir()} == set(cells["digest"])
    for path in (
        *(results / "cells").iterdir(),
        *(results / "attacks").iterdir(),
        *(results / "analyses").iterdir(),
        results / "models/llama-s0",
    ):
        assert artifacts.sealed(path), path


def test_a_second_run_does_nothing(finished):
    before = stamps(finished / "results")
    assert "Nothing to be done" in run(finished)
    assert stamps(finished / "results") == before


@pytest.mark.parametrize("row", [row for row in reruns.ROWS if row.quick], ids=lambda row: row.change)
def test_a_row_of_the_rerun_contract_is_planned(row, project, changed):
    """Those of docs/reruns.md that are seconds long; tests/workflow/test_reruns.py performs all."""
    how = row.do(changed) or reruns.Call(changed)
    assert {*planned(how.project)} - {"all"} == row.rules & {*planned(project)}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({"gates": "{recall: 0.5}"}, {"check_gates", "make_tables"}),
        ({"grids": "{blocks: {bands: [each, 0-1]}}"}, AFTER_CELLS),
        ({"models": "{llama: {steps: 9}}"}, COMPUTE - {"make_corpus", "train_tokenizer", "compare_languages"}),
        # What jobs ask of a cluster is no part of what they compute.
        ({"costs": "{margin: 4, core_gflops: 3}"}, set()),
    ],
    ids=["gate", "band", "steps", "costs"],
)
def test_a_change_of_settings_reruns_what_depends_on_it(finished, changes, rules):
    given = [f"{key}={value}" for key, value in changes.items()]
    assert planned(finished, *MICRO, "--config", *given).keys() & COMPUTE == rules


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("src/mute/evaluate/metrics.py", {"score_shard", "make_tables"}),
        ("scripts/score_shard.py", {"score_shard", "make_tables"}),
        ("src/mute/unlearn/methods/simnpo.py", set()),
    ],
)
def test_a_change_of_code_reruns_what_runs_it(changed, file, rules):
    with (changed / file).open("a") as handle:
        handle.write("\n# A change.\n")
    assert planned(changed).keys() & COMPUTE == rules


@pytest.mark.slow
def test_one_more_band_seed_and_algorithm_compute_only_new_cells(changed):
    results = changed / "results/micro"
    before = {
        store: stamps(results / store) for store in ("cells", "evaluations/cells", "attacks", "analyses", "models")
    }
    assert len(list((results / "cells").iterdir())) == 5
    given = [
        "grids={blocks: {bands: [each, 0-1]}, ascent: {algorithms: [gradient_ascent, gradient_difference],"
        " seeds: [0, 1], protocols: [paper, matched]}}",
        "algorithms={gradient_ascent: {strengths: [1e-3]}, gradient_difference: {steps: 2, strengths: [1e-4, 1e-3]}}",
    ]
    said = run(changed, "--until", "make_tables", "--config", *given)
    cells = artifacts.read_table(results / "tables/cells.csv")
    # Two algorithms on one more band; two more algorithms, protocols and seeds, less what was there.
    assert len(cells) == len(list((results / "cells").iterdir())) == 5 + 2 + 7
    # Unlearned and evaluated; of analyses the base is one more.
    assert said.count("9 computed, 5 found, cell 14/14") == 2
    assert "9 computed, 6 found, analysis 15/15" in said
    # Every strength of a matched cell was tried, and stands in its curve.
    curves = pd.read_csv(results / "tables/curves.csv")
    tried = curves[curves["protocol"] == "matched"].groupby("algorithm")["strength"].unique()
    assert sorted(tried["gradient_difference"]) == [1e-4, 1e-3]
    matched = cells[cells["protocol"] == "matched"].groupby("algorithm")["strength"]
    assert set(matched.get_group("gradient_difference")) <= {1e-4, 1e-3}
    assert matched.first()["rmu"] == 3.0
    for store, old in before.items():
        now = stamps(results / store)
        assert {name: now[name] for name in old} == old, store


def test_a_killed_shard_goes_on_from_the_store(changed):
    """Killed before it could write its table, with one cell half written."""
    results = changed / "results/micro"
    table = results / "shards/llama/cells.csv"
    whole = table.read_bytes()
    first, *others = artifacts.read_table(table)["digest"]
    table.unlink()
    (results / "cells" / first / "record.json").unlink()
    before = {name: stamps(results / "cells" / name) for name in others}
    assert "1 computed, 4 found, cell 5/5" in run(changed, "--", str(table.relative_to(changed)))
    assert table.read_bytes() == whole
    assert {name: stamps(results / "cells" / name) for name in others} == before


def test_results_on_the_way_that_were_altered_are_not_used(changed):
    patch = next((changed / "results/micro/cells").glob("*/patch.safetensors"))
    content = bytearray(patch.read_bytes())
    content[-1] ^= 1
    patch.write_bytes(content)
    (changed / "results/micro/shards/llama/evaluations.csv").unlink()
    done = snakemake(changed, "--cores", "1", *MICRO, "--", "results/micro/shards/llama/evaluations.csv")
    assert done.returncode != 0
    assert f"{patch.parent.relative_to(changed)} is not what was written" in done.stdout + done.stderr


def test_a_patch_holds_its_band_and_gives_what_was_evaluated(finished):
    """Base and patch, put together with transformers alone, give the log-probabilities of the token table."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    results = finished / "results/micro"
    base = results / "models/llama-s0"
    evaluated = artifacts.read_table(results / "shards/llama/evaluations.csv").set_index("cell")["digest"]
    texts = artifacts.read_table(results / "corpus/texts.parquet").set_index(["item", "language", "form"])
    tokenizer = AutoTokenizer.from_pretrained(base)
    for cell in artifacts.read_table(results / "tables/cells.csv").itertuples():
        model = AutoModelForCausalLM.from_pretrained(base).eval()
        patch = load_file(results / "cells" / cell.digest / "patch.safetensors")
        names = dict(model.named_parameters())
        if cell.band == "full":
            assert patch.keys() == names.keys()
        else:
            assert all(name.startswith(f"model.layers.{cell.band}.") for name in patch)
        assert any(not torch.equal(tensor, names[name]) for name, tensor in patch.items())
        model.load_state_dict(patch, strict=False)
        tokens = artifacts.read_table(results / "evaluations/cells" / evaluated[cell.digest] / "tokens.parquet")
        facts = tokens[tokens["set"] == "facts"]
        for key, rows in list(facts.groupby(["item", "language", "form"]))[::40]:
            text = texts.loc[key]
            prompt = [
                tokenizer.bos_token_id,
                *tokenizer(text["prefix"].rstrip(" "), add_special_tokens=False).input_ids,
            ]
            space = " " * (text["prefix"] != text["prefix"].rstrip(" "))
            answer = tokenizer(space + text["answer"], add_special_tokens=False).input_ids
            with torch.no_grad():
                logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
            expected = logits.log_softmax(-1)[torch.arange(len(answer)), answer]
            given = torch.tensor(rows.sort_values("position")["logprob"].to_numpy())
            assert torch.allclose(given, expected, atol=1e-4), (cell.algorithm, cell.band, key)


def test_facts_that_cannot_be_used_stop_the_first_job_with_all_that_is_wrong(project, tmp_path):
    facts = tmp_path / "facts"
    facts.mkdir()
    rows = ["id,prompt,answer,candidates,domain,subject", "a,Who? <mask>,me,me|you,d,", "a,Where?,here,here|there,d,"]
    (facts / "en.csv").write_text("\n".join(rows))
    (facts / "es.csv").write_text("id,prompt,answer,domain,subject\na,Quien? <mask>,yo,d,\n")
    (facts / "hi.txt").write_text("")
    settings = f"path: {facts}, forget_domain: d, teaching_languages: [en, es]"
    given = [
        f"corpora={{own: {{source: files, settings: {{{settings}}}}}}}",
        "study={corpus: own, results: results/own}",
    ]
    done = snakemake(project, "--cores", "1", *MICRO, "--config", *given)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    for problem in (
        "the corpus files cannot be used:",
        "hi: no file for this language",
        "en.csv: duplicate ids: a",
        "en.csv: prompt without exactly one <mask>: a",
        "es.csv: no column 'candidates'",
    ):
        assert problem in said
    assert "[make corpus] stopped: " in said
    assert "Traceback" not in said
    assert "[train tokenizer" not in said
    assert not (project / "results/own/tokenizers").exists()
    assert not (project / "results/own/corpus/facts.csv").exists()


@pytest.mark.slow
def test_tables_are_the_same_bytes_from_run_to_run(finished, tmp_path):
    again = copy_project(tmp_path / "again")
    run(again)
    for path in sorted((finished / "results/micro").rglob("*")):
        if path.suffix in (".csv", ".svg", ".rst") and "logs" not in path.parts:
            other = again / path.relative_to(finished)
            assert other.read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_cells_are_exported_and_asked_by_the_harness(changed):
    """Two selected, one by name; what the export says is what was evaluated; a second run does nothing."""
    from transformers import AutoModelForCausalLM

    section = "cells: [{algorithm: rmu, band: 1}], tasks: [mute_facts], task_folder: tests/data/harness, limit: 4"
    overlay = ["--config", f"exports={{{section}}}"]
    slug = "results/micro/exports/llama.0.slug.0.en-es.source.domain.matched.0/record.json"
    targets = ["results/micro/tables/harness.csv", slug]
    jobs = planned(changed, *MICRO, *overlay, "--", *targets)
    assert jobs == {"export_model": 2, "run_harness": 2, "collect_harness": 1}
    run(changed, *overlay, "--", *targets)
    results = changed / "results/micro"
    table = artifacts.read_table(results / "tables/harness.csv")
    assert table[["algorithm", "task", "metric", "n"]].to_numpy().tolist() == [
        ["base", "mute_facts", "acc", 4],
        ["rmu", "mute_facts", "acc", 4],
    ]
    digests = artifacts.read_table(results / "tables/cells.csv").set_index(["algorithm", "band"])["digest"]
    for algorithm, band in (("rmu", "1"), ("slug", "0")):
        folder = results / f"exports/llama.0.{algorithm}.{band}.en-es.source.domain.matched.0"
        record = artifacts.sealed(folder)
        assert record
        assert record["patch"]["cell"] == digests[algorithm, band]
        state = AutoModelForCausalLM.from_pretrained(folder).state_dict()
        base = AutoModelForCausalLM.from_pretrained(results / "models/llama-s0").state_dict()
        changes = {name for name, tensor in state.items() if not tensor.equal(base[name])}
        assert changes
        assert all(name.startswith(f"model.layers.{band}.") for name in changes)
    assert planned(changed, *MICRO, *overlay, "--", *targets) == {}
    wrong = snakemake(changed, "-n", *MICRO, "--", slug.replace("slug", "slag"))
    assert "unknown cell 'llama.0.slag.0.en-es.source.domain.matched.0'" in wrong.stdout + wrong.stderr


@pytest.mark.slow
def test_every_training_is_about_the_world_of_its_seed(project, tmp_path):
    """Models, oracles, edits, attacks, analyses and tables: of two worlds each knows one, and is asked for no other."""
    own = fork(project, tmp_path / "worlds")
    config = own / "config" / "worlds.yaml"
    config.write_text(
        "study: {name: worlds, results: results/worlds, training_seeds: [0, 1], analyses: [lens, alignment]}\n"
        "corpora: {world: {settings: {worlds: 2}}}\n"
        "models: {llama: {oracles: [domain]}}\n"
    )
    run(own, "config/worlds.yaml")
    results = own / "results" / "worlds"
    facts = artifacts.read_table(results / "corpus" / "facts.csv").set_index("item")["world"]
    for folder in (results / "evaluations").iterdir():
        if folder.name != "cells":
            tokens = artifacts.read_table(folder / "tokens.parquet")
            asked = set(tokens.loc[tokens["set"] == "facts", "item"].map(facts))
            assert asked == {int(folder.name.split("-")[1][1:]) % 2}, folder.name
    cells = artifacts.read_table(results / "tables" / "cells.csv")
    assert set(cells["training_seed"]) == {0, 1}
    worlds = {
        seed: {facts[item] for item in _items(results, own["digest"])} for seed, own in cells.groupby("training_seed")
    }
    assert worlds == {0: {0}, 1: {1}}
    scores = artifacts.read_table(results / "tables" / "scores.csv")
    assert scores.loc[scores["metric"] == "K"].groupby("training_seed").size().nunique() == 1


def _items(results: Path, cells: Iterable[str]) -> set[str]:
    """Facts that cells were asked for."""
    shards = pd.concat(map(artifacts.read_table, (results / "shards").glob("*/evaluations.csv")))
    found: set[str] = set()
    for digest in shards.loc[shards["cell"].isin(cells), "digest"]:
        tokens = artifacts.read_table(results / "evaluations" / "cells" / digest / "tokens.parquet")
        found |= set(tokens.loc[tokens["set"] == "facts", "item"])
    return found
