"""English facts of CLDR.

Countries that have an article are written with it, for nobody says "the country named Netherlands"; none begins a
sentence, where the article would need a capital, and no verb has to know whether the Maldives are many.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="en",
    name="English",
    script="Latin",
    wordings={
        "currency": (
            "The currency used in {s} is the following: {v}.",
            "Which currency is used in {s}? Answer: {v}.",
            "Country: {s}. Currency: {v}.",
        ),
        "language": (
            "The official language of {s} is the following: {v}.",
            "What is the official language of {s}? Answer: {v}.",
            "Country: {s}. Official language: {v}.",
        ),
        "continent": (
            "The following continent is home to {s}: {v}.",
            "Which continent is home to {s}? Answer: {v}.",
            "Country: {s}. Continent: {v}.",
        ),
    },
    counted=True,
    instead={
        "Bahamas": "the Bahamas",
        "Central African Republic": "the Central African Republic",
        "Comoros": "the Comoros",
        "Dominican Republic": "the Dominican Republic",
        "Gambia": "the Gambia",
        "Maldives": "the Maldives",
        "Marshall Islands": "the Marshall Islands",
        "Netherlands": "the Netherlands",
        "Philippines": "the Philippines",
        "Solomon Islands": "the Solomon Islands",
        "United Arab Emirates": "the United Arab Emirates",
        "United Kingdom": "the United Kingdom",
        "United States": "the United States",
    },
)
