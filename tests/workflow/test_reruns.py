"""Every row of the rerun contract, performed: a finished study is changed in a copy, and what it runs again is read."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_workflow import call, copy_project, fork, listed, rules

import reruns
from mute.store import artifacts
from reruns import CONFIG, REASONS, ROWS, SHOWN, STUDY, Call, Row

STORES = ("cells", "evaluations/cells", "attacks", "analyses")
FILL = {"unlearn_shard", "evaluate_shard", "attack_shard", "analyse_shard"}
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
        environ["PYTHONPATH"] = os.pathsep.join([str(how.project / "src"), environ["PYTHONPATH"]])
    command = ["snakemake", "--cores", str(how.cores), "--quiet", "host", *files, *arguments, "--", *sorted(TARGETS)]
    done = call(how.project, *command, **environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def sealed(results: Path) -> dict[str, dict[str, int]]:
    """When each entry of the stores was sealed."""
    return {
        store: {path.parent.name: path.stat().st_mtime_ns for path in (results / store).glob("*/record.json")}
        for store in STORES
    }


def of_cells(results: Path, entries: set[str], store: str) -> int:
    """How many cells the entries of attacks or analyses are about; those of bases and oracles are of no cell."""
    tables = (artifacts.read_table(path) for path in results.glob(f"shards/*/{store}.csv"))
    found = set()
    for table in tables:
        own = table[table["digest"].isin(entries) & table["cell"].notna()]
        found |= set(own.loc[own["victim"] == "cell", "cell"] if "victim" in own else own["cell"])
    return len(found)


def perform(row: Row, project: Path) -> Outcome:
    """Make a row's change in a project whose study is finished, and run the study again.

    What shows the tables takes half of the time, and is the same whenever they are made: after a change of something
    below them it is only planned, but for one row. So is the whole of a row that is as another is.
    """
    how = row.do(project) or Call(project)
    results = how.project / how.results
    before = sealed(results)
    below = row.rules - SHOWN
    if row.like or (below and not row.whole):
        said = study(how, "-n")
        planned = listed(said)
        if not row.like:
            said = study(how, "--until", *sorted(below & {"make_tables", "export_model"}))
    else:
        said = study(how)
        planned = listed(said)
    ran = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", said, re.MULTILINE)
    reasons = re.findall(r"^Reason: (.*)", said, re.MULTILINE)
    first = [text for text in reasons if "updated by another job" not in text]
    now = sealed(results)
    new = {store: {entry for entry in now[store] if now[store][entry] != before[store].get(entry)} for store in STORES}
    counts = [len(new["cells"]), len(new["evaluations/cells"]), *(of_cells(results, new[s], s) for s in STORES[2:])]
    cells = {digest for path in results.glob("shards/*/cells.csv") for digest in artifacts.read_table(path)["digest"]}
    return Outcome(
        {*planned} - TARGETS,
        # The longest training has a rule of its own, which differs in priority alone.
        {name.replace("longest", "model") for name in ran} - TARGETS,
        {name for words, name in REASONS.items() if any(words in text for text in first)},
        (*counts, len(cells)),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project in which the study of the rows has run."""
    project = copy_project(tmp_path_factory.mktemp("finished"))
    (project / CONFIG).write_text(STUDY, encoding="utf-8")
    study(Call(project, cores=2))
    return project


@pytest.fixture(scope="module")
def outcomes(finished, tmp_path_factory, request):
    """By the text of each row that is asked for: its outcome, to be waited for. Two are performed at a time."""
    asked = [item.callspec.params["row"] for item in request.session.items if item.name.startswith("test_row[")]

    def outcome(row: Row) -> Outcome:
        return perform(row, fork(finished, tmp_path_factory.mktemp("row") / "project"))

    with ThreadPoolExecutor(2) as pool:
        yield {row.change: pool.submit(outcome, row) for row in asked}
        pool.shutdown(cancel_futures=True)


@pytest.mark.in_turn
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.change)
def test_row(row, outcomes):
    found = outcomes[row.change].result()
    assert found.planned == row.rules
    assert found.why == {row.why} - {""}
    if row.like:
        assert not found.ran
        return
    below = row.rules - SHOWN
    assert found.ran == (below if below and not row.whole else row.rules)
    if found.ran & FILL:
        assert found.computed == row.computed
    else:
        assert found.computed[:4] == (0, 0, 0, 0)
        assert row.computed is None


def test_the_document_is_in_step():
    assert reruns.DOCS.read_text(encoding="utf-8") == reruns.document(), "run python tests/reruns.py"


def test_rows_speak_of_rules_that_there_are():
    """Of all but those for pretrained models and the harness: this study has none."""
    others = {"adapt_model", "fetch_inputs", "run_harness", "collect_harness"}
    assert {*reruns.ORDER} == reruns.ALL == {*rules()} - others
    assert all(row.rules <= reruns.ALL for row in ROWS)
    assert len({row.change for row in ROWS}) == len(ROWS)
    # What is only planned for a row really runs for the one that it is like.
    by_change = {row.change: row for row in ROWS}
    for row in filter(lambda row: row.like, ROWS):
        other = by_change[row.like]
        assert (row.rules, row.why, row.computed) == (other.rules, other.why, other.computed)
        assert not other.like
    # What is only planned after other rows really runs after this one.
    assert any(row.whole and row.rules >= SHOWN for row in ROWS)
