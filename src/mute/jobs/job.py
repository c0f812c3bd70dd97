"""What every job of the workflow does around its work: threads, a log, and where its time went.

A script imports this module before all others of the package: small jobs are mostly imports.
"""

import errno
import gc
import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mute.jobs import progress
from mute.jobs.logs import SECONDS, Log
from mute.jobs.sealed import results_of, sealed_job
from mute.store import artifacts, clock, seals

if TYPE_CHECKING:
    from snakemake.iocontainers import Snakemake

# Imports make many objects and hardly any garbage: looking for it meanwhile costs a tenth of them. `job` looks again.
gc.disable()


# The user's to mend: a full disk or quota, a limit on a file's size, what may not be written.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def job(snakemake: "Snakemake", *, torch: bool = True, online: bool = False) -> Generator[Log]:
    """Run a job's body with one torch thread per Snakemake thread, logging to its log file.

    online: whether it may ask the hub; all jobs but the one that fetches find there what was fetched.

    What it reads is held against the seals of the jobs that wrote it, and what it wrote is sealed. A ValueError is the
    user's to mend: it ends the job with its message. The traceback goes to a file of its own, for Snakemake shows the
    logs of failed jobs on the terminal.
    """
    name = " ".join([snakemake.rule.replace("_", " "), *map(str, snakemake.wildcards)])
    if not online:
        keep_offline()
    if torch:
        import torch as torch_module
        import transformers.modeling_utils  # noqa: F401  else it comes with the first model, and garbage is looked for

        torch_module.set_num_threads(snakemake.threads)
    gc.freeze()
    gc.enable()
    clock.begin()
    log = Log(Path(snakemake.log[0]), name)
    log.note("started")
    progress.listen(log.say, lambda: log.spoke)
    try:
        with sealed_job(snakemake, log):
            yield log
    except ValueError as error:
        _stop(log, str(error))
    except artifacts.NotWholeError as error:
        fault = seals.not_whole(error.folder)
        seals.put_aside(results_of(snakemake), fault)
        _stop(log, str(seals.DamageError([fault])))
    except OSError as error:
        if error.errno not in _DISK:
            raise
        where = f" ({error.filename})" if error.filename else ""
        _stop(log, f"cannot write: {error.strerror}{where}. Mend that; the same command goes on from here")
    artifacts.write_json(Path(snakemake.log[0]).with_suffix(SECONDS), clock.seconds())
    log.note("done")


def _stop(log: Log, text: str) -> None:
    """End the job with a message, and its traceback in a file beside the log."""
    log.say(f"stopped: {text}")
    log.keep_traceback(traceback.format_exc())
    sys.exit(1)


def keep_offline() -> None:
    """Keep this process, and those that it starts, from asking the hub, whatever they have imported already."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    # They read the environment once, when they are imported.
    for module in ("huggingface_hub.constants", "datasets.config"):
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
            if hasattr(sys.modules.get(module), name):
                setattr(sys.modules[module], name, True)
