"""What each rule of the workflow is told, and what a study costs, before it runs."""

from typing import Protocol


class Wildcards(Protocol):
    """Snakemake's wildcards: a rule's own, by their names."""

    def __getattr__(self, name: str) -> str: ...
