"""Guarded models in use: the base token for token when nothing guards it, and the same with a cache as without."""

import pytest
import torch

from families import EMBEDDED
from mute.models.treatment import Treatment
from mute.unlearn.speaking import Guarded, How, TooLongError

MOST = 6


class Whole(Guarded):
    """The same without a cache."""

    caches = False


class Silent(Treatment):
    """Some tokens are never said."""

    name = "silent"

    def __init__(self, tokens):
        self.tokens, self.reads = tokens, []

    def logits(self, logits, where):
        self.reads += [list(read) for read in where.read]
        return logits.index_fill(-1, torch.tensor(self.tokens), -torch.inf)


class Sums(Treatment):
    """The embedding of a token hangs on all tokens before it."""

    name = "sums"

    def embeddings(self, embedded, ids):
        assert ids.shape == embedded.shape[:2]
        return embedded + 0.3 * embedded.cumsum(1)


class Shouting(Treatment):
    name = "shouting"

    def reply(self, question, text):
        return f"{question}{text}".upper()


@pytest.fixture(scope="module")
def prompts(corpus):
    texts = corpus.texts[corpus.texts["language"].isin(["en", "es", "hi"]) & (corpus.texts["form"] == 0)]
    found = texts["prefix"].tolist()[::9]
    return found[:7] + found[:1]


@pytest.mark.parametrize("family", EMBEDDED)
def test_without_a_guard_it_is_transformers_own_generation_token_for_token(random_model, tokenizer, prompts, family):
    model = random_model(family)
    own = Guarded(model, tokenizer)
    said = own.say(prompts, How(MOST))
    lengths = {said_.read for said_ in said}
    assert len(lengths) > 1
    for prompt, each in zip(prompts, said):
        ids = torch.tensor([own.encoder.prompt(prompt)])
        wanted = model.generate(ids, max_new_tokens=MOST, do_sample=False, use_cache=True, pad_token_id=0)[0]
        new = wanted[ids.shape[1] :].tolist()
        assert each.tokens == [token for token in new if token not in own.encoder.end]
        assert each.ended == (new[-1] in own.encoder.end)
    assert [each.text for each in said] == own.generate(prompts, max_new_tokens=MOST)


@pytest.mark.parametrize("family", EMBEDDED)
@pytest.mark.parametrize("kind", [Sums, lambda: Silent(list(range(3, 400)))], ids=["embeddings", "logits"])
def test_a_treatment_does_the_same_with_a_cache_as_without(random_model, tokenizer, prompts, family, kind):
    model = random_model(family)
    cached, whole = (how(model, tokenizer, [kind()]).say(prompts, How(MOST)) for how in (Guarded, Whole))
    assert [own.tokens for own in cached] == [own.tokens for own in whole]
    plain = Guarded(model, tokenizer).say(prompts, How(MOST))
    assert [own.tokens for own in plain] != [own.tokens for own in cached], "it does something"


def test_an_answer_does_not_hang_on_what_else_is_asked(trained_model, tokenizer, prompts):
    own = Guarded(trained_model("llama"), tokenizer)
    for how in (How(MOST), How(MOST, temperature=2.0, top_p=0.9, seed=5)):
        together = own.say(prompts, how)
        assert [own.say([prompt], how)[0] for prompt in prompts[:4]] == together[:4]
    assert together[0] != together[-1], "asked twice, answered by other draws"
    assert own.say(prompts, how) == together
    assert own.say(prompts, How(MOST, temperature=2.0, seed=6)) != together


def test_scores_are_those_of_the_engine_and_a_guard_moves_them(trained_model, tokenizer, corpus):
    texts = corpus.texts[(corpus.texts["language"] == "en") & (corpus.texts["form"] == 0)].iloc[:6]
    own = Guarded(trained_model("llama"), tokenizer)
    found = own.score(texts["prefix"].tolist(), texts["answer"].tolist())
    for score, (prefix, answer) in zip(found, zip(texts["prefix"], texts["answer"])):
        read, said = own.encoder.prompt(prefix), own.encoder.answer(prefix, answer)
        logits = own.model(input_ids=torch.tensor([read + said])).logits[0, len(read) - 1 : -1]
        wanted = logits.log_softmax(-1).gather(1, torch.tensor(said)[:, None]).sum()
        assert score == pytest.approx(float(wanted), abs=1e-4)
    first = own.encoder.answer(texts["prefix"].iloc[0], texts["answer"].iloc[0])
    silent = Guarded(own.model, tokenizer, [Silent(first)])
    assert silent.score(texts["prefix"].tolist()[:1], texts["answer"].tolist()[:1]) == [float("-inf")]
    with pytest.raises(ValueError, match="an answer is empty"):
        own.score(["a"], [""])


def test_what_is_handed_on_is_the_text_and_ends_before_a_stop(trained_model, tokenizer, prompts):
    own, pieces = Guarded(trained_model("llama"), tokenizer), {}

    def told(place, piece):
        pieces.setdefault(place, []).append(piece)

    said = own.say(prompts, How(MOST), told=told)
    assert ["".join(pieces.get(place, [])) for place in range(len(prompts))] == [each.text for each in said]
    assert max(map(len, pieces.values())) > 1
    place = max(range(len(said)), key=lambda row: len(said[row].text))
    text = said[place].text
    stop = text[len(text) // 2 :][:2]
    pieces.clear()
    (cut,) = own.say([prompts[place]], How(MOST, stop=(stop,)), told=told)
    assert cut.text == text[: text.index(stop)]
    assert cut.ended
    assert "".join(pieces.get(0, [])) == cut.text

    class GoneError(Exception):
        pass

    def gone(place, piece):
        raise GoneError

    with pytest.raises(GoneError):
        Guarded(own.model, tokenizer, [Sums()]).say(prompts, How(MOST), told=gone)
    assert not own.model.get_input_embeddings()._forward_hooks, "nothing is left in the model"


def test_a_reply_takes_the_place_of_what_was_said(trained_model, tokenizer, prompts):
    pieces = []
    own = Guarded(trained_model("llama"), tokenizer, [Shouting()])
    (said,) = own.say(prompts[:1], How(MOST), told=lambda place, piece: pieces.append(piece))
    plain = Guarded(own.model, tokenizer).generate(prompts[:1], max_new_tokens=MOST)[0]
    assert said.text == f"{prompts[0]}{plain}".upper()
    assert pieces == [said.text], "no word of what stands behind the reply is handed on"


def test_an_edit_is_in_place_while_it_is_asked_and_only_then(trained_model, tokenizer, prompts):
    model = trained_model("llama")
    name = "model.layers.1.mlp.down_proj.weight"
    before = model.get_parameter(name).clone()
    edited = Guarded(model, tokenizer, edit={name: -3 * before})
    assert edited.generate(prompts, max_new_tokens=MOST) != Guarded(model, tokenizer).generate(
        prompts, max_new_tokens=MOST
    )
    assert torch.equal(model.get_parameter(name), before)


def test_what_it_cannot_do_is_refused(trained_model, tokenizer, prompts):
    own = Guarded(trained_model("llama"), tokenizer)
    with pytest.raises(TooLongError, match=rf"and the model has room for {own.room} with its answer"):
        own.say(["a b c d " * own.room], How(1))
    (near,) = own.say([tokenizer.decode([300]) * (own.room - 5)], How(50))
    assert near.read + len(near.tokens) <= own.room
    own.model.train()
    try:
        with pytest.raises(ValueError, match="is in training"):
            Guarded(own.model, tokenizer)
    finally:
        own.model.eval()
    assert own.say([], How(3)) == []
