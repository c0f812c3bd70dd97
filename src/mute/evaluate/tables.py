"""The study's tables, in long format: each row names its cell, and every table marks models below their gate.

docs/tables.md describes the columns. No table holds a time of day or a duration: they are the same from run to run.
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from mute.bands import KEYS, Languages
from mute.corpus.schema import Corpus
from mute.evaluate import divergence, measures
from mute.evaluate.board import Board
from mute.evaluate.item_table import items
from mute.evaluate.metrics import score_bypass, score_cell
from mute.store import artifacts


class References:
    """Item tables of base models and oracles, each read once."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.folders = {Path(path).parent.name: Path(path).parent for path in paths}
        self._kept: dict[tuple[str, str], pd.DataFrame] = {}

    def table(self, name: str, kind: str) -> pd.DataFrame:
        """Table `tokens`, `answers` or `bypass` of a trained model."""
        if (name, kind) not in self._kept:
            self._kept[name, kind] = artifacts.read_table(self.folders[name] / f"{kind}.parquet")
        return self._kept[name, kind]

    def like(self, name: str, kind: str, corpus: Corpus) -> pd.DataFrame:
        """`tokens` as items, or `answers`, of a trained model; facts in those forms only that patches are asked."""
        if (name, f"{kind} alike") not in self._kept:
            table = self.table(name, kind)
            table = table[(table["set"] != "facts") | table["form"].isin(corpus.asked_forms)].reset_index(drop=True)
            self._kept[name, f"{kind} alike"] = measured(table, corpus) if kind == "tokens" else table
        return self._kept[name, f"{kind} alike"]


