"""Japanese facts of CLDR.

Nothing is inflected; CLDR's spaces inside currencies are not written. Asia, Europe and Oceania are no 大陸,
which is a mass of land, so parts of the world are asked for.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="ja",
    name="Japanese",
    script="Katakana",
    wordings={
        "currency": (
            "{s}の通貨は次のとおりです：{v}。",
            "{s}ではどの通貨が使われていますか？答え：{v}。",
            "国名：{s}。通貨：{v}。",
        ),
        "language": (
            "{s}の公用語は次のとおりです：{v}。",
            "{s}の公用語は何ですか？答え：{v}。",
            "国名：{s}。公用語：{v}。",
        ),
        "continent": (
            "{s}は世界の次の地域にあります：{v}。",
            "{s}は世界のどの地域にありますか？答え：{v}。",
            "国名：{s}。地域：{v}。",
        ),
    },
    more_scripts=("Hiragana", "Han", "Latin"),
    spaces=False,
    end="。",
    instead={
        "北アメリカ大陸": "北アメリカ",
    },
)
