"""A stranger's additions: one new file each, found by every registry, and each computed alone when it is added."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from test_workflow import ROOT, call, copy_project, snakemake, stamps

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="copies what git knows"),
]

METHODS = "src/mute/unlearn/methods/"
FILES = {
    METHODS + "stranger_descent.py": '''"""A stranger's descent: the forget answers' log-probability, as it is."""

from mute.unlearn import base


class Settings(base.Settings):
    """Stranger's descent."""


class StrangerDescent(base.Descent):
    name = "stranger_descent"
    paper = "a stranger"
    family = "divergence"
    Settings = Settings

    def cost(self):
        return base.Cost(sides=1)

    def terms(self, task, batches):
        logprob, tokens = task.answer_logprobs(batches["forget"])
        return {"forget": logprob.sum() / tokens.sum()}
''',
    METHODS + "stranger_edit.py": '''"""A stranger's edit: the weights of the band, the other way round."""

from typing import ClassVar

from pydantic import Field

from mute.unlearn import base


class Settings(base.Settings):
    """Stranger's edit."""

    strength: ClassVar[str] = "step_size"
    step_size: float = Field(0.1, gt=0, description="How far.")
    strengths: list[float] = Field([], description="Not used.")


class StrangerEdit(base.Edit):
    name = "stranger_edit"
    paper = "a stranger"
    family = "editing"
    Settings = Settings

    def change(self, task):
        names = self.parameters(task.model, task.band)
        return {name: -task.model.get_parameter(name).detach() for name in names}
''',
    METHODS + "stranger_inside.py": '''"""A stranger's guard inside a block: states of even tokens are turned."""

from pydantic import Field

from mute.models.treatment import Treatment
from mute.unlearn import base


class Settings(base.Settings):
    """Stranger's guard inside."""

    strengths: list[float] = Field([], description="Not used.")


class Turned(Treatment):
    name = "stranger_inside"

    def __init__(self, sign):
        self.sign, self.start = sign, 1

    def states(self, block, hidden, ids):
        return hidden.where((ids % 2 == 1)[..., None], hidden * self.sign.to(hidden))


class StrangerInside(base.Guard):
    name = "stranger_inside"
    paper = "a stranger"
    bands = ("full",)
    Settings = Settings

    def fit(self, task):
        import torch

        return {"sign": -torch.ones(task.model.config.hidden_size)}

    def treatment(self, fitted):
        return Turned(fitted["sign"])
''',
    METHODS + "stranger_outside.py": '''"""A stranger's guard behind the model: some tokens are never said."""

from pydantic import Field

from mute.models.treatment import Treatment
from mute.unlearn import base


class Settings(base.Settings):
    """Stranger's guard outside."""

    strengths: list[float] = Field([], description="Not used.")


class Silenced(Treatment):
    name = "stranger_outside"

    def __init__(self, bias):
        self.bias = bias

    def logits(self, logits, where):
        return logits + self.bias.to(logits)


class StrangerOutside(base.Guard):
    name = "stranger_outside"
    paper = "a stranger"
    bands = ("full",)
    Settings = Settings

    def fit(self, task):
        import torch

        return {"bias": torch.linspace(-3, 3, task.model.config.vocab_size)}

    def treatment(self, fitted):
        return Silenced(fitted["bias"])
''',
    "src/mute/attacks/stranger_prompt.py": '''"""A stranger's prompt: a word before each question."""

from pydantic import Field

from mute.attacks import base


class Settings(base.Settings):
    """Stranger's prompt."""

    word: str = Field("Now: ", description="What is said first.")


class StrangerPrompt(base.Attack):
    name = "stranger_prompt"
    paper = "a stranger"
    access = "questions"
    metric = "stranger_R"
    Settings = Settings

    def questions(self, rows):
        return rows.assign(prefix=self.settings.word + rows["prefix"])
''',
    "src/mute/attacks/stranger_weights.py": '''"""A stranger's attack on weights: all of them a little smaller."""

from mute.attacks import base


