"""One worker for all tests here."""

from __future__ import annotations

import pytest
from earlier import needs_its_keras
from trust.worker import Worker


@pytest.fixture(scope="session")
def worker(forks: Worker) -> Worker:
    """The process that forks commands."""
    if needs_its_keras.args[0]:
        pytest.skip(needs_its_keras.kwargs["reason"])
    return forks
