"""`python -m mute board`: its commands, one function each."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mute.publishing.board.checks import Checked
    from mute.publishing.board.text import Filters
    from mute.store.records import Record

# Of a board at a terminal as many rows are shown; --all shows all.
_ROWS = 60


def board(chosen: argparse.Namespace) -> int:
    """The board of methods and guards: what is left in the worst language, at what cost, what brings it back."""
    return chosen.of_board(chosen)


def show(chosen: argparse.Namespace) -> int:
    """Print the board of what is frozen and was sent; filters may be combined."""
    from mute.publishing.board import shelf, text

    places = shelf.board(shelf.read(), floor=chosen.floor)
    print(text.terminal(places, _filters(chosen), 0 if chosen.all else _ROWS), end="")
    return 0


def make(chosen: argparse.Namespace) -> int:
    """Make the board of a finished study of yours, beside what is frozen and was sent: board.csv and board.html."""
    from mute.publishing.board import page, shelf, text
    from mute.store import artifacts

    config, folder = _study(chosen)
    own, _ = shelf.own(config, folder / "tables")
    checked = shelf.read()
    places = shelf.board(checked, own, config, chosen.floor)
    target = folder / "board"
    artifacts.write_table(target / "board.csv", shelf.table(places))
    for name, table in shelf.beside(places).items():
        artifacts.write_table(target / f"{name}.csv", table)
    artifacts.write_text(target / "board.html", page.page_text(places, chosen.floor, [each.form for each in checked]))
    mine = [place for place in places if place.shelf == "here"]
    print(text.terminal(mine, _filters(chosen), 0 if chosen.all else _ROWS), end="")
    print(f"{len(mine)} rows of yours among {len(places)}; {target / 'board.html'} opens from the disk")
    return 0


def freeze(chosen: argparse.Namespace) -> int:
    """Keep a finished study of the project's in board/frozen/; --tables: one whose tables are frozen already."""
    from mute.publishing.board import shelf

    if chosen.tables:
        config, folder, versions, origin = _frozen(chosen.tables)
    else:
        config, results = _study(chosen)
        folder, origin = results / "tables", "computed by this project"
        versions = _versions(results)
    name = chosen.name or str(config["study"]["name"])
    words = shelf.Words(name, chosen.description or f"The study {name}.", "Apache-2.0", origin=origin)
    return _wrote(shelf.freeze(words, config, folder, versions))


def export(chosen: argparse.Namespace) -> int:
    """Write a finished study of yours as a submission, which others can check and add."""
    from mute.publishing.board import shelf

    config, results = _study(chosen)
    name = chosen.name or str(config["study"]["name"])
    words = shelf.Words(name, chosen.description, chosen.licence, chosen.sender, chosen.contact, chosen.code)
    return _wrote(
        shelf.write(
            chosen.to / name, words, config, results / "tables", _versions(results), whole=not chosen.rows_alone
        )
    )


def add(chosen: argparse.Namespace) -> int:
    """Check a submission, and put it into board/submissions/. Nothing of it is run, and nothing is fetched."""
    from mute.publishing.board import shelf

    return _wrote(shelf.add(chosen.folder))


def check(chosen: argparse.Namespace) -> int:
    """Check a submission, and say all that is wrong with it. Writes nothing, runs nothing of it, fetches nothing."""
    from mute.publishing.board import checks

    found = checks.check(chosen.folder)
    print(f"{found.form.name} can be used: {len(found.entries)} rows, {found.origin}")
    return 0


def schema(chosen: argparse.Namespace) -> int:
    """Print the JSON schema of `submission.json`."""
    from mute.publishing.board.form import schema_text

    print(schema_text(), end="")
    return 0


def arguments(parser: argparse.ArgumentParser, files: argparse.ArgumentParser) -> None:
    """What follows `board`. files: the parser of a study's configuration."""
    commands = parser.add_subparsers(required=True, metavar="what")

    def command(run, words: str, *of: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(run.__name__, help=words, description=run.__doc__, parents=of)
        added.set_defaults(of_board=run)
        return added

    filters, words = argparse.ArgumentParser(add_help=False), argparse.ArgumentParser(add_help=False)
    for name in ("family", "architecture", "script", "objective"):
        filters.add_argument(f"--{name}", default="", help=f"only rows of this {name}")
    filters.add_argument("--floor", type=_share, default=0.8, help="capability that a rank asks for [0.8]")
    filters.add_argument("--all", action="store_true", help="all rows")
    words.add_argument("--name", default="", help="name of the submission [that of the study]")
    command(show, "print the board", filters)
    command(make, "make the board of a study of yours, as table and page", filters, files)
    added = command(freeze, "keep a study on the board", words, files)
    added.add_argument("--description", default="", help="what was run")
    added.add_argument("--tables", type=Path, metavar="FOLDER", help="frozen tables, such as paper/frozen")
    added = command(export, "write a study of yours as a submission", words, files)
    added.add_argument("--to", type=Path, default=Path("results/submissions"), help="where [results/submissions]")
    added.add_argument("--description", required=True, help="what was run, and what is new in it")
    added.add_argument("--licence", required=True, help="licence of the numbers, such as CC-BY-4.0")
    for name in ("sender", "contact", "code"):
        added.add_argument(f"--{name}", default="", help="as text; shown on the board")
    added.add_argument(
        "--rows-alone", action="store_true", help="leave out the tables, from which rows are computed again"
    )
    command(add, "check a submission and put it on the board").add_argument("folder", type=Path)
    command(check, "check a submission").add_argument("folder", type=Path)
    command(schema, "print the JSON schema of a submission")


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, not {text}")
    return value


def _filters(chosen: argparse.Namespace) -> "Filters":
    from mute.publishing.board.text import Filters

    return Filters(chosen.family, chosen.architecture, chosen.script, chosen.objective)


def _study(chosen: argparse.Namespace) -> "tuple[Record, Path]":
    """The configuration of record of a study, and its folder of results."""
    # The room of studies lies above this one; whoever calls has it.
    return chosen.study(chosen)


def _frozen(folder: Path) -> "tuple[Record, Path, dict[str, str], str]":
    from mute.store import artifacts

    provenance = artifacts.read_mapping(folder / "provenance.json")
    versions = dict(pair.split(" ", 1) for pair in str(provenance.get("versions", "")).split(", ") if " " in pair)
    origin = f"{folder.as_posix()}, {provenance.get('core minutes', '?')} core minutes; {provenance.get('tables', '')}"
    return provenance["config"], folder, versions, origin[:300]


def _versions(results: Path) -> dict[str, str]:
    from mute.store import artifacts

    found: dict[str, str] = {}
    for path in sorted(results.glob("models/*/record.json")):
        found |= artifacts.read_json(path).get("versions", {})
    return dict(sorted(found.items()))


def _wrote(checked: "Checked") -> int:
    from mute.publishing.board import shelf

    size = shelf.size(checked.folder) / 1e6
    print(f"{checked.folder}: {len(checked.entries)} rows, {checked.origin}, {size:.1f} MB")
    return 0
