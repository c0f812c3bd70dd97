"""Kinship of languages: the family and the branch of each, from its pack or, without one, from a table."""

from mute.corpus import languages
from mute.corpus.romanised import base

# By ISO 639-1 code; families and branches as packs name them. Of a language with a pack the pack is asked.
_KIN = {
    "Afro-Asiatic": {"Semitic": "am he mt", "Cushitic": "om so", "Chadic": "ha"},
    "Atlantic-Congo": {"Bantu": "sw xh zu rw sn ny", "Volta-Niger": "ig yo"},
    "Austroasiatic": {"Vietic": "vi", "Khmeric": "km"},
    "Austronesian": {"Malayo-Polynesian": "ceb jv mg ms su tl"},
    "Basque": {"Basque": "eu"},
    "Dravidian": {"South Dravidian": "kn ml ta", "South-Central Dravidian": "te"},
    "Indo-European": {
        "Albanian": "sq",
        "Armenian": "hy",
        "Baltic": "lt lv",
        "Celtic": "br cy ga gd",
        "Germanic": "af da fy is lb nl nb nn no sv yi",
        "Greek": "el",
        "Indo-Aryan": "as bn gu mr ne or pa sa sd si",
        "Iranian": "ckb fa ku ps tg",
        "Romance": "ca gl oc ro",
        "Slavic": "be bg bs cs hr mk pl ru sk sl sr uk",
    },
    "Kartvelian": {"Georgian": "ka"},
    "Kra-Dai": {"Tai": "lo th"},
    "Mongolic": {"Mongolian": "mn"},
    "Sino-Tibetan": {"Tibeto-Burman": "bo my"},
    "Turkic": {"Kipchak": "kk ky tt", "Karluk": "ug uz", "Oghuz": "az tk"},
    "Uralic": {"Finnic": "et fi", "Ugric": "hu"},
}
_KNOWN = {
    code: (family, branch) for family, own in _KIN.items() for branch, codes in own.items() for code in codes.split()
}


def kin(code: str) -> tuple[str, str]:
    """Family and branch of a language; two empty texts where nobody says. `hi_latn` is as near to others as `hi`."""
    code = base(code)
    if code in languages.codes():
        pack = languages.load(code)
        return pack.family, pack.branch
    return _KNOWN.get(code, ("", ""))
