# What DVC publishes beside tables and figures; and the tables that it brought.
#
# requires: <results>/tables/
# makes:    <results>/metrics.json, <results>/plots/blocks.csv


# Before anything is drawn from tables that were pulled: DVC delivers damaged ones without a word.
if workflow.is_main_process and "frozen" not in sys.argv:
    try:
        origin.check_pulled(RESULTS)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


rule write_metrics:
    """Numbers and curves by which DVC compares studies."""
    input:
        tables=rules.make_tables.output.tables,
    output:
        metrics="<results>/metrics.json",
        curves="<results>/plots/blocks.csv",
    log:
        "<logs>/write_metrics.log",
    benchmark:
        "<benchmarks>/write_metrics.jsonl"
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.figures(),
        code=code_digest("mute.findings.outcomes"),
    script:
        "../../scripts/write_metrics.py"
