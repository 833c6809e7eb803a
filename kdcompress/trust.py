"""Whether code that came with a file may run: never, unless the user says so for one command (`--trust-code`).

Code that the user names (`module:function` on the command line, or in a recipe given to distill or sweep) needs no
such word; code that a model file, a SavedModel's graph or a run's own recipe names does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_TRUSTED: ContextVar[bool] = ContextVar("kdcompress_trust_code", default=False)
REMEDY = "add --trust-code (trust_code=True) if you trust who made it"


def trusts_code() -> bool:
    """Whether code from files may run at this moment."""
    return _TRUSTED.get()


@contextmanager
def trusting_code(trusted: bool = True) -> Iterator[None]:
    """Within it, code from files runs if `trusted`; nothing in a file can say so."""
    token = _TRUSTED.set(trusted)
    try:
        yield
    finally:
        _TRUSTED.reset(token)
