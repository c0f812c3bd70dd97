"""The study's tables, in long format: each row names its cell, and every table marks models below their gate.

docs/tables.md describes the columns. No table holds a time of day or a duration: they are the same from run to run.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from mute.bands import KEYS, Languages
from mute.corpus.schema import Corpus
from mute.evaluate import divergence, measures, surrogates
from mute.evaluate.board import SCORE_COLUMNS, Board
from mute.evaluate.item_table import items
from mute.evaluate.metrics import score_attack, score_cell
from mute.evaluate.panel import Panel
from mute.jobs import progress
from mute.store import artifacts
from mute.store.records import Facts

_COLUMNS = [*KEYS, "attack", "status", *SCORE_COLUMNS]


class References:
    """Tables of base models and oracles, each read once; facts in those forms only that patches are asked."""

    def __init__(self, paths: Iterable[str], corpus: Corpus) -> None:
        self.folders = {Path(path).parent.name: Path(path).parent for path in paths}
        self.corpus = corpus
        self._kept: dict[tuple[str, str], pd.DataFrame] = {}

    def taught(self, training_seed: int) -> "References":
        """The same tables, beside what models of a training seed are about."""
        own = copy(self)
        own.corpus = self.corpus.taught(training_seed)
        return own

    def table(self, name: str, kind: str) -> pd.DataFrame:
        """`tokens` as items, or `answers`, of a trained model."""
        if (name, kind) not in self._kept:
            table = artifacts.read_table(self.folders[name] / f"{kind}.parquet")
            asked = (table["set"] != "facts") | table["form"].isin(self.corpus.asked_forms)
            table = table[asked].reset_index(drop=True)
            self._kept[name, kind] = measured(table, self.corpus) if kind == "tokens" else table
        return self._kept[name, kind]

    def panel(
        self, base: pd.DataFrame, sources: str, forget_set: str, languages: list[str], plan: Facts, least: int = 0
    ) -> Panel:
        """What a model's scores are estimated on, beside a base of this item table; `least` as in `Panel`.

        Sources that are none of the languages are left out.
        """
        source = [code for code in Languages(sources).codes if code in languages]
        return Panel(
            base,
            self.corpus.facts,
            self.corpus.roles(forget_set),
            source=source,
            heldout=[code for code in languages if code not in source],
            headline_form=self.corpus.about["headline_form"],
            draws=plan["draws"],
            seed=plan["seed"],
            scripts=self.corpus.about.get("scripts"),
            least=least,
            scored_forms=self.corpus.about.get("scored_forms"),
        )

    def scores(
        self,
        panel: Panel,
        cell: pd.DataFrame,
        answers: pd.DataFrame,
        base: str,
        oracle: str | None,
        trainings: Sequence[Sequence[str]] = (),
    ) -> pd.DataFrame:
        """Every measure of a model, those of the registry too, from its own tables and those of its references.

        trainings: names of bases and oracles of the model's trainings, its own among them.
        """
        floor = self.table(oracle, "tokens") if oracle else None
        found = {"cell": cell, "base": panel.base, **({} if floor is None else {"oracle": floor})}
        others = [(self.table(one, "tokens"), self.table(never, "tokens")) for one, never in trainings if one != base]
        context = measures.Context(found, answers, self.corpus, others)
        return score_cell(
            Board(panel),
            cell,
            floor,
            answers=answers,
            base_answers=self.table(base, "answers"),
            texts=self.corpus.texts,
            further=[partial(_add, measure, context) for measure in _measures(self.corpus)],
        )


def _add(measure: measures.Measure, context: measures.Context, board: Board) -> None:
    """The scores of a measure, which are better its way."""
    with board.towards(measure.better):
        measure.score(board, context)


def measured(tokens: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """The item table of a token table, with the columns that the measures of the corpus read."""
    table = items(tokens)
    for measure in _measures(corpus):
        wider = measure.columns(table, tokens)
        kept = list(table.columns)
        if len(wider) != len(table) or not set(kept) <= set(wider.columns) or not wider[kept].equals(table):
            raise ValueError(
                f"measure {measure.name!r} gives other rows or values than those it was given: `columns` may only add "
                "columns to the table"
            )
        table = wider
    return table


def _measures(corpus: Corpus) -> list[measures.Measure]:
    every = (measures.load(name)() for name in measures.names())
    return [measure for measure in every if measure.applies(corpus)]


def score_shard(
    cells: pd.DataFrame,
    evaluations: pd.DataFrame,
    attacked: pd.DataFrame,
    results: Path,
    references: References,
    plan: Facts,
) -> pd.DataFrame:
    """Every measure of every cell of a shard, and what attacks brought back; of diverged cells no number."""
    evaluated = dict(zip(evaluations["cell"], evaluations["digest"]))
    # An attack that cannot be tried on a cell has a row and no answers.
    attacks = dict(list(attacked[attacked["status"] != "not_applicable"].groupby("cell")))
    tables = []

    @cache  # base and oracle are read once for all cells of a shard
    def recovered(digest: str) -> tuple[pd.DataFrame, dict[tuple[str, str], str]]:
        """Items of an attack's token table, with Min-K% where they have it; and what was asked."""
        folder = results / "attacks" / digest
        artifacts.checked(folder)
        tokens = artifacts.read_table(folder / "tokens.parquet")
        found = measures.load("membership")().columns(items(tokens), tokens)
        first = tokens[tokens["position"] == 0]
        texts = first.get("asked", [])
        return found, dict(zip(zip(first["item"], first["language"]), texts))

    @cache
    def distance(training_seed: int, forget_set: str, sources: str) -> surrogates.Distance:
        return surrogates.Distance(references.taught(training_seed).corpus, forget_set, Languages(sources).codes)

    @cache
    def surrogate(digest: str, training_seed: int, forget_set: str, sources: str) -> set[tuple[str, str]] | None:
        """Item and language of what an attack asks otherwise, far from what was read; None where it asks plainly."""
        texts, plain = recovered(digest)[1], _plain(references.taught(training_seed).corpus)
        if all(text == plain.get(key) for key, text in texts.items()):
            return None
        return surrogates.accepted(texts, plain, distance(training_seed, forget_set, sources))

    for cell in progress.each(list(artifacts.rows(cells)), "cell"):
        base, taught = f"{cell.model}-s{cell.training_seed}", references.taught(cell.training_seed)
        oracle = plan["oracles"][f"{base}.{cell.forget_set}"]
        least = plan.get("least", {}).get(cell.model, 0)
        setting = (cell.sources, cell.forget_set, plan["languages"][cell.model], plan, least)
        folder = results / "evaluations/cells" / str(evaluated[cell.digest])
        artifacts.checked(folder)
        panel = taught.panel(taught.table(base, "tokens"), *setting)
        own = measured(artifacts.read_table(folder / "tokens.parquet"), taught.corpus)
        trainings = plan.get("trainings", {}).get(f"{cell.model}.{cell.forget_set}", ())
        answers = artifacts.read_table(folder / "answers.parquet")
        scores = taught.scores(panel, own, answers, base, oracle, trainings)
        found = [scores.assign(attack="")]
        for name, tried in attacks[cell.digest].groupby("attack") if cell.digest in attacks else ():
            entries = {row.victim: row for row in artifacts.rows(tried)}
            read = {victim: recovered(row.digest) for victim, row in entries.items()}
            given = {victim: table for victim, (table, _) in read.items()}
            tried_on = next(iter(given.values()))
            spoken = [code for code in plan["languages"][cell.model] if code in set(tried_on["language"])]
            asked = taught.panel(
                _forget_facts(panel.base, panel, tried_on), cell.sources, cell.forget_set, spoken, plan, least
            )
            floor = _forget_facts(taught.table(oracle, "tokens"), panel, tried_on) if oracle else None
            metric = next(iter(entries.values())).metric
            before = _forget_facts(own, panel, tried_on)
            found.append(score_attack(asked, given, floor, metric, before).assign(attack=name))
            if floor is not None and "base" in entries:
                kept = surrogate(str(entries["base"].digest), cell.training_seed, cell.forget_set, cell.sources)
                plain = {"cell": before, "base": asked.base, "oracle": floor}
                if kept is not None:
                    found.append(surrogates.score(asked, given, plain, kept).assign(attack=name))
        table = pd.concat(found, ignore_index=True)
        if cell.status in ("diverged", "not_applicable"):
            table = divergence.blanked(table)
        tables.append(table.assign(**{key: getattr(cell, key) for key in (*KEYS, "status")})[_COLUMNS])
    return pd.concat(tables, ignore_index=True)


