"""Holds a submission against its form, and says all that is wrong in one message. Runs and fetches nothing of it."""

import json
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from mute import attacks, unlearn
from mute.bands import ALLOWED, Languages, is_whole, named_blocks
from mute.config.problems import validated
from mute.config.sections import Protocol, Retain
from mute.corpus import languages as packs
from mute.findings.board import entries, rows
from mute.findings.board.entries import Entry
from mute.findings.results import Results
from mute.names import check_name, on_one_line, shown, unknown_name
from mute.publishing.board import setup, tables
from mute.publishing.board.form import FORM, LARGEST, ROWS, SHIPPED, Submission
from mute.store import artifacts
from mute.store.records import Record
from mute.unlearn.base import Family, Intent

RECOMPUTED, STATED = "computed again from its tables", "as stated by its sender"
_MOST = 60  # problems that a message lists
_DEEPEST = 40  # mappings and lists within each other
_STATUSES = re.compile(r"([0-9]{1,6} [a-z_]{1,20}(, |$)){1,20}")
_DOSE = re.compile(r"(|reached|not reached|missed by [0-9]{1,6} of [0-9]{1,6})")
_CLOSE = 1e-4  # relative, of numbers that were written with six digits


class SubmissionError(ValueError):
    """Everything that is wrong with a submission, one line each."""

    def __init__(self, what: Path | str, problems: Iterable[str]) -> None:
        self.problems = list(dict.fromkeys(map(on_one_line, problems)))
        more = len(self.problems) - _MOST
        listed = "".join(f"\n  - {problem}" for problem in self.problems[:_MOST])
        listed += f"\n  … and {more} more of this kind" if more > 0 else ""
        super().__init__(f"{on_one_line(str(what))} cannot be used:{listed}")


@dataclass
class Checked:
    """A submission that is right: its form, its entries, and whether they were computed again from its tables."""

    form: Submission
    entries: list[Entry]
    found: rows.Tables
    recomputed: bool
    folder: Path = field(default_factory=Path)

    @property
    def origin(self) -> str:
        return RECOMPUTED if self.recomputed else STATED


def check(folder: Path) -> Checked:
    """The submission in a folder. Raises SubmissionError with all that is wrong with it."""
    problems = _files(folder)
    if problems:
        raise SubmissionError(folder, problems)
    form, _given, problems = _form(folder / FORM)
    if form is None:
        raise SubmissionError(folder, problems)
    problems += _provenance(folder, form)
    if problems:
        # What is not what was sent, or not what it says, is not read further.
        raise SubmissionError(folder, problems)
    about = _About(form)
    problems += about.problems
    stated: dict[str, pd.DataFrame | None] = {}
    for name in rows.COLUMNS:
        stated[name], wrong = tables.stated(folder / f"{name}.csv", name, about.checks(name))
        problems += wrong
    problems += _between(stated, about)
    if problems:
        raise SubmissionError(folder, problems)
    found = rows.Tables(**stated)  # ty: ignore[invalid-argument-type]
    shipped = [name for name in SHIPPED if (folder / name).is_file()]
    if not shipped:
        return Checked(form, rows.entries(found), found, recomputed=False, folder=folder)
    own, problems = tables.of_study(folder)
    if problems:
        raise SubmissionError(folder, problems)
    made = computed(form.config, {name: kind.model_dump() for name, kind in form.methods.items()}, form.languages, own)
    again = rows.tables(made, setup.budgets(form.config))
    if problems := _differences(found, again, about):
        raise SubmissionError(folder, problems)
    return Checked(form, made, found, recomputed=True, folder=folder)


def computed(
    config: Record,
    methods: Mapping[str, Mapping[str, str]],
    scripts: Mapping[str, str],
    own: Mapping[str, pd.DataFrame],
) -> list[Entry]:
    """The entries of a study, from its configuration and its tables."""
    return entries.entries(Results(own, setup.about(config, methods, scripts)), setup.setups(config))


# The folder


