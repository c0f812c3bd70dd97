"""Hindi facts of CLDR.

Countries keep their form before postpositions, and the value comes after a colon.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="hi",
    name="Hindi",
    script="Devanagari",
    wordings={
        "currency": (
            "{s} की मुद्रा यह है: {v}।",
            "{s} में कौन-सी मुद्रा चलती है? उत्तर: {v}।",
            "देश: {s}। मुद्रा: {v}।",
        ),
        "language": (
            "{s} की आधिकारिक भाषा यह है: {v}।",
            "{s} की आधिकारिक भाषा कौन-सी है? उत्तर: {v}।",
            "देश: {s}। आधिकारिक भाषा: {v}।",
        ),
        "continent": (
            "{s} इस महाद्वीप में है: {v}।",
            "{s} किस महाद्वीप में है? उत्तर: {v}।",
            "देश: {s}। महाद्वीप: {v}।",
        ),
    },
    more_scripts=("Latin",),
    end="।",
    instead={
        "संयुक्त राज्य": "संयुक्त राज्य अमेरिका",
        "यूएस डॉलर": "अमेरिकी डॉलर",
        "केंद्रीय अफ़्रीकी CFA फ़्रैंक": "मध्य अफ़्रीकी CFA फ़्रैंक",
        "स्वीडीश क्रोना": "स्वीडिश क्रोना",
        "कज़ाखिस्तानी टेंज़": "कज़ाखिस्तानी टेंगे",
    },
)
