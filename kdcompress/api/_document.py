"""What a verb returns is the document that its command prints with --json."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

from kdcompress.runs.documents import versioned

Given = ParamSpec("Given")


def document(verb: Callable[Given, dict[str, Any]]) -> Callable[Given, dict[str, Any]]:
    """Let a verb's result say the version of its schema."""

    @functools.wraps(verb)
    def wrapped(*args: Given.args, **kwargs: Given.kwargs) -> dict[str, Any]:
        return versioned(verb(*args, **kwargs))

    return wrapped
