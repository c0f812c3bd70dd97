"""How a study stands, for a terminal."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from mute.jobs.times import aligned
from mute.status.standing import PAGE, STATES, Status

# Failed jobs and diverged cells that are listed; the page has all.
_LISTED = 20
# Status words in the order in which they are counted; others that a study has follow.
WORDS = ("ok", "not_reached", "diverged", "not_applicable", "no_edit", "destroyed", "nothing_to_forget")
BELOW, WAITING = "below_gate", "pending"


def headline(status: Status) -> str:
    """The whole in one line."""
    counts, config = status.counts, status.study.config.study
    if not any(counts[state] for state in STATES[1:]):
        how = "complete"
    elif status.under_way:
        how = "a run is under way"
    else:
        how = "not complete"
    parts = [f"{counts['done']} of {counts.total()} jobs done"]
    parts += [f"{counts[state]} {state}" for state in STATES[1:] if counts[state]]
    return f"Study {config.name!r} in {config.results}/: {how}. {', '.join(parts)}."


def cell_counts(status: Status) -> tuple[list[str], list[list[str | int]]]:
    """Columns and rows of the cells' status words, counted by model and algorithm."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for one in status.cells:
        counts = found.setdefault((one.cell.model, one.cell.algorithm), Counter())
        counts[one.status or WAITING] += 1
        counts[BELOW] += one.below_gate
    every = sum(found.values(), Counter())
    words = [word for word in (*WORDS, *sorted({*every} - {*WORDS, BELOW, WAITING}), WAITING) if every[word]]
    words += [BELOW] * bool(every[BELOW])
    rows: list[list[str | int]] = [
        [model, algorithm, sum(counts.values()) - counts[BELOW], *(counts[word] for word in words)]
        for (model, algorithm), counts in found.items()
    ]
    return ["model", "algorithm", "cells", *(word.replace("_", " ") for word in words)], rows


def rule_counts(status: Status) -> tuple[list[str], list[list[str | int]]]:
    """Columns and rows of the jobs' states, counted by rule; states that no job is in are left out."""
    shown = [state for state in STATES if state in ("done", "failed", "pending") or status.counts[state]]
    rows: list[list[str | int]] = [
        [rule.replace("_", " "), counts.total(), *(counts[state] for state in shown)]
        for rule, counts in status.rules.items()
    ]
    return ["", "jobs", *shown], rows


def diverged(status: Status) -> list[str]:
    """Diverged cells, each with its step and last loss where they are known."""
    found = [one for one in status.cells if one.status == "diverged"]
    return [f"{one.cell.name}{f': {one.detail}' if one.detail else ''}" for one in found]


def terminal(status: Status) -> str:
    """All of it, short; ends with the command that goes on."""
    lines = [headline(status), "", _table(*rule_counts(status), 1), _table(*cell_counts(status), 2).rstrip("\n")]
    lines += _listed("Diverged, which is a result:", [f"  {line}" for line in diverged(status)])
    lines += failures(status)
    stopped = [f"  {standing.job}" for standing in status.of_state("stopped")]
    lines += _listed("Stopped together with their run, and no failures:", stopped)
    running = [f"  {one.job}{f': {one.log}' if one.log else ''}" for one in status.of_state("running")]
    lines += _listed("Running:", running)
    lines += ["", *(f"Note: {note}." for note in status.notes)] if status.notes else []
    page = Path(status.study.config.study.results) / PAGE
    if page.is_file():
        lines += ["", f"The same, with its logs a click away, as of the last run's end: {page}"]
    return "\n".join([*lines, *go_on(status)]) + "\n"


def failures(status: Status) -> list[str]:
    """Each failed job: its name, its reason in one line, and where its log and its traceback are."""
    blocks = []
    for standing in status.of_state("failed"):
        lines = [f"  {standing.job}: {standing.reason}"]
        lines += [f"    log:       {standing.log}"] if standing.log else []
        lines += [f"    traceback: {standing.traceback}"] if standing.traceback else []
        blocks.append("\n".join(lines))
    return _listed(f"Failed: {len(blocks)} job{'s' * (len(blocks) > 1)}", blocks)


def go_on(status: Status) -> list[str]:
    """The command that goes on, unless there is nothing to do, or a run does it."""
    if status.code == 0:
        return []
    if status.under_way:
        return ["", "A run is under way; when it has ended, this goes on: " + status.command]
    words = "What is done is kept. To go on from there:" if status.counts["done"] else "Nothing is done yet. To begin:"
    return ["", words, f"  {status.command}"]


def after(status: Status) -> str:
    """What the front door says after a run that did not complete: what failed, and where to read on."""
    page = Path(status.study.config.study.results) / PAGE
    return "\n".join([headline(status), *failures(status), "", f"All of it: {page}", *go_on(status)[1:]])


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    left = len(lines) - _LISTED
    return ["", title, *lines[:_LISTED], *([f"  and {left} more"] if left > 0 else [])]


def _table(columns: list[str], rows: list[list[str | int]], names: int) -> str:
    """A table whose first columns are names; zeros are dots, so that what is there stands out."""
    return aligned([columns, *([str(value) if value != 0 else "." for value in row] for row in rows)], names)
