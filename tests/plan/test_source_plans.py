"""Studies on folders of MMLU and TOFU, and on CLDR, are planned as a whole, by the real workflow."""

import pytest
import test_mmlu_source
import test_tofu_source
import yaml
from test_workflow import COMPUTE, copy_project, planned

SOURCES = {
    "cldr": (lambda folder: None, {"limit": 8}),
    "mmlu": (test_mmlu_source.write, {"retain_subjects": test_mmlu_source.RETAIN, "text_subjects": ["sociology"]}),
    "tofu": (test_tofu_source.write, {}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("name", SOURCES)
def test_a_corpus_is_planned_from_corpus_to_tables(project, tmp_path, name):
    write, settings = SOURCES[name]
    folder = write(tmp_path / "data")
    settings = settings if folder is None else {"path": str(folder), **settings}
    overlay = {
        "study": {"corpus": "own", "results": f"results/{name}"},
        "corpora": {"own": {"source": name, "settings": settings}},
        "models": {"llama": {"oracles": ["domain"]}},
        "grids": {"blocks": {"retain": ["source", "all"]}},
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(overlay))
    jobs = planned(project, "--configfile", "config/micro.yaml", str(path))
    assert jobs.keys() >= COMPUTE
    assert (jobs["make_corpus"], jobs["pretrain_model"], jobs["make_tables"]) == (1, 2, 1)
