"""`python -m mute`: what one wants to know of a study at a terminal. Every command is one function here."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mute.study.cells import Study

BASE = "config/config.yaml"


def _study(chosen: argparse.Namespace) -> "Study":
    from mute.study.checks import read_study

    return read_study(BASE, *(path for path in chosen.configfile if path != BASE))


def summary(chosen: argparse.Namespace) -> int:
    """Print what a finished study found, and where its time went. Writes nothing."""
    from mute.findings.results import Results
    from mute.jobs.times import terminal as times_table
    from mute.plotting.summary import terminal

    folder = chosen.results / "tables"
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        print(f"no tables in {folder}: run the study first (make study)", file=sys.stderr)
        return 1
    try:
        results = Results.read(tables)
    except (ValueError, OSError) as error:
        print(f"the tables in {folder} cannot be read: {error}. See python -m mute check", file=sys.stderr)
        return 1
    print(terminal(results, chosen.results), end="")
    if spent := times_table(chosen.results):
        print(f"\n{spent}", end="")
    return 0


def explore(chosen: argparse.Namespace) -> int:
    """Write the explorer of a study, pages that open from disk: what there is of its results, finished or not.

    Exit status 1: something is wrong with what was given, which is printed and left out; the rest is shown.
    """
    from mute.publishing.explorer import explore as explorer
    from mute.publishing.explorer import pages

    facts, trained, folder = None, None, chosen.results
    if folder is None:
        from mute.plan.rules import Plans

        study = _study(chosen)
        facts, trained, folder = Plans(study).figures(), study.trained, Path(study.config.study.results)
    folders = [folder, *([chosen.beside] if chosen.beside else [])]
    payloads = [explorer.payload(folder, facts, trained), *map(explorer.payload, folders[1:])]
    page = explorer.write(payloads, chosen.out or folder / pages.FOLDER)
    if wrong := explorer.problems(payloads, folders):
        print(wrong, file=sys.stderr)
    shown = ", ".join(f"{own.name}: {len(own.cells)} cells" for own in payloads)
    print(f"{page} ({shown}): open it in a browser")
    return 1 if wrong else 0


def freeze(chosen: argparse.Namespace) -> int:
    """Put a finished study's tables into paper/frozen/, from which `make frozen` rebuilds figures and paper."""
    from mute.paper import frozen
    from mute.plan.rules import TABLES, Plans

    study = _study(chosen)
    results = Path(study.config.study.results)
    try:
        written = frozen.freeze(results, frozen.FOLDER, TABLES, Plans(study).figures(), study.of_record())
    except FileNotFoundError as error:
        print(f"{error.filename} is missing: run the study first (make study)", file=sys.stderr)
        return 1
    print(f"{len(written)} files in {frozen.FOLDER}, {sum(path.stat().st_size for path in written) / 1e6:.1f} MB")
    return 0


def plan(chosen: argparse.Namespace) -> int:
    """Print what a study will cost, rule by rule: jobs, hours, memory and disk. Runs nothing, needs no network.

    Files of your own are read. Exit status 1: they cannot be used as they are, and what is wrong stands under the plan.
    """
    from mute.jobs import machine
    from mute.plan import data, suits
    from mute.plan.costs import table

    study = _study(chosen)
    cores = machine.cores() if chosen.cores == "all" else max(1, int(chosen.cores))
    print(table.terminal(study, cores=cores), end="", flush=True)
    if unsuited := suits.not_applicable(study):
        print("\nCannot run here, and stand in every table with the status not_applicable:")
        print("\n".join(f"  {line}" for line in unsuited), flush=True)
    if lacking := suits.not_told(study):
        print("\nAsked for, and cannot be told here:")
        print("\n".join(f"  {line}" for line in lacking), flush=True)
    return _told(data.problems(study), _what_is_read(study, data.read_from(study)))


def _what_is_read(study: "Study", folder: str) -> str:
    return f"The files in {folder}" if folder else f"The facts of the corpus {study.config.study.corpus!r}"


def _told(problems: list[str], what: str) -> int:
    """Print what is wrong with the user's files; the exit status."""
    if problems:
        print(f"{what} cannot be used as they are:", file=sys.stderr)
        print("\n".join(f"  - {problem}" for problem in problems), file=sys.stderr)
    return 1 if problems else 0


def check_data(chosen: argparse.Namespace) -> int:
    """Read your own files and print what is wrong with them: file, line, and what to do. Runs nothing, writes nothing.

    Exit status 1: something is wrong.
    """
    from mute.plan import data

    study = _study(chosen)
    folder = data.read_from(study)
    if not folder:
        print(f"the corpus {study.config.study.corpus!r} ({study.corpus.source}) reads no folder of yours")
    if not data.is_checked(study):
        return 0
    what = _what_is_read(study, folder)
    if code := _told(data.problems(study), what):
        return code
    print(f"{what} can be used.")
    print("\n".join(f"  - {note}" for note in data.notes(study)))
    return 0


