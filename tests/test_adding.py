"""The page that says how to add something: its skeletons are whole. tests/workflow/test_additions.py runs them."""

import re
import sys
from importlib import import_module
from pathlib import Path

import matplotlib.figure
import pytest
import yaml

from adding import FILES, PAGE, STUDY
from made_up import ABOUT, THE_PAPER, make_tables
from mute import analyses, attacks, unlearn
from mute.evaluate import measures
from mute.plotting import figures
from mute.study.checks import read_study

ROOT = PAGE.parents[1]
TEXT = PAGE.read_text(encoding="utf-8")
REGISTRIES = {
    "src/mute/unlearn/methods": (unlearn.methods, unlearn._REGISTRY, 4),
    "src/mute/attacks": (attacks, attacks._REGISTRY, 2),
    "src/mute/evaluate/measures": (measures, measures._REGISTRY, 1),
    "src/mute/analyses": (analyses, analyses._REGISTRY, 1),
    "src/mute/plotting/figures": (figures, figures.REGISTRY, 1),
}


@pytest.fixture
def added(tmp_path, monkeypatch):
    """The page's files, each found by its registry as if it lay in its folder."""
    before = set(sys.modules)
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for folder, (package, registry, _) in REGISTRIES.items():
        names = [Path(path).stem for path in FILES if str(Path(path).parent) == folder]
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / folder)])
        monkeypatch.setitem(vars(registry), "_names", tuple(sorted({*registry.names(), *names})))
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.rsplit(".", 1)[-1].startswith("my_"):
            del sys.modules[name]


def test_the_page_has_a_skeleton_of_each_kind():
    folders = [str(Path(path).parent) for path in FILES]
    assert {folder: folders.count(folder) for folder in folders} == {key: of for key, (*_, of) in REGISTRIES.items()}
    assert TEXT.count("```python") == len(FILES), "each block stands under the path of its file"


@pytest.mark.parametrize("path", FILES)
def test_each_is_what_its_registry_takes(path, added):
    compile(FILES[path], path, "exec")
    _, registry, _ = REGISTRIES[str(Path(path).parent)]
    assert registry.load(Path(path).stem)


def test_the_figure_is_drawn(added):
    assert isinstance(figures.load("my_figure").draw(make_tables(THE_PAPER), ABOUT), matplotlib.figure.Figure)


def test_the_study_of_all_can_be_planned(added, tmp_path):
    (tmp_path / "my.yaml").write_text(yaml.safe_dump(STUDY))
    study = read_study(ROOT / "config/config.yaml", ROOT / "config/micro.yaml", tmp_path / "my.yaml")
    named = {*study.algorithms, *study.attacks, *study.analyses}
    assert {Path(path).stem for path in FILES if not path.endswith(("_measure.py", "_figure.py"))} <= named


def test_what_the_page_names_is_there():
    for path in set(re.findall(r"`((?:src|tests|config|workflow)/[\w/.]+)`", TEXT)) - set(FILES):
        assert (ROOT / path).exists(), path
    for module in set(re.findall(r"`python -m (mute\.[\w.]+)`", TEXT)):
        assert import_module(module).main
    test = re.search(r"`(test_a_matched\w+)`", TEXT)
    assert test
    assert f"def {test[1]}(" in (ROOT / "tests/unlearn/test_unlearn_contract.py").read_text(encoding="utf-8")
