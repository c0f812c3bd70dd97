"""Graph: questions that reach a forgotten fact along other edges, or in a wording that nobody was taught.

After Mirage (multi-hop, aliases) and PSG (surrogates of the forget set). two_hop: the sign of the value is asked for,
and not the value. three_hop: the same by the subject's second name. comparison: which kept subject has the same value;
the options are kept subjects, one of each value. surrogate: the corpus's question with a head of the answer that no
text has. Aliases alone are the form `synonym` of `rwku`, inverse questions its form `reverse`, choices and clozes those
of `forms`.

The world teaches signs, second names and comparisons where its setting `graph` says so, and asks for none of the facts
to be forgotten in training. What the base cannot put together says nothing about an edit (docs/threats.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mute.attacks import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mute.corpus.graph import Graph as Edges
    from mute.corpus.schema import Corpus
    from mute.store.records import Record


class Settings(base.Settings):
    """Graph."""

    form: Literal["two_hop", "three_hop", "comparison", "surrogate"] = Field(
        "surrogate", description="What is asked. All but `surrogate` need a world with the setting `graph`."
    )


class Graph(base.Attack[Settings]):
    name = "graph"
    paper = "Mirage 2025, PSG 2025; questions ours"
    access = "questions"
    Settings = Settings

    @classmethod
    def lacks(cls, settings: Settings, corpus: Corpus, language: str) -> str:
        from mute.corpus import lures, rewording

        if settings.form == "surrogate":
            asks = rewording.form(corpus, language, asking=True) is not None
            return lures.lacking(language) if asks else "the corpus has no form that asks"
        return lacking(corpus, language, settings.form)

    def asks(self, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Facts from which the graph goes on."""
        import numpy as np

        return np.array([made is not None for made in self._made(rows)], bool)

    def questions(self, rows: pd.DataFrame) -> pd.DataFrame:
        return replaced(rows, self._made(rows))

    def _made(self, rows: pd.DataFrame) -> list[Record | None]:
        form, corpus = self.settings.form, self.victim.corpus
        return surrogates(rows, corpus) if form == "surrogate" else along(rows, corpus, form)


def lacking(corpus: Corpus, language: str, form: str) -> str:
    """What a corpus or a language lacks for questions along the graph, in words, or ''."""
    from mute.corpus import graph, lures

    edges: Edges = graph.of(corpus)
    if form in ("alias", "three_hop") and not edges.aliases:
        return "the corpus has no other names for its subjects"
    if form in ("two_hop", "three_hop") and not edges.signs:
        return "the corpus has no signs of values"
    if form == "comparison" and not any(edges.alike.values()):
        return "the corpus compares no subjects"
    pack = lures.pack(language)
    if pack is None or pack.code != language:
        return f"there is no language pack of {language}"
    return "" if pack.links or form == "alias" else f"the language pack of {language} has no links"


def along(rows: pd.DataFrame, corpus: Corpus, form: Any) -> list[Record | None]:
    """The question along the graph in the place of each row; None where there is none."""
    from mute.corpus import graph, languages, rewording

    edges, facts = graph.of(corpus), corpus.facts.set_index("item").to_dict("index")
    made = []
    for row, named in zip(rows.to_dict("records"), rewording.subjects(rows, corpus)):
        pack, fact = languages.load(row["language"]), facts[row["item"]]
        own = graph.question(pack, edges, form, fact, named, row["gold"], row["form"]) if named else None
        made.append(own)
    return made


def surrogates(rows: pd.DataFrame, corpus: Corpus) -> list[Record | None]:
    """The corpus's own question with the head of an answer that no text has; None where more stands behind it."""
    from mute.corpus import graph, lures, rewording

    forms = {code: rewording.form(corpus, code, asking=True) for code in dict.fromkeys(rows["language"])}
    asked = rewording.in_form(rows, corpus, [forms[code] for code in rows["language"]])
    made: list[Record | None] = []
    for prefix, code, options, answer in zip(*(asked[n] for n in ("prefix", "language", "options", "answer"))):
        # Options that are listed there would be lost with the head, and their letters mean nothing.
        alone = rewording.asks(prefix) and "\n" not in graph.behind(prefix).strip()
        headed = graph.headed(prefix, lures.of(code).answer) if alone else ""
        made.append({"prefix": headed, "options": options, "answer": answer} if alone else None)
    return made


def replaced(rows: pd.DataFrame, made: list[Record | None]) -> pd.DataFrame:
    """Rows with what was made of them: prefix, and answer and options where these are worded anew."""
    own = [{**row, **(new or {})} for row, new in zip(rows.to_dict("records"), made, strict=True)]
    return rows.assign(**{name: [row[name] for row in own] for name in ("prefix", "options", "answer")})
