# The study behind the workflow: reads and checks the configuration, announces the plan.
#
# requires: the configuration
# makes:    STUDY, and the helpers that other rule files use


import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "src"))

from mute.plan import FIGURES, NOTEBOOKS, TABLES, Plans, announce
from mute.provenance import code_digest
from mute.study import ConfigError, Study, read_yaml

try:
    for path in workflow.configfiles:
        read_yaml(path)  # strictly: Snakemake itself drops a key that stands twice
    STUDY = Study({k: v for k, v in config.items() if k != "pathvars"})
except ConfigError as error:
    # Errors of the configuration are the user's to mend: no traceback.
    if workflow.is_main_process:
        print(error, file=sys.stderr)
    sys.exit(1)

PLANS = Plans(STUDY)
RESULTS = STUDY.config.study.results


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    benchmarks=f"{RESULTS}/benchmarks",


wildcard_constraints:
    trained="[A-Za-z0-9_-]+",
    model="[A-Za-z0-9_-]+",
    tuning="[A-Za-z0-9_.-]+",
    shard="[A-Za-z0-9_.-]+",
    forget_set="[a-z]+",
    name="[a-z_]+",


if workflow.is_main_process:
    announce(STUDY, workflow.cores)
