"""Fill .venv: a virtual environment, uv in it, and by uv MUTE with the versions of requirements.lock.

The Makefile runs this with whatever Python the machine has, so it needs nothing but the standard library. Where
packages come from is the user's choice: pip's settings are handed on to uv, and uv's own win over them.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
NEWER_PYTHONS = ("python3.13", "python3.12", "python3.11", "python3", "python")
VENV = Path(".venv")
VENV_PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"

# pip's setting: uv's variable, its older names, and what stands between several values.
UV_NAMES = {
    "index-url": ("UV_DEFAULT_INDEX", ("UV_INDEX_URL",), " "),
    "extra-index-url": ("UV_INDEX", ("UV_EXTRA_INDEX_URL",), " "),
    "find-links": ("UV_FIND_LINKS", (), ","),
    "trusted-host": ("UV_INSECURE_HOST", (), " "),
    "no-index": ("UV_NO_INDEX", (), " "),
    "cert": ("SSL_CERT_FILE", (), " "),
}
# A lock names what everybody can get: no local builds, no private indexes.
NOT_IN_A_LOCK = ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX", "UV_TORCH_BACKEND")


def parse_pip_config(listing: str) -> dict[str, str]:
    """The settings that hold for `pip install`, from what `pip config list` prints (PIP_* variables included)."""
    settings = {}
    for section in ("global", "install", ":env:"):  # each wins over the one before
        for line in listing.splitlines():
            key, _, value = line.partition("=")
            if key.startswith(section + "."):
                settings[key[len(section) + 1 :]] = ast.literal_eval(value)
    return settings


def uv_variables(settings: dict[str, str], environ: dict[str, str]) -> dict[str, str]:
    """Pip's settings as uv's variables, for those that `environ` does not set itself."""
    variables = {}
    for key, (name, older_names, separator) in UV_NAMES.items():
        values = [os.path.expanduser(value) for value in settings.get(key, "").split()]
        if values and not any(environ.get(one) for one in (name, *older_names)):
            variables[name] = separator.join(values)
    # pip takes the best version of all indexes, uv by default whatever the first one has.
    if "UV_INDEX" in variables and not environ.get("UV_INDEX_STRATEGY"):
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def is_new_enough(python: str) -> bool:
    """Whether this interpreter runs at all and is one that MUTE supports."""
    check = f"import sys; sys.exit(sys.version_info < {OLDEST_PYTHON})"
    try:
        return subprocess.run([python, "-c", check], capture_output=True).returncode == 0
    except OSError:
        return False


def find_python() -> str:
    """The running interpreter if it is new enough, else the first on PATH that is."""
    for candidate in (sys.executable, *(shutil.which(name) for name in NEWER_PYTHONS)):
        if candidate and is_new_enough(candidate):
            return candidate
    version = ".".join(map(str, sys.version_info[:2]))
    raise SystemExit(
        f"MUTE needs Python 3.11 or newer; this is {version} and there is no other on PATH.\n"
        "Install one, or name it: make study PYTHON=/path/to/python3.12"
    )


def find_pip() -> list[str]:
    """The command that installs into .venv: its own pip, or another Python's (Debian's venv may come without)."""
    own = [str(VENV_PYTHON), "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True).returncode == 0:
        return own
    return [find_python(), "-m", "pip", "--python", str(VENV_PYTHON)]


def make_venv() -> None:
    """Make .venv, or make it again if its interpreter is gone or too old."""
    if is_new_enough(str(VENV_PYTHON)):
        return
    new_venv = [find_python(), "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(new_venv, capture_output=True).returncode != 0:
        subprocess.run([*new_venv, "--without-pip"], check=True)


def prepare_uv() -> dict[str, str]:
    """Make .venv and put uv into it; returns the environment to run uv with."""
    make_venv()
    pip = find_pip()
    if not UV.exists():
        subprocess.run([*pip, "install", "-qq", "--disable-pip-version-check", "uv>=0.8"], check=True)
    listing = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=True).stdout
    environ = dict(os.environ)
    return {**environ, **uv_variables(parse_pip_config(listing), environ)}


def install() -> None:
    """Install MUTE, editable, with all extras. The lock only constrains: what it pins for other machines stays out."""
    print("Filling .venv with the versions of requirements.lock; the first time this may take minutes ...", flush=True)
    environ = prepare_uv()
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    command = [UV, "pip", "install", *quiet, "--python", VENV_PYTHON, "-c", "requirements.lock", "-e", ".[all]"]
    subprocess.run(command, env=environ, check=True)


def lock(arguments: list[str]) -> None:
    """Resolve requirements.lock for every platform and every Python that pyproject.toml allows."""
    environ = {name: value for name, value in prepare_uv().items() if name not in NOT_IN_A_LOCK}
    environ["UV_CUSTOM_COMPILE_COMMAND"] = "make lock"
    options = ["--quiet", "--universal", "--no-emit-index-url", "--all-extras", "-c", "envs/pins.txt"]
    command = [UV, "pip", "compile", *options, *arguments, "pyproject.toml", "-o", "requirements.lock"]
    subprocess.run(command, env=environ, check=True)
    print("requirements.lock is up to date with pyproject.toml; envs/*.yaml must name the same versions (make test).")


def main(arguments: list[str]) -> None:
    """`environment.py install` or `environment.py lock [arguments for uv pip compile]`."""
    try:
        if arguments[:1] == ["install"]:
            install()
        elif arguments[:1] == ["lock"]:
            lock(arguments[1:])
        else:
            raise SystemExit("usage: environment.py install | lock [arguments for uv pip compile]")
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        raise SystemExit(f"The set-up stopped: this failed, and says why above:\n  {command}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
