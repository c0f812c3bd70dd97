"""Invented names that say something coarse or real are refused, by every spelling that they have."""

import itertools

import pytest

from mute.corpus import languages, names_filter
from mute.corpus.languages.base import SYLLABLES
from mute.corpus.sources import world

NAMES = ["".join(syllables) for syllables in itertools.product(SYLLABLES, repeat=3)]
FIT = [name for name in NAMES if names_filter.fit(name)]
# What no name may say in the letters of a pack, as one who reads it would write it.
NATIVE = {
    "ar": ("نيك", "ناكا", "ناكي", "زاني", "زانا", "زينا", "زيبي", "كوس", "نازي", "سادي", "كافير", "تيزي"),
    "hi": ("मूत", "नाज़ी", "कूता", "कूती", "मादार", "कामीन"),
    "ja": ("バカ", "ブス", "ブタ", "クズ", "カス", "シナ", "マラ", "ナジ", "フタナ"),
    "ko": ("자지", "시바", "니미", "나지", "바카"),
    "ur": ("نازی", "کوتا", "کوتی", "مادار", "کامین", "زانی", "زانا", "موت"),
    "zh": ("尼马", "基巴", "西巴", "纳齐"),
}


@pytest.mark.parametrize("name", ["Nazida", "Rufuki", "Banana", "Zazimu", "Nikatu", "Bakari", "Tamara"])
def test_what_got_through_once_is_refused(name):
    assert not names_filter.fit(name)
    assert not names_filter.fit(name.lower())


@pytest.mark.parametrize("name", ["Kasitu", "Bababa", "Tufana", "Zizasa"])
def test_other_names_do(name):
    assert names_filter.fit(name)


def test_only_packs_with_letters_of_their_own_have_native_spellings():
    assert set(NATIVE) == {code for code in languages.codes() if languages.load(code).syllables}


@pytest.mark.parametrize("code", NATIVE)
def test_no_name_says_it_in_the_letters_of_a_pack(code):
    pack = languages.load(code)
    spelled = [pack.spell(name) for name in FIT]
    for coarse in NATIVE[code]:
        assert not [name for name in spelled if coarse in name], coarse
        assert any(coarse in pack.spell(name) for name in NAMES), f"{coarse} is in no name at all"


def test_no_part_is_idle():
    """Syllables may end as others begin, but what no name can contain refuses nothing."""
    for part in itertools.chain(*names_filter.PARTS.values()):
        assert any(part in name for name in NAMES), part
    assert set(NAMES) >= names_filter.WORDS


def test_names_suffice_for_the_largest_world():
    """A world takes three quarters of all names at most: so many are left, and some to spare, or drawing takes long."""
    assert len(FIT) > 1.1 * len(NAMES) * 3 / 4


def test_a_world_draws_only_such():
    drawn = world.World(world.Settings(), 1).fresh("a test", 3000)
    assert set(map(str.lower, drawn)) <= set(FIT)
