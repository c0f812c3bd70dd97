"""Figures and the summary: drawn from tables made here, whose truth is known."""

import html
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from made_up import (
    ABOUT,
    ERASES_AND_KEEPS,
    ERASES_AND_WRECKS,
    ERASES_NOTHING,
    KINDS,
    NAN,
    THE_PAPER,
    incomplete,
    make_tables,
)
from mute import __main__ as command
from mute.findings import findings, limits, metrics, verdicts
from mute.findings.results import Number, Results, place
from mute.plan.notebook import opened
from mute.plan.rules import FIGURES, NOTEBOOKS
from mute.plotting import captions, executed, figures, page, registry, style, summary
from mute.store import artifacts

ROOT = Path(__file__).parents[2]
DRAWN = (*FIGURES, *NOTEBOOKS)


def module(name: str):
    return figures.load(name) if name in FIGURES else registry.of_notebook(name)


@pytest.fixture(scope="module")
def tables() -> dict:
    return make_tables(THE_PAPER)


@pytest.fixture
def other_last_bits():
    """A context in which constrained layout gives every place the next larger number instead."""

    @contextmanager
    def context():
        execute = ConstrainedLayoutEngine.execute

        def shifted(self, fig):
            execute(self, fig)
            for part in fig.subfigs:
                part.bbox_relative.set_points(np.nextafter(part.bbox_relative.get_points(), 2))
            for axes in fig.axes:
                axes.set_position(Bbox(np.nextafter(axes.get_position(original=True).get_points(), 2)))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ConstrainedLayoutEngine, "execute", shifted)
            yield

    return context


# Figures


def test_parsing_the_plan_imports_no_matplotlib():
    code = "import sys, mute.plan.rules; assert not {'matplotlib', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_registry_is_the_folder():
    assert figures.names() == FIGURES
    assert "frontier" in FIGURES
    with pytest.raises(ValueError, match="frontier"):
        figures.load("frontiers")


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_has_the_same_bytes_each_time(name, tables, tmp_path, other_last_bits):
    """In this process and in another, whose layout has other last bits."""
    for path in (tmp_path / "one.svg", tmp_path / "two.svg"):
        style.save(module(name).draw(tables, ABOUT), path)
    first = (tmp_path / "one.svg").read_bytes()
    assert first == (tmp_path / "two.svg").read_bytes()
    assert b"<dc:date>" not in first
    with other_last_bits():
        style.save(module(name).draw(tables, ABOUT), tmp_path / "three.svg")
    assert first == (tmp_path / "three.svg").read_bytes()
    # Without what steadies it, the layout would show in the file.
    with other_last_bits(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "SteadyLayout", ConstrainedLayoutEngine)
        style.save(module(name).draw(tables, ABOUT), tmp_path / "four.svg")
    assert first != (tmp_path / "four.svg").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_draws_what_there_is(name, kind):
    figure = module(name).draw(incomplete(kind), {} if kind in ("empty", "cells only") else ABOUT)
    if kind == "diverged":  # laid out as well: numbers that are missing could end there
        figure.draw_without_rendering()


def test_captions_of_the_report_are_those_of_the_modules(tmp_path):
    made = captions.files()
    assert set(made) == {f"{name}.rst" for name in DRAWN}
    folder = ROOT / captions.FOLDER
    assert {path.name for path in folder.iterdir()} == set(made)
    for name, text in made.items():
        assert (folder / name).read_text(encoding="utf-8") == text, "old: run `python -m mute.plotting.captions`"
        assert text.split() == module(name.removesuffix(".rst")).CAPTION.split()
    (tmp_path / captions.FOLDER).mkdir(parents=True)
    (tmp_path / captions.FOLDER / "gone.rst").write_text("of a figure that is no more")
    captions.write(tmp_path)
    assert {path.name for path in (tmp_path / captions.FOLDER).iterdir()} == set(made)


