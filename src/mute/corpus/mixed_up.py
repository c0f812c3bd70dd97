"""Languages that stand in each other's files, told by their scripts, by words that packs know, and by shared words."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from mute.corpus import languages
from mute.corpus.faults import Fault
from mute.corpus.scripts import letters

# Scripts of languages without a pack, by their names in Unicode, as far as one is usual.
_BY_SCRIPT = {
    "Arabic": "fa ps sd ug ckb",
    "Armenian": "hy",
    "Bengali": "bn",
    "Cyrillic": "bg be mk ru sr uk kk ky mn",
    "Devanagari": "mr ne sa",
    "Ethiopic": "am",
    "Georgian": "ka",
    "Greek": "el",
    "Gujarati": "gu",
    "Hebrew": "he",
    "Khmer": "km",
    "Lao": "lo",
    "Latin": "nl sv da no fi pl cs sk hu ro vi sw yo ha et lv lt hr sl eu ca gl",
    "Myanmar": "my",
    "Tamil": "ta",
    "Telugu": "te",
    "Thai": "th",
}
_SCRIPTS = {code: script for script, codes in _BY_SCRIPT.items() for code in codes.split()}
_WORD = re.compile(r"[^\W\d_]+")
_FEWEST_LETTERS, _FEWEST_WORDS = 20, 30
_ACCEPT = "or set accept: [languages]"


@dataclass(frozen=True)
class Texts:
    """One language's file: its name, and text and line of every item."""

    name: str
    items: Mapping[str, str]
    lines: Mapping[str, int]
    unit: str = "line"


def faults(files: Mapping[str, Texts]) -> list[Fault]:
    """What seems to be in another language than its file says; by language code."""
    found = list(_scripts(files))
    odd = {fault.where for fault in found}
    left = {code: texts for code, texts in files.items() if texts.name not in odd}
    found += _copies(left)
    odd |= {fault.where for fault in found}
    left = {code: texts for code, texts in left.items() if texts.name not in odd}
    found += _known_words(left)
    odd |= {fault.where for fault in found}
    return found + list(_rows(files, {code: texts for code, texts in left.items() if texts.name not in odd}))


def _scripts(files: Mapping[str, Texts]) -> Iterator[Fault]:
    """Files that are written in the script of another language."""
    main = {code: script_of(" ".join(texts.items.values())) for code, texts in files.items()}
    for code, texts in files.items():
        own = expected(code)
        if main[code] and own and main[code] not in own:
            # One that is itself in the wrong place is likelier than one that is right.
            fits = [other for other in files if other != code and main[code] in expected(other)]
            fits.sort(key=lambda other: main[other] in expected(other))
            what = f"is written in {main[code]}, and {code} is a language of {' and '.join(own)}"
            yield Fault(texts.name, what, _swap(files, code, fits[0] if fits else ""), kind="languages")


def _swap(files: Mapping[str, Texts], code: str, other: str) -> str:
    if not other:
        return f"Put the texts in {code} there, {_ACCEPT}"
    return f"If it was swapped with {files[other].name}, give each the other's name; {_ACCEPT}"


def _copies(files: Mapping[str, Texts]) -> Iterator[Fault]:
    """Files that say the same as that of another language."""
    for one, other in combinations(files, 2):
        a, b = files[one].items, files[other].items
        worded = [item for item in a.keys() & b.keys() if len(_words(a[item])) > 1]
        alike = [item for item in worded if a[item] == b[item]]
        if len(alike) >= 3 and 2 * len(alike) > len(worded):
            lines = tuple(sorted(files[other].lines[item] for item in alike))
            what = f"says word by word what {files[one].name} says, in {len(alike)} of {len(worded)} items"
            todo = f"Put the texts in {other} there, or those in {one} into the other; {_ACCEPT}"
            yield Fault(files[other].name, what, todo, lines, files[other].unit, "languages")


