"""The configuration: its errors, and the cells, shards and names that follow from it."""

import json
import os
import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import yaml

from mute import attacks, unlearn
from mute.config.problems import ConfigError, validated
from mute.config.sections import overlay, read_files
from mute.plan.rules import Plans
from mute.store import artifacts
from mute.study import schema
from mute.study.cells import trained_name
from mute.study.checks import checked_study, read_study

ROOT = Path(__file__).parents[2]
BASE = ROOT / "config" / "config.yaml"


def config(text: str = "", *files: str) -> dict:
    """The default configuration under an overlay, and under the named files of config/."""
    values = read_files(BASE, *(ROOT / "config" / name for name in files)).values
    return overlay(values, yaml.safe_load(text) or {})


def problems(text: str) -> list[str]:
    """What is wrong with the default configuration under an overlay."""
    with pytest.raises(ConfigError) as caught:
        checked_study(config(text))
    return caught.value.problems


def one(text: str) -> str:
    """The only problem."""
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


# What is wrong: an overlay, then the key and the words that its one line must hold.
WRONG = {
    "training seed of a grid": (
        "grids: {whole: {training_seeds: [0, 7]}}",
        "grids.whole.training_seeds[1]: 7 is no training seed of llama, qwen2, bloom: 0",
    ),
    "training seed of an analysis": (
        "{study: {analyses: [lens]}, analyses: {lens: {training_seeds: [0, 7]}}}",
        "analyses.lens.training_seeds[1]: 7 is no training seed of llama, qwen2, bloom: 0",
    ),
    "algorithm of an analysis": (
        "{study: {analyses: [shift]}, analyses: {shift: {method: mean_shift, algorithms: [rmuu]}}}",
        "analyses.shift.algorithms[0]: unknown algorithm 'rmuu'",
        "Did you mean 'rmu'?",
    ),
    "algorithm of an analysis twice": (
        "{study: {analyses: [lens]}, analyses: {lens: {algorithms: [rmu, rmu]}}}",
        "analyses.lens.algorithms: rmu stands more than once",
    ),
    "band of a filter": (
        "grids: {whole: {algorithms: [word_filter]}}",
        "grids.whole.bands[0]: word_filter works on full, not on 'all'",
    ),
    "shown": ("study: {shown: [bloks]}", "study.shown[0]: unknown grid of the study 'bloks'", "Did you mean 'blocks'?"),
    "section": ("gaets: {recall: 1}", "gaets: unknown key", "Did you mean 'gates'?"),
    "key": (
        "models: {llama: {stpes: 3}}",
        "models.llama.stpes: unknown key",
        "blocks, family",
        "Did you mean 'steps'?",
    ),
    "key of an algorithm": (
        "algorithms: {rmu: {stepz: 3}}",
        "algorithms.rmu.stepz: unknown key",
        "retain_weight",
        "Did you mean 'steps'?",
    ),
    "key of a corpus": (
        "corpora: {world: {settings: {probe_line: 9}}}",
        "corpora.world.settings.probe_line: unknown key",
        "Did you mean 'probe_lines'?",
    ),
    "key of a mapping": (
        "pretraining: {shares: {facts: 1, redaing: 1}}",
        "pretraining.shares.redaing: unknown key",
        "Did you mean 'reading'?",
    ),
    "type": ("models: {llama: {blocks: eight}}", "models.llama.blocks: must be a whole number, not 'eight'"),
    "range": ("study: {seed: -1}", "study.seed: must be at least 0, not -1"),
    "choice": ("gates: {on_fail: halt}", "gates.on_fail: unknown value 'halt'", "report, stop"),
    "one of two": ("layers: {alpha: atuo}", "layers.alpha: must be a number or 'auto' or a mapping, not 'atuo'"),
    "number in a setting": ("algorithms: {rmu: {steps: 0}}", "algorithms.rmu.steps: must be at least 1, not 0"),
    "truth value for a number": ("study: {seed: yes}", "study.seed: must be a number, not True"),
    "infinite": ("algorithms: {rmu: {learning_rate: .inf}}", "algorithms.rmu.learning_rate: must be finite"),
    "nothing": ("gates:", "gates: must be a mapping, but nothing stands there"),
    "not a list": ("grids: {blocks: {algorithms: rmu}}", "grids.blocks.algorithms: must be a list", "write [rmu]"),
    "empty list": ("grids: {blocks: {seeds: []}}", "grids.blocks.seeds: must not be empty"),
    "no algorithms": ("{study: {grids: [new]}, grids: {new: {}}}", "grids.new.algorithms: must not be empty"),
    "no strengths": ("algorithms: {rmu: {strengths: []}}", "algorithms.rmu.strengths: must not be empty"),
    "missing key": (
        "corpora: {world: {source: files, settings: {path: data}}}",
        "corpora.world.settings.forget_domain: this key is missing. The domain to forget.",
    ),
    "norwegian": (
        "models: {llama: {languages: [en, es, pt, no]}}",
        "models.llama.languages[3]: must be text, not False",
        "quote it, as in 'no'",
    ),
    "twice in a list": ("study: {shard_by: [model, band, model]}", "study.shard_by: model stands more than once"),
    "shard key": ("study: {shard_by: [modle]}", "study.shard_by[0]: unknown value 'modle'", "Did you mean 'model'?"),
    "twice in a setting of the world": (
        "corpora: {world: {settings: {graph: [alias, alias]}}}",
        "corpora.world.settings.graph: alias stands more than once",
    ),
    "twice in a setting of an attack": (
        "attacks: {latent: {blocks: [1, 1]}}",
        "attacks.latent.blocks: 1 stands more than once",
    ),
    "truth value for a word": (
        "attacks: {prefill: {given: true}}",
        "attacks.prefill.given: unknown value True; allowed: true, wrong.",
        "quote it",
    ),
    "thresholds that cross": (
        "verdict: {small: 0.9}",
        "verdict: must be a mapping whose small lies below its large (they are 0.9 and 0.8), not {'small': 0.9}",
    ),
    "name with a slash": ("algorithms: {a/b: {method: rmu}}", "algorithms.a/b: name 'a/b' is not allowed"),
    "name with dots": ("algorithms: {a..b: {method: rmu}}", "algorithms.a..b: name 'a..b' is not allowed"),
    "name with a dot": ("models: {llama-3.2: {}}", "models.llama-3.2: name 'llama-3.2' is not allowed: '.' separates"),
    "results outside": ("study: {results: ../out}", "study.results: must be a folder inside the project"),
    "results anywhere": ("study: {results: /tmp}", "study.results: must be a folder inside the project"),
    "pathvars": ("pathvars: {results: elsewhere}", "pathvars: set study.results instead"),
    "outcome": ("study: {primary: [K]}", "study.primary[0]: must be a measure and one of source, heldout, all"),
    "corpus": ("study: {corpus: wrld}", "study.corpus: unknown corpus 'wrld'; allowed: world. Did you mean 'world'?"),
    "model": ("study: {models: [lama]}", "study.models[0]: unknown model 'lama'", "Did you mean 'llama'?"),
    "grid": ("study: {grids: [block]}", "study.grids[0]: unknown grid 'block'", "Did you mean 'blocks'?"),
    "source": (
        "corpora: {world: {source: word}}",
        "corpora.world.source: unknown source 'word'",
        "files, mmlu, tofu, world",
    ),
    "domain": (
        "corpora: {world: {settings: {subjects: {chemistry: 4, histroy: 4, law: 2}}}}",
        "corpora.world.settings.subjects: unknown domain 'histroy'",
        "Did you mean 'history'?",
    ),
    "nothing to retain": (
        "corpora: {world: {settings: {subjects: {chemistry: 4, geography: 2}}}}",
        "corpora.world.settings.subjects: none is left to retain: give history or law some",
    ),
    "nothing to forget": (
        "corpora: {world: {settings: {forget_domain: law, subjects: {chemistry: 4, geography: 2}}}}",
        "corpora.world.settings.subjects: 'law', the domain to forget, has none",
    ),
    "forgotten bystander": (
        "corpora: {world: {settings: {forget_domain: geography}}}",
        "corpora.world.settings.bystander_domain: 'geography' is the domain to forget",
    ),
    "language": (
        "models: {bloom: {languages: [en, es, pt, arr]}}",
        "models.bloom.languages[3]: unknown language 'arr'",
    ),
    "language code": (
        "{study: {models: [llama], corpus: own}, "
        "corpora: {own: {source: files, settings: {path: data, forget_domain: a}}}, "
        "models: {llama: {languages: [en, es, pt, zh-hant]}}}",
        "models.llama.languages[3]: 'zh-hant' is no language code",
    ),
    "teaching languages": (
        "{study: {models: [bloom]}, models: {bloom: {languages: [en, es, fr]}}, grids: {blocks: {sources: [[en]]}, "
        "whole: {sources: [[en]]}, ascent: {sources: [[en]]}}}",
        "models.bloom.languages: teaching languages of the corpus are missing: pt",
    ),
    "no teaching language": (
        "corpora: {world: {settings: {teaching_languages: [en, ese, pt]}}}",
        "corpora.world.settings.teaching_languages[1]: unknown language 'ese'",
        "mean 'es'?",
    ),
    "transfer": (
        "{study: {models: [llama]}, corpora: {world: {settings: {teaching_languages: [en, es, pt, de, fr, it, hi]}}}}",
        "models.llama.languages: every language is a teaching language, so no fact can transfer",
        "corpora.world.settings.transfer_share to 0",
    ),
    "forget set of an oracle": (
        "models: {llama: {oracles: [domian]}}",
        "models.llama.oracles[0]: unknown forget set 'domian'",
        "conjunctive, domain, relation, subject",
    ),
    "heads": ("models: {llama: {heads: 3}}", "models.llama.hidden: 128 is no multiple of 3 heads"),
    "odd heads": ("models: {qwen2: {hidden: 12}}", "models.qwen2.hidden: 3 features a head is odd"),
    "unpaired heads": ("models: {qwen2: {hidden: 120, heads: 5}}", "models.qwen2.heads: 5 do not share keys"),
    "algorithm": (
        "grids: {whole: {algorithms: [rmv]}}",
        "grids.whole.algorithms[0]: unknown algorithm 'rmv'",
        "'rmu'?",
    ),
    "method": ("algorithms: {mine: {method: rmv}}", "algorithms.mine.method: unknown method 'rmv'", "'rmu'?"),
    "no method": ("algorithms: {mine: {steps: 3}}", "algorithms.mine.method: unknown method 'mine'", "give the method"),
    "forget set": ("grids: {whole: {forget_sets: [topic]}}", "grids.whole.forget_sets[0]: unknown forget set 'topic'"),
    "model of a grid": ("grids: {whole: {models: [lama]}}", "grids.whole.models[0]: unknown model 'lama'"),
    "grid of no model": (
        "{study: {models: [llama]}, grids: {whole: {models: [bloom]}}}",
        "grids.whole.models: none of ['bloom'] is a model of the study: ['llama']",
    ),
    "no held-out language": (
        "{study: {models: [llama]}, grids: {whole: {sources: [[en, es, pt, de, fr, it, hi]]}}}",
        "grids.whole.sources[0]: en, es, pt, de, fr, it, hi are all languages of model llama: none is held out",
    ),
    "source language": (
        "{study: {models: [llama]}, grids: {whole: {sources: [[en, ja]]}}}",
        "grids.whole.sources[0]: unknown language 'ja'; allowed: de, en, es, fr, hi, it, pt. (model llama)",
    ),
    "no source language": ("grids: {whole: {sources: [[]]}}", "grids.whole.sources[0]: must be different languages"),
    "source language twice": ("grids: {whole: {sources: [[en, en]]}}", "grids.whole.sources[0]: must be different"),
    "band": ("grids: {whole: {bands: [al]}}", "grids.whole.bands[0]: unknown band 'al'", "Did you mean 'all'?"),
    "band of digits in another script": ("grids: {whole: {bands: ['²']}}", "grids.whole.bands[0]: unknown band '²'"),
    "band backwards": ("grids: {whole: {bands: [3-2]}}", "grids.whole.bands[0]: '3-2' must name different blocks"),
    "band outside": (
        "{study: {models: [llama]}, grids: {whole: {bands: [5, 5-6]}}}",
        "grids.whole.bands[1]: block 6 is outside model llama of 6 blocks (0 to 5)",
    ),
    "layer rule of nothing": (
        "layers: {choice: {rum: argmax}}",
        "layers.choice.rum: unknown algorithm 'rum'",
        "'rmu'?",
    ),
    "stated without a block": (
        "{study: {models: [llama]}, layers: {choice: {rmu: stated}}}",
        "layers.choice.rmu: `stated` needs a block for model llama in layers.stated",
    ),
    "stated outside": ("layers: {stated: {llama: 6}}", "layers.stated.llama: block 6 is outside a model of 6 blocks"),
    "stated for nothing": ("layers: {stated: {lama: 1}}", "layers.stated.lama: unknown model 'lama'"),
    "facts without a share": ("pretraining: {shares: {reading: 1}}", "pretraining.shares: facts must have a share"),
}


