"""The registry of the paper's tables: what each is called, and how it is made. Imports no pandas.

A table is made of the study's results, of the published numbers, and of the tables before it in the registry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from mute.findings.published import Published
    from mute.findings.results import Results


@dataclass
class Making:
    """What a table is made from; `made` fills up in the order of the registry."""

    results: Results
    published: Published
    seed: int
    made: dict[str, pd.DataFrame] = field(default_factory=dict)


def _tested(given: Making) -> pd.DataFrame:
    from mute.findings import claims

    return claims.table(given.results)


def _means(given: Making) -> pd.DataFrame:
    from mute.findings import claims

    return claims.means(given.made["tested"])


def _claims(given: Making) -> pd.DataFrame:
    from mute.findings import claims

    return claims.overall(given.made["means"])


def _regimes(given: Making) -> pd.DataFrame:
    from mute.findings import regimes

    return regimes.table(given.results)


def _primary(given: Making) -> pd.DataFrame:
    from mute.findings import primary

    return primary.table(given.results)


def _predictions(given: Making) -> pd.DataFrame:
    from mute.findings import predict

    return predict.table(given.results)


def _transfer(given: Making) -> pd.DataFrame:
    from mute.findings import transfer

    return transfer.matrix(given.results)


def _kinship(given: Making) -> pd.DataFrame:
    from mute.findings import transfer

    matrix = given.made["transfer"]
    return transfer.explained(matrix, given.results.languages_of(matrix), given.seed)


def _exhibit(number: int) -> Callable[[Making], pd.DataFrame]:
    def make(given: Making) -> pd.DataFrame:
        from mute.paper import exhibits

        return exhibits.exhibit(f"table_{number}").make(given.results, given.published)

    return make


def _beside(given: Making) -> pd.DataFrame:
    from mute.findings import beside

    return beside.table(given.results, given.published)


def _checks(given: Making) -> pd.DataFrame:
    import pandas as pd

    from mute.findings.published import checks

    return pd.DataFrame([vars(check) for check in checks(given.published)])


def _published(given: Making) -> pd.DataFrame:
    return given.published.summary()


def _beyond(given: Making) -> pd.DataFrame:
    from mute.findings import beyond

    return beyond.table(given.results, given.made)


# The numbered tables are the published paper's: there are thirteen.
TABLES: dict[str, Callable[[Making], pd.DataFrame]] = {
    "tested": _tested,
    "means": _means,
    "claims": _claims,
    "regimes": _regimes,
    "primary": _primary,
    "predictions": _predictions,
    "transfer": _transfer,
    "kinship": _kinship,
    **{f"table_{number}": _exhibit(number) for number in range(1, 14)},
    "beside": _beside,
    "checks": _checks,
    "published": _published,
    "beyond": _beyond,
}


def make(results: Results, published: Published, seed: int) -> dict[str, pd.DataFrame]:
    """Every table of the paper by name (docs/tables.md)."""
    given = Making(results, published, seed)
    for name, maker in TABLES.items():
        given.made[name] = maker(given)
    return given.made
