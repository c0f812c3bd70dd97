"""What the types of a configuration cannot say: names that refer to nothing, languages and bands that do not fit.

Only what the study uses is checked: an overlay that chooses one model need not mend the others.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mute import analyses, attacks, unlearn
from mute.attacks.base import Settings as AttackSettings
from mute.bands import ALLOWED, named_blocks
from mute.config.problems import ConfigError, KeyPath, Problem, dotted, validated, value_at
from mute.config.sections import Config, Files, GridSection, ModelSection, read_files
from mute.corpus import languages, romanised, sources
from mute.evaluate import measures
from mute.findings import metrics
from mute.models import pretrained
from mute.names import SLIP, check_name, foreign, nearest, unknown_name
from mute.publishing import trackers
from mute.publishing.plan import NOTEBOOK_SOURCES
from mute.registry import AdditionError
from mute.store.records import Record
from mute.study import every, folders, selections
from mute.study.cells import Study

# Codes become parts of names that are joined by '-' and '.'.
_CODE = re.compile(r"[A-Za-z0-9_]{1,16}")
_BANDS = ("each", *ALLOWED)
# Sections whose entries are a method and its settings: what one is called, and where the methods are found.
REGISTRIES: dict[str, tuple[str, Any]] = {
    "algorithms": ("algorithm", unlearn),
    "attacks": ("attack", attacks),
    "analyses": ("analysis", analyses),
}


class Checks:
    """Problems of a configuration whose types are right, but for the paths in `broken`, which were left out."""

    def __init__(self, config: Config, broken: Collection[KeyPath]) -> None:
        self.config, self.broken = config, set(broken)
        self.study = config.study
        self.source: Any = None
        self.corpus: BaseModel | None = None

    def problems(self) -> Iterator[Problem]:
        # First, because models and grids are held against it.
        yield from self._corpus()
        yield from self._study()
        for section in ("corpora", "models", "grids", *REGISTRIES):
            for name in getattr(self.config, section):
                yield from _name_problems((section, name), name)
        for name in self._chosen("models"):
            yield from self._model(name, self.config.models[name])
        for name in self._chosen("grids"):
            yield from self._grid(name, self.config.grids[name])
        for section in REGISTRIES:
            for name in getattr(self.config, section):
                yield from self._defined(section, name)
        for name in self.study.analyses if self._sound("study", "analyses") else ():
            yield from self._cells_of_analysis(name)
        yield from self._layers()
        yield from self._publishing()
        if self._sound("pretraining", "shares") and not self.config.pretraining.shares.get("facts"):
            yield Problem(("pretraining", "shares"), "facts must have a share above 0")

    def _sound(self, *path: str | int) -> bool:
        """Whether nothing at, above or below `path` was left out: else its errors would only echo the first."""
        return not any(path[: len(b)] == b or b[: len(path)] == path for b in self.broken)

    def _chosen(self, section: str) -> list[str]:
        """Names that the study chooses in a section and that are defined there."""
        if not self._sound("study", section):
            return []
        return [name for name in getattr(self.study, section) if name in getattr(self.config, section)]

    def _names(
        self, path: KeyPath, names: Iterable[str], what: str, allowed: Collection[str], section: str = ""
    ) -> Iterator[Problem]:
        """Names outside `allowed`, unless their definition in `section` was left out for being wrong."""
        for index, name in enumerate(names if self._sound(*path) else ()):
            if name not in allowed and (not section or self._sound(section, name)):
                yield Problem((*path, index), unknown_name(what, name, allowed))

    def _repeats(self, path: KeyPath, section: BaseModel) -> Iterator[Problem]:
        for key, value in section:
            if isinstance(value, list):
                texts = [str(entry) for entry in value]
                twice = sorted({text for text in texts if texts.count(text) > 1})
                if twice:
                    yield Problem((*path, key), f"{', '.join(twice)} stands more than once")

    def _study(self) -> Iterator[Problem]:
        study = self.study
        if study.corpus not in self.config.corpora and self._sound("corpora", study.corpus):
            yield Problem(("study", "corpus"), unknown_name("corpus", study.corpus, self.config.corpora))
        yield from self._names(("study", "models"), study.models, "model", self.config.models, "models")
        yield from self._names(("study", "grids"), study.grids, "grid", self.config.grids, "grids")
        yield from self._registered(("study", "analyses"), study.analyses)
        yield from self._names(("study", "shown"), study.shown or [], "grid of the study", study.grids)
        yield from self._repeats(("study",), study)
        yield from _name_problems(("study", "name"), study.name)
        for folder in Path(study.results).parts or ("",):
            yield from _name_problems(("study", "results"), folder, "must be a folder inside the project: ")
        if self._sound("study", "results"):
            yield from folders.problems(study.results)
        for index, outcome in enumerate(study.primary):
            if problem := metrics.outcome_problem(outcome):
                yield Problem(("study", "primary", index), problem)

    def _corpus(self) -> Iterator[Problem]:
        section = self.config.corpora.get(self.study.corpus)
        path = ("corpora", self.study.corpus)
        if section is None or not self._sound(*path, "source"):
            return
        if section.source not in sources.names():
            yield Problem((*path, "source"), unknown_name("source", section.source, sources.names()))
            return
        self.source = sources.load(section.source)
        checked = validated(self.source.Settings, section.settings, (*path, "settings"))
        yield from checked.problems
        self.broken |= checked.broken
        if checked.value is not None:
            self.corpus = checked.value
            for key, text in getattr(self.source, "problems", lambda _: ())(checked.value):
                if self._sound(*path, "settings", key):
                    yield Problem((*path, "settings", key), text)

    def _forget_sets(self, path: KeyPath, names: list[str]) -> Iterator[Problem]:
        if self.source is not None:
            yield from self._names(path, names, "forget set", self.source.FORGET_SETS)

    def _model(self, name: str, model: ModelSection) -> Iterator[Problem]:
        path = ("models", name)
        yield from self._repeats(path, model)
        yield from self._forget_sets((*path, "oracles"), model.oracles)
        if self._sound(*path, "languages"):
            yield from self._model_languages((*path, "languages"), model.languages)
        if model.pretrained is None and self._sound(*path, "hidden") and self._sound(*path, "heads"):
            if model.hidden % model.heads:
                yield Problem((*path, "hidden"), f"{model.hidden} is no multiple of {model.heads} heads")
            elif model.family != "bloom" and model.hidden // model.heads % 2:
                text = f"{model.hidden // model.heads} features a head is odd; positions rotate pairs of features"
                yield Problem((*path, "hidden"), text)
            if model.family != "bloom" and model.heads % max(1, model.heads // 2):
                yield Problem(
                    (*path, "heads"), f"{model.heads} do not share keys and values in pairs: use an even number"
                )

    def _model_languages(self, path: KeyPath, codes: list[str]) -> Iterator[Problem]:
        for index, code in enumerate(codes):
            if not _CODE.fullmatch(code):
                near = nearest(re.split("[-_]", code)[0], self._known_languages())
                hint = f". Did you mean {near[0]!r}?" if near else ""
                text = f"{code!r} is no language code: use 1 to 16 letters, digits or '_'{hint}{foreign(code)}"
                yield Problem((*path, index), text)
            elif (known := self._known_languages()) and romanised.base(code) not in known:
                yield Problem((*path, index), unknown_name("language", code, known))
            elif why := romanised.unreadable(code):
                yield Problem((*path, index), f"{romanised.base(code)} cannot be read in Latin letters: {why}")
        settings = ("corpora", self.study.corpus, "settings")
        if self.corpus is None or not self._sound(*settings, "teaching_languages"):
            return
        teaching = getattr(self.corpus, "teaching_languages", [])
        known = self._known_languages()
        for index, code in enumerate(teaching):
            if known and code not in known:
                yield Problem((*settings, "teaching_languages", index), unknown_name("language", code, known))
        missing = [code for code in teaching if code not in codes and (not known or code in known)]
        if missing:
            yield Problem(path, f"teaching languages of the corpus are missing: {', '.join(missing)}")
        if getattr(self.corpus, "transfer_share", 0) and set(codes) <= set(teaching):
            where = dotted((*settings, "transfer_share"))
            text = f"every language is a teaching language, so no fact can transfer; add a language or set {where} to 0"
            yield Problem(path, text)

    def _known_languages(self) -> Collection[str]:
        """Languages that the corpus can be in; none if it can be in any."""
        return languages.codes() if getattr(self.source, "PACKS", False) else getattr(self.source, "LANGUAGES", ())

    def _grid(self, name: str, grid: GridSection) -> Iterator[Problem]:
        path = ("grids", name)
        yield from self._repeats(path, grid)
        if not grid.algorithms and self._sound(*path, "algorithms"):
            yield Problem((*path, "algorithms"), "must not be empty")
        yield from self._registered((*path, "algorithms"), grid.algorithms)
        yield from self._registered((*path, "attacks"), grid.attacks)
        yield from self._forget_sets((*path, "forget_sets"), grid.forget_sets)
        has_text = getattr(self.source, "fact_free", lambda _: True)
        if self.corpus is not None and "source+text" in grid.retain and not has_text(self.corpus):
            text = f"source+text needs fact-free text, and the corpus {self.study.corpus!r} has none: use source or all"
            yield Problem((*path, "retain"), text)
        yield from self._grid_bands(path, grid)
        if grid.models is not None:
            yield from self._names((*path, "models"), grid.models, "model", self.config.models, "models")
            known = set(grid.models) <= set(self.config.models) and self._sound("study", "models")
            if known and not set(grid.models) & set(self.study.models):
                yield Problem((*path, "models"), f"none of {grid.models} is a model of the study: {self.study.models}")
        names = [model for model in self._chosen("models") if grid.models is None or model in grid.models]
        yield from self._training_seeds((*path, "training_seeds"), grid.training_seeds or [], names)
        for index, source in enumerate(grid.sources):
            if not source or len(set(source)) < len(source):
                yield Problem((*path, "sources", index), f"must be different languages, at least one, not {source}")
        for model_name in self._chosen("models"):
            if grid.models is None or model_name in grid.models:
                yield from self._grid_of_model(path, grid, model_name)

    def _grid_bands(self, path: KeyPath, grid: GridSection) -> Iterator[Problem]:
        """Some methods work on some bands only, or under one protocol."""
        for name in grid.algorithms:
            method = self.config.algorithms.get(name, {}).get("method", name)
            # What is wrong with a method's file is told once, where it is named.
            kind = unlearn.Method if any(self._unusable(unlearn, method)) else unlearn.load(method)
            for index, band in enumerate(grid.bands if kind.bands else ()):
                if str(band) not in kind.bands:
                    text = f"{name} works on {' or '.join(kind.bands)}, not on {band!r}; give it a grid of its own"
                    yield Problem((*path, "bands", index), text)
            for index, protocol in enumerate(grid.protocols):
                if protocol not in kind.protocols:
                    text = f"{name} runs under {' or '.join(kind.protocols)}, not under {protocol!r}"
                    yield Problem((*path, "protocols", index), f"{text}; give it a grid of its own")

    def _training_seeds(self, path: KeyPath, seeds: list[int], names: list[str]) -> Iterator[Problem]:
        """Training seeds of which none of these models has one."""
        known = {s for n in names for s in self.config.models[n].training_seeds or self.study.training_seeds}
        sound = all(self._sound("models", name) for name in names) and self._sound("study", "training_seeds")
        for index, seed in enumerate(seeds if names and sound else ()):
            if seed not in known:
                text = f"{seed} is no training seed of {', '.join(names)}: {', '.join(map(str, sorted(known)))}"
                yield Problem((*path, index), text)

    def _grid_of_model(self, path: KeyPath, grid: GridSection, name: str) -> Iterator[Problem]:
        model = self.config.models[name]
        if self._sound("models", name, "languages"):
            for index, source in enumerate(grid.sources):
                for code in source:
                    if code not in model.languages:
                        text = f"{unknown_name('language', code, model.languages)} (model {name})"
                        yield Problem((*path, "sources", index), text)
                if set(source) >= set(model.languages):
                    text = f"{', '.join(source)} are all languages of model {name}: none is held out"
                    yield Problem((*path, "sources", index), text)
        for index, band in enumerate(grid.bands):
            blocks = named_blocks(str(band))
            if blocks is None:
                if band not in _BANDS[:3]:
                    yield Problem((*path, "bands", index), unknown_name("band", band, _BANDS))
            elif list(blocks) != sorted(set(blocks)):
                yield Problem((*path, "bands", index), f"{band!r} must name different blocks from below to above")
            elif blocks[-1] >= model.blocks and self._sound("models", name, "blocks"):
                text = f"block {blocks[-1]} is outside model {name} of {model.blocks} blocks (0 to {model.blocks - 1})"
                yield Problem((*path, "bands", index), text)

    def _known(self, section: str) -> list[str]:
        """What a list may name: definitions of the section, and methods with their defaults."""
        all_of_them = [every.METHODS] if section == "algorithms" else []
        return sorted({*getattr(self.config, section), *REGISTRIES[section][1].names(), *all_of_them})

    def _registered(self, path: KeyPath, names: list[str]) -> Iterator[Problem]:
        """A list, called as a section, that may name what this defines, and methods with their defaults.

        Raises AdditionError for a method whose file cannot be used.
        """
        section = str(path[-1])
        what, registry = REGISTRIES[section]
        for name in names:
            if name in registry.names():
                registry.load(name)
        yield from self._names(path, names, what, self._known(section), section)

    def _defined(self, section: str, name: str) -> Iterator[Problem]:
        """A definition of a section: a known method, and settings of it."""
        registry, given = REGISTRIES[section][1], dict(getattr(self.config, section)[name])
        path, told = (section, name), "method" in given
        method = given.pop("method", name)
        for text in self._unusable(registry, method):
            slip = [f", not {key!r}" for key in nearest("method", given, SLIP)]
            hint = "" if told else f"; or give the method of {name!r} as `method`{''.join(slip)}"
            yield Problem((*path, "method"), text + hint)
            return
        checked = validated(registry.load(method).Settings, given, path)
        yield from checked.problems
        if isinstance(checked.value, AttackSettings):
            yield from self._repeats(path, checked.value)
            yield from self._attack(path, checked.value)

    def _attack(self, path: KeyPath, settings: AttackSettings) -> Iterator[Problem]:
        """Languages that an attack names and nobody has, and blocks that none of the study's models has."""
        models = self.config.models.values()
        known = {*languages.codes(), *(code for model in models for code in model.languages)}
        for key, words in settings.spoken.items():
            if (code := getattr(settings, key)) not in (*words, *known):
                yield Problem((*path, key), unknown_name("language", code, filter(None, (*words, *known))))
        names = self._chosen("models")
        depth = max((self.config.models[name].blocks for name in names), default=0)
        sound = all(self._sound("models", name, "blocks") for name in names)
        for index, block in enumerate(getattr(settings, "blocks", []) if names and sound else ()):
            if block >= depth:
                text = f"block {block} is outside the models of the study, of at most {depth} blocks (0 to {depth - 1})"
                yield Problem((*path, "blocks", index), text)

    @staticmethod
    def _unusable(registry: Any, method: str) -> Iterator[str]:
        """Why there is no such method: its name, or where it is a user's file that it is not there or may not run.

        Raises AdditionError for a file that cannot be used.
        """
        if registry is unlearn and unlearn.files([method]):
            try:
                registry.load(method)
            except AdditionError:
                raise
            except ValueError as error:
                yield str(error)
        elif method not in registry.names():
            yield unknown_name("method", method, registry.names())

    def _cells_of_analysis(self, name: str) -> Iterator[Problem]:
        """Cells that an analysis of the study asks for by name and that no study could have."""
        given = dict(self.config.analyses.get(name, {}))
        method, path = given.pop("method", name), ("analyses", name)
        if method not in analyses.names():
            return
        chosen = validated(analyses.load(method).Settings, given, path).value
        if not isinstance(chosen, analyses.CellSettings):
            return
        yield from self._names((*path, "algorithms"), chosen.algorithms, "algorithm", self._known("algorithms"))
        yield from self._training_seeds((*path, "training_seeds"), chosen.training_seeds, self._chosen("models"))
        yield from self._repeats(path, chosen)

    def _layers(self) -> Iterator[Problem]:
        layers = self.config.layers
        for name in layers.alpha if isinstance(layers.alpha, dict) else ():
            if name not in self.config.models and self._sound("models", name):
                yield Problem(("layers", "alpha", name), unknown_name("model", name, self.config.models))
        for name, rule in layers.choice.items():
            if name not in (known := self._known("algorithms")):
                yield Problem(("layers", "choice", name), unknown_name("algorithm", name, known))
            elif rule == "stated":
                for model in self._chosen("models"):
                    if model not in layers.stated and self._sound("layers", "stated"):
                        yield Problem(
                            ("layers", "choice", name), f"`stated` needs a block for model {model} in layers.stated"
                        )
        for name, block in layers.stated.items():
            model = self.config.models.get(name)
            if model is None:
                if self._sound("models", name):
                    yield Problem(("layers", "stated", name), unknown_name("model", name, self.config.models))
            elif block >= model.blocks and self._sound("models", name, "blocks"):
                text = f"block {block} is outside a model of {model.blocks} blocks (0 to {model.blocks - 1})"
                yield Problem(("layers", "stated", name), text)

    def _publishing(self) -> Iterator[Problem]:
        path, chosen = ("publishing",), self.config.publishing
        yield from self._names((*path, "to"), chosen.to, "tracker", trackers.names())
        yield from self._repeats(path, chosen)
        for key in ("project", "entity"):
            if value := getattr(chosen, key):
                yield from _name_problems((*path, key), value)
        if not self._sound(*path, "notebooks") or not self._sound(*path, "to"):
            return
        needed = NOTEBOOK_SOURCES.get(chosen.notebooks)
        if chosen.notebooks not in NOTEBOOK_SOURCES:
            text = unknown_name("source of notebooks", chosen.notebooks, NOTEBOOK_SOURCES)
            yield Problem((*path, "notebooks"), text)
        elif needed and (needed not in chosen.to or (needed == "wandb" and chosen.mode == "disabled")):
            text = f"{chosen.notebooks} needs runs that nobody publishes: put {needed} into publishing.to"
            yield Problem((*path, "notebooks"), text + ("; publishing.mode must not be disabled" * (needed == "wandb")))


