"""What a call of `mute forget` found, language by language, in words and numbers that say no more than was measured."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import pandas as pd

from mute import api
from mute.corpus import cldr, languages
from mute.findings.results import MISSING, Number

# Of the knowledge K that is left, by its whole interval.
GONE, HALF = 0.25, 0.5
# Of what was to be kept, by its whole interval.
KEPT = 0.9
NOTHING = "nothing to forget"
_AS_TEXT = "{:<14} {:<9} {:>7} {:>7} {:>7}   {:<20} {}"


@dataclass(frozen=True)
class Left:
    """One language: right answers before and after, of guesses, and what is left of the knowledge, 1 as before."""

    code: str
    read: bool
    before: Number
    after: Number
    guessed: Number
    knowledge: Number
    kept_before: Number
    kept_after: Number
    kept: Number

    @property
    def name(self) -> str:
        """The language in English, where that is known."""
        if self.code in languages.codes():
            return languages.load(self.code).name
        return cldr.load(self.code).name if self.code in cldr.codes() else self.code

    @property
    def verdict(self) -> str:
        """Of what was to be forgotten: by where the whole interval lies, for within it nothing is decided."""
        if not self.knowledge:
            return NOTHING
        if self.knowledge.high <= GONE:
            return "gone"
        if self.knowledge.high < HALF:
            return "mostly gone"
        return "mostly left" if self.knowledge.low > HALF else "not decided"

    @property
    def kept_verdict(self) -> str:
        """Of what was to be kept."""
        if not self.kept:
            return "nothing to lose"
        if self.kept.high < 1:
            return "less than before"
        return "kept" if self.kept.low >= KEPT else "not decided"


@dataclass(frozen=True)
class Outcome:
    """All that the page and the table are made of.

    why: how the band was chosen. layers: the scores that chose it, or None. before, after: measures. packed: whether
    the model's numbers were packed (GGUF), so not its authors'. exported: whether the whole model was written.
    """

    model: str
    domain: str
    facts: api.Facts
    patch: api.Patch
    band: list[int] | Literal["all", "full"]
    why: str
    layers: pd.DataFrame | None
    before: pd.DataFrame
    after: pd.DataFrame
    packed: bool
    exported: bool

    @property
    def status(self) -> str:
        return str(self.patch.about["status"])

    @property
    def blocks(self) -> str:
        """The band in words."""
        if isinstance(self.band, str):
            return {"all": "all blocks", "full": "all parameters"}[self.band]
        listed = ", ".join(map(str, self.band))
        return f"block {listed}" if len(self.band) == 1 else f"blocks {listed}"

    @cached_property
    def languages(self) -> list[Left]:
        """Every language, those that unlearning read first."""
        others = [code for code in self.facts.languages if code not in self.facts.sources]
        return [self._left(code, code in self.facts.sources) for code in (*self.facts.sources, *others)]

    def _left(self, code: str, read: bool) -> Left:
        return Left(
            code,
            read,
            before=_number(self.before, "accuracy_option", code),
            after=_number(self.after, "accuracy_option", code),
            guessed=_number(self.before, "chance", code),
            knowledge=_number(self.after, "K", code),
            kept_before=_number(self.before, "retain_option", code),
            kept_after=_number(self.after, "retain_option", code),
            kept=_number(self.after, "C_facts", code),
        )

    @property
    def asked(self) -> int:
        """How many facts were to be forgotten."""
        return int((self.facts.corpus.facts["domain"] == self.domain).sum())

    def headline(self) -> list[str]:
        """What was found, in one to three sentences."""
        about = self.patch.about
        if self.status == "diverged":
            return [
                f"The run diverged at step {about['diverged_at']}: the patch is no result, and nothing was measured. "
                "Give a smaller learning rate by --set learning_rate=…, or another --algorithm."
            ]
        found = []
        if all(own.verdict == NOTHING for own in self.languages if own.read):
            found.append(
                "In the languages that unlearning read, the model knew no more of these facts than guessing: there was "
                "nothing to forget. Ask whether the prompts are such as this model goes on with."
            )
        elif self.status != "ok":
            found.append(
                f"Unlearning did not do what was asked (status {self.status}): "
                + _STATUSES.get(self.status, "see docs/tables.md")
            )
        read, others = ([own for own in self.languages if own.read is which] for which in (True, False))
        for own, words in ((read, "that unlearning read"), (others, "that it did not read")):
            found.append(f"In the languages {words}: {'; '.join(map(_said, own))}.")
        return found

    def terminal(self, folder: Path) -> str:
        """The short table, and where the rest lies."""
        lines = [
            f"{self.domain} in {self.model}: {self.asked} facts, {self.patch.about['algorithm']} on {self.blocks}, "
            f"read in {', '.join(self.facts.sources)}; status {self.status}",
            "",
            _AS_TEXT.format("language", "", "before", "after", "guess", "left of it, K", ""),
        ]
        for own in self.languages:
            lines.append(
                _AS_TEXT.format(
                    own.name[:14],
                    "read" if own.read else "held out",
                    *(f"{number.value:.0%}" if number else "–" for number in (own.before, own.after, own.guessed)),
                    str(own.knowledge),
                    own.verdict,
                )
            )
        lines += ["", _AS_TEXT.format("kept facts", "", "before", "after", "", "kept of it", "")]
        for own in self.languages:
            lines.append(
                _AS_TEXT.format(
                    own.name[:14],
                    "read" if own.read else "held out",
                    *(f"{number.value:.0%}" if number else "–" for number in (own.kept_before, own.kept_after)),
                    "",
                    str(own.kept),
                    own.kept_verdict,
                )
            )
        lines += ["", f"{folder}: page.html (what this means, and what it does not), patch/, measures.csv"]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    def caveats(self) -> list[str]:
        """What was not measured, and what the numbers do not say."""
        settings = self.patch.about["settings"]
        found = [
            "No model that never knew these facts stands beside this one: K is 0 where answers are no better than "
            "guessing among the options, and a model that never saw a fact may guess better than that.",
            "“Gone” means: not shown by these questions. An edit may hide what it should erase. Attacks that try to "
            "bring it back were not run; a study does (mute init).",
            f"One run, one seed ({self.patch.about['seed']}). The intervals (95 %) are over the facts alone: another "
            "seed, another training of the model or another wording may move the numbers by more.",
            f"A language is called gone where the whole interval of K lies below {GONE}, mostly gone below {HALF}, "
            f"mostly left above {HALF}. Everything else is not decided, and more facts would decide it.",
        ]
        if isinstance(self.band, list):
            found.append(
                f"Only {self.blocks} could change. Whether another block would have done better was not tried."
            )
        nothing = [own.name for own in self.languages if own.verdict == NOTHING]
        if nothing:
            found.append(
                f"Before, the model knew no more of these facts than guessing in {', '.join(nothing)}: there was "
                "nothing to forget there, whatever the numbers after are."
            )
        if len(self.facts.corpus.about["unlearning_forms"]) == self.facts.corpus.about["forms"]:
            found.append(
                "Facts have one wording: they were asked as unlearning read them, which flatters it. A second column, "
                "prompt_2, would be the wording that is asked and never read."
            )
        if self.packed:
            found.append("The model's numbers were packed in few bits, and are not those of its authors.")
        if settings.get("units") == "added":
            found.append("RMU steers relative to what a block of this family can add, since norms bound that.")
        return found


_STATUSES = {
    "not_reached": "in the languages that it read, more than a tenth of the knowledge is left after all its steps. "
    "Give more --steps, another --band, or another --algorithm.",
    "destroyed": "the model no longer says anything of use. Give a smaller strength or learning rate by --set.",
    "no_edit": "nothing was changed.",
    "nothing_to_forget": "the model knew none of it beforehand.",
    "not_applicable": "the algorithm cannot run on these texts.",
}


def _number(table: pd.DataFrame, metric: str, code: str) -> Number:
    own = table[(table["metric"] == metric) & (table["language"] == code) & table["facts"].isin(["all", ""])]
    own = own if len(own) else table[(table["metric"] == metric) & (table["language"] == code) & table["facts"].isna()]
    if not len(own) or pd.isna(own.iloc[0]["value"]):
        return MISSING
    row = own.iloc[0]
    return Number(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]))


def _said(own: Left) -> str:
    if not own.knowledge:
        return f"{own.name} {NOTHING}"
    return f"{own.name} {own.verdict} (K {own.knowledge})"
