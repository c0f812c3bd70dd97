"""The settings that tables are named after."""

from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from mute.config.sections import overlay, read_files
from mute.plan import origin
from mute.store import pointers, seals
from mute.study.cells import Study
from mute.study.checks import checked_study

ROOT = Path(__file__).parents[2]
BASE = read_files(ROOT / "config/config.yaml", ROOT / "config/micro.yaml").values


def study(**changes) -> Study:
    return checked_study(overlay(BASE, changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"study": {"name": "other", "results": "results/other", "primary": ["K source"], "shard_by": ["band"]}},
        {"engine": {"cache_gb": 1}},
        {"models": {"qwen2": {"steps": 3}}, "grids": {"whole": {"seeds": [3]}}},  # not of the study
        {"corpora": {"world": {"settings": {"forget_domain": "chemistry"}}}},  # the default
    ],
)
def test_what_changes_no_number_changes_no_name(changes):
    assert origin.table(study(**changes)) == origin.table(study())


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"study": {"seed": 2}}, "study.seed"),
        ({"study": {"training_seeds": [0, 1]}}, "study.training_seeds"),
        ({"study": {"grids": ["blocks"]}}, "grids.ascent.bands"),
        ({"models": {"llama": {"steps": 5}}}, "models.llama.steps"),
        ({"gates": {"recall": 0.1}}, "gates.recall"),
        ({"corpora": {"world": {"settings": {"probe_lines": 9}}}}, "corpora.world.settings.probe_lines"),
        ({"algorithms": {"rmu": {"steps": 3}}}, "algorithms.rmu.steps"),
        ({"engine": {"dtype": "bfloat16"}}, "engine.dtype"),
    ],
)
def test_every_setting_of_a_number_changes_the_name(changes, key):
    before, after = origin.made_with(study()), origin.made_with(study(**changes))
    assert before.get(key) != after.get(key)
    assert origin.table(study()) != origin.table(study(**changes))


def test_where_files_lie_on_a_machine_is_not_told_and_changes_no_name(tmp_path):
    """The settings stand beside the tables, which are shared; on another machine the same study finds them."""
    found = []
    for place in ("one", "two"):
        (tmp_path / place / "facts").mkdir(parents=True)
        settings = {"path": str(tmp_path / place / "facts"), "forget_domain": "metals", "teaching_languages": ["en"]}
        own = {"study": {"corpus": "own"}, "corpora": {"own": {"source": "files", "settings": settings}}}
        found.append(study(**own))
    assert str(tmp_path) not in str(origin.made_with(found[0]))
    assert origin.made_with(found[0])["corpora.own.settings.path"] == '"facts"'
    assert origin.table(found[0]) == origin.table(found[1])


def test_code_that_computes_changes_the_name_and_code_that_draws_does_not():
    from mute.store.provenance import closure

    modules = closure(*origin.COMPUTES)
    assert "mute.evaluate.metrics" in modules
    assert not [name for name in modules if name.startswith(("mute.plotting", "mute.paper"))]
    # Whatever the rules up to the tables run.
    files = [ROOT / f"workflow/rules/{name}.smk" for name in ("models", "pretrained", "layers", "attack", "evaluate")]
    text = "".join(path.read_text() for path in files)
    named = {word.split('"')[0] for word in text.split('"mute.')[1:]}
    assert {f"mute.{name}" for name in named} <= set(modules)


def test_results_without_a_record_get_an_input_that_is_newer(tmp_path, monkeypatch):
    """As Snakemake names its records; the input's content is always the same."""
    monkeypatch.chdir(tmp_path)
    made = "results/corpus/about.json"
    assert not origin.is_untold(made), "what is not there is made anyway"
    Path(made).parent.mkdir(parents=True)
    Path(made).touch()
    assert origin.is_untold(made)
    origin.distrust()
    assert origin.KNOWN.stat().st_mtime_ns >= Path(made).stat().st_mtime_ns
    first = origin.KNOWN.read_bytes()
    record = Path(".snakemake/metadata/cmVzdWx0cy9jb3JwdXMvYWJvdXQuanNvbg==")
    record.parent.mkdir()
    record.touch()
    assert origin.is_untold(made), "a record that was cut off tells nothing"
    record.write_text("{}")
    assert not origin.is_untold(made)
    origin.distrust()
    assert origin.KNOWN.read_bytes() == first


def test_files_whose_record_was_cut_off_are_named_and_the_record_goes(tmp_path, monkeypatch):
    """A name that is too long for one file is cut into folders, as Snakemake does it."""
    monkeypatch.chdir(tmp_path)
    assert origin.half_told() == []
    made = [Path("results/whole.csv"), Path("results/cut.csv"), Path("results") / ("long" * 60) / "cut.csv"]
    for path in (*made, Path("results/gone.csv")):
        name = urlsafe_b64encode(str(path).encode()).decode()
        parts = [name[i : i + 254] for i in range(0, len(name), 254)]
        record = Path(".snakemake/metadata", *(f"@{part}" for part in parts[:-1]), parts[-1])
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text('{"rule": "one"}' if path == made[0] else '{"rule": "o')
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert origin.half_told() == sorted(made[1:])
    assert origin.half_told() == []
    assert [path for path in Path(".snakemake").rglob("*") if path.is_file()] != []


def test_pulled_tables_are_read_and_a_studys_own_may_differ(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tables = Path("results/tables")
    tables.mkdir(parents=True)
    (tables / "cells.csv").write_text("a\n")
    pointer = "{path: results/tables, hash: md5, md5: 0cc1.dir}"
    Path("dvc.lock").write_text(f"stages: {{study: {{outs: [{pointer}]}}}}\n")
    with pytest.raises(ValueError, match=r"results that are not what dvc.lock says:\n  - results/tables: is not"):
        origin.check_pulled("results")
    origin.check_pulled("results/smoke")
    seals.write(Path("results"), [tables / "cells.csv"], {})
    origin.check_pulled("results")
    assert pointers.faults(pointers.published()[0]), "`make verify` tells it nevertheless"
