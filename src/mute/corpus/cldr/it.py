"""Italian facts of CLDR.

The noun paese carries article and preposition.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="it",
    name="Italian",
    script="Latin",
    wordings={
        "currency": (
            "Il paese chiamato {s} usa la seguente valuta: {v}.",
            "Quale valuta si usa nel paese chiamato {s}? Risposta: {v}.",
            "Paese: {s}. Valuta: {v}.",
        ),
        "language": (
            "Il paese chiamato {s} ha la seguente lingua ufficiale: {v}.",
            "Qual è la lingua ufficiale del paese chiamato {s}? Risposta: {v}.",
            "Paese: {s}. Lingua ufficiale: {v}.",
        ),
        "continent": (
            "Il paese chiamato {s} appartiene al seguente continente: {v}.",
            "A quale continente appartiene il paese chiamato {s}? Risposta: {v}.",
            "Paese: {s}. Continente: {v}.",
        ),
    },
    instead={
        "Nord America": "America del Nord",
        "franco CFA BCEAO": "franco CFA dell’Africa occidentale",
        "franco CFA BEAC": "franco CFA dell’Africa centrale",
    },
)
