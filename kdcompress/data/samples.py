"""Labelled images with their annotations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.stores import Images, JoinedImages, content_bytes, take_images

UNLABELLED = -1


@dataclass(frozen=True)
class Samples:
    """Images with labels and optional annotations.

    Attributes:
        images: Pixels, (n, H, W, C), uint8.
        labels: Class indices, (n,); UNLABELLED for an image without a label.
        ids: Unique ids, (n,).
        groups: Groups that must stay on one side of a split (a patient, a scene), (n,).
        subclasses: Known subclass of each image, counted through all classes, (n,).
        votes: Number of annotators who chose each class, (n, classes).
        soft_labels: Distributions that are learned instead of the labels, (n, classes), rows that sum to 1.
    """

    images: Images
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.str_] | None = None
    subclasses: NDArray[np.int64] | None = None
    votes: NDArray[np.int64] | None = None
    soft_labels: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64]) -> Samples:
        """Select samples.

        Args:
            index: Row indices.

        Returns:
            The samples, in that order.
        """

        def select(rows: Any) -> Any:
            return None if rows is None else rows[index]

        optional = (self.groups, self.subclasses, self.votes, self.soft_labels)
        return Samples(take_images(self.images, index), self.labels[index], self.ids[index], *map(select, optional))

    def join(self, other: Samples) -> Samples:
        """Append unlabelled samples.

        Args:
            other: Samples without labels.

        Returns:
            All samples, with images, labels, ids and soft labels; other annotations are dropped.
        """
        images, soft_labels = JoinedImages(self.images, other.images), self.soft_labels
        if soft_labels is not None:  # of which those of an image without label weigh nothing
            soft_labels = np.concatenate(
                [soft_labels, np.full((len(other), soft_labels.shape[-1]), 1 / soft_labels.shape[-1], "f4")]
            )
        labels, ids = np.append(self.labels, other.labels), np.append(self.ids, other.ids)
        return Samples(images, labels, ids, soft_labels=soft_labels)

    def digest(self) -> str:
        """Return the SHA-256 of shapes, pixels and labels."""
        return samples_digest([self])


def samples_digest(parts: Iterable[Samples]) -> str:
    """Compute the SHA-256 of shapes, pixels (or bytes of image files) and labels.

    Args:
        parts: Samples, in order.

    Returns:
        64 hex digits.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(repr(part.images.shape).encode())
        for block in content_bytes(part.images):
            digest.update(block)
        digest.update(np.ascontiguousarray(part.labels).data)
        # "chances" is the former name of the soft labels, which the fingerprints of earlier runs contain
        optional = (("subclasses", part.subclasses), ("chances", part.soft_labels), ("votes", part.votes))
        for key, values in optional:
            if values is not None:
                digest.update(key.encode())
                digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
