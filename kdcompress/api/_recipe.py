"""From the arguments of `distill` and `sweep` to a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kdcompress.api._source import reference_of
from kdcompress.config.observing import observer_overrides
from kdcompress.config.recipe import Recipe, resolve
from kdcompress.config.settings import format_value
from kdcompress.errors import UsageError
from kdcompress.observers import Observer


def recipe_of(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
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
    settings: Mapping[str, Any] | None = None,
    files: bool = True,
) -> Recipe:
    """The recipe that the keywords of `distill` ask for; without `files`, model files need not be there.

    Raises:
        RecipeError: A value is unknown or out of its range; it names the key, the value and the choices.
    """
    given = {
        "data.dir": data_dir and str(data_dir),
        "unlabelled.dir": unlabelled and str(unlabelled),
        **_teachers(teacher),
        "student.model": reference_of(student),
        "method.name": method,
        "method.temperature": temperature,
        "method.alpha": alpha,
        "seed": seed,
        "split.limit": limit,
        "baseline": baseline,
        **observer_overrides(observers),
    }
    overrides = {key: value for key, value in given.items() if value is not None}
    base = recipe.to_dict() if isinstance(recipe, Recipe) else recipe
    return resolve(base, {**overrides, **(settings or {})}, files, epochs)


def _teachers(given: Any) -> dict[str, Any]:
    """What one teacher, or a list of them, sets in a recipe."""
    if given is None or (isinstance(given, list | tuple) and not given):
        return {}
    references = [reference_of(one) for one in (given if isinstance(given, list | tuple) else [given])]
    if len(references) == 1:
        return {"teacher.model": references[0], "teacher.members": []}
    return {"teacher.model": "", "teacher.members": [{"model": one} for one in references]}


def split_observers(observers: str | Observer | Iterable[str | Observer]) -> tuple[list[str], list[Observer]]:
    """Divide observers into names, which become part of a recipe, and objects.

    Raises:
        UsageError: One is neither.
    """
    listed = [observers] if isinstance(observers, str | Observer) else list(observers)
    for observer in listed:
        if not isinstance(observer, str | Observer):
            raise UsageError(
                "observers are names, references package.module:Class or objects of kdcompress.observers.Observer, "
                f"got {format_value(observer)}"
            )
    return [one for one in listed if isinstance(one, str)], [one for one in listed if isinstance(one, Observer)]


def default_out(recipe: Recipe) -> Path:
    """runs/NAME-DIGEST: the same recipe always finds its run again, and another never runs into it."""
    return Path("runs") / f"{recipe.name}-{recipe.digest[:8]}"
