"""Tables 1 to 13 of the paper, ours beside the published: a registry of long tables.

Accuracies are in percent. Published intervals are Wilson's for the questions of the subjects that the paper names, in a
mean over languages as wide as the languages' are on average; ours are t-intervals over trained models, or over facts
where a setting was run on one. Published layers stand beside the block of ours at the same
relative depth, and the stated target beside the block that our rule chooses.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import pandas as pd

from mute.bands import Languages, is_block
from mute.evaluate.inference import wilson_mean
from mute.findings import trainings
from mute.findings.published import QUESTIONS, QUESTIONS_UNIT, Published
from mute.findings.results import Case, Number, Results

COLUMNS = (*("origin", "model", "algorithm", "condition", "split", "language", "value", "low", "high", "n", "unit"),)
MEAN = "mean"  # in the place of a language
SPLITS = {"forget": "accuracy_strict", "retain": "retain_strict"}
# The published model that each family of ours stands beside, and what each is called on the hub.
PUBLISHED = {
    "llama": "Llama-3.1-8B",
    "qwen2": "Qwen-2.5-7B",
    "bloom": "BLOOM-7b1",
    "meta-llama/Llama-3.1-8B": "Llama-3.1-8B",
    "Qwen/Qwen2.5-7B": "Qwen-2.5-7B",
    "bigscience/bloom-7b1": "BLOOM-7b1",
}


def table(name: str, results: Results, published: Published) -> pd.DataFrame:
    """The exhibit of a name. What a study did not run has no rows of ours."""
    _, make = EXHIBITS[name]
    return make(results, published)


# Published rows


def _published(published: Published, number: int, conditions: Iterable[str] | None = None) -> list[dict]:
    rows = published.tables[(published.tables["table"] == number) & (published.tables["lang"] != "avg")]
    if conditions is not None:
        rows = rows[rows["condition"].isin(list(conditions))]
    keys = ["model", "algorithm", "condition", "split"]
    found = [(*key, [value]) for *key, value in rows[[*keys, "lang", "value"]].itertuples(index=False)]
    for key, own in rows.groupby(keys, sort=False):
        found.append((*key, MEAN, own["value"].tolist()))
    return [
        _row("published", *map(str, key), _percent(values, QUESTIONS[key[3]]), QUESTIONS_UNIT) for *key, values in found
    ]


def _percent(values: list[float], questions: int) -> Number:
    mean, low, high = wilson_mean((value / 100 for value in values), questions)
    return Number(100 * mean, 100 * low, 100 * high, questions)


def _row(
    origin: str, model: str, algorithm: str, condition: str, split: str, language: str, number: Number, unit: str
) -> dict:
    values = (number.value, number.low, number.high)
    keys = (origin, model, algorithm, condition, split, language, *(round(v, 2) for v in values), number.n, unit)
    return dict(zip(COLUMNS, keys))


# Rows of ours


def our_model(results: Results, published_model: str) -> str:
    """The study's model of the family that a published model belongs to, "" if it has none."""
    for name, about in results.about.get("models", {}).items():
        if PUBLISHED.get(about.get("pretrained", about.get("family", ""))) == published_model:
            return name
    return ""


def fixed_cases(results: Results, model: str) -> list[Case]:
    """Trainings of a model in the main setting under the paper's protocol, or the one that edited blocks."""
    for protocol in ("paper", *trainings.protocols(results)):
        cases = [case for case in trainings.main_cases(results, protocol) if case.model == model]
        if any(results.blocks(case, name) for case in cases for name in results.algorithms(case)):
            return cases
    return []


def placed(results: Results, case: Case, layer: int, layers: int) -> int:
    """The block at the relative depth of a published layer."""
    return round(layer / (layers - 1) * (results.depth(case) - 1))


# One row of ours: its condition, and how to find the cell (algorithm and band) in a case.
Found = Callable[[Case], tuple[str, str]]


def _ours(
    results: Results, cases: list[Case], algorithm: str, condition: str, find: Found, splits: Iterable[str] = SPLITS
) -> list[dict]:
    if not cases:
        return []
    rows = []
    source, heldout = results.languages(cases[0])
    for split in splits:
        metric, kind = SPLITS[split], "all" if split == "forget" else ""
        for language in [*source, *heldout, MEAN]:
            group = "all" if language == MEAN else "source" if language in source else "heldout"
            numbers = []
            for case in cases:
                name, band = find(case)
                code = "" if language == MEAN else language
                number = results.number(case, name, band, metric, group, facts=kind, language=code)
                if number:
                    numbers.append(Number(100 * number.value, 100 * number.low, 100 * number.high, number.n))
            if numbers:
                mean, unit = trainings.mean(numbers), trainings.unit(numbers)
                rows.append(_row("ours", cases[0].model, algorithm, condition, split, language, mean, unit))
    return rows


