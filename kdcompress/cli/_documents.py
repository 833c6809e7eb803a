"""The JSON document that a command prints with --json, exactly one whatever its exit code."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from kdcompress.cli._printable import printable_json

if TYPE_CHECKING:
    from kdcompress.runs.schemas import Kept


class _State:
    printed = False


def reset() -> None:
    """Begin a command."""
    _State.printed = False


def format_document(value: Kept, encoding: str) -> str:
    """Format the document of the command, which is complete with it.

    Args:
        value: The result.
        encoding: Encoding of the stream that it is printed to.

    Returns:
        Its JSON text.
    """
    _State.printed = True
    return printable_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), encoding)


def print_failure(kind: str, message: str) -> None:
    """Print the document of a command that failed, unless it has printed its own.

    Args:
        kind: Class of the error.
        message: What went wrong, as stderr says it.
    """
    if not _State.printed:
        from kdcompress.runs.schemas import Failure

        failure = Failure.of({"error": {"kind": kind, "message": message}})
        print(format_document(failure, sys.stdout.encoding or "utf-8"), flush=True)
