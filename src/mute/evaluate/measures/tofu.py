"""TOFU's measures per language: probability, ROUGE-L recall, truth ratio, model utility, forget quality; and chrF.

Maini et al., TOFU, arXiv 2401.06121, section 2.2; pure functions of token and answer tables. All likelihoods are
normalised by length, P(a|q)^(1/|a|). Beside ROUGE-L recall, whose words are longer in one language than in another,
stands chrF, which cuts none. Sets: `forget`, `retain` (seen or not, without validation questions), and each bystander
domain.
"""

import math
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

COLUMNS = ("probability", "probability_share", "truth_ratio", "truth_ratio_arithmetic")
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
        answers. truth_ratio: the geometric mean of those of the wrong answers over it, R_truth, as all published code
        has it; truth_ratio_arithmetic: the arithmetic mean over it, as the paper's equation has it. Where gold is a
        paraphrase they are TOFU's. NaN without wrong answers; and where the model gives no number, probabilities are 0,
        the ratios are NaN.
        """
        first = tokens[tokens["position"] == 0].sort_values(KEYS, kind="stable")
        gold = table["logprob"].to_numpy(float) / table["tokens"].to_numpy(float)
        share, *ratios = np.full((3, len(table)), np.nan)
        for i, (listed, lengths, own) in enumerate(zip(first["options"], first["option_tokens"], first["gold"])):
            if listed is None or not np.ndim(listed) or own < 0 or len(listed) < 2:
                continue
            wrong = np.delete(np.asarray(listed, float) / np.asarray(lengths, float), own)
            with np.errstate(under="ignore", invalid="ignore"):
                # exp(l) / (exp(l) + Σ exp(w)), without numbers that are too small.
                share[i] = np.nan_to_num(1 / (1 + np.exp(np.minimum(wrong - gold[i], _LARGEST)).sum()))
            for ratio, own in zip(ratios, truth_ratios(gold[i], wrong)):
                ratio[i] = own
        return table.assign(**dict(zip(COLUMNS, (np.nan_to_num(np.exp(gold)), share, *ratios))))

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
            ratio, other = (cell[kind].to_numpy(float) for kind in COLUMNS[2:])
            held = forgotten if name == "forget" else truthful
            said = panel.answers_block(answers, selected)
            found = {
                "tofu_probability": taught.mean(column),
                "tofu_rouge": said.mean(recalled),
                "tofu_truth_ratio": paraphrased.mean(held(ratio)),
            }
            beside = {"tofu_truth_ratio_arithmetic": paraphrased.mean(held(other)), "tofu_chrf": said.mean(likeness)}
            for metric, measure in (found | beside).items():
                # Of the ratio it is counted how far what is to be forgotten is, and how far the rest is not.
                better = "lower" if name == "forget" and not metric.startswith("tofu_truth_ratio") else "higher"
                board.add(metric, measure, facts=name, better=better)
            if name == "forget":
                if "oracle" in context.tables:
                    oracle = context.tables["oracle"]["truth_ratio"].to_numpy(float)
                    add_quality(board, paraphrased, ratio, oracle, "tofu_")
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


def truth_ratios(gold: float, wrong: np.ndarray) -> tuple[float, float]:
    """R of one question from log-likelihoods per token: the geometric, and the arithmetic, mean of the wrong over gold.

    The first is never above the second.
    """
    apart = np.clip(wrong - gold, -_LARGEST, _LARGEST)
    return float(np.exp(np.clip(wrong.mean() - gold, -_LARGEST, _LARGEST))), float(np.exp(apart).mean())


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


def add_quality(board: Board, block: Block, ratio: np.ndarray, oracle: np.ndarray, prefix: str) -> None:
    """Forget quality of each language; a mean of p-values is no p-value, and a test has no band."""
    panel = board.panel
    k = len(panel.languages)
    found = np.full((3, 1 + panel.draws, k + len(panel.groups)), np.nan)
    language = panel.language[block.rows]
    for i in range(k):
        rows = block.rows[language == i]
        p, statistic = forget_quality(ratio[rows], oracle[rows])
        found[:, 0, i] = p, math.log10(p) if p > 0 else -math.inf if p == 0 else math.nan, statistic
    n = np.where(np.arange(len(block.n)) < k, block.n, 0)
    for metric, values in zip(("forget_quality", "forget_quality_log10", "ks"), found):
        board.add(f"{prefix}{metric}", Measure(values, n, np.zeros(k, bool)), facts="forget", floor="oracle")