def _references(results: Results, cases: list[Case], algorithm: str) -> list[dict]:
    """The model that never knew, as the published one before injection, and the model before unlearning.

    One oracle may serve every training: it counts once.
    """
    oracle = _ours(results, cases[:1], algorithm, "oracle", lambda case: ("oracle", ""))
    return oracle + _ours(results, cases, algorithm, "before", lambda case: ("base", ""))


def _swept(results: Results, published: Published, number: int, layers: Iterable[int] | None = None) -> pd.DataFrame:
    """A table by layer: published conditions, and ours at the same relative depths and at our target."""
    own = published.tables[published.tables["table"] == number]
    model, algorithm = str(own["model"].iloc[0]), str(own["algorithm"].iloc[0])
    wanted = sorted({int(c[1:]) for c in own["condition"] if c[0] == "L"}) if layers is None else list(layers)
    conditions = None if layers is None else {"base", "finetuned", *(f"L{layer}" for layer in wanted)}
    rows = _published(published, number, conditions)
    depth = len(published.curve(model))
    cases, method = fixed_cases(results, our_model(results, model)), algorithm.lower()
    rows += _references(results, cases, method)
    blocks = sorted({placed(results, case, layer, depth) for case in cases[:1] for layer in wanted})
    for block in blocks:
        rows += _ours(results, cases, method, f"block {block}", lambda case, b=block: (method, str(b)))
    rows += _ours(results, cases, method, "target", lambda case: (method, trainings.target(results, case, method)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _averages(results: Results, published: Published, numbers: Iterable[int]) -> pd.DataFrame:
    """The means of several tables by layer."""
    whole = pd.concat([_swept(results, published, number) for number in numbers], ignore_index=True)
    return whole[whole["language"] == MEAN].reset_index(drop=True)


def _ascent(results: Results, published: Published) -> pd.DataFrame:
    """Table 7: gradient ascent on all parameters against the target block."""
    rows = _published(published, 7)
    model = our_model(results, "Llama-3.1-8B")
    main = fixed_cases(results, model)[:1]
    rows += _ours(results, main, "none", "before", lambda case: ("base", ""))
    for case in results.all_cases if main else ():
        if case.model == model and case.protocol == "paper" and case.forget_set == main[0].forget_set:
            for name in results.algorithms(case):
                if "full" in results.bands(case, name):
                    words = f"{name.replace('_', ' ')}, {Languages(case.sources).words}"
                    rows += _ours(results, [case], name, words, lambda case, n=name: (n, "full"))
    rows += _ours(results, main, "rmu", "rmu, target", lambda c: ("rmu", trainings.target(results, c, "rmu")))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _sources(results: Results, published: Published) -> pd.DataFrame:
    """Table 8: other source languages, at the middle one of the blocks that were edited from all of them."""
    rows = _published(published, 8)
    model = our_model(results, "Llama-3.1-8B")
    protocol = next(iter(trainings.protocols(results)), "")
    first = next((case for case in trainings.main_cases(results, protocol) if case.model == model), None)
    own = [
        case
        for case in results.all_cases
        if first is not None
        and (case.model, case.retain, case.forget_set) == (model, first.retain, first.forget_set)
        and case.training_seed == first.training_seed
        and case.protocol == first.protocol
        and results.blocks(case, "rmu")
    ]
    swept = [{int(b) for b in results.blocks(case, "rmu") if is_block(b)} for case in own]
    shared = sorted(set.intersection(*swept)) if swept else []
    if shared:
        block = str(shared[len(shared) // 2])
        rows += _ours(results, own[:1], "none", "before", lambda case: ("base", ""))
        for case in own:
            words = f"block {block}, {Languages(case.sources).words}"
            rows += _ours(results, [case], "rmu", words, lambda case: ("rmu", block))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _lens(results: Results, published: Published) -> pd.DataFrame:
    """Table 9: what the lens reads of the forget facts, mean over blocks. Of facts to keep ours reads none."""
    rows = _published(published, 9)
    cases = fixed_cases(results, our_model(results, "Llama-3.1-8B"))
    names = [("before", lambda case: ("base", ""))]
    depth = len(published.curve("Llama-3.1-8B"))
    layers = sorted({int(row["condition"][1:]) for row in rows if row["condition"].startswith("L")})
    for layer in layers:
        block = str(placed(results, cases[0], layer, depth)) if cases else ""
        if f"block {block}" not in [name for name, _ in names]:
            names.append((f"block {block}", lambda case, b=block: ("rmu", b)))
    names.append(("target", lambda case: ("rmu", trainings.target(results, case, "rmu"))))
    languages = [code for group in results.languages(cases[0]) for code in group] if cases else []
    for condition, find in names:
        for language in [*languages, MEAN]:
            numbers = [number for case in cases if (number := _lens_hit(results, case, *find(case), language))]
            if numbers:
                mean, unit = trainings.mean(numbers), trainings.unit(numbers)
                rows.append(_row("ours", cases[0].model, "rmu", condition, "forget", language, mean, unit))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _lens_hit(results: Results, case: Case, algorithm: str, band: str, language: str) -> Number:
    """Mean over blocks of the share of forget facts that the lens reads, in percent; below an edit that of the base."""
    rows = results.lens(case, algorithm, band)
    if algorithm != "base" and len(rows):
        base = results.lens(case, "base", "")
        below = base[base["block"] < rows["block"].min()]
        rows = pd.concat([below, rows])
    own = rows if language == MEAN else rows[rows["language"] == language]
    if own.empty:
        return Number()
    n = int(own["n"].min())
    mean, low, high = wilson_mean(own["hit"].dropna(), n)
    return Number(100 * mean, 100 * low, 100 * high, n)


def _chosen_regions(results: Results) -> Iterator[tuple[Case, pd.Series]]:
    """The chosen row of each trained model's regions, whatever the protocols."""
    first = {(case.model, case.training_seed): case for case in reversed(trainings.main_cases(results))}
    for case in reversed(first.values()):
        regions = results.regions(case)
        chosen = regions[regions["chosen"].astype(str) == "True"]
        if len(chosen):
            yield case, chosen.iloc[0]


def _our_region(case: Case, row: Mapping | pd.Series) -> dict:
    """Whose region it is, and its ends."""
    blocks = [int(block) for block in row["blocks"].split()]
    ends = {"first": min(blocks, default=math.nan), "last": max(blocks, default=math.nan)}
    return {"origin": "ours", "model": case.model, "training_seed": str(case.training_seed), **ends}


def _regions(results: Results, published: Published) -> pd.DataFrame:
    """Table 5: the region and what it is made of, a row per model and trained model."""
    rows = [
        {"origin": "published", "model": model, "training_seed": "", **own}
        for model, own in published.regions.to_dict("index").items()
    ]
    for case, own in _chosen_regions(results):
        curve = results.curve(case)
        made_of = {"cka_mean": curve["cka"].mean(), "lrds_min": curve["lrds"].min()}
        rows.append({**_our_region(case, own), **made_of, "alpha": own["alpha"], "tau": own["lrds_ceiling"]})
    columns = ["origin", "model", "training_seed", "cka_mean", "lrds_min", "alpha", "tau", "first", "last"]
    return pd.DataFrame(rows, columns=columns)


def _alphas(results: Results, published: Published) -> pd.DataFrame:
    """Table 6: the region at the chosen width and half a unit to both sides."""
    rows = [
        {"origin": "published", "training_seed": "", "blocks": "", **own} for own in published.alphas.to_dict("records")
    ]
    for case, middle in _chosen_regions(results):
        regions = results.regions(case)
        for row in regions[regions["rule"] == middle["rule"]].to_dict("records"):
            rows.append({**_our_region(case, row), "step": row["alpha"] - middle["alpha"], "blocks": row["blocks"]})
    return pd.DataFrame(rows, columns=["origin", "model", "training_seed", "step", "first", "last", "blocks"])


# What each shows, and how it is made from the study and the published numbers.
EXHIBITS: dict[str, tuple[str, Callable[[Results, Published], pd.DataFrame]]] = {
    "table_1": ("Llama, RMU: a shallow and a deep edit", partial(_swept, number=3, layers=(2, 30))),
    "table_2": ("RMU on three models: means over languages", partial(_averages, numbers=(3, 10, 11))),
    "table_3": ("Llama, RMU", partial(_swept, number=3)),
    "table_4": ("Three algorithms on Llama: means over languages", partial(_averages, numbers=(3, 12, 13))),
    "table_5": ("The region", _regions),
    "table_6": ("The region at other widths", _alphas),
    "table_7": ("Gradient ascent", _ascent),
    "table_8": ("Other source languages", _sources),
    "table_9": ("Logit lens", _lens),
    "table_10": ("Qwen, RMU", partial(_swept, number=10)),
    "table_11": ("BLOOM, RMU", partial(_swept, number=11)),
    "table_12": ("Llama, SLUG", partial(_swept, number=12)),
    "table_13": ("Llama, SimNPO", partial(_swept, number=13)),
}
