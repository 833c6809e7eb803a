"""Stripes, drawn in memory."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from kdcompress.data import Dataset, DatasetSource, Samples
from kdcompress.progress import Progress

CLASSES = ("horizontal", "vertical")


class Stripes(DatasetSource):
    """Grey images with noisy stripes, lying or standing."""

    size: int = Field(16, ge=4, le=64, description="side of an image, in pixels")
    count: int = Field(400, ge=10, le=100_000, description="images in train; a quarter of it in test")

    def load(self, progress: Progress) -> Dataset:
        """Draw all images."""
        return Dataset(
            "stripes", "drawn", CLASSES, self._draw("train", self.count), self._draw("test", self.count // 4)
        )

    def _draw(self, part: str, count: int) -> Samples:
        rng = np.random.default_rng(len(part))
        labels = np.arange(count) % len(CLASSES)
        lying = np.broadcast_to((np.arange(self.size) // 2 % 2 * 160)[:, None], (self.size, self.size))
        pixels = np.stack([lying if label == 0 else lying.T for label in labels])[..., None]
        noisy = np.clip(pixels + rng.normal(40, 60, pixels.shape), 0, 255).astype(np.uint8)
        return Samples(noisy, labels.astype(np.int64), np.array([f"{part}/{number}" for number in range(count)]))
