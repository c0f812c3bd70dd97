"""How long the library and the terminal take to start: `import mute` and `mute --help`, beside bare Python and torch.

Each is started anew, in turns. CPU seconds are what a shared machine can tell; wall seconds are for an idle one.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

CASES = {
    "python alone": ["-c", "pass"],
    "import mute": ["-c", "import mute"],
    "mute --help": ["-m", "mute", "--help"],
    "mute completion bash": ["-m", "mute", "completion", "bash"],
    "import torch": ["-c", "import torch"],
}


def started(words: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of one start."""
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - clock
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="how often each is started [9]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    chosen = parser.parse_args()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(chosen.repeats):
        for name, words in CASES.items():
            taken[name].append(started(words))
    found = {
        name: {what: round(statistics.median(column), 3) for what, column in zip(("cpu", "wall"), zip(*own))}
        for name, own in taken.items()
    }
    for name, own in found.items():
        print(f"{name:<22} {own['cpu']:6.3f} s of CPU, {own['wall']:6.3f} s")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
