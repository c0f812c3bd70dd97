"""How long the explorer of a study of 600 cells takes to open, to draw a cell, to answer a filter, to be written.

    python benchmarks/explorer.py --json benchmarks/results/explorer.json

The study is the frozen one, whose cells are repeated under other names until there are 600. Needs Chromium. Seconds in
the browser are by its own clock, from the start of the navigation to the frame after the last drawing, and of its main
thread's CPU. On a busy machine (`load`, beside `cores`) only the CPU says something.
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from playwright.sync_api import Page, sync_playwright

from mute.bands import KEYS
from mute.publishing.explorer import given, pages
from mute.publishing.explorer.payload import Payload

FROZEN = Path("paper/frozen")
CELLS = 600
FRAME = "await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
FILTER = f"""async (words) => {{
  const input = document.querySelector('input[type=search]');
  const start = performance.now();
  input.value = words;
  input.dispatchEvent(new Event('input'));
  {FRAME};
  return (performance.now() - start) / 1000;
}}"""


def many(found: given.Given) -> given.Given:
    """The tables with cells repeated, as edits of further algorithms, until there are CELLS of them."""
    cells = found.tables["cells"]
    more = cells.iloc[: CELLS - len(cells)]
    algorithms = more["algorithm"].unique()
    keys = pd.MultiIndex.from_frame(more[[*KEYS]])

    def grown(table: pd.DataFrame) -> pd.DataFrame:
        if not set(keys.names) <= set(table):
            return table
        own = table[pd.MultiIndex.from_frame(table[keys.names]).isin(keys)]
        return pd.concat([table, own.assign(algorithm=own["algorithm"] + "_again")], ignore_index=True)

    about = dict(found.about)
    about["algorithms"] |= {f"{name}_again": about["algorithms"].get(name, {}) for name in algorithms}
    return given.Given({name: grown(table) for name, table in found.tables.items()}, about)


def thread_seconds(tab: Page) -> Callable[[], float]:
    """A function that says how many CPU seconds the page's main thread has spent on tasks since now."""
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
    session.send("Performance.enable")

    def total() -> float:
        found = session.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in found if metric["name"] == "TaskDuration")

    before = total()
    return lambda: total() - before


def measured(page: Path, repeats: int) -> dict[str, float]:
    rows: dict[str, list[float]] = {"open": [], "cell": [], "filter cells": [], "filter scores": []}
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for _ in range(repeats):
            for name, state in (("open", ""), ("cell", "view=cell")):
                tab = chromium.new_page(viewport={"width": 1300, "height": 900})
                spent = thread_seconds(tab)
                tab.goto(f"{page.as_uri()}#{state}")
                tab.wait_for_selector("main[data-ready]", timeout=120_000)
                rows[name].append(tab.evaluate("performance.now()") / 1000)
                rows.setdefault(f"{name}, CPU", []).append(spent())
                tab.close()
            for name in ("cells", "scores"):
                tab = chromium.new_page(viewport={"width": 1300, "height": 900})
                tab.goto(f"{page.as_uri()}#view=rows&t={name}")
                tab.wait_for_selector("main[data-ready]", timeout=120_000)
                spent = thread_seconds(tab)
                rows[f"filter {name}"] += [tab.evaluate(FILTER, words) for words in ("rmu", "rmu 3", "simnpo llama")]
                rows.setdefault(f"filter {name}, CPU", []).append(spent() / 3)
                tab.close()
        chromium.close()
    return {name: round(statistics.median(seconds), 3) for name, seconds in rows.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    found = many(given.read(FROZEN))
    with tempfile.TemporaryDirectory() as folder:
        writer, seconds = pages.Writer(Path(folder)), []
        for _ in range(2):
            start = time.process_time()
            page = writer.write([Payload(found, "600 cells")])
            seconds.append(round(time.process_time() - start, 2))
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        told = {
            "cells": len(found.tables["cells"]),
            "scores": len(found.tables["scores"]),
            "megabytes": round(sum(path.stat().st_size for path in files) / 1e6, 1),
            "written, CPU seconds": seconds[0],
            "written again, CPU seconds": seconds[1],
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "browser, seconds": measured(page, chosen.repeats),
        }
    text = json.dumps(told, indent=1, allow_nan=False)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
