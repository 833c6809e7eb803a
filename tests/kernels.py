"""Execution of notebooks in tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest


def execute(notebook: Any, folder: Path, allow_errors: bool = False, timeout: int = 60) -> None:
    """Execute a notebook in a fresh kernel of this Python.

    Args:
        notebook: Gets the outputs.
        folder: The working directory.
        allow_errors: Whether cells after one that raises are executed, too.
        timeout: Seconds for each cell.
    """
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install -e '.[dev]'")
    pytest.importorskip("ipykernel")
    # Under pytest a kernel would not watch the file descriptors to which libraries write, and libraries that earlier
    # tests have loaded make TensorFlow silent
    environment = dict(os.environ)
    for name in ("PYTEST_CURRENT_TEST", "TF_CPP_MIN_LOG_LEVEL"):
        environment.pop(name, None)
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, timeout=timeout, resources=resources, allow_errors=allow_errors)
    client.execute(env=environment)


def streams(outputs: list[Any]) -> dict[str, str]:
    """The text of a cell's stdout and stderr, where there is any."""
    return {output.name: output.text for output in outputs if output.output_type == "stream"}
