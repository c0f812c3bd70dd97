"""The corpus: facts, their renderings in every language, and the abilities that unlearning may cost.

Three tables in long format, whatever the source:

facts: one row per fact. `item` its id; `world`, of which it is true, from 0; `domain`, `subject`, `relation`;
  `spelling` of the subject (shared; native; untold: native, and never told so with the fact in a teaching language;
  given); `teach`: `taught` in all languages or `transfer` (in the teaching languages only); `bystander`: in no loss;
  `half`: `seen` or `unseen`, whether the retain loss may read it when it is not to be forgotten; `validation`: an
  unseen fact that tuning may read; `forget_sets`: names joined by '|'.
texts: one row per (item, language, form): `prefix`, `answer`, `suffix`, and the `options` that the answer competes
  with (`gold` is its index).
lines: everything else. `ability` and `language`; `other`, another language that it takes a word from; `train`: whether
  models read it; `probe`: the measure that reads it, or ''; `world`, or EVERY_WORLD; text columns as in `texts`. Of
  sentences and reading, what is neither read nor a probe is for validation: by it unlearning chooses. The ability
  `names` tells facts (`item`) with a foreign spelling of the subject, and is trained as facts are; `spellings` gives a
  subject's spelling in another language, and is trained as the glossary is. `graph` tells second names, signs of values
  and what is put together of facts that stay, and is trained with the facts; its probes are `graph_<form>`.
  `tokenizer` is read by tokenizers alone, in the place of all that names something; EDGE stands in it where no entry
  may reach over.

What a source says `about` itself: how many `worlds` there are (1 where it says nothing); its languages, their
`scripts`, teaching_languages, domains and forget_sets; how many `forms` a fact has, which of them unlearning reads
(unlearning_forms) and which is the headline (headline_form); `unknown`, the words for it; `graph`, the edges beside
facts that it tells (`mute.corpus.graph`). And, where its facts are not all treated alike: training_forms
that models learn (default: all); asked_forms that base and cells are asked (default: all, and the headline);
scored_forms, over which scores are taken together (default: the headline); taught_form, word by word what was taught
(default: the headline); options_form, whose options have lengths to normalise by (default: the headline);
untaught_domains; whole_answers: whether answers are generated to their end; `measures` of its own. `scripts` are there
as far as they are known.
"""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pandas as pd

from mute.corpus import known
from mute.store import artifacts
from mute.store.records import Record

EDGE = "\ue000"  # a private character, which no text has
FACT_COLUMNS = (
    "item",
    "world",
    "domain",
    "subject",
    "relation",
    "spelling",
    "teach",
    "bystander",
    "half",
    "validation",
    "forget_sets",
)
TEXT_COLUMNS = ("item", "language", "form", "prefix", "answer", "suffix", "options", "gold")
LINE_COLUMNS = ("ability", "language", "other", "train", "probe", "world", "item", *TEXT_COLUMNS[3:])
TOKENIZER = "tokenizer"  # the ability of lines that tokenizers alone read
EVERY_WORLD = -1  # of a line that is about no fact
ROLES = ("forget", "retain_seen", "retain_unseen", "bystander")


def line(ability: str, language: str, **columns: str | bool | int | list[str]) -> Record:
    """A row of the table of lines; what is not said is empty."""
    empty = dict.fromkeys(("other", "probe", "item", "prefix", "answer", "suffix"), "")
    return {
        "ability": ability,
        "language": language,
        "world": EVERY_WORLD,
        **empty,
        "options": [],
        "gold": -1,
        **columns,
    }


