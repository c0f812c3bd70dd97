"""Writes what the paper says: every value of its text, and its tables as CSV and LaTeX."""

from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs.job import job
from mute.findings.published import Published
from mute.findings.results import Results
from mute.paper import elsewhere, frozen, tables, values
from mute.store import artifacts

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with job(snakemake, torch=False) as log:
    plan = snakemake.params.plan
    results = Results.read(snakemake.input.tables, plan["about"])
    published = Published(Path(snakemake.input.published[0]).parent)
    made = tables.make(results, published, int(plan["seed"]), snakemake.input.error_rates)
    for path in map(Path, snakemake.output.tables):
        artifacts.write_table(path, made[path.stem])
        latex = made[path.stem].to_latex(index=False, escape=True, float_format="%.3g")
        artifacts.write_text(path.with_suffix(".tex"), latex)
    # Frozen tables bring theirs along.
    provenance = plan["provenance"] or {
        **frozen.provenance(snakemake.input.records, plan["seed"]),
        "config": plan["config"],
    }
    artifacts.write_json(
        snakemake.output.values, values.collect(results, made, provenance, elsewhere.read(snakemake.input.board))
    )
