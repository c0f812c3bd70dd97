"""The result tables of one study, as figures and pages ask for them: a number by cell, metric and group.

Every lookup answers: what a study does not have is a missing Number, an empty list or "". The one error is a metric
that is none (`UnknownMetricError`): that is a slip of who asks, and would pass for a result that is missing.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import pandas as pd

from mute.bands import KEYS, WHOLE, Languages, from_below, middle, named_blocks
from mute.evaluate.divergence import is_own
from mute.findings import metrics
from mute.findings.tables import NUMBERS, TABLES, TEXT, WHOLE_NUMBERS
from mute.store import artifacts
from mute.store.records import Facts

CELL = KEYS
REFERENCES = ("base", "oracle")
NO_ATTACK = ""
# Statuses of edits that are no answer to what was asked: they are counted and shown, and stand in no verdict, mean or
# rank. Under `matched` neither does one that did not forget as far as all others.
NOTHING = "nothing_to_forget"
SILENT = ("diverged", "not_applicable", "no_edit", "destroyed", NOTHING)
# What a cell may have come to; docs/tables.md says what each is.
STATUSES = ("ok", "not_reached", *SILENT)
T = TypeVar("T")


class Number(NamedTuple):
    """An estimate with its 95 % interval and the number of clusters behind it; NaN where there is none.

    df: degrees of freedom where the interval is Student's over trained models, 0 where it is over items.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    df: int = 0

    def __bool__(self) -> bool:
        return not math.isnan(self.value)

    def __str__(self) -> str:
        if not self:
            return "–"
        interval = "no interval" if math.isnan(self.low) else f"{_decimal(self.low)}, {_decimal(self.high)}"
        return f"{_decimal(self.value)} [{interval}]"


MISSING = Number()


def _decimal(value: float) -> str:
    """Two decimals, with a minus sign that is one, and no negative zero."""
    text = f"{value:.2f}"
    return ("0.00" if text == "-0.00" else text).replace("-", "−")


@dataclass(frozen=True)
class Case:
    """Everything of a cell but its algorithm and band: cells of one case are compared with each other."""

    model: str
    training_seed: int
    sources: str
    retain: str
    forget_set: str
    protocol: str
    seed: int

    @property
    def setting(self) -> tuple[str, str, str, str]:
        return self.sources, self.retain, self.forget_set, self.protocol

    @property
    def place(self) -> tuple:
        """What all unlearning seeds of it share."""
        return self.model, self.training_seed, *self.setting

    def cell(self, algorithm: str, band: str) -> tuple:
        if algorithm in REFERENCES:
            return (self.model, self.training_seed, algorithm, "", self.sources, "", self.forget_set, "", 0)
        return (self.model, self.training_seed, algorithm, band, *self.setting, self.seed)


