"""TOFU's measures against their definitions written out, and on a model that is asked for real."""

import copy
import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
import test_tofu_source as source
from hypothesis import given, settings
from hypothesis import strategies as st

from mute.evaluate import rouge, tables
from mute.evaluate.board import Board, summary
from mute.evaluate.measures import Context, tofu
from mute.evaluate.panel import Measure, Panel, groups_of, over_groups
from mute.evaluate.run import Evaluator

LANGUAGES = ["en", "es", "hi"]
SIZES = {"forget10_perturbed": 8, "retain_perturbed": 10, "real_authors_perturbed": 5, "world_facts_perturbed": 5}
NINE = [
    f"tofu_{m} {s}" for m in ("probability", "rouge", "truth_ratio") for s in ("retain", "real_authors", "world_facts")
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return source.build(source.write(tmp_path_factory.mktemp("tofu"), sizes=SIZES))


def token_table(corpus, seed: int) -> pd.DataFrame:
    """What a model might give for every question: random log-probabilities."""
    rng = np.random.default_rng(seed)
    rows = []
    for text in corpus.texts[corpus.texts["form"].isin([0, 1])].itertuples():
        lengths = rng.integers(1, 5, len(text.options)).tolist()
        logprobs = [-rng.uniform(0.2, 2.5, length) for length in lengths]
        for position, logprob in enumerate(logprobs[0]):
            first = position == 0
            rows.append(
                {
                    "set": "facts",
                    "item": text.item,
                    "language": text.language,
                    "form": text.form,
                    "position": position,
                    "logprob": logprob,
                    "hit": bool(rng.random() < 0.5),
                    "options": [float(own.sum()) for own in logprobs] if first else None,
                    "option_tokens": lengths if first else None,
                    "option_chars": [len(o) for o in text.options] if first else None,
                    "gold": 0,
                    "chars": len(text.answer),
                }
            )
    return pd.DataFrame(rows)


def answer_table(corpus, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = corpus.texts[corpus.texts["form"].isin([0, 1])]
    said = [answer[: int(rng.integers(0, len(answer) + 1))] for answer in rows["answer"]]
    keys = rows[["item", "language", "form"]].reset_index(drop=True)
    return keys.assign(set="facts", text=said, kind="neither")


def scored(corpus, tokens, answers, oracle=None, draws=20) -> pd.DataFrame:
    found = {"cell": tables.measured(tokens, corpus)}
    if oracle is not None:
        found["oracle"] = tables.measured(oracle, corpus)
    setting = {"source": ["en", "es"], "heldout": ["hi"], "headline_form": 1, "draws": draws, "seed": 3}
    board = Board(Panel(found["cell"], corpus.facts, corpus.roles("domain"), **setting))
    tofu.TOFU().score(board, Context(found, answers, corpus))
    return summary(*board.replicates())


def value(scores, metric, facts="", language="", group=None):
    own = scores[(scores["metric"] == metric) & (scores["facts"] == facts) & (scores["language"] == language)]
    own = own if group is None else own[own["group"] == group]
    assert len(own) == 1, (metric, facts, language, len(own))
    return own.iloc[0]


def recall_by_hand(said: str, right: str) -> float:
    """Of texts with spaces between words: every way to leave words out, the longest first."""
    between = r"(?:[^\w\u0900-\u0963\u0971-\u097f]|_)+"
    words, heard = ([word for word in re.split(between, text.casefold()) if word] for text in (right, said))
    for length in range(len(words), 0, -1):
        for chosen in itertools.combinations(words, length):
            rest = iter(heard)
            if all(word in rest for word in chosen):
                return length / len(words)
    return 0.0


def by_hand(corpus, tokens, answers, language: str) -> dict[str, float]:
    """Every number of a language, from sums over plain lists."""
    from sacrebleu import sentence_chrf

    facts, roles = corpus.facts.set_index("item"), corpus.roles("domain")
    found: dict[str, list[float]] = {}
    for (item, form), rows in tokens[tokens["language"] == language].groupby(["item", "form"]):
        role, domain = roles[item], facts.loc[item, "domain"]
        if role == "retain_unseen" and facts.loc[item, "validation"]:
            continue
        name = "retain" if role.startswith("retain") else "forget" if role == "forget" else domain
        first = rows[rows["position"] == 0].iloc[0]
        p = math.exp(rows["logprob"].sum() / len(rows))
        wrong = [math.exp(o / n) for o, n in zip(first["options"][1:], first["option_tokens"][1:])]
        if form == 0:
            p = p / (p + sum(wrong)) if name in ("real_authors", "world_facts") else p
            found.setdefault(f"tofu_probability {name}", []).append(p)
        else:
            ratio = math.prod(wrong) ** (1 / len(wrong)) / p
            true = min(ratio, 1 / ratio) if name == "forget" else max(0.0, 1 - ratio)
            found.setdefault(f"tofu_truth_ratio {name}", []).append(true)
            said = answers[(answers["item"] == item) & (answers["language"] == language) & (answers["form"] == 1)]
            right = corpus.texts.query("item == @item and language == @language and form == 0")["answer"].iloc[0]
            score = sentence_chrf(said["text"].iloc[0], [right]).score / 100
            found.setdefault(f"tofu_chrf {name}", []).append(score)
            found.setdefault(f"tofu_rouge {name}", []).append(recall_by_hand(said["text"].iloc[0], right))
    means = {name: sum(values) / len(values) for name, values in found.items()}
    return means | {"tofu_utility ": 9 / sum(1 / means[name] for name in NINE)}


def test_every_measure_is_what_its_definition_says(corpus):
    tokens, answers = token_table(corpus, 1), answer_table(corpus, 2)
    scores = scored(corpus, tokens, answers)
    hand = {language: by_hand(corpus, tokens, answers, language) for language in LANGUAGES}
    assert len(hand["en"]) == 17
    for name in hand["en"]:
        metric, facts = name.split(" ")
        for language in LANGUAGES:
            assert value(scores, metric, facts, language)["value"] == pytest.approx(hand[language][name], rel=1e-6)
        # A group is the mean of its languages.
        assert value(scores, metric, facts, group="source")["value"] == pytest.approx(
            (hand["en"][name] + hand["es"][name]) / 2, rel=1e-6
        )
    assert (scores["low"] <= scores["value"] + 1e-12).all()
    assert (scores["value"] <= scores["high"] + 1e-12).all()
    # Without an oracle there is nothing to hold truth ratios against.
    assert not scores["metric"].isin(["tofu_forget_quality", "tofu_ks"]).any()


def test_order_of_rows_changes_nothing(corpus):
    tokens, answers = token_table(corpus, 1), answer_table(corpus, 2)
    mixed = tokens.sample(frac=1, random_state=0), answers.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(scored(corpus, *mixed), scored(corpus, tokens, answers))


def permutation_p(a: list[float], b: list[float]) -> float:
    """P(D ≥ observed) over every way to share the values out, by counting."""

    def statistic(left, right):
        return max(abs(np.mean(np.array(left) <= x) - np.mean(np.array(right) <= x)) for x in (*left, *right))

    both, observed = [*a, *b], statistic(a, b)
    splits = list(itertools.combinations(range(len(both)), len(a)))
    others = ([both[i] for i in range(len(both)) if i not in chosen] for chosen in splits)
    as_far = [statistic([both[i] for i in chosen], rest) >= observed - 1e-12 for chosen, rest in zip(splits, others)]
    return sum(as_far) / len(as_far)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 10_000), min_size=6, max_size=8, unique=True), st.integers(1, 5))
