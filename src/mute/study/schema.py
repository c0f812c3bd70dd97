"""Writes config/README.md and workflow/schemas/config.schema.json from the configuration's classes and the registries.

`python -m mute.study.schema` writes both. A new algorithm, corpus source or language pack is in them without a change
here.
"""

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mute import unlearn
from mute.config.sections import Config
from mute.corpus import languages, sources
from mute.registry import AdditionError
from mute.store import artifacts
from mute.study.checks import REGISTRIES
from mute.unlearn.control import Control

ROOT = Path(__file__).parents[3]
SCHEMA, README = "workflow/schemas/config.schema.json", "config/README.md"
Schema = dict[str, Any]

_INTRODUCTION = """\
# Configuration

<!-- Written by `python -m mute.study.schema` from the code. Change the code and run it again. -->

A study is one YAML file laid over `config/config.yaml`; further files lie over it in turn:

```sh
make study CONFIG="config/smoke.yaml my.yaml"
snakemake -n --configfile config/smoke.yaml my.yaml                      # what would run
snakemake --cores all --config study='{seed: 2}' gates='{recall: 0.9}'   # single keys on the command line
```

Mappings merge key by key; lists and single values replace what lies below. So models, corpora, grids and algorithms are
*defined* in mappings, and `study` *chooses* among them in lists: an overlay chooses less without deleting anything.

Everything that is wrong is reported at once, before anything runs, each with its key, its value, what is allowed, and
the file and line. A key that stands twice is an error, and so is a key that does not exist. `no` is a truth value in
YAML: a language of that code is written `"no"`. Names have letters, digits, `_` and `-`.

Editors that read JSON schemas complete and check keys with `workflow/schemas/config.schema.json`.
"""


def documents() -> dict[str, str]:
    """Text of each generated file by its path in the project."""
    return {SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False, allow_nan=False) + "\n", README: readme()}


def json_schema() -> Schema:
    """The JSON schema of a configuration or of an overlay: no key is required."""
    schema = _plain(Config.model_json_schema())
    parts = schema.pop("$defs")
    for name in sources.names():
        parts[f"source {name}"] = _settings(sources.load(name).Settings, parts)
    for section, (entry, registry) in REGISTRIES.items():
        what = "method" if registry is unlearn else entry
        for name in registry.names():
            parts[f"{what} {name}"] = _settings(registry.load(name).Settings, parts)
            parts[f"{what} {name}"]["properties"]["method"] = {"const": name}
        schema["properties"][section] |= _by_method(what, registry.names())
        if registry is unlearn:
            # A user's file says what it can be told; here nobody runs it.
            in_file = {"properties": {"method": {"pattern": r"\.py$"}}, "required": ["method"]}
            schema["properties"][section]["additionalProperties"]["anyOf"].append(in_file)
    parts["CorpusSection"]["anyOf"] = [
        {"properties": {"source": {"const": name}, "settings": {"$ref": f"#/$defs/source {name}"}}}
        for name in sources.names()
    ]
    parts["CorpusSection"]["properties"]["source"]["enum"] = list(sources.names())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Written by `python -m mute.study.schema` from the code.",
        "title": "MUTE study",
        **schema,
        "$defs": dict(sorted(parts.items())),
    }


def _by_method(what: str, names: Iterable[str]) -> Schema:
    """Entries named after a method may leave it out; others give it."""
    entries = {name: {"$ref": f"#/$defs/{what} {name}"} for name in names}
    return {
        "properties": entries,
        "additionalProperties": {
            "anyOf": [{"$ref": f"#/$defs/{what} {name}", "required": ["method"]} for name in names]
        },
    }


def _settings(model: type[BaseModel], parts: Schema) -> Schema:
    """The schema of settings; what it refers to goes to `parts`."""
    schema = _plain(model.model_json_schema())
    parts.update(schema.pop("$defs", {}))
    return schema


def _plain(schema: Any) -> Any:
    """Without the titles that repeat names, and without required keys, which an overlay need not have."""
    if isinstance(schema, dict):
        dropped = {"required", *(("title",) if isinstance(schema.get("title"), str) else ())}
        return {key: _plain(value) for key, value in schema.items() if key not in dropped}
    return [_plain(value) for value in schema] if isinstance(schema, list) else schema