def test_what_a_figure_lacks_is_told(monkeypatch):
    monkeypatch.delattr(figures.load("leak"), "CAPTION")
    with pytest.raises(ValueError, match=r"'mute.plotting.figures.leak' defines no CAPTION \("):
        figures.load("leak")
    with pytest.raises(ValueError, match="trade_off"):
        registry.of_notebook("trade_offs")


def test_a_metric_that_is_none_is_an_error_that_names_it_the_figure_and_the_nearest(tables, monkeypatch):
    frontier = figures.load("frontier")
    monkeypatch.setattr(
        frontier, "keys", lambda results, names: results.number(results.cases[0], "rmu", "1", "K_heldut")
    )
    with pytest.raises(ValueError, match=r"figure 'frontier' asks for .*'K_heldut'.*Did you mean"):
        figures.draw("frontier", Results(tables, ABOUT), ABOUT)


def test_a_metric_without_a_row_in_one_cell_is_a_missing_number(tables):
    results = Results(tables, ABOUT)
    (case,) = results.cases
    assert not results.number(case, "gradient_ascent", "full", "B")
    # Of no cell of this study, yet a metric: a study without retraining has none.
    assert not results.number(case, "rmu", "1", "B_retrained")
    assert not results.knows("K_heldut")
    own = pd.concat([tables["scores"], tables["scores"].iloc[:1].assign(metric="my_own", facts="")])
    assert Results({**tables, "scores": own}, ABOUT).knows("my_own"), "a measure that a study brings along"
    with pytest.raises(metrics.UnknownMetricError, match="Did you mean 'accuracy_option'"):
        results.number(case, "rmu", "1", "accuracy_options")


def test_scores_of_attacked_models_are_those_of_no_other(tables):
    known = tables["scores"][tables["scores"]["metric"] == "K"]
    attacked = known.assign(metric="R", attack="rtn4", value=0.77)
    both = Results({**tables, "scores": pd.concat([attacked, tables["scores"].assign(attack=None)])}, ABOUT)
    (case,) = both.cases
    plain = Results(tables, ABOUT).number(case, "rmu", "1", "K")
    assert both.number(case, "rmu", "1", "K") == plain != both.number(case, "rmu", "1", "R", attack="rtn4")
    assert both.number(case, "rmu", "1", "R", attack="rtn4").value == 0.77
    assert not both.number(case, "rmu", "1", "R", attack="rtn8")
    assert set(both.tables["scores"]["attack"]) == {""}


def test_algorithms_stand_in_the_order_of_the_study_by_family(tables):
    about = {**ABOUT, "algorithms": {"gradient_ascent": {"family": "divergence"}, "rmu": {"family": "representation"}}}
    results = Results(tables, about)
    assert results.algorithms(results.cases[0]) == ["gradient_ascent", "rmu"]
    assert results.family("rmu") == "representation"
    extra = pd.concat([tables["cells"], tables["cells"].iloc[:1].assign(algorithm="ascent_again")])
    about["algorithms"]["ascent_again"] = {"family": "divergence"}
    results = Results({**tables, "cells": extra}, about)
    assert results.algorithms(results.cases[0]) == ["gradient_ascent", "ascent_again", "rmu"]


def test_a_figure_does_not_write_what_it_cannot(tmp_path):
    with pytest.raises(ValueError, match=r"figure\.gif"):
        style.save(style.new_figure(1, 1), tmp_path / "figure.gif")


def test_colours_hang_on_the_name_alone():
    codes = list(style.LANGUAGES)
    assert len({style.language_colour(code) for code in codes}) == len({*map(style.language_marker, codes)}) == 12
    assert style.language_colour("en") == "#332288"
    assert style.language_colour("xx") == "#6A3D9A"


def test_whole_models_stand_beyond_the_last_block():
    assert place("2", 8) == 2
    assert place("2-3", 8) == 2.5
    assert 7 < place("all", 8) < place("full", 8)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks_are_stripped(name):
    notebook = json.loads((ROOT / "workflow/notebooks" / f"{name}.py.ipynb").read_text(encoding="utf-8"))
    assert notebook["metadata"]["language_info"]["name"] == "python"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert 'globals().get("snakemake")' in "".join(code[0]["source"])


