"""A PostgreSQL server for the tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgresql import Server, programs, serving


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A server; tests create databases of their own in it."""
    if programs() is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    with serving() as server:
        yield server
