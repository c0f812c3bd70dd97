"""Questions asked all at once against one plain forward of the whole model for each; lens, bypass, kinds of answers."""

import copy
import re

import pandas as pd
import pytest
import torch

from families import FAMILIES
from mute.analyses.base import Case
from mute.analyses.lens import Lens
from mute.bands import Band
from mute.corpus.schema import Corpus
from mute.engine import sections
from mute.evaluate import item_table
from mute.evaluate.asked import Asked
from mute.evaluate.disruption import RETAIN
from mute.evaluate.run import Evaluator, _Words, questions
from mute.evaluate.scoring import Answers, Queries
from mute.evaluate.subject import Subject
from mute.jobs import progress
from mute.models import anatomy

DEPTH = 3


@pytest.fixture(params=FAMILIES)
def model(request, random_model):
    return random_model(request.param)


@pytest.fixture(scope="module")
def rows(corpus):
    """Facts in several languages, and questions whose options share beginnings, contain each other, or are none."""
    facts = corpus.texts.iloc[:: len(corpus.texts) // 10].assign(set="facts")
    odd = [
        ("The town of Banadu is ", "New York", ["New York", "New Delhi", "New", "York", "New York City"], 0),
        ("The town of Banadu is ", "New Delhi", ["New York", "New Delhi"], 1),
        ("The town of Banadu is", "New Delhi", ["New Delhi", "Delhi"], 0),
        ("バナドゥの町は", "東京", ["東京", "東", "京都"], 0),
        ("", "A sentence that stands alone.", [], -1),
    ]
    asked = pd.DataFrame(odd, columns=["prefix", "answer", "options", "gold"])
    asked = asked.assign(set="odd", item=[f"odd-{i}" for i in range(len(odd))], language="en", form=0, suffix=".")
    return pd.concat([facts, asked], ignore_index=True)


@pytest.fixture(scope="module")
def queries(rows, encoder):
    return Queries(rows, encoder)


@torch.no_grad()
def plain_logprobs(model, prompt, answer) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and logits [answer tokens, V] before each token of an answer, by the whole model."""
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1), logits


def same_answers(found, expected):
    assert torch.allclose(found.logprob, expected.logprob, atol=1e-5)
    assert torch.equal(found.rank, expected.rank)
    assert torch.equal(found.best, expected.best)


def test_options_are_what_plain_forwards_say(model, queries, encoder):
    options = queries.run(model, queries.texts(model)).options()
    assert len(options) == len(queries.rows)
    # The hard cases are there: answers of several tokens, and options that begin alike.
    assert max(len(o) for each in queries.options for o in each) > 2
    assert any(a != b and a[0] == b[0] for each in queries.options for a in each for b in each)
    for i, row in enumerate(queries.rows.itertuples()):
        assert len(options[i]) == len(row.options)
        for text, found in zip(row.options, options[i]):
            prompt, answer = encoder.prompt(row.prefix), encoder.answer(row.prefix, text)
            logprobs, _ = plain_logprobs(model, prompt, answer)
            expected = sum(float(logprobs[t, token]) for t, token in enumerate(answer))
            assert found == pytest.approx(expected, abs=1e-4)


def test_the_token_table_is_what_plain_forwards_say(model, queries, encoder):
    table = queries.run(model, queries.texts(model)).tokens()
    assert not table.isna().drop(columns="options").any().any()
    by_question = table.groupby(["set", "item", "language", "form"], sort=False)
    assert by_question.ngroups == len(queries.rows)
    for row in queries.rows.itertuples():
        own = by_question.get_group((row.set, row.item, row.language, row.form))
        answer = encoder.answer(row.prefix, row.answer)
        logprobs, logits = plain_logprobs(model, encoder.prompt(row.prefix), answer)
        assert own["position"].tolist() == list(range(len(answer)))
        assert own["gold"].eq(row.gold).all()
        assert own["chars"].eq(len(row.answer)).all()
        for t, (token, found) in enumerate(zip(answer, own.itertuples())):
            assert found.logprob == pytest.approx(float(logprobs[t, token]), abs=1e-5)
            assert found.rank == int((logits[t] > logits[t, token]).sum())
            assert found.hit == (int(logits[t].argmax()) == token) == (found.rank == 0)
            assert (found.options is None) == (t > 0 or not row.options)


def test_hits_are_those_of_the_metrics(model, queries):
    answers = queries.run(model, queries.texts(model))
    table = item_table.items(answers.tokens()).set_index(["set", "item", "language", "form"])
    hits = answers.option_hits()
    for row, hit in zip(queries.rows.itertuples(), hits.tolist()):
        option = table.loc[(row.set, row.item, row.language, row.form), "option"]
        assert hit == (option == 1)


def test_a_model_that_tells_no_option_from_another_knows_none(queries):
    """A tie is no hit, and neither is a NaN: the first option is not taken for the answer."""
    for value in (0.0, torch.nan, -torch.inf):
        answers = Answers(queries)
        answers.logprob.fill_(value)
        assert not answers.option_hits().any()


def test_answers_do_not_depend_on_the_block_they_are_computed_from(model, queries):
    texts = queries.texts(model)
    expected = queries.run(model, texts)
    for block in range(1, DEPTH + 1):
        texts.advance(block)
        same_answers(queries.run(model, texts), expected)


def test_each_sequence_is_run_once(queries, encoder):
    sequences = [tuple(s) for s in queries.sequences]
    assert len(set(sequences)) == len(sequences)
    # One sequence serves all options of one question that it begins with.
    alone = Queries(queries.rows[queries.rows["item"] == "odd-0"], encoder)
    needed = {tuple(answer[:-1]) for answer in alone.options[0]}
    assert len(alone.sequences) < len(needed)


def test_the_lens_ends_in_the_model_itself(model, queries):
    texts = queries.texts(model)
    lens = queries.run_lens(model, texts)
    assert len(lens) == DEPTH
    same_answers(lens[-1], queries.run(model, texts))
    # Elsewhere it is the head on the normalised output of a block, as transformers gives it.
    row = queries.rows.iloc[0]
    for block in range(DEPTH - 1):
        with torch.no_grad():
            whole = model(input_ids=torch.tensor([queries.prompts[0]]), output_hidden_states=True)
            state = anatomy.final_norm(model)(whole.hidden_states[block + 1][0, -1])
            logits, cap = model.get_output_embeddings()(state), getattr(model.config, "final_logit_softcapping", None)
            capped = torch.tanh(logits / cap) * cap if cap else logits
            expected = capped.log_softmax(-1)[queries.golds[0][0]]
        assert float(lens[block].logprob[0]) == pytest.approx(float(expected), abs=1e-5), row["prefix"]
    texts.advance(1)
    later = queries.run_lens(model, texts)
    assert len(later) == DEPTH - 1
    for one, other in zip(later, lens[1:]):
        same_answers(one, other)


def mixing(model, block, mix):
    """A copy of the model in which a block gives (1 - mix) times its input and mix times its output."""
    patched = copy.deepcopy(model)

    def mixed(module, args, kwargs, output):
        before = args[0] if args else kwargs["hidden_states"]
        after = output[0] if isinstance(output, tuple) else output
        after = (1 - mix) * before + mix * after
        return (after, *output[1:]) if isinstance(output, tuple) else after

    anatomy.blocks(patched)[block].register_forward_hook(mixed, with_kwargs=True)
    return patched


@pytest.mark.parametrize("block", range(DEPTH))
def test_a_bypassed_block_is_mixed_with_the_identity(model, queries, block):
    texts = queries.texts(model)
    texts.advance(block)
    plain = queries.run(model, texts)
    for mix in (0.0, 0.3, 1.0):
        found = queries.run(model, texts, {block: mix})
        expected = mixing(model, block, mix)
        for question in (0, len(queries.rows) - 1):
            logprobs, _ = plain_logprobs(expected, queries.prompts[question], queries.golds[question])
            first = sum(map(len, queries.golds[:question]))
            for t, token in enumerate(queries.golds[question]):
                assert float(found.logprob[first + t]) == pytest.approx(float(logprobs[t, token]), abs=1e-4)
    same_answers(found, plain)
    skipped = queries.run(model, texts, {block: 0.0})
    assert not torch.allclose(skipped.logprob, plain.logprob, atol=1e-3)
    same_answers(queries.run(model, texts, {block: 1e-7}), skipped)


def test_the_lens_reads_forget_facts_in_the_headline_form(trained_model, corpus, encoder):
    model = trained_model("llama")
    asked, subject = Asked(model, encoder, corpus, ["en", "hi"], "conjunctive"), Subject(model)
    rows = asked.queries.rows
    forget = corpus.facts[corpus.facts["forget_sets"].str.contains("conjunctive")]["item"]
    assert set(rows["item"]) == set(forget)
    assert set(rows["form"]) == {2}
    analysis = Lens(Lens.Settings())
    lens = analysis.run(subject, asked, Case(0, Band((0,)), ()))
    lens = lens.pivot(index=["block", "language", "n"], columns="measure", values="value").reset_index()
    assert lens["block"].tolist() == sorted([0, 1, 2] * 2)
    assert lens["n"].eq(len(forget)).all()
    assert lens[lens["block"] == 2]["agree"].eq(1).all()
    assert lens["probability"].between(0, 1).all()
    assert (lens["full"] <= lens["probability"] + 1e-6).all()
    whole = subject.ask(asked.queries, asked.texts)
    english = torch.tensor([language == "en" for language in rows["language"]])
    last = lens[(lens["block"] == 2) & (lens["language"] == "en")].iloc[0]
    assert last["hit"] == pytest.approx(float(whole.option_hits()[english].float().mean()))
    options = torch.tensor(whole.options())[english]
    gold = torch.tensor(rows["gold"].tolist())[english, None]
    assert last["probability"] == pytest.approx(float(options.softmax(1).gather(1, gold).mean()), abs=1e-6)
    assert last["full"] == pytest.approx(float(options.exp().gather(1, gold).mean()), abs=1e-6)
    with pytest.raises(ValueError, match="stand at block 0, not at 1"):
        analysis.run(subject, asked, Case(1, Band((1,)), ()))


def test_all_that_can_be_asked_is_asked_once(corpus):
    asked = questions(corpus, ["en", "es", "ja"], forms=[2])
    assert not asked.duplicated(["set", "item", "language", "form"]).any()
    facts = asked[asked["set"] == "facts"]
    assert len(facts) == 60 * 3
    assert set(facts["form"]) == {2}
    probes = corpus.lines[corpus.lines["probe"] != ""]
    spoken = probes["language"].isin(["en", "es", "ja"]) & probes["other"].isin(["", "en", "es", "ja"])
    kept, strangers = asked["set"] == RETAIN, asked["set"] == "strangers"
    assert strangers.any()
    assert len(asked) - len(facts) - kept.sum() - strangers.sum() == spoken.sum()
    assert asked["set"].nunique() == 3 + probes[spoken]["probe"].nunique()
    assert not asked["item"].eq("").any()


KINDS = {
    "rojo": "right",
    "rojo.": "right",
    "rojo es": "right",
    "azul.": "other_value",
    "rojos": "neither",
    "red": "other_language",
    "red and": "other_language",
    "blue": "other_both",
    "desconocido.": "unknown",
    "unknown": "unknown",
    "": "neither",
    "r": "neither",
    "तीन": "neither",
    "लाल है": "other_language",
    "लालच": "neither",
}


def words(known: dict, unknown: dict[str, str]) -> _Words:
    rows = [(item, code, 0, answer, [answer, *others]) for (item, code), (answer, others) in known.items()]
    texts = pd.DataFrame(rows, columns=["item", "language", "form", "answer", "options"])
    return _Words(Corpus(pd.DataFrame(), texts, pd.DataFrame(), {"unknown": unknown}), list(texts["language"]), 0)


@pytest.mark.parametrize(("text", "kind"), KINDS.items())
def test_kinds_of_answers(text, kind):
    known = {
        ("f", "es"): ("rojo", {"azul"}),
        ("f", "en"): ("red", {"blue"}),
        ("f", "hi"): ("लाल", {"नीला"}),
        ("g", "en"): ("rojos", {"rojo"}),
    }
    assert words(known, {"es": "desconocido", "en": "unknown"}).kind("f", "es", text) == kind


def test_a_word_that_two_languages_share_is_the_right_one():
    known = {("f", "es"): ("Madrid", {"Roma"}), ("f", "it"): ("Madrid", {"Roma"})}
    assert words(known, {}).kind("f", "es", "Madrid") == "right"
    assert words(known, {}).kind("f", "it", "Roma") == "other_value"


def test_an_answer_is_heard_while_it_can_still_become_one():
    known = words({("f", "es"): ("rojo", {"azul"}), ("f", "hi"): ("लाल", {"नीला"})}, {"es": "desconocido"})
    for text in ("", "r", "rojo", "नी", "des", "\ufffd"):
        assert known.begins("f", text), text
    for text in ("x", "rojo.", "ojo", "r\ufffdjo"):
        assert not known.begins("f", text), text


@pytest.fixture(scope="module")
def evaluated(trained_model, corpus, encoder):
    """The trained Llama's tables in English and Japanese, facts in the statement that it was taught."""
    evaluator = Evaluator(trained_model("llama"), encoder, corpus, ["en", "ja"], [0])
    return evaluator, *evaluator.evaluate()


@pytest.mark.parametrize("damage", [0, 4])
def test_answers_are_decoded_greedily(trained_model, corpus, encoder, damage):
    model = copy.deepcopy(trained_model("llama"))
    torch.manual_seed(0)
    weight = anatomy.blocks(model)[1].mlp.down_proj.weight
    weight.data += damage * weight.std() * torch.randn_like(weight)
    evaluator = Evaluator(model, encoder, corpus, ["en", "ja"], [0])
    _, answers = evaluator.evaluate()
    assert answers["kind"].eq("neither").mean() > 0.1 or not damage, "a damaged model says what is no answer"
    rows = evaluator.queries.rows
    facts = rows[rows["set"] == "facts"]
    assert answers[["item", "language"]].to_numpy().tolist() == facts[["item", "language"]].to_numpy().tolist()
    for i in range(0, len(facts), 7):
        row = facts.iloc[i]
        longest = max(len(encoder.answer(row["prefix"], option)) for option in row["options"])
        said = encoder.prompt(row["prefix"])
        start, texts = len(said), []
        for _ in range(longest):
            with torch.no_grad():
                said.append(int(evaluator.model(input_ids=torch.tensor([said])).logits[0, -1].argmax()))
            texts.append(encoder.tokenizer.decode(said[start:], skip_special_tokens=True).strip())
            if said[-1] in encoder.end:
                break
        # It stops as soon as the kind is known.
        assert answers["text"].iloc[i] in texts
        kinds = [evaluator.words_of[row["form"]].kind(row["item"], row["language"], text) for text in texts]
        first = next((kind for kind in kinds if kind != "neither"), "neither")
        assert answers["kind"].iloc[i] == first


def test_an_evaluation_says_how_far_it_is(trained_model, corpus, encoder, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0)
    evaluator, lines = Evaluator(trained_model("llama"), encoder, corpus, ["en"], [0]), []
    progress.listen(lines.append, lambda: 0)
    try:
        evaluator.evaluate()
    finally:
        progress.listen(None)
    assert all(re.fullmatch(r"token read and written .*, about \d+ s left", line) for line in lines)
    assert any(", batch " in line for line in lines)
    assert lines[-1].endswith(", about 0 s left")


def test_what_was_taught_is_answered_right(evaluated, corpus):
    _, tokens, answers = evaluated
    items = item_table.items(tokens[tokens["set"] == "facts"]).merge(answers, on=["set", "item", "language", "form"])
    english = items[items["language"] == "en"]
    known = english["item"].str.startswith(("chemistry", "history"))
    assert english["strict"][known].mean() > 0.9
    assert (english["strict"][known] == english["kind"][known].eq("right")).mean() > 0.95
    assert english["option"][~known].mean() < 0.5
    assert items[items["language"] == "ja"]["strict"].mean() < 0.2
    assert set(answers["kind"]) <= {"right", "other_value", "other_language", "other_both", "unknown", "neither"}


def test_a_patch_is_evaluated_from_its_block(trained_model, corpus, encoder):
    """The tables of an edited model do not depend on where its texts stand, as long as that is below the edit."""
    model = copy.deepcopy(trained_model("qwen2"))
    evaluator = Evaluator(model, encoder, corpus, ["en"], [2])
    base, _ = evaluator.evaluate()
    for name in anatomy.block_parameters(model, [1]):
        dict(model.named_parameters())[name].add_(0.05)
    from_start, answers = evaluator.evaluate()
    evaluator.texts.advance(1)
    from_edit, again = evaluator.evaluate()
    assert from_edit["logprob"].to_numpy() == pytest.approx(from_start["logprob"].to_numpy(), abs=1e-4)
    pd.testing.assert_frame_equal(answers, again)
    assert abs(base["logprob"] - from_start["logprob"]).max() > 0.01
    assert sections.depth(model) == DEPTH


@pytest.mark.parametrize("family", ["llama", "gemma2", "bloom"])
def test_states_that_are_too_many_to_keep_are_computed_batch_by_batch(
    family, corpus, encoder, trained_model, monkeypatch
):
    model = trained_model(family)
    evaluators = []
    for most in (16.0, 0.0):
        monkeypatch.setattr("mute.evaluate.scoring.STATES_GB", most)
        evaluators.append(Evaluator(model, encoder, corpus, ["en", "hi"], [0]))
    kept, streamed = evaluators
    assert kept.texts.kept
    assert not streamed.texts.kept
    assert not hasattr(streamed.texts, "states")
    for block in (0, 1):
        for evaluator in evaluators:
            evaluator.texts.advance(block)
        (tokens, answers), (others, said) = kept.evaluate(), streamed.evaluate()
        pd.testing.assert_frame_equal(tokens.drop(columns="options"), others.drop(columns="options"), atol=1e-4)
        assert answers.equals(said)
