"""The claims test, tested: whole studies are drawn where MUTE is true and where it is false, and the claims asked.

A drawn study has every table that claims, primary outcomes and predictions read: several architectures, trainings,
blocks, held-out languages, algorithms and unlearning seeds, with noise of the size that was found between them. How
often the claims then support, contradict or leave open what is so by construction are the error rates that the paper
prints.

    python -m mute.findings.simulation [studies] [file]
"""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from mute.bands import KEYS, Languages
from mute.evaluate.inference import wilson
from mute.findings import claims, predict
from mute.findings.results import Results
from mute.store import artifacts
from mute.store.artifacts import seed_of

FILE = Path("paper/simulated/error_rates.csv")
STUDIES, SEED = 200, 7
# The two answers that a study can be drawn with.
WORLDS = ("true", "false")
VERDICTS = ("supports", "contradicts", "not decided", "mixed")
World = Literal["true", "false"]
# The questions of predict.py that are asked here, and of which score.
QUESTIONS = {"merit": "cka", "knowledge": "cka_unbiased"}

SOURCES = ("en", "es", "pt")
HELDOUT = {
    "llama": ("de", "fr", "it", "hi"),
    "qwen2": ("de", "fr", "it", "hi", "ar", "id", "ja", "ko", "zh"),
    "bloom": ("ar", "fr", "hi", "id", "ur", "zh"),
}
LATIN = frozenset((*SOURCES, "de", "fr", "it", "id"))
BLOCKS, SHALLOW, DEEP, WIDTH = 8, 0, 6, 3
DOSE, HALF_WIDTH, FACTS = 0.1, 0.08, 80
SCALE = 0.08  # what one standard deviation of alignment adds to K where it matters


@dataclass(frozen=True)
class Design:
    """How large a drawn study is, and the spread (standard deviation) of its noise.

    training: of K at one block between trainings; unlearning: of K between unlearning seeds, by algorithm; facts: of K
    of one language; capability: of C between trainings, seeds and languages, each; silent: the share of models without
    a band, of models below their gate, and of cells that diverged.
    """

    architectures: tuple[str, ...] = ("llama", "qwen2", "bloom")
    trainings: int = 8
    seeds: int = 3
    unlearning: tuple[tuple[str, float], ...] = (("rmu", 0.05), ("simnpo", 0.09))
    training: float = 0.05
    facts: float = 0.03
    capability: float = 0.025
    silent: float = 0.04


def study(world: World, seed: int, design: Design | None = None) -> Results:
    """The results of one drawn study; equal arguments give equal tables."""
    return _Draw(world, np.random.default_rng(seed_of(seed, "simulation", world)), design or Design()).results()


