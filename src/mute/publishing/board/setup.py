"""What a study's configuration says of the board's entries: what can be compared, who a method is, what it costs."""

import math
from collections.abc import Iterable, Mapping

from mute import unlearn
from mute.corpus import languages as packs
from mute.store.artifacts import digest
from mute.store.records import Facts, Record
from mute.unlearn import own

# Of a configuration as much as decides which model is asked which questions, and what the same dose is.
_MADE_BY = ("pretraining", "matching", "evaluation")


def setups(config: Facts) -> dict[str, str]:
    """A digest for each model: models of equal digests were trained and asked alike, but for their training seeds."""
    study = _mapping(config, "study")
    corpus = _mapping(config, "corpora").get(str(study.get("corpus")))
    shared = {"corpus": corpus, "seed": study.get("seed"), **{name: config.get(name) for name in _MADE_BY}}
    return {
        str(name): digest({**shared, "model": {key: value for key, value in model.items() if key != "training_seeds"}})
        for name, model in _mapping(config, "models").items()
        if isinstance(model, Mapping)
    }


def about(config: Facts, methods: Mapping[str, Mapping[str, str]], scripts: Mapping[str, str]) -> Record:
    """What `Results` is told of a study, from its configuration. methods: family, objective and paper by method."""
    models = {
        name: {**model, "family": architecture(name, model)} for name, model in _mapping(config, "models").items()
    }
    described = {}
    for name, settings in _mapping(config, "algorithms").items():
        method = method_name(str(settings.get("method", name)))
        who = methods.get(method, {})
        described[name] = {
            "method": method,
            "family": who.get("family", ""),
            "paper": who.get("paper", ""),
            "intent": who.get("objective", ""),
        }
    study = _mapping(config, "study")
    return {"study": study.get("name", ""), "models": models, "algorithms": described, "scripts": dict(scripts)}


def architecture(name: str, model: Mapping) -> str:
    """The family of a model that was trained from scratch; of a pretrained one the name that the study gives it."""
    return name if model.get("pretrained") else str(model.get("family", ""))


def method_name(given: str) -> str:
    """A method's name, or that of the file that it is in."""
    return given.replace("\\", "/").rpartition("/")[2].removesuffix(own.ENDING) if own.is_own(given) else given


def methods(config: Facts) -> dict[str, Record]:
    """What each method of a study says of itself: family, objective, paper. A user's file runs if that was allowed."""
    found = {}
    for name, settings in _mapping(config, "algorithms").items():
        given = str(settings.get("method", name))
        kind = unlearn.load(given)
        found[method_name(given)] = {"family": kind.family, "objective": kind.intent, "paper": kind.paper}
    return dict(sorted(found.items()))


def scripts(codes: Iterable[str]) -> dict[str, str]:
    """The scripts of languages, "" of one that has no pack."""
    known = packs.codes()
    return {code: packs.load(code).script if code in known else "" for code in sorted(set(codes))}


def languages(config: Facts) -> list[str]:
    """All languages of a study's models, sorted."""
    models = _mapping(config, "models").values()
    return sorted({code for model in models for code in model.get("languages") or ()})


def budgets(config: Facts) -> dict[str, dict[str, float]]:
    """By algorithm what its method says that it takes; nothing of methods that the package does not have.

    texts_trained: texts that pass forwards and backwards through the band in one step. passes_prompt, passes_text: what
    a guard adds, in forward passes. No file of a user's is run.
    """
    known = unlearn.names()
    found: dict[str, dict[str, float]] = {}
    for name, settings in _mapping(config, "algorithms").items():
        given = {key: value for key, value in settings.items() if key != "method"}
        method = settings.get("method", name)
        if method not in known or _names_a_file(given):
            continue
        try:
            cost = unlearn.make(method, given).cost()
        except ValueError:
            continue  # settings of another version: nothing is said of them
        batch = given.get("batch_size", math.nan)
        texts = cost.sides * cost.passes * (batch if isinstance(batch, int | float) else math.nan)
        guard = issubclass(unlearn.load(method), unlearn.Guard)
        found[name] = {"texts_trained": math.nan if guard else float(texts)}
        found[name] |= {"passes_prompt": float(cost.prompts), "passes_text": float(cost.texts)} if guard else {}
    return found


def _names_a_file(value: object) -> bool:
    """Whether settings name a user's method anywhere: one that another changes, or is chained to."""
    if isinstance(value, Mapping):
        return any(map(_names_a_file, value.values()))
    return any(map(_names_a_file, value)) if isinstance(value, list | tuple) else own.is_own(value)


def _mapping(config: Facts, key: str) -> Mapping:
    found = config.get(key)
    return found if isinstance(found, Mapping) else {}
