"""The events of a run as lines of text."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kdcompress.events import Event
from kdcompress.observers import Observer


class Lines(Observer):
    """Appends the name of every event to a file, and the epoch of those that have one."""

    file: str = Field("events.txt", min_length=1, description="the file")

    def observe(self, event: Event) -> None:
        """Append a line."""
        with Path(self.file).open("a", encoding="utf-8") as lines:
            print(type(event).__name__, getattr(event, "epoch", ""), file=lines)