def readme() -> str:
    """config/README.md."""
    whole = Config.model_json_schema()
    pages = [_INTRODUCTION]
    for name, about in whole["properties"].items():
        inner = about.get("additionalProperties", {})
        section = whole["$defs"].get(str(about.get("$ref") or inner.get("$ref")).rpartition("/")[2])
        heading = f"## `{name}`" if not inner else f"## `{name}`, by name"
        pages.append(f"{heading}\n\n{(section or about)['description']}\n")
        pages.append(_tables(section, whole["$defs"]) if section else _registered(name))
    pages.append("## Corpus sources\n")
    for name in sources.names():
        source = sources.load(name)
        forget_sets = ", ".join(f"`{each}`" for each in source.FORGET_SETS)
        pages.append(f"### `{name}`\n\n{source.Settings.__doc__} Forget sets: {forget_sets}.\n")
        pages.append(settings_tables(source.Settings))
    pages.append("## Language packs\n\nLanguages of the source `world`; files may have any.\n")
    packs = [languages.load(code) for code in languages.codes()]
    rows = [(f"`{p.code}`", p.name, p.endonym, ", ".join(p.scripts), f"{p.family}, {p.branch}") for p in packs]
    pages.append(_rows(("code", "language", "own name", "script", "family"), rows))
    return "\n".join(pages)


def _registered(section: str) -> str:
    """The entries of a section by method: what each is, and its settings."""
    registry, pages = REGISTRIES[section][1], []
    for name in registry.names():
        kind = registry.load(name)
        about = (sys.modules[kind.__module__].__doc__ or "").strip()
        told = method_words(kind) if registry is unlearn else f"{kind.paper}."
        pages.append(f"### `{name}`\n\n{about}\n\n{told}\n")
        pages.append(settings_tables(kind.Settings))
    return "\n".join(pages)


def method_words(method: type[unlearn.Method]) -> str:
    """Who proposed a method, what it is for, and how its strength is found."""
    strength = method.Settings.strength
    found = {
        unlearn.Descent: f"`matched` chooses `{strength}` among `strengths`",
        unlearn.Edit: f"`matched` searches `{strength}`",
        unlearn.Guard: "it is fitted, and no weight changes",
        Control: "strengths are those of the method inside",
        unlearn.Method: "strengths are those of the edit",
    }
    kind = next(text for base, text in found.items() if issubclass(method, base))
    only = f" It works on the band `{'`, `'.join(method.bands)}` alone." if method.bands else ""
    if method.protocols != unlearn.Method.protocols:
        only += f" It runs under `{'`, `'.join(method.protocols)}` alone."
    kept = f"{method.paper}. Family: {method.family}; intent: {method.intent}."
    if method.expects == "open":
        return f"{kept} What it does to the forget answers is what it is there to show; {kind}.{only}"
    likelihood = {"none": "it does not change the forget answers' likelihood"}
    expects = likelihood.get(method.expects, f"the forget answers' likelihood {method.expects}")
    return f"{kept} If it works, {expects}; {kind}.{only}"


def settings_tables(model: type[BaseModel]) -> str:
    """The table of settings, and of each mapping inside it."""
    schema = model.model_json_schema()
    parts = schema.get("$defs", {})
    inner = [f"`{name}`:\n\n{_table(part, parts)}" for name, part in parts.items()]
    return "\n".join([_table(schema, parts), *inner])


def _tables(section: Schema, parts: Schema) -> str:
    """The table of a section, and of each section inside it."""
    pages = [_table(section, parts)]
    for key, about in section["properties"].items():
        for option in about.get("anyOf", [about]):
            inner = parts.get(str(option.get("$ref")).rpartition("/")[2])
            if inner:
                pages.append(f"`{key}`: {inner['description']}\n\n{_tables(inner, parts)}")
    return "\n".join(pages)


def _table(section: Schema, parts: Schema) -> str:
    rows = [
        (f"`{key}`", _kind(about), _default(about, key in section.get("required", ())), _words(about))
        for key, about in section["properties"].items()
    ]
    return _rows(("key", "value", "default", "meaning"), rows)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    cells = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in cells)


def _words(about: Schema) -> str:
    """The description; `<name>` would be taken for HTML."""
    return re.sub(r"<(?=\w)", r"\\<", about.get("description", ""))


def _default(about: Schema, required: bool) -> str:
    if required:
        return "required"
    return f"`{json.dumps(about['default'], ensure_ascii=False, allow_nan=False)}`" if "default" in about else ""


def _kind(about: Schema) -> str:
    """What a value may be, in words."""
    if "anyOf" in about:
        return " or ".join(_kind(option) for option in about["anyOf"])
    if "enum" in about or "const" in about:
        return ", ".join(f"`{value}`" for value in about.get("enum", [about.get("const")]))
    if "$ref" in about:
        return f"mapping, see `{about['$ref'].rpartition('/')[2]}`"
    kind = about.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(about['items'])}"
    if kind == "object":
        inner = about.get("additionalProperties", True)
        return "mapping" if inner is True else f"mapping to {_kind(inner)}"
    names = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    bounds = (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))
    limits = [f"{sign} {about[key]:g}" for key, sign in bounds if key in about]
    return " ".join([names.get(kind, kind), ", ".join(limits)]).strip()


def main() -> int:
    try:
        made = documents()
    except AdditionError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in made.items():
        artifacts.write_text(ROOT / path, text)
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
