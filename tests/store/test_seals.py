"""Seals: what is not what its job wrote is found, put aside and told; what is made again the same moves nothing."""

import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from mute.__main__ import main
from mute.jobs import job as jobs
from mute.jobs import sealed
from mute.jobs.logs import Log
from mute.store import artifacts, seals

ABOUT = {"producer": "some_rule", "settings": "abc"}


@pytest.fixture
def results(tmp_path):
    """A small results folder: two sealed files, one table, one folder of the store that a shard's table names."""
    folder = tmp_path / "results"
    files = {"corpus/facts.csv": "a,b\n1,2\n", "layers/llama.csv": "block\n0\n", "tables/cells.csv": "x\n1\n"}
    files["shards/llama/cells.csv"] = "cell,digest\n1,0123abc\n"
    for name, text in files.items():
        artifacts.write_text(folder / name, text)
    artifacts.write_text(folder / "cells/0123abc/patch.txt", "patch")
    artifacts.seal(folder / "cells/0123abc", {"producer": "unlearn_shard"})
    seals.write(folder, [folder / name for name in files], ABOUT)
    return folder


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[: -4 if path.suffix == ".json" else -1])


def test_a_seal_says_what_the_file_is_and_how_it_was_made(results):
    seal = seals.read(results, results / "corpus/facts.csv")
    assert seal["sha256"] == artifacts.sha256(results / "corpus/facts.csv")
    assert seal["bytes"] == 8
    assert seal["producer"] == "some_rule"
    assert seals.sweep(results) == []


@pytest.mark.parametrize("damage", [flip, truncate])
@pytest.mark.parametrize("name", ["corpus/facts.csv", "layers/llama.csv", "tables/cells.csv"])
def test_a_damaged_file_is_put_aside_and_kept(results, name, damage):
    before = (results / name).read_bytes()
    damage(results / name)
    altered = (results / name).read_bytes()
    assert altered != before
    told = [str(fault.path.relative_to(results)) for fault in seals.sweep(results, mend=False)]
    assert told == [name]
    assert (results / name).exists()
    (fault,) = seals.sweep(results)
    assert str(fault.path) in str(fault)
    assert not (results / name).exists()
    assert (results / "damaged" / name).read_bytes() == altered
    assert seals.sweep(results) == []


def test_a_folder_in_the_place_of_a_file_is_damage(results):
    (results / "tables/cells.csv").unlink()
    (results / "tables/cells.csv").mkdir()
    (fault,) = seals.sweep(results)
    assert str(fault) == f"{results}/tables/cells.csv is no file"
    assert list(fault.removed) == [results / "tables/cells.csv"]
    assert (results / "damaged/tables/cells.csv").is_dir()
    assert seals.sweep(results) == []


def test_the_command_tells_what_is_missing_and_where_there_is_nothing_to_hold(results, capsys):
    assert main(["check", str(results)]) == 0
    assert capsys.readouterr().out == f"4 sealed files in {results}, each what was written\n"
    (results / "tables/cells.csv").unlink()
    flip(results / "layers/llama.csv")
    assert main(["check", str(results)]) == 1
    said = capsys.readouterr()
    assert f"{results}/tables/cells.csv is missing" in said.err
    assert f"{results}/layers/llama.csv was altered" in said.err
    assert said.out.startswith("2 of 4 sealed files and folders are not what was written: make study")
    for folder in (results / "tables", results.parent, results.parent / "nowhere"):
        assert main(["check", str(folder)]) == 1
        assert f"no sealed files in {folder}" in (told := capsys.readouterr().err)
        assert (f"there are some in {results}" in told) == (folder == results.parent)


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("file", ["patch.txt", "record.json"])
def test_a_damaged_cell_takes_its_shards_table_with_it(results, file, damage):
    damage(results / "cells/0123abc" / file)
    faults = seals.sweep(results)
    if damage is Path.unlink and file == "record.json":
        assert faults == []  # a job that was stopped left it so, or is at work: it makes the cell anew
        return
    assert [fault.path for fault in faults] == [results / "cells/0123abc"]
    assert list(faults[0].removed) == [results / "shards/llama/cells.csv"]
    assert not (results / "cells/0123abc").exists()
    assert not (results / "shards/llama/cells.csv").exists()
    assert (results / "corpus/facts.csv").exists()


