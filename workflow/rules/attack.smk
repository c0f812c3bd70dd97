# Attacks on cells, bases and oracles, and analyses of cells and bases.
#
# requires: <results>/shards/<shard>/cells.csv, models
# makes:    <results>/attacks/<digest>/, <results>/analyses/<digest>/ (stores that Snakemake does not declare);
#           <results>/shards/<shard>/attacks.csv, <results>/shards/<shard>/analyses.csv


rule attack_shard:
    """Attacks on cells, bases and oracles, shard {wildcards.shard}."""
    input:
        rules.make_corpus.output,
        unpack(PLANS.attack_inputs),
        cells=rules.unlearn_shard.output,
    output:
        "<results>/shards/{shard}/attacks.csv",
    log:
        "<logs>/attack_shard/{shard}.log",
    benchmark:
        "<benchmarks>/attack_shard/{shard}.jsonl"
    priority: 20
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("attack_shard"),
        runtime=COSTS.runtime("attack_shard"),
        gpu=COSTS.gpus("attack_shard"),
    params:
        plan=PLANS.attacks,
        code=code_digest("mute.attacks.shard"),
    script:
        "../../scripts/attack_shard.py"


rule analyse_shard:
    """Looking into cells and bases, shard {wildcards.shard}."""
    input:
        rules.make_corpus.output,
        unpack(PLANS.analysis_inputs),
        cells=rules.unlearn_shard.output,
    output:
        "<results>/shards/{shard}/analyses.csv",
    log:
        "<logs>/analyse_shard/{shard}.log",
    benchmark:
        "<benchmarks>/analyse_shard/{shard}.jsonl"
    priority: 20
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("analyse_shard"),
        runtime=COSTS.runtime("analyse_shard"),
        gpu=COSTS.gpus("analyse_shard"),
    params:
        plan=PLANS.analyses,
        code=code_digest("mute.analyses.shard"),
    script:
        "../../scripts/analyse_shard.py"
