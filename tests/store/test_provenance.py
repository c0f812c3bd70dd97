"""Digests of code, on a small package of its own that the module is copied into."""

import importlib.util
import json
import os
import shutil

import pytest

from mute.store import provenance

MODULES = {
    "__init__.py": "",
    "top.py": "import os\nfrom mute.middle import helper\nfrom elsewhere import x\n",
    "middle.py": "def helper():\n    from mute.deep import leaf\n    return leaf\n",
    "lazy.py": "class A:\n    def f(self):\n        if self:\n            import mute.deep.leaf as x\n",
    "deep/__init__.py": "from mute.words import y\n",
    "deep/leaf.py": "from mute import top\n",
    "words.py": "",
    "unused.py": "from mute import top\n",
    "typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mute import words\n",
}


@pytest.fixture
def package(tmp_path):
    """load(): provenance as it is in a package named mute with MODULES, with nothing remembered."""
    folder = tmp_path / "mute"
    for name, text in MODULES.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    (folder / "store").mkdir()
    shutil.copy(provenance.__file__, folder / "store")

    def load():
        spec = importlib.util.spec_from_file_location("copied", folder / "store/provenance.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return folder, load


def test_the_closure_finds_imports_wherever_they_stand(package):
    closure = package[1]().closure
    assert closure("mute.words") == ("mute.words",)
    assert closure("mute.typed") == ("mute", "mute.typed", "mute.words")
    # A function's import, a package and what it imports, and a circle.
    circle = ("mute", "mute.deep", "mute.deep.leaf", "mute.middle", "mute.top", "mute.words")
    assert closure("mute.top") == circle
    assert closure("mute.lazy") == tuple(sorted({*circle, "mute.lazy"}))
    assert closure("mute.words", "mute.unused") == tuple(sorted({*circle, "mute.unused"}))
    with pytest.raises(ValueError, match=r"there is no module mute\.absent"):
        closure("mute.absent")


def test_the_digest_follows_the_text_of_what_is_imported(package):
    folder, load = package
    before = load().code_digest("mute.top")
    assert len(before) == 20
    os.utime(folder / "deep" / "leaf.py", (1, 1))
    (folder / "middle.py").write_text(MODULES["middle.py"])
    (folder / "unused.py").write_text("changed = 1\n")
    assert load().code_digest("mute.top") == before
    for name in ("top.py", "middle.py", "deep/leaf.py", "deep/__init__.py", "words.py"):
        (folder / name).write_text(MODULES[name] + "# a comment\n")
        assert load().code_digest("mute.top") != before, name
        (folder / name).write_text(MODULES[name])
    assert load().code_digest("mute.top") == before
    assert load().code_digest("mute.top", "mute.typed") != before


def test_text_that_moves_between_modules_changes_the_digest(package):
    folder, load = package
    before = load().code_digest("mute.typed")
    (folder / "words.py").write_text("x = 1\n" + MODULES["words.py"])
    after = load().code_digest("mute.typed")
    (folder / "words.py").write_text(MODULES["words.py"])
    (folder / "typed.py").write_text(MODULES["typed.py"] + "x = 1\n")
    assert len({before, after, load().code_digest("mute.typed")}) == 3


def test_a_script_is_its_text_and_all_that_it_imports(package, tmp_path):
    folder, load = package
    script, notebook = tmp_path / "script.py", tmp_path / "pages.py.ipynb"
    script.write_text("from mute import middle\n")
    cells = [
        {"cell_type": "markdown", "source": ["words"]},
        {"cell_type": "code", "source": ["import mute.lazy\n", "1"]},
    ]
    notebook.write_text(json.dumps({"cells": cells}))

    def digests():
        fresh = load()
        return [fresh.script_digest(path) for path in (script, notebook)]

    before = digests()
    for path in (script, notebook, folder / "deep/leaf.py"):
        os.utime(path, (1, 1))
    (folder / "unused.py").write_text("changed = 1\n")
    # It checks and tells: what it says is no part of a result.
    (folder / "names.py").write_text("changed = 1\n")
    assert digests() == before
    (folder / "lazy.py").write_text(MODULES["lazy.py"] + "# a comment\n")
    assert [a == b for a, b in zip(before, digests())] == [True, False]
    (folder / "lazy.py").write_text(MODULES["lazy.py"])
    (folder / "deep/leaf.py").write_text(MODULES["deep/leaf.py"] + "# a comment\n")
    assert [a == b for a, b in zip(before, digests())] == [False, False]
    (folder / "deep/leaf.py").write_text(MODULES["deep/leaf.py"])
    script.write_text(script.read_text() + "# a comment\n")
    assert [a == b for a, b in zip(before, digests())] == [False, True]


def test_what_a_store_is_named_by_holds_all_that_fills_it():
    """Its digests are made from these closures; what walks over the cells and opens their models is among them."""
    opens = {"mute.engine.opening", "mute.models.loading"}
    walks = {"mute.evaluate.shards", *opens}
    assert {"mute.unlearn.cells", "mute.models.patches", *opens} <= {*provenance.closure("mute.unlearn.cells")}
    evaluated, attacked = provenance.closure("mute.evaluate.patched"), provenance.closure("mute.attacks.shard")
    assert {"mute.evaluate.run", *walks} <= {*evaluated}
    assert walks <= {*attacked}
    assert walks <= {*provenance.closure("mute.analyses.shard")}
    assert "mute.attacks.shard" not in evaluated, "a line of an attack would evaluate every patch anew"
    assert "mute.evaluate.run" not in attacked
    # One more attack computes that attack alone: none depends on another's code.
    assert not {"mute.attacks.mix", "mute.attacks.retraining"} & {*attacked}


def test_the_package_itself():
    """What an algorithm imports inside its loss, and what the run asks for inside a function, are part of its code."""
    assert "mute.unlearn.losses" in provenance.closure("mute.unlearn.methods.rmu")
    assert "mute.evaluate.item_table" in provenance.closure("mute.unlearn.run")
    assert "mute.unlearn.methods.rmu" not in provenance.closure("mute.corpus.sources.world")
    assert provenance.code_digest("mute.unlearn.methods.rmu") != provenance.code_digest("mute.unlearn.methods.simnpo")


@pytest.mark.parametrize("name", ["mute.corpus.sources.tofu", "mute.evaluate.harness", "mute.models.loading"])
def test_how_files_and_gpus_are_had_is_no_part_of_a_result(name):
    """A message of the hub's would else make every corpus, and so every model, again."""
    assert not {"mute.jobs.devices", "mute.hub.copies", "mute.hub.errors", "mute.hub.download"} & {
        *provenance.closure(name)
    }


def test_what_is_fetched_depends_on_how():
    assert {"mute.hub.copies", "mute.hub.errors", "mute.hub.repos", "mute.hub.download"} <= {
        *provenance.closure("mute.hub.copies")
    }