def test_forget_quality_is_the_exact_p_value_of_the_kolmogorov_smirnov_test(values, cut):
    a, b = [v / 1000 for v in values[:cut]], [v / 1000 for v in values[cut:]]
    p, statistic = tofu.forget_quality(np.array(a), np.array(b))
    assert p == pytest.approx(permutation_p(a, b), abs=1e-9)
    # A ratio and its inverse say the same.
    inverse = tofu.forget_quality(1 / (1 + np.array(a)), 1 / (1 + np.array(b)))
    assert inverse == pytest.approx((p, statistic))


@pytest.mark.parametrize(("n", "m", "shift"), [(7, 5, 0.5), (60, 45, 0.3), (200, 200, 0.2), (400, 300, 0.6)])
def test_forget_quality_is_what_others_compute(n, m, shift):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(n)
    a, b = rng.random(n), rng.random(m) + shift
    p, statistic = tofu.forget_quality(a, b)
    other = stats.ks_2samp(a, b, method="exact")
    assert statistic == pytest.approx(other.statistic, abs=1e-12)
    assert p == pytest.approx(other.pvalue, rel=1e-6)


def test_small_p_values_are_not_lost():
    """No overlap of n and n values: 2 of the (2n over n) orders."""
    p, statistic = tofu.forget_quality(np.arange(300.0), np.arange(300.0) + 1000)
    assert statistic == 1
    assert p == pytest.approx(2 / math.comb(600, 300), rel=1e-9)
    assert all(math.isnan(x) for x in tofu.forget_quality(np.array([]), np.array([1.0])))


