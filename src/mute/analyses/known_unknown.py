"""Known or unknown: whether a model's states still tell a subject to be forgotten from one that it has never met.

Rebuilt after Ferrando et al. (2411.14257) and 2509.15631. A linear probe is fitted to states of the base, prompts of
subjects to be kept against the same prompts with strangers' names; what it says of the forget subjects, before the edit
and after it, is whether they are recognised. A probe that does not tell strangers from known subjects says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from pydantic import Field

from mute.analyses import base

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from torch import Tensor

    from mute.evaluate.asked import Asked
    from mute.evaluate.subject import Subject
    from mute.models.anatomy import Model

# Weight [D] and bias.
Probe: TypeAlias = "tuple[Tensor, Tensor]"
KEPT = ("retain_seen", "retain_unseen")
FOLDS = 2


class Settings(base.CellSettings):
    """Known or unknown."""

    place: Literal["subject", "prompt"] = Field(
        "subject", description="Which token is read: the last of the subject's name, or the last of the prompt."
    )
    ridge: float = Field(0.01, gt=0, description="Penalty on the probe's weights, in units of the states' spread.")
    draws: int = Field(2, ge=2, le=100, description="Ways in which half of the subjects change sides, for the control.")
    seed: int = Field(0, ge=0, description="From which these are drawn: the same in every cell.")


class KnownUnknown(base.Analysis[Settings]):
    """By block (at its output) and language, of probes that are fitted to the base.

    auc: area under the ROC curve of subjects to be kept against strangers, names that the probe was not fitted on;
    auc_shuffled: mean over draws of the same where half of the subjects change sides with their strangers in the fit:
    0.5. known_retain: mean P(known) of those held-out subjects; known_strangers: of strangers in the place of the
    forget subjects; known_forget: of the forget subjects. Only of corpora that can make names; of guards that look
    inside there is no row.
    """

    name = "known_unknown"
    paper = "Ferrando et al. 2025 (arXiv 2411.14257); 2509.15631; rebuilt"
    Settings = Settings
    settings: Settings

    def asks(self) -> float:
        return 2.0 + self.settings.draws

    def run(self, subject: Subject, asked: Asked, case: base.Case) -> pd.DataFrame:
        import numpy as np
        import pandas as pd

        from mute.analyses.capture import roc_area

        rows: list[list[object]] = []
        prompts = prompted(asked)
        if subject.looks_inside or prompts.empty:
            return pd.DataFrame(rows, columns=list(base.COLUMNS))
        spoken = [code for code in asked.languages if _enough(prompts[prompts["language"] == code])]
        own = {code: np.flatnonzero(prompts["language"] == code) for code in spoken}
        told = {code: prompts.iloc[places].reset_index(drop=True) for code, places in own.items()}
        # Of the base no more is kept than its probes: all states of a large model have no room.
        fitted: dict[tuple[int, str], dict[str, list[Probe]]] = {}
        with subject.before() as model:
            for block, states in self._states(model, asked, prompts, case.first):
                fitted |= {(block, code): self._fitted(told[code], states[places]) for code, places in own.items()}
        for block, states in self._states(subject.model, asked, prompts, case.first):
            for code, places in own.items():
                found = _read(told[code], states[places], fitted[block, code])
                kept, met = (told[code][key].to_numpy(bool) for key in ("kept", "met"))
                areas = {name: roc_area(scores[kept & met], scores[kept & ~met]) for name, scores in found.items()}
                score = areas.pop("score")
                means = {
                    "auc": (score, kept),
                    "auc_shuffled": (sum(areas.values()) / len(areas), kept),
                    "known_retain": (float(found["score"][kept & met].sigmoid().mean()), kept & met),
                    "known_strangers": (float(found["score"][~kept & ~met].sigmoid().mean()), ~kept & ~met),
                    "known_forget": (float(found["score"][~kept & met].sigmoid().mean()), ~kept & met),
                }
                rows += [[name, block, code, value, int(of.sum())] for name, (value, of) in means.items()]
        return pd.DataFrame(rows, columns=list(base.COLUMNS))

    def _states(self, model: Model, asked: Asked, prompts: pd.DataFrame, first: int) -> Iterator[tuple[int, Tensor]]:
        from mute.analyses import states

        tokens = [asked.encoder.prompt(prefix) for prefix in prompts["prefix"]]
        ends = [len(each) - 1 for each in tokens]
        if self.settings.place == "subject":
            told = zip(prompts["prefix"], prompts["name"])
            ends = [states.end_of(asked.encoder, prefix, name) for prefix, name in told]
        return states.by_block(model, tokens, ends, first)

    def _fitted(self, rows: pd.DataFrame, states: Tensor) -> dict[str, list[Probe]]:
        """Probes of a language, of true labels (`score`) and for each draw of turned ones: for each fold one that has
        not met its names, and one of all; states [N, D] of the base.
        """
        import torch

        from mute.models.probe import separate

        kept, met, fold = (torch.tensor(rows[key].to_numpy()) for key in ("kept", "met", "fold"))
        labels = {"score": met}
        for draw in range(self.settings.draws):
            labels[f"draw {draw}"] = met ^ torch.tensor(rows["subject"].isin(self._turned(rows, draw)).to_numpy())
        used = [kept & (fold != out) for out in range(FOLDS + 1)]
        return {
            name: [separate(states[own & told], states[own & ~told], ridge=self.settings.ridge) for own in used]
            for name, told in labels.items()
        }

    def _turned(self, rows: pd.DataFrame, draw: int) -> set[str]:
        """Half of the kept subjects of each fold; of an odd number the smaller and the larger half by turns."""
        from mute.store.artifacts import seed_of

        found: set[str] = set()
        for _, own in rows[rows["kept"]].groupby("fold"):
            names = sorted(set(own["subject"]), key=lambda name: seed_of(self.settings.seed, "turned", draw, name))
            found.update(names[: (len(names) + draw % 2) // 2])
        return found


def _enough(rows: pd.DataFrame) -> bool:
    """Whether a language has kept subjects in every fold, and somebody to forget."""
    return set(rows["fold"]) == set(range(FOLDS + 1))


def _read(rows: pd.DataFrame, states: Tensor, fitted: dict[str, list[Probe]]) -> dict[str, Tensor]:
    """Log-odds of `known` of every prompt of a language, by probes that have not met its name; states [N, D]."""
    import torch

    fold = torch.tensor(rows["fold"].to_numpy())
    each = {name: torch.stack([states @ weight + bias for weight, bias in own]) for name, own in fitted.items()}
    return {name: scores.gather(0, fold[None])[0] for name, scores in each.items()}


def prompted(asked: Asked) -> pd.DataFrame:
    """Prompts of subjects to be kept and to be forgotten, each beside the same with a stranger's name.

    In the first form that unlearning reads. role; met: whether models were told of it, or it is a stranger; name: as it
    stands in the prompt; kept; fold: of kept subjects, with their strangers, the same in all languages; of others
    FOLDS. Empty where a corpus has no strangers.
    """
    import pandas as pd

    from mute.corpus import strangers

    corpus = asked.corpus
    facts, roles = corpus.facts.set_index("item"), corpus.roles(asked.forget_set)
    items = roles.index[roles.isin(["forget", *KEPT])]
    subjects = facts.loc[items, "subject"]
    twins = strangers.of(corpus, sorted(set(subjects)))
    kept = sorted(set(subjects[roles[items].isin(KEPT).to_numpy()]))
    folds = {name: place % FOLDS for place, name in enumerate(kept)}
    texts = corpus.texts
    own = texts["item"].isin(items) & texts["language"].isin(asked.languages) & bool(twins)
    rows = texts[own & (texts["form"] == corpus.about["unlearning_forms"][0])]
    made = []
    for prefix, item, code in zip(rows["prefix"], rows["item"], rows["language"]):
        subject, role = subjects[item], roles[item]
        other = strangers.renamed(prefix, subject, twins[subject], code)
        fold = FOLDS if role == "forget" else folds[subject]
        about = {"language": code, "role": role, "subject": subject, "kept": role != "forget", "fold": fold}
        if other:
            for met, text, name in ((True, prefix, subject), (False, other, twins[subject])):
                made.append({**about, "met": met, "prefix": text, "name": strangers.told(text, name, code)})
    columns = ["language", "role", "subject", "kept", "fold", "met", "prefix", "name"]
    return pd.DataFrame(made, columns=columns)
