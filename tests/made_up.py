"""The tables of a made-up study of one model with three blocks, whose truth is known."""

import math

import pandas as pd

ABOUT = {
    "study": "made up",
    "models": {"llama": {"blocks": 3, "hidden": 32, "heads": 2, "languages": ["en", "es", "de", "xx"]}},
    "protocols": ["matched"],
    "primary": ["K heldout"],
    "gates": {"recall": 0.9, "transfer": 0.5, "transfer_each": 0.4, "abilities": 0.6},
    "source": "world",
}
LANGUAGES = {"source": ["en", "es"], "heldout": ["de", "xx"]}
KEYS = {"model": "llama", "training_seed": 0, "sources": "en-es", "retain": "source", "forget_set": "domain"}
NAN = math.nan
PARTS = ("C_sentences", "C_reading", "C_translation", "C_facts", "C_fidelity")
# What a block does: K source, K held-out, C of all languages, and K once it is bypassed, or the model trained again.
ERASES_AND_WRECKS = (0.0, 0.1, 0.1, 1.0)
ERASES_AND_KEEPS = (0.0, 0.1, 1.0, 1.0)
ERASES_NOTHING = (1.0, 1.0, 1.0, 1.0)
THE_PAPER = {"0": ERASES_AND_WRECKS, "1": ERASES_AND_KEEPS, "2": ERASES_NOTHING}


def score_rows(
    algorithm: str, band: str, values: tuple, half: float, status: str = "ok", floor: str = "oracle"
) -> list:
    """All scores of one cell: the same number for each language of a group, with intervals of one half-width.

    The worst held-out language is therefore as good as any; de has the script of the sources, xx has not.
    """
    k_source, k_heldout, c, b = values
    reference = algorithm in ("base", "oracle")
    cell = {**KEYS, "algorithm": algorithm, "band": band, "protocol": "matched", "seed": 0, "status": status}
    cell |= {"retain": "", "protocol": "", "band": ""} if reference else {}
    found = []

    def add(metric: str, group: str, value: float, facts: str = "", floor: str = "", attack: str = "") -> None:
        for language in ["", *LANGUAGES.get(group, [])]:
            ends = {"low": value - half, "high": value + half, "n": 60, "attack": attack}
            own = {"language": language, "group": group, "metric": metric, "facts": facts, "value": value}
            found.append({**cell, **own, **ends, "floor": floor})

    for group in ("worst", "same_script", "other_script"):
        add("K", group, k_heldout, "all", floor)
        add("C", group, c)
        add("leak", group, k_heldout - k_source, "all", floor)
    for group, k in (("source", k_source), ("heldout", k_heldout)):
        for facts in ("all", "taught", "transfer"):
            add("K", group, k, facts, floor)
            for metric in ("accuracy_option", "chance", "majority"):
                add(metric, group, {"accuracy_option": 0.1 + 0.9 * k}.get(metric, 0.125), facts)
        for metric in ("C", *PARTS):
            add(metric, group, c)
        if not reference and band.isdigit():
            for metric, value in {"B": b, "B_base": 1.0, "B_oracle": 0.0, "B_mixed": b / 2}.items():
                add(metric, group, value, "all", floor)
    if not reference and band.isdigit():
        add("recovery", "worst", b, "all", floor, "retrain_20")
    add("leak", "all", k_heldout - k_source, "all", floor)
    add("excess_damage", "all", 0.0)
    return found


def make_tables(effects: dict[str, tuple], *, half: float = 0.02, status: str = "ok", gate: bool = True) -> dict:
    """The tables of a study of one model with three blocks and two algorithms; `effects` are those of `rmu`."""
    edits = [("rmu", band, values) for band, values in effects.items()]
    edits.append(("gradient_ascent", "full", (0.0, 0.0, 0.0, math.nan)))
    cells = [
        {**KEYS, "algorithm": a, "band": b, "protocol": "matched", "seed": 0, "status": status, "steps": 9}
        for a, b, _ in edits
    ]
    scores = [row for a, b, values in edits for row in score_rows(a, b, values, half, status)]
    scores += score_rows("base", "", (1.0, 1.0, 1.0, 1.0), half) + score_rows("oracle", "", (0.0, 0.0, 1.0, 0.0), half)
    model = {"model": "llama", "training_seed": 0, "forget_set": "domain"}
    curve = [{"cka": 0.8 + 0.1 * (i == 1), "lrds": 0.2 + 0.1 * i, "sads": 0.1, "cka_null_q95": 0.3} for i in range(3)]
    regions = {"alpha": 1.5, "chosen": True, "blocks": "0 1", "reason": "", "cka_floor": 0.83, "lrds_ceiling": 0.3}
    views = {"target": 1, "shallow": 0, "deep": 2, "region": 1}
    lens = [
        {**KEYS, "algorithm": name, "band": band, "protocol": "matched", "seed": 0, "language": code, "block": block}
        | {"affected": name == "rmu" and block >= 1, "probability": 0.5, "hit": 0.9 if name == "base" else 0.2, "n": 60}
        for name, band in (("base", ""), ("rmu", "1"))
        for code in ("en", "es", "de", "xx")
        for block in range(3)
    ]
    gates = [("recall", "en", 1.0, True), ("transfer", "de", 0.7, gate), ("transfer", "", 0.7, gate)]
    return {
        "cells": pd.DataFrame(cells),
        "scores": pd.DataFrame(scores),
        "layers": pd.DataFrame([{**model, "block": i, **values} for i, values in enumerate(curve)]),
        "regions": pd.DataFrame([{**model, "rule": rule, **regions} for rule in ("hull", "literal")]),
        "bands": pd.DataFrame(
            [{**model, "algorithm": "rmu", "view": v, "rule": "first_local_peak", "block": b} for v, b in views.items()]
        ),
        "gates": pd.DataFrame(
            [
                {**model, "oracle": None, "measure": m, "language": code or None, "value": v, "passed": p, "n": 9}
                for m, code, v, p in gates
            ]
        ),
        "lens": pd.DataFrame(lens),
        "profiles": pd.DataFrame(profile_rows()),
    }