def test_forget_quality_is_1_of_the_oracle_itself_and_small_of_a_model_that_knows(corpus):
    oracle, answers = token_table(corpus, 1), answer_table(corpus, 2)
    knowing = oracle.assign(logprob=np.where(oracle["form"] == 1, oracle["logprob"] / 50, oracle["logprob"]))
    alike = scored(corpus, oracle, answers, oracle)
    apart = scored(corpus, knowing, answers, oracle)
    for language in LANGUAGES:
        row = value(alike, "tofu_forget_quality", "forget", language)
        assert (row["value"], row["n"], row["floor"]) == (1.0, 8, "oracle")
        assert math.isnan(row["low"])
        assert math.isnan(row["high"])
        assert value(apart, "tofu_forget_quality", "forget", language)["value"] < 0.05
        assert value(apart, "tofu_ks", "forget", language)["value"] > 0.6
    # A mean of p-values is none.
    assert not (alike["metric"].eq("tofu_forget_quality") & alike["language"].eq("")).any()


def test_a_model_that_gives_no_numbers_has_no_utility_and_no_forget_quality(corpus):
    tokens, answers = token_table(corpus, 1), answer_table(corpus, 2)
    dead = tokens.assign(logprob=math.nan, options=[o if o is None else [math.nan] * len(o) for o in tokens["options"]])
    scores = scored(corpus, dead, answers.assign(text=""), tokens)
    for language in LANGUAGES:
        for name in NINE:
            assert value(scores, *name.split(" "), language)["value"] == 0
        assert value(scores, "tofu_utility", "", language)["value"] == 0
        assert math.isnan(value(scores, "tofu_forget_quality", "forget", language)["value"])


@pytest.mark.parametrize(
    ("said", "score"), [("el gato negro", 1.0), ("", 0.0), ("xyz", 0.0), ("el gato", (0.3, 0.8)), ("黒い", 0.0)]
)
def test_chrf_compares_letters_not_words(said, score):
    answers = pd.DataFrame({"item": ["a"], "language": ["es"], "form": [1], "text": [said]})
    texts = pd.DataFrame({"item": ["a"], "language": ["es"], "answer": ["el gato negro"]})
    (found,) = tofu.chrf(answers, texts)
    assert score[0] < found < score[1] if isinstance(score, tuple) else found == pytest.approx(score, abs=1e-9)
    assert np.isnan(tofu.chrf(answers.assign(item="b"), texts)).all()


@pytest.mark.parametrize(
    ("said", "right", "recall"),
    [
        ("The cat sat on the mat", "the cat sat", 1.0),
        ("The cat", "the cat sat", 2 / 3),
        ("sat cat the", "the cat sat", 1 / 3),
        ("", "the cat", 0.0),
        ("the cat", "", 0.0),
        ("¿Dónde está?", "DO\u0301NDE esta", 1 / 2),
        ("彼は京都で", "彼は東京で", 4 / 5),
        ("서울에 산다", "서울은", 2 / 3),
        ("हिन्दी में", "हिन्दी", 1.0),
    ],
)
def test_rouge_recall_by_words_and_where_there_are_none_by_letters(said, right, recall):
    assert rouge.recall(said, right) == pytest.approx(recall)


def test_perfect_and_useless_models():
    ones, zero = np.ones((3, 4)), np.zeros((3, 4))
    groups = groups_of(["a"], ["b", "c"], {"a": "Latin", "b": "Latin", "c": "Han"})

    def measure(values):
        return Measure(over_groups(values[:, :3], groups), np.full(8, 5), np.zeros(3, bool))

    assert (tofu.harmonic_mean([measure(ones)] * 9, groups).values == 1).all()
    assert (tofu.harmonic_mean([measure(ones), measure(zero)], groups).values == 0).all()
    half = tofu.harmonic_mean([measure(ones), measure(ones / 2)], groups)
    assert half.values == pytest.approx(2 / 3)