@pytest.mark.parametrize(("text", "words"), [(w[0], w[1:]) for w in WRONG.values()], ids=WRONG)
def test_an_error_names_key_value_and_what_is_allowed(text, words):
    line = one(text)
    assert line.startswith(words[0])
    assert "\n" not in line
    for word in words:
        assert word in line


def test_everything_wrong_is_told_at_once_and_nothing_twice():
    wrong = """
    study: {models: [llama, lama], grids: [blocks, wholee], seed: yes}
    models:
      llama: {langauges: [en, es], steps: many}
      qwen2: {languages: [en, no, es, pt], blocks: eight}
      own: 3
    algorithms: {rmu: {stepz: 3, steps: 0}, other: {method: rmv}}
    corpora: {world: {settings: {transfer_share: 0.9, foo: 1, subjects: {histry: 1, chemistry: 3, law: 3}}}}
    grids: {blocks: {bands: [9], algorithms: [], sources: [[], [en, tlh]], seeds: [0, 0]}}
    gates:
    """
    found = problems(wrong)
    keys = [line.split(": ")[0] for line in found]
    # Errors stand in the order of the sections; what only follows from another (nothing is left of the model that is no
    # mapping, or to hold the unknown depth of qwen2 against) is not told as one of its own.
    assert keys == [
        "study.seed",
        "study.models[1]",
        "study.grids[1]",
        "corpora.world.settings.transfer_share",
        "corpora.world.settings.foo",
        "corpora.world.settings.subjects",
        "models.llama.steps",
        "models.llama.langauges",
        "models.qwen2.languages[1]",
        "models.qwen2.blocks",
        "models.own",
        "gates",
        "algorithms.rmu.steps",
        "algorithms.rmu.stepz",
        "algorithms.other.method",
        "grids.blocks.algorithms",
        "grids.blocks.seeds",
        "grids.blocks.sources[0]",
        "grids.blocks.sources[1]",
        "grids.blocks.bands[0]",
    ]
    assert str(ConfigError(found)).splitlines() == ["the configuration cannot be used:", *(f"  - {x}" for x in found)]


