"""What a model of some languages reads. Imports no torch: a tokenizer is trained on it too."""

from collections.abc import Iterator

import pandas as pd

from mute.corpus.schema import TOKENIZER, Corpus

# What tokenizers read beside lines of their own: it names neither subjects nor values.
BESIDE = "sentences"
# Lines that are trained as part of another group, which their shares do not name.
JOINED = {"names": "facts", "spellings": "glossary"}


def training_texts(corpus: Corpus, languages: list[str], without: str | None = None) -> dict[str, pd.DataFrame]:
    """What a model of these languages reads, by part of the mixture: `facts` and each ability.

    Transfer facts appear in the teaching languages only. `without` names a forget set to leave out: the oracle's.
    """
    groups = _groups(corpus, languages, without)
    for name, whole in JOINED.items():
        if name in groups:
            groups[whole] = pd.concat([*(groups[key] for key in (whole,) if key in groups), groups.pop(name)])
    return groups


def tokenizer_texts(corpus: Corpus, languages: list[str]) -> Iterator[tuple[str, str, str]]:
    """What a tokenizer of these languages is trained on: prefix, answer and suffix of texts.

    All that models read, or else, of a corpus that has lines for tokenizers, those and its sentences.
    """
    groups = _groups(corpus, languages, None)
    lines = corpus.lines
    own = lines[(lines["ability"] == TOKENIZER) & lines["language"].isin(languages)]
    chosen = [own, *(groups[name] for name in (BESIDE,) if name in groups)] if len(own) else groups.values()
    for rows in chosen:
        yield from zip(rows["prefix"], rows["answer"], rows["suffix"])


def _groups(corpus: Corpus, languages: list[str], without: str | None) -> dict[str, pd.DataFrame]:
    """What is read, with facts and lines of each ability apart."""
    facts = corpus.facts.set_index("item")
    if without is not None:
        facts = facts[~corpus.in_forget_set(without).to_numpy()]
    facts = facts[~facts["domain"].isin(corpus.about.get("untaught_domains", []))]
    texts = corpus.texts[corpus.texts["language"].isin(languages) & corpus.texts["item"].isin(facts.index)]
    if "training_forms" in corpus.about:
        texts = texts[texts["form"].isin(corpus.about["training_forms"])]
    taught = texts["item"].map(facts["teach"]).eq("taught")
    groups = {"facts": texts[taught | texts["language"].isin(corpus.about["teaching_languages"])]}
    lines = corpus.lines
    spoken = lines["language"].isin(languages) & lines["other"].isin([*languages, ""])
    for ability, rows in lines[lines["train"] & spoken].groupby("ability"):
        groups[str(ability)] = rows
    if "names" in groups:
        groups["names"] = groups["names"][groups["names"]["item"].isin(facts.index)]
    return groups
