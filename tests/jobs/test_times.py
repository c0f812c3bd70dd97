"""Where the time goes: phases of a job, and their sum over a study."""

import json
import time

import pytest

from mute.jobs import times
from mute.jobs.logs import SECONDS
from mute.store import clock


def test_phases_add_up_to_the_job():
    clock.begin()
    started = time.monotonic()
    with clock.phase("load"), clock.phase("write"):
        time.sleep(0.05)
    with clock.phase("write"):
        time.sleep(0.02)
    time.sleep(0.03)
    spent, whole = clock.seconds(), time.monotonic() - started
    assert 0.05 <= spent["load"] < 0.5, "a phase within a phase is the outer one"
    assert 0.02 <= spent["write"] < 0.5
    assert 0.03 <= spent["compute"] < 0.5
    assert abs(spent["load"] + spent["write"] + spent["compute"] - whole) < 0.02
    assert spent["import"] > 0
    before = clock.seconds()
    with clock.phase("load"):
        time.sleep(0.02)
    piece = clock.between(before, clock.seconds())
    assert 0.02 <= piece["load"] < 0.5
    assert piece["write"] == 0


def test_a_study_says_where_its_time_went(tmp_path):
    assert times.terminal(tmp_path) == ""
    jobs = {"evaluate_shard/a": 2.0, "evaluate_shard/b": 3.0, "make_corpus": 1.0, "layers/x.domain": 9.0}
    for name, compute in jobs.items():
        path = tmp_path / "logs" / f"{name}.seconds.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"import": 1.0, "load": 0.5, "compute": compute, "write": 0.25}))
    found = times.by_rule(tmp_path)
    assert list(found) == ["layers", "evaluate_shard", "make_corpus"]
    assert found["evaluate_shard"] == {"jobs": 2.0, "import": 2.0, "load": 1.0, "compute": 5.0, "write": 0.5}
    lines = times.terminal(tmp_path).splitlines()
    assert lines[-1].split() == ["all", "4", "4", "2", "15", "1", "22"]
    assert lines[2].split()[:2] == ["layers", "1"]


@pytest.mark.parametrize("content", ["", "[]", "3", '{"import": "x"}', "{}", "\xff"])
def test_times_that_cannot_be_read_are_left_out(tmp_path, content):
    (tmp_path / "logs").mkdir()
    (tmp_path / f"logs/make_corpus{SECONDS}").write_bytes(content.encode("latin-1"))
    (tmp_path / f"logs/train_tokenizer{SECONDS}").mkdir()
    assert times.by_rule(tmp_path) == {}
    assert times.terminal(tmp_path) == ""
