"""Files that are added: which class of a file is taken, and what is said of one that cannot be used."""

import itertools
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mute.analyses.base import Analysis
from mute.attacks.base import Attack
from mute.evaluate.measures import Measure
from mute.registry import AdditionError, Classes
from mute.study import schema
from mute.unlearn.base import Method

ROOT = Path(__file__).parents[1]
NUMBER = itertools.count()
HEAD = "from mute.{room} import base\nclass Settings(base.Settings):\n    '''Own.'''\n"
DESCENT = (
    HEAD.format(room="unlearn")
    + """
class Own(base.Descent):
    name = "own"
    paper = "a paper"
    family = "divergence"
    Settings = Settings

    def terms(self, task, batches):
        return {}
"""
)
ATTACK = (
    HEAD.format(room="attacks")
    + """
class Own(base.Attack):
    name = "own"
    paper = "a paper"
    access = "questions"
    depends = ("band",)
    Settings = Settings

    def questions(self, rows):
        return rows
"""
)
MEASURE = """
from mute.evaluate.measures.base import Measure
class Own(Measure):
    name = "own"
    paper = "a paper"

    def score(self, board, context):
        pass
"""
ANALYSIS = (
    HEAD.format(room="analyses")
    + """
class Own(base.Analysis):
    name = "own"
    paper = "a paper"
    Settings = Settings

    def run(self, subject, asked, first):
        pass
"""
)
SOUND = {Method: DESCENT, Attack: ATTACK, Measure: MEASURE, Analysis: ANALYSIS}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(contract, text): the class of the file own.py of a new package."""
    monkeypatch.syspath_prepend(tmp_path)

    def made(contract, text):
        package = f"additions{next(NUMBER)}"
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "own.py").write_text(text)
        registry = Classes(package, [str(tmp_path / package)], contract, "addition")
        found = registry.load("own")
        assert registry.load("own") is found
        return found

    return made


@pytest.mark.parametrize("contract", SOUND)
def test_a_file_that_is_whole_is_taken(load, contract):
    assert load(contract, SOUND[contract]).__name__ == "Own"


def test_the_class_with_the_files_name_is_taken(load):
    """And neither a helper above it, nor the same class under a second name."""
    helper = ATTACK.replace("class Own(", "class Helper(").replace('    name = "own"\n', "")
    both = helper + "\nclass Own(Helper):\n    name = 'own'\n\nAlias = Own\n"
    assert load(Attack, both).__name__ == "Own"


def test_a_helper_whose_name_the_other_inherits_makes_several(load):
    with pytest.raises(AdditionError, match=r"several subclasses of Attack .* 'own' .*: Own, Further; one may"):
        load(Attack, ATTACK + "\nclass Further(Own):\n    pass\n")


WRONG = {
    "no class": (Method, "import math\n", "defines no subclass of Method; one must have the name 'own' of the file"),
    "another name": (
        Method,
        DESCENT.replace('"own"', '"won"'),
        "Own.name is 'won', not 'own' as the file is called",
    ),
    "no name": (Measure, MEASURE.replace('    name = "own"\n', ""), "Own.name is missing, not 'own'"),
    "no paper": (Measure, MEASURE.replace('    paper = "a paper"\n', ""), "Own.paper is missing: it must be a text"),
    "empty paper": (Analysis, ANALYSIS.replace('"a paper"', '" "'), "Own.paper: must be a text that is not empty"),
    "no family": (
        Method,
        DESCENT.replace('    family = "divergence"\n', ""),
        "Own.family is missing: it must be one of divergence, distillation",
    ),
    "family": (
        Method,
        DESCENT.replace('"divergence"', '"divergance"'),
        "Own.family: unknown value 'divergance'; allowed: control, distillation, divergence, editing, guard, "
        "preference, rejection, representation. Did you mean 'divergence'?",
    ),
    "a value that has no hash": (
        Method,
        DESCENT.replace('"divergence"', "[]"),
        "Own.family: unknown value []; ",
    ),
    "no access": (
        Attack,
        ATTACK.replace('    access = "questions"\n', ""),
        "Own.access is missing: it must be one of weights, states, questions, replies",
    ),
    "access": (
        Attack,
        ATTACK.replace('access = "questions"', 'access = "question"'),
        "Own.access: unknown value 'question'; allowed: questions, replies, states, weights. Did you mean 'questions'?",
    ),
    "unit": (
        Analysis,
        ANALYSIS.replace('    paper = "a paper"', '    paper = "a paper"\n    unit = "cells"'),
        "Own.unit: unknown value 'cells'; allowed: cell, model. Did you mean 'cell'?",
    ),
    "better": (
        Measure,
        MEASURE.replace('    paper = "a paper"', '    paper = "a paper"\n    better = "low"'),
        "Own.better: unknown value 'low'; allowed: higher, lower, none. Did you mean 'lower'?",
    ),
    "depends": (
        Attack,
        ATTACK.replace('("band",)', '("bands",)'),
        "Own.depends: unknown key of a cell 'bands'; allowed: algorithm, band, forget_set,",
    ),
    "depends, a text": (
        Attack,
        ATTACK.replace('("band",)', '("band")'),
        "Own.depends: must be a tuple of texts, such as ('one',), not 'band'",
    ),
    "bands": (
        Method,
        DESCENT.replace("    Settings = Settings", '    Settings = Settings\n    bands = ("ful",)'),
        "Own.bands: unknown band 'ful'; allowed: a block such as 3, all, blocks such as 2-3, full. Did you mean 'ful",
    ),
    "settings": (
        Attack,
        ATTACK.replace("class Settings(base.Settings)", "class Settings"),
        "Own.Settings: must be a subclass of mute.attacks.base.Settings, not <class",
    ),
    "settings of another kind": (
        Method,
        DESCENT.replace("class Settings(base.Settings)", "import pydantic\nclass Settings(pydantic.BaseModel)"),
        "Own.Settings: must be a subclass of mute.unlearn.base.Told",
    ),
    "strength": (
        Method,
        "from typing import ClassVar\n" + DESCENT.replace("'''Own.'''", "strength: ClassVar[str] = 'step'"),
        "Own.Settings.strength: unknown setting 'step'; allowed: batch_size, learning_rate, optimizer, "
        "order, steps, strengths. Did you mean 'steps'?",
    ),
    "abstract": (
        Method,
        DESCENT.replace("def terms", "def term"),
        "Own.terms is missing: every addition of its sort must define it (line 11 has 'term')",
    ),
    "an attribute's name": (
        Method,
        DESCENT.replace("    family =", "    famly ="),
        "representation, editing, guard, control (line 8 has 'famly')",
    ),
    "settings that nothing reads": (
        Method,
        DESCENT.replace("    Settings = Settings\n", ""),
        "Own.Settings: is that of mute.unlearn.base, and nothing reads 'Settings' of this file: "
        "add `Settings = Settings` to the class (line 5)",
    ),
    "abstract, two": (
        Method,
        DESCENT.replace("base.Descent", "base.Guard"),
        "Own.fit is missing: every addition of its sort must define it (line 5)\n  - Own.treatment is missing",
    ),
    "no sort of method": (
        Method,
        DESCENT.replace("base.Descent", "base.Method"),
        "Own.__bases__: must be a Descent, an Edit, a Guard or a Control",
    ),
    "nothing attacked": (
        Attack,
        ATTACK.replace("def questions", "def question"),
        "Own.questions: nothing is attacked: it must override one of weights, mixed, questions, embeddings, states, "
        "logits, reply. Did you mean 'questions' by 'question'?",
    ),
    "syntax": (Method, "class Own(:\n", "it cannot be imported, line 1: SyntaxError: invalid syntax"),
    "import": (
        Method,
        "\nimport mute.no_such_room\n",
        "it cannot be imported, line 2: ModuleNotFoundError: No module named 'mute.no_such_room'",
    ),
    "import, anything": (Attack, "x = 1\ny = x / 0\n", "it cannot be imported, line 2: ZeroDivisionError: division by"),
    "all at once": (
        Method,
        DESCENT.replace('    paper = "a paper"\n', "").replace('"divergence"', '"divergance"').replace("terms", "term"),
        "Own.paper is missing: it must be a text that is not empty (line 5)\n"
        "  - Own.family: unknown value 'divergance'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(load, tmp_path, case):
    contract, text, expected = WRONG[case]
    with pytest.raises(AdditionError) as error:
        load(contract, text)
    said = str(error.value)
    (file,) = tmp_path.glob("*/own.py")
    assert said.startswith(f"the addition in {file} cannot be used:\n  - ")
    assert expected in said


def test_a_file_that_is_mended_is_taken(load, tmp_path, monkeypatch):
    package = tmp_path / "mended"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "own.py").write_text("import mute.no_such_room\n")
    registry = Classes("mended", [str(package)], Method, "addition")
    with pytest.raises(AdditionError):
        registry.load("own")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (package / "own.py").write_text(DESCENT)
    assert registry.load("own").__name__ == "Own"


@pytest.fixture
def wrong_method(tmp_path):
    """Run a module where one more folder of methods holds a wrong one."""
    (tmp_path / "own.py").write_text(DESCENT.replace('"divergence"', '"divergance"'))
    add = (
        "import sys, runpy\nfrom mute import unlearn\n"
        "for folders in (unlearn.methods.__path__, unlearn._REGISTRY._folders):\n"
        f"    folders.append({str(tmp_path)!r})\n"
        "sys.argv = sys.argv[1:]\nrunpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )

    def run(*arguments):
        command = [sys.executable, "-c", add, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    return run


def told(tmp_path) -> str:
    return f"the method in {tmp_path / 'own.py'} cannot be used:\n  - Own.family: unknown value 'divergance'; "


@pytest.mark.parametrize(
    "study", ["", "algorithms: {mine: {method: own}}", "study: {grids: [mine]}\ngrids: {mine: {algorithms: [own]}}"]
)
def test_commands_say_it_without_a_traceback(wrong_method, tmp_path, study):
    """`list` reads everything; to plan reads what a configuration defines or names."""
    arguments = ["mute", "list"]
    if study:
        (tmp_path / "study.yaml").write_text(study)
        arguments = ["mute", "plan", "config/micro.yaml", str(tmp_path / "study.yaml")]
    done = wrong_method(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(told(tmp_path))
    assert "Traceback" not in done.stderr + done.stdout


def test_schema_says_it_and_writes_nothing(tmp_path, monkeypatch, capsys):
    def load(name):
        raise AdditionError("method", "own.py", ["Own.family is missing"])

    monkeypatch.setattr(schema, "ROOT", tmp_path)
    monkeypatch.setitem(
        schema.REGISTRIES, "algorithms", ("algorithm", SimpleNamespace(names=lambda: ["own"], load=load))
    )
    assert schema.main() == 1
    assert capsys.readouterr().err == "the method in own.py cannot be used:\n  - Own.family is missing\n"
    assert not list(tmp_path.iterdir())


def test_to_load_all_imports_no_torch():
    code = (
        "import sys\nfrom mute import unlearn, attacks, analyses\nfrom mute.evaluate import measures\n"
        "for room in (unlearn, attacks, analyses, measures):\n"
        "    assert [room.load(name).name for name in room.names()] == list(room.names())\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
