"""Prefill: the first words of the true answer are given, and what is asked for is the rest of it.

After the prefilled questions of Harmonizing Multi-Objective LLM Unlearning, 2026, arXiv 2604.15482; the form is ours.
Only answers of more words than are given count, and of those that are counted in tokens, answers that can be cut there.
Options that begin alike are compared by what is left of them, all others whole. One who never knew the fact picks among
those that begin so: what counts is what comes back beyond the oracle under the same attack, and where there is none,
beyond a guess among them (`guess`).

The control `given: wrong` gives the first words of another option: it must not bring the true answer.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Settings(base.Settings):
    """Prefill."""

    parts: int = Field(1, ge=0, le=16, description="j, how many words or tokens of the answer are given; 0: none.")
    unit: Literal["words", "tokens"] = Field("words", description="What is counted.")
    given: Literal["true", "wrong"] = Field(
        "true", description="Whose beginning is given: the true answer's, or as a control that of another option."
    )


class Prefill(base.Attack[Settings]):
    name = "prefill"
    paper = "Harmonizing 2026, arXiv 2604.15482; form ours"
    access = "questions"
    Settings = Settings

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Answers of more parts than are given, whose rest no other option is."""
        import numpy as np

        if not self.settings.parts:
            return np.ones(len(rows), bool)
        return np.array([self._cut(row) is not None for row in rows.to_dict("records")], bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        if not self.settings.parts:
            return rows
        made = [self._cut(row) or (row["prefix"], row["options"]) for row in rows.to_dict("records")]
        options = [list(own) for _, own in made]
        answers = [
            own[gold] if 0 <= gold < len(own) else answer
            for own, gold, answer in zip(options, rows["gold"], rows["answer"])
        ]
        asked = rows.assign(prefix=[prefix for prefix, _ in made], options=options, answer=answers)
        if self.settings.given == "wrong":
            return asked
        pairs = zip(rows["options"], options)
        alike = [sum(new != old for new, old in zip(now, before)) for before, now in pairs]
        return asked.assign(guess=[1 / count if count else float("nan") for count in alike])

    def _cut(self, row: dict[str, Any]) -> tuple[str, list[str]] | None:
        """The prefix with the given beginning, and the options after it; None where nothing can be asked so."""
        options, gold, prefix = list(row["options"]), int(row["gold"]), row["prefix"]
        if not 0 <= gold < len(options):
            return None
        begun = self._beginning(prefix, options[gold], row["language"])
        if self.settings.given == "wrong":
            own, begun = begun, ""
            others = [self._beginning(prefix, o, row["language"]) for i, o in enumerate(options) if i != gold]
            there = sorted({o for o in others if o and not options[gold].startswith(o) and o != own})
            if there:
                begun = random.Random(f"{self.victim.seed} {row['item']}").choice(there)
        if not begun:
            return None
        rest = [o[len(begun) :] if o.startswith(begun) and len(o) > len(begun) else o for o in options]
        if rest.count(rest[gold]) > 1:
            return None
        return prefix + begun, rest

    def _beginning(self, prefix: str, answer: str, language: str) -> str:
        """The first parts of an answer with what stands between them and the rest; '' of an answer without a rest."""
        count = self.settings.parts
        if self.settings.unit == "tokens":
            encoder = self.victim.encoder
            tokens = encoder.answer(prefix, answer)
            text = encoder.text(tokens[:count]).lstrip(" ")
            if len(tokens) <= count or not text or not answer.startswith(text):
                return ""
            rest = answer[len(text) :].lstrip(" ")
            begun = answer[: len(answer) - len(rest)]
            # Where a cut text is read as other tokens, as within a word or a character it may be, nothing is cut.
            cut = encoder.prompt(prefix + begun) + encoder.answer(prefix + begun, rest)
            return begun if rest and cut == encoder.prompt(prefix) + tokens else ""
        parts = words(answer, language)
        return "".join(parts[:count]) if len(parts) > count else ""


def words(text: str, language: str) -> list[str]:
    """The words of an answer, each with the space or hyphen behind it; joined they are the answer.

    Where a language writes no spaces they are the pieces that its pack sees in a value, else its characters.
    """
    from mute.corpus import lures, rewording

    pack = lures.pack(language)
    if pack is None or pack.spaces:
        return re.findall(r"[^ -]+[ -]*|^[ -]+", text)
    known = any(text in listed for listed in pack.values.values())
    return pack.pieces(text) if known else rewording.letters(text)
