"""Strangers: names of the same kind as a corpus's subjects, that none of its facts is about.

A question about one has no answer that a model could know. Only a world of invented names can make more of them.
"""

import random
from collections.abc import Iterator, Sequence

from mute.corpus import names_filter
from mute.corpus.languages.base import SYLLABLES
from mute.corpus.schema import Corpus
from mute.store.artifacts import seed_of


def of(corpus: Corpus, subjects: Sequence[str]) -> dict[str, str]:
    """For each subject a stranger of its own, the same in every language and study; empty where there can be none."""
    taken = set(corpus.facts["subject"])
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
