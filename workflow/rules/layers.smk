# Layer scores (CKA, LRDS, SADS), the region, and the layers that the rules choose.
#
# requires: <results>/models/<trained>/
# makes:    <results>/layers/


rule score_layers:
    """Layer scores of {wildcards.trained} on forget set {wildcards.forget_set}."""
    input:
        rules.make_corpus.output,
        record=rules.pretrain_model.output.record,
    output:
        "<results>/layers/{trained}.{forget_set}.csv",
    log:
        "<logs>/score_layers/{trained}.{forget_set}.log",
    benchmark:
        "<benchmarks>/score_layers/{trained}.{forget_set}.jsonl"
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("score_layers"),
        runtime=COSTS.runtime("score_layers"),
        gpu=COSTS.gpus("score_layers"),
    params:
        plan=PLANS.layers,
        code=code_digest("mute.analyses.capture"),
    script:
        "../../scripts/score_layers.py"
