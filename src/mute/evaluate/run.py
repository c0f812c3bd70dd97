"""Evaluates a model or a patch once: the token table and the answer table from which every measure is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mute.corpus import strangers
from mute.corpus.schema import Corpus
from mute.engine import writing
from mute.evaluate import disruption, spread
from mute.evaluate.scoring import Answers, Queries
from mute.evaluate.subject import Subject
from mute.jobs import progress
from mute.models.tokenizer import Encoder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

_COLUMNS = ["set", "item", "language", "form", "prefix", "answer", "suffix", "options", "gold"]


def questions(corpus: Corpus, languages: list[str], *, forms: list[int]) -> pd.DataFrame:
    """Everything that is asked of a model of these languages: facts in `forms`, and the probes of every ability."""
    texts = corpus.texts
    facts = texts[texts["language"].isin(languages) & texts["form"].isin(forms)].assign(set="facts")
    lines = corpus.lines
    spoken = lines["language"].isin(languages) & lines["other"].isin([*languages, ""])
    probes = lines[spoken & (lines["probe"] != "")].reset_index(drop=True)
    # Parallel lines share their item; a line that has none is named after its own language and place.
    place = probes.groupby(["probe", "language", "other"]).cumcount().astype(str)
    named = probes["item"].where(probes["item"] != "", probes["other"] + ">" + probes["language"] + "-" + place)
    probes = probes.assign(set=probes["probe"], item=named, form=0)
    kept, unmet = disruption.retain_lines(corpus, languages), strangers.questions(corpus, languages)
    return pd.concat([own[_COLUMNS] for own in (facts, probes, kept, unmet) if len(own)], ignore_index=True)


class Evaluator:
    """The questions of one corpus and set of languages, with their cached states; asked of base and patches alike."""

    def __init__(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        corpus: Corpus,
        languages: list[str],
        forms: list[int],
        *,
        compared: bool = False,
    ) -> None:
        """compared: whether subjects are held against the model as it is now, token by token (`kl`)."""
        self.model, self.encoder = model, encoder
        self.queries = Queries(questions(corpus, languages, forms=forms), encoder)
        self.texts = self.queries.texts(model)
        # What is said is held against what was taught, or else against the answers of the form that was asked.
        self.words_of = {form: _Words(corpus, languages, corpus.about.get("taught_form", form)) for form in forms}
        self.whole = corpus.about.get("whole_answers", False)
        # With a large vocabulary spreads take long, and are for nothing where nothing stands beside what was taught.
        self.spreads = strangers.untaught(corpus)
        self.reference = disruption.Reference(model, encoder, self.queries) if compared else None

    def evaluate(self, subject: Subject | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Token table and answer table of a subject, from the block where the texts stand; default: the model's."""
        subject = subject or Subject(self.model)
        rows = subject.questions(self.queries.rows)
        same = rows is self.queries.rows
        queries = self.queries if same else Queries(rows, self.encoder)
        # Of other questions nothing is known of the base.
        seen = disruption.Comparison(self.reference) if same and self.reference else None
        moments = spread.Spread(queries)
        watching = [own for own in (seen, moments if self.spreads else None) if own]

        def see(*given: torch.Tensor) -> None:
            for own in watching:
                own.see(*given)

        read = sum(map(len, queries.sequences))
        written = sum(len(gold) for gold, name in zip(queries.golds, queries.rows["set"]) if name == "facts")
        with subject.installed(), progress.counting(read + written, "token read and written") as count:
            with count.part(read):
                answers = subject.ask(queries, self.texts if same else None, see if watching else None)
                kl = seen.kl.numpy() if seen else float("nan")
                table = self.tokens(answers).assign(kl=kl, mean=moments.mean.numpy(), spread=moments.spread.numpy())
            with count.part(written):
                return table, self.answers(answers, subject)

    def tokens(self, answers: Answers) -> pd.DataFrame:
        """The token table, with the lengths of the options beside their log-probabilities."""
        q, table = answers.queries, answers.tokens()
        first = table["position"] == 0
        places = list(zip(first, first.cumsum() - 1))  # one row at position 0 for each question, in their order
        for name, options in (("option_tokens", q.options), ("option_chars", q.rows["options"].tolist())):
            lengths = [[len(option) for option in listed] or None for listed in options]
            table[name] = [lengths[question] if start else None for start, question in places]
        return table

    def answers(self, answers: Answers, subject: Subject) -> pd.DataFrame:
        """What the model says when asked for a fact, and which kind of answer that is.

        It is heard until the kind is clear, or can no longer become any, or to its end; and never longer than the
        longest answer it could give. Where it goes on as an answer or option does, what comes next is known already.
        """
        q = answers.queries
        asked = [i for i, name in enumerate(q.rows["set"]) if name == "facts"]
        items, spoken, forms, prefixes = (q.rows[column].tolist() for column in ("item", "language", "form", "prefix"))
        # Two forms that ask in the same words are asked once.
        same: dict[tuple, list[int]] = {}
        for i in asked:
            same.setdefault((items[i], spoken[i], *q.prompts[i]), []).append(i)
        groups = {rows[0]: rows for rows in same.values()}
        longest = {i: max(len(o) for j in rows for o in (q.golds[j], *q.options[j])) for i, rows in groups.items()}
        whole = self.whole or subject.replies
        said: dict[int, list[int]] = {i: [] for i in groups}
        kinds: dict[int, str] = {}
        texts: dict[int, str] = {}

        def enough(i: int) -> bool:
            text = subject.reply(prefixes[i], self.encoder.text(said[i]).strip())
            for j in groups[i]:
                texts[j], kinds[j] = text, self.words_of[forms[j]].kind(items[j], spoken[j], text)
            if said[i][-1] in self.encoder.end or len(said[i]) == longest[i]:
                return True
            clear = kinds[i] != "neither" or not (whole or self.words_of[forms[i]].begins(items[i], text))
            return clear and not self.whole

        known, waiting = answers.following(), []
        for i in groups:
            # What is off the paths of all options stays off them: from there on the model writes on its own.
            while (token := known[i].get(tuple(said[i]))) is not None:
                said[i].append(token)
                if enough(i):
                    break
            else:
                waiting.append(i)

        def hear(place: int, token: int) -> bool:
            said[waiting[place]].append(token)
            return not enough(waiting[place])

        begun = [q.prompts[i] + said[i] for i in waiting]
        most = [longest[i] - len(said[i]) for i in waiting]
        writing.write(self.model, begun, most, hear, mixed=subject.mixed, treat=subject.treat)
        table = q.rows.loc[asked, ["set", "item", "language", "form"]].reset_index(drop=True)
        return table.assign(text=[texts[i] for i in asked], kind=[kinds[i] for i in asked])


