"""The workbench: a model with the texts that unlearning reads and the questions by which it stops and chooses."""

import math
from typing import Any

import numpy as np
import pandas as pd

from mute.bands import Band
from mute.corpus.schema import Corpus
from mute.engine.band import TextSet
from mute.evaluate.scoring import Answers, Queries
from mute.evaluate.subject import Subject
from mute.models.anatomy import Model
from mute.models.tokenizer import Encoder
from mute.store.artifacts import seed_of
from mute.unlearn.base import Method
from mute.unlearn.dose import Matching
from mute.unlearn.view import View

# Above chance, or above one who never knew, by less than this there is nothing that could be lost.
MARGIN = 0.05
# Abilities whose validation lines say what an edit damages.
LINES = ("sentences", "reading")


class Workbench:
    """A model with the texts of one forget set, source languages and retain coverage, moved up block by block.

    Nothing here reads held-out languages (but the retain texts, where the coverage says so), test forms, test facts, or
    lines that an evaluation asks.

    questions: by what they ask for. `forget`: the probe, facts to be forgotten. `retain`: validation facts of the
    retain domains. `sentences`, `reading`: validation lines. All but the first only where the corpus has them.
    """

    def __init__(
        self,
        model: Model,
        encoder: Encoder,
        corpus: Corpus,
        *,
        languages: list[str],
        sources: list[str],
        forget_set: str,
        retain: str,
        matching: Matching,
        seed: int,
        oracle: pd.DataFrame | None,
        guesses: pd.DataFrame | None = None,
    ) -> None:
        self.model, self.matching, self.sources, self.seed = model, matching, sources, seed
        self.encoder = encoder
        about, roles, texts = corpus.about, corpus.roles(forget_set), corpus.texts
        self.view = View.of(corpus, languages=languages, sources=sources, forget_set=forget_set, retain=retain)
        self.forget = TextSet(model, self.view.forget, encoder)
        self.retain = TextSet(model, self.view.retain, encoder)
        asked = texts[texts["language"].isin(sources) & (texts["form"] == about["unlearning_forms"][0])]
        asked = asked.assign(set="facts", role=asked["item"].map(roles))
        forget_items = sorted(roles.index[roles == "forget"], key=lambda item: seed_of(seed, "probe", item))
        probe = asked[asked["item"].isin(forget_items[: matching.facts])]
        validation = corpus.facts.loc[corpus.facts["validation"], "item"]
        check = asked[asked["item"].isin(validation) & (asked["role"] == "retain_unseen")]
        self.questions = {"forget": Queries(probe, encoder)}
        if len(check):
            self.questions["retain"] = Queries(check, encoder)
        lines = corpus.validation_lines
        for ability, rows in lines[lines["language"].isin(sources)].groupby("ability"):
            if ability in LINES:
                self.questions[str(ability)] = Queries(rows, encoder)
        self.asked = {name: q.texts(model) for name, q in self.questions.items()}
        self.base = {name: _told(name, self._answers(name)) for name in self.questions}
        self.floor = _floor(probe, oracle, guesses)

    # What the last method read beside the two sides, and which method that was.
    further: dict[str, TextSet] = {}  # noqa: RUF012  replaced, never written to
    of: tuple[str, Any] | None = None

    def sides(self, method: Method) -> dict[str, TextSet]:
        """The text sets of what a method reads; those beside forget and retain are kept for its next run."""
        read, own = method.reads(self.view), {"forget": self.view.forget, "retain": self.view.retain}
        if self.of != (method.name, method.settings):
            new = {name: rows for name, rows in read.items() if rows is not own.get(name)}
            self.further = {name: TextSet(self.model, rows, self.encoder) for name, rows in new.items()}
            self.of = method.name, method.settings
        return {name: self.further.get(name) or getattr(self, name) for name in read}

    def _texts(self) -> list[Any]:
        sides = (self.forget, self.retain, *self.further.values())
        return [*(side.texts for side in sides), *self.asked.values()]

    def advance(self, block: int) -> None:
        """Move every text to the input of `block`; `restart` goes back to the first."""
        for texts in self._texts():
            texts.advance(block)

    def restart(self) -> None:
        for texts in self._texts():
            texts.restart()

    def make_room(self) -> None:
        """Keep states of texts in the host's memory: where models run, a large band needs it."""
        for texts in self._texts():
            if texts.kept:
                texts.states = texts.states.cpu()

    def _answers(self, name: str) -> Answers:
        return self.questions[name].run(self.model, self.asked[name])

    def accuracy(self, name: str) -> float:
        """Share of the `forget`, `retain` or `reading` questions whose gold option is the likeliest, as it is now."""
        return _share(self._answers(name))

    @property
    def measurable(self) -> bool:
        """Whether the base knows more than the floor: else there is nothing to forget, and no run is stopped."""
        return self.base["forget"] - self.floor > MARGIN

    @property
    def resolution(self) -> float:
        """What one question more or less changes in K; NaN where K is not measurable."""
        return self._known(self.floor + 1 / len(self.questions["forget"].rows))

    def under(self, subject: Subject) -> tuple[float, float, float]:
        """Knowledge, retained accuracy and damage, as below, of a model that is guarded."""
        asked: dict[str, Queries] = {}
        for name, queries in self.questions.items():
            rows = subject.questions(queries.rows)
            asked[name] = queries if rows is queries.rows else Queries(rows, self.encoder)
        with subject.installed():
            answers = {name: subject.ask(queries) for name, queries in asked.items()}
        found = {name: _told(name, own) for name, own in answers.items()}
        return self._known(found["forget"]), self._kept(found.get("retain", math.nan)), self._lost(found)

    def _known(self, accuracy: float) -> float:
        return (accuracy - self.floor) / (self.base["forget"] - self.floor) if self.measurable else math.nan

    def _kept(self, accuracy: float) -> float:
        return accuracy / max(self.base["retain"], 1e-9) if "retain" in self.questions else math.nan

    def _lost(self, found: dict[str, float]) -> float:
        """Damage, of what was found now; `found` needs no more than `damaging`."""
        kept = []
        if "sentences" in found:
            kept.append(self.base["sentences"] / found["sentences"])
        if "reading" in self.damaging:
            chance = self._chance
            kept.append((found["reading"] - chance) / (self.base["reading"] - chance))
        if not kept and "retain" in found:
            kept.append(self._kept(found["retain"]))
        return 1 - sum(kept) / len(kept) if kept else math.nan

    @property
    def _chance(self) -> float:
        """Accuracy of one who reads nothing."""
        return float((1 / self.questions["reading"].rows["options"].map(len)).mean())

    @property
    def damaging(self) -> list[str]:
        """The questions that tell the damage: validation lines, or where the base can none, validation facts."""
        lines = [name for name in LINES if name in self.questions]
        if "reading" in lines and self.base["reading"] - self._chance <= MARGIN:
            lines.remove("reading")
        return lines or [name for name in ("retain",) if name in self.questions]

    def _begin(self, name: str, band: Band) -> None:
        """Where embeddings changed, questions are asked from their tokens on."""
        if band.full:
            self.asked[name].restart()

    def knowledge(self, band: Band) -> float:
        """K on source languages, (A - A_floor) / (A_base - A_floor): 1 as the base, 0 as one who never knew.

        NaN where it is not measurable, and for a model that diverged.
        """
        if not self.measurable:
            return math.nan
        self._begin("forget", band)
        return self._known(self.accuracy("forget"))

    def retained(self, band: Band) -> float:
        """Accuracy on validation facts of the retain domains relative to the base; NaN where there are none."""
        if "retain" not in self.questions:
            return math.nan
        self._begin("retain", band)
        return self._kept(self.accuracy("retain"))

    def damage(self, band: Band) -> float:
        """What is lost on validation lines in the source languages: 0 nothing, 1 all; a gain is below 0.

        Mean over sentences, 1 - bits of the base / bits, and reading, 1 - accuracy above chance relative to the base's;
        of recall of validation facts where the corpus has no such lines. NaN where there is nothing to ask, and for a
        model that diverged.
        """
        for name in self.damaging:
            self._begin(name, band)
        return self._lost({name: _told(name, self._answers(name)) for name in self.damaging})