def _name_problems(path: KeyPath, name: str, before: str = "") -> Iterator[Problem]:
    """A name becomes part of paths, in which dots separate names."""
    try:
        check_name(name)
        if "." in name:
            raise ValueError(f"name {name!r} is not allowed: '.' separates names in file names, use '_' or '-'")
    except ValueError as error:
        yield Problem(path, f"{before}{error}")


def checked_study(config: Record, files: Files | None = None) -> Study:
    """The study of a configuration.

    Raises ConfigError with all problems at once, AdditionError for a file that was added and cannot be used.
    `files`, where the configuration was read from, lets errors name a file and line.
    """
    checked, files = validated(Config, config), files or Files()
    found = [*files.problems, *checked.problems]
    if checked.value is not None:
        # First, because it fills in the blocks that grids are held against.
        found += pretrained.complete(checked.value, checked.broken)
        every.spelt_out(checked.value)
        found += Checks(checked.value, checked.broken).problems()
    # Snakemake would take them and write somewhere else than study.results says.
    found = [Problem(p.path, "set study.results instead") if p.path == ("pathvars",) else p for p in found]
    if checked.value is None or found:
        raise ConfigError(_line(problem, config, files) for problem in sorted(found, key=_place))
    # No configuration names them: every study is scored by all, once everything else is done.
    for name in measures.names():
        measures.load(name)
    study = Study(checked.value, files.paths)
    # What only the cells can tell.
    late = list(folders.too_many(study.config)) or [*folders.long_names(study), *selections.problems(study)]
    if late:
        raise ConfigError(_line(problem, config, files) for problem in late)
    return study


def read_study(*paths: Path | str) -> Study:
    """The study of YAML files, later ones overlaying earlier ones. Raises ConfigError with all problems at once."""
    files = read_files(*paths)
    return checked_study(files.values, files)


def _place(problem: Problem) -> int:
    """Errors come in the order of the sections; those of whole files first, unknown sections last."""
    order = ["", *Config.model_fields]
    section = str(problem.path[0]) if problem.path else ""
    return order.index(section) if section in order else len(order)


def _line(problem: Problem, config: Record, files: Files) -> str:
    """The problem, and where its key stands in the files, if what stands there is what counts."""
    for end in range(len(problem.path), 0, -1):
        path = problem.path[:end]
        if path in files.places:
            # Else another value came from the command line.
            same = value_at(config, path) == value_at(files.values, path)
            return f"{problem} [{files.places[path]}]" if same else str(problem)
    return str(problem)
