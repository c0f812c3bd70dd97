"""Spanish facts of CLDR.

Some countries have an article and others none, so the noun país carries it. America is one continent in Spanish: what
its halves are is called a part of the world.

No native reader has read this pack yet.
"""

from mute.corpus.cldr.base import Pack

PACK = Pack(
    code="es",
    name="Spanish",
    script="Latin",
    wordings={
        "currency": (
            "El país llamado {s} utiliza la siguiente moneda: {v}.",
            "¿Qué moneda se utiliza en el país llamado {s}? Respuesta: {v}.",
            "País: {s}. Moneda: {v}.",
        ),
        "language": (
            "El país llamado {s} tiene el siguiente idioma oficial: {v}.",
            "¿Cuál es el idioma oficial del país llamado {s}? Respuesta: {v}.",
            "País: {s}. Idioma oficial: {v}.",
        ),
        "continent": (
            "El país llamado {s} se encuentra en la siguiente parte del mundo: {v}.",
            "¿En qué parte del mundo se encuentra el país llamado {s}? Respuesta: {v}.",
            "País: {s}. Parte del mundo: {v}.",
        ),
    },
    instead={
        "Sudamérica": "América del Sur",
        "leona sierraleonesa": "leone sierraleonés",
    },
)
