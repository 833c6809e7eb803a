"""Which of all methods fit the data and the models of a sweep, found out before anything is trained."""

from __future__ import annotations

from kdcompress.config.recipe import Recipe
from kdcompress.errors import ModelError, RecipeError, TargetsError
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.planning import open_models
from kdcompress.progress import Progress
from kdcompress.sweeping._events import Quiet
from kdcompress.sweeping._space import Space


def leave_out(space: Space, base: Recipe, data: RecipeData, progress: Progress) -> Space:
    """Leave out the methods that refuse the classes, the student or the teacher, if the sweep tries all methods.

    Args:
        space: Search space.
        base: Recipe that the settings vary.
        data: Its data.
        progress: Receives a note on each method that is left out, and one on the number of trainings.

    Returns:
        The space of the methods that fit.

    Raises:
        RecipeError: No method fits.
    """
    if not space.every:
        return space
    refused = {}
    for method in space.methods:
        try:
            _check(space, method, base, data, progress)
        except (RecipeError, ModelError, TargetsError) as exc:
            refused[method] = str(exc)
    fitting = space.without(refused)
    if not fitting.methods:
        raise RecipeError(f"--method all: none fits; {base.method.name}: {fitting.left_out[base.method.name]}")
    for method, reason in fitting.left_out.items():
        progress.note(f"left out: {method}: {reason}")
    progress.note(describe_size(fitting, base.training.total_epochs))
    return fitting


def describe_size(space: Space, epochs: int) -> str:
    """Say how much a sweep will train.

    Args:
        space: Search space of a grid.
        epochs: Number of epochs of a training.
    """
    n = len(space.seeds)
    return (
        f"to train: {space.trainings} students of {epochs} epochs ({len(space.methods)} methods, "
        f"{len(space.settings)} settings, {n} times each), then the baseline {n} times"
    )


def _check(space: Space, method: str, base: Recipe, data: RecipeData, progress: Progress) -> None:
    """Raise an error unless the settings of a method fit the classes, and one of them the student and the teacher."""
    recipes = [setting.recipe(base, base.seed) for setting in space.settings_of(method)]
    for recipe in recipes:
        recipe.method.bind(data.classes)
    open_models(Experiment(recipes[0], data), Quiet(progress))
