"""Conversion of the arguments of `distill` and `sweep` to a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.api._source import reference_of
from kdcompress.config.cluster import NO_CLUSTER
from kdcompress.config.observing import observer_overrides
from kdcompress.config.reading import read_values
from kdcompress.config.recipe import Recipe, resolve
from kdcompress.config.settings import format_value
from kdcompress.errors import DataError, UsageError
from kdcompress.observers import Observer
from kdcompress.plugins import is_reference, needs_trust
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.names import RECIPE
from kdcompress.runs.students import find_student


def recipe_of(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    data: Any = None,
    classes: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    teacher: str | Path | Any = None,
    student: str | Path | Any = None,
    unlabelled: str | Path | None = None,
    method: str | None = None,
    temperature: float | None = None,
    alpha: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    limit: int | None = None,
    baseline: bool | None = None,
    observers: Iterable[str] = (),
    cluster: str | None = None,
    workers: int | None = None,
    settings: Mapping[str, Any] | None = None,
    files: bool = True,
    progress: Progress | None = None,
) -> Recipe:
    """Make a recipe from the arguments of `distill`.

    Args:
        recipe: Name of a built-in recipe, recipe file, a run or RUN:NAME, whose recipe is taken, or values; by default
            mnist, or that of `data`. The other arguments override it.
        data: Data in memory, as `distill` takes them.
        classes: Names of the classes of `data`.
        data_dir: Folder of the data set.
        teacher: Reference of a teacher, a Keras model in memory, or a list of them.
        student: Reference of a student, or a Keras model in memory.
        unlabelled: Folder of images without labels.
        method: Name of the method.
        temperature: Temperature of the method, > 0.
        alpha: Weight of the distillation loss, in [0, 1].
        epochs: Number of epochs of all trainings, >= 1.
        seed: Seed of the student.
        limit: Maximum number of training images.
        baseline: Whether to train the baseline.
        observers: Names of observers, added to those of the recipe.
        cluster: none, auto, or address of a running cluster.
        workers: Number of workers of the cluster.
        settings: Further values by dotted key, which override all others.
        files: Whether model files must exist.
        progress: Listener while data are written to the cache.

    Returns:
        The recipe.

    Raises:
        RecipeError: A value is unknown or out of range; names the key, the value and the choices.
        UsageError: The data are of no known kind.
        DataError: They are empty or inconsistent.
    """
    if data is None and classes is not None:
        raise UsageError("classes names the classes of data, which is missing; a recipe's data have names of their own")
    recipe = _of_run(recipe) if isinstance(recipe, str | Path) else recipe
    base: Any = "mnist" if recipe is None else recipe.to_dict() if isinstance(recipe, Recipe) else recipe
    if data is not None:
        if data_dir is not None:
            raise UsageError("data and data_dir are both there: give the data, or the folder of the recipe's data")
        if recipe is None and (teacher is None or student is None):
            raise UsageError("data needs teacher=... and student=..., or a recipe that names them")
        base = _with_data(recipe, data, classes, settings or {}, progress or Progress())
    arguments = {
        "data.dir": data_dir and str(data_dir),
        "unlabelled.dir": unlabelled and str(unlabelled),
        **_teacher_overrides(teacher),
        "student.model": reference_of(student),
        "method.name": method,
        "method.temperature": temperature,
        "method.alpha": alpha,
        "seed": seed,
        "split.limit": limit,
        "baseline": baseline,
        "cluster.address": cluster,
        "cluster.workers": workers,
        **observer_overrides(observers),
    }
    overrides = {key: value for key, value in arguments.items() if value is not None}
    own = settings or {}
    if data is not None:  # which the settings of `data` describe already
        own = {key: value for key, value in own.items() if not key.startswith("data.")}
    resolved = resolve(base, {**overrides, **own}, files, epochs)
    if workers is not None and not (resolved.cluster and resolved.cluster.is_used):
        raise UsageError(
            f"workers are those of a cluster, and none is named, got {workers}; --cluster auto starts one here"
        )
    return resolved


def _of_run(recipe: str | Path) -> str | Path | Recipe:
    """Read the recipe of a run, or of RUN:NAME; whatever else is named is returned as it is."""
    folder = find_student(recipe)
    if str(recipe) in registry.choices("recipes") or not folder.is_dir() or not RunFolder(folder).is_run():
        return recipe
    found = read_run_recipe(RunFolder(folder))
    models = [found.student.model, *(teacher.model for teacher in found.teacher.teachers)]
    names = [choice.name for choice in (found.data, found.method) if is_reference(choice.name)]
    if code := [*names, *(model for model in models if needs_trust(model))]:
        raise UsageError(
            f"the recipe of {folder} names {code[0]}, a program: "
            f"name the file {folder / RECIPE} if you trust who made it"
        )
    if found.cluster and found.cluster.is_used:  # only the command itself sends pickles to an address
        return found.model_copy(update={"cluster": found.cluster.model_copy(update={"address": NO_CLUSTER})})
    return found


def _with_data(
    recipe: Any, data: Any, classes: Sequence[str] | None, settings: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """The values of a recipe whose data are those in memory; of a recipe of their own by default."""
    prefix = "data."
    own = {key.removeprefix(prefix): value for key, value in settings.items() if key.startswith(prefix)}
    from kdcompress.intake import take_in

    intake = take_in(data, classes, own, progress)
    if recipe is None:
        values: dict[str, Any] = {"name": f"data-{intake.folder.name[:8]}", "teacher": {}, "student": {}}
    elif isinstance(recipe, Recipe):
        values = recipe.to_dict()
    else:
        values = dict(recipe) if isinstance(recipe, Mapping) else read_values(str(recipe))
    return {**values, "data": intake.settings}


@contextmanager
def naming_data(recipe: Recipe, data: Any) -> Iterator[None]:
    """Context manager that calls data in memory so in errors, instead of by their path in the cache.

    Args:
        recipe: The recipe.
        data: Data in memory, or None.
    """
    try:
        yield
    except DataError as exc:
        folder = str(getattr(recipe.data, "dir", None))
        if data is None or folder not in str(exc) or recipe.data.name != "arrays":
            raise
        raise DataError(str(exc).replace(folder, "data")) from exc


def _teacher_overrides(teachers: Any) -> dict[str, Any]:
    if teachers is None or (isinstance(teachers, list | tuple) and not teachers):
        return {}
    listed = teachers if isinstance(teachers, list | tuple) else [teachers]
    references = [reference_of(teacher) for teacher in listed]
    if len(references) == 1:
        return {"teacher.model": references[0], "teacher.members": []}
    return {"teacher.model": "", "teacher.members": [{"model": reference} for reference in references]}


def split_observers(observers: str | Observer | Iterable[str | Observer]) -> tuple[list[str], list[Observer]]:
    """Separate the names of observers, which become part of a recipe, from objects.

    Args:
        observers: A name, an object, or several of them.

    Returns:
        (names, objects).

    Raises:
        UsageError: An observer is neither.
    """
    listed = [observers] if isinstance(observers, str | Observer) else list(observers)
    for observer in listed:
        if not isinstance(observer, str | Observer):
            raise UsageError(
                "observers are names, references package.module:Class or objects of kdcompress.observers.Observer, "
                f"got {format_value(observer)}"
            )
    names = [observer for observer in listed if isinstance(observer, str)]
    return names, [observer for observer in listed if isinstance(observer, Observer)]


def default_out(recipe: Recipe) -> Path:
    """Return the default run folder.

    Args:
        recipe: The recipe.

    Returns:
        runs/NAME-DIGEST, the same for the same recipe and different for any other.
    """
    return Path("runs") / f"{recipe.name}-{recipe.digest[:8]}"
