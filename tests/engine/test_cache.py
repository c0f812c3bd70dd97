"""The prefix cache: what it shares, what it must not share, and what happens when an entry or the disk is bad."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from families import FAMILIES
from mute.engine import cache, sections
from mute.engine.cache import PrefixCache
from mute.store.provenance import closure

SEQUENCES = [[5, 6, 7], [8, 9], [10, 11, 12, 13], [14, 15, 16]]


@pytest.fixture
def model(random_model):
    return copy.deepcopy(random_model("llama"))


@pytest.fixture
def kept(tmp_path):
    return PrefixCache(tmp_path / "prefixes", 10**6)


def states(model, prefixes, block=2, sequences=SEQUENCES):
    cache.attach(model, prefixes)
    texts = sections.Texts(model, sequences)
    texts.advance(block)
    return texts.states


def entries(prefixes) -> list[Path]:
    return sorted(prefixes.folder.glob("*"))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_second_job_reads_what_the_first_computed(random_model, tmp_path, family, monkeypatch):
    """Bit for bit what no cache gives; the second one runs no block."""
    plain = states(copy.deepcopy(random_model(family)), None)
    called: list[object] = []
    run = sections.run
    # By a hook it would show in the states that they are not the cache's.
    monkeypatch.setattr(sections, "run", lambda *given, **named: called.append(1) or run(*given, **named))
    for number in range(2):
        called.clear()
        model, prefixes = copy.deepcopy(random_model(family)), PrefixCache(tmp_path, 10**6)
        assert torch.equal(states(model, prefixes), plain)
        assert (prefixes.hits, prefixes.misses) == (number, 1 - number)
        assert bool(called) == (number == 0)


def test_a_change_of_the_code_that_computes_states_asks_for_another_entry(model, kept, monkeypatch):
    """Of texts one by one and of texts that share their beginnings."""
    named: list[str] = []
    monkeypatch.setattr(cache, "code_digest", lambda *names: named.extend(names) or "")
    states(model, kept)
    assert {"mute.engine.sections", "mute.engine.shared", "mute.models.tree"} <= set(closure(*named))


def test_everything_that_changes_the_states_asks_for_another_entry(model, kept):
    """Weights that were passed, tokens, how they are cut into sequences, block: and nothing above the block."""
    states(model, kept)
    changes = [
        (1, SEQUENCES, None),
        (3, SEQUENCES, None),
        (2, [[5, 6, 7], [8, 9], [10, 11, 12, 13], [14, 15, 17]], None),
        (2, [[5, 6], [7, 8, 9], [10, 11, 12, 13], [14, 15, 16]], None),
        (2, SEQUENCES, "model.embed_tokens.weight"),
        (2, SEQUENCES, "model.layers.0.input_layernorm.weight"),
        (2, SEQUENCES, "model.layers.1.mlp.down_proj.weight"),
    ]
    for number, (block, sequences, changed) in enumerate(changes, 2):
        if changed:
            model.get_parameter(changed).mul_(1.5)
        expected = states(model, None, block, sequences)
        assert torch.equal(states(model, kept, block, sequences), expected)
        assert kept.misses == number
    for above in ("model.layers.2.mlp.down_proj.weight", "model.norm.weight", "lm_head.weight"):
        model.get_parameter(above).mul_(1.5)
        states(model, kept, 2)
        assert kept.misses == len(changes) + 1, above


def test_an_edit_is_seen_and_an_edit_undone_too(model, kept):
    """As patches are put in place and taken out: the model is the same object all along."""
    weight = model.get_parameter("model.layers.0.mlp.down_proj.weight")
    before, base = weight.clone(), states(model, kept).clone()
    weight.copy_(2 * before)
    assert not torch.equal(states(model, kept), base)
    weight.copy_(before)
    assert torch.equal(states(model, kept), base)
    assert (kept.hits, kept.misses) == (1, 2)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def swap(path: Path) -> None:
    """A whole entry of somebody else's under this name."""
    tensors = {"states": torch.zeros_like(load_file(path)["states"])}
    save_file(tensors, path, metadata={"seal": f"{path.stem} {'0' * 64}"})


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        swap,
        lambda path: path.write_bytes(path.read_bytes()[:-8]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not tensors at all"),
        lambda path: save_file({"other": torch.zeros(2)}, path),
    ],
    ids=["flipped bit", "foreign", "truncated", "empty", "text", "no states"],
)
def test_a_bad_entry_is_noticed_and_made_again(model, kept, damage, capsys):
    expected = states(model, kept).clone()
    (path,) = entries(kept)
    good = path.read_bytes()
    damage(path)
    again = PrefixCache(kept.folder, kept.limit)
    assert torch.equal(states(model, again), expected)
    assert (again.hits, again.misses) == (0, 1)
    assert "damaged" in capsys.readouterr().err
    assert path.read_bytes() == good


