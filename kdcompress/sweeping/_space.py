"""Search space of a sweep: a grid of method, temperature and alpha with each seed, or ranges for TPE."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kdcompress import registry
from kdcompress.config.recipe import Recipe, resolve

TUNED = ("temperature", "alpha")


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
        temperatures: Temperatures of the grid, or values whose range TPE searches; empty for each method's own.
        alphas: Alphas, likewise.
        seeds: Seeds with which every setting is trained.
        trials: Number of settings that Optuna's TPE proposes; None for the grid.
        own: Temperature and alpha of each method, in place of those that are empty.
        every: Whether the methods are all that are registered, so that those that do not fit are left out.
        left_out: Why a method was left out, by its name.
    """

    methods: tuple[str, ...]
    temperatures: tuple[float, ...]
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    trials: int | None = None
    own: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    every: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> list[Setting]:
        """Settings of the grid, each once: a method is not repeated for hyperparameters that it does not have."""
        return list(dict.fromkeys(setting for method in self.methods for setting in self.settings_of(method)))

    def settings_of(self, method: str) -> list[Setting]:
        """Return the settings of the grid with a method.

        Args:
            method: Name of the method.
        """
        values = self._values(method)
        return [Setting(method, t, a) for t, a in itertools.product(*(values[key] or (None,) for key in TUNED))]

    @property
    def trainings(self) -> int:
        """Number of students to train, computed without listing the settings."""
        if self.trials is not None:
            return self.trials * len(self.seeds)
        by_method = (self._values(method).values() for method in self.methods)
        return len(self.seeds) * sum(math.prod(len(values) or 1 for values in tuned) for tuned in by_method)

    def _values(self, method: str) -> dict[str, tuple[float, ...]]:
        """Temperatures and alphas of a method; empty for what it does not have."""
        fields, own = registry.load("methods", method).model_fields, self.own.get(method, {})
        asked = {"temperature": self.temperatures, "alpha": self.alphas}
        return {key: (asked[key] or (own[key],)) if key in fields else () for key in TUNED}

    def without(self, reasons: Mapping[str, str]) -> Space:
        """Return this space without some methods.

        Args:
            reasons: Why a method is left out, by its name.
        """
        methods = tuple(method for method in self.methods if method not in reasons)
        return replace(self, methods=methods, left_out={**self.left_out, **reasons})

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types."""
        return {
            "methods": list(self.methods),
            "temperatures": list(self.temperatures),
            "alphas": list(self.alphas),
            "seeds": list(self.seeds),
            "trials": self.trials,
            **({"own": {method: dict(values) for method, values in self.own.items()}} if self.own else {}),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Space:
        """Create the space from the result of `to_dict`."""
        methods, temperatures, alphas, seeds = (
            tuple(document[key]) for key in ("methods", "temperatures", "alphas", "seeds")
        )
        return cls(methods, temperatures, alphas, seeds, document["trials"], document.get("own", {}))