class _Words:
    """Which answers are known for each fact in a form, in which language."""

    def __init__(self, corpus: Corpus, languages: list[str], form: int) -> None:
        rows = corpus.texts[corpus.texts["language"].isin(languages) & (corpus.texts["form"] == form)]
        self.known = {
            (item, language): (answer, set(options) - {answer})
            for item, language, answer, options in zip(rows["item"], rows["language"], rows["answer"], rows["options"])
        }
        self.languages = sorted(set(rows["language"]))
        self.words: dict[str, set[str]] = {}
        for (item, _), (answer, others) in self.known.items():
            self.words.setdefault(item, set()).update([answer, *others])
        self.unknown = {corpus.about["unknown"][c] for c in languages if c in corpus.about["unknown"]}

    def begins(self, item: str, text: str) -> bool:
        """Whether some known answer begins with what was said so far, whose last letter may be half said."""
        text = text.rstrip("\ufffd")
        return any(word.startswith(text) for words in (self.words[item], self.unknown) for word in words)

    def kind(self, item: str, language: str, text: str) -> str:
        """right, other_value, other_language, other_both, unknown or neither (see docs/tables.md)."""
        if not text:
            return "neither"
        gold, options = self.known[item, language]
        if _says(text, gold):
            return "right"
        if any(_says(text, option) for option in options):
            return "other_value"
        others = [
            self.known[item, other] for other in self.languages if other != language and (item, other) in self.known
        ]
        if any(_says(text, gold) for gold, _ in others):
            return "other_language"
        if any(_says(text, option) for _, options in others for option in options):
            return "other_both"
        return "unknown" if any(_says(text, word) for word in self.unknown) else "neither"


def _says(text: str, word: str) -> bool:
    """Whether `text` is the word, or begins with it and goes on with something else than a letter."""
    return text.startswith(word) and not text[len(word) : len(word) + 1].isalnum()
