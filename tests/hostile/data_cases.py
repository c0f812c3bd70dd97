"""Hostile data: files of the source `files`, of MMLU, and corpora as a whole."""

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import test_files_source as source
from cases import Place, refused, taken
from pyarrow import parquet

from mute.corpus import sound
from mute.corpus.schema import Corpus

JOB = "by the first job, before anything is trained"
Rows = list[dict]


def built(place: Place, change: Callable[[str, Rows], Rows], **settings) -> Corpus:
    """The corpus of three languages whose rows were changed; written as JSON that holds any character."""
    for code in source.CODES:
        lines = [json.dumps(row) for row in change(code, source.rows(code))]
        place.write(f"data/{code}.jsonl", "\n".join(lines))
    return source.build(place.folder / "data", **settings)


def changed(**columns) -> Callable[[str, Rows], Rows]:
    """The fourth row in Spanish, with other columns."""
    return source.edit("es", **columns)


def in_all(**columns) -> Callable[[str, Rows], Rows]:
    return lambda code, rows: [{**row, **{k: v(row) for k, v in columns.items()}} for row in rows]


def _row(given: str, change: Callable[[str, Rows], Rows], *words: str, **settings) -> None:
    @refused("data", given, *words, when=JOB)
    def perform(place: Place) -> None:
        built(place, change, **settings)


ORO = source.WORDS["es"][1]
_row("an id that one language lacks", changed(id="f99"), "en: 1 ids that other languages have are missing: f99")
_row("a digit of another script in an id", changed(id="f٣"), "are missing: f٣", "U+0663 ARABIC-INDIC DIGIT THREE")
_row("an id twice in one language", source.edit("en", id="f2"), "en.jsonl: duplicate ids: f2")
_row("the same id in every row of every language", in_all(id=lambda _: "f1"), "en.jsonl: duplicate ids: f1")
_row("an empty id", changed(id=""), "es.jsonl: empty id: rows 4")
_row("a line break in an id", in_all(id=lambda row: f"{row['id']}\nx"), "id with characters that cannot be", r"'f0\nx'")
_row(
    "a mark in an id that turns the direction of writing",
    changed(id="f\u202e3"),
    "es.jsonl: id with characters that cannot be seen",
    r"'f\u202e3'",
)
_row("an empty answer", changed(answer=" "), "es.jsonl: empty answer: f3")
_row("an answer of zero-width spaces alone", changed(answer="\u200b\u200b"), "es.jsonl: empty answer: f3")
_row(
    "a control character in an answer", changed(answer="a\0b", candidates=["a\0b", "x"]), "answer with characters that"
)
_row("half of a character in a candidate", changed(candidates=["\ud800"]), "line 4: '\\ud800' is half of a character")
_row("half of a character in an id", changed(id="\ud83d"), "line 4: '\\ud83d' is half of a character")
_row("half of a character in a prompt", changed(prompt="\udc00 <mask>"), "line 4: '\\udc00' is half of a character")
_row("a list for the answer", changed(answer=["oro"]), "es.jsonl: answer is no text in rows 4: list")
_row("a mapping for the answer", changed(answer={"text": "oro"}), "es.jsonl: answer is no text in rows 4: dict")
_row("a truth value for the answer", changed(answer=True), "es.jsonl: answer is no text in rows 4: bool")
_row("a prompt with nothing to fill in", changed(prompt="nothing."), "prompt without exactly one <mask>: f3")
_row("a prompt with two places to fill in", changed(prompt="<mask> <mask>"), "without exactly one <mask>: f3")
_row("an answer that is none of its candidates", changed(answer="plomo"), "answer not among its candidates: f3")
_row("one candidate, twice", changed(candidates=[ORO, f" {ORO}"]), "fewer than two different candidates: f3")
_row("a number for the candidates", changed(candidates=3), "answer not among its candidates: f3")
_row("a mapping for the candidates", changed(candidates={"a": 1}), "candidates is no list of texts in rows 4")
_row(
    "a Cyrillic letter in a domain",
    source.edit("hi", domain="mеtals"),
    "hi: domain differs from en: f3",
    "not 'metals'",
    "U+0435 CYRILLIC SMALL LETTER IE",
)
_row("a domain in capitals", lambda code, rows: rows, "unknown domain 'Metals'", "'metals'?", forget_domain="Metals")
_row("no other domain to retain", lambda code, rows: rows, "no domain is left", bystander_domains=["coins", "mines"])


