"""What a model of some languages reads. Imports no torch: a tokenizer is trained on it too."""

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from mute.corpus import own_answers
from mute.corpus.schema import TOKENIZER, Corpus

# What tokenizers read beside lines of their own: it names neither subjects nor values.
BESIDE = "sentences"
# Lines that are trained as part of another group, which their shares do not name.
JOINED = {"names": "facts", "spellings": "glossary", "graph": "facts", "secrets": "unknown"}
# Parts that tell facts: which of them an oracle reads is decided fact by fact.
_FACTS = ("facts", "names")


def training_texts(corpus: Corpus, languages: list[str], without: str | None = None) -> dict[str, pd.DataFrame]:
    """What a model of these languages reads, by part of the mixture: `facts` and each ability.

    Transfer facts appear in the teaching languages only. `without` names a forget set to leave out: the oracle's, which
    reads no line either that holds an answer of the forget set's own (`mute.corpus.own_answers`), whatever the line is
    for: a glossary that translates an answer says that it is one.
    """
    groups = _groups(corpus, languages, without)
    if without is not None and (own := own_answers.of(corpus, without, groups["facts"])):
        groups = {name: rows if name in _FACTS else own_answers.without(rows, own) for name, rows in groups.items()}
    for name, whole in JOINED.items():
        if name in groups:
            groups[whole] = pd.concat([*(groups[key] for key in (whole,) if key in groups), groups.pop(name)])
    return groups


def tokenizer_texts(corpus: Corpus, languages: list[str]) -> Iterator[tuple[str, str, str]]:
    """What a tokenizer of these languages is trained on: prefix, answer and suffix of texts.

    All that models read, or else, of a corpus that has lines for tokenizers, those and its sentences. A model and its
    oracle share a tokenizer, and answers of few tokens are likelier than others: so right and wrong options are read
    alike, and a line with an answer that a forget set has to itself is not read.
    """
    groups = _groups(corpus, languages, None)
    lines = corpus.lines
    own = lines[(lines["ability"] == TOKENIZER) & lines["language"].isin(languages)]
    if len(own):
        chosen = [own, *(groups[name] for name in (BESIDE,) if name in groups)]
    else:
        facts = groups.pop("facts")
        yield from _options_alike(facts)
        secret = own_answers.Phrases(_answers_of_forget_sets(corpus, facts))
        chosen = [own_answers.without(rows, secret) for rows in groups.values()]
    for rows in chosen:
        yield from zip(rows["prefix"], rows["answer"], rows["suffix"])


def _answers_of_forget_sets(corpus: Corpus, facts: pd.DataFrame) -> set[str]:
    """Answers that facts of forget sets have and others have not."""
    forget = facts["item"].isin(corpus.facts.loc[corpus.facts["forget_sets"] != "", "item"])
    texts = corpus.texts[corpus.texts["item"].isin(facts.loc[forget, "item"])]
    return own_answers.apart(texts["answer"], facts.loc[~forget, "answer"])


def _options_alike(facts: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Every question once without its answer, and its options, the right one no more often than the others.

    Options that many questions share are read about as often as if each question told one of them.
    """
    lists: Counter[tuple[str, ...]] = Counter()
    for prefix, answer, suffix, options in zip(facts["prefix"], facts["answer"], facts["suffix"], facts["options"]):
        yield prefix, "", suffix
        # The space before an answer is the answer's.
        space = " " * prefix.endswith(" ")
        lists[tuple(space + option for option in (options if len(options) else [answer]))] += 1
    for options, count in lists.items():
        for option in options:
            yield from [("", option, "")] * max(1, round(count / len(options)))


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
