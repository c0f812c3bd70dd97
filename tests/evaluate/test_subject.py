"""A model with treatments says the same by every path, and is the model that it was afterwards."""

import copy

import pytest
import torch

from families import EMBEDDED, FAMILIES
from mute.attacks.base import Victim
from mute.attacks.bypass import Bypass
from mute.attacks.mix import Mix
from mute.bands import Band
from mute.engine import cache, sections
from mute.engine.cache import PrefixCache
from mute.evaluate.run import Evaluator
from mute.evaluate.scoring import Answers, Queries
from mute.evaluate.subject import Subject
from mute.models import hooks, tree
from mute.models.treatment import Treatment, reading

DEPTH = 3


class Flips(Treatment):
    """Another state in the place of some tokens' at the input of each block from `start` on."""

    name = "flips"

    def __init__(self, start: int = 1, every: int = 3) -> None:
        self.start, self.every = start, every

    def states(self, block, hidden, ids):
        fires = torch.zeros_like(ids, dtype=torch.bool) if not self.every else ids % self.every == 0
        other = hidden.roll(block + 1, -1) if self.every % 2 else hidden * torch.linspace(-1, 2, hidden.shape[-1])
        return torch.where(fires[..., None], other, hidden)


class Bends(Treatment):
    """Other logits where the last of the tokens that were read is even."""

    name = "bends"

    def logits(self, logits, where):
        even = torch.tensor([read[-1] % 2 == 0 for read in where.read])
        length = torch.tensor([float(len(read)) for read in where.read])
        return torch.where(even[:, None], logits.flip(-1) / length[:, None], logits)


class Shrinks(Treatment):
    """The embeddings of some tokens, smaller the more tokens stand before them."""

    name = "shrinks"

    def embeddings(self, embedded, ids):
        place = torch.arange(1, ids.shape[1] + 1)[None, :, None]
        return torch.where((ids % 3 == 0)[..., None], embedded / place, embedded)


class Scales(Treatment):
    """Other weights of the second block."""

    name = "scales"

    def weights(self, model):
        from mute.models import anatomy, patches

        names = anatomy.block_parameters(model, [1])
        return patches.applied(model, {n: t * 1.5 for n, t in patches.take(model, names).items()})


class Asks(Treatment):
    """Each question with words before it."""

    def __init__(self, words: str = "It is said: ") -> None:
        self.words = words

    def questions(self, rows):
        return rows.assign(prefix=self.words + rows["prefix"])


class Says(Treatment):
    """Words behind each reply, and how it began."""

    def __init__(self, words: str) -> None:
        self.words = words

    def reply(self, question, text):
        return f"{text}{self.words}{question[:1]}"


@pytest.fixture(params=FAMILIES)
def model(request, random_model):
    return random_model(request.param)