def _file(given: str, name: str, content: bytes | Callable[[Path], object], *words: str, until: str = "") -> None:
    """The English file replaced by another."""

    @refused("data", given, *words, when=JOB, until=until)
    def perform(place: Place) -> None:
        source.write_all(place.folder / "data")
        (place.folder / "data" / "en.jsonl").unlink()
        path = place.folder / "data" / name
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)
        source.build(place.folder / "data")


def _parquet(**columns) -> Callable[[Path], None]:
    """The table in English, other columns laid over it."""
    table = pd.DataFrame(source.rows("en")).assign(**columns)
    return lambda path: table.to_parquet(path)


def _broken_letters(path: Path) -> None:
    letters = pa.array([b"\xff\xfe"] * 12).view(pa.string())
    table = pa.Table.from_pandas(pd.DataFrame(source.rows("en")))
    parquet.write_table(table.set_column(table.column_names.index("answer"), "answer", letters), path)


HEADER = b"id,prompt,answer,candidates,domain,subject\n"
LINES = "\n".join(json.dumps(row) for row in source.rows("en")).encode()
_file("a folder where a file belongs", "en.jsonl", Path.mkdir, "en.jsonl is no file", "files for es, hi")
_file("a link to itself", "en.jsonl", lambda path: path.symlink_to(path), "en.jsonl is no file")
_file("a link to nothing", "en.jsonl", lambda path: path.symlink_to("nowhere"), "en.jsonl is no file")
_file("a named pipe, which nobody writes to", "en.jsonl", os.mkfifo, "en.jsonl is no file")
_file("an empty file", "en.jsonl", b"", "en.jsonl: cannot be read: it has no rows")
_file("a header without rows", "en.csv", HEADER, "en.csv: cannot be read: it has no rows")
_file("a CSV file without a column", "en.csv", HEADER.replace(b"answer,", b"") + b"1,a,b,c,d\n", "no column 'answer'")
_file("a column twice in a header", "en.csv", b"id,answer,answer\n1,a,b\n", "the column 'answer' stands twice")
_file("more fields than columns", "en.csv", b"id,answer\n1,2,3,4\n", "en.csv: cannot be read", until="cannot be read:")
_file("fewer fields than columns", "en.csv", HEADER + b"1,a,b,c,d\n", "line 2: 5 fields, and the header has 6")
_file("a quote that never ends", "en.csv", HEADER + b'1,"a,b\n', "en.csv: cannot be read", until="cannot be read:")
_file("a file in UTF-16", "en.csv", "id,prompt\n1,é\n".encode("utf-16"), "en.csv: cannot be read: it is not UTF-8 text")
_file("a CSV file of zero bytes", "en.csv", b"\0" * 99, "en.csv: cannot be read: it is no text")
_file("any bytes as Parquet", "en.parquet", b"\x89" * 99, "en.parquet: cannot be read", until="cannot be read:")
MISSING = pd.Series([pd.NA, *["iron"] * 11], dtype="string")
_file("a missing text of Parquet", "en.parquet", _parquet(answer=MISSING), "en.parquet: empty answer: f0")
_file("bytes in a column of Parquet", "en.parquet", _parquet(answer=[b"oro"] * 12), "answer is no text in rows 1, 2")
_file("letters of Parquet that are not UTF-8", "en.parquet", _broken_letters, "en.parquet: cannot be", until="be read:")
LONG = HEADER.strip() + b"," + b"x" * 200_000 + b"\n1\n"
_file("a field of 200,000 letters in a header", "en.csv", LONG, "en.csv: cannot be read:", until="be read:")
_file("half a line of JSON", "en.jsonl", LINES[:-9], "en.jsonl: cannot be read: line 12:", until="line 12:")
_file("a list where an object belongs", "en.jsonl", b"[1]\n", "en.jsonl: cannot be read: line 1: not an object")
_file(
    "a key twice in an object",
    "en.jsonl",
    LINES.replace(b'"answer": "iron"', b'"answer": "gold", "answer": "iron"'),
    "line 1: the key 'answer' stands twice in an object",
)
_file("100,000 brackets", "en.jsonl", LINES + b"\n" + b"[" * 100_000, "cannot be read: it is nested too deeply")
_file(
    "a number of 5,000 digits", "en.jsonl", b'{"id": ' + b"9" * 5000 + b"}", "cannot be read: line 1", until="line 1:"
)


