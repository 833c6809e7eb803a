"""Additional unlabelled images: a folder of image files, or an array of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import UnlabelledSection
from kdcompress.data.array_pixels import check_pixels
from kdcompress.data.base import Dataset
from kdcompress.data.duplicates import image_digests
from kdcompress.data.filesystem import exists, expand_user, is_file
from kdcompress.data.finding import find_images
from kdcompress.data.index import index_images
from kdcompress.data.npz import ArrayFile
from kdcompress.data.ranges import check_file_ranges
from kdcompress.data.resizing import note_distorted, resize_images
from kdcompress.data.samples import UNLABELLED, Samples
from kdcompress.data.scaled import scale_images
from kdcompress.data.stores import FileImages, Images, MappedImages
from kdcompress.errors import DataError
from kdcompress.progress import Progress
from kdcompress.remote import local_path

_MAX_LISTED = 3  # images that a warning names


def load_unlabelled(section: UnlabelledSection, dataset: Dataset, progress: Progress) -> Samples:
    """Load unlabelled images and warn about those that are also in test.

    Args:
        section: The recipe's section `unlabelled`. `dir` is a folder of image files, which is searched recursively, or
            an npz file or folder of npy files with images in `x`.
        dataset: The data set, whose image shape they get.
        progress: Receives notes and warnings.

    Returns:
        The samples, with UNLABELLED as labels.

    Raises:
        DataError: If images are missing or damaged.
    """
    local_path(section.dir, progress)  # of what lies at a distance, the user sees that it is copied
    path = expand_user(section.dir)
    if not exists(path):
        raise DataError(f"unlabelled.dir: {path} does not exist")
    has_array = is_file(path) or is_file(path / "x.npy")
    samples = _load_array(path, dataset, progress) if has_array else _load_files(path, dataset, progress)
    if section.limit is not None:
        samples = samples.take(np.arange(min(section.limit, len(samples))))
    shared = np.flatnonzero(np.isin(image_digests(samples), image_digests(dataset.test)))
    if len(shared):
        names = ", ".join(samples.ids[shared[:_MAX_LISTED]].tolist())
        more = f" and {len(shared) - _MAX_LISTED} more" if len(shared) > _MAX_LISTED else ""
        progress.warn(
            f"{len(shared):,} unlabelled images are in test, too: {names}{more}: the student learns what the teacher "
            "says of them, and figures on test may be too good; take them out"
        )
    return samples


def _load_files(root: Path, dataset: Dataset, progress: Progress) -> Samples:
    ids = np.array([path.relative_to(root).as_posix() for path in find_images([root], progress)], np.str_)
    rows, settings = index_images(root, ids, progress), dataset.image_settings
    check_file_ranges(root, ids, rows, settings.scale, progress)
    if settings.resize == "squash":
        note_distorted(ids, rows, dataset.input_shape, progress)
    return _make_samples(FileImages(root, ids, dataset.input_shape, rows, settings), ids)


def _load_array(path: Path, dataset: Dataset, progress: Progress) -> Samples:
    array, scale = ArrayFile(path, progress)["x"], dataset.array_scale
    check_pixels({"x": array}, str(path), scale=scale)
    remedy = None if dataset.name == "arrays" else "multiply them to 0 to 255"
    (images,) = scale_images([MappedImages(array)], scale, str(path), progress, remedy)
    ids = np.arange(len(array)).astype(str)
    return _make_samples(resize_images(images, dataset.input_shape, dataset.image_settings.resize), ids)


def _make_samples(images: Images, ids: NDArray[np.str_]) -> Samples:
    return Samples(images, np.full(len(ids), UNLABELLED, np.int64), np.char.add("unlabelled/", ids))
