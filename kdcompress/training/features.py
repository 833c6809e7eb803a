"""What frozen layers make of each view of each image: computed once, then read in the images' place."""

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

_SPARE = 0.5  # the part of the free disk that features may take


@dataclass(frozen=True)
class Features:
    """Features (views, samples, *shape) float32, in a file that is mapped."""

    array: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one view of one image."""
        return tuple(self.array.shape[2:])

    def rows(self, index: NDArray[np.int64], view: NDArray[np.int64]) -> NDArray[np.float32]:
        """The features of samples and their views."""
        return np.asarray(self.array[view, index])


class FrozenLayers:
    """A network that learns nothing any more, to be run over several sets of images."""

    def __init__(self, model: Any) -> None:
        self.digest = model_digest(model)
        self.run = Forward(model)
        self._shape_of = model.compute_output_shape

    def shape(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of what an image (H, W, C) becomes, which the graph itself may leave open."""
        return tuple(self._shape_of((1, *image))[1:])


def compute_features(
    frozen: FrozenLayers, samples: Samples, views: ViewsSection, folder: Path, what: str, progress: Progress
) -> Features | None:
    """The output of `frozen` for every view of every sample, from a file in `folder` or computed into it, whole.

    The file is named by the network, the samples and the views. None if the disk has no room for it. Images are read
    once, and pass through the network once for each view.
    """
    shape = (views.count, len(samples), *frozen.shape(samples.images.shape[1:]))
    facts = [frozen.digest, samples.digest(), samples.ids.tolist(), views.identity]
    path = folder / f"{json_digest(facts)[:32]}.npy"
    with _locked(folder):
        if not is_sealed(path):
            for leftover in filter(is_partial, folder.iterdir()):  # of a process that was killed
                remove_path(leftover)
            needed = 4 * int(np.prod(shape))
            if needed > _SPARE * shutil.disk_usage(folder).free:
                progress.note(f"{what}: no room for {needed:,} bytes of features: frozen layers run in every epoch")
                return None
            start = time.perf_counter()
            _write(frozen, samples, views, path, shape, progress)
            seal(path)
            progress.note(
                f"{what}: frozen layers run once over {len(samples):,} images x {views.count} views, "
                f"{time.perf_counter() - start:.1f} s"
            )
        return Features(np.load(path, mmap_mode="r", allow_pickle=False))


def delete_features(folder: Path) -> None:
    """Delete a folder of features, when nobody is writing there; those who read go on reading."""
    with _locked(folder):
        if not FEATURES.delete(folder):
            folder.rmdir()
    folder.with_suffix(".lock").unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder, which is made if it is not there, to oneself: trainings of a sweep share it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        folder.mkdir(exist_ok=True)
        yield


def _write(
    frozen: FrozenLayers, samples: Samples, views: ViewsSection, path: Path, shape: tuple[int, ...], progress: Progress
) -> None:
    """Plain writes, for a full disk then is an error, not a crash as with a memory map."""
    batch, row = default_batch_size(samples.images.shape[1:]), 4 * int(np.prod(shape[2:]))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})

    def write(part: Path) -> None:
        with part.open("wb") as out:
            out.write(header.getvalue())
            for done, (view, begin, found) in enumerate(_passes(frozen, samples, views, batch), start=1):
                out.seek(len(header.getvalue()) + (view * len(samples) + begin) * row)
                out.write(found.astype("<f4").tobytes())
                progress.step(done, {})

    progress.begin("features", -(-len(samples) // batch) * views.count)
    try:
        write_atomically(path, write)
    finally:
        progress.end()


def _passes(
    frozen: FrozenLayers, samples: Samples, views: ViewsSection, batch: int
) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """(view, first sample, features) of all blocks of samples, each read once."""
    size, begin = samples.images.shape[1:3], 0
    for block in iter_blocks(samples.images, batch):
        ids = samples.ids[begin : begin + len(block)]
        transforms = view_transforms(views, ids, *size) if views.count > 1 else None
        for view in range(views.count):
            turned = block
            if view and transforms is not None:
                turned = np.asarray(apply_transforms(block, transforms[:, view], views.fill))
            yield view, begin, frozen.run(turned)
        begin += len(block)
