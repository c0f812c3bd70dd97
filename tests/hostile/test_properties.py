"""Whatever is given, a configuration and a corpus are read, or refused in our own words: no traceback, no hang.

The examples are the same in every run; `pytest -m slow` draws many more.
"""

import copy
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import test_files_source as source
import yaml
from cases import ROOT, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from mute.config.problems import ConfigError
from mute.config.sections import overlay, read_files
from mute.corpus.schema import Corpus
from mute.corpus.sources import files
from mute.models import directory
from mute.plan.rules import Plans
from mute.study.checks import checked_study

SMALL = read_files(ROOT / "config" / "config.yaml", ROOT / "config" / "micro.yaml").values
OWN = yaml.safe_load("""
study: {corpus: own}
corpora: {own: {source: files, settings: {path: data, forget_domain: a}}}
exports: {cells: [{algorithm: rmu, band: 0}], tasks: [arc_easy]}
layers: {alpha: {llama: 2.0}, choice: {rmu: stated}, stated: {llama: 1}}
publishing: {to: [], notebooks: tables}
""")
BASES = (SMALL, overlay(SMALL, OWN), {})


_ODD = ["", " ", ".", "..", "../x", "a/b", "~", "~x/y", "no", "NaN", "1e-5", "-0", "auto", "each", "0-1-0", "a\nb"]
_ODD += ["en", "еn", "en-US", "llama", "llаma", "rmu", "world", "files", "domain", "x" * 300, "\0"]
odd_text = st.sampled_from(_ODD) | st.text(max_size=8)
odd_value = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from([0, 1, -1, 2, 511, 10**6, 10**18, 10**400, 0.5, -0.5, 1e300, float("nan"), float("inf")]),
        odd_text,
        st.dates(),
        st.binary(max_size=3),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text | st.integers(0, 3), inner, max_size=3),
    max_leaves=4,
)


