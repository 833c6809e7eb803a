"""The state of one phase of long work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from kdcompress.events import EpochEnded
from kdcompress.formatting import epoch_metrics, losses


@dataclass
class Phase:
    """A phase that runs or has ended.

    Attributes:
        name: Its name.
        total: Number of its steps.
        done: Number of steps done.
        seconds: How long it took; None while it runs.
    """

    name: str
    total: int
    done: int
    seconds: float | None = None
    _first: int = field(init=False)
    _started: float = field(default_factory=time.monotonic)
    _figures: str = ""
    _epoch: str = ""

    def __post_init__(self) -> None:
        self._first = self.done

    @property
    def fraction(self) -> float:
        """The fraction of the steps that is done."""
        return min(1.0, self.done / self.total) if self.total > 0 else 1.0

    def step(self, done: int, figures: Mapping[str, float]) -> None:
        """Record a step.

        Args:
            done: Number of steps done.
            figures: Running means, such as the loss.
        """
        self.done, self._figures = done, losses(figures)

    def epoch_ended(self, event: EpochEnded) -> None:
        """Record the metrics of an epoch, in place of those of the epoch before."""
        self._epoch = f"epoch {event.epoch}/{event.epochs}  {epoch_metrics(event.metrics)}"

    def end(self) -> None:
        """Record that the phase ended, complete or not."""
        if self.seconds is None:
            self.seconds = time.monotonic() - self._started

    def seconds_left(self) -> float | None:
        """Estimate the remaining seconds from the steps so far; None before the first step."""
        steps = self.done - self._first
        if steps <= 0:
            return None
        return (time.monotonic() - self._started) / steps * max(0, self.total - self.done)

    def describe(self) -> str:
        """The steps, the running losses, and the metrics of the last epoch."""
        running = self._figures if self.seconds is None else ""
        return "  ·  ".join(filter(None, [f"{self.done:,}/{self.total:,}", running, self._epoch]))
