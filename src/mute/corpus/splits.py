"""Roles of facts (forget, seen, unseen, bystander), drawn by their ids: a fact keeps its role when others join."""

from collections.abc import Collection

import pandas as pd

from mute.corpus.schema import FACT_COLUMNS
from mute.store import artifacts
from mute.store.artifacts import seed_of

FORGET_SETS = ("domain", "conjunctive")


def facts(
    table: pd.DataFrame,
    *,
    source: str,
    forget: str,
    bystanders: Collection[str],
    bystander_share: float,
    transfer_share: float,
    seed: int,
    seen: Collection[str] = (),
) -> pd.DataFrame:
    """The corpus's table of facts from one with columns id, domain and subject.

    forget: the domain of the forget set `domain`; `conjunctive` is half of its facts. bystanders: domains that no loss
    reads; without any, a share of each other domain. A quarter of the unseen half is for validation. seen: ids that the
    retain loss reads whatever is drawn.
    """
    rows = []
    for fact in artifacts.rows(table):
        draw = {p: seed_of(seed, source, p, fact.id) / 2**63 for p in ("teach", "half", "validation", "role", "tag")}
        own, always = fact.domain == forget, fact.id in seen
        by_share = not bystanders and not own and not always and draw["role"] < bystander_share
        bystander = fact.domain in bystanders or by_share
        unseen = draw["half"] >= 0.5 and not always
        tags = [t for t, member in (("domain", own), ("conjunctive", own and draw["tag"] < 0.5)) if member]
        rows.append(
            {
                "item": fact.id,
                "world": 0,
                "domain": fact.domain,
                "subject": fact.subject,
                "relation": fact.domain,
                "spelling": "given",
                "teach": "transfer" if own and draw["teach"] < transfer_share else "taught",
                "bystander": bystander,
                "half": "unseen" if unseen else "seen",
                "validation": unseen and not bystander and draw["validation"] < 0.25,
                "forget_sets": "|".join(tags),
            }
        )
    return pd.DataFrame(rows, columns=list(FACT_COLUMNS))