def test_a_notebook_opened_by_hand_finds_its_study(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="run the study first"):
        opened()
    for name, table in make_tables(THE_PAPER).items():
        artifacts.write_table(tmp_path / "results/tables" / f"{name}.csv", table)
    given = opened()
    assert [case.model for case in given.results.cases] == ["llama"]
    assert given.output is None


# Results


def test_results_are_the_same_from_files(tables, tmp_path):
    for name, table in tables.items():
        artifacts.write_table(tmp_path / f"{name}.csv", table)
    read, given = Results.read(tmp_path.glob("*.csv"), ABOUT), Results(tables, ABOUT)
    (case,) = read.cases
    assert read.cases == given.cases
    assert read.bands(case, "rmu") == ["0", "1", "2"]
    assert read.algorithms(case) == ["rmu", "gradient_ascent"]
    assert read.languages(case) == (["en", "es"], ["de", "xx"])
    for results in (read, given):
        assert results.number(case, "rmu", "1", "K") == pytest.approx((0.1, 0.08, 0.12, 60, 0))
    assert read.number(case, "oracle", "", "K", language="de") == Number(0.0, -0.02, 0.02, 60)
    assert not read.number(case, "rmu", "9", "K")


def test_cases_are_named_by_what_differs():
    made = make_tables(THE_PAPER)
    both = {name: pd.concat([table, table.assign(retain="all")]) for name, table in made.items() if "retain" in table}
    named = Results({**made, **both}, ABOUT)
    assert [named.name(case) for case in named.cases] == ["llama, retain all", "llama, retain source"]
    repeated = pd.concat([made["cells"], made["cells"].assign(seed=1)])
    assert Results({**made, "cells": repeated}, ABOUT).repeats == len(made["cells"])


def test_numbers_are_written_with_their_interval():
    assert str(Number(0.5, 0.25, 0.75, 3)) == "0.50 [0.25, 0.75]"
    assert str(Number(-0.001, -0.2, 0.1, 3)) == "0.00 [−0.20, 0.10]"
    assert str(Number(0.5)) == "0.50 [no interval]"
    assert str(Number()) == "–"


# Verdicts


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [(0.1, 0.1, True), (0.9, 0.1, False), (0.4, 0.2, None), (0.46, 0.01, None), (0.54, 0.01, None), (0.1, NAN, None)],
)
def test_half_is_decided_by_interval_and_distance(value, half, expected):
    assert verdicts.below(Number(value, value - half, value + half, 9)) is expected


@pytest.mark.parametrize(
    ("value", "half", "expected"),
    [(1.0, 0.04, True), (0.98, 0.03, True), (0.8, 0.05, False), (0.95, 0.05, None), (1.0, 0.2, None), (1.0, NAN, None)],
)
def test_kept_is_equivalence(value, half, expected):
    assert verdicts.kept(Number(value, value - half, value + half, 9)) is expected


def test_the_arms_of_few_trainings_shrink_as_students_do():
    """Student's 95 % arms are 12.71 with one degree of freedom and 6.31 at 90 %: half, and not the normal's 0.84."""
    for df, arm in ((1, 6.313752 / 12.706205), (7, 1.894579 / 2.364624), (0, 1.644854 / 1.959964)):
        low, high = verdicts.shorter(Number(1.0, 0.9, 1.1, 9, df))
        assert (1 - low, high - 1) == pytest.approx((0.1 * arm, 0.1 * arm), rel=1e-5)
    assert verdicts.kept(Number(1.0, 0.905, 1.095, 2, 1)) is True
    assert verdicts.kept(Number(1.0, 0.905, 1.095, 2)) is None


def test_one_no_outweighs_what_is_open():
    assert verdicts.all_of([True, None, False]) is False
    assert verdicts.all_of([True, None]) is None
    assert verdicts.all_of([True, True]) is True
    assert verdicts.all_of([]) is None


