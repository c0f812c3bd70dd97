"""The additions of docs/adding.md: one new file each, found by every registry, and each computed alone when added."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from test_workflow import ROOT, call, copy_project, snakemake, stamps

from adding import FILES, STUDY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="copies what git knows"),
]

METHODS = {Path(path).stem for path in FILES if "/methods/" in path}


def configure(project: Path, study: dict) -> list[str]:
    (project / "config/stranger.yaml").write_text(yaml.safe_dump(study))
    return ["--configfile", "config/micro.yaml", "config/stranger.yaml"]


def run(project: Path, study: dict, *arguments: str) -> str:
    done = snakemake(project, "--cores", "2", *configure(project, study), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A copy of the project with a stranger's files, in which a study of all of them has run."""
    project = copy_project(tmp_path_factory.mktemp("stranger"))
    for path, text in FILES.items():
        (project / path).write_text(text)
    for module in ("mute.study.schema", "mute.plotting.captions"):
        done = call(project, "python", "-m", module)
        assert done.returncode == 0, done.stdout + done.stderr
    run(project, STUDY)
    return project


def test_schema_and_documentation_name_each(finished):
    schema = (finished / "workflow/schemas/config.schema.json").read_text()
    page = (finished / "config/README.md").read_text()
    for name in (*METHODS, "my_prompt", "my_weights", "my_norms"):
        assert name in schema, name
        assert name in page, name


def test_registries_give_each_to_the_contract_tests(finished):
    code = (
        "import json\nfrom mute import unlearn, attacks, analyses\nfrom mute.evaluate import measures\n"
        "from mute.plotting import figures\n"
        "rooms = (unlearn, attacks, analyses, measures, figures)\n"
        "print(json.dumps([name for room in rooms for name in room.names()]))"
    )
    done = call(finished, "python", "-c", code)
    assert {Path(path).stem for path in FILES} <= set(json.loads(done.stdout)), done.stderr


def test_each_stands_in_the_tables_and_is_drawn(finished):
    results = finished / "results/micro"
    cells, scores, attacked, profiles = (
        pd.read_csv(results / f"tables/{name}.csv", low_memory=False)
        for name in ("cells", "scores", "attacks", "profiles")
    )
    assert set(cells["algorithm"]) == METHODS
    for table in (scores, attacked):
        assert {"my_prompt", "my_weights"} <= set(table["attack"])
    assert "my_R" in set(scores["metric"])
    assert "my_measure" in set(scores["metric"])
    assert "my_norm" in set(profiles["measure"])
    assert list(results.rglob("my_figure*.svg"))


def entries(project: Path, store: str) -> dict[str, int]:
    return stamps(project / "results/micro" / store)


def test_one_more_attack_and_one_more_method_compute_themselves_alone(finished):
    stores = ("cells", "evaluations/cells", "analyses", "attacks")
    before = {store: entries(finished, store) for store in stores}
    grids = STUDY["grids"]
    more = {name: {**grid, "attacks": [*grid["attacks"], "quantize"]} for name, grid in grids.items()}
    run(finished, {**STUDY, "grids": more})
    after = {store: entries(finished, store) for store in stores}
    assert all(after[store] == before[store] for store in stores[:-1]), "nothing else is computed"
    assert before["attacks"].items() <= after["attacks"].items()
    records = {name.split("/")[0] for name in after["attacks"].keys() - before["attacks"].keys()}
    assert records
    folder = finished / "results/micro/attacks"
    assert {json.loads((folder / n / "record.json").read_text())["about"]["attack"] for n in records} == {"quantize"}

    # One more method: its cells alone.
    more["edits"] = {**more["edits"], "algorithms": [*more["edits"]["algorithms"], "gradient_ascent"]}
    run(finished, {**STUDY, "grids": more})
    last = {store: entries(finished, store) for store in stores}
    assert all(after[store].items() <= last[store].items() for store in stores)
    new = {name.split("/")[0] for name in last["cells"].keys() - after["cells"].keys()}
    made = [json.loads((finished / "results/micro/cells" / n / "record.json").read_text()) for n in new]
    assert made
    assert {record["plan"]["method"] for record in made} == {"gradient_ascent"}


def test_what_many_attacked_cells_take_is_measured(finished, tmp_path):
    small = ["--cells", "24", "--facts", "20", "--json", str(tmp_path / "found.json")]
    done = call(finished, "python", "benchmarks/attacked.py", "results/micro", *small)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["store"]["entries"] >= 24 * found["attacks"] > 0
    assert found["tables"]["rows of scores"] > 24 * found["attacks"]


def test_a_method_in_a_file_of_ones_own_is_computed_again_when_it_changes(finished, tmp_path):
    """It needs no place in the package; a change of its text computes its cells alone, and only if it may run."""
    file, grids = tmp_path / "my_descent.py", STUDY["grids"]
    file.write_text(FILES["src/mute/unlearn/methods/my_descent.py"])
    grid = {
        **next(iter(grids.values())),
        "algorithms": ["mine", "gradient_ascent"],
        "bands": [0],
        "protocols": ["paper"],
    }
    study = {
        **STUDY,
        "study": {**STUDY["study"], "grids": ["own"], "results": "results/own", "name": "own"},
        "algorithms": {"mine": {"method": str(file), "steps": 2}, "gradient_ascent": {"steps": 2}},
        "grids": {"own": grid},
    }
    refused = snakemake(finished, "--cores", "2", *configure(finished, study))
    assert refused.returncode != 0
    assert "OWN_CODE=1" in refused.stdout + refused.stderr

    def made():
        """Cells by their algorithm, with the digests under which they are stored."""
        done = call(
            finished,
            "snakemake",
            "--cores",
            "2",
            *configure(finished, study),
            "--",
            "results/own/tables/cells.csv",
            MUTE_OWN_CODE="1",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        cells = pd.read_csv(finished / "results/own/tables/cells.csv")
        assert set(cells["status"]) <= {"ok", "nothing_to_forget", "no_edit"}
        return {name: set(own["digest"]) for name, own in cells.groupby("algorithm")}

    before = made()
    file.write_text(file.read_text().replace("logprob.sum()", "2 * logprob.sum()"))
    after = made()
    assert before["gradient_ascent"] == after["gradient_ascent"]
    assert before["mine"] & after["mine"] == set()
