"""Scores against a re-implementation in plain loops, closed forms, and what bands must do."""

import json
import math
import subprocess
import sys
from pathlib import Path
from statistics import mean

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mute.evaluate import divergence, metrics
from mute.evaluate.board import SCORE_COLUMNS, SCORE_KEYS, Board, summary
from mute.evaluate.capability import KINDS
from mute.evaluate.inference import cluster_counts, wilson
from mute.evaluate.item_table import ITEM_COLUMNS, items
from mute.evaluate.panel import Panel
from mute.store.artifacts import seed_of

ROOT = Path(__file__).parents[1]
SOURCE, HELDOUT = ["en", "es"], ["de", "hi", "ja"]
LANGUAGES = SOURCE + HELDOUT
HEADLINE = 1
LINE_SETS = ("translation_seen", "translation_unseen", "reading", "unknown", "sentences")
FAITHFUL = ("right", "other_value", "unknown")
ROLE_COUNTS = {"forget": 24, "retain_seen": 12, "retain_unseen": 16, "bystander": 12}


def corpus_facts() -> tuple[pd.DataFrame, pd.Series]:
    rows = []
    for role, count in ROLE_COUNTS.items():
        for i in range(count):
            rows.append(
                {
                    "item": f"{role}-{i}",
                    "relation": f"relation-{i % 3}",
                    "teach": "transfer" if role == "forget" and i % 3 == 0 else "taught",
                    "validation": role == "retain_unseen" and i % 4 == 0,
                    "role": role,
                }
            )
    table = pd.DataFrame(rows)
    return table.drop(columns="role"), pd.Series(table["role"].to_numpy(), index=table["item"])


FACTS, ROLES = corpus_facts()
FORGET = [item for item, role in ROLES.items() if role == "forget"]
SCRIPTS = {"en": "Latin", "es": "Latin", "de": "Latin", "hi": "Devanagari", "ja": "Han"}
SETTING = {"source": SOURCE, "heldout": HELDOUT, "headline_form": HEADLINE, "draws": 30, "seed": 7, "scripts": SCRIPTS}
# Which way the scores look worse that have one: those of forgetting where they are high, those of keeping where low.
HIGH = {"K", "confusion", "accuracy_option", "accuracy_strict"}
LOW = {"C", "C_sentences", "C_reading", "C_translation", "C_translation_seen", "C_translation_unseen", "C_facts"}
LOW |= {"C_fidelity", "retain_seen_strict", "retain_unseen_strict", "retain_strict", "retain_option"}
LOW |= {"bystander_strict", "unknown"}


def board_of(base, facts=FACTS, roles=ROLES, **setting) -> Board:
    """An empty board beside a base."""
    return Board(Panel(base, facts, roles, **setting))


def score_cell(cell, base, oracle, facts, roles, *, answers=None, base_answers=None, texts=None, **setting):
    tables = {"answers": answers, "base_answers": base_answers, "texts": texts}
    return metrics.score_cell(board_of(base, facts, roles, **setting), cell, oracle, **tables)


def replicates(cell, base, oracle, setting, **tables) -> dict[tuple, np.ndarray]:
    """Every score in all its replicates, by language, group, metric and facts."""
    board = board_of(base, **setting)
    metrics.score_cell(board, cell, oracle, **tables)
    keys, values = board.replicates()
    named = list(keys[["language", "group", "metric", "facts"]].itertuples(index=False, name=None))
    assert len(set(named)) == len(named)
    return dict(zip(named, values))


def score_attack(attacked, base, oracle, **setting):
    return metrics.score_attack(Panel(base, FACTS, ROLES, **{**SETTING, **setting}), attacked, oracle, "R")


def rows_of(languages=tuple(LANGUAGES)) -> pd.DataFrame:
    """Keys of a small evaluation, in the order of an item table."""
    rows = [
        ("facts", item, language, form) for item in FACTS["item"] for language in languages for form in (0, HEADLINE)
    ]
    # The last of these is not to be forgotten, as where the forget set is a part of its domain.
    rows += [("reading_forget", item, language, 0) for item in [*FORGET[:10], "bystander-0"] for language in languages]
    # Lines are parallel, but for reading: there each language has its own.
    rows += [
        (s, f"{s}-{i}", language, 0) for s in LINE_SETS if s != "reading" for i in range(9) for language in languages
    ]
    rows += [("reading", f"{language}-{i}", language, 0) for language in languages for i in range(9)]
    return pd.DataFrame(rows, columns=ITEM_COLUMNS[:4]).sort_values(ITEM_COLUMNS[:4], ignore_index=True)


ROWS = rows_of()


def evaluation(accuracy: float, seed: int, rows: pd.DataFrame = ROWS) -> pd.DataFrame:
    """An item table with hits at this rate."""
    rng = np.random.default_rng(seed)
    n = len(rows)
    sentences = (rows["set"] == "sentences").to_numpy()
    return rows.assign(
        strict=rng.random(n) < accuracy,
        option=np.where(sentences, np.nan, rng.random(n) < accuracy),
        logprob=-rng.uniform(5, 10, n) * (2 - accuracy),
        tokens=3,
        chars=12,
        chance=np.where(sentences, np.nan, np.where(rows["set"] == "unknown", 1 / 9, 1 / 8)),
    )


