"""Asks a pretrained model what it knows of a corpus already, and what it would guess if it did not know the subject.

Facts are gated by the wording that decides (`mute.corpus.known`). A model that does not know which subject is meant
still answers better than chance, for some answers are likelier than others, and the facts that pass a gate are those
with likely answers. What is left when a fact is forgotten is this guess: each fact is asked about another subject,
whose own answer is not among the options.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from mute.corpus import known
from mute.corpus.schema import Corpus
from mute.evaluate.scoring import Queries
from mute.jobs import progress
from mute.models.tokenizer import Encoder
from mute.store.artifacts import seed_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def ask(
    model: "PreTrainedModel",
    encoder: Encoder,
    corpus: Corpus,
    asked: Sequence[str],
    *,
    languages: list[str],
    right_in: int,
) -> pd.DataFrame:
    """The table of known facts in the languages `asked`; `languages` and `right_in` decide on a fact.

    Raises ValueError if no fact is known.
    """
    texts = corpus.texts[corpus.texts["form"] == corpus.about["unlearning_forms"][0]]
    found = []
    for code in progress.each(asked, "language asked"):
        rows = texts[texts["language"] == code]
        found.append(rows[["item", "language"]].assign(right=_hits(model, encoder, rows)))
    return known.gated(pd.concat(found, ignore_index=True), languages, right_in)


def guesses(model: "PreTrainedModel", encoder: Encoder, corpus: Corpus, table: pd.DataFrame) -> pd.DataFrame:
    """item, language, form, guess: whether a known fact's answer is the likeliest option when another subject is named.

    table: of known facts. Forms are those that scores and the dose ask. The other subject is one of the same relation,
    drawn by lot, the same in every language and form. A fact for which there is none is left out.
    """
    forms = {*corpus.asked_forms, corpus.about["unlearning_forms"][0]}
    texts = corpus.texts[corpus.texts["form"].isin(forms)]
    other = others(corpus)
    prefixes = texts.set_index(["item", "language", "form"])["prefix"]
    mine = corpus.restricted(table).texts
    mine = mine[mine["form"].isin(forms) & mine["item"].isin(other)]
    found = []
    for code in progress.each(list(dict.fromkeys(mine["language"])), "language asked about other subjects"):
        rows = mine[mine["language"] == code]
        keys = list(zip(rows["item"].map(other), rows["language"], rows["form"]))
        hits = _hits(model, encoder, rows.assign(prefix=prefixes.loc[keys].to_numpy()))
        found.append(rows[["item", "language", "form"]].assign(guess=hits.astype(float)))
    return pd.concat(found, ignore_index=True)


def others(corpus: Corpus) -> dict[str, str]:
    """For each fact another of its relation whose answer is in no language among the first one's options."""
    texts = corpus.texts[corpus.texts["form"] == corpus.about["headline_form"]]
    answers = texts.groupby("item")["answer"].agg(set).to_dict()
    options = texts.groupby("item")["options"].agg(lambda listed: {word for own in listed for word in own}).to_dict()
    found = {}
    for _, facts in corpus.facts.groupby(["domain", "relation"], sort=False):
        for item in facts["item"]:
            ranked = sorted(facts["item"], key=lambda one, item=item: seed_of("guess", item, one))
            if (one := next((one for one in ranked if not answers[one] & options[item]), None)) is not None:
                found[item] = one
    return found


def told(tokens: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """A token table with the guesses beside the first token of each fact that has one."""
    keys = ["item", "language", "form"]
    index = pd.MultiIndex.from_frame(tokens[keys])
    beside = table.set_index(keys)["guess"].reindex(index).to_numpy()
    asked = (tokens["set"] == "facts") & (tokens["position"] == 0)
    return tokens.assign(guess=pd.Series(beside, tokens.index).where(asked))


def _hits(model: "PreTrainedModel", encoder: Encoder, rows: pd.DataFrame) -> pd.Series:
    queries = Queries(rows.assign(set="facts"), encoder)
    hits = queries.run(model, queries.texts(model)).option_hits()
    return pd.Series(hits.numpy(), rows.index)