def profile_rows() -> list[dict]:
    """What two analyses found: alignment in the base, and mean shifts at every block of `rmu`."""
    of_base = {**KEYS, "algorithm": "base", "band": "", "sources": "", "retain": "", "protocol": "", "seed": 0, "n": 60}
    rows = [
        {**of_base, "analysis": "alignment", "measure": measure, "block": block, "language": pair}
        | {"value": 0.2 + 0.2 * block + 0.1 * place}
        for measure in ("cka_unbiased", "retrieval", "offset")
        for block in range(3)
        for place, pair in enumerate(("en-es", "en-de", "en-xx", "es-de", "es-xx", "de-xx"))
    ]
    values = {"plain": 0.8, "shifted": 0.1, "shifted_forget": 0.05, "base_shifted": 1.0}
    values |= {"random_mean": 0.7, "random_low": 0.5, "random_high": 0.9}
    cell = {**KEYS, "algorithm": "rmu", "protocol": "matched", "seed": 0, "analysis": "mean_shift", "n": 60}
    return rows + [
        {**cell, "band": str(block), "measure": f"K_{name}", "block": block, "language": code, "value": value}
        for name, value in values.items()
        for block in range(3)
        for code in ("de", "xx")
    ]


def many(trainings: list[dict[str, tuple]], **options) -> dict:
    """The tables of one study that trained the model several times, each time with effects of its own."""
    made = [make_tables(effects, **options) for effects in trainings]
    return {
        name: pd.concat([own[name].assign(training_seed=seed) for seed, own in enumerate(made)], ignore_index=True)
        for name in made[0]
    }


def incomplete(kind: str) -> dict:
    made = make_tables(THE_PAPER)
    if kind == "empty":
        return {}
    if kind == "cells only":
        return {"cells": made["cells"]}
    if kind == "whole model only":
        return {**made, "cells": made["cells"][made["cells"]["band"] == "full"]}
    if kind == "no oracle, no abilities":
        scores = made["scores"][made["scores"]["algorithm"] != "oracle"]
        return {**made, "scores": scores[~scores["metric"].isin(["B_oracle", "C", *PARTS])].assign(floor="chance")}
    if kind == "diverged":
        scores = made["scores"].assign(low=math.nan, high=math.nan)
        scores.loc[scores["band"] == "1", "value"] = math.nan
        return {**made, "cells": made["cells"].assign(status="diverged"), "scores": scores}
    raise AssertionError(kind)


# A study of many algorithms: names of the zoo by family, models of the published families, and their languages.
FAMILIES = ("divergence", "distillation", "preference", "rejection", "representation", "editing", "guard")
ZOO = {f"{FAMILIES[i % 7]}_by_method_{i}": FAMILIES[i % 7] for i in range(40)}
CODES = ["en", "es", "pt", "de", "fr", "it", "hi", "ar", "id", "ja", "ko", "zh"]
DEPTHS = {"llama": 4, "qwen2": 14, "bloom": 3}
ZOO_ABOUT = {
    **ABOUT,
    "models": {
        name: {"family": name, "blocks": blocks, "hidden": 32, "heads": 2, "languages": CODES}
        for name, blocks in DEPTHS.items()
    },
    "algorithms": {
        name: {"method": name, "family": family, "paper": "", "intent": "removal"} for name, family in ZOO.items()
    },
}


