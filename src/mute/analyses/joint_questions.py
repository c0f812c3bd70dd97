"""Joint questions: a fact to be forgotten and one to be kept, asked in one prompt.

An edit may answer each alone as it should and fail where both meet: refuse the fact to be kept beside the name of one
to be forgotten, or tell what was forgotten once another fact of the kind was told. Each question to be forgotten is
asked behind a kept fact, and that kept fact behind the question, whose answer is left open. Ours; what it gives of the
base says how much of a loss is the longer prompt's.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject

OPEN = "___"
RETAIN = ("retain_seen", "retain_unseen")


class Settings(base.CellSettings):
    """Joint questions."""

    seed: int = Field(0, ge=0, description="Draws the kept fact of each question.")


class JointQuestions(base.Analysis[Settings]):
    """At the first edited block, of a language, each the share whose right option is the likeliest, 0 to 1.

    joint_forget: facts to be forgotten, behind a kept one; joint_retain: those kept ones, behind the open question.
    joint_forget_alone, joint_retain_alone: the same facts, each asked alone. Languages and facts without options have
    no row.
    """

    name = "joint_questions"
    paper = "ours"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        return 4.0

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        from mute.evaluate import item_table
        from mute.evaluate.scoring import Queries

        rows: list[list[object]] = []
        for name, questions in pairs(asked, self.settings.seed).items():
            if questions.empty:
                continue
            # A guard hears the whole prompt, and may change it.
            given = Queries(subject.questions(questions), asked.encoder)
            found = item_table.items(subject.ask(given).tokens())
            for code, own in found.groupby("language", sort=False)["option"]:
                rows.append([name, case.first, code, float(own.to_numpy(float).mean()), len(own)])
        table = pd.DataFrame(rows, columns=list(base.COLUMNS))
        return table[table["value"].notna()].reset_index(drop=True)


def pairs(asked: Asked, seed: int) -> dict[str, pd.DataFrame]:
    """Questions by measure: each fact to be forgotten with a kept one of its language, of its options if there is one.

    A kept fact may stand beside several; it is asked once alone.
    """
    import pandas as pd

    from mute.corpus import rewording

    forget = asked.queries.rows
    forget = forget[forget["options"].map(len) > 1].reset_index(drop=True)
    kept = _kept(asked, seed)
    partners = [kept(row.item, row.language, list(row.options)) for row in forget.itertuples()]
    forget = forget[[partner is not None for partner in partners]].reset_index(drop=True)
    found = [partner for partner in partners if partner is not None]
    retain = pd.DataFrame(found, columns=list(forget.columns))
    both = list(zip(forget["language"], forget["prefix"], forget["suffix"], retain["prefix"], retain["suffix"]))
    told = [kept + answer + end for (*_, kept, end), answer in zip(both, retain["answer"])]
    # An item of a language stands once in a table: a kept fact is asked behind the first of its questions.
    once = ~retain.duplicated(["item", "language"])
    behind = [rewording.joined(code, prefix + OPEN + end, kept) for code, prefix, end, kept, _ in both]
    return {
        "joint_forget": forget.assign(
            prefix=[rewording.joined(code, text, prefix) for (code, prefix, *_), text in zip(both, told)]
        ),
        "joint_retain": retain.assign(prefix=behind)[once].reset_index(drop=True),
        "joint_forget_alone": forget,
        "joint_retain_alone": retain[once].reset_index(drop=True),
    }


def _kept(asked: Asked, seed: int) -> Callable[[str, str, list[str]], dict[str, Any] | None]:
    """kept(item, language, options): the row of a kept fact, or None where the language has none with options."""
    corpus = asked.corpus
    texts, roles = corpus.texts, corpus.roles(asked.forget_set)
    rows = texts[(texts["form"] == corpus.about["headline_form"]) & texts["item"].map(roles).isin(RETAIN)]
    rows = rows[rows["options"].map(len) > 1].assign(set="facts")
    every = {code: own.to_dict("records") for code, own in rows.groupby("language")}

    def kept(item: str, language: str, options: list[str]) -> dict[str, Any] | None:
        own = every.get(language, [])
        alike = [row for row in own if list(row["options"]) == options] or own
        return random.Random(f"{seed} {item}").choice(alike) if alike else None

    return kept
