"""Urdu facts of CLDR.

Countries keep their form before postpositions; where a verb would see that islands are many, ملک stands between.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="ur",
    name="Urdu",
    script="Arabic",
    wordings={
        "currency": (
            "{s} کی کرنسی یہ ہے: {v}۔",
            "{s} میں کون سی کرنسی استعمال ہوتی ہے؟ جواب: {v}۔",
            "ملک: {s}۔ کرنسی: {v}۔",
        ),
        "language": (
            "{s} کی سرکاری زبان یہ ہے: {v}۔",
            "{s} کی سرکاری زبان کون سی ہے؟ جواب: {v}۔",
            "ملک: {s}۔ سرکاری زبان: {v}۔",
        ),
        "continent": (
            "{s} نامی ملک اس براعظم میں واقع ہے: {v}۔",
            "{s} نامی ملک کس براعظم میں واقع ہے؟ جواب: {v}۔",
            "ملک: {s}۔ براعظم: {v}۔",
        ),
    },
    more_scripts=("Latin",),
    end="۔",
    instead={
        "جمہوریہ ڈومينيکن": "جمہوریہ ڈومینیکن",
        "آئس لينڈی کرونا": "آئس لینڈی کرونا",
        "انڈونیثیائی": "انڈونیشیائی",
        "منگولیائی ٹگرِ": "منگولیائی ٹگرک",
        "قزاخستانی ٹینگ": "قزاخستانی ٹینگے",
        "گامبیا کا ڈلاسی": "گیمبیا کا ڈلاسی",
        "مغربی افریقی [CFA] فرانک": "مغربی افریقی CFA فرانک",
        "وسطی افریقی [CFA] فرانک": "وسطی افریقی CFA فرانک",
    },
)
