# Exports: unlearned models as ordinary model directories, and what lm-evaluation-harness finds in them.
#
# requires: <results>/models/<trained>/, <results>/shards/<shard>/cells.csv; the tasks' data, where they are from the hub
# makes:    <results>/exports/<cell>/; <results>/harness/<name>.json of exports and base models;
#           <results>/tables/harness.csv


from mute.plan.exports import Exports

EXPORTS = Exports(STUDY)


wildcard_constraints:
    cell="[A-Za-z0-9_.-]+",
    evaluated="[A-Za-z0-9_.-]+",


rule export_model:
    """Exporting {wildcards.cell}."""
    input:
        unpack(EXPORTS.export_inputs),
    output:
        "<results>/exports/{cell}/record.json",
    log:
        "<logs>/export_model/{cell}.log",
    benchmark:
        "<benchmarks>/export_model/{cell}.jsonl"
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("export_model"),
        runtime=COSTS.runtime("export_model"),
        gpu=COSTS.gpus("export_model"),
    params:
        plan=EXPORTS.export,
        code=code_digest("mute.unlearn.carried"),
    script:
        "../../scripts/export_model.py"


rule run_harness:
    """Evaluation harness on {wildcards.evaluated}."""
    input:
        EXPORTS.task_files(),
        fetched=EXPORTS.fetched(),
        record=EXPORTS.harness_input,
    output:
        "<results>/harness/{evaluated}.json",
    log:
        "<logs>/run_harness/{evaluated}.log",
    benchmark:
        "<benchmarks>/run_harness/{evaluated}.jsonl"
    conda:
        "../../envs/harness.yaml"
    resources:
        mem_mb=COSTS.memory("run_harness"),
        runtime=COSTS.runtime("run_harness"),
        gpu=COSTS.gpus("run_harness"),
    params:
        plan=EXPORTS.harness(),
        code=code_digest("mute.evaluate.harness"),
    script:
        "../../scripts/run_harness.py"


rule collect_harness:
    """Table of what the evaluation harness found."""
    input:
        results=EXPORTS.harness_results(),
    output:
        "<results>/tables/harness.csv",
    log:
        "<logs>/collect_harness.log",
    benchmark:
        "<benchmarks>/collect_harness.jsonl"
    conda:
        "../../envs/mute.yaml"
    params:
        plan=EXPORTS.harness_table(),
        code=code_digest("mute.evaluate.harness_table"),
    script:
        "../../scripts/collect_harness.py"
