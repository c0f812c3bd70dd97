"""A full disk, a limit on a file's size, and a folder that may not be written."""

import os
import random
import subprocess
import sys

import pytest
from harness import SEED, WHOLE, Project, row

MB = 2**20


@pytest.fixture
def disk(tmp_path):
    """Mounts a small disk on a folder of a project; skips where this user may not."""
    mounted = []

    def mount(project: Project, size: int) -> None:
        project.results.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", project.results])
        if done.returncode != 0:
            pytest.skip("only root may mount a small disk")
        mounted.append(project.results)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def finishes(project: Project, expected: dict[str, bytes], kind: str, told: list[bool]) -> None:
    """The same command goes on once there is room; what it makes then is what an undisturbed run makes."""
    status = project.run()
    whole, equal = status == 0 and project.check() == 0, project.published() == expected
    for each in told:
        row(kind).add(detected=each, recovered=whole, equal=equal)
    assert all(told), f"{told.count(False)} of {len(told)} were not told"
    assert whole, project.said
    assert equal


def test_a_full_disk(finished, expected, disk, tmp_path):
    rng = random.Random(f"{SEED} disk")
    needed = sum(path.stat().st_size for path in finished.results.rglob("*") if path.is_file())
    project, told = Project.fresh(tmp_path / "mute"), []
    disk(project, needed // 20)
    for share in [0.05, 0.2, 0.4, 0.7] if WHOLE else [0.4]:
        size = int(needed * share * rng.uniform(0.8, 1.2))
        subprocess.run(["mount", "-o", f"remount,size={size}", project.results], check=True)
        status, said = project.run(), project.said
        told.append(status != 0 and ("No space left on device" in said or "the disk is full" in said))
    subprocess.run(["mount", "-o", f"remount,size={4 * needed + 64 * MB}", project.results], check=True)
    finishes(project, expected, "disk full", told)


def test_files_may_not_grow(expected, tmp_path):
    """As a quota: every write beyond a size fails."""
    project, told = Project.fresh(tmp_path / "mute"), []
    # Python itself takes a bytecode file that was cut off for a whole one.
    subprocess.run([sys.executable, "-m", "compileall", "-q", project.folder / "src"], check=True)
    for limit in [20_000, 100_000, 300_000] if WHOLE else [100_000]:
        status = project.run(largest=limit)
        told.append(status != 0 and "File too large" in project.said)
    finishes(project, expected, "limit on the size of files", told)


def test_results_that_may_not_be_written(project, expected, disk):
    """Refused before anything starts; where only some of it is read-only the job says which file."""
    if os.getuid() == 0:
        subprocess.run(["mount", "--bind", project.results, project.results], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", project.results], check=True)
    else:
        project.results.chmod(0o555)
    try:
        status = project.run()
        told = "Nothing can be written in" in project.said and "Nothing was started" in project.said
    finally:
        if os.getuid() == 0:
            subprocess.run(["umount", "-l", project.results], check=True)
        else:
            project.results.chmod(0o755)
    again = project.run()
    equal = project.published() == expected
    row("results read-only").add(detected=status != 0 and told, recovered=again == 0, equal=equal)
    assert status != 0
    assert told, project.said
    assert again == 0
    assert equal
