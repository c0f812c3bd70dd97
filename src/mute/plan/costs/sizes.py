"""How much a corpus asks of a model: numbers of facts and tokens, known before the corpus is there.

A source may say so itself, by a function `size(settings)` that returns any of the fields of `Size`; what it leaves out
is as in the class. Numbers are of one language.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from mute.corpus import sources, strangers
from mute.corpus.romanised import bases
from mute.store.records import Record
from mute.study.cells import Study


@dataclass(frozen=True)
class Size:
    """Facts, questions and tokens of a corpus, in one language.

    forget: facts of the forget set `domain`; retain: facts that the retain loss reads; facts: all. forms: renderings of
    a fact; asked: those in which a patch is asked. lines: probes of abilities, and questions about strangers. checked:
    validation lines, which say what an edit damages; 0: validation facts do. tokens: of a sequence; answer: of an
    answer. sequences: runs of the model that one question takes (one, where answers are single tokens); others,
    glossary: lines that training reads beside facts, in a language and for a pair of two; shared: of their tokens, the
    share that others begin with too, which a CPU runs once. written: tokens that are written beyond an answer's first,
    after one run of the whole model one token at a time.
    """

    forget: int = 160
    retain: int = 120
    facts: int = 480
    forms: int = 3
    asked: int = 1
    lines: int = 210
    checked: int = 0
    tokens: float = 14
    answer: float = 1
    sequences: float = 1
    others: int = 0
    glossary: int = 0
    shared: float = 0
    written: float = 0
    said: str = "its settings"

    @property
    def read(self) -> int:
        """Forms that unlearning reads: the last is kept for questions."""
        return max(1, self.forms - 1)

    def trained(self, languages: int) -> float:
        """Texts that a model of so many languages is trained on."""
        told = self.facts * self.forms * (SPELLINGS if self.glossary else 1)
        return languages * (told + self.others) + languages * (languages - 1) * self.glossary

    @property
    def validation(self) -> float:
        """Facts that unlearning may look at without training on them."""
        return self.retain / 3

    def forgotten(self, forget_set: str) -> float:
        """Facts of a forget set: those drawn from the domain's hold about half of it."""
        return self.forget * (1 if forget_set == "domain" else 0.5)


# In a world some facts are told again, in the foreign spelling of their subject: measured.
SPELLINGS = 1.2
# Letters of a token of text in languages of several scripts, measured on parallel facts with a vocabulary of 4096.
_LETTERS = 3.7


def of(study: Study) -> Size:
    """The size of a study's corpus; `said` tells how it is known: counted where that takes no time or the user's files.

    What is wrong with files that cannot be read stands under the plan.
    """
    source, settings = study.corpus.source, study.corpus_settings
    own = getattr(sources.load(source), "size", None)
    if own is not None:
        return replace(Size(said="its source"), **own(settings))
    if source in _KNOWN:
        size = _KNOWN[source](study, settings)
        if source in _BUILT or settings.get("path"):
            return _counted(study, size)
        return size
    said = "a guess: its source does not say how large it is (docs/planning.md)"
    return Size(forget=200, retain=1000, facts=1200, lines=0, forms=1, tokens=160, said=said)


def _world(study: Study, settings: Record) -> Size:
    """The fictional world: five facts a subject. Tokens are those of its templates, measured."""
    subjects = settings["subjects"]
    forget = 5 * subjects.get(settings["forget_domain"], 0)
    facts = 5 * sum(subjects.values())
    others = facts - forget - 5 * subjects.get(settings["bystander_domain"], 0)
    # Half of what is not forgotten is seen. Four abilities have probes of their own, and two directions of translation.
    along = 2 * len({"alias", "two_hop"}.intersection(settings.get("graph", ())))
    lines = (6 + along) * settings["probe_lines"] + min(strangers.LINES, forget)
    checked = 2 * settings["validation_lines"]
    return Size(
        forget=forget,
        retain=others // 2,
        facts=facts,
        lines=lines,
        checked=checked,
        others=sum(settings[f"{name}_lines"] for name in ("reading", "sentence", "unknown")),
        # Measured on worlds of 30 to 96 subjects.
        glossary=53,
        # Fitted, as the shares are: values of one to three tokens.
        tokens=15,
        answer=1.35,
        sequences=2.2,
        shared=0.6,
        written=0.5,
    )


