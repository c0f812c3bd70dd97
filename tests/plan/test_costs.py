"""The plan: operations against torch's counter, what grows with a study, sums, and the resources that jobs ask for."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mute.config.sections import KnownSection, ModelSection, overlay, read_files
from mute.jobs import machine
from mute.plan.costs import GROWTH, RULES, Costs, shapes, sizes, table
from mute.plan.costs.work import PASSED, TRAINED, Workload
from mute.study.checks import checked_study

ROOT = Path(__file__).parents[2]
BASE = ROOT / "config" / "config.yaml"
STUDIES = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))
TINY = {"vocabulary": 300, "blocks": 3, "hidden": 32, "heads": 4}
# A model from the hub, whatever else the configuration can say of one.
HUB = {"pretrained": "meta-llama/Llama-3.1-8B", "blocks": 32}
CARD = {"gpu": "H100 80GB"}
PUBLISHED = {"meta-llama/Llama-3.1-8B": 8.03e9, "Qwen/Qwen2.5-7B": 7.62e9, "bigscience/bloom-7b1": 7.07e9}


def costs(name: str = "micro.yaml", **changes) -> Costs:
    return Costs(checked_study(overlay(read_files(BASE, ROOT / "config" / name).values, changes)))


def with_hub_model(name: str = "micro.yaml", **changes) -> Costs:
    """A study whose model is opened from the hub; set behind the configuration's back, which asks the hub for it."""
    planned = costs(name, **{**changes, "costs": {**CARD, **changes.get("costs", {})}})
    model = planned.study.config.models["llama"]
    model.__dict__.update(HUB, adaptation=SimpleNamespace(rank=8, batch_size=16, epochs=2))
    model.model_fields_set.add("blocks")
    return planned


