# Pretrained models: opened, and adapted to the corpus.
#
# requires: <results>/corpus/, models that were fetched, local directories or GGUF files
# makes:    <results>/models/<trained>/, ordinary model directories as those that are trained from scratch;
#           of a GGUF file first <results>/cache/opened/<digest>/, the same de-quantised, which all its jobs share


rule adapt_model:
    """Adapting {wildcards.trained} to the corpus."""
    input:
        PLANS.model_files,
        fetched=PLANS.fetched_model,
        corpus=rules.make_corpus.output,
    output:
        record="<results>/models/{trained}/record.json",
    log:
        "<logs>/adapt_model/{trained}.log",
    benchmark:
        "<benchmarks>/adapt_model/{trained}.jsonl"
    wildcard_constraints:
        trained=PLANS.opened(),
    priority: 100
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("adapt_model"),
        runtime=COSTS.runtime("adapt_model"),
        gpu=COSTS.gpus("adapt_model"),
    params:
        plan=PLANS.adaptation,
        code=code_digest(
            "mute.models.texts",
            "mute.models.adapt",
            "mute.models.loading",
            "mute.models.gguf.folder",
        ),
    script:
        "../../scripts/adapt_model.py"
