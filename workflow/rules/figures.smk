# Figures, notebooks, and the summary that opens the report.
#
# requires: <results>/tables/
# makes:    <results>/figures/, <results>/notebooks/, <results>/summary.rst


rule draw_figures:
    """All figures but the notebooks', in one process."""
    input:
        tables=rules.make_tables.output,
    output:
        collect("<results>/figures/{name}.svg", name=FIGURES),
    params:
        plan=PLANS.figures(),
        code=code_digest("mute.plotting.figures"),
    log:
        "<logs>/draw_figures.log",
    benchmark:
        "<benchmarks>/draw_figures.jsonl"
    conda:
        "../../envs/mute.yaml"
    script:
        "../../scripts/draw_figures.py"


rule summarise:
    """The report's first page."""
    input:
        tables=rules.make_tables.output,
        figures=rules.draw_figures.output,
    output:
        "<results>/summary.rst",
    params:
        plan=PLANS.figures(),
        code=code_digest("mute.plotting.summary"),
    log:
        "<logs>/summarise.log",
    conda:
        "../../envs/mute.yaml"
    script:
        "../../scripts/summarise.py"