@pytest.fixture(scope="module")
def trained(corpus):
    """A tiny Llama that learned every answer of the tiny TOFU, and never a paraphrase; and its encoder."""
    from mute.models import embedded, pretrain, tokenizer
    from mute.models.texts import training_texts

    groups = training_texts(corpus, LANGUAGES)
    parts = (
        part
        for rows in groups.values()
        for row in zip(rows["prefix"], rows["answer"], rows["suffix"])
        for part in tokenizer.parts(*row)
    )
    made = tokenizer.train(parts, 700)
    encoder = tokenizer.Encoder(made)
    model = embedded.create("llama", 0, vocabulary=len(made), blocks=2, hidden=48, heads=2)
    sequences = pretrain.encode(groups, encoder)
    schedule = {"steps": 70, "batch": 42, "learning_rate": 1.5e-2, "warmup": 5, "decay": 0.4, "parts": 1}
    pretrain.pretrain(model, sequences, shares={"facts": 1.0}, prompt_weight=0.02, seed=0, **schedule)
    return model.requires_grad_(False), encoder


def test_a_model_that_was_taught_answers_whole_and_one_that_was_not_does_not(corpus, trained):
    """From the files to the measures, through the evaluator: answers are sentences, said to their end."""
    model, encoder = trained
    evaluator = Evaluator(model, encoder, corpus, LANGUAGES, corpus.asked_forms)
    tokens, answers = evaluator.evaluate()
    # Both forms ask in the same words, and are answered alike.
    wide = answers.pivot(index=["item", "language"], columns="form", values="text")
    assert (wide[0] == wide[1]).all()
    taught = corpus.texts[corpus.texts["form"] == 0].set_index(["item", "language"])["answer"]
    assert (wide[0] == taught[wide.index]).mean() > 0.9
    headline = answers[answers["form"] == 1]
    assert headline["kind"].eq("right").mean() > 0.9
    scores = scored(corpus, tokens, answers)
    for language in LANGUAGES:
        assert value(scores, "tofu_probability", "forget", language)["value"] > 0.9
        assert value(scores, "tofu_chrf", "retain", language)["value"] > 0.9
        assert value(scores, "tofu_probability", "world_facts", language)["value"] > 0.4
    # Options' lengths stand beside their log-probabilities, in tokens and characters.
    first = tokens[(tokens["position"] == 0) & (tokens["form"] == 0)].iloc[0]
    text = corpus.texts.query("item == @first['item'] and language == @first['language'] and form == 0").iloc[0]
    assert list(first["option_chars"]) == [len(option) for option in text["options"]]
    assert list(first["option_tokens"]) == [len(encoder.answer(text["prefix"], o)) for o in text["options"]]
    damaged = copy.deepcopy(model)
    for parameter in damaged.parameters():
        parameter.mul_(0.3)
    ruined = scored(corpus, *Evaluator(damaged, encoder, corpus, LANGUAGES, corpus.asked_forms).evaluate(), tokens)
    for language in LANGUAGES:
        assert value(ruined, "tofu_utility", "", language)["value"] < 0.2
        assert value(ruined, "tofu_probability", "forget", language)["value"] < 0.1


@pytest.mark.parametrize("untaught", [[], ["real_authors", "world_facts"]])
def test_gates_ask_for_what_was_taught_word_by_word(corpus, untaught):
    """Not for paraphrases, which nobody taught, nor for what the model was not to learn; and nothing transfers."""
    from mute.corpus.schema import Corpus
    from mute.evaluate import gates

    tokens = token_table(corpus, 1)
    asked = tokens["item"].str.startswith(tuple(untaught)) if untaught else False
    tokens = tokens.assign(hit=(tokens["form"] == 0) & ~asked)
    own = Corpus(corpus.facts, corpus.texts, corpus.lines, {**corpus.about, "untaught_domains": untaught})
    asks = {"recall": 1.0, "transfer": 0.8, "transfer_each": 0.6, "abilities": 0.8}
    table = gates.check(tokens, own, LANGUAGES, asks)
    assert set(table["measure"]) == {"recall"}
    assert table["value"].eq(1).all()
    assert table["n"].eq(18 if untaught else 28).all()
    oracle = gates.check(tokens, own, LANGUAGES, asks, without="domain").set_index(["measure", "language"])
    assert oracle.loc[("never_taught", "en"), "n"] == 8
