"""What the project's code cannot do: unpickle, run text or a repository's code, or write a number that JSON has not.

The rules read syntax trees, so that they hold of code that no test runs. Each is shown to find what it forbids.
"""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "scripts", "benchmarks", "workflow")
PICKLERS = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "jsonpickle", "joblib", "marshal", "shelve"}
# Of yaml only these open nothing but plain values.
SAFE_YAML = {"safe_load", "safe_load_all", "safe_dump", "compose", "SafeLoader", "CSafeLoader"}
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
# What opens a model, a tokenizer or a data set of somebody else's; transformers itself asks for consent without it.
OPENERS = {"from_pretrained", "from_config", "load_dataset", "load_dataset_builder", "HFLM", "simple_evaluate"}
# Takes a model that is open already.
NO_WAY_TO_CODE = {"simple_evaluate"}
TRUST = "trust_remote_code"
TRUST_VARIABLE = "HF_DATASETS_TRUST_REMOTE_CODE"
ARTIFACTS = "src/mute/store/artifacts.py"


def name_of(node: ast.expr) -> str:
    """`a.b.c` of a name or an attribute, "" of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_value(call: ast.Call, name: str, value: object) -> bool:
    """Whether a keyword of a call is that very constant."""
    return any(k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is value for k in call.keywords)


def unpickling(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and name_of(node.func).endswith("import_module"):
            modules = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        yield from ((node.lineno, m) for m in modules if PICKLERS & set(str(m).split(".")) or "read_pickle" in str(m))
        if not isinstance(node, ast.Call):
            continue
        called = name_of(node.func)
        module, _, last = called.rpartition(".")
        if last in ("read_pickle", "to_pickle"):
            yield node.lineno, called
        elif called == "torch.load" and not is_value(node, "weights_only", True):
            yield node.lineno, "torch.load without weights_only=True"
        elif module in ("np", "numpy") and last == "load" and not is_value(node, "allow_pickle", False):
            yield node.lineno, "numpy.load without allow_pickle=False"
        elif last in ("save_pretrained",) and is_value(node, "safe_serialization", False):
            yield node.lineno, "weights saved as pickles"


def running_text(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT:
            yield node.lineno, node.func.id
        is_yaml = isinstance(node, ast.Attribute) and name_of(node.value) == "yaml"
        if is_yaml and node.attr not in SAFE_YAML and node.attr.endswith(("load", "load_all", "Loader")):
            yield node.lineno, f"yaml.{node.attr}"


def trusting(tree: ast.AST) -> Iterator[tuple[int, str]]:
    harmless = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            last = name_of(node.func).rpartition(".")[2]
            for keyword in node.keywords:
                if keyword.arg == TRUST and not is_value(node, TRUST, False):
                    yield node.lineno, f"{TRUST}={ast.unparse(keyword.value)}"
            if last in OPENERS - NO_WAY_TO_CODE and not is_value(node, TRUST, False):
                yield node.lineno, f"{last} without {TRUST}=False"
            if last == "pop":  # what takes it out of options
                harmless.update(id(arg) for arg in node.args)
        # Keys for which a file is refused.
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_CODE":
            harmless.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in (TRUST, TRUST_VARIABLE) and id(node) not in harmless:
            yield node.lineno, f"the text {node.value}"
        if isinstance(node, ast.Attribute) and node.attr in (TRUST, TRUST_VARIABLE):
            yield node.lineno, f"the attribute {node.attr}"


def writing_nan(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        called = name_of(node.func) if isinstance(node, ast.Call) else ""
        if called in ("json.dump", "json.dumps", "dump", "dumps") and not is_value(node, "allow_nan", False):
            yield node.lineno, f"{called} without allow_nan=False"
        if isinstance(node, ast.Attribute) and node.attr in ("model_dump_json", "JSONEncoder"):
            yield node.lineno, node.attr


RULES = (unpickling, running_text, trusting, writing_nan)


def sources() -> dict[str, str]:
    """The project's Python: modules, scripts, and the code cells of notebooks; with Snakemake's files as text."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        for path in sorted((ROOT / folder).rglob("*.ipynb")):
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
            found[path.relative_to(ROOT).as_posix()] = "\n".join(code)
    return found


SOURCES = sources()


def test_there_is_something_to_read():
    assert len(SOURCES) > 150
    assert {"src/mute/models/loading.py", "scripts/run_harness.py", "workflow/study.py"} <= SOURCES.keys()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_source_breaks_the_rule(rule):
    found = [
        f"{path}:{line}: {what}"
        for path, text in SOURCES.items()
        for line, what in rule(ast.parse(text))
        # There a digest of parts that are no floats is taken; what it writes is checked by its own tests.
        if not (rule is writing_nan and path == ARTIFACTS)
    ]
    assert found == []


