"""Hooks of MkDocs: hand it the pages that are made from code and tables, and mend links that leave docs/.

mkdocs.yml names this file; `make docs` runs it. What the pages say is made in `mute.plan.site`.
"""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from mkdocs.structure.files import File, Files  # noqa: E402

import mute  # noqa: E402
from mute.plan.site import catalogue, gallery, links, numbers, studies  # noqa: E402

# Of these pages the prose names numbers, which the frozen tables fill in.
WITH_NUMBERS = ("index.md", "science.md")
LIBRARY = "# The library\n\nHow it is used: [Use it from Python](library.md). Every name of `import mute`:\n\n"


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages, those from outside docs/, and the files that pages link to."""
    (study,) = [each for each in studies.all_of(ROOT) if each.folder.name == "frozen"]
    text, figures = gallery.page(ROOT, study)
    made = {**catalogue.pages(ROOT), "gallery.md": text, "reference-library.md": LIBRARY + _names()}
    copied: dict[str, None] = {}
    for path, place in links.PAGES.items():
        # The README is for those who are not here yet: the site has a home of its own.
        if path != "README.md":
            own = (ROOT / path).read_text(encoding="utf-8")
            made[place] = links.rewritten(own, path, copied.setdefault)
    for path in sorted((ROOT / links.DOCS).rglob("*.md")):
        links.rewritten(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix(), copied.setdefault)
    for place, content in made.items():
        files.append(File.generated(config, place, content=content))
    for place, figure in figures.items():
        files.append(File.generated(config, place, abs_src_path=str(figure)))
    for path in copied:
        if (ROOT / path).is_file():
            files.append(File.generated(config, links.place(path), abs_src_path=str(ROOT / path)))
    config.extra["numbers"] = numbers.texts(numbers.values_of(ROOT, study))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links of a page in docs/ as they hold on the site, and its numbers."""
    place = page.file.src_uri
    if page.file.generated_by is None:
        markdown = links.rewritten(markdown, links.DOCS + place, lambda path: None)
    return numbers.filled(markdown, config.extra["numbers"]) if place in WITH_NUMBERS else markdown


def _names() -> str:
    return "\n\n".join(f"::: mute.api.{name}" for name in mute.__all__) + "\n"
