"""Timing from image files to answers: reading, decoding and scaling included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._result import Measured
from kdcompress.benchmarking._subjects import Subject, batches
from kdcompress.benchmarking._timing import Call, Contender
from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS
from kdcompress.data import find_images, read_image
from kdcompress.errors import UsageError
from kdcompress.progress import Progress


def find_files(folder: Path, subjects: Sequence[Subject], progress: Progress) -> list[Path]:
    """Find the image files of a benchmark.

    Args:
        folder: Folder of images.
        subjects: Models that are to run on them.
        progress: Receives notes.

    Returns:
        The files.

    Raises:
        UsageError: A model does not take images.
        DataError: There are no images.
    """
    for subject in subjects:
        shape = subject.image_shape
        if len(shape) != 3 or shape[-1] not in (1, 3, 4):
            sizes = ", ".join(map(str, shape))
            raise UsageError(
                f"--end-to-end needs models of images (H, W, C), C 1, 3 or 4; {subject.path} takes {sizes}"
            )
    return find_images([folder], progress)


def make_contender(measured: Measured, files: Sequence[Path]) -> Contender:
    """Create the contender that reads, decodes and scales image files, converts them to the model's input, and runs it.

    Args:
        measured: Model and setting.
        files: Image files.

    Returns:
        The contender.
    """
    subject, shape = measured.subject, measured.batch.shape
    runtime = make_runtime(subject.runtime)

    def open_model() -> Call:
        session = runtime.open(subject.path, measured.threads, shape)
        size, settings = _image_size(subject), subject.image_settings or DEFAULT_IMAGE_SETTINGS

        def call(paths: list[Path]) -> Any:
            images = np.stack([read_image(path, size, settings) for path in paths])
            return session.invoke(session.prepare(subject.prepare(images)))

        return call

    indices = [batch.tolist() for batch in batches(np.arange(len(files)), measured.batch_size)]
    return Contender(open_model, [[files[i] for i in batch] for batch in indices])


def _image_size(subject: Subject) -> tuple[int, int, int]:
    height, width, channels = subject.image_shape  # `find_files` has ensured three dimensions
    return height, width, channels