def regimes(made: dict) -> dict[str, str]:
    results = Results(made, ABOUT)
    found = verdicts.find_regimes(results, results.cases[0], "rmu")
    return {finding.regime.name: verdicts.say(finding.verdict) for finding in found}


def test_the_papers_regimes_show_where_they_are_true():
    assert regimes(make_tables(THE_PAPER)) == dict.fromkeys(("shallow", "middle", "deep"), "shows")


def test_they_do_not_show_where_they_are_false():
    backwards = {"0": ERASES_NOTHING, "1": ERASES_AND_WRECKS, "2": ERASES_AND_KEEPS}
    assert regimes(make_tables(backwards)) == dict.fromkeys(("shallow", "middle", "deep"), "does not show")


def test_wide_intervals_and_missed_gates_decide_nothing():
    opened_up = dict.fromkeys(("shallow", "middle", "deep"), "not decided")
    assert regimes(make_tables(THE_PAPER, half=0.6)) == opened_up
    assert regimes(make_tables(THE_PAPER, gate=False)) == opened_up
    made = make_tables(THE_PAPER)
    assert regimes({**made, "bands": made["bands"].iloc[:0]}) == opened_up


def test_the_target_is_ranked_by_merit():
    results = Results(make_tables(THE_PAPER), ABOUT)
    rank = verdicts.rank_target(results, results.cases[0], "rmu")
    assert (rank.place, rank.target, rank.best, rank.apart) == (1, "1", "1", False)
    assert verdicts.merit(results, results.cases[0], "rmu", "1").value == pytest.approx(0.9)
    worse = {"0": ERASES_AND_KEEPS, "1": ERASES_NOTHING, "2": (0.0, 0.1, 0.9, 1.0)}
    results = Results(make_tables(worse), ABOUT)
    rank = verdicts.rank_target(results, results.cases[0], "rmu")
    assert (rank.place, rank.best, rank.apart) == (3, "0", True)
    results = Results(make_tables(worse, half=0.5), ABOUT)
    assert verdicts.rank_target(results, results.cases[0], "rmu").apart is None


# Summary


def test_blocks_are_named_in_runs():
    assert findings.blocks_words(["3", "0", "1", "2", "5"]) == "blocks 0–3, 5"
    assert findings.blocks_words(["4"]) == "block 4"
    assert findings.blocks_words([]) == "no block"
    assert findings.blocks_words(["2-3"]) == "block 2-3"


def test_the_answer_follows_the_tables():
    def answer(**options) -> str:
        return dict(findings.answer(Results(make_tables(**options), ABOUT)))["Answer"]

    assert answer(effects=THE_PAPER).startswith("Yes, in every pair. Of 1 pair of")
    assert "llama (rmu block 1)" in answer(effects=THE_PAPER)
    assert answer(effects={"0": ERASES_AND_WRECKS, "1": ERASES_NOTHING}).startswith("Not in this study")
    assert answer(effects=THE_PAPER, half=0.6).startswith("Not decided")
    assert "below its gate" in answer(effects=THE_PAPER, gate=False)
    assert findings.answer(Results({}, {}))[0][0] == "No answer"


def test_every_line_of_the_answer_changes_with_the_tables():
    paper = dict(findings.answer(Results(make_tables(THE_PAPER), ABOUT)))
    other = {"0": (1.0, 1.0, 1.0, 0.0), "1": (0.0, 0.1, 0.1, 0.0), "2": (0.0, 0.1, 1.0, 0.0)}
    changed = dict(findings.answer(Results(make_tables(other), ABOUT)))
    same = {name for name in paper if paper[name] == changed[name]}
    # Held-out languages are all alike in both; tests/findings/test_lead.py has others.
    assert same == {"Paper protocol", "Language or block"}
    assert paper["Paper protocol"].startswith("Not run in this study")