def a_bad_value(kind, field, told):
    """A value that a setting of an attack cannot have, and what its error must say beside it."""
    if field in kind.Settings.spoken:
        return "enn", "unknown language 'enn'; allowed: "
    choices = get_args(told.annotation)
    if get_origin(told.annotation) is Literal:
        listed = f"allowed: {', '.join(sorted(map(str, choices)))}."
        if not isinstance(choices[0], str):
            return 99, listed
        return f"{choices[0]}x", f"{listed} Did you mean {choices[0]!r}?"
    if get_origin(told.annotation) is list:
        return [0, 99], "block 99 is outside the models of the study, of at most"
    if told.annotation is float:
        return -0.5, ("must be at least 0" if any(getattr(m, "ge", None) == 0 for m in told.metadata) else "above 0")
    return -1, f"must be at least {next(m.ge for m in told.metadata if hasattr(m, 'ge'))}"


def test_every_setting_of_every_attack_out_of_range_is_told_with_all_the_others():
    given, wanted = {}, {}
    for name in attacks.names():
        kind = attacks.load(name)
        for field, told in kind.Settings.model_fields.items():
            value, says = a_bad_value(kind, field, told)
            given[f"{name}_{field}"] = {"method": name, field: value}
            shown = value[1] if isinstance(value, list) else value
            wanted[f"attacks.{name}_{field}.{field}"] = (str(shown), says)
        given[f"{name}_bad"] = {"method": name, "strngth": 1}
        wanted[f"attacks.{name}_bad.strngth"] = ("unknown key 'strngth'", "allowed: ")
    found = problems(yaml.safe_dump({"attacks": given, "matching": {"looks": -3}}))
    assert len(found) == len(wanted) + 1 > 60
    assert any(line.startswith("matching.looks") for line in found)
    for place, (value, says) in wanted.items():
        (line,) = (line for line in found if re.match(re.escape(place) + r"(\[\d\])?: ", line))
        assert value in line, line
        assert says in line, (line, says)


