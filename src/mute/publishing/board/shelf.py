"""The shelves of the board: submissions that are written, added and read, and the board that they make together."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mute.attacks import load as load_attack
from mute.attacks import names as attack_names
from mute.findings.board import rank, rows
from mute.findings.board.entries import Entry
from mute.names import check_name
from mute.publishing.board import setup, tables
from mute.publishing.board.checks import Checked, SubmissionError, check, computed
from mute.publishing.board.form import FORM, FORMAT, ROWS, SHIPPED, Submission
from mute.store import artifacts
from mute.store.records import Record, placeless

FOLDER = Path("board")
# What the project itself has run, and what others have sent.
FROZEN, SUBMISSIONS = FOLDER / "frozen", FOLDER / "submissions"
# Of everything that is frozen, so that a clone stays small.
MOST_FROZEN = 20_000_000


class Place(NamedTuple):
    """An entry on the board: where it comes from, whether it was computed again, its rank, and what it took."""

    shelf: str
    origin: str
    entry: Entry
    rank: rank.Rank
    budget: Mapping[str, float]


class Words(NamedTuple):
    """What a sender says of a study in words."""

    name: str
    description: str
    licence: str
    sender: str = ""
    contact: str = ""
    code: str = ""
    origin: str = ""


def own(config: Record, folder: Path) -> tuple[list[Entry], dict[str, pd.DataFrame]]:
    """The entries of a study of one's own, and the tables that they are of.

    Raises SubmissionError with all that is wrong with its tables.
    """
    found, problems = tables.of_study(folder)
    if problems:
        raise SubmissionError(folder, problems)
    small = tables.kept(found)
    return computed(config, setup.methods(config), setup.scripts(setup.languages(config)), small), small


def write(
    target: Path, words: Words, config: Record, folder: Path, versions: Mapping[str, str], *, whole: bool = True
) -> Checked:
    """Write the study whose tables are in `folder` as a submission, and hold it against the form.

    whole: whether its tables are sent, from which anybody can compute the rows again.
    Raises SubmissionError; nothing is left then.
    """
    check_name(words.name, "name of a submission")
    config = placeless(config)
    made, small = own(config, folder)
    if target.exists():
        raise SubmissionError(target, ["it is there already: nothing is written over"])
    methods = setup.methods(config)
    hidden = target.with_name(f".{target.name}.part")
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    try:
        for name, table in rows.tables(made, setup.budgets(config))._asdict().items():
            artifacts.write_table(hidden / f"{name}.csv", table)
        if whole:
            for name, table in small.items():
                artifacts.write_table(hidden / f"{name}.parquet", table)
        files = {
            name: {"sha256": artifacts.sha256(hidden / name), "bytes": (hidden / name).stat().st_size}
            for name in (*ROWS, *(SHIPPED if whole else ()))
        }
        kinds = {str(own.get("method", name)) for name, own in config.get("attacks", {}).items()}
        form = Submission.model_validate(
            {
                "format": FORMAT,
                **words._asdict(),
                "config": config,
                "config_digest": artifacts.digest(config),
                "versions": dict(versions),
                "methods": methods,
                "files": files,
                "attacks": {kind: load_attack(kind).paper for kind in sorted(kinds) if kind not in attack_names()},
                "languages": setup.scripts(setup.languages(config)),
            }
        )
        artifacts.write_json(hidden / FORM, form.model_dump())
        checked = check(hidden)
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return Checked(checked.form, checked.entries, checked.found, checked.recomputed, target)


def add(given: Path, shelf: Path = SUBMISSIONS) -> Checked:
    """Put a submission on a shelf, if nothing is wrong with it and it is not there yet.

    Raises SubmissionError with all that is wrong.
    """
    checked = check(given)
    target = shelf / checked.form.name
    problems = [f"{FORM}, name: {target} is there already"] if target.exists() else []
    rows_digest = checked.form.files["rows.csv"].sha256
    for other in folders((FROZEN, shelf)):
        # Those that cannot be read are told of when the board is shown.
        form = other / FORM
        if artifacts.sha256(other / "rows.csv") == rows_digest and form.is_file():
            problems.append(f"rows.csv: the same rows are in {other} already")
    if problems:
        raise SubmissionError(given, problems)
    hidden = shelf / f".{checked.form.name}.part"
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    try:
        for name in (FORM, *checked.form.files):
            shutil.copyfile(given / name, hidden / name, follow_symlinks=False)
        # What was copied is what was checked, whatever happened to it in between.
        check(hidden)
        hidden.rename(target)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return Checked(checked.form, checked.entries, checked.found, checked.recomputed, target)


def freeze(words: Words, config: Record, folder: Path, versions: Mapping[str, str], shelf: Path = FROZEN) -> Checked:
    """Keep a study of the project's on the board, in the place of what it had under this name.

    Raises SubmissionError, and leaves what was there, if anything is wrong or all together becomes too large.
    """
    target = shelf / check_name(words.name, "name of a study")
    beside = shelf / f".{words.name}.new"
    shutil.rmtree(beside, ignore_errors=True)
    checked = write(beside, words, config, folder, versions)
    try:
        others = sum(size(path) for path in folders((shelf,)) if path != target)
        if (whole := others + size(beside)) > MOST_FROZEN:
            most = f"at most {MOST_FROZEN / 1e6:.0f} MB are kept in git"
            raise SubmissionError(target, [f"with it the board would have {whole / 1e6:.1f} MB: {most}"])
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Checked(checked.form, checked.entries, checked.found, checked.recomputed, target)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def folders(shelves: Iterable[Path]) -> list[Path]:
    """The submissions of shelves, in their order and by name."""
    return [
        path
        for shelf in shelves
        if shelf.is_dir()
        for path in sorted(shelf.iterdir())
        if path.is_dir() and path.name[0] != "." and (path / "rows.csv").is_file()
    ]


def read(shelves: Iterable[Path] = (FROZEN, SUBMISSIONS)) -> list[Checked]:
    """Every submission of the shelves. Raises SubmissionError with what is wrong with any of them."""
    found, problems = [], []
    for path in folders(shelves):
        try:
            found.append(check(path))
        except SubmissionError as error:
            problems += [f"{path}: {problem}" for problem in error.problems]
    if problems:
        raise SubmissionError("the board", problems)
    return found


def board(
    checked: Sequence[Checked], own: Sequence[Entry] = (), config: Record | None = None, floor: float = rank.FLOOR
) -> list[Place]:
    """All entries with their ranks; those of a study of one's own first."""
    budgets = setup.budgets(config or {})
    listed = [("here", "computed here", entry, _took(entry, budgets)) for entry in own]
    for each in checked:
        columns = ["algorithm", "band", *rows.BUDGET[2:]]
        took = {tuple(row[key] for key in rows.PLACE): row for row in each.found.rows.to_dict("records")}
        for entry in each.entries:
            row = took[entry.place]
            listed.append((each.form.name, each.origin, entry, {key: row[key] for key in columns[2:]}))
    ranked = rank.ranks([entry for _, _, entry, _ in listed], floor)
    return [Place(shelf, origin, entry, place, took) for (shelf, origin, entry, took), place in zip(listed, ranked)]


