"""Checks of a finished corpus, whatever its source: forget sets large enough, and texts that files can hold."""

from collections.abc import Iterable

from mute.corpus.reading import CONTROL, some
from mute.corpus.schema import Corpus

# The unbiased CKA that chooses layers compares so many facts at least.
FEWEST = 4


def check(corpus: Corpus, forget_sets: Iterable[str]) -> None:
    """Raise ValueError for forget sets that are not there or too small, and for texts that no file can hold."""
    known, problems = corpus.about["forget_sets"], []
    for name in forget_sets:
        if name not in known:
            problems.append(f"there is no forget set {name!r}; there are {', '.join(known)}")
            continue
        roles = corpus.roles(name)
        if (count := int((roles == "forget").sum())) < FEWEST:
            problems.append(f"forget set {name!r} has {count} facts, and layers are compared on {FEWEST} or more")
        if not (roles == "retain_seen").any():
            problems.append(f"no fact is left to retain beside forget set {name!r}")
    for column in ("prefix", "answer", "suffix", "options"):
        # As Python's own texts: pandas trips over halves of a character.
        texts = zip(corpus.texts["item"], corpus.texts[column])
        if bad := [item for item, text in texts if CONTROL.search("".join(text))]:
            problems.append(f"{column} with control characters, or halves of a character: {some(dict.fromkeys(bad))}")
    if problems:
        raise ValueError("the corpus cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
