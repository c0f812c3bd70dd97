# Probes of patches: the logit lens, and the bypass of the edited blocks.
#
# requires: <results>/shards/<shard>/cells.csv
# makes:    <results>/probes/<digest>/; <results>/shards/<shard>/probes.csv


rule probe_shard:
    """Lens and bypass, shard {wildcards.shard}."""
    input:
        rules.make_corpus.output,
        cells=rules.unlearn_shard.output,
    output:
        "<results>/shards/{shard}/probes.csv",
    log:
        "<logs>/probe_shard/{shard}.log",
    benchmark:
        "<benchmarks>/probe_shard/{shard}.jsonl"
    priority: 20
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("probe_shard"),
        runtime=COSTS.runtime("probe_shard"),
        gpu=COSTS.gpus("probe_shard"),
    params:
        plan=PLANS.probes,
        code=code_digest("mute.analyses.patched"),
    script:
        "../../scripts/probe_shard.py"
