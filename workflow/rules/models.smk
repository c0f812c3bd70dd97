# Embedded models: tokenizers, training, and the gates that a model must pass.
#
# requires: <results>/corpus/
# makes:    <results>/models/<trained>/, ordinary model directories; <results>/gates/<trained>.csv


rule train_tokenizer:
    """Tokenizer of {wildcards.model}."""
    input:
        rules.make_corpus.output,
    output:
        "<results>/tokenizers/{model}/tokenizer.json",
        "<results>/tokenizers/{model}/tokenizer_config.json",
    log:
        "<logs>/train_tokenizer/{model}.log",
    benchmark:
        "<benchmarks>/train_tokenizer/{model}.jsonl"
    # Before any training, so that the longest can be the first.
    priority: 200
    conda:
        "../../envs/mute.yaml"
    params:
        plan=PLANS.tokenizer,
        code=code_digest("mute.models.tokenizer", "mute.models.texts"),
    script:
        "../../scripts/train_tokenizer.py"


rule compare_languages:
    """Kinship of the languages of {wildcards.model}."""
    input:
        rules.make_corpus.output,
        tokenizer=PLANS.beside_tokenizer,
    output:
        pairs="<results>/kinship/{model}/languages.csv",
        properties="<results>/kinship/{model}/properties.csv",
    log:
        "<logs>/compare_languages/{model}.log",
    benchmark:
        "<benchmarks>/compare_languages/{model}.jsonl"
    conda:
        "../../envs/mute.yaml"
    params:
        plan=PLANS.compared,
        code=code_digest("mute.models.kinship"),
    script:
        "../../scripts/compare_languages.py"


rule pretrain_model:
    """Training {wildcards.trained} from scratch."""
    input:
        rules.make_corpus.output,
        tokenizer=PLANS.tokenizer_of,
    output:
        record="<results>/models/{trained}/record.json",
        weights="<results>/models/{trained}/model.safetensors",
        config="<results>/models/{trained}/config.json",
        tokenizer="<results>/models/{trained}/tokenizer.json",
    log:
        "<logs>/pretrain_model/{trained}.log",
    benchmark:
        "<benchmarks>/pretrain_model/{trained}.jsonl"
    wildcard_constraints:
        trained=PLANS.not_opened(),
    priority: 100
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("pretrain_model"),
        runtime=COSTS.runtime("pretrain_model"),
        gpu=COSTS.gpus("pretrain_model"),
    params:
        plan=PLANS.pretraining,
        code=code_digest(
            "mute.models.texts",
            "mute.models.pretrain",
            "mute.models.embedded",
            "mute.models.loading",
        ),
    script:
        "../../scripts/pretrain_model.py"


# The slowest training decides when the study ends: it starts first.
use rule pretrain_model as pretrain_longest with:
    wildcard_constraints:
        trained=PLANS.longest(),
    priority: 150


ruleorder: pretrain_longest > pretrain_model


rule evaluate_model:
    """Evaluating {wildcards.trained} before any unlearning."""
    input:
        rules.make_corpus.output,
        record=rules.pretrain_model.output.record,
    output:
        tokens="<results>/evaluations/{trained}/tokens.parquet",
        answers="<results>/evaluations/{trained}/answers.parquet",
    log:
        "<logs>/evaluate_model/{trained}.log",
    benchmark:
        "<benchmarks>/evaluate_model/{trained}.jsonl"
    priority: 50
    conda:
        "../../envs/mute.yaml"
    resources:
        mem_mb=COSTS.memory("evaluate_model"),
        runtime=COSTS.runtime("evaluate_model"),
        gpu=COSTS.gpus("evaluate_model"),
    params:
        plan=PLANS.evaluation,
        code=code_digest("mute.evaluate.run"),
    script:
        "../../scripts/evaluate_model.py"


rule check_gates:
    """Gates of {wildcards.trained}: recall, transfer, abilities."""
    input:
        rules.make_corpus.output,
        tokens=rules.evaluate_model.output.tokens,
    output:
        "<results>/gates/{trained}.csv",
    log:
        "<logs>/check_gates/{trained}.log",
    benchmark:
        "<benchmarks>/check_gates/{trained}.jsonl"
    priority: 50
    conda:
        "../../envs/mute.yaml"
    params:
        plan=PLANS.gates,
        code=code_digest("mute.evaluate.gates"),
    script:
        "../../scripts/check_gates.py"
