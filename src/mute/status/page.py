"""How a study stands, as a page of its own: failed jobs first, each with its log one click away."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mute.plotting.page import bullets, document, fragment, heading, link, paragraph, table, text
from mute.status.logs import tail
from mute.status.standing import PAGE, Standing, Status
from mute.status.text import cell_counts, diverged, headline, rule_counts
from mute.store import artifacts

# Of a failed job's log as much stands on the page; of so many jobs.
_LINES, _SHOWN = 30, 100
STYLE = """
.mute pre{font:.8rem/1.4 ui-monospace,"DejaVu Sans Mono",monospace;background:#f5f5f5;padding:.6rem;overflow-x:auto;
margin:.3rem 0}
.mute .failed{border-left:4px solid #8a1220;padding:.1rem 0 .3rem .8rem;margin:1rem 0;overflow-wrap:anywhere}
.mute .failed h3{margin:.2rem 0;font-size:1rem}
.mute .failed a{display:block;margin:.2rem 0}
.mute summary{cursor:pointer;color:#555;font-size:.85em}
.mute pre.command{font-size:.95rem;user-select:all;white-space:pre-wrap}
"""


def write(status: Status) -> Path:
    """Write the page into the folder of results; returns where."""
    path = Path(status.study.config.study.results) / PAGE
    title = f"MUTE: how the study “{status.study.config.study.name}” stands"
    parts = [f"<style>{STYLE}</style>", heading(1, title), *_parts(status, path.parent)]
    artifacts.write_text(path, document(title, fragment(parts)), sync=False)
    return path


def _parts(status: Status, folder: Path) -> list[str]:
    found = [paragraph(headline(status), "question")]
    found.append(
        paragraph(f"As of {time.strftime('%Y-%m-%d %H:%M:%S')}; “mute status” says how it stands now.", "small")
    )
    if status.code == 0:
        pages = {
            "index.html": "what the study found",
            "explorer/index.html": "its explorer",
            "report.html": "its report",
        }
        results = [link(name, words) for name, words in pages.items() if (folder / name).is_file()]
        found.append("<p>" + " · ".join(results) + "</p>" if results else "")
    else:
        found.append(paragraph("What is done is kept. This goes on from there:"))
        found.append(f'<pre class="command">{text(status.command)}</pre>')
    if failed := status.of_state("failed"):
        found.append(heading(2, f"Failed: {len(failed)} job{'s' * (len(failed) > 1)}", "failed"))
        found += [_failed(standing, folder, index < _SHOWN) for index, standing in enumerate(failed)]
    if lines := diverged(status):
        found += [heading(2, "Diverged", "diverged"), paragraph("A result like any other, shown in every table.")]
        found.append(bullets(lines))
    for state, words in (("stopped", "Stopped together with their run"), ("running", "Running when this was written")):
        if standings := status.of_state(state):
            found += [heading(2, words, state), _links(standings, folder)]
    (_, *states), rules = rule_counts(status)
    found += [heading(2, "Jobs", "jobs"), table(["rule", *states], rules)]
    found += [heading(2, "Cells", "cells"), table(*cell_counts(status))]
    if status.notes:
        found += [heading(2, "Notes", "notes"), bullets(status.notes)]
    return found


def _failed(standing: Standing, folder: Path, whole: bool) -> str:
    """One failed job: its reason, links, and the end of its log."""
    links = [("log", standing.log), ("traceback", standing.traceback)]
    shown = " ".join(link(_relative(path, folder), f"{words}: {path}") for words, path in links if path)
    end = "\n".join(tail(Path(standing.log), 16384).splitlines()[-_LINES:]) if whole and standing.log else ""
    details = f"<details><summary>the end of its log</summary><pre>{text(end)}</pre></details>" if end else ""
    return (
        f'<div class="failed">{heading(3, str(standing.job))}{paragraph(standing.reason)}'
        f'<p class="small">{shown}</p>{details}</div>'
    )


def _links(standings: Sequence[Standing], folder: Path) -> str:
    items = (link(_relative(s.log, folder), str(s.job)) if s.log else text(s.job) for s in standings)
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _relative(path: str, folder: Path) -> str:
    """A link from the page's folder, that works wherever the project is moved."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())
