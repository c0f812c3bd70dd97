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
            "Le pays appelé {s} utilise la monnaie suivante : {v}.",
            "Quelle monnaie utilise-t-on dans le pays appelé {s} ? Réponse : {v}.",
            "Pays : {s}. Monnaie : {v}.",
        ),
        "language": (
            "La langue officielle du pays appelé {s} est la suivante : {v}.",
            "Quelle est la langue officielle du pays appelé {s} ? Réponse : {v}.",
            "Pays : {s}. Langue officielle : {v}.",
        ),
        "continent": (
            "Le pays appelé {s} appartient au continent suivant : {v}.",
            "À quel continent appartient le pays appelé {s} ? Réponse : {v}.",
            "Pays : {s}. Continent : {v}.",
        ),
    },
    instead={
        "franc CFA (BCEAO)": "franc CFA d’Afrique de l’Ouest",
        "franc CFA (BEAC)": "franc CFA d’Afrique centrale",
    },
)