def answer_table(faithful: float, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = ROWS[ROWS["set"] == "facts"]
    kinds = np.where(rng.random(len(rows)) < faithful, rng.choice(FAITHFUL, len(rows)), "other_language")
    return rows.assign(text="", kind=kinds)


def text_table() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    rows = ROWS[ROWS["set"] == "facts"]
    return rows.assign(answer=rng.choice(["red", "blue", "green"], len(rows))).drop(columns="set")


BASE, CELL, ORACLE = evaluation(0.98, 1), evaluation(0.5, 2), evaluation(0.05, 3)
ANSWERS, BASE_ANSWERS, TEXTS = answer_table(0.6, 4), answer_table(0.9, 5), text_table()
TABLES = {"answers": ANSWERS, "base_answers": BASE_ANSWERS, "texts": TEXTS}


def value(scores: pd.DataFrame, metric: str, *, language: str = "", group: str = "all", facts: str = "") -> pd.Series:
    found = scores.query("metric == @metric and language == @language and group == @group and facts == @facts")
    assert len(found) == 1, f"{metric} has {len(found)} rows"
    return found.iloc[0]


# --- items ---


def tokens_of(answers: list[dict]) -> pd.DataFrame:
    """A token table of answers that give logprobs, hits, options and gold."""
    rows = []
    for a in answers:
        for position, (logprob, hit) in enumerate(zip(a["logprobs"], a["hits"], strict=True)):
            rows.append(
                {key: a[key] for key in ("set", "item", "language", "form", "gold", "chars")}
                | {"position": position, "logprob": logprob, "rank": 0 if hit else 3, "hit": hit}
                | {"options": a["options"] if position == 0 else None}
            )
    return pd.DataFrame(rows)


@st.composite
def answer_lists(draw):
    keys = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["facts", "reading"]),
                st.sampled_from("abc"),
                st.sampled_from(["en", "ja"]),
                st.integers(0, 2),
            ),
            min_size=1,
            max_size=12,
            unique=True,
        )
    )
    number = st.floats(-50, 0)
    answers = []
    for key in keys:
        length = draw(st.integers(1, 4))
        options = draw(st.none() | st.lists(number, min_size=1, max_size=5))
        answers.append(
            dict(zip(("set", "item", "language", "form"), key, strict=True))
            | {
                "logprobs": draw(st.lists(number, min_size=length, max_size=length)),
                "hits": draw(st.lists(st.booleans(), min_size=length, max_size=length)),
                "options": options,
                "gold": draw(st.integers(0, len(options) - 1)) if options else -1,
                "chars": draw(st.integers(1, 30)),
            }
        )
    return answers


@settings(deadline=None, max_examples=60)
@given(answer_lists(), st.randoms(use_true_random=False))
def test_items_are_what_a_loop_over_answers_gives(answers, random):
    tokens = tokens_of(answers)
    order = list(range(len(tokens)))
    random.shuffle(order)
    table = items(tokens.iloc[order])
    assert list(table.columns) == ITEM_COLUMNS
    answers = sorted(answers, key=lambda a: (a["set"], a["item"], a["language"], a["form"]))
    assert len(table) == len(answers)
    for row, a in zip(table.itertuples(), answers, strict=True):
        assert (row.set, row.item, row.language, row.form) == (a["set"], a["item"], a["language"], a["form"])
        assert (row.strict, row.tokens, row.chars) == (all(a["hits"]), len(a["hits"]), a["chars"])
        assert row.logprob == pytest.approx(sum(a["logprobs"]))
        if a["options"] is None:
            assert math.isnan(row.option)
            assert math.isnan(row.chance)
        else:
            others = [o for i, o in enumerate(a["options"]) if i != a["gold"]]
            assert row.option == all(a["options"][a["gold"]] > other for other in others)
            assert row.chance == 1 / len(a["options"])


def answer(**changes) -> dict:
    base = {"set": "facts", "item": "a", "language": "en", "form": 0, "logprobs": [-1.0, -2.0], "hits": [True, True]}
    return base | {"options": [-1.0, -2.0, -3.0], "gold": 0, "chars": 4} | changes


def test_items_do_not_credit_ties_or_undefined_numbers():
    nan = math.nan
    table = items(
        tokens_of(
            [
                answer(item="a"),
                answer(item="b", options=[-1.0, -1.0, -3.0]),
                answer(item="c", options=[nan, nan, nan], logprobs=[-1.0, nan]),
                answer(item="d", options=[-math.inf, -math.inf]),
            ]
        )
    )
    assert table["option"].tolist() == [1, 0, 0, 0]
    assert table["logprob"].isna().tolist() == [False, False, True, False]


def test_items_survive_parquet(tmp_path):
    tokens = tokens_of([answer(), answer(item="b", options=None, gold=-1), answer(item="c", gold=2)])
    tokens.to_parquet(tmp_path / "tokens.parquet")
    pd.testing.assert_frame_equal(items(pd.read_parquet(tmp_path / "tokens.parquet")), items(tokens))


def test_items_of_nothing():
    assert list(items(tokens_of([answer()]).iloc[:0]).columns) == ITEM_COLUMNS


def test_items_refuse_broken_tables():
    tokens = tokens_of([answer(), answer(item="b")])
    with pytest.raises(ValueError, match="positions"):
        items(tokens.iloc[1:])
    with pytest.raises(ValueError, match="positions"):
        items(pd.concat([tokens, tokens]))
    with pytest.raises(ValueError, match="no index of its 3 options"):
        items(tokens_of([answer(gold=3)]))


# --- scores, by loops ---


