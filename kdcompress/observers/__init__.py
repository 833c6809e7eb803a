"""One file per observer, each defining OBSERVER, a subclass of Observer."""

from __future__ import annotations

from kdcompress.observers._base import Observer, require_package
from kdcompress.observers._running import check_observers, observe_run

__all__ = ["Observer", "check_observers", "observe_run", "require_package"]