def _files(folder: Path) -> list[str]:
    """What is wrong with the files as such, before one of them is read."""
    if folder.is_symlink() or not folder.is_dir():
        return ["it is no folder of a submission: give the folder that `submission.json` lies in"]
    problems = []
    there = sorted(folder.iterdir())
    for path in there[:1000]:
        mode = path.lstat()
        if stat.S_ISLNK(mode.st_mode) or not stat.S_ISREG(mode.st_mode):
            problems.append(f"{shown(path.name)} is no plain file: links, folders and devices are not read")
        elif path.name not in LARGEST:
            problems.append(f"{unknown_name('file', path.name, LARGEST)}")
        elif mode.st_size > LARGEST[path.name]:
            problems.append(f"{path.name} has {mode.st_size} bytes, and may have {LARGEST[path.name]}")
    names = {path.name for path in there}
    problems += [f"{name} is missing" for name in (FORM, *ROWS) if name not in names]
    shipped = [name for name in SHIPPED if name in names]
    if shipped and len(shipped) < len(SHIPPED):
        lacking = [name for name in SHIPPED if name not in names]
        problems.append(f"of the study's tables {', '.join(lacking)} is missing: send all of them, or none")
    return problems


def _form(path: Path) -> tuple[Submission | None, Any, list[str]]:
    try:
        given = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return None, None, [f"{path.name} is not UTF-8 text: {error.reason} at byte {error.start}"]
    except RecursionError:
        return None, None, [f"{path.name} is nested too deeply"]
    except ValueError as error:
        return None, None, [f"{path.name} is no JSON that can be read: {error}"]
    if _depth(given) > _DEEPEST:
        return None, None, [f"{path.name} is nested too deeply: at most {_DEEPEST} levels are read"]
    checked = validated(Submission, given)
    return checked.value if not checked.problems else None, given, [f"{path.name}, {each}" for each in checked.problems]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {shown(next(n for n in names if names.count(n) > 1))} stands twice in one mapping")
    return found


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is no number of JSON's")


def _depth(value: Any) -> int:
    """How many mappings and lists lie within each other, without calling itself."""
    deepest, waiting = 0, [(value, 1)]
    while waiting and deepest <= _DEEPEST:
        current, depth = waiting.pop()
        inner = current.values() if isinstance(current, dict) else current if isinstance(current, list) else None
        if inner is not None:
            deepest = max(deepest, depth)
            waiting += [(each, depth + 1) for each in inner]
    return deepest


def _provenance(folder: Path, form: Submission) -> list[str]:
    """Whether files and configuration are what the form says."""
    problems = []
    there = {path.name: path for path in sorted(folder.iterdir()) if path.name != FORM}
    for name, path in there.items():
        if name not in form.files:
            problems.append(f"{FORM}, files: {name} lies in the folder and is not listed")
            continue
        listed = form.files[name]
        if path.stat().st_size != listed.bytes:
            problems.append(
                f"{name} has {path.stat().st_size} bytes, and {FORM} says {listed.bytes}: it was cut or changed"
            )
        elif (own := artifacts.sha256(path)) != listed.sha256:
            problems.append(
                f"{name} has the SHA-256 {own[:16]}…, and {FORM} says {listed.sha256[:16]}…: it was changed"
            )
    problems += [f"{FORM}, files: {shown(name)} is listed and not there" for name in form.files if name not in there]
    try:
        own = artifacts.digest(form.config)
    except (ValueError, RecursionError) as error:
        return [*problems, f"{FORM}, config: it has no digest: {error}"]
    if own != form.config_digest:
        problems.append(f"{FORM}, config_digest: {form.config_digest} is stated, and the configuration gives {own}")
    return problems


# What the rows may say