def counted(family: str, work) -> tuple[shapes.Shape, float]:
    """What `work(model, states)` takes by torch's count, in sequences of equal length."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import AutoModelForCausalLM

    from mute.models import embedded

    # Attention as plain products: the counter does not know the kernels that CPUs fuse it in.
    model = AutoModelForCausalLM.from_config(embedded.config(family, **TINY), attn_implementation="eager").eval()
    model.requires_grad_(False)
    states = torch.randn(4, 12, TINY["hidden"])
    with FlopCounterMode(display=False) as counter:
        work(model, states)
    return shapes.embedded(ModelSection(family=family, **TINY)), counter.get_total_flops()


FAMILIES = ("llama", "qwen2", "bloom")


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_of_a_forward_pass_are_those_that_torch_counts(family):
    from mute.engine import sections

    def forward(model, states):
        sections.read_out(model, sections.run(model, states, 0, 3)[:, -2:])

    shape, flops = counted(family, forward)
    assert shape.forward(48, 12) * 3 + shape.head(8) == pytest.approx(flops, rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_of_a_step_on_one_block_are_those_that_torch_counts(family):
    import torch

    from mute.engine import sections
    from mute.models import anatomy

    def step(model, states):
        names = anatomy.block_parameters(model, (1,))
        chosen = [p for name, p in model.named_parameters() if name in names]
        for parameter in chosen:
            parameter.requires_grad_(True)
        hidden = sections.run(model, states, 1, 2)
        torch.autograd.grad(hidden.square().sum(), chosen)

    shape, flops = counted(family, step)
    assert shape.forward(48, 12) * TRAINED == pytest.approx(flops, rel=0.03)


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_of_a_step_on_low_rank_additions_are_those_that_torch_counts(family):
    from mute.engine import sections

    def step(model, states):
        # As of LoRA whose additions are next to nothing: states have gradients, weights none.
        states.requires_grad_(True)
        logits = sections.read_out(model, sections.run(model, states, 0, 3)[:, -2:])
        logits.square().sum().backward()

    shape, flops = counted(family, step)
    assert PASSED * (shape.forward(48, 12) * 3 + shape.head(8)) == pytest.approx(flops, rel=0.03)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_counted_as_torch_counts_them(family):
    from mute.models import embedded

    model = embedded.create(family, 0, **TINY)
    shape = shapes.embedded(ModelSection(family=family, **TINY))
    assert shape.parameters == sum(p.numel() for p in model.parameters() if p.ndim == 2)
    assert shapes.of_config(json.loads(model.config.to_json_string())) == shape


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_models_have_the_size_that_they_are_known_for(name):
    assert shapes.KNOWN[name].parameters == pytest.approx(PUBLISHED[name], rel=0.01)


def test_questions_about_strangers_are_counted_as_they_are_asked():
    from mute.corpus import strangers
    from mute.corpus.sources import world

    # Fewer facts to forget than are asked about strangers at most, and more.
    for subjects in (4, 16):
        given = {"subjects": {"chemistry": subjects, "history": 4, "law": 4, "geography": 2}}
        study = costs(corpora={"world": {"settings": given}}).study
        settings = world.Settings.model_validate(study.corpus_settings)
        asked = strangers.questions(world.build(settings, ["en", "es"], 1), ["en"])
        assert len(asked) == sizes.of(study).lines - 6 * settings.probe_lines == min(strangers.LINES, 5 * subjects)


def test_a_model_in_a_directory_says_its_own_shape(tmp_path):
    model = ModelSection()
    model.__dict__["pretrained"] = str(tmp_path)
    assert shapes.of(model)[1].startswith("a guess"), "there is no config.json in it"
    config = {"hidden_size": 64, "num_hidden_layers": 5, "num_attention_heads": 4, "vocab_size": 1000}
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 96, "num_key_value_heads": 1}))
    shape, said = shapes.of(model)
    assert (shape.blocks, shape.hidden, shape.kv, shape.mlp, shape.tied) == (5, 64, 16, 96, False)
    assert said == "its config.json"


def test_a_source_may_say_how_large_it_is(monkeypatch):
    from mute.corpus.sources import world

    monkeypatch.setattr(world, "size", lambda settings: {"facts": settings["probe_lines"]}, raising=False)
    size = sizes.of(costs().study)
    assert (size.facts, size.said) == (8, "its source")


def test_the_size_of_the_world_is_that_which_is_built():
    from mute.corpus.sources import world

    study = costs("config.yaml").study
    planned = sizes.of(study)
    corpus = world.build(world.Settings(), ["en", "es", "pt"], 1)
    roles = corpus.roles("domain")
    assert planned.facts == len(corpus.facts)
    assert planned.forget == (roles == "forget").sum()
    assert planned.retain == (roles == "retain_seen").sum()
    assert planned.forms == corpus.about["forms"]
    assert planned.forgotten("conjunctive") == corpus.in_forget_set("conjunctive").sum()


@pytest.mark.parametrize(("name", "count"), [("injected.yaml", 6), ("smoke.yaml", 4), ("config.yaml", 7)])
def test_a_model_is_trained_on_as_many_texts_as_is_planned(name, count):
    """An adaptation reads each of them so many times: facts in two spellings, glossaries, reading, sentences."""
    from mute.corpus.sources import world
    from mute.models.texts import training_texts

    study = costs(name).study
    settings = world.Settings.model_validate(study.corpus.settings)
    codes = study.config.models[study.models[0]].languages
    assert len(codes) == count
    texts = training_texts(world.build(settings, study.languages, 1).taught(0), codes)
    assert sizes.of(study).trained(count) == pytest.approx(sum(map(len, texts.values())), rel=0.15)


def test_the_worlds_questions_begin_alike_as_much_as_is_planned():
    from families import create
    from mute.corpus.sources import world
    from mute.engine.shared import SharedTexts
    from mute.evaluate.run import questions
    from mute.evaluate.scoring import Queries
    from mute.models import tokenizer
    from mute.models.texts import training_texts

    size = sizes.of(costs("config.yaml").study)
    languages = ["en", "es", "pt", "hi"]
    corpus = world.build(world.Settings(), languages, 1)
    groups = training_texts(corpus, languages).values()
    rows = [row for group in groups for row in zip(group["prefix"], group["answer"], group["suffix"])]
    trained = tokenizer.train((part for row in rows for part in tokenizer.parts(*row)), 6144)
    asked = questions(corpus, languages, forms=[corpus.about["forms"] - 1])
    texts = Queries(asked, tokenizer.Encoder(trained)).sequences
    nodes = SharedTexts(create("llama", 0, **{**TINY, "vocabulary": len(trained)}), texts).starts[-1]
    assert 1 - nodes / sum(map(len, texts)) == pytest.approx(size.shared, abs=0.08)


# What grows


@pytest.mark.parametrize(
    "changes",
    [
        {"models": {"llama": {"languages": ["en", "es", "hi", "de"]}}},
        {"models": {"llama": {"blocks": 3}}},
        {"models": {"llama": {"hidden": 64}}},
        {"study": {"training_seeds": [0, 1]}},
        {"grids": {"blocks": {"seeds": [0, 1]}}},
        {"grids": {"blocks": {"algorithms": ["rmu", "slug", "simnpo"]}}},
        {"corpora": {"world": {"settings": {"subjects": {"chemistry": 4}}}}},
        {"attacks": {"retrain_5": {"steps": 9}}},
    ],
)
def test_more_of_anything_costs_more(changes):
    less, more = costs(), costs(**changes)
    assert more.core_seconds > less.core_seconds
    assert sum(job.disk for job in more.every) >= sum(job.disk for job in less.every)


def test_edits_cost_what_they_compute():
    """Steps of fine-tuning, or states and solves of every block of the band; never nothing."""

    def spent(name, settings, band):
        grid = {"algorithms": [name], "bands": [band]}
        planned = costs("config.yaml", algorithms={name: settings}, grids={"blocks": grid})
        cell = next(cell for cell in planned.study.cells if cell.algorithm == name)
        return planned.work.unlearning(cell)

    few, more, most = (spent("task_vector", {"steps": steps}, "3") for steps in (10, 20, 30))
    assert 0 < few < more < most
    assert most - more == pytest.approx(more - few)
    one, every = (spent("null_space_edit", {}, band) for band in ("3", "all"))
    assert 0 < one < every


def test_the_engine_pays_for_less_the_deeper_the_band():
    work = costs("config.yaml").work
    cells = {cell.band: cell for cell in work.study.grid("blocks") if cell.algorithm == "simnpo"}
    spent = [work.unlearning(cells[str(block)]) for block in range(6)]
    assert spent == sorted(spent, reverse=True)
    asked = [work.evaluation(cells[str(block)]) for block in range(6)]
    assert asked == sorted(asked, reverse=True)


def test_what_questions_begin_with_alike_runs_once_on_a_core():
    def forwards(shared: float, device: str) -> float:
        study = costs(engine={"device": device}).study
        size = replace(sizes.of(study), shared=shared)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sizes, "of", lambda _: size)
            return Workload(study).questions("llama")

    assert forwards(0.5, "cpu") < forwards(0, "cpu")
    assert forwards(0.5, "cuda") == forwards(0, "cuda")


def test_cutting_into_more_jobs_costs_their_starts_and_no_other_work():
    few, many = costs(), costs(study={"shard_by": ["model", "algorithm", "band"]})
    assert set(few.jobs) == set(many.jobs)
    assert len(many.jobs["unlearn_shard"]) == len(many.study.shards) == 5
    assert many.core_seconds > few.core_seconds


def test_a_study_that_does_not_say_otherwise_needs_no_gpu():
    assert all(job.gpus == 0 for job in costs("config.yaml").every)
    assert costs(engine={"device": "cuda"}).cost("pretrain_model", "llama-s0").gpus == 1


def test_a_pretrained_model_is_downloaded_adapted_and_run_on_a_gpu():
    planned = with_hub_model(engine={"dtype": "bfloat16"})
    assert "pretrain_model" not in planned.jobs
    assert planned.jobs["fetch_inputs"][HUB["pretrained"]].disk == pytest.approx(16.1e9, rel=0.02)
    adapted = planned.cost("adapt_model", "llama-s0")
    assert adapted.gpus == 1
    assert 16e9 < adapted.gpu_memory < 80e9
    assert with_hub_model(engine={"device": "cpu"}).gpu_seconds == 0
    assert planned.gpu_seconds > 0
    text = table.terminal(planned.study)
    assert "a table of known models" in text
    assert "40% are reached; that was not measured here" in text


def test_no_gpu_is_planned_that_nobody_has(monkeypatch):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    monkeypatch.setattr(machine, "memory", lambda: 8e9)
    here = with_hub_model(costs={"gpu": None})
    assert not here.on_gpu
    assert here.gpus("adapt_model") == 0
    text = table.terminal(here.study, cores=4)
    assert not any(word in text for word in ("GPU-hours", "GPU memory", "H100"))
    assert "adapt_model" in text.split("than this machine has (8.0 GB), in ")[1].split("\n")[0]
    assert f"{table.duration(60 * table.minutes(here, 4))} on 4;" in text
    # A cluster's jobs go where GPUs are, whatever the machine has that submits them.
    assert Costs(here.study, elsewhere=True).cost("adapt_model", "llama-s0").gpus == 1
    monkeypatch.setattr(machine, "has_gpu", lambda: True)
    assert with_hub_model(costs={"gpu": None}).on_gpu
    assert not with_hub_model(costs={"gpu": None}, engine={"device": "cpu"}).on_gpu


def test_the_paper_is_planned_for_cards_of_two_sizes_without_its_weights(monkeypatch):
    monkeypatch.setattr(machine, "has_gpu", lambda: False)
    planned = costs("paper.yaml")
    lines = table.terminal(planned.study).split("GPU memory by cells")[1].split("\n\n")[0].splitlines()
    assert lines[0].split() == ["cells", "of", "80", "GB", "of", "40", "GB"]
    for kind in {f"{cell.model}: {cell.algorithm}, " for cell in planned.study.cells}:
        assert any(line.startswith(kind) for line in lines), kind
    assert not any("too much" in line.split(" GB", 1)[0] for line in lines[1:]), "of 80 GB nothing is too much"


def test_this_machine_is_asked_without_torch(monkeypatch):
    assert machine.cores() >= 1
    assert 1e8 < machine.memory() < 1e14
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.has_gpu.cache_clear()
    assert not machine.has_gpu()
    machine.has_gpu.cache_clear()


def test_of_gated_facts_the_known_ones_are_asked_again():
    asked, opened = {}, {}
    for gate in (None, KnownSection()):
        planned = with_hub_model()
        planned.study.config.models["llama"].__dict__.update(adaptation=None, known=gate)
        work = planned.work
        asked[gate is None] = work.asked("llama", 2) - work.languages("llama") * work.size.lines
        opened[gate is None] = work.adaptation("llama")
    assert asked[False] == pytest.approx(work.known_share("llama") * asked[True])
    assert 0 < work.known_share("llama") < 1
    # To gate is work of its own; a model that is used as it is takes none.
    assert opened[False] > opened[True] == 0


def test_retraining_holds_float32_beside_bfloat16():
    at = with_hub_model(engine={"dtype": "bfloat16"}).footprint
    plain, again = (at.probing("llama", trains)[1] for trains in (False, True))
    # Value, gradient twice, two states of AdamW, what it was.
    assert again - plain > (4 + 2 + 4 + 8 + 2) * at.work.shape("llama").parameters


def test_a_job_that_no_gpu_holds_is_said():
    full = {"grids": {"ascent": {"bands": ["full"]}}, "engine": {"dtype": "bfloat16"}}
    text = table.terminal(with_hub_model(**full).study)
    assert "more than H100 80GB has (80 GB), in " in text
    assert "unlearn_shard" in text.split("more than H100")[1].split("\n")[0]
    assert "more than" not in table.terminal(with_hub_model(**full, costs={"gpu_memory_gb": 1000}).study)


def test_a_faster_machine_takes_less_time():
    slow, fast = (costs(costs={"core_gflops": speed}) for speed in (10, 100))
    assert fast.core_seconds < slow.core_seconds
    assert slow.work.operations("llama", 1e15) == pytest.approx(1e5)
    on_gpu = costs(engine={"device": "cuda"}).work
    assert on_gpu.operations("llama", 1e15) == pytest.approx(1e15 / (0.4 * 989e12))


# What is printed


def test_only_the_speed_that_was_measured_is_said_to_be():
    assert "95 GFLOP/s, measured on" in table.terminal(costs().study)
    assert "120 GFLOP/s, as configured" in table.terminal(costs(costs={"core_gflops": 120}).study)


@pytest.mark.parametrize("name", STUDIES)
def test_a_plan_is_made_of_every_study(name):
    planned = costs(name)
    text = table.terminal(planned.study)
    for rule, jobs in planned.jobs.items():
        (line,) = (line for line in text.splitlines() if line.startswith(rule.replace("_", " ") + "  "))
        assert f" {len(jobs)}  " in line


def test_totals_are_sums_of_their_lines():
    planned = costs("reproduction.yaml")
    lines = table.terminal(planned.study).splitlines()
    start = next(i for i, line in enumerate(lines) if "core-hours" in line)
    stop = next(i for i, line in enumerate(lines) if line.startswith("cached prefixes"))
    rules = [line[18:].split() for line in lines[start + 1 : stop]]
    total = lines[stop + 1].split()
    assert sum(int(words[0]) for words in rules) == int(total[1]) == len(planned.every)
    assert planned.core_seconds / 3600 == pytest.approx(float(total[2]), abs=0.01)
    assert planned.core_seconds == pytest.approx(sum(job.seconds for job in planned.every))
    cells = next(line for line in lines if line.startswith("all  ")).split()
    assert int(cells[-1]) == len(planned.study.cells) == sum(map(int, cells[1:-1]))


def test_the_plan_states_its_error_where_it_was_measured(tmp_path):
    study = costs().study
    measured = tmp_path / "costs.json"
    assert "Planned / measured" not in table.terminal(study, measured)
    rules = {"pretrain_model": {"ratio": 1.25}, "unlearn_shard": {"ratio": 0.8}}
    measured.write_text(
        json.dumps({"calibrated_on": "a", "studies": {"a": {"seconds": {"ratio": 1.1}, "rules": rules}}})
    )
    said = table.terminal(study, measured).split("Planned / measured")[1]
    assert "a (the constants are from here)" in said
    assert said.split()[-3:] == ["1.10", "1.25", "0.80"]


def test_durations_and_sizes_are_readable():
    assert [table.duration(s) for s in (3, 100, 5999, 36000)] == ["3 s", "2 min", "100 min", "10.0 h"]
    assert [table.size(b) for b in (2e3, 1.5e6, 25e6, 3e9, 4e10)] == ["2 kB", "1.5 MB", "25 MB", "3.0 GB", "40 GB"]


def test_the_command_plans_without_torch_and_tells_what_is_wrong(tmp_path):
    def run(*files: str) -> subprocess.CompletedProcess:
        code = "import sys; from mute.__main__ import main; status = main(sys.argv[1:]); "
        code += "print([m for m in ('torch', 'transformers', 'datasets', 'huggingface_hub') if m in sys.modules]); "
        command = [sys.executable, "-c", code + "sys.exit(status)", "plan", *files]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    done = run("config/config.yaml", "config/smoke.yaml")
    assert done.returncode == 0, done.stderr
    assert "Study 'smoke'" in done.stdout
    assert done.stdout.endswith("[]\n")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("costs: {gpu_tflop: 3}\nmodels: {llama: {blokcs: 2}}\n")
    done = run(str(wrong))
    assert done.returncode == 1
    assert "gpu_tflops" in done.stderr
    assert "blocks" in done.stderr
    assert "Traceback" not in done.stderr


# What jobs ask for


def wildcards(rule: str, name: str) -> SimpleNamespace:
    parts = name.rsplit(".", 1) if len(RULES[rule]) == 2 else [name]
    return SimpleNamespace(**dict(zip(RULES[rule], parts)))


@pytest.mark.parametrize("name", STUDIES)
def test_jobs_of_embedded_models_ask_for_little(name):
    planned = costs(name)
    if any(map(planned.opened, planned.study.models)):
        pytest.skip("its models are large ones")
    # Answers of TOFU are sentences, written out token by token.
    most, longest = (8000, 300) if planned.study.corpus.source == "tofu" else (2500, 60)
    for rule in RULES:
        memory, runtime, gpu = planned.memory(rule), planned.runtime(rule), planned.gpus(rule)
        for job in planned.names[rule]:
            assert 1000 <= memory(wildcards(rule, job), attempt=1) <= most
            assert 5 <= runtime(wildcards(rule, job), attempt=1) <= longest
        # A number: Snakemake need not ask for each job.
        assert gpu == 0


def test_each_attempt_asks_for_more():
    planned = costs()
    job = wildcards("unlearn_shard", "llama")
    for ask, step in ((planned.memory("unlearn_shard"), 100), (planned.runtime("unlearn_shard"), 1)):
        first, second, third = (ask(job, attempt) for attempt in (1, 2, 3))
        assert second == pytest.approx(GROWTH * first, abs=GROWTH * step)
        assert third == pytest.approx(GROWTH**2 * first, abs=GROWTH**2 * step)
        assert all(isinstance(value, int) for value in (first, second, third))


def test_a_job_that_the_study_does_not_have_is_told_which_there_are():
    with pytest.raises(ValueError, match=r"unknown job of unlearn_shard 'lama'; allowed: llama\. Did you mean 'llama'"):
        costs().memory("unlearn_shard")(SimpleNamespace(shard="lama"), 1)


def test_what_jobs_ask_for_is_more_than_finished_studies_took():
    found = json.loads(table.MEASURED.read_text(encoding="utf-8"))["studies"]
    assert len(found) >= 3
    for name, study in found.items():
        for rule, own in study["rules"].items():
            assert own["asked_mb"] > own["max_rss_mb"] > 0, (name, rule)


def test_plans_are_near_what_finished_studies_took():
    found = json.loads(table.MEASURED.read_text(encoding="utf-8"))
    for name, study in found["studies"].items():
        assert 0.75 < study["seconds"]["ratio"] < 1.33, name
        for rule in ("pretrain_model", "unlearn_shard", "evaluate_shard"):
            assert 0.6 < study["rules"][rule]["ratio"] < 1.6, (name, rule)
        for folder in ("models", "cells"):
            assert 0.9 < study["disk"][folder]["ratio"] < 1.1, (name, folder)
    # What stands in the file is what is planned now.
    planned = costs("config.yaml")
    for rule in ("unlearn_shard", "evaluate_shard"):
        seconds = sum(job.seconds for job in planned.jobs[rule].values())
        own = found["studies"][found["calibrated_on"]]["rules"][rule]
        assert own["planned"] == pytest.approx(seconds, 0.01), rule


def whole(planned: Costs, rule: str) -> float:
    """Seconds of a rule's jobs, but for what each takes to start."""
    jobs = planned.jobs[rule]
    start = planned.work.opening(["llama"], planned.footprint.weights("llama"))
    return sum(job.seconds for job in jobs.values()) - len(jobs) * start


