"""What teacher and student made of subclasses on test: kept by a run, so that its report needs neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.files import write_npz
from kdcompress.run import OUTPUTS, RunFolder

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


def keep_subclasses(
    run: RunFolder,
    test: Samples,
    outputs: dict[str, NDArray[np.float32]],
    logits: dict[str, NDArray[np.float32]],
    sizes: tuple[int, ...],
) -> None:
    """Put what subclass logits (n, sum(sizes)) of teacher and student say of test into the run.

    An image's subclass is the likeliest of the class that the class `logits` (n, classes) give.
    """
    assigned = {role: assign(outputs[role], logits[role].argmax(axis=-1), sizes) for role in ("teacher", "student")}
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


def read_subclasses(run: RunFolder) -> SubclassOutputs | None:
    """What a run kept of subclasses; None of a run of another method."""
    if not run.holds(FILE):
        return None
    with np.load(run / FILE) as kept:
        return SubclassOutputs(**{"known": None, **dict(kept.items())})


def assign(outputs: NDArray[np.float32], classes: NDArray[np.int64], sizes: tuple[int, ...]) -> NDArray[np.int64]:
    """The likeliest subclass within each image's class, counted through all classes."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.where(owner == classes[:, None], outputs, -np.inf).argmax(axis=-1), np.int64)


def _surest(logits: NDArray[np.float32], answers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the images that are surest of each subclass, and that subclass for each."""
    wide = logits.astype(np.float64)
    chances = np.exp(wide - wide.max(axis=-1, keepdims=True))
    chances /= chances.sum(axis=-1, keepdims=True)
    rows: list[int] = []
    shown: list[int] = []
    for subclass in range(logits.shape[-1]):
        own = np.flatnonzero(answers == subclass)
        best = own[np.argsort(-chances[own, subclass], kind="stable")[:_SHOWN]]
        rows += best.tolist()
        shown += [subclass] * len(best)
    return np.array(rows, np.int64), np.array(shown, np.int64)
