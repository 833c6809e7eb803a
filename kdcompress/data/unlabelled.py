"""Further images without labels: a folder of image files, or an array of pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import UnlabelledSection
from kdcompress.data.base import Dataset
from kdcompress.data.duplicates import image_digests
from kdcompress.data.filesystem import exists, expand_user, is_file
from kdcompress.data.finding import find_images
from kdcompress.data.images import MODES, check_image_values
from kdcompress.data.index import index_images
from kdcompress.data.npz import ArrayFile
from kdcompress.data.samples import UNLABELLED, Samples
from kdcompress.data.stores import FileImages, Images, MappedImages, resize_images
from kdcompress.errors import DataError
from kdcompress.progress import Progress

_MAX_LISTED = 3  # images that a warning names


def load_unlabelled(section: UnlabelledSection, dataset: Dataset, progress: Progress) -> Samples:
    """The images in `section.dir` in the size and colours of the data set, without labels (UNLABELLED).

    Image files are found in all folders below; an npz file, or a folder of npy files, has its images in `x`. Images
    that are in test, too, are warned about: the student would learn what the teacher says of them. Errors: DataError.
    """
    path = expand_user(section.dir)
    if not exists(path):
        raise DataError(f"unlabelled.dir: {path} does not exist")
    has_array = is_file(path) or is_file(path / "x.npy")
    samples = _mapped(path, dataset, progress) if has_array else _files(path, dataset, progress)
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


def _files(root: Path, dataset: Dataset, progress: Progress) -> Samples:
    ids = np.array([path.relative_to(root).as_posix() for path in find_images([root])], np.str_)
    rows = index_images(root, ids, progress)
    return _unlabelled(FileImages(root, ids, dataset.input_shape, rows["sha256"]), ids)


def _mapped(path: Path, dataset: Dataset, progress: Progress) -> Samples:
    array = ArrayFile(path, progress)["x"]
    channels = array.shape[3] if array.ndim == 4 else 1
    if array.dtype != np.uint8 or array.ndim not in (3, 4) or channels not in MODES or not array.size:
        raise DataError(
            f"{path}: x must be pixels of uint8, (n, H, W) or (n, H, W, C) with C 1, 3 or 4, "
            f"got {array.dtype} {array.shape}"
        )
    check_image_values(array.shape, f"{path}: x")
    ids = np.arange(len(array)).astype(str)
    return _unlabelled(resize_images(MappedImages(array), dataset.input_shape), ids)


def _unlabelled(images: Images, ids: NDArray[np.str_]) -> Samples:
    return Samples(images, np.full(len(ids), UNLABELLED, np.int64), np.char.add("unlabelled/", ids))
