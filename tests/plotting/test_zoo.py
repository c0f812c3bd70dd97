"""Figures of a study of 40 algorithms, 3 models and 12 languages: how large they are, what they show, where text is."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from made_up import ABOUT, FAMILIES, THE_PAPER, ZOO, ZOO_ABOUT, make_tables, zoo
from mute.findings import families
from mute.findings.published import Published
from mute.findings.results import Results
from mute.paper import figures as paper_figures
from mute.plan.rules import FIGURES, NOTEBOOKS, PAPER_FIGURES
from mute.plotting import figures, looks, registry, style

DRAWN = (*FIGURES, *NOTEBOOKS, *(f"paper {name}" for name in PAPER_FIGURES))


@pytest.fixture(scope="module")
def tables() -> dict:
    return zoo()


@pytest.fixture(scope="module")
def results(tables) -> Results:
    return Results(tables, ZOO_ABOUT)


def draw(name: str, results: Results) -> Figure:
    if name in NOTEBOOKS:
        return registry.of_notebook(name).draw(results, results.about)
    if name in FIGURES:
        return figures.draw(name, results, results.about)
    return paper_figures.draw(name.removeprefix("paper "), results, Published())


# Where text is


def texts(figure: Figure) -> list[tuple[str, int, np.ndarray]]:
    """Every text that is drawn: its words, the number of its panel (-1: of the figure), and its box in pixels."""
    figure.draw_without_rendering()
    renderer = figure._get_renderer()
    found = []
    for place, axes in enumerate(figure.axes):
        ticks = [
            tick for axis in (axes.xaxis, axes.yaxis) for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        ]
        # Those beyond the ends of an axis exist, and are not drawn.
        drawn = {tick for axis in (axes.xaxis, axes.yaxis) for tick in axis._update_ticks()}
        hidden = {text for tick in set(ticks) - drawn for text in (tick.label1, tick.label2)}
        found += [(text, place) for text in axes.findobj(Text) if text not in hidden]
    for part in (figure, *figure.subfigs):
        found += [(text, -1) for text in (*part.texts, part._suptitle) if text is not None]
        found += [(text, -1) for legend in part.legends for text in legend.findobj(Text)]
    shown = {text: place for text, place in found if text.get_visible() and text.get_text().strip()}
    return [(text.get_text(), place, text.get_window_extent(renderer).extents) for text, place in shown.items()]


def misplaced(figure: Figure, slack: float = 2.0) -> list[str]:
    """Texts that leave the figure, and texts outside their panel that lie on another panel or on its texts.

    What stands within a panel may lie on what is drawn there, as the number on its point does.
    """
    own = texts(figure)
    panels = np.array([axes.bbox.extents for axes in figure.axes])
    edge = np.array([0, 0, *figure.bbox.size])
    found = [f"{words!r} leaves the figure" for words, _, box in own if _out(box, edge) > slack]
    outside = [(w, p, box) for w, p, box in own if p < 0 or _out(box, panels[p]) > slack]
    boxes, places = np.array([box for *_, box in outside]).reshape(-1, 4), np.array([place for _, place, _ in outside])
    words = [text for text, *_ in outside]
    onto = (_shared(boxes, panels) > slack) & (places[:, None] != np.arange(len(panels)))
    found += [f"{words[i]!r} lies on panel {j}" for i, j in np.argwhere(onto)]
    pairs = (_shared(boxes, boxes) > slack) & ((places[:, None] != places) | (places < 0))
    return found + [f"{words[i]!r} lies on {words[j]!r}" for i, j in np.argwhere(np.triu(pairs, 1))]


def _out(box: np.ndarray, frame: np.ndarray) -> float:
    """By how many pixels a box leaves a frame."""
    return float(max(*(frame[:2] - box[:2]), *(box[2:] - frame[2:])))


def _shared(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The shorter side of what boxes [N, 4] and others [M, 4] share, in pixels [N, M]."""
    low, high = np.maximum(some[:, None, :2], others[:, :2]), np.minimum(some[:, None, 2:], others[:, 2:])
    return (high - low).min(axis=2)


def test_the_paper_finds_where_a_high_figure_may_be_cut(results, tmp_path):
    """By its own pattern, in the bytes that it reads: one place for each line of panels, from above."""
    figure = draw("depth", results)
    style.save(figure, tmp_path / "depth.svg")
    text = (Path(__file__).parents[2] / "paper/mute.typ").read_text(encoding="utf-8")
    (pattern,) = re.findall(r'titles = regex\("(.*)"\)', text)
    found = re.findall(
        pattern.replace('\\"', '"').replace("\\\\", "\\"), (tmp_path / "depth.svg").read_text(encoding="utf-8")
    )
    places = [float(place) for place in found]
    assert len(places) == len(figure.subfigs) > 1
    assert places == sorted(places)


def test_text_on_text_would_be_seen():
    figure = style.new_figure(4, 2)
    for place in (1, 2):
        axes = figure.add_subplot(1, 2, place)
        axes.set_title("a title that is much wider than its own panel is", fontsize=9)
    assert any("lies on 'a title" in words for words in misplaced(figure))
    figure = style.new_figure(4, 2)
    figure.add_subplot().text(1.2, 0.5, "outside of everything", transform=figure.transFigure)
    assert any("leaves the figure" in words for words in misplaced(figure))


@pytest.mark.parametrize("name", DRAWN)
def test_no_figure_is_wider_than_a_page_and_no_text_lies_on_another(name, results):
    figure = draw(name, results)
    assert figure.get_figwidth() <= style.WIDEST
    assert misplaced(figure) == []


