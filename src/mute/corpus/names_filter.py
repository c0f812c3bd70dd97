"""Which invented names will do: none that is a word or a well-known name, and none that says something coarse.

Names are drawn before any language is chosen, so they must do in all. A native spelling is that of a name's syllables:
what a name must not say in Arabic or Korean letters stands here in the syllables that spell it, and the packs are not
asked. `tests/corpus/test_names_filter.py` holds the native spellings, and every pack, against this list.
"""

import re

# Whole names that are words, names of persons or places, in one language or more.
_WORDS = """
banana bazuka bikini datura dinara farina fatima futaba kabina kabuki kamisa kanada karina karisa karuna katana kimura
kumari manama manana marati marina marisa mariza matata matura minuta musika natura natasa rafiki ramadi rimini rutina
sabina safari safina sakura samaki samara samira sarina sarita satira sudani sunita susana sutura suzuki tabata tamara
tanaka tatami tirana zamani zarina
"""
WORDS = frozenset(_WORDS.split())

# What no name may contain, by the languages in which it is heard. Syllables end in a vowel, so that "nik" is part of
# every name with "nika", "niki" or "niku".
PARTS: dict[str, tuple[str, ...]] = {
    "most": ("nazi", "fuk", "fik", "dik", "kaka", "zizi", "titi", "sadi", "satan"),
    "ar": ("nik", "naka", "naki", "zani", "zana", "zina", "zibi", "kus", "tizi", "kafir", "fasad"),
    "de": ("kanak", "musi"),
    "en": ("anus", "isis", "sadam"),
    "es": ("marik", "tarad", "mamad", "basur", "sida", "fasis"),
    "fa": ("kir", "kuni"),
    "fr": ("bita", "batar", "minab"),
    "hi": ("mut", "kamin", "kuti", "kuta", "madar"),
    "id": ("babi", "titit"),
    "it": ("kazi",),
    "ja": ("baka", "busu", "kuzu", "kasu", "buta", "sina", "mara", "futana"),
    "ko": ("zazi", "siba", "nimi"),
    "pt": ("safad", "rabud", "fud"),
    "ro": ("futu", "futa"),
    "ru": ("suka", "mudak"),
    "sv": ("fita", "kuka"),
    "sw": ("kuma", "fira"),
    "tr": ("sik", "amina"),
    "zh": ("nima", "kiba", "siba"),
}
_PART = re.compile("|".join(sorted({part for parts in PARTS.values() for part in parts})))


def fit(name: str) -> bool:
    """Whether an invented name, in Latin letters, will do in all languages."""
    low = name.lower()
    return low not in WORDS and not _PART.search(low)
