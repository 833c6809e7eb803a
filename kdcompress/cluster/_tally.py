"""How labelling goes: shards, images a second, workers that were lost, and what is left."""

from __future__ import annotations

import time

from kdcompress.formatting import duration, plural
from kdcompress.progress import Progress

_NOTES = 10  # over the whole labelling


class Tally:
    """Counts the shards that are merged, and reports now and then.

    Args:
        progress: Receives notes.
        shards: Number of shards.
    """

    def __init__(self, progress: Progress, shards: int) -> None:
        self._progress, self._shards = progress, shards
        self._merged, self._images = 0, 0
        self._begun = time.perf_counter()
        self._start: float | None = None  # when the first worker began
        self._next_note, self._exact = 1 / _NOTES, True

    def count(self, images: int, workers: int, deaths: int) -> dict[str, float]:
        """Count a merged shard.

        Args:
            images: Number of its images.
            workers: Number of workers at present.
            deaths: Number of workers that were lost so far.

        Returns:
            Figures to show beside the progress.
        """
        self._merged, self._images = self._merged + 1, self._images + images
        now = time.perf_counter()
        seconds = max(1e-9, now - (self._start or now))
        rate = self._images / seconds if self._start else 0.0
        if self._merged >= self._next_note * self._shards:
            self._next_note = (int(_NOTES * self._merged / self._shards) + 1) / _NOTES
            left = seconds / self._merged * (self._shards - self._merged)
            lost = f", {plural(deaths, 'lost worker')} replaced" if deaths else ""
            self._progress.note(
                f"labelling: {self._merged:,} of {plural(self._shards, 'shard')}, {plural(workers, 'worker')}, "
                f"{rate:.4g} images a second{lost}, {duration(left)} left"
            )
        return {"workers": workers, "shards": self._merged, "images/s": round(rate), "lost": deaths}

    def ready(self, exact: bool) -> None:
        """Count from now on, as a worker has begun; note, once, that its outputs have other bits.

        Args:
            exact: Whether its logits of the first samples are those of this process, bit by bit.
        """
        if self._start is None:
            self._start = time.perf_counter()
            self._progress.note(
                f"labelling: the first worker has opened the teacher ({self._start - self._begun:.1f} s)"
            )
        if self._exact and not exact:
            self._exact = False
            self._progress.note(
                "a worker's outputs differ from those of this process in their last bits (another processor, or other "
                "threads): so will its targets"
            )