class _Draw:
    def __init__(self, world: World, generator: np.random.Generator, design: Design) -> None:
        self.world, self.draw, self.design = world, generator, design
        self.rows: dict[str, list[dict]] = {
            name: [] for name in ("cells", "layers", "regions", "bands", "gates", "profiles")
        }
        self.scores: list[tuple] = []

    def results(self) -> Results:
        for model in self.design.architectures:
            languages = HELDOUT[model]
            # What an architecture's languages are like, whatever the training: the mean that alignment has, and what
            # it has beyond it at each block; and how hard a language is to reach where languages decide.
            beyond = self.draw.normal(size=(len(languages), BLOCKS))
            hard = self.draw.normal(0, 0.06, len(languages))
            for training in range(self.design.trainings):
                self._model(model, training, beyond, hard)
        columns = [*KEYS, "status", "language", "group", "metric", "facts", "value", "attack"]
        scores = pd.DataFrame(self.scores, columns=columns)
        scores = scores.assign(low=scores["value"] - HALF_WIDTH, high=scores["value"] + HALF_WIDTH, n=FACTS)
        tables = {name: pd.DataFrame(rows) for name, rows in self.rows.items()}
        models = {
            name: {"blocks": BLOCKS, "languages": [*SOURCES, *HELDOUT[name]]} for name in self.design.architectures
        }
        about = {
            "study": f"drawn, MUTE {self.world}",
            "models": models,
            "main": [str(Languages.of(SOURCES)), "source", "domain"],
        }
        return Results({**tables, "scores": scores.assign(floor="oracle")}, about)

    def _model(self, model: str, training: int, beyond: np.ndarray, hard: np.ndarray) -> None:
        start = int(self.draw.integers(1, 4))
        band = range(start, start + WIDTH)
        key = {"model": model, "training_seed": training, "forget_set": "domain"}
        inside = np.array([block in band for block in range(BLOCKS)], float)
        cka = 0.7 + 0.2 * inside + self.draw.normal(0, 0.02, BLOCKS)
        lrds = 0.3 - 0.15 * inside + self.draw.normal(0, 0.02, BLOCKS)
        self.rows["layers"] += [{**key, "block": b, "cka": cka[b], "lrds": lrds[b]} for b in range(BLOCKS)]
        region = {"rule": "hull", "alpha": 1.5, "chosen": True, "blocks": " ".join(map(str, band)), "reason": ""}
        self.rows["regions"].append({**key, **region, "band_exists": str(self._mostly())})
        gate = {"model": model, "training_seed": training, "oracle": "", "measure": "recall", "language": ""}
        self.rows["gates"].append({**gate, "value": 0.9, "passed": str(self._mostly()), "n": FACTS})
        own = beyond + self.draw.normal(0, 0.3, beyond.shape)
        for i, language in enumerate(HELDOUT[model]):
            for source in SOURCES:
                values = 0.7 + 0.05 * own[i]
                base = {**key, "algorithm": "base", "analysis": "alignment", "measure": "cka_unbiased"}
                self.rows["profiles"] += [
                    {**base, "block": b, "language": f"{source}-{language}", "value": values[b], "n": FACTS}
                    for b in range(BLOCKS)
                ]
        for algorithm, spread in self.design.unlearning:
            views = [("target", start), ("shallow", SHALLOW), ("deep", DEEP), *(("region", b) for b in band)]
            self.rows["bands"] += [
                {**key, "algorithm": algorithm, "view": view, "rule": "first_local_peak", "block": b}
                for view, b in views
            ]
            for protocol in ("matched", "paper"):
                for block in range(BLOCKS):
                    place = "shallow" if block < start else "band" if block in band else "deep"
                    self._cells(key, algorithm, spread, protocol, block, place, beyond[:, block], hard)

    def _mostly(self) -> bool:
        return bool(self.draw.random() > self.design.silent)

    def _cells(
        self,
        key: dict,
        algorithm: str,
        spread: float,
        protocol: str,
        block: int,
        place: str,
        beyond: np.ndarray,
        hard: np.ndarray,
    ) -> None:
        """The unlearning seeds of one block: what they share, and what each adds."""
        design, languages = self.design, HELDOUT[key["model"]]
        latin = np.array([code in LATIN for code in languages])
        k_source, k, c_source, c, back = self._truth(protocol, place, latin, beyond, hard)
        k = k + self.draw.normal(0, design.training) + self.draw.normal(0, design.facts, len(languages))
        c = c + self.draw.normal(0, design.capability) + self.draw.normal(0, design.capability, len(languages))
        sources = np.full(len(SOURCES), k_source) + self.draw.normal(0, 0.02, len(SOURCES))
        for seed in range(design.seeds):
            # The dose is the same for all seeds: only what was not read varies.
            seeded = self.draw.normal(0, spread), self.draw.normal(0, design.capability)
            status = self._status(protocol, place)
            cell = (
                key["model"],
                key["training_seed"],
                algorithm,
                str(block),
                str(Languages.of(SOURCES)),
                "source",
                "domain",
            )
            cell = (*cell, protocol, seed, status)
            self.rows["cells"].append(dict(zip((*KEYS, "status"), cell)))
            self._scored(cell, sources, k + seeded[0], c_source + seeded[1], c + seeded[1], latin)
            value = back + self.draw.normal(0, design.training)
            self.scores += [
                (*cell, "", group, "recovery", "all", value, "retrain_20") for group in ("heldout", "worst")
            ]

    def _truth(
        self, protocol: str, place: str, latin: np.ndarray, beyond: np.ndarray, hard: np.ndarray
    ) -> tuple[float, np.ndarray, float, np.ndarray, float]:
        """K source, K by held-out language, C source, C by held-out language, and recovery, before any noise."""
        same = np.ones(len(latin))
        if self.world == "false":
            k = np.where(latin, 0.3, 0.65) + hard
            if protocol == "paper":
                return 0.3, k, 0.85, 0.75 * same, 0.75
            return DOSE, k, 0.85, 0.75 * same, 0.75
        if place == "deep":
            if protocol == "paper":
                return 0.98, 0.99 * same, 0.99, 0.99 * same, 0.1
            return DOSE, 0.75 - SCALE * beyond, 0.98, 0.97 * same, 0.1
        kept = (0.7, 0.3 * same) if place == "shallow" else (0.98, 0.97 * same)
        return DOSE, DOSE * same, *kept, 0.1

    def _status(self, protocol: str, place: str) -> str:
        if not self._mostly():
            return "diverged"
        if self.world == "true" and place == "deep" and self.draw.random() < 0.2:
            return "not_reached" if protocol == "matched" else "no_edit"
        return "ok"

    def _scored(
        self, cell: tuple, sources: np.ndarray, k: np.ndarray, c_source: float, c: np.ndarray, latin: np.ndarray
    ) -> None:
        languages = HELDOUT[cell[0]]
        self.scores += [(*cell, code, "heldout", "K", "all", value, "") for code, value in zip(languages, k)]
        source = float(sources.mean())
        groups = {
            "heldout": k.mean(),
            "worst": k.max(),
            "same_script": k[latin].mean(),
            "other_script": k[~latin].mean(),
        }
        self.scores += [(*cell, "", group, "K", "all", value, "") for group, value in groups.items()]
        leaks = {("all" if group == "heldout" else group): value - source for group, value in groups.items()}
        self.scores += [(*cell, "", group, "leak", "all", value, "") for group, value in leaks.items()]
        self.scores.append((*cell, "", "source", "K", "all", source, ""))
        kept = {"source": c_source, "heldout": c.mean(), "worst": c.min()}
        self.scores += [(*cell, "", group, "C", "", value, "") for group, value in kept.items()]


