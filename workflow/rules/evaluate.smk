# Evaluation of patches, and the tables of the study.
#
# requires: shards, evaluations of base models and oracles, layer scores, gates
# makes:    <results>/evaluations of patches in a store; <results>/tables/


rule evaluate_shard:
    """Evaluating patches, shard {wildcards.shard}."""
    input:
        rules.make_corpus.output,
        cells=rules.unlearn_shard.output,
    output:
        "<results>/shards/{shard}/evaluations.csv",
    log:
        "<logs>/evaluate_shard/{shard}.log",
    benchmark:
        "<benchmarks>/evaluate_shard/{shard}.jsonl"
    priority: 20
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("evaluate_shard"),
        runtime=COSTS.runtime("evaluate_shard"),
        gpu=COSTS.gpus("evaluate_shard"),
    params:
        plan=PLANS.evaluations,
        code=code_digest("mute.evaluate.patched"),
    script:
        "../../scripts/evaluate_shard.py"


rule score_shard:
    """Measures with intervals, shard {wildcards.shard}."""
    input:
        unpack(PLANS.score_inputs),
        corpus=rules.make_corpus.output,
        cells=rules.unlearn_shard.output,
        evaluations=rules.evaluate_shard.output,
        attacks=rules.attack_shard.output,
    output:
        "<results>/shards/{shard}/scores.parquet",
    log:
        "<logs>/score_shard/{shard}.log",
    benchmark:
        "<benchmarks>/score_shard/{shard}.jsonl"
    priority: 20
    conda:
        "../../envs/mute.yaml"
    params:
        plan=PLANS.scores,
        code=code_digest("mute.evaluate.tables", *MEASURES),
    script:
        "../../scripts/score_shard.py"


rule make_tables:
    """Tables of the whole study."""
    input:
        unpack(PLANS.table_inputs),
        corpus=rules.make_corpus.output,
    output:
        tables=collect("<results>/tables/{name}.csv", name=TABLES),
        study=origin.table(STUDY),
    log:
        "<logs>/make_tables.log",
    benchmark:
        "<benchmarks>/make_tables.jsonl"
    conda:
        "../../envs/mute.yaml"
    params:
        plan=PLANS.tables(),
        made_with=origin.made_with(STUDY),
        code=code_digest(
            "mute.evaluate.tables",
            "mute.evaluate.profile_knowledge",
            "mute.findings.views",
            *MEASURES,
        ),
    script:
        "../../scripts/make_tables.py"