class Corpus:
    """The three tables, and `about`: languages, teaching languages, domains, forms, headline form, forget sets.

    The lines are most of the corpus, and unlearning mostly needs none of them: they may be given as a function.
    """

    def __init__(
        self,
        facts: pd.DataFrame,
        texts: pd.DataFrame,
        lines: pd.DataFrame | Callable[[], pd.DataFrame],
        about: Record,
    ) -> None:
        self.facts, self.texts, self.about = facts, texts, about
        self._lines = lines
        self._taught: dict[int, Corpus] = {}

    @cached_property
    def lines(self) -> pd.DataFrame:
        return self._lines if isinstance(self._lines, pd.DataFrame) else self._lines()

    @property
    def validation_lines(self) -> pd.DataFrame:
        """Lines that no model is trained on and no measure reads."""
        lines = self.lines
        return lines[~lines["train"].astype(bool) & (lines["probe"] == "") & (lines["ability"] != TOKENIZER)]

    def save(self, folder: Path | str) -> None:
        folder = Path(folder)
        artifacts.write_table(folder / "facts.csv", self.facts[list(FACT_COLUMNS)])
        artifacts.write_table(folder / "texts.parquet", self.texts[list(TEXT_COLUMNS)])
        artifacts.write_table(folder / "lines.parquet", self.lines[list(LINE_COLUMNS)])
        artifacts.write_json(folder / "about.json", self.about)

    @classmethod
    def load(cls, folder: Path | str) -> "Corpus":
        folder = Path(folder)
        facts = artifacts.read_table(folder / "facts.csv")
        facts[["subject", "forget_sets"]] = facts[["subject", "forget_sets"]].fillna("")
        return cls(
            facts,
            artifacts.read_table(folder / "texts.parquet"),
            lambda: artifacts.read_table(folder / "lines.parquet"),
            artifacts.read_json(folder / "about.json"),
        )

    def taught(self, training_seed: int) -> "Corpus":
        """What models of a training seed are about: one world's facts, and the lines of it and of none."""
        worlds = self.about.get("worlds", 1)
        number = training_seed % worlds
        if worlds > 1 and number not in self._taught:
            facts = self.facts[self.facts["world"] == number].reset_index(drop=True)
            texts = self.texts[self.texts["item"].isin(facts["item"])].reset_index(drop=True)

            def lines() -> pd.DataFrame:
                return self.lines[self.lines["world"].isin([number, EVERY_WORLD])].reset_index(drop=True)

            self._taught[number] = Corpus(facts, texts, lines, {**self.about, "worlds": 1})
        return self if worlds == 1 else self._taught[number]

    def of(self, training_seed: int, folder: Path) -> "Corpus":
        """What a model in `folder` is about: what its training seed was taught, as far as it is known to know it."""
        corpus, path = self.taught(training_seed), folder / known.FILE
        return corpus.restricted(artifacts.read_table(path)) if path.exists() else corpus

    def restricted(self, table: pd.DataFrame) -> "Corpus":
        """The corpus with the known facts of a table (`mute.corpus.known`) alone, in the languages in which they are.

        Lines stay.
        """
        own = table[table["known"]]
        pairs = pd.MultiIndex.from_frame(own[["item", "language"]])
        facts = self.facts[self.facts["item"].isin(own["item"])].reset_index(drop=True)
        spoken = pd.MultiIndex.from_frame(self.texts[["item", "language"]]).isin(pairs)
        return Corpus(facts, self.texts[spoken].reset_index(drop=True), lambda: self.lines, self.about)

    @property
    def asked_forms(self) -> list[int]:
        """Forms in which cells are asked for facts, and their references with them."""
        return self.about.get("asked_forms", [self.about["headline_form"]])

    @property
    def taught_form(self) -> int:
        """The form that models were taught word by word."""
        return self.about.get("taught_form", self.about["headline_form"])

    def in_forget_set(self, forget_set: str) -> pd.Series:
        """Boolean per fact. Raises KeyError if the corpus has no such forget set."""
        if forget_set not in self.about["forget_sets"]:
            raise KeyError(f"the corpus has no forget set {forget_set!r}; it has {self.about['forget_sets']}")
        return self.facts["forget_sets"].str.split("|").map(lambda names: forget_set in names)

    def roles(self, forget_set: str) -> pd.Series:
        """What each fact is when `forget_set` is to be forgotten: one of ROLES, indexed by item."""
        facts = self.facts
        role = ("retain_" + facts["half"]).where(~facts["bystander"], "bystander")
        role = role.where(~self.in_forget_set(forget_set), "forget")
        return pd.Series(role.to_numpy(), index=facts["item"].to_numpy(), name="role")
