"""Vietnamese facts of CLDR.

The classifiers tiếng and châu and the nouns of money have no capital inside a sentence.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="vi",
    name="Vietnamese",
    script="Latin",
    wordings={
        "currency": (
            "{s} sử dụng loại tiền tệ sau: {v}.",
            "{s} sử dụng loại tiền tệ nào? Trả lời: {v}.",
            "Quốc gia: {s}. Tiền tệ: {v}.",
        ),
        "language": (
            "Ngôn ngữ chính thức của {s} là ngôn ngữ sau: {v}.",
            "Ngôn ngữ chính thức của {s} là gì? Trả lời: {v}.",
            "Quốc gia: {s}. Ngôn ngữ chính thức: {v}.",
        ),
        "continent": (
            "{s} thuộc châu lục sau: {v}.",
            "{s} thuộc châu lục nào? Trả lời: {v}.",
            "Quốc gia: {s}. Châu lục: {v}.",
        ),
    },
    lower=("currency", "language"),
    instead={
        "Lia Thổ Nhĩ Kỳ": "lira Thổ Nhĩ Kỳ",
        "Châu Phi": "châu Phi",
        "Châu Á": "châu Á",
        "Châu Âu": "châu Âu",
        "Châu Đại Dương": "châu Đại Dương",
    },
)
