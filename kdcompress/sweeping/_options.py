"""Options of a sweep, validated and turned into its search space."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from kdcompress import registry
from kdcompress.config.choices import make_choice
from kdcompress.config.recipe import Recipe
from kdcompress.config.settings import format_value
from kdcompress.errors import RecipeError, UsageError
from kdcompress.sweeping._space import TUNED, Setting, Space

ALL = "all"  # as a method: all that are registered and fit
_MAX_TRAININGS = 100_000
_LAST_SEED = 2**32 - 1


def make_space(
    base: Recipe,
    methods: Iterable[str] | None,
    temperatures: Iterable[float] | None,
    alphas: Iterable[float] | None,
    seeds: int,
    trials: int | None,
) -> Space:
    """Validate the options of a sweep.

    Args:
        base: Recipe, whose own values replace options that are None.
        methods: Names of methods; `all` for all that are registered and fit, each with its own temperature and alpha.
        temperatures: Temperatures, > 0.
        alphas: Alphas, in [0, 1].
        seeds: Number of seeds, >= 1: the recipe's seed and those after it.
        trials: Number of settings for TPE to propose; None for the grid.

    Returns:
        The search space.

    Raises:
        UsageError: An option is invalid, or the space is too large.
        RecipeError: A method does not accept a value.
    """
    _check_count("--seeds", seeds)
    if trials is not None:
        _check_count("--trials", trials)
    if base.seed + seeds - 1 > _LAST_SEED:
        raise UsageError(f"--seeds: the recipe's seed {base.seed} and the {seeds - 1} after it must be <= {_LAST_SEED}")
    names = _distinct("--method", methods, [base.method.name])
    space = Space(
        tuple(registry.check("methods", str(name)) for name in names if name != ALL),
        _numbers("--temperature", temperatures),
        _numbers("--alpha", alphas),
        tuple(range(base.seed, base.seed + seeds)),
        trials,
    )
    space = _with_all(space, base) if ALL in names else _with_shared_values(space, base)
    if space.trainings > _MAX_TRAININGS:
        limit = f"a sweep has at most {_MAX_TRAININGS} trainings"
        raise UsageError(f"{limit}, settings x seeds; these are {space.trainings}")
    for method in () if space.every else space.methods:
        _check_settings(space, base, method)
    if trials is not None and max(len(space.temperatures), len(space.alphas)) < 2:
        raise UsageError("--trials searches between the values of -T and --alpha: give two or more of one of them")
    return space


def _with_shared_values(space: Space, base: Recipe) -> Space:
    """The space with the recipe's temperature and alpha, where none are given, for all methods."""
    own = base.method
    temperatures = space.temperatures or _numbers("--temperature", [getattr(own, "temperature", 4.0)])
    alphas = space.alphas or _numbers("--alpha", [getattr(own, "alpha", 0.5)])
    return replace(space, temperatures=temperatures, alphas=alphas)


def _with_all(space: Space, base: Recipe) -> Space:
    """The space with all registered methods that accept the values, each with its own temperature and alpha."""
    if space.trials is not None:
        raise UsageError(
            "--method all compares methods, --trials searches between values, got both: compare first, then search "
            "with the method that you choose"
        )
    space = replace(space, methods=tuple(dict.fromkeys([*registry.choices("methods"), *space.methods])), every=True)
    own: dict[str, dict[str, float]] = {}
    refused: dict[str, str] = {}
    for method in space.methods:
        try:
            own[method] = _own_values(base, method)
            _check_settings(replace(space, own=own), base, method)
        except RecipeError as exc:
            refused[method] = str(exc)
    return replace(space, own=own).without(refused)


def _own_values(base: Recipe, method: str) -> dict[str, float]:
    """Temperature and alpha of a method: the recipe's of its own method, of another one the method's defaults."""
    values = dict(Setting(method).recipe(base, base.seed).method.to_dict())
    if method != base.method.name:
        fields = registry.load("methods", method).model_fields
        values |= {key: kind.default for key, kind in fields.items() if not kind.is_required()}
    return {key: float(values[key]) for key in TUNED if key in values}


def _check_settings(space: Space, base: Recipe, method: str) -> None:
    """Raise RecipeError unless a method accepts all of its settings."""
    defaults = Setting(method).recipe(base, base.seed).method.to_dict()
    for setting in space.settings_of(method):
        make_choice("method", {**defaults, **setting.tuned})


def _check_count(option: str, count: int) -> None:
    if not 1 <= count <= _MAX_TRAININGS:
        limit = ">= 1" if count < 1 else f"<= {_MAX_TRAININGS}"
        raise UsageError(f"{option} must be {limit}, got {format_value(count)}")


def _distinct(option: str, values: Iterable[Any] | None, default: Sequence[Any]) -> tuple[Any, ...]:
    distinct = tuple(dict.fromkeys(default if values is None else values))
    if not distinct:
        raise UsageError(f"{option} must name a value, got none")
    return distinct


def _numbers(option: str, values: Iterable[Any] | None) -> tuple[float, ...]:
    """Check the values of an option; none for an option that is not given."""
    numbers = []
    for value in () if values is None else _distinct(option, values, ()):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"{option} must be a finite number, got {format_value(value)}")
        numbers.append(number)
    return tuple(dict.fromkeys(numbers))