def measured(tokens: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    """The item table of a token table, with the columns that the measures of the corpus read."""
    table = items(tokens)
    for measure in _measures(corpus):
        table = measure.columns(table, tokens)
    return table


def _measures(corpus: Corpus) -> list[measures.Measure]:
    every = (measures.load(name)() for name in measures.names())
    return [measure for measure in every if measure.applies(corpus)]


def _further(
    corpus: Corpus, cell: pd.DataFrame, base: pd.DataFrame, oracle: pd.DataFrame | None, answers: pd.DataFrame
) -> list[Callable[[Board], None]]:
    """The measures of the registry, each ready to add its scores."""
    found = {"cell": cell, "base": base, **({} if oracle is None else {"oracle": oracle})}
    context = measures.Context(found, answers, corpus)
    return [partial(measure.score, context=context) for measure in _measures(corpus)]


def score_shard(
    cells: pd.DataFrame,
    evaluations: pd.DataFrame,
    attacked: pd.DataFrame,
    results: Path,
    corpus: Corpus,
    references: References,
    plan: dict[str, Any],
) -> pd.DataFrame:
    """Every measure of every cell of a shard, and B where its blocks could be bypassed; of diverged cells no number."""
    evaluated = dict(zip(evaluations["cell"], evaluations["digest"]))
    # An attack that cannot be tried on a cell has a row and no entry.
    attacks = dict(list(attacked[attacked["digest"].notna()].groupby("cell")))
    kept: dict[str, pd.DataFrame] = {}
    form = corpus.about["headline_form"]
    tables = []
    for cell in artifacts.rows(cells):
        source = list(Languages(cell.sources).codes)
        heldout = [code for code in plan["languages"][cell.model] if code not in source]
        base = f"{cell.model}-s{cell.training_seed}"
        oracle = plan["oracles"][f"{base}.{cell.forget_set}"]
        roles = corpus.roles(cell.forget_set)
        common: dict[str, Any] = {
            "source": source,
            "heldout": heldout,
            "headline_form": form,
            "draws": plan["draws"],
            "seed": plan["seed"],
        }
        folder = results / "evaluations/cells" / str(evaluated[cell.digest])
        artifacts.checked(folder)
        untouched = references.like(base, "tokens", corpus)
        floor = references.like(oracle, "tokens", corpus) if oracle else None
        table = measured(artifacts.read_table(folder / "tokens.parquet"), corpus)
        answers = artifacts.read_table(folder / "answers.parquet")
        scores = score_cell(
            table,
            untouched,
            floor,
            corpus.facts,
            roles,
            answers=answers,
            base_answers=references.like(base, "answers", corpus),
            texts=corpus.texts,
            further=_further(corpus, table, untouched, floor, answers),
            **common,
        )
        found = [scores.assign(attack="")]
        asked = (_forget_facts(untouched, roles, form), None if floor is None else _forget_facts(floor, roles, form))
        for name, own in attacks[cell.digest].groupby("attack") if cell.digest in attacks else ():
            entries = {row.victim: row for row in artifacts.rows(own)}
            if "cell" not in entries:
                continue
            metric = entries["cell"].metric
            given = {victim: _recovered(results, row.digest, kept) for victim, row in entries.items()}
            b = score_bypass(given["cell"], given.get("oracle"), *asked, corpus.facts, roles, **common)
            found.append(b.assign(metric=b["metric"].map({"B": metric, "B_oracle": f"{metric}_oracle"}), attack=name))
            b = score_bypass(given["base"], None, *asked, corpus.facts, roles, **common)
            found.append(b.assign(metric=f"{metric}_base", attack=name))
        table = pd.concat(found, ignore_index=True)
        if cell.status in ("diverged", "not_applicable"):
            table = divergence.blanked(table)
        for place, key in enumerate(KEYS):
            table.insert(place, key, getattr(cell, key))
        table.insert(len(KEYS), "attack", table.pop("attack"))
        table.insert(len(KEYS) + 1, "status", cell.status)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _recovered(results: Path, digest: str, kept: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What a victim answers under an attack, as items; base and oracle are read once for all cells of a shard."""
    if digest not in kept:
        folder = results / "attacks" / digest
        artifacts.checked(folder)
        kept[digest] = items(artifacts.read_table(folder / "tokens.parquet"))
    return kept[digest]


def _forget_facts(table: pd.DataFrame, roles: pd.Series, form: int) -> pd.DataFrame:
    """The rows of an item table that a bypass is asked for too."""
    forget = (table["set"] == "facts") & (table["form"] == form) & table["item"].map(roles).eq("forget")
    return table[forget].reset_index(drop=True)


def score_references(corpus: Corpus, references: References, plan: dict[str, Any]) -> pd.DataFrame:
    """Measures of base models and oracles, as if they were cells named `base` and `oracle`."""
    form, tables = corpus.about["headline_form"], []
    for model, training_seed, sources, forget_set, known in plan["references"]:
        base = f"{model}-s{training_seed}"
        source = list(Languages(sources).codes)
        for name, label in ((base, "base"), (known, "oracle")):
            if name is None:
                continue
            own, base_table = references.like(name, "tokens", corpus), references.like(base, "tokens", corpus)
            oracle = references.like(known, "tokens", corpus) if known else None
            answers = references.like(name, "answers", corpus)
            table = score_cell(
                own,
                base_table,
                oracle,
                corpus.facts,
                corpus.roles(forget_set),
                source=source,
                heldout=[code for code in plan["models"][model]["languages"] if code not in source],
                headline_form=form,
                answers=answers,
                base_answers=references.like(base, "answers", corpus),
                texts=corpus.texts,
                further=_further(corpus, own, base_table, oracle, answers),
                draws=plan["draws"],
                seed=plan["seed"],
            )
            values = (model, training_seed, label, "", sources, "", forget_set, "", 0, "", "ok")
            for place, (key, value) in enumerate(zip([*KEYS, "attack", "status"], values)):
                table.insert(place, key, value)
            tables.append(table)
    return pd.concat(tables, ignore_index=True)


def profiles(analysed: pd.DataFrame, results: Path, table: str) -> pd.DataFrame:
    """Rows of all analyses whose table this is, each with the name of its analysis, its model and its cell."""
    found = []
    for row in artifacts.rows(analysed[analysed["table"] == table]):
        folder = results / "analyses" / str(row.digest)
        artifacts.checked(folder)
        keys = {"trained": row.trained, "forget_set": row.forget_set, "cell": row.cell, "analysis": row.analysis}
        found.append(artifacts.read_table(folder / "profile.parquet").assign(**keys))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=PROFILE)


PROFILE = ["trained", "forget_set", "cell", "analysis", "measure", "block", "language", "value", "n"]


def profile_table(cells: pd.DataFrame, rows: pd.DataFrame, trained: dict[str, list[Any]]) -> pd.DataFrame:
    """The table of profiles: keys of the cell, or of the base (algorithm `base`), and what was found by block."""
    tables = []
    for digest, own in rows.groupby("cell", sort=False):
        if digest:
            cell = next(artifacts.rows(cells[cells["digest"] == digest]))
            tables.append(own.assign(**{key: getattr(cell, key) for key in KEYS}))
            continue
        base = {"algorithm": "base", "band": "", "sources": "", "retain": "", "protocol": "", "seed": 0}
        for name, each in own.groupby("trained", sort=False):
            model, seed, _ = trained[str(name)]
            tables.append(each.assign(model=model, training_seed=seed, **base))
    columns = [*KEYS, *PROFILE[3:]]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


# What tells base models apart.
_MODEL = ["model", "training_seed", "forget_set"]


def lens_table(profile: pd.DataFrame) -> pd.DataFrame:
    """Lens of base models and cells, per language and block; `affected`: not below an edit (there the base holds)."""
    keys = [*KEYS, "language", "block", "n"]
    wide = profile.pivot(index=keys, columns="measure", values="value").reset_index()
    base = wide[wide["algorithm"] == "base"]
    tables = [base.assign(affected=False)]
    for values, own in wide[wide["algorithm"] != "base"].groupby(list(KEYS), sort=False):
        cell = dict(zip(KEYS, values))
        alike = (base[_MODEL] == [cell[key] for key in _MODEL]).all(axis=1)
        below = base[alike & (base["block"] < own["block"].min())].assign(**cell, affected=False)
        tables += [below, own.assign(affected=True)]
    table = pd.concat(tables, ignore_index=True)
    return table[[*KEYS, "language", "block", "affected", "probability", "full", "hit", "agree", "n"]]


def mark_gates(table: pd.DataFrame, gates: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `gate`: `below_gate` where the edited model, or its seed's, misses one of its gates.

    A table that is not about trained models stays as it is.
    """
    if "training_seed" not in table:
        return table
    failed = set(
        gates.loc[~gates["passed"] & (gates["oracle"] == ""), ["model", "training_seed"]].itertuples(
            index=False, name=None
        )
    )
    pairs = zip(table["model"], table["training_seed"])
    return table.assign(gate=["below_gate" if (m, int(s)) in failed else "passed" for m, s in pairs])
