# The study behind the workflow: reads and checks the configuration, announces the plan.
#
# requires: the configuration
# makes:    STUDY, and the helpers that other rule files use


import gc
import os
import sys

sys.path.insert(0, os.path.join(workflow.basedir, "src"))

from mute.plan import origin
from mute.plan.costs.table import announce
from mute.config.sections import read_files
from mute.plan.costs import Costs
from mute.plan.rules import (
    FIGURES,
    MEASURES,
    NOTEBOOKS,
    PAPER_FIGURES,
    PAPER_TABLES,
    PUBLISHED,
    TABLES,
    Plans,
    keep_memory,
    share_code,
)
from mute.store import project
from mute.store.pointers import content
from mute.config.problems import ConfigError
from mute.registry import AdditionError
from mute.store.provenance import code_digest, script_digest
from mute.study.checks import checked_study

# In the order in which they lie over each other: the base first, then those of the command line.
chosen = workflow.overwrite_configfiles
files = [path for path in workflow.configfiles if path not in chosen] + list(chosen)

try:
    READ = read_files(*map(os.path.relpath, files))
    READ.paths = [project.named(path) for path in READ.paths]
    STUDY = checked_study(config, READ)
except (ConfigError, AdditionError) as error:
    # Errors of the configuration, and of a file that was added, are the user's to mend: no traceback.
    if workflow.is_main_process:
        print(error, file=sys.stderr)
    sys.exit(1)

share_code()
keep_memory()
PLANS = Plans(STUDY)
# What each job asks of a cluster. On one machine nothing waits for it, unless --resources sets a limit.
COSTS = Costs(STUDY, elsewhere=workflow.resource_settings.nodes is not None)
RESULTS = STUDY.config.study.results


pathvars:
    results=RESULTS,
    logs=f"{RESULTS}/logs",
    benchmarks=f"{RESULTS}/benchmarks",


wildcard_constraints:
    trained="[A-Za-z0-9_-]+",
    model="[A-Za-z0-9_-]+",
    repo="[A-Za-z0-9_-]+",
    shard="[A-Za-z0-9_.-]+",
    forget_set="[a-z_]+",
    name="[a-z_]+",


def is_made(path):
    """Whether an input of a rule is a function, or something that the study makes."""
    return not isinstance(path, str) or path.startswith((f"{RESULTS}/", "<results>/"))


# Planning makes millions of objects that stay. Python need not search those made by now, modules above all, for garbage
# each time, nor search so often: a tenth of the time in which a large study is planned.
gc.freeze()
gc.set_threshold(50_000)

# To fetch, from frozen results, or from tables that are given nothing is computed that would be worth announcing.
if workflow.is_main_process and not {"fetch", "frozen", "--allowed-rules"} & {
    *sys.argv
}:
    # On a cluster as many as there can be jobs, whatever the machine has that submits them.
    announce(
        COSTS, workflow.resource_settings.nodes or workflow.resource_settings.cores
    )
