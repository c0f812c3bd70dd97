"""The profiles: keys that Snakemake knows, the same idea of what runs again, and jobs that grow from try to try."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake import cli

ROOT = Path(__file__).parents[2]
FILE = "profile.v9+.yaml"
PROFILES = sorted(path.name for path in (ROOT / "profiles").iterdir())


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / "profiles" / name / FILE).read_text(encoding="utf-8"))


def parse(*arguments: str):
    """What Snakemake makes of a command line in the project's folder."""
    return cli.parse_args([*arguments, "--directory", str(ROOT), "--snakefile", str(ROOT / "Snakefile")])[1]


def values(resources, attempt: int) -> dict[str, int | str]:
    """Default resources of a job that reads nothing, at its first, second, ... try."""
    given = {
        "attempt": attempt,
        "threads": 1,
        "input": SimpleNamespace(size_mb=1),
        "rulename": "any",
        "async_run": None,
    }
    names = ("mem_mb", "runtime", "slurm_partition", "slurm_account")
    found = {name: resources[name] for name in names if name in resources}
    return {name: resource.evaluate(None, **given).value for name, resource in found.items()}


def test_there_is_one_for_this_machine_and_one_for_slurm():
    assert PROFILES == ["default", "slurm"]


@pytest.mark.parametrize("name", PROFILES)
def test_every_key_of_a_profile_is_an_option_of_snakemake(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments = parse("--workflow-profile", f"profiles/{name}")
    for key, value in read(name).items():
        if isinstance(value, bool | int | str):
            assert getattr(arguments, key.replace("-", "_")) == value, key


@pytest.mark.parametrize("name", PROFILES)
def test_a_key_that_snakemake_does_not_know_would_be_told(name, tmp_path, capsys):
    (tmp_path / FILE).write_text(yaml.safe_dump({**read(name), "retires": 2}))
    with pytest.raises(SystemExit):
        parse("--workflow-profile", str(tmp_path))
    assert "retires" in capsys.readouterr().err


def test_both_agree_on_what_runs_again_and_what_is_shown():
    """A workflow profile that is given takes the place of the default one, so it has all of its keys."""
    default, slurm = read("default"), read("slurm")
    assert default.items() <= slurm.items()
    assert {"rerun-triggers", "rerun-incomplete", "keep-going"} <= default.keys()


def test_a_job_on_slurm_gets_more_time_and_memory_with_every_try(monkeypatch):
    monkeypatch.chdir(ROOT)
    arguments = parse("--workflow-profile", "profiles/slurm")
    tries = [values(arguments.default_resources, attempt) for attempt in range(1, arguments.retries + 2)]
    assert len(tries) == 3
    for before, after in pairwise(tries):
        assert after["mem_mb"] > before["mem_mb"] > 0
        assert after["runtime"] > before["runtime"] > 0


def test_partition_and_account_are_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    given = ["slurm_partition=gpu", "slurm_account=lab"]
    arguments = parse("--workflow-profile", "profiles/slurm", "--default-resources", *given)
    expected = {"slurm_partition": "gpu", "slurm_account": "lab"}
    assert values(arguments.default_resources, 1).items() >= expected.items()
    assert (arguments.executor, arguments.retries) == ("slurm", 2)
    # The same in a file of one's own, over the project's.
    own = {"slurm_partition": "gpu", "slurm_account": "lab", "runtime": "attempt * 90"}
    (tmp_path / FILE).write_text(yaml.safe_dump({"default-resources": own, "jobs": 7}))
    arguments = parse("--profile", "profiles/slurm", "--workflow-profile", str(tmp_path))
    assert values(arguments.default_resources, 2).items() >= {**expected, "runtime": 180}.items()
    assert (arguments.executor, arguments.retries, arguments.jobs) == ("slurm", 2, 7)
    assert {trigger.name.lower() for trigger in arguments.rerun_triggers} == {
        trigger.replace("-", "_") for trigger in read("slurm")["rerun-triggers"]
    }


def test_a_study_on_slurm_is_planned_without_slurm(tmp_path):
    """One cell a job, as docs/clusters.md says, with every core of SLURM's instead of this machine's."""
    every = "[model, training_seed, algorithm, band, sources, retain, forget_set, protocol, seed]"
    given = ["--configfile", "config/micro.yaml", "--config", f"study={{shard_by: {every}, results: results/none}}"]
    environ = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath])}
    command = ["snakemake", "-n", "--workflow-profile", "profiles/slurm", *given]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unlearn_shard            5" in done.stdout
    assert "on 100 cores" in done.stderr