def zoo() -> dict:
    """The tables of 40 algorithms x 3 models x 12 languages, every block edited; some diverged, some missed erasure."""
    groups = {"source": CODES[:3], "heldout": CODES[3:]}
    cells, frames, lens, views = [], [], [], []
    for model, depth in DEPTHS.items():
        bands = [*map(str, range(depth)), "all"]
        edits = [(name, band, place) for place, name in enumerate(ZOO) for band in bands]
        common = {"model": model, "training_seed": 0, "sources": "en-es-pt", "forget_set": "domain"}
        for name, band, place in [*edits, ("base", "", -1), ("oracle", "", -2)]:
            reference = place < 0
            cell = {**common, "algorithm": name, "band": band, "retain": "source", "protocol": "matched", "seed": 0}
            cell |= {"retain": "", "protocol": ""} if reference else {}
            block = int(band) if band.isdigit() else depth
            status = "diverged" if (place, block) == (3, 1) else "not_reached" if (place + block) % 9 == 0 else "ok"
            cell["status"] = "ok" if reference else status
            if not reference:
                cells.append({**cell, "steps": 9})
            known = 1.0 + (place + 1) if reference else 0.1 + 0.8 * ((3 * place + block) % 11) / 11
            kept = 1.0 if reference else 1.0 - 0.9 * ((5 * place + 2 * block) % 13) / 13
            frames.append(_zoo_scores(cell, known, kept, groups, lost=cell["status"] == "diverged"))
            if reference or band == str(depth // 2):
                lens += [
                    {**cell, "language": code, "block": b, "affected": not reference and b >= depth // 2}
                    | {"probability": 0.2 + 0.7 * b / depth, "hit": 0.5, "n": 60}
                    for code in CODES
                    for b in range(depth)
                ]
        own = {"model": model, "training_seed": 0, "forget_set": "domain"}
        for name in ZOO:
            for view, block in (("target", depth // 2), ("shallow", 0), ("deep", depth - 2), ("region", depth // 2)):
                views.append({**own, "algorithm": name, "view": view, "rule": "first_local_peak", "block": block})
    models = [{"model": model, "training_seed": 0, "forget_set": "domain"} for model in DEPTHS]
    rule = {"alpha": 1.5, "chosen": True, "blocks": "1 2 3", "reason": "", "cka_floor": 0.83, "lrds_ceiling": 0.3}
    curve = [
        {**own, "block": b, "cka": 0.8 + 0.01 * b, "lrds": 0.2 + 0.1 * (b % 3), "sads": 0.1, "cka_null_q95": 0.3}
        for own in models
        for b in range(DEPTHS[own["model"]])
    ]
    gates = [
        {"model": m, "training_seed": 0, "oracle": None, "measure": name, "language": code, "value": 0.8}
        | {"passed": m != "bloom" or code != "ko", "n": 9}
        for m in DEPTHS
        for name in ("recall", "transfer", "translation_seen", "translation_unseen", "reading", "unknown")
        for code in (*CODES, None)
    ]
    return {
        "cells": pd.DataFrame(cells),
        "scores": pd.concat(frames, ignore_index=True),
        "layers": pd.DataFrame(curve),
        "regions": pd.DataFrame([{**own, "rule": name, **rule} for own in models for name in ("hull", "literal")]),
        "bands": pd.DataFrame(views),
        "gates": pd.DataFrame(gates),
        "lens": pd.DataFrame(lens),
    }


def _zoo_scores(cell: dict, k: float, c: float, groups: dict[str, list[str]], *, lost: bool) -> pd.DataFrame:
    """All scores of one cell, the same in every language of a group; held-out languages know a tenth more."""
    rows = []
    treated = cell["band"].isdigit()
    for group, codes in groups.items():
        known = k + 0.1 * (group == "heldout") if cell["band"] else max(k, 0.0)
        apart = {"K": known, "accuracy_option": known}
        of_facts = {**apart, "accuracy_strict": known, "chance": 0.125, "majority": 0.2}
        of_facts |= {"B": min(known + 0.4, 1.0), "B_base": 1.0, "B_oracle": 0.0, "B_mixed": 0.5} if treated else {}
        of_facts |= {"B_retrained": 0.6, "B_retrained_base": 1.0, "B_retrained_oracle": 0.0} if treated else {}
        of_facts |= dict.fromkeys(("answers_right", "answers_other_value", "answers_neither"), 1 / 3)
        others = {"C": c, **dict.fromkeys(PARTS, c), "retain_strict": c}
        for language in ("", *codes):
            rows += [
                (language, group, metric, facts, value)
                for metric, value in of_facts.items()
                for facts in (("all", "taught", "transfer") if metric in apart else ("all",))
            ]
            rows += [(language, group, metric, "", value) for metric, value in others.items()]
    rows += [("", "all", "leak", "all", 0.1), ("", "all", "excess_damage", "", 0.02)]
    made = pd.DataFrame(rows, columns=["language", "group", "metric", "facts", "value"])
    if lost:
        made["value"] = math.nan
    return made.assign(**cell, low=made["value"] - 0.05, high=made["value"] + 0.05, n=60, floor="oracle")


KINDS = ("empty", "cells only", "whole model only", "no oracle, no abilities", "diverged")
