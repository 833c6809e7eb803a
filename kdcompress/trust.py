"""Permission to run code that comes with a file: denied, unless the user passes `--trust-code`.

Code that the user names (`module:function` on the command line, or in a recipe passed to distill or sweep) needs no
permission; code that a model file, a SavedModel graph or a run's own recipe names does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRUSTED: ContextVar[bool] = ContextVar("kdcompress_trust_code", default=False)
REMEDY = "add --trust-code (trust_code=True) if you trust who made it"


def trusts_code() -> bool:
    """Return whether code from files may currently run."""
    return _TRUSTED.get()


@contextmanager
def trusting_code(trusted: bool = True) -> Iterator[None]:
    """Context manager that permits or denies code from files. Nothing in a file can set it.

    Args:
        trusted: Whether code from files may run.
    """
    token = _TRUSTED.set(trusted)
    try:
        yield
    finally:
        _TRUSTED.reset(token)
