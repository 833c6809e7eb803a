"""Models of a benchmark, in groups that take turns; requires NumPy only, as everything that a device runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdcompress.benchmarking._base import Images, Shape
from kdcompress.benchmarking._request import BenchRequest

if TYPE_CHECKING:
    from kdcompress.config.images import ImageSettings
    from kdcompress.teachers import InputAdapter

_MIN_IMAGES = 64  # which calls cycle through


@dataclass(frozen=True)
class Subject:
    """A model file to time.

    Attributes:
        name: Name in results.
        path: The file.
        shown_path: Its path in results.
        runtime: Name of the runtime.
        precision: Precision, if known.
        images: Images as the file takes them, (n, ...).
        size_bytes: Size of the file, with the external weights of an ONNX model.
        adapter: Converts raw pixels to such images, for a teacher that does not do so itself.
        image_settings: How image files are converted to raw pixels; None for the defaults.
    """

    name: str
    path: Path
    shown_path: str
    runtime: str
    precision: str | None
    images: Images
    size_bytes: int
    adapter: InputAdapter | None = None
    image_settings: ImageSettings | None = None

    @property
    def image_shape(self) -> Shape:
        """Shape of the raw images to read for it."""
        return self.adapter.input_shape if self.adapter else self.images.shape[1:]

    def prepare(self, pixels: Images) -> Images:
        """Convert raw pixels, (n, *image_shape), to images as the file takes them."""
        return self.adapter.prepare(pixels) if self.adapter else pixels

    @property
    def model(self) -> str:
        """Name without the precision at its end, which is the same for all precisions of a model."""
        return self.name.removesuffix(f"-{self.precision}")

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"{self.model} {self.precision}" if self.precision else self.name


@dataclass
class Group:
    """Models that take turns.

    Attributes:
        reference: Model that the others are compared with; None if it cannot be timed.
        others: The other models.
        across: Models on other runtimes, where the reference cannot be timed; gates are for these only if there are no
            others.
    """

    reference: Subject | None
    others: list[Subject]
    across: list[Subject] = field(default_factory=list)

    @property
    def subjects(self) -> list[Subject]:
        """All models, the reference first."""
        return [*([self.reference] if self.reference else []), *self.others, *self.across]


@dataclass
class Lineup:
    """All groups of a benchmark.

    Attributes:
        groups: Groups, timed together.
        inputs: Description of the images.
        skipped: What is not timed, and why.
        files: Image files to time from, too.
    """

    groups: list[Group]
    inputs: str
    skipped: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def subjects(self) -> list[Subject]:
        """All models."""
        return [subject for group in self.groups for subject in group.subjects]


def count_images(request: BenchRequest) -> int:
    """Return how many images a benchmark uses: at least 64, and at least two of its largest batches."""
    return max(_MIN_IMAGES, 2 * max(request.batch_sizes))


def batches(images: Images, batch_size: int) -> list[Images]:
    """Split images into at least two batches of equal size; the last is filled from the start.

    Args:
        images: (n, ...).
        batch_size: Images per batch.

    Returns:
        The batches.
    """
    n = max(2, -(-len(images) // batch_size))
    index = np.arange(n * batch_size) % len(images)
    return [images[rows] for rows in np.split(index, n)]


def pair_across_runtimes(
    groups: Sequence[Group], problems: Mapping[str, str], elsewhere: Subject | None = None
) -> tuple[list[Group], list[str]]:
    """Compare students on runtimes without the teacher with the teacher on another runtime, if there is one.

    Args:
        groups: Groups by runtime.
        problems: Why the teacher cannot be timed, by runtime.
        elsewhere: The teacher on a runtime that no student runs on, if no group has a reference.

    Returns:
        The groups, and where the teacher is not timed, and why.
    """
    alone = [group for group in groups if group.reference is None]
    paired = [group for group in groups if group.reference is not None]
    if alone and not paired and elsewhere:
        paired = [Group(elsewhere, [])]
    outcome = "have no speedup"
    if alone and paired:
        paired[0].across += [student for group in alone for student in group.others]
        reference = paired[0].reference
        outcome = f"are compared with it on {reference.runtime if reference else ''}, across runtimes"
    skipped = [
        f"the teacher on {runtime}: {problem}; students there {outcome}" for runtime, problem in problems.items()
    ]
    return paired or alone, skipped