def _share(answers: Answers) -> float:
    """Share of questions whose gold option is the likeliest.

    NaN for a model whose answers are no numbers: it has diverged, and that is no erasure.
    """
    return math.nan if bool(answers.logprob.isnan().any()) else float(answers.option_hits().float().mean())


def _bits(answers: Answers) -> float:
    """Bits per character of the texts that were asked for; NaN for a model whose answers are no numbers."""
    letters = sum(map(len, answers.queries.rows["answer"]))
    return -float(answers.logprob[: answers.queries.gold_reads].double().sum()) / math.log(2) / letters


def _told(name: str, answers: Answers) -> float:
    return _bits(answers) if name == "sentences" else _share(answers)


def _floor(probe: pd.DataFrame, oracle: pd.DataFrame | None, guesses: pd.DataFrame | None) -> float:
    """Accuracy of one who never knew: the oracle's on the same questions, guesses without the subject, or chance."""
    keys, chance = ["item", "language", "form"], 1 / probe["options"].map(len).to_numpy()
    if oracle is None and guesses is not None:
        known = guesses.set_index(keys)["guess"]
        found = known.reindex(pd.MultiIndex.from_frame(probe[keys])).to_numpy()
        return float(np.where(np.isnan(found), chance, found).mean())
    if oracle is None:
        return float(chance.mean())
    from mute.evaluate.item_table import items

    known = items(oracle[oracle["set"] == "facts"]).set_index(keys)["option"]
    return float(known.loc[pd.MultiIndex.from_frame(probe[keys])].mean())
