"""The model outputs on test and validation that a run stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import RunError
from kdcompress.npz import read_npz
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import DISAGREEMENTS, TEST_OUTPUTS, VAL_OUTPUTS, remedy


@dataclass(frozen=True)
class Outputs:
    """Outputs of a run's models on one split.

    Attributes:
        ids: Sample ids, (n,).
        labels: (n,).
        logits: Logits (n, classes) by role: teacher, student, baseline.
        groups: Group of each image, (n,); None if the data have none.
        votes: Annotators' votes for each class, (n, classes); None if the data have none.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    logits: dict[str, NDArray[np.float32]]
    groups: NDArray[np.str_] | None = None
    votes: NDArray[np.int64] | None = None

    def take(self, rows: NDArray[np.int64]) -> Outputs:
        """Select rows.

        Args:
            rows: Row indices.

        Returns:
            The outputs of those samples, in that order.
        """
        groups = None if self.groups is None else self.groups[rows]
        votes = None if self.votes is None else self.votes[rows]
        logits = {role: values[rows] for role, values in self.logits.items()}
        return Outputs(self.ids[rows], self.labels[rows], logits, groups, votes)


@dataclass(frozen=True)
class Disagreements:
    """Test images on which student and teacher predict different classes, the most confident first.

    Attributes:
        ids: Sample ids, (n,).
        images: Pixels, (n, H, W, C).
    """

    ids: NDArray[np.str_]
    images: NDArray[np.uint8]


def read_test_outputs(run: RunFolder) -> Outputs:
    """Read the outputs of a run's models on test.

    Args:
        run: The run.

    Returns:
        The outputs.

    Raises:
        RunError: If the run is not finished, or the file is damaged.
    """
    if not run.has_file(TEST_OUTPUTS):
        raise RunError(f"run {run.path} is not finished; give its `kdcompress distill` command again")
    return _read(run, TEST_OUTPUTS)


def read_validation_outputs(run: RunFolder) -> Outputs | None:
    """Read the outputs of a run's models on validation.

    Args:
        run: The run.

    Returns:
        The outputs; None if the run did not store them.

    Raises:
        RunError: If the file is damaged.
    """
    return _read(run, VAL_OUTPUTS) if run.has_file(VAL_OUTPUTS) else None


def read_classes(run: RunFolder) -> list[str]:
    """Read the class names of a run.

    Args:
        run: The run.

    Returns:
        The names.

    Raises:
        RunError: If the run was interrupted before it loaded its data.
    """
    classes: list[str] | None = run.manifest().get("classes")
    if not classes:
        raise RunError(f"run {run.path} has no classes yet; give its `kdcompress distill` command again to finish it")
    return classes


def _read(run: RunFolder, name: str) -> Outputs:
    arrays, classes = read_npz(run / name, RunError, remedy(name, run.path)), len(read_classes(run))
    logits = {key.removesuffix("_logits"): arrays[key] for key in arrays if key.endswith("_logits")}
    extras = {key: values for key, values in arrays.items() if key in ("groups", "votes")}
    if problem := _find_problem(arrays, logits, extras, classes):
        raise RunError(f"{run / name} is damaged ({problem}); {remedy(name, run.path)}")
    return Outputs(arrays["ids"], arrays["labels"], logits, **extras)


def _find_problem(
    arrays: dict[str, NDArray[Any]], logits: dict[str, NDArray[Any]], extras: dict[str, NDArray[Any]], classes: int
) -> str | None:
    """Return what is wrong with the arrays of an outputs file, or None."""
    if missing := {"ids", "labels", "teacher_logits", "student_logits"} - set(arrays):
        return f"it lacks {sorted(missing)[0]}"
    ids, labels = arrays["ids"], arrays["labels"]
    n = len(labels) if labels.ndim == 1 else 0
    if not n or ids.shape != (n,) or ids.dtype.kind != "U" or labels.dtype.kind != "i":
        return f"ids and labels must be text and whole numbers (n,), got {ids.shape} and {labels.shape}"
    if labels.min() < 0 or labels.max() >= classes:
        return f"labels must be 0 to {classes - 1}, got {labels.min()} to {labels.max()}"
    for role, values in logits.items():
        if values.shape != (n, classes) or values.dtype.kind != "f":
            return f"logits of the {role} must be floats {(n, classes)}, got {values.dtype} {values.shape}"
    if any(not values.ndim or len(values) != n for values in extras.values()):
        return f"what stands beside the {n} labels must be as many"
    votes = extras.get("votes")
    if votes is not None and (votes.shape != (n, classes) or votes.dtype.kind != "i"):
        return f"votes must be whole numbers {(n, classes)}, got {votes.dtype} {votes.shape}"
    return None


def read_disagreements(run: RunFolder) -> Disagreements | None:
    """Read the test images on which student and teacher disagree.

    Args:
        run: The run.

    Returns:
        The images; None if the run stored none.

    Raises:
        RunError: If the file is damaged.
    """
    if not run.has_file(DISAGREEMENTS):
        return None
    arrays = read_npz(run / DISAGREEMENTS, RunError, remedy(DISAGREEMENTS, run.path))
    ids, images = arrays.get("ids"), arrays.get("images")
    if ids is None or images is None or images.ndim != 4 or images.dtype != np.uint8 or ids.shape != images.shape[:1]:
        raise RunError(
            f"{run / DISAGREEMENTS} is damaged (it must hold ids (n,) and pixels (n, H, W, C)); "
            f"{remedy(DISAGREEMENTS, run.path)}"
        )
    return Disagreements(ids, images)