@pytest.mark.parametrize("given", [None, 3, [], "text", {"study": 3}, {"models": []}, {None: 1}, {"grids": {1: {}}}])
def test_anything_at_all_gets_an_error_and_no_traceback(given):
    with pytest.raises(ConfigError):
        checked_study(given)


def test_an_error_tells_file_and_line_if_that_is_where_the_value_comes_from(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("matching:\n  looks: 0\ngrids:\n  whole:\n    bands:\n    - all\n    - 99\nmodels: {llama: {}}\n")
    files = read_files(BASE, file)
    with pytest.raises(ConfigError) as caught:
        checked_study(files.values, files)
    places = [re.search(r" \[(\S+):(\d+)\]$", line) for line in caught.value.problems]
    assert [(place[1], int(place[2])) for place in places] == [(str(file), 7)] * 3 + [(str(file), 2)]
    # A value from the command line stands in no file.
    with pytest.raises(ConfigError) as caught:
        checked_study(overlay(files.values, {"matching": {"looks": "-3"}}), files)
    assert "matching.looks: must be at least 2, not '-3'" in caught.value.problems


def test_a_key_that_stands_twice_is_an_error_beside_the_others(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("models:\n  llama:\n    steps: 3\n    blocks: 0\n    steps: 4\n")
    with pytest.raises(ConfigError) as caught:
        read_study(BASE, file)
    twice, blocks = caught.value.problems
    assert twice.startswith(f"models.llama.steps: the key stands twice, in lines 3 and 5 of {file}")
    assert blocks.startswith("models.llama.blocks: must be at least 1, not 0")


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "syntax.yaml").write_text("study:\n  models: [a\nname: b\n")
    (tmp_path / "list.yaml").write_text("- a\n")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "bytes.yaml").write_bytes(b"study: \xff\n")
    (tmp_path / "circle.yaml").write_text("study: &s {name: *s}\n")
    texts = [str(p) for p in read_files(*sorted(tmp_path.iterdir()), tmp_path / "absent.yaml").problems]
    assert len(texts) == 5 or len(texts) == 6  # a circle may be refused by the reader or by the types
    assert any(re.search(r"syntax\.yaml, line 3: ", text) for text in texts)
    for name in (
        "list.yaml is not a mapping",
        "empty.yaml is not a mapping",
        "bytes.yaml cannot",
        "absent.yaml cannot",
    ):
        assert any(name in text for text in texts)


