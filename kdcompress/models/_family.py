"""Base class of families of architectures, which are named PREFIX:NAME in recipes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from kdcompress.models._base import Architecture


class Family(ABC):
    """Architectures of another library."""

    @staticmethod
    @abstractmethod
    def names() -> list[str]:
        """List the names of the architectures, without importing the library."""

    @classmethod
    def has(cls, name: str) -> bool:
        """Return whether an architecture exists, without importing the library.

        Args:
            name: Its name.
        """
        return name in cls.names()

    @staticmethod
    @abstractmethod
    def describe(name: str) -> str:
        """Describe an architecture in one line, without importing the library.

        Args:
            name: One of `names`.
        """

    @staticmethod
    @abstractmethod
    def load(name: str) -> type[Architecture]:
        """Return an architecture.

        Args:
            name: Its name in the library.

        Returns:
            A class that builds it.
        """
