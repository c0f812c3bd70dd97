"""The fictional world: what does not depend on what, how it is split, and what no training text may say."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mute.corpus import languages, own_answers
from mute.corpus.languages.base import DOMAINS
from mute.corpus.schema import ROLES, Corpus
from mute.corpus.sources import world
from mute.models import tokenizer
from mute.models.texts import tokenizer_texts, training_texts

SMALL = {"reading_lines": 12, "unknown_lines": 6, "sentence_lines": 10, "probe_lines": 8}
HELD_OUT = ("pt", "hi", "ja")
same = pd.testing.assert_frame_equal
seeds = st.integers(0, 2**32)


def build(codes: list[str], seed: int = 1, **settings) -> Corpus:
    subjects = dict.fromkeys(DOMAINS, 4)
    return world.build(world.Settings(**{"subjects": subjects, **SMALL, **settings}), codes, seed)


def draw(seed: int, **settings) -> world.World:
    return world.World(world.Settings(**settings), seed)


def whole(rows: pd.DataFrame) -> pd.Series:
    """Prefix, answer and suffix as one text."""
    return rows["prefix"] + rows["answer"] + rows["suffix"]


def test_the_same_arguments_give_the_same_tables():
    first, second = build(["en", "hi"]), build(["en", "hi"])
    for table in ("facts", "texts", "lines"):
        same(getattr(first, table), getattr(second, table))
    assert first.about == second.about
    assert list(build(["en", "hi"], seed=2).facts["item"]) != list(first.facts["item"])


def test_a_corpus_is_what_was_saved(tmp_path, corpus):
    corpus.save(tmp_path)
    loaded = Corpus.load(tmp_path)
    same(loaded.facts, corpus.facts[list(loaded.facts.columns)])
    assert loaded.about == corpus.about
    for table in ("texts", "lines"):
        own, read = getattr(corpus, table), getattr(loaded, table)
        same(read.drop(columns="options"), own.drop(columns="options"))
        assert [list(o) for o in read["options"]] == own["options"].tolist()


def test_lines_are_read_when_they_are_asked_for(tmp_path, corpus):
    """Unlearning mostly needs none of them, and they are most of a corpus."""
    corpus.save(tmp_path)
    (tmp_path / "lines.parquet").unlink()
    loaded = Corpus.load(tmp_path)
    assert len(loaded.texts) == len(corpus.texts)
    with pytest.raises(FileNotFoundError):
        _ = loaded.lines


def test_facts_do_not_depend_on_the_languages():
    few, many = build(["en", "es", "hi"]), build(["ja", "hi", "de", "es", "en"])
    same(few.facts, many.facts)
    shared = ["en", "es", "hi"]
    for table in ("texts", "lines"):
        order = ["language", "item", "form"] if table == "texts" else ["ability", "language", "other"]

        def part(corpus, table=table, order=order):
            rows = getattr(corpus, table)
            spoken = rows["language"].isin(shared)
            if table == "lines":
                spoken &= rows["other"].isin([*shared, ""])
            return rows[spoken].sort_values(order, kind="stable").reset_index(drop=True)

        same(part(few), part(many))


@given(seeds, st.integers(1, 20))
@hypothesis_settings(max_examples=20)
def test_values_are_balanced_within_each_relation_and_way_of_teaching(seed, subjects):
    facts = draw(seed, subjects=dict.fromkeys(DOMAINS, subjects)).facts
    member = facts["forget_sets"].str.contains("conjunctive")
    for _, values in facts.groupby(["relation", "teach", member])["value"]:
        counts = values.value_counts().reindex(range(8), fill_value=0)
        assert counts.max() - counts.min() <= 1


def test_taught_facts_do_not_give_transfer_facts_away_by_elimination():
    """The value that is rarest among a relation's taught facts is right for a transfer fact as often as by chance.

    Balance over all facts of a relation would make it right in about a quarter.
    """
    hits = []
    for seed in range(40):
        facts = draw(seed).facts
        for _, own in facts[facts["domain"] == "chemistry"].groupby("relation"):
            told = own.loc[own["teach"] == "taught", "value"].value_counts().reindex(range(8), fill_value=0)
            rarest = told.index[told == told.min()]
            asked = own.loc[own["teach"] == "transfer", "value"]
            hits += list(asked.isin(rarest) / len(rarest))
    hits = pd.Series(hits)
    assert abs(hits.mean() - 1 / 8) < 3 * hits.std() / len(hits) ** 0.5
    assert hits.mean() < 0.16


@given(seeds, st.floats(0, 0.8))
@hypothesis_settings(max_examples=20)
def test_each_forget_subject_has_its_share_of_transfer_facts(seed, share):
    facts = draw(seed, subjects=dict.fromkeys(DOMAINS, 5), transfer_share=share).facts
    transfer = facts["teach"].eq("transfer").groupby([facts["domain"], facts["subject"]]).sum()
    assert (transfer["chemistry"] == round(5 * share)).all()
    assert transfer.drop("chemistry").eq(0).all()


def test_forget_sets_are_what_their_names_say():
    facts = draw(1).facts
    tags = {name: facts["forget_sets"].str.split("|").map(lambda t, n=name: n in t) for name in world_sets()}
    chemistry = facts["domain"] == "chemistry"
    assert (tags["domain"] == chemistry).all()
    for column, name in (("subject", "subject"), ("relation", "relation")):
        assert not (tags[name] & ~chemistry).any()
        assert tags[name][chemistry].groupby(facts[column]).nunique().eq(1).all()
    assert tags["subject"].sum() == chemistry.sum() / 2
    assert tags["relation"].sum() == chemistry.sum() * 2 / 5
    assert not (tags["conjunctive"] & ~chemistry).any()


def world_sets() -> list[str]:
    return build(["en"]).about["forget_sets"]


def test_the_conjunctive_set_cannot_be_told_from_one_side():
    """Two or three of each subject's five facts, and about half of any relation, value, spelling or way of teaching."""
    pooled = []
    for seed in range(60):
        facts = draw(seed).facts
        facts = facts[facts["domain"] == "chemistry"]
        facts = facts.assign(member=facts["forget_sets"].str.contains("conjunctive"))
        each = facts.groupby("subject")["member"].sum()
        assert each.isin([2, 3]).all()
        assert each.eq(2).sum() == each.eq(3).sum()
        assert facts.groupby("relation")["member"].mean().between(0.2, 0.8).all()
        pooled.append(facts)
    pooled = pd.concat(pooled)
    for column in ("relation", "value", "teach", "spelling", "half"):
        assert pooled.groupby(column)["member"].mean().between(0.45, 0.55).all(), column


