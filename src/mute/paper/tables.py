"""The registry of the paper's tables: what each is called, and how it is made. Imports no pandas by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from mute.findings.published import Published
    from mute.findings.results import Results

# The numbered tables are the published paper's: there are thirteen.
TABLES = (
    *("tested", "means", "claims", "regimes", "primary", "variance", "predictions", "transfer", "kinship"),
    *("properties", "two_scripts", "objectives", "lira", "illusion"),
    *(f"table_{number}" for number in range(1, 14)),
    *("beside", "checks", "published", "beyond", "error_rates"),
)


def make(
    results: Results, published: Published, seed: int, error_rates: Path | str | None = None
) -> dict[str, pd.DataFrame]:
    """Every table of the paper by name (docs/tables.md).

    error_rates: the file of those that were simulated, which are of no study (default: that of the project); the table
    is empty where it is not there.
    """
    import pandas as pd

    from mute.findings import (
        beside,
        beyond,
        claims,
        illusion,
        membership,
        objectives,
        predict,
        primary,
        properties,
        regimes,
        simulation,
        transfer,
    )
    from mute.findings.published import checks
    from mute.paper import exhibits

    tested, matrix = claims.table(results), transfer.matrix(results)
    means = claims.means(results)
    made = {
        "tested": tested,
        "means": means.drop(columns="values"),
        "claims": claims.overall(means),
        "regimes": regimes.table(results),
        "primary": primary.table(results),
        "variance": claims.variance(results),
        "predictions": predict.table(results, seed),
        "transfer": matrix,
        "kinship": transfer.explained(matrix, results, seed),
        "properties": properties.table(results),
        "two_scripts": properties.pairs(results),
        "objectives": objectives.table(results),
        "lira": membership.table(results),
        "illusion": illusion.table(results),
        **{name: exhibits.table(name, results, published) for name in exhibits.EXHIBITS},
        "beside": beside.table(results, published),
        "checks": pd.DataFrame(checks(published)),
        "published": published.summary(),
    }
    return {
        **made,
        "beyond": beyond.table(results, made),
        "error_rates": simulation.read(error_rates or simulation.FILE),
    }
