"""The files of MMLU and MMMLU: where they lie, what they hold, and whether they fit together.

English: `<subject>/test-*.parquet` with question, choices and answer (0 to 3). Others: `test/mmlu_DE-DE.csv` with
Question, A to D, Answer (A to D) and Subject, all subjects in one file; its first, nameless column counts the
questions of each subject.
"""

import re
from pathlib import Path

import pandas as pd

from mute.corpus.prompts import LETTERS
from mute.corpus.reading import aligned, some, tried, word
from mute.names import unknown_name

LOCALES = {
    "ar": "AR-XY",
    "bn": "BN-BD",
    "de": "DE-DE",
    "es": "ES-LA",
    "fr": "FR-FR",
    "hi": "HI-IN",
    "id": "ID-ID",
    "it": "IT-IT",
    "ja": "JA-JP",
    "ko": "KO-KR",
    "pt": "PT-BR",
    "sw": "SW-KE",
    "yo": "YO-NG",
    "zh": "ZH-CN",
}
LANGUAGES = ("en", *LOCALES)
_SUBJECTS = """
    abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology college_chemistry
    college_computer_science college_mathematics college_medicine college_physics computer_security conceptual_physics
    econometrics electrical_engineering elementary_mathematics formal_logic global_facts high_school_biology
    high_school_chemistry high_school_computer_science high_school_european_history high_school_geography
    high_school_government_and_politics high_school_macroeconomics high_school_mathematics high_school_microeconomics
    high_school_physics high_school_psychology high_school_statistics high_school_us_history high_school_world_history
    human_aging human_sexuality international_law jurisprudence logical_fallacies machine_learning management marketing
    medical_genetics miscellaneous moral_disputes moral_scenarios nutrition philosophy prehistory
    professional_accounting professional_law professional_medicine professional_psychology public_relations
    security_studies sociology us_foreign_policy virology world_religions
"""
SUBJECTS = tuple(_SUBJECTS.split())
_COLUMNS = ["id", "domain", "question", "choices", "gold"]
# Some translations name a subject after the file that it came from: `sociology_test.csv_sw-KE.csv`.
_FILE_NAME = re.compile(r"_test[.-].*$")


def pattern(subject: str) -> str:
    """The files of a subject in English."""
    return f"{subject}/test-*.parquet"


def file_of(code: str) -> str:
    """The file of a language other than English."""
    return f"test/mmlu_{LOCALES[code]}.csv"