def test_numbers_may_be_written_as_yaml_cannot_read_them():
    written = "{pretraining: {learning_rate: 3e-3}, layers: {alpha: 2e0}, algorithms: {rmu: {learning_rate: 1e-5}}}"
    assert yaml.safe_load(written)["pretraining"]["learning_rate"] == "3e-3"
    study = checked_study(config(written))
    assert study.config.pretraining.learning_rate == 0.003
    assert study.config.layers.alpha == 2.0
    assert study.settings("rmu")["learning_rate"] == 1e-5


def test_what_a_study_does_not_choose_need_not_fit():
    # Smaller worlds and single models are overlays; the models and grids below them stay as they are.
    overlay_text = """
    study: {models: [llama], grids: [own]}
    models: {llama: {languages: [en, es, fr], blocks: 2}}
    corpora: {world: {settings: {teaching_languages: [en, es]}}}
    grids: {own: {algorithms: [rmu], sources: [[en]], bands: [1]}, blocks: {bands: [7]}}
    """
    assert len(checked_study(config(overlay_text)).cells) == 1


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "config").glob("*.yaml")))
def test_every_study_of_the_project_can_be_planned(name):
    assert read_study(BASE, ROOT / "config" / name).cells


def test_an_empty_configuration_is_a_study():
    assert checked_study({}).shards


