"""Workers that hang: alive for Ray, and silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

ASIDE = "signs"  # concurrency group of the method that answers while another one works
_POLL_S = 1.0
_COUNTED_S = 15.0  # a look counts no longer than that, since it was this process that did not look
_GROWTH = 10.0  # a worker may be silent so many times as long as another one was that spoke again

K = TypeVar("K", bound=Hashable)


class Silence(Generic[K]):
    """Counts for how long workers have been silent.

    Args:
        limit_s: Seconds of silence that are too long; it grows with the longest silence that ended, so that slow
            workers are not taken for dead ones.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._silent_s: dict[K, float] = {}
        self._looked = time.monotonic()

    def heard(self, key: K) -> None:
        """Count anew from a sign of life on.

        Args:
            key: The worker.
        """
        self._limit_s = max(self._limit_s, _GROWTH * self._silent_s.get(key, 0.0))
        self._silent_s[key] = 0.0

    def too_long(self, working: Collection[K]) -> dict[K, float]:
        """Count the time since the last call.

        Args:
            working: The workers that have something to do; others may be silent.

        Returns:
            Seconds of silence of those that have been silent for too long.
        """
        now = time.monotonic()
        elapsed, self._looked = min(now - self._looked, _COUNTED_S), now
        self._silent_s = {key: self._silent_s.get(key, 0.0) + elapsed for key in working}
        return {key: seconds for key, seconds in self._silent_s.items() if seconds > self._limit_s}


@dataclass
class _Asked:
    question: Any
    sign: Any = None


class Watch(Generic[K]):
    """Asks workers for signs of life, and tells which have been silent for too long.

    A sign is an answer that differs from the one before.

    Args:
        ray: The module.
        limit_s: Seconds of silence; see `Silence`.
        ask: Asks an actor; returns a reference.
    """

    def __init__(self, ray: Any, limit_s: float, ask: Callable[[Any], Any]) -> None:
        self._ray, self._ask, self._silence = ray, ask, Silence[K](limit_s)
        self._asked: dict[K, _Asked] = {}
        self._next = 0.0

    def silent(self, working: Mapping[K, Any]) -> dict[K, float]:
        """Look whether workers have given signs since the last call.

        Args:
            working: Actors that have something to do, by any keys; others may be silent.

        Returns:
            Seconds of silence, by the keys of those that have been silent for too long.
        """
        if time.monotonic() < self._next:
            return {}
        self._next = time.monotonic() + _POLL_S
        self._asked = {key: self._asked.get(key) or _Asked(self._ask(actor)) for key, actor in working.items()}
        for key, asked in self._asked.items():
            if self._has_news(asked, working[key]):
                self._silence.heard(key)
        return self._silence.too_long(working)

    def _has_news(self, asked: _Asked, actor: Any) -> bool:
        """Whether there is an answer to the last question that differs from that to the one before; ask again."""
        if not self._ray.wait([asked.question], timeout=0)[0]:
            return False
        try:
            sign = self._ray.get(asked.question)
        except self._ray.exceptions.RayError:  # it is dead, which its work shows
            return False
        before, asked.sign, asked.question = asked.sign, sign, self._ask(actor)
        return bool(sign != before)
