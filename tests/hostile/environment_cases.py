"""Hostile environments: what the shell, the machine or the system gives."""

from cases import Place, python, refused, taken

from mute.study.checks import checked_study


def _plan(place: Place, content: str = "study: {name: odd}\n", **environment: str | None) -> tuple[int, str]:
    path = place.write("my.yaml", content)
    return python("-m", "mute", "plan", str(path), **environment)


HUB = "study: {models: [mine]}\nmodels: {mine: {pretrained: owner/name, languages: [en, es, pt, de]}}\n"


@refused(
    "environment", "HF_HUB_OFFLINE=1, and a model that was never fetched", "models.mine.pretrained", "`make fetch`"
)
def _(place: Place) -> str:
    code, said = _plan(place, HUB, HF_HUB_OFFLINE="1", HF_HOME=str(place.folder))
    assert code != 0
    return said


@taken("environment", "HF_HUB_OFFLINE=1, and a model whose `blocks` are given", "planned without asking the hub")
def _(place: Place) -> None:
    code, said = _plan(place, HUB.replace("languages", "blocks: 4, languages"), HF_HUB_OFFLINE="1")
    assert code == 0, said


@taken("environment", "TMPDIR and HOME that are not there", "neither is needed to plan or to write results")
def _(place: Place) -> None:
    code, said = _plan(place, TMPDIR="/nowhere/tmp", HOME="/nowhere/home")
    assert code == 0, said


@taken("environment", "LC_ALL=C and PYTHONIOENCODING=ascii", "what cannot be shown is printed by its number", "U+0430")
def _(place: Place) -> str:
    content = "study: {models: [ll\u0430ma]}\n"
    code, said = _plan(place, content, LC_ALL="C", LANG="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert code == 1
    code, _ = _plan(place, LC_ALL="C", LANG="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert code == 0
    return said


@taken("environment", "OMP_NUM_THREADS=many", "jobs run with the threads that Snakemake gives them")
def _(place: Place) -> None:
    code = "from mute.jobs import job; import torch; torch.set_num_threads(2); print(torch.get_num_threads())"
    status, said = python("-c", code, OMP_NUM_THREADS="many")
    assert status == 0
    assert "2" in said.split()


@refused(
    "environment",
    "`engine.device: cuda` without a GPU",
    "engine.device is 'cuda'",
    "auto takes",
    when="by the job",
    until="torch finds only",
)
def _(place: Place) -> None:
    import torch

    from mute.models import loading

    place.fixture("monkeypatch").setattr(torch.cuda, "is_available", lambda: False)
    loading.find_device("cuda")


@taken("environment", "CUDA_VISIBLE_DEVICES=none of them", "no GPU is leased, and the CPU is taken")
def _(place: Place) -> None:
    import torch

    from mute.jobs import devices
    from mute.models import loading

    patch = place.fixture("monkeypatch")
    patch.setenv("CUDA_VISIBLE_DEVICES", "none of them")
    patch.setattr(torch.cuda, "is_available", lambda: False)
    patch.setattr(torch.cuda, "device_count", lambda: 0)
    assert not devices.visible()
    assert loading.find_device("auto") in ("cpu", "mps")


@taken("environment", "a umask that lets nobody else read", "results are as readable as it says, and whole")
def _(place: Place) -> None:
    import os

    from mute.store import artifacts

    before = os.umask(0o077)
    try:
        artifacts.write_json(place.folder / "a.json", {"a": 1})
    finally:
        os.umask(before)
    assert (place.folder / "a.json").stat().st_mode & 0o777 == 0o600
    assert artifacts.read_json(place.folder / "a.json") == {"a": 1}


@refused("environment", "a folder of results that is a broken link", "must be a folder, but", "is something else")
def _(place: Place) -> None:
    import contextlib

    (place.folder / "results").symlink_to("a-disk-that-is-gone")
    with contextlib.chdir(place.folder):
        checked_study({})


@taken("environment", "another folder to run from", "a study is planned wherever it is called: it reads no other file")
def _(place: Place) -> None:
    import contextlib

    with contextlib.chdir(place.folder):
        assert checked_study({}).cells
    assert list(place.folder.iterdir()) == []
