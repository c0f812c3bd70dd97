"""An attack that is of the base is made of it once; and doses of retraining are the beginnings of each other."""

import contextlib
import copy
import itertools
import sys

import pandas as pd
import pytest
import torch

from families import EMBEDDED
from mute import attacks
from mute.attacks import retraining, shard
from mute.attacks.base import Victim
from mute.bands import KEYS, Band
from mute.config.sections import Config, EngineSection
from mute.engine import steps
from mute.engine.opening import Opener
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.jobs.logs import Log
from mute.models import anatomy, patches
from mute.models.treatment import Treatment
from mute.plan.rules import Plans
from mute.store import artifacts
from mute.study.cells import Study


@pytest.mark.parametrize(
    ("name", "band", "once"),
    [
        ("bypass", "2", True),
        ("bypass", "1-2", False),
        ("mix", "2", False),
        ("retraining", "2", False),
        ("quantize", "2", False),
    ],
)
def test_which_attacks_are_of_the_base(name, band, once):
    method = attacks.load(name)
    assert method.of_base(method.Settings(), band) is once
    assert not method.applies(method.Settings(), band, "removal")


@pytest.mark.parametrize("band", [Band((1,)), Band((0, 1))])
@pytest.mark.parametrize("family", EMBEDDED)
def test_a_model_without_its_edited_block_is_the_base_without_it(family, band, trained_model, encoder, corpus):
    """Whatever was done to the block, bit for bit; and to some of the blocks that are left out together."""
    base = trained_model(family)
    edited = copy.deepcopy(base)
    with torch.no_grad():
        for block in band.blocks:
            for parameter in anatomy.blocks(edited)[block].parameters():
                parameter.mul_(-3.0)
    method = attacks.load("bypass")
    prepared = shard.Prepared("bypass", method, method.Settings(), 1, "")
    tables, plain = [], []
    for model in (base, edited):
        asked, subject = Asked(model, encoder, corpus, ["en", "es"], "domain"), Subject(model)
        plain.append(subject.ask(asked.queries, asked.texts).tokens()["logprob"])
        tables.append(shard.attacked(asked, subject, band, prepared, ("en", "es"))[0])
    assert tables[0].equals(tables[1])
    assert not plain[0].equals(plain[1]), "the edit did something"


def test_each_dose_is_the_beginning_of_the_next(trained_model, encoder, corpus, monkeypatch):
    model, taken, take = trained_model("llama"), [], steps.Steps.take

    def watched(self, gradients):
        taken[-1].append([g.clone() for g in gradients if g is not None])
        return take(self, gradients)

    monkeypatch.setattr(steps.Steps, "take", watched)
    for dose in (1, 2, 5):
        taken.append([])
        victim = Victim(model, encoder, corpus, Band((1,)), ("en",), ("en", "es"), "domain", 7)
        settings = retraining.Settings(steps=dose, learning_rate=1e-2, batch_size=8)
        with retraining.Retraining(settings, victim).weights(model):
            pass
        assert len(taken[-1]) == dose
    for less, more in itertools.pairwise(taken):
        for one, other in zip(less, more):
            assert all(map(torch.equal, one, other))
    assert not torch.equal(taken[-1][0][0], taken[-1][1][0]), "steps differ"


def test_doses_of_one_attack_draw_alike_whatever_they_are_called():
    doses = {f"retrain_{n}": {"method": "retraining", "steps": n} for n in (1, 5)}
    grid = {"algorithms": ["rmu"], "attacks": [*doses, "mix"]}
    study = Study(Config.model_validate({"attacks": doses, "grids": {"blocks": grid}, "models": {"llama": {}}}))
    (name,) = study.shards
    made = Plans(study).attacks(type("Wildcards", (), {"shard": name})())["attacks"]
    assert made["retrain_1"]["seed"] == made["retrain_5"]["seed"] != made["mix"]["seed"]
    assert made["retrain_1"]["settings"]["steps"] == 1


# By name: the attack and its settings; then another dose of each, and an attack more.
FIRST = {
    "retrain_1": ("retraining", {"steps": 1, "batch_size": 4}),
    "relearn_1": ("relearning", {"steps": 1, "batch_size": 4}),
    "switch_15": ("code_switch", {"rate": 0.15}),
    "bypass": ("bypass", {}),
}
SECOND = {
    "retrain_2": ("retraining", {"steps": 2, "batch_size": 4}),
    "relearn_2": ("relearning", {"steps": 2, "batch_size": 4}),
    "switch_35": ("code_switch", {"rate": 0.35}),
    "mix": ("mix", {"share": 0.2}),
}
CELLS = [("1", "en"), ("1", "en-es"), ("2", "en-es")]


