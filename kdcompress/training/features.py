"""Outputs of frozen layers for each view of each image, computed once and stored on disk."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples, apply_transforms, iter_blocks, view_transforms
from kdcompress.digests import json_digest
from kdcompress.files import write_atomically
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.models import Forward, model_digest
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import FEATURES
from kdcompress.sealed import is_sealed, seal

_MAX_DISK = 0.5  # fraction of the free disk space that features may take


@dataclass(frozen=True)
class Features:
    """Outputs of frozen layers.

    Attributes:
        array: Memory-mapped features (views, samples, *shape), float32.
    """

    array: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one view of one image."""
        return tuple(self.array.shape[2:])

    def rows(self, index: NDArray[np.int64], view: NDArray[np.int64]) -> NDArray[np.float32]:
        """Read features.

        Args:
            index: Sample indices (n,).
            view: View numbers (n,).

        Returns:
            Shape (n, *shape).
        """
        return np.asarray(self.array[view, index])


class FrozenLayers:
    """The frozen part of a model, run over several sets of images.

    Args:
        model: Keras model from images to features.
    """

    def __init__(self, model: Any) -> None:
        self.digest = model_digest(model)
        self.run = Forward(model)
        self._shape_of = model.compute_output_shape

    def shape(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """Compute the shape of the features of an image, which the graph may leave open.

        Args:
            image: Shape (H, W, C).
        """
        return tuple(self._shape_of((1, *image))[1:])


def compute_features(
    frozen: FrozenLayers, samples: Samples, views: ViewsSection, folder: Path, name: str, progress: Progress
) -> Features | None:
    """Compute the features of every view of every sample, or read them from the folder.

    The file is named by a digest of layers, samples and views, and is written atomically. Each image is read once.

    Args:
        frozen: The frozen layers.
        samples: The samples.
        views: The views of each sample.
        folder: Folder of feature files.
        name: Name of the training in messages.
        progress: Listener.

    Returns:
        The features; None if there is not enough disk space.
    """
    shape = (views.count, len(samples), *frozen.shape(samples.images.shape[1:]))
    key = [frozen.digest, samples.digest(), samples.ids.tolist(), views.identity]
    path = folder / f"{json_digest(key)[:32]}.npy"
    with _locked(folder):
        if not is_sealed(path):
            for leftover in filter(is_partial, folder.iterdir()):  # of a process that was killed
                remove_path(leftover)
            needed = 4 * int(np.prod(shape))
            if needed > _MAX_DISK * shutil.disk_usage(folder).free:
                progress.note(f"{name}: no room for {needed:,} bytes of features: frozen layers run in every epoch")
                return None
            start = time.perf_counter()
            _write(frozen, samples, views, path, shape, progress)
            seal(path)
            progress.note(
                f"{name}: frozen layers run once over {len(samples):,} images x {views.count} views, "
                f"{time.perf_counter() - start:.1f} s"
            )
        return Features(np.load(path, mmap_mode="r", allow_pickle=False))


def delete_features(folder: Path) -> None:
    """Delete a folder of features, once no process is writing to it; open files stay readable.

    Args:
        folder: The folder.
    """
    with _locked(folder):
        if not FEATURES.delete(folder):
            folder.rmdir()
    folder.with_suffix(".lock").unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create the folder if necessary and lock it, since trainings of a sweep share it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        folder.mkdir(exist_ok=True)
        yield


def _write(
    frozen: FrozenLayers, samples: Samples, views: ViewsSection, path: Path, shape: tuple[int, ...], progress: Progress
) -> None:
    """Write the features; without a memory map, with which a full disk would crash the process."""
    batch, row = default_batch_size(samples.images.shape[1:]), 4 * int(np.prod(shape[2:]))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})

    def write(part: Path) -> None:
        with part.open("wb") as out:
            out.write(header.getvalue())
            for done, (view, begin, features) in enumerate(_passes(frozen, samples, views, batch), start=1):
                out.seek(len(header.getvalue()) + (view * len(samples) + begin) * row)
                out.write(features.astype("<f4").tobytes())
                progress.step(done, {})

    progress.begin("features", -(-len(samples) // batch) * views.count)
    try:
        write_atomically(path, write)
    finally:
        progress.end()


def _passes(
    frozen: FrozenLayers, samples: Samples, views: ViewsSection, batch: int
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """(view, first sample, features) of all blocks of samples, each of which is read once."""
    size, begin = samples.images.shape[1:3], 0
    for block in iter_blocks(samples.images, batch):
        ids = samples.ids[begin : begin + len(block)]
        transforms = view_transforms(views, ids, *size) if views.count > 1 else None
        for view in range(views.count):
            images = block
            if view and transforms is not None:
                images = np.asarray(apply_transforms(block, transforms[:, view], views.fill))
            yield view, begin, frozen.run(images)
        begin += len(block)
