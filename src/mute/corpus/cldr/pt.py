"""Portuguese facts of CLDR.

The noun país carries article and contraction; CLDR's currencies begin with a capital, which a sentence has not.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="pt",
    name="Portuguese",
    script="Latin",
    wordings={
        "currency": (
            "O país chamado {s} utiliza a seguinte moeda: {v}.",
            "Que moeda é utilizada no país chamado {s}? Resposta: {v}.",
            "País: {s}. Moeda: {v}.",
        ),
        "language": (
            "O país chamado {s} tem a seguinte língua oficial: {v}.",
            "Qual é a língua oficial do país chamado {s}? Resposta: {v}.",
            "País: {s}. Língua oficial: {v}.",
        ),
        "continent": (
            "O país chamado {s} pertence ao seguinte continente: {v}.",
            "A que continente pertence o país chamado {s}? Resposta: {v}.",
            "País: {s}. Continente: {v}.",
        ),
    },
    lower=("currency",),
    instead={
        "Novo sol peruano": "sol peruano",
        "Rupia maldivana": "rufiyaa maldiva",
        "Hryvnia ucraniano": "hryvnia ucraniana",
        "Franco CFA de BCEAO": "franco CFA da África Ocidental",
        "Franco CFA de BEAC": "franco CFA da África Central",
    },
)