def paths(value: Any, path: tuple = ()) -> Iterator[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from paths(each, (*path, key))


@st.composite
def mutated(draw) -> Any:
    """A sound configuration in which one to three things were dropped, renamed, replaced, wrapped or put elsewhere."""
    config = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        known = list(paths(config))
        path = draw(st.sampled_from(known)) if known else ("study",)
        parent = config
        for key in path[:-1]:
            parent = parent[key]
        key, what = path[-1], draw(st.sampled_from(["drop", "rename", "replace", "replace", "wrap", "copy"]))
        if what == "drop" and known:
            del parent[key]
        elif what == "rename" and isinstance(parent, dict) and key in parent:
            parent[draw(odd_text | st.integers() | st.booleans() | st.none())] = parent.pop(key)
        elif what == "wrap" and known:
            parent[key] = draw(st.sampled_from([[parent[key]], {"a": parent[key]}, [parent[key], parent[key]]]))
        elif what == "copy" and known:
            other = config
            for part in draw(st.sampled_from(known)):
                other = other[part] if isinstance(other, dict) and part in other else other
            parent[key] = copy.deepcopy(other)
        else:
            parent[key] = draw(odd_value)
    return config


def told(config: Any, found: Any = None) -> bool:
    """Whether a configuration is a study; if not, that it was told in lines that a person can read."""
    error = refusal(checked_study, config, found)
    if error is not None:
        assert isinstance(error, ConfigError), repr(error)
        assert error.problems
        for line in error.problems:
            assert line.strip()
            assert "\n" not in line
            assert len(line) < 2000
        return False
    study = checked_study(config, found)
    # What the workflow asks of every study when it plans it.
    assert study.shards
    assert Plans(study).figures()
    assert study.of_record()
    return True


@settings(max_examples=250)
@given(mutated())
def test_a_changed_configuration_is_a_study_or_told(config):
    told(config)


@pytest.mark.slow
@settings(max_examples=6000)
@given(mutated())
def test_many_changed_configurations_are_studies_or_told(config):
    told(config)


_WORDS = """
    study models llama seed name grids : : : , - ? { } [ ] &a *a << !!int !!set !!timestamp !!binary ' " # | > % @ no ~
    1e-5 2024-13-45 0x 1_0 .nan --- ... é \u200b \ufeff
"""
words = st.sampled_from([*_WORDS.split(), " ", " ", "\n", "\n  ", "\t", "\r", "\0"])
yaml_text = st.lists(words | st.text(max_size=3), max_size=30)


def read(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "my.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        found = read_files(path)
        assert all(str(problem) for problem in found.problems)
        told(found.values, found)


@settings(max_examples=300)
@given(yaml_text.map("".join))
def test_any_text_as_a_file_is_read_or_told(text):
    read(text)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(yaml_text.map("".join))
def test_much_text_as_files_is_read_or_told(text):
    read(text)


def renderings() -> st.SearchStrategy[dict[str, list[dict]]]:
    """Rows of two languages as files may hold them: mostly sound, with odd fields here and there."""
    fields = ("id", "prompt", "answer", "candidates", "domain", "subject")
    text = st.text(st.characters(), max_size=6)
    value = text | text.map("{}<mask>".format) | st.none() | st.booleans() | st.floats() | st.lists(text, max_size=3)
    odd = st.dictionaries(st.sampled_from(fields), value, max_size=1)
    edits = st.lists(st.tuples(st.sampled_from(["en", "es"]), st.integers(0, 11), odd | st.just({})), max_size=3)

    def rows(chosen: list[tuple[str, int, dict]]) -> dict[str, list[dict]]:
        made = {code: source.rows(code) for code in ("en", "es")}
        for code, place, columns in chosen:
            made[code][place] |= columns
        return made

    return edits.map(rows)


def rendered(made: dict[str, list[dict]]) -> bool:
    """Whether rows are a corpus, which then is what the schema says; if not, that they were told."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for code, rows in made.items():
            (folder / f"{code}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        error = refusal(files.build, source.settings(folder), list(made), 1)
        if error is not None:
            assert type(error) is ValueError, repr(error)
            assert "the corpus files cannot be used" in str(error)
            return False
        corpus = files.build(source.settings(folder), list(made), 1)
        corpus.save(folder / "corpus")
        loaded = Corpus.load(folder / "corpus")
        source.same(loaded.facts, corpus.facts, check_dtype=False)
        assert loaded.texts["prefix"].tolist() == corpus.texts["prefix"].tolist()
        assert loaded.texts["answer"].tolist() == corpus.texts["answer"].tolist()
        assert set(corpus.facts["item"]) == set(corpus.texts["item"])
        assert corpus.facts["item"].is_unique
        for text in corpus.texts.to_dict("records"):
            assert text["options"][text["gold"]] == text["answer"] != ""
            assert len(set(text["options"])) == len(text["options"]) > 1
        return True


@settings(max_examples=60)
@given(renderings())
def test_any_renderings_are_a_corpus_or_told(made):
    rendered(made)


@pytest.mark.slow
@settings(max_examples=2000)
@given(renderings())
def test_many_renderings_are_corpora_or_told(made):
    rendered(made)


content = st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))


@settings(max_examples=100)
@given(st.sampled_from(files.ENDINGS), content)
def test_any_bytes_as_a_file_of_facts_are_told(ending, content):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"en{ending}").write_bytes(content)
        error = refusal(files.build, source.settings(folder), ["en"], 1)
        assert type(error) is ValueError, repr(error)
        assert "the corpus files cannot be used" in str(error)


SOUND = {"model_type": "llama", "num_hidden_layers": 4, "hidden_size": 64, "num_attention_heads": 4}
odd_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=4,
)
odd_keys = st.sampled_from([*SOUND, "auto_map", "n_layer", "num_labels", "quantization_config"]) | odd_text


@settings(max_examples=200)
@given(st.dictionaries(odd_keys, odd_json, max_size=3))
def test_any_config_json_has_blocks_or_is_told(changes):
    error = refusal(directory.blocks, {**SOUND, **changes}, "FOLDER")
    if error is None:
        assert 1 <= directory.blocks({**SOUND, **changes}, "FOLDER") <= directory.MOST_BLOCKS
    else:
        assert type(error) is ValueError
        assert "FOLDER" in str(error)


def test_the_examples_reach_both_ends():
    """Properties that refuse everything, or nothing, would show nothing."""
    ends: set[tuple[str, bool]] = set()

    @settings(max_examples=120)
    @given(mutated(), renderings())
    def look(config, made):
        ends.add(("config", told(config)))
        if len(ends) < 4:
            ends.add(("rows", rendered(made)))

    look()
    assert ends == {(what, end) for what in ("config", "rows") for end in (True, False)}
