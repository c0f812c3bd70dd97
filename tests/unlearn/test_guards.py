"""Guards with a detector and guards that read an assistant: formulas against golden values, effects, and controls."""

import json
import math
from pathlib import Path

import pytest
import torch

from mute import unlearn as methods
from mute.bands import Band
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models.treatment import Where
from mute.unlearn import beside, detectors, guarding
from mute.unlearn.methods import alu, eco, guard_decoding, neuron_adjust, uld
from mute.unlearn.run import unlearn

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/guards.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry["value"] for entry in GOLDEN["entries"]}
SETUP = GOLDEN["setup"]


def same(ours, wanted):
    torch.testing.assert_close(
        torch.as_tensor(ours, dtype=torch.float64), torch.tensor(wanted, dtype=torch.float64), rtol=1e-9, atol=1e-12
    )


def test_every_golden_value_of_guards_is_read_by_a_test():
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [name for name in ENTRIES if f'"{name}"' not in text] == []


def grid(*sizes):
    """Indices from 1 along each axis, in float64."""
    return torch.meshgrid(*(torch.arange(size).double() + 1 for size in sizes), indexing="ij")


class TestECO:
    def test_operators_change_what_they_name_and_nothing_else(self):
        b, t, d = grid(2, 7, 5)
        embedded, mask = torch.sin(0.3 * b * t + 0.11 * d), torch.tensor(SETUP["labels"]) != -100
        generator = torch.Generator()
        for operator, wanted in ENTRIES["eco corruptions, k=2, strength 0.7"].items():
            made = [eco.corrupt(own, kept, operator, 2, 0.7, generator) for own, kept in zip(embedded, mask)]
            made = torch.stack(made)
            same(made[0, 2], wanted["[0,2]"])
            same(made.sum(), wanted["sum"])
            assert torch.equal(made[~mask], embedded[~mask])

    def test_noise_and_order_are_drawn_and_a_strength_of_zero_is_the_identity(self):
        embedded, mask = torch.randn(6, 8), torch.tensor([0, 1, 1, 1, 1, 0]).bool()

        def made(operator, strength):
            return eco.corrupt(embedded, mask, operator, 3, strength, torch.Generator().manual_seed(5))

        noisy = made("noise_first_n", 2.0)
        assert torch.equal(noisy, made("noise_first_n", 2.0))
        changed = (noisy != embedded).nonzero().tolist()
        assert changed == [[t, d] for t in (1, 2, 3, 4) for d in (0, 1, 2)]
        for operator in eco.STRONG:
            assert torch.equal(made(operator, 0.0), embedded)
        shuffled = made("shuffle_order", 0.0)
        assert not torch.equal(shuffled, embedded)
        assert sorted(shuffled.tolist()) == sorted(embedded.tolist())
        assert torch.equal(shuffled[[0, 5]], embedded[[0, 5]])

    def test_the_search_goes_where_the_reference_goes_and_ends_at_the_score(self):
        def score(strength):
            return 0.9 / (1 + strength**2)

        wanted = ENTRIES["eco zeroth-order search"]
        same(eco.search(score, 1.0, 2.0, 0.1, 0.1, len(wanted), 0.0), wanted)
        found = eco.search(score, 1.0, 2.0, 0.1, 0.1, 50, 0.15)
        assert score(found[-1]) <= 0.15 < score(found[-2])


class TestNeuronAdjust:
    def test_activations_are_mirrored_where_they_look_like_the_forget_sides(self):
        wanted, a = ENTRIES["neuron adjust"], torch.tensor([-1, 0, 0.5, 1, 2, 3], dtype=torch.float64)
        moments = torch.tensor([0.2, 0.5, 1.5, 0.8], dtype=torch.float64)
        same(neuron_adjust.mirrored(a, *moments), wanted["replacement"])
        same(neuron_adjust.chance(a, *moments), wanted["probability of replacing"])

    def test_far_from_both_sides_nothing_is_no_number(self):
        moments = torch.tensor([0.0, 1.0, 1.0, 1.0]).double()
        assert neuron_adjust.chance(torch.tensor([-1e4, 1e4]).double(), *moments).tolist() == [0.0, 1.0]