def _took(entry: Entry, budgets: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    row = rows.tables([entry], budgets).rows.iloc[0]
    return {key: float(row[key]) for key in rows.BUDGET[2:]}


RANK = ("rank", "rank_low", "rank_high", "rank_of", "rank_why")
BACK = ("back_attack", "back_measure", "back_language", *(f"back{end}" for end in rows.ENDS))


def table(places: Sequence[Place]) -> pd.DataFrame:
    """The board as one table: where each row comes from, its rank, what comes back, and all of its columns."""
    made = []
    for place in places:
        budgets = {place.entry.algorithm: {}}
        row = rows.tables([place.entry], budgets).rows.iloc[0].to_dict() | dict(place.budget)
        best = place.entry.back
        back = (best.attack, best.measure, best.worst.language, *best.worst.number[:3]) if best else ("", "", "")
        made.append(
            {
                "shelf": place.shelf,
                "origin": place.origin,
                **dict(zip(RANK, place.rank)),
                **{name: row[name] for name in rows.ROWS},
                **dict(zip(BACK, back)),
            }
        )
    columns = ["shelf", "origin", *RANK, *rows.ROWS, *BACK]
    found = pd.DataFrame(made, columns=columns)
    return found.astype(dict.fromkeys(RANK[:4], "Int64"))


def beside(places: Sequence[Place]) -> dict[str, pd.DataFrame]:
    """What each language keeps and what each attack brings back, of every row, with the shelf that it is from."""
    found: dict[str, list[pd.DataFrame]] = {"languages": [], "attacks": []}
    for shelf in dict.fromkeys(place.shelf for place in places):
        made = rows.tables(place.entry for place in places if place.shelf == shelf)
        for name, parts in found.items():
            table = getattr(made, name)
            table.insert(0, "shelf", shelf)
            parts.append(table)
    return {name: pd.concat(parts, ignore_index=True) for name, parts in found.items() if parts}
