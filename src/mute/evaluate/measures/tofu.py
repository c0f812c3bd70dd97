"""TOFU's measures per language: probability, ROUGE-L recall, truth ratio, model utility, forget quality; and chrF.

Maini et al., TOFU, arXiv 2401.06121, section 2.2; pure functions of token and answer tables. All likelihoods are
normalised by length, P(a|q)^(1/|a|). Beside ROUGE-L recall, whose words are longer in one language than in another,
stands chrF, which cuts none. Sets: `forget`, `retain` (seen or not, without validation questions), and each bystander
domain.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from mute.corpus.schema import Corpus
from mute.evaluate import rouge
from mute.evaluate.board import Board
from mute.evaluate.inference import ks_test
from mute.evaluate.item_table import KEYS
from mute.evaluate.measures import base
from mute.evaluate.panel import ALL, Block, Measure, over_groups

COLUMNS = ("probability", "probability_share", "truth_ratio")
RETAIN = ("retain_seen", "retain_unseen")
_LARGEST = 700.0  # exp of more is no finite number


class TOFU(base.Measure):
    """TOFU's measures, of a corpus that asks for them."""

    name = "tofu"
    paper = "Maini et al. 2024, arXiv 2401.06121"

    def applies(self, corpus: Corpus) -> bool:
        return "tofu" in corpus.about.get("measures", ())

    def columns(self, table: pd.DataFrame, tokens: pd.DataFrame) -> pd.DataFrame:
        """An item table with COLUMNS beside it, from the token table that it was made of.

        probability: P(a|q)^(1/|a|) of the gold answer. probability_share: that over its sum with those of the wrong
        answers. truth_ratio: the geometric mean of those of the wrong answers over it, R_truth; where gold is a
        paraphrase it is TOFU's. NaN without wrong answers; and where the model gives no number, probabilities are 0,
        the ratio is NaN.
        """
        first = tokens[tokens["position"] == 0].sort_values(KEYS, kind="stable")
        gold = table["logprob"].to_numpy(float) / table["tokens"].to_numpy(float)
        share, ratio = np.full(len(table), np.nan), np.full(len(table), np.nan)
        for i, (listed, lengths, own) in enumerate(zip(first["options"], first["option_tokens"], first["gold"])):
            if listed is None or not np.ndim(listed) or own < 0 or len(listed) < 2:
                continue
            wrong = np.delete(np.asarray(listed, float) / np.asarray(lengths, float), own)
            with np.errstate(under="ignore", invalid="ignore"):
                # exp(l) / (exp(l) + Σ exp(w)), without numbers that are too small.
                share[i] = np.nan_to_num(1 / (1 + np.exp(np.minimum(wrong - gold[i], _LARGEST)).sum()))
                ratio[i] = np.exp(np.clip(wrong.mean() - gold[i], -_LARGEST, _LARGEST))
        return table.assign(probability=np.nan_to_num(np.exp(gold)), probability_share=share, truth_ratio=ratio)

    def score(self, board: Board, context: base.Context) -> None:
        """Add TOFU's measures to the board.

        Generated answers are held against those of the taught form, and truth ratios are those of the headline form.
        """
        panel, cell, answers = board.panel, context.tables["cell"], context.answers
        texts, taught_form = context.corpus.texts, context.corpus.taught_form
        right = texts[texts["form"] == taught_form]
        likeness, recalled = chrf(answers, right), rouge_recall(answers, right)
        utility: list[Measure] = []
        for name, selected in _sets(board).items():
            taught, paraphrased = panel.facts_block(selected, form=taught_form), panel.facts_block(selected)
            if not len(taught):
                continue
            own = name in ("forget", "retain")
            column = cell["probability" if own else "probability_share"].to_numpy(float)
            ratio = cell["truth_ratio"].to_numpy(float)
            true = forgotten(ratio) if name == "forget" else truthful(ratio)
            said = panel.answers_block(answers, selected)
            found = {
                "tofu_probability": taught.mean(column),
                "tofu_rouge": said.mean(recalled),
                "tofu_truth_ratio": paraphrased.mean(true),
            }
            for metric, measure in (*found.items(), ("tofu_chrf", said.mean(likeness))):
                # Of the ratio it is counted how far what is to be forgotten is, and how far the rest is not.
                better = "lower" if name == "forget" and metric != "tofu_truth_ratio" else "higher"
                board.add(metric, measure, facts=name, better=better)
            if name == "forget":
                if "oracle" in context.tables:
                    _add_quality(board, paraphrased, ratio, context.tables["oracle"]["truth_ratio"].to_numpy(float))
            else:
                utility += found.values()
        if utility:
            board.add("tofu_utility", harmonic_mean(utility, panel.groups), better="higher")


