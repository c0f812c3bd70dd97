"""The study that a command line means, and the command that goes on with it."""

import os
import shlex
from collections.abc import Sequence

from mute.config.sections import Files, read_files
from mute.status import page, standing, text
from mute.store import project
from mute.study.cells import Study
from mute.study.checks import checked_study
from mute.unlearn.own import FLAG


def read_study(configfiles: Sequence[str], arguments: Sequence[str] = ()) -> Study:
    """The study that `read_values` reads."""
    files = read_values(configfiles, arguments)
    return checked_study(files.values, files)


def read_values(configfiles: Sequence[str], arguments: Sequence[str] = ()) -> Files:
    """What config files say over the base, and over them `--config` among arguments for Snakemake."""
    files = read_files(project.base(), *(path for path in configfiles if path != project.base()))
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if any(a == "-C" or a == "--config" or a.startswith("--config=") for a in own):
        # Only then, for it takes a second.
        from snakemake.cli import parse_args, parse_config
        from snakemake.utils import update_config

        update_config(files.values, parse_config(parse_args(list(own))[1].config))
    return files


def go_on(configfiles: Sequence[str], arguments: Sequence[str] = (), cores: str = "all") -> str:
    """The command that goes on with a study, as one types it: make's in the project, `mute run` elsewhere."""
    trusted = os.environ.get(FLAG) == "1"
    if not project.is_here():
        files = [] if list(configfiles) == project.own_config() else list(configfiles)
        own = ["--own-code"] if trusted else []
        own += ["--cores", cores] if cores != "all" else []
        return shlex.join(["mute", "run", *files, *own, *(["--", *arguments] if arguments else [])])
    given = {
        "CONFIG": " ".join(configfiles) if list(configfiles) not in ([], [project.BASE]) else "",
        "CORES": cores if cores != "all" else "",
        "OWN_CODE": "1" if trusted else "",
        "ARGS": shlex.join(arguments),
    }
    # make reads `$` itself.
    words = [f"{name}={shlex.quote(value.replace('$', '$$'))}" for name, value in given.items() if value]
    return " ".join(["make study", *words])


def after_run(configfiles: list[str], arguments: list[str], cores: str) -> str:
    """Write the page at the end of a run; returns what is to be said of one that did not complete."""
    status = standing.collect(read_study(configfiles, arguments), go_on(configfiles, arguments, cores), under_way=False)
    page.write(status)
    return text.after(status)
