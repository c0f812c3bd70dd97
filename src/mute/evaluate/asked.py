"""The forget facts of a model, as they are asked of what is attacked or looked into."""

from typing import Any

import pandas as pd

from mute.corpus.schema import Corpus
from mute.evaluate.scoring import Queries
from mute.models.tokenizer import Encoder


class Asked:
    """The forget facts of a model's languages in the headline form, with states of the model as it is."""

    def __init__(self, model: Any, encoder: Encoder, corpus: Corpus, languages: list[str], forget_set: str) -> None:
        self.model, self.encoder, self.corpus, self.languages = model, encoder, corpus, tuple(languages)
        self.forget_set = forget_set
        self.queries = Queries(forget_questions(corpus, languages, forget_set), encoder)
        self.texts = self.queries.texts(model)


def forget_questions(corpus: Corpus, languages: list[str], forget_set: str) -> pd.DataFrame:
    """The forget facts of some languages in the headline form, as questions."""
    forget = corpus.facts.loc[corpus.in_forget_set(forget_set), "item"]
    rows = corpus.texts[corpus.texts["language"].isin(languages) & corpus.texts["item"].isin(forget)]
    return rows[rows["form"] == corpus.about["headline_form"]].assign(set="facts")