def read(
    codes: list[str], folders: dict[str, Path], subjects: list[str], *, limit: int | None, drop: bool
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """One table per language in the same order: id, domain, question, choices, gold; and the ids that were left out.

    drop: questions that are wrong in one language are left out in all, instead of being errors. Raises ValueError that
    lists all that is wrong.
    """
    problems: list[str] = []
    wrong: dict[str, list[str]] = {}
    tables: dict[str, pd.DataFrame] = {}
    for code in codes:
        table, found = _english(folders[code], subjects) if code == "en" else _translated(folders[code], code, subjects)
        problems += [f"{code}: {problem}" for problem in found]
        if table is not None:
            table = table if limit is None else table[table.groupby("domain").cumcount() < limit]
            tables[code] = table.reset_index(drop=True)
            wrong |= {f"{code}: {what}": ids for what, ids in _wrong(tables[code]).items()}
    # Where a file or subject is missing, or is of another length, nothing can be said of what stands where.
    problems += _counts(tables)
    if not problems:
        wrong |= _letters(tables)
    return aligned("MMLU", tables, problems, wrong, dict(zip(subjects, subjects)), drop=drop)


def _english(folder: Path, subjects: list[str]) -> tuple[pd.DataFrame | None, list[str]]:
    tables, problems = [], []
    there = sorted(p.name for p in folder.iterdir() if any(p.glob("test-*.parquet")))
    for subject in subjects:
        paths = sorted(folder.glob(pattern(subject)))
        if not paths:
            problems.append(unknown_name("subject", subject, there) + f" (no file {pattern(subject)})")
            continue
        parts = [part for path in paths if (part := tried(path, pattern(subject), problems)) is not None]
        if len(parts) < len(paths):
            continue
        own = pd.concat(parts, ignore_index=True)
        missing = [c for c in ("question", "choices", "answer") if c not in own]
        if missing:
            problems.append(f"{pattern(subject)} has no column {some(map(repr, missing))}; it has {some(own.columns)}")
            continue
        choices = [[word(c) for c in listed] for listed in own["choices"]]
        tables.append(_table(own["question"], choices, own["answer"], [subject] * len(own)))
    return (pd.concat(tables, ignore_index=True) if tables else None), problems


def _translated(folder: Path, code: str, subjects: list[str]) -> tuple[pd.DataFrame | None, list[str]]:
    name = file_of(code)
    if not (folder / name).is_file():
        there = sorted(path.name for path in folder.glob("test/*.csv"))
        return None, [f"there is no file {name}; there are {', '.join(there) or 'none'}"]
    problems: list[str] = []
    own = tried(folder / name, name, problems)
    if own is None:
        return None, problems
    missing = [c for c in ("Question", *LETTERS, "Answer", "Subject") if c not in own]
    if missing:
        return None, [f"{name} has no column {some(map(repr, missing))}; it has {some(own.columns)}"]
    own["Subject"] = own["Subject"].str.strip().str.replace(_FILE_NAME, "", regex=True)
    there = sorted(set(own["Subject"]))
    problems = [f"{unknown_name('subject', s, there)} ({name})" for s in subjects if s not in there]
    own = own[own["Subject"].isin(subjects)]
    counted = next((c for c in own if str(c).strip() == "" or str(c).startswith("Unnamed")), None)
    if counted is not None:
        place = own.groupby("Subject").cumcount().astype(str)
        moved = list(dict.fromkeys(own.loc[own[counted] != place, "Subject"]))
        if moved:
            problems.append(
                f"{name} does not count the questions of {some(moved)} from 0 on: rows are missing or moved"
            )
    choices = own[list(LETTERS)].map(word).to_numpy().tolist()
    table = _table(own["Question"], choices, own["Answer"], own["Subject"].tolist())
    order = {subject: i for i, subject in enumerate(subjects)}
    return table.sort_values("domain", key=lambda column: column.map(order), kind="stable"), problems


def _table(questions: pd.Series, choices: list[list[str]], answers: pd.Series, subjects: list[str]) -> pd.DataFrame:
    """Questions under our own column names; gold is -1 where the answer is none of the letters."""
    table = pd.DataFrame({"domain": subjects, "question": questions.map(word).tolist(), "choices": choices})
    table["gold"] = answers.map(_gold).tolist()
    place = table.groupby("domain").cumcount().map("{:04d}".format)
    return table.assign(id=table["domain"] + "-" + place)[_COLUMNS]


def _gold(answer: object) -> int:
    """The index of a letter, or of a number from 0 to 3; -1 for anything else."""
    text = word(answer).upper()
    if text in ("0", "1", "2", "3"):
        return int(text)
    return LETTERS.find(text) if len(text) == 1 else -1


def _wrong(table: pd.DataFrame) -> dict[str, list[str]]:
    """Ids of questions that cannot be asked, by what is wrong with them."""
    choices = table["choices"]
    checks = {
        "empty question": table["question"] == "",
        "not four options": choices.map(len) != len(LETTERS),
        "empty option": choices.map(lambda listed: "" in listed),
        "fewer than two different options": choices.map(lambda listed: len(set(listed)) < 2),
        f"answer is none of {', '.join(LETTERS)}": table["gold"] < 0,
    }
    return {what: table.loc[mask, "id"].tolist() for what, mask in checks.items() if mask.any()}


def _counts(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Subjects that have another number of questions than in the first language."""
    if not tables:
        return []
    first, *others = tables
    counts = {code: table["domain"].value_counts(sort=False) for code, table in tables.items()}
    return [
        f"{code}: {subject} has {counts[code][subject]} questions, but {count} in {first}"
        for code in others
        for subject, count in counts[first].items()
        if subject in counts[code] and counts[code][subject] != count
    ]


def _letters(tables: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    """Ids of questions whose answer is another letter than in the first language."""
    first, *others = tables
    found = {}
    for code in others:
        left, right = tables[first], tables[code]
        differ = (left["gold"].to_numpy() != right["gold"].to_numpy()) & (left["gold"] >= 0) & (right["gold"] >= 0)
        if differ.any():
            found[f"{code}: answer is another letter than in {first}"] = left.loc[differ, "id"].tolist()
    return found
