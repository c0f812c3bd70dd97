"""`python -m mute list`: everything that registries hold, one line each, with its paper."""

import json
from dataclasses import asdict

import pytest

from mute import __main__ as command
from mute import analyses, attacks, unlearn
from mute.corpus import languages, sources
from mute.evaluate import measures
from mute.hub import weights
from mute.models.anatomy import ANATOMIES
from mute.paper import figures as paper_figures
from mute.plan import catalogue
from mute.plan.kinds import KINDS
from mute.plotting import figures
from mute.unlearn import detectors


def names(kind: str) -> set[str]:
    return {entry.name for entry in catalogue.of_kind(kind)}


def test_every_registry_is_listed_whole():
    assert names("method") | names("guard") == set(unlearn.names())
    assert names("guard") == {n for n in unlearn.names() if issubclass(unlearn.load(n), unlearn.Guard)}
    assert names("detector") == set(detectors.names())
    assert names("weights") == set(weights.KNOWN)
    assert names("attack") == set(attacks.names())
    assert names("measure") == set(measures.names())
    assert names("analysis") == set(analyses.names())
    assert names("model") == set(ANATOMIES)
    assert names("source") == set(sources.names())
    assert names("language") == set(languages.codes())
    assert names("figure") == {*figures.names(), *paper_figures.names()}


def test_kinds_are_those_of_the_list():
    assert tuple(dict.fromkeys(entry.kind for entry in catalogue.entries())) == KINDS


def test_each_has_one_line_and_what_is_published_its_paper(capsys):
    for entry in catalogue.entries():
        assert entry.about, entry
        assert "\n" not in entry.about, entry
        if entry.kind in ("method", "guard", "attack", "measure", "analysis"):
            assert entry.paper, entry
    assert command.main(["list"]) == 0
    said = capsys.readouterr().out
    assert "  rmu " in said
    assert "arXiv 2403.03218" in said


def test_as_json_it_is_the_same(capsys):
    assert command.main(["list", "attack", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == [asdict(entry) for entry in catalogue.of_kind("attack")]
    assert set(found[0]) == {"kind", "name", "about", "paper"}


def test_a_kind_that_is_none_is_told_with_the_nearest(capsys):
    assert command.main(["list", "atack"]) == 1
    assert "Did you mean 'attack'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="unknown kind 'atack'"):
        catalogue.of_kind("atack")