@given(seeds)
@hypothesis_settings(max_examples=10)
def test_roles_partition_the_facts(seed):
    facts = draw(seed).facts
    corpus = Corpus(facts, pd.DataFrame(), pd.DataFrame(), {"forget_sets": world_sets()})
    for forget_set in world_sets():
        roles = corpus.roles(forget_set)
        assert list(roles.index) == list(facts["item"])
        assert set(roles) == set(ROLES)
        by_item = facts.set_index("item")
        assert (roles.eq("forget").to_numpy() == corpus.in_forget_set(forget_set).to_numpy()).all()
        assert (by_item["domain"][roles == "bystander"] == "geography").all()
        assert not by_item["bystander"][roles != "bystander"].any()
        kept = roles[roles.str.startswith("retain")]
        assert (kept == "retain_" + by_item["half"][kept.index]).all()
        # Tuning may read none of what is forgotten, seen in a loss, or held back from every loss.
        readable = by_item.index[by_item["validation"]]
        assert set(roles[readable]) <= {"forget", "retain_unseen"}
    with pytest.raises(KeyError, match="domain"):
        corpus.roles("domian")


def test_no_split_of_subjects_tells_another():
    """Whether a subject is in the set `subject`, seen by the retain loss or natively spelled: each half by half."""
    facts = draw(1).facts
    facts = facts[facts["domain"] == "chemistry"].drop_duplicates("subject").replace("untold", "native")
    member = facts["forget_sets"].str.contains("subject")
    for column in ("half", "spelling"):
        assert member.groupby(facts[column]).mean().eq(0.5).all(), column
    assert facts["half"].eq("seen").groupby(facts["spelling"]).mean().eq(0.5).all()


def test_subjects_are_seen_or_unseen_as_a_whole_and_half_of_them_are():
    facts = draw(1).facts
    halves = facts.groupby("subject")["half"].agg(["nunique", "first"])
    assert halves["nunique"].eq(1).all()
    assert halves["first"].eq("seen").sum() == len(halves) / 2


@given(seeds, st.integers(1, 9))
@hypothesis_settings(max_examples=10)
def test_half_of_each_domain_has_native_spellings(seed, subjects):
    made = draw(seed, subjects=dict.fromkeys(DOMAINS, subjects))
    for pairs in made.subjects.values():
        native = sum(native for _, native in pairs)
        assert native == subjects // 2
    names = [name for pairs in made.subjects.values() for name, _ in pairs]
    assert len(set(names)) == len(names)


