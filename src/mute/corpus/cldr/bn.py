"""Bengali facts of CLDR.

নামের দেশটি takes the case endings, so that no name does.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="bn",
    name="Bengali",
    script="Bengali",
    wordings={
        "currency": (
            "{s} নামের দেশটির মুদ্রা হলো: {v}।",
            "{s} নামের দেশটিতে কোন মুদ্রা ব্যবহৃত হয়? উত্তর: {v}।",
            "দেশ: {s}। মুদ্রা: {v}।",
        ),
        "language": (
            "{s} নামের দেশটির সরকারি ভাষা হলো: {v}।",
            "{s} নামের দেশটির সরকারি ভাষা কী? উত্তর: {v}।",
            "দেশ: {s}। সরকারি ভাষা: {v}।",
        ),
        "continent": (
            "{s} নামের দেশটি এই মহাদেশে অবস্থিত: {v}।",
            "{s} নামের দেশটি কোন মহাদেশে অবস্থিত? উত্তর: {v}।",
            "দেশ: {s}। মহাদেশ: {v}।",
        ),
    },
    more_scripts=("Latin",),
    end="।",
    instead={
        "পূর্ব ক্যারাবিয়ান ডলার": "পূর্ব ক্যারিবিয়ান ডলার",
        "বাহারিন": "বাহরাইন",
        "পশ্চিম আফ্রিকান [CFA] ফ্র্যাঙ্ক": "পশ্চিম আফ্রিকান CFA ফ্র্যাঙ্ক",
        "মধ্য আফ্রিকান [CFA] ফ্র্যাঙ্ক": "মধ্য আফ্রিকান CFA ফ্র্যাঙ্ক",
    },
)
