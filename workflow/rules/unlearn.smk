# Unlearning: shards of cells.
#
# requires: <results>/models/<trained>/, the oracle's answers where there is one, gates passed or reported
# makes:    <results>/cells/<digest>/ (patch and record, in a store that Snakemake does not declare);
#           <results>/shards/<shard>/cells.csv


rule unlearn_shard:
    """Unlearning, shard {wildcards.shard}."""
    input:
        unpack(PLANS.shard_inputs),
        corpus=rules.make_corpus.output,
    output:
        "<results>/shards/{shard}/cells.csv",
    log:
        "<logs>/unlearn_shard/{shard}.log",
    benchmark:
        "<benchmarks>/unlearn_shard/{shard}.jsonl"
    priority: 20
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("unlearn_shard"),
        runtime=COSTS.runtime("unlearn_shard"),
        gpu=COSTS.gpus("unlearn_shard"),
    params:
        plan=PLANS.shard,
        code=PLANS.shard_code,
    script:
        "../../scripts/unlearn_shard.py"