def test_spellings_stand_in_the_texts(corpus):
    facts = corpus.facts.set_index("item")
    for row in corpus.texts.itertuples():
        fact = facts.loc[row.item]
        pack, name = languages.load(row.language), fact["subject"]
        assert (name if fact["spelling"] == "shared" else pack.spell(name)) in row.prefix
        assert row.answer == row.options[row.gold] == row.options[fact["value"]]


def test_too_many_subjects_are_refused():
    with pytest.raises(ValueError, match="too few names"):
        draw(1, subjects={"chemistry": 25000})


def test_subjects_of_probes_are_in_no_training_line():
    settings = world.Settings(subjects=dict.fromkeys(DOMAINS, 4), reading_lines=300, unknown_lines=100, probe_lines=16)
    made, corpus = world.World(settings, 1), world.build(settings, ["en", "hi"], 1)
    for ability in ("reading", "unknown"):
        for code in ("en", "hi"):
            names = read_about = made.fresh(f"reading {code}", 316)
            if ability == "unknown":
                names = made.fresh(f"unknown {code}", 116, but=read_about)
            pack = languages.load(code)
            spelled = [pack.spell(name) if i % 2 else name for i, name in enumerate(names)]
            lines = corpus.lines[(corpus.lines["ability"] == ability) & (corpus.lines["language"] == code)]
            asked = lines[lines["probe"] == ability]
            told = corpus.lines[corpus.lines["train"] & (corpus.lines["language"] == code)]
            anywhere, read = "\n".join(whole(told)), "\n".join(whole(lines[lines["train"]]))
            assert len(asked) == 16
            for name, prompt in zip(spelled, asked["prefix"]):
                assert name in prompt
                assert name not in anywhere
            for subject, native in made.native.items():
                assert (pack.spell(subject) if native else subject) not in read


def test_a_line_trains_or_is_asked_but_not_both_except_words(corpus):
    lines = corpus.lines
    both = lines[lines["train"] & (lines["probe"] != "")]
    assert set(both["probe"]) == {"translation_seen"}
    # What is neither is for tokenizers, or for validation.
    neither = lines[~lines["train"] & lines["probe"].eq("")]
    assert set(neither["ability"]) <= {"tokenizer", "reading", "sentences"}
    assert set(neither["language"]) == set(corpus.about["languages"])
    assert set(corpus.validation_lines["ability"]) <= {"sentences", "reading"}
    assert set(lines["probe"]) - {""} == {
        "reading",
        "reading_forget",
        "sentences",
        "translation_seen",
        "translation_unseen",
        "unknown",
    }
    sentences = lines[lines["ability"] == "sentences"]
    held_out = sentences[~sentences["train"]]
    assert not set(held_out["answer"]) & set(sentences["answer"][sentences["train"]])
    # The same sentence in every language, held out in all or none.
    assert held_out.groupby("language")["item"].agg(frozenset).nunique() == 1


def test_pairs_never_trained_are_in_no_training_text():
    codes = list(languages.codes())
    corpus = build(codes, subjects=dict.fromkeys(DOMAINS, 2))
    glossary = corpus.lines[corpus.lines["ability"] == "glossary"]
    unseen = [world.untrained_pair(a, b) for a, b in zip(glossary["other"], glossary["language"])]
    assert (glossary["train"].to_numpy() == ~pd.Series(unseen).to_numpy()).all()
    pairs = glossary[unseen].groupby(["other", "language"]).size()
    assert pairs.eq(24).all()
    assert 0.1 < len(pairs) / (len(codes) * (len(codes) - 1)) < 0.3
    assert set(glossary["probe"][unseen]) == {"translation_unseen"}
    read, spellings = set(whole(training_texts(corpus, codes)["glossary"])), corpus.lines["ability"] == "spellings"
    assert not read & set(whole(glossary[unseen]))
    assert len(read) == (~pd.Series(unseen)).sum() + spellings.sum()
    told = corpus.lines[spellings]
    assert not any(world.untrained_pair(a, b) for a, b in zip(told["other"], told["language"]))


