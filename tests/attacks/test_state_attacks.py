"""Attacks on states: which positions move, how far and where to, and what comes back of a change that only hides."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import victims
from families import EMBEDDED
from mute.attacks import latent, shard, steering
from mute.attacks.base import Victim
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models.treatment import Treatment, installed

FOLDER = Path(__file__).parents[1]
GOLDEN = json.loads((FOLDER / "golden/attacks.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in GOLDEN["entries"]}
KINDS = {"latent": latent.Latent, "steering": steering.Steering}
BAND = Band((1,))


def test_every_golden_value_is_read_by_a_test():
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*/test_*.py"))
    assert [name for name in ENTRIES if f'"{name}"' not in text] == []


def made(name, model, encoder, corpus, band=BAND, **settings):
    victim = Victim(model, encoder, corpus, band, ("en", "es"), ("en", "es"), "domain", 1)
    return KINDS[name](KINDS[name].Settings(**settings), victim)


def questions(corpus, code="en"):
    own = corpus.texts[(corpus.texts["form"] == 2) & (corpus.texts["language"] == code)]
    return own[own["item"].str.startswith("chemistry")].reset_index(drop=True)


def test_steering_against_the_golden_value():
    golden = ENTRIES["steering reversal, a=0.3"]["value"]
    b, t, d = np.meshgrid(*(np.arange(n, dtype=float) for n in (2, 7, 5)), indexing="ij")
    h = torch.tensor(np.sin(0.3 * (b + 1) * (t + 1) + 0.11 * (d + 1)))
    h_ref = torch.tensor(np.cos(0.2 * (b + 1) * (t + 1) + 0.13 * (d + 1)))
    g = steering.unlearning_direction(h[:, -1], h_ref[:, -1])
    assert np.isclose(g, golden["direction"], rtol=1e-9, atol=1e-12).all()
    steered = latent.moved(h[:, -1], -g, 0.3)
    assert np.isclose(steered, golden["steered last states"], rtol=1e-9, atol=1e-12).all()


@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("settings", [{}, {"direction": "random"}])
@pytest.mark.parametrize("name", KINDS)
def test_the_last_tokens_alone_move_and_by_a_share_of_their_length(
    random_model, encoder, corpus, name, settings, tokens
):
    if name == "latent" and settings:
        pytest.skip("its direction is random as it is")
    own = {"steps": 1, "batch_size": 4} if name == "steering" else {}
    attack = made(
        name, random_model("llama"), encoder, corpus, length=0.25, tokens=tokens, blocks=[1], **own, **settings
    )
    rows = questions(corpus).head(4)
    assert attack.questions(rows) is rows
    assert attack.start == 1
    prompts = [encoder.prompt(prefix) for prefix in rows["prefix"]]
    width = max(map(len, prompts)) + 2
    ids = torch.tensor([prompt + [5] * (width - len(prompt)) for prompt in prompts])
    hidden = torch.randn(*ids.shape, 32, generator=torch.Generator().manual_seed(0))
    found = attack.states(1, hidden, ids)
    assert attack.states(0, hidden, ids) is hidden
    for row, prompt in enumerate(prompts):
        first = len(prompt) - tokens
        assert torch.equal(found[row, :first], hidden[row, :first])
        step = (found - hidden)[row, first:]
        assert torch.allclose(step.norm(dim=-1), 0.25 * hidden[row, first:].norm(dim=-1), atol=1e-5)
        # Alone it is moved as in the batch.
        alone = attack.states(1, hidden[row : row + 1], ids[row : row + 1])
        assert torch.equal(alone[0], found[row])


def test_of_each_question_the_direction_is_its_own_and_always_the_same(random_model, encoder, corpus):
    model = random_model("llama")
    one, again, other = (made("latent", model, encoder, corpus, draw=draw) for draw in (0, 0, 1))
    drawn = one.direction(1, (1, 2))
    assert torch.equal(drawn, again.direction(1, (1, 2)))
    assert drawn.norm() == pytest.approx(1.0)
    for different in (one.direction(1, (1, 3)), one.direction(2, (1, 2)), other.direction(1, (1, 2))):
        assert abs(float(drawn @ different)) < 0.7


@pytest.mark.parametrize("family", EMBEDDED)
def test_with_a_cache_the_token_that_is_read_is_the_one_that_moves(random_model, encoder, corpus, family):
    model = copy.deepcopy(random_model(family))
    attack = made("steering", model, encoder, corpus, direction="random", blocks=[1])
    rows = questions(corpus).head(1)
    attack.questions(rows)
    ids = torch.tensor([encoder.prompt(rows["prefix"][0])])
    following = torch.tensor([[7]])
    with installed(model, [attack]), torch.no_grad():
        whole = model(input_ids=torch.cat([ids, following], 1)).logits[0, -1]
        begun = model(input_ids=ids, use_cache=True)
        step = model(input_ids=following, past_key_values=begun.past_key_values, use_cache=True).logits[0, -1]
    plain = model(input_ids=torch.cat([ids, following], 1)).logits[0, -1]
    assert torch.allclose(step, whole, atol=1e-4)
    assert not torch.allclose(whole, plain, atol=1e-2)


def test_the_auxiliary_model_never_reads_the_forget_set_and_is_gone_afterwards(random_model, encoder, corpus):
    model = random_model("llama")
    before = victims.everything(model)
    attack = made("steering", model, encoder, corpus, steps=2, batch_size=4)
    unlearns, keeps = attack.halves
    roles = corpus.roles("domain")
    subjects = corpus.facts.set_index("item")["subject"]
    for half in (unlearns, keeps):
        assert set(half["item"].map(roles)) == {"retain_seen"}
        assert set(half["language"]) == {"en", "es"}
    assert not set(unlearns["item"].map(subjects)) & set(keeps["item"].map(subjects))
    attack.questions(questions(corpus))
    assert set(attack.directions) == set(attack.blocks) == {2}
    assert all(g.norm() == pytest.approx(1.0, abs=1e-5) for g in attack.directions.values())
    assert victims.equal(victims.everything(model), before)
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(("band", "window", "blocks"), [((0,), 3, (1, 2)), ((1,), 1, (2,)), ((2,), 3, (2,))])
def test_the_window_begins_behind_the_band(random_model, encoder, corpus, band, window, blocks):
    attack = made("steering", random_model("llama"), encoder, corpus, Band(band), window=window)
    assert attack.blocks == blocks
    named = made("steering", random_model("llama"), encoder, corpus, Band(band), blocks=[0, 7])
    assert named.blocks == (0,)
    kind = steering.Steering
    assert kind.stands_on(kind.Settings()) == ("sources", "band")
    assert kind.stands_on(kind.Settings(blocks=[1])) == ("sources",)


def test_blocks_that_no_model_has_are_tried_on_nothing(random_model, encoder, corpus):
    asked = Asked(random_model("llama"), encoder, corpus, ["en"], "domain")
    prepared = shard.Prepared("latent", latent.Latent, latent.Settings(blocks=[9]), 1, "")
    assert shard.attacked(asked, Subject(asked.model), BAND, prepared, ("en",))[1]["status"] == "not_applicable"


class Boxes(Treatment):
    """A guard that knows the states of some prompts, and puts noise in the place of what lies in their boxes."""

    name = "boxes"
    start = 2

    def __init__(self, known):
        self.known = known
        self.noise = torch.randn(known.shape[1], generator=torch.Generator().manual_seed(1)) * known.norm(dim=1).mean()

    def states(self, block, hidden, ids):
        if block != 2:
            return hidden
        near = torch.cdist(hidden, self.known.expand(len(hidden), -1, -1)).amin(-1)
        return torch.where((near < 1e-2 * hidden.norm(dim=-1))[..., None], self.noise, hidden)


class Shifted(Treatment):
    """What unlearning would be that moved each last state along one direction."""

    name = "shifted"
    start = 2

    def __init__(self, attack, length):
        self.attack, self.length = attack, length

    def states(self, block, hidden, ids):
        if block != 2:
            return hidden
        places = (
            torch.arange(ids.shape[1]) >= torch.tensor([len(self.attack.prompt(r)) - 1 for r in ids.tolist()])[:, None]
        )
        moved = latent.moved(hidden, self.attack.directions[2], self.length)
        return torch.where(places[..., None], moved, hidden)


def hits(asked, treatments, kind=None, seed=1, **settings):
    subject = Subject(asked.model, treatments)
    if kind is None:
        with subject.installed():
            return victims.right(subject.ask(asked.queries).tokens())
    prepared = shard.Prepared(kind.name, kind, kind.Settings(**settings), seed, "")
    return victims.right(shard.attacked(asked, subject, BAND, prepared, ("en", "es"))[0])


# The small BLOOM answers too few of these questions for anything to be hidden.
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_noise_brings_back_what_a_guard_in_boxes_hides_and_nothing_that_was_never_there(
    trained_model, random_model, encoder, corpus, family
):
    model = trained_model(family)
    asked = Asked(model, encoder, corpus, ["en", "es"], "domain")
    prompts = [torch.tensor([prompt]) for prompt in asked.queries.prompts]
    with torch.no_grad():
        known = torch.stack([model(input_ids=p, output_hidden_states=True).hidden_states[2][0, -1] for p in prompts])
    base, hidden = hits(asked, []), hits(asked, [Boxes(known)])
    found = {a: hits(asked, [Boxes(known)], latent.Latent, length=a) for a in (0.0, 0.1)}
    assert hidden < base - 0.2
    assert found[0.0] == pytest.approx(hidden)
    assert found[0.1] > hidden + 0.75 * (base - hidden)
    never = Asked(random_model(family), encoder, corpus, ["en", "es"], "domain")
    assert hits(never, [], latent.Latent, length=0.1) < 0.3


def test_reversal_brings_back_what_was_moved_along_its_direction_and_a_random_one_does_not(
    trained_model, encoder, corpus
):
    """A shift that was made: of real edits reversal brings back little on models this small.

    At a = .3 hits rose by .13, -.03, .10 in three trainings after gradient difference (by .02, .05, .00 along a random
    direction), and by .00, .05, .05 after RMU (.00, -.05, .02); at a = 1 the base itself falls from 1 to .78, .47, .40.
    """
    asked = Asked(trained_model("llama"), encoder, corpus, ["en", "es"], "domain")
    how = {"steps": 5, "batch_size": 8, "blocks": [2]}
    own = made("steering", asked.model, encoder, corpus, **how)
    own.questions(asked.queries.rows)
    guard = Shifted(own, 2.5)
    base, hidden = hits(asked, []), hits(asked, [guard])
    # |h + c |h| g| is longer than |h|: a shorter step goes back as far.
    found = hits(asked, [guard], steering.Steering, length=0.93, **how)
    # One random direction of 32 features may lie near to any other: the mean of ten.
    draws = [
        hits(asked, [guard], steering.Steering, seed, length=0.93, direction="random", **how) for seed in range(10)
    ]
    control = sum(draws) / len(draws)
    assert hidden < base - 0.2
    assert found > hidden + 0.5 * (base - hidden)
    assert control < found - 0.2, (base, hidden, found, draws)
