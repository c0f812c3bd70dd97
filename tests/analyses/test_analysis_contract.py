"""What every registered analysis keeps to, on every embedded family; a new file joins here. Then the lens."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError

from families import EMBEDDED
from mute import analyses
from mute.analyses import base, shard
from mute.analyses.base import Case
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import anatomy, hooks, patches
from mute.store import artifacts

DEPTH = 3


# Gemma 3 for its local and global attention.
@pytest.fixture(params=[*EMBEDDED, "gemma3_text"])
def asked(request, trained_model, encoder, corpus):
    return Asked(trained_model(request.param), encoder, corpus, ["en", "hi"], "domain")


def case(first):
    return Case(first, Band((first,)), ("en",))


def make(name):
    kind = analyses.load(name)
    return kind(kind.Settings())


@pytest.mark.parametrize("name", analyses.names())
def test_every_analysis_says_what_it_is_and_refuses_what_it_does_not_know(name):
    kind = analyses.load(name)
    assert kind.name == name == kind.__module__.rsplit(".", 1)[1]
    assert kind.paper
    assert kind.table
    assert kind.unit in ("cell", "model")
    assert issubclass(kind.Settings, base.Settings)
    assert set(kind.depends) <= set(base.DEPENDS)
    assert make(name).asks() > 0
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        kind.Settings(strngth=1)


@pytest.mark.parametrize("first", range(DEPTH))
@pytest.mark.parametrize("name", analyses.names())
def test_every_analysis_gives_the_same_rows_twice_and_changes_nothing(asked, name, first):
    model = asked.model
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    standing, found = hooks.on([("model", model)]), []
    for _ in range(2):
        asked.texts.restart()
        asked.texts.advance(first)
        with Subject(model).installed():
            found.append(make(name).run(Subject(model), asked, case(first)))
        assert asked.texts.block == first
    rows = found[0]
    assert tuple(rows.columns) == base.COLUMNS
    assert rows.equals(found[1])
    assert not rows.duplicated(["measure", "block", "language"]).any()
    assert rows["block"].between(first, DEPTH - 1).all()
    assert set(rows["language"]) <= {"en", "hi", "en-hi", ""}
    assert (rows["n"] > 0).all()
    assert rows["value"].notna().all()
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert hooks.on([("model", model)]) == standing


@torch.no_grad()
def plain_lens(asked) -> dict[tuple[str, int, str], float]:
    """The lens by hidden states of transformers, one question and option after the other."""
    model, rows = asked.model, asked.queries.rows
    norm, head = anatomy.final_norm(model), model.get_output_embeddings()
    seen: dict[tuple[int, str], list[tuple[list[float], int]]] = {}
    for i, row in enumerate(rows.itertuples()):
        options: list[list[float]] = [[] for _ in range(DEPTH)]
        for option in asked.queries.options[i]:
            ids = asked.queries.prompts[i] + option
            states = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
            for block in range(DEPTH):
                # transformers gives the last block's output past the final norm.
                state = states[block + 1] if block == DEPTH - 1 else norm(states[block + 1])
                logprob = head(state)[0].log_softmax(-1)
                at = range(len(ids) - len(option) - 1, len(ids) - 1)
                options[block].append(float(sum(logprob[t, token] for t, token in zip(at, option))))
        for block in range(DEPTH):
            seen.setdefault((block, row.language), []).append((options[block], row.gold))
    found = {}
    for (block, language), given in seen.items():
        last = [max(range(len(o)), key=o.__getitem__) for o, _ in seen[DEPTH - 1, language]]
        best = [max(range(len(o)), key=o.__getitem__) for o, _ in given]
        shares = [float(torch.tensor(o).softmax(0)[gold]) for o, gold in given]
        means = {
            "probability": shares,
            "full": [float(torch.tensor(o[gold]).exp()) for o, gold in given],
            "hit": [float(b == gold) for b, (_, gold) in zip(best, given)],
            "agree": [float(b == own) for b, own in zip(best, last)],
        }
        found |= {(name, block, language): sum(values) / len(values) for name, values in means.items()}
    return found


def test_the_lens_is_that_of_hidden_states_from_any_first_block(asked):
    expected = plain_lens(asked)
    for first in range(DEPTH):
        asked.texts.restart()
        asked.texts.advance(first)
        rows = make("lens").run(Subject(asked.model), asked, case(first)).itertuples()
        found = {(row.measure, row.block, row.language): row.value for row in rows}
        assert found == pytest.approx({key: value for key, value in expected.items() if key[1] >= first}, abs=1e-5)


def test_a_patch_of_the_embeddings_is_in_what_is_looked_into(trained_model, encoder, corpus, tmp_path):
    """Texts begin from the embeddings as the patch has made them, and for the next cell as they were."""
    model = trained_model("llama")
    name = "model.embed_tokens.weight"
    patch = {name: model.get_parameter(name).detach().flip(1)}

    @contextmanager
    def placed(model, folder):
        with patches.applied(model, patch):
            yield Subject(model)

    def looked(asked, band):
        places = SimpleNamespace(results=tmp_path, placed=placed)
        folder = tmp_path / band
        folder.mkdir(exist_ok=True)
        opened = shard.Opened(places, {})
        opened._kept = (("m", "domain"), asked)
        cell = SimpleNamespace(band=band, digest="cell", forget_set="domain", sources="en")
        shard._record(opened, cell, "cell", "m", shard.Prepared("lens", make("lens"), ""), folder)
        return artifacts.read_table(folder / "profile.parquet")

    kept = Asked(model, encoder, corpus, ["en", "hi"], "domain")
    base_rows = make("lens").run(Subject(model), kept, case(0))
    found = looked(kept, "full")
    with patches.applied(model, patch):
        plain = make("lens").run(Subject(model), Asked(model, encoder, corpus, ["en", "hi"], "domain"), case(0))
    assert found.equals(plain)
    assert not found.equals(base_rows)
