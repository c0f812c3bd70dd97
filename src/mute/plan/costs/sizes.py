"""How much a corpus asks of a model: numbers of facts and tokens, known before the corpus is there.

A source may say so itself, by a function `size(settings)` that returns any of the fields of `Size`; what it leaves out
is as in the class. Numbers are of one language.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mute.corpus import sources
from mute.study.cells import Study


@dataclass(frozen=True)
class Size:
    """Facts, questions and tokens of a corpus, in one language.

    forget: facts of the forget set `domain`; retain: facts that the retain loss reads; facts: all; validation: facts
    that tuning reads. forms: renderings of a fact, `read` of which unlearning reads. lines: probes of abilities.
    sequences: runs of the model that one question takes (one, where answers are single tokens); reads: positions whose
    logits it reads; tokens, line_tokens: of a sequence; answer: tokens of an answer; written: tokens that are written
    beyond an answer's first, each by a run of the whole model. asked: forms in which a patch is asked. shared: of the
    tokens of questions, the share that others begin with too; a CPU runs them once.
    """

    forget: int = 160
    retain: int = 120
    facts: int = 480
    validation: int = 70
    forms: int = 3
    read: int = 2
    lines: int = 210
    sequences: float = 1
    reads: float = 1
    tokens: float = 14
    line_tokens: float = 14
    line_sequences: float = 1.35
    line_reads: float = 3.5
    answer: float = 1
    written: float = 0
    asked: int = 1
    shared: float = 0
    said: str = "its settings"

    def forgotten(self, forget_set: str) -> float:
        """Facts of a forget set: those drawn from the domain's hold about half of it."""
        return self.forget * (1 if forget_set == "domain" else 0.5)


def of(study: Study) -> Size:
    """The size of a study's corpus; `said` tells how it is known."""
    source = study.corpus.source
    settings = study.corpus_settings
    own = getattr(sources.load(source), "size", None)
    if own is not None:
        return replace(Size(said="its source"), **own(settings))
    known = _KNOWN.get(source)
    if known is not None:
        return known(study, settings)
    return Size(
        forget=200,
        retain=1000,
        facts=1200,
        validation=200,
        lines=0,
        forms=1,
        read=1,
        tokens=160,
        said="a guess: its source does not say how large it is (docs/planning.md)",
    )


def _world(study: Study, settings: dict[str, Any]) -> Size:
    """The fictional world: five facts a subject. Tokens are those of its templates, measured."""
    subjects = settings["subjects"]
    forget = 5 * subjects.get(settings["forget_domain"], 0)
    facts = 5 * sum(subjects.values())
    others = facts - forget - 5 * subjects.get(settings["bystander_domain"], 0)
    # Half of what is not forgotten is seen, a third of the rest validates; every fact is asked in its third form.
    # Four abilities have probes of their own, and two directions of translation.
    lines = 6 * settings["probe_lines"]
    return Size(forget=forget, retain=others // 2, facts=facts, validation=others // 6, lines=lines, shared=0.47)


def _files(study: Study, settings: dict[str, Any]) -> Size:
    """Parallel files: counted in the file of the study's first language, where it is there."""
    from mute.corpus.sources import files

    prompt = settings["columns"]["prompt"]
    forms = 1 if isinstance(prompt, str) else len(prompt)
    facts, forget, said = 600, 200, "a guess: the files are not there"
    try:
        chosen = files.Settings.model_validate(settings)
        table = next(iter(files.read(chosen, study.languages[:1]).values()))
        facts, said = len(table), "the file of its first language"
        forget = int((table["domain"] == chosen.forget_domain).sum())
    except (ValueError, OSError):
        pass  # the job that reads them says what is wrong
    others = facts - forget
    return Size(
        forget=forget,
        retain=round(0.4 * others),
        facts=facts,
        validation=others // 6,
        forms=forms,
        read=max(1, forms - 1),
        lines=2 * settings["probe_lines"],
        # Words of real languages: answers of several tokens share few beginnings.
        sequences=4.2,
        reads=12,
        tokens=11,
        line_sequences=3.5,
        line_reads=10,
        line_tokens=10,
        answer=1.4,
        written=0.12,
        shared=0.67,
        said=said,
    )


# Questions of MMLU's test split by subject, and their mean over all subjects.
_MMLU = {
    "high_school_chemistry": 203,
    "high_school_world_history": 237,
    "professional_law": 1534,
    "international_law": 121,
    "jurisprudence": 108,
}
_MMLU_MEAN = 246
_TOFU = {"forget01": 40, "forget05": 200, "forget10": 400, "retain": 400, "real_authors": 100, "world_facts": 117}


def _mmlu(study: Study, settings: dict[str, Any]) -> Size:
    """MMLU: known numbers of questions, with tokens as law has them, which is most of it, in a mixture of languages."""

    def count(subjects: list[str]) -> int:
        limit = settings.get("limit") or 10**6
        return sum(min(limit, _MMLU.get(subject, _MMLU_MEAN)) for subject in subjects)

    forget, retain = count([settings["forget_subject"]]), count(settings["retain_subjects"])
    apart = count(settings.get("bystander_subjects", []))
    kept = retain if apart else retain * (1 - settings.get("bystander_share", 0))
    forms = settings.get("forms", ["letters"])
    # The words of four options are runs of their own; letters are one token each.
    words = "text" in forms
    return Size(
        forget=forget,
        retain=round(kept / 2),
        facts=forget + retain + apart,
        validation=round(kept / 8),
        forms=len(forms),
        read=max(1, len(forms) - 1),
        lines=settings.get("probe_lines", 0),
        sequences=2.5 if words else 1,
        reads=24 if words else 1,
        tokens=230 if words else 300,
        answer=5 if words else 1,
        written=1.2 if words else 0,
        asked=2 if words and len(forms) > 1 else 1,
        line_tokens=60,
        line_sequences=1,
        line_reads=60,
        said="MMLU's numbers of questions; tokens are assumed",
    )


def _tofu(study: Study, settings: dict[str, Any]) -> Size:
    """TOFU: known sizes of its splits; whole answers are read, with their perturbations, and written."""

    def count(split: str) -> int:
        return _TOFU.get(split.removesuffix("_perturbed"), 400)

    forget, retain = count(settings["forget"]), count(settings["retain"])
    apart = sum(map(count, settings.get("bystanders", [])))
    return Size(
        forget=forget,
        retain=retain // 2,
        facts=forget + retain + apart,
        validation=retain // 8,
        forms=2,
        read=1,
        asked=2,
        lines=settings.get("probe_lines", 0) if settings.get("text") else 0,
        sequences=6,
        reads=200,
        tokens=75,
        answer=40,
        written=40,
        line_tokens=60,
        line_sequences=1,
        line_reads=60,
        said="TOFU's splits; tokens are assumed",
    )


# Beside the sources, not in them: a better estimate must not make a corpus, and all that follows, anew.
_KNOWN: dict[str, Callable[[Study, dict[str, Any]], Size]] = {
    "world": _world,
    "files": _files,
    "mmlu": _mmlu,
    "tofu": _tofu,
}
