"""What a study can be made of: methods, guards, detectors, attacks, measures, analyses, models and what they read."""

import ast
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import ModuleType

from mute import analyses, attacks, unlearn
from mute.corpus import languages, sources
from mute.evaluate import measures
from mute.hub import weights
from mute.models.anatomy import ANATOMIES
from mute.names import unknown_name
from mute.paper import figures as paper_figures
from mute.plan.kinds import KINDS
from mute.plotting import figures
from mute.registry import AdditionError
from mute.unlearn import detectors


@dataclass(frozen=True)
class Entry:
    """One thing: its kind, its name, what it is in one line, and the paper it comes from, or ''."""

    kind: str
    name: str
    about: str
    paper: str = ""


def _title(text: str | None, name: str) -> str:
    """The first line of a docstring, without the name that it may begin with."""
    first = (text or "").strip().split("\n")[0]
    before, colon, rest = first.partition(": ")
    return rest if colon and before.lower().replace(" ", "_") == name else first


def _classes(kind: str, registry: ModuleType, names: Iterable[str]) -> Iterable[Entry]:
    for name in names:
        found = registry.load(name)
        yield Entry(kind, name, _title(sys.modules[found.__module__].__doc__, name), found.paper)


def _modules(kind: str, registry: ModuleType) -> Iterable[Entry]:
    """The same of what comes from no one paper."""
    for name in registry.names():
        yield Entry(kind, name, _title(sys.modules[registry.load(name).__module__].__doc__, name))


def _figures() -> Iterable[Entry]:
    # By their text: to import one takes as long as a plot.
    for registry in (figures, paper_figures):
        folder = Path(inspect.getfile(registry)).parent
        for name in registry.names():
            path = folder / f"{name}.py"
            try:
                about = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
            except (SyntaxError, ValueError) as error:
                raise AdditionError("figure", str(path), [f"it cannot be read: {error}"]) from error
            yield Entry("figure", name, _title(about, name))


def entries() -> list[Entry]:
    """Everything, kind by kind, each sorted by name."""
    packs = [languages.load(code) for code in languages.codes()]
    guards = [name for name in unlearn.names() if issubclass(unlearn.load(name), unlearn.Guard)]
    return [
        *_classes("method", unlearn, [name for name in unlearn.names() if name not in guards]),
        *_classes("guard", unlearn, guards),
        *_modules("detector", detectors),
        *_classes("attack", attacks, attacks.names()),
        *_classes("measure", measures, measures.names()),
        *_classes("analysis", analyses, analyses.names()),
        *(Entry("model", name, "family of models that the engine runs exactly") for name in sorted(ANATOMIES)),
        *(
            Entry("weights", name, f"{known.what} ({known.licence}): mute weights {name}")
            for name, known in sorted(weights.KNOWN.items())
        ),
        *(Entry("source", name, _title(sources.load(name).__doc__, name)) for name in sources.names()),
        *(
            Entry("language", p.code, f"{p.name}, {p.endonym}; {', '.join(p.scripts)}; {p.family}, {p.branch}")
            for p in packs
        ),
        *_figures(),
    ]


def of_kind(kind: str) -> list[Entry]:
    """Entries of one kind, or of all (''). Raises ValueError that names the nearest kind if there is none."""
    if kind and kind not in KINDS:
        raise ValueError(unknown_name("kind", kind, KINDS))
    return [entry for entry in entries() if kind in ("", entry.kind)]


def as_text(found: Iterable[Entry]) -> str:
    """One line each, under the name of their kind."""
    parts = []
    for kind, own in groupby(found, lambda entry: entry.kind):
        lines = [f"  {e.name:<20} {e.about}{f' [{e.paper}]' if e.paper else ''}\n" for e in own]
        parts.append(f"{kind}\n{''.join(lines)}")
    return "\n".join(parts)
