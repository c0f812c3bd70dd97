"""W&B: every run as offline files, which `wandb sync` sends; nothing here needs a key or a network.

`online` writes the same files and then calls `wandb sync`: what cannot be sent is kept, and nothing waits for ever.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mute.jobs.logs import Log
from mute.publishing.runs import Run
from mute.store.records import Facts

ARTIFACTS = "artifacts"
CURVE = "curve/"  # before the names of a curve's values, which a summary may have too
# Of the user's variables none decides what is written; these keep W&B to the one folder, and to itself.
_OWN = {
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true",
    "WANDB_SILENT": "true",
}
_FOLDERS = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")
# Nothing of code, git, packages, machine, user or terminal.
_SETTINGS: Facts = {
    "mode": "offline",
    "console": "off",
    **dict.fromkeys(("host", "username", "email", "program"), ""),
    **dict.fromkeys(("symlink", "save_code", "x_save_requirements"), False),
    **dict.fromkeys(("silent", "disable_code", "disable_git", "disable_job_creation"), True),
    **dict.fromkeys(("x_disable_meta", "x_disable_stats", "x_disable_machine_info", "x_disable_viewer"), True),
}
PROGRAM = "mute"
# Seconds that sending may take without a run getting through.
PATIENCE = 300.0


def folders(folder: Path) -> list[Path]:
    """The folders of all runs."""
    return sorted(folder.glob("offline-run-*"))


@contextmanager
def writer(folder: Path, options: Facts) -> Generator[Callable[[Run], list[Path]]]:
    """What writes a run as W&B's offline file, and copies of what its artifacts hold.

    The folder's own name must be `wandb`: W&B adds it.
    """
    if folder.name != "wandb":
        raise ValueError(f"runs of W&B lie in a folder named wandb, not in {folder}")
    before = dict(os.environ)
    for name in before:
        if name.startswith("WANDB"):
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="mute-wandb-") as scratch:
        os.environ |= {**_OWN, **dict.fromkeys(_FOLDERS, scratch)}
        import wandb

        try:
            yield partial(_write, folder, options)
        finally:
            wandb.teardown()
            # Its logs say where things are on this machine.
            for leftover in [*folder.glob("offline-run-*/logs"), *folder.glob("offline-run-*/tmp")]:
                shutil.rmtree(leftover)
            os.environ.clear()
            os.environ |= before


def _write(folder: Path, options: Facts, run: Run) -> list[Path]:
    import wandb

    about = {name: value for name, value in run.text().items() if name not in ("history", "summary")}
    mine = wandb.init(
        **about,
        project=options["project"],
        entity=options["entity"],
        dir=str(folder.parent),
        reinit="create_new",
        settings=wandb.Settings(**_SETTINGS),
    )
    # As the folder was given, below the project: so no path of this machine goes into the file.
    own = folder / Path(mine.settings.sync_dir).name
    for row in run.history:
        values = {f"{CURVE}{name}": value for name, value in row.items() if name != "step"}
        mine.log(values, step=row["step"])
    mine.summary.update(run.summary)
    copies = run.copied(own / ARTIFACTS)
    for kind in run.files:
        artifact = wandb.Artifact(f"{run.name}-{kind}", type=kind)
        for path in copies:
            if path.parent.name == kind:
                artifact.add_file(str(path), name=path.name, policy="immutable", skip_cache=True)
        mine.log_artifact(artifact)
    mine.finish()
    return [own / f"run-{run.id}.wandb", *copies]


def unsent(folder: Path) -> list[Path]:
    """Files of runs that `wandb sync` has not marked as sent."""
    files = sorted(folder.glob("offline-run-*/*.wandb"))
    return [path for path in files if not path.with_name(f"{path.name}.synced").exists()]


def send(folder: Path, log: Log) -> None:
    """Call `wandb sync` on what was not sent yet. A failure is told and fails nothing: the files are there."""
    waiting = len(unsent(folder))
    if not waiting:
        return
    with tempfile.TemporaryDirectory(prefix="mute-wandb-") as scratch:
        lines = _sync(folder, waiting, Path(scratch), log)
    log.note("\n".join(lines))
    left = len(unsent(folder))
    if left:
        errors = [line.strip() for line in lines if line.startswith("Error") or "authenticat" in line]
        reason = errors[-1] if errors else f"W&B took none for {PATIENCE:.0f} s, or said no: see the job's log"
        log.say(
            f"wandb: {left} of {waiting} runs could not be sent ({reason}). Nothing is lost, they are in {folder}: "
            f"log in with `wandb login`, then send them with `WANDB_PROGRAM={PROGRAM} wandb sync {folder}`"
        )
    else:
        log.say(f"wandb: {waiting} runs sent")


def _sync(folder: Path, waiting: int, scratch: Path, log: Log) -> list[str]:
    """What `wandb sync` says. It goes by the user's own key and settings, and is stopped when nothing moves."""
    command = [sys.executable, "-m", "wandb", "sync", str(folder)]
    # Else its log would lie in the project, and its own place on this machine be sent as the runs' program.
    own = {"WANDB_ERROR_REPORTING": "false", "WANDB_DIR": str(scratch), "WANDB_PROGRAM": PROGRAM}
    environ = {**os.environ, **own}
    with (scratch / "said").open("w+", encoding="utf-8") as said:
        child = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        left, moved = waiting, time.monotonic()
        while child.poll() is None and time.monotonic() - moved < PATIENCE:
            time.sleep(0.2)
            now = len(unsent(folder))
            if now < left:
                left, moved = now, time.monotonic()
                log.progress(waiting - left, waiting, "wandb: sent run")
        if child.poll() is None:
            child.terminate()
            child.wait()
        said.seek(0)
        return said.read().splitlines()
