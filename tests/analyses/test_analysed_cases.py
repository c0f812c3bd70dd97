"""Which bases and cells a shard looks into: once for all that what is found depends on."""

from types import SimpleNamespace

import pandas as pd
import pytest

from mute.analyses import shard
from mute.store import artifacts

CELLS = pd.DataFrame(
    [
        ("rmu", "3", "en-es", "matched", "a"),
        ("simnpo", "3", "en-es", "matched", "b"),
        ("rmu", "4", "en-es", "matched", "c"),
        ("rmu", "3", "en", "matched", "d"),
        ("rmu", "all", "en-es", "matched", "e"),
        ("rmu", "3", "en-es", "paper", "f"),
    ],
    columns=["algorithm", "band", "sources", "protocol", "digest"],
).assign(model="m", training_seed=0, forget_set="domain")


@pytest.fixture
def analysed(tmp_path, monkeypatch):
    """analysed(name, settings): the table of the shard, and what was computed for it, without any model."""

    def make(name, oracle=None, **settings):
        computed = []

        def record(opened, cell, victim, model, each, folder):
            computed.append((victim, cell.digest))
            return {"seconds": 0}

        shards = SimpleNamespace(
            cells=CELLS, results=tmp_path / name, in_order=lambda: list(CELLS.itertuples(index=False))
        )
        opened = SimpleNamespace(about=lambda cell, victim, model: {"of": cell.digest if victim == "cell" else model})
        monkeypatch.setattr(shard, "Shard", lambda *given: shards)
        monkeypatch.setattr(shard, "Opened", lambda *given: opened)
        monkeypatch.setattr(shard, "_record", record)
        plan = {"analyses": {name: {"method": name, "settings": settings, "code": "c0de"}}}
        plan |= {"oracles": {"m-s0.domain": oracle}} if oracle else {}
        output, log = tmp_path / f"{name}.csv", SimpleNamespace(progress=lambda *told: None)
        shard.analyse_shard("", "", None, None, plan, str(output), log)
        table = artifacts.read_table(output).astype(object).fillna("")
        assert table["digest"].is_unique
        return table, computed

    return make


def test_one_base_for_all_cells_where_nothing_depends_on_theirs(analysed):
    table, computed = analysed("lens")
    bases = table[table["cell"] == ""]
    assert bases[["band", "sources"]].to_numpy().tolist() == [["", ""]]
    assert sorted(table["cell"]) == ["", *"abcdef"]
    assert len(computed) == 7


def test_a_base_for_each_band_and_sources_where_it_depends_on_them(analysed):
    table, computed = analysed("mean_shift")
    bases = table[table["cell"] == ""]
    assert sorted(zip(bases["band"], bases["sources"])) == [("3", "en"), ("3", "en-es"), ("4", "en-es")]
    assert (table.loc[table["cell"] != "", ["band", "sources"]] == "").all().all(), "a cell has keys of its own"
    assert sorted(table["cell"]) == ["", "", "", "a", "b", "c", "d", "f"]
    assert len(computed) == 8


def test_cells_that_do_not_apply_have_no_row_and_no_base(analysed):
    table, computed = analysed("mean_shift", algorithms=["simnpo"])
    assert sorted(table["cell"]) == ["", "b"]
    assert computed == [("base", "b"), ("cell", "b")]
    table, computed = analysed("mean_shift", algorithms=["slug"])
    assert table.empty
    assert not computed


def test_one_cell_more_to_look_into_leaves_what_was_found_of_the_others(analysed):
    first, _ = analysed("lens", algorithms=["simnpo"])
    table, computed = analysed("lens", algorithms=["simnpo", "slug"], training_seeds=[0])
    assert set(first["digest"]) == set(table["digest"])
    assert not computed


def test_what_is_asked_of_the_model_alone_is_asked_once(analysed):
    table, computed = analysed("alignment")
    assert table["cell"].tolist() == [""]
    assert len(computed) == 1


def test_what_reads_an_oracle_depends_on_it_and_on_whether_there_is_one(analysed):
    reads, rest = {"donors": ["base", "oracle"]}, {"donors": ["base"]}
    found = [analysed("patching", **how)[0]["digest"] for how in (reads, {**reads, "oracle": "o"})]
    found += [analysed("patching", **reads, oracle="p")[0]["digest"]]
    assert len(set().union(*found)) == sum(map(len, found))
    first, second = (analysed("patching", **rest, oracle=oracle)[0]["digest"] for oracle in ("o", "p"))
    assert first.tolist() == second.tolist(), "nothing of an oracle that it does not read"
