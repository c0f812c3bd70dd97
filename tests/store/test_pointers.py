"""Files held against DVC's checksums."""

import subprocess
import sys
from pathlib import Path

import pytest

from mute.store import pointers

ALTERED = b"Oslo,Norway\n"


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """A project in which DVC itself looks after a folder, one below it, and a file."""
    root = tmp_path_factory.mktemp("added")
    files = {"facts/en.csv": "Oslo,Norge\n", "facts/more/hi.csv": "ओस्लो\n", "facts/b": "", "one.csv": "x"}
    for name, text in files.items():
        (root / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / name).write_text(text, encoding="utf-8")
    dvc = [sys.executable, "-m", "dvc"]
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "data/facts", "data/one.csv"]):
        subprocess.run([*dvc, *command], cwd=root, check=True, capture_output=True)
    return root


@pytest.fixture
def project(added, tmp_path, monkeypatch):
    """A copy of it, the working directory."""
    subprocess.run(["cp", "-r", f"{added}/.", tmp_path], check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found() -> list[pointers.Fault]:
    return [fault for pointer in pointers.inputs() for fault in pointers.faults(pointer)]


def object_of(path: str) -> Path:
    md5 = pointers.md5(Path(path))
    return Path(".dvc/cache/files/md5", md5[:2], md5[2:])


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(ALTERED)


def test_what_dvc_added_is_what_its_pointers_say(project):
    assert [pointer.target for pointer in pointers.inputs()] == ["data/facts.dvc", "data/one.csv.dvc"]
    assert found() == []
    # The checksum of a folder is DVC's own, also without its cache.
    subprocess.run(["rm", "-r", ".dvc/cache"], check=True)
    assert found() == []


def test_an_altered_file_is_named_with_the_command_that_brings_it_back(project):
    Path("data/facts/more/hi.csv").write_bytes(ALTERED)
    (fault,) = found()
    assert str(fault).startswith("data/facts/more/hi.csv: is not the file that data/facts.dvc names (MD5 ")
    assert str(fault).endswith("rm -f data/facts/more/hi.csv && dvc checkout data/facts.dvc")
    with pytest.raises(ValueError, match=r"not what their pointers say:\n  - data/facts/more/hi.csv: is not the file"):
        pointers.check(["data/facts.dvc", "data/README.md"])
    pointers.check(["data/one.csv.dvc"])


def test_a_file_that_dvc_was_not_told_of_is_named(project):
    """No clone will have it, and the study here would have read it."""
    Path("data/facts/sw.csv").write_bytes(ALTERED)
    Path("data/facts/.DS_Store").write_bytes(ALTERED)
    (fault,) = found()
    assert str(fault.path) == "data/facts/sw.csv"
    subprocess.run([sys.executable, "-m", *fault.text.rsplit(": ", 1)[1].split()], check=True, capture_output=True)
    assert found() == []


def test_a_damaged_object_of_the_cache_is_named(project):
    kept = object_of("data/one.csv")
    damage(kept)
    assert found() == [], "the file itself is whole"
    Path("data/one.csv").write_bytes(kept.read_bytes())
    (fault,) = found()
    assert f"is damaged, and so is DVC's copy of it. To fetch it again: rm -f data/one.csv {kept} && " in str(fault)
    assert str(fault).endswith("dvc pull data/one.csv.dvc")


def test_a_damaged_list_of_files_is_told_apart(project):
    (listing,) = Path(".dvc/cache").rglob("*.dir")
    damage(listing)
    assert found() == []
    Path("data/facts/en.csv").write_bytes(ALTERED)
    assert f"rm -rf data/facts {listing} && dvc pull data/facts.dvc" in str(found()[0])


def test_a_missing_file_of_a_folder_is_a_fault_and_a_missing_folder_was_not_fetched(project):
    Path("data/facts/en.csv").unlink()
    assert "data/facts/en.csv: is missing, though data/facts.dvc lists it" in str(found()[0])
    subprocess.run(["rm", "-r", "data/facts"], check=True)
    assert found() == []
    with pytest.raises(ValueError, match=r"data/facts: is missing; fetch it: dvc pull data/facts.dvc"):
        pointers.check(["data/facts.dvc"])


def test_the_cache_is_where_dvc_has_it(project):
    assert pointers.cache_folder() == pointers.CACHE
    Path(".dvc/config.local").write_text("[cache]\n    dir = ../elsewhere\n['remote \"store\"']\n    url = s3://a/%b\n")
    assert pointers.cache_folder() == Path(".dvc/../elsewhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("outs:\n- md5: 0\n  path: a\n", "was written by DVC 2; bring it up to date: dvc cache migrate"),
        ("outs:\n- path: a\n", "a has no md5"),
        ("outs: [\n", "is not what DVC writes"),
    ],
)
def test_a_pointer_that_cannot_be_read_is_named(tmp_path, text, message):
    source = tmp_path / "a.dvc"
    source.write_text(text)
    with pytest.raises(ValueError, match=rf"{source}.*{message}"):
        pointers.read(source)


def test_a_rule_depends_on_the_pointer_where_there_is_one(project):
    Path("data/own").mkdir()
    Path("data/own/en.csv").touch()
    wanted = ["data/facts/en.csv", "data/facts/gone.csv", "data/one.csv", "data/own/en.csv", "data/own/gone.csv"]
    assert pointers.tracked(wanted) == ["data/facts.dvc", "data/one.csv.dvc", "data/own/en.csv"]


def test_published_results_are_those_of_every_stage(project):
    assert pointers.published() == []
    Path("dvc.lock").write_text(
        "stages:\n  study:\n    outs:\n    - {path: results/a.csv, hash: md5, md5: '0cc1'}\n  verify: {cmd: make}\n"
    )
    (pointer,) = pointers.published()
    assert (pointer.path, pointer.target) == (Path("results/a.csv"), "results/a.csv")
    Path("results").mkdir()
    Path("results/a.csv").touch()
    assert "is not the file that dvc.lock names (MD5 0cc1)" in str(pointers.faults(pointer)[0])


def test_content_is_that_of_files_wherever_they_lie_and_whenever_they_were_written(tmp_path, monkeypatch):
    paths = []
    for place, text in (("one", "a"), ("two", "a"), ("three", "b")):
        (tmp_path / place).mkdir()
        paths.append(tmp_path / place / "facts.csv")
        paths[-1].write_text(text)
    same, other, changed = (pointers.content([path, tmp_path / "absent"]) for path in paths)
    assert same == other != changed
    assert len(same) == 1
    monkeypatch.setattr(pointers, "_LARGE", 0)
    assert pointers.content(paths) == ["1 bytes"] * 3, "of large ones only the size: they are read whole each time"
