"""Fetches one model or data set into the user's cache, and records what it is."""

import time
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.hub import copies
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

MB = 10**6


def report(done: int, total: int) -> None:
    """Say how far a long download is."""
    if done < total:
        log.progress(done // MB, -(-total // MB), f"{repo.id}, MB")


with job(snakemake, torch=False, online=True) as log:
    plan = snakemake.params.plan
    repo = copies.Repo(plan["kind"], plan["id"], plan["revision"], tuple(plan["patterns"]))
    started = time.monotonic()
    log.note(f"asking for {repo}")
    record = copies.fetch(repo, report)
    size = sum(facts["bytes"] for facts in record["files"].values())
    log.say(f"{repo}: {len(record['files'])} files, {size / MB:.1f} MB, whole, {time.monotonic() - started:.0f} s")
    if record["commit"] and not repo.is_pinned:
        log.say(f"{repo.revision!r} may move: `revision: {record['commit']}` pins it")
    artifacts.write_json(snakemake.output[0], record)
