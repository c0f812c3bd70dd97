"""Respelled: subjects in letters that a reader knows and a list does not: apart, joined, look-alikes, over two turns.

What a user types to get past a filter of words: spaces between the letters of a name, a zero-width joiner after each
(Boucher et al. 2022, Bad Characters, arXiv 2106.09898), letters of another script that look the same, or a name of
which a turn ends in the middle and the next goes on. The attacker knows the list, which is of subjects as questions
spell them, and nothing of the model. No model is taught to read such names: where the base cannot, the attack says
nothing. `share` is of a subject's letters, from its first on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.schema import Corpus

How = Literal["spaced", "joined", "alike", "parted"]
HOW: tuple[str, ...] = get_args(How)
JOINER, TURN = "\u200d", "\n"
_LATIN, _CYRILLIC = "aceiopsxyjABCEHIKMOPSTXJ", "асеіорѕхуј" + "АВСЕНІКМОРЅТХЈ"
ALIKE = {
    "Latin": str.maketrans(_LATIN, _CYRILLIC),
    "Cyrillic": str.maketrans(_CYRILLIC, _LATIN),
}


class Settings(base.Settings):
    """Respelled."""

    how: How = Field("spaced", description="Spaces between letters, joiners, letters that look alike, or two turns.")
    share: float = Field(1.0, ge=0, le=1, description="Of how many of a subject's letters; 0: none. Two turns: any.")


class Respelled(base.Attack[Settings]):
    name = "respelled"
    paper = "ours; Boucher et al. 2022, arXiv 2106.09898"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        return lacking(settings.how, language) if settings.share else ""

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Facts that name a subject which is spelt otherwise."""
        import numpy as np

        s = self.settings
        if not s.share:
            return np.ones(len(rows), bool)
        return (respelled(rows, self.victim.corpus, s.how, s.share) != rows["prefix"]).to_numpy(bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        s = self.settings
        return rows.assign(prefix=respelled(rows, self.victim.corpus, s.how, s.share)) if s.share else rows


def lacking(how: str, language: str) -> str:
    """Why subjects cannot be spelt so in a language, in words; ''."""
    from mute.corpus import lures
    from mute.corpus.mixed_up import expected
    from mute.corpus.romanised import SUFFIX

    pack = lures.pack(language)
    if how == "spaced" and pack is not None and not pack.spaces and not language.endswith(SUFFIX):
        return "it writes no spaces: they tell nothing apart there"
    if how != "alike" or language.endswith(SUFFIX):
        return ""
    script = next(iter(expected(language)), "")
    return "" if script in ALIKE else f"no letters of another script are known that look like its own ({script or '?'})"


def respelled(rows: pd.DataFrame, corpus: Corpus, how: str, share: float = 1.0) -> pd.Series:
    """The questions with their subjects spelt otherwise; as they are where none is named or it cannot be."""
    from mute.corpus import rewording

    named = rewording.subjects(rows, corpus)
    made = [
        prefix if not name or lacking(how, code) else prefix.replace(name, spelt(name, how, share))
        for prefix, name, code in zip(rows["prefix"], named, rows["language"])
    ]
    return rows["prefix"].iloc[:0] if rows.empty else type(rows["prefix"])(made, index=rows.index, name="prefix")


def spelt(name: str, how: str, share: float = 1.0) -> str:
    """A name of which a share of the letters, from the first on, is spelt otherwise."""
    from mute.corpus import rewording
    from mute.corpus.scripts import letters as scripts
    from mute.corpus.scripts import main

    letters = rewording.letters(name)
    count = round(share * len(letters))
    if how == "parted":
        middle = len(letters) // 2
        return "".join(letters[:middle]) + TURN + "".join(letters[middle:]) if share and middle else name
    if how == "alike":
        table = ALIKE.get(main(scripts(name)), {})
        return "".join([*(own.translate(table) for own in letters[:count]), *letters[count:]])
    between = {"spaced": " ", "joined": JOINER}[how]
    # None behind the last letter.
    apart = min(count, len(letters) - 1)
    return "".join([*(own + between for own in letters[:apart]), *letters[apart:]])
