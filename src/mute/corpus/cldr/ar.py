"""Arabic facts of CLDR.

Values come after a colon, where no ending is heard; where a verb would agree with the country, بلد stands between.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="ar",
    name="Arabic",
    script="Arabic",
    wordings={
        "currency": (
            "تُستخدم في {s} العملة التالية: {v}.",
            "ما العملة المستخدمة في {s}؟ الإجابة: {v}.",
            "البلد: {s}. العملة: {v}.",
        ),
        "language": (
            "اللغة الرسمية في {s} هي: {v}.",
            "ما اللغة الرسمية في {s}؟ الإجابة: {v}.",
            "البلد: {s}. اللغة الرسمية: {v}.",
        ),
        "continent": (
            "ينتمي البلد المسمى {s} إلى القارة التالية: {v}.",
            "إلى أي قارة ينتمي البلد المسمى {s}؟ الإجابة: {v}.",
            "البلد: {s}. القارة: {v}.",
        ),
    },
    prefixes=("ال",),
    instead={
        "الماليزية": "الملايوية",
        "روبية هندي": "روبية هندية",
        "هريفنيا أوكراني": "هريفنيا أوكرانية",
    },
)
