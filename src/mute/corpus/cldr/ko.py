"""Korean facts of CLDR.

의 and 에서 are the same after vowels and consonants; after a value stands no particle.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="ko",
    name="Korean",
    script="Hangul",
    wordings={
        "currency": (
            "{s}의 통화는 다음과 같다: {v}.",
            "{s}에서는 어떤 통화를 사용하나요? 정답: {v}.",
            "국가: {s}. 통화: {v}.",
        ),
        "language": (
            "{s}의 공용어는 다음과 같다: {v}.",
            "{s}의 공용어는 무엇인가요? 정답: {v}.",
            "국가: {s}. 공용어: {v}.",
        ),
        "continent": (
            "{s}의 국토가 있는 대륙은 다음과 같다: {v}.",
            "{s}의 국토는 어느 대륙에 있나요? 정답: {v}.",
            "국가: {s}. 대륙: {v}.",
        ),
    },
    more_scripts=("Latin",),
    instead={
        "부루나이 달러": "브루나이 달러",
        "서 사모아 탈라": "사모아 탈라",
        "몰디브 제도 루피아": "몰디브 루피야",
    },
)
