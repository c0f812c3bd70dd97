"""The browser in which pages are opened, one for all tests of a file."""

import chromium
import pytest


@pytest.fixture(scope="module")
def browser():
    yield from chromium.launched()
