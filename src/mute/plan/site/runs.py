"""Where methods and attacks run: on which corpora and bands, asked of themselves."""

from functools import cache

from mute import attacks, unlearn
from mute.corpus import sources
from mute.corpus.schema import Corpus
from mute.unlearn.view import View

# Sources whose facts are in the package; those of the hub, and of a user's files, are only known once they are there.
ASKED = {"world": ("en", "es", "de", "hi"), "cldr": ("en", "es", "de", "hi")}
BANDS = {"1": "one block", "all": "all blocks", "full": "every parameter"}


@cache
def corpora() -> dict[str, Corpus]:
    """A corpus of each source that needs nothing from elsewhere, with its default settings."""
    made = {}
    for name, languages in ASKED.items():
        source = sources.load(name)
        made[name] = source.build(source.Settings(), list(languages), 1)
    return made


@cache
def views() -> dict[str, View]:
    """What unlearning reads of each corpus: two source languages, and the first forget set."""
    found = {}
    for name, corpus in corpora().items():
        first = sources.load(name).FORGET_SETS[0]
        languages = list(ASKED[name])
        found[name] = View.of(corpus, languages=languages, sources=languages[:2], forget_set=first, retain="source")
    return found


def of_method(name: str) -> str:
    """Where a method runs, in words."""
    kind = unlearn.load(name)
    if kind.bands:
        bands = f"the band{'s' * (len(kind.bands) > 1)} {', '.join(f'`{band}`' for band in kind.bands)} alone"
    else:
        bands = "any band"
    protocols = " and ".join(f"`{protocol}`" for protocol in kind.protocols)
    said = [f"On {bands}, under {protocols}."]
    method = kind(kind.Settings())
    reasons = {source: method.applies(view) for source, view in views().items()}
    fits = [f"`{source}`" for source, reason in reasons.items() if not reason]
    said += [f"It applies to the default corpora of {' and '.join(fits)}."] if fits else []
    said += [f"Not to that of `{source}`: {reason}." for source, reason in reasons.items() if reason]
    return " ".join(said)


def of_attack(name: str) -> str:
    """Where an attack is tried, in words."""
    kind = attacks.load(name)
    settings = kind.Settings()
    said = [f"It takes access to {kind.access}."]
    refused: dict[str, list[str]] = {}
    for intent, what in (("removal", "edit"), ("guard", "guard")):
        for band, where in BANDS.items():
            if reason := kind.applies(settings, band, intent):
                refused.setdefault(reason, []).append(f"an edit of {where}" if what == "edit" else "a guard")
    for reason, of in refused.items():
        said.append(f"Not tried on {', '.join(dict.fromkeys(of))}: {reason}.")
    for source, corpus in corpora().items():
        lacks = {code: reason for code in ASKED[source] if (reason := kind.lacks(settings, corpus, code))}
        for reason in dict.fromkeys(lacks.values()):
            codes = [code for code, own in lacks.items() if own == reason]
            where = "any language" if len(codes) == len(ASKED[source]) else ", ".join(codes)
            said.append(f"With its defaults not in {where} of `{source}`: {reason}.")
    cost = kind.cost(settings)
    trained = f" and trains every parameter for {cost.steps} steps of {cost.batch} sequences" if cost.steps else ""
    often = "once" if cost.asks == 1 else f"{cost.asks:g} times"
    said.append(f"With its defaults it asks the forget questions {often}{trained}.")
    return " ".join(said)