# What follows from a configuration


def test_each_cell_stands_once_and_in_one_shard():
    study = checked_study(config("grids: {again: {algorithms: [rmu], bands: [0, each, all]}}"))
    twice = checked_study(
        config("{study: {grids: [blocks, whole, again]}, grids: {again: {algorithms: [rmu], bands: [0, all]}}}")
    )
    assert len(set(twice.cells)) == len(twice.cells) == 3 * 3 * 6 + 3 * 3
    for keys in ([], ["model"], ["model", "algorithm", "band"], ["retain", "seed", "sources", "protocol"]):
        shards = checked_study(config(f"study: {{shard_by: {keys}}}")).shards
        assert sorted(map(repr, (cell for cells in shards.values() for cell in cells))) == sorted(
            map(repr, study.cells)
        )
        assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", name) for name in shards)


def test_cells_of_a_shard_go_from_the_lowest_block_up():
    text = """
    study: {models: [llama], grids: [blocks], shard_by: [model, algorithm]}
    models: {llama: {blocks: 12}}
    grids:
      blocks:
        algorithms: [simnpo, rmu]
        bands: [each, 2-3, full, 10, all]
        seeds: [0, 1]
        protocols: [paper, matched]
    """
    for cells in checked_study(config(text)).shards.values():
        assert len({(cell.model, cell.algorithm) for cell in cells}) == 1
        firsts = [-1 if cell.band in ("all", "full") else int(cell.band.split("-")[0]) for cell in cells]
        assert firsts == sorted(firsts)
        assert {cell.band for cell in cells} == {*map(str, range(12)), "2-3", "all", "full"}


def test_the_order_of_lists_in_the_configuration_changes_no_cell_and_no_shard():
    a = checked_study(config("grids: {blocks: {algorithms: [rmu, slug], seeds: [0, 1]}}"))
    turned = "{study: {grids: [ascent, whole, blocks]}, grids: {blocks: {algorithms: [slug, rmu], seeds: [1, 0]}}}"
    b = checked_study(config(turned))
    assert a.cells == b.cells
    assert a.shards == b.shards


def test_an_oracle_is_that_of_model_seed_and_forget_set():
    study = checked_study(
        config("{study: {training_seeds: [0, 3]}, models: {llama: {oracles: [domain, conjunctive]}}}")
    )
    assert study.oracle("llama", 3, "conjunctive") == "llama-s3-without-conjunctive"
    assert study.trained["llama-s3-without-conjunctive"] == ("llama", 3, "conjunctive")
    assert study.trained["llama-s0"] == ("llama", 0, None)
    assert study.oracle("llama", 0, "subject") is None
    assert study.oracle("bloom", 0, "domain") is None
    assert study.oracle("llama", 1, "domain") is None
    assert len(study.trained) == 2 * (3 + 2)
    assert trained_name("a", 1) == "a-s1"


def test_models_and_grids_have_training_seeds_of_their_own():
    text = """
    study: {training_seeds: [0, 1, 2], models: [llama, bloom]}
    models: {llama: {oracles: [domain]}, bloom: {training_seeds: [5], oracles: [domain]}}
    grids: {whole: {training_seeds: [0, 5]}, ascent: {training_seeds: [2], models: [llama]}}
    """
    study = checked_study(config(text))
    trained = {"llama-s0", "llama-s1", "llama-s2", "bloom-s5"}
    assert set(study.trained) == trained | {f"{name}-without-domain" for name in trained}
    # Every training has its own oracle for its floor.
    assert [study.oracle("llama", seed, "domain") for seed in (0, 1, 2)] == [
        f"llama-s{seed}-without-domain" for seed in (0, 1, 2)
    ]
    assert study.oracle("bloom", 5, "domain") == "bloom-s5-without-domain"
    seeds = {name: {(cell.model, cell.training_seed) for cell in study.grid(name)} for name in study.config.study.grids}
    assert seeds["blocks"] == {("llama", 0), ("llama", 1), ("llama", 2), ("bloom", 5)}
    assert seeds["whole"] == {("llama", 0), ("bloom", 5)}
    assert seeds["ascent"] == {("llama", 2)}
    plan = Plans(study)
    assert {(key[1], key[4]) for key in plan.tables()["references"] if key[0] == "llama"} == {
        (seed, f"llama-s{seed}-without-domain") for seed in (0, 1, 2)
    }


