"""Run a study from start to end: `make study` and `mute run` call this.

One run at a time: a lock on .study.lock refuses a second. Snakemake inherits the lock and its jobs do not, so it is
free again as soon as Snakemake is gone, however it went, and what a killed run left locked can be unlocked unasked.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

BIN = Path(sys.executable).parent
LOCK = Path(".study.lock")
REPORT_SOURCES = "workflow/report"
SUMMARY = "summary.rst"  # the last file that a study makes
# Options of Snakemake with which it runs no job.
TELLING = frozenset(
    (
        *("--version", "-v", "--help", "-h", "--lint", "--dry-run", "--dryrun", "--print-compilation", "--report"),
        *("--list", "-l", "--list-rules", "--list-target-rules", "--lt", "--list-changes", "--lc", "--list-untracked"),
        *("--lu", "--list-input-changes", "--li", "--list-params-changes", "--lp", "--summary", "-S", "-D"),
        *("--detailed-summary", "--dag", "--rulegraph", "--filegraph", "--d3dag", "--archive", "--containerize"),
        *("--generate-unit-tests", "--unlock", "--cleanup-metadata", "--cm", "--cleanup-shadow"),
        *("--delete-all-output", "--delete-temp-output"),
    )
)
STATUS = "status.html"  # written at the end of each run
EXPLORER = "explorer"  # pages that are written while a run lasts, and at its end
SNAKEMAKE_STATE = Path(".snakemake")
DOWNLOADED = ("conda", "conda-archive", "singularity")  # environments and images
MB = 2**20
RETRIES = 3  # of a run that meets damage
REFUSED = 75  # EX_TEMPFAIL of sysexits.h: try again later


def say(message: str) -> None:
    """Tell the user, beside what Snakemake tells."""
    print(message, file=sys.stderr, flush=True)


def take(lock: IO[str]) -> None:
    """Take the lock, or raise BlockingIOError. `mute status` holds it for an instant when it looks, and is let by."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.2)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def only_run() -> Generator[IO[str]]:
    """Hold the lock of this folder, or leave with a message if another run holds it."""
    with LOCK.open("a") as lock:
        try:
            take(lock)
        except BlockingIOError:
            say("Another run is under way in this folder: wait for it or stop it, then try again.")
            raise SystemExit(REFUSED) from None
        yield lock


def job_environment() -> dict[str, str]:
    """The environment of Snakemake and its jobs: this virtual environment first on PATH, bytecode kept."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ["PATH"] = os.pathsep.join([str(BIN), environ.get("PATH", os.defpath)])
    return environ


def run_snakemake(arguments: list[str], lock: IO[str], **options) -> int:
    """Run Snakemake to its end; returns its exit status. Ctrl-C and SIGTERM are Snakemake's to handle."""
    # Beside Python, as in a virtual environment; or wherever else it was put.
    own = BIN / "snakemake"
    command = [own if own.exists() else own.name, *arguments]
    child = subprocess.Popen(command, env=job_environment(), pass_fds=[lock.fileno()], **options)
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal sends it to Snakemake as well
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: child.send_signal(number))
    return child.wait()


def setting(configfiles: list[str], arguments: list[str], section: str, key: str) -> Any:
    """What the configuration says there; None for nothing. What is wrong with it is for the study's checks to tell."""
    from mute.status.command import read_values

    found = read_values(configfiles, arguments).values.get(section)
    return found.get(key) if isinstance(found, dict) else None


def find_results(configfiles: list[str], arguments: list[str]) -> Path:
    """The folder of the results: `study: results:` of `--config`, or of the last config file that has it."""
    folder = setting(configfiles, arguments, "study", "results")
    return Path(folder if isinstance(folder, str) else "results")


def names_no_other_study(arguments: list[str]) -> bool:
    """Whether arguments for Snakemake leave config files and folder to us; says which do not."""
    own = itertools.takewhile(lambda word: word != "--", arguments)
    wrong = [w for w in own if w.partition("=")[0] in ("--configfile", "--configfiles", "--directory", "-d")]
    if wrong:
        say(
            f"{wrong[0]} cannot stand in ARGS: name config files by CONFIG='a.yaml b.yaml', in the project's folder "
            "(mute run a.yaml b.yaml, in the study's)."
        )
    return not wrong


def are_readable(configfiles: list[str]) -> bool:
    """Whether the files are there and are YAML; says what is wrong with them: Snakemake names neither file nor line."""
    from mute.config.problems import ConfigError
    from mute.config.sections import read_files

    problems = read_files(*configfiles).problems
    if problems:
        say(str(ConfigError(map(str, problems))))
    return not problems


