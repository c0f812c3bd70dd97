"""Methods and attacks that cannot run on a corpus: asked of themselves, on what it says, before any work."""

from mute import analyses, attacks, unlearn
from mute.corpus import romanised, sources
from mute.corpus.schema import Corpus
from mute.evaluate.measures import lira
from mute.study.cells import Study
from mute.unlearn.view import View


def not_applicable(study: Study) -> list[str]:
    """A line an algorithm and reason: how many cells, and why; and a line an attack and reason: in which languages.

    [] too where the corpus cannot be made before a fetch. Such a cell is no error: it is a row with the status
    `not_applicable`, and costs nothing; an attack has no score of such a language.
    """
    source = sources.load(study.corpus.source)
    settings = source.Settings.model_validate(study.corpus.settings)
    try:
        corpus = romanised.build(source, settings, study.languages, study.config.study.seed)
    except (OSError, ValueError):
        # What is wrong with a user's files is told with them; what the hub has is not here yet.
        return []
    return _cells(study, corpus) + _attacks(study, corpus)


def not_told(study: Study) -> list[str]:
    """What a study asks for that needs oracles or trainings which it does not have; no table has it then."""
    made = {name: analyses.load(method) for name, (method, _) in study.analyses.items()}
    readers = [n for n, kind in made.items() if kind(kind.Settings.model_validate(study.analyses[n][1])).reads_oracle()]
    found = []
    for model, forget_set in sorted({(cell.model, cell.forget_set) for cell in study.cells}):
        seeds = study.training_seeds(model)
        count = sum(study.oracle(model, seed, forget_set) is not None for seed in seeds)
        where = f"of {model}, forget set {forget_set}"
        if not count:
            found += [f"{name}, {where}: it has no oracle to read (models.{model}.oracles)" for name in readers]
        if study.config.evaluation.lira and count <= lira.LEAST:
            text = f"it takes {lira.LEAST + 1} trainings that have an oracle, and there are {count}"
            found.append(f"lira, {where}: {text}")
    return found


def _cells(study: Study, corpus: Corpus) -> list[str]:
    used = {cell.algorithm for cell in study.cells}
    methods = {name: unlearn.make(study.method(name), study.settings(name)) for name in used}
    views: dict[tuple, View] = {}
    found: dict[tuple[str, str], int] = {}
    for cell in study.cells:
        key = (cell.model, cell.sources, cell.retain, cell.forget_set)
        if key not in views:
            views[key] = View.of(
                corpus,
                languages=study.config.models[cell.model].languages,
                sources=list(cell.sources.codes),
                forget_set=cell.forget_set,
                retain=cell.retain,
            )
        if reason := methods[cell.algorithm].applies(views[key]):
            found[cell.algorithm, reason] = found.get((cell.algorithm, reason), 0) + 1
    return [f"{name}, {count} cell{'s' * (count > 1)}: {reason}" for (name, reason), count in found.items()]


def _attacks(study: Study, corpus: Corpus) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for name, (method, own) in study.attacks.items():
        attack = attacks.load(method)
        settings = attack.Settings.model_validate(own)
        for language in study.languages:
            if reason := attack.lacks(settings, corpus, language):
                found.setdefault((name, reason), []).append(language)
    return [f"{name}, in {' '.join(languages)}: {reason}" for (name, reason), languages in found.items()]
