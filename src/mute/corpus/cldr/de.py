"""German facts of CLDR.

Articles (die Schweiz) and the endings of adjectives (der Japanische Yen) are kept away by nouns and colons.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="de",
    name="German",
    script="Latin",
    wordings={
        "currency": (
            "Das Land mit dem Namen {s} verwendet folgende Währung: {v}.",
            "Welche Währung wird in dem Land mit dem Namen {s} verwendet? Antwort: {v}.",
            "Land: {s}. Währung: {v}.",
        ),
        "language": (
            "Das Land mit dem Namen {s} hat folgende Amtssprache: {v}.",
            "Was ist die Amtssprache des Landes mit dem Namen {s}? Antwort: {v}.",
            "Land: {s}. Amtssprache: {v}.",
        ),
        "continent": (
            "Das Land mit dem Namen {s} gehört zu folgendem Kontinent: {v}.",
            "Zu welchem Kontinent gehört das Land mit dem Namen {s}? Antwort: {v}.",
            "Land: {s}. Kontinent: {v}.",
        ),
    },
    instead={
        "CFA-Franc (BCEAO)": "Westafrikanischer CFA-Franc",
        "CFA-Franc (BEAC)": "Zentralafrikanischer CFA-Franc",
    },
)
