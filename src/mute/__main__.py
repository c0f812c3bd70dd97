"""`mute`, or `python -m mute`: the terminal. Every command is one function here, and its work stands elsewhere."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from mute.study.cells import Study

SHELLS = ("bash", "zsh", "fish", "tcsh")


def _study(chosen: argparse.Namespace) -> "Study":
    from mute.store import project
    from mute.study.checks import read_study

    return read_study(project.base(), *project.over_base(chosen.configfile))


def _running() -> str:
    """The command that runs the study of this folder."""
    from mute.store import project

    return "make study" if project.is_here() else "mute run"


def init(chosen: argparse.Namespace) -> int:
    """Write a new study into a folder: a configuration with all choices beside it, a Snakefile, and a page of help."""
    from mute.study import beginning

    for path in beginning.begin(chosen.folder, chosen.like):
        print(path)
    print(f"\nNext: cd {chosen.folder}; mute plan; mute run")
    return 0


def run(chosen: argparse.Namespace) -> int:
    """Run the study of this folder, then make its report and print what it found. Ctrl-C stops it; the same goes on.

    What follows `--` goes to Snakemake, such as a target, or --workflow-profile. Its extra: mute[workflow].
    """
    from importlib.util import find_spec

    from mute.store import project

    if find_spec("snakemake") is None:
        raise ValueError("to run a study takes Snakemake, which is not here: pip install 'mute[workflow]'")
    if not Path("Snakefile").is_file():
        raise ValueError(f"there is no study in {Path.cwd()}: `mute init my-study` begins one, or go to its folder")
    files = chosen.configfile or project.own_config() or [project.base()]
    told = ["--dry-run"] if chosen.dry_run else []
    command = [sys.executable, project.path("workflow/study.py"), "run", "--cores", chosen.cores]
    sys.stdout.flush()
    # In this process's place: Ctrl-C is for the run alone to handle.
    os.execv(command[0], [*command, "--configfile", *files, "--", *told, *chosen.more])


def forget(chosen: argparse.Namespace) -> int:
    """Make a model forget facts of a file, and measure what is left of them in every language of it.

    Writes a patch, a page that says what is left where, and the measures; prints the same as a short table. The model
    stays as it is. Broken off, the same command goes on from the last step that was finished.
    """
    from mute.api import forgetting

    asked = forgetting.Asked(
        model=chosen.model,
        facts=chosen.facts,
        sources=_listed(chosen.languages),
        domain=chosen.forget,
        band=chosen.band,
        algorithm=chosen.algorithm,
        settings=_settings(chosen.set, chosen.steps),
        out=chosen.out,
        export=chosen.export,
        seed=chosen.seed,
        device=chosen.device,
    )
    print(forgetting.forget(asked, say=lambda line: print(line, file=sys.stderr, flush=True)), end="")
    return 0


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _settings(given: Sequence[str], steps: int | None) -> dict[str, object]:
    """`key=value` as a configuration would have them. Raises ValueError for one that is none."""
    import yaml

    found: dict[str, object] = {} if steps is None else {"steps": steps}
    for each in given:
        key, equals, text = each.partition("=")
        if not equals or not key:
            raise ValueError(f"--set takes key=value, such as --set learning_rate=1e-4, not {each!r}")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ValueError(f"--set {key}: {text!r} is no value as YAML writes them") from None
        found[key] = value
    return found


def completion(chosen: argparse.Namespace) -> int:
    """Print what lets a shell complete commands, options and names: eval "$(mute completion bash)"."""
    import shtab

    from mute import unlearn
    from mute.hub import weights as known
    from mute.plan.kinds import KINDS

    named = {"kind": KINDS, "named": KINDS, "algorithm": unlearn.names(), "name": list(known.KNOWN)}
    files, folders = {"configfile", "facts"}, {"base", "folder", "model", "out", "patch", "results"}
    whole = parser()
    (commands,) = (action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    for action in (action for command in commands.choices.values() for action in command._actions):
        if action.dest in named:
            action.choices = named[action.dest]
        elif action.dest in files | folders:
            vars(action)["complete"] = shtab.FILE if action.dest in files else shtab.DIRECTORY
    print(shtab.complete(whole, chosen.shell))
    return 0


def summary(chosen: argparse.Namespace) -> int:
    """Print what a finished study found, and where its time went. Writes nothing."""
    from mute.findings.results import Results
    from mute.jobs.times import terminal as times_table
    from mute.plotting.summary import terminal

    folder = chosen.results / "tables"
    tables = sorted(folder.glob("*.csv"))
    if not tables:
        print(f"no tables in {folder}: run the study first ({_running()})", file=sys.stderr)
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
        print(f"{error.filename} is missing: run the study first ({_running()})", file=sys.stderr)
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
        done = "the next run makes them" if chosen.mend else f"{_running()}, or --mend and the next run, makes them"
        print(f"{wrong} of {len(sealed)} sealed files and folders are not what was written: {done} again")
    else:
        print(f"{len(sealed)} sealed files in {chosen.results}, each what was written")
    return 1 if wrong else 0


def list_(chosen: argparse.Namespace) -> int:
    """Print what a study can be made of, one line each: methods, guards, attacks, measures, analyses, and the rest."""
    from mute.plan import catalogue

    if chosen.kind and chosen.named and chosen.kind != chosen.named:
        raise ValueError(f"two kinds are asked for, {chosen.kind!r} and {chosen.named!r}: give one, or none for all")
    found = catalogue.of_kind(chosen.kind or chosen.named)
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


def _of_record(chosen: argparse.Namespace) -> tuple[dict, Path]:
    study = _study(chosen)
    return study.of_record(), Path(study.config.study.results)


def _board(parser: argparse.ArgumentParser, files: argparse.ArgumentParser) -> None:
    from mute.publishing.board import command

    command.arguments(parser, files)
    parser.set_defaults(run=command.board, study=_of_record)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    whole = argparse.ArgumentParser(prog="mute", description="MUTE: multilingual unlearning of language models.")
    commands = whole.add_subparsers(required=True, metavar="command")

    results, files = argparse.ArgumentParser(add_help=False), argparse.ArgumentParser(add_help=False)
    results.add_argument(
        "results", type=Path, nargs="?", default=Path("results"), help="folder of the results [results]"
    )
    files.add_argument("configfile", nargs="*", help="config files over the base [the folder's config.yaml]")
    files.add_argument("--own-code", action="store_true", help="run the methods' files that they name, which you trust")

    def add(run: FunctionType, words: str, *of: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(
            run.__name__.rstrip("_").replace("_", "-"), help=words, description=run.__doc__, parents=of
        )
        added.set_defaults(run=run)
        return added

    _of_studies(add, results, files)
    _of_models(add)
    _of_the_rest(add)
    _board(commands.add_parser("board", help="methods and guards beside each other: show, make, check, add"), files)
    return whole


# Adds a command: the function that is run, what it does in few words, and what else it takes.
Add: TypeAlias = Callable[..., argparse.ArgumentParser]


def _of_studies(add: Add, results: argparse.ArgumentParser, files: argparse.ArgumentParser) -> None:
    added = add(init, "begin a study of your own in a new folder")
    added.add_argument("folder", type=Path, help="a new folder; its name is the study's")
    added.add_argument("--like", default="", metavar="NAME", help="begin with a configuration of ours, such as smoke")
    planned = add(plan, "print what a study will cost", files)
    planned.add_argument("--cores", default="all", metavar="N", help="how many cores the study may use [all]")
    added = add(run, "run the study of this folder", files)
    added.add_argument("--cores", default="all", metavar="N", help="how many cores it may use [all]")
    added.add_argument("--dry-run", "-n", action="store_true", help="show the jobs, and run none")
    add(status, "print how a study stands", files)
    add(summary, "print what a finished study found", results)
    added = add(explore, "write pages in which a study's results can be looked through", files)
    added.add_argument(
        "--results", type=Path, metavar="DIR", help="folder of results, or of frozen tables, of any study"
    )
    added.add_argument(
        "--with", dest="beside", type=Path, metavar="DIR", help="another such folder, to stand beside it"
    )
    added.add_argument("--out", type=Path, metavar="DIR", help="where the pages go [explorer in the folder of results]")
    added = add(check, "hold results against their seals", results)
    added.add_argument("--mend", action="store_true", help="put aside what is damaged, so that it is made again")
    add(check_data, "read your own files and say what is wrong with them", files)
    added = add(exports, "list the cells of a study", files)
    added.add_argument("--cell", help="name of one cell")
    added.add_argument("--data", action="store_true", help="data sets of the hub that exports.tasks read")
    add(freeze, "keep a study's tables for the paper", files)
    added = add(verify, "hold files against DVC's checksums")
    added.add_argument("--inputs", type=Path, metavar="FILE", help="inputs alone; write their checksums to FILE")


def _of_models(add: Add) -> None:
    added = add(forget, "make a model forget facts of a file, and say what is left in which language")
    added.add_argument("model", help="a folder, a GGUF file, or an id of the Hugging Face hub")
    added.add_argument("facts", type=Path, help="a CSV, TSV, JSONL or Parquet file of parallel facts")
    added.add_argument("--languages", required=True, metavar="en,es", help="what unlearning reads; all are measured")
    added.add_argument("--forget", default="", metavar="DOMAIN", help="which domain of the file is to be forgotten")
    added.add_argument("--band", default="auto", help="blocks that may change: auto, 3, 3-5, all or full [auto]")
    added.add_argument("--algorithm", default="rmu", metavar="NAME", help="`mute list method` has them [rmu]")
    added.add_argument("--steps", type=int, metavar="N", help="most steps of training [the algorithm's]")
    added.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the algorithm")
    added.add_argument("--seed", type=int, default=0, help="of every draw [0]")
    added.add_argument("--device", default="auto", help="where the model runs; auto: the best there is [auto]")
    added.add_argument("--out", type=Path, default=Path("forgotten"), help="a new folder [forgotten]")
    added.add_argument("--export", action="store_true", help="write the whole changed model, too: OUT/model")
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


def _of_the_rest(add: Add) -> None:
    added = add(list_, "list what a study can be made of")
    added.add_argument("kind", nargs="?", default="", help="one kind alone, such as attack")
    added.add_argument("--kind", dest="named", default="", metavar="KIND", help="the same")
    added.add_argument("--json", action="store_true", help="as JSON")
    added = add(weights, "fetch small pretrained weights")
    added.add_argument("name", nargs="?", help="which; without: list them")
    added.add_argument("--folder", type=Path, default=Path("data/weights"), help="where to put them [data/weights]")
    added = add(completion, "print what makes a shell complete what you type")
    added.add_argument("shell", choices=SHELLS, help='as in: eval "$(mute completion bash)"')


def main(arguments: Sequence[str] | None = None) -> int:
    words, more = list(sys.argv[1:] if arguments is None else arguments), []
    if words[:1] == ["run"] and "--" in words:
        split = words.index("--")
        words, more = words[:split], words[split + 1 :]
    chosen = parser().parse_args(words)
    chosen.more = more
    if getattr(chosen, "own_code", False):
        os.environ["MUTE_OWN_CODE"] = "1"
    try:
        return chosen.run(chosen)
    except ValueError as error:
        from mute.config.problems import ConfigError

        print(error, file=sys.stderr)
        return os.EX_CONFIG if chosen.run is status and isinstance(error, ConfigError) else 1
    except KeyboardInterrupt:
        print("Stopped. What is finished is kept.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
