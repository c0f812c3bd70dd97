"""A tiny world in five languages, its tokenizer, and small models of every family, each made once per run."""

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from turns import PARTS, taken

# Set before torch is imported by any test: on models this small more threads only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

# A shared machine is slow now and then, and that is no error. `pytest --hypothesis-profile random` draws new examples.
settings.register_profile("random", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.load_profile("same")

LANGUAGES = ("en", "es", "pt", "hi", "ja")
SHAPE = {"blocks": 3, "hidden": 32, "heads": 2}


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden from what the code says now")
    parser.addoption("--model-seed", type=int, default=0, help="train the tests' models from another seed")
    parser.addoption(
        "--in-turn",
        choices=("all", "part"),
        default="all",
        help=f"of the tests marked in_turn all, or one in {PARTS}: which, the commit decides",
    )


def _commit() -> str:
    """What is checked out, or nothing where git does not say."""
    asked = ["git", "rev-parse", "HEAD"]
    said = subprocess.run(asked, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return said.stdout.strip()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Tests in turn are slow, and where a part is asked for most of them are left out."""
    in_turn = [item for item in items if item.get_closest_marker("in_turn")]
    for item in in_turn:
        item.add_marker(pytest.mark.slow)
    if config.getoption("--in-turn") == "part":
        commit = _commit()
        left_out = {item.nodeid for item in in_turn if not taken(commit, item.nodeid)}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


@pytest.fixture(scope="session")
def corpus():
    """A world of sixty facts, taught in English and Spanish, in LANGUAGES."""
    from mute.corpus.sources import world

    settings = world.Settings(
        subjects={"chemistry": 4, "history": 4, "law": 2, "geography": 2},
        teaching_languages=["en", "es"],
        reading_lines=30,
        unknown_lines=12,
        sentence_lines=30,
        probe_lines=8,
    )
    return world.build(settings, list(LANGUAGES), 1)


@pytest.fixture(scope="session")
def linked_corpus():
    """A world of 110 facts that tells along its graph all that it can, in LANGUAGES."""
    from mute.corpus.sources import world

    settings = world.Settings(
        subjects={"chemistry": 4, "history": 8, "law": 8, "geography": 2},
        teaching_languages=["en", "es"],
        reading_lines=10,
        unknown_lines=4,
        sentence_lines=10,
        probe_lines=8,
        validation_lines=0,
        graph=["alias", "two_hop", "comparison"],
    )
    return world.build(settings, list(LANGUAGES), 1)


@pytest.fixture(scope="session")
def tokenizer(corpus):
    """The tokenizer that a model of the tiny world is trained with."""
    from mute.models import tokenizer
    from mute.models.texts import tokenizer_texts

    texts = tokenizer_texts(corpus, list(LANGUAGES))
    return tokenizer.train((part for text in texts for part in tokenizer.parts(*text)), 1000)


@pytest.fixture(scope="session")
def encoder(tokenizer):
    from mute.models.tokenizer import Encoder

    return Encoder(tokenizer)


@pytest.fixture(scope="session")
def random_model(tokenizer):
    """random_model(family): a frozen model whose every parameter, norms and biases too, is random."""
    import torch

    from families import create

    @cache
    def make(family):
        model = create(family, 0, vocabulary=len(tokenizer), **SHAPE).requires_grad_(False)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) / 5)
        return model

    return make


@pytest.fixture(scope="session")
def trained_model(corpus, tokenizer, encoder, request):
    """trained_model(family): a frozen model that knows chemistry and history, in two forms, in English and Spanish."""
    from families import create
    from mute.models import pretrain

    texts = corpus.texts[corpus.texts["language"].isin(["en", "es"]) & corpus.texts["form"].isin([0, 1])]
    known = texts[texts["item"].str.startswith(("chemistry", "history"))]
    seed = request.config.getoption("--model-seed")

    @cache
    def make(family):
        model = create(family, seed, vocabulary=len(tokenizer), **SHAPE)
        groups = pretrain.encode({"facts": known}, encoder)
        schedule = {"steps": 60, "batch": 48, "learning_rate": 2e-2, "warmup": 5, "decay": 0.3, "parts": 1}
        pretrain.pretrain(model, groups, shares={"facts": 1.0}, prompt_weight=0.05, seed=seed, **schedule)
        return model.requires_grad_(False)

    return make
