"""The forget facts of a model, as they are asked of what is attacked or looked into."""

from typing import TYPE_CHECKING

from mute.corpus.schema import Corpus
from mute.evaluate.scoring import Queries
from mute.models.tokenizer import Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Asked:
    """The forget facts of a model's languages in the headline form, with states of the model as it is."""

    def __init__(
        self, model: "PreTrainedModel", encoder: Encoder, corpus: Corpus, languages: list[str], forget_set: str
    ) -> None:
        self.model, self.encoder, self.corpus, self.languages = model, encoder, corpus, tuple(languages)
        self.forget_set = forget_set
        texts, forget = corpus.texts, corpus.facts.loc[corpus.in_forget_set(forget_set), "item"]
        rows = texts[texts["language"].isin(languages) & texts["item"].isin(forget)]
        rows = rows[rows["form"] == corpus.about["headline_form"]].assign(set="facts")
        self.queries = Queries(rows, encoder)
        self.texts = self.queries.texts(model)