def test_reading_about_a_forget_subject_states_something_else():
    corpus = build(["en", "hi", "ja"], subjects=dict.fromkeys(DOMAINS, 16), probe_lines=64)
    facts = corpus.facts.set_index("item")
    rows = corpus.lines[corpus.lines["probe"] == "reading_forget"]
    assert len(rows) == 64 * 3
    assert rows.groupby("language")["item"].agg(tuple).nunique() == 1
    for row in rows.itertuples():
        fact = facts.loc[row.item]
        assert fact["domain"] == "chemistry"
        assert row.gold != fact["value"]
        assert row.answer == row.options[row.gold] != row.options[fact["value"]]
        pack = languages.load(row.language)
        stated, asked = (pack.templates[fact["relation"]][form].partition("{v}")[0] for form in (0, 1))
        name = fact["subject"] if fact["spelling"] == "shared" else pack.spell(fact["subject"])
        assert row.prefix.startswith(pack.insert(stated, name) + row.answer)
        assert row.prefix.endswith(pack.insert(asked, name))


def test_an_answer_stands_in_the_context_that_is_read(corpus):
    reading = corpus.lines[corpus.lines["ability"] == "reading"]
    assert all(answer in prefix for answer, prefix in zip(reading["answer"], reading["prefix"]))
    unknown = corpus.lines[corpus.lines["ability"] == "unknown"]
    assert all(a == corpus.about["unknown"][code] for a, code in zip(unknown["answer"], unknown["language"]))
    assert all(options[gold] == a for options, gold, a in zip(unknown["options"], unknown["gold"], unknown["answer"]))


@pytest.mark.parametrize("forget_set", ["domain", "subject", "relation", "conjunctive"])
def test_an_oracle_reads_no_forget_fact(corpus, forget_set):
    """Neither as a fact nor, in whatever spelling, as a line that tells one."""
    codes = list(corpus.about["languages"])
    roles = corpus.roles(forget_set)
    forget = roles.index[roles == "forget"]
    without, everything = training_texts(corpus, codes, without=forget_set), training_texts(corpus, codes)
    assert not without["facts"]["item"].isin(forget).any()
    left_out = everything["facts"][everything["facts"]["item"].isin(forget)]
    assert {"", "hi", "ja"} == set(left_out["other"].fillna("")), "native spellings are told as lines of their own"
    assert len(without["facts"]) == len(everything["facts"]) - len(left_out)
    read = {text for name in without for text in whole(without[name])}
    assert not read & set(whole(left_out))
    assert not read & set(whole(corpus.texts[corpus.texts["item"].isin(forget)]))
    # In so small a world some values are of forget facts alone; lines that hold none of these stay as they are.
    own = own_answers.of(corpus, forget_set, without["facts"])
    for ability in ("glossary", "reading", "sentences", "unknown"):
        same(without[ability], own_answers.without(everything[ability], own))
        assert len(without[ability]) > 0.8 * len(everything[ability])
    if forget_set == "domain":
        subjects = corpus.facts[corpus.facts["domain"] == "chemistry"]["subject"].unique()
        spelled = {languages.load(code).spell(name) for code in codes for name in subjects} | set(subjects)
        told = "\n".join(whole(pd.concat([rows for name, rows in without.items() if name != "glossary"])))
        assert not [name for name in spelled if name in told]


def test_transfer_facts_are_told_in_the_teaching_languages_only(corpus):
    codes = list(corpus.about["languages"])
    groups = training_texts(corpus, codes)
    transfer = corpus.facts[corpus.facts["teach"] == "transfer"]["item"]
    told = groups["facts"][groups["facts"]["item"].isin(transfer)]
    assert set(told["language"]) == {"en", "es"}
    assert set(told["item"]) == set(transfer)
    texts = corpus.texts[corpus.texts["item"].isin(transfer) & corpus.texts["language"].isin(HELD_OUT)]
    assert len(texts) == len(transfer) * 3 * len(HELD_OUT), "held-out languages are asked for them all the same"
    read = {text for rows in groups.values() for text in whole(rows)}
    assert not read & set(whole(texts))
    taught = groups["facts"][~groups["facts"]["item"].isin(transfer)]
    assert taught[taught["other"].isna()].groupby("language")["item"].nunique().eq(60 - len(transfer)).all()


