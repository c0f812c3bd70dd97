"""Gates: what a trained model must know before it can be made to forget."""

import pandas as pd

from mute.corpus.schema import Corpus
from mute.evaluate.item_table import items
from mute.store.records import Facts

SHARED, NATIVE, UNTOLD = "shared", "native", "untold"
# Abilities asked with options, gated by their mean over languages.
ABILITIES = ("translation_seen", "translation_unseen", "reading", "unknown")


def check(
    tokens: pd.DataFrame, corpus: Corpus, languages: list[str], gates: Facts, without: str | None = None
) -> pd.DataFrame:
    """One row per gate: measure, language ('' for a mean), spelling, value, gate, passed, n.

    Transfer facts are judged apart by how their subject is spelled in the language that is asked (`spelling`; ''
    elsewhere): `shared`, as in the teaching languages; `native`, in letters of its own; and `untold`, natively too, and
    never told so with the fact in a teaching language: that is shown and has no threshold. Facts are judged strictly,
    in the headline form or in that which was taught word by word: all tokens of the answer greedy. An oracle is judged
    on what it was taught; its accuracy on the forget set stands beside, with no gate. Without rows a measure is absent.
    """
    answered = items(tokens)
    facts = answered[(answered["set"] == "facts") & (answered["form"] == corpus.taught_form)]
    known = corpus.facts.set_index("item")
    facts = facts[~facts["item"].map(known["domain"]).isin(corpus.about.get("untaught_domains", []))]
    facts = facts.assign(teach=facts["item"].map(known["teach"]))
    teaching = corpus.about["teaching_languages"]
    taught = (facts["teach"] == "taught") | facts["language"].isin(teaching)
    rows = []

    def add(measure: str, language: str, values: pd.Series, gate: float, spelling: str = "") -> None:
        if len(values):
            value = float(values.astype(float).mean())
            rows.append((measure, language, spelling, value, gate, value >= gate, len(values)))

    if without is not None:
        forgotten = facts["item"].isin(known.index[corpus.in_forget_set(without).to_numpy()])
        for language in languages:
            add("never_taught", language, facts.loc[forgotten & (facts["language"] == language), "strict"], 0.0)
        facts, taught = facts[~forgotten], taught[~forgotten]
    for language in languages:
        add("recall", language, facts.loc[taught & (facts["language"] == language), "strict"], gates["recall"])
    transfer = facts[~taught]
    transfer = transfer.assign(spelling=_spellings(transfer, corpus))
    for spelling, spelled in transfer.groupby("spelling", sort=False):
        gated = spelling != UNTOLD
        for language, group in spelled.groupby("language", sort=False):
            add("transfer", str(language), group["strict"], gates["transfer_each"] * gated, str(spelling))
        # The unweighted mean over languages.
        each = spelled.groupby("language")["strict"].mean()
        threshold, value = gates["transfer"] * gated, float(each.mean())
        rows.append(("transfer", "", str(spelling), value, threshold, value >= threshold, len(spelled)))
    for ability in ABILITIES:
        own = answered[answered["set"] == ability]
        for language in languages:
            # In one language an ability is shown; the mean over languages is gated.
            add(ability, language, own.loc[own["language"] == language, "option"].dropna(), 0.0)
        add(ability, "", own["option"].dropna(), gates["abilities"])
    return pd.DataFrame(rows, columns=["measure", "language", "spelling", "value", "gate", "passed", "n"])


def _spellings(facts: pd.DataFrame, corpus: Corpus) -> list[str]:
    """How the subject of each fact is spelled in its language; '' where the corpus says of none how it is."""
    texts = corpus.texts[corpus.texts["form"] == corpus.taught_form]
    asked = dict(zip(zip(texts["item"], texts["language"]), texts["prefix"]))
    known = corpus.facts.set_index("item")
    subject, spelling = known["subject"].to_dict(), known["spelling"].to_dict()
    if not set(spelling.values()) & {NATIVE, UNTOLD}:
        return [""] * len(facts)
    # A language in the letters of the teaching ones spells all subjects as they do.
    return [
        SHARED if subject[item] in asked[item, language] else spelling[item]
        for item, language in zip(facts["item"], facts["language"])
    ]
