"""The workbench on which most methods are tried: the trained toy model, two source languages of three."""

import copy

import pytest


@pytest.fixture(scope="session")
def workbench(corpus, encoder):
    """workbench(model): of any model that knows the tiny world."""
    from mute.unlearn.bench import Workbench
    from mute.unlearn.dose import Matching

    def make(model):
        return Workbench(
            model,
            encoder,
            corpus,
            languages=["en", "es", "hi"],
            sources=["en", "es"],
            forget_set="domain",
            retain="source",
            matching=Matching(target=0.5, facts=8),
            seed=0,
            oracle=None,
        )

    return make


@pytest.fixture(scope="module")
def bench(trained_model, workbench):
    """A workbench of a file's own, on a copy of the model."""
    return workbench(copy.deepcopy(trained_model("llama")))
