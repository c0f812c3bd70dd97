"""MEMO: how much of an answer a model goes on with once it has read the question and a beginning of the answer.

Gu et al. 2024 (MEOW, arXiv 2409.11844): the answer is cut after 1, 1 + w, 1 + 2w, … characters; what the model writes
there, greedily, is held against the rest by the share of its words that are wanted (ROUGE-1 precision), and the mean
over cuts is taken. Ours: a cut is between characters with their marks, so that no Hindi or Arabic letter is parted from
its vowel; nothing is stemmed, and words of scripts without spaces, and of Hangul, are letters; and no more is written
than the rest is long, for what stands after an answer is not the answer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import pandas as pd

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject


class Settings(base.CellSettings):
    """MEMO."""

    window: int = Field(5, ge=1, le=1000, description="Characters between two cuts of an answer.")


class Memo(base.Analysis[Settings]):
    """At the first edited block: memo, of the forget facts of a language, 0 to 1; 1 known by heart.

    memo_shuffled: the same texts held against the rest of the language's next answer, the control: what any answer of
    the kind would give. Of a model that writes nothing both are 0; an answer of one character has no cut.
    """

    name = "memo"
    paper = "Gu et al. 2024 (MEOW, arXiv 2409.11844)"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        # A few cuts, and at each some tokens one after the other.
        return 12.0

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import pandas as pd

        from mute.corpus import rewording
        from mute.evaluate import rouge

        given = subject.questions(asked.queries.rows).reset_index(drop=True)
        letters = [rewording.letters(answer) for answer in given["answer"]]
        pieces = [(row, *cut) for row, own in enumerate(letters) for cut in cuts(own, self.settings.window)]
        said = _written(subject, asked, given["prefix"].tolist(), pieces)
        other = _following(given, {row for row, *_ in pieces})
        found = []
        for (row, begun, rest), text in zip(pieces, said):
            elsewhere = "".join(letters[other[row]][len(rewording.letters(begun)) :])
            found.append((row, rouge.precision(text, rest), rouge.precision(text, elsewhere)))
        scores = pd.DataFrame(found, columns=["row", "memo", "memo_shuffled"])
        each = scores.groupby("row").mean()
        means = each.groupby(given["language"].reindex(each.index))
        counts = means.size()
        rows = [
            [name, case.first, code, float(value), int(counts[code])]
            for name in ("memo", "memo_shuffled")
            for code, value in means[name].mean().items()
        ]
        return pd.DataFrame(rows, columns=list(base.COLUMNS))


def cuts(letters: list[str], window: int) -> list[tuple[str, str]]:
    """What stands before and after 1, 1 + w, 1 + 2w, … letters of an answer, as long as something stands after."""
    places = range(1, len(letters), window)
    return [("".join(letters[:place]), "".join(letters[place:])) for place in places]


def _written(subject: Subject, asked: Asked, prefixes: list[str], pieces: list[tuple[int, str, str]]) -> list[str]:
    """What is written, greedily, after each question and beginning of an answer."""
    from mute.engine import writing

    encoder = asked.encoder
    prompts, most = [], []
    for row, begun, rest in pieces:
        prompts.append(encoder.prompt(prefixes[row]) + encoder.answer(prefixes[row], begun.rstrip(" ")))
        most.append(max(1, len(encoder.after(rest))))
    said: list[list[int]] = [[] for _ in pieces]

    def hear(place: int, token: int) -> bool:
        said[place].append(token)
        return token not in encoder.end and len(said[place]) < most[place]

    # The question is the prompt, also where a beginning of its answer stands behind it.
    questions = list(dict.fromkeys(tuple(encoder.prompt(prefixes[row])) for row, *_ in pieces))
    for each in subject.treatments:
        each.asked(subject.model, questions)
    if prompts:
        writing.write(subject.model, prompts, most, hear, mixed=subject.mixed, treat=subject.treat)
    return [subject.reply(prefixes[row], encoder.text(own).strip()) for (row, *_), own in zip(pieces, said)]


def _following(given: pd.DataFrame, rows: set[int]) -> dict[int, int]:
    """For each of these rows the language's next whose answer is another; itself where there is none."""
    found: dict[int, int] = {}
    answers = given["answer"].tolist()
    for _, own in given.groupby("language"):
        places = [place for place in own.index if place in rows]
        for i, place in enumerate(places):
            following = [*places[i + 1 :], *places[:i]]
            found[place] = next((o for o in following if answers[o] != answers[place]), place)
    return found
