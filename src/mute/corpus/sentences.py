"""Texts that state no fact, as lines of the corpus: most are read, some are held out to measure what is lost."""

import pandas as pd

from mute.corpus.schema import LINE_COLUMNS, line
from mute.store.artifacts import seed_of


def lines(tables: dict[str, pd.DataFrame], probe_lines: int, *, source: str, seed: int) -> pd.DataFrame:
    """The lines of texts by language, which are the questions of tables; the same ids are held out in every language.

    At most half of a language's texts are held out.
    """
    rows = []
    for code, table in tables.items():
        ranked = sorted(table["id"], key=lambda item: seed_of(seed, source, "probe", item))
        probed = set(ranked[: min(probe_lines, len(ranked) // 2)])
        for item, text in zip(table["id"], table["question"]):
            probe = "sentences" if item in probed else ""
            rows.append(line("sentences", code, train=not probe, probe=probe, item=item, answer=text))
    # Without any row, too: what an empty table holds would otherwise decide what it makes of others.
    return pd.DataFrame(rows, columns=list(LINE_COLUMNS)).astype({"train": bool, "gold": "int64"})