def _plain(corpus: Corpus) -> dict[tuple[str, str], str]:
    """The headline questions with their answers, by item and language."""
    own = corpus.texts[corpus.texts["form"] == corpus.about["headline_form"]]
    return dict(zip(zip(own["item"], own["language"]), surrogates.whole(own)))


def _forget_facts(table: pd.DataFrame, panel: Panel, tried: pd.DataFrame) -> pd.DataFrame:
    """The rows of an item table that an attacked model, whose own is `tried`, was asked for too."""
    own = table[(table["set"] == "facts") & (table["form"] == panel.headline_form)]
    keys = [pd.MultiIndex.from_frame(rows[["item", "language"]]) for rows in (own, tried)]
    return own[keys[0].isin(keys[1])].reset_index(drop=True)


def score_references(references: References, plan: Facts) -> pd.DataFrame:
    """Measures of base models and oracles, as if they were cells named `base` and `oracle`."""
    tables = []
    for model, training_seed, sources, forget_set, oracle in plan["references"]:
        base, taught = f"{model}-s{training_seed}", references.taught(training_seed)
        languages, least = plan["models"][model]["languages"], plan["models"][model].get("least", 0)
        panel = taught.panel(taught.table(base, "tokens"), sources, forget_set, languages, plan, least)
        trainings = plan.get("trainings", {}).get(f"{model}.{forget_set}", ())
        for name, label in ((base, "base"), (oracle, "oracle")):
            if name is not None:
                own, answers = taught.table(name, "tokens"), taught.table(name, "answers")
                keys = (model, training_seed, label, "", sources, "", forget_set, "", 0, "", "ok")
                scores = taught.scores(panel, own, answers, base, oracle, trainings)
                tables.append(scores.assign(**dict(zip(_COLUMNS, keys)))[_COLUMNS])
    return pd.concat(tables, ignore_index=True)


