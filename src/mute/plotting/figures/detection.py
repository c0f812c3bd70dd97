"""Detection: what every guard misses and where it sounds false alarms, and how well its detector tells, by block."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mute.bands import FULL
from mute.findings.results import Case, Results, Tables
from mute.plotting import looks, panels, style
from mute.store.records import Facts

PLACE = 8
TITLE = "Guards: misses, false alarms, and where a detector reads"
CAPTION = (
    "Above: how well each guard's detector, learned from source texts alone, tells questions on facts to be forgotten "
    "from those on facts in no loss, by the block whose output it reads (before the first: the embeddings): area under "
    "the ROC curve, mean over held-out languages; dotted: over source languages; grey: of shuffled labels, the "
    "control, mean over guards and draws, and from the least to the greatest draw. Beside it, before any guard, how "
    "the held-out languages' states lie to the source languages': unbiased "
    "CKA, LRDS, and the distance of the means over the norm of a state. Below, in percent, for every guard and "
    "language: share of the forget questions on which it does not fire, and of questions on facts in no loss and in a "
    "domain that no loss reads on which it does, at its own threshold. * It asks no detector: knowledge left, and "
    "share of what the base knows there that is lost. Source languages stand left of the gap. Estimates on all facts, "
    "without intervals."
)
ANALYSIS = "detection"
# Measure of the analysis, score of guards without a detector, and words.
MAPS = (
    ("misses", "K", "misses"),
    ("false_alarms_retain", "retain_option", "false alarms, facts kept"),
    ("false_alarms_bystander", "bystander_strict", "false alarms, bystanders"),
)
ALIGNMENT = (("cka_unbiased", "unbiased CKA", "-"), ("lrds", "LRDS", "--"), ("offset", "offset / norm", "-."))
GAP = 0.5  # columns between source and held-out languages
CURVES = 2.3  # inches


def has(results: Results) -> bool:
    """Whether the study has looked at all."""
    return bool(_cases(results))


def draw(tables: Tables, about: Facts) -> Figure:
    results = Results.of(tables, about)
    cases = _cases(results)
    rows = {case: _guards(results, case) for case in cases}
    heights = [CURVES + 0.17 * max(len(rows[case]), 4) + 1.0 for case in cases]
    figure = style.new_figure(11.0, (sum(heights) or 2) + 0.6)
    if not cases:
        style.missing(figure.add_subplot(), "this study has no analysis of detectors")
        return figure
    strips = figure.subfigures(len(cases), 1, squeeze=False, height_ratios=heights)[:, 0]
    detectors = _colours(results, cases)
    for strip, case, height in zip(strips, cases, heights):
        strip.suptitle(results.name(case), x=0.01, ha="left", fontsize=10.5, fontweight="bold")
        above, below = strip.subfigures(2, 1, height_ratios=[CURVES, height - CURVES])
        left, right = above.subplots(1, 2)
        _draw_areas(left, results, case, detectors)
        _draw_alignment(right, results, case)
        maps = below.subplots(1, len(MAPS), sharey=True)
        for axes, (measure, score, words) in zip(maps, MAPS):
            style.title(axes, words)
            _draw_map(axes, results, case, rows[case], measure, score)
    keys: list[Artist] = [
        looks.key(results, name, name.replace("_", " "), color=colour, markersize=3.5)
        for name, colour in detectors.items()
    ]
    keys += [style.line_key("source languages", style.INK, linestyle=":"), style.line_key("shuffled", style.GREY)]
    keys += [style.line_key(words, style.INK, linestyle=line) for _, words, line in ALIGNMENT]
    colours = style.share_colours()
    keys += [style.area_key(f"{round(100 * share)} %", colours(share)) for share in (0.0, 0.5, 1.0)]
    style.legend(figure, [*keys, style.area_key("no value", style.ABSENT)])
    return figure


def _rows(results: Results, case: Case) -> pd.DataFrame:
    """Rows of the analysis of all cells of a case."""

    def make() -> dict[tuple, pd.DataFrame]:
        table = results.tables["profiles"]
        own = table[(table["analysis"] == ANALYSIS) & (table["algorithm"] != "base")]
        keys = ["model", "training_seed", "sources", "retain", "forget_set", "protocol", "seed"]
        return {tuple(key): rows for key, rows in own.groupby(keys, sort=False)}

    key = (case.model, case.training_seed, *case.setting, case.seed)
    return results.once(("detection",), make).get(key, results.tables["profiles"].iloc[:0])


def _cases(results: Results) -> list[Case]:
    return [case for case in results.cases if len(_rows(results, case))]


def _guards(results: Results, case: Case) -> list[tuple[str, str]]:
    """Algorithm and band of every guard."""
    asked = set(_rows(results, case)["algorithm"])
    names = [name for name in results.algorithms(case) if name in asked or results.intent(name) == "guard"]
    return [(name, band) for name in names for band in results.bands(case, name)]


def _colours(results: Results, cases: Sequence[Case]) -> dict[str, str]:
    """Every guard with a detector and its colour: all are of one family, whose colour would tell none of them apart."""
    asked = {name for case in cases for name in _rows(results, case)["algorithm"]}
    free = [colour for colour in looks.COLOURS if colour != looks.FAMILIES["control"]]
    return dict(zip((name for name in results.all_algorithms if name in asked), cycle(free)))


def _draw_areas(axes: Axes, results: Results, case: Case, colours: dict[str, str]) -> None:
    """Draws a line for each guard with a detector."""
    rows, (source, heldout) = _rows(results, case), results.languages(case)
    style.title(axes, "detector: area under the ROC curve")
    panels.line_at(axes, 0.5)
    for name in colours:
        own, marker = rows[rows["algorithm"] == name], looks.look(results, name).marker
        for codes, line, width in ((heldout, "-", 1.1), (source, ":", 0.9)):
            by_block = _curve(own, "auroc", codes)
            embedded = _curve(own, "auroc_embeddings", codes)
            by_block = pd.concat([embedded.set_axis(embedded.index - 1), by_block])
            mark = marker if codes is heldout else ""
            axes.plot(by_block.index, by_block, line, color=colours[name], marker=mark, markersize=3.5, linewidth=width)
    control, low, high = (_curve(rows, f"auroc_shuffled{end}", heldout) for end in ("", "_low", "_high"))
    axes.plot(control.index, control, "-", color=style.GREY, linewidth=1.1)
    if len(low):
        axes.fill_between(low.index, low, high, color=style.FAINT, linewidth=0, zorder=1)
    axes.set(ylim=(-0.03, 1.03), xlim=(-1.3, results.depth(case) - 0.7))
    axes.set_xlabel("read after block")
    axes.set_xticks(range(-1, results.depth(case)), ["emb.", *map(str, range(results.depth(case)))])


def _curve(rows: pd.DataFrame, measure: str, codes: Sequence[str]) -> pd.Series:
    own = rows[(rows["measure"] == measure) & rows["language"].isin(codes)]
    return own.groupby("block")["value"].mean()


def _draw_alignment(axes: Axes, results: Results, case: Case) -> None:
    source, heldout = results.languages(case)
    style.title(axes, "held-out languages to the source languages")
    pairs = {f"{a}-{b}" for one in source for other in heldout for a, b in ((one, other), (other, one))}
    drawn = False
    for measure, _, line in ALIGNMENT:
        found: dict[int, list[float]] = {}
        for (block, pair), value in results.profile(case, measure).items():
            if pair in pairs:
                found.setdefault(int(block), []).append(value)
        if found:
            drawn = True
            axes.plot(sorted(found), [float(np.mean(found[b])) for b in sorted(found)], line, color=style.INK)
    if not drawn:
        style.missing(axes, "this study has no analysis of alignment")
        return
    axes.set_xlim(-1.3, results.depth(case) - 0.7)
    axes.set_xticks(range(results.depth(case)))
    axes.set_xlabel("after block")


def _draw_map(
    axes: Axes, results: Results, case: Case, guards: Sequence[tuple[str, str]], measure: str, score: str
) -> None:
    rows, asked = _rows(results, case), set(_rows(results, case)["algorithm"])
    ticks: dict[float, str] = {}
    left = 0.0
    for group, codes in zip(("source", "heldout"), results.languages(case)):
        if not codes:
            continue
        values = np.full((len(guards), len(codes)), np.nan)
        for i, (name, band) in enumerate(guards):
            for j, code in enumerate(codes):
                if name in asked:
                    keys = (rows["algorithm"] == name) & (rows["measure"] == measure) & (rows["language"] == code)
                    own = rows.loc[keys & (rows["band"].astype(str) == band), "value"]
                    values[i, j] = own.mean() if len(own) else np.nan
                else:
                    values[i, j] = _outcome(results, case, (name, band), score, group, code)
        edges = left + np.arange(len(codes) + 1), np.arange(len(guards) + 1)
        shown = np.ma.masked_invalid(np.clip(values, 0, 1))
        axes.pcolormesh(*edges, shown, cmap=style.share_colours(), vmin=0, vmax=1)
        for (i, j), value in np.ndenumerate(values):
            if np.isfinite(value):
                colour = "white" if value < 0.45 else style.INK
                text = f"{round(100 * value)}".replace("-", "−")
                axes.text(left + j + 0.5, i + 0.5, text, ha="center", va="center", color=colour, fontsize=5.5)
        ticks.update({left + j + 0.5: code for j, code in enumerate(codes)})
        left += len(codes) + GAP
    names = [_label(name, band, name not in asked) for name, band in guards]
    axes.set_xticks(list(ticks), list(ticks.values()), fontsize=6.5)
    axes.set_yticks([i + 0.5 for i in range(len(guards))], names, fontsize=6.5)
    axes.set(xlim=(0, max(left - GAP, 1)), ylim=(max(len(guards), 1), 0))
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _label(name: str, band: str, plain: bool) -> str:
    where = "" if band == FULL else f", {band}"
    return f"{name.replace('_', ' ')}{where}{' *' if plain else ''}"


def _outcome(results: Results, case: Case, cell: tuple[str, str], score: str, group: str, code: str) -> float:
    """What a guard without a detector leaves of knowledge, or takes of what the base knows of facts that stay."""
    own = results.number(case, *cell, score, group, language=code).value
    if score == "K":
        return own
    before = results.number(case, "base", "", score, group, language=code).value
    return 1 - own / before if before > 0 else float("nan")
