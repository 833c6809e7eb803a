"""tf.data.Dataset of (image, label) or {"image": ..., "label": ...}, batched or not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import DataError, UsageError
from kdcompress.intake._base import Intake, Kind, is_of
from kdcompress.intake._pixels import round_to_pixels
from kdcompress.intake._store import ArrayWriter, adopt, scratch
from kdcompress.leftovers import remove_path
from kdcompress.progress import Progress

_BATCH = 256
_IMAGE, _BATCH_OF_IMAGES = 3, 4  # ranks


class TfData(Kind):
    """A data set of TensorFlow, of which a single pass is written to arrays."""

    def accepts(self, data: Any) -> bool:
        """Return whether data are a tf.data.Dataset; see `Kind.accepts`."""
        return is_of(data, "tensorflow") and hasattr(data, "element_spec")

    def take_in(
        self, parts: Mapping[str, Any], classes: list[str] | None, settings: Mapping[str, Any], progress: Progress
    ) -> Intake:
        """Write images and labels to npy files, which are mapped; see `Kind.take_in`."""
        first = next(iter(parts.values()))
        classes = classes or list(getattr(first, "class_names", None) or []) or None
        folder = scratch()
        try:
            for part, dataset in parts.items():
                _write(dataset, folder, f"_{part}" if part else "", progress)
            if classes is not None:
                np.save(folder / "classes.npy", np.array(classes))
            folder = adopt(folder, progress)
        except BaseException:
            remove_path(folder)
            raise
        return Intake({"name": "arrays", **settings, "dir": str(folder)}, folder)


KIND = TfData()


def _write(dataset: Any, folder: Path, suffix: str, progress: Progress) -> None:
    """Write one part to x and y with a suffix."""
    image, label = _keys(dataset.element_spec)
    rank = dataset.element_spec[image].shape.rank
    if rank not in (_IMAGE, _BATCH_OF_IMAGES):
        raise UsageError(
            f"data: images of the tf.data.Dataset are (H, W, C), or (batch, H, W, C), got {dataset.element_spec}"
        )
    batches = dataset if rank == _BATCH_OF_IMAGES else dataset.batch(_BATCH)
    images, labels = ArrayWriter(folder / f"x{suffix}.npy"), []
    cardinality = int(batches.cardinality())
    progress.begin(f"reading data{suffix.replace('_', ', ')}", max(cardinality, 0))
    try:
        for number, element in enumerate(batches, start=1):
            images.append(element[image].numpy())
            labels.append(_to_indices(element[label].numpy()))
            progress.step(number, {})
    finally:
        progress.end()
        images.close()
    if not labels:
        raise DataError(f"data: the tf.data.Dataset{f' of {suffix[1:]}' if suffix else ''} has no images")
    np.save(folder / f"y{suffix}.npy", np.concatenate(labels))
    round_to_pixels(images.path, progress)


def _keys(spec: Any) -> tuple[Any, Any]:
    """The keys of image and label in an element."""
    if isinstance(spec, tuple | list) and len(spec) in (2, 3):  # the third may be weights of samples
        return 0, 1
    if isinstance(spec, Mapping) and "image" in spec and "label" in spec:
        return "image", "label"
    raise UsageError(
        f"data: elements of the tf.data.Dataset are (image, label) or {{'image', 'label'}}, got {str(spec)[:200]}"
    )


def _to_indices(labels: NDArray[Any]) -> NDArray[Any]:
    """Convert one-hot rows to indices; labels of other forms are checked with all others later."""
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not ((labels == 0) | (labels == 1)).all() or not (labels.sum(axis=1) == 1).all():
            raise DataError(f"data: labels are one class an image, got rows such as {labels[0].tolist()}")
        return np.asarray(labels.argmax(axis=1))
    labels = labels.reshape(-1)
    if labels.dtype == object:  # text is bytes in TensorFlow
        return np.array([label.decode("utf-8") for label in labels])
    return labels
