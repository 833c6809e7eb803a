"""Units: single channels of tensors, which are coupled with others or must stay."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
"""The unit of each position along the last axis of a tensor; a unit may occur several times, as behind Flatten."""


@dataclass
class Units:
    """A union-find over units, with the reasons why some must stay.

    Attributes:
        makers: The path of the layer that made each unit; "" for the model's inputs.
        reasons: Why a unit must stay, by unit.
    """

    makers: list[str] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    _parents: list[int] = field(default_factory=list)

    def make(self, count: int, maker: str = "") -> Ids:
        """Make new units.

        Args:
            count: Number of units.
            maker: Path of the layer that makes them.
        """
        first = len(self._parents)
        self._parents += range(first, first + count)
        self.makers += [maker] * count
        return np.arange(first, first + count)

    def join(self, first: Ids, second: Ids) -> None:
        """Couple the units at equal positions, so that they stay or go together.

        Args:
            first: Units.
            second: As many.
        """
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((self._root(one), self._root(other)))
            self._parents[high] = low

    def keep(self, ids: Ids, reason: str) -> None:
        """Mark units that must stay.

        Args:
            ids: The units.
            reason: Why they must.
        """
        for unit in ids.tolist():
            self.reasons.setdefault(unit, reason)

    def classes(self) -> tuple[Ids, list[str]]:
        """Number the classes of coupled units.

        Returns:
            The class of each unit, and the reason why each class must stay, "" if it may go.
        """
        roots = np.array([self._root(unit) for unit in range(len(self._parents))], np.int64)
        distinct, classes = np.unique(roots, return_inverse=True)
        reasons = [""] * len(distinct)
        for unit in sorted(self.reasons):
            reasons[classes[unit]] = reasons[classes[unit]] or self.reasons[unit]
        return classes.astype(np.int64), reasons

    def _root(self, unit: int) -> int:
        while self._parents[unit] != unit:
            self._parents[unit] = self._parents[self._parents[unit]]
            unit = self._parents[unit]
        return unit
