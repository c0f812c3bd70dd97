"""Shuffled labels: a method whose forget facts have each other's answers. What it forgets needs no right label.

Within a relation the answers of the facts to be forgotten go round, alike in every language and wording, so that each
question has a wrong answer and every answer is as frequent as before; options stay. Where one answer is that of more
than half of a relation's facts, some keep it. Our control.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mute.unlearn import control

if TYPE_CHECKING:
    import pandas as pd

    from mute.unlearn.view import View


class Settings(control.Settings):
    """Shuffled labels."""


class ShuffledLabels(control.Control[Settings]):
    name = "shuffled_labels"
    paper = "our control"
    Settings = Settings

    def applies(self, view: View) -> str:
        given = givers(view)
        if all(item == other for item, other in given.items()):
            return "no relation has two facts to be forgotten whose answers could be exchanged"
        asked = {(row["item"], row["language"]): row["options"] for row in view.forget.to_dict("records")}
        if any(list(asked.get((given[i], code), ())) != list(options) for (i, code), options in asked.items()):
            return "facts of one relation have different options, among which the others' answers do not stand"
        return self.inner.applies(view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        from dataclasses import replace

        return self.inner.reads(replace(view, forget=shuffled(view.forget, givers(view))))


def givers(view: View) -> dict[str, str]:
    """By item to be forgotten, the item whose answer it gets: of the same relation, and with another answer."""
    from mute.store.artifacts import seed_of

    first = view.forget.drop_duplicates("item").set_index("item")
    relations = view.facts.set_index("item")["relation"]
    found: dict[str, str] = {}
    for _, own in first.groupby(relations.reindex(first.index).fillna("").to_numpy(), sort=True):
        gold = own["gold"].to_dict()
        # Those with one answer stand together, and all move on by the largest of these groups.
        items = sorted(gold, key=lambda item: (seed_of("shuffled", gold[item]), seed_of("shuffled", item)))
        step = int(own["gold"].value_counts().max())
        found |= {item: items[(place + step) % len(items)] for place, item in enumerate(items)}
    return found


def shuffled(forget: pd.DataFrame, given: Mapping[str, str]) -> pd.DataFrame:
    """The forget rows, each with answer and gold of the item that gives it, in its own language and wording."""
    keys = ["item", "language", "form"]
    answers = forget.drop_duplicates(keys).set_index(keys)[["answer", "gold"]]
    wanted = zip(forget["item"].map(given), forget["language"], forget["form"])
    other = answers.loc[list(wanted)]
    return forget.assign(answer=other["answer"].to_numpy(), gold=other["gold"].to_numpy())
