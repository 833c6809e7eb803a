"""The models and the data of a run, opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.config.recipe import Recipe
from kdcompress.data import Dataset, load_data
from kdcompress.errors import ModelError, RunError
from kdcompress.methods import Classes
from kdcompress.models import load_model, load_saved_model, load_weights
from kdcompress.pipeline.opening import bound_method
from kdcompress.plugins import is_reference
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.training.fitting import finalise
from kdcompress.trust import REMEDY, trusts_code


def open_model(run: RunFolder, role: str) -> Any:
    """The Keras model of `role` that a run kept; RunError if there is none yet, or if it is not what the run wrote.

    A model of a class that plain Keras does not know is made by the recipe's `module:function`, where the user trusts
    the run's code, and gets its weights.
    """
    name = f"{role}.keras"
    if not run.has_file(name):
        raise RunError(f"run {run.path} has no {role} yet; give its `kdcompress distill` command again to finish it")
    try:
        return load_saved_model(run / name)
    except ModelError as exc:
        recipe = read_run_recipe(run)
        reference = recipe.teacher.model if role == "teacher" else recipe.student.model
        manifest = run.manifest()
        if not is_reference(reference) or "input_shape" not in manifest:
            raise
        if not trusts_code():
            raise ModelError(_untrusted(run, role, reference)) from exc
        shape, method = tuple(manifest["input_shape"]), bound_method(run, recipe)
        model = load_model(reference, shape, method.head(Classes(len(manifest["classes"]))), role)
        final = finalise(model, method, shape) if role == "student" else model
        load_weights(final, run / name)
        return final


def _untrusted(run: RunFolder, role: str, reference: str) -> str:
    return f"run {run.path}: its {role} needs {reference} to be opened, a program that its recipe names: {REMEDY}"


def open_data(run: RunFolder, recipe: Recipe, data_dir: Path | None, progress: Progress) -> Dataset:
    """The data that a run was made of, from `data_dir` if it was moved; RunError if it has changed since; DataError."""
    dataset = load_data(recipe, progress, data_dir)
    run.check_data(dataset.facts)
    if dataset.notice:
        progress.note(dataset.notice)
    return dataset
