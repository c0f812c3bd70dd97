"""Where a study's time went: what the jobs of each rule spent on imports, loading, computing and writing."""

import json
from pathlib import Path

from mute.jobs.logs import SECONDS
from mute.store.clock import PHASES


def by_rule(results: Path | str) -> dict[str, dict[str, float]]:
    """Per rule: number of jobs, and seconds per phase, summed over them; the most expensive rule first."""
    found: dict[str, dict[str, float]] = {}
    logs = Path(results) / "logs"
    for path in sorted(logs.rglob(f"*{SECONDS}")):
        try:
            spent = json.loads(path.read_text(encoding="utf-8"))
            seconds = {phase: float(spent[phase]) for phase in PHASES}
        except (OSError, ValueError, KeyError, TypeError):
            continue  # nothing but times is lost with it
        rule = path.relative_to(logs).parts[0].removesuffix(SECONDS)
        total = found.setdefault(rule, dict.fromkeys(("jobs", *PHASES), 0.0))
        total["jobs"] += 1
        for phase, value in seconds.items():
            total[phase] += value
    return dict(sorted(found.items(), key=lambda rule: -sum(rule[1][name] for name in PHASES)))


def terminal(results: Path | str) -> str:
    """The table as text; empty where there is nothing to tell."""
    rules = by_rule(results)
    if not rules:
        return ""
    rules["all"] = {name: sum(spent[name] for spent in rules.values()) for name in ("jobs", *PHASES)}
    rows = [["", "jobs", *PHASES, "sum"]]
    for rule, spent in rules.items():
        seconds = [spent[phase] for phase in PHASES]
        rows.append([rule.replace("_", " "), *(f"{value:.0f}" for value in (spent["jobs"], *seconds, sum(seconds)))])
    return "Where the time went, in seconds of jobs that ran beside each other:\n" + aligned(rows)


def aligned(rows: list[list[str]], names: int = 1) -> str:
    """Rows of a table as text: names, in the first columns, to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    places = [str.ljust if i < names else str.rjust for i in range(len(widths))]
    lines = ["  ".join(put(word, width) for put, word, width in zip(places, row, widths)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"
