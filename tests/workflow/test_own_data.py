"""Three kinds of data as users bring them run to a page, and what the page says is true of them."""

import html
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from test_workflow import call, copy_project

import own_data

pytestmark = pytest.mark.slow

# Facts to forget, and what guessing hits of them.
TRUTH = {"choice": (14, "25 %"), "questions": (12, "9.09 %"), "numbers": (14, "25 %")}


@pytest.fixture(scope="module", params=own_data.KINDS)
def made(request, tmp_path_factory) -> tuple[str, Path, str]:
    """Kind, project, and what check-data and plan said of its files."""
    kind = request.param
    project = copy_project(tmp_path_factory.mktemp(kind))
    folder = own_data.write(kind, project / "data" / kind)
    own = own_data.study(kind, folder.relative_to(project), project / "own.yaml")
    given = ["config/micro.yaml", own.name]
    said = ""
    for command in ("check-data", "plan"):
        done = call(project, sys.executable, "-m", "mute", command, *given)
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout
    done = call(project, "snakemake", "--cores", "1", "--configfile", *given, "--", "all")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return kind, project, said


def text(page: str) -> str:
    """What a reader reads."""
    page = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_what_the_page_says_is_true_of_the_data(made):
    kind, project, planned = made
    results = project / "results" / kind
    page = text((results / "index.html").read_text(encoding="utf-8"))
    forget, guessing = TRUTH[kind]
    # Counts and chance are those of the files.
    assert f"{forget} facts to forget" in planned
    assert f"{forget} to forget, about" in planned
    # Of numbers the held-out language may know too little beyond the oracle for an interval.
    assert kind == "numbers" or f"(from {forget} facts)" in page
    assert f"of which guessing hits {guessing}" in page
    # Each question has one wording here, and unlearning read it.
    assert "in the words that unlearning read in the source languages" in page
    assert "unlearning never read" not in page
    assert "fictional" not in page
    assert "Corpus files" in " ".join(page.split())
    # The model learned the facts, and its oracle all but those to forget.
    assert "0 of models below gate" in page
    assert "nothing to forget" not in set(pd.read_csv(results / "tables/cells.csv")["status"])
    gates = pd.read_csv(results / "tables/gates.csv")
    assert (gates.loc[gates["measure"] == "recall", "value"] >= 0.9).all()
    assert (gates.loc[gates["measure"] == "never_taught", "value"] <= 0.5).all()


def test_letters_numbers_and_names_are_of_no_language(made):
    """So none of them is in another language than asked: no number stands there, and the page says why."""
    kind, project, _ = made
    scores = pd.read_csv(project / "results" / kind / "tables/scores.csv")
    assert not scores["metric"].isin(["confusion", "confusion_base"]).any()
    page = text((project / "results" / kind / "index.html").read_text(encoding="utf-8"))
    assert "for confusion, where answers are the same in all languages" in page


def test_missing_intervals_and_numbers_are_explained_above_each_table(made):
    kind, project, _ = made
    page = (project / "results" / kind / "index.html").read_text(encoding="utf-8")
    for anchor in ("models", "edits"):
        part = page.split(f'id="{anchor}"')[1].split("<table")[0]
        assert "[no interval]: in too many resamples" in part
        assert "A dash: there is no number" in part
    said = call(project, sys.executable, "-m", "mute", "summary", f"results/{kind}").stdout
    assert "[no interval]: in too many" in " ".join(said.split())