def _counted(study: Study, size: Size) -> Size:
    """The same with the numbers of the corpus itself, where it can be made."""
    source = sources.load(study.corpus.source)
    try:
        settings = source.Settings.model_validate(study.corpus.settings)
        corpus = source.build(settings, bases(study.languages), study.config.study.seed)
        roles = corpus.roles("domain").value_counts()
    except (ValueError, OSError, ModuleNotFoundError):
        return size
    counts = {"forget": roles.get("forget", 0), "retain": roles.get("retain_seen", 0), "facts": len(corpus.facts)}
    size = replace(size, **{name: int(count) for name, count in counts.items()}, forms=corpus.about["forms"])
    if study.corpus.source in _BUILT:
        return replace(size, said="counted; tokens are assumed")
    told = corpus.texts["answer"].map(len).mean()
    letters = corpus.texts["prefix"].map(len).mean() + told + corpus.texts["suffix"].map(len).mean()
    tokens, answer = max(1.0, letters / _LETTERS), max(1.0, told / _LETTERS)
    said = f"counted in the files; tokens are guessed from {letters:.0f} letters, the mean, at {_LETTERS} a token"
    # An answer that is written to its end takes a run of the model for each token.
    written = answer if corpus.about.get("whole_answers") else 0.12 + max(0.0, answer - 2.5)
    return replace(size, tokens=tokens, answer=answer, written=written, said=said)


def _files(study: Study, settings: Record) -> Size:
    """Parallel files that nobody has read: short facts with answers of a few tokens."""
    prompt = settings["columns"]["prompt"]
    facts, forget = 600, 200
    return Size(
        forget=forget,
        retain=round(0.4 * (facts - forget)),
        facts=facts,
        forms=1 if isinstance(prompt, str) else len(prompt),
        lines=2 * settings["probe_lines"],
        # Words of real languages: answers of several tokens share few beginnings.
        sequences=4.2,
        tokens=11,
        answer=2,
        written=0.12,
        shared=0.67,
        said=_UNREAD,
    )


_UNREAD = "all of it a guess, for the files are not there or cannot be used"
# Lines of text that are read in the time of one long question.
_LINES = 8
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


def _mmlu(study: Study, settings: Record) -> Size:
    """MMLU: known numbers of questions, with tokens as law has them, which is most of it, in a mixture of languages."""

    def count(subjects: list[str]) -> int:
        limit = settings.get("limit") or 10**6
        return sum(min(limit, _MMLU.get(subject, _MMLU_MEAN)) for subject in subjects)

    forget, retain = count([settings["forget_subject"]]), count(settings["retain_subjects"])
    apart = count(settings.get("bystander_subjects", []))
    kept = retain if apart else retain * (1 - settings.get("bystander_share", 0))
    forms = settings.get("forms", ["letters"])
    said = _UNREAD if settings.get("path") else "MMLU's numbers of questions; tokens are assumed"
    size = Size(forget, round(kept / 2), forget + retain + apart, len(forms), tokens=300, said=said)
    size = replace(size, lines=settings.get("probe_lines", 0) // _LINES)
    if "text" not in forms:
        return size
    # The words of four options are runs of their own; letters are one token each.
    asked = min(2, len(forms))
    return replace(size, tokens=230, sequences=2.5, answer=5, written=1.2, asked=asked)


def _tofu(study: Study, settings: Record) -> Size:
    """TOFU: known sizes of its splits; whole answers are read, with their perturbations, and written."""

    def count(split: str) -> int:
        return min(settings.get("limit") or 10**6, _TOFU.get(split.removesuffix("_perturbed"), 400))

    forget, retain = count(settings["forget"]), count(settings["retain"])
    return Size(
        forget=forget,
        retain=retain // 2,
        facts=forget + retain + sum(map(count, settings.get("bystanders", []))),
        forms=2,
        asked=2,
        lines=settings.get("probe_lines", 0) // _LINES if settings.get("text") else 0,
        sequences=6,
        tokens=75,
        answer=40,
        written=40,
        said=_UNREAD if settings.get("path") else "TOFU's splits; tokens are assumed",
    )


# Facts of a relation that a corpus of CLDR asks with babel 2.19, and those that can be read off the country.
_CLDR = {"currency": (39, 124), "language": (61, 48), "continent": (140, 4)}


def _cldr(study: Study, settings: Record) -> Size:
    """CLDR: counted once; a few more or fewer with another release."""
    limit = settings["limit"] or 10**6
    counts = {relation: [min(limit, count) for count in _CLDR[relation]] for relation in settings["relations"]}
    asked, beside = (sum(count[i] for count in counts.values()) for i in (0, 1))
    forget = sum(counts[relation][0] for relation in settings["forget_relations"] if relation in counts) // 2
    return Size(
        forget=forget,
        retain=round((asked - forget) * (1 - settings["bystander_share"]) / 2),
        facts=asked + beside * settings["read_off"],
        forms=3,
        asked=2,
        lines=0,
        # As parallel files are: short prompts, answers of a few tokens.
        sequences=settings["options"],
        tokens=14,
        answer=2,
        written=1,
        shared=0.67,
        said="CLDR's numbers of countries, of another release; tokens are assumed",
    )


# Sources that need no files, and are made in less than a second.
_BUILT = ("cldr",)
# Beside the sources, not in them: a better estimate must not make a corpus, and all that follows, anew.
_KNOWN: dict[str, Callable[[Study, Record], Size]] = {
    "world": _world,
    "files": _files,
    "mmlu": _mmlu,
    "tofu": _tofu,
    "cldr": _cldr,
}