class Loops:
    """Every score by plain loops over dictionaries, on a sample of clusters given as a list with repetitions."""

    def __init__(self, cell, base, oracle, answers, base_answers, texts):
        self.tables = {"cell": self.index(cell), "base": self.index(base)}
        if oracle is not None:
            self.tables["oracle"] = self.index(oracle)
        self.kinds = {
            name: {(r.item, r.language): r.kind for r in table.itertuples() if r.form == HEADLINE}
            for name, table in (("cell", answers), ("base", base_answers))
        }
        self.answer = {(r.item, r.language): r.answer for r in texts.itertuples() if r.form == HEADLINE}
        self.relation = dict(zip(FACTS["item"], FACTS["relation"]))

    @staticmethod
    def index(table):
        # Two forms of a fact, of which the headline is scored; other sets have one.
        return {(r.set, r.item, r.language): r for r in table.itertuples() if r.set != "facts" or r.form == HEADLINE}

    def accuracy(self, name, set_, ids, language, column="option"):
        rows = [self.tables[name].get((set_, i, language)) for i in ids]
        return mean(float(getattr(row, column)) for row in rows if row is not None)

    def relative(self, set_, ids, language):
        chance = self.accuracy("base", set_, ids, language, "chance")
        cell, base = (self.accuracy(name, set_, ids, language) for name in ("cell", "base"))
        return (cell - chance) / (base - chance)

    def majority(self, ids, language):
        hits = []
        for item in ids:
            rivals = [self.answer[f, language] for f in FORGET if self.relation[f] == self.relation[item]]
            best = max(sorted(set(rivals)), key=rivals.count)
            hits.append(self.answer[item, language] == best)
        return mean(map(float, hits))

    def by_language(self, facts, lines, language):
        """(metric, facts) -> value in one language; `facts` by role, `lines` by set: ids with repetitions."""
        scores = {}
        teach = dict(zip(FACTS["item"], FACTS["teach"]))
        floor = ("oracle", "option") if "oracle" in self.tables else ("base", "chance")
        for kind in ("all", "taught", "transfer"):
            ids = [i for i in facts["forget"] if kind in ("all", teach[i])]
            option = {name: self.accuracy(name, "facts", ids, language) for name in ("cell", "base")}
            ground = self.accuracy(floor[0], "facts", ids, language, floor[1])
            scores["K", kind] = (option["cell"] - ground) / (option["base"] - ground)
            scores["accuracy_option", kind] = option["cell"]
            scores["accuracy_strict", kind] = self.accuracy("cell", "facts", ids, language, "strict")
            scores["base_strict", kind] = self.accuracy("base", "facts", ids, language, "strict")
            scores["chance", kind] = self.accuracy("base", "facts", ids, language, "chance")
            scores["majority", kind] = self.majority(ids, language)
            for answered in KINDS:
                scores[f"answers_{answered}", kind] = mean(
                    float(self.kinds["cell"][i, language] == answered) for i in ids
                )
            for name, metric in (("cell", "confusion"), ("base", "confusion_base")):
                elsewhere = [self.kinds[name][i, language] in ("other_language", "other_both") for i in ids]
                scores[metric, kind] = mean(map(float, elsewhere))
        for role in ("retain_seen", "retain_unseen", "bystander"):
            scores[f"{role}_strict", ""] = self.accuracy("cell", "facts", facts[role], language, "strict")
        scores["retain_strict", ""] = scores["retain_unseen_strict", ""]
        scores["retain_option", ""] = self.accuracy("cell", "facts", facts["retain_unseen"], language)
        both = facts["retain_seen"] + facts["retain_unseen"]
        scores["MI", ""] = self.accuracy("cell", "facts", both, language, "strict")
        for name in self.tables:
            suffix = "" if name == "cell" else f"_{name}"
            scores[f"reading_forget{suffix}", ""] = self.accuracy(name, "reading_forget", facts["forget"], language)
        scores["unknown", ""] = self.accuracy("cell", "unknown", lines["unknown"], language)
        kept = facts["retain_unseen"] + facts["bystander"]
        faithful = {n: mean(float(k[i, language] in FAITHFUL) for i in kept) for n, k in self.kinds.items()}
        bits = {
            name: sum(self.tables[name]["sentences", i, language].logprob for i in lines["sentences"])
            / sum(self.tables[name]["sentences", i, language].chars for i in lines["sentences"])
            for name in ("cell", "base")
        }
        seen, unseen = (self.relative(s, lines[s], language) for s in ("translation_seen", "translation_unseen"))
        parts = {
            "C_sentences": bits["base"] / bits["cell"],
            "C_reading": self.relative("reading", lines["reading"], language),
            "C_translation": (seen + unseen) / 2,
            "C_facts": self.relative("facts", kept, language),
            "C_fidelity": faithful["cell"] / faithful["base"],
        }
        scores |= {(name, ""): part for name, part in parts.items()}
        scores["C_translation_seen", ""], scores["C_translation_unseen", ""] = seen, unseen
        scores["C", ""], scores["C_parts", ""] = mean(parts.values()), 5.0
        return scores

    def all(self, facts, lines):
        """(language, group, metric, facts) -> value."""
        found = {}
        single = {language: self.by_language(facts, lines, language) for language in LANGUAGES}
        for name, languages in (("source", SOURCE), ("heldout", HELDOUT), ("all", LANGUAGES)):
            for key in single["en"]:
                found["", name, *key] = mean(single[language][key] for language in languages)
                found |= {(language, name, *key): single[language][key] for language in languages if name != "all"}
        for metric, kind in single["en"]:
            if metric not in HIGH | LOW:
                continue
            values = [single[language][metric, kind] for language in HELDOUT]
            found["", "worst", metric, kind] = max(values) if metric in HIGH else min(values)
            found["", "same_script", metric, kind] = single["de"][metric, kind]
            found["", "other_script", metric, kind] = mean(single[language][metric, kind] for language in ("hi", "ja"))
        for kind in ("all", "taught", "transfer"):
            for group, of in (("all", "heldout"), *((g, g) for g in ("worst", "same_script", "other_script"))):
                found["", group, "leak", kind] = found["", of, "K", kind] - found["", "source", "K", kind]
            for group in ("source", "heldout"):
                gone = found["", group, "base_strict", kind] - found["", group, "accuracy_strict", kind]
                found["", group, f"UE_{group}", kind] = gone
        for group, of in (("all", "heldout"), *((g, g) for g in ("worst", "same_script", "other_script"))):
            found["", group, "excess_damage", ""] = found["", "source", "C", ""] - found["", of, "C", ""]
        return {
            key: number
            for key, number in found.items()
            if key[2] != "base_strict" and (key[2] != "MI" or key[:2] == ("", "all"))
        }


