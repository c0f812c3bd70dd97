"""Strangers: names of the same kind as a corpus's subjects, that none of its facts is about.

A question about one has no answer that a model could know. Only a world of invented names can make more of them.
"""

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from mute.corpus import graph, languages, names_filter
from mute.corpus.languages.base import SYLLABLES
from mute.corpus.schema import Corpus
from mute.store.artifacts import seed_of

# The set of questions about strangers, and most of them in a language.
ASKED = "strangers"
LINES = 64


def of(corpus: Corpus, subjects: Sequence[str]) -> dict[str, str]:
    """For each subject a stranger of its own, the same in every language and study; empty where there can be none."""
    taken = {*corpus.facts["subject"], *graph.of(corpus).aliases.values()}
    if corpus.about.get("source") != "world" or len(taken) + len(subjects) > len(SYLLABLES) ** 3 // 2:
        return {}
    found: dict[str, str] = {}
    for subject in subjects:
        found[subject] = next(name for name in _drawn(subject) if name not in taken)
        taken.add(found[subject])
    return found


def _drawn(subject: str) -> Iterator[str]:
    """Endless names that will do in every language, drawn by the subject."""
    rng = random.Random(seed_of("stranger", subject))
    while True:
        name = "".join(rng.choices(SYLLABLES, k=3)).capitalize()
        if names_filter.fit(name):
            yield name


def untaught(corpus: Corpus) -> bool:
    """Whether something is asked that no model was taught, beside which what was taught can be held."""
    return corpus.about.get("source") == "world" or bool(corpus.about.get("untaught_domains"))


def questions(corpus: Corpus, codes: Sequence[str]) -> pd.DataFrame:
    """Questions of the set ASKED: up to LINES facts of some forget set in the headline form, about strangers.

    The same facts in every language. Answer and options are the fact's own: nobody was told of any that it is right.
    No row where a corpus can have no strangers.
    """
    facts, texts = corpus.facts, corpus.texts
    items = sorted(facts.loc[facts["forget_sets"].fillna("") != "", "item"])
    order = np.random.default_rng(seed_of(ASKED)).permutation(len(items))
    subjects = facts.set_index("item")["subject"].reindex([items[i] for i in order[:LINES]])
    twins = of(corpus, sorted(set(subjects)))
    known = texts["item"].isin(subjects.index) & texts["language"].isin(codes) if twins else texts["item"].isna()
    rows = texts[known & (texts["form"] == corpus.about["headline_form"])]
    prefixes = [
        renamed(prefix, subjects[item], twins[subjects[item]], code)
        for prefix, item, code in zip(rows["prefix"], rows["item"], rows["language"])
    ]
    rows = rows.assign(set=ASKED, prefix=pd.Series(prefixes, rows.index, dtype=object))
    return rows[rows["prefix"] != ""]


def renamed(prefix: str, subject: str, stranger: str, code: str) -> str:
    """A prompt with a stranger's name in the subject's place, in the letters in which that stands; '' if it is not."""
    name = told(prefix, subject, code)
    return prefix.replace(name, stranger if name == subject else _spell(stranger, code)) if name else ""


def told(prefix: str, subject: str, code: str) -> str:
    """A subject's name as it stands in a prompt, in Latin letters or in those of a language; '' if it does not."""
    return next((name for name in (subject, _spell(subject, code)) if name in prefix), "")


def _spell(name: str, code: str) -> str:
    return languages.load(code).spell(name) if code in languages.codes() else name