def test_the_limits_say_what_is_missing():
    made = make_tables(THE_PAPER, status="not_reached", gate=False)
    words = " ".join(limits.limits(Results(made, ABOUT)))
    assert "Every architecture was trained once" in words
    assert "this study has 1" in words
    assert "Below their gate, and so without a verdict: llama" in words
    assert "Of 4 cells, 4 not reached" in words
    assert "Protocols that were not run: paper" in words
    assert "guessing hits 12.5 %" in words
    assert "No oracle" not in words
    words = " ".join(limits.limits(Results(incomplete("no oracle, no abilities"), ABOUT)))
    assert "No oracle for llama" in words
    assert limits.limits(Results({}, {}))


@pytest.fixture(scope="module")
def pages(tables, tmp_path_factory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    drawn = folder / "figures" / "frontier.svg"
    style.save(module("frontier").draw(tables, ABOUT), drawn)
    summary.write(Results(tables, ABOUT), [drawn], folder / "summary.rst", folder / "index.html")
    return (folder / "summary.rst").read_text(encoding="utf-8"), (folder / "index.html").read_text(encoding="utf-8")


def test_the_pages_need_nothing_from_outside(pages):
    for text in pages:
        assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", text)
        assert "<link" not in text
        assert "@import" not in text
        assert text.count("data:image/svg+xml;base64,") == 1


def test_the_reports_page_survives_docutils_and_has_no_script(pages):
    core = pytest.importorskip("docutils.core")
    links = "\n\n.. _Workflow: javascript:show_panel('workflow')\n"  # what Snakemake adds
    template = pytest.importorskip("jinja2").Template(pages[0] + links)
    body = core.publish_parts(template.render(), writer="html")["html_body"]
    assert "system-message" not in body
    assert "<script" not in body
    assert "Every edit" in body
    assert body.count("<table>") == pages[1].count("<table>") >= 5


def test_every_figure_links_to_its_rule_configuration_and_code(tables, tmp_path, monkeypatch):
    """The links lead from the page to files of the project, and the rule is one of that file."""
    monkeypatch.chdir(ROOT)
    names = (*FIGURES, *NOTEBOOKS)
    for name in names:
        (tmp_path / f"{name}.svg").write_text("<svg/>", encoding="utf-8")
    results = Results(tables, {**ABOUT, "files": ["config/config.yaml", "config/smoke.yaml"]})
    drawn = [tmp_path / f"{name}.svg" for name in names]
    summary.write(results, drawn, tmp_path / "summary.rst", tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    made = re.findall(r"<small>Made by: (.*?)</small>", text)
    # Two held-out languages are too few for a figure of their properties: its section says so. No edit was attacked.
    lacking = {name for name in FIGURES if not figures.has(name, results)}
    assert {"properties", "robustness", "detection"} <= lacking < set(names)
    assert len(made) == len(set(names) - lacking)
    assert "src/mute/plotting/figures/properties.py" not in " ".join(made)
    assert "2 held-out languages have" in text
    (left_out,) = re.findall(r"Left out, for this study has nothing that they show: (.*?)\.</p>", text)
    assert set(html.unescape(left_out).split("; ")) == {figures.load(name).TITLE for name in lacking}
    for line in made:
        links = re.findall(r'<a href="([^"]+)">([^<]+)</a>', line)
        assert all((tmp_path / path).resolve().is_file() for path, _ in links), line
        rules = (tmp_path / links[0][0]).read_text(encoding="utf-8")
        assert f"rule {links[0][1]}:" in rules
        assert [words for _, words in links[1:3]] == ["config/config.yaml", "config/smoke.yaml"]
        assert links[3][1].endswith((".py", ".ipynb"))


def test_a_large_study_fits_the_reports_reader():
    """docutils refuses a page with a line of more than 10,000 characters, and shows nothing of it."""
    rows = [["a model", "an edit", Number(0.5, 0.4, 0.6, 3), Number(), 7, "not decided"] * 3] * 1000
    made = page.restructured(page.table([f"column {i}" for i in range(18)], rows))
    assert max(map(len, made.splitlines())) < 10_000
    assert made.count("<tr>") == 1001


@pytest.mark.parametrize("kind", KINDS)
def test_the_summary_says_what_there_is(kind, tmp_path):
    results = Results(incomplete(kind), {} if kind == "empty" else ABOUT)
    summary.write(results, [], tmp_path / "summary.rst", tmp_path / "index.html")
    assert summary.terminal(results, tmp_path)


def test_tables_are_escaped_and_sort_by_value():
    made = page.table(["<a>"], [["<b>"], [Number(0.5, 0.4, 0.6, 3)], [Number()], [7], ["not decided"]])
    assert "&lt;a&gt;" in made
    assert "&lt;b&gt;" in made
    assert 'data-sort="0.5"' in made
    assert 'data-sort=""' in made
    assert 'class="open"' in made


def test_the_terminal_summary_only_prints(tables, tmp_path, capsys):
    for name, table in tables.items():
        artifacts.write_table(tmp_path / "tables" / f"{name}.csv", table)
    (tmp_path / "index.html").write_text("")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert command.main(["summary", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert "1 target, best" in printed
    assert "0.10 [0.08, 0.12]" in printed
    assert "regimes, rmu: shallow shows, middle shows, deep shows" in printed
    assert f"Look at: {tmp_path / 'index.html'}" in printed
    assert "report.html" not in printed


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n1,2\n1,2,3\n"])
def test_a_table_that_cannot_be_read_is_told(tables, tmp_path, capsys, content):
    for name, table in tables.items():
        artifacts.write_table(tmp_path / "tables" / f"{name}.csv", table)
    (tmp_path / "tables/cells.csv").write_bytes(content)
    assert command.main(["summary", str(tmp_path)]) == 1
    assert f"{tmp_path / 'tables'} cannot be read" in capsys.readouterr().err


def test_a_study_without_tables_says_so(tmp_path, capsys):
    assert command.main(["summary", str(tmp_path)]) == 1
    assert "run the study first" in capsys.readouterr().err


def test_an_executed_notebook_is_published_without_anything_of_the_machine(tmp_path):
    """Its own cells and what they showed stay; Snakemake's cell, times, places and warnings go."""

    def cell(source, *outputs, **metadata):
        found = {"cell_type": "code", "execution_count": 9, "id": "a", "metadata": metadata, "source": [source]}
        return {**found, "outputs": list(outputs)}

    shown = {"output_type": "execute_result", "execution_count": 9, "data": {"text/plain": ["1"]}, "metadata": {}}
    warned = {"output_type": "stream", "name": "stderr", "text": ["/elsewhere/someone/a.py: Warning"]}
    raw = {
        "cells": [
            cell("import sys;sys.path.extend(['/elsewhere/someone'])", tags=["snakemake-job-properties"]),
            {"cell_type": "markdown", "metadata": {"papermill": {"start_time": "now"}}, "source": ["# Title"]},
            cell("1", shown, warned, papermill={"duration": 1.5}, execution={"iopub.status.busy": "now"}),
        ],
        "metadata": {"kernelspec": {"name": "python3"}, "papermill": {"input_path": "/elsewhere/someone/x.ipynb"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path, to = tmp_path / "logs/x.ipynb", tmp_path / "notebooks/x.ipynb"
    executed.publish(path, to)
    assert not to.exists(), "none ran, and none is missing"
    path.parent.mkdir()
    path.write_text(json.dumps(raw))
    executed.publish(path, to)
    text = to.read_text(encoding="utf-8")
    assert "someone" not in text
    assert "now" not in text
    made = json.loads(text)
    assert [c["source"] for c in made["cells"]] == [["# Title"], ["1"]]
    assert made["cells"][1]["outputs"] == [{**shown, "execution_count": 2}]
    assert made["metadata"] == {"kernelspec": {"name": "python3"}}
    assert not path.exists(), "a log with the user's home does not stay"
