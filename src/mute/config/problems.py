"""What is wrong with a configuration: all of it at once, each with its key, its value, what is allowed, what was meant.

`validated` checks types and goes on without what is wrong, so that checks of what the types cannot say see the rest.
"""

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from mute.names import nearest, on_one_line, shown, unknown_name

KeyPath = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)
LARGEST = 10**15  # of any number: what is larger is a slip, and no machine counts so far
_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "a list of at least {min_length}",
    "string_too_short": "at least {min_length} characters long",
    "literal_error": "{expected}",
}
_TRUTH = "YAML reads no, off, yes and on as truth values"
_QUOTE = f"{_TRUTH}: quote it, as in 'no'"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and the key where it stands; an empty path is the whole configuration."""

    path: KeyPath
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}" if self.path else self.text


class ConfigError(ValueError):
    """Everything that is wrong with a configuration, one line each."""

    def __init__(self, problems: Iterable[str]) -> None:
        # A problem names what stands in the configuration, whatever that is.
        self.problems = list(dict.fromkeys(map(on_one_line, problems)))
        super().__init__("the configuration cannot be used:\n" + "\n".join(f"  - {p}" for p in self.problems))


def dotted(path: KeyPath) -> str:
    """`models.llama.languages[1]`."""
    text = "".join(f"[{part}]" if type(part) is int else f".{part}" for part in path)
    return text.removeprefix(".")


@dataclass
class Checked(Generic[M]):
    """What is right (None if nothing is left), what is wrong, and the paths that were left out for it."""

    value: M | None
    problems: list[Problem]
    broken: set[KeyPath]


def validated(model: type[M], given: object, at: KeyPath = ()) -> Checked[M]:
    """`given` as `model`, without the keys and entries that are wrong. `at` is where it stands."""
    given = copy.deepcopy(given)
    problems: list[Problem] = []
    broken: set[KeyPath] = set()

    def report(path: KeyPath, text: str) -> None:
        # A list may be too short only because of the entry that was left out: that was said already.
        if not any(known[: len(path)] == path for known in broken):
            problems.append(Problem((*at, *path), text))
            broken.add(path)

    while True:
        try:
            value = model.model_validate(given)
            wrong = dict(_slips(given, value))
        except ValidationError as error:
            wrong = {}
            for path, errors in _by_path(error, given).items():
                wrong[path] = _text(errors, path, model)
                if errors[0]["type"] == "extra_forbidden":
                    # The key that was probably meant is not known either.
                    meant = nearest(path[-1], section(model, path[:-1]).model_fields)
                    broken.update(each for key in meant if value_at(given, each := (*path[:-1], key), given) is given)
            value = None
        for path, text in wrong.items():
            report(path, text)
        if not wrong or not all(_drop(given, path) for path in sorted(wrong, key=_last_first)):
            return Checked(value, problems, {(*at, *path) for path in broken})


def section(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """The section of `model` to which `path` leads."""
    current: Any = model
    for part in path:
        allowed = getattr(current, "model_fields", {}).get(part)
        if allowed is None:
            continue  # the name of a definition in a mapping
        kinds = (allowed.annotation, *getattr(allowed.annotation, "__args__", ()))
        current = next((kind for kind in kinds if hasattr(kind, "model_fields")), current)
    return current


def value_at(values: object, path: KeyPath, absent: object = None) -> object:
    """What stands at `path` in mappings and lists, or else `absent`."""
    found: Any = values
    for part in path:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return absent
    return found


def _by_path(error: ValidationError, given: Any) -> dict[KeyPath, list[Any]]:
    """Errors by where they stand in `given`: the kinds of a union are parts of pydantic's paths, not of ours."""
    found: dict[KeyPath, list[Any]] = {}
    for each in error.errors():
        path: list[Any] = []
        current = given
        for part in each["loc"]:
            if part not in (range(len(current)) if isinstance(current, list) else current):
                path += [part] if each["type"] == "missing" else []
                break
            current = current[part]
            path.append(part)
            if not isinstance(current, dict | list):
                break
        found.setdefault(tuple(path), []).append(each)
    return found


def _text(errors: list[Any], path: KeyPath, model: type[BaseModel]) -> str:
    first = errors[0]
    kind, value = first["type"], first["input"]
    if kind == "extra_forbidden":
        where = section(model, path[:-1])
        gone = getattr(where, "retired", {}).get(path[-1])
        return f"this key is no more: {gone}" if gone else unknown_name("key", path[-1], where.model_fields)
    if kind == "missing":
        description = section(model, path[:-1]).model_fields[str(path[-1])].description
        return f"this key is missing. {description or ''}".rstrip()
    literal = [word.strip("'") for word in first.get("ctx", {}).get("expected", "").replace(" or ", ", ").split(", ")]
    if first["loc"][-1:] == ("[key]",):
        return unknown_name("key", value, literal) if kind == "literal_error" else _no_name(value)
    if kind == "invalid_key":
        return _no_name(path[-1] if path else value)
    if kind == "literal_error" and len(errors) == 1:
        hint = f" {_QUOTE}" if isinstance(value, bool) else ""
        return unknown_name("value", value, literal) + hint
    if kind == "too_short" and not value:
        return "must not be empty"
    wanted = dict.fromkeys(
        _WANTED[each["type"]].format(**each.get("ctx", {}))
        if each["type"] in _WANTED
        else each["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        for each in errors
    )
    if value is None:
        return f"must be {' or '.join(wanted)}, but nothing stands there"
    text = f"must be {' or '.join(wanted)}, not {shown(value)}"
    if isinstance(value, bool) and "text" in wanted:
        text += f"; {_QUOTE}"
    elif kind == "list_type" and isinstance(value, str | int | float):
        text += f"; write [{value}]" if str(value).isprintable() else "; write [...]"
    return text


def _no_name(key: Any) -> str:
    text = f"a name must be text, not {key}"
    return f"{text}; {_QUOTE}" if isinstance(key, bool) else f"{text}: quote it, as in '{key}'"


def _slips(given: Any, taken: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """What pydantic takes for a number and nobody means as one: truth values, infinity, too many digits."""
    if isinstance(given, dict):
        for key, value in given.items():
            inner = getattr(taken, str(key), None) if isinstance(taken, BaseModel) else taken.get(key)
            yield from _slips(value, inner, (*path, key))
    elif isinstance(given, list):
        for index, (value, inner) in enumerate(zip(given, taken)):
            yield from _slips(value, inner, (*path, index))
    elif isinstance(given, bool) and isinstance(taken, int | float) and not isinstance(taken, bool):
        yield path, f"must be a number, not {given}; {_TRUTH}"
    elif isinstance(taken, float) and not math.isfinite(taken):
        yield path, f"must be finite, not {given}"
    elif isinstance(taken, int) and not isinstance(taken, bool) and abs(taken) > LARGEST:
        yield path, f"must be at most {LARGEST:.0e}, not {shown(given)}"


def _drop(given: Any, path: KeyPath) -> bool:
    """Take out what stands at `path`, or what lacks a key that is missing there; False if that is all there is."""
    if not path:
        return False
    around: Any = value_at(given, path[:-1])
    if around is None:
        return True  # gone already, with something around it
    if path[-1] not in (range(len(around)) if isinstance(around, list) else around):
        return _drop(given, path[:-1])
    del around[path[-1]]
    return True


def _last_first(path: KeyPath) -> list[tuple[int, str]]:
    """Sorting key by which an entry of a list is taken out before those in front of it move."""
    return [(-part, "") if type(part) is int else (1, str(part)) for part in path]
