"""Every row of the rerun contract, performed: a finished study is changed in a copy, and what it runs again is read."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import reruns
from mute import artifacts
from reruns import CONFIG, REASONS, ROWS, SHOWN, STUDY, Call, Row
from test_workflow import call, copy_project, fork, listed

STORES = ("cells", "evaluations/cells", "probes")
# They only name what is to be made.
TARGETS = {"all", "paper"}


@dataclass(frozen=True)
class Outcome:
    """Rules that a run says it will run, and those that it ran; why the first do; cells computed, and all cells."""

    planned: set[str]
    ran: set[str]
    why: set[str]
    computed: tuple[int, ...]


def study(how: Call, *arguments: str) -> str:
    """Run the study, which must succeed; returns what it says, reasons too."""
    files = how.arguments or ("--configfile", "config/micro.yaml", CONFIG)
    environ = dict(how.environ)
    if "PYTHONPATH" in environ:
        environ["PYTHONPATH"] = f"{how.project / 'src'}:{environ['PYTHONPATH']}"
    command = ["snakemake", "--cores", str(how.cores), "--quiet", "host", *files, *arguments, "--", *sorted(TARGETS)]
    done = call(how.project, *command, **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def perform(row: Row, project: Path) -> Outcome:
    """Make a row's change in a project whose study is finished, and run the study again."""
    how = row.do(project) or Call(project)
    results = how.project / how.results
    before = records(results)
    planned = {*listed(study(how, "-n"))} - TARGETS
    computing = planned - SHOWN
    until = ["--until", "make_tables", *sorted(computing & {"export_model"})] if computing and not row.whole else []
    said = study(how, *until)
    ran = set(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", said, re.MULTILINE)) - TARGETS
    reasons = re.findall(r"^Reason: (.*)", said, re.MULTILINE)
    first = [text for text in reasons if "updated by another job" not in text]
    why = {name for words, name in REASONS.items() if any(words in text for text in first)}
    now = records(results)
    counts = [sum(now[store][cell] != before[store].get(cell) for cell in now[store]) for store in STORES]
    tables = [artifacts.read_table(path) for path in results.glob("shards/*/cells.csv")]
    return Outcome(
        planned,
        {r.replace("longest", "model") for r in ran},
        why,
        (*counts, len(set().union(*(t["digest"] for t in tables)))),
    )


def records(results: Path) -> dict[str, dict[str, int]]:
    """When each entry of the stores was sealed."""
    return {
        store: {path.parent.name: path.stat().st_mtime_ns for path in (results / store).glob("*/record.json")}
        for store in STORES
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project in which the study of the rows has run."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    (project / CONFIG).write_text(STUDY, encoding="utf-8")
    study(Call(project, cores=2))
    return project


@pytest.fixture(scope="module")
def outcomes(finished, tmp_path_factory, request):
    """The outcome of every row that is asked for, or what went wrong. Two at a time."""
    asked = {
        id(item.callspec.params["row"])
        for item in request.session.items
        if "row" in getattr(item, "callspec", _NONE).params
    }

    def outcome(row: Row) -> Outcome | BaseException:
        try:
            return perform(row, fork(finished, tmp_path_factory.mktemp("row") / "project"))
        except BaseException as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        found = pool.map(outcome, rows := [row for row in ROWS if id(row) in asked])
        return {id(row): each for row, each in zip(rows, found)}
