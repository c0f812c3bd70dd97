"""How long the library and the terminal take to start: `import mute` and `mute --help`, beside bare Python.

    python benchmarks/starting.py [results/starting.json]

The reference is Python that imports nothing, and, for what a heavy start would be, one that imports torch. Each is
started anew `REPEATS` times, in turns, and the least and the median are written.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPEATS = 15
CASES = {
    "python alone": ["-c", "pass"],
    "import mute": ["-c", "import mute"],
    "mute --help": ["-m", "mute", "--help"],
    "mute completion bash": ["-m", "mute", "completion", "bash"],
    "import torch": ["-c", "import torch"],
}


def seconds(words: list[str]) -> float:
    """Wall time of one start."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - started


def main(to: str | None = None) -> None:
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(REPEATS):
        for name, words in CASES.items():
            taken[name].append(seconds(words))
    found = {
        name: {"least": round(min(own), 3), "median": round(statistics.median(own), 3)} for name, own in taken.items()
    }
    print(json.dumps(found, indent=1))
    if to:
        Path(to).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
