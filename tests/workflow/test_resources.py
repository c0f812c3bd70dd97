"""What the workflow's jobs ask for, as Snakemake sees it: on a cluster by every attempt, on one machine not at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from test_workflow import MICRO, copy_project, snakemake

from mute.plan.costs import RULES

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="copies what git knows")

# The resources of every job, from Snakemake itself: what it prints of a job is the job's message.
ASKED = """
import json
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    workflow = api.workflow(
        resource_settings=ResourceSettings(cores=2),
        config_settings=ConfigSettings(configfiles=[Path("config/micro.yaml")]),
        snakefile=Path("Snakefile"),
    )
    workflow.dag().execute_workflow(executor="dryrun")
    dag = workflow._workflow.dag
    for attempt in (1, 2):
        for job in dag.jobs:
            if attempt > 1:
                job.attempt = attempt
            asked = {name: job.resources.get(name) for name in ("mem_mb", "runtime", "gpu")}
            print("ASKED", json.dumps([job.rule.name, attempt, asked]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("resources"))


@pytest.fixture(scope="module")
def asked(project):
    """By rule and attempt: what its job asks for."""
    command = [sys.executable, "-c", ASKED]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("ASKED ") for line in done.stdout.splitlines() if line.startswith("ASKED ")]
    return {(rule.replace("longest", "model"), attempt): found for rule, attempt, found in map(json.loads, lines)}


def test_every_rule_that_runs_a_model_asks_for_memory_time_and_gpus(asked):
    rules = {rule for rule, _ in asked}
    for rule in rules & set(RULES):
        first = asked[rule, 1]
        assert 1000 <= first["mem_mb"] <= 2500, rule
        assert 5 <= first["runtime"] <= 15, rule
        assert first["gpu"] == 0, rule
    assert {
        "pretrain_model",
        "evaluate_model",
        "score_layers",
        "unlearn_shard",
        "attack_shard",
        "analyse_shard",
    } <= rules & set(RULES)


def test_a_second_attempt_asks_for_twice_as_much(asked):
    for rule in ("pretrain_model", "unlearn_shard"):
        first, second = asked[rule, 1], asked[rule, 2]
        assert second["mem_mb"] == pytest.approx(2 * first["mem_mb"], abs=200)
        assert second["runtime"] == pytest.approx(2 * first["runtime"], abs=2)


@pytest.mark.slow
def test_jobs_of_one_machine_run_beside_each_other_whatever_they_ask_for(project):
    given = ["--config", "study={training_seeds: [0, 1]}", "costs={margin: 1000}"]
    done = snakemake(project, "--cores", "2", *MICRO, "--until", "pretrain_longest", *given)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if "Training llama-s" in line or "Rule: pretrain_longest" in line]
    assert len(told) == 4
    assert all("Training" in line for line in told[:2]), "the second starts before the first has finished"
