"""A copy of the project whose micro study is disturbed, and the table of what was done to it and what came of it."""

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
RESULTS = Path("results/micro")
# What a study is for; all of it is the same from run to run.
PUBLISHED = ("tables", "figures", "plots", "metrics.json", "summary.rst", "index.html")
# Micro, with several strengths to choose among, a guard that is attacked, and the rule that it leaves out: an export.
OVERLAY = """
study: {grids: [blocks, ascent, guarded]}
algorithms: {rmu: {strengths: [1.0, 3.0]}}
attacks: {key_words: {method: key_words}}
grids:
  guarded: {algorithms: [ksd], sources: [[en, es]], bands: [full], protocols: [paper], attacks: [key_words]}
exports: {cells: [{algorithm: rmu, band: 1}]}
"""
WHOLE = os.environ.get("CHAOS", "whole") != "part"
SEED = int(os.environ.get("CHAOS_SEED", "1"))
PATIENCE = 600  # seconds for a run on a busy machine


@dataclass
class Row:
    """One kind of fault: how often it was injected, how often detected and recovered from, and the bytes at the end."""

    kind: str
    injected: int = 0
    detected: int = 0
    recovered: int = 0
    equal: bool = True

    def add(self, *, detected: bool, recovered: bool, equal: bool = True) -> None:
        self.injected += 1
        self.detected += detected
        self.recovered += recovered
        self.equal &= equal

    @property
    def good(self) -> bool:
        return self.injected == self.detected == self.recovered > 0 and self.equal


ROWS: list[Row] = []


def row(kind: str) -> Row:
    """The row of a kind of fault, made at its first."""
    found = next((each for each in ROWS if each.kind == kind), None)
    if found is None:
        ROWS.append(found := Row(kind))
    return found


def table() -> str:
    """The rows, as text."""
    width = max(len(each.kind) for each in ROWS)
    lines = [f"{'kind of fault':<{width}}  injected  detected  recovered  bytes equal"]
    for each in ROWS:
        equal = "yes" if each.equal else "NO"
        lines.append(f"{each.kind:<{width}}  {each.injected:>8}  {each.detected:>8}  {each.recovered:>9}  {equal:>11}")
    total = [sum(getattr(each, key) for each in ROWS) for key in ("injected", "detected", "recovered")]
    equal = "yes" if all(each.equal for each in ROWS) else "NO"
    lines.append(f"{'all':<{width}}  {total[0]:>8}  {total[1]:>8}  {total[2]:>9}  {equal:>11}")
    return "\n".join(lines)


class Project:
    """A copy of the project's files in a folder of its own, with its own results and records of Snakemake."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results = folder, folder / RESULTS

    @classmethod
    def fresh(cls, folder: Path) -> "Project":
        """The files that git knows or would take, without results."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        (folder / "chaos.yaml").write_text(OVERLAY, encoding="utf-8")
        return cls(folder)

    def copy(self, folder: Path) -> "Project":
        """The same with results and records, times kept."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def reset(self) -> None:
        """Remove all that runs have left."""
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder / "src"), "PYTHONDONTWRITEBYTECODE": ""}

    def start(self, *arguments: str, command: list[str] | None = None, largest: int | None = None) -> subprocess.Popen:
        """The front door, or another command, in the background; what it says goes into `said`.

        largest: the size in bytes beyond which no file may grow.
        """

        def prepare() -> None:
            # Whatever started the tests may ignore Ctrl-C for its children: here it must arrive.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if largest is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

        command = command or [sys.executable, "workflow/study.py", "run", "--cores", "2", "--configfile"]
        if command[-1] == "--configfile":
            command = [*command, "config/micro.yaml", "chaos.yaml", *(["--", *arguments] if arguments else [])]
        with (self.folder / "said").open("wb") as said:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                preexec_fn=prepare,
                start_new_session=True,
            )

    def run(self, *arguments: str, **options) -> int:
        """The front door to its end; returns its exit status."""
        process = self.start(*arguments, **options)
        try:
            return process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                kill(self.processes())

    def snakemake(self, *arguments: str) -> int:
        """Plain Snakemake, without the front door."""
        config = ["--configfile", "config/micro.yaml", "chaos.yaml"]
        return self.run(command=[*SNAKEMAKE, "--cores", "2", *arguments, *config])

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(encoding="utf-8", errors="replace")

    def check(self) -> int:
        """`python -m mute check`; returns its exit status."""
        return self.run(command=[sys.executable, "-m", "mute", "check", str(RESULTS)])

    def published(self) -> dict[str, bytes]:
        """What the study is for, by path."""
        files = [path for name in PUBLISHED for path in [self.results / name, *(self.results / name).rglob("*")]]
        return {str(path.relative_to(self.results)): path.read_bytes() for path in files if path.is_file()}

    def leftovers(self) -> list[str]:
        """Temporary files that nobody will ever rename."""
        found = [*self.results.rglob("*.part"), *self.results.rglob(".scratch-*")]
        return [str(path.relative_to(self.results)) for path in found]

    def processes(self) -> list[psutil.Process]:
        """Everything that works in this folder, but this process."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and Path(process.cwd()) == self.folder:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def jobs(self, rule: str = "") -> list[psutil.Process]:
        """Processes at work on scripts or notebooks; of one rule, or of any."""
        pattern = re.compile(rf"\.snakemake/scripts/\S*\.{SCRIPTS.get(rule, rule) or '.*'}\.")
        return [p for p in self.processes() if pattern.search(words(p)) and not words(p).startswith("/bin/")]

    def wait_for(self, seen: Callable[[], bool], process: subprocess.Popen) -> bool:
        """Wait until something is seen, or the process ends; whether it was seen."""
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            if seen():
                return True
            time.sleep(0.03)
        return False


SNAKEMAKE = [str(Path(sys.executable).with_name("snakemake"))]
# Rules whose script or notebook has another name.
SCRIPTS = {
    "pretrain_longest": "pretrain_model",
    "explore_layers": "layer_curves",
    "explore_trade_off": "trade_off",
}


def words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill(processes: list[psutil.Process], number: int = signal.SIGKILL) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue


def flip(path: Path, rng: random.Random) -> None:
    """Change one bit somewhere, times kept: a disk that forgets tells nobody."""
    kept, data = path.stat(), bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def truncate(path: Path, rng: random.Random) -> None:
    """Cut off its end, times kept."""
    kept, size = path.stat(), path.stat().st_size
    os.truncate(path, rng.randrange(size))
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def chosen(found: list, rng: random.Random, part: int) -> Iterator:
    """All of them, or so many where only a part of the tests runs."""
    yield from found if WHOLE else rng.sample(found, min(part, len(found)))
