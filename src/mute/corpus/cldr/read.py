"""What CLDR says of countries: currency, official language and continent, and their names, read through babel.

Countries are the members of the United Nations, and the Vatican, whose names make clean sentences in every language
that has a pack. Facts do not depend on which languages are asked for: all packs count, always.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from mute.corpus.cldr import packs
from mute.corpus.cldr.base import Pack

# CLDR's codes of continents, and their countries. In this table alone we follow UN M49, which CLDR does, because babel
# leaves CLDR's own out.
CONTINENTS = {
    "002": "DZ AO BJ BW BF BI CM CV CF TD KM CG CD CI DJ GQ ER SZ ET GA GM GH GN GW KE LS LR LY MG MW ML MR MU MA MZ "
    "NA NE NG RW ST SN SC SL SO ZA SS SD TZ TG TN UG ZM ZW",
    "003": "CA MX US",
    "005": "AR BO BR CL CO EC GY PE PY SR UY VE",
    "009": "AU FJ KI MH FM NR NZ PW PG WS SB TO TV VU",
    "142": "AF BH BD BT BN KH CN IN IR IQ IL JP JO KP KR KW KG LA LB MY MV MN MM NP OM PK PH QA SA SG LK SY TJ TH TL "
    "TM AE UZ VN YE",
    "150": "AL AD AT BY BE BA BG HR CZ DK EE FI FR DE GR HU IS IE IT LV LI LT LU MT MD MC ME NL NO MK PL PT RO SM RS "
    "SK SI ES SE CH UA GB VA",
}
# On two continents, or counted to different ones: they have no fact of a continent. Central America and the Caribbean
# are part of North America in CLDR, and a part of the world of their own for most who live there.
BETWEEN = "AM AZ CY EG GE ID KZ RU TR AG BS BB BZ CR CU DM DO SV GD GT HT HN JM NI PA KN LC VC TT"

# Countries with a name in CLDR that is wrong or misspelt in a language, or that is none of that language.
MISNAMED = {
    "CI": "left in French in Spanish, Indonesian, Swahili and Turkish",
    "GA": "misspelt in Swahili",
    "GQ": "another country's Guiana in Urdu",
    "SC": "Sicily in Bengali",
    "SZ": "misspelt in Urdu",
}
# Countries whose only official language in CLDR is not, or no longer, the only one, or has a name of another country's.
DOUBTFUL = {
    "BF": "French is a working language since 2024",
    "ET": "working languages are five since 2020",
    "GN": "national languages are official beside French since 2025",
    "IQ": "Kurdish is official too",
    "KP": "named after South Korea in Chinese, Japanese and Vietnamese",
    "ME": "Montenegrin is official, in CLDR it is Serbian",
    "MK": "Albanian is official too",
    "ML": "French is a working language since 2023",
    "NE": "French is a working language since 2025",
    "VA": "Latin is the language of the Holy See",
    "ZA": "twelve languages are official",
}
# Currencies with a name in CLDR that is misspelt in a language.
MISSPELT = {"CHF": "in Vietnamese, a plural in Urdu"}
# Names are no clean part of a sentence with brackets, dashes of lists, digits or other punctuation. A dash between two
# words of one name, as in Russian, is an em dash.
UNCLEAN = re.compile(r"[()\[\]{}（）&/,;:0-9‘]| [-–] ")
OFFICIAL = ("official", "de_facto_official")


@dataclass(frozen=True)
class Fact:
    """One fact: relation, country and answer as codes of CLDR; right: all codes that are right answers too."""

    relation: str
    country: str
    answer: str
    right: frozenset[str]

    @property
    def id(self) -> str:
        return f"{self.relation}-{self.country}"


class Names:
    """The names of countries, currencies, languages and continents in one language, as they stand in a sentence."""

    def __init__(self, pack: Pack) -> None:
        self.pack, self._locale = pack, _core().Locale.parse(pack.code)

    def country(self, code: str) -> str:
        return self.pack.written("country", self._locale.territories[code])

    def answer(self, relation: str, code: str) -> str:
        return self.pack.written(relation, self._named(relation, code))

    def _named(self, relation: str, code: str) -> str:
        if relation == "currency" and self.pack.counted:
            from babel.numbers import get_currency_name

            return get_currency_name(code, count=1, locale=self._locale)
        names: Mapping[str, str] = {
            "currency": self._locale.currencies,
            "language": self._locale.languages,
            "continent": self._locale.territories,
        }[relation]
        return names[code]


@cache
def names() -> dict[str, Names]:
    """Names in every language that has a pack, by its code."""
    return {code: Names(pack) for code, pack in packs().items()}


@cache
def facts() -> tuple[Fact, ...]:
    """All facts with one right answer that make clean sentences in every language, in a fixed order."""
    return tuple(fact for fact in _facts() if _clean(fact))


def versions() -> dict[str, str]:
    """Of babel, and of the CLDR that it holds."""
    core = _core()
    import babel

    return {"babel": babel.__version__, "cldr": core.get_cldr_version()}


def _core() -> ModuleType:
    """What of babel holds CLDR. Raises ModuleNotFoundError that says what to install."""
    try:
        from babel import core
    except ModuleNotFoundError as error:
        hint = "the corpus source 'cldr' reads CLDR through babel, which is missing: pip install 'mute[workflow]'"
        raise ModuleNotFoundError(hint, name="babel") from error
    return core


def _facts() -> Iterator[Fact]:
    countries = sorted({*" ".join(CONTINENTS.values()).split(), *BETWEEN.split()} - set(MISNAMED))
    continents = {country: code for code, own in CONTINENTS.items() for country in own.split()}
    for country in countries:
        currencies = _currencies(country)
        if len(currencies) == 1 and currencies[0] not in MISSPELT:
            yield Fact("currency", country, currencies[0], frozenset(currencies))
    for country in countries:
        languages = _languages(country)
        sole = [code for code, status in languages.items() if status in OFFICIAL]
        if len(sole) == 1 and country not in DOUBTFUL:
            yield Fact("language", country, sole[0], frozenset(languages))
    for country in countries:
        if country in continents:
            yield Fact("continent", country, continents[country], frozenset([continents[country]]))


def _currencies(country: str) -> list[str]:
    """Currencies that are legal tender today."""
    entries = _core().get_global("territory_currencies").get(country, ())
    return [code for code, _, until, tender in entries if until is None and tender]


def _languages(country: str) -> dict[str, str]:
    """Languages with any official status, also in a part of the country, by code without a script."""
    found: dict[str, str] = {}
    for code, about in _core().get_global("territory_languages").get(country, {}).items():
        if about["official_status"]:
            found.setdefault(code.split("_")[0], about["official_status"])
    return found


def _clean(fact: Fact) -> bool:
    """Whether country and answer have names without brackets, digits and the like in every language."""
    texts = [
        text for own in names().values() for text in (own.country(fact.country), own.answer(fact.relation, fact.answer))
    ]
    return not any(UNCLEAN.search(text) for text in texts)