def status(chosen: argparse.Namespace) -> int:
    """Print how a study stands: what is done, diverged, failed, pending, where the logs are, and the command to go on.

    Exit status: 0 complete, 1 something failed, 2 something is pending, 78 the configuration is wrong.
    """
    from mute.status.command import go_on
    from mute.status.standing import collect
    from mute.status.text import terminal

    found = collect(_study(chosen), go_on(chosen.configfile))
    print(terminal(found), end="")
    return found.code


def exports(chosen: argparse.Namespace) -> int:
    """Print the cells that can be exported; with --cell the target that exports one; with --data what tasks read."""
    from mute.plan.exports import Exports

    known = Exports(_study(chosen))
    if chosen.data:
        from mute.evaluate.harness import data_sets

        read = data_sets(known.chosen.tasks, known.chosen.task_folder)
        print("\n".join(f"{path}: {revision}" for path, revision in read))
    elif chosen.cell is None:
        print("\n".join(known.names()))
    else:
        print(known.target(chosen.cell))
    return 0


def export(chosen: argparse.Namespace) -> int:
    """Write a model with a patch that `mute.save_patch` wrote, or a study's cell, to a folder; with its guard, if any.

    An edit becomes an ordinary model directory; with a guard it is a folder for `mute.open_guarded` and for `serve`.
    """
    from mute import api

    patch = api.load_patch(chosen.patch)
    api.export_model(chosen.base, patch, chosen.folder)
    print(f"{chosen.folder}: {patch.about.get('algorithm')}, status {patch.about.get('status')}")
    return 0


def serve(chosen: argparse.Namespace) -> int:
    """Serve a model directory, or an export with a guard, to chat clients: OpenAI's routes, on this machine alone.

    What is asked is written nowhere. Until interrupted.
    """
    try:
        from mute.publishing.serving import server
    except ModuleNotFoundError as error:
        raise ValueError(f"serving needs {error.name}: pip install 'mute[serve]'") from None
    from mute.unlearn import carried

    server.check_host(chosen.host, chosen.open_to_others)
    guarded = carried.open_guarded(chosen.folder, device=chosen.device)
    name = chosen.folder.resolve().name
    guards = ", ".join(each.name for each in guarded.treatments) or "no guard"

    def ready(address: str) -> None:
        reach = "this machine alone reaches it" if server.is_loopback(chosen.host) else "other machines may reach it"
        print(f"{name} ({guards}) at {address}; {reach}", flush=True)

    bounds = server.Bounds(tokens=chosen.max_tokens, open=chosen.max_open)
    try:
        server.serve(
            server.Server(guarded, name, bounds), chosen.host, chosen.port, others=chosen.open_to_others, ready=ready
        )
    except OSError as error:
        raise ValueError(f"{chosen.host} port {chosen.port} cannot be bound: {error.strerror or error}") from None
    except KeyboardInterrupt:
        pass
    return 0


def verify(chosen: argparse.Namespace) -> int:
    """Read inputs under data/ and published results again, and hold them against the checksums that DVC has of them."""
    from mute.store import artifacts, pointers

    found = pointers.inputs()
    record = {pointer.path.as_posix(): pointer.md5 for pointer in found}
    found += [] if chosen.inputs else pointers.published()
    faults = [fault for pointer in found for fault in pointers.faults(pointer)]
    for pointer in found:
        if not pointer.path.exists():
            print(f"{pointer.path}: not here; to fetch it: dvc pull {pointer.target}")
    if faults:
        print(pointers.listed("files that are not what DVC's checksums say", faults), file=sys.stderr)
        return 1
    if chosen.inputs:
        artifacts.write_json(chosen.inputs, record)
    print(f"{sum(pointer.path.exists() for pointer in found)} of {len(found)} are here, and as DVC's checksums say")
    return 0


def check(chosen: argparse.Namespace) -> int:
    """Hold every file of a study against its seal. Changes nothing, unless --mend puts aside what is damaged."""
    from mute.store import seals

    sealed = list(seals.sealed_files(chosen.results))
    if not sealed:
        studies = sorted(str(path.parent) for path in chosen.results.glob(f"*/{seals.FOLDER}"))
        there = f"; there are some in {', '.join(studies)}" if studies else ""
        print(f"no sealed files in {chosen.results}, which is no study's folder of results{there}", file=sys.stderr)
        return 1
    missing = [path for path in sealed if not path.exists()]
    faults = seals.sweep(chosen.results, mend=chosen.mend)
    for path in missing:
        print(f"{path} is missing", file=sys.stderr)
    for fault in faults:
        print(f"{fault}{' (put aside)' if chosen.mend else ''}", file=sys.stderr)
    wrong = len(missing) + len(faults)
    if wrong:
        done = "the next run makes them" if chosen.mend else "make study, or --mend and the next run, makes them"
        print(f"{wrong} of {len(sealed)} sealed files and folders are not what was written: {done} again")
    else:
        print(f"{len(sealed)} sealed files in {chosen.results}, each what was written")
    return 1 if wrong else 0