@pytest.fixture(scope="module")
def queries(corpus, encoder):
    rows = corpus.texts[corpus.texts["language"].isin(["en", "hi"])]
    return Queries(rows.iloc[:: len(rows) // 6].assign(set="facts"), encoder)


@torch.no_grad()
def plain(model, queries) -> torch.Tensor:
    """Log-probability of each read, each sequence alone through the model's own forward."""
    logits = [model(input_ids=torch.tensor([sequence])).logits[0].float() for sequence in queries.sequences]
    points = queries.read_points.tolist()
    where = [(int(queries.point_rows[p]), int(queries.point_places[p])) for p in points]
    rows = torch.stack([logits[row][place] for row, place in where]).log_softmax(-1)
    return rows.gather(1, queries.read_tokens[:, None])[:, 0]


def by_rows(model, queries) -> sections.Texts:
    return sections.Texts(model, queries.sequences)


def agree(model, queries, *treatments) -> Answers:
    """The subject's answers, which are those of the plain model that is called itself, and not the model's own."""
    subject = Subject(model, treatments)
    with subject.installed():
        found = subject.ask(queries)
    with subject.installed(plain=True):
        expected = plain(model, queries)
    assert torch.allclose(found.logprob, expected, atol=1e-4)
    assert not torch.allclose(found.logprob, plain(model, queries), atol=1e-2), "it does something"
    return found


@pytest.mark.parametrize("start", [0, 1, 2])
def test_states_are_treated_alike_by_rows_and_by_the_plain_model(model, queries, start):
    agree(model, queries, Flips(start))


def test_logits_are_treated_alike_by_tree_by_rows_and_by_the_plain_model(model, queries):
    found, subject = agree(model, queries, Bends()), Subject(model, [Bends()])
    with subject.installed():
        rows = subject.ask(queries, by_rows(model, queries))
        tokens = subject.ask(queries, queries.texts(model))
    assert torch.allclose(rows.logprob, found.logprob, atol=1e-4)
    assert torch.equal(tokens.rank, found.rank)
    assert torch.allclose(tokens.logprob, found.logprob, atol=1e-4)


def test_embeddings_are_treated_alike_by_every_path(model, queries):
    found, subject = agree(model, queries, Shrinks()), Subject(model, [Shrinks()])
    with subject.installed():
        assert torch.allclose(queries.run(model, by_rows(model, queries)).logprob, found.logprob, atol=1e-4)
    # States of the model as it was are none of the subject's.
    texts = queries.texts(model)
    texts.advance(2)
    with subject.installed():
        assert torch.allclose(subject.ask(queries, texts).logprob, found.logprob, atol=1e-4)


def test_weights_are_treated_alike_and_kept_states_are_not_taken_for_theirs(model, queries):
    found, subject = agree(model, queries, Scales()), Subject(model, [Scales()])
    texts = queries.texts(model)
    texts.advance(2)
    with subject.installed():
        assert torch.allclose(subject.ask(queries, texts).logprob, found.logprob, atol=1e-4)
        assert torch.allclose(subject.lens(queries, texts)[-1].logprob, found.logprob, atol=1e-4)


def attack(kind, model, band, **settings):
    victim = Victim(model, None, None, Band.named(band, DEPTH), (), (), "", 0)  # ty: ignore[invalid-argument-type]
    return kind(kind.Settings(**settings), victim)


@pytest.mark.parametrize("block", [0, *(pytest.param(block, marks=pytest.mark.in_turn) for block in (1, DEPTH - 1))])
def test_a_mixed_block_is_mixed_alike_by_the_engine_and_by_hooks(model, queries, block):
    for each in (attack(Bypass, model, str(block)), attack(Mix, model, str(block), share=0.3)):
        found, subject = agree(model, queries, each), Subject(model, [each])
        for texts in (by_rows(model, queries), queries.texts(model)):
            texts.advance(block)
            with subject.installed():
                assert torch.allclose(subject.ask(queries, texts).logprob, found.logprob, atol=1e-4)
        # What stands in the block goes with it; below, inside and above.
        for start in (0, block):
            agree(model, queries, Flips(start), each)
            agree(model, queries, each, Flips(start), Bends())
    texts.advance(DEPTH)
    with subject.installed(), pytest.raises(ValueError, match=f"at block {DEPTH}, but the subject .* block {block}"):
        subject.ask(queries, texts)


def test_treatments_act_in_their_order(model, queries):
    one = agree(model, queries, Flips(1), Flips(1, every=2), Shrinks(), Bends())
    other = agree(model, queries, Bends(), Shrinks(), Flips(1, every=2), Flips(1))
    assert torch.allclose(one.logprob, other.logprob, atol=1e-4) is False
    both = Subject(model, [Flips(1)]).with_(Bends())
    assert [t.name for t in both.treatments] == ["flips", "bends"]


def test_one_that_never_fires_gives_the_models_own_bits_and_uses_no_tree(model, queries, monkeypatch):
    texts = by_rows(model, queries)
    texts.advance(1)
    base, alone = queries.run(model, texts), plain(model, queries)
    subject = Subject(model, [Flips(1, every=0)])
    shared = queries.texts(model)
    monkeypatch.setattr(tree, "run", lambda *given, **more: pytest.fail("the tree passes hooks over"))
    with subject.installed():
        for own in (None, shared):
            found = subject.ask(queries, own)
            if own is None:
                assert torch.equal(found.logprob, base.logprob)
                assert torch.equal(found.rank, base.rank)
            assert torch.allclose(found.logprob, base.logprob, atol=1e-4)
    with subject.installed(plain=True):
        assert torch.equal(plain(model, queries), alone)


@pytest.mark.parametrize("family", EMBEDDED)
def test_afterwards_model_hooks_and_cache_are_the_models_own(family, random_model, queries, tmp_path):
    """A cache stands on the model before: it is given nothing, and gives nothing, of what is treated."""
    model = copy.deepcopy(random_model(family))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    standing = hooks.on([("model", model)])
    all_points = [Flips(1), Shrinks(), Bends(), Scales(), attack(Mix, model, "2", share=0.5)]

    def filled(name: str, *treatments: Treatment) -> dict[str, bytes]:
        cache.attach(model, PrefixCache(tmp_path / name, 10**8))
        if treatments:
            subject = Subject(model, treatments)
            with pytest.raises(ZeroDivisionError), subject.installed():
                _ = subject.ask(queries).logprob, 1 / 0
            with subject.installed():
                found = subject.ask(queries)
        texts = queries.texts(model)
        texts.advance(2)
        answers = queries.run(model, texts)
        if treatments:
            with subject.installed():
                assert torch.allclose(subject.ask(queries, texts).logprob, found.logprob, atol=1e-4)
        texts.advance(DEPTH)
        cache.attach(model, None)
        assert hooks.on([("model", model)]) == standing
        assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
        entries = {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.safetensors")}
        return {**entries, "answers": answers.logprob.numpy().tobytes()}

    own = filled("plain")
    assert len(own) > 1
    for number, treatments in enumerate(([Flips(1)], [Shrinks()], [Bends()], all_points[:3], all_points)):
        assert filled(f"treated {number}", *treatments) == own


def test_states_whose_tokens_nobody_knows_are_an_error(model, queries):
    ids = torch.tensor([queries.sequences[0]])
    hidden = sections.embed(model, ids)
    with Subject(model, [Flips(1)]).installed():
        sections.run(model, hidden, 0, DEPTH, ids=ids)
        with pytest.raises(RuntimeError, match=r"\(flips\) does not know which tokens block 1 reads"):
            sections.run(model, hidden, 0, DEPTH)
        reading(model, ids[:, :-1])
        with pytest.raises(RuntimeError, match="does not know which tokens"):
            model(inputs_embeds=hidden)
    with Subject(model, [Bends()]).installed(plain=True), pytest.raises(RuntimeError, match=r"\(bends\) needs the tok"):
        model(inputs_embeds=hidden)


def test_questions_are_replaced_and_answered(trained_model, corpus, encoder):
    model = trained_model("llama")
    evaluator = Evaluator(model, encoder, corpus, ["en"], [0])
    tokens, answers = evaluator.evaluate(Subject(model, [Asks("Now: "), Asks()]))
    rows = evaluator.queries.rows
    # The last one hears the question first: it stands nearest to whoever asks.
    expected = Queries(rows.assign(prefix="Now: It is said: " + rows["prefix"]), encoder)
    assert tokens["logprob"].equals(expected.run(model, expected.texts(model)).tokens()["logprob"])
    base, plain_answers = evaluator.evaluate()
    assert not tokens["logprob"].equals(base["logprob"])
    assert answers["item"].equals(plain_answers["item"])
    assert not answers["text"].equals(plain_answers["text"])


@pytest.mark.parametrize("block", [-1, DEPTH])
def test_a_block_that_is_none_cannot_be_mixed(random_model, block):
    kind = type("Skips", (Treatment,), {"name": "skips", "mixed": lambda self, depth: {block: 0.0}})
    with pytest.raises(ValueError, match=rf"^skips\.mixed names block {block}, must be one of 0 to {DEPTH - 1}"):
        Subject(random_model("llama"), [kind()]).start  # noqa: B018


def test_a_guard_above_the_last_block_is_none(random_model, queries):
    model = random_model("llama")
    subject = Subject(model, [Flips(DEPTH + 5)])
    with subject.installed():
        assert torch.allclose(subject.ask(queries).logprob, Subject(model).ask(queries).logprob, atol=1e-4)


SPOILED = {
    "nothing": lambda given: None,
    "another type": lambda given: given.numpy(),
    "another shape": lambda given: given[..., :-1],
    "other numbers": lambda given: given.double(),
}


@pytest.mark.parametrize("spoiled", SPOILED)
@pytest.mark.parametrize("point", ["states", "embeddings", "logits"])
def test_what_cannot_stand_in_the_place_of_the_models_is_told(random_model, queries, point, spoiled):
    def spoil(self, *given):
        return SPOILED[spoiled](given[1] if point == "states" else given[0])

    model = random_model("llama")
    subject = Subject(model, [type("Spoils", (Treatment,), {"name": "spoils", point: spoil})()])
    with subject.installed(), pytest.raises(ValueError, match=rf"^spoils\.{point}.* returned .*, must be .*\[\d+, \d+"):
        subject.ask(queries)
    with subject.installed(plain=True), pytest.raises(ValueError, match=rf"^spoils\.{point}.* returned"):
        model(input_ids=torch.tensor([queries.sequences[0]]))


@pytest.mark.parametrize(
    "spoil",
    [lambda rows: rows[1:], lambda rows: rows[::-1], lambda rows: rows.drop(columns="prefix")],
    ids=["one less", "another order", "a column less"],
)
def test_questions_that_are_none_for_each_are_told(random_model, queries, spoil):
    kind = type("Spoils", (Treatment,), {"name": "spoils", "questions": lambda self, rows: spoil(rows)})
    with pytest.raises(ValueError, match=rf"^spoils\.questions must give one row for each of the {len(queries.rows)} "):
        Subject(random_model("llama"), [kind()]).questions(queries.rows)


def test_replies_are_replaced_in_the_order_of_treatments(trained_model, corpus, encoder):
    model = trained_model("llama")
    evaluator = Evaluator(model, encoder, corpus, ["en"], [0])
    subject = Subject(model, [Says("!"), Says("?")])
    assert subject.reply("Where", "Rome") == "Rome!W?W"
    tokens, answers = evaluator.evaluate(subject)
    base, _ = evaluator.evaluate()
    assert tokens["logprob"].equals(base["logprob"]), "what the model knows is what it was"
    facts = evaluator.queries.rows.query("set == 'facts'")
    assert all(t.endswith(f"?{p[0]}") for t, p in zip(answers["text"], facts["prefix"]))


@pytest.mark.parametrize("treatment", [Flips(1), Bends(), Shrinks(), Scales()])
def test_what_is_said_is_what_the_treated_model_would_say(trained_model, corpus, encoder, treatment):
    model = trained_model("bloom")
    mixing = attack(Mix, model, "1", share=0.5)
    evaluator = Evaluator(model, encoder, corpus, ["en"], [0])
    subject = Subject(model, [treatment, mixing])
    _, answers = evaluator.evaluate(subject)
    rows = evaluator.queries.rows.query("set == 'facts'")
    with subject.installed(plain=True), torch.no_grad():
        for i in range(0, len(rows), 9):
            said, texts = encoder.prompt(rows["prefix"].iloc[i]), []
            start = len(said)
            for _ in range(max(len(encoder.answer(rows["prefix"].iloc[i], o)) for o in rows["options"].iloc[i])):
                said.append(int(model(input_ids=torch.tensor([said])).logits[0, -1].argmax()))
                texts.append(encoder.tokenizer.decode(said[start:], skip_special_tokens=True).strip())
                if said[-1] in encoder.end:
                    break
            assert answers["text"].iloc[i] in texts