def have_weights(configfiles: list[str], arguments: list[str]) -> bool:
    """Whether small weights that the study's models wait for were fetched; says which were not, and how they are."""
    from mute.config.sections import ModelSection
    from mute.models.pretrained import awaited
    from mute.status.command import read_values

    models = read_values(configfiles, arguments).values.get("models")
    chosen = setting(configfiles, arguments, "study", "models")
    lacking = [
        text
        for name in (chosen if isinstance(chosen, list) and isinstance(models, dict) else ())
        if isinstance(about := models.get(name), dict)
        and (text := awaited(ModelSection.model_construct(pretrained=about.get("pretrained"))))
    ]
    for text in lacking:
        say(text)
    return not lacking


def newest_change(folder: Path, report: Path) -> float:
    """Modification time of the newest file below a folder (0 where there is none), but for report, status, explorer.

    Folders with a summary of their own (results/smoke in results) hold another study and do not count.
    """
    newest = 0.0
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != EXPLORER and not Path(parent, name, SUMMARY).exists()]
        files = (Path(parent, name) for name in names if name != STATUS)
        newest = max([newest, *(file.lstat().st_mtime for file in files if file != report)])
    return newest


def make_report(results: Path, arguments: list[str], lock: IO[str]) -> int:
    """Make Snakemake's offline report, unless there is one newer than all it could show."""
    from mute.store import project

    report = results / "report.html"
    sources = Path(project.path(REPORT_SOURCES))
    if report.exists() and report.stat().st_mtime >= max(newest_change(f, report) for f in (results, sources)):
        return 0
    partial = results / "report.partial.html"
    log = results / "report.log"
    results.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stream:
        options = {"stdout": stream, "stderr": subprocess.STDOUT}
        # First: `arguments` may end with `--` and targets.
        status = run_snakemake(["--report", str(partial), *arguments], lock, **options)
    if status == 0:
        log.unlink()
        partial.replace(report)
        report.touch()
    else:
        partial.unlink(missing_ok=True)
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = "the disk is full" if shutil.disk_usage(results).free < MB else said[-1] if said else "no reason given"
        say(f"The run ended well, but its report, which needs every result, could not be made: {reason} (see {log})")
    return status


def is_writable(results: Path) -> bool:
    """Whether the study can write where it must; says where it cannot: a run would fail job by job."""
    for folder in (Path(), results):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as probe:
                probe.write(b"0")
                probe.flush()
        except OSError as error:
            say(f"Nothing can be written in {folder.absolute()}: {error.strerror}. Nothing was started.")
            return False
    return True


def living_snakemake() -> int | None:
    """The process of a Snakemake that runs in this folder without this front door; None where there is none.

    The jobs of a run that was killed are such processes too, but started to do one job.
    """
    import psutil

    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        words = process.info["cmdline"] or []
        runs = any(Path(word).name == "snakemake" for word in words[:3]) and "--mode" not in words
        # One that makes the report is the end of a run.
        told = runs_no_job([word for word in words if word != "--report"])
        if runs and not told and process.info["cwd"] == str(Path.cwd()):
            return process.info["pid"]
    return None


def mend(results: Path, configfiles: list[str], options: list[str], cores: str, lock: IO[str]) -> None:
    """Put aside what is not what was written, and make it again on its own.

    On its own: with all else, Snakemake would run whatever comes after it, though it turns out to be the same.
    """
    from mute.plan import origin
    from mute.store import artifacts, seals

    if isinstance(most := setting(configfiles, options, "engine", "checksum_gb"), int | float):
        artifacts.checked_in_full = int(most * 10**9)
    faults = seals.sweep(results)
    for path in origin.half_told():
        if path.is_relative_to(results):
            faults.append(seals.Fault(path, "cannot be told how it was made: Snakemake's record of it was cut off"))
            seals.put_aside(results, faults[-1])
    for fault in faults:
        say(f"damaged: {fault}. It is put aside in {results / seals.DAMAGED} and made again.")
    targets = [str(path) for fault in faults for path in fault.removed]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    configured = ["--configfile", *configfiles, *options]
    # What no rule of this configuration makes stays away.
    if targets and run_snakemake(["--dry-run", *targets, *configured], lock, **quiet) == 0:
        run_snakemake(["--cores", cores, *targets, *configured], lock)
        seals.restore_times(faults)


def run_until_whole(results: Path, command: list[str], lock: IO[str]) -> int:
    """Run Snakemake, and again when a job has found damage and put it aside: then it is to be made again."""
    from mute.store import seals

    status = 0
    for _ in range(RETRIES):
        before = seals.last_damage(results)
        status = run_snakemake(command, lock)
        if status == 0 or seals.last_damage(results) == before:
            break
        say("What was damaged is put aside: the study goes on and makes it again.")
    return status


def runs_no_job(arguments: list[str]) -> bool:
    """Whether Snakemake is asked only to tell something or to tidy up: by a dry run, a drawing of its plan, ..."""
    options = {word.partition("=")[0] for word in itertools.takewhile(lambda word: word != "--", arguments)}
    return not options.isdisjoint(TELLING) or any(o.startswith("-n") and o[1:].isalpha() for o in options)