class Results:
    """The tables of one study and what its configuration says about itself (`Plans.figures`, {} where unknown)."""

    def __init__(self, tables: Mapping[str, pd.DataFrame], about: Facts | None = None) -> None:
        self.about = dict(about or {})
        self.tables = {name: _whole(tables.get(name), columns) for name, columns in TABLES.items()}
        # Scores of attacked models stand apart: whoever does not ask for an attack must not get them by chance.
        scores = self.tables["scores"]
        of_attacks = scores["metric"].isin((*metrics.SHARED, *metrics.SURROGATES))
        self._scores = scores.assign(attack=scores["attack"].where(of_attacks, NO_ATTACK))
        self.tables["scores"] = self._scores[self._scores["attack"] == NO_ATTACK]
        self._found: dict[tuple, Any] = {}

    @classmethod
    def read(cls, paths: Iterable[Path | str], about: Facts | None = None) -> "Results":
        """From the files of tables, each named after its table. A file that is not there is an absent table."""
        files = [Path(path) for path in paths]
        return cls({path.stem: artifacts.read_table(path) for path in files if path.is_file()}, about)

    @classmethod
    def of(cls, tables: "Tables", about: Facts | None = None) -> "Results":
        return tables if isinstance(tables, Results) else cls(tables, about)

    # Cases, algorithms, bands

    @cached_property
    def _places(self) -> dict[Any, Any]:
        """Rows of the scores by cell and attack: grouped once, and read only for the cells that are asked for."""
        return self._scores.groupby([*CELL, "attack"], sort=False).indices

    @cached_property
    def _words(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """What a score is of, column by column: codes [rows] and the words that they stand for.

        Text as pandas keeps it is slow to take rows from: each time its pieces are put together.
        """
        keys = ("metric", "group", "facts", "language")
        found = (pd.factorize(self._scores[key]) for key in keys)
        return [(codes, np.asarray(words, dtype=object)) for codes, words in found]

    @cached_property
    def _values(self) -> list[np.ndarray]:
        """Value, low, high and n of every score, each [rows]."""
        scores = self._scores
        return [scores[key].to_numpy() for key in ("value", "low", "high")] + [scores["n"].fillna(0).to_numpy(int)]

    def _numbers(self, cell: tuple, attack: str) -> dict[tuple, Number]:
        """Every score of one cell by metric, group, facts and language."""

        def make() -> dict[tuple, Number]:
            places = self._places.get((*cell, attack))
            if places is None:
                return {}
            keys = zip(*(words[codes[places]].tolist() for codes, words in self._words))
            values = zip(*(column[places].tolist() for column in self._values))
            return {
                key: Number(float(v), float(low), float(high), int(n)) for key, (v, low, high, n) in zip(keys, values)
            }

        return self.once(("numbers", cell, attack), make)

    @cached_property
    def metrics(self) -> dict[str, str]:
        """Metrics that the tables have, each with its main kind of facts: `all`, or "" for those that have no kind."""
        pairs = self._scores[["metric", "facts"]].drop_duplicates()
        of_facts = set(pairs.loc[pairs["facts"] == "all", "metric"])
        return {metric: "all" if metric in of_facts else "" for metric in pairs["metric"]}

    @cached_property
    def attacks(self) -> list[str]:
        """Attacks that scores are of, in the order of the tables."""
        return [attack for attack in dict.fromkeys(self._scores["attack"]) if attack]

    @cached_property
    def _statuses(self) -> dict[tuple, str]:
        cells = self.tables["cells"]
        return dict(zip(zip(*(cells[key] for key in CELL)), cells["status"]))

    @cached_property
    def cases(self) -> list[Case]:
        """The cases that figures show: all, unless the study chooses (`about["shown"]`)."""
        chosen = self.about.get("shown")
        if chosen is None:
            return self.all_cases
        wanted = {tuple(key) for key in chosen}
        return [c for c in self.all_cases if (c.model, c.training_seed, *c.setting) in wanted]

    @cached_property
    def all_cases(self) -> list[Case]:
        """In the order of the study's models; one for all unlearning seeds, which bears the first of them."""
        models = list(self.about.get("models", {}))

        def order(case: Case) -> tuple:
            place = models.index(case.model) if case.model in models else len(models)
            return (place, case.model, case.training_seed, case.forget_set, *case.setting)

        return sorted((draws[0] for draws in self._draws.values()), key=order)

    @cached_property
    def _draws(self) -> dict[tuple, list[Case]]:
        """The unlearning seeds of a case, by all that they share."""
        found: dict[tuple, set[Case]] = {}
        for cell in self._statuses:
            case = Case(cell[0], cell[1], *cell[4:])
            found.setdefault(case.place, set()).add(case)
        return {place: sorted(draws, key=lambda case: case.seed) for place, draws in found.items()}

    @property
    def main_setting(self) -> tuple[str, ...]:
        """Sources, retain coverage and forget set of the study's first grid; else those of the first case shown."""
        stated = self.about.get("main")
        return tuple(stated) if stated else self.cases[0].setting[:-1] if self.cases else ()

    @property
    def shown_cells(self) -> int:
        """How many cells figures show, those of further unlearning seeds among them: they enter a mean."""
        shown = {(c.model, c.training_seed, *c.setting) for c in self.cases}
        return sum((c[0], c[1], *c[4:8]) in shown for c in self._statuses)

    @property
    def repeats(self) -> int:
        """How many cells repeat others with another unlearning seed."""
        first = set(self.all_cases)
        return sum(Case(c[0], c[1], *c[4:]) not in first for c in self._statuses)

    def name(self, case: Case, among: Sequence[Case] = ()) -> str:
        """The model, and whatever else differs between the cases that a figure shows: those of `cases`, or `among`."""
        parts = [case.model]
        labels = {
            "training_seed": f"training seed {case.training_seed}",
            "sources": "from " + Languages(case.sources).words,
            "retain": f"retain {case.retain}",
            "forget_set": f"forget {case.forget_set}",
            "protocol": f"{case.protocol} protocol",
        }
        others = among or self.cases
        parts += [text for key, text in labels.items() if len({getattr(other, key) for other in others}) > 1]
        return ", ".join(parts)

    @cached_property
    def described(self) -> dict[str, dict[str, str]]:
        """What the study says of each algorithm, in its order: method, family, paper, intent; {} where it says none."""
        return dict(self.about.get("algorithms") or {})

    @cached_property
    def all_algorithms(self) -> list[str]:
        """Algorithms of the tables: those of a family together, in the study's order, else in that of the tables."""
        found = dict.fromkeys(cell[2] for cell in self._statuses)
        order = [name for name in self.described if name in found]
        order += [name for name in found if name not in self.described]
        families = list(dict.fromkeys(map(self.family, order)))
        return sorted(order, key=lambda name: families.index(self.family(name)))

    def family(self, algorithm: str) -> str:
        """The family of an algorithm's method, "" where the study does not say."""
        return self.described.get(algorithm, {}).get("family", "")

    def intent(self, algorithm: str) -> str:
        """The objective of an algorithm's method: removal, suppression, guard or control; "" where nobody says."""
        return self.described.get(algorithm, {}).get("intent", "")

    @cached_property
    def _edits(self) -> dict[tuple, dict[str, list[str]]]:
        """Bands by place of a case and algorithm, of any of its unlearning seeds."""
        found: dict[tuple, dict[str, dict[str, None]]] = {}
        for cell in self._statuses:
            place = Case(cell[0], cell[1], *cell[4:]).place
            found.setdefault(place, {}).setdefault(cell[2], {})[cell[3]] = None
        return {place: {name: list(bands) for name, bands in own.items()} for place, own in found.items()}

    def algorithms(self, case: Case) -> list[str]:
        own = self._edits.get(case.place, {})
        return [name for name in self.all_algorithms if name in own]

    def bands(self, case: Case, algorithm: str) -> list[str]:
        """Blocks from below, then the bands of several blocks, then `all` and `full`."""

        def make() -> list[str]:
            found = self._edits.get(case.place, {}).get(algorithm, [])
            return sorted(found, key=from_below)

        return self.once(("bands", case, algorithm), make)

    def blocks(self, case: Case, algorithm: str) -> list[str]:
        return [band for band in self.bands(case, algorithm) if band not in WHOLE]

    def depth(self, case: Case) -> int:
        stated = self.about.get("models", {}).get(case.model, {}).get("blocks", 0)
        curve = self.curve(case)
        seen = [max(named_blocks(band) or (0,)) for a in self.algorithms(case) for band in self.blocks(case, a)]
        return max([int(stated), len(curve), *(block + 1 for block in seen)])

    # Numbers

    def number(
        self,
        case: Case,
        algorithm: str,
        band: str,
        metric: str,
        group: str = "heldout",
        *,
        facts: str | None = None,
        language: str = "",
        attack: str = NO_ATTACK,
    ) -> Number:
        """A score; `group` is one of metrics.GROUPS, and `facts` all, taught or transfer for metrics of facts.

        Several unlearning seeds are averaged, those of the cell's `status` (its interval likewise: they are asked the
        same questions). attack: what the model was put through before it was asked. A diverged cell has no score,
        whatever its table says: it counts neither as erased nor as kept. Raises UnknownMetricError for a metric that is
        none.
        """
        metrics.check(metric, self.metrics)
        if is_own(metric) and self.diverged(case, algorithm, band):
            return MISSING
        kind = self.metrics.get(metric, "") if facts is None else facts
        key = (metric, group, kind, language)
        draws = self._alike(case, algorithm, band)
        if len(draws) == 1:
            return self._numbers(draws[0].cell(algorithm, band), attack).get(key, MISSING)
        found = [self._numbers(draw.cell(algorithm, band), attack).get(key, MISSING) for draw in draws]
        found = [number for number in found if number]
        if not found:
            return MISSING
        value, low, high = (sum(column) / len(found) for column in list(zip(*found))[:3])
        return Number(value, low, high, min(number.n for number in found))

    def _alike(self, case: Case, algorithm: str, band: str) -> list[Case]:
        """The unlearning seeds whose cells have the status that stands for all: they are what is averaged."""
        draws = self._draws.get(case.place, [case])
        if algorithm in REFERENCES or len(draws) == 1:
            return [case]

        def make() -> list[Case]:
            own = [(draw, status) for draw in draws if (status := self._statuses.get(draw.cell(algorithm, band)))]
            if not own:
                return [case]
            counts = Counter(status for _, status in own)
            chosen = max(counts, key=lambda status: (counts[status], status == "ok"))
            return [draw for draw, status in own if status == chosen]

        return self.once(("draws", *case.place, algorithm, band), make)

    def knows(self, metric: str) -> bool:
        """Whether `metric` is one at all: whatever a study's configuration names may be none."""
        return metric in metrics.METRICS or metric in self.metrics

    def status(self, case: Case, algorithm: str, band: str) -> str:
        """The status of a cell, of several unlearning seeds the most common ("ok" before others as common)."""
        return self._statuses.get(self._alike(case, algorithm, band)[0].cell(algorithm, band), "")

    def votes(self, case: Case, algorithm: str, band: str) -> bool:
        """Whether a cell may stand in a verdict, a mean or a rank (see SILENT)."""
        return not self.silence(case, algorithm, band)

    def silence(self, case: Case, algorithm: str, band: str) -> str:
        """The status for which a cell votes nowhere, "" of one that does."""
        status = self.status(case, algorithm, band)
        return status if status in SILENT or (status == "not_reached" and case.protocol == "matched") else ""

    def nothing_to_forget(self, case: Case) -> str:
        """Why no edit of a model can be judged, in a sentence: it knows nothing to forget. "" where it does."""

        def make() -> str:
            if NOTHING not in {self._statuses[cell] for cell in self._statuses if Case(*cell[:2], *cell[4:]) == case}:
                return ""
            base, oracle = (self.number(case, who, "", "accuracy_option", "source") for who in REFERENCES)
            chance = self.number(case, "base", "", "chance", "source")
            floor = f"guessing gives {_decimal(chance.value)}"
            floor += f", and the oracle, which was never taught it, has {oracle}" if oracle else ""
            # K divides by what the model knows beyond its floor.
            k = "is shown and decides nothing" if self.number(case, "base", "", "K", "source") else "is empty"
            return (
                f"Nothing to forget: in the source languages the model chooses the right option in {base} of the "
                f"questions to be forgotten; {floor}. No edit of it gets a verdict, and K {k}."
            )

        return self.once((NOTHING, case), make)

    def reached(self, case: Case, algorithm: str, band: str) -> bool:
        return self.status(case, algorithm, band) == "ok"

    def diverged(self, case: Case, algorithm: str, band: str) -> bool:
        return self.status(case, algorithm, band) == "diverged"

    def divergences(self) -> list[tuple[tuple, int | None, float]]:
        """The diverged cells of the study: key, the step at which each diverged, its last finite loss (NaN: none)."""
        rows = self.tables["cells"]
        rows = rows[rows["status"] == "diverged"]
        keys = zip(*(rows[key] for key in CELL))
        steps = (None if math.isnan(step) else int(step) for step in rows["diverged_at"])
        return list(zip(keys, steps, rows["last_loss"].tolist()))

    def languages(self, case: Case) -> tuple[list[str], list[str]]:
        """Source and held-out languages."""
        source = list(Languages(case.sources).codes)
        stated = self.about.get("models", {}).get(case.model, {}).get("languages")
        if stated is None:
            scores = self.tables["scores"]
            own = scores[(scores["model"] == case.model) & (scores["sources"] == case.sources)]
            stated = [code for code in dict.fromkeys(own["language"]) if code]
        return source, [code for code in stated if code not in source]

    def floor(self, case: Case) -> str:
        """What K = 0 means: `oracle` or `chance`."""
        scores = self.tables["scores"]
        own = scores[(scores["model"] == case.model) & (scores["forget_set"] == case.forget_set)]
        floors = [floor for floor in own.loc[own["metric"] == "K", "floor"].unique() if floor]
        return floors[0] if floors else ""

    # Layers, views, gates

    def once(self, key: tuple, make: Callable[[], T]) -> T:
        """What was looked up before is not looked up again: tables do not change."""
        if key not in self._found:
            self._found[key] = make()
        return self._found[key]

    def _of(self, table: str, case: Case) -> pd.DataFrame:
        key = (table, case.model, case.training_seed, case.forget_set)
        return self.once(key, lambda: self._rows_of(table, case))

    def _rows_of(self, table: str, case: Case) -> pd.DataFrame:
        rows = self.tables[table]
        own = (rows["model"] == case.model) & (rows["training_seed"] == case.training_seed)
        if "forget_set" in rows:
            own &= rows["forget_set"] == case.forget_set
        return rows[own]

    def curve(self, case: Case) -> pd.DataFrame:
        return self._of("layers", case).sort_values("block")

    def regions(self, case: Case) -> pd.DataFrame:
        return self._of("regions", case)

    def has_band(self, case: Case) -> bool | None:
        """Whether the model has an intermediate band at all (LRDS has a minimum inside); None where nobody has said."""
        rows = self.regions(case)
        said = set(rows["band_exists"].str.lower()) - {""}
        return None if not said else said == {"true"}

    def profile(self, case: Case, measure: str) -> dict[tuple[int, str], float]:
        """A measure of an analysis of the base by block and language (of a pair: `a-b`); {} where there is none."""
        return self._profiles.get((case.model, case.training_seed, case.forget_set, measure), {})

    @cached_property
    def _profiles(self) -> dict[tuple, dict[tuple[int, str], float]]:
        rows = self.tables["profiles"]
        rows = rows[rows["algorithm"] == "base"]
        keys = ("model", "training_seed", "forget_set", "measure", "block", "language", "value")
        found: dict[tuple, dict[tuple[int, str], float]] = {}
        for *who, block, language, value in zip(*(rows[key].tolist() for key in keys)):
            found.setdefault(tuple(who), {})[block, language] = float(value)
        return found

    def views(self, case: Case, algorithm: str) -> dict[str, list[int]]:
        """Blocks by view: target, shallow, deep, region."""

        def make() -> dict[str, list[int]]:
            rows = self._of("bands", case)
            own = rows[rows["algorithm"] == algorithm]
            return {str(view): sorted(int(b) for b in group["block"]) for view, group in own.groupby("view")}

        return self.once(("views", case.model, case.training_seed, case.forget_set, algorithm), make)

    def rule(self, case: Case, algorithm: str) -> str:
        """The rule by which the target was chosen."""
        rows = self._of("bands", case)
        rules = rows.loc[(rows["algorithm"] == algorithm) & (rows["view"] == "target"), "rule"]
        return str(rules.iloc[0]).replace("_", " ") if len(rules) else ""

    def below_gate(self, case: Case) -> list[str]:
        """The gates that the edited model misses, in words."""
        return self.once(("below gate", case.model, case.training_seed), lambda: self._missed(case))

    def _missed(self, case: Case) -> list[str]:
        rows = self._of("gates", case)
        failed = rows[(rows["oracle"] == "") & (rows["passed"].astype(str) == "False")]
        where = [f" in {code}" if code else "" for code in failed["language"]]
        # Down: what is below its gate by a thousandth must not read as the gate.
        values = (math.floor(100 * value + 1e-9) / 100 for value in failed["value"])
        return [f"{m.replace('_', ' ')}{w} {v:.2f}" for m, w, v in zip(failed["measure"], where, values)]

    def lens(self, case: Case, algorithm: str, band: str) -> pd.DataFrame:
        """The lens of a cell, or of the base (algorithm `base`), by language and block."""
        if algorithm == "base":
            rows = self._of("lens", case)
            return rows[rows["algorithm"] == "base"]
        return self._lenses.get(case.cell(algorithm, band), self.tables["lens"].iloc[:0])

    @cached_property
    def _lenses(self) -> dict[tuple, pd.DataFrame]:
        groups = self.tables["lens"].groupby(list(CELL), sort=False)
        return {tuple(key): rows for key, rows in groups}  # ty: ignore[invalid-argument-type]


Tables: TypeAlias = Mapping[str, pd.DataFrame] | Results


def place(band: str, depth: int) -> float:
    """Where a band stands on an axis of blocks: whole-model bands beyond the last block, with a gap."""
    if band in WHOLE:
        return depth + 0.6 + WHOLE.index(band)
    return middle(band)


def _whole(table: pd.DataFrame | None, columns: tuple[str, ...]) -> pd.DataFrame:
    """A copy of a table with all columns that are read here, text without missing values."""
    made = pd.DataFrame(columns=list(columns)) if table is None else table.copy()
    for column in columns:
        if column not in made:
            made[column] = None
        if column in TEXT:
            # Text as it is read needs no look at each word: there are millions.
            read = isinstance(made[column].dtype, pd.StringDtype)
            filled = made[column] if read else made[column].astype(object)
            made[column] = filled.fillna("") if read else filled.where(filled.notna(), "").astype(str)
        elif column in NUMBERS:
            made[column] = pd.to_numeric(made[column], errors="coerce")
        elif column in WHOLE_NUMBERS:
            made[column] = pd.to_numeric(made[column], errors="coerce").fillna(0).astype(int)
    return made
