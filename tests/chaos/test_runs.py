"""Two runs at once, a lock that a killed run left, and clocks that are wrong."""

import os
import signal
import time

from harness import SNAKEMAKE, Project, kill, row


def test_two_runs_at_once(expected, tmp_path):
    project = Project.fresh(tmp_path / "mute")
    first = project.start()
    assert project.wait_for(lambda: bool(project.jobs()), first), project.said
    # Each says what it says into the same file: the first keeps the one that it has open.
    (project.folder / "said").rename(project.folder / "said first")
    make = project.run() == 75 and "Another run is under way in this folder" in project.said
    made_to_wait = project.said
    plain = project.snakemake() != 0 and "locked" in project.said.lower()
    ended = first.wait(600) == 0
    equal = project.published() == expected
    row("two runs at once: make beside make").add(detected=make, recovered=ended, equal=equal)
    row("two runs at once: Snakemake beside make").add(detected=plain, recovered=ended, equal=equal)
    assert make, made_to_wait
    assert plain, project.said
    assert ended
    assert equal


def test_make_beside_plain_snakemake(expected, tmp_path):
    """The front door must not unlock what somebody works in."""
    project = Project.fresh(tmp_path / "mute")
    config = ["--configfile", "config/micro.yaml", "chaos.yaml"]
    first = project.start(command=[*SNAKEMAKE, "--cores", "2", *config])
    assert project.wait_for(lambda: bool(project.jobs()), first), project.said
    (project.folder / "said").rename(project.folder / "said first")
    status = project.run()
    told = "A Snakemake runs in this folder" in project.said
    ended = first.wait(600)
    equal = project.run() == 0 and project.published() == expected
    row("two runs at once: make beside Snakemake").add(
        detected=status == 75 and told, recovered=ended == 0, equal=equal
    )
    assert status == 75
    assert told, project.said
    assert ended == 0
    assert equal


def test_a_lock_left_by_a_killed_run(project, expected):
    for path in project.results.glob("tables/*.csv"):
        path.unlink()
    run = project.start()
    assert project.wait_for(lambda: bool(project.jobs("make_tables")), run), project.said
    kill(project.processes(), signal.SIGKILL)
    run.wait()
    locks = list((project.folder / ".snakemake/locks").glob("*"))
    plain = project.snakemake()
    refused = plain != 0 and "lock" in project.said.lower()
    status = project.run()
    equal = project.published() == expected
    row("lock left by a killed run").add(detected=bool(locks) and refused, recovered=status == 0, equal=equal)
    assert locks
    assert refused, project.said
    assert status == 0, project.said
    assert equal


def test_times_in_the_future(project, expected):
    """Of results and sources, as from a machine whose clock was wrong: nothing runs for ever."""
    future = time.time() + 30 * 86400
    for folder in (project.results, project.folder / "src", project.folder / "scripts", project.folder / "config"):
        for path in folder.rglob("*"):
            os.utime(path, (future, future))
    status = project.run()
    (project.results / "layers").joinpath(next((project.results / "layers").glob("*.csv")).name).unlink()
    again = project.run()
    idle = project.run()
    quiet = "Nothing to be done" in project.said
    equal = project.published() == expected
    row("times of change in the future").add(
        detected=quiet and idle == 0, recovered=status == 0 and again == 0, equal=equal
    )
    assert (status, again, idle) == (0, 0, 0), project.said
    assert quiet, project.said
    assert equal
