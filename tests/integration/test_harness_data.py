"""Tasks of lm-evaluation-harness whose data are on the hub: fetched from one on loopback, read when it is gone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mute.models import loading

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TASK = """
task: facts_hi
dataset_path: org/facts
dataset_name: hi
test_split: test
output_type: multiple_choice
doc_to_text: "{{prompt}}"
doc_to_choice: "{{options}}"
doc_to_target: gold
"""
CARD = """---
configs:
- config_name: en
  data_files: [{split: test, path: en/test.jsonl}]
- config_name: hi
  data_files: [{split: test, path: hi/test.jsonl}]
---
"""
FETCH = "from mute.hub import copies as hub; print(hub.fetch(hub.Repo('dataset', 'org/facts'))['commit'])"
RUN = """
import json, sys
from mute.evaluate import harness
harness.go_offline()
folder, plan = json.loads(sys.argv[1])
try:
    print("FOUND", json.dumps(harness.evaluate(folder, plan)))
except ValueError as error:
    print("TOLD", error)
"""


def python(hub, code: str, *arguments: str, **extra: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **hub.env, **extra}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_task_reads_what_was_fetched_when_the_hub_is_gone(hub, tmp_path, random_model, tokenizer):
    data = tmp_path / "facts"
    for code, count in (("en", 7), ("hi", 5)):
        (data / code).mkdir(parents=True)
        rows = [{"prompt": f"{code} {i}", "options": ["a", "b"], "gold": i % 2} for i in range(count)]
        (data / code / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (data / "README.md").write_text(CARD)
    commit = hub.add_dataset("org/facts", data)
    loading.save(random_model("llama"), tokenizer, tmp_path / "model", {})
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/hi.yaml").write_text(TASK)
    plan = {"tasks": ["facts_hi"], "task_folder": str(tmp_path / "tasks"), "data": {}, "shots": 0, "limit": None}
    plan |= {"batch_size": 2, "device": "cpu", "dtype": "float32", "lm_eval": "0"}

    def asked(**changes) -> str:
        return python(hub, RUN, json.dumps([str(tmp_path / "model"), {**plan, **changes}]))

    assert "TOLD exports.data lacks what the tasks read: add {org/facts: main}" in asked()
    before = len(hub.requests)
    said = asked(data={"org/facts": "main"})
    assert "TOLD" in said
    assert "make fetch" in said
    assert len(hub.requests) == before, "a job asks the hub for nothing"
    assert python(hub, FETCH).strip() == commit
    hub.stop()
    found = json.loads(asked(data={"org/facts": "main"}).split("FOUND ")[1])
    assert found["questions"] == {"facts_hi": 5}, "the configuration of the task's language"
    assert found["config"]["data"] == {"org/facts": "main"}
    pinned = json.loads(asked(data={"org/facts": commit}).split("FOUND ")[1])
    assert pinned["results"] == found["results"]
