"""What guards are said to reach, on a trained toy model, with the control of each; what is not reached is marked so."""

import itertools
import math

import pytest
import torch

from families import create
from mute import unlearn as methods
from mute.bands import Band
from mute.evaluate.scoring import Queries
from mute.evaluate.subject import Subject
from mute.models import hooks, pretrain
from mute.unlearn import guarding
from mute.unlearn.detectors import box, reading
from mute.unlearn.methods import alu, whp
from mute.unlearn.run import unlearn

ROLES = ("forget", "retain_seen")


def guarded(bench, name, **settings):
    bench.restart()
    method = methods.make(name, settings)
    outcome = unlearn(bench, method, Band.named((method.bands or ("all",))[0], 3), protocol="paper", seed=3)
    assert outcome.status == "ok", outcome.reason
    return Subject(bench.model, [method.treatment(outcome.tensors)])


def asked(subject, bench, corpus, role):
    """Answers to the questions of a role that unlearning reads, in source languages."""
    roles, texts = corpus.texts["item"].map(corpus.roles("domain")), corpus.texts
    rows = texts[texts["form"].isin([0, 1]) & texts["language"].isin(["en", "es"]) & (roles == role)]
    with subject.installed():
        return subject.ask(Queries(rows, bench.encoder))


def left(subject, bench, corpus):
    """By role, the share of the base's right answers that is left."""
    found = {}
    for role in ROLES:
        now, base = (
            asked(own, bench, corpus, role).option_hits().float().mean() for own in (subject, Subject(bench.model))
        )
        found[role] = round(float(now / base), 2)
    return found


class TestNeuronAdjust:
    @pytest.mark.slow
    def test_a_skill_with_neurons_of_its_own_is_forgotten_and_as_many_random_neurons_forget_nothing(
        self, tokenizer, encoder, corpus, workbench
    ):
        model = with_neurons_of_its_own(tokenizer, encoder, corpus, count=10)
        bench = workbench(model)
        top, random = (
            left(guarded(bench, "neuron_adjust", share=0.1, neurons=which), bench, corpus)
            for which in ("top", "random")
        )
        print("neuron_adjust", {"top": top, "random": random})
        assert top["forget"] <= 0.5
        assert top["retain_seen"] >= 0.9
        assert min(random.values()) >= 0.9

    @pytest.mark.slow
    @pytest.mark.xfail(strict=True, reason="of a model that learned both at once no neurons are the forget side's own")
    def test_facts_that_share_their_neurons_with_others_are_forgotten(self, bench, corpus):
        assert any(
            left(guarded(bench, "neuron_adjust", share=share), bench, corpus)["forget"] <= 0.5
            for share in (0.005, 0.03, 0.2, 0.5, 1.0)
        )


