"""Files that exist only when they are whole: atomic writes, sealed folders, tables, digests and seeds."""

import json
import math
import os
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mute.store import artifacts

keys = st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | keys,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    artifacts.write_text(path, "old")

    def fail():
        with artifacts.atomic(path) as temporary:
            temporary.write_text("half of the new")
            assert temporary.parent == path.parent
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["file.txt"]
    artifacts.write_text(path, "नया")
    assert path.read_bytes() == "नया".encode()
    assert os.listdir(path.parent) == ["file.txt"]


def test_a_value_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.json"
    artifacts.write_json(path, {"b": 1, "a": "ü"})
    assert path.read_text(encoding="utf-8") == '{\n "a": "ü",\n "b": 1\n}\n'
    for bad in (math.nan, math.inf, object()):
        with pytest.raises((ValueError, TypeError)):
            artifacts.write_json(path, {"a": bad})
    assert artifacts.read_json(path) == {"a": "ü", "b": 1}
    assert os.listdir(tmp_path) == ["file.json"]


def test_files_are_as_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        artifacts.write_text(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def filled(folder: Path) -> dict:
    """A folder of three files, one of them further down."""
    (folder / "down").mkdir(parents=True)
    (folder / "a.bin").write_bytes(bytes(range(256)))
    (folder / "b.txt").write_text("text")
    (folder / "down" / "c.txt").write_text("deeper")
    return {"producer": "test", "seed": 3}


def test_a_sealed_folder_gives_its_record(tmp_path):
    record = filled(tmp_path / "folder")
    assert artifacts.sealed(tmp_path / "folder") is None
    artifacts.seal(tmp_path / "folder", record)
    read = artifacts.sealed(tmp_path / "folder")
    assert read == artifacts.checked(tmp_path / "folder")
    assert {key: read[key] for key in record} == record
    assert set(read["files"]) == {"a.bin", "b.txt", "down/c.txt"}
    assert read["files"]["b.txt"]["bytes"] == 4
    # Locks, temporary files and what a desktop leaves behind belong to nobody.
    for name in (".lock", ".a.bin.x.part", ".DS_Store"):
        (tmp_path / "folder" / name).write_text("")
    assert artifacts.sealed(tmp_path / "folder") == read


def flip(folder):
    content = bytearray((folder / "a.bin").read_bytes())
    content[100] ^= 1
    (folder / "a.bin").write_bytes(content)


def edit_record(folder):
    record = json.loads((folder / "record.json").read_text())
    record["files"]["a.bin"]["sha256"] = "0" * 64
    (folder / "record.json").write_text(json.dumps(record))


def age_record(folder):
    record = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps({**record, "schema": record["schema"] - 1}))


