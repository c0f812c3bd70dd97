"""Style of all figures: fonts, colours of languages, titles, legends, and files with the same bytes each time.

A language has the same colour and marker in every figure and every study, an algorithm those of its family and place
(`mute.plotting.looks`). Languages are labelled by their codes, so that no font is needed but DejaVu, which comes with
matplotlib.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

from mute.store import artifacts

Colour: TypeAlias = str | tuple[float, float, float, float]
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "mute",
    "pdf.fonttype": 42,
}
# What would make two files of the same figure differ: dates and versions.
METADATA: dict[str, dict[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}

INK, GREY, FAINT, ABSENT = "#222222", "#767676", "#E9E9E9", "#DADADA"
FORGET, RETAIN = "#D55E00", "#0072B2"
WIDEST = 20.0  # inches
GOOD, WARNING = "#DDEFDD", "#A6192E"
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")

# Twelve colours that stay apart under the common forms of colour blindness, as far as twelve can; markers help.
LANGUAGES: dict[str, str] = {
    "en": "#332288",
    "es": "#117733",
    "pt": "#44AA99",
    "de": "#88CCEE",
    "fr": "#CC6677",
    "it": "#AA4499",
    "hi": "#882255",
    "ar": "#999933",
    "id": "#DDCC77",
    "ja": "#D55E00",
    "ko": "#661100",
    "zh": "#6699CC",
}
# For names that a study brings along; which one a name gets depends on nothing but the name.
OTHERS = ("#6A3D9A", "#56B4E9", "#8C510A", "#01665E", "#BF5B17", "#4D4D4D", "#7570B3", "#A6761D")


def language_colour(code: str) -> str:
    return LANGUAGES.get(code) or OTHERS[_number(code) % len(OTHERS)]


def language_marker(code: str) -> str:
    known = list(LANGUAGES)
    return MARKERS[(known.index(code) if code in LANGUAGES else _number(code)) % len(MARKERS)]


def block_colour(block: float, depth: int) -> Colour:
    """From light (first block) to dark (last)."""
    return matplotlib.colormaps["viridis_r"](0.08 + 0.87 * block / max(depth - 1, 1))


def share_colours() -> Colormap:
    """Of heat maps: 0 dark, 1 light; missing values grey."""
    return matplotlib.colormaps["cividis"].with_extremes(bad=ABSENT)


def _number(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


class SteadyLayout(ConstrainedLayoutEngine):
    """Constrained layout whose places are the same in every process.

    Its solver adds in the order of addresses in memory, which gives places other last bits from one process to the
    next; and SVG names clip paths by a hash of their places.
    """

    DECIMALS = 6
    """Of the figure's width and height: thousandths of a point."""

    def execute(self, fig: Figure) -> None:
        super().execute(fig)
        for part in fig.subfigs:
            part.bbox_relative.set_points(self._steady(part.bbox_relative.get_points()))
        for axes in fig.get_axes():
            axes.set_position(Bbox(self._steady(axes.get_position(original=True).get_points())))
            # A place that was set by hand would be left alone by the next layout.
            axes.set_in_layout(True)

    def _steady(self, places: np.ndarray) -> np.ndarray:
        # Places of equal panels often lie on a half, where the last bit would decide: halves are none of the limits.
        return np.floor(places * 10**self.DECIMALS + 0.3819) / 10**self.DECIMALS


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in the project's style, of this size in inches; it belongs to no window.

    Raises ValueError for one that is wider than WIDEST: whoever draws many panels begins another row.
    """
    if width > WIDEST:
        raise ValueError(f"a figure of {width:.1f} inches is wider than {WIDEST:g}: begin another row of panels")
    matplotlib.rcParams.update(SETTINGS)
    return Figure(figsize=(width, height), layout=SteadyLayout())


def save(figure: Figure, path: Path | str) -> None:
    """Write a figure, in the format of its ending (svg, pdf, png); the same figure gives the same bytes."""
    kind = Path(path).suffix.lstrip(".")
    if kind not in METADATA:
        raise ValueError(f"a figure is .svg, .pdf or .png, not {Path(path).name!r}")
    with matplotlib.rc_context(SETTINGS), artifacts.atomic(path) as temporary:
        figure.savefig(temporary, format=kind, metadata=METADATA[kind], dpi=150)


def title(axes: Axes, text: str, note: str = "", *, warning: bool = False) -> None:
    """A panel's title, and a smaller line beneath for what must be known to read it; both in lines as wide as it is."""
    room, lines = _width(axes), 0
    if note:
        look: dict[str, Any] = {"fontsize": NOTE, "color": WARNING if warning else GREY, "va": "bottom"}
        note, lines = wrapped(note, room, NOTE)
        axes.annotate(note, (0, 1), (0, 5), "axes fraction", "offset points", annotation_clip=False, **look)
    text, _ = wrapped(text, room, SETTINGS["axes.titlesize"], bold=True)
    axes.set_title(text, fontweight="bold", pad=8 + 9 * lines if lines else 6)


NOTE = 7  # points


def _width(axes: Axes) -> float:
    """About how wide a panel will be, in points: it is laid out later, and then somewhat wider than it is now."""
    part = axes.figure
    return 1.1 * axes.get_position(original=True).width * part.bbox.width / part.dpi * 72


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> tuple[str, int]:
    """Text in lines of at most `width` points, and their number; broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measured(longer, size, bold=bold) > width:
            lines.append(word)
        else:
            lines[-1:] = [longer]
    return "\n".join(lines), len(lines)


@cache
def measured(text: str, size: float, *, bold: bool = False) -> float:
    """Width of a line of text in points."""
    font = FontProperties(family=SETTINGS["font.family"], weight="bold" if bold else "normal")
    return float(np.ptp(TextPath((0, 0), text, size=size, prop=font).vertices[:, 0])) if text.strip() else 0.0


def missing(axes: Axes, text: str) -> None:
    """Say in an empty panel why it is empty."""
    # Not by taking the ticks away: panels that share an axis would lose theirs.
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor("#F6F6F6")
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, fontsize=8, wrap=True)


def line_key(label: str, colour: str = INK, **options: object) -> Line2D:
    """An entry of a legend: a line or marker that is nowhere drawn."""
    look: dict[str, Any] = {"color": colour, **options}
    return Line2D([], [], label=label, **look)


def area_key(label: str, colour: Colour) -> Patch:
    return Patch(facecolor=colour, label=label)


def legend(figure: Figure, keys: Sequence[Artist], note: str = "") -> None:
    """One legend for all panels, below them, in as many columns as the figure is wide.

    note: what must be known of the whole figure, such as what it does not show.
    """
    if not keys:
        return
    size = SETTINGS["legend.fontsize"]
    # Inches that an entry takes: its text, and the handle and spaces of five letters' width.
    widths = [(measured(str(key.get_label()), size) + 5 * size) / 72 for key in keys]

    def total(columns: int) -> float:
        return sum(float(max(part)) for part in np.array_split(widths, columns))

    fitting = [n for n in range(1, len(keys) + 1) if total(n) < figure.get_figwidth()]
    words, _ = wrapped(note, 72 * figure.get_figwidth() - 20, size)
    columns = max(fitting, default=1)
    figure.legend(handles=keys, loc="outside lower center", ncols=columns, title=words, title_fontsize=size)
