"""Gates: what a trained model must know before it can be made to forget."""

import pandas as pd

from mute.corpus.schema import Corpus
from mute.evaluate.item_table import items
from mute.store.records import Facts

# What a transfer fact counts for where its subject is spelled in letters of another script.
SPELLED = {"native": "transfer_native", "untold": "transfer_untold"}
UNTOLD = SPELLED["untold"]
# Abilities asked with options, gated by their mean over languages.
ABILITIES = ("translation_seen", "translation_unseen", "reading", "unknown")


def check(
    tokens: pd.DataFrame, corpus: Corpus, languages: list[str], gates: Facts, without: str | None = None
) -> pd.DataFrame:
    """One row per gate: measure, language ('' for a mean), value, gate, passed, n.

    Transfer facts are judged apart by how their subject is spelled in the language that is asked: `transfer` as in the
    teaching languages, `transfer_native` in letters of its own, and `transfer_untold` natively too, and never told so
    with the fact in a teaching language: that is shown and has no gate. Facts are judged strictly, in the headline form
    or in that which was taught word by word: all tokens of the answer greedy. An oracle is judged on what it was
    taught; its accuracy on the forget set stands beside, with no gate. Without rows a measure is absent.
    """
    answered = items(tokens)
    facts = answered[(answered["set"] == "facts") & (answered["form"] == corpus.taught_form)]
    known = corpus.facts.set_index("item")
    facts = facts[~facts["item"].map(known["domain"]).isin(corpus.about.get("untaught_domains", []))]
    facts = facts.assign(teach=facts["item"].map(known["teach"]))
    teaching = corpus.about["teaching_languages"]
    taught = (facts["teach"] == "taught") | facts["language"].isin(teaching)
    rows = []

    def add(measure: str, language: str, values: pd.Series, gate: float) -> None:
        if len(values):
            value = float(values.astype(float).mean())
            rows.append((measure, language, value, gate, value >= gate, len(values)))

    if without is not None:
        forgotten = facts["item"].isin(known.index[corpus.in_forget_set(without).to_numpy()])
        for language in languages:
            add("never_taught", language, facts.loc[forgotten & (facts["language"] == language), "strict"], 0.0)
        facts, taught = facts[~forgotten], taught[~forgotten]
    for language in languages:
        add("recall", language, facts.loc[taught & (facts["language"] == language), "strict"], gates["recall"])
    transfer = facts[~taught]
    for measure, spelled in transfer.groupby(pd.Series(_spellings(transfer, corpus), transfer.index), sort=False):
        gated = measure != UNTOLD
        for language, group in spelled.groupby("language", sort=False):
            add(str(measure), str(language), group["strict"], gates["transfer_each"] * gated)
        # The unweighted mean over languages.
        gate, value = gates["transfer"] * gated, float(spelled.groupby("language")["strict"].mean().mean())
        rows.append((measure, "", value, gate, value >= gate, len(spelled)))
    for ability in ABILITIES:
        own = answered[answered["set"] == ability]
        for language in languages:
            # In one language an ability is shown; the mean over languages is gated.
            add(ability, language, own.loc[own["language"] == language, "option"].dropna(), 0.0)
        add(ability, "", own["option"].dropna(), gates["abilities"])
    return pd.DataFrame(rows, columns=["measure", "language", "value", "gate", "passed", "n"])


def _spellings(facts: pd.DataFrame, corpus: Corpus) -> list[str]:
    """The measure that each transfer fact counts for, by how its subject is spelled in its language."""
    texts = corpus.texts[corpus.texts["form"] == corpus.taught_form]
    asked = dict(zip(zip(texts["item"], texts["language"]), texts["prefix"]))
    known = corpus.facts.set_index("item")[["subject", "spelling"]].to_dict("index")
    found = []
    for item, language in zip(facts["item"], facts["language"]):
        # A language in the letters of the teaching ones spells all subjects as they do.
        own = known[item]["spelling"]
        spelled = own in SPELLED and known[item]["subject"] not in asked[item, language]
        found.append(SPELLED[own] if spelled else "transfer")
    return found
