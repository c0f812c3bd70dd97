"""Publishes runs to a tracker: those that are new or changed, and no other."""

import shutil
from pathlib import Path

from mute.jobs.logs import Log
from mute.publishing import runs as content
from mute.publishing import trackers
from mute.publishing.readback import Index
from mute.publishing.runs import Run
from mute.store import artifacts
from mute.store.records import Facts, Record


def runs_of(results: Path, study: str, config: Record, tables: list[str], figures: list[str]) -> list[Run]:
    """All runs of a study. The one with its tables comes last: it stands for a study that is there as a whole."""
    paths = {Path(path).stem: path for path in tables}
    cells, scores = artifacts.read_table(paths["cells"]), artifacts.read_table(paths["scores"])
    files = {"tables": tables, "figures": figures}
    return [*content.of_cells(study, results, cells, scores), content.of_study(study, config, cells, files)]


def publish(runs: list[Run], tracker: str, folder: Path, options: Facts, log: Log) -> list[dict[str, str]]:
    """Bring `folder` to what `runs` say: what is there whole stays, what changed is written anew, the rest goes.

    Returns a row per run: tracker, id, name, content, and the file that it became, in `folder`.
    """
    module = trackers.load(tracker)
    # All options but the mode say where runs belong.
    index = Index(folder, {name: value for name, value in options.items() if name != "mode"})
    held = {run.id for run in runs if index.holds(run)}
    stale = index.entries.keys() - held
    index.entries = {id: entry for id, entry in index.entries.items() if id in held}
    kept = {(folder / entry["file"]).parent for entry in index.entries.values()}
    # What changed, what the study no longer has, and what a killed call could not note.
    for own in module.folders(folder):
        if own not in kept:
            shutil.rmtree(own)
    new = [run for run in runs if run.id not in held]
    if new:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        with module.writer(folder, options) as write:
            for done, run in enumerate(new, 1):
                written.append((run, write(run)))
                log.progress(done, len(new), f"{tracker}: run")
        # Only now: W&B may still be writing a run's file when the run is finished.
        for run, (file, *copies) in written:
            index.put(run, file, copies)
    if new or stale:
        index.save()
    log.say(f"{tracker}: {len(new)} published, {len(held)} there already, in {folder}")
    if options.get("mode") == "online":
        module.send(folder, log)
    columns = ("name", "content", "file")
    return [{"tracker": tracker, "id": r.id, **{c: index.entries[r.id][c] for c in columns}} for r in runs]
