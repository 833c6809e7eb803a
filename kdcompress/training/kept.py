"""What a run kept, opened again: its models, and what they answered on test and validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Dataset, load_data
from kdcompress.errors import ModelError, RunError
from kdcompress.methods import Task
from kdcompress.models import load_model, load_saved_model
from kdcompress.progress import Progress
from kdcompress.recipe import Recipe, read_resolved
from kdcompress.run import RECIPE, RunFolder
from kdcompress.training.fitting import finalise
from kdcompress.training.opening import bound_method
from kdcompress.training.pipeline import DISAGREEMENTS, TEST_OUTPUTS, VAL_OUTPUTS


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


def open_model(run: RunFolder, role: str) -> Any:
    """The Keras model of `role` that a run kept; RunError if there is none yet, or if it is not what the run wrote.

    A model of a class that plain Keras does not know is made by the recipe's `module:function`, and gets its weights.
    """
    name = f"{role}.keras"
    if not run.holds(name):
        raise RunError(f"run {run.path} has no {role} yet; give its `kdcompress distill` command again to finish it")
    try:
        return load_saved_model(run / name)
    except ModelError:
        recipe = read_resolved(run / RECIPE)
        reference = recipe.teacher.model if role == "teacher" else recipe.student.model
        manifest = run.manifest()
        if ":" not in reference or reference.endswith(".keras") or "input_shape" not in manifest:
            raise
        shape, method = tuple(manifest["input_shape"]), bound_method(run, recipe)
        model = load_model(reference, shape, method.head(Task(len(manifest["classes"]))), role)
        final = finalise(model, method, shape) if role == "student" else model
        final.load_weights(run / name)
        return final


def open_data(run: RunFolder, recipe: Recipe, data_dir: Path | None, progress: Progress) -> Dataset:
    """The data that a run was made of, from `data_dir` if it was moved; RunError if it has changed since; DataError."""
    dataset = load_data(recipe, progress, data_dir)
    run.check_data(dataset.facts)
    if dataset.notice:
        progress.note(dataset.notice)
    return dataset


def read_outputs(run: RunFolder) -> Outputs:
    """What the run's models answered on test; RunError if the run did not come that far."""
    if not run.holds(TEST_OUTPUTS):
        raise RunError(f"run {run.path} is not finished; give its `kdcompress distill` command again")
    return _outputs(run / TEST_OUTPUTS)


def read_validation(run: RunFolder) -> Outputs | None:
    """What the run's models answered on validation; None of a run that did not keep it."""
    return _outputs(run / VAL_OUTPUTS) if run.holds(VAL_OUTPUTS) else None


def _outputs(path: Path) -> Outputs:
    with np.load(path) as arrays:
        logits = {key.removesuffix("_logits"): arrays[key] for key in arrays.files if key.endswith("_logits")}
        beside = {key: arrays[key] for key in ("groups", "votes") if key in arrays.files}
        return Outputs(arrays["ids"], arrays["labels"], logits, **beside)


def read_disagreements(run: RunFolder) -> Disagreements | None:
    """The images that the run kept of those its student and teacher differ on; None of a run that kept none."""
    if not run.holds(DISAGREEMENTS):
        return None
    with np.load(run / DISAGREEMENTS) as arrays:
        return Disagreements(arrays["ids"], arrays["images"])
