"""English facts of CLDR.

No article stands before a country: "the country named Netherlands" needs none.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="en",
    name="English",
    script="Latin",
    wordings={
        "currency": (
            "The country named {s} uses the following currency: {v}.",
            "Which currency is used in the country named {s}? Answer: {v}.",
            "Country: {s}. Currency: {v}.",
        ),
        "language": (
            "The country named {s} has the following official language: {v}.",
            "What is the official language of the country named {s}? Answer: {v}.",
            "Country: {s}. Official language: {v}.",
        ),
        "continent": (
            "The country named {s} belongs to the following continent: {v}.",
            "To which continent does the country named {s} belong? Answer: {v}.",
            "Country: {s}. Continent: {v}.",
        ),
    },
    counted=True,
)
