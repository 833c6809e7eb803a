"""Labelling: a teacher's outputs for all views of samples, batch by batch, and who computes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples, apply_transforms, iter_blocks, scale_transforms, view_transforms
from kdcompress.errors import TargetsError
from kdcompress.progress import Progress
from kdcompress.teachers._base import Teacher
from kdcompress.teachers._shards import Shard, missing_pieces, read_shard

LOGITS, EMBEDDING = "logits", "embedding"
TARGETS = {LOGITS: "<f4", EMBEDDING: "<f2"}
"""Names of the outputs that teachers give, and the types in which they are kept."""
_MAX_LISTED = 8  # numbers in a message


@dataclass(frozen=True)
class Labelling:
    """A teacher, samples and views, whose targets are computed.

    Attributes:
        teacher: The teacher.
        samples: The samples.
        views: The views of each sample.
        progress: Listener.
        target: Name of the targets.
    """

    teacher: Teacher
    samples: Samples
    views: ViewsSection
    progress: Progress
    target: str = LOGITS

    @property
    def dtype(self) -> str:
        """The type in which the targets are kept."""
        return TARGETS[self.target]

    def compute(self, images: NDArray[Any]) -> NDArray[Any]:
        """Compute the targets of images.

        Args:
            images: Pixels (n, H, W, C) of 0 to 255, of the teacher's input size.

        Returns:
            Shape (n, ...), in the type of the entry.
        """
        compute = self.teacher.logits if self.target == LOGITS else self.teacher.embed
        with np.errstate(over="ignore"):  # what float16 does not reach becomes infinite, and is refused
            return compute(images).astype(self.dtype)

    @property
    def batch(self) -> int:
        """The batch size, one for all of an entry: the bits of a row do not depend on who computes it, or when."""
        return default_batch_size(self.teacher.adapter.input_shape)

    def batches(self, shard: Shard) -> Iterator[NDArray[Any]]:
        """Compute the targets of a range of samples.

        Args:
            shard: The range.

        Yields:
            Targets (batch, views, ...) of all batches of the shard, in order.

        Raises:
            TargetsError: Names the sample whose outputs are not finite.
        """
        teacher, samples, views, batch = self.teacher, self.samples, self.views, self.batch
        size, teacher_size = samples.images.shape[1:3], teacher.adapter.input_shape[:2]
        images = teacher.resize(samples.images)
        for number, block in enumerate(iter_blocks(images, batch, shard.begin, shard.end)):
            begin = shard.begin + number * batch
            ids = samples.ids[begin : begin + len(block)]
            targets = [self.compute(block)]
            if views.count > 1:
                transforms = scale_transforms(view_transforms(views, ids, *size), size, teacher_size)
                for view in range(1, views.count):
                    targets.append(self.compute(np.asarray(apply_transforms(block, transforms[:, view], views.fill))))
            rows = np.stack(targets, axis=1)
            _check_finite(rows, ids)
            yield rows


@dataclass(frozen=True)
class Labelled:
    """Targets of consecutive samples.

    Attributes:
        rows: Targets (samples, views, ...); a whole number of batches, apart from the last samples of all.
        figures: How the work goes, to be shown beside its progress.
    """

    rows: NDArray[Any]
    figures: Mapping[str, float] = field(default_factory=dict)


class Labeller(ABC):
    """Who computes targets: this process, or workers."""

    @abstractmethod
    def label(self, labelling: Labelling, folder: Path, shape: tuple[int, ...], begin: int) -> Iterator[Labelled]:
        """Compute targets, taking what is stored already from shards.

        Args:
            labelling: Teacher, samples and views.
            folder: Folder of the shards.
            shape: Shape (samples, views, ...) of the targets.
            begin: Number of samples whose targets are there, a multiple of the batch size.

        Yields:
            The targets of all samples from `begin`, in order.

        Raises:
            TargetsError: Names a sample whose outputs are not finite.
        """


class OneProcess(Labeller):
    """Labels in this process, one batch after another."""

    def label(self, labelling: Labelling, folder: Path, shape: tuple[int, ...], begin: int) -> Iterator[Labelled]:
        """Yield the targets batch by batch; see `Labeller.label`."""
        for piece in missing_pieces(folder, begin, shape, labelling.batch, labelling.dtype):
            stored = read_shard(folder, piece, shape[1:], labelling.dtype) if piece.digest else None
            if stored is not None:
                yield Labelled(stored)
                continue
            for rows in labelling.batches(piece.shard):
                yield Labelled(rows)


def _check_finite(rows: NDArray[Any], ids: NDArray[np.str_]) -> None:
    bad = np.argwhere(~np.isfinite(rows).all(axis=tuple(range(2, rows.ndim))))
    if len(bad):
        row, view = bad[0]
        numbers = ", ".join(f"{value:g}" for value in np.ravel(rows[row, view])[:_MAX_LISTED])
        raise TargetsError(
            f"the teacher's outputs for sample {ids[row]} (view {view}) are not finite: {numbers}; "
            "check the teacher's weights and the range of pixels it expects (0 to 255 arrive)"
        )
