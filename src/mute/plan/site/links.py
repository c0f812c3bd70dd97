"""Links of Markdown files of the project, as they are on the site: its pages, copies of other files, or plain names."""

import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from mute.plan.site import markdown

# Files outside docs/ that are pages of the site, by their path in the project.
PAGES: Mapping[str, str] = {
    "config/README.md": "configuration.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "data/README.md": "data.md",
    "README.md": "index.md",
}
DOCS = "docs/"
COPIES = "files/"
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\S\n]*$", re.MULTILINE | re.DOTALL)


def place(path: str) -> str:
    """Where a file of the project is on the site."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix(DOCS) if path.startswith(DOCS) else COPIES + path


def rewritten(text: str, path: str, copied: Callable[[str], None], page: str = "") -> str:
    """A file's text with links that hold on the site.

    path: where the file is in the project; page: where it is on the site, if elsewhere than `place` says. `copied` is
    told each file that the site has to have a copy of.
    """
    here = PurePosixPath(page or place(path)).parent.as_posix()

    def link(match: re.Match[str]) -> str:
        target = match[2]
        if re.match(r"[a-z]+:", target):
            return match[0]
        full = posixpath.normpath(posixpath.join(PurePosixPath(path).parent.as_posix(), target))
        if not (full in PAGES or full.startswith(DOCS)):
            copied(full)
        return f"{match[1]}{posixpath.relpath(place(full), here)}{match[3] or ''}{match[4]}"

    found, end = [], 0
    for fence in _FENCE.finditer(text):
        found += [markdown.unmarked(_LINK.sub(link, text[end : fence.start()])), fence[0]]
        end = fence.end()
    return "".join([*found, markdown.unmarked(_LINK.sub(link, text[end:]))])
