"""Which models are timed against which, and on what images: the parts of a line-up, and that of files."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kdcompress import registry
from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.benchmarking._base import Images, Shape
from kdcompress.benchmarking._request import BenchRequest
from kdcompress.errors import UsageError
from kdcompress.exporting import find_format
from kdcompress.models import check_image_size
from kdcompress.runs.integrity import check_integrity
from kdcompress.teachers import InputAdapter

RESULT = "bench.json"
_MOST_VALUES = 1 << 29  # of all random images together
_IMAGES = 64  # at least; calls go through them again and again
_SEED = 0


@dataclass(frozen=True)
class Subject:
    """A model file to time on `images` (n, ...); `shown` is its path in results.

    `adapter` makes such images of raw pixels, where the file does not do that itself: of a teacher from elsewhere.
    """

    name: str
    path: Path
    shown: str
    runtime: str
    precision: str | None
    images: Images
    adapter: InputAdapter | None = None

    @property
    def image_shape(self) -> Shape:
        """The size of raw images that are to be read for it."""
        return self.adapter.input_shape if self.adapter else self.images.shape[1:]

    def prepare(self, pixels: Images) -> Images:
        """Raw pixels (n, *image_shape) as the file takes them."""
        return self.adapter.prepare(pixels) if self.adapter else pixels

    @property
    def model(self) -> str:
        """The name without the precision that it may end in: the same for one model in several precisions."""
        return self.name.removesuffix(f"-{self.precision}")

    @property
    def label(self) -> str:
        """As sentences call it."""
        return f"{self.model} {self.precision}" if self.precision else self.name


@dataclass
class Group:
    """Models that take turns: `reference` is what the others are compared with, None where it may not be timed."""

    reference: Subject | None
    others: list[Subject]

    @property
    def subjects(self) -> list[Subject]:
        """All of them, the reference first."""
        return [*([self.reference] if self.reference else []), *self.others]


@dataclass
class Lineup:
    """All groups, where their images are from, and what is not timed and why."""

    groups: list[Group]
    inputs: str
    skipped: list[str] = field(default_factory=list)


def of_files(paths: Sequence[Path], request: BenchRequest) -> Lineup:
    """Line up model files on random pixels, 0 to 255, each on all its runtimes; all are compared with the first.

    Raises:
        UsageError: A file that no runtime runs, a runtime that runs none of the files, or an image size that is open.
        ModelError: A file that is no model of its runtime.
        MissingExtraError: A runtime is not installed.
    """
    subjects = []
    for path, name in zip(paths, _names(paths), strict=True):
        for runtime in _runtimes_of(path, request):
            signature = make_runtime(runtime).signature(path)
            for batch_size in request.batch_sizes:
                signature.check_batch(path, batch_size)
            shape = signature.image_shape(path, request.input_shape)
            check_image_size(shape, str(path))
            images = _random(shape, min(wanted_images(request), _most_images(shape, request)))
            subjects.append(Subject(name, path, str(path), runtime, signature.precision, images))
    refuse_idle(request, [subject.runtime for subject in subjects])
    inputs = f"{wanted_images(request)} random images, pixels 0 to 255 (no run is given)"
    return Lineup([Group(subjects[0], subjects[1:])], inputs)


def refuse_idle(request: BenchRequest, runtimes: Collection[str]) -> None:
    """UsageError for a chosen runtime that is not among those in use."""
    for name in request.runtimes:
        if name not in runtimes:
            suffixes = ", ".join(make_runtime(name).suffixes)
            raise UsageError(f"--runtime {name} runs {suffixes} files, and none is to be timed; leave it out")


def wanted_images(request: BenchRequest) -> int:
    """How many images a benchmark goes through."""
    return max(_IMAGES, 2 * max(request.batch_sizes))


def batches(images: Images, batch_size: int) -> list[Images]:
    """All images in batches of one size; the last is filled up from the start, and there are two at least."""
    n = max(2, -(-len(images) // batch_size))
    index = np.arange(n * batch_size) % len(images)
    return [images[part] for part in np.split(index, n)]


def _most_images(shape: Shape, request: BenchRequest) -> int:
    """How many random images of a shape memory may hold, two batches at least."""
    return max(2 * max(request.batch_sizes), _MOST_VALUES // math.prod(shape))


def _random(shape: Shape, n: int) -> Images:
    return np.random.default_rng(_SEED).integers(0, 256, (n, *shape), np.uint8)


def _runtimes_of(path: Path, request: BenchRequest) -> list[str]:
    """The runtimes that a file is timed on, which are installed."""
    runtimes = runtimes_for(path, request.runtimes) if path.is_file() else []
    if not runtimes:
        names = request.runtimes or registry.choices("runtimes")
        known = ", ".join(f"{', '.join(make_runtime(name).suffixes)} ({name})" for name in names)
        export = "; `kdcompress export` makes them" if path.suffix == ".keras" or find_format(path) else ""
        raise UsageError(f"bench times one run, or files of a runtime: {known}; got {path}{export}")
    for runtime in runtimes:
        make_runtime(runtime).require()
    check_integrity(path)
    return runtimes


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest of stem, file name and path that tells the files of one runtime apart."""
    for choice in ([p.stem for p in paths], [p.name for p in paths], [str(p) for p in paths]):
        if len(set(zip(choice, (p.suffix for p in paths), strict=True))) == len(paths):
            return choice
    return [f"{path} ({index})" for index, path in enumerate(paths, start=1)]
