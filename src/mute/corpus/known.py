"""What a pretrained model knows of a corpus already: facts gated by the first wording, language by language.

Unlearning and every score of such a model are about what it knows. The wording that decides is the one that unlearning
reads first; scores ask in others, so that what was chosen by luck is not counted as knowledge.
"""

import pandas as pd

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


def told(table: pd.DataFrame) -> str:
    """How many facts are known in each language, of how many, in words."""
    counts = table.groupby("language", sort=False)["known"].sum()
    return f"{', '.join(f'{code} {n}' for code, n in counts.items())} of {table['item'].nunique()} facts"
