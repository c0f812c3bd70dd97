"""How near languages are: of pairs, and of each held-out language to the source languages of unlearning."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from mute.bands import Languages
from mute.corpus import kin, scripts
from mute.corpus import languages as packs
from mute.corpus.schema import Corpus
from mute.models.tokenizer import Encoder

COLUMNS = ["language", "other", "overlap", "same_script", "same_family"]
PROPERTIES = ["sources", "forget_set", "language", "script", "family", "branch"]
PROPERTIES += ["same_script", "same_family", "same_branch", "answer_overlap", "prompt_overlap"]
# What a script must have of the letters of a source language to be one that it is written in: names in other letters
# stand in every text.
WRITTEN = 0.25


def pairs(corpus: Corpus, encoder: Encoder, languages: Sequence[str]) -> pd.DataFrame:
    """One row per unordered pair of languages.

    overlap: shared mass of the two distributions of tokens over the texts of all facts, 0 to 1. same_script,
    same_family: 1 or 0. Scripts are those of the packs, or of the texts of a language without one; same_family is
    missing for a language of which nobody says a family.
    """
    used = {code: _tokens(corpus, encoder, code) for code in languages}
    written = {code: _script(corpus, code) for code in languages}
    family = {code: kin.kin(code)[0] for code in languages}
    rows = []
    for one, other in itertools.combinations(languages, 2):
        same = (_same(known[one], [known[other]]) for known in (written, family))
        rows.append((one, other, shared(used[one], used[other]), *same))
    return pd.DataFrame(rows, columns=COLUMNS)


def shared(one: Counter, other: Counter) -> float:
    """The sum over tokens of the smaller of their two shares: 1 for equal distributions, 0 for disjoint ones."""
    sums = one.total(), other.total()
    return sum(min(one[token] / sums[0], other[token] / sums[1]) for token in one.keys() & other.keys())


def properties(
    corpus: Corpus, encoder: Encoder, languages: Sequence[str], settings: Iterable[tuple[Sequence[str], str]]
) -> pd.DataFrame:
    """One row per setting of unlearning (source languages and forget set) and language, in the order of `languages`.

    All is of the facts to be forgotten. script: that of most letters, by their names in Unicode. same_script: 1 if more
    than half of its letters are of scripts that a source language is written in (WRITTEN). same_family, same_branch:
    those of a source language. answer_overlap, prompt_overlap: share, 0 to 1, of the tokens of its answers, and of its
    prompts, in the forms that are scored, that stand somewhere in the texts that unlearning reads: those of the source
    languages in its own forms. What compares with sources is missing of these themselves.
    """
    rows = []
    for sources, forget_set in settings:
        own = corpus.texts[corpus.texts["item"].isin(corpus.facts.loc[corpus.in_forget_set(forget_set), "item"])]
        by_language = {code: own[own["language"] == code] for code in dict.fromkeys((*languages, *sources))}
        read = corpus.about["unlearning_forms"]
        seen = {
            token
            for code in sources
            for token in _tokens_of(encoder, by_language[code][by_language[code]["form"].isin(read)])
        }
        counted = {code: _letters(rows_of) for code, rows_of in by_language.items()}
        scripts_read = {
            script
            for code in sources
            for script, count in counted[code].items()
            if count >= WRITTEN * counted[code].total()
        }
        kinds = list(zip(*(kin.kin(code) for code in sources), strict=True)) or [(), ()]
        for code in languages:
            known = (forget_set, code, scripts.main(counted[code]), *kin.kin(code))
            compared = [None] * 5
            if code not in sources:
                family, branch = kin.kin(code)
                asked = by_language[code][by_language[code]["form"].isin(_scored(corpus))]
                compared = [
                    _written_alike(counted[code], scripts_read),
                    _same(family, kinds[0]),
                    _same(branch, kinds[1]),
                    *(_seen_share(part, seen) for part in _parts(encoder, asked)),
                ]
            rows.append((str(Languages.of(sources)), *known, *compared))
    return pd.DataFrame(rows, columns=PROPERTIES)


def _scored(corpus: Corpus) -> list[int]:
    return corpus.about.get("scored_forms", [corpus.about["headline_form"]])


def _same(one: str, others: Iterable[str]) -> int | None:
    """1 if it is one of the others, 0 if it is none; None where that is not known."""
    known = list(others)
    if not one or (one not in known and not all(known)):
        return None
    return int(one in known)


def _script(corpus: Corpus, code: str) -> str:
    """The script of a language: its pack's, or that of most letters of its texts."""
    if code in packs.codes():
        return packs.load(code).script
    return scripts.main(_letters(corpus.texts[corpus.texts["language"] == code]))


def _letters(rows: pd.DataFrame) -> Counter[str]:
    """The scripts of the letters of texts."""
    return scripts.letters("".join(rows["prefix"]) + "".join(rows["answer"]))


def _written_alike(found: Counter[str], read: set[str]) -> int | None:
    """1 if more than half of the letters are of scripts in `read`, 0 if not; None without letters."""
    total = found.total()
    return int(2 * sum(found[script] for script in read) > total) if total else None


def _seen_share(tokens: Counter, seen: set) -> float | None:
    """The share of tokens that are in `seen`; None where there are none."""
    total = tokens.total()
    return sum(count for token, count in tokens.items() if token in seen) / total if total else None


def _tokens(corpus: Corpus, encoder: Encoder, code: str) -> Counter:
    answers, prompts = _parts(encoder, corpus.texts[corpus.texts["language"] == code])
    return prompts + answers


def _tokens_of(encoder: Encoder, rows: pd.DataFrame) -> Counter:
    """Tokens of whole texts: prompt, answer, and what follows."""
    found: Counter = Counter()
    for part in _parts(encoder, rows):
        found.update(part)
    for suffix in rows["suffix"]:
        found.update(encoder.after(suffix))
    return found


def _parts(encoder: Encoder, rows: pd.DataFrame) -> tuple[Counter, Counter]:
    """Tokens of the answers, and of the prompts, of texts."""
    answers: Counter = Counter()
    prompts: Counter = Counter()
    for prefix, answer in zip(rows["prefix"], rows["answer"]):
        prompts.update(encoder.plain(prefix.rstrip(" ")))
        answers.update(encoder.answer(prefix, answer))
    return answers, prompts
