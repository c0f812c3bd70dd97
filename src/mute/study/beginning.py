"""A folder for a study of one's own: its configuration, and a Snakefile that includes the project's as a module."""

import re
import textwrap
from pathlib import Path
from string import Template

from mute import analyses, attacks, unlearn
from mute.corpus import languages, sources
from mute.names import check_name, unknown_name
from mute.store import artifacts, project

# What is written, and from which file of the project.
_FILES = {
    "config.yaml": "workflow/new/config.yaml",
    "Snakefile": "workflow/new/Snakefile",
    "README.md": "workflow/new/README.md",
    ".gitignore": "workflow/new/gitignore",
    # Snakemake loads it by itself: what reruns what, and how much it says.
    "profiles/default/profile.v9+.yaml": "profiles/default/profile.v9+.yaml",
}
_WIDTH = 118


def likes() -> list[str]:
    """The configurations of the project that a study can begin as."""
    return sorted(path.stem for path in Path(project.path("config")).glob("*.yaml"))


def begin(folder: Path, like: str = "") -> list[Path]:
    """Write the files of a new study into a folder, named after it; returns which.

    like: one of the project's configurations to begin with, in place of the small one with all choices beside it.
    Raises ValueError for a folder that holds anything, for a name that is no study's, and for an unknown configuration.
    """
    name = check_name(folder.resolve().name, "the study's name, which is its folder's,")
    if like and like not in likes():
        raise ValueError(unknown_name("configuration to begin with", like, likes()))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there and not empty: nothing was written. Give a new folder")
    words = {"name": name, **_choices()}
    texts = {to: Path(project.path(source)).read_text(encoding="utf-8") for to, source in _FILES.items()}
    texts["README.md"] = Template(texts["README.md"]).substitute(words)
    texts["config.yaml"] = _renamed(like, name) if like else _filled(texts["config.yaml"], words)
    for to, text in texts.items():
        (folder / to).parent.mkdir(parents=True, exist_ok=True)
        artifacts.write_text(folder / to, text)
    return [folder / to for to in texts]


def _choices() -> dict[str, str]:
    """The names of what a configuration chooses from."""
    names = {"analyses": analyses.names(), "attacks": attacks.names(), "methods": unlearn.names()}
    names |= {"languages": languages.codes(), "sources": tuple(name for name in sources.names() if name != "world")}
    return {what: ", ".join(found) for what, found in names.items()}


def _filled(text: str, words: dict[str, str]) -> str:
    """The template with its choices; comments that these make too long are broken as comments are."""
    lines = []
    for line in text.splitlines():
        filled = Template(line).substitute(words)
        indent = filled[: len(filled) - len(filled.lstrip())]
        if len(filled) > _WIDTH and filled.startswith(f"{indent}# ") and "/" not in line:
            lines += textwrap.wrap(filled, _WIDTH, subsequent_indent=f"{indent}#   ", break_on_hyphens=False)
        else:
            lines.append(filled)
    return "\n".join(lines) + "\n"


def _renamed(like: str, name: str) -> str:
    """One of the project's configurations under another name, with its results in the study's own folder."""
    text = Path(project.path(f"config/{like}.yaml")).read_text(encoding="utf-8")
    text = re.sub(r"(?m)^  name: .*$", f"  name: {name}", text, count=1)
    return re.sub(r"(?m)^  results: .*$", "  results: results", text, count=1)