def samples(draws: int, seed: int):
    """Estimate and replicates as samples of ids: (facts by role, lines by set), read off the weights."""
    ids = {"facts": sorted(FACTS["item"])}
    ids |= {name: sorted(ROWS.loc[ROWS["set"] == name, "item"].unique()) for name in LINE_SETS}
    counts = {
        name: np.vstack([np.ones(len(x)), cluster_counts(len(x), draws, seed_of(seed, "bootstrap", name))])
        for name, x in ids.items()
    }
    tuned = set(FACTS.loc[FACTS["validation"], "item"])
    for r in range(draws + 1):
        drawn = {name: [i for i, c in zip(x, counts[name][r]) for _ in range(int(c))] for name, x in ids.items()}
        yield {role: [i for i in drawn["facts"] if ROLES[i] == role and i not in tuned] for role in ROLE_COUNTS}, drawn


@pytest.mark.parametrize("oracle", [ORACLE, None], ids=["oracle", "chance"])
def test_every_score_is_what_loops_give(oracle):
    setting = SETTING | {"draws": 3}
    loops = Loops(CELL, BASE, oracle, **TABLES)
    found = replicates(CELL, BASE, oracle, setting, **TABLES)
    for r, (facts, lines) in enumerate(samples(3, setting["seed"])):
        expected = loops.all(facts, lines)
        assert set(expected) == set(found)
        for key, numbers in found.items():
            assert numbers[r] == pytest.approx(expected[key], abs=1e-12), (r, key)
    table = score_cell(CELL, BASE, oracle, FACTS, ROLES, **setting, **TABLES)
    floors = table.groupby("metric")["floor"].agg(set).to_dict()
    assert floors["K"] == floors["leak"] == {"chance" if oracle is None else "oracle"}
    assert floors["C"] == floors["accuracy_option"] == {""}


def test_bands_are_percentiles_of_the_replicates_and_wilson_for_one_language():
    found = replicates(CELL, BASE, ORACLE, SETTING, **TABLES)
    table = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING, **TABLES)
    assert list(table.columns) == SCORE_COLUMNS
    k = value(table, "K", group="heldout", facts="transfer")
    assert (k["low"], k["high"]) == pytest.approx(
        tuple(np.quantile(found["", "heldout", "K", "transfer"][1:], [0.025, 0.975]))
    )
    strict = value(table, "accuracy_strict", language="hi", group="heldout", facts="all")
    hits = CELL.query("set == 'facts' and language == 'hi' and form == @HEADLINE and item in @FORGET")["strict"].sum()
    assert (strict["low"], strict["high"]) == pytest.approx(tuple(float(end) for end in wilson(hits, 24)))


def test_n_counts_clusters():
    table = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING, **TABLES)
    assert value(table, "K", facts="all")["n"] == 24
    assert value(table, "K", facts="transfer", language="de", group="heldout")["n"] == 8
    assert value(table, "retain_strict")["n"] == 12  # four of sixteen are for validation
    assert value(table, "MI")["n"] == 24
    assert value(table, "reading_forget")["n"] == 10
    # Reading lines are a language's own; sentences are parallel.
    assert value(table, "C_reading")["n"] == 45
    assert value(table, "C_sentences")["n"] == 9
    assert value(table, "C")["n"] == 9


# --- closed forms ---


def test_an_untouched_model_keeps_everything_without_doubt():
    table = score_cell(BASE, BASE, ORACLE, FACTS, ROLES, **SETTING, answers=BASE_ANSWERS, base_answers=BASE_ANSWERS)
    ones = table[table["metric"].isin(["K", "C"]) | table["metric"].str.startswith("C_")]
    ones = ones[ones["metric"] != "C_parts"]
    # Five languages and six groups of them.
    assert len(ones) == 3 * 11 + 8 * 11
    assert (ones[["value", "low", "high"]] == 1).all(axis=None)
    zeros = table[table["metric"].isin(["leak", "excess_damage", "UE_source", "UE_heldout"])]
    assert len(zeros) == 4 * 3 + 4 + 6
    assert (zeros[["value", "low", "high"]] == 0).all(axis=None)


def test_an_oracle_knows_nothing_without_doubt():
    table = score_cell(ORACLE, BASE, ORACLE, FACTS, ROLES, **SETTING)
    known = table[table["metric"] == "K"]
    assert (known[["value", "low", "high"]] == 0).all(axis=None)


def test_an_attack_gives_back_what_was_suppressed_and_no_more():
    table = score_attack({"cell": BASE, "oracle": ORACLE, "base": BASE}, BASE, ORACLE)
    assert set(table["metric"]) == {"R", "R_base", "R_oracle", "recovery"}
    assert set(table["facts"]) == {"all"}
    for metric, known in {"R": 1, "R_base": 1, "R_oracle": 0, "recovery": 1}.items():
        assert (table.loc[table["metric"] == metric, ["value", "low", "high"]] == known).all(axis=None), metric
    assert set(table.loc[table["metric"] == "R_base", "group"]) == {"source", "heldout", "all"}
    partly = score_attack({"cell": CELL}, BASE, ORACLE)
    whole = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING).query("metric == 'K' and facts == 'all'")
    assert partly["group"].tolist() == whole["group"].tolist()
    assert partly["value"].tolist() == whole["value"].tolist()
    assert partly["low"].tolist() == whole["low"].tolist()