def list_(chosen: argparse.Namespace) -> int:
    """Print what a study can be made of, one line each: methods, guards, attacks, measures, analyses, and the rest."""
    from mute.plan import catalogue

    found = catalogue.of_kind(chosen.kind)
    if chosen.json:
        print(json.dumps([asdict(entry) for entry in found], indent=1, ensure_ascii=False, allow_nan=False))
    else:
        print(catalogue.as_text(found), end="")
    return 0


def weights(chosen: argparse.Namespace) -> int:
    """Fetch small pretrained weights into data/weights/, after their licence was shown; or list which there are."""
    from mute.hub import weights as known

    if chosen.name is None:
        print("\n".join(f"{name}: {about.what} ({about.licence})" for name, about in known.KNOWN.items()))
        return 0
    print(known.terms(chosen.name), flush=True)
    folder = known.fetch(chosen.name, chosen.folder)
    print(f"whole, by its sha256; in a configuration: `pretrained: {folder}`")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mute", description="MUTE: a study of multilingual unlearning.")
    commands = parser.add_subparsers(required=True, metavar="command")

    results, files = argparse.ArgumentParser(add_help=False), argparse.ArgumentParser(add_help=False)
    results.add_argument(
        "results", type=Path, nargs="?", default=Path("results"), help="folder of the results [results]"
    )
    files.add_argument("configfile", nargs="*", help="config files over config/config.yaml")
    files.add_argument("--own-code", action="store_true", help="run the methods' files that they name, which you trust")

    def add(run: FunctionType, words: str, *of: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(
            run.__name__.rstrip("_").replace("_", "-"), help=words, description=run.__doc__, parents=of
        )
        added.set_defaults(run=run)
        return added

    add(summary, "print what a finished study found", results)
    added = add(explore, "write pages in which a study's results can be looked through", files)
    added.add_argument(
        "--results", type=Path, metavar="DIR", help="folder of results, or of frozen tables, of any study"
    )
    added.add_argument(
        "--with", dest="beside", type=Path, metavar="DIR", help="another such folder, to stand beside it"
    )
    added.add_argument("--out", type=Path, metavar="DIR", help="where the pages go [explorer in the folder of results]")
    add(freeze, "keep a study's tables for the paper", files)
    planned = add(plan, "print what a study will cost", files)
    planned.add_argument("--cores", default="all", metavar="N", help="how many cores the study may use [all]")
    add(check_data, "read your own files and say what is wrong with them", files)
    add(status, "print how a study stands", files)
    added = add(exports, "list the cells of a study", files)
    added.add_argument("--cell", help="name of one cell")
    added.add_argument("--data", action="store_true", help="data sets of the hub that exports.tasks read")
    added = add(export, "write a model with a patch, and its guard, to a folder")
    added.add_argument("base", type=Path, help="folder of the model that the patch was made from")
    added.add_argument("patch", type=Path, help="folder of the patch")
    added.add_argument("folder", type=Path, help="a new folder")
    added = add(serve, "show a model, or an export with a guard, to chat clients on this machine")
    added.add_argument("folder", type=Path, help="a model directory, or an export with a guard")
    added.add_argument("--host", default="127.0.0.1", help="address to bind [127.0.0.1]")
    added.add_argument("--port", type=int, default=8000, help="port; 0: any that is free [8000]")
    added.add_argument("--open-to-others", action="store_true", help="let --host be one that other machines reach")
    added.add_argument("--max-tokens", type=int, default=512, metavar="N", help="most tokens of an answer [512]")
    added.add_argument("--max-open", type=int, default=64, metavar="N", help="most requests at a time [64]")
    added.add_argument("--device", default="cpu", help="where the model runs; auto: the best there is [cpu]")
    added = add(verify, "hold files against DVC's checksums")
    added.add_argument("--inputs", type=Path, metavar="FILE", help="inputs alone; write their checksums to FILE")
    added = add(check, "hold results against their seals", results)
    added.add_argument("--mend", action="store_true", help="put aside what is damaged, so that it is made again")
    added = add(list_, "list what a study can be made of")
    added.add_argument("kind", nargs="?", default="", help="one kind alone, such as attack")
    added.add_argument("--json", action="store_true", help="as JSON")
    added = add(weights, "fetch small pretrained weights")
    added.add_argument("name", nargs="?", help="which; without: list them")
    added.add_argument("--folder", type=Path, default=Path("data/weights"), help="where to put them [data/weights]")
    chosen = parser.parse_args(arguments)
    if getattr(chosen, "own_code", False):
        os.environ["MUTE_OWN_CODE"] = "1"
    try:
        return chosen.run(chosen)
    except ValueError as error:
        from mute.config.problems import ConfigError

        print(error, file=sys.stderr)
        return os.EX_CONFIG if chosen.run is status and isinstance(error, ConfigError) else 1


if __name__ == "__main__":
    sys.exit(main())
