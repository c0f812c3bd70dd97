"""The numbers of the site's prose: pages name them as {{ name }}, and they are read from the frozen study's values."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from mute.findings import files
from mute.findings.published import Published
from mute.findings.simulation import FILE
from mute.names import unknown_name
from mute.paper import elsewhere, frozen, tables, values
from mute.plan.site import kept, markdown
from mute.plan.site.gallery import PUBLISHED
from mute.plan.site.studies import Study
from mute.store import artifacts
from mute.store.records import Record

_HEADLINE = {
    **{key: key for key in ("algorithm", "model", "block", "n", "K source", "K worst", "C worst")},
    "leak other": "leak, other scripts",
    "recovery": "recovery",
}
_PLACE = re.compile(r"\{\{ ([a-z ]+) \}\}")


def values_of(root: Path, study: Study) -> Record:
    """The values of the paper's text, from the tables of a frozen study."""

    board = [root / name for name in files.of_board()]

    def make(path: Path) -> None:
        provenance = artifacts.read_json(study.folder / frozen.PROVENANCE)
        published = Published(root / PUBLISHED)
        made = tables.make(study.results, published, int(provenance["seed"]), root / FILE)
        artifacts.write_json(path, values.collect(study.results, made, provenance, elsewhere.read(board)))

    read = [*study.folder.iterdir(), *(root / PUBLISHED).glob("*.csv"), root / FILE, *board]
    code = (values.__name__, tables.__name__, elsewhere.__name__)
    return json.loads(kept.file(root, "values.json", make, read, *code).read_text("utf-8"))


def texts(found: Record) -> dict[str, str]:
    """What may stand in the place of a name: sentences, numbers and tables."""
    counts = found["counts"]["claims"]
    claims = [claim for claim in found["claims"] if claim["decides"]]
    return {
        "study": found["study"]["name"],
        "cells": str(found["study"]["cells"]),
        "trainings": str(found["trained"]),
        "main languages": found["study"]["main"],
        "models": markdown.table(
            ("model", "blocks", "languages"),
            ([one["name"], str(one["blocks"]), one["languages"]] for one in found["study"]["models"]),
        ),
        "how": found["how"],
        "answer": found["answer"],
        "lead": "\n".join(f"* {sentence}" for sentence in found["lead"]),
        "headline": markdown.table(_HEADLINE.values(), ([r[key] for key in _HEADLINE] for r in found["headline"])),
        "claims": markdown.table(
            ("claim", "test", "verdict", "what was found"),
            ([claim["statement"], claim["test"], claim["verdict"], claim["sentence"]] for claim in claims),
        ),
        "counts": ", ".join(f"{number} {verdict}" for verdict, number in counts.items()),
        "variance": markdown.table(
            ("algorithm", "model", "trainings", "script", "language", "edited block", "block × script", "rest"),
            (
                [row.get(key, "–") for key in ("algorithm", "model", "n", "script", "language", "block")]
                + [row.get(key, "–") for key in ("block × script", "rest")]
                for row in found["variance"]
            ),
        ),
        "beyond": markdown.table(
            ("question", "what was found", "control"),
            ([row["name"], row["found"], row["control"]] for row in found["beyond"]),
        ),
        "other studies": "\n".join(
            f"* **{one['title']}** (`{one['name']}`: {one['description']}). {' '.join(one['said'])}"
            for one in found["elsewhere"]
        ),
        "limits": "\n".join(f"* {sentence}" for sentence in found["limits"]),
        "error rates": markdown.table(
            ("claim", "where it is", "studies drawn", "said rightly", "said wrongly", "not decided"),
            (
                [row["claim"], row["world"], row["studies"], row["right"], row["wrong"], row["not decided"]]
                for row in found["error_rates"]
            ),
        ),
        "costs": f"{found['provenance']['core minutes']} minutes of one core in {found['provenance']['jobs']} jobs",
    }


def filled(text: str, found: Mapping[str, str]) -> str:
    """A page with its numbers. Raises ValueError for a name that is none."""

    def number(match: re.Match[str]) -> str:
        if match[1] not in found:
            raise ValueError(unknown_name("number of the site", match[1], found))
        return found[match[1]]

    return _PLACE.sub(number, text)