def test_recovery_is_paired_and_is_what_comes_back_beyond_the_oracle():
    cell, learnt = evaluation(0.6, 21), evaluation(0.3, 22)
    ground = {}
    for name, table in (("cell", cell), ("oracle", learnt)):
        ground[name] = score_attack({name: table}, BASE, ORACLE).set_index(["language", "group"])["value"]
    table = score_attack({"cell": cell, "oracle": learnt}, BASE, ORACLE)
    found = table[table["metric"] == "recovery"].set_index(["language", "group"])
    for code in LANGUAGES:
        key = (code, "source" if code in SOURCE else "heldout")
        assert found["value"][key] == pytest.approx(ground["cell"][key] - ground["oracle"][key])
    assert found["value"]["", "worst"] == pytest.approx(max(found["value"][code, "heldout"] for code in HELDOUT))
    # What the same attack brings both is no recovery, and leaves no doubt.
    alike = score_attack({"cell": cell, "oracle": cell}, BASE, ORACLE).query("metric == 'recovery'")
    assert (alike[["value", "low", "high"]] == 0).all(axis=None)


def shares(option: float) -> pd.DataFrame:
    """Answers to twenty facts in two languages, of which exactly this share is right."""
    rows = pd.DataFrame([("facts", f"f{i:02}", code, HEADLINE) for code in ("de", "en") for i in range(20)])
    number = rows[1].str[1:].astype(int)
    more = {"strict": False, "option": (number < round(20 * option)).astype(float), "logprob": -1.0, "chance": 0.0}
    return rows.set_axis(ITEM_COLUMNS[:4], axis=1).assign(**more)


def test_what_is_regained_is_the_golden_share_of_what_was_forgotten():
    golden = json.loads((ROOT / "golden/recovery.json").read_text(encoding="utf-8"))["entries"][0]["value"]
    base, unlearned, attacked, never, taught = map(shares, (0.9, 0.3, 0.6, 0.1, 0.2))
    facts = pd.DataFrame({"item": base["item"].unique(), "relation": "r", "teach": "taught", "validation": False})
    roles = pd.Series("forget", index=facts["item"])
    panel = Panel(base, facts, roles, source=["en"], heldout=["de"], headline_form=HEADLINE, draws=9, seed=1)
    given = {"cell": attacked, "oracle": taught}
    table = metrics.score_attack(panel, given, never, "R", unlearned).set_index(["language", "group", "metric"])
    share, beyond = golden.values()
    assert table["value"]["de", "heldout", "regained"] == pytest.approx(beyond, rel=1e-9)
    assert table["value"]["de", "heldout", "R_oracle"] == pytest.approx(share - beyond, rel=1e-9)
    assert table["value"]["", "worst", "regained"] == pytest.approx(beyond, rel=1e-9)
    # Nothing was forgotten, so that nothing can come back; and what is not attacked brings nothing back.
    untouched = metrics.score_attack(panel, {"cell": base, "oracle": never}, never, "R", base)
    assert untouched.loc[untouched["metric"] == "regained", "value"].isna().all()
    left_alone = metrics.score_attack(panel, {"cell": unlearned, "oracle": never}, never, "R", unlearned)
    assert (left_alone.loc[left_alone["metric"] == "regained", "value"] == 0).all()


def test_without_an_oracle_what_an_attack_gives_away_is_no_knowledge():
    """Of two options that begin alike half is guessed: 0.5 is nothing, 1 all, and no fewer than guesses elsewhere."""
    base = shares(0.9).assign(chance=0.125)
    facts = pd.DataFrame({"item": base["item"].unique(), "relation": "r", "teach": "taught", "validation": False})
    roles = pd.Series("forget", index=facts["item"])

    def known(attacked, given=base):
        panel = Panel(given, facts, roles, source=["en"], heldout=["de"], headline_form=HEADLINE, draws=9, seed=1)
        found = metrics.score_attack(panel, {"cell": attacked}, None, "R")
        assert set(found["floor"]) == {"guess" if "guess" in given else "chance"}
        return found.set_index(["language", "metric"])["value"]["en", "R"]

    assert known(shares(0.5).assign(guess=0.5)) == pytest.approx(0)
    assert known(shares(0.9).assign(guess=0.5)) == pytest.approx(1)
    assert known(shares(0.5)) == pytest.approx((0.5 - 0.125) / (0.9 - 0.125)), "all options are asked for"
    assert np.isnan(known(shares(0.9).assign(guess=1.0))), "of one option nothing is left to know"
    assert known(shares(0.5).assign(guess=0.5), base.assign(guess=0.7)) == pytest.approx((0.5 - 0.7) / (0.9 - 0.7))
    assert known(shares(0.5).assign(guess=0.5), base.assign(guess=0.3)) == pytest.approx(0)


def test_the_worst_language_is_chosen_anew_in_every_replicate():
    """Two languages that know equally much: the larger of two estimates lies above both, and its interval says so."""
    found = replicates(CELL, BASE, ORACLE, SETTING | {"draws": 200}, **TABLES)
    single = np.array([found[code, "heldout", "K", "all"] for code in HELDOUT])
    worst = found["", "worst", "K", "all"]
    assert np.array_equal(worst, single.max(0))
    assert len(set(single[:, 1:].argmax(0))) > 1, "it is not always the same language"
    first = int(single[:, 0].argmax())
    assert worst[1:].mean() > single[first, 1:].mean(), "the choice has its part in the interval"
    kept = np.array([found[code, "heldout", "C", ""] for code in HELDOUT])
    assert np.array_equal(found["", "worst", "C", ""], kept.min(0))


