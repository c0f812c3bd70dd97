"""What the paper says of studies on the board: sentences and rows that are those of their tables."""

from pathlib import Path

import pandas as pd
import pytest

from mute.findings import files
from mute.paper import elsewhere

ROOT = Path(__file__).parents[2]
GIVEN = [ROOT / name for name in files.of_board()]


@pytest.fixture
def study(tmp_path):
    """study(change) -> what is said of Gemma's run with its rows changed."""

    def make(change=lambda rows: rows):
        folder = tmp_path / "gemma"
        folder.mkdir(exist_ok=True)
        for name in (files.ATTACKS, files.ABOUT):
            (folder / name).write_bytes((ROOT / files.BOARD / "gemma" / name).read_bytes())
        rows = pd.read_csv(ROOT / files.BOARD / "gemma" / files.ROWS)
        change(rows).to_csv(folder / files.ROWS, index=False)
        (found,) = elsewhere.read(folder / name for name in (files.ROWS, files.ATTACKS, files.ABOUT))
        return found

    return make


def test_studies_that_are_there_are_told_of_in_the_order_of_the_paper():
    found = elsewhere.read(GIVEN)
    assert [one["name"] for one in found] == [name for name in files.STUDIES if (ROOT / files.BOARD / name).is_dir()]
    assert found[0]["name"] == "gemma"
    for one in found:
        rows = pd.read_csv(ROOT / files.BOARD / one["name"] / files.ROWS)
        assert len(one["rows"]) == len(rows)
        assert f"Of {len(rows)} rows" in one["said"][0]


def test_statuses_are_counted(study):
    rows = pd.read_csv(ROOT / files.BOARD / "gemma" / files.ROWS)
    said = study()["said"][0]
    for status, count in rows["status"].value_counts().items():
        assert f"{count} {status.replace('_', ' ')}" in said


def counted(rows: pd.DataFrame) -> pd.Series:
    return (rows["status"] == "ok") & (rows["objective"] != "control")


@pytest.mark.parametrize("where", ["c_worst", "c_source"])
def test_of_none_that_keeps_the_model_nothing_is_claimed(study, where):
    """Neither in the worst held-out language nor in the sources may capability be lost."""

    def poor(rows):
        kept = rows.assign(c_worst=0.9, c_source=0.9)
        return kept.assign(**{where: kept[where].where(~counted(rows), 0.5)})

    assert study(poor)["said"][-1] == "None keeps 0.8 of C in every language."


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (0.1, "1 by the estimate leaves at most 0.2"),
        (0.3, "none by the estimate leaves at most 0.2"),
    ],
)
def test_what_erases_everywhere_and_keeps_the_model_is_counted(study, left, words):
    def one(rows):
        place = rows.index[counted(rows)][0]
        rows.loc[place, ["k_worst", "k_worst_low", "k_worst_high"]] = left, left - 0.05, left + 0.05
        rows.loc[place, ["c_worst", "c_worst_low", "c_worst_high"]] = 0.9, 0.85, 0.95
        return rows

    found = study(one)["said"]
    assert words in found[-1]
    assert f"{left:.2f} [" in found[-2]


def test_a_row_without_numbers_names_no_language(study):
    def none(rows):
        rows.loc[rows.index[0], ["k_language", "c_language"]] = None
        return rows

    assert study(none)["rows"][0]["worst"] == "–, –"


def test_a_control_erases_nothing(study):
    """However little is left behind one: it stands in its row alone."""

    def placebo(rows):
        control = rows["objective"] == "control"
        assert control.any()
        rows.loc[control, "k_worst"], rows.loc[control, "c_worst"] = 0.0, 1.0
        return rows

    assert "placebo" not in " ".join(study(placebo)["said"])


def test_a_row_names_the_attack_that_brings_most_back(tmp_path):
    folder = tmp_path / "guards"
    folder.mkdir()
    source = ROOT / files.BOARD / "gemma"
    (folder / files.ABOUT).write_bytes((source / files.ABOUT).read_bytes())
    rows = pd.read_csv(source / files.ROWS)
    rows.to_csv(folder / files.ROWS, index=False)
    place = rows.iloc[4][["model", "algorithm", "band", "sources", "retain", "forget_set", "protocol"]].to_dict()
    back = [
        {**place, "attack": name, "measure": measure, "language": "ko", "back": x, "back_low": x, "back_high": x}
        for name, measure, x in (("one", "regained", 0.2), ("two_more", "regained", 0.6), ("one", "recovery", 0.9))
    ]
    pd.DataFrame(back).to_csv(folder / files.ATTACKS, index=False)
    (found,) = elsewhere.read([folder / files.ROWS])
    assert [row["back"] for row in found["rows"]][4] == "0.60 [0.60, 0.60] (two more)"
    assert {row["back"] for place, row in enumerate(found["rows"]) if place != 4} == {"–"}