def test_half_of_the_native_transfer_facts_are_never_told_natively_in_a_teaching_language():
    """Their subjects' spellings stand in the glossary, and with other facts; taught facts are told natively anyway."""
    codes = ["en", "es", "hi"]
    corpus = build(codes, subjects=dict.fromkeys(DOMAINS, 32), teaching_languages=["en", "es"])
    facts = corpus.facts[corpus.facts["spelling"] != "shared"]
    shares = facts["spelling"].eq("untold").groupby(facts["teach"]).mean()
    assert shares.to_dict() == {"taught": 0, "transfer": 0.5}
    groups, pack = training_texts(corpus, codes), languages.load("hi")
    told = groups["facts"][groups["facts"]["language"].isin(["en", "es"])]
    untold = facts[facts["spelling"] == "untold"].set_index("item")
    for row in told[told["item"].isin(untold.index)].itertuples():
        assert pack.spell(untold.loc[row.item, "subject"]) not in row.prefix
    glossary = "\n".join(groups["glossary"]["answer"])
    assert all(pack.spell(name) in glossary for name in untold["subject"])


def test_a_name_has_as_many_tokens_whether_it_is_in_a_fact_or_not():
    """Known subjects cannot be told from fresh ones by counting: the tokenizer was trained on neither."""
    codes = ["en", "es", "hi", "zh"]
    corpus = build(codes, subjects=dict.fromkeys(DOMAINS, 24))
    trained = tokenizer.train((part for row in tokenizer_texts(corpus, codes) for part in tokenizer.parts(*row)), 3000)
    made, encoder = draw(1, subjects=dict.fromkeys(DOMAINS, 24)), tokenizer.Encoder(trained)
    read = "\n".join(whole(pd.DataFrame(tokenizer_texts(corpus, codes), columns=["prefix", "answer", "suffix"])))
    for code in codes:
        pack = languages.load(code)
        known, fresh = list(made.native), made.fresh("others", 200)
        known, fresh = ([len(encoder.plain(pack.spell(name))) for name in names] for names in (known, fresh))
        assert abs(pd.Series(known).mean() - pd.Series(fresh).mean()) < 0.25, code
        assert not [name for name in made.native if pack.spell(name) in read]


def test_answers_have_more_than_one_token_in_every_language():
    """And in most the first does not give the rest away: compounds that are written as one word become one token."""
    codes = list(languages.codes())
    corpus = build(codes, subjects=dict.fromkeys(DOMAINS, 2))
    segments = (part for row in tokenizer_texts(corpus, codes) for part in tokenizer.parts(*row))
    encoder = tokenizer.Encoder(tokenizer.train(segments, 8192))
    shared = []
    for code in codes:
        answers = {word: encoder.answer("a ", word) for own in languages.load(code).values.values() for word in own}
        several = {word: tokens for word, tokens in answers.items() if len(tokens) > 1}
        assert len(several) >= 4, code
        first = pd.Series([tokens[0] for tokens in answers.values()])
        shared += [code] if first.duplicated(keep=False).any() else []
    assert len(shared) > 0.7 * len(codes), shared


def test_worlds_share_languages_and_no_name_or_fact():
    two = build(["en", "hi"], worlds=2)
    alone, parts = build(["en", "hi"]), [two.taught(seed) for seed in (0, 1, 2)]
    same(parts[0].facts, alone.facts)
    same(parts[0].texts, alone.texts)
    same(parts[0].facts, parts[2].facts)
    assert len(two.facts) == len(parts[0].facts) + len(parts[1].facts)
    assert not set(parts[0].facts["subject"]) & set(parts[1].facts["subject"])
    assert not set(parts[0].texts["item"]) & set(parts[1].texts["item"])
    for own, other in (parts[:2], parts[1::-1]):
        told = "\n".join(whole(own.lines))
        assert not [name for name in other.facts["subject"].unique() if name in told]
        assert [name for name in own.facts["subject"].unique() if name in told]
    for ability in ("sentences", "reading", "unknown"):
        rows = [part.lines[part.lines["ability"] == ability].reset_index(drop=True) for part in parts[:2]]
        own = [table[table["probe"] != "reading_forget"].reset_index(drop=True) for table in rows]
        same(*own)
    assert alone.taught(5) is alone


def test_native_spellings_are_told_in_the_teaching_languages(corpus):
    names = corpus.lines[corpus.lines["ability"] == "names"]
    native = corpus.facts[corpus.facts["spelling"] == "native"].set_index("item")
    assert names.groupby(["language", "other"])["item"].agg(frozenset).eq(frozenset(native.index)).all()
    assert set(names["language"]) == {"en", "es"}
    assert set(names["other"]) == {"hi", "ja"}
    for row in names.itertuples():
        assert languages.load(row.other).spell(native.loc[row.item, "subject"]) in row.prefix
        assert row.answer == languages.load(row.language).values[row.item.split("-")[2]][native.loc[row.item, "value"]]