def test_figures_show_the_first_training_of_chosen_grids():
    text = "study: {training_seeds: [4, 1], grids: [blocks, whole, ascent], shown: [blocks]}"
    study = checked_study(config(text))
    assert study.shown
    assert {(cell.training_seed, cell.band in ("all", "full")) for cell in study.shown} == {(4, False)}
    assert {tuple(key[:2]) for key in Plans(study).figures()["shown"]} == {(name, 4) for name in study.models}
    assert checked_study(config()).shown is None


def test_a_study_names_the_files_that_it_was_read_from():
    paths = [str(ROOT / "config" / name) for name in ("config.yaml", "smoke.yaml")]
    assert read_study(*paths).files == Plans(read_study(*paths)).figures()["files"] == paths
    assert checked_study(config()).files == []


def test_a_file_that_is_named_twice_counts_where_it_is_named_last(tmp_path):
    (mine := tmp_path / "mine.yaml").write_text("study: {seed: 7}")
    base = str(ROOT / "config" / "config.yaml")
    assert read_study(base, os.path.relpath(base)).files == [base]
    again = read_study(base, mine, base)
    assert (again.files, again.config.study.seed) == ([str(mine), base], read_study(base).config.study.seed)
    assert read_study(mine, base, mine).config.study.seed == 7


def test_claims_are_tested_in_the_setting_of_the_first_grid():
    text = "{study: {grids: [ascent, blocks]}, grids: {ascent: {sources: [[pt, en], [de]], retain: [all, source]}}}"
    study = checked_study(config(text.replace("de]", "es]")))
    assert study.main_setting == ("pt-en", "all", "domain")
    assert Plans(study).figures()["main"] == ["pt-en", "all", "domain"]


def test_layers_are_chosen_in_the_languages_of_the_first_grid():
    text = "{study: {grids: [a, blocks]}, grids: {a: {models: [bloom], algorithms: [rmu], sources: [[hi], [en, es]]}}}"
    study = checked_study(config(text))
    assert study.first_sources("bloom") == ["hi"]
    assert study.first_sources("llama") == ["en", "es", "pt"]


def test_a_control_runs_under_the_protocols_that_it_names():
    grid = "grids: {own: {algorithms: [placebo], bands: [0], protocols: [matched, paper]}}"
    with pytest.raises(ConfigError) as caught:
        checked_study(config(f"study: {{models: [llama], grids: [own]}}\n{grid}"))
    text = "placebo runs under paper, not under 'matched'; give it a grid of its own"
    assert caught.value.problems == [f"grids.own.protocols[0]: {text}"]
    for algorithms in ("placebo], protocols: [paper", "shuffled_labels, random_direction], protocols: [matched, paper"):
        grid = f"grids: {{own: {{algorithms: [{algorithms}], bands: [0]}}}}"
        checked_study(config(f"study: {{models: [llama], grids: [own]}}\n{grid}"))


def test_a_key_of_an_earlier_version_is_told_from_one_that_never_was():
    with pytest.raises(ConfigError) as caught:
        checked_study(config("matching: {every: 4, evry: 4}"))
    said = {problem.split(": ")[0]: problem for problem in caught.value.problems}
    assert said["matching.every"] == (
        "matching.every: this key is no more: looks are at geometric steps now; give their number as `looks`"
    )
    assert "allowed: facts, looks, target" in said["matching.evry"]


