"""What an observer of runs is: a listener with settings."""

from __future__ import annotations

import importlib.util
from typing import ClassVar

from kdcompress.config.choices import Choice
from kdcompress.errors import MissingExtraError
from kdcompress.events import Listener


class Observer(Choice, Listener):
    """Watches runs and sweeps: settings as pydantic fields, and a method for each kind of event.

    A subclass overrides the methods of the events that it needs (see `Listener`), or `observe` to get them all. What it
    keeps between events is a private attribute, `_writer: Any = None`. One that raises is left out for the rest of the
    run, with a warning: it never decides the result.
    """

    SECTION: ClassVar[str] = "observers"
    module: ClassVar[str] = ""
    """A package that it needs, by the name to import it by."""

    def check(self) -> None:
        """Check that the observer can work, before anything is trained.

        Raises:
            MissingExtraError: A package that it needs is not installed; see `require_package`.
        """

    def close(self) -> None:
        """Release what the observer holds: the last call, after the run finished or failed, or the observer itself."""


def require_package(package: str, purpose: str, extra: str) -> None:
    """Check that an optional package is installed, without importing it.

    Args:
        package: The name to import it by.
        purpose: What needs it, for the message.
        extra: The extra of kdcompress that installs it.

    Raises:
        MissingExtraError: It is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise MissingExtraError(f'{purpose} needs {package}, which is not installed: pip install "kdcompress[{extra}]"')
