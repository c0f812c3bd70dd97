"""French facts of CLDR.

The noun pays carries the article, and nothing is elided before a name.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="fr",
    name="French",
    script="Latin",
    wordings={
        "currency": (
            "Le pays nommé {s} utilise la monnaie suivante : {v}.",
            "Quelle monnaie utilise-t-on dans le pays nommé {s} ? Réponse : {v}.",
            "Pays : {s}. Monnaie : {v}.",
        ),
        "language": (
            "Le pays nommé {s} a la langue officielle suivante : {v}.",
            "Quelle est la langue officielle du pays nommé {s} ? Réponse : {v}.",
            "Pays : {s}. Langue officielle : {v}.",
        ),
        "continent": (
            "Le pays nommé {s} appartient au continent suivant : {v}.",
            "À quel continent appartient le pays nommé {s} ? Réponse : {v}.",
            "Pays : {s}. Continent : {v}.",
        ),
    },
    instead={
        "franc CFA (BCEAO)": "franc CFA d’Afrique de l’Ouest",
        "franc CFA (BEAC)": "franc CFA d’Afrique centrale",
    },
)
