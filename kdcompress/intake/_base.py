"""What the kinds of data have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.progress import Progress


@dataclass(frozen=True)
class Intake:
    """Data in the cache.

    Attributes:
        settings: Settings of the recipe's section `data` that read them, `name` among them.
        folder: Their folder in the cache, named by their digest.
    """

    settings: dict[str, Any]
    folder: Path


class Kind(ABC):
    """A kind of data that users pass from Python."""

    @abstractmethod
    def accepts(self, data: Any) -> bool:
        """Return whether data are of this kind, without importing the library that they belong to.

        Args:
            data: One part, or undivided data.
        """

    @abstractmethod
    def take_in(
        self, parts: Mapping[str, Any], classes: list[str] | None, settings: Mapping[str, Any], progress: Progress
    ) -> Intake:
        """Write data to the cache.

        Args:
            parts: Data by part, train, val and test; or by the name "" if they are undivided.
            classes: Class names in the order of the labels' numbers, or None.
            settings: The user's settings of the section `data`.
            progress: Listener.

        Returns:
            Where they are, and how they are read.

        Raises:
            DataError: They are empty or inconsistent.
        """


def is_of(data: Any, *packages: str) -> bool:
    """Return whether the class of an object is defined in one of the packages.

    Args:
        data: The object.
        *packages: Names of top-level packages.
    """
    return any(cls.__module__.partition(".")[0] in packages for cls in type(data).__mro__)
