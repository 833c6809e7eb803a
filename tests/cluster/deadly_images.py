"""Images that end or stop a process which reads one of them, and images that differ elsewhere."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from kdcompress.data import Images, LazyImages
from kdcompress.data.stores import take_images


class DeadlyImages(LazyImages):
    """Images of which one kills whoever reads it, except the process that made them.

    Args:
        images: The images.
        victim: Row of the deadly one; -1 for none.
        folder: Counts the deaths.
        deaths: Number of deaths, after which it is harmless.
        home: The process that is spared.
        kind: The signal; SIGSTOP leaves a process that never answers.
    """

    def __init__(
        self,
        images: Images,
        victim: int,
        folder: Path,
        deaths: int,
        home: int | None = None,
        kind: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.images, self.victim, self.folder, self.deaths, self.kind = images, victim, folder, deaths, kind
        self.home = os.getpid() if home is None else home
        self.shape = images.shape  # type: ignore[assignment]

    def __getitem__(self, rows: object) -> np.ndarray:
        index = np.arange(len(self))[rows]  # type: ignore[call-overload]
        count = len(list(self.folder.iterdir()))
        if self.victim in index and os.getpid() != self.home and count < self.deaths:
            (self.folder / str(count)).touch()
            os.kill(os.getpid(), self.kind)
        return np.asarray(self.images[index])

    def take(self, index: np.ndarray) -> DeadlyImages:
        places = np.flatnonzero(index == self.victim)
        victim = int(places[0]) if len(places) else -1
        return DeadlyImages(self.images[index], victim, self.folder, self.deaths, self.home, self.kind)


class Elsewhere(LazyImages):
    """Images that are darker in every process but the one that made them, as a folder of the same name may be.

    Args:
        images: The images.
        home: The process in which they are as they are.
    """

    def __init__(self, images: Images, home: int) -> None:
        self.images, self.home = images, home
        self.shape = images.shape  # type: ignore[assignment]

    def __getitem__(self, rows: object) -> np.ndarray:
        pixels = np.asarray(self.images[rows])  # type: ignore[index]
        return pixels if os.getpid() == self.home else pixels // 2

    def take(self, index: np.ndarray) -> Elsewhere:
        return Elsewhere(take_images(self.images, index), self.home)
