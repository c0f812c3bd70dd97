"""Questions as prompts: the question, perhaps its options, and the word for the answer in its language.

The papers state no prompts: these are ours. No language is needed to have a word here.
"""

from collections.abc import Sequence

LETTERS = "ABCD"
ANSWER = {
    "ar": "الإجابة: ",
    "bn": "উত্তর: ",
    "de": "Antwort: ",
    "en": "Answer: ",
    "es": "Respuesta: ",
    "fr": "Réponse : ",
    "hi": "उत्तर: ",
    "id": "Jawaban: ",
    "it": "Risposta: ",
    "ja": "答え：",
    "ko": "정답: ",
    "pt": "Resposta: ",
    "sw": "Jibu: ",
    "tr": "Cevap: ",
    "ur": "جواب: ",
    "yo": "Ìdáhùn: ",
    "zh": "答案：",
}


def ask(question: str, language: str, options: Sequence[str] = ()) -> str:
    """The text before the answer: the question, its options behind their letters, and the word for the answer."""
    listed = [f"{letter}. {option}" for letter, option in zip(LETTERS, options)]
    return "\n".join([question, *listed, ANSWER.get(language, ANSWER["en"])])