def test_a_whole_entry_under_anothers_name_is_noticed(model, kept, capsys):
    """Same shape, same type, its own checksum right: only its key tells that it is another block's."""
    expected = states(model, kept, 2).clone()
    (path,) = entries(kept)
    states(model, kept, 1)
    (other,) = set(entries(kept)) - {path}
    path.write_bytes(other.read_bytes())
    again = PrefixCache(kept.folder, kept.limit)
    assert torch.equal(states(model, again, 2), expected)
    assert again.hits == 0
    assert "damaged" in capsys.readouterr().err


def test_the_least_recently_used_goes_when_there_is_no_room(model, tmp_path):
    size = 12 * 32 * 4
    prefixes = PrefixCache(tmp_path, 3 * (size + 300))
    for age, block in enumerate((1, 2, 3)):
        states(model, prefixes, block)
        newest = max(entries(prefixes), key=lambda p: p.stat().st_mtime)
        os.utime(newest, (1000 + age, 1000 + age))
    first, second, third = sorted(entries(prefixes), key=lambda p: p.stat().st_mtime)
    states(model, prefixes, 1)
    assert prefixes.hits == 1
    states(model, prefixes, 2, [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    assert first.exists()
    assert not second.exists()
    assert third.exists()
    assert sum(p.stat().st_size for p in entries(prefixes)) <= prefixes.limit


def test_what_a_killed_job_left_half_written_counts_and_goes_first(model, tmp_path):
    prefixes = PrefixCache(tmp_path, 2 * (12 * 32 * 4 + 300))
    (left := tmp_path / ".1234.safetensors.abcd.part").write_bytes(bytes(1500))
    os.utime(left, (1000, 1000))
    states(model, prefixes, 1)
    assert left.exists()
    states(model, prefixes, 2)
    assert not left.exists()
    assert len(entries(prefixes)) == 2


def test_where_there_is_room_not_every_entry_is_looked_at_for_each_new_one(model, tmp_path, monkeypatch):
    """And jobs together stay about within the limit, though none sees what the others write between its looks."""
    looks = []
    glob = type(tmp_path).glob
    monkeypatch.setattr(type(tmp_path), "glob", lambda path, pattern: (looks.append(pattern), glob(path, pattern))[1])
    limit = 100 * (4 * 32 * 4 + 300)
    jobs = [PrefixCache(tmp_path, limit) for _ in range(8)]
    for number in range(200):
        states(model, jobs[number % 8], 1, [[number, 2, 3, 4]])
        # The header of the newest entry is no part of its tensors.
        assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= limit * (1 + 8 * cache._UNSEEN) + 300
    alone = PrefixCache(tmp_path / "alone", 1 << 30)
    looks.clear()
    for number in range(100):
        states(model, alone, 1, [[number, 2, 3, 4]])
    assert len(looks) == 4, "one look: two patterns in each of two folders"


def test_what_is_larger_than_the_cache_is_not_kept(model, tmp_path):
    prefixes = PrefixCache(tmp_path, 100)
    assert torch.equal(states(model, prefixes), states(model, None))
    assert entries(prefixes) == []


def test_a_disk_that_is_full_costs_only_time(model, kept, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    expected = states(model, None)
    for block in (2, 1):
        got = states(model, kept, block)
        assert torch.equal(got, expected) or block == 1
    said = capsys.readouterr().err
    assert said.count("not cached") == 1
    assert "No space left" in said
    assert entries(kept) == []


def test_an_entry_too_large_for_memory_is_mapped(model, kept, monkeypatch):
    expected = states(model, kept).clone()
    monkeypatch.setattr(cache, "_MAPPED_BYTES", 0)
    assert torch.equal(states(model, kept), expected)
    assert kept.hits == 1


JOB = """
import sys, torch
from mute.engine import cache, sections
from mute.models import embedded
model = embedded.create("llama", 0, vocabulary=50, blocks=2, hidden=32, heads=2).requires_grad_(False)
cache.attach(model, cache.PrefixCache(sys.argv[1], 10**7))
for turn in range(20):
    texts = sections.Texts(model, [[turn, 1, 2], [3, 4, turn, 5]])
    texts.advance(1 + turn % 2)
    print(float(texts.states.double().sum()))
"""


@pytest.mark.slow
def test_jobs_that_want_the_same_entries_at_once_agree(tmp_path):
    jobs = [
        subprocess.Popen([sys.executable, "-c", JOB, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [job.communicate()[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0]
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == len(list(tmp_path.glob("*.safetensors"))) == 20
    assert not list(tmp_path.glob("*.part"))
