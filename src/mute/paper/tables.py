"""The registry of the paper's tables: what each is called, and how it is made. Imports no pandas by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mute.findings.published import Published
    from mute.findings.results import Results

# The numbered tables are the published paper's: there are thirteen.
TABLES = (
    *("tested", "means", "claims", "regimes", "primary", "predictions", "transfer", "kinship"),
    *(f"table_{number}" for number in range(1, 14)),
    *("beside", "checks", "published", "beyond"),
)


def make(results: Results, published: Published, seed: int) -> dict[str, pd.DataFrame]:
    """Every table of the paper by name (docs/tables.md)."""
    import pandas as pd

    from mute.findings import beside, beyond, claims, predict, primary, regimes, transfer
    from mute.findings.published import checks
    from mute.paper import exhibits

    tested, matrix = claims.table(results), transfer.matrix(results)
    means = claims.means(tested)
    made = {
        "tested": tested,
        "means": means,
        "claims": claims.overall(means),
        "regimes": regimes.table(results),
        "primary": primary.table(results),
        "predictions": predict.table(results),
        "transfer": matrix,
        "kinship": transfer.explained(matrix, results, seed),
        **{name: exhibits.table(name, results, published) for name in exhibits.EXHIBITS},
        "beside": beside.table(results, published),
        "checks": pd.DataFrame(checks(published)),
        "published": published.summary(),
    }
    return {**made, "beyond": beyond.table(results, made)}