def run(cores: str, configfiles: list[str], arguments: list[str]) -> int:
    """Run the workflow, then make the report and print the summary; returns the exit status."""
    if not are_readable(configfiles) or not names_no_other_study(arguments):
        return 1
    configured = ["--configfile", *configfiles, *arguments]
    results = find_results(configfiles, arguments)
    with only_run() as lock:
        if not runs_no_job(arguments):
            if not have_weights(configfiles, arguments) or not is_writable(results):
                return 1
            if any((SNAKEMAKE_STATE / "locks").glob("*")):
                if (pid := living_snakemake()) is not None:
                    say(f"A Snakemake runs in this folder (process {pid}): wait for it or stop it, then try again.")
                    return REFUSED
                # Nobody runs here, so these locks are left from a run that was killed. If it fails, the run says why.
                run_snakemake(["--unlock", *configured], lock, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # Without targets: what is damaged is the target.
            options = arguments[: arguments.index("--")] if "--" in arguments else arguments
            mend(results, configfiles, options, cores, lock)
        with explored(results, configfiles, arguments):
            status = run_until_whole(results, ["--cores", cores, *configured], lock)
        if status != 0:
            say("The study is not complete. What is done is kept: the same command goes on from there.")
        if runs_no_job(arguments):
            return status
        told = write_status(cores, configfiles, arguments)
        write_explorer(cores, configfiles, arguments)
        if status != 0:
            say(told)
            return status
        report_status = make_report(results, configured, lock)
        summary = subprocess.run([sys.executable, "-m", "mute", "summary", str(results)], env=job_environment())
        return report_status or summary.returncode


def write_status(cores: str, configfiles: list[str], arguments: list[str]) -> str:
    """Write the page that says how the study stands, however its run ended; returns what to say if that was badly."""
    from mute.config.problems import ConfigError
    from mute.status.command import after_run

    try:
        return after_run(configfiles, arguments, cores)
    except ConfigError:
        return ""  # Snakemake has said it
    except Exception as error:
        # Whatever it is, the run has ended as it has.
        return f"The page that says how the study stands could not be written: {type(error).__name__}: {error}"


@contextmanager
def explored(results: Path, configfiles: list[str], arguments: list[str]) -> Generator[None]:
    """Beside a run, a process that shows in the explorer what has landed. The run does not need it, whatever it does.

    It ends when its standard input does: with this process, too, if that is killed.
    """
    child = None
    if not runs_no_job(arguments):
        command = [sys.executable, "-m", "mute.status.explorer", *configfiles, "--", *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            child = subprocess.Popen(command, env=job_environment(), stdin=subprocess.PIPE, **quiet)
            say(f"What has landed can be looked at while it runs: {results / EXPLORER / 'index.html'}")
        except OSError as error:
            say(f"The explorer cannot be shown while this runs: {error.strerror}")
    try:
        yield
    finally:
        if child is not None and child.stdin is not None:
            child.stdin.close()
            try:
                child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def write_explorer(cores: str, configfiles: list[str], arguments: list[str]) -> None:
    """Write the explorer as the run has left the study; says where it stands, or why it could not be written."""
    from mute.config.problems import ConfigError
    from mute.status import explorer

    try:
        explorer.after_run(configfiles, arguments, cores)
    except ConfigError:
        return  # Snakemake has said it
    except Exception as error:
        # Whatever it is, the run has ended as it has.
        say(f"The explorer could not be written: {type(error).__name__}: {error}")


def empty(folder: Path) -> None:
    """Remove all that is in a folder; the folder stays, for it may be a link to a larger disk."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def clean() -> int:
    """Empty results/, Snakemake's records and logs of it and DVC's page of plots; keep what cost a download."""
    with only_run():
        records = [path for path in SNAKEMAKE_STATE.glob("*") if path.name not in DOWNLOADED]
        for folder in (Path("results"), Path("dvc_plots"), *records):
            empty(folder)
    print("Removed what was in results/, and Snakemake's records and logs of it.")
    return 0


def main(arguments: list[str]) -> int:
    """`study.py run --cores N --configfile FILE... [-- arguments for snakemake]` or `study.py clean`."""
    own, for_snakemake = arguments, []
    if "--" in arguments:
        split = arguments.index("--")
        own, for_snakemake = arguments[:split], arguments[split + 1 :]
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("command", choices=["run", "clean"])
    parser.add_argument("--cores", default="all")
    parser.add_argument("--configfile", nargs="+", default=[])
    chosen = parser.parse_args(own)
    if chosen.command == "clean":
        return clean()  # by any Python: nothing of the package is there yet
    from mute.store import project

    return run(chosen.cores, chosen.configfile or project.own_config() or [project.base()], for_snakemake)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
