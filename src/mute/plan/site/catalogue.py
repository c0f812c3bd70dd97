"""Pages of everything that a study can be made of: what it is, where it runs, what it takes, and what it showed."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

from mute import analyses, attacks, unlearn
from mute.corpus import languages, sources
from mute.models.anatomy import ANATOMIES
from mute.plan import catalogue
from mute.plan.catalogue import Entry
from mute.plan.site import behaviours, effort, markdown, runs, studies
from mute.study.schema import method_words, settings_tables
from mute.unlearn import detectors
from mute.unlearn.base import Family

FOLDER = "catalogue"
BEHAVIOURS = "../behaviours.md"
NOT_RUN = "It was not run in any study whose tables are in this repository."
# What each family of methods does, in a sentence; families are those of the contract, and a test asks for each.
FAMILIES = {
    "divergence": "They push the likelihood of forget answers down, and hold retain answers up beside it.",
    "distillation": "They learn from a teacher: the model itself, told or changed, or one that lacks something.",
    "preference": "They make another answer likelier than the forget answer, relative to what both were.",
    "rejection": "They teach the model to say that it does not know.",
    "representation": "They move the states inside the model, and read no logits or few.",
    "editing": "They change weights at once, by a direction or a solved system.",
    "guard": "They leave the weights alone and stand before, inside or behind the model.",
    "control": "They show what an effect is not: each changes one thing in another method.",
}
KINDS = {
    "method": "Methods",
    "guard": "Guards",
    "detector": "Detectors",
    "attack": "Attacks",
    "measure": "Measures",
    "analysis": "Analyses",
    "model": "Families of models",
    "weights": "Weights",
    "source": "Sources of facts",
    "language": "Languages",
    "figure": "Figures",
}


INDEX = """\
# What there is

Everything that a study can be made of, on one page: what `python -m mute list` prints, with where each stands in this
reference and what was seen of it. Numbers come from tables in this repository: {studies}; and from the tests of
behaviour on three trainings ([all of them]({behaviours})). How every method is run
at the same dose is told in [the zoo](../zoo.md).

Every method runs on {models}: these are the families of models whose parts the engine knows. The entries of each method
and attack say on which bands and facts it applies.
"""
RANGES = """\
Ranges in tables go from the lowest to the highest estimate over all edits that count: of every block, training and
setting in which the study ran it. K is knowledge left (1 as before, 0 never knew), C capability kept; the worst
held-out language is the one with the highest K or the lowest C. [Tables](../tables.md) say the rest.
"""
ATTACKS = """\
# Attacks

