"""Indonesian facts of CLDR.

A language is written with bahasa before it; currencies lose the capital of a list.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="id",
    name="Indonesian",
    script="Latin",
    wordings={
        "currency": (
            "{s} menggunakan mata uang berikut: {v}.",
            "Mata uang apa yang digunakan di {s}? Jawaban: {v}.",
            "Negara: {s}. Mata uang: {v}.",
        ),
        "language": (
            "Bahasa resmi {s} adalah sebagai berikut: bahasa {v}.",
            "Apa bahasa resmi {s}? Jawaban: bahasa {v}.",
            "Negara: {s}. Bahasa resmi: bahasa {v}.",
        ),
        "continent": (
            "{s} termasuk dalam benua berikut: {v}.",
            "{s} termasuk dalam benua apa? Jawaban: {v}.",
            "Negara: {s}. Benua: {v}.",
        ),
    },
    lower=("currency",),
    instead={
        "Dansk": "Denmark",
        "Polski": "Polandia",
        "Shekel Baru Israel": "shekel baru Israel",
    },
)