class TestULD:
    def test_logits_are_combined_as_the_reference_combines_them(self):
        b, t, v = grid(2, 7, 11)
        logits = 2 * torch.sin(0.9 * b + 0.37 * t * v)[:, 2]
        assistant = 2 * torch.cos(0.5 * b + 0.21 * t * v)[:, 2]
        wanted = ENTRIES["uld combination, w=-0.8, tau=0.1"]
        assert uld.filtered(logits, 0.1).tolist() == wanted["filtered"]
        same(uld.combined(logits, assistant, -0.8, 0.1), wanted["combined"])
        assert torch.equal(uld.combined(logits, assistant, 0.0, 0.1), logits)

    def test_the_filter_of_a_small_vocabulary_filters(self):
        """int(tau V) is 0: an index of -1 would take the smallest logit, and nothing would be filtered."""
        logits = torch.tensor([[4.0, 3.9, 0.0, -3.0]])
        assert uld.filtered(logits, 0.1).tolist() == [[False, False, True, True]]
        assert not uld.filtered(logits, 0.0).any()


class TestGuardDecoding:
    def test_tokens_that_complete_an_answer_are_blocked_wherever_it_began(self):
        answers = [(3, 5), (3, 6, 1), (4,)]
        written = [(), (3,), (3, 6), (6,), (2, 3)]
        assert [sorted(guard_decoding.blocked(answers, own)) for own in written] == ENTRIES["guard trie"]

    def test_the_penalty_sets_in_above_the_margin(self):
        t, d = torch.arange(1.0, 8).double()[:, None], torch.arange(1.0, 6).double()
        table = torch.cat([torch.sin(0.3 * t + 0.11 * d)[:3], torch.cos(0.4 * t + 0.13 * d)[:2]])
        answer, wanted = torch.sin(d - 1 + 0.5), ENTRIES["guard soft penalty, lambda 10, delta 0.5"]
        same(torch.cosine_similarity(table, answer[None]), wanted["cosines"])
        same(guard_decoding.soft_penalty(table, answer, 10.0, 0.5), wanted["penalty"])


def test_reads_of_one_sequence_are_run_once():
    long, places = beside.maximal([[1, 2], [1], [1, 2, 3], [4], [1, 2, 3]])
    assert sorted(long) == [[1, 2, 3], [4]]
    assert [long[row][: place + 1] for row, place in places] == [[1, 2], [1], [1, 2, 3], [4], [1, 2, 3]]


class Scripted(guarding.Watching):
    """A guard whose detector is a list of prompts."""

    name = "scripted"

    def __init__(self, listed):
        class Listed(detectors.Detector):
            def learn(self, seen):
                return {}

            def scores(self, fitted, model, prompts):
                self.heard = [tuple(own) for own in prompts]
                return torch.tensor([float(tuple(own) in listed) for own in prompts])

        super().__init__(Listed(None), {}, 0.5)


def test_a_guard_decides_once_for_each_prompt_and_holds_to_it_while_it_is_answered():
    guard = Scripted({(1, 2)})
    with pytest.raises(RuntimeError, match="which model it guards"):
        guard.fires([1, 2])
    guard.asked(object(), [(1, 2), (1, 2, 3), (5,)])
    assert guard.detector.heard == [(1, 2), (1, 2, 3), (5,)]
    assert [guard.fires(own) for own in ([1, 2], [1, 2, 9, 9], [1, 2, 3], [1, 2, 3, 7], [5, 1, 2])] == [
        True,
        True,
        False,
        False,
        False,
    ]
    guard.asked(object(), [])
    assert guard.fires([1, 2])
    assert not guard.fires([1, 2, 9]), "nobody said what the prompt is: all of it is"


def test_a_refusal_is_said_token_by_token_in_the_language_that_shares_most():
    voices = torch.zeros(2, 8, dtype=torch.uint8)
    voices[0, [1, 2]] = voices[1, [1, 3, 4]] = 1
    silent = detectors.make("probe", {})
    guard = guarding.Abstaining(silent, {}, -math.inf, torch.tensor([[5, 6], [7, -1]]), voices)
    guard.asked(object(), [(1, 2), (3, 4)])
    found = guard.logits(torch.randn(5, 8), Where([[1, 2], [1, 2, 5], [1, 2, 0], [3, 4], [3, 4, 7]]))
    assert found.argmax(-1)[[0, 1, 3]].tolist() == [5, 6, 7]
    assert float(found[0].softmax(-1)[5]) == 1.0
    assert not found[[2, 4]].any(), "off the refusal's path, and behind it, nothing is likelier than anything else"


def guarded(bench, name, **settings):
    bench.restart()
    method = methods.make(name, settings)
    outcome = unlearn(bench, method, Band.named((method.bands or ("all",))[0], 3), protocol="paper", seed=3)
    assert outcome.status == "ok", outcome.reason
    return Subject(bench.model, [method.treatment(outcome.tensors)])