DAMAGE = {
    "flipped bit": flip,
    "truncation": lambda folder: (folder / "a.bin").write_bytes(bytes(range(255))),
    "missing file": lambda folder: (folder / "down" / "c.txt").unlink(),
    "foreign file": lambda folder: (folder / "extra.bin").write_text("x"),
    "foreign file further down": lambda folder: (folder / "down" / "record.json").write_text("x"),
    "no record": lambda folder: (folder / "record.json").unlink(),
    "half a record": lambda folder: (folder / "record.json").write_text('{"files": {'),
    "a record of something else": lambda folder: (folder / "record.json").write_text("[1]"),
    "a record without files": lambda folder: (folder / "record.json").write_text('{"schema": 1}'),
    "another record": edit_record,
    "a record of an older form": age_record,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_folder_does_not_exist_and_is_computed_again(tmp_path, damage):
    folder, calls = tmp_path / "folder", []

    def compute(where):
        calls.append(where)
        if len(calls) > 1:
            assert not [p for p in where.iterdir() if p.is_file() and p.name != ".lock"], "nothing old is left"
        (where / "down").mkdir(exist_ok=True)
        for name in ("a.bin", "b.txt", "down/c.txt"):
            (where / name).write_bytes(name.encode() + bytes(range(256)))
        return {"call": len(calls)}

    record, new = artifacts.stored(folder, compute)
    assert (record["call"], new) == (1, True)
    assert artifacts.stored(folder, compute) == (record, False)
    assert calls == [folder]
    damage(folder)
    assert artifacts.sealed(folder) is None
    with pytest.raises(RuntimeError, match="incomplete or was altered"):
        artifacts.checked(folder)
    again, new = artifacts.stored(folder, compute)
    assert (again["call"], new) == (2, True)
    assert artifacts.stored(folder, compute) == (again, False)


def test_a_computation_that_fails_leaves_no_record(tmp_path):
    def fail(folder):
        (folder / "half.bin").write_text("x")
        raise ValueError("no more memory")

    with pytest.raises(ValueError, match="memory"):
        artifacts.stored(tmp_path / "folder", fail)
    assert artifacts.sealed(tmp_path / "folder") is None
    _, new = artifacts.stored(tmp_path / "folder", filled)
    assert new
    assert set(artifacts.checked(tmp_path / "folder")["files"]) == {"a.bin", "b.txt", "down/c.txt"}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_keep_their_words(tmp_path, ending):
    table = pd.DataFrame(
        {
            "band": ["0", "1", "10"],
            "digest": ["12345678901234567890", "1e5", "007"],
            "item": ["1", "2", "03"],
            "word": ["NA", "nan", "None"],
            "answer": ["null", "", "true"],
            "value": [0.5, math.nan, 2.0],
            "count": [1, 2, 3],
            "yes": [True, False, True],
        }
    )
    path = tmp_path / f"table.{ending}"
    artifacts.write_table(path, table)
    read = artifacts.read_table(path)
    assert list(read.columns) == list(table.columns)
    for column in ("band", "digest", "item", "word", "count", "yes"):
        assert read[column].tolist() == table[column].tolist()
    assert read["answer"].fillna("").tolist() == table["answer"].tolist()
    assert read["value"].isna().tolist() == [False, True, False]
    first = path.read_bytes()
    artifacts.write_table(path, table)
    assert path.read_bytes() == first


def test_a_table_has_no_index_and_short_numbers(tmp_path):
    artifacts.write_table(tmp_path / "t.csv", pd.DataFrame({"x": [1 / 3, 2e-9]}, index=["a", "b"]))
    assert (tmp_path / "t.csv").read_bytes() == b"x\n0.333333\n2e-09\n"
    with pytest.raises(ValueError, match=r"'t.xlsx'"):
        artifacts.write_table(tmp_path / "t.xlsx", pd.DataFrame({"x": [1]}))
    assert os.listdir(tmp_path) == ["t.csv"]


def test_tensors_are_written_alike_whatever_their_order(tmp_path):
    from safetensors.torch import load_file

    tensors = {"b": torch.arange(6.0).reshape(2, 3).T, "a": torch.ones(2, dtype=torch.bfloat16)}
    artifacts.write_tensors(tmp_path / "1", tensors)
    artifacts.write_tensors(tmp_path / "2", dict(reversed(tensors.items())))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    read = load_file(tmp_path / "1")
    assert all(torch.equal(read[name], tensors[name]) and read[name].dtype == tensors[name].dtype for name in tensors)


def shuffled(value):
    """The same JSON value with the keys of every object in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(x) for x in value] if isinstance(value, list) else value


@given(json_values)
def test_a_digest_names_a_value_and_not_the_order_of_its_keys(value):
    digest = artifacts.digest(value)
    assert len(digest) == 20
    assert set(digest) <= set("0123456789abcdef")
    assert artifacts.digest(shuffled(value)) == digest
    assert artifacts.digest(json.loads(json.dumps(value))) == digest
    assert artifacts.digest([value]) != digest


def test_digests_differ_where_values_do():
    values = [1, 1.5, "1", [1], [1, 2], [2, 1], {"1": 1}, {"1": None}, None, True, "", [], {}]
    assert len({artifacts.digest(value) for value in values}) == len(values)
    # The names of cells in every store: a change here makes every result anew.
    assert artifacts.digest({"b": [1, "é"], "a": None}) == "f8f17faab95c024891d1"
    for bad in (math.nan, math.inf, {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            artifacts.digest(bad)


@given(st.lists(st.integers() | keys, max_size=4))
def test_seeds_fit_every_generator_and_belong_to_their_purpose(parts):
    seed = artifacts.seed_of(*parts)
    assert 0 <= seed < 2**63
    assert seed == artifacts.seed_of(*parts)
    assert len({seed, artifacts.seed_of(*parts, "a"), artifacts.seed_of(*parts, "b")}) == 3
    torch.Generator().manual_seed(seed)


def test_seeds_use_their_whole_range():
    seeds = [artifacts.seed_of("purpose", i) / 2**63 for i in range(1000)]
    assert sum(seeds) / 1000 == pytest.approx(0.5, abs=0.05)
    assert min(seeds) < 0.01
    assert max(seeds) > 0.99
    assert artifacts.seed_of(1, "world", "names") == 5034900712473526630
