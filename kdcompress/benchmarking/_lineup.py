"""Line-up of model files: which are compared, and on which images."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from kdcompress import registry
from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.benchmarking._base import Images, Shape
from kdcompress.benchmarking._fresh import check_starts
from kdcompress.benchmarking._request import BenchRequest
from kdcompress.benchmarking._subjects import Group, Lineup, Subject, count_images
from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings
from kdcompress.errors import ModelError, UsageError
from kdcompress.exporting import find_format, open_exported
from kdcompress.models import check_image_size
from kdcompress.runs.integrity import check_integrity
from kdcompress.verification.sizes import model_bytes

RESULT = "bench.json"
_MAX_VALUES = 1 << 29  # of all random images together
_SEED = 0


def of_files(paths: Sequence[Path], request: BenchRequest) -> Lineup:
    """Line up model files on random images, each on all its runtimes, and compare all with the first.

    Args:
        paths: Model files.
        request: Options.

    Returns:
        The line-up.

    Raises:
        UsageError: No runtime runs a file, a chosen runtime runs none, or the shape of the images is incomplete.
        ModelError: A runtime does not start, or cannot open a file.
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
            images = _random_images(shape, min(count_images(request), _max_images(shape, request)))
            settings = _image_settings(path, request)
            subjects.append(
                Subject(
                    name,
                    path,
                    str(path),
                    runtime,
                    signature.precision,
                    images,
                    model_bytes(path),
                    image_settings=settings,
                )
            )
    check_runtimes_used(request, [subject.runtime for subject in subjects])
    inputs = f"{count_images(request)} random images, pixels 0 to 255 (no run is given)"
    return Lineup([Group(subjects[0], subjects[1:])], inputs)


def check_runtimes_used(request: BenchRequest, runtimes: Collection[str]) -> None:
    """Check that every chosen runtime is used.

    Args:
        request: Options.
        runtimes: Names of the runtimes in use.

    Raises:
        UsageError: A chosen runtime runs none of the files.
    """
    for name in request.runtimes:
        if name not in runtimes:
            suffixes = ", ".join(make_runtime(name).suffixes)
            raise UsageError(f"--runtime {name} runs {suffixes} files, and none is to be timed; leave it out")


def _max_images(shape: Shape, request: BenchRequest) -> int:
    """Limit the number of random images by their memory, to no less than two batches."""
    return max(2 * max(request.batch_sizes), _MAX_VALUES // math.prod(shape))


def _random_images(shape: Shape, n: int) -> Images:
    return np.random.default_rng(_SEED).integers(0, 256, (n, *shape), np.uint8)


def _image_settings(path: Path, request: BenchRequest) -> ImageSettings:
    """Read how a file wants image files to be converted, if any are to be read."""
    if request.end_to_end is None or find_format(path) is None:
        return DEFAULT_IMAGE_SETTINGS
    try:
        return open_exported(path).image_settings
    except ModelError:  # a file of another tool, such as one that takes images of any size
        return DEFAULT_IMAGE_SETTINGS


def _runtimes_of(path: Path, request: BenchRequest) -> list[str]:
    """Select the runtimes of a file, and check that they are installed."""
    runtimes = runtimes_for(path, request.runtimes) if path.exists() else []
    if not runtimes:
        _refuse(path, request)
    for runtime in runtimes:
        make_runtime(runtime).require()
        check_starts(runtime)
    check_integrity(path)
    return runtimes


def _refuse(path: Path, request: BenchRequest) -> NoReturn:
    names = registry.choices("runtimes")
    if request.runtimes and path.exists() and (others := runtimes_for(path, names)):
        chosen = " ".join(f"--runtime {name}" for name in request.runtimes)
        raise UsageError(
            f"{chosen} leaves out {path}, which {' and '.join(others)} would run; leave the file or the option out, or "
            f"add --runtime {others[0]}"
        )
    runtimes: dict[str, list[str]] = {}
    for name in names:
        runtimes.setdefault(", ".join(make_runtime(name).suffixes), []).append(name)
    choices = ", ".join(f"{suffixes} ({', '.join(those)})" for suffixes, those in runtimes.items())
    hint = "; `kdcompress export` makes them" if path.suffix == ".keras" or find_format(path) else ""
    if path.suffix == ".pyz":
        hint = f", a bundle: `python3 {path}` runs it"
    raise UsageError(f"bench times one run, or files of a runtime: {choices}; got {path}{hint}")


def _names(paths: Sequence[Path]) -> list[str]:
    """Choose the shortest of stem, file name and path that is unique for each suffix."""
    for names in ([p.stem for p in paths], [p.name for p in paths], [str(p) for p in paths]):
        if len(set(zip(names, (p.suffix for p in paths), strict=True))) == len(paths):
            return names
    return [f"{path} ({index})" for index, path in enumerate(paths, start=1)]
