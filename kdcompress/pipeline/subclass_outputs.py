"""What teacher and student made of subclasses on test: kept by a run, so that its report needs neither."""

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
_SHOWN = 6  # images of each subclass


@dataclass(frozen=True)
class SubclassOutputs:
    """The subclass of each test image, counted through all classes, by role; `known` ones where the data have them.

    `sizes` are the subclasses of each class; `images` (k, H, W, C) are those that the teacher is surest of, at the
    `rows` of test, for the subclasses in `shown`.
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
    """Put what subclass logits (n, sum(sizes)) of teacher and student say of test into the run.

    An image's subclass is the likeliest of the class that the class `logits` (n, classes) give.
    """
    assigned = {
        role: assign_subclasses(outputs[role], logits[role].argmax(axis=-1), sizes) for role in ("teacher", "student")
    }
    rows, shown = _surest(outputs["teacher"], assigned["teacher"])
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
    """What a run kept of subclasses; None of a run of another method."""
    if not run.has_file(FILE):
        return None
    arrays = read_npz(run / FILE, RunError, remedy(FILE, run.path))
    if problem := _problem(arrays):
        raise RunError(f"{run / FILE} is damaged ({problem}); {remedy(FILE, run.path)}")
    made: dict[str, Any] = {"known": None, **arrays}
    return SubclassOutputs(**made)


def _problem(arrays: dict[str, NDArray[Any]]) -> str | None:
    """What is wrong with the arrays of kept subclasses, or None."""
    wanted = {field.name for field in fields(SubclassOutputs)}
    if set(arrays) - wanted or wanted - {"known"} - set(arrays):
        return f"it must hold {', '.join(sorted(wanted))}, got {', '.join(sorted(arrays))[:80]}"
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
    """The likeliest subclass within each image's class, counted through all classes."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.where(owner == classes[:, None], outputs, -np.inf).argmax(axis=-1), np.int64)


def _surest(logits: NDArray[np.float32], answers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the images that are surest of each subclass, and that subclass for each."""
    probabilities = softmax(logits)
    rows: list[int] = []
    shown: list[int] = []
    for subclass in range(logits.shape[-1]):
        own = np.flatnonzero(answers == subclass)
        best = own[np.argsort(-probabilities[own, subclass], kind="stable")[:_SHOWN]]
        rows += best.tolist()
        shown += [subclass] * len(best)
    return np.array(rows, np.int64), np.array(shown, np.int64)
