"""Swahili facts of CLDR.

Agreement is with nchi, lugha, sarafu and bara, never with a name or a value.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="sw",
    name="Swahili",
    script="Latin",
    wordings={
        "currency": (
            "Nchi inayoitwa {s} hutumia sarafu ifuatayo: {v}.",
            "Nchi inayoitwa {s} hutumia sarafu gani? Jibu: {v}.",
            "Nchi: {s}. Sarafu: {v}.",
        ),
        "language": (
            "Lugha rasmi ya nchi inayoitwa {s} ni hii: {v}.",
            "Lugha rasmi ya nchi inayoitwa {s} ni ipi? Jibu: {v}.",
            "Nchi: {s}. Lugha rasmi: {v}.",
        ),
        "continent": (
            "Nchi inayoitwa {s} iko katika bara lifuatalo: {v}.",
            "Nchi inayoitwa {s} iko katika bara gani? Jibu: {v}.",
            "Nchi: {s}. Bara: {v}.",
        ),
    },
    lower=("currency",),
    prefixes=("ki", "u"),
    instead={
        "Faranga ya Afrika ya Kati CFA": "faranga ya CFA ya Afrika ya Kati",
        "Faranga ya Afrika Magharibi CFA": "faranga ya CFA ya Afrika Magharibi",
        "Shekeli Mpya ya Israel": "shekeli mpya ya Israel",
    },
)
