"""Small models that know chemistry and history, oracles that know history alone, and edits of them, by seed."""

import copy
from functools import cache

import torch

from families import create
from mute.attacks import shard
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import pretrain
from mute.unlearn.bench import Workbench
from mute.unlearn.dose import Matching

SEEDS = (0, 1, 2)
SHAPE = {"blocks": 3, "hidden": 32, "heads": 2}
BAND = Band((1,))
SCHEDULE = {"steps": 90, "batch": 48, "learning_rate": 2e-2, "warmup": 5, "decay": 0.3, "parts": 1}


class Victims:
    """By seed a base, its oracle, and an edit; each is trained once."""

    def __init__(self, corpus, tokenizer, encoder):
        self.corpus, self.tokenizer, self.encoder = corpus, tokenizer, encoder
        self.base, self.oracle = cache(self._base), cache(self._oracle)
        self.edited = cache(self._edited)

    def _base(self, seed, family="llama"):
        return self._trained(("chemistry", "history"), family, seed)

    def _oracle(self, seed, family="llama"):
        return self._trained(("history",), family, seed)

    def _trained(self, domains, family, seed):
        texts = self.corpus.texts
        known = texts[texts["language"].isin(["en", "es"]) & texts["form"].isin([0, 1, 2])]
        known = known[known["item"].str.startswith(domains)]
        model = create(family, seed, vocabulary=len(self.tokenizer), **SHAPE)
        groups = pretrain.encode({"facts": known}, self.encoder)
        pretrain.pretrain(model, groups, shares={"facts": 1.0}, prompt_weight=0.05, seed=seed, **SCHEDULE)
        return model.requires_grad_(False)

    def _edited(self, seed, method="gradient_difference", **settings):
        """The base with one block edited to a tenth of what it knew in the source languages."""
        from mute import unlearn as methods
        from mute.models import patches
        from mute.unlearn.run import unlearn

        model = copy.deepcopy(self.base(seed))
        made = methods.make(method, {"strengths": [3e-3], "batch_size": 16, **settings})
        patches.put(model, unlearn(self.bench(model, seed), made, BAND, protocol="matched", seed=seed).tensors)
        return model

    def bench(self, model, seed):
        """A workbench of a model in its two languages, both of them sources."""
        return Workbench(
            model,
            self.encoder,
            self.corpus,
            languages=["en", "es"],
            sources=["en", "es"],
            forget_set="domain",
            retain="source",
            matching=Matching(),
            seed=seed,
            oracle=None,
        )

    def hits(self, model, attack=None, languages=("en", "es"), sources=("en", "es"), band=BAND, **settings):
        """Share of right options on forget facts, by language; under an attack, on those that it is tried on."""
        asked = Asked(model, self.encoder, self.corpus, list(languages), "domain")
        if attack is None:
            return right(Subject(model).ask(asked.queries, asked.texts).tokens())
        prepared = shard.Prepared(attack.name, attack, attack.Settings(**settings), 1, "")
        table, outcome = shard.attacked(asked, Subject(model), band, prepared, tuple(sources))
        assert outcome["status"] == "ok"
        return right(table)


def right(table):
    """Share of right options of a token table."""
    from mute.evaluate.item_table import items

    return float(items(table)["option"].mean())


def asked_of(model, encoder, corpus):
    return Asked(model, encoder, corpus, ["en", "es"], "domain")


def everything(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


_KNOWN: dict[int, Victims] = {}


def of(corpus, tokenizer, encoder):
    """The victims of a corpus, the same ones for all files of tests."""
    return _KNOWN.setdefault(id(corpus), Victims(corpus, tokenizer, encoder))
