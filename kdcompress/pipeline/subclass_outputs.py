"""Subclasses that teacher and student assign to the test images, saved by a run for its report."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.errors import RunError
from kdcompress.files import write_npz
from kdcompress.metrics.softmax import softmax
from kdcompress.npz import read_npz
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import OUTPUTS, remedy

FILE = f"{OUTPUTS}/subclasses.npz"
_N_EXAMPLES = 6  # images of each subclass


@dataclass(frozen=True)
class SubclassOutputs:
    """Subclasses of the test images, each counted through all classes.

    Attributes:
        sizes: Number of subclasses of each class.
        teacher: Subclass of each image according to the teacher (n,).
        student: Subclass of each image according to the student (n,).
        known: Subclass of each image in the data (n,), where the data have subclasses.
        images: The images (k, H, W, C) that the teacher assigns most confidently.
        rows: Indices (k,) of these images in test.
        shown: Subclasses (k,) of these images.
    """

    sizes: NDArray[np.int64]
    teacher: NDArray[np.int64]
    student: NDArray[np.int64]
    known: NDArray[np.int64] | None
    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    shown: NDArray[np.int64]


def save_subclass_outputs(
    run: RunFolder,
    test: Samples,
    outputs: dict[str, NDArray[np.float32]],
    logits: dict[str, NDArray[np.float32]],
    sizes: tuple[int, ...],
) -> None:
    """Save the subclasses of the test images. That of an image is the most probable one of its predicted class.

    Args:
        run: Run folder.
        test: Test samples.
        outputs: Subclass logits (n, sum(sizes)) of teacher and student by role.
        logits: Class logits (n, classes) by role.
        sizes: Number of subclasses of each class.
    """
    assigned = {
        role: assign_subclasses(outputs[role], logits[role].argmax(axis=-1), sizes) for role in ("teacher", "student")
    }
    rows, shown = _most_confident(outputs["teacher"], assigned["teacher"])
    arrays: dict[str, NDArray[Any]] = {
        "sizes": np.array(sizes, np.int64),
        **assigned,
        "images": test.images[rows],
        "rows": rows,
        "shown": shown,
    }
    if test.subclasses is not None:
        arrays["known"] = test.subclasses
    write_npz(run / FILE, arrays)
    run.commit(FILE)


def read_subclass_outputs(run: RunFolder) -> SubclassOutputs | None:
    """Read the saved subclasses of the test images.

    Args:
        run: Run folder.

    Returns:
        The subclasses; None for a run of another method.

    Raises:
        RunError: The file is damaged.
    """
    if not run.has_file(FILE):
        return None
    arrays = read_npz(run / FILE, RunError, remedy(FILE, run.path))
    if problem := _find_problem(arrays):
        raise RunError(f"{run / FILE} is damaged ({problem}); {remedy(FILE, run.path)}")
    values: dict[str, Any] = {"known": None, **arrays}
    return SubclassOutputs(**values)


def _find_problem(arrays: dict[str, NDArray[Any]]) -> str | None:
    required = {field.name for field in fields(SubclassOutputs)}
    if set(arrays) - required or required - {"known"} - set(arrays):
        return f"it must hold {', '.join(sorted(required))}, got {', '.join(sorted(arrays))[:80]}"
    sizes = arrays["sizes"]
    if sizes.ndim != 1 or sizes.dtype.kind != "i" or not len(sizes) or sizes.min() < 1:
        return "sizes must be whole numbers from 1"
    total, n = int(sizes.sum()), len(arrays["teacher"]) if arrays["teacher"].ndim else -1
    limits = {"teacher": total, "student": total, "known": total, "shown": total, "rows": n}
    for name, limit in limits.items():
        values = arrays.get(name)
        if values is None:
            continue
        if (
            values.ndim != 1
            or values.dtype.kind != "i"
            or (len(values) and not 0 <= values.min() <= values.max() < limit)
        ):
            return f"{name} must be whole numbers from 0 to {limit - 1}"
    images = arrays["images"]
    if (
        len(arrays["student"]) != n
        or images.ndim != 4
        or not len(images) == len(arrays["rows"]) == len(arrays["shown"])
    ):
        return "its arrays are not of the same images"
    return None


def assign_subclasses(
    outputs: NDArray[np.float32], classes: NDArray[np.int64], sizes: tuple[int, ...]
) -> NDArray[np.int64]:
    """Assign each image the most probable subclass of its class.

    Args:
        outputs: Subclass logits (n, sum(sizes)).
        classes: Class of each image (n,).
        sizes: Number of subclasses of each class.

    Returns:
        Subclasses (n,), counted through all classes.
    """
    class_of = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.where(class_of == classes[:, None], outputs, -np.inf).argmax(axis=-1), np.int64)


def _most_confident(
    logits: NDArray[np.float32], assigned: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the images with the highest probability of each subclass, and that subclass for each."""
    probabilities = softmax(logits)
    rows: list[int] = []
    shown: list[int] = []
    for subclass in range(logits.shape[-1]):
        members = np.flatnonzero(assigned == subclass)
        best = members[np.argsort(-probabilities[members, subclass], kind="stable")[:_N_EXAMPLES]]
        rows += best.tolist()
        shown += [subclass] * len(best)
    return np.array(rows, np.int64), np.array(shown, np.int64)
