"""What a sweep tries: each setting of method, temperature and alpha with each seed, or what TPE proposes of ranges."""

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
_MOST = 100_000  # trainings, which nobody waits for
_LAST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Setting:
    """One way to distil: a method, and those of temperature and alpha that it has."""

    method: str
    temperature: float | None = None
    alpha: float | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """As results show it."""
        return {"method": self.method, "temperature": self.temperature, "alpha": self.alpha}

    @property
    def tuned(self) -> dict[str, float]:
        """Those that the method has."""
        return {key: getattr(self, key) for key in TUNED if getattr(self, key) is not None}

    @property
    def shown(self) -> str:
        """In words."""
        tuned = [("T", self.temperature), ("alpha", self.alpha)]
        return " ".join([self.method, *(f"{name} {value:g}" for name, value in tuned if value is not None)])

    def recipe(self, base: Recipe, seed: int) -> Recipe:
        """The recipe of this setting and a seed, otherwise as `base`; without baseline, which a sweep trains itself."""
        tuned = {f"method.{key}": value for key, value in self.tuned.items()}
        return resolve(base.to_dict(), {"method.name": self.method, **tuned, "seed": seed, "baseline": False})


@dataclass(frozen=True)
class Space:
    """The values of each setting; with `trials`, lists are ranges from which Optuna's TPE proposes so many settings."""

    methods: tuple[str, ...]
    temperatures: tuple[float, ...]
    alphas: tuple[float, ...]
    seeds: tuple[int, ...]
    trials: int | None = None

    @property
    def settings(self) -> list[Setting]:
        """The grid, each setting once: a method is not repeated for what it does not have."""
        found = []
        for method in self.methods:
            has = registry.load("methods", method).model_fields
            temperatures = self.temperatures if "temperature" in has else (None,)
            alphas = self.alphas if "alpha" in has else (None,)
            found += [Setting(method, t, a) for t, a in itertools.product(temperatures, alphas)]
        return list(dict.fromkeys(found))

    @property
    def trainings(self) -> int:
        """How many students are trained, without making the list of them."""
        if self.trials is not None:
            return self.trials * len(self.seeds)
        has = [registry.load("methods", method).model_fields for method in self.methods]
        counts = {"temperature": len(self.temperatures), "alpha": len(self.alphas)}
        return len(self.seeds) * sum(math.prod(counts[key] for key in TUNED if key in one) for one in has)

    @property
    def facts(self) -> dict[str, Any]:
        """For the sweep's folder."""
        return {
            "methods": list(self.methods),
            "temperatures": list(self.temperatures),
            "alphas": list(self.alphas),
            "seeds": list(self.seeds),
            "trials": self.trials,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Space:
        """The space that `facts` tell of."""
        methods, temperatures, alphas, seeds = (
            tuple(facts[key]) for key in ("methods", "temperatures", "alphas", "seeds")
        )
        return cls(methods, temperatures, alphas, seeds, facts["trials"])


def make_space(
    base: Recipe,
    methods: Iterable[str] | None,
    temperatures: Iterable[float] | None,
    alphas: Iterable[float] | None,
    seeds: int,
    trials: int | None,
) -> Space:
    """The space around a recipe, whose own values stand for what is not given, each once; every value is checked.

    Seeds are the recipe's and those that follow. Errors: UsageError; RecipeError for a value that a method refuses.
    """
    _refuse_count("--seeds", seeds)
    if trials is not None:
        _refuse_count("--trials", trials)
    if base.seed + seeds - 1 > _LAST_SEED:
        raise UsageError(f"--seeds: the recipe's seed {base.seed} and the {seeds - 1} after it must be <= {_LAST_SEED}")
    own = base.method
    space = Space(
        tuple(registry.check("methods", str(one)[:100]) for one in _given("--method", methods, [own.name])),
        _numbers("--temperature", temperatures, getattr(own, "temperature", 4.0)),
        _numbers("--alpha", alphas, getattr(own, "alpha", 0.5)),
        tuple(range(base.seed, base.seed + seeds)),
        trials,
    )
    if space.trainings > _MOST:
        raise UsageError(f"a sweep has at most {_MOST} trainings, settings x seeds; these are {space.trainings}")
    plain = {method: Setting(method).recipe(base, base.seed).method.to_dict() for method in space.methods}
    for one in space.settings:
        make_choice("method", {**plain[one.method], **one.tuned})
    if trials is not None and max(len(space.temperatures), len(space.alphas)) < 2:
        raise UsageError("--trials searches between the values of -T and --alpha: give two or more of one of them")
    return space


def _refuse_count(option: str, count: int) -> None:
    if not 1 <= count <= _MOST:
        raise UsageError(f"{option} must be {'>= 1' if count < 1 else f'<= {_MOST}'}, got {format_value(count)}")


def _given(option: str, values: Iterable[Any] | None, default: Sequence[Any]) -> tuple[Any, ...]:
    found = tuple(dict.fromkeys(default if values is None else values))
    if not found:
        raise UsageError(f"{option} must name a value, got none")
    return found


def _numbers(option: str, values: Iterable[Any] | None, default: Any) -> tuple[float, ...]:
    found = []
    for value in _given(option, values, [default]):
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"{option} must be a finite number, got {format_value(value)}")
        found.append(number)
    return tuple(dict.fromkeys(found))
