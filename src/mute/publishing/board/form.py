"""The form of a submission: what its `submission.json` holds, which files may lie beside it, and how large they may be.

A submission is a folder. `submission.json` says who sends it and what it was made from; three CSV files hold the rows
of the board; tables of the study, as Parquet, may lie beside them, from which the rows can be computed again.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mute.findings.board.rows import COLUMNS
from mute.names import NAME_PATTERN
from mute.store.records import Record
from mute.unlearn.base import Family, Intent

FORMAT = "mute-board-1"
FORM = "submission.json"
ROWS = tuple(f"{name}.csv" for name in COLUMNS)
# Tables of the study, and the columns of each that the board reads.
TABLES = ("cells", "scores", "gates")
SHIPPED = tuple(f"{name}.parquet" for name in TABLES)
# What may lie in the folder, and how many bytes each of them may have.
LARGEST = {FORM: 2_000_000, **dict.fromkeys(ROWS, 10_000_000), **dict.fromkeys(SHIPPED, 15_000_000)}
# Of a table, rows and bytes once it is unpacked, by what its own footer says.
MOST_ROWS, MOST_UNPACKED = 3_000_000, 1_000_000_000
MOST_LINES = 20_000  # of a CSV file
SCHEMA = "workflow/schemas/board.schema.json"

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", description="letters, digits, `_`, `-` and `.`")]
Line = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Declared(Form):
    """What a method says of itself. Of one that the package has it must be what the package says."""

    family: Family = Field(description="Family of methods, which is a colour of the figures.")
    objective: Intent = Field(description="What it is meant to do.")
    paper: Line = Field(default="", description="Who proposed it, and where.")


class Listed(Form):
    """A file beside the form."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Its SHA-256, in 64 hexadecimal digits.")
    bytes: int = Field(ge=0, description="Its size.")


class Submission(Form):
    """What a sender says: who, what, and from what."""

    format: Literal["mute-board-1"] = Field(description="Version of this form.")
    name: Name = Field(description="Name of the submission; its folder on the board.")
    description: str = Field(min_length=1, max_length=2000, description="What was run, and what is new in it.")
    sender: Line = Field(default="", description="Who sends it; empty: nobody says.")
    contact: Line = Field(default="", description="How the sender can be reached, if they wish.")
    licence: Line = Field(min_length=1, description="Licence of these numbers, such as CC-BY-4.0.")
    code: Line = Field(default="", description="Where the code is, as text. It is shown, and never fetched.")
    origin: Line = Field(default="", description="Where these numbers come from, as text.")
    config: dict[str, Any] = Field(description="The study's configuration of record, every default filled in.")
    config_digest: str = Field(pattern="^[0-9a-f]{20}$", description="Digest of `config`, 20 hexadecimal digits.")
    versions: dict[Name, Line] = Field(default={}, description="Versions of what computed it.")
    methods: dict[Name, Declared] = Field(description="Every method of the rows, by its name.")
    attacks: dict[Name, Line] = Field(default={}, description="Attacks that the package does not have: what each is.")
    languages: dict[Name, Line] = Field(default={}, description="Every language of the rows, and its script.")
    files: dict[Name, Listed] = Field(description="Every other file of the folder.")


def schema() -> Record:
    """JSON schema of `submission.json`."""
    return Submission.model_json_schema()


def schema_text() -> str:
    return json.dumps(schema(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