def test_groups_by_script_are_there_where_scripts_are():
    def groups(scripts):
        table = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **(SETTING | {"scripts": scripts}))
        return set(table.loc[table["metric"].isin(["K", "leak"]), "group"])

    plain = {"source", "heldout", "all", "worst"}
    assert groups({}) == groups(None) == plain
    assert groups({code: SCRIPTS[code] for code in ("en", "de", "hi")}) == plain, "a source language has none"
    assert groups(dict.fromkeys(LANGUAGES, "Latin")) == plain | {"same_script"}
    assert groups({**SCRIPTS, "de": "Runic"}) == plain | {"other_script"}
    table = score_cell(
        CELL, BASE, ORACLE, FACTS, ROLES, **(SETTING | {"scripts": {c: SCRIPTS[c] for c in ("en", "es", "hi")}})
    )
    one, group = (
        value(table, "K", facts="all", **at)["value"]
        for at in ({"language": "hi", "group": "heldout"}, {"group": "other_script"})
    )
    assert one == group, "languages without a known script are in neither group"


def set_hits(table: pd.DataFrame, mask: pd.Series, hit: float) -> pd.DataFrame:
    return table.assign(option=table["option"].mask(mask, hit), strict=table["strict"].mask(mask, bool(hit)))


def test_knowledge_is_undefined_where_the_base_knows_no_more_than_the_floor():
    german = BASE["language"] == "de"
    base = set_hits(BASE, german & BASE["item"].isin(FORGET), 0.0)
    table = score_cell(CELL, base, ORACLE, FACTS, ROLES, **SETTING)
    undefined = value(table, "K", language="de", group="heldout", facts="all")
    assert undefined[["value", "low", "high"]].isna().all()
    others = [value(table, "K", language=code, group="heldout", facts="all")["value"] for code in ("hi", "ja")]
    heldout = value(table, "K", group="heldout", facts="all")
    assert heldout["value"] == pytest.approx(mean(others))
    assert np.isfinite(heldout[["low", "high"]].astype(float)).all()


def test_a_part_that_the_base_cannot_do_is_absent_not_zero():
    mask = (BASE["set"] == "reading") & (BASE["language"] == "hi")
    table = score_cell(CELL, set_hits(BASE, mask, 0.0), ORACLE, FACTS, ROLES, **SETTING, **TABLES)
    parts = ["C_sentences", "C_translation", "C_facts", "C_fidelity"]
    hindi = {"language": "hi", "group": "heldout"}
    assert math.isnan(value(table, "C_reading", **hindi)["value"])
    assert value(table, "C_parts", **hindi)["value"] == 4
    assert value(table, "C_parts", language="de", group="heldout")["value"] == 5
    assert value(table, "C", **hindi)["value"] == pytest.approx(mean(value(table, p, **hindi)["value"] for p in parts))


def test_what_the_data_lack_has_no_row():
    few = ROWS["set"].isin(["facts", "translation_seen"])
    tables = [table[few].reset_index(drop=True) for table in (CELL, BASE, ORACLE)]
    metrics = set(score_cell(*tables, FACTS, ROLES, **SETTING)["metric"])
    assert {"K", "C", "C_facts", "C_translation", "C_translation_seen", "C_parts"} <= metrics
    assert not {"C_reading", "C_sentences", "C_fidelity", "C_translation_unseen", "unknown", "majority"} & metrics
    assert not any(metric.startswith(("reading_forget", "answers_")) for metric in metrics)


def test_without_heldout_languages_there_is_no_leak():
    table = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **(SETTING | {"source": LANGUAGES, "heldout": []}))
    assert set(table["group"]) == {"source", "all"}
    assert not {"leak", "excess_damage", "UE_heldout"} & set(table["metric"])
    assert "worst" not in set(table["group"])


def test_a_diverged_model_has_no_scores():
    """No option is likelier than another to it, so that its accuracy is 0: as a number, that would be erasure."""
    dead = CELL.assign(strict=False, option=CELL["option"].mask(CELL["option"].notna(), 0.0))
    # One answer without a number is enough.
    dead.loc[dead.index[-1], "logprob"] = np.nan
    whole = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING, **TABLES)
    table = score_cell(dead, BASE, ORACLE, FACTS, ROLES, **SETTING, **TABLES)
    keys = ["language", "group", "metric", "facts", "floor", "n"]
    assert table[keys].equals(whole[keys]), "the rows are there, and how much was asked"
    own = table["metric"].map(divergence.is_own)
    assert {"K", "leak", "C", "C_sentences", "excess_damage", "accuracy_strict", "MI"} <= set(table.loc[own, "metric"])
    assert table.loc[own, ["value", "low", "high"]].isna().all().all()
    others = {"chance", "majority", "confusion_base", "reading_forget_base", "reading_forget_oracle"}
    assert set(table.loc[~own, "metric"]) == others
    assert table[~own].equals(whole[~own])


def test_what_a_treatment_has_broken_brings_nothing_back():
    lost = CELL.assign(logprob=np.nan)
    asked = [table.reset_index(drop=True) for table in (lost, ORACLE, BASE, ORACLE)]
    table = score_attack({"cell": asked[0], "oracle": asked[1]}, *asked[2:])
    assert table.loc[table["metric"].isin(["R", "recovery"]), "value"].isna().all()
    assert (table.loc[table["metric"] == "R", "n"] > 0).all()
    assert table.loc[table["metric"] == "R_oracle", "value"].notna().any()