class Settings(base.Settings):
    """Stranger's attack on weights."""


class StrangerWeights(base.Attack):
    name = "stranger_weights"
    paper = "a stranger"
    access = "weights"
    Settings = Settings

    def weights(self, model):
        from mute.models import patches

        names = [name for name, _ in model.named_parameters()]
        return patches.applied(model, {n: t * 0.9 for n, t in patches.take(model, names).items()})
''',
    "src/mute/evaluate/measures/stranger_measure.py": '''"""A stranger's measure: forget facts known."""

from mute.evaluate.measures.base import Measure


class StrangerMeasure(Measure):
    name = "stranger_measure"
    paper = "a stranger"

    def score(self, board, context):
        block = board.panel.facts_block(board.panel.selected("forget"), form=context.corpus.about["headline_form"])
        board.add("stranger_measure", block.mean(context.tables["cell"]["option"].to_numpy(float)), facts="all")
''',
    "src/mute/analyses/stranger_norms.py": '''"""A stranger's analysis: how large each block's parameters are."""

from mute.analyses import base


class Settings(base.Settings):
    """Stranger's analysis."""


class StrangerNorms(base.Analysis):
    name = "stranger_norms"
    paper = "a stranger"
    Settings = Settings

    def run(self, subject, asked, first):
        import pandas as pd

        from mute.models import anatomy

        blocks = anatomy.blocks(subject.model)
        values = [float(sum(p.square().sum() for p in blocks[b].parameters())) for b in range(first, len(blocks))]
        own = [["stranger_norm", first + i, "", value, 1] for i, value in enumerate(values)]
        return pd.DataFrame(own, columns=list(base.COLUMNS))
''',
    "src/mute/plotting/figures/stranger_figure.py": '''"""A stranger's figure: how many cases there are."""

from mute.findings.results import Results
from mute.plotting import style

TITLE = "A stranger's figure"
CAPTION = "How many cases there are."


def draw(tables, about):
    figure = style.new_figure(3.0, 2.0)
    figure.add_subplot().bar(["cases"], [len(Results.of(tables, about).cases)])
    return figure
''',
}
STUDY = {
    "study": {"grids": ["stranger", "guards"], "analyses": ["lens", "stranger_norms"]},
    "algorithms": {"stranger_descent": {"steps": 2, "batch_size": 4}},
    "grids": {
        "stranger": {
            "algorithms": ["stranger_descent", "stranger_edit"],
            "sources": [["en", "es"]],
            "protocols": ["paper"],
            "attacks": ["stranger_prompt", "stranger_weights"],
        },
        "guards": {
            "algorithms": ["stranger_inside", "stranger_outside"],
            "bands": ["full"],
            "sources": [["en", "es"]],
            "protocols": ["paper"],
            "attacks": ["stranger_prompt", "stranger_weights"],
        },
    },
}
STRANGERS = {Path(path).stem for path in FILES if path.startswith(METHODS)}


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
    for name in (*STRANGERS, "stranger_prompt", "stranger_weights", "stranger_norms"):
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
    assert set(cells["algorithm"]) == STRANGERS
    for table in (scores, attacked):
        assert {"stranger_prompt", "stranger_weights"} <= set(table["attack"])
    assert "stranger_R" in set(scores["metric"])
    assert "stranger_measure" in set(scores["metric"])
    assert "stranger_norm" in set(profiles["measure"])
    assert list(results.rglob("stranger_figure*.svg"))


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
    more["stranger"] = {**more["stranger"], "algorithms": [*more["stranger"]["algorithms"], "gradient_ascent"]}
    run(finished, {**STUDY, "grids": more})
    last = {store: entries(finished, store) for store in stores}
    assert all(after[store].items() <= last[store].items() for store in stores)
    new = {name.split("/")[0] for name in last["cells"].keys() - after["cells"].keys()}
    made = [json.loads((finished / "results/micro/cells" / n / "record.json").read_text()) for n in new]
    assert made
    assert {record["plan"]["method"] for record in made} == {"gradient_ascent"}
