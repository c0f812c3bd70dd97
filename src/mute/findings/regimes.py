"""A table that counts in how many trained models of each architecture a regime shows, with Wilson intervals."""

import pandas as pd

from mute.evaluate.inference import wilson
from mute.findings import trainings, verdicts
from mute.findings.findings import QUESTION
from mute.findings.results import Results
from mute.findings.verdicts import REGIMES


def table(results: Results) -> pd.DataFrame:
    """One row per protocol, algorithm, architecture and regime.

    shows, fails, open: in how many of the n trained models it shows at its block, does not, and is not decided; low,
    high: Wilson's 95 % interval of the share that shows. anywhere: in how many it shows at one block at least.
    """
    rows = []
    for protocol in trainings.protocols(results):
        cases = trainings.passed(results, trainings.main_cases(results, protocol))
        for algorithm in trainings.swept(results, cases):
            for model, trained in trainings.architectures(cases).items():
                found = [verdicts.find_regimes(results, case, algorithm) for case in trained]
                for place, regime in enumerate(REGIMES):
                    own = [findings[place] for findings in found]
                    shows = sum(finding.verdict is True for finding in own)
                    low, high = wilson(shows, len(own))
                    row = (protocol, algorithm, model, regime.name, regime.words, len(own), shows)
                    fails, opened = (sum(finding.verdict is verdict for finding in own) for verdict in (False, None))
                    anywhere = sum(bool(finding.at(True)) for finding in own)
                    rows.append((*row, fails, opened, float(low), float(high), anywhere, trainings.MODELS))
    columns = ["protocol", "algorithm", "model", "regime", "words", "n", "shows", "fails", "open"]
    return pd.DataFrame(rows, columns=[*columns, "low", "high", "anywhere", "unit"])


def answer(rows: pd.DataFrame) -> str:
    """The study's question and, over all trained models and algorithms, its answer, under the first protocol."""
    own = rows[rows["regime"] == "middle"]
    if own.empty:
        return f"{QUESTION} No block was edited by itself in this study."
    own = own[own["protocol"] == own["protocol"].iloc[0]]
    total, anywhere, target = (int(own[name].sum()) for name in ("n", "anywhere", "shows"))
    opened = int(own["open"].sum())
    each = [
        f"{model} {int(rows['shows'].sum())} of {int(rows['n'].sum())}"
        for model, rows in own.groupby("model", sort=False)
    ]
    return (
        f"{QUESTION} Of {total} pairs of trained model and algorithm, such a block shows in {anywhere}; the block that "
        f"the paper's rule chooses is one in {target} ({', '.join(each)}), and not decided in {opened}."
    )
