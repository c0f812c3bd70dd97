# The corpus of facts, texts and abilities.
#
# requires: nothing, or the user's files, or data sets that were fetched
# makes:    <results>/corpus/


# From the corpus on all is made again; cells that are right are found in their store.
if workflow.is_main_process:
    origin.trust()
    if origin.is_untold(f"{RESULTS}/corpus/about.json"):
        print(
            f"Nothing is recorded of how {RESULTS}/corpus/ was made: the study is made again.",
            file=sys.stderr,
        )
        origin.distrust()


rule make_corpus:
    """Corpus: facts, their texts in every language, and the abilities."""
    input:
        PLANS.corpus_files(),
        fetched=PLANS.fetched_of_corpus(),
        known=str(origin.KNOWN),
    output:
        facts="<results>/corpus/facts.csv",
        texts="<results>/corpus/texts.parquet",
        lines="<results>/corpus/lines.parquet",
        about="<results>/corpus/about.json",
    log:
        "<logs>/make_corpus.log",
    benchmark:
        "<benchmarks>/make_corpus.jsonl"
    conda:
        "../../envs/mute.yaml"
    params:
        plan=PLANS.corpus(),
        code=PLANS.corpus_code(),
    script:
        "../../scripts/make_corpus.py"