What is tried to bring back what was to be forgotten. [Who attacks](../threats.md) says what each stands for and what
its control is; [adding one](../adding.md#attacks) is a file.

Ranges in tables go from the lowest to the highest estimate over all edits that count. `R`, `B_mixed` and `bypass_base`
are knowledge after the attack (1 as before the edit, 0 never knew); `recovery` is what came back and an oracle did not
learn.
"""


def pages(root: Path) -> dict[str, str]:
    """Every page by its place on the site."""
    entries = catalogue.entries()
    known = Known(root)
    made = {
        "index": _index(entries, known),
        **{f"methods-{family}": _methods(family, entries, known) for family in get_args(Family)},
        "attacks": _attacks(entries, known),
        "measures": _described("measure", entries, "They are computed from the tables of answers; no model is run."),
        "analyses": _analyses(entries),
        "parts": _parts(entries),
    }
    return {f"{FOLDER}/{name}.md": text for name, text in made.items()}


class Known:
    """What is known of methods and attacks beside their code: frozen studies, tests of behaviour, and costs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.studies = studies.all_of(root)
        self.behaviours = behaviours.of_each(root)

    def showed(self, name: str, of: Callable[[studies.Study, str], str]) -> str:
        """What finished studies and tests say, in tables and sentences."""
        found = [(study.name, text) for study in self.studies if (text := of(study, name))]
        said = [f"In the frozen study `{study}`:\n\n{text}" for study, text in found] or [f"{NOT_RUN}\n"]
        return "\n".join([*said, behaviours.words(self.behaviours.get(name, []), BEHAVIOURS) + "\n"])

    def shortly(self, name: str, of: Callable[[studies.Study, str], str]) -> str:
        """The same in a cell of a table."""
        ran = [study.name for study in self.studies if of(study, name)]
        own = [section for section in self.behaviours.get(name, []) if section.own]
        held = [f"{section.held} of {section.tests} tests" for section in own]
        return "; ".join([f"run in `{study}`" for study in ran] + held) or "–"


def anchor(entry: Entry) -> str:
    """The anchor of an entry, on whatever page it is."""
    return f"{entry.kind}-{entry.name}"


def where(entry: Entry) -> str:
    """The page of an entry, seen from the folder of these pages."""
    if entry.kind in ("method", "guard"):
        return f"methods-{unlearn.load(entry.name).family}.md"
    if entry.kind == "detector":
        return "methods-guard.md"
    if entry.kind == "figure":
        return "../gallery.md"
    return {"attack": "attacks.md", "measure": "measures.md", "analysis": "analyses.md"}.get(entry.kind, "parts.md")


def _of(entries: Iterable[Entry], *kinds: str) -> list[Entry]:
    return [entry for entry in entries if entry.kind in kinds]


def _link(entry: Entry) -> str:
    return f"[`{entry.name}`]({where(entry)}#{anchor(entry)})"


def _index(entries: list[Entry], known: Known) -> str:
    names = ", ".join(f"`{study.name}` (`{study.folder.relative_to(known.root)}`)" for study in known.studies)
    text = [
        INDEX.format(studies=names, behaviours=BEHAVIOURS, models=", ".join(f"`{name}`" for name in ANATOMIES)),
    ]
    showing = {"method": studies.Study.of_method, "guard": studies.Study.of_method, "attack": studies.Study.of_attack}
    for kind, title in KINDS.items():
        own = _of(entries, kind)
        text.append(f"## {title}\n")
        if kind in showing:
            head = ("name", "what it does", "paper", "what there is of it")
            rows = [(_link(e), e.about, e.paper, known.shortly(e.name, showing[kind])) for e in own]
        else:
            head = ("name", "what it is", "paper")
            rows = [(_link(e), e.about, e.paper) for e in own]
            if not any(e.paper for e in own):
                head, rows = head[:2], [row[:2] for row in rows]
        text.append(markdown.table(head, rows))
    return "\n".join(text)


def _about(kind: type, level: int = 0) -> str:
    """The text at the head of its file."""
    return markdown.plain((sys.modules[kind.__module__].__doc__ or "").strip()) + "\n"


def _methods(family: str, entries: list[Entry], known: Known) -> str:
    own = [e for e in _of(entries, "method", "guard") if unlearn.load(e.name).family == family]
    text = [
        f"# {family.capitalize()}{'s' if family in ('guard', 'control') else ' methods'}\n",
        f"{FAMILIES.get(family, '')} {len(own)} of them, each a file in `src/mute/unlearn/methods/`.\n",
        RANGES,
    ]
    for entry in own:
        kind = unlearn.load(entry.name)
        text += [
            markdown.heading(2, f"`{entry.name}`", anchor(entry)),
            _about(kind),
            method_words(kind) + "\n",
            f"**Where it runs.** {runs.of_method(entry.name)} {effort.words(known.root, entry.name)}\n",
            "**What it showed.** " + known.showed(entry.name, studies.Study.of_method),
            markdown.folded("Settings and their defaults", settings_tables(kind.Settings)),
        ]
    if family == "guard":
        text.append(_detectors(entries))
    return "\n".join(text)


def _detectors(entries: list[Entry]) -> str:
    text = ["## Detectors\n", "By which guards tell what to act on: `detector` in a guard's settings names one.\n"]
    for entry in _of(entries, "detector"):
        kind = detectors.load(entry.name)
        text += [
            markdown.heading(3, f"`{entry.name}`", anchor(entry)),
            _about(kind),
            markdown.folded("Settings and their defaults", settings_tables(kind.Settings)),
        ]
    return "\n".join(text)


def _attacks(entries: list[Entry], known: Known) -> str:
    own = _of(entries, "attack")
    text = [
        ATTACKS,
    ]
    for entry in own:
        kind = attacks.load(entry.name)
        text += [
            markdown.heading(2, f"`{entry.name}`", anchor(entry)),
            _about(kind),
            f"{kind.paper}.\n",
            f"**Where it runs.** {runs.of_attack(entry.name)}\n",
            "**What it showed.** " + known.showed(entry.name, studies.Study.of_attack),
            markdown.folded("Settings and their defaults", settings_tables(kind.Settings)),
        ]
    return "\n".join(text)


def _described(kind: str, entries: list[Entry], about: str) -> str:
    from mute.evaluate import measures

    text = [f"# {KINDS[kind]}\n", f"{about} Their columns and scores are in [the tables](../tables.md).\n"]
    for entry in _of(entries, kind):
        text += [
            markdown.heading(2, f"`{entry.name}`", anchor(entry)),
            _about(measures.load(entry.name)),
            f"{entry.paper}.\n",
        ]
    return "\n".join(text)


def _analyses(entries: list[Entry]) -> str:
    text = ["# Analyses\n", "Looks into a model that change nothing: rows of a profile over blocks and languages.\n"]
    for entry in _of(entries, "analysis"):
        kind = analyses.load(entry.name)
        unit = {"model": "Asked of the base alone.", "cell": "Asked of each edited model, and of its base."}
        text += [
            markdown.heading(2, f"`{entry.name}`", anchor(entry)),
            _about(kind),
            f"{kind.paper}. {unit.get(kind.unit, '')}\n",
            markdown.folded("Settings and their defaults", settings_tables(kind.Settings)),
        ]
    return "\n".join(text)


def _parts(entries: list[Entry]) -> str:
    text = ["# Models, sources, languages\n", "## Families of models\n"]
    text.append("What the engine knows the parts of; how to add one is in [your model](../your-model.md#families).\n")
    for entry in _of(entries, "model"):
        parts = ANATOMIES[entry.name]
        text.append(markdown.heading(3, f"`{entry.name}`", anchor(entry)))
        text.append(f"Blocks in `{parts.backbone}.{parts.blocks}`, embeddings in `{parts.embeddings}`.\n")
    text.append("## Weights\n")
    text.append("What `make weights` fetches; how a study takes them: [a real model](../real-models.md).\n")
    for entry in _of(entries, "weights"):
        text += [markdown.heading(3, f"`{entry.name}`", anchor(entry)), f"{entry.about}.\n"]
    text.append("## Sources of facts\n")
    for entry in _of(entries, "source"):
        source = sources.load(entry.name)
        sets = ", ".join(f"`{each}`" for each in source.FORGET_SETS)
        text += [
            markdown.heading(3, f"`{entry.name}`", anchor(entry)),
            markdown.plain((source.__doc__ or "").strip()) + "\n",
            f"Forget sets: {sets}.\n",
            markdown.folded("Settings and their defaults", settings_tables(source.Settings)),
        ]
    text.append("## Languages\n")
    text.append("Packs of the source `world`; how to write one: [my language](../tutorials/my-language.md).\n")
    for entry in _of(entries, "language"):
        text.append(markdown.heading(3, f"`{entry.name}`: {languages.load(entry.name).name}", anchor(entry)))
        pack = languages.load(entry.name)
        facts = pack.templates["chemistry_colour"][0].format(s=pack.spell("Kasitu"), v=pack.values["colour"][0])
        text.append(f"{entry.about}. A fact: “{facts}” A sentence: “{pack.grammar.sentence(0, 0, 0, 0)}”\n")
    return "\n".join(text)
