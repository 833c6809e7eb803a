"""Observers for tests."""

from __future__ import annotations

from typing import ClassVar

from pydantic import PrivateAttr

from kdcompress.events import EpochEnded, Event, Listener, Step
from kdcompress.observers import Observer


class Recording(Observer):
    """Keeps every event but steps, and how often it was closed."""

    word: str = "x"

    _events: list[Event] = PrivateAttr(default_factory=list)
    _closed: int = 0
    made: ClassVar[list[Recording]] = []

    def model_post_init(self, context: object) -> None:
        super().model_post_init(context)
        self.made.append(self)

    @property
    def events(self) -> list[Event]:
        return self._events

    @property
    def closed(self) -> int:
        return self._closed

    def observe(self, event: Event) -> None:
        if not isinstance(event, Step):
            self._events.append(event)

    def close(self) -> None:
        self._closed += 1


class Breaking(Recording):
    """Raises at the first epoch of a phase."""

    phase: str = "student"
    raises: type[BaseException] | None = None

    def observe(self, event: Event) -> None:
        super().observe(event)
        if isinstance(event, EpochEnded) and event.phase == self.phase:
            raise (self.raises or ValueError)("no\nspace")


class Interrupting(Listener):
    """Presses Ctrl-C at a step of the student."""

    def __init__(self, at: int) -> None:
        self.at = at

    def on_step(self, event: Step) -> None:
        if event.phase == "student" and event.done == self.at:
            raise KeyboardInterrupt