def test_what_is_made_again_the_same_gets_its_old_time(results):
    path = results / "corpus/facts.csv"
    text = path.read_text()
    then = seals.record(results, path).stat().st_mtime
    flip(path)
    faults = seals.sweep(results)
    path.write_text(text)
    os.utime(path, (then + 5000, then + 5000))
    seals.restore_times(faults)
    assert path.stat().st_mtime == pytest.approx(then)
    path.write_text("other")
    os.utime(path, (then + 5000, then + 5000))
    seals.restore_times(faults)
    assert path.stat().st_mtime == pytest.approx(then + 5000)


def test_a_file_whose_seal_cannot_be_read_is_made_again_too(results):
    """It may be one that nothing waits for, and Snakemake would leave it away."""
    path = results / "layers/llama.csv"
    text = path.read_text()
    seals.record(results, path).write_text("{")
    faults = seals.sweep(results)
    assert [list(fault.removed) for fault in faults] == [[path]]
    path.write_text(text)
    seals.restore_times(faults)  # nobody knows whether it is the same


def test_a_job_that_reads_damage_is_told_which_file(results):
    flip(results / "corpus/facts.csv")
    truncate(results / "layers/llama.csv")
    with pytest.raises(seals.DamageError) as error:
        seals.check(results, [results / "corpus/facts.csv", results / "layers/llama.csv", Path("elsewhere.csv")])
    assert "corpus/facts.csv was altered since its job wrote it" in str(error.value)
    assert "layers/llama.csv has 7 bytes, not 8" in str(error.value)
    assert seals.last_damage(results) > 0
    digests = seals.check(results, [results / "tables/cells.csv", results / "shards/llama/cells.csv"])
    assert digests["tables/cells.csv"] == artifacts.sha256(results / "tables/cells.csv")


def test_a_file_without_a_seal_is_no_result_but_published_ones_may_be_pulled(results):
    artifacts.write_text(results / "gates/llama.csv", "x")
    artifacts.write_text(results / "tables/pulled.csv", "x")
    with pytest.raises(seals.DamageError, match=r"gates/llama.csv has no seal"):
        seals.check(results, [results / "gates/llama.csv"])
    assert list(seals.check(results, [results / "tables/pulled.csv"])) == ["tables/pulled.csv"]
    seals.record(results, results / "corpus/facts.csv").write_text("{")
    with pytest.raises(seals.DamageError, match=r"corpus/facts.csv has no seal"):
        seals.check(results, [results / "corpus/facts.csv"])


def test_what_dvc_checked_out_is_no_damage(results, monkeypatch, tmp_path):
    """Tables of another version, where DVC's cache has exactly these bytes."""
    from mute.store import pointers

    monkeypatch.chdir(tmp_path)
    path = results / "tables/cells.csv"
    path.write_text("x\n2\n")
    kept = pointers._object(pointers.md5(path), pointers.CACHE)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(path.read_bytes())
    assert seals.sweep(results) == []
    path.write_text("x\n3\n")
    assert len(seals.sweep(results)) == 1


def test_above_the_limit_the_size_alone_counts(results, monkeypatch):
    monkeypatch.setattr(artifacts, "checked_in_full", 4)
    flip(results / "corpus/facts.csv")
    assert seals.sweep(results) == []
    truncate(results / "corpus/facts.csv")
    assert len(seals.sweep(results)) == 1


def test_times_in_the_future_are_set_back(results):
    future = time.time() + 86400
    for path in (results / "corpus/facts.csv", results / "tables/cells.csv"):
        os.utime(path, (future, future))
    assert seals.sweep(results) == []
    now = time.time()
    assert all((results / name).stat().st_mtime <= now for name in ("corpus/facts.csv", "tables/cells.csv"))