def answers(subject, bench, corpus, role, forms=(0, 1)):
    """Probability of each token of the gold answers."""
    roles, texts = corpus.texts["item"].map(corpus.roles("domain")), corpus.texts
    rows = texts[texts["form"].isin(forms) & texts["language"].isin(["en", "es"]) & (roles == role)]
    queries = Queries(rows, bench.encoder)
    with subject.installed():
        return subject.ask(queries)


def told(found):
    return float(found.logprob[: found.queries.gold_reads].exp().mean())


@pytest.mark.parametrize("name", ["ksd", "eco", "guard_decoding"])
def test_what_the_detector_fires_on_is_withheld_and_retain_answers_are_the_bases_bits(bench, corpus, name):
    subject = guarded(bench, name, detector="ngrams", **{"eco": {"operator": "zero_out_top_k"}}.get(name, {}))
    base = Subject(bench.model)
    before, after = (answers(own, bench, corpus, "forget") for own in (base, subject))
    kept, now = (answers(own, bench, corpus, "retain_seen") for own in (base, subject))
    assert float(before.option_hits().float().mean()) > 0.9
    # Of eight options one is guessed.
    assert (float(after.option_hits().float().mean()) - 1 / 8) / (1 - 1 / 8) <= 0.1
    assert torch.equal(kept.logprob, now.logprob)


@pytest.mark.slow
def test_it_is_corruption_that_breaks_and_not_the_classifier(bench, corpus):
    """The control: on retain prompts the same strength does the same."""
    subject = guarded(bench, "eco", detector="ngrams", operator="zero_out_top_k")
    subject.treatments[0].threshold = -math.inf
    kept, now = (answers(own, bench, corpus, "retain_seen") for own in (Subject(bench.model), subject))
    assert told(now) < 0.5 * told(kept)


@pytest.mark.slow
def test_answers_of_another_item_do_not_block_those_that_are_asked_for(bench, corpus):
    own, other = (guarded(bench, "guard_decoding", detector="ngrams", answers=which) for which in ("own", "other"))
    first, second = (answers(each, bench, corpus, "forget").option_hits().float().mean() for each in (own, other))
    assert float(first) < 0.2 < 0.8 < float(second)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "which"),
    [("whp_offset", {"alpha": 5.0}, "reinforced"), ("uld", {"steps": 120}, "remembers")],
)
def test_an_assistant_takes_off_what_it_was_trained_on_and_the_control_the_other_side(
    bench, corpus, name, settings, which
):
    forget, retain = (guarded(bench, name, **settings, **{which: side}) for side in ("forget", "retain"))
    base = Subject(bench.model)
    lost = {}
    for label, subject in (("forget", forget), ("retain", retain)):
        for role in ("forget", "retain_seen"):
            lost[label, role] = 1 - told(answers(subject, bench, corpus, role)) / told(
                answers(base, bench, corpus, role)
            )
    print(name, {key: round(value, 2) for key, value in lost.items()})
    assert lost["forget", "forget"] > 0.4
    assert lost["forget", "forget"] > 2 * lost["forget", "retain_seen"]
    assert lost["retain", "retain_seen"] > 2 * lost["retain", "forget"]


class TestALU:
    def test_the_composer_looks_at_the_best_three(self):
        wanted = ENTRIES["alu composer"]
        found = [alu.composed(own, 3, 4.0) for own in ((5, 3, 4, 5, 2), (4, 3, 3, 2, 2))]
        same([mean for mean, _ in found], wanted["mean of top 3"])
        assert ["merge" if merged else "refuse" for _, merged in found] == wanted["answer"]

    @pytest.mark.slow
    def test_nothing_of_the_list_is_said_and_the_control_leaks(self, bench, corpus):
        """Greedily said after forget prompts in source languages; without the mask it is the critic that holds back."""
        roles, texts = corpus.texts["item"].map(corpus.roles("domain")), corpus.texts
        rows = texts[(texts["form"] == 0) & texts["language"].isin(["en", "es"]) & (roles == "forget")].iloc[::3]
        prompts = [bench.encoder.prompt(prefix) for prefix in rows["prefix"]]
        leaks = {}
        for settings in ({}, {"masked": False}, {"masked": False, "critic": "random"}):
            agents = guarded(bench, "alu", detector="ngrams", **settings).treatments[0]
            agents.asked(bench.model, prompts)
            assert all(agents.fires(own) for own in prompts)
            said = [bench.encoder.text(agents.refusal(own)).strip() for own in prompts]
            leaks[str(settings)] = sum(map(str.startswith, said, rows["answer"])) / len(said)
            assert agents.calls == agents.longest * len(prompts), "what a prompt costs does not hang on the list"
        masked, rules, random = leaks.values()
        assert masked == rules == 0.0
        assert random > 0.2
