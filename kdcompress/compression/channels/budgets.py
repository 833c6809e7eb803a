"""Budgets: the smallest share of channels whose removal makes a model as cheap as it must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcompress.compression.channels.coupling import Coupling
from kdcompress.compression.channels.rebuilding import rebuild
from kdcompress.compression.channels.selection import count_kept, select
from kdcompress.errors import ModelError

_ALL = 1.0  # the share at which every group has its smallest number of channels
_EXACT = 1 / 256


@dataclass(frozen=True)
class Budget:
    """A limit on the cost of a model, relative to the teacher's.

    Attributes:
        key: Key of the recipe, such as max_flops_ratio.
        limit: Largest ratio student / teacher.
        measure: Computes the ratio of a model.
        resolution: Width of the interval of shares at which the search ends.
    """

    key: str
    limit: float
    measure: Callable[[Any], float]
    resolution: float = _EXACT


@dataclass(frozen=True)
class BudgetedShare:
    """Result of a search.

    Attributes:
        share: The smallest share that meets all budgets; 0 if nothing has to be removed.
        ratios: The ratio at that share, by key of the budget.
    """

    share: float
    ratios: dict[str, float]


def find_share(
    model: Any, coupling: Coupling, budgets: Sequence[Budget], note: Callable[[str], None] = lambda text: None
) -> BudgetedShare:
    """Search the smallest share of channels that meets all budgets, by bisection.

    Costs depend on the numbers of channels and not on which ones stay, so the share is known before channels are
    ranked.

    Args:
        model: Functional or Sequential model.
        coupling: Its coupled channels.
        budgets: The budgets; those that are quick to measure first.
        note: Is called with a line for every budget.

    Returns:
        The share, and the ratios there.

    Raises:
        ModelError: A budget cannot be met; the message has the smallest ratio that can be.
    """
    search = _Search(model, coupling)
    share = 0.0
    measured: dict[str, tuple[float, float]] = {}
    for budget in budgets:
        share, ratio = search.meet(budget, share)
        measured[budget.key] = share, ratio
        note(f"{budget.key} = {budget.limit:g}: {_describe(share, ratio)}")
    ratios = {
        budget.key: measured[budget.key][1] if measured[budget.key][0] == share else search.measure(budget, share)
        for budget in budgets
    }
    return BudgetedShare(share, ratios)


def _describe(share: float, ratio: float) -> str:
    removed = f"{100 * share:.1f} % of the channels go" if share else "met as it is, no channel has to go"
    return f"{removed}, ratio {ratio:.4g}"


class _Search:
    """Models with a share of their channels removed, whatever these are."""

    def __init__(self, model: Any, coupling: Coupling) -> None:
        self._model, self._coupling = model, coupling
        self._sizes = [len(group.classes) for group in coupling.groups]

    def meet(self, budget: Budget, low: float) -> tuple[float, float]:
        """Return the smallest share of at least `low` that meets a budget, and its ratio."""
        ratio = self.measure(budget, low)
        if ratio <= budget.limit:
            return low, ratio
        high, ratio = _ALL, self.measure(budget, _ALL)
        if not ratio <= budget.limit:
            raise ModelError(
                f"{budget.key} = {budget.limit:g} cannot be met: with the fewest channels that {self._model.name} can "
                f"have the ratio to the teacher is {ratio:.4g}; give at least that, or take a smaller student"
            )
        while high - low > budget.resolution and self._counts(high) != self._counts(low):
            middle = (low + high) / 2
            if self._counts(middle) == self._counts(low):
                low = middle
                continue
            measured = ratio if self._counts(middle) == self._counts(high) else self.measure(budget, middle)
            low, high, ratio = (low, middle, measured) if measured <= budget.limit else (middle, high, ratio)
        return high, ratio

    def _counts(self, share: float) -> list[int]:
        return [count_kept(size, share) for size in self._sizes]

    def measure(self, budget: Budget, share: float) -> float:
        """Return the ratio with a share of the channels removed."""
        if not share:
            return budget.measure(self._model)
        kept = select(self._coupling, np.zeros(self._coupling.class_count), share)
        return budget.measure(rebuild(self._model, self._coupling, kept))
