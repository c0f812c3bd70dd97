"""Markdown of the generated pages: tables, anchors, and text that must not be taken for markup."""

import re
from collections.abc import Callable, Iterable, Sequence


def table(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, or '' without rows."""
    lines = [" | ".join(_cell(cell) for cell in row) for row in rows]
    if not lines:
        return ""
    return "\n".join(f"| {line} |" for line in (" | ".join(head), " | ".join("---" for _ in head), *lines)) + "\n"


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|").replace("\n", " ")


def plain(text: str) -> str:
    """Text in which `<name>` is not taken for HTML and `[two] [words]` for a link; code stays as it is."""
    return _outside_code(text, lambda part: _unmarked(re.sub(r"<(?=\w)", "&lt;", part)))


def unmarked(text: str) -> str:
    """Text in which two words in brackets, one after the other, are no link; code stays as it is."""
    return _outside_code(text, _unmarked)


def _unmarked(text: str) -> str:
    return text.replace("] [", "] \\[")


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else change(part) for part in parts)


def heading(level: int, words: str, anchor: str) -> str:
    """A heading that can be linked to by a name of our own."""
    return f"{'#' * level} {words} {{ #{anchor} }}\n"


def folded(title: str, text: str) -> str:
    """What is opened by a click, if there is anything in it."""
    inner = "\n".join(f"    {line}" if line else "" for line in text.strip().split("\n"))
    return f'??? note "{title}"\n\n{inner}\n' if text.strip() else ""
