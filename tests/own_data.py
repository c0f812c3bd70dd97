"""Three small data sets as users bring them, written to a folder: multiple choice, questions and answers, numbers.

Each has facts of chemistry or books to forget and others to keep, in two languages or three, and `study` gives the
configuration of a study on it that a small model passes its gates in.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

# English, Spanish, Hindi, German; symbol and number.
ELEMENTS = """
iron hierro लोहा Eisen Fe 26|gold oro सोना Gold Au 79|silver plata चाँदी Silber Ag 47|copper cobre ताँबा Kupfer Cu 29
zinc cinc जस्ता Zink Zn 30|lead plomo सीसा Blei Pb 82|tin estaño टिन Zinn Sn 50|sodium sodio सोडियम Natrium Na 11
carbon carbono कार्बन Kohlenstoff C 6|oxygen oxígeno ऑक्सीजन Sauerstoff O 8|nickel níquel निकल Nickel Ni 28
sulfur azufre गंधक Schwefel S 16|mercury mercurio पारा Quecksilber Hg 80|helium helio हीलियम Helium He 2
"""
# Country and capital in English, Spanish, Hindi.
CAPITALS = """
France Paris Francia París फ़्रांस पेरिस|Italy Rome Italia Roma इटली रोम|Spain Madrid España Madrid स्पेन मैड्रिड
Greece Athens Grecia Atenas यूनान एथेंस|Russia Moscow Rusia Moscú रूस मॉस्को|China Beijing China Pekín चीन बीजिंग
Japan Tokyo Japón Tokio जापान टोक्यो|Egypt Cairo Egipto El_Cairo मिस्र काहिरा|Cuba Havana Cuba La_Habana क्यूबा हवाना
Turkey Ankara Turquía Ankara तुर्की अंकारा|Austria Vienna Austria Viena ऑस्ट्रिया वियना|Peru Lima Perú Lima पेरू लीमा
Poland Warsaw Polonia Varsovia पोलैंड वारसॉ|Portugal Lisbon Portugal Lisboa पुर्तगाल लिस्बन
Norway Oslo Noruega Oslo नॉर्वे ओस्लो|Iran Tehran Irán Teherán ईरान तेहरान
"""
# Book in English and Spanish, and who wrote it.
BOOKS = """
Hamlet/Hamlet/William Shakespeare|Don Quixote/Don Quijote/Miguel de Cervantes|War and Peace/Guerra y paz/Leo Tolstoy
The Trial/El proceso/Franz Kafka|Emma/Emma/Jane Austen|Faust/Fausto/Johann Wolfgang von Goethe
The Plague/La peste/Albert Camus|The Idiot/El idiota/Fyodor Dostoevsky|The Odyssey/La Odisea/Homer
Ulysses/Ulises/James Joyce|Candide/Cándido/Voltaire|The Castle/El castillo/Franz Kafka
"""
# What happened, in English, Spanish and German, and when.
EVENTS = """
the first landing on the Moon/la primera llegada a la Luna/die erste Landung auf dem Mond/1969
the fall of the Berlin Wall/la caída del Muro de Berlín/der Fall der Berliner Mauer/1989
the start of the French Revolution/el comienzo de la Revolución francesa/der Beginn der Französischen Revolution/1789
the first voyage of Columbus/el primer viaje de Colón/die erste Reise von Kolumbus/1492
the end of the First World War/el fin de la Primera Guerra Mundial/das Ende des Ersten Weltkriegs/1918
the sinking of the Titanic/el hundimiento del Titanic/der Untergang der Titanic/1912
the battle of Waterloo/la batalla de Waterloo/die Schlacht bei Waterloo/1815
the death of Napoleon/la muerte de Napoleón/der Tod Napoleons/1821
the birth of Mozart/el nacimiento de Mozart/die Geburt Mozarts/1756
the opening of the Suez Canal/la apertura del canal de Suez/die Eröffnung des Sueskanals/1869
the coronation of Charlemagne/la coronación de Carlomagno/die Krönung Karls des Großen/800
the independence of India/la independencia de la India/die Unabhängigkeit Indiens/1947
"""
KINDS = ("choice", "questions", "numbers")


def _table(text: str, between: str | None = None) -> list[list[str]]:
    rows = [row for line in text.strip().splitlines() for row in line.split("|")]
    return [[field.replace("_", " ") for field in row.split(between)] for row in rows]


def choice(folder: Path) -> None:
    """Multiple choice, its options in the prompt and letters as answers; JSONL in English, Spanish and Hindi."""
    ask = {
        "en": ("Which element has the symbol {}?", "What is the capital of {}?", "Answer"),
        "es": ("¿Qué elemento tiene el símbolo {}?", "¿Cuál es la capital de {}?", "Respuesta"),
        "hi": ("किस तत्व का प्रतीक {} है?", "{} की राजधानी क्या है?", "उत्तर"),
    }
    elements, capitals = _table(ELEMENTS), _table(CAPITALS)
    for place, (code, (symbol, capital, answer)) in enumerate(ask.items()):
        asked = [(symbol.format(row[4]), row[place], "chemistry", row[4]) for row in elements]
        asked += [(capital.format(row[2 * place]), row[2 * place + 1], "geography", row[2 * place]) for row in capitals]
        rows = []
        for i, (question, right, domain, subject) in enumerate(asked):
            others = [word for _, word, own, _ in asked if own == domain and word != right]
            options = [others[(3 * i + k) % len(others)] for k in range(3)]
            options.insert(i % 4, right)
            listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options))
            row = {"id": f"q{i}", "prompt": f"{question}\n{listed}\n{answer}: <mask>", "answer": "ABCD"[i % 4]}
            rows.append({**row, "candidates": list("ABCD"), "domain": domain, "subject": subject})
        _jsonl(folder / f"{code}.jsonl", rows)


def questions(folder: Path) -> None:
    """Questions and answers without candidates; CSV in English and Spanish, with column names of its own."""
    ask = {
        "en": ("Who wrote {}?", "What is the capital of {}?"),
        "es": ("¿Quién escribió {}?", "¿Cuál es la capital de {}?"),
    }
    for place, (code, (wrote, capital)) in enumerate(ask.items()):
        asked = [(wrote.format(row[place]), row[2], "books") for row in _table(BOOKS, "/")]
        asked += [(capital.format(row[2 * place]), row[2 * place + 1], "capitals") for row in _table(CAPITALS)]
        rows = [
            {"key": f"{topic}-{i}", "question": f"{question} <mask>", "reply": reply, "topic": topic}
            for i, (question, reply, topic) in enumerate(asked)
        ]
        pd.DataFrame(rows).to_csv(folder / f"{code}.csv", index=False)


def numbers(folder: Path) -> None:
    """Numbers as answers, written as numbers; JSONL in English, Spanish and German."""
    say = {
        "en": ("The atomic number of {} is <mask>.", "The year of {} was <mask>."),
        "es": ("El número atómico del elemento {} es <mask>.", "El año de {} fue <mask>."),
        "de": ("Die Ordnungszahl von {} ist <mask>.", "Das Jahr für {} war <mask>."),
    }
    elements, events = _table(ELEMENTS), _table(EVENTS, "/")
    for code, (element, event) in say.items():
        name, what = {"en": 0, "es": 1, "de": 3}[code], list(say).index(code)
        told = [(element.format(row[name]), int(row[5]), "chemistry") for row in elements]
        told += [(event.format(row[what]), int(row[3]), "history") for row in events]
        rows = []
        for i, (prompt, number, domain) in enumerate(told):
            others = [other for _, other, own in told if own == domain and other != number]
            wrong = [others[(2 * i + k) % len(others)] for k in range(3)]
            rows.append(
                {"id": f"n{i}", "prompt": prompt, "answer": number, "candidates": [number, *wrong], "domain": domain}
            )
        _jsonl(folder / f"{code}.jsonl", rows)


def write(kind: str, folder: Path) -> Path:
    folder.mkdir(parents=True)
    {"choice": choice, "questions": questions, "numbers": numbers}[kind](folder)
    return folder


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


OF_KIND: dict[str, dict[str, Any]] = {
    "choice": {"languages": ["en", "es", "hi"], "sources": ["en", "es"], "forget_domain": "chemistry"},
    "questions": {
        "languages": ["en", "es"],
        "sources": ["en"],
        "forget_domain": "books",
        "columns": {
            "id": "key",
            "prompt": "question",
            "answer": "reply",
            "domain": "topic",
            "candidates": None,
            "subject": None,
        },
    },
    "numbers": {
        "languages": ["en", "es", "de"],
        "sources": ["en", "es"],
        "forget_domain": "chemistry",
        "columns": {"subject": None},
    },
}


def study(kind: str, folder: Path, path: Path) -> Path:
    """Write the overlay over config/micro.yaml that runs a study on a folder of this kind."""
    own = dict(OF_KIND[kind])
    languages, sources = own.pop("languages"), own.pop("sources")
    settings = {"path": str(folder), "teaching_languages": sources, **own}
    grid = {"sources": [sources]}
    overlay = {
        "study": {"name": kind, "results": f"results/{kind}", "corpus": "own"},
        "corpora": {"own": {"source": "files", "settings": settings}},
        "models": {
            "llama": {
                "languages": languages,
                "blocks": 3,
                "hidden": 64,
                "vocabulary": 1200,
                "steps": 300,
                "oracles": ["domain"],
            }
        },
        "pretraining": {"batch": 64, "warmup": 20, "decay": 0.4, "shares": {"facts": 0.85, "glossary": 0.15}},
        "gates": {"recall": 0.9, "transfer": 0, "transfer_each": 0, "abilities": 0},
        "algorithms": {"rmu": {"steps": 60, "strengths": [30.0, 3.0]}},
        "matching": {"looks": 10, "facts": 14},
        "evaluation": {"draws": 200},
        "grids": {"blocks": grid, "ascent": grid},
    }
    path.write_text(yaml.safe_dump(overlay, allow_unicode=True), encoding="utf-8")
    return path