def asked(results: Results, plantings: int = 40, draws: int = 200) -> dict[str, str]:
    """What the claims and the predictions say of a study: a verdict by name."""
    overall = claims.overall(claims.means(results))
    overall = overall[overall["decides"]]
    found = dict(zip(overall["name"], overall["verdict"]))
    words = {predict.YES: "supports", predict.NO: "contradicts", predict.OPEN: "not decided"}
    rows = predict.table(results, plantings=plantings, draws=draws)
    for question, score in QUESTIONS.items():
        own = rows[(rows["question"] == question) & (rows["score"] == score)]
        said = own.groupby("algorithm")["verdict"].agg(lambda each: claims.agreed(words[verdict] for verdict in each))
        found[f"{score} predicts {question}"] = claims.together(list(said))
    return found


def rates(studies: int = STUDIES, seed: int = SEED, design: Design | None = None) -> pd.DataFrame:
    """Per claim and world how often it is supported, contradicted, mixed and left open, with Wilson's intervals.

    right, wrong: the share of studies that say what is so, and the contrary, with the ends of their 95 % intervals.
    """
    counts: dict[tuple[str, str], Counter] = {}
    for world in WORLDS:
        for number in range(studies):
            for name, verdict in asked(study(world, seed + number, design)).items():
                counts.setdefault((name, world), Counter())[verdict] += 1
    return pd.DataFrame([row(name, world, own) for (name, world), own in sorted(counts.items(), key=_order)])


def _order(entry: tuple) -> tuple[int, str, bool]:
    """Claims as they are listed, and predictions after them; where MUTE is true first."""
    (name, world), _ = entry
    names = [claim.name for claim in claims.CLAIMS]
    return names.index(name) if name in names else len(names), name, world == "false"


def row(name: str, world: str, counts: Counter) -> dict:
    total = counts.total()
    right, wrong = ("supports", "contradicts") if world == "true" else ("contradicts", "supports")
    found: dict = {"claim": name, "world": world, "studies": total, **{v: counts[v] for v in VERDICTS}}
    for word, verdict in (("right", right), ("wrong", wrong)):
        low, high = wilson(counts[verdict], total)
        found |= {word: counts[verdict] / total, f"{word}_low": float(low), f"{word}_high": float(high)}
    return found


def read(path: Path | str = FILE) -> pd.DataFrame:
    """The rates as they were written; no rows where nobody has."""
    columns = list(row("", "true", Counter(supports=1)))
    if not Path(path).is_file():
        return pd.DataFrame(columns=columns)
    found = artifacts.read_table(Path(path))
    # "true" and "false" are words here, and a reader of CSV takes them for truth values.
    return found.assign(world=found["world"].astype(str).str.lower())


def main(arguments: Iterable[str]) -> None:
    given = dict(enumerate(arguments))
    made = rates(int(given.get(0, STUDIES)))
    artifacts.write_table(Path(given.get(1, FILE)), made)
    print(made.to_string(index=False, float_format="%.3f"))


if __name__ == "__main__":
    main(sys.argv[1:])
