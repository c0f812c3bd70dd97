"""Chinese facts of CLDR.

Chinese inflects nothing.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="zh",
    name="Chinese",
    script="Han",
    wordings={
        "currency": (
            "{s}使用以下货币：{v}。",
            "{s}使用哪种货币？答案：{v}。",
            "国家：{s}。货币：{v}。",
        ),
        "language": (
            "{s}的官方语言如下：{v}。",
            "{s}的官方语言是什么？答案：{v}。",
            "国家：{s}。官方语言：{v}。",
        ),
        "continent": (
            "{s}属于以下大洲：{v}。",
            "{s}属于哪个大洲？答案：{v}。",
            "国家：{s}。大洲：{v}。",
        ),
    },
    spaces=False,
    end="。",
)
