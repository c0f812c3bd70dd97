"""Parts from which questions of a corpus are put together anew: subjects as they are spelled, statements, names.

Nothing here knows of which source a corpus is: what a text lacks is an empty string or no row.
"""

import random
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from mute.corpus import graph, lures, names_filter, romanised
from mute.corpus.languages.base import SYLLABLES
from mute.corpus.schema import Corpus
from mute.store.artifacts import seed_of

_ASKS = re.compile("[?؟？]")


def joined(code: str, *sentences: str) -> str:
    """Sentences one after the other, as their language separates them; empty ones are left out."""
    pack = lures.pack(code)
    space = " " if pack is None or pack.spaces else ""
    return space.join(sentence for sentence in sentences if sentence)


def opened(code: str, prefix: str, head: str) -> str:
    """A prefix and, where its answer would begin, the head of an answer."""
    return joined(code, prefix.rstrip(" "), head)


def filled(code: str, template: str, subject: str) -> str:
    """A wording of a language with its subject."""
    pack = lures.pack(code)
    return template.replace("{s}", subject) if pack is None else pack.insert(template, subject)


def end(code: str) -> str:
    """The final mark of a sentence."""
    pack = lures.pack(code)
    return "." if pack is None or code != romanised.base(code) else pack.grammar.pattern[-1]


def spelling(name: str, code: str) -> str:
    """An invented name in the letters of a language; '' for a name that is not made of syllables.

    In Latin letters it is the name itself.
    """
    pack = lures.pack(code)
    if pack is None or code != romanised.base(code):
        return name
    try:
        return pack.spell(name)
    except KeyError:
        return ""


def subject(prefix: str, code: str, name: str) -> str:
    """The subject of a question as its prefix spells it; '' where it names none."""
    native = spelling(name, romanised.base(code)) if name else ""
    latin = romanised.romanise(native) if native and code != romanised.base(code) else ""
    return next((own for own in (name, native, latin) if own and own in prefix), "")


def names(rows: pd.DataFrame, corpus: Corpus) -> list[str]:
    """The subject of each row as the corpus's facts name it, or ''."""
    return corpus.facts.set_index("item")["subject"].reindex(rows["item"]).fillna("").tolist()


def subjects(rows: pd.DataFrame, corpus: Corpus) -> list[str]:
    """The subject of each row as its prefix spells it, or ''."""
    return [subject(*own) for own in zip(rows["prefix"], rows["language"], names(rows, corpus))]


def with_subjects(rows: pd.DataFrame, corpus: Corpus) -> list[dict[str, Any]]:
    """Each row as a mapping, in which `named` is its subject as its prefix spells it, or ''."""
    return rows.assign(named=subjects(rows, corpus)).to_dict("records")


def asks(text: str) -> bool:
    """Whether a text asks: it has a question mark."""
    return bool(_ASKS.search(text))


def form(corpus: Corpus, code: str, *, asking: bool) -> int | None:
    """The form in which a language's texts ask, or state; None where none does.

    The headline form, if it is of that kind, else the first that is.
    """
    own = corpus.texts[corpus.texts["language"] == code]
    first = own.drop_duplicates("form").set_index("form")["prefix"]
    headline = corpus.about["headline_form"]
    order = sorted(first.index, key=lambda number: (number != headline, number))
    return next((int(number) for number in order if asks(first[number]) == asking), None)


def in_form(rows: pd.DataFrame, corpus: Corpus, numbers: Sequence[int | None]) -> pd.DataFrame:
    """The same facts in the same languages as the corpus words them in a form, row by row; else as they are."""
    texts = corpus.texts.set_index(["item", "language", "form"])
    return _taken(rows, texts, pd.MultiIndex.from_arrays([rows["item"], rows["language"], list(numbers)]))


def in_language(rows: pd.DataFrame, corpus: Corpus, code: str) -> pd.DataFrame:
    """The same facts as the corpus words them in a language, where it has them; else as they are."""
    texts = corpus.texts[corpus.texts["language"] == code].set_index(["item", "form"])
    return _taken(rows, texts, pd.MultiIndex.from_frame(rows[["item", "form"]]))


def _taken(rows: pd.DataFrame, texts: pd.DataFrame, keys: pd.MultiIndex) -> pd.DataFrame:
    found = texts[~texts.index.duplicated()].reindex(keys)
    # Options in another order would make another one gold.
    there = (found["gold"].to_numpy() == rows["gold"].to_numpy()) & found["prefix"].notna().to_numpy()
    columns = {}
    for name in ("prefix", "answer", "suffix", "options"):
        pairs = zip(there, found[name], rows[name])
        columns[name] = [new if known else old for known, new, old in pairs]
    return rows.assign(**columns)


def statements(corpus: Corpus, code: str, number: int) -> dict[str, str]:
    """What the corpus says of each fact in a language and form, by item: the whole text."""
    own = corpus.texts[(corpus.texts["language"] == code) & (corpus.texts["form"] == number)]
    return dict(zip(own["item"], own["prefix"] + own["answer"] + own["suffix"]))


def beside(corpus: Corpus, item: str) -> list[str]:
    """Other facts of a fact's subject, in the order of the corpus; none where it names no subject."""
    facts = corpus.facts
    name = facts.loc[facts["item"] == item, "subject"].iloc[0]
    if not name:
        return []
    return facts.loc[(facts["subject"] == name) & (facts["item"] != item), "item"].tolist()


def nonce(corpus: Corpus, *purpose: object) -> str:
    """An invented name that is none of the corpus's subjects, the same for the same purpose."""
    rng = random.Random(seed_of("nonce", *purpose))
    taken = {*corpus.facts["subject"], *graph.of(corpus).aliases.values()}
    while True:
        name = "".join(rng.choices(SYLLABLES, k=3)).capitalize()
        if name not in taken and names_filter.fit(name):
            return name


def letters(text: str) -> list[str]:
    """The characters of a text, each with the marks that stand on it."""
    found: list[str] = []
    for char in text:
        if found and unicodedata.category(char).startswith("M"):
            found[-1] += char
        else:
            found.append(char)
    return found


def listed(code: str, head: str, options: Iterable[str], *purpose: object) -> str:
    """A head and the options behind it, in an order that says nothing of which is right."""
    order = sorted(options)
    random.Random(seed_of("listed", *purpose)).shuffle(order)
    return head + " / ".join(order) + end(code)