@pytest.mark.in_turn
@pytest.mark.parametrize("name", DRAWN)
def test_bytes_of_large_figures_are_the_same_each_time(name, results, tmp_path):
    for place in ("one.svg", "two.svg"):
        style.save(draw(name, results), tmp_path / place)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.in_turn
@pytest.mark.parametrize("name", DRAWN)
def test_with_every_algorithm_figures_are_as_wide_and_go_on_below(name, tables):
    """All forty, of one model: nothing is drawn but laid out in rows."""
    one = {key: table[table["model"] == "llama"] for key, table in tables.items()}
    figure = draw(name, Results(one, {**ZOO_ABOUT, "drawn": families.ALL}))
    assert figure.get_figwidth() <= style.WIDEST
    assert not any("not shown" in legend.get_title().get_text() for legend in figure.legends)


def test_a_figure_that_is_too_wide_is_an_error():
    with pytest.raises(ValueError, match=r"22\.0 inches is wider than 20"):
        style.new_figure(22, 3)


# Which algorithms are shown


def test_of_many_algorithms_the_best_of_each_family_is_shown_and_said(results):
    names, note = families.choose(results)
    assert [results.family(name) for name in names] == list(FAMILIES)
    for name in names:
        others = [other for other in ZOO if ZOO[other] == ZOO[name]]
        assert families.merit(results, name) == max(families.merit(results, other) for other in others)
    assert note.startswith("7 of 40 algorithms")
    assert note.endswith("33 not shown")
    figure = draw("frontier", results)
    (legend,) = figure.legends
    assert legend.get_title().get_text() == note


def test_of_few_families_several_of_each_are_shown(results):
    two = {name for name in ZOO if ZOO[name] in list(FAMILIES)[:2]}
    names, note = families.choose(results, two)
    assert len(two) > families.MOST == len(names)
    assert [results.family(name) for name in names].count(next(iter(FAMILIES))) == families.MOST // 2
    assert note.startswith(f"8 of {len(two)} algorithms: the best 4 of each family by merit")


def test_few_algorithms_are_all_shown_and_a_study_may_name_them(tables):
    few = Results(make_tables(THE_PAPER), ABOUT)
    assert families.choose(few) == (["rmu", "gradient_ascent"], "")
    named = Results(tables, {**ZOO_ABOUT, "drawn": ["guard_by_method_6"]})
    assert families.choose(named).names == ["guard_by_method_6"]
    assert families.choose(named).note == "1 of 40 algorithms: those that the study names; 39 not shown"
    assert len(families.choose(Results(tables, {**ZOO_ABOUT, "drawn": families.ALL})).names) == 40
    # Where no family is known there is no best of one: the best of all are shown.
    unknown = families.choose(Results(tables, {key: v for key, v in ZOO_ABOUT.items() if key != "algorithms"}))
    assert len(unknown.names) == families.MOST
    assert unknown.note.endswith("32 not shown")


def test_an_algorithm_that_ran_everywhere_goes_before_one_that_ran_where_it_is_easy(tables, results):
    (best,) = (name for name in families.choose(results).names if ZOO[name] == "guard")
    gone = (tables["cells"]["algorithm"] == best) & (tables["cells"]["model"] == "bloom")
    fewer = Results({**tables, "cells": tables["cells"][~gone]}, ZOO_ABOUT)
    assert families.merit(fewer, best)[0] == 2
    assert best not in families.choose(fewer).names


# Colours and markers

# How three common forms of colour blindness see linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
SEEN = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIE Lab of a colour, as somebody sees it."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(seen @ linear, 0, 1) / (TO_XYZ @ np.ones(3))
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("who", SEEN)
def test_families_have_colours_that_anybody_tells_apart(who):
    """Fifteen of Lab's units are far more than the two or three that side by side can just be told apart."""
    assert len(set(looks.COLOURS)) == len(looks.FAMILIES) + 1
    points = [lab(colour, np.array(SEEN[who])) for colour in looks.COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2)) > 15


def test_colours_that_nobody_tells_apart_would_be_seen():
    red, green = (lab(colour, np.array(SEEN["no green"])) for colour in ("#CC4040", "#807A40"))
    assert np.linalg.norm(red - green) < 30 < np.linalg.norm(lab("#CC4040", np.eye(3)) - lab("#807A40", np.eye(3)))


def test_colour_is_the_family_and_marker_the_place_in_it(results):
    own = {name: looks.look(results, name) for name in ZOO}
    assert {own[name].colour for name in ZOO if ZOO[name] == "guard"} == {looks.FAMILIES["guard"]}
    assert len({look[:3] for look in own.values()}) == 40
    assert own["guard_by_method_6"].label == "guard by method 6 (guard)"
    one = {name: {"family": "guard"} for name in ZOO}
    together = Results(results.tables, {**ZOO_ABOUT, "algorithms": one})
    assert len({looks.look(together, name)[:3] for name in ZOO}) == 40, "ten markers by four lines"


def test_a_family_that_nobody_knows_has_the_last_colour_and_is_named(results):
    strange = {**ZOO_ABOUT["algorithms"], "guard_by_method_6": {"family": "prayer"}}
    look = looks.look(Results(results.tables, {**ZOO_ABOUT, "algorithms": strange}), "guard_by_method_6")
    assert look.colour == looks.OTHER == looks.COLOURS[-1]
    assert look.label == "guard by method 6 (prayer)"


def test_without_a_word_on_algorithms_each_has_a_look_of_its_own():
    results = Results(make_tables(THE_PAPER), ABOUT)
    first, second = (looks.look(results, name) for name in ("rmu", "gradient_ascent"))
    assert first.colour != second.colour
    assert first.marker != second.marker
    assert first.label == "rmu"