def with_neurons_of_its_own(tokenizer, encoder, corpus, count):
    """A model that learned history, and then chemistry with the first neurons of each MLP alone, which chemistry opens.

    They are paid to be shut on history: what is told of a skill that is somewhere holds of it by construction.
    """
    texts = corpus.texts[corpus.texts["language"].isin(["en", "es"]) & corpus.texts["form"].isin([0, 1])]
    sides = [texts[texts["item"].str.startswith(domain)] for domain in ("chemistry", "history")]
    model = create("llama", 0, vocabulary=len(tokenizer), blocks=3, hidden=32, heads=2)
    schedule = {"steps": 60, "batch": 48, "learning_rate": 2e-2, "warmup": 5, "decay": 0.3, "parts": 1}
    groups = pretrain.encode({"facts": sides[1]}, encoder)
    pretrain.pretrain(model, groups, shares={"facts": 1.0}, prompt_weight=0.05, seed=0, **schedule)
    model.requires_grad_(False)
    mlps = [block.mlp for block in model.model.layers]
    rows = [part.weight.requires_grad_() for mlp in mlps for part in (mlp.gate_proj, mlp.up_proj)]
    columns = [mlp.down_proj.weight.requires_grad_() for mlp in mlps]
    with torch.no_grad():
        for weight in columns:
            weight[:, :count] = 0
    opened: list[torch.Tensor] = []
    kept = [mlp.gate_proj.register_forward_hook(lambda module, args, out: opened.append(out)) for mlp in mlps]
    optimizer = torch.optim.Adam([*rows, *columns], lr=2e-2)
    encoded = [[(encoder.prompt(p), encoder.answer(p, a)) for p, a in zip(s["prefix"], s["answer"])] for s in sides]
    generator = torch.Generator().manual_seed(0)
    for _ in range(120):
        loss = torch.zeros(())
        for side, sign in zip(encoded, (-1, 1)):
            chosen = [side[row] for row in torch.randperm(len(side), generator=generator)[:32].tolist()]
            width = max(len(prompt) + len(answer) for prompt, answer in chosen)
            ids, labels = torch.zeros(len(chosen), width).long(), torch.full((len(chosen), width), -100)
            for row, (prompt, answer) in enumerate(chosen):
                ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
                labels[row, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
            opened.clear()
            logits = model(input_ids=ids).logits[:, :-1].flatten(0, 1)
            loss = loss + torch.nn.functional.cross_entropy(logits, labels[:, 1:].flatten())
            loss = loss + 0.3 * sum((1 + sign * out[..., :count]).relu().mean() for out in opened)
        optimizer.zero_grad()
        loss.backward()
        for weight in rows:
            weight.grad[count:] = 0
        for weight in columns:
            weight.grad[:, count:] = 0
        optimizer.step()
    for hook in kept:
        hook.remove()
    assert not hooks.on([("model", model)])
    return model.requires_grad_(False).eval()


class TestKSD:
    """The box is fitted to 70 % of the forget prompts, drawn five times."""

    def rates(self, bench, block, alpha):
        """Shares of the other forget prompts, and of retain prompts, that lie in the box."""
        forget, retain = (
            reading.keys(bench.model, guarding.prompts_of(side).tokens, block) for side in (bench.forget, bench.retain)
        )
        found = []
        for seed in range(5):
            order = torch.randperm(len(forget), generator=torch.Generator().manual_seed(seed))
            cut = round(0.7 * len(forget))
            fitted = box.box(forget[order[:cut]])
            inside = [box.outside(keys, *fitted) <= alpha for keys in (forget[order[cut:]], retain)]
            found.append([float(own.double().mean()) for own in inside])
        return [sum(own) / len(own) for own in zip(*found)]

    def test_it_holds_most_of_the_other_forget_prompts_and_of_the_retain_prompts_too(self, bench):
        forget, retain = self.rates(bench, 2, 1.0)
        print(f"ksd, last block, alpha 1: forget {forget:.2f}, retain {retain:.2f}")
        assert forget >= 0.8
        assert retain < forget
        assert self.rates(bench, 2, math.inf) == [1.0, 1.0]

    @pytest.mark.xfail(strict=True, reason="the published box holds half of the retain prompts then")
    def test_some_block_and_size_holds_the_other_forget_prompts_and_no_retain_prompts(self, bench):
        tried = [self.rates(bench, *own) for own in itertools.product(range(3), (0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 2.0))]
        print("least of retain:", min(retain for forget, retain in tried if forget >= 0.8))
        assert any(forget >= 0.8 and retain <= 0.05 for forget, retain in tried)

    def test_of_size_nothing_it_never_fires_and_of_any_size_always(self, bench):
        prompts = guarding.prompts_of(bench.retain).tokens
        for alpha, fires in ((0.0, False), (1e9, True)):
            guard = guarded(bench, "ksd", detector_settings={"alpha": alpha}).treatments[0]
            guard.asked(bench.model, prompts)
            assert {guard.fires(prompt) for prompt in prompts} == {fires}


class TestULD:
    def test_where_reinforcement_makes_nothing_likelier_nothing_changes(self):
        logits = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
        assert torch.equal(whp.generic_logits(logits, logits - logits.abs(), 5.0), logits)
        assert not torch.equal(whp.generic_logits(logits, logits + 1, 5.0), logits)

    @pytest.mark.slow
    def test_the_assistant_knows_nothing_of_the_rest_and_without_its_filter_the_rest_is_no_likelier(
        self, bench, corpus
    ):
        subject = guarded(bench, "uld")
        found, base = left(subject, bench, corpus), told(Subject(bench.model), bench, corpus)
        entropy, _ = self.of_assistant(subject, bench, corpus, "retain_seen")
        filtered = told(subject, bench, corpus)
        subject.treatments[0].tau = 0.0
        unfiltered = told(subject, bench, corpus)
        print(f"uld left {found}, entropy {entropy:.2f}, nats a token {base:.3f} {filtered:.3f} {unfiltered:.3f}")
        assert found["forget"] < 0.5
        assert found["retain_seen"] >= 0.98
        assert entropy >= 0.9
        assert unfiltered >= filtered

    @pytest.mark.slow
    @pytest.mark.xfail(strict=True, reason="an assistant of one block of width 32 does not learn 80 answers: 0.9 nats")
    def test_the_assistant_remembers(self, bench, corpus):
        assert self.of_assistant(guarded(bench, "uld"), bench, corpus, "forget")[1] < 0.2

    def of_assistant(self, subject, bench, corpus, role):
        """Entropy of its answer tokens, of ln V, and nats that it takes for each."""
        guard, queries = subject.treatments[0], asked(Subject(bench.model), bench, corpus, role).queries
        pairs = list(zip(queries.prompts, queries.golds))
        reads = [[*prompt, *gold[:end]] for prompt, gold in pairs for end in range(len(gold))]
        guard.asked(bench.model, [])
        logprob = guard.beside(reads).log_softmax(-1)
        gold = torch.tensor([token for _, own in pairs for token in own])
        entropy = -(logprob.exp() * logprob).sum(-1).mean() / math.log(logprob.shape[1])
        return float(entropy), float(-logprob.gather(1, gold[:, None]).mean())


def told(subject, bench, corpus):
    """Nats that a token of a retain answer takes."""
    found = asked(subject, bench, corpus, "retain_seen")
    return -float(found.logprob[: found.queries.gold_reads].double().mean())


class TestGuardDecoding:
    def test_no_answer_leaks_and_retain_answers_are_the_bases(self, bench, corpus):
        subject = guarded(bench, "guard_decoding", detector="ngrams")
        assert float(asked(subject, bench, corpus, "forget").option_hits().float().mean()) <= 0.02
        now, base = (asked(own, bench, corpus, "retain_seen") for own in (subject, Subject(bench.model)))
        assert float((now.option_hits() == base.option_hits()).float().mean()) >= 0.98


class TestALU:
    @pytest.mark.parametrize("count", [1, 10, 100])
    def test_what_a_question_costs_does_not_grow_with_the_list(self, bench, corpus, count):
        """By passes of the model, counted apart from what the guard says."""
        agents = guarded(bench, "alu", detector="ngrams").treatments[0]
        agents.aliases = [f"{name}{number}" for number in range(count) for name in agents.aliases][:count]
        agents.threshold, passes = -math.inf, []
        prompts = guarding.prompts_of(bench.forget).tokens[:3]
        hook = bench.model.model.layers[0].register_forward_hook(lambda *args: passes.append(1))
        try:
            agents.asked(bench.model, prompts)
            for prompt in prompts:
                agents.refusal(prompt)
        finally:
            hook.remove()
        assert agents.calls == agents.longest * len(prompts)
        assert 0 < len(passes) <= agents.calls

    def test_ratings_at_random_let_through_what_rules_refuse(self):
        assert alu.composed([1.0] * 5, 3, 4.0)[1] is False
        drawn = [torch.randint(1, 6, (5,), generator=torch.Generator().manual_seed(n)).tolist() for n in range(200)]
        assert 0.2 < sum(alu.composed(own, 3, 4.0)[1] for own in drawn) / 200 < 0.9


def spelled_apart(corpus, rows):
    """The questions with their subjects spelled as in Hindi, so that no token of a name is shared."""
    from mute.corpus import languages

    subjects = corpus.facts.set_index("item")["subject"]
    names = [subjects[item] for item in rows["item"]]
    own = [prefix.replace(name, languages.load("hi").spell(name)) for name, prefix in zip(names, rows["prefix"])]
    return rows.assign(prefix=own)[[name in prefix for name, prefix in zip(names, rows["prefix"])]]


class TestColbertXM:
    @pytest.mark.slow
    def test_english_alone_teaches_english_and_the_controls_say_what_it_reads(self, bench, corpus):
        """In a wording that nothing was learned from. Embeddings do as well; of names spelled apart little is left."""
        from mute.unlearn import detectors
        from mute.unlearn.detectors.base import Seen, auroc

        retain, _ = guarding.apart(guarding.prompts_of(bench.retain), 3)
        seen = Seen(bench.model, bench.encoder, guarding.prompts_of(bench.forget), retain, 3)
        roles, texts = corpus.texts["item"].map(corpus.roles("domain")), corpus.texts
        rows = texts[(texts["form"] == 2) & (texts["language"] == "en")]
        sides = [rows[roles.loc[rows.index] == role] for role in ROLES]
        found = {}
        for name, settings in {
            "guard": {"head_steps": 100, "against_retain": True},
            "embeddings": {"head_steps": 100, "against_retain": True, "block": 0},
            "published": {"head_steps": 100},
        }.items():
            detector = detectors.make("maxsim", settings)
            fitted = detector.learn(seen)
            for how, asked_for in (("", sides), (" apart", [spelled_apart(corpus, side) for side in sides])):
                own = [detector.scores(fitted, bench.model, Queries(s, bench.encoder).prompts) for s in asked_for]
                found[name + how] = round(auroc(*own), 2)
        print("colbert_xm", found)
        assert found["guard"] >= 0.95
        assert found["published"] < found["guard"]
        assert found["guard apart"] < found["guard"]
