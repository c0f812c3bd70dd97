"""Turkish facts of CLDR.

Adlı ülke takes every suffix; currencies are written as counted, with a small noun.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="tr",
    name="Turkish",
    script="Latin",
    wordings={
        "currency": (
            "{s} adlı ülkenin para birimi şudur: {v}.",
            "{s} adlı ülkede hangi para birimi kullanılır? Cevap: {v}.",
            "Ülke: {s}. Para birimi: {v}.",
        ),
        "language": (
            "{s} adlı ülkenin resmî dili şudur: {v}.",
            "{s} adlı ülkenin resmî dili nedir? Cevap: {v}.",
            "Ülke: {s}. Resmî dil: {v}.",
        ),
        "continent": (
            "{s} adlı ülke şu kıtada yer alır: {v}.",
            "{s} adlı ülke hangi kıtada yer alır? Cevap: {v}.",
            "Ülke: {s}. Kıta: {v}.",
        ),
    },
    counted=True,
    instead={
        "Euro": "euro",
    },
)
