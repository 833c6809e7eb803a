"""How long work tells whoever watches: a null listener here, the terminal's in cli/."""

from __future__ import annotations

import logging
from collections.abc import Mapping

logger = logging.getLogger("kdcompress")


class Progress:
    """A listener of long work; this one only logs, a display overrides what it shows."""

    def note(self, text: str) -> None:
        """Something worth knowing, in one line."""
        logger.info(text)

    def warn(self, text: str) -> None:
        """Something to look at before the result is trusted, in one line."""
        logger.warning(text)

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        """A phase starts: `done` of `total` steps lie behind it already."""

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        """`done` steps of the current phase are done; `parts` are the running figures to show."""

    def epoch(self, phase: str, epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        """Epoch `epoch` (from 1) of `epochs` ended with the figures of `row`."""
        logger.info("%s epoch %d/%d %s", phase, epoch, epochs, dict(row))

    def end(self) -> None:
        """The current phase is over, whether it ended or broke."""