class _About:
    """What the form's configuration says there is, and what is wrong with that."""

    def __init__(self, form: Submission) -> None:
        self.form = form
        self.problems: list[str] = []
        config = form.config
        self.study = self._mapping(config, "study").get("name", "")
        self.models = {str(n): m for n, m in self._mapping(config, "models").items() if self._model(str(n), m)}
        self.algorithms = {
            str(name): setup.method_name(str(given.get("method", name))) if isinstance(given, dict) else str(name)
            for name, given in self._mapping(config, "algorithms").items()
        }
        attacked = config.get("attacks", {})
        self.attacks = {
            str(name): str(given.get("method", name)) if isinstance(given, dict) else str(name)
            for name, given in (attacked.items() if isinstance(attacked, dict) else ())
        }
        self.setups = setup.setups(config)
        for what, found in (("study", [self.study]), ("models", self.models), ("algorithms", self.algorithms)):
            self.problems += [f"{FORM}, config.{what}: {wrong}" for name in found if (wrong := _name(str(name)))]
        self._methods()
        for kind in form.attacks:
            if kind in attacks.names():
                self.problems.append(f"{FORM}, attacks.{kind}: the package has this attack, it cannot be another")
        for code, script in form.languages.items():
            if code in packs.codes() and packs.load(code).script != script:
                own = packs.load(code).script
                self.problems.append(f"{FORM}, languages.{code}: its script is {own!r} here, not {shown(script)}")

    def _mapping(self, config: Record, key: str) -> dict[Any, Any]:
        found = config.get(key)
        if isinstance(found, dict) and found:
            return found
        self.problems.append(f"{FORM}, config.{key}: must be a mapping that is not empty, not {shown(found)}")
        return {}

    def _model(self, name: str, given: Any) -> bool:
        codes = given.get("languages") if isinstance(given, dict) else None
        if isinstance(codes, list) and codes and all(isinstance(code, str) for code in codes):
            return True
        self.problems.append(f"{FORM}, config.models.{name}: must be a mapping with a list of languages")
        return False

    def _methods(self) -> None:
        """Methods that the package has must be what it says of them; it names all that the rows are of."""
        for name, stated in self.form.methods.items():
            if name in unlearn.names():
                kind = unlearn.load(name)
                for key, own in (("family", kind.family), ("objective", kind.intent)):
                    if getattr(stated, key) != own:
                        given = shown(getattr(stated, key))
                        self.problems.append(f"{FORM}, methods.{name}.{key}: it is {own!r} here, not {given}")
        for name, method in self.algorithms.items():
            if method not in self.form.methods:
                self.problems.append(
                    f"{FORM}, config.algorithms.{name}: the method {shown(method)} is not declared in `methods`"
                )

    def checks(self, name: str) -> dict[str, Callable[[str], str]]:
        """By column of text what is wrong with a value of it."""
        languages = list(dict.fromkeys(code for model in self.models.values() for code in model["languages"]))
        known = [code for code in languages if code in packs.codes() or code in self.form.languages]
        lacking = "" if len(known) == len(languages) else " (declare others in `languages`)"

        def of(options: Iterable[str], what: str) -> Callable[[str], str]:
            listed = list(options)
            return lambda text: "" if text in listed else unknown_name(what, text, listed)

        def language(text: str) -> str:
            return "" if text in known or not text else unknown_name("language", text, known) + lacking

        places = {
            "study": of([str(self.study)], "study"),
            "algorithm": of(self.algorithms, "algorithm of the configuration"),
            "model": of(self.models, "model of the configuration"),
            "band": _band,
            "sources": lambda text: (
                next((w for c in Languages(text).codes if (w := language(c))), "") if text else "must name languages"
            ),
            "retain": of(get_args(Retain), "retain"),
            "forget_set": _name,
            "protocol": of(get_args(Protocol), "protocol"),
        }
        if name == "languages":
            written = sorted(
                {*self.form.languages.values(), *(packs.load(c).script for c in known if c in packs.codes())}
            )
            own = {
                "language": language,
                "script": of(["", *written], "script"),
                "group": of(["source", "heldout"], "group"),
            }
        elif name == "attacks":
            own = {"attack": self._attack, "measure": of(entries.BACK, "measure"), "language": language}
        else:
            own = {
                "method": of(self.form.methods, "method"),
                "family": of(["", *get_args(Family)], "family"),
                "objective": of(["", *get_args(Intent)], "objective"),
                "architecture": of(
                    ["", *(setup.architecture(name, model) for name, model in self.models.items())], "architecture"
                ),
                "setup": of(self.setups.values(), "digest of a model's setup"),
                "status": of(tables.ENTRY_STATUSES, "status"),
                "statuses": lambda text: (
                    "" if _STATUSES.fullmatch(text) else f"must be counts such as '2 ok', not {shown(text)}"
                ),
                "dose": lambda text: (
                    "" if _DOSE.fullmatch(text) else f"must be 'reached' or 'not reached', not {shown(text)}"
                ),
                "k_language": language,
                "c_language": language,
                "unit": of([rows.MODELS, rows.FACTS], "unit"),
            }
        return {column: check for column, check in {**places, **own}.items() if column in rows.COLUMNS[name]}

    def _attack(self, text: str) -> str:
        if text not in self.attacks and text not in attacks.names():
            return unknown_name("attack of the configuration", text, self.attacks)
        kind = self.attacks.get(text, text)
        if kind in attacks.names() or kind in self.form.attacks:
            return ""
        return f"{unknown_name('attack', kind, attacks.names())} Others are declared in `attacks`"

    def row(self, row: Mapping[Any, Any]) -> list[str]:
        """What does not fit together within one row of entries."""
        problems = []
        method = self.algorithms.get(row["algorithm"], "")
        stated = self.form.methods.get(row["method"])
        if method != row["method"]:
            problems.append(
                f"method: {row['algorithm']} is {method!r} in the configuration, not {shown(row['method'])}"
            )
        elif stated and (row["family"], row["objective"]) != (stated.family, stated.objective):
            problems.append(f"family and objective: {method} is {stated.family}, {stated.objective} by `methods`")
        if self.setups.get(row["model"]) != row["setup"]:
            problems.append(f"setup: the configuration gives {self.setups.get(row['model'])} for {row['model']}")
        model = self.models.get(row["model"], {})
        codes = Languages(row["sources"]).codes
        strange = [code for code in codes if code not in model.get("languages", ())]
        if strange:
            problems.append(f"sources: {row['model']} has not learned {', '.join(strange)}")
        blocks = named_blocks(row["band"])
        depth = model.get("blocks")
        if blocks and isinstance(depth, int) and max(blocks) >= depth:
            problems.append(f"band: {row['band']} is outside a model of {depth} blocks")
        if row["k_language"] in codes:
            problems.append(f"k_language: {row['k_language']} is a source language, and must be a held-out one")
        if (
            row["counted"] > row["trainings"] > 0
            and row["unit"] == rows.MODELS
            and row["counted"] > 10 * row["trainings"]
        ):
            problems.append("counted: there are more than there are trainings")
        return problems


