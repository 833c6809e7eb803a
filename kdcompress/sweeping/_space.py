"""Search space of a sweep: a grid of method, temperature and alpha with each seed, or ranges for TPE."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdcompress import registry
from kdcompress.config.choices import make_choice
from kdcompress.config.recipe import Recipe, resolve
from kdcompress.config.settings import format_value
from kdcompress.errors import UsageError

TUNED = ("temperature", "alpha")
_MAX_TRAININGS = 100_000
_LAST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Setting:
    """Hyperparameters of one student.

    Attributes:
        method: Name of the method.
        temperature: Temperature; None if the method has none.
        alpha: Alpha; None if the method has none.
    """

    method: str
    temperature: float | None = None
    alpha: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types, with None for what the method does not have."""
        return {"method": self.method, "temperature": self.temperature, "alpha": self.alpha}

    @property
    def tuned(self) -> dict[str, float]:
        """Temperature and alpha, if the method has them."""
        return {key: getattr(self, key) for key in TUNED if getattr(self, key) is not None}

    def __str__(self) -> str:
        tuned = [("T", self.temperature), ("alpha", self.alpha)]
        return " ".join([self.method, *(f"{name} {value:g}" for name, value in tuned if value is not None)])

    def recipe(self, base: Recipe, seed: int) -> Recipe:
        """Create the recipe of this setting.

        Args:
            base: Recipe that supplies everything else.
            seed: Seed.

        Returns:
            The recipe, without a baseline, which the sweep trains itself.
        """
        tuned = {f"method.{key}": value for key, value in self.tuned.items()}
        return resolve(base.to_dict(), {"method.name": self.method, **tuned, "seed": seed, "baseline": False})


@dataclass(frozen=True)
class Space:
    """Search space.

    Attributes:
        methods: Names of methods.
        temperatures: Temperatures of the grid, or values whose range TPE searches.
        alphas: Alphas, likewise.
        seeds: Seeds with which every setting is trained.
        trials: Number of settings that Optuna's TPE proposes; None for the grid.
    """

    methods: tuple[str, ...]
    temperatures: tuple[float, ...]
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    trials: int | None = None

    @property
    def settings(self) -> list[Setting]:
        """Settings of the grid, each once: a method is not repeated for hyperparameters that it does not have."""
        grid = []
        for method in self.methods:
            fields = registry.load("methods", method).model_fields
            temperatures = self.temperatures if "temperature" in fields else (None,)
            alphas = self.alphas if "alpha" in fields else (None,)
            grid += [Setting(method, t, a) for t, a in itertools.product(temperatures, alphas)]
        return list(dict.fromkeys(grid))

    @property
    def trainings(self) -> int:
        """Number of students to train, computed without listing the settings."""
        if self.trials is not None:
            return self.trials * len(self.seeds)
        by_method = [registry.load("methods", method).model_fields for method in self.methods]
        counts = {"temperature": len(self.temperatures), "alpha": len(self.alphas)}
        settings = sum(math.prod(counts[key] for key in TUNED if key in fields) for fields in by_method)
        return len(self.seeds) * settings

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types."""
        return {
            "methods": list(self.methods),
            "temperatures": list(self.temperatures),
            "alphas": list(self.alphas),
            "seeds": list(self.seeds),
            "trials": self.trials,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Space:
        """Create the space from the result of `to_dict`."""
        methods, temperatures, alphas, seeds = (
            tuple(document[key]) for key in ("methods", "temperatures", "alphas", "seeds")
        )
        return cls(methods, temperatures, alphas, seeds, document["trials"])


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
        methods: Names of methods.
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
    own = base.method
    space = Space(
        tuple(registry.check("methods", str(name)[:100]) for name in _distinct("--method", methods, [own.name])),
        _numbers("--temperature", temperatures, getattr(own, "temperature", 4.0)),
        _numbers("--alpha", alphas, getattr(own, "alpha", 0.5)),
        tuple(range(base.seed, base.seed + seeds)),
        trials,
    )
    if space.trainings > _MAX_TRAININGS:
        limit = f"a sweep has at most {_MAX_TRAININGS} trainings"
        raise UsageError(f"{limit}, settings x seeds; these are {space.trainings}")
    defaults = {method: Setting(method).recipe(base, base.seed).method.to_dict() for method in space.methods}
    for setting in space.settings:
        make_choice("method", {**defaults[setting.method], **setting.tuned})
    if trials is not None and max(len(space.temperatures), len(space.alphas)) < 2:
        raise UsageError("--trials searches between the values of -T and --alpha: give two or more of one of them")
    return space


def _check_count(option: str, count: int) -> None:
    if not 1 <= count <= _MAX_TRAININGS:
        limit = ">= 1" if count < 1 else f"<= {_MAX_TRAININGS}"
        raise UsageError(f"{option} must be {limit}, got {format_value(count)}")


def _distinct(option: str, values: Iterable[Any] | None, default: Sequence[Any]) -> tuple[Any, ...]:
    distinct = tuple(dict.fromkeys(default if values is None else values))
    if not distinct:
        raise UsageError(f"{option} must name a value, got none")
    return distinct


def _numbers(option: str, values: Iterable[Any] | None, default: Any) -> tuple[float, ...]:
    numbers = []
    for value in _distinct(option, values, [default]):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"{option} must be a finite number, got {format_value(value)}")
        numbers.append(number)
    return tuple(dict.fromkeys(numbers))
