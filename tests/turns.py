"""Which of the tests that are run in turn a run takes: the commit decides, so that each has its turn."""

import hashlib

# Of the whole, which takes over an hour, one in so many.
PARTS = 8


def taken(commit: str, test: str) -> bool:
    """Whether a test has its turn at a commit."""
    return int.from_bytes(hashlib.sha256(f"{commit} {test}".encode()).digest()[:4]) % PARTS == 0
