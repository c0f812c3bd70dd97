"""Thai facts of CLDR.

A language is written with ภาษา before it; a space ends a clause, and no mark ends a sentence.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="th",
    name="Thai",
    script="Thai",
    wordings={
        "currency": (
            "ประเทศ{s}ใช้สกุลเงินต่อไปนี้: {v}",
            "ประเทศ{s}ใช้สกุลเงินใด คำตอบ: {v}",
            "ประเทศ: {s} สกุลเงิน: {v}",
        ),
        "language": (
            "ประเทศ{s}มีภาษาราชการต่อไปนี้: ภาษา{v}",
            "ภาษาราชการของประเทศ{s}คือภาษาใด คำตอบ: ภาษา{v}",
            "ประเทศ: {s} ภาษาราชการ: ภาษา{v}",
        ),
        "continent": (
            "ประเทศ{s}อยู่ในทวีปต่อไปนี้: {v}",
            "ประเทศ{s}อยู่ในทวีปใด คำตอบ: {v}",
            "ประเทศ: {s} ทวีป: {v}",
        ),
    },
    spaces=False,
    end="",
    instead={
        "ฟรังก์เซฟาธนาคารกลางรัฐแอฟริกาตะวันตก": "ฟรังก์เซฟาแอฟริกาตะวันตก",
        "ฟรังก์ซีเอฟเอแอฟริกาตะวันตก": "ฟรังก์เซฟาแอฟริกากลาง",
    },
)