def test_methods_stand_for_every_method_that_a_grid_suits():
    """A method's new file is in such a grid by itself; controls and guards are named by who wants them."""

    def algorithms(**grid: object) -> list[str]:
        text = yaml.safe_dump({"study": {"grids": ["zoo"]}, "grids": {"zoo": {"bands": [1], **grid}}})
        return checked_study(config(text)).config.grids["zoo"].algorithms

    kinds = {name: unlearn.load(name) for name in unlearn.names()}
    found = algorithms(algorithms=["methods"])
    assert len(found) > 50
    assert not {kinds[name].family for name in found} & {"control", "guard"}
    left_out = {name for name, kind in kinds.items() if kind.family not in ("control", "guard")} - set(found)
    assert left_out == {name for name, kind in kinds.items() if kind.protocols == ("paper",)} - {"placebo"}
    assert left_out <= set(algorithms(algorithms=["methods"], protocols=["paper"]))
    beside = algorithms(algorithms=["placebo", "methods", "rmu"], protocols=["paper"])
    assert (beside[0], beside[-1], beside.count("rmu")) == ("placebo", "rmu", 1)
    assert "unknown algorithm 'method'" in one("grids: {blocks: {algorithms: [method]}}")


def test_seeds_depend_on_everything_but_the_band():
    text = """
    study: {models: [llama], grids: [own]}
    grids: {own: {algorithms: [rmu, simnpo], bands: [0, 1, all, full], seeds: [0, 1], sources: [[en], [es]]}}
    """
    plans = Plans(checked_study(config(text)))
    drawn: dict[int, set] = {}
    for cell in plans.study.cells:
        drawn.setdefault(plans._seed(cell), set()).add((cell.algorithm, cell.sources, cell.seed))
    assert len(drawn) == 8
    assert all(len(cells) == 1 for cells in drawn.values())
    other = Plans(checked_study(config(text.replace("models: [llama]", "models: [llama], seed: 2"))))
    assert not drawn.keys() & {other._seed(cell) for cell in other.study.cells}


def test_seeds_and_digests_stay_what_they_are():
    # Pinned: a change here would compute every finished study anew.
    assert artifacts.seed_of(1, "llama", 0, "pretraining") == 1535091698725674928
    assert artifacts.digest({"b": [1, 2.5, None], "a": {"é": True}}) == artifacts.digest(
        json.loads('{"a": {"é": true}, "b": [1, 2.5, null]}')
    )
    plans = Plans(checked_study(config("", "micro.yaml")))
    cell = plans.study.cells[0]
    assert (cell.algorithm, cell.band) == ("gradient_ascent", "full")
    assert plans._seed(cell) == 4700597586881614773


def test_settings_are_whole_and_the_method_need_not_be_named():
    study = checked_study(config("algorithms: {mild: {method: rmu, steering: 2}, rmu: {retain_weight: 3}}"))
    defaults = unlearn.load("rmu").Settings().model_dump()
    assert study.settings("mild") == {**defaults, "steering": 2.0}
    assert study.settings("rmu") == {**defaults, "retain_weight": 3.0}
    assert (study.method("mild"), study.method("slug")) == ("rmu", "slug")


# What is generated from the code


def test_the_readme_and_the_schema_are_those_of_the_code():
    for path, text in schema.documents().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path} is old: run `python -m mute.study.schema`"


def test_the_schema_takes_every_study_of_the_project_and_no_misspelt_key():
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema.json_schema())
    check = jsonschema.Draft202012Validator(schema.json_schema())
    for path in (ROOT / "config").glob("*.yaml"):
        assert check.is_valid(yaml.safe_load(path.read_text(encoding="utf-8"))), path.name
    for wrong in (
        "models: {llama: {blocs: 3}}",
        "algorithms: {rmu: {stepz: 3}}",
        "algorithms: {mine: {method: rmu, stepz: 3}}",
        "corpora: {world: {source: world, settings: {subject: 3}}}",
        "gates: {recall: 2}",
    ):
        assert not check.is_valid(yaml.safe_load(wrong)), wrong


def test_every_field_is_described():
    def fields(node):
        if isinstance(node, dict):
            yield from node.get("properties", {}).items()
            for value in node.values():
                yield from fields(value)

    for name, about in fields(schema.json_schema()):
        assert about.get("description") or "$ref" in about or "additionalProperties" in about or name == "method", name


def test_what_is_wrong_in_a_part_leaves_the_rest_of_it():
    from mute.config.sections import ModelSection

    checked = validated(ModelSection, {"blocks": "x", "hidden": 64, "foo": 1, "languages": ["en", 3, "es"]})
    assert checked.value == ModelSection(hidden=64, languages=["en", "es"])
    assert checked.broken == {("blocks",), ("foo",), ("languages", 1)}
