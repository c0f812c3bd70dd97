"""Persian facts of CLDR.

A country ends its phrase, so that no ezafe follows it.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="fa",
    name="Persian",
    script="Arabic",
    wordings={
        "currency": (
            "واحد پول {s} این است: {v}.",
            "واحد پول {s} چیست؟ پاسخ: {v}.",
            "کشور: {s}. واحد پول: {v}.",
        ),
        "language": (
            "زبان رسمی {s} این است: {v}.",
            "زبان رسمی {s} چیست؟ پاسخ: {v}.",
            "کشور: {s}. زبان رسمی: {v}.",
        ),
        "continent": (
            "{s} در این قاره قرار دارد: {v}.",
            "{s} در کدام قاره قرار دارد؟ پاسخ: {v}.",
            "کشور: {s}. قاره: {v}.",
        ),
    },
    more_scripts=("Latin",),
    instead={
        "فرانک CFA مرکز افریقا": "فرانک CFA افریقای مرکزی",
    },
)