def test_the_files_of_the_workflow_name_nothing_of_it():
    words = (*PICKLERS, TRUST, TRUST_VARIABLE, "eval(", "exec(", "torch.load", "yaml.load")
    for path in (ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")):
        text = path.read_text(encoding="utf-8")
        assert not [word for word in words if word in text], path.name


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (unpickling, "import pickle"),
        (unpickling, "from pickle import loads"),
        (unpickling, "import os, dill"),
        (unpickling, "def late():\n    import joblib.externals"),
        (unpickling, "import importlib\nimportlib.import_module('marshal')"),
        (unpickling, "from pandas import read_pickle"),
        (unpickling, "import pandas as pd\npd.read_pickle('a')"),
        (unpickling, "table.to_pickle('a')"),
        (unpickling, "import torch\ntorch.load('a')"),
        (unpickling, "import torch\ntorch.load('a', weights_only=False)"),
        (unpickling, "import numpy as np\nnp.load('a', allow_pickle=True)"),
        (unpickling, "import numpy\nnumpy.load('a')"),
        (unpickling, "model.save_pretrained('a', safe_serialization=False)"),
        (running_text, "eval('1')"),
        (running_text, "exec(compile('1', 'a', 'exec'))"),
        (running_text, "__import__('pickle')"),
        (running_text, "import yaml\nyaml.load(text, Loader=yaml.Loader)"),
        (running_text, "import yaml\nyaml.load(text)"),
        (running_text, "import yaml\nyaml.unsafe_load(text)"),
        (running_text, "import yaml\nyaml.full_load_all(text)"),
        (trusting, "AutoModel.from_pretrained('a')"),
        (trusting, "AutoModel.from_pretrained('a', trust_remote_code=True)"),
        (trusting, "AutoModel.from_pretrained('a', trust_remote_code=plan['trust'])"),
        (trusting, "AutoConfig.from_pretrained('a', **options)"),
        (trusting, "transformers.AutoModelForCausalLM.from_config(config)"),
        (trusting, "datasets.load_dataset('a', trust_remote_code=1)"),
        (trusting, "HFLM(pretrained='a')"),
        (trusting, "anything(trust_remote_code=True)"),
        (trusting, "options['trust_remote_code'] = True"),
        (trusting, "os.environ['HF_DATASETS_TRUST_REMOTE_CODE'] = '1'"),
        (trusting, "datasets.config.HF_DATASETS_TRUST_REMOTE_CODE = True"),
        (writing_nan, "import json\njson.dumps(value)"),
        (writing_nan, "import json\njson.dump(value, handle, allow_nan=True)"),
        (writing_nan, "from json import dumps\ndumps(value)"),
        (writing_nan, "settings.model_dump_json()"),
    ],
)
def test_a_planted_violation_is_found(rule, code):
    assert list(rule(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "AutoModel.from_pretrained('a', trust_remote_code=False)",
        "import json\njson.dumps(value, allow_nan=False)",
        "import yaml\nyaml.safe_load(text)",
        "import torch\ntorch.load('a', weights_only=True)",
        "import numpy as np\nnp.load('a', allow_pickle=False)",
        "options.pop('trust_remote_code', None)",
        "model.eval()",
    ],
)
def test_what_is_allowed_is_not_found(code):
    assert not [found for rule in RULES for found in rule(ast.parse(code))]


PLANTED = {
    "import pickle\n": "TID251",
    "from pickle import loads\n": "TID251",
    "import joblib\n": "TID251",
    "import torch\n\ntorch.load('a')\n": "TID251",
    "import pandas as pd\n\npd.read_pickle('a')\n": "TID251",
    "import pickle\n\npickle.loads(b'')\n": "S301",
    "import marshal\n\nmarshal.loads(b'')\n": "S302",
    "import yaml\n\nyaml.load('a', Loader=yaml.Loader)\n": "S506",
    "eval('1')\n": "S307",
    "exec('1')\n": "S102",
}


@pytest.mark.skipif(not shutil.which("ruff", path=str(Path(sys.executable).parent)), reason="needs ruff")
@pytest.mark.parametrize("code", PLANTED)
def test_the_linter_refuses_it_too(code):
    """`make lint` and CI run it over all files, tests too."""
    command = [Path(sys.executable).parent / "ruff", "check", "--output-format", "concise", "--no-cache"]
    command += ["--stdin-filename", "src/mute/planted.py", "-"]
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True)
    assert done.returncode == 1
    assert PLANTED[code] in done.stdout


# No setting leads there


def test_no_setting_of_a_study_lets_code_of_others_run():
    """A key for it is unknown wherever it stands, and the schema has none: the refusal is not a default."""
    from mute.config.problems import validated
    from mute.config.sections import Config
    from mute.study.schema import json_schema

    assert TRUST not in json.dumps(json_schema(), allow_nan=False)
    for given in (
        {"models": {"mine": {"pretrained": "a/b", TRUST: True}}},
        {"engine": {TRUST: True}},
        {"exports": {TRUST: True}},
        {TRUST: True},
    ):
        assert [problem for problem in validated(Config, given).problems if "unknown key" in str(problem)], given


def test_a_task_that_asks_for_it_does_not_get_it(monkeypatch):
    """Tasks of the harness may ask for it of the library of data sets; it is taken out on the way."""
    import datasets

    from mute.evaluate import harness

    seen = []
    monkeypatch.setattr(datasets, "load_dataset", lambda path, name, **options: seen.append(options))
    with harness._snapshots({}):
        datasets.load_dataset("org/facts", trust_remote_code=True, split="test")
    assert seen == [{"split": "test"}]