def snakemake(results, **options):
    """What a job gets from Snakemake, as far as seals go."""
    given = {
        "rule": "score_layers",
        "wildcards": ["llama"],
        "threads": 1,
        "log": [str(results / "logs/score_layers.log")],
        "config": {"study": {"results": str(results)}, "engine": {}},
        "input": [str(results / "corpus/facts.csv")],
        "output": [str(results / "layers/llama.csv")],
        "params": {"plan": {"seed": 3}, "code": "c0de"},
    }
    return SimpleNamespace(**{**given, **options})


def test_a_job_checks_its_inputs_and_seals_its_outputs(results):
    job = snakemake(results)
    with jobs.job(job, torch=False):
        artifacts.write_text(results / "layers/llama.csv", "new")
    seal = seals.read(results, results / "layers/llama.csv")
    assert seal["producer"] == "score_layers"
    assert seal["seed"] == 3
    assert seal["code"] == "c0de"
    assert seal["inputs"] == {"corpus/facts.csv": artifacts.sha256(results / "corpus/facts.csv")}
    assert seal["made_with"]["threads"] == 1
    assert seal["made_with"]["versions"]["python"].startswith("3.")
    flip(results / "corpus/facts.csv")
    with pytest.raises(SystemExit) as end, jobs.job(job, torch=False):
        pytest.fail("the job must not begin")
    assert end.value.code == 1
    assert "put aside" in (results / "logs/score_layers.log").read_text()


def test_a_damaged_folder_that_a_job_meets_is_put_aside(results):
    flip(results / "cells/0123abc/patch.txt")
    with pytest.raises(SystemExit), jobs.job(snakemake(results), torch=False):
        artifacts.checked(results / "cells/0123abc")
    assert not (results / "cells/0123abc").exists()
    assert not (results / "shards/llama/cells.csv").exists()


def test_a_full_disk_is_told_without_a_traceback(results, capsys):
    with pytest.raises(SystemExit), jobs.job(snakemake(results), torch=False):
        raise OSError(28, "No space left on device", "some/file")
    said = capsys.readouterr().err
    assert "No space left on device (some/file)" in said
    assert "Traceback" not in said
    assert not seals.record(results, results / "layers/llama.csv").read_text().count("score_layers")


ORPHAN = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from mute.jobs import sealed
from mute.jobs.logs import Log
from mute.store import artifacts
results, text = Path(sys.argv[1]), sys.argv[2]
job = SimpleNamespace(rule="score_layers", wildcards=["llama"], threads=1, params={"plan": {"seed": 3}, "code": "c0de"},
    config={"study": {"results": str(results)}}, input=[str(results / "corpus/facts.csv")],
    output=[str(results / "layers/llama.csv")])
with sealed.sealed_job(job, Log(results / "logs/orphan.log", "orphan")):
    print("at work", flush=True)
    time.sleep(1.5)
    artifacts.write_text(results / "layers/llama.csv", text)
"""


@pytest.mark.parametrize("same", [True, False])
def test_a_job_waits_for_one_that_a_killed_run_left(results, same):
    """And takes over what it made, if it was made from the same."""
    left = subprocess.Popen([sys.executable, "-c", ORPHAN, results, "by the other"], stdout=subprocess.PIPE, text=True)
    assert left.stdout.readline() == "at work\n"
    job = snakemake(results)
    if not same:
        job.params = {"plan": {"seed": 4}, "code": "c0de"}
    worked = []
    log = Log(results / "logs/own.log", "own")
    with pytest.raises(SystemExit, match="0") if same else nullcontext(), sealed.sealed_job(job, log):
        worked.append((results / "layers/llama.csv").read_text())
        artifacts.write_text(results / "layers/llama.csv", "own")
    assert left.wait() == 0
    assert worked == ([] if same else ["by the other"])
    assert (results / "layers/llama.csv").read_text() == ("by the other" if same else "own")
    assert seals.fault(results, results / "layers/llama.csv") is None