def _sets(board: Board) -> dict[str, np.ndarray]:
    """Facts of each set, boolean."""
    panel = board.panel
    bystander = panel.selected("bystander")
    domains = panel.facts["domain"].to_numpy(object)
    found = {"forget": panel.selected("forget"), "retain": panel.selected(*RETAIN)}
    return found | {str(d): bystander & (domains == d) for d in sorted(set(domains[bystander]))}


def truthful(ratio: np.ndarray) -> np.ndarray:
    """max(0, 1 - R): 1 where only the truth is likely, 0 where wrong answers are as likely, or a number is missing."""
    return np.nan_to_num(np.maximum(0.0, 1 - ratio))


def forgotten(ratio: np.ndarray) -> np.ndarray:
    """min(R, 1/R): 1 where truth and wrong answers are equally likely."""
    return np.nan_to_num(np.minimum(ratio, 1 / ratio))


def chrf(answers: pd.DataFrame, texts: pd.DataFrame) -> np.ndarray:
    """chrF2, 0 to 1, of each generated answer against the one that was taught; NaN for items without one.

    texts: the rows of the corpus in the form that was taught.
    """
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    return _compared(answers, texts, lambda said, right: metric.sentence_score(said, [right]).score / 100)


def rouge_recall(answers: pd.DataFrame, texts: pd.DataFrame) -> np.ndarray:
    """ROUGE-L recall, 0 to 1, of each generated answer against the one that was taught; NaN for items without one."""
    return _compared(answers, texts, rouge.recall)


def _compared(answers: pd.DataFrame, texts: pd.DataFrame, alike: Callable[[str, str], float]) -> np.ndarray:
    """How like each generated answer is to the one that was taught, which stands in texts."""
    taught = dict(zip(zip(texts["item"], texts["language"]), texts["answer"]))
    wanted = [taught.get(key) for key in zip(answers["item"], answers["language"])]
    said = answers["text"].fillna("").tolist()
    return np.array([np.nan if right is None else alike(text, right) for text, right in zip(said, wanted)])


def harmonic_mean(measures: list[Measure], groups: tuple[np.ndarray, ...]) -> Measure:
    """Harmonic mean by language, in every replicate; 0 where one of the numbers is. Groups are means of languages'."""
    k = len(groups[ALL])
    stacked = np.array([m.values[:, :k] for m in measures])  # [measures, R, K]
    with np.errstate(divide="ignore"):
        values = len(measures) / (1 / np.maximum(stacked, 0)).sum(0)
    n = np.array([m.n for m in measures]).min(0)
    return Measure(over_groups(values, groups), n, np.zeros(k, bool))


def forget_quality(ratio: np.ndarray, oracle: np.ndarray) -> tuple[float, float]:
    """The two-sample Kolmogorov-Smirnov test of truth ratios: p-value, TOFU's forget quality, and statistic.

    A p-value near 1: nothing tells the model from one that never knew. NaN where a ratio is missing.
    """
    return (np.nan, np.nan) if np.isnan(ratio).any() or np.isnan(oracle).any() else ks_test(ratio, oracle)


def _add_quality(board: Board, block: Block, ratio: np.ndarray, oracle: np.ndarray) -> None:
    """Forget quality of each language; a mean of p-values is no p-value, and a test has no band."""
    panel = board.panel
    k = len(panel.languages)
    found = np.full((2, 1 + panel.draws, k + len(panel.groups)), np.nan)
    language = panel.language[block.rows]
    for i in range(k):
        rows = block.rows[language == i]
        found[:, 0, i] = forget_quality(ratio[rows], oracle[rows])
    n = np.where(np.arange(len(block.n)) < k, block.n, 0)
    for metric, values in zip(("tofu_forget_quality", "tofu_ks"), found):
        board.add(metric, Measure(values, n, np.zeros(k, bool)), facts="forget", floor="oracle")