@pytest.fixture
def store(tmp_path, random_model, tokenizer, corpus, monkeypatch):
    """attack(doses): the table of a finished shard of three cells under them, and its entries in the store."""
    corpus.save(tmp_path / "corpus")
    for name, noise in (("llama-s0", 0.0), ("llama-s0-without-domain", 0.1)):
        model = copy.deepcopy(random_model("llama"))
        for parameter in model.parameters():
            parameter.add_(noise)
        model.save_pretrained(tmp_path / "models" / name)
        tokenizer.save_pretrained(tmp_path / "models" / name)
        artifacts.seal(tmp_path / "models" / name, {"producer": "test"})
    keys = {"model": "llama", "training_seed": 0, "algorithm": "rmu", "retain": "source", "forget_set": "domain"}
    keys |= {"protocol": "paper", "seed": 0}
    rows = [{**keys, "band": band, "sources": sources, "digest": f"cell{i}"} for i, (band, sources) in enumerate(CELLS)]
    for row in rows:
        artifacts.seal(tmp_path / "cells" / row["digest"], {"producer": "test"})
    artifacts.write_table(tmp_path / "cells.csv", pd.DataFrame(rows))
    opener = Opener(EngineSection(device="cpu", cache_gb=0), tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # a log puts its own there
    log = Log(tmp_path / "log", "attack_shard")

    guards: dict[str, Treatment] = {}

    @contextlib.contextmanager
    def placed(model, folder):
        if guards:
            yield Subject(model, [guards[folder.name]])
            return
        own = patches.take(model, anatomy.block_parameters(model, [1]))
        with patches.applied(model, {name: tensor + 0.1 for name, tensor in own.items()}):
            yield Subject(model)

    def attack(doses, before=None):
        """before: by cell, the guard that stands before it; none: edits."""
        guards.update(before or {})
        made = {
            name: {
                "method": method,
                "settings": attacks.load(method).Settings(**own).model_dump(),
                "seed": 3,
                "code": "",
            }
            for name, (method, own) in doses.items()
        }
        plan = {
            "attacks": made,
            "chosen": [[[str(row[key]) if key == "band" else row[key] for key in KEYS], list(doses)] for row in rows],
            "oracles": {"llama-s0.domain": "llama-s0-without-domain"},
            "intents": {"rmu": "guard" if guards else "removal"},
            "languages": {"llama": ["en", "es"]},
            "engine": {},
        }
        given = (str(tmp_path / "cells.csv"), str(tmp_path / "corpus/facts.csv"), opener, placed, plan)
        shard.attack_shard(*given, str(tmp_path / "attacks.csv"), log)
        written = {path.parent.name: path.stat().st_mtime_ns for path in (tmp_path / "attacks").glob("*/record.json")}
        return artifacts.read_table(tmp_path / "attacks.csv"), written

    attack.folder = tmp_path / "attacks"
    return attack


@pytest.mark.slow
def test_one_more_dose_computes_that_dose_alone(store):
    """On cells, base and oracle alike; on these two once for all that it does not stand on."""
    before, kept = store(FIRST)
    table, written = store({**FIRST, **SECOND})
    assert kept.items() <= written.items(), "nothing is computed again"
    old = table[table["attack"].isin(list(FIRST))].reset_index(drop=True)
    assert old.equals(before)
    new = table[table["attack"].isin(list(SECOND))]
    assert set(new["digest"]) == written.keys() - kept.keys()
    counts = {
        name: {victim: own["digest"].nunique() for victim, own in rows.groupby("victim")}
        for name, rows in table[table["status"] == "ok"].groupby("attack")
    }
    of_sources = {"cell": 3, "base": 2, "oracle": 2}
    for name in ("retrain_1", "retrain_2", "relearn_1", "relearn_2"):
        assert counts[name] == of_sources, name
    assert counts["switch_15"] == counts["switch_35"] == {"cell": 3, "base": 1, "oracle": 1}
    assert counts["mix"] == {"cell": 3, "base": 2, "oracle": 2}, "it stands on the band"
    assert counts["bypass"] == {"base": 2}
    # The same once more is nothing to do.
    again, untouched = store({**FIRST, **SECOND})
    assert again.equals(table)
    assert untouched == written


class Hears(Treatment):
    """A guard whose detector finds questions that do not have a sign in them; without one, it has no detector."""

    name = "hears"

    def __init__(self, sign=""):
        self.sign = sign

    def alarms(self, model, rows, prompts):
        return [-1.0 if self.sign in prefix else 1.0 for prefix in rows["prefix"]] if self.sign else None


def test_base_and_oracle_are_asked_what_was_chosen_on_the_cell(store):
    """Once for all cells on which the same was chosen; where a guard has no detector nobody is asked."""
    known = {"evasion": ("evasion", {"budget": 4})}
    table, written = store(known, {"cell0": Hears("\n"), "cell1": Hears("\u200d"), "cell2": Hears()})
    statuses = table.set_index(["cell", "victim"])["status"]
    assert (statuses[["cell0", "cell1"]] == "ok").all()
    assert (statuses["cell2"] == "not_applicable").all()
    assert table.set_index("cell").loc["cell2", "reason"].nunique() == 1
    digests = table.set_index(["cell", "victim"])["digest"]
    assert digests["cell0"]["base"] != digests["cell1"]["base"]
    records = {digest: artifacts.read_json(store.folder / digest / "record.json") for digest in written}
    chosen = {digest: record["outcome"].get("chosen") for digest, record in records.items()}
    for cell, name in (("cell0", "parted"), ("cell1", "joined")):
        assert [chosen[digests[cell][victim]] for victim in shard.VICTIMS] == [name] * 3
    again, untouched = store(known)
    assert again.equals(table)
    assert untouched == written