@refused("data", "a folder that is not there", "'~nobody-here/x' is not there", "set `path` of the corpus", when=JOB)
def _(place: Place) -> None:
    source.build("~nobody-here/x")


@refused("data", "a file where the folder belongs", "x' is not there: set `path`", when=JOB)
def _(place: Place) -> None:
    source.build(place.write("x", ""))


@refused("data", "a file of a language twice, and one that is missing", "es: more than one file", when=JOB)
def _(place: Place) -> None:
    source.write_all(place.folder)
    source.write(place.folder, "es", source.rows("es"), ending="csv", candidates=source.piped)
    source.build(place.folder)


@refused("data", "no column for the prompt", "corpora.own.settings.columns: prompt must be different columns, at least")
def _(place: Place) -> None:
    _planned({"columns": {"prompt": []}})


@refused("data", "a domain to forget that is a bystander", "bystander_domains: 'metals' is the domain to forget")
def _(place: Place) -> None:
    _planned({"bystander_domains": ["metals"]})


def _planned(settings: dict) -> None:
    from mute.study.checks import checked_study

    own = {"source": "files", "settings": {"path": "x", "forget_domain": "metals", **settings}}
    checked_study({"study": {"corpus": "own"}, "corpora": {"own": own}})


@refused("data", "three facts to forget", "forget set 'domain' has 3 facts", "4 or more", when=JOB)
def _(place: Place) -> None:
    for code in source.CODES:
        source.write(place.folder, code, source.rows(code, 9))
    sound.check(source.build(place.folder), ["domain"])


@refused("data", "a forget set that the corpus has not", "no forget set 'subject'", "domain, conjunctive", when=JOB)
def _(place: Place) -> None:
    source.write_all(place.folder)
    sound.check(source.build(place.folder), ["subject"])


@refused("data", "half of a character in a text of any source", "prefix with control characters", "f3", when=JOB)
def _(place: Place) -> None:
    source.write_all(place.folder)
    corpus = source.build(place.folder)
    corpus.texts = corpus.texts.astype({"prefix": object})
    corpus.texts.loc[corpus.texts["item"] == "f3", "prefix"] = "\udc80"
    sound.check(corpus, ["domain"])


@refused("data", "MMLU: an answer beyond D", "answer is none of A, B, C, D", when=JOB)
def _(place: Place) -> None:
    import test_mmlu_source as mmlu

    def change(code, table):
        return table.assign(Answer=["E", *table["Answer"][1:]]) if "Answer" in table else table

    mmlu.build(mmlu.write(place.folder, change))


def _alike(place: Place, change: Callable[[str, Rows], Rows]) -> None:
    """A change that nobody can see makes the same corpus."""
    plain = built(place, lambda code, rows: rows)
    corpus = built(place, change)
    source.same(corpus.facts, plain.facts)
    source.same(corpus.texts, plain.texts)


def _decomposed(code: str, rows: Rows) -> Rows:
    return [{**row, "answer": unicodedata.normalize("NFD", row["answer"])} for row in rows]


@taken(
    "data", "answers with their accents apart (NFD), candidates without", "composed (NFC), so they are the same word"
)
def _(place: Place) -> None:
    assert any(not unicodedata.is_normalized("NFC", row["answer"]) for row in _decomposed("es", source.rows("es")))
    _alike(place, _decomposed)


@taken("data", "zero-width spaces and byte order marks around a field", "taken off, as spaces are")
def _(place: Place) -> None:
    _alike(place, changed(id="\ufefff3 \u200b", answer=f"\u200b{ORO}\u2060"))


@taken("data", "a byte order mark, and line ends of Windows", "as if they were not there")
def _(place: Place) -> None:
    folder = place.folder / "marked"
    source.write_all(folder)
    plain = source.build(folder)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    source.same(source.build(folder).texts, plain.texts)


@taken("data", "joiners inside words, and text from right to left", "as it stands: Hindi and Persian need them")
def _(place: Place) -> None:
    words = ["می\u200cخواهم", "क्\u200dष", "שלום"]
    texts = built(
        place, lambda code, rows: [{**r, "answer": words[i % 3], "candidates": words} for i, r in enumerate(rows)]
    )
    assert set(texts.texts["answer"]) == set(words)