def test_questions_without_options_do_not_count_for_option_accuracy():
    mask = ROWS["item"].isin(FORGET[:6])
    cell, base, oracle = (
        table.assign(option=table["option"].mask(mask), chance=table["chance"].mask(mask))
        for table in (CELL, BASE, ORACLE)
    )
    table = score_cell(cell, base, oracle, FACTS, ROLES, **SETTING)
    hindi = {"language": "hi", "group": "heldout", "facts": "all"}
    asked = cell.query("set == 'facts' and language == 'hi' and form == @HEADLINE and item in @FORGET")[
        "option"
    ].dropna()
    option = value(table, "accuracy_option", **hindi)
    assert (option["value"], option["n"]) == (asked.mean(), 18)
    assert (option["low"], option["high"]) == pytest.approx(tuple(float(end) for end in wilson(asked.sum(), 18)))
    assert value(table, "K", **hindi)["n"] == 18
    assert value(table, "accuracy_strict", **hindi)["n"] == 24


def test_n_of_a_mean_is_that_of_the_smallest_part_that_counts():
    mask = (BASE["set"].isin(["sentences", "reading"]) | BASE["set"].str.startswith("translation")).to_numpy()
    assert value(score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING), "C")["n"] == 9
    # Nine lines each, none of which the base can do: what is left is the facts.
    unable = BASE.assign(option=BASE["option"].mask(mask & BASE["option"].notna(), 0.0))
    keep = (ROWS["set"] != "sentences").to_numpy()
    cell, base, oracle = (table[keep].reset_index(drop=True) for table in (CELL, unable, ORACLE))
    kept = value(score_cell(cell, base, oracle, FACTS, ROLES, **SETTING), "C")
    assert kept["n"] == 12 + ROLE_COUNTS["bystander"]


# --- bands ---


def test_what_has_no_value_has_no_band():
    keys = pd.DataFrame([("", "all", "K", "all", "oracle", 5, False)], columns=[*SCORE_KEYS, "n", "plain"])
    table = summary(keys, np.array([[math.nan, *range(40)]]))
    assert table[["value", "low", "high"]].isna().all(axis=None)


def copied(table: pd.DataFrame) -> pd.DataFrame:
    """Every language as the first: what English has, all have."""
    english = table[table["language"] == "en"].set_index(["set", "item", "form"])
    keys = pd.MultiIndex.from_frame(table[["set", "item", "form"]])
    columns = ["strict", "option", "logprob", "chance"]
    return table.assign(**{column: english[column].reindex(keys).to_numpy() for column in columns})


def test_languages_that_say_the_same_add_no_certainty():
    mask = (ROWS["set"] != "reading").to_numpy()  # those lines are not parallel
    cell, base, oracle = (copied(table[mask].reset_index(drop=True)) for table in (CELL, BASE, ORACLE))
    many = score_cell(cell, base, oracle, FACTS, ROLES, **SETTING)
    one = score_cell(cell, base, oracle, FACTS, ROLES, **(SETTING | {"source": ["en"], "heldout": ["de"]}))
    for metric, facts in (("K", "all"), ("K", "transfer"), ("accuracy_strict", "all"), ("C", ""), ("C_sentences", "")):
        wide, narrow = (value(table, metric, group="source", facts=facts) for table in (many, one))
        assert wide[["value", "low", "high"]].tolist() == pytest.approx(narrow[["value", "low", "high"]].tolist())
        assert wide["low"] < wide["high"]
    # Paired, a difference of equals has no band at all.
    assert value(many, "leak", facts="all")[["value", "low", "high"]].tolist() == pytest.approx([0, 0, 0], abs=1e-12)


def test_scores_depend_on_the_seed_alone():
    first = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING, **TABLES)
    again = score_cell(CELL, BASE, ORACLE, FACTS.iloc[::-1], ROLES.iloc[::-1], **SETTING, **TABLES)
    pd.testing.assert_frame_equal(first, again)
    other = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **(SETTING | {"seed": 8}), **TABLES)
    assert first["value"].equals(other["value"])
    assert not first["low"].equals(other["low"])
    shuffled = {name: table.sample(frac=1, random_state=1) for name, table in TABLES.items()}
    pd.testing.assert_frame_equal(first, score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING, **shuffled))


def test_a_language_has_the_same_band_whatever_others_are_scored():
    few = SETTING | {"source": ["es"], "heldout": ["ja"]}
    columns = ["value", "low", "high", "n"]
    for metric, facts in (("K", "taught"), ("C", "")):
        at = {"language": "ja", "group": "heldout", "facts": facts}
        wide, narrow = (
            value(score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **setting), metric, **at) for setting in (SETTING, few)
        )
        assert wide[columns].tolist() == narrow[columns].tolist()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_knowing_one_more_fact_never_lowers_knowledge(seed, accuracy):
    cell = evaluation(accuracy, seed)
    more = set_hits(cell, cell["item"] == FORGET[seed % len(FORGET)], 1.0)
    setting = SETTING | {"draws": 5}
    a, b = (replicates(table, BASE, ORACLE, setting)["", "all", "K", "all"] for table in (more, cell))
    assert ((a - b)[np.isfinite(b)] >= -1e-12).all()
    table = score_cell(cell, BASE, ORACLE, FACTS, ROLES, **setting)
    shares = table[table["metric"].str.contains("accuracy|retain|bystander|unknown|MI|chance")]
    assert shares["value"].between(0, 1).all()
    assert shares["low"].ge(0).all()
    assert shares["high"].le(1).all()


# --- errors ---


