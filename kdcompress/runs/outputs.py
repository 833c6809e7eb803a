"""What a run kept of its models' answers on test and validation."""

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
    """Ids (n,), labels (n,) and logits (n, classes) by role (teacher, student, baseline) of test or validation.

    `groups` (n,) and `votes` (n, classes) of the images are None where the data have none.
    """

    ids: NDArray[np.str_]
    labels: NDArray[np.int64]
    logits: dict[str, NDArray[np.float32]]
    groups: NDArray[np.str_] | None = None
    votes: NDArray[np.int64] | None = None

    def take(self, rows: NDArray[np.int64]) -> Outputs:
        """What is known of the images at `rows`."""
        groups = None if self.groups is None else self.groups[rows]
        votes = None if self.votes is None else self.votes[rows]
        logits = {role: values[rows] for role, values in self.logits.items()}
        return Outputs(self.ids[rows], self.labels[rows], logits, groups, votes)


@dataclass(frozen=True)
class Disagreements:
    """Ids (n,) and images (n, H, W, C) of test on which student and teacher answer otherwise, the surest first."""

    ids: NDArray[np.str_]
    images: NDArray[np.uint8]


def read_test_outputs(run: RunFolder) -> Outputs:
    """What the run's models answered on test; RunError if the run did not come that far."""
    if not run.has_file(TEST_OUTPUTS):
        raise RunError(f"run {run.path} is not finished; give its `kdcompress distill` command again")
    return _outputs(run, TEST_OUTPUTS)


def read_validation_outputs(run: RunFolder) -> Outputs | None:
    """What the run's models answered on validation; None of a run that did not keep it."""
    return _outputs(run, VAL_OUTPUTS) if run.has_file(VAL_OUTPUTS) else None


def read_classes(run: RunFolder) -> list[str]:
    """The names of a run's classes; RunError of a run that did not come to its data."""
    classes: list[str] | None = run.manifest().get("classes")
    if not classes:
        raise RunError(f"run {run.path} has no classes yet; give its `kdcompress distill` command again to finish it")
    return classes


def _outputs(run: RunFolder, name: str) -> Outputs:
    arrays, classes = read_npz(run / name, RunError, remedy(name, run.path)), len(read_classes(run))
    logits = {key.removesuffix("_logits"): arrays[key] for key in arrays if key.endswith("_logits")}
    beside = {key: values for key, values in arrays.items() if key in ("groups", "votes")}
    if problem := _problem(arrays, logits, beside, classes):
        raise RunError(f"{run / name} is damaged ({problem}); {remedy(name, run.path)}")
    return Outputs(arrays["ids"], arrays["labels"], logits, **beside)


def _problem(
    arrays: dict[str, NDArray[Any]], logits: dict[str, NDArray[Any]], beside: dict[str, NDArray[Any]], classes: int
) -> str | None:
    """What is wrong with the arrays of kept outputs, or None."""
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
    if any(len(values) != n for values in beside.values() if values.ndim) or any(not v.ndim for v in beside.values()):
        return f"what stands beside the {n} labels must be as many"
    if "votes" in beside and (beside["votes"].shape != (n, classes) or beside["votes"].dtype.kind != "i"):
        return f"votes must be whole numbers {(n, classes)}, got {beside['votes'].dtype} {beside['votes'].shape}"
    return None


def read_disagreements(run: RunFolder) -> Disagreements | None:
    """The images that the run kept of those its student and teacher differ on; None of a run that kept none."""
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