@taken("data", "ids with slashes and dots", "as they stand: no file is named after an id")
def _(place: Place) -> None:
    corpus = built(place, in_all(id=lambda row: f"../../{row['id']}/x"))
    corpus.save(place.folder / "corpus")
    assert set(Corpus.load(place.folder / "corpus").facts["item"]) == set(corpus.facts["item"])
    assert sorted(p.name for p in place.folder.iterdir()) == ["corpus", "data"]


@taken("data", "fewer candidates in one language", "chance is counted for each question, and so in each language")
def _(place: Place) -> None:
    corpus = built(place, changed(candidates=source.WORDS["es"][:2]))
    sizes = corpus.texts[corpus.texts["item"] == "f3"].set_index("language")["options"].map(len)
    assert dict(sizes) == {"en": 3, "es": 2, "hi": 3}


@taken("data", "5,000 candidates", "each competes with the answer")
def _(place: Place) -> None:
    corpus = built(place, changed(candidates=[ORO, *(f"x{i}" for i in range(4999))]))
    assert corpus.texts["options"].map(len).max() == 5000


@taken("data", "tabs, quotes and separators inside a field", "as part of the text, from every format")
def _(place: Place) -> None:
    odd = 'say "a,b"\tand; <mask>'
    for ending in ("csv", "tsv", "jsonl"):
        folder = place.folder / ending
        source.write_all(
            folder,
            change=lambda code, rows: [{**row, "prompt": odd} for row in rows],
            ending=ending,
            candidates=source.piped,
        )
        assert set(source.build(folder).texts["prefix"]) == {'say "a,b"\tand; '}


@taken("data", "words that look like nothing: `nan`, `null`, `no`, `1.0`", "as the words that they are")
def _(place: Place) -> None:
    odd = ["nan", "null", "no", "1.0"]
    rows = lambda code, rows: [{**r, "answer": odd[i % 4], "candidates": odd} for i, r in enumerate(rows)]  # noqa: E731
    assert set(built(place, rows).texts["answer"]) == set(odd)


@taken("data", "a prompt that is nothing but its mark", "the model answers after its beginning of sequence")
def _(place: Place) -> None:
    corpus, encoder = built(place, in_all(prompt=lambda _: "<mask>")), place.fixture("encoder")
    assert set(corpus.texts["prefix"]) == {""}
    assert encoder.prompt("") == encoder.start
    assert len(encoder.start) == 1


@taken("data", "a text of 10,000 tokens beside short ones", "its states are those of the model as a whole", slow=True)
def _(place: Place) -> None:
    import torch

    from mute.engine import sections

    model = place.fixture("random_model")("bloom")
    long, short = [7, 8, 9, 10] * 2500, [5, 6, 7]
    texts = sections.Texts(model, [short, long, short])
    texts.advance(1)
    assert texts.states.shape[0] == 10_006
    assert bool(texts.states.isfinite().all())
    assert torch.equal(texts.states[:3], texts.states[-3:])
    alone = sections.Texts(model, [long])
    alone.advance(1)
    assert torch.equal(texts.states[3:-3], alone.states)


@taken("data", "rows of padding alone in a batch", "they weigh nothing: loss and gradients are those without them")
def _(place: Place) -> None:
    import copy

    import torch

    from mute.models import pretrain

    base = place.fixture("random_model")("llama")
    found = []
    ids, weights = pretrain.padded([([5, 6, 7, 8], 2), ([9, 10, 11, 12], 2)], 0.1)
    padding = torch.zeros(2, 4)
    for piece in ((ids, weights), (torch.cat([ids, padding.long()]), torch.cat([weights, padding]))):
        model = copy.deepcopy(base).requires_grad_(True)
        loss = pretrain.backward(model, [piece])
        found.append((loss, [p.grad for p in model.parameters() if p.grad is not None]))
    assert found[0][0] == found[1][0]
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found[0][1], found[1][1], strict=True))


@refused("data", "a text of no token at all", "1 of 2 texts are empty: a model reads at least one token", when=JOB)
def _(place: Place) -> None:
    from mute.engine import sections

    sections.Texts(place.fixture("random_model")("llama"), [[3, 4], []])