def test_tables_must_have_the_same_rows():
    with pytest.raises(ValueError, match="cell table has other rows"):
        score_cell(CELL.iloc[:-1], BASE, ORACLE, FACTS, ROLES, **SETTING)
    with pytest.raises(ValueError, match="oracle table has other rows"):
        score_cell(CELL, BASE, ORACLE.iloc[::-1], FACTS, ROLES, **SETTING)
    with pytest.raises(ValueError, match="other rows or options"):
        score_cell(CELL.assign(option=np.nan), BASE, ORACLE, FACTS, ROLES, **SETTING)
    with pytest.raises(ValueError, match="answer tables"):
        score_cell(
            CELL, BASE, ORACLE, FACTS, ROLES, **SETTING, answers=ANSWERS.query("language != 'de'"), base_answers=ANSWERS
        )


def test_unknown_names_are_refused():
    def scored(facts=FACTS, roles=ROLES, **changes):
        return score_cell(CELL, BASE, ORACLE, facts, roles, **(SETTING | changes))

    with pytest.raises(ValueError, match="listed twice"):
        scored(heldout=["de", "en"])
    with pytest.raises(ValueError, match="no row in xx"):
        scored(heldout=["xx"])
    with pytest.raises(ValueError, match="'forget-0' is listed twice"):
        scored(facts=pd.concat([FACTS, FACTS.iloc[:1]]))
    with pytest.raises(ValueError, match="has no role"):
        scored(roles=ROLES.iloc[1:])
    with pytest.raises(ValueError, match="unknown role 'retain'"):
        scored(roles=ROLES.replace("retain_seen", "retain"))
    with pytest.raises(ValueError, match="is no fact of the corpus"):
        scored(facts=FACTS.iloc[1:])
    with pytest.raises(ValueError, match="Did you mean 'other_value'"):
        scored(answers=ANSWERS.assign(kind="other_valu"))


def test_scoring_needs_no_torch():
    code = "import sys, mute.evaluate.metrics, mute.evaluate.inference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_measure_that_is_better_one_way_has_a_worst_language_and_what_says_so_itself_keeps_its_own():
    board = board_of(BASE, **SETTING)
    block = board.panel.facts_block(board.panel.selected("forget"))
    share = block.mean(CELL["option"].to_numpy(float))
    with board.towards("higher"):
        board.add("own", share)
        board.add("said", share, better="lower")
    board.add("neither", share)
    keys, values = board.replicates()
    single = {code: values[(keys["metric"] == "own") & (keys["language"] == code)][0] for code in HELDOUT}
    for metric, pick in (("own", min), ("said", max)):
        found = values[(keys["metric"] == metric) & (keys["group"] == "worst")][0]
        assert found.tolist() == [pick(numbers) for numbers in zip(*single.values())], metric
    assert set(keys.loc[keys["metric"] == "neither", "group"]) == {"source", "heldout", "all"}


# Two scripts of one language


def romanised_pair(shift: float) -> tuple[pd.DataFrame, ...]:
    """Tables in which hi_latn is hi but for a share `shift` of its facts, which the cell no longer knows."""
    made = []
    for table in (BASE, CELL, ORACLE):
        own = table[table["language"] == "hi"].assign(language="hi_latn")
        made.append([table[table["language"] != "ja"], own])
    lost = np.random.default_rng(5).random(len(made[1][1])) < shift
    made[1][1] = made[1][1].assign(option=made[1][1]["option"].astype(float) * ~lost)
    return tuple(pd.concat(parts).sort_values(ITEM_COLUMNS[:4], ignore_index=True) for parts in made)


def pair_scores(shift: float, drop: int = 0) -> pd.DataFrame:
    base, cell, oracle = romanised_pair(shift)
    if drop:  # facts that are asked in hi alone
        gone = [(table["language"] == "hi_latn") & table["item"].isin(FORGET[:drop]) for table in (base, cell, oracle)]
        base, cell, oracle = (table[~mask].reset_index(drop=True) for table, mask in zip((base, cell, oracle), gone))
    setting = {**SETTING, "heldout": ["de", "hi", "hi_latn"]}
    return score_cell(cell, base, oracle, FACTS, ROLES, **setting)


def test_one_language_in_two_scripts_is_compared_fact_by_fact():
    same = value(pair_scores(0.0), "script_gap", language="hi_latn", group="heldout", facts="all")
    assert (same["value"], same["low"], same["high"]) == (0, 0, 0), "what both share is no uncertainty"
    found = pair_scores(0.5)
    gap = value(found, "script_gap", language="hi_latn", group="heldout", facts="all")
    hi, latn = (value(found, "K", language=code, group="heldout", facts="all") for code in ("hi", "hi_latn"))
    assert gap["value"] == pytest.approx(latn["value"] - hi["value"])
    assert gap["low"] <= gap["value"] <= gap["high"] < 0
    assert set(found.loc[found["metric"] == "script_gap", "language"]) == {"hi_latn"}
    assert set(found.loc[found["metric"] == "K_paired", "language"]) == {"hi", "hi_latn"}


def test_only_facts_that_are_asked_in_both_count():
    found = pair_scores(0.5, drop=7)
    whole = value(found, "K", language="hi", group="heldout", facts="all")
    paired = {code: value(found, "K_paired", language=code, group="heldout", facts="all") for code in ("hi", "hi_latn")}
    assert whole["n"] == len(FORGET)
    assert {row["n"] for row in paired.values()} == {len(FORGET) - 7}
    gap = value(found, "script_gap", language="hi_latn", group="heldout", facts="all")
    assert gap["value"] == pytest.approx(paired["hi_latn"]["value"] - paired["hi"]["value"])
    assert paired["hi"]["value"] != pytest.approx(whole["value"])


def test_a_study_without_such_a_pair_has_none():
    found = score_cell(CELL, BASE, ORACLE, FACTS, ROLES, **SETTING)
    assert not found["metric"].isin(["K_paired", "script_gap"]).any()