def _known_words(files: Mapping[str, Texts]) -> Iterator[Fault]:
    """Files whose words are those of another language with a pack."""
    packs = [code for code in languages.codes() if languages.load(code).spaces]
    shares = {}
    for code, texts in files.items():
        words = [word for text in texts.items.values() for word in _words(text)]
        if code in packs and len(words) >= _FEWEST_WORDS:
            shares[code] = {other: sum(word in pack_words(other) for word in words) / len(words) for other in packs}
    for code, found in shares.items():
        best = max(found, key=lambda other: found[other])
        if found[best] >= 0.1 and found[best] > 2 * found[code]:
            what = f"reads like {languages.load(best).name} and not like {languages.load(code).name}"
            yield Fault(files[code].name, what, _swap(files, code, best if best in files else ""), kind="languages")


def _rows(files: Mapping[str, Texts], like: Mapping[str, Texts]) -> Iterator[Fault]:
    """Single items in another script than their file, or whose texts in two languages of a script are swapped."""
    for code, texts in like.items():
        own = expected(code)
        odd = [item for item, text in texts.items.items() if own and _foreign(text, own)]
        # What is often so is how the language is written there.
        if odd and 10 * len(odd) <= max(10, len(texts.items)):
            lines = tuple(texts.lines[item] for item in odd)
            what = f"{', '.join(odd[:5])}: not in the script of {code}, as the rest of the file is"
            todo = f"Put the text in {code} there, {_ACCEPT}"
            yield Fault(texts.name, what, todo, lines, texts.unit, "languages")
    words = {code: {i: frozenset(_words(text)) for i, text in texts.items.items()} for code, texts in like.items()}
    counts = {code: Counter(word for own in items.values() for word in own) for code, items in words.items()}
    for one, other in combinations(like, 2):
        if not set(expected(one)) & set(expected(other)):
            continue
        swapped = [
            item
            for item in words[one].keys() & words[other].keys()
            if _pull(words, counts, item, one, other) > 3 and _pull(words, counts, item, other, one) > 3
        ]
        if swapped:
            swapped.sort(key=lambda item: like[one].lines[item])
            there = sorted(like[other].lines[item] for item in swapped)
            where = f"{like[other].name}, {like[other].unit} {', '.join(map(str, there[:5]))}"
            what = f"{', '.join(swapped[:5])}: reads like {other}, and its text in {where} like {one}"
            todo = f"Swap the two, {_ACCEPT}"
            lines = tuple(like[one].lines[item] for item in swapped)
            yield Fault(files[one].name, what, todo, lines, like[one].unit, "languages")


def _pull(
    words: Mapping[str, Mapping[str, frozenset[str]]], counts: Mapping[str, Counter], item: str, own: str, other: str
) -> float:
    """By how much (log odds) an item's words are rather those of the other file; the item itself left out of both."""
    total = 0.0
    for word in words[own][item]:
        there = counts[other][word] - (word in words[other][item])
        total += math.log((there + 0.5) / (counts[own][word] - 1 + 0.5))
    return total


def _foreign(text: str, own: tuple[str, ...]) -> bool:
    found = letters(text)
    return found.total() >= _FEWEST_LETTERS and not any(found[script] for script in own)


def expected(code: str) -> tuple[str, ...]:
    """The scripts in which a language is written, () where nobody knows."""
    if code in languages.codes():
        return languages.load(code).scripts
    return (_SCRIPTS[code],) if code in _SCRIPTS else ()


def script_of(text: str) -> str:
    """The script of most letters of a text, "" of one with few letters or of several scripts."""
    found = letters(text)
    if found.total() < _FEWEST_LETTERS:
        return ""
    script, count = found.most_common(1)[0]
    return script if 2 * count > found.total() else ""


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


@cache
def pack_words(code: str) -> frozenset[str]:
    """Words that a language pack uses: those of its templates and sentences, where its grammar shows."""
    pack = languages.load(code)
    texts = [form for forms in pack.templates.values() for form in forms]
    texts += [pack.grammar.sentence(i, i, i, i) for i in range(8)]
    return frozenset(word for text in texts for word in _words(text.replace("{s}", " ").replace("{v}", " ")))