# A change of so small a share of the weights that moves K by less is no edit; with less of C left, no model.
NO_EDIT_SIZE, NO_EDIT_POINTS, DESTROYED = 0.01, 0.05, 0.5
# Statuses that say how a run ended; only one of these can be followed by what its scores say.
RAN = ("ok", "not_reached")


def with_statuses(cells: pd.DataFrame, scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables with the statuses that size and scores give.

    `destroyed`: the source languages have less than half of their capability left. `no_edit`: less than a hundredth of
    the weights' norm was changed, and K of source and held-out languages is within five points of the base's 1.
    `nothing_to_forget`, before both: in the source languages the base knows no more of the forget set than its floor.
    """
    own = scores[(scores["language"] == "") & (scores["attack"] == "")]

    def values(metric: str, group: str, facts: str) -> pd.Series:
        rows = own[(own["metric"] == metric) & (own["group"] == group) & (own["facts"] == facts)]
        by_cell = rows.set_index(list(KEYS))["value"]
        return by_cell.reindex(pd.MultiIndex.from_frame(cells[list(KEYS)])).reset_index(drop=True)

    # What is missing is near to nothing, and below nothing.
    known = [values("K", group, "all") for group in ("source", "heldout")]
    kept = pd.concat([(k - 1).abs() < NO_EDIT_POINTS for k in known], axis=1).all(axis=1).to_numpy()
    ran = cells["status"].isin(RAN).to_numpy()
    size = pd.to_numeric(cells["size"]).to_numpy(float)
    no_edit = ran & kept & (size < NO_EDIT_SIZE)
    destroyed = ran & (values("C", "source", "") < DESTROYED).to_numpy()
    status = np.where(destroyed, "destroyed", np.where(no_edit, "no_edit", cells["status"].to_numpy(object)))
    status = np.where(ran & _nothing_to_forget(cells, own), "nothing_to_forget", status)
    judged = cells.assign(status=status)
    said = judged.set_index(list(KEYS))["status"]
    new = said.reindex(pd.MultiIndex.from_frame(scores[list(KEYS)])).to_numpy(object)
    # References are no cells.
    return judged, scores.assign(status=np.where(pd.isna(new), scores["status"].to_numpy(object), new))


def _nothing_to_forget(cells: pd.DataFrame, scores: pd.DataFrame) -> np.ndarray:
    """Whether the base of each cell knows nothing of the forget set in the source languages.

    It does if its accuracy among options, with the lower end of its interval, is not above what guessing gives, or if
    it is so near to its floor (the oracle, or chance) that K is not defined. What nobody asked is not known to be so.
    """
    keys = ["model", "training_seed", "sources", "forget_set"]
    of_base = scores[(scores["algorithm"] == "base") & (scores["group"] == "source") & (scores["facts"] == "all")]
    places = pd.MultiIndex.from_frame(cells[keys])

    def values(metric: str, column: str) -> np.ndarray:
        rows = of_base[of_base["metric"] == metric].drop_duplicates(keys).set_index(keys)
        return rows.get(column, pd.Series(dtype=float)).reindex(places).to_numpy(float)

    accuracy, low, chance = (
        values("accuracy_option", "value"),
        values("accuracy_option", "low"),
        values("chance", "value"),
    )
    guesses = np.where(np.isnan(low), accuracy, low) <= chance
    undefined = ~np.isnan(accuracy) & np.isnan(values("K", "value"))
    return guesses | undefined


def profile_table(
    cells: pd.DataFrame, analysed: pd.DataFrame, results: Path, trained: Mapping[str, Sequence[str | int]]
) -> pd.DataFrame:
    """What analyses found by block, with keys of the cell, or of the base (algorithm `base`), and the analysis.

    Of a base band and sources are empty, but for those that the analysis depends on.
    """
    columns, tables = [*KEYS, "analysis", "measure", "block", "language", "value", "n"], []
    rows = {cell.digest: cell for cell in artifacts.rows(cells)}
    # All of a cell together, and the bases one after the other.
    order = np.lexsort([analysed.groupby(key, sort=False).ngroup() for key in ("trained", "cell")])
    for row in artifacts.rows(analysed.iloc[order]):
        folder = results / "analyses" / str(row.digest)
        artifacts.checked(folder)
        if row.cell:
            keys = {key: getattr(rows[row.cell], key) for key in KEYS}
        else:
            given = {"band": row.band, "sources": row.sources, "retain": "", "protocol": ""}
            keys = {**given, "algorithm": "base", "forget_set": row.forget_set, "seed": 0}
            keys["model"], keys["training_seed"], _ = trained[row.trained]
        profile = artifacts.read_table(folder / "profile.parquet")
        tables.append(profile.assign(**keys, analysis=row.analysis)[columns])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


# What tells base models apart.
_MODEL = ["model", "training_seed", "forget_set"]


def lens_table(profile: pd.DataFrame) -> pd.DataFrame:
    """Lens of base models and cells, per language and block; `affected`: not below an edit (there the base holds)."""
    keys = [*KEYS, "language", "block", "n"]
    measures = ["probability", "full", "hit", "agree"]
    if profile.empty:
        return pd.DataFrame(columns=[*keys[:-1], "affected", *measures, "n"])
    wide = profile.pivot(index=keys, columns="measure", values="value").reset_index()
    base = wide[wide["algorithm"] == "base"]
    tables = [base.assign(affected=False)]
    for values, own in wide[wide["algorithm"] != "base"].groupby(list(KEYS), sort=False):
        cell = dict(zip(KEYS, values))
        alike = (base[_MODEL] == [cell[key] for key in _MODEL]).all(axis=1)
        below = base[alike & (base["block"] < own["block"].min())].assign(**cell, affected=False)
        tables += [below, own.assign(affected=True)]
    table = pd.concat(tables, ignore_index=True)
    return table[[*keys[:-1], "affected", *measures, "n"]]


def mark_gates(table: pd.DataFrame, gates: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `gate`: `below_gate` where the edited model, or its seed's, misses one of its gates.

    A table that is not about trained models stays as it is.
    """
    if "training_seed" not in table:
        return table
    failed = gates[~gates["passed"] & (gates["oracle"] == "")]
    below = set(zip(failed["model"], failed["training_seed"]))
    pairs = zip(table["model"], table["training_seed"])
    return table.assign(gate=["below_gate" if (m, int(s)) in below else "passed" for m, s in pairs])