def _name(text: str) -> str:
    try:
        check_name(text)
    except ValueError as error:
        return str(error)
    return ""


def _band(text: str) -> str:
    return "" if is_whole(text) or named_blocks(text) else unknown_name("band", text, ALLOWED)


def _between(stated: Mapping[str, pd.DataFrame | None], about: _About) -> list[str]:
    """What does not fit together between rows, and between the three tables."""
    problems = []
    found = stated["rows"]
    if found is None:
        return []
    if found.empty:
        return ["rows.csv has no row"]
    places: dict[tuple, int] = {}
    for number, row in enumerate(found.to_dict("records"), start=1):
        place = tuple(row[key] for key in entries.PLACE)
        if place in places:
            problems.append(f"rows.csv, row {number}: it has the same keys as row {places[place]}")
        places.setdefault(place, number)
        problems += [f"rows.csv, row {number}, {wrong}" for wrong in about.row(row)]
    for name, columns in (("languages", ("language",)), ("attacks", ("attack",))):
        table = stated[name]
        seen: dict[tuple, int] = {}
        for number, row in enumerate(() if table is None else table.to_dict("records"), start=1):
            place = tuple(row[key] for key in entries.PLACE)
            if place not in places:
                problems.append(f"{name}.csv, row {number}: rows.csv has no row of these keys")
            key = (*place, *(row[column] for column in columns))
            if key in seen:
                problems.append(f"{name}.csv, row {number}: it has the same keys as row {seen[key]}")
            seen.setdefault(key, number)
    return problems


def _differences(found: rows.Tables, again: rows.Tables, about: _About) -> list[str]:
    """Where stated rows are not what the tables give."""
    problems = []
    for name in rows.COLUMNS:
        keys = [*entries.PLACE, *{"languages": ["language"], "attacks": ["attack"]}.get(name, [])]
        own, other = (
            {tuple(row[key] for key in keys): (number, row) for number, row in enumerate(table.to_dict("records"), 1)}
            for table in (getattr(found, name), getattr(again, name))
        )
        problems += [f"{name}.csv, row {own[key][0]}: the tables give no such row" for key in own if key not in other]
        problems += [
            f"{name}.csv: the tables give a row that is not there: {' '.join(key)}" for key in other if key not in own
        ]
        for key in own:
            if key in other:
                number, row = own[key]
                columns = [
                    column for column in row if column not in rows.BUDGET[2:] or row["method"] in unlearn.names()
                ]
                for column in columns:
                    if not _same(row[column], other[key][1][column]):
                        given, right = shown(row[column]), shown(other[key][1][column])
                        problems.append(
                            f"{name}.csv, row {number}, {column}: {given} is stated, the tables give {right}"
                        )
    return problems


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return one == other
    one, other = float(one), float(other)
    return (
        one == other or (one != one and other != other) or abs(one - other) <= _CLOSE * max(abs(one), abs(other), 0.01)
    )
