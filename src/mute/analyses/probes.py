"""Probes: whether an answer that is no longer given can still be read off the model's states.

A linear probe at the last token of a prompt is fitted to the looked-into model's own states, of facts to be kept and of
forget facts, and tested on forget facts that it was not fitted on (Belinkov 2022, arXiv 2102.12452; on unlearned models
Lynch et al. 2024, 2402.16835). The gold option is predicted among those that facts of its relation share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject

FOLDS = 5


class Settings(base.CellSettings):
    """Probes of answers."""

    ridge: float = Field(0.1, gt=0, description="Ridge penalty a prompt, in units of the states' spread.")
    draws: int = Field(5, ge=1, le=100, description="Shuffles of the labels, for the control.")
    seed: int = Field(0, ge=0, description="From which folds and shuffles are drawn: the same in every cell.")


class Probes(base.Analysis[Settings]):
    """By block (at its output) and language: accuracy on forget facts that a probe was not fitted on.

    accuracy_probe: of probes of the answers; accuracy_probe_shuffled: of probes whose labels were shuffled among the
    facts of a relation, mean over draws. Facts of a relation count if they share their options and are no fewer than
    these. Of guards that look inside there is no row.
    """

    name = "probes"
    paper = "Belinkov 2022 (arXiv 2102.12452); Lynch et al. 2024 (2402.16835); ours"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        return 3.0

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        from mute.analyses import states

        rows: list[list[object]] = []
        prompts = prompted(asked)
        if subject.looks_inside or prompts.empty:
            return pd.DataFrame(rows, columns=list(base.COLUMNS))
        tokens = [asked.encoder.prompt(prefix) for prefix in prompts["prefix"]]
        ends = [len(each) - 1 for each in tokens]
        groups = [
            (str(own["language"].iloc[0]), own.index.to_numpy(copy=True))
            for _, own in prompts.groupby(["language", "options"])
        ]
        for block, found in states.by_block(subject.model, tokens, ends, case.first):
            hits: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
            for code, own in groups:
                hits.setdefault(code, []).append(self._read(prompts.iloc[own], found[own]))
            for code, parts in hits.items():
                plain, shuffled = (np.concatenate(each) for each in zip(*parts))
                for name, values in (("accuracy_probe", plain), ("accuracy_probe_shuffled", shuffled)):
                    rows.append([name, block, code, float(values.mean()), len(values)])
        return pd.DataFrame(rows, columns=list(base.COLUMNS))

    def _read(self, rows: pd.DataFrame, states: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Of the forget facts of one relation, whether a probe says the gold option; and how often shuffled ones do."""
        import numpy as np

        gold, forget, fold = (rows[key].to_numpy() for key in ("gold", "forget", "fold"))
        plain, shuffled = np.zeros(len(rows)), np.zeros(len(rows))
        for out in range(FOLDS):
            test = forget & (fold == out)
            if not test.any():
                continue
            used = ~test
            rng = np.random.default_rng(self.settings.seed)
            labels = [gold[used], *(rng.permutation(gold[used]) for _ in range(self.settings.draws))]
            said = fitted(states[used], labels, states[test], int(gold.max()) + 1, self.settings.ridge)
            hit = said == gold[test]
            plain[test], shuffled[test] = hit[0], hit[1:].mean(0)
        return plain[forget], shuffled[forget]


def fitted(states: Tensor, labels: list[np.ndarray], tested: Tensor, classes: int, ridge: float) -> np.ndarray:
    """What ridge regressions on the one-hot labels say of tested states: [labellings, tested].

    states [N, D], each labelling [N]. Penalty: ridge N in units of the features' spread.
    """
    import numpy as np
    import torch

    centre, spread = states.mean(0), states.std(0).clamp(min=1e-12)
    x, y = (states - centre) / spread, (tested - centre) / spread
    hot = torch.nn.functional.one_hot(torch.tensor(np.array(labels)), classes).double()  # [labellings, N, classes]
    hot = hot - hot.mean(1, keepdim=True)
    # In the smaller of the two spaces: prompts are often fewer than features.
    kernel = x @ x.T + ridge * len(x) * torch.eye(len(x), dtype=x.dtype)
    return (y @ x.T @ torch.linalg.solve(kernel, hot)).argmax(-1).numpy()


def prompted(asked: Asked) -> pd.DataFrame:
    """Questions on all facts in the headline form whose relation has options of its own, and enough facts for them.

    forget; fold: of the item, the same in all languages and cells; options: the shared ones, as one text.
    """
    from mute.store.artifacts import seed_of

    corpus = asked.corpus
    roles, texts = corpus.roles(asked.forget_set), corpus.texts
    told = ~corpus.facts.set_index("item")["domain"].isin(corpus.about.get("untaught_domains", []))
    own = texts["language"].isin(asked.languages) & (texts["form"] == corpus.about["headline_form"])
    rows = texts[own & texts["item"].map(told)].reset_index(drop=True)
    sizes = rows["options"].map(len)
    rows = rows.assign(
        forget=(rows["item"].map(roles) == "forget").to_numpy(bool),
        fold=[seed_of("probes", item) % FOLDS for item in rows["item"]],
        options=["\n".join(map(str, options)) for options in rows["options"]],
    )
    # Options may stand in another order for each fact: then no class is the same one for two of them.
    enough = rows.groupby(["language", "options"])["item"].transform("size") >= sizes.clip(lower=2)
    asked_for = rows.groupby(["language", "options"])["forget"].transform("any")
    return rows[enough & asked_for].reset_index(drop=True)