def test_a_base_is_attacked_and_looked_into_once_however_cells_are_shared_out():
    """The store keeps it: shards that come later find it there."""
    asked = {"analyses": ["alignment"]}
    one, many = (costs(study={**asked, "shard_by": keys}) for keys in (["model"], ["model", "algorithm", "band"]))
    assert len(many.jobs["attack_shard"]) > len(one.jobs["attack_shard"])
    for rule in ("attack_shard", "analyse_shard"):
        assert whole(many, rule) == pytest.approx(whole(one, rule), rel=1e-6), rule
        assert whole(one, rule) > 0, rule


def test_no_oracle_is_attacked_that_no_study_trains():
    beside, alone = (costs(models={"llama": {"oracles": own}}) for own in (["domain"], []))
    assert whole(alone, "attack_shard") < whole(beside, "attack_shard")


def test_the_optimizer_costs_what_its_parameters_do_and_nothing_on_a_gpu():
    planned = costs()
    assert planned.work.update("llama", 2e6) == 2 * planned.work.update("llama", 1e6) > 0
    assert with_hub_model().work.update("llama", 1e6) == 0


def test_a_guard_pays_for_what_it_reads_whenever_it_is_asked():
    """In the order of what they add: an assistant of all blocks, a detector of half of them, and one of letters."""

    def asked(name: str, **settings):
        grid = {
            "algorithms": [name],
            "bands": ["full"],
            "protocols": ["paper"],
            "sources": [["en", "es"]],
            "attacks": [],
        }
        own = {"study": {"grids": ["g"]}, "grids": {"g": grid}, "algorithms": {name: settings}}
        work = costs(**own).work
        (cell,) = work.study.cells
        return work.evaluation(cell), work.guarding(cell, 100)

    every = {"whp_offset": {}, "eco": {}, "ksd": {"detector": "ngrams"}, "output_bias": {}}
    found = {name: asked(name, **settings) for name, settings in every.items()}
    assert [own for _, own in found.values()] == sorted((own for _, own in found.values()), reverse=True)
    assert found["whp_offset"][1] > found["eco"][1] > found["ksd"][1] == found["output_bias"][1] == 0
    assert found["whp_offset"][0] > found["eco"][0] > found["output_bias"][0]
    assert found["ksd"][0] == found["output_bias"][0]


def test_plans_know_the_limits_of_the_engine():
    from mute.engine import sections
    from mute.evaluate import scoring
    from mute.plan.costs import footprint, work
    from mute.unlearn.methods import slug

    assert footprint.DEVICE_SHARE == sections.DEVICE_SHARE
    assert footprint.WHOLE_PASS == slug.PASS
    assert work.STATES_GB == scoring.STATES_GB
