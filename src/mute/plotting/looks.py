"""How an algorithm is drawn: the colour of its family, and a marker and line of its place within it."""

from typing import NamedTuple

from matplotlib.lines import Line2D

from mute.findings.results import Results
from mute.plotting import style

# Told apart under the common forms of colour blindness (a test simulates them). The last is that of other families.
FAMILIES: dict[str, str] = {
    "representation": "#0072B2",
    "editing": "#D55E00",
    "preference": "#009E73",
    "divergence": "#CC79A7",
    "distillation": "#E69F00",
    "rejection": "#56B4E9",
    "guard": "#882255",
    "control": "#202020",
}
OTHER = "#332288"
COLOURS = (*FAMILIES.values(), OTHER)
# Neither star nor plus, which base and oracle have in planes, nor the thin diamond of whole-model edits.
MARKERS = ("o", "s", "^", "D", "v", "X", "p", "<", ">", "h")
LINES = ("-", "--", ":", "-.")


class Look(NamedTuple):
    """How an algorithm is drawn. label: its name, with its family where the study says one."""

    colour: str
    marker: str
    line: str
    label: str


def look(results: Results, algorithm: str) -> Look:
    """The look of an algorithm, the same in every figure of a study.

    Where a study says nothing of its algorithms, each has a colour of its own, as far as there are colours.
    """
    family, name = results.family(algorithm), algorithm.replace("_", " ")
    own = [other for other in results.all_algorithms if results.family(other) == family]
    place = own.index(algorithm) if algorithm in own else len(own)
    if not family:
        first, colour = place, COLOURS[place % len(COLOURS)]
    else:
        # Families begin at different markers, so that a print without colours tells the first of each apart.
        first = place + (list(FAMILIES).index(family) if family in FAMILIES else len(FAMILIES))
        colour = FAMILIES.get(family, OTHER)
    marker, line = MARKERS[first % len(MARKERS)], LINES[place // len(MARKERS) % len(LINES)]
    return Look(colour, marker, line, f"{name} ({family})" if family else name)


def key(results: Results, algorithm: str, label: str = "", **options: object) -> Line2D:
    """The entry of an algorithm in a legend."""
    own = look(results, algorithm)
    return style.line_key(label or own.label, own.colour, **{"marker": own.marker, "linestyle": own.line, **options})
