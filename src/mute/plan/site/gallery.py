"""The gallery: every figure of report and paper, drawn from frozen tables by the functions that draw a study's."""

import sys
from pathlib import Path

from mute.findings.published import Published
from mute.paper import figures as paper_figures
from mute.plan.site import kept, markdown
from mute.plan.site.studies import Study
from mute.plotting import figures, style
from mute.plotting.registry import NOTEBOOKS, Figures

PUBLISHED = Path("paper/published")
FOLDER = "gallery"
_SETS: dict[str, tuple[str, Figures, str]] = {
    "report": ("Figures of the report", figures.REGISTRY, "make figures"),
    "paper": ("Figures of the paper", paper_figures.REGISTRY, "make paper"),
}
_HEAD = """\
# Gallery

The figures of a finished study, `{study}`, drawn when this site was built from the tables in `{folder}`: by the
functions that draw a study's own, with their captions. `make frozen` draws the same, in `results/frozen/figures/`;
`make figures` and `make paper` draw yours. [Methods, attacks and analyses](catalogue/index.md) say what is compared,
[tables](tables.md) what the measures mean. To add a figure: [Adding something](adding.md#a-figure).
"""


def page(root: Path, study: Study) -> tuple[str, dict[str, Path]]:
    """The page, and the files of its figures by their place on the site."""
    text = [_HEAD.format(study=study.name, folder=study.folder.relative_to(root).as_posix())]
    files: dict[str, Path] = {}
    for kind, (title, registry, command) in _SETS.items():
        text.append(f"## {title}\n")
        for name in registry.names():
            module = registry.load(name)
            place = f"{FOLDER}/{name}.svg"
            made = f"Made by `{module.__name__}` in `{_file(root, module.__name__)}`; `{command}`.\n"
            caption = markdown.plain(module.CAPTION)
            text.append(markdown.heading(3, module.TITLE, f"figure-{name}"))
            if not registry.has(name, study.results):
                text.append(f"The study has nothing for it to show. {caption}\n\n{made}")
                continue
            files[place] = _drawn(root, kind, name, study)
            text.append(f"[![{module.TITLE}]({place}){{ loading=lazy }}]({place})\n\n{caption}\n\n{made}")
    notebooks = ", ".join(f"`{name}`" for name in NOTEBOOKS)
    text.append(f"Two more are drawn in notebooks that every study writes to `results/notebooks/`: {notebooks}.\n")
    return "\n".join(text), files


def _drawn(root: Path, kind: str, name: str, study: Study) -> Path:
    registry = _SETS[kind][1]

    def make(path: Path) -> None:
        given = Published(root / PUBLISHED) if kind == "paper" else study.about
        style.save(registry.draw(name, study.results, given), path)

    module = registry.load(name).__name__
    read = [*study.folder.glob("*.parquet"), study.folder / "about.json", *(root / PUBLISHED).glob("*.csv")]
    return kept.file(root, f"{name}.svg", make, read, module)


def _file(root: Path, module: str) -> str:
    return Path(str(sys.modules[module].__file__)).relative_to(root).as_posix()
