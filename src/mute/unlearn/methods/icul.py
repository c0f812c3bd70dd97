"""ICUL, in-context unlearning: the model is shown the forget question with a wrong answer, then right ones, then asked.

Pawelczyk et al. 2023 (arXiv 2310.07579): [forget input] [flipped label], s right examples, the query. Here the forget
question that is most like the query, by cosine of character n-grams, with another option in its answer's place, then s
retain facts in the query's language, or where unlearning may not read that one in the first source language. Published:
s 2 to 6. No weight changes. Certainty: code. `label: true` is the control, which must lower nothing; `label: other`
flips another point in its place. It needs a model that learns in context: where right examples alone make retain
answers less likely than without by more than `tolerance`, the guard does not apply.

Of the tests' small model, once it was taught to go by examples, 0.7 of the forget answers are left, and all with
`label: true`; but it mixes up names, and a wrong example about another subject costs kept facts as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mute.unlearn import asking, base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.engine.band import Task
    from mute.unlearn.view import View


class Settings(base.Settings):
    """ICUL."""

    shots: int = Field(4, ge=0, le=32, description="s, right examples behind the wrong one.")
    flipped: int = Field(1, ge=0, le=8, description="Forget questions that are shown; 0 and no example: the base.")
    label: Literal["wrong", "true", "other"] = Field(
        "wrong", description="Which answer they have; `true` and `other` (another question's turn) are controls."
    )
    tolerance: float = Field(
        0.05, ge=0, le=1, description="What right examples may take off the mean probability of a retain answer token."
    )
    strengths: list[float] = Field([], description="Not used: nothing is trained.")


class Shown(asking.Before):
    """index of the forget questions; points [M]: each with its answer; examples: by language, prefix and whole text."""

    name = "icul"

    def __init__(
        self,
        index: Mapping[str, Tensor],
        points: Sequence[str],
        examples: Mapping[str, Sequence[tuple[str, str]]],
        settings: Settings,
    ) -> None:
        self.index, self.points, self.examples, self.settings = index, list(points), examples, settings
        super().__init__(self._own)

    def _own(self, prefixes: Sequence[str], languages: Sequence[str]) -> list[str]:
        s = self.settings
        if not s.flipped and not s.shots:
            return [""] * len(prefixes)
        order = asking.cosines(self.index, prefixes).argsort(dim=1, descending=True, stable=True)
        if s.label == "other":
            order = (order + 1) % len(self.points)
        first = next(iter(self.examples))
        made = []
        for prefix, code, nearest in zip(prefixes, languages, order[:, : s.flipped].tolist()):
            right = [text for asked, text in self.examples.get(code, self.examples[first]) if asked != prefix]
            made.append(" ".join([*(self.points[place] for place in nearest), *right[: s.shots]]))
        return made


class ICUL(base.Guard[Settings]):
    name = "icul"
    paper = "Pawelczyk et al. 2023, arXiv 2310.07579"
    bands = ("full",)
    expects = "open"
    Settings = Settings

    def cost(self) -> base.Cost:
        # Each example is about as long as a question, and stands before every one of its options.
        return base.Cost(trains="nothing", texts=float(self.settings.flipped + self.settings.shots))

    def applies(self, view: View) -> str:
        from mute.unlearn.methods.altpo import others

        able = any(others(row) for row in view.forget.to_dict("records"))
        return "" if able else "no forget question has another option, to stand in its answer's place"

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        from mute.unlearn.methods.uld import wrong

        facts = view.retain[view.retain["language"].isin(view.sources) & view.retain["item"].notna()]
        asked = list(zip(facts["language"], facts["prefix"], facts["answer"], facts["suffix"]))
        shown = Shown({}, [], examples(asked, view.sources), self.settings.model_copy(update={"flipped": 0}))
        right = [
            " ".join([text for prefix, text in shown.examples[code] if prefix != own][: self.settings.shots])
            for code, own, _, _ in asked
        ]
        context = facts.assign(prefix=[asking.put_before(text, own) for text, (_, own, _, _) in zip(right, asked)])
        return {
            "forget": view.forget,
            "retain": view.retain,
            "plain": facts,
            "context": context,
            "wrong": wrong(view.forget),
        }

    def fit(self, task: Task) -> dict[str, Tensor]:
        plain, context = (likely(task, side) for side in ("plain", "context"))
        if self.settings.shots and context < plain - self.settings.tolerance:
            raise base.NotApplicable(
                f"the model does not learn in context: behind right examples a token of a retain answer has a mean "
                f"probability of {context:.2f}, and {plain:.2f} without"
            )
        side = task.side("forget" if self.settings.label == "true" else "wrong")
        points = list(dict.fromkeys((prefix, prefix + answer + suffix) for prefix, answer, suffix in side.parts))
        own, languages = task.side("plain"), list(dict.fromkeys(task.forget.languages))
        right = examples([(code, *parts) for code, parts in zip(own.languages, own.parts)], languages)
        texts = {
            f"{part}.{code}": [pair[place] for pair in pairs]
            for code, pairs in right.items()
            for place, part in enumerate(("asked", "whole"))
        }
        return {
            **asking.indexed([prefix for prefix, _ in points]),
            **asking.kept("points", [text for _, text in points]),
            **asking.kept("codes", list(right)),
            **{key: tensor for name, own in texts.items() for key, tensor in asking.kept(name, own).items()},
        }

    def treatment(self, fitted: Mapping[str, Tensor]) -> Shown:
        index = {key: fitted[key] for key in ("idf", "vectors")}
        codes = asking.told("codes", fitted)
        right = {
            code: list(zip(asking.told(f"asked.{code}", fitted), asking.told(f"whole.{code}", fitted)))
            for code in codes
        }
        return Shown(index, asking.told("points", fitted), right, self.settings)


# Examples of each language that are kept, so that a question is never its own.
KEPT = 33


def examples(asked: Sequence[tuple[str, str, str, str]], languages: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """By language, the first languages first, some facts as prefix and whole text, in an order of their own."""
    from mute.store.artifacts import seed_of

    found: dict[str, list[tuple[str, str]]] = {code: [] for code in languages}
    for code, prefix, answer, suffix in sorted(asked, key=lambda own: seed_of("icul", *own)):
        if len(found.setdefault(code, [])) < KEPT:
            found[code].append((prefix, prefix + answer + suffix))
    return {code: own for code, own in found.items() if own}


def likely(task: Task, side: str) -> float:
    """Mean probability of an answer token of a side."""
    task.freeze_token_logprobs(side)
    kept = task.side(side).token_logprobs
    assert kept is not None
    return float(kept.exp().mean())
