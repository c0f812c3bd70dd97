# Models and data from the hub: the only jobs that use the network.
#
# requires: the hub, or what was fetched from it before, or local directories
# makes:    <results>/inputs/, records of what lies in the user's cache


rule fetch_inputs:
    """Fetching {wildcards.repo}."""
    input:
        PLANS.local_files,
    output:
        "<results>/inputs/{repo}.json",
    log:
        "<logs>/fetch_inputs/{repo}.log",
    benchmark:
        "<benchmarks>/fetch_inputs/{repo}.jsonl"
    # Before all else: what is missing or refused shows at once.
    priority: 300
    conda:
        "../../envs/mute.yaml"
    params:
        plan=PLANS.fetching,
        code=code_digest("mute.hub.copies"),
    script:
        "../../scripts/fetch_inputs.py"
