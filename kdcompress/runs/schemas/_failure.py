"""What a command prints with --json if it fails."""

from __future__ import annotations

from kdcompress.runs.schemas._result import Kept, Result


class Problem(Result):
    """What went wrong.

    Attributes:
        kind: usage, recipe, data, model, targets, training, run, export, device, missing_extra or failed: the class of
            the error; system: of the operating system; interrupted; unexpected: a fault of kdcompress.
        message: One line, as stderr says it.
    """

    kind: str
    message: str


class Failure(Kept):
    """What any command prints with exit codes 1, 2 and 130, unless its own document tells of the failure.

    Attributes:
        error: What went wrong.
    """

    error: Problem
