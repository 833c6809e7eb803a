"""One worker for all tests here, and a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from earlier import needs_its_keras
from trust.worker import Worker


@pytest.fixture(scope="session")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The process that forks commands."""
    if needs_its_keras.args[0]:
        pytest.skip(needs_its_keras.kwargs["reason"])
    with Worker(tmp_path_factory.mktemp("worker")) as one:
        yield one
