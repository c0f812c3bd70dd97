"""The explorer of a study that runs: written from what has landed, in a process of its own, and once more at the end.

`make study` starts it beside Snakemake and closes its standard input at the end, however that comes: it then ends, too.
No job knows of it, nothing that it reads is changed, and what goes wrong in it stops nobody.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mute.plan.rules import Plans
from mute.publishing.explorer import explore, pages
from mute.publishing.explorer.landed import Landed
from mute.status import standing, text
from mute.status.command import go_on, read_study
from mute.study.cells import Study

EVERY = 30.0  # seconds between two looks; at least
# Of one core as much may go into it: a large study is looked at less often.
SHARE = 0.05
# Folders whose change means that something has landed.
_LANDING = ("cells", "layers", "gates", "shards/*", "tables")


def page(results: Path) -> Path:
    return results / pages.FOLDER / pages.PAGE


class Watch:
    """Writes the explorer of a study while it runs, whenever something has landed."""

    def __init__(self, study: Study) -> None:
        self.study, self.results = study, Path(study.config.study.results)
        self.reader = Landed(self.results, study.trained)
        self.facts = Plans(study).figures()
        self.writer = pages.Writer(self.results / pages.FOLDER)
        # Of a study that is done there is nothing to show until something changes in it.
        self.last = _changes(self.results) if _is_newest(self.results) else None

    def look(self) -> bool:
        """Write the pages if something has landed since the last time; whether it was so."""
        now = _changes(self.results)
        if now == self.last:
            return False
        found = explore.payload(self.results, self.facts, reader=self.reader)
        self.writer.write([found], _standing(standing.collect(self.study, under_way=True)))
        self.last = now
        return True


def _changes(results: Path) -> list[tuple[str, int]]:
    """When each folder in which things land was last changed: a file there is renamed into its place."""
    folders = [path for pattern in _LANDING for path in sorted(results.glob(pattern))]
    # A cell's folder is made first and filled later.
    cells = sorted((results / "cells").glob("*"))
    return [(path.as_posix(), path.stat().st_mtime_ns) for path in [*folders, *cells] if path.exists()]


def _standing(status: standing.Status) -> dict:
    jobs = [[rule, counts["done"], counts.total()] for rule, counts in status.rules.items()]
    done = sum(one.status != "" for one in status.cells)
    words = f"As of {time.strftime('%Y-%m-%d %H:%M')} the study runs: {done} of {len(status.cells)} cells have landed."
    return {"headline": f"{words} Load this page again for what came since.", "jobs": jobs}


def after_run(configfiles: Sequence[str], arguments: Sequence[str], cores: str) -> None:
    """Write the explorer at the end of a run, if tables or pages are newer than it is."""
    study = read_study(configfiles, arguments)
    results = Path(study.config.study.results)
    status = standing.collect(study, go_on(configfiles, arguments, cores), under_way=False)
    complete = status.rules["make_tables"]["done"] == status.rules["make_tables"].total()
    if complete and _is_newest(results):
        return
    trained, facts = study.trained, Plans(study).figures()
    reader = None if complete else Landed(results, trained)
    found = explore.payload(results, facts, reader=reader)
    told = {"headline": text.headline(status), "jobs": _standing(status)["jobs"]}
    pages.Writer(results / pages.FOLDER).write([found], {} if complete else told)
    if complete:
        (results / pages.FOLDER / pages.DATA / pages.INDEX).touch()


def _is_newest(results: Path) -> bool:
    """Whether the explorer that is there was written after the tables, when the study was complete, and not since."""
    data = results / pages.FOLDER / pages.DATA
    index = data / pages.INDEX
    try:
        then = index.stat().st_mtime_ns
        read = [*(results / "tables").glob("*.csv"), *Path(explore.__file__).parent.rglob("*.*")]
        older = all(path.stat().st_mtime_ns < then for path in read)
        # The index is touched last, and what is written while a study runs comes after it.
        return page(results).is_file() and older and all(path.stat().st_mtime_ns <= then for path in data.glob("*.js"))
    except OSError:
        return False


def main(arguments: Sequence[str]) -> int:
    """`python -m mute.status.explorer FILE... [-- arguments for snakemake]`: until standard input is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run's, which ends this in its own time
    # Behind the jobs, and yet so that the first picture is there in minutes where they take all cores.
    os.nice(5)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    watch = Watch(read_study(arguments[:split], arguments[split + 1 :]))
    while True:
        before = time.process_time()
        try:
            watch.look()
        except (OSError, ValueError, KeyError) as error:
            # A file that is being written now is whole the next time.
            print(f"explorer: {error}", file=sys.stderr, flush=True)
        wait = max(EVERY, (time.process_time() - before) / SHARE)
        if select.select([sys.stdin], [], [], wait)[0]:
            return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
