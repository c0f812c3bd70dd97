"""What a pretrained model knows of a corpus already: facts gated by the first wording, language by language.

Unlearning and every score of such a model are about what it knows. The wording that decides is the one that unlearning
reads first; scores ask in others, so that what was chosen by luck is not counted as knowledge.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mute.store import artifacts

if TYPE_CHECKING:
    from mute.corpus.schema import Corpus

FILE = "known.csv"
GUESSES = "guesses.csv"  # what one answers who does not know the subject: `mute.evaluate.knowing`
COLUMNS = ["item", "language", "right", "known"]


def gated(right: pd.DataFrame, languages: list[str], right_in: int) -> pd.DataFrame:
    """The table of COLUMNS from item, language, right (bool): known is what is right in `right_in` of `languages` and
    in the language itself.

    Raises ValueError if no fact is known.
    """
    deciding = right[right["language"].isin(languages)]
    found = deciding.groupby("item")["right"].sum()
    kept = found.index[found >= right_in]
    table = right.assign(known=right["right"] & right["item"].isin(kept))[COLUMNS]
    if not table["known"].any():
        raise ValueError(
            f"the model knows no fact of the corpus: none is right in {right_in} of {', '.join(languages)} by the "
            "first wording. There is nothing to forget; teach it the corpus (adaptation) or lower known.right_in"
        )
    return table.sort_values(["item", "language"], ignore_index=True)


def of_model(corpus: "Corpus", folder: Path) -> "Corpus":
    """The corpus as far as the model in `folder` knows it; the whole corpus where nothing was gated."""
    if not (folder / FILE).exists():
        return corpus
    return restricted(corpus, artifacts.read_table(folder / FILE))


def restricted(corpus: "Corpus", table: pd.DataFrame) -> "Corpus":
    """The corpus with known facts alone, each in the languages in which it is known; lines stay."""
    known = table[table["known"]]
    pairs = pd.MultiIndex.from_frame(known[["item", "language"]])
    facts = corpus.facts[corpus.facts["item"].isin(known["item"])].reset_index(drop=True)
    own = pd.MultiIndex.from_frame(corpus.texts[["item", "language"]]).isin(pairs)
    return type(corpus)(facts, corpus.texts[own].reset_index(drop=True), lambda: corpus.lines, corpus.about)


def told(table: pd.DataFrame) -> str:
    """How many facts are known in each language, of how many, in words."""
    counts = table.groupby("language", sort=False)["known"].sum()
    return f"{', '.join(f'{code} {n}' for code, n in counts.items())} of {table['item'].nunique()} facts"
