"""What rules are told: builtins that mean the same from run to run, and an announcement of what is to come."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mute.config.sections import overlay, read_files
from mute.plan.costs import Costs
from mute.plan.costs.table import announce, minutes
from mute.plan.rules import Plans, keep_memory, share_code
from mute.study.checks import checked_study
from reruns import backwards

ROOT = Path(__file__).parents[2]
# Where a process of its own finds this module and what it imports.
PLACES = f"{Path(__file__).parent}:{ROOT / 'tests'}"
BASE = ROOT / "config" / "config.yaml"
STUDIES = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))

# Methods of Plans by the wildcard that they take.
BY_WILDCARD = {
    "": [
        "corpus",
        "corpus_code",
        "corpus_files",
        "table_inputs",
        "tables",
        "figures",
        "longest",
        "opened",
        "not_opened",
        "fetched",
        "fetched_of_corpus",
        "paper",
        "of_board",
        "frozen_tables",
        "model_records",
        "notebooks",
        "notebook_inputs",
        "publishing",
        "published_figures",
        "published_with_study",
    ],
    # What does not depend on a wildcard but is only needed by jobs of the paper.
    "any": ["frozen", "frozen_about", "compiler"],
    "repo": ["local_files", "fetching"],
    "model": ["tokenizer", "beside_tokenizer", "compared"],
    "trained": [
        "tokenizer_of",
        "pretraining",
        "evaluation",
        "gates",
        "layers",
        "model_files",
        "fetched_model",
        "adaptation",
    ],
    "shard": [
        "shard_inputs",
        "shard",
        "shard_code",
        "attack_inputs",
        "attacks",
        "analyses",
        "analysis_inputs",
        "evaluations",
        "score_inputs",
        "scores",
    ],
}


def plans(name: str = "config.yaml", **changes) -> Plans:
    return Plans(checked_study(overlay(read_files(BASE, ROOT / "config" / name).values, changes)))


def told(of: Plans) -> dict[str, object]:
    """All that the rules of a study are told, by method and wildcard."""
    study = of.study
    values = {"": [""], "any": ["any"], "model": study.models, "trained": study.trained, "shard": study.shards}
    # Those that a job exists for.
    values["repo"] = of.repos
    found = {}
    for wildcard, methods in BY_WILDCARD.items():
        for value in values[wildcard]:
            for method in methods:
                arguments = [SimpleNamespace(**{wildcard: value})] if wildcard else []
                found[f"{method} {value}".strip()] = getattr(of, method)(*arguments)
    return found


def kinds(value) -> set[type]:
    if type(value) is dict:
        return {dict, str}.union(*map(kinds, value), *map(kinds, value.values()))
    return {list}.union(*map(kinds, value)) if type(value) is list else {type(value)}


@pytest.mark.parametrize("name", STUDIES)
def test_rules_are_told_builtins_that_json_can_hold(name):
    for key, value in told(plans(name)).items():
        assert kinds(value) <= {dict, list, str, int, float, bool, type(None)}, key
        assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_every_method_that_rules_call_is_looked_at():
    public = {name for name, value in vars(Plans).items() if callable(value) and not name.startswith("_")}
    # `shard` tells what `cell` does.
    assert public - {"cell"} == {method for methods in BY_WILDCARD.values() for method in methods}


@pytest.mark.parametrize("name", STUDIES)
def test_rules_are_told_the_same_by_every_process(name):
    # The hash of strings differs from process to process, and with it the order of sets: their text must not.
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split(':'); import test_plan as t;"
        "print({k: repr(v) for k, v in t.told(t.plans(sys.argv[2])).items()})"
    )
    command = [sys.executable, "-c", code, PLACES, name]
    environ = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    other = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
    assert other.stdout.strip() == str({key: repr(value) for key, value in told(plans(name)).items()})


@pytest.mark.parametrize("name", STUDIES)
def test_the_order_of_keys_in_a_configuration_is_not_told(name):
    """Snakemake compares the texts of what rules are told."""
    values = overlay(read_files(BASE).values, read_files(ROOT / "config" / name).values)
    one, other = (told(Plans(checked_study(given))) for given in (values, backwards(values)))
    assert {key: repr(value) for key, value in one.items()} == {key: repr(value) for key, value in other.items()}


def changed(name: str, changes: dict) -> set[str]:
    """Methods that tell something else under changes of the configuration."""
    before, after = told(plans(name)), told(plans(name, **changes))
    return {key.split()[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


@pytest.mark.parametrize(
    ("changes", "methods"),
    [
        ({"study": {"name": "other"}}, {"figures", "notebooks"}),
        ({"study": {"primary": ["K source"]}}, {"figures", "notebooks"}),
        ({"gates": {"recall": 0.5}}, {"gates", "figures", "notebooks"}),
        ({"evaluation": {"draws": 30}}, {"scores", "tables"}),
        ({"attacks": {"mix": {"share": 0.25}}}, {"attacks"}),
        # The page must know in which language facts are taught again.
        (
            {
                "attacks": {"relearn_en": {"method": "relearning", "language": "en"}},
                "grids": {"blocks": {"attacks": ["bypass", "mix", "retrain_1", "retrain_5", "relearn_en"]}},
            },
            {"attacks", "figures", "notebooks"},
        ),
        ({"layers": {"alpha": 2}}, {"tables"}),
        ({"layers": {"null_draws": 3}}, {"layers", "tables"}),
        ({"matching": {"target": 0.2}}, {"shard"}),
        ({"matching": {"looks": 5}}, {"shard"}),
        # One more block or seed: only cells.
        ({"grids": {"blocks": {"bands": ["each", "0-1"]}}}, {"shard", "attacks"}),
        ({"grids": {"blocks": {"seeds": [0, 1]}}}, {"shard", "attacks"}),
        # A number written in another way is the same number.
        ({"pretraining": {"warmup": "2"}, "corpora": {"world": {"settings": {"transfer_share": "4e-1"}}}}, set()),
        # A default that is spelt out changes nothing.
        ({"corpora": {"world": {"settings": {"forget_domain": "chemistry"}}}}, set()),
    ],
)
def test_a_change_is_told_to_the_rules_that_it_concerns_and_to_no_other(changes, methods):
    # The paper prints the configuration of record, whatever changes in it, and it is published.
    assert changed("micro.yaml", changes) == methods | ({"paper", "publishing"} if methods else set())


def test_where_results_are_published_concerns_no_rule_that_makes_them():
    assert changed("micro.yaml", {"publishing": {"project": "other"}}) == {"publishing"}
    assert changed("micro.yaml", {"publishing": {"with_study": True}}) == {"published_with_study"}
    assert changed("micro.yaml", {"publishing": {"notebooks": "wandb"}}) == {
        "notebooks",
        "notebook_inputs",
        "published_figures",
    }


def test_the_code_of_a_method_inside_another_is_the_outer_ones_too():
    own = {"steady": {"method": "placebo", "of": {"method": "npo"}}, "parted": {"method": "blur", "of": "npo"}}
    study = plans("micro.yaml", algorithms=own).study
    assert study.methods(["steady"]) == ["npo", "placebo"]
    assert study.methods(["parted", "rmu"]) == ["blur", "npo", "rmu"]
    assert study.settings("steady")["of"]["beta"] == 0.1, "every default of it is told"


def test_a_model_may_have_a_learning_rate_of_its_own():
    of = plans(models={"bloom": {"learning_rate": 1e-3}}, pretraining={"learning_rate": 2e-3})
    rates = {n: of.pretraining(SimpleNamespace(trained=f"{n}-s0"))["learning_rate"] for n in ("llama", "bloom")}
    assert rates == {"llama": 2e-3, "bloom": 1e-3}


def test_an_oracle_differs_from_its_model_in_what_it_reads():
    of = plans()
    base, oracle = (of.pretraining(SimpleNamespace(trained=name)) for name in ("llama-s0", "llama-s0-without-domain"))
    assert oracle == {**base, "without": "domain"}
    assert base["without"] is None


def test_gates_are_waited_for_only_where_they_stop_something():
    shard = SimpleNamespace(shard="llama")
    assert plans().shard_inputs(shard)["gates"] == []
    stopping = plans(gates={"on_fail": "stop"}).shard_inputs(shard)["gates"]
    assert stopping == ["<results>/gates/llama-s0.csv", "<results>/gates/llama-s0-without-domain.csv"]


@pytest.mark.parametrize(
    ("method", "wildcard", "message"),
    [
        ("pretraining", "trained", "unknown trained model 'lama-s0'; allowed: bloom-s0, .* Did you mean 'llama-s0'?"),
        ("shard", "shard", "unknown shard 'lama.rmu'; allowed: .* Did you mean 'llama'?"),
    ],
)
def test_a_target_that_the_study_does_not_have_is_told_which_there_are(method, wildcard, message):
    name = {"trained": "lama-s0"}.get(wildcard, "lama.rmu")
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        getattr(plans(), method)(SimpleNamespace(**{wildcard: name}))


def test_the_announcement_tells_cells_and_minutes(capsys):
    study = plans().study
    costs = Costs(study)
    announce(costs, 2)
    text = capsys.readouterr().err
    assert f"Study 'default': {len(study.cells)} cells in {len(study.shards)} shards" in text
    assert "3 models, 4 algorithms" in text
    assert "3 models and 1 oracle to train" in text
    assert f"roughly {minutes(costs, 2):.0f} minutes on 2 cores" in text
    assert "Results: results/" in text
    announce(costs, None)
    assert "on 1 core;" in capsys.readouterr().err


def test_more_cores_make_a_study_shorter_but_not_than_its_longest_training():
    costs = Costs(plans().study)
    times = [minutes(costs, cores) for cores in (1, 2, 4, 64, 128)]
    assert times == sorted(times, reverse=True)
    assert times[-1] == times[-2] > 1
    assert minutes(Costs(plans("micro.yaml").study), 2) < minutes(Costs(plans("smoke.yaml").study), 2) < times[1]


def test_jobs_get_the_code_that_was_planned(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    share_code()
    share_code()
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(ROOT / "src"), "elsewhere"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_jobs_keep_the_memory_that_they_free(monkeypatch):
    """A job's step touches the same pages again and again, instead of asking the system for new ones."""
    code = (
        "import resource\nfor _ in range(20): held = [bytearray(1 << 20) for _ in range(24)]; del held\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    )
    faults = []
    for _ in range(2):
        monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
        if faults:
            keep_memory()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        faults.append(int(done.stdout))
    assert faults[1] < faults[0] / 2
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=0")
    keep_memory()
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.check=0"


def test_planning_imports_no_torch_and_no_transformers():
    code = (
        "import sys; sys.path[:0] = sys.argv[1].split(':'); import test_plan as t; t.told(t.plans());"
        "print([name for name in ('torch', 'transformers', 'datasets', 'matplotlib') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, PLACES]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_figures_are_told_of_every_algorithm_in_the_order_of_the_grids():
    told_ = plans("reproduction.yaml").figures()["algorithms"]
    assert list(told_)[:3] == ["rmu", "simnpo", "slug"]
    assert told_["ascent_aggressive"]["method"] == "gradient_ascent"
    assert all(set(about) == {"method", "family", "paper", "intent"} for about in told_.values())
    assert all(isinstance(text, str) for about in told_.values() for text in about.values())
